/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a command is for, and how many of them at once. */
#include "sdk/sandbox/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/tags.h"

/* ---- numbers and percents ---- */

/* The number, and whether it is a percent; -EINVAL. */
static int
read_share(const char *text, int64_t *ret, bool *ret_percent)
{
	size_t len = strlen(text);
	autofree char *number = xstrdup(text);

	*ret_percent = len && text[len - 1] == '%';
	if (*ret_percent)
		number[len - 1] = '\0';
	/* The service's pattern has neither signs nor leading zeros. */
	if (number[0] == '+' || number[0] == '-' || (number[0] == '0' && number[1]))
		return -EINVAL;
	return text_to_i64(number, 0, *ret_percent ? 100 : 9999999, ret);
}

int64_t
targets_share(const char *text, size_t count)
{
	bool percent;
	int64_t n;

	if (read_share(text, &n, &percent) < 0)
		return 0;
	return percent ? n * (int64_t)count / 100 : n;
}

bool
targets_is_concurrency(const char *text)
{
	bool percent;
	int64_t n;

	return read_share(text, &n, &percent) == 0 && n >= 1;
}

bool
targets_is_errors(const char *text)
{
	bool percent;
	int64_t n;

	return read_share(text, &n, &percent) == 0;
}

/* ---- nodes ---- */

static bool
may_run(const struct sandbox *sb, const struct node *node)
{
	return node && (node->info || sb->set.unregistered);
}

static void
add_node(struct node_list *list, struct node *node)
{
	list->nodes = xrealloc(list->nodes, list->count + 1, sizeof(*list->nodes));
	list->nodes[list->count++] = node;
}

static bool
has_node(const struct node_list *list, const struct node *node)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->nodes[i] == node)
			return true;
	return false;
}

static bool
find_ids(struct sandbox *sb, const json_t *ids, struct node_list *ret, struct refusal *why)
{
	const json_t *id;
	size_t i;

	json_array_foreach(ids, i, id) {
		struct node *node = store_node(sb, json_string_value(id), false);

		if (!may_run(sb, node))
			return refusal_set(
				why, "InvalidInstanceId",
				"Instances [[%.40s]] not in a valid state for account %s",
				json_string_value(id), sb->set.account);
		if (has_node(ret, node))
			return refusal_set(why, "DuplicateInstanceId", "%s", node->id);
		add_node(ret, node);
	}
	return true;
}

static const char *
tag_of(const struct sandbox *sb, const struct node *node, const char *key)
{
	return tags_get(sb->tags, "ManagedInstance", node->id, key);
}

/* tag:KEY wants one of the values, tag-key one of the keys. */
static bool
target_fits(const struct sandbox *sb, const struct node *node, const json_t *target)
{
	const char *key = json_str(target, "Key", "");
	bool by_value = text_starts(key, "tag:");
	const char *tag = by_value ? tag_of(sb, node, key + strlen("tag:")) : NULL;
	const json_t *value;
	size_t i;

	json_array_foreach(json_object_get(target, "Values"), i, value) {
		const char *wanted = json_string_value(value);

		if (by_value ? tag && strcmp(tag, wanted) == 0 : tag_of(sb, node, wanted) != NULL)
			return true;
	}
	return false;
}

static bool
check_target(const json_t *target, struct refusal *why)
{
	const char *key = json_str(target, "Key", "");

	if (text_starts(key, "resource-groups:"))
		return refusal_set(why, "ValidationException",
				   "the sandbox knows no resource groups, as in the target %.60s",
				   key);
	if (strcmp(key, "InstanceIds") == 0)
		return refusal_set(why, "ValidationException",
				   "InstanceIds is the only target where it is one");
	if (strcmp(key, "tag-key") != 0 && (!text_starts(key, "tag:") || !key[strlen("tag:")]))
		return refusal_set(why, "ValidationException",
				   "the target %.60s is none of InstanceIds, tag:KEY, tag-key",
				   key);
	if (!json_array_size(json_object_get(target, "Values")))
		return refusal_set(why, "ValidationException", "the target %.60s has no values",
				   key);
	return true;
}

static bool
fits_all(const struct sandbox *sb, const struct node *node, const json_t *targets)
{
	const json_t *target;
	size_t i;

	json_array_foreach(targets, i, target)
		if (!target_fits(sb, node, target))
			return false;
	return true;
}

static bool
find_tagged(struct sandbox *sb, const json_t *targets, struct node_list *ret, struct refusal *why)
{
	const json_t *target;
	size_t iter = 0, i;
	const char *id;
	void *node;

	json_array_foreach(targets, i, target)
		if (!check_target(target, why))
			return false;
	while (map_next(sb->store->nodes, &iter, &id, &node))
		if (may_run(sb, node) && fits_all(sb, node, targets))
			add_node(ret, node);
	return true;
}

bool
targets_find(struct sandbox *sb, const json_t *request, struct node_list *ret, struct refusal *why)
{
	const json_t *ids = json_object_get(request, "InstanceIds");
	const json_t *targets = json_object_get(request, "Targets");
	const json_t *first = json_array_get(targets, 0);
	bool by_id = json_array_size(ids) > 0, good;

	*ret = (struct node_list){ 0 };
	if (by_id == (json_array_size(targets) > 0))
		return refusal_set(why, "ValidationException",
				   "either InstanceIds or Targets are needed, not both");
	if (json_array_size(targets) == 1 &&
	    strcmp(json_str(first, "Key", ""), "InstanceIds") == 0) {
		ids = json_object_get(first, "Values");
		by_id = true;
	}
	if (by_id && !json_array_size(ids))
		return refusal_set(why, "ValidationException", "InstanceIds names none");
	good = by_id ? find_ids(sb, ids, ret, why) : find_tagged(sb, targets, ret, why);
	if (!good) {
		free(ret->nodes);
		ret->nodes = NULL;
	}
	return good;
}
