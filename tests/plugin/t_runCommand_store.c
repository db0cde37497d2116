/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter store in the life of a document: limits, cancel, reboot. What a token becomes is in
 * tests/vectors/documents/store.json. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "plugins/runCommand/doc.h"
#include "plugins/runCommand/handle.h"
#include "plugins/runCommand/params.h"
#include "tests/plugin/t_runCommand_fake.h"
#include "tests/unit/suite.h"

/* One step; SCRIPT is its only line. */
static void
set_script(struct fake *f, const char *script)
{
	json_decref(f->message);
	f->message =
		json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:[{s:s, s:s, s:{s:[s]}}]}}}", "MessageId",
			  "aws.ssm.01234567-890a-bcde-f012-34567890abcd.i-0123456789abcdef0",
			  "Topic", "aws.ssm.sendCommand.i-0123456789abcdef0", "Payload",
			  "CommandId", "x", "DocumentContent", "schemaVersion", "2.2", "mainSteps",
			  "action", "aws:runShellScript", "name", "a", "inputs", "runCommand",
			  script);
	ck_assert_ptr_nonnull(f->message);
}

static void
set_value(struct fake *f, const char *name, const char *value)
{
	f->store = f->store ? f->store : json_object();
	json_object_set_new(f->store, name, json_pack("{s:s}", "Value", value));
}

static char *
names(size_t count)
{
	struct sbuf b = SBUF_INIT(1 << 20);

	sbuf_adds(&b, "true");
	for (size_t i = 0; i < count; i++)
		sbuf_addf(&b, " {{ssm:n%zu}}", i);
	return sbuf_take(&b, NULL);
}

/* No document makes us call for ever. */
START_TEST(test_too_many)
{
	autofree char *most = names(STORE_MAX_NAMES), *more = names(STORE_MAX_NAMES + 1);
	struct fake f;

	fake_init(&f);
	for (size_t i = 0; i < STORE_MAX_NAMES; i++) {
		autofree char *name = xasprintf("n%zu", i);

		set_value(&f, name, "v");
	}
	set_script(&f, most);
	ck_assert_int_eq(handle_command(&f.S, NULL), 0);
	ck_assert_uint_eq(json_array_size(f.calls), STORE_MAX_NAMES / STORE_NAMES_PER_CALL);
	ck_assert_ptr_nonnull(strstr(fake_reply(&f, 0), "\"status\":\"Success\""));
	set_script(&f, more);
	ck_assert_int_eq(handle_command(&f.S, NULL), 0);
	ck_assert_uint_eq(json_array_size(f.calls), STORE_MAX_NAMES / STORE_NAMES_PER_CALL);
	ck_assert_ptr_nonnull(strstr(fake_reply(&f, 2), "names more than 1000 parameters"));
	fake_done(&f);
}
END_TEST

/* What is put in counts like parameters of the document. */
START_TEST(test_too_large)
{
	autofree char *large = xcalloc(1, (4 << 20) + 1);
	struct fake f;

	fake_init(&f);
	memset(large, 'x', 4 << 20);
	set_value(&f, "n", large);
	set_script(&f, ": {{ssm:n}} {{ssm:n}} {{ssm:n}} {{ssm:n}}");
	ck_assert_int_eq(handle_command(&f.S, NULL), 0);
	ck_assert_uint_eq(json_array_size(f.replies), 1);
	ck_assert_ptr_nonnull(strstr(fake_reply(&f, 0), "the document grows above 16777216 bytes"));
	json_object_set_new(json_object_get(f.store, "n"), "Type", json_string("StringList"));
	set_script(&f, "{{ssm:n}}");
	for (int i = 0; i < 4; i++)
		json_array_append_new(json_at(f.message,
					      "/Payload/DocumentContent/mainSteps/0/"
					      "inputs/runCommand"),
				      json_string("{{ssm:n}}"));
	ck_assert_int_eq(handle_command(&f.S, NULL), 0);
	ck_assert_ptr_nonnull(strstr(fake_reply(&f, 1), "the document grows above 16777216 bytes"));
	fake_done(&f);
}
END_TEST

/* A cancel while the store is asked: no reply of ours, the agent says Cancelled. */
START_TEST(test_cancelled)
{
	struct fake f;

	fake_init(&f);
	f.store = json_pack("{s:i}", "fails", ECANCELED);
	set_script(&f, "echo {{ssm:n}}");
	ck_assert_int_eq(handle_command(&f.S, NULL), -ECANCELED);
	ck_assert_uint_eq(json_array_size(f.replies), 0);
	ck_assert_str_eq(f.error, "the command was cancelled before its first step");
	fake_done(&f);
}
END_TEST

/* A service that cannot be reached, and none at all. */
START_TEST(test_failures)
{
	static const struct {
		int error;
		const char *want;
	} cases[] = { { ETIMEDOUT, "API. Error: Connection timed out\"" },
		      { EPIPE, "API. Error: Broken pipe\"" },
		      { ENOSYS, "API. Error: there is no agent to ask\"" } };

	for (size_t i = 0; i < NELEMS(cases); i++) {
		struct fake f;

		fake_init(&f);
		f.store = json_pack("{s:i}", "fails", cases[i].error);
		set_script(&f, "echo {{ssm:n}}");
		ck_assert_int_eq(handle_command(&f.S, NULL), 0);
		ck_assert_ptr_nonnull(strstr(fake_reply(&f, 0), cases[i].want));
		ck_assert_ptr_nonnull(strstr(fake_reply(&f, 0), "\"documentStatus\":\"Failed\""));
		fake_done(&f);
	}
}
END_TEST

static int32_t
life(struct fake *f)
{
	json_array_clear(f->replies);
	json_array_clear(f->calls);
	return handle_command(&f->S, NULL);
}

/* The life of a document does not end with a reboot of the machine. */
START_TEST(test_reboot)
{
	struct fake f;

	fake_init(&f);
	set_value(&f, "n", "old");
	set_script(&f,
		   "echo {{ssm:n}}; [ ! -e $0.flag ] || { rm $0.flag; exit; }; >$0.flag; exit "
		   "194");
	ck_assert_int_eq(life(&f), SSM_REBOOT_AGAIN);
	ck_assert_uint_eq(json_array_size(f.calls), 1);
	set_value(&f, "n", "new");
	ck_assert_int_eq(life(&f), 0);
	ck_assert_uint_eq(json_array_size(f.calls), 0);
	ck_assert_ptr_nonnull(strstr(fake_reply(&f, 0), "\"output\":\"old\\nold\\n\""));
	fake_done(&f);
}
END_TEST

/* What does not fit into a state is asked for again; what is damaged as well. */
START_TEST(test_reboot_large)
{
	autofree char *large = xcalloc(1, 70001);
	struct fake f;

	fake_init(&f);
	memset(large, 'x', 70000);
	set_value(&f, "n", large);
	set_script(&f, "[ ! -e $0.flag ] || { rm $0.flag; exit; }; >$0.flag; exit 194 # {{ssm:n}}");
	ck_assert_int_eq(life(&f), SSM_REBOOT_AGAIN);
	ck_assert_ptr_null(json_object_get(f.state, "store"));
	ck_assert_int_eq(life(&f), 0);
	ck_assert_uint_eq(json_array_size(f.calls), 1);
	for (int i = 0; i < 4; i++) {
		static const char *const damaged[] = { "", "[]", "{\"n\":7}", "{\"n\":{}" };

		json_object_clear(f.state);
		json_object_set_new(f.state, "store", json_string(damaged[i]));
		ck_assert_int_eq(life(&f), SSM_REBOOT_AGAIN);
		ck_assert_int_eq(life(&f), 0);
	}
	fake_done(&f);
}
END_TEST

/* A document that names nothing asks nobody, and without somebody to ask one that does is refused.
 */
START_TEST(test_nobody)
{
	autojson json_t *with = json_loads("{\"DocumentContent\":{\"schemaVersion\":\"2.2\","
					   "\"mainSteps\":[{\"inputs\":[\"{{ssm:n}}\"]}]}}",
					   0, NULL);
	autojson json_t *without = json_loads("{\"DocumentContent\":{\"schemaVersion\":\"2.2\","
					      "\"mainSteps\":[{\"inputs\":[\"{{ssm n}}\"]}]}}",
					      0, NULL);
	autofree char *trace = NULL, *none = NULL;
	struct doc *d = doc_new(&(struct doc_source){ .payload = with }, &trace);

	ck_assert_ptr_null(d);
	ck_assert_str_eq(trace,
			 "Encountered error while calling GetParameters API. Error: there "
			 "is no agent to ask");
	d = doc_new(&(struct doc_source){ .payload = without }, &none);
	ck_assert_ptr_nonnull(d);
	doc_free(d);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("runCommand store");
	TCase *tc = tcase_create("store");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_too_many);
	tcase_add_test(tc, test_too_large);
	tcase_add_test(tc, test_cancelled);
	tcase_add_test(tc, test_failures);
	tcase_add_test(tc, test_reboot);
	tcase_add_test(tc, test_reboot_large);
	tcase_add_test(tc, test_nobody);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
