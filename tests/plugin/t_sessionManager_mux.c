/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/sessionManager/mux.c on the host's loop, against real connections: spec 02 §7.4. The
 * session is a double that can be full. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/host/host.h"
#include "plugins/sessionManager/addresses.h"
#include "plugins/sessionManager/messages.h"
#include "plugins/sessionManager/mux.h"
#include "tests/plugin/wspeer.h"
#include "tests/unit/suite.h"

enum { SYN, FIN, PSH, NOP };

static struct looplab lab;
static struct ssm_api api;
static struct addresses to;
static struct sbuf out; /* what the session was given to send */
static size_t out_max;	/* then it is full */
static bool full, ended, again; /* AGAIN: refused input may come again */
static int32_t end_result;
static char end_text[256];
static unsigned flags;
static int listener;

static const char *
str(struct ssm *S, struct ssm_session *s, const char *pointer, const char *preset)
{
	(void)S;
	(void)s;
	(void)pointer;
	return preset;
}

static int32_t
take(struct ssm *S, struct ssm_session *s, uint32_t type, const void *data, size_t len)
{
	(void)S;
	(void)s;
	if (len == 0) {
		again = true;
		return 0;
	}
	if (type == PAYLOAD_FLAG) {
		flags++;
		return 0;
	}
	ck_assert_uint_eq(type, PAYLOAD_OUTPUT);
	full = out.len >= out_max;
	return full ? -EAGAIN : sbuf_add(&out, data, len);
}

static int32_t
end(struct ssm *S, struct ssm_session *s, int32_t result, const char *text)
{
	(void)S;
	(void)s;
	ck_assert(!ended);
	ended = true;
	end_result = result;
	(void)snprintf(end_text, sizeof(end_text), "%s", text);
	return 0;
}

/* There is no plugin that would say whose line it is. */
static void
no_log(struct ssm *S, int32_t level, const char *fmt, va_list ap)
{
	(void)S;
	(void)level;
	(void)fmt;
	(void)ap;
}

/* A port of this machine; LISTENS: where somebody takes connections. */
static void
listen_at(bool listens)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (const void *)&a, sizeof(a)), 0);
	ck_assert(!listens || listen(listener, 10) == 0);
	ck_assert_int_eq(getsockname(listener, (void *)&a, &len), 0);
	memset(&to, 0, sizeof(to));
	ck_assert_int_eq(addresses_add(&to, "127.0.0.1", ntohs(a.sin_port)), 0);
}

static void
begin(bool listens)
{
	static const struct ssm_session_table table = { sizeof(table), 0, str, take, end };

	looplab_init(&lab);
	api = *lab.S->api;
	api.vlog = no_log;
	lab.instance->ssm.api = &api;
	lab.host->provider = lab.instance;
	lab.host->sessions = table;
	sbuf_init(&out, 8 << 20);
	out_max = SIZE_MAX;
	listen_at(listens);
	mux_open(lab.S, NULL, &to, false);
}

static void
setup(void)
{
	begin(true);
}

static void
teardown(void)
{
	if (!ended)
		mux_close(lab.S, NULL);
	ck_assert(ended);
	looplab_done(&lab);
	sbuf_done(&out);
	close(listener);
}

static int32_t
frame(int command, unsigned stream, const void *data, size_t len)
{
	unsigned char m[8 + 60000] = { 1, (unsigned char)command, (unsigned char)len,
				       (unsigned char)(len >> 8), (unsigned char)stream };

	if (len > 0)
		memcpy(m + 8, data, len);
	return mux_input(lab.S, NULL, PAYLOAD_OUTPUT, m, 8 + len);
}

static void
pass(int64_t ms)
{
	bool never = false;

	(void)looplab_run(&lab, &never, ms);
}

/* The other end of a connection that mux makes. */
static int
taken(void)
{
	int fd = -1;

	(void)fcntl(listener, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 200 && fd < 0; i++) {
		pass(10);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	ck_assert_int_ge(fd, 0);
	return fd;
}

static size_t
read_all(int fd, char *to_, size_t max)
{
	size_t got = 0;

	for (int i = 0; i < 100 && got < max; i++) {
		ssize_t n = read(fd, to_ + got, max - got);

		if (n == 0)
			break;
		if (n > 0)
			got += (size_t)n;
		else
			pass(10);
	}
	return got;
}

/* How many frames of COMMAND for STREAM the session was given, and their bytes. */
static size_t
count(int command, unsigned stream, size_t *ret_bytes)
{
	const unsigned char *p = (const unsigned char *)out.p;
	size_t n = 0, at = 0;

	*ret_bytes = 0;
	while (at + 8 <= out.len) {
		size_t len = (size_t)p[at + 2] | (size_t)p[at + 3] << 8;

		if (p[at + 1] == command && p[at + 4] == stream) {
			n++;
			*ret_bytes += len;
		}
		at += 8 + len;
	}
	return n;
}

START_TEST(test_both_ways)
{
	size_t bytes;
	char got[8];
	int fd;

	ck_assert_int_eq(frame(SYN, 3, NULL, 0), 0);
	ck_assert_int_eq(frame(PSH, 3, "hello", 5), 0); /* before there is a connection */
	fd = taken();
	ck_assert_uint_eq(read_all(fd, got, 5), 5);
	ck_assert_mem_eq(got, "hello", 5);
	ck_assert_int_eq(write(fd, "answer", 6), 6);
	pass(50);
	ck_assert_uint_eq(count(PSH, 3, &bytes), 1);
	ck_assert_uint_eq(bytes, 6);
	close(fd);
	pass(50);
	ck_assert_uint_eq(count(FIN, 3, &bytes), 1);
	ck_assert(!ended);
}
END_TEST

/* The end of one direction leaves the other one open. */
START_TEST(test_half_close)
{
	size_t bytes;
	char got[8];
	int fd;

	(void)frame(SYN, 3, NULL, 0);
	fd = taken();
	(void)frame(PSH, 3, "last", 4);
	ck_assert_int_eq(frame(FIN, 3, NULL, 0), 0);
	ck_assert_uint_eq(read_all(fd, got, sizeof(got)), 4); /* and then the end */
	ck_assert_int_eq(write(fd, "late", 4), 4);
	close(fd);
	pass(50);
	ck_assert_uint_eq(count(PSH, 3, &bytes), 1);
	ck_assert_uint_eq(bytes, 4);
	ck_assert_uint_eq(count(FIN, 3, &bytes), 1);
}
END_TEST

/* A session that is full: nothing more is read, and nothing is lost. */
START_TEST(test_full_session)
{
	static char block[65536];
	size_t sent = 0, before, bytes;
	int fd;

	(void)frame(SYN, 3, NULL, 0);
	fd = taken();
	out_max = 1;
	for (int i = 0; i < 200; i++) {
		ssize_t n = write(fd, block, sizeof(block));

		if (n > 0)
			sent += (size_t)n;
		pass(2);
	}
	ck_assert_uint_gt(sent, 100000); /* the buffers of the connection are full */
	before = out.len;
	pass(100);
	ck_assert_uint_eq(out.len, before);
	out_max = SIZE_MAX;
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(mux_writable(lab.S, NULL), 0);
		pass(5);
	}
	(void)count(PSH, 3, &bytes);
	ck_assert_uint_eq(bytes, sent);
	close(fd);
}
END_TEST

/* A destination that does not read: the client is held up, and told when there is room. */
START_TEST(test_slow_destination)
{
	static char block[32768], got[1 << 20];
	size_t sent = 0, read_ = 0;
	int fd;

	(void)frame(SYN, 3, NULL, 0);
	fd = taken();
	while (sent < (64u << 20) && frame(PSH, 3, block, sizeof(block)) == 0)
		sent += sizeof(block);
	ck_assert_uint_lt(sent, 64u << 20);
	ck_assert(!again);
	for (int i = 0; i < 2000 && read_ < sent; i++) {
		ssize_t n = read(fd, got, sizeof(got));

		if (n > 0)
			read_ += (size_t)n;
		pass(1);
	}
	ck_assert_uint_eq(read_, sent);
	ck_assert(again);
	ck_assert_int_eq(frame(PSH, 3, block, sizeof(block)), 0);
	close(fd);
}
END_TEST

/* Nobody listens: the client is told, the other streams go on. */
START_TEST(test_refused)
{
	size_t bytes;

	(void)frame(SYN, 3, NULL, 0);
	(void)frame(SYN, 5, NULL, 0);
	for (int i = 0; i < 100 && flags < 2; i++)
		pass(10);
	ck_assert_uint_eq(flags, 2);
	ck_assert_uint_eq(count(FIN, 3, &bytes), 1);
	ck_assert_uint_eq(count(FIN, 5, &bytes), 1);
	ck_assert(!ended);
}
END_TEST

START_TEST(test_garbage)
{
	ck_assert_int_eq(mux_input(lab.S, NULL, PAYLOAD_OUTPUT, "GET / HTTP/1.1\r\n", 16), 0);
	ck_assert(ended);
	ck_assert_int_eq(end_result, SSM_FAILED);
	ck_assert_int_eq(frame(SYN, 3, NULL, 0), 0);
}
END_TEST

/* With connections open, being made, and full. */
START_TEST(test_end)
{
	static const unsigned char terminate[] = { 0, 0, 0, FLAG_TERMINATE_SESSION };
	int fd;

	(void)frame(SYN, 3, NULL, 0);
	fd = taken();
	(void)frame(SYN, 5, NULL, 0);
	out_max = 0;
	ck_assert_int_eq(write(fd, "x", 1), 1);
	pass(20);
	ck_assert_int_eq(mux_input(lab.S, NULL, PAYLOAD_FLAG, terminate, sizeof(terminate)), 0);
	ck_assert(ended);
	ck_assert_int_eq(end_result, SSM_SUCCESS);
	close(fd);
}
END_TEST

static void
setup_closed(void)
{
	begin(false);
}

int
main(void)
{
	Suite *s = suite_create("sessionManager mux");
	TCase *t = tcase_create("open"), *closed = tcase_create("closed");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_both_ways);
	tcase_add_test(t, test_half_close);
	tcase_add_test(t, test_full_session);
	tcase_add_test(t, test_slow_destination);
	tcase_add_test(t, test_garbage);
	tcase_add_test(t, test_end);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(closed, setup_closed, teardown);
	tcase_set_timeout(closed, 60);
	tcase_add_test(closed, test_refused);
	suite_add_tcase(s, closed);
	return run_suite(s);
}
