/* SPDX-License-Identifier: Apache-2.0 */
/* Digests through OpenSSL's EVP. A failure means that OpenSSL has no memory or no SHA-256 at all:
 * there is nothing to go on with, so the process ends. */
#include "core/base/digest.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/base/text.h"

struct digest {
	EVP_MD_CTX *ctx;
};

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "OpenSSL cannot do SHA (%s)\n", what);
	abort();
}

void
digest_sha1(const void *data, size_t len, unsigned char ret[DIGEST_SHA1_SIZE])
{
	must(EVP_Digest(data, len, ret, NULL, EVP_sha1(), NULL) == 1, "digest");
}

/* Fetched and made once: for short data looking for the algorithm takes longer than using it. Not
 * for two threads at once; none of our processes has digests in more than one. */
void
digest_sha256(const void *data, size_t len, unsigned char ret[DIGEST_SHA256_SIZE])
{
	static EVP_MD_CTX *ctx;
	static EVP_MD *sha256;

	if (!sha256)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!ctx)
		ctx = EVP_MD_CTX_new();
	must(sha256 && ctx && EVP_DigestInit_ex2(ctx, sha256, NULL) == 1 &&
		     EVP_DigestUpdate(ctx, data, len) == 1 &&
		     EVP_DigestFinal_ex(ctx, ret, NULL) == 1,
	     "digest");
}

void
digest_sha256_hex(const void *data, size_t len, char ret[DIGEST_SHA256_HEX_SIZE])
{
	unsigned char raw[DIGEST_SHA256_SIZE];

	digest_sha256(data, len, raw);
	text_hex(raw, sizeof(raw), ret);
}

void
digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		   unsigned char ret[DIGEST_SHA256_SIZE])
{
	unsigned size = 0;

	must(key_len <= INT_MAX, "key length");
	/* An empty key must not be NULL: that means "the key of before" to OpenSSL. */
	must(HMAC(EVP_sha256(), key_len ? key : "", (int)key_len, data, len, ret, &size) != NULL,
	     "HMAC");
	must(size == DIGEST_SHA256_SIZE, "HMAC size");
}

struct digest *
digest_new(void)
{
	struct digest *d = xcalloc(1, sizeof(*d));

	d->ctx = EVP_MD_CTX_new();
	must(d->ctx && EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) == 1, "start");
	return d;
}

void
digest_add(struct digest *d, const void *data, size_t len)
{
	if (len > 0)
		must(EVP_DigestUpdate(d->ctx, data, len) == 1, "update");
}

void
digest_finish_hex(struct digest *d, char ret[DIGEST_SHA256_HEX_SIZE])
{
	unsigned char raw[DIGEST_SHA256_SIZE];
	unsigned size = 0;

	must(EVP_DigestFinal_ex(d->ctx, raw, &size) == 1 && size == sizeof(raw), "end");
	text_hex(raw, sizeof(raw), ret);
	EVP_MD_CTX_free(d->ctx);
	free(d);
}
