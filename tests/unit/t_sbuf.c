/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/sbuf.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "tests/unit/suite.h"

START_TEST(test_append)
{
	autosbuf struct sbuf b = SBUF_INIT(1000);

	ck_assert_str_eq(sbuf_str(&b), "");
	ck_assert_int_eq(sbuf_adds(&b, "ab"), 0);
	ck_assert_int_eq(sbuf_addc(&b, 'c'), 0);
	ck_assert_int_eq(sbuf_addf(&b, "%d-%s", 7, "x"), 0);
	ck_assert_int_eq(sbuf_add(&b, "p\0q", 3), 0);
	ck_assert_uint_eq(b.len, 9);
	ck_assert_mem_eq(b.p, "abc7-xp\0q", 10);
}
END_TEST

START_TEST(test_grows)
{
	autosbuf struct sbuf b = SBUF_INIT(1u << 20);

	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(sbuf_addc(&b, (char)('a' + i % 26)), 0);
	ck_assert_uint_eq(b.len, 100000);
	ck_assert_int_eq(b.p[99999], 'a' + 99999 % 26);
	ck_assert_int_eq(b.p[100000], 0);
}
END_TEST

START_TEST(test_ceiling_is_exact)
{
	autosbuf struct sbuf b = SBUF_INIT(5);

	ck_assert_int_eq(sbuf_adds(&b, "12345"), 0);
	ck_assert_int_eq(sbuf_add(&b, "", 0), 0);
	ck_assert_int_eq(sbuf_addc(&b, '6'), -E2BIG);
	ck_assert_str_eq(sbuf_str(&b), "12345");
}
END_TEST

START_TEST(test_error_sticks)
{
	autosbuf struct sbuf b = SBUF_INIT(5);

	ck_assert_int_eq(sbuf_addf(&b, "%s", "123456"), -E2BIG);
	ck_assert_int_eq(sbuf_addc(&b, 'a'), -E2BIG);
	ck_assert_int_eq(sbuf_addf(&b, "x"), -E2BIG);
	ck_assert_int_eq(sbuf_read(&b, 0, 1), -E2BIG);
	ck_assert_uint_eq(b.len, 0);
	sbuf_reset(&b);
	ck_assert_int_eq(sbuf_addc(&b, 'a'), 0);
	ck_assert_str_eq(sbuf_str(&b), "a");
}
END_TEST

START_TEST(test_no_ceiling_overflow)
{
	autosbuf struct sbuf b = SBUF_INIT(SIZE_MAX);

	ck_assert_int_eq(sbuf_adds(&b, "abc"), 0);
	ck_assert_int_eq(sbuf_add(&b, "x", SIZE_MAX - 1), -E2BIG);
	ck_assert_str_eq(sbuf_str(&b), "abc");
}
END_TEST

START_TEST(test_zero_ceiling)
{
	autosbuf struct sbuf b = SBUF_INIT(0);

	ck_assert_int_eq(sbuf_adds(&b, ""), 0);
	ck_assert_int_eq(sbuf_adds(&b, "a"), -E2BIG);
}
END_TEST

START_TEST(test_consume)
{
	autosbuf struct sbuf b = SBUF_INIT(100);

	sbuf_consume(&b, 3);
	sbuf_adds(&b, "abcdef");
	sbuf_consume(&b, 2);
	ck_assert_str_eq(sbuf_str(&b), "cdef");
	sbuf_consume(&b, 100);
	ck_assert_str_eq(sbuf_str(&b), "");
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(test_take)
{
	struct sbuf b = SBUF_INIT(3);
	size_t len = 9;
	autofree char *empty = sbuf_take(&b, &len);
	autofree char *full = NULL;

	ck_assert_str_eq(empty, "");
	ck_assert_uint_eq(len, 0);
	sbuf_adds(&b, "xyz");
	full = sbuf_take(&b, &len);
	ck_assert_str_eq(full, "xyz");
	ck_assert_uint_eq(len, 3);
	ck_assert_ptr_null(b.p);
	ck_assert_int_eq(sbuf_adds(&b, "abcd"), -E2BIG);
	sbuf_wipe(&b);
	ck_assert_int_eq(sbuf_adds(&b, "abc"), 0);
	sbuf_wipe(&b);
	ck_assert_ptr_null(b.p);
	ck_assert_uint_eq(b.max, 3);
}
END_TEST

START_TEST(test_read)
{
	autosbuf struct sbuf b = SBUF_INIT(6);
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(sbuf_read(&b, p[0], 10), -EAGAIN);
	ck_assert_int_eq(b.err, 0);
	ck_assert_int_eq(write(p[1], "abcdef", 6), 6);
	ck_assert_int_eq(sbuf_read(&b, p[0], 4), 4);
	ck_assert_int_eq(sbuf_read(&b, p[0], 400), 2);
	ck_assert_str_eq(sbuf_str(&b), "abcdef");
	close(p[1]);
	/* Full, but so is the input: no error. */
	ck_assert_int_eq(sbuf_read(&b, p[0], 4), 0);
	close(p[0]);
	ck_assert_int_eq(sbuf_read(&b, -1, 4), -EBADF);
}
END_TEST

START_TEST(test_read_too_much)
{
	autosbuf struct sbuf b = SBUF_INIT(2);
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	ck_assert_int_eq(write(p[1], "abc", 3), 3);
	ck_assert_int_eq(sbuf_read(&b, p[0], 10), 2);
	ck_assert_int_eq(sbuf_read(&b, p[0], 10), -E2BIG);
	ck_assert_int_eq(b.err, -E2BIG);
	close(p[0]);
	close(p[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sbuf");
	TCase *t = tcase_create("sbuf");

	tcase_add_test(t, test_append);
	tcase_add_test(t, test_grows);
	tcase_add_test(t, test_ceiling_is_exact);
	tcase_add_test(t, test_error_sticks);
	tcase_add_test(t, test_no_ceiling_overflow);
	tcase_add_test(t, test_zero_ceiling);
	tcase_add_test(t, test_consume);
	tcase_add_test(t, test_take);
	tcase_add_test(t, test_read);
	tcase_add_test(t, test_read_too_much);
	suite_add_tcase(s, t);
	return run_suite(s);
}
