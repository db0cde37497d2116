/* SPDX-License-Identifier: Apache-2.0 */
/* Removes groups that nobody will enter any more. Looked at twice: another agent may share our
 * group, and a group that it has just made is empty for a moment. */
#include <event2/event.h>
#include <stdlib.h>
#include <sys/time.h>

#include "core/agent/cgroup.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"

struct cgroup_sweep {
	struct cgroup *cgroup;
	struct event *timer;
	char **ids; /* of the first look */
	cgroup_known_fn *known;
	void *arg;
};

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct cgroup_sweep *s = arg;
	autostrv char **now = cgroup_list_empty(s->cgroup);
	size_t n = 0;

	(void)fd;
	(void)what;
	for (size_t i = 0; s->ids[i]; i++) {
		if (!strv_has(now, s->ids[i]) || s->known(s->arg, s->ids[i]))
			continue;
		cgroup_remove(s->cgroup, s->ids[i]);
		n++;
	}
	s->ids = strv_free(s->ids);
	if (n > 0)
		log_info("jobs", "removed %zu control groups of jobs that nobody knows", n);
}

struct cgroup_sweep *
cgroup_sweep_start(struct event_base *base, struct cgroup *c, int64_t ms, cgroup_known_fn *known,
		   void *arg)
{
	struct cgroup_sweep *s = xcalloc(1, sizeof(*s));
	struct timeval tv;

	s->cgroup = c;
	s->known = known;
	s->arg = arg;
	s->timer = evtimer_new(base, on_timer, s);
	s->ids = c ? cgroup_list_empty(c) : NULL;
	clock_timeval(ms, &tv);
	if (s->ids)
		(void)event_add(s->timer, &tv);
	return s;
}

struct cgroup_sweep *
cgroup_sweep_free(struct cgroup_sweep *s)
{
	if (!s)
		return NULL;
	event_free(s->timer);
	strv_free(s->ids);
	free(s);
	return NULL;
}
