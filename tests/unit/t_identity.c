/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/identity.c and whoami.c: spec/04 section 1, with a metadata service in
 * the same event loop. */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/agent/identity.h"
#include "core/agent/whoami.h"
#include "core/aws/call.h"
#include "core/aws/creds.h"
#include "core/aws/imds.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/conf/conf.h"
#include "core/net/http.h"
#include "tests/unit/metapages.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

#define IID "i-0123456789abcdef0"
#define DOCUMENT "/latest/dynamic/instance-identity/document"
#define ZONE "/latest/meta-data/placement/availability-zone"
#define TASK_ID "0af3c1d2e3f405162738495a6b7c8d9e"
#define TASK                                                                            \
	"{\"Cluster\":\"arn:aws:ecs:eu-west-1:123456789012:cluster/prod\",\"TaskARN\":" \
	"\"arn:aws:ecs:eu-west-1:123456789012:task/prod/" TASK_ID "\","                 \
	"\"AvailabilityZone\":\"eu-west-1b\",\"Containers\":[{\"DockerId\":\"first\"}]}"

static struct event_base *base;
static struct http *client;
static struct imds *imds;
static struct conf *conf;
static struct mini *server;
static char *root;
static char **lines;

/* By path; the last entry of a path that fits answers. */

static void
on_line(void *arg, enum log_level level, const char *component, const char *line)
{
	(void)arg;
	(void)level;
	(void)component;
	strv_add(&lines, line);
}

static void
load_conf(const char *order)
{
	autofree char *override = order ? xasprintf("Identity.ConsumptionOrder=%s", order) : NULL;
	char *overrides[] = { override, NULL };
	struct conf_spec spec = { .root = root, .overrides = overrides };
	struct err e = { 0 };

	conf = conf_free(conf);
	conf = conf_load(&spec, NULL, NULL, &e);
	ck_assert_msg(conf != NULL, "%s", err_text(&e));
}

static void
set_env(void)
{
	static const char *const names[] = {
		"AWS_EC2_METADATA_DISABLED",
		"AWS_EC2_METADATA_V1_DISABLED",
		"ECS_CONTAINER_METADATA_URI",
		"ECS_CONTAINER_METADATA_URI_V4",
		"AWS_ACCESS_KEY_ID",
		"AWS_ACCESS_KEY",
		"AWS_SECRET_ACCESS_KEY",
		"AWS_SECRET_KEY",
		"AWS_SESSION_TOKEN",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_PROFILE",
	};

	for (size_t i = 0; i < NELEMS(names); i++)
		unsetenv(names[i]);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", mini_url(server), 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
}

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");
	struct http_options h = { .user_agent = "test/1", .proxy = "" };
	struct imds_options o = { .timeout_ms = 10000 };

	log_set_sink(on_line, NULL);
	root = xasprintf("%s/t_identity.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	base = event_base_new();
	client = http_new(base, &h, NULL);
	server = mini_new(base, "127.0.0.1", metapages_serve, NULL);
	set_env();
	o.base = base;
	o.http = client;
	imds = imds_new(&o);
	metapages_clear();
	metapages_put("/latest/meta-data/instance-id", 200, IID);
	metapages_put(DOCUMENT, 200, "{\"region\":\"eu-central-1\",\"instanceId\":\"" IID "\"}");
	metapages_put(ZONE, 200, "eu-central-1a");
	metapages_put(ZONE "-id", 200, "euc1-az2");
	load_conf(NULL);
}

static void
teardown(void)
{
	conf = conf_free(conf);
	imds_free(imds);
	http_free(client);
	mini_free(server);
	event_base_free(base);
	fs_remove_tree(AT_FDCWD, root, NULL);
	free(root);
	lines = strv_free(lines);
	log_set_sink(NULL, NULL);
}

struct found {
	unsigned calls;
	struct identity *who;
	json_t *passed_over;
};

static void
on_found(void *arg, struct identity *who, const json_t *passed_over)
{
	struct found *f = arg;

	f->calls++;
	f->who = who;
	f->passed_over = json_deep_copy(passed_over);
	event_base_loopbreak(base);
}

static void
found_done(struct found *f)
{
	identity_free(f->who);
	json_decref(f->passed_over);
}
#define autofound __attribute__((cleanup(found_done)))

static void
run(void)
{
	struct timeval limit = { 60, 0 };

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
}

static void
look(struct found *f)
{
	identity_look_once(base, conf, client, imds, on_found, f);
	ck_assert_uint_eq(f->calls, 0);
	run();
	ck_assert_uint_eq(f->calls, 1);
}

/* The reason of KIND, "" when it was not passed over. */
static const char *
reason(const struct found *f, const char *kind)
{
	json_t *one;
	size_t i;

	json_array_foreach(f->passed_over, i,
			   one) if (strcmp(json_str(one, "identity", ""), kind) ==
				    0) return json_str(one, "reason", "");
	return "";
}

START_TEST(test_ec2)
{
	autofound struct found f = { 0 };

	look(&f);
	ck_assert_ptr_nonnull(f.who);
	ck_assert_str_eq(f.who->kind, "EC2");
	ck_assert_str_eq(f.who->instance_id, IID);
	ck_assert_str_eq(f.who->short_id, IID);
	ck_assert_str_eq(f.who->region, "eu-central-1");
	ck_assert_str_eq(f.who->signing_region, "eu-central-1");
	ck_assert_str_eq(f.who->availability_zone, "eu-central-1a");
	ck_assert_str_eq(f.who->availability_zone_id, "euc1-az2");
	ck_assert_uint_eq(json_array_size(f.passed_over), 1);
	ck_assert_str_eq(reason(&f, "OnPrem"), "not registered");
}
END_TEST

/* Only the region that requests are signed for. */
START_TEST(test_signing_region)
{
	char *overrides[] = { (char *)"Agent.Region=us-east-1", NULL };
	struct conf_spec spec = { .root = root, .overrides = overrides };
	autofound struct found f = { 0 };

	conf_free(conf);
	conf = conf_load(&spec, NULL, NULL, NULL);
	look(&f);
	ck_assert_str_eq(f.who->region, "eu-central-1");
	ck_assert_str_eq(f.who->signing_region, "us-east-1");
}
END_TEST

/* Zones are nice to have. */
START_TEST(test_ec2_without_zone)
{
	autofound struct found f = { 0 };

	metapages_put(ZONE, 404, "");
	metapages_put(ZONE "-id", 200, "not a zone: \xff");
	look(&f);
	ck_assert_ptr_nonnull(f.who);
	ck_assert_str_eq(f.who->availability_zone, "");
	ck_assert_str_eq(f.who->availability_zone_id, "");
}
END_TEST

static const struct {
	const char *path;
	int status;
	const char *body, *why;
} bad_ec2[] = {
	{ "/latest/meta-data/instance-id", 404, "", "HTTP status 404" },
	{ "/latest/meta-data/instance-id", 200, "", "instance id" },
	{ "/latest/meta-data/instance-id", 200, "../../etc", "instance id" },
	{ "/latest/meta-data/instance-id", 200, "i-1 2", "instance id" },
	{ DOCUMENT, 404, "", "HTTP status 404" },
	{ DOCUMENT, 200, "", "JSON" },
	{ DOCUMENT, 200, "{\"region\":\"eu-cen", "JSON" },
	{ DOCUMENT, 200, "[]", "region" },
	{ DOCUMENT, 200, "{\"region\":7}", "region" },
	{ DOCUMENT, 200, "{\"region\":\"\"}", "region" },
	{ DOCUMENT, 200, "{\"region\":\"evil.example.org/\"}", "region" },
};

START_TEST(test_bad_ec2)
{
	autofound struct found f = { 0 };

	metapages_put(bad_ec2[_i].path, bad_ec2[_i].status, bad_ec2[_i].body);
	look(&f);
	ck_assert_ptr_null(f.who);
	ck_assert_msg(strstr(reason(&f, "EC2"), bad_ec2[_i].why) != NULL, "%s", reason(&f, "EC2"));
	ck_assert_ptr_nonnull(strstr(reason(&f, "CustomIdentity"), "not configured"));
}
END_TEST

START_TEST(test_ecs)
{
	autofree char *uri = xasprintf("%s/v4/x", mini_url(server));
	autofound struct found f = { 0 };

	load_conf("ECS EC2");
	setenv("ECS_CONTAINER_METADATA_URI_V4", uri, 1);
	setenv("ECS_CONTAINER_METADATA_URI", "http://127.0.0.1:1", 1);
	metapages_put("/v4/x/task", 200, TASK);
	metapages_put("/v4/x", 200, "{\"DockerId\":\"" TASK_ID "-1234567890\"}");
	look(&f);
	ck_assert_ptr_nonnull(f.who);
	ck_assert_str_eq(f.who->kind, "ECS");
	ck_assert_str_eq(f.who->instance_id, "ecs:prod_" TASK_ID "_" TASK_ID "-1234567890");
	ck_assert_str_eq(f.who->short_id, TASK_ID "-1234567890");
	ck_assert_str_eq(f.who->region, "eu-west-1");
	ck_assert_str_eq(f.who->availability_zone, "eu-west-1b");
}
END_TEST

static const struct {
	int task_status, status;
	const char *task, *container, *why;
} bad_ecs[] = {
	{ 404, 200, TASK, "{\"DockerId\":\"d\"}", "HTTP status 404" },
	{ 200, 200, "{\"Clus", "{\"DockerId\":\"d\"}", "JSON" },
	{ 200, 200, "{}", "{\"DockerId\":\"d\"}", "lacks" },
	{ 200, 200, "{\"Cluster\":\"c\",\"TaskARN\":\"arn:aws\"}", "{\"DockerId\":\"d\"}",
	  "lacks" },
	{ 200, 200, "{\"Cluster\":\"c\",\"TaskARN\":\"a:b:c:d e:f:g/h\"}", "{\"DockerId\":\"d\"}",
	  "region" },
	{ 200, 500, TASK, "", "HTTP status 500" },
	{ 200, 200, TASK, "[]", "lacks" },
	{ 200, 200, TASK, "{\"DockerId\":\"../x\"}", "instance id" },
};

START_TEST(test_bad_ecs)
{
	autofound struct found f = { 0 };

	load_conf("ECS");
	setenv("ECS_CONTAINER_METADATA_URI", mini_url(server), 1);
	metapages_put("/task", bad_ecs[_i].task_status, bad_ecs[_i].task);
	metapages_put("/", bad_ecs[_i].status, bad_ecs[_i].container);
	look(&f);
	ck_assert_ptr_null(f.who);
	ck_assert_msg(strstr(reason(&f, "ECS"), bad_ecs[_i].why) != NULL, "%s", reason(&f, "ECS"));
}
END_TEST

START_TEST(test_ecs_not_configured)
{
	autofound struct found f = { 0 };

	load_conf("ECS EC2");
	setenv("ECS_CONTAINER_METADATA_URI", "", 1);
	look(&f);
	ck_assert_str_eq(f.who->kind, "EC2");
	ck_assert_ptr_nonnull(strstr(reason(&f, "ECS"), "not configured ("));
}
END_TEST

static void
write_file(const char *folder, const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", root, folder);
	autoclose int dir = fs_make_dirs(path, 0700, NULL);

	ck_assert_int_ge(dir, 0);
	ck_assert_int_eq(fs_write_atomic(dir, name, text, strlen(text), 0600, false, NULL), 0);
}

/* Entries without id or region are left out; the first that has both is it. */
START_TEST(test_custom)
{
	autofound struct found f = { 0 };

	write_file("etc/amazon/ssm", "amazon-ssm-agent.json",
		   "{\"Identity\":{\"CustomIdentities\":[{\"InstanceID\":\"\",\"Region\":\"x\"},"
		   "{\"InstanceID\":\"mi-0\",\"Region\":\"\"},7,"
		   "{\"InstanceID\":\"mi-0123456789abcdef0\",\"Region\":\"eu-west-1\","
		   "\"AvailabilityZone\":\"eu-west-1a\",\"InstanceType\":\"\"}]}}");
	load_conf("CustomIdentity,EC2");
	look(&f);
	ck_assert_ptr_nonnull(f.who);
	ck_assert_str_eq(f.who->kind, "CustomIdentity");
	ck_assert_str_eq(f.who->instance_id, "mi-0123456789abcdef0");
	ck_assert_str_eq(f.who->region, "eu-west-1");
	ck_assert_str_eq(f.who->availability_zone, "eu-west-1a");
}
END_TEST

START_TEST(test_order)
{
	autofound struct found f = { 0 };

	load_conf("ec2 Other EC2");
	look(&f);
	ck_assert_str_eq(f.who->kind, "EC2");
	ck_assert_ptr_nonnull(strstr(reason(&f, "ec2"), "no such identity"));
	ck_assert_ptr_nonnull(strstr(reason(&f, "Other"), "no such identity"));
}
END_TEST

/* A registration is not taken for none. */
START_TEST(test_registration)
{
	autofound struct found f = { 0 };
	autofree char *path =
		xasprintf("%s/Vault/Store", conf_path(conf, CONF_PATH_STATE) + strlen(root) + 1);

	write_file(path, "RegistrationKey", "{}");
	look(&f);
	ck_assert_str_eq(f.who->kind, "EC2");
	ck_assert_ptr_nonnull(strstr(reason(&f, "OnPrem"), "there is a registration"));
}
END_TEST

static void
count_warnings(const char *part, size_t want)
{
	size_t n = 0;

	for (size_t i = 0; lines && lines[i]; i++)
		n += strstr(lines[i], part) != NULL;
	ck_assert_uint_eq(n, want);
}

/* Goes on until the service is up; the same reason is logged once. */
START_TEST(test_retries)
{
	autofound struct found f = { 0 };
	struct identity_find *find;

	metapages_put("/latest/meta-data/instance-id", 404, "");
	find = identity_find(base, conf, client, imds, on_found, &f);
	while (strv_len((char **)mini_log(server)) < 1 + 4 * 3) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		identity_retry_now(find);
	}
	ck_assert_uint_eq(f.calls, 0);
	count_warnings("HTTP status 404", 1);
	metapages_put("/latest/meta-data/instance-id", 200, IID);
	if (f.calls == 0)
		run();
	ck_assert_uint_eq(f.calls, 1);
	ck_assert_str_eq(f.who->instance_id, IID);
}
END_TEST

/* At each stage. */
START_TEST(test_cancel)
{
	struct found f = { 0 };
	struct identity_find *find = identity_find(base, conf, client, imds, on_found, &f);

	while (strv_len((char **)mini_log(server)) < (size_t)_i)
		event_base_loop(base, EVLOOP_ONCE);
	identity_cancel(find);
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(f.calls, 0);
	identity_cancel(NULL);
	ck_assert_ptr_null(identity_free(NULL));
}
END_TEST

/* ----------------------------------------------------------------- whoami */

static json_t *report;

static void
on_report(void *arg, const json_t *r)
{
	(void)arg;
	ck_assert_ptr_null(report);
	report = json_deep_copy(r);
	event_base_loopbreak(base);
}

static const char *
at_server(void *arg, const char *service)
{
	(void)arg;
	(void)service;
	return mini_url(server);
}

/* The chain as the agent has it. */
static char *
whoami_with(bool caller)
{
	struct creds_provider chain[] = { creds_env_provider(), creds_file_provider(NULL),
					  creds_ecs_provider(base, client, 5000),
					  creds_imds_provider(imds) };
	struct whoami_options o = {
		.base = base,
		.conf = conf,
		.http = client,
		.imds = imds,
		.creds = creds_cache_new(base, chain, NELEMS(chain)),
	};
	const struct aws_options ao = {
		.base = base, .http = client, .creds = o.creds, .override = at_server
	};
	char *text;

	o.caller = caller ? &ao : NULL;
	report = NULL;
	whoami_start(&o, on_report, NULL);
	run();
	ck_assert_ptr_nonnull(report);
	text = whoami_text(report);
	creds_cache_free(o.creds);
	return text;
}

static char *
whoami(void)
{
	return whoami_with(false);
}

static void
expect_lines(const char *text, const char *const *want)
{
	for (; *want; want++)
		ck_assert_msg(strstr(text, *want) != NULL, "'%s' is not in:\n%s", *want, text);
	ck_assert_ptr_null(strstr(text, "s3cretkey"));
}
#define EXPECT_LINES(text, ...) expect_lines(text, (const char *const[]){ __VA_ARGS__, NULL })

START_TEST(test_whoami_environment)
{
	autofree char *text = NULL;

	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s3cretkey", 1);
	text = whoami();
	EXPECT_LINES(text, "Node:        " IID " in eu-central-1 (EC2)\n",
		     "  passed over: OnPrem: not registered\n",
		     "Credentials: environment, key AKID..., without expiry\n");
	ck_assert_ptr_null(strstr(text, "shared-file"));
	ck_assert_str_eq(json_str(report, "identity", ""), "EC2");
	json_decref(report);
}
END_TEST

/* What STS says, and how much of it is believed. */
static const struct {
	int status;
	const char *answer, *want;
} callers[] = {
	{ 200, "<R xmlns=\"u\"><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/me</Arn></R>",
	  "  as:        arn:aws:iam::1:user/me\n" },
	{ 200, "<R><Arn>arn:\33[1m</Arn></R>", "  as:        arn:\\x1b[1m\n" },
	{ 200, "<R><Arn></Arn></R>",
	  "  STS does not say whose they are: the answer names nobody\n" },
	{ 200, "<R><Ar", "  STS does not say whose they are: the answer names nobody\n" },
	{ 200, "", "  STS does not say whose they are: the answer names nobody\n" },
	{ 403,
	  "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
	  "</ErrorResponse>",
	  "  STS does not say whose they are: sts POST: status 403 AccessDenied: no" },
};

START_TEST(test_whoami_caller)
{
	autofree char *text = NULL;

	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s3cretkey", 1);
	metapages_put("/", callers[_i].status, callers[_i].answer);
	text = whoami_with(true);
	ck_assert_msg(strstr(text, callers[_i].want) != NULL, "%s", text);
	ck_assert((json_str(report, "arn", NULL) != NULL) == (_i < 2));
	json_decref(report);
}
END_TEST

/* Without credentials nobody is asked. */
START_TEST(test_whoami_caller_without)
{
	autofree char *text = whoami_with(true);

	ck_assert_ptr_nonnull(strstr(text, "Credentials: none"));
	ck_assert(!strv_has((char **)mini_log(server), "POST /"));
	json_decref(report);
}
END_TEST

START_TEST(test_whoami_instance_profile)
{
	autofree char *text = NULL;

	metapages_put("/latest/meta-data/iam/security-credentials/", 200, "Role");
	metapages_put("/latest/meta-data/iam/security-credentials/Role", 200,
		      "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIATEST\",\"SecretAccessKey\":"
		      "\"s3cretkey\","
		      "\"Token\":\"t\",\"Expiration\":\"2124-10-21T16:21:03Z\"}");
	text = whoami();
	EXPECT_LINES(
		text,
		"Credentials: instance-profile, key ASIA..., valid until "
		"2124-10-21T16:21:03.000Z\n",
		"  passed over: environment: not configured (AWS_ACCESS_KEY_ID is not set)\n",
		"  passed over: shared-file: not configured ('/nonexistent/credentials' does not "
		"exist)\n",
		"  passed over: ecs: not configured (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not "
		"set)\n");
	json_decref(report);
}
END_TEST

START_TEST(test_whoami_expired)
{
	autofree char *text = NULL;

	metapages_put("/latest/meta-data/iam/security-credentials/", 200, "Role");
	metapages_put(
		"/latest/meta-data/iam/security-credentials/Role", 200,
		"{\"AccessKeyId\":\"ASIATEST\",\"SecretAccessKey\":\"s3cretkey\",\"Expiration\":"
		"\"2020-10-21T16:21:03Z\"}");
	text = whoami();
	EXPECT_LINES(text, "EXPIRED since 2020-10-21T16:21:03.000Z\n");
	json_decref(report);
}
END_TEST

START_TEST(test_whoami_malformed_file)
{
	autofree char *path = xasprintf("%s/credentials", root);
	autofree char *where = xasprintf("%s:2: ", path);
	autofree char *text = NULL;

	write_file("", "credentials",
		   _i ? "[default]\nnonsense\naws_access_key_id=AKIDFILE\n"
			"aws_secret_access_key=s3cretkey\n"
		      : "[default]\naws_secret_access_key \"s3cretkey\n");
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	text = whoami();
	if (_i)
		EXPECT_LINES(text, "Credentials: shared-file, key AKID...", "  remark: ", where);
	else
		EXPECT_LINES(
			text, "  passed over: shared-file: ", where, "Credentials: none\n",
			"  passed over: instance-profile: the instance has no instance profile");
	json_decref(report);
}
END_TEST

START_TEST(test_whoami_nothing)
{
	autofree char *text = NULL;

	metapages_put("/latest/meta-data/instance-id", 404, "");
	text = whoami();
	EXPECT_LINES(text, "Node:        not known\n",
		     "  passed over: EC2: ", "Credentials: none\n",
		     "  passed over: instance-profile: ");
	ck_assert(json_is_null(json_object_get(report, "identity")));
	ck_assert(json_is_null(json_object_get(report, "source")));
	json_decref(report);
}
END_TEST

static void
on_hold(void *arg, struct creds *set, const char *why)
{
	struct creds **held = arg;

	(void)why;
	*held = creds_ref(set);
}

/* What a running agent says at once, and that a service does not want the credentials. */
START_TEST(test_whoami_refused)
{
	struct creds_provider chain[] = { creds_env_provider() };
	struct creds_cache *cache = creds_cache_new(base, chain, 1);
	struct creds *held = NULL;
	autojson json_t *r = NULL;
	autofree char *text = NULL;

	setenv("AWS_ACCESS_KEY_ID", "AKIDTEST", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s3cretkey", 1);
	creds_get(cache, on_hold, &held);
	creds_refused(cache, held);
	r = whoami_report(NULL, NULL, cache);
	text = whoami_text(r);
	EXPECT_LINES(text, "Node:        not known\n", "Credentials: environment", "  REFUSED by");
	creds_unref(held);
	creds_cache_free(cache);
}
END_TEST

START_TEST(test_whoami_cancel)
{
	struct creds_provider chain[] = { creds_imds_provider(imds) };
	struct whoami_options o = {
		.base = base,
		.conf = conf,
		.http = client,
		.imds = imds,
		.creds = creds_cache_new(base, chain, NELEMS(chain)),
	};
	struct whoami *w;

	report = NULL;
	w = whoami_start(&o, on_report, NULL);
	while (strv_len((char **)mini_log(server)) < (size_t)_i)
		event_base_loop(base, EVLOOP_ONCE);
	whoami_cancel(w);
	whoami_cancel(NULL);
	creds_cache_free(o.creds);
	ck_assert_ptr_null(report);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("identity");
	TCase *tc = tcase_create("identity");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_ec2);
	tcase_add_test(tc, test_signing_region);
	tcase_add_test(tc, test_ec2_without_zone);
	tcase_add_loop_test(tc, test_bad_ec2, 0, NELEMS(bad_ec2));
	tcase_add_test(tc, test_ecs);
	tcase_add_loop_test(tc, test_bad_ecs, 0, NELEMS(bad_ecs));
	tcase_add_test(tc, test_ecs_not_configured);
	tcase_add_test(tc, test_custom);
	tcase_add_test(tc, test_order);
	tcase_add_test(tc, test_registration);
	tcase_add_test(tc, test_retries);
	tcase_add_loop_test(tc, test_cancel, 0, 6);
	tcase_add_test(tc, test_whoami_environment);
	tcase_add_loop_test(tc, test_whoami_caller, 0, (int)NELEMS(callers));
	tcase_add_test(tc, test_whoami_caller_without);
	tcase_add_test(tc, test_whoami_instance_profile);
	tcase_add_test(tc, test_whoami_expired);
	tcase_add_loop_test(tc, test_whoami_malformed_file, 0, 2);
	tcase_add_test(tc, test_whoami_nothing);
	tcase_add_test(tc, test_whoami_refused);
	tcase_add_loop_test(tc, test_whoami_cancel, 0, 7);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
