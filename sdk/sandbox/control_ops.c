/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the control socket: queue, cancel, messages, faults, credentials, switches. */
#include "sdk/sandbox/control_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/channel.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/faults.h"
#include "sdk/sandbox/files.h"
#include "sdk/sandbox/journal.h"
#include "sdk/sandbox/server.h"
#include "sdk/sandbox/sessions.h"
#include "sdk/sandbox/shape.h"

#define TIMEOUT_MS 60000
#define QUEUE_MAX 200000
#define YEAR_MS ((int64_t)365 * 86400 * 1000)

typedef json_t *op_fn(struct sandbox *sb, struct client *c, const json_t *r, struct err *e);

static json_t *
done(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static int64_t
bounded(const json_t *r, const char *key, int64_t preset, int64_t min, int64_t max)
{
	int64_t n = json_int(r, key, preset);

	return n < min ? min : n > max ? max : n;
}

static struct node *
node_of(struct sandbox *sb, const json_t *r, struct err *e)
{
	const char *id = json_str(r, "instance", sb->set.instance);

	if (shape_is_instance_id(id))
		return store_node(sb, id, true);
	err_set(e, -EINVAL, "'%s' is not the id of an instance", id);
	return NULL;
}

/* ---- commands ---- */

/* The document: by name, or given whole as "content". */
static int
fill_document(struct sandbox *sb, const json_t *r, struct command_spec *spec, struct err *e)
{
	const char *name = json_str(r, "document", "AWS-RunShellScript");
	const struct document_version *version;
	const struct document *doc;

	spec->document = name;
	spec->content = json_object_get(r, "content");
	if (spec->content)
		return 0;
	doc = documents_find(sb->documents, name, e);
	if (!doc)
		return -ENOENT;
	version = document_version(doc, spec->version);
	if (!version)
		return err_set(e, -ENOENT, "document %s has no version %s", name, spec->version);
	spec->content = version->content;
	return 0;
}

/* As the operator's client would have given them: lists of strings. */
static json_t *
operator_form(const json_t *parameters)
{
	json_t *out = json_object(), *value, *item;
	const char *name;
	size_t i;

	json_object_foreach((json_t *)parameters, name, value) {
		json_t *list = json_array();

		if (!json_is_array(value))
			json_array_append(list, value);
		else
			json_array_extend(list, value);
		json_array_foreach(list, i, item) {
			autofree char *text = json_is_string(item) ? NULL : json_text(item);

			if (text)
				json_array_set_new(list, i, json_string(text));
		}
		json_object_set_new(out, name, list);
	}
	return out;
}

static json_t *
payload_parameters(const struct command_spec *spec, const json_t *r, struct err *e)
{
	if (json_bool(r, "check", false))
		return params_for_node(spec->content, spec->parameters, e);
	return params_unchecked(spec->content, json_object_get(r, "parameters"));
}

static json_t *
queue_commands(struct sandbox *sb, const struct command_spec *spec, int64_t count)
{
	json_t *ids = json_array();

	for (int64_t i = 0; i < count; i++)
		json_array_append_new(ids, json_string(command_new(sb, spec)->id));
	return ids;
}

static json_t *
op_queue(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	struct node *node = node_of(sb, r, e);
	struct command_spec spec = { .version = json_str(r, "version", "$DEFAULT"),
				     .comment = json_str(r, "comment", ""),
				     .timeout_s = bounded(r, "timeout_seconds", 3600, 1, 2592000),
				     .bucket = json_str(r, "bucket", ""),
				     .prefix = json_str(r, "prefix", ""),
				     .nodes = &node,
				     .node_count = 1 };
	int64_t count = json_int(r, "count", 1), wait_ms = json_int(r, "wait_ms", 0);
	autojson json_t *given = operator_form(json_object_get(r, "parameters"));
	autojson json_t *parameters = NULL, *ids = NULL;

	spec.parameters = given;
	if (!node || fill_document(sb, r, &spec, e) < 0)
		return NULL;
	parameters = payload_parameters(&spec, r, e);
	if (!parameters)
		return NULL;
	if (count < 1 || count > QUEUE_MAX) {
		err_set(e, -EINVAL, "count is not in 1..%d", QUEUE_MAX);
		return NULL;
	}
	spec.payload_parameters = parameters;
	ids = queue_commands(sb, &spec, count);
	if (!wait_ms)
		return json_pack("{s:b, s:O}", "ok", 1, "commands", ids);
	return wait_begin(sb, c, ids, r, wait_ms, e);
}

static json_t *
op_wait(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	autojson json_t *one = NULL;
	json_t *ids = json_object_get(r, "commands");

	if (!ids && json_object_get(r, "command"))
		ids = one = json_pack("[O]", json_object_get(r, "command"));
	return wait_begin(sb, c, ids, r, json_int(r, "timeout_ms", TIMEOUT_MS), e);
}

static struct command *
command_of(struct sandbox *sb, const json_t *r, struct err *e)
{
	const char *id = json_str(r, "command", "");
	struct command *cmd = map_get(sb->store->commands, id);

	if (!cmd)
		err_set(e, -ENOENT, "no command '%s'", id);
	return cmd;
}

static struct invocation *
invocation_of(struct sandbox *sb, const json_t *r, struct err *e)
{
	struct command *cmd = command_of(sb, r, e);
	const char *instance = json_str(r, "instance", NULL);
	struct invocation *inv;

	if (!cmd)
		return NULL;
	inv = instance ? command_invocation(cmd, instance) : cmd->inv_count ? &cmd->invs[0] : NULL;
	if (!inv)
		err_set(e, -ENOENT, "command %s was not sent to %s", cmd->id,
			instance ? instance : "anybody");
	return inv;
}

static json_t *
op_cancel(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	struct command *cmd = command_of(sb, r, e);

	(void)c;
	if (!cmd)
		return NULL;
	command_cancel(cmd, NULL);
	return done();
}

static json_t *
shown_plugins(const struct invocation *inv)
{
	json_t *list = json_array();

	for (size_t i = 0; i < inv->plugin_count; i++) {
		const struct plugin *p = &inv->plugins[i];

		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s}", "name",
				  p->name, "action", p->action, "status", status_name(p->status),
				  "details", p->details, "code", (json_int_t)p->code, "start_ms",
				  (json_int_t)p->start_ms, "end_ms", (json_int_t)p->end_ms,
				  "stdout", p->out ? p->out : "", "stderr", p->err ? p->err : "",
				  "output", p->output ? p->output : ""));
	}
	return list;
}

static json_t *
op_invocation(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	const struct invocation *inv = invocation_of(sb, r, e);
	json_t *out;

	(void)c;
	if (!inv)
		return NULL;
	out = wait_timings(inv);
	json_object_set_new(out, "ok", json_true());
	json_object_set_new(out, "message", json_string(inv->msg ? inv->msg->id : ""));
	json_object_set_new(out, "trace", json_string(inv->trace ? inv->trace : ""));
	json_object_set_new(out, "plugins", shown_plugins(inv));
	if (inv->cancel)
		json_object_set_new(out, "cancel_message", json_string(inv->cancel->id));
	return out;
}

/* ---- messages ---- */

static json_t *
op_redeliver(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	struct invocation *inv = invocation_of(sb, r, e);
	struct message *msg;

	(void)c;
	if (!inv)
		return NULL;
	msg = json_bool(r, "cancel", false) ? inv->cancel : inv->msg;
	if (!msg) {
		err_set(e, -ENOENT, "the command was not cancelled, or waits for others to end");
		return NULL;
	}
	if (!msg->payload) {
		err_set(e, -ENOENT, "the payload of %s is not kept any more", msg->id);
		return NULL;
	}
	message_queue(msg);
	return done();
}

/* Any message, to try what a node does with it. */
static json_t *
op_message(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	struct node *node = node_of(sb, r, e);
	const json_t *payload = json_object_get(r, "payload");
	autofree char *text = NULL, *id = NULL, *topic = NULL;
	char uuid[RAND_UUID_SIZE];
	struct message *msg;

	(void)c;
	if (!node)
		return NULL;
	rand_uuid4(uuid);
	id = json_object_get(r, "id") ? xstrdup(json_str(r, "id", ""))
				      : xasprintf("aws.ssm.%s.%s", uuid, node->id);
	topic = json_object_get(r, "topic")
		? xstrdup(json_str(r, "topic", ""))
		: xasprintf("aws.ssm.sendCommand.%s.%s", sb->set.region, node->id);
	text = json_is_string(payload) ? xstrdup(json_string_value(payload))
		: payload	       ? json_text(payload)
				       : xstrdup("");
	if (map_get(sb->store->messages, id)) {
		err_set(e, -EEXIST, "message '%s' is there already", id);
		return NULL;
	}
	msg = message_new(sb, node, id, topic, text);
	if (json_object_get(r, "destination")) {
		free(msg->destination);
		msg->destination = xstrdup(json_str(r, "destination", ""));
	}
	message_queue(msg);
	return json_pack("{s:b, s:s}", "ok", 1, "message", id);
}

static json_t *
op_message_state(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	static const char *const states[] = { "queued", "in-flight", "acknowledged", "ended" };
	const struct message *msg = map_get(sb->store->messages, json_str(r, "message", ""));

	(void)c;
	if (!msg) {
		err_set(e, -ENOENT, "no message '%s'", json_str(r, "message", ""));
		return NULL;
	}
	return json_pack("{s:b, s:s, s:s, s:I, s:I}", "ok", 1, "message", msg->id, "state",
			 states[msg->state], "deliveries", (json_int_t)msg->deliveries, "replies",
			 (json_int_t)map_len(msg->reply_ids));
}

static json_t *
op_channel(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	struct node *node = node_of(sb, r, e);

	(void)c;
	return node ? channel_op(node, r, e) : NULL;
}

static json_t *
op_session(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	(void)c;
	return session_op(sb, r, e);
}

/* ---- faults and switches ---- */

static json_t *
op_fault(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	int id = faults_add(sb->faults, r, e);

	(void)c;
	return id < 0 ? NULL : json_pack("{s:b, s:i}", "ok", 1, "id", id);
}

static json_t *
op_faults(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	(void)c;
	(void)r;
	(void)e;
	return json_pack("{s:b, s:o}", "ok", 1, "faults", faults_list(sb->faults));
}

static json_t *
op_clear_faults(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	int n = faults_clear(sb->faults, (unsigned)json_int(r, "id", 0));

	(void)c;
	(void)e;
	return json_pack("{s:b, s:i}", "ok", 1, "cleared", n);
}

static json_t *
op_expire(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	int64_t at = sandbox_now_ms(sb) + bounded(r, "in_ms", 0, -YEAR_MS, YEAR_MS);
	int n = keys_expire(sb->keys, json_str(r, "source", NULL), at);

	(void)c;
	(void)e;
	return json_pack("{s:b, s:i}", "ok", 1, "expired", n);
}

static json_t *
op_rotate(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	const char *source = json_str(r, "source", "imds");
	const struct key *old = keys_current(sb->keys, source);
	const struct key *key;

	(void)c;
	if (!old) {
		err_set(e, -ENOENT, "no credentials of source '%s'", source);
		return NULL;
	}
	sb->set.key_life_ms = bounded(r, "life_ms", sb->set.key_life_ms, 1000, YEAR_MS);
	key = keys_issue(sb->keys, source, old->side, sandbox_now_ms(sb),
			 old->expires_ms ? sb->set.key_life_ms : 0);
	files_write_credentials(sb, e);
	return json_pack("{s:b, s:s}", "ok", 1, "id", key->id);
}

static json_t *
op_keys(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	(void)c;
	(void)r;
	(void)e;
	return json_pack("{s:b, s:o}", "ok", 1, "keys", keys_list(sb->keys));
}

static const char *const imds_modes[] = { "both", "v2-required", "v1-only", "off" };

int
control_imds_mode(const char *name)
{
	for (size_t i = 0; i < NELEMS(imds_modes); i++)
		if (strcmp(imds_modes[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

static json_t *
op_imds(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	int mode = control_imds_mode(json_str(r, "mode", imds_modes[sb->set.imds]));

	(void)c;
	if (mode < 0) {
		err_set(e, -EINVAL, "IMDS mode '%s' is none of both, v2-required, v1-only, off",
			json_str(r, "mode", ""));
		return NULL;
	}
	sb->set.imds = (enum imds_mode)mode;
	sb->set.imds_token_status = bounded(r, "token_status", sb->set.imds_token_status, 0, 599);
	sb->set.imds_no_role = !json_bool(r, "role", !sb->set.imds_no_role);
	if (json_bool(r, "forget_tokens", false)) {
		map_free(sb->imds_tokens);
		sb->imds_tokens = map_new(free);
	}
	return done();
}

static json_t *
op_ecs(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	const json_t *token = json_object_get(r, "token");

	(void)c;
	(void)e;
	secret_free(sb->set.ecs_token);
	sb->set.ecs_token = xstrdup(json_string_value(token));
	return done();
}

static const char *const transports[] = { "auto", "ec2messages", "ssmmessages" };

int
control_transport(const char *name)
{
	for (size_t i = 0; i < NELEMS(transports); i++)
		if (strcmp(transports[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

static void
set_run_as(struct sandbox *sb, const char *user)
{
	if (!user)
		return;
	free(sb->set.run_as);
	sb->set.run_as = xstrdup(user);
}

static json_t *
op_set(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	int transport =
		control_transport(json_str(r, "transport", transports[sb->set.transport]));

	(void)c;
	if (transport < 0) {
		err_set(e, -EINVAL, "transport '%s' is none of auto, ec2messages, ssmmessages",
			json_str(r, "transport", ""));
		return NULL;
	}
	sb->set.transport = (enum transport)transport;
	sb->set.skew_ms = bounded(r, "skew_ms", sb->set.skew_ms, -YEAR_MS, YEAR_MS);
	sb->set.poll_ms = bounded(r, "poll_ms", sb->set.poll_ms, 0, YEAR_MS);
	sb->set.max_messages = bounded(r, "max_messages", sb->set.max_messages, 1, 1000);
	sb->set.max_skew_ms = bounded(r, "max_skew_ms", sb->set.max_skew_ms, 0, YEAR_MS);
	sb->set.max_pending = bounded(r, "max_pending", sb->set.max_pending, 0, QUEUE_MAX);
	sb->set.minute_ms = bounded(r, "minute_ms", sb->set.minute_ms, 1, 60000);
	sb->set.unregistered = json_bool(r, "unregistered", sb->set.unregistered);
	set_run_as(sb, json_str(r, "run_as", NULL));
	return json_pack("{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s}", "ok", 1, "run_as",
			 sb->set.run_as ? sb->set.run_as : "", "skew_ms",
			 (json_int_t)sb->set.skew_ms, "poll_ms", (json_int_t)sb->set.poll_ms,
			 "max_messages", (json_int_t)sb->set.max_messages, "max_skew_ms",
			 (json_int_t)sb->set.max_skew_ms, "max_pending",
			 (json_int_t)sb->set.max_pending, "minute_ms",
			 (json_int_t)sb->set.minute_ms, "unregistered", sb->set.unregistered,
			 "transport", transports[transport]);
}

/* ---- the sandbox itself ---- */

static json_t *
status_counts(struct sandbox *sb)
{
	json_t *out = json_object();

	for (size_t i = 0; i < sb->store->order_count; i++) {
		const struct command *cmd = sb->store->order[i];

		for (size_t k = 0; k < cmd->inv_count; k++) {
			const char *name = status_name(cmd->invs[k].status);

			json_object_set_new(out, name, json_integer(json_int(out, name, 0) + 1));
		}
	}
	return out;
}

static json_t *
shown_nodes(struct sandbox *sb)
{
	json_t *list = json_array();
	size_t iter = 0;
	const char *id;
	void *value;

	while (map_next(sb->store->nodes, &iter, &id, &value)) {
		const struct node *node = value;

		json_array_append_new(list,
				      json_pack("{s:s, s:b, s:I, s:I, s:b}", "instance", id,
						"registered", node->info != NULL, "pings",
						(json_int_t)node->pings, "polls",
						(json_int_t)node->polls, "polling",
						!list_empty(&node->parked)));
	}
	return list;
}

static int64_t
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static json_t *
op_status(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	json_t *out = files_ready_line(sb);

	(void)c;
	(void)r;
	(void)e;
	json_object_set_new(out, "ok", json_true());
	json_object_set_new(out, "requests", json_integer(server_requests(sb->server)));
	json_object_set_new(out, "invocations", status_counts(sb));
	json_object_set_new(out, "nodes", shown_nodes(sb));
	json_object_set_new(out, "cpu_us", json_integer(cpu_us()));
	json_object_set_new(out, "mono_us", json_integer(sandbox_mono_us()));
	return out;
}

/* After it the file holds every request that was answered before this line came. */
static json_t *
op_journal(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	autofree char *path = files_path(sb, "journal.jsonl");

	(void)c;
	if (json_bool(r, "clear", false) && journal_clear(sb->journal, e) < 0)
		return NULL;
	journal_flush(sb->journal);
	return json_pack("{s:b, s:s, s:I}", "ok", 1, "path", path, "count",
			 (json_int_t)journal_count(sb->journal));
}

static json_t *
op_stop(struct sandbox *sb, struct client *c, const json_t *r, struct err *e)
{
	(void)c;
	(void)r;
	(void)e;
	sb->stop = true;
	return done();
}

static const struct {
	const char *name;
	op_fn *run;
} ops[] = {
	{ "queue", op_queue },
	{ "wait", op_wait },
	{ "wait-node", wait_for_node },
	{ "cancel", op_cancel },
	{ "invocation", op_invocation },
	{ "redeliver", op_redeliver },
	{ "message", op_message },
	{ "message-state", op_message_state },
	{ "channel", op_channel },
	{ "session", op_session },
	{ "fault", op_fault },
	{ "faults", op_faults },
	{ "clear-faults", op_clear_faults },
	{ "expire", op_expire },
	{ "rotate", op_rotate },
	{ "keys", op_keys },
	{ "imds", op_imds },
	{ "ecs", op_ecs },
	{ "set", op_set },
	{ "status", op_status },
	{ "journal", op_journal },
	{ "stop", op_stop },
};

json_t *
control_run(struct sandbox *sb, struct client *c, const json_t *request, struct err *e)
{
	const char *name = json_str(request, "op", "");

	for (size_t i = 0; i < NELEMS(ops); i++)
		if (strcmp(ops[i].name, name) == 0)
			return ops[i].run(sb, c, request, e);
	err_set(e, -EINVAL, "no operation '%s'; ssm-sandbox(1) names them", name);
	return NULL;
}
