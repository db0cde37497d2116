/* SPDX-License-Identifier: Apache-2.0 */
/* Sees that it is cancelled, and goes on. */
#include <poll.h>

#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	struct pollfd p = {.fd = S->api->cancel_fd(S), .events = POLLIN};

	ssm_print(S, step, "at work\n");
	while (poll(&p, 1, -1) >= 0)
		if (p.revents) {
			ssm_log(S, SSM_WARN, "cancelled %d, not that it mattered",
				S->api->cancelled(S));
			p.fd = -1;
		}
	return -1;
}

ZOO_ACTION(ignores, run);
