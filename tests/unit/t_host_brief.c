/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/host/brief.c: output, ends, deadlines, children that stay. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/host/brief.h"
#include "tests/unit/suite.h"

static struct sbuf out;
static struct err e;

static void
setup(void)
{
	sbuf_init(&out, 65536);
	e = (struct err){ 0, "" };
}

static void
teardown(void)
{
	sbuf_done(&out);
}

static int
sh(const char *script, int64_t timeout_ms)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL };

	return brief_run(argv, timeout_ms, &out, &e);
}

START_TEST(t_output_and_end)
{
	int status = sh("echo one; echo two >&2; exit 7", 20000);

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_str_eq(sbuf_str(&out), "one\ntwo\n");
	status = sh("kill -TERM $$", 20000);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGTERM);
}
END_TEST

/* Nothing of ours but a path and a language. */
START_TEST(t_environment)
{
	ck_assert_int_eq(setenv("SSM_CANARY", "leaks", 1), 0);
	ck_assert_int_eq(sh("tr '\\0' '\\n' </proc/$$/environ | sort; read -r x; echo end", 20000),
			 0);
	ck_assert_str_eq(sbuf_str(&out), "LANG=C.UTF-8\n"
					 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
					 "/sbin:/bin\nend\n");
}
END_TEST

START_TEST(t_ceiling)
{
	ck_assert_int_eq(sh("head -c 200000 /dev/zero | tr '\\0' x", 20000), 0);
	ck_assert_uint_le(out.len, 65536);
}
END_TEST

START_TEST(t_deadline)
{
	int64_t begin = clock_mono_ms();
	int status;
	pid_t pid;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	ck_assert_int_eq(sh("echo $$; sleep 60; echo late", 300), -ETIMEDOUT);
	ck_assert_int_lt(clock_mono_ms() - begin, 20000);
	ck_assert_ptr_nonnull(strstr(err_text(&e), "'sh' was not done within"));
	/* What it had started comes to us, as to a host, and is dead, too. */
	while ((pid = waitpid(-1, &status, 0)) > 0)
		ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	ck_assert_int_lt(clock_mono_ms() - begin, 20000);
	/* Closed streams are no end. */
	ck_assert_int_eq(sh("exec >&- 2>&-; sleep 60", 300), -ETIMEDOUT);
}
END_TEST

START_TEST(t_left_behind)
{
	int64_t begin = clock_mono_ms();

	ck_assert_int_eq(sh("sleep 5 & echo done", 60000), 0);
	ck_assert_int_lt(clock_mono_ms() - begin, 4000);
	ck_assert_str_eq(sbuf_str(&out), "done\n");
}
END_TEST

START_TEST(t_find)
{
	autofree char *sh_path = brief_find("sh"), *path = brief_find("/bin/sh");
	char *const argv[] = { (char *)"no-such-program", NULL };

	ck_assert_ptr_nonnull(sh_path);
	ck_assert_str_eq(path, "/bin/sh");
	ck_assert_ptr_null(brief_find("no-such-program"));
	ck_assert_ptr_null(brief_find("/etc/passwd"));
	ck_assert_int_eq(brief_run(argv, 1000, &out, &e), -ENOENT);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("host_brief");
	TCase *tc = tcase_create("host_brief");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_output_and_end);
	tcase_add_test(tc, t_environment);
	tcase_add_test(tc, t_ceiling);
	tcase_add_test(tc, t_deadline);
	tcase_add_test(tc, t_left_behind);
	tcase_add_test(tc, t_find);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
