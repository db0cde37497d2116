/* SPDX-License-Identifier: Apache-2.0 */
/* The networks of the VPC that this node is in, as its metadata tells (spec 02 §7.2): port
 * sessions to other hosts may not reach the provider's own addresses in them. */
#ifndef SSM_AGENT_NETWORKS_H
#define SSM_AGENT_NETWORKS_H

#include <stdint.h>

struct event_base;
struct http;
struct imds;
struct networks;

struct networks_options {
	struct event_base *base;
	struct http *http;
	struct imds *imds;
	const char *ecs_uri; /* of the container's metadata, or NULL: the instance's */
	/* Asked again after this time when there was no answer; 0: not. */
	int64_t retry_ms;
};

/* LIST: NULL-ended, "10.0.0.0/16" each, borrowed. Called when the answer is whole, never from
 * within. */
typedef void networks_fn(void *arg, char *const *list);

struct networks *networks_new(const struct networks_options *o, networks_fn *fn, void *arg);
struct networks *networks_free(struct networks *n); /* NULL; NULL is fine */
void networks_look(struct networks *n); /* ask again, unless that is under way; NULL is fine */

#endif
