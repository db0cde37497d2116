/* SPDX-License-Identifier: Apache-2.0 */
/* What a document would do: its steps after substitution, none of which runs. */
#ifndef SSM_RUNCOMMAND_SHOW_H
#define SSM_RUNCOMMAND_SHOW_H

#include "ssm_plugin.h"

#include "plugins/runCommand/doc.h"

/* {"document","steps":[{"name","action","runs","why","inputs","settings","precondition"}]}: RUNS is
 * false for a step that is skipped or fails by itself, WHY being what its reply would say; what
 * earlier steps decide is not known. "inputs" is a list for a step of several property sets.
 * Caller frees. */
char *show_document(struct ssm *S, const struct doc *d);
/* {"refused": TRACE}. Caller frees. */
char *show_refused(const char *trace);

#endif
