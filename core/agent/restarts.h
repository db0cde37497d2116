/* SPDX-License-Identifier: Apache-2.0 */
/* When something that has ended starts again: later each time, and not at all when it ends too
 * often. DESIGN section 2. */
#ifndef SSM_AGENT_RESTARTS_H
#define SSM_AGENT_RESTARTS_H

#include <stdint.h>

#define RESTARTS_MAX 10u /* ends within an hour: then it is off */

/* All zero: it never ended. */
struct restarts {
	unsigned failures;
	int64_t ends[RESTARTS_MAX]; /* when; the oldest is overwritten */
	unsigned count;
};

/* It began at STARTED_MS and has ended at NOW_MS (clock_mono_ms()): milliseconds to wait, 1 s and
 * doubling up to 5 min, give or take a fifth; from the start again when it had lived 10 min. -1: it
 * has ended RESTARTS_MAX times within an hour. */
int64_t restarts_wait_ms(struct restarts *r, int64_t started_ms, int64_t now_ms);
/* It is another thing now. */
void restarts_forget(struct restarts *r);

#endif
