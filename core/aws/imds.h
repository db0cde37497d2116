/* SPDX-License-Identifier: Apache-2.0 */
/* Instance metadata: token handling, version 1 rules, deadlines. spec/04 section 2, DESIGN
 * section 14. */
#ifndef SSM_AWS_IMDS_H
#define SSM_AWS_IMDS_H

#include <stdbool.h>

#include "core/base/err.h"

struct http;
struct imds;
struct imds_call;

struct imds_options {
	bool allow_v1; /* Imds.V1; AWS_EC2_METADATA_V1_DISABLED=true wins over it */
};
/* Endpoint from AWS_EC2_METADATA_SERVICE_ENDPOINT, ..._MODE; NULL with E for an unusable value. */
struct imds *imds_new(struct http *http, const struct imds_options *o, struct err *e);
struct imds *imds_free(struct imds *m);
/* RESULT 0: BODY is the answer; else -errno (-ENOENT for 404) and TEXT says why, with the hop limit
 * hint on a time-out. */
typedef void imds_done_fn(void *arg, int result, const char *body, const char *text);
/* PATH like "/latest/meta-data/instance-id". Connect 2 s, total 5 s. */
struct imds_call *imds_get(struct imds *m, const char *path, imds_done_fn *done, void *arg);
void imds_cancel(struct imds_call *c); /* NULL is fine */

#endif
