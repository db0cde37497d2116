/* SPDX-License-Identifier: Apache-2.0 */
/* The host is a subreaper: whoever outlives its parent becomes our child, and ends some day. */
#include "core/host/reaper.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"

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

static pid_t
group_of(const char *pid_name)
{
	autofree char *path = xasprintf("/proc/%s/stat", pid_name);
	char text[512];
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	const char *p;
	int parent = 0, group = -1;

	if (n <= 0)
		return -1;
	text[n] = '\0';
	p = strrchr(text, ')');
	/* "pid (name) state ppid pgrp": a zombie is gone already. */
	if (!p || !p[1] || p[2] == 'Z' || sscanf(p + 3, "%d %d", &parent, &group) != 2)
		return -1;
	return group;
}

int
reaper_count_group(pid_t group)
{
	const struct dirent *entry;
	DIR *d;
	int n = 0;

	if (kill(-group, 0) < 0 && errno == ESRCH)
		return 0;
	d = opendir("/proc");
	while (d && (entry = readdir(d)))
		if (isdigit((unsigned char)entry->d_name[0]) && group_of(entry->d_name) == group)
			n++;
	if (d)
		closedir(d);
	return n;
}
