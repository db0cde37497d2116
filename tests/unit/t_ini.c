/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/ini.c; the profile cases are the rows of spec/04 section 3.3. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ini.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "tests/unit/suite.h"

/* What a parse gave, as text: "[section]" and "section.key=value;" in order, bad lines apart. */
struct seen {
	struct sbuf items, bad;
	int bad_count;
};

static int
see_item(void *arg, const struct ini_item *item, struct err *e)
{
	struct seen *s = arg;

	ck_assert_str_eq(item->file, "f.conf");
	ck_assert_uint_ge(item->line, 1);
	if (item->key && strcmp(item->key, "stop") == 0)
		return err_set(e, -ECANCELED, "stopped at %u", item->line);
	if (item->key)
		return sbuf_addf(&s->items, "%s.%s=%s;", item->section, item->key, item->value);
	ck_assert_str_eq(item->value, "");
	return sbuf_addf(&s->items, "[%s]", item->section);
}

static void
see_bad(void *arg, const char *text)
{
	struct seen *s = arg;

	s->bad_count++;
	sbuf_addf(&s->bad, "%s\n", text);
}

static int
parse(enum ini_dialect dialect, const char *text, size_t len, struct seen *s, struct err *e)
{
	*s = (struct seen){ SBUF_INIT(1u << 20), SBUF_INIT(1u << 20), 0 };
	return ini_parse(dialect, "f.conf", text, len, see_item, see_bad, s, e);
}

static void
done(struct seen *s)
{
	sbuf_done(&s->items);
	sbuf_done(&s->bad);
}

static void
good(enum ini_dialect dialect, const char *text, const char *want)
{
	struct seen s;
	struct err e = { 0, "" };

	ck_assert_msg(parse(dialect, text, strlen(text), &s, &e) == 0, "%s: %s", text, e.text);
	ck_assert_str_eq(sbuf_str(&s.items), want);
	ck_assert_msg(s.bad_count == 0, "%s: %s", text, sbuf_str(&s.bad));
	done(&s);
}

static void
conf_bad(const char *text, const char *want)
{
	struct seen s;
	struct err e = { 0, "" };

	ck_assert_int_eq(parse(INI_CONF, text, strlen(text), &s, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, want) != NULL, "'%s' is not in '%s'", want, e.text);
	ck_assert_int_eq(s.bad_count, 0);
	done(&s);
}

/* COUNT bad lines, and the rest is read all the same. */
static void
profile_bad(const char *text, const char *items, int count)
{
	struct seen s;
	struct err e = { 0, "" };

	ck_assert_int_eq(parse(INI_PROFILE, text, strlen(text), &s, &e), 0);
	ck_assert_str_eq(sbuf_str(&s.items), items);
	ck_assert_msg(s.bad_count == count, "%d bad lines: %s", s.bad_count, sbuf_str(&s.bad));
	ck_assert(strstr(sbuf_str(&s.bad), "SECRET") == NULL);
	done(&s);
}

START_TEST(test_conf)
{
	good(INI_CONF, "", "");
	good(INI_CONF, "\n\n  \n# c\n; c\n\t# c", "");
	good(INI_CONF, "a=1\n[S]\nb = 2\r\n  c\t=  3 4 \t\n", ".a=1;[S]S.b=2;S.c=3 4;");
	good(INI_CONF, "[plugin sessionManager]\nLoad = yes", "[plugin sessionManager]"
							      "plugin sessionManager.Load=yes;");
	good(INI_CONF, " [ S ] \nk =\n", "[S]S.k=;");
	good(INI_CONF, "[S]\na = b # no comment\nc = x=y:z\nd = \"q\"\nF.a:b = 1",
	     "[S]S.a=b # no comment;S.c=x=y:z;S.d=\"q\";S.F.a:b=1;");
	good(INI_CONF, "\xEF\xBB\xBF[S]\nk=v", "[S]S.k=v;");
	good(INI_CONF, "[S]\nk=1\nk=2\n[S]\n", "[S]S.k=1;S.k=2;[S]");
}
END_TEST

START_TEST(test_conf_bad_lines)
{
	conf_bad("[S]\nabc\n", "f.conf:2: ");
	conf_bad("\n\n[S\n", "f.conf:3: ");
	conf_bad("[]\n", "f.conf:1: ");
	conf_bad("[ ]\n", "empty");
	conf_bad("[S] # c\n", "behind");
	conf_bad("= v\n", "no key");
	conf_bad("[S]\nk: v\n", "f.conf:2: ");
}
END_TEST

START_TEST(test_conf_ends_at_the_item_error)
{
	struct seen s;
	struct err e;
	const char *text = "[S]\na=1\nstop=1\nb=2\n";

	ck_assert_int_eq(parse(INI_CONF, text, strlen(text), &s, &e), -ECANCELED);
	ck_assert_str_eq(e.text, "stopped at 3");
	ck_assert_str_eq(sbuf_str(&s.items), "[S]S.a=1;");
	done(&s);
}
END_TEST

START_TEST(test_nul_and_long)
{
	struct seen s;
	struct err e;
	autofree char *line = xcalloc(1, 70000);

	ck_assert_int_eq(parse(INI_CONF, "a=1\0\n", 5, &s, &e), -EINVAL);
	ck_assert(strstr(e.text, "f.conf:1: the line holds a NUL") != NULL);
	done(&s);
	ck_assert_int_eq(parse(INI_PROFILE, "[a]\nx=\0\nb=2", 11, &s, &e), 0);
	ck_assert_str_eq(sbuf_str(&s.items), "[a]a.b=2;");
	ck_assert_int_eq(s.bad_count, 1);
	done(&s);
	memset(line, 'a', 69999);
	line[1] = '=';
	ck_assert_int_eq(parse(INI_CONF, line, 65536, &s, &e), 0);
	done(&s);
	ck_assert_int_eq(parse(INI_CONF, line, 65537, &s, &e), -EINVAL);
	ck_assert(strstr(e.text, "64 KiB") != NULL);
	done(&s);
}
END_TEST

START_TEST(test_profile_lines)
{
	good(INI_PROFILE, "[d]\na=1\r\nb = 2\nc: 3", "[d]d.a=1;d.b=2;d.c=3;");
	good(INI_PROFILE, "\n # c\n\t; c\n[x]\n", "[x]");
	good(INI_PROFILE, "  [ default ]  # c\na=1", "[default]default.a=1;");
	good(INI_PROFILE, "[default]; c\n[DEFAULT]\n[profile x]", "[default][DEFAULT][profile x]");
	good(INI_PROFILE, "[d]\na = 1\n  b = 2\n\tc = 3\n", "[d]d.a=1;d.b=2;d.c=3;");
	good(INI_PROFILE, "x=1\n[d]\nx=2\nx=3\n", ".x=1;[d]d.x=2;d.x=3;");
	good(INI_PROFILE, "[d]\na=1\n[d]\nb=2", "[d]d.a=1;[d]d.b=2;");
	good(INI_PROFILE, "\xEF\xBB\xBF[d]\na=1", "[d]d.a=1;");
}
END_TEST

START_TEST(test_profile_values)
{
	good(INI_PROFILE, "v = a # c\nw = a ; c\nx = a\t# c", ".v=a;.w=a;.x=a;");
	good(INI_PROFILE, "v = a#b;c", ".v=a#b;c;");
	good(INI_PROFILE, "v = \"a b\"", ".v=a b;");
	good(INI_PROFILE, "v = \"a # b\" # c", ".v=a # b;");
	good(INI_PROFILE, "v = \"\\\"\\'\\\\\\n\\t\\x\"", ".v=\"'\\\n\t\\x;");
	good(INI_PROFILE, "v = 'a'", ".v='a';");
	good(INI_PROFILE, "v = a=b:c[d]+/ e", ".v=a=b:c[d]+/ e;");
	good(INI_PROFILE, "v = [x\nw = =x", ".v=[x;.w==x;");
	good(INI_PROFILE, "v = a \t \n", ".v=a;");
	good(INI_PROFILE, "v=a\"b", ".v=a\"b;");
}
END_TEST

START_TEST(test_profile_nested)
{
	good(INI_PROFILE, "[d]\ns3 =\n  max = 10\n\n\tmin = 1\na = 1\n b = 2\n", "[d]d.a=1;d.b=2;");
	good(INI_PROFILE, "[d]\ns3 = # c\n  max = 10\n  [x]\n[e]\n f = 1", "[d][e]e.f=1;");
}
END_TEST

START_TEST(test_profile_bad_lines)
{
	profile_bad("[d]\nSECRET\na=1\n", "[d]d.a=1;", 1);
	profile_bad("[d]\na=1\nSECRET", "[d]d.a=1;", 1);
	profile_bad("[d]\na=\"SECRET\nb=1", "[d]d.b=1;", 1);
	profile_bad("[d]\na=\"SECRET\\\"\nb=\"x\" y\nc=1", "[d]d.c=1;", 2);
	profile_bad("[d]\n=SECRET\na=1", "[d]d.a=1;", 1);
	/* Keys below a bad header belong to nobody, above all not to the profile before. */
	profile_bad("[d]\na=1\n[SECRET\na=2\n[e]\nb=1", "[d]d.a=1;[e]e.b=1;", 1);
	profile_bad("[d]\na=1\n[]\na=2\nSECRET\n", "[d]d.a=1;", 1);
	profile_bad("[d] x\na=1\n", "", 1);
}
END_TEST

START_TEST(test_profile_reports_are_bounded)
{
	struct seen s;
	autosbuf struct sbuf text = SBUF_INIT(1u << 20);

	for (int i = 0; i < 5000; i++)
		sbuf_adds(&text, "garbage\n");
	sbuf_adds(&text, "[d]\na=1\n");
	ck_assert_int_eq(parse(INI_PROFILE, text.p, text.len, &s, NULL), 0);
	ck_assert_int_eq(s.bad_count, 11);
	ck_assert(strstr(sbuf_str(&s.bad), "4990 more") != NULL);
	ck_assert_str_eq(sbuf_str(&s.items), "[d]d.a=1;");
	done(&s);
}
END_TEST

/* Each prefix and each one-byte change of a file must end, and never crash. */
START_TEST(test_garbage)
{
	static const char text[] = "[a]\nb = \"c\\\" d\" # e\n  f =\n\tg = h\n[i\n:j\n";
	static const char bytes[] = { '\0', '"', '\\', '[', ']', '\n', '=', ' ', '\xFF' };
	struct seen s;

	for (size_t len = 0; len < sizeof(text); len++) {
		parse(INI_PROFILE, text, len, &s, NULL);
		done(&s);
		parse(INI_CONF, text, len, &s, NULL);
		done(&s);
		for (size_t i = 0; i < sizeof(bytes); i++) {
			autofree char *copy = xmemdup(text, sizeof(text) - 1);

			copy[len < sizeof(text) - 1 ? len : 0] = bytes[i];
			parse(INI_PROFILE, copy, sizeof(text) - 1, &s, NULL);
			done(&s);
		}
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ini");
	TCase *t = tcase_create("ini");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_conf);
	tcase_add_test(t, test_conf_bad_lines);
	tcase_add_test(t, test_conf_ends_at_the_item_error);
	tcase_add_test(t, test_nul_and_long);
	tcase_add_test(t, test_profile_lines);
	tcase_add_test(t, test_profile_values);
	tcase_add_test(t, test_profile_nested);
	tcase_add_test(t, test_profile_bad_lines);
	tcase_add_test(t, test_profile_reports_are_bounded);
	tcase_add_test(t, test_garbage);
	suite_add_tcase(s, t);
	return run_suite(s);
}
