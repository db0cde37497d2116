/* SPDX-License-Identifier: Apache-2.0 */
/* Finds {{ssm:name}}, asks for the names ten at a time, puts the values in their place. */
#include "core/store/store.h"

#include <stdint.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define INTERNAL_ERROR "Encountered error while parsing input - internal error"
#define LIST_MAX_BYTES (8u << 10)
#define NAME_SHOWN_BYTES 256u

void
store_init(struct store *s, size_t max_bytes, store_ask_fn *ask, void *arg)
{
	*s = (struct store){ ask, arg, json_object(), json_array(), max_bytes };
}

void
store_done(struct store *s)
{
	json_decref(s->known);
	json_decref(s->wanted);
	*s = (struct store){ 0 };
}

/* --------------------------------------------------------------- tokens */

struct token {
	const char *start, *end; /* with its braces */
	const char *name;
	size_t name_len;
};

static const char *
skip(const char *at, const char *end, const char *set)
{
	while (at < end && *at && strchr(set, *at))
		at++;
	return at;
}

/* "{{", blanks, "ssm:", name, blanks, "}}"; no other white space than blanks. */
static bool
token_at(const char *open, const char *end, struct token *ret)
{
	static const char name_chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.:-";
	const char *at = skip(open + 2, end, " "), *close;

	if (end - at < 4 || memcmp(at, "ssm:", 4) != 0)
		return false;
	ret->name = at + 4;
	close = skip(ret->name, end, name_chars);
	ret->name_len = (size_t)(close - ret->name);
	close = skip(close, end, " ");
	if (ret->name_len == 0 || end - close < 2 || memcmp(close, "}}", 2) != 0)
		return false;
	ret->start = open;
	ret->end = close + 2;
	return true;
}

static bool
next_token(const char *from, const char *end, struct token *ret)
{
	while (from < end) {
		const char *open = memmem(from, (size_t)(end - from), "{{", 2);

		if (!open)
			return false;
		if (token_at(open, end, ret))
			return true;
		from = open + 1;
	}
	return false;
}

/* True as soon as SEEN is, for a token of a string value of V. */
static bool
each_token(const json_t *v, bool (*seen)(void *, const struct token *), void *arg)
{
	json_t *obj = (json_t *)(uintptr_t)v;

	if (json_is_string(v)) {
		const char *at = json_string_value(v), *end = at + json_string_length(v);
		struct token t;

		for (; next_token(at, end, &t); at = t.end)
			if (seen(arg, &t))
				return true;
	}
	for (size_t i = 0; i < json_array_size(v); i++)
		if (each_token(json_array_get(v, i), seen, arg))
			return true;
	for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it))
		if (each_token(json_object_iter_value(it), seen, arg))
			return true;
	return false;
}

static bool
any(void *arg, const struct token *t)
{
	(void)arg;
	(void)t;
	return true;
}

bool
store_is_in(const json_t *v)
{
	return each_token(v, any, NULL);
}

/* -------------------------------------------------------------- resolving */

/* Wanted names are known as null until they are answered. */
static bool
want(void *arg, const struct token *t)
{
	struct store *s = arg;
	autofree char *name = xstrndup(t->name, t->name_len);

	if (json_object_get(s->known, name))
		return false;
	(void)json_object_set_new(s->known, name, json_null());
	(void)json_array_append_new(s->wanted, json_string(name));
	return json_object_size(s->known) > STORE_MAX_NAMES;
}

static void
learn(struct store *s, const char *name, const json_t *parameter)
{
	if (json_is_null(json_object_get(s->known, name)))
		(void)json_object_set_new(s->known, name,
					  json_pack("{s:O, s:O}", "Type",
						    json_object_get(parameter, "Type"), "Value",
						    json_object_get(parameter, "Value")));
}

/* Under its name, and under its name with its version. One that was asked for by a label or a
 * version does not stand for the name alone. */
static void
take_parameter(struct store *s, const json_t *parameter, char ***secure)
{
	const char *name = json_str(parameter, "Name", NULL);
	const char *selector = json_str(parameter, "Selector", "");
	int64_t version = json_int(parameter, "Version", 0);
	autofree char *with_version = NULL;

	if (!name || !json_is_string(json_object_get(parameter, "Type")) ||
	    !json_is_string(json_object_get(parameter, "Value")))
		return;
	if (strcmp(json_str(parameter, "Type", ""), "SecureString") == 0)
		strv_add(secure, name);
	with_version = xasprintf("%s:%lld", name, (long long)version);
	learn(s, with_version, parameter);
	if (!selector[0])
		learn(s, name, parameter);
}

struct answers {
	size_t count; /* parameters that came */
	char **invalid, **secure;
};

static void
take_answer(struct store *s, const json_t *answer, struct answers *a)
{
	const json_t *parameters = json_object_get(answer, "Parameters");
	const json_t *invalid = json_object_get(answer, "InvalidParameters");

	a->count += json_array_size(parameters);
	for (size_t i = 0; i < json_array_size(parameters); i++)
		take_parameter(s, json_array_get(parameters, i), &a->secure);
	for (size_t i = 0; i < json_array_size(invalid); i++)
		if (json_is_string(json_array_get(invalid, i)))
			strv_add(&a->invalid, json_string_value(json_array_get(invalid, i)));
}

static bool
ask_all(struct store *s, struct answers *a, char **ret_trace)
{
	size_t count = json_array_size(s->wanted);

	if (!s->ask)
		*ret_trace = xstrdup("Encountered error while calling GetParameters API. Error: "
				     "there is no agent to ask");
	if (!s->ask)
		return false;
	for (size_t at = 0; at < count; at += STORE_NAMES_PER_CALL) {
		autojson json_t *names = json_array(), *answer = NULL;

		for (size_t i = at; i < count && i < at + STORE_NAMES_PER_CALL; i++)
			(void)json_array_append(names, json_array_get(s->wanted, i));
		answer = s->ask(s->arg, names, ret_trace);
		if (!answer)
			return false;
		take_answer(s, answer, a);
	}
	return true;
}

/* "[x y]", as the reference prints a list; a long one is cut: the reply has to get through. */
static char *
word_list(const char *before, char *const *list, const char *behind)
{
	autofree char *joined = strv_join(list, " ");
	size_t len = strlen(joined), shown = len;

	if (len > LIST_MAX_BYTES)
		shown = text_utf8_floor(joined, len, LIST_MAX_BYTES);
	return xasprintf("%s[%.*s%s]%s", before, (int)shown, joined, shown < len ? " ..." : "",
			 behind);
}

/* What the reference says of the answers, or NULL. */
static char *
find_fault(const struct store *s, const struct answers *a)
{
	size_t count = json_array_size(s->wanted);

	if (a->count != count)
		return word_list("Input contains invalid parameters ", a->invalid, "");
	if (a->secure)
		return word_list("Parameters ", a->secure,
				 " of type SecureString are not supported");
	for (size_t i = 0; i < count; i++)
		if (json_is_null(json_object_get(s->known,
						 json_string_value(json_array_get(s->wanted, i)))))
			return xstrdup(INTERNAL_ERROR);
	return NULL;
}

bool
store_resolve(struct store *s, const json_t *values, char **ret_trace)
{
	struct answers a = { 0, NULL, NULL };
	char *fault = NULL;
	bool ok;

	if (each_token(values, want, s))
		fault = xasprintf("the document names more than %u parameters of the parameter "
				  "store; split it",
				  STORE_MAX_NAMES);
	else if (json_array_size(s->wanted) == 0)
		return true;
	ok = !fault && ask_all(s, &a, ret_trace);
	if (ok)
		fault = find_fault(s, &a);
	if (fault)
		*ret_trace = fault;
	strv_free(a.invalid);
	strv_free(a.secure);
	(void)json_array_clear(s->wanted);
	return ok && !fault;
}

/* ---------------------------------------------------------------- filling */

struct fill {
	const struct store *store;
	size_t *left;
	char **ret_trace;
};

static json_t *fill_value(const struct fill *f, const json_t *v);

static json_t *
too_large(const struct fill *f)
{
	*f->ret_trace =
		xasprintf("the document grows above %zu bytes when its parameters are filled in; "
			  "pass shorter values or use them in fewer places",
			  f->store->max_bytes);
	return NULL;
}

static const json_t *
parameter_of(const struct store *s, const struct token *t)
{
	autofree char *name = xstrndup(t->name, t->name_len);

	return json_object_get(s->known, name);
}

static bool
is_list(const json_t *parameter)
{
	return strcmp(json_str(parameter, "Type", ""), "StringList") == 0;
}

static bool
add_parameter(const struct fill *f, struct sbuf *b, const struct token *t)
{
	const json_t *parameter = parameter_of(f->store, t);
	const json_t *value = json_object_get(parameter, "Value");
	size_t shown = t->name_len < NAME_SHOWN_BYTES ? t->name_len : NAME_SHOWN_BYTES;

	if (!is_list(parameter))
		return sbuf_add(b, json_string_value(value), json_string_length(value)) <= 0;
	*f->ret_trace = xasprintf("Parameter %.*s of type StringList cannot be used as a String",
				  (int)shown, t->name);
	return false;
}

static json_t *
fill_text(const struct fill *f, const json_t *v)
{
	const char *at = json_string_value(v), *end = at + json_string_length(v);
	autosbuf struct sbuf b = SBUF_INIT(*f->left);
	struct token t;
	bool any_token = false;

	for (; next_token(at, end, &t) && !b.err; at = t.end, any_token = true) {
		(void)sbuf_add(&b, at, (size_t)(t.start - at));
		if (!add_parameter(f, &b, &t))
			return NULL;
	}
	if (!any_token)
		return json_incref((json_t *)(uintptr_t)v);
	if (sbuf_add(&b, at, (size_t)(end - at)) < 0)
		return too_large(f);
	*f->left -= b.len;
	return json_stringn_nocheck(sbuf_str(&b), b.len);
}

/* The list that an element stands for which is one token and nothing else, or NULL. */
static const json_t *
list_of(const struct store *s, const json_t *element)
{
	const char *text = json_string_value(element), *end;
	const json_t *parameter;
	struct token t;

	if (!text)
		return NULL;
	end = text + json_string_length(element);
	if (!next_token(text, end, &t))
		return NULL;
	if (skip(text, end, "\t\n\v\f\r ") != t.start || skip(t.end, end, "\t\n\v\f\r ") != end)
		return NULL;
	parameter = parameter_of(s, &t);
	return is_list(parameter) ? json_object_get(parameter, "Value") : NULL;
}

/* Its parts take their place in the list around it. */
static bool
splice(const struct fill *f, json_t *out, const json_t *value)
{
	const char *at = json_string_value(value), *end = at + json_string_length(value);

	if (json_string_length(value) > *f->left)
		return too_large(f) != NULL;
	*f->left -= json_string_length(value);
	for (;;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;

		(void)json_array_append_new(out, json_stringn_nocheck(at, (size_t)(stop - at)));
		if (!comma)
			return true;
		at = comma + 1;
	}
}

static json_t *
fill_array(const struct fill *f, const json_t *v)
{
	autojson json_t *out = json_array();

	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *element = json_array_get(v, i);
		const json_t *list = list_of(f->store, element);
		json_t *filled = list ? NULL : fill_value(f, element);

		if (list ? !splice(f, out, list) : !filled)
			return NULL;
		if (filled)
			(void)json_array_append_new(out, filled);
	}
	return TAKE(out);
}

static json_t *
fill_object(const struct fill *f, const json_t *v)
{
	autojson json_t *out = json_object();
	json_t *obj = (json_t *)(uintptr_t)v;

	for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
		json_t *filled = fill_value(f, json_object_iter_value(it));

		if (!filled)
			return NULL;
		(void)json_object_set_new_nocheck(out, json_object_iter_key(it), filled);
	}
	return TAKE(out);
}

static json_t *
fill_value(const struct fill *f, const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		return fill_text(f, v);
	case JSON_ARRAY:
		return fill_array(f, v);
	case JSON_OBJECT:
		return fill_object(f, v);
	default:
		return json_incref((json_t *)(uintptr_t)v);
	}
}

json_t *
store_fill(const struct store *s, const json_t *v, size_t *left, char **ret_trace)
{
	struct fill f = { s, left, ret_trace };

	if (json_object_size(s->known) == 0)
		return json_incref((json_t *)(uintptr_t)v);
	return fill_value(&f, v);
}
