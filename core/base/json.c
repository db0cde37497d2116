/* SPDX-License-Identifier: Apache-2.0 */
/* Jansson helpers: bounded parsing, pointers, typed getters. Writing is in json_write.c. */
#include "core/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define INT64_CHARS 20 /* of its longest number */

/* Jansson's own limit is 2048 and cannot be set; its parser recurses. Counted before parsing. */
static bool
is_too_deep(const char *text, size_t len)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{') && ++depth > JSON_MAX_DEPTH)
			return true;
		else if (!in_string && (c == ']' || c == '}'))
			depth--;
	}
	return false;
}

/* Jansson quotes the input behind " near ", which may hold a secret: not shown. */
static json_t *
not_json(const json_error_t *je, const char *what, struct err *e)
{
	const char *near = strstr(je->text, " near ");
	int len = near ? (int)(near - je->text) : (int)strlen(je->text);

	(void)err_set(e, -EINVAL, "'%s' is not JSON: line %d, column %d: %.*s", what, je->line,
		      je->column, len, je->text);
	return NULL;
}

/* Bytes of the number at S, and whether it is an integer that 64 bits do not hold. */
static size_t
number_len(const char *s, size_t len, bool *ret_large)
{
	char head[INT64_CHARS + 1] = "";
	size_t n = 0, digits = 0;
	int64_t value;

	for (; n < len && s[n] && strchr("0123456789-+.eE", s[n]); n++)
		digits += s[n] >= '0' && s[n] <= '9';
	if (n <= INT64_CHARS)
		memcpy(head, s, n);
	*ret_large = digits > 0 && digits + (*s == '-') == n &&
		(n > INT64_CHARS || text_to_i64(head, INT64_MIN, INT64_MAX, &value) < 0);
	return n;
}

/* A copy of TEXT in which such integers have a fraction: doubles. */
static void
widen_integers(struct sbuf *b, const char *text, size_t len)
{
	bool in_string = false, large;

	for (size_t i = 0, n; i < len; i += n) {
		large = false;
		if (text[i] == '"')
			in_string = !in_string;
		n = in_string && text[i] == '\\' && i + 1 < len ? 2 : 1;
		if (!in_string && text[i] && strchr("0123456789-", text[i]))
			n = number_len(text + i, len - i, &large);
		sbuf_add(b, text + i, n);
		sbuf_adds(b, large ? ".0" : "");
	}
}

/* Jansson knows integers of 64 bits only; the reference, and so documents, doubles beside them. */
static json_t *
parse_large_integers(const char *text, size_t len, json_error_t *je)
{
	autosbuf struct sbuf b = SBUF_INIT(SIZE_MAX);

	widen_integers(&b, text, len);
	return json_loadb(sbuf_str(&b), b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, je);
}

json_t *
json_parse(const char *text, size_t len, const char *what, struct err *e)
{
	json_error_t je;
	json_t *v;

	if (len == 0) {
		(void)err_set(e, -EINVAL, "'%s' is not JSON: it is empty", what);
		return NULL;
	}
	if (is_too_deep(text, len)) {
		(void)err_set(e, -EINVAL, "'%s' is nested deeper than %d levels, the limit", what,
			      JSON_MAX_DEPTH);
		return NULL;
	}
	v = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
	if (!v && json_error_code(&je) == json_error_numeric_overflow)
		v = parse_large_integers(text, len, &je);
	return v ? v : not_json(&je, what, e);
}

json_t *
json_parse_file(const char *path, size_t max, struct err *e)
{
	autosecret char *text = NULL;
	size_t len;

	if (fs_read(AT_FDCWD, path, max, &text, &len, e) < 0)
		return NULL;
	return json_parse(text, len, path, e);
}

/* "~1" is '/', "~0" is '~', in place. false for any other '~'. */
static bool
unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		char c = *s;

		if (c == '~') {
			s++;
			if (*s != '0' && *s != '1')
				return false;
			c = *s == '0' ? '~' : '/';
		}
		*out++ = c;
	}
	*out = '\0';
	return true;
}

static json_t *
array_at(const json_t *array, const char *token)
{
	int64_t i;

	if (token[0] == '-' || (token[0] == '0' && token[1]))
		return NULL;
	if (text_to_i64(token, 0, INT32_MAX, &i) < 0)
		return NULL;
	return json_array_get(array, (size_t)i);
}

static json_t *
member_at(const json_t *v, char *token)
{
	if (!unescape(token))
		return NULL;
	return json_is_array(v) ? array_at(v, token) : json_object_get(v, token);
}

json_t *
json_at(const json_t *v, const char *pointer)
{
	json_t *at = (json_t *)(uintptr_t)v;

	while (at && *pointer) {
		size_t len;
		autofree char *token = NULL;

		if (*pointer != '/')
			return NULL;
		len = strcspn(++pointer, "/");
		token = xstrndup(pointer, len);
		at = member_at(at, token);
		pointer += len;
	}
	return at;
}

const char *
json_str(const json_t *obj, const char *key, const char *preset)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_string(v) ? json_string_value(v) : preset;
}

int64_t
json_int(const json_t *obj, const char *key, int64_t preset)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_integer(v) ? json_integer_value(v) : preset;
}

bool
json_bool(const json_t *obj, const char *key, bool preset)
{
	const json_t *v = json_object_get(obj, key);

	return json_is_boolean(v) ? json_is_true(v) : preset;
}

void
json_cleanup(json_t **v)
{
	json_decref(*v);
	*v = NULL;
}

json_t *
json_any_case(json_t *obj, const char *key)
{
	json_t *v = json_object_get(obj, key), *other;
	const char *name;

	if (v && !json_is_null(v))
		return v;
	v = NULL;
	json_object_foreach(obj, name, other)
		if (strcasecmp(name, key) == 0 && !json_is_null(other))
			v = other;
	return v;
}
