/* SPDX-License-Identifier: Apache-2.0 */
/* The server's end of a WebSocket (RFC 6455) on a connection that libmicrohttpd has handed over. */
#ifndef SSM_SANDBOX_WSEND_H
#define SSM_SANDBOX_WSEND_H

#include <stdbool.h>
#include <stddef.h>

#include "sdk/sandbox/exchange.h"
#include "sdk/sandbox/sandbox.h"

struct wsend;

struct wsend_ops {
	/* The connection is there; keep W. NULL: it is closed at once. */
	void *(*opened)(struct exchange *ex, struct wsend *w);
	void (*message)(void *arg, bool text, const void *data, size_t len);
	void (*ping)(void *arg, const void *data, size_t len);
	/* The other side is gone, or broke a rule. W is freed behind it. */
	void (*closed)(void *arg, const char *why);
	/* Little of what was to be sent waits any more; may be NULL. */
	void (*drained)(void *arg);
	bool may_offer; /* extensions, which are not used */
};

/* Answer EX: with a refusal when it is no upgrade as RFC 6455 has it, else it becomes a WebSocket.
 */
void wsend_accept(struct exchange *ex, const struct wsend_ops *ops);
void wsend_message(struct wsend *w, bool text, const void *data, size_t len);
/* Bytes that wait until the other side takes them. */
size_t wsend_waiting(const struct wsend *w);
/* Nothing is read for now, what was read waits; and read again, with callbacks at once. */
void wsend_hold(struct wsend *w, bool hold);
/* Nothing is read, answered or sent from now on: a path that swallows everything. */
void wsend_mute(struct wsend *w);
/* CODE 0: without a Close frame; RESET: by a TCP reset. No callback. */
void wsend_close(struct wsend *w, unsigned code, const char *reason, bool reset);

#endif
