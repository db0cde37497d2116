/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP on one curl multi handle driven by the event loop. The only file that knows libcurl.
 * Every request has a deadline and a ceiling; redirects are never followed. DESIGN section 14. */
#ifndef SSM_NET_HTTP_H
#define SSM_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

struct event_base;
struct http;
struct http_call;

struct http_options {
	const char *user_agent;
	const char *ca_file; /* NULL: system's (hashed folder when there is one) */
	const char *ca_path;
	const char *ca_pem; /* the certificates themselves, before both */
	const char *proxy; /* NULL: environment (HTTPS_PROXY https_proxy HTTP_PROXY ...); "" none */
	const char *no_proxy;	 /* NULL: environment */
	char *const *connect_to; /* HOST:PORT:ADDR:PORT, only with --root */
};

#define HTTP_HEADERS_MAX (64u * 1024u)

/* A body in pieces; neither may call http_*. Sink: 0, or -errno ends the call with it. Source: at
 * most LEN bytes into BUF, their number, or -errno. */
typedef int http_sink_fn(void *arg, int status, const void *data, size_t len);
typedef ssize_t http_source_fn(void *arg, void *buf, size_t len);

struct http_request {
	const char *method; /* "GET" ... */
	const char *url;
	char *const *headers; /* "Name: value"; Host and Content-Length are ours */
	const void *body;     /* copied */
	size_t body_len;
	int64_t timeout_ms;	/* whole request; 0 is an error */
	int64_t connect_ms;	/* 0: 10 s */
	size_t max_bytes;	/* of the answer; 0: 4 MiB */
	bool direct;		/* never through a proxy (IMDS, ECS) */
	bool fresh;		/* not on a kept connection */
	http_sink_fn *sink;	/* takes the answer's body, whose ceiling is then its own */
	http_source_fn *source; /* gives SOURCE_LEN bytes to send, instead of body */
	int64_t source_len;
	void *stream; /* the argument of both */
};

struct http_response {
	int status;	      /* 0 when none came */
	char *const *headers; /* "name: value", names lower case */
	const char *body;     /* NUL-ended; borrowed for the callback */
	size_t body_len;
	int64_t date_ms; /* Date header as unix ms, 0 when absent */
};

/* RESULT 0 when an answer came (whatever its status), else -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH
 * (name or route), -ECONNRESET, -E2BIG, -EPROTO (TLS, HTTP), -EIO; TEXT then says what failed, with
 * the URL's host. Called once, never from within http_start. */
typedef void http_done_fn(void *arg, int result, const char *text, const struct http_response *r);

struct http *http_new(struct event_base *base, const struct http_options *o, struct err *e);
struct http *http_free(struct http *h); /* cancels what runs, without callbacks */
/* NULL only for an invalid request (E says why). */
struct http_call *http_start(struct http *h, const struct http_request *r, http_done_fn *done,
			     void *arg, struct err *e);
void http_cancel(struct http_call *c); /* no callback; NULL is fine */
/* Header by lower-case name, or NULL. */
const char *http_header(const struct http_response *r, const char *name);
/* Close kept connections (after a change of links or routes). */
void http_drop_idle(struct http *h);

#endif
