/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/tool/cli.c and diagnose.c: the words of a command line, the table. The
 * commands are tested in tests/e2e/offline.test. spec/03 section 7.2. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/tool/cli.h"
#include "tests/unit/suite.h"

static const struct {
	const char *words, *parameters, *subcommands, *error;
} lines[] = {
	{ "", "{}", "", NULL },
	{ "--a", "{\"a\":[]}", "", NULL },
	{ "--Abc X y --b -c", "{\"abc\":[\"X\",\"y\"],\"b\":[\"-c\"]}", "", NULL },
	{ "sub Help --a 1", "{\"a\":[\"1\"]}", "sub,Help", NULL },
	{ "--", NULL, NULL, "input contains parameter with no name" },
	{ "--a 1 --", NULL, NULL, "input contains parameter with no name" },
	{ "--a --b --A", NULL, NULL, "duplicate parameter a" },
	{ "--a \xff", NULL, NULL, "the input is not UTF-8" },
	{ "--\xff", NULL, NULL, "the input is not UTF-8" },
};

START_TEST(test_parse)
{
	autostrv char **words = strv_split(lines[_i].words, " ");
	char *const none[] = { NULL };
	struct err e = { 0, "" };
	struct cli_args a;
	int r = cli_parse(words ? words : none, &a, &e);

	if (lines[_i].error) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_str_eq(e.text, lines[_i].error);
	} else {
		autofree char *got = json_text(a.parameters), *sub = strv_join(a.subcommands, ",");

		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(got, lines[_i].parameters);
		ck_assert_str_eq(sub, lines[_i].subcommands);
	}
	cli_args_done(&a);
}
END_TEST

/* Its lines as '-', '|' and '+': each is a character of three bytes. Caller frees. */
static char *
plain(const json_t *checks, size_t width)
{
	autofree char *text = diagnose_table(checks, width);
	char *out = xstrdup(text), *to = out;

	for (const char *at = text; *at; at++) {
		bool is_line = strncmp(at, "\xe2\x94", 2) == 0;

		if (is_line)
			at += 2;
		*to++ = !is_line ? *at : *at == '\x80' ? '-' : *at == '\x82' ? '|' : '+';
	}
	*to = '\0';
	return out;
}

/* The last column is wrapped at blanks, a word that is too long is cut, characters count. */
START_TEST(test_table)
{
	autojson json_t *checks =
		json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:s}]", "Check", "caf\xc3\xa9", "Status",
			  "Success", "Note", "one two three four five", "Check", "x", "Status",
			  "Failed", "Note", "abcdefghijklmnopqrstuvwxyz");
	autofree char *text = plain(checks, 44);

	ck_assert_str_eq(text, "+-------+---------+------------------------+\n"
			       "| Check | Status  | Note                   |\n"
			       "+-------+---------+------------------------+\n"
			       "| caf\xc3\xa9  | Success | one two three four     |\n"
			       "|       |         | five                   |\n"
			       "+-------+---------+------------------------+\n"
			       "| x     | Failed  | abcdefghijklmnopqrstuv |\n"
			       "|       |         | wxyz                   |\n"
			       "+-------+---------+------------------------+\n");
}
END_TEST

START_TEST(test_empty_table)
{
	autojson json_t *none = json_array();
	autofree char *text = plain(none, 0);

	ck_assert_ptr_nonnull(strstr(text, "| Check | Status | Note                 |\n"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("cli");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, test_parse, 0, (int)NELEMS(lines));
	tcase_add_test(t, test_table);
	tcase_add_test(t, test_empty_table);
	suite_add_tcase(s, t);
	return run_suite(s);
}
