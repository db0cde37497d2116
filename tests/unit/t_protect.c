/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/protect.c. spec/07 S7. */
#include <check.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "core/agent/protect.h"
#include "core/base/mem.h"
#include "tests/unit/suite.h"

static const struct {
	bool trial;
	int dumpable;
} cases[] = { { true, 1 }, { false, 0 } };

START_TEST(t_protect)
{
	struct rlimit before, after;

	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &before), 0);
	before.rlim_cur = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_CORE, &before), 0);
	protect_memory(cases[_i].trial);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), cases[_i].dumpable);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &after), 0);
	ck_assert_uint_eq(after.rlim_cur, 0);
	ck_assert_uint_eq(after.rlim_max, before.rlim_max);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("protect");
	TCase *t = tcase_create("protect");

	tcase_add_loop_test(t, t_protect, 0, (int)NELEMS(cases));
	suite_add_tcase(s, t);
	return run_suite(s);
}
