/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/hostproc.c, hostlog.c, contain.c with a host of its own (hostpeer.h).
 * DESIGN section 2. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/agent/hostlog.h"
#include "core/agent/hostproc.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/conf/conf.h"
#include "core/ipc/wire.h"
#include "tests/unit/hostpeer.h"
#include "tests/unit/suite.h"

#define PATIENCE_MS 30000

static struct event_base *base;
static struct conf *conf;
static char *root, *self;

struct seen_host {
	struct hostproc *h;
	bool ready, gone, go_at_ready;
	int status;
	char *why, *tail;
	size_t messages;
	char *last_type, *last_body;
	struct proc_id who;
};

static void
on_ready(void *arg, const struct proc_id *who)
{
	struct seen_host *s = arg;

	s->ready = true;
	s->who = *who;
	if (s->go_at_ready)
		ck_assert_int_eq(hostproc_go(s->h), 0);
}

static int
on_message(void *arg, const char *type, struct ipc_message *m)
{
	struct seen_host *s = arg;
	int64_t seq = json_int(m->json, "seq", 0);

	s->messages++;
	free(s->last_type);
	s->last_type = xstrdup(type);
	free(s->last_body);
	s->last_body = m->body ? xstrndup(m->body, m->body_len) : NULL;
	if (seq > 0) {
		json_t *stored = wire_new("stored");

		(void)json_object_set_new(stored, "seq", json_integer(seq));
		ck_assert_int_eq(hostproc_send(s->h, stored, NULL, 0), 0);
	}
	return 0;
}

static void
on_gone(void *arg, int status, const char *why, const char *tail)
{
	struct seen_host *s = arg;

	ck_assert(!s->gone);
	s->gone = true;
	s->status = status;
	s->why = xstrdup(why);
	s->tail = xstrdup(tail);
}

static const struct hostproc_ops ops = { on_ready, on_message, on_gone, NULL };

static void
seen_done(struct seen_host *s)
{
	hostproc_free(s->h);
	free(s->why);
	free(s->tail);
	free(s->last_type);
	free(s->last_body);
}

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");
	char path[4096], *host;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	struct conf_spec spec = { 0 };
	struct err e = { 0 };
	char *over[2] = { NULL, NULL };

	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	self = xstrdup(path);
	root = xasprintf("%s/t_hostproc.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	over[0] = host = xasprintf("Paths.Host=%s", self);
	spec.root = root;
	spec.overrides = over;
	conf = conf_load(&spec, NULL, NULL, &e);
	ck_assert_msg(conf != NULL, "%s", err_text(&e));
	free(host);
	base = event_base_new();
}

static void
teardown(void)
{
	conf_free(conf);
	event_base_free(base);
	(void)fs_remove_tree(AT_FDCWD, root, NULL);
}

static void
start(struct seen_host *s, const char *script, const int *fds, size_t fd_count)
{
	autofree char *body = xasprintf("{\"script\":\"%s\"}", script);
	struct hostproc_spec spec = { .mode = "--job",
				      .job_id = "job/1",
				      .body = body,
				      .body_len = strlen(body),
				      .fds = fds,
				      .fd_count = fd_count };
	struct err e = { 0 };

	spec.hello = json_pack("{s:s,s:i,s:s,s:s,s:s}", "job", "job/1", "kind", 1, "feature", "f",
			       "plugin", "p", "plugin_path", "/p.so");
	s->h = hostproc_start(base, conf, &spec, &ops, s, &e);
	ck_assert_msg(s->h != NULL, "%s", err_text(&e));
	ck_assert(!s->ready && !s->gone);
}

static void
until(const bool *flag)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	struct timeval tv = { 0, 10000 };

	while (!*flag) {
		ck_assert_msg(clock_mono_ms() < end, "nothing happened in time");
		(void)event_base_loopexit(base, &tv);
		(void)event_base_dispatch(base);
	}
}

static void
let_pass(int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	(void)event_base_loopexit(base, &tv);
	(void)event_base_dispatch(base);
}

static char *
log_path(void)
{
	return xasprintf("%s/hosts/job~1.log", conf_path(conf, CONF_PATH_RUN));
}

/* hello, ready, go, reply, end: and all that was sent is there before gone(). */
START_TEST(test_life)
{
	struct seen_host s = { 0 };
	autofree char *log = log_path();
	struct stat st;

	start(&s, "print:hello reply:abc end:0", NULL, 0);
	until(&s.ready);
	ck_assert_int_eq(s.who.pid, hostproc_id(s.h)->pid);
	ck_assert(proc_alive(&s.who));
	ck_assert_int_eq(getsid(s.who.pid), s.who.pid);
	let_pass(50);
	ck_assert_uint_eq(s.messages, 0); /* nothing before go */
	ck_assert_int_eq(stat(log, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(hostproc_go(s.h), 0);
	ck_assert_int_eq(hostproc_go(s.h), -EPIPE); /* once */
	until(&s.gone);
	ck_assert_uint_eq(s.messages, 2);
	ck_assert_str_eq(s.last_type, "end");
	ck_assert(WIFEXITED(s.status) && WEXITSTATUS(s.status) == 0);
	ck_assert_ptr_null(s.why);
	ck_assert_str_eq(s.tail, "hello\n");
	ck_assert_int_ne(stat(log, &st), 0);
	seen_done(&s);
}
END_TEST

static void
environment_of(pid_t pid, char ***ret)
{
	autofree char *path = xasprintf("/proc/%ld/environ", (long)pid), *text = NULL;
	size_t len;

	ck_assert_int_eq(fs_read(AT_FDCWD, path, 1 << 20, &text, &len, NULL), 0);
	for (size_t i = 0; i < len; i += strlen(text + i) + 1)
		strv_add(ret, text + i);
}

/* A clean environment, /dev/null, the log twice, the socket; nothing else of ours. */
START_TEST(test_surroundings)
{
	struct seen_host s = { 0 };
	autostrv char **env = NULL;
	char target[4096];

	ck_assert_int_eq(setenv("AWS_SECRET_ACCESS_KEY", "secret", 1), 0);
	ck_assert_int_eq(setenv("https_proxy", "http://p", 1), 0);
	ck_assert_int_eq(setenv("LD_LIBRARY_PATH", "/nowhere", 1), 0);
	(void)open("/dev/zero", O_RDONLY); /* not close-on-exec */
	start(&s, "hang", NULL, 0);
	until(&s.ready);
	environment_of(s.who.pid, &env);
	ck_assert_str_eq(strv_env_get(env, "SSM_JOB"), "job/1");
	ck_assert_ptr_nonnull(strv_env_get(env, "PATH"));
	for (size_t i = 0; env[i]; i++)
		ck_assert_msg(strncmp(env[i], "AWS_", 4) != 0 && strncmp(env[i], "LD_", 3) != 0 &&
				      strncmp(env[i], "https_", 6) != 0,
			      "%s", env[i]);
	for (int fd = 0; fd < 32; fd++) {
		autofree char *path = xasprintf("/proc/%ld/fd/%d", (long)s.who.pid, fd);
		ssize_t n = readlink(path, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		if (fd == 0)
			ck_assert_str_eq(target, "/dev/null");
		else if (fd < 3)
			ck_assert_ptr_nonnull(strstr(target, "hosts/job~1.log"));
		else if (fd == 3)
			ck_assert_ptr_nonnull(strstr(target, "socket:"));
		else
			ck_assert_int_lt(n, 0);
	}
	hostproc_kill(s.h, "enough");
	until(&s.gone);
	ck_assert_str_eq(s.why, "enough");
	ck_assert(WIFSIGNALED(s.status) && WTERMSIG(s.status) == SIGKILL);
	seen_done(&s);
}
END_TEST

START_TEST(test_fds)
{
	struct seen_host s = { .go_at_ready = true };
	int fds[2];
	char text[16] = "";

	ck_assert_int_eq(pipe(fds), 0);
	start(&s, "write:out end", &fds[1], 1);
	close(fds[1]);
	until(&s.gone);
	ck_assert_int_eq(read(fds[0], text, sizeof(text)), 3);
	ck_assert_str_eq(text, "out");
	ck_assert_int_eq(read(fds[0], text, sizeof(text)), 0); /* nobody holds it any more */
	close(fds[0]);
	seen_done(&s);
}
END_TEST

START_TEST(test_no_host_program)
{
	char host[] = "Paths.Host=/nowhere/ssm-plugin-host";
	char *over[] = { host, NULL };
	const struct conf_spec spec = { .root = root, .overrides = over };
	struct hostproc_spec hs = { .mode = "--job", .job_id = "j", .hello = json_object() };
	struct seen_host s = { 0 };
	struct err e = { 0 };

	conf_free(conf);
	conf = conf_load(&spec, NULL, NULL, &e);
	ck_assert_ptr_nonnull(conf);
	ck_assert_ptr_null(hostproc_start(base, conf, &hs, &ops, &s, &e));
	ck_assert_int_eq(e.code, -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "/nowhere/ssm-plugin-host"));
}
END_TEST

/* The agent goes: a host without go exits by itself and did nothing. */
START_TEST(test_agent_goes)
{
	struct seen_host s = { 0 };
	struct proc_id who;
	int status;

	start(&s, "touch:x", NULL, 0);
	until(&s.ready);
	who = s.who;
	s.h = hostproc_free(s.h);
	ck_assert_int_eq(waitpid(who.pid, &status, 0), who.pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 98);
	ck_assert(!s.gone);
	seen_done(&s);
}
END_TEST

START_TEST(test_expect_end)
{
	struct seen_host s = { .go_at_ready = true };

	start(&s, "hang", NULL, 0);
	until(&s.ready);
	hostproc_expect_end(s.h, 50, "it was told to");
	until(&s.gone);
	ck_assert_str_eq(s.why, "it was told to");
	seen_done(&s);
}
END_TEST

START_TEST(test_status_text)
{
	static const struct {
		int status;
		const char *text;
	} cases[] = {
		{ 0, "ended with exit status 0" },
		{ 3 << 8, "ended with exit status 3" },
		{ SIGSEGV, "ended by signal 11 (SIGSEGV)" },
		{ SIGKILL, "ended by signal 9 (SIGKILL)" },
		{ 64, "ended by signal 64" },
		{ -1, "ended" },
	};

	for (size_t i = 0; i < NELEMS(cases); i++) {
		char text[64];

		hostproc_status_text(cases[i].status, text, sizeof(text));
		ck_assert_str_eq(text, cases[i].text);
	}
}
END_TEST

/* ------------------------------------------------------------------ log */

START_TEST(test_log)
{
	autofree char *run = xasprintf("%s/run", root), *tail = NULL, *path = NULL;
	struct hostlog *l = hostlog_new(run, "aws.ssm.x.i-1", NULL);
	char block[4096];
	struct stat st;

	ck_assert_ptr_nonnull(l);
	path = xasprintf("%s/hosts/aws.ssm.x.i-1.log", run);
	tail = hostlog_tail(l);
	ck_assert_str_eq(tail, "");
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(fs_write_all(hostlog_fd(l), block, sizeof(block)), 0);
		ck_assert_int_gt(hostlog_check(l), 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_le(st.st_size, HOSTLOG_MAX + (int)sizeof(block));
	}
	ck_assert_int_eq(fs_write_all(hostlog_fd(l), "last", 4), 0);
	free(tail);
	tail = hostlog_tail(l);
	ck_assert_uint_eq(strlen(tail), HOSTLOG_TAIL);
	ck_assert_str_eq(tail + HOSTLOG_TAIL - 5, "xlast");
	hostlog_remove(l);
	ck_assert_int_ne(stat(path, &st), 0);
}
END_TEST

/* A link that waits in the place of the file is not followed. */
START_TEST(test_log_link)
{
	autofree char *run = xasprintf("%s/run", root), *path = NULL, *victim = NULL;
	struct hostlog *l;
	struct stat st;

	ck_assert_int_ge(fs_make_dirs(run, 0700, NULL), 0);
	path = xasprintf("%s/hosts", run);
	ck_assert_int_ge(fs_make_dirs(path, 0700, NULL), 0);
	victim = xasprintf("%s/victim", root);
	ck_assert_int_eq(fs_write_atomic(AT_FDCWD, victim, "v", 1, 0600, false, NULL), 0);
	free(path);
	path = xasprintf("%s/hosts/j.log", run);
	ck_assert_int_eq(symlink(victim, path), 0);
	l = hostlog_new(run, "j", NULL);
	ck_assert_ptr_nonnull(l);
	ck_assert_int_eq(fs_write_all(hostlog_fd(l), "words", 5), 0);
	ck_assert_int_eq(stat(victim, &st), 0);
	ck_assert_int_eq(st.st_size, 1);
	hostlog_remove(l);
}
END_TEST

/* -------------------------------------------------------------- contain */

static bool contained;
static int left_over;

static void
on_contained(void *arg, int left)
{
	(void)arg;
	contained = true;
	left_over = left;
}

static pid_t
sleeper(const char *job, bool new_session)
{
	autofree char *marker = job ? xasprintf("SSM_JOB=%s", job) : NULL;
	char name[] = "sleep", time[] = "600";
	char *const argv[] = { name, time, NULL };
	char first[] = "A=b";
	char *const env[] = { first, marker, NULL };
	const struct proc_spec spec = {
		.path = "/bin/sleep", .argv = argv, .envp = env, .new_session = new_session
	};
	pid_t pid = proc_spawn(&spec, NULL);

	ck_assert_int_gt(pid, 0);
	return pid;
}

static bool
is_dead(pid_t pid)
{
	int status;

	return waitpid(pid, &status, WNOHANG) == pid;
}

START_TEST(test_contain)
{
	pid_t host = sleeper(NULL, true), marked = sleeper("a.b", true);
	pid_t nested = sleeper("a.b/3", true);
	pid_t other = sleeper("a.bc", true), stranger = sleeper(NULL, true);
	struct proc_id id;

	ck_assert_int_eq(proc_identify(host, &id), 0);
	(void)contain_start(base, NULL, "a.b", &id, on_contained, NULL);
	ck_assert(!contained);
	until(&contained);
	ck_assert_int_eq(left_over, 0);
	ck_assert(is_dead(host) && is_dead(marked) && is_dead(nested));
	ck_assert(!is_dead(other) && !is_dead(stranger));
	(void)kill(other, SIGKILL);
	(void)kill(stranger, SIGKILL);
	(void)waitpid(other, NULL, 0);
	(void)waitpid(stranger, NULL, 0);
}
END_TEST

/* Another boot, or a number that somebody else has by now: nothing of the job is left. */
START_TEST(test_contain_reused)
{
	pid_t other = sleeper(NULL, true);
	struct proc_id id;

	ck_assert_int_eq(proc_identify(other, &id), 0);
	id.start -= 1;
	(void)contain_start(base, NULL, "a.b", &id, on_contained, NULL);
	until(&contained);
	ck_assert(!is_dead(other));
	contained = false;
	id.start += 1;
	(void)snprintf(id.boot, sizeof(id.boot), "another");
	(void)contain_start(base, NULL, "a.b", &id, on_contained, NULL);
	until(&contained);
	ck_assert(!is_dead(other));
	(void)kill(other, SIGKILL);
	(void)waitpid(other, NULL, 0);
}
END_TEST

START_TEST(test_contain_cancel)
{
	pid_t host = sleeper(NULL, true);
	struct proc_id id;

	ck_assert_int_eq(proc_identify(host, &id), 0);
	contain_cancel(contain_start(base, NULL, "a.b", &id, on_contained, NULL));
	contain_cancel(NULL);
	let_pass(50);
	ck_assert(!contained && !is_dead(host));
	(void)kill(host, SIGKILL);
	(void)waitpid(host, NULL, 0);
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("hostproc");
	TCase *t = tcase_create("all");

	if (argc > 1 && strcmp(argv[1], "--job") == 0)
		return hostpeer_main();
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_life);
	tcase_add_test(t, test_surroundings);
	tcase_add_test(t, test_fds);
	tcase_add_test(t, test_no_host_program);
	tcase_add_test(t, test_agent_goes);
	tcase_add_test(t, test_expect_end);
	tcase_add_test(t, test_status_text);
	tcase_add_test(t, test_log);
	tcase_add_test(t, test_log_link);
	tcase_add_test(t, test_contain);
	tcase_add_test(t, test_contain_reused);
	tcase_add_test(t, test_contain_cancel);
	suite_add_tcase(s, t);
	return run_suite(s);
}
