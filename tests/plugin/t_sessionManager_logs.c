/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/sessionManager/logs.c, s3log.c and cwlog.c: what is asked of S3 and CloudWatch, and what
 * their answers come to. The host, the clock and both services are played here. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/keep.h"
#include "plugins/sessionManager/logevent.h"
#include "plugins/sessionManager/logs.h"
#include "tests/unit/suite.h"

#define ID "op@example.com-0abc"
#define PENDING_MAX 16

/* ---------------------------------------------------------------- the host */

struct ssm_watch { /* a request or a timer */
	bool used;
	char *what, *body; /* "logs PutLogEvents", "s3 HEAD /b", "PUT /b/k"; NULL: a timer */
	json_t *headers;
	ssm_done_fn *done;
	ssm_timer_fn *timer;
	void *arg;
	int64_t due_ms;
};

static struct ssm_watch pending[PENDING_MAX];
static int64_t now_ms;
static struct ssm_api api;
static struct ssm S = { &api, NULL };
static bool no_agent;

static int64_t
fake_mono(void)
{
	return now_ms;
}

static int64_t
fake_wall(void)
{
	return INT64_C(1795248366000) + now_ms;
}

static struct ssm_watch *
add(void)
{
	struct ssm_watch *w = pending;

	while (w->used)
		w++;
	ck_assert(w < pending + PENDING_MAX);
	w->used = true;
	return w;
}

static void
drop(struct ssm_watch *w)
{
	free(w->what);
	free(w->body);
	json_decref(w->headers);
	memset(w, 0, sizeof(*w));
}

static int32_t
fake_call_start(struct ssm *s, const struct ssm_request *q, ssm_done_fn *done, void *arg,
		struct ssm_watch **ret)
{
	const char *target = q->target ? strrchr(q->target, '.') + 1 : q->method;
	struct ssm_watch *w;

	(void)s;
	if (no_agent)
		return -EPIPE;
	w = *ret = add();
	w->what = xasprintf("%s %s%s%s%s%s", q->service, target, q->path ? " " : "",
			    q->path ? q->path : "", q->region ? " in " : "",
			    q->region ? q->region : "");
	w->body = q->body ? xstrndup(q->body, q->body_len) : NULL;
	w->done = done;
	w->arg = arg;
	return 0;
}

static int32_t
fake_transfer_start(struct ssm *s, const struct ssm_transfer *t, ssm_done_fn *done, void *arg,
		    struct ssm_watch **ret)
{
	struct ssm_watch *w = *ret = add();
	autosbuf struct sbuf all = SBUF_INIT(1 << 20);

	(void)s;
	ck_assert_uint_eq(t->flags, SSM_T_UPLOAD | SSM_T_SIGN);
	while (sbuf_read(&all, t->fd, 4096) > 0)
		;
	w->what = xasprintf("PUT %s", t->url);
	w->body = xstrdup(sbuf_str(&all));
	w->headers = json_array();
	for (const char *const *h = t->headers; *h; h++)
		json_array_append_new(w->headers, json_string(*h));
	w->done = done;
	w->arg = arg;
	return 0;
}

static int32_t
fake_watch(struct ssm *s, const struct ssm_watch_on *on, struct ssm_watch **ret)
{
	struct ssm_watch *w = *ret = add();

	(void)s;
	w->timer = on->timer_fn;
	w->arg = on->arg;
	w->due_ms = now_ms + on->after_ms;
	return 0;
}

static void
fake_watch_end(struct ssm *s, struct ssm_watch *w)
{
	(void)s;
	drop(w);
}

static const char *
fake_info(struct ssm *s, const char *key)
{
	(void)s;
	return strcmp(key, "region") == 0	  ? "us-east-1"
		: strcmp(key, "instance-id") == 0 ? "i-0123456789abcdef0"
						  : NULL;
}

__attribute__((format(printf, 3, 0))) static void
fake_vlog(struct ssm *s, int32_t level, const char *fmt, va_list ap)
{
	(void)s;
	(void)level;
	(void)fmt;
	(void)ap;
}

/* What is asked for now; the test fails when it is something else. */
static struct ssm_watch *
asked(const char *what)
{
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (pending[i].what && strcmp(pending[i].what, what) == 0)
			return &pending[i];
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (pending[i].what)
			ck_abort_msg("'%s' is asked, not '%s'", pending[i].what, what);
	ck_abort_msg("nothing is asked, not '%s' either", what);
}

static bool
is_quiet(void)
{
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (pending[i].what)
			return false;
	return true;
}

static void
answer_with(const char *what, int32_t result, struct ssm_reply r)
{
	struct ssm_watch *w = asked(what), was = *w;

	r.size = sizeof(r);
	r.body_len = r.body ? strlen(r.body) : 0;
	w->what = w->body = NULL;
	w->headers = NULL;
	drop(w);
	was.done(&S, result, &r, was.arg);
	free(was.what);
	free(was.body);
	json_decref(was.headers);
}

#define TEXT(s) ((char *)(uintptr_t)(s))

static void
answer(const char *what, int status, const char *error, const char *body)
{
	answer_with(what, 0,
		    (struct ssm_reply){
			    .status = status, .error = TEXT(error), .body = TEXT(body) });
}

/* Time goes by, and what is due happens in order. */
static void
pass(int64_t ms)
{
	int64_t end = now_ms + ms;

	for (;;) {
		struct ssm_watch *next = NULL;
		struct ssm_watch was;

		for (size_t i = 0; i < PENDING_MAX; i++)
			if (pending[i].timer && pending[i].due_ms <= end &&
			    (!next || pending[i].due_ms < next->due_ms))
				next = &pending[i];
		if (!next)
			break;
		now_ms = next->due_ms > now_ms ? next->due_ms : now_ms;
		was = *next;
		drop(next);
		was.timer(&S, NULL, was.arg);
	}
	now_ms = end;
}

/* ---------------------------------------------------------------- the logs */

static char dir[64];
static struct keep keep;
static struct session_inputs in;
static struct logs_conf conf;
static struct logs *logs;
static int checks, losses, ends;

static void
on_checked(void *arg)
{
	(void)arg;
	checks++;
}

static void
on_lost(void *arg)
{
	(void)arg;
	losses++;
}

static void
on_ended(void *arg)
{
	(void)arg;
	ends++;
}

static void
setup(void)
{
	static const struct clock_ops clock = { fake_mono, fake_wall };

	(void)snprintf(dir, sizeof(dir), "/tmp/t_logs.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	clock_replace(&clock);
	now_ms = 1000;
	api = (struct ssm_api){ .size = sizeof(api),
				.vlog = fake_vlog,
				.info = fake_info,
				.call_start = fake_call_start,
				.transfer_start = fake_transfer_start,
				.watch = fake_watch,
				.watch_end = fake_watch_end };
	keep = (struct keep){ dir, ID, INT64_MAX, 1 << 20 };
	in = (struct session_inputs){ .s3_bucket = TEXT(""),
				      .s3_prefix = TEXT(""),
				      .log_group = TEXT("") };
	conf = (struct logs_conf){ .inputs = &in,
				   .session = ID,
				   .type = "Standard_Stream",
				   .owner_arn = "arn:aws:sts::1:assumed-role/Ops/op",
				   .keep = &keep };
	checks = losses = ends = 0;
	no_agent = false;
}

static void
teardown(void)
{
	logs = logs_free(logs);
	for (size_t i = 0; i < PENDING_MAX; i++)
		ck_assert(!pending[i].used);
	(void)fs_remove_tree(AT_FDCWD, dir, NULL);
	clock_replace(NULL);
}

static void
start(void)
{
	static const struct logs_ops ops = { on_checked, on_lost, on_ended };

	logs = logs_new(&S, &conf, &ops, NULL);
	logs_runs_as(logs, "ssm-user");
}

static void
log_text(const char *text)
{
	ck_assert_int_eq(logs_add(logs, text, strlen(text)), 0);
}

static bool
file_is_there(void)
{
	autofree char *path = xasprintf("%s/" ID ".log", dir);

	return access(path, F_OK) == 0;
}

static void
is_refused(const char *text)
{
	ck_assert_int_eq(logs_state(logs), LOGS_REFUSED);
	ck_assert_str_eq(logs_text(logs), text);
	ck_assert(!file_is_there());
}

/* ---------------------------------------------------------------------- S3 */

#define RULE(algo) \
	"<S xmlns='http://x/'><Rule><By><SSEAlgorithm>" algo "</SSEAlgorithm></By></Rule></S>"
#define NO_RULE "ServerSideEncryptionConfigurationNotFoundError"

static void
use_bucket(const char *prefix, bool encrypted)
{
	in.s3_bucket = TEXT("b");
	in.s3_prefix = TEXT(prefix);
	in.s3_encrypted = encrypted;
}

START_TEST(t_s3)
{
	autojson json_t *o = json_object();
	struct ssm_watch *put;

	use_bucket("a//b/../c d", true);
	start();
	ck_assert_int_eq(logs_state(logs), LOGS_CHECKING);
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 200, NULL,
	       "<S><Rule><By><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"
	       "</By></Rule></S>");
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
	ck_assert_int_eq(checks, 1);
	log_text("seen\r\n");
	logs_end(logs, 30000);
	put = asked("PUT /b/a/c%20d/op%40example.com-0abc.log");
	ck_assert_str_eq(put->body,
			 "Script started on 2026-11-21 08:06:07+00:00\nseen\r\n\n"
			 "Script done on 2026-11-21 08:06:07+00:00\n");
	/* spec 02 §8.3 */
	ck_assert_str_eq(json_string_value(json_array_get(put->headers, 0)),
			 "Content-Type: text/plain");
	ck_assert_str_eq(json_string_value(json_array_get(put->headers, 1)),
			 "x-amz-acl: bucket-owner-full-control");
	ck_assert_str_eq(json_string_value(json_array_get(put->headers, 2)),
			 "x-amz-server-side-encryption: aws:kms");
	ck_assert_str_eq(json_string_value(json_array_get(put->headers, 3)),
			 "x-amz-server-side-encryption-aws-kms-key-id: k");
	answer("PUT /b/a/c%20d/op%40example.com-0abc.log", 200, NULL, NULL);
	ck_assert_int_eq(ends, 1);
	ck_assert_str_eq(logs_text(logs), "");
	ck_assert(!file_is_there());
	logs_describe(logs, o);
	ck_assert_str_eq(json_str(o, "s3_bucket", ""), "b");
	ck_assert_str_eq(json_str(o, "s3_key", ""), "a/c d/" ID ".log");
	ck_assert_str_eq(json_str(o, "log_group", "-"), "");
	pass(60000);
	ck_assert_int_eq(ends, 1);
}
END_TEST

START_TEST(t_s3_refused)
{
	use_bucket("", true);
	start();
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 404, NO_RULE, "<Error/>");
	is_refused("We couldn't start the session because encryption is not set up on the selected "
		   "Amazon S3 bucket. Either encrypt the bucket or choose an option to enable "
		   "logging without encryption.");
	logs = logs_free(logs);
	start();
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 200, NULL, RULE("rot13"));
	ck_assert_int_eq(logs_state(logs), LOGS_REFUSED);
	logs = logs_free(logs);
	start();
	answer("s3 HEAD /b", 403, NULL, "");
	answer("s3 GET /b?encryption", 403, "AccessDenied", "<Error><Message>no</Message></Error>");
	is_refused("Couldn't start the session because we are unable to validate encryption on "
		   "Amazon S3 bucket. Error: AccessDenied: no");
	logs = logs_free(logs);
	start();
	answer("s3 HEAD /b", 404, NULL, "");
	is_refused("Couldn't start the session because we are unable to validate encryption on "
		   "Amazon S3 bucket. Error: NoSuchBucket: The specified bucket does not exist");
	logs = logs_free(logs);
	start();
	pass(15000);
	is_refused("Couldn't start the session because where its log should go did not answer "
		   "within 15 s.");
	logs = logs_free(logs);
	no_agent = true;
	start();
	pass(1);
	is_refused("Couldn't start the session because we are unable to validate encryption on "
		   "Amazon S3 bucket. Error: the agent cannot be asked");
}
END_TEST

/* Where nothing has to be encrypted nobody waits, and the bucket's own region is asked. */
START_TEST(t_s3_elsewhere)
{
	use_bucket("", false);
	start();
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
	answer_with("s3 HEAD /b", 0,
		    (struct ssm_reply){ .status = 301,
					.headers = TEXT("x-amz-bucket-region: eu-west-1\n") });
	logs_end(logs, 30000); /* it was short */
	ck_assert_int_eq(ends, 0);
	answer("s3 GET /b?encryption in eu-west-1", 404, NO_RULE, NULL);
	ck_assert_uint_eq(json_array_size(asked("PUT /b/op%40example.com-0abc.log")->headers), 2);
	answer("PUT /b/op%40example.com-0abc.log", 200, NULL, NULL);
	ck_assert_int_eq(ends, 1);
	ck_assert_int_eq(checks, 0);
}
END_TEST

static void
refuse_put(int status, const char *why)
{
	answer_with("PUT /b/op%40example.com-0abc.log", -EREMOTEIO,
		    (struct ssm_reply){ .status = status, .body = TEXT(why) });
}

START_TEST(t_s3_retries)
{
	use_bucket("", false);
	start();
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 200, NULL, RULE("AES256"));
	logs_end(logs, 30000);
	for (int64_t wait = 500; wait <= 4000; wait *= 2) {
		refuse_put(503, "status 503 SlowDown");
		ck_assert_int_eq(ends, 0);
		pass(wait - 1);
		ck_assert(is_quiet());
		pass(1);
	}
	refuse_put(503, "status 503 SlowDown");
	ck_assert_int_eq(ends, 1);
	ck_assert(file_is_there());
	ck_assert_ptr_nonnull(strstr(logs_text(logs),
				     "The log of this session could not be stored in the Amazon S3 "
				     "bucket b: status 503 SlowDown\nIt stays on the node, in "));
	/* What is denied is denied. */
	logs = logs_free(logs);
	keep.session = conf.session = ID "2";
	start();
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 200, NULL, RULE("AES256"));
	logs_end(logs, 30000);
	answer_with("PUT /b/op%40example.com-0abc2.log", -EREMOTEIO,
		    (struct ssm_reply){ .status = 403, .body = TEXT("denied") });
	ck_assert_int_eq(ends, 2);
}
END_TEST

START_TEST(t_deadline)
{
	use_bucket("", false);
	in.log_group = TEXT("/g");
	start();
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 200, NULL, RULE("AES256"));
	logs_end(logs, 30000);
	pass(20000);
	ck_assert_int_eq(ends, 0);
	logs_end(logs, 8000); /* the session is cancelled now */
	pass(8000);
	ck_assert_int_eq(ends, 1);
	ck_assert_ptr_nonnull(strstr(logs_text(logs),
				     "Amazon S3 bucket b: it took too long\nThe "
				     "log of this session could not be stored in "
				     "the CloudWatch Logs log group /g: it took "
				     "too long\nIt stays on the node"));
	logs = logs_free(logs); /* and with it what is under way */
	ck_assert(is_quiet());
}
END_TEST

/* -------------------------------------------------------------- CloudWatch */

#define GROUPS(all) "{\"logGroups\":[" all "]}"
#define PLAIN "{\"logGroupName\":\"/g\"}"
#define SECRET "{\"logGroupName\":\"/g\",\"kmsKeyId\":\"k\"}"
#define OTHER "{\"logGroupName\":\"/g2\",\"kmsKeyId\":\"k\"}"

static void
use_group(bool streaming, bool encrypted)
{
	in.log_group = TEXT("/g");
	in.log_streaming = streaming;
	in.log_encrypted = encrypted;
}

/* The messages of the call that is made now, a line each. Caller frees. */
static char *
messages(void)
{
	const char *body = asked("logs PutLogEvents")->body;
	autojson json_t *o = json_parse(body, strlen(body), "the call", NULL);
	struct sbuf all = SBUF_INIT(1 << 22);
	json_t *event;
	size_t i;

	ck_assert_str_eq(json_str(o, "logGroupName", ""), "/g");
	ck_assert_str_eq(json_str(o, "logStreamName", ""), conf.session);
	json_array_foreach(json_object_get(o, "logEvents"), i, event)
		sbuf_addf(&all, "%s|", json_str(event, "message", ""));
	return sbuf_take(&all, NULL);
}

static void
group_is_there(void)
{
	answer("logs DescribeLogGroups", 200, NULL, GROUPS(PLAIN));
	answer("logs CreateLogStream", 200, NULL, "");
}

static void
take_events(void)
{
	answer("logs PutLogEvents", 200, NULL, "{\"nextSequenceToken\":\"7\"}");
}

START_TEST(t_cw_end)
{
	autofree char *first = NULL;

	use_group(false, false);
	start();
	group_is_there();
	log_text("seen\r\n");
	pass(10000);
	ck_assert(is_quiet()); /* spec 02 §8.4 */
	logs_end(logs, 30000);
	pass(0);
	first = messages();
	ck_assert_str_eq(first,
			 "Script started on 2026-11-21 08:06:07+00:00\nseen\n\nScript done "
			 "on 2026-11-21 08:06:17+00:00|");
	take_events();
	ck_assert_int_eq(ends, 1);
	ck_assert_str_eq(logs_text(logs), "");
	ck_assert(!file_is_there());
}
END_TEST

/* Four events of 200,000 bytes in a call, a call a second. */
START_TEST(t_cw_large)
{
	autofree char *line = xmalloc(1000);
	size_t total = 0;

	keep.max_bytes = 4 << 20;
	use_group(false, false);
	start();
	group_is_there();
	memset(line, 'x', 999);
	line[999] = '\n';
	for (int i = 0; i < 2000; i++)
		ck_assert_int_eq(logs_add(logs, line, 1000), 0);
	logs_end(logs, 30000);
	pass(0);
	for (int call = 0; call < 3; call++) {
		autofree char *got = messages();

		ck_assert_uint_le(strlen(got), 4 * (LOGEVENT_TEXT_MAX + 1));
		total += strlen(got);
		take_events();
		ck_assert(is_quiet());
		ck_assert_int_eq(ends, call == 2);
		pass(999);
		ck_assert(is_quiet());
		pass(1);
	}
	ck_assert_uint_gt(total, 2000000);
}
END_TEST

START_TEST(t_cw_streaming)
{
	autofree char *first = NULL, *second = NULL, *third = NULL;

	use_group(true, true);
	start();
	ck_assert_int_eq(logs_state(logs), LOGS_CHECKING);
	answer("logs DescribeLogGroups", 200, NULL, GROUPS(OTHER "," SECRET));
	answer("logs CreateLogStream", 400, "ResourceAlreadyExistsException", "{}");
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
	log_text("\033[1m$ ls\033[0m\r\na");
	pass(1000);
	first = messages();
	ck_assert_ptr_nonnull(strstr(first, "\"runAsUser\":\"ssm-user\""));
	ck_assert_ptr_nonnull(strstr(first, "\"sessionData\":[\"$ ls\"]}|"));
	take_events();
	pass(5000);
	ck_assert(is_quiet()); /* the line is not complete */
	log_text("\tb\r\n$ ");
	pass(1000);
	second = messages();
	ck_assert_ptr_nonnull(strstr(second, "\"sessionData\":[\"a b\"]}|"));
	ck_assert_ptr_nonnull(strstr(asked("logs PutLogEvents")->body, "\"sequenceToken\":\"7\""));
	logs_end(logs, 30000);
	take_events();
	pass(1000);
	third = messages();
	ck_assert_ptr_nonnull(strstr(third, "\"sessionData\":[\"$ \"]}|"));
	take_events();
	ck_assert_int_eq(ends, 1);
}
END_TEST

/* Commands have their log as a whole, spec 02 §8.1. */
START_TEST(t_cw_command)
{
	conf.type = "NonInteractiveCommands";
	use_group(true, false);
	start();
	group_is_there();
	log_text("out\n");
	pass(5000);
	ck_assert(is_quiet());
}
END_TEST

START_TEST(t_cw_refused)
{
	const char *missing =
		"We couldn't start the session because encryption is not set up on "
		"the selected CloudWatch Logs log group. Either encrypt the log group "
		"or choose an option to enable logging without encryption.";

	use_group(true, true);
	start();
	answer("logs DescribeLogGroups", 200, NULL, GROUPS(PLAIN));
	is_refused(missing);
	logs = logs_free(logs);
	start();
	answer("logs DescribeLogGroups", 200, NULL, GROUPS(OTHER));
	is_refused(missing);
	logs = logs_free(logs);
	start();
	answer("logs DescribeLogGroups", 400, "AccessDeniedException", "{\"message\":\"no\"}");
	is_refused("Couldn't start the session because we are unable to validate encryption on "
		   "CloudWatch Logs log group. Error: AccessDeniedException: no");
	/* Another page. */
	logs = logs_free(logs);
	start();
	answer("logs DescribeLogGroups", 200, NULL,
	       "{\"logGroups\":[" OTHER "],\"nextToken\":\"t\"}");
	ck_assert_str_eq(asked("logs DescribeLogGroups")->body,
			 "{\"logGroupNamePrefix\":\"/g\",\"nextToken\":\"t\"}");
	answer("logs DescribeLogGroups", 200, NULL, GROUPS(SECRET));
	answer("logs CreateLogStream", 200, NULL, "");
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
}
END_TEST

/* Nonsense from the service is no group. */
START_TEST(t_cw_nonsense)
{
	static const char *const bad[] = { "",
					   "[]",
					   "{",
					   "{\"logGroups\":{}}",
					   "{\"logGroups\":[1]}",
					   "{\"logGroups\":[{\"logGroupName\":5}]}" };

	for (size_t i = 0; i < NELEMS(bad); i++) {
		use_group(true, true);
		start();
		answer("logs DescribeLogGroups", 200, NULL, bad[i]);
		ck_assert_int_eq(logs_state(logs), LOGS_REFUSED);
		logs = logs_free(logs);
	}
}
END_TEST

/* spec 02 §14: the reference never ended then. */
START_TEST(t_cw_fails)
{
	use_group(false, false);
	start();
	group_is_there();
	logs_end(logs, 30000);
	pass(0);
	for (int i = 0; i < 4; i++) {
		answer("logs PutLogEvents", 400, "AccessDeniedException", "{\"message\":\"no\"}");
		ck_assert_int_eq(ends, 0);
		pass(1000);
	}
	answer("logs PutLogEvents", 400, "AccessDeniedException", "{\"message\":\"no\"}");
	ck_assert_int_eq(ends, 1);
	ck_assert_ptr_nonnull(strstr(logs_text(logs), "log group /g: AccessDeniedException: no\n"));
	/* A group that is gone does not come back. */
	logs = logs_free(logs);
	keep.session = conf.session = ID "2";
	start();
	group_is_there();
	logs_end(logs, 30000);
	pass(0);
	answer("logs PutLogEvents", 400, "ResourceNotFoundException", "{}");
	ck_assert_int_eq(ends, 2);
	/* One that was not there in the first place. */
	logs = logs_free(logs);
	keep.session = conf.session = ID "3";
	start();
	answer("logs DescribeLogGroups", 200, NULL, GROUPS(OTHER));
	log_text("seen\n");
	logs_end(logs, 30000);
	pass(0);
	ck_assert_int_eq(ends, 3);
	ck_assert_ptr_nonnull(strstr(logs_text(logs), "there is no such log group"));
}
END_TEST

START_TEST(t_cw_tokens)
{
	use_group(false, false);
	start();
	/* Who may not look may write all the same. */
	answer("logs DescribeLogGroups", 400, "AccessDeniedException", "{}");
	answer("logs CreateLogStream", 200, NULL, "");
	logs_end(logs, 30000);
	pass(0);
	answer("logs PutLogEvents", 400, "InvalidSequenceTokenException",
	       "{\"expectedSequenceToken\":\"42\"}");
	pass(0);
	ck_assert_ptr_nonnull(strstr(asked("logs PutLogEvents")->body, "\"sequenceToken\":\"42\""));
	answer("logs PutLogEvents", 400, "DataAlreadyAcceptedException", "{}");
	pass(1000);
	ck_assert_int_eq(ends, 1);
	ck_assert_str_eq(logs_text(logs), "");
}
END_TEST

/* ----------------------------------------------------------------- strict */

#define CANNOT "Couldn't start the session because "

START_TEST(t_strict)
{
	conf.strict = true;
	start();
	is_refused(CANNOT "this node requires sessions to be logged, and the document of this one "
			  "names neither an Amazon S3 bucket nor a CloudWatch Logs log group.");
	logs = logs_free(logs);
	use_bucket("", false);
	conf.type = "Port";
	start();
	is_refused(CANNOT "this node requires sessions to be logged, and port sessions cannot be.");
	logs = logs_free(logs);
	conf.type = "Standard_Stream";
	start();
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 404, NO_RULE, NULL);
	ck_assert_int_eq(logs_state(logs), LOGS_CHECKING);
	refuse_put(403, "denied");
	is_refused(CANNOT "its log cannot be stored in the Amazon S3 bucket b, which this node "
			  "requires. Error: denied");
	logs = logs_free(logs);
	start();
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 404, NO_RULE, NULL);
	answer("PUT /b/op%40example.com-0abc.log", 200, NULL, NULL);
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
	logs_end(logs, 30000);
	answer("PUT /b/op%40example.com-0abc.log", 200, NULL, NULL);
	ck_assert_int_eq(ends, 1);
	/* Both have to take it. */
	logs = logs_free(logs);
	use_group(false, false);
	start();
	answer("s3 HEAD /b", 200, NULL, "");
	answer("s3 GET /b?encryption", 404, NO_RULE, NULL);
	answer("PUT /b/op%40example.com-0abc.log", 200, NULL, NULL);
	ck_assert_int_eq(logs_state(logs), LOGS_CHECKING);
	answer("logs DescribeLogGroups", 200, NULL, GROUPS(OTHER));
	ck_assert_int_eq(logs_state(logs), LOGS_REFUSED);
}
END_TEST

START_TEST(t_strict_no_file)
{
	conf.strict = true;
	use_bucket("", false);
	keep.folder = "/dev/null/x";
	start();
	ck_assert_int_eq(logs_state(logs), LOGS_REFUSED);
	ck_assert_ptr_nonnull(strstr(logs_text(logs), "the log cannot be written: "));
	logs = logs_free(logs);
	conf.strict = false;
	start();
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
	ck_assert(is_quiet());
	log_text("seen");
	logs_end(logs, 30000);
	pass(0);
	ck_assert_int_eq(ends, 1);
	ck_assert_ptr_nonnull(strstr(logs_text(logs), "The session was not logged: "));
}
END_TEST

START_TEST(t_strict_full)
{
	autofree char *block = xcalloc(1, 5000);

	conf.strict = true;
	use_group(false, false);
	keep.max_bytes = 4096;
	start();
	group_is_there();
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
	ck_assert_int_eq(logs_add(logs, block, 5000), -EIO);
	ck_assert_ptr_nonnull(strstr(logs_text(logs), "it cannot be logged any more: "));
	/* And where nobody insists. */
	logs = logs_free(logs);
	conf.strict = false;
	start();
	group_is_there();
	ck_assert_int_eq(logs_add(logs, block, 5000), 0);
	logs_end(logs, 30000);
	pass(0);
	take_events();
	pass(1000);
	ck_assert_int_eq(ends, 1);
	ck_assert_ptr_nonnull(strstr(logs_text(logs), "The session was not logged to its end: "));
}
END_TEST

/* A sink that takes nothing for half a minute. */
START_TEST(t_strict_stall)
{
	conf.strict = true;
	use_group(true, false);
	start();
	group_is_there();
	log_text("one\n");
	pass(1000);
	take_events();
	pass(100000);
	ck_assert_int_eq(losses, 0); /* nothing to take */
	log_text("two\n");
	for (int i = 0; i < 40 && !losses; i++) {
		pass(1000);
		if (!is_quiet())
			answer("logs PutLogEvents", 500, "InternalFailure", "{\"message\":\"no\"}");
	}
	ck_assert_int_eq(losses, 1);
	ck_assert_str_eq(logs_text(logs),
			 "The session was ended because it cannot be logged any "
			 "more: InternalFailure: no");
}
END_TEST

/* --------------------------------------------------------------- none */

START_TEST(t_none)
{
	autojson json_t *o = json_object();

	start();
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
	ck_assert(!file_is_there());
	log_text("seen");
	logs_end(logs, 30000);
	pass(0);
	ck_assert_int_eq(ends, 1);
	ck_assert_str_eq(logs_text(logs), "");
	logs_describe(logs, o);
	ck_assert_str_eq(json_str(o, "s3_bucket", "-"), "");
	/* A port has no log, whatever its document says. */
	logs = logs_free(logs);
	use_bucket("", true);
	conf.type = "Port";
	start();
	ck_assert_int_eq(logs_state(logs), LOGS_READY);
	ck_assert(is_quiet());
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager logs");
	TCase *tc = tcase_create("sessionManager logs");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_s3);
	tcase_add_test(tc, t_s3_refused);
	tcase_add_test(tc, t_s3_elsewhere);
	tcase_add_test(tc, t_s3_retries);
	tcase_add_test(tc, t_deadline);
	tcase_add_test(tc, t_cw_end);
	tcase_add_test(tc, t_cw_large);
	tcase_add_test(tc, t_cw_streaming);
	tcase_add_test(tc, t_cw_command);
	tcase_add_test(tc, t_cw_refused);
	tcase_add_test(tc, t_cw_nonsense);
	tcase_add_test(tc, t_cw_fails);
	tcase_add_test(tc, t_cw_tokens);
	tcase_add_test(tc, t_strict);
	tcase_add_test(tc, t_strict_no_file);
	tcase_add_test(tc, t_strict_full);
	tcase_add_test(tc, t_strict_stall);
	tcase_add_test(tc, t_none);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
