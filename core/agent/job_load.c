/* SPDX-License-Identifier: Apache-2.0 */
/* A job that an agent before us has left: what its journal says, and what follows from it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/cgroup.h"
#include "core/agent/job.h"
#include "core/agent/outbox.h"
#include "core/agent/worker.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

struct replay {
	struct job *j;
	bool message, started, final, damaged;
	struct list pasts;
};

static void
forget_pasts(struct replay *r)
{
	list_each(it, tmp, &r->pasts) past_free(list_entry(it, struct past, link));
}

/* A later start of the job begins anew: numbers, steps, all of it. */
static void
replay_started(struct replay *r, const json_t *c)
{
	struct past *p = past_new(c);

	r->started = true;
	if (past_number(c) == 0) {
		forget_pasts(r);
		r->j->started_ms = json_int(c, "at_ms", 0);
		r->j->starts++;
	}
	list_append(&r->pasts, &p->link);
}

static struct past *
past_of(const struct replay *r, const json_t *c)
{
	list_each(it, tmp, &r->pasts) {
		struct past *p = list_entry(it, struct past, link);

		if (past_number(p->started) == past_number(c))
			return p;
	}
	return NULL;
}

/* A record that came with a number from a host. */
static void
note_seq(struct replay *r, const json_t *c)
{
	struct past *p = past_of(r, c);
	int64_t seq = json_int(c, "seq", 0);

	if (p && seq > p->seq)
		p->seq = seq;
}

static void
replay_end(struct replay *r, const json_t *c)
{
	struct past *p = past_of(r, c);

	if (!p)
		return;
	json_decref(p->end);
	p->end = json_incref((json_t *)(uintptr_t)c);
}

static void
forget_end(const struct replay *r)
{
	struct past *p = list_first(&r->pasts, struct past, link);

	if (!p || past_number(p->started) > 0)
		return;
	json_decref(p->end);
	p->end = NULL;
}

static void
replay_reply(struct replay *r, const json_t *c, int64_t at)
{
	bool final = json_bool(c, "final", false);

	job_need_outbox(r->j);
	/* What is final makes the first notice pointless, and it may have been taken before. */
	if (final)
		outbox_forget(r->j->outbox, r->j->notice_id);
	job_queue_reply(r->j, c, at, NULL, 0);
	r->final = r->final || final;
}

static void
replay_message(struct replay *r, const json_t *c)
{
	if (r->message)
		return;
	r->message = true;
	job_take_record(r->j, c);
	job_need_outbox(r->j);
	outbox_pause(r->j->outbox, OUTBOX_KEEP_ALL);
	job_queue_notice(r->j);
}

static void
replay(void *arg, enum record type, const json_t *c, int64_t at)
{
	struct replay *r = arg;
	struct job *j = r->j;

	if (c)
		note_seq(r, c);
	if (type == RECORD_MESSAGE) {
		replay_message(r, c);
	} else if (type == RECORD_CANCEL) {
		j->cancelled = true;
		j->cancelled_ms = json_int(c, "at_ms", 0);
	} else if (type == RECORD_STARTED) {
		replay_started(r, c);
	} else if (type == RECORD_REPLY && r->message) {
		replay_reply(r, c, at);
	} else if (type == RECORD_CONFIRMED && r->message) {
		outbox_forget(j->outbox, json_str(c, "reply_id", ""));
	} else if (type == RECORD_STATE) {
		job_take_value(j, c);
		j->value_bytes += json_string_length(json_object_get(c, "data"));
	} else if (type == RECORD_END) {
		replay_end(r, c);
	} else if (type == RECORD_DAMAGED) {
		/* It may have been STARTED: never a second time. */
		r->started = r->damaged = true;
		forget_end(r);
	}
}

static void
take_up_hosts(struct job *j, struct replay *r)
{
	const struct past *first = list_first(&r->pasts, struct past, link);

	/* Its own STARTED cannot be read, or never was: what carries its mark is ended. */
	if (!first || past_number(first->started) > 0) {
		autojson json_t *nobody = json_object();
		struct past *p = past_new(nobody);

		list_append(r->pasts.next, &p->link); /* before the first */
	}
	worker_adopt_all(j, &r->pasts);
	if (j->worker)
		jobs_count(j->jobs, j->topic, 1);
}

static void
take_up(struct job *j, struct replay *r)
{
	if (r->final)
		j->state = JOB_ENDED;
	else if (r->started)
		j->state = JOB_ACTIVE;
	if (r->started)
		take_up_hosts(j, r);
	else if (!r->final && j->cancelled)
		job_final_notice(j, "Cancelled", "");
	else if (!r->final)
		job_enqueue(j);
	/* The agent before us may not have come so far. */
	if (!j->worker)
		cgroup_remove(j->jobs->cgroup, j->id);
	/* The service has all of it; only the list of finished jobs did not know. */
	j->confirmed = r->final && outbox_empty(j->outbox);
	job_close_if_idle(j);
	if (j->confirmed)
		job_finish_if_done(j);
	else
		outbox_pause(j->outbox, /* J may be gone behind it */
			     j->cancelled && j->worker ? OUTBOX_KEEP_FINAL : OUTBOX_RUN);
}

/* The message itself cannot be read, but more had come of it: its sender hears of that. */
static void
stand_in(struct job *j, struct replay *r)
{
	char notice_id[RAND_UUID_SIZE];
	autojson json_t *c = NULL;

	log_error("jobs", "job '%s': its message cannot be read from its journal any more", j->id);
	rand_uuid4(notice_id);
	c = json_pack("{s:s,s:s,s:s,s:s,s:I}", "message_id", j->id, "topic", "", "payload", "{}",
		      "notice_id", notice_id, "received_ms", (json_int_t)clock_wall_ms());
	(void)journal_append(j->journal, RECORD_MESSAGE, c, NULL, NULL);
	replay_message(r, c);
}

bool
job_load(struct jobs *js, struct jobstore *store, const char *id)
{
	struct job *j = job_new(js, id);
	struct replay r = { .j = j };
	struct err e = { 0 };

	list_init(&r.pasts);
	j->store = store;
	j->journal = jobstore_load(store, id, replay, &r, &e);
	if (j->journal && !r.message && r.started)
		stand_in(j, &r);
	if (j->journal && r.message) {
		take_up(j, &r);
		forget_pasts(&r);
		return true;
	}
	forget_pasts(&r);
	if (j->journal && j->cancelled && !r.started) {
		js->cancels++;
		j->state = JOB_FORETOLD;
		j->journal = journal_close(j->journal);
		return true;
	}
	/* Nothing in it was promised to anybody, unless a later release wrote it. */
	if (!j->journal && e.code != -ENOENT)
		log_warn("jobs", "%s", err_text(&e));
	j->journal = journal_discard(j->journal);
	job_free(j);
	if (e.code == 0 || e.code == -ENOENT)
		jobstore_remove(store, id);
	return false;
}
