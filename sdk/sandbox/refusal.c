/* SPDX-License-Identifier: Apache-2.0 */
/* Why an operation is refused. */
#include "sdk/sandbox/refusal.h"

#include <stdarg.h>
#include <stdio.h>

bool
refusal_set(struct refusal *ret, const char *code, const char *fmt, ...)
{
	va_list ap;

	ret->code = code;
	va_start(ap, fmt);
	vsnprintf(ret->text, sizeof(ret->text), fmt, ap);
	va_end(ap);
	return false;
}
