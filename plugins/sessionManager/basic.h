/* SPDX-License-Identifier: Apache-2.0 */
/* Port sessions of one connection (spec 02 §7.3): without a type, as for SSH, and for clients of
 * LocalPortForwarding that are too old for streams. */
#ifndef SSM_SESSIONMANAGER_BASIC_H
#define SSM_SESSIONMANAGER_BASIC_H

#include <ssm_plugin.h>
#include <stdbool.h>

#include "plugins/sessionManager/addresses.h"

/* As those of struct ssm_session_ops. TO stays the caller's, for the whole session. AGAIN: the end
 * of the connection is not that of the session, the client's next bytes make another. */
void basic_open(struct ssm *S, struct ssm_session *s, const struct addresses *to, bool again);
int32_t basic_input(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data,
		    size_t len);
int32_t basic_writable(struct ssm *S, struct ssm_session *s);
void basic_close(struct ssm *S, struct ssm_session *s);

#endif
