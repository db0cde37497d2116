/* SPDX-License-Identifier: Apache-2.0 */
/* One timer that is set, moved and taken back. */
#ifndef SSM_SESSIONMANAGER_LATER_H
#define SSM_SESSIONMANAGER_LATER_H

#include <ssm_plugin.h>

/* FN in AFTER_MS, once; what *W stood for does not happen. FN sets *W to NULL first thing. */
void later(struct ssm *S, struct ssm_watch **w, ssm_timer_fn *fn, void *arg, int64_t after_ms);
/* It does not happen; also what was started and is not done. *W may be NULL and becomes it. */
void later_never(struct ssm *S, struct ssm_watch **w);

#endif
