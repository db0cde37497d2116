/* SPDX-License-Identifier: Apache-2.0 */
/* Values to JSON text. Why not json_dumps(): it writes 0.1 as 0.10000000000000001 and does not know
 * the reference agent's escapes (spec/01 section 1.8), which digests and comparisons depend on. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define WRITE_MAX_DEPTH 2048 /* only a value that contains itself is deeper */

struct writer {
	struct sbuf out;
	bool sort;
	bool go; /* the reference's style */
	int depth;
};

static void write_value(struct writer *w, const json_t *v);

static const char *
short_escape(char c)
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\b':
		return "\\b";
	case '\f':
		return "\\f";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		return NULL;
	}
}

/* A character of N bytes; 0 is an invalid byte. */
static void
add_char(struct sbuf *b, const char *s, size_t n, bool go)
{
	const char *escape = n == 1 ? short_escape(*s) : NULL;

	if (n == 0)
		sbuf_adds(b, "\\ufffd");
	else if (escape)
		sbuf_adds(b, escape);
	else if (n == 1 && ((unsigned char)*s < 0x20 || (go && *s && strchr("<>&", *s))))
		sbuf_addf(b, "\\u%04x", (unsigned char)*s);
	else if (go && n == 3 && memcmp(s, "\xE2\x80\xA8", 3) == 0)
		sbuf_adds(b, "\\u2028");
	else if (go && n == 3 && memcmp(s, "\xE2\x80\xA9", 3) == 0)
		sbuf_adds(b, "\\u2029");
	else
		sbuf_add(b, s, n);
}

static int
add_string(struct sbuf *b, const char *s, size_t len, bool go)
{
	sbuf_addc(b, '"');
	for (size_t i = 0; i < len && !b->err;) {
		size_t n = text_utf8_char(s + i, len - i);

		add_char(b, s + i, n, go);
		i += n ? n : 1;
	}
	return sbuf_addc(b, '"');
}

int
json_add_string_go(struct sbuf *b, const char *s, size_t len)
{
	return add_string(b, s, len, true);
}

/* A number as 0.DIGITS * 10^POINT, the shortest that reads back as the same double. */
struct decimal {
	char digits[24];
	int count;
	int point;
};

/* The decimal separator follows the locale: whatever is not a digit before the 'e' is one. */
static void
split_decimal(const char *text, struct decimal *d)
{
	d->count = 0;
	for (; *text != 'e'; text++)
		if (*text >= '0' && *text <= '9')
			d->digits[d->count++] = *text;
	while (d->count > 1 && d->digits[d->count - 1] == '0')
		d->count--;
	d->point = (int)strtol(text + 1, NULL, 10) + 1;
}

static void
shortest(double v, struct decimal *d)
{
	char text[64];

	for (int digits = 0; digits <= 16; digits++) {
		(void)snprintf(text, sizeof(text), "%.*e", digits, v);
		if (digits == 16 || strtod(text, NULL) == v)
			break;
	}
	split_decimal(text, d);
}

static void
add_zeros(struct sbuf *b, int count)
{
	for (; count > 0; count--)
		sbuf_addc(b, '0');
}

/* 0.001, 120, 1.5; with ".0" behind an integral one unless GO. */
static void
add_plain(struct sbuf *b, const struct decimal *d, bool go)
{
	int whole = d->point < d->count ? d->point : d->count; /* digits before the point */

	if (d->point <= 0) {
		sbuf_adds(b, "0.");
		add_zeros(b, -d->point);
		sbuf_add(b, d->digits, (size_t)d->count);
		return;
	}
	sbuf_add(b, d->digits, (size_t)whole);
	add_zeros(b, d->point - d->count);
	if (whole < d->count) {
		sbuf_addc(b, '.');
		sbuf_add(b, d->digits + whole, (size_t)(d->count - whole));
	} else if (!go) {
		sbuf_adds(b, ".0");
	}
}

static void
add_exponent(struct sbuf *b, const struct decimal *d)
{
	sbuf_addc(b, d->digits[0]);
	if (d->count > 1) {
		sbuf_addc(b, '.');
		sbuf_add(b, d->digits + 1, (size_t)d->count - 1);
	}
	sbuf_addf(b, "e%+d", d->point - 1);
}

/* The exponent from 1e21 on and below 1e-6, as ECMAScript and the reference do. */
static void
write_real(struct writer *w, double v)
{
	struct decimal d;
	double size = fabs(v);

	if (signbit(v))
		sbuf_addc(&w->out, '-');
	if (size == 0) {
		sbuf_adds(&w->out, w->go ? "0" : "0.0");
		return;
	}
	shortest(size, &d);
	if (size < 1e-6 || size >= 1e21)
		add_exponent(&w->out, &d);
	else
		add_plain(&w->out, &d, w->go);
}

static void
write_array(struct writer *w, const json_t *v)
{
	sbuf_addc(&w->out, '[');
	for (size_t i = 0; i < json_array_size(v); i++) {
		if (i > 0)
			sbuf_addc(&w->out, ',');
		write_value(w, json_array_get(v, i));
	}
	sbuf_addc(&w->out, ']');
}

struct member {
	const char *key;
	const json_t *value;
};

static int
compare_members(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static void
write_object(struct writer *w, const json_t *v)
{
	size_t n = json_object_size(v), i = 0;
	autofree struct member *members = xcalloc(n, sizeof(*members));
	json_t *obj = (json_t *)(uintptr_t)v;

	for (void *it = json_object_iter(obj); it && i < n; it = json_object_iter_next(obj, it))
		members[i++] = (struct member){ json_object_iter_key(it),
						json_object_iter_value(it) };
	if (w->sort && n > 1)
		qsort(members, n, sizeof(*members), compare_members);
	sbuf_addc(&w->out, '{');
	for (i = 0; i < n; i++) {
		if (i > 0)
			sbuf_addc(&w->out, ',');
		add_string(&w->out, members[i].key, strlen(members[i].key), w->go);
		sbuf_addc(&w->out, ':');
		write_value(w, members[i].value);
	}
	sbuf_addc(&w->out, '}');
}

static void
write_value(struct writer *w, const json_t *v)
{
	w->depth++;
	assert(v && w->depth <= WRITE_MAX_DEPTH);
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		write_object(w, v);
		break;
	case JSON_ARRAY:
		write_array(w, v);
		break;
	case JSON_STRING:
		add_string(&w->out, json_string_value(v), json_string_length(v), w->go);
		break;
	case JSON_INTEGER:
		sbuf_addf(&w->out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		write_real(w, json_real_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		sbuf_adds(&w->out, json_is_true(v) ? "true" : "false");
		break;
	case JSON_NULL:
	default:
		sbuf_adds(&w->out, "null");
		break;
	}
	w->depth--;
}

static char *
text_of(const json_t *v, bool sort, bool go)
{
	struct writer w = { SBUF_INIT(SIZE_MAX), sort, go, 0 };

	write_value(&w, v);
	return sbuf_take(&w.out, NULL);
}

char *
json_text(const json_t *v)
{
	return text_of(v, false, false);
}

char *
json_text_sorted(const json_t *v)
{
	return text_of(v, true, false);
}

char *
json_text_go(const json_t *v, bool sort)
{
	return text_of(v, sort, true);
}
