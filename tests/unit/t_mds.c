/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/mds.c against a service in the same event loop: spec/01 section 1, DESIGN
 * section 14. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "core/aws/creds.h"
#include "core/aws/mds.h"
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

#define IID "i-0123456789abcdef0"
#define MESSAGE "aws.ssm.2b196342-d7d4-436e-8f09-3883a1116ac3." IID
#define REPLY "9d43db23-89f9-4b77-8261-e8ec762bf17e"
#define TARGET "EC2WindowsMessageDeliveryService."
#define JSON_TYPE "Content-Type: application/x-amz-json-1.1\r\n"
#define ONE "{\"Messages\":[{\"MessageId\":\"m1\"},{\"MessageId\":\"m2\"}]}"

static struct event_base *base;
static struct http *client;
static struct mini *server;
static struct creds_cache *cache;
static struct aws *aws;
static struct mds *mds;
static struct mds_options options;
static bool no_key, closed;
static int64_t skipped_ms;

/* What the service does; the last step is repeated. Status 0: nothing, -1: a reset. */
struct step {
	int status;
	const char *headers, *body;
	int delay_ms;
};
static struct step steps[32];
static size_t step_at, step_count;
static char **sent; /* "Operation body" of each request */

/* What the poll said. */
static char **told; /* "ok", "messages m1 m2" or the result */
static int last_result;
static char *last_text;
static int64_t last_wait_ms;
static size_t wanted;	   /* the loop ends when so many were told */
static size_t wanted_sent; /* or so many sent */

static int64_t
skipping_mono(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + skipped_ms;
}

static const struct clock_ops skipping_clock = { .mono_ms = skipping_mono };

static void
serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	const struct step *s = &steps[step_at];
	const char *target = mini_header(r, "x-amz-target");

	(void)arg;
	ck_assert_str_eq(r->method, "POST");
	ck_assert_str_eq(r->target, "/");
	ck_assert_pstr_eq(mini_header(r, "content-type"), "application/x-amz-json-1.1");
	ck_assert_ptr_nonnull(strstr(mini_header(r, "authorization"), "/ec2messages/"));
	ck_assert(text_starts(target, TARGET));
	strv_addf(&sent, "%s %s", target + strlen(TARGET), r->body);
	if (strv_len(sent) >= wanted_sent)
		event_base_loopbreak(base);
	if (step_at + 1 < step_count)
		step_at++;
	if (s->status < 0)
		mini_reset(c);
	else if (s->status > 0)
		mini_reply_after(c, s->delay_ms, s->status, s->headers ? s->headers : JSON_TYPE,
				 s->body);
}

static void
plan(const struct step *s, size_t n)
{
	ck_assert_uint_le(n, NELEMS(steps));
	memcpy(steps, s, n * sizeof(*s));
	step_count = n;
	step_at = 0;
}
#define PLAN(...)                                  \
	plan((const struct step[]){ __VA_ARGS__ }, \
	     sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step))

static void *
give_set(void *ctx, creds_provider_done_fn *done, void *arg)
{
	(void)ctx;
	if (no_key)
		done(arg, NULL, "not configured (test)");
	else
		done(arg, creds_new("AKID", "hiddenkey", NULL, 0, "test"), NULL);
	return NULL;
}

static const char *
override(void *arg, const char *service)
{
	(void)arg;
	ck_assert_str_eq(service, "ec2messages");
	return closed ? "http://127.0.0.1:1" : mini_url(server);
}

static void
tell(char *what)
{
	strv_push(&told, what);
	if (strv_len(told) >= wanted)
		event_base_loopbreak(base);
}

static void
on_messages(void *arg, json_t *messages)
{
	char *text = xstrdup("messages");
	json_t *one;
	size_t i;

	ck_assert_ptr_eq(arg, &mds);
	json_array_foreach(messages, i, one)
	{
		char *longer = xasprintf("%s %s", text, json_str(one, "MessageId", "?"));

		free(text);
		text = longer;
	}
	tell(text);
}

static void
on_state(void *arg, int result, const char *text, int64_t wait_ms)
{
	ck_assert_ptr_eq(arg, &mds);
	ck_assert_ptr_null(strstr(text, "hiddenkey"));
	last_result = result;
	free(last_text);
	last_text = xstrdup(text);
	last_wait_ms = wait_ms;
	tell(result == 0 ? xstrdup("ok") : xasprintf("%d", result));
}

static void
setup(void)
{
	struct http_options h = { .user_agent = "test/1", .proxy = "" };
	struct creds_provider p = { .name = "test", .start = give_set };
	struct aws_options o = { .region = "eu-central-1", .override = override };

	log_set_level(LOG_LEVEL_ERROR);
	no_key = closed = false;
	skipped_ms = 0;
	wanted_sent = SIZE_MAX;
	base = event_base_new();
	client = http_new(base, &h, NULL);
	server = mini_new(base, "127.0.0.1", serve, NULL);
	cache = creds_cache_new(base, &p, 1);
	o.base = base;
	o.http = client;
	o.creds = cache;
	aws = aws_new(&o);
	options = (struct mds_options){
		.base = base, .aws = aws, .instance_id = IID, .poll_timeout_ms = 30000
	};
	mds = mds_new(&options, on_messages, on_state, &mds);
}

static void
teardown(void)
{
	mds = mds_free(mds);
	aws_free(aws);
	creds_cache_free(cache);
	http_free(client);
	mini_free(server);
	event_base_free(base);
	sent = strv_free(sent);
	told = strv_free(told);
	free(last_text);
	last_text = NULL;
	rand_replace(NULL);
	clock_replace(NULL);
}

static void
run_until_told(size_t n)
{
	struct timeval limit = { 60, 0 };

	wanted = n;
	event_base_loopexit(base, &limit);
	while (strv_len(told) < n) {
		event_base_dispatch(base);
		if (event_base_got_exit(base))
			break;
	}
	ck_assert_uint_ge(strv_len(told), n);
}

static void
run_until_sent(size_t n)
{
	struct timeval limit = { 60, 0 };

	wanted = SIZE_MAX;
	wanted_sent = n;
	event_base_loopexit(base, &limit);
	while (strv_len(sent) < n) {
		event_base_dispatch(base);
		if (event_base_got_exit(base))
			break;
	}
	wanted_sent = SIZE_MAX;
	ck_assert_uint_ge(strv_len(sent), n);
}

/* Only where nothing is to happen. */
static void
run_ms(int64_t ms)
{
	struct timeval tv;

	wanted = SIZE_MAX;
	clock_timeval(ms, &tv);
	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

static void
expect_told(const char *want)
{
	autofree char *all = strv_join(told, "|");

	ck_assert_str_eq(all, want);
}

START_TEST(test_messages)
{
	PLAN({ 200, NULL, ONE, 0 }, { 200, NULL, "{}", 0 }, { 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	ck_assert_ptr_null(told); /* never from within */
	run_until_told(3);
	expect_told("ok|messages m1 m2|ok");
}
END_TEST

static const char *const empty_bodies[] = {
	"{}",
	"{\"Messages\":[]}",
	"{\"Messages\":null}",
	"{\"Destination\":\"x\",\"MessagesRequestId\":\"y\",\"Other\":[1]}",
};

START_TEST(test_empty)
{
	PLAN({ 200, NULL, empty_bodies[_i], 0 }, { 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_sent(2);
	run_ms(50);
	expect_told("ok");
	ck_assert_uint_eq(strv_len(sent), 2);
}
END_TEST

/* The members of spec/01 section 1.2, and an id of its own for each call. */
START_TEST(test_request)
{
	autojson json_t *a = NULL, *b = NULL;
	const char *first, *second;

	PLAN({ 200, NULL, ONE, 0 }, { 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_sent(2);
	ck_assert(text_starts(sent[0],
			      "GetMessages {\"Destination\":\"" IID "\",\"MessagesRequestId\":\""));
	ck_assert(text_ends(sent[0], "\",\"VisibilityTimeoutInSeconds\":10}"));
	a = json_parse(strchr(sent[0], '{'), strlen(strchr(sent[0], '{')), "a", NULL);
	b = json_parse(strchr(sent[1], '{'), strlen(strchr(sent[1], '{')), "b", NULL);
	first = json_str(a, "MessagesRequestId", "");
	second = json_str(b, "MessagesRequestId", "");
	ck_assert_uint_eq(strlen(first), 36);
	ck_assert_str_ne(first, second);
}
END_TEST

/* No sleep between polls: what is there is fetched in one go. */
START_TEST(test_no_pause)
{
	int64_t began = clock_mono_ms();

	PLAN({ 200, NULL, ONE, 0 });
	mds_poll(mds, true);
	run_until_told(100);
	ck_assert_int_lt(clock_mono_ms() - began, 20000);
	ck_assert_uint_ge(strv_len(sent), 50);
}
END_TEST

/* But a service that does not hold the poll does not make us spin. */
START_TEST(test_no_spin)
{
	PLAN({ 200, NULL, "{}", 0 });
	mds_poll(mds, true);
	run_until_told(5);
	run_ms(1000);
	ck_assert_uint_le(strv_len(told), 10);
}
END_TEST

static const struct {
	struct step step;
	int result;
	int64_t cap_ms; /* of the first wait */
	const char *part;
} failures[] = {
	{ { 500, NULL, "{\"__type\":\"x#InternalServerException\",\"message\":\"boo\"}", 0 },
	  -EREMOTEIO,
	  500,
	  "InternalServerException: boo" },
	{ { 503, "Content-Type: text/html\r\n", "<html>busy</html>", 0 },
	  -EREMOTEIO,
	  500,
	  "status 503" },
	{ { 429, NULL, "{\"__type\":\"TooManyRequestsException\"}", 0 }, -EREMOTEIO, 2000, "429" },
	{ { 400, NULL, "{\"__type\":\"ThrottlingException\"}", 0 },
	  -EREMOTEIO,
	  2000,
	  "ThrottlingException" },
	{ { 400, NULL, "{\"__type\":\"AccessDeniedException\",\"Message\":\"not you\"}", 0 },
	  -EREMOTEIO,
	  5000,
	  "AccessDeniedException: not you" },
	{ { 400, NULL, "{\"__type\":\"InvalidDestinationException\"}", 0 },
	  -EREMOTEIO,
	  5000,
	  "InvalidDestinationException" },
	{ { 400, NULL, "{\"__type\":\"ExpiredTokenException\"}", 0 }, -EREMOTEIO, 5000, "Expired" },
	{ { 200, NULL, "[]", 0 }, -EPROTO, 500, "not a JSON object" },
	{ { 200, NULL, "{\"Messages\":{}}", 0 }, -EPROTO, 500, "'Messages' is not a list" },
	{ { 200, NULL, "{\"Messages\":[{\"Mess", 0 }, -EREMOTEIO, 500, "not JSON" },
	{ { 200, NULL, "", 0 }, -EPROTO, 500, "not a JSON object" },
	{ { 200, "Content-Type: text/html\r\n", "<html>portal</html>", 0 },
	  -EREMOTEIO,
	  500,
	  "JSON" },
	{ { 302, "Location: http://127.0.0.1:1/\r\n", "", 0 }, -EREMOTEIO, 5000, "302" },
	{ { -1, NULL, NULL, 0 }, -ECONNRESET, 500, "GetMessages" },
};

/* Each is told with the wait, and the poll goes on. */
START_TEST(test_failure)
{
	PLAN(failures[_i].step, failures[_i].step, { 200, NULL, ONE, 0 }, { 0, NULL, NULL, 0 });
	steps[1] = failures[_i].result == -EREMOTEIO && strstr(failures[_i].part, "Expired")
		? failures[_i].step
		: steps[2];
	if (failures[_i].step.status < 0)
		steps[1] = steps[2];
	mds_poll(mds, true);
	run_until_told(1);
	ck_assert_int_eq(last_result, failures[_i].result);
	ck_assert_msg(strstr(last_text, failures[_i].part) != NULL, "%s", last_text);
	ck_assert_int_ge(last_wait_ms, 0);
	ck_assert_int_le(last_wait_ms, failures[_i].cap_ms);
	step_at = 2;
	mds_poll_now(mds);
	run_until_told(3);
	ck_assert_str_eq(told[1], "ok");
	ck_assert_str_eq(told[2], "messages m1 m2");
}
END_TEST

START_TEST(test_oversized)
{
	size_t len = 5 * 1024 * 1024;
	autofree char *body = xcalloc(len + 1, 1);

	memset(body, ' ', len);
	PLAN({ 200, NULL, body, 0 }, { 200, NULL, ONE, 0 }, { 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_told(1);
	ck_assert_int_eq(last_result, -E2BIG);
	mds_poll_now(mds);
	run_until_told(3);
	ck_assert_str_eq(told[2], "messages m1 m2");
}
END_TEST

START_TEST(test_nested)
{
	size_t len = 200000;
	autofree char *body = xcalloc(len + 1, 1);

	memset(body, '[', len);
	PLAN({ 200, NULL, body, 0 }, { 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_told(1);
	ck_assert_int_lt(last_result, 0);
}
END_TEST

START_TEST(test_retry_after)
{
	PLAN({ _i ? 503 : 429, JSON_TYPE "Retry-After: 7\r\n", "{}", 0 }, { 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_told(1);
	ck_assert_int_ge(last_wait_ms, 7000);
	run_ms(100);
	ck_assert_uint_eq(strv_len(sent), 1);
}
END_TEST

START_TEST(test_timeout)
{
	mds_free(mds);
	options.poll_timeout_ms = 1500;
	mds = mds_new(&options, on_messages, on_state, &mds);
	PLAN({ 0, NULL, NULL, 0 }, { 200, NULL, ONE, 0 }, { 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_told(1);
	ck_assert_int_eq(last_result, -ETIMEDOUT);
	run_until_told(3);
	ck_assert_str_eq(told[2], "messages m1 m2");
}
END_TEST

START_TEST(test_nobody_there)
{
	PLAN({ 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_sent(1);
	server = mini_free(server);
	closed = true;
	run_until_told(2);
	ck_assert_int_eq(last_result, -ECONNREFUSED);
}
END_TEST

/* Nothing to sign with: asked again soon, the cache has a back-off of its own. */
START_TEST(test_no_credentials)
{
	no_key = true;
	PLAN({ 200, NULL, ONE, 0 }, { 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_told(1);
	ck_assert_int_eq(last_result, -ENOKEY);
	ck_assert_int_le(last_wait_ms, 500);
	ck_assert_ptr_null(sent);
	no_key = false;
	creds_retry_now(cache);
	mds_poll_now(mds);
	run_until_told(3);
	ck_assert_str_eq(told[2], "messages m1 m2");
}
END_TEST

/* The middle of every range, so that waits show the growth. */
static void
half(void *p, size_t len)
{
	memset(p, 0x7f, len);
}

static void
zero(void *p, size_t len)
{
	memset(p, 0, len);
}

/* A connection that somebody cuts after a long silence is no reason to wait longer each time. */
START_TEST(test_long_poll_cut)
{
	int64_t grown;

	clock_replace(&skipping_clock);
	rand_replace(zero);
	PLAN({ 500, NULL, "{}", 0 });
	mds_poll(mds, true);
	run_until_told(7);
	rand_replace(half);
	run_until_told(8);
	grown = last_wait_ms;
	ck_assert_int_gt(grown, 2000);
	rand_replace(zero);
	PLAN({ 0, NULL, NULL, 0 });
	mds_poll(mds, false);
	mds_poll(mds, true);
	run_until_sent(9);
	skipped_ms += 15000;
	rand_replace(half);
	mini_free(server); /* cuts it */
	server = mini_new(base, "127.0.0.1", serve, NULL);
	run_until_told(9);
	ck_assert_int_lt(last_result, 0);
	ck_assert_int_le(last_wait_ms, 500);
}
END_TEST

/* Another kind of failure starts its own row of waits. */
START_TEST(test_own_row_for_each_kind)
{
	rand_replace(zero);
	PLAN({ 500, NULL, "{}", 0 }, { 500, NULL, "{}", 0 }, { 500, NULL, "{}", 0 },
	     { 500, NULL, "{}", 0 }, { 429, NULL, "{}", 0 }, { 429, NULL, "{}", 0 });
	mds_poll(mds, true);
	run_until_told(4);
	rand_replace(half);
	run_until_told(5);
	ck_assert_int_le(last_wait_ms, 2000);
}
END_TEST

/* Near the upper end of 0..15000 and of 0..60000. */
static void
late(void *p, size_t len)
{
	const uint64_t n = 59999;

	memset(p, 0, len);
	memcpy(p, &n, len < sizeof(n) ? len : sizeof(n));
}

/* Who is not reached is asked again within 15 s; a service that says that it is in trouble gets up
 * to 60 s. Both are one row of waits. */
START_TEST(test_caps)
{
	rand_replace(zero);
	PLAN({ -1, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_told(9);
	rand_replace(late);
	run_until_told(10);
	ck_assert_int_le(last_wait_ms, 15000);
	ck_assert_int_ge(last_wait_ms, 7000);
	PLAN({ 503, NULL, "{}", 0 });
	mds_poll(mds, false);
	mds_poll(mds, true);
	run_until_told(11);
	ck_assert_int_gt(last_wait_ms, 15000);
	ck_assert_int_le(last_wait_ms, 60000);
}
END_TEST

START_TEST(test_off)
{
	PLAN({ 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	mds_poll(mds, true);
	run_until_sent(1);
	mds_poll_now(mds); /* one is under way */
	run_ms(50);
	ck_assert_uint_eq(strv_len(sent), 1);
	mds_poll(mds, false);
	mds_poll_now(mds);
	run_ms(50);
	ck_assert_uint_eq(strv_len(sent), 1);
	ck_assert_ptr_null(told);
	mds_poll(mds, true);
	run_until_sent(2);
}
END_TEST

/* ---------------------------------------------------------------- answers */

struct got {
	unsigned calls;
	int result;
	char *text;
};

static void
on_done(void *arg, const struct aws_reply *r)
{
	struct got *g = arg;

	g->calls++;
	g->result = r->result;
	g->text = xstrdup(r->text);
	event_base_loopbreak(base);
}

static void
wait_for(const struct got *g)
{
	struct timeval limit = { 60, 0 };

	ck_assert_uint_eq(g->calls, 0);
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	ck_assert_uint_eq(g->calls, 1);
}

START_TEST(test_answers)
{
	struct got g[4] = { { 0 } };

	PLAN({ 200, NULL, "", 0 });
	ck_assert_ptr_nonnull(mds_acknowledge(mds, MESSAGE, on_done, &g[0]));
	wait_for(&g[0]);
	ck_assert_ptr_nonnull(mds_fail(mds, MESSAGE, "NoHandlerExists", on_done, &g[1]));
	wait_for(&g[1]);
	ck_assert_ptr_nonnull(mds_delete(mds, MESSAGE, on_done, &g[2]));
	wait_for(&g[2]);
	ck_assert_ptr_nonnull(
		mds_reply(mds, MESSAGE, REPLY, "{\"a\":\"<\n\xff\"}", 11, on_done, &g[3]));
	wait_for(&g[3]);
	for (size_t i = 0; i < NELEMS(g); i++) {
		ck_assert_msg(g[i].result == 0, "%s", g[i].text);
		free(g[i].text);
	}
	ck_assert_str_eq(sent[0], "AcknowledgeMessage {\"MessageId\":\"" MESSAGE "\"}");
	ck_assert_str_eq(sent[1],
			 "FailMessage {\"FailureType\":\"NoHandlerExists\",\"MessageId\":\"" MESSAGE
			 "\"}");
	ck_assert_str_eq(sent[2], "DeleteMessage {\"MessageId\":\"" MESSAGE "\"}");
	ck_assert_str_eq(sent[3],
			 "SendReply {\"MessageId\":\"" MESSAGE
			 "\",\"Payload\":\"{\\\"a\\\":\\\"\\u003c\\n\\ufffd\\\"}\","
			 "\"ReplyId\":\"" REPLY "\"}");
}
END_TEST

START_TEST(test_four_attempts)
{
	struct got g = { 0 };

	rand_replace(zero);
	PLAN({ 500, NULL, "{}", 0 });
	mds_acknowledge(mds, MESSAGE, on_done, &g);
	wait_for(&g);
	ck_assert_int_eq(g.result, -EREMOTEIO);
	ck_assert_uint_eq(strv_len(sent), 4);
	free(g.text);
}
END_TEST

START_TEST(test_permanent_refusal)
{
	struct got g = { 0 };

	PLAN({ 400, NULL, "{\"__type\":\"InvalidMessageIdException\"}", 0 });
	mds_reply(mds, MESSAGE, REPLY, "{}", 2, on_done, &g);
	wait_for(&g);
	ck_assert_int_eq(g.result, -EREMOTEIO);
	ck_assert_uint_eq(strv_len(sent), 1);
	free(g.text);
}
END_TEST

/* Checked here, told from the loop, nothing sent. */
START_TEST(test_short_ids)
{
	struct got g[3] = { { 0 } };

	ck_assert_ptr_null(mds_acknowledge(mds, "fifteen-letters", on_done, &g[0]));
	wait_for(&g[0]);
	ck_assert_ptr_null(mds_reply(mds, MESSAGE, "short", "{}", 2, on_done, &g[1]));
	wait_for(&g[1]);
	ck_assert_ptr_null(mds_reply(mds, "", REPLY, "{}", 2, on_done, &g[2]));
	wait_for(&g[2]);
	for (size_t i = 0; i < NELEMS(g); i++) {
		ck_assert_int_eq(g[i].result, -EINVAL);
		ck_assert_ptr_nonnull(strstr(g[i].text, "shorter than 16"));
		free(g[i].text);
	}
	ck_assert_ptr_null(sent);
}
END_TEST

START_TEST(test_huge_reply)
{
	struct got g = { 0 };
	size_t len = 8 * 1024 * 1024;
	autofree char *payload = xcalloc(len, 1);

	memset(payload, 'x', len);
	ck_assert_ptr_null(mds_reply(mds, MESSAGE, REPLY, payload, len, on_done, &g));
	wait_for(&g);
	ck_assert_int_eq(g.result, -EINVAL);
	free(g.text);
}
END_TEST

START_TEST(test_short_destination)
{
	mds_free(mds);
	options.instance_id = "i-1";
	mds = mds_new(&options, on_messages, on_state, &mds);
	mds_poll(mds, true);
	run_until_told(1);
	ck_assert_int_eq(last_result, -EINVAL);
	ck_assert_ptr_nonnull(strstr(last_text, "'i-1'"));
	ck_assert_ptr_null(sent);
}
END_TEST

/* With a poll and a local refusal under way; the leak checker looks. */
START_TEST(test_free)
{
	struct got g = { 0 };

	PLAN({ 0, NULL, NULL, 0 });
	mds_poll(mds, true);
	run_until_sent(1);
	mds_acknowledge(mds, "x", on_done, &g);
	mds = mds_free(mds);
	run_ms(20);
	ck_assert_uint_eq(g.calls, 0);
	ck_assert_ptr_null(mds_free(NULL));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mds");
	TCase *tc = tcase_create("mds");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_messages);
	tcase_add_loop_test(tc, test_empty, 0, NELEMS(empty_bodies));
	tcase_add_test(tc, test_request);
	tcase_add_test(tc, test_no_pause);
	tcase_add_test(tc, test_no_spin);
	tcase_add_loop_test(tc, test_failure, 0, NELEMS(failures));
	tcase_add_test(tc, test_oversized);
	tcase_add_test(tc, test_nested);
	tcase_add_loop_test(tc, test_retry_after, 0, 2);
	tcase_add_test(tc, test_timeout);
	tcase_add_test(tc, test_nobody_there);
	tcase_add_test(tc, test_no_credentials);
	tcase_add_test(tc, test_long_poll_cut);
	tcase_add_test(tc, test_own_row_for_each_kind);
	tcase_add_test(tc, test_caps);
	tcase_add_test(tc, test_off);
	tcase_add_test(tc, test_answers);
	tcase_add_test(tc, test_four_attempts);
	tcase_add_test(tc, test_permanent_refusal);
	tcase_add_test(tc, test_short_ids);
	tcase_add_test(tc, test_huge_reply);
	tcase_add_test(tc, test_short_destination);
	tcase_add_test(tc, test_free);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
