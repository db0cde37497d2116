/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler returns without step_done. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	return ssm_print(S, step, "something\n");
}

ZOO_ACTION(noresult, run);
