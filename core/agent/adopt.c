/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that an agent before us has started: those that live are waited for, of the others what
 * they left behind is taken; where that is not the end of their work, it was lost. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/agent/hostlog.h"
#include "core/agent/job.h"
#include "core/agent/worker.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/ipc/wire.h"

#define FILE_MAX (64u * 1024u * 1024u)

/* ------------------------------------------------------------- records */

struct past *
past_new(const json_t *started)
{
	struct past *p = xcalloc(1, sizeof(*p));

	list_init(&p->link);
	p->started = json_incref((json_t *)(uintptr_t)started);
	return p;
}

struct past *
past_free(struct past *p)
{
	if (!p)
		return NULL;
	list_remove(&p->link);
	json_decref(p->started);
	json_decref(p->end);
	free(p);
	return NULL;
}

unsigned
past_number(const json_t *record)
{
	return (unsigned)json_int(record, "nested", 0);
}

/* Without a number whatever carries the marker of the job is looked for. */
static struct proc_id
who_was(const json_t *started)
{
	struct proc_id who = { .pid = (pid_t)json_int(started, "pid", 0),
			       .start = (uint64_t)json_int(started, "start", 0) };

	(void)snprintf(who.boot, sizeof(who.boot), "%s",
		       who.pid > 0 ? json_str(started, "boot", "") : proc_boot_id());
	return who;
}

/* ---------------------------------------------------------- result.json */

static int
take_one(struct worker *w, json_t *message, struct err *e)
{
	struct ipc_message m = { .json = message };
	const json_t *text = json_object_get(message, "body");
	const char *base64 = json_str(message, "base64", NULL);
	autofree unsigned char *bytes = NULL;
	const char *type = "";
	int r = wire_check(WIRE_FROM_HOST, WIRE_RUNNING, message, &type, e);

	if (r < 0)
		return r;
	if (strcmp(type, "reply") != 0 && strcmp(type, "end") != 0 &&
	    strcmp(type, "state-put") != 0)
		return err_set(e, -EPROTO, "a message '%s'", type);
	if (base64 && text_unbase64(base64, &bytes, &m.body_len) < 0)
		return err_set(e, -EPROTO, "a body that is not base64");
	if (json_is_string(text)) {
		m.body = json_string_value(text);
		m.body_len = json_string_length(text);
	} else {
		m.body = (const char *)bytes;
	}
	r = worker_take(w, type, &m);
	return r < 0 ? err_set(e, r, "a message '%s' cannot be taken: %s", type, strerror(-r)) : 0;
}

static int
take_all(struct worker *w, const char *text, size_t len, struct err *e)
{
	autojson json_t *all = json_parse(text, len, RESULT_FILE, e);
	json_t *m;
	size_t i;
	int r = 0;

	if (!json_is_array(all))
		return err_set(e, -EBADMSG, "it is not a list of messages");
	w->resumed = true;
	json_array_foreach(all, i, m)
	{
		if (r == 0 && !w->ended)
			r = take_one(w, m, e);
	}
	return r;
}

void
worker_take_file(struct worker *w)
{
	autofree char *folder = worker_work_dir(w), *text = NULL;
	autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct err e = { 0 };
	size_t len = 0;
	int64_t before = w->seq;
	int r = dir < 0 ? -errno : fs_read(dir, RESULT_FILE, FILE_MAX, &text, &len, &e);

	if (r == -ENOENT)
		return;
	if (r == 0)
		r = take_all(w, text, len, &e);
	if (r < 0)
		log_warn("jobs", "job '%s': what its plugin left in '%s/" RESULT_FILE "': %s",
			 w->id, folder, err_text(&e));
	if (w->seq > before)
		log_info("jobs", "job '%s': taken what its plugin did while there was no agent",
			 w->id);
}

/* ---------------------------------------------------------------- hosts */

static struct worker *
find_number(struct worker *w, unsigned number)
{
	struct worker *found = w && w->number == number ? w : NULL;

	if (!w)
		return NULL;
	list_each(it, tmp, &w->steps)
		if (!found)
			found = find_number(list_entry(it, struct worker, link), number);
	return found;
}

struct worker *
worker_find_pid(struct worker *w, pid_t pid)
{
	struct worker *found = w->adopted && w->host && w->who.pid == pid ? w : NULL;

	list_each(it, tmp, &w->steps)
		if (!found)
			found = worker_find_pid(list_entry(it, struct worker, link), pid);
	return found;
}

static void
take_end(struct worker *w, const json_t *end)
{
	const json_t *body = json_object_get(end, "body");

	w->ended = true;
	w->result = json_int(end, "result", 0);
	w->exit_code = (int)json_int(end, "exit_code", 0);
	w->error = xstrdup(json_str(end, "error", ""));
	if (json_is_string(body)) {
		w->body_len = json_string_length(body);
		w->body = xmemdup(json_string_value(body), w->body_len);
	}
}

/* How long what lives is waited for. */
static void
set_deadline(struct worker *w, int64_t started_ms)
{
	const struct conf *conf = w->job->jobs->conf;
	int64_t until = w->until_ms ? w->until_ms : started_ms + JOBS_STALE_MS;

	if (w->ended)
		hostproc_expect_end(w->host, WORKER_EXIT_MS, WORKER_EXIT_WHY);
	if (w->cancelled)
		worker_set_timer(w, conf_ms(conf, "Agent.KillGrace") + WORKER_CANCEL_MS);
	else
		worker_set_timer(w, until - clock_wall_ms());
}

static struct worker *
adopt(struct job *j, struct worker *parent, const struct past *p)
{
	const json_t *s = p->started;
	struct worker *w =
		worker_new(j, parent, past_number(s), json_str(s, "plugin", "of the command"));

	w->adopted = w->started = w->answered = true;
	w->who = who_was(s);
	w->feature = xstrdup(json_str(s, "feature", ""));
	w->kind = (uint32_t)json_int(s, "kind", parent ? KIND_ACTION : KIND_TOPIC);
	w->request = json_incref(json_object_get(s, "request"));
	w->until_ms = json_int(s, "until_ms", 0);
	w->seq = w->stored = p->seq;
	w->cancelled = j->cancelled;
	if (p->end)
		take_end(w, p->end);
	worker_set_broker(w);
	w->host = hostproc_adopt(j->jobs->base, j->jobs->conf, w->id, &w->who,
				 json_str(s, "token", ""), &worker_host_ops, w);
	worker_take_file(w);
	if (w->host)
		set_deadline(w, json_int(s, "at_ms", 0));
	return w;
}

static bool
is_in_order(const struct worker *w)
{
	if (worker_ended_in_order(w))
		return true;
	/* With the final reply on disk the "end" behind it may be missing. */
	return !w->parent && !w->cancelled && job_has_final(w->job);
}

static char *
tell_lost(const struct worker *w)
{
	const char *run = conf_path(w->job->jobs->conf, CONF_PATH_RUN);
	struct hostlog *log = hostlog_reopen(run, w->id);
	autofree char *tail = hostlog_tail(log);
	char *why = worker_tell_why(w, -1, NULL, tail);

	hostlog_remove(log);
	return why;
}

/* The steps first: what is over then only waits for who asked for it. */
static void
settle(struct worker *w)
{
	autofree char *lost = NULL;

	list_each(it, tmp, &w->steps) settle(list_entry(it, struct worker, link));
	if (w->host)
		return;
	w->gone = true;
	lost = tell_lost(w);
	if (!w->ended && (w->parent || !job_has_final(w->job)))
		w->why = TAKE(lost);
	worker_end_steps(w);
	if (!is_in_order(w))
		worker_contain(w);
	if (w->parent)
		worker_check_over(w);
}

static bool
is_over(const struct worker *w)
{
	list_each(it, tmp, &w->steps)
		if (!list_entry(it, struct worker, link)->over)
			return false;
	return w->gone && !w->contain;
}

void
worker_adopt_all(struct job *j, struct list *pasts)
{
	struct worker *top = NULL;

	list_each(it, tmp, pasts) {
		const struct past *p = list_entry(it, struct past, link);
		bool nested = past_number(p->started) > 0;
		struct worker *parent =
			nested ? find_number(top, (unsigned)json_int(p->started, "in", 0)) : NULL;

		if (parent)
			(void)adopt(j, parent, p);
		else if (!nested && !top)
			top = adopt(j, NULL, p);
	}
	if (!top)
		return;
	settle(top);
	if (!is_over(top)) {
		j->worker = top;
		return;
	}
	if (worker_wants_reboot(top))
		job_reboot(j, top->who.boot);
	worker_free(top);
}
