/* SPDX-License-Identifier: Apache-2.0 */
/* Where port sessions lead: plugins/sessionManager/addresses.c, resolve.c and connect.c on the
 * host's loop (spec 02 §7.2). */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/host/host.h"
#include "plugins/sessionManager/addresses.h"
#include "plugins/sessionManager/connect.h"
#include "plugins/sessionManager/resolve.h"
#include "tests/plugin/wspeer.h"
#include "tests/unit/suite.h"

static struct looplab lab;
static bool done;
static int result, closed_port;
static struct addresses to, got;
static char text[512];
static char script[64];

static void
setup(void)
{
	looplab_init(&lab);
	done = false;
	result = 0;
	memset(&to, 0, sizeof(to));
	memset(&got, 0, sizeof(got));
	script[0] = '\0';
}

static void
teardown(void)
{
	looplab_done(&lab);
	if (script[0])
		(void)unlink(script);
}

/* The port of a new socket of 127.0.0.1; BACKLOG < 0: it does not listen. */
static int
port_of(int backlog, int *ret_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const void *)&a, sizeof(a)), 0);
	ck_assert(backlog < 0 || listen(fd, backlog) == 0);
	ck_assert_int_eq(getsockname(fd, (void *)&a, &len), 0);
	*ret_fd = fd;
	return ntohs(a.sin_port);
}

/* ------------------------------------------------------------- addresses */

static const char *
shown(const struct sockaddr_storage *one)
{
	static char line[96];
	char address[INET6_ADDRSTRLEN] = "";
	const struct sockaddr_in *a4 = (const void *)one;
	const struct sockaddr_in6 *a6 = (const void *)one;

	if (one->ss_family == AF_INET)
		inet_ntop(AF_INET, &a4->sin_addr, address, sizeof(address));
	else
		inet_ntop(AF_INET6, &a6->sin6_addr, address, sizeof(address));
	snprintf(line, sizeof(line), "%s %d", address,
		 ntohs(one->ss_family == AF_INET ? a4->sin_port : a6->sin6_port));
	return line;
}

START_TEST(t_addresses)
{
	static const char *const bad[] = { "",	     "localhost", "10.0.0.256", "1.2.3.4:5",
					   "::1::2", "10.0.0.1 ", "a",		"%" };

	ck_assert_int_eq(addresses_add(&to, "10.1.2.3", 80), 0);
	ck_assert_str_eq(shown(&to.v[0]), "10.1.2.3 80");
	ck_assert_int_eq(addresses_add(&to, "::ffff:10.1.2.3", 65535), 0);
	ck_assert_str_eq(shown(&to.v[1]), "::ffff:10.1.2.3 65535");
	ck_assert_int_eq(addresses_add(&to, "169.254.43518", 1), 0); /* the resolver knows it */
	ck_assert_str_eq(shown(&to.v[2]), "169.254.169.254 1");
	for (size_t i = 0; i < NELEMS(bad); i++)
		ck_assert_msg(addresses_add(&to, bad[i], 80) == -EINVAL, "%s", bad[i]);
	ck_assert_uint_eq(to.count, 3);
	while (to.count < ADDRESSES_MAX)
		ck_assert_int_eq(addresses_add(&to, "::1", 80), 0);
	ck_assert_int_eq(addresses_add(&to, "::1", 80), -E2BIG);
}
END_TEST

START_TEST(t_lines)
{
	ck_assert_int_eq(addresses_read(&got, "127.0.0.1\n\n::1\n", 7), 0);
	ck_assert_uint_eq(got.count, 2);
	ck_assert_str_eq(shown(&got.v[1]), "::1 7");
	ck_assert_int_eq(addresses_read(&got, "", 7), -EINVAL);
	ck_assert_int_eq(addresses_read(&got, "\n", 7), -EINVAL);
	ck_assert_int_eq(addresses_read(&got, "127.0.0.1\nhost\n", 7), -EINVAL);
	ck_assert_int_eq(addresses_read(&got, "10.0.0.1", 7), 0);
	ck_assert_uint_eq(got.count, 4);
	for (int i = 0; i < ADDRESSES_MAX; i++)
		ck_assert_int_eq(addresses_read(&to, "10.0.0.1\n10.0.0.2\n", 7),
				 i < 32 ? 0 : -EINVAL);
	ck_assert_uint_eq(to.count, ADDRESSES_MAX);
}
END_TEST

/* --------------------------------------------------------------- connect */

static void
on_connected(void *arg, int fd)
{
	ck_assert_ptr_eq(arg, &lab);
	ck_assert(!done);
	result = fd;
	done = true;
}

static void
expect_connection(int ms)
{
	struct connecting *c = connect_start(lab.S, &to, on_connected, &lab);

	ck_assert_ptr_nonnull(c);
	ck_assert(!done);
	ck_assert(looplab_run(&lab, &done, ms));
}

START_TEST(t_connects)
{
	autoclose int listener = -1, closed = -1, taken = -1;
	int port = port_of(5, &listener);

	closed_port = port_of(-1, &closed);
	addresses_add(&to, "127.0.0.1", (uint16_t)closed_port);
	addresses_add(&to, "127.0.0.1", (uint16_t)port);
	expect_connection(5000);
	ck_assert_int_ge(result, 0);
	taken = accept(listener, NULL, NULL);
	ck_assert_int_ge(taken, 0);
	ck_assert_int_eq(send(result, "hello", 5, 0), 5);
	ck_assert_int_eq(recv(taken, text, sizeof(text), 0), 5);
	close(result);
}
END_TEST

START_TEST(t_first_error_counts)
{
	autoclose int closed = -1;

	closed_port = port_of(-1, &closed);
	addresses_add(&to, "127.0.0.1", (uint16_t)closed_port);
	addresses_add(&to, "255.255.255.255", 80); /* not allowed, at once */
	expect_connection(5000);
	ck_assert_int_eq(result, -ECONNREFUSED);
	done = false;
	to.count = 0;
	addresses_add(&to, "255.255.255.255", 80);
	addresses_add(&to, "127.0.0.1", (uint16_t)closed_port);
	expect_connection(5000);
	ck_assert_int_lt(result, 0);
	ck_assert_int_ne(result, -ECONNREFUSED);
	done = false;
	to.count = 0;
	expect_connection(5000);
	ck_assert_int_eq(result, -EDESTADDRREQ);
}
END_TEST

/* A queue that is full takes no further connection, and does not say so. Others are made
 * meanwhile. */
START_TEST(t_black_hole)
{
	autoclose int listener = -1, other = -1;
	int64_t begun = clock_mono_ms();
	struct addresses hole = { .count = 0 };
	int fds[4], port = port_of(0, &listener), good = port_of(5, &other);
	struct connecting *c;

	addresses_add(&hole, "127.0.0.1", (uint16_t)port);
	for (size_t i = 0; i < NELEMS(fds); i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fds[i], (const void *)&hole.v[0], addresses_len(&hole.v[0]));
	}
	addresses_add(&hole, "127.0.0.1", (uint16_t)good);
	c = connect_start(lab.S, &hole, on_connected, &lab);
	addresses_add(&to, "127.0.0.1", (uint16_t)good);
	expect_connection(2000);
	ck_assert_int_ge(result, 0);
	close(result);
	done = false;
	ck_assert(looplab_run(&lab, &done, 2 * CONNECT_MS));
	ck_assert_int_ge(result, 0);
	ck_assert_int_ge(clock_mono_ms() - begun, CONNECT_MS);
	close(result);
	for (size_t i = 0; i < NELEMS(fds); i++)
		close(fds[i]);
	(void)c;
}
END_TEST

START_TEST(t_cancelled)
{
	autoclose int listener = -1;

	addresses_add(&to, "127.0.0.1", (uint16_t)port_of(5, &listener));
	ck_assert_ptr_null(connect_cancel(connect_start(lab.S, &to, on_connected, &lab)));
	ck_assert_ptr_null(connect_cancel(NULL));
	to.count = 0;
	ck_assert_ptr_null(connect_cancel(connect_start(lab.S, &to, on_connected, &lab)));
	ck_assert(!looplab_run(&lab, &done, 100));
}
END_TEST

/* --------------------------------------------------------------- resolve */

static void
on_resolved(void *arg, int r, const struct addresses *found, const char *why)
{
	ck_assert_ptr_eq(arg, &lab);
	ck_assert(!done);
	result = r;
	if (r == 0)
		got = *found;
	snprintf(text, sizeof(text), "%s", why);
	done = true;
}

/* The program that asks: LINES of a shell script, or NULL for ours. */
static void
use_program(const char *lines)
{
	const char *dir = secure_getenv("top_builddir");
	autofree char *own = xasprintf("%s/ssm-plugin-host", dir ? dir : ".");
	autofree char *path = realpath(own, NULL);
	FILE *f = NULL;

	if (lines) {
		snprintf(script, sizeof(script), "/tmp/t_connect.%d", (int)getpid());
		f = fopen(script, "w");
		ck_assert_ptr_nonnull(f);
		fprintf(f, "#!/bin/sh\n%s\n", lines);
		fclose(f);
		ck_assert_int_eq(chmod(script, 0700), 0);
	}
	json_decref(lab.host->hello);
	lab.host->hello = json_pack("{s:{s:s}}", "info", "host-program", lines ? script : path);
	ck_assert_ptr_nonnull(lab.host->hello);
}

static void
expect_answer(const char *lines, const char *name, int r, const char *why)
{
	use_program(lines);
	done = false;
	ck_assert_ptr_nonnull(resolve_start(lab.S, name, 7, on_resolved, &lab));
	ck_assert(!done);
	ck_assert(looplab_run(&lab, &done, 4 * RESOLVE_MS));
	ck_assert_int_eq(result, r);
	ck_assert_str_eq(text, why);
}

START_TEST(t_resolves)
{
	expect_answer(NULL, "localhost", 0, "");
	ck_assert_uint_ge(got.count, 1);
	ck_assert(strcmp(shown(&got.v[0]), "127.0.0.1 7") == 0 ||
		  strcmp(shown(&got.v[0]), "::1 7") == 0);
	expect_answer("[ \"$*\" = '--addresses db -x' ] && printf '10.0.0.1\\n10.0.0.2\\n'",
		      "db -x", 0, "");
	ck_assert_uint_eq(got.count, 2);
	ck_assert_str_eq(shown(&got.v[1]), "10.0.0.2 7");
}
END_TEST

START_TEST(t_no_answer)
{
	expect_answer("echo Name or service not known >&2; exit 1", "no\x1bsuch", -ENOENT,
		      "lookup no\\x1bsuch: Name or service not known");
	expect_answer("exit 1", "db", -ENOENT, "lookup db: the name service could not be asked");
	expect_answer("kill -9 $$", "db", -ENOENT,
		      "lookup db: the name service could not be asked");
	expect_answer("echo 10.0.0.1; echo db", "db", -EPROTO,
		      "lookup db: the answer of the name service cannot be read");
	expect_answer("exit 0", "db", -EPROTO,
		      "lookup db: the answer of the name service cannot be read");
	/* Too much: the line that it was cut in is none. */
	expect_answer("echo 10.0.0.1; printf 10.0.; head -c 100000 /dev/zero | tr '\\0' 1", "db", 0,
		      "");
	ck_assert_uint_eq(got.count, 1);
	expect_answer("while :; do echo 10.0.0.1; done | head -c 1000000", "db", 0, "");
	ck_assert_uint_eq(got.count, ADDRESSES_MAX);
}
END_TEST

START_TEST(t_hangs)
{
	int64_t begun = clock_mono_ms();

	expect_answer("trap '' TERM; sleep 60", "db", -ETIMEDOUT,
		      "lookup db: the name service did not answer within 5 s");
	ck_assert_int_lt(clock_mono_ms() - begun, RESOLVE_MS + 2000);
	use_program("sleep 60");
	done = false;
	ck_assert_ptr_null(resolve_cancel(resolve_start(lab.S, "db", 7, on_resolved, &lab)));
	ck_assert_ptr_null(resolve_cancel(NULL));
	ck_assert(!looplab_run(&lab, &done, 100));
}
END_TEST

START_TEST(t_cannot_ask)
{
	json_decref(lab.host->hello);
	lab.host->hello = json_pack("{s:{s:s}}", "info", "host-program", "/no/such/program");
	ck_assert_ptr_null(resolve_start(lab.S, "db", 7, on_resolved, &lab));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager connect");
	TCase *tc = tcase_create("connect");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_addresses);
	tcase_add_test(tc, t_lines);
	tcase_add_test(tc, t_connects);
	tcase_add_test(tc, t_first_error_counts);
	tcase_add_test(tc, t_black_hole);
	tcase_add_test(tc, t_cancelled);
	tcase_add_test(tc, t_resolves);
	tcase_add_test(tc, t_no_answer);
	tcase_add_test(tc, t_hangs);
	tcase_add_test(tc, t_cannot_ask);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
