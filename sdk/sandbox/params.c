/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of send-command against the definitions of a document. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/pattern.h"

static int64_t
limit(const json_t *def, const char *key, int64_t preset)
{
	const json_t *v = json_object_get(def, key);
	int64_t n = preset;

	if (json_is_string(v))
		text_to_i64(json_string_value(v), 0, INT64_MAX, &n);
	else if (json_is_integer(v))
		n = json_integer_value(v);
	return n;
}

static bool
is_allowed(const json_t *def, const char *value)
{
	const json_t *allowed = json_object_get(def, "allowedValues");
	const json_t *v;
	size_t i;

	if (!json_is_array(allowed) || !json_array_size(allowed))
		return true;
	json_array_foreach(allowed, i, v) if (json_is_string(v) &&
					      strcmp(json_string_value(v), value) == 0) return true;
	return false;
}

static int
check_text(const char *name, const json_t *def, const char *value, struct err *e)
{
	const char *pattern = json_str(def, "allowedPattern", NULL);
	int64_t len = (int64_t)strlen(value);

	if (!is_allowed(def, value))
		return err_set(e, -EINVAL, "Parameter \"%s\" is not one of the allowed values.",
			       name);
	if (pattern && *pattern && !pattern_matches(pattern, value, true))
		return err_set(e, -EINVAL,
			       "Parameter \"%s\" does not match the allowed pattern "
			       "%.200s.",
			       name, pattern);
	if (len < limit(def, "minChars", 0) || len > limit(def, "maxChars", INT64_MAX))
		return err_set(e, -EINVAL,
			       "Parameter \"%s\" has %lld characters, outside of "
			       "minChars and maxChars.",
			       name, (long long)len);
	return 0;
}

static json_t *
list_value(const char *name, const json_t *def, const json_t *values, struct err *e)
{
	int64_t n = (int64_t)json_array_size(values);
	const json_t *v;
	size_t i;

	if (n < limit(def, "minItems", 0) || n > limit(def, "maxItems", INT64_MAX)) {
		err_set(e, -EINVAL,
			"Parameter \"%s\" has %lld items, outside of minItems and "
			"maxItems.",
			name, (long long)n);
		return NULL;
	}
	json_array_foreach(values, i,
			   v) if (check_text(name, def, json_string_value(v), e) < 0) return NULL;
	return json_deep_copy(values);
}

static json_t *
wrong_type(const char *name, const char *type, struct err *e)
{
	err_set(e, -EINVAL, "Parameter \"%s\" is not of type %s.", name, type);
	return NULL;
}

static json_t *
integer_value(const char *name, const char *text, struct err *e)
{
	int64_t n;

	if (text_to_i64(text, INT64_MIN, INT64_MAX, &n) < 0)
		return wrong_type(name, "Integer", e);
	return json_integer(n);
}

static json_t *
map_list_value(const char *name, const json_t *values, struct err *e)
{
	json_t *out = json_array();
	const json_t *v;
	size_t i;

	json_array_foreach(values, i, v)
	{
		json_t *item = json_loads(json_string_value(v), 0, NULL);

		if (!json_is_object(item)) {
			json_decref(item);
			json_decref(out);
			return wrong_type(name, "MapList", e);
		}
		json_array_append_new(out, item);
	}
	return out;
}

/* A StringMap travels as text, but it has to be an object in there. */
static json_t *
string_map_value(const char *name, const char *text, struct err *e)
{
	autojson json_t *v = json_loads(text, 0, NULL);

	return json_is_object(v) ? json_string(text) : wrong_type(name, "StringMap", e);
}

static json_t *
one_value(const char *name, const char *type, const json_t *def, const char *text, struct err *e)
{
	if (strcmp(type, "Integer") == 0)
		return integer_value(name, text, e);
	if (strcmp(type, "Boolean") == 0)
		return strcmp(text, "true") == 0     ? json_true()
			: strcmp(text, "false") == 0 ? json_false()
						     : wrong_type(name, type, e);
	if (strcmp(type, "StringMap") == 0)
		return string_map_value(name, text, e);
	return check_text(name, def, text, e) < 0 ? NULL : json_string(text);
}

static json_t *
value_for_node(const char *name, const json_t *def, const json_t *values, struct err *e)
{
	const char *type = json_str(def, "type", "String");

	if (strcmp(type, "StringList") == 0)
		return list_value(name, def, values, e);
	if (strcmp(type, "MapList") == 0)
		return map_list_value(name, values, e);
	if (json_array_size(values) != 1)
		return wrong_type(name, type, e);
	return one_value(name, type, def, json_string_value(json_array_get(values, 0)), e);
}

static int
check_required(const json_t *defs, const json_t *given, struct err *e)
{
	const char *name;
	json_t *def;

	json_object_foreach(
		(json_t *)defs, name,
		def) if (!json_object_get(def, "default") &&
			 !json_object_get(
				 given, name)) return err_set(e, -EINVAL,
							      "Parameter \"%s\" requires a value.",
							      name);
	return 0;
}

json_t *
params_for_node(const json_t *content, const json_t *given, struct err *e)
{
	const json_t *defs = json_object_get(content, "parameters");
	json_t *out = json_object(), *values;
	const char *name;

	json_object_foreach((json_t *)given, name, values)
	{
		const json_t *def = json_object_get(defs, name);
		json_t *value;

		if (!def) {
			err_set(e, -EINVAL, "Parameter \"%s\" is not defined in the document.",
				name);
			json_decref(out);
			return NULL;
		}
		value = value_for_node(name, def, values, e);
		if (!value) {
			json_decref(out);
			return NULL;
		}
		json_object_set_new(out, name, value);
	}
	if (check_required(defs, given, e) == 0)
		return out;
	json_decref(out);
	return NULL;
}

json_t *
params_unchecked(const json_t *content, const json_t *given)
{
	const json_t *defs = json_object_get(content, "parameters");
	json_t *out = json_object(), *values;
	const char *name;

	json_object_foreach((json_t *)given, name, values)
	{
		const char *type = json_str(json_object_get(defs, name), "type", "");
		bool list =
			strcmp(type, "StringList") == 0 || strcmp(type, "MapList") == 0 || !*type;
		json_t *v = values;

		if (!list && json_is_array(values) && json_array_size(values) == 1)
			v = json_array_get(values, 0);
		json_object_set(out, name, v);
	}
	return out;
}
