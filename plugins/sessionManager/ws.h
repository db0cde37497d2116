/* SPDX-License-Identifier: Apache-2.0 */
/* One WebSocket of ssmmessages (spec 02 §1.4, §1.5) on the host's event loop: connect, upgrade,
 * messages, signs of life, back-pressure. It never blocks, and ends by one callback. */
#ifndef SSM_SESSIONMANAGER_WS_H
#define SSM_SESSIONMANAGER_WS_H

#include <ssm_plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct ws;

struct ws_options {
	const char *url;	    /* http, https, ws or wss */
	const char *const *headers; /* "Name: value", NULL-ended: the signature */
	const char *proxy;	    /* URL, NULL: none; the environment has no say */
	const char *ca_file;	    /* NULL: the system's */
	int64_t open_ms;	    /* from the start to an accepted upgrade; 0: 15 s */
	int64_t ping_ms;	    /* between our pings; 0: 15 s */
	/* After so long without a byte of the peer the connection counts as dead; 0: 40 s. Any
	 * frame is a sign of life, not only a pong. */
	int64_t silence_ms;
	size_t message_max; /* of a message that comes; 0: 1 MiB */
	size_t queue_max;   /* of what waits to be sent; 0: 4 MiB */
};

struct ws_ops {
	void (*opened)(void *arg);
	/* A whole message; DATA is borrowed. */
	void (*message)(void *arg, bool text, const void *data, size_t len);
	/* There is room again after ws_send() said -EAGAIN. May be NULL. */
	void (*writable)(void *arg);
	/* The end, once, for whatever reason but ws_free(): RESULT as of upgrade_read() when the
	 * upgrade was refused (STATUS is HTTP's then, else 0), -ETIMEDOUT, -ECONNRESET, -EPROTO
	 * for a broken rule, else the transport's -errno; WHY one sentence. What is left to do is
	 * ws_free(), in it or later. */
	void (*closed)(void *arg, int result, int status, const char *why);
};

/* Begins to connect; callbacks come from the loop, never from within. NULL with E for an address,
 * header or proxy that cannot be used. */
struct ws *ws_open(struct ssm *S, const struct ws_options *o, const struct ws_ops *ops, void *arg,
		   struct err *e);
/* At any time, within callbacks, too. The connection is closed without a Close frame (spec 02
 * §1.5); nothing is called any more. Returns NULL. */
struct ws *ws_free(struct ws *w);

/* One message, one frame; copied. 0, -EAGAIN when too much waits already (writable() follows),
 * -EMSGSIZE when it alone is more than may wait, -EINVAL for an empty one, -EPIPE while the
 * connection is not open. */
int ws_send(struct ws *w, bool text, const void *data, size_t len);
size_t ws_queued(const struct ws *w); /* bytes that wait */
/* The network changed: ping now, and count the connection as dead without an answer in 10 s. */
void ws_probe(struct ws *w);

#endif
