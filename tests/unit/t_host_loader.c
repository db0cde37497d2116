/* SPDX-License-Identifier: Apache-2.0 */
/* Which files ssm-plugin-host takes as plugins, what it says of the others, and what it tells of a
 * plugin: --describe and --try, each in a process of its own. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "tests/unit/agentpeer.h"
#include "tests/unit/suite.h"

static struct {
	int status;
	char *out, *err;
} run;

static char folder[32];

static void
setup(void)
{
	memcpy(folder, "/tmp/t_host_loader.XXXXXX", 26);
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
teardown(void)
{
	free(run.out);
	free(run.err);
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, folder, NULL), 0);
}

static char *
contents(int fd)
{
	struct sbuf b = SBUF_INIT(1u << 20);

	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	while (sbuf_read(&b, fd, 65536) > 0)
		;
	return sbuf_take(&b, NULL);
}

/* ARGS: NULL-ended, without the program. EXTRA: a descriptor that becomes 5, or -1. */
static void
host(const char *const *args, int extra)
{
	const char *dir = secure_getenv("top_builddir");
	autofree char *relative = xasprintf("%s/ssm-plugin-host", dir ? dir : ".");
	autofree char *path = realpath(relative, NULL);
	autoclose int out = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	autoclose int err = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autostrv char **argv = NULL;
	char *envp[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LD_BIND_NOW=1", NULL};
	const struct proc_fd fds[] = {{null, 0}, {out, 1}, {err, 2}, {extra, 5}};
	struct proc_spec spec = {
		.path = path, .envp = envp, .fds = fds, .fd_count = extra >= 0 ? 4 : 3};
	pid_t pid;

	strv_add(&argv, "ssm-plugin-host");
	for (; *args; args++)
		strv_add(&argv, *args);
	spec.argv = argv;
	pid = proc_spawn(&spec, NULL);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &run.status, 0), pid);
	free(run.out);
	free(run.err);
	run.out = contents(out);
	run.err = contents(err);
}

static void
describe(const char *file)
{
	const char *const args[] = {"--describe", file, NULL};

	host(args, -1);
}

static json_t *
described(void)
{
	ck_assert_msg(run.status == 0, "status 0x%x: %s", (unsigned)run.status, run.err);
	return json_parse(run.out, strlen(run.out), "description", NULL);
}

static json_t *
describe_zoo(const char *name)
{
	autofree char *path = agentpeer_plugin(name);

	describe(path);
	return described();
}

START_TEST(t_describe)
{
	autojson json_t *d = describe_zoo("probe");
	const json_t *topic = json_array_get(json_object_get(d, "features"), 5);
	const json_t *secret = json_array_get(json_object_get(d, "options"), 2);

	ck_assert_str_eq(json_str(d, "name", ""), "probe");
	ck_assert_str_eq(json_str(d, "version", ""), "1.2");
	ck_assert_str_eq(json_str(d, "license", ""), "Apache-2.0");
	ck_assert_str_eq(json_str(d, "summary", ""), "Does what it is told");
	ck_assert_uint_eq(json_array_size(json_object_get(d, "features")), 8);
	ck_assert_int_eq(json_int(topic, "kind", 0), 2);
	ck_assert_str_eq(json_str(topic, "name", ""), "probe.");
	ck_assert_str_eq(json_str(topic, "needs", ""), "?service=mgs action=need:end");
	ck_assert_str_eq(json_str(topic, "job_key", ""), "/MessageId");
	ck_assert_ptr_null(json_object_get(topic, "cancel_key"));
	ck_assert_int_eq(json_int(secret, "type", 0), 1);
	ck_assert_int_eq(json_int(secret, "flags", 0), 1);
	ck_assert_str_eq(json_str(secret, "preset", ""), "open sesame");
	ck_assert_str_eq(run.err, "");
}
END_TEST

START_TEST(t_conf)
{
	autofree char *path = agentpeer_plugin("probe");
	const char *const args[] = {"--describe", path, "--conf", NULL};

	host(args, -1);
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(strstr(run.out, "[plugin probe]\n"));
	ck_assert_ptr_nonnull(strstr(run.out, "# A time.\n#Wait = 30s\n"));
}
END_TEST

/* Rows of another size are walked by their own size. */
START_TEST(t_other_sizes)
{
	static const char *const names[][3] = {{"older", "zoo:older", "zoo:elder"},
					       {"newer", "zoo:newer", "zoo:newest"}};

	for (size_t i = 0; i < NELEMS(names); i++) {
		autojson json_t *d = describe_zoo(names[i][0]);
		const json_t *all = json_object_get(d, "features");

		ck_assert_uint_eq(json_array_size(all), 2);
		for (size_t k = 0; k < 2; k++)
			ck_assert_str_eq(json_str(json_array_get(all, k), "name", ""),
					 names[i][k + 1]);
		ck_assert_uint_eq(json_array_size(json_object_get(d, "options")), 0);
	}
}
END_TEST

START_TEST(t_refused)
{
	static const struct {
		const char *name, *why;
	} cases[] = {
		{"nodescriptor", "it has no plugin descriptor 'nodescriptor_LTX_ssm_plugin'\n"},
		{"wrongmagic", "its descriptor is not one (wrong magic number)\n"},
		{"othermajor", "it was built for version 2.0 of the plugin interface, this agent "
			       "has 1.0; it must be rebuilt\n"},
		{"toonew", "it needs version 1.9 of the plugin interface, this agent has 1.0; "
			   "update the agent\n"},
		{"badtable", "its feature 1 has no name or no functions\n"},
	};

	for (size_t i = 0; i < NELEMS(cases); i++) {
		autofree char *path = agentpeer_plugin(cases[i].name);

		describe(path);
		ck_assert_int_eq(WEXITSTATUS(run.status), 1);
		ck_assert_str_eq(run.err, cases[i].why);
		ck_assert_str_eq(run.out, "");
	}
}
END_TEST

/* libltdl would say "file not found" to each of these. */
START_TEST(t_true_reasons)
{
	autofree char *unresolved = agentpeer_plugin("unresolved");
	autofree char *text = xasprintf("%s/text.so", folder);
	autofree char *missing = xasprintf("%s/missing.so", folder);
	autofree char *empty = xasprintf("%s/empty.so", folder);
	autoclose int fd = open(text, O_WRONLY | O_CREAT, 0644);
	autoclose int fd2 = open(empty, O_WRONLY | O_CREAT, 0644);

	ck_assert_int_ge(fd2, 0);
	ck_assert_int_eq(write(fd, "not a library\n", 14), 14);
	describe(unresolved);
	ck_assert_int_eq(WEXITSTATUS(run.status), 1);
	ck_assert_ptr_nonnull(strstr(run.err, "undefined symbol: zoo_nobody_has_this"));
	describe(text);
	ck_assert_int_eq(WEXITSTATUS(run.status), 1);
	ck_assert_ptr_nonnull(strstr(run.err, "it cannot be loaded: "));
	ck_assert_ptr_null(strstr(run.err, "file not found"));
	describe(empty);
	ck_assert_ptr_nonnull(strstr(run.err, "it cannot be loaded: "));
	describe(missing);
	ck_assert_int_eq(WEXITSTATUS(run.status), 1);
	ck_assert_str_eq(run.err, "No such file or directory\n");
}
END_TEST

/* As the agent does it before it gives up its rights: the path need not be open to the host. */
START_TEST(t_by_descriptor)
{
	autofree char *path = agentpeer_plugin("probe");
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *const args[] = {"--describe", "/proc/self/fd/5", NULL};
	autojson json_t *d = NULL;

	host(args, fd);
	d = described();
	ck_assert_str_eq(json_str(d, "name", ""), "probe");
}
END_TEST

/* No function of it runs: this one would end the process. */
START_TEST(t_nothing_is_called)
{
	autojson json_t *d = describe_zoo("initfails");

	ck_assert_str_eq(json_str(d, "name", ""), "initfails");
}
END_TEST

static void
try(const char *name, const char *action, const char *inputs)
{
	autofree char *path = agentpeer_plugin(name);
	const char *const args[] = {"--try", path, "action", action, inputs, NULL};

	host(args, -1);
}

START_TEST(t_try)
{
	try("probe", "probe:spawn", "{\"sh\":\"echo out; cat; exit 3\",\"stdin\":\"in\"}");
	ck_assert_int_eq(WEXITSTATUS(run.status), 1);
	ck_assert_str_eq(run.out, "out\nin");
	ck_assert_ptr_nonnull(strstr(run.err, "how=0 code=3 left=0"));
	ck_assert_ptr_nonnull(strstr(run.err, "result: Failed, exit code 3\n"));
	try("probe", "probe:facts", "{\"a\":[1, 2]}");
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(strstr(run.out, "step=try feature=probe:facts "));
	ck_assert_ptr_nonnull(strstr(run.out, "wait=30000 word=hello none=1 json=[1,2]\n"));
	try("older", "zoo:elder", "{}");
	ck_assert_str_eq(run.out, "from the past\n");
	try("newer", "zoo:newest", "{}");
	ck_assert_str_eq(run.out, "from the future\n");
}
END_TEST

/* What the program carries: it is asked which, for that depends on how it was built. */
START_TEST(t_try_builtin)
{
	const char *const list[] = {"--builtin", NULL};
	const char *const absent[] = {"--try", "builtin:absent", "action", "x:y", "{}", NULL};
	const char *const shell[] = {"--try",		   "builtin:runCommand",
				     "action",		   "aws:runShellScript",
				     "{\"runCommand\":[\"echo in here\"]}", NULL};

	/* The loader's answer: no file is looked for. */
	host(absent, -1);
	ck_assert_int_eq(WEXITSTATUS(run.status), 1);
	ck_assert_ptr_null(strstr(run.err, "file cannot be found"));
	host(list, -1);
	ck_assert_int_eq(run.status, 0);
	if (!strstr(run.out, "\"name\":\"runCommand\""))
		return;
	host(shell, -1);
	ck_assert_str_eq(run.out, "in here\n");
	ck_assert_int_eq(run.status, 0);
}
END_TEST

START_TEST(t_try_failures)
{
	static const struct {
		const char *name, *action, *inputs, *why;
	} cases[] = {
		{"refuses", "zoo:refuses", "{}", "the moon is in the wrong phase\n"},
		{"noresult", "zoo:noresult", "{}",
		 "the action 'zoo:noresult' of the plugin 'noresult' returned without a result\n"},
		{"probe", "probe:unknown", "{}", "step_done: there is no result 99\n"},
		{"probe", "probe:check", "{\"n\":-1}", "n must not be negative\n"},
		{"probe", "probe:none", "{}", "the plugin has no such action; --describe lists"},
		{"initfails", "zoo:initfails", "{}", "could not be initialised: no coffee\n"},
	};

	for (size_t i = 0; i < NELEMS(cases); i++) {
		try(cases[i].name, cases[i].action, cases[i].inputs);
		ck_assert_int_eq(WEXITSTATUS(run.status), 1);
		ck_assert_msg(strstr(run.err, cases[i].why) != NULL, "%s", run.err);
	}
	try("probe", "probe:facts", "{");
	ck_assert_int_eq(WEXITSTATUS(run.status), 2);
	try("crash", "zoo:crash", "{}");
	ck_assert(WIFSIGNALED(run.status) || WEXITSTATUS(run.status) > 2);
}
END_TEST

START_TEST(t_user)
{
	const char *const args[] = {"--user", "root", NULL};
	const char *const nobody[] = {"--user", "no such user", NULL};
	autojson json_t *d = NULL;

	host(args, -1);
	d = described();
	ck_assert_int_eq(json_int(d, "uid", -1), 0);
	ck_assert_str_eq(json_str(d, "name", ""), "root");
	ck_assert(json_is_array(json_object_get(d, "groups")));
	host(nobody, -1);
	ck_assert_int_eq(WEXITSTATUS(run.status), 1);
	ck_assert_ptr_nonnull(strstr(run.err, "no such user"));
}
END_TEST

START_TEST(t_usage)
{
	static const char *const wrong[][4] = {
		{NULL}, {"--job", NULL}, {"--nonsense", NULL}, {"--try", "x", "action", NULL}};
	const char *const help[] = {"--help", NULL};

	for (size_t i = 0; i < NELEMS(wrong); i++) {
		host(wrong[i], -1);
		ck_assert_int_eq(WEXITSTATUS(run.status), 2);
		ck_assert_str_eq(run.out, "");
	}
	host(help, -1);
	ck_assert_int_eq(run.status, 0);
	ck_assert_ptr_nonnull(strstr(run.out, "--describe FILE"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("host_loader");
	TCase *tc = tcase_create("host_loader");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_describe);
	tcase_add_test(tc, t_conf);
	tcase_add_test(tc, t_other_sizes);
	tcase_add_test(tc, t_refused);
	tcase_add_test(tc, t_true_reasons);
	tcase_add_test(tc, t_by_descriptor);
	tcase_add_test(tc, t_nothing_is_called);
	tcase_add_test(tc, t_try);
	tcase_add_test(tc, t_try_builtin);
	tcase_add_test(tc, t_try_failures);
	tcase_add_test(tc, t_user);
	tcase_add_test(tc, t_usage);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
