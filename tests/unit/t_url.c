/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/net/url.c. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/net/url.h"
#include "tests/unit/suite.h"

static void
check_url(const char *text, const char *host, int port, const char *path, const char *query)
{
	autourl struct url u = {0};
	struct err e = {0};

	ck_assert_msg(url_parse(text, &u, &e) == 0, "%s: %s", text, err_text(&e));
	ck_assert_str_eq(u.host, host);
	ck_assert_int_eq(url_port(&u), port);
	ck_assert_str_eq(u.path, path);
	ck_assert_pstr_eq(u.query, query);
}

START_TEST(test_parse)
{
	check_url("https://ssm.eu-west-1.amazonaws.com", "ssm.eu-west-1.amazonaws.com", 443, "/",
		  NULL);
	check_url("HTTP://Example.COM:8080/A/b?C=d", "example.com", 8080, "/A/b", "C=d");
	check_url("http://h?x", "h", 80, "/", "x");
	check_url("http://h/?", "h", 80, "/", "");
	check_url("http://h:80/a?b?c/d", "h", 80, "/a", "b?c/d");
	check_url("https://h:/a", "h", 443, "/a", NULL);
	check_url("wss://h/a:b", "h", 443, "/a:b", NULL);
	check_url("http://[FD00:ec2::254]/", "[fd00:ec2::254]", 80, "/", NULL);
	check_url("http://[::1]:1234", "[::1]", 1234, "/", NULL);
	check_url("http://h/\xe1\x88\xb4", "h", 80, "/\xe1\x88\xb4", NULL);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const bad[] = {
		"",
		"h",
		"/path",
		"//h/",
		"http:/h/",
		"://h",
		"ftp://h/",
		"file:///etc/passwd",
		"javascript://h/",
		"http://",
		"http:///a",
		"http://?a",
		"http://:80/",
		"http://user@h/",
		"http://user:secret@h/",
		"http://h:0/",
		"http://h:65536/",
		"http://h:80x/",
		"http://h:-1/",
		"http://h:8:8/",
		"http://h/#f",
		"http://h/a b",
		"http://h/a\nb",
		"http://h/a\tb",
		"http://h/\x7f",
		"http://h\\x/",
		"http://h%41/",
		"http://\xc3\xa9/",
		"http://[::1/",
		"http://[::1]x/",
		"http://[zz]/",
		"http://[]/",
		"http://[127.0.0.1]/",
		"http://[fe80::1%25eth0]/",
	};
	autofree char *large = xmalloc(9000);

	for (size_t i = 0; i < NELEMS(bad); i++) {
		struct url u = {0};
		struct err e = {0};

		ck_assert_msg(url_parse(bad[i], &u, &e) == -EINVAL, "%s was taken", bad[i]);
		ck_assert_str_ne(e.text, "");
		ck_assert_ptr_null(strstr(e.text, "secret"));
		ck_assert_ptr_null(u.host);
	}
	ck_assert_int_eq(url_parse(NULL, &(struct url){0}, NULL), -EINVAL);
	memset(large, 'a', 8999);
	large[8999] = '\0';
	memcpy(large, "http://h/", 9);
	ck_assert_int_eq(url_parse(large, &(struct url){0}, NULL), -EINVAL);
	memset(large + 8, '/', 8191 - 7);
	large[8192] = '\0';
	{
		autourl struct url u = {0};

		ck_assert_int_eq(url_parse(large, &u, NULL), 0);
	}
}
END_TEST

static void
check_back(const char *text, const char *expected, const char *host)
{
	autourl struct url u = {0};
	autofree char *back = NULL, *header = NULL;

	ck_assert_int_eq(url_parse(text, &u, NULL), 0);
	back = url_text(&u);
	header = url_host_header(&u);
	ck_assert_str_eq(back, expected);
	ck_assert_str_eq(header, host);
}

START_TEST(test_text)
{
	check_back("http://H", "http://h/", "h");
	check_back("http://h:80/a%20b?c=%2F&d", "http://h/a%20b?c=%2F&d", "h");
	check_back("https://h:443/", "https://h/", "h");
	check_back("https://h:80/", "https://h:80/", "h:80");
	check_back("http://[::1]:8080/?", "http://[::1]:8080/?", "[::1]:8080");
}
END_TEST

static void
check_path(const char *path, bool s3, const char *expected)
{
	autofree char *got = url_canonical_path(path, s3);

	ck_assert_str_eq(got, expected);
}

START_TEST(test_canonical_path)
{
	check_path("", false, "/");
	check_path("/", false, "/");
	check_path("/a-b._~/C9", false, "/a-b._~/C9");
	check_path("/v1/control-channel/ecs:c_t_r", false, "/v1/control-channel/ecs%3Ac_t_r");
	check_path("/a%20b", false, "/a%2520b");
	check_path("/a+b*c", false, "/a%2Bb%2Ac");
	check_path("/\xe1\x88\xb4", false, "/%E1%88%B4");
	check_path("/%E1%88%B4", false, "/%25E1%2588%25B4");
	/* S3: encoded once */
	check_path("/a%20b", true, "/a%20b");
	check_path("/a b", true, "/a%20b");
	check_path("/a%3ab:c", true, "/a%3Ab%3Ac");
	check_path("/a%2Fb/c", true, "/a%2Fb/c");
	check_path("/50%/%zz/%4", true, "/50%25/%25zz/%254");
	check_path("/%41+", true, "/A%2B");
	check_path("//a/../b/.", true, "//a/../b/.");
}
END_TEST

static void
check_normal(const char *path, const char *expected)
{
	autofree char *got = url_normal_path(path);

	ck_assert_str_eq(got, expected);
}

/* As botocore 1.29's normalize_url_path() gives them. */
START_TEST(test_normal_path)
{
	check_normal("", "/");
	check_normal("/", "/");
	check_normal("//", "/");
	check_normal("/./", "/");
	check_normal("/./example", "/example");
	check_normal("/example/..", "/");
	check_normal("/example1/example2/../..", "/");
	check_normal("/../../a", "/a");
	check_normal("//example//", "/example/");
	check_normal("/a/b/../c/", "/a/c/");
	check_normal("/a/.", "/a");
	check_normal("/a/./", "/a/");
	check_normal("/a/b/..", "/a");
	check_normal("/a/b/../", "/a/");
	check_normal("/...", "/...");
	check_normal("/a/.b/..c", "/a/.b/..c");
	check_normal("/%2e%2e/a", "/%2e%2e/a");
}
END_TEST

static void
check_query(const char *query, const char *expected)
{
	autofree char *got = url_canonical_query(query);

	ck_assert_str_eq(got, expected);
}

START_TEST(test_canonical_query)
{
	check_query(NULL, "");
	check_query("", "");
	check_query("a", "a=");
	check_query("a=", "a=");
	check_query("=b", "=b");
	check_query("b=2&a=1", "a=1&b=2");
	check_query("a=2&a=1&a", "a=&a=1&a=2");
	check_query("&a=1&&b=2&", "a=1&b=2");
	check_query("a=b=c", "a=b%3Dc");
	check_query("a=x+y%20z%2B", "a=x%20y%20z%2B");
	check_query("a=%e1%88%b4", "a=%E1%88%B4");
	check_query("\xe1\x88\xb4=bar", "%E1%88%B4=bar");
	/* sorted as encoded, key before value: '-' sorts before '=' but "Param" before "Param-3" */
	check_query("Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
		    "%E1%88%B4=Value1&Param=Value2&Param-3=Value3");
	check_query("a=%zz&b=%4&c=%", "a=%25zz&b=%254&c=%25");
	check_query("a=%00b", "a=%00b");
	check_query("a=~-._*", "a=~-._%2A");
}
END_TEST

static bool
is_local(const char *text)
{
	autourl struct url u = {0};

	ck_assert_int_eq(url_parse(text, &u, NULL), 0);
	return url_is_link_local(&u);
}

START_TEST(test_link_local)
{
	ck_assert(is_local("http://127.0.0.1/"));
	ck_assert(is_local("http://127.9.9.9/"));
	ck_assert(is_local("http://169.254.169.254/"));
	ck_assert(is_local("http://169.254.170.2/"));
	ck_assert(is_local("http://localhost/"));
	ck_assert(is_local("http://x.localhost/"));
	ck_assert(is_local("http://[::1]/"));
	ck_assert(is_local("http://[::ffff:127.0.0.1]/"));
	ck_assert(is_local("http://[fd00:ec2::254]/"));
	ck_assert(is_local("http://[fd00:ec2::23]/"));
	ck_assert(!is_local("http://[fd00:ec3::254]/"));
	ck_assert(!is_local("http://[2001:db8::1]/"));
	ck_assert(!is_local("http://169.253.1.1/"));
	ck_assert(!is_local("http://10.0.0.1/"));
	ck_assert(!is_local("http://localhost.example.com/"));
	ck_assert(!is_local("http://169.254.169.254.example.com/"));
}
END_TEST

/* Every cut of a URL and every byte in every place: taken whole or refused, never a crash. */
START_TEST(test_garbage)
{
	static const char text[] = "https://[fd00:ec2::254]:8443/a%20b/../c?x=%41&y=+#";
	autofree char *copy = NULL;

	for (size_t i = 0; i < sizeof(text); i++)
		for (int c = 0; c < 256; c++) {
			autourl struct url u = {0};
			autofree char *path = NULL, *query = NULL;

			copy = xmemdup(text, sizeof(text));
			copy[i] = (char)c;
			if (url_parse(copy, &u, NULL) == 0)
				ck_assert_ptr_nonnull(u.host);
			path = url_canonical_path(copy, c & 1);
			query = url_canonical_query(copy);
			ck_assert(path && query);
			free(copy);
			copy = NULL;
		}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("url");
	TCase *t = tcase_create("url");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_parse);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_text);
	tcase_add_test(t, test_canonical_path);
	tcase_add_test(t, test_normal_path);
	tcase_add_test(t, test_canonical_query);
	tcase_add_test(t, test_link_local);
	tcase_add_test(t, test_garbage);
	suite_add_tcase(s, t);
	return run_suite(s);
}
