/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/pattern: meaning and refusals as RE2 has them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "core/pattern/pattern.h"
#include "tests/unit/suite.h"

static void
check_match(const char *pattern, const char *text, int want)
{
	autofree char *reason = NULL;
	struct pattern *p = pattern_new(pattern, strlen(pattern), &reason);

	ck_assert_msg(p != NULL, "/%s/: %s", pattern, reason);
	ck_assert_msg(pattern_match(p, text, strlen(text)) == want, "/%s/ on '%s'", pattern, text);
	pattern_free(p);
}

/* Meaning as in RE2, also where PCRE2 alone would mean something else. */
START_TEST(test_matches)
{
	static const struct {
		const char *pattern, *text;
		int want;
	} cases[] = {
		{ "^yes$", "yes", 1 },
		{ "^yes$", "no", 0 },
		{ "^yes$", "yes\n", 0 }, /* '$' is the very end */
		{ "(?m)^yes$", "no\nyes\n", 1 },
		{ "(?m)^a$|(?-m:b$)", "b\n", 0 },
		{ "(?m:a$)", "a\nb", 1 },
		{ "((?m)x)a$", "xa\n", 0 },
		{ "b", "abc", 1 },
		{ "", "", 1 },
		{ "^$", "x", 0 },
		{ "a|", "zzz", 1 },
		{ ".", "\n", 0 },
		{ "(?s).", "\n", 1 },
		{ "(?s:.)", "\n", 1 },
		{ ".", "\r", 1 },
		{ "^.$", "\xe2\x82\xac", 1 },
		{ "^[^a]$", "\xe2\x82\xac", 1 },
		{ "\\s", "\v", 0 }, /* no vertical tab */
		{ "[\\s]", "\v", 0 },
		{ "\\S", "\v", 1 },
		{ "^[\\S]$", "\v", 1 },
		{ "^[^\\s]$", "\v", 1 },
		{ "\\v", "\v", 1 }, /* only that one */
		{ "\\v", "\n", 0 },
		{ "\\d", "\xd9\xa3", 0 }, /* digits are ASCII */
		{ "^\\D$", "\xd9\xa3", 1 },
		{ "^\\w+$", "aZ_9", 1 },
		{ "\\w", "\xc3\xa9", 0 },
		{ "^[\\W]$", "\xc3\xa9", 1 },
		{ "\\bfoo\\b", "a foo b", 1 },
		{ "\\bfoo\\b", "afoob", 0 },
		{ "\\Afoo\\z", "foo", 1 },
		{ "\\Afoo\\z", "foo\n", 0 },
		{ "(?i)straSSe", "STRAsse", 1 },
		{ "(?i:\xc3\xa9)", "\xc3\x89", 1 },
		{ "a(?i)b|c", "C", 1 },
		{ "(?-i)A", "a", 0 },
		{ "(?U)^a+$", "aaa", 1 },
		{ "(?P<n>a)(?:b)(?<m>c)", "abc", 1 },
		{ "a{2,3}", "aa", 1 },
		{ "^a{2,3}$", "aaaa", 0 },
		{ "^a{,3}$", "a{,3}", 1 }, /* a literal brace */
		{ "^a{x}$", "a{x}", 1 },
		{ "{", "{", 1 },
		{ "a{2}?", "aa", 1 },
		{ "a*?b+?c??", "b", 1 },
		{ "^*x", "x", 1 },
		{ "[]a]+", "]", 1 },
		{ "[^]a]", "]", 0 },
		{ "^[a-]$", "-", 1 },
		{ "^[-a]$", "-", 1 },
		{ "^[[:alpha:][:digit:]_]+$", "aB3_", 1 },
		{ "[[:^alpha:]]", "abc", 0 },
		{ "^[a[:x]+$", "[:x", 1 },
		{ "^[[]$", "[", 1 },
		{ "^[\\]\\-\\\\]+$", "]-\\", 1 },
		{ "^\\x41\\x{42}\\103\\x{20ac}$", "ABC\xe2\x82\xac", 1 },
		{ "^\\Qa.b*\\E+$", "a.b***", 1 },
		{ "\\Q(", "(", 1 },
		{ "^\\pL\\p{Lu}\\P{Lu}\\p{^Lu}$", "aBcd", 1 },
		{ "^\\p{Greek}+$", "\xce\xb1\xce\xb2", 1 },
		{ "^[\\p{Greek}x]+$", "\xce\xb1x", 1 },
		{ "\\p{Any}", "x", 1 },
		{ "^\\.\\*\\_\\ \\/$", ".*_ /", 1 },
		{ "#", "#", 1 },
		{ "a b", "a b", 1 },
		{ "(a|ab)(c|bcd)(d*)", "abcd", 1 },
		{ "([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(172800)", "3600", 1 },
		{ "([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(172800)", "x", 0 },
		{ "^[^\"]*$", "say \"x\"", 0 },
		{ "^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 0 },
		{ "^(\\w+\\s?)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
		  0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_match(cases[i].pattern, cases[i].text, cases[i].want);
}
END_TEST

/* What RE2 has not, or calls wrong. */
START_TEST(test_refused)
{
	static const struct {
		const char *pattern, *want;
	} cases[] = {
		{ "(?!a)", "invalid or unsupported Perl syntax: `(?!`" }, /* spec/03 2.8 */
		{ "x(?=a)", "invalid or unsupported Perl syntax: `(?=`" },
		{ "(?<=a)b", "invalid or unsupported Perl syntax: `(?<`" },
		{ "(?<!a)b", "invalid or unsupported Perl syntax: `(?<`" },
		{ "(?>a)", "invalid or unsupported Perl syntax: `(?>`" },
		{ "(?R)", "invalid or unsupported Perl syntax: `(?R`" },
		{ "(a)(?1)", "invalid or unsupported Perl syntax: `(?1`" },
		{ "(?&n)", "invalid or unsupported Perl syntax: `(?&`" },
		{ "(?P>n)", "invalid or unsupported Perl syntax: `(?P`" },
		{ "(?P=n)", "invalid or unsupported Perl syntax: `(?P`" },
		{ "(?C1)", "invalid or unsupported Perl syntax: `(?C`" },
		{ "(?|a|b)", "invalid or unsupported Perl syntax: `(?|`" },
		{ "(?#x)", "invalid or unsupported Perl syntax: `(?#`" },
		{ "(?x)a", "invalid or unsupported Perl syntax: `(?x`" },
		{ "(?(1)a)", "invalid or unsupported Perl syntax: `(?(`" },
		{ "(?i", "missing closing ): `(?i`" },
		{ "(?-)a", "invalid or unsupported Perl syntax: `(?-)`" },
		{ "(?P<>a)", "invalid named capture: `(?P<>`" },
		{ "(?P<a-b>c)", "invalid named capture: `(?P<a-`" },
		{ "(*UTF)a", "missing argument to repetition operator: `*`" },
		{ "(*FAIL)", "missing argument to repetition operator: `*`" },
		{ "(a)\\1", "invalid escape sequence: `\\1`" },
		{ "\\8", "invalid escape sequence: `\\8`" },
		{ "\\g{1}", "invalid escape sequence: `\\g`" },
		{ "\\k<a>", "invalid escape sequence: `\\k`" },
		{ "a\\Kb", "invalid escape sequence: `\\K`" },
		{ "\\Ga", "invalid escape sequence: `\\G`" },
		{ "a\\Z", "invalid escape sequence: `\\Z`" },
		{ "\\R", "invalid escape sequence: `\\R`" },
		{ "\\X", "invalid escape sequence: `\\X`" },
		{ "\\h", "invalid escape sequence: `\\h`" },
		{ "\\N", "invalid escape sequence: `\\N`" },
		{ "\\C", "invalid escape sequence: `\\C`" },
		{ "\\E", "invalid escape sequence: `\\E`" },
		{ "[\\b]", "invalid escape sequence: `\\b`" },
		{ "\\x4", "invalid escape sequence: `\\x4`" },
		{ "\\x{110000}", "invalid escape sequence: `\\x{110000`" },
		{ "\\\xe2\x82\xac", "invalid escape sequence: `\\\xe2\x82\xac`" },
		{ "a\\", "trailing backslash at end of expression: ``" },
		{ "a++", "invalid nested repetition operator: `++`" },
		{ "a*+", "invalid nested repetition operator: `*+`" },
		{ "a**", "invalid nested repetition operator: `**`" },
		{ "a{2}+", "invalid nested repetition operator: `{2}+`" },
		{ "a???", "invalid nested repetition operator: `\?\?\?`" },
		{ "*a", "missing argument to repetition operator: `*`" },
		{ "a|*", "missing argument to repetition operator: `*`" },
		{ "(?i)+", "missing argument to repetition operator: `+`" },
		{ "a{1001}", "invalid repeat count: `{1001}`" },
		{ "a{3,2}", "invalid repeat count: `{3,2}`" },
		{ "(a", "missing closing ): `(a`" },
		{ "a)", "unexpected ): `a)`" },
		{ "[a", "missing closing ]: `[a`" },
		{ "[]", "missing closing ]: `[]`" },
		{ "[b-a]", "invalid character class range: `b-a`" },
		{ "[a-\\d]", "invalid escape sequence: `\\d`" },
		{ "[[:foo:]]", "invalid character class range: `[:foo:]`" },
		{ "[[:<:]]", "invalid character class range: `[:<:]`" },
		{ "\\p{a-b}", "invalid character class range: `\\p{a-b}`" },
		{ "\\p", "invalid character class range: `\\p`" },
		{ "\\p{L", "invalid character class range: `\\p{L`" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		autofree char *reason = NULL;
		struct pattern *p =
			pattern_new(cases[i].pattern, strlen(cases[i].pattern), &reason);

		ck_assert_msg(p == NULL, "/%s/ was taken", cases[i].pattern);
		ck_assert_str_eq(reason, cases[i].want);
	}
}
END_TEST

/* Found by fuzzing: what is behind the pattern is not ours to show. */
START_TEST(test_refused_pattern_has_an_end)
{
	autofree char *reason = NULL;

	ck_assert_ptr_null(pattern_new("\\pO and what follows", 3, &reason));
	ck_assert_msg(text_ends(reason, "`\\pO`"), "%s", reason);
}
END_TEST

/* Long inputs: every pattern is taken or refused, and matching ends. */
START_TEST(test_large_patterns)
{
	static const char *const parts[] = { "(",	"(?:a|",	 "[",  "a?", "\\",
					     "a{1000}", "(a{1000}){10}", "x*", "{",  "\\Q" };
	autofree char *text = xmalloc(1 << 20);

	memset(text, 'a', (1 << 20) - 1);
	text[(1 << 20) - 1] = '\0';
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (size_t times = 1; times <= 100000; times *= 10) {
			struct sbuf b = SBUF_INIT(1 << 24);
			autofree char *reason = NULL;
			struct pattern *p;

			for (size_t n = 0; n < times; n++)
				sbuf_adds(&b, parts[i]);
			p = pattern_new(b.p, b.len, &reason);
			ck_assert(p || reason);
			if (p)
				ck_assert_int_le(pattern_match(p, text, 1000), 1);
			pattern_free(p);
			sbuf_done(&b);
		}
	}
	check_match("a*b", text, 0);
	check_match("(a|aa)+$", text, 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pattern");
	TCase *tc = tcase_create("pattern");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_matches);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_refused_pattern_has_an_end);
	tcase_add_test(tc, test_large_patterns);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
