/* SPDX-License-Identifier: Apache-2.0 */
/* What the next agent takes up: journals, hosts that come back, what they left: core/agent/
 * job_load.c, adopt.c, hostsock.c. DESIGN section 2. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/agent/jobstore.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "tests/unit/hostpeer.h"
#include "tests/unit/joblab.h"
#include "tests/unit/suite.h"

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

int
main(int argc, char **argv)
{
	Suite *s = suite_create("return");
	TCase *t = tcase_create("all"), *few = tcase_create("descriptors");

	if (argc > 1 && strcmp(argv[1], "--job") == 0)
		return hostpeer_main();
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
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
	suite_add_tcase(s, t);
	/* Valgrind makes the file first, and then counts descriptors. */
	tcase_set_tags(few, "nofile");
	tcase_add_checked_fixture(few, setup, teardown);
	tcase_set_timeout(few, 120);
	tcase_add_loop_test(few, test_no_descriptors, 0, 2);
	suite_add_tcase(s, few);
	return run_suite(s);
}
