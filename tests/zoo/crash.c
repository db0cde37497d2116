/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler leaks 16 MiB and crashes. */
#include "zoo.h"

#include <string.h>

#define LEAK_BYTES (16u << 20)

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	(void)step;
	(void)memset(S->api->alloc(S, LEAK_BYTES), 1, LEAK_BYTES);
	abort();
}

ZOO_ACTION(crash, run);
