/* SPDX-License-Identifier: Apache-2.0 */
/* Instance metadata: token handling, version 1 rules, deadlines. spec/04 section 2, DESIGN
 * section 14. */
#ifndef SSM_AWS_IMDS_H
#define SSM_AWS_IMDS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

struct event_base;
struct http;
struct imds;
struct imds_call;

struct imds_options {
	struct event_base *base;
	struct http *http;
	bool allow_v1;	    /* Imds.V1; AWS_EC2_METADATA_V1_DISABLED=true wins over it */
	int64_t connect_ms; /* 0: 2 s */
	int64_t timeout_ms; /* of a whole imds_get(); 0: 5 s */
};
/* Reads AWS_EC2_METADATA_DISABLED, ..._V1_DISABLED, ..._SERVICE_ENDPOINT and ..._MODE. Never fails:
 * what is switched off or cannot be used is told by each imds_get(). */
struct imds *imds_new(const struct imds_options *o);
struct imds *imds_free(struct imds *m); /* cancels what runs, without callbacks */
/* RESULT 0: BODY is the answer; else -errno and TEXT says why, with the hop limit hint on a
 * time-out: -ENOENT for 404, -ENODEV when switched off by AWS_EC2_METADATA_DISABLED. */
typedef void imds_done_fn(void *arg, int result, const char *body, const char *text);
/* PATH like "/latest/meta-data/instance-id". DONE is called once, never from within. */
struct imds_call *imds_get(struct imds *m, const char *path, imds_done_fn *done, void *arg);
void imds_cancel(struct imds_call *c); /* NULL is fine */

/* An answer to the token request: 0 and its lifetime, or why it cannot be used. */
struct http_response;
int imds_check_token(const struct http_response *r, int64_t *ret_ttl_s, struct err *e);

#endif
