/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a plugin runs in the real host: output, environment, ends, cancel, memory. */
#include <check.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "tests/unit/agentpeer.h"
#include "tests/unit/suite.h"

#define ACTION 1
#define PTY 8 /* SSM_SPAWN_PTY and so on */
#define SPLIT 16
#define LOGIN 32
#define SEARCH 64

static struct agentpeer peer;
static char *out, *err;
static json_t *end;

static void
setup(void)
{
	memset(&peer, 0, sizeof(peer));
	peer.fd = peer.out = peer.err = peer.listener = -1;
	out = err = NULL;
	end = NULL;
}

static void
teardown(void)
{
	agentpeer_done(&peer);
	free(out);
	free(err);
	json_decref(end);
}

static void
start(json_t *inputs, json_t *info)
{
	autofree char *text = json_text(inputs);

	json_decref(inputs);
	agentpeer_start(&peer, "probe", ACTION, "probe:spawn", text, info);
	agentpeer_ready_go(&peer);
}

static void
finish(void)
{
	end = agentpeer_end(&peer);
	out = agentpeer_file(&peer, "out");
	err = agentpeer_file(&peer, "err");
}

static void
sh(const char *script)
{
	start(json_pack("{s:s}", "sh", script), NULL);
	finish();
}

static void
expect_end(int64_t result, int64_t code)
{
	ck_assert_msg(json_int(end, "result", -1) == result &&
			      json_int(end, "exit_code", -999) == code,
		      "result %lld, code %lld (%s)", (long long)json_int(end, "result", -1),
		      (long long)json_int(end, "exit_code", -999), json_str(end, "error", ""));
}

START_TEST(t_output)
{
	sh("printf out; printf err >&2; exit 7");
	expect_end(1, 7);
	ck_assert_str_eq(out, "out");
	ck_assert_str_eq(err, "errhow=0 code=7 left=0 out=0 err=0\n");
}
END_TEST

START_TEST(t_signal)
{
	sh("kill -USR1 $$");
	expect_end(1, SIGUSR1);
	ck_assert_ptr_nonnull(strstr(err, "how=1 code=10 "));
}
END_TEST

/* What a command starts with: nothing of the agent, all signals as they are by default (but the two
 * that the C library keeps for itself). */
START_TEST(t_surroundings)
{
	autofree char *cwd = NULL;

	sh("env | sort; umask; pwd; cat /proc/self/oom_score_adj; grep -E '^Sig(Blk|Ign)' "
	   "/proc/self/status | sed s/180000000/000000000/; ls /proc/self/fd | wc -l; "
	   "cut -d' ' -f5 /proc/$$/stat | sed s/^$$\\$/leader/; cat");
	expect_end(0, 0);
	cwd = xasprintf("\n0022\n%s\n0\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
			"4\nleader\n",
			peer.folder);
	ck_assert_msg(strstr(out, cwd) != NULL, "%s", out);
	ck_assert_ptr_nonnull(strstr(out, "SSM_JOB=job-1\n"));
	ck_assert_ptr_nonnull(strstr(out, "PATH=/usr/local/sbin:"));
	ck_assert_ptr_null(strstr(out, "AWS_"));
	ck_assert_ptr_null(strstr(out, "SSM_TOKEN"));
}
END_TEST

START_TEST(t_stdin)
{
	start(json_pack("{s:s,s:s}", "sh", "cat; wc -c", "stdin", "to be read"), NULL);
	finish();
	ck_assert_str_eq(out, "to be read0\n");
}
END_TEST

START_TEST(t_cannot_start)
{
	start(json_pack("{s:s}", "program", "/nonexistent/program"), NULL);
	finish();
	expect_end(1, 1);
	ck_assert_ptr_nonnull(strstr(json_str(end, "error", ""), "/nonexistent/program"));
	agentpeer_done(&peer);
	teardown();
	setup();
	start(json_pack("{s:i}", "flags", SPLIT), NULL);
	finish();
	ck_assert_ptr_nonnull(strstr(json_str(end, "error", ""), "SSM_SPAWN_SPLIT"));
	teardown();
	setup();
	start(json_pack("{s:s}", "run_as", "no such user"), NULL);
	finish();
	ck_assert_ptr_nonnull(strstr(json_str(end, "error", ""), "no such user"));
}
END_TEST

START_TEST(t_search)
{
	start(json_pack("{s:s,s:i,s:s}", "program", "sh", "flags", SEARCH, "sh", "echo found"),
	      NULL);
	finish();
	ck_assert_str_eq(out, "found\n");
}
END_TEST

START_TEST(t_timeout)
{
	int64_t began = clock_mono_ms();

	start(json_pack("{s:s,s:i}", "sh",
			"trap 'echo term; exit 0' TERM; while :; do sleep 0.1; "
			"done",
			"timeout_ms", 300),
	      NULL);
	finish();
	expect_end(2, 0);
	ck_assert_str_eq(out, "term\n");
	ck_assert_ptr_nonnull(strstr(err, "how=2 "));
	ck_assert_int_ge(clock_mono_ms() - began, 300);
}
END_TEST

/* TERM is not enough: after the grace KILL, to the whole group. */
START_TEST(t_timeout_kill)
{
	autofree char *text = NULL;
	int64_t pid = 0;

	start(json_pack("{s:s,s:i,s:i}", "sh",
			"trap '' TERM; sleep 600 & echo $!; while :; do wait; done", "timeout_ms",
			200, "grace_ms", 200),
	      NULL);
	finish();
	expect_end(2, SIGKILL);
	text = xstrdup(out);
	ck_assert_int_eq(text_to_i64(text_trim(text), 1, 1 << 30, &pid), 0);
	ck_assert_int_lt(kill((pid_t)pid, 0), 0);
}
END_TEST

START_TEST(t_cancel)
{
	autofree char *started = NULL;

	start(json_pack("{s:s}", "sh",
			"trap 'echo term; exit 9' TERM; echo go; while :; do sleep "
			"0.1; done"),
	      NULL);
	for (int i = 0; i < 3000 && (!started || !*started); i++) {
		free(started);
		started = agentpeer_file(&peer, "out");
		poll(NULL, 0, 10);
	}
	ck_assert_str_eq(started, "go\n");
	agentpeer_send(&peer, json_pack("{s:s,s:i}", "t", "cancel", "grace_ms", 5000));
	finish();
	expect_end(3, 9);
	ck_assert_str_eq(out, "go\nterm\n");
}
END_TEST

/* The step ends with its main process; who is left in the background is kept. */
START_TEST(t_background)
{
	int64_t began = clock_mono_ms(), pid = 0;
	autofree char *text = NULL;

	sh("sleep 300 & echo $!");
	expect_end(0, 0);
	ck_assert_int_lt(clock_mono_ms() - began, 60000);
	ck_assert_ptr_nonnull(strstr(err, "left=1 "));
	text = xstrdup(out);
	ck_assert_int_eq(text_to_i64(text_trim(text), 1, 1 << 30, &pid), 0);
	ck_assert_int_eq(kill((pid_t)pid, SIGKILL), 0);
}
END_TEST

START_TEST(t_background_killed)
{
	autofree char *text = NULL;
	int64_t pid = 0;

	start(json_pack("{s:s}", "sh", "sleep 300 & echo $!"),
	      json_pack("{s:s}", "leftover-processes", "kill"));
	finish();
	ck_assert_ptr_nonnull(strstr(err, "left=0 "));
	text = xstrdup(out);
	ck_assert_int_eq(text_to_i64(text_trim(text), 1, 1 << 30, &pid), 0);
	for (int i = 0; i < 1000 && kill((pid_t)pid, 0) == 0; i++)
		poll(NULL, 0, 10);
	ck_assert_int_lt(kill((pid_t)pid, 0), 0);
}
END_TEST

/* The script says its parent's peak at both ends: what the host needed in between. */
START_TEST(t_large_output_in_flat_memory)
{
	long long before = 0, after = 0;
	struct stat st;

	start(json_pack("{s:s}", "sh",
			"p() { sed -n 's/^VmHWM: *//p' /proc/$PPID/status >&2; }; p; "
			"head -c 67108864 /dev/zero; p"),
	      NULL);
	end = agentpeer_end(&peer);
	ck_assert_int_eq(fstat(peer.out, &st), 0);
	ck_assert_int_eq(st.st_size, 67108864);
	err = agentpeer_file(&peer, "err");
	ck_assert_int_eq(sscanf(err, " %lld kB %lld kB", &before, &after), 2);
	ck_assert_int_gt(before, 0);
	ck_assert_int_lt(after - before, 4096);
}
END_TEST

/* Head and tail, and between them a line that says how much is missing. */
START_TEST(t_max_output)
{
	start(json_pack("{s:s,s:i}", "sh", "seq -w 1 100000", "max_output", 10000), NULL);
	finish();
	ck_assert_uint_eq(strlen(out), 10000);
	ck_assert_int_eq(strncmp(out, "000001\n000002\n", 14), 0);
	ck_assert_ptr_nonnull(strstr(out, " bytes left out-"));
	ck_assert_str_eq(out + 10000 - 14, "099999\n100000\n");
}
END_TEST

START_TEST(t_output_function)
{
	start(json_pack("{s:s,s:i}", "sh", "seq 1 100000; echo err >&2", "count", 1), NULL);
	finish();
	ck_assert_str_eq(out, "");
	ck_assert_str_eq(err, "how=0 code=0 left=0 out=588895 err=4\n");
}
END_TEST

/* Its own, of the size that was asked for, with a session of its own behind it. */
START_TEST(t_terminal)
{
	start(json_pack("{s:s,s:i,s:i,s:i}", "sh",
			"test -t 0 && test -t 1 && test -t 2 && stty size && tty && "
			": </dev/tty && stty -a | grep -o ' iutf8'; echo err >&2; "
			"test $(cut -d' ' -f6 /proc/$$/stat) = $$; exit $?",
			"flags", PTY, "cols", 120, "rows", 40),
	      NULL);
	finish();
	expect_end(0, 0);
	ck_assert_int_eq(strncmp(out, "40 120\r\n/dev/pts/", 17), 0);
	ck_assert_ptr_nonnull(strstr(out, "\r\n iutf8\r\nerr\r\n"));
	ck_assert_str_eq(err, "how=0 code=0 left=0 out=0 err=0\n");
}
END_TEST

START_TEST(t_terminal_split)
{
	start(json_pack("{s:s,s:i}", "sh",
			"test -t 1 && ! test -t 2 && echo out; echo err >&2", "flags", PTY | SPLIT),
	      NULL);
	finish();
	ck_assert_str_eq(out, "out\r\n");
	ck_assert_str_eq(err, "err\nhow=0 code=0 left=0 out=0 err=0\n");
}
END_TEST

START_TEST(t_login)
{
	start(json_pack("{s:s,s:i}", "sh", "cat /proc/$$/cmdline | tr '\\0' ' '", "flags", LOGIN),
	      NULL);
	finish();
	ck_assert_int_eq(strncmp(out, "-sh -c cat", 10), 0);
}
END_TEST

/* First the data, then what comes by the descriptor; its end is not the terminal's. */
START_TEST(t_typing)
{
	start(json_pack("{s:s,s:i,s:s,s:s}", "sh",
			"stty -echo; read a; read b; echo $a $b; read -t 1 c || echo none", "flags",
			PTY, "stdin", "one\n", "pipe", "two\n"),
	      NULL);
	finish();
	ck_assert_ptr_nonnull(strstr(out, "one two\r\n"));
}
END_TEST

START_TEST(t_interrupt_by_typing)
{
	start(json_pack("{s:s,s:i,s:s}", "sh", "exec sleep 60", "flags", PTY, "stdin", "\3"), NULL);
	finish();
	ck_assert_ptr_nonnull(strstr(err, "how=1 code=2 "));
}
END_TEST

START_TEST(t_large_output_of_a_terminal)
{
	start(json_pack("{s:s,s:i,s:i}", "sh", "seq 1 100000", "flags", PTY, "count", 1), NULL);
	finish();
	ck_assert_str_eq(err, "how=0 code=0 left=0 out=688895 err=0\n");
}
END_TEST

/* A shell at a terminal minds no TERM. */
START_TEST(t_hang_up)
{
	int64_t began = clock_mono_ms();

	start(json_pack("{s:s,s:i,s:i,s:i}", "sh",
			"trap '' TERM; trap 'exit 4' HUP; while :; do sleep 0.1; done", "flags",
			PTY, "timeout_ms", 300, "grace_ms", 60000),
	      NULL);
	finish();
	expect_end(2, 4);
	ck_assert_int_lt(clock_mono_ms() - began, 50000);
}
END_TEST

/* Programs open it by its name, so it is theirs. Only root can become somebody else. */
START_TEST(t_terminal_of_another_user)
{
	start(json_pack("{s:s,s:i,s:s,s:s}", "sh", "stat -c %U $(tty); : </dev/tty && id -un",
			"flags", PTY, "cwd", "/", "run_as",
			geteuid() == 0 ? "nobody" : getpwuid(geteuid())->pw_name),
	      NULL);
	finish();
	expect_end(0, 0);
	if (geteuid() == 0)
		ck_assert_str_eq(out, "nobody\r\nnobody\r\n");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("host_spawn");
	TCase *tc = tcase_create("host_spawn");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_output);
	tcase_add_test(tc, t_signal);
	tcase_add_test(tc, t_surroundings);
	tcase_add_test(tc, t_stdin);
	tcase_add_test(tc, t_cannot_start);
	tcase_add_test(tc, t_search);
	tcase_add_test(tc, t_timeout);
	tcase_add_test(tc, t_timeout_kill);
	tcase_add_test(tc, t_cancel);
	tcase_add_test(tc, t_background);
	tcase_add_test(tc, t_background_killed);
	tcase_add_test(tc, t_large_output_in_flat_memory);
	tcase_add_test(tc, t_max_output);
	tcase_add_test(tc, t_output_function);
	tcase_add_test(tc, t_terminal);
	tcase_add_test(tc, t_terminal_split);
	tcase_add_test(tc, t_login);
	tcase_add_test(tc, t_typing);
	tcase_add_test(tc, t_interrupt_by_typing);
	tcase_add_test(tc, t_large_output_of_a_terminal);
	tcase_add_test(tc, t_hang_up);
	tcase_add_test(tc, t_terminal_of_another_user);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
