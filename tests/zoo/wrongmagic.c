/* SPDX-License-Identifier: Apache-2.0 */
/* Its descriptor begins with something else. */
#include "zoo.h"

SSM_PLUGIN(wrongmagic) = {
	1,
	sizeof(struct ssm_plugin),
	SSM_ABI_VERSION,
	SSM_ABI_VERSION,
	"wrongmagic",
	"1",
	"",
	"",
	0,
	0,
	NULL,
	0,
	0,
	NULL,
	0,
	NULL,
	NULL,
};
