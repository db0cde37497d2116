/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/smux.c, with the frames of spec 02 §7.4. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "plugins/sessionManager/smux.h"
#include "tests/unit/suite.h"

#define SYN3 "\1\0\0\0\3\0\0\0"
#define HELLO3 "\1\2\5\0\3\0\0\0hello"
#define FIN3 "\1\1\0\0\3\0\0\0"
#define NOP "\1\3\0\0\0\0\0\0"
#define SYN5 "\1\0\0\0\5\0\0\0"
#define HI5 "\1\2\2\0\5\0\0\0hi"
#define ALL (1 << 30)
#define FRAMES(text) text, sizeof(text) - 1

static struct smux *m;
static struct err e;
static int64_t now_ms, timer_ms;
static struct sbuf events = SBUF_INIT(1 << 20), sent = SBUF_INIT(16 << 20);
static size_t send_room, readable_count;
static struct smux_stream *stream[8]; /* by id */
static ssize_t takes[8];	      /* what data() may take; negative: an error */
static bool quiet;		      /* data is taken and not written down */
static bool finish_at_eof;

static int64_t
fake_ms(void)
{
	return now_ms;
}

static size_t
on_send(void *arg, const void *p, size_t len)
{
	size_t n = len < send_room ? len : send_room;

	(void)arg;
	sbuf_add(&sent, p, n);
	send_room -= n;
	return n;
}

static void
on_opened(void *arg, struct smux_stream *s)
{
	(void)arg;
	if (!quiet)
		sbuf_addf(&events, "open%u ", smux_stream_id(s));
	if (smux_stream_id(s) < NELEMS(stream))
		stream[smux_stream_id(s)] = s;
}

static ssize_t
on_data(void *arg, struct smux_stream *s, const void *p, size_t len)
{
	uint32_t id = smux_stream_id(s);
	ssize_t n = id < NELEMS(takes) && takes[id] < (ssize_t)len ? takes[id] : (ssize_t)len;

	(void)arg;
	if (n > 0 && !quiet)
		sbuf_addf(&events, "%u:%.*s ", id, (int)n, (const char *)p);
	if (n > 0 && id < NELEMS(takes) && takes[id] != ALL)
		takes[id] -= n;
	return n;
}

static void
on_eof(void *arg, struct smux_stream *s)
{
	(void)arg;
	sbuf_addf(&events, "eof%u ", smux_stream_id(s));
	if (finish_at_eof)
		smux_stream_finish(s);
}

static void
on_writable(void *arg, struct smux_stream *s)
{
	(void)arg;
	sbuf_addf(&events, "room%u ", smux_stream_id(s));
}

static void
on_gone(void *arg, struct smux_stream *s)
{
	(void)arg;
	if (!quiet)
		sbuf_addf(&events, "gone%u ", smux_stream_id(s));
}

static void
on_readable(void *arg)
{
	(void)arg;
	readable_count++;
}

static void
on_timer(void *arg, int64_t after_ms)
{
	(void)arg;
	timer_ms = after_ms;
}

static const struct smux_ops ops = { on_send,	  on_opened, on_data,	  on_eof,
				     on_writable, on_gone,   on_readable, on_timer };

static void
start(void)
{
	static const struct clock_ops fake = { fake_ms, fake_ms };

	clock_replace(&fake);
	now_ms = timer_ms = 1000;
	send_room = SIZE_MAX;
	for (size_t i = 0; i < NELEMS(takes); i++)
		takes[i] = ALL;
	m = smux_new(&ops, NULL, false);
}

static void
stop(void)
{
	m = smux_free(m);
	sbuf_done(&events);
	sbuf_done(&sent);
	clock_replace(NULL);
}

static void
feed(const void *p, size_t len)
{
	ck_assert_int_eq(smux_read(m, p, len, &e), 0);
}

static void
happened(const char *what)
{
	ck_assert_str_eq(sbuf_str(&events), what);
	sbuf_reset(&events);
}

static void
was_sent(const void *p, size_t len)
{
	ck_assert_uint_eq(sent.len, len);
	ck_assert_mem_eq(sbuf_str(&sent), p, len);
	sbuf_reset(&sent);
}

static void
put_psh(struct sbuf *b, uint32_t id, size_t len)
{
	autofree char *zeros = xcalloc(1, len);
	const unsigned char h[8] = { 1, 2, (unsigned char)len, (unsigned char)(len >> 8),
				     (unsigned char)id };

	sbuf_add(b, h, sizeof(h));
	sbuf_add(b, zeros, len);
}

START_TEST(test_examples)
{
	feed(FRAMES(SYN3 HELLO3));
	happened("open3 3:hello ");
	ck_assert_int_eq(smux_stream_write(stream[3], "hello", 5), 5);
	was_sent(FRAMES(HELLO3));
	feed(FRAMES(NOP FIN3));
	happened("eof3 ");
	smux_stream_finish(stream[3]);
	was_sent(FRAMES(FIN3));
	happened("gone3 ");
}
END_TEST

START_TEST(test_every_cut)
{
	static const char all[] = SYN3 SYN5 HELLO3 HI5 NOP FIN3 HI5;

	for (size_t cut = 0; cut < sizeof(all) - 1; cut++) {
		autofree char *a = xmemdup(all, cut), *b = NULL;

		b = xmemdup(all + cut, sizeof(all) - 1 - cut);
		stop();
		start();
		feed(a, cut);
		feed(b, sizeof(all) - 1 - cut);
		/* Data comes as it came: one cut inside it makes two of it. */
		if (events.len == strlen("open3 open5 3:hello 5:hi eof3 5:hi "))
			happened("open3 open5 3:hello 5:hi eof3 5:hi ");
		else
			ck_assert_uint_eq(events.len, strlen("open3 open5 3:hel 3:lo 5:hi eof3 "
							     "5:hi "));
	}
}
END_TEST

START_TEST(test_half_close_by_the_client)
{
	feed(FRAMES(SYN3 HELLO3 FIN3));
	happened("open3 3:hello eof3 ");
	ck_assert_int_eq(smux_stream_write(stream[3], "hello", 5), 5);
	smux_stream_finish(stream[3]);
	was_sent(FRAMES(HELLO3 FIN3));
	happened("gone3 ");
}
END_TEST

START_TEST(test_half_close_by_the_destination)
{
	feed(FRAMES(SYN3));
	smux_stream_finish(stream[3]);
	ck_assert_int_eq(smux_stream_write(stream[3], "x", 1), -EPIPE);
	smux_stream_finish(stream[3]);
	was_sent(FRAMES(FIN3));
	feed(FRAMES(HELLO3));
	happened("open3 3:hello ");
	feed(FRAMES(FIN3));
	happened("eof3 gone3 ");
}
END_TEST

START_TEST(test_close)
{
	feed(FRAMES(SYN3));
	smux_stream_close(stream[3]);
	feed(FRAMES(HELLO3 FIN3));
	happened("open3 gone3 ");
	was_sent(FRAMES(FIN3));
	feed(FRAMES(SYN3 HELLO3));
	happened("open3 3:hello ");
}
END_TEST

/* In one piece as in many. */
START_TEST(test_an_id_comes_again)
{
	static const char twice[] = SYN3 FIN3 SYN3 HELLO3;

	finish_at_eof = true;
	feed(twice, sizeof(twice) - 1);
	happened("open3 eof3 open3 3:hello gone3 ");
}
END_TEST

/* What is slow is kept and loses nothing; the other stream goes on; its end comes behind it. */
START_TEST(test_a_slow_stream)
{
	takes[3] = 2;
	feed(FRAMES(SYN3 SYN5 HELLO3 HI5 HELLO3 FIN3));
	happened("open3 open5 3:he 5:hi ");
	takes[3] = 6;
	smux_stream_ready(stream[3]);
	happened("3:llohel ");
	takes[3] = ALL;
	smux_stream_ready(stream[3]);
	happened("3:lo eof3 ");
	smux_stream_finish(stream[3]);
	happened("gone3 ");
}
END_TEST

START_TEST(test_all_that_is_kept_has_a_ceiling)
{
	autosbuf struct sbuf b = SBUF_INIT(1 << 20);
	size_t n = 0;

	put_psh(&b, 3, 65535);
	feed(FRAMES(SYN3));
	takes[3] = 0;
	quiet = true;
	while (smux_read(m, b.p, b.len, &e) == 0)
		n++;
	ck_assert_int_eq(smux_read(m, b.p, b.len, &e), -EAGAIN);
	ck_assert_uint_eq(n, SMUX_KEPT_BYTES / 65535 + 1);
	takes[3] = SMUX_KEPT_BYTES / 4;
	smux_stream_ready(stream[3]);
	ck_assert_uint_eq(readable_count, 0);
	takes[3] = SMUX_KEPT_BYTES;
	smux_stream_ready(stream[3]);
	ck_assert_uint_eq(readable_count, 1);
	feed(b.p, b.len);
}
END_TEST

START_TEST(test_a_destination_that_is_gone)
{
	takes[3] = -EPIPE;
	feed(FRAMES(SYN3 HELLO3 HELLO3 FIN3));
	happened("open3 gone3 ");
	was_sent(FRAMES(FIN3));
}
END_TEST

START_TEST(test_writing_waits)
{
	autofree char *zeros = xcalloc(1, 2 * SMUX_OUT_BYTES);
	ssize_t n;

	feed(FRAMES(SYN3 SYN5));
	sbuf_reset(&events);
	send_room = 0;
	n = smux_stream_write(stream[3], zeros, 2 * SMUX_OUT_BYTES);
	ck_assert_int_gt(n, SMUX_OUT_BYTES / 2);
	ck_assert_int_le(n, SMUX_OUT_BYTES);
	ck_assert_int_eq(smux_stream_write(stream[3], "x", 1), 0);
	ck_assert_int_eq(smux_stream_write(stream[5], "x", 1), 0);
	smux_stream_finish(stream[5]); /* an end needs no room */
	send_room = 100;
	smux_writable(m);
	happened("room3 ");
	send_room = SIZE_MAX;
	smux_writable(m);
	happened("");
	ck_assert_uint_eq(sent.len, (size_t)n + 2 * SMUX_HEADER_BYTES + SMUX_HEADER_BYTES);
	ck_assert_mem_eq(sent.p, "\1\2\0\x80\3\0\0\0", 8);
	ck_assert_mem_eq(sent.p + sent.len - 8, "\1\1\0\0\5\0\0\0", 8);
}
END_TEST

START_TEST(test_writers_take_turns)
{
	autofree char *zeros = xcalloc(1, SMUX_OUT_BYTES);

	feed(FRAMES(SYN3 SYN5));
	sbuf_reset(&events);
	send_room = 0;
	smux_stream_write(stream[3], zeros, SMUX_OUT_BYTES);
	smux_stream_write(stream[5], "x", 1);
	smux_stream_write(stream[3], "x", 1);
	send_room = 100;
	smux_writable(m);
	happened("room3 room5 ");
}
END_TEST

START_TEST(test_too_many_streams)
{
	for (uint32_t id = 3; id < 3 + 2 * (SMUX_STREAMS_MAX + 1); id += 2) {
		const unsigned char syn[8] = { 1, 0, 0, 0, (unsigned char)id,
					       (unsigned char)(id >> 8) };

		ck_assert_uint_eq(sent.len, 0);
		feed(syn, sizeof(syn));
	}
	was_sent(FRAMES("\1\1\0\0\3\x8\0\0"));
}
END_TEST

START_TEST(test_strangers)
{
	feed(FRAMES(HELLO3 FIN3 SYN3 SYN3 HELLO3));
	happened("open3 3:hello ");
	ck_assert_uint_eq(sent.len, 0);
}
END_TEST

START_TEST(test_what_is_not_smux)
{
	static const char *const bad[] = { "\2\0\0\0\3\0\0\0", "\1\4\0\0\3\0\0\0",
					   "\1\0\1\0\3\0\0\0", "\1\3\1\0\3\0\0\0" };

	for (size_t i = 0; i < NELEMS(bad); i++) {
		stop();
		start();
		feed(FRAMES(SYN3));
		ck_assert_int_eq(smux_read(m, bad[i], 8, &e), -EPROTO);
		ck_assert_ptr_nonnull(strstr(e.text, "not smux"));
		ck_assert_int_eq(smux_read(m, NOP, 8, &e), -EPROTO);
		ck_assert_int_eq(smux_stream_write(stream[3], "x", 1), -EPIPE);
		ck_assert_uint_eq(sent.len, 0);
	}
}
END_TEST

/* Opened and refused without an end, while our answers cannot leave. */
START_TEST(test_answers_have_a_ceiling)
{
	autosbuf struct sbuf b = SBUF_INIT(1 << 20);
	size_t reads = 0;

	for (int i = 0; i < 1000; i++)
		sbuf_add(&b, FRAMES(SYN5 HI5));
	send_room = 0;
	takes[5] = -EPIPE;
	quiet = true;
	while (smux_read(m, b.p, b.len, &e) == 0)
		ck_assert_uint_lt(++reads, 100);
	ck_assert_int_eq(smux_read(m, b.p, b.len, &e), -EAGAIN);
	send_room = SIZE_MAX;
	smux_writable(m);
	ck_assert_uint_eq(readable_count, 1);
}
END_TEST

START_TEST(test_keep_alive)
{
	m = smux_free(m);
	m = smux_new(&ops, NULL, true);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(timer_ms, 10000);
		now_ms += 9999;
		ck_assert_int_eq(smux_timer(m, &e), 0);
		ck_assert_uint_eq(sent.len, 0);
		now_ms++;
		ck_assert_int_eq(smux_timer(m, &e), 0);
		was_sent(FRAMES(NOP));
	}
	feed(FRAMES(NOP));
	now_ms += 10000;
	ck_assert_int_eq(smux_timer(m, &e), 0);
	now_ms += 29999;
	ck_assert_int_eq(smux_timer(m, &e), 0);
	now_ms++;
	ck_assert_int_eq(smux_timer(m, &e), -ETIMEDOUT);
}
END_TEST

START_TEST(test_without_keep_alive)
{
	ck_assert_int_eq(timer_ms, 1000); /* nothing was asked for */
}
END_TEST

START_TEST(test_free_tells_of_every_stream)
{
	feed(FRAMES(SYN3 SYN5));
	smux_stream_set(stream[3], &m);
	ck_assert_ptr_eq(smux_stream_user(stream[3]), &m);
	m = smux_free(m);
	happened("open3 open5 gone3 gone5 ");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager smux");
	TCase *t = tcase_create("smux");

	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, test_examples);
	tcase_add_test(t, test_every_cut);
	tcase_add_test(t, test_half_close_by_the_client);
	tcase_add_test(t, test_half_close_by_the_destination);
	tcase_add_test(t, test_close);
	tcase_add_test(t, test_an_id_comes_again);
	tcase_add_test(t, test_a_slow_stream);
	tcase_add_test(t, test_all_that_is_kept_has_a_ceiling);
	tcase_add_test(t, test_a_destination_that_is_gone);
	tcase_add_test(t, test_writing_waits);
	tcase_add_test(t, test_writers_take_turns);
	tcase_add_test(t, test_too_many_streams);
	tcase_add_test(t, test_strangers);
	tcase_add_test(t, test_what_is_not_smux);
	tcase_add_test(t, test_answers_have_a_ceiling);
	tcase_add_test(t, test_keep_alive);
	tcase_add_test(t, test_without_keep_alive);
	tcase_add_test(t, test_free_tells_of_every_stream);
	suite_add_tcase(s, t);
	return run_suite(s);
}
