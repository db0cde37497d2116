/* SPDX-License-Identifier: Apache-2.0 */
/* One plugin host process: started, greeted, watched; its log file; its end.
 *
 * The end has two halves, the process and its connection, and both must be there before gone() is
 * called: what the host sent last still lies in the socket when the process is reaped.
 */
#include <config.h>

#include "core/agent/hostproc.h"

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

#include "core/agent/cgroup.h"
#include "core/agent/hostlog.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/ipc/wire.h"
#include "core/loop/child.h"

#define READY_MS 10000
#define DRAIN_MS 1000  /* from the end of the process to the end of the connection */
#define HANGUP_MS 5000 /* the other way round */
#define STUCK_MS 60000

struct hostproc {
	struct event_base *base;
	const struct hostproc_ops *ops;
	void *arg;
	struct proc_id id;
	struct child *child;
	struct ipc *ipc;
	struct hostlog *log;
	enum wire_state state;
	json_t *hello; /* until it is sent */
	char *body;
	size_t body_len;
	int fds[IPC_FDS_MAX];
	size_t fd_count;
	char token[33];
	char *why; /* we ended it for this */
	struct event *deadline, *tick;
	const char *deadline_why; /* what it means when it strikes */
	int64_t stuck_since_ms;	  /* more is queued than may be */
	bool exited, hung_up;
	bool adopted; /* it may hang up and call again */
	int status;
};

static void
arm(struct event *ev, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	(void)event_add(ev, &tv);
}

void
hostproc_kill(struct hostproc *h, const char *why)
{
	if (why && !h->why)
		h->why = xstrdup(why);
	if (h->child)
		(void)child_signal(h->child, SIGKILL);
}

/* ----------------------------------------------------------------- end */

static void
finish(struct hostproc *h)
{
	autofree char *tail = hostlog_tail(h->log);

	(void)event_del(h->deadline);
	(void)event_del(h->tick);
	h->ipc = ipc_free(h->ipc);
	h->log = hostlog_remove(h->log);
	h->ops->gone(h->arg, h->status, h->why, tail);
}

static void
on_exit_status(void *arg, pid_t pid, int status)
{
	struct hostproc *h = arg;

	(void)pid;
	h->child = NULL; /* freed by itself */
	h->exited = true;
	h->status = status;
	/* Never from within hostproc_start(); and a stray copy of its descriptor must not keep us.
	 */
	h->deadline_why = NULL;
	arm(h->deadline, h->hung_up ? 0 : DRAIN_MS);
}

static void
on_hangup(void *arg, int err, const char *text)
{
	struct hostproc *h = arg;

	h->hung_up = true;
	if (err < 0) {
		autofree char *why = xasprintf("it broke the protocol: %s", text);

		hostproc_kill(h, why);
	}
	if (h->exited)
		arm(h->deadline, 0);
	else if (h->state != WIRE_ENDED && !h->adopted)
		hostproc_expect_end(h, HANGUP_MS, "it closed its connection and went on");
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct hostproc *h = arg;

	(void)fd;
	(void)what;
	if (h->exited)
		finish(h);
	else
		hostproc_kill(h, h->deadline_why);
}

void
hostproc_expect_end(struct hostproc *h, int64_t ms, const char *why)
{
	if (h->exited)
		return;
	h->deadline_why = why;
	arm(h->deadline, ms);
}

/* ------------------------------------------------------------ greeting */

static json_t *
hello_of(const struct hostproc *h, json_t *members)
{
	(void)json_object_set_new(members, "t", json_string("hello"));
	(void)json_object_set_new(members, "ipc", json_integer(WIRE_IPC_MIN));
	(void)json_object_set_new(members, "ipc_max", json_integer(WIRE_IPC_MAX));
	(void)json_object_set_new(members, "agent_version", json_string(PACKAGE_VERSION));
	(void)json_object_set_new(members, "token", json_string(h->token));
	return members;
}

static int
send_hello(struct hostproc *h)
{
	json_t *m = hello_of(h, TAKE(h->hello));
	int r;

	r = ipc_send(h->ipc, m, h->body, h->body_len, h->fds, h->fd_count);
	free(TAKE(h->body));
	for (size_t i = 0; i < h->fd_count; i++)
		close(h->fds[i]);
	h->fd_count = 0;
	return r;
}

static int
version_of(const json_t *hello, struct err *e)
{
	return wire_version(json_int(hello, "ipc_min", 0), json_int(hello, "ipc_max", 0), e);
}

static int
on_hello(struct hostproc *h, const json_t *m)
{
	struct err e = { 0 };
	int version = version_of(m, &e);

	if (version < 0) {
		hostproc_kill(h, err_text(&e));
		return version;
	}
	h->state = WIRE_GREETED;
	return 0;
}

static int
on_ready(struct hostproc *h)
{
	h->state = WIRE_READY;
	(void)event_del(h->deadline);
	h->ops->ready(h->arg, &h->id);
	return 0;
}

static int
on_message(void *arg, struct ipc_message *m)
{
	struct hostproc *h = arg;
	struct err e = { 0 };
	const char *type = NULL;
	int r = wire_check(WIRE_FROM_HOST, h->state, m->json, &type, &e);

	if (r < 0) {
		autofree char *why = xasprintf("it broke the protocol: %s", err_text(&e));

		hostproc_kill(h, why);
		return r;
	}
	if (strcmp(type, "hello") == 0)
		return on_hello(h, m->json);
	if (strcmp(type, "ready") == 0)
		return on_ready(h);
	r = h->ops->message(h->arg, type, m);
	if (strcmp(type, "end") == 0 && r >= 0)
		h->state = WIRE_ENDED;
	return r;
}

int
hostproc_go(struct hostproc *h)
{
	int r;

	if (h->state != WIRE_READY || !h->ipc)
		return -EPIPE;
	r = ipc_send(h->ipc, wire_new("go"), NULL, 0, NULL, 0);
	if (r >= 0)
		h->state = WIRE_RUNNING;
	return r;
}

int
hostproc_send(struct hostproc *h, json_t *message, const void *body, size_t len)
{
	if (h->ipc)
		return ipc_send(h->ipc, message, body, len, NULL, 0);
	json_decref(message);
	return -EPIPE;
}

/* --------------------------------------------------------------- watch */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct hostproc *h = arg;
	int64_t now = clock_mono_ms();

	(void)fd;
	(void)what;
	if (!h->ipc || ipc_queued(h->ipc) <= IPC_QUEUE_MAX)
		h->stuck_since_ms = 0;
	else if (!h->stuck_since_ms)
		h->stuck_since_ms = now;
	else if (now - h->stuck_since_ms >= STUCK_MS)
		hostproc_kill(h, "it has not read what it was sent for 60 s");
	arm(h->tick, hostlog_check(h->log));
}

/* --------------------------------------------------------------- start */

/* Nothing of ours: no credentials, no proxy, no settings of libraries. */
static char **
environment(const char *job_id)
{
	static const char *const kept[] = { "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ" };
	char **env = NULL;

	for (size_t i = 0; i < NELEMS(kept); i++)
		strv_env_set(&env, kept[i], secure_getenv(kept[i]));
	if (!strv_env_get(env, "PATH"))
		strv_env_set(&env, "PATH",
			     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_env_set(&env, "SSM_JOB", job_id);
	return env;
}

/* Before it is greeted, so before it starts anything. */
static void
enter_group(const struct hostproc *h, const struct hostproc_spec *spec)
{
	struct err e = { 0, "" };

	if (spec->cgroup && cgroup_enter(spec->cgroup, spec->job_id, h->id.pid, &e) < 0)
		log_warn("jobs", "job '%s': %s", spec->job_id, err_text(&e));
}

static int
spawn(struct hostproc *h, const struct conf *conf, const struct hostproc_spec *spec, int theirs,
      struct err *e)
{
	const char *path = conf_path(conf, CONF_PATH_HOST);
	char *const argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)spec->mode, NULL };
	autostrv char **env = environment(spec->job_id);
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const struct proc_fd fds[] = {
		{ null, 0 }, { hostlog_fd(h->log), 1 }, { hostlog_fd(h->log), 2 }, { theirs, 3 }
	};
	const struct proc_spec ps = { .path = path,
				      .argv = argv,
				      .envp = env,
				      .fds = fds,
				      .fd_count = NELEMS(fds),
				      .new_session = true };
	pid_t pid;

	if (null < 0)
		return err_set(e, errno, "cannot open '/dev/null': %s", strerror(errno));
	pid = proc_spawn(&ps, e);
	if (pid < 0)
		return (int)pid;
	h->child = child_watch(h->base, pid, on_exit_status, h, e);
	if (!h->child) {
		(void)kill(pid, SIGKILL); /* ours and not reaped: the pid is still its own */
		(void)waitpid(pid, NULL, 0);
		return -EMFILE;
	}
	if (proc_identify(pid, &h->id) < 0)
		return err_set(e, -ESRCH, "the host has no /proc entry");
	enter_group(h, spec);
	return 0;
}

static void
keep_spec(struct hostproc *h, const struct hostproc_spec *spec)
{
	unsigned char random[16];

	h->hello = spec->hello;
	h->body = spec->body ? xmemdup(spec->body, spec->body_len) : NULL;
	h->body_len = spec->body_len;
	for (size_t i = 0; i < spec->fd_count && i < IPC_FDS_MAX; i++) {
		int fd = fcntl(spec->fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd >= 0)
			h->fds[h->fd_count++] = fd;
	}
	rand_bytes(random, sizeof(random));
	text_hex(random, sizeof(random), h->token);
}

static int
start(struct hostproc *h, const struct conf *conf, const struct hostproc_spec *spec, struct err *e)
{
	int pair[2], r;
	autoclose int theirs = -1;

	h->log = hostlog_new(conf_path(conf, CONF_PATH_RUN), spec->job_id, e);
	if (!h->log)
		return -EIO;
	r = ipc_pair(pair, e);
	if (r < 0)
		return r;
	theirs = pair[1];
	h->ipc = ipc_new(h->base, pair[0], on_message, on_hangup, h);
	r = spawn(h, conf, spec, theirs, e);
	if (r < 0)
		return r;
	arm(h->tick, hostlog_check(h->log));
	hostproc_expect_end(h, READY_MS, "it was not ready within 10 s");
	/* The host finds it waiting when it has come up: one turn less before each command. */
	return send_hello(h);
}

static struct hostproc *
hostproc_new(struct event_base *base, const struct hostproc_ops *ops, void *arg)
{
	struct hostproc *h = xcalloc(1, sizeof(*h));

	h->base = base;
	h->ops = ops;
	h->arg = arg;
	h->status = -1;
	h->deadline = evtimer_new(base, on_deadline, h);
	h->tick = evtimer_new(base, on_tick, h);
	return h;
}

struct hostproc *
hostproc_start(struct event_base *base, const struct conf *conf, const struct hostproc_spec *spec,
	       const struct hostproc_ops *ops, void *arg, struct err *e)
{
	struct hostproc *h = hostproc_new(base, ops, arg);

	keep_spec(h, spec);
	if (start(h, conf, spec, e) < 0) {
		hostproc_kill(h, NULL);
		return hostproc_free(h);
	}
	return h;
}

/* --------------------------------------------------------------- return */

/* The watch is there before the process is looked at: a number that is given away in between is
 * seen. */
struct hostproc *
hostproc_adopt(struct event_base *base, const struct conf *conf, const char *job_id,
	       const struct proc_id *who, const char *token, const struct hostproc_ops *ops,
	       void *arg)
{
	struct hostproc *h;

	if (who->pid <= 0 || !proc_alive(who))
		return NULL;
	h = hostproc_new(base, ops, arg);
	h->id = *who;
	h->adopted = h->hung_up = true;
	(void)snprintf(h->token, sizeof(h->token), "%s", token);
	h->log = hostlog_reopen(conf_path(conf, CONF_PATH_RUN), job_id);
	h->child = child_watch_stranger(base, who->pid, on_exit_status, h, NULL);
	if (!h->child || !proc_alive(who))
		return hostproc_free(h);
	arm(h->tick, hostlog_check(h->log));
	return h;
}

/* In the same time whatever is shown. */
static bool
same_token(const char *ours, const char *shown)
{
	size_t len = strlen(ours);
	unsigned char differs = 0;

	if (len == 0 || strlen(shown) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		differs |= (unsigned char)(ours[i] ^ shown[i]);
	return differs == 0;
}

int
hostproc_attach(struct hostproc *h, int fd, const json_t *hello, struct err *e)
{
	int version = version_of(hello, e);

	if (!h->adopted || h->exited || !proc_alive(&h->id))
		return err_set(e, -ESRCH, "its job does not wait for it");
	if (!same_token(h->token, json_str(hello, "token", "")))
		return err_set(e, -EACCES, "it does not have the token of its job");
	if (version < 0)
		return version;
	h->ipc = ipc_free(h->ipc);
	h->ipc = ipc_new(h->base, fd, on_message, on_hangup, h);
	h->hung_up = false;
	h->state = WIRE_RUNNING; /* an "end" may come again */
	(void)ipc_send(h->ipc, hello_of(h, h->ops->back(h->arg, version)), NULL, 0, NULL, 0);
	return 0;
}

const char *
hostproc_token(const struct hostproc *h)
{
	return h->token;
}

struct hostproc *
hostproc_free(struct hostproc *h)
{
	if (!h)
		return NULL;
	child_free(h->child);
	ipc_free(h->ipc);
	hostlog_free(h->log);
	event_free(h->deadline);
	event_free(h->tick);
	json_decref(h->hello);
	for (size_t i = 0; i < h->fd_count; i++)
		close(h->fds[i]);
	free(h->body);
	free(h->why);
	free(h);
	return NULL;
}

const struct proc_id *
hostproc_id(const struct hostproc *h)
{
	return &h->id;
}

static const char *
signal_name(int sig)
{
	static const struct {
		int sig;
		const char *name;
	} names[] = {
		{ SIGABRT, "SIGABRT" }, { SIGBUS, "SIGBUS" },	{ SIGFPE, "SIGFPE" },
		{ SIGHUP, "SIGHUP" },	{ SIGILL, "SIGILL" },	{ SIGINT, "SIGINT" },
		{ SIGKILL, "SIGKILL" }, { SIGPIPE, "SIGPIPE" }, { SIGQUIT, "SIGQUIT" },
		{ SIGSEGV, "SIGSEGV" }, { SIGSYS, "SIGSYS" },	{ SIGTERM, "SIGTERM" },
		{ SIGTRAP, "SIGTRAP" }, { SIGXCPU, "SIGXCPU" }, { SIGXFSZ, "SIGXFSZ" },
	};

	for (size_t i = 0; i < NELEMS(names); i++)
		if (names[i].sig == sig)
			return names[i].name;
	return NULL;
}

void
hostproc_status_text(int status, char *ret, size_t size)
{
	const char *name =
		status != -1 && WIFSIGNALED(status) ? signal_name(WTERMSIG(status)) : NULL;

	if (status == -1)
		(void)snprintf(ret, size, "ended");
	else if (WIFEXITED(status))
		(void)snprintf(ret, size, "ended with exit status %d", WEXITSTATUS(status));
	else if (name)
		(void)snprintf(ret, size, "ended by signal %d (%s)", WTERMSIG(status), name);
	else
		(void)snprintf(ret, size, "ended by signal %d", WTERMSIG(status));
}
