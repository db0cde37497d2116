/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3) without its library: one datagram for each thing said. */
#include "core/agent/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define STATUS_MAX 256
#define SEND_S 1 /* a manager that does not read must not hold the loop for long */

struct notify {
	struct sockaddr_un to;
	socklen_t to_len;
	int fd;
	struct event *watchdog;
	char status[STATUS_MAX];
};

/* ---------------------------------------------------------------- address */

/* "/run/systemd/notify", or "@name" for a name without a file. */
static int
set_address(struct notify *n, const char *name, struct err *e)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(n->to.sun_path))
		return err_set(e, -EINVAL, "NOTIFY_SOCKET '%.200s' is no usable name", name);
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, name, len + 1);
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
	if (name[0] == '@')
		n->to.sun_path[0] = '\0';
	return 0;
}

static int
open_socket(struct notify *n, struct err *e)
{
	const struct timeval wait = { SEND_S, 0 };

	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0)
		return err_set(e, -errno, "no socket for NOTIFY_SOCKET: %m");
	(void)setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return 0;
}

static int
say(struct notify *n, const char *text)
{
	size_t len = strlen(text);
	ssize_t sent;

	do
		sent = sendto(n->fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)&n->to,
			      n->to_len);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	log_warn("agent", "the service manager cannot be told '%.40s': %m", text);
	return -errno;
}

/* --------------------------------------------------------------- watchdog */

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)say(arg, "WATCHDOG=1");
}

/* 0: there is none, or it watches another process. */
static int64_t
watchdog_usec(void)
{
	const char *usec = secure_getenv("WATCHDOG_USEC"), *pid = secure_getenv("WATCHDOG_PID");
	int64_t value = 0, whose = getpid();

	if (pid && text_to_i64(pid, 1, INT32_MAX, &whose) < 0)
		return 0;
	if (!usec || whose != getpid() || text_to_i64(usec, 1, INT64_MAX / 2, &value) < 0)
		return 0;
	return value;
}

static void
start_watchdog(struct notify *n, struct event_base *base, int64_t usec)
{
	int64_t half = usec / 2 > 0 ? usec / 2 : 1;
	struct timeval tv = { .tv_sec = (time_t)(half / 1000000),
			      .tv_usec = (suseconds_t)(half % 1000000) };

	n->watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, n);
	(void)event_add(n->watchdog, &tv);
}

/* ----------------------------------------------------------------- object */

static void
forget_environment(void)
{
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

struct notify *
notify_new(struct event_base *base)
{
	const char *name = secure_getenv("NOTIFY_SOCKET");
	int64_t usec = watchdog_usec();
	struct err e = { 0, "" };
	struct notify *n = NULL;

	if (name && *name) {
		n = xcalloc(1, sizeof(*n));
		n->fd = -1;
		if (set_address(n, name, &e) < 0 || open_socket(n, &e) < 0) {
			log_warn("agent", "the service manager is told nothing: %s", err_text(&e));
			n = notify_free(n);
		}
	}
	if (n && usec > 0)
		start_watchdog(n, base, usec);
	forget_environment();
	return n;
}

struct notify *
notify_free(struct notify *n)
{
	if (!n)
		return NULL;
	if (n->watchdog)
		event_free(n->watchdog);
	mem_cleanup_fd(&n->fd);
	free(n);
	return NULL;
}

/* The watchdog runs from now on, too: its first meal is due at once. */
void
notify_ready(struct notify *n)
{
	if (!n)
		return;
	(void)say(n, "READY=1");
	if (n->watchdog)
		(void)say(n, "WATCHDOG=1");
}

void
notify_stopping(struct notify *n)
{
	if (n)
		(void)say(n, "STOPPING=1");
}

void
notify_status(struct notify *n, const char *fmt, ...)
{
	char text[STATUS_MAX];
	va_list ap;
	int len;

	if (!n)
		return;
	len = snprintf(text, sizeof(text), "STATUS=");
	va_start(ap, fmt);
	(void)vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, ap);
	va_end(ap);
	/* A newline would begin another assignment. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
	if (strcmp(text, n->status) != 0 && say(n, text) == 0)
		(void)snprintf(n->status, sizeof(n->status), "%s", text);
}
