/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter store by way of the agent. */
#ifndef SSM_RUNCOMMAND_STORE_CALL_H
#define SSM_RUNCOMMAND_STORE_CALL_H

#include <jansson.h>

#include "core/store/store.h"
#include "ssm_plugin.h"

struct store_call {
	struct ssm *S;
	json_t *kept; /* of before a reboot; NULL: not looked for */
};

/* A store_ask_fn; ARG is a struct store_call. */
json_t *store_call_ask(void *arg, const json_t *names, char **ret_trace);
void store_call_done(struct store_call *c);
/* So that a document has the same values after a reboot: KNOWN of its store, where it fits into a
 * state (64 KiB); else it is asked for again. 0 or -errno. */
int32_t store_call_keep(struct ssm *S, const json_t *known);

#endif
