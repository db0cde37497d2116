/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/json.c and json_write.c. Number texts are those of ECMAScript, which the
 * reference agent's encoder shares; its escapes are those of spec/01 section 1.8. */
#include <check.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "tests/unit/suite.h"

static json_t *
parse(const char *text)
{
	struct err e = { 0, "" };
	json_t *v = json_parse(text, strlen(text), "test", &e);

	ck_assert_msg(v != NULL, "%s: %s", text, e.text);
	return v;
}

static void
refuse(const char *text, size_t len, const char *want)
{
	struct err e = { 0, "" };

	ck_assert_ptr_null(json_parse(text, len, "input", &e));
	ck_assert_int_eq(e.code, -EINVAL);
	ck_assert_msg(strstr(e.text, want) != NULL, "'%s' is not in '%s'", want, e.text);
	ck_assert_ptr_null(strstr(e.text, "SECRET"));
}

START_TEST(test_parse)
{
	static const char *const good[] = { "null", "true", "1", "-1.5e3", "\"x\"", "[]", "{}",
					    " [1, 2] \n", "\"\\u0000\"" };

	for (size_t i = 0; i < NELEMS(good); i++) {
		autojson json_t *v = parse(good[i]);

		ck_assert_ptr_nonnull(v);
	}
}
END_TEST

START_TEST(test_refused)
{
	refuse("", 0, "'input' is not JSON: it is empty");
	refuse("{\n  \"a\": ]", 10, "'input' is not JSON: line 2, column 8");
	refuse("[1] SECRET", 10, "end of file expected");
	refuse("[SECRET]", 8, "invalid token");
	refuse("{\"a\":1", 6, "not JSON");
	refuse("\"SECRET", 7, "not JSON");
	refuse("\"\xFF\"", 3, "not JSON");
	refuse("\"a\nb\"", 5, "not JSON");
	refuse("[99999999999999999999,1e999]", 28, "not JSON");
	refuse("[99999999999999999999 SECRET]", 29, "not JSON");
	refuse("099999999999999999999", 21, "not JSON");
	refuse("1e999", 5, "not JSON");
	refuse("[1]\0", 4, "not JSON");
	refuse("01", 2, "not JSON");
	refuse("{\"a\":1,}", 8, "not JSON");
	refuse("\"\\ud800\"", 8, "not JSON");
}
END_TEST

/* spec/03 1.3: what 64 bits do not hold is a double; digits in strings are text. */
START_TEST(test_large_integers)
{
	static const char text[] =
		"{\"a\":[9223372036854775807,-9223372036854775808,9223372036854775808,"
		"-9223372036854775809,18446744073709551616, 1.5,1e3],"
		"\"\\\"99999999999999999999\":\"x\\\\\",\"b\":99999999999999999999}";
	autojson json_t *v = parse(text), *one = parse("9223372036854775808");
	const json_t *a = json_object_get(v, "a");
	autofree char *go = json_text_go(v, false);

	ck_assert_int_eq(json_integer_value(json_array_get(a, 0)), INT64_MAX);
	ck_assert_int_eq(json_integer_value(json_array_get(a, 1)), INT64_MIN);
	ck_assert(json_real_value(one) == 9223372036854775808.0);
	ck_assert_str_eq(json_str(v, "\"99999999999999999999", ""), "x\\");
	ck_assert_str_eq(go, "{\"a\":[9223372036854775807,-9223372036854775808,"
			     "9223372036854776000,-9223372036854776000,18446744073709552000,1.5,"
			     "1000],\"\\\"99999999999999999999\":\"x\\\\\","
			     "\"b\":100000000000000000000}");
}
END_TEST

START_TEST(test_depth)
{
	autofree char *text = xcalloc(1, 200001);
	autojson json_t *v = NULL, *strings = NULL;

	memset(text, '[', 128);
	memset(text + 128, ']', 128);
	v = json_parse(text, 256, "x", NULL);
	ck_assert_ptr_nonnull(v);
	memset(text, '[', 129);
	memset(text + 129, ']', 129);
	refuse(text, 258, "deeper than 128");
	memset(text, '[', 200000);
	refuse(text, 200000, "deeper than 128");
	/* Brackets in strings, behind escaped quotes too, are no depth. */
	memcpy(text, "[\"\\\"", 4);
	memset(text + 4, '{', 1000);
	memcpy(text + 1004, "\"]", 2);
	strings = json_parse(text, 1006, "x", NULL);
	ck_assert_ptr_nonnull(strings);
}
END_TEST

START_TEST(test_last_key_wins)
{
	autojson json_t *v = parse("{\"a\":1,\"a\":2}");

	ck_assert_int_eq(json_int(v, "a", 0), 2);
}
END_TEST

START_TEST(test_prefixes_never_crash)
{
	static const char text[] = "{\"a\":[1,-2.5e+3,\"\\u00e4\\\"\",{\"b\":null}],"
				   "\"c\":[true,false]}";

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		struct err e = { 0, "" };

		ck_assert_ptr_null(json_parse(text, len, "x", &e));
		ck_assert_int_eq(e.code, -EINVAL);
	}
}
END_TEST

START_TEST(test_file)
{
	char path[] = "/tmp/t_json.XXXXXX";
	int fd = mkstemp(path);
	struct err e = { 0, "" };
	autojson json_t *v = NULL;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "{\"a\":7}", 7), 7);
	close(fd);
	v = json_parse_file(path, 7, &e);
	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(json_int(v, "a", 0), 7);
	ck_assert_ptr_null(json_parse_file(path, 6, &e));
	ck_assert_int_eq(e.code, -EFBIG);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_ptr_null(json_parse_file(path, 6, &e));
	ck_assert_int_eq(e.code, -ENOENT);
}
END_TEST

static const char rfc6901[] =
	"{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,"
	"\"k\\\"l\":6,\" \":7,\"m~n\":8,\"~1\":9}";

static void
at_int(const json_t *v, const char *pointer, int want)
{
	const json_t *found = json_at(v, pointer);

	ck_assert_msg(json_is_integer(found), "%s", pointer);
	ck_assert_int_eq(json_integer_value(found), want);
}

/* The examples of RFC 6901 section 5. */
START_TEST(test_pointer)
{
	static const char *const none[] = { "foo", "/nope", "/foo/2", "/foo/-", "/foo/01",
					    "/foo/+1", "/foo/x", "/foo/", "/m~n", "/m~2n",
					    "/foo/0/x", "/foo/-1", "/foo/99999999999999999999",
					    "/a~" };
	autojson json_t *v = parse(rfc6901);

	ck_assert_ptr_eq(json_at(v, ""), v);
	ck_assert_uint_eq(json_array_size(json_at(v, "/foo")), 2);
	ck_assert_str_eq(json_string_value(json_at(v, "/foo/0")), "bar");
	at_int(v, "/", 0);
	at_int(v, "/a~1b", 1);
	at_int(v, "/c%d", 2);
	at_int(v, "/e^f", 3);
	at_int(v, "/g|h", 4);
	at_int(v, "/i\\j", 5);
	at_int(v, "/k\"l", 6);
	at_int(v, "/ ", 7);
	at_int(v, "/m~0n", 8);
	at_int(v, "/~01", 9);
	for (size_t i = 0; i < NELEMS(none); i++)
		ck_assert_msg(json_at(v, none[i]) == NULL, "%s", none[i]);
	ck_assert_ptr_null(json_at(NULL, ""));
	ck_assert_ptr_null(json_at(NULL, "/a"));
}
END_TEST

START_TEST(test_getters)
{
	autojson json_t *v = parse("{\"s\":\"x\",\"i\":-5,\"b\":true,\"f\":false,"
				   "\"n\":null,\"r\":1.0}");

	ck_assert_str_eq(json_str(v, "s", "p"), "x");
	ck_assert_str_eq(json_str(v, "i", "p"), "p");
	ck_assert_str_eq(json_str(v, "n", "p"), "p");
	ck_assert_ptr_null(json_str(v, "none", NULL));
	ck_assert_int_eq(json_int(v, "i", 9), -5);
	ck_assert_int_eq(json_int(v, "s", 9), 9);
	ck_assert_int_eq(json_int(v, "r", 9), 9);
	ck_assert(json_bool(v, "b", false));
	ck_assert(!json_bool(v, "f", true));
	ck_assert(json_bool(v, "s", true));
	ck_assert_str_eq(json_str(NULL, "a", "p"), "p");
	ck_assert_int_eq(json_int(NULL, "a", 3), 3);
	ck_assert(json_bool(NULL, "a", true));
}
END_TEST

static void
round_trip(const char *text, const char *plain, const char *sorted, const char *go)
{
	autojson json_t *v = parse(text);
	autofree char *a = json_text(v), *b = json_text_sorted(v), *c = json_text_go(v, true);

	ck_assert_str_eq(a, plain);
	ck_assert_str_eq(b, sorted);
	ck_assert_str_eq(c, go);
}

START_TEST(test_text)
{
	round_trip("{\"b\": [1, true, null], \"a\": {\"d\": \"x\", \"c\": false}, \"B\": {}}",
		   "{\"b\":[1,true,null],\"a\":{\"d\":\"x\",\"c\":false},\"B\":{}}",
		   "{\"B\":{},\"a\":{\"c\":false,\"d\":\"x\"},\"b\":[1,true,null]}",
		   "{\"B\":{},\"a\":{\"c\":false,\"d\":\"x\"},\"b\":[1,true,null]}");
	round_trip("\"<a&b>\\u2028\\u2029\\u007f\\u00e4\\ud83d\\ude00\"",
		   "\"<a&b>\xE2\x80\xA8\xE2\x80\xA9\x7F\xC3\xA4\xF0\x9F\x98\x80\"",
		   "\"<a&b>\xE2\x80\xA8\xE2\x80\xA9\x7F\xC3\xA4\xF0\x9F\x98\x80\"",
		   "\"\\u003ca\\u0026b\\u003e\\u2028\\u2029\x7F\xC3\xA4\xF0\x9F\x98\x80\"");
	round_trip("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\"",
		   "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\"",
		   "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\"",
		   "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\"");
	round_trip("{\"<\":1}", "{\"<\":1}", "{\"<\":1}", "{\"\\u003c\":1}");
	round_trip("[1.0,-0.0,9223372036854775807,-9223372036854775808]",
		   "[1.0,-0.0,9223372036854775807,-9223372036854775808]",
		   "[1.0,-0.0,9223372036854775807,-9223372036854775808]",
		   "[1,-0,9223372036854775807,-9223372036854775808]");
}
END_TEST

START_TEST(test_go_keeps_order_unless_asked)
{
	autojson json_t *v = parse("{\"b\":1,\"a\":2}");
	autofree char *kept = json_text_go(v, false);

	ck_assert_str_eq(kept, "{\"b\":1,\"a\":2}");
}
END_TEST

static const struct {
	double value;
	const char *text;
} reals[] = {
	{ 0.1, "0.1" },
	{ 1.5, "1.5" },
	{ 100.0, "100" },
	{ 123456789.125, "123456789.125" },
	{ -0.5, "-0.5" },
	{ 1.0 / 3, "0.3333333333333333" },
	{ 4.35, "4.35" },
	{ 9007199254740992.0, "9007199254740992" },
	{ 1e20, "100000000000000000000" },
	{ 1e21, "1e+21" },
	{ 3.25e22, "3.25e+22" },
	{ 0.001, "0.001" },
	{ 1e-6, "0.000001" },
	{ 1.234e-6, "0.000001234" },
	{ 1e-7, "1e-7" },
	{ 2.5e-7, "2.5e-7" },
	{ 5e-324, "5e-324" },
	{ 1.7976931348623157e308, "1.7976931348623157e+308" },
};

static void
check_reals(void)
{
	for (size_t i = 0; i < NELEMS(reals); i++) {
		autojson json_t *v = json_real(reals[i].value), *back = NULL;
		autofree char *go = json_text_go(v, false), *plain = json_text(v);

		ck_assert_str_eq(go, reals[i].text);
		back = parse(plain);
		ck_assert_msg(json_is_real(back), "%s", plain);
		ck_assert(memcmp(&(double){ json_real_value(back) }, &reals[i].value, 8) == 0);
	}
}

START_TEST(test_reals)
{
	check_reals();
}
END_TEST

/* A decimal comma must not get into JSON. Where no such locale is installed this repeats the test
 * above; the separator is then covered by the scan for digits alone. */
START_TEST(test_reals_in_locale)
{
	(void)(setlocale(LC_ALL, "de_DE.UTF-8") || setlocale(LC_ALL, "fr_FR.UTF-8"));
	check_reals();
	setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(test_add_string_go)
{
	autosbuf struct sbuf b = SBUF_INIT(100), small = SBUF_INIT(8);

	ck_assert_int_eq(json_add_string_go(&b, "a<\xFF\xC3\xA4\xE2\x82\0\n", 9), 0);
	ck_assert_str_eq(sbuf_str(&b), "\"a\\u003c\\ufffd\xC3\xA4\\ufffd\\ufffd\\u0000\\n\"");
	ck_assert_int_eq(json_add_string_go(&small, "aaaaaaaaaaaaaaa", 15), -E2BIG);
}
END_TEST

START_TEST(test_invalid_utf8_in_values)
{
	autojson json_t *v = json_stringn_nocheck("x\xED\xA0\x80", 4);
	autofree char *text = json_text_go(v, false);

	ck_assert_str_eq(text, "\"x\\ufffd\\ufffd\\ufffd\"");
}
END_TEST

START_TEST(test_any_case)
{
	autojson json_t *o =
		json_loads("{\"NAME\":1,\"name\":2,\"other\":null,\"Third\":3}", 0, NULL);

	ck_assert_int_eq(json_integer_value(json_any_case(o, "name")), 2);
	ck_assert_int_eq(json_integer_value(json_any_case(o, "third")), 3);
	ck_assert_ptr_null(json_any_case(o, "other"));
	ck_assert_ptr_null(json_any_case(o, "none"));
	ck_assert_ptr_null(json_any_case(NULL, "none"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");

	tcase_add_test(t, test_parse);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_large_integers);
	tcase_add_test(t, test_depth);
	tcase_add_test(t, test_last_key_wins);
	tcase_add_test(t, test_prefixes_never_crash);
	tcase_add_test(t, test_file);
	tcase_add_test(t, test_pointer);
	tcase_add_test(t, test_getters);
	tcase_add_test(t, test_text);
	tcase_add_test(t, test_go_keeps_order_unless_asked);
	tcase_add_test(t, test_reals);
	tcase_add_test(t, test_any_case);
	tcase_add_test(t, test_reals_in_locale);
	tcase_add_test(t, test_add_string_go);
	tcase_add_test(t, test_invalid_utf8_in_values);
	suite_add_tcase(s, t);
	return run_suite(s);
}
