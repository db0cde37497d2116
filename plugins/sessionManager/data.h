/* SPDX-License-Identifier: Apache-2.0 */
/* The data channel of a session: numbered messages that arrive once and in order over a connection
 * that loses, repeats and breaks (spec 02 §3). It knows neither sockets nor what the messages say.
 *
 * Why like this: the client acknowledges each message once and never again (spec 08), so a message
 * whose acknowledgement was lost looks for ever like one that is on its way. Such messages are sent
 * again at growing intervals, but neither fill the window nor hold up the others. */
#ifndef SSM_SESSIONMANAGER_DATA_H
#define SSM_SESSIONMANAGER_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

#define DATA_CHUNK_BYTES 1024		    /* of output in one message, spec 02 §3.7 */
#define DATA_WINDOW_BYTES (256 * 1024)	    /* on their way before data_send() says -EAGAIN */
#define DATA_KEPT_BYTES (4 * 1024 * 1024)   /* unacknowledged, the long overdue ones included */
#define DATA_REORDER_BYTES (1024 * 1024)    /* received and not yet processed */
#define DATA_AHEAD_MAX 10000 /* how far a client's number can be ahead of ours: all it buffers */
#define DATA_ACKS_MAX 1024   /* that wait for the connection; the client asks for lost ones again */

struct data;

/* None of these may call data_free(); input() must not call data_read() or data_input_ready(). */
struct data_ops {
	/* One binary message. 0: taken. -EAGAIN: not now, data_ready() will be called. Any other
	 * error: the connection is gone, data_up() will be called when there is a new one. */
	int (*send)(void *arg, const void *frame, size_t len);
	/* Call data_timer() in AFTER_MS; replaces what was asked for before. Negative: never. */
	void (*timer)(void *arg, int64_t after_ms);
	/* The next message of the stream. 0: processed. -EAGAIN: not ready, it is kept until
	 * data_input_ready(). Any other error is handed on; the message counts as not received. */
	int (*input)(void *arg, uint32_t payload_type, struct span payload, struct err *e);
	/* After data_send() said -EAGAIN: there is room again. */
	void (*writable)(void *arg);
	/* A channel_closed came: the service or the operator ends the session. */
	void (*closed)(void *arg);
	/* After data_end(), once: 0 when all was acknowledged, -ETIMEDOUT at the deadline. */
	void (*ended)(void *arg, int result);
};

/* SESSION goes into the state messages. OPS and ARG stay the caller's. Never NULL. */
struct data *data_new(const char *session, const struct data_ops *ops, void *arg);
struct data *data_free(struct data *d); /* NULL; NULL is fine */

/* A connection is open (its open message has been sent): all that is unacknowledged goes out again
 * at once, in order. The first time the state Connected goes before it. */
void data_up(struct data *d);
void data_down(struct data *d);	 /* the connection is gone: nothing is sent until data_up() */
void data_ready(struct data *d); /* after send() said -EAGAIN: it takes more now */
void data_timer(struct data *d);

/* A message came. 0, or why it was dropped or not processed: -EBADMSG, -EMSGSIZE, -ENOMSG for a
 * type that nobody knows, or the error of input(). */
int data_read(struct data *d, const void *frame, size_t len, struct err *e);
/* After input() said -EAGAIN: go on. 0 or the error of input(). */
int data_input_ready(struct data *d, struct err *e);

/* One message of the stream, of at most FRAME_MAX_BYTES with its header; the caller cuts output
 * into chunks. Empty data sends nothing. 0: it will arrive. -EAGAIN: nothing was taken, writable()
 * comes. -EPIPE after data_end(), -EMSGSIZE. */
int data_send(struct data *d, uint32_t payload_type, const void *p, size_t len);
/* agent_session_state; not part of the stream, not repeated. STATE: "Terminating". */
void data_send_state(struct data *d, const char *state);

/* No more messages: ended() is called (perhaps from here) when all are acknowledged, at the latest
 * after DEADLINE_MS. Acknowledging input goes on. */
void data_end(struct data *d, int64_t deadline_ms);

size_t data_unacked(const struct data *d); /* messages */
bool data_paused(const struct data *d);	   /* the service asked to wait (spec 02 §3.5) */

#endif
