/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/map.c. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"
#include "core/base/mem.h"
#include "tests/unit/suite.h"

static int freed;

static void
count_free(void *value)
{
	freed++;
	free(value);
}

START_TEST(test_basic)
{
	struct map *m = map_new(NULL);
	int a, b;

	ck_assert_ptr_null(map_get(m, "a"));
	map_set(m, "a", &a);
	map_set(m, "", &b);
	ck_assert_ptr_eq(map_get(m, "a"), &a);
	ck_assert_ptr_eq(map_get(m, ""), &b);
	map_set(m, "a", &b);
	ck_assert_ptr_eq(map_get(m, "a"), &b);
	ck_assert_uint_eq(map_len(m), 2);
	ck_assert_ptr_eq(map_take(m, "a"), &b);
	ck_assert_ptr_null(map_take(m, "a"));
	ck_assert_ptr_null(map_get(m, "a"));
	ck_assert_uint_eq(map_len(m), 1);
	ck_assert_ptr_null(map_free(m));
	ck_assert_ptr_null(map_free(NULL));
	ck_assert_uint_eq(map_len(NULL), 0);
	ck_assert_ptr_null(map_get(NULL, "a"));
}
END_TEST

START_TEST(test_ownership)
{
	struct map *m = map_new(count_free);
	void *taken, *same = xstrdup("4");

	freed = 0;
	map_set(m, "a", xstrdup("1"));
	map_set(m, "a", xstrdup("2"));
	ck_assert_int_eq(freed, 1);
	map_set(m, "b", xstrdup("3"));
	map_set(m, "same", same);
	map_set(m, "same", same);
	ck_assert_int_eq(freed, 1);
	taken = map_take(m, "b");
	ck_assert_str_eq(taken, "3");
	free(taken);
	map_free(m);
	ck_assert_int_eq(freed, 3);
}
END_TEST

/* Against a plain array, with a fixed sequence of numbers: adding, replacing, removing. */
START_TEST(test_against_array)
{
	static intptr_t model[500];
	struct map *m = map_new(NULL);
	uint32_t x = 12345;
	size_t live = 0;

	memset(model, 0, sizeof(model));
	for (intptr_t step = 1; step < 50000; step++) {
		char key[16];
		size_t k;

		x = x * 1664525 + 1013904223;
		k = (x >> 8) % 500;
		snprintf(key, sizeof(key), "key-%zu", k);
		if (x >> 31) {
			live += model[k] == 0;
			model[k] = step;
			map_set(m, key, (void *)step);
		} else {
			live -= model[k] != 0;
			ck_assert_int_eq((intptr_t)map_take(m, key), model[k]);
			model[k] = 0;
		}
		ck_assert_uint_eq(map_len(m), live);
	}
	for (size_t k = 0; k < 500; k++) {
		char key[16];

		snprintf(key, sizeof(key), "key-%zu", k);
		ck_assert_int_eq((intptr_t)map_get(m, key), model[k]);
	}
	map_free(m);
}
END_TEST

START_TEST(test_order)
{
	struct map *m = map_new(NULL);
	size_t iter = 0;
	const char *key;
	void *value;
	int n = 0;

	ck_assert_int_eq(map_next(m, &iter, &key, &value), 0);
	for (intptr_t i = 0; i < 100; i++) {
		autofree char *k = xasprintf("%d", (int)i);

		map_set(m, k, (void *)(i + 1));
	}
	for (int i = 0; i < 100; i += 2) {
		autofree char *k = xasprintf("%d", i);

		map_take(m, k);
	}
	map_set(m, "1", (void *)(intptr_t)1000);
	for (iter = 0; map_next(m, &iter, &key, &value); n++) {
		ck_assert_int_eq(strtol(key, NULL, 10), 2 * n + 1);
		if (n == 0)
			ck_assert_int_eq((intptr_t)value, 1000);
	}
	ck_assert_int_eq(n, 50);
	map_free(m);
}
END_TEST

START_TEST(test_remove_while_iterating)
{
	struct map *m = map_new(NULL);
	size_t iter = 0;
	const char *key;
	int n = 0;

	for (int i = 0; i < 20; i++) {
		autofree char *k = xasprintf("%d", i);

		map_set(m, k, m);
	}
	while (map_next(m, &iter, &key, NULL)) {
		autofree char *copy = xstrdup(key);

		map_take(m, copy);
		n++;
	}
	ck_assert_int_eq(n, 20);
	ck_assert_uint_eq(map_len(m), 0);
	map_free(m);
}
END_TEST

/* Come and go for ever with few living entries: memory must not grow with the number of steps. */
START_TEST(test_churn)
{
	struct map *m = map_new(NULL);
	size_t iter = 0;

	for (int i = 0; i < 100000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		map_set(m, key, m);
		map_take(m, key);
	}
	ck_assert_uint_eq(map_len(m), 0);
	ck_assert_int_eq(map_next(m, &iter, NULL, NULL), 0);
	ck_assert_uint_le(iter, 64);
	map_free(m);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("map");
	TCase *t = tcase_create("map");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_basic);
	tcase_add_test(t, test_ownership);
	tcase_add_test(t, test_against_array);
	tcase_add_test(t, test_order);
	tcase_add_test(t, test_remove_while_iterating);
	tcase_add_test(t, test_churn);
	suite_add_tcase(s, t);
	return run_suite(s);
}
