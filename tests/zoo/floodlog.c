/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler logs without end, by the interface and to its standard error. */
#include <stdio.h>

#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	for (int i = 0; i < 20000; i++) {
		ssm_log(S, SSM_ERR, "flood %d of the log", i);
		fprintf(stderr, "flood %d of standard error\n", i);
	}
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

ZOO_ACTION(floodlog, run);
