/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/creds_imds.c: the role's credentials of spec/04 section 2.6. */
#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/aws/creds.h"
#include "core/aws/imds.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/net/http.h"
#include "tests/unit/credask.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

#define ROLES "/latest/meta-data/iam/security-credentials/"
#define GOOD                                                                             \
	"{\"Code\":\"Success\",\"LastUpdated\":\"2024-10-21T10:00:00Z\",\"Type\":"       \
	"\"AWS-HMAC\",\"AccessKeyId\":\"ASIATEST\",\"SecretAccessKey\":\"s3cret/+key\"," \
	"\"Token\":\"tok//==\",\"Expiration\":\"2024-10-21T16:21:03Z\"}"

static struct event_base *base;
static struct http *client;
static struct mini *server;
static struct imds *imds;
static struct creds_provider provider;
static int roles_status, role_status;
static const char *roles, *role;

static void
serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	(void)arg;
	if (strcmp(r->method, "PUT") == 0)
		mini_replys(c, 200, "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n", "token");
	else if (strcmp(r->target, ROLES) == 0)
		mini_replys(c, roles_status, NULL, roles);
	else
		mini_replys(c, role_status, NULL, role);
}

static void
setup(void)
{
	struct http_options h = { .user_agent = "test/1", .proxy = "" };
	struct imds_options o = { .timeout_ms = 10000 };

	log_set_level(LOG_LEVEL_ERROR);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	base = event_base_new();
	client = http_new(base, &h, NULL);
	server = mini_new(base, "127.0.0.1", serve, NULL);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", mini_url(server), 1);
	o.base = base;
	o.http = client;
	imds = imds_new(&o);
	provider = creds_imds_provider(imds);
	roles_status = role_status = 200;
	roles = "MyRole";
	role = GOOD;
}

static void
teardown(void)
{
	imds_free(imds);
	http_free(client);
	mini_free(server);
	event_base_free(base);
}

START_TEST(test_good)
{
	struct answer a = ask_provider(base, &provider);
	autofree char *log = strv_join(mini_log(server), "|");

	ck_assert_ptr_nonnull(a.set);
	ck_assert_str_eq(a.set->access_key, "ASIATEST");
	ck_assert_str_eq(a.set->secret_key, "s3cret/+key");
	ck_assert_str_eq(a.set->token, "tok//==");
	ck_assert_int_eq(a.set->expires_ms, 1729527663000);
	ck_assert_str_eq(a.set->source, "instance-profile");
	ck_assert_str_eq(log, "PUT /latest/api/token|GET " ROLES "|GET " ROLES "MyRole");
	answer_done(&a);
}
END_TEST

static const struct {
	const char *list, *path;
} lists[] = {
	{ "First\nSecond\n", ROLES "First" },
	{ "First\r\n", ROLES "First" },
	{ " a+b=c,d@e-f.g_h ", ROLES "a+b=c,d@e-f.g_h" },
	{ "../../x y?z#%", ROLES "..%2F..%2Fx%20y%3Fz%23%25" },
};

START_TEST(test_role_name)
{
	struct answer a;
	autofree char *want = xasprintf("GET %s", lists[_i].path);

	roles = lists[_i].list;
	a = ask_provider(base, &provider);
	ck_assert_ptr_nonnull(a.set);
	ck_assert_str_eq(mini_log(server)[2], want);
	answer_done(&a);
}
END_TEST

/* Names of members in any case, no token, no end. */
START_TEST(test_loose_members)
{
	struct answer a;

	role = "{\"accessKeyID\":\"AK\",\"SECRETACCESSKEY\":\"SK\",\"token\":\"\"}";
	a = ask_provider(base, &provider);
	ck_assert_ptr_nonnull(a.set);
	ck_assert_ptr_null(a.set->token);
	ck_assert_int_eq(a.set->expires_ms, 0);
	answer_done(&a);
}
END_TEST

static const struct {
	int roles_status, role_status;
	const char *roles, *role, *why;
} rows[] = {
	{ 404, 200, "", GOOD, "no instance profile" },
	{ 403, 200, "", GOOD, "HTTP status 403" },
	{ 500, 200, "", GOOD, "HTTP status 500" },
	{ 200, 200, "", GOOD, "names no role" },
	{ 200, 200, "\n\nRole\n", GOOD, "names no role" },
	{ 200, 404, "R", "", "HTTP status 404" },
	{ 200, 200, "R", "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot\"}",
	  "'AssumeRoleUnauthorizedAccess' and message 'EC2 cannot'" },
	{ 200, 200, "R", "{\"code\":\"Failed\"}", "'Failed'" },
	{ 200, 200, "R", "{\"Code\":\"Success\",\"AccessKeyId\":\"AK\",\"Secr", "is not JSON" },
	{ 200, 200, "R", "", "is not JSON" },
	{ 200, 200, "R", "<html>", "is not JSON" },
	{ 200, 200, "R", "[]", "not a JSON object" },
	{ 200, 200, "R", "{}", "no access key id" },
	{ 200, 200, "R", "{\"AccessKeyId\":\"AK\"}", "no secret access key" },
	{ 200, 200, "R", "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":7}", "no secret access key" },
	{ 200, 200, "R", "{\"AccessKeyId\":\"A\\nK\",\"SecretAccessKey\":\"S\"}",
	  "the access key id holds" },
	{ 200, 200, "R",
	  "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"S\",\"Expiration\":\"soon\"}",
	  "Expiration 'soon' is not a time" },
};

START_TEST(test_rows)
{
	struct answer a;

	roles_status = rows[_i].roles_status;
	role_status = rows[_i].role_status;
	roles = rows[_i].roles;
	role = rows[_i].role;
	a = ask_provider(base, &provider);
	ck_assert_ptr_null(a.set);
	ck_assert_msg(strstr(a.why, rows[_i].why) != NULL, "%s", a.why);
	ck_assert_ptr_null(strstr(a.why, "s3cret"));
	answer_done(&a);
}
END_TEST

START_TEST(test_huge)
{
	size_t len = 200000;
	autofree char *text = xcalloc(len + 1, 1);
	struct answer a;

	memset(text, 'x', len);
	if (_i)
		role = text;
	else
		roles = text;
	a = ask_provider(base, &provider);
	ck_assert_ptr_null(a.set);
	ck_assert_ptr_nonnull(a.why);
	answer_done(&a);
}
END_TEST

START_TEST(test_long_role)
{
	autofree char *text = xcalloc(1001, 1);
	struct answer a;

	memset(text, 'x', 1000);
	roles = text;
	a = ask_provider(base, &provider);
	ck_assert_ptr_nonnull(strstr(a.why, "more than 256 bytes"));
	answer_done(&a);
}
END_TEST

START_TEST(test_disabled)
{
	struct imds_options o = { .base = base, .http = client };
	struct answer a;

	imds_free(imds);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	imds = imds_new(&o);
	provider = creds_imds_provider(imds);
	a = ask_provider(base, &provider);
	ck_assert_ptr_null(a.set);
	ck_assert_str_eq(a.why, "not configured (switched off by AWS_EC2_METADATA_DISABLED)");
	answer_done(&a);
}
END_TEST

/* At each stage; the leak checker looks. */
START_TEST(test_cancel)
{
	struct answer a = { 0 };
	void *handle = provider.start(provider.ctx, on_done, &a);

	while (strv_len((char **)mini_log(server)) < (size_t)_i)
		event_base_loop(base, EVLOOP_ONCE);
	provider.cancel(provider.ctx, handle);
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(a.calls, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("creds_imds");
	TCase *tc = tcase_create("creds_imds");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_good);
	tcase_add_loop_test(tc, test_role_name, 0, NELEMS(lists));
	tcase_add_test(tc, test_loose_members);
	tcase_add_loop_test(tc, test_rows, 0, NELEMS(rows));
	tcase_add_loop_test(tc, test_huge, 0, 2);
	tcase_add_test(tc, test_long_role);
	tcase_add_test(tc, test_disabled);
	tcase_add_loop_test(tc, test_cancel, 0, 4);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
