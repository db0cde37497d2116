/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/orphans.c: real hosts that are killed, and what they and others leave,
 * without session, parent and mark. DESIGN section 2 "Containment", spec/07 F30. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/agent/hostproc.h"
#include "core/agent/orphans.h"
#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/proctable.h"
#include "core/loop/child.h"
#include "core/loop/signals.h"
#include "tests/unit/suite.h"

#define PATIENCE_MS 30000

static struct event_base *base;
static char *folder, *program;

/* A host and the one process that got away from it. */
struct lab {
	char *job;
	struct proc_id host;
	struct child *child;
	pid_t escaped;
	bool gone;
};
static struct lab a, b;

static void
kill_all(void)
{
	struct proc_table t = { 0 };

	proctable_read(&t);
	for (size_t i = 0; i < t.count; i++) {
		autofree char *path = xasprintf("/proc/%ld/cwd", (long)t.v[i].id.pid);
		char cwd[PATH_MAX] = "";

		if (readlink(path, cwd, sizeof(cwd) - 1) > 0 && strcmp(cwd, folder) == 0)
			(void)proc_signal(&t.v[i].id, SIGKILL);
	}
	proctable_done(&t);
}

static void
setup(void)
{
	char name[] = "/tmp/t_orphans.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(name));
	folder = xstrdup(name);
	signals_block();
	base = event_base_new();
	ck_assert_int_eq(orphans_start(base, NULL), 0);
}

static void
lab_done(struct lab *l)
{
	child_free(l->child);
	free(l->job);
	*l = (struct lab){ 0 };
}

static void
teardown(void)
{
	lab_done(&a);
	lab_done(&b);
	for (int i = 0; i < 3; i++) {
		kill_all();
		poll(NULL, 0, 20);
	}
	orphans_stop();
	event_base_free(base);
	(void)fs_remove_tree(AT_FDCWD, folder, NULL);
	free(folder);
}

/* --------------------------------------------------------------- the lab */

/* The number in the file NAME, once it is whole. */
static pid_t
get_pid(const char *name)
{
	autofree char *path = xasprintf("%s/%s", folder, name);

	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		autofree char *text = NULL;

		if (fs_read(AT_FDCWD, path, 64, &text, NULL, NULL) == 0 && strchr(text, '\n'))
			return (pid_t)strtol(text, NULL, 10);
		poll(NULL, 0, 10);
	}
	ck_abort_msg("nobody wrote '%s'", path);
	return -1;
}

/* Events of a moment: ends are seen, the dead are reaped. */
static void
turn(int ms)
{
	const struct timeval tv = { 0, ms * 1000 };

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

static bool
is_there(pid_t pid)
{
	turn(20);
	return kill(pid, 0) == 0;
}

static bool
disappears(pid_t pid)
{
	for (int i = 0; i < PATIENCE_MS / 20; i++)
		if (!is_there(pid))
			return true;
	return false;
}

static void
on_end(void *arg, pid_t pid, int status)
{
	struct lab *l = arg;

	(void)pid;
	(void)status;
	l->child = NULL;
	l->gone = true;
	orphans_host_gone(&l->host);
}

/* A subreaper, in a session of its own, with the mark of its job, that runs SCRIPT, which writes
 * the number of who gets away to the file NAME. */
static void
start(struct lab *l, const char *name, const char *script)
{
	autofree char *mark = NULL, *text = xstrdup(script);
	char option[] = "--host", path[] = "PATH=/usr/bin:/bin";
	char *const argv[] = { program, option, text, NULL };

	l->job = xasprintf("t_orphans.%ld.%s", (long)getpid(), name);
	mark = xasprintf("SSM_JOB=%s", l->job);
	{
		char *const envp[] = { mark, path, NULL };
		const struct proc_spec spec = { .path = program,
						.argv = argv,
						.envp = envp,
						.cwd = folder,
						.new_session = true };
		pid_t pid = proc_spawn(&spec, NULL);

		ck_assert_int_gt(pid, 0);
		l->child = child_watch(base, pid, on_end, l, NULL);
		ck_assert_ptr_nonnull(l->child);
		ck_assert_int_eq(proc_identify(pid, &l->host), 0);
	}
	orphans_host_started(&l->host, l->job);
	l->escaped = get_pid(name);
}

static void
end_host(struct lab *l)
{
	ck_assert_int_eq(proc_signal(&l->host, SIGKILL), 0);
	for (int i = 0; i < PATIENCE_MS / 20 && !l->gone; i++)
		turn(20);
	ck_assert(l->gone);
}

static void
end_in_order(struct lab *l)
{
	orphans_host_ended(&l->host);
	end_host(l);
	orphans_forget(l->job);
}

static int left;

static void
on_contained(void *arg, int n)
{
	(void)arg;
	left = n;
	event_base_loopbreak(base);
}

static void
contain(const struct lab *l)
{
	left = -1;
	(void)contain_start(base, NULL, l->job, &l->host, on_contained, NULL);
	while (left < 0)
		event_base_dispatch(base);
	ck_assert_int_eq(left, 0);
	orphans_forget(l->job);
}

static void
look(void)
{
	struct proc_table t = { 0 };

	proctable_read(&t);
	orphans_look(&t);
	proctable_done(&t);
}

static bool
are_of(const struct lab *l, pid_t pid)
{
	struct proc_id id;

	return proc_identify(pid, &id) == 0 && orphans_are_of(l->job, &id);
}

#define AWAY(name, clean) \
	"(" clean " setsid sh -c 'echo $$ >" name "; exec sleep 600' &); exec sleep 600"
#define CLEAN "env -i /usr/bin/env PATH=/usr/bin:/bin"
/* Each lives for a moment and leaves a successor; the first one is gone when its number is
 * read. */
#define CHAIN(name, clean)                                                                   \
	"echo 'sleep 0.4; " clean " setsid sh ./" name ".sh & echo $$ >" name "' >" name ".sh;" \
	"setsid sh ./" name ".sh & exec sleep 600"

/* ----------------------------------------------------------------- tests */

static const char *const ways[] = {
	AWAY("b", CLEAN),
	AWAY("b", ""),
	/* Deeper, and below somebody who lives. */
	"(" CLEAN " setsid sh -c 'setsid sh -c \"echo \\$\\$ >b; exec sleep 600\" & sleep 600' &);"
	"exec sleep 600",
	/* A child of the host's own. */
	CLEAN " setsid sh -c 'echo $$ >b; exec sleep 600' & exec sleep 600",
};

START_TEST(t_killed)
{
	start(&b, "b", ways[_i]);
	end_host(&b);
	ck_assert(is_there(b.escaped) && are_of(&b, b.escaped));
	contain(&b);
	ck_assert(disappears(b.escaped));
}
END_TEST

/* Whose is whose matters little: all have to go. */
START_TEST(t_killed_both)
{
	start(&a, "a", AWAY("a", CLEAN));
	start(&b, "b", AWAY("b", CLEAN));
	ck_assert_int_eq(proc_signal(&a.host, SIGKILL), 0);
	end_host(&b);
	while (!a.gone)
		turn(20);
	contain(&b);
	contain(&a);
	ck_assert(disappears(a.escaped) && disappears(b.escaped));
}
END_TEST

/* It goes on from process to process, and forgets its environment with each. */
START_TEST(t_chain)
{
	autofree char *path = xasprintf("%s/b", folder);

	start(&b, "b", CHAIN("b", CLEAN));
	end_host(&b);
	contain(&b);
	ck_assert_int_eq(unlink(path), 0);
	turn(990);
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

/* What a command may leave stays, whoever dies later; and of who dies later goes what is known to
 * be its own. */
START_TEST(t_left_in_order)
{
	start(&a, "a", AWAY("a", CLEAN));
	end_in_order(&a);
	start(&b, "b", AWAY("b", CLEAN));
	look();
	end_host(&b);
	ck_assert(!are_of(&b, a.escaped) && are_of(&b, b.escaped));
	contain(&b);
	ck_assert(disappears(b.escaped));
	ck_assert(is_there(a.escaped));
	/* It ends one day, and is discarded. */
	kill(a.escaped, SIGKILL);
	ck_assert(disappears(a.escaped));
}
END_TEST

/* Never seen before, and it could be of either: nobody is ended on a guess. A mark is no guess. */
START_TEST(t_in_doubt)
{
	start(&a, "a", AWAY("a", CLEAN));
	end_in_order(&a);
	start(&b, "b", _i == 0 ? AWAY("b", CLEAN) : AWAY("b", ""));
	end_host(&b);
	contain(&b);
	ck_assert(is_there(a.escaped));
	if (_i == 0)
		ck_assert(is_there(b.escaped));
	else
		ck_assert(disappears(b.escaped));
}
END_TEST

/* A daemon of an earlier command whose processes come and go. */
static const char *const daemons[] = { CHAIN("a", CLEAN), CHAIN("a", "") };

START_TEST(t_left_chain)
{
	autofree char *path = xasprintf("%s/a", folder);

	start(&a, "a", daemons[_i]);
	end_in_order(&a);
	start(&b, "b", AWAY("b", ""));
	turn(990); /* who was known is gone */
	end_host(&b);
	contain(&b);
	ck_assert(disappears(b.escaped));
	ck_assert_int_eq(unlink(path), 0);
	for (int i = 0; i < PATIENCE_MS / 20 && access(path, F_OK) < 0; i++)
		turn(20);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* What a step left is the command's; what a later one of the same name leaves is looked at anew. */
START_TEST(t_nested)
{
	struct lab job = { .job = NULL };

	start(&a, "a", AWAY("a", CLEAN));
	job.job = xstrdup(a.job);
	job.host = a.host;
	{
		autofree char *nested = xasprintf("%s/2", a.job);

		orphans_forget(a.job);
		orphans_host_started(&a.host, nested);
	}
	orphans_host_ended(&a.host);
	end_host(&a);
	ck_assert(are_of(&job, a.escaped));
	contain(&job);
	ck_assert(disappears(a.escaped));
	free(job.job);
}
END_TEST

static pid_t
own_child(bool new_session)
{
	char name[] = "sleep", time[] = "600";
	char *const argv[] = { name, time, NULL };
	const struct proc_spec spec = {
		.path = "/bin/sleep", .argv = argv, .cwd = folder, .new_session = new_session
	};

	return proc_spawn(&spec, NULL);
}

static void
on_own_end(void *arg, pid_t pid, int status)
{
	(void)arg;
	(void)pid;
	(void)status;
}

/* What we started ourselves: of our session, watched, or neither and told. One at a time, for the
 * last one casts doubt on all others. */
START_TEST(t_own)
{
	struct child *c = NULL;
	pid_t own;

	start(&b, "b", AWAY("b", ""));
	own = own_child(_i > 0);
	if (_i == 1)
		c = child_watch(base, own, on_own_end, NULL, NULL);
	if (_i == 2)
		orphans_leave_alone(own);
	end_host(&b);
	ck_assert(!are_of(&b, own));
	contain(&b);
	ck_assert(is_there(own));
	child_free(c);
}
END_TEST

/* Who was here before us is nobody's. */
START_TEST(t_before)
{
	pid_t before;

	orphans_stop();
	before = own_child(true);
	ck_assert_int_eq(orphans_start(base, NULL), 0);
	start(&b, "b", AWAY("b", ""));
	end_host(&b);
	ck_assert(!are_of(&b, before));
	contain(&b);
	ck_assert(is_there(before));
}
END_TEST

/* Where control groups do the work. */
START_TEST(t_not_started)
{
	struct proc_id who;

	orphans_stop();
	ck_assert_int_eq(proc_identify(getppid(), &who), 0);
	orphans_host_started(&who, "x");
	look();
	orphans_host_ended(&who);
	orphans_host_gone(&who);
	orphans_leave_alone(who.pid);
	ck_assert(!orphans_are_of("x", &who));
	orphans_forget("x");
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("orphans");
	TCase *t = tcase_create("orphans");

	if (argc > 2 && strcmp(argv[1], "--host") == 0) {
		char name[] = "sh", option[] = "-c";
		char *const shell[] = { name, option, argv[2], NULL };

		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		execv("/bin/sh", shell);
		return 1;
	}
	program = realpath(argv[0], NULL);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, t_killed, 0, (int)NELEMS(ways));
	tcase_add_test(t, t_killed_both);
	tcase_add_test(t, t_chain);
	tcase_add_test(t, t_left_in_order);
	tcase_add_loop_test(t, t_in_doubt, 0, 2);
	tcase_add_loop_test(t, t_left_chain, 0, (int)NELEMS(daemons));
	tcase_add_test(t, t_nested);
	tcase_add_loop_test(t, t_own, 0, 3);
	tcase_add_test(t, t_before);
	tcase_add_test(t, t_not_started);
	suite_add_tcase(s, t);
	return run_suite(s);
}
