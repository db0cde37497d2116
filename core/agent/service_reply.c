/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that go back by the service which has delivered the message: handed to its host as a
 * notification, kept by the outbox until it confirms them. */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/outbox.h"
#include "core/agent/service_parts.h"
#include "core/agent/services.h"
#include "core/aws/call.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/ipc/wire.h"

#define CONFIRM_MS 60000

struct service_reply {
	struct list link; /* of its host; alone when there is none */
	char reply_id[RAND_UUID_SIZE];
	struct event *timer;
	int result;
	const char *why;
	void (*done)(void *arg, const struct aws_reply *r);
	void *arg;
};

static void
reply_free(struct service_reply *r)
{
	list_remove(&r->link);
	event_free(r->timer);
	free(r);
}

/* A refusal for good is what the service itself would have said to it. */
static void
finish(struct service_reply *r, int result, const char *why)
{
	bool refused = result == -EMSGSIZE || result == -EINVAL;
	struct aws_reply a = { .result = refused ? -EREMOTEIO : result,
			       .status = refused ? 400 : 0,
			       .text = why,
			       .body = "",
			       .retry = refused || result == 0 ? RETRY_NO : RETRY_TRANSPORT };
	void (*done)(void *arg, const struct aws_reply *r) = r->done;
	void *arg = r->arg;

	reply_free(r);
	done(arg, &a);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct service_reply *r = arg;

	(void)fd;
	(void)what;
	finish(r, r->result, r->why);
}

static void
fail_in(struct service_reply *r, int64_t ms, int result, const char *why)
{
	struct timeval tv;

	r->result = result;
	r->why = why;
	clock_timeval(ms, &tv);
	(void)event_add(r->timer, &tv);
}

static json_t *
event_of(const struct outbox_letter *l)
{
	json_t *payload = json_stringn(l->payload, l->len);

	if (!payload)
		return NULL;
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:o}", "reply_id", l->reply_id,
			 "message_id", l->message_id, "topic", l->topic ? l->topic : "", "route",
			 l->route ? l->route : "", "final", l->final, "notice", l->notice,
			 "payload", payload);
}

static int
hand_over(struct service_host *h, const struct outbox_letter *l)
{
	autojson json_t *event = event_of(l);
	autofree char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
	json_t *m;

	if (!text)
		return -EINVAL;
	m = wire_new("notify");
	(void)json_object_set_new(m, "event", json_string("reply"));
	return hostproc_send(h->host, m, text, strlen(text));
}

static void *
carry(void *arg, const struct outbox_letter *l,
      void (*done)(void *done_arg, const struct aws_reply *r), void *done_arg)
{
	struct services *s = arg;
	struct service_host *h = l->via ? services_find(s, l->via) : NULL;
	struct service_reply *r = xcalloc(1, sizeof(*r));
	int res = h && h->host && h->open ? hand_over(h, l) : -ENOTCONN;

	list_init(&r->link);
	r->timer = evtimer_new(services_base(s), on_timer, r);
	r->done = done;
	r->arg = done_arg;
	(void)snprintf(r->reply_id, sizeof(r->reply_id), "%s", l->reply_id);
	if (res == 0) {
		list_append(&h->replies, &r->link);
		fail_in(r, CONFIRM_MS, -ETIMEDOUT, "the service did not confirm it within 60 s");
	} else {
		fail_in(r, 0, res,
			res == -ENOTCONN ? "the way that it has to take is closed"
					 : "it cannot be handed to the service");
	}
	return r;
}

static void
drop(void *handle)
{
	reply_free(handle);
}

const struct outbox_carrier *
services_carrier(void)
{
	static const struct outbox_carrier carrier = { carry, drop };

	return &carrier;
}

void
service_reply_done(struct service_host *h, const char *reply_id, int status)
{
	list_each(it, tmp, &h->replies) {
		struct service_reply *r = list_entry(it, struct service_reply, link);

		if (strcmp(r->reply_id, reply_id) != 0)
			continue;
		finish(r, status, status == 0 ? "taken" : strerror(-status));
		return;
	}
}

/* From the loop: what follows may send others. */
void
service_replies_fail(struct service_host *h, const char *why)
{
	while (!list_empty(&h->replies)) {
		struct service_reply *r = list_first(&h->replies, struct service_reply, link);

		list_remove(&r->link);
		fail_in(r, 0, -EPIPE, why);
	}
}
