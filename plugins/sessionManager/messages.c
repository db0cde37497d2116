/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of the data channel's messages: JSON but for flags and exit codes. */
#include "plugins/sessionManager/messages.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define FAILURE_MAX 2048 /* bytes of a client's error that are passed on */

static int
wrong_type(const char *what, const char *key, const char *wanted, struct err *e)
{
	return err_set(e, -EBADMSG, "%s: '%s' is not %s; the message is dropped", what, key,
		       wanted);
}

/* "" when absent. Borrowed from OBJ. */
static int
get_text(json_t *obj, const char *what, const char *key, const char **ret, struct err *e)
{
	const json_t *v = json_any_case(obj, key);

	if (v && (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v)))
		return wrong_type(what, key, "a text without NUL", e);
	*ret = v ? json_string_value(v) : "";
	return 0;
}

static int
get_number(json_t *obj, const char *what, const char *key, int64_t max, int64_t *ret, struct err *e)
{
	const json_t *v = json_any_case(obj, key);
	int64_t n = v && json_is_integer(v) ? json_integer_value(v) : 0;

	if ((v && !json_is_integer(v)) || n < 0 || n > max)
		return err_set(e, -EBADMSG, "%s: '%s' is not a number from 0 to %" PRId64
			       "; the message is dropped", what, key, max);
	*ret = n;
	return 0;
}

static int
get_bool(json_t *obj, const char *what, const char *key, bool *ret, struct err *e)
{
	const json_t *v = json_any_case(obj, key);

	if (v && !json_is_boolean(v))
		return wrong_type(what, key, "true or false", e);
	*ret = v && json_is_true(v);
	return 0;
}

static int
get_object(struct span payload, const char *what, size_t max, json_t **ret, struct err *e)
{
	autojson json_t *v = NULL;

	if (payload.len > max)
		return err_set(e, -EMSGSIZE, "%s: %zu bytes of JSON, more than %zu; the message is "
			       "dropped", what, payload.len, max);
	v = json_parse(payload.p, payload.len, what, e);
	if (!v)
		return e ? (e->code = -EBADMSG) : -EBADMSG;
	if (!json_is_object(v))
		return err_set(e, -EBADMSG, "%s: not a JSON object; the message is dropped", what);
	*ret = TAKE(v);
	return 0;
}

int
message_read_ack(struct span payload, int64_t *ret_seq, char ret_id[FRAME_UUID_SIZE], struct err *e)
{
	static const char what[] = "acknowledge";
	autojson json_t *v = NULL;
	const char *type, *id;
	int64_t seq;
	bool sequential;
	int r = get_object(payload, what, MESSAGE_MAX_SMALL, &v, e);

	if (r >= 0)
		r = get_text(v, what, "AcknowledgedMessageType", &type, e);
	if (r >= 0)
		r = get_text(v, what, "AcknowledgedMessageId", &id, e);
	if (r >= 0)
		r = get_number(v, what, "AcknowledgedMessageSequenceNumber", INT64_MAX, &seq, e);
	if (r >= 0)
		r = get_bool(v, what, "IsSequentialMessage", &sequential, e);
	if (r >= 0) {
		*ret_seq = seq;
		(void)snprintf(ret_id, FRAME_UUID_SIZE, "%s",
			       strlen(id) == FRAME_UUID_SIZE - 1 ? id : "");
	}
	return r;
}

int
message_read_size(struct span payload, uint32_t *ret_cols, uint32_t *ret_rows, struct err *e)
{
	static const char what[] = "size of the terminal";
	autojson json_t *v = NULL;
	int64_t cols, rows;
	int r = get_object(payload, what, MESSAGE_MAX_SMALL, &v, e);

	if (r >= 0)
		r = get_number(v, what, "cols", UINT32_MAX, &cols, e);
	if (r >= 0)
		r = get_number(v, what, "rows", UINT32_MAX, &rows, e);
	if (r < 0)
		return r;
	*ret_cols = (uint32_t)cols;
	*ret_rows = (uint32_t)rows;
	return 0;
}

int
message_read_flag(struct span payload, uint32_t *ret_flag, struct err *e)
{
	const unsigned char *p = (const unsigned char *)payload.p;

	if (payload.len != 4)
		return err_set(e, payload.len > MESSAGE_MAX_SMALL ? -EMSGSIZE : -EBADMSG,
			       "flag: %zu bytes instead of 4; the message is dropped", payload.len);
	*ret_flag = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return 0;
}

int
message_read_closed(struct span payload, char **ret_session, struct err *e)
{
	static const char what[] = "channel_closed";
	static const char *const texts[] = { "MessageType", "MessageId", "DestinationId",
					     "CreatedDate", "Output", "SessionId" };
	autojson json_t *v = NULL;
	const char *text = "";
	int64_t schema;
	int r = get_object(payload, what, MESSAGE_MAX_HANDSHAKE, &v, e);

	if (r >= 0)
		r = get_number(v, what, "SchemaVersion", INT64_MAX, &schema, e);
	for (size_t i = 0; i < NELEMS(texts) && r >= 0; i++)
		r = get_text(v, what, texts[i], &text, e);
	if (r >= 0)
		*ret_session = xstrdup(text);
	return r;
}

int
message_read_challenge(struct span payload, unsigned char **ret, size_t *ret_len, struct err *e)
{
	static const char what[] = "encryption challenge";
	autojson json_t *v = NULL;
	const char *text;
	int r = get_object(payload, what, MESSAGE_MAX_SMALL, &v, e);

	if (r >= 0)
		r = get_text(v, what, "Challenge", &text, e);
	if (r >= 0 && (!*text || text_unbase64(text, ret, ret_len) < 0))
		r = wrong_type(what, "Challenge", "base64", e);
	return r;
}

/* What the client found out about KMS; RESULT may be absent when it failed. */
static int
read_kms(json_t *result, const char *what, struct handshake_response *ret, struct err *e)
{
	autofree unsigned char *key = NULL;
	const char *text, *hash;
	size_t len;
	int r;

	if (!result || !json_is_object(result))
		return wrong_type(what, "ActionResult", "an object", e);
	r = get_text(result, what, "KMSCipherTextKey", &text, e);
	if (r >= 0)
		r = get_text(result, what, "KMSCipherTextHash", &hash, e);
	if (r >= 0)
		r = get_bool(result, what, "ChallengeAcknowledgement", &ret->challenge_known, e);
	if (r < 0)
		return r;
	if (!*text || strlen(text) > MESSAGE_KMS_KEY_MAX || text_unbase64(text, &key, &len) < 0)
		return wrong_type(what, "KMSCipherTextKey", "the base64 of a key", e);
	secret_free(ret->kms_key);
	ret->kms_key = xstrdup(text);
	ret->kms = true;
	return 0;
}

static int
read_action(json_t *action, const char *what, struct handshake_response *ret, struct err *e)
{
	autofree char *name = NULL, *shown = NULL;
	const char *type, *error;
	int64_t status;
	int r;

	if (!json_is_object(action))
		return wrong_type(what, "ProcessedClientActions", "a list of objects", e);
	r = get_text(action, what, "ActionType", &type, e);
	if (r >= 0)
		r = get_number(action, what, "ActionStatus", INT32_MAX, &status, e);
	if (r >= 0)
		r = get_text(action, what, "Error", &error, e);
	if (r < 0)
		return r;
	if (status == 1 && !strcmp(type, "KMSEncryption"))
		return read_kms(json_any_case(action, "ActionResult"), what, ret, e);
	if (status == 1) {
		ret->session_type |= !strcmp(type, "SessionType");
		return 0;
	}
	if (ret->failure) /* the first one is told */
		return 0;
	name = text_escape_controls(type, strnlen(type, 64));
	shown = text_escape_controls(error, text_utf8_floor(error, strlen(error),
							    strnlen(error, FAILURE_MAX)));
	ret->failure = xasprintf("%s failed on client with status %" PRId64 " error: %s", name,
				 status, shown);
	return 0;
}

int
message_read_handshake(struct span payload, struct handshake_response *ret, struct err *e)
{
	static const char what[] = "handshake response";
	struct handshake_response h = { 0 };
	autojson json_t *v = NULL;
	const char *version;
	json_t *actions;
	int r = get_object(payload, what, MESSAGE_MAX_HANDSHAKE, &v, e);

	if (r >= 0)
		r = get_text(v, what, "ClientVersion", &version, e);
	if (r < 0)
		return r;
	if (strlen(version) >= sizeof(h.client_version))
		return wrong_type(what, "ClientVersion", "a version", e);
	memcpy(h.client_version, version, strlen(version));
	actions = json_any_case(v, "ProcessedClientActions");
	if (actions && (!json_is_array(actions) || json_array_size(actions) > MESSAGE_MAX_ACTIONS))
		return wrong_type(what, "ProcessedClientActions", "a list of at most 16", e);
	for (size_t i = 0; i < json_array_size(actions) && r >= 0; i++)
		r = read_action(json_array_get(actions, i), what, &h, e);
	if (r < 0)
		handshake_response_done(&h);
	else
		*ret = h;
	return r;
}

void
handshake_response_done(struct handshake_response *r)
{
	secret_free(r->kms_key);
	mem_cleanup_free(&r->failure);
	memset(r, 0, sizeof(*r));
}

static void
add_text(struct sbuf *out, const char *key, const char *text)
{
	sbuf_addf(out, "\"%s\":", key);
	json_add_string_go(out, text, strlen(text));
}

int
message_write_ack(const struct frame *of, struct sbuf *out)
{
	sbuf_addc(out, '{');
	add_text(out, "AcknowledgedMessageType", of->type);
	sbuf_addc(out, ',');
	add_text(out, "AcknowledgedMessageId", of->id);
	return sbuf_addf(out, ",\"AcknowledgedMessageSequenceNumber\":%" PRId64
			 ",\"IsSequentialMessage\":true}", of->seq);
}

int
message_write_state(const char *state, const char *session, struct sbuf *out)
{
	sbuf_adds(out, "{\"SchemaVersion\":1,");
	add_text(out, "SessionState", state);
	sbuf_addc(out, ',');
	add_text(out, "SessionId", session);
	return sbuf_addc(out, '}');
}

int
message_write_flag(enum session_flag flag, struct sbuf *out)
{
	const unsigned char p[4] = { 0, 0, 0, (unsigned char)flag };

	return sbuf_add(out, p, sizeof(p));
}

int
message_write_exit_code(int code, struct sbuf *out)
{
	return sbuf_addf(out, "EXIT_CODE: %d", code);
}

int
message_write_challenge(const void *data, size_t len, struct sbuf *out)
{
	autofree char *text = text_base64(data, len);

	return sbuf_addf(out, "{\"Challenge\":\"%s\"}", text);
}

int
message_write_handshake(const struct handshake_request *r, struct sbuf *out)
{
	autofree char *properties = r->properties ? json_text_go(r->properties, true) : NULL;

	sbuf_addc(out, '{');
	add_text(out, "AgentVersion", r->agent_version);
	sbuf_adds(out, ",\"RequestedClientActions\":[{\"ActionType\":\"SessionType\","
		  "\"ActionParameters\":{");
	add_text(out, "SessionType", r->session_type);
	sbuf_addf(out, ",\"Properties\":%s}}", properties ? properties : "null");
	if (r->kms_key_id) {
		sbuf_adds(out, ",{\"ActionType\":\"KMSEncryption\",\"ActionParameters\":{");
		add_text(out, "KMSKeyId", r->kms_key_id);
		sbuf_addc(out, ',');
		add_text(out, "Challenge", r->challenge);
		sbuf_adds(out, "}}");
	}
	return sbuf_adds(out, "]}");
}

int
message_write_complete(int64_t took_ns, const char *text, struct sbuf *out)
{
	sbuf_addf(out, "{\"HandshakeTimeToComplete\":%" PRId64 ",", took_ns);
	add_text(out, "CustomerMessage", text);
	return sbuf_addc(out, '}');
}

/* One part from *S on, saturated; *S is behind its dot, or at the end. */
static uint64_t
version_part(const char **s)
{
	bool number = true;
	uint64_t n = 0;

	for (; **s && **s != '.'; ++*s) {
		number = number && **s >= '0' && **s <= '9';
		if (number && n < UINT64_MAX / 20)
			n = n * 10 + (uint64_t)(**s - '0');
	}
	if (**s)
		++*s;
	return number ? n : 0;
}

int
version_compare(const char *a, const char *b)
{
	while (*a && *b) {
		uint64_t x = version_part(&a), y = version_part(&b);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (*a != 0) - (*b != 0);
}
