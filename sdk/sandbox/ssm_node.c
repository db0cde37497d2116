/* SPDX-License-Identifier: Apache-2.0 */
/* What a node calls of the ssm service. */
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
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
	{ "GetDocument", true, true, document_members, get_document },
	{ NULL, false, false, NULL, NULL },
};
