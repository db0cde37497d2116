/* SPDX-License-Identifier: Apache-2.0 */
/* Only the thread of the loop may log and send. Others put their lines, each a datagram, into a
 * socket that it reads: no lock, and a full socket costs lines, not time. While the handler
 * computes, they wait there for its next line or the next turn of the loop. */
#include "core/host/lines.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/mem.h"

#define TEXT_MAX 4096u
#define SITES 128u

/* The pointers are good on both ends: it is one process. */
struct head {
	int32_t level;
	const char *component, *fmt;
};

/* A call of the plugin is known by its format, which is a literal as a rule. */
struct site {
	const char *fmt;
	struct log_site site;
};

struct lines {
	pid_t owner; /* a thread */
	int fds[2];  /* written, read */
	unsigned dropped;
	struct event *event;
	struct site sites[SITES];
};

static pid_t
this_thread(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static struct log_site *
site_of(struct lines *l, const char *fmt)
{
	struct site *s = &l->sites[((uintptr_t)fmt >> 2) % SITES];

	if (s->fmt != fmt)
		*s = (struct site){fmt, {0, 0, 0}};
	return &s->site;
}

void
lines_flush(struct lines *l)
{
	char text[TEXT_MAX + 1];
	struct head head;
	struct iovec iov[] = {{&head, sizeof(head)}, {text, TEXT_MAX}};
	unsigned dropped;
	ssize_t n;

	while ((n = readv(l->fds[1], iov, 2)) >= (ssize_t)sizeof(head)) {
		text[(size_t)n - sizeof(head)] = '\0';
		log_write(site_of(l, head.fmt), (enum log_level)head.level, head.component, "%s",
			  text);
	}
	dropped = __atomic_exchange_n(&l->dropped, 0, __ATOMIC_RELAXED);
	if (dropped)
		log_warn("host", "%u lines of other threads were left out", dropped);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	lines_flush(arg);
}

__attribute__((format(printf, 4, 0))) static void
leave(struct lines *l, int32_t level, const char *component, const char *fmt, va_list ap)
{
	int saved = errno;
	autofree char *text = xvasprintf(fmt, ap);
	struct head head = {level, component, fmt};
	size_t len = strlen(text);
	struct iovec iov[] = {{&head, sizeof(head)}, {text, len < TEXT_MAX ? len : TEXT_MAX}};

	if (writev(l->fds[0], iov, 2) < 0)
		__atomic_add_fetch(&l->dropped, 1, __ATOMIC_RELAXED);
	errno = saved;
}

void
lines_write(struct lines *l, int32_t level, const char *component, const char *fmt, va_list ap)
{
	if (level > (int32_t)log_get_level())
		return;
	if (this_thread() != l->owner) {
		leave(l, level, component, fmt, ap);
		return;
	}
	lines_flush(l);
	log_vwrite(site_of(l, fmt), (enum log_level)level, component, fmt, ap);
}

struct lines *
lines_new(struct event_base *base)
{
	struct lines *l = xcalloc(1, sizeof(*l));

	l->owner = this_thread();
	/* Without it the lines of other threads are lost, and nothing else. */
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, l->fds) < 0) {
		l->fds[0] = l->fds[1] = -1;
		return l;
	}
	l->event = event_new(base, l->fds[1], EV_READ | EV_PERSIST, on_readable, l);
	event_add(l->event, NULL);
	return l;
}

struct lines *
lines_free(struct lines *l)
{
	if (!l)
		return NULL;
	lines_flush(l);
	if (l->event)
		event_free(l->event);
	mem_cleanup_fd(&l->fds[0]);
	mem_cleanup_fd(&l->fds[1]);
	free(l);
	return NULL;
}
