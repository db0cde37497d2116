/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/networks.c: spec/02 section 7.2, with a metadata service in the same
 * event loop. */
#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/networks.h"
#include "core/aws/imds.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/net/http.h"
#include "tests/unit/metapages.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

#define MACS "/latest/meta-data/network/interfaces/macs/"
#define ONE "02:00:00:00:00:01"
#define TWO "02:00:00:00:00:02"

static struct event_base *base;
static struct http *client;
static struct imds *imds;
static struct mini *server;
static struct networks *networks;
static struct networks_options options;
static char *got, *lines;
static unsigned answers;

static void
on_line(void *arg, enum log_level level, const char *component, const char *line)
{
	char *all = xasprintf("%s%s\n", lines ? lines : "", line);

	(void)arg;
	(void)level;
	(void)component;
	free(lines);
	lines = all;
}

static void
on_networks(void *arg, char *const *list)
{
	ck_assert_ptr_eq(arg, &networks);
	free(got);
	got = strv_join(list, " ");
	answers++;
	event_base_loopbreak(base);
}

static void
setup(void)
{
	struct http_options h = { .user_agent = "test/1", .proxy = "" };
	struct imds_options o = { .timeout_ms = 10000 };

	log_set_sink(on_line, NULL);
	base = event_base_new();
	client = http_new(base, &h, NULL);
	server = mini_new(base, "127.0.0.1", metapages_serve, NULL);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", mini_url(server), 1);
	o.base = base;
	o.http = client;
	imds = imds_new(&o);
	metapages_clear();
	options = (struct networks_options){ .base = base, .http = client, .imds = imds };
	answers = 0;
}

static void
teardown(void)
{
	networks = networks_free(networks);
	imds_free(imds);
	http_free(client);
	mini_free(server);
	event_base_free(base);
	mem_cleanup_free(&got);
	mem_cleanup_free(&lines);
	log_set_sink(NULL, NULL);
}

static void
run_ms(int ms)
{
	struct timeval limit = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
}

static void
expect(const char *list)
{
	if (!networks)
		networks = networks_new(&options, on_networks, &networks);
	ck_assert_uint_eq(answers, 0);
	run_ms(30000);
	ck_assert_uint_eq(answers, 1);
	ck_assert_str_eq(got, list);
	answers = 0;
}

START_TEST(test_each_interface)
{
	metapages_put(MACS, 200, ONE "/\n" TWO "/");
	metapages_put(MACS ONE "/vpc-ipv4-cidr-block", 200, "10.0.0.0/16");
	metapages_put(MACS ONE "/vpc-ipv6-cidr-blocks", 200, "2001:db8::/56\n2001:db8:1::/56\n");
	metapages_put(MACS TWO "/vpc-ipv4-cidr-block", 200, "10.0.0.0/16");
	expect("10.0.0.0/16 2001:db8::/56 2001:db8:1::/56");
	metapages_put(MACS TWO "/vpc-ipv4-cidr-block", 200, "10.1.0.0/16");
	networks_look(networks);
	networks_look(networks); /* one at a time */
	expect("10.0.0.0/16 2001:db8::/56 2001:db8:1::/56 10.1.0.0/16");
	networks_look(NULL);
}
END_TEST

START_TEST(test_none)
{
	expect("");
	metapages_put(MACS, 200, "");
	networks_look(networks);
	expect("");
}
END_TEST

START_TEST(test_garbage)
{
	metapages_put(MACS, 200, "../../user-data\n" ONE "/\n\xff\n");
	metapages_put(MACS ONE "/vpc-ipv4-cidr-block", 200, "10.0.0.0");
	metapages_put(MACS ONE "/vpc-ipv6-cidr-blocks", 200,
		      "<html>/16\n10.0.0.0/33\n::/129\n::1/x\n::/0\n");
	expect("::/0");
	ck_assert_ptr_nonnull(strstr(lines, "the metadata names '10.0.0.0', which is no network"));
	for (char *const *line = mini_log(server); *line; line++)
		ck_assert_ptr_null(strstr(*line, "user-data"));
}
END_TEST

START_TEST(test_again)
{
	options.retry_ms = 50;
	metapages_put(MACS, 403, "");
	networks = networks_new(&options, on_networks, &networks);
	for (int i = 0; i < 100 && !lines; i++)
		run_ms(50);
	ck_assert_uint_eq(answers, 0);
	ck_assert_ptr_nonnull(strstr(lines, "networks of the VPC could not be asked for"));
	metapages_put(MACS, 200, ONE "/");
	metapages_put(MACS ONE "/vpc-ipv4-cidr-block", 200, "10.0.0.0/16");
	expect("10.0.0.0/16");
}
END_TEST

START_TEST(test_container)
{
	autofree char *uri = xasprintf("%s/v4/abc", mini_url(server));

	options.ecs_uri = uri;
	metapages_put(
		"/v4/abc", 200,
		"{\"Networks\":[{\"IPv4SubnetCIDRBlock\":\"172.16.0.0/20\",\"IPv6SubnetCIDRBlock\":"
		"\"2001:db8::/64\"},{\"IPv4SubnetCIDRBlock\":\"10.0.0.0/8\"}]}");
	expect("172.16.0.0/20 2001:db8::/64");
	metapages_put("/v4/abc", 200, "{\"Networks\":[{}]}");
	networks_look(networks);
	expect("");
	metapages_put("/v4/abc", 200, "no JSON");
	networks_look(networks);
	run_ms(500);
	ck_assert_uint_eq(answers, 0);
}
END_TEST

START_TEST(test_freed_while_asking)
{
	metapages_put(MACS, 200, ONE "/");
	networks = networks_free(networks_new(&options, on_networks, &networks));
	run_ms(100);
	ck_assert_uint_eq(answers, 0);
	ck_assert_ptr_null(networks_free(NULL));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("networks");
	TCase *tc = tcase_create("networks");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_each_interface);
	tcase_add_test(tc, test_none);
	tcase_add_test(tc, test_garbage);
	tcase_add_test(tc, test_again);
	tcase_add_test(tc, test_container);
	tcase_add_test(tc, test_freed_while_asking);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
