/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions and services wait for without blocking: descriptors, timers, programs, answers. A
 * watch is gone before the last callback it leads to. */
#include "core/host/watch.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/host/host.h"
#include "core/host/link.h"
#include "core/host/runchild.h"

struct ssm_watch {
	struct list link;
	struct instance *owner;
	struct event *event; /* a descriptor or a timer */
	struct ssm_watch_on on;
	struct request *request;
	struct run *run;
	ssm_done_fn *done;
	ssm_end_fn *end;
	void *arg;
	bool in_call, ended;
};

static struct ssm_watch *
watch_new(struct ssm *S)
{
	struct ssm_watch *w = xcalloc(1, sizeof(*w));

	w->owner = host_instance(S);
	list_append(&w->owner->host->watches, &w->link);
	return w;
}

static void
watch_free(struct ssm_watch *w)
{
	if (w->event)
		event_del(w->event);
	if (w->in_call) {
		w->ended = true;
		return;
	}
	list_remove(&w->link);
	if (w->event)
		event_free(w->event);
	link_drop(w->request);
	if (w->run)
		run_abandon(w->run);
	free(w);
}

void
api_watch_end(struct ssm *S, struct ssm_watch *w)
{
	(void)S;
	if (w)
		watch_free(w);
}

void
watches_free(struct host *h)
{
	list_each (it, tmp, &h->watches)
		watch_free(list_entry(it, struct ssm_watch, link));
}

/* -------------------------------------------------- descriptors, timers */

static void
arm(struct ssm_watch *w, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	event_add(w->event, &tv);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct ssm_watch *w = arg;
	struct ssm *S = &w->owner->ssm;
	uint32_t events = (what & EV_READ ? SSM_READ : 0) | (what & EV_WRITE ? SSM_WRITE : 0);
	int32_t r;

	w->in_call = true;
	r = w->on.fd_fn ? w->on.fd_fn(S, w, fd, events, w->on.arg)
			: w->on.timer_fn(S, w, w->on.arg);
	w->in_call = false;
	if (r < 0 || w->ended || (w->on.timer_fn && w->on.every_ms <= 0))
		watch_free(w);
	else if (w->on.timer_fn)
		arm(w, w->on.every_ms);
}

static int32_t
set_events(struct ssm_watch *w, uint32_t events)
{
	struct event_base *base = w->owner->host->base;
	short what = (short)((events & SSM_READ ? EV_READ : 0) |
			     (events & SSM_WRITE ? EV_WRITE : 0) | EV_PERSIST);

	if (w->event)
		event_free(w->event);
	w->event = event_new(base, w->on.fd, what, on_event, w);
	if (!w->event || (events && event_add(w->event, NULL) < 0))
		return -EBADF;
	return 0;
}

static int32_t
begin(struct ssm *S, const struct ssm_watch_on *on, struct ssm_watch **ret)
{
	struct ssm_watch *w = watch_new(S);

	memcpy(&w->on, on, sizeof(w->on));
	if (w->on.fd_fn && set_events(w, w->on.events) < 0) {
		watch_free(w);
		return ssm_fail(S, -EBADF, "descriptor %d cannot be watched", on->fd);
	}
	if (w->on.timer_fn) {
		w->event = evtimer_new(w->owner->host->base, on_event, w);
		arm(w, w->on.after_ms);
	}
	if (ret)
		*ret = w;
	return 0;
}

int32_t
api_watch(struct ssm *S, const struct ssm_watch_on *on, struct ssm_watch **ret)
{
	int32_t r = host_has_loop(S);

	if (r < 0)
		return r;
	if (on->size < sizeof(*on) || !on->fd_fn == !on->timer_fn)
		return ssm_fail(S, -EINVAL, "watch needs a size and one of fd_fn and timer_fn");
	return begin(S, on, ret);
}

int32_t
api_watch_set(struct ssm *S, struct ssm_watch *w, uint32_t events)
{
	if (w->run) {
		run_flow(w->run, (events & SSM_READ) != 0);
		return 0;
	}
	if (!w->on.fd_fn)
		return ssm_fail(S, -EINVAL, "this watch is neither a descriptor's nor a program's");
	/* Not freed under its own callback: the event is only renewed. */
	return set_events(w, events);
}

/* ------------------------------------------------------------- programs */

static void
on_end(void *arg, const struct ssm_end *end)
{
	struct ssm_watch *w = arg;
	struct ssm *S = &w->owner->ssm;
	ssm_end_fn *fn = w->end;
	void *fn_arg = w->arg;

	w->run = NULL;
	watch_free(w);
	fn(S, 0, end, fn_arg);
}

int32_t
api_spawn_start(struct ssm *S, const struct ssm_spawn *spawn, ssm_end_fn *end, void *arg,
		struct ssm_watch **ret)
{
	int32_t r = host_has_loop(S);
	struct ssm_watch *w;

	if (r < 0)
		return r;
	w = watch_new(S);
	w->end = end;
	w->arg = arg;
	r = run_start(S, spawn, on_end, w, &w->run);
	if (r < 0)
		watch_free(w);
	else if (ret)
		*ret = w;
	return r;
}

int32_t
api_child_signal(struct ssm *S, struct ssm_watch *w, int32_t sig)
{
	if (!w || !w->run)
		return ssm_fail(S, -EINVAL, "this watch is not one of a program");
	return run_signal(w->run, sig);
}

int32_t
api_child_resize(struct ssm *S, struct ssm_watch *w, uint32_t cols, uint32_t rows)
{
	int32_t r = w && w->run ? run_resize(w->run, cols, rows) : -EINVAL;

	return r < 0 ? ssm_fail(S, r, "this watch is not one of a program at a terminal") : 0;
}

/* -------------------------------------------------------------- answers */

static void
on_answer(void *arg, int result, struct answer *a)
{
	struct ssm_watch *w = arg;
	struct ssm *S = &w->owner->ssm;
	ssm_done_fn *done = w->done;
	void *done_arg = w->arg;
	struct ssm_reply reply;
	int32_t r = ask_answer(S, result, a, &reply);

	w->request = NULL;
	watch_free(w);
	if (done)
		done(S, r, &reply, done_arg);
	host_reply_clear(&reply);
}

int32_t
watch_request(struct ssm *S, const struct link_request *q, ssm_done_fn *done, void *arg,
	      struct ssm_watch **ret)
{
	struct ssm_watch *w = watch_new(S);
	int r;

	w->done = done;
	w->arg = arg;
	r = link_start(w->owner->host->link, q, on_answer, w, &w->request);
	if (r < 0) {
		watch_free(w);
		return ssm_fail(S, r, "the agent could not be asked: %s", strerror(-r));
	}
	if (ret)
		*ret = w;
	return 0;
}
