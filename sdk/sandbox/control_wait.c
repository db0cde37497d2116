/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of the control socket that wait for invocations or for a node. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "sdk/sandbox/control_ops.h"

#define TIMEOUT_MS 60000

struct wait {
	struct list link;
	struct sandbox *sb;
	struct client *client;
	struct timer timer;
	/* for invocations */
	enum stage stage;
	struct invocation **invs; /* all that were asked for */
	size_t count, left;
	struct map *open; /* those that have not come so far, by key */
	bool timings;
	/* for a node */
	struct node *node;
	int64_t polls, pings, channels; /* to be reached */
};

struct waits {
	struct list all;
};

static const char *const stage_names[] = { "queued", "delivered", "acknowledged", "first",
					   "final" };

struct waits *
waits_new(void)
{
	struct waits *w = xcalloc(1, sizeof(*w));

	list_init(&w->all);
	return w;
}

static void
wait_free(struct wait *w)
{
	timer_cancel(w->sb->ev, &w->timer);
	list_remove(&w->link);
	map_free(w->open);
	free(w->invs);
	free(w);
}

struct waits *
waits_free(struct sandbox *sb, struct waits *waits)
{
	(void)sb;
	list_each(it, tmp, &waits->all)
		wait_free(list_entry(it, struct wait, link));
	free(waits);
	return NULL;
}

/* ---- the answer ---- */

json_t *
wait_timings(const struct invocation *inv)
{
	json_t *out =
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "command", inv->cmd->id,
			  "instance", inv->node->id, "status", status_name(inv->status), "details",
			  inv->details, "deliveries",
			  (json_int_t)(inv->msg ? inv->msg->deliveries : 0), "replies",
			  (json_int_t)inv->replies, "replies_after_final",
			  (json_int_t)inv->replies_after_final);

	for (size_t i = 0; i < STAGES; i++) {
		char name[24];

		snprintf(name, sizeof(name), "%s_us", stage_names[i]);
		json_object_set_new(out, name, json_integer(inv->stage_us[i]));
	}
	return out;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Nearest rank. */
static int64_t
percentile(const int64_t *sorted, size_t n, unsigned percent)
{
	size_t rank = (n * percent + 99) / 100;

	return sorted[rank ? rank - 1 : 0];
}

static void
add_distance(json_t *out, const char *name, const struct wait *w, enum stage from, enum stage to)
{
	int64_t *all = xcalloc(w->count + 1, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; i < w->count; i++) {
		const int64_t *us = w->invs[i]->stage_us;

		if (us[from] && us[to])
			all[n++] = us[to] - us[from];
	}
	qsort(all, n, sizeof(*all), compare);
	if (n)
		json_object_set_new(out, name,
				    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "count",
					      (json_int_t)n, "min", (json_int_t)all[0], "p50",
					      (json_int_t)percentile(all, n, 50), "p90",
					      (json_int_t)percentile(all, n, 90), "p99",
					      (json_int_t)percentile(all, n, 99), "max",
					      (json_int_t)all[n - 1]));
	free(all);
}

static int64_t
span_us(const struct wait *w)
{
	int64_t first = INT64_MAX, last = 0;

	for (size_t i = 0; i < w->count; i++) {
		const int64_t *us = w->invs[i]->stage_us;

		if (us[STAGE_QUEUED] < first)
			first = us[STAGE_QUEUED];
		if (us[STAGE_FINAL] > last)
			last = us[STAGE_FINAL];
	}
	return last > first ? last - first : 0;
}

static json_t *
count_statuses(const struct wait *w)
{
	json_t *out = json_object();

	for (size_t i = 0; i < w->count; i++) {
		const char *name = status_name(w->invs[i]->status);

		json_object_set_new(out, name, json_integer(json_int(out, name, 0) + 1));
	}
	return out;
}

static json_t *
invocations_answer(const struct wait *w)
{
	json_t *out = json_pack("{s:b, s:I, s:I, s:o, s:I}", "ok", w->left == 0, "count",
				(json_int_t)w->count, "left", (json_int_t)w->left, "statuses",
				count_statuses(w), "span_us", (json_int_t)span_us(w));
	json_t *list = json_array();

	if (w->left)
		json_object_set_new(out, "error", json_string("timed out"));
	add_distance(out, "queued_to_delivered_us", w, STAGE_QUEUED, STAGE_DELIVERED);
	add_distance(out, "delivered_to_first_us", w, STAGE_DELIVERED, STAGE_FIRST);
	add_distance(out, "delivered_to_acknowledged_us", w, STAGE_DELIVERED, STAGE_ACKNOWLEDGED);
	add_distance(out, "delivered_to_final_us", w, STAGE_DELIVERED, STAGE_FINAL);
	add_distance(out, "queued_to_final_us", w, STAGE_QUEUED, STAGE_FINAL);
	for (size_t i = 0; w->timings && i < w->count; i++)
		json_array_append_new(list, wait_timings(w->invs[i]));
	json_object_set_new(out, "invocations", list);
	return out;
}

static bool
has_come(const struct wait *w)
{
	return w->node->polls >= w->polls && w->node->pings >= w->pings &&
		w->node->channels >= w->channels;
}

static json_t *
node_answer(const struct wait *w)
{
	bool done = has_come(w);
	json_t *out =
		json_pack("{s:b, s:s, s:I, s:I, s:I}", "ok", done, "instance", w->node->id, "polls",
			  (json_int_t)w->node->polls, "pings", (json_int_t)w->node->pings,
			  "channels", (json_int_t)w->node->channels);

	if (!done)
		json_object_set_new(out, "error", json_string("timed out"));
	return out;
}

static void
answer(struct wait *w)
{
	json_t *out = w->node ? node_answer(w) : invocations_answer(w);
	struct client *client = w->client;

	wait_free(w);
	control_answer(client, out);
}

static void
on_time_out(void *arg)
{
	answer(arg);
}

/* ---- begin and progress ---- */

static struct wait *
new_wait(struct sandbox *sb, struct client *c, int64_t timeout_ms)
{
	struct wait *w = xcalloc(1, sizeof(*w));

	w->sb = sb;
	w->client = c;
	w->timer.fn = on_time_out;
	w->timer.arg = w;
	list_append(&control_waits(sb->control)->all, &w->link);
	timer_in(sb->ev, &w->timer, timeout_ms);
	return w;
}

static char *
key_of(const struct invocation *inv)
{
	return xasprintf("%s %s", inv->cmd->id, inv->node->id);
}

static void
add_command(struct wait *w, struct command *cmd)
{
	w->invs = xrealloc(w->invs, w->count + cmd->inv_count, sizeof(struct invocation *));
	for (size_t i = 0; i < cmd->inv_count; i++) {
		struct invocation *inv = &cmd->invs[i];
		autofree char *key = key_of(inv);

		w->invs[w->count++] = inv;
		if (!inv->stage_us[w->stage] && inv->status < STATUS_SUCCESS)
			map_set(w->open, key, inv);
	}
}

static int
add_commands(struct wait *w, const json_t *ids, struct err *e)
{
	const json_t *id;
	size_t i;

	json_array_foreach(ids, i, id)
	{
		struct command *cmd = NULL;

		if (json_is_string(id))
			cmd = map_get(w->sb->store->commands, json_string_value(id));
		if (!cmd)
			return err_set(e, -ENOENT, "no command %s",
				       json_is_string(id) ? json_string_value(id) : "");
		add_command(w, cmd);
	}
	return 0;
}

static void
add_open_commands(struct wait *w)
{
	struct store *st = w->sb->store;
	const char *details;

	for (size_t i = 0; i < st->order_count; i++)
		if (command_status(st->order[i], &details) < STATUS_SUCCESS)
			add_command(w, st->order[i]);
}

static int
stage_of(const char *name, struct err *e)
{
	for (int i = 0; i < STAGES; i++)
		if (strcmp(stage_names[i], name) == 0)
			return i;
	return err_set(e, -EINVAL,
		       "until '%s' is none of queued, delivered, acknowledged, first, final", name);
}

json_t *
wait_begin(struct sandbox *sb, struct client *c, json_t *commands, const json_t *request,
	   int64_t timeout_ms, struct err *e)
{
	int stage = stage_of(json_str(request, "until", "final"), e);
	struct wait *w;
	json_t *out = NULL;

	if (stage < 0)
		return NULL;
	w = new_wait(sb, c, timeout_ms);
	w->stage = (enum stage)stage;
	w->open = map_new(NULL);
	w->timings = json_bool(request, "timings", false);
	if (!commands)
		add_open_commands(w);
	else if (add_commands(w, commands, e) < 0) {
		wait_free(w);
		return NULL;
	}
	w->left = map_len(w->open);
	if (w->left)
		return NULL;
	out = invocations_answer(w);
	wait_free(w);
	return out;
}

void
control_on_stage(struct sandbox *sb, struct invocation *inv, enum stage stage)
{
	struct waits *waits = control_waits(sb->control);
	autofree char *key = NULL;

	if (!waits || list_empty(&waits->all))
		return;
	key = key_of(inv);
	list_each(it, tmp, &waits->all) {
		struct wait *w = list_entry(it, struct wait, link);

		if (!w->open || (stage != w->stage && stage != STAGE_FINAL) ||
		    !map_take(w->open, key))
			continue;
		if (--w->left == 0)
			answer(w);
	}
}

json_t *
wait_for_node(struct sandbox *sb, struct client *c, const json_t *request, struct err *e)
{
	const char *id = json_str(request, "instance", sb->set.instance);
	struct node *node = store_node(sb, id, false);
	struct wait *w;
	json_t *out = NULL;

	if (!node) {
		err_set(e, -ENOENT, "no instance %s", id);
		return NULL;
	}
	w = new_wait(sb, c, json_int(request, "timeout_ms", TIMEOUT_MS));
	w->node = node;
	w->polls = json_int(request, "polls", 1);
	w->pings = json_int(request, "pings", 1);
	w->channels = json_int(request, "channels", 0);
	if (json_object_get(request, "new_polls"))
		w->polls = node->polls + json_int(request, "new_polls", 0);
	if (json_object_get(request, "new_pings"))
		w->pings = node->pings + json_int(request, "new_pings", 0);
	if (json_object_get(request, "new_channels"))
		w->channels = node->channels + json_int(request, "new_channels", 0);
	if (!has_come(w))
		return NULL;
	out = node_answer(w);
	wait_free(w);
	return out;
}

void
control_on_node(struct sandbox *sb, struct node *node)
{
	struct waits *waits = control_waits(sb->control);

	if (!waits)
		return;
	list_each(it, tmp, &waits->all) {
		struct wait *w = list_entry(it, struct wait, link);

		if (w->node == node && has_come(w))
			answer(w);
	}
}

void
wait_forget(struct waits *waits, struct client *c)
{
	list_each(it, tmp, &waits->all) {
		struct wait *w = list_entry(it, struct wait, link);

		if (w->client == c)
			wait_free(w);
	}
}
