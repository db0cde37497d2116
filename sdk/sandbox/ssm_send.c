/* SPDX-License-Identifier: Apache-2.0 */
/* SendCommand: document, nodes and parameters are checked, then the command is queued. */
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/parameters.h"
#include "sdk/sandbox/ssm_operator.h"
#include "sdk/sandbox/targets.h"

#define TIMEOUT_S 3600

/* The version's hash, where the operator insists on one. */
static bool
check_hash(struct exchange *ex, const struct document_version *version)
{
	const char *wanted = json_str(ex->request, "DocumentHash", NULL);

	if (!wanted || strcmp(json_str(ex->request, "DocumentHashType", "Sha256"), "Sha256") != 0 ||
	    strcmp(version->hash, wanted) == 0)
		return true;
	exchange_refuse(ex, 400, "InvalidDocument", "Document hash does not match.");
	return false;
}

static const struct document_version *
find_document(struct exchange *ex, const struct document **ret_doc)
{
	const char *wanted = json_str(ex->request, "DocumentVersion", "");
	const struct document_version *version;
	struct err e = { 0 };
	const struct document *doc =
		documents_find(ex->sb->documents,
			       document_bare_name(json_str(ex->request, "DocumentName", "")), &e);

	if (!doc) {
		exchange_refuse(ex, 400, "InvalidDocument", "%s", err_text(&e));
		return NULL;
	}
	if (strcmp(doc->type, "Command") != 0) {
		exchange_refuse(ex, 400, "InvalidDocument",
				"Document %s is of type %s; a command needs one of type Command.",
				doc->name, doc->type);
		return NULL;
	}
	version = document_version(doc, wanted);
	if (!version) {
		exchange_refuse(ex, 400, "InvalidDocumentVersion",
				"Document version %s of %s does not exist.", wanted, doc->name);
		return NULL;
	}
	*ret_doc = doc;
	return check_hash(ex, version) ? version : NULL;
}

/* A secret would end up in the command's history: the service takes none by reference. */
static bool
check_references(struct exchange *ex)
{
	const char *name;
	json_t *values, *value;
	size_t i;

	json_object_foreach(json_object_get(ex->request, "Parameters"), name, values) {
		json_array_foreach(values, i, value) {
			autofree char *secret =
				parameters_secure_reference(ex->sb->parameters,
							    json_string_value(value));

			if (!secret)
				continue;
			exchange_refuse(ex, 400, "InvalidParameters",
					"Parameters [%.200s] of type SecureString are not "
					"supported",
					secret);
			return false;
		}
	}
	return true;
}

static void
fill_spec(struct exchange *ex, const struct document *doc, const json_t *content,
	  struct command_spec *spec)
{
	const json_t *log = json_object_get(ex->request, "CloudWatchOutputConfig");

	spec->document = doc->name;
	spec->version = json_str(ex->request, "DocumentVersion", "$DEFAULT");
	spec->comment = json_str(ex->request, "Comment", "");
	spec->content = content;
	spec->parameters = json_object_get(ex->request, "Parameters");
	spec->targets = json_object_get(ex->request, "Targets");
	spec->by_tag = json_array_size(spec->targets) > 0 &&
		strcmp(json_str(json_array_get(spec->targets, 0), "Key", ""), "InstanceIds") != 0;
	spec->notification = json_object_get(ex->request, "NotificationConfig");
	spec->timeout_s = json_int(ex->request, "TimeoutSeconds", TIMEOUT_S);
	spec->bucket = json_str(ex->request, "OutputS3BucketName", "");
	spec->prefix = json_str(ex->request, "OutputS3KeyPrefix", "");
	spec->log_group = json_str(log, "CloudWatchLogGroupName", "");
	spec->log_enabled = json_bool(log, "CloudWatchOutputEnabled", false);
	spec->service_role = json_str(ex->request, "ServiceRoleArn", "");
	spec->max_concurrency = json_str(ex->request, "MaxConcurrency", NULL);
	spec->max_errors = json_str(ex->request, "MaxErrors", NULL);
}

void
ssm_send_command(struct exchange *ex)
{
	const struct document *doc;
	const struct document_version *version = find_document(ex, &doc);
	struct command_spec spec = { 0 };
	autojson json_t *parameters = NULL;
	struct node_list list = { 0 };
	struct refusal why;
	struct err e = { 0 };

	if (!version || !check_references(ex))
		return;
	fill_spec(ex, doc, version->content, &spec);
	parameters = params_for_node(version->content, spec.parameters, &e);
	if (!parameters) {
		exchange_refuse(ex, 400, "InvalidParameters", "%s", err_text(&e));
		return;
	}
	if (!targets_find(ex->sb, ex->request, &list, &why)) {
		exchange_refuse_for(ex, &why);
		return;
	}
	spec.payload_parameters = parameters;
	spec.nodes = list.nodes;
	spec.node_count = list.count;
	exchange_answer_json(ex,
			     json_pack("{s:o}", "Command",
				       view_command(command_new(ex->sb, &spec))));
	free(list.nodes);
}
