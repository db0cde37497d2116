/* SPDX-License-Identifier: Apache-2.0 */
/* All living processes at one moment, and who descends from whom. */
#ifndef SSM_BASE_PROCTABLE_H
#define SSM_BASE_PROCTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/base/proc.h"

struct proc_entry {
	struct proc_id id;
	pid_t ppid, pgid, sid;
	bool ours; /* the caller's mark */
};

struct proc_table {
	struct proc_entry *v;
	size_t count, cap;
};

/* All but the caller and what is dead already (zombies wait for their parent only), by pid. */
void proctable_read(struct proc_table *t);
/* The same; LOOK sees each entry as soon as it was found, for a moment later it may be gone. */
typedef void proctable_look_fn(void *arg, struct proc_entry *en);
void proctable_read_looking(struct proc_table *t, proctable_look_fn *look, void *arg);
void proctable_done(struct proc_table *t);
struct proc_entry *proctable_find(const struct proc_table *t, pid_t pid); /* or NULL */
/* Mark all descendants of those that are marked. */
void proctable_add_descendants(struct proc_table *t);
/* Send SIG (0: none) to those that are marked; SIGTERM is followed by SIGCONT, which a stopped one
 * needs to see it. How many there were. */
int proctable_signal(const struct proc_table *t, int sig);

#endif
