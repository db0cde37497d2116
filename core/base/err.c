/* SPDX-License-Identifier: Apache-2.0 */
/* Error text carried beside an errno. */
#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"

/* Cut text must not end in half a UTF-8 character: it goes into JSON and logs. */
static void
trim_cut(char *text, size_t size)
{
	size_t end = size - 1, start = end;

	while (start > 0 && end - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
		start--;
	if (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0xC0) {
		unsigned char lead = (unsigned char)text[start - 1];
		size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

		if (end - (start - 1) < need)
			text[start - 1] = '\0';
	}
}

/* One line by promise, and nothing that steers a terminal: what a message quotes may hold it. */
static void
clean(char text[], size_t size)
{
	autofree char *escaped = NULL;

	for (char *c = text; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	escaped = text_escape_controls(text, strlen(text));
	if ((size_t)snprintf(text, size, "%s", escaped) >= size)
		trim_cut(text, size);
}

static void __attribute__((format(printf, 2, 0)))
put(struct err *e, const char *fmt, va_list ap)
{
	int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);

	if (n < 0)
		e->text[0] = '\0';
	else if ((size_t)n >= sizeof(e->text))
		trim_cut(e->text, sizeof(e->text));
	clean(e->text, sizeof(e->text));
}

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	int saved = errno; /* %m in FMT, and callers that look at it afterwards */
	struct err built; /* the arguments may point into the old text */
	va_list ap;

	code = code > 0 ? -code : code;
	if (!e)
		return code;
	va_start(ap, fmt);
	put(&built, fmt, ap);
	va_end(ap);
	built.code = code;
	*e = built;
	errno = saved;
	return code;
}

int
err_prefix(struct err *e, const char *fmt, ...)
{
	struct err head, old;
	va_list ap;

	if (!e)
		return 0;
	old = *e;
	va_start(ap, fmt);
	put(&head, fmt, ap);
	va_end(ap);
	return err_set(e, old.code, "%s: %s", head.text, err_text(&old));
}

bool
err_may_pass(int code)
{
	return code == -EAGAIN || code == -ENOMEM || code == -EMFILE || code == -ENFILE;
}

const char *
err_text(const struct err *e)
{
	if (!e || (e->code == 0 && e->text[0] == '\0'))
		return "no error";
	return e->text[0] ? e->text : strerror(-e->code);
}
