/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/creds_ecs.c: spec/04 section 3.4, where the relative URI wins. */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/aws/creds.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/net/http.h"
#include "tests/unit/credask.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

#define RELATIVE "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define TOKEN_FILE "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define GOOD                                                                 \
	"{\"RoleArn\":\"arn:x\",\"AccessKeyId\":\"AK\",\"SecretAccessKey\":" \
	"\"s3cret\",\"Token\":\"tok\",\"Expiration\":\"2024-10-21T16:21:03Z\"}"

static struct event_base *base;
static struct http *client;
static struct mini *server;
static struct creds_provider provider;
static int status;
static const char *body;
static char *dir, *token_path, *full;
static char *authorization; /* of the last request */

static void
serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	(void)arg;
	ck_assert_str_eq(r->method, "GET");
	ck_assert_pstr_eq(mini_header(r, "accept"), "application/json");
	free(authorization);
	authorization = xstrdup(mini_header(r, "authorization"));
	if (status > 0)
		mini_replys(c, status, NULL, body);
	else if (status < 0)
		mini_reset(c);
}

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");
	autofree char *to = NULL;
	char *list[2] = { NULL };
	struct http_options h = { .user_agent = "test/1", .connect_to = list };

	/* A proxy that is not there: whatever went to it would fail. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	unsetenv(RELATIVE);
	unsetenv(FULL);
	unsetenv(TOKEN);
	unsetenv(TOKEN_FILE);
	log_set_level(LOG_LEVEL_ERROR);
	dir = xasprintf("%s/t_creds_ecs.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	token_path = xasprintf("%s/token", dir);
	base = event_base_new();
	server = mini_new(base, "127.0.0.1", serve, NULL);
	to = xasprintf("169.254.170.2:80:127.0.0.1:%d", mini_port(server));
	full = xasprintf("%s/full?a=b", mini_url(server));
	list[0] = to;
	client = http_new(base, &h, NULL);
	provider = creds_ecs_provider(base, client, 10000);
	status = 200;
	body = GOOD;
}

static void
teardown(void)
{
	provider.free(provider.ctx);
	http_free(client);
	mini_free(server);
	event_base_free(base);
	fs_remove_tree(AT_FDCWD, dir, NULL);
	free(dir);
	free(token_path);
	free(full);
	free(authorization);
	authorization = NULL;
}

static void
expect_good(const char *want_log, const char *want_authorization)
{
	struct answer a = ask_provider(base, &provider);
	autofree char *log = strv_join(mini_log(server), "|");

	ck_assert_msg(a.set != NULL, "%s", a.why);
	ck_assert_str_eq(a.set->access_key, "AK");
	ck_assert_str_eq(a.set->secret_key, "s3cret");
	ck_assert_str_eq(a.set->token, "tok");
	ck_assert_int_eq(a.set->expires_ms, 1729527663000);
	ck_assert_str_eq(a.set->source, "ecs");
	ck_assert_str_eq(log, want_log);
	ck_assert_pstr_eq(authorization, want_authorization);
	answer_done(&a);
}

static void
expect_bad(const char *part, size_t requests)
{
	struct answer a = ask_provider(base, &provider);

	ck_assert_ptr_null(a.set);
	ck_assert_msg(strstr(a.why, part) != NULL, "%s", a.why);
	ck_assert_ptr_null(strstr(a.why, "s3cret"));
	ck_assert_uint_eq(strv_len((char **)mini_log(server)), requests);
	answer_done(&a);
}

START_TEST(test_not_configured)
{
	setenv(RELATIVE, "", 1);
	setenv(FULL, "", 1);
	expect_bad("not configured (" RELATIVE " is not set)", 0);
}
END_TEST

START_TEST(test_relative)
{
	setenv(RELATIVE, "/v2/credentials/uuid", 1);
	expect_good("GET /v2/credentials/uuid", NULL);
}
END_TEST

START_TEST(test_relative_wins)
{
	setenv(RELATIVE, "/relative", 1);
	setenv(FULL, full, 1);
	expect_good("GET /relative", NULL);
}
END_TEST

START_TEST(test_full)
{
	setenv(FULL, full, 1);
	setenv(TOKEN, "Basic abc==", 1);
	expect_good("GET /full?a=b", "Basic abc==");
}
END_TEST

/* "http://169.254.170.2" must stay the host whatever comes behind it. */
START_TEST(test_bad_relative)
{
	static const char *const bad[] = { "v2/x", "@127.0.0.1/x", ".example.org/", ":81/x" };

	setenv(RELATIVE, bad[_i], 1);
	expect_bad(RELATIVE " does not start with '/'", 0);
}
END_TEST

static const struct {
	const char *url;
	bool allowed;
} hosts[] = {
	{ "http://127.0.0.1:1/", true },
	{ "http://127.3.4.5:1/", true },
	{ "http://localhost:1/", true },
	{ "http://LOCALHOST:1/", true },
	{ "http://[::1]:1/", true },
	{ "http://169.254.170.2:1/x", true },
	{ "http://169.254.170.23:1/x", true },
	{ "http://[fd00:ec2::23]:1/", true },
	{ "http://[fd00:0ec2:0:0:0:0:0:23]:1/", true },
	{ "http://[::ffff:127.0.0.1]:1/", false },
	{ "http://169.254.169.254/", false },
	{ "http://169.254.170.3/", false },
	{ "http://10.0.0.1/", false },
	{ "http://128.0.0.1/", false },
	{ "http://[fd00:ec2::24]/", false },
	{ "http://example.org/", false },
	{ "http://127.0.0.1.example.org/", false },
	{ "http://localhost.example.org/", false },
	{ "http://127.0.0.1@example.org/", false },
	{ "ftp://127.0.0.1/", false },
	{ "127.0.0.1/x", false },
	{ "/x", false },
	{ "http://", false },
	{ "http://127.0.0.1/a b", false },
};

/* An allowed one is tried (and nobody is there), the others not. */
START_TEST(test_hosts)
{
	struct creds_provider quick = creds_ecs_provider(base, client, 50);
	struct answer a = { 0 };
	void *handle;

	setenv(FULL, hosts[_i].url, 1);
	handle = quick.start(quick.ctx, on_done, &a);
	ck_assert_msg(!!handle == hosts[_i].allowed, "%s", a.why ? a.why : "sent");
	if (handle)
		quick.cancel(quick.ctx, handle);
	else
		ck_assert_ptr_nonnull(strstr(a.why, FULL));
	answer_done(&a);
	quick.free(quick.ctx);
}
END_TEST

/* By https every host is fine. */
START_TEST(test_https)
{
	struct answer a = { 0 };
	void *handle;

	setenv(FULL, "https://example.org/x", 1);
	handle = provider.start(provider.ctx, on_done, &a);
	ck_assert_ptr_nonnull(handle);
	provider.cancel(provider.ctx, handle);
	ck_assert_uint_eq(a.calls, 0);
}
END_TEST

static void
write_token(const void *text, size_t len)
{
	autoclose int fd = open(token_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, len), 0);
	setenv(TOKEN_FILE, token_path, 1);
	setenv(TOKEN, "from-the-variable", 1);
	setenv(RELATIVE, "/r", 1);
}

/* The file wins over the variable, is read anew, and may end in one newline. */
START_TEST(test_token_file)
{
	write_token("from file\n", 10);
	expect_good("GET /r", "from file");
	write_token("second\r\n", 8);
	expect_good("GET /r|GET /r", "second");
	write_token("third", 5);
	expect_good("GET /r|GET /r|GET /r", "third");
}
END_TEST

static const struct {
	const char *text;
	size_t len;
	const char *why;
} bad_tokens[] = {
	{ "a\n\n", 3, "line end" }, { "a\nX: y", 6, "line end" }, { "a\rb", 3, "line end" },
	{ "\na", 2, "line end" },   { "a\0b", 3, "NUL byte" },	  { "", 0, "is empty" },
	{ "\n", 1, "is empty" },    { "a\x7f", 2, "control" },
};

START_TEST(test_bad_token_file)
{
	write_token(bad_tokens[_i].text, bad_tokens[_i].len);
	expect_bad(bad_tokens[_i].why, 0);
}
END_TEST

START_TEST(test_bad_token)
{
	setenv(RELATIVE, "/r", 1);
	setenv(TOKEN, "a\r\nX: y", 1);
	expect_bad(TOKEN ": the token holds a line end", 0);
}
END_TEST

START_TEST(test_no_token_file)
{
	setenv(RELATIVE, "/r", 1);
	setenv(TOKEN, "from-the-variable", 1);
	setenv(TOKEN_FILE, token_path, 1);
	expect_bad("cannot be opened", 0);
	setenv(TOKEN_FILE, dir, 1);
	expect_bad("is not a regular file", 0);
}
END_TEST

START_TEST(test_huge_token_file)
{
	size_t len = 100000;
	autofree char *text = xmalloc(len);

	memset(text, 't', len);
	write_token(text, len);
	expect_bad("more than 16384 bytes", 0);
}
END_TEST

static const struct {
	int status;
	const char *body, *why;
	size_t requests;
} rows[] = {
	{ 404, "{\"code\":\"NotFound\",\"message\":\"x\"}", "HTTP status 404, '{\"code\"", 1 },
	{ 401, "", "HTTP status 401", 1 },
	{ 301, "", "HTTP status 301", 1 },
	{ 500, "", "HTTP status 500", 3 },
	{ 429, "", "HTTP status 429", 3 },
	{ -1, "", "/r: ", 3 },
	{ 200, "", "is not JSON", 1 },
	{ 200, "{\"AccessKeyId\":\"AK\",\"SecretAcc", "is not JSON", 1 },
	{ 200, "{\"AccessKeyId\":\"AK\"}", "no secret access key", 1 },
	{ 200, "{\"code\":\"Denied\",\"message\":\"no\"}", "code 'Denied' and message 'no'", 1 },
	{ 200, "null", "not a JSON object", 1 },
};

START_TEST(test_rows)
{
	status = rows[_i].status;
	body = rows[_i].body;
	setenv(RELATIVE, "/r", 1);
	expect_bad(rows[_i].why, rows[_i].requests);
}
END_TEST

START_TEST(test_huge)
{
	size_t len = 200000;
	autofree char *text = xcalloc(len + 1, 1);

	memset(text, 'x', len);
	body = text;
	setenv(RELATIVE, "/r", 1);
	expect_bad("/r: ", 1);
}
END_TEST

/* Deeply nested, where a parser may run out of stack. */
START_TEST(test_nested)
{
	size_t len = 60000;
	autofree char *text = xcalloc(len + 1, 1);

	memset(text, '[', len);
	body = text;
	setenv(RELATIVE, "/r", 1);
	expect_bad("/r", 1);
}
END_TEST

START_TEST(test_no_end)
{
	struct answer a;

	body = "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"s3cret\"}";
	setenv(RELATIVE, "/r", 1);
	a = ask_provider(base, &provider);
	ck_assert_ptr_nonnull(a.set);
	ck_assert_ptr_null(a.set->token);
	ck_assert_int_eq(a.set->expires_ms, 0);
	answer_done(&a);
}
END_TEST

START_TEST(test_timeout)
{
	provider.free(provider.ctx);
	/* Long enough for the request to get there, on a slow machine, too. */
	provider = creds_ecs_provider(base, client, 4000);
	status = 0;
	setenv(RELATIVE, "/r", 1);
	expect_bad("/r: ", 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("creds_ecs");
	TCase *tc = tcase_create("creds_ecs");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_not_configured);
	tcase_add_test(tc, test_relative);
	tcase_add_test(tc, test_relative_wins);
	tcase_add_test(tc, test_full);
	tcase_add_loop_test(tc, test_bad_relative, 0, 4);
	tcase_add_loop_test(tc, test_hosts, 0, NELEMS(hosts));
	tcase_add_test(tc, test_https);
	tcase_add_test(tc, test_token_file);
	tcase_add_loop_test(tc, test_bad_token_file, 0, NELEMS(bad_tokens));
	tcase_add_test(tc, test_bad_token);
	tcase_add_test(tc, test_no_token_file);
	tcase_add_test(tc, test_huge_token_file);
	tcase_add_loop_test(tc, test_rows, 0, NELEMS(rows));
	tcase_add_test(tc, test_huge);
	tcase_add_test(tc, test_nested);
	tcase_add_test(tc, test_no_end);
	tcase_add_test(tc, test_timeout);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
