/* SPDX-License-Identifier: Apache-2.0 */
/* What a session sees of its data channel: the reliable stream (data.h) behind the handshake
 * (handshake.h), encrypted where the document asks for it (crypt.h). */
#ifndef SSM_SESSIONMANAGER_CHANNEL_H
#define SSM_SESSIONMANAGER_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"
#include "plugins/sessionManager/handshake.h"

struct channel;

enum channel_timer { CHANNEL_DATA, CHANNEL_HANDSHAKE, CHANNEL_TIMERS };

/* As those of struct data_ops and struct handshake_ops; none may call channel_free(). */
struct channel_ops {
	int (*send)(void *arg, const void *frame, size_t len);
	/* Call channel_timer() for WHICH in AFTER_MS; negative: never. */
	void (*timer)(void *arg, enum channel_timer which, int64_t after_ms);
	void (*decrypt)(void *arg, const char *cipher_text, const char *challenge);
	/* The session can begin: 0; or the handshake failed, TEXT is for the operator. Once. */
	void (*ready)(void *arg, int result, const char *text);
	/* A message for the session, plain. 0, -EAGAIN until channel_input_ready(), or an error. */
	int (*input)(void *arg, uint32_t payload_type, struct span payload, struct err *e);
	void (*writable)(void *arg);
	void (*closed)(void *arg);
	void (*ended)(void *arg, int result);
};

/* HANDSHAKE (the caller's, as long as the channel): NULL where the session type needs none and the
 * document names no key (spec 02 §4.1). Never NULL. */
struct channel *channel_new(const char *session, const struct handshake_conf *handshake,
			    const struct channel_ops *ops, void *arg);
struct channel *channel_free(struct channel *c); /* NULL; NULL is fine */

void channel_up(struct channel *c); /* the first time begins the handshake, or ready() comes */
void channel_down(struct channel *c);
void channel_transport_ready(struct channel *c);
void channel_timer(struct channel *c, enum channel_timer which);
/* 0, or the error of data_read(); -EBADMSG also for input that cannot be decrypted. */
int channel_read(struct channel *c, const void *frame, size_t len, struct err *e);
int channel_input_ready(struct channel *c, struct err *e);
/* The answer to decrypt(). */
void channel_key(struct channel *c, int result, const char *text, const void *key, size_t len);

/* After ready(): at most DATA_CHUNK_BYTES and a character. 0, -EAGAIN (writable() comes), -EPIPE
 * after channel_end(). */
int channel_send(struct channel *c, uint32_t payload_type, const void *p, size_t len);
void channel_send_state(struct channel *c, const char *state);
void channel_end(struct channel *c, int64_t deadline_ms);
size_t channel_unacked(const struct channel *c); /* messages */

const char *channel_client_version(const struct channel *c); /* "" without a handshake */

#endif
