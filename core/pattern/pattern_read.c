/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern is read by RE2's grammar and written anew with the few constructs that mean the same to
 * PCRE2; so nothing that PCRE2 has in addition can get through. */
#include "core/pattern/pattern.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define SOURCE_MAX_BYTES (32u << 10)
#define TRANSLATED_MAX_BYTES (512u << 10)
#define MAX_DEPTH 200	/* PCRE2's compiler recurses */
#define MAX_REPEAT 1000 /* RE2's */

struct reader {
	const char *start, *at, *end;
	struct sbuf out;
	int depth;
	bool multi_line[MAX_DEPTH + 2]; /* the flag m, by depth */
	bool can_repeat;		/* the last thing written takes a quantifier */
	const char *repeat; /* where the quantifier just read began, NULL after anything else */
	char *text;	    /* of the error */
};

/* ----------------------------------------------------------- the errors */

static bool
fail(struct reader *r, const char *what, const char *from, const char *to)
{
	if (!r->text)
		r->text = xasprintf("%s: `%.*s`", what, (int)(to - from), from);
	return false;
}

static size_t
char_len(const struct reader *r, const char *at)
{
	size_t n = text_utf8_char(at, (size_t)(r->end - at));

	return n ? n : 1;
}

/* ------------------------------------------------------------- literals */

static void
add_literal(struct sbuf *b, uint32_t c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		sbuf_addc(b, (char)c);
	else
		sbuf_addf(b, "\\x{%x}", (unsigned)c);
}

static uint32_t
decode_char(const char *s, size_t n)
{
	static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (unsigned char)s[0] & masks[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return c;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind "\x": two digits, or any number of them in braces. */
static bool
read_hex(struct reader *r, uint32_t *ret)
{
	bool braces = r->at < r->end && *r->at == '{';
	uint32_t c = 0;
	int digits = 0;

	r->at += braces;
	for (; r->at < r->end && hex_digit(*r->at) >= 0 && (braces || digits < 2);
	     r->at++, digits++) {
		c = c << 4 | (uint32_t)hex_digit(*r->at);
		if (c > 0x10ffff) {
			r->at++;
			return false;
		}
	}
	if (braces && (r->at == r->end || *r->at++ != '}'))
		return false;
	*ret = c;
	return braces ? digits > 0 : digits == 2;
}

/* One digit that is not 0 would be a back-reference. */
static bool
read_octal(struct reader *r, char first, uint32_t *ret)
{
	uint32_t c = (uint32_t)(first - '0');
	int digits = 1;

	if (first != '0' && (r->at == r->end || *r->at < '0' || *r->at > '7'))
		return false;
	for (; r->at < r->end && *r->at >= '0' && *r->at <= '7' && digits < 3; r->at++, digits++)
		c = c << 3 | (uint32_t)(*r->at - '0');
	*ret = c;
	return true;
}

/* A backslash that stands for one character; r->at is on the backslash. */
static bool
read_escape(struct reader *r, uint32_t *ret)
{
	static const char names[] = "aftnrv", values[] = "\a\f\t\n\r\v";
	const char *from = r->at++;
	const char *name;
	bool fine = false;
	char c;

	if (r->at == r->end) {
		r->text =
			r->text ? r->text : xstrdup("trailing backslash at end of expression: ``");
		return false;
	}
	c = *r->at++;
	name = c ? strchr(names, c) : NULL;
	if (name) {
		*ret = (unsigned char)values[name - names];
		return true;
	}
	if (c >= '0' && c <= '7')
		fine = read_octal(r, c, ret);
	else if (c == 'x')
		fine = read_hex(r, ret);
	else if (c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') &&
		 !(c >= 'a' && c <= 'z'))
		*ret = (unsigned char)c, fine = true;
	else if (c == ' ')
		*ret = ' ', fine = true;
	else if ((unsigned char)c >= 0x80)
		r->at = from + 1 + char_len(r, from + 1);
	return fine || fail(r, "invalid escape sequence", from, r->at);
}

/* ------------------------------------------------------------- classes */

/* \d \s \w and their opposites: RE2's \s has no vertical tab. As members of a class. */
static const char *
perl_class(char c)
{
	switch (c) {
	case 'd':
		return "0-9";
	case 'D':
		return "\\x{0}-\\x{2f}\\x{3a}-\\x{10ffff}";
	case 's':
		return "\\x{9}\\x{a}\\x{c}\\x{d}\\x{20}";
	case 'S':
		return "\\x{0}-\\x{8}\\x{b}\\x{e}-\\x{1f}\\x{21}-\\x{10ffff}";
	case 'w':
		return "0-9A-Za-z\\x{5f}";
	case 'W':
		return "\\x{0}-\\x{2f}\\x{3a}-\\x{40}\\x{5b}-\\x{5e}\\x{60}\\x{7b}-\\x{10ffff}";
	default:
		return NULL;
	}
}

/* \pL \p{Greek} \P{^Lu}: r->at is on the backslash. Categories have one or two letters; a longer
 * name is a script, of which RE2 takes no extensions. */
static bool
read_property(struct reader *r, bool *ret_done)
{
	const char *from = r->at, *name, *name_end;
	bool negated;

	*ret_done = r->end - r->at >= 2 && (r->at[1] == 'p' || r->at[1] == 'P');
	if (!*ret_done)
		return true;
	negated = r->at[1] == 'P';
	r->at += 2;
	if (r->at == r->end)
		return fail(r, "invalid character class range", from, r->end);
	name = r->at;
	name_end = *name == '{' ? memchr(name, '}', (size_t)(r->end - name)) : name + 1;
	if (!name_end)
		return fail(r, "invalid character class range", from, r->end);
	r->at = *name == '{' ? name_end + 1 : name_end;
	name += *name == '{';
	if (name < name_end && *name == '^') {
		negated = !negated;
		name++;
	}
	for (const char *p = name; p < name_end; p++)
		if (!((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '_'))
			return fail(r, "invalid character class range", from, r->at);
	if (name == name_end)
		return fail(r, "invalid character class range", from, r->at);
	sbuf_addf(&r->out, "\\%c{%s%.*s}", negated ? 'P' : 'p',
		  name_end - name <= 2 || strncmp(name, "Any", 3) == 0 ? "" : "sc:",
		  (int)(name_end - name), name);
	return true;
}

static bool
read_class_char(struct reader *r, const char *class_start, uint32_t *ret)
{
	size_t n;

	if (r->at == r->end)
		return fail(r, "missing closing ]", class_start, r->end);
	if (*r->at == '\\')
		return read_escape(r, ret);
	n = char_len(r, r->at);
	*ret = decode_char(r->at, n);
	r->at += n;
	return true;
}

static bool
read_range(struct reader *r, const char *class_start)
{
	const char *from = r->at;
	uint32_t lo, hi;

	if (!read_class_char(r, class_start, &lo))
		return false;
	hi = lo;
	if (r->end - r->at >= 2 && r->at[0] == '-' && r->at[1] != ']') {
		r->at++;
		if (!read_class_char(r, class_start, &hi))
			return false;
		if (hi < lo)
			return fail(r, "invalid character class range", from, r->at);
	}
	add_literal(&r->out, lo);
	if (hi > lo) {
		sbuf_addc(&r->out, '-');
		add_literal(&r->out, hi);
	}
	return true;
}

/* [:alpha:] and [:^alpha:]; RET_DONE false when it is none. */
static bool
read_posix_class(struct reader *r, bool *ret_done)
{
	static const char *const names[] = { "alnum", "alpha", "ascii", "blank", "cntrl",
					     "digit", "graph", "lower", "print", "punct",
					     "space", "upper", "word",	"xdigit" };
	const char *end = memmem(r->at, (size_t)(r->end - r->at), ":]", 2);
	const char *name = r->at + 2;

	*ret_done = false;
	if (r->end - r->at < 4 || r->at[1] != ':' || !end || end < name)
		return true;
	*ret_done = true;
	name += *name == '^';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) != (size_t)(end - name) ||
		    strncmp(names[i], name, (size_t)(end - name)) != 0)
			continue;
		sbuf_add(&r->out, r->at, (size_t)(end + 2 - r->at));
		r->at = end + 2;
		return true;
	}
	return fail(r, "invalid character class range", r->at, end + 2);
}

static bool
read_class_item(struct reader *r, const char *class_start)
{
	const char *members;
	bool done = false;

	if (*r->at == '[' && !read_posix_class(r, &done))
		return false;
	if (!done && *r->at == '\\' && !read_property(r, &done))
		return false;
	if (done)
		return true;
	members = *r->at == '\\' && r->end - r->at >= 2 ? perl_class(r->at[1]) : NULL;
	if (!members)
		return read_range(r, class_start);
	sbuf_adds(&r->out, members);
	r->at += 2;
	return true;
}

/* "[...]"; a ']' in the first place is a member. */
static bool
read_class(struct reader *r)
{
	const char *start = r->at++;
	bool first = true;

	sbuf_addc(&r->out, '[');
	if (r->at < r->end && *r->at == '^') {
		sbuf_addc(&r->out, '^');
		r->at++;
	}
	while (r->at < r->end && (*r->at != ']' || first)) {
		first = false;
		if (!read_class_item(r, start))
			return false;
	}
	if (r->at == r->end)
		return fail(r, "missing closing ]", start, r->end);
	r->at++;
	sbuf_addc(&r->out, ']');
	r->can_repeat = true;
	return true;
}

/* -------------------------------------------------------------- groups */

static void
open_group(struct reader *r, const char *text)
{
	sbuf_adds(&r->out, text);
	r->depth++;
	r->multi_line[r->depth] = r->multi_line[r->depth - 1];
	r->can_repeat = false;
}

struct flags {
	char text[8]; /* for PCRE2: "is-m" */
	size_t len;
	bool negated, any;
	int multi_line; /* 1 set, 0 cleared, -1 left as it is */
};

/* U changes which match is found, not whether there is one: it is dropped. */
static bool
take_flag(struct flags *f, char c)
{
	if (c == '-' && !f->negated) {
		f->negated = true;
		f->any = false;
	} else if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
		f->any = true;
	} else {
		return false;
	}
	if (c == 'm')
		f->multi_line = !f->negated;
	if (c != 'U' && f->len < sizeof(f->text))
		f->text[f->len++] = c;
	return f->len < sizeof(f->text);
}

/* "(?i)", which goes on to the end of the group, and "(?i:". */
static bool
read_flags(struct reader *r, const char *from)
{
	struct flags f = { .multi_line = -1 };
	autofree char *text = NULL;

	while (r->at < r->end && *r->at != ':' && *r->at != ')' && take_flag(&f, *r->at))
		r->at++;
	if (r->at == r->end)
		return fail(r, "missing closing )", from, r->end);
	if ((*r->at != ':' && *r->at != ')') || (f.negated && !f.any))
		return fail(r, "invalid or unsupported Perl syntax", from,
			    r->at + char_len(r, r->at));
	if (f.len > 0 && f.text[f.len - 1] == '-') /* "(?-U)" */
		f.len--;
	text = xasprintf("(?%.*s%c", (int)f.len, f.text, *r->at);
	if (*r->at++ == ':')
		open_group(r, text);
	else
		sbuf_adds(&r->out, text);
	if (f.multi_line >= 0)
		r->multi_line[r->depth] = f.multi_line;
	return true;
}

/* "(?P<name>" and "(?<name>"; r->at is behind the '<'. */
static bool
read_name(struct reader *r, const char *from)
{
	const char *name = r->at;

	while (r->at < r->end &&
	       (hex_digit(*r->at) >= 0 || *r->at == '_' ||
		((*r->at | 0x20) >= 'a' && (*r->at | 0x20) <= 'z')))
		r->at++;
	if (r->at == name && r->at < r->end && (*r->at == '=' || *r->at == '!'))
		return fail(r, "invalid or unsupported Perl syntax", from, r->at);
	if (r->at == r->end || r->at == name || *r->at != '>')
		return fail(r, "invalid named capture", from, r->at < r->end ? r->at + 1 : r->end);
	r->at++;
	open_group(r, "(?:");
	return true;
}

/* Captures are not needed; every group is written as one that does not capture. */
static bool
read_group(struct reader *r)
{
	const char *from = r->at++;

	r->can_repeat = false;
	if (r->depth >= MAX_DEPTH)
		return fail(r, "expression nests too deeply", from, r->at);
	if (r->at == r->end || *r->at != '?') {
		open_group(r, "(?:");
		return true;
	}
	r->at++;
	if (r->end - r->at >= 2 && r->at[0] == 'P' && r->at[1] == '<') {
		r->at += 2;
		return read_name(r, from);
	}
	if (r->at < r->end && *r->at == '<') {
		r->at++;
		return read_name(r, from);
	}
	return read_flags(r, from);
}

static bool
close_group(struct reader *r)
{
	if (r->depth == 0)
		return fail(r, "unexpected )", r->start, r->end);
	r->depth--;
	r->at++;
	sbuf_addc(&r->out, ')');
	r->can_repeat = true;
	return true;
}

/* --------------------------------------------------------- repetitions */

static int
read_count(struct reader *r, const char **at)
{
	int n = 0, digits = 0;

	for (; *at < r->end && **at >= '0' && **at <= '9'; (*at)++, digits++)
		n = n > MAX_REPEAT ? n : n * 10 + (**at - '0');
	return digits ? n : -1;
}

/* "{2}" "{2,}" "{2,5}": false when the brace is a literal one. */
static bool
read_bounds(struct reader *r, int *ret_min, int *ret_max, const char **ret_end)
{
	const char *at = r->at + 1;

	*ret_min = *ret_max = read_count(r, &at);
	if (*ret_min < 0)
		return false;
	if (at < r->end && *at == ',') {
		at++;
		*ret_max = read_count(r, &at);
	}
	*ret_end = at + 1;
	return at < r->end && *at == '}';
}

static bool
add_quantifier(struct reader *r, const char *from, const char *to)
{
	if (r->repeat)
		return fail(r, "invalid nested repetition operator", r->repeat, to);
	if (!r->can_repeat)
		return fail(r, "missing argument to repetition operator", from, to);
	sbuf_add(&r->out, from, (size_t)(to - from));
	r->at = to;
	/* Lazy: finds another match, but finds one just as well. */
	if (r->at < r->end && *r->at == '?')
		r->at++;
	r->repeat = from;
	return true;
}

static bool
read_braces(struct reader *r, bool *ret_done)
{
	const char *end;
	int min, max;

	*ret_done = read_bounds(r, &min, &max, &end);
	if (!*ret_done)
		return true;
	if (min > MAX_REPEAT || max > MAX_REPEAT || (max >= 0 && min > max))
		return fail(r, "invalid repeat count", r->at, end);
	return add_quantifier(r, r->at, end);
}

/* ----------------------------------------------------------- the whole */

/* '$' as RE2 has it: without the flag m at the very end only. PCRE2 has an option for that, which
 * its DFA matcher applies with the flag, too. */
static const char *
dollar(const struct reader *r)
{
	return r->multi_line[r->depth] ? "$" : "\\z";
}

/* Assertions in a group of their own: RE2 lets them be repeated. */
static void
add_assertion(struct reader *r, const char *text, size_t len)
{
	sbuf_addf(&r->out, "(?:%s)", text);
	r->at += len;
	r->can_repeat = true;
}

/* "\Q...\E"; without an end all of the rest. */
static void
read_quoted(struct reader *r)
{
	const char *stop;

	r->at += 2;
	stop = memmem(r->at, (size_t)(r->end - r->at), "\\E", 2);
	for (const char *end = stop ? stop : r->end; r->at < end;) {
		size_t n = char_len(r, r->at);

		add_literal(&r->out, decode_char(r->at, n));
		r->at += n;
		r->can_repeat = true;
	}
	r->at += stop ? 2 : 0;
}

static bool
read_backslash(struct reader *r)
{
	char c = r->end - r->at >= 2 ? r->at[1] : '\0';
	const char *members = perl_class(c);
	bool done;
	uint32_t literal;

	if (c == 'A' || c == 'z' || c == 'b' || c == 'B') {
		char text[3] = { '\\', c, '\0' };

		add_assertion(r, text, 2);
		return true;
	}
	if (c == 'Q') {
		read_quoted(r);
		return true;
	}
	r->can_repeat = true;
	if (members) {
		sbuf_addf(&r->out, "[%s]", members);
		r->at += 2;
		return true;
	}
	if (!read_property(r, &done) || done)
		return done && !r->text;
	if (!read_escape(r, &literal))
		return false;
	add_literal(&r->out, literal);
	return true;
}

static bool
read_literal(struct reader *r)
{
	size_t n = char_len(r, r->at);

	add_literal(&r->out, decode_char(r->at, n));
	r->at += n;
	r->can_repeat = true;
	return true;
}

static bool
read_atom(struct reader *r)
{
	switch (*r->at) {
	case '(':
		return read_group(r);
	case ')':
		return close_group(r);
	case '[':
		return read_class(r);
	case '\\':
		return read_backslash(r);
	case '^':
	case '$':
		add_assertion(r, *r->at == '^' ? "^" : dollar(r), 1);
		return true;
	case '.':
	case '|':
		sbuf_addc(&r->out, *r->at);
		r->can_repeat = *r->at++ == '.';
		return true;
	default:
		return read_literal(r);
	}
}

static bool
read_item(struct reader *r)
{
	bool done = false;

	switch (*r->at) {
	case '*':
	case '+':
	case '?':
		return add_quantifier(r, r->at, r->at + 1);
	case '{':
		if (!read_braces(r, &done))
			return false;
		break;
	default:
		break;
	}
	if (done)
		return true;
	r->repeat = NULL;
	return read_atom(r);
}

static bool
read_all(struct reader *r)
{
	while (r->at < r->end)
		if (!read_item(r))
			return false;
	if (r->depth > 0)
		return fail(r, "missing closing )", r->start, r->end);
	if (r->out.err)
		return fail(r, "expression is too large", r->start, r->start + 20);
	return true;
}

char *
pattern_translate(const char *source, size_t len, char **ret_text)
{
	struct reader r = { .start = source,
			    .at = source,
			    .end = source + len,
			    .out = SBUF_INIT(TRANSLATED_MAX_BYTES) };
	bool fine = len <= SOURCE_MAX_BYTES && text_utf8_valid(source, len);
	char *out = NULL;

	if (!fine)
		fail(&r, len > SOURCE_MAX_BYTES ? "expression is too large" : "invalid UTF-8",
		     source, source + (len < 20 ? len : 20));
	if (fine && read_all(&r))
		out = sbuf_take(&r.out, NULL);
	sbuf_done(&r.out);
	if (!out)
		*ret_text = r.text;
	return out;
}
