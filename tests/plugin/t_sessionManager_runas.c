/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/runas.c: spec 02 §6.2 and the environment of §6.3, with
 * users that exist nowhere, so that it is the same for whoever runs it. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/runas.h"
#include "tests/fakehost/fakehost.h"
#include "tests/unit/suite.h"

static struct fakehost f;
static struct session_inputs in;
static struct runas as;
static struct err e;

static void
setup(void)
{
	fakehost_init(&f);
	memset(&in, 0, sizeof(in));
	in.run_as_user = xstrdup("");
	memset(&as, 0, sizeof(as));
	e = (struct err){ 0, "" };
}

static void
teardown(void)
{
	runas_done(&as);
	session_inputs_done(&in);
	fakehost_done(&f);
}

static void
know(const char *name, const char *json)
{
	autofree char *key = xasprintf("user:%s", name);

	json_object_set_new(f.info, key, json_string(json));
}

static void
know_user(const char *name, int uid, int gid, const char *home)
{
	autofree char *json = xasprintf("{\"name\":\"%s\",\"uid\":%d,\"gid\":%d,\"home\":\"%s\","
					"\"shell\":\"/bin/zsh\",\"groups\":[%d,77]}",
					name, uid, gid, home, gid);

	know(name, json);
}

static void
know_nobody(const char *name)
{
	know(name, "{\"error\":\"there is no user\",\"unknown\":true}");
}

/* As the agent tells it. */
static void
configure(const char *refusal)
{
	autofree char *text = xasprintf("{\"name\":\"operator\",%s\"make\":{\"name\":"
					"\"operator\"}}", refusal);

	json_object_set_new(f.info, "users", json_string(text));
	json_object_set_new(f.info, "host-program", json_string("/x/ssm-plugin-host"));
}

static void
run_as(const char *preset)
{
	in.run_as = true;
	free(in.run_as_user);
	in.run_as_user = xstrdup(preset);
}

static int
decide(const char *tag, bool elevated, bool root)
{
	const struct runas_wish wish = { &in, tag, { .root = root, .elevated = elevated } };

	runas_done(&as);
	return runas_decide(&f.S, &wish, &as, &e);
}

static void
expect_refusal(int code, int got, const char *text)
{
	ck_assert_int_eq(got, code);
	ck_assert_str_eq(err_text(&e), text);
	ck_assert_ptr_null(as.user);
	ck_assert_ptr_null(as.envp);
}

START_TEST(t_refusals_in_order)
{
	run_as(" \t");
	expect_refusal(-EINVAL, decide("", false, true), "please set the RunAs default user");
	expect_refusal(-EINVAL, decide(" \n", false, false), "please set the RunAs default user");
	run_as("alice");
	know_nobody("alice");
	expect_refusal(-EPERM, decide("", false, false),
		       "the agent must run as root to use RunAs");
	expect_refusal(-ENOENT, decide("", false, true),
		       "failed to start pty since RunAs user alice does not exist");
}
END_TEST

/* Root cannot be a RunAs user, nor anybody in root's group; a name service cannot make one. */
START_TEST(t_root_is_nobodys_user)
{
	static const struct {
		int uid, gid;
	} bad[] = { { 0, 0 }, { 0, 5 }, { 5, 0 }, { -1, 5 }, { 5, -1 } };

	run_as("toor");
	for (size_t i = 0; i < NELEMS(bad); i++) {
		know_user("toor", bad[i].uid, bad[i].gid, "/");
		expect_refusal(-EPERM, decide("", false, true), "invalid uid and gid");
	}
	in.run_as = false;
	know_user("ssm-user", 0, 0, "/");
	expect_refusal(-EPERM, decide("", false, true), "invalid uid and gid");
}
END_TEST

/* Whose answer is late is not taken for somebody who does not exist. */
START_TEST(t_name_service_is_late)
{
	static const char late[] = "{\"error\":\"the name service did not say within 5 s who "
				   "'alice' is\",\"unknown\":false}";

	run_as("alice");
	know("alice", late);
	expect_refusal(-ETIMEDOUT, decide("", false, true),
		       "the name service did not say within 5 s who 'alice' is");
	know("alice", "garbage");
	expect_refusal(-ETIMEDOUT, decide("", false, true), "the user cannot be looked up");
	json_object_del(f.info, "user:alice");
	expect_refusal(-ETIMEDOUT, decide("", false, true), "the user cannot be looked up");
}
END_TEST

START_TEST(t_tag_wins)
{
	run_as("alice");
	know_user("alice", 1001, 1001, "/");
	know_user("bob", 1002, 1002, "/");
	ck_assert_int_eq(decide("", false, true), 0);
	ck_assert_str_eq(as.user, "alice");
	ck_assert_int_eq(decide("bob", false, true), 0);
	ck_assert_str_eq(as.user, "bob");
	ck_assert_int_eq(decide("  ", false, true), 0);
	ck_assert_str_eq(as.user, "alice");
	/* Without RunAs a tag means nothing. */
	in.run_as = false;
	know_user("ssm-user", 1000, 1000, "/");
	ck_assert_int_eq(decide("bob", false, true), 0);
	ck_assert_str_eq(as.user, "ssm-user");
}
END_TEST

START_TEST(t_default_user)
{
	know_user("ssm-user", 1000, 1000, "/");
	ck_assert_int_eq(decide("", false, true), 0);
	ck_assert_str_eq(as.user, "ssm-user");
	know_nobody("ssm-user");
	expect_refusal(-ENOENT, decide("", false, true),
		       "the user ssm-user does not exist and is not made (the agent does not say "
		       "how): make it with 'useradd -m ssm-user', or set runAsDefaultUser");
	configure("\"refusal\":\"Users.Create is never\",");
	know_nobody("operator");
	expect_refusal(-ENOENT, decide("", false, true),
		       "the user operator does not exist and is not made (Users.Create is never): "
		       "make it with 'useradd -m operator', or set runAsDefaultUser");
	know_user("operator", 1000, 1000, "/");
	ck_assert_int_eq(decide("", false, true), 0);
	ck_assert_str_eq(as.user, "operator");
	know_nobody("operator");
	configure("");
	ck_assert_int_eq(decide("", false, true), RUNAS_TO_MAKE);
	/* Never by RunAs, nor while it is not known whether there is one. */
	run_as("operator");
	ck_assert_int_eq(decide("", false, true), -ENOENT);
	in.run_as = false;
	know("operator", "{\"error\":\"late\",\"unknown\":false}");
	expect_refusal(-ETIMEDOUT, decide("", false, true), "late");
}
END_TEST

/* runAsElevated: also where RunAs is on. The name service has no say in it. */
START_TEST(t_elevated)
{
	run_as("alice");
	ck_assert_int_eq(decide("bob", true, true), 0);
	ck_assert_ptr_null(as.user);
	ck_assert_str_eq(strv_env_get(as.envp, "HOME"), "/root");
	ck_assert_str_eq(strv_env_get(as.envp, "USER"), "root");
}
END_TEST

START_TEST(t_unprivileged)
{
	char cwd[] = "/tmp/t_runas.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(cwd));
	know("", "{\"name\":\"me\",\"uid\":1234,\"gid\":1,\"home\":\"/no/home\",\"shell\":"
		 "\"/bin/sh\",\"groups\":[]}");
	ck_assert_int_eq(decide("", false, false), 0);
	ck_assert_ptr_null(as.user);
	ck_assert_str_eq(as.cwd, "/");
	ck_assert_str_eq(strv_env_get(as.envp, "USER"), "me");
	/* A container's uid may be in no table. */
	know_nobody("");
	ck_assert_int_eq(decide("", false, false), 0);
	ck_assert_str_eq(strv_env_get(as.envp, "HOME"), "/");
	ck_assert_ptr_null(strv_env_get(as.envp, "USER"));
	ck_assert_int_eq(rmdir(cwd), 0);
}
END_TEST

/* All of it, and nothing of ours. */
START_TEST(t_environment)
{
	autofree char *text = NULL;

	ck_assert_int_eq(setenv("AWS_SECRET_ACCESS_KEY", "canary", 1), 0);
	know_user("ssm-user", 1000, 1000, "/srv/home");
	ck_assert_int_eq(decide("", false, true), 0);
	text = strv_join(as.envp, "\n");
	ck_assert_str_eq(text, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
			       "TERM=xterm-256color\nLANG=C.UTF-8\nHOME=/srv/home\n"
			       "SHELL=/bin/zsh\nUSER=ssm-user\nLOGNAME=ssm-user");
}
END_TEST

/* By the right that the user has: as owner, by a group, or as anybody. */
START_TEST(t_home_that_can_be_entered)
{
	static const struct {
		mode_t mode;
		bool owner, member, enters;
	} rows[] = { { 0700, true, false, true },  { 0077, true, false, false },
		     { 0710, false, true, true },  { 0701, false, true, false },
		     { 0701, false, false, true }, { 0770, false, false, false } };
	char home[] = "/tmp/t_runas.XXXXXX";
	struct stat st;

	ck_assert_ptr_nonnull(mkdtemp(home));
	ck_assert_int_eq(stat(home, &st), 0);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		autofree char *json = xasprintf(
			"{\"name\":\"ssm-user\",\"uid\":%ld,\"gid\":4711,\"home\":\"%s\",\"shell\":"
			"\"/bin/sh\",\"groups\":[4711,%ld]}",
			rows[i].owner && st.st_uid ? (long)st.st_uid : 54321L, home,
			rows[i].member ? (long)st.st_gid : 4711L);

		if (rows[i].owner && st.st_uid == 0)
			ck_assert_int_eq(chown(home, 54321, st.st_gid), 0);
		ck_assert_int_eq(chmod(home, rows[i].mode), 0);
		know("ssm-user", json);
		ck_assert_int_eq(decide("", false, true), 0);
		ck_assert_msg(strcmp(as.cwd, rows[i].enters ? home : "/") == 0, "row %zu: %s", i,
			      as.cwd);
		if (st.st_uid == 0)
			ck_assert_int_eq(chown(home, 0, st.st_gid), 0);
	}
	ck_assert_int_eq(rmdir(home), 0);
}
END_TEST

/* ------------------------------------------------------------- made by it */

static struct {
	int calls;
	int32_t result;
	char *user, *why;
} end;

static void
on_who(struct ssm *S, int32_t result, const struct runas *who, const char *why, void *arg)
{
	ck_assert_ptr_eq(arg, &end);
	ck_assert_ptr_eq(S, &f.S);
	ck_assert((result == 0) == (who != NULL));
	end.calls++;
	end.result = result;
	end.user = xstrdup(who ? who->user : NULL);
	end.why = xstrdup(why);
}

/* A session that names nobody, where nobody is there. */
static void
begin(json_t *answer)
{
	struct ssm_session *session =
		fakehost_session(&f, json_pack("{s:{s:s},s:s}", "inputs", "runAsEnabled", "false",
					       "RunAsUser", "bob"));

	memset(&end, 0, sizeof(end));
	configure("");
	know_nobody("operator");
	if (answer)
		fakehost_play(&f, "spawn_start", answer);
	runas_start(&f.S, session, (struct runas_rights){ .root = true }, on_who, &end);
}

static void
expect_end(int32_t result, const char *user, const char *why)
{
	ck_assert_int_eq(end.calls, 1);
	ck_assert_int_eq(end.result, result);
	ck_assert_str_eq(end.user ? end.user : "-", user ? user : "-");
	ck_assert_str_eq(end.why, why);
	mem_cleanup_free(&end.user);
	mem_cleanup_free(&end.why);
}

START_TEST(t_made)
{
	const json_t *asked;
	autofree char *argv = NULL;

	begin(json_pack("{s:s}", "out", "made user 'operator'\nno sudo\n"));
	ck_assert_int_eq(end.calls, 0);
	asked = fakehost_asked(&f, 0, "spawn_start");
	argv = json_text(json_object_get(asked, "argv"));
	ck_assert_str_eq(argv, "[\"/x/ssm-plugin-host\",\"--make-user\"]");
	ck_assert_str_eq(json_str(asked, "stdin", ""), "{\"name\":\"operator\"}");
	know_user("operator", 1000, 1000, "/");
	fakehost_end_started(&f);
	expect_end(0, "operator", "");
	ck_assert_uint_eq(json_array_size(f.log), 2);
}
END_TEST

START_TEST(t_cannot_be_made)
{
	begin(json_pack("{s:i,s:s}", "code", 1, "err", "'useradd' ended with status 3\nmore\n"));
	fakehost_end_started(&f);
	expect_end(-ENOENT, NULL, "the user of sessions cannot be made: 'useradd' ended with "
				  "status 3");
	begin(json_pack("{s:s}", "how", "timeout"));
	fakehost_end_started(&f);
	expect_end(-ENOENT, NULL, "the user of sessions cannot be made: its program was ended");
	begin(json_pack("{s:i}", "r", -EAGAIN));
	expect_end(-EAGAIN, NULL, "the user of sessions cannot be made: its program cannot be "
				  "started");
	begin(json_object());
	fakehost_end_started(&f);
	expect_end(-ENOENT, NULL, "the user that was made does not exist");
}
END_TEST

START_TEST(t_ended_meanwhile)
{
	begin(json_object());
	runas_cancel();
	ck_assert_int_eq(end.calls, 0);
	know_user("operator", 1000, 1000, "/");
	fakehost_end_started(&f);
	expect_end(-ECANCELED, NULL, "");
}
END_TEST

START_TEST(t_nothing_to_make)
{
	struct ssm_session *session;

	begin(json_object());
	fakehost_end_started(&f);
	expect_end(-ENOENT, NULL, "the user that was made does not exist");
	know_user("bob", 1002, 1002, "/");
	session = fakehost_session(&f, json_pack("{s:{s:b},s:s}", "inputs", "runAsEnabled", 1,
						 "RunAsUser", "bob"));
	memset(&end, 0, sizeof(end));
	runas_start(&f.S, session, (struct runas_rights){ .root = true }, on_who, &end);
	expect_end(0, "bob", "");
	session = fakehost_session(&f, json_pack("{s:{s:i}}", "inputs", "runAsEnabled", 1));
	memset(&end, 0, sizeof(end));
	runas_start(&f.S, session, (struct runas_rights){ .root = true }, on_who, &end);
	ck_assert_int_eq(end.calls, 1);
	ck_assert_int_eq(end.result, -EINVAL);
	mem_cleanup_free(&end.why);
	ck_assert_uint_eq(fakehost_count(&f, "spawn_start"), 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager runas");
	TCase *tc = tcase_create("sessionManager runas");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_refusals_in_order);
	tcase_add_test(tc, t_root_is_nobodys_user);
	tcase_add_test(tc, t_name_service_is_late);
	tcase_add_test(tc, t_tag_wins);
	tcase_add_test(tc, t_default_user);
	tcase_add_test(tc, t_elevated);
	tcase_add_test(tc, t_unprivileged);
	tcase_add_test(tc, t_environment);
	tcase_add_test(tc, t_home_that_can_be_entered);
	tcase_add_test(tc, t_made);
	tcase_add_test(tc, t_cannot_be_made);
	tcase_add_test(tc, t_ended_meanwhile);
	tcase_add_test(tc, t_nothing_to_make);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
