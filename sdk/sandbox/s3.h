/* SPDX-License-Identifier: Apache-2.0 */
/* S3 as far as logs of sessions need it: path style, one request an object. */
#ifndef SSM_SANDBOX_S3_H
#define SSM_SANDBOX_S3_H

#include "sdk/sandbox/exchange.h"

/* Whether the request is signed for S3: then its service and operation are filled in. */
bool s3_route(struct exchange *ex);
void s3_request(struct exchange *ex);

#endif
