/* SPDX-License-Identifier: Apache-2.0 */
/* The server's end of a WebSocket: every rule that binds a client is checked. */
#include "sdk/sandbox/wsend.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/digest.h"
#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define IN_MAX (1u << 20)
#define OUT_MAX (16u << 20)
#define OUT_LOW (256u << 10) /* less than that waits: drained */
#define MAGIC "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum {
	OP_MORE,
	OP_TEXT,
	OP_BINARY,
	OP_CLOSE = 8,
	OP_PING,
	OP_PONG
};

struct wsend {
	struct sandbox *sb;
	struct upgraded *conn;
	int fd;
	struct watch *watch;
	const struct wsend_ops *ops;
	void *arg;
	struct sbuf in, out;
	size_t used; /* of IN */
	uint32_t mask;
	bool muted, held, dead, reading;
	unsigned depth;
};

static void on_io(void *arg, uint32_t revents);

/* ---- out ---- */

static void
update(struct wsend *w)
{
	uint32_t mask = (w->muted || w->held ? 0u : EPOLLIN) |
		(w->out.len && !w->muted ? EPOLLOUT : 0u);

	if (mask != w->mask)
		events_watch_mask(w->sb->ev, w->watch, mask);
	w->mask = mask;
}

static void
flush(struct wsend *w)
{
	while (w->out.len && !w->muted) {
		ssize_t n = send(w->fd, w->out.p, w->out.len, MSG_NOSIGNAL);

		if (n <= 0)
			break; /* the end shows when reading */
		sbuf_consume(&w->out, (size_t)n);
	}
	update(w);
}

/* Sent in the loop's next turn, with all that comes until then. */
static void
send_frame(struct wsend *w, int op, const void *data, size_t len)
{
	int shift;

	(void)sbuf_addc(&w->out, (char)(0x80 | op));
	if (len < 126) {
		(void)sbuf_addc(&w->out, (char)len);
		shift = 0;
	} else {
		(void)sbuf_addc(&w->out, len < 65536 ? 126 : 127);
		shift = len < 65536 ? 16 : 64;
	}
	while (shift) {
		shift -= 8;
		(void)sbuf_addc(&w->out, (char)((uint64_t)len >> shift));
	}
	(void)sbuf_add(&w->out, data, len);
	update(w);
}

void
wsend_message(struct wsend *w, bool text, const void *data, size_t len)
{
	send_frame(w, text ? OP_TEXT : OP_BINARY, data, len);
}

void
wsend_mute(struct wsend *w)
{
	w->muted = true;
	update(w);
}

/* ---- the end ---- */

static void
finish(struct wsend *w)
{
	events_unwatch(w->sb->ev, w->watch);
	sbuf_done(&w->in);
	sbuf_done(&w->out);
	exchange_end_upgraded(w->conn);
	free(w);
}

static void
leave(struct wsend *w)
{
	if (--w->depth == 0 && w->dead)
		finish(w);
}

void
wsend_close(struct wsend *w, unsigned code, const char *reason, bool reset)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	char body[126];
	int n = snprintf(body + 2, sizeof(body) - 2, "%s", reason ? reason : "");

	if (w->dead)
		return;
	body[0] = (char)(code >> 8);
	body[1] = (char)code;
	if (code)
		send_frame(w, OP_CLOSE, body, (size_t)(n < 120 ? n : 120) + 2);
	flush(w);
	if (reset)
		(void)connect(w->fd, &nowhere, sizeof(nowhere));
	w->dead = true;
	w->depth++;
	leave(w);
}

static void
broken(struct wsend *w, unsigned code, const char *why)
{
	if (w->dead)
		return;
	w->ops->closed(w->arg, why);
	wsend_close(w, code, why, false);
}

/* ---- in ---- */

static void
take_frame(struct wsend *w, int op, const char *data, size_t len)
{
	switch (op) {
	case OP_TEXT:
	case OP_BINARY:
		w->ops->message(w->arg, op == OP_TEXT, data, len);
		break;
	case OP_PING:
		send_frame(w, OP_PONG, data, len);
		if (w->ops->ping)
			w->ops->ping(w->arg, data, len);
		break;
	case OP_PONG:
		break;
	case OP_CLOSE:
		broken(w, 1000, "the client closed");
		break;
	default:
		broken(w, 1002, "an opcode that does not exist, or a part of a message");
		break;
	}
}

/* Bytes of the length behind the first two. */
static size_t
length_bytes(const unsigned char *p)
{
	return (p[1] & 0x7f) == 126 ? 2 : (p[1] & 0x7f) == 127 ? 8 : 0;
}

static size_t
get_length(const unsigned char *p)
{
	size_t bytes = length_bytes(p);
	uint64_t len = bytes ? 0 : p[1] & 0x7f;

	for (size_t i = 0; i < bytes; i++)
		len = len << 8 | p[2 + i];
	return len > IN_MAX ? IN_MAX : (size_t)len;
}

/* The next whole frame out of what came; false: more is needed. */
static bool
read_frame(struct wsend *w)
{
	size_t left = w->in.len - w->used, head, len;
	unsigned char *p;

	if (left < 2)
		return false;
	p = (unsigned char *)w->in.p + w->used;
	if (p[0] & 0x70 || !(p[0] & 0x80) || !(p[1] & 0x80)) {
		broken(w, 1002, "a frame that is reserved, in parts or not masked");
		return false;
	}
	head = 2 + length_bytes(p) + 4;
	if (left < head)
		return false;
	len = get_length(p);
	if (len >= IN_MAX - head) {
		broken(w, 1009, "a frame that is too large");
		return false;
	}
	if (left < head + len)
		return false;
	for (size_t i = 0; i < len; i++)
		p[head + i] ^= p[head - 4 + i % 4];
	w->used += head + len;
	take_frame(w, p[0] & 0xf, (const char *)p + head, len);
	return !w->dead && !w->muted && !w->held;
}

/* All that came; who is called from here has its bytes until it returns. */
static void
read_frames(struct wsend *w)
{
	if (w->reading)
		return;
	w->reading = true;
	while (read_frame(w))
		;
	w->reading = false;
	sbuf_consume(&w->in, w->used);
	w->used = 0;
}

size_t
wsend_waiting(const struct wsend *w)
{
	return w->out.len;
}

void
wsend_hold(struct wsend *w, bool hold)
{
	if (w->dead || w->held == hold)
		return;
	w->held = hold;
	update(w);
	w->depth++;
	if (!w->held)
		read_frames(w);
	leave(w);
}

/* The other side takes bytes again. */
static void
on_room(struct wsend *w)
{
	size_t before = w->out.len;

	flush(w);
	if (before > OUT_LOW && w->out.len <= OUT_LOW && w->ops->drained)
		w->ops->drained(w->arg);
}

static void
on_io(void *arg, uint32_t revents)
{
	struct wsend *w = arg;
	char block[65536];
	ssize_t n;

	w->depth++;
	if (revents & EPOLLOUT)
		on_room(w);
	if (revents & ~(uint32_t)EPOLLOUT && !w->muted && !w->held && !w->dead) {
		n = recv(w->fd, block, sizeof(block), MSG_DONTWAIT);
		if (n > 0 && sbuf_add(&w->in, block, (size_t)n) == 0) {
			read_frames(w);
		} else if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
			broken(w, 0, "the connection is gone");
		}
	} else if (revents & (EPOLLHUP | EPOLLERR)) {
		broken(w, 0, "the connection is gone");
	}
	leave(w);
}

/* ---- the upgrade ---- */

static bool
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (; list && *list; list += strcspn(list, ","), list += *list == ',') {
		list += strspn(list, " \t");
		if (strncasecmp(list, word, len) == 0 && strcspn(list, ", \t") == len)
			return true;
	}
	return false;
}

/* An offer of extensions is not taken up. The node makes none (spec 02 §1.1). */
static bool
is_upgrade(const struct exchange *ex, bool may_offer)
{
	static const char *const once[] = { "host", "upgrade", "sec-websocket-key",
					    "sec-websocket-version" };
	const char *version = exchange_header(ex, "sec-websocket-version");
	const char *key = exchange_header(ex, "sec-websocket-key");
	autofree unsigned char *raw = NULL;
	size_t len = 0;

	for (size_t i = 0; i < NELEMS(once); i++)
		if (exchange_header_count(ex, once[i]) != 1)
			return false;
	return has_word(exchange_header(ex, "upgrade"), "websocket") &&
		has_word(exchange_header(ex, "connection"), "upgrade") &&
		strcmp(version, "13") == 0 && text_unbase64(key, &raw, &len) == 0 && len == 16 &&
		(may_offer || !exchange_header(ex, "sec-websocket-extensions")) &&
		!exchange_header(ex, "sec-websocket-protocol");
}

static void
on_upgraded(struct exchange *ex, struct upgraded *conn, int fd, const void *more, size_t len)
{
	struct wsend *w = xcalloc(1, sizeof(*w));
	const int on = 1;

	w->sb = ex->sb;
	w->conn = conn;
	w->fd = fd;
	w->ops = ex->upgrade_arg;
	sbuf_init(&w->in, 2 * IN_MAX);
	sbuf_init(&w->out, OUT_MAX);
	(void)fs_set_nonblock(fd, true);
	/* Small messages must not wait for the acknowledgement of others. A pair of sockets, as
	 * with TLS, does not know the option. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	w->mask = EPOLLIN;
	w->watch = events_watch(ex->sb->ev, fd, w->mask, on_io, w);
	(void)sbuf_add(&w->in, more, len);
	w->depth++;
	w->arg = w->ops->opened(ex, w);
	if (!w->arg)
		w->dead = true;
	if (!w->dead)
		read_frames(w);
	leave(w);
}

void
wsend_accept(struct exchange *ex, const struct wsend_ops *ops)
{
	autofree char *text = NULL, *accept = NULL;
	unsigned char digest[DIGEST_SHA1_SIZE];

	if (!is_upgrade(ex, ops->may_offer)) {
		exchange_refuse(ex, 400, "BadRequestException",
				"this is no upgrade to a WebSocket of version 13");
		return;
	}
	text = xasprintf("%s" MAGIC, exchange_header(ex, "sec-websocket-key"));
	digest_sha1(text, strlen(text), digest);
	accept = text_base64(digest, sizeof(digest));
	exchange_upgrade(ex, accept, on_upgraded, ops);
}
