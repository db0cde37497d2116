/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/call.c against a server in the same event loop. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/aws/call.h"
#include "core/aws/creds.h"
#include "core/aws/sigv4.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/http.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

#define TARGET "EC2WindowsMessageDeliveryService.GetMessages"

static struct event_base *base;
static struct http *client;
static struct mini *server;
static struct creds_cache *cache;
static struct aws *aws;
static int waiting;
static int sets_given; /* times that the provider was asked */
static bool same_key, no_key;
static char **sent; /* headers of the last request */
static char *sent_body;

/* What the server does, in this order; the last one is repeated. */
struct step {
	int status;
	const char *headers, *body;
};
static const struct step *steps;
static size_t step_at, step_count;

static void *
give_set(void *ctx, creds_provider_done_fn *done, void *arg)
{
	autofree char *key = xasprintf("AKID%d", same_key ? 1 : ++sets_given);

	(void)ctx;
	if (no_key)
		done(arg, NULL, "not configured: test");
	else
		done(arg, creds_new(key, "hiddenkey", "sessiontoken", 0, "test"), NULL);
	return NULL;
}

static void
serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	const struct step *s = &steps[step_at];

	(void)arg;
	strv_free(sent);
	free(sent_body);
	sent = strv_dup(r->headers);
	sent_body = xstrdup(r->body);
	if (step_at + 1 < step_count)
		step_at++;
	if (s->status == 0)
		mini_reset(c);
	else if (s->status > 0)
		mini_replys(c, s->status, s->headers, s->body);
}

static const char *
override(void *arg, const char *service)
{
	(void)arg;
	return strcmp(service, "none") == 0 ? "" : mini_url(server);
}

static void
no_wait(void *p, size_t len)
{
	memset(p, 0, len);
}

static void
setup(void)
{
	struct http_options h = { .user_agent = "test/1", .proxy = "" };
	struct creds_provider p = { .name = "test", .start = give_set };
	struct aws_options o = { .region = "eu-west-1", .override = override };

	rand_replace(no_wait);
	log_set_level(LOG_LEVEL_ERROR);
	sets_given = 0;
	same_key = no_key = false;
	base = event_base_new();
	client = http_new(base, &h, NULL);
	server = mini_new(base, "127.0.0.1", serve, NULL);
	cache = creds_cache_new(base, &p, 1);
	o.base = base;
	o.http = client;
	o.creds = cache;
	aws = aws_new(&o);
}

static void
teardown(void)
{
	aws = aws_free(aws);
	cache = creds_cache_free(cache);
	client = http_free(client);
	server = mini_free(server);
	event_base_free(base);
	sent = strv_free(sent);
	free(sent_body);
	sent_body = NULL;
}

/* A copy of what a call gave. */
struct reply {
	struct aws_reply r;
	int calls;
	char *text, *body, **headers;
	json_t *json;
};

static void
reply_done(struct reply *a)
{
	free(a->text);
	free(a->body);
	strv_free(a->headers);
	json_decref(a->json);
	memset(a, 0, sizeof(*a));
}
#define autoreply __attribute__((cleanup(reply_done)))

static void
on_reply(void *arg, const struct aws_reply *r)
{
	struct reply *a = arg;

	ck_assert_ptr_nonnull(r->text);
	ck_assert_ptr_nonnull(r->body);
	ck_assert_ptr_null(strstr(r->text, "hiddenkey"));
	a->r = *r;
	a->calls++;
	a->text = xstrdup(r->text);
	a->body = xmemdup(r->body, r->body_len);
	a->headers = strv_dup(r->headers);
	a->json = json_incref(r->json);
	if (--waiting == 0)
		event_base_loopbreak(base);
}

static void
run(void)
{
	struct timeval limit = { 60, 0 };

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	ck_assert_int_eq(waiting, 0);
}

static void
plan(const struct step *s, size_t n)
{
	static struct step copy[8];

	ck_assert_uint_le(n, NELEMS(copy));
	memcpy(copy, s, n * sizeof(*s));
	steps = copy;
	step_count = n;
	step_at = 0;
}
#define PLAN(...)                                  \
	plan((const struct step[]){ __VA_ARGS__ }, \
	     sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step))

static struct aws_request
get_messages(unsigned attempts)
{
	return (struct aws_request){ .service = "ec2messages",
				     .target = TARGET,
				     .body = "{\"a\":1}",
				     .body_len = 7,
				     .attempts = attempts };
}

static void
call(const struct aws_request *r, struct reply *a)
{
	struct err e = { 0 };

	waiting++;
	ck_assert_msg(aws_start(aws, r, on_reply, a, &e) != NULL, "%s", err_text(&e));
	ck_assert_int_eq(a->calls, 0);
	run();
	ck_assert_int_eq(a->calls, 1);
}

static const char *
was_sent(const char *name)
{
	autofree char *prefix = xasprintf("%s:", name);

	for (char **h = sent; h && *h; h++)
		if (text_starts(*h, prefix))
			return *h + strlen(prefix) + strspn(*h + strlen(prefix), " ");
	return NULL;
}

static size_t
requests(void)
{
	return strv_len(mini_log(server));
}

START_TEST(test_ok)
{
	autoreply struct reply a = { 0 };
	struct aws_request r = get_messages(1);

	PLAN({ 200, "Content-Type: application/x-amz-json-1.1\r\n", "{\"Messages\":[]}" });
	call(&r, &a);
	ck_assert_msg(a.r.result == 0, "%s", a.text);
	ck_assert_int_eq(a.r.status, 200);
	ck_assert_str_eq(a.r.code, "");
	ck_assert(json_is_array(json_object_get(a.json, "Messages")));
	ck_assert_str_eq(a.body, "{\"Messages\":[]}");
	ck_assert_str_eq(mini_log(server)[0], "POST /");
	ck_assert_str_eq(sent_body, "{\"a\":1}");
	ck_assert_str_eq(was_sent("x-amz-target"), TARGET);
	ck_assert_str_eq(was_sent("content-type"), "application/x-amz-json-1.1");
	ck_assert_str_eq(was_sent("x-amz-security-token"), "sessiontoken");
	ck_assert(text_starts(was_sent("user-agent"), "ssm-agent/"));
	ck_assert_ptr_nonnull(strstr(was_sent("user-agent"), " (linux; "));
	ck_assert_ptr_nonnull(strstr(was_sent("user-agent"), ") amazon-ssm-agent/3."));
	ck_assert_ptr_nonnull(
		strstr(was_sent("authorization"),
		       "/eu-west-1/ec2messages/aws4_request, SignedHeaders=content-length;"
		       "content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "));
}
END_TEST

/* What arrived is what was signed: signed once more with the time that was sent. */
START_TEST(test_signature_fits)
{
	static char *headers[] = { (char *)"Content-Type: text/plain", (char *)"X-Mine:  a  b",
				   NULL };
	static char *extra[] = { (char *)"X-Mine:  a  b", NULL };
	autofree char *url = NULL;
	autostrv char **wire = NULL;
	autoreply struct reply a = { 0 };
	struct aws_request r = { .service = "ssmmessages",
				 .method = "PUT",
				 .path = "/a%20b/../c:d?x=1&y",
				 .content_type = "text/plain",
				 .headers = extra,
				 .body = "body",
				 .body_len = 4,
				 .region = "us-east-1" };
	struct sigv4_key key = { "AKID1", "hiddenkey", "sessiontoken" };
	int64_t at;
	autofree char *iso = NULL;

	PLAN({ 201, "Content-Type: text/xml\r\n", "<x/>" });
	call(&r, &a);
	ck_assert_msg(a.r.result == 0, "%s", a.text);
	ck_assert_int_eq(a.r.status, 201);
	ck_assert_ptr_null(a.json);
	ck_assert_str_eq(mini_log(server)[0], "PUT /a%20b/../c:d?x=1&y");
	url = xasprintf("%s%s", mini_url(server), r.path);
	iso = xasprintf("%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", was_sent("x-amz-date"),
			was_sent("x-amz-date") + 4, was_sent("x-amz-date") + 6,
			was_sent("x-amz-date") + 9, was_sent("x-amz-date") + 11,
			was_sent("x-amz-date") + 13);
	ck_assert_int_eq(text_from_iso8601(iso, &at), 0);
	{
		struct sigv4_request s = { .method = "PUT",
					   .url = url,
					   .headers = headers,
					   .body = "body",
					   .body_len = 4,
					   .region = "us-east-1",
					   .service = "ssmmessages",
					   .when = at / 1000 };
		const char *last;

		ck_assert_int_eq(sigv4_sign_headers(&s, &key, &wire, NULL, NULL), 0);
		last = wire[strv_len(wire) - 1];
		ck_assert_str_eq(last + strlen("Authorization: "), was_sent("authorization"));
	}
}
END_TEST

START_TEST(test_empty_answer)
{
	autoreply struct reply a = { 0 };
	struct aws_request r = get_messages(1);

	PLAN({ 200, NULL, "" });
	call(&r, &a);
	ck_assert_int_eq(a.r.result, 0);
	ck_assert_ptr_null(a.json);
	ck_assert_str_eq(a.body, "");
}
END_TEST

static void
refusal(int status, const char *headers, const char *body, const char *code, enum retry_class class,
	const char *in_text)
{
	autoreply struct reply a = { 0 };
	struct aws_request r = get_messages(1);
	const struct step s = { status, headers, body };

	plan(&s, 1);
	same_key = true;
	call(&r, &a);
	ck_assert_int_eq(a.r.result, -EREMOTEIO);
	ck_assert_int_eq(a.r.status, status);
	ck_assert_str_eq(a.r.code, code);
	ck_assert_msg(a.r.retry == class, "%s: %d", code, a.r.retry);
	ck_assert_msg(strstr(a.text, in_text) != NULL, "%s", a.text);
	ck_assert_ptr_nonnull(strstr(a.text, "ec2messages GetMessages"));
}

START_TEST(test_error_forms)
{
	refusal(400, NULL, "{\"__type\":\"com.amazon#AccessDeniedException\",\"Message\":\"no\"}",
		"AccessDeniedException", RETRY_NO, "status 400 AccessDeniedException: no");
	refusal(400, NULL, "{\"__type\":\"ThrottlingException\",\"message\":\"slow\"}",
		"ThrottlingException", RETRY_THROTTLED, "slow");
	refusal(400, NULL, "{\"__Type\":\"a#b#c\",\"MESSAGE\":\"x\\ny\"}", "b", RETRY_NO, "x\\ny");
	refusal(400, "x-amzn-ErrorType: InvalidDestinationException:http://a/\r\n", "",
		"InvalidDestinationException", RETRY_NO, "InvalidDestinationException");
	refusal(400, "x-amzn-ErrorType: Header\r\n", "{\"__type\":\"Body\"}", "Body", RETRY_NO,
		"Body");
	refusal(403, "Content-Type: application/xml\r\n",
		"<Error><Code>ExpiredToken</Code><Message>old</Message></Error>", "ExpiredToken",
		RETRY_AUTH, "old");
	refusal(503, "Content-Type: text/html\r\n", "<html>bad gateway</html>",
		"SerializationError", RETRY_TRANSPORT, "not JSON");
	refusal(403, NULL, "garbage", "SerializationError", RETRY_NO, "not JSON");
	refusal(500, NULL, "", "", RETRY_TRANSPORT, "status 500");
	refusal(301, "Location: http://elsewhere/\r\n", "", "", RETRY_NO, "status 301");
	refusal(400, NULL, "{\"__type\":7,\"message\":[]}", "", RETRY_NO, "status 400");
	refusal(400, NULL, "{\"__type\":\"<script>\"}", "", RETRY_NO, "status 400");
	refusal(400, "Content-Type: text/json\r\n", "[1]", "", RETRY_NO, "status 400");
	refusal(400, NULL, "{\"__type\":", "SerializationError", RETRY_NO, "JSON");
	refusal(200, NULL, "{\"broken\"", "SerializationError", RETRY_TRANSPORT, "JSON");
	refusal(200, NULL, "<html>login</html>", "SerializationError", RETRY_TRANSPORT, "JSON");
}
END_TEST

START_TEST(test_long_error)
{
	autofree char *long_text = xmalloc(5001);
	autofree char *body = NULL;

	memset(long_text, 'm', 5000);
	long_text[5000] = '\0';
	body = xasprintf("{\"__type\":\"%s\",\"message\":\"%s\"}", long_text, long_text);
	{
		autoreply struct reply a = { 0 };
		struct aws_request r = get_messages(1);
		const struct step s = { 400, NULL, body };

		plan(&s, 1);
		call(&r, &a);
		ck_assert_uint_eq(strlen(a.r.code), sizeof(a.r.code) - 1);
		ck_assert_uint_lt(strlen(a.text), 600);
	}
}
END_TEST

START_TEST(test_retries)
{
	autoreply struct reply a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	struct aws_request four = get_messages(4), one = get_messages(1);

	PLAN({ 500, NULL, "" }, { 0, NULL, NULL }, { 503, NULL, "<html>" }, { 200, NULL, "{}" });
	call(&four, &a);
	ck_assert_msg(a.r.result == 0, "%s", a.text);
	ck_assert_uint_eq(requests(), 4);
	step_at = 0;
	call(&one, &b);
	ck_assert_int_eq(b.r.result, -EREMOTEIO);
	ck_assert_int_eq(b.r.retry, RETRY_TRANSPORT);
	ck_assert_uint_eq(requests(), 5);
	PLAN({ 500, NULL, "" });
	call(&four, &c);
	ck_assert_int_eq(c.r.status, 500);
	ck_assert_uint_eq(requests(), 9);
	PLAN({ 400, NULL, "{\"__type\":\"ValidationException\"}" });
	call(&four, &d);
	ck_assert_uint_eq(requests(), 10);
}
END_TEST

START_TEST(test_retry_after)
{
	autoreply struct reply a = { 0 }, b = { 0 };
	struct aws_request r = get_messages(1), two = get_messages(2);
	int64_t before;

	PLAN({ 429, "Retry-After: 7\r\n", "" }, { 429, "Retry-After: 1\r\n", "" },
	     { 200, NULL, "" });
	call(&r, &a);
	ck_assert_int_eq(a.r.retry, RETRY_THROTTLED);
	ck_assert_int_eq(a.r.retry_after_ms, 7000);
	before = clock_mono_ms();
	call(&two, &b);
	ck_assert_int_eq(b.r.result, 0);
	ck_assert_int_ge(clock_mono_ms() - before, 950);
}
END_TEST

START_TEST(test_network_back)
{
	autoreply struct reply a = { 0 };
	struct aws_request r = get_messages(2);

	PLAN({ 503, "Retry-After: 800\r\n", "" }, { 200, NULL, "" });
	waiting++;
	ck_assert_ptr_nonnull(aws_start(aws, &r, on_reply, &a, NULL));
	while (requests() == 0)
		event_base_loop(base, EVLOOP_ONCE);
	for (int i = 0; i < 50; i++) {
		struct timeval tv = { 0, 10000 };

		event_base_loopexit(base, &tv);
		event_base_dispatch(base);
	}
	ck_assert_int_eq(a.calls, 0);
	aws_retry_now(aws);
	run();
	ck_assert_int_eq(a.r.result, 0);
	ck_assert_uint_eq(requests(), 2);
}
END_TEST

/* An outage: 300 calls may not make 1,200 requests. */
START_TEST(test_budget)
{
	struct aws_request r = get_messages(4);

	PLAN({ 500, NULL, "" });
	for (int i = 0; i < 300; i++) {
		autoreply struct reply a = { 0 };

		call(&r, &a);
		ck_assert_int_eq(a.r.status, 500);
	}
	ck_assert_uint_ge(requests(), 300);
	ck_assert_uint_le(requests(), 400);
}
END_TEST

START_TEST(test_transport)
{
	autoreply struct reply a = { 0 }, b = { 0 }, c = { 0 };
	autofree char *url = xasprintf("%s/", mini_url(server));
	struct aws_request r = get_messages(3);

	PLAN({ 200, NULL, "{\"long\":\"0123456789\"}" });
	r.max_bytes = 5;
	call(&r, &a);
	ck_assert_int_eq(a.r.result, -E2BIG);
	ck_assert_int_eq(a.r.retry, RETRY_NO);
	ck_assert_uint_eq(requests(), 1);
	r.max_bytes = 0;
	PLAN({ -1, NULL, NULL });
	r.timeout_ms = 200;
	call(&r, &b);
	ck_assert_int_eq(b.r.result, -ETIMEDOUT);
	ck_assert_uint_eq(requests(), 4);
	server = mini_free(server);
	r.url = url;
	server = mini_new(base, "127.0.0.1", serve, NULL);
	call(&r, &c);
	ck_assert_int_eq(c.r.result, -ECONNREFUSED);
	ck_assert_int_eq(c.r.retry, RETRY_TRANSPORT);
}
END_TEST

/* Refuses what is not signed with a time ten minutes from ours. */
static int64_t server_ahead_ms;

static void
serve_skewed(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	int64_t now = clock_wall_ms() + server_ahead_ms;
	char date[64], stamp[TEXT_STAMP_SIZE];
	autofree char *header = NULL;
	time_t t = (time_t)(now / 1000);
	struct tm tm;

	(void)arg;
	gmtime_r(&t, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	header = xasprintf("Date: %s\r\n", date);
	text_amz_date(t, stamp);
	/* to the hour and the tens of minutes */
	if (strncmp(mini_header(r, "x-amz-date"), stamp, 12) == 0)
		mini_replys(c, 200, header, "");
	else
		mini_replys(c, 400, header, "{\"__type\":\"InvalidSignatureException\"}");
}

static int64_t
fixed_wall(void)
{
	return 1709622309000; /* 07:05:09 */
}

START_TEST(test_skew)
{
	static const struct clock_ops ops = { .wall_ms = fixed_wall };
	autoreply struct reply a = { 0 }, b = { 0 }, c = { 0 };
	struct aws_request r = get_messages(1);

	mini_free(server);
	server = mini_new(base, "127.0.0.1", serve_skewed, NULL);
	clock_replace(&ops);
	server_ahead_ms = 20 * 60 * 1000;
	call(&r, &a);
	ck_assert_msg(a.r.result == 0, "%s", a.text);
	ck_assert_uint_eq(requests(), 2);
	ck_assert_int_eq(aws_skew_ms(aws), server_ahead_ms);
	call(&r, &b);
	ck_assert_uint_eq(requests(), 3);
	/* and back again when the clock was set right */
	server_ahead_ms = 0;
	call(&r, &c);
	ck_assert_int_eq(c.r.result, 0);
	ck_assert_int_eq(aws_skew_ms(aws), 0);
	clock_replace(NULL);
}
END_TEST

START_TEST(test_skew_only_once)
{
	autoreply struct reply a = { 0 }, b = { 0 };
	struct aws_request r = get_messages(4);

	same_key = true;
	PLAN({ 403, "Date: Wed, 01 Jan 2020 00:00:00 GMT\r\n",
	       "{\"__type\":\"SignatureDoesNotMatch\"}" });
	call(&r, &a);
	ck_assert_int_eq(a.r.result, -EREMOTEIO);
	ck_assert_int_eq(a.r.retry, RETRY_AUTH);
	ck_assert_str_eq(a.r.code, "SignatureDoesNotMatch");
	ck_assert_uint_eq(requests(), 2);
	/* without a Date there is no time to adopt */
	PLAN({ 403, NULL, "{\"__type\":\"RequestExpired\"}" });
	call(&r, &b);
	ck_assert_uint_eq(requests(), 3);
}
END_TEST

START_TEST(test_refresh)
{
	autoreply struct reply a = { 0 }, b = { 0 };
	struct aws_request r = get_messages(1);

	PLAN({ 400, NULL, "{\"__type\":\"ExpiredTokenException\"}" }, { 200, NULL, "" });
	call(&r, &a);
	ck_assert_msg(a.r.result == 0, "%s", a.text);
	ck_assert_int_eq(sets_given, 2);
	ck_assert_ptr_nonnull(strstr(was_sent("authorization"), "Credential=AKID2/"));
	/* once a minute at most; the refusal is told as it is */
	step_at = 0;
	call(&r, &b);
	ck_assert_int_eq(b.r.result, -EREMOTEIO);
	ck_assert_int_eq(b.r.retry, RETRY_AUTH);
	ck_assert_str_eq(b.r.code, "ExpiredTokenException");
	ck_assert_uint_eq(requests(), 3);
}
END_TEST

START_TEST(test_refresh_gives_the_same)
{
	autoreply struct reply a = { 0 };
	struct aws_request r = get_messages(4);

	same_key = true;
	PLAN({ 400, NULL, "{\"__type\":\"UnrecognizedClientException\",\"message\":\"who?\"}" });
	call(&r, &a);
	ck_assert_str_eq(a.r.code, "UnrecognizedClientException");
	ck_assert_ptr_nonnull(strstr(a.text, "who?"));
	ck_assert_uint_eq(requests(), 1);
}
END_TEST

START_TEST(test_no_credentials)
{
	autoreply struct reply a = { 0 }, b = { 0 };
	struct aws_request r = get_messages(4);

	no_key = true;
	PLAN({ 200, NULL, "" });
	call(&r, &a);
	ck_assert_int_eq(a.r.result, -ENOKEY);
	ck_assert_int_eq(a.r.retry, RETRY_AUTH);
	ck_assert_ptr_nonnull(strstr(a.text, "not configured: test"));
	ck_assert_uint_eq(requests(), 0);
	r.anonymous = true;
	call(&r, &b);
	ck_assert_int_eq(b.r.result, 0);
	ck_assert_ptr_null(was_sent("authorization"));
	ck_assert_ptr_null(was_sent("x-amz-date"));
	ck_assert_str_eq(was_sent("x-amz-target"), TARGET);
}
END_TEST

static void
sign_gives(const struct aws_request *r, int64_t valid_ms, struct reply *a)
{
	waiting++;
	ck_assert_ptr_nonnull(aws_sign(aws, r, valid_ms, on_reply, a, NULL));
	ck_assert_int_eq(a->calls, 0);
	run();
	ck_assert_msg(a->r.result == 0, "%s", a->text);
}

START_TEST(test_sign)
{
	autoreply struct reply a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	struct aws_request r = { .service = "s3",
				 .method = "PUT",
				 .url = "https://bucket.s3.eu-west-1.amazonaws.com/a/b%20c" };

	sign_gives(&r, 0, &a);
	ck_assert_str_eq(a.body, r.url);
	ck_assert(strv_has(a.headers, "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD"));
	ck_assert(text_starts(a.headers[strv_len(a.headers) - 1], "Authorization: AWS4"));
	sign_gives(&r, 60000, &b);
	ck_assert_uint_eq(strv_len(b.headers), 0);
	ck_assert_ptr_nonnull(strstr(b.body, "&X-Amz-Expires=60&"));
	ck_assert_ptr_nonnull(strstr(b.body, "&X-Amz-Signature="));
	ck_assert_ptr_nonnull(strstr(b.body, "X-Amz-Security-Token=sessiontoken"));
	r.anonymous = true;
	sign_gives(&r, 0, &c);
	ck_assert_str_eq(c.body, r.url);
	ck_assert_uint_eq(strv_len(c.headers), 0);
	r = (struct aws_request){ .service = "none", .method = "GET" };
	sign_gives(&r, 0, &d);
	ck_assert_str_eq(d.body, "https://none.eu-west-1.amazonaws.com/");
	ck_assert_uint_eq(requests(), 0);
}
END_TEST

static void
never(void *arg, const struct aws_reply *r)
{
	(void)arg;
	ck_abort_msg("called after the cancel: %s", r->text);
}

START_TEST(test_cancel)
{
	struct aws_request r = get_messages(4);
	autoreply struct reply a = { 0 }, b = { 0 };
	struct aws_call *c;

	aws_cancel(NULL);
	PLAN({ 200, NULL, "" });
	aws_cancel(aws_start(aws, &r, never, NULL, NULL)); /* before anything */
	call(&r, &a);
	PLAN({ -1, NULL, NULL }, { 200, NULL, "" });
	c = aws_start(aws, &r, never, NULL, NULL); /* while it is under way */
	while (requests() < 2)
		event_base_loop(base, EVLOOP_ONCE);
	aws_cancel(c);
	call(&r, &b);
	{
		PLAN({ 503, "Retry-After: 100\r\n", "" });
		c = aws_start(aws, &r, never, NULL, NULL); /* between two attempts */
		ck_assert_ptr_nonnull(aws_start(aws, &r, never, NULL, NULL));
		while (requests() < 5)
			event_base_loop(base, EVLOOP_ONCE);
		for (int i = 0; i < 20; i++) {
			struct timeval tv = { 0, 10000 };

			event_base_loopexit(base, &tv);
			event_base_dispatch(base);
		}
		aws_cancel(c);
	}
	aws = aws_free(aws); /* the other one goes with it */
	event_base_loop(base, EVLOOP_NONBLOCK);
}
END_TEST

static void
refused(struct aws_request r)
{
	struct err e = { 0 };

	ck_assert_ptr_null(aws_start(aws, &r, never, NULL, &e));
	ck_assert_str_ne(e.text, "");
	ck_assert_ptr_null(aws_sign(aws, &r, 0, never, NULL, NULL));
}

START_TEST(test_refused)
{
	static char *bad[] = { (char *)"Host: h", NULL };
	autoreply struct reply a = { 0 };
	struct aws_request r = get_messages(1);

	refused((struct aws_request){ .service = NULL });
	refused((struct aws_request){ .service = "" });
	refused((struct aws_request){ .service = "ssm", .path = "no slash" });
	refused((struct aws_request){ .service = "ssm", .path = "/a b" });
	refused((struct aws_request){ .service = "ssm", .url = "ftp://h/" });
	refused((struct aws_request){ .service = "ssm", .url = "http://user@h/" });
	/* what only the signer sees is a failed call */
	PLAN({ 200, NULL, "" });
	r.headers = bad;
	call(&r, &a);
	ck_assert_int_eq(a.r.result, -EINVAL);
	ck_assert_int_eq(a.r.retry, RETRY_NO);
	ck_assert_uint_eq(requests(), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("call");
	TCase *t = tcase_create("call");

	signal(SIGPIPE, SIG_IGN); /* of the server, whose peers hang up */
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_ok);
	tcase_add_test(t, test_signature_fits);
	tcase_add_test(t, test_empty_answer);
	tcase_add_test(t, test_error_forms);
	tcase_add_test(t, test_long_error);
	tcase_add_test(t, test_retries);
	tcase_add_test(t, test_retry_after);
	tcase_add_test(t, test_network_back);
	tcase_add_test(t, test_budget);
	tcase_add_test(t, test_transport);
	tcase_add_test(t, test_skew);
	tcase_add_test(t, test_skew_only_once);
	tcase_add_test(t, test_refresh);
	tcase_add_test(t, test_refresh_gives_the_same);
	tcase_add_test(t, test_no_credentials);
	tcase_add_test(t, test_sign);
	tcase_add_test(t, test_cancel);
	tcase_add_test(t, test_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
