/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/deny.c: the addresses of spec 02 §7.2. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "core/base/mem.h"
#include "plugins/sessionManager/deny.h"
#include "tests/unit/suite.h"

static struct deny *d;
static struct err e;

static void
setup(void)
{
	ck_assert_int_eq(deny_new(NULL, &d, &e), 0);
}

static void
teardown(void)
{
	d = deny_free(d);
}

static bool
denied(const char *text)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		return deny_has(d, (const struct sockaddr *)&four);
	ck_assert_int_eq(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
	return deny_has(d, (const struct sockaddr *)&six);
}

START_TEST(test_usual_ones)
{
	static const char *const all[] = {
		"169.254.169.254", "fd00:ec2::254",   "169.254.169.253",
		"fd00:ec2::253",   "169.254.169.123", "fd00:ec2::123",
		"169.254.169.250", "169.254.169.251", "fd00:ec2::240",
	};
	struct sockaddr_un other = { .sun_family = AF_UNIX };

	for (size_t i = 0; i < NELEMS(all); i++)
		ck_assert_msg(denied(all[i]), "%s", all[i]);
	ck_assert(denied("::ffff:169.254.169.254"));
	ck_assert(denied("fd00:0ec2:0:0:0:0:0:0254"));
	ck_assert(!denied("127.0.0.1"));
	ck_assert(!denied("::1"));
	ck_assert(!denied("169.254.170.2"));
	ck_assert(!denied("::169.254.169.254")); /* not mapped: another address */
	ck_assert(!deny_has(d, (const struct sockaddr *)&other));
}
END_TEST

START_TEST(test_a_list_replaces_them)
{
	static const char *const list[] = { "::ffff:10.1.2.3", "2001:db8::1", NULL };
	static const char *const none[] = { NULL };

	teardown();
	ck_assert_int_eq(deny_new(list, &d, &e), 0);
	ck_assert(denied("10.1.2.3") && denied("2001:db8::1"));
	ck_assert(!denied("169.254.169.254"));
	teardown();
	ck_assert_int_eq(deny_new(none, &d, &e), 0);
	ck_assert(!denied("10.1.2.3"));
}
END_TEST

START_TEST(test_networks)
{
	ck_assert_int_eq(deny_add_network(d, "10.2.3.77/16", &e), 0);
	ck_assert(denied("10.2.0.0") && denied("10.2.0.1") && denied("10.2.0.2"));
	ck_assert(denied("10.2.0.3") && denied("10.2.255.255"));
	ck_assert(!denied("10.2.0.4") && !denied("10.2.255.254") && !denied("10.2.3.77"));
	ck_assert_int_eq(deny_add_network(d, "2001:db8:5:ff00::/56", &e), 0);
	ck_assert(denied("2001:db8:5:ff00::3") && denied("2001:db8:5:ffff:ffff:ffff:ffff:ffff"));
	ck_assert(!denied("2001:db8:5:ff00::4") && !denied("2001:db8:5:ff01::"));
	ck_assert_int_eq(deny_add_network(d, "192.0.2.8/31", &e), 0);
	ck_assert(denied("192.0.2.8") && denied("192.0.2.9"));
	ck_assert(!denied("192.0.2.10") && !denied("192.0.2.11") && !denied("192.0.2.7"));
	ck_assert_int_eq(deny_add_network(d, "192.0.2.20/32", &e), 0);
	ck_assert(denied("192.0.2.20") && !denied("192.0.2.21"));
	ck_assert_int_eq(deny_add_network(d, "0.0.0.0/0", &e), 0);
	ck_assert(denied("0.0.0.3") && denied("255.255.255.255") && !denied("8.8.8.8"));
}
END_TEST

START_TEST(test_what_is_no_address)
{
	static const char *const bad[] = {
		"",	   "10.0.0.0", "10.0.0.0/",   "10.0.0.0/33", "10.0.0.0/8/8",
		"10.0.0/8", "::/129",	"10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0\n::/8",
		"/8",	   "host/8",
	};
	static const char *const list[] = { "10.0.0.1", "metadata.internal", NULL };
	struct deny *other = NULL;

	for (size_t i = 0; i < NELEMS(bad); i++)
		ck_assert_int_eq(deny_add_network(d, bad[i], &e), -EINVAL);
	ck_assert_int_eq(deny_new(list, &other, &e), -EINVAL);
	ck_assert_str_eq(e.text, "'metadata.internal' is not an IP address");
	ck_assert_ptr_null(other);
}
END_TEST

START_TEST(test_ceiling)
{
	int n = 0;

	while (deny_add_network(d, "10.0.0.0/8", &e) == 0)
		ck_assert_int_lt(++n, DENY_MAX);
	ck_assert_int_eq(e.code, -E2BIG);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager deny");
	TCase *t = tcase_create("deny");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_usual_ones);
	tcase_add_test(t, test_a_list_replaces_them);
	tcase_add_test(t, test_networks);
	tcase_add_test(t, test_what_is_no_address);
	tcase_add_test(t, test_ceiling);
	suite_add_tcase(s, t);
	return run_suite(s);
}
