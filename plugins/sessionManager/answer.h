/* SPDX-License-Identifier: Apache-2.0 */
/* What answers of services say when they say no. */
#ifndef SSM_SESSIONMANAGER_ANSWER_H
#define SSM_SESSIONMANAGER_ANSWER_H

#include <ssm_plugin.h>
#include <stdbool.h>

/* Of a call or transfer, as its ssm_done_fn got it; R may be NULL. */
bool answer_is_good(int32_t result, const struct ssm_reply *r);
/* Why it is not: "AccessDeniedException: not allowed" from JSON or XML, or the agent's own words. A
 * few hundred bytes at most, control characters are escaped. Caller frees; never NULL. */
char *answer_reason(int32_t result, const struct ssm_reply *r);
/* The value of the header NAME (lower case), NULL when it did not come. Caller frees. */
char *answer_header(const struct ssm_reply *r, const char *name);

#endif
