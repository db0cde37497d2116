/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/restarts.c. DESIGN section 2: 1 s to 5 min, give or take a fifth; ten
 * ends within an hour switch it off. */
#include <check.h>
#include <string.h>

#include "core/agent/restarts.h"
#include "core/base/rand.h"
#include "tests/unit/suite.h"

#define MIN_MS 60000LL

static struct restarts r;
static unsigned char byte;

static void
bytes(void *p, size_t len)
{
	memset(p, byte, len);
}

static void
setup(void)
{
	restarts_forget(&r);
	byte = 0; /* the least there is */
	rand_replace(bytes);
}

static void
teardown(void)
{
	rand_replace(NULL);
}

/* Six minutes apart: never ten within an hour, and never steady. */
START_TEST(test_doubling)
{
	static const int64_t waits[] = { 1000,	2000,	4000,	8000,	16000, 32000,
					 64000, 128000, 256000, 300000, 300000, 300000 };
	int64_t now = 0;

	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		now += 7 * MIN_MS;
		ck_assert_int_eq(restarts_wait_ms(&r, now - 1, now), waits[i] - waits[i] / 5);
	}
}
END_TEST

START_TEST(test_spread)
{
	rand_replace(NULL);
	for (int i = 0; i < 1000; i++) {
		struct restarts one = { 0 };
		int64_t wait = restarts_wait_ms(&one, 0, 1);

		ck_assert_int_ge(wait, 800);
		ck_assert_int_le(wait, 1200);
	}
}
END_TEST

START_TEST(test_steady)
{
	ck_assert_int_eq(restarts_wait_ms(&r, 0, 1), 800);
	ck_assert_int_eq(restarts_wait_ms(&r, 1000, 1001), 1600);
	ck_assert_int_eq(restarts_wait_ms(&r, 5000, 5000 + 10 * MIN_MS - 1), 3200);
	ck_assert_int_eq(restarts_wait_ms(&r, 10 * MIN_MS, 20 * MIN_MS), 800);
}
END_TEST

START_TEST(test_ten_within_an_hour)
{
	int64_t now = 0;

	for (int i = 0; i < 9; i++, now += MIN_MS)
		ck_assert_int_gt(restarts_wait_ms(&r, now, now + MIN_MS), 0);
	ck_assert_int_eq(restarts_wait_ms(&r, now, now + MIN_MS), -1);
	restarts_forget(&r);
	ck_assert_int_eq(restarts_wait_ms(&r, now, now + 1), 800);
}
END_TEST

/* The first of the ten is an hour ago when the tenth comes. */
START_TEST(test_nine_within_an_hour)
{
	ck_assert_int_gt(restarts_wait_ms(&r, 0, 1), 0);
	for (int i = 1; i <= 8; i++)
		ck_assert_int_gt(restarts_wait_ms(&r, 0, i * MIN_MS), 0);
	ck_assert_int_gt(restarts_wait_ms(&r, 0, 60 * MIN_MS + 1), 0);
	ck_assert_int_eq(restarts_wait_ms(&r, 0, 60 * MIN_MS + 2), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("restarts");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_doubling);
	tcase_add_test(t, test_spread);
	tcase_add_test(t, test_steady);
	tcase_add_test(t, test_ten_within_an_hour);
	tcase_add_test(t, test_nine_within_an_hour);
	suite_add_tcase(s, t);
	return run_suite(s);
}
