/* SPDX-License-Identifier: Apache-2.0 */
/* Starting processes: posix_spawn, or fork and exec where that cannot do the job.
 * Why both: posix_spawn does not copy the page tables of a large agent, but knows neither users nor
 * cgroups nor terminals. Between fork and exec only async-signal-safe calls are made: what needs
 * memory (search path, list of descriptors) is prepared before, in struct plan. */
#include "core/base/proc.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define FDS_MAX 64
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if !__GLIBC_PREREQ(2, 29)
#define NO_SPAWN_CHDIR 1
#endif
#endif

struct plan {
	const struct proc_spec *spec;
	char *const *envp;
	const char *cwd;
	char **paths;	/* what to execute, in the order in which to try */
	int *leaks;	/* open, not close-on-exec, not wanted in the child */
	size_t leak_count;
	bool staged;	/* a source is also a target: copy all out of the way first */
	int above;	/* first number above each source and target */
	bool change_user;
};

static char *const no_env[] = { NULL };

static bool
is_target(const struct proc_spec *s, int fd)
{
	for (size_t i = 0; i < s->fd_count; i++)
		if (s->fds[i].to == fd)
			return true;
	return false;
}

static int
check_fds(const struct proc_spec *s, struct err *e)
{
	if (s->fd_count > FDS_MAX)
		return err_set(e, -EINVAL, "cannot start '%s': more than %d descriptors", s->path,
			       FDS_MAX);
	for (size_t i = 0; i < s->fd_count; i++) {
		if (s->fds[i].to < 0 || fcntl(s->fds[i].from, F_GETFD) < 0)
			return err_set(e, -EBADF, "cannot start '%s': descriptor %d to %d", s->path,
				       s->fds[i].from, s->fds[i].to);
		for (size_t k = 0; k < i; k++)
			if (s->fds[k].to == s->fds[i].to)
				return err_set(e, -EINVAL, "cannot start '%s': descriptor %d twice",
					       s->path, s->fds[i].to);
	}
	return 0;
}

static void
plan_fds(struct plan *p)
{
	const struct proc_spec *s = p->spec;

	p->above = 3;
	for (size_t i = 0; i < s->fd_count; i++) {
		const struct proc_fd *f = &s->fds[i];

		if (is_target(s, f->from))
			p->staged = true;
		if (f->from >= p->above)
			p->above = f->from + 1;
		if (f->to >= p->above)
			p->above = f->to + 1;
	}
}

/* 0 to 2 are never leaks: they are targets, or get /dev/null. */
static void
add_leak(struct plan *p, int fd)
{
	int flags = fd > 2 && !is_target(p->spec, fd) ? fcntl(fd, F_GETFD) : -1;

	if (flags < 0 || (flags & FD_CLOEXEC))
		return;
	/* Older than the limit that we have now: posix_spawn() does not take such a number. */
	if (fd >= sysconf(_SC_OPEN_MAX)) {
		(void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
		return;
	}
	p->leaks = xrealloc(p->leaks, p->leak_count + 1, sizeof(*p->leaks));
	p->leaks[p->leak_count++] = fd;
}

/* Without /proc: all numbers there can be. */
static void
plan_leaks_by_number(struct plan *p)
{
	struct rlimit rl = { 1024, 1024 };

	(void)getrlimit(RLIMIT_NOFILE, &rl);
	for (int fd = 3; fd < INT_MAX && (rlim_t)fd < rl.rlim_cur; fd++)
		add_leak(p, fd);
}

/* Ours are close-on-exec by rule; a library or whoever started us may know no such rule. */
static void
plan_leaks(struct plan *p)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!d) {
		plan_leaks_by_number(p);
		return;
	}
	while ((entry = readdir(d)) != NULL) {
		int64_t fd;

		if (text_to_i64(entry->d_name, 0, INT_MAX, &fd) == 0 && fd != dirfd(d))
			add_leak(p, (int)fd);
	}
	closedir(d);
}

/* Relative entries are left out: what they mean would depend on the folder. */
static void
plan_search(struct plan *p)
{
	const char *path = strv_env_get(p->envp, "PATH");
	autostrv char **dirs = strv_split(path ? path : DEFAULT_PATH, ":");

	for (size_t i = 0; dirs && dirs[i]; i++)
		if (dirs[i][0] == '/')
			strv_addf(&p->paths, "%s/%s", dirs[i], p->spec->path);
}

static void
plan_paths(struct plan *p)
{
	if (p->spec->search && !strchr(p->spec->path, '/'))
		plan_search(p);
	else
		strv_add(&p->paths, p->spec->path);
}

/* An unprivileged process may become who it is: so everything can be tried without root. */
static bool
is_other_user(const struct proc_user *u)
{
	return u && (geteuid() == 0 || u->uid != geteuid() || u->gid != getegid());
}

static int
make_plan(struct plan *p, const struct proc_spec *spec, struct err *e)
{
	int r = check_fds(spec, e);

	*p = (struct plan){ .spec = spec };
	if (r < 0)
		return r;
	if (!spec->search && spec->path[0] != '/')
		return err_set(e, -EINVAL, "cannot start '%s': the path is not absolute",
			       spec->path);
	p->envp = spec->envp ? spec->envp : no_env;
	p->cwd = spec->cwd ? spec->cwd : "/";
	p->change_user = is_other_user(spec->user);
	plan_paths(p);
	plan_fds(p);
	plan_leaks(p);
	return 0;
}

static void
free_plan(struct plan *p)
{
	strv_free(p->paths);
	free(p->leaks);
}

/* ---------------------------------------------------------------- posix_spawn */

static bool
can_spawn(const struct plan *p)
{
#ifdef NO_SPAWN_CHDIR
	return false;
#else
	return !p->change_user && !p->spec->cgroup_procs && !p->spec->controlling_tty &&
		!p->spec->tty;
#endif
}

#ifndef NO_SPAWN_CHDIR
static int
add_fds(const struct plan *p, posix_spawn_file_actions_t *fa)
{
	const struct proc_spec *s = p->spec;
	int n = (int)s->fd_count, r = 0;

	for (int i = 0; p->staged && i < n && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(fa, s->fds[i].from, p->above + i);
	for (int i = 0; i < n && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(
			fa, p->staged ? p->above + i : s->fds[i].from, s->fds[i].to);
	for (int i = 0; p->staged && i < n && r == 0; i++)
		r = posix_spawn_file_actions_addclose(fa, p->above + i);
	for (int fd = 0; fd <= 2 && r == 0; fd++)
		if (!is_target(s, fd))
			r = posix_spawn_file_actions_addopen(fa, fd, "/dev/null", O_RDWR, 0);
	return r;
}

static int
add_actions(const struct plan *p, posix_spawn_file_actions_t *fa)
{
	int r = add_fds(p, fa);

	for (size_t i = 0; i < p->leak_count && r == 0; i++)
		r = posix_spawn_file_actions_addclose(fa, p->leaks[i]);
	return r ? r : posix_spawn_file_actions_addchdir_np(fa, p->cwd);
}

static int
set_attributes(const struct plan *p, posix_spawnattr_t *at)
{
	int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t all, none;

	sigfillset(&all);
	sigemptyset(&none);
	if (p->spec->new_session)
		flags |= POSIX_SPAWN_SETSID;
	else if (p->spec->new_group)
		flags |= POSIX_SPAWN_SETPGROUP;
	(void)posix_spawnattr_setsigmask(at, &none);
	(void)posix_spawnattr_setsigdefault(at, &all);
	(void)posix_spawnattr_setpgroup(at, 0);
	return posix_spawnattr_setflags(at, (short)flags);
}

/* Looked for first, to save a process for each folder of PATH that does not have the program. */
static int
try_spawn(const struct plan *p, const char *path, const posix_spawn_file_actions_t *fa,
	  const posix_spawnattr_t *at, pid_t *ret)
{
	if (access(path, F_OK) < 0)
		return errno;
	return posix_spawn(ret, path, fa, at, p->spec->argv, p->envp);
}

/* As execvp(): go on to the next folder unless the file is there and cannot be run for a reason of
 * its own; "not permitted" is remembered. */
static int
spawn_first(const struct plan *p, const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *at,
	    pid_t *ret)
{
	int best = ENOENT;

	for (size_t i = 0; p->paths && p->paths[i]; i++) {
		int r = try_spawn(p, p->paths[i], fa, at, ret);

		if (r == 0 || (r != ENOENT && r != ENOTDIR && r != EACCES))
			return r;
		if (r == EACCES)
			best = r;
	}
	return best;
}

static pid_t
do_spawn(const struct plan *p)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	pid_t pid = -1;
	int r;

	if (posix_spawn_file_actions_init(&fa) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&at) != 0) {
		(void)posix_spawn_file_actions_destroy(&fa);
		return -ENOMEM;
	}
	r = add_actions(p, &fa);
	if (r == 0)
		r = set_attributes(p, &at);
	if (r == 0)
		r = spawn_first(p, &fa, &at, &pid);
	(void)posix_spawnattr_destroy(&at);
	(void)posix_spawn_file_actions_destroy(&fa);
	return r == 0 ? pid : -r;
}
#else
static pid_t
do_spawn(const struct plan *p)
{
	(void)p;
	return -ENOSYS;
}
#endif

/* ---------------------------------------------------------------- fork and exec: in the child */

enum stage { STAGE_SESSION, STAGE_CGROUP, STAGE_FDS, STAGE_TTY, STAGE_USER, STAGE_CWD, STAGE_EXEC };

static const char *const stage_names[] = {
	"new session", "cgroup", "descriptors", "terminal", "user", "folder", "exec",
};

struct failure {
	int stage;
	int code;
};

static int
child_session(const struct plan *p)
{
	if (p->spec->new_session)
		return setsid() < 0 ? errno : 0;
	return p->spec->new_group && setpgid(0, 0) < 0 ? errno : 0;
}

static int
child_cgroup(const struct plan *p)
{
	int fd, code = 0;

	if (!p->spec->cgroup_procs)
		return 0;
	fd = open(p->spec->cgroup_procs, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, "0", 1) != 1)
		code = errno;
	close(fd);
	return code;
}

/* Those of 0 to 2 that are no target. */
static void
child_null(const struct proc_spec *s)
{
	for (int fd = 0; fd <= 2; fd++) {
		int null;

		if (is_target(s, fd))
			continue;
		close(fd);
		null = open("/dev/null", O_RDWR); /* gets the lowest free number */
		if (null >= 0 && null != fd) {
			(void)dup2(null, fd);
			close(null);
		}
	}
}

static int
child_fds(const struct plan *p)
{
	const struct proc_spec *s = p->spec;
	int source[FDS_MAX];

	for (size_t i = 0; i < s->fd_count; i++) {
		source[i] = s->fds[i].from;
		if (p->staged)
			source[i] = fcntl(source[i], F_DUPFD_CLOEXEC, p->above);
		if (source[i] < 0)
			return errno;
	}
	for (size_t i = 0; i < s->fd_count; i++)
		if (dup2(source[i], s->fds[i].to) < 0)
			return errno;
	child_null(s);
	for (size_t i = 0; i < p->leak_count; i++)
		close(p->leaks[i]);
	return 0;
}

/* System calls, not the C library's functions: those may lock and tell other threads. */
static int
change_user(const struct proc_user *u)
{
#ifdef SYS_setgroups32
	if (syscall(SYS_setgroups32, (size_t)u->group_count, u->groups) < 0 ||
	    syscall(SYS_setresgid32, u->gid, u->gid, u->gid) < 0 ||
	    syscall(SYS_setresuid32, u->uid, u->uid, u->uid) < 0)
		return errno;
#else
	if (syscall(SYS_setgroups, (size_t)u->group_count, u->groups) < 0 ||
	    syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0 ||
	    syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
		return errno;
#endif
	return 0;
}

static int
child_user(const struct plan *p)
{
	return p->change_user ? change_user(p->spec->user) : 0;
}

/* Programs open their terminal by its name: it has to be the user's. */
static int
child_tty(const struct plan *p)
{
	const struct proc_spec *s = p->spec;
	int fd, code = 0;

	if (s->controlling_tty)
		return ioctl(0, TIOCSCTTY, 0) < 0 ? errno : 0;
	if (!s->tty)
		return 0;
	fd = open(s->tty, O_RDWR); /* above 2: those are taken */
	if (fd < 0)
		return errno;
	if (ioctl(fd, TIOCSCTTY, 0) < 0)
		code = errno;
	if (code == 0 && p->change_user && fchown(fd, s->user->uid, (gid_t)-1) < 0)
		code = errno;
	for (int to = 0; to <= 2 && code == 0; to++)
		if (!is_target(s, to) && dup2(fd, to) < 0)
			code = errno;
	close(fd);
	return code;
}

int
proc_become(const struct proc_user *u, struct err *e)
{
	int code = change_user(u);

	return code ? err_set(e, -code, "cannot become user '%s' (uid %u): %s", u->name,
			      (unsigned)u->uid, strerror(code))
		    : 0;
}

static int
child_exec(const struct plan *p)
{
	int best = ENOENT;

	for (size_t i = 0; p->paths && p->paths[i]; i++) {
		execve(p->paths[i], p->spec->argv, p->envp);
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return errno;
		if (errno == EACCES)
			best = EACCES;
	}
	return best;
}

/* The folder is entered as the user: root may not be allowed into a home on a network. */
static struct failure
child_steps(const struct plan *p)
{
	struct failure f = { STAGE_SESSION, child_session(p) };

	if (f.code == 0)
		f = (struct failure){ STAGE_CGROUP, child_cgroup(p) };
	if (f.code == 0)
		f = (struct failure){ STAGE_FDS, child_fds(p) };
	if (f.code == 0)
		f = (struct failure){ STAGE_TTY, child_tty(p) };
	if (f.code == 0)
		f = (struct failure){ STAGE_USER, child_user(p) };
	if (f.code == 0)
		f = (struct failure){ STAGE_CWD, chdir(p->cwd) < 0 ? errno : 0 };
	if (f.code == 0)
		f = (struct failure){ STAGE_EXEC, child_exec(p) };
	return f;
}

__attribute__((noreturn)) static void
child_main(const struct plan *p, int report)
{
	struct failure f;

	proc_reset_signals();
	f = child_steps(p);
	/* Smaller than PIPE_BUF: whole or not at all. */
	if (write(report, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

/* ---------------------------------------------------------------- fork and exec: in the parent */

/* A pipe whose writing end is above all numbers that the child will fill. */
static int
report_pipe(const struct plan *p, int ret[2])
{
	int raw[2], high;

	if (pipe2(raw, O_CLOEXEC) < 0)
		return -errno;
	high = fcntl(raw[1], F_DUPFD_CLOEXEC, p->above);
	if (high < 0) {
		int code = errno;

		close(raw[0]);
		close(raw[1]);
		return -code;
	}
	close(raw[1]);
	ret[0] = raw[0];
	ret[1] = high;
	return 0;
}

/* Signals wait until the child has the default handlers: ours must not run in it. */
static pid_t
fork_blocked(const struct plan *p, int report)
{
	sigset_t all, old;
	pid_t pid;
	int code;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, &old) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		child_main(p, report);
	code = errno;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return pid < 0 ? -code : pid;
}

static void
reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* False: the pipe closed without a word, so exec succeeded. */
static bool
read_failure(int fd, struct failure *f)
{
	ssize_t n;

	do
		n = read(fd, f, sizeof(*f));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*f);
}

static pid_t
do_fork(const struct plan *p, const char **ret_stage)
{
	struct failure f = { 0, 0 };
	int pipe_fds[2] = { -1, -1 }, r = report_pipe(p, pipe_fds);
	pid_t pid;
	bool failed;

	if (r < 0)
		return r;
	pid = fork_blocked(p, pipe_fds[1]);
	close(pipe_fds[1]);
	failed = pid > 0 && read_failure(pipe_fds[0], &f);
	close(pipe_fds[0]);
	if (!failed)
		return pid;
	reap(pid);
	*ret_stage = f.stage < STAGE_EXEC ? stage_names[f.stage] : NULL;
	return -f.code;
}

/* posix_spawn names no step; and "no such file" may mean the folder or a script's interpreter. */
static pid_t
not_started(const struct plan *p, int code, const char *stage, struct err *e)
{
	const char *path = p->spec->path, *why = strerror(-code);
	struct stat st;

	if (stage && strcmp(stage, "folder") != 0)
		return err_set(e, code, "cannot start '%s': %s: %s", path, stage, why);
	if (stage || stat(p->cwd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, code, "cannot start '%s' in folder '%s': %s", path, p->cwd, why);
	if (code == -ENOENT && p->spec->search && !strchr(path, '/'))
		return err_set(e, code, "cannot start '%s': it is in no folder of PATH", path);
	if (code == -ENOENT && stat(path, &st) == 0)
		return err_set(e, code, "cannot start '%s': its interpreter is missing", path);
	return err_set(e, code, "cannot start '%s': %s", path, why);
}

pid_t
proc_spawn(const struct proc_spec *spec, struct err *e)
{
	struct plan p;
	const char *stage = NULL;
	pid_t pid;

	assert(spec->path && spec->argv);
	pid = make_plan(&p, spec, e);
	if (pid == 0) {
		pid = can_spawn(&p) ? do_spawn(&p) : do_fork(&p, &stage);
		if (pid < 0)
			pid = not_started(&p, pid, stage, e);
	}
	free_plan(&p);
	return pid;
}

void
proc_reset_signals(void)
{
	sigset_t none;

	/* KILL, STOP and those the C library keeps for itself refuse, rightly. */
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}
