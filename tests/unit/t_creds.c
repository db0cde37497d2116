/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/creds.c: the cache with sources and clocks of the test. DESIGN section 14.
 */
#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/creds.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/unit/suite.h"

#define MINUTE 60000
#define START_WALL 1700000000000

static int64_t mono_now, wall_now;

static int64_t
fake_mono(void)
{
	return mono_now;
}

static int64_t
fake_wall(void)
{
	return wall_now;
}

static const struct clock_ops fake_clock = {fake_mono, fake_wall};

static void
pass(int64_t ms)
{
	mono_now += ms;
	wall_now += ms;
}

/* A source that answers at once, or when the test says so. */
struct source {
	bool late;
	struct creds *set; /* owned; NULL: WHY */
	const char *why;
	unsigned starts, cancels, frees;
	creds_provider_done_fn *done; /* of the late answer that is due */
	void *arg;
};

static void
answer(struct source *s)
{
	creds_provider_done_fn *done = s->done;

	ck_assert_ptr_nonnull(done);
	s->done = NULL;
	done(s->arg, creds_ref(s->set), s->why);
}

static void *
source_start(void *ctx, creds_provider_done_fn *done, void *arg)
{
	struct source *s = ctx;

	s->starts++;
	s->done = done;
	s->arg = arg;
	if (s->late)
		return s;
	answer(s);
	return NULL;
}

static void
source_cancel(void *ctx, void *handle)
{
	struct source *s = ctx;

	ck_assert_ptr_eq(handle, s);
	s->cancels++;
	s->done = NULL;
}

static void
source_free(void *ctx)
{
	struct source *s = ctx;

	s->frees++;
	s->set = creds_unref(s->set);
}

static struct event_base *base;
static struct source a, b;
static struct creds_cache *cache;

static void
set_key(struct source *s, const char *key, int64_t valid_ms)
{
	creds_unref(s->set);
	s->set = creds_new(key, "secret-of-it", NULL, valid_ms ? wall_now + valid_ms : 0, "a");
	s->why = NULL;
}

static void
set_failing(struct source *s, const char *why)
{
	s->set = creds_unref(s->set);
	s->why = why;
}

static void
setup(void)
{
	struct creds_provider p[2] = {
		{"a", source_start, source_cancel, source_free, &a},
		{"b", source_start, source_cancel, source_free, &b},
	};

	mono_now = 5000000;
	wall_now = START_WALL;
	clock_replace(&fake_clock);
	base = event_base_new();
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	set_failing(&a, "not configured (test)");
	set_failing(&b, "broken");
	cache = creds_cache_new(base, p, 2);
}

static void
teardown(void)
{
	creds_cache_free(cache);
	ck_assert_uint_eq(a.frees, 1);
	ck_assert_uint_eq(b.frees, 1);
	event_base_free(base);
	clock_replace(NULL);
}

static void
run(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

struct got {
	unsigned calls;
	char key[32]; /* "" : none */
	char why[512];
};

static void
on_got(void *arg, struct creds *set, const char *why)
{
	struct got *g = arg;

	g->calls++;
	snprintf(g->key, sizeof(g->key), "%s", set ? set->access_key : "");
	snprintf(g->why, sizeof(g->why), "%s", why);
}

#define expect_key(g, want_calls, want_key)                  \
	do {                                                 \
		ck_assert_uint_eq((g)->calls, (want_calls)); \
		ck_assert_str_eq((g)->key, (want_key));      \
	} while (0)

/* Given at once, without a walk of the loop. */
static void
expect_at_once(const char *key)
{
	struct got g = {0};

	ck_assert_ptr_null(creds_get(cache, on_got, &g));
	expect_key(&g, 1, key);
}

START_TEST(test_first_wins)
{
	set_key(&a, "KEYA", 0);
	set_key(&b, "KEYB", 0);
	expect_at_once("KEYA");
	expect_at_once("KEYA");
	ck_assert_uint_eq(a.starts, 1);
	ck_assert_uint_eq(b.starts, 0);
}
END_TEST

START_TEST(test_second_after_first)
{
	autojson json_t *d = NULL;
	json_t *over;

	set_key(&b, "KEYB", 0);
	expect_at_once("KEYB");
	d = creds_describe(cache);
	over = json_object_get(d, "passed_over");
	ck_assert_uint_eq(json_array_size(over), 1);
	ck_assert_str_eq(json_str(json_array_get(over, 0), "source", ""), "a");
	ck_assert_str_eq(json_str(json_array_get(over, 0), "reason", ""), "not configured (test)");
	ck_assert_str_eq(json_str(d, "access_key", ""), "KEYB");
	ck_assert(json_is_null(json_object_get(d, "expires")));
	ck_assert(json_is_null(json_object_get(d, "last_error")));
}
END_TEST

/* Never called from within when there is nothing, even if all sources answer at once. */
START_TEST(test_none)
{
	struct got g = {0};
	autojson json_t *d = NULL;

	ck_assert_ptr_nonnull(creds_get(cache, on_got, &g));
	ck_assert_uint_eq(g.calls, 0);
	run();
	expect_key(&g, 1, "");
	ck_assert_str_eq(g.why, "a: not configured (test); b: broken");
	d = creds_describe(cache);
	ck_assert(json_is_null(json_object_get(d, "source")));
	ck_assert_str_eq(json_str(d, "last_error", ""), g.why);
	ck_assert_uint_eq(json_array_size(json_object_get(d, "passed_over")), 2);
}
END_TEST

START_TEST(test_one_in_flight)
{
	struct got g[3] = {{0}};

	a.late = true;
	for (size_t i = 0; i < NELEMS(g); i++)
		ck_assert_ptr_nonnull(creds_get(cache, on_got, &g[i]));
	ck_assert_uint_eq(a.starts, 1);
	set_key(&a, "KEYA", 0);
	answer(&a);
	run();
	for (size_t i = 0; i < NELEMS(g); i++)
		expect_key(&g[i], 1, "KEYA");
	ck_assert_uint_eq(a.starts, 1);
}
END_TEST

START_TEST(test_wait_cancel)
{
	struct got g[2] = {{0}};
	struct creds_wait *w;

	a.late = true;
	w = creds_get(cache, on_got, &g[0]);
	creds_get(cache, on_got, &g[1]);
	creds_wait_cancel(w);
	set_key(&a, "KEYA", 0);
	answer(&a);
	run();
	ck_assert_uint_eq(g[0].calls, 0);
	expect_key(&g[1], 1, "KEYA");
	creds_wait_cancel(NULL);
}
END_TEST

/* Freed while a source is asked and somebody waits: teardown and the leak checker look. */
START_TEST(test_free_while_asking)
{
	struct got g = {0};

	a.late = true;
	creds_get(cache, on_got, &g);
	cache = creds_cache_free(cache);
	ck_assert_uint_eq(a.cancels, 1);
	ck_assert_uint_eq(g.calls, 0);
}
END_TEST

/* Between 6 and 5 minutes before the end; before that not, and nobody waits for it. */
START_TEST(test_renewal)
{
	set_key(&a, "KEY1", 60 * MINUTE);
	expect_at_once("KEY1");
	pass(54 * MINUTE - 1);
	expect_at_once("KEY1");
	ck_assert_uint_eq(a.starts, 1);
	pass(MINUTE + 1);
	a.late = true;
	set_key(&a, "KEY2", 60 * MINUTE);
	expect_at_once("KEY1");
	ck_assert_uint_eq(a.starts, 2);
	expect_at_once("KEY1");
	ck_assert_uint_eq(a.starts, 2);
	answer(&a);
	expect_at_once("KEY2");
}
END_TEST

/* The jitter: of many caches not all renew at the same time. */
START_TEST(test_renewal_jitter)
{
	unsigned early = 0;

	for (int i = 0; i < 40; i++) {
		struct source s = {0};
		struct creds_provider p = {"a", source_start, source_cancel, source_free, &s};
		struct creds_cache *c = creds_cache_new(base, &p, 1);
		struct got g = {0};

		set_key(&s, "KEY", 60 * MINUTE);
		creds_get(c, on_got, &g);
		pass(54 * MINUTE + MINUTE / 2);
		creds_get(c, on_got, &g);
		early += s.starts == 2;
		creds_cache_free(c);
	}
	ck_assert_uint_gt(early, 0);
	ck_assert_uint_lt(early, 40);
}
END_TEST

/* The refresh fails: the old ones stay in use, even when they have expired. */
START_TEST(test_static_stability)
{
	struct got g = {0};
	autojson json_t *d = NULL;

	set_key(&a, "KEY1", 60 * MINUTE);
	expect_at_once("KEY1");
	set_failing(&a, "gone");
	pass(56 * MINUTE);
	expect_at_once("KEY1");
	ck_assert_uint_eq(a.starts, 2);
	expect_at_once("KEY1"); /* backing off */
	ck_assert_uint_eq(a.starts, 2);
	pass(60 * MINUTE); /* expired: those who ask wait for the refresh, then get the old ones */
	a.late = true;
	ck_assert_ptr_nonnull(creds_get(cache, on_got, &g));
	ck_assert_uint_eq(a.starts, 3);
	answer(&a);
	run();
	expect_key(&g, 1, "KEY1");
	a.late = false;
	d = creds_describe(cache);
	ck_assert(json_bool(d, "expired", false));
	ck_assert_str_eq(json_str(d, "last_error", ""), "a: gone; b: broken");
	pass(10 * 1000);
	set_key(&a, "KEY2", 60 * MINUTE);
	expect_at_once("KEY2");
}
END_TEST

/* 1 s, 2 s, 4 s ... up to 5 min, each a fifth more or less, while the old ones are good. */
START_TEST(test_backoff)
{
	int64_t want = 2000; /* the set came near its end, which counted as the first failure */

	set_key(&a, "KEY1", 4 * MINUTE);
	expect_at_once("KEY1");
	set_failing(&a, "gone");
	mono_now += 2000;
	for (int i = 0; i < 12; i++) {
		unsigned before = a.starts;

		expect_at_once("KEY1");
		ck_assert_uint_eq(a.starts, before + 1);
		mono_now += want * 8 / 10 - 1;
		expect_at_once("KEY1");
		ck_assert_uint_eq(a.starts, before + 1);
		mono_now += want * 4 / 10 + 2;
		want = want * 2 > 300000 ? 300000 : want * 2;
	}
}
END_TEST

/* Nothing at all: whoever asks meanwhile is told after the next try, at most 8 s later. */
START_TEST(test_backoff_without_any)
{
	struct got g[2] = {{0}};

	for (int i = 0; i < 10; i++) {
		creds_get(cache, on_got, &g[0]);
		run();
		ck_assert_uint_eq(g[0].calls, (unsigned)i + 1);
		ck_assert_uint_eq(a.starts, (unsigned)i + 1);
		pass(7900);
	}
	creds_get(cache, on_got, &g[0]);
	run();
	creds_get(cache, on_got, &g[1]);
	run();
	ck_assert_uint_eq(g[1].calls, 0);
	set_key(&a, "KEYA", 0);
	creds_retry_now(cache);
	run();
	expect_key(&g[1], 1, "KEYA");
}
END_TEST

/* The same by the timer alone, on the real clock. */
START_TEST(test_retry_timer)
{
	struct got g = {0};

	clock_replace(NULL);
	creds_get(cache, on_got, &g);
	run();
	expect_key(&g, 1, "");
	set_key(&b, "KEYB", 0);
	ck_assert_ptr_nonnull(creds_get(cache, on_got, &g));
	while (g.calls < 2 && event_base_loop(base, EVLOOP_ONCE) == 0)
		;
	expect_key(&g, 2, "KEYB");
}
END_TEST

/* A source that only has what is about to end is asked again soon, but not at every call. */
START_TEST(test_short_life)
{
	set_key(&a, "KEY1", 2 * MINUTE);
	expect_at_once("KEY1");
	for (int i = 0; i < 5; i++)
		expect_at_once("KEY1");
	ck_assert_uint_eq(a.starts, 1);
	pass(1300);
	set_key(&a, "KEY2", 60 * MINUTE);
	expect_at_once("KEY2");
	ck_assert_uint_eq(a.starts, 2);
}
END_TEST

static struct creds *held;

static void
on_hold(void *arg, struct creds *set, const char *why)
{
	(void)arg;
	(void)why;
	creds_unref(held);
	held = creds_ref(set);
}

/* A refusal forces one refresh; the next within a minute does not. */
START_TEST(test_refused)
{
	struct got g = {0};
	autojson json_t *d = NULL;

	set_key(&a, "KEY1", 60 * MINUTE);
	creds_get(cache, on_hold, NULL);
	a.late = true;
	creds_refused(cache, held);
	ck_assert_uint_eq(a.starts, 2);
	ck_assert_ptr_nonnull(creds_get(cache, on_got, &g)); /* not the refused ones again */
	creds_refused(cache, held);
	ck_assert_uint_eq(a.starts, 2);
	set_key(&a, "KEY2", 60 * MINUTE);
	answer(&a);
	run();
	expect_key(&g, 1, "KEY2");
	a.late = false;

	creds_refused(cache, held); /* of the old ones: no news */
	ck_assert_uint_eq(a.starts, 2);
	creds_get(cache, on_hold, NULL);
	pass(59000);
	creds_refused(cache, held);
	ck_assert_uint_eq(a.starts, 2);
	expect_at_once("KEY2");
	d = creds_describe(cache);
	ck_assert(json_bool(d, "refused", false));
	pass(1001);
	creds_refused(cache, held);
	ck_assert_uint_eq(a.starts, 3);
	held = creds_unref(held);
}
END_TEST

/* A forced refresh that fails: better refused ones than none. */
START_TEST(test_refused_and_gone)
{
	set_key(&a, "KEY1", 60 * MINUTE);
	creds_get(cache, on_hold, NULL);
	set_failing(&a, "gone");
	creds_refused(cache, held);
	ck_assert_uint_eq(b.starts, 1);
	expect_at_once("KEY1");
	held = creds_unref(held);
	creds_refused(cache, NULL);
}
END_TEST

static void
on_ask_again(void *arg, struct creds *set, const char *why)
{
	(void)set;
	(void)why;
	creds_get(cache, on_got, arg);
}

/* Whoever is told that there are none and asks again at once does not spin. */
START_TEST(test_ask_again_from_callback)
{
	struct got g = {0};

	creds_get(cache, on_ask_again, &g);
	run();
	run();
	ck_assert_uint_eq(a.starts, 1);
	ck_assert_uint_eq(g.calls, 0);
	creds_retry_now(cache);
	run();
	ck_assert_uint_eq(a.starts, 2);
	ck_assert_uint_eq(g.calls, 1);
}
END_TEST

static char last_line[256];

static void
on_line(void *arg, enum log_level level, const char *component, const char *line)
{
	(void)arg;
	(void)level;
	(void)component;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

START_TEST(test_masked_in_log)
{
	struct creds *c = creds_new("AKIDOFTEST", "verysecret/value", "token-of-test", 0, "a");

	log_set_sink(on_line, NULL);
	log_error("t", "got verysecret/value and token-of-test for AKIDOFTEST");
	ck_assert_ptr_null(strstr(last_line, "verysecret"));
	ck_assert_ptr_null(strstr(last_line, "token-of-test"));
	ck_assert_ptr_nonnull(strstr(last_line, "AKIDOFTEST"));
	creds_unref(c);
	log_error("t", "token-of-test");
	ck_assert_ptr_nonnull(strstr(last_line, "token-of-test"));
	log_set_sink(NULL, NULL);
}
END_TEST

START_TEST(test_describe)
{
	autojson json_t *d = NULL;
	autofree char *text = NULL;

	set_key(&a, "ASIA0123456789", 60 * MINUTE);
	a.why = "file:3: a remark";
	expect_at_once("ASIA0123456789");
	d = creds_describe(cache);
	text = json_text(d);
	ck_assert_str_eq(text,
			 "{\"source\":\"a\",\"access_key\":\"ASIA\","
			 "\"expires\":\"2023-11-14T23:13:20.000Z\",\"expired\":false,"
			 "\"refused\":false,\"remark\":\"file:3: a remark\","
			 "\"passed_over\":[],\"last_error\":null}");
}
END_TEST

START_TEST(test_no_sources)
{
	struct creds_cache *c = creds_cache_new(base, NULL, 0);
	struct got g = {0};

	creds_get(c, on_got, &g);
	run();
	expect_key(&g, 1, "");
	creds_cache_free(c);
	ck_assert_ptr_null(creds_cache_free(NULL));
	ck_assert_ptr_null(creds_unref(NULL));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("creds");
	TCase *tc = tcase_create("creds");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_first_wins);
	tcase_add_test(tc, test_second_after_first);
	tcase_add_test(tc, test_none);
	tcase_add_test(tc, test_one_in_flight);
	tcase_add_test(tc, test_wait_cancel);
	tcase_add_test(tc, test_free_while_asking);
	tcase_add_test(tc, test_renewal);
	tcase_add_test(tc, test_renewal_jitter);
	tcase_add_test(tc, test_static_stability);
	tcase_add_test(tc, test_backoff);
	tcase_add_test(tc, test_backoff_without_any);
	tcase_add_test(tc, test_retry_timer);
	tcase_add_test(tc, test_short_life);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_refused_and_gone);
	tcase_add_test(tc, test_ask_again_from_callback);
	tcase_add_test(tc, test_masked_in_log);
	tcase_add_test(tc, test_describe);
	tcase_add_test(tc, test_no_sources);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
