/* SPDX-License-Identifier: Apache-2.0 */
/* smux version 1, the multiplexer inside port sessions (spec 02 §7.4): the side that is connected
 * to. Pure code.
 *
 * Why like this: a FIN ends one direction, the stream lives until both ended, so nothing is lost
 * when one side finishes first. Version 1 has no window of a stream: what a slow destination has
 * not taken is kept here up to a ceiling over all streams, then nothing more is read. */
#ifndef SSM_SESSIONMANAGER_SMUX_H
#define SSM_SESSIONMANAGER_SMUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

#define SMUX_HEADER_BYTES 8
#define SMUX_FRAME_MAX 32768		/* data in a frame that we send */
#define SMUX_STREAMS_MAX 1024		/* one more is answered with a FIN */
#define SMUX_KEPT_BYTES (4 * 1024 * 1024) /* received and not taken, over all streams */
#define SMUX_OUT_BYTES (64 * 1024)	/* that wait for send() before streams have to wait */
#define SMUX_NOP_MS 10000		/* keep-alive: a NOP each, */
#define SMUX_SILENCE_MS 30000		/* and the end when nothing came in so long */

struct smux;
struct smux_stream;

/* Each may call everything but smux_free() and, readable() excepted, smux_read(). */
struct smux_ops {
	/* Bytes for the peer, in order; how many were taken. Less than LEN: smux_writable() is
	 * called. */
	size_t (*send)(void *arg, const void *p, size_t len);
	void (*opened)(void *arg, struct smux_stream *s);
	/* How many were taken (0: not yet); the rest is kept until smux_stream_ready(). Negative:
	 * the destination is gone, which closes the stream. */
	ssize_t (*data)(void *arg, struct smux_stream *s, const void *p, size_t len);
	void (*eof)(void *arg, struct smux_stream *s); /* the peer sends no more on it */
	/* After smux_stream_write() took less than all: there is room. */
	void (*writable)(void *arg, struct smux_stream *s);
	void (*gone)(void *arg, struct smux_stream *s); /* last word; S is freed after it */
	void (*readable)(void *arg); /* after smux_read() said -EAGAIN */
	/* With keep-alive: call smux_timer() in AFTER_MS. */
	void (*timer)(void *arg, int64_t after_ms);
};

/* KEEP_ALIVE: for clients up to version 1.2.331.0. Never NULL. */
struct smux *smux_new(const struct smux_ops *ops, void *arg, bool keep_alive);
struct smux *smux_free(struct smux *m); /* all streams are gone(); NULL; NULL is fine */

/* All of P, in pieces as they come: 0; -EAGAIN: none was taken, readable() comes; -EPROTO: the peer
 * does not speak smux, the session is to be ended. */
int smux_read(struct smux *m, const void *p, size_t len, struct err *e);
void smux_writable(struct smux *m);
int smux_timer(struct smux *m, struct err *e); /* 0, or -ETIMEDOUT: the peer is silent */

void smux_stream_set(struct smux_stream *s, void *user);
void *smux_stream_user(const struct smux_stream *s);
uint32_t smux_stream_id(const struct smux_stream *s);
/* How many were taken, perhaps 0. -EPIPE after smux_stream_finish(). */
ssize_t smux_stream_write(struct smux_stream *s, const void *p, size_t len);
void smux_stream_ready(struct smux_stream *s);	/* data() takes more */
void smux_stream_finish(struct smux_stream *s); /* FIN behind what was written; reading goes on */
void smux_stream_close(struct smux_stream *s);	/* both directions; what is kept is dropped */

#endif
