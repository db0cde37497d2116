/* SPDX-License-Identifier: Apache-2.0 */
/* From lists of strings to typed values. */
#include "plugins/runCommand/given.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"

static bool
is_text_list(const json_t *v)
{
	for (size_t i = 0; i < json_array_size(v); i++)
		if (!json_is_string(json_array_get(v, i)))
			return false;
	return json_is_array(v);
}

static json_t *
parsed(const json_t *text)
{
	return json_parse(json_string_value(text), json_string_length(text), "a value", NULL);
}

static json_t *
map_list(const json_t *list)
{
	json_t *out = json_array();

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *item = parsed(json_array_get(list, i));

		if (!json_is_object(item)) {
			json_decref(item);
			json_decref(out);
			return NULL;
		}
		(void)json_array_append_new(out, item);
	}
	return out;
}

/* NULL: it stays what it is. */
static json_t *
one_value(const char *type, json_t *text)
{
	const char *s = json_string_value(text);
	int64_t n;

	if (strcmp(type, "String") == 0 || strcmp(type, "StringMap") == 0)
		return json_incref(text);
	if (strcmp(type, "Integer") == 0 && text_to_i64(s, INT64_MIN, INT64_MAX, &n) == 0)
		return json_integer(n);
	if (strcmp(type, "Boolean") == 0 && strcmp(s, "true") == 0)
		return json_true();
	if (strcmp(type, "Boolean") == 0 && strcmp(s, "false") == 0)
		return json_false();
	return NULL;
}

static json_t *
convert(const json_t *definition, const json_t *list)
{
	const char *type = json_str(definition, "type", "");

	if (strcmp(type, "MapList") == 0)
		return map_list(list);
	return json_array_size(list) == 1 ? one_value(type, json_array_get(list, 0)) : NULL;
}

void
given_convert(json_t *payload)
{
	json_t *given = json_object_get(payload, "Parameters");
	json_t *definitions = json_at(payload, "/DocumentContent/parameters");

	for (void *it = json_object_iter(given); it; it = json_object_iter_next(given, it)) {
		const json_t *list = json_object_iter_value(it);
		json_t *definition = json_object_get(definitions, json_object_iter_key(it));
		json_t *value = is_text_list(list) ? convert(definition, list) : NULL;

		if (!value)
			continue;
		/* The validators of documents that run without the service let no other pass. */
		if (json_is_integer(value) || json_is_boolean(value))
			(void)json_object_set(definition, "default", value);
		(void)json_object_iter_set_new(given, it, value);
	}
}
