/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: a request and an answer are a JSON object on a line each. */
#include "sdk/sandbox/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "sdk/sandbox/control_ops.h"

#define LINE_MAX_BYTES ((size_t)8 << 20)
#define OUT_MAX_BYTES ((size_t)256 << 20)

struct control {
	struct sandbox *sb;
	char *path;
	int fd;
	struct watch *watch;
	struct list clients;
	struct waits *waits;
};

struct client {
	struct control *control;
	struct list link;
	int fd;
	struct watch *watch;
	struct sbuf in, out;
};

static void
client_free(struct client *c)
{
	wait_forget(c->control->waits, c);
	list_remove(&c->link);
	events_unwatch(c->control->sb->ev, c->watch);
	close(c->fd);
	sbuf_done(&c->in);
	sbuf_done(&c->out);
	free(c);
}

/* What the socket takes now; the rest when it is writable. */
static void
flush(struct client *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.p, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break;
		sbuf_consume(&c->out, (size_t)n);
	}
	events_watch_mask(c->control->sb->ev, c->watch,
			  EPOLLIN | (c->out.len ? (uint32_t)EPOLLOUT : 0u));
}

void
control_answer(struct client *c, json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT);

	json_decref(answer);
	sbuf_adds(&c->out, text ? text : "{\"ok\":false,\"error\":\"not UTF-8\"}");
	sbuf_addc(&c->out, '\n');
	free(text);
	flush(c);
}

static void
run_line(struct client *c, const char *line, size_t len)
{
	struct err e = { 0 };
	autojson json_t *request = json_parse(line, len, "request", &e);
	json_t *answer = NULL;

	if (request)
		answer = control_run(c->control->sb, c, request, &e);
	if (!answer && e.code)
		answer = json_pack("{s:b, s:s}", "ok", 0, "error", err_text(&e));
	if (answer)
		control_answer(c, answer);
}

static void
run_lines(struct client *c)
{
	char *end;

	while (c->in.len && (end = memchr(c->in.p, '\n', c->in.len))) {
		size_t len = (size_t)(end - c->in.p);

		run_line(c, c->in.p, len);
		sbuf_consume(&c->in, len + 1);
	}
}

static void
on_client(void *arg, uint32_t revents)
{
	struct client *c = arg;

	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t n = sbuf_read(&c->in, c->fd, 65536);

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n <= 0) {
			client_free(c);
			return;
		}
		run_lines(c);
	}
	flush(c);
}

static void
on_connect(void *arg, uint32_t revents)
{
	struct control *control = arg;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)revents;
	if (fd < 0)
		return;
	c = xcalloc(1, sizeof(*c));
	c->control = control;
	c->fd = fd;
	sbuf_init(&c->in, LINE_MAX_BYTES);
	sbuf_init(&c->out, OUT_MAX_BYTES);
	list_append(&control->clients, &c->link);
	c->watch = events_watch(control->sb->ev, fd, EPOLLIN, on_client, c);
}

static int
listen_on(const char *path, struct err *e)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(where.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "the control socket '%s' has more than %zu characters; choose a "
			       "shorter --root",
			       path, sizeof(where.sun_path) - 1);
	memcpy(where.sun_path, path, strlen(path) + 1);
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&where, sizeof(where)) == 0 &&
	    chmod(path, 0600) == 0 && listen(fd, 16) == 0)
		return fd;
	err_set(e, -errno, "cannot listen on the control socket '%s': %m", path);
	if (fd >= 0)
		close(fd);
	return -EIO;
}

struct control *
control_open(struct sandbox *sb, const char *path, struct err *e)
{
	int fd = listen_on(path, e);
	struct control *c;

	if (fd < 0)
		return NULL;
	c = xcalloc(1, sizeof(*c));
	c->sb = sb;
	c->path = xstrdup(path);
	c->fd = fd;
	c->waits = waits_new();
	list_init(&c->clients);
	c->watch = events_watch(sb->ev, fd, EPOLLIN, on_connect, c);
	return c;
}

struct control *
control_free(struct control *c)
{
	if (!c)
		return NULL;
	list_each(it, tmp, &c->clients)
		client_free(list_entry(it, struct client, link));
	waits_free(c->sb, c->waits);
	events_unwatch(c->sb->ev, c->watch);
	close(c->fd);
	unlink(c->path);
	free(c->path);
	free(c);
	return NULL;
}

struct waits *
control_waits(struct control *c)
{
	return c ? c->waits : NULL;
}
