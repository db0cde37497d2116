/* SPDX-License-Identifier: Apache-2.0 */
/* ec2messages. One long poll at a time and no pause between two of them: the service paces us, and
 * only failures make us wait. */
#include "core/aws/mds.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/rand.h"

#define TARGET "EC2WindowsMessageDeliveryService."
#define VISIBILITY_S 10
#define ANSWER_ATTEMPTS 4u
#define ANSWER_MS 20000
#define MESSAGE_ID_MIN 16u
#define REFUSED_BASE_MS 5000
#define REFUSED_CAP_MS 300000
/* An answer without messages that came at once is a broken service: polls must not spin. */
#define QUICK_MS 500
#define QUICK_MAX 3u

struct mds {
	struct event_base *base;
	struct aws *aws;
	char *instance_id;
	int64_t poll_timeout_ms;
	mds_messages_fn *messages;
	mds_state_fn *state;
	void *arg;
	bool on;
	struct aws_call *poll;
	struct event *timer;
	struct retry transport, throttled, refused;
	int64_t poll_began_ms;
	unsigned quick;
};

static void poll_once(struct mds *m);

static void
reset_waits(struct mds *m)
{
	retry_reset(&m->transport);
	retry_reset(&m->throttled);
	retry_reset(&m->refused);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mds *m = arg;

	(void)fd;
	(void)what;
	if (m->on && !m->poll)
		poll_once(m);
}

struct mds *
mds_new(const struct mds_options *o, mds_messages_fn *messages, mds_state_fn *state, void *arg)
{
	struct mds *m = xcalloc(1, sizeof(*m));

	m->base = o->base;
	m->aws = o->aws;
	m->instance_id = xstrdup(o->instance_id);
	m->poll_timeout_ms = o->poll_timeout_ms;
	m->messages = messages;
	m->state = state;
	m->arg = arg;
	m->timer = evtimer_new(m->base, on_timer, m);
	retry_init(&m->transport, RETRY_BASE_MS, RETRY_CAP_MS);
	retry_init(&m->throttled, RETRY_THROTTLED_BASE_MS, RETRY_THROTTLED_CAP_MS);
	retry_init(&m->refused, REFUSED_BASE_MS, REFUSED_CAP_MS);
	return m;
}

struct mds *
mds_free(struct mds *m)
{
	if (!m)
		return NULL;
	aws_cancel(m->poll);
	event_free(m->timer);
	free(m->instance_id);
	free(m);
	return NULL;
}

/* ------------------------------------------------------------------ poll */

static void
wait_ms(struct mds *m, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	event_add(m->timer, &tv);
}

static void
fail(struct mds *m, int result, const char *text, struct retry *r, int64_t at_least_ms)
{
	int64_t ms = retry_next_ms(r, at_least_ms);

	wait_ms(m, ms);
	m->state(m->arg, result, text, ms);
}

/* A poll that nobody answered in time is the normal end of a quiet one: the service may hold it as
 * long as we are ready to wait. */
static bool
is_quiet_end(const struct mds *m, const struct aws_reply *r)
{
	return r->result == -ETIMEDOUT &&
		clock_mono_ms() - m->poll_began_ms >= m->poll_timeout_ms - 1000;
}

static struct retry *
wait_for(struct mds *m, const struct aws_reply *r)
{
	switch (r->retry) {
	case RETRY_THROTTLED:
		return &m->throttled;
	case RETRY_NO:
	case RETRY_AUTH:
		return &m->refused;
	case RETRY_TRANSPORT:
	case RETRY_SKEW:
		break;
	}
	return &m->transport;
}

/* NULL when the body is not what GetMessages answers; an absent list is an empty one. */
static json_t *
list_of(const struct aws_reply *r)
{
	json_t *list;

	if (!json_is_object(r->json))
		return NULL;
	list = json_object_get(r->json, "Messages");
	if (!list || json_is_null(list))
		return json_array();
	return json_is_array(list) ? json_incref(list) : NULL;
}

static void
next_poll(struct mds *m, size_t count)
{
	bool quick = count == 0 && clock_mono_ms() - m->poll_began_ms < QUICK_MS;

	m->quick = quick ? m->quick + 1 : 0;
	if (m->quick > QUICK_MAX)
		wait_ms(m, QUICK_MS);
	else
		poll_once(m);
}

static void
on_poll(void *arg, const struct aws_reply *r)
{
	struct mds *m = arg;
	autojson json_t *list = NULL;

	m->poll = NULL;
	if (r->result < 0 && !is_quiet_end(m, r)) {
		fail(m, r->result, r->text, wait_for(m, r), r->retry_after_ms);
		return;
	}
	list = r->result < 0 ? json_array() : list_of(r);
	if (!list) {
		fail(m, -EPROTO, "the answer to GetMessages is not what it should be",
		     &m->transport, 0);
		return;
	}
	reset_waits(m);
	m->state(m->arg, 0, "", 0);
	/* The next poll is under way while the messages are handled. */
	next_poll(m, json_array_size(list));
	if (json_array_size(list))
		m->messages(m->arg, list);
}

static void
poll_once(struct mds *m)
{
	char id[RAND_UUID_SIZE];
	autojson json_t *body = NULL;
	autofree char *text = NULL;
	struct err e = { 0, "" };

	rand_uuid4(id);
	body = json_pack("{s:s,s:s,s:i}", "Destination", m->instance_id, "MessagesRequestId", id,
			 "VisibilityTimeoutInSeconds", VISIBILITY_S);
	text = json_text(body);
	struct aws_request q = {
		.service = "ec2messages",
		.target = TARGET "GetMessages",
		.body = text,
		.body_len = strlen(text),
		.timeout_ms = m->poll_timeout_ms,
	};
	m->poll_began_ms = clock_mono_ms();
	m->poll = aws_start(m->aws, &q, on_poll, m, &e);
	if (!m->poll)
		fail(m, e.code, err_text(&e), &m->refused, 0);
}

void
mds_poll(struct mds *m, bool on)
{
	if (m->on == on)
		return;
	m->on = on;
	event_del(m->timer);
	aws_cancel(m->poll);
	m->poll = NULL;
	if (on)
		poll_once(m);
}

void
mds_poll_now(struct mds *m)
{
	if (!m->on || m->poll)
		return;
	event_del(m->timer);
	poll_once(m);
}

/* --------------------------------------------------------------- answers */

/* A local refusal comes by the callback like every other, from the loop. */
struct refusal {
	struct event *event;
	aws_done_fn *done;
	void *arg;
	struct err e;
};

static void
on_refusal(evutil_socket_t fd, short what, void *arg)
{
	struct refusal *f = arg;
	struct aws_reply r = { .result = f->e.code, .text = err_text(&f->e), .retry = RETRY_NO };

	(void)fd;
	(void)what;
	event_free(f->event);
	f->done(f->arg, &r);
	free(f);
}

static void
refuse(struct mds *m, const struct err *e, aws_done_fn *done, void *arg)
{
	const struct timeval now = { 0, 0 };
	struct refusal *f = xcalloc(1, sizeof(*f));

	f->done = done;
	f->arg = arg;
	f->e = *e;
	f->event = evtimer_new(m->base, on_refusal, f);
	event_add(f->event, &now);
}

/* Takes BODY. */
static struct aws_call *
answer(struct mds *m, const char *target, json_t *body, aws_done_fn *done, void *arg)
{
	autojson json_t *owned = body;
	autofree char *text = owned ? json_text(owned) : NULL;
	struct err e = { 0, "" };
	struct aws_request q = {
		.service = "ec2messages",
		.target = target,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.timeout_ms = ANSWER_MS,
		.attempts = ANSWER_ATTEMPTS,
	};
	const char *id = json_str(owned, "MessageId", "");
	struct aws_call *c = NULL;

	if (!owned)
		err_set(&e, -EINVAL, "an answer to a message is not valid UTF-8");
	else if (strlen(id) < MESSAGE_ID_MIN)
		err_set(&e, -EINVAL, "a message id has at least %u characters", MESSAGE_ID_MIN);
	else
		c = aws_start(m->aws, &q, done, arg, &e);
	if (!c)
		refuse(m, &e, done, arg);
	return c;
}

struct aws_call *
mds_acknowledge(struct mds *m, const char *message_id, aws_done_fn *done, void *arg)
{
	return answer(m, TARGET "AcknowledgeMessage", json_pack("{s:s}", "MessageId", message_id),
		      done, arg);
}

struct aws_call *
mds_fail(struct mds *m, const char *message_id, const char *failure_type, aws_done_fn *done,
	 void *arg)
{
	return answer(m, TARGET "FailMessage",
		      json_pack("{s:s,s:s}", "FailureType", failure_type, "MessageId", message_id),
		      done, arg);
}

struct aws_call *
mds_delete(struct mds *m, const char *message_id, aws_done_fn *done, void *arg)
{
	return answer(m, TARGET "DeleteMessage", json_pack("{s:s}", "MessageId", message_id), done,
		      arg);
}

struct aws_call *
mds_reply(struct mds *m, const char *message_id, const char *reply_id, const char *payload,
	  size_t len, aws_done_fn *done, void *arg)
{
	json_t *body = json_pack("{s:s,s:s%,s:s}", "MessageId", message_id, "Payload", payload, len,
				 "ReplyId", reply_id);

	return answer(m, TARGET "SendReply", body, done, arg);
}
