/* SPDX-License-Identifier: Apache-2.0 */
/* Reads /proc. A process may end, and its number be given away, at any time: signals go by number
 * and start time. */
#include "core/base/proctable.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define ROUNDS_MAX 16u

/* "PID (NAME) S PPID PGRP SID ..." with the start time as field 22; NAME may hold anything. */
static bool
parse_stat(const char *text, struct proc_entry *ret)
{
	const char *p = strrchr(text, ')');
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
	ret->pgid = pgrp;
	ret->sid = sid;
	ret->id.start = start;
	return state != 'Z' && state != 'X';
}

static bool
read_stat(int proc, const char *name, struct proc_entry *ret)
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
add(struct proc_table *t, const struct proc_entry *en)
{
	if (t->count == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 256;
		t->v = xrealloc(t->v, t->cap, sizeof(*t->v));
	}
	t->v[t->count++] = *en;
}

static int
by_pid(const void *a, const void *b)
{
	const struct proc_entry *x = a, *y = b;

	return (x->id.pid > y->id.pid) - (x->id.pid < y->id.pid);
}

static void
ignore(void *arg, struct proc_entry *en)
{
	(void)arg;
	(void)en;
}

void
proctable_read(struct proc_table *t)
{
	proctable_read_looking(t, ignore, NULL);
}

static bool
is_new(const struct proc_table *t, const char *name, pid_t *ret)
{
	int64_t pid;

	if (!isdigit((unsigned char)*name) || text_to_i64(name, 2, INT32_MAX, &pid) < 0)
		return false;
	*ret = (pid_t)pid;
	return *ret != getpid() && !proctable_find(t, *ret);
}

/* Whom KNOWN does not have yet. */
static void
read_new(DIR *d, const struct proc_table *known, struct proc_table *t, proctable_look_fn *look,
	 void *arg)
{
	const struct dirent *de;

	rewinddir(d);
	while ((de = readdir(d))) {
		struct proc_entry en = { .ours = false };

		if (!is_new(known, de->d_name, &en.id.pid) || !read_stat(dirfd(d), de->d_name, &en))
			continue;
		(void)snprintf(en.id.boot, sizeof(en.id.boot), "%s", proc_boot_id());
		look(arg, &en);
		add(t, &en);
	}
}

static void
append(struct proc_table *t, const struct proc_table *more)
{
	for (size_t i = 0; i < more->count; i++)
		add(t, &more->v[i]);
	if (t->count > 0)
		qsort(t->v, t->count, sizeof(*t->v), by_pid);
}

/* A listing is older than the time it takes to read all that is in it: those that were started
 * meanwhile are read next, until there are none. */
void
proctable_read_looking(struct proc_table *t, proctable_look_fn *look, void *arg)
{
	DIR *d = opendir("/proc");
	struct proc_table more = { 0 };
	unsigned round = 0;

	t->count = 0;
	do {
		more.count = 0;
		if (d)
			read_new(d, t, &more, look, arg);
		append(t, &more);
	} while (more.count > 0 && ++round < ROUNDS_MAX);
	proctable_done(&more);
	if (d)
		closedir(d);
}

void
proctable_done(struct proc_table *t)
{
	free(t->v);
	*t = (struct proc_table){ 0 };
}

struct proc_entry *
proctable_find(const struct proc_table *t, pid_t pid)
{
	const struct proc_entry key = { .id.pid = pid };

	return t->count > 0 ? bsearch(&key, t->v, t->count, sizeof(key), by_pid) : NULL;
}

/* Until nothing changes: a parent may have the higher number. */
void
proctable_add_descendants(struct proc_table *t)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < t->count; i++) {
			const struct proc_entry *parent =
				t->v[i].ours ? NULL : proctable_find(t, t->v[i].ppid);

			if (parent && parent->ours)
				t->v[i].ours = more = true;
		}
	}
}

int
proctable_signal(const struct proc_table *t, int sig)
{
	int n = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct proc_entry *en = &t->v[i];

		if (!en->ours || (sig != 0 && proc_signal(&en->id, sig) == -ESRCH))
			continue;
		if (sig == SIGTERM)
			(void)proc_signal(&en->id, SIGCONT);
		n++;
	}
	return n;
}
