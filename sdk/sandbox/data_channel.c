/* SPDX-License-Identifier: Apache-2.0 */
/* The data channels of a session. The node is held to the chapters: what they do not name closes
 * its channel with code 1008. The operator's frames go on unchecked, so that a test can send any.
 */
#include "sdk/sandbox/data_channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/agentmsg.h"
#include "sdk/sandbox/journal.h"
#include "sdk/sandbox/lane.h"
#include "sdk/sandbox/shape.h"

#define NAME "ssmmessages"
#define FLAGS_ALONE 3u	       /* of what is no part of a stream */
#define WAITING_MAX (1u << 20) /* bytes for one end, then the other one is not read */
#define PAYLOAD_TYPES 12u

struct data_end {
	struct session *s;
	enum session_side side;
	struct wsend *ws;
	struct lane lane;
	struct list link; /* in the session's sockets */
	bool open;	  /* the first message was taken */
	bool holds;	  /* the other end takes no more for now */
};

static const char *const sides[] = { "node", "operator" };
static const struct fault_hit no_fault = { 0 };

/* ---- journal ---- */

/* DIRECTION: in, of the node; out, to it; operator, to that. The bytes of a stream are not shown:
 * they may be what somebody typed. */
static void
note(const struct session *s, const char *direction, const char *type, const char *fault,
     const char *message, const struct agentmsg *m)
{
	autofree char *path = NULL;
	json_t *line;

	if (!s->sb->journal)
		return;
	path = xasprintf(DATA_CHANNEL_PATH "%s", s->id);
	line = json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*}", "path", path, "service", NAME,
			 "operation", type, "direction", direction, "fault", fault, "message",
			 message);
	if (m) {
		json_object_set_new(line, "sequence", json_integer((json_int_t)m->sequence));
		json_object_set_new(line, "payload_type",
				    json_integer((json_int_t)m->payload_type));
		json_object_set_new(line, "bytes", json_integer((json_int_t)m->payload.len));
	}
	journal_note(s->sb->journal, line);
}

/* ---- life ---- */

static void
end_free(struct data_end *end)
{
	lane_done(&end->lane);
	list_remove(&end->link);
	if (end->s->ends[end->side] == end)
		end->s->ends[end->side] = NULL;
	free(end);
}

static void
set_status(struct session *s)
{
	bool both = s->ends[SIDE_NODE] && s->ends[SIDE_OPERATOR] && s->ready;

	if (s->status >= SESSION_TERMINATING)
		return;
	s->met = s->met || both;
	s->status = both ? SESSION_CONNECTED : s->met ? SESSION_DISCONNECTED : SESSION_CONNECTING;
}

/* While the operator is away, the node holds its stream back. */
static void
set_flow(struct session *s)
{
	bool pause = s->ends[SIDE_NODE] && !s->ends[SIDE_OPERATOR] && s->met;

	if (pause && !s->paused)
		data_channel_tell(s, SIDE_NODE, "pause_publication", NULL);
	else if (s->paused && s->ends[SIDE_NODE] && s->ends[SIDE_OPERATOR])
		data_channel_tell(s, SIDE_NODE, "start_publication", NULL);
	s->paused = pause;
}

/* END is gone. Whoever waits for it is read again. */
static void
end_drop(struct data_end *end)
{
	struct session *s = end->s;
	struct data_end *other = s->ends[!end->side];

	/* A new channel of the node is not paused. */
	if (end->side == SIDE_NODE && end->open)
		s->paused = false;
	end_free(end);
	set_status(s);
	if (s->status < SESSION_TERMINATING)
		set_flow(s);
	if (other && other->holds) {
		other->holds = false;
		wsend_hold(other->ws, false);
	}
}

static void
end_close(struct data_end *end, unsigned code, const char *reason, bool reset)
{
	struct wsend *ws = end->ws;

	end_drop(end);
	wsend_close(ws, code, reason, reset);
}

static void
close_all(struct session *s, unsigned code, const char *reason, bool also_new)
{
	list_each(it, tmp, &s->sockets) {
		struct data_end *end = list_entry(it, struct data_end, link);
		struct wsend *ws = end->ws;

		if (!also_new && end->side == SIDE_OPERATOR && !end->open)
			continue;
		end_free(end);
		wsend_close(ws, code, reason, false);
	}
}

void
data_channels_close(struct session *s, unsigned code, const char *reason)
{
	close_all(s, code, reason, true);
}

void
data_channels_over(struct session *s)
{
	close_all(s, 1000, "the session is over", false);
}

__attribute__((format(printf, 3, 4))) static void
refuse(struct data_end *end, const char *type, const char *fmt, ...)
{
	autofree char *why = NULL;
	va_list ap;

	va_start(ap, fmt);
	why = xvasprintf(fmt, ap);
	va_end(ap);
	note(end->s, end->side == SIDE_NODE ? "in" : "out", type, NULL, why, NULL);
	if (end->side == SIDE_NODE)
		end->s->node->refusals++;
	end_close(end, 1008, why, false);
}

/* ---- messages of the service ---- */

static void
tell(struct session *s, enum session_side side, struct agentmsg *m)
{
	autosbuf struct sbuf frame = SBUF_INIT(16u << 20);
	autofree char *operation = xasprintf("out:%s", m->type);
	struct fault_hit hit = no_fault;
	struct data_end *end = s->ends[side];

	if (!end)
		return;
	m->created_ms = sandbox_now_ms(s->sb);
	rand_uuid4(m->id);
	agentmsg_write(m, &frame);
	if (side == SIDE_NODE)
		faults_pick(s->sb->faults, NAME, operation, &hit);
	note(s, side == SIDE_NODE ? "out" : "operator", m->type,
	     hit.kind ? faults_kind_name(hit.kind) : NULL, NULL, m);
	lane_send(&end->lane, frame.p, frame.len, &hit);
}

void
data_channel_tell(struct session *s, enum session_side side, const char *type,
		  const json_t *payload)
{
	autofree char *text = payload ? json_text(payload) : xstrdup("");
	struct agentmsg m = { .payload = { text, strlen(text) } };

	(void)snprintf(m.type, sizeof(m.type), "%s", type);
	tell(s, side, &m);
}

/* ---- the first message ---- */

static bool
is_first(const struct data_end *end, const json_t *p)
{
	static const char of_node[] = "MessageSchemaVersion RequestId TokenValue ClientInstanceId "
				      "ClientId";
	const json_t *client = json_object_get(p, "ClientId");

	if (strcmp(json_str(p, "MessageSchemaVersion", ""), "1.0") != 0 ||
	    !shape_is_uuid4(json_str(p, "RequestId", "")))
		return false;
	if (end->side == SIDE_OPERATOR) /* not every client names itself */
		return !client || json_string_length(client) > 0;
	return json_is_string(client) && json_string_length(client) == 0 &&
		shape_has_members(p, of_node) &&
		strcmp(json_str(p, "ClientInstanceId", ""), end->s->node->id) == 0;
}

static void
open_end(struct data_end *end, const void *data, size_t len)
{
	static const char type[] = "OpenDataChannelInput";
	struct session *s = end->s;
	char *token = s->tokens[end->side];
	struct data_end *old = s->ends[end->side];
	struct err e = { 0 };
	autojson json_t *p = json_parse(data, len, type, &e);

	if (!is_first(end, p)) {
		refuse(end, type, "members: %s", p ? "" : err_text(&e));
		return;
	}
	if (!*token || strcmp(json_str(p, "TokenValue", ""), token) != 0) {
		refuse(end, type, "TokenValue is not the last that was given");
		return;
	}
	*token = '\0';
	note(s, end->side == SIDE_NODE ? "in" : "out", type, NULL, NULL, NULL);
	end->open = true;
	s->ends[end->side] = end;
	if (old)
		end_close(old, 1000, "another channel was opened", false);
	s->channels[end->side]++;
	set_status(s);
	if (s->status < SESSION_TERMINATING)
		set_flow(s);
	else if (end->side == SIDE_OPERATOR)
		session_tell_late(s);
}

/* ---- what the node may send ---- */

static const char *
check_state(struct session *s, const json_t *p)
{
	const char *state = json_str(p, "SessionState", "");

	if (!shape_has_members(p, "SchemaVersion SessionState SessionId") ||
	    json_int(p, "SchemaVersion", 0) != 1 ||
	    strcmp(json_str(p, "SessionId", ""), s->id) != 0)
		return "its members are not those of a state";
	if (strcmp(state, "Connected") != 0 && strcmp(state, "Terminating") != 0)
		return "the state is neither Connected nor Terminating";
	return NULL;
}

static const char *
check_ack(const json_t *p)
{
	if (!shape_has_members(p,
			       "AcknowledgedMessageType AcknowledgedMessageId "
			       "AcknowledgedMessageSequenceNumber IsSequentialMessage") ||
	    strcmp(json_str(p, "AcknowledgedMessageType", ""), "input_stream_data") != 0 ||
	    !json_is_integer(json_object_get(p, "AcknowledgedMessageSequenceNumber")) ||
	    !json_is_true(json_object_get(p, "IsSequentialMessage")))
		return "its members are not those of an acknowledgement";
	return NULL;
}

static const char *
check_stream(const struct agentmsg *m)
{
	if (m->flags != (m->sequence == 0))
		return "flags are not SYN for the first and 0 for the others";
	if (!m->payload_type || m->payload_type > PAYLOAD_TYPES)
		return "a payload type that there is not";
	return m->payload.len ? NULL : "an empty payload";
}

/* What is wrong with it; NULL: nothing. */
static const char *
check_message(struct session *s, const struct agentmsg *m)
{
	struct err e = { 0 };
	autojson json_t *p = NULL;

	if (strcmp(m->type, "output_stream_data") == 0)
		return check_stream(m);
	if (strcmp(m->type, "acknowledge") != 0 && strcmp(m->type, "agent_session_state") != 0)
		return "a message of this type is not sent here";
	if (m->flags != FLAGS_ALONE || m->sequence || m->payload_type)
		return "flags are not 3, or sequence number or payload type not 0";
	p = json_parse(m->payload.p, m->payload.len, "the payload", &e);
	return *m->type == 'a' && m->type[1] == 'c' ? check_ack(p) : check_state(s, p);
}

static void
take_state(struct session *s, const struct agentmsg *m)
{
	autojson json_t *p = json_loadb(m->payload.p, m->payload.len, 0, NULL);

	if (strcmp(json_str(p, "SessionState", ""), "Terminating") == 0) {
		session_ending(s);
		return;
	}
	s->ready = true;
	set_status(s);
}

/* ---- from one end to the other ---- */

static void
forward(struct data_end *from, const char *data, size_t len, const struct fault_hit *hit)
{
	struct session *s = from->s;
	struct data_end *to = s->ends[!from->side];

	session_active(s);
	s->frames[from->side]++;
	lane_send(&to->lane, data, len, hit);
	if (wsend_waiting(to->ws) <= WAITING_MAX)
		return;
	from->holds = true;
	wsend_hold(from->ws, true);
}

static void
route(struct data_end *from, const struct agentmsg *m, const char *wrong, const void *data,
      size_t len)
{
	struct session *s = from->s;
	const char *direction = from->side == SIDE_NODE ? "in" : "out";
	char operation[sizeof(m->type) + 4];
	const char *problem = wrong;
	struct fault_hit hit;
	bool stays = from->side == SIDE_NODE && strcmp(m->type, "agent_session_state") == 0;

	(void)snprintf(operation, sizeof(operation), "%s:%s", direction, m->type);
	faults_pick(s->sb->faults, NAME, operation, &hit);
	if (!stays && !s->ends[!from->side])
		problem = "nobody is at the other end";
	note(s, direction, m->type, hit.kind ? faults_kind_name(hit.kind) : NULL, problem, m);
	/* Faults are what the node is tried with: it is its channel that goes. */
	if (hit.kind == FAULT_CLOSE || hit.kind == FAULT_RESET) {
		if (s->ends[SIDE_NODE])
			end_close(s->ends[SIDE_NODE], hit.kind == FAULT_CLOSE ? 1001 : 0, "fault",
				  hit.kind == FAULT_RESET);
	} else if (stays && hit.kind != FAULT_DROP) {
		take_state(s, m);
	} else if (!stays && s->ends[!from->side]) {
		forward(from, data, len, &hit);
	}
}

static void
take_binary(struct data_end *end, const void *data, size_t len)
{
	struct agentmsg m = { .type = "unreadable" };
	struct err e = { 0 };
	const char *wrong = NULL;

	if (agentmsg_read(data, len, &m, &e) < 0)
		wrong = err_text(&e);
	else if (end->side == SIDE_NODE)
		wrong = check_message(end->s, &m);
	if (wrong && end->side == SIDE_NODE)
		refuse(end, m.type, "%s", wrong);
	else
		route(end, &m, wrong, data, len);
}

/* ---- the sockets ---- */

static void
on_message(void *arg, bool text, const void *data, size_t len)
{
	struct data_end *end = arg;

	if (text != !end->open)
		refuse(end, "", "a %s message at this time", text ? "text" : "binary");
	else if (text)
		open_end(end, data, len);
	else
		take_binary(end, data, len);
}

static void
on_ping(void *arg, const void *data, size_t len)
{
	struct data_end *end = arg;

	end->s->pings[end->side]++;
	if (end->side == SIDE_NODE && (len != 9 || memcmp(data, "keepalive", 9) != 0))
		refuse(end, "ping", "its payload is not 'keepalive'");
}

static void
on_drained(void *arg)
{
	struct data_end *end = arg, *other = end->s->ends[!end->side];

	if (!other || !other->holds)
		return;
	other->holds = false;
	wsend_hold(other->ws, false);
}

static void
on_closed(void *arg, const char *why)
{
	struct data_end *end = arg;

	note(end->s, end->side == SIDE_NODE ? "in" : "out", "close", NULL, why, NULL);
	end_drop(end);
}

struct session *
data_channel_session(const struct exchange *ex)
{
	autofree char *id = NULL;

	if (text_unpercent(ex->operand, strlen(ex->operand), &id) < 0)
		return NULL;
	return session_find(ex->sb, id);
}

static void *
opened(struct exchange *ex, struct wsend *w, enum session_side side)
{
	struct session *s = data_channel_session(ex);
	struct data_end *end;

	if (!s || (side == SIDE_NODE ? session_is_over(s) : !session_takes_operator(s)))
		return NULL;
	end = xcalloc(1, sizeof(*end));
	end->s = s;
	end->side = side;
	end->ws = w;
	lane_init(&end->lane, ex->sb, w);
	list_append(&s->sockets, &end->link);
	return end;
}

static void *
on_node_opened(struct exchange *ex, struct wsend *w)
{
	return opened(ex, w, SIDE_NODE);
}

static void *
on_operator_opened(struct exchange *ex, struct wsend *w)
{
	return opened(ex, w, SIDE_OPERATOR);
}

const struct wsend_ops data_channel_ops[SIDES] = {
	[SIDE_NODE] = { on_node_opened, on_message, on_ping, on_closed, on_drained, false },
	[SIDE_OPERATOR] = { on_operator_opened, on_message, on_ping, on_closed, on_drained,
			    true },
};

/* ---- control socket ---- */

static void
op_send(struct session *s, enum session_side side, const json_t *r)
{
	const json_t *payload = json_object_get(r, "payload");
	autofree char *text = json_is_string(payload) ? xstrdup(json_string_value(payload))
		: payload			      ? json_text(payload)
						      : xstrdup("");
	struct agentmsg m = { .sequence = json_int(r, "sequence", 0),
			      .flags = (uint64_t)json_int(r, "flags", 0),
			      .payload_type = (uint32_t)json_int(r, "payload_type", 0),
			      .payload = { text, strlen(text) } };

	(void)snprintf(m.type, sizeof(m.type), "%s", json_str(r, "type", "pause_publication"));
	tell(s, side, &m);
}

int
data_channel_op(struct session *s, const json_t *r, struct err *e)
{
	const char *what = json_str(r, "do", ""), *name = json_str(r, "side", "node");
	enum session_side side = strcmp(name, sides[SIDE_NODE]) == 0 ? SIDE_NODE : SIDE_OPERATOR;
	struct data_end *end = s->ends[side];
	bool cut = strcmp(what, "cut") == 0;

	if (strcmp(name, sides[side]) != 0)
		return err_set(e, -EINVAL, "side '%s' is neither node nor operator", name);
	if (!end)
		return err_set(e, -ENOTCONN, "%s has no channel of the %s", s->id, name);
	if (strcmp(what, "send") == 0)
		op_send(s, side, r);
	else if (strcmp(what, "mute") == 0)
		wsend_mute(end->ws);
	else if (cut || strcmp(what, "close") == 0)
		end_close(end, cut ? 0 : (unsigned)json_int(r, "code", 1001),
			  json_str(r, "reason", ""), cut);
	else
		return err_set(e, -EINVAL,
			       "do '%s' is none of state, terminate, close, cut, mute, send", what);
	return 0;
}
