/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/mem.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/unit/suite.h"

START_TEST(test_alloc)
{
	autofree char *zero = xcalloc(4, 8);
	autofree char *empty = xmalloc(0);
	autofree int *grown = xrealloc(NULL, 2, sizeof(int));

	for (int i = 0; i < 32; i++)
		ck_assert_int_eq(zero[i], 0);
	ck_assert_ptr_nonnull(empty);
	grown[1] = 7;
	grown = xrealloc(grown, 100, sizeof(int));
	ck_assert_int_eq(grown[1], 7);
}
END_TEST

/* The volatile keeps the compiler from seeing, and warning about, what is wrong here. */
START_TEST(test_overflow_aborts)
{
	volatile size_t half = SIZE_MAX / 2 + 1;

	free(xcalloc(half, 2));
}
END_TEST

START_TEST(test_copies)
{
	autofree char *s = xstrdup("abc");
	autofree char *n = xstrndup("abcdef", 2);
	autofree char *longer = xstrndup("ab", 100);
	autofree char *m = xmemdup("a\0b", 3);
	autofree char *f = xasprintf("%d-%s", 42, "x");

	ck_assert_str_eq(s, "abc");
	ck_assert_ptr_null(xstrdup(NULL));
	ck_assert_str_eq(n, "ab");
	ck_assert_str_eq(longer, "ab");
	ck_assert_mem_eq(m, "a\0b", 4);
	ck_assert_str_eq(f, "42-x");
}
END_TEST

START_TEST(test_wipe)
{
	char buf[8] = "secret!";
	static const char zero[8];

	wipe(buf, sizeof(buf));
	ck_assert_mem_eq(buf, zero, sizeof(buf));
	wipe(NULL, 0);
	secret_free(NULL);
}
END_TEST

static int
open_and_leave(int *ret_fd, int take)
{
	autoclose int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	*ret_fd = fd;
	errno = EXDEV;
	return take ? TAKE_FD(fd) : -1;
}

START_TEST(test_fd)
{
	int seen, kept;

	ck_assert_int_eq(open_and_leave(&seen, 0), -1);
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_int_eq(fcntl(seen, F_GETFD), -1);

	kept = open_and_leave(&seen, 1);
	ck_assert_int_eq(kept, seen);
	ck_assert_int_ge(fcntl(kept, F_GETFD), 0);
	close(kept);
}
END_TEST

static char *
take_string(void)
{
	autofree char *a = xstrdup("kept");
	autosecret char *b = xstrdup("left");

	ck_assert_str_eq(b, "left");
	return TAKE(a);
}

START_TEST(test_take)
{
	autofree char *s = take_string();

	ck_assert_str_eq(s, "kept");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mem");
	TCase *tc = tcase_create("mem");

	tcase_add_test(tc, test_alloc);
	tcase_add_test_raise_signal(tc, test_overflow_aborts, SIGABRT);
	tcase_add_test(tc, test_copies);
	tcase_add_test(tc, test_wipe);
	tcase_add_test(tc, test_fd);
	tcase_add_test(tc, test_take);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
