/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/inbox.c: the folders, what is taken from them, what comes back. The rest
 * is tests/e2e/offline.test. spec/03 section 7.1. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/inbox.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "tests/unit/hostpeer.h"
#include "tests/unit/joblab.h"
#include "tests/unit/suite.h"

#define LOST "01234567-89ab-cdef-0123-456789abcdef"

static struct inbox *inbox;
static char *state, *folder;

static struct inbox *
make(int64_t max_age_ms, struct err *e)
{
	const struct inbox_options o = { .base = base,
					 .state_path = state,
					 .instance_id = IID,
					 .topic = SEND,
					 .max_age_ms = max_age_ms };

	return inbox_new(&o, e);
}

static void
setup_inbox(void)
{
	struct err e = { 0, "" };

	setup();
	dispatch_free(dispatch);
	state = xasprintf("%s/inbox", root);
	folder = xasprintf("%s/" INBOX_FOLDER, state);
	inbox = make(3600000, &e);
	ck_assert_msg(inbox != NULL, "%s", err_text(&e));
	local = inbox_local(inbox);
	open_dispatch();
}

static void
teardown_inbox(void)
{
	inbox_free(inbox);
	free(state);
	free(folder);
	teardown();
}

static void
put(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static size_t
files_in(const char *name, char *ret_first, size_t size)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	DIR *d = opendir(path);
	struct dirent *entry;
	size_t n = 0;

	while (d && (entry = readdir(d))) {
		if (entry->d_type == DT_DIR)
			continue;
		if (n++ == 0 && ret_first)
			(void)snprintf(ret_first, size, "%s", entry->d_name);
	}
	if (d)
		closedir(d);
	return n;
}

static bool
has_file(const void *arg)
{
	return files_in(arg, NULL, 0) > 0;
}

static json_t *
completed(const char *id)
{
	autofree char *path = xasprintf("%s/completed/%s", folder, id);

	return json_parse_file(path, 1 << 20, NULL);
}

/* The peer of the laboratory ends without a result, which is an answer, too. */
static bool
has_failed(const void *arg)
{
	autojson json_t *reply = completed(arg);

	return strcmp(json_str(reply, "notice", ""), "Failed") == 0;
}

START_TEST(test_folders)
{
	static const char *const all[] = { "", "submitted", "invalid", "completed" };
	struct err e = { 0, "" };

	for (size_t i = 0; i < NELEMS(all); i++) {
		autofree char *path = xasprintf("%s/%s", folder, all[i]);
		struct stat st;

		ck_assert_int_eq(lstat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode, S_IFDIR | 0700);
	}
	ck_assert_int_eq(chmod(folder, 0777), 0);
	ck_assert_ptr_null(make(1, &e));
	ck_assert_int_eq(e.code, -EPERM);
	ck_assert_ptr_null(inbox_free(NULL));
	inbox_look(NULL);
}
END_TEST

START_TEST(test_document)
{
	char name[256];
	const char *id;
	struct stat st;
	autofree char *path = NULL;

	put("before", "{\"n\":1}");
	inbox_begin(inbox, dispatch, NULL);
	until(has_file, "submitted");
	ck_assert_uint_eq(files_in("", NULL, 0), 0);
	ck_assert_uint_eq(files_in("submitted", name, sizeof(name)), 1);
	ck_assert_int_eq(strncmp(name, "before.", 7), 0);
	id = name + 7;
	ck_assert_uint_eq(strlen(id), 36);
	until(has_failed, id);
	path = xasprintf("%s/completed/%s", folder, id);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq(sent_count, 0);
	put("later", "nonsense");
	until(has_file, "invalid");
	ck_assert_uint_eq(files_in("completed", NULL, 0), 1);
}
END_TEST

/* Moved by an agent that came no further: taken once more, but not when it was answered, and not
 * what has no id. */
START_TEST(test_left_over)
{
	put("submitted/a.b." LOST, "{}");
	put("submitted/x.11111111-2222-4333-8444-555555555555", "{}");
	put("submitted/short", "{}");
	put("completed/11111111-2222-4333-8444-555555555555", "{\"notice\":\"mine\"}");
	inbox_begin(inbox, dispatch, NULL);
	until(has_failed, LOST);
	let_pass(100);
	ck_assert_uint_eq(files_in("completed", NULL, 0), 2);
	ck_assert_uint_eq(files_in("submitted", NULL, 0), 3);
	ck_assert(!has_failed("11111111-2222-4333-8444-555555555555"));
}
END_TEST

START_TEST(test_no_plugin)
{
	char name[256];
	autojson json_t *reply = NULL;

	no_features = true;
	put("x", "{}");
	inbox_begin(inbox, dispatch, NULL);
	until(has_file, "completed");
	(void)files_in("completed", name, sizeof(name));
	reply = completed(name);
	ck_assert_str_eq(json_str(reply, "documentStatus", ""), "Failed");
	ck_assert(says(json_str(reply, "documentTraceOutput", ""), "no plugin handles the topic"));
}
END_TEST

/* A name of 255 bytes has no room for an id. */
START_TEST(test_long_name)
{
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	put(name, "{}");
	inbox_begin(inbox, dispatch, NULL);
	until(has_file, "submitted");
	ck_assert_uint_eq(files_in("submitted", name, sizeof(name)), 1);
	ck_assert_uint_eq(strlen(name), 200 + 37);
}
END_TEST

START_TEST(test_old_files)
{
	struct err e = { 0, "" };

	inbox_free(inbox);
	inbox = make(-1000, &e); /* anything is too old */
	put("completed/x", "{}");
	put("invalid/x", "{}");
	put("x", "nonsense");
	inbox_begin(inbox, dispatch, NULL);
	let_pass(100);
	ck_assert_uint_eq(files_in("completed", NULL, 0), 0);
	ck_assert_uint_eq(files_in("invalid", NULL, 0), 0);
}
END_TEST

/* Only for replies of commands that can have come from here. */
START_TEST(test_strange_ids)
{
	const struct dispatch_local l = inbox_local(inbox);

	ck_assert_int_eq(l.reply(l.arg, "../../x", true, "{}", 2), -EINVAL);
	ck_assert_int_eq(l.reply(l.arg, "aws.ssm.short", true, "{}", 2), -EINVAL);
	ck_assert_int_eq(l.reply(l.arg, "aws.ssm." LOST "." IID, true, "{}", 2), 0);
	ck_assert_uint_eq(files_in("completed", NULL, 0), 1);
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s = suite_create("inbox");
	TCase *t = tcase_create("all");

	if (argc > 1 && strcmp(argv[1], "--job") == 0)
		return hostpeer_main();
	tcase_add_checked_fixture(t, setup_inbox, teardown_inbox);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_folders);
	tcase_add_test(t, test_document);
	tcase_add_test(t, test_left_over);
	tcase_add_test(t, test_no_plugin);
	tcase_add_test(t, test_long_name);
	tcase_add_test(t, test_old_files);
	tcase_add_test(t, test_strange_ids);
	suite_add_tcase(s, t);
	return run_suite(s);
}
