/* SPDX-License-Identifier: Apache-2.0 */
/* Timers on the wall clock, for expiry and schedules: libevent's own clock stops while suspended.
 */
#ifndef SSM_LOOP_WALLCLOCK_H
#define SSM_LOOP_WALLCLOCK_H

#include <stdint.h>

#include "core/base/err.h"

struct event_base;
struct wallclock;
typedef void wallclock_fn(void *arg);

/* One timer, not armed. FN also runs when the clock is set, so that it can compute anew. */
struct wallclock *wallclock_new(struct event_base *base, wallclock_fn *fn, void *arg,
				struct err *e);
struct wallclock *wallclock_free(struct wallclock *w);
/* Fire once at UNIX_MS (at once when past); 0 disarms. */
void wallclock_set(struct wallclock *w, int64_t unix_ms);

#endif
