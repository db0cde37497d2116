/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a child process as an event: pidfd, or SIGCHLD where the kernel has none. */
#ifndef SSM_LOOP_CHILD_H
#define SSM_LOOP_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/err.h"

struct event_base;
struct child;

/* STATUS as waitpid gives it. Called once, from the loop; the watch is freed before the call. */
typedef void child_fn(void *arg, pid_t pid, int status);

/* Watch a child of ours that was not waited for yet. NULL with E set when there are no descriptors
 * left. */
struct child *child_watch(struct event_base *base, pid_t pid, child_fn *done, void *arg,
			  struct err *e);
/* Stop watching; the process goes on. Returns NULL. */
struct child *child_free(struct child *c);
/* A process that is not our child (inherited from an agent before us): DONE is called with STATUS
 * -1. */
struct child *child_watch_stranger(struct event_base *base, pid_t pid, child_fn *done, void *arg,
				   struct err *e);
/* Signal it through the pidfd of the watch (never a re-used pid). 0 or -errno. */
int child_signal(const struct child *c, int sig);

/* A child of ours that is waited for by child_watch(). */
bool child_is_watched(pid_t pid);
/* For a subreaper, whose children are also the orphans that were handed to it: from now on ended
 * children are discarded when nobody watches them. */
int child_reap_start(struct event_base *base, struct err *e);
void child_reap_stop(void);
void child_reap(void); /* those that have ended by now; nothing before child_reap_start() */

#endif
