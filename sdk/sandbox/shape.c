/* SPDX-License-Identifier: Apache-2.0 */
/* Strict checks of what came in: required members, types, lengths, allowed values, no strangers. */
#include "sdk/sandbox/shape.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

#define PATH_SIZE 160

static int check_value(const struct shape *s, const json_t *v, const char *path,
		       struct shape_error *ret);

static int __attribute__((format(printf, 3, 4)))
refuse(struct shape_error *ret, const char *code, const char *fmt, ...)
{
	va_list ap;

	snprintf(ret->code, sizeof(ret->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(ret->text, sizeof(ret->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int
out_of_range(const struct shape *s, int64_t n, const char *path, const char *what,
	     struct shape_error *ret)
{
	bool low = n < s->min;

	return refuse(ret, "ValidationException",
		      "1 validation error detected: Value at '%s' failed to satisfy constraint: "
		      "Member must have %s %s than or equal to %lld",
		      path, what, low ? "greater" : "less", (long long)(low ? s->min : s->max));
}

static int
check_range(const struct shape *s, int64_t n, const char *path, const char *what,
	    struct shape_error *ret)
{
	if (n < s->min || (s->max && n > s->max))
		return out_of_range(s, n, path, what, ret);
	return 0;
}

static bool
is_allowed(const char *const *allowed, const char *text)
{
	for (; *allowed; allowed++)
		if (strcmp(*allowed, text) == 0)
			return true;
	return false;
}

static int
check_string(const struct shape *s, const json_t *v, const char *path, struct shape_error *ret)
{
	const char *text = json_string_value(v);
	int err = check_range(s, (int64_t)json_string_length(v), path, "length", ret);

	if (err)
		return err;
	if (s->allowed && !is_allowed(s->allowed, text))
		return refuse(ret, "ValidationException",
			      "1 validation error detected: Value '%.60s' at '%s' failed to "
			      "satisfy constraint: Member must satisfy enum value set",
			      text, path);
	if (s->check && !s->check(text))
		return refuse(ret, "ValidationException",
			      "1 validation error detected: Value '%.60s' at '%s' failed to "
			      "satisfy constraint: Member must satisfy regular expression pattern",
			      text, path);
	return 0;
}

static int
check_list(const struct shape *s, const json_t *v, const char *path, struct shape_error *ret)
{
	int err = check_range(s, (int64_t)json_array_size(v), path, "length", ret);

	for (size_t i = 0; !err && i < json_array_size(v); i++) {
		char at[PATH_SIZE];

		snprintf(at, sizeof(at), "%s.%zu.member", path, i + 1);
		err = check_value(s->inner, json_array_get(v, i), at, ret);
	}
	return err;
}

static int
check_map(const struct shape *s, const json_t *v, const char *path, struct shape_error *ret)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)v, key, value) {
		char at[PATH_SIZE];
		int err;

		snprintf(at, sizeof(at), "%s.%s.member", path, key);
		err = check_value(s->inner, value, at, ret);
		if (err)
			return err;
	}
	return 0;
}

static const struct shape *
find_member(const struct shape *members, const char *name)
{
	for (; members && members->name; members++)
		if (strcmp(members->name, name) == 0)
			return members;
	return NULL;
}

static int
check_present(const struct shape *members, const json_t *v, const char *path,
	      struct shape_error *ret)
{
	for (; members && members->name; members++)
		if (members->required && !json_object_get(v, members->name))
			return refuse(ret, "ValidationException",
				      "1 validation error detected: Value null at '%s%s%s' failed "
				      "to satisfy constraint: Member must not be null",
				      path, *path ? "." : "", members->name);
	return 0;
}

static int
check_struct(const struct shape *members, const json_t *v, const char *path,
	     struct shape_error *ret)
{
	int err = check_present(members, v, path, ret);
	const char *key;
	json_t *value;

	if (err)
		return err;
	json_object_foreach((json_t *)v, key, value) {
		const struct shape *member = find_member(members, key);
		char at[PATH_SIZE];

		snprintf(at, sizeof(at), "%s%s%s", path, *path ? "." : "", key);
		if (!member)
			return refuse(ret, "ValidationException",
				      "the operation has no member '%s'", at);
		err = check_value(member, value, at, ret);
		if (err)
			return err;
	}
	return 0;
}

static bool
has_type(const struct shape *s, const json_t *v)
{
	switch (s->type) {
	case SHAPE_STRING:
		return json_is_string(v);
	case SHAPE_INTEGER:
		return json_is_integer(v);
	case SHAPE_NUMBER:
		return json_is_number(v);
	case SHAPE_BOOLEAN:
		return json_is_boolean(v);
	case SHAPE_LIST:
		return json_is_array(v);
	case SHAPE_MAP:
	case SHAPE_STRUCT:
		return json_is_object(v);
	}
	return false;
}

static int
check_value(const struct shape *s, const json_t *v, const char *path, struct shape_error *ret)
{
	static const char *const names[] = { "a String", "an Integer", "a Number",   "a Boolean",
					     "a List",	 "a Map",      "a Structure" };

	if (s->nullable && json_is_null(v))
		return 0;
	if (!has_type(s, v))
		return refuse(ret, "SerializationException", "the value of '%s' is not %s", path,
			      names[s->type]);
	switch (s->type) {
	case SHAPE_STRING:
		return check_string(s, v, path, ret);
	case SHAPE_INTEGER:
		return check_range(s, json_integer_value(v), path, "value", ret);
	case SHAPE_LIST:
		return check_list(s, v, path, ret);
	case SHAPE_MAP:
		return check_map(s, v, path, ret);
	case SHAPE_STRUCT:
		return check_struct(s->inner, v, path, ret);
	case SHAPE_NUMBER:
	case SHAPE_BOOLEAN:
		break;
	}
	return 0;
}

int
shape_check(const struct shape *members, const json_t *obj, struct shape_error *ret)
{
	if (!json_is_object(obj))
		return refuse(ret, "SerializationException", "the body is not a JSON object");
	return check_struct(members, obj, "", ret);
}

bool
shape_is_instance_id(const char *s)
{
	size_t len, prefix = text_starts(s, "mi-") ? 3 : text_starts(s, "i-") ? 2 : 0;

	if (!prefix)
		return false;
	len = strlen(s + prefix);
	if (len != 17 && (prefix != 2 || len != 8))
		return false;
	for (s += prefix; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_')
			return false;
	return true;
}

bool
shape_is_uuid4(const char *s)
{
	static const char shape[] = "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx";

	if (strlen(s) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; s[i]; i++)
		if (shape[i] == 'x' ? !strchr("0123456789abcdef", s[i]) : s[i] != shape[i])
			return false;
	return true;
}

bool
shape_has_members(const json_t *o, const char *names)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)o, key, value)
	{
		size_t len = strlen(key);

		if (strncmp(names, key, len) != 0 || (names[len] && names[len] != ' '))
			return false;
		names += len + (names[len] == ' ');
	}
	return json_is_object(o) && !*names;
}
