/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd as a plain fd event; before Linux 5.3, one SIGCHLD signalfd that asks each watched pid. */
#include "core/loop/child.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/proc.h"

#define STRANGER_POLL_MS 500 /* without pidfd a stranger's end has no event */

struct child {
	struct list link; /* in fallback.children, or alone */
	struct event *event;
	int pidfd;
	bool stranger;
	struct proc_id id;
	pid_t pid;
	child_fn *done;
	void *arg;
};

/* Why global: SIGCHLD is one per process, and a process has one loop. */
static struct {
	struct list children;
	struct event *event;
	int fd;
} fallback = {LIST_INIT(fallback.children), NULL, -1};

struct child *
child_free(struct child *c)
{
	if (!c)
		return NULL;
	list_remove(&c->link);
	if (c->event)
		event_free(c->event);
	mem_cleanup_fd(&c->pidfd);
	free(c);
	if (list_empty(&fallback.children) && fallback.event) {
		event_free(fallback.event);
		fallback.event = NULL;
		mem_cleanup_fd(&fallback.fd);
	}
	return NULL;
}

static void
finish(struct child *c, int status)
{
	child_fn *done = c->done;
	void *arg = c->arg;
	pid_t pid = c->pid;

	child_free(c);
	done(arg, pid, status);
}

/* True when it has ended (and was reaped, if it is ours). */
static bool
has_ended(const struct child *c, int *ret_status)
{
	pid_t r;

	*ret_status = -1;
	if (c->stranger)
		return !proc_alive(&c->id);
	do
		r = waitpid(c->pid, ret_status, WNOHANG);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		*ret_status = -1;
	return r != 0;
}

static void
on_pidfd(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	int status;

	(void)fd;
	(void)what;
	if (c->stranger)
		finish(c, -1);
	else if (has_ended(c, &status))
		finish(c, status);
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	int status;

	(void)fd;
	(void)what;
	if (has_ended(c, &status))
		finish(c, status);
}

/* A callback may free any watch, so the walk begins anew after each end. */
static bool
finish_one(void)
{
	list_each (it, tmp, &fallback.children) {
		struct child *c = list_entry(it, struct child, link);
		int status;

		if (!has_ended(c, &status))
			continue;
		finish(c, status);
		return true;
	}
	return false;
}

static void
on_sigchld(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;

	(void)what;
	(void)arg;
	while (read(fd, &info, sizeof(info)) > 0)
		;
	while (finish_one())
		;
}

static int
start_fallback(struct event_base *base, struct err *e)
{
	sigset_t set;

	if (fallback.event)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fallback.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fallback.fd < 0)
		return err_set(e, -errno, "cannot watch child processes: %m");
	fallback.event = event_new(base, fallback.fd, EV_READ | EV_PERSIST, on_sigchld, NULL);
	event_add(fallback.event, NULL);
	/* One that ended before the signalfd was there. */
	event_active(fallback.event, EV_READ, 0);
	return 0;
}

static struct child *
watch_without_pidfd(struct event_base *base, struct child *c, struct err *e)
{
	const struct timeval often = {0, STRANGER_POLL_MS * 1000};

	if (c->stranger) {
		c->event = event_new(base, -1, EV_PERSIST, on_poll, c);
		event_add(c->event, &often);
		return c;
	}
	if (start_fallback(base, e) < 0)
		return child_free(c);
	list_append(&fallback.children, &c->link);
	return c;
}

static struct child *
watch(struct event_base *base, pid_t pid, bool stranger, child_fn *done, void *arg, struct err *e)
{
	struct child *c = xcalloc(1, sizeof(*c));

	list_init(&c->link);
	c->pid = pid;
	c->stranger = stranger;
	c->done = done;
	c->arg = arg;
	proc_identify(pid, &c->id);
	c->pidfd = proc_pidfd(pid);
	if (c->pidfd == -ENOSYS)
		return watch_without_pidfd(base, c, e);
	if (c->pidfd < 0) {
		err_set(e, c->pidfd, "cannot watch process %d: %s", (int)pid, strerror(-c->pidfd));
		return child_free(c);
	}
	c->event = event_new(base, c->pidfd, EV_READ | EV_PERSIST, on_pidfd, c);
	event_add(c->event, NULL);
	return c;
}

struct child *
child_watch(struct event_base *base, pid_t pid, child_fn *done, void *arg, struct err *e)
{
	return watch(base, pid, false, done, arg, e);
}

struct child *
child_watch_stranger(struct event_base *base, pid_t pid, child_fn *done, void *arg, struct err *e)
{
	return watch(base, pid, true, done, arg, e);
}

int
child_signal(const struct child *c, int sig)
{
	if (c->pidfd >= 0)
		return syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
	return proc_signal(&c->id, sig);
}
