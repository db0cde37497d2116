/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on SOCK_SEQPACKET. Plain recvmsg and sendmsg: a bufferevent would lose record borders.
 * A packet is the JSON object; member "body" is its body's length when the body comes as the first
 * descriptor (a sealed memfd), member "inline" the body itself when it is small text. */
#include "core/ipc/ipc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define INLINE_MAX 16384u /* a body up to here travels in the packet: escaped, it still fits */
#define SNDBUF_BYTES (256 * 1024)
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define READS_AT_ONCE 32

struct packet {
	struct list link;
	char *text;
	size_t len, weight;
	int fds[IPC_FDS_MAX + 1];
	size_t fd_count;
};

struct ipc {
	struct event *read_event, *write_event;
	int fd;
	struct list queue;
	size_t queued;
	bool ended, paused, in_call, freed;
	ipc_message_fn *message;
	ipc_end_fn *end;
	void *arg;
	char *buffer;
};

static void
packet_free(struct packet *p)
{
	list_remove(&p->link);
	for (size_t i = 0; i < p->fd_count; i++)
		close(p->fds[i]);
	free(p->text);
	free(p);
}

static void
really_free(struct ipc *c)
{
	list_each (it, tmp, &c->queue)
		packet_free(list_entry(it, struct packet, link));
	event_free(c->read_event);
	event_free(c->write_event);
	close(c->fd);
	free(c->buffer);
	free(c);
}

/* Freed from within one of its own callbacks, it lives on until that returns. */
struct ipc *
ipc_free(struct ipc *c)
{
	if (!c)
		return NULL;
	c->ended = true;
	if (c->in_call)
		c->freed = true;
	else
		really_free(c);
	return NULL;
}

static void
end(struct ipc *c, int err, const char *text)
{
	if (c->ended)
		return;
	c->ended = true;
	event_del(c->read_event);
	event_del(c->write_event);
	c->end(c->arg, err, text);
}

/* Above the ceiling we stop reading: the peer then cannot make us answer more. */
static void
watch_reading(struct ipc *c)
{
	if (c->ended)
		return;
	if (c->paused || c->queued > IPC_QUEUE_MAX)
		event_del(c->read_event);
	else
		event_add(c->read_event, NULL);
}

/* ------------------------------------------------------------- receiving */

struct received {
	ssize_t len;
	int flags;
	int fds[IPC_FDS_MAX + 1];
	size_t fd_count;
	bool too_many;
};

static void
close_fds(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mem_cleanup_fd(&fds[i]);
}

static void
take_fds(struct received *r, struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t n;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (r->fd_count < NELEMS(r->fds)) {
				r->fds[r->fd_count++] = fd;
			} else {
				close(fd);
				r->too_many = true;
			}
		}
	}
}

static void
receive(struct ipc *c, struct received *r)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * (IPC_FDS_MAX + 1))];
	} control;
	struct iovec iov = {c->buffer, IPC_PACKET_MAX};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.space,
			   .msg_controllen = sizeof(control.space)};

	memset(r, 0, sizeof(*r));
	do
		r->len = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (r->len < 0 && errno == EINTR);
	if (r->len < 0) {
		r->len = -errno;
		return;
	}
	r->flags = m.msg_flags;
	take_fds(r, &m);
}

/* Only a file that nobody can change any more, and read, never mapped: a mapping could fault. */
static int
read_body(int fd, size_t len, char **ret, struct err *e)
{
	autofree char *text = NULL;
	struct stat st;
	size_t done = 0;

	if (len > IPC_BODY_MAX)
		return err_set(e, -E2BIG, "a body of %zu bytes is over the limit of %u", len,
			       IPC_BODY_MAX);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size != len)
		return err_set(e, -EPROTO, "a body is not a memory file of the announced size");
	if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
		return err_set(e, -EPROTO, "a body is not sealed");
	text = try_malloc(len + 1);
	if (!text)
		return err_set(e, -ENOMEM, "no memory for a body of %zu bytes", len);
	while (done < len) {
		ssize_t n = pread(fd, text + done, len - done, (off_t)done);

		if (n <= 0)
			return err_set(e, -EPROTO, "a body cannot be read");
		done += (size_t)n;
	}
	text[len] = '\0';
	*ret = TAKE(text);
	return 0;
}

/* Body and descriptors of the object; the body's descriptor is the first one. */
static int
take_body(struct received *r, json_t *json, char **ret, size_t *ret_len, struct err *e)
{
	json_t *len = json_object_get(json, "body"), *text = json_object_get(json, "inline");
	int res;

	if (len) {
		if (!json_is_integer(len) || json_integer_value(len) < 0 || r->fd_count == 0)
			return err_set(e, -EPROTO, "a body without its descriptor");
		*ret_len = (size_t)json_integer_value(len);
		res = read_body(r->fds[0], *ret_len, ret, e);
		mem_cleanup_fd(&r->fds[0]);
		memmove(r->fds, r->fds + 1, sizeof(r->fds[0]) * --r->fd_count);
		json_object_del(json, "body");
		return res;
	}
	if (json_is_string(text)) {
		*ret_len = json_string_length(text);
		*ret = xmemdup(json_string_value(text), *ret_len);
		json_object_del(json, "inline");
	}
	return 0;
}

static int
deliver(struct ipc *c, struct received *r, struct err *e)
{
	struct ipc_message m = {NULL, NULL, 0, {-1, -1, -1}, 0};
	autofree char *body = NULL;
	autojson json_t *json = json_parse(c->buffer, (size_t)r->len, "a message", e);
	int res;

	if (!json)
		return -EPROTO;
	if (!json_is_object(json))
		return err_set(e, -EPROTO, "a message is not an object");
	res = take_body(r, json, &body, &m.body_len, e);
	if (res < 0)
		return res;
	if (r->fd_count > IPC_FDS_MAX)
		return err_set(e, -EPROTO, "a message with too many descriptors");
	m.json = json;
	m.body = body;
	m.fd_count = r->fd_count;
	memcpy(m.fds, r->fds, sizeof(int) * r->fd_count);
	res = c->message(c->arg, &m);
	memcpy(r->fds, m.fds, sizeof(int) * r->fd_count);
	return res < 0 ? err_set(e, res, "the message was refused: %s", strerror(-res)) : 0;
}

static void
read_one(struct ipc *c, bool *ret_more)
{
	struct err e = {0, ""};
	struct received r;
	int res = 0;

	*ret_more = false;
	receive(c, &r);
	/* ECONNRESET: what the peer had queued follows, then a clean end. */
	if (r.len == -EAGAIN || r.len == -ECONNRESET) {
		*ret_more = r.len == -ECONNRESET;
		return;
	}
	if (r.len < 0)
		end(c, (int)r.len, "the connection broke");
	else if (r.len == 0)
		end(c, 0, NULL);
	else if (r.too_many || (r.flags & (MSG_CTRUNC | MSG_TRUNC)))
		end(c, -EPROTO, "an oversized packet");
	else
		res = deliver(c, &r, &e);
	close_fds(r.fds, r.fd_count);
	if (res < 0)
		end(c, res, err_text(&e));
	*ret_more = !c->ended && !c->paused && c->queued <= IPC_QUEUE_MAX;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *c = arg;
	bool more = true;

	(void)fd;
	(void)what;
	c->in_call = true;
	for (int i = 0; more && i < READS_AT_ONCE; i++)
		read_one(c, &more);
	c->in_call = false;
	if (c->freed)
		really_free(c);
}

/* --------------------------------------------------------------- sending */

static ssize_t
send_packet(int fd, const struct packet *p)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * (IPC_FDS_MAX + 1))];
	} control;
	struct iovec iov = {p->text, p->len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (p->fd_count) {
		struct cmsghdr *h;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * p->fd_count);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int) * p->fd_count);
		memcpy(CMSG_DATA(h), p->fds, sizeof(int) * p->fd_count);
	}
	do
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* An error in sending is not the end: what the peer sent before it went may still be read. */
static void
flush_queue(struct ipc *c)
{
	while (!list_empty(&c->queue)) {
		struct packet *p = list_first(&c->queue, struct packet, link);
		ssize_t n = send_packet(c->fd, p);

		if (n == -EAGAIN || n == -ENOBUFS) {
			event_add(c->write_event, NULL);
			return;
		}
		c->queued -= p->weight;
		packet_free(p);
	}
	event_del(c->write_event);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *c = arg;

	(void)fd;
	(void)what;
	flush_queue(c);
	watch_reading(c);
}

int
ipc_memfd(const void *data, size_t len, struct err *e)
{
	autoclose int fd = memfd_create("ssm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return err_set(e, -errno, "cannot make a memory file: %m");
	r = fs_write_all(fd, data, len);
	if (r < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return err_set(e, r < 0 ? r : -errno, "cannot fill a memory file");
	return TAKE_FD(fd);
}

static bool
fits_inline(const void *body, size_t len)
{
	return len <= INLINE_MAX / 6 && text_utf8_valid(body, len);
}

static int
add_body(struct packet *p, json_t *json, const void *body, size_t len)
{
	int fd;

	if (fits_inline(body, len)) {
		json_object_set_new(json, "inline", json_stringn(body, len));
		return 0;
	}
	fd = ipc_memfd(body, len, NULL);
	if (fd < 0)
		return fd;
	p->fds[p->fd_count++] = fd;
	json_object_set_new(json, "body", json_integer((json_int_t)len));
	return 0;
}

static int
fill_packet(struct packet *p, json_t *json, const void *body, size_t len, const int *fds,
	    size_t fd_count)
{
	int r;

	if (len > IPC_BODY_MAX || fd_count > IPC_FDS_MAX)
		return -E2BIG;
	if (body && (r = add_body(p, json, body, len)) < 0)
		return r;
	for (size_t i = 0; i < fd_count; i++) {
		int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (copy < 0)
			return -errno;
		p->fds[p->fd_count++] = copy;
	}
	p->text = json_text(json);
	p->len = strlen(p->text);
	p->weight = p->len + len;
	return p->len > IPC_PACKET_MAX ? -E2BIG : 0;
}

int
ipc_send(struct ipc *c, json_t *json, const void *body, size_t len, const int *fds, size_t fd_count)
{
	autojson json_t *owned = json;
	struct packet *p;
	int r;

	if (c->ended)
		return -EPIPE;
	p = xcalloc(1, sizeof(*p));
	list_init(&p->link);
	r = fill_packet(p, owned, body, len, fds, fd_count);
	if (r < 0) {
		packet_free(p);
		return r;
	}
	list_append(&c->queue, &p->link);
	c->queued += p->weight;
	flush_queue(c);
	watch_reading(c);
	return 0;
}

/* ------------------------------------------------------------ connection */

struct ipc *
ipc_new(struct event_base *base, int fd, ipc_message_fn *message, ipc_end_fn *end_fn, void *arg)
{
	struct ipc *c = xcalloc(1, sizeof(*c));

	c->fd = fd;
	c->message = message;
	c->end = end_fn;
	c->arg = arg;
	c->buffer = xmalloc(IPC_PACKET_MAX + 1);
	list_init(&c->queue);
	fs_set_cloexec(fd, true);
	fs_set_nonblock(fd, true);
	c->read_event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->write_event = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	event_add(c->read_event, NULL);
	return c;
}

size_t
ipc_queued(const struct ipc *c)
{
	return c->queued;
}

void
ipc_pause(struct ipc *c, bool paused)
{
	c->paused = paused;
	watch_reading(c);
}

int
ipc_fd(const struct ipc *c)
{
	return c->fd;
}

int
ipc_pair(int ret_fds[2], struct err *e)
{
	int size = SNDBUF_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return err_set(e, -errno, "cannot make a socket pair: %m");
	for (int i = 0; i < 2; i++)
		setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}
