/* SPDX-License-Identifier: Apache-2.0 */
/* Access keys that the sandbox has given out, and who may use them for what. */
#ifndef SSM_SANDBOX_KEYS_H
#define SSM_SANDBOX_KEYS_H

#include <jansson.h>
#include <stdint.h>

enum key_side {
	KEY_NODE,
	KEY_OPERATOR
};

struct key {
	char id[24];
	char *secret;
	char *token; /* NULL: long-term credentials */
	int64_t issued_ms;
	int64_t expires_ms; /* by the sandbox's clock; 0: never */
	enum key_side side;
	char source[16]; /* "imds", "ecs", "static", "operator" */
};

struct keys;

struct keys *keys_new(void);
struct keys *keys_free(struct keys *k); /* returns NULL */

/* A new pair for SOURCE, which becomes its current one; older pairs stay valid until they expire.
 * LIFE_MS 0: without token and expiry. */
const struct key *keys_issue(struct keys *k, const char *source, enum key_side side, int64_t now_ms,
			     int64_t life_ms);
/* A pair that is known from elsewhere; as above. TOKEN may be NULL, EXPIRES_MS 0. */
const struct key *keys_add(struct keys *k, const char *source, enum key_side side, const char *id,
			   const char *secret, const char *token, int64_t expires_ms);
/* The pair last issued for SOURCE, or NULL. */
const struct key *keys_current(const struct keys *k, const char *source);
const struct key *keys_find(const struct keys *k, const char *id);
/* End the validity of all temporary pairs of SOURCE (NULL: of every source) at AT_MS; the number
 * changed. */
int keys_expire(struct keys *k, const char *source, int64_t at_ms);

/* As IMDS and the container endpoint write it: AccessKeyId, SecretAccessKey, Token, Expiration.
 * Caller owns. */
json_t *keys_document(const struct key *key);
/* Id, source and expiry without secrets. Caller owns. */
json_t *keys_list(const struct keys *k);

#endif
