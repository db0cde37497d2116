/* SPDX-License-Identifier: Apache-2.0 */
/* Inside net: requests checked, header lines taken apart, for http.c. */
#ifndef SSM_NET_HTTP_PARTS_H
#define SSM_NET_HTTP_PARTS_H

#include "core/net/http.h"
#include "core/net/url.h"

/* -EINVAL for what cannot be sent as it stands. *RET is the URL's parts. */
int http_check_request(const struct http_request *r, struct url *ret, struct err *e);
bool http_has_header(char *const *headers, const char *name);
/* One line of the head of an answer: a status line starts anew (after an interim answer), the empty
 * line sets *WHOLE, others are added as "name: value" with the name in lower case; what is no
 * header is left out. */
void http_take_line(char ***headers, bool *whole, const char *line, size_t len);
/* Why we stopped: headers or body (BODY_MAX > 0) that are too long, or what a sink said. */
char *http_own_text(const char *host, int error, size_t header_bytes, size_t body_max);
/* What a proxy meant that answered CONNECT with STATUS. */
char *http_proxy_text(const char *host, long status);
/* Why a certificate was refused and what to do: from OpenSSL's number and libcurl's text. */
const char *http_cert_text(long verify, const char *detail);

#endif
