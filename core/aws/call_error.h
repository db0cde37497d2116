/* SPDX-License-Identifier: Apache-2.0 */
/* Inside aws: the error that an answer carries, whatever its form, for call.c. */
#ifndef SSM_AWS_CALL_ERROR_H
#define SSM_AWS_CALL_ERROR_H

#include <jansson.h>

#include "core/net/http.h"

struct call_error {
	char code[128]; /* "" when there is none */
	char *message;	/* one line, at most 300 bytes; NULL when there is none */
};

/* JSON may be NULL: then header and XML are looked at. Only characters of a code are taken. */
void call_error_read(const struct http_response *r, const json_t *json, struct call_error *ret);
void call_error_done(struct call_error *e);

#endif
