/* SPDX-License-Identifier: Apache-2.0 */
/* One text out of an XML answer. What is not well formed up to there is refused, document types
 * wherever they stand. */
#include "plugins/sessionManager/xml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"

struct xml {
	const char *p, *end;
};

static bool
at(const struct xml *x, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(x->end - x->p) >= len && memcmp(x->p, text, len) == 0;
}

/* Behind the next TEXT; false when there is none. */
static bool
skip_to(struct xml *x, const char *text)
{
	const char *found = memmem(x->p, (size_t)(x->end - x->p), text, strlen(text));

	if (found)
		x->p = found + strlen(text);
	return found != NULL;
}

static bool
is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		strchr("_-.:", c);
}

enum tag {
	TAG_NONE, /* no tag, or none that is allowed */
	TAG_OPEN,
	TAG_CLOSE,
	TAG_EMPTY,
};

/* A tag from its '<' to behind its '>'; NAME is what stands behind a prefix. */
static enum tag
read_tag(struct xml *x, struct span *name)
{
	enum tag tag = TAG_OPEN;
	char quote = 0;

	x->p++;
	if (x->p < x->end && *x->p == '/') {
		tag = TAG_CLOSE;
		x->p++;
	}
	name->p = x->p;
	for (; x->p < x->end && *x->p && is_name(*x->p); x->p++)
		if (*x->p == ':')
			name->p = x->p + 1;
	name->len = (size_t)(x->p - name->p);
	for (; x->p < x->end && (quote || *x->p != '>'); x->p++) {
		if (quote ? *x->p == quote : *x->p == '"' || *x->p == '\'')
			quote = quote ? 0 : *x->p;
		else if (!quote && *x->p == '<')
			return TAG_NONE;
	}
	if (x->p == x->end || !name->len)
		return TAG_NONE;
	if (x->p[-1] == '/' && tag == TAG_OPEN)
		tag = TAG_EMPTY;
	x->p++;
	return tag;
}

static int
add_code_point(struct sbuf *out, uint32_t c)
{
	if (!c || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return -EBADMSG;
	if (c < 0x80)
		return sbuf_addc(out, (char)c);
	if (c < 0x800)
		return sbuf_addf(out, "%c%c", (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)));
	if (c < 0x10000)
		return sbuf_addf(out, "%c%c%c", (char)(0xe0 | c >> 12),
				 (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f)));
	return sbuf_addf(out, "%c%c%c%c", (char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)),
			 (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f)));
}

static int
add_entity(struct sbuf *out, const char *name, size_t len)
{
	static const char *const names[] = { "lt<", "gt>", "amp&", "quot\"", "apos'" };
	bool hex = len > 2 && name[0] == '#' && name[1] == 'x';
	uint32_t c = 0;

	for (size_t i = 0; i < NELEMS(names); i++)
		if (len == strlen(names[i]) - 1 && memcmp(name, names[i], len) == 0)
			return sbuf_addc(out, names[i][len]);
	if (len < 2 || name[0] != '#')
		return -EBADMSG;
	for (size_t i = hex ? 2 : 1; i < len; i++) {
		const char *digits = "0123456789abcdef", *d;
		char lower = name[i] >= 'A' && name[i] <= 'F' ? (char)(name[i] + 32) : name[i];

		d = lower ? strchr(digits, lower) : NULL;
		if (!d || (!hex && d - digits > 9) || c > 0x10ffff)
			return -EBADMSG;
		c = c * (hex ? 16 : 10) + (uint32_t)(d - digits);
	}
	return add_code_point(out, c);
}

/* Text up to the next '<', entities decoded. */
static int
add_text(struct xml *x, struct sbuf *out)
{
	while (x->p < x->end && *x->p != '<') {
		const char *semicolon;
		size_t room = (size_t)(x->end - x->p);

		if (*x->p != '&') {
			(void)sbuf_addc(out, *x->p++);
			continue;
		}
		semicolon = memchr(x->p, ';', room < 12 ? room : 12);
		if (!semicolon || add_entity(out, x->p + 1, (size_t)(semicolon - x->p - 1)) < 0)
			return -EBADMSG;
		x->p = semicolon + 1;
	}
	return 0;
}

/* What is neither tag nor text: 1 when it was skipped, its CDATA added. */
static int
skip_other(struct xml *x, struct sbuf *out)
{
	const char *begin;

	if (at(x, "<?"))
		return skip_to(x, "?>") ? 1 : -EBADMSG;
	if (at(x, "<!--"))
		return skip_to(x, "-->") ? 1 : -EBADMSG;
	if (!at(x, "<![CDATA["))
		return at(x, "<!") ? -EBADMSG : 0; /* no document types */
	begin = x->p + 9;
	if (!skip_to(x, "]]>"))
		return -EBADMSG;
	(void)sbuf_add(out, begin, (size_t)(x->p - begin - 3));
	return 1;
}

static bool
is_called(const struct span *name, const char *wanted)
{
	return name->len == strlen(wanted) && memcmp(name->p, wanted, name->len) == 0;
}

static bool
is_in_reach(unsigned depth, enum xml_where where)
{
	return where == XML_ANYWHERE ? depth >= 1 : depth == 1;
}

/* One element after the other; OUT holds the text of the one that is wanted, once inside it. */
static int
find(struct xml *x, const char *wanted, enum xml_where where, struct sbuf *out)
{
	unsigned depth = 0;
	bool inside = false;

	while (x->p < x->end) {
		struct span name;
		enum tag tag;
		int r = *x->p == '<' ? skip_other(x, out) : add_text(x, out);

		if (r < 0)
			return r;
		if (!inside)
			sbuf_reset(out);
		if (r > 0 || x->p == x->end || *x->p != '<')
			continue;
		if (at(x, "<!") || at(x, "<?"))
			continue;
		tag = read_tag(x, &name);
		/* Within the value there is text only. */
		if (tag == TAG_NONE || (inside && (tag != TAG_CLOSE || !is_called(&name, wanted))))
			return -EBADMSG;
		if (inside)
			return 0;
		if (tag == TAG_CLOSE && depth-- == 0)
			return -EBADMSG;
		inside = tag == TAG_OPEN && is_in_reach(depth, where) && is_called(&name, wanted);
		depth += tag == TAG_OPEN;
	}
	return -EBADMSG;
}

char *
xml_text(const char *xml, size_t len, const char *name, enum xml_where where)
{
	struct xml x = { xml, xml + len };
	autosbuf struct sbuf out = SBUF_INIT(len);
	size_t n = 0;
	char *text = NULL;

	if (find(&x, name, where, &out) == 0 && !out.err)
		text = sbuf_take(&out, &n);
	if (!text || strlen(text) == n)
		return text;
	secret_free(text);
	return NULL;
}
