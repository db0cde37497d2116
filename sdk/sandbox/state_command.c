/* SPDX-License-Identifier: Apache-2.0 */
/* A command, its invocations, their steps and messages as one JSON value, and back. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "sdk/sandbox/shape.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/targets.h"

#define FORMAT 1
#define UUID_CHARS (RAND_UUID_SIZE - 1)

/* Members that are text or a number, by their place. */
struct member {
	const char *name;
	size_t at;
};

#define COMMAND(name)                                 \
	{                                             \
#name, offsetof(struct command, name) \
	}
#define PLUGIN(name)                                 \
	{                                            \
#name, offsetof(struct plugin, name) \
	}

static const struct member command_texts[] = {
	COMMAND(document),     COMMAND(version),	 COMMAND(comment),
	COMMAND(bucket),       COMMAND(prefix),		 COMMAND(log_group),
	COMMAND(service_role), COMMAND(max_concurrency), COMMAND(max_errors),
};
static const struct member command_numbers[] = {
	COMMAND(timeout_s),
	COMMAND(requested_ms),
	COMMAND(expires_ms),
	COMMAND(execution_s),
};
static const struct member plugin_texts[] = {
	PLUGIN(name),	PLUGIN(action), PLUGIN(out),	PLUGIN(err),
	PLUGIN(output), PLUGIN(bucket), PLUGIN(prefix),
};
static const struct member plugin_numbers[] = { PLUGIN(code), PLUGIN(start_ms), PLUGIN(end_ms) };

static void
put_texts(json_t *out, const void *from, const struct member *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *text;

		memcpy(&text, (const char *)from + m[i].at, sizeof(text));
		if (text)
			json_object_set_new(out, m[i].name, json_string(text));
	}
}

static void
put_numbers(json_t *out, const void *from, const struct member *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t number;

		memcpy(&number, (const char *)from + m[i].at, sizeof(number));
		json_object_set_new(out, m[i].name, json_integer(number));
	}
}

static void
get_texts(const json_t *in, void *to, const struct member *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *text = xstrdup(json_str(in, m[i].name, NULL));

		memcpy((char *)to + m[i].at, &text, sizeof(text));
	}
}

static void
get_numbers(const json_t *in, void *to, const struct member *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t number = json_int(in, m[i].name, 0);

		memcpy((char *)to + m[i].at, &number, sizeof(number));
	}
}

/* ---- out ---- */

static const char *const message_states[] = { "queued", "in-flight", "acknowledged", "ended",
					      NULL };

static json_t *
made_message(const struct message *msg)
{
	json_t *out, *replies = json_array();
	const char *id;
	size_t iter = 0;
	void *ignored;

	while (map_next(msg->reply_ids, &iter, &id, &ignored))
		json_array_append_new(replies, json_string(id));
	out = json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "id", msg->id, "topic", msg->topic,
			"state", message_states[msg->state], "created_ms",
			(json_int_t)msg->created_ms, "deliveries", (json_int_t)msg->deliveries,
			"replies", replies);
	/* What has ended is never delivered again. */
	if (msg->state != MESSAGE_ENDED && msg->payload)
		json_object_set_new(out, "payload", json_string(msg->payload));
	return out;
}

static json_t *
made_plugin(const struct plugin *p)
{
	json_t *out =
		json_pack("{s:s, s:s}", "status", status_name(p->status), "details", p->details);

	put_texts(out, p, plugin_texts, NELEMS(plugin_texts));
	put_numbers(out, p, plugin_numbers, NELEMS(plugin_numbers));
	return out;
}

static json_t *
made_invocation(const struct invocation *inv)
{
	json_t *plugins = json_array(), *stages = json_array();
	json_t *out = json_pack("{s:s, s:s, s:s, s:s*, s:b, s:I, s:I, s:I, s:o, s:o}", "instance",
				inv->node->id, "status", status_name(inv->status), "details",
				inv->details, "trace", inv->trace, "cancel_asked",
				inv->cancel_asked, "expires_ms", (json_int_t)inv->expires_ms,
				"replies", (json_int_t)inv->replies, "replies_after_final",
				(json_int_t)inv->replies_after_final, "plugins", plugins, "stages",
				stages);

	for (size_t i = 0; i < inv->plugin_count; i++)
		json_array_append_new(plugins, made_plugin(&inv->plugins[i]));
	for (size_t i = 0; i < STAGES; i++)
		json_array_append_new(stages, json_integer(inv->stage_us[i]));
	if (inv->msg)
		json_object_set_new(out, "message", made_message(inv->msg));
	if (inv->cancel)
		json_object_set_new(out, "cancel", made_message(inv->cancel));
	return out;
}

json_t *
state_command_make(const struct command *cmd)
{
	json_t *invocations = json_array();
	json_t *out = json_pack("{s:i, s:s, s:I, s:O, s:O, s:O*, s:b, s:b, s:s*, s:I, s:s*, s:o}",
				"format", FORMAT, "id", cmd->id, "seq", (json_int_t)cmd->seq,
				"parameters", cmd->parameters, "targets", cmd->targets,
				"notification", cmd->notification, "log_enabled", cmd->log_enabled,
				"cancel_asked", cmd->cancel_asked, "nobody", cmd->nobody,
				"would_be", (json_int_t)cmd->would_be, "payload", cmd->payload,
				"invocations", invocations);

	put_texts(out, cmd, command_texts, NELEMS(command_texts));
	put_numbers(out, cmd, command_numbers, NELEMS(command_numbers));
	for (size_t i = 0; i < cmd->inv_count; i++)
		json_array_append_new(invocations, made_invocation(&cmd->invs[i]));
	return out;
}

/* ---- in: shapes ---- */

static bool
is_uuid(const char *s)
{
	return strlen(s) == UUID_CHARS && strspn(s, "0123456789abcdef-") == UUID_CHARS;
}

static const char *const statuses[] = { "Pending", "InProgress", "Cancelling", "Success",
					"Failed",  "TimedOut",	 "Cancelled",  NULL };
static const char *const nobodies[] = { "NoInstancesInTag", "RateExceeded", NULL };

#define TEXT(member, needed)                                               \
	{                                                                  \
		.name = member, .type = SHAPE_STRING, .required = (needed) \
	}
/* What is computed with them stays within 64 bits. */
#define NUMBER_MAX (INT64_C(1) << 53)
#define SECONDS_MAX (INT64_C(1) << 32)
#define NUMBER(member)                                                                     \
	{                                                                                  \
		.name = member, .type = SHAPE_INTEGER, .required = true, .max = NUMBER_MAX \
	}
#define SECONDS(member)                                                                     \
	{                                                                                   \
		.name = member, .type = SHAPE_INTEGER, .required = true, .max = SECONDS_MAX \
	}
#define FLAG(member)                                                    \
	{                                                               \
		.name = member, .type = SHAPE_BOOLEAN, .required = true \
	}
#define STATUS                                                                                \
	{                                                                                     \
		.name = "status", .type = SHAPE_STRING, .required = true, .allowed = statuses \
	}
#define DETAILS                                                                      \
	{                                                                            \
		.name = "details", .type = SHAPE_STRING, .required = true, .max = 23 \
	}

static const struct shape text = TEXT("text", false);
static const struct shape texts = { .name = "texts", .type = SHAPE_LIST, .inner = &text };
static const struct shape stage = NUMBER("stage");
static const struct shape message_members[] = {
	{ .name = "id", .type = SHAPE_STRING, .required = true, .min = 1 },
	TEXT("topic", true),
	{ .name = "state", .type = SHAPE_STRING, .required = true, .allowed = message_states },
	NUMBER("created_ms"),
	NUMBER("deliveries"),
	{ .name = "replies", .type = SHAPE_LIST, .required = true, .inner = &text },
	TEXT("payload", false),
	{ .name = NULL },
};
static const struct shape plugin_members[] = {
	STATUS,
	DETAILS,
	TEXT("name", true),
	TEXT("action", true),
	TEXT("out", false),
	TEXT("err", false),
	TEXT("output", false),
	TEXT("bucket", false),
	TEXT("prefix", false),
	{ .name = "code", .type = SHAPE_INTEGER, .required = true, .min = INT32_MIN },
	NUMBER("start_ms"),
	NUMBER("end_ms"),
	{ .name = NULL },
};
static const struct shape plugin = { .name = "p", .type = SHAPE_STRUCT, .inner = plugin_members };
static const struct shape invocation_members[] = {
	{ .name = "instance",
	  .type = SHAPE_STRING,
	  .required = true,
	  .check = shape_is_instance_id },
	STATUS,
	DETAILS,
	TEXT("trace", false),
	FLAG("cancel_asked"),
	NUMBER("expires_ms"),
	NUMBER("replies"),
	NUMBER("replies_after_final"),
	{ .name = "plugins", .type = SHAPE_LIST, .required = true, .inner = &plugin },
	{ .name = "stages",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = STAGES,
	  .max = STAGES,
	  .inner = &stage },
	{ .name = "message", .type = SHAPE_STRUCT, .inner = message_members },
	{ .name = "cancel", .type = SHAPE_STRUCT, .inner = message_members },
	{ .name = NULL },
};
static const struct shape invocation = { .name = "i",
					 .type = SHAPE_STRUCT,
					 .inner = invocation_members };
static const struct shape target_members[] = {
	TEXT("Key", true),
	{ .name = "Values", .type = SHAPE_LIST, .required = true, .inner = &text },
	{ .name = NULL },
};
static const struct shape target = { .name = "t", .type = SHAPE_STRUCT, .inner = target_members };
static const struct shape notification_members[] = {
	TEXT("NotificationArn", false),
	{ .name = "NotificationEvents", .type = SHAPE_LIST, .inner = &text },
	TEXT("NotificationType", false),
	{ .name = NULL },
};
static const struct shape command_members[] = {
	{ .name = "format", .type = SHAPE_INTEGER, .required = true, .min = FORMAT, .max = FORMAT },
	{ .name = "id", .type = SHAPE_STRING, .required = true, .check = is_uuid },
	NUMBER("seq"),
	TEXT("document", true),
	TEXT("version", true),
	TEXT("comment", true),
	TEXT("bucket", true),
	TEXT("prefix", true),
	TEXT("log_group", true),
	TEXT("service_role", true),
	{ .name = "max_concurrency",
	  .type = SHAPE_STRING,
	  .required = true,
	  .check = targets_is_concurrency },
	{ .name = "max_errors",
	  .type = SHAPE_STRING,
	  .required = true,
	  .check = targets_is_errors },
	SECONDS("timeout_s"),
	NUMBER("requested_ms"),
	NUMBER("expires_ms"),
	SECONDS("execution_s"),
	{ .name = "parameters", .type = SHAPE_MAP, .required = true, .inner = &texts },
	{ .name = "targets", .type = SHAPE_LIST, .required = true, .inner = &target },
	{ .name = "notification", .type = SHAPE_STRUCT, .inner = notification_members },
	FLAG("log_enabled"),
	FLAG("cancel_asked"),
	{ .name = "nobody", .type = SHAPE_STRING, .allowed = nobodies },
	NUMBER("would_be"),
	TEXT("payload", false),
	{ .name = "invocations", .type = SHAPE_LIST, .required = true, .inner = &invocation },
	{ .name = NULL },
};

/* ---- in ---- */

static int
place_of(const char *word, const char *const *words)
{
	int i = 0;

	while (words[i] && strcmp(words[i], word) != 0)
		i++;
	return i;
}

static enum status
status_of(const json_t *in)
{
	return (enum status)place_of(json_str(in, "status", ""), statuses);
}

/* Also ids that two invocations, or two files, claim: the second would take the first one's place.
 */
static int
take_message(struct invocation *inv, const json_t *in, bool cancel, struct err *e)
{
	struct sandbox *sb = inv->cmd->sb;
	const char *id = json_str(in, "id", ""), *payload = json_str(in, "payload", NULL);
	enum message_state state =
		(enum message_state)place_of(json_str(in, "state", ""), message_states);
	const json_t *reply;
	struct message *msg;
	size_t i;

	if (!in)
		return 0;
	if (map_get(sb->store->messages, id))
		return err_set(e, -EINVAL, "message '%.100s' is there twice", id);
	if (!payload && state != MESSAGE_ENDED)
		return err_set(e, -EINVAL, "message '%.100s' has no payload", id);
	msg = message_new(sb, inv->node, id, json_str(in, "topic", ""), payload);
	msg->inv = inv;
	msg->cancel = cancel;
	msg->state = state;
	msg->created_ms = json_int(in, "created_ms", 0);
	msg->deliveries = json_int(in, "deliveries", 0);
	json_array_foreach(json_object_get(in, "replies"), i, reply)
		map_set(msg->reply_ids, json_string_value(reply), msg);
	*(cancel ? &inv->cancel : &inv->msg) = msg;
	return 0;
}

static void
take_plugins(struct invocation *inv, const json_t *list)
{
	const json_t *in;
	size_t i;

	inv->plugins = xcalloc(json_array_size(list) + 1, sizeof(*inv->plugins));
	json_array_foreach(list, i, in) {
		struct plugin *p = &inv->plugins[inv->plugin_count++];

		p->status = status_of(in);
		snprintf(p->details, sizeof(p->details), "%s", json_str(in, "details", ""));
		get_texts(in, p, plugin_texts, NELEMS(plugin_texts));
		get_numbers(in, p, plugin_numbers, NELEMS(plugin_numbers));
	}
}

static int
take_invocation(struct command *cmd, const json_t *in, struct err *e)
{
	struct invocation *inv = &cmd->invs[cmd->inv_count++];
	const json_t *stages = json_object_get(in, "stages");
	int err;

	invocation_init(inv, cmd, store_node(cmd->sb, json_str(in, "instance", ""), true));
	inv->status = status_of(in);
	snprintf(inv->details, sizeof(inv->details), "%s", json_str(in, "details", ""));
	inv->trace = xstrdup(json_str(in, "trace", NULL));
	inv->cancel_asked = json_bool(in, "cancel_asked", false);
	inv->expires_ms = json_int(in, "expires_ms", 0);
	inv->replies = json_int(in, "replies", 0);
	inv->replies_after_final = json_int(in, "replies_after_final", 0);
	for (size_t i = 0; i < STAGES; i++)
		inv->stage_us[i] = json_integer_value(json_array_get(stages, i));
	take_plugins(inv, json_object_get(in, "plugins"));
	err = take_message(inv, json_object_get(in, "message"), false, e);
	if (!err)
		err = take_message(inv, json_object_get(in, "cancel"), true, e);
	/* It may have been on its way once more. */
	if (inv->status >= STATUS_SUCCESS && inv->msg)
		inv->msg->state = MESSAGE_ENDED;
	if (!err && inv->cancel && !inv->msg)
		err = err_set(e, -EINVAL, "an invocation was cancelled without a message");
	return err;
}

static int
fill(struct command *cmd, const json_t *in, struct err *e)
{
	const json_t *list = json_object_get(in, "invocations"), *one;
	const char *nobody = json_str(in, "nobody", NULL);
	size_t i;

	snprintf(cmd->id, sizeof(cmd->id), "%s", json_str(in, "id", ""));
	get_texts(in, cmd, command_texts, NELEMS(command_texts));
	get_numbers(in, cmd, command_numbers, NELEMS(command_numbers));
	cmd->parameters = json_incref(json_object_get(in, "parameters"));
	cmd->targets = json_incref(json_object_get(in, "targets"));
	cmd->notification = json_incref(json_object_get(in, "notification"));
	cmd->log_enabled = json_bool(in, "log_enabled", false);
	cmd->cancel_asked = json_bool(in, "cancel_asked", false);
	cmd->nobody = nobody ? nobodies[place_of(nobody, nobodies)] : NULL;
	cmd->would_be = (size_t)json_int(in, "would_be", 0);
	cmd->payload = xstrdup(json_str(in, "payload", NULL));
	cmd->invs = xcalloc(json_array_size(list) + 1, sizeof(*cmd->invs));
	json_array_foreach(list, i, one) {
		int err = take_invocation(cmd, one, e);

		if (err)
			return err;
	}
	return 0;
}

int
state_command_take(struct sandbox *sb, const json_t *in, const char *id, struct err *e)
{
	struct shape_error why;
	struct command *cmd;
	int err;

	if (shape_check(command_members, in, &why) < 0)
		return err_set(e, -EINVAL, "%s", why.text);
	if (strcmp(json_str(in, "id", ""), id) != 0)
		return err_set(e, -EINVAL, "it is command %s", json_str(in, "id", ""));
	cmd = command_blank(sb);
	err = fill(cmd, in, e);
	/* Messages of what is refused are in the store, and go with it: the sandbox does not start.
	 */
	command_keep(cmd);
	if (!err)
		err = command_resume(cmd, e);
	return err;
}
