/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter store: what PutParameter accepts, and which version a selector means. */
#include "sdk/sandbox/parameters.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "sdk/sandbox/pattern.h"

#define NAME_MAX_CHARS 1011
#define LEVELS_MAX 15
#define STANDARD_MAX 4096
#define ADVANCED_MAX 8192
#define DEFAULT_KEY "alias/aws/ssm"

struct parameters {
	struct map *all; /* name -> array of versions, oldest first */
};

static void
free_json(void *v)
{
	json_decref(v);
}

struct parameters *
parameters_new(void)
{
	struct parameters *p = xcalloc(1, sizeof(*p));

	p->all = map_new(free_json);
	return p;
}

struct parameters *
parameters_free(struct parameters *p)
{
	if (!p)
		return NULL;
	map_free(p->all);
	free(p);
	return NULL;
}

/* ---- names ---- */

static bool
is_reserved(const char *name, const char *prefix)
{
	return strncasecmp(name + (*name == '/'), prefix, strlen(prefix)) == 0;
}

static size_t
levels(const char *name)
{
	size_t n = 0;

	for (; *name; name++)
		n += *name == '/';
	return n;
}

static bool
check_name(const char *name, struct refusal *ret)
{
	size_t len = strlen(name);

	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/") !=
	    len)
		return refusal_set(ret, "ValidationException",
				   "Parameter name: only a mix of letters, numbers and the symbols "
				   "'.', '-', '_', with '/' between levels, is allowed.");
	if (len > NAME_MAX_CHARS)
		return refusal_set(ret, "ValidationException",
				   "Parameter name: has more than %d characters.", NAME_MAX_CHARS);
	if (is_reserved(name, "aws"))
		return refusal_set(ret, "AccessDeniedException",
				   "No access to reserved parameter name: %.100s.", name);
	if (is_reserved(name, "ssm"))
		return refusal_set(
			ret, "ValidationException",
			"Parameter name: can't be prefixed with \"ssm\" (case-insensitive).");
	if (strchr(name, '/') && *name != '/')
		return refusal_set(ret, "ValidationException",
				   "Parameter name must be a fully qualified name: one with levels "
				   "begins with '/'.");
	if (strstr(name, "//") || name[len - 1] == '/')
		return refusal_set(ret, "ValidationException",
				   "Parameter name has an empty level.");
	if (levels(name) > LEVELS_MAX)
		return refusal_set(ret, "HierarchyLevelLimitExceededException",
				   "Parameter name has more than %d levels.", LEVELS_MAX);
	return true;
}

bool
parameters_below(const char *name, const char *path, bool recursive)
{
	size_t len = strlen(path);

	while (len && path[len - 1] == '/')
		len--;
	if (*name != '/')
		return len == 0;
	if (strncmp(name, path, len) != 0 || name[len] != '/')
		return false;
	return recursive || !strchr(name + len + 1, '/');
}

/* ---- one new version ---- */

/* As requested, else as in the version before, else PRESET. */
static const char *
kept(const json_t *request, const json_t *old, const char *key, const char *preset)
{
	return json_str(request, key, json_str(old, key, preset));
}

static bool
check_type(const json_t *request, const json_t *old, struct refusal *ret)
{
	const char *type = json_str(request, "Type", NULL);

	if (!old && !type)
		return refusal_set(ret, "ValidationException",
				   "A parameter type is required when you create a parameter.");
	if (old && !json_bool(request, "Overwrite", false))
		return refusal_set(ret, "ParameterAlreadyExists",
				   "The parameter already exists. To overwrite this value, set the "
				   "overwrite option in the request to true.");
	if (old && json_array_size(json_object_get(request, "Tags")))
		return refusal_set(ret, "ValidationException",
				   "Invalid request: tags and overwrite can't be used together; "
				   "AddTagsToResource tags a parameter that exists.");
	if (old && type && strcmp(type, json_str(old, "Type", "")) != 0)
		return refusal_set(
			ret, "HierarchyTypeMismatchException",
			"The parameter %.200s is of type %s, which cannot be changed to %s.",
			json_str(request, "Name", ""), json_str(old, "Type", ""), type);
	return true;
}

static bool
check_key(const json_t *request, const char *type, struct refusal *ret)
{
	const char *key = json_str(request, "KeyId", NULL);
	bool secure = strcmp(type, "SecureString") == 0;

	if (!key)
		return true;
	if (!secure)
		return refusal_set(ret, "ValidationException",
				   "KeyId is for parameters of type SecureString, this one is of "
				   "type %s.",
				   type);
	if (text_starts(key, "alias/aws/") ? strcmp(key, DEFAULT_KEY) != 0
					   : !text_starts(key, "alias/") &&
			    !text_starts(key, "arn:aws:kms:") && strlen(key) != 36)
		return refusal_set(ret, "InvalidKeyId", "Invalid keyId %.100s", key);
	return true;
}

static bool
check_pattern(const char *pattern, const char *value, struct refusal *ret)
{
	if (!*pattern)
		return true;
	if (!pattern_is_known(pattern))
		return refusal_set(ret, "InvalidAllowedPatternException",
				   "The allowed pattern %.200s is not a regular expression.",
				   pattern);
	if (!pattern_matches(pattern, value, false))
		return refusal_set(
			ret, "ParameterPatternMismatchException",
			"Parameter value, cannot be validated against allowedPattern: %.200s",
			pattern);
	return true;
}

static bool
check_data_type(const char *data_type, const char *type, const char *value, struct refusal *ret)
{
	if (strcmp(data_type, "text") == 0)
		return true;
	if (strcmp(data_type, "aws:ec2:image") != 0)
		return refusal_set(ret, "ValidationException",
				   "The data type %.100s is none of text, aws:ec2:image.",
				   data_type);
	if (strcmp(type, "String") != 0 || !pattern_matches("ami-[0-9a-f]{8,17}", value, true))
		return refusal_set(ret, "ValidationException",
				   "A parameter of data type aws:ec2:image is a String such as "
				   "ami-12345678.");
	return true;
}

/* The tier that the parameter ends up in; NULL with a refusal. */
static const char *
choose_tier(const json_t *request, const json_t *old, size_t len, struct refusal *ret)
{
	const char *had = json_str(old, "Tier", "Standard");
	const char *tier = json_str(request, "Tier", had);

	if (strcmp(tier, "Intelligent-Tiering") == 0)
		tier = len > STANDARD_MAX ? "Advanced" : had;
	if (strcmp(had, "Advanced") == 0 && strcmp(tier, "Advanced") != 0)
		refusal_set(ret, "ValidationException",
			    "This parameter uses the advanced-parameter tier. You can't downgrade "
			    "it to "
			    "the standard-parameter tier.");
	else if (strcmp(tier, "Standard") == 0 && len > STANDARD_MAX)
		refusal_set(ret, "ValidationException",
			    "Standard tier parameters support a maximum parameter value of %d "
			    "characters.",
			    STANDARD_MAX);
	else if (len > ADVANCED_MAX)
		refusal_set(ret, "ValidationException",
			    "Advanced tier parameters support a maximum parameter value of %d "
			    "characters.",
			    ADVANCED_MAX);
	else
		return tier;
	return NULL;
}

static json_t *
new_version(const json_t *request, const json_t *old, const char *tier, int64_t now_ms)
{
	static const char *const optional[] = { "Description", "AllowedPattern" };
	const char *type = kept(request, old, "Type", "");
	json_t *version = json_pack("{s:s, s:s, s:s, s:I, s:f, s:s, s:s}", "Name",
				    json_str(request, "Name", ""), "Type", type, "Value",
				    json_str(request, "Value", ""), "Version",
				    (json_int_t)(json_int(old, "Version", 0) + 1),
				    "LastModifiedDate", (double)now_ms / 1000.0, "DataType",
				    kept(request, old, "DataType", "text"), "Tier", tier);

	for (size_t i = 0; i < NELEMS(optional); i++) {
		const char *text = kept(request, old, optional[i], NULL);

		if (text)
			json_object_set_new(version, optional[i], json_string(text));
	}
	if (strcmp(type, "SecureString") == 0)
		json_object_set_new(version, "KeyId",
				    json_string(kept(request, old, "KeyId", DEFAULT_KEY)));
	return version;
}

static json_t *
last(const json_t *versions)
{
	return json_array_get(versions, json_array_size(versions) - 1);
}

const json_t *
parameters_put(struct parameters *p, const json_t *request, int64_t now_ms, struct refusal *ret)
{
	const char *name = json_str(request, "Name", ""), *value = json_str(request, "Value", "");
	json_t *versions = map_get(p->all, name), *old = last(versions);
	const char *type = kept(request, old, "Type", ""), *tier;

	if (strlen(value) != json_string_length(json_object_get(request, "Value")) ||
	    strlen(name) != json_string_length(json_object_get(request, "Name"))) {
		refusal_set(ret, "ValidationException", "Name and Value hold no NUL character.");
		return NULL;
	}
	if (!check_name(name, ret) || !check_type(request, old, ret) ||
	    !check_key(request, type, ret) ||
	    !check_pattern(kept(request, old, "AllowedPattern", ""), value, ret) ||
	    !check_data_type(kept(request, old, "DataType", "text"), type, value, ret))
		return NULL;
	tier = choose_tier(request, old, strlen(value), ret);
	if (!tier)
		return NULL;
	if (!versions && map_len(p->all) >= PARAMETERS_MAX) {
		refusal_set(ret, "ParameterLimitExceeded", "There are %d parameters already.",
			    PARAMETERS_MAX);
		return NULL;
	}
	if (!versions) {
		versions = json_array();
		map_set(p->all, name, versions);
	}
	json_array_append_new(versions, new_version(request, old, tier, now_ms));
	if (json_array_size(versions) > PARAMETER_VERSIONS_MAX)
		json_array_remove(versions, 0);
	return last(versions);
}

/* ---- looking ---- */

const json_t *
parameters_versions(const struct parameters *p, const char *name)
{
	return map_get(p->all, name);
}

const json_t *
parameters_find(const struct parameters *p, const char *selector, struct refusal *ret)
{
	autofree char *name = xstrndup(selector, strcspn(selector, ":"));
	const char *wanted = strchr(selector, ':');
	const json_t *versions = map_get(p->all, name), *version;
	int64_t n;
	size_t i;

	if (!versions) {
		refusal_set(ret, "ParameterNotFound", "Parameter %.200s not found.", name);
		return NULL;
	}
	if (!wanted)
		return last(versions);
	if (text_to_i64(wanted + 1, 1, INT64_MAX, &n) == 0)
		json_array_foreach(versions, i, version)
			if (json_int(version, "Version", 0) == n)
				return version;
	refusal_set(ret, "ParameterVersionNotFound",
		    "Systems Manager could not find version %.100s of %.200s.", wanted + 1, name);
	return NULL;
}

bool
parameters_delete(struct parameters *p, const char *name)
{
	json_t *versions = map_take(p->all, name);

	json_decref(versions);
	return versions != NULL;
}

char *
parameters_secure_reference(const struct parameters *p, const char *text)
{
	struct refusal ignored;

	while ((text = strstr(text, "{{"))) {
		size_t len;

		text += strspn(text + 2, " \t") + 2;
		if (!text_starts(text, "ssm:"))
			continue;
		text += strlen("ssm:");
		len = strcspn(text, " \t{}");
		if (text_starts(text + len + strspn(text + len, " \t"), "}}")) {
			autofree char *selector = xstrndup(text, len);
			const json_t *version = parameters_find(p, selector, &ignored);

			if (strcmp(json_str(version, "Type", ""), "SecureString") == 0)
				return xstrdup(json_str(version, "Name", ""));
		}
	}
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
parameters_names(const struct parameters *p)
{
	char **names = NULL;
	const char *name;
	size_t iter = 0;
	void *value;

	while (map_next(p->all, &iter, &name, &value))
		strv_add(&names, name);
	if (names)
		qsort(names, strv_len(names), sizeof(char *), compare);
	return names;
}

json_t *
parameters_save(const struct parameters *p)
{
	json_t *all = json_object();
	const char *name;
	size_t iter = 0;
	void *versions;

	while (map_next(p->all, &iter, &name, &versions))
		json_object_set(all, name, versions);
	return all;
}

void
parameters_load(struct parameters *p, const json_t *all)
{
	const char *name;
	json_t *versions;

	json_object_foreach((json_t *)(uintptr_t)all, name, versions)
		map_set(p->all, name, json_deep_copy(versions));
}
