/* SPDX-License-Identifier: Apache-2.0 */
/* The host is a subreaper: whoever loses its parent becomes our child, so nothing that a program
 * starts can leave our tree. */
#include "core/host/rundown.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/proctable.h"

/* The usual case, and a cheap answer: nothing was left behind. */
bool
rundown_is_empty(void)
{
	siginfo_t who;

	return waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

void
rundown_init(struct rundown *d)
{
	struct proc_table t = { 0 };
	pid_t us = getpid();

	*d = (struct rundown){ 0 };
	if (rundown_is_empty())
		return;
	proctable_read(&t);
	d->before = xcalloc(t.count + 1, sizeof(*d->before));
	for (size_t i = 0; i < t.count; i++)
		if (t.v[i].ppid == us)
			d->before[d->before_count++] = t.v[i].id;
	proctable_done(&t);
}

void
rundown_done(struct rundown *d)
{
	free(d->before);
	*d = (struct rundown){ 0 };
}

static bool
was_before(const struct rundown *d, const struct proc_id *id)
{
	for (size_t i = 0; i < d->before_count; i++)
		if (d->before[i].pid == id->pid && d->before[i].start == id->start)
			return true;
	return false;
}

static void
mark(const struct rundown *d, bool alone, struct proc_table *t)
{
	pid_t us = getpid();

	for (size_t i = 0; i < t->count; i++) {
		struct proc_entry *en = &t->v[i];

		en->ours = en->pgid == d->pid || en->id.pid == d->pid ||
			(alone && en->ppid == us && !was_before(d, &en->id));
	}
	proctable_add_descendants(t);
}

/* The group as one, so that nobody in it forks away; the others one by one. */
static int
signal_all(const struct rundown *d, struct proc_table *t, int sig)
{
	int n = 0;

	if (sig != 0)
		(void)kill(-d->pid, sig);
	if (sig == SIGTERM)
		(void)kill(-d->pid, SIGCONT);
	for (size_t i = 0; i < t->count; i++) {
		n += t->v[i].ours && t->v[i].pgid == d->pid;
		t->v[i].ours = t->v[i].ours && t->v[i].pgid != d->pid;
	}
	return n + proctable_signal(t, sig);
}

int
rundown_signal(const struct rundown *d, bool alone, int sig)
{
	struct proc_table t = { 0 };
	int n;

	if (d->pid <= 0 || rundown_is_empty())
		return 0;
	proctable_read(&t);
	mark(d, alone, &t);
	n = signal_all(d, &t, sig);
	proctable_done(&t);
	return n;
}
