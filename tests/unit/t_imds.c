/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/imds.c against a metadata service in the same event loop: the rows of
 * spec/04 section 2 as DESIGN section 14 changes them. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/aws/imds.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/http.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

#define TTL "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: "
#define PUT "PUT /latest/api/token"
#define GET "GET /latest/meta-data/instance-id"
#define PATH "/latest/meta-data/instance-id"

/* What the service answers; 0: nothing at all, -1: it resets the connection. */
struct step {
	int status;
	const char *headers, *body;
};

static struct event_base *base;
static struct http *client;
static struct mini *server;
static struct imds *imds;
static struct imds_options options;
static int64_t skipped_ms;
static unsigned tokens; /* issued */

/* In turn; the last one is repeated. An absent body of a PUT is "token-N". */
static struct step put_steps[4], get_steps[4];
static size_t put_count, get_count;
static char **sent_tokens; /* of the GETs, "-" for none */

static int64_t
skipping_mono(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + skipped_ms;
}

static const struct clock_ops skipping_clock = { .mono_ms = skipping_mono };

static void
answer(struct mini_conn *c, const struct step *s, const char *body)
{
	if (s->status > 0)
		mini_replys(c, s->status, s->headers, s->body ? s->body : body);
	else if (s->status < 0)
		mini_reset(c);
}

static void
serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	const char *token = mini_header(r, "x-aws-ec2-metadata-token");
	static unsigned put_at, get_at;
	autofree char *fresh = NULL;

	(void)arg;
	ck_assert_ptr_null(mini_header(r, "x-forwarded-for"));
	if (!mini_log(server)[1])
		put_at = get_at = 0;
	if (strcmp(r->method, "PUT") == 0) {
		ck_assert_str_eq(r->target, "/latest/api/token");
		ck_assert_pstr_eq(mini_header(r, "x-aws-ec2-metadata-token-ttl-seconds"), "21600");
		ck_assert_pstr_eq(mini_header(r, "content-length"), "0");
		fresh = xasprintf("token-%u", ++tokens);
		answer(c, &put_steps[put_at], fresh);
		put_at += put_at + 1 < put_count;
	} else {
		strv_add(&sent_tokens, token ? token : "-");
		answer(c, &get_steps[get_at], "i-0123456789abcdef0");
		get_at += get_at + 1 < get_count;
	}
}

static const struct step token_step = { 200, TTL "21600\r\n", NULL };
static const struct step ok_step = { 200, NULL, NULL };

static void
setup(void)
{
	struct http_options h = { .user_agent = "test/1", .proxy = "" };

	unsetenv("AWS_EC2_METADATA_DISABLED");
	unsetenv("AWS_EC2_METADATA_V1_DISABLED");
	unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	log_set_level(LOG_LEVEL_ERROR);
	skipped_ms = 0;
	tokens = 0;
	put_count = get_count = 1;
	put_steps[0] = token_step;
	get_steps[0] = ok_step;
	base = event_base_new();
	client = http_new(base, &h, NULL);
	server = mini_new(base, "127.0.0.1", serve, NULL);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", mini_url(server), 1);
	options = (struct imds_options){ .base = base,
					 .http = client,
					 .allow_v1 = true,
					 .connect_ms = 10000,
					 .timeout_ms = 30000 }; /* slow machines, too */
	imds = imds_new(&options);
}

static void
teardown(void)
{
	imds = imds_free(imds);
	client = http_free(client);
	server = mini_free(server);
	event_base_free(base);
	sent_tokens = strv_free(sent_tokens);
	clock_replace(NULL);
}

/* With other options or another environment. */
static void
again(void)
{
	imds_free(imds);
	imds = imds_new(&options);
}

struct got {
	unsigned calls;
	int result;
	char *body, *text;
};

static void
got_done(struct got *g)
{
	free(g->body);
	free(g->text);
	memset(g, 0, sizeof(*g));
}
#define autogot __attribute__((cleanup(got_done)))

static void
on_got(void *arg, int result, const char *body, const char *text)
{
	struct got *g = arg;

	g->calls++;
	g->result = result;
	g->body = xstrdup(body);
	g->text = xstrdup(text);
	ck_assert(result == 0 ? body != NULL : text != NULL);
	event_base_loopbreak(base);
}

static void
wait_for(const struct got *g)
{
	struct timeval limit = { 60, 0 };

	event_base_loopexit(base, &limit);
	while (g->calls == 0 && event_base_dispatch(base) == 0 && !event_base_got_exit(base))
		;
	ck_assert_uint_eq(g->calls, 1);
}

static void
get(struct got *g)
{
	got_done(g);
	imds_get(imds, PATH, on_got, g);
	ck_assert_uint_eq(g->calls, 0);
	wait_for(g);
}

static void
expect_ok(void)
{
	autogot struct got g = { 0 };

	get(&g);
	ck_assert_msg(g.result == 0, "%s", g.text);
	ck_assert_str_eq(g.body, "i-0123456789abcdef0");
}

static void
expect_error(int result, const char *part)
{
	autogot struct got g = { 0 };

	get(&g);
	ck_assert_msg(g.result == result, "%d: %s", g.result, g.text ? g.text : g.body);
	ck_assert_msg(strstr(g.text, part) != NULL, "%s", g.text);
}

static void
expect_log(const char *want)
{
	autofree char *log = strv_join(mini_log(server), "|");

	ck_assert_str_eq(log, want);
}

static void
expect_tokens(const char *want)
{
	autofree char *all = strv_join(sent_tokens, " ");

	ck_assert_str_eq(all, want);
}

START_TEST(test_version_2)
{
	expect_ok();
	expect_ok();
	expect_log(PUT "|" GET "|" GET);
	expect_tokens("token-1 token-1");
}
END_TEST

START_TEST(test_one_token_for_all)
{
	struct got g[4] = { { 0 } };

	for (size_t i = 0; i < NELEMS(g); i++)
		imds_get(imds, PATH, on_got, &g[i]);
	for (size_t i = 0; i < NELEMS(g); i++) {
		wait_for(&g[i]);
		ck_assert_int_eq(g[i].result, 0);
		got_done(&g[i]);
	}
	expect_log(PUT "|" GET "|" GET "|" GET "|" GET);
	expect_tokens("token-1 token-1 token-1 token-1");
}
END_TEST

/* Used until 30 s before its end. */
START_TEST(test_token_life)
{
	put_steps[0].headers = TTL "100\r\n";
	clock_replace(&skipping_clock);
	expect_ok();
	skipped_ms = 60000;
	expect_ok();
	skipped_ms = 71000;
	expect_ok();
	expect_log(PUT "|" GET "|" GET "|" PUT "|" GET);
	expect_tokens("token-1 token-1 token-2");
}
END_TEST

START_TEST(test_token_short_life)
{
	put_steps[0].headers = TTL "10\r\n";
	expect_ok();
	expect_ok();
	expect_tokens("token-1 token-2");
}
END_TEST

static const int v1_statuses[] = { 403, 404, 405 };

/* The service does not know version 2: remembered, but not for ever. */
START_TEST(test_version_1)
{
	put_steps[0] = (struct step){ v1_statuses[_i], NULL, "no" };
	clock_replace(&skipping_clock);
	expect_ok();
	expect_ok();
	expect_log(PUT "|" GET "|" GET);
	expect_tokens("- -");
	skipped_ms = 6 * 60 * 1000;
	expect_ok();
	expect_log(PUT "|" GET "|" GET "|" PUT "|" GET);
}
END_TEST

START_TEST(test_version_1_not_allowed)
{
	put_steps[0] = (struct step){ v1_statuses[_i], NULL, "no" };
	options.allow_v1 = false;
	again();
	expect_error(-EACCES, "Imds.V1 is no");
	expect_log(PUT);
}
END_TEST

START_TEST(test_version_1_disabled)
{
	put_steps[0] = (struct step){ v1_statuses[_i], NULL, "no" };
	setenv("AWS_EC2_METADATA_V1_DISABLED", "True", 1);
	again();
	expect_error(-EACCES, "AWS_EC2_METADATA_V1_DISABLED is true");
	expect_log(PUT);
}
END_TEST

/* Anything but true does not disable it, nor does an empty value. */
START_TEST(test_version_1_not_disabled)
{
	put_steps[0] = (struct step){ 404, NULL, "no" };
	setenv("AWS_EC2_METADATA_V1_DISABLED", _i ? "false" : "", 1);
	again();
	expect_ok();
}
END_TEST

static const struct {
	struct step put;
	int result;
	const char *part, *log;
} bad_puts[] = {
	{ { 400, NULL, "" }, -EREMOTEIO, "HTTP status 400", PUT },
	{ { 401, NULL, "" }, -EREMOTEIO, "HTTP status 401", PUT },
	{ { 301, "Location: /x\r\n", "" }, -EREMOTEIO, "HTTP status 301", PUT },
	{ { 500, NULL, "" }, -EREMOTEIO, "HTTP status 500", PUT "|" PUT "|" PUT },
	{ { 503, NULL, "" }, -EREMOTEIO, "HTTP status 503", PUT "|" PUT "|" PUT },
	{ { -1, NULL, NULL }, -ECONNRESET, "latest/api/token", PUT "|" PUT "|" PUT },
	{ { 200, NULL, NULL }, -EPROTO, "without a usable lifetime", PUT },
	{ { 200, TTL "soon\r\n", NULL }, -EPROTO, "without a usable lifetime", PUT },
	{ { 200, TTL "0\r\n", NULL }, -EPROTO, "without a usable lifetime", PUT },
	{ { 200, TTL "-5\r\n", NULL }, -EPROTO, "without a usable lifetime", PUT },
	{ { 200, TTL "99999999999999999999\r\n", NULL },
	  -EPROTO,
	  "without a usable lifetime",
	  PUT },
	{ { 200, TTL "100\r\n", "" }, -EPROTO, "0 bytes", PUT },
	{ { 200, TTL "100\r\n", "a b" }, -EPROTO, "no header may hold", PUT },
	{ { 200, TTL "100\r\n", "a\r\nX: y" }, -EPROTO, "no header may hold", PUT },
};

/* Never version 1 after any of these. */
START_TEST(test_bad_put)
{
	put_steps[0] = bad_puts[_i].put;
	expect_error(bad_puts[_i].result, bad_puts[_i].part);
	expect_log(bad_puts[_i].log);
}
END_TEST

START_TEST(test_huge_token)
{
	autofree char *token = xcalloc(5001, 1);

	memset(token, 't', 5000);
	put_steps[0].body = token;
	expect_error(-EPROTO, "5000 bytes");
}
END_TEST

/* No answer: no version 1 either, and a hint at what it is in containers. */
START_TEST(test_put_timeout)
{
	put_steps[0] = (struct step){ 0, NULL, NULL };
	options.connect_ms = 1500;
	options.timeout_ms = 2500;
	again();
	expect_error(-ETIMEDOUT, "hop limit");
	expect_log(PUT);
}
END_TEST

/* A hiccup of the service is not the end. */
START_TEST(test_put_hiccup)
{
	put_steps[0] = (struct step){ 500, NULL, "" };
	put_steps[1] = token_step;
	put_count = 2;
	expect_ok();
	expect_log(PUT "|" PUT "|" GET);
}
END_TEST

/* All who wait for the token learn that there is none. */
START_TEST(test_bad_put_for_all)
{
	struct got g[3] = { { 0 } };

	put_steps[0] = (struct step){ 400, NULL, "" };
	for (size_t i = 0; i < NELEMS(g); i++)
		imds_get(imds, PATH, on_got, &g[i]);
	for (size_t i = 0; i < NELEMS(g); i++) {
		wait_for(&g[i]);
		ck_assert_int_eq(g[i].result, -EREMOTEIO);
		got_done(&g[i]);
	}
	expect_log(PUT);
	put_steps[0] = token_step;
	expect_ok(); /* and nothing of it is remembered */
}
END_TEST

START_TEST(test_401_once)
{
	expect_ok();
	get_steps[0] = (struct step){ 401, NULL, "" };
	get_steps[1] = ok_step;
	get_count = 2;
	expect_ok();
	expect_log(PUT "|" GET "|" GET "|" PUT "|" GET);
	expect_tokens("token-1 token-1 token-2");
}
END_TEST

START_TEST(test_401_twice)
{
	get_steps[0] = (struct step){ 401, NULL, "" };
	expect_error(-EACCES, "HTTP status 401");
	expect_log(PUT "|" GET "|" PUT "|" GET);
}
END_TEST

/* Version 2 was made mandatory meanwhile. */
START_TEST(test_401_in_version_1)
{
	put_steps[0] = (struct step){ 404, NULL, "" };
	put_steps[1] = token_step;
	put_count = 2;
	get_steps[0] = (struct step){ 401, NULL, "" };
	get_steps[1] = ok_step;
	get_count = 2;
	expect_ok();
	expect_log(PUT "|" GET "|" PUT "|" GET);
	expect_tokens("- token-2");
}
END_TEST

static const struct {
	struct step get;
	int result;
	const char *part, *log;
} bad_gets[] = {
	{ { 404, NULL, "" }, -ENOENT, PATH ": HTTP status 404", PUT "|" GET },
	{ { 403, NULL, "" }, -EACCES, "HTTP status 403", PUT "|" GET },
	{ { 400, NULL, "" }, -EREMOTEIO, "HTTP status 400", PUT "|" GET },
	{ { 302, "Location: /x\r\n", "" }, -EREMOTEIO, "HTTP status 302", PUT "|" GET },
	{ { 500, NULL, "" }, -EREMOTEIO, "HTTP status 500", PUT "|" GET "|" GET "|" GET },
	{ { 429, NULL, "" }, -EREMOTEIO, "HTTP status 429", PUT "|" GET "|" GET "|" GET },
	{ { -1, NULL, NULL }, -ECONNRESET, PATH, PUT "|" GET "|" GET "|" GET },
};

START_TEST(test_bad_get)
{
	autofree char *log = NULL;

	get_steps[0] = bad_gets[_i].get;
	expect_error(bad_gets[_i].result, bad_gets[_i].part);
	/* libcurl repeats by itself what broke off on a kept connection. */
	log = strv_join(mini_log(server), "|");
	ck_assert_msg(bad_gets[_i].get.status < 0 ? text_starts(log, bad_gets[_i].log)
						  : strcmp(log, bad_gets[_i].log) == 0,
		      "%s", log);
}
END_TEST

START_TEST(test_get_hiccup)
{
	get_steps[0] = (struct step){ 503, NULL, "" };
	get_steps[1] = (struct step){ -1, NULL, NULL };
	get_steps[2] = ok_step;
	get_count = 3;
	expect_ok();
}
END_TEST

START_TEST(test_get_timeout)
{
	get_steps[0] = (struct step){ 0, NULL, NULL };
	options.timeout_ms = 2500;
	again();
	expect_error(-ETIMEDOUT, PATH);
	expect_log(PUT "|" GET);
}
END_TEST

START_TEST(test_huge_answer)
{
	size_t len = 1024 * 1024;
	autofree char *body = xcalloc(len + 1, 1);

	memset(body, 'x', len);
	get_steps[0].body = body;
	expect_error(-E2BIG, PATH);
}
END_TEST

static void
serve_raw(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	const char *raw = arg;

	if (strcmp(r->method, "PUT") == 0) {
		mini_replys(c, 200, TTL "100\r\n", "t");
		return;
	}
	if (!raw) {
		mini_reply(c, 200, NULL, "i-\0abc", 6);
		return;
	}
	mini_raw(c, raw, strlen(raw));
	mini_close(c);
}

static const struct {
	const char *raw; /* NULL: a NUL byte in the body */
	int result;
} broken[] = {
	{ NULL, -EPROTO },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ni-01234", -ECONNRESET },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", -ECONNRESET },
	{ "\x16\x03\x01 not HTTP", -EPROTO },
	{ "", -ECONNRESET },
};

START_TEST(test_broken_answer)
{
	struct mini *m = mini_new(base, "127.0.0.1", serve_raw, (void *)broken[_i].raw);

	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", mini_url(m), 1);
	again();
	expect_error(broken[_i].result, PATH);
	mini_free(m);
}
END_TEST

START_TEST(test_nobody_there)
{
	server = mini_free(server);
	expect_error(-ECONNREFUSED, "latest/api/token");
}
END_TEST

START_TEST(test_disabled)
{
	setenv("AWS_EC2_METADATA_DISABLED", "TRUE", 1);
	again();
	expect_error(-ENODEV, "AWS_EC2_METADATA_DISABLED");
	expect_log("");
}
END_TEST

static const struct {
	const char *endpoint, *mode, *part;
} bad_endpoints[] = {
	{ "127.0.0.1:80", NULL, "AWS_EC2_METADATA_SERVICE_ENDPOINT: " },
	{ "ftp://127.0.0.1", NULL, "AWS_EC2_METADATA_SERVICE_ENDPOINT: " },
	{ "http://", NULL, "AWS_EC2_METADATA_SERVICE_ENDPOINT: " },
	{ "", "IPv5", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is 'IPv5'" },
};

/* Told by each call; nothing is sent, and the agent lives. */
START_TEST(test_bad_endpoint)
{
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", bad_endpoints[_i].endpoint, 1);
	if (bad_endpoints[_i].mode)
		setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", bad_endpoints[_i].mode, 1);
	again();
	expect_error(-EINVAL, bad_endpoints[_i].part);
	expect_error(-EINVAL, bad_endpoints[_i].part);
}
END_TEST

/* The path of the endpoint is dropped; the mode does not matter beside it. */
START_TEST(test_endpoint_path)
{
	autofree char *url = xasprintf("%s/some/path", mini_url(server));

	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "nonsense", 1);
	again();
	expect_ok();
	expect_log(PUT "|" GET);
}
END_TEST

static const struct {
	const char *mode, *address;
} modes[] = {
	{ NULL, "169.254.169.254" },
	{ "IPv4", "169.254.169.254" },
	{ "", "169.254.169.254" },
	{ "ipv6", "[fd00:ec2::254]" },
};

static void
connect_through(const char *address)
{
	autofree char *to = xasprintf("%s:80:127.0.0.1:%d", address, mini_port(server));
	char *list[] = { to, NULL };
	struct http_options h = { .user_agent = "test/1", .connect_to = list };

	client = http_free(client);
	client = http_new(base, &h, NULL);
	options.http = client;
}

/* The fixed addresses, and no proxy for them whatever the environment says. */
START_TEST(test_mode)
{
	imds = imds_free(imds);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("HTTP_PROXY", "http://127.0.0.1:1", 1);
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "", 1);
	if (modes[_i].mode)
		setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", modes[_i].mode, 1);
	connect_through(modes[_i].address);
	again();
	expect_ok();
	expect_log(PUT "|" GET);
}
END_TEST

START_TEST(test_cancel)
{
	struct got g[2] = { { 0 } };
	struct imds_call *first = imds_get(imds, PATH, on_got, &g[0]);

	imds_get(imds, PATH, on_got, &g[1]);
	imds_cancel(first);
	imds_cancel(NULL);
	wait_for(&g[1]);
	ck_assert_int_eq(g[1].result, 0);
	ck_assert_uint_eq(g[0].calls, 0);
	got_done(&g[1]);
}
END_TEST

/* With calls at each stage under way. */
START_TEST(test_free)
{
	struct got g[2] = { { 0 } };

	imds_get(imds, PATH, on_got, &g[0]);
	imds = imds_free(imds);
	get_steps[0].status = 0;
	again();
	imds_get(imds, PATH, on_got, &g[1]);
	while (!sent_tokens)
		event_base_loop(base, EVLOOP_ONCE);
	imds = imds_free(imds);
	ck_assert_uint_eq(g[0].calls + g[1].calls, 0);
	ck_assert_ptr_null(imds_free(NULL));
}
END_TEST

static void
on_free_all(void *arg, int result, const char *body, const char *text)
{
	unsigned *calls = arg;

	(void)result;
	(void)body;
	(void)text;
	++*calls;
	imds = imds_free(imds);
	event_base_loopbreak(base);
}

/* Freed by the first who is told; the others are not told any more. */
START_TEST(test_free_from_callback)
{
	unsigned calls = 0;

	put_steps[0] = (struct step){ _i ? 200 : 400, TTL "100\r\n", NULL };
	for (int i = 0; i < 3; i++)
		imds_get(imds, PATH, on_free_all, &calls);
	event_base_dispatch(base);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("imds");
	TCase *tc = tcase_create("imds");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_version_2);
	tcase_add_test(tc, test_one_token_for_all);
	tcase_add_test(tc, test_token_life);
	tcase_add_test(tc, test_token_short_life);
	tcase_add_loop_test(tc, test_version_1, 0, NELEMS(v1_statuses));
	tcase_add_loop_test(tc, test_version_1_not_allowed, 0, NELEMS(v1_statuses));
	tcase_add_loop_test(tc, test_version_1_disabled, 0, NELEMS(v1_statuses));
	tcase_add_loop_test(tc, test_version_1_not_disabled, 0, 2);
	tcase_add_loop_test(tc, test_bad_put, 0, NELEMS(bad_puts));
	tcase_add_test(tc, test_huge_token);
	tcase_add_test(tc, test_put_timeout);
	tcase_add_test(tc, test_put_hiccup);
	tcase_add_test(tc, test_bad_put_for_all);
	tcase_add_test(tc, test_401_once);
	tcase_add_test(tc, test_401_twice);
	tcase_add_test(tc, test_401_in_version_1);
	tcase_add_loop_test(tc, test_bad_get, 0, NELEMS(bad_gets));
	tcase_add_test(tc, test_get_hiccup);
	tcase_add_test(tc, test_get_timeout);
	tcase_add_test(tc, test_huge_answer);
	tcase_add_loop_test(tc, test_broken_answer, 0, NELEMS(broken));
	tcase_add_test(tc, test_nobody_there);
	tcase_add_test(tc, test_disabled);
	tcase_add_loop_test(tc, test_bad_endpoint, 0, NELEMS(bad_endpoints));
	tcase_add_test(tc, test_endpoint_path);
	tcase_add_loop_test(tc, test_mode, 0, NELEMS(modes));
	tcase_add_test(tc, test_cancel);
	tcase_add_test(tc, test_free);
	tcase_add_loop_test(tc, test_free_from_callback, 0, 2);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
