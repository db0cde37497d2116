/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/dispatch.c, jobs.c, job.c, worker.c, nested.c with real hosts (this
 * program is its own, see hostpeer.h); the service, the plugins and the broker are doubles. DESIGN
 * sections 2 and 3, spec/01 sections 1.5 to 1.8. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/agent/broker.h"
#include "core/agent/dispatch.h"
#include "core/agent/jobstore.h"
#include "core/agent/plugins.h"
#include "core/aws/mds.h"
#include "core/aws/notice.h"
#include "core/aws/ssmapi.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/proc.h"
#include "core/base/strv.h"
#include "core/conf/conf.h"
#include "tests/unit/hostpeer.h"
#include "tests/unit/suite.h"

#define IID "i-0123456789abcdef0"
#define SEND "aws.ssm.sendCommand.eu-central-1." IID
#define CANCEL "aws.ssm.cancelCommand.eu-central-1." IID
#define DATE "2024-03-05T07:08:09.123Z"
#define PATIENCE_MS 30000

static struct event_base *base;
static struct conf *conf;
static struct dispatch *dispatch;
static char *root, *self;
static char **lines; /* what was logged */

/* ------------------------------------------------------- the service */

struct sent {
	char kind; /* 'a'cknowledge, 'f'ail, 'r'eply */
	char *message_id, *reply_id, *payload;
};
static struct sent sent[4096];
static size_t sent_count;

enum outcome {
	TAKEN,
	AWAY,	 /* no answer */
	REFUSED, /* 4xx */
	NEVER	 /* no answer at all, ever */
};
static enum outcome (*outcome_of)(const struct sent *s);

struct aws_call {
	struct event *timer;
	aws_done_fn *done;
	void *arg;
	enum outcome outcome;
};

static void
call_done(evutil_socket_t fd, short what, void *arg)
{
	struct aws_call *c = arg;
	struct aws_reply r = { .text = "as the test wants it" };

	(void)fd;
	(void)what;
	if (c->outcome == AWAY)
		r.result = -ECONNREFUSED, r.retry = RETRY_TRANSPORT;
	else if (c->outcome == REFUSED)
		r.result = -EREMOTEIO, r.status = 400, r.retry = RETRY_NO;
	else
		r.status = 200;
	event_free(c->timer);
	c->done(c->arg, &r);
	free(c);
}

void
aws_cancel(struct aws_call *c)
{
	if (!c)
		return;
	event_free(c->timer);
	free(c);
}

static struct aws_call *
call(char kind, const char *message_id, const char *reply_id, const char *payload, size_t len,
     aws_done_fn *done, void *arg)
{
	struct aws_call *c = xcalloc(1, sizeof(*c));
	struct sent *s = &sent[sent_count++];
	struct timeval now = { 0, 0 };

	ck_assert_uint_lt(sent_count, NELEMS(sent));
	*s = (struct sent){ kind, xstrdup(message_id), xstrdup(reply_id),
			    payload ? xstrndup(payload, len) : NULL };
	c->done = done;
	c->arg = arg;
	c->outcome = outcome_of ? outcome_of(s) : TAKEN;
	c->timer = evtimer_new(base, call_done, c);
	if (c->outcome != NEVER)
		(void)event_add(c->timer, &now);
	return c;
}

struct aws_call *
mds_acknowledge(struct mds *m, const char *message_id, aws_done_fn *done, void *arg)
{
	(void)m;
	return call('a', message_id, NULL, NULL, 0, done, arg);
}

struct aws_call *
mds_fail(struct mds *m, const char *message_id, const char *failure_type, aws_done_fn *done,
	 void *arg)
{
	(void)m;
	ck_assert_str_eq(failure_type, "NoHandlerExists");
	return call('f', message_id, NULL, NULL, 0, done, arg);
}

struct aws_call *
mds_reply(struct mds *m, const char *message_id, const char *reply_id, const char *payload,
	  size_t len, aws_done_fn *done, void *arg)
{
	(void)m;
	return call('r', message_id, reply_id, payload, len, done, arg);
}

char *
notice_payload(const struct notice_agent *agent, int64_t now_unix_ms, const char *status,
	       const char *trace, enum notice_channel channel)
{
	autojson json_t *v =
		json_pack("{s:s,s:s,s:s}", "notice", status, "trace", trace, "agent", agent->name);

	ck_assert_int_gt(now_unix_ms, 0);
	ck_assert_int_eq(channel, NOTICE_CHANNEL_CLOSED);
	return json_text(v);
}

const char *
ssmapi_agent_version(void)
{
	return "3.3.987.0";
}

/* --------------------------------------------------- plugins, broker */

static const struct feature features[] = {
	{ 2, 0, "aws.ssm.sendCommand.", "/MessageId", NULL, "runCommand", "/p/runCommand.so",
	  NULL },
	{ 2, 0, "aws.ssm.cancelCommand.", NULL, "/Payload/CancelMessageId", "runCommand",
	  "/p/runCommand.so", NULL },
	{ 2, 0, "acme.topic", "/Payload/Name", NULL, "acme", "/p/acme.so", NULL },
	{ 2, FEATURE_SERIAL, "acme.serial", NULL, NULL, "acme", "/p/acme.so", NULL },
	{ 1, 0, "acme:*", NULL, NULL, "acme", "/p/acme.so", NULL },
};
static int refresh_ms = -1; /* < 0: at once */
static bool no_features;

struct plugins_wait {
	struct event *timer;
	plugins_ready_fn *done;
	void *arg;
};

static void
refreshed(evutil_socket_t fd, short what, void *arg)
{
	struct plugins_wait w = *(struct plugins_wait *)arg;

	(void)fd;
	(void)what;
	plugins_wait_cancel(arg);
	w.done(w.arg);
}

struct plugins_wait *
plugins_refresh(struct plugins *p, plugins_ready_fn *done, void *arg)
{
	struct plugins_wait *w;
	struct timeval tv;

	(void)p;
	if (refresh_ms < 0) {
		done(arg);
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->done = done;
	w->arg = arg;
	w->timer = evtimer_new(base, refreshed, w);
	clock_timeval(refresh_ms, &tv);
	(void)event_add(w->timer, &tv);
	return w;
}

void
plugins_wait_cancel(struct plugins_wait *w)
{
	if (!w)
		return;
	event_free(w->timer);
	free(w);
}

const struct feature *
plugins_find(const struct plugins *p, uint32_t kind, const char *name)
{
	(void)p;
	for (size_t i = 0; i < NELEMS(features) && !no_features; i++) {
		size_t len = strcspn(features[i].name, "*");

		if (features[i].kind == kind && strncmp(name, features[i].name, len) == 0)
			return &features[i];
	}
	return NULL;
}

json_t *
plugins_for_host(const struct plugins *p)
{
	(void)p;
	return json_array();
}

struct broker_client {
	int unused;
};
static int broker_cancels;

struct broker_client *
broker_client_new(struct broker *b, const char *plugin, broker_send_fn *send, void *arg)
{
	(void)b;
	(void)plugin;
	(void)send;
	(void)arg;
	return xcalloc(1, sizeof(struct broker_client));
}

struct broker_client *
broker_client_free(struct broker_client *c)
{
	free(c);
	return NULL;
}

int
broker_handle(struct broker_client *c, const char *type, struct ipc_message *m)
{
	(void)c;
	(void)type;
	(void)m;
	return 0;
}

bool
broker_takes(const char *type)
{
	return strcmp(type, "call") == 0;
}

void
broker_client_cancel(struct broker_client *c)
{
	(void)c;
	broker_cancels++;
}

/* ------------------------------------------------------------- scaffold */

static void
collect(void *arg, enum log_level level, const char *component, const char *line)
{
	(void)arg;
	strv_addf(&lines, "%d %s: %s", (int)level, component, line);
}

static void
open_dispatch(void)
{
	struct err e = { 0 };
	autofree char *state = xasprintf("%s/state", root);
	const struct dispatch_options o = {
		.base = base, .conf = conf, .instance_id = IID, .state_path = state
	};

	dispatch = dispatch_new(&o, &e);
	ck_assert_msg(dispatch != NULL, "%s", err_text(&e));
}

static void
configure(const char *key_value)
{
	autofree char *host = xasprintf("Paths.Host=%s", self);
	autofree char *extra = xstrdup(key_value);
	char grace[] = "Agent.KillGrace=0";
	char *over[] = { host, grace, extra, NULL };
	const struct conf_spec spec = { .root = root, .overrides = over };
	struct err e = { 0 };

	conf_free(conf);
	conf = conf_load(&spec, NULL, NULL, &e);
	ck_assert_msg(conf != NULL, "%s", err_text(&e));
}

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	self = xstrdup(path);
	root = xasprintf("%s/t_dispatch.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	log_set_sink(collect, NULL);
	base = event_base_new();
	configure(NULL);
	open_dispatch();
}

static void
teardown(void)
{
	dispatch_free(dispatch);
	conf_free(conf);
	event_base_free(base);
	(void)fs_remove_tree(AT_FDCWD, root, NULL);
}

static void
restart(void)
{
	dispatch_free(dispatch);
	open_dispatch();
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* Let the loop run until IS_TRUE(ARG), or fail. */
static void
until(bool (*is_true)(const void *arg), const void *arg)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	struct event *tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	struct timeval tv = { 0, 20000 };

	(void)event_add(tick, &tv);
	while (!is_true(arg)) {
		if (clock_mono_ms() >= end) {
			for (size_t i = 0; i < sent_count; i++)
				fprintf(stderr, "%c %s %s\n", sent[i].kind, sent[i].message_id,
					sent[i].payload ? sent[i].payload : "");
			for (size_t i = 0; lines && lines[i]; i++)
				fprintf(stderr, "%s\n", lines[i]);
			ck_abort_msg("nothing happened in time");
		}
		(void)event_base_loop(base, EVLOOP_ONCE);
	}
	event_free(tick);
}

static bool
is_over(const void *arg)
{
	return clock_mono_ms() >= *(const int64_t *)arg;
}

/* For what must not happen. */
static void
let_pass(int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	until(is_over, &end);
}

/* Its own in each process: what is left of a job is looked for in all of /proc. */
static char *
id_of(unsigned n)
{
	return xasprintf("aws.ssm.%08x-d7d4-436e-8f09-%012x." IID, n, (unsigned)getpid());
}

static json_t *
message(unsigned n, const char *topic, const char *payload)
{
	autofree char *id = id_of(n);

	return json_pack("{s:s,s:s,s:s,s:s,s:s}", "MessageId", id, "Topic", topic, "Destination",
			 IID, "CreatedDate", DATE, "Payload", payload);
}

static void
deliver(json_t *m)
{
	autojson json_t *list = json_array();

	if (strcmp(json_str(m, "MessageId", ""), "MINE") == 0) {
		autofree char *id = id_of(1);

		(void)json_object_set_new(m, "MessageId", json_string(id));
	}
	(void)json_array_append_new(list, m);
	dispatch_messages(dispatch, list);
}

static void
command(unsigned n, const char *script)
{
	autojson json_t *payload = json_pack("{s:s}", "script", script);
	autofree char *text = json_text(payload);

	deliver(message(n, SEND, text));
}

static void
cancel(unsigned n, unsigned target)
{
	autofree char *id = id_of(target);
	autofree char *text = xasprintf("{\"CancelMessageId\":\"%s\"}", id);

	deliver(message(n, CANCEL, text));
}

static const struct sent *
nth(unsigned n, char kind, size_t which)
{
	autofree char *id = id_of(n);

	for (size_t i = 0; i < sent_count; i++)
		if (sent[i].kind == kind && strcmp(sent[i].message_id, id) == 0 && which-- == 0)
			return &sent[i];
	return NULL;
}

static size_t
count(unsigned n, char kind)
{
	size_t i = 0;

	while (nth(n, kind, i))
		i++;
	return i;
}

static const char *
reply_of(unsigned n, size_t which)
{
	const struct sent *s = nth(n, 'r', which);

	return s ? s->payload : "";
}

static const char *
last_reply(unsigned n)
{
	size_t c = count(n, 'r');

	return c > 0 ? reply_of(n, c - 1) : "";
}

static bool
says(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

struct want {
	unsigned n;
	char kind;
	size_t count;
};

static bool
has_come(const void *arg)
{
	const struct want *w = arg;

	return count(w->n, w->kind) >= w->count;
}

static void
until_sent(unsigned n, char kind, size_t how_many)
{
	const struct want w = { n, kind, how_many };

	until(has_come, &w);
}

static size_t
reported(const char *list)
{
	autojson json_t *r = dispatch_report(dispatch);

	return json_array_size(json_object_get(r, list));
}

static bool
is_idle(const void *arg)
{
	(void)arg;
	return reported("running") + reported("queued") + reported("unconfirmed") == 0;
}

static void
until_idle(void)
{
	until(is_idle, NULL);
}

static bool
has_running(const void *arg)
{
	return reported("running") >= *(const size_t *)arg;
}

static void
until_running(size_t n)
{
	until(has_running, &n);
}

static bool
logged(const char *part)
{
	for (size_t i = 0; lines && lines[i]; i++)
		if (says(lines[i], part))
			return true;
	return false;
}

static bool
has_logged(const void *arg)
{
	return logged(arg);
}

/* ---------------------------------------------------------------- tests */

START_TEST(test_command)
{
	const struct sent *r[3];

	command(1, "reply final");
	until_idle();
	ck_assert_uint_eq(count(1, 'a'), 1);
	ck_assert_uint_eq(count(1, 'r'), 3);
	for (size_t i = 0; i < 3; i++)
		r[i] = nth(1, 'r', i);
	ck_assert(says(r[0]->payload, "\"notice\":\"InProgress\""));
	ck_assert_str_eq(r[1]->payload, "{\"n\":1}");
	ck_assert_str_eq(r[2]->payload, "{\"documentStatus\":\"Success\"}");
	ck_assert_str_ne(r[0]->reply_id, r[1]->reply_id);
	ck_assert_str_ne(r[1]->reply_id, r[2]->reply_id);
	ck_assert_uint_eq(strlen(r[2]->reply_id), 36);
	/* Delivered again after its end: acknowledged, nothing else. */
	command(1, "reply final");
	let_pass(200);
	ck_assert_uint_eq(count(1, 'a'), 2);
	ck_assert_uint_eq(count(1, 'r'), 3);
	restart();
	command(1, "reply final");
	let_pass(200);
	ck_assert_uint_eq(count(1, 'a'), 3);
	ck_assert_uint_eq(count(1, 'r'), 3);
}
END_TEST

/* At most three lines at info, and nothing of the payload in any of them. */
START_TEST(test_log_lines)
{
	command(1, "reply:sesame final");
	until_idle();
	ck_assert_uint_le(strv_len(lines), 3);
	ck_assert(!logged("sesame"));
}
END_TEST

START_TEST(test_duplicate_while_running)
{
	command(1, "cancel final");
	command(1, "cancel final");
	until_running(1);
	until_sent(1, 'a', 1);
	command(1, "cancel final");
	until_sent(1, 'a', 2);
	ck_assert_uint_eq(reported("running"), 1);
	cancel(2, 1);
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 2);
}
END_TEST

struct envelope_case {
	const char *text;
	const char *want; /* kinds sent for it, in order */
};

#define ID1 "\"MessageId\":\"MINE\""
#define REST "\"Destination\":\"" IID "\",\"CreatedDate\":\"" DATE "\""
#define TOPIC "\"Topic\":\"" SEND "\""
#define NUL "\\u0000"

static const struct envelope_case envelopes[] = {
	/* garbage: neither acknowledged nor refused, and nothing breaks */
	{ "null", "" },
	{ "17", "" },
	{ "\"text\"", "" },
	{ "[]", "" },
	{ "{}", "" },
	{ "{" TOPIC "," REST ",\"Payload\":\"{}\"}", "" },
	{ "{\"MessageId\":\"\"," TOPIC "," REST ",\"Payload\":\"{}\"}", "" },
	{ "{\"MessageId\":17," TOPIC "," REST ",\"Payload\":\"{}\"}", "" },
	{ "{\"MessageId\":null," TOPIC "," REST ",\"Payload\":\"{}\"}", "" },
	{ "{\"MessageId\":\"short\"," TOPIC "," REST ",\"Payload\":\"{}\"}", "" },
	{ "{\"MessageId\":\"../../../../etc/passwd\"," TOPIC "," REST ",\"Payload\":\"{}\"}", "" },
	{ "{\"MessageId\":\"aws.ssm.0123456789/abcdef\"," TOPIC "," REST ",\"Payload\":\"{}\"}",
	  "" },
	{ "{\"MessageId\":\"aws.ssm.0123456789" NUL "abc\"," TOPIC "," REST "}", "" },
	{ "{\"MessageId\":\"aws.ssm.\\u00e4\\u00f6\\u00fc.0123456789\"," TOPIC "," REST "}", "" },
	{ "{" ID1 "," REST ",\"Payload\":\"{}\"}", "" },
	{ "{" ID1 ",\"Topic\":\"\"," REST ",\"Payload\":\"{}\"}", "" },
	{ "{" ID1 ",\"Topic\":[]," REST ",\"Payload\":\"{}\"}", "" },
	{ "{" ID1 "," TOPIC ",\"CreatedDate\":\"" DATE "\",\"Payload\":\"{}\"}", "" },
	{ "{" ID1 "," TOPIC ",\"Destination\":\"" IID "\",\"Payload\":\"{}\"}", "" },
	{ "{" ID1 "," TOPIC ",\"Destination\":\"" IID "\",\"CreatedDate\":7}", "" },
	/* for another machine */
	{ "{" ID1 "," TOPIC ",\"Destination\":\"i-0fedcba9876543210\",\"CreatedDate\":\"" DATE
	  "\",\"Payload\":\"{}\"}",
	  "" },
	/* nobody's topic */
	{ "{" ID1 ",\"Topic\":\"aws.ssm.somethingElse\"," REST ",\"Payload\":\"{}\"}", "f" },
	{ "{" ID1 ",\"Topic\":\"aws.ssm.sendComman\"," REST ",\"Payload\":\"{}\"}", "f" },
	{ "{" ID1 ",\"Topic\":\"'; rm -rf /\\n\"," REST ",\"Payload\":\"{}\"}", "f" },
	/* a cancel that says not whom */
	{ "{" ID1 ",\"Topic\":\"" CANCEL "\"," REST ",\"Payload\":\"{}\"}", "f" },
	{ "{" ID1 ",\"Topic\":\"" CANCEL "\"," REST ",\"Payload\":\"{\"}", "f" },
	{ "{" ID1 ",\"Topic\":\"" CANCEL "\"," REST "}", "f" },
	{ "{" ID1 ",\"Topic\":\"" CANCEL "\"," REST ",\"Payload\":\"{\\\"CancelMessageId\\\":7}\"}",
	  "f" },
	{ "{" ID1 ",\"Topic\":\"" CANCEL "\"," REST
	  ",\"Payload\":\"{\\\"CancelMessageId\\\":\\\"../../x\\\"}\"}",
	  "f" },
	/* a document that cannot be read: stored, acknowledged, Failed */
	{ "{" ID1 "," TOPIC "," REST "}", "ar" },
	{ "{" ID1 "," TOPIC "," REST ",\"Payload\":null}", "ar" },
	{ "{" ID1 "," TOPIC "," REST ",\"Payload\":{}}", "ar" },
	{ "{" ID1 "," TOPIC "," REST ",\"Payload\":\"\"}", "ar" },
	{ "{" ID1 "," TOPIC "," REST ",\"Payload\":\"{\"}", "ar" },
	{ "{" ID1 "," TOPIC "," REST ",\"Payload\":\"[1]\"}", "ar" },
	{ "{" ID1 "," TOPIC "," REST ",\"Payload\":\"7\"}", "ar" },
	{ "{" ID1 "," TOPIC "," REST ",\"Payload\":\"{} {}\"}", "ar" },
	{ "{" ID1 "," TOPIC "," REST ",\"Payload\":\"\\u0000\"}", "ar" },
	/* the name of a job that cannot be one */
	{ "{" ID1 ",\"Topic\":\"acme.topic\"," REST ",\"Payload\":\"{\\\"Name\\\":\\\"a/b\\\"}\"}",
	  "ar" },
	{ "{" ID1 ",\"Topic\":\"acme.topic\"," REST ",\"Payload\":\"{}\"}", "ar" },
};

START_TEST(test_envelopes)
{
	const struct envelope_case *c = &envelopes[_i];
	autojson json_t *m = json_parse(c->text, strlen(c->text), "case", NULL);
	char got[8] = "";

	ck_assert_ptr_nonnull(m);
	deliver(json_incref(m));
	let_pass(100);
	for (size_t i = 0; i < sent_count && i < sizeof(got) - 1; i++)
		got[i] = sent[i].kind;
	ck_assert_msg(strcmp(got, c->want) == 0, "%s: sent '%s', not '%s'", c->text, got, c->want);
	if (strcmp(c->want, "ar") == 0) {
		ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
		until_idle();
		/* and is known from now on */
		deliver(json_incref(m));
		let_pass(100);
		ck_assert_uint_eq(sent_count, 3);
	}
}
END_TEST

/* spec/01 section 1.6: the wording. */
START_TEST(test_unparsable_reason)
{
	deliver(message(1, SEND, "{\"a\":"));
	until_idle();
	ck_assert(says(last_reply(1), "encountered error while parsing input - internal error "));
}
END_TEST

START_TEST(test_garbage_polls)
{
	autojson json_t *text = json_string("x"), *object = json_object(), *many = json_array();

	dispatch_messages(dispatch, text);
	dispatch_messages(dispatch, object);
	dispatch_messages(dispatch, many);
	for (int i = 0; i < 1000; i++)
		(void)json_array_append_new(many, json_integer(i));
	dispatch_messages(dispatch, many);
	let_pass(50);
	ck_assert_uint_eq(sent_count, 0);
	ck_assert_uint_le(strv_len(lines), 12); /* rate limited */
}
END_TEST

START_TEST(test_oversized)
{
	size_t len = 1024 * 1024 + 1;
	autofree char *big = xcalloc(1, len + 1);

	memset(big, ' ', len);
	big[0] = '{';
	big[len - 1] = '}';
	deliver(message(1, SEND, big));
	big[1] = '}';
	big[2] = '\0';
	until_idle();
	ck_assert_uint_eq(count(1, 'a'), 1);
	ck_assert(says(last_reply(1), "1048577 bytes, the limit is 1048576"));
	/* One byte less is a command like any other, whatever escaping makes of it on disk. */
	memset(big, '\t', len);
	memcpy(big, "{\"script\":\"final\"", 17);
	big[len - 2] = '}';
	big[len - 1] = '\0';
	deliver(message(2, SEND, big));
	until_idle();
	ck_assert_str_eq(last_reply(2), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* The payload's text goes to the handler as it came: a JSON round trip would change numbers. */
START_TEST(test_raw_payload)
{
	static const char raw[] = "\\\"x\\\":1.0e2,\\\"x\\\":1.50}";
	autofree char *name = id_of(1);
	autofree char *path = xasprintf("%s/state/%s/jobs/%s/journal", root, IID, name);
	autofree char *text = NULL;
	size_t len;

	deliver(message(1, SEND, "{\"script\":\"final\", \"x\":1.0e2,\"x\":1.50}"));
	until_idle();
	ck_assert_int_eq(fs_read(AT_FDCWD, path, 1 << 20, &text, &len, NULL), 0);
	ck_assert_ptr_nonnull(memmem(text, len, raw, strlen(raw)));
}
END_TEST

START_TEST(test_poll_of_ten)
{
	autojson json_t *list = json_array();

	for (unsigned n = 1; n <= 10; n++)
		(void)json_array_append_new(list, message(n, SEND, "{\"script\":\"reply final\"}"));
	dispatch_messages(dispatch, list);
	until_idle();
	for (unsigned n = 1; n <= 10; n++) {
		ck_assert_uint_eq(count(n, 'a'), 1);
		ck_assert_uint_eq(count(n, 'r'), 3);
		ck_assert_str_eq(last_reply(n), "{\"documentStatus\":\"Success\"}");
	}
}
END_TEST

START_TEST(test_slow_plugins)
{
	refresh_ms = 50;
	command(1, "final");
	command(2, "final");
	ck_assert_uint_eq(sent_count, 0);
	until_sent(1, 'r', 2);
	until_sent(2, 'r', 2);
	until_idle();
	command(3, "final");
	dispatch = dispatch_free(dispatch); /* while it waits */
	ck_assert_uint_eq(count(3, 'a'), 0);
}
END_TEST

/* ---------------------------------------------------------------- queue */

START_TEST(test_slots)
{
	configure("Mds.CommandWorkersLimit=2");
	restart();
	for (unsigned n = 1; n <= 20; n++)
		command(n, "reply final");
	while (!is_idle(NULL)) {
		ck_assert_uint_le(reported("running"), 2);
		(void)event_base_loop(base, EVLOOP_ONCE);
	}
	for (unsigned n = 1; n <= 20; n++) {
		ck_assert_uint_eq(count(n, 'a'), 1);
		ck_assert_uint_eq(count(n, 'r'), 3);
	}
}
END_TEST

START_TEST(test_queue_full)
{
	configure("Mds.QueueLimit=5");
	restart();
	for (unsigned n = 1; n <= 12; n++)
		command(n, "cancel final");
	until_sent(10, 'a', 1);
	let_pass(100);
	ck_assert_uint_eq(reported("running"), 5);
	ck_assert_uint_eq(reported("queued"), 5);
	ck_assert_uint_eq(count(11, 'a') + count(11, 'f') + count(11, 'r'), 0);
	ck_assert_uint_eq(count(12, 'a'), 0);
	/* Cancels are still taken, and what is left at the service comes again. */
	for (unsigned n = 1; n <= 10; n++)
		cancel(100 + n, n);
	until_idle();
	for (unsigned n = 1; n <= 10; n++)
		ck_assert_uint_eq(count(100 + n, 'a'), 1);
	command(11, "final");
	until_idle();
	ck_assert_uint_eq(count(11, 'a'), 1);
}
END_TEST

/* --------------------------------------------------------------- cancel */

START_TEST(test_cancel_queued)
{
	configure("Mds.CommandWorkersLimit=1");
	restart();
	command(1, "cancel final");
	command(2, "touch:ran final");
	until_sent(2, 'a', 1);
	cancel(3, 2);
	until_sent(2, 'r', 2);
	ck_assert(says(reply_of(2, 1), "\"notice\":\"Cancelled\""));
	ck_assert_uint_eq(count(3, 'a'), 1);
	ck_assert_uint_eq(count(3, 'r'), 1);
	ck_assert(says(reply_of(3, 0), "\"notice\":\"InProgress\""));
	cancel(4, 1);
	until_idle();
	ck_assert_uint_eq(count(2, 'r'), 2);
	cancel(3, 2); /* again */
	let_pass(100);
	ck_assert_uint_eq(count(3, 'a'), 2);
	ck_assert_uint_eq(count(3, 'r'), 1);
}
END_TEST

START_TEST(test_cancel_foretold)
{
	autofree char *name = id_of(1);
	autofree char *ran = xasprintf("%s/state/%s/jobs/%s/ran", root, IID, name);

	cancel(2, 1);
	until_sent(2, 'a', 1);
	if (_i > 0) /* it survives a restart */
		restart();
	command(1, "touch:ran final");
	until_idle();
	ck_assert_uint_eq(count(1, 'a'), 1);
	ck_assert_uint_eq(count(1, 'r'), 1);
	ck_assert(says(last_reply(1), "\"notice\":\"Cancelled\""));
	ck_assert_int_ne(access(ran, F_OK), 0);
}
END_TEST

static int64_t shift_ms;

static int64_t
shifted_wall(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000 + shift_ms;
}

static int64_t
plain_mono(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static const struct clock_ops shifted = { plain_mono, shifted_wall };

START_TEST(test_cancel_foretold_48h)
{
	autofree char *name = id_of(1);
	autofree char *folder = xasprintf("%s/state/%s/jobs/%s", root, IID, name);

	clock_replace(&shifted);
	cancel(2, 1);
	until_sent(2, 'a', 1);
	shift_ms = 47 * 3600000LL;
	restart();
	ck_assert_int_eq(access(folder, F_OK), 0);
	shift_ms = 49 * 3600000LL;
	restart();
	ck_assert_int_ne(access(folder, F_OK), 0);
	command(1, "final");
	until_idle();
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
	clock_replace(NULL);
}
END_TEST

/* The handler ends in order and says so; its word goes out when nothing runs any more. */
START_TEST(test_cancel_running)
{
	command(1, "child cancel final:{\"documentStatus\":\"Cancelled\"} end");
	until_running(1);
	until_sent(1, 'r', 1);
	let_pass(200);
	cancel(2, 1);
	until_idle();
	ck_assert_int_eq(broker_cancels, 1);
	ck_assert_uint_eq(count(1, 'r'), 2);
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Cancelled\"}");
	ck_assert_uint_eq(count(2, 'a'), 1);
	ck_assert_uint_eq(count(2, 'r'), 1);
}
END_TEST

/* One that does not listen is ended; so is what it left. */
START_TEST(test_cancel_ignored)
{
	command(1, "child hang");
	until_running(1);
	until_sent(1, 'r', 1);
	let_pass(200);
	cancel(2, 1);
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 2);
	ck_assert(says(last_reply(1), "\"notice\":\"Cancelled\""));
}
END_TEST

START_TEST(test_cancel_before_go)
{
	command(1, "noready");
	until_running(1);
	cancel(2, 1);
	until_idle();
	ck_assert(says(last_reply(1), "\"notice\":\"Cancelled\""));
	ck_assert_uint_eq(count(2, 'a'), 1);
}
END_TEST

START_TEST(test_cancel_too_late)
{
	command(1, "final");
	until_idle();
	cancel(2, 1);
	until_sent(2, 'a', 1);
	until_sent(2, 'r', 1);
	let_pass(50);
	ck_assert_uint_eq(count(1, 'r'), 2);
	ck_assert(is_idle(NULL));
}
END_TEST

/* ------------------------------------------------------- hosts gone wrong */

static const struct wrong_case {
	const char *script;
	const char *reason;
} wrongs[] = {
	{ "crash",
	  "the plugin 'runCommand' ended by signal 11 (SIGSEGV) before its work was done" },
	{ "print:last-words crash", "the last line it printed: 'last-words'" },
	{ "exit:0", "ended with exit status 0 before its work was done" },
	{ "reply exit:3", "ended with exit status 3 before its work was done" },
	{ "diebefore", "ended with exit status 7 before it could start" },
	{ "failinit", "the plugin 'runCommand' failed: it went wrong" },
	{ "end:-5", "the plugin 'runCommand' failed: it went wrong" },
	{ "end", "the plugin 'runCommand' ended without a result" },
	{ "end:5", "the machine is not restarted: this is a trial run" },
	{ "garbage", "was ended: it broke the protocol: " },
	{ "badseq", "was ended: it left out a message number" },
	{ "close", "was ended: it closed its connection and went on" },
	{ "noready", "was ended: it was not ready within 10 s" },
};

START_TEST(test_wrong_hosts)
{
	const struct wrong_case *c = &wrongs[_i];

	command(1, c->script);
	until_idle();
	ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
	ck_assert_msg(says(last_reply(1), c->reason), "%s: %s", c->script, last_reply(1));
	ck_assert_uint_eq(count(1, 'a'), 1);
	/* The agent goes on. */
	command(2, "final");
	until_idle();
	ck_assert_str_eq(last_reply(2), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* What a dead host leaves is ended, whatever session it went to. */
START_TEST(test_containment)
{
	const char *at;
	long pid;

	command(1, "child crash");
	until_idle();
	at = strstr(last_reply(1), "child ");
	ck_assert_ptr_nonnull(at);
	pid = strtol(at + 6, NULL, 10);
	ck_assert_int_gt(pid, 1);
	/* gone, or a zombie that init has not collected yet */
	if (kill((pid_t)pid, 0) == 0) {
		autofree char *path = xasprintf("/proc/%ld/stat", pid), *text = NULL;

		if (fs_read(AT_FDCWD, path, 4096, &text, NULL, NULL) == 0)
			ck_assert(says(text, ") Z "));
	}
}
END_TEST

static long
pid_behind(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at ? strtol(at + strlen(word), NULL, 10) : -1;
}

static char *
host_log(unsigned n)
{
	autofree char *name = id_of(n), *path = NULL;
	char *text = NULL;

	path = xasprintf("%s/hosts/%s.log", conf_path(conf, CONF_PATH_RUN), name);
	if (fs_read(AT_FDCWD, path, 1 << 20, &text, NULL, NULL) < 0)
		text = xstrdup("");
	return text;
}

static bool
has_child(const void *arg)
{
	autofree char *text = host_log(*(const unsigned *)arg);

	return pid_behind(text, "child ") > 0;
}

/* A command that ended in order keeps what it started, and its log goes. */
START_TEST(test_leftover_kept)
{
	unsigned n = 1;
	autofree char *text = NULL;
	long pid;

	configure("Mds.CommandWorkersLimit=1");
	restart();
	outcome_of = NULL;
	command(1, "child reply final cancel end");
	until(has_child, &n);
	text = host_log(1);
	pid = pid_behind(text, "child ");
	until_sent(1, 'r', 3);
	command(2, "final");
	let_pass(100);
	ck_assert_uint_eq(count(2, 'r'), 1); /* the slot is taken until the host is gone */
	dispatch = dispatch_free(dispatch);
	let_pass(100);
	ck_assert_int_eq(kill((pid_t)pid, 0), 0);
	(void)kill((pid_t)pid, SIGKILL);
}
END_TEST

START_TEST(test_duplicate_seq)
{
	command(1, "reply dup stored final");
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 3);
	ck_assert_str_eq(reply_of(1, 1), "{\"n\":1}");
}
END_TEST

START_TEST(test_behind_final)
{
	command(1, "final reply stored final");
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 2);
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

START_TEST(test_values)
{
	command(1, "put:k=v1 put:k=v2 get:k get:other final");
	until_idle();
	ck_assert_str_eq(reply_of(1, 1), "v2");
	ck_assert_str_eq(reply_of(1, 2), "there is no such value");
}
END_TEST

START_TEST(test_log_of_plugin)
{
	command(1, "log:hello final");
	until_idle();
	ck_assert(logged("4 runCommand[00000001]: hello"));
}
END_TEST

START_TEST(test_burst)
{
	command(1, "burst:300 final");
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 302);
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* ---------------------------------------------------------------- steps */

static const struct step_case {
	const char *payload;
	const char *answer;
} steps[] = {
	{ "{\"script\":\"job:acme:step final\",\"then\":{\"script\":\"end:0\"}}",
	  "\"code\":0,\"exit_code\":0" },
	{ "{\"script\":\"job:acme:step final\",\"then\":{\"script\":\"end:1\"}}",
	  "\"code\":1,\"exit_code\":1,\"job\":\"aws.ssm.00000001-d7d4-436e-8f09-" },
	{ "{\"script\":\"job:acme:step final\",\"then\":{\"script\":\"crash\"}}",
	  "\"error\":\"the plugin 'acme' ended by signal 11 (SIGSEGV) before its work was done\"" },
	{ "{\"script\":\"job:acme:step final\",\"then\":{\"script\":\"reply\"}}",
	  "was ended: a step sends no replies" },
	{ "{\"script\":\"job:nobody:step final\"}",
	  "\"code\":-2,\"error\":\"no plugin provides the action 'nobody:step'\"" },
	{ "{\"script\":\"job:acme:step final\",\"then\":{\"script\":\"touch:file put:a=b\"}}",
	  "\"code\":0,\"exit_code\":0" },
};

START_TEST(test_steps)
{
	const struct step_case *c = &steps[_i];

	deliver(message(1, SEND, c->payload));
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 3);
	ck_assert_msg(says(reply_of(1, 1), c->answer), "%s", reply_of(1, 1));
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

START_TEST(test_depth)
{
	deliver(message(1, SEND,
			"{\"script\":\"job:acme:a final\",\"then\":{\"script\":\"job:acme:b\","
			"\"then\":{\"script\":\"job:acme:c exit:5\",\"then\":{}}}}"));
	until_idle();
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
	ck_assert(logged("/2' starts"));
	ck_assert(!logged("/3' starts"));
}
END_TEST

/* A step does not outlive what it is a step of. */
START_TEST(test_step_cascade)
{
	deliver(message(1, SEND,
			"{\"script\":\"job:acme:a final\",\"then\":{\"script\":\"child cancel "
			"end:3\"}}"));
	until(has_logged, "/1' starts");
	let_pass(200);
	cancel(2, 1);
	until_idle();
	ck_assert(says(reply_of(1, 1), "\"code\":3"));
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

static long
pid_in_log(const char *what)
{
	for (size_t i = 0; lines && lines[i]; i++) {
		const char *at = strstr(lines[i], what);

		if (at)
			return pid_behind(at, "pid ");
	}
	return -1;
}

static bool
is_running(long pid)
{
	autofree char *path = xasprintf("/proc/%ld/stat", pid), *text = NULL;

	return fs_read(AT_FDCWD, path, 4096, &text, NULL, NULL) == 0 && !says(text, ") Z ");
}

START_TEST(test_step_dies_with_its_parent)
{
	long step;

	deliver(message(1, SEND,
			"{\"script\":\"job:acme:a final\",\"then\":{\"script\":\"hang\"}}"));
	until(has_logged, "/1' starts");
	let_pass(200);
	step = pid_in_log("/1' starts");
	ck_assert(is_running(step));
	ck_assert_int_eq(kill((pid_t)pid_in_log("' starts"), SIGKILL), 0);
	until_idle();
	ck_assert(!is_running(step));
	ck_assert(says(last_reply(1), "ended by signal 9 (SIGKILL) before its work was done"));
}
END_TEST

/* -------------------------------------------------------------- answers */

static unsigned away_left;

static enum outcome
away_first(const struct sent *s)
{
	return s->kind == 'r' && away_left > 0 && away_left-- > 0 ? AWAY : TAKEN;
}

START_TEST(test_reply_again)
{
	outcome_of = away_first;
	away_left = 2;
	command(1, "reply final");
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 5);
	/* the same reply, by the same id, before any other */
	ck_assert_str_eq(nth(1, 'r', 0)->reply_id, nth(1, 'r', 1)->reply_id);
	ck_assert_str_eq(nth(1, 'r', 0)->reply_id, nth(1, 'r', 2)->reply_id);
	ck_assert_str_eq(nth(1, 'r', 0)->payload, nth(1, 'r', 2)->payload);
	ck_assert_str_eq(reply_of(1, 3), "{\"n\":1}");
}
END_TEST

static enum outcome
refuse_steps(const struct sent *s)
{
	return s->payload && says(s->payload, "\"n\"") ? REFUSED : TAKEN;
}

START_TEST(test_reply_refused)
{
	outcome_of = refuse_steps;
	command(1, "reply final");
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 3);
	ck_assert(logged("is dropped"));
}
END_TEST

static enum outcome
never_reply(const struct sent *s)
{
	return s->kind == 'r' ? NEVER : TAKEN;
}

static bool
is_answering(const void *arg)
{
	(void)arg;
	return reported("running") == 0 && reported("unconfirmed") == 1;
}

/* What the service has not taken is sent by the next agent, in order, by the same ids. */
START_TEST(test_replies_survive)
{
	autofree char *first = NULL;

	outcome_of = never_reply;
	command(1, "reply final");
	until(is_answering, NULL);
	let_pass(100);
	ck_assert_uint_eq(count(1, 'r'), 1);
	first = xstrdup(nth(1, 'r', 0)->reply_id);
	outcome_of = NULL;
	restart();
	until_idle();
	/* the first notice is pointless beside a final one */
	ck_assert_uint_eq(count(1, 'r'), 3);
	ck_assert_str_eq(reply_of(1, 1), "{\"n\":1}");
	ck_assert_str_eq(reply_of(1, 2), "{\"documentStatus\":\"Success\"}");
	ck_assert_str_ne(nth(1, 'r', 1)->reply_id, first);
	restart();
	let_pass(50);
	ck_assert_uint_eq(count(1, 'r'), 3);
}
END_TEST

START_TEST(test_queue_survives)
{
	configure("Mds.CommandWorkersLimit=1");
	restart();
	command(1, "cancel final");
	for (unsigned n = 2; n <= 6; n++)
		command(n, "reply final");
	until_sent(6, 'a', 1);
	until_sent(6, 'r', 1);
	let_pass(200);
	restart();
	until_idle();
	for (unsigned n = 2; n <= 6; n++) {
		ck_assert_str_eq(last_reply(n), "{\"documentStatus\":\"Success\"}");
		ck_assert_uint_eq(count(n, 'a'), 1);
	}
	/* This one had started: it is not started again. Its host saw the end and is gone. */
	ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
	ck_assert(says(last_reply(1), "worker lost"));
}
END_TEST

/* A host that outlived its agent is waited for, not started beside itself. */
START_TEST(test_adopted)
{
	long pid;

	command(1, "hang");
	until_sent(1, 'r', 1);
	let_pass(300);
	pid = pid_in_log("' starts");
	restart();
	ck_assert_uint_eq(reported("running"), 1);
	command(1, "hang");
	let_pass(300);
	ck_assert_uint_eq(count(1, 'a'), 2);
	ck_assert(is_running(pid));
	ck_assert_uint_eq(reported("running"), 1);
	if (_i == 0)
		ck_assert_int_eq(kill((pid_t)pid, SIGKILL), 0);
	else
		cancel(2, 1);
	until_idle();
	ck_assert(!is_running(pid));
	ck_assert(says(last_reply(1), _i == 0 ? "worker lost" : "\"notice\":\"Cancelled\""));
	restart();
	ck_assert(is_idle(NULL));
}
END_TEST

/* ------------------------------------------------------------- coming back */

/* It goes on where it was, and what it says twice is taken once; with both versions. */
START_TEST(test_comes_back)
{
	autofree char *script = xasprintf("returns %s reply stored away dup stored put:a=b get:a "
					  "reply:{\"n\":2} final",
					  _i == 1 ? "v2" : "");

	command(1, script);
	until_sent(1, 'r', 2);
	restart();
	until_idle();
	ck_assert(logged("is back"));
	ck_assert_uint_eq(count(1, 'a'), 1);
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
	for (size_t i = 0; i < sent_count; i++)
		ck_assert(!sent[i].payload || !says(sent[i].payload, "again"));
	restart();
	ck_assert(is_idle(NULL));
}
END_TEST

/* A step and who waits for it: the step goes on, its end is asked for again and comes. */
START_TEST(test_step_comes_back)
{
	deliver(message(1, SEND,
			"{\"script\":\"returns v2 job:acme:step final\",\"then\":{\"script\":"
			"\"returns v2 log:ready-to-go away end:1\"}}"));
	until(has_logged, "ready-to-go");
	let_pass(200);
	restart();
	until_idle();
	ck_assert_msg(says(reply_of(1, count(1, 'r') - 2), "\"code\":1,\"exit_code\":1"), "%s",
		      reply_of(1, count(1, 'r') - 2));
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* What it wrote down while nobody was there; _i 1: read when it ends under the eyes of the next. */
START_TEST(test_left_behind)
{
	command(1, "reply stored leave:done");
	until_sent(1, 'r', 2);
	dispatch = dispatch_free(dispatch);
	if (_i == 0)
		let_pass(500);
	open_dispatch();
	until_idle();
	ck_assert_str_eq(last_reply(1), "done");
	for (size_t i = 0; i < sent_count; i++)
		ck_assert(!sent[i].payload || !says(sent[i].payload, "again"));
	ck_assert(!logged("worker lost"));
}
END_TEST

/* We are not the process of any host, whatever we say. */
START_TEST(test_stranger)
{
	static const char hello[] = "{\"t\":\"hello\",\"ipc_min\":1,\"ipc_max\":2,\"token\":"
				    "\"00000000000000000000000000000000\",\"pid\":1}";
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char byte;

	command(1, "returns away final");
	until_sent(1, 'r', 1);
	let_pass(200);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/run/ssm/host.sock", root);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	(void)send(fd, hello, strlen(hello), MSG_NOSIGNAL);
	until(has_logged, "to host.sock is refused: no plugin host of that process");
	ck_assert_int_le(recv(fd, &byte, 1, 0), 0);
	(void)close(fd);
	restart();
	until_idle();
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

static void
put_record(struct journal *j, enum record type, json_t *content)
{
	ck_assert_int_eq(journal_append(j, type, content, NULL, NULL), 0);
	json_decref(content);
}

/* A journal as an agent before us leaves it: the host was PID, started at START. */
static void
plant_job(pid_t pid, uint64_t start, bool with_message)
{
	autofree char *state = xasprintf("%s/state", root), *id = id_of(1);
	autojson json_t *message =
		json_pack("{s:s,s:s,s:I,s:s,s:s}", "message_id", id, "topic", SEND, "received_ms",
			  (json_int_t)clock_wall_ms(), "notice_id", "n", "payload", "{}");
	struct jobstore *s = jobstore_open(state, IID, NULL);
	struct journal *j = jobstore_create(s, id, with_message ? RECORD_MESSAGE : RECORD_STATE,
					    message, NULL);

	ck_assert_ptr_nonnull(j);
	put_record(j, RECORD_STARTED,
		   json_pack("{s:i,s:I,s:s,s:s,s:s,s:I}", "pid", (int)pid, "start",
			     (json_int_t)start, "boot", proc_boot_id(), "token", "t", "plugin",
			     "runCommand", "at_ms", (json_int_t)clock_wall_ms()));
	ck_assert_int_eq(journal_sync(j, NULL), 0);
	journal_close(j);
	jobstore_close(s);
}

/* The number of the host went to somebody else, who is left alone. */
START_TEST(test_pid_reused)
{
	char name[] = "sleep", time[] = "600";
	char *const argv[] = { name, time, NULL };
	const struct proc_spec spec = { .path = "/bin/sleep", .argv = argv, .new_session = true };
	pid_t pid = proc_spawn(&spec, NULL);
	struct proc_id who;

	ck_assert_int_eq(proc_identify(pid, &who), 0);
	dispatch = dispatch_free(dispatch);
	plant_job(pid, who.start - 1, true);
	open_dispatch();
	until_idle();
	ck_assert(says(last_reply(1), "worker lost"));
	ck_assert(is_running(pid));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
END_TEST

/* Whose message cannot be read any more, but which had started: its sender hears of it. */
START_TEST(test_message_lost)
{
	dispatch = dispatch_free(dispatch);
	plant_job(0, 0, false);
	open_dispatch();
	until_idle();
	ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
	ck_assert(logged("its message cannot be read from its journal any more"));
	restart();
	ck_assert(is_idle(NULL));
}
END_TEST

/* A cancel that is on disk holds for the next agent: what waited never runs. */
START_TEST(test_cancel_survives)
{
	configure("Mds.CommandWorkersLimit=1");
	restart();
	command(1, "returns away cancel final");
	command(2, "touch:ran final");
	until_sent(2, 'a', 1);
	let_pass(200);
	cancel(3, 2);
	until_sent(3, 'a', 1);
	restart();
	cancel(4, 1);
	until_idle();
	ck_assert(says(last_reply(2), "\"notice\":\"Cancelled\""));
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

START_TEST(test_stale)
{
	clock_replace(&shifted);
	configure("Mds.CommandWorkersLimit=1");
	restart();
	command(1, "cancel final");
	command(2, "touch:ran final");
	until_sent(2, 'a', 1);
	shift_ms = 49 * 3600000LL;
	restart();
	until_idle();
	ck_assert(says(last_reply(2), "it waited for more than 48 hours"));
	clock_replace(NULL);
}
END_TEST

/* Without descriptors a command stays at the service, and a stored one starts later. */
START_TEST(test_no_descriptors)
{
	struct rlimit old, few;
	int next = dup(0);

	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)next + (_i == 0 ? 1 : 4);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	command(1, "final");
	let_pass(300);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_uint_eq(count(1, 'r'), _i == 0 ? 0 : 1);
	ck_assert_uint_eq(count(1, 'a'), _i == 0 ? 0 : 1);
	if (_i == 0)
		command(1, "final");
	until_idle();
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* ------------------------------------------------------------ full disks */

START_TEST(test_cannot_store)
{
	struct rlimit old, none;

	(void)signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	command(1, "final");
	until_idle();
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_uint_eq(count(1, 'a'), 1);
	ck_assert_uint_eq(count(1, 'r'), 1);
	ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
	ck_assert(says(last_reply(1), "cannot be stored"));
	command(1, "final"); /* known */
	command(2, "final");
	until_idle();
	ck_assert_uint_eq(count(1, 'a'), 2);
	ck_assert_uint_eq(count(1, 'r'), 1);
	ck_assert_str_eq(last_reply(2), "{\"documentStatus\":\"Success\"}");
}
END_TEST

START_TEST(test_no_plugin_any_more)
{
	configure("Mds.CommandWorkersLimit=1");
	restart();
	command(1, "cancel final");
	command(2, "final");
	until_sent(2, 'a', 1);
	no_features = true;
	restart();
	until_idle();
	ck_assert(says(last_reply(2), "no plugin provides the topic"));
}
END_TEST

/* Not a test of speed: what a command costs, for whoever changes this. */
START_TEST(test_two_hundred)
{
	int64_t start = clock_mono_ms();

	for (unsigned n = 1; n <= 200; n++)
		command(n, "reply final");
	until_idle();
	for (unsigned n = 1; n <= 200; n++) {
		ck_assert_uint_eq(count(n, 'a'), 1);
		ck_assert_uint_eq(count(n, 'r'), 3);
	}
	fprintf(stderr, "# 200 commands in %lld ms\n", (long long)(clock_mono_ms() - start));
}
END_TEST

static int
by_value(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(test_latency)
{
	int64_t us[50];

	for (unsigned n = 1; n <= NELEMS(us); n++) {
		struct timespec a, b;

		(void)clock_gettime(CLOCK_MONOTONIC, &a);
		command(n, "reply final");
		while (count(n, 'r') < 3)
			(void)event_base_loop(base, EVLOOP_ONCE);
		(void)clock_gettime(CLOCK_MONOTONIC, &b);
		us[n - 1] = (b.tv_sec - a.tv_sec) * 1000000LL + (b.tv_nsec - a.tv_nsec) / 1000;
		until_idle();
	}
	qsort(us, NELEMS(us), sizeof(us[0]), by_value);
	fprintf(stderr, "# delivery to final reply: min %lld, p50 %lld us\n", (long long)us[0],
		(long long)us[NELEMS(us) / 2]);
}
END_TEST

/* --------------------------------------------------------------- reboot */

static bool
is_restart_due(void)
{
	autojson json_t *r = dispatch_report(dispatch);

	return json_bool(r, "restart", false);
}

static bool
has_restart(const void *arg)
{
	(void)arg;
	return is_restart_due();
}

static size_t
starts_of(unsigned n)
{
	autofree char *id = id_of(n);
	autofree char *line = xasprintf("job '%s' starts", id);
	size_t found = 0;

	for (size_t i = 0; lines && lines[i]; i++)
		found += says(lines[i], line);
	return found;
}

/* A restart that does nothing. */
static void
set_reboot_command(void)
{
	dispatch_free(dispatch);
	configure("Agent.RebootCommand=/bin/true");
	open_dispatch();
}

static void
new_boot(const char *id)
{
	dispatch_free(dispatch);
	proc_replace_boot_id(id);
	open_dispatch();
}

/* With the same boot it waits on, and nothing else starts; with another one it goes on. */
START_TEST(test_reboot)
{
	set_reboot_command();
	command(1, "reply once:5 final");
	until(has_restart, NULL);
	command(2, "final");
	until_sent(2, 'a', 1);
	let_pass(300);
	ck_assert_uint_eq(reported("running"), 0);
	ck_assert_uint_eq(reported("queued"), 2);
	restart();
	let_pass(300);
	ck_assert(is_restart_due());
	ck_assert_uint_eq(reported("queued"), 2);
	ck_assert_uint_eq(starts_of(1), 1);
	new_boot("second");
	until_idle();
	ck_assert(!is_restart_due());
	ck_assert_uint_eq(starts_of(1), 2);
	ck_assert_uint_eq(starts_of(2), 1);
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
	ck_assert_str_eq(last_reply(2), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* Three starts without anything new are enough. */
START_TEST(test_reboot_for_ever)
{
	char boot[] = "boot 0";

	set_reboot_command();
	command(1, "put:k=same end:5");
	for (size_t i = 1; i <= 3; i++) {
		until(has_restart, NULL);
		ck_assert_uint_eq(starts_of(1), i);
		boot[5]++;
		new_boot(boot);
	}
	until_idle();
	ck_assert_uint_eq(starts_of(1), 3);
	ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
	ck_assert(says(last_reply(1), "3 times (exit code 194)"));
}
END_TEST

START_TEST(test_reboot_cancelled)
{
	set_reboot_command();
	command(1, "once:4 final");
	until(has_restart, NULL);
	cancel(2, 1);
	until_idle();
	ck_assert(says(last_reply(1), "\"notice\":\"Cancelled\""));
	new_boot("second");
	let_pass(300);
	ck_assert_uint_eq(starts_of(1), 1);
}
END_TEST

/* What runs may go on; a restart of the agent forgets neither. */
START_TEST(test_reboot_waits)
{
	set_reboot_command();
	command(1, "cancel final");
	until_running(1);
	command(2, "once:5 final");
	until(has_restart, NULL);
	let_pass(200);
	ck_assert_uint_eq(reported("running"), 1);
	cancel(3, 1);
	until_sent(1, 'r', 2);
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* Where it cannot be done the command fails with the reason, and work goes on. */
START_TEST(test_reboot_impossible)
{
	command(1, "once:5 final");
	until(has_restart, NULL);
	command(2, "final");
	until_idle();
	ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
	ck_assert(says(last_reply(1), "Agent.RebootCommand is not set"));
	ck_assert_str_eq(last_reply(2), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* A host that died after it asked has not asked in order. */
START_TEST(test_reboot_unasked)
{
	command(1, "reply crash");
	until_idle();
	new_boot("second");
	let_pass(300);
	ck_assert_uint_eq(starts_of(1), 1);
}
END_TEST

/* SSM_F_SERIAL: one at a time; others pass. */
START_TEST(test_serial)
{
	deliver(message(1, "acme.serial", "{\"script\":\"cancel final\"}"));
	until_running(1);
	deliver(message(2, "acme.serial", "{\"script\":\"final\"}"));
	deliver(message(3, "acme.serial", "{\"script\":\"final\"}"));
	command(4, "final");
	until_sent(4, 'r', 2);
	let_pass(200);
	ck_assert_uint_eq(reported("queued"), 2);
	ck_assert_uint_eq(starts_of(2) + starts_of(3), 0);
	cancel(5, 1);
	until_idle();
	ck_assert_uint_eq(starts_of(2) + starts_of(3), 2);
	ck_assert_str_eq(last_reply(2), "{\"documentStatus\":\"Success\"}");
	ck_assert_str_eq(last_reply(3), "{\"documentStatus\":\"Success\"}");
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("dispatch");
	TCase *t = tcase_create("all");

	if (argc > 1 && strcmp(argv[1], "--job") == 0)
		return hostpeer_main();
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_command);
	tcase_add_test(t, test_log_lines);
	tcase_add_test(t, test_duplicate_while_running);
	tcase_add_loop_test(t, test_envelopes, 0, (int)NELEMS(envelopes));
	tcase_add_test(t, test_unparsable_reason);
	tcase_add_test(t, test_garbage_polls);
	tcase_add_test(t, test_oversized);
	tcase_add_test(t, test_raw_payload);
	tcase_add_test(t, test_poll_of_ten);
	tcase_add_test(t, test_slow_plugins);
	tcase_add_test(t, test_slots);
	tcase_add_test(t, test_queue_full);
	tcase_add_test(t, test_cancel_queued);
	tcase_add_loop_test(t, test_cancel_foretold, 0, 2);
	tcase_add_test(t, test_cancel_foretold_48h);
	tcase_add_test(t, test_cancel_running);
	tcase_add_test(t, test_cancel_ignored);
	tcase_add_test(t, test_cancel_before_go);
	tcase_add_test(t, test_cancel_too_late);
	tcase_add_loop_test(t, test_wrong_hosts, 0, (int)NELEMS(wrongs));
	tcase_add_test(t, test_containment);
	tcase_add_test(t, test_leftover_kept);
	tcase_add_test(t, test_duplicate_seq);
	tcase_add_test(t, test_behind_final);
	tcase_add_test(t, test_values);
	tcase_add_test(t, test_log_of_plugin);
	tcase_add_test(t, test_burst);
	tcase_add_loop_test(t, test_steps, 0, (int)NELEMS(steps));
	tcase_add_test(t, test_depth);
	tcase_add_test(t, test_step_cascade);
	tcase_add_test(t, test_step_dies_with_its_parent);
	tcase_add_test(t, test_reply_again);
	tcase_add_test(t, test_reply_refused);
	tcase_add_test(t, test_replies_survive);
	tcase_add_test(t, test_queue_survives);
	tcase_add_loop_test(t, test_adopted, 0, 2);
	tcase_add_loop_test(t, test_comes_back, 0, 2);
	tcase_add_test(t, test_step_comes_back);
	tcase_add_loop_test(t, test_left_behind, 0, 2);
	tcase_add_test(t, test_stranger);
	tcase_add_test(t, test_pid_reused);
	tcase_add_test(t, test_message_lost);
	tcase_add_test(t, test_cancel_survives);
	tcase_add_test(t, test_stale);
	tcase_add_loop_test(t, test_no_descriptors, 0, 2);
	tcase_add_test(t, test_cannot_store);
	tcase_add_test(t, test_no_plugin_any_more);
	tcase_add_test(t, test_two_hundred);
	tcase_add_test(t, test_latency);
	tcase_add_test(t, test_reboot);
	tcase_add_test(t, test_reboot_for_ever);
	tcase_add_test(t, test_reboot_cancelled);
	tcase_add_test(t, test_reboot_waits);
	tcase_add_test(t, test_reboot_impossible);
	tcase_add_test(t, test_reboot_unasked);
	tcase_add_test(t, test_serial);
	suite_add_tcase(s, t);
	return run_suite(s);
}
