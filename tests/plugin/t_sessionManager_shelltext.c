/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/shelltext.c: the rules of spec 02 §6.1 and §6.4. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "plugins/sessionManager/shelltext.h"
#include "tests/unit/suite.h"

/* What is expected is written with a '|' behind each word. */
static const struct {
	const char *commands, *words;
} words[] = {
	{ "", "" },
	{ " \t\r\n", "" },
	{ "ls -l", "ls|-l|" },
	{ " a\tb\rc\nd ", "a|b|c|d|" },
	{ "echo 'a  b' \"c  d\"", "echo|a  b|c  d|" },
	{ "a'b'\"c\"d", "abcd|" },
	{ "''", "|" },
	{ "a \"\" b", "a||b|" },
	{ "\"a\\nb\\\"c\"", "anb\"c|" },
	{ "'a\\nb'", "a\\nb|" },
	{ "a\\ b \\'c", "a b|'c|" },
	{ "a\\\nb", "a\nb|" },
	{ "a # b\nc", "a|c|" },
	{ "#a", "" },
	{ "a#b '#' \\#", "a#b|#|#|" },
	{ "$HOME `id` *", "$HOME|`id`|*|" },
};

START_TEST(test_words)
{
	autosbuf struct sbuf b = SBUF_INIT(4096);
	autostrv char **v = NULL;

	ck_assert_int_eq(shelltext_words(words[_i].commands, &v, NULL), 0);
	for (size_t i = 0; v && v[i]; i++)
		sbuf_addf(&b, "%s|", v[i]);
	ck_assert_str_eq(sbuf_str(&b), words[_i].words);
}
END_TEST

START_TEST(test_words_without_end)
{
	char **v = NULL;
	struct err e;

	ck_assert_int_eq(shelltext_words("a 'b", &v, &e), -EINVAL);
	ck_assert_str_eq(e.text, "Failed to parse commands input: EOF found when expecting closing "
			 "quote");
	ck_assert_int_eq(shelltext_words("a \"b\\\"", &v, &e), -EINVAL);
	ck_assert_str_eq(e.text, "Failed to parse commands input: EOF found when expecting closing "
			 "quote");
	ck_assert_int_eq(shelltext_words("a \\", &v, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "parse commands input: EOF found after escape char"));
	ck_assert_int_eq(shelltext_words("\"a\\", &v, &e), -EINVAL);
	ck_assert_str_eq(e.text, "Failed to parse commands input: EOF found after escape "
			 "character");
	ck_assert_ptr_null(v);
}
END_TEST

static const struct {
	const char *text;
	size_t max, chunk, last;
} chunks[] = {
	{ "abc", 8, 3, 3 },
	{ "abcdefgh", 4, 4, 4 },
	{ "abc\xC3\xA9", 4, 3, 3 },	       /* cut by the ceiling */
	{ "abc\xC3", 8, 3, 4 },		       /* the rest will come */
	{ "abc\xE2\x82", 4, 3, 4 },	       /* both; at the end there is no rest */
	{ "\xE2\x82", 8, 0, 2 },
	{ "\xE2\x82\xAC", 8, 3, 3 },
	{ "a\xF0\x9F\x98", 8, 1, 4 },
	{ "\xEF\xBF\xBD", 8, 3, 3 },	       /* U+FFFD is a character like others */
	{ "ab\xEF\xBF", 8, 2, 4 },
	{ "\xFFX", 8, 2, 2 },		       /* no character, and never one */
	{ "a\x80", 8, 2, 2 },
	{ "a\xC0", 8, 2, 2 },
	{ "a\xE0\x80", 8, 3, 3 },	       /* too low: will be none */
	{ "a\xE0\xA0", 8, 1, 3 },
	{ "a\xED\xA0", 8, 3, 3 },	       /* a surrogate */
	{ "a\xED\x9F", 8, 1, 3 },
	{ "a\xF4\x90", 8, 3, 3 },	       /* above U+10FFFF */
	{ "a\xF4\x8F", 8, 1, 3 },
	{ "\xC3\xA9\xC3\xA9\xC3\xA9", 5, 4, 4 },
};

START_TEST(test_chunks)
{
	const char *text = chunks[_i].text;

	ck_assert_uint_eq(shelltext_chunk(text, strlen(text), chunks[_i].max, false),
			  chunks[_i].chunk);
	ck_assert_uint_eq(shelltext_chunk(text, strlen(text), chunks[_i].max, true),
			  chunks[_i].last);
}
END_TEST

/* However it comes, all of it leaves, and no chunk but the last splits a character. */
START_TEST(test_all_bytes_leave)
{
	static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xFF\xEF\xBF\xBDz\xE2\x82";
	const size_t len = sizeof(text) - 1;

	for (size_t step = 1; step <= len; step++) {
		autosbuf struct sbuf kept = SBUF_INIT(100), out = SBUF_INIT(100);

		for (size_t at = 0; at < len; at += step) {
			bool last = at + step >= len;
			size_t n;

			sbuf_add(&kept, text + at, last ? len - at : step);
			while (kept.len && (n = shelltext_chunk(kept.p, kept.len, 4, last)) > 0) {
				ck_assert_uint_le(n, 4);
				sbuf_add(&out, kept.p, n);
				sbuf_consume(&kept, n);
				ck_assert(out.len >= len - 2 || (text[out.len] & 0xC0) != 0x80);
			}
			ck_assert_uint_lt(kept.len, 4);
		}
		ck_assert_uint_eq(kept.len, 0);
		ck_assert_uint_eq(out.len, len);
		ck_assert_mem_eq(out.p, text, len);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager shelltext");
	TCase *t = tcase_create("shelltext");

	tcase_add_loop_test(t, test_words, 0, NELEMS(words));
	tcase_add_test(t, test_words_without_end);
	tcase_add_loop_test(t, test_chunks, 0, NELEMS(chunks));
	tcase_add_test(t, test_all_bytes_leave);
	suite_add_tcase(s, t);
	return run_suite(s);
}
