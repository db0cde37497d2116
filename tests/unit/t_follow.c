/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/tool/follow.c: files that grow, appear, shrink and go. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/tool/follow.h"
#include "tests/unit/suite.h"

static char *folder;
static int said[2], said_err[2]; /* what was printed comes back through these */

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");

	folder = xasprintf("%s/t_follow.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(pipe2(said, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(pipe2(said_err, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(said[1], STDOUT_FILENO), STDOUT_FILENO);
	ck_assert_int_eq(dup2(said_err[1], STDERR_FILENO), STDERR_FILENO);
}

static void
teardown(void)
{
	(void)fs_remove_tree(AT_FDCWD, folder, NULL);
	free(folder);
}

static void
add(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void
printed(const char *out, const char *err)
{
	char got[256];
	ssize_t n = read(said[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	ck_assert_str_eq(got, out);
	n = read(said_err[0], got, sizeof(got) - 1);
	got[n > 0 ? n : 0] = '\0';
	ck_assert_str_eq(got, err);
}

static bool
has_news(const struct follow *f)
{
	struct pollfd p = { .fd = follow_fd(f), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(test_growth)
{
	struct err e = { 0, "" };
	struct follow *f;

	add("02.out", "two\n");
	add("01.out", "one\n");
	add("01.err", "oops\n");
	add("100.out", "hundred\n");
	f = follow_new(folder, &e);
	ck_assert_msg(f != NULL, "%s", err_text(&e));
	ck_assert(follow_print(f));
	printed("one\ntwo\nhundred\n", "oops\n");
	ck_assert(!has_news(f));
	ck_assert(follow_print(f));
	printed("", "");
	add("02.out", "more\n");
	add("03.err", "new\n");
	ck_assert(has_news(f));
	ck_assert(follow_print(f));
	printed("more\n", "new\n");
	ck_assert(!follow_journal_changed(f));
	add("journal", "x");
	ck_assert(follow_print(f));
	ck_assert(follow_journal_changed(f));
	ck_assert(!follow_journal_changed(f));
	follow_free(f);
}
END_TEST

/* Cut when its step ended, or removed: what was shown is not shown again. */
START_TEST(test_shrinking)
{
	autofree char *path = xasprintf("%s/01.out", folder);
	struct follow *f;

	add("01.out", "0123456789");
	f = follow_new(folder, NULL);
	ck_assert(follow_print(f));
	printed("0123456789", "");
	ck_assert_int_eq(truncate(path, 4), 0);
	ck_assert(follow_print(f));
	printed("", "");
	add("01.out", "more");
	ck_assert(follow_print(f));
	printed("more", "");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(follow_print(f));
	printed("", "");
	follow_free(f);
}
END_TEST

/* Nothing but regular files of our own names. */
START_TEST(test_strangers)
{
	static const char *const names[] = { "1.out",	"01.txt",     "01out", "a1.out",
					     "-1.out",	"00.out",     ".out",  "journal",
					     "01.out.", "12345678901234.out" };
	autofree char *link = xasprintf("%s/07.out", folder);
	autofree char *fifo = xasprintf("%s/08.out", folder);
	struct err e = { 0, "" };

	for (size_t i = 0; i < NELEMS(names); i++)
		add(names[i], "secret");
	ck_assert_int_eq(symlink("journal", link), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(follow_print_once(folder, 0, &e), 0);
	printed("", "");
	ck_assert_int_eq(follow_last_number(folder), 8);
	ck_assert_ptr_null(follow_new("/nonexistent", &e));
	ck_assert_int_eq(e.code, -ENOENT);
}
END_TEST

START_TEST(test_one_number)
{
	struct err e = { 0, "" };

	ck_assert_int_eq(follow_print_once(folder, 0, &e), -ENOENT);
	add("01.out", "one");
	add("02.out", "two");
	add("02.err", "bad");
	ck_assert_int_eq(follow_print_once(folder, 2, &e), 0);
	printed("two", "bad");
	ck_assert_int_eq(follow_print_once(folder, 3, &e), -ENOENT);
	ck_assert_int_eq(follow_last_number(folder), 2);
	ck_assert_int_eq(follow_last_number("/nonexistent"), 0);
}
END_TEST

/* Standard output that takes nothing any more. */
START_TEST(test_no_reader)
{
	struct follow *f = follow_new(folder, NULL);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(dup2(full, STDOUT_FILENO), STDOUT_FILENO);
	add("01.out", "one");
	ck_assert(!follow_print(f));
	follow_free(f);
	close(full);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("follow");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_growth);
	tcase_add_test(t, test_shrinking);
	tcase_add_test(t, test_strangers);
	tcase_add_test(t, test_one_number);
	tcase_add_test(t, test_no_reader);
	suite_add_tcase(s, t);
	return run_suite(s);
}
