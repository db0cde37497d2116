/* SPDX-License-Identifier: Apache-2.0 */
/* Preconditions: the tests in the reference's order, one entry at most per operator. */
#include "plugins/runCommand/precond.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "plugins/runCommand/params.h"

struct argument {
	const char *initial;
	json_t *resolved; /* what the parameters make of it */
	bool changed;
};

static bool
is_platform(const struct argument *a)
{
	return strcmp(a->initial, "platformType") == 0;
}

/* "{{", blanks, PREFIX, then letters, digits, '_', '-' or '/', blanks, "}}". */
static bool
has_store_token(const char *s, const char *prefix)
{
	static const char blanks[] = "\t\n\f\r ";
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/";

	for (s = strstr(s, "{{"); s; s = strstr(s + 1, "{{")) {
		const char *at = s + 2;
		size_t len;

		at += strspn(at, blanks);
		if (strncmp(at, prefix, strlen(prefix)) != 0)
			continue;
		at += strlen(prefix);
		len = strspn(at, name);
		at += len;
		at += strspn(at, blanks);
		if (len > 0 && strncmp(at, "}}", 2) == 0)
			return true;
	}
	return false;
}

static bool
either_has(const struct argument *a, const struct argument *b, const char *prefix)
{
	return has_store_token(a->initial, prefix) || has_store_token(b->initial, prefix);
}

static enum precond
invalid(char ***list, const char *text)
{
	strv_addf(list, "\"StringEquals\": %s", text);
	return PRECOND_INVALID;
}

static enum precond
not_met(char ***list, const struct argument *a, const struct argument *b)
{
	strv_addf(list, "\"StringEquals\": [%s, %s]", a->initial, b->initial);
	return PRECOND_NOT_MET;
}

static enum precond
check_platform(const struct argument *a, const struct argument *b, char ***list)
{
	const struct argument *other = is_platform(a) ? b : a;

	if (other->changed)
		return invalid(list,
			       "the second argument for the platformType variable can't contain "
			       "document parameters");
	return strcasecmp(other->initial, "linux") == 0 ? PRECOND_MET : not_met(list, a, b);
}

/* A parameter that is no string, alone in an argument, ends the reference's message loop. */
static enum precond
check_parameters(const struct argument *a, const struct argument *b, char ***list)
{
	if (!a->changed && !b->changed)
		return invalid(list,
			       "at least one of operator's arguments must contain a valid "
			       "document parameter");
	if (!json_is_string(a->resolved) || !json_is_string(b->resolved))
		return invalid(list, "operator's arguments can only be parameters of type String");
	return json_equal(a->resolved, b->resolved) ? PRECOND_MET : not_met(list, a, b);
}

static enum precond
check_equals(const struct argument *a, const struct argument *b, char ***list)
{
	if (strcmp(a->initial, b->initial) == 0)
		return invalid(list,
			       is_platform(a) ? "[platformType platformType]"
					      : "operator's arguments can't be identical");
	if (either_has(a, b, "ssm:"))
		return invalid(list, "operator's arguments can't contain SSM parameters");
	if (either_has(a, b, "ssm-secure:"))
		return invalid(list, "operator's arguments can't contain secure SSM parameters");
	if (is_platform(a) || is_platform(b))
		return check_platform(a, b, list);
	return check_parameters(a, b, list);
}

static struct argument
resolve(struct params *p, const json_t *initial)
{
	autofree char *reason = NULL;
	json_t *resolved = params_fill(p, initial, &reason);

	if (!resolved)
		resolved = json_null();
	return (struct argument){ json_string_value(initial), resolved,
				  !json_equal(resolved, initial) };
}

static enum precond
check_operator(const char *name, const json_t *arguments, const json_t *values, char ***list)
{
	struct argument a, b;
	struct params p;
	enum precond result;

	if (strcmp(name, "StringEquals") != 0) {
		strv_addf(list, "unrecognized operator: \"%s\"", name);
		return PRECOND_INVALID;
	}
	if (json_array_size(arguments) != 2)
		return invalid(list, "operator accepts exactly 2 arguments");
	params_init(&p, values);
	a = resolve(&p, json_array_get(arguments, 0));
	b = resolve(&p, json_array_get(arguments, 1));
	result = check_equals(&a, &b, list);
	json_decref(a.resolved);
	json_decref(b.resolved);
	return result;
}

/* One that is not met makes the step skipped, whatever is wrong with others. */
enum precond
precond_check(const json_t *precondition, const json_t *values, char ***ret_list)
{
	json_t *obj = (json_t *)(uintptr_t)precondition;
	enum precond all = PRECOND_MET;

	*ret_list = NULL;
	for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
		enum precond one = check_operator(json_object_iter_key(it),
						  json_object_iter_value(it), values, ret_list);

		if (one == PRECOND_NOT_MET || (one == PRECOND_INVALID && all == PRECOND_MET))
			all = one;
	}
	return all;
}
