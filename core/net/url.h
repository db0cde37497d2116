/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: split, join, and the canonical forms that a signature needs. */
#ifndef SSM_NET_URL_H
#define SSM_NET_URL_H

#include <stdbool.h>

#include "core/base/err.h"

struct url {
	char *scheme; /* lower case: http https ws wss */
	char *host;   /* lower case, IPv6 with brackets */
	int port;     /* 0: the scheme's default */
	char *path;   /* escaped as given, "/" when empty */
	char *query;  /* without '?', NULL when there is none */
};

/* Absolute URL of at most 8 KiB; no user information, no fragment, no blanks or controls. -EINVAL.
 */
int url_parse(const char *text, struct url *ret, struct err *e);
void url_done(struct url *u);
#define autourl __attribute__((cleanup(url_done)))
char *url_text(const struct url *u); /* caller frees */
/* "host" or "host:port" without the scheme's default port: the Host header. Caller frees. */
char *url_host_header(const struct url *u);
int url_port(const struct url *u); /* the effective one */
/* Canonical path: each byte outside A-Za-z0-9-._~/ encoded again; once only when S3. Caller frees.
 */
char *url_canonical_path(const char *escaped_path, bool s3);
/* "." and ".." resolved, empty segments dropped: what services but S3 sign. Caller frees. */
char *url_normal_path(const char *path);
/* Canonical query: decoded ('+' is a blank), sorted by key then value, encoded anew. Caller frees.
 */
char *url_canonical_query(const char *query);
/* The host of a literal or named URL is loopback, 169.254.0.0/16 or fd00:ec2::/32: never proxied.
 */
bool url_is_link_local(const struct url *u);

#endif
