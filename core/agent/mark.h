/* SPDX-License-Identifier: Apache-2.0 */
/* The variable SSM_JOB in the environment of whatever a job starts. DESIGN section 2. */
#ifndef SSM_AGENT_MARK_H
#define SSM_AGENT_MARK_H

#include <stdbool.h>
#include <sys/types.h>

/* WHAT is of JOB: the job itself, or a nested one of it, "JOB/2". */
bool mark_is_within(const char *what, const char *job);
/* The process carries the mark of JOB or of a nested one. */
bool mark_carries(pid_t pid, const char *job);
/* The job whose mark it carries, NULL: none, or it cannot be read. Caller frees. */
char *mark_read(pid_t pid);

#endif
