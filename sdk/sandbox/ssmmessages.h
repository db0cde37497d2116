/* SPDX-License-Identifier: Apache-2.0 */
/* The message gateway: REST and upgrades. */
#ifndef SSM_SANDBOX_SSMMESSAGES_H
#define SSM_SANDBOX_SSMMESSAGES_H

#include <stdbool.h>

#include "sdk/sandbox/exchange.h"

/* Is EX one of its requests; then its service, operation and operand (node or session) are set. */
bool ssmmessages_route(struct exchange *ex);
void ssmmessages_request(struct exchange *ex);

#endif
