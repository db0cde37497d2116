/* SPDX-License-Identifier: Apache-2.0 */
/* How every Check program ends. */
#ifndef SSM_TESTS_SUITE_H
#define SSM_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs S as CK_VERBOSITY and the like say, frees it; the exit status of main. */
static inline int
run_suite(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
