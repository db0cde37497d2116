/* SPDX-License-Identifier: Apache-2.0 */
/* Which plugins there are and what they provide: scan, describe, feature table. DESIGN section 8.
 */
#ifndef SSM_AGENT_PLUGINS_H
#define SSM_AGENT_PLUGINS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct event_base;
struct conf;
struct plugins;

#define FEATURE_SERIAL (1u << 1) /* the same bit as SSM_F_SERIAL in ssm_plugin.h */
#define FEATURE_UNPRIVILEGED (1u << 2) /* SSM_F_UNPRIVILEGED */

struct feature { /* one row of the table; owned by it, valid until the next scan */
	uint32_t kind, flags;
	const char *name; /* as the descriptor has it, maybe with a final '*' */
	const char *job_key, *cancel_key;
	const char *plugin, *path; /* of the plugin that provides it */
	const json_t *descriptor;  /* the whole, from --describe */
};

struct plugins *plugins_new(struct event_base *base, const struct conf *conf);
struct plugins *plugins_free(struct plugins *p);
/* The next look tries again what was refused: after a change of the configuration. */
void plugins_retry(struct plugins *p);
/* After a refresh: -ENOENT when a plugin with Load = required is missing or refused, E says
 * which. */
int plugins_check_required(const struct plugins *p, struct err *e);
/* DONE is called (possibly at once) when the table agrees with the folder: before each new job. */
typedef void plugins_ready_fn(void *arg);
struct plugins_wait;
struct plugins_wait *plugins_refresh(struct plugins *p, plugins_ready_fn *done, void *arg);
/* FN is called whenever the table was built anew. */
void plugins_on_change(struct plugins *p, plugins_ready_fn *fn, void *arg);
void plugins_wait_cancel(struct plugins_wait *w);
/* Longest prefix for topics, exact or '*' for the rest; NULL when nobody provides it. */
const struct feature *plugins_find(const struct plugins *p, uint32_t kind, const char *name);
/* Each feature of KIND in the table: *ITER is 0 at first; NULL behind the last. */
const struct feature *plugins_next(const struct plugins *p, uint32_t kind, size_t *iter);
/* For the host's hello: [{"name","path","features":[...]}] of all loadable plugins. Caller owns. */
json_t *plugins_for_host(const struct plugins *p);
/* For ssmctl plugins: each file with state, reason, features. Caller owns. */
json_t *plugins_report(const struct plugins *p);

#endif
