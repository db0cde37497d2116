/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: layers, hiding, checks, the reference agent's file. DESIGN section 10. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/conf/opts.h"
#include "tests/unit/suite.h"

static char *root;
static struct sbuf warnings;

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");

	root = xasprintf("%s/t_conf.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	sbuf_init(&warnings, 1u << 20);
}

static void
teardown(void)
{
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, root, NULL), 0);
	free(root);
	sbuf_done(&warnings);
}

static void
put(const char *path, const char *text)
{
	autofree char *full = xasprintf("%s%s", root, path);
	autofree char *dir = xstrdup(full);
	int fd;

	*strrchr(dir, '/') = '\0';
	fd = fs_make_dirs(dir, 0700, NULL);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(fs_write_atomic(AT_FDCWD, full, text, strlen(text), 0600, false, NULL), 0);
}

static void
warn(void *arg, const char *text)
{
	(void)arg;
	sbuf_addf(&warnings, "%s\n", text);
}

static struct conf *
load(char *const *overrides, struct err *e)
{
	struct conf_spec spec = {root, overrides};

	return conf_load(&spec, warn, NULL, e);
}

static struct conf *
load_good(char *const *overrides)
{
	struct err e = {0, ""};
	struct conf *c = load(overrides, &e);

	ck_assert_msg(c != NULL, "%s", e.text);
	return c;
}

static void
check_refused(const char *word)
{
	struct err e = {0, ""};

	ck_assert_ptr_null(load(NULL, &e));
	ck_assert_msg(strstr(e.text, word) != NULL, "'%s' lacks '%s'", e.text, word);
	ck_assert_int_lt(e.code, 0);
}

START_TEST(t_presets)
{
	struct conf *c = load_good(NULL);

	ck_assert_int_eq(conf_int(c, "Mds.CommandWorkersLimit"), 5);
	ck_assert_int_eq(conf_bytes(c, "State.MaxBytes"), 256 << 20);
	ck_assert_int_eq(conf_ms(c, "Agent.KillGrace"), 5000);
	ck_assert_str_eq(conf_str(c, "Agent.Name"), "amazon-ssm-agent");
	ck_assert_uint_eq(strv_len(conf_list(c, "Identity.ConsumptionOrder")), 3);
	ck_assert_str_eq(conf_origin(c, "Agent", "Name"), "built-in");
	ck_assert(text_starts(conf_path(c, CONF_PATH_STATE), root));
	ck_assert(conf_has_root(c));
	ck_assert_str_eq(sbuf_str(&warnings), "");
	conf_free(c);
}
END_TEST

START_TEST(t_layers_later_wins)
{
	char *over[] = {(char *)"Mds.CommandWorkersLimit=12", NULL};
	struct conf *c;

	put("/etc/amazon/ssm/amazon-ssm-agent.json",
	    "{\"mds\":{\"commandworkerslimit\":2,\"Endpoint\":\"h1\"},\"Agent\":{\"Region\":\"r1\"}"
	    "}");
	put("/etc/ssm/ssm.conf",
	    "[Mds]\nCommandWorkersLimit = 3\nEndpoint = h2\n[Ssm]\nEndpoint=h3\n");
	put("/etc/ssm/conf.d/20-b.conf", "[Mds]\nEndpoint = h4\n");
	put("/etc/ssm/conf.d/10-a.conf", "[Mds]\nEndpoint = h5\n");
	put("/etc/ssm/conf.d/not-read.txt", "garbage\n");
	put("/run/ssm/conf.d/10-a.conf", "[Ssm]\nEndpoint = h6\n");
	c = load_good(over);
	ck_assert_int_eq(conf_int(c, "Mds.CommandWorkersLimit"), 12);
	ck_assert_str_eq(conf_origin(c, "Mds", "CommandWorkersLimit"), "command line");
	ck_assert_str_eq(conf_str(c, "Mds.Endpoint"), "h4");
	ck_assert(text_ends(conf_origin(c, "Mds", "Endpoint"), "/20-b.conf:2"));
	ck_assert_str_eq(conf_str(c, "Ssm.Endpoint"), "h6");
	ck_assert_str_eq(conf_str(c, "Agent.Region"), "r1");
	conf_free(c);
}
END_TEST

START_TEST(t_reset_and_dev_null)
{
	autofree char *link = xasprintf("%s/run/ssm/conf.d/10-a.conf", root);
	struct conf *c;

	put("/etc/ssm/conf.d/10-a.conf", "[Agent]\nRegion = hidden\n");
	put("/run/ssm/conf.d/20-b.conf",
	    "[Mds]\nCommandWorkersLimit = 9\n[Mds]\nCommandWorkersLimit =\n");
	ck_assert_int_eq(symlink("/dev/null", link), 0);
	c = load_good(NULL);
	ck_assert_str_eq(conf_str(c, "Agent.Region"), "");
	ck_assert_int_eq(conf_int(c, "Mds.CommandWorkersLimit"), 5);
	ck_assert_str_eq(conf_origin(c, "Mds", "CommandWorkersLimit"), "built-in");
	conf_free(c);
}
END_TEST

START_TEST(t_bad_values_stop)
{
	static const char *const bad[][2] = {
		{"[Mds]\nCommandWorkersLimit = many\n", "ssm.conf:2"},
		{"[Mds]\nCommandWorkersLimit = 0\n", "out of range"},
		{"[Log]\nLevel = loud\n", "|info|"},
		{"[Paths]\nState = var/lib\n", "absolute path"},
		{"[Agent]\nKillGrace = 5 years\n", "duration"},
		{"[Mgs]\nDeniedPortForwardingRemoteIPs = ::1, 10.0.0.0/8\n",
		 "'10.0.0.0/8' is not an IP address"},
		{"Key = 1\n", "before the first"},
		{"[Mds\n", "ssm.conf:1"},
	};

	for (size_t i = 0; i < NELEMS(bad); i++) {
		put("/etc/ssm/ssm.conf", bad[i][0]);
		check_refused(bad[i][1]);
	}
}
END_TEST

START_TEST(t_unknown_is_a_warning)
{
	struct conf *c;

	put("/etc/ssm/ssm.conf",
	    "[Mds]\nCommandWorkerLimit = 3\n[Nonsense]\na = b\n[plugin x]\nk = v\n");
	c = load_good(NULL);
	ck_assert_ptr_nonnull(strstr(sbuf_str(&warnings), "did you mean 'CommandWorkersLimit'"));
	ck_assert_ptr_nonnull(strstr(sbuf_str(&warnings), "'Nonsense'"));
	ck_assert_str_eq(conf_raw(c, "plugin x", "k"), "v");
	ck_assert_ptr_null(conf_raw(c, "plugin x", "j"));
	conf_free(c);
}
END_TEST

START_TEST(t_writable_by_others)
{
	autofree char *path = xasprintf("%s/etc/ssm/ssm.conf", root);

	put("/etc/ssm/ssm.conf", "[Mds]\n");
	ck_assert_int_eq(chmod(path, 0666), 0);
	check_refused("not trusted");
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	check_refused("not a regular file");
}
END_TEST

START_TEST(t_legacy)
{
	const char *path = "/etc/amazon/ssm/amazon-ssm-agent.json";
	struct conf *c;

	put(path,
	    "{\"Mds\":{\"CommandWorkersLimit\":0},\"Profile\":{\"ShareCreds\":false},"
	    "\"Identity\":{\"ConsumptionOrder\":[\"EC2\"],\"CustomIdentities\":[{\"InstanceID\":"
	    "\"mi-1\"}]},\"Whatever\":{\"x\":1},\"Agent\":null}");
	c = load_good(NULL);
	ck_assert_int_eq(conf_int(c, "Mds.CommandWorkersLimit"), 5);
	ck_assert_ptr_nonnull(strstr(sbuf_str(&warnings), "out of range"));
	ck_assert_ptr_nonnull(strstr(sbuf_str(&warnings), "no effect"));
	ck_assert_str_eq(conf_list(c, "Identity.ConsumptionOrder")[0], "EC2");
	ck_assert_str_eq(conf_str(c, "Identity.CustomIdentities"), "[{\"InstanceID\":\"mi-1\"}]");
	conf_free(c);
	put(path, "{\"Mgs\":{\"DeniedPortForwardingRemoteIPs\":[\"10.0.0.1\",\"::1\"]}}");
	c = load_good(NULL);
	ck_assert_str_eq(conf_list(c, "Mgs.DeniedPortForwardingRemoteIPs")[1], "::1");
	conf_free(c);
	put(path, "{\"Mgs\":{\"DeniedPortForwardingRemoteIPs\":[\"10.0.0.1\",\"db\"]}}");
	c = load_good(NULL);
	ck_assert_str_eq(conf_list(c, "Mgs.DeniedPortForwardingRemoteIPs")[0], "169.254.169.254");
	ck_assert_ptr_nonnull(strstr(sbuf_str(&warnings), "'db' is not an IP address"));
	conf_free(c);
	put(path, "{\"Mds\":{\"CommandWorkersLimit\":\"5\"}}");
	check_refused("whole number");
	put(path, "{\"Mds\":");
	check_refused("JSON");
	put(path, "[]");
	check_refused("object");
}
END_TEST

START_TEST(t_override_errors)
{
	static const char *const bad[] = {"x", "=", "a=b", ".x=1", "Mds.=1", "Mds.Nope=1"};

	for (size_t i = 0; i < NELEMS(bad); i++) {
		char *over[] = {(char *)bad[i], NULL};
		struct err e = {0, ""};

		ck_assert_ptr_null(load(over, &e));
		ck_assert(text_starts(e.text, "-o "));
	}
}
END_TEST

START_TEST(t_dump_masks)
{
	char *over[] = {(char *)"plugin x.ApiToken=abcdefgh", (char *)"Net.Proxy=http://u:pw@h",
			NULL};
	struct conf *c = load_good(over);
	autofree char *text = conf_dump(c);

	ck_assert_ptr_null(strstr(text, "abcdefgh"));
	ck_assert_ptr_null(strstr(text, "pw@h"));
	ck_assert_ptr_nonnull(strstr(text, "Mds.CommandWorkersLimit = 5  # built-in\n"));
	conf_free(c);
}
END_TEST

/* All or nothing; strings of keys that need a restart stay valid; sections of plugins are swapped
 * as a whole. */
START_TEST(t_reload)
{
	char *over[] = {(char *)"Mds.QueueLimit=7", NULL};
	autostrv char **restart = NULL;
	struct err e = {0, ""};
	struct conf *c;
	const char *region;
	char *const *order;

	put("/etc/ssm/ssm.conf", "[Agent]\nRegion = r1\n[Mds]\nCommandWorkersLimit = 3\n"
				 "[plugin a]\nOne = 1\nTwo = 2\n[Features]\nx = y\n");
	c = load_good(over);
	region = conf_str(c, "Agent.Region");
	order = conf_list(c, "Identity.ConsumptionOrder");

	put("/etc/ssm/ssm.conf", "[Mds]\nCommandWorkersLimit = 4\n[State]\nMaxFiles = much\n");
	ck_assert_int_eq(conf_reload(c, warn, NULL, &restart, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "ssm.conf:4: State.MaxFiles"), "%s", e.text);
	ck_assert_int_eq(conf_int(c, "Mds.CommandWorkersLimit"), 3);
	ck_assert_str_eq(conf_raw(c, "plugin a", "One"), "1");

	put("/etc/ssm/ssm.conf", "[Agent]\nRegion = r2\n[Net]\nProxy = http://p:1\n"
				 "[Mds]\nQueueLimit = 9\n[plugin a]\nTwo = 3\n[plugin b]\nC = d\n");
	ck_assert_int_eq(conf_reload(c, warn, NULL, &restart, &e), 0);
	ck_assert_uint_eq(strv_len(restart), 2);
	ck_assert(strv_has(restart, "Agent.Region") && strv_has(restart, "Net.Proxy"));
	ck_assert_int_eq(conf_int(c, "Mds.CommandWorkersLimit"), 5);
	ck_assert_int_eq(conf_int(c, "Mds.QueueLimit"), 7);
	ck_assert_str_eq(conf_origin(c, "Mds", "QueueLimit"), "command line");
	ck_assert_ptr_null(conf_raw(c, "plugin a", "One"));
	ck_assert_str_eq(conf_raw(c, "plugin a", "Two"), "3");
	ck_assert_str_eq(conf_raw(c, "plugin b", "C"), "d");
	ck_assert_ptr_null(conf_raw(c, "Features", "x"));
	ck_assert_ptr_eq(conf_str(c, "Agent.Region"), region);
	ck_assert_str_eq(region, "r1");
	ck_assert_ptr_eq(conf_list(c, "Identity.ConsumptionOrder"), order);
	conf_free(c);
}
END_TEST

START_TEST(t_opts)
{
	int64_t n = 0;

	ck_assert_int_eq(opts_check(OPTS_MSEC, "5m", &n, NULL), 0);
	ck_assert_int_eq(n, 300000);
	ck_assert_int_eq(opts_check(OPTS_BYTES, "64K", &n, NULL), 0);
	ck_assert_int_eq(n, 65536);
	ck_assert_int_eq(opts_check(OPTS_BOOL, "on", &n, NULL), 0);
	ck_assert_int_eq(n, 1);
	ck_assert_int_lt(opts_check(OPTS_INT, "5x", &n, NULL), 0);
	ck_assert_int_lt(opts_check(OPTS_STRING, "a\nb", NULL, NULL), 0);
	ck_assert_int_lt(opts_check(OPTS_PATH, "a", NULL, NULL), 0);
}
END_TEST

START_TEST(t_section_of_a_plugin)
{
	autojson json_t *descriptor = json_loads(
		"{\"name\":\"x\",\"options\":["
		"{\"type\":4,\"flags\":0,\"key\":\"Wait\",\"preset\":\"5s\"},"
		"{\"type\":2,\"flags\":1,\"key\":\"Pin\",\"preset\":\"\"},"
		"{\"type\":1,\"flags\":0,\"key\":\"Calls\",\"preset\":\"\"}]}",
		0, NULL);
	struct conf *c;
	int lines = 0;

	put("/etc/ssm/conf.d/50-x.conf", "[plugin x]\nWait = soon\nPin = s3cret\nWiat = 5s\n"
					 "Load = yes\nRunAs = nobody\nCalls = ssm:x\n"
					 "[plugin y]\nWait = 1\n");
	c = load_good(NULL);
	opts_check_section(c, descriptor, warn, NULL);
	ck_assert_ptr_nonnull(strstr(sbuf_str(&warnings),
				     "50-x.conf:2: [plugin x] Wait: 'soon' is not a duration"));
	ck_assert_ptr_nonnull(strstr(sbuf_str(&warnings), "50-x.conf:3: [plugin x] Pin: its value "
							  "is not a whole number"));
	ck_assert_ptr_null(strstr(sbuf_str(&warnings), "s3cret"));
	ck_assert_ptr_nonnull(strstr(sbuf_str(&warnings),
				     "50-x.conf:4: unknown key 'Wiat' in [plugin x] is ignored"));
	for (const char *p = sbuf_str(&warnings); (p = strchr(p, '\n')); p++)
		lines++;
	ck_assert_int_eq(lines, 3);
	conf_free(c);

	put("/etc/ssm/conf.d/50-x.conf", "[plugin x]\nWait =\nPin = 7\n");
	sbuf_reset(&warnings);
	c = load_good(NULL);
	opts_check_section(c, descriptor, warn, NULL);
	ck_assert_str_eq(sbuf_str(&warnings), "");
	conf_free(c);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("conf");
	TCase *tc = tcase_create("conf");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_presets);
	tcase_add_test(tc, t_layers_later_wins);
	tcase_add_test(tc, t_reset_and_dev_null);
	tcase_add_test(tc, t_bad_values_stop);
	tcase_add_test(tc, t_unknown_is_a_warning);
	tcase_add_test(tc, t_writable_by_others);
	tcase_add_test(tc, t_legacy);
	tcase_add_test(tc, t_override_errors);
	tcase_add_test(tc, t_dump_masks);
	tcase_add_test(tc, t_reload);
	tcase_add_test(tc, t_opts);
	tcase_add_test(tc, t_section_of_a_plugin);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
