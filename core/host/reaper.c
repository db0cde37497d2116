/* SPDX-License-Identifier: Apache-2.0 */
/* The host is a subreaper: whoever outlives its parent becomes our child, and ends some day. */
#include "core/host/reaper.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Why global: children belong to the process, and a process has one loop. */
static struct {
	reaper_known_fn *known;
	void *arg;
	struct event *event;
} reaper;

void
reaper_run(void)
{
	siginfo_t who;

	while (reaper.known) {
		memset(&who, 0, sizeof(who));
		if (waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT) < 0 || who.si_pid == 0)
			return;
		/* It is taken by its watch, which brings us back. */
		if (reaper.known(reaper.arg, who.si_pid))
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
	reaper_run();
}

int
reaper_start(struct event_base *base, reaper_known_fn *known, void *arg, struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_set(e, -errno, "cannot watch child processes: %m");
	reaper.known = known;
	reaper.arg = arg;
	reaper.event = event_new(base, fd, EV_READ | EV_PERSIST, on_sigchld, NULL);
	event_add(reaper.event, NULL);
	return 0;
}
