/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal output without its escape sequences, a byte at a time.
 *
 * Why states for U+0080..: the second byte of many characters is 0x80..0x9f. Only behind 0xc2 it is
 * a control character. */
#include "plugins/sessionManager/ansi.h"

#include <stdbool.h>
#include <string.h>

#define BEL 0x07
#define CAN 0x18
#define SUB 0x1a
#define ESC 0x1b
#define LEAD 0xc2

static bool
is_final(unsigned char c)
{
	return c >= 0x30 && c <= 0x7e;
}

static enum ansi_state
after_escape(unsigned char c)
{
	if (c == '[')
		return ANSI_CONTROL;
	if (c && strchr("]PX^_", c))
		return ANSI_STRING;
	return c >= 0x20 && c < 0x30 ? ANSI_SHORT : ANSI_TEXT;
}

/* What U+0080 + C - 0x80 begins. */
static enum ansi_state
after_c1(unsigned char c)
{
	if (c == 0x9b)
		return ANSI_CONTROL;
	return c == 0x90 || c == 0x98 || c >= 0x9d ? ANSI_STRING : ANSI_TEXT;
}

static void
text(struct ansi *a, unsigned char c, struct sbuf *out)
{
	if (c == ESC)
		a->state = ANSI_ESCAPE;
	else if (c == LEAD)
		a->state = ANSI_LEAD;
	else if (c != '\r')
		(void)sbuf_addc(out, c == '\t' ? ' ' : (char)c);
}

/* Within a sequence. False: C does not belong to it and is text again. */
static bool
sequence(struct ansi *a, unsigned char c)
{
	bool is_string = a->state == ANSI_STRING;

	if (c == ESC) {
		a->state = is_string ? ANSI_STRING_END : ANSI_ESCAPE;
		return true;
	}
	if (c == CAN || c == SUB || (is_string && c == BEL)) {
		a->state = ANSI_TEXT;
		return true;
	}
	if (is_string && c != '\n') {
		a->state = c == LEAD ? ANSI_STRING_LEAD : ANSI_STRING;
		return true;
	}
	if (c < 0x20 || c > 0x7e) {
		a->state = ANSI_TEXT;
		return false;
	}
	if (a->state == ANSI_ESCAPE)
		a->state = after_escape(c);
	else if (a->state == ANSI_SHORT ? is_final(c) : c >= 0x40)
		a->state = ANSI_TEXT;
	return true;
}

static void
step(struct ansi *a, unsigned char c, struct sbuf *out)
{
	enum ansi_state was = a->state;

	if (was == ANSI_LEAD) {
		a->state = c >= 0x80 && c < 0xa0 ? after_c1(c) : ANSI_TEXT;
		if (c >= 0x80 && c < 0xa0)
			return;
		(void)sbuf_addc(out, (char)LEAD);
	} else if (was == ANSI_STRING_END || was == ANSI_STRING_LEAD) {
		bool ends = c == (was == ANSI_STRING_END ? '\\' : 0x9c);

		a->state = ends ? ANSI_TEXT : was == ANSI_STRING_END ? ANSI_ESCAPE : ANSI_STRING;
		if (ends)
			return;
	}
	if (a->state == ANSI_TEXT || !sequence(a, c))
		text(a, c, out);
}

void
ansi_filter(struct ansi *a, const char *p, size_t len, struct sbuf *out)
{
	for (size_t i = 0; i < len; i++)
		step(a, (unsigned char)p[i], out);
}
