/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of children, signals and the wall clock as events. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/loop/child.h"
#include "core/loop/signals.h"
#include "core/loop/wallclock.h"
#include "tests/unit/suite.h"

static struct event_base *base;
static int status_seen, signal_seen, ticks;
static unsigned ends;

static void
setup(void)
{
	status_seen = -2;
	signal_seen = ticks = 0;
	ends = 0;
	base = event_base_new();
}

static void
teardown(void)
{
	event_base_free(base);
}

static void
turn(void)
{
	const struct timeval limit = {10, 0};

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
}

static pid_t
sh(const char *script)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL};
	struct proc_spec spec = {.path = "/bin/sh", .argv = argv};
	pid_t pid = proc_spawn(&spec, NULL);

	ck_assert_int_gt(pid, 0);
	return pid;
}

static void
on_end(void *arg, pid_t pid, int status)
{
	(void)arg;
	ck_assert_int_gt(pid, 0);
	ends++;
	status_seen = status;
	event_base_loopbreak(base);
}

START_TEST(t_exit_status)
{
	ck_assert_ptr_nonnull(child_watch(base, sh("exit 7"), on_end, NULL, NULL));
	turn();
	ck_assert_uint_eq(ends, 1);
	ck_assert_int_eq(WEXITSTATUS(status_seen), 7);
}
END_TEST

START_TEST(t_signal_child)
{
	struct child *c = child_watch(base, sh("exec sleep 100"), on_end, NULL, NULL);

	ck_assert_int_eq(child_signal(c, SIGKILL), 0);
	turn();
	ck_assert(WIFSIGNALED(status_seen));
}
END_TEST

START_TEST(t_many_children)
{
	for (int i = 0; i < 50; i++)
		ck_assert_ptr_nonnull(child_watch(base, sh("exit 0"), on_end, NULL, NULL));
	for (int i = 0; i < 50 && ends < 50; i++)
		turn();
	ck_assert_uint_eq(ends, 50);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(t_watch_freed)
{
	pid_t pid = sh("exit 0");

	child_free(child_watch(base, pid, on_end, NULL, NULL));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(event_base_loop(base, EVLOOP_NONBLOCK), 1);
	ck_assert_uint_eq(ends, 0);
}
END_TEST

static bool
reaped(const pid_t *pids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (kill(pids[i], 0) == 0 || errno != ESRCH)
			return false;
	return true;
}

/* One SIGCHLD may stand for many ends, of both kinds: no status is lost, no zombie stays. */
START_TEST(t_reap)
{
	pid_t others[50];

	ck_assert_int_eq(child_reap_start(base, NULL), 0);
	for (size_t i = 0; i < NELEMS(others); i++) {
		pid_t pid = sh("exit 7");

		others[i] = sh(i % 2 ? "exit 0" : "sleep 0.1");
		ck_assert_ptr_nonnull(child_watch(base, pid, on_end, NULL, NULL));
		ck_assert(child_is_watched(pid) && !child_is_watched(others[i]));
	}
	for (size_t i = 0; i < 10 * NELEMS(others) && !reaped(others, NELEMS(others)); i++) {
		const struct timeval soon = {0, 20000};

		event_base_loopexit(base, &soon);
		event_base_dispatch(base);
	}
	ck_assert(reaped(others, NELEMS(others)));
	for (size_t i = 0; i < NELEMS(others) && ends < NELEMS(others); i++)
		turn();
	ck_assert_uint_eq(ends, NELEMS(others));
	ck_assert_int_eq(WEXITSTATUS(status_seen), 7);
	child_reap_stop();
	ck_assert_int_gt(waitpid(sh("exit 3"), &status_seen, 0), 0);
	ck_assert_int_eq(WEXITSTATUS(status_seen), 3);
}
END_TEST

/* No longer watched when it ends: discarded like any other. */
START_TEST(t_reap_unwatched)
{
	pid_t pid = sh("exit 0");
	struct child *c = child_watch(base, pid, on_end, NULL, NULL);

	ck_assert_int_eq(child_reap_start(base, NULL), 0);
	while (waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT) < 0)
		;
	child_reap();
	ck_assert_int_eq(kill(pid, 0), 0); /* its watch waits for it */
	child_free(c);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert(reaped(&pid, 1));
	ck_assert_uint_eq(ends, 0);
	child_reap_stop();
}
END_TEST

START_TEST(t_stranger)
{
	int fds[2];
	char text[32] = "";
	pid_t shell, pid;

	/* A grandchild whose parent is gone: not ours to wait for. */
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[1], 9), 9);
	{
		char *argv[] = {(char *)"sh", (char *)"-c",
				(char *)"sleep 0.2 >/dev/null 2>&1 9>&- & echo $! >&9", NULL};
		struct proc_fd fd = {9, 9};
		struct proc_spec spec = {.path = "/bin/sh",
					 .argv = argv,
					 .fds = &fd,
					 .fd_count = 1};

		shell = proc_spawn(&spec, NULL);
	}
	ck_assert_int_gt(read(fds[0], text, sizeof(text) - 1), 0);
	ck_assert_int_eq(waitpid(shell, NULL, 0), shell);
	pid = (pid_t)strtol(text, NULL, 10);
	ck_assert_ptr_nonnull(child_watch_stranger(base, pid, on_end, NULL, NULL));
	turn();
	ck_assert_uint_eq(ends, 1);
	ck_assert_int_eq(status_seen, -1);
	close(fds[0]);
	close(fds[1]);
	close(9);
}
END_TEST

static void
on_signal(void *arg, int sig)
{
	(void)arg;
	signal_seen = sig;
	event_base_loopbreak(base);
}

START_TEST(t_signals)
{
	static const int sigs[] = {SIGTERM, SIGHUP, 0};
	struct signals *s;
	sigset_t pipe_only;

	signals_block();
	s = signals_new(base, sigs, on_signal, NULL, NULL);
	ck_assert_ptr_nonnull(s);
	raise(SIGHUP);
	raise(SIGPIPE);
	turn();
	ck_assert_int_eq(signal_seen, SIGHUP);
	raise(SIGTERM);
	turn();
	ck_assert_int_eq(signal_seen, SIGTERM);
	signals_free(s);
	/* Still pending, for it is blocked: taken, so that it ends nothing. */
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	ck_assert_int_eq(sigwaitinfo(&pipe_only, NULL), SIGPIPE);
}
END_TEST

static void
on_tick(void *arg)
{
	(void)arg;
	ticks++;
	event_base_loopbreak(base);
}

START_TEST(t_wallclock)
{
	struct wallclock *w = wallclock_new(base, on_tick, NULL, NULL);

	wallclock_set(w, clock_wall_ms() + 20);
	turn();
	ck_assert_int_eq(ticks, 1);
	wallclock_set(w, clock_wall_ms() - 5000);
	turn();
	ck_assert_int_eq(ticks, 2);
	wallclock_set(w, clock_wall_ms() + 1);
	wallclock_set(w, 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(ticks, 2);
	wallclock_free(w);
}
END_TEST

/* As before Linux 5.3. It cannot be undone, so these come last. */
static void
setup_without_pidfd(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {(unsigned short)NELEMS(filter), filter};

	setup();
	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	ck_assert_int_eq(proc_pidfd(getpid()), -ENOSYS);
}

static void
add_children(TCase *tc)
{
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, t_exit_status);
	tcase_add_test(tc, t_signal_child);
	tcase_add_test(tc, t_many_children);
	tcase_add_test(tc, t_watch_freed);
	tcase_add_test(tc, t_reap);
	tcase_add_test(tc, t_reap_unwatched);
	tcase_add_test(tc, t_stranger);
}

int
main(void)
{
	Suite *s = suite_create("loop");
	TCase *tc = tcase_create("loop"), *without = tcase_create("without pidfd");

	tcase_add_checked_fixture(tc, setup, teardown);
	add_children(tc);
	tcase_add_test(tc, t_signals);
	tcase_add_test(tc, t_wallclock);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(without, setup_without_pidfd, teardown);
	add_children(without);
	suite_add_tcase(s, without);
	return run_suite(s);
}
