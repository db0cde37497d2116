/* SPDX-License-Identifier: Apache-2.0 */
/* What `ssmctl status` answers: healthy or not, and each thing that is wrong as one sentence. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/identity.h"
#include "core/agent/status.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "tests/unit/suite.h"

static struct identity node;
static struct status_facts facts;
static json_t *health, *jobs, *plugins;

static json_t *
parse(const char *text)
{
	json_t *v = json_loads(text, 0, NULL);

	ck_assert_ptr_nonnull(v);
	return v;
}

static void
setup(void)
{
	memset(&node, 0, sizeof(node));
	node.instance_id = (char *)(uintptr_t)"i-1";
	node.region = (char *)(uintptr_t)"eu-west-1";
	health = parse("{\"last_success\":\"2026-01-02T03:04:05.000Z\",\"failures\":0}");
	jobs = parse("{\"running\":[],\"queued\":[],\"unconfirmed\":[],\"reserve\":true}");
	plugins = parse("[{\"name\":\"good\",\"state\":\"loaded\"}]");
	facts = (struct status_facts){ .who = &node,
				       .started_ms = 1000,
				       .connected = true,
				       .poll_changed_ms = 2000,
				       .credentials = "ecs",
				       .health = health,
				       .jobs = jobs,
				       .plugins = plugins };
}

static void
teardown(void)
{
	json_decref(health);
	json_decref(jobs);
	json_decref(plugins);
}

/* The report is unhealthy for exactly one reason, TEXT, which people see, too. */
static void
expect_problem(const char *text)
{
	autojson json_t *r = status_report(&facts);
	const json_t *problems = json_object_get(r, "problems");

	ck_assert(!json_bool(r, "healthy", true));
	ck_assert_uint_eq(json_array_size(problems), 1);
	ck_assert_str_eq(json_string_value(json_array_get(problems, 0)), text);
	ck_assert_ptr_nonnull(strstr(json_str(r, "text", ""), text));
}

START_TEST(test_healthy)
{
	autojson json_t *r = status_report(&facts);

	ck_assert(json_bool(r, "healthy", false));
	ck_assert_uint_eq(json_array_size(json_object_get(r, "problems")), 0);
	ck_assert_str_eq(json_str(r, "connected_since", ""), "1970-01-01T00:00:02.000Z");
	ck_assert_ptr_nonnull(strstr(json_str(r, "text", ""),
				     "Service:     connected to ec2messages since "
				     "1970-01-01T00:00:02.000Z\n"
				     "Last ping:   2026-01-02T03:04:05.000Z\n"
				     "Credentials: ecs\n"
				     "Commands:    0 running, 0 queued, 0 answered and not "
				     "confirmed\n"
				     "Problems:    none\n"));
}
END_TEST

START_TEST(test_not_connected)
{
	facts.connected = false;
	facts.poll_error = "127.0.0.1: connection refused";
	expect_problem("ec2messages is not connected: 127.0.0.1: connection refused");
}
END_TEST

START_TEST(test_no_node)
{
	facts.who = NULL;
	facts.connected = false;
	facts.health = facts.jobs = NULL;
	expect_problem("it is not known yet which node this is (ssmctl whoami)");
}
END_TEST

START_TEST(test_no_credentials)
{
	facts.credentials = NULL;
	facts.credentials_error = "no source has any";
	expect_problem("there are no credentials (ssmctl whoami): no source has any");
}
END_TEST

START_TEST(test_ping_fails)
{
	(void)json_object_set_new(health, "failures", json_integer(3));
	(void)json_object_set_new(health, "last_error", json_string("AccessDeniedException"));
	expect_problem("UpdateInstanceInformation failed 3 time(s): AccessDeniedException");
}
END_TEST

START_TEST(test_refused_plugin)
{
	(void)json_array_append_new(
		plugins,
		parse("{\"name\":\"bad\",\"state\":\"refused\",\"reason\":\"not ELF\"}"));
	expect_problem("plugin 'bad': not ELF");
}
END_TEST

START_TEST(test_reserve_used)
{
	(void)json_object_set_new(jobs, "reserve", json_false());
	expect_problem("the disk of the state folder is or was full: the reserve for answers is "
		       "used up; free some space");
}
END_TEST

START_TEST(test_rows)
{
	json_t *running = json_object_get(jobs, "running");
	autojson json_t *r = NULL;

	for (int i = 0; i < 25; i++)
		(void)json_array_append_new(
			running, json_pack("{s:s,s:I,s:s,s:i,s:b}", "id", "job-x", "started_ms",
					   (json_int_t)1000, "plugin", "runCommand", "pid", 77,
					   "cancelled", i == 0));
	r = status_report(&facts);
	ck_assert_ptr_nonnull(strstr(json_str(r, "text", ""),
				     "Commands:    25 running, 0 queued, 0 answered and not "
				     "confirmed\n"
				     "  running job-x since 1970-01-01T00:00:01.000Z, plugin "
				     "runCommand, pid 77, cancelled\n"));
	ck_assert_ptr_nonnull(strstr(json_str(r, "text", ""), "\n  ... and 5 more\n"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("status");
	TCase *tc = tcase_create("status");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_healthy);
	tcase_add_test(tc, test_not_connected);
	tcase_add_test(tc, test_no_node);
	tcase_add_test(tc, test_no_credentials);
	tcase_add_test(tc, test_ping_fails);
	tcase_add_test(tc, test_refused_plugin);
	tcase_add_test(tc, test_reserve_used);
	tcase_add_test(tc, test_rows);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
