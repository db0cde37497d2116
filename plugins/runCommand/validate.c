/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of parameters that run for every document: allowedPattern (spec/03 2.8). */
#include "plugins/runCommand/params.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/runCommand/pattern.h"

/* All failures are told at once, but a list of a million wrong elements fills no reply. */
#define TRACE_MAX_BYTES (64u << 10)
#define FAILURE_MAX_BYTES (8u << 10)
#define NAME_SHOWN_BYTES 256

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

/* Values no pattern can apply to: number, truth value, null. */
static char *
wrong_type(const char *type, const json_t *v)
{
	char number[64];
	const char *shown = number;

	if (json_is_null(v))
		shown = "<nil>";
	else if (json_is_boolean(v))
		shown = json_is_true(v) ? "true" : "false";
	else
		format_number(json_number_value(v), number, sizeof(number));
	return xasprintf("invalid parameter type %s with parameter value %s", type, shown);
}

/* NULL when TEXT matches. */
static char *
check_text(const struct pattern *p, const char *source, const char *text, size_t len)
{
	int matched = pattern_match(p, text, len);

	if (matched > 0)
		return NULL;
	if (matched < 0)
		return xasprintf("parameter value is too long for the allowed pattern /%s/",
				 source);
	return xasprintf("parameter value /%s/ does not match the allowed pattern /%s/", text,
			 source);
}

/* Strings by their text, all else by its JSON. */
static char *
check_value(const struct pattern *p, const char *source, const json_t *v)
{
	autofree char *text = NULL;

	if (json_is_string(v))
		return check_text(p, source, json_string_value(v), json_string_length(v));
	text = json_text_go(v, true);
	return check_text(p, source, text, strlen(text));
}

static char *
check_all(const struct pattern *p, const char *source, const char *type, const json_t *v)
{
	if (json_is_string(v) || json_is_object(v))
		return check_value(p, source, v);
	if (!json_is_array(v))
		return wrong_type(type, v);
	for (size_t i = 0; i < json_array_size(v); i++) {
		char *text = check_value(p, source, json_array_get(v, i));

		if (text)
			return text;
	}
	return NULL;
}

/* AllowedRegexParamValidator. NULL when all is well. */
static char *
check_pattern(const json_t *definition, const json_t *value)
{
	const json_t *source = json_object_get(definition, "allowedPattern");
	autofree char *reason = NULL;
	struct pattern *p;
	char *text;

	if (json_string_length(source) == 0)
		return NULL;
	p = pattern_new(json_string_value(source), json_string_length(source), &reason);
	if (!p)
		return xasprintf(
			"encountered error while compiling allowed pattern - internal error: "
			"error parsing regexp: %s",
			reason);
	text = check_all(p, json_string_value(source), json_str(definition, "type", ""), value);
	(void)pattern_free(p);
	return text;
}

/* Long values are cut: the reply has to reach the service. */
static void
add_failure(struct sbuf *b, const char *name, const char *text)
{
	size_t len = strlen(text);
	size_t shown =
		len > FAILURE_MAX_BYTES ? text_utf8_floor(text, len, FAILURE_MAX_BYTES) : len;

	sbuf_addf(b,
		  "%serror thrown in 'AllowedRegexParamValidator' while validating parameter "
		  "/%.*s/: %.*s%s",
		  b->len ? "\n" : "", NAME_SHOWN_BYTES, name, (int)shown, text,
		  shown < len ? " ..." : "");
}

char *
params_validate(const json_t *definitions, const json_t *values)
{
	struct sbuf failures = SBUF_INIT(TRACE_MAX_BYTES);
	json_t *defs = (json_t *)(uintptr_t)definitions;
	char *trace = NULL;

	for (void *it = json_object_iter(defs); it; it = json_object_iter_next(defs, it)) {
		const char *name = json_object_iter_key(it);
		autofree char *text =
			check_pattern(json_object_iter_value(it), json_object_get(values, name));

		if (text)
			add_failure(&failures, name, text);
	}
	if (failures.len > 0 || failures.err)
		trace = xasprintf("all errors during param validation errors: %s",
				  sbuf_str(&failures));
	sbuf_done(&failures);
	return trace;
}
