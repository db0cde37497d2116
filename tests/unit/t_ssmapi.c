/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/ssmapi.c and ssmapi_platform.c: spec/01 section 2.2. */
#include <arpa/inet.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/aws/creds.h"
#include "core/aws/ssmapi.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/net/http.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

static char *etc;

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");

	log_set_level(LOG_LEVEL_ERROR);
	etc = xasprintf("%s/t_ssmapi.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(etc));
}

static void
teardown(void)
{
	fs_remove_tree(AT_FDCWD, etc, NULL);
	free(etc);
}

static void
write_file(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", etc, name);
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
}

/* --------------------------------------------------------------- platform */

#define DEBIAN                                                                        \
	"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n" \
	"VERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nID=debian\n"

static const struct {
	struct {
		const char *name, *text;
	} files[3];
	const char *platform, *version;
} platforms[] = {
	{ { { "os-release", DEBIAN } }, "Debian GNU/Linux", "12" },
	{ { { "os-release", "NAME='Amazon Linux'\r\nVERSION_ID='2023'\r\n" } },
	  "Amazon Linux",
	  "2023" },
	{ { { "os-release", "NAME=Fedora\nVERSION_ID=39" } }, "Fedora", "39" },
	/* rolling: a name without a version */
	{ { { "os-release", "NAME=\"Arch Linux\"\nID=arch\n" } }, "Arch Linux", "NotAvailable" },
	{ { { "os-release", "NAME=\"\"\nVERSION_ID=1\n" },
	    { "redhat-release", "Red Hat Enterprise Linux release 8.9 (Ootpa)\n" } },
	  "Red Hat Enterprise Linux",
	  "8.9" },
	{ { { "centos-release", "CentOS Linux release 7.9.2009 (Core)\n" },
	    { "os-release", DEBIAN } },
	  "CentOS Linux",
	  "7.9.2009" },
	{ { { "centos-release", "Other release 7\n" }, { "os-release", DEBIAN } },
	  "Debian GNU/Linux",
	  "12" },
	{ { { "bottlerocket-release", "NAME=Bottlerocket\nVERSION_ID=1.19.2\n" },
	    { "os-release", DEBIAN } },
	  "Bottlerocket",
	  "1.19.2" },
	{ { { "system-release", "Amazon Linux release 2 (Karoo)\n" } }, "Amazon Linux", "2" },
	{ { { "system-release", "Rocky Linux release 9.3 (Blue Onyx)\n" } }, "Rocky Linux", "9.3" },
	{ { { "system-release", "Gentoo Base System release 2.14\n" } },
	  "NotAvailable",
	  "NotAvailable" },
	{ { { "redhat-release", "Anything release 5\n" } }, "Anything", "5" },
	{ { { "lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n" } }, "Ubuntu", "22.04" },
	{ { { "os-release", "NAME=\"Bad \xff\xfeName\xc3\xa4\"\nVERSION_ID=1\n" } },
	  "Bad Name\xc3\xa4",
	  "1" },
	{ { { "os-release", "no key here\n=\nNAME\nVERSION_ID=3\n" } },
	  "NotAvailable",
	  "NotAvailable" },
	{ { { NULL, NULL } }, "NotAvailable", "NotAvailable" },
};

START_TEST(test_platform)
{
	char name[64], version[32];

	for (size_t i = 0; i < 3 && platforms[_i].files[i].name; i++)
		write_file(platforms[_i].files[i].name, platforms[_i].files[i].text);
	ssmapi_platform_of(etc, name, sizeof(name), version, sizeof(version));
	ck_assert_str_eq(name, platforms[_i].platform);
	ck_assert_str_eq(version, platforms[_i].version);
}
END_TEST

/* /etc/os-release is a link on most systems. */
START_TEST(test_platform_link)
{
	autofree char *link = xasprintf("%s/os-release", etc);
	char name[64], version[32];

	write_file("real", DEBIAN);
	ck_assert_int_eq(symlink("real", link), 0);
	ssmapi_platform_of(etc, name, sizeof(name), version, sizeof(version));
	ck_assert_str_eq(version, "12");
}
END_TEST

START_TEST(test_platform_odd_files)
{
	autofree char *folder = xasprintf("%s/centos-release", etc);
	autofree char *huge = xcalloc(200001, 1);
	char name[8], version[4];

	ck_assert_int_eq(mkdir(folder, 0700), 0);
	memset(huge, 'x', 200000);
	write_file("bottlerocket-release", huge);
	write_file("os-release", DEBIAN);
	ssmapi_platform_of(etc, name, sizeof(name), version, sizeof(version));
	ck_assert_str_eq(name, "Debian ");
	ck_assert_str_eq(version, "12");
}
END_TEST

START_TEST(test_platform_here)
{
	char name[128] = "", version[64] = "";

	ssmapi_platform(name, sizeof(name), version, sizeof(version));
	ck_assert_str_ne(name, "");
	ck_assert_str_ne(version, "");
}
END_TEST

/* ---------------------------------------------------------------- address */

static const struct {
	const char *list, *want; /* WANT NULL: none */
} addresses[] = {
	{ "127.0.0.1 10.0.0.5 10.0.0.6", "10.0.0.5" },
	{ "127.0.0.1 ::1", "127.0.0.1" },
	{ "::1 127.0.0.1", "::1" },
	{ "169.254.3.4 192.168.1.2", "192.168.1.2" },
	{ "127.0.0.1 169.254.3.4", "127.0.0.1" },
	{ "fe80::1 2001:db8::7", "2001:db8::7" },
	{ "2001:db8::7 10.0.0.5", "10.0.0.5" },
	{ "10.0.0.5 2001:db8::7", "10.0.0.5" },
	{ "2001:db8::7 127.0.0.1", "2001:db8::7" },
	{ "2001:db8::7 169.254.1.1", "2001:db8::7" },
	{ "0.0.0.0 :: 10.1.1.1", "10.1.1.1" },
	{ "0.0.0.0 ::", NULL },
	{ "ff02::1 2001:db8::7", "2001:db8::7" },
	{ "none 10.0.0.5", "10.0.0.5" },
	{ "packet 10.0.0.5", "10.0.0.5" },
	{ "", NULL },
};

static struct sockaddr *
make_address(const char *text)
{
	struct sockaddr_storage *a = xcalloc(1, sizeof(*a));
	struct sockaddr_in *v4 = (struct sockaddr_in *)a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		v4->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		v6->sin6_family = AF_INET6;
	else
		a->ss_family = AF_PACKET;
	if (strcmp(text, "none") != 0)
		return (struct sockaddr *)a;
	free(a);
	return NULL;
}

START_TEST(test_address)
{
	autostrv char **words = strv_split(addresses[_i].list, " ");
	struct ifaddrs list[8] = { { 0 } };
	size_t n = strv_len(words);
	char text[INET6_ADDRSTRLEN] = "";

	for (size_t i = 0; i < n; i++) {
		list[i].ifa_addr = make_address(words[i]);
		list[i].ifa_next = i + 1 < n ? &list[i + 1] : NULL;
	}
	ck_assert_int_eq(ssmapi_choose_address(n ? list : NULL, text, sizeof(text)),
			 addresses[_i].want != NULL);
	ck_assert_str_eq(text, addresses[_i].want ? addresses[_i].want : "");
	for (size_t i = 0; i < n; i++)
		free(list[i].ifa_addr);
}
END_TEST

/* ------------------------------------------------------------------- name */

static const struct {
	const char *hosts, *host, *want;
} names[] = {
	{ "127.0.0.1 localhost\n10.0.0.5\tip-10-0-0-5.ec2.internal ip-10-0-0-5\n", "ip-10-0-0-5",
	  "ip-10-0-0-5.ec2.internal" },
	{ "127.0.1.1 node node.example.org\n", "node", "node" },
	{ "#1.2.3.4 node.example.org node\n", "node", "node" },
	{ "1.2.3.4 node.example.org # node\n", "node", "node" },
	{ "1.2.3.4 other.example.org other\n", "node", "node" },
	{ "1.2.3.4 x.example.org node.full\n", "node.full", "node.full" },
	{ "garbage\n\n \n1.2.3.4\n", "node", "node" },
	{ NULL, "node", "node" },
};

START_TEST(test_computer_name)
{
	autofree char *name = NULL;

	if (names[_i].hosts)
		write_file("hosts", names[_i].hosts);
	name = ssmapi_computer_name(names[_i].host, etc);
	ck_assert_str_eq(name, names[_i].want);
}
END_TEST

/* ------------------------------------------------------------------- ping */

static struct event_base *base;
static struct mini *server;
static char *sent, *sent_target;
static int result;

static void
serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	(void)arg;
	free(sent);
	free(sent_target);
	sent = xstrdup(r->body);
	sent_target = xstrdup(mini_header(r, "x-amz-target"));
	ck_assert_ptr_nonnull(strstr(mini_header(r, "authorization"), "/eu-west-1/ssm/"));
	mini_replys(c, 200, "Content-Type: application/x-amz-json-1.1\r\n", "{}");
}

static const char *
override(void *arg, const char *service)
{
	(void)arg;
	ck_assert_str_eq(service, "ssm");
	return mini_url(server);
}

static void *
give_set(void *ctx, creds_provider_done_fn *done, void *arg)
{
	(void)ctx;
	done(arg, creds_new("AKID", "hiddenkey", NULL, 0, "test"), NULL);
	return NULL;
}

static void
on_done(void *arg, const struct aws_reply *r)
{
	(void)arg;
	result = r->result;
	event_base_loopbreak(base);
}

static void
ping(bool empty)
{
	struct http_options h = { .user_agent = "test/1", .proxy = "" };
	struct creds_provider provider = { .name = "test", .start = give_set };
	struct aws_options o = { .region = "eu-central-1",
				 .signing_region = "eu-west-1",
				 .override = override };
	struct ssmapi_ping p = { "i-0123456789abcdef0", "eu-central-1a", "", "Debian", "12",
				 "ec2messages" };
	struct timeval limit = { 60, 0 };
	struct aws *aws;

	base = event_base_new();
	server = mini_new(base, "127.0.0.1", serve, NULL);
	o.base = base;
	o.http = http_new(base, &h, NULL);
	o.creds = creds_cache_new(base, &provider, 1);
	aws = aws_new(&o);
	result = -1;
	ck_assert_ptr_nonnull(ssmapi_ping(aws, &p, empty, on_done, NULL));
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	ck_assert_int_eq(result, 0);
	aws_free(aws);
	creds_cache_free(o.creds);
	http_free(o.http);
	mini_free(server);
	event_base_free(base);
}

static void
ping_done(void)
{
	free(sent);
	free(sent_target);
}

START_TEST(test_empty_ping)
{
	autofree char *want = xasprintf("{\"AgentName\":\"amazon-ssm-agent\",\"AgentVersion\":"
					"\"%s\",\"InstanceId\":\"i-0123456789abcdef0\","
					"\"PlatformType\":\"Linux\"}",
					ssmapi_agent_version());

	ping(true);
	ck_assert_str_eq(sent_target, "AmazonSSM.UpdateInstanceInformation");
	ck_assert_str_eq(sent, want);
	ping_done();
}
END_TEST

/* Every member, in the order of the service's model. */
START_TEST(test_full_ping)
{
	autojson json_t *body = NULL;
	autofree char *keys = NULL, *sorted = NULL;

	ping(false);
	body = json_parse(sent, strlen(sent), "the ping", NULL);
	ck_assert_ptr_nonnull(body);
	sorted = json_text_sorted(body);
	keys = json_text(body);
	ck_assert_str_eq(keys, sorted);
	ck_assert_str_eq(json_str(body, "AgentStatus", ""), "Active");
	ck_assert_str_eq(json_str(body, "AvailabilityZone", ""), "eu-central-1a");
	ck_assert_str_eq(json_str(body, "AvailabilityZoneId", "?"), "");
	ck_assert_str_eq(json_str(body, "PlatformName", ""), "Debian");
	ck_assert_str_eq(json_str(body, "PlatformVersion", ""), "12");
	ck_assert_str_eq(json_str(body, "SSMConnectionChannel", ""), "ec2messages");
	ck_assert_str_ne(json_str(body, "ComputerName", ""), "");
	ping_done();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ssmapi");
	TCase *tc = tcase_create("ssmapi");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_platform, 0, NELEMS(platforms));
	tcase_add_test(tc, test_platform_link);
	tcase_add_test(tc, test_platform_odd_files);
	tcase_add_test(tc, test_platform_here);
	tcase_add_loop_test(tc, test_address, 0, NELEMS(addresses));
	tcase_add_loop_test(tc, test_computer_name, 0, NELEMS(names));
	tcase_add_test(tc, test_empty_ping);
	tcase_add_test(tc, test_full_ping);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
