/* SPDX-License-Identifier: Apache-2.0 */
/* Error text carried beside an errno: return err_set(e, -EINVAL, "..."). */
#ifndef SSM_BASE_ERR_H
#define SSM_BASE_ERR_H

#include <stdbool.h>

struct err {
	int code;	/* 0, or the negative errno that was returned */
	char text[512]; /* one sentence without newline, naming object, cause, remedy */
};

/* Store CODE (a negative errno; a positive one is negated) and the text; too long a text is cut.
 * E may be NULL. Returns the negative code, so that it can be the operand of return. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "PREFIX: " before the text that E holds already; keeps and returns its code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether CODE (a negative errno) is a want of something that others use up just now: memory,
 * descriptors, processes. Later it may do. */
bool err_may_pass(int code);

/* The text, or strerror of the code, or "no error"; never NULL. Valid until E changes. */
const char *err_text(const struct err *e);

#endif
