/* SPDX-License-Identifier: Apache-2.0 */
/* StartSession, ResumeSession, TerminateSession, DescribeSessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/channel.h"
#include "sdk/sandbox/data_channel.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/page.h"
#include "sdk/sandbox/server.h"
#include "sdk/sandbox/sessions.h"

#define SHELL "SSM-SessionManagerRunShell"

/* ---- start and resume ---- */

static const struct document *
find_document(struct exchange *ex, const struct document_version **ret)
{
	const char *name = document_bare_name(json_str(ex->request, "DocumentName", SHELL));
	struct err e = { 0 };
	const struct document *doc = documents_find(ex->sb->documents, name, &e);
	struct refusal why;

	if (!doc) {
		exchange_refuse(ex, 400, "InvalidDocument", "%s", err_text(&e));
		return NULL;
	}
	*ret = document_version(doc, NULL);
	if (strcmp(doc->type, "Session") != 0)
		exchange_refuse(ex, 400, "InvalidDocument",
				"Document %s is of type %s; a session needs one of type Session.",
				name, doc->type);
	else if (!document_check((*ret)->content, "Session", &why))
		exchange_refuse(ex, 400, "InvalidDocument", "Document %s: %s", name, why.text);
	else
		return doc;
	return NULL;
}

/* A node that can be told. */
static struct node *
find_node(struct exchange *ex)
{
	const char *target = json_str(ex->request, "Target", "");
	struct node *node = store_node(ex->sb, target, false);

	if (node && channel_is_open(node))
		return node;
	exchange_refuse(ex, 400, "TargetNotConnected", "%s is not connected.", target);
	return NULL;
}

static char *
stream_url(const struct exchange *ex, const struct session *s)
{
	const char *host = exchange_header(ex, "host");
	char tls_port[8];

	(void)snprintf(tls_port, sizeof(tls_port), ":%u", server_tls_port(ex->sb->server));
	return xasprintf("%s://%s" DATA_CHANNEL_PATH "%s?" DATA_CHANNEL_OPERATOR_QUERY,
			 text_ends(host, tls_port) ? "wss" : "ws", host, s->id);
}

static void
answer_stream(struct exchange *ex, struct session *s)
{
	autofree char *url = stream_url(ex, s);

	exchange_answer_json(ex,
			     json_pack("{s:s, s:s, s:s}", "SessionId", s->id, "TokenValue",
				       session_token(s, SIDE_OPERATOR), "StreamUrl", url));
}

static void
start_session(struct exchange *ex)
{
	const struct document_version *version;
	const struct document *doc = find_document(ex, &version);
	autojson json_t *parameters = NULL;
	struct node *node;
	struct err e = { 0 };

	if (!doc)
		return;
	parameters =
		params_for_node(version->content, json_object_get(ex->request, "Parameters"), &e);
	if (!parameters) {
		exchange_refuse(ex, 400, "InvalidParameters", "%s", err_text(&e));
		return;
	}
	node = find_node(ex);
	if (node)
		answer_stream(ex,
			      session_new(node, doc->name, version->content, parameters,
					  json_str(ex->request, "Reason", NULL)));
}

static struct session *
session_of(struct exchange *ex)
{
	const char *id = json_str(ex->request, "SessionId", "");
	struct session *s = session_find(ex->sb, id);

	if (!s)
		exchange_refuse(ex, 400, "DoesNotExistException", "Session %s does not exist.", id);
	return s;
}

/* One that is over has no stream any more: the client takes that for the end. */
static void
resume_session(struct exchange *ex)
{
	struct session *s = session_of(ex);

	if (s && s->status >= SESSION_TERMINATING)
		exchange_answer_json(ex, json_pack("{s:s}", "SessionId", s->id));
	else if (s)
		answer_stream(ex, s);
}

static void
terminate_session(struct exchange *ex)
{
	struct session *s = session_of(ex);

	if (!s)
		return;
	session_terminate(s, "");
	exchange_answer_json(ex, json_pack("{s:s}", "SessionId", s->id));
}

/* ---- describe ---- */

static bool
check_filters(struct exchange *ex)
{
	const json_t *filter;
	size_t i;

	json_array_foreach(json_object_get(ex->request, "Filters"), i, filter)
	{
		const char *key = json_str(filter, "key", ""),
			   *value = json_str(filter, "value", "");
		int64_t ignored;

		if (strcmp(key, "Status") == 0 ? session_status_known(value)
					       : !text_starts(key, "Invoked") ||
				    text_from_iso8601(value, &ignored) == 0)
			continue;
		exchange_refuse(ex, 400, "ValidationException",
				"'%.128s' is no value of the filter %s.", value, key);
		return false;
	}
	return true;
}

static bool
filter_fits(const json_t *filter, const struct session *s)
{
	const char *key = json_str(filter, "key", ""), *value = json_str(filter, "value", "");
	int64_t limit = 0;

	if (strcmp(key, "Target") == 0)
		return strcmp(value, s->node->id) == 0;
	if (strcmp(key, "Owner") == 0)
		return strcmp(value, s->owner) == 0;
	if (strcmp(key, "Status") == 0)
		return strcmp(value, session_status_name(s->status)) == 0;
	if (strcmp(key, "SessionId") == 0)
		return strcmp(value, s->id) == 0;
	(void)text_from_iso8601(value, &limit);
	return strcmp(key, "InvokedAfter") == 0 ? s->start_ms > limit : s->start_ms < limit;
}

static bool
fits(const struct exchange *ex, const struct session *s)
{
	bool history = strcmp(json_str(ex->request, "State", ""), "History") == 0;
	const json_t *filter;
	size_t i;

	if (history != session_is_over(s))
		return false;
	json_array_foreach(json_object_get(ex->request, "Filters"), i,
			   filter) if (!filter_fits(filter, s)) return false;
	return true;
}

static void
set_text(json_t *out, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(out, key, json_string(text));
}

static json_t *
view(const struct session *s)
{
	autofree char *url = s->bucket
		? xasprintf("https://s3.%s.amazonaws.com/%s/%s", s->sb->set.region, s->bucket,
			    s->key ? s->key : "")
		: NULL;
	json_t *out = json_pack("{s:s, s:s, s:s, s:f, s:s, s:s}", "SessionId", s->id, "Target",
				s->node->id, "Status", session_status_name(s->status), "StartDate",
				(double)s->start_ms / 1000.0, "DocumentName", s->document, "Owner",
				s->owner);
	json_t *output = json_object();

	if (s->end_ms)
		json_object_set_new(out, "EndDate", json_real((double)s->end_ms / 1000.0));
	set_text(out, "Reason", s->reason);
	set_text(out, "Details", s->details);
	set_text(out, "MaxSessionDuration", s->max_duration);
	set_text(output, "S3OutputUrl", url);
	set_text(output, "CloudWatchOutputUrl", s->log_group);
	json_object_set_new(out, "OutputUrl", output);
	return out;
}

/* Newest first. */
static void
describe_sessions(struct exchange *ex)
{
	struct map *sessions = ex->sb->store->sessions;
	size_t count = 0, iter = 0;
	struct session **all;
	struct page page;
	const char *id;
	void *value;

	if (!check_filters(ex) || !page_begin(ex, &page, PAGE_MAX))
		return;
	all = xcalloc(map_len(sessions) + 1, sizeof(struct session *));
	while (map_next(sessions, &iter, &id, &value))
		all[count++] = value;
	for (size_t place = page.at; place < count; place++) {
		const struct session *s = all[count - 1 - place];

		if (fits(ex, s) && !page_add(&page, place, view(s)))
			break;
	}
	free(all);
	page_answer(ex, &page, "Sessions");
}

/* ---- shapes ---- */

static const char *const states[] = { "Active", "History", NULL };
static const char *const filters[] = { "InvokedAfter", "InvokedBefore", "Target", "Owner",
				       "Status",       "SessionId",	NULL };
static const struct shape value = { .name = "value", .type = SHAPE_STRING, .min = 1, .max = 65535 };
static const struct shape values = { .name = "values", .type = SHAPE_LIST, .inner = &value };
static const struct shape start_members[] = {
	{ .name = "Target", .type = SHAPE_STRING, .required = true, .min = 1, .max = 400 },
	{ .name = "DocumentName", .type = SHAPE_STRING, .min = 3, .max = 128 },
	{ .name = "Reason", .type = SHAPE_STRING, .min = 1, .max = 256 },
	{ .name = "Parameters", .type = SHAPE_MAP, .inner = &values },
	{ .name = NULL },
};
static const struct shape id_members[] = {
	{ .name = "SessionId", .type = SHAPE_STRING, .required = true, .min = 1, .max = 96 },
	{ .name = NULL },
};
static const struct shape filter_members[] = {
	{ .name = "key", .type = SHAPE_STRING, .required = true, .allowed = filters },
	{ .name = "value", .type = SHAPE_STRING, .required = true, .min = 1, .max = 400 },
	{ .name = NULL },
};
static const struct shape filter_shape = { .name = "filter",
					   .type = SHAPE_STRUCT,
					   .inner = filter_members };
static const struct shape describe_members[] = {
	{ .name = "State", .type = SHAPE_STRING, .required = true, .allowed = states },
	{ .name = "MaxResults", .type = SHAPE_INTEGER, .min = 1, .max = 200 },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = "Filters", .type = SHAPE_LIST, .min = 1, .max = 6, .inner = &filter_shape },
	{ .name = NULL },
};

const struct operation ssm_session_operations[] = {
	{ "StartSession", false, true, start_members, start_session },
	{ "ResumeSession", false, true, id_members, resume_session },
	{ "TerminateSession", false, true, id_members, terminate_session },
	{ "DescribeSessions", false, true, describe_members, describe_sessions },
	{ NULL, false, false, NULL, NULL },
};
