/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and the connections behind them. A connection reads only while its stream takes more. */
#include "plugins/sessionManager/mux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "plugins/sessionManager/connect.h"
#include "plugins/sessionManager/messages.h"
#include "plugins/sessionManager/smux.h"

#define READ_BYTES 16384

struct conn {
	struct smux_stream *stream;
	int fd;
	struct ssm_watch *watch;
	uint32_t events;
	struct connecting *connecting;
	bool eof_read, eof_sent, eof_came;
	struct sbuf held; /* read, and the stream had no room for it */
};

static struct {
	struct ssm *S;
	struct ssm_session *session;
	struct smux *smux;
	struct ssm_watch *timer;
	const struct addresses *to;
	unsigned untold; /* failures to connect */
	bool over;
} mux;

static void
want(struct conn *c, uint32_t events)
{
	if (c->watch && c->events != events)
		(void)mux.S->api->watch_set(mux.S, c->watch, events);
	c->events = events;
}

static void
hang_up(struct conn *c)
{
	c->connecting = connect_cancel(c->connecting);
	if (c->watch)
		mux.S->api->watch_end(mux.S, TAKE(c->watch));
	mem_cleanup_fd(&c->fd);
}

/* The client is told that there was one, not which (spec 02 §7.4). */
static void
tell_failures(void)
{
	autosbuf struct sbuf b = SBUF_INIT(16);

	(void)message_write_flag(FLAG_CONNECT_TO_PORT_ERROR, &b);
	while (mux.untold > 0 && mux.S->api->session_send(mux.S, mux.session, PAYLOAD_FLAG, b.p,
							  b.len) != -EAGAIN)
		mux.untold--;
}

/* What is held goes first; then more is read. */
static void
give(struct conn *c)
{
	ssize_t n = c->held.len
		? smux_stream_write(c->stream, c->held.p, c->held.len) : 0;

	if (n > 0)
		sbuf_consume(&c->held, (size_t)n);
	if (c->held.len > 0) {
		want(c, c->events & ~SSM_READ);
		return;
	}
	if (c->eof_read && !c->eof_sent) {
		c->eof_sent = true;
		smux_stream_finish(c->stream);
	} else if (!c->eof_read) {
		want(c, c->events | SSM_READ);
	}
}

static void
take(struct conn *c)
{
	ssize_t n = sbuf_read(&c->held, c->fd, READ_BYTES);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n < 0) {
		smux_stream_close(c->stream);
		return;
	}
	if (n == 0) {
		c->eof_read = true;
		want(c, c->events & ~SSM_READ);
	}
	give(c);
}

static int32_t
on_socket(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	struct conn *c = arg;

	(void)S;
	(void)w;
	(void)fd;
	if (events & SSM_WRITE) {
		want(c, c->events & ~SSM_WRITE);
		smux_stream_ready(c->stream); /* may be the end of C */
		return 0;
	}
	take(c);
	return 0;
}

static int
use(struct conn *c, int fd)
{
	const struct ssm_watch_on on = { .size = sizeof(on),
					 .fd_fn = on_socket,
					 .arg = c,
					 .fd = fd,
					 .events = SSM_READ };

	c->fd = fd;
	c->events = SSM_READ;
	return mux.S->api->watch(mux.S, &on, &c->watch);
}

static void
on_connected(void *arg, int fd)
{
	struct conn *c = arg;

	c->connecting = NULL;
	if (fd < 0 || use(c, fd) < 0) {
		/* Where to is a parameter of the document, and not told. */
		ssm_log(mux.S, SSM_WARN, "a connection of the session was not made: %s",
			strerror(fd < 0 ? -fd : EBADF));
		mux.untold++;
		tell_failures();
		smux_stream_close(c->stream);
		return;
	}
	if (c->eof_came)
		(void)shutdown(fd, SHUT_WR);
	smux_stream_ready(c->stream);
}

/* ---------------------------------------------------------------- streams */

static size_t
on_send(void *arg, const void *p, size_t len)
{
	(void)arg;
	if (mux.S->api->session_send(mux.S, mux.session, PAYLOAD_OUTPUT, p, len) >= 0)
		return len;
	return 0;
}

static void
on_opened(void *arg, struct smux_stream *stream)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	(void)arg;
	c->stream = stream;
	c->fd = -1;
	sbuf_init(&c->held, 2 * READ_BYTES);
	smux_stream_set(stream, c);
	c->connecting = connect_start(mux.S, mux.to, on_connected, c);
}

static ssize_t
on_data(void *arg, struct smux_stream *stream, const void *p, size_t len)
{
	struct conn *c = smux_stream_user(stream);
	ssize_t n;

	(void)arg;
	if (c->fd < 0)
		return 0;
	n = send(c->fd, p, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (n < (ssize_t)len)
		want(c, c->events | SSM_WRITE);
	return n < 0 ? 0 : n;
}

static void
on_eof(void *arg, struct smux_stream *stream)
{
	struct conn *c = smux_stream_user(stream);

	(void)arg;
	c->eof_came = true;
	if (c->fd >= 0)
		(void)shutdown(c->fd, SHUT_WR);
}

static void
on_writable(void *arg, struct smux_stream *stream)
{
	(void)arg;
	give(smux_stream_user(stream));
}

static void
on_gone(void *arg, struct smux_stream *stream)
{
	struct conn *c = smux_stream_user(stream);

	(void)arg;
	hang_up(c);
	sbuf_done(&c->held);
	free(c);
}

static void
on_readable(void *arg)
{
	(void)arg;
	(void)mux.S->api->session_send(mux.S, mux.session, PAYLOAD_OUTPUT, NULL, 0);
}

static int32_t
on_time(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct err e = { 0, "" };

	(void)w;
	(void)arg;
	mux.timer = NULL;
	if (smux_timer(mux.smux, &e) >= 0 || mux.over)
		return 0;
	mux.over = true;
	(void)S->api->session_end(S, mux.session, SSM_FAILED, err_text(&e));
	return 0;
}

static void
on_timer(void *arg, int64_t after_ms)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .timer_fn = on_time, .after_ms = after_ms
	};

	(void)arg;
	if (mux.timer)
		mux.S->api->watch_end(mux.S, TAKE(mux.timer));
	(void)mux.S->api->watch(mux.S, &on, &mux.timer);
}

static const struct smux_ops ops = { on_send, on_opened,   on_data, on_eof,
				     on_writable, on_gone, on_readable, on_timer };

/* ---------------------------------------------------------------- session */

void
mux_open(struct ssm *S, struct ssm_session *s, const struct addresses *to, bool keep_alive)
{
	mux.S = S;
	mux.session = s;
	mux.to = to;
	mux.smux = smux_new(&ops, NULL, keep_alive);
}

void
mux_close(struct ssm *S, struct ssm_session *s)
{
	if (mux.over)
		return;
	mux.over = true;
	if (mux.timer)
		S->api->watch_end(S, TAKE(mux.timer));
	(void)S->api->session_end(S, s, SSM_SUCCESS, "");
}

int32_t
mux_input(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data, size_t len)
{
	struct err e = { 0, "" };
	uint32_t flag = 0;
	int r;

	if (mux.over)
		return 0;
	if (payload_type == PAYLOAD_FLAG &&
	    message_read_flag((struct span){ data, len }, &flag, NULL) == 0 &&
	    flag == FLAG_TERMINATE_SESSION)
		mux_close(S, s);
	if (payload_type != PAYLOAD_OUTPUT || mux.over)
		return 0;
	r = smux_read(mux.smux, data, len, &e);
	if (r >= 0 || r == -EAGAIN)
		return r;
	mux.over = true;
	(void)S->api->session_end(S, s, SSM_FAILED, err_text(&e));
	return 0;
}

int32_t
mux_writable(struct ssm *S, struct ssm_session *s)
{
	(void)S;
	(void)s;
	if (mux.over)
		return 0;
	tell_failures();
	smux_writable(mux.smux);
	return 0;
}
