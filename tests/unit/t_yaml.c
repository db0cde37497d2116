/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/yaml: what YAML means as JSON, and what is refused. */
#include <errno.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/yaml/yaml.h"
#include "tests/unit/suite.h"

static const struct {
	const char *yaml, *json;
} good[] = {
	{ "a: 1\nb: [x, 'y']\n", "{\"a\":1,\"b\":[\"x\",\"y\"]}" },
	{ "- |\n  one\n  two\n- >-\n  fold\n  ed\n", "[\"one\\ntwo\\n\",\"fold ed\"]" },
	{ "{\"a\": [1, -2, null, true, \"\\u00e9\"]}", "{\"a\":[1,-2,null,true,\"é\"]}" },
	{ "[yes, No, ON, off, y, N, TRUE]", "[true,false,true,false,true,false,true]" },
	{ "[~, null, NULL, '']", "[null,null,null,\"\"]" },
	{ "a:\n", "{\"a\":null}" },
	{ "[0x1F, 0b11, 0o17, 017, 1_000, -5, +7, 0, -0x10]", "[31,3,15,15,1000,-5,7,0,-16]" },
	{ "[08, 0x, 0b2, '1', 1.2.3, 1e, ., -, +, e5, _1]",
	  "[\"08\",\"0x\",\"0b2\",\"1\",\"1.2.3\",\"1e\",\".\",\"-\",\"+\",\"e5\",\"_1\"]" },
	{ "[1.5, .5, 2., 1e3, -1.5e+2]", "[1.5,0.5,2.0,1000.0,-150.0]" },
	{ "[9223372036854775807, 9223372036854775808]",
	  "[9223372036854775807,9.2233720368547758e18]" },
	{ "2001-01-01", "\"2001-01-01\"" },
	{ "[!!str 1, !!int '7', !!bool 'yes', !local 3, !!float '1.0', !!null '']",
	  "[\"1\",7,true,\"3\",1.0,null]" },
	{ "{yes: a, 1: b, [c]: d, ~: e, 'on': f}", "{\"on\":\"f\"}" },
	{ "{a: 1, a: 2}", "{\"a\":2}" },
	{ "a: &x {k: [1]}\nb: *x\n", "{\"a\":{\"k\":[1]},\"b\":{\"k\":[1]}}" },
	{ "a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}" },
	{ "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: {<<: [*x, {r: 4}]}\n",
	  "{\"a\":{\"p\":1,\"q\":2},\"b\":{\"q\":3,\"p\":1},\"c\":{\"p\":1,\"q\":2,\"r\":4}}" },
	{ "'<<': 1", "{\"<<\":1}" },
	{ "\"a\\0b\"", "\"a\\u0000b\"" },
	{ "--- # comment\nx\n...\n", "\"x\"" },
};

START_TEST(test_good)
{
	struct err e = { 0 };
	autojson json_t *v = yaml_parse(good[_i].yaml, strlen(good[_i].yaml), "it", &e);
	autojson json_t *wanted = json_parse(good[_i].json, strlen(good[_i].json), "json", NULL);
	autofree char *text = v ? json_text(v) : NULL;

	ck_assert_msg(v != NULL, "%s", err_text(&e));
	ck_assert_ptr_nonnull(wanted);
	ck_assert_msg(json_equal(v, wanted), "got %s, wanted %s", text, good[_i].json);
}
END_TEST

static const struct {
	const char *yaml, *error;
	int code;
} bad[] = {
	{ "", "it is not YAML: line 1: there is nothing in it", -EINVAL },
	{ "# nothing\n", "nothing in it", -EINVAL },
	{ "a: [1, 2", "line 2: did not find expected ',' or ']'", -EINVAL },
	{ "a: 1\n b: 2\n", "it is not YAML: line 2: ", -EINVAL },
	{ "a\n---\nb\n", "more than one document", -EINVAL },
	{ "a: \xff\n", "it is not YAML: line ", -EINVAL },
	{ "a: \x01\n", "it is not YAML: line ", -EINVAL },
	{ "\t- a", "it is not YAML: line 1: ", -EINVAL },
	{ "a: b\nc: .inf\n", "line 2: a number that JSON does not have", -EINVAL },
	{ "-.nan", "a number that JSON does not have", -EINVAL },
	{ "1e999", "a number that JSON does not have", -EINVAL },
	{ "!!int x", "not what its tag says", -EINVAL },
	{ "*x", "alias of nothing that is complete", -EINVAL },
	{ "&x [*x]", "alias of nothing that is complete", -EINVAL },
	{ "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
	  "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
	  "e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
	  "line 5: aliases make it too large", -E2BIG },
};

START_TEST(test_bad)
{
	struct err e = { 0 };
	autojson json_t *v = yaml_parse(bad[_i].yaml, strlen(bad[_i].yaml), "it", &e);

	ck_assert_ptr_null(v);
	ck_assert_msg(strstr(err_text(&e), bad[_i].error) != NULL, "%s", err_text(&e));
	ck_assert_int_eq(e.code, bad[_i].code);
}
END_TEST

/* DEPTH opening brackets and as many closing ones. */
static json_t *
nested(size_t depth, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(4096);

	for (size_t i = 0; i < depth; i++)
		sbuf_addc(&b, '[');
	for (size_t i = 0; i < depth; i++)
		sbuf_addc(&b, ']');
	return yaml_parse(sbuf_str(&b), b.len, "it", e);
}

START_TEST(test_depth)
{
	struct err e = { 0 };
	autojson json_t *v = nested(JSON_MAX_DEPTH, &e);

	ck_assert_msg(v != NULL, "%s", err_text(&e));
	ck_assert_ptr_null(nested(JSON_MAX_DEPTH + 1, &e));
	ck_assert_msg(strstr(e.text, "nested too deep") != NULL, "%s", e.text);
	ck_assert_ptr_null(nested(2000, NULL));
}
END_TEST

/* Each level holds the one before: deep by aliases, though no line of it is. */
START_TEST(test_depth_of_aliases)
{
	autosbuf struct sbuf b = SBUF_INIT(65536);
	struct err e = { 0 };

	sbuf_adds(&b, "- &a0 x\n");
	for (int i = 1; i < 200; i++)
		sbuf_addf(&b, "- &a%d [*a%d]\n", i, i - 1);
	ck_assert_ptr_null(yaml_parse(sbuf_str(&b), b.len, "it", &e));
	ck_assert_msg(strstr(e.text, "aliases make it too large") != NULL, "%s", e.text);
}
END_TEST

START_TEST(test_many)
{
	autosbuf struct sbuf b = SBUF_INIT((size_t)1 << 20);
	struct err e = { 0 };
	json_t *v;

	for (int i = 0; i < YAML_MAX_NODES - 1; i++)
		sbuf_adds(&b, "- x\n");
	v = yaml_parse(sbuf_str(&b), b.len, "it", &e);
	ck_assert_uint_eq(json_array_size(v), YAML_MAX_NODES - 1);
	json_decref(v);
	sbuf_adds(&b, "- x\n");
	ck_assert_ptr_null(yaml_parse(sbuf_str(&b), b.len, "it", &e));
	ck_assert_msg(strstr(e.text, "too many values") != NULL, "%s", e.text);
}
END_TEST

/* Cut anywhere, it is a value or one error, never a crash. */
START_TEST(test_truncated)
{
	static const char text[] = "a: &x {b: [1, \"two\", |\n    three\n  ], ? {c: d} : *x}\n";

	for (size_t len = 0; len < sizeof(text); len++) {
		struct err e = { 0 };
		json_t *v = yaml_parse(text, len, "it", &e);

		ck_assert_int_eq(v == NULL, e.code != 0);
		json_decref(v);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("yaml");
	TCase *t = tcase_create("yaml");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_good, 0, (int)NELEMS(good));
	tcase_add_loop_test(t, test_bad, 0, (int)NELEMS(bad));
	tcase_add_test(t, test_depth);
	tcase_add_test(t, test_depth_of_aliases);
	tcase_add_test(t, test_many);
	tcase_add_test(t, test_truncated);
	suite_add_tcase(s, t);
	return run_suite(s);
}
