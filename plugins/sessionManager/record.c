/* SPDX-License-Identifier: Apache-2.0 */
/* Log, transcript and audit line of a session. */
#include "plugins/sessionManager/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "plugins/sessionManager/cast.h"
#include "plugins/sessionManager/keep.h"
#include "plugins/sessionManager/shell.h"

#define CANCELLED_MS 8000 /* of what the agent grants a cancelled session */
#define HOUR_MS INT64_C(3600000)

const struct ssm_option record_options[] = {
	{ SSM_OPT_BOOL, 0, "StrictLogging", "no",
	  "No session without its log: not without a place for it, nor with one that does not take "
	  "it." },
	{ SSM_OPT_BYTES, 0, "LogMaxBytes", "128M", "Largest log of a session." },
	{ SSM_OPT_MSEC, 0, "LogEndTimeout", "30s",
	  "How long the end of a session waits until its log is stored." },
	{ SSM_OPT_STRING, 0, "Folder", "",
	  "Of transcripts, and of logs until they are stored; empty: sessions in the state "
	  "folder." },
	{ SSM_OPT_BYTES, 0, "TranscriptMaxBytes", "64M", "Largest transcript of a session." },
};

struct record {
	struct ssm *S;
	const json_t *document;
	char *folder;
	struct keep keep_log, keep_cast;
	struct logs_conf conf;
	struct logs *logs;
	struct cast *cast;
	char *user;
	bool begun, exited;
	int32_t code;
	int64_t began_ms;
	uint64_t in, out;
};

static int64_t
number(struct ssm *S, const char *option)
{
	int64_t v = 0;

	return S->api->option_int(S, option, &v) < 0 ? 0 : v;
}

static const char *
info(struct ssm *S, const char *key, const char *preset)
{
	const char *v = S->api->info(S, key);

	return v ? v : preset;
}

static const char *
type_of(const struct record *r)
{
	return json_str(r->document, "sessionType", "");
}

static void
set_keep(struct record *r)
{
	const char *given = r->S->api->option(r->S, "Folder");
	int64_t hours = 336;

	(void)text_to_i64(info(r->S, "session-logs-hours", "336"), 1, INT32_MAX, &hours);
	r->folder = given && *given ? xstrdup(given)
				    : xasprintf("%s/sessions", info(r->S, "state-dir", ""));
	r->keep_log = (struct keep){ r->folder, json_str(r->document, "SessionId", ""),
				     hours * HOUR_MS, (uint64_t)number(r->S, "LogMaxBytes") };
	r->keep_cast = r->keep_log;
	r->keep_cast.max_bytes = (uint64_t)number(r->S, "TranscriptMaxBytes");
}

struct record *
record_new(struct ssm *S, const json_t *document, const struct session_inputs *inputs,
	   const struct logs_ops *ops, void *arg)
{
	struct record *r = xcalloc(1, sizeof(*r));

	r->S = S;
	r->document = document;
	r->began_ms = clock_wall_ms();
	set_keep(r);
	r->conf = (struct logs_conf){
		.inputs = inputs,
		.session = json_str(document, "SessionId", ""),
		.type = type_of(r),
		.owner_arn = json_str(document, "SessionOwner", ""),
		.keep = &r->keep_log,
		.strict = number(S, "StrictLogging") != 0,
	};
	r->logs = logs_new(S, &r->conf, ops, arg);
	return r;
}

struct record *
record_free(struct record *r)
{
	if (!r)
		return NULL;
	r->logs = logs_free(r->logs);
	r->cast = cast_free(r->cast);
	free(r->folder);
	free(r->user);
	free(r);
	return NULL;
}

enum logs_state
record_state(const struct record *r)
{
	return logs_state(r->logs);
}

const char *
record_text(const struct record *r)
{
	return logs_text(r->logs);
}

bool
record_is_lost(const struct record *r)
{
	return r->conf.strict && *record_text(r);
}

void
record_describe(const struct record *r, json_t *o)
{
	if (r->begun)
		logs_describe(r->logs, o);
}

/* --------------------------------------------------------------- transcript */

static bool
wants_transcript(const struct record *r)
{
	return strcmp(info(r->S, "session-logs-destination", "none"), "disk") == 0 &&
		strcmp(type_of(r), "Port") != 0;
}

/* Without one the session goes on: it is for this node's own use. */
static void
open_transcript(struct record *r)
{
	struct err e = { 0, "" };

	r->cast = cast_new(&r->keep_cast, SHELL_COLS, SHELL_ROWS, &e);
	if (!r->cast)
		ssm_log(r->S, SSM_WARN, "there is no transcript of the session: %s", err_text(&e));
}

static void
check_transcript(struct record *r, int error)
{
	if (error == 0)
		return;
	ssm_log(r->S, SSM_WARN, "the transcript of the session ends: %s", strerror(-error));
	r->cast = cast_free(r->cast);
}

/* ---------------------------------------------------------------- meanwhile */

void
record_begins(struct record *r)
{
	r->begun = true;
	if (wants_transcript(r))
		open_transcript(r);
}

void
record_runs_as(struct record *r, const char *user)
{
	free(r->user);
	r->user = xstrdup(user);
	logs_runs_as(r->logs, r->user);
}

void
record_exited(struct record *r, int32_t code)
{
	r->exited = true;
	r->code = code;
}

void
record_resize(struct record *r, uint32_t cols, uint32_t rows)
{
	if (r->cast)
		check_transcript(r, cast_resize(r->cast, cols, rows));
}

void
record_input(struct record *r, size_t len)
{
	r->in += len;
}

int
record_output(struct record *r, const void *p, size_t len)
{
	bool kept = strcmp(type_of(r), "Port") != 0;
	int res = kept ? logs_add(r->logs, p, len) : 0;

	if (res < 0)
		return res;
	r->out += len;
	if (r->cast)
		check_transcript(r, cast_output(r->cast, p, len));
	return 0;
}

/* ------------------------------------------------------------------ the end */

void
record_end(struct record *r, bool cancelled)
{
	int64_t ms = number(r->S, "LogEndTimeout");

	r->cast = cast_free(r->cast);
	logs_end(r->logs, cancelled && ms > CANCELLED_MS ? CANCELLED_MS : ms);
}

/* The name that the service puts before the number of a session. Caller frees. */
static char *
who(const char *session)
{
	const char *end = strrchr(session, '-');

	return xstrndup(session, end ? (size_t)(end - session) : strlen(session));
}

static char *
shown(const struct record *r, const char *key)
{
	return text_quote(json_str(r->document, key, ""), 200);
}

void
record_audit(const struct record *r, const char *status)
{
	autofree char *id = text_quote(r->conf.session, 200), *document = shown(r, "DocumentName");
	autofree char *name = who(r->conf.session), *operator= text_quote(name, 100);
	autofree char *user = text_quote(r->user ? r->user : "", 64);
	autofree char *exit = r->exited ? xasprintf(", exit %" PRId32, r->code) : xstrdup("");
	char began[TEXT_STAMP_SIZE], ended[TEXT_STAMP_SIZE];

	text_iso8601_ms(r->began_ms, began);
	text_iso8601_ms(clock_wall_ms(), ended);
	ssm_log(r->S, SSM_INFO,
		"audit: session %s of %s, document %s (%s), run as %s: %s%s, from %s to %s, "
		"%" PRIu64 " bytes out, %" PRIu64 " in",
		id, operator, document, type_of(r), user, status, exit, began, ended, r->out,
		r->in);
}

void
record_refused(struct ssm *S, const json_t *document)
{
	const struct record r = {
		.S = S,
		.document = document,
		.conf.session = json_str(document, "SessionId", info(S, "job-id", "")),
		.began_ms = clock_wall_ms(),
	};

	record_audit(&r, "Failed");
}
