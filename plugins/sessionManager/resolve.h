/* SPDX-License-Identifier: Apache-2.0 */
/* All addresses of a name, without waiting: a name service that hangs holds up a process that does
 * nothing else (ssm-plugin-host --addresses NAME), and that for a few seconds only. */
#ifndef SSM_SESSIONMANAGER_RESOLVE_H
#define SSM_SESSIONMANAGER_RESOLVE_H

#include <ssm_plugin.h>
#include <stdint.h>

#include "plugins/sessionManager/addresses.h"

#define RESOLVE_MS 5000
#define RESOLVE_NAME_MAX 255

struct resolve;

/* FOUND has at least one address when RESULT is 0, else TEXT says why there is none. */
typedef void resolve_done_fn(void *arg, int result, const struct addresses *found,
			     const char *text);

/* DONE is called once, never from within, after which the handle is gone. NULL: it could not even
 * be begun. */
struct resolve *resolve_start(struct ssm *S, const char *name, uint16_t port, resolve_done_fn *done,
			      void *arg);
struct resolve *resolve_cancel(struct resolve *r); /* DONE is not called; NULL; NULL is fine */

#endif
