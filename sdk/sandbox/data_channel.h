/* SPDX-License-Identifier: Apache-2.0 */
/* The data channels of a session. spec 02 sections 1.2 to 1.4. */
#ifndef SSM_SANDBOX_DATA_CHANNEL_H
#define SSM_SANDBOX_DATA_CHANNEL_H

#define DATA_CHANNEL_PATH "/v1/data-channel/"
#define DATA_CHANNEL_NODE_QUERY "role=publish_subscribe"
/* What the operator's client dials is what it was given. */
#define DATA_CHANNEL_OPERATOR_QUERY DATA_CHANNEL_NODE_QUERY "&cell-number=sandbox"

#endif
