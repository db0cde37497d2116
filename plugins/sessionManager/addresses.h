/* SPDX-License-Identifier: Apache-2.0 */
/* Where the connections of a port session go: addresses with their port, in the order in which they
 * are tried. */
#ifndef SSM_SESSIONMANAGER_ADDRESSES_H
#define SSM_SESSIONMANAGER_ADDRESSES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESSES_MAX 64

struct addresses {
	struct sockaddr_storage v[ADDRESSES_MAX];
	size_t count;
};

/* An address in figures, of IPv6 perhaps with a zone; the name service is not asked. 0, -EINVAL,
 * -E2BIG. */
int addresses_add(struct addresses *a, const char *text, uint16_t port);
/* One a line; -EINVAL also when there is none. More than ADDRESSES_MAX are passed over. */
int addresses_read(struct addresses *a, const char *lines, uint16_t port);
void addresses_add_loopback(struct addresses *a, uint16_t port); /* of this node, IPv4 first */
socklen_t addresses_len(const struct sockaddr_storage *one);

#endif
