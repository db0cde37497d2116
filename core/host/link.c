/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: order of the messages, requests that wait, an agent that goes and comes back.
 * What is kept until it is stored is in outgoing.c. */
#include "core/host/link.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/host/dial.h"
#include "core/host/outgoing.h"
#include "core/ipc/ipc.h"
#include "core/ipc/wire.h"

#define LOG_QUEUE_MAX (256u * 1024u)
#define RETURN_MS 5000
#define RETURN_FIRST_MS 250 /* an agent that was restarted is back by then; then twice as long */
#define GREETING_MS 10000
#define AWAY_MAX_MS (48 * 3600000LL)

struct request {
	struct list link;
	struct link *owner;
	int64_t id, seq; /* seq 0: not numbered */
	json_t *json;	 /* what is sent again */
	char *body;
	size_t len;
	int fds[IPC_FDS_MAX];
	size_t fd_count;
	int64_t patience_ms;
	bool once, by_id, sent;
	struct event *timer;
	int timer_result;
	link_done_fn *done;
	void *arg;
};

struct link {
	struct event_base *base;
	struct ipc *ipc; /* NULL: away */
	enum wire_state state;
	int version; /* of the protocol, with the agent of now */
	int64_t away_since_ms;
	bool away, greeting; /* greeting: connected again, the agent's hello is awaited */
	char *token, *job, *socket;
	struct event *dial;
	int64_t dial_ms; /* until it is tried again */
	int64_t next_id;
	struct outgoing *outgoing;
	struct list requests;
	unsigned log_dropped;
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

static void
arm(struct event *ev, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	event_add(ev, &tv);
}

/* -------------------------------------------------------------- requests */

void
link_drop(struct request *r)
{
	if (!r)
		return;
	list_remove(&r->link);
	json_decref(r->json);
	free(r->body);
	for (size_t i = 0; i < r->fd_count; i++)
		close(r->fds[i]);
	event_free(r->timer);
	free(r);
}

static void
finish(struct request *r, int result, struct answer *a)
{
	link_done_fn *done = r->done;
	void *arg = r->arg;
	struct answer none = {NULL, NULL, 0};

	link_drop(r);
	done(arg, result, a ? a : &none);
}

static void
on_request_timer(evutil_socket_t fd, short what, void *arg)
{
	struct request *r = arg;

	(void)fd;
	(void)what;
	finish(r, r->timer_result, NULL);
}

/* Later, from the loop: nobody's callback runs before what it belongs to has returned. */
static void
finish_soon(struct request *r, int result, int64_t ms)
{
	r->timer_result = result;
	arm(r->timer, ms);
}

static int
send_request(struct request *r)
{
	int res;

	if (r->seq) /* goes with what is kept */
		return 0;
	res = ipc_send(r->owner->ipc, json_copy(r->json), r->body, r->len, r->fds, r->fd_count);
	r->sent = res == 0;
	return res;
}

/* The agent is away: wait for it, or not. */
static void
suspend(struct request *r)
{
	if (r->seq)
		return;
	if (r->patience_ms == 0 || (r->once && r->sent))
		finish_soon(r, -EPIPE, 0);
	else if (r->patience_ms > 0)
		finish_soon(r, -ETIMEDOUT, r->patience_ms);
}

/* What is stored when its answer can no longer come has gone well. */
static void
settle_stored(struct link *l)
{
	list_each (it, tmp, &l->requests) {
		struct request *r = list_entry(it, struct request, link);

		if (r->seq && outgoing_has_stored(l->outgoing, r->seq))
			finish_soon(r, 0, 0);
	}
}

static struct request *
request_new(struct link *l, const struct link_request *q, link_done_fn *done, void *arg)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->owner = l;
	r->id = l->next_id++;
	r->patience_ms = q->patience_ms;
	r->once = q->once;
	r->by_id = q->by_id;
	r->done = done;
	r->arg = arg;
	r->timer = evtimer_new(l->base, on_request_timer, r);
	list_append(&l->requests, &r->link);
	json_object_set_new(q->json, "id", json_integer(r->id));
	return r;
}

static int
keep_question(struct request *r, const struct link_request *q)
{
	r->json = json_incref(q->json);
	r->body = q->body ? xmemdup(q->body, q->len) : NULL;
	r->len = q->len;
	for (size_t i = 0; i < q->fd_count && i < IPC_FDS_MAX; i++) {
		int fd = fcntl(q->fds[i], F_DUPFD_CLOEXEC, 4);

		if (fd < 0)
			return -errno;
		r->fds[r->fd_count++] = fd;
	}
	return 0;
}

static int
start_stored(struct request *r, const struct link_request *q)
{
	struct link *l = r->owner;
	int res = outgoing_add(l->outgoing, l->away ? NULL : l->ipc, q->json, q->body, q->len, NULL,
			       &r->seq);

	if (res == 0 && l->away)
		settle_stored(l);
	return res;
}

static int
start_plain(struct request *r, const struct link_request *q)
{
	int res = keep_question(r, q);

	if (res < 0)
		return res;
	if (!r->owner->away)
		return send_request(r);
	suspend(r);
	return 0;
}

int
link_start(struct link *l, const struct link_request *q, link_done_fn *done, void *arg,
	   struct request **ret)
{
	autojson json_t *owned = q->json;
	struct request *r = request_new(l, q, done, arg);
	int res = q->store ? start_stored(r, q) : start_plain(r, q);

	(void)owned; /* held to the end of this function only */
	if (res < 0)
		link_drop(r);
	else if (ret)
		*ret = r;
	return res;
}

struct waiting {
	bool done;
	int result;
	struct answer *answer;
};

static void
on_waited(void *arg, int result, struct answer *a)
{
	struct waiting *w = arg;

	w->done = true;
	w->result = result;
	*w->answer = *a;
	memset(a, 0, sizeof(*a));
}

int
link_ask(struct link *l, const struct link_request *q, const bool *cancelled, struct answer *ret)
{
	struct waiting w = {false, 0, ret};
	struct request *r = NULL;
	int res = link_start(l, q, on_waited, &w, &r);

	if (res < 0)
		return res;
	while (!w.done && !(cancelled && *cancelled))
		event_base_loop(l->base, EVLOOP_ONCE);
	if (w.done)
		return w.result;
	link_drop(r);
	return -ECANCELED;
}

/* ------------------------------------------------- the agent goes away */

static void
dial_later(struct link *l)
{
	arm(l->dial, l->dial_ms);
	l->dial_ms = l->dial_ms < RETURN_MS / 2 ? 2 * l->dial_ms : RETURN_MS;
}

static void
hang_up(struct link *l)
{
	l->ipc = ipc_free(l->ipc);
	l->greeting = false;
	if (l->socket && l->state >= WIRE_RUNNING)
		dial_later(l);
}

static void
go_away(struct link *l)
{
	hang_up(l);
	if (l->away)
		return;
	l->away = true;
	l->away_since_ms = clock_mono_ms();
	/* Before "go" nothing was done that anybody would want to know of. */
	if (l->state >= WIRE_RUNNING)
		(void)outgoing_save(l->outgoing);
	settle_stored(l);
	list_each (it, tmp, &l->requests)
		suspend(list_entry(it, struct request, link));
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

/* ------------------------------------------------------ and comes back */

static void
send_hello(struct link *l)
{
	json_t *m = wire_new("hello");

	json_object_set_new(m, "ipc_min", json_integer(WIRE_IPC_MIN));
	json_object_set_new(m, "ipc_max", json_integer(WIRE_IPC_MAX));
	json_object_set_new(m, "token", json_string(l->token));
	json_object_set_new(m, "pid", json_integer(getpid()));
	ipc_send(l->ipc, m, NULL, 0, NULL, 0);
}

static void
resume(struct link *l)
{
	l->away = l->greeting = false;
	event_del(l->dial);
	l->dial_ms = RETURN_FIRST_MS;
	outgoing_resend(l->outgoing, l->ipc);
	list_each (it, tmp, &l->requests) {
		struct request *r = list_entry(it, struct request, link);

		if (r->seq || (r->once && r->sent))
			continue;
		event_del(r->timer);
		if (r->by_id && r->sent && l->version < 2)
			finish_soon(r, -EPIPE, 0);
		else
			send_request(r);
	}
}

/* Another agent than ours, or one that does not know the job, is no agent. */
static int
on_hello_again(struct link *l, const json_t *hello)
{
	if (!l->job || strcmp(json_str(hello, "job", ""), l->job) != 0)
		return -EPROTO;
	if (l->version >= 2) {
		outgoing_stored_up_to(l->outgoing, json_int(hello, "stored", 0));
		settle_stored(l);
	}
	resume(l);
	if (json_bool(hello, "cancelled", false))
		l->ops.cancel(l->arg, -1);
	return 0;
}

/* A full disk may have room again. Without the job's folder, or after the time that an agent waits
 * for a host, there is nobody to come back to. */
static void
save_again(struct link *l)
{
	int r = l->state >= WIRE_RUNNING ? outgoing_save(l->outgoing) : 0;

	if (r == -ENOENT || clock_mono_ms() - l->away_since_ms > AWAY_MAX_MS)
		outgoing_let_go(l->outgoing);
	settle_stored(l);
}

static int on_message(void *arg, struct ipc_message *m);

static void
on_dial(evutil_socket_t unused, short what, void *arg)
{
	struct link *l = arg;
	int fd;

	(void)unused;
	(void)what;
	if (l->greeting) { /* it took the call and said nothing */
		hang_up(l);
		return;
	}
	fd = dial(l->socket);
	if (fd < 0) {
		save_again(l);
		dial_later(l);
		return;
	}
	l->greeting = true;
	l->ipc = ipc_new(l->base, fd, on_message, on_end, l);
	send_hello(l);
	arm(l->dial, GREETING_MS);
}

/* ------------------------------------------------------------- receiving */

static void
on_result(struct link *l, struct ipc_message *m)
{
	int64_t id = json_int(m->json, "id", 0);
	struct answer a = {json_incref(m->json), m->body ? xmemdup(m->body, m->body_len) : NULL,
			   m->body_len};

	list_each (it, tmp, &l->requests) {
		struct request *r = list_entry(it, struct request, link);

		if (r->id != id)
			continue;
		finish(r, 0, &a);
		break;
	}
	answer_done(&a);
}

static void
on_stored(struct link *l, int64_t seq)
{
	outgoing_stored(l->outgoing, seq);
	/* Stored by an agent before this one: what it answered was lost with it. */
	if (outgoing_was_resent(l->outgoing, seq))
		settle_stored(l);
}

static int
on_hello(struct link *l, struct ipc_message *m)
{
	int64_t min = json_int(m->json, "ipc", 0);

	l->version = wire_version(min, json_int(m->json, "ipc_max", min), NULL);
	if (l->version < 0)
		return -EPROTO;
	if (l->greeting)
		return on_hello_again(l, m->json);
	l->state = WIRE_GREETED;
	l->job = xstrdup(json_str(m->json, "job", ""));
	free(l->token);
	l->token = xstrdup(json_str(m->json, "token", ""));
	return l->ops.hello(l->arg, m->json, m->body, m->body_len, m->fds, m->fd_count);
}

static int
on_message(void *arg, struct ipc_message *m)
{
	struct link *l = arg;
	enum wire_state state = l->greeting ? WIRE_NEW : l->state;
	const char *type;
	int r = wire_check(WIRE_FROM_AGENT, state, m->json, &type, NULL);

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
	} else if (strcmp(type, "notify") == 0) {
		l->ops.notify(l->arg, json_str(m->json, "event", ""), m->body, m->body_len);
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

	if (l->away || ipc_queued(l->ipc) > LOG_QUEUE_MAX) {
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
	autojson json_t *owned = json;

	return outgoing_add(l->outgoing, l->away ? NULL : l->ipc, owned, body, len, ret_stored,
			    NULL);
}

size_t
link_unstored(const struct link *l)
{
	return outgoing_unstored(l->outgoing);
}

bool
link_all_stored(const struct link *l)
{
	return outgoing_unstored(l->outgoing) == 0;
}

/* ------------------------------------------------------------ connection */

struct link *
link_new(struct event_base *base, int fd, const struct link_ops *ops, void *arg)
{
	struct link *l = xcalloc(1, sizeof(*l));

	l->base = base;
	l->ops = *ops;
	l->arg = arg;
	l->token = xstrdup("");
	l->next_id = 1;
	l->outgoing = outgoing_new();
	list_init(&l->requests);
	l->dial = evtimer_new(base, on_dial, l);
	l->dial_ms = RETURN_FIRST_MS;
	l->ipc = ipc_new(base, fd, on_message, on_end, l);
	send_hello(l);
	return l;
}

struct link *
link_free(struct link *l)
{
	if (!l)
		return NULL;
	list_each (it, tmp, &l->requests)
		link_drop(list_entry(it, struct request, link));
	outgoing_free(l->outgoing);
	ipc_free(l->ipc);
	event_free(l->dial);
	free(l->token);
	free(l->job);
	free(l->socket);
	free(l);
	return NULL;
}

bool
link_is_away(const struct link *l)
{
	return l->away;
}

void
link_set_return(struct link *l, const char *work_dir, const char *socket)
{
	outgoing_set_folder(l->outgoing, work_dir);
	free(l->socket);
	l->socket = xstrdup(socket);
}
