/* SPDX-License-Identifier: Apache-2.0 */
/* The data channels of a session: the node's and the operator's, and the frames between them, which
 * stay as they are. spec 02 sections 1.2 to 1.5, 2, 3.5, 5.7 and 11. */
#ifndef SSM_SANDBOX_DATA_CHANNEL_H
#define SSM_SANDBOX_DATA_CHANNEL_H

#include <jansson.h>

#include "core/base/err.h"
#include "sdk/sandbox/sessions.h"
#include "sdk/sandbox/wsend.h"

#define DATA_CHANNEL_PATH "/v1/data-channel/"
#define DATA_CHANNEL_NODE_QUERY "role=publish_subscribe"
/* What the operator's client dials is what it was given. */
#define DATA_CHANNEL_OPERATOR_QUERY DATA_CHANNEL_NODE_QUERY "&cell-number=sandbox"

/* For wsend_accept(); the exchange's path names a session that is not over. */
extern const struct wsend_ops data_channel_ops[SIDES];

/* The session that the path of EX names; NULL: none. */
struct session *data_channel_session(const struct exchange *ex);
/* A message of the service to SIDE, if it is there. PAYLOAD NULL: an empty one. */
void data_channel_tell(struct session *s, enum session_side side, const char *type,
		       const json_t *payload);
/* All of the session's. */
void data_channels_close(struct session *s, unsigned code, const char *reason);
/* The session has ended. An operator who has not said the first word yet is going to be told. */
void data_channels_over(struct session *s);
/* "do" is close (code, reason), cut, mute or send (type, payload: text or JSON, sequence, flags,
 * payload_type), all of them with "side": node or operator. 0 or an error with E. */
int data_channel_op(struct session *s, const json_t *request, struct err *e);

#endif
