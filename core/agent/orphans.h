/* SPDX-License-Identifier: Apache-2.0 */
/* Whose job a process is of that lost its parent, its session and its mark. DESIGN section 2.
 *
 * The agent is a subreaper: what a host that was killed leaves behind becomes the agent's child, as
 * does what a command may leave behind when it ends in order. Which of the two it is, is known from
 * looks at who descends from which host. */
#ifndef SSM_AGENT_ORPHANS_H
#define SSM_AGENT_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/err.h"

struct event_base;
struct proc_id;
struct proc_table;

/* Become a subreaper, and discard whoever ends unwatched. Before it, all below does nothing and
 * knows nobody. A host that an agent before us has started is not our child: what it leaves goes to
 * init, and is found by session and mark alone. */
int orphans_start(struct event_base *base, struct err *e);
void orphans_stop(void);

/* HOST, a child of ours, works on JOB ("ID" or "ID/2"). */
void orphans_host_started(const struct proc_id *host, const char *job);
/* Its work ended in order, the process is still there: what descends from it may stay. */
void orphans_host_ended(const struct proc_id *host);
/* The process is gone. */
void orphans_host_gone(const struct proc_id *host);
/* JOB is over: what appears from now on is not its. */
void orphans_forget(const char *job);
/* A child of ours that cannot be watched: never an orphan. */
void orphans_leave_alone(pid_t pid);

/* Take notice of T. */
void orphans_look(const struct proc_table *t);
/* As of the last look, it is of JOB or of a nested one. */
bool orphans_are_of(const char *job, const struct proc_id *id);

#endif
