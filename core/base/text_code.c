/* SPDX-License-Identifier: Apache-2.0 */
/* Hex, base64 and percent-encoding. */
#include "core/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"

static const char hex_digits[] = "0123456789abcdef";

void
text_hex(const void *data, size_t len, char *ret)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		*ret++ = hex_digits[p[i] >> 4];
		*ret++ = hex_digits[p[i] & 15];
	}
	*ret = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Two digits at S as a byte, or -1; reads the second only if the first is one. */
static int
hex_byte(const char *s)
{
	int hi = hex_value(s[0]);
	int lo = hi >= 0 ? hex_value(s[1]) : -1;

	return lo >= 0 ? hi << 4 | lo : -1;
}

int
text_unhex(const char *s, void *ret, size_t ret_size)
{
	unsigned char *out = ret;
	size_t n = strlen(s) / 2;

	if (strlen(s) % 2 || n > ret_size || n > INT32_MAX)
		return -EINVAL;
	for (size_t i = 0; i < 2 * n; i++)
		if (hex_value(s[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)hex_byte(s + 2 * i);
	return (int)n;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *
text_base64(const void *data, size_t len)
{
	const unsigned char *p = data;
	char *text = xcalloc(len / 3 + 1, 4 + 1), *out = text;

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		unsigned v = (unsigned)p[i] << 16;

		if (left > 1)
			v |= (unsigned)p[i + 1] << 8;
		if (left > 2)
			v |= p[i + 2];
		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
		*out++ = left > 2 ? alphabet[v & 63] : '=';
	}
	*out = '\0';
	return text;
}

static int
base64_value(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* Four characters, of which PAD at the end are '='. */
static int
unbase64_four(const char *s, size_t pad, unsigned char *out)
{
	unsigned v = 0;

	for (size_t i = 0; i < 4; i++) {
		int d = i < 4 - pad ? base64_value(s[i]) : 0;

		if (d < 0)
			return -EINVAL;
		v = v << 6 | (unsigned)d;
	}
	for (size_t i = 0; i < 3 - pad; i++)
		out[i] = (unsigned char)(v >> (16 - 8 * i));
	return 0;
}

int
text_unbase64(const char *s, unsigned char **ret, size_t *ret_len)
{
	size_t len = strlen(s), pad = 0;
	autofree unsigned char *out = NULL;

	if (len % 4)
		return -EINVAL;
	while (pad < 2 && pad < len && s[len - 1 - pad] == '=')
		pad++;
	out = xcalloc(len / 4 + 1, 3);
	for (size_t i = 0; i < len; i += 4)
		if (unbase64_four(s + i, i + 4 == len ? pad : 0, out + i / 4 * 3) < 0)
			return -EINVAL;
	*ret_len = len / 4 * 3 - pad;
	*ret = TAKE(out);
	return 0;
}

static bool
is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		(c && strchr("-._~", c));
}

char *
text_percent(const char *s, size_t len, const char *keep)
{
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	for (size_t i = 0; i < len; i++) {
		if (is_unreserved(s[i]) || (s[i] && keep && strchr(keep, s[i])))
			sbuf_addc(&b, s[i]);
		else
			sbuf_addf(&b, "%%%02X", (unsigned char)s[i]);
	}
	return sbuf_take(&b, NULL);
}

int
text_unpercent(const char *s, size_t len, char **ret)
{
	autofree char *out = xmalloc(len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (c == '%') {
			c = len - i > 2 ? hex_byte(s + i + 1) : -1;
			i += 2;
		}
		if (c <= 0)
			return -EINVAL;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	*ret = TAKE(out);
	return 0;
}
