/* SPDX-License-Identifier: Apache-2.0 */
/* A message becomes a document that runs, or one reply that says why it cannot. */
#include "plugins/runCommand/handle.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/runCommand/audit.h"
#include "plugins/runCommand/doc.h"
#include "plugins/runCommand/given.h"
#include "plugins/runCommand/interp.h"
#include "plugins/runCommand/reply.h"
#include "plugins/runCommand/show.h"
#include "plugins/runCommand/store_call.h"

/* The one reply to a document that cannot run. */
static int32_t
refuse(struct ssm *S, struct ssm_message *msg, const json_t *message, const char *trace)
{
	const json_t *payload = json_object_get(message, "Payload");
	autofree char *id = doc_command_id(json_str(message, "MessageId", ""));
	const struct audit a = { .id = id ? id : "",
				 .document = json_str(payload, "DocumentName", ""),
				 .status = STATUS_FAILED };
	struct reply_agent agent = interp_agent(S);
	size_t len;
	autofree char *text = reply_refused(&agent, clock_wall_ms(), trace, &len);

	audit_command(S, &a);
	return S->api->msg_reply(S, msg, text, len, 1);
}

static struct doc *
load(struct ssm *S, const json_t *payload, bool unchecked, char **ret_trace)
{
	struct store_call call = { S, NULL };
	struct doc_source source = { payload, unchecked, store_call_ask, &call };
	struct doc *d = doc_new(&source, ret_trace);

	if (d)
		d->store.ask = NULL; /* all is known */
	store_call_done(&call);
	return d;
}

static int32_t
run_document(struct ssm *S, struct ssm_message *msg, const json_t *message, bool unchecked)
{
	const char *instance = S->api->info(S, "instance-id");
	const char *destination = json_str(message, "Destination", instance ? instance : "");
	autofree char *id = doc_command_id(json_str(message, "MessageId", ""));
	autofree char *trace = NULL;
	struct doc *d = load(S, json_object_get(message, "Payload"), unchecked, &trace);
	int32_t r;

	if (!d && !trace)
		return ssm_fail(S, -ECANCELED, "the command was cancelled before its first step");
	if (!d)
		return refuse(S, msg, message, trace);
	r = interp_run(S, msg, d, id ? id : d->command_id, destination);
	(void)doc_free(d);
	return r;
}

static json_t *
read_message(struct ssm *S, struct ssm_message *msg, bool unchecked, struct err *e)
{
	size_t len;
	const char *text = S->api->msg_json(S, msg, "", &len);
	json_t *message = text ? json_parse(text, len, "message", e) : NULL;

	if (!text)
		err_set(e, -EINVAL, "the message is empty");
	if (message && unchecked)
		given_convert(json_object_get(message, "Payload"));
	return message;
}

static int32_t
handle(struct ssm *S, struct ssm_message *msg, bool unchecked)
{
	struct err e = { 0, "" };
	autojson json_t *message = read_message(S, msg, unchecked, &e);

	if (!message)
		return ssm_fail(S, -EINVAL, "%s", e.text);
	return run_document(S, msg, message, unchecked);
}

int32_t
handle_command(struct ssm *S, struct ssm_message *msg)
{
	return handle(S, msg, false);
}

int32_t
handle_unchecked_command(struct ssm *S, struct ssm_message *msg)
{
	return handle(S, msg, true);
}

int32_t
handle_show_command(struct ssm *S, struct ssm_message *msg)
{
	struct err e = { 0, "" };
	autojson json_t *message = read_message(S, msg, true, &e);
	autofree char *trace = NULL, *text = NULL;
	struct doc *d;

	if (!message)
		return ssm_fail(S, -EINVAL, "%s", e.text);
	d = load(S, json_object_get(message, "Payload"), true, &trace);
	if (!d && !trace)
		return ssm_fail(S, -ECANCELED, "the command was cancelled");
	text = d ? show_document(S, d) : show_refused(trace);
	(void)doc_free(d);
	return S->api->msg_reply(S, msg, text, strlen(text), 1);
}
