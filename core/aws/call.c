/* SPDX-License-Identifier: Apache-2.0 */
/* Signed calls: credentials, signature, send, error code, clock skew, one refresh on refusal.
 *
 * Why like this: a call owns copies of what it sends, because it may be sent again; every attempt
 * asks for credentials and is signed anew. Its result is told from the loop, when the call itself
 * is gone, so that what is called may do anything. */
#include <config.h>

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/utsname.h>

#include "core/aws/call.h"
#include "core/aws/call_error.h"
#include "core/aws/creds.h"
#include "core/aws/endpoint.h"
#include "core/aws/sigv4.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/http.h"
#include "core/net/url.h"

#define JSON_TYPE "application/x-amz-json-1.1"
#define TIMEOUT_MS 30000
#define SKEW_MIN_MS (4 * 60 * 1000)

struct aws {
	struct aws_options o;
	char *region, *signing_region, *service_domain;
	int64_t skew_ms;
	struct retry_budget budget;
	struct list calls;
};

/* What is told in the end. */
struct outcome {
	struct aws_reply reply;
	char *text, *body, **headers;
	json_t *json;
};

struct aws_call {
	struct aws *aws;
	struct list link;
	aws_done_fn *done;
	void *arg;
	struct aws_request r; /* strings are our copies */
	char *url, **headers, *what;
	bool only_sign, asking, answered, skew_tried;
	int64_t valid_ms;
	unsigned tries;
	struct retry backoff;
	struct creds *creds, *refused;
	char *no_creds;
	struct creds_wait *wait;
	struct http_call *http;
	struct event *timer;
	struct outcome outcome;
};

static void
outcome_done(struct outcome *o)
{
	free(o->text);
	free(o->body);
	strv_free(o->headers);
	json_decref(o->json);
	memset(o, 0, sizeof(*o));
}

static struct aws_call *
call_free(struct aws_call *c)
{
	list_remove(&c->link);
	creds_wait_cancel(c->wait);
	http_cancel(c->http);
	if (c->timer)
		event_free(c->timer);
	creds_unref(c->creds);
	creds_unref(c->refused);
	outcome_done(&c->outcome);
	strv_free(c->headers);
	free(c->no_creds);
	free(c->what);
	free(c->url);
	free((char *)c->r.service);
	free((char *)c->r.method);
	free((char *)c->r.region);
	free((void *)c->r.body);
	free(c);
	return NULL;
}

void
aws_cancel(struct aws_call *c)
{
	if (c)
		call_free(c);
}

struct aws *
aws_new(const struct aws_options *o)
{
	struct aws *a = xcalloc(1, sizeof(*a));

	a->o = *o;
	a->region = xstrdup(o->region);
	a->signing_region = xstrdup(o->signing_region ? o->signing_region : o->region);
	a->service_domain = xstrdup(o->service_domain);
	retry_budget_init(&a->budget);
	list_init(&a->calls);
	return a;
}

struct aws *
aws_free(struct aws *a)
{
	if (!a)
		return NULL;
	list_each(it, tmp, &a->calls)
		call_free(list_entry(it, struct aws_call, link));
	free(a->region);
	free(a->signing_region);
	free(a->service_domain);
	free(a);
	return NULL;
}

int64_t
aws_skew_ms(const struct aws *a)
{
	return a->skew_ms;
}

const char *
aws_user_agent(void)
{
	static char text[256];
	struct utsname u;

	if (!text[0] && uname(&u) == 0)
		snprintf(text, sizeof(text), "%s/%s (linux; %s) amazon-ssm-agent/%s", PACKAGE_NAME,
			 PACKAGE_VERSION, u.machine, SSM_REPORTED_AGENT_VERSION);
	return text;
}

static void
after_ms(struct aws_call *c, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	evtimer_add(c->timer, &tv);
}

void
aws_retry_now(struct aws *a)
{
	list_each(it, tmp, &a->calls) {
		struct aws_call *c = list_entry(it, struct aws_call, link);

		if (evtimer_pending(c->timer, NULL))
			after_ms(c, 0);
	}
}

/* ---- the end ---- */

/* The call is gone before its result is told. */
static void
deliver(struct aws_call *c)
{
	struct outcome o = c->outcome;
	aws_done_fn *done = c->done;
	void *arg = c->arg;

	memset(&c->outcome, 0, sizeof(c->outcome));
	call_free(c);
	o.reply.text = o.text;
	o.reply.body = o.body ? o.body : "";
	o.reply.headers = o.headers;
	o.reply.json = o.json;
	done(arg, &o.reply);
	outcome_done(&o);
}

/* A failure before anything was sent. */
static void
fail(struct aws_call *c, int result, const char *text)
{
	outcome_done(&c->outcome);
	c->outcome.reply.result = result;
	c->outcome.reply.retry = retry_classify(result, 0, NULL);
	c->outcome.text = xasprintf("%s: %s", c->what, text);
	deliver(c);
}

/* ---- an answer ---- */

static bool
says_json(const struct http_response *r)
{
	const char *type = http_header(r, "content-type");

	return type ? strstr(type, "json") != NULL : r->body[0] == '{';
}

/* An answer to a JSON call that should be JSON and is not comes from something between us and the
 * service. */
static void
read_body(struct aws_call *c, const struct http_response *r, struct outcome *o)
{
	struct err e = { 0 };

	o->body = xmemdup(r->body, r->body_len);
	o->reply.body_len = r->body_len;
	if (r->body_len > 0 && says_json(r))
		o->json = json_parse(r->body, r->body_len, "the answer", &e);
	if (o->json || r->body_len == 0 || !c->r.target)
		return;
	o->reply.result = -EREMOTEIO;
	snprintf(o->reply.code, sizeof(o->reply.code), "SerializationError");
	o->text = xasprintf("%s: status %d: %s", c->what, r->status,
			    e.code ? err_text(&e) : "the answer is not JSON");
}

static void
read_error(struct aws_call *c, const struct http_response *r, struct outcome *o)
{
	struct call_error e;

	call_error_read(r, o->json, &e);
	o->reply.result = -EREMOTEIO;
	if (e.code[0])
		snprintf(o->reply.code, sizeof(o->reply.code), "%s", e.code);
	if (!o->text || e.code[0]) {
		free(o->text);
		o->text =
			xasprintf("%s: status %d%s%s%s%s", c->what, r->status, e.code[0] ? " " : "",
				  e.code, e.message ? ": " : "", e.message ? e.message : "");
	}
	call_error_done(&e);
}

static void
read_answer(struct aws_call *c, int result, const char *text, const struct http_response *r)
{
	struct outcome *o = &c->outcome;

	outcome_done(o);
	o->reply.result = result;
	o->reply.status = r->status;
	o->headers = strv_dup(r->headers);
	if (result < 0) {
		o->text = xasprintf("%s: %s", c->what, text);
	} else {
		read_body(c, r, o);
		if (r->status < 200 || r->status > 299)
			read_error(c, r, o);
		else if (o->reply.result == 0)
			o->text = xasprintf("%s: status %d", c->what, r->status);
	}
	if (o->reply.result == 0)
		return;
	o->reply.retry = retry_classify(o->reply.result, r->status, o->reply.code);
	if (strcmp(o->reply.code, "SerializationError") == 0 && r->status < 300)
		o->reply.retry = RETRY_TRANSPORT;
	o->reply.retry_after_ms = retry_after_ms(http_header(r, "retry-after"),
						 r->date_ms ? r->date_ms : clock_wall_ms());
}

/* ---- once more? ---- */

static void begin(struct aws_call *c);

/* Refused for its time: go by the server's clock from now on. */
static bool
adopt_skew(struct aws_call *c, int64_t date_ms)
{
	struct aws *a = c->aws;
	int64_t differs = date_ms - (clock_wall_ms() + a->skew_ms);

	if (c->skew_tried || date_ms == 0 || (differs < SKEW_MIN_MS && differs > -SKEW_MIN_MS))
		return false;
	c->skew_tried = true;
	a->skew_ms = date_ms - clock_wall_ms();
	log_warn("aws",
		 "the clock of this machine is %" PRId64 " s %s the service's; requests are "
		 "signed with the service's time until it is set right",
		 (a->skew_ms < 0 ? -a->skew_ms : a->skew_ms) / 1000,
		 a->skew_ms < 0 ? "ahead of" : "behind");
	return true;
}

/* Refused for its key: once more if there is another key. */
static bool
refresh(struct aws_call *c)
{
	if (c->refused || !c->creds)
		return false;
	creds_refused(c->aws->o.creds, c->creds);
	c->refused = TAKE(c->creds);
	return true;
}

static bool
back_off(struct aws_call *c)
{
	bool throttled = c->outcome.reply.retry == RETRY_THROTTLED;

	if (c->tries >= c->r.attempts || !retry_budget_take(&c->aws->budget))
		return false;
	if (throttled && c->backoff.base_ms < RETRY_THROTTLED_BASE_MS)
		retry_init(&c->backoff, RETRY_THROTTLED_BASE_MS, RETRY_THROTTLED_CAP_MS);
	after_ms(c, retry_next_ms(&c->backoff, c->outcome.reply.retry_after_ms));
	return true;
}

static bool
goes_on(struct aws_call *c, int64_t date_ms)
{
	struct aws_reply *p = &c->outcome.reply;

	if (p->retry == RETRY_SKEW && !c->r.anonymous) {
		if (adopt_skew(c, date_ms)) {
			begin(c);
			return true;
		}
		p->retry = RETRY_AUTH; /* the right time, so the wrong key */
	}
	if (p->retry == RETRY_AUTH && refresh(c)) {
		begin(c);
		return true;
	}
	return (p->retry == RETRY_TRANSPORT || p->retry == RETRY_THROTTLED) && back_off(c);
}

static void
on_answer(void *arg, int result, const char *text, const struct http_response *r)
{
	struct aws_call *c = arg;

	c->http = NULL;
	read_answer(c, result, text, r);
	if (c->outcome.reply.result == 0)
		retry_budget_give(&c->aws->budget, c->tries > 1);
	else if (goes_on(c, r->date_ms))
		return;
	deliver(c);
}

/* ---- one attempt ---- */

static int
sign(struct aws_call *c, char ***ret_headers, char **ret_url, struct err *e)
{
	struct sigv4_key key = { c->creds->access_key, c->creds->secret_key, c->creds->token };
	struct sigv4_request s = {
		.method = c->r.method,
		.url = c->url,
		.headers = c->headers,
		.body = c->r.body,
		.body_len = c->r.body_len,
		.region = c->r.region,
		.service = c->r.service,
		.when = (time_t)((clock_wall_ms() + c->aws->skew_ms) / 1000),
		.unsigned_payload = c->r.unsigned_payload,
		.sign_length = c->r.target != NULL,
	};

	if (c->only_sign && c->valid_ms > 0)
		return sigv4_sign_query(&s, &key, c->valid_ms / 1000, ret_url, NULL, e);
	return sigv4_sign_headers(&s, &key, ret_headers, NULL, e);
}

static void
send_request(struct aws_call *c, char *const *headers)
{
	struct err e = { 0 };
	struct http_request q = {
		.method = c->r.method,
		.url = c->url,
		.headers = headers,
		.body = c->r.body,
		.body_len = c->r.body_len,
		.timeout_ms = c->r.timeout_ms,
		.max_bytes = c->r.max_bytes,
	};

	c->tries++;
	c->http = http_start(c->aws->o.http, &q, on_answer, c, &e);
	if (!c->http)
		fail(c, e.code, err_text(&e));
}

static void
give_signature(struct aws_call *c, char **headers, char *url)
{
	c->outcome.headers = headers ? headers : strv_dup(c->headers);
	c->outcome.body = url ? url : xstrdup(c->url);
	c->outcome.reply.body_len = strlen(c->outcome.body);
	c->outcome.text = xasprintf("%s: signed", c->what);
	deliver(c);
}

/* Credentials are here, or there are none. */
static void
proceed(struct aws_call *c)
{
	autostrv char **headers = NULL;
	char *url = NULL;
	struct err e = { 0 };

	if (!c->creds) {
		autofree char *text = xasprintf("no credentials: %s", c->no_creds);

		fail(c, -ENOKEY, text);
	} else if (c->refused && creds_equal(c->refused, c->creds)) {
		deliver(c); /* the refusal stands */
	} else if (sign(c, &headers, &url, &e) < 0) {
		fail(c, e.code, err_text(&e));
	} else if (c->only_sign) {
		give_signature(c, TAKE(headers), url);
	} else {
		strv_addf(&headers, "User-Agent: %s", aws_user_agent());
		send_request(c, headers);
	}
}

static void
on_creds(void *arg, struct creds *set, const char *why)
{
	struct aws_call *c = arg;

	c->wait = NULL;
	c->answered = true;
	creds_unref(c->creds);
	c->creds = creds_ref(set);
	free(c->no_creds);
	c->no_creds = xstrdup(why);
	if (!c->asking)
		proceed(c);
}

/* The answer may come from within creds_get(). */
static void
begin(struct aws_call *c)
{
	struct creds_wait *wait;

	if (c->r.anonymous && c->only_sign) {
		give_signature(c, NULL, NULL);
		return;
	}
	if (c->r.anonymous) {
		autostrv char **headers = strv_dup(c->headers);

		strv_addf(&headers, "User-Agent: %s", aws_user_agent());
		send_request(c, headers);
		return;
	}
	c->asking = true;
	c->answered = false;
	wait = creds_get(c->aws->o.creds, on_creds, c);
	c->asking = false;
	if (c->answered)
		proceed(c);
	else
		c->wait = wait;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin(arg);
}

/* ---- the start ---- */

static int
build_url(struct aws *a, const struct aws_request *r, char **ret, struct err *e)
{
	const struct endpoint_options o = {
		.region = r->region ? r->region : a->region,
		.service_domain = a->service_domain,
		.override = a->o.override ? a->o.override(a->o.arg, r->service) : NULL,
	};
	const char *path = r->path ? r->path : "/";
	autourl struct url u = { 0 };
	autofree char *text = NULL;
	int n;

	if (path[0] != '/')
		return err_set(e, -EINVAL, "%s: the path does not start with '/'", r->service);
	n = r->url ? 0 : endpoint_url(r->service, &o, &text, e);
	if (n < 0)
		return n;
	*ret = r->url ? xstrdup(r->url) : xasprintf("%s%s", text, path);
	n = url_parse(*ret, &u, e);
	if (n < 0)
		err_prefix(e, "%s", r->service);
	return n;
}

/* "ssm UpdateInstanceInformation", "ssmmessages POST" */
static char *
describe(const struct aws_request *r)
{
	const char *dot = r->target ? strrchr(r->target, '.') : NULL;

	if (r->target)
		return xasprintf("%s %s", r->service, dot ? dot + 1 : r->target);
	return xasprintf("%s %s", r->service, r->method ? r->method : "POST");
}

static void
build_headers(struct aws_call *c, const struct aws_request *r)
{
	const char *type = r->content_type;

	if (!type && (r->target || strcmp(c->r.method, "POST") == 0))
		type = JSON_TYPE;
	if (type)
		strv_addf(&c->headers, "Content-Type: %s", type);
	if (r->target)
		strv_addf(&c->headers, "X-Amz-Target: %s", r->target);
	for (char *const *h = r->headers; h && *h; h++)
		strv_add(&c->headers, *h);
}

static void
copy_request(struct aws_call *c, const struct aws_request *r)
{
	c->r = *r;
	c->r.service = xstrdup(r->service);
	c->r.method = xstrdup(r->method ? r->method : "POST");
	c->r.region = xstrdup(r->region ? r->region : c->aws->signing_region);
	c->r.body = r->body ? xmemdup(r->body, r->body_len) : NULL;
	c->r.timeout_ms = r->timeout_ms ? r->timeout_ms : TIMEOUT_MS;
	c->r.attempts = r->attempts ? r->attempts : 1;
	c->what = describe(r);
	build_headers(c, r);
	/* Only their presence is looked at later: they are in url and headers. */
	c->r.path = c->r.url = c->r.content_type = NULL;
	c->r.headers = NULL;
	c->r.target = r->target ? "" : NULL;
}

static struct aws_call *
call_new(struct aws *a, const struct aws_request *r, aws_done_fn *done, void *arg, struct err *e)
{
	autofree char *url = NULL;
	struct aws_call *c;

	if (!r->service || !r->service[0]) {
		err_set(e, -EINVAL, "a call without service");
		return NULL;
	}
	if (build_url(a, r, &url, e) < 0)
		return NULL;
	c = xcalloc(1, sizeof(*c));
	c->aws = a;
	list_append(&a->calls, &c->link);
	c->done = done;
	c->arg = arg;
	c->url = TAKE(url);
	copy_request(c, r);
	retry_init(&c->backoff, RETRY_BASE_MS, RETRY_CAP_MS);
	c->timer = evtimer_new(a->o.base, on_timer, c);
	assert(c->timer);
	after_ms(c, 0);
	return c;
}

struct aws_call *
aws_start(struct aws *a, const struct aws_request *r, aws_done_fn *done, void *arg, struct err *e)
{
	return call_new(a, r, done, arg, e);
}

struct aws_call *
aws_sign(struct aws *a, const struct aws_request *r, int64_t valid_ms, aws_done_fn *done, void *arg,
	 struct err *e)
{
	struct aws_call *c = call_new(a, r, done, arg, e);

	if (!c)
		return NULL;
	c->only_sign = true;
	c->valid_ms = valid_ms;
	/* What a transfer is going to send to S3 is not known here. */
	if (strcmp(c->r.service, "s3") == 0 && !c->r.body)
		c->r.unsigned_payload = true;
	return c;
}
