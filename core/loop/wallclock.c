/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd on CLOCK_REALTIME: counts suspended time and tells when somebody sets the clock. */
#include "core/loop/wallclock.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/base/mem.h"

struct wallclock {
	struct event *event;
	int fd;
	int64_t at_ms;
	wallclock_fn *fn;
	void *arg;
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct wallclock *w = arg;
	uint64_t ticks;
	ssize_t n = read(fd, &ticks, sizeof(ticks));

	(void)what;
	/* ECANCELED: the clock was set; the timer has to be armed again to hear of the next time.
	 */
	if (n < 0 && errno == ECANCELED)
		wallclock_set(w, w->at_ms);
	else if (n < 0)
		return;
	w->fn(w->arg);
}

struct wallclock *
wallclock_new(struct event_base *base, wallclock_fn *fn, void *arg, struct err *e)
{
	struct wallclock *w = xcalloc(1, sizeof(*w));

	w->fn = fn;
	w->arg = arg;
	w->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->fd < 0) {
		err_set(e, -errno, "cannot make a timer: %m");
		return wallclock_free(w);
	}
	w->event = event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	event_add(w->event, NULL);
	return w;
}

struct wallclock *
wallclock_free(struct wallclock *w)
{
	if (!w)
		return NULL;
	if (w->event)
		event_free(w->event);
	mem_cleanup_fd(&w->fd);
	free(w);
	return NULL;
}

void
wallclock_set(struct wallclock *w, int64_t unix_ms)
{
	struct itimerspec at;

	memset(&at, 0, sizeof(at));
	w->at_ms = unix_ms;
	at.it_value.tv_sec = unix_ms / 1000;
	at.it_value.tv_nsec = unix_ms % 1000 * 1000000;
	timerfd_settime(w->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL);
}
