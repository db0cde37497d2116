/* SPDX-License-Identifier: Apache-2.0 */
/* One run of `ssm-plugin-host --describe FILE`: the descriptor as JSON, or why there is none. */
#ifndef SSM_AGENT_DESCRIBE_H
#define SSM_AGENT_DESCRIBE_H

#include <jansson.h>

#include "core/base/err.h"

struct event_base;
struct describe;
/* DESCRIPTOR (borrowed) or NULL with the reason. Called once; the run is freed before the call. */
typedef void describe_fn(void *arg, json_t *descriptor, const char *reason);

/* FD: the plugin's file, which the caller checked and keeps; -1 for a list of what the host program
 * itself carries, DESCRIPTOR being an array then. At most 5 s and 1 MiB of output. NULL
 * with E when the host cannot be started. */
struct describe *describe_start(struct event_base *base, const char *host_path, int fd,
				describe_fn *done, void *arg, struct err *e);
struct describe *describe_free(struct describe *d); /* ends the process; no callback */

#endif
