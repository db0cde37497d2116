/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks, replaceable in tests. */
#ifndef SSM_BASE_CLOCK_H
#define SSM_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void); /* CLOCK_BOOTTIME: goes on while suspended */
int64_t clock_wall_ms(void); /* unix time */

struct clock_ops {
	int64_t (*mono_ms)(void);
	int64_t (*wall_ms)(void);
};
void clock_replace(const struct clock_ops *ops); /* NULL: the real ones again */

/* Milliseconds to struct timeval, for libevent; negative gives 0. */
struct timeval;
void clock_timeval(int64_t ms, struct timeval *ret);

#endif
