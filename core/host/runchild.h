/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a plugin runs, from start to end. */
#ifndef SSM_HOST_RUNCHILD_H
#define SSM_HOST_RUNCHILD_H

#include <ssm_plugin.h>
#include <stdbool.h>

#include "core/base/err.h"

struct host;
struct run;

/* Called from the loop; the run is freed. */
typedef void run_end_fn(void *arg, const struct ssm_end *end);

/* Start it; what SPAWN points to is copied. A failure is recorded with verror(). */
int32_t run_start(struct ssm *S, const struct ssm_spawn *spawn, run_end_fn *end, void *arg,
		  struct run **ret);
/* Ask it to end, and tell nobody of it. */
void run_abandon(struct run *r);
int32_t run_signal(const struct run *r, int32_t sig);
/* -EINVAL where there is no terminal. */
int32_t run_resize(const struct run *r, uint32_t cols, uint32_t rows);
/* Whether its output is read, what output_fn did not take first. */
void run_flow(struct run *r, bool on);
void run_free(struct run *r); /* one that still runs is killed; NULL is fine */
void runs_cancel(struct host *h);

#endif
