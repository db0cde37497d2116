/* SPDX-License-Identifier: Apache-2.0 */
/* Checks AWS Signature Version 4, header form and query form. Written apart from the agent's
 * signer, or a wrong signer would agree with itself. */
#ifndef SSM_SANDBOX_VERIFY_H
#define SSM_SANDBOX_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "sdk/sandbox/keys.h"

/* Names in lower case; several values of one name are several entries, in order. */
struct verify_header {
	const char *name;
	const char *value;
};

struct verify_request {
	const char *method;
	const char *path;  /* as on the request line, still percent-encoded */
	const char *query; /* likewise, without '?'; "" when there is none */
	const struct verify_header *headers;
	size_t header_count;
	const void *body;
	size_t body_len;
};

struct verify_rules {
	const struct keys *keys;
	const char *region;
	const char *service; /* signing name */
	int64_t now_ms;
	int64_t max_skew_ms;
	int single_encoding; /* S3: the path is encoded once and not normalised */
};

struct verify_result {
	const struct key *key; /* also set when the signature is wrong, if the id is known */
	char code[40];	       /* error code as the services name it, "" when all is well */
	char message[640];
	char canonical_hash[65]; /* hex; "" when it did not come to that */
};

/* 0, or -EACCES with code and message filled in. */
int verify_check(const struct verify_request *r, const struct verify_rules *rules,
		 struct verify_result *ret);

/* Access key id named by the request, "" when there is none. */
void verify_key_id(const struct verify_request *r, char *ret, size_t ret_size);

#endif
