/* SPDX-License-Identifier: Apache-2.0 */
/* ssm_api.spawn: pipes, time-out, cancel, and the end of a program: its main process is gone and
 * its pipes are empty, or one second has passed (children in the background keep them open). */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/host/host.h"
#include "core/host/pty.h"
#include "core/host/rundown.h"
#include "core/host/runchild.h"
#include "core/host/sink.h"
#include "core/host/user.h"
#include "core/loop/child.h"

#define DRAIN_MS 1000
#define SWEEP_MS 20
#define GIVE_UP_MS 30000
#define LATE_MAX 64u /* who is still writing in the background has no end */
#define LOOKS 3u /* who forks just then may be missed by one */
#define PIPE_BYTES (1 << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct stream {
	struct run *run;
	struct sink sink;
	struct event *event;
	int fd;	    /* our end of the pipe, -1 after its end */
	int own_fd; /* our copy of where it goes: the caller may close its own, or -1 */
	int32_t number;
};

struct run {
	struct list link;
	struct host *host;
	struct instance *owner;
	struct ssm_spawn spec;
	struct child *child;
	pid_t pid;
	int status, why; /* SSM_END_TIMEOUT or SSM_END_CANCEL once it was asked to end */
	struct stream out, err;
	struct pty *pty; /* or NULL */
	int stdin_fd;
	char *stdin_data; /* a copy */
	const char *stdin_at;
	size_t stdin_left;
	struct event *stdin_event, *deadline, *grace, *drain, *finish, *sweep;
	struct rundown rundown;
	bool exited;
	bool drained;	    /* the time for the rest of the output is over */
	unsigned late;	    /* reads of what was there then */
	bool settled;	    /* of what it started nothing is left that has to go */
	int64_t give_up_ms; /* 0: the grace is not over */
	unsigned nobody;    /* looks in a row that found none */
	run_end_fn *end;
	void *arg;
};

static void
drop_event(struct event **ev)
{
	if (*ev)
		event_free(*ev);
	*ev = NULL;
}

static void
check_done(struct run *r)
{
	if (r->exited && r->settled && r->out.fd < 0 && r->err.fd < 0)
		event_active(r->finish, EV_TIMEOUT, 0);
}

/* ---------------------------------------------------------------- output */

static void
close_stream(struct stream *s)
{
	drop_event(&s->event);
	mem_cleanup_fd(&s->fd);
	check_done(s->run);
}

/* What output_fn did not take yet is waited for, however long; what else is there is read. */
static void
check_drained(struct run *r)
{
	bool more = sink_has_more(&r->out.sink) || sink_has_more(&r->err.sink);

	if (!r->drained || r->out.sink.stopped || r->err.sink.stopped)
		return;
	if (!more || r->late++ >= LATE_MAX)
		event_active(r->finish, EV_TIMEOUT, 0);
}

static void
take_output(struct stream *s)
{
	int n = sink_take(&s->sink, s->fd);

	if (n <= 0)
		close_stream(s);
	else if (n == SINK_STOPPED)
		event_del(s->event);
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	take_output(s);
	check_drained(s->run);
}

static void
stream_flow(struct stream *s, bool on)
{
	s->sink.stopped = !on;
	if (s->fd < 0)
		return;
	if (!on) {
		event_del(s->event);
		return;
	}
	event_add(s->event, NULL);
	event_active(s->event, EV_READ, 0); /* what was held needs no new output */
}

void
run_flow(struct run *r, bool on)
{
	stream_flow(&r->out, on);
	stream_flow(&r->err, on);
}

static int
to_plugin(void *arg, const void *data, size_t len)
{
	struct stream *s = arg;
	const struct ssm_spawn *spec = &s->run->spec;

	int32_t r;

	if (!spec->output_fn) /* it no longer wants to know */
		return 0;
	r = spec->output_fn(&s->run->owner->ssm, s->number, data, len, spec->output_arg);
	/* Who waits in spawn() cannot say that it goes on. */
	return r == -EAGAIN && !s->run->host->event_driven ? -EPIPE : r;
}

static int
to_log(void *arg, const void *data, size_t len)
{
	struct stream *s = arg;
	autofree char *text = text_escape_controls(data, len > 1024 ? 1024 : len);

	log_info("output", "%s of process %d: %s", s->number == SSM_STDOUT ? "stdout" : "stderr",
		 (int)s->run->pid, text);
	return 0;
}

/* To an fd of the caller, its function, the step's output, or the log: the first there is. */
static int
aim_sink(struct stream *s, uint32_t flag, int fd, struct err *e)
{
	struct run *r = s->run;
	const struct ssm_step *step = r->host->step;
	int step_fd = !step ? -1 : s->number == SSM_STDOUT ? step->out_fd : step->err_fd;

	if (!(r->spec.flags & flag))
		fd = r->spec.output_fn ? -1 : step_fd;
	if (fd < 0) {
		sink_init(&s->sink, -1, 0, r->spec.output_fn ? to_plugin : to_log, s);
		return 0;
	}
	s->own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 4);
	if (s->own_fd < 0)
		return err_set(e, -errno, "descriptor %d cannot be written to: %m", fd);
	sink_init(&s->sink, s->own_fd, r->spec.max_output, NULL, NULL);
	return 0;
}

static void
watch_stream(struct stream *s, int fd)
{
	s->fd = fd;
	s->event = event_new(s->run->host->base, fd, EV_READ | EV_PERSIST, on_output, s);
	event_add(s->event, NULL);
}

static int
open_stream(struct stream *s, int *ret_child_fd, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, -errno, "cannot make a pipe: %m");
	fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);
	fs_set_nonblock(fds[0], true);
	*ret_child_fd = fds[1];
	watch_stream(s, fds[0]);
	return 0;
}

/* ----------------------------------------------------------------- stdin */

static void
on_stdin(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;
	ssize_t n = write(fd, r->stdin_at, r->stdin_left);

	(void)what;
	if (n > 0) {
		r->stdin_at += n;
		r->stdin_left -= (size_t)n;
	}
	if (r->stdin_left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		drop_event(&r->stdin_event);
		mem_cleanup_fd(&r->stdin_fd);
	}
}

static int
open_stdin(struct run *r, int *ret_child_fd, struct err *e)
{
	int fds[2];

	if (r->spec.flags & SSM_SPAWN_STDIN_FD) {
		*ret_child_fd = fcntl(r->spec.stdin_fd, F_DUPFD_CLOEXEC, 4);
		return *ret_child_fd < 0 ? err_set(e, -errno, "stdin_fd cannot be used: %m") : 0;
	}
	if (!r->spec.stdin_data) {
		*ret_child_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return *ret_child_fd < 0 ? err_set(e, -errno, "cannot open '/dev/null': %m") : 0;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, -errno, "cannot make a pipe: %m");
	*ret_child_fd = fds[0];
	r->stdin_fd = fds[1];
	r->stdin_data = xmemdup(r->spec.stdin_data, r->spec.stdin_len);
	r->stdin_at = r->stdin_data;
	r->stdin_left = r->spec.stdin_len;
	fs_set_nonblock(r->stdin_fd, true);
	r->stdin_event = event_new(r->host->base, r->stdin_fd, EV_WRITE | EV_PERSIST, on_stdin, r);
	event_add(r->stdin_event, NULL);
	return 0;
}

/* ------------------------------------------------------------------- end */

static void
arm(struct event *ev, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	event_add(ev, &tv);
}

static bool
is_alone(const struct run *r)
{
	return r->host->runs.next == &r->link && r->link.next == &r->host->runs;
}

/* Whoever waits for the output waits a second: children in the background hold the pipes. */
static void
settle(struct run *r)
{
	r->settled = true;
	arm(r->drain, DRAIN_MS);
	check_done(r);
}

/* Not even KILL ends it: nobody waits for it any longer. */
static void
forget_child(struct run *r)
{
	if (r->exited)
		return;
	r->child = child_free(r->child);
	r->status = SIGKILL;
	r->exited = true;
}

/* Who was asked to end ends whole: what it started has the same grace, then it is killed until
 * nothing is left. */
static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;
	int left = rundown_signal(&r->rundown, is_alone(r), r->give_up_ms ? SIGKILL : 0);

	(void)fd;
	(void)what;
	child_reap();
	r->nobody = left == 0 ? r->nobody + 1 : 0;
	if (r->nobody < LOOKS && !(r->exited && rundown_is_empty()) &&
	    (!r->give_up_ms || clock_mono_ms() < r->give_up_ms)) {
		arm(r->sweep, SWEEP_MS);
		return;
	}
	if (left > 0) {
		log_error("host", "%d processes could not be ended", left);
		forget_child(r);
	}
	if (r->exited && !r->settled)
		settle(r);
}

static void
on_exit_of(void *arg, pid_t pid, int status)
{
	struct run *r = arg;

	(void)pid;
	r->child = NULL;
	r->status = status;
	r->exited = true;
	if (r->why)
		arm(r->sweep, 0);
	else
		settle(r);
}

static void
on_drained(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	r->drained = true;
	if (r->out.fd >= 0)
		take_output(&r->out);
	if (r->err.fd >= 0)
		take_output(&r->err);
	check_drained(r);
}

static void
on_grace_over(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	if (r->settled)
		return;
	r->give_up_ms = clock_mono_ms() + GIVE_UP_MS;
	(void)rundown_signal(&r->rundown, is_alone(r), SIGKILL);
	arm(r->sweep, SWEEP_MS);
}

static void
ask_to_end(struct run *r, int why)
{
	if (r->why || r->exited || r->pid <= 0)
		return;
	r->why = why;
	(void)rundown_signal(&r->rundown, is_alone(r), SIGTERM);
	if (r->pty) /* a shell at a terminal minds only that */
		(void)rundown_signal(&r->rundown, is_alone(r), SIGHUP);
	arm(r->grace, r->spec.grace_ms > 0 ? r->spec.grace_ms : r->host->grace_ms);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask_to_end(arg, SSM_END_TIMEOUT);
}

void
runs_cancel(struct host *h)
{
	list_each (it, tmp, &h->runs)
		ask_to_end(list_entry(it, struct run, link), SSM_END_CANCEL);
}

static void
fill_end(const struct run *r, struct ssm_end *ret)
{
	struct ssm_end end = {.size = sizeof(end)};
	const char *leftovers = host_info(r->host, "leftover-processes");
	bool kill_them = leftovers && strcmp(leftovers, "kill") == 0;

	if (WIFSIGNALED(r->status)) {
		end.how = SSM_END_SIGNAL;
		end.code = WTERMSIG(r->status);
	} else {
		end.how = SSM_END_EXIT;
		end.code = WEXITSTATUS(r->status);
	}
	if (r->why)
		end.how = r->why;
	if (!r->why)
		end.left = rundown_signal(&r->rundown, is_alone(r), kill_them ? SIGKILL : 0);
	if (kill_them)
		end.left = 0;
	if (end.left)
		log_info("host", "process %d left %d process(es) behind", (int)r->pid, end.left);
	*ret = end;
}

/* ----------------------------------------------------------------- start */

static char **
environment(struct run *r)
{
	static const char *const clean[] = {"PATH=" DEFAULT_PATH, "LANG=C.UTF-8", NULL};
	const char *const *from = r->spec.envp ? r->spec.envp : clean;
	const char *job = host_info(r->host, "job-id");
	char **envp = NULL;

	for (; *from; from++)
		strv_add(&envp, *from);
	/* The mark by which the agent finds what escaped from the process group. */
	if (job)
		strv_env_set(&envp, "SSM_JOB", job);
	return envp;
}

/* Not ours to write when we run as another user: then it stays in our own, which is the job's, too.
 */
static const char *
command_group(const struct host *h)
{
	const char *procs = host_info(h, "cgroup-procs");

	return procs && access(procs, W_OK) == 0 ? procs : NULL;
}

static int
start(struct run *r, const int *fds, struct err *e)
{
	struct proc_fd map[3];
	autostrv char **envp = environment(r);
	autostrv char **argv = NULL;
	struct proc_user user;
	struct proc_spec spec = {
		.path = r->spec.argv[0],
		.envp = envp,
		.cwd = r->spec.cwd ? r->spec.cwd : host_info(r->host, "work-dir"),
		.fds = map,
		.search = (r->spec.flags & SSM_SPAWN_SEARCH) != 0,
		.new_group = !r->pty,
		.new_session = r->pty != NULL,
		.tty = r->pty ? pty_path(r->pty) : NULL,
	};
	int res = 0;

	for (int to = 0; to < 3; to++)
		if (fds[to] >= 0)
			map[spec.fd_count++] = (struct proc_fd){fds[to], to};
	for (const char *const *a = r->spec.argv; *a; a++)
		strv_add(&argv, *a);
	if (r->spec.flags & SSM_SPAWN_LOGIN) {
		const char *slash = strrchr(argv[0], '/');
		char *name = xasprintf("-%s", slash ? slash + 1 : argv[0]);

		free(argv[0]);
		argv[0] = name;
	}
	spec.argv = argv;
	if (r->spec.run_as)
		res = host_user(r->host, r->spec.run_as, &user, e);
	if (res < 0)
		return res;
	spec.user = r->spec.run_as ? &user : NULL;
	spec.cgroup_procs = command_group(r->host);
	rundown_init(&r->rundown);
	r->pid = proc_spawn(&spec, e);
	if (r->pid < 0)
		return r->pid;
	r->rundown.pid = r->pid;
	r->child = child_watch(r->host->base, r->pid, on_exit_of, r, e);
	if (r->child)
		return 0;
	kill(-r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	return -EMFILE;
}

static void on_finish(evutil_socket_t fd, short what, void *arg);

static void
make_timers(struct run *r)
{
	struct event_base *base = r->host->base;
	int64_t timeout_ms = r->spec.timeout_ms;

	if (timeout_ms <= 0 && r->host->step)
		timeout_ms = r->host->step->timeout_ms;
	r->finish = evtimer_new(base, on_finish, r);
	r->drain = evtimer_new(base, on_drained, r);
	r->grace = evtimer_new(base, on_grace_over, r);
	r->sweep = evtimer_new(base, on_sweep, r);
	r->deadline = evtimer_new(base, on_late, r);
	if (timeout_ms > 0)
		arm(r->deadline, timeout_ms);
}

static int
open_pipes(struct run *r, int fds[3], struct err *e)
{
	int res = open_stdin(r, &fds[0], e);

	if (res == 0)
		res = open_stream(&r->out, &fds[1], e);
	if (res == 0)
		res = open_stream(&r->err, &fds[2], e);
	return res;
}

/* What is not split is the program's own to open. */
static int
open_terminal(struct run *r, int fds[3], struct err *e)
{
	int fd;

	r->pty = pty_new(r->host->base, r->spec.cols, r->spec.rows, e);
	fd = r->pty ? pty_reader(r->pty) : e->code;
	if (fd < 0)
		return r->pty ? err_set(e, fd, "no descriptor for a terminal is left") : fd;
	watch_stream(&r->out, fd);
	return r->spec.flags & SSM_SPAWN_SPLIT ? open_stream(&r->err, &fds[2], e) : 0;
}

static int
start_typing(struct run *r, struct err *e)
{
	bool from_fd = (r->spec.flags & SSM_SPAWN_STDIN_FD) != 0;

	if (!r->pty)
		return 0;
	return pty_type(r->pty, r->spec.stdin_data, r->spec.stdin_data ? r->spec.stdin_len : 0,
			from_fd ? r->spec.stdin_fd : -1, e);
}

static int
open_all(struct run *r, struct err *e)
{
	int fds[3] = {-1, -1, -1};
	int res;

	r->out.run = r->err.run = r;
	r->out.number = SSM_STDOUT;
	r->err.number = SSM_STDERR;
	if (r->spec.flags & SSM_SPAWN_PTY)
		res = open_terminal(r, fds, e);
	else
		res = open_pipes(r, fds, e);
	if (res == 0)
		res = aim_sink(&r->out, SSM_SPAWN_STDOUT_FD, r->spec.stdout_fd, e);
	if (res == 0)
		res = aim_sink(&r->err, SSM_SPAWN_STDERR_FD, r->spec.stderr_fd, e);
	if (res == 0) {
		make_timers(r);
		res = start(r, fds, e);
	}
	if (res == 0)
		res = start_typing(r, e);
	for (size_t i = 0; i < NELEMS(fds); i++)
		mem_cleanup_fd(&fds[i]);
	return res;
}

void
run_free(struct run *r)
{
	if (!r)
		return;
	list_remove(&r->link);
	if (r->child)
		kill(-r->pid, SIGKILL);
	child_free(r->child);
	drop_event(&r->out.event);
	drop_event(&r->err.event);
	drop_event(&r->stdin_event);
	drop_event(&r->deadline);
	drop_event(&r->grace);
	drop_event(&r->drain);
	drop_event(&r->finish);
	drop_event(&r->sweep);
	rundown_done(&r->rundown);
	pty_free(r->pty);
	sink_done(&r->out.sink);
	sink_done(&r->err.sink);
	mem_cleanup_fd(&r->out.fd);
	mem_cleanup_fd(&r->err.fd);
	mem_cleanup_fd(&r->out.own_fd);
	mem_cleanup_fd(&r->err.own_fd);
	mem_cleanup_fd(&r->stdin_fd);
	free(r->stdin_data);
	free(r);
}

static void
on_finish(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;
	run_end_fn *end = r->end;
	void *end_arg = r->arg;
	struct ssm_end how;

	(void)fd;
	(void)what;
	sink_finish(&r->out.sink);
	sink_finish(&r->err.sink);
	fill_end(r, &how);
	run_free(r);
	child_reap();
	if (end)
		end(end_arg, &how);
}

static int32_t
check_spec(struct ssm *S, const struct ssm_spawn *s)
{
	if (!s || s->size < offsetof(struct ssm_spawn, stdin_fd) || !s->argv || !s->argv[0])
		return ssm_fail(S, -EINVAL, "spawn needs a size and a program");
	if ((s->flags & (SSM_SPAWN_PTY | SSM_SPAWN_SPLIT)) == SSM_SPAWN_SPLIT)
		return ssm_fail(S, -EINVAL, "SSM_SPAWN_SPLIT needs SSM_SPAWN_PTY");
	return 0;
}

int32_t
run_start(struct ssm *S, const struct ssm_spawn *s, run_end_fn *end, void *arg, struct run **ret)
{
	struct err e = {0, ""};
	int32_t res = check_spec(S, s);
	struct run *r;

	if (res < 0)
		return res;
	r = xcalloc(1, sizeof(*r));
	r->host = host_instance(S)->host;
	r->owner = host_instance(S);
	r->end = end;
	r->arg = arg;
	r->out.fd = r->err.fd = r->stdin_fd = r->out.own_fd = r->err.own_fd = -1;
	memcpy(&r->spec, s, s->size < sizeof(r->spec) ? s->size : sizeof(r->spec));
	list_append(&r->host->runs, &r->link);
	res = open_all(r, &e);
	if (res < 0) {
		run_free(r);
		return ssm_fail(S, res, "%s", err_text(&e));
	}
	if (r->host->cancelled)
		ask_to_end(r, SSM_END_CANCEL);
	*ret = r;
	return 0;
}

void
run_abandon(struct run *r)
{
	r->end = NULL;
	r->spec.output_fn = NULL;
	run_flow(r, true);
	ask_to_end(r, SSM_END_CANCEL);
}

int32_t
run_signal(const struct run *r, int32_t sig)
{
	return r->exited || kill(r->pid, sig) < 0 ? -ESRCH : 0;
}

int32_t
run_resize(const struct run *r, uint32_t cols, uint32_t rows)
{
	return r->pty ? pty_resize(r->pty, cols, rows) : -EINVAL;
}

struct waiting {
	bool done;
	struct ssm_end end;
};

static void
on_waited(void *arg, const struct ssm_end *end)
{
	struct waiting *w = arg;

	w->done = true;
	w->end = *end;
}

int32_t
api_spawn(struct ssm *S, const struct ssm_spawn *s, struct ssm_end *ret)
{
	struct waiting w = {.done = false};
	struct run *r = NULL;
	int32_t res = host_may_block(S);

	if (res == 0)
		res = run_start(S, s, on_waited, &w, &r);
	if (res < 0)
		return res;
	host_wait(host_instance(S)->host, &w.done);
	w.end.size = ret->size;
	memcpy(ret, &w.end, ret->size < sizeof(w.end) ? ret->size : sizeof(w.end));
	return 0;
}
