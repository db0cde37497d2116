/* SPDX-License-Identifier: Apache-2.0 */
/* From payload to steps, and what is refused: plugins/runCommand/{godec,doc}.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/runCommand/doc.h"
#include "tests/unit/suite.h"

#define PARSE "encountered error while parsing input - internal error "
#define CANNOT(found, where, type) \
	PARSE "json: cannot unmarshal " found " into Go struct field " where " of type " type

static struct doc *
load(const char *payload, char **ret_trace)
{
	struct err e = { 0, "" };
	autojson json_t *v = json_parse(payload, strlen(payload), "payload", &e);

	ck_assert_msg(v != NULL, "%s: %s", payload, e.text);
	return doc_new(&(struct doc_source){ .payload = v }, ret_trace);
}

static void
check_refused(const char *payload, const char *want)
{
	autofree char *trace = NULL;

	ck_assert_ptr_null(load(payload, &trace));
	ck_assert_ptr_nonnull(trace);
	ck_assert_str_eq(trace, want);
}

/* The steps as JSON text: [{"id","action","sets","settings","precondition"}]. */
static char *
dump(const struct doc *d)
{
	autojson json_t *list = json_array();

	for (size_t i = 0; i < d->step_count; i++) {
		const struct doc_step *s = &d->steps[i];
		json_t *step = json_pack("{s:s, s:s, s:O, s:O?, s:O?}", "id", s->id, "action",
					 s->action, "sets", s->sets, "settings", s->settings,
					 "precondition", s->precondition);

		ck_assert_ptr_nonnull(step);
		json_array_append_new(list, step);
	}
	return json_text(list);
}

static void
check_steps(const char *payload, const char *want)
{
	autofree char *trace = NULL, *got = NULL;
	struct doc *d = load(payload, &trace);

	ck_assert_msg(d != NULL, "%s", trace ? trace : "?");
	got = dump(d);
	ck_assert_str_eq(got, want);
	doc_free(d);
}

#define DOC(content) "{\"DocumentContent\":{" content "}}"
#define STEP "\"mainSteps\":[{\"action\":\"a\",\"name\":\"n\"}]"

/* spec/03 2.1 */
START_TEST(test_schema)
{
	static const char *const v2[] = { "2.0", "2.0.1", "2.0.2", "2.0.3", "2.2" };
	static const char *const v1[] = { "1.0", "1.2" };
	static const char *const wrong[] = { "9.9", "", "0.3", "1.1", "2", "2.1", "2.2 ", "2.2.0" };

	for (size_t i = 0; i < sizeof(v2) / sizeof(v2[0]); i++) {
		autofree char *p = xasprintf(DOC("\"schemaVersion\":\"%s\"," STEP), v2[i]),
			      *t = NULL;
		struct doc *d = load(p, &t);

		ck_assert_ptr_nonnull(d);
		ck_assert(!d->is_v1);
		ck_assert_int_eq(d->has_preconditions, strcmp(v2[i], "2.2") == 0);
		doc_free(d);
	}
	for (size_t i = 0; i < sizeof(v1) / sizeof(v1[0]); i++) {
		autofree char *p =
			xasprintf(DOC("\"schemaVersion\":\"%s\",\"runtimeConfig\":{\"a\":{}}"),
				  v1[i]);
		autofree char *t = NULL;
		struct doc *d = load(p, &t);

		ck_assert_ptr_nonnull(d);
		ck_assert(d->is_v1);
		doc_free(d);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		autofree char *p = xasprintf(DOC("\"schemaVersion\":\"%s\"," STEP), wrong[i]);
		autofree char *w = xasprintf("Document with schema version %s is not supported by "
					     "this version of ssm agent, please update to latest "
					     "version",
					     wrong[i]);

		check_refused(p, w);
	}
	check_refused(DOC("\"schemaVersion\":\"2.2\""), "Unsupported schema format");
	check_refused(DOC("\"schemaVersion\":\"2.2\",\"mainSteps\":[]"),
		      "Unsupported schema format");
	check_refused(DOC("\"schemaVersion\":\"1.2\"," STEP), "Unsupported schema format");
	check_refused(DOC("\"schemaVersion\":\"2.0\",\"runtimeConfig\":{\"a\":{}}"),
		      "Unsupported schema format");
}
END_TEST

/* spec/03 1.3: a wrong type in a typed field fails the whole message. */
START_TEST(test_wrong_types)
{
	check_refused(DOC("\"schemaVersion\":\"2.2\",\"mainSteps\":[{\"timeoutSeconds\":\"60\"}]"),
		      CANNOT("string",
			     "InstancePluginConfig.DocumentContent.mainSteps.timeoutSeconds",
			     "int"));
	check_refused(DOC("\"mainSteps\":[{},{\"maxAttempts\":1.5}]"),
		      CANNOT("number 1.5",
			     "InstancePluginConfig.DocumentContent.mainSteps.maxAttempts", "int"));
	check_refused(DOC("\"schemaVersion\":2.2"),
		      CANNOT("number", "DocumentContent.DocumentContent.schemaVersion", "string"));
	check_refused(DOC("\"mainSteps\":[{\"name\":[\"a\"]}]"),
		      CANNOT("array", "InstancePluginConfig.DocumentContent.mainSteps.name",
			     "string"));
	check_refused(DOC("\"mainSteps\":[{\"precondition\":{\"StringEquals\":\"x\"}}]"),
		      CANNOT("string",
			     "InstancePluginConfig.DocumentContent.mainSteps.precondition",
			     "[]string"));
	check_refused(DOC("\"mainSteps\":[{\"precondition\":{\"StringEquals\":[1]}}]"),
		      CANNOT("number",
			     "InstancePluginConfig.DocumentContent.mainSteps.precondition",
			     "string"));
	check_refused(DOC("\"mainSteps\":[{\"precondition\":[]}]"),
		      CANNOT("array", "InstancePluginConfig.DocumentContent.mainSteps.precondition",
			     "map[string][]string"));
	check_refused(DOC("\"mainSteps\":{}"),
		      CANNOT("object", "DocumentContent.DocumentContent.mainSteps",
			     "[]*contracts.InstancePluginConfig"));
	check_refused(DOC("\"mainSteps\":[true]"),
		      CANNOT("bool", "DocumentContent.DocumentContent.mainSteps",
			     "contracts.InstancePluginConfig"));
	check_refused(DOC("\"runtimeConfig\":[]"),
		      CANNOT("array", "DocumentContent.DocumentContent.runtimeConfig",
			     "map[string]*contracts.PluginConfig"));
	check_refused(DOC("\"parameters\":{\"p\":{\"allowedValues\":\"x\"}}"),
		      CANNOT("string", "Parameter.DocumentContent.parameters.allowedValues",
			     "[]string"));
	check_refused(DOC("\"parameters\":{\"p\":{\"minChars\":true}}"),
		      CANNOT("bool", "Parameter.DocumentContent.parameters.minChars",
			     "json.Number"));
	check_refused(DOC("\"parameters\":{\"p\":{\"minChars\":\"abc\"}}"),
		      PARSE
		      "json: invalid number literal, trying to unmarshal \"\\\"abc\\\"\" into "
		      "Number");
	check_refused("{\"DocumentContent\":[]}",
		      CANNOT("array", "SendCommandPayload.DocumentContent",
			     "contracts.DocumentContent"));
	check_refused("{\"CloudWatchOutputEnabled\":true}",
		      CANNOT("bool", "SendCommandPayload.CloudWatchOutputEnabled", "string"));
	check_refused("{\"Parameters\":\"x\"}",
		      CANNOT("string", "SendCommandPayload.Parameters", "map[string]interface {}"));
	check_refused("[1]",
		      PARSE "json: cannot unmarshal array into Go value of type "
			    "messageContracts.SendCommandPayload");
	/* the first in the order of the input */
	check_refused("{\"CommandId\":1,\"DocumentName\":true}",
		      CANNOT("number", "SendCommandPayload.CommandId", "string"));
	check_refused("{\"DocumentName\":true,\"CommandId\":1}",
		      CANNOT("bool", "SendCommandPayload.DocumentName", "string"));
}
END_TEST

/* spec/03 1.3: case of keys, unknown ones, null. */
START_TEST(test_keys)
{
	check_steps(
		"{\"documentcontent\":{\"SCHEMAVERSION\":\"2.2\",\"Mainsteps\":[{\"ACTION\":"
		"\"a\",\"Name\":\"n\",\"Inputs\":{\"RunCommand\":1},\"isEnd\":true,"
		"\"onFailure\":null}],\"other\":1}}",
		"[{\"id\":\"n\",\"action\":\"a\",\"sets\":[{\"RunCommand\":1}],\"settings\":null,"
		"\"precondition\":null}]");
	/* an exact match wins, wherever it stands */
	check_steps(DOC("\"schemaVersion\":\"2.2\",\"mainSteps\":[{\"name\":\"exact\",\"NAME\":"
			"\"other\",\"ACTION\":5,\"action\":\"a\"}]"),
		    "[{\"id\":\"exact\",\"action\":\"a\",\"sets\":[null],\"settings\":null,"
		    "\"precondition\":null}]");
	check_steps(DOC("\"schemaVersion\":\"2.2\",\"mainSteps\":[null],\"parameters\":null"),
		    "[{\"id\":\"\",\"action\":\"\",\"sets\":[null],\"settings\":null,"
		    "\"precondition\":null}]");
	check_steps(
		DOC("\"schemaVersion\":\"2.2\",\"parameters\":{\"p\":{\"minChars\":\"12\","
		    "\"maxChars\":5,\"minItems\":\"1e3\",\"displayType\":\"x\"},\"q\":null}," STEP),
		"[{\"id\":\"n\",\"action\":\"a\",\"sets\":[null],\"settings\":null,"
		"\"precondition\":null}]");
}
END_TEST

/* spec/03 2.2, 2.6: where parameters are filled in, and where not. */
START_TEST(test_substitution)
{
	check_steps(
		"{\"Parameters\":{\"p\":\"v\",\"l\":[\"a\",\"b\"]},\"DocumentContent\":{"
		"\"schemaVersion\":\"2.2\",\"parameters\":{\"p\":{},\"l\":{},\"d\":{\"default\":7}}"
		","
		"\"mainSteps\":[{\"action\":\"{{p}}\",\"name\":\"{{p}}\",\"settings\":{\"s\":\"{{p}"
		"}\"},"
		"\"precondition\":{\"StringEquals\":[\"{{p}}\",\"x\"]},\"inputs\":{\"runCommand\":"
		"\"{{ l }}\",\"{{p}}\":[\"-{{d}}\",{\"k\":\"{{d}}\"}]}}]}}",
		"[{\"id\":\"{{p}}\",\"action\":\"{{p}}\",\"sets\":[{\"runCommand\":[\"a\",\"b\"],"
		"\"{{p}}\":[\"-7\",{\"k\":7}]}],\"settings\":{\"s\":\"v\"},\"precondition\":{"
		"\"StringEquals\":[\"{{p}}\",\"x\"]}}]");
	/* a nested list stays one */
	check_steps(
		"{\"Parameters\":{\"l\":[\"a\"]},\"DocumentContent\":{\"schemaVersion\":\"2.0\","
		"\"mainSteps\":[{\"inputs\":{\"runCommand\":[\"{{ l }}\"]}}]}}",
		"[{\"id\":\"\",\"action\":\"\",\"sets\":[{\"runCommand\":[[\"a\"]]}],\"settings\":"
		"null,\"precondition\":null}]");
	/* both lists: the one that does not run is the one that is filled in */
	check_steps("{\"Parameters\":{\"p\":\"v\"},\"DocumentContent\":{\"schemaVersion\":\"2.2\","
		    "\"runtimeConfig\":{\"x\":{\"properties\":\"{{p}}\"}},"
		    "\"mainSteps\":[{\"inputs\":{\"k\":\"{{p}}\"}}]}}",
		    "[{\"id\":\"\",\"action\":\"\",\"sets\":[{\"k\":\"{{p}}\"}],\"settings\":null,"
		    "\"precondition\":null}]");
}
END_TEST

/* spec/03 2.2: property sets of 1.x. */
START_TEST(test_v1)
{
	check_steps(
		"{\"Parameters\":{\"p\":\"v\"},\"DocumentContent\":{\"schemaVersion\":\"1.2\","
		"\"runtimeConfig\":{\"b\":{\"properties\":[{\"id\":\"1\",\"k\":\"{{p}}\"},{\"id\":"
		"\"2\"}]},\"a\":{\"settings\":\"{{p}}\",\"properties\":{\"id\":\"3\"}}}}}",
		"[{\"id\":\"b\",\"action\":\"b\",\"sets\":[{\"id\":\"1\",\"k\":\"v\"},{\"id\":"
		"\"2\"}"
		"],\"settings\":null,\"precondition\":null},{\"id\":\"a\",\"action\":\"a\","
		"\"sets\":"
		"[{\"id\":\"3\"}],\"settings\":\"v\",\"precondition\":null}]");
}
END_TEST

/* spec/03 2.2: modifiers, and folder names of 1.x steps and steps that look like one (3.1). */
START_TEST(test_step_facts)
{
	autofree char *trace = NULL;
	struct doc *d = load(
		DOC("\"schemaVersion\":\"2.2\",\"mainSteps\":["
		    "{\"action\":\"a\",\"name\":\"n\",\"inputs\":{\"onFailure\":\"exit\","
		    "\"onSuccess\":"
		    "\"exit\",\"finallyStep\":true,\"id\":\"i\"}},"
		    "{\"action\":\"a\",\"name\":\"a\",\"inputs\":{\"onFailure\":\"successAndExit\","
		    "\"finallyStep\":\"true\",\"id\":\"i\"}},"
		    "{\"action\":\"a\",\"name\":\"a\",\"inputs\":{\"onFailure\":\"Exit\","
		    "\"onSuccess\":"
		    "\"successAndExit\",\"finallyStep\":\"True\"}},"
		    "{\"action\":\"a\",\"name\":\"n\",\"onFailure\":\"exit\"}]"),
		&trace);

	ck_assert_ptr_nonnull(d);
	ck_assert_int_eq(doc_on_failure(&d->steps[0]), DOC_FLOW_EXIT);
	ck_assert_int_eq(doc_on_success(&d->steps[0]), DOC_FLOW_EXIT);
	ck_assert(doc_is_finally(&d->steps[0]));
	ck_assert_str_eq(doc_folder(&d->steps[0], 0), "n");
	ck_assert_int_eq(doc_on_failure(&d->steps[1]), DOC_FLOW_SUCCESS_AND_EXIT);
	ck_assert(doc_is_finally(&d->steps[1]));
	ck_assert_str_eq(doc_folder(&d->steps[1], 0), "i");
	ck_assert_int_eq(doc_on_failure(&d->steps[2]), DOC_FLOW_NONE);
	ck_assert_int_eq(doc_on_success(&d->steps[2]), DOC_FLOW_NONE);
	ck_assert(!doc_is_finally(&d->steps[2]));
	ck_assert_str_eq(doc_folder(&d->steps[2], 0), "");
	ck_assert_int_eq(doc_on_failure(&d->steps[3]), DOC_FLOW_NONE);
	doc_free(d);
}
END_TEST

/* spec/03 10.5; the validators come before the check for steps. */
START_TEST(test_parameter_refused)
{
	check_refused(
		"{\"Parameters\":{\"user\":\"no\"},\"DocumentContent\":{\"schemaVersion\":\"2.2\","
		"\"parameters\":{\"user\":{\"type\":\"String\",\"allowedPattern\":\"^yes$\"}}}}",
		"all errors during param validation errors: error thrown in "
		"'AllowedRegexParamValidator' while validating parameter /user/: parameter value "
		"/no/ does not match the allowed pattern /^yes$/");
}
END_TEST

/* A payload that comes as text. */
START_TEST(test_text_payload)
{
	check_steps(
		"\"{\\\"DocumentContent\\\":{\\\"schemaVersion\\\":\\\"2.2\\\",\\\"mainSteps\\\":[{"
		"}]}}\"",
		"[{\"id\":\"\",\"action\":\"\",\"sets\":[null],\"settings\":null,\"precondition\":"
		"null}]");
	check_refused("\"{\"",
		      PARSE "'Payload' is not JSON: line 1, column 1: string or '}' expected");
}
END_TEST

/* spec/03 1.1 */
START_TEST(test_command_id)
{
	static const char *const cases[][2] = {
		{ "aws.ssm.0123-abc.i-0123", "0123-abc" },
		{ "aws.ssm.x.mi-1", "x" },
		{ "aws.ssm.a.b.i-1", "b" },
		{ "aws.ssm..i-1", NULL },
		{ "aws.ssm.", NULL },
		{ "", NULL },
		{ "nonsense", NULL },
		{ "0123-abc.i-1", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		autofree char *id = doc_command_id(cases[i][0]);

		if (cases[i][1])
			ck_assert_str_eq(id ? id : "(none)", cases[i][1]);
		else
			ck_assert_msg(!id, "%s gave '%s'", cases[i][0], id);
	}
}
END_TEST

/* Whatever the bytes are, there is a document or one reason. */
static void
try_text(const char *text, size_t len)
{
	autojson json_t *v = json_parse(text, len, "payload", NULL);
	autofree char *trace = NULL;
	struct doc *d = v ? doc_new(&(struct doc_source){ .payload = v }, &trace) : NULL;

	ck_assert(!v || (d != NULL) == (trace == NULL));
	doc_free(d);
}

START_TEST(test_garbage)
{
	static const char seed[] =
		"{\"Parameters\":{\"a\":[\"x\"],\"b\":1e3},\"DocumentContent\":{\"schemaVersion\":"
		"\"2.2\","
		"\"parameters\":{\"a\":{\"type\":\"StringList\",\"allowedPattern\":\"^[a-z]+$\"}},"
		"\"mainSteps\":[{\"action\":\"aws:runShellScript\",\"name\":\"n\",\"precondition\":"
		"{\"StringEquals\":[\"platformType\",\"Linux\"]},\"inputs\":{\"runCommand\":\"{{ a "
		"}}\"}}]}}";
	static const char swaps[] = "{}[]\",:0n\\";
	unsigned state = 12345;

	for (size_t cut = 0; cut < sizeof(seed); cut++)
		try_text(seed, cut);
	for (int round = 0; round < 20000; round++) {
		char text[sizeof(seed)];

		memcpy(text, seed, sizeof(seed));
		for (int change = 0; change < 3; change++) {
			state = state * 1103515245u + 12345u;
			text[(state >> 8) % (sizeof(seed) - 1)] = swaps[(state >> 4) % 10];
		}
		try_text(text, sizeof(seed) - 1);
	}
}
END_TEST

/* A document of a megabyte of steps; nesting to the limit. */
START_TEST(test_huge)
{
	struct sbuf b = SBUF_INIT(8 << 20);
	autofree char *trace = NULL;
	struct doc *d;

	sbuf_adds(&b, "{\"DocumentContent\":{\"schemaVersion\":\"2.2\",\"mainSteps\":[{}");
	for (int i = 0; i < 100000; i++)
		sbuf_adds(&b, ",{\"name\":\"s\"}");
	sbuf_adds(&b, "]}}");
	d = load(sbuf_str(&b), &trace);
	ck_assert_ptr_nonnull(d);
	ck_assert_uint_eq(d->step_count, 100001);
	doc_free(d);
	sbuf_reset(&b);
	sbuf_adds(&b,
		  "{\"DocumentContent\":{\"schemaVersion\":\"2.2\",\"mainSteps\":[{\"inputs\":");
	for (int i = 0; i < 120; i++)
		sbuf_adds(&b, "[");
	for (int i = 0; i < 120; i++)
		sbuf_adds(&b, "]");
	sbuf_adds(&b, "}]}}");
	free(TAKE(trace));
	d = load(sbuf_str(&b), &trace);
	ck_assert_ptr_nonnull(d);
	doc_free(d);
	sbuf_done(&b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("runCommand doc");
	TCase *tc = tcase_create("doc");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_schema);
	tcase_add_test(tc, test_wrong_types);
	tcase_add_test(tc, test_keys);
	tcase_add_test(tc, test_substitution);
	tcase_add_test(tc, test_v1);
	tcase_add_test(tc, test_step_facts);
	tcase_add_test(tc, test_parameter_refused);
	tcase_add_test(tc, test_text_payload);
	tcase_add_test(tc, test_command_id);
	tcase_add_test(tc, test_garbage);
	tcase_add_test(tc, test_huge);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
