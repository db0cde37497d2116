/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of links, addresses and routes, by rtnetlink. */
#ifndef SSM_LOOP_NETWATCH_H
#define SSM_LOOP_NETWATCH_H

#include "core/base/err.h"

struct event_base;
struct netwatch;
typedef void netwatch_fn(void *arg);

/* FN once per burst of changes (200 ms after the first). NULL with E where there is no netlink. */
struct netwatch *netwatch_new(struct event_base *base, netwatch_fn *fn, void *arg, struct err *e);
struct netwatch *netwatch_free(struct netwatch *n);

#endif
