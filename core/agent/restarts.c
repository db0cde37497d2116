/* SPDX-License-Identifier: Apache-2.0 */
/* Back-off of what ends by itself. */
#include "core/agent/restarts.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/rand.h"

#define FIRST_WAIT_MS 1000
#define LONGEST_WAIT_MS 300000
#define DOUBLINGS_MAX 9
#define STEADY_MS 600000 /* who has lived so long is in no crash loop */
#define HOUR_MS 3600000

static bool
too_often(struct restarts *r, int64_t now_ms)
{
	r->ends[r->count++ % RESTARTS_MAX] = now_ms;
	/* What is overwritten next is the oldest. */
	return r->count >= RESTARTS_MAX && now_ms - r->ends[r->count % RESTARTS_MAX] < HOUR_MS;
}

int64_t
restarts_wait_ms(struct restarts *r, int64_t started_ms, int64_t now_ms)
{
	int64_t wait;

	if (now_ms - started_ms >= STEADY_MS)
		r->failures = 0;
	if (too_often(r, now_ms))
		return -1;
	wait = (int64_t)FIRST_WAIT_MS << (r->failures < DOUBLINGS_MAX ? r->failures
								      : DOUBLINGS_MAX);
	if (wait > LONGEST_WAIT_MS)
		wait = LONGEST_WAIT_MS;
	r->failures++;
	return wait + rand_between(-wait / 5, wait / 5);
}

void
restarts_forget(struct restarts *r)
{
	memset(r, 0, sizeof(*r));
}
