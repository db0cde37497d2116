/* SPDX-License-Identifier: Apache-2.0 */
/* A connection, its bytes both ways. */
#include "plugins/sessionManager/basic.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "plugins/sessionManager/connect.h"
#include "plugins/sessionManager/messages.h"

#define READ_BYTES 16384

static struct {
	struct ssm *S;
	struct ssm_session *session;
	const struct addresses *to;
	bool again, over;
	struct connecting *connecting;
	int fd;
	struct ssm_watch *watch;
	char held[READ_BYTES]; /* read, and the session had no room for it */
	size_t held_len;
	size_t written; /* of a message that did not go out whole, for want of: */
	bool wants_room;
} basic = { .fd = -1 };

static void
hang_up(void)
{
	basic.connecting = connect_cancel(basic.connecting);
	if (basic.watch)
		basic.S->api->watch_end(basic.S, TAKE(basic.watch));
	mem_cleanup_fd(&basic.fd);
	basic.held_len = basic.written = 0;
	basic.wants_room = false;
}

/* TEXT NULL: all went well. */
static void
end(const char *text)
{
	if (basic.over)
		return;
	basic.over = true;
	hang_up();
	(void)basic.S->api->session_end(basic.S, basic.session, text ? SSM_FAILED : SSM_SUCCESS,
					text ? text : "");
}

/* ERROR 0: the server has said all. */
static int32_t
lost(int error)
{
	autofree char *text =
		error ? xasprintf("The connection was lost: %s", strerror(error)) : NULL;

	if (basic.again)
		hang_up();
	else
		end(text);
	return -ECANCELED;
}

static int32_t
watch_on(void)
{
	return basic.S->api->watch_set(basic.S, basic.watch,
				       (basic.held_len ? 0 : SSM_READ) |
					       (basic.wants_room ? SSM_WRITE : 0));
}

/* The session asks its input again. */
static void
take_input(void)
{
	(void)basic.S->api->session_send(basic.S, basic.session, PAYLOAD_OUTPUT, NULL, 0);
}

static int32_t
on_socket(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	ssize_t n;

	(void)w;
	(void)arg;
	if (events & SSM_WRITE) {
		basic.wants_room = false;
		take_input();
	}
	if (!(events & SSM_READ))
		return watch_on();
	n = read(fd, basic.held, sizeof(basic.held));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return watch_on();
	if (n <= 0)
		return lost(n < 0 ? errno : 0);
	if (S->api->session_send(S, basic.session, PAYLOAD_OUTPUT, basic.held, (size_t)n) !=
	    -EAGAIN)
		return events & SSM_WRITE ? watch_on() : 0;
	basic.held_len = (size_t)n;
	return watch_on();
}

static void
on_connected(void *arg, int fd)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .fd_fn = on_socket, .fd = fd, .events = SSM_READ
	};
	int r = fd;

	(void)arg;
	basic.connecting = NULL;
	if (fd >= 0) {
		basic.fd = fd;
		r = basic.S->api->watch(basic.S, &on, &basic.watch);
	}
	if (r < 0) {
		autofree char *text =
			xasprintf("Unable to connect to specified port: %s", strerror(-r));

		end(text);
	} else {
		take_input();
	}
}

static void
dial(void)
{
	basic.connecting = connect_start(basic.S, basic.to, on_connected, NULL);
}

void
basic_open(struct ssm *S, struct ssm_session *s, const struct addresses *to, bool again)
{
	basic.S = S;
	basic.session = s;
	basic.to = to;
	basic.again = again;
	dial();
}

static int32_t
take_flag(struct span payload)
{
	uint32_t flag = 0;

	if (message_read_flag(payload, &flag, NULL) < 0)
		return -EBADMSG;
	if (flag == FLAG_TERMINATE_SESSION)
		end(NULL);
	else if (flag == FLAG_DISCONNECT_TO_PORT)
		(void)lost(0);
	return 0;
}

/* What cannot be written is dropped: what the server has sent is still read to its end. */
static int32_t
pass_on(const char *data, size_t len)
{
	ssize_t n = send(basic.fd, data + basic.written, len - basic.written, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		basic.written = 0;
		return -errno;
	}
	basic.written += n > 0 ? (size_t)n : 0;
	if (basic.written < len) {
		basic.wants_room = true;
		(void)watch_on();
		return -EAGAIN;
	}
	basic.written = 0;
	return 0;
}

int32_t
basic_input(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data,
	    size_t len)
{
	(void)S;
	(void)s;
	if (basic.over)
		return 0;
	if (payload_type == PAYLOAD_FLAG)
		return take_flag((struct span){ data, len });
	if (payload_type != PAYLOAD_OUTPUT)
		return 0;
	if (basic.fd >= 0)
		return pass_on(data, len);
	if (!basic.connecting)
		dial();
	return -EAGAIN;
}

int32_t
basic_writable(struct ssm *S, struct ssm_session *s)
{
	if (!basic.watch || basic.held_len == 0)
		return 0;
	if (S->api->session_send(S, s, PAYLOAD_OUTPUT, basic.held, basic.held_len) == -EAGAIN)
		return 0;
	basic.held_len = 0;
	return watch_on();
}

void
basic_close(struct ssm *S, struct ssm_session *s)
{
	(void)S;
	(void)s;
	end(NULL);
}
