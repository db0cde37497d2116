/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/sessionManager/keep.c, logfile.c and cast.c: files of sessions. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/cast.h"
#include "plugins/sessionManager/keep.h"
#include "plugins/sessionManager/logfile.h"
#include "tests/unit/suite.h"

#define ID "op@example.com-0abc=,+"
#define HOUR INT64_C(3600000)

static char dir[64], *folder;
static struct keep keep;

static void
setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/t_keep.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	folder = xasprintf("%s/a/sessions", dir);
	keep = (struct keep){ folder, ID, HOUR, 4096 };
}

static void
teardown(void)
{
	(void)fs_remove_tree(AT_FDCWD, dir, NULL);
	free(folder);
}

static char *
path_of(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? 0 : st.st_mode & 07777;
}

static void
aged(const char *name, int64_t hours)
{
	autofree char *path = path_of(name);
	struct timespec t[2] = { { .tv_sec = clock_wall_ms() / 1000 - hours * 3600 },
				 { .tv_sec = clock_wall_ms() / 1000 - hours * 3600 } };

	close(open(path, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(utimensat(AT_FDCWD, path, t, 0), 0);
}

static bool
is_there(const char *name)
{
	autofree char *path = path_of(name);

	return mode_of(path) != 0;
}

/* ------------------------------------------------------------------- folder */

START_TEST(t_modes)
{
	autofree char *path = path_of(ID KEEP_LOG);
	autoclose int at = -1, fd = keep_file(&keep, KEEP_LOG, &at, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(at, 0);
	ck_assert_uint_eq(mode_of(folder), 0700);
	ck_assert_uint_eq(mode_of(path), 0600);
	/* It is not anybody else's. */
	ck_assert_int_eq(keep_file(&keep, KEEP_LOG, &at, NULL), -EEXIST);
}
END_TEST

START_TEST(t_names)
{
	static const char *const bad[] = { "",	   ".",	   "..",  ".x",	 "a/b",
					   "../x", "a\nb", "a b", "a:b", "a*" };
	autofree char *large = xmalloc(300);
	int at;

	for (size_t i = 0; i < NELEMS(bad); i++) {
		keep.session = bad[i];
		ck_assert_int_eq(keep_file(&keep, KEEP_LOG, &at, NULL), -EINVAL);
	}
	memset(large, 'a', 299);
	large[299] = '\0';
	keep.session = large;
	ck_assert_int_eq(keep_file(&keep, KEEP_LOG, &at, NULL), -EINVAL);
}
END_TEST

/* What others have put there is not followed, and a folder of others not used. */
START_TEST(t_planted)
{
	autofree char *target = xasprintf("%s/target", dir), *path = path_of(ID KEEP_LOG);
	struct err e = { 0, "" };
	int at;

	ck_assert_int_ge(keep_file(&keep, KEEP_CAST, &at, NULL), 0);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_lt(keep_file(&keep, KEEP_LOG, &at, &e), 0);
	ck_assert_uint_eq(mode_of(target), 0);
	ck_assert_int_eq(chmod(folder, 0777), 0);
	keep.session = "other";
	ck_assert_int_lt(keep_file(&keep, KEEP_LOG, &at, &e), 0);
}
END_TEST

START_TEST(t_tidy)
{
	int at;

	ck_assert_int_eq(fs_make_dirs(folder, 0700, NULL) >= 0, 1);
	aged("old.log", 2);
	aged("old.cast", 2);
	aged("new.cast", 0);
	aged("old.other", 2);
	ck_assert_int_ge(keep_file(&keep, KEEP_LOG, &at, NULL), 0);
	ck_assert(!is_there("old.log") && !is_there("old.cast"));
	ck_assert(is_there("new.cast") && is_there("old.other"));
}
END_TEST

/* --------------------------------------------------------------------- logs */

START_TEST(t_log)
{
	autosbuf struct sbuf all = SBUF_INIT(100);
	autoclose int fd = -1;
	struct logfile f;
	char text[16] = "";

	ck_assert_int_eq(logfile_open(&f, &keep, NULL), 0);
	ck_assert_int_eq(logfile_add(&f, "hello ", 6), 0);
	ck_assert_int_eq(logfile_add(&f, "world", 5), 0);
	ck_assert_int_eq(logfile_read(&f, 4, 4, &all), 4);
	ck_assert_str_eq(all.p, "o wo");
	ck_assert_int_eq(logfile_read(&f, 11, 4, &all), 0);
	fd = logfile_reader(&f);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 11);
	ck_assert_str_eq(text, "hello world");
	logfile_remove(&f);
	ck_assert(!is_there(ID KEEP_LOG));
	logfile_close(&f);
	ck_assert_int_eq(logfile_add(&f, "x", 1), -EBADF);
	logfile_close(&f);
}
END_TEST

START_TEST(t_log_full)
{
	autosbuf struct sbuf all = SBUF_INIT(400);
	struct logfile f;

	keep.max_bytes = 10;
	ck_assert_int_eq(logfile_open(&f, &keep, NULL), 0);
	ck_assert_int_eq(logfile_add(&f, "01234567", 8), 0);
	ck_assert_int_eq(logfile_add(&f, "89ab", 4), -EFBIG);
	ck_assert_int_eq(logfile_add(&f, "c", 1), -EFBIG);
	ck_assert_int_gt(logfile_read(&f, 0, 400, &all), 10);
	ck_assert_str_eq(all.p,
			 "0123456789\r\n--- the log ends here: it has 10 bytes, which is all "
			 "that it may have ---\r\n");
	logfile_close(&f);
}
END_TEST

/* A disk that takes no more: files of more than a page do not go. */
START_TEST(t_log_no_room)
{
	const struct rlimit limit = { 4096, 4096 };
	autofree char *block = xcalloc(1, 5000);
	struct logfile f;

	signal(SIGXFSZ, SIG_IGN);
	keep.max_bytes = 1 << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(logfile_open(&f, &keep, NULL), 0);
	ck_assert_int_eq(logfile_add(&f, block, 5000), -EFBIG);
	ck_assert_int_eq(f.error, -EFBIG);
	ck_assert_int_eq(logfile_add(&f, "x", 1), -EFBIG);
	logfile_close(&f);
}
END_TEST

/* -------------------------------------------------------------- transcripts */

static int64_t mono;

static int64_t
fake_mono(void)
{
	return mono;
}

static int64_t
fake_wall(void)
{
	return INT64_C(1700000000123);
}

static json_t *
lines_of(void)
{
	autofree char *path = path_of(ID KEEP_CAST), *text = NULL;
	json_t *all = json_array();
	size_t len;

	ck_assert_int_eq(fs_read(AT_FDCWD, path, 1 << 20, &text, &len, NULL), 0);
	for (const char *p = text; *p; p = strchr(p, '\n') + 1) {
		json_t *v = json_parse(p, strcspn(p, "\n"), "line", NULL);

		ck_assert_ptr_nonnull(v);
		json_array_append_new(all, v);
	}
	return all;
}

static void
event_is(const json_t *all, size_t i, double at, const char *kind, const char *text)
{
	const json_t *e = json_array_get(all, i);

	ck_assert_double_eq_tol(json_number_value(json_array_get(e, 0)), at, 1e-9);
	ck_assert_str_eq(json_string_value(json_array_get(e, 1)), kind);
	ck_assert_str_eq(json_string_value(json_array_get(e, 2)), text);
}

START_TEST(t_cast)
{
	static const struct clock_ops ops = { fake_mono, fake_wall };
	autojson json_t *all = NULL;
	struct cast *c;

	keep.keep_ms = INT64_MAX;
	clock_replace(&ops);
	mono = 1000;
	c = cast_new(&keep, 80, 24, NULL);
	ck_assert_ptr_nonnull(c);
	mono = 1250;
	ck_assert_int_eq(cast_output(c, "a\033[1m\xe2\x82", 7), 0);
	mono = 3000;
	ck_assert_int_eq(cast_output(c, "\xac", 1), 0); /* U+20AC, cut */
	ck_assert_int_eq(cast_resize(c, 101, 31), 0);
	ck_assert_int_eq(cast_output(c, "\xff\xe2\x82", 3), 0); /* and what never is whole */
	c = cast_free(c);
	clock_replace(NULL);
	all = lines_of();
	ck_assert_int_eq(json_int(json_array_get(all, 0), "version", 0), 2);
	ck_assert_int_eq(json_int(json_array_get(all, 0), "width", 0), 80);
	ck_assert_int_eq(json_int(json_array_get(all, 0), "height", 0), 24);
	ck_assert_int_eq(json_int(json_array_get(all, 0), "timestamp", 0), 1700000000);
	ck_assert_str_eq(json_str(json_array_get(all, 0), "title", ""), ID);
	event_is(all, 1, 0.25, "o", "a\033[1m");
	event_is(all, 2, 2, "o", "\xe2\x82\xac");
	event_is(all, 3, 2, "r", "101x31");
	event_is(all, 4, 2, "o", "\xef\xbf\xbd");
	event_is(all, 5, 2, "o", "\xef\xbf\xbd\xef\xbf\xbd");
	ck_assert_uint_eq(json_array_size(all), 6);
}
END_TEST

START_TEST(t_cast_full)
{
	autojson json_t *all = NULL;
	struct cast *c;

	keep.max_bytes = 300;
	c = cast_new(&keep, 80, 24, NULL);
	for (int i = 0; i < 100; i++)
		(void)cast_output(c, "0123456789", 10);
	ck_assert_int_eq(cast_output(c, "x", 1), -EFBIG);
	ck_assert_int_eq(cast_resize(c, 1, 1), -EFBIG);
	c = cast_free(c);
	all = lines_of();
	ck_assert_uint_lt(json_array_size(all), 20);
	ck_assert_str_eq(json_string_value(
				 json_array_get(json_array_get(all, json_array_size(all) - 1), 1)),
			 "m");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager keep");
	TCase *tc = tcase_create("sessionManager keep");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_modes);
	tcase_add_test(tc, t_names);
	tcase_add_test(tc, t_planted);
	tcase_add_test(tc, t_tidy);
	tcase_add_test(tc, t_log);
	tcase_add_test(tc, t_log_full);
	tcase_add_test(tc, t_log_no_room);
	tcase_add_test(tc, t_cast);
	tcase_add_test(tc, t_cast_full);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
