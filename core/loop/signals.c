/* SPDX-License-Identifier: Apache-2.0 */
/* Signals by signalfd. libevent's own signal events need handlers, and those never run for signals
 * that are blocked, as ours are. */
#include "core/loop/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/mem.h"

struct signals {
	struct event *event;
	int fd;
	signals_fn *fn;
	void *arg;
};

void
signals_block(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < NELEMS(fatal); i++)
		sigdelset(&set, fatal[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signals *s = arg;
	struct signalfd_siginfo info;

	(void)what;
	/* One at a time: the callback may free us, and more of them make the fd readable again. */
	if (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		s->fn(s->arg, (int)info.ssi_signo);
}

struct signals *
signals_new(struct event_base *base, const int *sigs, signals_fn *fn, void *arg, struct err *e)
{
	struct signals *s = xcalloc(1, sizeof(*s));
	sigset_t set;

	sigemptyset(&set);
	for (; *sigs; sigs++)
		sigaddset(&set, *sigs);
	s->fn = fn;
	s->arg = arg;
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd < 0) {
		err_set(e, -errno, "cannot receive signals: %m");
		return signals_free(s);
	}
	s->event = event_new(base, s->fd, EV_READ | EV_PERSIST, on_signal, s);
	event_add(s->event, NULL);
	return s;
}

struct signals *
signals_free(struct signals *s)
{
	if (!s)
		return NULL;
	if (s->event)
		event_free(s->event);
	mem_cleanup_fd(&s->fd);
	free(s);
	return NULL;
}
