/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket. */
#include "core/agent/ctl.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/ipc/ipc.h"
#include "core/ipc/listen.h"

#define SOCKET_NAME "agent.sock"
#define CLIENTS_MAX 32u
#define CLIENT_MS 10000

struct ctl {
	struct event_base *base;
	struct event *event;
	int dirfd, fd;
	struct list clients;
	unsigned count;
	ctl_answer_fn *answer;
	void *arg;
};

struct client {
	struct list link;
	struct ctl *ctl;
	struct ipc *ipc;
	struct event *deadline;
};

static void
client_free(struct client *c)
{
	list_remove(&c->link);
	c->ctl->count--;
	ipc_free(c->ipc);
	event_free(c->deadline);
	free(c);
}

static void
on_end(void *arg, int err, const char *text)
{
	(void)err;
	(void)text;
	client_free(arg);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_free(arg);
}

static int
on_message(void *arg, struct ipc_message *m)
{
	struct client *c = arg;
	struct err e = {0, ""};
	json_t *reply = json_pack("{s:s}", "t", "answer");
	autojson json_t *answer = NULL;
	autofree char *body = NULL;

	answer = c->ctl->answer(c->ctl->arg, json_str(m->json, "what", ""), &e);
	json_object_set_new(reply, "code", json_integer(answer ? 0 : e.code));
	if (answer)
		body = json_text(answer);
	else
		json_object_set_new(reply, "error", json_string(err_text(&e)));
	return ipc_send(c->ipc, reply, body, body ? strlen(body) : 0, NULL, 0);
}

/* The socket's mode already says it; this holds where the folder was opened to others by mistake.
 */
static bool
may_ask(int fd)
{
	struct ucred peer = {0, 0, 0};
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void
on_connection(evutil_socket_t listen_fd, short what, void *arg)
{
	struct ctl *ctl = arg;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;
	struct timeval tv;

	(void)what;
	if (fd < 0)
		return;
	if (ctl->count >= CLIENTS_MAX || !may_ask(fd)) {
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->ctl = ctl;
	c->ipc = ipc_new(ctl->base, fd, on_message, on_end, c);
	c->deadline = evtimer_new(ctl->base, on_deadline, c);
	clock_timeval(CLIENT_MS, &tv);
	event_add(c->deadline, &tv);
	list_append(&ctl->clients, &c->link);
	ctl->count++;
}

struct ctl *
ctl_new(struct event_base *base, const char *run_path, ctl_answer_fn *answer, void *arg,
	struct err *e)
{
	struct ctl *c = xcalloc(1, sizeof(*c));

	c->base = base;
	c->answer = answer;
	c->arg = arg;
	c->fd = -1;
	list_init(&c->clients);
	c->dirfd = fs_make_dirs(run_path, 0711, e);
	if (c->dirfd >= 0)
		c->fd = ipc_listen(c->dirfd, SOCKET_NAME, 0600, e);
	if (c->fd < 0)
		return ctl_free(c);
	c->event = event_new(base, c->fd, EV_READ | EV_PERSIST, on_connection, c);
	event_add(c->event, NULL);
	return c;
}

struct ctl *
ctl_free(struct ctl *c)
{
	if (!c)
		return NULL;
	list_each (it, tmp, &c->clients)
		client_free(list_entry(it, struct client, link));
	if (c->event) {
		event_free(c->event);
		unlinkat(c->dirfd, SOCKET_NAME, 0);
	}
	mem_cleanup_fd(&c->fd);
	mem_cleanup_fd(&c->dirfd);
	free(c);
	return NULL;
}
