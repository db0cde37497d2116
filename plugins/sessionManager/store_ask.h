/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the parameter store for session documents, by way of the agent. */
#ifndef SSM_SESSIONMANAGER_STORE_ASK_H
#define SSM_SESSIONMANAGER_STORE_ASK_H

#include <jansson.h>

/* A store_ask_fn; ARG is a struct ssm that may still block. */
json_t *store_ask(void *arg, const json_t *names, char **ret_trace);

#endif
