/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/outbox.c; the service is a double. DESIGN section 3, 7. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/agent/outbox.h"
#include "core/aws/mds.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "tests/unit/suite.h"

#define PATIENCE_MS 20000

static struct event_base *base;
static struct outbox_line *line;
static struct sbuf journal = SBUF_INIT(65536); /* what happened, a word each */
static int64_t wall_ms = 1700000000000;
static unsigned in_flight, most_in_flight;

enum outcome {
	TAKEN,
	AWAY,
	LATER,
	BUSY, /* throttled */
	AUTH,
	FIVE_HUNDRED,
	DENIED,
	REFUSED
};
static enum outcome (*outcome_of)(const char *message_id, const char *payload);

struct aws_call {
	struct event *timer;
	aws_done_fn *done;
	void *arg;
	enum outcome outcome;
	char *word;
};

static void
call_free(struct aws_call *c)
{
	in_flight--;
	event_free(c->timer);
	free(c->word);
	free(c);
}

static void
call_done(evutil_socket_t fd, short what, void *arg)
{
	static const struct aws_reply replies[] = {
		[TAKEN] = { .status = 200, .text = "" },
		[LATER] = { .result = -EREMOTEIO,
			    .status = 503,
			    .text = "later",
			    .retry = RETRY_TRANSPORT,
			    .retry_after_ms = 1500 },
		[AWAY] = { .result = -ECONNREFUSED, .text = "away", .retry = RETRY_TRANSPORT },
		[BUSY] = { .result = -EREMOTEIO,
			   .status = 429,
			   .text = "busy",
			   .retry = RETRY_THROTTLED,
			   .retry_after_ms = 1 },
		[AUTH] = { .result = -EREMOTEIO,
			   .status = 403,
			   .text = "old",
			   .retry = RETRY_AUTH },
		[FIVE_HUNDRED] = { .result = -EREMOTEIO,
				   .status = 500,
				   .text = "broken",
				   .retry = RETRY_TRANSPORT },
		[DENIED] = { .result = -EREMOTEIO,
			     .status = 400,
			     .code = "AccessDeniedException",
			     .text = "not yet" },
		[REFUSED] = { .result = -EREMOTEIO, .status = 400, .text = "no such message" },
	};
	struct aws_call *c = arg;
	aws_done_fn *done = c->done;
	void *done_arg = c->arg;
	enum outcome outcome = c->outcome;

	(void)fd;
	(void)what;
	call_free(c);
	done(done_arg, &replies[outcome]);
}

void
aws_cancel(struct aws_call *c)
{
	if (c)
		call_free(c);
}

struct aws_call *
mds_reply(struct mds *m, const char *message_id, const char *reply_id, const char *payload,
	  size_t len, aws_done_fn *done, void *arg)
{
	struct aws_call *c = xcalloc(1, sizeof(*c));
	struct timeval soon = { 0, 1000 };

	(void)m;
	(void)reply_id;
	ck_assert_uint_eq(strlen(payload), len);
	(void)sbuf_addf(&journal, "%s:%s ", message_id, payload);
	c->word = xstrdup(payload);
	c->done = done;
	c->arg = arg;
	c->outcome = outcome_of ? outcome_of(message_id, payload) : TAKEN;
	c->timer = evtimer_new(base, call_done, c);
	(void)event_add(c->timer, &soon);
	if (++in_flight > most_in_flight)
		most_in_flight = in_flight;
	return c;
}

/* ------------------------------------------------------------- an owner */

struct owner {
	struct outbox *outbox;
	char *name;
	bool over;
	int dropped;
};

static int unreadable; /* what the next readings fail with */

static int
payload_of(void *arg, const struct outbox_item *item, char **ret, size_t *ret_len)
{
	int code = item->at < 0 ? -EIO : unreadable;

	(void)arg;
	if (code < 0)
		unreadable = 0;
	else
		*ret = xasprintf("read%d", (int)item->at);
	*ret_len = *ret ? strlen(*ret) : 0;
	return code;
}

static void
on_done(void *arg, const struct outbox_item *item, const char *why)
{
	struct owner *o = arg;

	(void)sbuf_addf(&journal, "%s%s%s ", why ? "drop-" : "ok-", item->reply_id,
			item->final ? "!" : "");
	o->dropped += why != NULL;
	if (!item->final)
		return;
	o->over = true;
	o->outbox = outbox_free(o->outbox);
}

static const struct outbox_ops ops = { payload_of, on_done };

static struct owner *
owner_new(const char *name)
{
	struct owner *o = xcalloc(1, sizeof(*o));

	o->name = xstrdup(name);
	o->outbox = outbox_new(line, name, &ops, o);
	return o;
}

static void
owner_free(struct owner *o)
{
	outbox_free(o->outbox);
	free(o->name);
	free(o);
}

static void
add(struct owner *o, const char *reply_id, const char *payload)
{
	struct outbox_item item = { .final = reply_id[0] == 'F' };

	(void)snprintf(item.reply_id, sizeof(item.reply_id), "%s", reply_id);
	outbox_add(o->outbox, &item, xstrdup(payload), strlen(payload));
}

static void
add_read(struct owner *o, const char *reply_id, int at)
{
	struct outbox_item item = { .final = reply_id[0] == 'F', .at = at };

	(void)snprintf(item.reply_id, sizeof(item.reply_id), "%s", reply_id);
	outbox_add(o->outbox, &item, NULL, 0);
}

static int64_t
fake_wall(void)
{
	return wall_ms;
}

static int64_t
real_mono(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static const struct clock_ops clocks = { real_mono, fake_wall };

static void
setup(void)
{
	clock_replace(&clocks);
	base = event_base_new();
	line = outbox_line_new(base, NULL);
}

static void
teardown(void)
{
	outbox_line_free(line);
	event_base_free(base);
	sbuf_done(&journal);
}

static void
run_ms(int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	(void)event_base_loopexit(base, &tv);
	(void)event_base_dispatch(base);
}

static void
until_over(struct owner *const *owners, size_t count)
{
	int64_t end = real_mono() + PATIENCE_MS;

	for (size_t i = 0; i < count; i++)
		while (!owners[i]->over && real_mono() < end)
			run_ms(5);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(owners[i]->over, "%s: %s", owners[i]->name, sbuf_str(&journal));
}

/* ---------------------------------------------------------------- tests */

static int local_fails; /* what the next one fails with */

static int
take_here(void *arg, const struct outbox_item *item, const char *payload, size_t len)
{
	struct owner *o = arg;
	int r = local_fails;

	ck_assert_uint_eq(strlen(payload), len);
	(void)sbuf_addf(&journal, "here-%s:%s%s ", o->name, payload, item->final ? "!" : "");
	local_fails = 0;
	return r;
}

/* Replies that stay here: in order, from the loop, whatever becomes of the service. */
START_TEST(test_local)
{
	struct owner *o = owner_new("m");

	outbox_set_local(o->outbox, take_here);
	add(o, "a", "1");
	add_read(o, "b", 2);
	ck_assert_str_eq(sbuf_str(&journal), "");
	add(o, "F", "3");
	until_over(&o, 1);
	ck_assert_str_eq(sbuf_str(&journal),
			 "here-m:1 ok-a here-m:read2 ok-b here-m:3! ok-F! ");
	ck_assert_uint_eq(in_flight, 0);
	owner_free(o);
}
END_TEST

START_TEST(test_local_errors)
{
	struct owner *o = owner_new("m");

	outbox_set_local(o->outbox, take_here);
	local_fails = -EAGAIN;
	add(o, "a", "1");
	run_ms(1200);
	ck_assert_str_eq(sbuf_str(&journal), "here-m:1 here-m:1 ok-a ");
	local_fails = -EINVAL;
	add(o, "b", "2");
	outbox_pause(o->outbox, OUTBOX_KEEP_FINAL);
	add(o, "F", "3");
	run_ms(50);
	ck_assert_str_eq(sbuf_str(&journal), "here-m:1 here-m:1 ok-a here-m:2 drop-b ");
	outbox_pause(o->outbox, OUTBOX_RUN);
	until_over(&o, 1);
	ck_assert_int_eq(o->dropped, 1);
	owner_free(o);
}
END_TEST

/* While the service is away. */
static enum outcome
all_away(const char *message_id, const char *payload)
{
	(void)message_id;
	(void)payload;
	return AWAY;
}

START_TEST(test_local_while_away)
{
	struct owner *far = owner_new("far"), *here = owner_new("here");

	outcome_of = all_away;
	add(far, "a", "1");
	run_ms(20);
	outbox_set_local(here->outbox, take_here);
	add(here, "F", "2");
	until_over(&here, 1);
	outcome_of = NULL;
	owner_free(here);
	owner_free(far);
}
END_TEST

START_TEST(test_order)
{
	struct owner *o = owner_new("m");

	add(o, "a", "1");
	add(o, "b", "2");
	add_read(o, "c", 3);
	add(o, "F", "4");
	add(o, "z", "behind"); /* nothing behind a final one */
	until_over(&o, 1);
	ck_assert_str_eq(sbuf_str(&journal), "m:1 ok-a m:2 ok-b m:read3 ok-c m:4 ok-F! ");
	ck_assert_uint_eq(most_in_flight, 1);
	owner_free(o);
}
END_TEST

START_TEST(test_jobs_are_independent)
{
	struct owner *o[3] = { owner_new("x"), owner_new("y"), owner_new("z") };

	for (size_t i = 0; i < 3; i++)
		add(o[i], "F", "1");
	ck_assert_uint_eq(in_flight, 3);
	until_over(o, 3);
	for (size_t i = 0; i < 3; i++)
		owner_free(o[i]);
}
END_TEST

START_TEST(test_pause)
{
	struct owner *o = owner_new("m");

	outbox_pause(o->outbox, OUTBOX_KEEP_ALL);
	add(o, "a", "1");
	add(o, "F", "2");
	run_ms(20);
	ck_assert_str_eq(sbuf_str(&journal), "");
	outbox_pause(o->outbox, OUTBOX_KEEP_FINAL);
	run_ms(20);
	ck_assert_str_eq(sbuf_str(&journal), "m:1 ok-a ");
	outbox_pause(o->outbox, OUTBOX_RUN);
	until_over(&o, 1);
	owner_free(o);
}
END_TEST

START_TEST(test_forget)
{
	struct owner *o = owner_new("m");

	outbox_pause(o->outbox, OUTBOX_KEEP_ALL);
	add(o, "a", "1");
	add(o, "b", "2");
	outbox_forget(o->outbox, "a");
	outbox_forget(o->outbox, "unknown");
	outbox_pause(o->outbox, OUTBOX_RUN);
	run_ms(20);
	ck_assert_str_eq(sbuf_str(&journal), "m:2 ok-b ");
	ck_assert(outbox_empty(o->outbox));
	owner_free(o);
}
END_TEST

START_TEST(test_lost_payload)
{
	struct owner *o = owner_new("m");

	add_read(o, "a", -1);
	add(o, "F", "2");
	until_over(&o, 1);
	ck_assert_str_eq(sbuf_str(&journal), "drop-a m:2 ok-F! ");
	owner_free(o);
}
END_TEST

/* Short of descriptors, a reply is not lost: it is read again. */
START_TEST(test_unread_payload)
{
	struct owner *o = owner_new("m");

	unreadable = -EMFILE;
	add_read(o, "a", 1);
	add(o, "F", "2");
	ck_assert_str_eq(sbuf_str(&journal), "");
	until_over(&o, 1);
	ck_assert_str_eq(sbuf_str(&journal), "m:read1 ok-a m:2 ok-F! ");
	owner_free(o);
}
END_TEST

static unsigned failures;
static enum outcome failure;

static enum outcome
fail_first(const char *message_id, const char *payload)
{
	(void)message_id;
	(void)payload;
	return failures > 0 && failures-- > 0 ? failure : TAKEN;
}

/* Each kind of failure that may pass is tried again, and nothing overtakes. */
START_TEST(test_again)
{
	static const enum outcome kinds[] = { AWAY, FIVE_HUNDRED, BUSY, DENIED };
	struct owner *o = owner_new("m");

	outcome_of = fail_first;
	failure = kinds[_i];
	failures = 2;
	add(o, "a", "1");
	add(o, "F", "2");
	until_over(&o, 1);
	ck_assert_str_eq(sbuf_str(&journal), "m:1 m:1 m:1 ok-a m:2 ok-F! ");
	owner_free(o);
}
END_TEST

static enum outcome
refuse_one(const char *message_id, const char *payload)
{
	(void)message_id;
	return strcmp(payload, "1") == 0 ? REFUSED : TAKEN;
}

START_TEST(test_refused)
{
	struct owner *o = owner_new("m");

	outcome_of = refuse_one;
	add(o, "a", "1");
	add(o, "F", "2");
	until_over(&o, 1);
	ck_assert_str_eq(sbuf_str(&journal), "m:1 drop-a m:2 ok-F! ");
	owner_free(o);
}
END_TEST

static enum outcome
always_away(const char *message_id, const char *payload)
{
	(void)message_id;
	(void)payload;
	return AWAY;
}

/* Credentials may come back: two hours, then one line in the log. */
START_TEST(test_expiry)
{
	struct owner *o = owner_new("m");

	outcome_of = always_away;
	outbox_expire(o->outbox, wall_ms + 7200000);
	add(o, "a", "1");
	add(o, "F", "2");
	run_ms(50);
	ck_assert(!o->over);
	wall_ms += 7200001;
	outbox_line_kick(line);
	until_over(&o, 1);
	ck_assert_int_eq(o->dropped, 2);
	owner_free(o);
}
END_TEST

static bool is_away;
static unsigned tries;

static enum outcome
while_away(const char *message_id, const char *payload)
{
	(void)message_id;
	(void)payload;
	tries++;
	return is_away ? AWAY : TAKEN;
}

static enum outcome
later_once(const char *message_id, const char *payload)
{
	(void)message_id;
	(void)payload;
	return ++tries == 1 ? LATER : TAKEN;
}

/* A network that comes back cuts waits short, but not the one that the service asked for. */
START_TEST(test_kick_keeps_retry_after)
{
	struct owner *o = owner_new("m");
	int64_t begun = clock_mono_ms();

	outcome_of = later_once;
	tries = 0;
	add(o, "F", "1");
	while (tries == 0)
		run_ms(5);
	run_ms(50);
	for (int i = 0; i < 5; i++) {
		outbox_line_kick(line);
		run_ms(20);
	}
	until_over(&o, 1);
	ck_assert_uint_eq(tries, 2);
	ck_assert_int_ge(clock_mono_ms() - begun, 1400);
	owner_free(o);
}
END_TEST

/* While the service is away a hundred rows make one request at a time, and all go on when it is
 * back. */
START_TEST(test_one_tries_for_all)
{
	struct owner *o[100];

	outcome_of = while_away;
	is_away = true;
	for (size_t i = 0; i < NELEMS(o); i++) {
		autofree char *name = xasprintf("m%zu", i);

		o[i] = owner_new(name);
	}
	add(o[0], "F", "1");
	run_ms(20);
	most_in_flight = in_flight;
	for (size_t i = 1; i < NELEMS(o); i++)
		add(o[i], "F", "1");
	run_ms(300);
	ck_assert_uint_le(most_in_flight, 1);
	ck_assert_uint_le(tries, 30);
	is_away = false;
	outbox_line_kick(line);
	until_over(o, NELEMS(o));
	for (size_t i = 0; i < NELEMS(o); i++)
		owner_free(o[i]);
}
END_TEST

static enum outcome
one_is_cursed(const char *message_id, const char *payload)
{
	(void)payload;
	return strcmp(message_id, "cursed") == 0 ? FIVE_HUNDRED : TAKEN;
}

/* A reply that the service chokes on does not hold up the others. */
START_TEST(test_one_bad_row)
{
	struct owner *bad = owner_new("cursed"), *good[20];

	outcome_of = one_is_cursed;
	add(bad, "F", "1");
	for (size_t i = 0; i < NELEMS(good); i++) {
		autofree char *name = xasprintf("m%zu", i);

		good[i] = owner_new(name);
		add(good[i], "a", "1");
		add(good[i], "F", "2");
	}
	until_over(good, NELEMS(good));
	ck_assert(!bad->over);
	for (size_t i = 0; i < NELEMS(good); i++)
		owner_free(good[i]);
	owner_free(bad);
}
END_TEST

/* The row that tries for all goes away meanwhile: the others must not wait for ever. */
START_TEST(test_prober_freed)
{
	struct owner *a = owner_new("a"), *b = owner_new("b");

	outcome_of = while_away;
	is_away = true;
	add(a, "F", "1");
	run_ms(20);
	add(b, "F", "1");
	is_away = false;
	outbox_line_kick(line);
	(void)event_base_loop(base, EVLOOP_ONCE); /* a is on its way */
	owner_free(a);
	until_over(&b, 1);
	owner_free(b);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("outbox");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_local);
	tcase_add_test(t, test_local_errors);
	tcase_add_test(t, test_local_while_away);
	tcase_add_test(t, test_order);
	tcase_add_test(t, test_jobs_are_independent);
	tcase_add_test(t, test_pause);
	tcase_add_test(t, test_forget);
	tcase_add_test(t, test_lost_payload);
	tcase_add_test(t, test_unread_payload);
	tcase_add_loop_test(t, test_again, 0, 4);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_expiry);
	tcase_add_test(t, test_one_tries_for_all);
	tcase_add_test(t, test_kick_keeps_retry_after);
	tcase_add_test(t, test_one_bad_row);
	tcase_add_test(t, test_prober_freed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
