/* SPDX-License-Identifier: Apache-2.0 */
/* Describing a plugin in a process of its own: constructors of a strange file run there, not here.
 */
#include "core/agent/describe.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "core/loop/child.h"

#define DEADLINE_MS 5000
#define OUTPUT_MAX (1u << 20)
#define ERRORS_MAX 4096u
#define FILE_FD 3
#define FILE_PATH "/proc/self/fd/3"

struct describe {
	struct event_base *base;
	struct child *child;
	struct event *out_event, *err_event, *timer;
	int out_fd, err_fd;
	struct sbuf out, err;
	bool late;
	describe_fn *done;
	void *arg;
};

static void
free_event(struct event **ev)
{
	if (*ev)
		event_free(*ev);
	*ev = NULL;
}

struct describe *
describe_free(struct describe *d)
{
	if (!d)
		return NULL;
	if (d->child)
		child_signal(d->child, SIGKILL);
	child_free(d->child);
	free_event(&d->out_event);
	free_event(&d->err_event);
	free_event(&d->timer);
	mem_cleanup_fd(&d->out_fd);
	mem_cleanup_fd(&d->err_fd);
	sbuf_done(&d->out);
	sbuf_done(&d->err);
	free(d);
	return NULL;
}

static void
drain(struct sbuf *b, int fd, struct event *ev)
{
	ssize_t n;

	do
		n = sbuf_read(b, fd, 65536);
	while (n > 0);
	if (n != -EAGAIN)
		event_del(ev);
}

static void
on_out(evutil_socket_t fd, short what, void *arg)
{
	struct describe *d = arg;

	(void)what;
	drain(&d->out, fd, d->out_event);
}

/* Beyond the ceiling the rest is dropped: only the first lines say why. */
static void
on_err(evutil_socket_t fd, short what, void *arg)
{
	struct describe *d = arg;

	(void)what;
	drain(&d->err, fd, d->err_event);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct describe *d = arg;

	(void)fd;
	(void)what;
	d->late = true;
	child_signal(d->child, SIGKILL);
}

static char *
failure(const struct describe *d, int status)
{
	autofree char *said = xstrdup(sbuf_str(&d->err));
	char *text = text_trim(said);

	if (d->late)
		return xasprintf("it did not describe itself within %d s", DEADLINE_MS / 1000);
	if (WIFSIGNALED(status))
		return xasprintf("it crashed while being described (%s)",
				 strsignal(WTERMSIG(status)));
	if (*text)
		return text_escape_controls(text, strlen(text));
	return xasprintf("it could not be described (exit status %d)", WEXITSTATUS(status));
}

static void
on_end(void *arg, pid_t pid, int status)
{
	struct describe *d = arg;
	describe_fn *done = d->done;
	void *done_arg = d->arg;
	autojson json_t *descriptor = NULL;
	autofree char *reason = NULL;
	struct err e = {0, ""};

	(void)pid;
	d->child = NULL;
	drain(&d->out, d->out_fd, d->out_event);
	drain(&d->err, d->err_fd, d->err_event);
	if (status != 0 || d->late)
		reason = failure(d, status);
	else if (d->out.err)
		reason = xstrdup("its description is too large");
	else if (!(descriptor = json_parse(sbuf_str(&d->out), d->out.len, "its description", &e)))
		reason = xstrdup(err_text(&e));
	describe_free(d);
	done(done_arg, descriptor, reason);
}

static int
open_pipe(struct event_base *base, int *ret_ours, int *ret_theirs, struct event **ret_event,
	  event_callback_fn fn, void *arg)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fs_set_nonblock(fds[0], true);
	*ret_ours = fds[0];
	*ret_theirs = fds[1];
	*ret_event = event_new(base, fds[0], EV_READ | EV_PERSIST, fn, arg);
	event_add(*ret_event, NULL);
	return 0;
}

static int
spawn(struct describe *d, const char *host_path, int fd, struct err *e)
{
	char *argv[] = {(char *)"ssm-plugin-host", (char *)"--describe", (char *)FILE_PATH, NULL};
	char *builtin[] = {argv[0], (char *)"--builtin", NULL};
	char *envp[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LD_BIND_NOW=1",
			NULL};
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autoclose int out = -1, err = -1;
	struct proc_spec spec = {
		.path = host_path, .argv = fd < 0 ? builtin : argv, .envp = envp};
	struct timeval deadline;
	pid_t pid;

	if (open_pipe(d->base, &d->out_fd, &out, &d->out_event, on_out, d) < 0 ||
	    open_pipe(d->base, &d->err_fd, &err, &d->err_event, on_err, d) < 0)
		return err_set(e, -errno, "cannot make a pipe: %m");
	struct proc_fd fds[] = {{null, 0}, {out, 1}, {err, 2}, {fd, FILE_FD}};
	spec.fds = fds;
	spec.fd_count = NELEMS(fds) - (fd < 0);
	pid = proc_spawn(&spec, e);
	if (pid < 0)
		return pid;
	d->child = child_watch(d->base, pid, on_end, d, e);
	if (!d->child)
		return -EMFILE;
	clock_timeval(DEADLINE_MS, &deadline);
	event_add(d->timer, &deadline);
	return 0;
}

struct describe *
describe_start(struct event_base *base, const char *host_path, int fd, describe_fn *done, void *arg,
	       struct err *e)
{
	struct describe *d = xcalloc(1, sizeof(*d));

	d->base = base;
	d->out_fd = d->err_fd = -1;
	d->done = done;
	d->arg = arg;
	sbuf_init(&d->out, OUTPUT_MAX);
	sbuf_init(&d->err, ERRORS_MAX);
	d->timer = evtimer_new(base, on_deadline, d);
	return spawn(d, host_path, fd, e) < 0 ? describe_free(d) : d;
}
