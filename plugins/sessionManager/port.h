/* SPDX-License-Identifier: Apache-2.0 */
/* Port sessions without a type (spec 02 §7.3), as for SSH: one connection to a port of this
 * node. */
#ifndef SSM_SESSIONMANAGER_PORT_H
#define SSM_SESSIONMANAGER_PORT_H

#include <ssm_plugin.h>

extern const struct ssm_session_ops port_ops;

#endif
