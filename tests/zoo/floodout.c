/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler writes 64 MiB of output. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	static char block[65536];

	memset(block, 'x', sizeof(block));
	block[sizeof(block) - 1] = '\n';
	for (int i = 0; i < 1024; i++)
		if (S->api->step_write(S, step, SSM_STDOUT, block, sizeof(block)) < 0)
			return -5;
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

ZOO_ACTION(floodout, run);
