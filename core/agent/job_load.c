/* SPDX-License-Identifier: Apache-2.0 */
/* A job that an agent before us has left: what its journal says, and what follows from it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/job.h"
#include "core/agent/outbox.h"
#include "core/agent/worker.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"

struct replay {
	struct job *j;
	bool message, started, final;
	struct proc_id who;
};

static void
replay_started(struct replay *r, const json_t *c)
{
	r->started = true;
	if (json_object_get(c, "nested"))
		return;
	r->who.pid = (pid_t)json_int(c, "pid", 0);
	r->who.start = (uint64_t)json_int(c, "start", 0);
	(void)snprintf(r->who.boot, sizeof(r->who.boot), "%s", json_str(c, "boot", ""));
	r->j->started_ms = json_int(c, "at_ms", 0);
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
	} else if (type == RECORD_DAMAGED) {
		/* It may have been STARTED: never a second time. */
		r->started = true;
	}
}

static void
take_up(struct job *j, const struct replay *r)
{
	if (r->final) {
		j->state = JOB_ENDED;
		/* The service has all of it; only the list of finished jobs did not know. */
		j->confirmed = outbox_empty(j->outbox);
	} else if (r->started) {
		j->state = JOB_ACTIVE;
		j->jobs->running++;
		j->worker = worker_adopt(j, &r->who,
					 "worker lost: the agent was restarted while the command "
					 "ran, and its result is unknown");
	} else if (j->cancelled) {
		job_final_notice(j, "Cancelled", "");
	} else {
		job_enqueue(j);
	}
	job_close_if_idle(j);
	if (j->confirmed)
		job_finish_if_done(j);
	else
		outbox_pause(j->outbox, OUTBOX_RUN); /* J may be gone behind it */
}

bool
job_load(struct jobs *js, const char *id)
{
	struct job *j = job_new(js, id);
	struct replay r = { .j = j };
	struct err e = { 0 };

	j->journal = jobstore_load(js->store, id, replay, &r, &e);
	if (j->journal && r.message) {
		take_up(j, &r);
		return true;
	}
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
		jobstore_remove(js->store, id);
	return false;
}
