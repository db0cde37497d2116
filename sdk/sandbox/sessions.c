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

#define GRACE_MS 20000
#define DETAILS_MAX 1024u
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

	timer_cancel(s->sb->ev, &s->grace);
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
	autojson json_t *inner =
		json_pack("{s:s, s:s, s:O, s:O, s:s, s:s}", "SessionId", s->id, "DocumentName",
			  s->document, "DocumentContent", content, "Parameters", parameters,
			  "RunAsUser", "", "SessionOwner", s->owner);
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
	forget_old(sb->store->sessions);
	map_set(sb->store->sessions, s->id, s);
	tell_node(s, content, parameters);
	return s;
}

/* ---- the end ---- */

static void
finish(struct session *s, enum session_status status, const char *output)
{
	if (session_is_over(s))
		return;
	timer_cancel(s->sb->ev, &s->grace);
	s->status = status;
	s->end_ms = sandbox_now_ms(s->sb);
	s->tokens[SIDE_NODE][0] = s->tokens[SIDE_OPERATOR][0] = '\0';
	if (*output)
		s->details = xstrndup(output, text_utf8_floor(output, strlen(output), DETAILS_MAX));
}

static void
on_grace(void *arg)
{
	finish(arg, SESSION_TERMINATED, "");
}

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

void
session_terminate(struct session *s, const char *output)
{
	autojson json_t *for_node = channel_closed(s, NULL);

	(void)output;
	if (s->status >= SESSION_TERMINATING)
		return;
	s->status = SESSION_TERMINATING;
	s->grace.fn = on_grace;
	s->grace.arg = s;
	timer_in(s->sb->ev, &s->grace, GRACE_MS);
	(void)channel_send(s->node, "channel_closed", for_node);
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

json_t *
session_op(struct sandbox *sb, const json_t *r, struct err *e)
{
	const char *what = json_str(r, "do", "state"), *id = json_str(r, "session", NULL);
	struct session *s = id ? session_find(sb, id) : newest(sb);

	if (!s) {
		(void)err_set(e, -ENOENT, "no session '%.100s'", id ? id : "");
		return NULL;
	}
	if (strcmp(what, "terminate") == 0) {
		session_terminate(s, json_str(r, "output", ""));
	} else if (strcmp(what, "state") != 0) {
		(void)err_set(e, -EINVAL, "do '%s' is none of state, terminate", what);
		return NULL;
	}
	return json_pack("{s:b, s:s, s:s, s:s, s:s, s:s}", "ok", 1, "session", s->id, "instance",
			 s->node->id, "document", s->document, "status", names[s->status],
			 "details", s->details ? s->details : "");
}
