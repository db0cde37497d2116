/* SPDX-License-Identifier: Apache-2.0 */
/* CloudWatch Logs: the node describes groups, makes streams and puts events, within the service's
 * limits; the operator makes groups and reads. */
#include "sdk/sandbox/logs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/dispatch.h"

#define EVENT_EXTRA 26		     /* bytes that the service counts for each event */
#define EVENT_MAX_BYTES (256 * 1024) /* with those */
#define BATCH_MAX_BYTES 1048576	     /* with those */
#define SPAN_MAX_MS (24 * 3600 * INT64_C(1000))
#define FUTURE_MAX_MS (2 * 3600 * INT64_C(1000))
#define PAST_MAX_MS (14 * 24 * 3600 * INT64_C(1000))
#define PAGE_MAX 50
#define EVENTS_MAX 10000
#define EVENTS_BYTES_MAX ((size_t)1 << 20) /* of one answer */

struct stream {
	json_t *events; /* as they are read: timestamp, message, ingestionTime */
	int64_t created_ms;
};

struct group {
	char *kms_key; /* or NULL */
	struct map *streams;
	int64_t created_ms;
	size_t bytes;
};

struct loggroups {
	struct map *by_name;
	size_t streams, bytes;
};

static void
stream_free(void *value)
{
	struct stream *s = value;

	json_decref(s->events);
	free(s);
}

static void
group_free(void *value)
{
	struct group *g = value;

	map_free(g->streams);
	free(g->kms_key);
	free(g);
}

struct loggroups *
loggroups_new(void)
{
	struct loggroups *all = xcalloc(1, sizeof(*all));

	all->by_name = map_new(group_free);
	return all;
}

struct loggroups *
loggroups_free(struct loggroups *all)
{
	if (!all)
		return NULL;
	map_free(all->by_name);
	free(all);
	return NULL;
}

/* ------------------------------------------------------------- what is meant */

static struct group *
group_of(struct exchange *ex)
{
	struct group *g =
		map_get(ex->sb->loggroups->by_name, json_str(ex->request, "logGroupName", ""));

	if (!g)
		exchange_refuse(ex, 400, "ResourceNotFoundException",
				"The specified log group does not exist.");
	return g;
}

static struct stream *
stream_of(struct exchange *ex, const struct group *g)
{
	struct stream *s = map_get(g->streams, json_str(ex->request, "logStreamName", ""));

	if (!s)
		exchange_refuse(ex, 400, "ResourceNotFoundException",
				"The specified log stream does not exist.");
	return s;
}

static char *
arn(const struct exchange *ex, const char *group, const char *end)
{
	return xasprintf("arn:aws:logs:%s:%s:log-group:%s:%s", ex->sb->set.region,
			 ex->sb->set.account, group, end);
}

/* ------------------------------------------------------------------ groups */

static void
create_group(struct exchange *ex)
{
	struct loggroups *all = ex->sb->loggroups;
	const char *name = json_str(ex->request, "logGroupName", "");
	struct group *g;

	if (map_get(all->by_name, name)) {
		exchange_refuse(ex, 400, "ResourceAlreadyExistsException",
				"The specified log group already exists");
		return;
	}
	if (map_len(all->by_name) >= LOGGROUPS_MAX) {
		exchange_refuse(ex, 400, "LimitExceededException", "at most %u", LOGGROUPS_MAX);
		return;
	}
	g = xcalloc(1, sizeof(*g));
	g->streams = map_new(stream_free);
	g->kms_key = xstrdup(json_str(ex->request, "kmsKeyId", NULL));
	g->created_ms = sandbox_now_ms(ex->sb);
	map_set(all->by_name, name, g);
	exchange_answer_json(ex, NULL);
}

static json_t *
describe_group(const struct exchange *ex, const char *name, const struct group *g)
{
	autofree char *id = arn(ex, name, "*");
	json_t *o = json_pack("{s:s, s:I, s:i, s:s, s:I}", "logGroupName", name, "creationTime",
			      (json_int_t)g->created_ms, "metricFilterCount", 0, "arn", id,
			      "storedBytes", (json_int_t)g->bytes);

	if (g->kms_key)
		(void)json_object_set_new(o, "kmsKeyId", json_string(g->kms_key));
	return o;
}

/* A page of the entries of M whose names begin with PREFIX; a token is how many went before. */
static void
answer_page(struct exchange *ex, const struct map *m, const char *prefix, const char *list,
	    json_t *(*describe)(const struct exchange *, const char *, const void *))
{
	int64_t at = 0, n = 0, limit = json_int(ex->request, "limit", PAGE_MAX);
	json_t *items = json_array(), *answer = json_object();
	size_t iter = 0;
	const char *name;
	void *value;

	(void)text_to_i64(json_str(ex->request, "nextToken", "0"), 0, INT32_MAX, &at);
	while (map_next(m, &iter, &name, &value)) {
		if (!text_starts(name, prefix) || n++ < at)
			continue;
		if (n > at + limit)
			break;
		(void)json_array_append_new(items, describe(ex, name, value));
	}
	if (n > at + limit)
		(void)json_object_set_new(answer, "nextToken",
					  json_sprintf("%" PRId64, at + limit));
	(void)json_object_set_new(answer, list, items);
	exchange_answer_json(ex, answer);
}

static json_t *
describe_any_group(const struct exchange *ex, const char *name, const void *value)
{
	return describe_group(ex, name, value);
}

static void
describe_groups(struct exchange *ex)
{
	answer_page(ex, ex->sb->loggroups->by_name, json_str(ex->request, "logGroupNamePrefix", ""),
		    "logGroups", describe_any_group);
}

/* ----------------------------------------------------------------- streams */

static void
create_stream(struct exchange *ex)
{
	struct loggroups *all = ex->sb->loggroups;
	struct group *g = group_of(ex);
	const char *name = json_str(ex->request, "logStreamName", "");
	struct stream *s;

	if (!g)
		return;
	if (map_get(g->streams, name)) {
		exchange_refuse(ex, 400, "ResourceAlreadyExistsException",
				"The specified log stream already exists");
		return;
	}
	if (all->streams >= LOGGROUPS_MAX_STREAMS) {
		exchange_refuse(ex, 400, "LimitExceededException", "at most %u streams",
				LOGGROUPS_MAX_STREAMS);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->events = json_array();
	s->created_ms = sandbox_now_ms(ex->sb);
	map_set(g->streams, name, s);
	all->streams++;
	exchange_answer_json(ex, NULL);
}

static json_t *
describe_stream(const struct exchange *ex, const char *name, const void *value)
{
	const struct stream *s = value;
	size_t n = json_array_size(s->events);
	autofree char *end = xasprintf("log-stream:%s", name);
	autofree char *id = arn(ex, json_str(ex->request, "logGroupName", ""), end);
	json_t *o = json_pack("{s:s, s:I, s:s, s:i, s:o}", "logStreamName", name, "creationTime",
			      (json_int_t)s->created_ms, "arn", id, "storedBytes", 0,
			      "uploadSequenceToken", json_sprintf("%056zu", n));

	if (n > 0) {
		(void)json_object_set(o, "firstEventTimestamp",
				      json_object_get(json_array_get(s->events, 0), "timestamp"));
		(void)json_object_set(o, "lastEventTimestamp",
				      json_object_get(json_array_get(s->events, n - 1),
						      "timestamp"));
	}
	return o;
}

static void
describe_streams(struct exchange *ex)
{
	const struct group *g = group_of(ex);

	if (g)
		answer_page(ex, g->streams, json_str(ex->request, "logStreamNamePrefix", ""),
			    "logStreams", describe_stream);
}

/* ------------------------------------------------------------------ events */

/* In bytes, with what the service adds; 0 after a refusal. */
static size_t
check_batch(struct exchange *ex, const json_t *events)
{
	size_t i, total = 0;
	int64_t first = 0, last = 0;
	json_t *e;

	json_array_foreach(events, i, e)
	{
		size_t len = json_string_length(json_object_get(e, "message")) + EVENT_EXTRA;
		int64_t at = json_int(e, "timestamp", 0);

		total += len;
		first = i ? first : at;
		if (len > EVENT_MAX_BYTES || total > BATCH_MAX_BYTES) {
			exchange_refuse(ex, 400, "InvalidParameterException",
					"Log event too large or batch too large: %zu, %zu", len,
					total);
			return 0;
		}
		if (at < last || at - first > SPAN_MAX_MS) {
			exchange_refuse(ex, 400, "InvalidParameterException",
					"Log events in a single PutLogEvents request must be in "
					"chronological order and span at most 24 hours.");
			return 0;
		}
		last = at;
	}
	return total;
}

static void
put_events(struct exchange *ex)
{
	struct loggroups *all = ex->sb->loggroups;
	const json_t *events = json_object_get(ex->request, "logEvents");
	struct group *g = group_of(ex);
	struct stream *s = g ? stream_of(ex, g) : NULL;
	size_t i, len = s ? check_batch(ex, events) : 0;
	int64_t now = sandbox_now_ms(ex->sb);
	json_t *e;

	if (len == 0)
		return;
	if (all->bytes + len > LOGGROUPS_MAX_BYTES) {
		exchange_refuse(ex, 400, "ServiceUnavailableException", "the sandbox is full");
		return;
	}
	json_array_foreach(events, i, e)
	{
		int64_t at = json_int(e, "timestamp", 0);

		if (at > now + FUTURE_MAX_MS || at < now - PAST_MAX_MS)
			continue;
		e = json_copy(e);
		(void)json_object_set_new(e, "ingestionTime", json_integer(now));
		(void)json_array_append_new(s->events, e);
	}
	g->bytes += len;
	all->bytes += len;
	/* The journal has no need of it. */
	(void)json_object_set_new(ex->request, "logEvents",
				  json_integer((json_int_t)json_array_size(events)));
	exchange_answer_json(ex,
			     json_pack("{s:o}", "nextSequenceToken",
				       json_sprintf("%056zu", json_array_size(s->events))));
}

/* Where an answer begins: "f/N" as we gave it, else at the start. */
static size_t
begin_of(const struct exchange *ex)
{
	const char *token = json_str(ex->request, "nextToken", "");
	int64_t at = 0;

	if (text_starts(token, "f/"))
		(void)text_to_i64(token + 2, 0, INT32_MAX, &at);
	return (size_t)at;
}

static void
get_events(struct exchange *ex)
{
	const struct group *g = group_of(ex);
	const struct stream *s = g ? stream_of(ex, g) : NULL;
	size_t limit = (size_t)json_int(ex->request, "limit", EVENTS_MAX);
	size_t at = begin_of(ex), begin = at, bytes = 0;
	json_t *shown;

	if (!s)
		return;
	shown = json_array();
	for (; at < json_array_size(s->events) && at - begin < limit; at++) {
		json_t *e = json_array_get(s->events, at);

		bytes += json_string_length(json_object_get(e, "message"));
		if (bytes > EVENTS_BYTES_MAX && at > begin)
			break;
		(void)json_array_append(shown, e);
	}
	exchange_answer_json(ex,
			     json_pack("{s:o, s:o, s:o}", "events", shown, "nextForwardToken",
				       json_sprintf("f/%zu", at), "nextBackwardToken",
				       json_sprintf("b/%zu", begin)));
}

/* ------------------------------------------------------------------ shapes */

static bool
is_group_name(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._/#-";

	return strspn(s, letters) == strlen(s);
}

static bool
is_stream_name(const char *s)
{
	return !strpbrk(s, ":*");
}

static const char *const orders[] = { "LogStreamName", "LastEventTime", NULL };
static const struct shape tag = { .name = "tag", .type = SHAPE_STRING, .max = 256 };

#define GROUP(n, r)                                                                   \
	{                                                                             \
		.name = n, .type = SHAPE_STRING, .required = r, .min = 1, .max = 512, \
		.check = is_group_name                                                \
	}
#define STREAM(n, r)                                                                  \
	{                                                                             \
		.name = n, .type = SHAPE_STRING, .required = r, .min = 1, .max = 512, \
		.check = is_stream_name                                               \
	}
#define TOKEN                                                       \
	{                                                           \
		.name = "nextToken", .type = SHAPE_STRING, .min = 1 \
	}
#define LIMIT(n)                                                           \
	{                                                                  \
		.name = "limit", .type = SHAPE_INTEGER, .min = 1, .max = n \
	}
#define END                  \
	{                    \
		.name = NULL \
	}

static const struct shape create_group_members[] = {
	GROUP("logGroupName", true),
	{ .name = "kmsKeyId", .type = SHAPE_STRING, .max = 256 },
	{ .name = "tags", .type = SHAPE_MAP, .inner = &tag },
	END,
};
static const struct shape describe_group_members[] = {
	GROUP("logGroupNamePrefix", false),
	TOKEN,
	LIMIT(PAGE_MAX),
	END,
};
static const struct shape create_stream_members[] = {
	GROUP("logGroupName", true),
	STREAM("logStreamName", true),
	END,
};
static const struct shape describe_stream_members[] = {
	GROUP("logGroupName", true),
	STREAM("logStreamNamePrefix", false),
	{ .name = "orderBy", .type = SHAPE_STRING, .allowed = orders },
	{ .name = "descending", .type = SHAPE_BOOLEAN },
	TOKEN,
	LIMIT(PAGE_MAX),
	END,
};
static const struct shape event_members[] = {
	{ .name = "timestamp", .type = SHAPE_INTEGER, .required = true, .max = INT64_MAX },
	{ .name = "message", .type = SHAPE_STRING, .required = true, .min = 1 },
	END,
};
static const struct shape event = { .name = "event", .type = SHAPE_STRUCT, .inner = event_members };
static const struct shape put_members[] = {
	GROUP("logGroupName", true),
	STREAM("logStreamName", true),
	{ .name = "logEvents",
	  .type = SHAPE_LIST,
	  .required = true,
	  .min = 1,
	  .max = EVENTS_MAX,
	  .inner = &event },
	{ .name = "sequenceToken", .type = SHAPE_STRING, .min = 1 },
	END,
};
static const struct shape get_members[] = {
	GROUP("logGroupName", true),
	STREAM("logStreamName", true),
	TOKEN,
	LIMIT(EVENTS_MAX),
	{ .name = "startFromHead", .type = SHAPE_BOOLEAN },
	END,
};

const struct operation logs_operations[] = {
	{ "CreateLogGroup", false, true, create_group_members, create_group },
	{ "DescribeLogGroups", true, true, describe_group_members, describe_groups },
	{ "CreateLogStream", true, true, create_stream_members, create_stream },
	{ "DescribeLogStreams", true, true, describe_stream_members, describe_streams },
	{ "PutLogEvents", true, false, put_members, put_events },
	{ "GetLogEvents", false, true, get_members, get_events },
	{ NULL, false, false, NULL, NULL },
};
