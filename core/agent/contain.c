/* SPDX-License-Identifier: Apache-2.0 */
/* Ends what is left of a job: everything of its host's session, everything that carries its marker,
 * and their descendants, looked for again until nothing is found. */
#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/agent/hostproc.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define GIVE_UP_MS 30000
#define PAUSE_MIN_MS 5
#define PAUSE_MAX_MS 500
#define ENVIRON_MAX (256 * 1024)

struct contain {
	char *marker; /* "SSM_JOB=ID" */
	struct proc_id host;
	struct event *timer;
	int64_t give_up_ms, pause_ms;
	contain_done_fn *done;
	void *arg;
};

struct entry {
	struct proc_id id;
	pid_t ppid, sid;
	bool ours;
};

struct table {
	struct entry *v;
	size_t count, cap;
};

/* "PID (NAME) S PPID PGRP SID ..." with the start time as field 22; NAME may hold anything. */
static bool
parse_stat(char *text, struct entry *ret)
{
	char *p = strrchr(text, ')');
	char state;
	int ppid, pgrp, sid;
	uint64_t start;

	if (!p ||
	    sscanf(p + 1,
		   " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%" SCNu64,
		   &state, &ppid, &pgrp, &sid, &start) != 5)
		return false;
	ret->ppid = ppid;
	ret->sid = sid;
	ret->id.start = start;
	return state != 'Z' && state != 'X';
}

static bool
read_stat(int proc, const char *name, struct entry *ret)
{
	autofree char *path = xasprintf("%s/stat", name);
	autoclose int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return parse_stat(text, ret);
}

static void
table_read(struct table *t)
{
	DIR *d = opendir("/proc");
	struct dirent *de;

	while (d && (de = readdir(d))) {
		struct entry en = { 0 };
		int64_t pid;

		if (!isdigit((unsigned char)de->d_name[0]) ||
		    text_to_i64(de->d_name, 2, INT32_MAX, &pid) < 0 || pid == getpid() ||
		    !read_stat(dirfd(d), de->d_name, &en))
			continue;
		en.id.pid = (pid_t)pid;
		if (t->count == t->cap) {
			t->cap = t->cap ? 2 * t->cap : 256;
			t->v = xrealloc(t->v, t->cap, sizeof(*t->v));
		}
		t->v[t->count++] = en;
	}
	if (d)
		closedir(d);
}

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

static const struct entry *
find_pid(const struct table *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->v[i].id.pid == pid)
			return &t->v[i];
	return NULL;
}

/* Until nothing changes: /proc is not sorted by descent. */
static void
add_descendants(struct table *t)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < t->count; i++) {
			const struct entry *parent =
				t->v[i].ours ? NULL : find_pid(t, t->v[i].ppid);

			if (parent && parent->ours)
				t->v[i].ours = more = true;
		}
	}
}

/* Only what was started after the host can be of the job, which spares most of /proc a closer look.
 */
static void
mark(const struct contain *c, struct table *t)
{
	const struct entry *leader = find_pid(t, c->host.pid);
	/* Somebody else has its number by now: its session is not the host's. */
	bool by_session = c->host.pid > 0 && (!leader || leader->id.start == c->host.start);

	for (size_t i = 0; i < t->count; i++) {
		struct entry *en = &t->v[i];

		if (en->id.start < c->host.start)
			continue;
		en->ours = (by_session && en->sid == c->host.pid) ||
			carries_marker(en->id.pid, c->marker);
	}
	add_descendants(t);
}

static int
end_all(const struct contain *c)
{
	struct table t = { 0 };
	int left = 0;

	table_read(&t);
	mark(c, &t);
	for (size_t i = 0; i < t.count; i++) {
		if (!t.v[i].ours)
			continue;
		(void)snprintf(t.v[i].id.boot, sizeof(t.v[i].id.boot), "%s", proc_boot_id());
		if (proc_signal(&t.v[i].id, SIGKILL) != -ESRCH)
			left++;
	}
	free(t.v);
	return left;
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
	int left = strcmp(c->host.boot, proc_boot_id()) == 0 ? end_all(c) : 0;

	(void)fd;
	(void)what;
	if (left == 0 || clock_mono_ms() >= c->give_up_ms) {
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
contain_start(struct event_base *base, const char *job_id, const struct proc_id *host,
	      contain_done_fn *done, void *arg)
{
	struct contain *c = xcalloc(1, sizeof(*c));

	c->marker = xasprintf("SSM_JOB=%s", job_id);
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
	free(c->marker);
	free(c);
}
