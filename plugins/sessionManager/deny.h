/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that a port session with a host of its own may not reach (spec 02 §7.2): compared
 * by value, an IPv4-mapped IPv6 address equals the IPv4 one. */
#ifndef SSM_SESSIONMANAGER_DENY_H
#define SSM_SESSIONMANAGER_DENY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

#define DENY_MAX 4096 /* addresses in one list */

struct sockaddr;
struct deny;

/* Of NULL-ended TEXTS; NULL: the usual ones (metadata, DNS, time, licences). 0, -EINVAL for what is
 * no address, -E2BIG. */
int deny_new(const char *const *texts, struct deny **ret, struct err *e);
struct deny *deny_free(struct deny *d); /* NULL; NULL is fine */

/* Of a network of the VPC, "10.0.0.0/16": its first four addresses and its last one, which are the
 * provider's. 0, -EINVAL, -E2BIG. */
int deny_add_network(struct deny *d, const char *cidr, struct err *e);

/* False also for what is neither IPv4 nor IPv6. */
bool deny_has(const struct deny *d, const struct sockaddr *a);

#endif
