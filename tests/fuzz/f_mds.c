/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of ec2messages: the list of messages, their envelopes and payloads, and refusals. */
#include "tests/fuzz/fuzz.h"

#include <ctype.h>

#include "core/agent/envelope.h"
#include "core/aws/call_error.h"
#include "core/aws/mds.h"
#include "core/base/json.h"

/* It becomes the name of a folder. */
static void
check_id(const char *id)
{
	FUZZ_CHECK(*id && strlen(id) <= 200 && *id != '.');
	for (const char *s = id; *s; s++)
		FUZZ_CHECK(isalnum((unsigned char)*s) || strchr("._-", *s));
}

static void
check_object(const struct envelope *env, json_t *payload)
{
	static const char *const pointers[] = { "/MessageId", "/Payload/CommandId",
						"/Payload/CancelMessageId", "/Payload/a/0" };
	autojson json_t *object = envelope_object(env, payload), *again = NULL;
	autofree char *text = NULL;

	FUZZ_CHECK(object);
	text = json_text(object);
	again = json_parse(text, strlen(text), "the object", NULL);
	FUZZ_CHECK(again || strlen(text) > 0);
	for (size_t i = 0; i < NELEMS(pointers); i++) {
		const char *id = envelope_job_id(object, pointers[i]);

		if (id)
			check_id(id);
	}
}

static void
check_message(const json_t *m)
{
	struct envelope env;
	autofree char *why = NULL;
	autojson json_t *payload = NULL;

	if (!envelope_read(m, &env))
		return;
	check_id(env.message_id);
	payload = envelope_payload(&env, &why);
	FUZZ_CHECK(!payload == !!why);
	check_object(&env, payload);
}

static void
check_refusal(const char *body, size_t len, const json_t *json)
{
	struct http_response r = { .status = 400, .body = body, .body_len = len };
	struct call_error e;

	call_error_read(&r, json, &e);
	FUZZ_CHECK(strlen(e.code) < sizeof(e.code));
	if (e.message && *e.message)
		fuzz_check_message(e.message);
	call_error_done(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *body = xmemdup(data, size);
	struct err e = { 0, "" };
	autojson json_t *answer = json_parse(body, size, "the answer", &e);
	json_t *messages = NULL, *m;
	size_t i;

	if (!answer)
		fuzz_check_message(err_text(&e));
	check_refusal(body, size, answer);
	if (mds_read_messages(answer, &messages, &e) < 0) {
		fuzz_check_message(err_text(&e));
		return 0;
	}
	json_array_foreach(messages, i, m) check_message(m);
	return 0;
}
