/* SPDX-License-Identifier: Apache-2.0 */
/* The encryption of a session whose document names a KMS key (spec 02 §4.4): AES-256-GCM, one key
 * for each direction, message = nonce, ciphertext, tag. */
#ifndef SSM_SESSIONMANAGER_CRYPT_H
#define SSM_SESSIONMANAGER_CRYPT_H

#include <stddef.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

#define CRYPT_KEY_BYTES 64	 /* of KMS: both keys */
#define CRYPT_NONCE_BYTES 12
#define CRYPT_TAG_BYTES 16
#define CRYPT_EXTRA_BYTES (CRYPT_NONCE_BYTES + CRYPT_TAG_BYTES) /* a message is longer by */
#define CRYPT_CHALLENGE_BYTES 64

struct crypt;

/* KEY as KMS decrypted it; copied, wiped by crypt_free(). -EINVAL for another length than
 * CRYPT_KEY_BYTES. */
int crypt_new(const void *key, size_t len, struct crypt **ret, struct err *e);
struct crypt *crypt_free(struct crypt *c); /* NULL; NULL is fine */

/* The message for LEN bytes (agent to client) onto OUT. No nonce is used twice. 0, -E2BIG when OUT
 * has no room and is as it was, -EIO. */
int crypt_seal(struct crypt *c, const void *p, size_t len, struct sbuf *out, struct err *e);
/* What a message (client to agent) holds, onto OUT. 0, -E2BIG, -EBADMSG when it is too short or was
 * not made with the key. */
int crypt_open(struct crypt *c, const void *p, size_t len, struct sbuf *out, struct err *e);

/* The proof that both have the key: what to send (sealed random bytes, onto OUT), and whether the
 * answer holds the same bytes: 0 or -EBADMSG. */
int crypt_challenge(struct crypt *c, struct sbuf *out, struct err *e);
int crypt_answer(struct crypt *c, const void *p, size_t len, struct err *e);

#endif
