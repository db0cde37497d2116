/* SPDX-License-Identifier: Apache-2.0 */
/* A host at work: start, messages, cancel, and what must be over before its job is.
 *
 * A worker is over when its process is gone, its steps are over, and - unless it ended in order -
 * nothing of it is left on the machine.
 */
#include "core/agent/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/agent/broker.h"
#include "core/agent/cgroup.h"
#include "core/agent/job.h"
#include "core/agent/orphans.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/ipc/wire.h"

#define LATE_MS 30000	/* a step's host beyond the step's own time-out */
#define TAIL_SHOWN 300

/* ------------------------------------------------------------- answers */

json_t *
worker_result_new(json_t *id, int code, const char *error)
{
	json_t *m = wire_new("result");

	(void)json_object_set(m, "id", id);
	(void)json_object_set_new(m, "code", json_integer(code));
	if (error)
		(void)json_object_set_new(m, "error", json_string(error));
	return m;
}

void
worker_result(struct worker *w, json_t *id, int code, const char *error)
{
	if (w->host)
		(void)hostproc_send(w->host, worker_result_new(id, code, error), NULL, 0);
}

void
worker_stored(struct worker *w, int64_t seq)
{
	json_t *m = wire_new("stored");

	if (seq > w->stored)
		w->stored = seq;
	(void)json_object_set_new(m, "seq", json_integer(seq));
	if (w->host)
		(void)hostproc_send(w->host, m, NULL, 0);
	else
		json_decref(m);
}

/* ---------------------------------------------------------------- end */

void
worker_set_timer(struct worker *w, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms > 0 ? ms : 0, &tv);
	(void)event_add(w->timer, &tv);
}

/* The last line it printed, for whoever reads the reason. */
static char *
last_line(const char *tail)
{
	autofree char *copy = xstrdup(tail);
	char *text = text_trim(copy);
	char *line = strrchr(text, '\n');

	return *text ? text_quote(line ? line + 1 : text, TAIL_SHOWN) : NULL;
}

char *
worker_tell_why(const struct worker *w, int status, const char *why, const char *tail)
{
	autofree char *line = last_line(tail);
	char how[64];

	hostproc_status_text(status, how, sizeof(how));
	if (w->timed_out)
		why = "it went on after its time was over";
	if (w->adopted && !why)
		return xasprintf("worker lost: the plugin '%s' ended without a result, and the "
				 "agent was restarted while it ran%s%s",
				 w->plugin, line ? "; the last line it printed: " : "",
				 line ? line : "");
	return xasprintf("the plugin '%s' %s%s%s%s%s%s", w->plugin, why ? "was ended: " : how,
			 why ? why : "", why || w->started ? "" : " before it could start",
			 w->started && !why ? " before its work was done" : "",
			 line ? "; the last line it printed: " : "", line ? line : "");
}

static void
on_contained(void *arg, int left)
{
	struct worker *w = arg;

	w->contain = NULL;
	if (left > 0) {
		autofree char *why = w->why;

		log_error("jobs", "job '%s': %d processes could not be ended", w->id, left);
		w->why = xasprintf("%s; %d processes could not be ended", why ? why : w->id, left);
	}
	worker_check_over(w);
}

void
worker_contain(struct worker *w)
{
	w->contain = contain_start(w->job->jobs->base, w->job->jobs->cgroup, w->id, &w->who,
				   on_contained, w);
}

bool
worker_wants_reboot(const struct worker *w)
{
	return !w->parent && w->ended && !w->why && !w->cancelled && !job_has_final(w->job) &&
		(w->result == STEP_REBOOT || w->result == STEP_REBOOT_AGAIN);
}

bool
worker_ended_in_order(const struct worker *w)
{
	return w->ended && !w->cancelled &&
		(w->parent || job_has_final(w->job) || worker_wants_reboot(w));
}

void
worker_end_steps(struct worker *w)
{
	list_each(it, tmp, &w->steps) {
		struct worker *step = list_entry(it, struct worker, link);

		if (step->host)
			hostproc_kill(step->host, "the job it belongs to is over");
	}
}

static void
on_gone(void *arg, int status, const char *why, const char *tail)
{
	struct worker *w = arg;

	w->gone = true;
	orphans_host_gone(&w->who);
	if (w->adopted)
		worker_take_file(w);
	if (!w->ended || why)
		w->why = worker_tell_why(w, status, why, tail);
	w->host = hostproc_free(w->host);
	w->broker = broker_client_free(w->broker);
	(void)event_del(w->timer);
	nested_forget(w, NULL);
	worker_end_steps(w);
	if (!worker_ended_in_order(w))
		worker_contain(w);
	worker_check_over(w);
}

static bool
steps_over(const struct worker *w)
{
	list_each(it, tmp, &w->steps)
		if (!list_entry(it, struct worker, link)->over)
			return false;
	return true;
}

/* The handler returned, but did not say how its message went. */
static char *
no_result(const struct worker *w)
{
	if (w->error && *w->error)
		return xasprintf("the plugin '%s' failed: %s", w->plugin, w->error);
	if (w->result < 0)
		return xasprintf("the plugin '%s' failed: %s", w->plugin,
				 strerror((int)-w->result));
	return xasprintf("the plugin '%s' ended without a result", w->plugin);
}

static void
over_till_reboot(struct worker *w)
{
	struct job *j = w->job;

	j->worker = NULL;
	jobs_count(j->jobs, j->topic, -1);
	job_reboot(j, w->who.boot);
	worker_free(w);
	job_close_if_idle(j);
	jobs_start_queued(j->jobs);
}

void
worker_check_over(struct worker *w)
{
	if (!w->gone || w->contain || w->over || !steps_over(w))
		return;
	w->over = true;
	if (w->parent) {
		nested_started(w);
		nested_answer(w);
		nested_go_on(w->job->jobs);
		worker_check_over(w->parent);
		return;
	}
	if (worker_wants_reboot(w)) {
		over_till_reboot(w);
		return;
	}
	if (!w->why && !job_has_final(w->job))
		w->why = no_result(w);
	job_over(w->job, w->why);
}

/* ------------------------------------------------------------- records */

static json_t *
new_record(const struct worker *w)
{
	json_t *record = json_object();

	if (!w->parent)
		return record;
	(void)json_object_set_new(record, "nested", json_integer(w->number));
	(void)json_object_set_new(record, "in", json_integer(w->parent->number));
	return record;
}

/* Enough to take it up again: who it is, what it does, how it proves that. */
static json_t *
started_record(const struct worker *w, const struct proc_id *who)
{
	json_t *record = new_record(w);

	(void)json_object_set_new(record, "pid", json_integer(who->pid));
	(void)json_object_set_new(record, "start", json_integer((json_int_t)who->start));
	(void)json_object_set_new(record, "boot", json_string(who->boot));
	(void)json_object_set_new(record, "token", json_string(hostproc_token(w->host)));
	(void)json_object_set_new(record, "plugin", json_string(w->plugin));
	(void)json_object_set_new(record, "feature", json_string(w->feature));
	(void)json_object_set_new(record, "kind", json_integer(w->kind));
	(void)json_object_set_new(record, "at_ms", json_integer(clock_wall_ms()));
	if (w->until_ms)
		(void)json_object_set_new(record, "until_ms", json_integer(w->until_ms));
	if (w->request)
		(void)json_object_set(record, "request", w->request);
	return record;
}

static void
started_committed(struct job *j, struct commit *c, int result)
{
	struct worker *w = c->worker;

	if (!w || !w->host)
		return;
	if (result < 0) {
		worker_abandon(w, "its start cannot be stored");
		return;
	}
	nested_started(w);
	if (w->cancelled || job_has_final(j))
		return; /* never let go: it is being ended */
	w->started = hostproc_go(w->host) == 0;
}

static void
on_ready(void *arg, const struct proc_id *who)
{
	struct worker *w = arg;
	const struct commit c = { .fn = started_committed, .worker = w };
	autojson json_t *record = started_record(w, who);
	struct err e = { 0 };

	if (w->cancelled)
		return;
	if (!w->parent)
		w->job->starts++;
	if (job_record(w->job, RECORD_STARTED, record, &c, SOON_NOW, &e) < 0)
		worker_abandon(w, err_text(&e));
}

static void
end_committed(struct job *j, struct commit *c, int result)
{
	(void)j;
	/* Not stored, it would be lost anyhow; the host need not wait for ever. */
	(void)result;
	if (c->worker)
		worker_stored(c->worker, c->seq);
}

/* With the final reply on disk, nothing hangs on this record: it needs no wait of its own. */
static int
store_end(struct worker *w, json_t *record, int64_t seq, struct err *e)
{
	const struct commit c = { .fn = end_committed, .worker = w, .seq = seq };
	struct journal *journal = job_journal(w->job, e);
	int r;

	if (w->parent || !job_has_final(w->job) || !journal || !list_empty(&w->job->commits))
		return job_record(w->job, RECORD_END, record, &c, SOON_NOW, e);
	r = journal_append(journal, RECORD_END, record, NULL, e);
	if (r == 0)
		worker_stored(w, seq);
	return r;
}

static int
on_end(struct worker *w, int64_t seq, struct ipc_message *m)
{
	autojson json_t *record = new_record(w);
	struct err e = { 0 };

	w->ended = true;
	orphans_host_ended(&w->who);
	w->result = json_int(m->json, "result", 0);
	w->exit_code = (int)json_int(m->json, "exit_code", 0);
	w->error = xstrdup(json_str(m->json, "error", ""));
	if (w->parent && m->body) {
		w->body = xmemdup(m->body, m->body_len);
		w->body_len = m->body_len;
	}
	(void)json_object_set_new(record, "seq", json_integer(seq));
	(void)json_object_set_new(record, "result", json_integer(w->result));
	(void)json_object_set_new(record, "exit_code", json_integer(w->exit_code));
	if (*w->error)
		(void)json_object_set_new(record, "error", json_string(w->error));
	if (w->body)
		(void)json_object_set_new(record, "body", json_stringn(w->body, w->body_len));
	(void)json_object_set_new(record, "at_ms", json_integer(clock_wall_ms()));
	if (store_end(w, record, seq, &e) < 0)
		worker_stored(w, seq);
	if (w->host)
		hostproc_expect_end(w->host, WORKER_EXIT_MS, WORKER_EXIT_WHY);
	return 0;
}

/* ------------------------------------------------------------- messages */

/* Lines of plugins: one line each, whatever is in them. */
static void
on_log(struct worker *w, const json_t *m)
{
	int64_t level = json_int(m, "level", LOG_LEVEL_INFO);
	autofree char *text = xstrndup(json_str(m, "text", ""), 4096);
	char name[16], component[64];

	if (level < LOG_LEVEL_ERROR || level > LOG_LEVEL_TRACE)
		level = LOG_LEVEL_INFO;
	if ((int)level > (int)log_get_level())
		return;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	job_short_name(w->job->id, name);
	(void)snprintf(component, sizeof(component), "%s[%s]", w->plugin, name);
	log_write(&w->log_site, (enum log_level)level, component, "%s", text);
}

static int
on_reply(struct worker *w, int64_t seq, struct ipc_message *m)
{
	bool final = json_bool(m->json, "final", false);
	struct err e = { 0 };
	int r;

	if (w->parent)
		r = err_set(&e, -EPROTO, "a step sends no replies");
	else
		r = job_reply(w->job, w, seq, final, m->body ? m->body : "", m->body_len, &e);
	if (r < 0)
		worker_abandon(w, err_text(&e));
	return r;
}

int
worker_take(struct worker *w, const char *type, struct ipc_message *m)
{
	int64_t seq = json_int(m->json, "seq", 0);

	if (seq <= w->seq) {
		if (seq <= w->stored)
			worker_stored(w, seq); /* else it follows its sync */
		return 0;
	}
	if (seq != w->seq + 1 && !w->resumed) {
		hostproc_kill(w->host, "it left out a message number");
		return -EPROTO;
	}
	w->seq = seq;
	w->resumed = false;
	if (strcmp(type, "reply") == 0)
		return on_reply(w, seq, m);
	if (strcmp(type, "end") == 0)
		return on_end(w, seq, m);
	return worker_state_put(w, seq, m);
}

static int
on_message(void *arg, const char *type, struct ipc_message *m)
{
	struct worker *w = arg;

	if (strcmp(type, "log") == 0) {
		on_log(w, m->json);
		return 0;
	}
	if (strcmp(type, "reply") == 0 || strcmp(type, "end") == 0 ||
	    strcmp(type, "state-put") == 0)
		return worker_take(w, type, m);
	if (strcmp(type, "state-get") == 0)
		return worker_state_get(w, m);
	if (strncmp(type, "job-", 4) == 0)
		return nested_handle(w, type, m);
	if (broker_takes(type))
		return broker_handle(w->broker, type, m);
	if (strcmp(type, "deliver") == 0)
		worker_result(w, json_object_get(m->json, "id"), -EACCES,
			      "only services deliver messages");
	return 0;
}

/* Back after a restart of ours: what a host needs to know of us, and of its job, to go on. */
static json_t *
on_back(void *arg, int version)
{
	struct worker *w = arg;
	json_t *m = json_object();

	log_info("jobs", "job '%s': the host of plugin '%s', pid %ld, is back", w->id, w->plugin,
		 (long)w->who.pid);
	(void)json_object_set_new(m, "job", json_string(w->id));
	(void)json_object_set_new(m, "kind", json_integer(w->kind));
	(void)json_object_set_new(m, "feature", json_string(w->feature));
	(void)json_object_set_new(m, "plugin", json_string(w->plugin));
	(void)json_object_set_new(m, "plugin_path", json_string(""));
	(void)json_object_set_new(m, "cancelled", json_boolean(w->cancelled));
	if (version >= 2)
		(void)json_object_set_new(m, "stored", json_integer(w->stored));
	w->resumed = true;
	if (!w->cancelled && !w->until_ms)
		(void)event_del(w->timer); /* it was for one that never calls */
	return m;
}

const struct hostproc_ops worker_host_ops = { on_ready, on_message, on_gone, on_back };

/* ---------------------------------------------------------------- cancel */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	if (!w->cancelled)
		w->timed_out = true;
	/* What its children started is known as theirs only while it lives. */
	if (w->host)
		(void)contain_once(w->job->jobs->cgroup, w->id, &w->who);
	worker_abandon(w, "it did not end in time");
}

void
worker_cancel(struct worker *w)
{
	int64_t grace_ms = conf_ms(w->job->jobs->conf, "Agent.KillGrace");
	json_t *m;

	if (w->cancelled || w->gone)
		return;
	w->cancelled = true;
	if (!w->started) {
		hostproc_kill(w->host, "the command was cancelled before it started");
		return;
	}
	m = wire_new("cancel");
	(void)json_object_set_new(m, "grace_ms", json_integer(grace_ms));
	(void)hostproc_send(w->host, m, NULL, 0);
	broker_client_cancel(w->broker);
	worker_set_timer(w, grace_ms + WORKER_CANCEL_MS);
	nested_forget(w, "the command was cancelled");
	list_each(it, tmp, &w->steps)
		worker_cancel(list_entry(it, struct worker, link));
}

void
worker_abandon(struct worker *w, const char *why)
{
	if (w->host)
		hostproc_kill(w->host, why);
}

/* ----------------------------------------------------------------- start */

static int
broker_send(void *arg, json_t *message, const void *body, size_t len)
{
	struct worker *w = arg;

	if (w->host)
		return hostproc_send(w->host, message, body, len);
	json_decref(message);
	return -EPIPE;
}

void
worker_set_broker(struct worker *w)
{
	w->broker = broker_client_new(w->job->jobs->broker, w->plugin, broker_send, w);
}

struct worker *
worker_new(struct job *j, struct worker *parent, unsigned number, const char *plugin)
{
	struct worker *w = xcalloc(1, sizeof(*w));

	w->job = j;
	w->parent = parent;
	w->plugin = xstrdup(plugin);
	w->depth = parent ? parent->depth + 1 : 1;
	list_init(&w->link);
	list_init(&w->steps);
	w->waiters = json_array();
	w->timer = evtimer_new(j->jobs->base, on_timer, w);
	if (parent) {
		w->number = number;
		if (number > j->steps)
			j->steps = number;
		w->id = xasprintf("%s/%u", j->id, w->number);
		list_append(&parent->steps, &w->link);
	} else {
		w->id = xstrdup(j->id);
	}
	return w;
}

/* Without one its processes are looked for in /proc. */
static struct cgroup *
make_group(const struct worker *w)
{
	struct cgroup *c = w->job->jobs->cgroup;
	struct err e = { 0, "" };

	if (!c || cgroup_make(c, w->id, &e) == 0)
		return c;
	log_warn("jobs", "%s", err_text(&e));
	return NULL;
}

/* What an earlier run of the job left says nothing of this one. */
static void
forget_file(const struct worker *w)
{
	autofree char *dir = worker_work_dir(w);
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && unlinkat(fd, RESULT_FILE, 0) == 0)
		(void)fsync(fd);
}

struct worker *
worker_start(struct job *j, struct worker *parent, const struct worker_spec *spec, struct err *e)
{
	struct worker *w = worker_new(j, parent, j->steps + 1, spec->feature->plugin);
	struct hostproc_spec hs = { .mode = "--job",
				    .job_id = w->id,
				    .body = spec->body,
				    .body_len = spec->body_len,
				    .fds = spec->fds,
				    .fd_count = spec->fd_count };

	w->feature = xstrdup(spec->name);
	w->kind = spec->feature->kind;
	w->request = json_incref(spec->request);
	worker_set_broker(w);
	hs.cgroup = make_group(w);
	hs.hello = worker_hello(w, spec);
	forget_file(w);
	w->host = hostproc_start(j->jobs->base, j->jobs->conf, &hs, &worker_host_ops, w, e);
	if (!w->host)
		return worker_free(w);
	w->who = *hostproc_id(w->host);
	orphans_host_started(&w->who, w->id);
	if (spec->timeout_ms > 0) {
		w->until_ms = clock_wall_ms() + spec->timeout_ms + LATE_MS;
		worker_set_timer(w, spec->timeout_ms + LATE_MS);
	}
	log_info("jobs", "job '%s' starts: '%s' of plugin '%s', pid %ld", w->id, w->feature,
		 w->plugin, (long)w->who.pid);
	return w;
}

/* A commit that is under way must not find it any more. */
static void
forget_in_commits(struct worker *w)
{
	list_each(it, tmp, &w->job->commits) {
		struct commit *c = list_entry(it, struct commit, link);

		if (c->worker == w)
			c->worker = NULL;
	}
}

struct worker *
worker_free(struct worker *w)
{
	if (!w)
		return NULL;
	while (!list_empty(&w->steps))
		worker_free(list_first(&w->steps, struct worker, link));
	forget_in_commits(w);
	nested_forget(w, NULL);
	list_remove(&w->link);
	contain_cancel(w->contain);
	broker_client_free(w->broker);
	hostproc_free(w->host);
	if (w->id)
		orphans_forget(w->id);
	if (w->over)
		cgroup_remove(w->job->jobs->cgroup, w->id);
	event_free(w->timer);
	json_decref(w->request);
	json_decref(w->waiters);
	free(w->id);
	free(w->plugin);
	free(w->feature);
	free(w->error);
	free(w->body);
	free(w->why);
	free(w);
	return NULL;
}
