/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that an operator creates, changes and deletes. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/documents.h"

/* The request's Content, read and checked; caller owns. */
static json_t *
read_content(const json_t *request, const char *type, struct refusal *ret)
{
	const json_t *text = json_object_get(request, "Content");
	const char *format = json_str(request, "DocumentFormat", "JSON");
	autojson json_t *content = NULL;
	struct err e = { 0 };

	if (json_string_length(text) > DOCUMENT_MAX_BYTES) {
		refusal_set(ret, "MaxDocumentSizeExceeded", "A document has at most %zu bytes.",
			    DOCUMENT_MAX_BYTES);
		return NULL;
	}
	if (strcmp(format, "TEXT") == 0) {
		refusal_set(ret, "InvalidDocumentContent",
			    "Documents of type %s are written in JSON or YAML.", type);
		return NULL;
	}
	content = document_parse(json_string_value(text), json_string_length(text), format,
				 "Content", &e);
	if (!content) {
		refusal_set(ret, "InvalidDocumentContent", "%.380s", err_text(&e));
		return NULL;
	}
	return document_check(content, type, ret) ? TAKE(content) : NULL;
}

static const struct document_version *
same_content(const struct document *doc, const json_t *request)
{
	const char *text = json_str(request, "Content", "");

	for (size_t i = 0; i < doc->count; i++)
		if (strcmp(doc->versions[i]->text, text) == 0)
			return doc->versions[i];
	return NULL;
}

static struct document_version *
add_version(struct document *doc, const json_t *request, json_t *content, int64_t now_ms)
{
	const json_t *text = json_object_get(request, "Content");
	bool yaml = strcmp(json_str(request, "DocumentFormat", "JSON"), "YAML") == 0;
	struct document_version *v =
		document_add_version(doc, json_string_value(text), json_string_length(text),
				     yaml ? "YAML" : "JSON", content);

	v->name = xstrdup(json_str(request, "VersionName", NULL));
	v->created_ms = now_ms;
	return v;
}

static void
set_text(char **where, const json_t *request, const char *key)
{
	const char *text = json_str(request, key, NULL);

	if (!text)
		return;
	free(*where);
	*where = xstrdup(text);
}

static bool
check_new(struct documents *d, const char *name, const char *type, struct refusal *ret)
{
	static const char *const reserved[] = { "aws", "amazon", "amzn" };

	for (size_t i = 0; i < NELEMS(reserved); i++)
		if (strncasecmp(name, reserved[i], strlen(reserved[i])) == 0)
			return refusal_set(ret, "ValidationException",
					   "The name of a document does not begin with %s.",
					   reserved[i]);
	if (strcmp(type, "Command") != 0 && strcmp(type, "Session") != 0)
		return refusal_set(
			ret, "ValidationException",
			"The sandbox knows documents of type Command and Session, not %s.", type);
	if (documents_find(d, name, NULL))
		return refusal_set(ret, "DocumentAlreadyExists",
				   "Document with same name %s already exists", name);
	if (map_len(documents_made(d)) >= DOCUMENTS_MAX)
		return refusal_set(ret, "DocumentLimitExceeded", "There are %d documents already.",
				   DOCUMENTS_MAX);
	return true;
}

struct document *
documents_create(struct documents *d, const json_t *request, int64_t now_ms, struct refusal *ret)
{
	const char *name = json_str(request, "Name", "");
	const char *type = json_str(request, "DocumentType", "Command");
	struct document *doc;
	json_t *content;

	if (!check_new(d, name, type, ret))
		return NULL;
	content = read_content(request, type, ret);
	if (!content)
		return NULL;
	doc = document_new(name);
	doc->type = strcmp(type, "Session") == 0 ? "Session" : "Command";
	set_text(&doc->display_name, request, "DisplayName");
	set_text(&doc->target_type, request, "TargetType");
	doc->default_number = add_version(doc, request, content, now_ms)->number;
	map_set(documents_made(d), name, doc);
	return doc;
}

/* A document that may be changed. */
static struct document *
find_made(struct documents *d, const json_t *request, struct refusal *ret)
{
	const char *name = json_str(request, "Name", "");
	struct err e = { 0 };
	struct document *doc = documents_find(d, name, &e);

	if (!doc)
		refusal_set(ret, "InvalidDocument", "%.380s", err_text(&e));
	else if (doc->path)
		refusal_set(ret, "InvalidDocument",
			    "Document %.128s is a file of the sandbox; change the file.", name);
	else
		return doc;
	return NULL;
}

/* Only the latest version can be built upon. */
static bool
check_base(const struct document *doc, const json_t *request, struct refusal *ret)
{
	const struct document_version *base =
		document_version(doc, json_str(request, "DocumentVersion", "$DEFAULT"));

	if (base && base == document_version(doc, "$LATEST"))
		return true;
	return refusal_set(
		ret, "InvalidDocumentVersion",
		"The document version is not valid or does not exist: only $LATEST can be "
		"updated.");
}

const struct document_version *
documents_update(struct documents *d, const json_t *request, int64_t now_ms, struct refusal *ret)
{
	struct document *doc = find_made(d, request, ret);
	const char *version_name = json_str(request, "VersionName", NULL);
	json_t *content;

	if (!doc || !check_base(doc, request, ret))
		return NULL;
	if (same_content(doc, request)) {
		refusal_set(ret, "DuplicateDocumentContent",
			    "The content is that of version %d. Change it and try again.",
			    same_content(doc, request)->number);
		return NULL;
	}
	if (version_name && document_version_named(doc, version_name)) {
		refusal_set(ret, "DuplicateDocumentVersionName",
			    "There is a version of the name %.128s already.", version_name);
		return NULL;
	}
	if (doc->count >= DOCUMENT_VERSIONS_MAX) {
		refusal_set(ret, "DocumentVersionLimitExceeded", "There are %d versions already.",
			    DOCUMENT_VERSIONS_MAX);
		return NULL;
	}
	content = read_content(request, doc->type, ret);
	if (!content)
		return NULL;
	set_text(&doc->display_name, request, "DisplayName");
	set_text(&doc->target_type, request, "TargetType");
	return add_version(doc, request, content, now_ms);
}

static const struct document_version *
find_version(const struct document *doc, const json_t *request, struct refusal *ret)
{
	const char *name = json_str(request, "VersionName", NULL);
	const struct document_version *v = name
		? document_version_named(doc, name)
		: document_version(doc, json_str(request, "DocumentVersion", ""));

	if (!v)
		refusal_set(ret, "InvalidDocumentVersion",
			    "The document version is not valid or does not exist.");
	return v;
}

const struct document_version *
documents_set_default(struct documents *d, const json_t *request, struct refusal *ret)
{
	struct document *doc = find_made(d, request, ret);
	const struct document_version *v = doc ? find_version(doc, request, ret) : NULL;

	if (v)
		doc->default_number = v->number;
	return v;
}

bool
documents_delete(struct documents *d, const json_t *request, struct refusal *ret)
{
	struct document *doc = find_made(d, request, ret);
	const struct document_version *v;

	if (!doc)
		return false;
	if (!json_object_get(request, "DocumentVersion") &&
	    !json_object_get(request, "VersionName")) {
		document_free(map_take(documents_made(d), doc->name));
		return true;
	}
	v = find_version(doc, request, ret);
	if (!v)
		return false;
	if (v->number == doc->default_number)
		return refusal_set(ret, "InvalidDocumentOperation",
				   "The default version cannot be deleted; make another one the "
				   "default.");
	document_remove_version(doc, v);
	return true;
}
