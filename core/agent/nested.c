/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that a host hands to other plugins: each runs in a host of its own, and its result goes
 * back to whoever waits for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/agent/job.h"
#include "core/agent/worker.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/ipc/wire.h"

static struct worker *
find_step(const struct worker *w, const char *id)
{
	list_each(it, tmp, &w->steps) {
		struct worker *step = list_entry(it, struct worker, link);

		if (strcmp(step->id, id) == 0)
			return step;
	}
	return NULL;
}

static struct worker *
find_request(const struct worker *w, const json_t *request)
{
	list_each(it, tmp, &w->steps) {
		struct worker *step = list_entry(it, struct worker, link);

		if (step->request && json_equal(step->request, request))
			return step;
	}
	return NULL;
}

static size_t
steps_running(const struct worker *w)
{
	size_t n = 0;

	list_each(it, tmp, &w->steps)
		n += !list_entry(it, struct worker, link)->over;
	return n;
}

static int
check_limits(const struct worker *w, struct err *e)
{
	if (w->cancelled)
		return err_set(e, -ECANCELED, "the command was cancelled");
	if (w->depth >= WORKER_DEPTH_MAX)
		return err_set(e, -E2BIG, "jobs are nested at most %u deep", WORKER_DEPTH_MAX);
	if (steps_running(w) + nested_held(w) >= WORKER_STEPS_MAX)
		return err_set(e, -E2BIG, "at most %u nested jobs at a time", WORKER_STEPS_MAX);
	return 0;
}

static const struct feature *
find_action(const struct worker *w, const struct ipc_message *m, struct err *e)
{
	const char *name = json_str(m->json, "name", "");
	const struct feature *f = NULL;

	if (json_int(m->json, "kind", 0) == KIND_ACTION)
		f = plugins_find(w->job->jobs->plugins, KIND_ACTION, name);
	if (!f) {
		autofree char *quoted = text_quote(name, 100);

		(void)err_set(e, -ENOENT, "no plugin provides the action %s", quoted);
	}
	return f;
}

static int
start_step(struct worker *w, struct ipc_message *m, struct err *e)
{
	const struct worker_spec spec = { .body = m->body ? m->body : "{}",
					  .body_len = m->body ? m->body_len : 2,
					  .timeout_ms = json_int(m->json, "timeout_ms", 0),
					  .step = json_str(m->json, "step", NULL),
					  .name = json_str(m->json, "name", ""),
					  .fds = m->fds,
					  .fd_count = m->fd_count,
					  .request = json_object_get(m->json, "id"),
					  .feature = find_action(w, m, e) };
	int r = spec.feature ? check_limits(w, e) : -ENOENT;

	if (r == 0)
		r = nested_hold(w, m, spec.feature, e);
	if (r == 0 && !worker_start(w->job, w, &spec, e))
		r = e->code < 0 ? e->code : -EIO;
	return r;
}

void
nested_start(struct worker *w, struct ipc_message *m)
{
	struct err e = { 0, "" };
	int r = start_step(w, m, &e);

	if (r < 0)
		worker_result(w, json_object_get(m->json, "id"), r, err_text(&e));
}

void
nested_started(struct worker *step)
{
	json_t *answer;

	if (!step->parent || !step->parent->host || !step->request || step->answered)
		return;
	step->answered = true;
	answer = worker_result_new(step->request, 0, NULL);
	(void)json_object_set_new(answer, "job", json_string(step->id));
	(void)hostproc_send(step->parent->host, answer, NULL, 0);
}

/* Answered when its start is on disk: who asks again after a restart of ours then finds it, and one
 * that was not answered was never let go. */
static int
on_job_start(struct worker *w, struct ipc_message *m)
{
	json_t *id = json_object_get(m->json, "id");
	struct worker *step = find_request(w, id);

	if (!step) {
		nested_start(w, m);
		return 0;
	}
	step->answered = false;
	if (step->started || step->over)
		nested_started(step);
	return 0;
}

static int64_t
step_result(const struct worker *step)
{
	if (step->ended)
		return step->result;
	return step->timed_out ? STEP_TIMED_OUT : step->cancelled ? STEP_CANCELLED : STEP_FAILED;
}

static void
tell_end(struct worker *step, json_t *id)
{
	const char *error = step->ended ? step->error : step->why;
	json_t *m = worker_result_new(id, (int)step_result(step), error && *error ? error : NULL);

	(void)json_object_set_new(m, "job", json_string(step->id));
	(void)json_object_set_new(m, "exit_code", json_integer(step->ended ? step->exit_code : -1));
	if (step->parent->host)
		(void)hostproc_send(step->parent->host, m, step->body, step->body_len);
	else
		json_decref(m);
	/* Asked for once: a document of a thousand steps must not keep the results of all. */
	free(TAKE(step->body));
	step->body_len = 0;
}

/* The folder goes unless the step left something in it. */
static void
drop_folder(const struct worker *step)
{
	autofree char *folder = jobstore_folder(step->job->store, step->job->id);
	autofree char *own = xasprintf("%s/step%u", folder, step->number);

	(void)rmdir(own);
}

void
nested_answer(struct worker *step)
{
	size_t i;
	json_t *id;

	drop_folder(step);
	json_array_foreach(step->waiters, i, id) tell_end(step, id);
	(void)json_array_clear(step->waiters);
}

static int
on_job_wait(struct worker *w, struct ipc_message *m)
{
	struct worker *step = find_step(w, json_str(m->json, "job", ""));
	json_t *id = json_object_get(m->json, "id");

	if (!step)
		worker_result(w, id, -ENOENT, "there is no such job");
	else if (step->over)
		tell_end(step, id);
	else if (json_array_size(step->waiters) >= WORKER_STEPS_MAX)
		worker_result(w, id, -E2BIG, "too many wait for this job");
	else
		(void)json_array_append(step->waiters, id);
	return 0;
}

static int
on_job_cancel(struct worker *w, struct ipc_message *m)
{
	struct worker *step = find_step(w, json_str(m->json, "job", ""));
	json_t *id = json_object_get(m->json, "id");

	if (step)
		worker_cancel(step);
	worker_result(w, id, step ? 0 : -ENOENT, step ? NULL : "there is no such job");
	return 0;
}

int
nested_handle(struct worker *w, const char *type, struct ipc_message *m)
{
	if (strcmp(type, "job-start") == 0)
		return on_job_start(w, m);
	if (strcmp(type, "job-wait") == 0)
		return on_job_wait(w, m);
	if (strcmp(type, "job-cancel") == 0)
		return on_job_cancel(w, m);
	return -EPROTO;
}
