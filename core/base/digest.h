/* SPDX-License-Identifier: Apache-2.0 */
/* Digests through OpenSSL's EVP. */
#ifndef SSM_BASE_DIGEST_H
#define SSM_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA1_SIZE 20
#define DIGEST_SHA256_SIZE 32
#define DIGEST_SHA256_HEX_SIZE 65

/* Not for anything that has to be safe: WebSockets ask for it (RFC 6455 section 4.2.2). */
void digest_sha1(const void *data, size_t len, unsigned char ret[DIGEST_SHA1_SIZE]);
void digest_sha256(const void *data, size_t len, unsigned char ret[DIGEST_SHA256_SIZE]);
void digest_sha256_hex(const void *data, size_t len, char ret[DIGEST_SHA256_HEX_SIZE]);
void digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
			unsigned char ret[DIGEST_SHA256_SIZE]);

/* Streaming SHA-256. */
struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *data, size_t len);
/* Writes the hex digest and frees. */
void digest_finish_hex(struct digest *d, char ret[DIGEST_SHA256_HEX_SIZE]);

#endif
