/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler fails when another one is at work beside it. */
#include <errno.h>
#include <fcntl.h>

#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	const char *name = S->api->step_str(S, step, "/file", "");
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return ssm_fail(S, -errno, "it is not alone: %s", name);
	usleep(100000);
	unlink(name);
	close(fd);
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

ZOO_ACTION_WITH(alone, run, SSM_F_SERIAL);
