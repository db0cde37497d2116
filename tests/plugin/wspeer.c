/* SPDX-License-Identifier: Apache-2.0 */
/* A loop for plugin code, and the peer of a WebSocket in a process of its own. */
#include "tests/plugin/wspeer.h"

#include <check.h>
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
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/host/host.h"

void
looplab_init(struct looplab *l)
{
	signal(SIGPIPE, SIG_IGN); /* as the host does */
	l->base = event_base_new();
	l->host = host_new(l->base);
	l->host->event_driven = true;
	l->instance = xcalloc(1, sizeof(*l->instance));
	l->instance->host = l->host;
	l->instance->ssm.api = host_api();
	l->S = &l->instance->ssm;
}

void
looplab_done(struct looplab *l)
{
	watches_free(l->host);
	host_free(l->host);
	free(l->instance->error);
	free(l->instance);
	event_base_free(l->base);
}

bool
looplab_run(struct looplab *l, const bool *done, int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	while (!*done && clock_mono_ms() < end) {
		struct timeval tv;

		clock_timeval(end - clock_mono_ms() + 1, &tv);
		event_base_loopexit(l->base, &tv);
		event_base_loop(l->base, EVLOOP_ONCE);
	}
	return *done;
}

void
wspeer_start(struct wspeer *p, const char *name)
{
	const char *top = secure_getenv("top_srcdir");
	char cwd[4096], number[16] = "";
	autofree char *script = xasprintf("%s/%s/tests/plugin/wspeer.py",
					  top && *top == '/' ? "" : getcwd(cwd, sizeof(cwd)),
					  top ? top : ".");
	int pipe_fds[2];
	ssize_t n;

	snprintf(p->folder, sizeof(p->folder), "/tmp/t_ws.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->folder));
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	char *argv[] = { (char *)"python3", (char *)"-I", script, (char *)(uintptr_t)name,
			 p->folder, NULL };
	char *envp[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	const struct proc_fd fds[] = { { pipe_fds[1], 1 }, { 2, 2 } };
	const struct proc_spec spec = { .path = "python3", .argv = argv, .envp = envp, .fds = fds,
					.fd_count = NELEMS(fds), .search = true };

	p->pid = proc_spawn(&spec, NULL);
	ck_assert_int_gt(p->pid, 0);
	close(pipe_fds[1]);
	n = read(pipe_fds[0], number, sizeof(number) - 1);
	ck_assert_int_gt(n, 1);
	close(pipe_fds[0]);
	p->port = (int)strtol(number, NULL, 10);
}

int
wspeer_end(struct wspeer *p)
{
	int status = -1;

	ck_assert_int_eq(waitpid(p->pid, &status, 0), p->pid);
	fs_remove_tree(AT_FDCWD, p->folder, NULL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}
