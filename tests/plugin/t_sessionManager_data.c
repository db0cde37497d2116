/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the data channel: exact traces of spec 02 §2.2, §3 and §5.7, and its ceilings. A
 * connection that loses is in t_sessionManager_lossy. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/data.h"
#include "plugins/sessionManager/dial.h"
#include "plugins/sessionManager/frame.h"
#include "plugins/sessionManager/messages.h"
#include "tests/unit/suite.h"

#define SENT_MAX 6000

static int64_t now_ms;
static struct data *d;
static struct err e;
static int64_t timer_ms; /* what was asked for last */
static struct {
	char *bytes;
	size_t len;
	struct frame f;
} sent[SENT_MAX];
static size_t sent_count, took_max; /* the connection takes so many more */
static char input[256];		    /* "1:ls\r " of each processed message */
static int input_result, ended_result, writable_count, closed_count;

static int64_t
fake_ms(void)
{
	return now_ms;
}

static int
on_send(void *arg, const void *frame, size_t len)
{
	(void)arg;
	if (!took_max)
		return -EAGAIN;
	took_max--;
	ck_assert_uint_lt(sent_count, SENT_MAX);
	sent[sent_count].bytes = xmemdup(frame, len);
	sent[sent_count].len = len;
	ck_assert_int_eq(frame_read(sent[sent_count].bytes, len, &sent[sent_count].f, &e), 0);
	sent_count++;
	return 0;
}

static void
on_timer(void *arg, int64_t after_ms)
{
	(void)arg;
	timer_ms = after_ms;
}

static int
on_input(void *arg, uint32_t type, struct span p, struct err *err)
{
	size_t len = strlen(input);

	(void)arg;
	if (input_result < 0)
		return err_set(err, input_result, "not now");
	ck_assert_int_lt(snprintf(input + len, sizeof(input) - len, "%u:%.*s ", type, (int)p.len,
				  p.p), (int)(sizeof(input) - len));
	return 0;
}

static void
on_writable(void *arg)
{
	(void)arg;
	writable_count++;
}

static void
on_closed(void *arg)
{
	(void)arg;
	closed_count++;
}

static void
on_ended(void *arg, int result)
{
	(void)arg;
	ck_assert_int_eq(ended_result, 1);
	ended_result = result;
}

static const struct data_ops ops = { on_send,	  on_timer,  on_input,
				     on_writable, on_closed, on_ended };

static void
forget_sent(void)
{
	for (size_t i = 0; i < sent_count; i++)
		mem_cleanup_free(&sent[i].bytes);
	sent_count = 0;
}

static void
start(void)
{
	static const struct clock_ops fake = { fake_ms, fake_ms };

	now_ms = 1700000000000;
	clock_replace(&fake);
	took_max = SIZE_MAX;
	ended_result = 1;
	d = data_new("alice-0a1b", &ops, NULL);
	data_up(d);
	forget_sent();
}

static void
stop(void)
{
	d = data_free(d);
	forget_sent();
	clock_replace(NULL);
}

/* A message of the peer; SEQ as said. 0 or data_read()'s error. */
static int
peer(const char *type, int64_t seq, uint32_t payload_type, const char *payload)
{
	struct frame f = { .schema = 1, .created_ms = 1, .seq = seq, .payload_type = payload_type,
			   .id = "dd01e56b-ff48-483e-a508-b5f073f31b16",
			   .payload = { payload, strlen(payload) } };
	autosbuf struct sbuf b = SBUF_INIT(FRAME_MAX_BYTES);

	memcpy(f.type, type, strlen(type) + 1);
	ck_assert_int_eq(frame_write(&f, &b, &e), 0);
	return data_read(d, b.p, b.len, &e);
}

/* The same with a digest of another payload. */
static int
peer_spoilt(const char *type, int64_t seq, const char *payload)
{
	struct frame f = { .schema = 1, .created_ms = 1, .seq = seq, .payload_type = 1,
			   .id = "dd01e56b-ff48-483e-a508-b5f073f31b16",
			   .payload = { payload, strlen(payload) } };
	autosbuf struct sbuf b = SBUF_INIT(FRAME_MAX_BYTES);

	memcpy(f.type, type, strlen(type) + 1);
	ck_assert_int_eq(frame_write(&f, &b, &e), 0);
	b.p[b.len - 1] ^= 1;
	return data_read(d, b.p, b.len, &e);
}

static int
ack(int64_t seq)
{
	autofree char *text = xasprintf("{\"AcknowledgedMessageSequenceNumber\":%lld}",
					(long long)seq);

	return peer("acknowledge", 0, 0, text);
}

static void
pass(int64_t ms)
{
	now_ms += ms;
	data_timer(d);
}

static void
is_stream(size_t i, int64_t seq)
{
	ck_assert_uint_lt(i, sent_count);
	ck_assert_str_eq(sent[i].f.type, "output_stream_data");
	ck_assert_int_eq(sent[i].f.seq, seq);
}

static void
is_ack(size_t i, int64_t seq)
{
	char id[FRAME_UUID_SIZE];
	int64_t of = -1;

	ck_assert_uint_lt(i, sent_count);
	ck_assert_str_eq(sent[i].f.type, "acknowledge");
	ck_assert_uint_eq(sent[i].f.flags, 3);
	ck_assert_int_eq(message_read_ack(sent[i].f.payload, &of, id, &e), 0);
	ck_assert_int_eq(of, seq);
}

/* There are clients that acknowledge acknowledgements, by the number in their frames. */
START_TEST(test_acknowledged_acknowledgement)
{
	autofree char *text = NULL;

	ck_assert_int_eq(peer("input_stream_data", 0, PAYLOAD_SIZE, "x"), 0);
	is_ack(0, 0);
	ck_assert_int_eq(data_send(d, PAYLOAD_OUTPUT, "a", 1), 0);
	is_stream(1, 0);
	text = xasprintf("{\"AcknowledgedMessageType\":\"output_stream_data\","
			 "\"AcknowledgedMessageId\":\"%s\","
			 "\"AcknowledgedMessageSequenceNumber\":0}",
			 sent[0].f.id);
	ck_assert_int_eq(peer("acknowledge", 0, 0, text), 0);
	ck_assert_uint_eq(data_unacked(d), 1);
	ck_assert_int_eq(ack(0), 0);
	ck_assert_uint_eq(data_unacked(d), 0);
}
END_TEST

START_TEST(test_first_messages)
{
	struct data *other = data_new("alice-0a1b", &ops, NULL);

	ck_assert_int_eq(data_send(other, PAYLOAD_OUTPUT, "a", 1), 0);
	ck_assert_uint_eq(sent_count, 0);
	data_up(other);
	ck_assert_uint_eq(sent_count, 2);
	ck_assert_str_eq(sent[0].f.type, "agent_session_state");
	ck_assert_uint_eq(sent[0].f.flags, 3);
	ck_assert_int_eq(sent[0].f.seq, 0);
	ck_assert_mem_eq(sent[0].f.payload.p, "{\"SchemaVersion\":1,\"SessionState\":\"Connected\","
			 "\"SessionId\":\"alice-0a1b\"}", sent[0].f.payload.len);
	ck_assert_int_eq(data_send(other, PAYLOAD_STDERR, "", 0), 0);
	ck_assert_int_eq(data_send(other, PAYLOAD_STDERR, "b", 1), 0);
	ck_assert_uint_eq(sent_count, 3);
	is_stream(1, 0);
	ck_assert_uint_eq(sent[1].f.flags, FRAME_SYN);
	ck_assert_uint_eq(sent[1].f.created_ms, 1700000000000);
	is_stream(2, 1);
	ck_assert_uint_eq(sent[2].f.flags, 0);
	ck_assert_uint_eq(sent[2].f.payload_type, PAYLOAD_STDERR);
	data_free(other);
}
END_TEST

START_TEST(test_input_is_acknowledged)
{
	ck_assert_int_eq(peer("input_stream_data", 0, 1, "ls\r"), 0);
	ck_assert_str_eq(input, "1:ls\r ");
	ck_assert_uint_eq(sent_count, 1);
	ck_assert_mem_eq(sent[0].f.payload.p,
			 "{\"AcknowledgedMessageType\":\"input_stream_data\","
			 "\"AcknowledgedMessageId\":\"dd01e56b-ff48-483e-a508-b5f073f31b16\","
			 "\"AcknowledgedMessageSequenceNumber\":0,\"IsSequentialMessage\":true}",
			 sent[0].f.payload.len);
	is_ack(0, 0);
}
END_TEST

START_TEST(test_order_and_repeats)
{
	ck_assert_int_eq(peer("input_stream_data", 2, 1, "c"), 0);
	ck_assert_int_eq(peer("input_stream_data", 1, 1, "b"), 0);
	ck_assert_int_eq(peer("input_stream_data", 2, 1, "c"), 0);
	ck_assert_str_eq(input, "");
	ck_assert_uint_eq(sent_count, 3);
	is_ack(0, 2);
	is_ack(1, 1);
	is_ack(2, 2);
	ck_assert_int_eq(peer("input_stream_data", 0, 3, "a"), 0);
	ck_assert_str_eq(input, "3:a 1:b 1:c ");
	ck_assert_int_eq(peer("input_stream_data", 1, 1, "b"), 0);
	ck_assert_str_eq(input, "3:a 1:b 1:c ");
	ck_assert_uint_eq(sent_count, 5);
	is_ack(4, 1);
}
END_TEST

START_TEST(test_input_that_is_not_ready)
{
	input_result = -EAGAIN;
	ck_assert_int_eq(peer("input_stream_data", 0, 1, "a"), 0);
	ck_assert_int_eq(peer("input_stream_data", 0, 1, "a"), 0);
	ck_assert_int_eq(peer("input_stream_data", 1, 1, "b"), 0);
	ck_assert_int_eq(data_input_ready(d, &e), 0);
	ck_assert_uint_eq(sent_count, 3);
	is_ack(1, 0);
	input_result = 0;
	ck_assert_int_eq(data_input_ready(d, &e), 0);
	ck_assert_str_eq(input, "1:a 1:b ");
	ck_assert_uint_eq(sent_count, 3);
}
END_TEST

START_TEST(test_input_that_fails)
{
	input_result = -EIO;
	ck_assert_int_eq(peer("input_stream_data", 0, 1, "a"), -EIO);
	ck_assert_str_eq(e.text, "not now");
	ck_assert_uint_eq(sent_count, 0);
	input_result = 0;
	ck_assert_int_eq(peer("input_stream_data", 0, 1, "a"), 0);
	is_ack(0, 0);
}
END_TEST

START_TEST(test_input_has_a_ceiling)
{
	autofree char *big = xmalloc(65537);
	int64_t seq = 1;

	memset(big, 'x', 65536);
	big[65536] = 0;
	for (size_t before = SIZE_MAX; before != sent_count; seq++) {
		before = sent_count;
		ck_assert_int_eq(peer("input_stream_data", seq, 1, big), 0);
	}
	ck_assert_int_eq(seq, DATA_REORDER_BYTES / 65536 + 1);
	forget_sent();
	ck_assert_int_eq(peer("input_stream_data", DATA_AHEAD_MAX + 1, 1, "x"), 0);
	ck_assert_int_eq(peer("input_stream_data", INT64_MAX, 1, "x"), 0);
	ck_assert_uint_eq(sent_count, 0);
	ck_assert_int_eq(peer("input_stream_data", DATA_AHEAD_MAX, 1, "x"), 0);
	ck_assert_uint_eq(sent_count, 1);
	input_result = -EAGAIN;
	ck_assert_int_eq(peer("input_stream_data", 0, 1, big), 0);
	ck_assert_uint_eq(sent_count, 1);
}
END_TEST

/* The same bytes, after 200 ms, then twice that, until it has left the window; then rarely. */
START_TEST(test_repeats_without_acknowledgement)
{
	static const int64_t after[] = { 200, 400, 800, 1000, 2000, 4000, 8000, 16000, 30000,
					 30000 };

	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	for (size_t i = 0; i < NELEMS(after); i++) {
		ck_assert_int_eq(timer_ms, after[i]);
		pass(after[i] - 1);
		ck_assert_uint_eq(sent_count, i + 1);
		pass(1);
		ck_assert_uint_eq(sent_count, i + 2);
		ck_assert_uint_eq(sent[i + 1].len, sent[0].len);
		ck_assert_mem_eq(sent[i + 1].bytes, sent[0].bytes, sent[0].len);
	}
	ack(0);
	ck_assert_uint_eq(data_unacked(d), 0);
	ck_assert_int_eq(timer_ms, -1);
}
END_TEST

START_TEST(test_every_overdue_message_is_repeated)
{
	for (int i = 0; i < 5; i++)
		data_send(d, PAYLOAD_OUTPUT, "a", 1);
	ack(0);
	ack(3);
	forget_sent();
	pass(timer_ms); /* they made it later; the timer finds out */
	ck_assert_uint_eq(sent_count, 0);
	pass(timer_ms);
	ck_assert_uint_eq(sent_count, 3);
	is_stream(0, 1);
	is_stream(1, 2);
	is_stream(2, 4);
}
END_TEST

/* Spec 02 §3.3: 7/8 and 3/4 of the old. A repeated message is not measured. */
START_TEST(test_round_trip)
{
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	now_ms += 20;
	ack(0); /* variance 20, mean 90 */
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	ck_assert_int_eq(timer_ms, 170);
	pass(170);
	data_send(d, PAYLOAD_OUTPUT, "b", 1);
	ck_assert_int_eq(timer_ms, 340);
	now_ms += 1;
	ack(1);
	now_ms += 89;
	ack(2); /* variance 15, mean 90 */
	data_send(d, PAYLOAD_OUTPUT, "c", 1);
	ck_assert_int_eq(timer_ms, 150);
}
END_TEST

/* However fast the others are: one that is busy for a moment has lost nothing. */
START_TEST(test_shortest_wait)
{
	for (int i = 0; i < 50; i++) {
		data_send(d, PAYLOAD_OUTPUT, "a", 1);
		ack(i);
	}
	forget_sent();
	pass(10000); /* what it was before */
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	ck_assert_int_eq(timer_ms, 100);
	pass(99);
	ck_assert_uint_eq(sent_count, 1);
	pass(1);
	ck_assert_uint_eq(sent_count, 2);
}
END_TEST

static size_t
fill(void)
{
	static const char chunk[DATA_CHUNK_BYTES];
	size_t n = 0;

	while (data_send(d, PAYLOAD_OUTPUT, chunk, sizeof(chunk)) == 0)
		n++;
	return n;
}

START_TEST(test_window)
{
	size_t n = fill();

	ck_assert_uint_gt(n, DATA_WINDOW_BYTES / DATA_CHUNK_BYTES * 3 / 4);
	ck_assert_uint_le(n, DATA_WINDOW_BYTES / DATA_CHUNK_BYTES);
	ck_assert_int_eq(data_send(d, PAYLOAD_OUTPUT, "a", 1), -EAGAIN);
	for (size_t i = 0; i < n / 2 - 1; i++)
		ack((int64_t)i);
	ck_assert_int_eq(writable_count, 0);
	ack((int64_t)n / 2 - 1);
	ack((int64_t)n / 2);
	ack((int64_t)n / 2 + 1);
	ck_assert_int_eq(writable_count, 1);
	ck_assert_uint_ge(fill(), n / 2);
}
END_TEST

/* The client is there and acknowledges nothing twice: all that is lost is acknowledgements. */
START_TEST(test_lost_acknowledgements_do_not_stop_output)
{
	size_t n = fill();

	pass(200);
	pass(400);
	ck_assert_int_eq(data_send(d, PAYLOAD_OUTPUT, "a", 1), -EAGAIN);
	pass(800);
	ck_assert_int_eq(writable_count, 1);
	ck_assert_int_eq(data_send(d, PAYLOAD_OUTPUT, "a", 1), 0);
	ack((int64_t)n);
	ck_assert_uint_eq(data_unacked(d), n);
	for (int i = 0; i < 6; i++)
		pass(30000);
	data_send(d, PAYLOAD_OUTPUT, "b", 1);
	ack((int64_t)n + 1);
	ck_assert_uint_eq(data_unacked(d), n);
	pass(30000); /* ten times sent, and later ones came through */
	ck_assert_uint_eq(data_unacked(d), 0);
}
END_TEST

START_TEST(test_all_that_is_kept_has_a_ceiling)
{
	size_t n = 0;

	for (int i = 0; i < 100; i++) {
		n += fill();
		pass(5000);
		forget_sent();
	}
	ck_assert_uint_le(n * (DATA_CHUNK_BYTES + FRAME_HEADER_BYTES), DATA_KEPT_BYTES);
	ck_assert_uint_gt(n * (DATA_CHUNK_BYTES + FRAME_HEADER_BYTES), DATA_KEPT_BYTES / 2);
}
END_TEST

START_TEST(test_pause)
{
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	ck_assert_int_eq(peer("pause_publication", 0, 0, ""), 0);
	ck_assert(data_paused(d));
	data_send(d, PAYLOAD_OUTPUT, "b", 1);
	data_send(d, PAYLOAD_OUTPUT, "c", 1);
	data_send_state(d, "Terminating");
	ck_assert_int_eq(timer_ms, -1);
	pass(1000);
	ck_assert_uint_eq(sent_count, 2);
	ck_assert_str_eq(sent[1].f.type, "agent_session_state");
	ck_assert_int_eq(peer("start_publication", 0, 0, ""), 0);
	ck_assert_uint_eq(sent_count, 4);
	is_stream(2, 1);
	is_stream(3, 2);
	ck_assert_int_eq(timer_ms, 0); /* the first one is overdue */
	peer("pause_publication", 0, 0, "");
	ack(0);
	ck_assert(!data_paused(d));
	peer("pause_publication", 0, 0, "");
	peer("input_stream_data", 0, 1, "x");
	ck_assert(!data_paused(d));
	peer("pause_publication", 0, 0, "");
	data_up(d);
	ck_assert(!data_paused(d));
}
END_TEST

START_TEST(test_reconnect)
{
	for (int i = 0; i < 4; i++)
		data_send(d, PAYLOAD_OUTPUT, "a", 1);
	ack(1);
	data_down(d);
	ck_assert_int_eq(timer_ms, -1);
	data_send(d, PAYLOAD_OUTPUT, "b", 1);
	pass(60000);
	ck_assert_uint_eq(sent_count, 4);
	data_up(d);
	ck_assert_uint_eq(sent_count, 8);
	is_stream(4, 0);
	is_stream(5, 2);
	is_stream(6, 3);
	is_stream(7, 4);
	ck_assert_mem_eq(sent[4].bytes, sent[0].bytes, sent[0].len);
	ck_assert_int_eq(peer("input_stream_data", 0, 1, "x"), 0);
	is_ack(8, 0);
}
END_TEST

/* Some clients have digests of their own; of one that has right ones a wrong one is a message that
 * was spoilt, and it is not acknowledged. */
START_TEST(test_digests)
{
	ck_assert_int_eq(peer_spoilt("input_stream_data", 0, "x"), 0);
	is_ack(0, 0);
	ck_assert_int_eq(peer("input_stream_data", 1, 1, "y"), 0);
	is_ack(1, 1);
	ck_assert_int_eq(peer_spoilt("input_stream_data", 2, "z"), -EBADMSG);
	ck_assert_uint_eq(sent_count, 2);
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	ck_assert_int_eq(peer_spoilt("acknowledge", 0, "{\"AcknowledgedMessageSequenceNumber\":0}"),
			 -EBADMSG);
	ck_assert_uint_eq(data_unacked(d), 1);
	ck_assert_int_eq(peer("input_stream_data", 2, 1, "z"), 0);
	is_ack(3, 2);
}
END_TEST

/* What was on its way comes as one burst, not tick by tick, and the same bytes. */
START_TEST(test_outage_of_15_minutes)
{
	size_t n = fill();

	ck_assert_int_ge(DIAL_OUTAGE_MS, 15 * 60 * 1000);
	ck_assert_uint_gt(n, 100);
	ck_assert_uint_eq(sent_count, n);
	data_down(d);
	ck_assert_int_eq(timer_ms, -1);
	now_ms += 15 * 60 * 1000;
	ck_assert_int_eq(data_send(d, PAYLOAD_OUTPUT, "a", 1), -EAGAIN); /* so the program waits */
	data_up(d);
	ck_assert_uint_eq(sent_count, 2 * n);
	for (size_t i = 0; i < n; i++) {
		is_stream(n + i, (int64_t)i);
		ck_assert_uint_eq(sent[n + i].len, sent[i].len);
		ck_assert_mem_eq(sent[n + i].bytes, sent[i].bytes, sent[i].len);
	}
	for (size_t i = 0; i < n; i++)
		ack((int64_t)i);
	ck_assert_uint_eq(data_unacked(d), 0);
}
END_TEST

START_TEST(test_a_full_connection)
{
	took_max = 1;
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	data_send(d, PAYLOAD_OUTPUT, "b", 1);
	peer("input_stream_data", 0, 1, "x");
	ck_assert_uint_eq(sent_count, 1);
	took_max = 2;
	pass(10000);
	ck_assert_uint_eq(sent_count, 1);
	data_ready(d);
	ck_assert_uint_eq(sent_count, 3);
	is_ack(1, 0);
	is_stream(2, 1);
}
END_TEST

START_TEST(test_acknowledgements_have_a_ceiling)
{
	took_max = 0;
	for (int i = 0; i < 2 * DATA_ACKS_MAX; i++)
		ck_assert_int_eq(peer("input_stream_data", 1, 1, "x"), 0);
	data_send_state(d, "Terminating");
	took_max = SIZE_MAX;
	data_ready(d);
	ck_assert_uint_eq(sent_count, DATA_ACKS_MAX + 1);
	ck_assert_str_eq(sent[DATA_ACKS_MAX].f.type, "agent_session_state");
}
END_TEST

START_TEST(test_end)
{
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	data_send(d, PAYLOAD_EXIT_CODE, "EXIT_CODE: 0", 12);
	data_end(d, 1000);
	ck_assert_int_eq(data_send(d, PAYLOAD_OUTPUT, "b", 1), -EPIPE);
	ack(1);
	pass(200);
	ck_assert_int_eq(ended_result, 1);
	is_stream(2, 0);
	peer("input_stream_data", 0, 1, "x");
	is_ack(3, 0);
	ack(0);
	ck_assert_int_eq(ended_result, 0);
	ck_assert_int_eq(timer_ms, -1);
}
END_TEST

START_TEST(test_end_at_the_deadline)
{
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	data_down(d);
	data_end(d, 1000);
	ck_assert_int_eq(timer_ms, 1000);
	pass(999);
	ck_assert_int_eq(ended_result, 1);
	pass(1);
	ck_assert_int_eq(ended_result, -ETIMEDOUT);
	ack(0);
}
END_TEST

START_TEST(test_end_of_nothing)
{
	data_end(d, 1000);
	ck_assert_int_eq(ended_result, 0);
}
END_TEST

START_TEST(test_other_messages)
{
	ck_assert_int_eq(peer("channel_closed", 0, 0, "{\"SessionId\":\"alice-0a1b\"}"), 0);
	ck_assert_int_eq(closed_count, 1);
	ck_assert_int_eq(peer("channel_closed", 0, 0, "{"), -EBADMSG);
	ck_assert_int_eq(closed_count, 1);
	ck_assert_int_eq(peer("agent_job", 0, 0, "{}"), -ENOMSG);
	ck_assert_int_eq(peer("acknowledge", 0, 0, "{"), -EBADMSG);
	ck_assert_int_eq(ack(77), 0);
	ck_assert_int_eq(data_read(d, "x", 1, &e), -EBADMSG);
	ck_assert_uint_eq(sent_count, 0);
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	ck_assert_int_eq(data_send(d, PAYLOAD_OUTPUT, "a", FRAME_MAX_BYTES), -EMSGSIZE);
}
END_TEST

/* An acknowledgement of what was not sent yet is a lie. */
START_TEST(test_early_acknowledgement)
{
	took_max = 0;
	data_send(d, PAYLOAD_OUTPUT, "a", 1);
	ack(0);
	ck_assert_uint_eq(data_unacked(d), 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager data");
	TCase *t = tcase_create("data");

	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, test_acknowledged_acknowledgement);
	tcase_add_test(t, test_first_messages);
	tcase_add_test(t, test_input_is_acknowledged);
	tcase_add_test(t, test_order_and_repeats);
	tcase_add_test(t, test_input_that_is_not_ready);
	tcase_add_test(t, test_input_that_fails);
	tcase_add_test(t, test_input_has_a_ceiling);
	tcase_add_test(t, test_repeats_without_acknowledgement);
	tcase_add_test(t, test_every_overdue_message_is_repeated);
	tcase_add_test(t, test_round_trip);
	tcase_add_test(t, test_shortest_wait);
	tcase_add_test(t, test_window);
	tcase_add_test(t, test_lost_acknowledgements_do_not_stop_output);
	tcase_add_test(t, test_all_that_is_kept_has_a_ceiling);
	tcase_add_test(t, test_pause);
	tcase_add_test(t, test_reconnect);
	tcase_add_test(t, test_digests);
	tcase_add_test(t, test_outage_of_15_minutes);
	tcase_add_test(t, test_a_full_connection);
	tcase_add_test(t, test_acknowledgements_have_a_ceiling);
	tcase_add_test(t, test_end);
	tcase_add_test(t, test_end_at_the_deadline);
	tcase_add_test(t, test_end_of_nothing);
	tcase_add_test(t, test_other_messages);
	tcase_add_test(t, test_early_acknowledgement);
	suite_add_tcase(s, t);
	return run_suite(s);
}
