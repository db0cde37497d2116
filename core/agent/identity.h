/* SPDX-License-Identifier: Apache-2.0 */
/* Who this node is: instance id, region, availability zone, from the first identity of
 * Identity.ConsumptionOrder that can tell. spec/04 section 1. */
#ifndef SSM_AGENT_IDENTITY_H
#define SSM_AGENT_IDENTITY_H

#include <jansson.h>

struct event_base;
struct conf;
struct http;
struct imds;

struct identity {
	const char *kind;  /* "EC2" "ECS" "CustomIdentity" */
	char *instance_id; /* in all calls; only of A-Z a-z 0-9 . _ : -, at most 255 bytes */
	char *short_id; /* names folders: the instance id, or what follows its last '_' when it is
			   longer than 64 bytes */
	char *region;	/* of the endpoints */
	char *signing_region;				/* Agent.Region, or the same */
	char *availability_zone, *availability_zone_id; /* "" when unknown */
};
struct identity *identity_free(struct identity *i); /* returns NULL */
const char *identity_ecs_uri(void); /* of the container's metadata, or NULL */

/* WHO (owned by the receiver) or NULL, which only identity_look_once() gives. PASSED_OVER:
 * [{"identity","reason"}] of those tried before, borrowed. */
typedef void identity_done_fn(void *arg, struct identity *who, const json_t *passed_over);
struct identity_find;
/* Look for it until it is found, for ever, with waits of at most 10 s between: a node whose
 * metadata service is not up yet must come up by itself. A new reason is logged once. DONE is
 * called once, never from within. IMDS may answer late, but is not NULL. */
struct identity_find *identity_find(struct event_base *base, const struct conf *conf,
				    struct http *http, struct imds *imds, identity_done_fn *done,
				    void *arg);
/* The same, one round: for `whoami`. */
struct identity_find *identity_look_once(struct event_base *base, const struct conf *conf,
					 struct http *http, struct imds *imds,
					 identity_done_fn *done, void *arg);
/* The network changed: the next round at once. */
void identity_retry_now(struct identity_find *f);
void identity_cancel(struct identity_find *f); /* no callback; NULL is fine */

#endif
