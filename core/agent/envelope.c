/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent reads of a message: the envelope, the payload as a value, the job's name. */
#include "core/agent/envelope.h"

#include <string.h>

#include "core/agent/jobstore.h"
#include "core/base/json.h"
#include "core/base/mem.h"

#define MESSAGE_MAX (1024u * 1024u)
#define ID_MIN 16u /* of the service's model: shorter ones cannot be answered */
#define FIELD_MAX 2048u

/* A member of text without NUL, or NULL. */
static const char *
field(const json_t *m, const char *key)
{
	const json_t *v = json_object_get(m, key);
	size_t len = json_string_length(v);

	if (!json_is_string(v) || len == 0 || len > FIELD_MAX ||
	    strlen(json_string_value(v)) != len)
		return NULL;
	return json_string_value(v);
}

bool
envelope_read(const json_t *m, struct envelope *ret)
{
	const json_t *payload = json_object_get(m, "Payload");

	*ret = (struct envelope){ .message_id = field(m, "MessageId"),
				  .topic = field(m, "Topic"),
				  .destination = field(m, "Destination"),
				  .created = field(m, "CreatedDate") };
	if (json_is_string(payload)) {
		ret->payload = json_string_value(payload);
		ret->payload_len = json_string_length(payload);
	}
	return ret->message_id && ret->topic && ret->destination && ret->created &&
		strlen(ret->message_id) >= ID_MIN && jobstore_id_ok(ret->message_id);
}

json_t *
envelope_payload(const struct envelope *env, char **ret_why)
{
	static const char wording[] = "encountered error while parsing input - internal error";
	struct err e = { 0 };
	json_t *v;

	if (env->payload_len > MESSAGE_MAX) {
		*ret_why = xasprintf("the message has %zu bytes, the limit is %u", env->payload_len,
				     MESSAGE_MAX);
		return NULL;
	}
	v = json_parse(env->payload ? env->payload : "", env->payload_len, "Payload", &e);
	if (json_is_object(v))
		return v;
	*ret_why = xasprintf("%s %s", wording, v ? "the payload is not an object" : err_text(&e));
	json_decref(v);
	return NULL;
}

json_t *
envelope_object(const struct envelope *env, json_t *payload)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:O?}", "MessageId", env->message_id, "Topic",
			 env->topic, "Destination", env->destination, "CreatedDate", env->created,
			 "Payload", payload);
}

const char *
envelope_job_id(const json_t *message, const char *pointer)
{
	const json_t *v = json_at(message, pointer);
	const char *id = json_string_value(v);

	return id && strlen(id) == json_string_length(v) && jobstore_id_ok(id) ? id : NULL;
}
