/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/net/proxy.c: spec/01 section 4.2. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/net/proxy.h"
#include "tests/unit/suite.h"

static void
clear(void)
{
	static const char *const names[] = {"HTTP_PROXY",    "http_proxy", "HTTPS_PROXY",
					    "https_proxy",   "NO_PROXY",   "no_proxy",
					    "REQUEST_METHOD"};

	for (size_t i = 0; i < NELEMS(names); i++)
		unsetenv(names[i]);
}

/* The proxy of URL by the rules of PROXY and NO_PROXY, "-" for none. */
static void
check(const char *proxy, const char *no_proxy, const char *url, const char *expected)
{
	struct proxy_rules p;
	autourl struct url u = {0};
	struct err e = {0};
	const char *got;

	ck_assert_msg(proxy_rules_init(&p, proxy, no_proxy, &e) == 0, "%s", err_text(&e));
	ck_assert_int_eq(url_parse(url, &u, NULL), 0);
	got = proxy_for(&p, &u);
	ck_assert_msg(strcmp(got ? got : "-", expected) == 0, "%s except %s: %s", url,
		      no_proxy ? no_proxy : "-", got ? got : "-");
	proxy_rules_done(&p);
}

START_TEST(test_configured)
{
	setenv("HTTP_PROXY", "http://environment", 1);
	setenv("NO_PROXY", "a.example", 1);
	check("p:3128", "", "http://a.example/", "http://p:3128");
	check("p:3128", "", "https://a.example/", "http://p:3128");
	check("p:3128", NULL, "https://a.example/", "-");
	check("socks5h://p:1080", "", "https://a.example/", "socks5h://p:1080");
	check("", NULL, "http://b.example/", "-");
	check("", NULL, "https://b.example/", "-");
}
END_TEST

START_TEST(test_environment)
{
	check(NULL, NULL, "http://a.example/", "-");
	setenv("http_proxy", "http://lower", 1);
	setenv("https_proxy", "http://lowers", 1);
	check(NULL, NULL, "http://a.example/", "http://lower");
	check(NULL, NULL, "https://a.example/", "http://lowers");
	check(NULL, NULL, "wss://a.example/", "http://lowers");
	setenv("HTTP_PROXY", "http://upper", 1);
	setenv("HTTPS_PROXY", "http://uppers", 1);
	check(NULL, NULL, "http://a.example/", "http://upper");
	check(NULL, NULL, "https://a.example/", "http://uppers");
	setenv("HTTP_PROXY", "", 1);
	check(NULL, NULL, "http://a.example/", "http://lower");
	setenv("HTTP_PROXY", "http://attacker", 1);
	setenv("REQUEST_METHOD", "GET", 1);
	check(NULL, NULL, "http://a.example/", "http://lower");
	setenv("no_proxy", "a.example", 1);
	check(NULL, NULL, "http://a.example/", "-");
	setenv("NO_PROXY", "b.example", 1);
	check(NULL, NULL, "http://a.example/", "http://lower");
}
END_TEST

START_TEST(test_never)
{
	static const char *const urls[] = {
		"http://169.254.169.254/latest",
		"http://169.254.170.2/",
		"http://[fd00:ec2::254]/",
		"http://[fd00:ec2::23]/",
		"http://127.0.0.1:8080/",
		"https://localhost/",
		"http://[::1]/",
	};

	for (size_t i = 0; i < NELEMS(urls); i++)
		check("p", "", urls[i], "-");
}
END_TEST

START_TEST(test_exceptions)
{
	static const struct {
		const char *rule, *url;
		bool proxied;
	} table[] = {
		{"*", "http://a.example/", false},
		{"example", "http://example/", false},
		{"example", "http://a.example/", false},
		{"example", "http://anexample/", true},
		{"EXAMPLE", "http://a.example/", false},
		{".example", "http://a.example/", false},
		{".example", "http://example/", true},
		{"*.example", "http://a.b.example/", false},
		{"*.example", "http://example/", true},
		{"x, example ,y", "http://a.example/", false},
		{"example:8080", "http://a.example:8080/", false},
		{"example:8080", "http://a.example/", true},
		{"example:443", "https://a.example/", false},
		{"10.0.0.0/8", "http://10.1.2.3/", false},
		{"10.0.0.0/8", "http://11.1.2.3/", true},
		{"10.0.0.0/8", "http://ten.example/", true},
		{"10.64.0.0/10", "http://10.127.0.1/", false},
		{"10.64.0.0/10", "http://10.128.0.1/", true},
		{"0.0.0.0/0", "http://10.1.2.3/", false},
		{"0.0.0.0/0", "http://[2001:db8::1]/", true},
		{"10.1.2.3/32", "http://10.1.2.3/", false},
		{"10.0.0.0/33", "http://10.1.2.3/", true},
		{"10.1.2.3", "http://10.1.2.3/", false},
		{"10.1.2.3:80", "http://10.1.2.3/", false},
		{"10.1.2.3:81", "http://10.1.2.3/", true},
		{"2.3", "http://10.1.2.3/", false}, /* as text, like the reference */
		{"2001:db8::1", "http://[2001:db8:0::1]/", false},
		{"2001:db8::2", "http://[2001:db8::1]/", true},
		{"[2001:db8::1]:443", "https://[2001:db8::1]/", false},
		{"[2001:db8::1]:80", "https://[2001:db8::1]/", true},
		{"2001:db8::/32", "http://[2001:db8:1::1]/", false},
		{"2001:db8::/33", "http://[2001:db8:8000::1]/", true},
		{":80", "http://a.example/", true},
		{"/", "http://a.example/", true},
		{"/8", "http://10.0.0.1/", true},
		{",,", "http://a.example/", true},
		{"", "http://a.example/", true},
	};

	for (size_t i = 0; i < NELEMS(table); i++)
		check("p", table[i].rule, table[i].url, table[i].proxied ? "http://p" : "-");
}
END_TEST

START_TEST(test_refused)
{
	static const char *const bad[] = {"ftp://p",	"://p",	       "p q",
					  "http://p\n", "socks4x://p", "http://user:hidden @p"};

	for (size_t i = 0; i < NELEMS(bad); i++) {
		struct proxy_rules p;
		struct err e = {0};

		ck_assert_int_eq(proxy_rules_init(&p, bad[i], NULL, &e), -EINVAL);
		ck_assert_ptr_null(strstr(e.text, "hidden"));
		ck_assert_ptr_null(p.http);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("proxy");
	TCase *t = tcase_create("proxy");

	tcase_add_checked_fixture(t, clear, NULL);
	tcase_add_test(t, test_configured);
	tcase_add_test(t, test_environment);
	tcase_add_test(t, test_never);
	tcase_add_test(t, test_exceptions);
	tcase_add_test(t, test_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
