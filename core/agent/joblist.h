/* SPDX-License-Identifier: Apache-2.0 */
/* ssm-agent --jobs: the jobs as their journals tell of them, whether an agent runs or not. */
#ifndef SSM_AGENT_JOBLIST_H
#define SSM_AGENT_JOBLIST_H

#include <jansson.h>

#include "core/base/err.h"

/* All jobs below STATE_PATH, and the sessions below RUN_PATH, oldest first, or those with the id
 * ID, which may also be one of the parts between the dots of an id ("" or NULL: all). Nothing is
 * changed or locked. Each:
 *   id, topic, folder, instance_id, received_ms, started_ms, ended_ms, pid, plugin, cancelled,
 *   local
 *   state      "queued", "running", "restart" (after a restart of the machine it goes on),
 *              "ended", or "lost" (its process is gone, and no agent has seen to it yet)
 *   status     documentStatus of its last reply
 *   replies    [{"final","text"}], only with an ID
 * Caller owns. NULL with E: the folder cannot be read. */
json_t *joblist_read(const char *state_path, const char *run_path, const char *id, struct err *e);
/* The same to standard output. The exit status. */
int joblist_print(const char *state_path, const char *run_path, const char *id);

#endif
