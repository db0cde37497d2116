/* SPDX-License-Identifier: Apache-2.0 */
/* store.json: parameters, tags, documents and nodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/parameters.h"
#include "sdk/sandbox/shape.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/tags.h"

#define FORMAT 1

/* ---- out ---- */

static json_t *
made_version(const struct document_version *v)
{
	return json_pack("{s:i, s:s*, s:s, s:I, s:s}", "number", v->number, "name", v->name,
			 "format", v->format, "created_ms", (json_int_t)v->created_ms, "text",
			 v->text);
}

static json_t *
made_documents(const struct sandbox *sb)
{
	json_t *list = json_array();
	const char *name;
	size_t iter = 0;
	void *value;

	while (map_next(documents_made(sb->documents), &iter, &name, &value)) {
		const struct document *doc = value;
		json_t *versions = json_array();

		for (size_t i = 0; i < doc->count; i++)
			json_array_append_new(versions, made_version(doc->versions[i]));
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s*, s:s*, s:i, s:i, s:o}", "name",
						doc->name, "type", doc->type, "display_name",
						doc->display_name, "target_type", doc->target_type,
						"default", doc->default_number, "last",
						doc->last_number, "versions", versions));
	}
	return list;
}

static json_t *
made_nodes(const struct sandbox *sb)
{
	json_t *list = json_array();
	const char *id;
	size_t iter = 0;
	void *value;

	while (map_next(sb->store->nodes, &iter, &id, &value)) {
		const struct node *node = value;

		json_array_append_new(list,
				      json_pack("{s:s, s:O*, s:I, s:I}", "instance", id, "info",
						node->info, "registered_ms",
						(json_int_t)node->registered_ms, "last_ping_ms",
						(json_int_t)node->last_ping_ms));
	}
	return list;
}

json_t *
state_store_make(const struct sandbox *sb)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o}", "format", FORMAT, "parameters",
			 parameters_save(sb->parameters), "tags", tags_save(sb->tags), "documents",
			 made_documents(sb), "nodes", made_nodes(sb));
}

/* ---- in ---- */

static const char *const parameter_types[] = { "String", "StringList", "SecureString", NULL };
static const char *const tiers[] = { "Standard", "Advanced", NULL };
static const char *const formats[] = { "JSON", "YAML", NULL };
static const char *const document_types[] = { "Command", "Session", NULL };

static const struct shape text = { .name = "text", .type = SHAPE_STRING };
static const struct shape texts = { .name = "texts", .type = SHAPE_MAP, .inner = &text };
static const struct shape tags_of_type = { .name = "ids", .type = SHAPE_MAP, .inner = &texts };
static const struct shape parameter_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 1 },
	{ .name = "Type", .type = SHAPE_STRING, .required = true, .allowed = parameter_types },
	{ .name = "Value", .type = SHAPE_STRING, .required = true },
	{ .name = "Version",
	  .type = SHAPE_INTEGER,
	  .required = true,
	  .min = 1,
	  .max = INT32_MAX },
	{ .name = "LastModifiedDate", .type = SHAPE_NUMBER, .required = true },
	{ .name = "DataType", .type = SHAPE_STRING, .required = true },
	{ .name = "Tier", .type = SHAPE_STRING, .required = true, .allowed = tiers },
	{ .name = "Description", .type = SHAPE_STRING },
	{ .name = "AllowedPattern", .type = SHAPE_STRING },
	{ .name = "KeyId", .type = SHAPE_STRING },
	{ .name = NULL },
};
static const struct shape parameter = { .name = "p",
					.type = SHAPE_STRUCT,
					.inner = parameter_members };
static const struct shape versions_of_parameter = { .name = "versions",
						    .type = SHAPE_LIST,
						    .min = 1,
						    .max = PARAMETER_VERSIONS_MAX,
						    .inner = &parameter };
static const struct shape version_members[] = {
	{ .name = "number", .type = SHAPE_INTEGER, .required = true, .min = 1, .max = INT32_MAX },
	{ .name = "name", .type = SHAPE_STRING },
	{ .name = "format", .type = SHAPE_STRING, .required = true, .allowed = formats },
	{ .name = "created_ms", .type = SHAPE_INTEGER, .required = true },
	{ .name = "text", .type = SHAPE_STRING, .required = true },
	{ .name = NULL },
};
static const struct shape version = { .name = "v", .type = SHAPE_STRUCT, .inner = version_members };
static const struct shape document_members[] = {
	{ .name = "name", .type = SHAPE_STRING, .required = true, .min = 1 },
	{ .name = "type", .type = SHAPE_STRING, .required = true, .allowed = document_types },
	{ .name = "display_name", .type = SHAPE_STRING },
	{ .name = "target_type", .type = SHAPE_STRING },
	{ .name = "default", .type = SHAPE_INTEGER, .required = true, .min = 1, .max = INT32_MAX },
	{ .name = "last", .type = SHAPE_INTEGER, .required = true, .min = 1, .max = INT32_MAX - 1 },
	{ .name = "versions",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = 1,
	  .max = DOCUMENT_VERSIONS_MAX,
	  .inner = &version },
	{ .name = NULL },
};
static const struct shape document = { .name = "d",
				       .type = SHAPE_STRUCT,
				       .inner = document_members };
static const struct shape node_members[] = {
	{ .name = "instance",
	  .type = SHAPE_STRING,
	  .required = true,
	  .check = shape_is_instance_id },
	{ .name = "info", .type = SHAPE_MAP, .inner = &text },
	{ .name = "registered_ms", .type = SHAPE_INTEGER, .required = true },
	{ .name = "last_ping_ms", .type = SHAPE_INTEGER, .required = true },
	{ .name = NULL },
};
static const struct shape node_shape = { .name = "n", .type = SHAPE_STRUCT, .inner = node_members };
static const struct shape store_members[] = {
	{ .name = "format", .type = SHAPE_INTEGER, .required = true, .min = FORMAT, .max = FORMAT },
	{ .name = "parameters",
	  .type = SHAPE_MAP,
	  .required = true,
	  .inner = &versions_of_parameter },
	{ .name = "tags", .type = SHAPE_MAP, .required = true, .inner = &tags_of_type },
	{ .name = "documents", .type = SHAPE_LIST, .required = true, .inner = &document },
	{ .name = "nodes", .type = SHAPE_LIST, .required = true, .inner = &node_shape },
	{ .name = NULL },
};

static int
take_version(struct document *doc, const json_t *item, struct err *e)
{
	const char *format = json_str(item, "format", "");
	const json_t *content_text = json_object_get(item, "text");
	int number = (int)json_int(item, "number", 0);
	struct document_version *v;
	json_t *content;

	if (number <= doc->last_number)
		return err_set(e, -EINVAL, "versions of document '%s' are not in order", doc->name);
	content = document_parse(json_string_value(content_text), json_string_length(content_text),
				 format, doc->name, e);
	if (!content)
		return -EINVAL;
	doc->last_number = number - 1;
	v = document_add_version(doc, json_string_value(content_text),
				 json_string_length(content_text),
				 strcmp(format, "YAML") == 0 ? "YAML" : "JSON", content);
	v->name = xstrdup(json_str(item, "name", NULL));
	v->created_ms = json_int(item, "created_ms", 0);
	return 0;
}

static int
fill_document(struct document *doc, const json_t *item, struct err *e)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(item, "versions"), i, one) {
		int err = take_version(doc, one, e);

		if (err)
			return err;
	}
	doc->type = strcmp(json_str(item, "type", ""), "Session") == 0 ? "Session" : "Command";
	doc->display_name = xstrdup(json_str(item, "display_name", NULL));
	doc->target_type = xstrdup(json_str(item, "target_type", NULL));
	doc->default_number = (int)json_int(item, "default", 0);
	if (!document_version(doc, "$DEFAULT") || doc->last_number > json_int(item, "last", 0))
		return err_set(e, -EINVAL, "document '%s' lacks its default version", doc->name);
	doc->last_number = (int)json_int(item, "last", 0);
	return 0;
}

static int
take_documents(struct sandbox *sb, const json_t *list, struct err *e)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		struct document *doc = document_new(json_str(item, "name", ""));

		if (fill_document(doc, item, e) < 0) {
			document_free(doc);
			return -EINVAL;
		}
		map_set(documents_made(sb->documents), doc->name, doc);
	}
	return 0;
}

static void
take_nodes(struct sandbox *sb, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		struct node *node = store_node(sb, json_str(item, "instance", ""), true);

		json_decref(node->info);
		node->info = json_incref(json_object_get(item, "info"));
		node->registered_ms = json_int(item, "registered_ms", 0);
		node->last_ping_ms = json_int(item, "last_ping_ms", 0);
	}
}

int
state_store_take(struct sandbox *sb, const json_t *store, struct err *e)
{
	struct shape_error why;

	if (shape_check(store_members, store, &why) < 0)
		return err_set(e, -EINVAL, "%s", why.text);
	parameters_load(sb->parameters, json_object_get(store, "parameters"));
	tags_load(sb->tags, json_object_get(store, "tags"));
	take_nodes(sb, json_object_get(store, "nodes"));
	return take_documents(sb, json_object_get(store, "documents"), e);
}
