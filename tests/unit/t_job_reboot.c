/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that ask for a restart of the machine: core/agent/job_reboot.c. DESIGN section 2. */
#include <signal.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/proc.h"
#include "tests/unit/hostpeer.h"
#include "tests/unit/joblab.h"
#include "tests/unit/suite.h"

/* --------------------------------------------------------------- reboot */

static bool
is_restart_due(void)
{
	autojson json_t *r = dispatch_report(dispatch);

	return json_bool(r, "restart", false);
}

static bool
has_restart(const void *arg)
{
	(void)arg;
	return is_restart_due();
}

/* A restart that does nothing. */
static void
set_reboot_command(void)
{
	dispatch_free(dispatch);
	configure("Agent.RebootCommand=/bin/true");
	open_dispatch();
}

static void
new_boot(const char *id)
{
	dispatch_free(dispatch);
	proc_replace_boot_id(id);
	open_dispatch();
}

/* With the same boot it waits on, and nothing else starts; with another one it goes on. */
START_TEST(test_reboot)
{
	set_reboot_command();
	command(1, "reply once:5 final");
	until(has_restart, NULL);
	command(2, "final");
	until_sent(2, 'a', 1);
	let_pass(300);
	ck_assert_uint_eq(reported("running"), 0);
	ck_assert_uint_eq(reported("queued"), 2);
	restart();
	let_pass(300);
	ck_assert(is_restart_due());
	ck_assert_uint_eq(reported("queued"), 2);
	ck_assert_uint_eq(starts_of(1), 1);
	new_boot("second");
	until_idle();
	ck_assert(!is_restart_due());
	ck_assert_uint_eq(starts_of(1), 2);
	ck_assert_uint_eq(starts_of(2), 1);
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
	ck_assert_str_eq(last_reply(2), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* Three starts without anything new are enough. */
START_TEST(test_reboot_for_ever)
{
	char boot[] = "boot 0";

	set_reboot_command();
	command(1, "put:k=same end:5");
	for (size_t i = 1; i <= 3; i++) {
		until(has_restart, NULL);
		ck_assert_uint_eq(starts_of(1), i);
		boot[5]++;
		new_boot(boot);
	}
	until_idle();
	ck_assert_uint_eq(starts_of(1), 3);
	ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
	ck_assert(says(last_reply(1), "3 times (exit code 194)"));
}
END_TEST

START_TEST(test_reboot_cancelled)
{
	set_reboot_command();
	command(1, "once:4 final");
	until(has_restart, NULL);
	cancel(2, 1);
	until_idle();
	ck_assert(says(last_reply(1), "\"notice\":\"Cancelled\""));
	new_boot("second");
	let_pass(300);
	ck_assert_uint_eq(starts_of(1), 1);
}
END_TEST

/* What runs may go on; a restart of the agent forgets neither. */
START_TEST(test_reboot_waits)
{
	set_reboot_command();
	command(1, "cancel final");
	until_running(1);
	command(2, "once:5 final");
	until(has_restart, NULL);
	let_pass(200);
	ck_assert_uint_eq(reported("running"), 1);
	cancel(3, 1);
	until_sent(1, 'r', 2);
	ck_assert_str_eq(last_reply(1), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* Where it cannot be done the command fails with the reason, and work goes on. */
START_TEST(test_reboot_impossible)
{
	command(1, "once:5 final");
	until(has_restart, NULL);
	command(2, "final");
	until_idle();
	ck_assert(says(last_reply(1), "\"notice\":\"Failed\""));
	ck_assert(says(last_reply(1), "Agent.RebootCommand is not set"));
	ck_assert_str_eq(last_reply(2), "{\"documentStatus\":\"Success\"}");
}
END_TEST

/* A host that died after it asked has not asked in order. */
START_TEST(test_reboot_unasked)
{
	command(1, "reply crash");
	until_idle();
	new_boot("second");
	let_pass(300);
	ck_assert_uint_eq(starts_of(1), 1);
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("job_reboot");
	TCase *t = tcase_create("all");

	if (argc > 1 && strcmp(argv[1], "--job") == 0)
		return hostpeer_main();
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_reboot);
	tcase_add_test(t, test_reboot_for_ever);
	tcase_add_test(t, test_reboot_cancelled);
	tcase_add_test(t, test_reboot_waits);
	tcase_add_test(t, test_reboot_impossible);
	tcase_add_test(t, test_reboot_unasked);
	suite_add_tcase(s, t);
	return run_suite(s);
}
