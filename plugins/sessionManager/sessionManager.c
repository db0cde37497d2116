/* SPDX-License-Identifier: Apache-2.0 */
/* What sessionManager provides: the control channel of ssmmessages. */
#include <config.h>
#include <ssm_plugin.h>

#include "plugins/sessionManager/control.h"

static const struct ssm_feature features[] = { SSM_SERVICE("mgs", &control_ops) };

SSM_PLUGIN(sessionManager) = {
	SSM_PLUGIN_HEAD,
	"sessionManager",
	PACKAGE_VERSION,
	"Apache-2.0",
	"The control channel of ssmmessages: a second way for commands",
	SSM_TABLE(features),
	0,
	0,
	NULL,
	0,
	NULL,
	NULL,
};
