/* SPDX-License-Identifier: Apache-2.0 */
/* Built for an interface that does not exist yet. */
#include "zoo.h"

SSM_PLUGIN(othermajor) = {
	SSM_PLUGIN_MAGIC,
	sizeof(struct ssm_plugin),
	SSM_ABI(2, 0),
	SSM_ABI(2, 0),
	"othermajor",
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
