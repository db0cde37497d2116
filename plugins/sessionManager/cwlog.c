/* SPDX-License-Identifier: Apache-2.0 */
/* A log into CloudWatch: the group, the stream, its events.
 *
 * The file is the queue: what was taken by the service is a place in it, so a service that is away
 * costs no memory. One call is under way at a time, and at most one a second is made. */
#include "plugins/sessionManager/cwlog.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/ansi.h"
#include "plugins/sessionManager/answer.h"
#include "plugins/sessionManager/later.h"
#include "plugins/sessionManager/logfile.h"

#define PAGES_MAX 100		      /* of groups whose names begin alike */
#define READ_BYTES ((size_t)64 << 10) /* of the file at a time */
#define TEXT_BYTES (4 * (size_t)LOGEVENT_TEXT_MAX)
#define BODY_MAX ((size_t)4 << 20)
#define RETRY_MAX_MS 30000
#define NO_ENCRYPTION                                                                     \
	CANNOT_AS                                                                         \
	"encryption is not set up on the selected "                                       \
	"CloudWatch Logs log group. Either encrypt the log group or choose an option to " \
	"enable logging without encryption."
#define NOT_VALIDATED                                             \
	CANNOT_BECAUSE "we are unable to validate encryption on " \
		       "CloudWatch Logs log group. Error: %s"

struct cwlog {
	const struct logsink *sink;
	const struct logevent_head *head;
	char *group;
	bool streaming;
	void *arg;
	logsink_fn *done;
	struct ssm_watch *asked, *timer;
	unsigned pages;

	bool begun, last; /* cwlog_begin(), cwlog_finish() were called */
	struct ansi ansi;
	uint64_t read_at; /* of the file: what is in TEXT */
	struct sbuf text; /* read and not taken yet */
	size_t sent;	  /* of TEXT, in the call that is under way */
	char *token;	  /* of the next call, or NULL */
	unsigned tries;	  /* that are left in the end */
	int64_t wait_ms, stalled_since_ms, called_ms;
	char *failure;
};

struct cwlog *
cwlog_new(const struct logsink *sink, const char *group, bool streaming,
	  const struct logevent_head *head, void *arg)
{
	struct cwlog *l = xcalloc(1, sizeof(*l));

	l->sink = sink;
	l->group = xstrdup(group);
	l->streaming = streaming;
	l->head = head;
	l->arg = arg;
	l->wait_ms = CWLOG_PACE_MS;
	sbuf_init(&l->text, TEXT_BYTES + READ_BYTES);
	return l;
}

struct cwlog *
cwlog_free(struct cwlog *l)
{
	if (!l)
		return NULL;
	later_never(l->sink->S, &l->asked);
	later_never(l->sink->S, &l->timer);
	sbuf_wipe(&l->text);
	free(l->group);
	free(l->token);
	free(l->failure);
	free(l);
	return NULL;
}

int64_t
cwlog_stalled_ms(const struct cwlog *l)
{
	return l->stalled_since_ms ? clock_mono_ms() - l->stalled_since_ms : 0;
}

const char *
cwlog_failure(const struct cwlog *l)
{
	return l->failure ? l->failure : "";
}

static void
finish(struct cwlog *l, const char *failure)
{
	logsink_fn *done = TAKE(l->done);

	later_never(l->sink->S, &l->timer);
	if (done)
		done(l->arg, failure);
}

/* ------------------------------------------------------------------- checks */

static void
not_validated(struct cwlog *l, const char *why)
{
	autofree char *text = xasprintf(l->sink->encrypted ? NOT_VALIDATED : "%s", why);

	finish(l, text);
}

static int32_t
on_nobody(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct cwlog *l = arg;

	(void)S;
	(void)w;
	l->timer = NULL;
	not_validated(l, NOBODY);
	return 0;
}

/* BODY is taken. */
static void
ask(struct cwlog *l, const char *target, json_t *body, ssm_done_fn *fn)
{
	autofree char *text = json_text(body);
	const struct ssm_request q = { .size = sizeof(q),
				       .service = "logs",
				       .target = target,
				       .body = text,
				       .body_len = strlen(text),
				       .timeout_ms = LOGSINK_CALL_MS };

	json_decref(body);
	if (l->sink->S->api->call_start(l->sink->S, &q, fn, l, &l->asked) < 0)
		later(l->sink->S, &l->timer, on_nobody, l, 0);
}

static bool
is_error(const struct ssm_reply *r, const char *code)
{
	return r && r->error && strcmp(r->error, code) == 0;
}

static void
on_stream(struct ssm *S, int32_t result, const struct ssm_reply *r, void *arg)
{
	struct cwlog *l = arg;
	autofree char *why = NULL;

	(void)S;
	l->asked = NULL;
	if (!answer_is_good(result, r) && !is_error(r, "ResourceAlreadyExistsException"))
		why = answer_reason(result, r);
	finish(l, why);
}

static void
make_stream(struct cwlog *l)
{
	ask(l, "Logs_20140328.CreateLogStream",
	    json_pack("{s:s,s:s}", "logGroupName", l->group, "logStreamName", l->sink->session),
	    on_stream);
}

static json_t *
find_group(const struct cwlog *l, const json_t *groups)
{
	json_t *g;
	size_t i;

	json_array_foreach(groups, i,
			   g) if (strcmp(json_str(g, "logGroupName", ""), l->group) == 0) return g;
	return NULL;
}

static void ask_for_group(struct cwlog *l, const char *token);

static void
on_groups(struct ssm *S, int32_t result, const struct ssm_reply *r, void *arg)
{
	struct cwlog *l = arg;
	autojson json_t *o = NULL;
	autofree char *why = NULL;
	json_t *group;

	(void)S;
	l->asked = NULL;
	if (!answer_is_good(result, r) && l->sink->encrypted) {
		why = answer_reason(result, r);
		not_validated(l, why);
		return;
	}
	if (!answer_is_good(result, r)) {
		make_stream(l); /* which may be allowed all the same */
		return;
	}
	o = json_parse(r->body ? r->body : "", r->body_len, "the answer", NULL);
	group = find_group(l, json_object_get(o, "logGroups"));
	if (group && l->sink->encrypted && !*json_str(group, "kmsKeyId", ""))
		finish(l, NO_ENCRYPTION);
	else if (group)
		make_stream(l);
	else if (*json_str(o, "nextToken", "") && ++l->pages < PAGES_MAX)
		ask_for_group(l, json_str(o, "nextToken", ""));
	else
		finish(l,
		       l->sink->encrypted ? NO_ENCRYPTION
					  : "ResourceNotFoundException: there is no such log "
					    "group");
}

static void
ask_for_group(struct cwlog *l, const char *token)
{
	json_t *body = json_pack("{s:s}", "logGroupNamePrefix", l->group);

	if (token)
		(void)json_object_set_new(body, "nextToken", json_string(token));
	ask(l, "Logs_20140328.DescribeLogGroups", body, on_groups);
}

void
cwlog_check(struct cwlog *l, logsink_fn *done)
{
	l->done = done;
	ask_for_group(l, NULL);
}

/* ------------------------------------------------------------------- events */

/* Lines are those of the session, a whole log is all that the file has. */
static uint64_t
end_of(const struct cwlog *l)
{
	const struct logfile *f = l->sink->file;

	return l->streaming && f->end ? f->end : f->len;
}

/* What came into the file, as far as there is room for it. */
static void
read_more(struct cwlog *l)
{
	while (l->read_at < end_of(l) && l->text.len < TEXT_BYTES) {
		autosbuf struct sbuf raw = SBUF_INIT(READ_BYTES);
		uint64_t more = end_of(l) - l->read_at;
		ssize_t n = logfile_read(l->sink->file, l->read_at,
					 more < READ_BYTES ? (size_t)more : READ_BYTES, &raw);

		if (n <= 0)
			return;
		l->read_at += (uint64_t)n;
		if (l->streaming)
			ansi_filter(&l->ansi, raw.p, raw.len, &l->text);
		else
			(void)sbuf_add(&l->text, raw.p, raw.len);
	}
}

/* Whether all of the file is in TEXT. */
static bool
is_read(const struct cwlog *l)
{
	return l->read_at >= end_of(l);
}

static size_t
next_event(const struct cwlog *l, size_t at, int64_t now_ms, struct sbuf *out)
{
	const struct span text = { l->text.p + at, l->text.len - at };
	bool last = l->last && is_read(l);

	if (at >= l->text.len)
		return 0;
	return l->streaming ? logevent_json(l->head, text, last, now_ms, out)
			    : logevent_text(text, last, out);
}

/* The call's events onto OUT, and how much of TEXT they are. An event of nothing is not allowed. */
static size_t
put_events(const struct cwlog *l, struct sbuf *out)
{
	int64_t now_ms = clock_wall_ms();
	size_t at = 0, n;

	for (unsigned i = 0; i < CWLOG_CALL_EVENTS && out->len < BODY_MAX / 4; i++) {
		autosbuf struct sbuf event = SBUF_INIT(LOGEVENT_TEXT_MAX);

		n = next_event(l, at, now_ms, &event);
		if (n == 0)
			break;
		at += n;
		(void)sbuf_addf(out, "%s{\"message\":", i ? "," : "");
		(void)json_add_string_go(out, event.len ? event.p : " ", event.len ? event.len : 1);
		(void)sbuf_addf(out, ",\"timestamp\":%lld}", (long long)now_ms);
	}
	return at;
}

static void
add_name(struct sbuf *out, const char *key, const char *value)
{
	(void)sbuf_addf(out, ",\"%s\":", key);
	(void)json_add_string_go(out, value, strlen(value));
}

static void step(struct cwlog *l);

static int32_t
on_due(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct cwlog *l = arg;

	(void)S;
	(void)w;
	l->timer = NULL;
	step(l);
	return 0;
}

/* What is under way is told when it is done. */
static void
look_later(struct cwlog *l, int64_t ms)
{
	int64_t since = clock_mono_ms() - l->called_ms;

	if (!l->asked)
		later(l->sink->S, &l->timer, on_due, l, since < ms ? ms - since : 0);
}

static void
taken(struct cwlog *l, const struct ssm_reply *r)
{
	autojson json_t *o = json_parse(r->body ? r->body : "", r->body_len, "the answer", NULL);

	free(l->token);
	l->token = xstrdup(json_str(o, "nextSequenceToken", NULL));
	sbuf_consume(&l->text, l->sent);
	l->stalled_since_ms = 0;
	l->wait_ms = CWLOG_PACE_MS;
	free(TAKE(l->failure));
	if (l->last && is_read(l) && l->text.len == 0)
		finish(l, NULL);
	else
		look_later(l, CWLOG_PACE_MS);
}

/* What older endpoints say whose streams still have an order. */
static bool
take_token(struct cwlog *l, const struct ssm_reply *r)
{
	autojson json_t *o = NULL;
	const char *expected;

	if (!is_error(r, "InvalidSequenceTokenException") || !r->body)
		return false;
	o = json_parse(r->body, r->body_len, "the answer", NULL);
	expected = json_str(o, "expectedSequenceToken", NULL);
	free(l->token);
	l->token = xstrdup(expected);
	return expected != NULL;
}

static void
not_taken(struct cwlog *l, int32_t result, const struct ssm_reply *r)
{
	free(l->failure);
	l->failure = answer_reason(result, r);
	if (take_token(l, r)) {
		look_later(l, 0);
		return;
	}
	if (is_error(r, "ResourceNotFoundException") || (l->last && --l->tries == 0)) {
		l->begun = false; /* given up */
		finish(l, l->failure);
		return;
	}
	look_later(l, l->wait_ms);
	l->wait_ms = l->last || l->wait_ms * 2 > RETRY_MAX_MS ? l->wait_ms : l->wait_ms * 2;
}

static void
on_events(struct ssm *S, int32_t result, const struct ssm_reply *r, void *arg)
{
	struct cwlog *l = arg;

	(void)S;
	l->asked = NULL;
	if (answer_is_good(result, r) || is_error(r, "DataAlreadyAcceptedException"))
		taken(l, r);
	else
		not_taken(l, result, r);
}

static int
send_events(struct cwlog *l, const struct sbuf *events)
{
	autosbuf struct sbuf b = SBUF_INIT(BODY_MAX);
	struct ssm_request q = { .size = sizeof(q),
				 .service = "logs",
				 .target = "Logs_20140328.PutLogEvents",
				 .timeout_ms = LOGSINK_CALL_MS };

	(void)sbuf_addf(&b, "{\"logEvents\":[");
	(void)sbuf_add(&b, events->p, events->len);
	(void)sbuf_addc(&b, ']');
	add_name(&b, "logGroupName", l->group);
	add_name(&b, "logStreamName", l->sink->session);
	if (l->token)
		add_name(&b, "sequenceToken", l->token);
	(void)sbuf_addc(&b, '}');
	q.body = sbuf_str(&b);
	q.body_len = b.len;
	if (b.err)
		return b.err;
	l->called_ms = clock_mono_ms();
	return l->sink->S->api->call_start(l->sink->S, &q, on_events, l, &l->asked);
}

/* The next call; without anything to send the end, or nothing until there is more. */
static void
step(struct cwlog *l)
{
	autosbuf struct sbuf events = SBUF_INIT(BODY_MAX);
	int r;

	if (!l->begun || l->asked)
		return;
	read_more(l);
	l->sent = put_events(l, &events);
	if (l->sent == 0 && l->last)
		finish(l, NULL);
	if (l->sent == 0)
		return;
	if (!l->stalled_since_ms)
		l->stalled_since_ms = clock_mono_ms();
	r = send_events(l, &events);
	if (r < 0)
		not_taken(l, r, NULL);
}

void
cwlog_begin(struct cwlog *l)
{
	l->begun = true;
	l->read_at = l->streaming ? l->sink->file->body : 0;
	cwlog_more(l);
}

void
cwlog_more(struct cwlog *l)
{
	if (l->begun && l->streaming && !l->timer && !l->asked)
		later(l->sink->S, &l->timer, on_due, l, CWLOG_PACE_MS);
}

static int32_t
on_given_up(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct cwlog *l = arg;

	(void)S;
	(void)w;
	l->timer = NULL;
	finish(l, cwlog_failure(l));
	return 0;
}

void
cwlog_finish(struct cwlog *l, unsigned tries, logsink_fn *done)
{
	l->done = done;
	l->last = true;
	l->tries = tries;
	l->wait_ms = CWLOG_PACE_MS;
	if (l->begun)
		look_later(l, CWLOG_PACE_MS);
	else
		later(l->sink->S, &l->timer, on_given_up, l, 0);
}
