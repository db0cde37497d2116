/* SPDX-License-Identifier: Apache-2.0 */
/* GetParameters, signed and sent by the agent. */
#include "plugins/sessionManager/store_ask.h"

#include <errno.h>
#include <ssm_plugin.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"

#define ASK_MS 15000 /* an operator waits */
#define FAILED "Encountered error while calling GetParameters API. Error: "

static char *
word_failure(int32_t r)
{
	if (r == -EACCES)
		return xstrdup(FAILED
			       "the plugin may not call it; add 'ssm:GetParameters' to Calls of "
			       "[plugin sessionManager]");
	return xasprintf(FAILED "%s", strerror(-r));
}

static json_t *
read_reply(const struct ssm_reply *reply, char **ret_trace)
{
	const char *body = reply->body ? reply->body : "";
	autojson json_t *o = json_parse(body, reply->body_len, "the answer", NULL);

	if (reply->status == 200 && json_is_object(o))
		return TAKE(o);
	*ret_trace = xasprintf(FAILED "%s (status %d)",
			       reply->error ? reply->error : "the answer cannot be read",
			       (int)reply->status);
	return NULL;
}

json_t *
store_ask(void *arg, const json_t *names, char **ret_trace)
{
	struct ssm *S = arg;
	autojson json_t *body = json_pack("{s:O,s:b}", "Names", names, "WithDecryption", 0);
	autofree char *text = json_text(body);
	const struct ssm_request q = { .size = sizeof(q),
				       .service = "ssm",
				       .target = "AmazonSSM.GetParameters",
				       .body = text,
				       .body_len = strlen(text),
				       .timeout_ms = ASK_MS };
	struct ssm_reply reply = { .size = sizeof(reply) };
	int32_t r = S->api->call(S, &q, &reply);
	json_t *answer = NULL;

	if (r >= 0)
		answer = read_reply(&reply, ret_trace);
	else if (r != -ECANCELED)
		*ret_trace = word_failure(r);
	S->api->free(S, reply.error);
	S->api->free(S, reply.body);
	S->api->free(S, reply.headers);
	S->api->free(S, reply.url);
	return answer;
}
