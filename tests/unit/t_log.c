/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/log.c and log_mask.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "tests/unit/suite.h"

static char root[64];
static char *path;
static struct sbuf seen = SBUF_INIT(1u << 24);
static int64_t now;

static int64_t
fixed_mono(void)
{
	return now;
}

static int64_t
fixed_wall(void)
{
	return 1709622489123;
}

static void
collect(void *arg, enum log_level level, const char *component, const char *line)
{
	ck_assert_ptr_eq(arg, &seen);
	sbuf_addf(&seen, "%d %s: %s\n", (int)level, component, line);
}

static void
setup(void)
{
	static const struct clock_ops ops = { fixed_mono, fixed_wall };
	const char *tmp = secure_getenv("TMPDIR");

	(void)snprintf(root, sizeof(root), "%s/t_log.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	path = xasprintf("%s/log", root);
	now += 100000; /* call sites remember, also from one test to the next in one process */
	clock_replace(&ops);
	log_set_sink(collect, &seen);
	log_set_level(LOG_LEVEL_DEBUG);
}

static void
teardown(void)
{
	log_set_sink(NULL, NULL);
	log_set_file(NULL, 0);
	sbuf_done(&seen);
	free(path);
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, root, NULL), 0);
}

static const char *
lines(void)
{
	return sbuf_str(&seen);
}

START_TEST(test_levels)
{
	log_error("c", "e %d", 1);
	log_warn("c", "w");
	log_notice("c", "n");
	log_info("c", "i");
	log_debug("c", "d");
	log_trace("c", "t");
	ck_assert_str_eq(lines(), "3 c: e 1\n4 c: w\n5 c: n\n6 c: i\n7 c: d\n");
	log_set_level(LOG_LEVEL_WARN);
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_WARN);
	log_write(NULL, LOG_LEVEL_NOTICE, "c", "not shown");
	ck_assert_ptr_null(strstr(lines(), "not shown"));
}
END_TEST

START_TEST(test_level_names)
{
	ck_assert_int_eq(log_level_from_name("error"), LOG_LEVEL_ERROR);
	ck_assert_int_eq(log_level_from_name("warning"), LOG_LEVEL_WARN);
	ck_assert_int_eq(log_level_from_name("info"), LOG_LEVEL_INFO);
	ck_assert_int_eq(log_level_from_name("trace"), LOG_LEVEL_TRACE);
	ck_assert_int_eq(log_level_from_name("Error"), -EINVAL);
	ck_assert_int_eq(log_level_from_name(""), -EINVAL);
}
END_TEST

/* Nobody can forge a second line or steer a terminal. */
START_TEST(test_injection)
{
	log_info("c\nx", "a\nb\r\x1b[31m\t\x7f\xFF\xC2\x9B ok\xC3\xA4");
	ck_assert_str_eq(lines(),
			 "6 c\\nx: a\\nb\\r\\x1b[31m\\t\\x7f\\xff\\xc2\\x9b ok\xC3\xA4\n");
}
END_TEST

START_TEST(test_errno)
{
	errno = ENOTDIR;
	log_info("c", "%m");
	ck_assert_int_eq(errno, ENOTDIR);
	ck_assert_ptr_nonnull(strstr(lines(), strerror(ENOTDIR)));
}
END_TEST

static void
hammer(int times)
{
	for (int i = 0; i < times; i++)
		log_info("c", "line");
}

static int
count(const char *word)
{
	int n = 0;

	for (const char *at = lines(); (at = strstr(at, word)) != NULL; at++)
		n++;
	return n;
}

START_TEST(test_rate_limit)
{
	hammer(25);
	ck_assert_int_eq(count("line"), 10);
	now += 29999;
	hammer(1);
	ck_assert_int_eq(count("line"), 10);
	now += 1;
	sbuf_reset(&seen);
	hammer(1);
	ck_assert_str_eq(lines(), "6 c: 16 more messages like the next one were left out\n"
				  "6 c: line\n");
	/* Another call site has its own count. */
	sbuf_reset(&seen);
	hammer(20);
	log_info("c", "other");
	ck_assert_int_eq(count("line"), 9);
	ck_assert_int_eq(count("other"), 1);
}
END_TEST

START_TEST(test_slow_site_is_never_limited)
{
	/* Whatever a test before left to be reported. */
	hammer(1);
	sbuf_reset(&seen);
	now += 100000;
	for (int i = 0; i < 50; i++) {
		hammer(1);
		now += 5000;
	}
	ck_assert_int_eq(count("line"), 50);
	ck_assert_int_eq(count("left out"), 0);
}
END_TEST

START_TEST(test_masking)
{
	log_secret("SECRETONE");
	log_secret("short");
	log_secret(NULL);
	log_info("c", "a=SECRETONE b=SECRETONESECRETONE short");
	ck_assert_str_eq(lines(), "6 c: a=*** b=*** short\n");
	sbuf_reset(&seen);
	log_info("xSECRETONEx", "SECRETONE");
	ck_assert_str_eq(lines(), "6 x***x: ***\n");
	sbuf_reset(&seen);
	log_secret_forget("SECRETONE");
	log_info("c", "SECRETONE");
	ck_assert_str_eq(lines(), "6 c: SECRETONE\n");
	log_secret_forget("SECRETONE");
	log_secret_forget(NULL);
}
END_TEST

/* Where secrets overlap nothing of either remains. */
START_TEST(test_masking_overlap)
{
	log_secret("AAAABBBB");
	log_secret("BBBBCCCCDDDD");
	log_secret("ABABABABAB");
	log_info("c", "xAAAABBBBCCCCDDDDx yABABABABABABy");
	ck_assert_str_eq(lines(), "6 c: x***x y***y\n");
	log_secret_forget("AAAABBBB");
	log_secret_forget("BBBBCCCCDDDD");
	log_secret_forget("ABABABABAB");
}
END_TEST

/* As it looks in a URL, in quotes, and with what log lines escape. */
START_TEST(test_masking_forms)
{
	log_secret("se/cr+et==");
	log_secret("pass'w\\ord");
	log_secret("two\nlines");
	log_info("c", "[se/cr+et==] [se%%2Fcr%%2Bet%%3D%%3D] [se%%2fcr%%2bet%%3d%%3d]");
	log_info("c", "[pass'w\\ord] [pass\\'w\\\\ord] [two\nlines] [two\\nlines]");
	ck_assert_str_eq(lines(), "6 c: [***] [***] [***]\n6 c: [***] [***] [***] [***]\n");
	log_secret_forget("se/cr+et==");
	log_secret_forget("pass'w\\ord");
	log_secret_forget("two\nlines");
}
END_TEST

/* Registered by two owners: gone when both have forgotten it. */
START_TEST(test_masking_counts)
{
	log_secret("SECRETTWO");
	log_secret("SECRETTWO");
	log_secret_forget("SECRETTWO");
	log_info("c", "SECRETTWO");
	log_secret_forget("SECRETTWO");
	log_info("c", "SECRETTWO");
	ck_assert_str_eq(lines(), "6 c: ***\n6 c: SECRETTWO\n");
}
END_TEST

/* A line is cut, but not inside a secret, which half of it would no longer match. */
START_TEST(test_long_line)
{
	autofree char *text = xcalloc(1, 100001);

	memset(text, 'x', 100000);
	memcpy(text + 16380, "SECRETONE", 9);
	log_secret("SECRETONE");
	log_info("c", "%s", text);
	ck_assert_uint_lt(seen.len, 16500);
	ck_assert_ptr_null(strstr(lines(), "SEC"));
	ck_assert_ptr_nonnull(strstr(lines(), "..."));
	log_secret_forget("SECRETONE");
}
END_TEST

static char *
text_of(const char *name)
{
	char *text = NULL;

	ck_assert_int_eq(fs_read(AT_FDCWD, name, 1u << 20, &text, NULL, NULL), 0);
	return text;
}

START_TEST(test_file)
{
	autofree char *old = xasprintf("%s.1", path), *text = NULL, *old_text = NULL, *all = NULL;
	struct stat st;

	log_set_sink(NULL, NULL);
	ck_assert_int_eq(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2), 2);
	umask(0);
	ck_assert_int_eq(log_set_file(path, 100), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	log_info("agent", "first");
	text = text_of(path);
	ck_assert_str_eq(text, "2024-03-05T07:08:09.123Z INFO agent: first\n");
	log_warn("agent", "second");
	log_error("agent", "third");
	old_text = text_of(old);
	ck_assert_ptr_nonnull(strstr(old_text, "first\n"));
	ck_assert_ptr_nonnull(strstr(old_text, "WARNING agent: second\n"));
	all = text_of(path);
	ck_assert_str_eq(all, "2024-03-05T07:08:09.123Z ERROR agent: third\n");
	ck_assert_int_eq(log_set_file(NULL, 0), 0);
	log_info("agent", "nowhere");
}
END_TEST

START_TEST(test_file_refused)
{
	autofree char *link = xasprintf("%s/link", root), *fifo = xasprintf("%s/fifo", root);

	ck_assert_int_eq(symlink("target", link), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	ck_assert_int_eq(log_set_file(link, 100), -ELOOP);
	ck_assert_int_lt(log_set_file(fifo, 100), 0);
	ck_assert_int_eq(log_set_file("/nonexistent/log", 100), -ENOENT);
}
END_TEST

/* What one line looks like on the standard error output that is a file. */
static char *
on_stderr(enum log_target target, bool journal)
{
	autofree char *stream = NULL;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct stat st;

	log_set_sink(NULL, NULL);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(dup2(fd, 2), 2);
	close(fd);
	stream = xasprintf("%llu:%llu", (unsigned long long)st.st_dev,
			   (unsigned long long)st.st_ino + (journal ? 0 : 1));
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_open(target, "t_log");
	log_warn("agent", "hello");
	return text_of(path);
}

START_TEST(test_stderr)
{
	autofree char *text = on_stderr(LOG_TARGET_STDERR, true);

	ck_assert_str_eq(text, "2024-03-05T07:08:09.123Z WARNING agent: hello\n");
}
END_TEST

START_TEST(test_journal)
{
	autofree char *text = on_stderr(LOG_TARGET_AUTO, true);

	ck_assert_str_eq(text, "<4>agent: hello\n");
	log_set_level(LOG_LEVEL_TRACE);
	log_trace("agent", "fine");
	free(TAKE(text));
	text = text_of(path);
	ck_assert_str_eq(text, "<4>agent: hello\n<7>agent: fine\n");
}
END_TEST

/* A JOURNAL_STREAM that was inherited past a redirection does not name this stderr. */
START_TEST(test_not_our_journal)
{
	autofree char *text = on_stderr(LOG_TARGET_AUTO, false);

	ck_assert_ptr_null(strstr(text, "<4>"));
}
END_TEST

/* On stderr a secret may begin in the component. */
START_TEST(test_masking_across_component)
{
	autofree char *first = on_stderr(LOG_TARGET_STDERR, false), *text = NULL;

	ck_assert_ptr_null(strstr(first, "***"));
	log_secret("gent: SECRET");
	log_warn("agent", "SECRET");
	log_secret_forget("gent: SECRET");
	text = text_of(path);
	ck_assert_ptr_nonnull(strstr(text, " a***\n"));
}
END_TEST

static void
logs_itself(void *arg, enum log_level level, const char *component, const char *line)
{
	(void)level;
	(void)component;
	++*(int *)arg;
	log_info("sink", "about %s", line);
}

START_TEST(test_sink_that_logs)
{
	int calls = 0;

	ck_assert_int_eq(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2), 2);
	log_set_sink(logs_itself, &calls);
	log_info("c", "x");
	log_info("c", "y");
	ck_assert_int_eq(calls, 2);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, test_levels);
	tcase_add_test(t, test_level_names);
	tcase_add_test(t, test_injection);
	tcase_add_test(t, test_errno);
	tcase_add_test(t, test_rate_limit);
	tcase_add_test(t, test_slow_site_is_never_limited);
	tcase_add_test(t, test_masking);
	tcase_add_test(t, test_masking_overlap);
	tcase_add_test(t, test_masking_forms);
	tcase_add_test(t, test_masking_counts);
	tcase_add_test(t, test_long_line);
	tcase_add_test(t, test_file);
	tcase_add_test(t, test_file_refused);
	tcase_add_test(t, test_stderr);
	tcase_add_test(t, test_journal);
	tcase_add_test(t, test_not_our_journal);
	tcase_add_test(t, test_masking_across_component);
	tcase_add_test(t, test_sink_that_logs);
}

int
main(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");

	tcase_add_checked_fixture(t, setup, teardown);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
