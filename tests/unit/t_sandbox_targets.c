/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the sandbox's MaxConcurrency and MaxErrors. */
#include "core/base/mem.h"
#include "sdk/sandbox/targets.h"
#include "tests/unit/suite.h"

static const struct {
	const char *text;
	size_t count;
	int64_t share; /* -1: not one */
} shares[] = {
	{ "0", 50, 0 },	    { "7", 50, 7 },	    { "9999999", 3, 9999999 },
	{ "0%", 50, 0 },    { "10%", 50, 5 },	    { "10%", 59, 5 },
	{ "1%", 50, 0 },    { "100%", 50, 50 },	    { "100%", 100000, 100000 },
	{ "101%", 50, -1 }, { "10000000", 50, -1 }, { "", 50, -1 },
	{ "%", 50, -1 },    { "-1", 50, -1 },	    { "+1", 50, -1 },
	{ "01", 50, -1 },   { "1 ", 50, -1 },	    { "5%%", 50, -1 },
	{ "1.5%", 50, -1 },
};

START_TEST(test_share)
{
	const char *text = shares[_i].text;
	int64_t share = shares[_i].share;

	ck_assert_int_eq(targets_is_errors(text), share >= 0);
	ck_assert_int_eq(targets_is_concurrency(text), share >= 0 && *text != '0');
	ck_assert_int_eq(targets_share(text, shares[_i].count), share < 0 ? 0 : share);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sandbox_targets");
	TCase *t = tcase_create("targets");

	tcase_add_loop_test(t, test_share, 0, (int)NELEMS(shares));
	suite_add_tcase(s, t);
	return run_suite(s);
}
