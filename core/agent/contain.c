/* SPDX-License-Identifier: Apache-2.0 */
/* Ends what is left of a job: its control group, where there is one; everything of its host's
 * session, everything that carries its marker, orphans of it, and the descendants of all of them;
 * looked for again until nothing is found. */
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/agent/cgroup.h"
#include "core/agent/hostproc.h"
#include "core/agent/mark.h"
#include "core/agent/orphans.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/proctable.h"

#define GIVE_UP_MS 30000
#define PAUSE_MIN_MS 5
#define PAUSE_MAX_MS 500
/* A look at /proc is no picture of one moment: who forks or execs just then is missed. */
#define LOOKS 3u

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

struct look {
	const char *job_id;
	const struct proc_id *host;
	int found;
};

/* Who bears the mark is ended on the spot: of a chain in which each starts the next and goes, none
 * lives until all of /proc is read. Only what was started after the host can be of the job, which
 * spares most of /proc a closer look. */
static void
look_at(void *arg, struct proc_entry *en)
{
	struct look *l = arg;

	en->ours = en->id.start >= l->host->start && mark_carries(en->id.pid, l->job_id);
	if (!en->ours)
		return;
	l->found++;
	(void)proc_signal(&en->id, SIGKILL);
}

static void
mark(const char *job_id, const struct proc_id *host, struct proc_table *t)
{
	const struct proc_entry *leader = proctable_find(t, host->pid);
	/* Somebody else has its number by now: its session is not the host's. */
	bool by_session = host->pid > 0 && (!leader || leader->id.start == host->start);

	for (size_t i = 0; i < t->count; i++) {
		struct proc_entry *en = &t->v[i];

		if (en->ours || en->id.start < host->start)
			continue;
		en->ours = (by_session && en->sid == host->pid) || orphans_are_of(job_id, &en->id);
	}
	proctable_add_descendants(t);
}

/* The group tells for sure; who left it, which root may, is looked for all the same. */
static int
end_all(struct cgroup *cgroup, const char *job_id, const struct proc_id *host)
{
	struct proc_table t = { 0 };
	struct look l = { .job_id = job_id, .host = host };
	int inside = cgroup_kill(cgroup, job_id), found;

	proctable_read_looking(&t, look_at, &l);
	orphans_look(&t);
	mark(job_id, host, &t);
	found = proctable_signal(&t, SIGKILL);
	proctable_done(&t);
	if (found < l.found)
		found = l.found;
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
