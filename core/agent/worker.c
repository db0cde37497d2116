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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/agent/broker.h"
#include "core/agent/job.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/ipc/wire.h"
#include "core/loop/child.h"

#define CANCEL_MS 10000 /* beyond the grace, from the cancel to the end of the host */
#define LATE_MS 30000	/* a step's host beyond the step's own time-out */
#define EXIT_MS 60000	/* from the end of the work to the end of the process */
#define VALUES_MAX (1024u * 1024u)
#define VALUE_MAX 65536u
#define TAIL_SHOWN 300

static void check_over(struct worker *w);

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

	(void)json_object_set_new(m, "seq", json_integer(seq));
	if (w->host)
		(void)hostproc_send(w->host, m, NULL, 0);
	else
		json_decref(m);
}

/* ---------------------------------------------------------------- end */

static void
set_timer(struct worker *w, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
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

static char *
tell_why(const struct worker *w, int status, const char *why, const char *tail)
{
	autofree char *line = last_line(tail);
	char how[64];

	hostproc_status_text(status, how, sizeof(how));
	if (w->timed_out)
		why = "it went on after its time was over";
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
	check_over(w);
}

static void
contain(struct worker *w)
{
	w->contain = contain_start(w->job->jobs->base, w->id, &w->who, on_contained, w);
}

static bool
ended_in_order(const struct worker *w)
{
	return w->ended && !w->cancelled && (w->parent || job_has_final(w->job));
}

static void
end_steps(struct worker *w)
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
	if (!w->ended || why)
		w->why = tell_why(w, status, why, tail);
	w->host = hostproc_free(w->host);
	w->broker = broker_client_free(w->broker);
	(void)event_del(w->timer);
	end_steps(w);
	if (!ended_in_order(w))
		contain(w);
	check_over(w);
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
	if (w->result == STEP_REBOOT || w->result == STEP_REBOOT_AGAIN)
		return xasprintf("the command asked for a restart of the machine (exit code 194): "
				 "restart it and send what is left of the document again");
	return xasprintf("the plugin '%s' ended without a result", w->plugin);
}

static void
check_over(struct worker *w)
{
	if (!w->gone || w->contain || w->over || !steps_over(w))
		return;
	w->over = true;
	if (w->parent) {
		nested_answer(w);
		check_over(w->parent);
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

	if (w->parent)
		(void)json_object_set_new(record, "nested", json_integer(w->number));
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
	if (w->cancelled || job_has_final(j))
		return; /* never let go: it is being ended */
	w->started = hostproc_go(w->host) == 0;
}

static void
on_ready(void *arg, const struct proc_id *who)
{
	struct worker *w = arg;
	const struct commit c = { .fn = started_committed, .worker = w };
	autojson json_t *record = new_record(w);
	struct err e = { 0 };

	if (w->cancelled)
		return;
	(void)json_object_set_new(record, "pid", json_integer(who->pid));
	(void)json_object_set_new(record, "start", json_integer((json_int_t)who->start));
	(void)json_object_set_new(record, "boot", json_string(who->boot));
	(void)json_object_set_new(record, "at_ms", json_integer(clock_wall_ms()));
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
	(void)json_object_set_new(record, "at_ms", json_integer(clock_wall_ms()));
	if (store_end(w, record, seq, &e) < 0)
		worker_stored(w, seq);
	hostproc_expect_end(w->host, EXIT_MS, "it did not exit within 60 s after its end");
	return 0;
}

/* --------------------------------------------------------------- values */

static void
value_committed(struct job *j, struct commit *c, int result)
{
	(void)j;
	if (!c->worker)
		return;
	worker_stored(c->worker, c->seq);
	worker_result(c->worker, c->id, result, result < 0 ? "the value cannot be stored" : NULL);
}

/* Text as text, bytes as base64. */
static json_t *
value_record(const char *key, const char *data, size_t len)
{
	json_t *text = json_stringn(data, len);
	autofree char *base64 = text ? NULL : text_base64(data, len);

	return text ? json_pack("{s:s,s:o}", "key", key, "data", text)
		    : json_pack("{s:s,s:s}", "key", key, "base64", base64);
}

static int
on_state_put(struct worker *w, int64_t seq, struct ipc_message *m)
{
	const char *key = json_str(m->json, "key", "");
	json_t *id = json_object_get(m->json, "id");
	struct job *j = w->job;
	struct commit c = { .fn = value_committed, .worker = w, .seq = seq };
	autojson json_t *record = NULL;
	struct err e = { 0 };
	int r = 0;

	if (m->body_len > VALUE_MAX || strlen(key) > 256 ||
	    j->value_bytes + m->body_len > VALUES_MAX)
		r = err_set(&e, -E2BIG, "a value has at most %u bytes, all writes of a job %u",
			    VALUE_MAX, VALUES_MAX);
	record = r < 0 ? NULL : value_record(key, m->body ? m->body : "", m->body_len);
	if (r == 0 && !record)
		r = err_set(&e, -EINVAL, "the key is not UTF-8");
	if (r == 0) {
		c.id = json_incref(id);
		r = job_record(j, RECORD_STATE, record, &c, SOON_NOW, &e);
	}
	if (r < 0) {
		worker_stored(w, seq);
		worker_result(w, id, r, err_text(&e));
		return 0;
	}
	j->value_bytes += m->body_len;
	if (!j->values)
		j->values = json_object();
	(void)json_object_set(j->values, key, record);
	return 0;
}

static int
on_state_get(struct worker *w, struct ipc_message *m)
{
	const json_t *value = json_object_get(w->job->values, json_str(m->json, "key", ""));
	const json_t *data = json_object_get(value, "data");
	json_t *id = json_object_get(m->json, "id");
	autofree unsigned char *bytes = NULL;
	size_t len = 0;

	if (!value) {
		worker_result(w, id, -ENOENT, "there is no such value");
		return 0;
	}
	if (!data && text_unbase64(json_str(value, "base64", ""), &bytes, &len) < 0) {
		worker_result(w, id, -EIO, "the value is damaged");
		return 0;
	}
	return hostproc_send(w->host, worker_result_new(id, 0, NULL),
			     data ? (const void *)json_string_value(data) : bytes,
			     data ? json_string_length(data) : len);
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
		hostproc_kill(w->host, err_text(&e));
	return r;
}

static int
on_numbered(struct worker *w, const char *type, struct ipc_message *m)
{
	int64_t seq = json_int(m->json, "seq", 0);

	if (seq <= w->seq)
		return 0; /* we have it; "stored" follows its sync */
	if (seq != w->seq + 1) {
		hostproc_kill(w->host, "it left out a message number");
		return -EPROTO;
	}
	w->seq = seq;
	if (strcmp(type, "reply") == 0)
		return on_reply(w, seq, m);
	if (strcmp(type, "end") == 0)
		return on_end(w, seq, m);
	return on_state_put(w, seq, m);
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
		return on_numbered(w, type, m);
	if (strcmp(type, "state-get") == 0)
		return on_state_get(w, m);
	if (strncmp(type, "job-", 4) == 0)
		return nested_handle(w, type, m);
	if (broker_takes(type))
		return broker_handle(w->broker, type, m);
	if (strcmp(type, "deliver") == 0)
		worker_result(w, json_object_get(m->json, "id"), -EACCES,
			      "only services deliver messages");
	return 0;
}

static const struct hostproc_ops host_ops = { on_ready, on_message, on_gone };

/* ---------------------------------------------------------------- cancel */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	if (!w->cancelled)
		w->timed_out = true;
	if (w->host)
		hostproc_kill(w->host, "it did not end in time");
	else if (w->stranger)
		(void)proc_signal(&w->who, SIGKILL);
}

void
worker_cancel(struct worker *w)
{
	int64_t grace_ms = conf_ms(w->job->jobs->conf, "Agent.KillGrace");
	json_t *m;

	if (w->cancelled || w->gone)
		return;
	w->cancelled = true;
	if (w->stranger) {
		(void)proc_signal(&w->who, SIGKILL);
		return;
	}
	if (!w->started) {
		hostproc_kill(w->host, "the command was cancelled before it started");
		return;
	}
	m = wire_new("cancel");
	(void)json_object_set_new(m, "grace_ms", json_integer(grace_ms));
	(void)hostproc_send(w->host, m, NULL, 0);
	broker_client_cancel(w->broker);
	set_timer(w, grace_ms + CANCEL_MS);
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

static json_t *
plugin_config(const struct conf *conf, const char *plugin)
{
	autofree char *section = xasprintf("plugin %s", plugin);
	json_t *config = json_object();
	const char *key, *value;
	size_t iter = 0;

	while (conf_next(conf, section, &iter, &key, &value))
		(void)json_object_set_new(config, key, json_string(value));
	return config;
}

/* A step of another plugin works in a folder of its own below the job's. */
static char *
work_dir(const struct worker *w)
{
	autofree char *folder = jobstore_folder(w->job->jobs->store, w->job->id);
	char *own;

	if (!w->parent)
		return TAKE(folder);
	own = xasprintf("%s/step%u", folder, w->number);
	(void)mkdir(own, 0700);
	return own;
}

static json_t *
info_of(const struct worker *w, const struct worker_spec *spec)
{
	json_t *info = w->job->jobs->info ? json_copy(w->job->jobs->info) : json_object();
	autofree char *dir = work_dir(w);

	(void)json_object_set_new(info, "job-id", json_string(w->id));
	(void)json_object_set_new(info, "work-dir", json_string(dir));
	(void)json_object_set_new(info, "feature", json_string(w->feature));
	if (spec->step)
		(void)json_object_set_new(info, "step-name", json_string(spec->step));
	return info;
}

static json_t *
hello_of(const struct worker *w, const struct worker_spec *spec)
{
	const struct jobs *js = w->job->jobs;
	json_t *m = json_object();

	(void)json_object_set_new(m, "job", json_string(w->id));
	(void)json_object_set_new(m, "kind", json_integer(w->kind));
	(void)json_object_set_new(m, "feature", json_string(w->feature));
	(void)json_object_set_new(m, "plugin", json_string(w->plugin));
	(void)json_object_set_new(m, "plugin_path", json_string(spec->feature->path));
	(void)json_object_set_new(m, "plugins", plugins_for_host(js->plugins));
	(void)json_object_set_new(m, "config", plugin_config(js->conf, w->plugin));
	(void)json_object_set_new(m, "info", info_of(w, spec));
	(void)json_object_set_new(m, "timeout_ms", json_integer(spec->timeout_ms));
	(void)json_object_set_new(m, "cancelled", json_false());
	return m;
}

static struct worker *
worker_new(struct job *j, struct worker *parent, const char *plugin)
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
		w->number = ++j->steps;
		w->id = xasprintf("%s/%u", j->id, w->number);
	} else {
		w->id = xstrdup(j->id);
	}
	return w;
}

struct worker *
worker_start(struct job *j, struct worker *parent, const struct worker_spec *spec, struct err *e)
{
	struct worker *w = worker_new(j, parent, spec->feature->plugin);
	struct hostproc_spec hs = { .mode = "--job",
				    .job_id = w->id,
				    .body = spec->body,
				    .body_len = spec->body_len,
				    .fds = spec->fds,
				    .fd_count = spec->fd_count };

	w->feature = xstrdup(spec->name);
	w->kind = spec->feature->kind;
	w->broker = broker_client_new(j->jobs->broker, w->plugin, broker_send, w);
	hs.hello = hello_of(w, spec);
	w->host = hostproc_start(j->jobs->base, j->jobs->conf, &hs, &host_ops, w, e);
	if (!w->host)
		return worker_free(w);
	w->who = *hostproc_id(w->host);
	if (spec->timeout_ms > 0)
		set_timer(w, spec->timeout_ms + LATE_MS);
	if (parent)
		list_append(&parent->steps, &w->link);
	log_info("jobs", "job '%s' starts: '%s' of plugin '%s', pid %ld", w->id, w->feature,
		 w->plugin, (long)w->who.pid);
	return w;
}

static void
on_stranger_gone(void *arg, pid_t pid, int status)
{
	struct worker *w = arg;

	(void)pid;
	(void)status;
	w->stranger = NULL;
	w->gone = true;
	contain(w);
}

struct worker *
worker_adopt(struct job *j, const struct proc_id *who, const char *why)
{
	struct worker *w = worker_new(j, NULL, "");
	struct err e = { 0 };

	w->who = *who;
	w->why = xstrdup(why);
	if (who->pid > 0 && proc_alive(who))
		w->stranger =
			child_watch_stranger(j->jobs->base, who->pid, on_stranger_gone, w, &e);
	w->gone = !w->stranger;
	if (w->gone)
		contain(w);
	else
		set_timer(w, j->started_ms + JOBS_STALE_MS - clock_wall_ms());
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
	list_remove(&w->link);
	contain_cancel(w->contain);
	child_free(w->stranger);
	broker_client_free(w->broker);
	hostproc_free(w->host);
	event_free(w->timer);
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
