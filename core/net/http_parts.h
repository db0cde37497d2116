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

#endif
