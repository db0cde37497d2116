/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of parameters: allowedPattern for every document, lengths, numbers of items and
 * allowed values where the service has not looked (spec/03 2.8). */
#include "plugins/runCommand/params.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "core/pattern/pattern.h"
#include "core/store/store.h"

/* All failures are told at once, but a list of a million wrong elements fills no reply. */
#define TRACE_MAX_BYTES (64u << 10)
#define FAILURE_MAX_BYTES (8u << 10)
#define NAME_SHOWN_BYTES 256
#define SHOWN_BYTES 64
#define LIMIT_MAX INT64_C(2147483647)

/* A double as the reference prints it in sentences: shortest digits, with an exponent below 1e-4
 * and from 1e6 on ("1e+06"). */
static void
format_number(double v, char *buf, size_t size)
{
	const char *e;
	int digits;
	long power;

	for (digits = 0; digits < 17; digits++) {
		(void)snprintf(buf, size, "%.*e", digits, v);
		if (strtod(buf, NULL) == v)
			break;
	}
	e = strchr(buf, 'e');
	power = e ? strtol(e + 1, NULL, 10) : 0;
	if (power >= -4 && power < 6)
		(void)snprintf(buf, size, "%.*f", digits > power ? digits - (int)power : 0, v);
}

static void
show_scalar(const json_t *v, char buf[SHOWN_BYTES])
{
	if (json_is_number(v))
		format_number(json_number_value(v), buf, SHOWN_BYTES);
	else if (json_is_boolean(v))
		(void)snprintf(buf, SHOWN_BYTES, "%s", json_is_true(v) ? "true" : "false");
	else
		(void)snprintf(buf, SHOWN_BYTES, "%s", json_is_null(v) ? "<nil>" : "?");
}

/* Values that a check cannot apply to, as numbers, truth values and null to a pattern. */
static char *
wrong_type(const char *type, const json_t *v)
{
	char shown[SHOWN_BYTES];
	autofree char *text = NULL;

	show_scalar(v, shown);
	if (json_is_string(v))
		text = xstrdup(json_string_value(v));
	else if (json_is_array(v) || json_is_object(v))
		text = json_text_go(v, true);
	return xasprintf("invalid parameter type %s with parameter value %s", type,
			 text ? text : shown);
}

/* Each element of a list, a string or an object by itself, as CHECK says; the first failure. */
typedef char *check_text_fn(void *arg, const char *text, size_t len);

static char *
check_value(const json_t *v, check_text_fn *check, void *arg)
{
	autofree char *text = NULL;

	if (json_is_string(v))
		return check(arg, json_string_value(v), json_string_length(v));
	text = json_text_go(v, true);
	return check(arg, text, strlen(text));
}

static char *
check_each(const char *type, const json_t *v, check_text_fn *check, void *arg)
{
	if (json_is_string(v) || json_is_object(v))
		return check_value(v, check, arg);
	if (!json_is_array(v))
		return wrong_type(type, v);
	for (size_t i = 0; i < json_array_size(v); i++) {
		char *text = check_value(json_array_get(v, i), check, arg);

		if (text)
			return text;
	}
	return NULL;
}

static bool
is_one_of(const char *type, const char *const *types)
{
	while (*types && strcmp(*types, type) != 0)
		types++;
	return *types != NULL;
}

/* --------------------------------------------------------- allowedPattern */

struct by_pattern {
	struct pattern *pattern;
	const char *source;
};

static char *
check_pattern_text(void *arg, const char *text, size_t len)
{
	const struct by_pattern *by = arg;
	int matched = pattern_match(by->pattern, text, len);

	if (matched > 0)
		return NULL;
	if (matched < 0)
		return xasprintf("parameter value is too long for the allowed pattern /%s/",
				 by->source);
	return xasprintf("parameter value /%s/ does not match the allowed pattern /%s/", text,
			 by->source);
}

static char *
check_pattern(const json_t *definition, const char *type, const json_t *value)
{
	const json_t *source = json_object_get(definition, "allowedPattern");
	struct by_pattern by = { NULL, json_string_value(source) };
	autofree char *reason = NULL;
	char *text;

	if (json_string_length(source) == 0)
		return NULL;
	by.pattern = pattern_new(by.source, json_string_length(source), &reason);
	if (!by.pattern)
		return xasprintf(
			"encountered error while compiling allowed pattern - internal error: "
			"error parsing regexp: %s",
			reason);
	text = check_each(type, value, check_pattern_text, &by);
	(void)pattern_free(by.pattern);
	return text;
}

/* ----------------------------------------------------- lengths and numbers */

struct limits {
	int64_t min, max;
};

/* What cannot be read is no limit; nor is a maximum that no length has. */
static int64_t
limit_of(const json_t *definition, const char *key, int64_t preset)
{
	const json_t *v = json_object_get(definition, key);
	autofree char *text = json_is_number(v) ? json_text(v) : NULL;
	int64_t value;

	if (text_to_i64(text ? text : json_str(definition, key, ""), INT64_MIN, INT64_MAX, &value) <
	    0)
		return preset;
	return preset == LIMIT_MAX && (value < 0 || value > LIMIT_MAX) ? LIMIT_MAX : value;
}

static struct limits
limits_of(const json_t *definition, const char *min_key, const char *max_key)
{
	return (struct limits){ limit_of(definition, min_key, 0),
				limit_of(definition, max_key, LIMIT_MAX) };
}

static bool
has_limits(const json_t *definition, const char *min_key, const char *max_key)
{
	return json_object_get(definition, min_key) || json_object_get(definition, max_key);
}

static char *
check_chars_text(void *arg, const char *text, size_t len)
{
	const struct limits *l = arg;

	if ((int64_t)len < l->min)
		return xasprintf("parameter value /%s/ is less than the min char limit /%lld/",
				 text, (long long)l->min);
	if ((int64_t)len > l->max)
		return xasprintf("parameter value /%s/ is exceeding the max chars /%lld/", text,
				 (long long)l->max);
	return NULL;
}

static char *
check_chars(const json_t *definition, const char *type, const json_t *value)
{
	static const char *const skipped[] = { "Integer", "Boolean", NULL };
	struct limits l = limits_of(definition, "minChars", "maxChars");

	if (is_one_of(type, skipped) || !has_limits(definition, "minChars", "maxChars"))
		return NULL;
	return check_each(type, value, check_chars_text, &l);
}

/* A text passes: the service sends maps as text. */
static char *
check_items(const json_t *definition, const char *type, const json_t *value)
{
	static const char *const skipped[] = { "Integer", "Boolean", "String", NULL };
	struct limits l = limits_of(definition, "minItems", "maxItems");
	size_t count = json_is_array(value) ? json_array_size(value) : json_object_size(value);

	if (is_one_of(type, skipped) || !has_limits(definition, "minItems", "maxItems") ||
	    json_is_string(value))
		return NULL;
	if (!json_is_array(value) && !json_is_object(value))
		return wrong_type(type, value);
	if ((int64_t)count < l.min)
		return xasprintf("parameter value list length /%zu/ is less the min item count",
				 count);
	if ((int64_t)count > l.max)
		return xasprintf(
			"parameter value list length /%lld/ has exceeded the max item count",
			(long long)l.max);
	return NULL;
}

/* ---------------------------------------------------------- allowedValues */

static char *
check_allowed_text(void *arg, const char *text, size_t len)
{
	const json_t *allowed = arg;
	struct sbuf b = SBUF_INIT(FAILURE_MAX_BYTES);
	char *failure;

	for (size_t i = 0; i < json_array_size(allowed); i++) {
		const json_t *one = json_array_get(allowed, i);

		if (json_string_length(one) == len &&
		    memcmp(json_string_value(one), text, len) == 0)
			return NULL;
	}
	for (size_t i = 0; i < json_array_size(allowed); i++)
		(void)sbuf_addf(&b, "%s%s", i ? " " : "",
				json_string_value(json_array_get(allowed, i)));
	failure = xasprintf("parameter value /%s/ is not in the allowed list [%s]", text,
			    sbuf_str(&b));
	sbuf_done(&b);
	return failure;
}

/* As the reference: no other number or truth value than the default. Compared as numbers. */
static char *
check_default(const char *type, const json_t *value, const json_t *preset)
{
	bool is_integer = strcmp(type, "Integer") == 0;
	double number = json_number_value(value);
	char shown[SHOWN_BYTES], wanted[SHOWN_BYTES];

	if (is_integer ? !json_is_number(value) : !json_is_boolean(value))
		return wrong_type(type, value);
	if (is_integer &&
	    (number < INT32_MIN || number > INT32_MAX || number != (double)(int32_t)number))
		return wrong_type(type, value);
	if (!preset)
		return NULL;
	if (is_integer ? json_is_number(preset) && json_number_value(preset) == number
		       : json_equal(value, preset))
		return NULL;
	show_scalar(value, shown);
	show_scalar(preset, wanted);
	return xasprintf("parameter value /%s/ not equal to default /%s/ for %s", shown, wanted,
			 type);
}

static char *
check_allowed(const json_t *definition, const char *type, const json_t *value)
{
	static const char *const scalars[] = { "Integer", "Boolean", NULL };
	json_t *allowed = json_object_get(definition, "allowedValues");

	if (is_one_of(type, scalars))
		return check_default(type, value, json_object_get(definition, "default"));
	if (json_array_size(allowed) == 0 || json_is_object(value))
		return NULL;
	return check_each(type, value, check_allowed_text, allowed);
}

/* --------------------------------------------------------------- together */

/* Long values are cut: the reply has to reach the service. */
static void
add_failure(struct sbuf *b, const char *validator, const char *name, const char *text)
{
	size_t len = strlen(text);
	size_t shown =
		len > FAILURE_MAX_BYTES ? text_utf8_floor(text, len, FAILURE_MAX_BYTES) : len;

	sbuf_addf(b, "%serror thrown in '%s' while validating parameter /%.*s/: %.*s%s",
		  b->len ? "\n" : "", validator, NAME_SHOWN_BYTES, name, (int)shown, text,
		  shown < len ? " ..." : "");
}

static void
validate_one(const struct params_check *c, const char *name, const json_t *definition,
	     struct sbuf *failures)
{
	static const struct {
		const char *name;
		char *(*check)(const json_t *definition, const char *type, const json_t *value);
	} validators[] = {
		{ "AllowedRegexParamValidator", check_pattern },
		{ "MinMaxCharParamValidator", check_chars },
		{ "MinMaxItemParamValidator", check_items },
		{ "AllowedValueParamValidator", check_allowed },
	};
	bool all = c->unchecked && !store_is_in(json_object_get(c->supplied, name));

	for (size_t i = 0; i < (all ? sizeof(validators) / sizeof(validators[0]) : 1); i++) {
		autofree char *text =
			validators[i].check(definition, json_str(definition, "type", ""),
					    json_object_get(c->values, name));

		if (text)
			add_failure(failures, validators[i].name, name, text);
	}
}

char *
params_validate(const struct params_check *c)
{
	struct sbuf failures = SBUF_INIT(TRACE_MAX_BYTES);
	json_t *defs = (json_t *)(uintptr_t)c->definitions;
	char *trace = NULL;

	for (void *it = json_object_iter(defs); it; it = json_object_iter_next(defs, it))
		validate_one(c, json_object_iter_key(it), json_object_iter_value(it), &failures);
	if (failures.len > 0 || failures.err)
		trace = xasprintf("all errors during param validation errors: %s",
				  sbuf_str(&failures));
	sbuf_done(&failures);
	return trace;
}
