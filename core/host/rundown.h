/* SPDX-License-Identifier: Apache-2.0 */
/* What a program has started, wherever it went: its process group, and all that descends from it,
 * also what left the group, closed its session or lost its parent. */
#ifndef SSM_HOST_RUNDOWN_H
#define SSM_HOST_RUNDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/base/proc.h"

struct rundown {
	pid_t pid; /* the program, which leads a group of its own */
	/* Children that were ours before it: left behind by others. */
	struct proc_id *before;
	size_t before_count;
};

/* Before the program starts. */
void rundown_init(struct rundown *d);
void rundown_done(struct rundown *d);
/* Send SIG (0: none) to all of it; how many there were. ALONE: no other program of ours runs, so
 * orphans are of this one. */
int rundown_signal(const struct rundown *d, bool alone, int sig);

/* We have no child at all, which is more than to have found none. */
bool rundown_is_empty(void);

#endif
