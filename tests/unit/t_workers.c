/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that go wrong, steps in hosts of their own: core/agent/worker.c, nested.c. DESIGN section
 * 2. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "tests/unit/hostpeer.h"
#include "tests/unit/joblab.h"
#include "tests/unit/suite.h"

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

/* Steps of an action that is wanted one at a time wait for each other, whoever asks; others pass.
 */
START_TEST(test_serial_steps)
{
	deliver(message(2, SEND,
			"{\"script\":\"job:acme:alone final\",\"then\":{\"script\":"
			"\"log:one-is-there cancel\"}}"));
	until(has_logged, "one-is-there");
	deliver(message(3, SEND,
			"{\"script\":\"log:two-asks job:acme:alone final\",\"then\":{\"script\":"
			"\"log:two-is-there end:0\"}}"));
	deliver(message(4, SEND,
			"{\"script\":\"job:acme:step final\",\"then\":{\"script\":\"end:0\"}}"));
	until_sent(4, 'r', 3);
	until(has_logged, "two-asks");
	let_pass(300);
	ck_assert(!logged("two-is-there"));
	ck_assert(says(reply_of(4, 1), "\"code\":0"));
	cancel(5, 2);
	until_idle();
	ck_assert(logged("two-is-there"));
	ck_assert(says(reply_of(3, 1), "\"code\":0"));
}
END_TEST

/* Who waits can be cancelled; it is told, and nothing is left that would start later. */
START_TEST(test_serial_step_cancelled)
{
	deliver(message(1, SEND,
			"{\"script\":\"job:acme:alone final\",\"then\":{\"script\":"
			"\"log:one-is-there cancel\"}}"));
	until(has_logged, "one-is-there");
	deliver(message(2, SEND,
			"{\"script\":\"log:two-asks job:acme:alone final\",\"then\":{\"script\":"
			"\"log:two-is-there end:0\"}}"));
	until(has_logged, "two-asks");
	let_pass(100);
	cancel(3, 2);
	until_sent(2, 'r', 3);
	ck_assert(says(reply_of(2, 1), "the command was cancelled"));
	if (_i == 1)
		restart();
	cancel(4, 1);
	until_idle();
	ck_assert(!logged("two-is-there"));
}
END_TEST

START_TEST(test_serial_step_of_itself)
{
	deliver(message(1, SEND,
			"{\"script\":\"job:acme:alone final\",\"then\":{\"script\":"
			"\"job:acme:alone end:0\",\"then\":{}}}"));
	until_idle();
	ck_assert(says(reply_of(1, 1), "\"code\":0"));
	ck_assert(logged("runs one at a time, and this step is part of one"));
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("workers");
	TCase *t = tcase_create("all");

	if (argc > 1 && strcmp(argv[1], "--job") == 0)
		return hostpeer_main();
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
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
	tcase_add_test(t, test_serial_steps);
	tcase_add_loop_test(t, test_serial_step_cancelled, 0, 2);
	tcase_add_test(t, test_serial_step_of_itself);
	suite_add_tcase(s, t);
	return run_suite(s);
}
