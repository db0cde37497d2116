/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/tool/outcome.c: replies, and the exit status that stands for them. */
#include <check.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/tool/outcome.h"
#include "core/tool/tool.h"
#include "tests/unit/suite.h"

#define STEP(name, status, code) \
	"\"" name "\":{\"status\":\"" status "\",\"code\":" code ",\"output\":\"\"}"
#define REPLY(document, steps) \
	"{\"documentStatus\":\"" document "\",\"documentTraceOutput\":\"\",\"runtimeStatus\":{" \
	steps "}}"

static const struct {
	const char *replies[4];
	int status;
} cases[] = {
	{ { REPLY("Success", STEP("a", "Success", "0")) }, 0 },
	{ { REPLY("InProgress", STEP("a", "Failed", "7")),
	    REPLY("InProgress", STEP("b", "Failed", "9")), REPLY("Failed", "") },
	  7 },
	{ { REPLY("InProgress", STEP("a", "TimedOut", "137")), REPLY("TimedOut", "") }, 124 },
	{ { REPLY("Failed", STEP("a", "Failed", "256")) }, 1 },
	{ { REPLY("Failed", STEP("a", "Failed", "-1")) }, 1 },
	{ { REPLY("Cancelled", "") }, 130 },
	{ { REPLY("SuccessAndReboot", STEP("a", "SuccessAndReboot", "0")) }, 194 },
	{ { "{\"documentStatus\":\"Failed\",\"documentTraceOutput\":\"no\",\"runtimeStatus\":"
	    "null}" },
	  125 },
	{ { REPLY("InProgress", "") }, 125 },
	{ { NULL }, 125 },
	{ { "nonsense", "[]", "{\"documentStatus\":5,\"runtimeStatus\":[1]}" }, 125 },
	{ { REPLY("Success", STEP("a", "Success", "0")), "{" }, 0 },
};

START_TEST(test_exit)
{
	struct outcome *o = outcome_new();

	for (size_t i = 0; i < 4 && cases[_i].replies[i]; i++)
		outcome_add(o, cases[_i].replies[i], NULL);
	ck_assert_int_eq(outcome_exit(o), cases[_i].status);
	outcome_free(o);
}
END_TEST

/* The final reply of a single step repeats it; after a restart of the machine one comes anew. */
START_TEST(test_steps)
{
	struct outcome *o = outcome_new();
	size_t fresh = 9;

	outcome_add(o, REPLY("InProgress", STEP("a", "SuccessAndReboot", "194")), &fresh);
	ck_assert_uint_eq(fresh, 1);
	outcome_add(o, REPLY("InProgress", STEP("a", "Success", "0")), &fresh);
	ck_assert_uint_eq(fresh, 1);
	outcome_add(o, REPLY("Success", STEP("a", "Success", "0")), &fresh);
	ck_assert_uint_eq(fresh, 0);
	ck_assert_uint_eq(json_array_size(o->steps), 1);
	ck_assert_str_eq(json_str(json_array_get(o->steps, 0), "status", ""), "Success");
	ck_assert_str_eq(o->status, "Success");
	ck_assert_ptr_null(outcome_free(o));
	ck_assert_ptr_null(outcome_free(NULL));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("outcome");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, test_exit, 0, (int)NELEMS(cases));
	tcase_add_test(t, test_steps);
	suite_add_tcase(s, t);
	return run_suite(s);
}
