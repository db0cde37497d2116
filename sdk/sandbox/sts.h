/* SPDX-License-Identifier: Apache-2.0 */
/* STS: whose a key is. */
#ifndef SSM_SANDBOX_STS_H
#define SSM_SANDBOX_STS_H

#include "sdk/sandbox/exchange.h"

/* Whether the request is signed for STS: then its service and operation are filled in. */
bool sts_route(struct exchange *ex);
void sts_request(struct exchange *ex);

#endif
