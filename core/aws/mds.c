/* SPDX-License-Identifier: Apache-2.0 */
/* ec2messages. One long poll at a time, the next at once after an answer: the service holds the
 * poll, we do not sleep. Only what fails, or what answers at once and empty again and again, is
 * slowed down. */
#include "core/aws/mds.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/sbuf.h"

#define VISIBILITY_S 10
#define ANSWER_ATTEMPTS 4
#define ANSWER_TIMEOUT_MS 20000
#define BODY_MAX (8u * 1024u * 1024u)
#define DESTINATION_MIN 10
#define ID_MIN 16
#define NO_KEY_CAP_MS 5000
#define REFUSED_BASE_MS 5000
#define REFUSED_CAP_MS 300000
/* Nobody there, or somebody else: the node is back 15 s after link, name service or proxy are. A
 * service that says itself that it is in trouble gets the longer waits. */
#define UNREACHED_CAP_MS 15000

/* A connection that broke after this long was a poll that somebody on the way did not want to
 * hold: no reason to wait longer each time. */
#define LONG_POLL_MS 10000
/* An empty answer sooner than this is no long poll; so many are let pass. */
#define QUICK_MS 1000
#define QUICK_FREE 3
#define QUICK_WAIT_MS 100
#define QUICK_WAIT_MAX_MS 2000

struct mds {
	struct event_base *base;
	struct aws *aws;
	char *instance_id;
	int64_t poll_timeout_ms;
	mds_messages_fn *messages;
	mds_state_fn *state;
	void *arg;

	bool on, resting;
	struct aws_call *call; /* the poll under way */
	int64_t since_ms;
	struct event *next; /* the wait before the next one */
	struct retry retry;
	enum retry_class last_class;
	unsigned quick; /* empty answers in a row that came at once */
	struct list refusals;
};

/* A call that was refused here, on its way to be told. */
struct refusal {
	struct list link;
	struct event *event;
	char *text;
	aws_done_fn *done;
	void *arg;
};

struct op {
	const char *target;
	const char *body;
	size_t body_len;
	int64_t timeout_ms;
	unsigned attempts;
};

static struct aws_call *
start_op(struct mds *m, const struct op *op, aws_done_fn *done, void *arg, struct err *e)
{
	struct aws_request r = {
		.service = "ec2messages",
		.target = op->target,
		.body = op->body,
		.body_len = op->body_len,
		.timeout_ms = op->timeout_ms,
		.attempts = op->attempts,
	};

	return aws_start(m->aws, &r, done, arg, e);
}

static void
add_member(struct sbuf *b, const char *name, const char *value, size_t len)
{
	sbuf_addf(b, "%c\"%s\":", b->len == 0 ? '{' : ',', name);
	json_add_string_go(b, value, len);
}

static void
wait_ms(struct mds *m, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	evtimer_add(m->next, &tv);
}

/* One back-off per kind of failure: what throttles us and what does not answer have nothing to do
 * with each other. */
static void
retry_of(enum retry_class class, int result, int status, struct retry *ret)
{
	if (result == -ENOKEY)
		/* The credential cache has a back-off of its own. */
		retry_init(ret, RETRY_BASE_MS, NO_KEY_CAP_MS);
	else if (class == RETRY_THROTTLED)
		retry_init(ret, RETRY_THROTTLED_BASE_MS, RETRY_THROTTLED_CAP_MS);
	else if (class == RETRY_AUTH || class == RETRY_NO)
		retry_init(ret, REFUSED_BASE_MS, REFUSED_CAP_MS);
	else
		retry_init(ret, RETRY_BASE_MS, status >= 500 ? RETRY_CAP_MS : UNREACHED_CAP_MS);
}

/* A service in trouble and one that is not reached may take turns: one row of waits. */
static bool
starts_anew(const struct mds *m, enum retry_class class, const struct retry *fresh)
{
	if (class != m->last_class)
		return true;
	if (class == RETRY_TRANSPORT)
		return clock_mono_ms() - m->since_ms >= LONG_POLL_MS;
	return fresh->cap_ms != m->retry.cap_ms;
}

static void
fail_poll(struct mds *m, const struct aws_reply *r)
{
	struct retry fresh;
	int64_t ms;

	retry_of(r->retry, r->result, r->status, &fresh);
	if (starts_anew(m, r->retry, &fresh))
		m->retry = fresh;
	m->retry.cap_ms = fresh.cap_ms;
	m->last_class = r->retry;
	if (m->resting)
		return;
	ms = retry_next_ms(&m->retry, r->retry_after_ms);
	wait_ms(m, ms);
	m->state(m->arg, r->result, r->text, ms);
}

/* A failure that no call told. */
static void
fail_poll_here(struct mds *m, int result, const char *text, enum retry_class class)
{
	const struct aws_reply r = { .result = result, .text = text, .retry = class };

	fail_poll(m, &r);
}

static int64_t
quick_wait_ms(struct mds *m, bool empty)
{
	unsigned over;

	if (!empty || clock_mono_ms() - m->since_ms >= QUICK_MS) {
		m->quick = 0;
		return 0;
	}
	if (++m->quick <= QUICK_FREE)
		return 0;
	over = m->quick - QUICK_FREE - 1;
	return over >= 5 ? QUICK_WAIT_MAX_MS : QUICK_WAIT_MS << over;
}

static void poll_once(struct mds *m);

/* The next poll is under way while the messages are handled. */
static void
take_messages(struct mds *m, json_t *messages)
{
	bool empty = json_array_size(messages) == 0;
	int64_t ms = quick_wait_ms(m, empty);

	retry_reset(&m->retry);
	if (!m->resting)
		m->state(m->arg, 0, "", 0);
	if (!m->on)
		return; /* they come again */
	if (m->resting)
		m->quick = 0;
	else if (ms > 0)
		wait_ms(m, ms);
	else
		poll_once(m);
	if (!empty)
		m->messages(m->arg, messages);
}

int
mds_read_messages(const json_t *answer, json_t **ret, struct err *e)
{
	json_t *messages = json_object_get(answer, "Messages");

	if (!json_is_object(answer))
		return err_set(e, -EPROTO, "GetMessages: the answer is not a JSON object");
	if (messages && !json_is_null(messages) && !json_is_array(messages))
		return err_set(e, -EPROTO, "GetMessages: 'Messages' is not a list");
	*ret = json_array_size(messages) > 0 ? messages : NULL;
	return 0;
}

static void
on_poll(void *arg, const struct aws_reply *r)
{
	struct mds *m = arg;
	json_t *messages;
	struct err e = { 0 };

	m->call = NULL;
	if (r->result < 0)
		fail_poll(m, r);
	else if (mds_read_messages(r->json, &messages, &e) < 0)
		fail_poll_here(m, -EPROTO, err_text(&e), RETRY_TRANSPORT);
	else
		take_messages(m, messages);
}

static void
poll_once(struct mds *m)
{
	char id[RAND_UUID_SIZE];
	struct sbuf b = SBUF_INIT(BODY_MAX);
	autofree char *body = NULL;
	struct op op = { .target = "EC2WindowsMessageDeliveryService.GetMessages",
			 .timeout_ms = m->poll_timeout_ms,
			 .attempts = 1 };
	struct err e = { 0 };

	rand_uuid4(id);
	add_member(&b, "Destination", m->instance_id, strlen(m->instance_id));
	add_member(&b, "MessagesRequestId", id, strlen(id));
	sbuf_addf(&b, ",\"VisibilityTimeoutInSeconds\":%d}", VISIBILITY_S);
	body = sbuf_take(&b, &op.body_len);
	op.body = body;
	m->since_ms = clock_mono_ms();
	if (strlen(m->instance_id) < DESTINATION_MIN)
		err_set(&e, -EINVAL,
			"GetMessages: the instance id '%s' is shorter than %d "
			"characters",
			m->instance_id, DESTINATION_MIN);
	else
		m->call = start_op(m, &op, on_poll, m, &e);
	if (!m->call)
		fail_poll_here(m, e.code, err_text(&e), RETRY_NO);
}

static void
on_next(evutil_socket_t fd, short what, void *arg)
{
	struct mds *m = arg;

	(void)fd;
	(void)what;
	if (m->on && !m->call && !m->resting)
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
	list_init(&m->refusals);
	retry_of(RETRY_TRANSPORT, 0, 0, &m->retry);
	m->last_class = RETRY_TRANSPORT;
	m->next = evtimer_new(o->base, on_next, m);
	assert(m->next);
	return m;
}

static void
refusal_free(struct refusal *r)
{
	list_remove(&r->link);
	event_free(r->event);
	free(r->text);
	free(r);
}

struct mds *
mds_free(struct mds *m)
{
	if (!m)
		return NULL;
	list_each(it, next, &m->refusals)
		refusal_free(list_entry(it, struct refusal, link));
	aws_cancel(m->call);
	event_free(m->next);
	free(m->instance_id);
	free(m);
	return NULL;
}

void
mds_poll(struct mds *m, bool on)
{
	if (m->on == on)
		return;
	m->on = on;
	if (on) {
		wait_ms(m, 0); /* STATE is never called from within */
		return;
	}
	aws_cancel(m->call);
	m->call = NULL;
	evtimer_del(m->next);
}

void
mds_rest(struct mds *m, bool rest)
{
	if (m->resting == rest)
		return;
	m->resting = rest;
	if (rest)
		evtimer_del(m->next);
	else
		mds_poll_now(m);
}

void
mds_poll_now(struct mds *m)
{
	if (!m->on || m->call || m->resting)
		return;
	retry_reset(&m->retry);
	wait_ms(m, 0);
}

static void
on_refusal(evutil_socket_t fd, short what, void *arg)
{
	struct refusal *r = arg;
	struct refusal told = *r;
	autofree char *text = TAKE(r->text);
	struct aws_reply reply = { .result = -EINVAL, .text = text, .body = "", .retry = RETRY_NO };

	(void)fd;
	(void)what;
	refusal_free(r);
	told.done(told.arg, &reply);
}

static struct aws_call *
refuse(struct mds *m, const char *text, aws_done_fn *done, void *arg)
{
	struct refusal *r = xcalloc(1, sizeof(*r));
	struct timeval now = { 0, 0 };

	r->text = xstrdup(text);
	r->done = done;
	r->arg = arg;
	r->event = evtimer_new(m->base, on_refusal, r);
	assert(r->event);
	list_append(&m->refusals, &r->link);
	evtimer_add(r->event, &now);
	return NULL;
}

/* B holds the members but the last brace; it is freed. */
static struct aws_call *
start_answer(struct mds *m, const char *target, struct sbuf *b, aws_done_fn *done, void *arg)
{
	struct op op = { .target = target,
			 .timeout_ms = ANSWER_TIMEOUT_MS,
			 .attempts = ANSWER_ATTEMPTS };
	struct aws_call *call;
	struct err e = { 0 };

	if (sbuf_addc(b, '}') < 0) {
		sbuf_done(b);
		return refuse(m, "the reply is larger than 8 MiB", done, arg);
	}
	op.body = b->p;
	op.body_len = b->len;
	call = start_op(m, &op, done, arg, &e);
	sbuf_done(b);
	return call ? call : refuse(m, err_text(&e), done, arg);
}

static struct aws_call *
simple_answer(struct mds *m, const char *target, const char *failure_type, const char *message_id,
	      aws_done_fn *done, void *arg)
{
	struct sbuf b = SBUF_INIT(BODY_MAX);

	if (strlen(message_id) < ID_MIN)
		return refuse(m, "the MessageId is shorter than 16 characters", done, arg);
	if (failure_type)
		add_member(&b, "FailureType", failure_type, strlen(failure_type));
	add_member(&b, "MessageId", message_id, strlen(message_id));
	return start_answer(m, target, &b, done, arg);
}

struct aws_call *
mds_acknowledge(struct mds *m, const char *message_id, aws_done_fn *done, void *arg)
{
	return simple_answer(m, "EC2WindowsMessageDeliveryService.AcknowledgeMessage", NULL,
			     message_id, done, arg);
}

struct aws_call *
mds_fail(struct mds *m, const char *message_id, const char *failure_type, aws_done_fn *done,
	 void *arg)
{
	return simple_answer(m, "EC2WindowsMessageDeliveryService.FailMessage", failure_type,
			     message_id, done, arg);
}

struct aws_call *
mds_delete(struct mds *m, const char *message_id, aws_done_fn *done, void *arg)
{
	return simple_answer(m, "EC2WindowsMessageDeliveryService.DeleteMessage", NULL, message_id,
			     done, arg);
}

struct aws_call *
mds_reply(struct mds *m, const char *message_id, const char *reply_id, const char *payload,
	  size_t len, aws_done_fn *done, void *arg)
{
	struct sbuf b = SBUF_INIT(BODY_MAX);

	if (strlen(message_id) < ID_MIN)
		return refuse(m, "the MessageId is shorter than 16 characters", done, arg);
	if (strlen(reply_id) < ID_MIN)
		return refuse(m, "the ReplyId is shorter than 16 characters", done, arg);
	add_member(&b, "MessageId", message_id, strlen(message_id));
	add_member(&b, "Payload", payload, len);
	add_member(&b, "ReplyId", reply_id, strlen(reply_id));
	return start_answer(m, "EC2WindowsMessageDeliveryService.SendReply", &b, done, arg);
}
