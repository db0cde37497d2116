/* SPDX-License-Identifier: Apache-2.0 */
/* Why the program's side is never opened here: a host leads a session and has no terminal, so the
 * first one it opened would become its own, and hang up on it. */
#include "core/host/pty.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"

#define TYPE_BYTES 4096 /* read from the caller's descriptor at once */

struct pty {
	struct event_base *base;
	int fd, from; /* our side; what is typed comes from there, or -1 */
	char path[64];
	struct event *writable, *readable;
	struct sbuf typed; /* not taken by the terminal yet */
};

static unsigned short
size_of(uint32_t n)
{
	return n > UINT16_MAX ? UINT16_MAX : (unsigned short)n;
}

int
pty_resize(struct pty *p, uint32_t cols, uint32_t rows)
{
	const struct winsize size = {.ws_col = size_of(cols), .ws_row = size_of(rows)};

	return ioctl(p->fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/* Erasing takes a whole character, also where the kernel does it. */
static int
set_utf8(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return -1;
	t.c_iflag |= IUTF8;
	return tcsetattr(fd, TCSANOW, &t);
}

struct pty *
pty_new(struct event_base *base, uint32_t cols, uint32_t rows, struct err *e)
{
	struct pty *p = xcalloc(1, sizeof(*p));

	p->base = base;
	p->from = -1;
	sbuf_init(&p->typed, SIZE_MAX);
	p->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (p->fd >= 0 && grantpt(p->fd) == 0 && unlockpt(p->fd) == 0 &&
	    ptsname_r(p->fd, p->path, sizeof(p->path)) == 0 && set_utf8(p->fd) == 0 &&
	    pty_resize(p, cols, rows) == 0)
		return p;
	(void)err_set(e, -errno, "cannot make a terminal: %m");
	return pty_free(p);
}

static void
drop(struct event **ev, int *fd)
{
	if (*ev)
		event_free(*ev);
	*ev = NULL;
	mem_cleanup_fd(fd);
}

struct pty *
pty_free(struct pty *p)
{
	if (!p)
		return NULL;
	drop(&p->readable, &p->from);
	drop(&p->writable, &p->fd);
	sbuf_wipe(&p->typed); /* may be a password */
	free(p);
	return NULL;
}

const char *
pty_path(const struct pty *p)
{
	return p->path;
}

int
pty_reader(const struct pty *p)
{
	int fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 4);

	return fd < 0 ? -errno : fd;
}

/* Either there is something to type, or more of it is read. */
static void
go_on(struct pty *p)
{
	if (p->typed.len)
		event_add(p->writable, NULL);
	else if (p->readable)
		event_add(p->readable, NULL);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct pty *p = arg;
	ssize_t n = write(fd, p->typed.p, p->typed.len);

	(void)what;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		drop(&p->readable, &p->from); /* nobody is there to read it */
		sbuf_wipe(&p->typed);
		return;
	}
	if (n > 0)
		sbuf_consume(&p->typed, (size_t)n);
	go_on(p);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pty *p = arg;
	ssize_t n = sbuf_read(&p->typed, fd, TYPE_BYTES);

	(void)what;
	if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
		drop(&p->readable, &p->from);
	go_on(p);
}

int
pty_type(struct pty *p, const void *data, size_t len, int fd, struct err *e)
{
	p->writable = event_new(p->base, p->fd, EV_WRITE, on_writable, p);
	if (len)
		sbuf_add(&p->typed, data, len);
	if (fd >= 0) {
		p->from = fcntl(fd, F_DUPFD_CLOEXEC, 4);
		if (p->from < 0)
			return err_set(e, -errno, "stdin_fd cannot be used: %m");
		p->readable = event_new(p->base, p->from, EV_READ, on_readable, p);
	}
	go_on(p);
	return 0;
}
