/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, invocations and nodes as the operator's client gets to see them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/ssm_operator.h"

#define STDOUT_MAX 24000
#define STDERR_MAX 8000
#define OUTPUT_MAX 2500
#define TRACE_MAX 2500
#define ONLINE_MS ((int64_t)15 * 60 * 1000)

static json_t *
seconds(int64_t unix_ms)
{
	return json_real((double)unix_ms / 1000.0);
}

/* The service counts characters, not bytes. */
static json_t *
cut(const char *s, size_t max_chars)
{
	size_t at = 0, chars = 0;

	if (!s)
		return json_string("");
	for (; s[at]; at++) {
		if (((unsigned char)s[at] & 0xC0) == 0x80)
			continue;
		if (chars++ == max_chars)
			break;
	}
	return json_stringn(s, at);
}

static json_t *
log_config(const struct command *cmd)
{
	return json_pack("{s:s, s:b}", "CloudWatchLogGroupName", cmd->log_group,
			 "CloudWatchOutputEnabled", cmd->log_enabled);
}

/* The service shows empty members where nothing was asked for. */
static json_t *
notification(const struct command *cmd)
{
	json_t *out = json_pack("{s:s, s:[], s:s}", "NotificationArn", "", "NotificationEvents",
				"NotificationType", "");

	if (cmd->notification)
		json_object_update(out, cmd->notification);
	return out;
}

static json_t *
instance_ids(const struct command *cmd)
{
	json_t *ids = json_array();

	for (size_t i = 0; i < cmd->inv_count && !json_array_size(cmd->targets); i++)
		json_array_append_new(ids, json_string(cmd->invs[i].node->id));
	return ids;
}

json_t *
view_command(const struct command *cmd)
{
	int done, errors, undelivered;
	const char *details;
	enum status s = command_status(cmd, &details);
	json_t *out =
		json_pack("{s:s, s:s, s:s, s:s, s:O, s:o, s:O, s:s, s:s, s:s, s:s, s:s, s:s}",
			  "CommandId", cmd->id, "DocumentName", cmd->document, "DocumentVersion",
			  cmd->version, "Comment", cmd->comment, "Parameters", cmd->parameters,
			  "InstanceIds", instance_ids(cmd), "Targets", cmd->targets, "Status",
			  status_name(s), "StatusDetails", details, "MaxConcurrency",
			  cmd->max_concurrency, "MaxErrors", cmd->max_errors, "OutputS3BucketName",
			  cmd->bucket, "OutputS3KeyPrefix", cmd->prefix);

	command_counts(cmd, &done, &errors, &undelivered);
	json_object_set_new(out, "ExpiresAfter", seconds(cmd->expires_ms));
	json_object_set_new(out, "RequestedDateTime", seconds(cmd->requested_ms));
	json_object_set_new(out, "TargetCount",
			    json_integer(
				    (json_int_t)(cmd->nobody ? cmd->would_be : cmd->inv_count)));
	json_object_set_new(out, "CompletedCount", json_integer(done));
	json_object_set_new(out, "ErrorCount", json_integer(errors));
	json_object_set_new(out, "DeliveryTimedOutCount", json_integer(undelivered));
	json_object_set_new(out, "ServiceRole", json_string(cmd->service_role));
	json_object_set_new(out, "NotificationConfig", notification(cmd));
	json_object_set_new(out, "CloudWatchOutputConfig", log_config(cmd));
	/* The control socket may queue with less than an operator could ask for. */
	json_object_set_new(out, "TimeoutSeconds",
			    json_integer(cmd->timeout_s < 30 ? 30 : cmd->timeout_s));
	json_object_set_new(out, "OutputS3Region", json_string(cmd->sb->set.region));
	return out;
}

static const char *
plugin_status(const struct plugin *p)
{
	return p->status == STATUS_CANCELLING ? "InProgress" : status_name(p->status);
}

static char *
stream_url(const struct command *cmd, const char *prefix, const char *stream)
{
	if (!*cmd->bucket || !prefix || !*prefix)
		return xstrdup("");
	return xasprintf("https://s3.%s.amazonaws.com/%s/%s/%s", cmd->sb->set.region, cmd->bucket,
			 prefix, stream);
}

static json_t *
view_plugin(const struct command *cmd, const struct plugin *p)
{
	autofree char *out_url = stream_url(cmd, p->prefix, "stdout");
	autofree char *err_url = stream_url(cmd, p->prefix, "stderr");
	json_t *out =
		json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:s}", "Name",
			  p->name, "Status", plugin_status(p), "StatusDetails", p->details,
			  "ResponseCode", (json_int_t)p->code, "ResponseStartDateTime",
			  seconds(p->start_ms), "ResponseFinishDateTime", seconds(p->end_ms),
			  "Output", cut(p->output, OUTPUT_MAX), "StandardOutputUrl", out_url,
			  "StandardErrorUrl", err_url, "OutputS3Region", cmd->sb->set.region,
			  "OutputS3BucketName", cmd->bucket, "OutputS3KeyPrefix",
			  p->prefix ? p->prefix : "");

	return out;
}

json_t *
view_invocation(const struct invocation *inv, bool details)
{
	const struct command *cmd = inv->cmd;
	json_t *plugins = json_array();
	json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:s}",
				"CommandId", cmd->id, "InstanceId", inv->node->id, "InstanceName",
				"", "Comment", cmd->comment, "DocumentName", cmd->document,
				"DocumentVersion", cmd->version, "RequestedDateTime",
				seconds(cmd->requested_ms), "Status", status_name(inv->status),
				"StatusDetails", inv->details, "StandardOutputUrl", "",
				"StandardErrorUrl", "", "ServiceRole", cmd->service_role);

	if (inv->trace)
		json_object_set_new(out, "TraceOutput", cut(inv->trace, TRACE_MAX));
	/* What the node has not got yet has no plugins. */
	for (size_t i = 0; details && inv->status != STATUS_PENDING && i < inv->plugin_count; i++)
		json_array_append_new(plugins, view_plugin(cmd, &inv->plugins[i]));
	json_object_set_new(out, "CommandPlugins", plugins);
	json_object_set_new(out, "NotificationConfig", notification(cmd));
	json_object_set_new(out, "CloudWatchOutputConfig", log_config(cmd));
	return out;
}

static void
add_times(json_t *out, const struct plugin *p)
{
	char start[TEXT_STAMP_SIZE] = "", end[TEXT_STAMP_SIZE] = "";
	autofree char *elapsed = xstrdup("");

	if (p && p->start_ms)
		text_iso8601_ms(p->start_ms, start);
	if (p && p->end_ms && p->status >= STATUS_SUCCESS)
		text_iso8601_ms(p->end_ms, end);
	if (*start && *end) {
		int64_t ms = p->end_ms - p->start_ms;

		free(elapsed);
		elapsed = ms % 1000
			? xasprintf("PT%lld.%03dS", (long long)(ms / 1000), (int)(ms % 1000))
			: xasprintf("PT%lldS", (long long)(ms / 1000));
	}
	json_object_set_new(out, "ExecutionStartDateTime", json_string(start));
	json_object_set_new(out, "ExecutionElapsedTime", json_string(elapsed));
	json_object_set_new(out, "ExecutionEndDateTime", json_string(end));
}

/* A cancelled or timed out invocation decides over its steps, not the other way round. */
static void
add_status(json_t *out, const struct invocation *inv, const struct plugin *p)
{
	bool own = p && p->status >= STATUS_SUCCESS;
	enum status s = own ? p->status : inv->status;

	json_object_set_new(out, "ResponseCode", json_integer(p ? p->code : -1));
	json_object_set_new(out, "Status", json_string(status_name(s)));
	json_object_set_new(out, "StatusDetails", json_string(own ? p->details : inv->details));
}

json_t *
view_result(const struct invocation *inv, const struct plugin *p)
{
	const struct command *cmd = inv->cmd;
	autofree char *out_url = stream_url(cmd, p ? p->prefix : NULL, "stdout");
	autofree char *err_url = stream_url(cmd, p ? p->prefix : NULL, "stderr");
	const char *err = p ? p->err : NULL;
	json_t *out =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "CommandId", cmd->id, "InstanceId",
			  inv->node->id, "Comment", cmd->comment, "DocumentName", cmd->document,
			  "DocumentVersion", cmd->version, "PluginName", p ? p->name : "");

	/* Why a document was refused is in no stream of a step. */
	if (inv->trace && (!err || !*err))
		err = inv->trace;
	add_status(out, inv, p);
	add_times(out, p);
	json_object_set_new(out, "StandardOutputContent", cut(p ? p->out : NULL, STDOUT_MAX));
	json_object_set_new(out, "StandardErrorContent", cut(err, STDERR_MAX));
	json_object_set_new(out, "StandardOutputUrl", json_string(out_url));
	json_object_set_new(out, "StandardErrorUrl", json_string(err_url));
	json_object_set_new(out, "CloudWatchOutputConfig", log_config(cmd));
	return out;
}

json_t *
view_node(const struct node *node, int64_t now_ms)
{
	static const char *const copied[] = { "AgentVersion",	 "PlatformType", "PlatformName",
					      "PlatformVersion", "IPAddress",	 "ComputerName" };
	bool online = now_ms - node->last_ping_ms < ONLINE_MS;
	bool managed = text_starts(node->id, "mi-");
	json_t *out = json_pack("{s:s, s:s, s:o, s:b, s:s, s:s, s:s}", "InstanceId", node->id,
				"PingStatus", online ? "Online" : "ConnectionLost",
				"LastPingDateTime", seconds(node->last_ping_ms), "IsLatestVersion",
				true, "ResourceType", managed ? "ManagedInstance" : "EC2Instance",
				"SourceId", node->id, "SourceType",
				managed ? "AWS::SSM::ManagedInstance" : "AWS::EC2::Instance");

	for (size_t i = 0; i < NELEMS(copied); i++) {
		json_t *v = json_object_get(node->info, copied[i]);

		if (v)
			json_object_set(out, copied[i], v);
	}
	if (managed)
		json_object_set_new(out, "RegistrationDate", seconds(node->registered_ms));
	return out;
}
