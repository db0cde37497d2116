/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/endpoint.c: spec/01 sections 3.4 and 3.5, spec/04 section 8.10. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/endpoint.h"
#include "core/base/mem.h"
#include "tests/unit/suite.h"

static void
clear(void)
{
	unsetenv("AWS_ENDPOINT_URL");
	unsetenv("AWS_ENDPOINT_URL_SSM");
	unsetenv("AWS_ENDPOINT_URL_EC2MESSAGES");
	unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
}

static void
gives(const char *service, const char *region, const char *domain, const char *override,
      const char *expected)
{
	struct endpoint_options o = {region, domain, override};
	autofree char *url = NULL;
	struct err e = {0};

	ck_assert_msg(endpoint_url(service, &o, &url, &e) == 0, "%s", err_text(&e));
	ck_assert_str_eq(url, expected);
}

static void
fails(const char *region, const char *override)
{
	struct endpoint_options o = {region, "", override};
	char *url = NULL;
	struct err e = {0};

	ck_assert_int_eq(endpoint_url("ssm", &o, &url, &e), -EINVAL);
	ck_assert_ptr_null(url);
	ck_assert_str_ne(e.text, "");
}

START_TEST(test_partitions)
{
	gives("ssm", "eu-central-1", "", "", "https://ssm.eu-central-1.amazonaws.com");
	gives("ssm", "cn-north-1", NULL, NULL, "https://ssm.cn-north-1.amazonaws.com.cn");
	gives("ssmmessages", "us-gov-west-1", "", "",
	      "https://ssmmessages.us-gov-west-1.amazonaws.com");
	gives("ssm", "us-iso-east-1", "", "", "https://ssm.us-iso-east-1.c2s.ic.gov");
	gives("ssm", "us-isob-east-1", "", "", "https://ssm.us-isob-east-1.sc2s.sgov.gov");
	gives("ssm", "us-isof-south-1", "", "", "https://ssm.us-isof-south-1.csp.hci.ic.gov");
	gives("ssm", "eu-isoe-west-1", "", "", "https://ssm.eu-isoe-west-1.cloud.adc-e.uk");
	gives("ssm", "eusc-de-east-1", "", "", "https://ssm.eusc-de-east-1.amazonaws.eu");
	gives("ssm", "unknown", "", "", "https://ssm.unknown.amazonaws.com");
	gives("ec2messages", "eu-west-1", "example.org:8443", "",
	      "https://ec2messages.eu-west-1.example.org:8443");
}
END_TEST

START_TEST(test_override)
{
	gives("ssm", "eu-west-1", "", "http://127.0.0.1:8080", "http://127.0.0.1:8080");
	gives("ssm", "eu-west-1", "", "http://127.0.0.1:8080/pre/fix/",
	      "http://127.0.0.1:8080/pre/fix");
	gives("ssm", "eu-west-1", "", "vpce-1.ssm.example", "https://vpce-1.ssm.example");
	gives("ssm", "eu-west-1", "", "localhost:8443", "https://localhost:8443");
	gives("ssm", "eu-west-1", "", "[::1]:8443", "https://[::1]:8443");
	gives("ssmmessages", "eu-west-1", "", "wss://h:8443", "https://h:8443");
	gives("ssmmessages", "eu-west-1", "", "ws://127.0.0.1:1", "http://127.0.0.1:1");
	/* the region is the signature's business then */
	gives("ssm", "", "", "http://h", "http://h");
}
END_TEST

START_TEST(test_environment)
{
	setenv("AWS_ENDPOINT_URL", "http://all:1", 1);
	gives("ssm", "eu-west-1", "", "", "http://all:1");
	setenv("AWS_ENDPOINT_URL_SSM", "http://only:2/", 1);
	gives("ssm", "eu-west-1", "", "", "http://only:2");
	gives("ec2messages", "eu-west-1", "", "", "http://all:1");
	gives("ssm", "eu-west-1", "", "http://configured", "http://configured");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	gives("ssm", "eu-west-1", "", "", "https://ssm.eu-west-1.amazonaws.com");
}
END_TEST

START_TEST(test_refused)
{
	autofree char *large = xmalloc(102);

	memset(large, 'a', 101);
	large[101] = '\0';
	fails("", "");
	fails(NULL, NULL);
	fails("eu west", "");
	fails("eu/west", "");
	fails("eu.west", "");
	fails("eu\nwest", "");
	fails(large, "");
	fails("eu-west-1", "ftp://h");
	fails("eu-west-1", "http://user@h");
	fails("eu-west-1", "http://h?x");
	fails("eu-west-1", "http://h:99999");
	fails("eu-west-1", "wss://h");
	fails("eu-west-1", "a b");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("endpoint");
	TCase *t = tcase_create("endpoint");

	tcase_add_checked_fixture(t, clear, NULL);
	tcase_add_test(t, test_partitions);
	tcase_add_test(t, test_override);
	tcase_add_test(t, test_environment);
	tcase_add_test(t, test_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
