/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP/1.1 server on the test's own event loop, that answers what the test tells it. */
#ifndef SSM_TESTS_MINISERVER_H
#define SSM_TESTS_MINISERVER_H

#include <stddef.h>

struct event_base;
struct mini;
struct mini_conn;

struct mini_request {
	const char *method, *target;
	char *const *headers; /* "name: value", names lower case */
	const char *body;     /* NUL-ended */
	size_t body_len;
};
/* Answer now, later (mini_reply_after), or
 * never. */
typedef void mini_fn(void *arg, struct mini_conn *c, const struct mini_request *r);

/* On a free port of ADDRESS ("127.0.0.1", "::1"). Ends the test when there is none. */
struct mini *mini_new(struct event_base *base, const char *address, mini_fn *fn, void *arg);
struct mini *mini_free(struct mini *m); /* closes all connections */
int mini_port(const struct mini *m);
const char *mini_url(const struct mini *m); /* "http://127.0.0.1:PORT" */
/* Requests so far: "METHOD target" each. */
char *const *mini_log(const struct mini *m);
unsigned mini_connections(const struct mini *m); /* accepted so far */

const char *mini_header(const struct mini_request *r, const char *lower_name); /* NULL: absent */

/* HEADERS: lines that each end in CRLF, or NULL; Content-Length is added. The connection is kept.
 */
void mini_reply(struct mini_conn *c, int status, const char *headers, const void *body, size_t len);
void mini_replys(struct mini_conn *c, int status, const char *headers, const char *body);
void mini_reply_after(struct mini_conn *c, int ms, int status, const char *headers,
		      const char *body);
void mini_raw(struct mini_conn *c, const void *data, size_t len);
void mini_close(struct mini_conn *c); /* after what was written */
void mini_reset(struct mini_conn *c); /* RST at once */

#endif
