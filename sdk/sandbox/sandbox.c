/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's clocks. */
#include "sdk/sandbox/sandbox.h"

#include <time.h>

#include "core/base/clock.h"

int64_t
sandbox_now_ms(const struct sandbox *sb)
{
	return clock_wall_ms() + sb->set.skew_ms;
}

int64_t
sandbox_mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
