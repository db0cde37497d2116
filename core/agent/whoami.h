/* SPDX-License-Identifier: Apache-2.0 */
/* Which identity and which credentials are in use, and why the others were passed over: for
 * `ssm-agent --whoami` and `ssmctl whoami`. */
#ifndef SSM_AGENT_WHOAMI_H
#define SSM_AGENT_WHOAMI_H

#include <jansson.h>

struct event_base;
struct conf;
struct http;
struct imds;
struct aws_options;
struct creds_cache;
struct identity;
struct whoami;

struct whoami_options {
	struct event_base *base;
	const struct conf *conf;
	struct http *http;
	struct imds *imds;
	struct creds_cache *creds;
	const struct identity *identity; /* NULL: look for it, once */
	/* Without its regions; not NULL: STS is asked whose the credentials are. Borrowed. */
	const struct aws_options *caller;
};
/* {"identity": kind or null, "instance_id", "region", "signing_region", "availability_zone",
 * "identity_passed_over": [{"identity","reason"}]} and the members of creds_describe(); with CALLER
 * "arn" or "arn_error", where there is somebody to ask about. Borrowed. No secrets. */
typedef void whoami_done_fn(void *arg, const json_t *report);
/* Ask the chain once (a running agent's good credentials are not fetched again). DONE is called
 * once, never from within. */
struct whoami *whoami_start(const struct whoami_options *o, whoami_done_fn *done, void *arg);
void whoami_cancel(struct whoami *w); /* no callback; NULL is fine */

/* The report of what is known already: WHO and PASSED_OVER may be NULL. Caller owns. */
json_t *whoami_report(const struct identity *who, const json_t *passed_over,
		      const struct creds_cache *creds);
/* The report for people, several lines. Caller frees. */
char *whoami_text(const json_t *report);

#endif
