/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the sandbox's parameter store, its patterns and its tags. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "sdk/sandbox/parameters.h"
#include "sdk/sandbox/pattern.h"
#include "sdk/sandbox/tags.h"
#include "tests/unit/suite.h"

static const struct {
	const char *name, *path;
	bool directly, somewhere;
} places[] = {
	{ "/a/b", "/a", true, true },	 { "/a/b", "/a/", true, true },
	{ "/a/b/c", "/a", false, true }, { "/ab", "/a", false, false },
	{ "/a", "/a", false, false },	 { "/a", "/", true, true },
	{ "a", "/", true, true },	 { "a", "/a", false, false },
	{ "/a/b", "/", false, true },	 { "/b/a/c", "/a", false, false },
};

START_TEST(test_below)
{
	ck_assert_int_eq(parameters_below(places[_i].name, places[_i].path, false),
			 places[_i].directly);
	ck_assert_int_eq(parameters_below(places[_i].name, places[_i].path, true),
			 places[_i].somewhere);
}
END_TEST

static const struct {
	const char *pattern, *value;
	bool known, part, whole;
} patterns[] = {
	{ "\\d+", "a12", true, true, false },
	{ "^\\d+$", "12", true, true, true },
	{ "(?:a|b)c", "bc", true, true, true },
	{ "a\\.b", "axb", true, false, false },
	{ "a{2,}", "aaa", true, true, true },
	{ "(", "x", false, true, true },
	{ "a{30000}", "x", false, true, true },
	{ "(a{200}){200}", "x", true, false, false },
	{ "[\\w.-]+@\\w+$", "a.b@c", true, true, true },
	{ "^(?i)yes$", "YES", true, true, true },
	{ "a(?=b)", "ac", false, true, true },
	{ "a{1,99999999999999999999}", "x", false, true, true },
	{ "[{]9}", "{9}", true, true, true },
};

START_TEST(test_pattern)
{
	ck_assert_int_eq(pattern_is_known(patterns[_i].pattern), patterns[_i].known);
	ck_assert_int_eq(pattern_matches(patterns[_i].pattern, patterns[_i].value, false),
			 patterns[_i].part);
	ck_assert_int_eq(pattern_matches(patterns[_i].pattern, patterns[_i].value, true),
			 patterns[_i].whole);
}
END_TEST

static const json_t *
put(struct parameters *p, const char *name, const char *type, const char *value, bool overwrite)
{
	autojson json_t *request = json_pack("{s:s, s:s, s:s, s:b}", "Name", name, "Type", type,
					     "Value", value, "Overwrite", overwrite);
	struct refusal why = { 0 };
	const json_t *version = parameters_put(p, request, 1500, &why);

	ck_assert_msg(!version == (why.code != NULL), "%s", why.text);
	return version;
}

START_TEST(test_limit)
{
	struct parameters *p = parameters_new();
	autostrv char **names = NULL;
	char name[32];

	for (int i = 0; i < PARAMETERS_MAX; i++) {
		snprintf(name, sizeof(name), "p%05d", PARAMETERS_MAX - i);
		ck_assert_ptr_nonnull(put(p, name, "String", "v", false));
	}
	ck_assert_ptr_null(put(p, "one-more", "String", "v", false));
	ck_assert_ptr_nonnull(put(p, "p00001", "String", "w", true));
	names = parameters_names(p);
	ck_assert_uint_eq(strv_len(names), PARAMETERS_MAX);
	ck_assert_str_eq(names[0], "p00001");
	ck_assert(parameters_delete(p, "p00001"));
	ck_assert(!parameters_delete(p, "p00001"));
	ck_assert_ptr_nonnull(put(p, "one-more", "String", "v", false));
	parameters_free(p);
}
END_TEST

static const struct {
	const char *text, *secret;
} references[] = {
	{ "{{ssm:s}}", "s" },
	{ "a {{ ssm:s:1\t}} b", "s" },
	{ "{{ssm:t}}{{ssm:s}}", "s" },
	{ "{{{{ssm:s}}", "s" },
	{ "{{ssm:s", NULL },
	{ "{{ssm:s}", NULL },
	{ "{{ssm:s x}}", NULL },
	{ "{{ssm-secure:s}}", NULL },
	{ "{{ssm:s:2}}", NULL },
	{ "{{ssm:}}", NULL },
	{ "{{", NULL },
	{ "", NULL },
};

START_TEST(test_reference)
{
	struct parameters *p = parameters_new();
	autofree char *found = NULL;

	put(p, "s", "SecureString", "hidden", false);
	put(p, "t", "String", "shown", false);
	found = parameters_secure_reference(p, references[_i].text);
	ck_assert_pstr_eq(found, references[_i].secret);
	parameters_free(p);
}
END_TEST

START_TEST(test_tags)
{
	struct tags *t = tags_new();
	autojson json_t *two = json_pack("[{s:s,s:s},{s:s,s:s}]", "Key", "a", "Value", "1", "Key",
					 "b", "Value", "2");
	autojson json_t *reserved = json_pack("[{s:s,s:s}]", "Key", "aws:a", "Value", "1");
	autojson json_t *keys = json_pack("[s,s]", "a", "none");
	autojson json_t *many = json_array(), *list = NULL;

	ck_assert_int_eq(tags_add(t, "Parameter", "p", two), 0);
	ck_assert_int_eq(tags_add(t, "Parameter", "p", reserved), -EPERM);
	for (int i = 0; i < TAGS_MAX - 1; i++) {
		autofree char *key = xasprintf("k%d", i);

		json_array_append_new(many, json_pack("{s:s,s:s}", "Key", key, "Value", ""));
	}
	ck_assert_int_eq(tags_add(t, "Parameter", "p", many), -E2BIG);
	tags_remove(t, "Parameter", "p", keys);
	tags_remove(t, "Document", "p", keys);
	list = tags_list(t, "Parameter", "p");
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert_str_eq(tags_get(t, "Parameter", "p", "b"), "2");
	ck_assert_ptr_null(tags_get(t, "Document", "p", "b"));
	ck_assert_int_eq(tags_add(t, "Parameter", "p", many), 0);
	tags_remove_all(t, "Parameter", "p");
	ck_assert_ptr_null(tags_get(t, "Parameter", "p", "b"));
	tags_free(t);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sandbox_parameters");
	TCase *t = tcase_create("parameters");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_below, 0, (int)NELEMS(places));
	tcase_add_loop_test(t, test_pattern, 0, (int)NELEMS(patterns));
	tcase_add_test(t, test_limit);
	tcase_add_loop_test(t, test_reference, 0, (int)NELEMS(references));
	tcase_add_test(t, test_tags);
	suite_add_tcase(s, t);
	return run_suite(s);
}
