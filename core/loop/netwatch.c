/* SPDX-License-Identifier: Apache-2.0 */
/* An rtnetlink socket of which only the fact is used that something came. */
#include "core/loop/netwatch.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

#define SETTLE_MS 200

struct netwatch {
	struct event *event, *settle;
	int fd;
	netwatch_fn *fn;
	void *arg;
};

static void
on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *n = arg;

	(void)fd;
	(void)what;
	n->fn(n->arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *n = arg;
	struct timeval tv;
	char buffer[8192];
	ssize_t got;

	(void)what;
	/* ENOBUFS: more changes than fit, which is a change too. */
	do
		got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	while (got > 0 || (got < 0 && (errno == EINTR || errno == ENOBUFS)));
	if (evtimer_pending(n->settle, NULL))
		return;
	clock_timeval(SETTLE_MS, &tv);
	event_add(n->settle, &tv);
}

struct netwatch *
netwatch_new(struct event_base *base, netwatch_fn *fn, void *arg, struct err *e)
{
	struct netwatch *n = xcalloc(1, sizeof(*n));
	struct sockaddr_nl at = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};

	n->fn = fn;
	n->arg = arg;
	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (n->fd < 0 || bind(n->fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		err_set(e, -errno, "changes of the network cannot be watched: %m");
		return netwatch_free(n);
	}
	n->event = event_new(base, n->fd, EV_READ | EV_PERSIST, on_readable, n);
	n->settle = evtimer_new(base, on_settled, n);
	event_add(n->event, NULL);
	return n;
}

struct netwatch *
netwatch_free(struct netwatch *n)
{
	if (!n)
		return NULL;
	if (n->event)
		event_free(n->event);
	if (n->settle)
		event_free(n->settle);
	mem_cleanup_fd(&n->fd);
	free(n);
	return NULL;
}
