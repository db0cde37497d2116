/* SPDX-License-Identifier: Apache-2.0 */
/* Jansson helpers: bounded parsing, pointers, typed getters. Writing is in json_write.c. */
#include "core/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/text.h"

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
