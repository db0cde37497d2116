/* SPDX-License-Identifier: Apache-2.0 */
/* Needs a later minor than there is. */
#include "zoo.h"

SSM_PLUGIN(toonew) = {
	SSM_PLUGIN_MAGIC,
	sizeof(struct ssm_plugin),
	SSM_ABI(1, 9),
	SSM_ABI(1, 9),
	"toonew",
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
