/* SPDX-License-Identifier: Apache-2.0 */
/* Which operation a request is for, and who may call it. */
#ifndef SSM_SANDBOX_DISPATCH_H
#define SSM_SANDBOX_DISPATCH_H

#include "sdk/sandbox/exchange.h"
#include "sdk/sandbox/shape.h"

struct operation {
	const char *name; /* NULL ends the table */
	bool node, op;	  /* who may: the node's keys, the operator's key */
	const struct shape *members;
	void (*run)(struct exchange *ex);
};

extern const struct operation ec2messages_operations[];
extern const struct operation kms_operations[];
extern const struct operation logs_operations[];
extern const struct operation ssm_node_operations[];
extern const struct operation ssm_operator_operations[];
extern const struct operation ssm_parameter_operations[];
extern const struct operation ssm_document_operations[];
extern const struct operation ssm_session_operations[];
extern const struct operation ssm_tag_operations[];

/* The signature and what belongs to it; false when the request was refused. */
bool dispatch_check_signature(struct exchange *ex);

/* Plain HTTP, no signatures. */
void imds_request(struct exchange *ex);
void ecs_request(struct exchange *ex);
#define ECS_PATH "/v2/credentials/"

#endif
