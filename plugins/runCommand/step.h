/* SPDX-License-Identifier: Apache-2.0 */
/* One step: its property sets run one after another, their output becomes one result. */
#ifndef SSM_RUNCOMMAND_STEP_H
#define SSM_RUNCOMMAND_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "ssm_plugin.h"

#include "plugins/runCommand/doc.h"
#include "plugins/runCommand/output.h"
#include "plugins/runCommand/reply.h"

struct step_context {
	struct ssm *S;
	struct ssm_message *msg;
	struct output *output;
	const char *command_id, *destination;
	const json_t *environment; /* of scripts: variable -> text */
	uint64_t bytes;		   /* that the steps wrote */
};

/* Run the step and fill in status, code and texts of RET. 0, or SSM_REBOOT or SSM_REBOOT_AGAIN when
 * it asks for a reboot. */
int32_t doc_step_run(struct step_context *c, const struct doc_step *s, struct result *ret);
/* Files of a step that ran before a reboot keep their numbers. */
void step_reserve_files(struct step_context *c, const struct doc_step *s);
/* An action of this plugin. */
bool step_is_own(const char *action);

#endif
