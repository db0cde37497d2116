/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, durations, sizes, wildcards, quoting and the nearest name.
 * Letters are compared as ASCII by hand: a plugin may have set a locale. */
#include "core/base/text.h"

#include <errno.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
same_word(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits as a negative number, so that INT64_MIN needs no special case. Behind them in *END. */
static int
digits(const char *s, int64_t *ret_negative, const char **end)
{
	int64_t v = 0;
	int r = 0;

	if (!is_digit(*s))
		return -EINVAL;
	for (; is_digit(*s); s++)
		if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
		    __builtin_sub_overflow(v, (int64_t)(*s - '0'), &v))
			r = -ERANGE;
	*ret_negative = v;
	*end = s;
	return r;
}

int
text_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	bool minus = *s == '-';
	int64_t v = 0;
	const char *end = s;
	int r = digits(s + minus, &v, &end);

	if (r == -EINVAL || *end != '\0')
		return -EINVAL;
	if (r < 0 || (!minus && v == INT64_MIN))
		return -ERANGE;
	v = minus ? v : -v;
	if (v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int
text_to_bool(const char *s, bool *ret)
{
	static const char *const words[] = { "no",  "yes", "false", "true",
					     "off", "on",  "0",     "1" };

	for (size_t i = 0; i < NELEMS(words); i++) {
		if (same_word(s, words[i])) {
			*ret = i & 1;
			return 0;
		}
	}
	return -EINVAL;
}

struct unit {
	const char *name;
	int64_t factor;
};

/* A number that is not negative, and at once behind it one of UNITS. */
static int
with_unit(const char *s, const struct unit *units, size_t count, int64_t *ret)
{
	int64_t v = 0;
	const char *end = s;
	int r = digits(s, &v, &end);

	if (r == -EINVAL)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (r < 0 || __builtin_mul_overflow(v, -units[i].factor, &v))
			return -ERANGE;
		*ret = v;
		return 0;
	}
	return -EINVAL;
}

int
text_to_ms(const char *s, int64_t *ret_ms)
{
	static const struct unit units[] = {
		{ "", 1 },	  { "ms", 1 },	    { "s", 1000 },
		{ "m", 60000 },	  { "h", 3600000 }, { "d", 86400000 },
	};

	return with_unit(s, units, NELEMS(units), ret_ms);
}

int
text_to_bytes(const char *s, int64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ "", 1 }, { "K", 1024 }, { "M", 1024 * 1024 }, { "G", 1024 * 1024 * 1024 }
	};

	return with_unit(s, units, NELEMS(units), ret_bytes);
}

bool
text_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
text_ends(const char *s, const char *suffix)
{
	size_t len = strlen(s), tail = strlen(suffix);

	return len >= tail && strcmp(s + len - tail, suffix) == 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

char *
text_trim(char *s)
{
	size_t len;

	while (is_blank(*s))
		s++;
	len = strlen(s);
	while (len > 0 && is_blank(s[len - 1]))
		len--;
	s[len] = '\0';
	return s;
}

/* Going back to the last '*' only is enough, and keeps the cost at the product of the lengths. */
bool
text_glob(const char *pattern, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = s;
		} else if (*pattern == '?' || (*pattern && *pattern == *s)) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* U+0080..U+009F steer terminals like the controls below U+0020, U+2028/9 break lines, the marks of
 * direction (U+061C, U+200E/F, U+202A..E, U+2066..9) show text in another order than it has. */
static bool
is_hidden(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;

	if (n == 2)
		return (p[0] == 0xC2 && p[1] < 0xA0) || (p[0] == 0xD8 && p[1] == 0x9C);
	if (n != 3 || p[0] != 0xE2)
		return false;
	if (p[1] == 0x80)
		return p[2] == 0x8E || p[2] == 0x8F || (p[2] >= 0xA8 && p[2] <= 0xAE);
	return p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9;
}

static void
add_escaped(struct sbuf *b, const char *s, size_t n)
{
	static const char shorts[] = "\nn\tt\rr";

	for (size_t i = 0; n == 1 && i < sizeof(shorts) - 1; i += 2) {
		if (*s == shorts[i]) {
			sbuf_addf(b, "\\%c", shorts[i + 1]);
			return;
		}
	}
	for (size_t i = 0; i < n; i++)
		sbuf_addf(b, "\\x%02x", (unsigned char)s[i]);
}

/* N bytes at S are one character (0: an invalid byte). */
static void
add_quoted(struct sbuf *b, const char *s, size_t n, const char *special)
{
	bool control = n == 1 && ((unsigned char)*s < 0x20 || *s == 0x7F);

	if (n == 0 || control || is_hidden(s, n))
		add_escaped(b, s, n ? n : 1);
	else if (n == 1 && *s && strchr(special, *s))
		sbuf_addf(b, "\\%c", *s);
	else
		sbuf_add(b, s, n);
}

static void
add_all(struct sbuf *b, const char *s, size_t len, const char *special)
{
	for (size_t i = 0; i < len;) {
		size_t n = text_utf8_char(s + i, len - i);

		add_quoted(b, s + i, n, special);
		i += n ? n : 1;
	}
}

char *
text_quote(const char *s, size_t max)
{
	struct sbuf b = SBUF_INIT(SIZE_MAX);
	size_t all, len;

	if (!s)
		return xstrdup("(none)");
	all = strlen(s);
	len = all > max ? text_utf8_floor(s, all, max) : all;
	sbuf_addc(&b, '\'');
	add_all(&b, s, len, "'\\");
	sbuf_adds(&b, len < all ? "'..." : "'");
	return sbuf_take(&b, NULL);
}

char *
text_escape_controls(const char *s, size_t len)
{
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	add_all(&b, s, len, "");
	return sbuf_take(&b, NULL);
}

#define NEAREST_MAX 64

/* Levenshtein distance, one row at a time; letters that differ in case only count as equal. */
static size_t
distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[NEAREST_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 0; i < a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < b_len; j++) {
			size_t best = diagonal + (lower(a[i]) != lower(b[j]));

			diagonal = row[j + 1];
			if (best > diagonal + 1)
				best = diagonal + 1;
			if (best > row[j] + 1)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[b_len];
}

const char *
text_nearest(const char *s, const char *const *candidates)
{
	const char *nearest = NULL;
	size_t len = strlen(s), best = NEAREST_MAX;

	if (len > NEAREST_MAX)
		return NULL;
	for (; *candidates; candidates++) {
		size_t c_len = strlen(*candidates), d;

		if (c_len > NEAREST_MAX)
			continue;
		d = distance(s, len, *candidates, c_len);
		if (d <= c_len / 3 && d < best) {
			best = d;
			nearest = *candidates;
		}
	}
	return nearest;
}
