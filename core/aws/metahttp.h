/* SPDX-License-Identifier: Apache-2.0 */
/* One request to a metadata service beside the machine (IMDS, ECS): never through a proxy, short
 * deadlines, two more tries for a hiccup. */
#ifndef SSM_AWS_METAHTTP_H
#define SSM_AWS_METAHTTP_H

#include "core/net/http.h"

struct metahttp;

#define METAHTTP_CONNECT_MS 2000
#define METAHTTP_TIMEOUT_MS 5000
#define METAHTTP_MAX_BYTES (64u * 1024u)

struct metahttp_request {
	const char *method;
	const char *url;
	char *const *headers;
	int64_t connect_ms; /* 0: METAHTTP_CONNECT_MS */
	int64_t timeout_ms; /* of all tries together; 0: METAHTTP_TIMEOUT_MS */
};
/* DONE as of http_start(): once, never from within. 5xx, 429 and broken connections are tried again
 * twice, a time-out is not. NULL for an invalid request (E says why). */
struct metahttp *metahttp_start(struct event_base *base, struct http *http,
				const struct metahttp_request *r, http_done_fn *done, void *arg,
				struct err *e);
void metahttp_cancel(struct metahttp *m); /* no callback; NULL is fine */

#endif
