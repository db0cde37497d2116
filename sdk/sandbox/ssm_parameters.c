/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter store's operations. GetParameters is the node's, too. */
#include <stdlib.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/page.h"
#include "sdk/sandbox/parameters.h"
#include "sdk/sandbox/ssm_operator.h"
#include "sdk/sandbox/ssm_parameters.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/tags.h"

#define PATH_PAGE 10

/* ---- writing ---- */

static void
put_parameter(struct exchange *ex)
{
	const char *name = json_str(ex->request, "Name", "");
	bool had = parameters_versions(ex->sb->parameters, name) != NULL;
	const json_t *version;
	struct refusal why;

	if (json_object_get(ex->request, "Policies")) {
		exchange_refuse(ex, 400, "InvalidPolicyTypeException",
				"the sandbox knows no policies of parameters");
		return;
	}
	version = parameters_put(ex->sb->parameters, ex->request, sandbox_now_ms(ex->sb), &why);
	if (!version) {
		exchange_refuse_for(ex, &why);
		return;
	}
	if (!had && !ssm_tag(ex, "Parameter", name)) {
		parameters_delete(ex->sb->parameters, name);
		return;
	}
	state_touch(ex->sb);
	exchange_answer_json(ex,
			     json_pack("{s:O, s:O}", "Version", json_object_get(version, "Version"),
				       "Tier", json_object_get(version, "Tier")));
}

static bool
delete_one(struct exchange *ex, const char *name)
{
	tags_remove_all(ex->sb->tags, "Parameter", name);
	state_touch(ex->sb);
	return parameters_delete(ex->sb->parameters, name);
}

static void
delete_parameter(struct exchange *ex)
{
	const char *name = json_str(ex->request, "Name", "");

	if (delete_one(ex, name))
		exchange_answer_json(ex, json_object());
	else
		exchange_refuse(ex, 400, "ParameterNotFound", "Parameter %.200s not found.", name);
}

static void
delete_parameters(struct exchange *ex)
{
	json_t *deleted = json_array(), *invalid = json_array(), *name;
	size_t i;

	json_array_foreach(json_object_get(ex->request, "Names"), i, name)
		json_array_append(delete_one(ex, json_string_value(name)) ? deleted : invalid,
				  name);
	exchange_answer_json(ex,
			     json_pack("{s:o, s:o}", "DeletedParameters", deleted,
				       "InvalidParameters", invalid));
}

/* ---- reading ---- */

static void
set_value(struct exchange *ex, json_t *shown, const json_t *version)
{
	const char *value = json_str(version, "Value", "");
	unsigned char digest[DIGEST_SHA256_SIZE];
	autofree char *sealed = NULL;

	if (strcmp(json_str(version, "Type", ""), "SecureString") != 0 ||
	    json_bool(ex->request, "WithDecryption", false)) {
		json_object_set_new(shown, "Value", json_string(value));
		return;
	}
	/* What the key service would have made of it; another value looks otherwise. */
	digest_sha256(value, strlen(value), digest);
	sealed = text_base64(digest, sizeof(digest));
	json_object_set_new(shown, "Value", json_string(sealed));
}

static void
copy_members(json_t *to, const json_t *from, const char *const *keys)
{
	for (; *keys; keys++)
		if (json_object_get(from, *keys))
			json_object_set(to, *keys, json_object_get(from, *keys));
}

static json_t *
shown_parameter(struct exchange *ex, const json_t *version, const char *selector)
{
	static const char *const copied[] = { "Name",	  "Type", "Version", "LastModifiedDate",
					      "DataType", NULL };
	const char *name = json_str(version, "Name", "");
	const char *suffix = strchr(selector, ':');
	json_t *shown = json_object();
	autofree char *arn = xasprintf("arn:aws:ssm:%s:%s:parameter/%s", ex->sb->set.region,
				       ex->sb->set.account, *name == '/' ? name + 1 : name);

	copy_members(shown, version, copied);
	set_value(ex, shown, version);
	json_object_set_new(shown, "ARN", json_string(arn));
	if (suffix)
		json_object_set_new(shown, "Selector", json_string(suffix));
	return shown;
}

static void
get_parameter(struct exchange *ex)
{
	const char *selector = json_str(ex->request, "Name", "");
	struct refusal why;
	const json_t *version = parameters_find(ex->sb->parameters, selector, &why);

	if (version)
		exchange_answer_json(ex,
				     json_pack("{s:o}", "Parameter",
					       shown_parameter(ex, version, selector)));
	else
		exchange_refuse_for(ex, &why);
}

static void
get_parameters(struct exchange *ex)
{
	json_t *found = json_array(), *invalid = json_array(), *name;
	struct refusal why;
	size_t i;

	json_array_foreach(json_object_get(ex->request, "Names"), i, name) {
		const char *selector = json_string_value(name);
		const json_t *version = parameters_find(ex->sb->parameters, selector, &why);

		if (version)
			json_array_append_new(found, shown_parameter(ex, version, selector));
		else
			json_array_append(invalid, name);
	}
	exchange_answer_json(ex,
			     json_pack("{s:o, s:o}", "Parameters", found, "InvalidParameters",
				       invalid));
}

static const json_t *
last_version(struct exchange *ex, const char *name)
{
	const json_t *versions = parameters_versions(ex->sb->parameters, name);

	return json_array_get(versions, json_array_size(versions) - 1);
}

static void
get_by_path(struct exchange *ex)
{
	const char *path = json_str(ex->request, "Path", "");
	bool recursive = json_bool(ex->request, "Recursive", false);
	autostrv char **names = parameters_names(ex->sb->parameters);
	struct page page;

	if (*path != '/') {
		exchange_refuse(ex, 400, "ValidationException",
				"The parameter path %.200s does not begin with '/'.", path);
		return;
	}
	if (!parameter_filters_check(ex, true) || !page_begin(ex, &page, PATH_PAGE))
		return;
	for (size_t i = page.at; i < strv_len(names); i++) {
		const json_t *version = last_version(ex, names[i]);

		if (!parameters_below(names[i], path, recursive) ||
		    !parameter_filters_fit(ex, version))
			continue;
		if (!page_add(&page, i, shown_parameter(ex, version, "")))
			break;
	}
	page_answer(ex, &page, "Parameters");
}

static json_t *
described(struct exchange *ex, const json_t *version)
{
	static const char *const copied[] = {
		"Name",		  "Type",    "KeyId", "LastModifiedDate", "Description",
		"AllowedPattern", "Version", "Tier",  "DataType",	  NULL
	};
	json_t *shown = json_object();
	autofree char *user = xasprintf("arn:aws:iam::%s:user/%s", ex->sb->set.account, "operator");

	copy_members(shown, version, copied);
	json_object_set_new(shown, "LastModifiedUser", json_string(user));
	json_object_set_new(shown, "Policies", json_array());
	return shown;
}

static void
describe_parameters(struct exchange *ex)
{
	autostrv char **names = parameters_names(ex->sb->parameters);
	struct page page;

	if (!parameter_filters_check(ex, false) || !page_begin(ex, &page, PAGE_MAX))
		return;
	for (size_t i = page.at; i < strv_len(names); i++) {
		const json_t *version = last_version(ex, names[i]);

		if (parameter_filters_fit(ex, version) &&
		    !page_add(&page, i, described(ex, version)))
			break;
	}
	page_answer(ex, &page, "Parameters");
}

static void
get_history(struct exchange *ex)
{
	const char *name = json_str(ex->request, "Name", "");
	const json_t *versions = parameters_versions(ex->sb->parameters, name);
	struct page page;

	if (!versions) {
		exchange_refuse(ex, 400, "ParameterNotFound", "Parameter %.200s not found.", name);
		return;
	}
	if (!page_begin(ex, &page, PAGE_MAX))
		return;
	for (size_t i = page.at; i < json_array_size(versions); i++) {
		const json_t *version = json_array_get(versions, i);
		json_t *shown = described(ex, version);

		set_value(ex, shown, version);
		if (!page_add(&page, i, shown))
			break;
	}
	page_answer(ex, &page, "Parameters");
}

/* ---- shapes ---- */

static const char *const types[] = { "String", "StringList", "SecureString", NULL };
static const char *const tiers[] = { "Standard", "Advanced", "Intelligent-Tiering", NULL };
static const char *const old_filters[] = { "Name", "Type", "KeyId", NULL };

static const struct shape put_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 1, .max = 2048 },
	{ .name = "Description", .type = SHAPE_STRING, .max = 1024 },
	{ .name = "Value", .type = SHAPE_STRING, .required = true, .min = 1 },
	{ .name = "Type", .type = SHAPE_STRING, .allowed = types },
	{ .name = "KeyId", .type = SHAPE_STRING, .min = 1, .max = 256 },
	{ .name = "Overwrite", .type = SHAPE_BOOLEAN },
	{ .name = "AllowedPattern", .type = SHAPE_STRING, .max = 1024 },
	{ .name = "Tags", .type = SHAPE_LIST, .max = 1000, .inner = &ssm_tag_shape },
	{ .name = "Tier", .type = SHAPE_STRING, .allowed = tiers },
	{ .name = "Policies", .type = SHAPE_STRING, .min = 1, .max = 4096 },
	{ .name = "DataType", .type = SHAPE_STRING, .max = 128 },
	{ .name = NULL },
};
static const struct shape name_shape = {
	.name = "name", .type = SHAPE_STRING, .min = 1, .max = 2048
};
static const struct shape value_shape = {
	.name = "value", .type = SHAPE_STRING, .min = 1, .max = 1024
};
static const struct shape name_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 1, .max = 2048 },
	{ .name = NULL },
};
static const struct shape get_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 1, .max = 2048 },
	{ .name = "WithDecryption", .type = SHAPE_BOOLEAN },
	{ .name = NULL },
};
static const struct shape names_members[] = {
	{ .name = "Names",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = 1,
	  .max = 10,
	  .inner = &name_shape },
	{ .name = NULL },
};
static const struct shape get_all_members[] = {
	{ .name = "Names",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = 1,
	  .max = 10,
	  .inner = &name_shape },
	{ .name = "WithDecryption", .type = SHAPE_BOOLEAN },
	{ .name = NULL },
};
static const struct shape filter_members[] = {
	{ .name = "Key", .type = SHAPE_STRING, .required = true, .min = 1, .max = 132 },
	{ .name = "Option", .type = SHAPE_STRING, .min = 1, .max = 10 },
	{ .name = "Values", .type = SHAPE_LIST, .min = 1, .max = 50, .inner = &value_shape },
	{ .name = NULL },
};
static const struct shape filter = { .name = "f", .type = SHAPE_STRUCT, .inner = filter_members };
static const struct shape old_filter_members[] = {
	{ .name = "Key", .type = SHAPE_STRING, .required = true, .allowed = old_filters },
	{ .name = "Values",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = 1,
	  .max = 50,
	  .inner = &value_shape },
	{ .name = NULL },
};
static const struct shape old_filter = { .name = "f",
					 .type = SHAPE_STRUCT,
					 .inner = old_filter_members };
static const struct shape path_members[] = {
	{ .name = "Path", .type = SHAPE_STRING, .required = true, .min = 1, .max = 2048 },
	{ .name = "Recursive", .type = SHAPE_BOOLEAN },
	{ .name = "ParameterFilters", .type = SHAPE_LIST, .inner = &filter },
	{ .name = "WithDecryption", .type = SHAPE_BOOLEAN },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 1, .max = PATH_PAGE },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = NULL },
};
static const struct shape describe_members[] = {
	{ .name = "Filters", .type = SHAPE_LIST, .inner = &old_filter },
	{ .name = "ParameterFilters", .type = SHAPE_LIST, .inner = &filter },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 1, .max = PAGE_MAX },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = NULL },
};
static const struct shape history_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 1, .max = 2048 },
	{ .name = "WithDecryption", .type = SHAPE_BOOLEAN },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 1, .max = PAGE_MAX },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = NULL },
};

const struct operation ssm_parameter_operations[] = {
	{ "PutParameter", false, true, put_members, put_parameter },
	{ "GetParameter", true, true, get_members, get_parameter },
	{ "GetParameters", true, true, get_all_members, get_parameters },
	{ "GetParametersByPath", false, true, path_members, get_by_path },
	{ "GetParameterHistory", false, true, history_members, get_history },
	{ "DescribeParameters", false, true, describe_members, describe_parameters },
	{ "DeleteParameter", false, true, name_members, delete_parameter },
	{ "DeleteParameters", false, true, names_members, delete_parameters },
	{ NULL, false, false, NULL, NULL },
};
