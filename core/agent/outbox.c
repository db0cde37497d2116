/* SPDX-License-Identifier: Apache-2.0 */
/* Replies on their way to the service.
 *
 * Each message has its own row of replies, and one of a row is under way at a time. When a try
 * fails and nothing else got through meanwhile, it is the service that is away: then the line is
 * closed, and after each wait one row tries for all, so that a thousand waiting rows do not make a
 * thousand requests.
 */
#include "core/agent/outbox.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/aws/mds.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/net/retry.h"

#define UNREAD_MS 1000 /* until a text that could not be read is tried again */

struct outbox_line {
	const struct outbox_carrier *carrier;
	void *carrier_arg;
	struct event_base *base;
	struct event *timer;
	struct list waiting; /* rows that may go on once the service answers */
	struct retry retry;
	bool closed;
	int64_t not_before_ms; /* monotonic: Retry-After, which nothing cuts short */
	unsigned in_flight;
	uint64_t answers; /* of the service, whatever it said */
};

struct item {
	struct list link;
	struct outbox_item pub;
	char *payload;
	size_t len;
};

struct outbox {
	struct outbox_line *line;
	char *message_id, *via, *topic, *route;
	const struct outbox_ops *ops;
	void *arg;
	outbox_local_fn *local; /* who takes them instead of the service, or NULL */
	struct list items;
	struct list wait_link;
	enum outbox_pause pause;
	bool has_final;
	int64_t expires_ms;
	void *call;
	uint64_t answers_before; /* the line's, when the call was made */
	struct retry retry;
	struct event *timer; /* its own back-off, while others get through */
};

static void pump(struct outbox *o);
static void send_first(struct outbox *o);

/* ---------------------------------------------------------------- line */

static void
line_arm(struct outbox_line *l, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	(void)event_add(l->timer, &tv);
}

static void expire_all(struct outbox_line *l);

/* Closed, and nobody is trying nor will: let the next one. */
static void
line_go_on(struct outbox_line *l)
{
	if (l->closed && l->in_flight == 0 && !evtimer_pending(l->timer, NULL))
		line_arm(l, 0);
}

/* One row tries for all. */
static void
on_line_timer(evutil_socket_t fd, short what, void *arg)
{
	struct outbox_line *l = arg;
	struct outbox *o;

	(void)fd;
	(void)what;
	expire_all(l);
	o = list_first(&l->waiting, struct outbox, wait_link);
	if (!o) {
		l->closed = false;
		return;
	}
	list_remove(&o->wait_link);
	send_first(o);
	line_go_on(l);
}

static void *
mds_send(void *arg, const struct outbox_letter *l,
	 void (*done)(void *done_arg, const struct aws_reply *r), void *done_arg)
{
	return mds_reply(arg, l->message_id, l->reply_id, l->payload, l->len, done, done_arg);
}

static void
mds_cancel(void *call)
{
	aws_cancel(call);
}

struct outbox_line *
outbox_line_new(struct event_base *base, struct mds *mds)
{
	static const struct outbox_carrier by_mds = { mds_send, mds_cancel };

	return outbox_line_new_by(base, &by_mds, mds);
}

struct outbox_line *
outbox_line_new_by(struct event_base *base, const struct outbox_carrier *carrier, void *arg)
{
	struct outbox_line *l = xcalloc(1, sizeof(*l));

	l->base = base;
	l->carrier = carrier;
	l->carrier_arg = arg;
	l->timer = evtimer_new(base, on_line_timer, l);
	list_init(&l->waiting);
	retry_init(&l->retry, 500, 60000);
	return l;
}

struct outbox_line *
outbox_line_free(struct outbox_line *l)
{
	if (!l)
		return NULL;
	event_free(l->timer);
	free(l);
	return NULL;
}

void
outbox_line_kick(struct outbox_line *l)
{
	int64_t left = l->not_before_ms - clock_mono_ms();

	if (l->closed && evtimer_pending(l->timer, NULL))
		line_arm(l, left > 0 ? left : 0);
}

static void
line_close(struct outbox_line *l, int64_t wait_ms, int64_t after_ms)
{
	l->closed = true;
	l->not_before_ms = clock_mono_ms() + after_ms;
	if (!evtimer_pending(l->timer, NULL))
		line_arm(l, wait_ms);
}

static void
line_answered(struct outbox_line *l)
{
	struct list now;

	l->answers++;
	retry_reset(&l->retry);
	if (!l->closed)
		return;
	l->closed = false;
	(void)event_del(l->timer);
	list_init(&now);
	list_each(it, tmp, &l->waiting) {
		list_remove(it);
		list_append(&now, it);
	}
	while (!list_empty(&now)) {
		struct outbox *o = list_first(&now, struct outbox, wait_link);

		list_remove(&o->wait_link);
		pump(o);
	}
}

/* ---------------------------------------------------------------- rows */

static struct item *
first_item(const struct outbox *o)
{
	return list_first(&o->items, struct item, link);
}

static void
item_free(struct item *it)
{
	list_remove(&it->link);
	free(it->payload);
	free(it);
}

/* Take the first item out and tell the owner, who may free O when it is final. */
static void
settle(struct outbox *o, const char *why)
{
	struct item *it = first_item(o);
	struct outbox_item pub = it->pub;

	if (why)
		log_warn("outbox", "reply %s to message '%s' is dropped: %s", pub.reply_id,
			 o->message_id, why);
	item_free(it);
	o->ops->done(o->arg, &pub, why);
	if (!pub.final)
		pump(o);
}

static bool
is_expired(const struct outbox *o)
{
	return o->expires_ms && clock_wall_ms() > o->expires_ms;
}

static void
drop_all(struct outbox *o)
{
	bool last = false;

	o->pause = OUTBOX_KEEP_ALL;
	while (!last && !list_empty(&o->items)) {
		last = first_item(o)->pub.final || o->items.next->next == &o->items;
		settle(o, "the service did not take it within two hours after the job's end");
	}
}

static void
expire_all(struct outbox_line *l)
{
	list_each(it, tmp, &l->waiting) {
		struct outbox *o = list_entry(it, struct outbox, wait_link);

		if (!is_expired(o))
			continue;
		list_remove(it);
		drop_all(o);
	}
}

static bool may_send(const struct outbox *o);
static void deliver_first(struct outbox *o);

static void
on_own_timer(evutil_socket_t fd, short what, void *arg)
{
	struct outbox *o = arg;

	(void)fd;
	(void)what;
	if (!o->local)
		pump(o);
	else if (may_send(o))
		deliver_first(o);
}

static void
wait_alone(struct outbox *o, int64_t ms)
{
	struct timeval tv;

	if (!o->timer)
		o->timer = evtimer_new(o->line->base, on_own_timer, o);
	clock_timeval(ms, &tv);
	(void)event_add(o->timer, &tv);
}

static void
set_pace(struct retry *r, enum retry_class class)
{
	r->base_ms = class == RETRY_THROTTLED ? 2000 : class == RETRY_AUTH ? 5000 : 500;
	r->cap_ms = class == RETRY_THROTTLED || class == RETRY_AUTH ? 300000 : 60000;
}

/* A right that is missing now may be given later, and the reply is as good then. */
static bool
is_denied(const struct aws_reply *r)
{
	return text_starts(r->code, "AccessDenied");
}

static void
not_sent(struct outbox *o, const struct aws_reply *r)
{
	struct outbox_line *l = o->line;
	enum retry_class class = is_denied(r) ? RETRY_AUTH : r->retry;
	bool alone = l->answers != o->answers_before;

	log_debug("outbox", "reply to message '%s' will be sent again: %s", o->message_id, r->text);
	if (is_expired(o)) {
		drop_all(o);
		return;
	}
	if (alone) {
		set_pace(&o->retry, class);
		wait_alone(o, retry_next_ms(&o->retry, r->retry_after_ms));
		return;
	}
	list_append(&l->waiting, &o->wait_link);
	if (!l->closed || !evtimer_pending(l->timer, NULL)) {
		set_pace(&l->retry, class);
		line_close(l, retry_next_ms(&l->retry, r->retry_after_ms), r->retry_after_ms);
	}
}

static bool
is_refusal(const struct aws_reply *r)
{
	return r->result == -EREMOTEIO && r->retry == RETRY_NO && r->status >= 400 &&
		r->status < 500 && !is_denied(r);
}

static void
on_sent(void *arg, const struct aws_reply *r)
{
	struct outbox *o = arg;
	struct outbox_line *l = o->line;

	o->call = NULL;
	l->in_flight--;
	if (r->result != 0 && !is_refusal(r)) {
		not_sent(o, r);
		return;
	}
	retry_reset(&o->retry);
	settle(o, r->result == 0 ? NULL : r->text);
	line_answered(l);
}

/* The text of the first item, which may be READ for that; NULL: not now, or never. */
static const char *
first_payload(struct outbox *o, char **read, size_t *ret_len)
{
	struct item *it = first_item(o);
	int r;

	*ret_len = it->len;
	if (it->payload)
		return it->payload;
	r = o->ops->payload(o->arg, &it->pub, read, ret_len);
	if (err_may_pass(r) && !is_expired(o))
		wait_alone(o, UNREAD_MS);
	else if (r < 0)
		settle(o, "its text cannot be read from the journal");
	return r < 0 ? NULL : *read;
}

static void
deliver_first(struct outbox *o)
{
	autofree char *read = NULL;
	size_t len;
	const char *payload = first_payload(o, &read, &len);
	int r = payload ? o->local(o->arg, &first_item(o)->pub, payload, len) : 0;

	if (!payload)
		return;
	if (err_may_pass(r) && !is_expired(o)) {
		wait_alone(o, retry_next_ms(&o->retry, 0));
		return;
	}
	retry_reset(&o->retry);
	settle(o, r < 0 ? strerror(-r) : NULL);
}

static void
send_first(struct outbox *o)
{
	struct item *it = first_item(o);
	autofree char *read = NULL;
	size_t len;
	const char *payload = first_payload(o, &read, &len);
	struct outbox_letter letter;

	if (!payload)
		return;
	o->answers_before = o->line->answers;
	letter = (struct outbox_letter){ .message_id = o->message_id,
					 .reply_id = it->pub.reply_id,
					 .via = o->via,
					 .topic = o->topic,
					 .route = o->route,
					 .payload = payload,
					 .len = len,
					 .final = it->pub.final,
					 .notice = it->pub.notice };
	o->call = o->line->carrier->send(o->line->carrier_arg, &letter, on_sent, o);
	if (o->call)
		o->line->in_flight++;
	else
		settle(o, "the request cannot be made from it");
}

static bool
may_send(const struct outbox *o)
{
	const struct item *it = first_item(o);

	return it && !o->call && o->pause != OUTBOX_KEEP_ALL &&
		!(it->pub.final && o->pause == OUTBOX_KEEP_FINAL) &&
		!(o->timer && evtimer_pending(o->timer, NULL)) && list_empty(&o->wait_link);
}

static void
pump(struct outbox *o)
{
	if (!may_send(o))
		return;
	if (o->local)
		wait_alone(o, 0);
	else if (is_expired(o))
		drop_all(o);
	else if (o->line->closed)
		list_append(&o->line->waiting, &o->wait_link);
	else
		send_first(o);
}

struct outbox *
outbox_new(struct outbox_line *l, const char *message_id, const struct outbox_ops *ops, void *arg)
{
	struct outbox *o = xcalloc(1, sizeof(*o));

	o->line = l;
	o->message_id = xstrdup(message_id);
	o->ops = ops;
	o->arg = arg;
	list_init(&o->items);
	list_init(&o->wait_link);
	retry_init(&o->retry, 500, 60000);
	return o;
}

void
outbox_address(struct outbox *o, const char *via, const char *topic, const char *route)
{
	o->via = xstrdup(via);
	o->topic = xstrdup(topic);
	o->route = xstrdup(route);
}

struct outbox *
outbox_free(struct outbox *o)
{
	if (!o)
		return NULL;
	list_remove(&o->wait_link);
	if (o->call) {
		o->line->carrier->cancel(o->call);
		o->line->in_flight--;
		line_go_on(o->line);
	}
	if (o->timer)
		event_free(o->timer);
	while (!list_empty(&o->items))
		item_free(first_item(o));
	free(o->message_id);
	free(o->via);
	free(o->topic);
	free(o->route);
	free(o);
	return NULL;
}

void
outbox_set_local(struct outbox *o, outbox_local_fn *fn)
{
	o->local = fn;
}

void
outbox_add(struct outbox *o, const struct outbox_item *item, char *payload, size_t len)
{
	struct item *it;

	if (o->has_final) {
		free(payload);
		return;
	}
	it = xcalloc(1, sizeof(*it));
	it->pub = *item;
	it->payload = payload;
	it->len = len;
	o->has_final = item->final;
	list_append(&o->items, &it->link);
	pump(o);
}

void
outbox_forget(struct outbox *o, const char *reply_id)
{
	list_each(l, tmp, &o->items) {
		struct item *it = list_entry(l, struct item, link);

		if (strcmp(it->pub.reply_id, reply_id) == 0 && !(o->call && it == first_item(o)))
			item_free(it);
	}
}

void
outbox_pause(struct outbox *o, enum outbox_pause how)
{
	o->pause = how;
	pump(o);
}

void
outbox_expire(struct outbox *o, int64_t unix_ms)
{
	o->expires_ms = unix_ms;
}

bool
outbox_empty(const struct outbox *o)
{
	return list_empty(&o->items);
}
