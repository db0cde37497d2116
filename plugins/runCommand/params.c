/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters: merged with their defaults and put in place of {{ name }}. */
#include "plugins/runCommand/params.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"

/* Longer names are not looked for: each "{{" would cost as much. */
#define NAME_MAX_LEN 1024

static const char blanks[] = "\t\n\f\r ";

/* -------------------------------------------------------------- merging */

static bool
is_plain_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	return len > 0 && name[len] == '\0';
}

static void
add_supplied(json_t *values, json_t *supplied)
{
	for (void *it = json_object_iter(supplied); it; it = json_object_iter_next(supplied, it))
		if (is_plain_name(json_object_iter_key(it)))
			(void)json_object_set_nocheck(values, json_object_iter_key(it),
						      json_object_iter_value(it));
}

json_t *
params_merge(const json_t *definitions, const json_t *supplied)
{
	json_t *values = json_object();
	json_t *defs = (json_t *)(uintptr_t)definitions;

	add_supplied(values, (json_t *)(uintptr_t)supplied);
	for (void *it = json_object_iter(defs); it; it = json_object_iter_next(defs, it)) {
		const char *name = json_object_iter_key(it);
		json_t *preset = json_object_get(json_object_iter_value(it), "default");

		if (!json_object_get(values, name))
			(void)json_object_set_new_nocheck(values, name,
							  preset ? json_incref(preset)
								 : json_null());
	}
	return values;
}

/* -------------------------------------------------------------- filling */

void
params_init(struct params *p, const json_t *values)
{
	json_t *obj = (json_t *)(uintptr_t)values;

	*p = (struct params){ values, 0, PARAMS_MAX_BYTES };
	for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
		size_t len = strlen(json_object_iter_key(it));

		if (len > p->max_name && len <= NAME_MAX_LEN)
			p->max_name = len;
	}
}

static const char *
skip_blanks(const char *s, const char *end)
{
	while (s < end && memchr(blanks, *s, sizeof(blanks) - 1))
		s++;
	return s;
}

static const char *
trim_blanks(const char *start, const char *end)
{
	while (end > start && memchr(blanks, end[-1], sizeof(blanks) - 1))
		end--;
	return end;
}

/* The text a token stands in, left to right. The next "}}" and where the text before it ends are
 * remembered: looking for them anew at each "{{" would take a square of the text's length. */
struct scan {
	const char *at, *end;
	const char *close, *name_end; /* close NULL: not looked for */
};

struct token {
	const char *start, *end;
	const json_t *value;
};

static bool
find_close(struct scan *s, const char *from)
{
	if (s->close && s->close >= from)
		return s->close < s->end;
	s->close = memmem(from, (size_t)(s->end - from), "}}", 2);
	if (!s->close)
		s->close = s->end;
	s->name_end = trim_blanks(from, s->close);
	return s->close < s->end;
}

static const json_t *
value_of(const struct params *p, const char *name, const char *end)
{
	char key[NAME_MAX_LEN + 1];
	size_t len;

	if (end <= name || (size_t)(end - name) > p->max_name)
		return NULL;
	len = (size_t)(end - name);
	memcpy(key, name, len);
	key[len] = '\0';
	return strlen(key) == len ? json_object_get(p->values, key) : NULL;
}

/* The next token of a known name; unknown ones are text. */
static bool
next_token(const struct params *p, struct scan *s, struct token *ret)
{
	while (s->at < s->end) {
		const char *open = memmem(s->at, (size_t)(s->end - s->at), "{{", 2);
		const char *name;

		if (!open || !find_close(s, open + 2))
			return false;
		name = skip_blanks(open + 2, s->end);
		ret->value = value_of(p, name, s->name_end);
		if (ret->value) {
			*ret = (struct token){ open, s->close + 2, ret->value };
			s->at = ret->end;
			return true;
		}
		s->at = open + 1;
	}
	return false;
}

/* Strings verbatim, all else as compact JSON; every "$$" of it becomes "$": old agents needed the
 * doubled sign for a literal one (2.6). */
static void
add_value(struct sbuf *b, const json_t *v)
{
	autofree char *text = json_is_string(v) ? NULL : json_text_go(v, true);
	const char *at = text ? text : json_string_value(v);
	const char *end = at + (text ? strlen(text) : json_string_length(v));

	while (at < end && !b->err) {
		const char *dollars = memmem(at, (size_t)(end - at), "$$", 2);
		const char *stop = dollars ? dollars + 1 : end;

		sbuf_add(b, at, (size_t)(stop - at));
		at = dollars ? dollars + 2 : end;
	}
}

char *
params_too_large(void)
{
	return xasprintf("the document grows above %u bytes when its parameters are filled in; "
			 "pass shorter values or use them in fewer places",
			 PARAMS_MAX_BYTES);
}

static json_t *
too_large(char **ret_trace)
{
	*ret_trace = params_too_large();
	return NULL;
}

/* The typed value; it counts by its JSON text, as it does wherever the inputs are sent. */
static json_t *
fill_whole(struct params *p, const json_t *value, char **ret_trace)
{
	autofree char *text = json_is_string(value) ? NULL : json_text(value);
	size_t len = text ? strlen(text) : json_string_length(value);

	if (len > p->left)
		return too_large(ret_trace);
	p->left -= len;
	return json_incref((json_t *)(uintptr_t)value);
}

static json_t *
fill_text(struct params *p, const json_t *v, struct token *first, struct scan *s, char **ret_trace)
{
	struct sbuf b = SBUF_INIT(p->left);
	struct token t = *first;
	const char *done = json_string_value(v);
	json_t *out = NULL;

	do {
		sbuf_add(&b, done, (size_t)(t.start - done));
		add_value(&b, t.value);
		done = t.end;
	} while (!b.err && next_token(p, s, &t));
	if (sbuf_add(&b, done, (size_t)(s->end - done)) == 0) {
		p->left -= b.len;
		out = json_stringn_nocheck(sbuf_str(&b), b.len);
	}
	sbuf_done(&b);
	return out ? out : too_large(ret_trace);
}

static json_t *
fill_string(struct params *p, const json_t *v, char **ret_trace)
{
	const char *text = json_string_value(v);
	struct scan s = { text, text + json_string_length(v), NULL, NULL };
	struct token t;

	if (p->max_name == 0 || !next_token(p, &s, &t))
		return json_incref((json_t *)(uintptr_t)v);
	if (t.start == text && t.end == s.end)
		return fill_whole(p, t.value, ret_trace);
	return fill_text(p, v, &t, &s, ret_trace);
}

static json_t *
fill_array(struct params *p, const json_t *v, char **ret_trace)
{
	autojson json_t *out = json_array();

	for (size_t i = 0; i < json_array_size(v); i++) {
		json_t *item = params_fill(p, json_array_get(v, i), ret_trace);

		if (!item)
			return NULL;
		(void)json_array_append_new(out, item);
	}
	return TAKE(out);
}

static json_t *
fill_object(struct params *p, const json_t *v, char **ret_trace)
{
	autojson json_t *out = json_object();
	json_t *obj = (json_t *)(uintptr_t)v;

	for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
		json_t *item = params_fill(p, json_object_iter_value(it), ret_trace);

		if (!item)
			return NULL;
		(void)json_object_set_new_nocheck(out, json_object_iter_key(it), item);
	}
	return TAKE(out);
}

json_t *
params_fill(struct params *p, const json_t *v, char **ret_trace)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		return fill_string(p, v, ret_trace);
	case JSON_ARRAY:
		return fill_array(p, v, ret_trace);
	case JSON_OBJECT:
		return fill_object(p, v, ret_trace);
	default:
		return json_incref((json_t *)(uintptr_t)v);
	}
}
