/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/cgroup.c and contain.c: a tree of files that looks like cgroup v2, a
 * real group where this machine lets us make one (else: why it does not), and processes that try to
 * get away. DESIGN section 2, spec/07 F30, F44. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/agent/cgroup.h"
#include "core/agent/hostproc.h"
#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "tests/unit/suite.h"

#define PATIENCE_MS 30000

static struct event_base *base;
static char *folder, *id;
static pid_t host;

static void
setup(void)
{
	char name[] = "/tmp/t_contain.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(name));
	folder = xstrdup(name);
	/* The id is the mark: of this process alone. */
	id = xasprintf("t_contain.%ld", (long)getpid());
	base = event_base_new();
}

static void
teardown(void)
{
	if (host > 0) {
		kill(host, SIGKILL);
		waitpid(host, NULL, 0);
	}
	host = 0;
	event_base_free(base);
	(void)fs_remove_tree(AT_FDCWD, folder, NULL);
	free(folder);
	free(id);
}

static void
put(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	int fd;

	for (char *p = strchr(path + strlen(folder) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static char *
get(const char *name)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	char *text = NULL;

	(void)fs_read(AT_FDCWD, path, 4096, &text, NULL, NULL);
	return text;
}

static bool
is_there(const char *name)
{
	autofree char *path = xasprintf("%s/%s", folder, name);

	return access(path, F_OK) == 0;
}

/* /proc of a process in group OURS, version 2 mounted at FOLDER/MOUNT with ROOT as its root. */
static struct cgroup *
fake(const char *root, const char *mount, const char *ours, struct err *e)
{
	autofree char *proc = xasprintf("%s/proc", folder);
	autofree char *mounts = xasprintf(
		"30 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
		"31 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
		"40 30 0:37 %s %s/%s rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw\n",
		root, folder, mount);
	autofree char *own = xasprintf("2:cpu:/elsewhere\n%s", ours);

	put("proc/self/mountinfo", mounts);
	put("proc/self/cgroup", own);
	return cgroup_open(proc, e);
}

/* ------------------------------------------------------------ our own */

static const struct {
	const char *root, *mount, *ours, *want;
} places[] = {
	{ "/", "v2", "0::/\n", "v2" },
	{ "/box", "v2", "0::/box\n", "v2" },
	{ "/box", "a\\040b", "0::/box\n", "a b" },
};

START_TEST(test_place)
{
	autofree char *file = xasprintf("%s/cgroup.procs", places[_i].want);
	autofree char *want = xasprintf("%s/%s", folder, places[_i].want);
	struct err e = { 0, "" };
	struct cgroup *c;

	put(file, "");
	c = fake(places[_i].root, places[_i].mount, places[_i].ours, &e);
	/* Below its root, what the manager gave away bears a mark. */
	if (geteuid() == 0 && strcmp(places[_i].ours, "0::/\n") != 0) {
		ck_assert_ptr_null(c);
		ck_assert_ptr_nonnull(strstr(err_text(&e), "was not delegated"));
		if (setxattr(want, "trusted.delegate", "1", 1, 0) < 0)
			return;
		c = fake(places[_i].root, places[_i].mount, places[_i].ours, &e);
	}
	ck_assert_msg(c != NULL, "%s", err_text(&e));
	ck_assert_str_eq(cgroup_path(c), want);
	cgroup_free(c);
}
END_TEST

static const struct {
	const char *root, *mount, *ours, *why;
} nowhere[] = {
	{ "/", "v2", "3:x:/\n", "no group of version 2" },
	{ "/", "v2", "", "no group of version 2" },
	{ "/other", "v2", "0::/box\n", "no mount of version 2" },
	{ "/box", "v2", "0::/boxes\n", "no mount of version 2" },
	{ "/", "missing", "0::/\n", "missing" },
	{ "/", "v2", "0::/missing\n", "missing" },
};

START_TEST(test_nowhere)
{
	struct err e = { 0, "" };

	put("v2/cgroup.procs", "");
	ck_assert_ptr_null(
		fake(nowhere[_i].root, nowhere[_i].mount, nowhere[_i].ours, &e));
	ck_assert_msg(strstr(err_text(&e), nowhere[_i].why) != NULL, "%s", err_text(&e));
}
END_TEST

static struct cgroup *
usual(void)
{
	struct err e = { 0, "" };
	struct cgroup *c;

	put("v2/cgroup.procs", "");
	put("v2/cgroup.subtree_control", "");
	c = fake("/", "v2", "0::/\n", &e);
	ck_assert_msg(c != NULL, "%s", err_text(&e));
	return c;
}

START_TEST(test_bad_ids)
{
	static const char *const ids[] = {
		"", ".", "..", "../x", "a/b", "/a", "a/", "a/0", "a/-1", "a/1/2", "a/../b", "a b",
	};
	struct cgroup *c = usual();
	struct err e = { 0, "" };

	ck_assert_int_lt(cgroup_make(c, ids[_i], &e), 0);
	ck_assert_int_lt(cgroup_enter(c, ids[_i], getpid(), &e), 0);
	ck_assert_ptr_null(cgroup_command_procs(c, ids[_i]));
	ck_assert_int_eq(cgroup_kill(c, ids[_i]), 0);
	cgroup_remove(c, ids[_i]);
	ck_assert(is_there("v2/cgroup.procs"));
	cgroup_free(c);
}
END_TEST

static pid_t
sleeper(void)
{
	char name[] = "sleep", time[] = "600";
	char *const argv[] = { name, time, NULL };
	const struct proc_spec spec = { .path = "/bin/sleep", .argv = argv };

	return proc_spawn(&spec, NULL);
}

static void
put_pid(const char *name, pid_t pid)
{
	autofree char *text = xasprintf("%ld\n", (long)pid);

	put(name, text);
}

static bool
ends(pid_t pid)
{
	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

/* Before Linux 5.14: frozen, killed one by one, thawed; groups that a command made, too. */
START_TEST(test_kill_one_by_one)
{
	struct cgroup *c = usual();
	pid_t a = sleeper(), b = sleeper(), step = sleeper(), other = sleeper();
	autofree char *procs = NULL, *entered = NULL, *control = NULL, *frozen = NULL;

	ck_assert_int_eq(cgroup_make(c, "j", NULL), 0);
	ck_assert_int_eq(cgroup_make(c, "j", NULL), 0); /* once more after a restart */
	ck_assert_int_eq(cgroup_make(c, "j/3", NULL), 0);
	procs = cgroup_command_procs(c, "j/3");
	ck_assert_ptr_nonnull(strstr(procs, "/v2/job-j/cmd-3/cgroup.procs"));
	put("v2/job-j/host/cgroup.procs", "");
	ck_assert_int_eq(cgroup_enter(c, "j", a, NULL), 0);
	entered = get("v2/job-j/host/cgroup.procs");
	ck_assert_int_eq(strtol(entered, NULL, 10), a);
	put("v2/job-j/cgroup.freeze", "");
	put_pid("v2/job-j/cmd/own/deeper/cgroup.procs", b);
	put_pid("v2/job-j/cmd-3/cgroup.procs", step);
	put_pid("v2/job-other/cmd/cgroup.procs", other);
	(void)cgroup_kill(c, "j/3");
	ck_assert(ends(step));
	ck_assert_int_eq(waitpid(a, NULL, WNOHANG) + waitpid(b, NULL, WNOHANG), 0);
	(void)cgroup_kill(c, "j");
	ck_assert(ends(a) && ends(b));
	ck_assert_int_eq(cgroup_kill(c, "j"), 0);
	ck_assert_int_eq(waitpid(other, NULL, WNOHANG), 0);
	frozen = get("v2/job-j/cgroup.freeze");
	ck_assert_int_eq(frozen[0], '0');
	control = get("v2/cgroup.subtree_control");
	ck_assert_str_eq(control, "");
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	cgroup_free(c);
}
END_TEST

START_TEST(test_kill_file)
{
	struct cgroup *c = usual();
	autofree char *text = NULL;

	ck_assert_int_eq(cgroup_make(c, "j", NULL), 0);
	put("v2/job-j/cgroup.kill", "");
	ck_assert_int_eq(cgroup_kill(c, "j"), 0);
	text = get("v2/job-j/cgroup.kill");
	ck_assert_str_eq(text, "1");
	cgroup_free(c);
}
END_TEST

START_TEST(test_remove)
{
	struct cgroup *c = usual();

	ck_assert_int_eq(cgroup_make(c, "j", NULL), 0);
	ck_assert_int_eq(cgroup_make(c, "j/1", NULL), 0);
	put("v2/job-j/cmd/held", "");
	cgroup_remove(c, "j/1");
	ck_assert(!is_there("v2/job-j/host-1") && !is_there("v2/job-j/cmd-1"));
	cgroup_remove(c, "j");
	ck_assert(is_there("v2/job-j/cmd") && !is_there("v2/job-j/host"));
	/* Later, when whoever held it is gone. */
	{
		autofree char *held = xasprintf("%s/v2/job-j/cmd/held", folder);

		ck_assert_int_eq(unlink(held), 0);
	}
	cgroup_tidy(c);
	ck_assert(!is_there("v2/job-j"));
	cgroup_free(c);
}
END_TEST

static bool
is_known(void *arg, const char *name)
{
	const char *const *known = arg;

	return strcmp(name, *known) == 0;
}

/* Groups of an agent that never came back; not of one that has just made them. */
START_TEST(test_sweep)
{
	static const char *const kept[] = { "job-known", "job-held", "job-late", "other", "job-" };
	const char *known = "known";
	struct cgroup *c = usual();
	struct cgroup_sweep *s;
	const struct timeval turn = { 0, 200000 };
	pid_t pid = sleeper();

	ck_assert_ptr_null(cgroup_list_empty(c));
	ck_assert_int_eq(cgroup_make(c, "left", NULL), 0);
	ck_assert_int_eq(cgroup_make(c, "left/2", NULL), 0);
	ck_assert_int_eq(cgroup_make(c, "known", NULL), 0);
	ck_assert_int_eq(cgroup_make(c, "taken", NULL), 0);
	put_pid("v2/job-held/cmd/deeper/cgroup.procs", pid);
	put("v2/other/x", "");
	put("v2/job-/x", "");
	s = cgroup_sweep_start(base, c, 100, is_known, &known);
	ck_assert_int_eq(cgroup_make(c, "late", NULL), 0);
	put_pid("v2/job-taken/host/cgroup.procs", pid); /* not empty for good */
	ck_assert(is_there("v2/job-left/cmd-2"));
	event_base_loopexit(base, &turn);
	event_base_dispatch(base);
	ck_assert(!is_there("v2/job-left"));
	ck_assert(is_there("v2/job-taken/cmd"));
	for (size_t i = 0; i < NELEMS(kept); i++) {
		autofree char *path = xasprintf("v2/%s", kept[i]);

		ck_assert(is_there(path));
	}
	ck_assert(is_there("v2/job-held/cmd/deeper") && is_there("v2/job-late/host"));
	cgroup_sweep_free(s);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cgroup_free(c);
}
END_TEST

/* A link where a group should be is not followed. */
START_TEST(test_link)
{
	struct cgroup *c = usual();
	autofree char *to = xasprintf("%s/outside", folder);
	autofree char *from = xasprintf("%s/v2/job-j", folder);

	put("outside/cgroup.kill", "");
	ck_assert_int_eq(symlink(to, from), 0);
	ck_assert_int_lt(cgroup_make(c, "j", NULL), 0);
	ck_assert_int_eq(cgroup_kill(c, "j"), 0);
	ck_assert(!is_there("outside/host"));
	cgroup_free(c);
}
END_TEST

/* -------------------------------------------------------------- contain */

static int left = -1;

static void
on_contained(void *arg, int n)
{
	(void)arg;
	left = n;
	event_base_loopbreak(base);
}

static size_t
marked(void)
{
	autofree char *command = xasprintf("SSM_JOB=%s", id);
	size_t n = 0;

	for (pid_t pid = 2; pid < 4194304; pid++) {
		char path[64], env[65536];
		ssize_t len;
		int fd;

		if (kill(pid, 0) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		len = fd < 0 ? -1 : read(fd, env, sizeof(env));
		n += len > 0 && memmem(env, (size_t)len, command, strlen(command)) != NULL;
		if (fd >= 0)
			close(fd);
	}
	return n;
}

/* A host: leads a session, bears the mark, runs SCRIPT; ready when FOLDER/ready is there. */
static void
start_host(const char *script)
{
	autofree char *mark = xasprintf("SSM_JOB=%s", id);
	char name[] = "sh", option[] = "-c", path[] = "PATH=/usr/bin:/bin";
	autofree char *text = xstrdup(script);
	char *const argv[] = { name, option, text, NULL };
	char *const envp[] = { mark, path, NULL };
	const struct proc_spec spec = {
		.path = "/bin/sh", .argv = argv, .envp = envp, .cwd = folder, .new_session = true
	};

	host = proc_spawn(&spec, NULL);
	ck_assert_int_gt(host, 0);
	for (int i = 0; i < PATIENCE_MS / 10 && !is_there("ready"); i++)
		poll(NULL, 0, 10);
	ck_assert(is_there("ready"));
}

static const char *const escapees[] = {
	"setsid sleep 600 & touch ready; sleep 600",
	"(setsid sh -c 'sleep 600 & sleep 601 &' &); sleep 0.3; touch ready; sleep 600",
	"sleep 600 & kill -STOP $!; touch ready; sleep 600",
	"setsid sh -c 'trap \"\" TERM; touch ready; while :; do sleep 0.1; done' & sleep 600",
	"echo 'sleep 0.05; setsid sh ./next &' >next; setsid sh ./next & touch ready; sleep 600",
	"env -i setsid sleep 600 & sleep 0.3; touch ready; sleep 600",
};

START_TEST(test_escapees)
{
	struct proc_id who;

	start_host(escapees[_i]);
	ck_assert_int_eq(proc_identify(host, &who), 0);
	(void)contain_start(base, NULL, id, &who, on_contained, NULL);
	ck_assert_int_eq(left, -1); /* never from within */
	event_base_dispatch(base);
	ck_assert_int_eq(left, 0);
	ck_assert(ends(host));
	host = 0;
	poll(NULL, 0, 300);
	ck_assert_uint_eq(marked(), 0);
}
END_TEST

/* The real thing, where this machine has it. */
START_TEST(test_real)
{
	struct err e = { 0, "" };
	struct cgroup *c = cgroup_open("/proc", &e);
	autofree char *procs = NULL;
	struct proc_id who;
	pid_t child;

	if (!c) {
		/* Then the agent does without, and can say why. */
		ck_assert_int_gt((int)strlen(err_text(&e)), 10);
		return;
	}
	ck_assert_int_eq(cgroup_make(c, id, &e), 0);
	procs = cgroup_command_procs(c, id);
	{
		char name[] = "sleep", time[] = "600";
		char *const argv[] = { name, time, NULL };
		const struct proc_spec spec = {
			.path = "/bin/sleep", .argv = argv, .cgroup_procs = procs
		};

		child = proc_spawn(&spec, &e);
		ck_assert_msg(child > 0, "%s", err_text(&e));
	}
	start_host("touch ready; env -i setsid sleep 600");
	ck_assert_msg(cgroup_enter(c, id, host, &e) == 0, "%s", err_text(&e));
	ck_assert_int_eq(proc_identify(host, &who), 0);
	cgroup_remove(c, id); /* not while somebody is in it */
	(void)contain_start(base, c, id, &who, on_contained, NULL);
	event_base_dispatch(base);
	ck_assert_int_eq(left, 0);
	ck_assert(ends(child) && ends(host));
	host = 0;
	cgroup_remove(c, id);
	ck_assert_int_lt(access(procs, F_OK), 0);
	cgroup_free(c);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("contain");
	TCase *t = tcase_create("contain");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, test_place, 0, (int)NELEMS(places));
	tcase_add_loop_test(t, test_nowhere, 0, (int)NELEMS(nowhere));
	tcase_add_loop_test(t, test_bad_ids, 0, 12);
	tcase_add_test(t, test_kill_one_by_one);
	tcase_add_test(t, test_kill_file);
	tcase_add_test(t, test_remove);
	tcase_add_test(t, test_sweep);
	tcase_add_test(t, test_link);
	tcase_add_loop_test(t, test_escapees, 0, (int)NELEMS(escapees));
	tcase_add_test(t, test_real);
	suite_add_tcase(s, t);
	return run_suite(s);
}
