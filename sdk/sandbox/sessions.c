/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: from StartSession to the node's agent_task_complete. */
#include "sdk/sandbox/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "sdk/sandbox/channel.h"
#include "sdk/sandbox/data_channel.h"

#define GRACE_MS 20000
#define DETAILS_MAX 1024u
#define IDLE_MINUTES 20
/* A role session name as federation makes them: its '@' goes into ids, and so into URLs. */
#define OWNER_NAME "op@example.com"

static const char *const names[] = { "Connecting",  "Connected",  "Disconnected",
				     "Terminating", "Terminated", "Failed" };

const char *
session_status_name(enum session_status status)
{
	return names[status];
}

bool
session_status_known(const char *name)
{
	for (size_t i = 0; i < NELEMS(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

bool
session_is_over(const struct session *s)
{
	return s->status >= SESSION_TERMINATED;
}

struct session *
session_find(struct sandbox *sb, const char *id)
{
	return map_get(sb->store->sessions, id);
}

const char *
session_token(struct session *s, enum session_side side)
{
	char uuid[RAND_UUID_SIZE];

	rand_uuid4(uuid);
	(void)snprintf(s->tokens[side], SESSION_TOKEN_SIZE, "<%s>&+/=", uuid);
	return s->tokens[side];
}

void
session_free(void *value)
{
	struct session *s = value;

	data_channels_close(s, 1001, "the session is forgotten");
	timer_cancel(s->sb->ev, &s->grace);
	timer_cancel(s->sb->ev, &s->idle);
	timer_cancel(s->sb->ev, &s->longest);
	free(s->id);
	free(s->document);
	free(s->owner);
	free(s->reason);
	free(s->details);
	free(s->bucket);
	free(s->key);
	free(s->log_group);
	free(s->max_duration);
	free(s);
}

/* ---- the end ---- */

/* OUTPUT NULL: as the node gets it. */
static json_t *
channel_closed(const struct session *s, const char *output)
{
	char id[RAND_UUID_SIZE], now[TEXT_STAMP_SIZE];

	rand_uuid4(id);
	text_iso8601_ms(sandbox_now_ms(s->sb), now);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s*}", "MessageType", "channel_closed",
			 "MessageId", id, "DestinationId", s->node->id, "SessionId", s->id,
			 "SchemaVersion", 1, "CreatedDate", now, "Output", output);
}

static void
tell_operator(struct session *s, const char *output)
{
	autojson json_t *closed = channel_closed(s, output);

	if (s->told || !s->ends[SIDE_OPERATOR])
		return;
	s->told = true;
	data_channel_tell(s, SIDE_OPERATOR, "channel_closed", closed);
}

static void
finish(struct session *s, enum session_status status, const char *output)
{
	size_t len = strlen(output);

	if (session_is_over(s))
		return;
	timer_cancel(s->sb->ev, &s->grace);
	timer_cancel(s->sb->ev, &s->idle);
	timer_cancel(s->sb->ev, &s->longest);
	s->status = status;
	s->end_ms = sandbox_now_ms(s->sb);
	s->tokens[SIDE_NODE][0] = '\0';
	if (*output)
		s->details = xstrndup(output,
				      text_utf8_floor(output, len,
						      len < DETAILS_MAX ? len : DETAILS_MAX));
	tell_operator(s, output);
	data_channels_over(s);
}

static void
on_grace(void *arg)
{
	finish(arg, SESSION_TERMINATED, "");
}

void
session_ending(struct session *s)
{
	if (s->status >= SESSION_TERMINATING)
		return;
	s->status = SESSION_TERMINATING;
	s->grace.fn = on_grace;
	s->grace.arg = s;
	timer_in(s->sb->ev, &s->grace, GRACE_MS);
}

void
session_terminate(struct session *s, const char *output)
{
	autojson json_t *closed = channel_closed(s, NULL);

	if (session_is_over(s) || s->asked)
		return;
	s->asked = true;
	session_ending(s);
	(void)channel_send(s->node, "channel_closed", closed);
	data_channel_tell(s, SIDE_NODE, "channel_closed", closed);
	tell_operator(s, output);
}

bool
session_takes_operator(const struct session *s)
{
	return !session_is_over(s) || !s->told;
}

void
session_tell_late(struct session *s)
{
	if (!session_is_over(s) && !s->asked)
		return;
	tell_operator(s, s->details ? s->details : "");
	if (session_is_over(s))
		data_channels_over(s);
}

static void
keep(char **where, const char *text)
{
	if (!*text || *where)
		return;
	*where = xstrdup(text);
}

void
session_complete(struct session *s, const json_t *p)
{
	bool failed = strcmp(json_str(p, "FinalTaskStatus", ""), "Failed") == 0;

	keep(&s->bucket, json_str(p, "S3Bucket", ""));
	keep(&s->key, json_str(p, "S3UrlSuffix", ""));
	keep(&s->log_group, json_str(p, "CwlGroup", ""));
	finish(s, failed ? SESSION_FAILED : SESSION_TERMINATED, json_str(p, "Output", ""));
}

/* ---- limits ---- */

static void
on_idle(void *arg)
{
	session_terminate(arg, "Session timed out due to inactivity.");
}

static void
on_longest(void *arg)
{
	session_terminate(arg, "Session reached its maximum duration.");
}

void
session_active(struct session *s)
{
	if (!session_is_over(s))
		timer_in(s->sb->ev, &s->idle, s->idle_ms);
}

static int64_t
minutes(const struct session *s, const char *text, int64_t max, int64_t preset)
{
	int64_t n;

	return (text_to_i64(text, 1, max, &n) == 0 ? n : preset) * s->sb->set.minute_ms;
}

static void
set_limits(struct session *s, const json_t *inputs)
{
	int64_t longest = minutes(s, s->max_duration, 1440, 0);

	s->idle_ms = minutes(s, json_str(inputs, "idleSessionTimeout", ""), 60, IDLE_MINUTES);
	s->idle.fn = on_idle;
	s->longest.fn = on_longest;
	s->idle.arg = s->longest.arg = s;
	session_active(s);
	if (longest)
		timer_in(s->sb->ev, &s->longest, longest);
}

/* ---- the beginning ---- */

static void
forget_old(struct map *sessions)
{
	size_t iter = 0;
	const char *id;
	void *value;

	while (map_len(sessions) >= SESSIONS_MAX && map_next(sessions, &iter, &id, &value)) {
		struct session *s = value;

		if (session_is_over(s))
			session_free(map_take(sessions, s->id));
	}
}

static void
tell_node(const struct session *s, const json_t *content, const json_t *parameters)
{
	const char *run_as = s->sb->set.run_as;
	autojson json_t *inner =
		json_pack("{s:s, s:s, s:O, s:O, s:s, s:s}", "SessionId", s->id, "DocumentName",
			  s->document, "DocumentContent", content, "Parameters", parameters,
			  "RunAsUser", run_as ? run_as : "", "SessionOwner", s->owner);
	autofree char *text = json_text(inner);
	autojson json_t *outer = json_pack("{s:i, s:s, s:s, s:s}", "schemaVersion", 1, "taskId",
					   s->id, "topic", "interactive_shell", "content", text);

	(void)channel_send(s->node, "interactive_shell", outer);
}

struct session *
session_new(struct node *node, const char *document, const json_t *content,
	    const json_t *parameters, const char *reason)
{
	struct sandbox *sb = node->sb;
	struct session *s = xcalloc(1, sizeof(*s));
	unsigned char raw[9];
	char hex[2 * sizeof(raw) + 1];

	rand_bytes(raw, sizeof(raw));
	text_hex(raw, sizeof(raw), hex);
	s->sb = sb;
	s->node = node;
	s->id = xasprintf(OWNER_NAME "-%.17s", hex);
	s->document = xstrdup(document);
	s->owner = xasprintf("arn:aws:sts::%s:assumed-role/Operator/" OWNER_NAME, sb->set.account);
	s->reason = xstrdup(reason);
	s->max_duration =
		xstrdup(json_str(json_object_get(content, "inputs"), "maxSessionDuration", ""));
	s->start_ms = sandbox_now_ms(sb);
	list_init(&s->sockets);
	set_limits(s, json_object_get(content, "inputs"));
	forget_old(sb->store->sessions);
	map_set(sb->store->sessions, s->id, s);
	tell_node(s, content, parameters);
	return s;
}

/* ---- control socket ---- */

static struct session *
newest(struct sandbox *sb)
{
	size_t iter = 0;
	const char *id;
	void *value, *last = NULL;

	while (map_next(sb->store->sessions, &iter, &id, &value))
		last = value;
	return last;
}

static json_t *
side_state(const struct session *s, enum session_side side)
{
	return json_pack("{s:b, s:I, s:I, s:I}", "open", s->ends[side] != NULL, "channels",
			 (json_int_t)s->channels[side], "frames", (json_int_t)s->frames[side],
			 "pings", (json_int_t)s->pings[side]);
}

json_t *
session_op(struct sandbox *sb, const json_t *r, struct err *e)
{
	const char *what = json_str(r, "do", "state"), *id = json_str(r, "session", NULL);
	struct session *s = id ? session_find(sb, id) : newest(sb);

	if (!s) {
		(void)err_set(e, -ENOENT, "no session '%.100s'", id ? id : "");
		return NULL;
	}
	if (strcmp(what, "terminate") == 0)
		session_terminate(s, json_str(r, "output", ""));
	else if (strcmp(what, "state") != 0 && data_channel_op(s, r, e) < 0)
		return NULL;
	return json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o}", "ok", 1, "session", s->id,
			 "instance", s->node->id, "document", s->document, "status",
			 names[s->status], "details", s->details ? s->details : "", "paused",
			 s->paused, "node", side_state(s, SIDE_NODE), "operator",
			 side_state(s, SIDE_OPERATOR));
}

void
sessions_close(struct sandbox *sb)
{
	size_t iter = 0;
	const char *id;
	void *value;

	while (map_next(sb->store->sessions, &iter, &id, &value))
		data_channels_close(value, 1001, "the sandbox ends");
}
