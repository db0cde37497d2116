/* SPDX-License-Identifier: Apache-2.0 */
/* A session: its channel on one side, its type on the other.
 *
 * Why output is held here: a type's pieces are of any size, messages are not, and none ends inside
 * a character. Once a piece is taken it will arrive; the next one has to wait until it is gone. */
#include "plugins/sessionManager/session.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "plugins/sessionManager/answer.h"
#include "plugins/sessionManager/channel.h"
#include "plugins/sessionManager/data.h"
#include "plugins/sessionManager/dial.h"
#include "plugins/sessionManager/document.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/later.h"
#include "plugins/sessionManager/messages.h"
#include "plugins/sessionManager/record.h"
#include "plugins/sessionManager/shelltext.h"
#include "plugins/sessionManager/store_ask.h"

#define PIECE_MAX (1024 * 1024) /* what a type may send at once */
#define OUTPUT_MAX 2500		/* bytes of a result's text, spec 02 §5.6 */
#define CUT "\n---Error truncated----"
#define ERROR_HEAD "\n----------ERROR-------\n"
#define INPUT_RETRY_MS 1000 /* until a type is asked again that did not say when */
#define TICK_MS 250
#define FAREWELL_MS 200 /* for the last state message to leave */
#define KMS_MS 15000

enum stage {
	SESSION_BEGINS,
	SESSION_RUNS,	/* open() of the type was called */
	SESSION_DRAINS, /* the type is done, output is on its way */
	SESSION_LEAVES, /* all is said */
};

/* Output of one kind that is not yet in a message. */
struct held {
	uint32_t payload_type;
	struct sbuf bytes;
};

struct ssm_session {
	struct ssm *S;
	struct ssm_message *message;
	json_t *document;
	char **texts; /* what session_str() gave */
	struct session_inputs inputs;
	struct ssm *type_S;
	const struct ssm_session_ops *type;
	bool bytes; /* a Port session: no characters */
	struct handshake_conf handshake;
	struct channel *channel;
	struct dial *dial;
	struct record *record;
	struct ssm_watch *timers[CHANNEL_TIMERS], *tick, *farewell, *retry, *cancel, *kms, *lost;
	struct held held[2];
	bool full, owed; /* the channel's window is; a type waits for writable() */
	enum stage stage;
	bool ready;  /* the channel is */
	bool closed; /* nobody listens any more */
	bool cancelled;
	int64_t drain_ms; /* since the client has acknowledged something */
	size_t drain_left;
	bool begun;  /* open() of the type was called */
	bool ending; /* the record is told to end */
	bool failed;
	char *text; /* for the operator, or NULL */
};

static struct ssm_session the; /* one a process */

static const char *
str(struct ssm *S, struct ssm_session *s, const char *pointer, const char *preset)
{
	const json_t *v = json_at(s->document, pointer);
	char *text;

	(void)S;
	if (!v || json_is_null(v))
		return preset;
	if (json_is_string(v))
		return json_string_value(v);
	text = json_text(v);
	strv_add(&s->texts, text);
	free(text);
	return s->texts[strv_len(s->texts) - 1];
}

/* ---------------------------------------------------------------- the end */

/* As operators get it: what the type says, and what became of the log. Caller frees. */
static char *
output_of(const struct ssm_session *s)
{
	const char *text = s->text ? s->text : "", *log = record_text(s->record);
	autofree char *whole = xasprintf("%s%s%s", text, *text && *log ? "\n" : "", log);
	size_t len = strlen(whole), keep = OUTPUT_MAX - strlen(CUT);

	if (len <= OUTPUT_MAX)
		return TAKE(whole);
	return xasprintf("%.*s" CUT, (int)text_utf8_floor(whole, len, keep), whole);
}

static void
reply(struct ssm_session *s)
{
	const char *status = s->failed || record_is_lost(s->record) ? "Failed" : "Success";
	autofree char *output = output_of(s), *text = NULL;
	autojson json_t *o = json_pack("{s:s,s:s+}", "status", status, "output", output, "");

	if (!o) /* not UTF-8 */
		o = json_pack("{s:s,s:s}", "status", status, "output", "");
	record_describe(s->record, o);
	record_audit(s->record, status);
	text = json_text(o);
	(void)s->S->api->msg_reply(s->S, s->message, text, strlen(text), 1);
}

static void
leave(struct ssm_session *s)
{
	if (s->stage == SESSION_LEAVES && !s->dial)
		return;
	s->stage = SESSION_LEAVES;
	later_never(s->S, &s->tick);
	later_never(s->S, &s->farewell);
	later_never(s->S, &s->retry);
	later_never(s->S, &s->kms);
	later_never(s->S, &s->lost);
	for (size_t i = 0; i < NELEMS(s->timers); i++)
		later_never(s->S, &s->timers[i]);
	s->dial = dial_free(s->dial);
	reply(s);
}

static int32_t
on_farewell(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct ssm_session *s = arg;

	(void)S;
	(void)w;
	s->farewell = NULL;
	if (!s->begun) {
		leave(s);
		return 0;
	}
	s->ending = true;
	record_end(s->record, s->cancelled);
	return 0;
}

/* The state message is not repeated, so it goes when all else has arrived. */
static void
say_farewell(struct ssm_session *s)
{
	if (s->stage == SESSION_LEAVES)
		return;
	s->stage = SESSION_LEAVES;
	later_never(s->S, &s->tick);
	if (!s->closed && !s->bytes && dial_is_up(s->dial))
		channel_send_state(s->channel, "Terminating");
	later(s->S, &s->farewell, on_farewell, s, dial_is_up(s->dial) ? FAREWELL_MS : 0);
}

/* Bytes that wait for the window and messages that wait for the client: any change is a step. */
static size_t
what_is_left(const struct ssm_session *s)
{
	size_t left = channel_unacked(s->channel);

	for (size_t i = 0; i < NELEMS(s->held); i++)
		left += s->held[i].bytes.len;
	return left;
}

/* With the connection away its time does not count; a slow client has all it needs. */
static int32_t
on_tick(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct ssm_session *s = arg;
	size_t left = what_is_left(s);

	(void)S;
	(void)w;
	s->tick = NULL;
	if (left != s->drain_left)
		s->drain_ms = 0;
	else if (dial_is_up(s->dial))
		s->drain_ms += TICK_MS;
	s->drain_left = left;
	if (s->drain_ms >= SESSION_DRAIN_MS)
		say_farewell(s);
	else
		later(s->S, &s->tick, on_tick, s, TICK_MS);
	return 0;
}

static bool push(struct ssm_session *s, bool last);
static int32_t on_retry(struct ssm *S, struct ssm_watch *w, void *arg);

static void
drain(struct ssm_session *s)
{
	if (s->stage != SESSION_DRAINS)
		return;
	if (s->closed)
		say_farewell(s);
	else if (push(s, true))
		channel_end(s->channel, DIAL_OUTAGE_MS + SESSION_DRAIN_MS);
}

static void
finish(struct ssm_session *s, bool failed, const char *text)
{
	if (s->stage >= SESSION_DRAINS)
		return;
	s->failed = failed;
	s->text = xasprintf("%s%s", failed && *text ? ERROR_HEAD : "", text);
	s->stage = SESSION_DRAINS;
	later(s->S, &s->tick, on_tick, s, TICK_MS);
	drain(s);
}

/* The type ends the session in its own time; it is not asked twice. */
static void
close_type(struct ssm_session *s, enum session_reason reason)
{
	bool again = s->closed;

	s->closed = true;
	if (s->stage == SESSION_RUNS && !again)
		s->type->close(s->type_S, s, (int32_t)reason);
	else if (s->stage == SESSION_BEGINS)
		finish(s, false, "");
	else if (s->stage == SESSION_DRAINS)
		say_farewell(s);
}

static int32_t
on_cancel(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	struct ssm_session *s = arg;

	(void)S;
	(void)w;
	(void)fd;
	(void)events;
	s->cancel = NULL;
	s->cancelled = true;
	close_type(s, SESSION_CANCELLED);
	if (s->ending && s->dial)
		record_end(s->record, true);
	return -ECANCELED;
}

/* ------------------------------------------------------------------ the log */

static void
on_lost(void *arg)
{
	close_type(arg, SESSION_LOST);
}

static int32_t
on_lost_due(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct ssm_session *s = arg;

	(void)S;
	(void)w;
	s->lost = NULL;
	on_lost(s);
	return 0;
}

static void
on_logged(void *arg)
{
	leave(arg);
}

/* Before it goes out. False: it must not, and the session ends. */
static bool
record(struct ssm_session *s, const void *data, size_t len)
{
	if (record_output(s->record, data, len) == 0)
		return true;
	if (!s->lost)
		later(s->S, &s->lost, on_lost_due, s, 0);
	return false;
}

/* ----------------------------------------------------------------- output */

static size_t
next_chunk(const struct ssm_session *s, const struct held *h, bool last)
{
	if (s->bytes)
		return h->bytes.len < DATA_CHUNK_BYTES ? h->bytes.len : DATA_CHUNK_BYTES;
	return shelltext_chunk(h->bytes.p, h->bytes.len, DATA_CHUNK_BYTES, last);
}

/* What is held, as far as it goes; LAST: incomplete characters, too. True: all that can go went. */
static bool
push(struct ssm_session *s, bool last)
{
	s->full = false;
	for (size_t i = 0; i < NELEMS(s->held); i++) {
		struct held *h = &s->held[i];
		size_t n;

		while (h->bytes.len > 0 && !s->full && (n = next_chunk(s, h, last)) > 0) {
			s->full = channel_send(s->channel, h->payload_type, h->bytes.p, n) < 0;
			if (!s->full)
				sbuf_consume(&h->bytes, n);
		}
	}
	return !s->full;
}

static int32_t
sent(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data, size_t len)
{
	if (s->stage != SESSION_RUNS)
		return ssm_fail(S, -EPIPE, "the session is not open");
	if (len > PIECE_MAX)
		return ssm_fail(S, -EMSGSIZE, "%zu bytes are too many at once", len);
	if (len == 0) { /* it takes input again */
		later(S, &s->retry, on_retry, s, 0);
		return 0;
	}
	if (s->closed)
		return 0; /* nobody is there to see it */
	if (s->full) {
		s->owed = true;
		return -EAGAIN;
	}
	for (size_t i = 0; i < NELEMS(s->held); i++) {
		if (s->held[i].payload_type != payload_type)
			continue;
		if (!record(s, data, len))
			return ssm_fail(S, -EIO, "the session is not logged");
		(void)sbuf_add(&s->held[i].bytes, data, len);
		(void)push(s, false);
		return 0;
	}
	s->full = !push(s, true) || channel_send(s->channel, payload_type, data, len) == -EAGAIN;
	s->owed = s->owed || s->full;
	if (!s->full)
		(void)record(s, data, len);
	return s->full ? -EAGAIN : 0;
}

static int32_t
ended(struct ssm *S, struct ssm_session *s, int32_t result, const char *text)
{
	(void)S;
	finish(s, result != SSM_SUCCESS, text ? text : "");
	return 0;
}

/* ------------------------------------------------------------ the channel */

static int
on_send(void *arg, const void *frame, size_t len)
{
	const struct ssm_session *s = arg;

	return dial_send(s->dial, frame, len);
}

static int32_t
on_data_due(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct ssm_session *s = arg;

	(void)S;
	(void)w;
	s->timers[CHANNEL_DATA] = NULL;
	channel_timer(s->channel, CHANNEL_DATA);
	return 0;
}

static int32_t
on_handshake_due(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct ssm_session *s = arg;

	(void)S;
	(void)w;
	s->timers[CHANNEL_HANDSHAKE] = NULL;
	channel_timer(s->channel, CHANNEL_HANDSHAKE);
	return 0;
}

static void
on_timer(void *arg, enum channel_timer which, int64_t after_ms)
{
	static ssm_timer_fn *const fns[] = { on_data_due, on_handshake_due };
	struct ssm_session *s = arg;

	if (after_ms < 0)
		later_never(s->S, &s->timers[which]);
	else
		later(s->S, &s->timers[which], fns[which], s, after_ms);
}

/* The type failed without a word. */
static void
open_type(struct ssm_session *s)
{
	int32_t r;

	s->stage = SESSION_RUNS;
	s->begun = true;
	record_begins(s->record);
	r = s->type->open(s->type_S, s);
	if (r < 0)
		finish(s, true, strerror(-r));
	else
		later(s->S, &s->retry, on_retry, s, 0); /* what came before it */
}

/* Once the channel and the log are. */
static void
begin(void *arg)
{
	struct ssm_session *s = arg;

	if (s->stage != SESSION_BEGINS || !s->ready || record_state(s->record) == LOGS_CHECKING)
		return;
	if (record_state(s->record) == LOGS_READY) {
		open_type(s);
		return;
	}
	finish(s, false, "");
	s->failed = true; /* why, the record says */
}

static void
on_ready(void *arg, int result, const char *text)
{
	struct ssm_session *s = arg;

	(void)json_object_set_new(s->document, "ClientVersion",
				  json_string(channel_client_version(s->channel)));
	if (s->stage != SESSION_BEGINS)
		return;
	s->ready = result >= 0;
	if (result < 0)
		finish(s, true, text);
	else
		begin(s);
}

static int32_t
on_retry(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct ssm_session *s = arg;
	struct err e = { 0, "" };

	(void)w;
	s->retry = NULL;
	if (channel_input_ready(s->channel, &e) < 0)
		ssm_log(S, SSM_DEBUG, "input is dropped: %s", err_text(&e));
	return 0;
}

static int
give(struct ssm_session *s, uint32_t payload_type, struct span payload, struct err *e)
{
	uint32_t cols, rows;
	int r;

	if (payload_type != PAYLOAD_SIZE) {
		r = s->type->input(s->type_S, s, payload_type, payload.p, payload.len);
		if (r >= 0)
			record_input(s->record, payload.len);
		return r;
	}
	r = message_read_size(payload, &cols, &rows, e);
	if (r < 0 || !s->type->resize)
		return 0;
	record_resize(s->record, cols, rows);
	(void)s->type->resize(s->type_S, s, cols, rows);
	return 0;
}

/* What a type does not take counts as processed: refused for ever, it would hold up all behind it.
 */
static int
on_input(void *arg, uint32_t payload_type, struct span payload, struct err *e)
{
	struct ssm_session *s = arg;
	int r;

	if (s->stage == SESSION_BEGINS)
		r = -EAGAIN;
	else
		r = s->stage == SESSION_RUNS && !s->closed ? give(s, payload_type, payload, e) : 0;
	if (r == -EAGAIN && !s->retry)
		later(s->S, &s->retry, on_retry, s, INPUT_RETRY_MS);
	else if (r < 0)
		ssm_log(s->S, SSM_DEBUG, "a message of type %u is not taken: %s", payload_type,
			strerror(-r));
	return r == -EAGAIN ? r : 0;
}

static void
on_writable(void *arg)
{
	struct ssm_session *s = arg;

	if (s->stage == SESSION_DRAINS) {
		drain(s);
		return;
	}
	if (!push(s, false) || !s->owed)
		return;
	s->owed = false;
	if (s->stage == SESSION_RUNS && s->type->writable)
		(void)s->type->writable(s->type_S, s);
}

static void
on_channel_closed(void *arg)
{
	close_type(arg, SESSION_CLOSED);
}

static void
on_channel_ended(void *arg, int result)
{
	(void)result;
	say_farewell(arg);
}

/* ----------------------------------------------------------------- the key */

static void
on_decrypted(struct ssm *S, int32_t result, const struct ssm_reply *r, void *arg)
{
	struct ssm_session *s = arg;
	autojson json_t *o = NULL;
	autofree unsigned char *key = NULL;
	autofree char *why = NULL;
	size_t len = 0;

	(void)S;
	s->kms = NULL;
	if (answer_is_good(result, r))
		o = json_parse(r->body ? r->body : "", r->body_len, "the answer of KMS", NULL);
	if (o && text_unbase64(json_str(o, "Plaintext", ""), &key, &len) == 0) {
		channel_key(s->channel, 0, "", key, len);
		wipe(key, len);
		return;
	}
	why = answer_is_good(result, r) ? xstrdup("the answer cannot be read")
					: answer_reason(result, r);
	channel_key(s->channel, -EACCES, why, NULL, 0);
}

static void
on_decrypt(void *arg, const char *cipher_text, const char *challenge)
{
	struct ssm_session *s = arg;
	const char *node = s->S->api->info(s->S, "instance-id");
	autojson json_t *context =
		json_pack("{s:s,s:s}", "aws:ssm:SessionId", json_str(s->document, "SessionId", ""),
			  "aws:ssm:TargetId", node ? node : "");
	autojson json_t *o = NULL;
	autofree char *body = NULL;
	struct ssm_request q = { .size = sizeof(q),
				 .service = "kms",
				 .target = "TrentService.Decrypt",
				 .timeout_ms = KMS_MS };

	if (challenge)
		(void)json_object_set_new(context, "aws:ssm:RandomChallenge",
					  json_string(challenge));
	o = json_pack("{s:s,s:O,s:s}", "CiphertextBlob", cipher_text, "EncryptionContext", context,
		      "KeyId", s->inputs.kms_key_id);
	body = o ? json_text(o) : xstrdup("{}");
	q.body = body;
	q.body_len = strlen(body);
	if (s->S->api->call_start(s->S, &q, on_decrypted, s, &s->kms) < 0)
		channel_key(s->channel, -EPIPE, "KMS cannot be asked", NULL, 0);
}

static const struct channel_ops channel_ops = { on_send,	   on_timer,	    on_decrypt,
						on_ready,	   on_input,	    on_writable,
						on_channel_closed, on_channel_ended };

/* -------------------------------------------------------------- the socket */

static void
on_up(void *arg)
{
	struct ssm_session *s = arg;

	channel_up(s->channel);
}

static void
on_down(void *arg)
{
	struct ssm_session *s = arg;

	channel_down(s->channel);
}

static void
on_message(void *arg, const void *data, size_t len)
{
	struct ssm_session *s = arg;
	struct err e = { 0, "" };

	if (channel_read(s->channel, data, len, &e) < 0 && e.code != -EAGAIN)
		ssm_log(s->S, SSM_DEBUG, "a message on the data channel is dropped: %s",
			err_text(&e));
}

static void
on_room(void *arg)
{
	struct ssm_session *s = arg;

	channel_transport_ready(s->channel);
}

static void
on_gone(void *arg, bool over, const char *why)
{
	struct ssm_session *s = arg;
	autofree char *text = xasprintf("Setting up data channel with id %s failed: %s",
					json_str(s->document, "SessionId", ""), why);

	if (s->stage == SESSION_BEGINS && !over)
		finish(s, true, text);
	ssm_log(s->S, SSM_WARN, "the data channel is gone for good: %s", why);
	close_type(s, SESSION_LOST);
}

static const struct dial_ops dial_ops = { on_up, on_down, on_message, on_room, on_gone };

/* ------------------------------------------------------------------- start */

static bool
wants_handshake(const char *type, const struct session_inputs *in)
{
	return strcmp(type, "Port") == 0 || strcmp(type, "NonInteractiveCommands") == 0 ||
		*in->kms_key_id;
}

static void
prepare_handshake(struct ssm_session *s, const char *type)
{
	const char *version = s->S->api->info(s->S, "reported-version");
	const char *required = s->S->api->info(s->S, "require-kms-challenge");
	struct command_properties p;

	s->bytes = strcmp(type, "Port") == 0;
	s->handshake = (struct handshake_conf){
		.agent_version = version ? version : "3.3.0.0",
		.session_type = type,
		.properties = s->bytes ? json_object_get(s->document, "properties") : NULL,
		.kms_key_id = *s->inputs.kms_key_id && !s->bytes ? s->inputs.kms_key_id : NULL,
		.require_challenge = required && strcmp(required, "yes") == 0,
	};
	if (s->bytes ||
	    command_properties_read(json_object_get(s->document, "properties"), &p, NULL) < 0)
		return;
	s->handshake.separate_output = p.separate_output;
	command_properties_done(&p);
}

static int32_t
find_type(struct ssm *S, struct ssm_session *s, const char *type)
{
	const struct ssm_feature *f = NULL;
	int32_t r = S->api->find(S, SSM_KIND_SESSION, type, &s->type_S, &f);

	if (r >= 0 && f && f->ops)
		s->type = f->ops;
	if (s->type && s->type->size >= sizeof(*s->type) && s->type->open && s->type->input &&
	    s->type->close)
		return 0;
	return ssm_fail(S, r < 0 ? r : -ENOSYS,
			"Plugin with name %s is not supported by this version of ssm agent, please "
			"update to latest version. Step name: %s",
			type, type);
}

/* Without a channel nobody sees it: what is refused here is the job's error, and its notice. */
static int32_t
read_start(struct ssm *S, struct ssm_session *s)
{
	size_t len = 0;
	const char *content = S->api->msg_json(S, s->message, "/Payload", &len);
	struct err e = { 0, "" };
	int r;

	s->document = document_read(content ? content : "", content ? len : 0, store_ask, S, &e);
	if (!s->document)
		return ssm_fail(S, -EINVAL, "%s", err_text(&e));
	r = session_inputs_read(json_object_get(s->document, "inputs"), &s->inputs, &e);
	if (r < 0)
		return ssm_fail(S, r, "inputs: %s", err_text(&e));
	return find_type(S, s, json_str(s->document, "sessionType", ""));
}

static const struct logs_ops log_ops = { begin, on_lost, on_logged };

static int32_t
handle(struct ssm *S, struct ssm_message *m)
{
	static const struct ssm_session_table table = { sizeof(table), 0, str, sent, ended };
	struct ssm_session *s = &the;
	const struct ssm_watch_on cancel = { .size = sizeof(cancel),
					     .fd_fn = on_cancel,
					     .arg = s,
					     .fd = S->api->cancel_fd(S),
					     .events = SSM_READ };
	const char *type, *id;
	int32_t r;

	s->S = S;
	s->message = m;
	s->held[0].payload_type = PAYLOAD_OUTPUT;
	s->held[1].payload_type = PAYLOAD_STDERR;
	for (size_t i = 0; i < NELEMS(s->held); i++)
		sbuf_init(&s->held[i].bytes, 2 * PIECE_MAX);
	r = read_start(S, s);
	if (r >= 0)
		r = S->api->session_provide(S, &table);
	if (r < 0) {
		record_refused(S, s->document);
		return r;
	}
	(void)S->api->watch(S, &cancel, &s->cancel);
	type = json_str(s->document, "sessionType", "");
	id = json_str(s->document, "SessionId", "");
	prepare_handshake(s, type);
	s->record = record_new(S, s->document, &s->inputs, &log_ops, s);
	s->channel = channel_new(id, wants_handshake(type, &s->inputs) ? &s->handshake : NULL,
				 &channel_ops, s);
	s->dial = dial_new(S, id, &dial_ops, s);
	return 0;
}

static int32_t
handle_end(struct ssm *S, struct ssm_message *m)
{
	(void)m;
	return ssm_fail(S, -ENOSYS, "the end of a session is the agent's to handle");
}

const struct ssm_topic_ops session_ops = { sizeof(session_ops), 0, handle };
const struct ssm_topic_ops session_end_ops = { sizeof(session_end_ops), 0, handle_end };

void
session_runs_as(struct ssm_session *s, const char *user)
{
	record_runs_as(s->record, user);
}

void
session_exited(struct ssm_session *s, int32_t code)
{
	record_exited(s->record, code);
}

void
session_fini(struct ssm *S)
{
	struct ssm_session *s = &the;

	(void)S;
	s->dial = dial_free(s->dial);
	s->channel = channel_free(s->channel);
	s->record = record_free(s->record);
	session_inputs_done(&s->inputs);
	for (size_t i = 0; i < NELEMS(s->held); i++)
		sbuf_wipe(&s->held[i].bytes);
	s->texts = strv_free(s->texts);
	json_decref(TAKE(s->document));
	free(TAKE(s->text));
}
