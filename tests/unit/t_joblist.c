/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/joblist.c: what journals tell, also while they are being written. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/agent/joblist.h"
#include "core/agent/jobstore.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "tests/unit/suite.h"

#define IID "i-0123456789abcdef0"
#define ID "aws.ssm.01234567-89ab-cdef-0123-456789abcdef." IID
#define REPLY "{\"documentStatus\":\"%s\"}"

static char *state, *run;
static struct jobstore *store;
static struct journal *journal;

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");
	struct err e = { 0, "" };

	state = xasprintf("%s/t_joblist.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(state));
	run = xasprintf("%s.run", state);
	store = jobstore_open(state, IID, &e);
	ck_assert_msg(store != NULL, "%s", err_text(&e));
}

static void
teardown(void)
{
	journal_close(journal);
	jobstore_close(store);
	(void)fs_remove_tree(AT_FDCWD, state, NULL);
	(void)fs_remove_tree(AT_FDCWD, run, NULL);
	free(state);
	free(run);
}

static void
begin(const char *id, int64_t received_ms)
{
	autojson json_t *c = json_pack("{s:s,s:s,s:I,s:s}", "message_id", id, "topic", "t.x",
				       "received_ms", (json_int_t)received_ms, "payload", "{}");

	journal_close(journal);
	journal = jobstore_create(store, id, RECORD_MESSAGE, c, NULL);
	ck_assert_ptr_nonnull(journal);
	journal_flush(journal);
}

static void
append(enum record type, json_t *c)
{
	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(journal_append(journal, type, c, NULL, NULL), 0);
	journal_flush(journal);
	json_decref(c);
}

static void
append_started(pid_t pid)
{
	struct proc_id who = { pid, 1, "none" };

	if (pid == getpid())
		ck_assert_int_eq(proc_identify(pid, &who), 0);
	append(RECORD_STARTED,
	       json_pack("{s:I,s:I,s:s,s:s,s:I}", "pid", (json_int_t)who.pid, "start",
			 (json_int_t)who.start, "boot", who.boot, "plugin", "runCommand", "at_ms",
			 (json_int_t)7));
}

static void
append_reply(const char *status, bool final)
{
	autofree char *text = xasprintf(REPLY, status);

	append(RECORD_REPLY, json_pack("{s:b,s:I,s:s}", "final", final, "at_ms", (json_int_t)9,
				       "payload", text));
}

/* State and status of the only one. */
static void
check(const char *wanted_state, const char *wanted_status)
{
	struct err e = { 0, "" };
	autojson json_t *all = joblist_read(state, run, NULL, &e);
	const json_t *job = json_array_get(all, 0);

	ck_assert_msg(all != NULL, "%s", err_text(&e));
	ck_assert_uint_eq(json_array_size(all), 1);
	ck_assert_str_eq(json_str(job, "id", ""), ID);
	ck_assert_str_eq(json_str(job, "state", ""), wanted_state);
	ck_assert_str_eq(json_str(job, "status", "none"), wanted_status);
	ck_assert_str_eq(json_str(job, "instance_id", ""), IID);
}

START_TEST(test_life)
{
	autojson json_t *all = NULL;
	const json_t *job;

	begin(ID, 5);
	check("queued", "none");
	append_started(getpid());
	check("running", "none");
	append_reply("InProgress", false);
	check("running", "InProgress");
	append(RECORD_CANCEL, json_pack("{s:s}", "message_id", "x"));
	append_reply("Failed", true);
	append(RECORD_END, json_pack("{s:i}", "result", 0));
	check("ended", "Failed");
	all = joblist_read(state, run, "01234567-89ab-cdef-0123-456789abcdef", NULL);
	job = json_array_get(all, 0);
	ck_assert_int_eq(json_int(job, "received_ms", 0), 5);
	ck_assert_int_eq(json_int(job, "started_ms", 0), 7);
	ck_assert_int_eq(json_int(job, "ended_ms", 0), 9);
	ck_assert_int_eq(json_int(job, "pid", 0), getpid());
	ck_assert(json_bool(job, "cancelled", false));
	ck_assert_uint_eq(json_array_size(json_object_get(job, "replies")), 2);
	ck_assert_str_eq(json_str(json_array_get(json_object_get(job, "replies"), 1), "text", ""),
			 "{\"documentStatus\":\"Failed\"}");
}
END_TEST

/* Its process is gone; the start of a step says nothing of the command. */
START_TEST(test_lost)
{
	begin(ID, 5);
	append_started(1);
	check("lost", "none");
	append(RECORD_STARTED, json_pack("{s:i,s:i}", "nested", 1, "pid", (int)getpid()));
	append(RECORD_END, json_pack("{s:i,s:i}", "nested", 1, "result", 4));
	check("lost", "none");
}
END_TEST

START_TEST(test_restart)
{
	begin(ID, 5);
	append_started(1);
	append(RECORD_END, json_pack("{s:i}", "result", 4));
	check("restart", "none");
	append_started(getpid());
	check("running", "none");
}
END_TEST

/* A record that is not whole yet, or was damaged, and what stands behind it. */
START_TEST(test_damage)
{
	autofree char *path = xasprintf("%s/" IID "/jobs/" ID "/journal", state);
	int fd;

	begin(ID, 5);
	append_reply("InProgress", false);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "SJ\001\004\377\377", 6), 6);
	close(fd);
	check("queued", "InProgress");
	journal_discard(journal);
	journal = NULL;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "X", 1, 40), 1);
	close(fd);
	{
		autojson json_t *all = joblist_read(state, run, NULL, NULL);

		ck_assert_uint_eq(json_array_size(all), 0); /* its message cannot be read */
	}
}
END_TEST

START_TEST(test_order_and_strangers)
{
	autofree char *jobs = xasprintf("%s/" IID "/jobs", state);
	autofree char *link = xasprintf("%s/link", jobs), *file = xasprintf("%s/file", jobs);
	autojson json_t *all = NULL, *none = NULL;
	struct err e = { 0, "" };
	int fd;

	begin("zzzz", 1);
	begin("aaaa", 3);
	begin("mmmm", 2);
	ck_assert_int_eq(symlink("zzzz", link), 0);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	all = joblist_read(state, run, "", NULL);
	ck_assert_uint_eq(json_array_size(all), 3);
	ck_assert_str_eq(json_str(json_array_get(all, 0), "id", ""), "zzzz");
	ck_assert_str_eq(json_str(json_array_get(all, 1), "id", ""), "mmmm");
	ck_assert_str_eq(json_str(json_array_get(all, 2), "id", ""), "aaaa");
	none = joblist_read(state, run, "aaa", NULL);
	ck_assert_uint_eq(json_array_size(none), 0);
	ck_assert_ptr_null(joblist_read("/nonexistent/state", run, "", &e));
	ck_assert_int_eq(e.code, -ENOENT);
}
END_TEST

/* Sessions are kept elsewhere, and shown with the others. */
START_TEST(test_sessions)
{
	struct jobstore *passing = jobstore_open_passing(run, IID, NULL), *kept = store;
	autojson json_t *all = NULL;

	begin("command", 1);
	store = passing;
	begin("a-session", 2);
	all = joblist_read(state, run, "", NULL);
	ck_assert_uint_eq(json_array_size(all), 2);
	ck_assert_str_eq(json_str(json_array_get(all, 0), "id", ""), "command");
	ck_assert_str_eq(json_str(json_array_get(all, 1), "id", ""), "a-session");
	ck_assert_str_eq(json_str(json_array_get(all, 1), "instance_id", ""), IID);
	journal = journal_close(journal);
	jobstore_close(passing);
	store = kept;
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("joblist");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_life);
	tcase_add_test(t, test_sessions);
	tcase_add_test(t, test_lost);
	tcase_add_test(t, test_restart);
	tcase_add_test(t, test_damage);
	tcase_add_test(t, test_order_and_strangers);
	suite_add_tcase(s, t);
	return run_suite(s);
}
