/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd as a plain fd event; before Linux 5.3, one SIGCHLD signalfd that asks each watched pid.
 *
 * Children that nobody watches are discarded from here, too: a second signalfd elsewhere would take
 * the one SIGCHLD from this one, and the end of a watched child would go unseen.
 */
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
	struct list link; /* in sigchld.watched, or alone */
	struct event *event;
	int pidfd;
	bool stranger;
	struct proc_id id;
	pid_t pid;
	child_fn *done;
	void *arg;
};

/* Why global: SIGCHLD and children are one set per process, and a process has one loop. */
static struct {
	struct list watched; /* children of ours */
	struct event *event;
	int fd;
	bool reaps; /* whom nobody watches, too */
} sigchld = {LIST_INIT(sigchld.watched), NULL, -1, false};

static bool
needs_sigchld(void)
{
	list_each (it, tmp, &sigchld.watched)
		if (list_entry(it, struct child, link)->pidfd < 0)
			return true;
	return sigchld.reaps;
}

static void
stop_sigchld(void)
{
	if (!sigchld.event)
		return;
	event_free(sigchld.event);
	sigchld.event = NULL;
	mem_cleanup_fd(&sigchld.fd);
}

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
	if (!needs_sigchld())
		stop_sigchld();
	else if (sigchld.reaps) /* it may have ended, and hidden others */
		event_active(sigchld.event, EV_READ, 0);
	return NULL;
}

bool
child_is_watched(pid_t pid)
{
	list_each (it, tmp, &sigchld.watched)
		if (list_entry(it, struct child, link)->pid == pid)
			return true;
	return false;
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
	list_each (it, tmp, &sigchld.watched) {
		struct child *c = list_entry(it, struct child, link);
		int status;

		if (c->pidfd >= 0 || !has_ended(c, &status))
			continue;
		finish(c, status);
		return true;
	}
	return false;
}

void
child_reap(void)
{
	siginfo_t who;

	while (sigchld.reaps) {
		memset(&who, 0, sizeof(who));
		if (waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT) < 0 || who.si_pid == 0)
			return;
		/* Its watch takes it and brings us back. */
		if (child_is_watched(who.si_pid))
			return;
		waitpid(who.si_pid, NULL, WNOHANG);
	}
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
	child_reap();
}

static int
start_sigchld(struct event_base *base, struct err *e)
{
	sigset_t set;

	if (sigchld.event)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigchld.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigchld.fd < 0)
		return err_set(e, -errno, "cannot watch child processes: %m");
	sigchld.event = event_new(base, sigchld.fd, EV_READ | EV_PERSIST, on_sigchld, NULL);
	event_add(sigchld.event, NULL);
	/* One that ended before the signalfd was there. */
	event_active(sigchld.event, EV_READ, 0);
	return 0;
}

int
child_reap_start(struct event_base *base, struct err *e)
{
	int r = start_sigchld(base, e);

	sigchld.reaps = r == 0;
	return r;
}

void
child_reap_stop(void)
{
	sigchld.reaps = false;
	if (!needs_sigchld())
		stop_sigchld();
}

static struct child *
watch_without_pidfd(struct event_base *base, struct child *c, struct err *e)
{
	const struct timeval often = {0, STRANGER_POLL_MS * 1000};

	if (!c->stranger)
		return start_sigchld(base, e) < 0 ? child_free(c) : c;
	c->event = event_new(base, -1, EV_PERSIST, on_poll, c);
	event_add(c->event, &often);
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
	if (!stranger)
		list_append(&sigchld.watched, &c->link);
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
