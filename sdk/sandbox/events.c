/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's event loop: descriptors by epoll, deadlines in a heap.
 * Why like this: the sandbox may use core/base only, and its HTTP server brings an epoll descriptor
 * of its own that fits into another one. */
#include "sdk/sandbox/events.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"

#define BATCH 64
#define DELAY_MAX_MS ((int64_t)365 * 86400 * 1000)

struct watch {
	int fd;
	watch_fn *fn; /* NULL: unwatched, waits in the bin for the end of the batch */
	void *arg;
	struct list link;
};

struct events {
	int epoll;
	struct timer **heap; /* from 1 */
	size_t timers, room;
	struct list watches, bin;
};

struct events *
events_new(struct err *e)
{
	struct events *ev;
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0) {
		err_set(e, -errno, "cannot make an epoll descriptor: %m");
		return NULL;
	}
	ev = xcalloc(1, sizeof(*ev));
	ev->epoll = fd;
	list_init(&ev->watches);
	list_init(&ev->bin);
	return ev;
}

static void
free_watches(struct list *head)
{
	list_each(it, tmp, head) {
		struct watch *w = list_entry(it, struct watch, link);

		list_remove(it);
		free(w);
	}
}

struct events *
events_free(struct events *ev)
{
	if (!ev)
		return NULL;
	free_watches(&ev->watches);
	free_watches(&ev->bin);
	close(ev->epoll);
	free(ev->heap);
	free(ev);
	return NULL;
}

struct watch *
events_watch(struct events *ev, int fd, uint32_t mask, watch_fn *fn, void *arg)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	struct epoll_event item = { .events = mask, .data.ptr = w };

	if (epoll_ctl(ev->epoll, EPOLL_CTL_ADD, fd, &item) < 0) {
		free(w);
		return NULL;
	}
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	list_append(&ev->watches, &w->link);
	return w;
}

void
events_watch_mask(struct events *ev, struct watch *w, uint32_t mask)
{
	struct epoll_event item = { .events = mask, .data.ptr = w };

	epoll_ctl(ev->epoll, EPOLL_CTL_MOD, w->fd, &item);
}

struct watch *
events_unwatch(struct events *ev, struct watch *w)
{
	if (!w)
		return NULL;
	epoll_ctl(ev->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	w->fn = NULL;
	list_remove(&w->link);
	list_append(&ev->bin, &w->link);
	return NULL;
}

static void
place(struct events *ev, size_t slot, struct timer *t)
{
	ev->heap[slot] = t;
	t->slot = slot;
}

static void
sift_up(struct events *ev, struct timer *t)
{
	size_t i = t->slot;

	for (; i > 1 && ev->heap[i / 2]->at_ms > t->at_ms; i /= 2)
		place(ev, i, ev->heap[i / 2]);
	place(ev, i, t);
}

static void
sift_down(struct events *ev, struct timer *t)
{
	size_t i = t->slot;

	while (i * 2 <= ev->timers) {
		size_t child = i * 2;

		if (child < ev->timers && ev->heap[child + 1]->at_ms < ev->heap[child]->at_ms)
			child++;
		if (ev->heap[child]->at_ms >= t->at_ms)
			break;
		place(ev, i, ev->heap[child]);
		i = child;
	}
	place(ev, i, t);
}

void
timer_in(struct events *ev, struct timer *t, int64_t delay_ms)
{
	if (delay_ms < 0 || delay_ms > DELAY_MAX_MS)
		delay_ms = delay_ms < 0 ? 0 : DELAY_MAX_MS;
	if (!t->slot) {
		if (ev->timers + 2 > ev->room) {
			ev->room = ev->room ? ev->room * 2 : 64;
			ev->heap = xrealloc(ev->heap, ev->room, sizeof(struct timer *));
		}
		place(ev, ++ev->timers, t);
	}
	t->at_ms = clock_mono_ms() + delay_ms;
	sift_up(ev, t);
	sift_down(ev, t);
}

void
timer_cancel(struct events *ev, struct timer *t)
{
	struct timer *last;

	if (!t->slot)
		return;
	last = ev->heap[ev->timers--];
	if (last != t) {
		place(ev, t->slot, last);
		sift_up(ev, last);
		sift_down(ev, last);
	}
	t->slot = 0;
}

static void
run_timers(struct events *ev)
{
	int64_t now = clock_mono_ms();

	while (ev->timers && ev->heap[1]->at_ms <= now) {
		struct timer *t = ev->heap[1];

		timer_cancel(ev, t);
		t->fn(t->arg);
	}
}

static int
wait_ms(const struct events *ev, int64_t max_wait_ms)
{
	int64_t left = max_wait_ms < 0 ? INT_MAX : max_wait_ms;

	if (ev->timers) {
		int64_t due = ev->heap[1]->at_ms - clock_mono_ms();

		if (due < left)
			left = due < 0 ? 0 : due;
	}
	return left >= INT_MAX ? -1 : (int)left;
}

void
events_run_once(struct events *ev, int64_t max_wait_ms)
{
	struct epoll_event items[BATCH];
	int n = epoll_wait(ev->epoll, items, BATCH, wait_ms(ev, max_wait_ms));

	for (int i = 0; i < n; i++) {
		struct watch *w = items[i].data.ptr;

		if (w->fn)
			w->fn(w->arg, items[i].events);
	}
	run_timers(ev);
	free_watches(&ev->bin);
}
