/* SPDX-License-Identifier: Apache-2.0 */
/* A message becomes a document that runs, or one reply that says why it cannot. */
#include "plugins/runCommand/handle.h"

#include <errno.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/runCommand/doc.h"
#include "plugins/runCommand/interp.h"
#include "plugins/runCommand/reply.h"

/* The one reply to a document that cannot run. */
static int32_t
refuse(struct ssm *S, struct ssm_message *msg, const char *trace)
{
	struct reply_agent agent = interp_agent(S);
	size_t len;
	autofree char *text = reply_refused(&agent, clock_wall_ms(), trace, &len);

	return S->api->msg_reply(S, msg, text, len, 1);
}

static int32_t
run_document(struct ssm *S, struct ssm_message *msg, const json_t *message)
{
	const char *instance = S->api->info(S, "instance-id");
	const char *destination = json_str(message, "Destination", instance ? instance : "");
	autofree char *id = doc_command_id(json_str(message, "MessageId", ""));
	autofree char *trace = NULL;
	struct doc *d = doc_new(json_object_get(message, "Payload"), &trace);
	int32_t r;

	if (!d)
		return refuse(S, msg, trace);
	r = interp_run(S, msg, d, id ? id : d->command_id, destination);
	(void)doc_free(d);
	return r;
}

int32_t
handle_command(struct ssm *S, struct ssm_message *msg)
{
	size_t len;
	const char *text = S->api->msg_json(S, msg, "", &len);
	struct err e = { 0, "" };
	autojson json_t *message = text ? json_parse(text, len, "message", &e) : NULL;

	if (!message)
		return ssm_fail(S, -EINVAL, "%s", text ? e.text : "the message is empty");
	return run_document(S, msg, message);
}
