/* SPDX-License-Identifier: Apache-2.0 */
/* The service's end of a node's control channel. What the chapters do not name is refused: the
 * channel is closed with code 1008 and the journal says why. */
#include "sdk/sandbox/channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/agentmsg.h"
#include "sdk/sandbox/control.h"
#include "sdk/sandbox/faults.h"
#include "sdk/sandbox/journal.h"
#include "sdk/sandbox/lane.h"
#include "sdk/sandbox/sessions.h"
#include "sdk/sandbox/shape.h"
#include "sdk/sandbox/wsend.h"

#define VISIBILITY_MS 10000
#define CONTENT_MAX 120000u
#define NAME "ssmmessages"

struct channel {
	struct sandbox *sb;
	struct node *node;
	struct wsend *ws;
	bool open; /* the first message was taken */
	struct lane lane;
};

/* ---- journal ---- */

/* REQUEST and PAYLOAD are borrowed and may be NULL. */
static void
note(const struct channel *ch, const char *direction, const char *type, const char *fault,
     const char *message, json_t *request, json_t *payload)
{
	autofree char *path = xasprintf("/v1/control-channel/%s", ch->node->id);
	json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:O*, s:O*}", "path", path,
				 "service", NAME, "operation", type, "direction", direction,
				 "fault", fault, "message", message, "request", request, "payload",
				 payload);

	journal_note(ch->sb->journal, line);
}

__attribute__((format(printf, 3, 4))) static void
refuse(struct channel *ch, const char *type, const char *fmt, ...)
{
	autofree char *why = NULL;
	va_list ap;

	va_start(ap, fmt);
	why = xvasprintf(fmt, ap);
	va_end(ap);
	note(ch, "in", type, NULL, why, NULL, NULL);
	ch->node->refusals++;
	wsend_close(ch->ws, 1008, why, false);
	channel_drop(ch);
}

/* ---- out ---- */

static const char *
fault_name(const struct fault_hit *hit)
{
	return hit->kind ? faults_kind_name(hit->kind) : NULL;
}

static void
send_message(struct channel *ch, const char *type, const char *id, int64_t created_ms,
	     const char *text, size_t len)
{
	struct agentmsg m = { .created_ms = created_ms, .payload = { text, len } };
	autosbuf struct sbuf frame = SBUF_INIT(16u << 20);
	autofree char *operation = xasprintf("out:%s", type);
	autojson json_t *request = json_loadb(text, len, 0, NULL);
	struct fault_hit hit;

	(void)snprintf(m.type, sizeof(m.type), "%s", type);
	(void)snprintf(m.id, sizeof(m.id), "%s", id);
	agentmsg_write(&m, &frame);
	faults_pick(ch->sb->faults, NAME, operation, &hit);
	note(ch, "out", type, fault_name(&hit), NULL, request, NULL);
	if (hit.kind == FAULT_CLOSE || hit.kind == FAULT_RESET) {
		wsend_close(ch->ws, hit.kind == FAULT_CLOSE ? 1001 : 0, "fault",
			    hit.kind == FAULT_RESET);
		channel_drop(ch);
		return;
	}
	lane_send(&ch->lane, frame.p, frame.len, &hit);
}

bool
channel_is_open(const struct node *node)
{
	return node->channel && node->channel->open;
}

bool
channel_takes(const struct node *node)
{
	return channel_is_open(node) && node->sb->set.transport != TRANSPORT_EC2MESSAGES;
}

bool
channel_send(struct node *node, const char *type, const json_t *payload)
{
	autofree char *text = json_text(payload);
	char id[RAND_UUID_SIZE];

	if (!channel_is_open(node))
		return false;
	rand_uuid4(id);
	send_message(node->channel, type, id, sandbox_now_ms(node->sb), text, strlen(text));
	return true;
}

bool
channel_leaves_polls(const struct node *node)
{
	return node->sb->set.transport != TRANSPORT_SSMMESSAGES && !channel_takes(node);
}

void
channel_send_job(struct channel *ch, struct message *msg)
{
	autojson json_t *job = json_pack("{s:s, s:s, s:s, s:i}", "Content", msg->payload, "JobId",
					 msg->id, "Topic", msg->topic, "SchemaVersion", 1);
	autofree char *text = job ? json_text(job) : NULL;

	message_delivered(msg, VISIBILITY_MS);
	msg->by_channel = true;
	rand_uuid4(msg->job_id);
	if (text)
		send_message(ch, "agent_job", msg->job_id, msg->created_ms, text, strlen(text));
}

/* ---- in ---- */

static const struct {
	const char *code, *name;
	bool taken; /* the message does not come again */
} codes[] = {
	{ "200", "Successful", true },
	{ "51401", "ClosedProcessor", false },
	{ "51402", "ProcessorBufferFull", false },
	{ "51403", "UnexpectedDocumentType", true },
	{ "51404", "ProcessorErrorCodeTranslationFailed", true },
	{ "51405", "DuplicateCommand", true },
	{ "51406", "InvalidDocument", true },
	{ "51407", "ContainerNotSupported", true },
	{ "51408", "AgentJobMessageParseError", true },
	{ "51499", "UnexpectedError", true },
};

static int
code_of(const json_t *ack)
{
	for (size_t i = 0; i < NELEMS(codes); i++)
		if (strcmp(codes[i].code, json_str(ack, "statusCode", "")) == 0 &&
		    strcmp(codes[i].name, json_str(ack, "errorMessage", "")) == 0)
			return (int)i;
	return -1;
}

static struct message *
message_of(struct channel *ch, const json_t *p)
{
	struct message *msg = map_get(ch->sb->store->messages, json_str(p, "jobId", ""));

	return msg && msg->node == ch->node && msg->by_channel ? msg : NULL;
}

static void
take_ack(struct channel *ch, const struct agentmsg *m, const json_t *p)
{
	struct message *msg = message_of(ch, p);
	char created[TEXT_STAMP_SIZE] = "";
	int code = code_of(p);

	if (msg)
		text_iso8601_ms(msg->created_ms, created);
	if (!shape_has_members(p, "jobId acknowledgedMessageId createdDate statusCode "
				  "errorMessage"))
		refuse(ch, m->type, "its members are not those of an acknowledgement");
	else if (!msg || strcmp(msg->job_id, json_str(p, "acknowledgedMessageId", "")) != 0)
		refuse(ch, m->type, "it acknowledges what was not sent");
	else if (strcmp(created, json_str(p, "createdDate", "")) != 0)
		refuse(ch, m->type, "createdDate is not that of the job, %s", created);
	else if (code < 0)
		refuse(ch, m->type, "statusCode and errorMessage do not belong together");
	else if (codes[code].taken)
		message_acknowledge(msg);
}

static void
acknowledge_reply(struct channel *ch, const struct agentmsg *m, const json_t *p)
{
	autojson json_t *ack = json_pack("{s:s, s:s}", "jobId", json_str(p, "jobId", ""),
					 "acknowledgedMessageId", m->id);
	autofree char *text = json_text(ack);
	char id[RAND_UUID_SIZE];

	rand_uuid4(id);
	send_message(ch, "agent_job_reply_ack", id, sandbox_now_ms(ch->sb), text, strlen(text));
}

static bool
is_topic_of(const struct message *msg, const char *topic)
{
	return strcmp(topic, msg->cancel ? "aws.ssm.cancelCommand" : "aws.ssm.sendCommand") == 0 ||
		(!msg->inv && *topic && text_starts(msg->topic, topic));
}

static void
apply_reply(struct channel *ch, const struct agentmsg *m, struct message *msg, const json_t *p)
{
	const char *content = json_str(p, "content", "");
	struct err e = { 0 };
	autojson json_t *payload = json_parse(content, strlen(content), "content", &e);
	bool again = map_get(msg->reply_ids, m->id) != NULL;

	if (payload && json_object_get(json_object_get(payload, "additionalInfo"),
				       "ableToOpenMGSConnection"))
		(void)err_set(&e, -EINVAL, "ableToOpenMGSConnection is not of this channel");
	else if (payload && !again)
		(void)reply_apply(msg, payload, &e);
	if (e.code) {
		refuse(ch, m->type, "%s", err_text(&e));
		return;
	}
	note(ch, "in", m->type, NULL, NULL, (json_t *)p, payload);
	map_set(msg->reply_ids, m->id, msg);
	acknowledge_reply(ch, m, p);
}

static void
take_reply(struct channel *ch, const struct agentmsg *m, const json_t *p)
{
	struct message *msg = message_of(ch, p);

	if (!shape_has_members(p, "schemaVersion jobId content topic") ||
	    json_int(p, "schemaVersion", 0) != 1)
		refuse(ch, m->type, "its members are not those of a reply");
	else if (!msg)
		refuse(ch, m->type, "it answers what this channel did not deliver");
	else if (!is_topic_of(msg, json_str(p, "topic", "")))
		refuse(ch, m->type, "topic is '%s'", json_str(p, "topic", ""));
	else if (strlen(json_str(p, "content", "")) > CONTENT_MAX)
		refuse(ch, m->type, "content is larger than %u bytes", CONTENT_MAX);
	else
		apply_reply(ch, m, msg, p);
}

static bool
is_complete(const struct channel *ch, const json_t *p)
{
	static const char *const ends[] = { "Success", "Failed", "Cancelled" };
	const char *end = json_str(p, "FinalTaskStatus", "");
	bool known = false;

	for (size_t i = 0; i < NELEMS(ends); i++)
		known = known || strcmp(ends[i], end) == 0;
	return known &&
		shape_has_members(p, "SchemaVersion TaskId Topic FinalTaskStatus IsRoutingFailure "
			       "AwsAccountId InstanceId Output S3Bucket S3UrlSuffix CwlGroup "
			       "CwlStream RetryNumber") &&
		json_int(p, "SchemaVersion", 0) == 1 &&
		strcmp(json_str(p, "Topic", ""), "agent_task_complete") == 0 &&
		json_is_false(json_object_get(p, "IsRoutingFailure")) &&
		strcmp(json_str(p, "InstanceId", ""), ch->node->id) == 0 &&
		json_int(p, "RetryNumber", 0) >= 1 && json_int(p, "RetryNumber", 0) <= 3;
}

/* The end of a session; of one that is not known (any more), too: it shall not come again. */
static void
take_complete(struct channel *ch, const struct agentmsg *m, const json_t *p)
{
	struct session *s = session_find(ch->sb, json_str(p, "TaskId", ""));
	autojson json_t *ack = NULL;

	if (!is_complete(ch, p)) {
		refuse(ch, m->type, "its members are not those of the end of a session");
		return;
	}
	note(ch, "in", m->type, NULL, NULL, (json_t *)p, NULL);
	if (s && s->node == ch->node)
		session_complete(s, p);
	ack = json_pack("{s:i, s:s, s:s, s:s}", "SchemaVersion", 1, "MessageId", m->id, "TaskId",
			json_str(p, "TaskId", ""), "Topic", "agent_task_acknowledge");
	(void)channel_send(ch->node, "agent_task_acknowledge", ack);
}

static void
take_frame(struct channel *ch, const struct agentmsg *m)
{
	struct err e = { 0 };
	autojson json_t *p = json_parse(m->payload.p, m->payload.len, "the payload", &e);

	if (!p) {
		refuse(ch, m->type, "%s", err_text(&e));
	} else if (m->flags || m->sequence || m->payload_type) {
		refuse(ch, m->type, "flags, sequence number or payload type are not 0");
	} else if (strcmp(m->type, "agent_job_reply") == 0) {
		take_reply(ch, m, p);
	} else if (strcmp(m->type, "agent_job_ack") == 0) {
		note(ch, "in", m->type, NULL, NULL, p, NULL);
		take_ack(ch, m, p);
	} else if (strcmp(m->type, "agent_task_complete") == 0) {
		take_complete(ch, m, p);
	} else {
		refuse(ch, m->type, "a message of this type is not sent here");
	}
}

static void
take_binary(struct channel *ch, const void *data, size_t len)
{
	struct agentmsg m;
	struct err e = { 0 };
	autofree char *operation = NULL;
	struct fault_hit hit;

	if (agentmsg_read(data, len, &m, &e) < 0) {
		refuse(ch, "", "%s", err_text(&e));
		return;
	}
	operation = xasprintf("in:%s", m.type);
	faults_pick(ch->sb->faults, NAME, operation, &hit);
	if (hit.kind == FAULT_DROP) {
		note(ch, "in", m.type, fault_name(&hit), NULL, NULL, NULL);
	} else if (hit.kind == FAULT_CLOSE || hit.kind == FAULT_RESET) {
		note(ch, "in", m.type, fault_name(&hit), NULL, NULL, NULL);
		wsend_close(ch->ws, hit.kind == FAULT_CLOSE ? 1001 : 0, "fault",
			    hit.kind == FAULT_RESET);
		channel_drop(ch);
	} else {
		take_frame(ch, &m);
	}
}

static void
open_channel(struct channel *ch, const void *data, size_t len)
{
	struct node *node = ch->node;
	struct err e = { 0 };
	autojson json_t *p = json_parse(data, len, "OpenControlChannelInput", &e);

	if (!shape_has_members(p, "Cookie MessageSchemaVersion RequestId TokenValue AgentVersion "
			    "PlatformType") ||
	    !json_is_null(json_object_get(p, "Cookie")) ||
	    strcmp(json_str(p, "MessageSchemaVersion", ""), "1.0") != 0 ||
	    !shape_is_uuid4(json_str(p, "RequestId", "")) || !*json_str(p, "AgentVersion", "") ||
	    strcmp(json_str(p, "PlatformType", ""), "linux") != 0) {
		refuse(ch, "OpenControlChannelInput", "members: %s", p ? "" : err_text(&e));
		return;
	}
	if (!*node->control_token || strcmp(json_str(p, "TokenValue", ""), node->control_token)) {
		refuse(ch, "OpenControlChannelInput", "TokenValue is not the last that was given");
		return;
	}
	node->control_token[0] = '\0';
	json_object_set_new(p, "TokenValue", json_string("***"));
	note(ch, "in", "OpenControlChannelInput", NULL, NULL, p, NULL);
	ch->open = true;
	node->channels++;
	control_on_node(ch->sb, node);
	node_serve(node);
}

static void
on_message(void *arg, bool text, const void *data, size_t len)
{
	struct channel *ch = arg;

	if (text != !ch->open)
		refuse(ch, "", "a %s message at this time", text ? "text" : "binary");
	else if (text)
		open_channel(ch, data, len);
	else
		take_binary(ch, data, len);
}

static void
on_ping(void *arg, const void *data, size_t len)
{
	struct channel *ch = arg;

	ch->node->channel_pings++;
	if (len != 9 || memcmp(data, "keepalive", 9) != 0)
		refuse(ch, "ping", "its payload is not 'keepalive'");
}

/* ---- life ---- */

void
channel_drop(struct channel *ch)
{
	struct node *node = ch->node;

	lane_done(&ch->lane);
	if (node->channel == ch) {
		node->channel = NULL;
		node_serve(node); /* polls get what waits */
	}
	free(ch);
}

static void
on_closed(void *arg, const char *why)
{
	struct channel *ch = arg;

	note(ch, "in", "close", NULL, why, NULL, NULL);
	channel_drop(ch);
}

/* A second channel of a node displaces the first. */
static void *
on_opened(struct exchange *ex, struct wsend *w)
{
	struct node *node = store_node(ex->sb, ex->operand, false);
	struct channel *ch = xcalloc(1, sizeof(*ch));

	if (node->channel) {
		wsend_close(node->channel->ws, 1000, "another channel was opened", false);
		channel_drop(node->channel);
	}
	ch->sb = ex->sb;
	ch->node = node;
	ch->ws = w;
	lane_init(&ch->lane, ex->sb, w);
	node->channel = ch;
	return ch;
}

const struct wsend_ops channel_ops = { on_opened, on_message, on_ping, on_closed, NULL, false };

/* ---- control socket ---- */

static json_t *
op_send(struct channel *ch, const json_t *r)
{
	const json_t *payload = json_object_get(r, "payload");
	autofree char *text = json_is_string(payload) ? xstrdup(json_string_value(payload))
		: payload			      ? json_text(payload)
						      : xstrdup("");
	char id[RAND_UUID_SIZE];

	rand_uuid4(id);
	send_message(ch, json_str(r, "type", "agent_job"), json_str(r, "id", id),
		     sandbox_now_ms(ch->sb), text, strlen(text));
	return json_pack("{s:b}", "ok", 1);
}

json_t *
channel_op(struct node *node, const json_t *r, struct err *e)
{
	const char *what = json_str(r, "do", "state");
	struct channel *ch = node->channel;
	bool cut = strcmp(what, "cut") == 0;

	if (strcmp(what, "state") == 0)
		return json_pack("{s:b, s:b, s:I, s:I, s:I}", "ok", 1, "open", ch && ch->open,
				 "channels", (json_int_t)node->channels, "pings",
				 (json_int_t)node->channel_pings, "refusals",
				 (json_int_t)node->refusals);
	if (!ch) {
		(void)err_set(e, -ENOTCONN, "%s has no control channel", node->id);
		return NULL;
	}
	if (strcmp(what, "send") == 0)
		return op_send(ch, r);
	if (strcmp(what, "mute") == 0) {
		wsend_mute(ch->ws);
	} else if (cut || strcmp(what, "close") == 0) {
		wsend_close(ch->ws, cut ? 0 : (unsigned)json_int(r, "code", 1001),
			    json_str(r, "reason", ""), cut);
		channel_drop(ch);
	} else {
		(void)err_set(e, -EINVAL, "do '%s' is none of state, close, cut, mute, send", what);
		return NULL;
	}
	return json_pack("{s:b}", "ok", 1);
}

void
channels_close(struct sandbox *sb)
{
	size_t iter = 0;
	const char *id;
	void *value;

	while (map_next(sb->store->nodes, &iter, &id, &value)) {
		struct node *node = value;

		if (!node->channel)
			continue;
		wsend_close(node->channel->ws, 1001, "the sandbox ends", false);
		channel_drop(node->channel);
	}
}
