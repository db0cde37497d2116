/* SPDX-License-Identifier: Apache-2.0 */
/* What a terminal was sent, as text: without escape sequences (spec 02 §8.5). Pure code. */
#ifndef SSM_SESSIONMANAGER_ANSI_H
#define SSM_SESSIONMANAGER_ANSI_H

#include <stddef.h>

#include "core/base/sbuf.h"

enum ansi_state {
	ANSI_TEXT,
	ANSI_ESCAPE,	 /* after ESC */
	ANSI_SHORT,	 /* after ESC and an intermediate byte */
	ANSI_CONTROL,	 /* after ESC [ */
	ANSI_STRING,	 /* after ESC ] and its kin */
	ANSI_STRING_END, /* after ESC in a string */
	ANSI_LEAD,	 /* after the first byte of U+0080..U+00BF */
	ANSI_STRING_LEAD,
};

struct ansi { /* zeros at the start */
	enum ansi_state state;
};

/* LEN further bytes at P; what is text of them goes to OUT. Sequences of 7 bits, and of 8 bits as
 * UTF-8 has them, are left out, wherever they are cut; a tab becomes a blank, CR goes. A string
 * ends with its line, so that none can hide what comes behind. */
void ansi_filter(struct ansi *a, const char *p, size_t len, struct sbuf *out);

#endif
