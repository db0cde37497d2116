/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON and the one XML text of the control channel, byte by byte as the reference has them. */
#include "plugins/sessionManager/control_messages.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "plugins/sessionManager/xml.h"

#define CUT "\n--output truncated--"

/* ------------------------------------------------------------------ JSON */

/* The value of KEY in any case, an exact match first; NULL when absent or null (spec 02 §2.6). */
static const json_t *
member(const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);
	const char *name;
	json_t *other;

	if (v && !json_is_null(v))
		return v;
	v = NULL;
	json_object_foreach((json_t *)(uintptr_t)obj, name, other)
		if (strcasecmp(name, key) == 0 && !json_is_null(other))
			v = other;
	return v;
}

/* A text without NUL, "" when absent; NULL: of another type. */
static char *
text_member(const json_t *obj, const char *key)
{
	const json_t *v = member(obj, key);

	if (!v)
		return xstrdup("");
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
		return NULL;
	return xstrdup(json_string_value(v));
}

void
control_job_done(struct control_job *j)
{
	free(TAKE(j->id));
	free(TAKE(j->topic));
	free(TAKE(j->content));
}

int
control_job_read(struct span payload, struct control_job *ret, struct err *e)
{
	autojson json_t *o = json_parse(payload.p, payload.len, "agent_job", e);

	memset(ret, 0, sizeof(*ret));
	if (!json_is_object(o))
		return err_set(e, -EBADMSG, "agent_job: not a JSON object");
	ret->id = text_member(o, "JobId");
	ret->topic = text_member(o, "Topic");
	ret->content = text_member(o, "Content");
	if (!ret->id || !*ret->id || !ret->topic || !*ret->topic || !ret->content)
		return err_set(e, -EBADMSG,
			       "agent_job: JobId, Topic or Content is missing or no text");
	return 0;
}

/* The text member KEY of a message that acknowledges another one. Caller frees. */
static char *
read_ack(struct span payload, const char *what, const char *key, struct err *e)
{
	autojson json_t *o = json_parse(payload.p, payload.len, what, e);
	char *id = json_is_object(o) ? text_member(o, key) : NULL;

	if (id && *id)
		return id;
	free(id);
	(void)err_set(e, -EBADMSG, "%s: it names no message", what);
	return NULL;
}

char *
control_reply_ack_read(struct span payload, struct err *e)
{
	return read_ack(payload, "agent_job_reply_ack", "acknowledgedMessageId", e);
}

char *
control_task_ack_read(struct span payload, struct err *e)
{
	return read_ack(payload, "agent_task_acknowledge", "MessageId", e);
}

char *
control_shell_read(struct span payload, char **ret_content, struct err *e)
{
	autojson json_t *o = json_parse(payload.p, payload.len, "interactive_shell", e);
	autojson json_t *in = NULL;
	autofree char *content = json_is_object(o) ? text_member(o, "Content") : NULL;
	char *id = NULL;

	if (content)
		in = json_parse(content, strlen(content), "interactive_shell", e);
	if (json_is_object(in))
		id = text_member(in, "SessionId");
	if (id && *id) {
		*ret_content = TAKE(content);
		return id;
	}
	free(id);
	(void)err_set(e, -EBADMSG, "interactive_shell: it names no session");
	return NULL;
}

char *
control_session_job(const char *session)
{
	autosbuf struct sbuf b = SBUF_INIT(16384);

	(void)sbuf_adds(&b, "aws.ssm.session.");
	for (const char *s = session; *s; s++)
		if ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
		    (*s >= 'A' && *s <= 'Z') || *s == '-' || *s == '.')
			(void)sbuf_addc(&b, *s);
		else
			(void)sbuf_addf(&b, "_%02x", (unsigned char)*s);
	return b.err ? NULL : sbuf_take(&b, NULL);
}

static int
put(struct sbuf *out, const char *before, const char *text)
{
	(void)sbuf_adds(out, before);
	return json_add_string_go(out, text, strlen(text));
}

int
control_open_write(const char *request_id, const char *token, const char *agent_version,
		   struct sbuf *out)
{
	(void)put(out, "{\"Cookie\":null,\"MessageSchemaVersion\":\"1.0\",\"RequestId\":",
		  request_id);
	(void)put(out, ",\"TokenValue\":", token);
	(void)put(out, ",\"AgentVersion\":", agent_version);
	return sbuf_adds(out, ",\"PlatformType\":\"linux\"}");
}

int
data_open_write(const char *request_id, const char *token, const char *instance, struct sbuf *out)
{
	(void)put(out, "{\"MessageSchemaVersion\":\"1.0\",\"RequestId\":", request_id);
	(void)put(out, ",\"TokenValue\":", token);
	(void)put(out, ",\"ClientInstanceId\":", instance);
	return sbuf_adds(out, ",\"ClientId\":\"\"}");
}

static const struct {
	const char *code, *name;
} codes[] = {
	[CONTROL_SUCCESSFUL] = { "200", "Successful" },
	[CONTROL_CLOSED] = { "51401", "ClosedProcessor" },
	[CONTROL_BUFFER_FULL] = { "51402", "ProcessorBufferFull" },
	[CONTROL_UNEXPECTED_TYPE] = { "51403", "UnexpectedDocumentType" },
	[CONTROL_DUPLICATE] = { "51405", "DuplicateCommand" },
	[CONTROL_INVALID] = { "51406", "InvalidDocument" },
	[CONTROL_PARSE_ERROR] = { "51408", "AgentJobMessageParseError" },
	[CONTROL_UNEXPECTED] = { "51499", "UnexpectedError" },
};

int
control_ack_write(const char *job_id, const char *message_id, int64_t created_ms,
		  enum control_code code, struct sbuf *out)
{
	char created[TEXT_STAMP_SIZE];

	text_iso8601_ms(created_ms, created);
	(void)put(out, "{\"jobId\":", job_id);
	(void)put(out, ",\"acknowledgedMessageId\":", message_id);
	(void)put(out, ",\"createdDate\":", created);
	(void)put(out, ",\"statusCode\":", codes[code].code);
	(void)put(out, ",\"errorMessage\":", codes[code].name);
	return sbuf_addc(out, '}');
}

int
control_reply_write(const char *job_id, const char *topic, const char *content, size_t len,
		    struct sbuf *out)
{
	static const char *const bare[] = { "aws.ssm.sendCommand", "aws.ssm.cancelCommand" };

	for (size_t i = 0; i < NELEMS(bare); i++)
		if (text_starts(topic, bare[i]))
			topic = bare[i];
	(void)put(out, "{\"schemaVersion\":1,\"jobId\":", job_id);
	(void)sbuf_adds(out, ",\"content\":");
	(void)json_add_string_go(out, content, len);
	(void)put(out, ",\"topic\":", topic);
	return sbuf_addc(out, '}');
}

/* The text at KEY to at most MAX bytes. */
static void
cut_member(json_t *step, const char *key, size_t max)
{
	const json_t *v = json_object_get(step, key);
	size_t len = json_string_length(v), keep = max > strlen(CUT) ? max - strlen(CUT) : 0;
	autofree char *text = NULL;

	if (!json_is_string(v) || len <= max)
		return;
	keep = text_utf8_floor(json_string_value(v), len, keep);
	text = xasprintf("%.*s%s", (int)keep, json_string_value(v), max ? CUT : "");
	(void)json_object_set_new(step, key, json_string(text));
}

static void
cut_outputs(json_t *payload, size_t max)
{
	static const char *const keys[] = { "standardOutput", "standardError", "output" };
	const char *name;
	json_t *step;

	json_object_foreach(json_object_get(payload, "runtimeStatus"), name, step)
		for (size_t i = 0; i < NELEMS(keys); i++)
			cut_member(step, keys[i], max);
}

char *
control_content_fit(const char *content, size_t len)
{
	static const size_t limits[] = { 12000, 6000, 2500, 500, 0 };
	autojson json_t *payload = NULL;

	if (len <= CONTROL_CONTENT_MAX)
		return xmemdup(content, len);
	payload = json_parse(content, len, "content", NULL);
	for (size_t i = 0; payload && i < NELEMS(limits); i++) {
		autofree char *text = NULL;

		cut_outputs(payload, limits[i]);
		text = json_text_go(payload, false);
		if (strlen(text) <= CONTROL_CONTENT_MAX)
			return TAKE(text);
	}
	return NULL;
}

int
control_task_write(const struct control_task *t, struct sbuf *out)
{
	(void)put(out, "{\"SchemaVersion\":1,\"TaskId\":", t->session);
	(void)put(out, ",\"Topic\":\"agent_task_complete\",\"FinalTaskStatus\":", t->status);
	(void)sbuf_adds(out, ",\"IsRoutingFailure\":false,\"AwsAccountId\":\"\"");
	(void)put(out, ",\"InstanceId\":", t->instance);
	(void)put(out, ",\"Output\":", t->output);
	(void)put(out, ",\"S3Bucket\":", json_str(t->log, "s3_bucket", ""));
	(void)put(out, ",\"S3UrlSuffix\":", json_str(t->log, "s3_key", ""));
	(void)put(out, ",\"CwlGroup\":", json_str(t->log, "log_group", ""));
	(void)put(out, ",\"CwlStream\":", json_str(t->log, "log_stream", ""));
	return sbuf_addf(out, ",\"RetryNumber\":%u}", t->retry);
}

/* The agent's own notice has what it says elsewhere than a session's result. */
int
control_task_of_reply(const char *session, const char *instance, const json_t *payload,
		      unsigned retry, struct sbuf *out)
{
	autojson json_t *o = json_is_string(payload)
		? json_parse(json_string_value(payload), json_string_length(payload), "reply", NULL)
		: NULL;
	const struct control_task t = {
		.session = session,
		.instance = instance,
		.status = json_str(o, "status", json_str(o, "documentStatus", "Failed")),
		.output = json_str(o, "output", json_str(o, "documentTraceOutput", "")),
		.retry = retry,
		.log = o,
	};

	return control_task_write(&t, out);
}

/* ------------------------------------------------------------------- XML */

char *
control_token_read(const char *xml, size_t len, struct err *e)
{
	char *token = NULL;

	if (len <= CONTROL_ANSWER_MAX)
		token = xml_text(xml, len, "TokenValue", XML_CHILD);
	if (token && *token && text_utf8_valid(token, strlen(token)))
		return token;
	secret_free(token);
	(void)err_set(e, -EBADMSG, "the answer to CreateControlChannel holds no TokenValue");
	return NULL;
}
