/* SPDX-License-Identifier: Apache-2.0 */
/* Why an operation is refused. */
#ifndef SSM_SANDBOX_REFUSAL_H
#define SSM_SANDBOX_REFUSAL_H

#include <stdbool.h>

struct refusal {
	const char *code; /* the service's name for it */
	char text[400];
};

/* Fills RET in; false, so that it can be the operand of return. */
bool refusal_set(struct refusal *ret, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
