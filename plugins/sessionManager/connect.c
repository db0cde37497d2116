/* SPDX-License-Identifier: Apache-2.0 */
/* One address after the other, each with its time. */
#include "plugins/sessionManager/connect.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/mem.h"

struct connecting {
	struct ssm *S;
	const struct addresses *to;
	size_t next;
	int fd, first_error;
	struct ssm_watch *socket, *timer;
	connect_done_fn *done;
	void *arg;
};

static void
drop(struct connecting *c)
{
	if (c->socket)
		c->S->api->watch_end(c->S, TAKE(c->socket));
	if (c->timer)
		c->S->api->watch_end(c->S, TAKE(c->timer));
	mem_cleanup_fd(&c->fd);
}

struct connecting *
connect_cancel(struct connecting *c)
{
	if (!c)
		return NULL;
	drop(c);
	free(c);
	return NULL;
}

static void
finish(struct connecting *c, int result)
{
	connect_done_fn *done = c->done;
	void *arg = c->arg;

	(void)connect_cancel(c);
	done(arg, result);
}

static void try_next(struct connecting *c);

static void
failed(struct connecting *c, int error)
{
	if (!c->first_error)
		c->first_error = error;
	drop(c);
	try_next(c);
}

static int32_t
on_late(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct connecting *c = arg;

	(void)S;
	(void)w;
	c->timer = NULL;
	failed(c, -ETIMEDOUT);
	return 0;
}

static int32_t
on_socket(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	struct connecting *c = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)S;
	(void)w;
	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		failed(c, -error);
	else
		finish(c, TAKE_FD(c->fd));
	return 0;
}

static int
begin(struct connecting *c, const struct sockaddr_storage *a)
{
	struct ssm_watch_on on = {
		.size = sizeof(on), .fd_fn = on_socket, .arg = c, .events = SSM_WRITE
	};

	c->fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	if (connect(c->fd, (const struct sockaddr *)a, addresses_len(a)) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	on.fd = c->fd;
	return c->S->api->watch(c->S, &on, &c->socket);
}

static void
after(struct connecting *c, ssm_timer_fn *fn, int64_t ms)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .timer_fn = fn, .arg = c, .after_ms = ms
	};

	(void)c->S->api->watch(c->S, &on, &c->timer);
}

/* An error that came at once is told from the loop, too. */
static int32_t
on_none_left(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct connecting *c = arg;

	(void)S;
	(void)w;
	c->timer = NULL;
	finish(c, c->first_error ? c->first_error : -EDESTADDRREQ);
	return 0;
}

static void
try_next(struct connecting *c)
{
	while (c->next < c->to->count) {
		int r = begin(c, &c->to->v[c->next++]);

		if (r >= 0) {
			after(c, on_late, CONNECT_MS);
			return;
		}
		if (!c->first_error)
			c->first_error = r;
		drop(c);
	}
	after(c, on_none_left, 0);
}

struct connecting *
connect_start(struct ssm *S, const struct addresses *to, connect_done_fn *done, void *arg)
{
	struct connecting *c = xcalloc(1, sizeof(*c));

	c->S = S;
	c->to = to;
	c->fd = -1;
	c->done = done;
	c->arg = arg;
	try_next(c);
	return c;
}
