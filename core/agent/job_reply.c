/* SPDX-License-Identifier: Apache-2.0 */
/* The replies of a job: on disk, then in its outbox, then taken. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/job.h"
#include "core/agent/outbox.h"
#include "core/agent/worker.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"

/* Messages, replies and values of one job. */
#define JOB_BYTES_MAX (32 * 1024 * 1024)
#define REPLY_MAX (1024u * 1024u)
#define AT_NOTICE (-1)

/* All is said and nothing runs. */
void
job_finish_if_done(struct job *j)
{
	struct jobs *js = j->jobs;

	if (!j->confirmed || j->worker)
		return;
	j->journal = journal_discard(j->journal);
	if (j->id)
		jobstore_finish(j->store, j->id);
	if (j->local && js->local.over)
		js->local.over(js->local.arg, j->id, false);
	job_free(j);
	jobs_tidy_soon(js);
}

static char *
reply_text(const json_t *record, size_t *ret_len)
{
	const json_t *payload = json_object_get(record, "payload");

	if (!json_is_string(payload))
		return NULL;
	*ret_len = json_string_length(payload);
	return xmemdup(json_string_value(payload), *ret_len);
}

/* Replies are read back when their turn comes: in memory they would add up while the service is
 * away. Before the final one the file knows which of the others were taken: an agent after us must
 * not send them behind it. */
static int
outbox_payload(void *arg, const struct outbox_item *item, char **ret, size_t *ret_len)
{
	struct job *j = arg;
	autojson json_t *record = NULL;
	struct err e = { 0 };

	if (item->at == AT_NOTICE) {
		const struct address to = job_address(j);

		*ret = jobs_notice_text(j->jobs, &to, j->received_ms, "InProgress", "");
		*ret_len = strlen(*ret);
		return 0;
	}
	if (item->final && j->journal && list_empty(&j->commits))
		journal_flush(j->journal);
	record = jobstore_read(j->store, j->id, item->at, NULL, &e);
	*ret = record ? reply_text(record, ret_len) : NULL;
	return *ret ? 0 : e.code < 0 ? e.code : -EBADMSG;
}

/* Not synced: when it is lost, the reply is sent once more, by its old id. */
static void
note_confirmed(struct job *j, const struct outbox_item *item, const char *why)
{
	autojson json_t *record = json_object();

	(void)json_object_set_new(record, "reply_id", json_string(item->reply_id));
	if (why)
		(void)json_object_set_new(record, "dropped", json_string(why));
	if (job_journal(j, NULL))
		(void)journal_append(j->journal, RECORD_CONFIRMED, record, NULL, NULL);
	job_close_if_idle(j);
}

static void
outbox_done(void *arg, const struct outbox_item *item, const char *why)
{
	struct job *j = arg;

	if (!item->final) {
		note_confirmed(j, item, why);
		return;
	}
	j->confirmed = true;
	job_finish_if_done(j);
}

static const struct outbox_ops outbox_ops = { outbox_payload, outbox_done };

static int
deliver_here(void *arg, const struct outbox_item *item, const char *payload, size_t len)
{
	const struct job *j = arg;
	const struct dispatch_local *l = &j->jobs->local;

	return l->reply ? l->reply(l->arg, j->id, item->final, payload, len) : 0;
}

struct address
job_address(const struct job *j)
{
	return (struct address){ j->via, j->via ? j->topic : NULL, j->route };
}

void
job_need_outbox(struct job *j)
{
	if (j->outbox)
		return;
	j->outbox = outbox_new(j->via ? j->jobs->service_line : j->jobs->line, j->message_id,
			       &outbox_ops, j);
	outbox_address(j->outbox, j->via, j->topic, j->route);
	if (j->local)
		outbox_set_local(j->outbox, deliver_here);
}

void
job_queue_reply(struct job *j, const json_t *record, int64_t at, char *payload, size_t len)
{
	struct outbox_item item = { .final = json_bool(record, "final", false), .at = at };
	const char *reply_id = json_str(record, "reply_id", "");

	(void)snprintf(item.reply_id, sizeof(item.reply_id), "%s", reply_id);
	job_need_outbox(j);
	if (item.final)
		outbox_expire(j->outbox, json_int(record, "at_ms", 0) + JOBS_ANSWER_MS);
	outbox_add(j->outbox, &item, payload, len);
}

void
job_queue_notice(struct job *j)
{
	struct outbox_item item = { .at = AT_NOTICE, .notice = true };

	memcpy(item.reply_id, j->notice_id, sizeof(item.reply_id));
	job_need_outbox(j);
	outbox_add(j->outbox, &item, NULL, 0);
}

/* Of a cancelled job nothing final is said while something of it may still run. */
static void
keep_final(struct job *j)
{
	job_need_outbox(j);
	if (j->cancelled && j->worker)
		outbox_pause(j->outbox, OUTBOX_KEEP_FINAL);
}

/* On a disk that takes nothing any more the reply still goes out, from memory: better reported once
 * than kept for a restart that finds nothing. */
static void
reply_committed(struct job *j, struct commit *c, int result)
{
	size_t len = 0;
	char *payload = result < 0 ? reply_text(c->content, &len) : NULL;

	if (result < 0)
		log_error("jobs", "job '%s': a reply cannot be stored and goes out unstored",
			  j->id);
	keep_final(j);
	job_queue_reply(j, c->content, c->at, payload, len);
	if (c->worker)
		worker_stored(c->worker, c->seq);
}

json_t *
job_reply_record(int64_t seq, bool final, const char *payload, size_t len)
{
	char reply_id[RAND_UUID_SIZE];
	json_t *text = json_stringn(payload, len);

	if (!text)
		return NULL;
	rand_uuid4(reply_id);
	return json_pack("{s:I,s:s,s:b,s:I,s:o}", "seq", (json_int_t)seq, "reply_id", reply_id,
			 "final", final, "at_ms", (json_int_t)clock_wall_ms(), "payload", text);
}

static int
add_reply(struct job *j, struct worker *w, int64_t seq, bool final, json_t *record, struct err *e)
{
	struct commit c = { .fn = reply_committed, .worker = w, .seq = seq, .content = record };

	/* A step's reply is often followed by the final one at once. */
	return job_record(j, RECORD_REPLY, record, &c, final ? SOON_NOW : SOON_A_BIT, e);
}

bool
job_has_final(const struct job *j)
{
	return j->state == JOB_ENDED;
}

int
job_reply(struct job *j, struct worker *w, int64_t seq, bool final, const char *body, size_t len,
	  struct err *e)
{
	json_t *record;
	int r;

	if (job_has_final(j))
		return err_set(e, -EPROTO, "a reply behind the final one");
	if (len > REPLY_MAX || journal_size(j->journal) + (int64_t)len > JOB_BYTES_MAX)
		return err_set(e, -E2BIG, "replies of more than %u bytes, or %d in all", REPLY_MAX,
			       JOB_BYTES_MAX);
	record = job_reply_record(seq, final, body, len);
	if (!record)
		return err_set(e, -EPROTO, "a reply that is not UTF-8");
	r = add_reply(j, w, seq, final, record, e);
	if (r == 0 && final)
		j->state = JOB_ENDED;
	return r;
}

/* The agent's own final reply. */
void
job_final_notice(struct job *j, const char *status, const char *trace)
{
	const struct address to = job_address(j);
	autofree char *text = jobs_notice_text(j->jobs, &to, clock_wall_ms(), status, trace);
	json_t *record = job_reply_record(0, true, text, strlen(text));
	autojson json_t *copy = json_incref(record);

	j->state = JOB_ENDED;
	if (add_reply(j, NULL, 0, true, record, NULL) < 0)
		job_queue_reply(j, copy, 0, xstrdup(text), strlen(text));
}
