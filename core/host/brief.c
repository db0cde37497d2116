/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a program and for what it writes, both up to one deadline. */
#include "core/host/brief.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"

#define FOLDERS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LOOK_MS 10 /* where the kernel does not tell of an end */

struct wait {
	pid_t pid;
	int fd, pidfd; /* -1: at its end; the kernel has none */
	int64_t deadline_ms;
	struct sbuf *out;
};

/* All that is there; at its end the descriptor is given up. */
static void
take(struct wait *w)
{
	char chunk[4096];
	ssize_t n;

	while (w->fd >= 0 && (n = read(w->fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			(void)sbuf_add(w->out, chunk, (size_t)n);
	}
	mem_cleanup_fd(&w->fd);
}

/* 1: it has ended, 0: not yet. */
static int
ended(const struct wait *w, int *ret_status)
{
	pid_t r;

	do
		r = waitpid(w->pid, ret_status, WNOHANG);
	while (r < 0 && errno == EINTR);
	return r != 0;
}

static int
wait_for_end(struct wait *w, int *ret_status)
{
	while (!ended(w, ret_status)) {
		int64_t left = w->deadline_ms - clock_mono_ms();
		struct pollfd p[] = { { .fd = w->fd, .events = POLLIN },
				      { .fd = w->pidfd, .events = POLLIN } };

		if (left <= 0)
			return -ETIMEDOUT;
		if (w->pidfd < 0 && left > LOOK_MS)
			left = LOOK_MS;
		(void)poll(p, NELEMS(p), (int)left);
		take(w);
	}
	take(w);
	return 0;
}

static pid_t
start(char *const *argv, int out, struct err *e)
{
	static char *const envp[] = { (char *)"PATH=" FOLDERS, (char *)"LANG=C.UTF-8", NULL };
	const struct proc_fd fds[] = { { out, 1 }, { out, 2 } };
	const struct proc_spec spec = { .path = argv[0],
					.argv = argv,
					.envp = envp,
					.fds = fds,
					.fd_count = NELEMS(fds),
					.search = true,
					.new_group = true };

	return proc_spawn(&spec, e);
}

int
brief_run(char *const *argv, int64_t timeout_ms, struct sbuf *out, struct err *e)
{
	struct wait w = { .deadline_ms = clock_mono_ms() + timeout_ms, .out = out };
	int fds[2], status = 0, r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, -errno, "cannot make a pipe: %m");
	w.fd = fds[0];
	w.pid = start(argv, fds[1], e);
	close(fds[1]);
	if (w.pid < 0) {
		close(w.fd);
		return w.pid;
	}
	(void)fs_set_nonblock(w.fd, true);
	w.pidfd = proc_pidfd(w.pid);
	r = wait_for_end(&w, &status);
	if (r < 0) {
		(void)kill(-w.pid, SIGKILL);
		(void)waitpid(w.pid, &status, 0);
		r = err_set(e, r, "'%s' was not done within %d s", argv[0],
			    (int)(timeout_ms / 1000));
	}
	mem_cleanup_fd(&w.fd);
	mem_cleanup_fd(&w.pidfd);
	return r < 0 ? r : status;
}

char *
brief_find(const char *name)
{
	autostrv char **folders = strv_split(FOLDERS, ":");

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
	for (char **f = folders; f && *f; f++) {
		autofree char *path = xasprintf("%s/%s", *f, name);

		if (access(path, X_OK) == 0)
			return TAKE(path);
	}
	return NULL;
}
