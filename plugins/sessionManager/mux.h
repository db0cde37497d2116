/* SPDX-License-Identifier: Apache-2.0 */
/* Port sessions of type LocalPortForwarding (spec 02 §7.4): each connection of the client is a
 * stream, and a connection of its own. */
#ifndef SSM_SESSIONMANAGER_MUX_H
#define SSM_SESSIONMANAGER_MUX_H

#include <ssm_plugin.h>
#include <stdbool.h>
#include <stdint.h>

#include "plugins/sessionManager/addresses.h"

/* As those of struct ssm_session_ops. TO stays the caller's, for the whole session. */
void mux_open(struct ssm *S, struct ssm_session *s, const struct addresses *to, bool keep_alive);
int32_t mux_input(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data,
		  size_t len);
int32_t mux_writable(struct ssm *S, struct ssm_session *s);
void mux_close(struct ssm *S, struct ssm_session *s);

#endif
