/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler writes to the host's connection. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	static const char junk[] = "what the host never says";

	if (write(3, junk, sizeof(junk)) < 0)
		return ssm_fail(S, -5, "descriptor 3 cannot be written to");
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

ZOO_ACTION(garbage, run);
