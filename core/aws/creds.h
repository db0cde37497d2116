/* SPDX-License-Identifier: Apache-2.0 */
/* The credential chain and its cache: environment, shared file, ECS, instance profile, in this
 * order; one refresh in flight, old credentials stay in use when it fails. DESIGN section 14. */
#ifndef SSM_AWS_CREDS_H
#define SSM_AWS_CREDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

struct event_base;
struct http;
struct imds;

/* One set. Counted: a caller that keeps it takes a reference. Wiped when the last one goes. */
struct creds {
	unsigned refs;
	char *access_key, *secret_key, *token; /* token NULL when there is none */
	int64_t expires_ms;		       /* unix ms; 0: never */
	const char *source; /* "environment" "shared-file" "ecs" "instance-profile" */
};
struct creds *creds_new(const char *access_key, const char *secret_key, const char *token,
			int64_t expires_ms, const char *source);
struct creds *creds_ref(struct creds *c);
struct creds *creds_unref(struct creds *c); /* returns NULL */
bool creds_equal(const struct creds *a, const struct creds *b); /* the same keys */

/* What a provider says: SET (the receiver owns the reference) or NULL with the reason why it is
 * passed over. With SET, WHY_NOT is a remark or NULL (a bad line that did not matter). */
typedef void creds_provider_done_fn(void *arg, struct creds *set, const char *why_not);
/* A source of credentials. NOT_CONFIGURED reasons start with "not configured". Done is called once,
 * possibly from within start. */
struct creds_provider {
	const char *name;
	void *(*start)(void *ctx, creds_provider_done_fn *done,
		       void *arg); /* handle to cancel, or NULL */
	void (*cancel)(void *ctx, void *handle);
	void (*free)(void *ctx);
	void *ctx;
};
/* The four of the documented chain; each reads its environment when it is started. HOME_OVERRIDE:
 * NULL, or the home to use instead of the password database's (--root: $HOME). */
struct creds_provider creds_env_provider(void);
struct creds_provider creds_file_provider(const char *home_override);
struct creds_provider creds_ecs_provider(struct event_base *base, struct http *http,
					 int64_t timeout_ms /* 0: 5 s */);
struct creds_provider creds_imds_provider(struct imds *imds);

struct creds_cache;
/* Takes the providers (freed with the cache). */
struct creds_cache *creds_cache_new(struct event_base *base, const struct creds_provider *providers,
				    size_t count);
struct creds_cache *creds_cache_free(struct creds_cache *c);
/* SET: borrowed, take a reference to keep it. NULL: no source yields any, WHY joins their reasons.
 * Must not free the cache. */
typedef void creds_done_fn(void *arg, struct creds *set, const char *why);
struct creds_wait;
/* Done is called at once when good credentials are there (and NULL returned), else from the loop
 * after the refresh; while there are none at all and the last refresh failed a moment ago, after
 * the next one (at most 8 s later). */
struct creds_wait *creds_get(struct creds_cache *c, creds_done_fn *done, void *arg);
void creds_wait_cancel(struct creds_wait *w); /* NULL is fine */
/* A service refused SET: force one refresh, at most once a minute. */
void creds_refused(struct creds_cache *c, const struct creds *set);
/* The network changed: cut a pending back-off short. */
void creds_retry_now(struct creds_cache *c);
/* For `whoami`: {"source" (null: none), "access_key" (first 4 characters), "expires" (null: never),
 * "expired", "refused" (a service refused them), "remark" (null: none), "passed_over":
 * [{"source","reason"}], "last_error" (null: the last refresh was fine)}. No secrets. Caller
 * owns. */
json_t *creds_describe(const struct creds_cache *c);

#endif
