/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature Version 4, by header and by query. spec/01 section 3.1, spec/04 section 8. */
#ifndef SSM_AWS_SIGV4_H
#define SSM_AWS_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/base/err.h"

struct sigv4_key {
	const char *access_key, *secret_key, *token; /* token NULL or "" when there is none */
};
struct sigv4_request {
	const char *method, *url;
	char *const *
		headers; /* "Name: value" that go on the wire and are to be signed; Host is added */
	const void *body;
	size_t body_len;
	const char *region, *service;
	time_t when;
	bool unsigned_payload; /* S3 streams: UNSIGNED-PAYLOAD */
	bool sign_length; /* add content-length to what is signed, as the JSON services have it */
	/* Services but S3 sign a path with its dots resolved and encoded twice: */
	bool path_as_is; /* dots and empty segments stay */
	bool path_once;	 /* encoded once */
};
/* For tests and for other signers. */
struct sigv4_parts {
	char *canonical, *to_sign, *signature, *signed_headers, *scope, *payload_hash;
};
void sigv4_parts_done(struct sigv4_parts *p);

/* *RET_HEADERS: a new string vector with R's headers plus X-Amz-Date, X-Amz-Security-Token,
 * X-Amz-Content-Sha256 (service s3 only), Authorization. PARTS may be NULL. */
int sigv4_sign_headers(const struct sigv4_request *r, const struct sigv4_key *key,
		       char ***ret_headers, struct sigv4_parts *parts, struct err *e);
/* *RET_URL: the URL with X-Amz-Algorithm ... X-Amz-Signature in its query, valid for EXPIRES_S. */
int sigv4_sign_query(const struct sigv4_request *r, const struct sigv4_key *key, int64_t expires_s,
		     char **ret_url, struct sigv4_parts *parts, struct err *e);

#endif
