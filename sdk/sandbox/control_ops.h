/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the control socket, and clients that wait. Private to control*.c. */
#ifndef SSM_SANDBOX_CONTROL_OPS_H
#define SSM_SANDBOX_CONTROL_OPS_H

#include <jansson.h>

#include "core/base/err.h"
#include "sdk/sandbox/control.h"

struct client;

/* Runs one request. The answer (caller owns), or NULL with an error, or NULL without one when the
 * answer comes later by control_answer(). */
json_t *control_run(struct sandbox *sb, struct client *c, const json_t *request, struct err *e);
/* ANSWER is taken. */
void control_answer(struct client *c, json_t *answer);

/* control_wait.c */
/* Waits until the invocations (array of command ids, or NULL for all that are not done) reached
 * a stage. As control_run(). */
json_t *wait_begin(struct sandbox *sb, struct client *c, json_t *commands, const json_t *request,
		   int64_t timeout_ms, struct err *e);
json_t *wait_for_node(struct sandbox *sb, struct client *c, const json_t *request, struct err *e);
/* The client is gone. */
struct waits;
void wait_forget(struct waits *waits, struct client *c);
json_t *wait_timings(const struct invocation *inv);
struct waits *waits_new(void);
struct waits *waits_free(struct sandbox *sb, struct waits *w); /* returns NULL */
struct waits *control_waits(struct control *c);

#endif
