/* SPDX-License-Identifier: Apache-2.0 */
/* Timers by the host's watch(). */
#include "plugins/sessionManager/later.h"

#include "core/base/mem.h"

void
later_never(struct ssm *S, struct ssm_watch **w)
{
	struct ssm_watch *old = TAKE(*w);

	if (old)
		S->api->watch_end(S, old);
}

void
later(struct ssm *S, struct ssm_watch **w, ssm_timer_fn *fn, void *arg, int64_t after_ms)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .timer_fn = fn, .arg = arg, .after_ms = after_ms
	};

	later_never(S, w);
	(void)S->api->watch(S, &on, w);
}
