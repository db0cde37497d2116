/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: libmicrohttpd on the sandbox's own loop, one thread. */
#ifndef SSM_SANDBOX_SERVER_H
#define SSM_SANDBOX_SERVER_H

#include <stdint.h>

#include "core/base/err.h"
#include "sdk/sandbox/sandbox.h"

/* Listen on 127.0.0.1, PORT 0 for a free one. NULL and an error when it cannot. */
struct server *server_open(struct sandbox *sb, uint16_t port, struct err *e);
struct server *server_free(struct server *s); /* cuts what is open; returns NULL */
uint16_t server_port(const struct server *s);
uint16_t server_tls_port(const struct server *s); /* 0: none */
/* One turn of loop and server. */
void server_run_once(struct server *s);
int64_t server_requests(const struct server *s);

#endif
