/* SPDX-License-Identifier: Apache-2.0 */
/* Two locks for one door: a core's size is 0, and the kernel takes us for one whose memory is
 * nobody's business. */
#include "core/agent/protect.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void
protect_memory(bool trial)
{
	struct rlimit core = { 0, 0 };

	/* A script may still raise its own. */
	if (getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = 0;
		setrlimit(RLIMIT_CORE, &core);
	}
	if (!trial)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
