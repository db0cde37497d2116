/* SPDX-License-Identifier: Apache-2.0 */
/* The control channel: a token, a signed upgrade, the first message; then frames both ways.
 *
 * Why like this: the reader waits for nothing. A command goes to the agent, which answers when it
 * is on disk; that answer makes the acknowledgement. Nothing is kept here: what is not acknowledged
 * the service sends again, and replies stay with the agent until their acknowledgement came. */
#include "plugins/sessionManager/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "plugins/sessionManager/control_messages.h"
#include "plugins/sessionManager/frame.h"
#include "plugins/sessionManager/messages.h"
#include "plugins/sessionManager/session.h"
#include "plugins/sessionManager/ws.h"

#define SERVICE "ssmmessages"
#define PATH "/v1/control-channel/"
#define CALL_MS 15000
#define FIRST_WAIT_MS 2500 /* an outage of the service brings all nodes back at once */
#define WAIT_CAP_MS 60000
#define DENIED_WAIT_MS 5000
#define DENIED_CAP_MS 300000
#define STEADY_MS 60000 /* a channel that was open so long has worked */
#define CONFIRM_MS 5000
#define TASK_CONFIRM_MS 1000 /* of a session's result, and how often it is sent: spec 02 §5.6 */
#define TASK_TRIES 3u
#define DELIVERIES_MAX 1024u /* as the agent takes */
#define PAYLOAD_MAX ((size_t)FRAME_MAX_BYTES - FRAME_HEADER_BYTES)

enum state {
	CONTROL_WAITING,
	CONTROL_ASKING, /* for a token, then for a signature */
	CONTROL_DIALING,
	CONTROL_OPEN,
};

struct control {
	struct ssm *S;
	struct ssm_service *service;
	enum state state;
	struct ssm_watch *timer, *request;
	struct ws *ws;
	char *token;
	unsigned failures;
	int64_t opened_ms;
	char *told; /* the last failure that was logged as a warning */
	unsigned bad_frames;
	struct list deliveries, replies;
	unsigned delivery_count;
};

/* A command or session on its way to the agent's disk. */
struct job {
	struct list link;
	struct control *c;
	struct ssm_watch *watch;
	char *id;
	char *session; /* NULL: a command; "": the end of a session, which has no answer */
	char message_id[FRAME_UUID_SIZE];
	int64_t created_ms;
};

/* A reply that was sent and is not acknowledged. */
struct sent {
	struct list link;
	struct control *c;
	struct ssm_watch *timer;
	char id[RAND_UUID_SIZE];
	json_t *task; /* of a session: the event, to be sent again */
	unsigned tries;
};

/* Why global: a host has one service. */
static struct control *only;

static const char *
info(struct control *c, const char *key)
{
	const char *text = c->S->api->info(c->S, key);

	return text ? text : "";
}

static void
end_watch(struct control *c, struct ssm_watch **w)
{
	struct ssm_watch *old = TAKE(*w);

	if (old)
		c->S->api->watch_end(c->S, old);
}

static void
tell_state(struct control *c, const char *state)
{
	(void)c->S->api->service_state(c->S, c->service, state);
}

/* ------------------------------------------------------------------ sending */

/* ID NULL: a new one. 0 or ws_send()'s error. */
static int
send_frame(struct control *c, const char *type, const char *id, const struct sbuf *payload)
{
	struct frame f = { .schema = 1,
			   .created_ms = (uint64_t)clock_wall_ms(),
			   .payload = { payload->p, payload->len } };
	autosbuf struct sbuf out = SBUF_INIT(FRAME_MAX_BYTES);
	struct err e = { 0, "" };

	if (payload->err)
		return payload->err;
	memcpy(f.type, type, strlen(type));
	if (id)
		memcpy(f.id, id, strlen(id) < sizeof(f.id) ? strlen(id) : sizeof(f.id) - 1);
	else
		rand_uuid4(f.id);
	if (frame_write(&f, &out, &e) < 0) {
		ssm_log(c->S, SSM_WARN, "%s is not sent: %s", type, err_text(&e));
		return -EINVAL;
	}
	return c->ws && c->state == CONTROL_OPEN ? ws_send(c->ws, false, out.p, out.len) : -EPIPE;
}

/* ----------------------------------------------------------------- commands */

static void
job_free(struct job *j)
{
	list_remove(&j->link);
	j->c->delivery_count--;
	end_watch(j->c, &j->watch);
	free(j->id);
	free(j->session);
	free(j);
}

/* Lost, it comes once more when the command does. */
static void
acknowledge(struct control *c, const char *job_id, const char *message_id, int64_t created_ms,
	    enum control_code code)
{
	autosbuf struct sbuf b = SBUF_INIT(PAYLOAD_MAX);
	int r;

	(void)control_ack_write(job_id, message_id, created_ms, code, &b);
	r = send_frame(c, "agent_job_ack", NULL, &b);
	if (r < 0)
		ssm_log(c->S, SSM_DEBUG, "the acknowledgement of '%s' is not sent: %s", job_id,
			strerror(-r));
}

static enum control_code
code_of(int32_t result)
{
	switch (result) {
	case 0:
		return CONTROL_SUCCESSFUL;
	case -EEXIST:
		return CONTROL_DUPLICATE;
	case -EAGAIN:
		return CONTROL_BUFFER_FULL;
	case -EBADMSG:
		return CONTROL_PARSE_ERROR;
	case -ENOENT:
		return CONTROL_UNEXPECTED_TYPE;
	case -EINVAL:
		return CONTROL_INVALID;
	case -EPIPE:
		return CONTROL_CLOSED;
	default:
		return CONTROL_UNEXPECTED;
	}
}

static void refuse_session(struct control *c, const char *session, const char *text);

/* A session's start is not acknowledged: only one that will not be needs an answer. */
static void
answer_session(const struct job *j, int32_t result)
{
	if (result >= 0 || result == -EEXIST || result == -EBADMSG || !*j->session)
		return;
	ssm_log(j->c->S, SSM_WARN, "session '%s' is refused: %s", j->session, strerror(-result));
	refuse_session(j->c, j->session,
		       result == -EAGAIN ? "This node runs as many sessions as it may."
			       : result == -ENOENT ? "This agent does not run sessions."
						   : "The agent cannot take this session.");
}

static void
answer_delivery(struct job *j, int32_t result)
{
	if (j->session)
		answer_session(j, result);
	else
		acknowledge(j->c, j->id, j->message_id, j->created_ms,
			    code_of(result > 0 ? 0 : result));
	job_free(j);
}

static void
on_delivered(struct ssm *S, int32_t result, const struct ssm_reply *reply, void *arg)
{
	struct job *j = arg;

	(void)S;
	(void)reply;
	j->watch = NULL;
	answer_delivery(j, result);
}

static struct job *
job_new(struct control *c)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->c = c;
	list_append(&c->deliveries, &j->link);
	c->delivery_count++;
	return j;
}

static void
deliver(struct control *c, const struct frame *f, struct control_job *job)
{
	const struct ssm_delivery d = { .size = sizeof(d),
					.id = job->id,
					.topic = job->topic,
					.json = job->content,
					.len = strlen(job->content) };
	struct job *j = job_new(c);
	int32_t r;

	j->created_ms = (int64_t)f->created_ms;
	memcpy(j->message_id, f->id, sizeof(j->message_id));
	j->id = TAKE(job->id);
	r = c->S->api->deliver_start(c->S, &d, on_delivered, j, &j->watch);
	if (r < 0)
		answer_delivery(j, r);
}

static void
take_job(struct control *c, const struct frame *f)
{
	struct control_job job;
	struct err e = { 0, "" };

	if (control_job_read(f->payload, &job, &e) < 0) {
		ssm_log(c->S, SSM_WARN, "a command that cannot be read is refused: %s",
			err_text(&e));
		acknowledge(c, job.id ? job.id : "", f->id, (int64_t)f->created_ms,
			    CONTROL_PARSE_ERROR);
	} else if (c->delivery_count >= DELIVERIES_MAX) {
		acknowledge(c, job.id, f->id, (int64_t)f->created_ms, CONTROL_BUFFER_FULL);
	} else {
		deliver(c, f, &job);
	}
	control_job_done(&job);
}

/* ------------------------------------------------------------------ replies */

static void
sent_free(struct sent *r)
{
	list_remove(&r->link);
	end_watch(r->c, &r->timer);
	json_decref(r->task);
	free(r);
}

static void
confirm(struct control *c, const char *reply_id, int32_t status)
{
	(void)c->S->api->reply_done(c->S, reply_id, status);
}

static bool send_task_again(struct sent *r);

static int32_t
on_unconfirmed(struct ssm *S, struct ssm_watch *watch, void *arg)
{
	struct sent *r = arg;

	(void)S;
	(void)watch;
	r->timer = NULL;
	if (r->task && send_task_again(r))
		return 0;
	if (r->task)
		ssm_log(S, SSM_WARN, "the result of a session was sent %u times and never "
			"acknowledged", r->tries);
	confirm(r->c, r->id, r->task ? 0 : -ETIMEDOUT);
	sent_free(r);
	return 0;
}

static void
await(struct sent *r)
{
	const struct ssm_watch_on on = { .size = sizeof(on),
					 .timer_fn = on_unconfirmed,
					 .arg = r,
					 .after_ms = r->task ? TASK_CONFIRM_MS : CONFIRM_MS };

	(void)r->c->S->api->watch(r->c->S, &on, &r->timer);
}

static struct sent *
await_ack(struct control *c, const char *reply_id, json_t *task)
{
	struct sent *r = xcalloc(1, sizeof(*r));

	r->c = c;
	r->task = json_incref(task);
	r->tries = 1;
	(void)strncat(r->id, reply_id, sizeof(r->id) - 1);
	list_append(&c->replies, &r->link);
	await(r);
	return r;
}

static void
take_ack(struct control *c, const char *id)
{
	list_each(it, tmp, &c->replies) {
		struct sent *r = list_entry(it, struct sent, link);

		if (strcmp(r->id, id) != 0)
			continue;
		sent_free(r);
		confirm(c, id, 0);
		return;
	}
}

static void
take_reply_ack(struct control *c, const struct frame *f)
{
	struct err e = { 0, "" };
	autofree char *id = control_reply_ack_read(f->payload, &e);

	if (!id) {
		ssm_log(c->S, SSM_WARN, "%s", err_text(&e));
		return;
	}
	take_ack(c, id);
}

/* The service acknowledges all but the first notice, which nobody waits for (spec 01 §5.4). */
static int
send_reply(struct control *c, const json_t *event, const char *reply_id)
{
	const json_t *payload = json_object_get(event, "payload");
	autofree char *content = json_is_string(payload)
		? control_content_fit(json_string_value(payload), json_string_length(payload))
		: NULL;
	autosbuf struct sbuf b = SBUF_INIT(PAYLOAD_MAX);

	if (!content)
		return -EMSGSIZE;
	(void)control_reply_write(json_str(event, "message_id", ""), json_str(event, "topic", ""),
				  content, strlen(content), &b);
	return send_frame(c, "agent_job_reply", reply_id, &b);
}

/* A session's only word is its result; its route is its name. */
static int
send_task(struct control *c, const json_t *event, unsigned tries)
{
	autosbuf struct sbuf b = SBUF_INIT(PAYLOAD_MAX);

	(void)control_task_of_reply(json_str(event, "route", ""), info(c, "instance-id"),
				    json_object_get(event, "payload"), tries, &b);
	return send_frame(c, "agent_task_complete", json_str(event, "reply_id", ""), &b);
}

static bool
send_task_again(struct sent *r)
{
	if (r->tries >= TASK_TRIES || send_task(r->c, r->task, r->tries + 1) < 0)
		return false;
	r->tries++;
	await(r);
	return true;
}

static bool
is_of_session(const json_t *event)
{
	const char *topic = json_str(event, "topic", "");

	return strcmp(topic, SESSION_TOPIC) == 0 || strcmp(topic, SESSION_END_TOPIC) == 0;
}

static void
on_reply(struct control *c, const char *json, size_t len)
{
	struct err e = { 0, "" };
	autojson json_t *event = json_parse(json, len, "reply", &e);
	const char *reply_id = json_str(event, "reply_id", "");
	bool notice = json_bool(event, "notice", false), session = is_of_session(event);
	int r = 0;

	if (!event)
		r = -EINVAL;
	else if (!session)
		r = send_reply(c, event, reply_id);
	else if (!notice)
		r = send_task(c, event, 1);
	if (r < 0 || notice)
		confirm(c, reply_id, r < 0 ? r : 0);
	else
		(void)await_ack(c, reply_id, session ? event : NULL);
}

/* ----------------------------------------------------------------- sessions */

/* Else the operator waits for ever (spec 02 §5.1). */
static void
refuse_session(struct control *c, const char *session, const char *text)
{
	autosbuf struct sbuf b = SBUF_INIT(PAYLOAD_MAX);
	const struct control_task t = { session, info(c, "instance-id"), "Failed", text, 1, NULL };

	(void)control_task_write(&t, &b);
	(void)send_frame(c, "agent_task_complete", NULL, &b);
}

/* CONTENT by ID; the answer is for SESSION. */
static void
deliver_session(struct control *c, const char *topic, const char *id, const char *session,
		const char *content)
{
	const struct ssm_delivery d = { .size = sizeof(d),
					.id = id,
					.topic = topic,
					.route = session,
					.json = content,
					.len = strlen(content) };
	struct job *j = job_new(c);
	int32_t r;

	j->session = xstrdup(session);
	r = c->S->api->deliver_start(c->S, &d, on_delivered, j, &j->watch);
	if (r < 0)
		answer_delivery(j, r);
}

static void
take_shell(struct control *c, const struct frame *f)
{
	struct err e = { 0, "" };
	autofree char *content = NULL, *session = control_shell_read(f->payload, &content, &e);
	autofree char *id = session ? control_session_job(session) : NULL;

	if (!session)
		ssm_log(c->S, SSM_WARN, "%s", err_text(&e));
	else if (!id || c->delivery_count >= DELIVERIES_MAX)
		refuse_session(c, session, "The agent cannot take this session.");
	else
		deliver_session(c, SESSION_TOPIC, id, session, content);
}

/* The session itself hears it by its data channel, too; this is for one that does not listen. */
static void
take_closed(struct control *c, const struct frame *f)
{
	struct err e = { 0, "" };
	autofree char *session = NULL, *job = NULL, *id = NULL, *content = NULL;
	char unique[RAND_UUID_SIZE];

	if (message_read_closed(f->payload, &session, &e) < 0) {
		ssm_log(c->S, SSM_WARN, "%s", err_text(&e));
		return;
	}
	job = control_session_job(session);
	if (!*session || !job)
		return;
	if (c->delivery_count >= DELIVERIES_MAX) {
		ssm_log(c->S, SSM_WARN, "the end of session '%s' is left to its data channel",
			session);
		return;
	}
	rand_uuid4(unique);
	id = xasprintf("aws.ssm.session-end.%s", unique);
	content = xasprintf("{\"Job\":\"%s\"}", job);
	deliver_session(c, SESSION_END_TOPIC, id, "", content);
}

static void
take_task_ack(struct control *c, const struct frame *f)
{
	struct err e = { 0, "" };
	autofree char *id = control_task_ack_read(f->payload, &e);

	if (id)
		take_ack(c, id);
	else
		ssm_log(c->S, SSM_WARN, "%s", err_text(&e));
}

/* ------------------------------------------------------------------ reading */

static void
on_message(void *arg, bool text, const void *data, size_t len)
{
	struct control *c = arg;
	struct frame f;
	struct err e = { 0, "" };

	(void)text; /* read alike, spec 02 §1.5 */
	if (frame_read(data, len, &f, &e) >= 0 && !f.intact)
		(void)err_set(&e, -EBADMSG, "%s: the payload is not what its digest says", f.type);
	if (e.code < 0) {
		ssm_log(c->S, c->bad_frames++ ? SSM_DEBUG : SSM_WARN,
			"a message on the control channel is dropped: %s", err_text(&e));
		return;
	}
	c->failures = 0;
	if (strcmp(f.type, "agent_job") == 0)
		take_job(c, &f);
	else if (strcmp(f.type, "agent_job_reply_ack") == 0)
		take_reply_ack(c, &f);
	else if (strcmp(f.type, "interactive_shell") == 0)
		take_shell(c, &f);
	else if (strcmp(f.type, "agent_task_acknowledge") == 0)
		take_task_ack(c, &f);
	else if (strcmp(f.type, "channel_closed") == 0)
		take_closed(c, &f);
	else
		ssm_log(c->S, SSM_DEBUG, "a message of type '%s' is passed over", f.type);
}

/* --------------------------------------------------------- opening, closing */

static void begin(struct control *c);

static int32_t
on_timer(struct ssm *S, struct ssm_watch *watch, void *arg)
{
	struct control *c = arg;

	(void)S;
	(void)watch;
	c->timer = NULL;
	begin(c);
	return 0;
}

static void
begin_in(struct control *c, int64_t ms)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .timer_fn = on_timer, .arg = c, .after_ms = ms
	};

	end_watch(c, &c->timer);
	c->state = CONTROL_WAITING;
	(void)c->S->api->watch(c->S, &on, &c->timer);
}

static void
forget_channel(struct control *c)
{
	end_watch(c, &c->request);
	c->ws = ws_free(c->ws);
	secret_free(TAKE(c->token));
	while (!list_empty(&c->replies))
		sent_free(list_first(&c->replies, struct sent, link));
}

/* Full jitter; what is denied may be allowed later, but not in a second. */
static int64_t
wait_ms(struct control *c, bool denied)
{
	int64_t cap = denied ? DENIED_CAP_MS : WAIT_CAP_MS;
	int64_t wait = denied ? DENIED_WAIT_MS : FIRST_WAIT_MS;

	wait <<= c->failures < 10 ? c->failures : 10;
	c->failures++;
	return rand_between(0, wait < cap ? wait : cap);
}

static void
fail(struct control *c, bool denied, const char *why)
{
	bool was_open = c->state == CONTROL_OPEN;
	bool news = !c->told || strcmp(c->told, why) != 0;
	int64_t wait;

	if (was_open && clock_mono_ms() - c->opened_ms >= STEADY_MS)
		c->failures = 0;
	wait = wait_ms(c, denied);
	forget_channel(c);
	ssm_log(c->S, news ? SSM_WARN : SSM_DEBUG,
		"the control channel %s: %s; next try in %lld ms",
		was_open ? "was lost" : "cannot be opened", why, (long long)wait);
	if (news) {
		free(c->told);
		c->told = xstrdup(why);
	}
	tell_state(c, denied ? "denied" : "closed");
	begin_in(c, wait);
}

static void
on_closed(void *arg, int result, int status, const char *why)
{
	(void)status;
	fail(arg, result == -EACCES, why);
}

static void
on_opened(void *arg)
{
	struct control *c = arg;
	autosbuf struct sbuf b = SBUF_INIT(PAYLOAD_MAX);
	char request_id[RAND_UUID_SIZE];

	rand_uuid4(request_id);
	(void)control_open_write(request_id, c->token, info(c, "reported-version"), &b);
	secret_free(TAKE(c->token));
	if (b.err || ws_send(c->ws, true, b.p, b.len) < 0) {
		sbuf_wipe(&b);
		fail(c, false, "the first message cannot be sent");
		return;
	}
	sbuf_wipe(&b);
	c->state = CONTROL_OPEN;
	c->opened_ms = clock_mono_ms();
	c->bad_frames = 0;
	free(TAKE(c->told));
	ssm_log(c->S, SSM_INFO, "the control channel is open");
	tell_state(c, "open");
}

static const struct ws_ops ws_ops = { on_opened, on_message, NULL, on_closed };

static void
dial(struct control *c, const struct ssm_reply *reply)
{
	autostrv char **headers = strv_split(reply->headers ? reply->headers : "", "\n");
	autofree char *proxy_key = xasprintf("proxy:%s", info(c, "endpoint:" SERVICE));
	const struct ws_options o = { .url = reply->url ? reply->url : "",
				      .headers = (const char *const *)headers,
				      .proxy = c->S->api->info(c->S, proxy_key),
				      .ca_file = c->S->api->info(c->S, "ca-file") };
	struct err e = { 0, "" };

	c->state = CONTROL_DIALING;
	c->ws = ws_open(c->S, &o, &ws_ops, c, &e);
	if (!c->ws)
		fail(c, false, err_text(&e));
}

static void
on_signed(struct ssm *S, int32_t result, const struct ssm_reply *reply, void *arg)
{
	struct control *c = arg;

	(void)S;
	c->request = NULL;
	if (result < 0)
		fail(c, false, "the upgrade cannot be signed");
	else
		dial(c, reply);
}

static void
ask_signature(struct control *c)
{
	autofree char *path =
		xasprintf(PATH "%s?role=subscribe&stream=input", info(c, "instance-id"));
	const struct ssm_request q = { .size = sizeof(q),
				       .service = SERVICE,
				       .method = "GET",
				       .path = path,
				       .timeout_ms = CALL_MS };

	if (c->S->api->sign_start(c->S, &q, 0, on_signed, c, &c->request) < 0)
		fail(c, false, "the upgrade cannot be signed");
}

/* Refused, in one line of the service's own words. */
static void
fail_token(struct control *c, const struct ssm_reply *reply)
{
	const char *body = reply->body ? reply->body : "";
	bool denied = strstr(body, "<AccessDeniedException>") != NULL ||
		(reply->error && text_starts(reply->error, "AccessDenied"));
	autofree char *shown = text_quote(body, 300);
	autofree char *why = xasprintf("CreateControlChannel: status %d%s%s: %s", reply->status,
				       reply->error ? " " : "", reply->error ? reply->error : "",
				       shown);

	fail(c, denied, why);
}

static void
on_token(struct ssm *S, int32_t result, const struct ssm_reply *reply, void *arg)
{
	struct control *c = arg;
	struct err e = { 0, "" };

	(void)S;
	c->request = NULL;
	if (result < 0) {
		fail(c, false, "CreateControlChannel was not answered");
	} else if (reply->status != 201) { /* 200 is an error, spec 02 §1.2 */
		fail_token(c, reply);
	} else {
		c->token = control_token_read(reply->body ? reply->body : "", reply->body_len, &e);
		if (c->token)
			ask_signature(c);
		else
			fail(c, false, err_text(&e));
	}
}

static void
begin(struct control *c)
{
	char request_id[RAND_UUID_SIZE];
	autofree char *path = xasprintf(PATH "%s", info(c, "instance-id"));
	autofree char *body = NULL;
	struct ssm_request q = { .size = sizeof(q),
				 .service = SERVICE,
				 .method = "POST",
				 .path = path,
				 .content_type = "application/json",
				 .timeout_ms = CALL_MS };

	rand_uuid4(request_id);
	body = xasprintf("{\"MessageSchemaVersion\":\"1.0\",\"RequestId\":\"%s\"}", request_id);
	q.body = body;
	q.body_len = strlen(body);
	c->state = CONTROL_ASKING;
	if (c->S->api->call_start(c->S, &q, on_token, c, &c->request) < 0)
		fail(c, false, "CreateControlChannel cannot be asked");
}

/* ------------------------------------------------------------------ service */

static int32_t
control_start(struct ssm *S, struct ssm_service *service)
{
	struct control *c = xcalloc(1, sizeof(*c));

	c->S = S;
	c->service = service;
	list_init(&c->deliveries);
	list_init(&c->replies);
	only = c;
	begin(c);
	return 0;
}

static int32_t
control_notify(struct ssm *S, struct ssm_service *service, const char *event, const char *json,
	       size_t len)
{
	struct control *c = only;

	(void)S;
	(void)service;
	if (strcmp(event, "reply") == 0) {
		on_reply(c, json, len);
	} else if (strcmp(event, "network") == 0 && c->state == CONTROL_OPEN) {
		ws_probe(c->ws);
	} else if (strcmp(event, "network") == 0 && c->state == CONTROL_WAITING) {
		c->failures = 0;
		begin_in(c, 0);
	}
	return 0;
}

static void
control_stop(struct ssm *S, struct ssm_service *service)
{
	struct control *c = TAKE(only);

	(void)S;
	(void)service;
	end_watch(c, &c->timer);
	forget_channel(c);
	while (!list_empty(&c->deliveries))
		job_free(list_first(&c->deliveries, struct job, link));
	free(c->told);
	free(c);
}

const struct ssm_service_ops control_ops = { sizeof(control_ops), 0, control_start, control_notify,
					     control_stop };
