/* SPDX-License-Identifier: Apache-2.0 */
/* What sessionManager provides: the control channel of ssmmessages, sessions, their usual types. */
#include <config.h>
#include <ssm_plugin.h>

#include "plugins/sessionManager/command.h"
#include "plugins/sessionManager/control.h"
#include "plugins/sessionManager/port.h"
#include "plugins/sessionManager/record.h"
#include "plugins/sessionManager/session.h"
#include "plugins/sessionManager/shell.h"

static const struct ssm_feature features[] = {
	SSM_SERVICE("mgs", &control_ops),
	{ .kind = SSM_KIND_TOPIC,
	  .name = SESSION_TOPIC,
	  .ops = &session_ops,
	  .needs = "?session=*",
	  .job_key = "/MessageId" },
	SSM_TOPIC(SESSION_END_TOPIC, &session_end_ops, "/MessageId", "/Payload/Job"),
	SSM_SESSION("Standard_Stream", &terminal_ops),
	SSM_SESSION("InteractiveCommands", &interactive_ops),
	SSM_SESSION("NonInteractiveCommands", &command_ops),
	SSM_SESSION("Port", &port_ops),
};

SSM_PLUGIN(sessionManager) = {
	SSM_PLUGIN_HEAD,
	"sessionManager",
	PACKAGE_VERSION,
	"Apache-2.0",
	"The control channel of ssmmessages: sessions, and a second way for commands",
	SSM_TABLE(features),
	SSM_TABLE(record_options),
	0,
	NULL,
	session_fini,
};
