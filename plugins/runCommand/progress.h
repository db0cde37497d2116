/* SPDX-License-Identifier: Apache-2.0 */
/* How far a command came before the machine was restarted; kept by the host with the job. */
#ifndef SSM_RUNCOMMAND_PROGRESS_H
#define SSM_RUNCOMMAND_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ssm_plugin.h"

#include "plugins/runCommand/doc.h"
#include "plugins/runCommand/reply.h"

struct progress {
	size_t next; /* the step to go on with */
	bool exit_demanded;
	int64_t start_ms;	/* when that step began the first time; 0: it did not */
	char *ran;		/* "101": whether each step before NEXT had output files */
	struct result *results; /* room for one per step of the document */
	size_t count;
	struct result *last; /* of RESULTS, the one of a step that is done but for the restart */
};

/* Store it. What it holds says the same when nothing was done in between. 0 or -errno. */
int32_t progress_save(struct ssm *S, const struct doc *d, const struct progress *p);
/* 1 and *P filled (RAN is the caller's to free, RESULTS was given); 0: the command begins; or
 * -errno. */
int32_t progress_load(struct ssm *S, const struct doc *d, struct progress *p);

#endif
