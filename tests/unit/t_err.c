/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/err.c. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/text.h"
#include "tests/unit/suite.h"

START_TEST(test_set)
{
	struct err e = { 0, "" };

	ck_assert_str_eq(err_text(&e), "no error");
	ck_assert_str_eq(err_text(NULL), "no error");
	ck_assert_int_eq(err_set(&e, -EINVAL, "'%s' is %d", "x", 7), -EINVAL);
	ck_assert_int_eq(e.code, -EINVAL);
	ck_assert_str_eq(err_text(&e), "'x' is 7");
	ck_assert_int_eq(err_set(&e, ENOENT, "y"), -ENOENT);
	ck_assert_int_eq(err_set(NULL, EPERM, "z"), -EPERM);
}
END_TEST

START_TEST(test_text_of_code)
{
	struct err e = { -ENOENT, "" };

	ck_assert_str_eq(err_text(&e), strerror(ENOENT));
}
END_TEST

START_TEST(test_prefix)
{
	struct err e = { 0, "" };

	err_set(&e, -EIO, "disk broke");
	ck_assert_int_eq(err_prefix(&e, "job %d", 3), -EIO);
	ck_assert_str_eq(err_text(&e), "job 3: disk broke");
	ck_assert_int_eq(err_prefix(NULL, "a"), 0);
}
END_TEST

/* The old text as an argument of the new one. */
START_TEST(test_set_from_itself)
{
	struct err e = { 0, "" };

	err_set(&e, -EIO, "inner");
	err_set(&e, -EINVAL, "outer (%s)", e.text);
	ck_assert_str_eq(e.text, "outer (inner)");
}
END_TEST

START_TEST(test_errno_is_kept)
{
	struct err e;

	errno = ENOTDIR;
	err_set(&e, -EINVAL, "%m");
	ck_assert_int_eq(errno, ENOTDIR);
	ck_assert_str_eq(e.text, strerror(ENOTDIR));
}
END_TEST

START_TEST(test_one_line)
{
	struct err e;

	err_set(&e, -EINVAL, "a\nb\r\nc");
	ck_assert_str_eq(e.text, "a b  c");
}
END_TEST

/* Each position of the cut: never half a character. */
/* S15: what a message quotes cannot steer the terminal of whoever reads it. */
START_TEST(test_S15_no_controls)
{
	struct err e = { 0, "" };

	err_set(&e, -EINVAL, "a%sb", "\x1b[31m\xc2\x9b\xe2\x80\xae\xd8\x9c\xe2\x81\xa6\xff");
	ck_assert_str_eq(err_text(&e), "a\\x1b[31m\\xc2\\x9b\\xe2\\x80\\xae\\xd8\\x9c"
				       "\\xe2\\x81\\xa6\\xffb");
}
END_TEST

START_TEST(test_cut)
{
	char filler[600];
	static const char *const chars[] = { "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80" };

	for (size_t c = 0; c < 3; c++) {
		for (size_t n = 508; n < 520; n++) {
			struct err e;

			memset(filler, 'a', n);
			filler[n] = '\0';
			err_set(&e, -EINVAL, "%s%s%s", filler, chars[c], chars[c]);
			ck_assert_uint_ge(strlen(e.text), 508);
			ck_assert(text_utf8_valid(e.text, strlen(e.text)));
			err_prefix(&e, "prefix");
			ck_assert(text_utf8_valid(e.text, strlen(e.text)));
		}
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("err");
	TCase *t = tcase_create("err");

	tcase_add_test(t, test_set);
	tcase_add_test(t, test_text_of_code);
	tcase_add_test(t, test_prefix);
	tcase_add_test(t, test_set_from_itself);
	tcase_add_test(t, test_errno_is_kept);
	tcase_add_test(t, test_one_line);
	tcase_add_test(t, test_S15_no_controls);
	tcase_add_test(t, test_cut);
	suite_add_tcase(s, t);
	return run_suite(s);
}
