/* SPDX-License-Identifier: Apache-2.0 */
/* Which proxy a URL goes through: configuration or environment, and the exceptions from it. */
#ifndef SSM_NET_PROXY_H
#define SSM_NET_PROXY_H

#include "core/base/err.h"
#include "core/net/url.h"

struct proxy_rules {
	char *http, *https; /* URLs with scheme, NULL: none. May hold a password: never logged. */
	char **except;	    /* entries of no_proxy */
};

/* PROXY for both schemes, "" none, NULL as the environment says (HTTP_PROXY, HTTPS_PROXY; upper
 * case wins). NO_PROXY NULL: the environment's. -EINVAL when the value is not usable. */
int proxy_rules_init(struct proxy_rules *p, const char *proxy, const char *no_proxy, struct err *e);
void proxy_rules_done(struct proxy_rules *p);
/* Borrowed proxy URL or NULL for a direct connection. Loopback and link-local addresses never have
 * one. */
const char *proxy_for(const struct proxy_rules *p, const struct url *u);

#endif
