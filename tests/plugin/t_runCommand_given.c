/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of this machine: parameters as an operator gives them, and the steps that are only
 * shown: plugins/runCommand/{given,show,handle}.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/runCommand/given.h"
#include "plugins/runCommand/handle.h"
#include "tests/plugin/t_runCommand_fake.h"
#include "tests/unit/suite.h"

static json_t *
parse(const char *text)
{
	struct err e = { 0, "" };
	json_t *v = json_parse(text, strlen(text), "test", &e);

	ck_assert_msg(v != NULL, "%s", e.text);
	return v;
}

/* What is sent for a value given to send-command: spec/03 2.5. */
static const struct {
	const char *type, *given, *becomes;
} values[] = {
	{ "String", "[\"a\"]", "\"a\"" },
	{ "String", "[\"a\",\"b\"]", "[\"a\",\"b\"]" },
	{ "String", "[]", "[]" },
	{ "String", "\"a\"", "\"a\"" },
	{ "StringList", "[\"a\"]", "[\"a\"]" },
	{ "StringList", "[]", "[]" },
	{ "Integer", "[\"-5\"]", "-5" },
	{ "Integer", "[\"5x\"]", "[\"5x\"]" },
	{ "Integer", "[\"99999999999999999999\"]", "[\"99999999999999999999\"]" },
	{ "Integer", "7", "7" },
	{ "Boolean", "[\"true\"]", "true" },
	{ "Boolean", "[\"false\"]", "false" },
	{ "Boolean", "[\"yes\"]", "[\"yes\"]" },
	{ "StringMap", "[\"{\\\"k\\\":1}\"]", "\"{\\\"k\\\":1}\"" },
	{ "MapList", "[\"{\\\"k\\\":1}\",\"{}\"]", "[{\"k\":1},{}]" },
	{ "MapList", "[\"{\\\"k\\\":1}\",\"x\"]", "[\"{\\\"k\\\":1}\",\"x\"]" },
	{ "MapList", "[\"5\"]", "[\"5\"]" },
	{ "", "[\"a\"]", "[\"a\"]" },
	{ "String", "[1]", "[1]" },
	{ "String", "{}", "{}" },
};

START_TEST(test_values)
{
	autofree char *text = xasprintf("{\"DocumentContent\":{\"parameters\":{\"p\":{\"type\":"
					"\"%s\"}}},\"Parameters\":{\"p\":%s,\"other\":[\"x\"]}}",
					values[_i].type, values[_i].given);
	autojson json_t *payload = parse(text);
	autofree char *got = NULL, *other = NULL;
	char *quoted;

	given_convert(payload);
	quoted = json_dumps(json_at(payload, "/Parameters/p"), JSON_COMPACT | JSON_ENCODE_ANY);
	got = quoted;
	ck_assert_str_eq(got, values[_i].becomes);
	other = json_text(json_at(payload, "/Parameters/other"));
	ck_assert_str_eq(other, "[\"x\"]");
}
END_TEST

START_TEST(test_garbage)
{
	static const char *const payloads[] = {
		"{}", "[]", "{\"Parameters\":[1]}", "{\"Parameters\":{\"p\":[\"a\"]}}",
		"{\"Parameters\":{\"p\":[\"a\"]},\"DocumentContent\":{\"parameters\":[]}}",
		"{\"Parameters\":{\"p\":[\"a\"]},\"DocumentContent\":{\"parameters\":{\"p\":5}}}",
	};

	for (size_t i = 0; i < NELEMS(payloads); i++) {
		autojson json_t *payload = parse(payloads[i]);
		autofree char *after = NULL;

		given_convert(payload);
		after = json_text(payload);
		ck_assert_str_eq(after, payloads[i]);
	}
	given_convert(NULL);
}
END_TEST

static char *
final_reply(const char *case_text, int32_t (*handle)(struct ssm *S, struct ssm_message *msg))
{
	autojson json_t *c = parse(case_text);
	struct fake f;
	char *text;

	fake_init(&f);
	fake_stop_clock();
	f.message = fake_message(c);
	f.cancel_after = -1;
	ck_assert_int_eq(handle(&f.S, NULL), 0);
	text = xstrdup(fake_reply(&f, json_array_size(f.replies) - 1));
	ck_assert(json_bool(json_array_get(f.replies, json_array_size(f.replies) - 1), "final",
			    false));
	fake_done(&f);
	return text;
}

#define DOCUMENT                                                                             \
	"{\"document\":{\"schemaVersion\":\"2.2\",\"parameters\":{\"n\":{\"type\":"           \
	"\"Integer\",\"default\":1},\"w\":{\"type\":\"String\",\"allowedValues\":[\"a\","     \
	"\"b\"]}},\"mainSteps\":[{\"action\":\"aws:runShellScript\",\"name\":\"x\","          \
	"\"inputs\":{\"runCommand\":[\"exit {{n}}\"]}},{\"action\":\"acme:none\",\"name\":"    \
	"\"y\",\"inputs\":{\"a\":\"{{w}}\"}}]},\"parameters\":{\"n\":[\"%d\"],\"w\":[\"%s\"]}}"

/* A number that is not the default, an allowed and a forbidden text. */
START_TEST(test_run)
{
	autofree char *good = xasprintf(DOCUMENT, 3, "a"), *bad = xasprintf(DOCUMENT, 3, "c");
	autofree char *ran = final_reply(good, handle_unchecked_command);
	autofree char *refused = final_reply(bad, handle_unchecked_command);

	ck_assert_ptr_nonnull(strstr(ran, "\"documentStatus\":\"Failed\""));
	ck_assert_ptr_nonnull(strstr(ran, "\"runtimeStatusCounts\":{\"Failed\":2}"));
	ck_assert_ptr_nonnull(strstr(refused, "is not in the allowed list [a b]"));
}
END_TEST

/* Nothing runs: the fake would run the script, and its folder stays empty. */
START_TEST(test_show)
{
	autofree char *good = xasprintf(DOCUMENT, 3, "a"), *bad = xasprintf(DOCUMENT, 3, "c");
	autofree char *shown = final_reply(good, handle_show_command);
	autofree char *refused = final_reply(bad, handle_show_command);
	autojson json_t *v = parse(shown), *r = parse(refused);
	autofree char *inputs = json_text(json_at(v, "/steps/0/inputs"));

	ck_assert_str_eq(inputs, "{\"runCommand\":[\"exit 3\"]}");
	ck_assert(json_bool(json_at(v, "/steps/0"), "runs", false));
	ck_assert_str_eq(json_str(json_at(v, "/steps/0"), "action", ""), "aws:runShellScript");
	ck_assert(!json_bool(json_at(v, "/steps/1"), "runs", true));
	ck_assert_ptr_nonnull(strstr(json_str(json_at(v, "/steps/1"), "why", ""), "acme:none"));
	ck_assert_str_eq(json_str(json_at(v, "/steps/1/inputs"), "a", ""), "a");
	ck_assert_uint_eq(json_array_size(json_object_get(v, "steps")), 2);
	ck_assert_ptr_nonnull(strstr(json_str(r, "refused", ""), "allowed list [a b]"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("runCommand_given");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, test_values, 0, (int)NELEMS(values));
	tcase_add_test(t, test_garbage);
	tcase_add_test(t, test_run);
	tcase_add_test(t, test_show);
	suite_add_tcase(s, t);
	return run_suite(s);
}
