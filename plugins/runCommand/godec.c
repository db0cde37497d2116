/* SPDX-License-Identifier: Apache-2.0 */
/* Typed decoding by a table of fields. The reference's decoder goes on after a wrong type and
 * reports the first one; what it would have stored meanwhile does not matter, so this one stops. */
#include "plugins/runCommand/godec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"

#define DOUBLE_EXACT (INT64_C(1) << 53)
#define PATH_MAX_LEN 1024

struct decoder {
	const char *owner; /* innermost struct, NULL outside of any */
	struct sbuf path;
	char *text; /* of the first error */
};

static json_t *decode_object(struct decoder *d, const json_t *v, const struct godec_type *type);

static const char *
describe(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "object";
	case JSON_ARRAY:
		return "array";
	case JSON_STRING:
		return "string";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	case JSON_INTEGER:
	case JSON_REAL:
	case JSON_NULL:
	default:
		return "number";
	}
}

/* Always NULL, so that it can be returned. */
static json_t *
wrong_type(struct decoder *d, const json_t *v, const char *wanted)
{
	const char *found = describe(v);

	if (d->owner)
		d->text =
			xasprintf("json: cannot unmarshal %s into Go struct field %s.%s of type %s",
				  found, d->owner, sbuf_str(&d->path), wanted);
	else
		d->text = xasprintf("json: cannot unmarshal %s into Go value of type %s", found,
				    wanted);
	return NULL;
}

static json_t *
decode_string(struct decoder *d, const json_t *v)
{
	if (json_is_null(v))
		return json_string("");
	if (!json_is_string(v))
		return wrong_type(d, v, "string");
	return json_incref((json_t *)(uintptr_t)v);
}

/* A number with a fraction or an exponent is none for an int; its text is part of the message. */
static json_t *
decode_int(struct decoder *d, const json_t *v)
{
	autofree char *digits = NULL;

	if (json_is_integer(v))
		return json_incref((json_t *)(uintptr_t)v);
	if (!json_is_real(v))
		return wrong_type(d, v, "int");
	digits = json_text(v);
	d->text =
		xasprintf("json: cannot unmarshal number %s into Go struct field %s.%s of type int",
			  digits, d->owner, sbuf_str(&d->path));
	return NULL;
}

/* The grammar of a JSON number, which strtod() alone does not check. */
static bool
is_number_text(const char *s)
{
	static const char digits[] = "0123456789";
	size_t n;

	s += *s == '-';
	n = strspn(s, digits);
	if (n == 0 || (n > 1 && *s == '0'))
		return false;
	s += n;
	if (*s == '.') {
		n = strspn(++s, digits);
		s += n;
		if (n == 0)
			return false;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '+' || *s == '-';
		n = strspn(s, digits);
		s += n;
		if (n == 0)
			return false;
	}
	return *s == '\0';
}

bool
godec_number(const json_t *v, double *ret)
{
	if (json_is_number(v)) {
		*ret = json_number_value(v);
		return true;
	}
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v) ||
	    !is_number_text(json_string_value(v)))
		return false;
	*ret = strtod(json_string_value(v), NULL);
	return true;
}

/* The literal with its quotes, quoted once more. */
static char *
quote_again(const char *literal)
{
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	(void)json_add_string_go(&b, literal, strlen(literal));
	return sbuf_take(&b, NULL);
}

static json_t *
decode_number(struct decoder *d, const json_t *v)
{
	autofree char *literal = NULL, *quoted = NULL;
	double number;

	if (godec_number(v, &number))
		return json_incref((json_t *)(uintptr_t)v);
	if (!json_is_string(v))
		return wrong_type(d, v, "json.Number");
	literal = json_text(v);
	quoted = quote_again(literal);
	d->text = xasprintf("json: invalid number literal, trying to unmarshal %s into Number",
			    quoted);
	return NULL;
}

static json_t *
decode_strings(struct decoder *d, const json_t *v)
{
	autojson json_t *list = json_array();

	if (json_is_null(v))
		return TAKE(list);
	if (!json_is_array(v))
		return wrong_type(d, v, "[]string");
	for (size_t i = 0; i < json_array_size(v); i++) {
		json_t *s = decode_string(d, json_array_get(v, i));

		if (!s || json_array_append_new(list, s) < 0)
			return NULL;
	}
	return TAKE(list);
}

static json_t *
decode_element(struct decoder *d, const json_t *v, const struct godec_field *f)
{
	switch (f->kind) {
	case GODEC_MAP_ANY:
		return json_incref((json_t *)(uintptr_t)v);
	case GODEC_MAP_STRING:
		return decode_string(d, v);
	case GODEC_MAP_STRINGS:
		return decode_strings(d, v);
	default:
		return json_is_null(v) ? json_object() : decode_object(d, v, f->type);
	}
}

static json_t *
decode_map(struct decoder *d, const json_t *v, const struct godec_field *f)
{
	autojson json_t *map = json_object();
	json_t *obj = (json_t *)(uintptr_t)v;

	for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
		json_t *element = decode_element(d, json_object_iter_value(it), f);

		if (!element ||
		    json_object_set_new_nocheck(map, json_object_iter_key(it), element) < 0)
			return NULL;
	}
	return TAKE(map);
}

static json_t *
decode_list(struct decoder *d, const json_t *v, const struct godec_field *f)
{
	autojson json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(v); i++) {
		json_t *element = decode_element(d, json_array_get(v, i), f);

		if (!element || json_array_append_new(list, element) < 0)
			return NULL;
	}
	return TAKE(list);
}

static json_t *
wrong_container(struct decoder *d, const json_t *v, const struct godec_field *f)
{
	autofree char *name = NULL;

	if (f->kind == GODEC_MAP_ANY)
		return wrong_type(d, v, "map[string]interface {}");
	if (f->kind == GODEC_MAP_STRING)
		return wrong_type(d, v, "map[string]string");
	if (f->kind == GODEC_MAP_STRINGS)
		return wrong_type(d, v, "map[string][]string");
	name = xasprintf("%s*%s.%s", f->kind == GODEC_LIST ? "[]" : "map[string]", f->type->package,
			 f->type->name);
	return wrong_type(d, v, name);
}

static json_t *
decode_container(struct decoder *d, const json_t *v, const struct godec_field *f)
{
	if (f->kind == GODEC_LIST)
		return json_is_array(v) ? decode_list(d, v, f) : wrong_container(d, v, f);
	return json_is_object(v) ? decode_map(d, v, f) : wrong_container(d, v, f);
}

static json_t *
decode_field(struct decoder *d, const json_t *v, const struct godec_field *f)
{
	switch (f->kind) {
	case GODEC_STRING:
		return decode_string(d, v);
	case GODEC_INT:
		return decode_int(d, v);
	case GODEC_NUMBER:
		return decode_number(d, v);
	case GODEC_ANY:
		return json_incref((json_t *)(uintptr_t)v);
	case GODEC_STRINGS:
		return decode_strings(d, v);
	case GODEC_OBJECT:
		return decode_object(d, v, f->type);
	case GODEC_MAP_ANY:
	case GODEC_MAP_STRING:
	case GODEC_MAP_STRINGS:
	case GODEC_LIST:
	case GODEC_MAP:
	default:
		return decode_container(d, v, f);
	}
}

static const struct godec_field *
find_field(const struct godec_type *type, const char *key)
{
	for (size_t i = 0; i < type->count; i++)
		if (strcasecmp(type->fields[i].name, key) == 0)
			return &type->fields[i];
	return NULL;
}

/* Another spelling of a key whose exact one is there, too, does not count. */
static bool
is_shadowed(const json_t *v, const char *key, const struct godec_field *f)
{
	return strcmp(key, f->name) != 0 && json_object_get(v, f->name);
}

static bool
decode_member(struct decoder *d, json_t *out, const json_t *v, const struct godec_field *f)
{
	size_t at = d->path.len;
	json_t *value;

	sbuf_addf(&d->path, "%s%s", at ? "." : "", f->name);
	value = decode_field(d, v, f);
	if (!value || json_object_set_new_nocheck(out, f->name, value) < 0)
		return false;
	d->path.len = at;
	d->path.p[at] = '\0';
	return true;
}

static json_t *
decode_object(struct decoder *d, const json_t *v, const struct godec_type *type)
{
	autojson json_t *out = json_object();
	json_t *obj = (json_t *)(uintptr_t)v;
	const char *outer = d->owner;
	autofree char *name = xasprintf("%s.%s", type->package, type->name);

	if (!json_is_object(v))
		return wrong_type(d, v, name);
	d->owner = type->name;
	for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
		const char *key = json_object_iter_key(it);
		const struct godec_field *f = find_field(type, key);
		const json_t *value = json_object_iter_value(it);

		if (!f || json_is_null(value) || is_shadowed(v, key, f))
			continue;
		if (!decode_member(d, out, value, f))
			return NULL;
	}
	d->owner = outer;
	return TAKE(out);
}

json_t *
godec_object(const json_t *v, const struct godec_type *type, char **ret_text)
{
	struct decoder d = { NULL, SBUF_INIT(PATH_MAX_LEN), NULL };
	json_t *out = decode_object(&d, v, type);

	sbuf_done(&d.path);
	if (!out)
		*ret_text = d.text ? d.text : xstrdup("json: out of memory");
	return out;
}

static json_t *
rounded(json_t *v)
{
	json_int_t i = json_integer_value(v);

	if (json_is_integer(v) && (i > DOUBLE_EXACT || i < -DOUBLE_EXACT))
		return json_real((double)i);
	godec_round_numbers(v);
	return NULL;
}

void
godec_round_numbers(json_t *v)
{
	for (size_t n = 0; n < json_array_size(v); n++) {
		json_t *real = rounded(json_array_get(v, n));

		if (real)
			(void)json_array_set_new(v, n, real);
	}
	if (!json_is_object(v))
		return;
	for (void *it = json_object_iter(v); it; it = json_object_iter_next(v, it)) {
		json_t *real = rounded(json_object_iter_value(it));

		if (real)
			(void)json_object_iter_set_new(v, it, real);
	}
}
