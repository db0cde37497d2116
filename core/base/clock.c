/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks, replaceable in tests. */
#include "core/base/clock.h"

#include <stddef.h>
#include <sys/time.h>
#include <time.h>

static const struct clock_ops *replaced;

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_mono_ms(void)
{
	return replaced && replaced->mono_ms ? replaced->mono_ms() : read_ms(CLOCK_BOOTTIME);
}

int64_t
clock_wall_ms(void)
{
	return replaced && replaced->wall_ms ? replaced->wall_ms() : read_ms(CLOCK_REALTIME);
}

void
clock_replace(const struct clock_ops *ops)
{
	replaced = ops;
}

void
clock_timeval(int64_t ms, struct timeval *ret)
{
	if (ms < 0)
		ms = 0;
	ret->tv_sec = (time_t)(ms / 1000);
	ret->tv_usec = (suseconds_t)(ms % 1000 * 1000);
}
