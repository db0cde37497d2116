/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator calls of the ssm service: one command, its result, its end. */
#include "sdk/sandbox/ssm_operator.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/targets.h"

static struct command *
command_of(struct exchange *ex)
{
	struct command *cmd =
		map_get(ex->sb->store->commands, json_str(ex->request, "CommandId", ""));

	if (!cmd)
		exchange_refuse(ex, 400, "InvalidCommandId", "%s", "");
	return cmd;
}

static void
get_command_invocation(struct exchange *ex)
{
	struct command *cmd =
		map_get(ex->sb->store->commands, json_str(ex->request, "CommandId", ""));
	struct invocation *inv =
		cmd ? command_invocation(cmd, json_str(ex->request, "InstanceId", "")) : NULL;
	const char *name = json_str(ex->request, "PluginName", NULL);
	struct plugin *p = NULL;

	if (!inv) {
		exchange_refuse(ex, 400, "InvocationDoesNotExist", "%s", "");
		return;
	}
	if (name)
		p = invocation_plugin(inv, name);
	else if (inv->plugin_count == 1)
		p = &inv->plugins[0];
	if (!p && (name || inv->plugin_count > 1)) {
		exchange_refuse(ex, 400, "InvalidPluginName", "%s", "");
		return;
	}
	exchange_answer_json(ex, view_result(inv, p));
}

/* Every id must be of the command, and be named once. */
static bool
check_instances(struct exchange *ex, struct command *cmd, const json_t *ids)
{
	const json_t *id;
	size_t i;

	json_array_foreach(ids, i, id)
	{
		for (size_t k = 0; k < i; k++) {
			if (!json_equal(id, json_array_get(ids, k)))
				continue;
			exchange_refuse(ex, 400, "DuplicateInstanceId", "%s", "");
			return false;
		}
		if (!command_invocation(cmd, json_string_value(id))) {
			exchange_refuse(ex, 400, "InvalidInstanceId", "%s", json_string_value(id));
			return false;
		}
	}
	return true;
}

static void
cancel_command(struct exchange *ex)
{
	const json_t *ids = json_object_get(ex->request, "InstanceIds"), *id;
	struct command *cmd = command_of(ex);
	size_t i;

	if (!cmd || !check_instances(ex, cmd, ids))
		return;
	if (!json_array_size(ids))
		command_cancel(cmd, NULL);
	json_array_foreach(ids, i, id)
		command_cancel(cmd, command_invocation(cmd, json_string_value(id))->node);
	exchange_answer_json(ex, json_object());
}

static const char *const command_filters[] = { "InvokedAfter",	 "InvokedBefore", "Status",
					       "ExecutionStage", "DocumentName",  NULL };
static const char *const node_filters[] = { "InstanceIds",   "AgentVersion",	  "PingStatus",
					    "PlatformTypes", "ActivationIds",	  "IamRole",
					    "ResourceType",  "AssociationStatus", NULL };
static const char *const hash_types[] = { "Sha256", "Sha1", NULL };
static const char *const notification_types[] = { "Command", "Invocation", NULL };

static const struct shape text = { .name = "text", .type = SHAPE_STRING };
static const struct shape texts = { .name = "texts", .type = SHAPE_LIST, .inner = &text };
static const struct shape instance_id = { .name = "instanceId",
					  .type = SHAPE_STRING,
					  .check = shape_is_instance_id };
static const struct shape filter_members[] = {
	{ .name = "key", .type = SHAPE_STRING, .required = true, .allowed = command_filters },
	{ .name = "value", .type = SHAPE_STRING, .required = true, .min = 1, .max = 128 },
	{ .name = NULL },
};
static const struct shape filter = { .name = "f", .type = SHAPE_STRUCT, .inner = filter_members };
static const struct shape target_members[] = {
	{ .name = "Key", .type = SHAPE_STRING, .required = true, .min = 1, .max = 163 },
	{ .name = "Values", .type = SHAPE_LIST, .required = true, .max = 50, .inner = &text },
	{ .name = NULL },
};
static const struct shape target = { .name = "t", .type = SHAPE_STRUCT, .inner = target_members };
static const struct shape log_members[] = {
	{ .name = "CloudWatchLogGroupName", .type = SHAPE_STRING, .min = 1, .max = 512 },
	{ .name = "CloudWatchOutputEnabled", .type = SHAPE_BOOLEAN },
	{ .name = NULL },
};
static const struct shape notification_members[] = {
	{ .name = "NotificationArn", .type = SHAPE_STRING },
	{ .name = "NotificationEvents", .type = SHAPE_LIST, .inner = &text },
	{ .name = "NotificationType", .type = SHAPE_STRING, .allowed = notification_types },
	{ .name = NULL },
};
static const struct shape send_members[] = {
	{ .name = "InstanceIds", .type = SHAPE_LIST, .max = 50, .inner = &instance_id },
	{ .name = "Targets", .type = SHAPE_LIST, .max = 5, .inner = &target },
	{ .name = "DocumentName", .type = SHAPE_STRING, .required = true, .min = 3, .max = 128 },
	{ .name = "DocumentVersion", .type = SHAPE_STRING },
	{ .name = "DocumentHash", .type = SHAPE_STRING, .max = 256 },
	{ .name = "DocumentHashType", .type = SHAPE_STRING, .allowed = hash_types },
	{ .name = "TimeoutSeconds", .type = SHAPE_INTEGER, .min = 30, .max = 2592000 },
	{ .name = "Comment", .type = SHAPE_STRING, .max = 100 },
	{ .name = "Parameters", .type = SHAPE_MAP, .inner = &texts },
	{ .name = "OutputS3Region", .type = SHAPE_STRING, .min = 3, .max = 20 },
	{ .name = "OutputS3BucketName", .type = SHAPE_STRING, .min = 3, .max = 63 },
	{ .name = "OutputS3KeyPrefix", .type = SHAPE_STRING, .max = 500 },
	{ .name = "MaxConcurrency",
	  .type = SHAPE_STRING,
	  .min = 1,
	  .max = 7,
	  .check = targets_is_concurrency },
	{ .name = "MaxErrors",
	  .type = SHAPE_STRING,
	  .min = 1,
	  .max = 7,
	  .check = targets_is_errors },
	{ .name = "ServiceRoleArn", .type = SHAPE_STRING },
	{ .name = "NotificationConfig", .type = SHAPE_STRUCT, .inner = notification_members },
	{ .name = "CloudWatchOutputConfig", .type = SHAPE_STRUCT, .inner = log_members },
	{ .name = NULL },
};
static const struct shape list_members[] = {
	{ .name = "CommandId", .type = SHAPE_STRING, .min = 36, .max = 36 },
	{ .name = "InstanceId", .type = SHAPE_STRING, .check = shape_is_instance_id },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 1, .max = 50 },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = "Filters", .type = SHAPE_LIST, .min = 1, .max = 5, .inner = &filter },
	{ .name = NULL },
};
static const struct shape invocations_members[] = {
	{ .name = "CommandId", .type = SHAPE_STRING, .min = 36, .max = 36 },
	{ .name = "InstanceId", .type = SHAPE_STRING, .check = shape_is_instance_id },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 1, .max = 50 },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = "Filters", .type = SHAPE_LIST, .min = 1, .max = 5, .inner = &filter },
	{ .name = "Details", .type = SHAPE_BOOLEAN },
	{ .name = NULL },
};
static const struct shape result_members[] = {
	{ .name = "CommandId", .type = SHAPE_STRING, .required = true, .min = 36, .max = 36 },
	{ .name = "InstanceId",
	  .type = SHAPE_STRING,
	  .required = true,
	  .check = shape_is_instance_id },
	{ .name = "PluginName", .type = SHAPE_STRING, .min = 4 },
	{ .name = NULL },
};
static const struct shape cancel_members[] = {
	{ .name = "CommandId", .type = SHAPE_STRING, .required = true, .min = 36, .max = 36 },
	{ .name = "InstanceIds", .type = SHAPE_LIST, .max = 50, .inner = &instance_id },
	{ .name = NULL },
};
static const struct shape value = { .name = "value", .type = SHAPE_STRING, .min = 1 };
static const struct shape old_filter_members[] = {
	{ .name = "key", .type = SHAPE_STRING, .required = true, .allowed = node_filters },
	{ .name = "valueSet",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = 1,
	  .max = 100,
	  .inner = &value },
	{ .name = NULL },
};
static const struct shape old_filter = { .name = "f",
					 .type = SHAPE_STRUCT,
					 .inner = old_filter_members };
static const struct shape new_filter_members[] = {
	{ .name = "Key", .type = SHAPE_STRING, .required = true, .min = 1 },
	{ .name = "Values",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = 1,
	  .max = 100,
	  .inner = &value },
	{ .name = NULL },
};
static const struct shape new_filter = { .name = "f",
					 .type = SHAPE_STRUCT,
					 .inner = new_filter_members };
static const struct shape nodes_members[] = {
	{ .name = "InstanceInformationFilterList", .type = SHAPE_LIST, .inner = &old_filter },
	{ .name = "Filters", .type = SHAPE_LIST, .inner = &new_filter },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 5, .max = 50 },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = NULL },
};
const struct operation ssm_operator_operations[] = {
	{ "SendCommand", false, true, send_members, ssm_send_command },
	{ "ListCommands", false, true, list_members, ssm_list_commands },
	{ "ListCommandInvocations", false, true, invocations_members, ssm_list_invocations },
	{ "GetCommandInvocation", false, true, result_members, get_command_invocation },
	{ "CancelCommand", false, true, cancel_members, cancel_command },
	{ "DescribeInstanceInformation", false, true, nodes_members, ssm_describe_nodes },
	{ NULL, false, false, NULL, NULL },
};
