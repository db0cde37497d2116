/* SPDX-License-Identifier: Apache-2.0 */
/* Calls a function that nobody has. */
#include "zoo.h"

int32_t zoo_nobody_has_this(struct ssm *S);

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	(void)step;
	return zoo_nobody_has_this(S);
}

ZOO_ACTION(unresolved, run);
