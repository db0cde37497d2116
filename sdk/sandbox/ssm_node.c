/* SPDX-License-Identifier: Apache-2.0 */
/* What a node calls of the ssm service. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "sdk/sandbox/control.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/store.h"

static void
update_instance_information(struct exchange *ex)
{
	struct node *node = store_node(ex->sb, json_str(ex->request, "InstanceId", ""), false);
	int64_t now = sandbox_now_ms(ex->sb);

	if (!node) {
		exchange_refuse(ex, 400, "InvalidInstanceId", "no such instance in this account");
		return;
	}
	/* The short form proves that the service may be called; it does not take back what the
	 * full one said. */
	if (!node->info)
		node->info = json_object();
	json_object_update(node->info, ex->request);
	if (!node->pings++)
		node->registered_ms = now;
	node->last_ping_ms = now;
	control_on_node(ex->sb, node);
	exchange_answer_json(ex, json_object());
}

/* NAME or NAME:VERSION. Borrowed, or NULL. */
static json_t *
find_parameter(struct exchange *ex, const char *selector)
{
	autofree char *name = xstrndup(selector, strcspn(selector, ":"));
	const char *version = strchr(selector, ':');
	json_t *parameter = map_get(ex->sb->parameters, name);
	int64_t wanted;

	if (!parameter || !version)
		return parameter;
	if (text_to_i64(version + 1, 1, INT64_MAX, &wanted) < 0 ||
	    json_int(parameter, "Version", 0) != wanted)
		return NULL;
	return parameter;
}

static json_t *
shown_parameter(struct exchange *ex, const json_t *parameter, const char *selector)
{
	json_t *shown = json_deep_copy(parameter);
	const char *version = strchr(selector, ':');

	if (version)
		json_object_set_new(shown, "Selector", json_string(version));
	if (strcmp(json_str(parameter, "Type", ""), "SecureString") == 0 &&
	    !json_bool(ex->request, "WithDecryption", false))
		json_object_set_new(shown, "Value", json_string("AQICAHsealed=="));
	return shown;
}

static void
get_parameters(struct exchange *ex)
{
	json_t *found = json_array(), *invalid = json_array();
	const json_t *name;
	size_t i;

	json_array_foreach(json_object_get(ex->request, "Names"), i, name)
	{
		const char *selector = json_string_value(name);
		const json_t *parameter = find_parameter(ex, selector);

		if (parameter)
			json_array_append_new(found, shown_parameter(ex, parameter, selector));
		else
			json_array_append(invalid, (json_t *)name);
	}
	exchange_answer_json(ex,
			     json_pack("{s:o, s:o}", "Parameters", found, "InvalidParameters",
				       invalid));
}

static bool
version_fits(const struct document *doc, const char *version)
{
	int64_t n;

	if (!*version || strcmp(version, "$DEFAULT") == 0 || strcmp(version, "$LATEST") == 0)
		return true;
	return text_to_i64(version, 1, INT64_MAX, &n) == 0 && n == doc->version;
}

/* Both sides call it. */
static void
get_document(struct exchange *ex)
{
	struct err e = { 0 };
	const struct document *doc =
		documents_find(ex->sb->documents, json_str(ex->request, "Name", ""), &e);
	char version[16];

	if (!doc) {
		exchange_refuse(ex, 400, "InvalidDocument", "%s", err_text(&e));
		return;
	}
	if (!version_fits(doc, json_str(ex->request, "DocumentVersion", ""))) {
		exchange_refuse(ex, 400, "InvalidDocumentVersion",
				"Document %s has only version %d here.", doc->name, doc->version);
		return;
	}
	snprintf(version, sizeof(version), "%d", doc->version);
	exchange_answer_json(ex,
			     json_pack("{s:s, s:f, s:s, s:s, s:s, s:s, s:s, s:[]}", "Name",
				       doc->name, "CreatedDate", (double)doc->changed_ms / 1000.0,
				       "DocumentVersion", version, "Status", "Active", "Content",
				       doc->text, "DocumentType", "Command", "DocumentFormat",
				       "JSON", "AttachmentsContent"));
}

static const char *const platforms[] = { "Windows", "Linux", "MacOS", NULL };
static const char *const formats[] = { "JSON", NULL };

static const struct shape information_members[] = {
	{ .name = "AgentName", .type = SHAPE_STRING, .min = 1 },
	{ .name = "AgentStatus", .type = SHAPE_STRING, .min = 1 },
	{ .name = "AgentVersion", .type = SHAPE_STRING, .min = 5 },
	{ .name = "AvailabilityZone", .type = SHAPE_STRING },
	{ .name = "AvailabilityZoneId", .type = SHAPE_STRING },
	{ .name = "ComputerName", .type = SHAPE_STRING, .min = 1, .max = 255 },
	{ .name = "IPAddress", .type = SHAPE_STRING, .min = 1, .max = 46 },
	{ .name = "InstanceId", .type = SHAPE_STRING, .required = true, .min = 10 },
	{ .name = "PlatformName", .type = SHAPE_STRING },
	{ .name = "PlatformType", .type = SHAPE_STRING, .allowed = platforms },
	{ .name = "PlatformVersion", .type = SHAPE_STRING },
	{ .name = "SSMConnectionChannel", .type = SHAPE_STRING },
	{ .name = NULL },
};
static const struct shape parameter_name = { .name = "name", .type = SHAPE_STRING, .min = 1 };
static const struct shape parameters_members[] = {
	{ .name = "Names",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = 1,
	  .max = 10,
	  .inner = &parameter_name },
	{ .name = "WithDecryption", .type = SHAPE_BOOLEAN },
	{ .name = NULL },
};
static const struct shape document_members[] = {
	{ .name = "Name", .type = SHAPE_STRING, .required = true, .min = 3, .max = 128 },
	{ .name = "DocumentVersion", .type = SHAPE_STRING },
	{ .name = "DocumentFormat", .type = SHAPE_STRING, .allowed = formats },
	{ .name = "VersionName", .type = SHAPE_STRING },
	{ .name = NULL },
};

const struct operation ssm_node_operations[] = {
	{ "UpdateInstanceInformation", true, false, information_members,
	  update_instance_information },
	{ "GetParameters", true, true, parameters_members, get_parameters },
	{ "GetDocument", true, true, document_members, get_document },
	{ NULL, false, false, NULL, NULL },
};
