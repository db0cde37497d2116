/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a port of this node, its bytes both ways. */
#include "plugins/sessionManager/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/messages.h"
#include "plugins/sessionManager/mux.h"

#define READ_BYTES 16384
#define MUX_SINCE "1.1.70"	     /* spec 02 §7.1 */
#define NO_KEEP_ALIVE "1.2.331.0" /* clients up to this need it, spec 02 §7.4 */

static struct {
	int fd;
	uint16_t number;
	bool ipv6, connected, muxed;
	struct ssm_watch *watch;
	char held[READ_BYTES]; /* read, and the session had no room for it */
	size_t held_len;
	size_t written; /* of a message that did not go out whole */
} port = { .fd = -1 };

static void
hang_up(struct ssm *S)
{
	if (port.watch)
		S->api->watch_end(S, TAKE(port.watch));
	mem_cleanup_fd(&port.fd);
	port.connected = false;
}

static int32_t
end(struct ssm *S, struct ssm_session *s, int error)
{
	autofree char *text = error == 0 ? NULL
		: port.connected
		? xasprintf("The connection to port %u was lost: %s", port.number, strerror(error))
		: xasprintf("Unable to connect to specified port: %s", strerror(error));

	hang_up(S);
	(void)S->api->session_end(S, s, error ? SSM_FAILED : SSM_SUCCESS, text ? text : "");
	return -ECANCELED;
}

static int dial(struct ssm *S, struct ssm_session *s);

/* "localhost" is both. */
static int32_t
not_connected(struct ssm *S, struct ssm_session *s, int error)
{
	hang_up(S);
	if (port.ipv6)
		return end(S, s, error);
	port.ipv6 = true;
	if (dial(S, s) < 0)
		(void)end(S, s, error);
	return -ECANCELED;
}

static int32_t
take(struct ssm *S, struct ssm_session *s)
{
	ssize_t n = read(port.fd, port.held, sizeof(port.held));
	int32_t r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return end(S, s, n < 0 ? errno : 0);
	r = S->api->session_send(S, s, PAYLOAD_OUTPUT, port.held, (size_t)n);
	if (r != -EAGAIN)
		return 0;
	port.held_len = (size_t)n;
	return S->api->watch_set(S, port.watch, 0);
}

static int32_t
on_socket(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (port.connected)
		return take(S, arg);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		return not_connected(S, arg, error);
	port.connected = true;
	return S->api->watch_set(S, w, SSM_READ);
}

static int
dial(struct ssm *S, struct ssm_session *s)
{
	const struct sockaddr_in a4 = { .sin_family = AF_INET,
					.sin_port = htons(port.number),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
					 .sin6_port = htons(port.number),
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct ssm_watch_on on = { .size = sizeof(on),
				   .fd_fn = on_socket,
				   .arg = s,
				   .events = SSM_WRITE };
	int r;

	port.fd = socket(port.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			 0);
	if (port.fd < 0)
		return -errno;
	r = port.ipv6 ? connect(port.fd, (const void *)&a6, sizeof(a6))
		      : connect(port.fd, (const void *)&a4, sizeof(a4));
	if (r < 0 && errno != EINPROGRESS)
		return -errno;
	on.fd = port.fd;
	return S->api->watch(S, &on, &port.watch);
}

static int
check(const struct port_properties *p, const char *client, struct err *e)
{
	int64_t number = 0;

	if (!*p->port)
		return err_set(e, -EINVAL, "Port number is empty in session properties.");
	if (text_to_i64(p->port, 1, 65535, &number) < 0)
		return err_set(e, -EINVAL, "'%.20s' is not the number of a port", p->port);
	if (*p->host)
		return err_set(e, -ENOSYS, "This agent does not forward ports of other hosts yet.");
	port.muxed = strcmp(p->type, "LocalPortForwarding") == 0;
	if (port.muxed && version_compare(client, MUX_SINCE) < 0)
		return err_set(e, -ENOSYS, "Please update the session manager plugin.");
	port.number = (uint16_t)number;
	return 0;
}

static int32_t
port_open(struct ssm *S, struct ssm_session *s)
{
	const char *text = S->api->session_str(S, s, "/properties", "{}");
	const char *client = S->api->session_str(S, s, "/ClientVersion", "");
	struct port_properties p = { 0 };
	struct err e = { 0, "" };
	autojson json_t *v = json_parse(text, strlen(text), "properties", &e);
	autofree char *why = NULL;
	int r = v ? port_properties_read(v, &p, &e) : -EINVAL;

	if (r < 0) {
		why = xasprintf("Unable to remarshal session properties. %s", err_text(&e));
		return S->api->session_end(S, s, SSM_FAILED, why);
	}
	r = check(&p, client, &e);
	port_properties_done(&p);
	if (r < 0)
		return S->api->session_end(S, s, SSM_FAILED, err_text(&e));
	if (port.muxed) {
		mux_open(S, s, port.number, version_compare(client, NO_KEEP_ALIVE) <= 0);
		return 0;
	}
	r = dial(S, s);
	if (r < 0)
		(void)not_connected(S, s, -r);
	return 0;
}

static int32_t
take_flag(struct ssm *S, struct ssm_session *s, struct span payload)
{
	uint32_t flag = 0;

	if (message_read_flag(payload, &flag, NULL) < 0)
		return -EBADMSG;
	if (flag == FLAG_TERMINATE_SESSION || flag == FLAG_DISCONNECT_TO_PORT)
		(void)end(S, s, 0);
	return 0;
}

static int32_t
port_input(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data,
	   size_t len)
{
	ssize_t n;

	if (port.muxed)
		return mux_input(S, s, payload_type, data, len);
	if (payload_type == PAYLOAD_FLAG)
		return take_flag(S, s, (struct span){ data, len });
	if (payload_type != PAYLOAD_OUTPUT)
		return 0;
	if (!port.connected)
		return port.fd >= 0 ? -EAGAIN : 0;
	n = send(port.fd, (const char *)data + port.written, len - port.written, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		port.written = 0;
		return -errno; /* what it has sent is read to its end */
	}
	port.written += n > 0 ? (size_t)n : 0;
	if (port.written < len)
		return -EAGAIN;
	port.written = 0;
	return 0;
}

static int32_t
port_writable(struct ssm *S, struct ssm_session *s)
{
	if (port.muxed)
		return mux_writable(S, s);
	if (!port.watch || port.held_len == 0)
		return 0;
	if (S->api->session_send(S, s, PAYLOAD_OUTPUT, port.held, port.held_len) == -EAGAIN)
		return 0;
	port.held_len = 0;
	return S->api->watch_set(S, port.watch, SSM_READ);
}

static void
port_close(struct ssm *S, struct ssm_session *s, int32_t reason)
{
	(void)reason;
	if (port.muxed)
		mux_close(S, s);
	else
		(void)end(S, s, 0);
}

const struct ssm_session_ops port_ops = { sizeof(port_ops), 0,	port_open, port_input,
					  NULL,		    port_writable, port_close };
