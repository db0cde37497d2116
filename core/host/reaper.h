/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that are not waited for by name: orphans handed to us. */
#ifndef SSM_HOST_REAPER_H
#define SSM_HOST_REAPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/err.h"

struct event_base;

/* True for a child that is waited for elsewhere. */
typedef bool reaper_known_fn(void *arg, pid_t pid);

/* Discard ended children of others that became ours. Lives as long as the process. */
int reaper_start(struct event_base *base, reaper_known_fn *known, void *arg, struct err *e);
/* Look now: one that is waited for elsewhere may have hidden others. */
void reaper_run(void);

#endif
