/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/host/newuser.c and sudoers.c, unprivileged: a recorder is the program that
 * makes users, and this program is the name service: who is called u-XXXXXX exists when a line of
 * the file users in the folder t_newuser.XXXXXX says so. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/text.h"
#include "core/host/lookup.h"
#include "core/host/newuser.h"
#include "core/host/sudoers.h"
#include "tests/unit/suite.h"

#define FOLDER "/tmp/t_newuser."
#define SEVERAL 20

static char folder[64], name[32];
static json_t *settings;
static struct sbuf notes;
static struct err e;

static char *
path_of(const char *file)
{
	return xasprintf("%s/%s", folder, file);
}

static void
put(const char *file, const char *text, mode_t mode)
{
	autofree char *path = path_of(file);

	ck_assert_int_eq(
		fs_write_atomic(AT_FDCWD, path, text, strlen(text), mode, false, NULL), 0);
}

/* Caller frees; "" when it is not there. */
static char *
content(const char *file)
{
	autofree char *path = path_of(file);
	char *text = NULL;

	return fs_read(AT_FDCWD, path, 65536, &text, NULL, NULL) < 0 ? xstrdup("") : text;
}

static bool
is_there(const char *file)
{
	autofree char *path = path_of(file);

	return access(path, F_OK) == 0;
}

static void
remove_file(const char *file)
{
	autofree char *path = path_of(file);

	ck_assert_int_eq(unlink(path), 0);
}

/* The recorder, and what it does before and after it has made somebody. */
static void
put_recorder(const char *before, const char *after)
{
	autofree char *text = xasprintf("#!/bin/sh\necho \"$*\" >>%s/calls\n%s\nfor n; do :; done\n"
					"echo $n >>%s/users\n%s\n",
					folder, before, folder, after);

	put("add", text, 0700);
}

/* Called with -cf and the file. */
static void
put_check(const char *script)
{
	autofree char *path = path_of("check"), *text = xasprintf("#!/bin/sh\n%s\n", script);

	put("check", text, 0700);
	json_object_set_new(settings, "check", json_pack("[s,s]", path, "-cf"));
}

/* For who is u-XXXXXX. */
static void
take_settings(const char *suffix)
{
	autofree char *sudoers = NULL, *lock = NULL, *command = NULL;

	(void)snprintf(folder, sizeof(folder), FOLDER "%.16s", suffix);
	(void)snprintf(name, sizeof(name), "u-%.16s", suffix);
	sudoers = path_of("sudoers.d/ssm-agent-users");
	lock = path_of("run/users.lock");
	command = path_of("add");
	settings = json_pack("{s:s,s:[s,s],s:[],s:s,s:s}", "name", name, "add", command, "-m",
			     "check", "sudoers", sudoers, "lock", lock);
	sbuf_init(&notes, 65536);
	e = (struct err){ 0, "" };
}

static void
setup(void)
{
	autofree char *dir = NULL, *whole = NULL;

	(void)umask(0);
	whole = xstrdup(FOLDER "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(whole));
	take_settings(whole + strlen(FOLDER));
	dir = path_of("sudoers.d");
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	put_recorder("", "");
}

static void
teardown(void)
{
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, folder, NULL), 0);
	sbuf_done(&notes);
	json_decref(settings);
}

static void
expect_calls(const char *wanted)
{
	autofree char *calls = content("calls");

	ck_assert_str_eq(calls, wanted);
}

static void
expect_rule(void)
{
	autofree char *text = content("sudoers.d/ssm-agent-users");
	autofree char *wanted =
		xasprintf("# User rules for %s\n%s ALL=(ALL) NOPASSWD:ALL\n", name, name);
	autofree char *path = path_of("sudoers.d/ssm-agent-users");
	struct stat st;

	ck_assert_str_eq(text, wanted);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0440);
	ck_assert_uint_eq(st.st_uid, geteuid());
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert(!is_there("sudoers.d/ssm-agent-users.new"));
}

static void
expect_no_rule(void)
{
	ck_assert(!is_there("sudoers.d/ssm-agent-users"));
	ck_assert(!is_there("sudoers.d/ssm-agent-users.new"));
}

static void
expect_note(const char *text)
{
	ck_assert_msg(strstr(sbuf_str(&notes), text) != NULL, "no '%s' in: %s", text,
		      sbuf_str(&notes));
}

START_TEST(t_made_once)
{
	autofree char *wanted = xasprintf("-m %s\n", name);
	autofree char *note = xasprintf("made user '%s' with '%s/add -m %s'\n", name, folder, name);
	autofree char *lock = path_of("run/users.lock");
	struct stat st;

	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_calls(wanted);
	expect_rule();
	ck_assert_str_eq(sbuf_str(&notes), note);
	ck_assert_int_eq(stat(lock, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 0);
	expect_calls(wanted);
}
END_TEST

/* Who is there is left alone, and so is what an administrator has deleted. */
START_TEST(t_who_is_there_is_left_alone)
{
	autofree char *line = xasprintf("%s\n", name);

	put("users", line, 0600);
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 0);
	expect_calls("");
	expect_no_rule();
	ck_assert_str_eq(sbuf_str(&notes), "");
}
END_TEST

START_TEST(t_file_that_is_there)
{
	autofree char *text = NULL, *path = path_of("sudoers.d/ssm-agent-users");
	struct stat st;

	put("sudoers.d/ssm-agent-users", "# mine\n", 0644);
	put_check("touch \"$0.asked\"");
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	ck_assert(!is_there("check.asked"));
	text = content("sudoers.d/ssm-agent-users");
	ck_assert_str_eq(text, "# mine\n");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	ck_assert(!is_there("sudoers.d/ssm-agent-users.new"));
}
END_TEST

/* It comes when ours is all but in its place. */
START_TEST(t_file_that_comes_meanwhile)
{
	autofree char *text = NULL;

	put_check("echo \"# mine\" >\"${2%.new}\"");
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	text = content("sudoers.d/ssm-agent-users");
	ck_assert_str_eq(text, "# mine\n");
	ck_assert(!is_there("sudoers.d/ssm-agent-users.new"));
}
END_TEST

/* A link is a file that is there: nothing is written through it. */
START_TEST(t_link_that_is_there)
{
	autofree char *path = path_of("sudoers.d/ssm-agent-users"), *target = path_of("target");
	autofree char *tmp = path_of("sudoers.d/ssm-agent-users.new");

	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	ck_assert(!is_there("target"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink(target, tmp), 0);
	ck_assert(sudoers_place(path, NULL, name, &notes));
	ck_assert(!is_there("target"));
	expect_rule();
}
END_TEST

START_TEST(t_no_sudoers)
{
	autofree char *dir = path_of("sudoers.d");

	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_note(": there is no folder '/tmp/t_newuser.");
	ck_assert(!is_there("sudoers.d"));
	json_object_set_new(settings, "sudoers", json_string("ssm-agent-users"));
	ck_assert(!sudoers_place("ssm-agent-users", NULL, name, &notes));
	expect_note("'ssm-agent-users' is no path of a file");
	/* Where others may write, no rule of ours is worth anything. */
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	{
		autofree char *path = path_of("sudoers.d/ssm-agent-users");

		ck_assert(!sudoers_place(path, NULL, name, &notes));
	}
	expect_note("is not trusted: mode 0777");
	expect_no_rule();
}
END_TEST

START_TEST(t_sudo_is_not_wanted)
{
	json_object_set_new(settings, "sudoers", json_string(""));
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_no_rule();
}
END_TEST

/* Shown to the checker whole, under a name that sudo passes over, with its final mode. */
START_TEST(t_check)
{
	autofree char *script = xasprintf("stat -c '%%a %%n' \"$2\" >%s/seen\n"
					  "cat \"$2\" >>%s/seen\n[ -e \"${2%%.new}\" ] && exit 1\n"
					  "[ ! -e %s/bad ] || { echo bad rule; exit 1; }\n",
					  folder, folder, folder);
	autofree char *wanted = xasprintf("440 %s/sudoers.d/ssm-agent-users.new\n# User rules for "
					  "%s\n%s ALL=(ALL) NOPASSWD:ALL\n",
					  folder, name, name);
	autofree char *seen = NULL;

	put_check(script);
	put("bad", "", 0600);
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_note("does not like the file: bad rule");
	expect_no_rule();
	seen = content("seen");
	ck_assert_str_eq(seen, wanted);
	/* Another time, without the fault. */
	remove_file("users");
	remove_file("bad");
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_rule();
}
END_TEST

START_TEST(t_check_that_is_not_installed)
{
	json_object_set_new(settings, "check", json_pack("[s,s]", "no-such-visudo", "-c"));
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_rule();
}
END_TEST

START_TEST(t_add_fails)
{
	autofree char *wanted = xasprintf("'%s/add -m %s' ended with status 3: 'no room'", folder,
					  name);

	put_recorder("echo no room >&2; exit 3", "");
	ck_assert_int_lt(newuser_make(settings, &notes, &e), 0);
	ck_assert_str_eq(err_text(&e), wanted);
	expect_no_rule();
	put_recorder("kill -KILL $$", "");
	ck_assert_int_lt(newuser_make(settings, &notes, &e), 0);
	ck_assert_ptr_nonnull(strstr(err_text(&e), "ended with signal 9"));
	put_recorder("exit 0", "");
	ck_assert_int_lt(newuser_make(settings, &notes, &e), 0);
	ck_assert_ptr_nonnull(strstr(err_text(&e), "ended well, but there still is no such user"));
	json_object_set_new(settings, "add", json_pack("[s]", "no-such-useradd"));
	ck_assert_int_eq(newuser_make(settings, &notes, &e), -ENOENT);
	ck_assert_str_eq(err_text(&e), "there is no program 'no-such-useradd'");
	expect_no_rule();
}
END_TEST

/* What counts is whether there is a user, not what the program thinks of itself. */
START_TEST(t_add_is_half_pleased)
{
	put_recorder("", "echo warning; exit 9");
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_rule();
}
END_TEST

/* Who ends the session does not end what makes its user. */
START_TEST(t_add_is_not_disturbed)
{
	put_recorder("kill -TERM $$; kill -HUP $$; kill -INT $$", "");
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_rule();
}
END_TEST

/* The same in a process of its own, whose exit status is 10 more. */
static pid_t
start_making(void)
{
	char *const argv[] = { (char *)"t_host_newuser", (char *)"--make", name, NULL };
	const struct proc_spec spec = { .path = lookup_program(), .argv = argv };
	pid_t pid = proc_spawn(&spec, &e);

	ck_assert_msg(pid > 0, "%s", err_text(&e));
	return pid;
}

/* A rule for nobody is what is left by who was killed, and the next one goes on. */
START_TEST(t_killed_in_between)
{
	int status;
	pid_t pid;

	put_recorder("kill -KILL $PPID; exit 0", "");
	pid = start_making();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	expect_rule();
	put_recorder("", "");
	ck_assert_int_eq(newuser_make(settings, &notes, &e), 1);
	expect_rule();
}
END_TEST

START_TEST(t_many_at_once)
{
	autofree char *wanted = xasprintf("-m %s\n", name);
	pid_t pids[SEVERAL];
	int made = 0;

	put_recorder("sleep 0.3", "");
	for (size_t i = 0; i < SEVERAL; i++)
		pids[i] = start_making();
	for (size_t i = 0; i < SEVERAL; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status));
		ck_assert(WEXITSTATUS(status) == 10 || WEXITSTATUS(status) == 11);
		made += WEXITSTATUS(status) - 10;
	}
	ck_assert_int_eq(made, 1);
	expect_calls(wanted);
	expect_rule();
}
END_TEST

START_TEST(t_names)
{
	static const char *const bad[] = { "",	   "-m",   "ALL",    "a b",	"a,b",
					   "a\nb", "%wheel", "#0",   "root:x", "../x",
					   "a=b",  "u!",   "u.new",  "0",	"\xc3\xa4",
					   "a23456789012345678901234567890123" };

	for (size_t i = 0; i < NELEMS(bad); i++) {
		json_object_set_new(settings, "name", json_string(bad[i]));
		ck_assert_msg(newuser_make(settings, &notes, &e) == -EINVAL, "%s", bad[i]);
	}
	expect_calls("");
	expect_no_rule();
	json_object_set_new(settings, "name", json_string(name));
	json_object_set_new(settings, "lock", json_string(""));
	ck_assert_int_lt(newuser_make(settings, &notes, &e), 0);
	ck_assert_int_eq(newuser_make(NULL, &notes, &e), -EINVAL);
}
END_TEST

/* The name service is late: nobody is made, who knows who it is. */
START_TEST(t_nobody_knows)
{
	autofree char *path = path_of("users");

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(newuser_make(settings, &notes, &e), -ETIMEDOUT);
	expect_calls("");
	expect_no_rule();
}
END_TEST

/* What ssm-plugin-host --user does, with a table of ours. */
static int
name_service(const char *who)
{
	autofree char *path = xasprintf(FOLDER "%s/users", who + (strlen(who) > 2 ? 2 : 0));
	FILE *f = fopen(path, "re");
	char line[128];
	int r = 1;

	while (f && fgets(line, sizeof(line), f))
		if (strcmp(text_trim(line), who) == 0)
			r = 0;
	if (f)
		(void)fclose(f);
	if (r == 0)
		(void)printf("{\"name\":\"%s\",\"uid\":1000,\"gid\":1000,\"home\":\"/\","
			     "\"shell\":\"/bin/sh\",\"groups\":[1000]}\n",
			     who);
	return r;
}

static int
make_here(const char *who)
{
	int r;

	take_settings(who + 2);
	r = newuser_make(settings, &notes, &e);
	json_decref(settings);
	sbuf_done(&notes);
	return 10 + r;
}

int
main(int argc, char **argv)
{
	Suite *s;
	TCase *tc;

	if (argc == 3 && strcmp(argv[1], "--user") == 0)
		return name_service(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--make") == 0)
		return make_here(argv[2]);
	s = suite_create("host_newuser");
	tc = tcase_create("host_newuser");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_made_once);
	tcase_add_test(tc, t_who_is_there_is_left_alone);
	tcase_add_test(tc, t_file_that_is_there);
	tcase_add_test(tc, t_file_that_comes_meanwhile);
	tcase_add_test(tc, t_link_that_is_there);
	tcase_add_test(tc, t_no_sudoers);
	tcase_add_test(tc, t_sudo_is_not_wanted);
	tcase_add_test(tc, t_check);
	tcase_add_test(tc, t_check_that_is_not_installed);
	tcase_add_test(tc, t_add_fails);
	tcase_add_test(tc, t_add_is_half_pleased);
	tcase_add_test(tc, t_add_is_not_disturbed);
	tcase_add_test(tc, t_killed_in_between);
	tcase_add_test(tc, t_many_at_once);
	tcase_add_test(tc, t_names);
	tcase_add_test(tc, t_nobody_knows);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
