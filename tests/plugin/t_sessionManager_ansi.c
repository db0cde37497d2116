/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/sessionManager/ansi.c and logevent.c: terminal output as text, text as log events. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/ansi.h"
#include "plugins/sessionManager/logevent.h"
#include "tests/unit/suite.h"

#define ESC "\033"
#define NOW 1795248366123 /* 2026-11-21T08:06:06.123Z */

/* ------------------------------------------------------------------- filter */

/* However it is cut. */
static void
filtered(const char *text, const char *wanted)
{
	size_t len = strlen(text);

	for (size_t cut = 0; cut <= len; cut++) {
		struct ansi a = { 0 };
		autosbuf struct sbuf out = SBUF_INIT(4096);

		ansi_filter(&a, text, cut, &out);
		ansi_filter(&a, text + cut, len - cut, &out);
		ck_assert_str_eq(sbuf_str(&out), wanted);
	}
}

START_TEST(t_filter)
{
	filtered("plain\n", "plain\n");
	filtered("a\tb\r\n", "a b\n"); /* spec 02 §8.5 */
	filtered(ESC "[31mred" ESC "[0m", "red");
	filtered(ESC "[?25l" ESC "[2;3Hx", "x");
	filtered(ESC "]0;title\007x", "x");
	filtered(ESC "]0;title" ESC "\\x", "x");
	filtered(ESC "P1$r" ESC "\\x" ESC "^y" ESC "\\z", "xz");
	filtered(ESC "(Bx" ESC "=y" ESC "#8z", "xyz");
	filtered("a" ESC "[31" ESC "[0mb", "ab");
	filtered("a" ESC "[3\nb", "a\nb");
	filtered("a" ESC "[31\030b", "ab");
	filtered(ESC ESC "[1mx", "x");
	/* Those of 8 bits, as UTF-8 has them. */
	filtered("\xc2\x9b"
		 "31mred\xc2\x9d"
		 "0;t\xc2\x9cx\xc2\x85y",
		 "redxy");
}
END_TEST

/* The reference takes 0x80..0x9f in the middle of characters for control codes, spec 02 §14. */
START_TEST(t_characters)
{
	filtered("\xc3\x9b", "\xc3\x9b");			    /* U+00DB */
	filtered("\xe2\x80\x9d\xc2\xa0x", "\xe2\x80\x9d\xc2\xa0x"); /* U+201D, U+00A0 */
	filtered("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
	filtered("\xc2\xc2\xa9", "\xc2\xc2\xa9");
	filtered("\xff\x9b"
		 "31m",
		 "\xff\x9b"
		 "31m");
}
END_TEST

/* What begins a string and does not end it must not hide the rest. */
START_TEST(t_hidden)
{
	filtered(ESC "]0;\nseen", "\nseen");
	filtered(ESC "P\nseen", "\nseen");
	filtered(ESC "[\nseen", "\nseen");
}
END_TEST

/* --------------------------------------------------------------- JSON events */

static const struct logevent_head head = { "us-east-1", "i-0123456789abcdef0", "arn:x/op",
					   "ssm-user", "op-0001" };

static size_t
json(const char *text, size_t len, bool last, struct sbuf *out)
{
	return logevent_json(&head, (struct span){ text, len }, last, NOW, out);
}

START_TEST(t_json)
{
	autosbuf struct sbuf out = SBUF_INIT(LOGEVENT_JSON_MAX);

	ck_assert_uint_eq(json("$ ls\na b\n$ ", 11, false, &out), 9);
	/* spec 02 §8.5 */
	ck_assert_str_eq(out.p,
			 "{\"eventVersion\":\"1.0\",\"eventTime\":\"2026-11-21T08:06:06Z\","
			 "\"awsRegion\":\"us-east-1\",\"target\":{\"id\":"
			 "\"i-0123456789abcdef0\"},\"userIdentity\":{\"arn\":\"arn:x/op\"},"
			 "\"runAsUser\":\"ssm-user\",\"sessionId\":\"op-0001\","
			 "\"sessionData\":[\"$ ls\",\"a b\"]}");
	sbuf_reset(&out);
	ck_assert_uint_eq(json("$ ", 2, false, &out), 0);
	ck_assert_uint_eq(out.len, 0);
	ck_assert_uint_eq(json("$ ", 2, true, &out), 2);
	ck_assert_ptr_nonnull(strstr(out.p, "\"sessionData\":[\"$ \"]}"));
	sbuf_reset(&out);
	ck_assert_uint_eq(json("\n", 1, false, &out), 1);
	ck_assert_ptr_nonnull(strstr(out.p, "\"sessionData\":[\"\"]}"));
	sbuf_reset(&out);
	ck_assert_uint_eq(json("", 0, true, &out), 0);
}
END_TEST

/* All lines of TEXT, joined; each event is JSON and within its limit. */
static char *
all_of(const char *text, size_t len)
{
	struct sbuf all = SBUF_INIT(1 << 22);
	size_t at = 0, n;

	do {
		autosbuf struct sbuf out = SBUF_INIT(LOGEVENT_TEXT_MAX);
		autojson json_t *event = NULL;
		json_t *line;
		size_t i;

		n = json(text + at, len - at, true, &out);
		at += n;
		if (n == 0)
			break;
		ck_assert_uint_le(out.len, LOGEVENT_JSON_MAX);
		event = json_parse(out.p, out.len, "event", NULL);
		ck_assert_ptr_nonnull(event);
		json_array_foreach(json_object_get(event, "sessionData"), i, line)
			sbuf_adds(&all, json_string_value(line));
	} while (n > 0);
	ck_assert_uint_eq(at, len);
	return sbuf_take(&all, NULL);
}

START_TEST(t_json_large)
{
	static const char *const pieces[] = { "x", "\001", "\xf0\x9f\x98\x80", "<&>", "\"" };

	for (size_t i = 0; i < NELEMS(pieces); i++) {
		autosbuf struct sbuf text = SBUF_INIT(1 << 20);
		autofree char *got = NULL;

		while (text.len < 100000)
			sbuf_adds(&text, pieces[i]);
		got = all_of(text.p, text.len);
		ck_assert_str_eq(got, text.p);
	}
}
END_TEST

/* A line that does not end is not waited for for ever. */
START_TEST(t_json_endless)
{
	autofree char *line = xmalloc(LOGEVENT_JSON_MAX);
	autosbuf struct sbuf out = SBUF_INIT(LOGEVENT_TEXT_MAX);

	memset(line, 'x', LOGEVENT_JSON_MAX);
	ck_assert_uint_eq(json(line, LOGEVENT_JSON_MAX - 1, false, &out), 0);
	ck_assert_uint_gt(json(line, LOGEVENT_JSON_MAX, false, &out), 10000);
}
END_TEST

START_TEST(t_json_many)
{
	autosbuf struct sbuf text = SBUF_INIT(1 << 20), out = SBUF_INIT(LOGEVENT_TEXT_MAX);
	autofree char *got = NULL;
	size_t n;

	for (int i = 0; i < 20000; i++)
		sbuf_adds(&text, "line\n");
	n = json(text.p, text.len, false, &out);
	ck_assert_uint_eq(n % 5, 0);
	ck_assert_uint_gt(out.len, LOGEVENT_JSON_MAX - 20);
	got = all_of(text.p, text.len);
	ck_assert_uint_eq(strlen(got), 80000);
}
END_TEST

/* -------------------------------------------------------------- plain events */

START_TEST(t_text)
{
	autosbuf struct sbuf out = SBUF_INIT(LOGEVENT_TEXT_MAX), text = SBUF_INIT(1 << 20);
	size_t n;

	ck_assert_uint_eq(logevent_text((struct span){ "a\r\nb\rc\n\nd", 9 }, false, &out), 8);
	ck_assert_str_eq(sbuf_str(&out), "a\nb\rc\n"); /* spec 02 §8.4 */
	sbuf_reset(&out);
	ck_assert_uint_eq(logevent_text((struct span){ "d", 1 }, false, &out), 0);
	ck_assert_uint_eq(logevent_text((struct span){ "d", 1 }, true, &out), 1);
	ck_assert_str_eq(sbuf_str(&out), "d");
	sbuf_reset(&out);
	ck_assert_uint_eq(logevent_text((struct span){ "", 0 }, true, &out), 0);
	/* Whole lines up to the limit. */
	while (text.len < 300000)
		sbuf_adds(&text, "0123456\n");
	n = logevent_text((struct span){ text.p, text.len }, true, &out);
	ck_assert_uint_eq(n, LOGEVENT_TEXT_MAX);
	ck_assert_uint_eq(out.len, LOGEVENT_TEXT_MAX - 1);
	ck_assert_int_eq(out.err, 0);
}
END_TEST

START_TEST(t_text_endless)
{
	autosbuf struct sbuf out = SBUF_INIT(LOGEVENT_TEXT_MAX), text = SBUF_INIT(1 << 20);
	size_t n;

	sbuf_addc(&text, 'x');
	while (text.len < 300000)
		sbuf_adds(&text, "\xc3\xbc");
	n = logevent_text((struct span){ text.p, text.len }, false, &out);
	ck_assert_uint_eq(n, LOGEVENT_TEXT_MAX - 1); /* not within a character */
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager ansi");
	TCase *tc = tcase_create("sessionManager ansi");

	tcase_add_test(tc, t_filter);
	tcase_add_test(tc, t_characters);
	tcase_add_test(tc, t_hidden);
	tcase_add_test(tc, t_json);
	tcase_add_test(tc, t_json_large);
	tcase_add_test(tc, t_json_endless);
	tcase_add_test(tc, t_json_many);
	tcase_add_test(tc, t_text);
	tcase_add_test(tc, t_text_endless);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
