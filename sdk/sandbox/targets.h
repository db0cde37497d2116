/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a command is for, and how many of them at once. */
#ifndef SSM_SANDBOX_TARGETS_H
#define SSM_SANDBOX_TARGETS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/sandbox/refusal.h"
#include "sdk/sandbox/store.h"

struct node_list {
	struct node **nodes; /* each once */
	size_t count;
};

/* The nodes that InstanceIds or Targets of SendCommand mean: all of the ids, or those that pass
 * every target (tag:KEY, tag-key), in the order in which they became known; perhaps none. False
 * with a refusal. Free with free(ret->nodes). */
bool targets_find(struct sandbox *sb, const json_t *request, struct node_list *ret,
		  struct refusal *why);

/* "7" or "10%" of COUNT, rounded down. */
int64_t targets_share(const char *text, size_t count);
/* Whether TEXT is one that MaxConcurrency (at least 1), MaxErrors (0, too) takes. */
bool targets_is_concurrency(const char *text);
bool targets_is_errors(const char *text);

#endif
