/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a session: one file, up to two sinks.
 *
 * Why a session need not wait for its sinks: what is written goes to the file, and from there when
 * a sink has said that it takes it. Only what must not begin without them waits. */
#include "plugins/sessionManager/logs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/sessionManager/cwlog.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/keep.h"
#include "plugins/sessionManager/later.h"
#include "plugins/sessionManager/logfile.h"
#include "plugins/sessionManager/s3log.h"

#define CHECK_MS 15000
#define LOOK_MS 2000   /* strict: how often a sink that streams is looked at */
#define STALL_MS 30000 /* strict: a sink may take nothing for this long */
#define TRIES 5
#define TEXT_MAX ((size_t)4096)

enum place {
	S3,
	CLOUDWATCH,
	PLACES
};
enum stage {
	UNUSED,
	ASKED,
	USABLE,
	PROVING,
	SENDING,
	DONE,
	FAILED
};

static const char *const names[] = { "Amazon S3 bucket", "CloudWatch Logs log group" };

struct logs {
	struct ssm *S;
	const struct logs_conf *conf;
	const struct logs_ops *ops;
	void *arg;
	struct logfile file;
	struct logsink sinks[PLACES];
	struct s3log *s3;
	struct cwlog *cw;
	enum stage stages[PLACES];
	char *failures[PLACES], *file_failure;
	struct logevent_head head;
	char *user;
	enum logs_state state;
	bool waits;  /* the session, for the checks */
	bool ending; /* logs_end() was called */
	struct ssm_watch *timer, *look;
	struct sbuf text;
};

static const char *
place_name(const struct logs *l, enum place p)
{
	return p == S3 ? l->conf->inputs->s3_bucket : l->conf->inputs->log_group;
}

static bool
is_encrypted(const struct logs *l, enum place p)
{
	return p == S3 ? l->conf->inputs->s3_encrypted : l->conf->inputs->log_encrypted;
}

enum logs_state
logs_state(const struct logs *l)
{
	return l->state;
}

const char *
logs_text(const struct logs *l)
{
	return sbuf_str(&l->text);
}

void
logs_describe(const struct logs *l, json_t *o)
{
	const struct session_inputs *in = l->conf->inputs;

	(void)json_object_set_new(o, "s3_bucket", json_string(l->s3 ? in->s3_bucket : ""));
	(void)json_object_set_new(o, "s3_key", json_string(l->s3 ? s3log_key(l->s3) : ""));
	(void)json_object_set_new(o, "log_group", json_string(l->cw ? in->log_group : ""));
	(void)json_object_set_new(o, "log_stream", json_string(l->cw ? l->conf->session : ""));
}

/* --------------------------------------------------------------- the checks */

static bool
is_pending(enum stage s)
{
	return s == ASKED || s == PROVING;
}

static void
leave_checks(struct logs *l, enum logs_state state)
{
	if (l->state != LOGS_CHECKING)
		return;
	later_never(l->S, &l->timer);
	l->state = state;
	if (state == LOGS_REFUSED)
		logfile_remove(&l->file);
	l->ops->checked(l->arg);
}

/* What the encryption of a sink comes to is a sentence already, which operators know. */
static bool
is_sentence(const char *failure)
{
	return text_starts(failure, CANNOT_BECAUSE) || text_starts(failure, CANNOT_AS);
}

static void
refuse(struct logs *l, enum place p, const char *failure)
{
	if (is_sentence(failure))
		(void)sbuf_adds(&l->text, failure);
	else
		(void)sbuf_addf(&l->text,
				CANNOT_BECAUSE "its log cannot be stored in the %s %s, which "
					       "this node requires. Error: %s",
				names[p], place_name(l, p), failure);
	leave_checks(l, LOGS_REFUSED);
}

/* The one that is asked first decides first. */
static void
decide(struct logs *l)
{
	static const enum place order[] = { CLOUDWATCH, S3 };

	for (size_t i = 0; i < PLACES && l->state == LOGS_CHECKING; i++) {
		enum place p = order[i];

		if (is_pending(l->stages[p]))
			return;
		if (l->stages[p] == FAILED && (l->conf->strict || is_sentence(l->failures[p])))
			refuse(l, p, l->failures[p]);
	}
	leave_checks(l, LOGS_READY);
}

static void advance(struct logs *l, enum place p);

static void
set_failed(struct logs *l, enum place p, const char *failure)
{
	l->stages[p] = FAILED;
	free(l->failures[p]);
	l->failures[p] = xstrdup(failure);
	ssm_log(l->S, SSM_WARN, "the log of the session cannot be stored in the %s '%s': %s",
		names[p], place_name(l, p), failure);
}

static void
checked(struct logs *l, enum place p, const char *failure)
{
	if (failure)
		set_failed(l, p, failure);
	else
		l->stages[p] = USABLE;
	if (!failure && p == CLOUDWATCH)
		cwlog_begin(l->cw);
	decide(l);
	advance(l, p);
}

static void
on_s3_proved(void *arg, const char *failure)
{
	checked(arg, S3, failure);
}

/* Whether the node may write is known when it has: strict wants to know. */
static void
on_s3_checked(void *arg, const char *failure)
{
	struct logs *l = arg;

	if (failure || !l->conf->strict) {
		checked(l, S3, failure);
		return;
	}
	l->stages[S3] = PROVING;
	s3log_put(l->s3, 1, on_s3_proved);
}

static void
on_cw_checked(void *arg, const char *failure)
{
	checked(arg, CLOUDWATCH, failure);
}

static int32_t
on_check_late(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct logs *l = arg;

	(void)S;
	(void)w;
	l->timer = NULL;
	(void)sbuf_adds(&l->text,
			CANNOT_BECAUSE "where its log should go did not answer within 15 s.");
	leave_checks(l, LOGS_REFUSED);
	return 0;
}

/* --------------------------------------------------------------- strict mode */

static void
lose(struct logs *l, const char *why)
{
	if (l->text.len == 0)
		(void)sbuf_addf(&l->text,
				"The session was ended because it cannot be logged any "
				"more: %s",
				why);
}

static int32_t
on_look(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct logs *l = arg;

	(void)w;
	l->look = NULL;
	if (cwlog_stalled_ms(l->cw) <= STALL_MS) {
		later(S, &l->look, on_look, l, LOOK_MS);
		return 0;
	}
	lose(l, *cwlog_failure(l->cw) ? cwlog_failure(l->cw) : "no answer");
	l->ops->lost(l->arg);
	return 0;
}

/* -------------------------------------------------------------------- start */

/* What "script" writes, and operators look for (spec 02 §8.3). */
static void
add_line(struct logs *l, const char *before, const char *what)
{
	char stamp[TEXT_STAMP_SIZE];
	autofree char *line = NULL;

	text_iso8601_ms(clock_wall_ms(), stamp);
	line = xasprintf("%sScript %s on %.10s %.8s+00:00\n", before, what, stamp, stamp + 11);
	(void)logfile_add(&l->file, line, strlen(line));
}

static bool
is_wanted(const struct logs *l)
{
	return (*l->conf->inputs->s3_bucket || *l->conf->inputs->log_group) &&
		strcmp(l->conf->type, "Port") != 0;
}

static bool
open_file(struct logs *l)
{
	struct err e = { 0, "" };

	if (logfile_open(&l->file, l->conf->keep, &e) == 0)
		add_line(l, "", "started");
	l->file.body = l->file.len;
	if (e.code == 0 && !l->file.error)
		return true;
	l->file_failure = xstrdup(e.code ? err_text(&e) : strerror(-l->file.error));
	logfile_remove(&l->file);
	logfile_close(&l->file);
	ssm_log(l->S, SSM_WARN, "the session is not logged: %s", l->file_failure);
	return false;
}

static void
ask(struct logs *l)
{
	const struct session_inputs *in = l->conf->inputs;
	bool streams = in->log_streaming && strcmp(l->conf->type, "Standard_Stream") == 0;

	for (size_t p = 0; p < PLACES; p++)
		l->sinks[p] = (struct logsink){ l->S, l->conf->session,
						is_encrypted(l, (enum place)p), &l->file };
	if (*in->log_group) {
		l->stages[CLOUDWATCH] = ASKED;
		l->cw = cwlog_new(&l->sinks[CLOUDWATCH], in->log_group, streams, &l->head, l);
		cwlog_check(l->cw, on_cw_checked);
	}
	if (*in->s3_bucket) {
		l->stages[S3] = ASKED;
		l->s3 = s3log_new(&l->sinks[S3], in->s3_bucket, in->s3_prefix, l);
		s3log_check(l->s3, on_s3_checked);
	}
	l->waits = l->conf->strict || (*in->log_group && in->log_encrypted) ||
		(*in->s3_bucket && in->s3_encrypted);
	if (l->waits)
		later(l->S, &l->timer, on_check_late, l, CHECK_MS);
	if (l->conf->strict && l->cw && streams)
		later(l->S, &l->look, on_look, l, LOOK_MS);
	l->state = l->waits ? LOGS_CHECKING : LOGS_READY;
}

static const char *
info(const struct logs *l, const char *key)
{
	const char *value = l->S->api->info(l->S, key);

	return value ? value : "";
}

struct logs *
logs_new(struct ssm *S, const struct logs_conf *conf, const struct logs_ops *ops, void *arg)
{
	struct logs *l = xcalloc(1, sizeof(*l));

	l->S = S;
	l->conf = conf;
	l->ops = ops;
	l->arg = arg;
	l->file.fd = l->file.folder = -1;
	l->state = LOGS_READY;
	sbuf_init(&l->text, TEXT_MAX);
	l->head = (struct logevent_head){ info(l, "region"), info(l, "instance-id"),
					  conf->owner_arn, "", conf->session };
	if (is_wanted(l) && open_file(l)) {
		ask(l);
	} else if (conf->strict) {
		l->state = LOGS_REFUSED;
		(void)sbuf_addf(
			&l->text,
			CANNOT_BECAUSE "this node requires sessions to be logged, and %s%s",
			l->file_failure ? "the log cannot be written: "
				: strcmp(conf->type, "Port") == 0
				? "port sessions cannot be."
				: "the document of this one names neither an Amazon S3 bucket nor "
				  "a CloudWatch Logs log group.",
			l->file_failure ? l->file_failure : "");
	}
	return l;
}

struct logs *
logs_free(struct logs *l)
{
	if (!l)
		return NULL;
	later_never(l->S, &l->timer);
	later_never(l->S, &l->look);
	l->s3 = s3log_free(l->s3);
	l->cw = cwlog_free(l->cw);
	if (!l->ending)
		logfile_remove(&l->file); /* there never was anything in it */
	logfile_close(&l->file);
	for (size_t p = 0; p < PLACES; p++)
		free(l->failures[p]);
	free(l->file_failure);
	free(l->user);
	sbuf_done(&l->text);
	free(l);
	return NULL;
}

/* -------------------------------------------------------------- meanwhile */

void
logs_runs_as(struct logs *l, const char *user)
{
	free(l->user);
	l->user = xstrdup(user);
	l->head.user = l->user;
}

int
logs_add(struct logs *l, const void *p, size_t len)
{
	bool was_good = !l->file.error;

	if (l->file.fd < 0)
		return 0;
	if (logfile_add(&l->file, p, len) < 0 && was_good)
		ssm_log(l->S, SSM_WARN, "the session is not logged any further: %s",
			strerror(-l->file.error));
	if (l->cw)
		cwlog_more(l->cw);
	if (!l->conf->strict || !l->file.error)
		return 0;
	lose(l, strerror(-l->file.error));
	return -EIO;
}

/* ------------------------------------------------------------------ the end */

static void
add_failure(struct logs *l, enum place p)
{
	if (l->stages[p] == UNUSED || l->stages[p] == DONE)
		return;
	(void)sbuf_addf(&l->text, "%sThe log of this session could not be stored in the %s %s: %s",
			l->text.len ? "\n" : "", names[p], place_name(l, p),
			l->failures[p] ? l->failures[p] : "it took too long");
}

static void
over(struct logs *l)
{
	bool lost = l->text.len > 0, failed;

	later_never(l->S, &l->timer);
	if (l->file_failure)
		(void)sbuf_addf(&l->text, "The session was not logged: %s", l->file_failure);
	if (l->file.error && !lost)
		(void)sbuf_addf(&l->text, "The session was not logged to its end: %s",
				strerror(-l->file.error));
	for (size_t p = 0; p < PLACES; p++)
		add_failure(l, (enum place)p);
	failed = l->file.fd >= 0 && (l->stages[S3] == FAILED || l->stages[CLOUDWATCH] == FAILED);
	if (failed)
		(void)sbuf_addf(&l->text, "\nIt stays on the node, in %s/%s", l->conf->keep->folder,
				l->file.name);
	else
		logfile_remove(&l->file);
	l->ops->ended(l->arg);
}

static int32_t
on_over(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct logs *l = arg;

	(void)S;
	(void)w;
	l->timer = NULL;
	for (size_t p = 0; p < PLACES; p++)
		if (l->stages[p] != UNUSED && l->stages[p] != DONE)
			l->stages[p] = FAILED;
	over(l);
	return 0;
}

static bool
is_over(enum stage s)
{
	return s == UNUSED || s == DONE || s == FAILED;
}

static void
sent(struct logs *l, enum place p, const char *failure)
{
	if (failure)
		set_failed(l, p, failure);
	else
		l->stages[p] = DONE;
	if (is_over(l->stages[S3]) && is_over(l->stages[CLOUDWATCH]))
		over(l);
}

static void
on_s3_sent(void *arg, const char *failure)
{
	sent(arg, S3, failure);
}

static void
on_cw_sent(void *arg, const char *failure)
{
	sent(arg, CLOUDWATCH, failure);
}

/* Once the log is whole and the sink has said that it takes it. */
static void
advance(struct logs *l, enum place p)
{
	if (!l->ending)
		return;
	if (l->stages[p] == USABLE) {
		l->stages[p] = SENDING;
		if (p == S3)
			s3log_put(l->s3, TRIES, on_s3_sent);
		else
			cwlog_finish(l->cw, TRIES, on_cw_sent);
	} else if (is_over(l->stages[S3]) && is_over(l->stages[CLOUDWATCH])) {
		later(l->S, &l->timer, on_over, l, 0);
	}
}

void
logs_end(struct logs *l, int64_t ms)
{
	if (l->ending) {
		later(l->S, &l->timer, on_over, l, ms);
		return;
	}
	l->ending = true;
	later_never(l->S, &l->look);
	if (l->file.fd >= 0) {
		l->file.end = l->file.len;
		add_line(l, "\n", "done");
	}
	later(l->S, &l->timer, on_over, l, is_wanted(l) && l->file.fd >= 0 ? ms : 0);
	for (size_t p = 0; p < PLACES; p++)
		advance(l, (enum place)p);
}
