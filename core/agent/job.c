/* SPDX-License-Identifier: Apache-2.0 */
/* One job: records and what follows from them once they are on disk. */
#include "core/agent/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/outbox.h"
#include "core/agent/worker.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/conf/conf.h"

#define TRIES_MAX 60u /* a second apart */
#define OPEN_MAX 64u  /* journals that stay open though their jobs only wait */

void
job_short_name(const char *id, char ret[16])
{
	static const char prefix[] = "aws.ssm.";

	if (strncmp(id, prefix, sizeof(prefix) - 1) == 0)
		id += sizeof(prefix) - 1;
	(void)snprintf(ret, 16, "%.8s", id);
}

/* ------------------------------------------------------------- records */

static void
commit_free(struct commit *c)
{
	list_remove(&c->link);
	json_decref(c->id);
	json_decref(c->content);
	free(c);
}

struct journal *
job_journal(struct job *j, struct err *e)
{
	if (!j->journal)
		j->journal = jobstore_load(j->store, j->id, NULL, NULL, e);
	return j->journal;
}

/* A thousand waiting jobs must not hold a thousand descriptors. */
void
job_close_if_idle(struct job *j)
{
	bool soon_over = j->state == JOB_ENDED && map_len(j->jobs->by_id) <= OPEN_MAX;

	if (!j->worker && !soon_over && list_empty(&j->commits) &&
	    !(j->journal && journal_in_memory(j->journal)))
		j->journal = journal_close(j->journal);
}

/* A record is in the journal, at AT: what follows once it is on disk. */
static void
note_commit(struct job *j, const struct commit *template, int64_t at, enum soon how)
{
	struct commit *c = xmemdup(template, sizeof(*template));

	c->at = at;
	list_append(&j->commits, &c->link);
	if (list_empty(&j->dirty_link))
		list_append(&j->jobs->dirty, &j->dirty_link);
	jobs_sync_soon(j->jobs, how);
}

int
job_record(struct job *j, enum record type, json_t *content, const struct commit *template,
	   enum soon how, struct err *e)
{
	struct journal *journal = job_journal(j, e);
	int64_t at = 0;
	int r = journal ? journal_append(journal, type, content, &at, e) : -EIO;

	if (r < 0) {
		json_decref(template->id);
		json_decref(template->content);
		return r;
	}
	note_commit(j, template, at, how);
	return 0;
}

void
job_committed(struct job *j)
{
	int result = j->journal ? journal_result(j->journal) : -EIO;
	size_t count = 0;

	list_each(it, tmp, &j->commits)
		count++;
	/* What is appended meanwhile waits for the next sync. */
	while (count-- > 0) {
		struct commit *c = list_first(&j->commits, struct commit, link);

		list_remove(&c->link);
		c->fn(j, c, result);
		commit_free(c);
	}
	job_close_if_idle(j);
}

void
job_over(struct job *j, const char *why)
{
	struct jobs *js = j->jobs;

	log_info("jobs", "job '%s' is over after %lld ms%s%s", j->id,
		 (long long)(clock_wall_ms() - j->started_ms), why ? ": " : "", why ? why : "");
	jobs_count(js, j->topic, -1);
	/* Also what the plugin did not say any more may go out now. A reply may be done with at
	 * once: the worker keeps the job until all is said. */
	if (j->outbox)
		outbox_pause(j->outbox, OUTBOX_RUN);
	if (!job_has_final(j))
		job_final_notice(j, j->cancelled ? "Cancelled" : "Failed",
				 j->cancelled || !why ? "" : why);
	worker_free(TAKE(j->worker));
	job_finish_if_done(j);
	jobs_start_queued(js);
}

/* -------------------------------------------------------------- message */

struct job *
job_new(struct jobs *js, const char *id)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->jobs = js;
	j->store = js->store;
	j->id = xstrdup(id);
	list_init(&j->queue_link);
	list_init(&j->dirty_link);
	list_init(&j->commits);
	list_append(&js->all, &j->link);
	map_set(js->by_id, id, j);
	return j;
}

static void
unqueue(struct job *j)
{
	if (list_empty(&j->queue_link))
		return;
	list_remove(&j->queue_link);
	j->jobs->queued--;
}

struct job *
job_free(struct job *j)
{
	if (!j)
		return NULL;
	unqueue(j);
	if (j->state == JOB_FORETOLD)
		j->jobs->cancels--;
	if (map_get(j->jobs->by_id, j->id) == j)
		(void)map_take(j->jobs->by_id, j->id);
	list_remove(&j->link);
	list_remove(&j->dirty_link);
	worker_free(j->worker);
	outbox_free(j->outbox);
	while (!list_empty(&j->commits))
		commit_free(list_first(&j->commits, struct commit, link));
	(void)journal_close(j->journal);
	json_decref(j->message);
	json_decref(j->values);
	free(j->id);
	free(j->message_id);
	free(j->topic);
	free(j->via);
	free(j->route);
	free(j);
	return NULL;
}

static json_t *
message_record(struct job *j, const struct envelope *env)
{
	json_t *payload =
		env->unusable ? json_null() : json_stringn(env->payload, env->payload_len);

	json_t *record = json_pack(
		"{s:s,s:s,s:s,s:s,s:I,s:s,s:o,s:s*,s:s*}", "message_id", env->message_id, "topic",
		env->topic, "destination", env->destination, "created", env->created, "received_ms",
		(json_int_t)j->received_ms, "notice_id", j->notice_id, "payload", payload, "via",
		env->pending ? env->pending->via : NULL, "route",
		env->pending ? env->pending->route : NULL);

	if (env->local)
		(void)json_object_set_new(record, "local", json_true());
	return record;
}

void
job_take_record(struct job *j, const json_t *record)
{
	if (j->state == JOB_FORETOLD)
		j->jobs->cancels--;
	j->state = JOB_QUEUED;
	free(j->message_id);
	free(j->topic);
	j->message_id = xstrdup(json_str(record, "message_id", j->id));
	j->topic = xstrdup(json_str(record, "topic", ""));
	free(j->via);
	free(j->route);
	j->via = xstrdup(json_str(record, "via", NULL));
	j->route = xstrdup(json_str(record, "route", NULL));
	j->received_ms = json_int(record, "received_ms", 0);
	j->local = json_bool(record, "local", false);
	(void)snprintf(j->notice_id, sizeof(j->notice_id), "%s", json_str(record, "notice_id", ""));
}

static void
acknowledge(const struct job *j)
{
	if (!j->local)
		jobs_acknowledge(j->jobs, j->message_id);
}

/* Known from now on and answered from memory; the disk may take other jobs again later. */
static void
refuse(struct job *j, const char *why)
{
	autofree char *trace = xasprintf("the command cannot be stored and was not run: %s", why);
	const struct address to = job_address(j);
	autofree char *text = jobs_notice_text(j->jobs, &to, clock_wall_ms(), "Failed", trace);
	autojson json_t *record = job_reply_record(0, true, text, strlen(text));

	log_error("jobs", "job '%s' is refused: %s", j->id, why);
	unqueue(j);
	j->state = JOB_ENDED;
	job_queue_reply(j, record, 0, xstrdup(text), strlen(text));
	acknowledge(j);
}

static void
message_committed(struct job *j, struct commit *c, int result)
{
	(void)c;
	if (result < 0) {
		if (j->worker)
			worker_abandon(j->worker, "its job cannot be stored");
		/* Whatever the disk has of it must not be run by a later agent. */
		j->journal = journal_discard(j->journal);
		jobstore_remove(j->store, j->id);
		if (!job_has_final(j))
			refuse(j, strerror(-result));
		else
			acknowledge(j);
		return;
	}
	acknowledge(j);
	if (!job_has_final(j))
		job_queue_notice(j);
}

void
job_enqueue(struct job *j)
{
	struct jobs *js = j->jobs;

	j->state = JOB_QUEUED;
	list_append(&js->queue, &j->queue_link);
	js->queued++;
}

/* MESSAGE into the journal; false: it cannot be kept. */
static bool
store_message(struct job *j, json_t *record, struct err *e)
{
	const struct commit c = { .fn = message_committed };
	/* Where there is no wait for the disk there is nothing to wait for. */
	enum soon how = jobstore_is_passing(j->store) ? SOON_NOW : SOON_STARTED;

	if (j->state == JOB_FORETOLD)
		return job_record(j, RECORD_MESSAGE, record, &c, how, e) == 0;
	j->journal = jobstore_create(j->store, j->id, RECORD_MESSAGE, record, e);
	if (!j->journal)
		return false;
	note_commit(j, &c, 0, how);
	return true;
}

/* Without a start there is nothing to wait for. */
static void
start_or_wait(struct job *j, json_t *record)
{
	struct jobs *js = j->jobs;

	job_enqueue(j);
	j->message = json_incref(record);
	if (jobs_slot_free(js, j->topic) && !jobs_is_held(j) &&
	    (js->queue.next == &j->queue_link || strcmp(j->topic, SESSION_TOPIC) == 0))
		job_start(j);
	else
		jobs_sync_soon(js, SOON_NOW);
	json_decref(j->message);
	j->message = NULL;
}

void
job_take(struct jobs *js, const char *id, const struct envelope *env)
{
	struct job *j = jobs_find(js, id);
	autojson json_t *record = NULL;
	struct err e = { 0 };
	bool stored_ok;

	if (!j)
		j = job_new(js, id);
	if (j->state == JOB_NEW)
		j->store = jobs_store_for(js, env->topic);
	j->received_ms = clock_wall_ms();
	rand_uuid4(j->notice_id);
	record = message_record(j, env);
	stored_ok = store_message(j, record, &e);
	if (!stored_ok && !env->local && err_may_pass(e.code)) {
		log_warn("jobs", "job '%s' is left at the service: %s", id, err_text(&e));
		jobs_delivery_end(jobs_delivery_by_id(js, env->message_id), -EAGAIN);
		if (j->state == JOB_NEW)
			job_free(j);
		return;
	}
	job_take_record(j, record);
	if (!stored_ok) {
		refuse(j, err_text(&e));
		return;
	}
	if (env->unusable) {
		job_final_notice(j, "Failed", env->unusable);
	} else if (j->cancelled) {
		job_final_notice(j, "Cancelled", "");
	} else {
		start_or_wait(j, record);
	}
}

/* --------------------------------------------------------------- start */

/* The message as handlers see it; the payload's text goes in as it came. */
static char *
handler_message(const json_t *record, size_t *ret_len)
{
	static const char *const members[][2] = { { "MessageId", "message_id" },
						  { "Topic", "topic" },
						  { "Destination", "destination" },
						  { "CreatedDate", "created" } };
	const json_t *payload = json_object_get(record, "payload");
	autosbuf struct sbuf b = SBUF_INIT(2 * JOBSTORE_RECORD_MAX);

	for (size_t i = 0; i < NELEMS(members); i++) {
		const char *value = json_str(record, members[i][1], "");

		(void)sbuf_addf(&b, "%c\"%s\":", i == 0 ? '{' : ',', members[i][0]);
		(void)json_add_string_go(&b, value, strlen(value));
	}
	(void)sbuf_adds(&b, ",\"Payload\":");
	(void)sbuf_add(&b, json_string_value(payload), json_string_length(payload));
	(void)sbuf_addc(&b, '}');
	return sbuf_take(&b, ret_len);
}

static void
keep_message(void *arg, enum record type, const json_t *content, int64_t at)
{
	json_t **message = arg;

	(void)at;
	if (type == RECORD_MESSAGE && !*message)
		*message = json_incref((json_t *)(uintptr_t)content);
}

static json_t *
read_message(struct job *j, struct err *e)
{
	json_t *message = NULL;

	if (j->message)
		return json_incref(j->message);
	if (job_journal(j, e) && journal_each(j->journal, keep_message, &message, e) == 0 &&
	    !message)
		(void)err_set(e, -EBADMSG, "its message is missing from the journal");
	return message;
}

static int
start_worker(struct job *j, struct err *e)
{
	autojson json_t *message = read_message(j, e);
	autofree char *body = NULL;
	struct worker_spec spec = { 0 };

	if (!message)
		return -EIO;
	spec.feature = plugins_find(j->jobs->plugins, KIND_TOPIC, j->topic);
	if (!spec.feature)
		return err_set(e, -ENOENT, "no plugin provides the topic '%s' any more", j->topic);
	spec.name = j->topic;
	spec.body = body = handler_message(message, &spec.body_len);
	j->worker = worker_start(j, NULL, &spec, e);
	return j->worker ? 0 : -EIO;
}

/* Nobody waits any more for what was sent two days ago, and it may do harm now. */
static bool
is_stale(const struct job *j, struct err *e)
{
	if (clock_wall_ms() - j->received_ms <= JOBS_STALE_MS)
		return false;
	return err_set(e, -ETIME, "it waited for more than 48 hours") < 0;
}

/* Back to the head of the queue. */
static bool
try_later(struct job *j, int code)
{
	if (!err_may_pass(code) || ++j->tries > TRIES_MAX)
		return false;
	j->state = JOB_QUEUED;
	list_append(j->jobs->queue.next, &j->queue_link); /* before the first */
	j->jobs->queued++;
	jobs_start_later(j->jobs);
	return true;
}

void
job_start(struct job *j)
{
	struct err e = { 0 };
	autofree char *why = NULL;

	unqueue(j);
	j->state = JOB_ACTIVE;
	j->started_ms = clock_wall_ms();
	if (!is_stale(j, &e) && !job_goes_round(j, &e) && start_worker(j, &e) == 0) {
		jobs_count(j->jobs, j->topic, 1);
		return;
	}
	if (try_later(j, e.code))
		return;
	why = xasprintf("the command could not be started: %s", err_text(&e));
	log_warn("jobs", "job '%s': %s", j->id, why);
	job_final_notice(j, "Failed", why);
}

/* -------------------------------------------------------------- cancel */

static void
answer_cancel(struct jobs *js, const char *cancel_id)
{
	/* The acknowledgement goes first, as services have it. */
	const struct pending *p = jobs_delivery_by_id(js, cancel_id);
	autofree char *via = p ? xstrdup(p->via) : NULL;
	autofree char *topic = p ? xstrdup(p->topic) : NULL;
	autofree char *route = p ? xstrdup(p->route) : NULL;
	const struct address to = { via, topic, route };

	if (!*cancel_id)
		return;
	jobstore_finish(js->store, cancel_id);
	jobs_tidy_soon(js);
	jobs_acknowledge(js, cancel_id);
	jobs_notice(js, cancel_id, &to, "InProgress", "");
}

static void
cancel_committed(struct job *j, struct commit *c, int result)
{
	const char *cancel_id = json_str(c->content, "message_id", "");

	if (result == 0) {
		answer_cancel(j->jobs, cancel_id);
		return;
	}
	/* Not acknowledged: it will be delivered again. */
	log_error("jobs", "cancel of job '%s' cannot be stored: %s", j->id, strerror(-result));
	jobs_delivery_end(jobs_delivery_by_id(j->jobs, cancel_id), -EAGAIN);
}

static json_t *
cancel_record(const char *cancel_id)
{
	return json_pack("{s:s,s:I}", "message_id", cancel_id, "at_ms",
			 (json_int_t)clock_wall_ms());
}

static int
foretell(struct jobs *js, const char *id, json_t *record, struct err *e)
{
	const struct commit c = { .fn = cancel_committed, .content = json_incref(record) };
	struct journal *journal = jobstore_create(js->store, id, RECORD_CANCEL, record, e);
	struct job *j;

	if (!journal) {
		json_decref(c.content);
		return -EIO;
	}
	j = job_new(js, id);
	j->journal = journal;
	j->state = JOB_FORETOLD;
	j->cancelled = true;
	j->cancelled_ms = clock_wall_ms();
	js->cancels++;
	note_commit(j, &c, 0, SOON_NOW);
	return 0;
}

static void
act_on_cancel(struct job *j)
{
	j->cancelled = true;
	j->cancelled_ms = clock_wall_ms();
	if (j->state == JOB_QUEUED) {
		unqueue(j);
		job_final_notice(j, "Cancelled", "");
	} else if (j->state == JOB_REBOOT) {
		job_final_notice(j, "Cancelled", "");
	} else if (j->worker) {
		worker_cancel(j->worker);
	}
}

static int
cancel_known(struct job *j, json_t *record, struct err *e)
{
	const struct commit c = { .fn = cancel_committed, .content = json_incref(record) };
	int r = job_record(j, RECORD_CANCEL, record, &c, SOON_NOW, e);

	if (r == 0 && !j->cancelled)
		act_on_cancel(j);
	return r;
}

void
job_take_cancel(struct jobs *js, const char *id, const char *cancel_id)
{
	struct job *j = jobs_find(js, id);
	autojson json_t *record = cancel_record(cancel_id);
	struct err e = { 0 };
	int r = 0;

	if (jobs_seen(js, id) || (j && j->state == JOB_ENDED))
		answer_cancel(js, cancel_id); /* too late, which is all there is to do */
	else if (j)
		r = cancel_known(j, record, &e);
	else if (js->cancels < JOBS_CANCELS_MAX)
		r = foretell(js, id, record, &e);
	else
		r = err_set(&e, -EAGAIN, "%u cancels of unknown commands wait already",
			    JOBS_CANCELS_MAX);
	if (r < 0) {
		log_warn("jobs", "cancel of job '%s' is left at the service: %s", id, err_text(&e));
		jobs_delivery_end(jobs_delivery_by_id(js, cancel_id), -EAGAIN);
	}
}

void
job_forget(struct job *j)
{
	struct jobstore *store = j->store;
	autofree char *id = xstrdup(j->id);

	j->journal = journal_discard(j->journal);
	job_free(j);
	jobstore_remove(store, id);
}
