/* SPDX-License-Identifier: Apache-2.0 */
/* A control group for each job below the agent's own, where cgroup v2 is delegated: whatever a
 * command starts stays in it. DESIGN section 2. */
#ifndef SSM_AGENT_CGROUP_H
#define SSM_AGENT_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

struct cgroup;
struct event_base;

/* Our own group, by PROC/self/mountinfo and PROC/self/cgroup ("/proc"). NULL with the reason why
 * there is none to use. */
struct cgroup *cgroup_open(const char *proc, struct err *e);
struct cgroup *cgroup_free(struct cgroup *c);
const char *cgroup_path(const struct cgroup *c);

/* ID is a job's, or "ID/3" of its third step. Make job-ID/host and job-ID/cmd (host-3, cmd-3). */
int cgroup_make(struct cgroup *c, const char *id, struct err *e);
/* Into the host's. */
int cgroup_enter(struct cgroup *c, const char *id, pid_t pid, struct err *e);
/* Absolute name of cgroup.procs of the commands', NULL without C; caller frees. */
char *cgroup_command_procs(const struct cgroup *c, const char *id);
/* SIGKILL to all of it. How many are left, which may be about to end. */
int cgroup_kill(struct cgroup *c, const char *id);
/* It is over. What still holds somebody is tried again by cgroup_tidy(). */
void cgroup_remove(struct cgroup *c, const char *id);
void cgroup_tidy(struct cgroup *c);
/* Ids of all jobs, of any agent, whose groups hold nobody; NULL: none. Caller frees. */
char **cgroup_list_empty(const struct cgroup *c);

/* An agent that was killed and never came back left its groups. Those below ours that are empty now
 * and still are after MS belong to nobody: removed, unless KNOWN. */
typedef bool cgroup_known_fn(void *arg, const char *id);
struct cgroup_sweep;
struct cgroup_sweep *cgroup_sweep_start(struct event_base *base, struct cgroup *c, int64_t ms,
					cgroup_known_fn *known, void *arg);
struct cgroup_sweep *cgroup_sweep_free(struct cgroup_sweep *s);

#endif
