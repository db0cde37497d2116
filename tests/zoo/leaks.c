/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler leaves a thousand children behind, each with every descriptor of the host. */
#include <signal.h>

#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	sigset_t none;

	sigemptyset(&none);
	for (int i = 0; i < 1000; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return ssm_fail(S, -11, "only %d children", i);
		if (pid == 0) {
			sigprocmask(SIG_SETMASK, &none, NULL);
			alarm(20);
			for (;;)
				pause();
		}
	}
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

ZOO_ACTION(leaks, run);
