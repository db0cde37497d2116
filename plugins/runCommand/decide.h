/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a step runs, is skipped or fails (spec/03 3.3). */
#ifndef SSM_RUNCOMMAND_DECIDE_H
#define SSM_RUNCOMMAND_DECIDE_H

#include <stdbool.h>

#include "plugins/runCommand/doc.h"

enum decision {
	DECISION_RUN,
	DECISION_SKIP,
	DECISION_FAIL
};

struct decide_facts {
	bool exit_demanded; /* by an earlier step */
	bool is_last;
	bool has_handler; /* some plugin of ours provides the action */
};

/* *RET_TEXT is what the reply says when the step does not run; caller frees. */
enum decision decide_step(const struct doc *d, const struct doc_step *s,
			  const struct decide_facts *facts, char **ret_text);

#endif
