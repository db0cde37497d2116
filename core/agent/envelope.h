/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope of a message, which is all that the agent itself reads of it. */
#ifndef SSM_AGENT_ENVELOPE_H
#define SSM_AGENT_ENVELOPE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/agent/job.h"

/* One element of GetMessages' list; the texts are borrowed from it. False: it cannot be answered,
 * or its id cannot name anything. */
bool envelope_read(const json_t *m, struct envelope *ret);
/* The payload as a value, or NULL with the reply's text in *RET_WHY; caller frees both. */
json_t *envelope_payload(const struct envelope *env, char **ret_why);
/* The one object that job_key and cancel_key point into. PAYLOAD may be NULL. Caller owns. */
json_t *envelope_object(const struct envelope *env, json_t *payload);
/* The string that POINTER names, fit to name a job; or NULL. */
const char *envelope_job_id(const json_t *message, const char *pointer);

#endif
