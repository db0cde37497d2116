/* SPDX-License-Identifier: Apache-2.0 */
/* One tokenizer for *.conf and AWS profile files. Messages never quote a line: it may be a key. */
#include "core/base/ini.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define LINE_MAX_BYTES 65536
#define REPORTS_MAX 10

struct parser {
	enum ini_dialect dialect;
	const char *file;
	unsigned line;
	char *section;
	bool lost;   /* below a bad header: nobody knows whose keys these are */
	bool nested; /* below an empty value: indented lines are its sub-settings */
	unsigned reports;
	ini_item_fn *item;
	ini_bad_fn *bad;
	void *arg;
	struct err *e;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_comment(char c)
{
	return c == '#' || c == ';';
}

/* Ends a *.conf; in a profile file one bad line must not cost the credentials. */
static int
bad_line(struct parser *p, const char *why)
{
	autofree char *text = xasprintf("%s:%u: %s", p->file, p->line, why);

	if (p->dialect == INI_CONF)
		return err_set(p->e, -EINVAL, "%s", text);
	p->reports++;
	if (p->bad && p->reports <= REPORTS_MAX)
		p->bad(p->arg, text);
	return 0;
}

static void
report_more(const struct parser *p)
{
	autofree char *text = NULL;

	if (!p->bad || p->reports <= REPORTS_MAX)
		return;
	text = xasprintf("%s: %u more bad lines", p->file, p->reports - REPORTS_MAX);
	p->bad(p->arg, text);
}

static int
emit(struct parser *p, const char *key, const char *value)
{
	const struct ini_item item = { p->file, p->line, p->section, key, value };

	return p->item(p->arg, &item, p->e);
}

static int
bad_header(struct parser *p, const char *why)
{
	p->lost = true;
	return bad_line(p, why);
}

/* S begins with '['. */
static int
parse_header(struct parser *p, char *s)
{
	char *end = strchr(s, ']'), *rest;

	p->nested = false;
	if (!end)
		return bad_header(p, "the section header has no ']'; its keys are ignored");
	rest = text_trim(end + 1);
	*end = '\0';
	if (*rest && !(p->dialect == INI_PROFILE && is_comment(*rest)))
		return bad_header(p, "text behind the section header; its keys are ignored");
	s = text_trim(s + 1);
	if (*s == '\0')
		return bad_header(p, "the section header is empty; its keys are ignored");
	free(p->section);
	p->section = xstrdup(s);
	p->lost = false;
	return emit(p, NULL, "");
}

/* Where a comment begins: at a '#' or ';' behind a blank. S is what follows the '='. */
static void
cut_comment(char *s)
{
	for (char *c = s; *c; c++) {
		if (is_comment(*c) && c > s && is_blank(c[-1])) {
			*c = '\0';
			return;
		}
	}
}

static char
unescaped(char c)
{
	return c == 'n' ? '\n' : c == 't' ? '\t' : c;
}

/* S begins with '"'. In place; NULL if there is no end, or text behind it. */
static char *
unquote(char *s)
{
	char *out = s, *start = s;

	for (s++; *s != '"'; s++) {
		if (*s == '\0')
			return NULL;
		if (*s == '\\' && s[1] && strchr("\"'\\nt", s[1]))
			*out++ = unescaped(*++s);
		else
			*out++ = *s;
	}
	s = text_trim(s + 1);
	*out = '\0';
	return *s == '\0' || is_comment(*s) ? start : NULL;
}

static int
profile_value(struct parser *p, const char *key, char *value)
{
	char *start = value + strspn(value, " \t");

	if (*start == '"') {
		start = unquote(start);
		if (!start)
			return bad_line(p, "the quoted value has no end, or text behind it");
		return emit(p, key, start);
	}
	cut_comment(value);
	value = text_trim(value);
	p->nested = *value == '\0';
	return p->nested ? 0 : emit(p, key, value);
}

static int
parse_key(struct parser *p, char *s)
{
	char *sep = s + strcspn(s, p->dialect == INI_PROFILE ? "=:" : "=");
	char *value = sep + 1;

	if (p->lost)
		return 0;
	if (*sep == '\0')
		return bad_line(p, "neither a section header nor 'key = value'");
	*sep = '\0';
	s = text_trim(s);
	if (*s == '\0')
		return bad_line(p, "there is no key before the '='");
	if (p->dialect == INI_PROFILE)
		return profile_value(p, s, value);
	return emit(p, s, text_trim(value));
}

static int
parse_line(struct parser *p, char *line)
{
	bool indented = is_blank(*line);
	char *s = text_trim(line);

	if (*s == '\0' || is_comment(*s))
		return 0;
	if (p->nested && indented)
		return 0;
	p->nested = false;
	return *s == '[' ? parse_header(p, s) : parse_key(p, s);
}

static int
take_line(struct parser *p, const char *text, size_t len)
{
	autosecret char *line = NULL;

	p->line++;
	if (len > LINE_MAX_BYTES)
		return bad_line(p, "the line is longer than 64 KiB");
	if (memchr(text, '\0', len))
		return bad_line(p, "the line holds a NUL byte");
	line = xstrndup(text, len);
	return parse_line(p, line);
}

static int
parse_all(struct parser *p, const char *text, size_t len)
{
	int r = 0;

	while (len > 0 && r >= 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		r = take_line(p, text, n);
		n += end ? 1 : 0;
		text += n;
		len -= n;
	}
	return r < 0 ? r : 0;
}

int
ini_parse(enum ini_dialect dialect, const char *file, const char *text, size_t len,
	  ini_item_fn *item, ini_bad_fn *bad, void *arg, struct err *e)
{
	struct parser p = { .dialect = dialect, .file = file, .item = item, .bad = bad, .arg = arg,
			    .e = e };
	int r;

	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3;
		len -= 3;
	}
	p.section = xstrdup("");
	r = parse_all(&p, text, len);
	report_more(&p);
	free(p.section);
	return r;
}
