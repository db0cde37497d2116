/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler crashes. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	(void)S;
	(void)step;
	abort();
}

ZOO_ACTION(crash, run);
