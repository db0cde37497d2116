/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/notify.c: the test is the service manager (sd_notify(3)). */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/agent/notify.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/unit/suite.h"

static struct event_base *base;
static int manager = -1;
static char folder[64];
static unsigned warnings;

static void
on_line(void *arg, enum log_level level, const char *component, const char *line)
{
	(void)arg;
	(void)component;
	(void)line;
	warnings += level == LOG_LEVEL_WARN;
}

static void
setup(void)
{
	base = event_base_new();
	snprintf(folder, sizeof(folder), "/tmp/t_notify.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	log_set_sink(on_line, NULL);
	warnings = 0;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void
teardown(void)
{
	autofree char *path = xasprintf("%s/s", folder);

	log_set_sink(NULL, NULL);
	mem_cleanup_fd(&manager);
	unlink(path);
	rmdir(folder);
	event_base_free(base);
}

/* A manager at NAME, and its address in the environment. */
static void
listen_at(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	memcpy(at.sun_path, name, len);
	if (*name == '@')
		at.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&at,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
					  (*name == '/'))),
			 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void
listen_in_folder(void)
{
	autofree char *path = xasprintf("%s/s", folder);

	listen_at(path);
}

/* The next datagram is WANTED; NULL: there is none now. */
static void
hears(const char *wanted)
{
	char text[1024] = "";
	ssize_t n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (!wanted) {
		ck_assert_msg(n < 0 && errno == EAGAIN, "heard '%s'", text);
		return;
	}
	ck_assert_msg(n >= 0, "nothing was said instead of '%s'", wanted);
	ck_assert_str_eq(text, wanted);
}

START_TEST(test_words)
{
	struct notify *n;

	listen_in_folder();
	n = notify_new(base);
	ck_assert_ptr_nonnull(n);
	hears(NULL);
	notify_ready(n);
	hears("READY=1");
	hears(NULL);
	notify_status(n, "waits for %d\ncommands", 3);
	hears("STATUS=waits for 3 commands");
	notify_status(n, "waits for %d\ncommands", 3);
	hears(NULL);
	notify_status(n, "other");
	hears("STATUS=other");
	notify_stopping(n);
	hears("STOPPING=1");
	/* Without a watchdog nothing ever wakes the loop. */
	ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	ck_assert_ptr_null(notify_free(n));
	ck_assert_uint_eq(warnings, 0);
}
END_TEST

START_TEST(test_long_status)
{
	struct notify *n;
	char text[1024] = "", got[1024] = "";

	listen_in_folder();
	n = notify_new(base);
	memset(text, 'x', sizeof(text) - 1);
	notify_status(n, "%s", text);
	ck_assert_int_eq(recv(manager, got, sizeof(got), MSG_DONTWAIT), 255);
	ck_assert_int_eq(strncmp(got, "STATUS=xxx", 10), 0);
	notify_free(n);
}
END_TEST

START_TEST(test_abstract)
{
	autofree char *name = xasprintf("@t_notify/%ld", (long)getpid());
	struct notify *n;

	listen_at(name);
	n = notify_new(base);
	notify_ready(n);
	hears("READY=1");
	notify_free(n);
}
END_TEST

START_TEST(test_environment)
{
	listen_in_folder();
	setenv("WATCHDOG_USEC", "1000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_free(notify_new(base));
	ck_assert_ptr_null(secure_getenv("NOTIFY_SOCKET"));
	ck_assert_ptr_null(secure_getenv("WATCHDOG_USEC"));
	ck_assert_ptr_null(secure_getenv("WATCHDOG_PID"));
}
END_TEST

START_TEST(test_nobody)
{
	ck_assert_ptr_null(notify_new(base));
	setenv("NOTIFY_SOCKET", "", 1);
	ck_assert_ptr_null(notify_new(base));
	notify_ready(NULL);
	notify_status(NULL, "x");
	notify_stopping(NULL);
	ck_assert_uint_eq(warnings, 0);
}
END_TEST

START_TEST(test_bad_names)
{
	char name[200];

	memset(name, 'a', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_ptr_null(notify_new(base));
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_ptr_null(notify_new(base));
	setenv("NOTIFY_SOCKET", "@", 1);
	ck_assert_ptr_null(notify_new(base));
	ck_assert_uint_eq(warnings, 3);
}
END_TEST

/* A manager that went away costs a line, not the agent. */
START_TEST(test_manager_gone)
{
	struct notify *n;

	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	n = notify_new(base);
	notify_ready(n);
	ck_assert_uint_eq(warnings, 1);
	notify_free(n);
}
END_TEST

START_TEST(test_watchdog)
{
	autofree char *pid = xasprintf("%ld", (long)getpid());
	struct notify *n;

	listen_in_folder();
	setenv("WATCHDOG_USEC", "100000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	n = notify_new(base);
	/* Nothing feeds it but the loop. */
	poll(NULL, 0, 200);
	hears(NULL);
	for (int i = 0; i < 3; i++) {
		event_base_loop(base, EVLOOP_ONCE);
		hears("WATCHDOG=1");
	}
	notify_free(n);
	ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
}
END_TEST

/* The interval the manager gives is halved: it is fed in time, and not much more often. */
START_TEST(test_watchdog_interval)
{
	struct notify *n;
	struct timeval start, now;
	long ms;

	listen_in_folder();
	setenv("WATCHDOG_USEC", "1000000", 1);
	n = notify_new(base);
	gettimeofday(&start, NULL);
	event_base_loop(base, EVLOOP_ONCE);
	gettimeofday(&now, NULL);
	ms = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_usec - start.tv_usec) / 1000;
	ck_assert_int_ge(ms, 450);
	hears("WATCHDOG=1");
	notify_free(n);
}
END_TEST

static void
no_watchdog(const char *usec, const char *pid)
{
	struct notify *n;

	listen_in_folder();
	setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	n = notify_new(base);
	ck_assert_ptr_nonnull(n);
	ck_assert_int_eq(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
	notify_free(n);
}

START_TEST(test_watchdog_of_another)
{
	no_watchdog("1000000", "1");
}
END_TEST

START_TEST(test_watchdog_garbage)
{
	static const char *const usec[] = { "", "0", "-5", "ten", "99999999999999999999" };

	no_watchdog(usec[_i], NULL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("notify");
	TCase *t = tcase_create("notify");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_words);
	tcase_add_test(t, test_long_status);
	tcase_add_test(t, test_abstract);
	tcase_add_test(t, test_environment);
	tcase_add_test(t, test_nobody);
	tcase_add_test(t, test_bad_names);
	tcase_add_test(t, test_manager_gone);
	tcase_add_test(t, test_watchdog);
	tcase_add_test(t, test_watchdog_interval);
	tcase_add_test(t, test_watchdog_of_another);
	tcase_add_loop_test(t, test_watchdog_garbage, 0, 5);
	suite_add_tcase(s, t);
	return run_suite(s);
}
