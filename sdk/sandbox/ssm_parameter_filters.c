/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of DescribeParameters and GetParametersByPath. */
#include <stddef.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/parameters.h"
#include "sdk/sandbox/ssm_parameters.h"
#include "sdk/sandbox/tags.h"

static bool
is_one_of(const char *s, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(*names, s) == 0)
			return true;
	return false;
}

static bool
known_key(const char *key, bool by_path)
{
	static const char *const of_path[] = { "Type", "KeyId", NULL };
	static const char *const all[] = {
		"Name", "Type", "KeyId", "Path", "Tier", "DataType", NULL
	};

	return is_one_of(key, by_path ? of_path : all) || (!by_path && text_starts(key, "tag:"));
}

static bool
known_option(const char *key, const char *option, bool by_path)
{
	if (strcmp(key, "Path") == 0)
		return strcmp(option, "Recursive") == 0 || strcmp(option, "OneLevel") == 0;
	if (strcmp(option, "Contains") == 0)
		return strcmp(key, "Name") == 0 && !by_path;
	return strcmp(option, "Equals") == 0 || strcmp(option, "BeginsWith") == 0;
}

/* What is meant where none is given. */
static const char *
option_of(const json_t *filter)
{
	bool path = strcmp(json_str(filter, "Key", ""), "Path") == 0;

	return json_str(filter, "Option", path ? "OneLevel" : "Equals");
}

static bool
check_filter(struct exchange *ex, const json_t *filter, bool by_path)
{
	const char *key = json_str(filter, "Key", ""), *option = option_of(filter);
	const json_t *values = json_object_get(filter, "Values");

	if (!known_key(key, by_path))
		exchange_refuse(ex, 400, "InvalidFilterKey",
				"The filter key %.132s is not known here.", key);
	else if (!known_option(key, option, by_path))
		exchange_refuse(ex, 400, "InvalidFilterOption",
				"The filter option %.10s is not for the key %.132s.", option, key);
	else if (!json_array_size(values) && !text_starts(key, "tag:"))
		exchange_refuse(ex, 400, "InvalidFilterValue",
				"The filter of the key %.132s has no values.", key);
	else
		return true;
	return false;
}

bool
parameter_filters_check(struct exchange *ex, bool by_path)
{
	const json_t *filters = json_object_get(ex->request, "ParameterFilters"), *filter;
	size_t i;

	if (json_array_size(filters) && json_array_size(json_object_get(ex->request, "Filters"))) {
		exchange_refuse(ex, 400, "ValidationException",
				"You can use either Filters or ParameterFilters in a single "
				"request.");
		return false;
	}
	json_array_foreach(filters, i, filter)
		if (!check_filter(ex, filter, by_path))
			return false;
	return true;
}

static bool
value_fits(const char *key, const char *option, const char *value, const char *wanted)
{
	if (strcmp(key, "Path") == 0)
		return parameters_below(value, wanted, strcmp(option, "Recursive") == 0);
	if (strcmp(option, "BeginsWith") == 0)
		return text_starts(value, wanted);
	if (strcmp(option, "Contains") == 0)
		return strstr(value, wanted) != NULL;
	return strcmp(value, wanted) == 0;
}

static bool
filter_fits(struct exchange *ex, const json_t *filter, const char *option, const json_t *version)
{
	const char *key = json_str(filter, "Key", ""), *name = json_str(version, "Name", "");
	const char *value = text_starts(key, "tag:")
		? tags_get(ex->sb->tags, "Parameter", name, key + strlen("tag:"))
		: json_str(version, strcmp(key, "Path") == 0 ? "Name" : key, NULL);
	const json_t *values = json_object_get(filter, "Values"), *wanted;
	size_t i;

	if (!value || !json_array_size(values))
		return value != NULL;
	json_array_foreach(values, i, wanted)
		if (value_fits(key, option, value, json_string_value(wanted)))
			return true;
	return false;
}

bool
parameter_filters_fit(struct exchange *ex, const json_t *version)
{
	const json_t *filter;
	size_t i;

	json_array_foreach(json_object_get(ex->request, "ParameterFilters"), i, filter)
		if (!filter_fits(ex, filter, option_of(filter), version))
			return false;
	/* The older list has no options; a name is met by its beginning. */
	json_array_foreach(json_object_get(ex->request, "Filters"), i, filter)
		if (!filter_fits(ex, filter, "BeginsWith", version))
			return false;
	return true;
}
