/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/reboot.c. The machine is a file that a command appends to. */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/agent/reboot.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/conf/conf.h"
#include "tests/unit/suite.h"

static struct event_base *base;
static struct conf *conf;
static struct reboot *reboot;
static char *root, *why;

static void
no_line(void *arg, enum log_level level, const char *component, const char *line)
{
	(void)arg;
	(void)level;
	(void)component;
	(void)line;
}

static void
on_gave_up(void *arg, const char *text)
{
	(void)arg;
	ck_assert_ptr_null(why);
	why = xstrdup(text);
}

static void
open_reboot(const char *command, const char *grace)
{
	autofree char *c = xasprintf("Agent.RebootCommand=%s", command ? command : "");
	autofree char *g = xasprintf("Agent.RebootGrace=%s", grace);
	char *over[] = { g, command ? c : NULL, NULL };
	const struct conf_spec spec = { .root = root, .overrides = over };
	struct reboot_options o = {
		.base = base, .pause_ms = 20, .retry_ms = 50, .gave_up = on_gave_up
	};
	struct err e = { 0, "" };

	conf = conf_load(&spec, NULL, NULL, &e);
	ck_assert_msg(conf != NULL, "%s", err_text(&e));
	o.conf = conf;
	reboot = reboot_new(&o);
}

static void
setup(void)
{
	char name[] = "/tmp/t_reboot.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(name));
	root = xstrdup(name);
	base = event_base_new();
	log_set_sink(no_line, NULL);
}

static void
teardown(void)
{
	reboot_free(reboot);
	conf_free(conf);
	event_base_free(base);
	(void)fs_remove_tree(AT_FDCWD, root, NULL);
	free(root);
	free(why);
}

/* A script with STATUS that leaves a line per call. Caller frees its name. */
static char *
script(int status)
{
	autofree char *text =
		xasprintf("#!/bin/sh\necho x >>%s/done\nexit %d\n", root, status);
	char *path = xasprintf("%s/restart", root);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

	ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
	ck_assert_int_eq(fchmod(fd, 0700), 0);
	close(fd);
	return path;
}

static long
done(void)
{
	autofree char *path = xasprintf("%s/done", root);
	struct stat st;

	return stat(path, &st) < 0 ? 0 : (long)st.st_size / 2;
}

static void
spin(int64_t ms, long wanted, bool until_gave_up)
{
	int64_t end = clock_mono_ms() + ms;
	const struct timeval tick = { 0, 10000 };

	while (clock_mono_ms() < end && !(wanted > 0 && done() >= wanted) &&
	       !(until_gave_up && why)) {
		event_base_loopexit(base, &tick);
		event_base_dispatch(base);
	}
}

START_TEST(test_waits)
{
	autofree char *path = script(0);

	open_reboot(path, "1h");
	ck_assert(!reboot_due(reboot));
	reboot_running(reboot, 0); /* nobody asked */
	reboot_request(reboot);
	ck_assert(reboot_due(reboot));
	reboot_running(reboot, 1);
	spin(300, 1, false);
	ck_assert_int_eq(done(), 0);
	reboot_running(reboot, 0);
	spin(20000, 1, false);
	ck_assert_int_ge(done(), 1); /* it asks again while the machine stays up */
	ck_assert(reboot_due(reboot));
}
END_TEST

/* What does not end is not waited for any longer than that. */
START_TEST(test_grace)
{
	autofree char *path = script(0);

	open_reboot(path, "100ms");
	reboot_request(reboot);
	reboot_running(reboot, 1);
	spin(20000, 1, false);
	ck_assert_int_ge(done(), 1);
}
END_TEST

/* Failed, or without effect: three times, then whoever waits hears why. */
START_TEST(test_gives_up)
{
	autofree char *path = script(_i);

	open_reboot(path, "1h");
	reboot_request(reboot);
	reboot_running(reboot, 0);
	spin(20000, 0, true);
	ck_assert_ptr_nonnull(why);
	ck_assert_int_ge(done(), 1);
	ck_assert_int_le(done(), 3);
	ck_assert_ptr_nonnull(strstr(why, _i ? "exit status 1" : "still up"));
	ck_assert(!reboot_due(reboot));
}
END_TEST

static const struct {
	const char *command, *why;
} impossible[] = {
	{ NULL, "this is a trial run" },
	{ "/nonexistent/restart now", "/nonexistent/restart" },
};

START_TEST(test_impossible)
{
	open_reboot(impossible[_i].command, "1h");
	reboot_request(reboot);
	reboot_running(reboot, 0);
	spin(20000, 0, true);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, impossible[_i].why) != NULL, "%s", why);
	ck_assert(!reboot_due(reboot));
	ck_assert_int_eq(done(), 0);
}
END_TEST

START_TEST(test_withdrawn)
{
	autofree char *path = script(0);

	open_reboot(path, "1h");
	reboot_request(reboot);
	reboot_running(reboot, 0);
	reboot_withdraw(reboot);
	spin(300, 1, false);
	ck_assert_int_eq(done(), 0);
	ck_assert(!reboot_due(reboot));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("reboot");
	TCase *t = tcase_create("reboot");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_waits);
	tcase_add_test(t, test_grace);
	tcase_add_loop_test(t, test_gives_up, 0, 2);
	tcase_add_loop_test(t, test_impossible, 0, (int)NELEMS(impossible));
	tcase_add_test(t, test_withdrawn);
	suite_add_tcase(s, t);
	return run_suite(s);
}
