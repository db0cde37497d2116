/* SPDX-License-Identifier: Apache-2.0 */
/* What a host prints: a file on the run folder that never breaks, never fills, never blocks. */
#ifndef SSM_AGENT_HOSTLOG_H
#define SSM_AGENT_HOSTLOG_H

#include <stdint.h>

#include "core/base/err.h"

struct hostlog;

#define HOSTLOG_MAX (256 * 1024) /* cut above */
#define HOSTLOG_TAIL 2048	 /* kept of it */

/* Where it finds no room, it is in memory and an agent after us does not find it. */
struct hostlog *hostlog_new(const char *run_path, const char *job_id, struct err *e);
/* The file of a host that an agent before us has started; NULL when it is not there. */
struct hostlog *hostlog_reopen(const char *run_path, const char *job_id);
struct hostlog *hostlog_free(struct hostlog *l);   /* the file stays: its host lives on */
struct hostlog *hostlog_remove(struct hostlog *l); /* the file too */
int hostlog_fd(const struct hostlog *l);	   /* O_APPEND */
/* Cut it if it has grown too large; how long to wait until the next look, in ms. */
int64_t hostlog_check(struct hostlog *l);
/* Its last bytes. Caller frees; "" when there are none. */
char *hostlog_tail(const struct hostlog *l);

#endif
