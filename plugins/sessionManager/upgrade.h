/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP exchange that turns a connection into a WebSocket (RFC 6455 section 4, spec 02 §1.4):
 * request and answer as bytes. Pure code. */
#ifndef SSM_SESSIONMANAGER_UPGRADE_H
#define SSM_SESSIONMANAGER_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

#define UPGRADE_ANSWER_MAX 16384u /* of the answer's head */
#define UPGRADE_KEY_SIZE 25	  /* base64 of 16 bytes, and NUL */

struct upgrade_url {
	bool tls;
	char *connect; /* "http://host:port/": what libcurl connects to */
	char *host;    /* the Host header: lower case, with a port that is not the scheme's */
	char *target;  /* path and query, as given; "/" when empty */
};

/* http, https, ws or wss; no user information, fragment, blanks or control characters. -EINVAL. */
int upgrade_url_read(const char *url, struct upgrade_url *ret, struct err *e);
void upgrade_url_done(struct upgrade_url *u);

/* A new Sec-WebSocket-Key. */
void upgrade_key(char ret[UPGRADE_KEY_SIZE]);

/* Append the request to OUT; HEADERS ("Name: value", NULL-ended, may be NULL) are sent as they are,
 * after those of the protocol. 0, -EINVAL for a header that would break the request, OUT's -E2BIG.
 */
int upgrade_write(const struct upgrade_url *u, const char *key, const char *const *headers,
		  struct sbuf *out, struct err *e);

/* The answer's first LEN bytes. 1: more are needed; 0: it is a WebSocket from byte *RET_USED on;
 * -EACCES for status 401 and 403, -EREMOTEIO for other refusals (both with *RET_STATUS),
 * -EPROTO for what is no answer to KEY, -E2BIG for a head that does not end within
 * UPGRADE_ANSWER_MAX. */
int upgrade_read(const char *data, size_t len, const char *key, size_t *ret_used, int *ret_status,
		 struct err *e);

#endif
