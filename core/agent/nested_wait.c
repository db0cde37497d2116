/* SPDX-License-Identifier: Apache-2.0 */
/* Steps whose action is wanted one at a time (SSM_F_SERIAL): their start waits, in the order in
 * which they were asked for, until no other of that action runs. */
#include <errno.h>
#include <stdlib.h>

#include "core/agent/job.h"
#include "core/agent/jobs.h"
#include "core/agent/worker.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

/* A "job-start" as it came. */
struct held {
	struct list link;
	struct worker *parent;
	struct ipc_message message;
};

static void
held_free(struct held *h)
{
	list_remove(&h->link);
	for (size_t i = 0; i < h->message.fd_count; i++)
		mem_cleanup_fd(&h->message.fds[i]);
	json_decref(h->message.json);
	free((char *)(uintptr_t)h->message.body);
	free(h);
}

static const struct feature *
action_of(const struct worker *w, const json_t *start)
{
	return plugins_find(w->job->jobs->plugins, KIND_ACTION, json_str(start, "name", ""));
}

/* One that asks again, behind a restart of ours, waits once. */
static void
forget_request(const struct worker *w, const json_t *id)
{
	list_each(it, tmp, &w->job->jobs->steps) {
		struct held *h = list_entry(it, struct held, link);

		if (h->parent == w && json_equal(json_object_get(h->message.json, "id"), id))
			held_free(h);
	}
}

static void
keep(struct worker *w, struct ipc_message *m)
{
	struct held *h = xcalloc(1, sizeof(*h));

	forget_request(w, json_object_get(m->json, "id"));
	h->parent = w;
	h->message = *m;
	json_incref(m->json);
	if (m->body)
		h->message.body = xmemdup(m->body, m->body_len);
	for (size_t i = 0; i < m->fd_count; i++)
		m->fds[i] = -1;
	list_append(&w->job->jobs->steps, &h->link);
}

static bool
waits_for_itself(const struct worker *w, const struct feature *f)
{
	for (; w; w = w->parent)
		if (plugins_find(w->job->jobs->plugins, w->kind, w->feature) == f)
			return true;
	return false;
}

int
nested_hold(struct worker *w, struct ipc_message *m, const struct feature *f, struct err *e)
{
	if (!(f->flags & FEATURE_SERIAL) || !jobs_feature_runs(w->job->jobs, f))
		return 0;
	if (waits_for_itself(w, f)) {
		autofree char *quoted = text_quote(f->name, 100);

		return err_set(e, -EDEADLK,
			       "the action %s runs one at a time, and this step is part of one",
			       quoted);
	}
	keep(w, m);
	return 1;
}

size_t
nested_held(const struct worker *w)
{
	size_t n = 0;

	list_each(it, tmp, &w->job->jobs->steps)
		n += list_entry(it, struct held, link)->parent == w;
	return n;
}

/* The first that may run; one whose plugin has gone is told so. */
static struct held *
first_free(const struct jobs *js)
{
	list_each(it, tmp, &js->steps) {
		struct held *h = list_entry(it, struct held, link);
		const struct feature *f = action_of(h->parent, h->message.json);

		if (!f || !jobs_feature_runs(js, f))
			return h;
	}
	return NULL;
}

void
nested_go_on(struct jobs *js)
{
	struct held *h;

	while ((h = first_free(js))) {
		list_remove(&h->link);
		list_init(&h->link);
		nested_start(h->parent, &h->message);
		held_free(h);
	}
}

void
nested_forget(struct worker *w, const char *why)
{
	list_each(it, tmp, &w->job->jobs->steps) {
		struct held *h = list_entry(it, struct held, link);

		if (h->parent != w)
			continue;
		if (why)
			worker_result(w, json_object_get(h->message.json, "id"), -ECANCELED, why);
		held_free(h);
	}
}
