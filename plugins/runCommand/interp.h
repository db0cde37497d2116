/* SPDX-License-Identifier: Apache-2.0 */
/* The step engine: runs the steps of a document in their order and replies (spec/03 section 3). */
#ifndef SSM_RUNCOMMAND_INTERP_H
#define SSM_RUNCOMMAND_INTERP_H

#include <stdbool.h>

#include "ssm_plugin.h"

#include "plugins/runCommand/doc.h"
#include "plugins/runCommand/reply.h"

/* Who replies, by what the host knows; the texts are the host's or static. */
struct reply_agent interp_agent(struct ssm *S);

/* Some plugin, ours or another, provides it. */
bool interp_has_handler(struct ssm *S, const char *action);

/* Run all steps; one reply per step, then the final one. DESTINATION is the instance the message
 * was sent to. 0, SSM_REBOOT or SSM_REBOOT_AGAIN (then no final reply was sent, and the next run
 * of the same message goes on from there), or -errno. */
int32_t interp_run(struct ssm *S, struct ssm_message *msg, const struct doc *d,
		   const char *command_id, const char *destination);

#endif
