/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of documents. GetDocument is the node's, too. */
#include "sdk/sandbox/ssm_documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/page.h"
#include "sdk/sandbox/ssm_operator.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/tags.h"

/* ---- as the operator's client gets to see them ---- */

static json_t *
number_text(int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	return json_string(text);
}

static void
set_optional(json_t *out, const char *key, const char *text)
{
	if (text)
		json_object_set_new(out, key, json_string(text));
}

static json_t *
seconds(int64_t unix_ms)
{
	return json_real((double)unix_ms / 1000.0);
}

/* What ListDocuments, DescribeDocument and CreateDocument have in common. */
static json_t *
identifier(struct exchange *ex, const struct document *doc, const struct document_version *v)
{
	json_t *out =
		json_pack("{s:s, s:o, s:s, s:o, s:o, s:s, s:s, s:s, s:o}", "Name", doc->name,
			  "CreatedDate", seconds(v->created_ms), "Owner", document_owner(ex, doc),
			  "PlatformTypes", document_platforms(v->content), "DocumentVersion",
			  number_text(v->number), "DocumentType", doc->type, "SchemaVersion",
			  json_str(v->content, "schemaVersion", "2.2"), "DocumentFormat", v->format,
			  "Tags", tags_list(ex->sb->tags, "Document", doc->name));

	set_optional(out, "VersionName", v->name);
	set_optional(out, "DisplayName", doc->display_name);
	set_optional(out, "TargetType", doc->target_type);
	return out;
}

/* The model knows two types; the others are described as what they travel as. */
static const char *
described_type(const json_t *def)
{
	const char *type = json_str(def, "type", "String");

	return strcmp(type, "StringList") == 0 || strcmp(type, "MapList") == 0 ? "StringList"
									       : "String";
}

static json_t *
described_parameters(const json_t *content)
{
	json_t *out = json_array(), *def;
	const char *name;

	json_object_foreach(json_object_get(content, "parameters"), name, def) {
		const json_t *preset = json_object_get(def, "default");
		autofree char *text = preset && !json_is_string(preset) ? json_text(preset) : NULL;
		json_t *item =
			json_pack("{s:s, s:s, s:s}", "Name", name, "Type", described_type(def),
				  "Description", json_str(def, "description", ""));

		set_optional(item, "DefaultValue", text ? text : json_string_value(preset));
		json_array_append_new(out, item);
	}
	return out;
}

static json_t *
description(struct exchange *ex, const struct document *doc, const struct document_version *v)
{
	json_t *out = identifier(ex, doc, v);

	json_object_set_new(out, "Hash", json_string(v->hash));
	json_object_set_new(out, "HashType", json_string("Sha256"));
	json_object_set_new(out, "Status", json_string("Active"));
	json_object_set_new(out, "Description",
			    json_string(json_str(v->content, "description", "")));
	json_object_set_new(out, "Parameters", described_parameters(v->content));
	json_object_set_new(out, "LatestVersion",
			    number_text(document_version(doc, "$LATEST")->number));
	json_object_set_new(out, "DefaultVersion", number_text(doc->default_number));
	return out;
}

/* ---- reading ---- */

/* The document and version that the request names; NULL when it was refused. */
static const struct document_version *
version_of(struct exchange *ex, struct document **ret_doc)
{
	const char *wanted = json_str(ex->request, "DocumentVersion", "");
	const char *version_name = json_str(ex->request, "VersionName", NULL);
	const struct document_version *v = NULL;
	struct err e = { 0 };
	struct document *doc =
		documents_find(ex->sb->documents,
			       document_bare_name(json_str(ex->request, "Name", "")), &e);

	if (!doc) {
		exchange_refuse(ex, 400, "InvalidDocument", "%s", err_text(&e));
		return NULL;
	}
	v = version_name ? document_version_named(doc, version_name)
			 : document_version(doc, wanted);
	/* Both given: they have to mean the same. */
	if (v && version_name && *wanted && v != document_version(doc, wanted))
		v = NULL;
	if (!v)
		exchange_refuse(ex, 400, "InvalidDocumentVersion",
				"The document version is not valid or does not exist.");
	*ret_doc = doc;
	return v;
}

/* The text as it was written, or the same document as JSON, which is YAML as well. Caller frees. */
static char *
text_in(const struct document_version *v, const char *format)
{
	if (strcmp(v->format, format) == 0 || strcmp(v->format, "JSON") == 0)
		return xstrdup(v->text);
	return json_text(v->content);
}

static void
get_document(struct exchange *ex)
{
	const char *format = json_str(ex->request, "DocumentFormat", "JSON");
	struct document *doc;
	const struct document_version *v = version_of(ex, &doc);
	autofree char *text = v ? text_in(v, format) : NULL;
	json_t *out;

	if (!v)
		return;
	out = json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:[]}", "Name", doc->name,
			"CreatedDate", seconds(v->created_ms), "DocumentVersion",
			number_text(v->number), "Status", "Active", "Content", text, "DocumentType",
			doc->type, "DocumentFormat", format, "AttachmentsContent");
	set_optional(out, "VersionName", v->name);
	set_optional(out, "DisplayName", doc->display_name);
	exchange_answer_json(ex, out);
}

static void
describe_document(struct exchange *ex)
{
	struct document *doc;
	const struct document_version *v = version_of(ex, &doc);

	if (v)
		exchange_answer_json(ex, json_pack("{s:o}", "Document", description(ex, doc, v)));
}

static void
list_documents(struct exchange *ex)
{
	autostrv char **names = documents_names(ex->sb->documents);
	struct page page;

	if (!document_filters_check(ex) || !page_begin(ex, &page, PAGE_MAX))
		return;
	for (size_t i = page.at; i < strv_len(names); i++) {
		const struct document *doc = documents_find(ex->sb->documents, names[i], NULL);

		if (doc && document_filters_fit(ex, doc) &&
		    !page_add(&page, i, identifier(ex, doc, document_version(doc, "$DEFAULT"))))
			break;
	}
	page_answer(ex, &page, "DocumentIdentifiers");
}

static json_t *
version_info(const struct document *doc, const struct document_version *v)
{
	json_t *out =
		json_pack("{s:s, s:o, s:o, s:b, s:s, s:s}", "Name", doc->name, "DocumentVersion",
			  number_text(v->number), "CreatedDate", seconds(v->created_ms),
			  "IsDefaultVersion", v->number == doc->default_number, "DocumentFormat",
			  v->format, "Status", "Active");

	set_optional(out, "VersionName", v->name);
	set_optional(out, "DisplayName", doc->display_name);
	return out;
}

/* Newest first. */
static void
list_versions(struct exchange *ex)
{
	struct document *doc;
	struct page page;

	if (!version_of(ex, &doc) || !page_begin(ex, &page, PAGE_MAX))
		return;
	for (size_t i = page.at; i < doc->count; i++)
		if (!page_add(&page, i, version_info(doc, doc->versions[doc->count - 1 - i])))
			break;
	page_answer(ex, &page, "DocumentVersions");
}

/* ---- writing ---- */

static void
answer_description(struct exchange *ex, const struct document *doc,
		   const struct document_version *v)
{
	exchange_answer_json(ex,
			     json_pack("{s:o}", "DocumentDescription", description(ex, doc, v)));
}

static void
create_document(struct exchange *ex)
{
	struct refusal why;
	struct document *doc =
		documents_create(ex->sb->documents, ex->request, sandbox_now_ms(ex->sb), &why);
	autojson json_t *name = NULL;

	state_touch(ex->sb);
	if (!doc) {
		exchange_refuse_for(ex, &why);
		return;
	}
	if (ssm_tag(ex, "Document", doc->name)) {
		answer_description(ex, doc, document_version(doc, "$LATEST"));
		return;
	}
	name = json_pack("{s:s}", "Name", doc->name);
	documents_delete(ex->sb->documents, name, &why);
}

static void
update_document(struct exchange *ex)
{
	struct refusal why;
	const struct document_version *v =
		documents_update(ex->sb->documents, ex->request, sandbox_now_ms(ex->sb), &why);

	state_touch(ex->sb);
	if (v)
		answer_description(ex,
				   documents_find(ex->sb->documents,
						  json_str(ex->request, "Name", ""), NULL),
				   v);
	else
		exchange_refuse_for(ex, &why);
}

static void
update_default(struct exchange *ex)
{
	struct refusal why;
	const struct document_version *v =
		documents_set_default(ex->sb->documents, ex->request, &why);
	json_t *out;

	state_touch(ex->sb);
	if (!v) {
		exchange_refuse_for(ex, &why);
		return;
	}
	out = json_pack("{s:O, s:o}", "Name", json_object_get(ex->request, "Name"),
			"DefaultVersion", number_text(v->number));
	set_optional(out, "DefaultVersionName", v->name);
	exchange_answer_json(ex, json_pack("{s:o}", "Description", out));
}

static void
delete_document(struct exchange *ex)
{
	const char *name = json_str(ex->request, "Name", "");
	struct refusal why;

	state_touch(ex->sb);
	if (!documents_delete(ex->sb->documents, ex->request, &why)) {
		exchange_refuse_for(ex, &why);
		return;
	}
	if (!documents_find(ex->sb->documents, name, NULL))
		tags_remove_all(ex->sb->tags, "Document", name);
	exchange_answer_json(ex, json_object());
}

/* ---- shapes ---- */

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

static bool
is_name(const char *s)
{
	return strspn(s, NAME_CHARS) == strlen(s);
}

static bool
is_number(const char *s)
{
	int64_t n;

	return text_to_i64(s, 1, INT64_MAX, &n) == 0;
}

static bool
is_version(const char *s)
{
	return strcmp(s, "$LATEST") == 0 || strcmp(s, "$DEFAULT") == 0 || is_number(s);
}

#define NAME                                                                                  \
	{                                                                                     \
		.name = "Name", .type = SHAPE_STRING, .required = true, .min = 3, .max = 128, \
		.check = is_name                                                              \
	}
#define VERSION                                                                      \
	{                                                                            \
		.name = "DocumentVersion", .type = SHAPE_STRING, .check = is_version \
	}
#define VERSION_NAME                                                               \
	{                                                                          \
		.name = "VersionName", .type = SHAPE_STRING, .min = 1, .max = 128, \
		.check = is_name                                                   \
	}
#define FORMAT                                                                     \
	{                                                                          \
		.name = "DocumentFormat", .type = SHAPE_STRING, .allowed = formats \
	}

static const char *const types[] = { "Command",
				     "Policy",
				     "Automation",
				     "Session",
				     "Package",
				     "ApplicationConfiguration",
				     "ApplicationConfigurationSchema",
				     "DeploymentStrategy",
				     "ChangeCalendar",
				     "Automation.ChangeTemplate",
				     "ProblemAnalysis",
				     "ProblemAnalysisTemplate",
				     "CloudFormation",
				     "ConformancePackTemplate",
				     "QuickSetup",
				     NULL };
static const char *const formats[] = { "JSON", "YAML", "TEXT", NULL };
static const char *const old_filters[] = { "Name", "Owner", "PlatformTypes", "DocumentType", NULL };

static const struct shape create_members[] = {
	NAME,
	{ .name = "Content", .type = SHAPE_STRING, .required = true, .min = 1 },
	{ .name = "DisplayName", .type = SHAPE_STRING, .max = 1024 },
	VERSION_NAME,
	{ .name = "DocumentType", .type = SHAPE_STRING, .allowed = types },
	FORMAT,
	{ .name = "TargetType", .type = SHAPE_STRING, .max = 200 },
	{ .name = "Tags", .type = SHAPE_LIST, .max = 1000, .inner = &ssm_tag_shape },
	{ .name = NULL },
};
static const struct shape update_members[] = {
	NAME,
	{ .name = "Content", .type = SHAPE_STRING, .required = true, .min = 1 },
	{ .name = "DisplayName", .type = SHAPE_STRING, .max = 1024 },
	VERSION_NAME,
	VERSION,
	FORMAT,
	{ .name = "TargetType", .type = SHAPE_STRING, .max = 200 },
	{ .name = NULL },
};
static const struct shape default_members[] = {
	NAME,
	{ .name = "DocumentVersion", .type = SHAPE_STRING, .required = true, .check = is_number },
	{ .name = NULL },
};
static const struct shape delete_members[] = {
	NAME, VERSION, VERSION_NAME, { .name = "Force", .type = SHAPE_BOOLEAN }, { .name = NULL },
};
static const struct shape get_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 3, .max = 128 },
	VERSION,
	VERSION_NAME,
	FORMAT,
	{ .name = NULL },
};
static const struct shape describe_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 3, .max = 128 },
	VERSION,
	VERSION_NAME,
	{ .name = NULL },
};
static const struct shape versions_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 3, .max = 128 },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 1, .max = PAGE_MAX },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = NULL },
};
static const struct shape old_filter_members[] = {
	{ .name = "key", .type = SHAPE_STRING, .required = true, .allowed = old_filters },
	{ .name = "value", .type = SHAPE_STRING, .required = true, .min = 1 },
	{ .name = NULL },
};
static const struct shape old_filter = { .name = "f",
					 .type = SHAPE_STRUCT,
					 .inner = old_filter_members };
static const struct shape filter_value = {
	.name = "value", .type = SHAPE_STRING, .min = 1, .max = 256
};
static const struct shape filter_members[] = {
	{ .name = "Key", .type = SHAPE_STRING, .min = 1, .max = 128 },
	{ .name = "Values", .type = SHAPE_LIST, .inner = &filter_value },
	{ .name = NULL },
};
static const struct shape filter = { .name = "f", .type = SHAPE_STRUCT, .inner = filter_members };
static const struct shape list_members[] = {
	{ .name = "DocumentFilterList", .type = SHAPE_LIST, .min = 1, .inner = &old_filter },
	{ .name = "Filters", .type = SHAPE_LIST, .max = 6, .inner = &filter },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 1, .max = PAGE_MAX },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = NULL },
};

const struct operation ssm_document_operations[] = {
	{ "CreateDocument", false, true, create_members, create_document },
	{ "UpdateDocument", false, true, update_members, update_document },
	{ "UpdateDocumentDefaultVersion", false, true, default_members, update_default },
	{ "DeleteDocument", false, true, delete_members, delete_document },
	{ "GetDocument", true, true, get_members, get_document },
	{ "DescribeDocument", false, true, describe_members, describe_document },
	{ "ListDocuments", false, true, list_members, list_documents },
	{ "ListDocumentVersions", false, true, versions_members, list_versions },
	{ NULL, false, false, NULL, NULL },
};
