/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake: request, response, key, challenge, complete. */
#include "plugins/sessionManager/handshake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "plugins/sessionManager/crypt.h"
#include "plugins/sessionManager/frame.h"
#include "plugins/sessionManager/messages.h"

#define CHALLENGE_BYTES 16		 /* in the encryption context; spec 02 §4.2 */
#define NO_SEPARATE_OUTPUT "1.2.295"	 /* clients up to this print both streams as one */
#define NS_PER_MS 1000000

enum state { NEW, AWAITS_RESPONSE, AWAITS_KEY, AWAITS_ANSWER, DONE };

struct handshake {
	const struct handshake_conf *conf;
	const struct handshake_ops *ops;
	void *arg;
	enum state state;
	int64_t began_ms;
	char *challenge; /* base64 */
	char client_version[MESSAGE_VERSION_SIZE];
	struct crypt *crypt;
};

struct handshake *
handshake_new(const struct handshake_conf *conf, const struct handshake_ops *ops, void *arg)
{
	struct handshake *h = xcalloc(1, sizeof(*h));
	unsigned char random[CHALLENGE_BYTES];

	rand_bytes(random, sizeof(random));
	h->challenge = text_base64(random, sizeof(random));
	h->conf = conf;
	h->ops = ops;
	h->arg = arg;
	return h;
}

struct handshake *
handshake_free(struct handshake *h)
{
	if (!h)
		return NULL;
	crypt_free(h->crypt);
	free(h->challenge);
	free(h);
	return NULL;
}

static void
finish(struct handshake *h, int result, const char *text)
{
	h->state = DONE;
	if (result < 0)
		h->crypt = crypt_free(h->crypt);
	h->ops->timer(h->arg, -1);
	h->ops->done(h->arg, result, text);
}

__attribute__((format(printf, 3, 4))) static void
fail(struct handshake *h, int result, const char *fmt, ...)
{
	autofree char *why = NULL, *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	why = xvasprintf(fmt, ap);
	va_end(ap);
	text = xasprintf("Encountered error while initiating handshake. %s", why);
	finish(h, result, text);
}

/* False: it failed, which has been told. */
static bool
send(struct handshake *h, enum payload_type type, const struct sbuf *b)
{
	int r = b->err ? b->err : h->ops->send(h->arg, type, b->p, b->len);

	if (r < 0)
		fail(h, r, "A message cannot be sent: %s", strerror(-r));
	return r >= 0;
}

void
handshake_start(struct handshake *h)
{
	const struct handshake_request r = { h->conf->agent_version, h->conf->session_type,
					     h->conf->properties, h->conf->kms_key_id,
					     h->challenge };
	autosbuf struct sbuf b = SBUF_INIT(FRAME_MAX_BYTES);

	message_write_handshake(&r, &b);
	h->state = AWAITS_RESPONSE;
	h->began_ms = clock_mono_ms();
	if (send(h, PAYLOAD_HANDSHAKE_REQUEST, &b))
		h->ops->timer(h->arg, HANDSHAKE_MS);
}

void
handshake_timer(struct handshake *h)
{
	if (h->state == AWAITS_ANSWER)
		fail(h, -ETIMEDOUT, "Timed out waiting for encryption challenge.");
	else if (h->state == AWAITS_RESPONSE || h->state == AWAITS_KEY)
		fail(h, -ETIMEDOUT, "Handshake timed out. Please ensure that you have the latest "
		     "version of the session manager plugin.");
}

static void
complete(struct handshake *h)
{
	autosbuf struct sbuf text = SBUF_INIT(MESSAGE_MAX_SMALL), b = SBUF_INIT(FRAME_MAX_BYTES);

	if (h->conf->separate_output && version_compare(h->client_version, NO_SEPARATE_OUTPUT) <= 0)
		sbuf_adds(&text, "Please update session manager plugin version (minimum required "
			  "version 1.2.312.0) for fully support of separate StdOut/StdErr "
			  "output.\r\n");
	if (h->crypt)
		sbuf_adds(&text, "This session is encrypted using AWS KMS.");
	message_write_complete((clock_mono_ms() - h->began_ms) * NS_PER_MS, sbuf_str(&text), &b);
	if (send(h, PAYLOAD_HANDSHAKE_COMPLETE, &b))
		finish(h, 0, "");
}

static void
ask_for_key(struct handshake *h, const struct handshake_response *r)
{
	if (!r->kms) {
		fail(h, -EPROTO, "KMSEncryption was not processed by the client.");
	} else if (h->conf->require_challenge && !r->challenge_known) {
		fail(h, -EPROTO, "client does not support required encryption context random "
		     "challenge");
	} else {
		h->state = AWAITS_KEY;
		h->ops->decrypt(h->arg, r->kms_key, r->challenge_known ? h->challenge : NULL);
	}
}

static void
take_response(struct handshake *h, struct span payload)
{
	struct handshake_response r = { 0 };
	struct err e = { 0, "" };

	if (message_read_handshake(payload, &r, &e) < 0) {
		fail(h, e.code, "%s", e.text);
		return;
	}
	memcpy(h->client_version, r.client_version, sizeof(h->client_version));
	if (r.failure)
		fail(h, -EPROTO, "%s", r.failure);
	else if (!r.session_type)
		fail(h, -EPROTO, "SessionType was not processed by the client.");
	else if (h->conf->kms_key_id)
		ask_for_key(h, &r);
	else
		complete(h);
	handshake_response_done(&r);
}

void
handshake_key(struct handshake *h, int result, const char *text, const void *key, size_t len)
{
	autosbuf struct sbuf sealed = SBUF_INIT(MESSAGE_MAX_SMALL), b = SBUF_INIT(FRAME_MAX_BYTES);
	struct err e = { 0, "" };

	if (h->state != AWAITS_KEY)
		return;
	if (result < 0) {
		fail(h, result, "Fetching data key failed: Unable to retrieve data key, Error when "
		     "decrypting data key %s", text);
		return;
	}
	if (crypt_new(key, len, &h->crypt, &e) < 0 || crypt_challenge(h->crypt, &sealed, &e) < 0) {
		fail(h, e.code, "Fetching data key failed: %s", e.text);
		return;
	}
	message_write_challenge(sealed.p, sealed.len, &b);
	h->state = AWAITS_ANSWER;
	if (send(h, PAYLOAD_CHALLENGE_REQUEST, &b))
		h->ops->timer(h->arg, HANDSHAKE_MS);
}

static void
take_answer(struct handshake *h, struct span payload)
{
	autofree unsigned char *data = NULL;
	struct err e = { 0, "" };
	size_t len = 0;
	int r = message_read_challenge(payload, &data, &len, &e);

	if (r >= 0)
		r = crypt_answer(h->crypt, data, len, &e);
	if (r < 0)
		fail(h, r, "%s", e.text);
	else
		complete(h);
}

void
handshake_input(struct handshake *h, uint32_t payload_type, struct span payload)
{
	if (payload_type == PAYLOAD_HANDSHAKE_RESPONSE && h->state == AWAITS_RESPONSE)
		take_response(h, payload);
	else if (payload_type == PAYLOAD_CHALLENGE_RESPONSE && h->state == AWAITS_ANSWER)
		take_answer(h, payload);
}

const char *
handshake_client_version(const struct handshake *h)
{
	return h->client_version;
}

struct crypt *
handshake_take_crypt(struct handshake *h)
{
	return TAKE(h->crypt);
}
