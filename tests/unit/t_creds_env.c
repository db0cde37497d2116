/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/creds_env.c: the rows of spec/04 section 3.2. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/creds.h"
#include "core/base/mem.h"
#include "tests/unit/credask.h"
#include "tests/unit/suite.h"

static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY",
				    "AWS_SECRET_KEY", "AWS_SESSION_TOKEN"};

static struct answer
ask(const char *const values[NELEMS(names)])
{
	struct creds_provider p = creds_env_provider();

	for (size_t i = 0; i < NELEMS(names); i++) {
		if (values[i])
			setenv(names[i], values[i], 1);
		else
			unsetenv(names[i]);
	}
	return ask_provider(NULL, &p);
}

static const struct {
	const char *values[NELEMS(names)];
	const char *key, *secret, *token; /* KEY NULL: passed over */
	const char *why;		  /* part of it */
} rows[] = {
	{{"AKID", NULL, "s3cret", NULL, NULL}, "AKID", "s3cret", NULL, NULL},
	{{"AKID", NULL, "s3cret", NULL, "tok"}, "AKID", "s3cret", "tok", NULL},
	{{NULL, "OLD", NULL, "oldsecret", NULL}, "OLD", "oldsecret", NULL, NULL},
	{{"AKID", "OLD", "s3cret", "oldsecret", NULL}, "AKID", "s3cret", NULL, NULL},
	{{"", "OLD", "", "oldsecret", ""}, "OLD", "oldsecret", NULL, NULL},
	{{"AKID", NULL, "with blank ", NULL, NULL}, "AKID", "with blank ", NULL, NULL},
	{{NULL}, NULL, NULL, NULL, "not configured (AWS_ACCESS_KEY_ID is not set)"},
	{{"", "", "", "", "tok"},
	 NULL,
	 NULL,
	 NULL,
	 "not configured (AWS_ACCESS_KEY_ID is not set)"},
	{{"AKID", NULL, NULL, NULL, NULL}, NULL, NULL, NULL, "AWS_SECRET_ACCESS_KEY is not"},
	{{NULL, NULL, "s3cret", NULL, NULL}, NULL, NULL, NULL, "AWS_ACCESS_KEY_ID is not"},
	{{"AKID\r\nX: y", NULL, "s3cret", NULL, NULL}, NULL, NULL, NULL, "control character"},
	{{" AKID", NULL, "s3cret", NULL, NULL}, NULL, NULL, NULL, "access key id holds"},
	{{"AKID", NULL, "s3cret\n", NULL, NULL}, NULL, NULL, NULL, "secret access key holds"},
	{{"AKID", NULL, "s3cret", NULL, "t\n"}, NULL, NULL, NULL, "session token holds"},
	{{"AKID", NULL, "s3cret", NULL, "t\xff"}, NULL, NULL, NULL, "session token holds"},
};

START_TEST(test_rows)
{
	struct answer a = ask(rows[_i].values);

	if (rows[_i].key) {
		ck_assert_ptr_nonnull(a.set);
		ck_assert_ptr_null(a.why);
		ck_assert_str_eq(a.set->access_key, rows[_i].key);
		ck_assert_str_eq(a.set->secret_key, rows[_i].secret);
		ck_assert_pstr_eq(a.set->token, rows[_i].token);
		ck_assert_str_eq(a.set->source, "environment");
		ck_assert_int_eq(a.set->expires_ms, 0);
	} else {
		ck_assert_ptr_null(a.set);
		ck_assert_msg(strstr(a.why, rows[_i].why) != NULL, "%s", a.why);
		ck_assert_ptr_null(strstr(a.why, "s3cret"));
	}
	answer_done(&a);
}
END_TEST

START_TEST(test_huge)
{
	autofree char *token = xcalloc(100001, 1);
	const char *values[NELEMS(names)] = {"AKID", NULL, "s3cret", NULL, token};
	struct answer a;

	memset(token, 'x', 100000);
	a = ask(values);
	ck_assert_ptr_null(a.set);
	ck_assert_ptr_nonnull(strstr(a.why, "more than 16384 bytes"));
	answer_done(&a);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("creds_env");
	TCase *tc = tcase_create("creds_env");

	tcase_add_loop_test(tc, test_rows, 0, NELEMS(rows));
	tcase_add_test(tc, test_huge);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
