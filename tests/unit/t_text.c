/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/text*.c. */
/* Base64, percent, UTF-8 and time vectors come from Python's standard library. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "tests/unit/suite.h"

static void
number(const char *s, int64_t min, int64_t max, int want_r, int64_t want)
{
	int64_t v = 4711;

	ck_assert_msg(text_to_i64(s, min, max, &v) == want_r, "'%s'", s);
	ck_assert_int_eq(v, want_r == 0 ? want : 4711);
}

START_TEST(test_i64)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1.0", "0x1", "1a", "--1",
					   "\n", "99999999999999999999x" };

	number("0", INT64_MIN, INT64_MAX, 0, 0);
	number("-0", INT64_MIN, INT64_MAX, 0, 0);
	number("007", 0, 10, 0, 7);
	number("-12", INT64_MIN, INT64_MAX, 0, -12);
	number("9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX);
	number("-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN);
	number("9223372036854775808", INT64_MIN, INT64_MAX, -ERANGE, 0);
	number("-9223372036854775809", INT64_MIN, INT64_MAX, -ERANGE, 0);
	number("99999999999999999999999", INT64_MIN, INT64_MAX, -ERANGE, 0);
	number("11", 0, 10, -ERANGE, 0);
	number("-1", 0, 10, -ERANGE, 0);
	for (size_t i = 0; i < NELEMS(bad); i++)
		number(bad[i], INT64_MIN, INT64_MAX, -EINVAL, 0);
}
END_TEST

START_TEST(test_bool)
{
	static const char *const yes[] = { "yes", "TRUE", "On", "1" };
	static const char *const no[] = { "no", "False", "OFF", "0" };
	bool v = false;

	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(text_to_bool(yes[i], &v), 0);
		ck_assert(v);
		ck_assert_int_eq(text_to_bool(no[i], &v), 0);
		ck_assert(!v);
	}
	ck_assert_int_eq(text_to_bool("", &v), -EINVAL);
	ck_assert_int_eq(text_to_bool("y", &v), -EINVAL);
	ck_assert_int_eq(text_to_bool("yes ", &v), -EINVAL);
	ck_assert_int_eq(text_to_bool("2", &v), -EINVAL);
}
END_TEST

static void
unit(int (*fn)(const char *, int64_t *), const char *s, int want_r, int64_t want)
{
	int64_t v = 4711;

	ck_assert_msg(fn(s, &v) == want_r, "'%s'", s);
	ck_assert_int_eq(v, want_r == 0 ? want : 4711);
}

START_TEST(test_units)
{
	unit(text_to_ms, "1500", 0, 1500);
	unit(text_to_ms, "250ms", 0, 250);
	unit(text_to_ms, "30s", 0, 30000);
	unit(text_to_ms, "5m", 0, 300000);
	unit(text_to_ms, "1h", 0, 3600000);
	unit(text_to_ms, "2d", 0, 172800000);
	unit(text_to_ms, "0", 0, 0);
	unit(text_to_ms, "-1s", -EINVAL, 0);
	unit(text_to_ms, "1 s", -EINVAL, 0);
	unit(text_to_ms, "1S", -EINVAL, 0);
	unit(text_to_ms, "s", -EINVAL, 0);
	unit(text_to_ms, "1y", -EINVAL, 0);
	unit(text_to_ms, "9223372036854775807d", -ERANGE, 0);
	unit(text_to_ms, "9223372036854775807", 0, INT64_MAX);
	unit(text_to_bytes, "4096", 0, 4096);
	unit(text_to_bytes, "64K", 0, 65536);
	unit(text_to_bytes, "10M", 0, 10485760);
	unit(text_to_bytes, "2G", 0, 2147483648);
	unit(text_to_bytes, "8589934592G", -ERANGE, 0);
	unit(text_to_bytes, "99999999999999999999999999K", -ERANGE, 0);
	unit(text_to_bytes, "1T", -EINVAL, 0);
	unit(text_to_bytes, "", -EINVAL, 0);
}
END_TEST

START_TEST(test_ends_and_trim)
{
	char a[] = " \t a b \r\n", b[] = "  ", c[] = "";

	ck_assert(text_starts("abc", "ab") && text_starts("abc", "") && !text_starts("a", "ab"));
	ck_assert(text_ends("abc", "bc") && text_ends("abc", "") && !text_ends("c", "bc"));
	ck_assert_str_eq(text_trim(a), "a b");
	ck_assert_str_eq(text_trim(b), "");
	ck_assert_str_eq(text_trim(c), "");
}
END_TEST

START_TEST(test_glob)
{
	autofree char *stars = xcalloc(1, 200), *as = xcalloc(1, 5001);

	ck_assert(text_glob("", ""));
	ck_assert(!text_glob("", "a"));
	ck_assert(text_glob("*", ""));
	ck_assert(text_glob("ssm:*", "ssm:GetParameter"));
	ck_assert(!text_glob("ssm:*", "s3:GetObject"));
	ck_assert(text_glob("a?c", "abc") && !text_glob("a?c", "ac"));
	ck_assert(text_glob("*ab*b", "xaabyabb"));
	ck_assert(!text_glob("*ab", "xabc"));
	ck_assert(text_glob("a**", "a") && text_glob("**", "x"));
	ck_assert(text_glob("[a]", "[a]") && !text_glob("[a]", "a"));
	ck_assert(!text_glob("A", "a"));
	ck_assert(text_glob("a*b", "a*b") && !text_glob("ab", "a*"));
	/* No exponential time. */
	for (int i = 0; i < 198; i += 2)
		memcpy(stars + i, "*a", 2);
	stars[198] = 'b';
	memset(as, 'a', 5000);
	ck_assert(!text_glob(stars, as));
}
END_TEST

START_TEST(test_hex)
{
	unsigned char raw[4];
	char hex[9];

	text_hex("\x00\xff\x1a\x7b", 4, hex);
	ck_assert_str_eq(hex, "00ff1a7b");
	text_hex("", 0, hex);
	ck_assert_str_eq(hex, "");
	ck_assert_int_eq(text_unhex("00FF1a7b", raw, 4), 4);
	ck_assert_mem_eq(raw, "\x00\xff\x1a\x7b", 4);
	ck_assert_int_eq(text_unhex("", raw, 4), 0);
	ck_assert_int_eq(text_unhex("0", raw, 4), -EINVAL);
	ck_assert_int_eq(text_unhex("0g", raw, 4), -EINVAL);
	ck_assert_int_eq(text_unhex("0011223344", raw, 4), -EINVAL);
	ck_assert_int_eq(text_unhex(" 00", raw, 4), -EINVAL);
}
END_TEST

static const char all_base64[] =
	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BB"
	"QkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKD"
	"hIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq+wsbKztLW2t7i5uru8vb6/wMHCw8TF"
	"xsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7/P3+/w==";

static void
base64(const void *raw, size_t len, const char *text)
{
	autofree char *encoded = text_base64(raw, len);
	autofree unsigned char *decoded = NULL;
	size_t n = 0;

	ck_assert_str_eq(encoded, text);
	ck_assert_int_eq(text_unbase64(text, &decoded, &n), 0);
	ck_assert_uint_eq(n, len);
	ck_assert_mem_eq(decoded, raw, len);
}

START_TEST(test_base64)
{
	static const char *const bad[] = { "A", "AA", "AAA", "AAA=AAAA", "A===", "====", "AA=A",
					   "AAA\n", " AAA", "AA-_", "AA==\n", "AAAA=", "=AAA" };
	unsigned char all[256];
	unsigned char *out = NULL;
	size_t n;

	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	base64("", 0, "");
	base64("f", 1, "Zg==");
	base64("fo", 2, "Zm8=");
	base64("foo", 3, "Zm9v");
	base64("foobar", 6, "Zm9vYmFy");
	base64("\xff\xfe\xfd", 3, "//79");
	base64("\xfa\xfb\xfc\xfd\xfe\xff\x00\x10\x83", 9, "+vv8/f7/ABCD");
	base64(all, sizeof(all), all_base64);
	for (size_t i = 0; i < NELEMS(bad); i++)
		ck_assert_msg(text_unbase64(bad[i], &out, &n) == -EINVAL, "'%s'", bad[i]);
	ck_assert_ptr_null(out);
}
END_TEST

static const char all_percent[] =
	"%00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F%10%11%12%13%14%15%16%17%18%19%1A%1B%1C"
	"%1D%1E%1F%20%21%22%23%24%25%26%27%28%29%2A%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40ABCD"
	"EFGHIJKLMNOPQRSTUVWXYZ%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%7F%80%81%82%83"
	"%84%85%86%87%88%89%8A%8B%8C%8D%8E%8F%90%91%92%93%94%95%96%97%98%99%9A%9B%9C%9D%9E%9F%A0%A1"
	"%A2%A3%A4%A5%A6%A7%A8%A9%AA%AB%AC%AD%AE%AF%B0%B1%B2%B3%B4%B5%B6%B7%B8%B9%BA%BB%BC%BD%BE%BF"
	"%C0%C1%C2%C3%C4%C5%C6%C7%C8%C9%CA%CB%CC%CD%CE%CF%D0%D1%D2%D3%D4%D5%D6%D7%D8%D9%DA%DB%DC%DD"
	"%DE%DF%E0%E1%E2%E3%E4%E5%E6%E7%E8%E9%EA%EB%EC%ED%EE%EF%F0%F1%F2%F3%F4%F5%F6%F7%F8%F9%FA%FB"
	"%FC%FD%FE%FF";

START_TEST(test_percent)
{
	unsigned char all[256];
	autofree char *text = NULL, *kept = NULL, *back = NULL;

	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	text = text_percent((char *)all, sizeof(all), "");
	ck_assert_str_eq(text, all_percent);
	kept = text_percent("a/b c+\xC3\xA4", 8, "/");
	ck_assert_str_eq(kept, "a/b%20c%2B%C3%A4");
	/* All but the NUL in front come back. */
	ck_assert_int_eq(text_unpercent(all_percent + 3, sizeof(all_percent) - 4, &back), 0);
	ck_assert_mem_eq(back, all + 1, 255);
	ck_assert_int_eq(back[255], 0);
}
END_TEST

START_TEST(test_unpercent_bad)
{
	static const char *const bad[] = { "%", "%4", "a%", "%zz", "%4g", "%00", "x%0", "%%41" };
	autofree char *back = NULL;

	for (size_t i = 0; i < NELEMS(bad); i++)
		ck_assert_int_eq(text_unpercent(bad[i], strlen(bad[i]), &back), -EINVAL);
	ck_assert_int_eq(text_unpercent("a\0b", 3, &back), -EINVAL);
	/* The length rules, not what stands behind it. */
	ck_assert_int_eq(text_unpercent("%41", 2, &back), -EINVAL);
	ck_assert_ptr_null(back);
	ck_assert_int_eq(text_unpercent("+%2b%2B%25", 10, &back), 0);
	ck_assert_str_eq(back, "++" "+%");
}
END_TEST

static const struct {
	int64_t seconds;
	const char *iso, *amz;
} stamps[] = {
	{ -62135596800, "0001-01-01T00:00:00.000Z", "00010101T000000Z" },
	{ -11670998400, "1600-02-29T00:00:00.000Z", "16000229T000000Z" },
	{ -2203891201, "1900-02-28T23:59:59.000Z", "19000228T235959Z" },
	{ -1, "1969-12-31T23:59:59.000Z", "19691231T235959Z" },
	{ 0, "1970-01-01T00:00:00.000Z", "19700101T000000Z" },
	{ 951825600, "2000-02-29T12:00:00.000Z", "20000229T120000Z" },
	{ 1709622489, "2024-03-05T07:08:09.000Z", "20240305T070809Z" },
	{ 4107542400, "2100-03-01T00:00:00.000Z", "21000301T000000Z" },
	{ 253402300799, "9999-12-31T23:59:59.000Z", "99991231T235959Z" },
};

START_TEST(test_stamps)
{
	char text[TEXT_STAMP_SIZE];

	for (size_t i = 0; i < NELEMS(stamps); i++) {
		int64_t ms = 0;

		text_iso8601_ms(stamps[i].seconds * 1000, text);
		ck_assert_str_eq(text, stamps[i].iso);
		ck_assert_int_eq(text_from_iso8601(text, &ms), 0);
		ck_assert_int_eq(ms, stamps[i].seconds * 1000);
		text_amz_date((time_t)stamps[i].seconds, text);
		ck_assert_str_eq(text, stamps[i].amz);
	}
	text_iso8601_ms(1709622489123, text);
	ck_assert_str_eq(text, "2024-03-05T07:08:09.123Z");
	text_iso8601_ms(-1, text);
	ck_assert_str_eq(text, "1969-12-31T23:59:59.999Z");
	text_iso8601_ms(INT64_MAX, text);
	ck_assert_str_eq(text, "292278994-08-17T07:12:55.807Z");
	text_iso8601_ms(INT64_MIN, text);
	ck_assert_str_eq(text, "-292275055-05-16T16:47:04.192Z");
	text_amz_date((time_t)INT64_MIN, text);
	ck_assert_str_eq(text, "-2922770226570127T082952Z");
}
END_TEST

/* Against the C library, day by day over four centuries. */
START_TEST(test_stamps_against_libc)
{
	for (int64_t day = -150000; day < 150000; day += 7) {
		time_t t = (time_t)(day * 86400 + 12345);
		char text[TEXT_STAMP_SIZE], want[80];
		struct tm tm;

		ck_assert_ptr_nonnull(gmtime_r(&t, &tm));
		snprintf(want, sizeof(want), "%04d%02d%02dT%02d%02d%02dZ", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		text_amz_date(t, text);
		ck_assert_str_eq(text, want);
	}
}
END_TEST

static void
iso(const char *s, int64_t want)
{
	int64_t ms = 0;

	ck_assert_msg(text_from_iso8601(s, &ms) == 0, "%s", s);
	ck_assert_msg(ms == want, "%s: %lld", s, (long long)ms);
}

START_TEST(test_from_iso8601)
{
	static const char *const bad[] = {
		"", "2024-03-05", "2024-03-05T07:08:09", "2024-03-05 07:08:09Z",
		"2024-13-05T07:08:09Z", "2024-00-05T07:08:09Z", "2024-02-30T07:08:09Z",
		"2023-02-29T07:08:09Z", "1900-02-29T07:08:09Z", "2024-03-00T07:08:09Z",
		"2024-03-05T24:08:09Z", "2024-03-05T07:60:09Z", "2024-03-05T07:08:61Z",
		"2024-03-05T07:08:09.Z", "2024-03-05T07:08:09Zx", "2024-03-05T07:08:09+1:00",
		"2024-03-05T07:08:09+01:60", "2024-03-05T07:08:09+24:00",
		"2024-03-05T07:08:09+0100",
		"24-03-05T07:08:09Z", "2024-3-05T07:08:09Z", "-024-03-05T07:08:09Z",
		" 2024-03-05T07:08:09Z", "2024-03-05T07:08:09 Z", "2024-03-05T07:08:09+", "T",
	};
	int64_t ms;

	iso("2024-03-05T07:08:09Z", 1709622489000);
	iso("2024-03-05t07:08:09z", 1709622489000);
	iso("2024-03-05T07:08:09.1Z", 1709622489100);
	iso("2024-03-05T07:08:09.123456789Z", 1709622489123);
	iso("2024-03-05T07:08:09.0009Z", 1709622489000);
	iso("2024-03-05T09:08:09+02:00", 1709622489000);
	iso("2024-03-05T01:38:09.5-05:30", 1709622489500);
	iso("2016-12-31T23:59:60Z", 1483228800000);
	iso("1969-12-31T23:59:59.999Z", -1);
	iso("2000-02-29T12:00:00Z", 951825600000);
	for (size_t i = 0; i < NELEMS(bad); i++)
		ck_assert_msg(text_from_iso8601(bad[i], &ms) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(test_from_http_date)
{
	static const char *const bad[] = {
		"", "Tue, 05 Mar 2024 07:08:09 UTC", "Tue, 05 Mar 2024 07:08:09",
		"Tue, 5 Mar 2024 07:08:09 GMT", "Tuesday, 05-Mar-24 07:08:09 GMT",
		"Tue Mar  5 07:08:09 2024", "Tue, 05 Mrz 2024 07:08:09 GMT",
		"Xxx, 05 Mar 2024 07:08:09 GMT", "Tue, 32 Mar 2024 07:08:09 GMT",
		"Tue, 05 Mar 2024 25:08:09 GMT", "Tue, 05 Mar 2024 07:08:09 GMT ",
		"Tue,", "Tue, 05 Mar", "2024-03-05T07:08:09Z",
	};
	int64_t ms = 0;

	ck_assert_int_eq(text_from_http_date("Tue, 05 Mar 2024 07:08:09 GMT", &ms), 0);
	ck_assert_int_eq(ms, 1709622489000);
	ck_assert_int_eq(text_from_http_date("Thu, 01 Jan 1970 00:00:00 GMT", &ms), 0);
	ck_assert_int_eq(ms, 0);
	for (size_t i = 0; i < NELEMS(bad); i++)
		ck_assert_msg(text_from_http_date(bad[i], &ms) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(test_utf8_floor)
{
	/* a, U+00E4, U+20AC, U+1F600: 10 bytes. */
	static const char s[] = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
	static const size_t want[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10 };

	for (size_t len = 0; len <= 10; len++)
		ck_assert_uint_eq(text_utf8_floor(s, 10, len), want[len]);
	/* Half a character at the very end is bytes of its own. */
	ck_assert_uint_eq(text_utf8_floor(s, 9, 9), 9);
	ck_assert_uint_eq(text_utf8_floor(s, 9, 8), 8);
	ck_assert_uint_eq(text_utf8_floor("\x80\x80\x80\x80\x80", 5, 3), 3);
	ck_assert_uint_eq(text_utf8_floor("\xE2\xE2\xE2\xE2", 4, 2), 2);
}
END_TEST

static const struct {
	const char *bytes;
	bool valid;
	size_t replaced;
} utf8[] = {
	{ "", true, 0 },
	{ "abc", true, 0 },
	{ "\xED\x9F\xBF", true, 0 },
	{ "\xF4\x8F\xBF\xBF", true, 0 },
	{ "\xEF\xBF\xBF", true, 0 },
	{ "\xC0\x80", false, 2 },
	{ "\xED\xA0\x80", false, 3 },
	{ "\xF4\x90\x80\x80", false, 4 },
	{ "\xE0\x80\x80", false, 3 },
	{ "\xF0\x80\x80\x80", false, 4 },
	{ "\xE2\x82", false, 2 },
	{ "\xF0\x9F\x98", false, 3 },
	{ "\x80", false, 1 },
	{ "\xFF", false, 1 },
	{ "\xC3\x28", false, 1 },
	{ "a\xC3", false, 1 },
};

START_TEST(test_utf8_valid_and_repair)
{
	autofree char *mixed = NULL;
	size_t n;

	for (size_t i = 0; i < NELEMS(utf8); i++) {
		size_t len = strlen(utf8[i].bytes);
		autofree char *fixed = text_utf8_repair(utf8[i].bytes, len, &n);

		ck_assert_msg(text_utf8_valid(utf8[i].bytes, len) == utf8[i].valid, "row %zu", i);
		ck_assert_uint_eq(n, len + 2 * utf8[i].replaced);
		ck_assert(text_utf8_valid(fixed, n));
	}
	mixed = text_utf8_repair("a\xFF\0b\xC3\xA4", 6, &n);
	ck_assert_uint_eq(n, 8);
	ck_assert_mem_eq(mixed, "a\xEF\xBF\xBD\0b\xC3\xA4", 8);
	ck_assert_uint_eq(text_utf8_char("", 0), 0);
	ck_assert_uint_eq(text_utf8_char("\0", 1), 1);
	ck_assert_uint_eq(text_utf8_char("\xE2\x82\xAC", 3), 3);
}
END_TEST

static void
quoted(const char *s, size_t max, const char *want)
{
	autofree char *q = text_quote(s, max);

	ck_assert_str_eq(q, want);
}

START_TEST(test_quote)
{
	quoted("abc", 100, "'abc'");
	quoted("", 100, "''");
	quoted(NULL, 100, "(none)");
	quoted("a'b\\c\"", 100, "'a\\'b\\\\c\"'");
	quoted("a\nb\tc\rd\x1b[0m\x7f", 100, "'a\\nb\\tc\\rd\\x1b[0m\\x7f'");
	quoted("\xC3\xA4\xFF\xC2\x85\xE2\x80\xA8.", 100,
	       "'\xC3\xA4\\xff\\xc2\\x85\\xe2\\x80\\xa8.'");
	quoted("abcdef", 3, "'abc'...");
	quoted("abc", 3, "'abc'");
	quoted("ab\xE2\x82\xAC", 4, "'ab'...");
	quoted("abc", 0, "''...");
}
END_TEST

START_TEST(test_escape_controls)
{
	autofree char *s = text_escape_controls("it's \\ok\n\x01", 10);

	ck_assert_str_eq(s, "it's \\ok\\n\\x01");
}
END_TEST

START_TEST(test_nearest)
{
	static const char *const names[] = { "CommandWorkersLimit", "Region", "Load", NULL };
	static const char *const none[] = { NULL };
	autofree char *huge = xcalloc(1, 10001);

	ck_assert_str_eq(text_nearest("CommandWorkerLimit", names), "CommandWorkersLimit");
	ck_assert_str_eq(text_nearest("commandworkerslimit", names), "CommandWorkersLimit");
	ck_assert_str_eq(text_nearest("Regoin", names), "Region");
	ck_assert_str_eq(text_nearest("Lod", names), "Load");
	ck_assert_str_eq(text_nearest("Load", names), "Load");
	ck_assert_ptr_null(text_nearest("Lxyd", names));
	ck_assert_ptr_null(text_nearest("", names));
	ck_assert_ptr_null(text_nearest("Load", none));
	memset(huge, 'a', 10000);
	ck_assert_ptr_null(text_nearest(huge, names));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("text");
	TCase *t = tcase_create("text");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_i64);
	tcase_add_test(t, test_bool);
	tcase_add_test(t, test_units);
	tcase_add_test(t, test_ends_and_trim);
	tcase_add_test(t, test_glob);
	tcase_add_test(t, test_hex);
	tcase_add_test(t, test_base64);
	tcase_add_test(t, test_percent);
	tcase_add_test(t, test_unpercent_bad);
	tcase_add_test(t, test_stamps);
	tcase_add_test(t, test_stamps_against_libc);
	tcase_add_test(t, test_from_iso8601);
	tcase_add_test(t, test_from_http_date);
	tcase_add_test(t, test_utf8_floor);
	tcase_add_test(t, test_utf8_valid_and_repair);
	tcase_add_test(t, test_quote);
	tcase_add_test(t, test_escape_controls);
	tcase_add_test(t, test_nearest);
	suite_add_tcase(s, t);
	return run_suite(s);
}
