/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that is being made, to the first of some addresses that takes it. */
#ifndef SSM_SESSIONMANAGER_CONNECT_H
#define SSM_SESSIONMANAGER_CONNECT_H

#include <ssm_plugin.h>

#include "plugins/sessionManager/addresses.h"

#define CONNECT_MS 10000 /* for each address */

struct connecting;

/* FD is the connection, not blocking, the callee's own; or -errno, why the first address did not
 * take it (spec 02 §7.2). */
typedef void connect_done_fn(void *arg, int fd);

/* TO is borrowed until DONE, which is called once, never from within, and after which the handle is
 * gone. */
struct connecting *connect_start(struct ssm *S, const struct addresses *to, connect_done_fn *done,
				 void *arg);
struct connecting *connect_cancel(struct connecting *c); /* no DONE; NULL; NULL is fine */

#endif
