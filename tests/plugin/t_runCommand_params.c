/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters: merging, {{ name }}, allowedPattern: plugins/runCommand/{params,validate,pattern}.c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/runCommand/godec.h"
#include "plugins/runCommand/params.h"
#include "tests/unit/suite.h"

static json_t *
parse(const char *text)
{
	struct err e = { 0, "" };
	json_t *v = json_parse(text, strlen(text), "test", &e);

	ck_assert_msg(v != NULL, "%s", e.text);
	return v;
}

static void
check_fill(const char *values, const char *input, const char *want)
{
	autojson json_t *v = parse(values), *in = parse(input), *out = NULL;
	autofree char *text = NULL, *trace = NULL;
	struct params p;

	godec_round_numbers(v);
	params_init(&p, v);
	out = params_fill(&p, in, &trace);
	ck_assert_ptr_nonnull(out);
	text = json_text(out);
	ck_assert_str_eq(text, want);
}

/* spec/03 2.6: name check for supplied ones only, defaults, null. */
START_TEST(test_merge)
{
	autojson json_t *defs = parse("{\"a\":{\"default\":1},\"b\":{},\"x_y\":{\"default\":\"d\"},"
				      "\"c\":{\"default\":2},\"n\":{\"default\":5}}");
	autojson json_t *given =
		parse("{\"a\":7,\"x_y\":\"s\",\"extra\":\"e\",\"\":1,\"q-r\":2,\"n\":null}");
	autojson json_t *got = params_merge(defs, given), *none = params_merge(NULL, NULL);
	autofree char *text = json_text_sorted(got);

	ck_assert_str_eq(text,
			 "{\"a\":7,\"b\":null,\"c\":2,\"extra\":\"e\",\"n\":null,\"x_y\":\"d\"}");
	ck_assert_uint_eq(json_object_size(none), 0);
}
END_TEST

/* spec/03 2.6: the whole string gives the typed value. */
START_TEST(test_whole)
{
	static const char *const v =
		"{\"s\":\"x\",\"l\":[\"a\",\"b\"],\"n\":5,\"t\":true,\"z\":null,"
		"\"o\":{\"k\":[1]}}";

	check_fill(v, "\"{{s}}\"", "\"x\"");
	check_fill(v, "\"{{ l }}\"", "[\"a\",\"b\"]");
	check_fill(v, "\"{{\\tn\\n}}\"", "5");
	check_fill(v, "\"{{ t}}\"", "true");
	check_fill(v, "\"{{z }}\"", "null");
	check_fill(v, "\"{{o}}\"", "{\"k\":[1]}");
	check_fill(v, "[\"{{l}}\",{\"{{s}}\":\"{{ o }}\"}]",
		   "[[\"a\",\"b\"],{\"{{s}}\":{\"k\":[1]}}]");
	check_fill(v, "[1,null,true,1.5]", "[1,null,true,1.5]");
}
END_TEST

/* spec/03 2.6: within other text. */
START_TEST(test_embedded)
{
	static const char *const v =
		"{\"s\":\"it's "
		"\\\"x\\\"\",\"l\":[\"a<b\",\"&\"],\"n\":1000000,\"t\":false,\"z\":null,"
		"\"o\":{\"b\":1,\"a\":\">\"},\"f\":1e21,\"g\":0.5,\"h\":1e-7,\"big\":"
		"9007199254740993}";

	check_fill(v, "\"echo {{ s }}!\"", "\"echo it's \\\"x\\\"!\"");
	check_fill(v, "\"-{{l}}\"", "\"-[\\\"a\\\\u003cb\\\",\\\"\\\\u0026\\\"]\"");
	check_fill(v, "\" {{n}}\"", "\" 1000000\"");
	check_fill(v, "\"{{t}} {{z}}\"", "\"false null\"");
	check_fill(v, "\"{{o}}.\"", "\"{\\\"a\\\":\\\"\\\\u003e\\\",\\\"b\\\":1}.\"");
	check_fill(v, "\"{{f}},{{g}},{{h}}\"", "\"1e+21,0.5,1e-7\"");
	check_fill(v, "\"x{{big}}\"", "\"x9007199254740992\"");
	check_fill(v, "\"{{n}}{{n}}\"", "\"10000001000000\"");
}
END_TEST

/* spec/03 2.6: "$$" of an embedded value, not of the text around it nor of a whole one. */
START_TEST(test_dollars)
{
	static const char *const v = "{\"p\":\"pid $ $$$$\",\"q\":\"$$$\",\"l\":[\"$$\"]}";

	check_fill(v, "\"{{p}}\"", "\"pid $ $$$$\"");
	check_fill(v, "\"{{p}} \"", "\"pid $ $$ \"");
	check_fill(v, "\"$${{q}}$$\"", "\"$$$$$$\"");
	check_fill(v, "\"a {{l}}\"", "\"a [\\\"$\\\"]\"");
}
END_TEST

/* spec/03 2.6: unknown names stay, values are not scanned again. */
START_TEST(test_unknown)
{
	static const char *const v = "{\"a\":\"{{ b }}\",\"b\":\"B\",\"x.y\":\"dot\"}";

	check_fill(v, "\"{{ unknown }} {{b}}\"", "\"{{ unknown }} B\"");
	check_fill(v, "\"{{a}}\"", "\"{{ b }}\"");
	check_fill(v, "\"-{{a}}{{b}}\"", "\"-{{ b }}B\"");
	check_fill(v, "\"{{{b}}}\"", "\"{B}\"");
	check_fill(v, "\"{{\"", "\"{{\"");
	check_fill(v, "\"{{b}\"", "\"{{b}\"");
	check_fill(v, "\"{{}} {{ }} {{ b\"", "\"{{}} {{ }} {{ b\"");
	check_fill(v, "\"{{ b c }}{{ {{b}} }}\"", "\"{{ b c }}{{ B }}\"");
	check_fill(v, "\"{{x.y}} {{xzy}}\"", "\"dot {{xzy}}\"");
	check_fill(v, "\"{{b\\u000b}} {{\\u00a0b}}\"",
		   "\"{{b\\u000b}} {{\xc2\xa0"
		   "b}}\"");
	check_fill(v, "\"{{ssm:b}} {{b}}\"", "\"{{ssm:b}} B\"");
	check_fill("{}", "\"{{b}}\"", "\"{{b}}\"");
	check_fill(v, "\"a\\u0000{{b}}\\u0000\"", "\"a\\u0000B\\u0000\"");
}
END_TEST

/* A document cannot grow without end, and finding that out is quick. */
START_TEST(test_ceiling)
{
	autofree char *long_value = xmalloc(500000 + 1), *text = xmalloc(700000 + 1);
	autojson json_t *values = json_object(), *whole = json_array(), *embedded = NULL;
	autofree char *trace = NULL, *trace2 = NULL;
	struct params p;

	memset(long_value, 'v', 500000);
	long_value[500000] = '\0';
	json_object_set_new(values, "a", json_string(long_value));
	for (size_t i = 0; i < 700000; i += 5)
		memcpy(text + i, "{{a}}", 5);
	text[700000] = '\0';
	embedded = json_string(text);
	params_init(&p, values);
	ck_assert_ptr_null(params_fill(&p, embedded, &trace));
	ck_assert_ptr_nonnull(strstr(trace, "grows above"));
	for (int i = 0; i < 100; i++)
		json_array_append_new(whole, json_string("{{a}}"));
	params_init(&p, values);
	ck_assert_ptr_null(params_fill(&p, whole, &trace2));
}
END_TEST

/* Time grows with the text, not with its square: a million braces with far-off ends. */
START_TEST(test_braces)
{
	autofree char *text = xmalloc(1 << 20);
	autojson json_t *values = parse("{\"a\":\"b\"}"), *in = NULL, *out = NULL;
	autofree char *trace = NULL;
	struct params p;

	memset(text, '{', 1 << 20);
	memset(text + (1 << 19), ' ', 1 << 19);
	memcpy(text + (1 << 20) - 3, "}}", 3);
	in = json_string(text);
	params_init(&p, values);
	out = params_fill(&p, in, &trace);
	ck_assert(json_equal(in, out));
}
END_TEST

static void
check_trace(const char *definitions, const char *values, const char *want)
{
	autojson json_t *d = parse(definitions), *v = parse(values);
	autofree char *got = params_validate(&(struct params_check){ d, v, v, false });

	if (want)
		ck_assert_str_eq(got ? got : "(none)", want);
	else
		ck_assert_msg(!got, "%s", got);
}

#define ALL "all errors during param validation errors: "
#define THROWN(name) \
	"error thrown in 'AllowedRegexParamValidator' while validating parameter /" name "/: "

/* spec/03 2.8 */
START_TEST(test_validator)
{
	check_trace(
		"{\"user\":{\"type\":\"String\",\"allowedPattern\":\"^yes$\"}}",
		"{\"user\":\"no\"}",
		ALL THROWN(
			"user") "parameter value /no/ does not match the allowed pattern /^yes$/");
	check_trace("{\"user\":{\"allowedPattern\":\"^yes$\"}}", "{\"user\":\"yes\"}", NULL);
	check_trace("{\"user\":{\"allowedPattern\":\"\"},\"o\":{}}",
		    "{\"user\":\"yes\",\"o\":null}", NULL);
	check_trace("{\"a\":{\"type\":\"String\",\"allowedPattern\":\"x\"}}", "{\"a\":null}",
		    ALL THROWN("a") "invalid parameter type String with parameter value <nil>");
	check_trace("{\"a\":{\"type\":\"Integer\",\"allowedPattern\":\"x\"}}", "{\"a\":1000000}",
		    ALL THROWN("a") "invalid parameter type Integer with parameter value 1e+06");
	check_trace("{\"a\":{\"type\":\"Integer\",\"allowedPattern\":\"x\"}}", "{\"a\":-12.5}",
		    ALL THROWN("a") "invalid parameter type Integer with parameter value -12.5");
	check_trace("{\"a\":{\"type\":\"Integer\",\"allowedPattern\":\"x\"}}", "{\"a\":123456}",
		    ALL THROWN("a") "invalid parameter type Integer with parameter value 123456");
	check_trace("{\"a\":{\"type\":\"Integer\",\"allowedPattern\":\"x\"}}", "{\"a\":0.00001}",
		    ALL THROWN("a") "invalid parameter type Integer with parameter value 1e-05");
	check_trace("{\"a\":{\"type\":\"Boolean\",\"allowedPattern\":\"x\"}}", "{\"a\":true}",
		    ALL THROWN("a") "invalid parameter type Boolean with parameter value true");
	check_trace(
		"{\"a\":{\"allowedPattern\":\"^[a-z]$\"},\"b\":{\"allowedPattern\":\"^[0-9]$\"}}",
		"{\"a\":[\"x\",\"Y\",\"Z\"],\"b\":[1,22]}",
		ALL THROWN("a") "parameter value /Y/ does not match the allowed pattern "
				"/^[a-z]$/\n" THROWN("b") "parameter value /22/ does not match the "
							  "allowed pattern /^[0-9]$/");
	check_trace("{\"a\":{\"allowedPattern\":\"^.\\\"k\\\":1.$\"}}", "{\"a\":{\"k\":1}}", NULL);
	check_trace(
		"{\"a\":{\"allowedPattern\":\"(?!x)\"}}", "{\"a\":\"v\"}",
		ALL THROWN(
			"a") "encountered error while compiling allowed pattern - internal error: "
			     "error parsing regexp: invalid or unsupported Perl syntax: `(?!`");
}
END_TEST

/* A long value is cut in the message, at a character. */
START_TEST(test_long_value)
{
	autojson json_t *d = parse("{\"a\":{\"allowedPattern\":\"^x$\"}}"), *v = json_object();
	autofree char *value = xmalloc(300001), *got = NULL;

	for (size_t i = 0; i < 300000; i += 2)
		memcpy(value + i, "\xc3\xa9", 2);
	value[300000] = '\0';
	json_object_set_new(v, "a", json_string(value));
	got = params_validate(&(struct params_check){ d, v, v, false });
	ck_assert_uint_lt(strlen(got), 9000);
	ck_assert(text_utf8_valid(got, strlen(got)));
	ck_assert_str_eq(got + strlen(got) - 6, "\xc3\xa9 ...");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("runCommand params");
	TCase *tc = tcase_create("params");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_merge);
	tcase_add_test(tc, test_whole);
	tcase_add_test(tc, test_embedded);
	tcase_add_test(tc, test_dollars);
	tcase_add_test(tc, test_unknown);
	tcase_add_test(tc, test_ceiling);
	tcase_add_test(tc, test_braces);
	tcase_add_test(tc, test_validator);
	tcase_add_test(tc, test_long_value);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
