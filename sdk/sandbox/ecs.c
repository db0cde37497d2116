/* SPDX-License-Identifier: Apache-2.0 */
/* The container credentials endpoint, for relative and full URIs. */
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/dispatch.h"

static void
refuse(struct exchange *ex, unsigned status, const char *code, const char *message)
{
	json_t *body = json_pack("{s:s, s:s}", "code", code, "message", message);
	autofree char *text = json_dumps(body, JSON_COMPACT);

	json_decref(body);
	ex->code = xstrdup(code);
	ex->message = xstrdup(message);
	exchange_answer(ex, status, "application/json", text, strlen(text));
}

static const struct key *
task_key(struct exchange *ex)
{
	struct sandbox *sb = ex->sb;
	const struct key *key = keys_current(sb->keys, "ecs");
	int64_t now = sandbox_now_ms(sb);

	if (key && now < key->issued_ms + (key->expires_ms - key->issued_ms) / 2)
		return key;
	return keys_issue(sb->keys, "ecs", KEY_NODE, now, sb->set.key_life_ms);
}

static void
give_credentials(struct exchange *ex)
{
	json_t *doc = keys_document(task_key(ex));
	autofree char *arn =
		xasprintf("arn:aws:iam::%s:role/%s", ex->sb->set.account, ex->sb->set.role);
	autofree char *text = NULL;

	json_object_set_new(doc, "RoleArn", json_string(arn));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	exchange_answer(ex, 200, "application/json", text, strlen(text));
}

void
ecs_request(struct exchange *ex)
{
	const char *wanted = ex->sb->set.ecs_token;
	const char *given = exchange_header(ex, "authorization");

	if (strcmp(ex->method, "GET") != 0)
		refuse(ex, 405, "MethodNotAllowed", "only GET");
	else if (wanted && (!given || strcmp(given, wanted) != 0))
		refuse(ex, 401, "InvalidAuthorization",
		       given ? "Authorization header does not match the task's token"
			     : "Authorization header is missing");
	else if (strcmp(ex->path, ECS_PATH "sandbox") != 0)
		refuse(ex, 404, "InvalidIdInRequest", "CredentialsV2Request: ID not found");
	else
		give_credentials(ex);
}
