/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/fs.c and fs_tree.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "tests/unit/suite.h"

static char root[64];
static int top;

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");

	ck_assert_uint_lt(snprintf(root, sizeof(root), "%s/t_fs.XXXXXX", tmp ? tmp : "/tmp"),
			  sizeof(root));
	ck_assert_ptr_nonnull(mkdtemp(root));
	top = fs_open_dir(AT_FDCWD, root, NULL);
	ck_assert_int_ge(top, 0);
}

static void
teardown(void)
{
	struct err e = { 0, "" };

	close(top);
	ck_assert_msg(fs_remove_tree(AT_FDCWD, root, &e) == 0, "%s", e.text);
	ck_assert_int_eq(access(root, F_OK), -1);
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(top, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void
put(const char *name, const char *text)
{
	ck_assert_int_eq(fs_write_atomic(top, name, text, strlen(text), 0600, false, NULL), 0);
}

static void
has_text(const char *name, const char *want)
{
	autofree char *text = NULL;
	struct err e = { 0, "" };
	size_t len = 0;

	ck_assert_msg(fs_read(top, name, 1000, &text, &len, &e) == 0, "%s", e.text);
	ck_assert_str_eq(text, want);
	ck_assert_uint_eq(len, strlen(want));
}

static int
count_entries(void)
{
	DIR *d = opendir(root);
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

START_TEST(test_make_dir)
{
	struct err e = { 0, "" };
	struct stat st;
	int fd = fs_make_dir(top, "d", 0755, &e);

	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	/* One that is there keeps its mode. */
	fd = fs_make_dir(top, "d", 0700, &e);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
	close(fd);
}
END_TEST

START_TEST(test_modes_under_any_umask)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	struct err e = { 0, "" };

	for (size_t i = 0; i < NELEMS(masks); i++) {
		autofree char *d = xasprintf("d%zu", i), *f = xasprintf("f%zu", i);
		int fd;

		umask(masks[i]);
		fd = fs_make_dir(top, d, 01777, &e);
		ck_assert_msg(fd >= 0, "%s", e.text);
		close(fd);
		ck_assert_int_eq(fs_write_atomic(top, f, "x", 1, 0644, false, &e), 0);
		umask(022);
		ck_assert_uint_eq(mode_of(d), 01777);
		ck_assert_uint_eq(mode_of(f), 0644);
	}
}
END_TEST

START_TEST(test_make_dir_refuses)
{
	struct err e = { 0, "" };

	put("file", "x");
	ck_assert_int_eq(symlinkat("/tmp", top, "link"), 0);
	ck_assert_int_eq(symlinkat("nowhere", top, "dangling"), 0);
	ck_assert_int_eq(fs_make_dir(top, "file", 0700, &e), -ENOTDIR);
	ck_assert_ptr_nonnull(strstr(e.text, "'file'"));
	ck_assert_int_eq(fs_make_dir(top, "link", 0700, &e), -ELOOP);
	ck_assert_ptr_nonnull(strstr(e.text, "symbolic link"));
	ck_assert_int_eq(fs_make_dir(top, "dangling", 0700, &e), -ELOOP);
	ck_assert_int_eq(fs_make_dir(top, "none/d", 0700, &e), -ENOENT);
	ck_assert_int_eq(fs_open_dir(top, "link", &e), -ELOOP);
	ck_assert_int_eq(fs_open_dir(top, "none", &e), -ENOENT);
}
END_TEST

START_TEST(test_make_dirs)
{
	autofree char *deep = xasprintf("%s/a/b//c/", root), *linked = NULL, *bad = NULL;
	struct err e = { 0, "" };
	int fd = fs_make_dirs(deep, 0750, &e);

	ck_assert_msg(fd >= 0, "%s", e.text);
	close(fd);
	ck_assert_uint_eq(mode_of("a"), 0750);
	ck_assert_uint_eq(mode_of("a/b/c"), 0750);
	/* A link among the parents is followed, the last one is not. */
	ck_assert_int_eq(symlinkat("a/b", top, "link"), 0);
	linked = xasprintf("%s/link/x", root);
	fd = fs_make_dirs(linked, 0700, &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_uint_eq(mode_of("a/b/x"), 0700);
	bad = xasprintf("%s/link", root);
	ck_assert_int_eq(fs_make_dirs(bad, 0700, &e), -ELOOP);
	ck_assert_ptr_nonnull(strstr(e.text, bad));
	ck_assert_int_eq(fs_make_dirs("", 0700, &e), -ENOENT);
	fd = fs_make_dirs("/", 0700, &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(fchdir(top), 0);
	fd = fs_make_dirs("rel/ative", 0700, &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_uint_eq(mode_of("rel/ative"), 0700);
}
END_TEST

START_TEST(test_read)
{
	struct err e = { 0, "" };
	autofree char *text = NULL, *none = NULL;
	size_t len = 0;

	ck_assert_int_eq(fs_write_atomic(top, "f", "a\0b", 3, 0600, false, NULL), 0);
	ck_assert_int_eq(fs_read(top, "f", 3, &text, &len, &e), 0);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(text, "a\0b", 4);
	ck_assert_int_eq(fs_read(top, "f", 2, &none, &len, &e), -EFBIG);
	ck_assert_ptr_nonnull(strstr(e.text, "2 bytes"));
	ck_assert_int_eq(fs_read(top, "none", 2, &none, &len, &e), -ENOENT);
	ck_assert_int_eq(symlinkat("f", top, "link"), 0);
	ck_assert_int_eq(fs_read(top, "link", 9, &none, &len, &e), -ELOOP);
	ck_assert_int_eq(fs_read(top, ".", 9, &none, &len, &e), -EINVAL);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(test_read_empty_and_big)
{
	autofree char *empty = NULL, *back = NULL, *big = xcalloc(1, 3000001);
	size_t len = 9;

	put("empty", "");
	ck_assert_int_eq(fs_read(top, "empty", 0, &empty, &len, NULL), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_str_eq(empty, "");
	memset(big, 'x', 3000000);
	put("big", big);
	ck_assert_int_eq(fs_read(top, "big", 3000000, &back, &len, NULL), 0);
	ck_assert_uint_eq(len, 3000000);
	ck_assert_mem_eq(back, big, len + 1);
}
END_TEST

/* Files of /proc tell the size 0: they are read until they end, and the limit holds as well. */
START_TEST(test_read_proc)
{
	autofree char *text = NULL, *none = NULL;
	size_t len = 0;

	ck_assert_int_eq(fs_read(AT_FDCWD, "/proc/self/status", 65536, &text, &len, NULL), 0);
	ck_assert_uint_gt(len, 100);
	len /= 2;
	ck_assert_int_eq(fs_read(AT_FDCWD, "/proc/self/status", len, &none, NULL, NULL), -EFBIG);
	/* More than the first block. */
	ck_assert_int_eq(fs_read(AT_FDCWD, "/proc/kallsyms", 1u << 26, &none, &len, NULL), 0);
	ck_assert_uint_gt(len, 4096);
	ck_assert_uint_eq(strlen(none), len);
}
END_TEST

/* Must not wait for a writer. */
START_TEST(test_read_fifo)
{
	struct err e = { 0, "" };
	char *none = NULL;

	ck_assert_int_eq(mkfifoat(top, "fifo", 0600), 0);
	ck_assert_int_eq(fs_read(top, "fifo", 9, &none, NULL, &e), -EINVAL);
	ck_assert_str_eq(e.text, "cannot read 'fifo': it is not a regular file");
}
END_TEST

START_TEST(test_write_atomic)
{
	struct err e = { 0, "" };
	autofree char *path = xasprintf("%s/abs", root);

	ck_assert_msg(fs_write_atomic(top, "f", "one", 3, 0640, true, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(mode_of("f"), 0640);
	ck_assert_int_eq(fs_write_atomic(top, "f", "two!", 4, 0600, true, &e), 0);
	has_text("f", "two!");
	ck_assert_uint_eq(mode_of("f"), 0600);
	ck_assert_int_eq(fs_write_atomic(AT_FDCWD, path, "x", 1, 0600, false, &e), 0);
	has_text("abs", "x");
	ck_assert_int_eq(mkdirat(top, "sub", 0700), 0);
	ck_assert_int_eq(fs_write_atomic(top, "sub/f", "y", 1, 0600, false, &e), 0);
	has_text("sub/f", "y");
	ck_assert_int_eq(count_entries(), 3);
}
END_TEST

/* A link is replaced, what it points to stays. */
START_TEST(test_write_over_link)
{
	struct stat st;

	put("target", "old");
	ck_assert_int_eq(symlinkat("target", top, "link"), 0);
	put("link", "new");
	ck_assert_int_eq(fstatat(top, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISREG(st.st_mode));
	has_text("target", "old");
	has_text("link", "new");
}
END_TEST

START_TEST(test_write_failures_leave_nothing)
{
	struct err e = { 0, "" };
	struct rlimit before, small;

	ck_assert_int_eq(mkdirat(top, "dir", 0700), 0);
	put("f", "old");
	ck_assert_int_eq(fs_write_atomic(top, "dir", "x", 1, 0600, true, &e), -EISDIR);
	ck_assert_ptr_nonnull(strstr(e.text, "'dir'"));
	ck_assert_int_eq(fs_write_atomic(top, "none/f", "x", 1, 0600, true, &e), -ENOENT);
	/* A full disk, as far as the process can tell. */
	ck_assert_ptr_ne(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 4;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(fs_write_atomic(top, "f", "too long", 8, 0600, true, &e), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(count_entries(), 2);
	has_text("f", "old");
}
END_TEST

START_TEST(test_write_all)
{
	int fd = openat(top, "w", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, "hello", 5), 0);
	ck_assert_int_eq(fs_pwrite_all(fd, "LL", 2, 2), 0);
	ck_assert_int_eq(fs_write_all(fd, "", 0), 0);
	close(fd);
	has_text("w", "heLLo");
	ck_assert_int_eq(fs_write_all(-1, "x", 1), -EBADF);
	ck_assert_int_eq(fs_pwrite_all(-1, "x", 1, 0), -EBADF);
}
END_TEST

START_TEST(test_flags)
{
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(fs_set_cloexec(p[0], true), 0);
	ck_assert_int_eq(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fs_set_cloexec(p[0], false), 0);
	ck_assert_int_eq(fcntl(p[0], F_GETFD), 0);
	ck_assert_int_eq(fs_set_nonblock(p[0], true), 0);
	ck_assert(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	ck_assert_int_eq(fs_set_nonblock(p[0], false), 0);
	ck_assert(!(fcntl(p[0], F_GETFL) & O_NONBLOCK));
	ck_assert_int_eq(fs_set_nonblock(-1, true), -EBADF);
	ck_assert_int_eq(fs_set_cloexec(-1, true), -EBADF);
	close(p[0]);
	close(p[1]);
}
END_TEST

static int
trust(const char *name, bool dir, struct err *e)
{
	autoclose int fd = openat(top, name, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fs_check_trusted(fd, name, dir, e);
}

START_TEST(test_trusted)
{
	struct err e = { 0, "" };

	put("f", "x");
	ck_assert_int_eq(trust("f", false, &e), 0);
	ck_assert_int_eq(trust("f", true, &e), -EPERM);
	ck_assert_ptr_nonnull(strstr(e.text, "'f' is not trusted: it is not a folder"));
	ck_assert_int_eq(trust(".", true, &e), 0);
	ck_assert_int_eq(trust(".", false, &e), -EPERM);
	ck_assert_int_eq(fchmodat(top, "f", 0620, 0), 0);
	ck_assert_int_eq(trust("f", false, &e), -EPERM);
	ck_assert_ptr_nonnull(strstr(e.text, "0620"));
	ck_assert_int_eq(fchmodat(top, "f", 0602, 0), 0);
	ck_assert_int_eq(trust("f", false, &e), -EPERM);
	ck_assert_int_eq(fs_check_trusted(-1, "x", false, &e), -EBADF);
}
END_TEST

START_TEST(test_plain_names)
{
	char longest[257];

	memset(longest, 'a', 256);
	longest[256] = '\0';
	ck_assert(!fs_is_plain_name(longest));
	longest[255] = '\0';
	ck_assert(fs_is_plain_name(longest));
	ck_assert(fs_is_plain_name("a") && fs_is_plain_name("A-b_c.9") && fs_is_plain_name("-"));
	ck_assert(!fs_is_plain_name("") && !fs_is_plain_name(".") && !fs_is_plain_name(".."));
	ck_assert(!fs_is_plain_name(".a") && !fs_is_plain_name("a/b") && !fs_is_plain_name("a b"));
	ck_assert(!fs_is_plain_name("\xC3\xA4") && !fs_is_plain_name("a\n"));
}
END_TEST

START_TEST(test_remove_simple)
{
	struct err e = { 0, "" };

	put("f", "x");
	ck_assert_int_eq(fs_remove_tree(top, "f", &e), 0);
	ck_assert_int_eq(fs_remove_tree(top, "f", &e), 0);
	ck_assert_int_eq(mkdirat(top, "kept", 0700), 0);
	put("kept/f", "x");
	ck_assert_int_eq(symlinkat("kept", top, "link"), 0);
	ck_assert_int_eq(fs_remove_tree(top, "link", &e), 0);
	has_text("kept/f", "x");
	ck_assert_int_eq(fs_remove_tree(top, "f/x", &e), 0);
	ck_assert_int_eq(fs_remove_tree(top, "kept/f/x", &e), -ENOTDIR);
}
END_TEST

START_TEST(test_remove_tree)
{
	struct err e = { 0, "" };
	autofree char *outside = xasprintf("%s/kept", root);

	ck_assert_int_eq(mkdirat(top, "kept", 0700), 0);
	put("kept/f", "x");
	ck_assert_int_eq(mkdirat(top, "t", 0700), 0);
	for (int i = 0; i < 200; i++) {
		autofree char *d = xasprintf("t/d%d", i), *f = xasprintf("t/d%d/f", i);
		autofree char *dd = xasprintf("t/d%d/d", i), *l = xasprintf("t/d%d/d/l", i);

		ck_assert_int_eq(mkdirat(top, d, 0700), 0);
		put(f, "x");
		ck_assert_int_eq(mkdirat(top, dd, 0700), 0);
		ck_assert_int_eq(symlinkat(outside, top, l), 0);
	}
	/* Names like those the removal uses. */
	ck_assert_int_eq(mkdirat(top, "t/.removing-0", 0700), 0);
	put("t/.removing-0/f", "x");
	put("t/.removing-1", "x");
	ck_assert_msg(fs_remove_tree(top, "t", &e) == 0, "%s", e.text);
	has_text("kept/f", "x");
	ck_assert_int_eq(count_entries(), 1);
}
END_TEST

/* Deeper than descriptors and paths reach. */
START_TEST(test_remove_deep)
{
	struct err e = { 0, "" };
	struct rlimit before, few;
	int at = fs_make_dir(top, "deep", 0700, &e);

	for (int i = 0; i < 3000; i++) {
		int next = fs_make_dir(at, "a-rather-long-name-of-a-folder", 0700, &e);

		ck_assert_msg(next >= 0, "%s", e.text);
		close(at);
		at = next;
	}
	close(at);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 32;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_msg(fs_remove_tree(top, "deep", &e) == 0, "%s", e.text);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(count_entries(), 0);
}
END_TEST

/* Folders without a right for their owner, as some caches make them. */
START_TEST(test_remove_readonly)
{
	struct err e = { 0, "" };

	for (int i = 0; i < 2; i++) {
		mode_t mode = i ? 0 : 0555;

		ck_assert_int_eq(mkdirat(top, "r", 0700), 0);
		ck_assert_int_eq(mkdirat(top, "r/s", 0700), 0);
		ck_assert_int_eq(mkdirat(top, "r/s/t", 0700), 0);
		put("r/s/t/f", "x");
		put("r/s/f", "x");
		ck_assert_int_eq(fchmodat(top, "r/s/t", mode, 0), 0);
		ck_assert_int_eq(fchmodat(top, "r/s", mode, 0), 0);
		ck_assert_int_eq(fchmodat(top, "r", mode, 0), 0);
		ck_assert_msg(fs_remove_tree(top, "r", &e) == 0, "%s", e.text);
		ck_assert_int_eq(count_entries(), 0);
	}
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, test_make_dir);
	tcase_add_test(t, test_modes_under_any_umask);
	tcase_add_test(t, test_make_dir_refuses);
	tcase_add_test(t, test_make_dirs);
	tcase_add_test(t, test_read);
	tcase_add_test(t, test_read_empty_and_big);
	tcase_add_test(t, test_read_proc);
	tcase_add_test(t, test_read_fifo);
	tcase_add_test(t, test_write_atomic);
	tcase_add_test(t, test_write_over_link);
	tcase_add_test(t, test_write_failures_leave_nothing);
	tcase_add_test(t, test_write_all);
	tcase_add_test(t, test_flags);
	tcase_add_test(t, test_trusted);
	tcase_add_test(t, test_plain_names);
	tcase_add_test(t, test_remove_simple);
	tcase_add_test(t, test_remove_tree);
	tcase_add_test(t, test_remove_deep);
	tcase_add_test(t, test_remove_readonly);
}

int
main(void)
{
	Suite *s = suite_create("fs");
	TCase *t = tcase_create("fs");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
