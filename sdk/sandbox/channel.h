/* SPDX-License-Identifier: Apache-2.0 */
/* The service's end of a node's control channel: commands as agent_job messages, what comes back,
 * and what can happen to frames on the way. spec 01 section 5, spec 02 sections 1, 2, 5. */
#ifndef SSM_SANDBOX_CHANNEL_H
#define SSM_SANDBOX_CHANNEL_H

#include <jansson.h>
#include <stdbool.h>

#include "sdk/sandbox/store.h"

struct channel;
struct wsend_ops;

extern const struct wsend_ops channel_ops;

/* The node's channel is open, and commands go through it. */
bool channel_takes(const struct node *node);
/* Queued messages may go to polls. */
bool channel_leaves_polls(const struct node *node);
/* The node can be told something at once, whatever --transport says of commands. */
bool channel_is_open(const struct node *node);
/* PAYLOAD (borrowed) as a message of TYPE to the node; false when its channel is not open. */
bool channel_send(struct node *node, const char *type, const json_t *payload);
/* MSG as an agent_job. */
void channel_send_job(struct channel *ch, struct message *msg);
/* What the control socket asks for: "do" is state, close (code, reason), cut, mute or send (type,
 * payload: text or JSON; id). Caller owns; NULL with E. */
json_t *channel_op(struct node *node, const json_t *request, struct err *e);
/* CH is gone; what waits goes to polls. */
void channel_drop(struct channel *ch);
/* At the end of the sandbox. */
void channels_close(struct sandbox *sb);

#endif
