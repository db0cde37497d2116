/* SPDX-License-Identifier: Apache-2.0 */
/* Answers what hosts ask for: call, sign, transfer, state; decides what a plugin may do. DESIGN
 * sections 6.1, 7. */
#ifndef SSM_AGENT_BROKER_H
#define SSM_AGENT_BROKER_H

#include <jansson.h>

#include "core/ipc/ipc.h"

struct event_base;
struct conf;
struct aws;
struct broker;
struct broker_client;

struct broker *broker_new(struct event_base *base, const struct conf *conf, struct aws *aws);
struct broker *broker_free(struct broker *b);
/* One host: answers go through SEND (a "result" message; takes JSON). */
typedef int broker_send_fn(void *arg, json_t *message, const void *body, size_t len);
struct broker_client *broker_client_new(struct broker *b, const char *plugin, broker_send_fn *send,
					void *arg);
struct broker_client *broker_client_free(struct broker_client *c); /* cancels what it asked for */
/* Handle call, sign, transfer; false when TYPE is none of these (state and jobs are the job's). */
int broker_handle(struct broker_client *c, const char *type, struct ipc_message *m);
bool broker_takes(const char *type);
/* Cancel of the job: what is under way returns -ECANCELED once; later requests work until the grace
 * deadline. */
void broker_client_cancel(struct broker_client *c);

#endif
