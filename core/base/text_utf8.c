/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: what is a character, where to cut, repair. */
#include "core/base/text.h"

#include "core/base/sbuf.h"

/* Bytes a lead byte announces; 0 for continuation bytes and those that are never used. */
static size_t
announced(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xC2 && lead <= 0xDF)
		return 2;
	if (lead >= 0xE0 && lead <= 0xEF)
		return 3;
	return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

/* No overlong forms, no surrogates, nothing above U+10FFFF: all told by the second byte. */
static bool
second_fits(unsigned char lead, unsigned char second)
{
	unsigned char lo = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	unsigned char hi = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;

	return second >= lo && second <= hi;
}

size_t
text_utf8_char(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = len > 0 ? announced(p[0]) : 0;

	if (n > len || (n > 1 && !second_fits(p[0], p[1])))
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return n;
}

bool
text_utf8_valid(const char *s, size_t len)
{
	while (len > 0) {
		size_t n = text_utf8_char(s, len);

		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

size_t
text_utf8_floor(const char *s, size_t s_len, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		size_t start = len - back;

		if (text_utf8_char(s + start, s_len - start) > back)
			return start;
	}
	return len;
}

char *
text_utf8_repair(const char *s, size_t len, size_t *ret_len)
{
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	for (size_t i = 0; i < len;) {
		size_t n = text_utf8_char(s + i, len - i);

		if (n > 0)
			sbuf_add(&b, s + i, n);
		else
			sbuf_adds(&b, "\xEF\xBF\xBD");
		i += n ? n : 1;
	}
	return sbuf_take(&b, ret_len);
}
