/* SPDX-License-Identifier: Apache-2.0 */
/* AddTagsToResource, ListTagsForResource, RemoveTagsFromResource. */
#include <errno.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/json.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/parameters.h"
#include "sdk/sandbox/ssm_operator.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/tags.h"

static bool
is_there(struct exchange *ex, const char *type, const char *id)
{
	const struct node *node;

	if (strcmp(type, "Parameter") == 0)
		return parameters_versions(ex->sb->parameters, id) != NULL;
	if (strcmp(type, "Document") == 0)
		return documents_find(ex->sb->documents, id, NULL) != NULL;
	node = store_node(ex->sb, id, false);
	return node && (node->info || ex->sb->set.unregistered);
}

/* The resource of the request; false when it was refused. The service takes only mi-... for a
 * ManagedInstance and has another interface for the tags of i-...; here this one has to do. */
static bool
find_resource(struct exchange *ex, const char **ret_type, const char **ret_id)
{
	const char *type = json_str(ex->request, "ResourceType", "");
	const char *id = json_str(ex->request, "ResourceId", "");

	if (strcmp(type, "Parameter") != 0 && strcmp(type, "Document") != 0 &&
	    strcmp(type, "ManagedInstance") != 0) {
		exchange_refuse(ex, 400, "InvalidResourceType", "the sandbox has no %.60s", type);
		return false;
	}
	if (!is_there(ex, type, id)) {
		exchange_refuse(ex, 400, "InvalidResourceId", "there is no %s %.200s", type, id);
		return false;
	}
	*ret_type = type;
	*ret_id = id;
	return true;
}

bool
ssm_tag(struct exchange *ex, const char *type, const char *id)
{
	int err = tags_add(ex->sb->tags, type, id, json_object_get(ex->request, "Tags"));

	state_touch(ex->sb);
	if (err == -E2BIG)
		exchange_refuse(ex, 400, "TooManyTagsError", "a resource has at most %d tags",
				TAGS_MAX);
	else if (err)
		exchange_refuse(ex, 400, "ValidationException",
				"the key of a tag does not begin with 'aws:'");
	return err == 0;
}

static void
add_tags(struct exchange *ex)
{
	const char *type, *id;

	if (find_resource(ex, &type, &id) && ssm_tag(ex, type, id))
		exchange_answer_json(ex, json_object());
}

static void
list_tags(struct exchange *ex)
{
	const char *type, *id;

	if (find_resource(ex, &type, &id))
		exchange_answer_json(ex,
				     json_pack("{s:o}", "TagList",
					       tags_list(ex->sb->tags, type, id)));
}

static void
remove_tags(struct exchange *ex)
{
	const char *type, *id;

	if (!find_resource(ex, &type, &id))
		return;
	state_touch(ex->sb);
	tags_remove(ex->sb->tags, type, id, json_object_get(ex->request, "TagKeys"));
	exchange_answer_json(ex, json_object());
}

static const char *const types[] = { "Document",    "ManagedInstance", "MaintenanceWindow",
				     "Parameter",   "PatchBaseline",   "OpsItem",
				     "OpsMetadata", "Automation",      "Association",
				     NULL };
static const struct shape tag_key = { .name = "key", .type = SHAPE_STRING, .min = 1, .max = 128 };
static const struct shape tag_members[] = {
	{ .name = "Key", .type = SHAPE_STRING, .required = true, .min = 1, .max = 128 },
	{ .name = "Value", .type = SHAPE_STRING, .required = true, .max = 256 },
	{ .name = NULL },
};
const struct shape ssm_tag_shape = { .name = "tag", .type = SHAPE_STRUCT, .inner = tag_members };
static const struct shape add_members[] = {
	{ .name = "ResourceType", .type = SHAPE_STRING, .required = true, .allowed = types },
	{ .name = "ResourceId", .type = SHAPE_STRING, .required = true },
	{ .name = "Tags",
	  .type = SHAPE_LIST,
	  .required = true,
	  .max = 1000,
	  .inner = &ssm_tag_shape },
	{ .name = NULL },
};
static const struct shape list_members[] = {
	{ .name = "ResourceType", .type = SHAPE_STRING, .required = true, .allowed = types },
	{ .name = "ResourceId", .type = SHAPE_STRING, .required = true },
	{ .name = NULL },
};
static const struct shape remove_members[] = {
	{ .name = "ResourceType", .type = SHAPE_STRING, .required = true, .allowed = types },
	{ .name = "ResourceId", .type = SHAPE_STRING, .required = true },
	{ .name = "TagKeys", .type = SHAPE_LIST, .required = true, .inner = &tag_key },
	{ .name = NULL },
};

const struct operation ssm_tag_operations[] = {
	{ "AddTagsToResource", false, true, add_members, add_tags },
	{ "ListTagsForResource", false, true, list_members, list_tags },
	{ "RemoveTagsFromResource", false, true, remove_members, remove_tags },
	{ NULL, false, false, NULL, NULL },
};
