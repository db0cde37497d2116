/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/proc.c. Each start is tried by posix_spawn and by fork and exec. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "tests/unit/suite.h"

#define SH "/bin/sh"

/* Literals are const, what exec takes is not. */
#define LIST(...) ((char *const *)(const char *const[]){ __VA_ARGS__, NULL })

static const char *const plain_vars[] = { "PATH=/usr/local/bin:/usr/bin:/bin", NULL };
#define plain_env ((char *const *)plain_vars)

/* A "cgroup" that is an ordinary file forces the fork. */
static char dir[64];
static char *cgroup;

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");

	ck_assert_uint_lt(snprintf(dir, sizeof(dir), "%s/t_proc.XXXXXX", tmp ? tmp : "/tmp"),
			  sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	cgroup = xasprintf("%s/cgroup.procs", dir);
	ck_assert_int_eq(fs_write_atomic(AT_FDCWD, cgroup, "", 0, 0600, false, NULL), 0);
}

static void
teardown(void)
{
	free(cgroup);
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, dir, NULL), 0);
}

static void
force_fork(struct proc_spec *s, int forked)
{
	s->cgroup_procs = forked ? cgroup : NULL;
}

static int
wait_status(pid_t pid)
{
	int status = -1;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* What a shell script wrote to fd 1, given the rest of the spec. */
static char *
output_of(struct proc_spec spec, const char *script)
{
	autosbuf struct sbuf b = SBUF_INIT(1u << 20);
	struct proc_fd fds[8] = { { 0, 0 } };
	char *const *argv = LIST("sh", "-c", script);
	struct err e = { 0, "" };
	int p[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ck_assert_uint_lt(spec.fd_count, 7);
	if (spec.fd_count > 0)
		memcpy(fds, spec.fds, spec.fd_count * sizeof(*fds));
	fds[spec.fd_count++] = (struct proc_fd){ p[1], 1 };
	spec.fds = fds;
	spec.path = SH;
	spec.argv = argv;
	spec.envp = spec.envp ? spec.envp : plain_env;
	pid = proc_spawn(&spec, &e);
	ck_assert_msg(pid > 0, "%s", e.text);
	close(p[1]);
	while (sbuf_read(&b, p[0], 4096) > 0)
		;
	close(p[0]);
	ck_assert_int_eq(wait_status(pid), 0);
	return sbuf_take(&b, NULL);
}

START_TEST(test_environment_and_folder)
{
	char *const *env = LIST("A=1", "B=x y");
	struct proc_spec s = { .envp = env };
	autofree char *out = NULL, *in_dir = NULL, *want = xasprintf("%s\n", dir);

	force_fork(&s, _i);
	out = output_of(s, "echo $A $B; pwd");
	ck_assert_str_eq(out, "1 x y\n/\n");
	s.cwd = dir;
	in_dir = output_of(s, "pwd -P");
	ck_assert_str_eq(in_dir, want);
}
END_TEST

START_TEST(test_exit_status)
{
	char *const *argv = LIST("sh", "-c", "exit 7");
	struct proc_spec s = { .path = SH, .argv = argv };
	pid_t pid;
	int status;

	force_fork(&s, _i);
	pid = proc_spawn(&s, NULL);
	ck_assert_int_gt(pid, 0);
	status = wait_status(pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 7);
}
END_TEST

static unsigned long long
signals_in(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	ck_assert_ptr_nonnull(at);
	/* 32 and 33 are the C library's own; its posix_spawn leaves them ignored. */
	return strtoull(at + strlen(name), NULL, 16) & ~0x180000000ull;
}

/* Mask and ignored signals of ours must not reach the child. */
START_TEST(test_signals)
{
	struct proc_spec s = { 0 };
	autofree char *out = NULL;
	sigset_t all, after;

	force_fork(&s, _i);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	out = output_of(s, "exec cat /proc/self/status");
	ck_assert_uint_eq(signals_in(out, "SigBlk:"), 0);
	ck_assert_uint_eq(signals_in(out, "SigIgn:"), 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(sigismember(&after, SIGTERM), 1);
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}
END_TEST

START_TEST(test_session_and_group)
{
	char *const *argv = LIST("sleep", "60");
	struct proc_spec s = { .path = "sleep", .search = true, .argv = argv, .envp = plain_env };
	pid_t pid;

	force_fork(&s, _i);
	s.new_session = true;
	s.new_group = true;
	pid = proc_spawn(&s, NULL);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(getsid(pid), pid);
	ck_assert_int_eq(getpgid(pid), pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	wait_status(pid);
	s.new_session = false;
	pid = proc_spawn(&s, NULL);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(getsid(pid), getsid(0));
	ck_assert_int_eq(getpgid(pid), pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	wait_status(pid);
}
END_TEST

static int
file_with(const char *text)
{
	autofree char *path = xasprintf("%s/%s", dir, text);
	int fd;

	ck_assert_int_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, false, NULL), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Sources that are each other's targets, one that is its own, and one above all. */
START_TEST(test_descriptors_cross)
{
	int a = file_with("a"), b = file_with("b"), c = file_with("c"), d = file_with("d");
	struct proc_fd fds[] = { { a, 5 }, { b, 6 }, { c, 7 }, { d, 4 } };
	struct proc_spec s = { .fds = fds, .fd_count = 4 };
	autofree char *out = NULL;

	force_fork(&s, _i);
	/* Fixed numbers, so that the maps below cross for sure. */
	ck_assert_int_eq(dup3(a, 40, O_CLOEXEC), 40);
	ck_assert_int_eq(dup3(b, 41, O_CLOEXEC), 41);
	ck_assert_int_eq(dup3(c, 42, O_CLOEXEC), 42);
	ck_assert_int_eq(dup3(d, 43, O_CLOEXEC), 43);
	fds[0] = (struct proc_fd){ 40, 41 };
	fds[1] = (struct proc_fd){ 41, 40 };
	fds[2] = (struct proc_fd){ 42, 42 };
	fds[3] = (struct proc_fd){ 43, 9 };
	out = output_of(s, "for f in 41 40 42 9; do cat /proc/self/fd/$f; done");
	ck_assert_str_eq(out, "abcd");
	close(a);
	close(b);
	close(c);
	close(d);
	for (int fd = 40; fd < 44; fd++)
		close(fd);
}
END_TEST

/* One source for two targets, and ours stay as they were. */
START_TEST(test_descriptors_share)
{
	int a = file_with("a");
	struct proc_fd fds[] = { { a, 0 }, { a, 9 } };
	struct proc_spec s = { .fds = fds, .fd_count = 2 };
	autofree char *out = NULL;

	force_fork(&s, _i);
	out = output_of(s, "cat; cat /proc/self/fd/9");
	ck_assert_str_eq(out, "aa");
	ck_assert_int_eq(fcntl(a, F_GETFD), FD_CLOEXEC);
	close(a);
}
END_TEST

/* Nothing else is open in the child: 0 and 2 are /dev/null, 3 belongs to ls. */
START_TEST(test_nothing_leaks)
{
	struct proc_spec s = { 0 };
	autofree char *out = NULL;
	int leak = open("/dev/zero", O_RDONLY);	 /* not close-on-exec, on purpose */
	int high = fcntl(leak, F_DUPFD, 200);

	force_fork(&s, _i);
	ck_assert_int_ge(high, 200);
	out = output_of(s, "readlink /proc/self/fd/0 /proc/self/fd/2; exec ls /proc/self/fd");
	ck_assert_str_eq(out, "/dev/null\n/dev/null\n0\n1\n2\n3\n");
	close(leak);
	close(high);
}
END_TEST

/* Opened when more was allowed. */
START_TEST(test_above_the_limit)
{
	const struct rlimit few = { 64, 64 };
	struct proc_spec s = { 0 };
	autofree char *out = NULL;
	int leak = open("/dev/zero", O_RDONLY);
	int high = fcntl(leak, F_DUPFD, 200);

	force_fork(&s, _i);
	ck_assert_int_ge(high, 200);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	out = output_of(s, "exec ls /proc/self/fd");
	ck_assert_str_eq(out, "0\n1\n2\n3\n");
	close(leak);
	close(high);
}
END_TEST

static void
fails(struct proc_spec s, int forked, int code, const char *text)
{
	char *const *argv = LIST("x");
	struct err e = { 0, "" };

	force_fork(&s, forked);
	s.argv = argv;
	ck_assert_int_eq(proc_spawn(&s, &e), code);
	ck_assert_int_eq(e.code, code);
	ck_assert_msg(strstr(e.text, text) != NULL, "'%s' is not in '%s'", text, e.text);
	/* No zombie is left. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

static const char *
script_file(const char *name, const char *text, mode_t mode)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), mode, false, NULL), 0);
	return path;
}

START_TEST(test_failures)
{
	struct proc_fd bad = { 999, 1 };
	struct proc_fd twice[] = { { 0, 1 }, { 2, 1 } };
	struct proc_spec s = { .path = "/nonexistent/program" };

	fails(s, _i, -ENOENT, "'/nonexistent/program': No such file");
	s.path = "relative";
	fails(s, _i, -EINVAL, "not absolute");
	s.search = true;
	s.envp = plain_env;
	s.path = "no-such-program-anywhere";
	fails(s, _i, -ENOENT, "in no folder of PATH");
	s = (struct proc_spec){ .path = SH, .cwd = "/nonexistent" };
	fails(s, _i, -ENOENT, "in folder '/nonexistent'");
	s = (struct proc_spec){ .path = SH, .fds = &bad, .fd_count = 1 };
	fails(s, _i, -EBADF, "descriptor 999 to 1");
	s = (struct proc_spec){ .path = SH, .fds = twice, .fd_count = 2 };
	fails(s, _i, -EINVAL, "twice");
	s = (struct proc_spec){ .path = script_file("plain", "x", 0600) };
	fails(s, _i, -EACCES, "Permission denied");
	s.path = script_file("lost", "#!/nonexistent/interpreter\n", 0700);
	fails(s, _i, -ENOENT, "interpreter");
	s.path = script_file("format", "\1\2\3", 0700);
	fails(s, _i, -ENOEXEC, "format");
}
END_TEST

START_TEST(test_fork_failures)
{
	struct proc_spec s = { .path = SH };

	free(cgroup);
	cgroup = xasprintf("%s/none/cgroup.procs", dir);
	fails(s, 1, -ENOENT, "cgroup");
	s.controlling_tty = true;
	s.new_session = true;
	fails(s, 0, -ENOTTY, "terminal");
}
END_TEST

START_TEST(test_search)
{
	autofree char *path = xasprintf("PATH=relative:%s:/usr/bin:/bin", dir);
	autofree char *first = xasprintf("%s/sh-in-path", dir);
	char *const *env = LIST(path);
	char *const *argv = LIST("x");
	struct proc_spec s = { .path = "sh-in-path", .search = true, .envp = env, .argv = argv };
	pid_t pid;

	force_fork(&s, _i);
	script_file("sh-in-path", "#!/bin/sh\nexit 3\n", 0700);
	pid = proc_spawn(&s, NULL);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(WEXITSTATUS(wait_status(pid)), 3);
	/* There, but not to be executed, and nothing better elsewhere. */
	ck_assert_int_eq(chmod(first, 0600), 0);
	ck_assert_int_eq(proc_spawn(&s, NULL), -EACCES);
	/* A name with a slash is taken as it is. */
	ck_assert_int_eq(chmod(first, 0700), 0);
	s.path = first;
	pid = proc_spawn(&s, NULL);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(WEXITSTATUS(wait_status(pid)), 3);
}
END_TEST

START_TEST(test_cgroup_gets_a_zero)
{
	char *const *argv = LIST("true");
	struct proc_spec s = { .path = "true", .search = true, .argv = argv };
	autofree char *text = NULL;
	pid_t pid;

	force_fork(&s, 1);
	pid = proc_spawn(&s, NULL);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(wait_status(pid), 0);
	ck_assert_int_eq(fs_read(AT_FDCWD, cgroup, 10, &text, NULL, NULL), 0);
	ck_assert_str_eq(text, "0");
}
END_TEST

START_TEST(test_terminal)
{
	struct proc_fd fds[1];
	struct proc_spec s = { .new_session = true, .controlling_tty = true };
	autofree char *out = NULL, *want = NULL;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(slave, 0);
	want = xasprintf("%s\nyes\n", ptsname(master));
	fds[0] = (struct proc_fd){ slave, 0 };
	s.fds = fds;
	s.fd_count = 1;
	out = output_of(s, "tty; : </dev/tty && echo yes");
	ck_assert_str_eq(out, want);
	close(slave);
	close(master);
}
END_TEST

START_TEST(test_own_terminal)
{
	struct proc_spec s = { .path = SH, .new_session = true };
	autofree char *out = NULL, *want = NULL;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(unlockpt(master), 0);
	want = xasprintf("%s\nyes\n", ptsname(master));
	s.tty = ptsname(master);
	out = output_of(s, "tty; : </dev/tty && test -t 2 && echo yes");
	ck_assert_str_eq(out, want);
	close(master);
	s.tty = "/nonexistent";
	fails(s, 0, -ENOENT, "terminal");
	s.tty = "/dev/null";
	fails(s, 0, -ENOTTY, "terminal");
}
END_TEST

START_TEST(test_user)
{
	struct passwd *pw = getpwuid(geteuid());
	struct proc_user me;
	struct proc_spec s = { .user = &me };
	struct err e = { 0, "" };
	autofree char *out = NULL, *want = xasprintf("%u\n%u\n", geteuid(), getegid());

	ck_assert_ptr_nonnull(pw);
	ck_assert_msg(proc_lookup_user(pw->pw_name, &me, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(me.uid, geteuid());
	ck_assert_str_eq(me.home, pw->pw_dir);
	ck_assert_int_ge(me.group_count, 1);
	me.gid = getegid();
	out = output_of(s, "id -u; id -g");
	ck_assert_str_eq(out, want);
	ck_assert_int_eq(proc_lookup_user("no such\nuser", &me, &e), -ENOENT);
	ck_assert_str_eq(e.text, "there is no user 'no such\\nuser'");
}
END_TEST

/* As root the change happens; without privilege it is refused. */
START_TEST(test_other_user)
{
	struct proc_user nobody;
	struct proc_spec s = { .user = &nobody };
	struct err e = { 0, "" };

	ck_assert_int_eq(proc_lookup_user(geteuid() ? "root" : "nobody", &nobody, &e), 0);
	if (geteuid() == 0) {
		autofree char *out = output_of(s, "id -u; id -g; id -G");
		autofree char *want = xasprintf("%u\n%u\n%u\n", nobody.uid, nobody.gid,
						nobody.groups[0]);

		ck_assert_str_eq(out, want);
	} else {
		s.path = SH;
		fails(s, 0, -EPERM, "user");
	}
}
END_TEST

START_TEST(test_identity)
{
	char *const *argv = LIST("sleep", "60");
	struct proc_spec s = { .path = "sleep", .search = true, .argv = argv };
	struct proc_id id, other;
	pid_t pid = proc_spawn(&s, NULL);

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(proc_identify(pid, &id), 0);
	ck_assert_int_eq(id.pid, pid);
	ck_assert_uint_gt(id.start, 0);
	ck_assert_uint_eq(strlen(id.boot), 36);
	ck_assert_str_eq(id.boot, proc_boot_id());
	ck_assert(proc_alive(&id));
	ck_assert_int_eq(proc_signal(&id, 0), 0);

	other = id;
	other.start++;
	ck_assert(!proc_alive(&other));
	ck_assert_int_eq(proc_signal(&other, SIGKILL), -ESRCH);
	other = id;
	other.boot[0] = 'x';
	ck_assert(!proc_alive(&other));
	ck_assert_int_eq(proc_signal(&other, SIGKILL), -ESRCH);

	ck_assert(proc_alive(&id));
	ck_assert_int_eq(proc_signal(&id, SIGTERM), 0);
	ck_assert_int_eq(WTERMSIG(wait_status(pid)), SIGTERM);
	ck_assert(!proc_alive(&id));
	ck_assert_int_eq(proc_signal(&id, SIGTERM), -ESRCH);
}
END_TEST

START_TEST(test_zombie_is_not_alive)
{
	char *const *argv = LIST("true");
	struct proc_spec s = { .path = "true", .search = true, .argv = argv };
	struct proc_id id = { .pid = 0 };
	siginfo_t info;
	pid_t pid = proc_spawn(&s, NULL);

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(proc_identify(pid, &id), -ESRCH);
	wait_status(pid);
	ck_assert_int_eq(proc_identify(0, &id), -ESRCH);
	ck_assert_int_eq(proc_identify(-1, &id), -ESRCH);
	ck_assert_int_eq(proc_signal(&id, SIGTERM), -ESRCH);
}
END_TEST

/* The start time is found behind a name that looks like more fields. */
START_TEST(test_strange_name)
{
	autofree char *path = xasprintf("%s/x) S 1 2", dir);
	char *const *argv = LIST("x");
	struct proc_spec s = { .path = path, .argv = argv, .envp = plain_env };
	struct proc_id id;
	autofree char *stat_path = NULL, *text = NULL, *start = NULL;
	pid_t pid;

	script_file("x) S 1 2", "#!/bin/sh\nkill -STOP $$\n", 0700);
	pid = proc_spawn(&s, NULL);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(proc_identify(pid, &id), 0);
	stat_path = xasprintf("/proc/%d/stat", pid);
	ck_assert_int_eq(fs_read(AT_FDCWD, stat_path, 4096, &text, NULL, NULL), 0);
	ck_assert_ptr_nonnull(strstr(text, "(x) S 1 2)"));
	start = xasprintf(" %llu ", (unsigned long long)id.start);
	ck_assert_ptr_nonnull(strstr(text, start));
	ck_assert(proc_alive(&id));
	kill(pid, SIGKILL);
	wait_status(pid);
}
END_TEST

START_TEST(test_pidfd)
{
	int fd = proc_pidfd(getpid());

	/* Linux before 5.3, or a filter: said so, and nothing else. */
	ck_assert(fd >= 0 || fd == -ENOSYS);
	if (fd >= 0) {
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		close(fd);
	}
}
END_TEST

START_TEST(test_reset_signals)
{
	struct sigaction sa;
	sigset_t set;

	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	proc_reset_signals();
	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &sa), 0);
	ck_assert(sa.sa_handler == SIG_DFL);
	sigprocmask(SIG_BLOCK, NULL, &set);
	ck_assert_int_eq(sigismember(&set, SIGTERM), 0);
}
END_TEST

static void
add_spawn_tests(TCase *t)
{
	tcase_add_loop_test(t, test_environment_and_folder, 0, 2);
	tcase_add_loop_test(t, test_exit_status, 0, 2);
	tcase_add_loop_test(t, test_signals, 0, 2);
	tcase_add_loop_test(t, test_session_and_group, 0, 2);
	tcase_add_loop_test(t, test_descriptors_cross, 0, 2);
	tcase_add_loop_test(t, test_descriptors_share, 0, 2);
	tcase_add_loop_test(t, test_nothing_leaks, 0, 2);
	tcase_add_loop_test(t, test_above_the_limit, 0, 2);
	tcase_add_test(t, test_fork_failures);
	tcase_add_test(t, test_cgroup_gets_a_zero);
	tcase_add_test(t, test_terminal);
	tcase_add_test(t, test_own_terminal);
	tcase_add_test(t, test_user);
	tcase_add_test(t, test_other_user);
}

int
main(void)
{
	Suite *s = suite_create("proc");
	TCase *t = tcase_create("proc");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	add_spawn_tests(t);
	tcase_add_test(t, test_identity);
	tcase_add_test(t, test_zombie_is_not_alive);
	tcase_add_test(t, test_strange_name);
	tcase_add_test(t, test_pidfd);
	tcase_add_test(t, test_reset_signals);
	suite_add_tcase(s, t);
	/* Under valgrind a vfork is a fork, which cannot tell that exec failed. */
	t = tcase_create("errors of exec");
	tcase_set_tags(t, "vfork");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_failures, 0, 2);
	tcase_add_loop_test(t, test_search, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s);
}
