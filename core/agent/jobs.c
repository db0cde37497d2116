/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs. Whatever must be on disk before something may happen waits for one sync at the
 * end of the turn, so that a poll's messages, or a host's replies and end, cost one wait. */
#include "core/agent/jobs.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/agent/cgroup.h"
#include "core/agent/dispatch.h"
#include "core/agent/hostsock.h"
#include "core/agent/job.h"
#include "core/agent/jobstore.h"
#include "core/agent/outbox.h"
#include "core/agent/plugins.h"
#include "core/agent/reboot.h"
#include "core/agent/worker.h"
#include "core/aws/mds.h"
#include "core/aws/ssmapi.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/conf/conf.h"

#define A_BIT_MS 2
#define STARTING_MS 50
#define TIDY_MS 2000
#define AGAIN_MS 1000
#define SWEEP_MS 15000 /* much longer than a host needs from its group to its greeting */
#define TIDY_IDLE_MS 3600000 /* foretold jobs and old folders go without any command, too */
#define PRUNE_MS 60000
#define PRUNE_JOBS 256u

struct call {
	struct list link;
	struct aws_call *call;
	char *what, *message_id;
};

struct reply_alone {
	struct list link;
	struct jobs *jobs;
	struct outbox *outbox;
};

static void
arm(struct event *ev, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	(void)event_add(ev, &tv);
}

/* ---------------------------------------------------------------- sync */

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *js = arg;
	struct err e = { 0 };
	struct list now;

	(void)fd;
	(void)what;
	js->flush_ms = 0;
	(void)event_del(js->folder_timer);
	if (jobstore_sync_all(js->store, &e) < 0)
		log_error("jobs", "%s", err_text(&e));
	if (jobstore_sync_all(js->passing, &e) < 0)
		log_error("jobs", "%s", err_text(&e));
	list_init(&now);
	list_each(it, tmp, &js->dirty) {
		list_remove(it);
		list_append(&now, it);
	}
	while (!list_empty(&now)) {
		struct job *j = list_first(&now, struct job, dirty_link);

		list_remove(&j->dirty_link);
		job_committed(j);
	}
	jobs_start_queued(js);
}

void
jobs_sync_soon(struct jobs *js, enum soon how)
{
	static const int64_t waits[] = { 0, A_BIT_MS, STARTING_MS };
	int64_t when = clock_mono_ms() + waits[how];

	if (how == SOON_STARTED)
		arm(js->folder_timer, 0);
	if (js->flush_ms && js->flush_ms <= when)
		return;
	js->flush_ms = when;
	arm(js->flush_timer, waits[how]);
}

/* While the host comes up on another processor, what can be done before its STARTED is done. */
static void
on_folders(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *js = arg;

	(void)fd;
	(void)what;
	jobstore_sync_folders(js->store);
}

/* ---------------------------------------------------------------- tidy */

static void
forget_foretold(struct jobs *js)
{
	int64_t now = clock_wall_ms();

	list_each(it, tmp, &js->all) {
		struct job *j = list_entry(it, struct job, link);

		if (j->state == JOB_FORETOLD && now - j->cancelled_ms > JOBS_CANCEL_MS)
			job_forget(j);
	}
}

static void
prune(struct jobs *js)
{
	int64_t hours = conf_int(js->conf, "Ssm.RunCommandLogsRetentionDurationHours");

	js->finished = 0;
	js->pruned_ms = clock_mono_ms();
	jobstore_prune(js->store, conf_bytes(js->conf, "State.MaxBytes"),
		       conf_int(js->conf, "State.MaxFiles"), hours * 3600000);
	jobstore_prune(js->passing, 0, 0, 0);
	forget_foretold(js);
}

static void
on_tidy(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *js = arg;
	struct err e = { 0 };

	(void)fd;
	(void)what;
	js->tidy_soon = false;
	cgroup_tidy(js->cgroup);
	if (jobstore_flush(js->store, &e) < 0)
		log_warn("jobs", "%s", err_text(&e));
	if (jobstore_flush(js->passing, &e) < 0)
		log_debug("jobs", "%s", err_text(&e));
	if (js->finished >= PRUNE_JOBS || clock_mono_ms() - js->pruned_ms >= PRUNE_MS)
		prune(js);
	/* With some ended since the last pruning, once more before long. */
	arm(js->tidy_timer, js->finished > 0 ? PRUNE_MS : TIDY_IDLE_MS);
}

void
jobs_tidy_soon(struct jobs *js)
{
	js->finished++;
	if (js->tidy_soon)
		return;
	js->tidy_soon = true;
	arm(js->tidy_timer, TIDY_MS);
}

/* --------------------------------------------------------------- slots */

struct job *
jobs_find(const struct jobs *js, const char *id)
{
	return map_get(js->by_id, id);
}

static bool
is_session(const char *topic)
{
	return topic && strcmp(topic, SESSION_TOPIC) == 0;
}

struct jobstore *
jobs_store_for(const struct jobs *js, const char *topic)
{
	return is_session(topic) ? js->passing : js->store;
}

bool
jobs_seen(const struct jobs *js, const char *id)
{
	return jobstore_seen(js->store, id) || jobstore_seen(js->passing, id);
}

bool
jobs_slot_free(const struct jobs *js, const char *topic)
{
	int64_t running = (int64_t)(is_session(topic) ? js->sessions : js->running);

	return !reboot_due(js->reboot) &&
		running < conf_int(js->conf, is_session(topic) ? "Mgs.SessionWorkersLimit"
							       : "Mds.CommandWorkersLimit");
}

void
jobs_count(struct jobs *js, const char *topic, int more)
{
	size_t *n = is_session(topic) ? &js->sessions : &js->running;

	*n += (size_t)more;
}

bool
jobs_queue_full(const struct jobs *js)
{
	return (int64_t)js->queued >= conf_int(js->conf, "Mds.QueueLimit");
}

static const struct feature *
serial_feature(const struct job *j)
{
	const struct feature *f = plugins_find(j->jobs->plugins, KIND_TOPIC, j->topic);

	return f && (f->flags & FEATURE_SERIAL) ? f : NULL;
}

static bool
worker_runs(const struct worker *w, const struct feature *f)
{
	if (!w->over && plugins_find(w->job->jobs->plugins, w->kind, w->feature) == f)
		return true;
	list_each(it, tmp, &w->steps)
		if (worker_runs(list_entry(it, struct worker, link), f))
			return true;
	return false;
}

bool
jobs_feature_runs(const struct jobs *js, const struct feature *f)
{
	list_each(it, tmp, &js->all) {
		const struct job *j = list_entry(it, struct job, link);

		if (j->worker && worker_runs(j->worker, f))
			return true;
	}
	return false;
}

bool
jobs_is_held(const struct job *j)
{
	const struct feature *f = serial_feature(j);

	return f && jobs_feature_runs(j->jobs, f);
}

/* The first that need not wait for another of its kind. */
static struct job *
first_free(const struct jobs *js)
{
	const struct feature *busy = NULL;

	list_each(it, tmp, &js->queue) {
		struct job *j = list_entry(it, struct job, queue_link);
		const struct feature *f = serial_feature(j);

		if (!jobs_slot_free(js, j->topic))
			continue;
		if (!f || (f != busy && !jobs_feature_runs(js, f)))
			return j;
		busy = f;
	}
	return NULL;
}

/* Whose message is not on disk yet starts after the sync, which comes back here. */
static struct job *
first_startable(const struct jobs *js)
{
	struct job *j = js->short_of ? NULL : first_free(js);

	return j && list_empty(&j->commits) ? j : NULL;
}

static void
on_plugins(void *arg)
{
	struct jobs *js = arg;
	struct job *j;

	js->wait = NULL;
	js->waiting = false;
	while ((j = first_startable(js)))
		job_start(j);
}

void
jobs_start_queued(struct jobs *js)
{
	struct plugins_wait *w;

	reboot_running(js->reboot, js->running + js->sessions);
	if (js->waiting || !first_startable(js))
		return;
	js->waiting = true;
	w = plugins_refresh(js->plugins, on_plugins, js);
	if (js->waiting)
		js->wait = w;
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *js = arg;

	(void)fd;
	(void)what;
	js->short_of = false;
	jobs_start_queued(js);
}

void
jobs_start_later(struct jobs *js)
{
	js->short_of = true;
	arm(js->again_timer, AGAIN_MS);
}

/* -------------------------------------------------------------- answers */

static void
call_free(struct call *c)
{
	list_remove(&c->link);
	aws_cancel(c->call);
	free(c->message_id);
	free(c->what);
	free(c);
}

static void
on_call(void *arg, const struct aws_reply *r)
{
	struct call *c = arg;

	c->call = NULL;
	if (r->result != 0)
		log_debug("jobs", "%s '%s': %s", c->what, c->message_id, r->text);
	call_free(c);
}

static struct call *
call_new(struct jobs *js, const char *what, const char *message_id)
{
	struct call *c = xcalloc(1, sizeof(*c));

	c->what = xstrdup(what);
	c->message_id = xstrdup(message_id);
	list_append(&js->calls, &c->link);
	return c;
}

struct pending *
jobs_delivery_new(struct jobs *js, const struct delivery *what, json_t *message)
{
	struct pending *p = xcalloc(1, sizeof(*p));

	p->message = message;
	p->id = xstrdup(what->id);
	p->via = xstrdup(what->via);
	p->topic = xstrdup(what->topic);
	p->route = xstrdup(what->route);
	list_append(&js->deliveries, &p->link);
	return p;
}

struct pending *
jobs_delivery_of(const struct jobs *js, const json_t *message)
{
	list_each(it, tmp, &js->deliveries) {
		struct pending *p = list_entry(it, struct pending, link);

		if (p->message == message)
			return p;
	}
	return NULL;
}

struct pending *
jobs_delivery_by_id(const struct jobs *js, const char *message_id)
{
	list_each(it, tmp, &js->deliveries) {
		struct pending *p = list_entry(it, struct pending, link);

		if (strcmp(p->id, message_id) == 0)
			return p;
	}
	return NULL;
}

void
jobs_delivery_end(struct pending *p, int result)
{
	if (!p)
		return;
	list_remove(&p->link);
	if (p->done)
		p->done(p->arg, result);
	json_decref(p->message);
	free(p->id);
	free(p->via);
	free(p->topic);
	free(p->route);
	free(p);
}

void
jobs_acknowledge(struct jobs *js, const char *message_id)
{
	struct pending *p = jobs_delivery_by_id(js, message_id);
	struct call *c;

	if (p) {
		jobs_delivery_end(p, p->unusable ? -EBADMSG : 0);
		return;
	}
	c = call_new(js, "acknowledge", message_id);

	c->call = mds_acknowledge(js->mds, message_id, on_call, c);
	if (!c->call)
		call_free(c);
}

void
jobs_refuse_message(struct jobs *js, const char *message_id)
{
	struct call *c = call_new(js, "refuse", message_id);

	c->call = mds_fail(js->mds, message_id, "NoHandlerExists", on_call, c);
	if (!c->call)
		call_free(c);
}

/* The state of the control channel is told by ec2messages only (spec/01 section 1.8). */
char *
jobs_notice_text(const struct jobs *js, const struct address *to, int64_t now_unix_ms,
		 const char *status, const char *trace)
{
	return notice_payload(&js->agent, now_unix_ms, status, trace,
			      to->via		 ? NOTICE_CHANNEL_UNKNOWN
				      : js->channel_open ? NOTICE_CHANNEL_OPEN
							 : NOTICE_CHANNEL_CLOSED);
}

static void
alone_free(struct reply_alone *a)
{
	a->jobs->notice_count--;
	list_remove(&a->link);
	outbox_free(a->outbox);
	free(a);
}

static void
alone_done(void *arg, const struct outbox_item *item, const char *why)
{
	(void)item;
	(void)why;
	alone_free(arg);
}

static const struct outbox_ops alone_ops = { NULL, alone_done };

void
jobs_notice(struct jobs *js, const char *message_id, const struct address *to, const char *status,
	    const char *trace)
{
	int64_t now = clock_wall_ms();
	/* Final of this row, that is. */
	struct outbox_item item = { .final = true, .notice = strcmp(status, "InProgress") == 0 };
	struct reply_alone *a;
	char *text;

	if (js->notice_count >= JOBS_NOTICES_MAX) {
		log_warn("jobs", "%zu replies wait: message '%s' gets none", js->notice_count,
			 message_id);
		return;
	}
	text = jobs_notice_text(js, to, now, status, trace);
	a = xcalloc(1, sizeof(*a));
	a->jobs = js;
	js->notice_count++;
	rand_uuid4(item.reply_id);
	list_append(&js->notices, &a->link);
	a->outbox = outbox_new(to->via ? js->service_line : js->line, message_id, &alone_ops, a);
	outbox_address(a->outbox, to->via, to->topic, to->route);
	outbox_expire(a->outbox, now + JOBS_ANSWER_MS);
	outbox_add(a->outbox, &item, text, strlen(text));
}

/* --------------------------------------------------------------- report */

static json_t *
report_job(const struct job *j)
{
	json_t *o = json_pack("{s:s,s:s,s:I,s:b}", "id", j->id, "topic", j->topic ? j->topic : "",
			      "received_ms", (json_int_t)j->received_ms, "cancelled", j->cancelled);

	if (j->worker) {
		(void)json_object_set_new(o, "plugin", json_string(j->worker->plugin));
		(void)json_object_set_new(o, "pid", json_integer(j->worker->who.pid));
		(void)json_object_set_new(o, "started_ms", json_integer(j->started_ms));
	}
	return o;
}

json_t *
jobs_report(const struct jobs *js)
{
	json_t *running = json_array(), *queued = json_array(), *unconfirmed = json_array();

	list_each(it, tmp, &js->all) {
		const struct job *j = list_entry(it, struct job, link);

		if (j->worker)
			(void)json_array_append_new(running, report_job(j));
		else if (j->state == JOB_QUEUED || j->state == JOB_REBOOT)
			(void)json_array_append_new(queued, report_job(j));
		else if (j->state == JOB_ENDED)
			(void)json_array_append_new(unconfirmed, report_job(j));
	}
	return json_pack("{s:o,s:o,s:o,s:b,s:b}", "running", running, "queued", queued,
			 "unconfirmed", unconfirmed, "reserve", jobstore_has_reserve(js->store),
			 "restart", reboot_due(js->reboot));
}

/* ---------------------------------------------------------------- table */

static int
by_receipt(const void *a, const void *b)
{
	const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;

	if (x->received_ms != y->received_ms)
		return x->received_ms < y->received_ms ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void
sort_queue(struct jobs *js)
{
	struct job **v = xcalloc(js->queued + 1, sizeof(struct job *));
	size_t n = 0;

	list_each(it, tmp, &js->queue) {
		v[n++] = list_entry(it, struct job, queue_link);
		list_remove(it);
	}
	if (n > 0)
		qsort(v, n, sizeof(struct job *), by_receipt);
	for (size_t i = 0; i < n; i++)
		list_append(&js->queue, &v[i]->queue_link);
	free(v);
}

static bool
is_known(void *arg, const char *id)
{
	return jobs_find(arg, id) != NULL;
}

static size_t
load_all(struct jobs *js, struct jobstore *store)
{
	autostrv char **ids = jobstore_list(store);
	size_t taken = 0;

	for (size_t i = 0; ids && ids[i]; i++)
		taken += job_load(js, store, ids[i]);
	return taken;
}

void
jobs_recover(struct jobs *js)
{
	size_t taken = load_all(js, js->store) + load_all(js, js->passing);

	sort_queue(js);
	if (taken > 0)
		log_info("jobs", "taken up: %zu running, %zu queued, %zu in all",
			 js->running + js->sessions, js->queued, taken);
	prune(js);
	arm(js->tidy_timer, TIDY_IDLE_MS);
	js->sweep = cgroup_sweep_start(js->base, js->cgroup, SWEEP_MS, is_known, js);
	jobs_start_queued(js);
}

static void
fill_agent(struct jobs *js)
{
	const char *version = conf_str(js->conf, "Agent.Version");

	js->agent = (struct notice_agent){
		.lang = conf_str(js->conf, "Os.Lang"),
		.name = conf_str(js->conf, "Agent.Name"),
		.os = conf_str(js->conf, "Os.Name"),
		.os_version = conf_str(js->conf, "Os.Version"),
		.version = *version ? version : ssmapi_agent_version(),
	};
}

/* ---------------------------------------------------- hosts that come back */

static struct worker *
find_pid(const struct jobs *js, pid_t pid)
{
	list_each(it, tmp, &js->all) {
		struct job *j = list_entry(it, struct job, link);
		struct worker *w = j->worker ? worker_find_pid(j->worker, pid) : NULL;

		if (w)
			return w;
	}
	return NULL;
}

static bool
waits_for(void *arg, pid_t pid)
{
	return find_pid(arg, pid) != NULL;
}

static int
on_back(void *arg, pid_t pid, int fd, const json_t *hello, struct err *e)
{
	const struct worker *w = find_pid(arg, pid);

	return w ? hostproc_attach(w->host, fd, hello, e)
		 : err_set(e, -ESRCH, "its job is over by now");
}

static const struct hostsock_ops back_ops = { waits_for, on_back };

/* A journal may hold what a service has delivered that is not there any more. */
static void *
send_nowhere(void *arg, const struct outbox_letter *l,
	     void (*done)(void *done_arg, const struct aws_reply *r), void *done_arg)
{
	(void)arg;
	(void)l;
	(void)done;
	(void)done_arg;
	return NULL;
}

static const struct outbox_carrier no_carrier = { send_nowhere, NULL };

struct jobs *
jobs_new(const struct dispatch_options *o, struct err *e)
{
	struct jobs *js = xcalloc(1, sizeof(*js));
	const struct reboot_options ro = {
		.base = o->base, .conf = o->conf, .gave_up = job_reboot_gave_up, .arg = js
	};

	js->base = o->base;
	js->conf = o->conf;
	js->mds = o->mds;
	js->plugins = o->plugins;
	js->broker = o->broker;
	js->cgroup = o->cgroup;
	js->info = o->info;
	js->local = o->local;
	js->once = o->once;
	list_init(&js->all);
	list_init(&js->queue);
	list_init(&js->steps);
	list_init(&js->dirty);
	list_init(&js->calls);
	list_init(&js->deliveries);
	list_init(&js->notices);
	js->by_id = map_new(NULL);
	fill_agent(js);
	js->reboot = reboot_new(&ro);
	js->line = outbox_line_new(o->base, o->mds);
	js->service_line = outbox_line_new_by(o->base, o->carrier ? o->carrier : &no_carrier,
					      o->carrier_arg);
	js->flush_timer = evtimer_new(o->base, on_flush, js);
	js->folder_timer = evtimer_new(o->base, on_folders, js);
	js->tidy_timer = evtimer_new(o->base, on_tidy, js);
	js->again_timer = evtimer_new(o->base, on_again, js);
	js->store = jobstore_open(o->state_path, o->instance_id, e);
	if (js->store)
		js->passing = jobstore_open_passing(conf_path(o->conf, CONF_PATH_RUN),
						    o->instance_id, e);
	if (js->passing)
		js->hostsock = hostsock_new(o->base, conf_path(o->conf, CONF_PATH_RUN), &back_ops,
					    js, e);
	return js->hostsock ? js : jobs_free(js);
}

void
jobs_retry_now(struct jobs *js)
{
	outbox_line_kick(js->line);
	outbox_line_kick(js->service_line);
}

struct jobs *
jobs_free(struct jobs *js)
{
	if (!js)
		return NULL;
	plugins_wait_cancel(js->wait);
	cgroup_sweep_free(js->sweep);
	hostsock_free(js->hostsock);
	js->reboot = reboot_free(js->reboot);
	while (!list_empty(&js->all))
		job_free(list_first(&js->all, struct job, link));
	while (!list_empty(&js->notices))
		alone_free(list_first(&js->notices, struct reply_alone, link));
	while (!list_empty(&js->calls))
		call_free(list_first(&js->calls, struct call, link));
	outbox_line_free(js->line);
	outbox_line_free(js->service_line);
	while (!list_empty(&js->deliveries)) {
		struct pending *p = list_first(&js->deliveries, struct pending, link);

		p->done = NULL;
		jobs_delivery_end(p, 0);
	}
	event_free(js->flush_timer);
	event_free(js->folder_timer);
	event_free(js->tidy_timer);
	event_free(js->again_timer);
	jobstore_close(js->store);
	jobstore_close(js->passing);
	map_free(js->by_id);
	free(js);
	return NULL;
}
