/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler hangs; it does not look at the cancel either. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	(void)S;
	(void)step;
	for (volatile int forever = 1; forever;)
		pause();
	return -1;
}

ZOO_ACTION(hangs, run);
