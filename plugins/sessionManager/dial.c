/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of a data channel, as often as it is needed. Each time has a token of its own. */
#include "plugins/sessionManager/dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "plugins/sessionManager/control_messages.h"
#include "plugins/sessionManager/ws.h"

#define SERVICE "ssmmessages"
#define PATH "/v1/data-channel/"
#define PATH_KEEP "@+=," /* of session ids; they travel as they are, spec 02 §1.3 */
#define CALL_MS 15000
#define WAIT_LO_MS 100
#define WAIT_HI_MS 199
#define WAIT_CAP_MS 5000
#define OPEN_MAX 65536u
#define OVER "Session is already terminated"

struct dial {
	struct ssm *S;
	const struct dial_ops *ops;
	void *arg;
	char *path;
	struct ssm_watch *timer, *request;
	struct ws *ws;
	char *token;
	bool is_up, was_up;
	unsigned failures;
	int64_t lost_ms; /* since when there is none */
};

static const char *
info(const struct dial *d, const char *key)
{
	const char *text = d->S->api->info(d->S, key);

	return text ? text : "";
}

static void
end_watch(struct dial *d, struct ssm_watch **w)
{
	struct ssm_watch *old = TAKE(*w);

	if (old)
		d->S->api->watch_end(d->S, old);
}

static void begin(struct dial *d);

static int32_t
on_timer(struct ssm *S, struct ssm_watch *watch, void *arg)
{
	struct dial *d = arg;

	(void)S;
	(void)watch;
	d->timer = NULL;
	begin(d);
	return 0;
}

static void
begin_in(struct dial *d, int64_t ms)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .timer_fn = on_timer, .arg = d, .after_ms = ms
	};

	end_watch(d, &d->timer);
	(void)d->S->api->watch(d->S, &on, &d->timer);
}

static void
forget(struct dial *d)
{
	end_watch(d, &d->request);
	d->ws = ws_free(d->ws);
	secret_free(TAKE(d->token));
}

static int64_t
wait_ms(struct dial *d)
{
	int64_t wait = rand_between(WAIT_LO_MS, WAIT_HI_MS);

	wait <<= d->failures < 10 ? d->failures : 10;
	d->failures++;
	return wait < WAIT_CAP_MS ? wait : WAIT_CAP_MS;
}

static void
fail(struct dial *d, bool over, const char *why)
{
	bool was_up = d->is_up;
	int64_t now = clock_mono_ms();

	d->is_up = false;
	if (was_up)
		d->lost_ms = now;
	forget(d);
	if (over || (!d->was_up && d->failures + 1 >= DIAL_FIRST_TRIES) ||
	    (d->was_up && now - d->lost_ms >= DIAL_OUTAGE_MS)) {
		d->ops->gone(d->arg, over, why);
		return;
	}
	ssm_log(d->S, d->failures == 0 ? SSM_WARN : SSM_DEBUG, "the data channel %s: %s",
		was_up ? "was lost" : "cannot be opened", why);
	begin_in(d, wait_ms(d));
	if (was_up)
		d->ops->down(d->arg);
}

/* ------------------------------------------------------------ the socket */

static void
on_message(void *arg, bool text, const void *data, size_t len)
{
	struct dial *d = arg;

	(void)text; /* read alike, spec 02 §1.5 */
	d->failures = 0;
	d->ops->message(d->arg, data, len);
}

static void
on_writable(void *arg)
{
	struct dial *d = arg;

	d->ops->writable(d->arg);
}

static void
on_closed(void *arg, int result, int status, const char *why)
{
	(void)result;
	(void)status;
	fail(arg, false, why);
}

static void
on_opened(void *arg)
{
	struct dial *d = arg;
	autosbuf struct sbuf b = SBUF_INIT(OPEN_MAX);
	char request_id[RAND_UUID_SIZE];
	int r;

	rand_uuid4(request_id);
	(void)data_open_write(request_id, d->token, info(d, "instance-id"), &b);
	secret_free(TAKE(d->token));
	r = b.err ? b.err : ws_send(d->ws, true, b.p, b.len);
	sbuf_wipe(&b);
	if (r < 0) {
		fail(d, false, "the first message cannot be sent");
		return;
	}
	ssm_log(d->S, SSM_DEBUG, "the data channel is open");
	d->is_up = d->was_up = true;
	d->ops->up(d->arg);
}

static const struct ws_ops ws_ops = { on_opened, on_message, on_writable, on_closed };

static void
on_signed(struct ssm *S, int32_t result, const struct ssm_reply *reply, void *arg)
{
	struct dial *d = arg;
	autofree char *proxy_key = xasprintf("proxy:%s", info(d, "endpoint:" SERVICE));
	autostrv char **headers = NULL;
	struct ws_options o = { .proxy = d->S->api->info(d->S, proxy_key),
				.ca_file = d->S->api->info(d->S, "ca-file") };
	struct err e = { 0, "" };

	(void)S;
	d->request = NULL;
	if (result < 0) {
		fail(d, false, "the upgrade cannot be signed");
		return;
	}
	headers = strv_split(reply->headers ? reply->headers : "", "\n");
	o.headers = (const char *const *)headers;
	o.url = reply->url ? reply->url : "";
	d->ws = ws_open(d->S, &o, &ws_ops, d, &e);
	if (!d->ws)
		fail(d, false, err_text(&e));
}

/* -------------------------------------------------------------- the token */

static void
ask_signature(struct dial *d)
{
	autofree char *path = xasprintf("%s?role=publish_subscribe", d->path);
	const struct ssm_request q = { .size = sizeof(q),
				       .service = SERVICE,
				       .method = "GET",
				       .path = path,
				       .timeout_ms = CALL_MS };

	if (d->S->api->sign_start(d->S, &q, 0, on_signed, d, &d->request) < 0)
		fail(d, false, "the upgrade cannot be signed");
}

static void
refused(struct dial *d, const struct ssm_reply *reply)
{
	const char *body = reply->body ? reply->body : "";
	autofree char *shown = text_quote(body, 300);
	autofree char *why = xasprintf("CreateDataChannel: status %d: %s", reply->status, shown);

	fail(d, strstr(body, OVER) != NULL, why);
}

static void
on_token(struct ssm *S, int32_t result, const struct ssm_reply *reply, void *arg)
{
	struct dial *d = arg;
	struct err e = { 0, "" };

	(void)S;
	d->request = NULL;
	if (result < 0) {
		fail(d, false, "CreateDataChannel was not answered");
	} else if (reply->status != 201) { /* 200 is an error, spec 02 §1.2 */
		refused(d, reply);
	} else {
		d->token = control_token_read(reply->body ? reply->body : "", reply->body_len, &e);
		if (d->token)
			ask_signature(d);
		else
			fail(d, false, err_text(&e));
	}
}

static void
begin(struct dial *d)
{
	char request_id[RAND_UUID_SIZE];
	autofree char *body = NULL;
	struct ssm_request q = { .size = sizeof(q),
				 .service = SERVICE,
				 .method = "POST",
				 .path = d->path,
				 .content_type = "application/json",
				 .timeout_ms = CALL_MS };

	rand_uuid4(request_id);
	body = xasprintf("{\"MessageSchemaVersion\":\"1.0\",\"RequestId\":\"%s\","
			 "\"ClientId\":\"\"}", request_id);
	q.body = body;
	q.body_len = strlen(body);
	if (d->S->api->call_start(d->S, &q, on_token, d, &d->request) < 0)
		fail(d, false, "CreateDataChannel cannot be asked");
}

/* ----------------------------------------------------------------- object */

struct dial *
dial_new(struct ssm *S, const char *session, const struct dial_ops *ops, void *arg)
{
	struct dial *d = xcalloc(1, sizeof(*d));
	autofree char *part = text_percent(session, strlen(session), PATH_KEEP);

	d->S = S;
	d->ops = ops;
	d->arg = arg;
	d->path = xasprintf(PATH "%s", part);
	d->lost_ms = clock_mono_ms();
	begin_in(d, 0);
	return d;
}

struct dial *
dial_free(struct dial *d)
{
	if (!d)
		return NULL;
	end_watch(d, &d->timer);
	forget(d);
	free(d->path);
	free(d);
	return NULL;
}

bool
dial_is_up(const struct dial *d)
{
	return d && d->is_up;
}

int
dial_send(struct dial *d, const void *p, size_t len)
{
	return d->is_up ? ws_send(d->ws, false, p, len) : -EPIPE;
}
