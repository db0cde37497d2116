/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/clock.c. */
#include <check.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "core/base/clock.h"
#include "tests/unit/suite.h"

static int64_t
seven(void)
{
	return 7;
}

START_TEST(test_real)
{
	int64_t a = clock_mono_ms(), b = clock_mono_ms();
	int64_t wall = clock_wall_ms();

	ck_assert_int_ge(a, 0);
	ck_assert_int_ge(b, a);
	ck_assert_int_le(llabs(wall / 1000 - time(NULL)), 5);
}
END_TEST

START_TEST(test_replace)
{
	static const struct clock_ops both = { seven, seven };
	static const struct clock_ops one = { .wall_ms = seven };

	clock_replace(&both);
	ck_assert_int_eq(clock_mono_ms(), 7);
	ck_assert_int_eq(clock_wall_ms(), 7);
	clock_replace(&one);
	ck_assert_int_eq(clock_wall_ms(), 7);
	ck_assert_int_gt(clock_mono_ms(), 7);
	clock_replace(NULL);
	ck_assert_int_gt(clock_wall_ms(), 1600000000000);
}
END_TEST

START_TEST(test_timeval)
{
	struct timeval tv;

	clock_timeval(12345, &tv);
	ck_assert_int_eq(tv.tv_sec, 12);
	ck_assert_int_eq(tv.tv_usec, 345000);
	clock_timeval(-1, &tv);
	ck_assert_int_eq(tv.tv_sec, 0);
	ck_assert_int_eq(tv.tv_usec, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("clock");
	TCase *t = tcase_create("clock");

	tcase_add_test(t, test_real);
	tcase_add_test(t, test_replace);
	tcase_add_test(t, test_timeval);
	suite_add_tcase(s, t);
	return run_suite(s);
}
