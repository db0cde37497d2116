/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of ListDocuments, and what they look at. */
#include "sdk/sandbox/ssm_documents.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/tags.h"

const char *
document_owner(const struct exchange *ex, const struct document *doc)
{
	return doc->builtin ? "Amazon" : ex->sb->set.account;
}

static bool
mentions(const json_t *content, const char *action)
{
	const json_t *step;
	size_t i;

	if (json_object_get(json_object_get(content, "runtimeConfig"), action))
		return true;
	json_array_foreach(json_object_get(content, "mainSteps"), i, step)
		if (strcmp(json_str(step, "action", ""), action) == 0)
			return true;
	return false;
}

json_t *
document_platforms(const json_t *content)
{
	bool shell = mentions(content, "aws:runShellScript");
	bool powershell = mentions(content, "aws:runPowerShellScript");

	if (powershell && !shell)
		return json_pack("[s]", "Windows");
	if (shell && !powershell)
		return json_pack("[s, s]", "Linux", "MacOS");
	return json_pack("[s, s, s]", "Windows", "Linux", "MacOS");
}

/* Both lists of filters as (key, list of values). */
struct filter {
	const char *key;
	const json_t *value; /* a string, or a list of strings */
};

static bool
next_filter(struct exchange *ex, size_t *at, struct filter *ret)
{
	const json_t *old = json_object_get(ex->request, "DocumentFilterList");
	const json_t *new = json_object_get(ex->request, "Filters");
	size_t place = (*at)++;
	const json_t *item;

	if (place < json_array_size(old)) {
		item = json_array_get(old, place);
		*ret = (struct filter){ json_str(item, "key", ""), json_object_get(item, "value") };
		return true;
	}
	item = json_array_get(new, place - json_array_size(old));
	*ret = (struct filter){ json_str(item, "Key", ""), json_object_get(item, "Values") };
	return item != NULL;
}

bool
document_filters_check(struct exchange *ex)
{
	static const char *const keys[] = { "Name",	    "Owner",	  "PlatformTypes",
					    "DocumentType", "TargetType", "SearchKeyword" };
	struct filter f;
	size_t at = 0;

	while (next_filter(ex, &at, &f)) {
		bool known = text_starts(f.key, "tag:");

		for (size_t i = 0; !known && i < NELEMS(keys); i++)
			known = strcmp(keys[i], f.key) == 0;
		if (known)
			continue;
		exchange_refuse(ex, 400, "InvalidFilterKey", "There is no filter %.128s.", f.key);
		return false;
	}
	return true;
}

static bool
owner_fits(const struct document *doc, const char *owner, const char *wanted)
{
	if (strcmp(wanted, "All") == 0 || strcmp(wanted, owner) == 0)
		return true;
	if (strcmp(wanted, "Public") == 0)
		return doc->builtin;
	return !doc->builtin && (strcmp(wanted, "Self") == 0 || strcmp(wanted, "Private") == 0);
}

static bool
platform_fits(const struct document *doc, const char *wanted)
{
	const struct document_version *v = document_version(doc, "$DEFAULT");
	autojson json_t *platforms = document_platforms(v->content);
	const json_t *platform;
	size_t i;

	json_array_foreach(platforms, i, platform)
		if (strcmp(json_string_value(platform), wanted) == 0)
			return true;
	return false;
}

static bool
tag_fits(struct exchange *ex, const struct document *doc, const char *key, const char *wanted)
{
	const char *value = tags_get(ex->sb->tags, "Document", doc->name, key);

	return value && strcmp(value, wanted) == 0;
}

static bool
value_fits(struct exchange *ex, const struct document *doc, const char *key, const char *wanted)
{
	if (text_starts(key, "tag:"))
		return tag_fits(ex, doc, key + strlen("tag:"), wanted);
	if (strcmp(key, "Name") == 0)
		return text_starts(doc->name, wanted);
	if (strcmp(key, "SearchKeyword") == 0)
		return strstr(doc->name, wanted) != NULL;
	if (strcmp(key, "Owner") == 0)
		return owner_fits(doc, document_owner(ex, doc), wanted);
	if (strcmp(key, "DocumentType") == 0)
		return strcmp(doc->type, wanted) == 0;
	if (strcmp(key, "TargetType") == 0)
		return doc->target_type && strcmp(doc->target_type, wanted) == 0;
	return platform_fits(doc, wanted);
}

static bool
filter_fits(struct exchange *ex, const struct document *doc, const struct filter *f)
{
	const json_t *wanted;
	size_t i;

	if (json_is_string(f->value))
		return value_fits(ex, doc, f->key, json_string_value(f->value));
	json_array_foreach(f->value, i, wanted)
		if (value_fits(ex, doc, f->key, json_string_value(wanted)))
			return true;
	return false;
}

bool
document_filters_fit(struct exchange *ex, const struct document *doc)
{
	struct filter f;
	size_t at = 0;

	while (next_filter(ex, &at, &f))
		if (!filter_fits(ex, doc, &f))
			return false;
	return true;
}
