/* SPDX-License-Identifier: Apache-2.0 */
/* The message delivery service. */
#ifndef SSM_SANDBOX_EC2MESSAGES_H
#define SSM_SANDBOX_EC2MESSAGES_H

#include <stdbool.h>

struct node;

/* Give the first parked poll of the node what is queued; false when nothing could be given. */
bool ec2messages_answer_first(struct node *node);

#endif
