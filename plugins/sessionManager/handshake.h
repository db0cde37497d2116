/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake at the start of a session (spec 02 §4): what the client is asked to do, its
 * version, the key that both share. It sends and receives messages of the stream and waits for KMS
 * by way of its owner. */
#ifndef SSM_SESSIONMANAGER_HANDSHAKE_H
#define SSM_SESSIONMANAGER_HANDSHAKE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

#define HANDSHAKE_MS 15000 /* for response and KMS, and again for the challenge; spec 02 §4.6 */

struct crypt;
struct handshake;

struct handshake_conf { /* all of it is the caller's and lives as long as the handshake */
	const char *agent_version; /* as reported: four numbers */
	const char *session_type;
	const json_t *properties; /* of a Port document, else NULL */
	const char *kms_key_id;	  /* NULL: no encryption */
	bool require_challenge;	  /* Kms.RequireKMSChallengeResponse */
	bool separate_output;	  /* stderr is a stream of its own: old clients get a hint */
};

/* None of these may call handshake_free(). */
struct handshake_ops {
	int (*send)(void *arg, uint32_t payload_type, const void *p, size_t len); /* 0 or -errno */
	/* Call handshake_timer() in AFTER_MS; replaces what was asked for before. Negative: never.
	 */
	void (*timer)(void *arg, int64_t after_ms);
	/* Ask KMS to decrypt CIPHER_TEXT (base64); CHALLENGE is part of the encryption context
	 * (aws:ssm:RandomChallenge) unless it is NULL. handshake_key() takes the answer. */
	void (*decrypt)(void *arg, const char *cipher_text, const char *challenge);
	/* Once. 0, or an error with the text for the operator. */
	void (*done)(void *arg, int result, const char *text);
};

/* Never NULL. Nothing is sent before handshake_start(). */
struct handshake *handshake_new(const struct handshake_conf *conf, const struct handshake_ops *ops,
				void *arg);
struct handshake *handshake_free(struct handshake *h); /* NULL; NULL is fine */

void handshake_start(struct handshake *h);
void handshake_timer(struct handshake *h);
/* A message of the stream before done() was called: always processed. What is not of the handshake
 * is discarded, as is what comes again. */
void handshake_input(struct handshake *h, uint32_t payload_type, struct span payload);
/* The answer of KMS; RESULT negative: it failed, for the reason TEXT. */
void handshake_key(struct handshake *h, int result, const char *text, const void *key, size_t len);

const char *handshake_client_version(const struct handshake *h); /* "" before the response */
struct crypt *handshake_take_crypt(struct handshake *h);	  /* NULL: no encryption */

#endif
