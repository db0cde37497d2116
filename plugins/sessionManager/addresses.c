/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in figures, as sockets want them. */
#include "plugins/sessionManager/addresses.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "core/base/mem.h"

socklen_t
addresses_len(const struct sockaddr_storage *one)
{
	return one->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void
set_port(struct sockaddr_storage *one, uint16_t port)
{
	if (one->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)one)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)(void *)one)->sin6_port = htons(port);
}

/* By the resolver, which also knows zones, and IPv4 in fewer than four figures. */
int
addresses_add(struct addresses *a, const char *text, uint16_t port)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	if (a->count == ADDRESSES_MAX)
		return -E2BIG;
	if (getaddrinfo(text, NULL, &hints, &found) != 0)
		return -EINVAL;
	memcpy(&a->v[a->count], found->ai_addr, found->ai_addrlen);
	set_port(&a->v[a->count++], port);
	freeaddrinfo(found);
	return 0;
}

int
addresses_read(struct addresses *a, const char *lines, uint16_t port)
{
	size_t before = a->count;

	while (*lines) {
		size_t len = strcspn(lines, "\n");
		autofree char *line = xstrndup(lines, len);
		int r = len > 0 ? addresses_add(a, line, port) : 0;

		if (r == -EINVAL)
			return r;
		lines += len + (lines[len] != 0);
	}
	return a->count > before ? 0 : -EINVAL;
}

void
addresses_add_loopback(struct addresses *a, uint16_t port)
{
	(void)addresses_add(a, "127.0.0.1", port);
	(void)addresses_add(a, "::1", port);
}
