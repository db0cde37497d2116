/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM of session data, through OpenSSL's EVP. */
#include "plugins/sessionManager/crypt.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rand.h"

struct crypt {
	EVP_CIPHER_CTX *seal, *open;
	unsigned char nonce[CRYPT_NONCE_BYTES]; /* the next one of ours */
	unsigned char challenge[CRYPT_CHALLENGE_BYTES];
	bool asked;
};

int
crypt_new(const void *key, size_t len, struct crypt **ret, struct err *e)
{
	const unsigned char *k = key;
	struct crypt *c;

	if (len != CRYPT_KEY_BYTES)
		return err_set(e, -EINVAL, "the data key has %zu bytes, not %d", len,
			       CRYPT_KEY_BYTES);
	c = xcalloc(1, sizeof(*c));
	c->seal = EVP_CIPHER_CTX_new();
	c->open = EVP_CIPHER_CTX_new();
	rand_bytes(c->nonce, sizeof(c->nonce));
	if (c->seal && c->open &&
	    EVP_EncryptInit_ex(c->seal, EVP_aes_256_gcm(), NULL, k, NULL) == 1 &&
	    EVP_DecryptInit_ex(c->open, EVP_aes_256_gcm(), NULL, k + CRYPT_KEY_BYTES / 2,
			       NULL) == 1) {
		*ret = c;
		return 0;
	}
	crypt_free(c);
	return err_set(e, -EIO, "the crypto library has no AES-256-GCM");
}

/* The contexts wipe their keys. */
struct crypt *
crypt_free(struct crypt *c)
{
	if (!c)
		return NULL;
	EVP_CIPHER_CTX_free(c->seal);
	EVP_CIPHER_CTX_free(c->open);
	wipe(c, sizeof(*c));
	mem_cleanup_free(&c);
	return NULL;
}

static bool
has_room(const struct sbuf *out, size_t len)
{
	return !out->err && out->len <= out->max && out->max - out->len >= len;
}

/* A counter whose first byte moves first, as the reference's. */
static void
next_nonce(struct crypt *c)
{
	for (size_t i = 0; i < sizeof(c->nonce) && ++c->nonce[i] == 0; i++)
		;
}

int
crypt_seal(struct crypt *c, const void *p, size_t len, struct sbuf *out, struct err *e)
{
	size_t total = len + CRYPT_EXTRA_BYTES;
	autofree unsigned char *m = NULL;
	unsigned char *body;
	int n = 0, last = 0;
	bool good;

	if (len > INT_MAX - CRYPT_EXTRA_BYTES || !has_room(out, total))
		return err_set(e, -E2BIG, "no room to encrypt %zu bytes", len);
	m = xmalloc(total);
	body = m + CRYPT_NONCE_BYTES;
	memcpy(m, c->nonce, CRYPT_NONCE_BYTES);
	next_nonce(c);
	good = EVP_EncryptInit_ex(c->seal, NULL, NULL, NULL, m) == 1 &&
		EVP_EncryptUpdate(c->seal, body, &n, p, (int)len) == 1 &&
		EVP_EncryptFinal_ex(c->seal, body + n, &last) == 1 && (size_t)(n + last) == len &&
		EVP_CIPHER_CTX_ctrl(c->seal, EVP_CTRL_GCM_GET_TAG, CRYPT_TAG_BYTES,
				    body + len) == 1;
	if (!good)
		return err_set(e, -EIO, "the crypto library cannot encrypt %zu bytes", len);
	sbuf_add(out, m, total);
	return 0;
}

/* The plain bytes are nobody's before the tag has been checked. */
int
crypt_open(struct crypt *c, const void *p, size_t len, struct sbuf *out, struct err *e)
{
	unsigned char nonce[CRYPT_NONCE_BYTES], tag[CRYPT_TAG_BYTES];
	size_t plain = len - CRYPT_EXTRA_BYTES;
	autofree unsigned char *m = NULL;
	int n = 0, last = 0;
	bool good;

	if (len < CRYPT_EXTRA_BYTES)
		return err_set(e, -EBADMSG, "an encrypted message has %zu bytes, fewer than %d",
			       len, CRYPT_EXTRA_BYTES);
	if (len > INT_MAX || !has_room(out, plain))
		return err_set(e, -E2BIG, "no room to decrypt %zu bytes", len);
	m = xmalloc(plain ? plain : 1);
	memcpy(nonce, p, sizeof(nonce));
	memcpy(tag, (const char *)p + len - sizeof(tag), sizeof(tag));
	good = EVP_DecryptInit_ex(c->open, NULL, NULL, NULL, nonce) == 1 &&
		EVP_DecryptUpdate(c->open, m, &n, (const unsigned char *)p + sizeof(nonce),
				  (int)plain) == 1 &&
		EVP_CIPHER_CTX_ctrl(c->open, EVP_CTRL_GCM_SET_TAG, CRYPT_TAG_BYTES, tag) == 1 &&
		EVP_DecryptFinal_ex(c->open, m + n, &last) == 1 && (size_t)(n + last) == plain;
	if (good && plain)
		sbuf_add(out, m, plain);
	wipe(m, plain);
	return good ? 0 : err_set(e, -EBADMSG, "a message of %zu bytes was not encrypted with the "
				  "session's key", len);
}

int
crypt_challenge(struct crypt *c, struct sbuf *out, struct err *e)
{
	rand_bytes(c->challenge, sizeof(c->challenge));
	c->asked = true;
	return crypt_seal(c, c->challenge, sizeof(c->challenge), out, e);
}

int
crypt_answer(struct crypt *c, const void *p, size_t len, struct err *e)
{
	struct sbuf plain = SBUF_INIT(CRYPT_CHALLENGE_BYTES);
	int r = 0;

	if (len != CRYPT_CHALLENGE_BYTES + CRYPT_EXTRA_BYTES)
		return err_set(e, -EBADMSG, "the answered challenge has %zu bytes, not %d", len,
			       CRYPT_CHALLENGE_BYTES + CRYPT_EXTRA_BYTES);
	r = crypt_open(c, p, len, &plain, e);
	if (r >= 0 && (!c->asked || CRYPTO_memcmp(plain.p, c->challenge, plain.len) != 0))
		r = err_set(e, -EBADMSG, "the answered challenge is not the one that was asked");
	sbuf_wipe(&plain);
	return r;
}
