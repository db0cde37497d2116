/* SPDX-License-Identifier: Apache-2.0 */
/* agent.sock: the questions of ssmctl. One request a connection: {"t":"ask","what":"whoami"},
 * answered by
 * {"t":"answer","code":0} with the JSON text as body, or a code below 0 and "error". */
#ifndef SSM_AGENT_CTL_H
#define SSM_AGENT_CTL_H

#include <jansson.h>

#include "core/base/err.h"

struct event_base;
struct ctl;
/* The answer to WHAT (caller owns), or NULL with E. */
typedef json_t *ctl_answer_fn(void *arg, const char *what, struct err *e);

/* Listen at <run folder>/agent.sock, mode 0600; only root and our own uid are answered. */
struct ctl *ctl_new(struct event_base *base, const char *run_path, ctl_answer_fn *answer, void *arg,
		    struct err *e);
struct ctl *ctl_free(struct ctl *c); /* removes the socket */

#endif
