/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter store by way of the agent, which signs the call; what was answered before a reboot
 * of the machine holds after it. */
#include <errno.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/runCommand/store_call.h"

#define KEY "store"
#define STATE_MAX_BYTES 65536u /* of state_put() */
#define CALL_ERROR "Encountered error while calling GetParameters API. Error: "

/* ------------------------------------------------------------------ kept */

static void
load_kept(struct store_call *c)
{
	char *text = NULL;
	size_t len = 0;

	if (c->kept)
		return;
	if (c->S->api->state_get(c->S, KEY, &text, &len) >= 0)
		c->kept = json_parse(text, len, KEY, NULL);
	c->S->api->free(c->S, text);
	if (!json_is_object(c->kept)) {
		json_decref(c->kept);
		c->kept = json_object();
	}
}

int32_t
store_call_keep(struct ssm *S, const json_t *known)
{
	autofree char *text = json_text(known);

	if (json_object_size(known) == 0 || strlen(text) > STATE_MAX_BYTES)
		return 0;
	return S->api->state_put(S, KEY, text, strlen(text));
}

/* What is kept of NAMES goes into PARAMETERS, in the form of an answer; the others are returned. */
static json_t *
answer_from_kept(const struct store_call *c, const json_t *names, json_t *parameters)
{
	json_t *rest = json_array();

	for (size_t i = 0; i < json_array_size(names); i++) {
		json_t *name = json_array_get(names, i);
		const json_t *kept = json_object_get(c->kept, json_string_value(name));
		const char *type = json_str(kept, "Type", NULL);
		json_t *value = json_object_get(kept, "Value");

		if (type && json_is_string(value))
			(void)json_array_append_new(parameters,
						    json_pack("{s:O, s:s, s:O}", "Name", name,
							      "Type", type, "Value", value));
		else
			(void)json_array_append(rest, name);
	}
	return rest;
}

/* ------------------------------------------------------------------ calls */

/* The text of verror() cannot be asked for; what an operator can mend is said here once more. */
static char *
word_failure(int32_t r)
{
	if (r == -EACCES)
		return xstrdup(CALL_ERROR "the plugin may not call it; add 'Calls = "
					  "ssm:GetParameters' to [plugin runCommand]");
	if (r == -ENOSYS)
		return xstrdup(CALL_ERROR "there is no agent to ask");
	return xasprintf(CALL_ERROR "%s", strerror(-r));
}

static char *
word_refusal(const struct ssm_reply *reply)
{
	autojson json_t *body =
		reply->body ? json_parse(reply->body, reply->body_len, "answer", NULL) : NULL;
	const char *message = json_str(body, "message", json_str(body, "Message", ""));

	return xasprintf(CALL_ERROR "%s%s%s (status %d)",
			 reply->error ? reply->error : "it was refused", *message ? ": " : "",
			 message, (int)reply->status);
}

static json_t *
read_answer(const struct ssm_reply *reply, char **ret_trace)
{
	struct err e = { 0, "" };
	json_t *answer = json_parse(reply->body ? reply->body : "", reply->body_len, "answer", &e);

	if (json_is_object(answer))
		return answer;
	*ret_trace = xasprintf(CALL_ERROR "%s", answer ? "the answer is no object" : e.text);
	json_decref(answer);
	return NULL;
}

static json_t *
call(struct ssm *S, json_t *names, char **ret_trace)
{
	autojson json_t *body = json_pack("{s:O, s:b}", "Names", names, "WithDecryption", 0),
			*answer = NULL;
	autofree char *text = json_text(body);
	struct ssm_request q = { .size = sizeof(q),
				 .service = "ssm",
				 .target = "AmazonSSM.GetParameters",
				 .body = text,
				 .body_len = strlen(text) };
	struct ssm_reply reply = { .size = sizeof(reply) };
	int32_t r = S->api->call(S, &q, &reply);

	if (r == -ECANCELED)
		return NULL;
	if (r < 0)
		*ret_trace = word_failure(r);
	else if (reply.status != 200)
		*ret_trace = word_refusal(&reply);
	else
		answer = read_answer(&reply, ret_trace);
	S->api->free(S, reply.error);
	S->api->free(S, reply.body);
	S->api->free(S, reply.headers);
	S->api->free(S, reply.url);
	return TAKE(answer);
}

json_t *
store_call_ask(void *arg, const json_t *names, char **ret_trace)
{
	struct store_call *c = arg;
	autojson json_t *parameters = json_array(), *rest = NULL, *answer = NULL;
	json_t *came;

	load_kept(c);
	rest = answer_from_kept(c, names, parameters);
	if (json_array_size(rest) == 0)
		return json_pack("{s:O}", "Parameters", parameters);
	answer = call(c->S, rest, ret_trace);
	if (!answer)
		return NULL;
	came = json_object_get(answer, "Parameters");
	if (json_is_array(came))
		(void)json_array_extend(came, parameters);
	return TAKE(answer);
}

void
store_call_done(struct store_call *c)
{
	json_decref(c->kept);
	c->kept = NULL;
}
