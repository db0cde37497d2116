/* SPDX-License-Identifier: Apache-2.0 */
/* The control channel (spec 01 §5, spec 02 §1 and §5): the service "mgs". Opened, kept, opened
 * again; commands that come by it are delivered to the agent, replies go back by it. */
#ifndef SSM_SESSIONMANAGER_CONTROL_H
#define SSM_SESSIONMANAGER_CONTROL_H

#include <ssm_plugin.h>

extern const struct ssm_service_ops control_ops;

#endif
