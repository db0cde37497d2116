/* SPDX-License-Identifier: Apache-2.0 */
/* Ends what is left of a job: its control group, where there is one; everything of its host's
 * session, everything that carries its marker, and their descendants; looked for again until
 * nothing is found. */
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/agent/cgroup.h"
#include "core/agent/hostproc.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/proctable.h"

#define GIVE_UP_MS 30000
#define PAUSE_MIN_MS 5
#define PAUSE_MAX_MS 500
/* A look at /proc is no picture of one moment: who forks or execs just then is missed. */
#define LOOKS 3u
#define ENVIRON_MAX (256 * 1024)

struct contain {
	struct cgroup *cgroup;
	char *job_id;
	struct proc_id host;
	struct event *timer;
	int64_t give_up_ms, pause_ms;
	unsigned nobody; /* looks in a row that found none */
	contain_done_fn *done;
	void *arg;
};

/* The whole variable, or one of a nested job: "SSM_JOB=ID/2". */
static bool
has_marker(const char *env, size_t len, const char *marker)
{
	size_t n = strlen(marker);
	const char *end = env + len;

	for (const char *p = env; p < end;) {
		const char *nul = memchr(p, '\0', (size_t)(end - p));
		size_t one = nul ? (size_t)(nul - p) : (size_t)(end - p);

		if (one >= n && memcmp(p, marker, n) == 0 && (one == n || p[n] == '/'))
			return true;
		p += one + 1;
	}
	return false;
}

static bool
carries_marker(pid_t pid, const char *marker)
{
	char path[64];
	autofree char *env = NULL;
	size_t len = 0;
	ssize_t n = 1;

	(void)snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	env = xmalloc(ENVIRON_MAX);
	while (n > 0 && len < ENVIRON_MAX) {
		n = read(fd, env + len, ENVIRON_MAX - len);
		if (n > 0)
			len += (size_t)n;
	}
	return has_marker(env, len, marker);
}

/* Only what was started after the host can be of the job, which spares most of /proc a closer look.
 */
static void
mark(const char *marker, const struct proc_id *host, struct proc_table *t)
{
	const struct proc_entry *leader = proctable_find(t, host->pid);
	/* Somebody else has its number by now: its session is not the host's. */
	bool by_session = host->pid > 0 && (!leader || leader->id.start == host->start);

	for (size_t i = 0; i < t->count; i++) {
		struct proc_entry *en = &t->v[i];

		if (en->id.start < host->start)
			continue;
		en->ours = (by_session && en->sid == host->pid) ||
			carries_marker(en->id.pid, marker);
	}
	proctable_add_descendants(t);
}

/* The group tells for sure; who left it, which root may, is looked for all the same. */
static int
end_all(struct cgroup *cgroup, const char *job_id, const struct proc_id *host)
{
	autofree char *marker = xasprintf("SSM_JOB=%s", job_id);
	struct proc_table t = { 0 };
	int inside = cgroup_kill(cgroup, job_id), found;

	proctable_read(&t);
	mark(marker, host, &t);
	found = proctable_signal(&t, SIGKILL);
	proctable_done(&t);
	return found > inside ? found : inside;
}

int
contain_once(struct cgroup *cgroup, const char *job_id, const struct proc_id *host)
{
	return strcmp(host->boot, proc_boot_id()) == 0 ? end_all(cgroup, job_id, host) : 0;
}

static void
again(struct contain *c, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	(void)event_add(c->timer, &tv);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct contain *c = arg;
	int left = contain_once(c->cgroup, c->job_id, &c->host);

	(void)fd;
	(void)what;
	c->nobody = left == 0 ? c->nobody + 1 : 0;
	if (c->nobody >= LOOKS || clock_mono_ms() >= c->give_up_ms) {
		contain_done_fn *done = c->done;
		void *done_arg = c->arg;

		contain_cancel(c);
		done(done_arg, left);
		return;
	}
	again(c, c->pause_ms);
	if (c->pause_ms < PAUSE_MAX_MS)
		c->pause_ms *= 2;
}

struct contain *
contain_start(struct event_base *base, struct cgroup *cgroup, const char *job_id,
	      const struct proc_id *host, contain_done_fn *done, void *arg)
{
	struct contain *c = xcalloc(1, sizeof(*c));

	c->cgroup = cgroup;
	c->job_id = xstrdup(job_id);
	c->host = *host;
	c->done = done;
	c->arg = arg;
	c->pause_ms = PAUSE_MIN_MS;
	c->give_up_ms = clock_mono_ms() + GIVE_UP_MS;
	c->timer = evtimer_new(base, on_timer, c);
	again(c, 0);
	return c;
}

void
contain_cancel(struct contain *c)
{
	if (!c)
		return;
	event_free(c->timer);
	free(c->job_id);
	free(c);
}
