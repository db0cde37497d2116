/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's side of the ssm service: requests and the JSON of its answers. */
#ifndef SSM_SANDBOX_SSM_OPERATOR_H
#define SSM_SANDBOX_SSM_OPERATOR_H

#include <jansson.h>
#include <stdbool.h>

#include "sdk/sandbox/exchange.h"
#include "sdk/sandbox/shape.h"
#include "sdk/sandbox/store.h"

/* ssm_views.c; the caller owns what they return. */
json_t *view_command(const struct command *cmd);
json_t *view_invocation(const struct invocation *inv, bool details);
json_t *view_result(const struct invocation *inv, const struct plugin *p);
json_t *view_node(const struct node *node, int64_t now_ms);

/* ssm_send.c, ssm_lists.c */
void ssm_send_command(struct exchange *ex);
void ssm_list_commands(struct exchange *ex);
void ssm_list_invocations(struct exchange *ex);
void ssm_describe_nodes(struct exchange *ex);

/* ssm_tags.c: puts the request's Tags on a resource; false when they were refused. */
bool ssm_tag(struct exchange *ex, const char *type, const char *id);
extern const struct shape ssm_tag_shape; /* {"Key", "Value"} */

#endif
