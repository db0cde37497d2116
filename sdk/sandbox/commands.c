/* SPDX-License-Identifier: Apache-2.0 */
/* Commands and invocations: from the operator's request to the final status. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/control.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/store.h"
#include "sdk/sandbox/targets.h"

#define DEFAULT_EXECUTION_S 3600

static const char *const status_names[] = { "Pending", "InProgress", "Cancelling", "Success",
					    "Failed",  "TimedOut",   "Cancelled" };

const char *
status_name(enum status s)
{
	return status_names[s];
}

static void
free_plugin(struct plugin *p)
{
	free(p->name);
	free(p->action);
	free(p->out);
	free(p->err);
	free(p->output);
	free(p->bucket);
	free(p->prefix);
}

static void
done_invocation(struct invocation *inv)
{
	timer_cancel(inv->cmd->sb->ev, &inv->deadline);
	for (size_t i = 0; i < inv->plugin_count; i++)
		free_plugin(&inv->plugins[i]);
	free(inv->plugins);
	free(inv->trace);
}

void
command_free(void *value)
{
	struct command *cmd = value;

	for (size_t i = 0; i < cmd->inv_count; i++)
		done_invocation(&cmd->invs[i]);
	free(cmd->invs);
	json_decref(cmd->parameters);
	json_decref(cmd->targets);
	json_decref(cmd->notification);
	free(cmd->document);
	free(cmd->version);
	free(cmd->comment);
	free(cmd->bucket);
	free(cmd->prefix);
	free(cmd->log_group);
	free(cmd->service_role);
	free(cmd->max_concurrency);
	free(cmd->max_errors);
	free(cmd->payload);
	free(cmd);
}

struct invocation *
command_invocation(struct command *cmd, const char *instance)
{
	for (size_t i = 0; i < cmd->inv_count; i++)
		if (strcmp(cmd->invs[i].node->id, instance) == 0)
			return &cmd->invs[i];
	return NULL;
}

void
invocation_reach(struct invocation *inv, enum stage stage)
{
	if (inv->stage_us[stage])
		return;
	inv->stage_us[stage] = sandbox_mono_us();
	state_touch_command(inv->cmd);
	control_on_stage(inv->cmd->sb, inv, stage);
}

static void
end_messages(struct invocation *inv)
{
	timer_cancel(inv->cmd->sb->ev, &inv->deadline);
	if (inv->msg)
		message_end(inv->msg);
	inv->cmd->sb->store->finals++;
	inv->cmd->sb->store->open--;
}

void
invocation_set(struct invocation *inv, enum status status, const char *details)
{
	if (inv->status >= STATUS_SUCCESS)
		return;
	inv->status = status;
	snprintf(inv->details, sizeof(inv->details), "%s", details);
	state_touch_command(inv->cmd);
	if (status < STATUS_SUCCESS)
		return;
	end_messages(inv);
	invocation_reach(inv, STAGE_FINAL);
	command_advance(inv->cmd);
}

struct plugin *
invocation_plugin(struct invocation *inv, const char *name)
{
	for (size_t i = 0; i < inv->plugin_count; i++)
		if (strcmp(inv->plugins[i].name, name) == 0)
			return &inv->plugins[i];
	return NULL;
}

struct plugin *
invocation_add_plugin(struct invocation *inv, const char *name, const char *action)
{
	struct plugin *p;

	inv->plugins = xrealloc(inv->plugins, inv->plugin_count + 1, sizeof(*inv->plugins));
	p = &inv->plugins[inv->plugin_count++];
	memset(p, 0, sizeof(*p));
	p->name = xstrdup(name);
	p->action = xstrdup(action);
	p->code = -1;
	snprintf(p->details, sizeof(p->details), "Pending");
	return p;
}

/* The steps that are going to report, so that they can be asked for before they do. */
static void
plan_plugins(struct invocation *inv, const json_t *content)
{
	const json_t *steps = json_object_get(content, "mainSteps");
	const char *name;
	json_t *value;
	size_t i;

	if (!steps) {
		json_object_foreach(json_object_get(content, "runtimeConfig"), name, value)
			invocation_add_plugin(inv, name, name);
		return;
	}
	json_array_foreach(steps, i, value)
		invocation_add_plugin(inv, json_str(value, "name", ""),
				      json_str(value, "action", ""));
}

static void
end_plugins(struct invocation *inv, enum status status, const char *details)
{
	for (size_t i = 0; i < inv->plugin_count; i++) {
		struct plugin *p = &inv->plugins[i];

		if (p->status >= STATUS_SUCCESS)
			continue;
		p->status = status;
		snprintf(p->details, sizeof(p->details), "%s", details);
	}
}

/* First the time to deliver, then the time to run. */
static void
on_deadline(void *arg)
{
	struct invocation *inv = arg;
	bool started = inv->stage_us[STAGE_ACKNOWLEDGED] || inv->stage_us[STAGE_FIRST];
	int64_t left_ms = inv->expires_ms - clock_wall_ms();

	if (started && left_ms > 0) {
		timer_in(inv->cmd->sb->ev, &inv->deadline, left_ms);
		return;
	}
	end_plugins(inv, STATUS_TIMED_OUT, started ? "ExecutionTimedOut" : "DeliveryTimedOut");
	invocation_set(inv, STATUS_TIMED_OUT, started ? "ExecutionTimedOut" : "DeliveryTimedOut");
}

/* A number in parameter executionTimeout is what our own documents have; others get the default. */
static int64_t
execution_seconds(const json_t *parameters, const json_t *content)
{
	const json_t *given = json_object_get(parameters, "executionTimeout");
	const char *text = json_is_array(given) ? json_string_value(json_array_get(given, 0))
						: json_string_value(given);
	int64_t s = DEFAULT_EXECUTION_S;

	if (!text)
		text = json_string_value(json_at(content, "/parameters/executionTimeout/default"));
	if (text && text_to_i64(text, 1, 172800, &s) < 0)
		s = DEFAULT_EXECUTION_S;
	return s;
}

static char *
payload_of(const struct command *cmd, const struct command_spec *spec)
{
	autojson json_t *payload = json_object();
	json_t *parameters = spec->payload_parameters;

	json_object_set_new(payload, "Parameters",
			    parameters ? json_incref(parameters) : json_object());
	json_object_set(payload, "DocumentContent", (json_t *)spec->content);
	json_object_set_new(payload, "CommandId", json_string(cmd->id));
	json_object_set_new(payload, "DocumentName", json_string(cmd->document));
	json_object_set_new(payload, "OutputS3KeyPrefix", json_string(cmd->prefix));
	json_object_set_new(payload, "OutputS3BucketName", json_string(cmd->bucket));
	json_object_set_new(payload, "CloudWatchLogGroupName", json_string(cmd->log_group));
	json_object_set_new(payload, "CloudWatchOutputEnabled",
			    json_string(cmd->log_enabled ? "true" : "false"));
	return json_text(payload);
}

void
invocation_init(struct invocation *inv, struct command *cmd, struct node *node)
{
	inv->cmd = cmd;
	inv->node = node;
	inv->deadline.fn = on_deadline;
	inv->deadline.arg = inv;
}

static void
prepare_invocation(struct invocation *inv, struct command *cmd, struct node *node,
		   const json_t *content)
{
	invocation_init(inv, cmd, node);
	snprintf(inv->details, sizeof(inv->details), "Pending");
	plan_plugins(inv, content);
	cmd->sb->store->open++;
}

static void
start_invocation(struct invocation *inv)
{
	struct command *cmd = inv->cmd;
	struct sandbox *sb = cmd->sb;
	autofree char *id = xasprintf("aws.ssm.%s.%s", cmd->id, inv->node->id);
	autofree char *topic =
		xasprintf("aws.ssm.sendCommand.%s.%s", sb->set.region, inv->node->id);

	inv->expires_ms = clock_wall_ms() + (cmd->timeout_s + cmd->execution_s) * 1000;
	timer_in(sb->ev, &inv->deadline, cmd->timeout_s * 1000);
	inv->msg = message_new(sb, inv->node, id, topic, cmd->payload);
	inv->msg->inv = inv;
	invocation_reach(inv, STAGE_QUEUED);
	message_queue(inv->msg);
}

/* Those that are not queued yet end with it. */
static void
terminate(struct command *cmd)
{
	while (cmd->next < cmd->inv_count) {
		struct invocation *inv = &cmd->invs[cmd->next++];

		end_plugins(inv, STATUS_CANCELLED, "Terminated");
		invocation_set(inv, STATUS_CANCELLED, "Terminated");
	}
}

static size_t
running(const struct command *cmd)
{
	size_t n = 0;

	for (size_t i = 0; i < cmd->next; i++)
		n += cmd->invs[i].status < STATUS_SUCCESS;
	return n;
}

void
command_advance(struct command *cmd)
{
	int64_t at_once = targets_share(cmd->max_concurrency, cmd->inv_count);
	int done, errors, undelivered;

	if (cmd->held || cmd->next == cmd->inv_count)
		return;
	cmd->held = true;
	command_counts(cmd, &done, &errors, &undelivered);
	if (errors > targets_share(cmd->max_errors, cmd->inv_count))
		terminate(cmd);
	for (int64_t left = (at_once > 1 ? at_once : 1) - (int64_t)running(cmd);
	     cmd->next < cmd->inv_count && left > 0; cmd->next++) {
		struct invocation *inv = &cmd->invs[cmd->next];

		if (inv->status >= STATUS_SUCCESS)
			continue;
		start_invocation(inv);
		left--;
	}
	cmd->held = false;
	if (cmd->next < cmd->inv_count)
		return;
	free(cmd->payload);
	cmd->payload = NULL;
}

void
command_keep(struct command *cmd)
{
	struct store *st = cmd->sb->store;

	if (st->order_count == st->order_room) {
		st->order_room = st->order_room ? st->order_room * 2 : 256;
		st->order = xrealloc(st->order, st->order_room, sizeof(struct command *));
	}
	cmd->seq = st->order_count;
	st->order[st->order_count++] = cmd;
	map_set(st->commands, cmd->id, cmd);
}

static const char *
or_empty(const char *s)
{
	return s ? s : "";
}

static void
copy_spec(struct command *cmd, const struct command_spec *spec)
{
	cmd->document = xstrdup(spec->document);
	cmd->version = xstrdup(or_empty(spec->version));
	cmd->comment = xstrdup(or_empty(spec->comment));
	cmd->parameters = spec->parameters ? json_incref(spec->parameters) : json_object();
	cmd->targets = spec->targets ? json_incref(spec->targets) : json_array();
	cmd->notification = json_incref(spec->notification);
	cmd->timeout_s = spec->timeout_s;
	cmd->bucket = xstrdup(or_empty(spec->bucket));
	cmd->prefix = xstrdup(or_empty(spec->prefix));
	cmd->log_group = xstrdup(or_empty(spec->log_group));
	cmd->log_enabled = spec->log_enabled;
	cmd->service_role = xstrdup(or_empty(spec->service_role));
	cmd->max_concurrency = xstrdup(spec->max_concurrency ? spec->max_concurrency : "50");
	cmd->max_errors = xstrdup(spec->max_errors ? spec->max_errors : "0");
	cmd->requested_ms = clock_wall_ms();
	cmd->execution_s = execution_seconds(spec->parameters, spec->content);
	cmd->expires_ms = cmd->requested_ms + (spec->timeout_s + cmd->execution_s) * 1000;
}

/* The time that is left, of that to deliver it or that to run; on_deadline() knows which. */
static void
resume_invocation(struct invocation *inv)
{
	bool started = inv->stage_us[STAGE_ACKNOWLEDGED] || inv->stage_us[STAGE_FIRST];
	int64_t until_ms = inv->expires_ms - (started ? 0 : inv->cmd->execution_s * 1000);
	int64_t left_ms = until_ms - clock_wall_ms();
	struct message *const both[] = { inv->msg, inv->cancel };

	timer_in(inv->cmd->sb->ev, &inv->deadline, left_ms > 0 ? left_ms : 0);
	for (size_t i = 0; i < NELEMS(both); i++)
		if (both[i] && both[i]->state < MESSAGE_ACKNOWLEDGED)
			message_queue(both[i]);
}

int
command_resume(struct command *cmd, struct err *e)
{
	for (; cmd->next < cmd->inv_count; cmd->next++)
		if (cmd->invs[cmd->next].status < STATUS_SUCCESS && !cmd->invs[cmd->next].msg)
			break;
	if (cmd->next < cmd->inv_count && !cmd->payload)
		return err_set(e, -EINVAL, "an invocation waits, but there is nothing to send");
	for (size_t i = 0; i < cmd->inv_count; i++) {
		if (cmd->invs[i].status >= STATUS_SUCCESS)
			continue;
		cmd->sb->store->open++;
		if (cmd->invs[i].msg)
			resume_invocation(&cmd->invs[i]);
	}
	command_advance(cmd);
	return 0;
}

/* Why a command reaches nobody, in the service's words, or NULL. */
static const char *
sent_to_nobody(const struct sandbox *sb, const struct command_spec *spec)
{
	if (!spec->node_count && spec->by_tag)
		return "NoInstancesInTag";
	if (spec->by_tag && sb->set.max_pending &&
	    sb->store->open + (int64_t)spec->node_count > sb->set.max_pending)
		return "RateExceeded";
	return NULL;
}

struct command *
command_blank(struct sandbox *sb)
{
	struct command *cmd = xcalloc(1, sizeof(*cmd));

	cmd->sb = sb;
	list_init(&cmd->changed);
	return cmd;
}

struct command *
command_new(struct sandbox *sb, const struct command_spec *spec)
{
	struct command *cmd = command_blank(sb);

	rand_uuid4(cmd->id);
	copy_spec(cmd, spec);
	command_keep(cmd);
	state_touch_command(cmd);
	cmd->nobody = sent_to_nobody(sb, spec);
	if (cmd->nobody) {
		cmd->would_be = spec->node_count;
		return cmd;
	}
	cmd->invs = xcalloc(spec->node_count, sizeof(*cmd->invs));
	cmd->inv_count = spec->node_count;
	cmd->payload = payload_of(cmd, spec);
	for (size_t i = 0; i < spec->node_count; i++)
		prepare_invocation(&cmd->invs[i], cmd, spec->nodes[i], spec->content);
	command_advance(cmd);
	return cmd;
}

/* Invocations by how they are; what the service counts apart, apart. */
struct counts {
	int open, pending, success, failed, timed_out, cancelled;
	int undelivered, undeliverable; /* neither timed_out nor failed */
	int terminated;			/* not cancelled */
};

static int *
counter(struct counts *n, const struct invocation *inv)
{
	switch (inv->status) {
	case STATUS_PENDING:
		n->pending++;
		return &n->open;
	case STATUS_IN_PROGRESS:
	case STATUS_CANCELLING:
		return &n->open;
	case STATUS_SUCCESS:
		return &n->success;
	case STATUS_FAILED:
		return strcmp(inv->details, "Undeliverable") == 0 ? &n->undeliverable : &n->failed;
	case STATUS_TIMED_OUT:
		return strcmp(inv->details, "DeliveryTimedOut") == 0 ? &n->undelivered
								     : &n->timed_out;
	case STATUS_CANCELLED:
		break;
	}
	return strcmp(inv->details, "Terminated") == 0 ? &n->terminated : &n->cancelled;
}

static struct counts
count(const struct command *cmd)
{
	struct counts n = { 0 };

	for (size_t i = 0; i < cmd->inv_count; i++)
		(*counter(&n, &cmd->invs[i]))++;
	return n;
}

static enum status
open_status(const struct command *cmd, const struct counts *n, const char **ret_details)
{
	enum status s = cmd->cancel_asked	    ? STATUS_CANCELLING
		: n->pending == (int)cmd->inv_count ? STATUS_PENDING
						    : STATUS_IN_PROGRESS;

	*ret_details = status_name(s);
	return s;
}

/* More errors than allowed decide, then more that were not delivered; fewer leave it incomplete. */
static enum status
final_status(const struct command *cmd, const struct counts *n, const char **ret_details)
{
	int allowed = (int)targets_share(cmd->max_errors, cmd->inv_count);
	int all = (int)cmd->inv_count;
	enum status s = STATUS_SUCCESS;

	if (n->failed + n->timed_out > allowed)
		s = n->failed ? STATUS_FAILED : STATUS_TIMED_OUT;
	else if (n->undelivered > allowed)
		s = STATUS_TIMED_OUT;
	else if (n->cancelled)
		s = STATUS_CANCELLED;
	else if (n->undeliverable == all)
		s = STATUS_FAILED;
	*ret_details = s == STATUS_TIMED_OUT
		? n->timed_out > allowed ? "ExecutionTimedOut" : "DeliveryTimedOut"
		: status_name(s);
	if (s == STATUS_SUCCESS && n->success + n->undeliverable < all)
		*ret_details = "Incomplete";
	return s;
}

enum status
command_status(const struct command *cmd, const char **ret_details)
{
	struct counts n = count(cmd);

	*ret_details = cmd->nobody;
	if (cmd->nobody)
		return strcmp(cmd->nobody, "RateExceeded") == 0 ? STATUS_CANCELLED : STATUS_SUCCESS;
	return n.open ? open_status(cmd, &n, ret_details) : final_status(cmd, &n, ret_details);
}

void
command_counts(const struct command *cmd, int *ret_done, int *ret_errors, int *ret_undelivered)
{
	struct counts n = count(cmd);

	*ret_done = (int)cmd->inv_count - n.open;
	*ret_errors = n.failed + n.timed_out;
	*ret_undelivered = n.undelivered;
}

static void
send_cancel(struct invocation *inv)
{
	struct sandbox *sb = inv->cmd->sb;
	char uuid[RAND_UUID_SIZE];
	autofree char *id = NULL, *topic = NULL, *payload = NULL;

	rand_uuid4(uuid);
	id = xasprintf("aws.ssm.%s.%s", uuid, inv->node->id);
	topic = xasprintf("aws.ssm.cancelCommand.%s.%s", sb->set.region, inv->node->id);
	payload = xasprintf("{\"CancelMessageId\":\"%s\"}", inv->msg->id);
	inv->cancel = message_new(sb, inv->node, id, topic, payload);
	inv->cancel->inv = inv;
	inv->cancel->cancel = true;
	message_queue(inv->cancel);
}

static void
cancel_invocation(struct invocation *inv)
{
	if (inv->status >= STATUS_SUCCESS || inv->cancel_asked)
		return;
	inv->cancel_asked = true;
	if (!inv->stage_us[STAGE_DELIVERED]) {
		end_plugins(inv, STATUS_CANCELLED, "Cancelled");
		invocation_set(inv, STATUS_CANCELLED, "Cancelled");
		return;
	}
	invocation_set(inv, STATUS_CANCELLING, "Cancelling");
	send_cancel(inv);
}

void
command_cancel(struct command *cmd, struct node *only)
{
	cmd->cancel_asked = true;
	state_touch_command(cmd);
	/* None that is going to be cancelled takes the place of one that was. */
	cmd->held = true;
	for (size_t i = 0; i < cmd->inv_count; i++)
		if (!only || cmd->invs[i].node == only)
			cancel_invocation(&cmd->invs[i]);
	cmd->held = false;
	command_advance(cmd);
}
