/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/rand.c. */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rand.h"
#include "tests/unit/suite.h"

static uint64_t next;

static void
fixed(void *p, size_t len)
{
	memset(p, 0, len);
	memcpy(p, &next, len < sizeof(next) ? len : sizeof(next));
	next = 3;
}

static void
all_ones(void *p, size_t len)
{
	memset(p, 0xFF, len);
}

START_TEST(test_bytes)
{
	unsigned char a[1000] = { 0 }, b[1000] = { 0 };

	rand_bytes(a, sizeof(a));
	rand_bytes(b, sizeof(b));
	ck_assert_mem_ne(a, b, sizeof(a));
	rand_bytes(NULL, 0);
}
END_TEST

START_TEST(test_uuid)
{
	char a[RAND_UUID_SIZE], b[RAND_UUID_SIZE];

	rand_uuid4(a);
	rand_uuid4(b);
	ck_assert_str_ne(a, b);
	ck_assert_uint_eq(strlen(a), 36);
	ck_assert_uint_eq(strspn(a, "0123456789abcdef-"), 36);
	rand_replace(all_ones);
	rand_uuid4(a);
	ck_assert_str_eq(a, "ffffffff-ffff-4fff-bfff-ffffffffffff");
	rand_replace(NULL);
}
END_TEST

START_TEST(test_between_limits)
{
	bool seen[5] = { false };

	for (int i = 0; i < 2000; i++) {
		int64_t r = rand_between(-2, 2);

		ck_assert_int_ge(r, -2);
		ck_assert_int_le(r, 2);
		seen[r + 2] = true;
	}
	for (int i = 0; i < 5; i++)
		ck_assert(seen[i]);
	ck_assert_int_eq(rand_between(7, 7), 7);
	(void)rand_between(INT64_MIN, INT64_MAX);
	ck_assert_int_ge(rand_between(INT64_MAX - 1, INT64_MAX), INT64_MAX - 1);
	ck_assert_int_le(rand_between(INT64_MIN, INT64_MIN + 1), INT64_MIN + 1);
}
END_TEST

/* 2^64 mod 6 is 4: the numbers 0 to 3 are refused, so that each result has as many sources. */
START_TEST(test_between_rejects)
{
	rand_replace(fixed);
	next = 4;
	ck_assert_int_eq(rand_between(0, 5), 4);
	next = UINT64_MAX;
	ck_assert_int_eq(rand_between(0, 5), 3);
	/* A source that only ever gives refused numbers ends as well. */
	next = 3;
	ck_assert_int_eq(rand_between(0, 5), 3);
	rand_replace(NULL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("rand");
	TCase *t = tcase_create("rand");

	tcase_add_test(t, test_bytes);
	tcase_add_test(t, test_uuid);
	tcase_add_test(t, test_between_limits);
	tcase_add_test(t, test_between_rejects);
	suite_add_tcase(s, t);
	return run_suite(s);
}
