/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler closes the host's connection. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	close(3);
	ssm_print(S, step, "closed\n");
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

ZOO_ACTION(closes, run);
