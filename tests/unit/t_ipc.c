/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and messages between agent and host: bodies, descriptors, rule breakers. DESIGN section 9.
 */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/ipc/ipc.h"
#include "core/ipc/wire.h"
#include "tests/unit/suite.h"

static struct event_base *base;
static struct ipc *us;
static int peer; /* the other end, used raw */

static struct {
	unsigned messages, ends;
	int end_err;
	char *text, *body;
	size_t body_len, fd_count;
	int fd, refuse;
} seen;

static int
on_message(void *arg, struct ipc_message *m)
{
	(void)arg;
	seen.messages++;
	free(seen.text);
	seen.text = json_text(m->json);
	free(seen.body);
	seen.body = m->body ? xmemdup(m->body, m->body_len) : NULL;
	seen.body_len = m->body_len;
	seen.fd_count = m->fd_count;
	if (m->fd_count)
		seen.fd = TAKE_FD(m->fds[0]);
	event_base_loopbreak(base);
	return seen.refuse;
}

static void
on_end(void *arg, int err, const char *text)
{
	(void)arg;
	(void)text;
	seen.ends++;
	seen.end_err = err;
	event_base_loopbreak(base);
}

static void
setup(void)
{
	int fds[2];

	memset(&seen, 0, sizeof(seen));
	seen.fd = -1;
	base = event_base_new();
	ck_assert_int_eq(ipc_pair(fds, NULL), 0);
	us = ipc_new(base, fds[0], on_message, on_end, NULL);
	peer = fds[1];
}

static void
teardown(void)
{
	ipc_free(us);
	mem_cleanup_fd(&peer);
	mem_cleanup_fd(&seen.fd);
	free(seen.text);
	free(seen.body);
	event_base_free(base);
}

static void
turn(void)
{
	const struct timeval limit = {10, 0};

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
}

static void
send_raw(const char *text, size_t len)
{
	ck_assert_int_eq(send(peer, text, len, MSG_NOSIGNAL), (ssize_t)len);
	turn();
}

/* A second connection object at the other end gives what a real peer sends. */
static void
from_peer(json_t *json, const void *body, size_t len, const int *fds, size_t fd_count)
{
	struct ipc *other = ipc_new(base, dup(peer), on_message, on_end, NULL);

	ck_assert_int_eq(ipc_send(other, json, body, len, fds, fd_count), 0);
	ipc_free(other);
	turn();
}

START_TEST(t_small_body)
{
	from_peer(json_pack("{s:s}", "t", "x"), "a\"b\n", 4, NULL, 0);
	ck_assert_str_eq(seen.text, "{\"t\":\"x\"}");
	ck_assert_uint_eq(seen.body_len, 4);
	ck_assert_str_eq(seen.body, "a\"b\n");
}
END_TEST

START_TEST(t_big_and_binary_bodies)
{
	static const size_t sizes[] = {2730, 2731, 65536, 1u << 20, IPC_BODY_MAX};

	for (size_t i = 0; i < NELEMS(sizes); i++) {
		autofree char *body = xmalloc(sizes[i]);

		memset(body, i % 2 ? 0xff : 'y', sizes[i]);
		body[0] = '\0';
		from_peer(json_pack("{s:s}", "t", "x"), body, sizes[i], NULL, 0);
		ck_assert_uint_eq(seen.messages, i + 1);
		ck_assert_uint_eq(seen.body_len, sizes[i]);
		ck_assert_mem_eq(seen.body, body, sizes[i]);
		ck_assert_str_eq(seen.text, "{\"t\":\"x\"}");
	}
}
END_TEST

START_TEST(t_descriptors)
{
	int fds[2];
	char c = 0;

	ck_assert_int_eq(pipe(fds), 0);
	from_peer(json_pack("{s:s}", "t", "x"), "\xff", 1, &fds[0], 1);
	ck_assert_uint_eq(seen.fd_count, 1);
	ck_assert_int_eq(write(fds[1], "z", 1), 1);
	ck_assert_int_eq(read(seen.fd, &c, 1), 1);
	ck_assert_int_eq(c, 'z');
	ck_assert(fcntl(seen.fd, F_GETFD) & FD_CLOEXEC);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(t_too_large)
{
	autofree char *body = xcalloc(1, IPC_BODY_MAX + 1);
	int fds[4] = {0, 0, 0, 0};

	ck_assert_int_eq(ipc_send(us, json_object(), body, IPC_BODY_MAX + 1, NULL, 0), -E2BIG);
	ck_assert_int_eq(ipc_send(us, json_object(), NULL, 0, fds, 4), -E2BIG);
	memset(body, 'x', IPC_PACKET_MAX);
	ck_assert_int_eq(ipc_send(us, json_pack("{s:s}", "t", body), NULL, 0, NULL, 0), -E2BIG);
}
END_TEST

START_TEST(t_rule_breakers)
{
	static const char *const bad[] = {"x", "[]", "{", "{\"body\":3}", "{\"body\":-1}", "\"t\""};

	for (size_t i = 0; i < NELEMS(bad); i++) {
		if (i) {
			teardown();
			setup();
		}
		send_raw(bad[i], strlen(bad[i]));
		ck_assert_uint_eq(seen.messages, 0);
		ck_assert_uint_eq(seen.ends, 1);
		ck_assert_int_lt(seen.end_err, 0);
		ck_assert_int_eq(ipc_send(us, json_object(), NULL, 0, NULL, 0), -EPIPE);
	}
}
END_TEST

START_TEST(t_nested_and_oversized_packets)
{
	autofree char *deep = xmalloc(IPC_PACKET_MAX + 10);

	memset(deep, '[', IPC_PACKET_MAX + 10);
	send_raw(deep, 60000);
	ck_assert_int_lt(seen.end_err, 0);
	teardown();
	setup();
	send_raw(deep, IPC_PACKET_MAX + 10);
	ck_assert_int_lt(seen.end_err, 0);
}
END_TEST

static void
send_with_fd(const char *text, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = space,
			   .msg_controllen = sizeof(space)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(int));
	ck_assert_int_gt(sendmsg(peer, &m, 0), 0);
	turn();
}

START_TEST(t_bodies_that_lie)
{
	autoclose int unsealed = memfd_create("t", MFD_ALLOW_SEALING);
	autoclose int sealed = ipc_memfd("abc", 3, NULL);
	autoclose int device = open("/dev/zero", O_RDONLY);

	ck_assert_int_eq(write(unsealed, "abc", 3), 3);
	send_with_fd("{\"t\":\"x\",\"body\":3}", unsealed);
	ck_assert_int_eq(seen.end_err, -EPROTO);
	teardown();
	setup();
	send_with_fd("{\"t\":\"x\",\"body\":4}", sealed);
	ck_assert_int_eq(seen.end_err, -EPROTO);
	teardown();
	setup();
	send_with_fd("{\"t\":\"x\",\"body\":4}", device);
	ck_assert_int_eq(seen.end_err, -EPROTO);
	teardown();
	setup();
	send_with_fd("{\"t\":\"x\",\"body\":3}", sealed);
	ck_assert_str_eq(seen.body, "abc");
}
END_TEST

START_TEST(t_peer_ends)
{
	ck_assert_int_eq(send(peer, "{\"t\":\"last\"}", 12, 0), 12);
	mem_cleanup_fd(&peer);
	ck_assert_int_eq(ipc_send(us, json_pack("{s:s}", "t", "x"), NULL, 0, NULL, 0), 0);
	turn();
	ck_assert_uint_eq(seen.messages, 1);
	if (!seen.ends)
		turn();
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_err, 0);
}
END_TEST

START_TEST(t_refused_by_handler)
{
	seen.refuse = -EPROTO;
	send_raw("{\"t\":\"x\"}", 9);
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_err, -EPROTO);
}
END_TEST

START_TEST(t_queue_grows_and_drains)
{
	static char chunk[16000];
	char buffer[IPC_PACKET_MAX];
	unsigned got = 0;

	memset(chunk, 'q', sizeof(chunk) - 1);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(ipc_send(us, json_pack("{s:s}", "t", chunk), NULL, 0, NULL, 0), 0);
	ck_assert_uint_gt(ipc_queued(us), IPC_QUEUE_MAX);
	for (int i = 0; i < 10000 && got < 200; i++) {
		while (recv(peer, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
			got++;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	ck_assert_uint_eq(got, 200);
	ck_assert_uint_eq(ipc_queued(us), 0);
}
END_TEST

START_TEST(t_wire)
{
	const char *type = NULL;
	struct err e = {0, ""};
	static const struct {
		enum wire_side side;
		enum wire_state state;
		const char *text;
		int want;
	} cases[] = {
		{WIRE_FROM_HOST, WIRE_NEW,
		 "{\"t\":\"hello\",\"ipc_min\":1,\"ipc_max\":1,\"token\":\"a\",\"pid\":1}", 0},
		{WIRE_FROM_HOST, WIRE_NEW,
		 "{\"t\":\"hello\",\"ipc_min\":1,\"ipc_max\":1,\"pid\":1}", -EPROTO},
		{WIRE_FROM_HOST, WIRE_GREETED, "{\"t\":\"reply\",\"seq\":1,\"final\":true}",
		 -EPROTO},
		{WIRE_FROM_HOST, WIRE_RUNNING, "{\"t\":\"reply\",\"seq\":1,\"final\":true}", 0},
		{WIRE_FROM_HOST, WIRE_RUNNING, "{\"t\":\"reply\",\"seq\":\"1\",\"final\":true}",
		 -EPROTO},
		{WIRE_FROM_HOST, WIRE_RUNNING, "{\"t\":\"go\"}", -EPROTO},
		{WIRE_FROM_AGENT, WIRE_READY, "{\"t\":\"go\"}", 0},
		{WIRE_FROM_AGENT, WIRE_NEW, "{\"t\":\"go\"}", -EPROTO},
		{WIRE_FROM_AGENT, WIRE_RUNNING, "{\"t\":\"unheard\"}", -EPROTO},
		{WIRE_FROM_AGENT, WIRE_RUNNING, "{}", -EPROTO},
		{WIRE_FROM_AGENT, WIRE_RUNNING, "{\"t\":7}", -EPROTO},
	};

	for (size_t i = 0; i < NELEMS(cases); i++) {
		autojson json_t *m = json_parse(cases[i].text, strlen(cases[i].text), "m", &e);

		ck_assert_ptr_nonnull(m);
		ck_assert_msg(wire_check(cases[i].side, cases[i].state, m, &type, &e) ==
				      cases[i].want,
			      "%s: %s", cases[i].text, e.text);
	}
	ck_assert_int_eq(wire_version(1, 1, NULL), 1);
	ck_assert_int_eq(wire_version(1, 7, NULL), WIRE_IPC_MAX);
	ck_assert_int_eq(wire_version(7, 9, &e), -EPROTO);
	ck_assert_int_eq(wire_version(2, 1, &e), -EPROTO);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ipc");
	TCase *tc = tcase_create("ipc");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_small_body);
	tcase_add_test(tc, t_big_and_binary_bodies);
	tcase_add_test(tc, t_descriptors);
	tcase_add_test(tc, t_too_large);
	tcase_add_test(tc, t_rule_breakers);
	tcase_add_test(tc, t_nested_and_oversized_packets);
	tcase_add_test(tc, t_bodies_that_lie);
	tcase_add_test(tc, t_peer_ends);
	tcase_add_test(tc, t_refused_by_handler);
	tcase_add_test(tc, t_queue_grows_and_drains);
	tcase_add_test(tc, t_wire);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
