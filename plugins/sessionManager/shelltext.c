/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a command, and output cut between characters. */
#include "plugins/sessionManager/shelltext.h"

#include <errno.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define CHARACTER_MAX 4

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *
skip_blanks(const char *s)
{
	while (is_blank(*s) || *s == '#') {
		if (*s == '#')
			s += strcspn(s, "\n");
		else
			s++;
	}
	return s;
}

/* One word onto W; what is behind it, or NULL with E. */
static const char *
read_word(const char *s, struct sbuf *w, struct err *e)
{
	char quote = 0;

	for (; *s && (quote || !is_blank(*s)); s++) {
		if (quote ? *s == quote : *s == '\'' || *s == '"') {
			quote = quote ? 0 : *s;
			continue;
		}
		if (*s == '\\' && quote != '\'' && !*++s) {
			(void)err_set(e, -EINVAL, "Failed to parse commands input: EOF found after "
				      "escape character");
			return NULL;
		}
		sbuf_addc(w, *s);
	}
	if (!quote)
		return s;
	(void)err_set(e, -EINVAL, "Failed to parse commands input: EOF found when expecting "
		      "closing quote");
	return NULL;
}

int
shelltext_words(const char *commands, char ***ret, struct err *e)
{
	autostrv char **words = NULL;
	const char *s = skip_blanks(commands);

	while (*s) {
		autosbuf struct sbuf w = SBUF_INIT(SIZE_MAX);

		s = read_word(s, &w, e);
		if (!s)
			return -EINVAL;
		strv_add(&words, sbuf_str(&w));
		s = skip_blanks(s);
	}
	*ret = TAKE(words);
	return 0;
}

/* Bytes that the character must have whose first byte is C; 1 for what begins none. */
static size_t
wanted(unsigned char c)
{
	if (c >= 0xF0 && c <= 0xF4)
		return 4;
	if (c >= 0xE0 && c < 0xF0)
		return 3;
	return c >= 0xC2 && c < 0xE0 ? 2 : 1;
}

/* Whether the N bytes at P could be the beginning of one character, and are not all of it. */
static bool
is_beginning(const char *p, size_t n)
{
	char whole[CHARACTER_MAX] = { 0 };

	if (wanted((unsigned char)*p) <= n)
		return false;
	memcpy(whole, p, n);
	/* With the best of continuations: after E0 and F0 the lowest are too low, after ED and F4
	 * the highest too high. */
	for (int low = 0; low < 2; low++) {
		for (size_t i = n; i < CHARACTER_MAX; i++)
			whole[i] = (char)(low ? 0x80 : 0xBF);
		if (text_utf8_char(whole, wanted((unsigned char)*p)))
			return true;
	}
	return false;
}

/* Where the incomplete character at the end of the N bytes at P begins; N when there is none. */
static size_t
end_of_whole(const char *p, size_t n)
{
	for (size_t back = 1; back < CHARACTER_MAX && back <= n; back++)
		if (is_beginning(p + n - back, back))
			return n - back;
	return n;
}

size_t
shelltext_chunk(const char *p, size_t len, size_t max, bool last)
{
	size_t whole = last ? len : end_of_whole(p, len);

	return whole > max ? text_utf8_floor(p, whole, max) : whole;
}
