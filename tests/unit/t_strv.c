/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/strv.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "tests/unit/suite.h"

START_TEST(test_build)
{
	autostrv char **v = NULL;
	autofree char *joined = NULL;

	ck_assert_uint_eq(strv_len(v), 0);
	ck_assert(!strv_has(v, "a"));
	strv_add(&v, "a");
	strv_push(&v, xstrdup("b"));
	strv_addf(&v, "%s%d", "c", 3);
	ck_assert_uint_eq(strv_len(v), 3);
	ck_assert(strv_has(v, "c3"));
	ck_assert(!strv_has(v, "c"));
	joined = strv_join(v, ", ");
	ck_assert_str_eq(joined, "a, b, c3");
}
END_TEST

START_TEST(test_many)
{
	autostrv char **v = NULL, **copy = NULL;

	for (int i = 0; i < 1000; i++)
		strv_addf(&v, "%d", i);
	copy = strv_dup(v);
	for (int i = 0; i < 1000; i++)
		strv_addf(&copy, "%d", 1000 + i);
	ck_assert_uint_eq(strv_len(v), 1000);
	ck_assert_uint_eq(strv_len(copy), 2000);
	ck_assert_str_eq(copy[999], "999");
	ck_assert_str_eq(copy[1999], "1999");
	ck_assert_ptr_ne(v[0], copy[0]);
}
END_TEST

START_TEST(test_empty)
{
	autofree char *joined = strv_join(NULL, ",");

	ck_assert_str_eq(joined, "");
	ck_assert_ptr_null(strv_dup(NULL));
	ck_assert_ptr_null(strv_free(NULL));
}
END_TEST

static void
check_split(const char *text, const char *seps, const char *want)
{
	autostrv char **v = strv_split(text, seps);
	autofree char *joined = strv_join(v, "|");

	ck_assert_str_eq(joined, want);
}

START_TEST(test_split)
{
	check_split("a,b;c", ",;", "a|b|c");
	check_split(" a b , , c\t,,", ",", "a b|c");
	check_split("", ",", "");
	check_split(" \t\r\n", ",", "");
	check_split("one", ",", "one");
	check_split("a b  c", " ", "a|b|c");
}
END_TEST

START_TEST(test_env)
{
	autostrv char **v = NULL;

	strv_env_set(&v, "A", "1");
	strv_env_set(&v, "AB", "2");
	strv_env_set(&v, "C", "");
	ck_assert_str_eq(strv_env_get(v, "A"), "1");
	ck_assert_str_eq(strv_env_get(v, "AB"), "2");
	ck_assert_str_eq(strv_env_get(v, "C"), "");
	ck_assert_ptr_null(strv_env_get(v, "B"));
	strv_env_set(&v, "A", "3=3");
	ck_assert_str_eq(v[0], "A=3=3");
	ck_assert_str_eq(strv_env_get(v, "A"), "3=3");
	strv_env_set(&v, "AB", NULL);
	ck_assert_ptr_null(strv_env_get(v, "AB"));
	ck_assert_uint_eq(strv_len(v), 2);
}
END_TEST

/* An environment from outside may name a variable twice: a program might take either. */
START_TEST(test_env_duplicates)
{
	autostrv char **v = NULL;

	strv_add(&v, "A=1");
	strv_add(&v, "B=1");
	strv_add(&v, "A=2");
	strv_env_set(&v, "A", "9");
	ck_assert_uint_eq(strv_len(v), 2);
	ck_assert_str_eq(v[0], "A=9");
	strv_add(&v, "A=3");
	strv_env_set(&v, "A", NULL);
	ck_assert_uint_eq(strv_len(v), 1);
	strv_env_set(&v, "B", NULL);
	ck_assert_uint_eq(strv_len(v), 0);
	strv_env_set(&v, "B", "2");
	ck_assert_str_eq(v[0], "B=2");
	ck_assert_ptr_null(v[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("strv");
	TCase *t = tcase_create("strv");

	tcase_add_test(t, test_build);
	tcase_add_test(t, test_many);
	tcase_add_test(t, test_empty);
	tcase_add_test(t, test_split);
	tcase_add_test(t, test_env);
	tcase_add_test(t, test_env_duplicates);
	suite_add_tcase(s, t);
	return run_suite(s);
}
