/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin runCommand: its descriptor. */
#include <config.h>

#include "ssm_plugin.h"

#include "plugins/runCommand/handle.h"
#include "plugins/runCommand/shell.h"

/* The agent itself ends the job that cancel_key names; there is nothing left to do. */
static int32_t
handle_cancel(struct ssm *S, struct ssm_message *msg)
{
	(void)S;
	(void)msg;
	return 0;
}

static const struct ssm_topic_ops command_ops = { sizeof(command_ops), 0, handle_command };
static const struct ssm_topic_ops unchecked_ops = { sizeof(unchecked_ops), 0,
						    handle_unchecked_command };
static const struct ssm_topic_ops show_ops = { sizeof(show_ops), 0, handle_show_command };
static const struct ssm_topic_ops cancel_ops = { sizeof(cancel_ops), 0, handle_cancel };

static const struct ssm_feature features[] = {
	SSM_TOPIC("aws.ssm.sendCommand.", &command_ops, "/MessageId", NULL),
	SSM_TOPIC("aws.ssm.cancelCommand.", &cancel_ops, "/MessageId", "/Payload/CancelMessageId"),
	SSM_TOPIC(UNCHECKED_TOPIC, &unchecked_ops, "/MessageId", NULL),
	SSM_TOPIC(SHOW_TOPIC, &show_ops, "/MessageId", NULL),
	SSM_ACTION(SHELL_ACTION, &shell_ops),
};

static const struct ssm_option options[] = {
	{ SSM_OPT_PATH, 0, "DefaultDirectory", "/usr/bin",
	  "Where scripts start that name no working directory." },
};

SSM_PLUGIN(runCommand) = {
	SSM_PLUGIN_HEAD,
	"runCommand",
	PACKAGE_VERSION,
	"Apache-2.0",
	"Run commands: documents and aws:runShellScript",
	SSM_TABLE(features),
	SSM_TABLE(options),
	0,
	NULL,
	NULL,
};
