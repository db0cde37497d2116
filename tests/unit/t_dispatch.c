/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, queue, cancel, answers, full disks: core/agent/dispatch.c, jobs.c, job.c. DESIGN
 * section 3, spec/01 sections 1.5 to 1.8. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "tests/unit/hostpeer.h"
#include "tests/unit/joblab.h"
#include "tests/unit/suite.h"

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

/* The list of finished jobs knows it when its folder was removed long ago, and after a restart. */
START_TEST(test_duplicate_without_folder)
{
	autofree char *id = id_of(1);
	autofree char *folder = xasprintf("%s/state/" IID "/jobs/%s", root, id);

	command(1, "final");
	until_idle();
	for (int i = 0; i < 2; i++) {
		(void)fs_remove_tree(AT_FDCWD, folder, NULL);
		command(1, "final");
		let_pass(200);
		ck_assert_uint_eq(count(1, 'a'), 2 + (size_t)i);
		ck_assert_uint_eq(starts_of(1), 1);
		restart();
	}
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

static int session_result[4];

static void
on_session(void *arg, int result)
{
	*(int *)arg = result;
}

/* Number N, which runs until it is cancelled. */
static void
start_session(size_t n)
{
	static const char payload[] = "{\"script\":\"cancel final\"}";
	autofree char *id = xasprintf("aws.ssm.session.op-%zu", n);
	const struct delivery d = { .id = id,
				    .topic = "session",
				    .payload = payload,
				    .len = sizeof(payload) - 1,
				    .via = "mgs",
				    .route = "op" };

	session_result[n] = 1;
	dispatch_deliver(dispatch, &d, on_session, &session_result[n]);
}

static bool
is_taken(const void *arg)
{
	return *(const int *)arg != 1;
}

static bool
one_runs(const void *arg)
{
	(void)arg;
	return reported("running") == 1;
}

/* Sessions have slots of their own; one more is refused at once, for somebody waits for it. */
START_TEST(test_session_slots)
{
	configure("Mgs.SessionWorkersLimit=2");
	restart();
	start_session(0);
	start_session(1);
	start_session(2);
	ck_assert_int_eq(session_result[2], -EAGAIN);
	until(is_taken, &session_result[0]);
	until(is_taken, &session_result[1]);
	ck_assert_int_eq(session_result[0], 0);
	ck_assert_int_eq(session_result[1], 0);
	command(1, "final");
	until_sent(1, 'r', 2);
	ck_assert_uint_eq(reported("queued"), 0);
	dispatch_cancel_local(dispatch, "aws.ssm.session.op-0");
	until(one_runs, NULL);
	start_session(3);
	until(is_taken, &session_result[3]);
	ck_assert_int_eq(session_result[3], 0);
	dispatch_cancel_local(dispatch, "aws.ssm.session.op-1");
	dispatch_cancel_local(dispatch, "aws.ssm.session.op-3");
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

/* One that answered the cancel in part and then died: what it did not say is said for it. */
START_TEST(test_cancel_crash)
{
	command(1, "reply:begun cancel reply:part stored crash");
	until_sent(1, 'r', 2);
	cancel(2, 1);
	until_idle();
	ck_assert_uint_eq(count(1, 'r'), 4);
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

/* ------------------------------------------------- commands of this machine */

static struct {
	char *replies[16];
	size_t count;
	bool final, over, restart, full;
} here;

static int
on_local_reply(void *arg, const char *id, bool final, const char *payload, size_t len)
{
	autofree char *mine = id_of(1);

	ck_assert_ptr_eq(arg, &here);
	ck_assert_str_eq(id, mine);
	if (here.full) {
		here.full = false;
		return -EAGAIN;
	}
	ck_assert_uint_lt(here.count, NELEMS(here.replies));
	here.replies[here.count++] = xstrndup(payload, len);
	here.final = final;
	return 0;
}

static void
on_local_over(void *arg, const char *id, bool restart)
{
	ck_assert_ptr_eq(arg, &here);
	ck_assert_str_ne(id, "");
	here.over = true;
	here.restart = restart;
}

static bool
is_over_here(const void *arg)
{
	(void)arg;
	return here.over;
}

static bool
has_replies_here(const void *arg)
{
	return here.count >= *(const size_t *)arg;
}

static void
local_command(const char *script)
{
	autofree char *payload = xasprintf("{\"script\":\"%s\"}", script);
	autojson json_t *m = message(1, SEND, payload);
	autofree char *id = NULL, *mine = id_of(1);
	struct err e = { 0, "" };

	ck_assert_int_eq(dispatch_take_local(dispatch, m, &id, &e), 0);
	ck_assert_str_eq(id, mine);
}

static void
setup_local(void)
{
	local = (struct dispatch_local){ on_local_reply, on_local_over, &here };
	setup();
}

/* The service hears nothing of it, not even with an agent between. */
START_TEST(test_local)
{
	autofree char *id = id_of(1);

	here.full = true; /* it is asked again */
	local_command("reply final");
	ck_assert(dispatch_knows(dispatch, id));
	until(is_over_here, NULL);
	ck_assert_uint_eq(here.count, 3);
	ck_assert(says(here.replies[0], "\"notice\":\"InProgress\""));
	ck_assert_str_eq(here.replies[1], "{\"n\":1}");
	ck_assert_str_eq(here.replies[2], "{\"documentStatus\":\"Success\"}");
	ck_assert(here.final && !here.restart);
	ck_assert_uint_eq(sent_count, 0);
	ck_assert(dispatch_knows(dispatch, id));
}
END_TEST

START_TEST(test_local_cancel)
{
	autofree char *id = id_of(1);
	size_t one = 1;

	local_command("cancel final:bye");
	until(has_replies_here, &one);
	until_running(1);
	dispatch_cancel_local(dispatch, id);
	dispatch_cancel_local(dispatch, id);
	until(is_over_here, NULL);
	ck_assert_str_eq(here.replies[here.count - 1], "bye");
	dispatch_cancel_local(dispatch, id);
	let_pass(100);
	ck_assert_uint_eq(sent_count, 0);
}
END_TEST

/* Taken up by the next agent, it is still this machine's. */
START_TEST(test_local_restart)
{
	size_t one = 1;

	local_command("away final");
	until(has_replies_here, &one);
	until_running(1);
	restart();
	until(is_over_here, NULL);
	ck_assert(here.final);
	ck_assert_uint_eq(sent_count, 0);
}
END_TEST

START_TEST(test_local_refused)
{
	autojson json_t *known = message(1, SEND, "{}"), *foreign = message(2, "acme.none", "{}");
	autojson json_t *nothing = json_object();
	struct err e = { 0, "" };

	ck_assert_int_eq(dispatch_take_local(dispatch, nothing, NULL, &e), -EINVAL);
	ck_assert_int_eq(dispatch_take_local(dispatch, foreign, NULL, &e), -ENOENT);
	ck_assert_str_eq(e.text, "no plugin handles the topic 'acme.none'");
	local_command("final");
	ck_assert_int_eq(dispatch_take_local(dispatch, known, NULL, &e), -EINVAL);
	until(is_over_here, NULL);
	ck_assert_uint_eq(sent_count, 0);
}
END_TEST

/* What is no payload is answered, not refused. */
START_TEST(test_local_unusable)
{
	autojson json_t *m = message(1, SEND, "nonsense");

	ck_assert_int_eq(dispatch_take_local(dispatch, m, NULL, NULL), 0);
	until(is_over_here, NULL);
	ck_assert(says(here.replies[here.count - 1], "\"notice\":\"Failed\""));
}
END_TEST

/* A single command never restarts the machine. */
START_TEST(test_once_restart)
{
	dispatch_free(dispatch);
	once = true;
	open_dispatch();
	local_command("end:4");
	until(is_over_here, NULL);
	ck_assert(here.restart && !here.final);
	let_pass(100);
	ck_assert(!logged("asks for a restart"));
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("dispatch");
	TCase *t = tcase_create("all"), *sessions = tcase_create("sessions");

	if (argc > 1 && strcmp(argv[1], "--job") == 0)
		return hostpeer_main();
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_command);
	tcase_add_test(t, test_duplicate_without_folder);
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
	tcase_add_test(t, test_cancel_crash);
	tcase_add_test(t, test_cancel_before_go);
	tcase_add_test(t, test_cancel_too_late);
	tcase_add_test(t, test_reply_again);
	tcase_add_test(t, test_reply_refused);
	tcase_add_test(t, test_cannot_store);
	tcase_add_test(t, test_no_plugin_any_more);
	tcase_add_test(t, test_two_hundred);
	tcase_add_test(t, test_latency);
	tcase_add_test(t, test_serial);
	suite_add_tcase(s, t);
	t = tcase_create("local");
	tcase_add_checked_fixture(t, setup_local, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_local);
	tcase_add_test(t, test_local_cancel);
	tcase_add_test(t, test_local_restart);
	tcase_add_test(t, test_local_refused);
	tcase_add_test(t, test_local_unusable);
	tcase_add_test(t, test_once_restart);
	tcase_add_checked_fixture(sessions, setup, teardown);
	tcase_set_timeout(sessions, 60);
	tcase_add_test(sessions, test_session_slots);
	suite_add_tcase(s, sessions);
	suite_add_tcase(s, t);
	return run_suite(s);
}
