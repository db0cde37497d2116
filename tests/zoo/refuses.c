/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler fails with a reason. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	(void)step;
	return ssm_fail(S, -22, "the moon is in the wrong %s", "phase");
}

ZOO_ACTION(refuses, run);
