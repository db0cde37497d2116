/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: order of the messages, those not stored yet, requests that wait. */
#include "core/host/link.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/ipc/ipc.h"
#include "core/ipc/wire.h"

#define LOG_QUEUE_MAX (256u * 1024u)

struct kept { /* sent, and not on the agent's disk yet */
	struct list link;
	int64_t seq;
	json_t *json;
	char *body;
	size_t len;
	bool stored;
};

struct request {
	struct list link;
	int64_t id;
	bool answered;
	struct answer answer;
};

struct link {
	struct event_base *base;
	struct ipc *ipc;
	enum wire_state state;
	int64_t next_seq, next_id;
	struct list unstored, stored, requests;
	unsigned log_dropped;
	bool away;
	char *work_dir;
	struct link_ops ops;
	void *arg;
};

void
answer_done(struct answer *a)
{
	json_decref(a->json);
	free(a->body);
	memset(a, 0, sizeof(*a));
}

/* ---------------------------------------------------- the agent is away */

/* Everything that the agent has not stored, for it to read when it is back. */
static void
write_result(struct link *l)
{
	autojson json_t *all = json_array();
	autofree char *text = NULL;
	autoclose int dir = -1;

	if (!l->work_dir)
		return;
	list_each (it, tmp, &l->unstored) {
		struct kept *k = list_entry(it, struct kept, link);
		json_t *one = json_deep_copy(k->json);

		if (k->body)
			json_object_set_new(one, "body", json_stringn(k->body, k->len));
		json_array_append_new(all, one);
	}
	text = json_text(all);
	dir = open(l->work_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 ||
	    fs_write_atomic(dir, "result.json", text, strlen(text), 0600, true, NULL) < 0)
		return;
	list_each (it, tmp, &l->unstored)
		list_entry(it, struct kept, link)->stored = true;
}

static void
go_away(struct link *l)
{
	if (l->away)
		return;
	l->away = true;
	write_result(l);
	event_base_loopbreak(l->base);
	l->ops.away(l->arg);
}

static void
on_end(void *arg, int err, const char *text)
{
	(void)err;
	(void)text;
	go_away(arg);
}

/* ------------------------------------------------------------- receiving */

static void
on_stored(struct link *l, int64_t seq)
{
	list_each (it, tmp, &l->unstored) {
		struct kept *k = list_entry(it, struct kept, link);

		if (k->seq != seq)
			continue;
		k->stored = true;
		list_remove(&k->link);
		list_append(&l->stored, &k->link);
		free(k->body);
		k->body = NULL;
		k->json = (json_decref(k->json), NULL);
	}
}

static void
on_result(struct link *l, struct ipc_message *m)
{
	int64_t id = json_int(m->json, "id", 0);

	list_each (it, tmp, &l->requests) {
		struct request *r = list_entry(it, struct request, link);

		if (r->id != id)
			continue;
		r->answered = true;
		r->answer.json = json_incref(m->json);
		r->answer.body = m->body ? xmemdup(m->body, m->body_len) : NULL;
		r->answer.body_len = m->body_len;
		return;
	}
}

static int
on_hello(struct link *l, struct ipc_message *m)
{
	int ipc = (int)json_int(m->json, "ipc", 0);

	if (ipc < WIRE_IPC_MIN || ipc > WIRE_IPC_MAX)
		return -EPROTO;
	l->state = WIRE_GREETED;
	return l->ops.hello(l->arg, m->json, m->body, m->body_len, m->fds, m->fd_count);
}

static int
on_message(void *arg, struct ipc_message *m)
{
	struct link *l = arg;
	const char *type;
	int r = wire_check(WIRE_FROM_AGENT, l->state, m->json, &type, NULL);

	if (r < 0)
		return r;
	if (strcmp(type, "hello") == 0)
		return on_hello(l, m);
	if (strcmp(type, "go") == 0) {
		l->state = WIRE_RUNNING;
		l->ops.go(l->arg);
	} else if (strcmp(type, "stored") == 0) {
		on_stored(l, json_int(m->json, "seq", 0));
	} else if (strcmp(type, "result") == 0) {
		on_result(l, m);
	} else if (strcmp(type, "cancel") == 0) {
		l->ops.cancel(l->arg, json_int(m->json, "grace_ms", -1));
	} else if (strcmp(type, "bye") == 0) {
		go_away(l);
	}
	return 0;
}

/* --------------------------------------------------------------- sending */

int
link_send(struct link *l, json_t *json, const void *body, size_t len)
{
	if (!l->away)
		return ipc_send(l->ipc, json, body, len, NULL, 0);
	json_decref(json);
	return -EPIPE;
}

void
link_ready(struct link *l)
{
	l->state = WIRE_READY;
	link_send(l, wire_new("ready"), NULL, 0);
}

/* A plugin that floods the log loses lines, never its time. */
void
link_log(struct link *l, int level, const char *text)
{
	json_t *m;

	if (ipc_queued(l->ipc) > LOG_QUEUE_MAX) {
		l->log_dropped++;
		return;
	}
	m = wire_new("log");
	json_object_set_new(m, "level", json_integer(level));
	json_object_set_new(m, "text", json_string(text));
	if (l->log_dropped)
		json_object_set_new(m, "dropped", json_integer(l->log_dropped));
	l->log_dropped = 0;
	link_send(l, m, NULL, 0);
}

int
link_store(struct link *l, json_t *json, const void *body, size_t len, const bool **ret_stored)
{
	struct kept *k;
	int r;

	json_object_set_new(json, "seq", json_integer(l->next_seq));
	r = l->away ? 0 : ipc_send(l->ipc, json_incref(json), body, len, NULL, 0);
	if (r == -E2BIG) {
		json_decref(json);
		return r;
	}
	k = xcalloc(1, sizeof(*k));
	k->seq = l->next_seq++;
	k->json = json;
	k->body = body ? xmemdup(body, len) : NULL;
	k->len = len;
	list_append(&l->unstored, &k->link);
	if (l->away)
		write_result(l);
	if (ret_stored)
		*ret_stored = &k->stored;
	return 0;
}

size_t
link_unstored(const struct link *l)
{
	size_t n = 0;

	for (const struct list *it = l->unstored.next; it != &l->unstored; it = it->next)
		n += !list_entry(it, struct kept, link)->stored;
	return n;
}

bool
link_all_stored(const struct link *l)
{
	for (const struct list *it = l->unstored.next; it != &l->unstored; it = it->next)
		if (!list_entry(it, struct kept, link)->stored)
			return false;
	return true;
}

static struct request *
request_new(struct link *l)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->id = l->next_id++;
	list_append(&l->requests, &r->link);
	return r;
}

static int
request_finish(struct link *l, struct request *r, int res, struct answer *ret)
{
	if (r->answered)
		*ret = r->answer;
	else if (res == 0)
		res = l->away ? -EPIPE : -ECANCELED;
	list_remove(&r->link);
	free(r);
	return res;
}

int
link_ask(struct link *l, json_t *json, const void *body, size_t len, const int *fds,
	 size_t fd_count, const bool *cancelled, struct answer *ret)
{
	struct request *r;
	int res;

	if (l->away) {
		json_decref(json);
		return -EPIPE;
	}
	r = request_new(l);
	json_object_set_new(json, "id", json_integer(r->id));
	res = ipc_send(l->ipc, json, body, len, fds, fd_count);
	while (res == 0 && !r->answered && !l->away && !(cancelled && *cancelled))
		event_base_loop(l->base, EVLOOP_ONCE);
	return request_finish(l, r, res, ret);
}

/* ------------------------------------------------------------ connection */

struct link *
link_new(struct event_base *base, int fd, const char *token, const struct link_ops *ops, void *arg)
{
	struct link *l = xcalloc(1, sizeof(*l));
	json_t *m = wire_new("hello");

	l->base = base;
	l->ops = *ops;
	l->arg = arg;
	l->next_seq = l->next_id = 1;
	list_init(&l->unstored);
	list_init(&l->stored);
	list_init(&l->requests);
	l->ipc = ipc_new(base, fd, on_message, on_end, l);
	json_object_set_new(m, "ipc_min", json_integer(WIRE_IPC_MIN));
	json_object_set_new(m, "ipc_max", json_integer(WIRE_IPC_MAX));
	json_object_set_new(m, "token", json_string(token));
	json_object_set_new(m, "pid", json_integer(getpid()));
	link_send(l, m, NULL, 0);
	return l;
}

static void
free_kept(struct list *all)
{
	list_each (it, tmp, all) {
		struct kept *k = list_entry(it, struct kept, link);

		json_decref(k->json);
		free(k->body);
		free(k);
	}
}

struct link *
link_free(struct link *l)
{
	if (!l)
		return NULL;
	free_kept(&l->unstored);
	free_kept(&l->stored);
	ipc_free(l->ipc);
	free(l->work_dir);
	free(l);
	return NULL;
}

bool
link_is_away(const struct link *l)
{
	return l->away;
}

void
link_set_work_dir(struct link *l, const char *path)
{
	free(l->work_dir);
	l->work_dir = xstrdup(path);
}
