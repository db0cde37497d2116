/* SPDX-License-Identifier: Apache-2.0 */
/* Everybody on the machine may connect here, so a connection is nobody's until its process, as the
 * kernel names it, is one that we wait for and its first packet has shown the token of its job.
 *
 * That packet is read by hand: what follows it belongs to whoever takes the connection.
 */
#include "core/agent/hostsock.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/ipc/ipc.h"
#include "core/ipc/listen.h"
#include "core/ipc/wire.h"

#define SOCKET_NAME "host.sock"
#define CALLERS_MAX 64u
#define CALLER_MS 5000
#define ACCEPT_AT_ONCE 16
#define SHORT_OF_MS 1000 /* no descriptors: the next look */

struct hostsock {
	struct event_base *base;
	struct event *event, *again;
	int dirfd, fd;
	char *path;
	struct list callers;
	unsigned count;
	struct hostsock_ops ops;
	void *arg;
};

/* One that has connected and said nothing yet. */
struct caller {
	struct list link;
	struct hostsock *sock;
	struct event *event;
	int fd;
	struct ucred who;
};

static void
caller_free(struct caller *c)
{
	list_remove(&c->link);
	c->sock->count--;
	event_free(c->event);
	mem_cleanup_fd(&c->fd);
	free(c);
}

static void
turn_away(const struct ucred *who, const char *why)
{
	log_warn("jobs", "a connection of process %ld, user %ld, to " SOCKET_NAME " is refused: %s",
		 (long)who->pid, (long)who->uid, why);
}

static int
read_hello(struct caller *c, json_t **ret, struct err *e)
{
	autofree char *text = xmalloc(IPC_PACKET_MAX + 1);
	ssize_t n = recv(c->fd, text, IPC_PACKET_MAX + 1, MSG_DONTWAIT);
	autojson json_t *m = NULL;
	const char *type = "";
	int r;

	if (n < 0)
		return err_set(e, -errno, "it cannot be read: %m");
	if (n == 0)
		return err_set(e, -EPIPE, "it hung up");
	m = json_parse(text, (size_t)n, "its first packet", e);
	if (!m)
		return -EPROTO;
	r = wire_check(WIRE_FROM_HOST, WIRE_NEW, m, &type, e);
	if (r < 0)
		return r;
	if (strcmp(type, "hello") != 0)
		return err_set(e, -EPROTO, "it does not say hello");
	*ret = json_incref(m);
	return 0;
}

static void
on_packet(evutil_socket_t fd, short what, void *arg)
{
	struct caller *c = arg;
	struct hostsock *s = c->sock;
	autojson json_t *hello = NULL;
	struct err e = {0, ""};
	int r = 0;

	(void)fd;
	if (what & EV_TIMEOUT)
		r = err_set(&e, -ETIMEDOUT, "it said nothing for 5 s");
	if (r == 0)
		r = read_hello(c, &hello, &e);
	if (r == -EAGAIN)
		return;
	if (r == 0)
		r = s->ops.back(s->arg, c->who.pid, c->fd, hello, &e);
	if (r == 0)
		c->fd = -1;
	else
		turn_away(&c->who, err_text(&e));
	caller_free(c);
}

static void
take_call(struct hostsock *s, int fd)
{
	const struct timeval limit = {CALLER_MS / 1000, 0};
	struct ucred who = {0, 0, 0};
	socklen_t len = sizeof(who);
	struct caller *c;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
	    !s->ops.waits(s->arg, who.pid)) {
		turn_away(&who, "no plugin host of that process is waited for");
		close(fd);
		return;
	}
	if (s->count >= CALLERS_MAX) {
		turn_away(&who, "too many have connected and said nothing yet");
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->sock = s;
	c->fd = fd;
	c->who = who;
	c->event = event_new(s->base, fd, EV_READ | EV_PERSIST, on_packet, c);
	event_add(c->event, &limit);
	list_append(&s->callers, &c->link);
	s->count++;
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct hostsock *s = arg;

	(void)fd;
	(void)what;
	event_add(s->event, NULL);
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct hostsock *s = arg;

	(void)what;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (one >= 0) {
			take_call(s, one);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			/* The connection stays there, and would wake us without end. */
			if (errno != EAGAIN) {
				event_del(s->event);
				event_add(s->again, &(struct timeval){SHORT_OF_MS / 1000, 0});
			}
			return;
		}
	}
}

struct hostsock *
hostsock_new(struct event_base *base, const char *run_path, const struct hostsock_ops *ops,
	     void *arg, struct err *e)
{
	struct hostsock *s = xcalloc(1, sizeof(*s));

	s->base = base;
	s->ops = *ops;
	s->arg = arg;
	s->fd = -1;
	s->path = xasprintf("%s/" SOCKET_NAME, run_path);
	list_init(&s->callers);
	s->dirfd = fs_make_dirs(run_path, 0711, e);
	if (s->dirfd >= 0)
		s->fd = ipc_listen(s->dirfd, SOCKET_NAME, 0666, e);
	if (s->fd < 0)
		return hostsock_free(s);
	s->again = evtimer_new(base, on_again, s);
	s->event = event_new(base, s->fd, EV_READ | EV_PERSIST, on_connection, s);
	event_add(s->event, NULL);
	return s;
}

struct hostsock *
hostsock_free(struct hostsock *s)
{
	if (!s)
		return NULL;
	while (!list_empty(&s->callers))
		caller_free(list_first(&s->callers, struct caller, link));
	if (s->event) {
		event_free(s->event);
		event_free(s->again);
		unlinkat(s->dirfd, SOCKET_NAME, 0);
	}
	mem_cleanup_fd(&s->fd);
	mem_cleanup_fd(&s->dirfd);
	free(s->path);
	free(s);
	return NULL;
}

const char *
hostsock_path(const struct hostsock *s)
{
	return s->path;
}
