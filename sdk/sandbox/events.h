/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's event loop: descriptors by epoll, deadlines in a heap. */
#ifndef SSM_SANDBOX_EVENTS_H
#define SSM_SANDBOX_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct events;
struct watch;

typedef void watch_fn(void *arg, uint32_t revents);
typedef void timer_fn(void *arg);

/* Embedded in its owner; all zero is an idle timer. */
struct timer {
	int64_t at_ms; /* clock_mono_ms() */
	size_t slot;   /* place in the heap, from 1; 0 is idle */
	timer_fn *fn;
	void *arg;
};

/* NULL and an error when the kernel gives no epoll descriptor. */
struct events *events_new(struct err *e);
struct events *events_free(struct events *ev); /* returns NULL */

/* FD stays the caller's. REVENTS of epoll. NULL when the descriptor cannot be watched. */
struct watch *events_watch(struct events *ev, int fd, uint32_t mask, watch_fn *fn, void *arg);
void events_watch_mask(struct events *ev, struct watch *w, uint32_t mask);
/* Before FD is closed. Returns NULL; its function is not called any more. */
struct watch *events_unwatch(struct events *ev, struct watch *w);

/* Sets or moves: DELAY_MS from now, at most a year. fn and arg have to be filled in. */
void timer_in(struct events *ev, struct timer *t, int64_t delay_ms);
void timer_cancel(struct events *ev, struct timer *t);

/* Wait at most MAX_WAIT_MS (less than 0: no limit) and run what is due. */
void events_run_once(struct events *ev, int64_t max_wait_ms);

#endif
