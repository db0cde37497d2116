/* SPDX-License-Identifier: Apache-2.0 */
/* What the replies of a command say: of each step, and of the whole. spec/01 section 1.8. */
#ifndef SSM_TOOL_OUTCOME_H
#define SSM_TOOL_OUTCOME_H

#include <jansson.h>
#include <stdbool.h>

struct outcome {
	char *status, *trace; /* of the document, by the last reply */
	json_t *steps;	      /* [{"name","status","code"}] in the order of their replies */
};

struct outcome *outcome_new(void);
struct outcome *outcome_free(struct outcome *o);
/* One more reply; what is none is ignored. The steps it brings are the last of o->steps; *RET_NEW
 * (may be NULL) is their number. */
void outcome_add(struct outcome *o, const char *text, size_t *ret_new);
/* The exit status that stands for it: 0, the exit code of the first step that failed, or one of
 * EXIT_TIMED_OUT, EXIT_CANCELLED, EXIT_RESTART; EXIT_NOT_RUN where no step ran. */
int outcome_exit(const struct outcome *o);
/* "step a: Failed, exit code 3" for a step of o->steps. Progress: on stderr, if that is a terminal.
 */
void outcome_print_step(const json_t *step);
/* Why a document did not run: to stderr, always. */
void outcome_print_trace(const struct outcome *o);

#endif
