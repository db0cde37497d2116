/* SPDX-License-Identifier: Apache-2.0 */
/* Each look notes who is below us and by which job: a parent's job is its children's, and what is
 * noted once stays so. Who is new, has no parent but us, no session and no mark that are known,
 * came from a host that died since the last look - or from what an earlier command left behind in
 * order, a daemon that forks twice, say. Where the latter runs, nobody is ended on a mere guess. */
#include "core/agent/orphans.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/agent/mark.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/proctable.h"
#include "core/loop/child.h"

/* Only while a command runs beside something that is left of another one: the kernel tells nobody
 * that a process has got a new parent. */
#define LOOK_MS 15000
/* Whose processes come and go may be missed by one look. */
#define LATELY_MS 60000

enum state {
	RUNS,
	ENDED, /* in order */
	DEAD
};

struct host {
	struct list link;
	struct proc_id id;
	char *job;
	enum state state;
};

struct known {
	struct proc_id id;
	pid_t sid;
	char *job;  /* "" when there is none */
	bool loose; /* not below a host that works */
};

/* Somebody of JOB was not below a host that works. */
struct seen {
	struct list link;
	char *job;
	int64_t at_ms;
};

/* Why global: children belong to the process. */
static struct {
	struct event_base *base; /* NULL: not started */
	struct event *timer;
	struct list hosts;
	struct list seen; /* lately */
	struct known *v;
	size_t count;
} orphans = { .hosts = LIST_INIT(orphans.hosts), .seen = LIST_INIT(orphans.seen) };

static void
free_known(struct known *v, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(v[i].job);
	free(v);
}

static bool
same(const struct proc_id *a, const struct proc_id *b)
{
	return a->pid == b->pid && a->start == b->start;
}

static int
by_pid(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return (x->id.pid > y->id.pid) - (x->id.pid < y->id.pid);
}

static const struct known *
find_known(const struct proc_id *id)
{
	const struct known key = { .id = *id };
	const struct known *k =
		orphans.count ? bsearch(&key, orphans.v, orphans.count, sizeof(key), by_pid) : NULL;

	return k && same(&k->id, id) ? k : NULL;
}

static struct host *
find_host(const struct proc_id *id)
{
	list_each(it, tmp, &orphans.hosts) {
		struct host *h = list_entry(it, struct host, link);

		if (same(&h->id, id))
			return h;
	}
	return NULL;
}

/* ----------------------------------------------------------------- look */

struct look {
	const struct proc_table *t;
	struct known *v; /* one for each of T; without a job: not of our tree */
	bool *done;
	size_t *chain; /* from a process up to the first one that is placed */
};

/* A session is never left for another's. */
static const char *
job_by_session(pid_t sid)
{
	list_each(it, tmp, &orphans.hosts)
		if (list_entry(it, struct host, link)->id.pid == sid)
			return list_entry(it, struct host, link)->job;
	for (size_t i = 0; i < orphans.count; i++)
		if (orphans.v[i].sid == sid)
			return orphans.v[i].job;
	return NULL;
}

static bool
is_dead(const char *job)
{
	list_each(it, tmp, &orphans.hosts) {
		const struct host *h = list_entry(it, struct host, link);

		if (h->state == DEAD && mark_is_within(job, h->job))
			return true;
	}
	return false;
}

/* Something that may stay may have brought it here, not what is left of hosts that died. As the
 * first process of a container we are given everybody's. */
static bool
is_in_doubt(void)
{
	list_each(it, tmp, &orphans.seen)
		if (!is_dead(list_entry(it, struct seen, link)->job))
			return true;
	return getpid() == 1;
}

static const char *
job_by_arrival(const struct proc_entry *en)
{
	list_each(it, tmp, &orphans.hosts) {
		const struct host *h = list_entry(it, struct host, link);

		if (h->state != DEAD || en->id.start < h->id.start)
			continue;
		if (!is_in_doubt())
			return h->job;
		log_warn("jobs",
			 "process %ld is of job '%s', whose host died, or of what another job left "
			 "behind: it is left alone",
			 (long)en->id.pid, h->job);
	}
	return "";
}

/* A child of ours. What we start ourselves is watched, or of our own session, into which nobody
 * gets from another one. */
static char *
job_of_child(const struct proc_entry *en)
{
	const struct known *before = find_known(&en->id);
	const char *job = before ? before->job : NULL;
	char *mark;

	if (child_is_watched(en->id.pid) || en->sid == getsid(0))
		return NULL;
	if (!job)
		job = job_by_session(en->sid);
	if (job)
		return xstrdup(job);
	mark = mark_read(en->id.pid);
	return mark ? mark : xstrdup(job_by_arrival(en));
}

/* Its parent's place is known. */
static void
place(const struct look *l, size_t i)
{
	const struct proc_entry *en = &l->t->v[i];
	const struct proc_entry *parent = proctable_find(l->t, en->ppid);
	const struct known *before = find_known(&en->id);
	const struct known *above = parent ? &l->v[parent - l->t->v] : NULL;
	const struct host *h = parent ? find_host(&parent->id) : NULL;
	struct known *k = &l->v[i];
	const char *job = h ? h->job : above ? above->job : NULL;

	k->id = en->id;
	k->sid = en->sid;
	if (en->ppid == getpid()) {
		k->loose = true;
		k->job = job_of_child(en);
		return;
	}
	k->loose = h ? h->state != RUNS : above && above->loose;
	if (job)
		k->job = xstrdup(before ? before->job : job);
}

/* Parents before their children, however deep that goes. */
static void
place_with_parents(const struct look *l, size_t i)
{
	size_t n = 0;

	while (!l->done[i]) {
		const struct proc_entry *parent = proctable_find(l->t, l->t->v[i].ppid);

		l->chain[n++] = i;
		l->done[i] = true;
		if (parent)
			i = (size_t)(parent - l->t->v);
	}
	while (n > 0)
		place(l, l->chain[--n]);
}

/* Some may have died of whom we were not told yet. */
static void
find_dead(const struct proc_table *t)
{
	list_each(it, tmp, &orphans.hosts) {
		struct host *h = list_entry(it, struct host, link);
		const struct proc_entry *en = proctable_find(t, h->id.pid);

		if (h->state == RUNS && (!en || !same(&en->id, &h->id)))
			h->state = DEAD;
	}
}

static void
keep(const struct look *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->t->count; i++)
		if (l->v[i].job)
			l->v[n++] = l->v[i];
	free_known(orphans.v, orphans.count);
	orphans.v = l->v;
	orphans.count = n;
}

static void
seen_free(struct seen *s)
{
	list_remove(&s->link);
	free(s->job);
	free(s);
}

static void
see(const char *job)
{
	struct seen *s;

	list_each(it, tmp, &orphans.seen) {
		s = list_entry(it, struct seen, link);
		if (strcmp(s->job, job) != 0)
			continue;
		s->at_ms = clock_mono_ms();
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->job = xstrdup(job);
	s->at_ms = clock_mono_ms();
	list_append(&orphans.seen, &s->link);
}

static void
remember_loose(void)
{
	for (size_t i = 0; i < orphans.count; i++)
		if (orphans.v[i].loose)
			see(orphans.v[i].job);
	list_each(it, tmp, &orphans.seen) {
		struct seen *s = list_entry(it, struct seen, link);

		if (clock_mono_ms() - s->at_ms > LATELY_MS)
			seen_free(s);
	}
}

static void
set_timer(void)
{
	bool loose = !list_empty(&orphans.seen), runs = false;
	struct timeval tv;

	list_each(it, tmp, &orphans.hosts)
		runs = runs || list_entry(it, struct host, link)->state == RUNS;
	clock_timeval(LOOK_MS, &tv);
	if (loose && runs)
		(void)event_add(orphans.timer, &tv);
	else
		(void)event_del(orphans.timer);
}

void
orphans_look(const struct proc_table *t)
{
	autofree bool *done = xcalloc(t->count + 1, sizeof(*done));
	autofree size_t *chain = xcalloc(t->count + 1, sizeof(*chain));
	struct look l = { .t = t, .done = done, .chain = chain };

	if (!orphans.base)
		return;
	find_dead(t);
	l.v = xcalloc(t->count + 1, sizeof(*l.v));
	for (size_t i = 0; i < t->count; i++)
		place_with_parents(&l, i);
	keep(&l);
	remember_loose();
	set_timer();
}

static void
look_now(void)
{
	struct proc_table t = { 0 };

	proctable_read(&t);
	orphans_look(&t);
	proctable_done(&t);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	look_now();
}

bool
orphans_are_of(const char *job, const struct proc_id *id)
{
	const struct known *k = find_known(id);

	return k && mark_is_within(k->job, job);
}

/* ---------------------------------------------------------------- hosts */

void
orphans_host_started(const struct proc_id *host, const char *job)
{
	struct host *h;

	if (!orphans.base)
		return;
	h = xcalloc(1, sizeof(*h));
	h->id = *host;
	h->job = xstrdup(job);
	list_append(&orphans.hosts, &h->link);
	set_timer();
}

/* The kernel's own list of one thread's children; true also when there is no such list. */
static bool
thread_has_children(int tasks, const char *thread)
{
	autofree char *name = xasprintf("%s/children", thread);
	autoclose int fd = openat(tasks, name, O_RDONLY | O_CLOEXEC);
	char first;

	return fd < 0 ? errno == ENOENT : read(fd, &first, 1) > 0;
}

/* The usual case, and cheap: a command leaves nobody. */
static bool
has_children(const struct proc_id *host)
{
	autofree char *path = xasprintf("/proc/%ld/task", (long)host->pid);
	DIR *d = opendir(path);
	const struct dirent *de;
	bool any = false;

	while (d && !any && (de = readdir(d)))
		any = de->d_name[0] != '.' && thread_has_children(dirfd(d), de->d_name);
	if (d)
		closedir(d);
	return any;
}

void
orphans_host_ended(const struct proc_id *host)
{
	struct host *h = orphans.base ? find_host(host) : NULL;

	if (!h || h->state != RUNS)
		return;
	h->state = ENDED;
	if (has_children(host))
		look_now();
}

void
orphans_host_gone(const struct proc_id *host)
{
	struct host *h = orphans.base ? find_host(host) : NULL;

	if (!h || h->state != RUNS)
		return;
	h->state = DEAD;
	look_now();
}

static void
host_free(struct host *h)
{
	list_remove(&h->link);
	free(h->job);
	free(h);
}

void
orphans_forget(const char *job)
{
	bool contained = is_dead(job);

	list_each(it, tmp, &orphans.seen)
		if (contained && strcmp(list_entry(it, struct seen, link)->job, job) == 0)
			seen_free(list_entry(it, struct seen, link));
	list_each(it, tmp, &orphans.hosts) {
		struct host *h = list_entry(it, struct host, link);

		if (strcmp(h->job, job) == 0)
			host_free(h);
	}
}

void
orphans_leave_alone(pid_t pid)
{
	struct known k = { .sid = pid, .loose = true };

	if (!orphans.base || proc_identify(pid, &k.id) < 0)
		return;
	k.job = xstrdup("");
	see(k.job);
	orphans.v = xrealloc(orphans.v, orphans.count + 1, sizeof(*orphans.v));
	orphans.v[orphans.count++] = k;
	qsort(orphans.v, orphans.count, sizeof(*orphans.v), by_pid);
}

/* ----------------------------------------------------------------- start */

int
orphans_start(struct event_base *base, struct err *e)
{
	int r;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_set(e, -errno, "orphans cannot be taken care of: %m");
	r = child_reap_start(base, e);
	if (r < 0)
		return r;
	orphans.base = base;
	orphans.timer = evtimer_new(base, on_timer, NULL);
	look_now(); /* who is here already is nobody's */
	return 0;
}

void
orphans_stop(void)
{
	if (!orphans.base)
		return;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	child_reap_stop();
	event_free(orphans.timer);
	while (!list_empty(&orphans.hosts))
		host_free(list_first(&orphans.hosts, struct host, link));
	while (!list_empty(&orphans.seen))
		seen_free(list_first(&orphans.seen, struct seen, link));
	free_known(orphans.v, orphans.count);
	orphans.base = NULL;
	orphans.timer = NULL;
	orphans.v = NULL;
	orphans.count = 0;
}
