/* SPDX-License-Identifier: Apache-2.0 */
/* Its constructor crashes. */
#include "zoo.h"

__attribute__((constructor)) static void
start(void)
{
	abort();
}

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

ZOO_ACTION(startcrash, run);
