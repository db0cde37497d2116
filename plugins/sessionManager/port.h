/* SPDX-License-Identifier: Apache-2.0 */
/* Port sessions (spec 02 §7): to a port of this node or of a host that it reaches. */
#ifndef SSM_SESSIONMANAGER_PORT_H
#define SSM_SESSIONMANAGER_PORT_H

#include <ssm_plugin.h>

extern const struct ssm_session_ops port_ops;

#endif
