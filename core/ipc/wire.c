/* SPDX-License-Identifier: Apache-2.0 */
/* The table of messages: who may send which when, and the members that must be there. */
#include "core/ipc/wire.h"

#include <errno.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define AT(state) (1u << (state))
#define ALIVE (AT(WIRE_GREETED) | AT(WIRE_READY) | AT(WIRE_RUNNING))
#define LATE (ALIVE | AT(WIRE_ENDED))
#define RUN AT(WIRE_RUNNING)

/* MEMBERS: "name:type ..." with s string, i integer, b boolean, o object, a array; '?' optional. */
static const struct rule {
	const char *type;
	enum wire_side side;
	unsigned states;
	const char *members;
} rules[] = {
	{"hello", WIRE_FROM_HOST, AT(WIRE_NEW), "ipc_min:i ipc_max:i token:s pid:i"},
	{"ready", WIRE_FROM_HOST, AT(WIRE_GREETED), ""},
	{"log", WIRE_FROM_HOST, AT(WIRE_NEW) | LATE, "level:i text:s dropped:i?"},
	{"reply", WIRE_FROM_HOST, RUN, "seq:i final:b"},
	{"state-put", WIRE_FROM_HOST, RUN, "seq:i id:i? key:s"},
	/* A failed start of the plugin ends the job before it runs. */
	{"end", WIRE_FROM_HOST, ALIVE, "seq:i result:i exit_code:i? error:s?"},
	{"deliver", WIRE_FROM_HOST, RUN, "seq:i id:i msg_id:s topic:s route:s?"},
	{"call", WIRE_FROM_HOST, ALIVE,
	 "id:i service:s target:s? method:s? path:s? content_type:s? headers:o? region:s? url:s? "
	 "anonymous:b? timeout_ms:i?"},
	{"sign", WIRE_FROM_HOST, ALIVE,
	 "id:i service:s target:s? method:s? path:s? content_type:s? headers:o? region:s? url:s? "
	 "anonymous:b? timeout_ms:i? valid_ms:i"},
	{"transfer", WIRE_FROM_HOST, ALIVE,
	 "id:i url:s upload:b? sign:b? method:s? headers:o? max_bytes:i? sha256:s? timeout_ms:i?"},
	{"state-get", WIRE_FROM_HOST, ALIVE, "id:i key:s"},
	{"job-start", WIRE_FROM_HOST, RUN, "id:i kind:i name:s step:s? timeout_ms:i?"},
	{"job-wait", WIRE_FROM_HOST, RUN, "id:i job:s"},
	{"job-cancel", WIRE_FROM_HOST, RUN, "id:i job:s"},
	{"progress", WIRE_FROM_HOST, RUN, "text:s"},
	{"reply-done", WIRE_FROM_HOST, RUN, "reply_id:s status:i"},
	{"service-state", WIRE_FROM_HOST, RUN, "state:s"},

	{"hello", WIRE_FROM_AGENT, AT(WIRE_NEW),
	 "ipc:i ipc_max:i? agent_version:s token:s job:s kind:i feature:s plugin:s plugin_path:s "
	 "plugins:a? config:o? info:o? timeout_ms:i? cancelled:b? stored:i?"},
	{"go", WIRE_FROM_AGENT, AT(WIRE_READY), ""},
	{"stored", WIRE_FROM_AGENT, LATE, "seq:i"},
	{"cancel", WIRE_FROM_AGENT, LATE, "grace_ms:i?"},
	{"result", WIRE_FROM_AGENT, LATE,
	 "id:i code:i error:s? status:i? name:s? headers:o? url:s? job:s? exit_code:i? bytes:i?"},
	{"notify", WIRE_FROM_AGENT, LATE, "event:s"},
	{"bye", WIRE_FROM_AGENT, AT(WIRE_NEW) | LATE, ""},
};

static bool
has_type(const json_t *v, char type)
{
	switch (type) {
	case 's':
		return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v);
	case 'i':
		return json_is_integer(v);
	case 'b':
		return json_is_boolean(v);
	case 'o':
		return json_is_object(v);
	default:
		return json_is_array(v);
	}
}

/* SPEC at "name:t" or "name:t?"; *RET_NEXT behind it. */
static int
check_member(const json_t *message, const char *spec, const char **ret_next, const char *type,
	     struct err *e)
{
	size_t len = strcspn(spec, ":");
	autofree char *name = xstrndup(spec, len);
	char kind = spec[len + 1];
	bool optional = spec[len + 2] == '?';
	const json_t *v = json_object_get(message, name);

	spec += len + (optional ? 3 : 2);
	*ret_next = spec + strspn(spec, " ");
	if (!v && !optional)
		return err_set(e, -EPROTO, "a message '%s' without '%s'", type, name);
	if (v && !has_type(v, kind))
		return err_set(e, -EPROTO, "a message '%s' whose '%s' is of the wrong type", type,
			       name);
	return 0;
}

static const struct rule *
find(enum wire_side side, const char *type)
{
	for (size_t i = 0; i < NELEMS(rules); i++)
		if (rules[i].side == side && strcmp(rules[i].type, type) == 0)
			return &rules[i];
	return NULL;
}

int
wire_check(enum wire_side side, enum wire_state state, const json_t *message, const char **ret_type,
	   struct err *e)
{
	const char *type = json_str(message, "t", NULL);
	const struct rule *rule = type ? find(side, type) : NULL;

	if (!rule) {
		autofree char *shown = text_quote(type ? type : "", 40);

		return err_set(e, -EPROTO, "a message of unknown type %s", shown);
	}
	if (!(rule->states & AT(state)))
		return err_set(e, -EPROTO, "a message '%s' out of order", rule->type);
	for (const char *m = rule->members; *m;) {
		int r = check_member(message, m, &m, rule->type, e);

		if (r < 0)
			return r;
	}
	*ret_type = rule->type;
	return 0;
}

int
wire_version(int64_t their_min, int64_t their_max, struct err *e)
{
	int64_t common = their_max < WIRE_IPC_MAX ? their_max : WIRE_IPC_MAX;

	if (their_min > their_max || common < their_min || common < WIRE_IPC_MIN)
		return err_set(
			e, -EPROTO,
			"the other side speaks versions %lld to %lld of the protocol, this one %d "
			"to %d; agent and plugin host must be of the same or of successive "
			"releases",
			(long long)their_min, (long long)their_max, WIRE_IPC_MIN, WIRE_IPC_MAX);
	return (int)common;
}

json_t *
wire_new(const char *type)
{
	json_t *m = json_object();

	json_object_set_new(m, "t", json_string(type));
	return m;
}
