/* SPDX-License-Identifier: Apache-2.0 */
/* A packet between agent and host. The input's first two bytes say what descriptors come with it:
 * their number, and what the first one is. */
#include "tests/fuzz/fuzz.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/ipc/ipc.h"
#include "core/ipc/wire.h"

#define FDS_MAX 6

struct peer {
	struct ipc *ipc;
	bool came, ended;
	json_t *json;
	char *body;
	size_t body_len;
};

static void
check_wire(const json_t *json)
{
	for (int side = WIRE_FROM_HOST; side <= WIRE_FROM_AGENT; side++)
		for (int state = WIRE_NEW; state <= WIRE_ENDED; state++) {
			const char *type = NULL;
			struct err e = { 0, "" };
			int r = wire_check((enum wire_side)side, (enum wire_state)state, json,
					   &type, &e);

			FUZZ_CHECK((r == 0) == (type != NULL));
			if (r < 0)
				fuzz_check_message(err_text(&e));
		}
}

static int
on_message(void *arg, struct ipc_message *m)
{
	struct peer *p = arg;

	FUZZ_CHECK(!p->ended && json_is_object(m->json));
	FUZZ_CHECK(m->body_len <= IPC_BODY_MAX && m->fd_count <= IPC_FDS_MAX);
	FUZZ_CHECK(!m->body || m->body[m->body_len] == '\0');
	check_wire(m->json);
	if (!p->came) {
		p->json = json_incref(m->json);
		p->body = m->body ? xmemdup(m->body, m->body_len) : NULL;
		p->body_len = m->body_len;
	}
	p->came = true;
	return 0;
}

static void
on_end(void *arg, int err, const char *text)
{
	struct peer *p = arg;

	FUZZ_CHECK(!p->ended);
	if (err)
		fuzz_check_message(text);
	p->ended = true;
}

static int
descriptor(char kind)
{
	int fd = kind == 'n' ? open("/dev/null", O_RDONLY | O_CLOEXEC)
		: kind == 'u' ? memfd_create("unsealed", MFD_CLOEXEC)
			      : ipc_memfd("0123456789", 10, NULL);

	FUZZ_CHECK(fd >= 0);
	return fd;
}

static void
send_raw(int fd, const void *data, size_t len, size_t fd_count, char kind)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control = { .space = { 0 } };
	int fds[FDS_MAX];
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	for (size_t i = 0; i < fd_count; i++)
		fds[i] = descriptor(i ? 'n' : kind);
	if (fd_count) {
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, sizeof(int) * fd_count);
	}
	(void)sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
}

/* What was understood is sent on by our own code, and arrives as it was. */
static void
check_again(struct event_base *base, const struct peer *first)
{
	struct peer from = { 0 }, to = { 0 };
	int pair[2];

	FUZZ_CHECK(ipc_pair(pair, NULL) == 0);
	from.ipc = ipc_new(base, pair[0], on_message, on_end, &from);
	to.ipc = ipc_new(base, pair[1], on_message, on_end, &to);
	json_object_del(first->json, "body");
	json_object_del(first->json, "inline");
	if (ipc_send(from.ipc, json_deep_copy(first->json), first->body, first->body_len, NULL,
		     0) == 0) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		FUZZ_CHECK(to.came && json_equal(to.json, first->json));
		FUZZ_CHECK(to.body_len == first->body_len && !to.body == !first->body);
		FUZZ_CHECK(!to.body || memcmp(to.body, first->body, to.body_len) == 0);
	}
	ipc_free(from.ipc);
	ipc_free(to.ipc);
	json_decref(to.json);
	free(to.body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	struct peer p = { 0 };
	int pair[2];

	if (size < 2)
		return 0;
	if (!base)
		base = event_base_new();
	FUZZ_CHECK(base && ipc_pair(pair, NULL) == 0);
	p.ipc = ipc_new(base, pair[0], on_message, on_end, &p);
	send_raw(pair[1], data + 2, size - 2, (size_t)data[0] % (FDS_MAX + 1), (char)data[1]);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ipc_free(p.ipc);
	close(pair[1]);
	if (p.came)
		check_again(base, &p);
	json_decref(p.json);
	free(p.body);
	return 0;
}
