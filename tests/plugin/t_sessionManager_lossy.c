/* SPDX-License-Identifier: Apache-2.0 */
/* The data channel over a connection that drops, repeats, reorders, delays, damages and breaks,
 * against a client that keeps the rules of spec 02 §3 and §11: it acknowledges nothing twice and
 * repeats only its oldest message. Bytes must be intact both ways in thousands of runs; a run is
 * its seed, SSM_LOSSY_SEED=n repeats one. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "plugins/sessionManager/data.h"
#include "plugins/sessionManager/frame.h"
#include "plugins/sessionManager/messages.h"
#include "tests/unit/suite.h"

/* SSM_LOSSY_RUNS=N says otherwise. Fewer where each of them is slow. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define RUNS "200"
#else
#define RUNS "2000"
#endif
#define NEVER INT64_MAX
#define START_MS 1700000000000
#define TICK_MS 100	   /* the client's, spec 02 §3.1 */
#define CLIENT_UNACKED 16  /* it waits then; its real buffer is 10 000 */
#define CLIENT_BUFFER 10000
#define END_MS (10 * 60 * 1000)

struct packet {
	struct list link;
	int64_t at;
	bool to_agent;
	size_t len;
	unsigned char bytes[];
};

struct weather { /* chances in 1000 */
	int drop, twice, damage, full, not_ready, pause;
	int64_t delay_ms, spread_ms, cut_ms; /* CUT_MS: about so often; 0: never */
};

static uint64_t seed, state;
static int64_t now_ms;
static struct weather weather;
static struct list wire = LIST_INIT(wire);

static struct {
	struct data *d;
	int64_t timer_at, ready_at, room_at, up_at, cut_at;
	size_t offered, total; /* output */
	size_t got;	       /* input */
	bool early_end, ended;
} agent;

static struct {
	int64_t expected, next_seq, tick_at;
	struct { char *p; size_t len; } held[CLIENT_BUFFER];
	size_t held_count;
	size_t offered, total; /* input */
	size_t got;	       /* output */
	struct { int64_t seq, sent_ms; size_t from, len; } out[CLIENT_UNACKED];
	size_t out_count;
} client;

/* splitmix64: any seed will do. */
static uint64_t
next_random(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static int64_t
between(int64_t lo, int64_t hi)
{
	return lo + (int64_t)(next_random() % (uint64_t)(hi - lo + 1));
}

static bool
chance(int in_1000)
{
	return between(0, 999) < in_1000;
}

static void
fill_random(void *p, size_t len)
{
	unsigned char *to = p;

	while (len--)
		*to++ = (unsigned char)next_random();
}

static int64_t
fake_ms(void)
{
	return now_ms;
}

static unsigned char
byte_at(size_t i, bool input)
{
	return (unsigned char)(i * 31 + (i >> 8) * 17 + (input ? 101 : 3));
}

static void
pattern(char *to, size_t from, size_t len, bool input)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (char)byte_at(from + i, input);
}

static void
intact(const char *p, size_t from, size_t len, bool input)
{
	size_t i = 0;

	while (i < len && (unsigned char)p[i] == byte_at(from + i, input))
		i++;
	ck_assert_msg(i == len, "seed %llu: byte %zu of the %s", (unsigned long long)seed, from + i,
		      input ? "input" : "output");
}

static void
put_on_wire(const void *bytes, size_t len, bool to_agent)
{
	struct packet *p = xcalloc(1, sizeof(*p) + len);
	struct list *it = wire.prev;

	memcpy(p->bytes, bytes, len);
	p->len = len;
	p->to_agent = to_agent;
	p->at = now_ms + weather.delay_ms + between(0, weather.spread_ms);
	while (it != &wire && list_entry(it, struct packet, link)->at > p->at)
		it = it->prev;
	list_append(it->next, &p->link);
	if (chance(weather.damage)) { /* where length or, at the client, digest can tell */
		size_t at = (size_t)(to_agent ? between(112, 115) : between(80, (int64_t)len - 5));

		p->bytes[at < 112 ? at : at + 4] ^= (unsigned char)(1 << between(0, 7));
	}
}

static void
send_packet(const void *bytes, size_t len, bool to_agent)
{
	if (agent.up_at != NEVER || chance(weather.drop))
		return;
	put_on_wire(bytes, len, to_agent);
	if (chance(weather.twice))
		put_on_wire(bytes, len, to_agent);
}

static void
clear_wire(void)
{
	list_each(it, next, &wire) {
		struct packet *p = list_entry(it, struct packet, link);

		list_remove(it);
		mem_cleanup_free(&p);
	}
}

static void
cut(void)
{
	clear_wire();
	agent.room_at = NEVER;
	agent.up_at = now_ms + between(20, 3000);
	if (weather.cut_ms)
		agent.cut_at = agent.up_at + between(1, 2 * weather.cut_ms);
}

/* The agent's side. */

static int
on_send(void *arg, const void *frame, size_t len)
{
	(void)arg;
	if (agent.up_at != NEVER)
		return -EPIPE;
	if (chance(weather.full)) {
		agent.room_at = now_ms + between(1, 60);
		return -EAGAIN;
	}
	if (weather.cut_ms && chance(2)) {
		cut();
		return -EPIPE;
	}
	send_packet(frame, len, false);
	return 0;
}

static void
on_timer(void *arg, int64_t after_ms)
{
	(void)arg;
	agent.timer_at = after_ms < 0 ? NEVER : now_ms + after_ms;
}

static int
on_input(void *arg, uint32_t type, struct span p, struct err *e)
{
	(void)arg;
	(void)e;
	if (chance(weather.not_ready)) {
		agent.ready_at = now_ms + between(1, 300);
		return -EAGAIN;
	}
	ck_assert_uint_eq(type, PAYLOAD_OUTPUT);
	intact(p.p, agent.got, p.len, true);
	agent.got += p.len;
	return 0;
}

static void
offer(void *arg)
{
	char chunk[DATA_CHUNK_BYTES];

	(void)arg;
	while (agent.offered < agent.total) {
		size_t left = agent.total - agent.offered;
		size_t len = (size_t)between(1, sizeof(chunk));

		len = len < left ? len : left;
		pattern(chunk, agent.offered, len, false);
		if (data_send(agent.d, PAYLOAD_OUTPUT, chunk, len) == -EAGAIN)
			return;
		agent.offered += len;
	}
}

static void
on_closed(void *arg)
{
	(void)arg;
	ck_abort_msg("seed %llu: closed", (unsigned long long)seed);
}

/* What was not acknowledged by now was received all the same. */
static void
on_ended(void *arg, int result)
{
	(void)arg;
	agent.ended = true;
	ck_assert_msg(client.got == agent.total, "seed %llu: the end came (%d) at %zu of %zu bytes",
		      (unsigned long long)seed, result, client.got, agent.total);
}

static const struct data_ops ops = { on_send, on_timer,	 on_input,
				     offer,   on_closed, on_ended };

/* The client's side. */

static void
client_frame(const char *type, int64_t seq, uint32_t payload_type, const void *p, size_t len)
{
	struct frame f = { .schema = 1, .created_ms = (uint64_t)now_ms, .seq = seq,
			   .payload_type = payload_type, .payload = { p, len } };
	autosbuf struct sbuf b = SBUF_INIT(FRAME_MAX_BYTES);

	memcpy(f.type, type, strlen(type) + 1);
	rand_uuid4(f.id);
	ck_assert_int_eq(frame_write(&f, &b, NULL), 0);
	send_packet(b.p, b.len, true);
}

static void
client_ack(const struct frame *f)
{
	autosbuf struct sbuf text = SBUF_INIT(4096);

	message_write_ack(f, &text);
	client_frame("acknowledge", 0, 0, text.p, text.len);
}

static void
client_process(const char *p, size_t len)
{
	intact(p, client.got, len, false);
	client.got += len;
	client.expected++;
}

static void
client_process_held(void)
{
	for (;;) {
		size_t i = (size_t)client.expected % CLIENT_BUFFER;

		if (!client.held[i].p)
			return;
		client_process(client.held[i].p, client.held[i].len);
		mem_cleanup_free(&client.held[i].p);
		client.held[i].p = NULL;
		client.held_count--;
	}
}

static void
client_stream(const struct frame *f)
{
	size_t i = (size_t)f->seq % CLIENT_BUFFER;

	if (f->seq == client.expected) {
		ck_assert_uint_eq(f->flags, f->seq ? 0 : FRAME_SYN);
		client_process(f->payload.p, f->payload.len);
		client_ack(f);
		client_process_held();
	} else if (f->seq > client.expected && f->seq - client.expected < CLIENT_BUFFER &&
		   client.held_count < CLIENT_BUFFER && !client.held[i].p) {
		client.held[i].p = xmemdup(f->payload.p, f->payload.len);
		client.held[i].len = f->payload.len;
		client.held_count++;
		client_ack(f);
	}
}

static void
client_acked(struct span payload)
{
	char id[FRAME_UUID_SIZE];
	int64_t seq;

	ck_assert_int_eq(message_read_ack(payload, &seq, id, NULL), 0);
	for (size_t i = 0; i < client.out_count; i++) {
		if (client.out[i].seq != seq)
			continue;
		memmove(client.out + i, client.out + i + 1,
			(client.out_count - i - 1) * sizeof(*client.out));
		client.out_count--;
		return;
	}
}

static void
client_read(const struct packet *p)
{
	struct frame f;

	if (frame_read(p->bytes, p->len, &f, NULL) < 0 || !f.intact)
		return;
	if (!strcmp(f.type, "output_stream_data"))
		client_stream(&f);
	else if (!strcmp(f.type, "acknowledge"))
		client_acked(f.payload);
}

static void
client_send(size_t i)
{
	char chunk[DATA_CHUNK_BYTES];

	pattern(chunk, client.out[i].from, client.out[i].len, true);
	client_frame("input_stream_data", client.out[i].seq, PAYLOAD_OUTPUT, chunk,
		     client.out[i].len);
}

static void
client_tick(void)
{
	client.tick_at = now_ms + TICK_MS;
	if (client.out_count && now_ms - client.out[0].sent_ms > 2 * TICK_MS)
		client_send(0);
	while (client.offered < client.total && client.out_count < CLIENT_UNACKED) {
		size_t i = client.out_count++, left = client.total - client.offered;
		size_t len = (size_t)between(1, DATA_CHUNK_BYTES);

		client.out[i].seq = client.next_seq++;
		client.out[i].sent_ms = now_ms;
		client.out[i].from = client.offered;
		client.out[i].len = len < left ? len : left;
		client.offered += client.out[i].len;
		client_send(i);
	}
}

/* The service's: these come through. */
static void
publication(const char *type, int64_t after_ms)
{
	unsigned char bytes[FRAME_HEADER_BYTES] = { 0 };
	struct packet *p = xcalloc(1, sizeof(*p) + sizeof(bytes));

	memcpy(bytes + 4, type, strlen(type));
	memcpy(p->bytes, bytes, sizeof(bytes));
	p->len = sizeof(bytes);
	p->to_agent = true;
	p->at = now_ms + after_ms;
	list_append(wire.next, &p->link);
	for (struct list *it = p->link.next; it != &wire &&
	     list_entry(it, struct packet, link)->at < p->at; it = p->link.next) {
		list_remove(&p->link);
		list_append(it->next, &p->link);
	}
}

static void
deliver(void)
{
	struct packet *p = list_first(&wire, struct packet, link);

	list_remove(&p->link);
	if (p->to_agent)
		(void)data_read(agent.d, p->bytes, p->len, NULL);
	else
		client_read(p);
	mem_cleanup_free(&p);
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool
due(int64_t *at)
{
	if (*at > now_ms)
		return false;
	*at = NEVER;
	return true;
}

/* One moment: everything that happens at the earliest time there is. */
static void
step(void)
{
	struct packet *p = list_first(&wire, struct packet, link);
	int64_t next = least(p ? p->at : NEVER, least(agent.timer_at, agent.ready_at));

	next = least(next, least(agent.room_at, least(agent.up_at, agent.cut_at)));
	now_ms = least(next, client.tick_at) > now_ms ? least(next, client.tick_at) : now_ms;
	if (due(&agent.up_at)) {
		clear_wire();
		data_up(agent.d);
	}
	if (due(&agent.cut_at)) {
		cut();
		data_down(agent.d);
	}
	if (due(&agent.room_at))
		data_ready(agent.d);
	if (due(&agent.timer_at))
		data_timer(agent.d);
	if (due(&agent.ready_at))
		ck_assert_int_eq(data_input_ready(agent.d, NULL), 0);
	if (due(&client.tick_at)) {
		if (chance(weather.pause) && agent.up_at == NEVER) {
			publication("pause_publication", 0);
			publication("start_publication", between(1, 2000));
		}
		client_tick();
	}
	p = list_first(&wire, struct packet, link);
	if (p && p->at <= now_ms)
		deliver();
}

static void
begin(uint64_t with, size_t output, size_t input)
{
	seed = state = with;
	now_ms = START_MS;
	memset(&agent, 0, sizeof(agent));
	memset(&client, 0, sizeof(client));
	agent.timer_at = agent.ready_at = agent.room_at = agent.up_at = agent.cut_at = NEVER;
	agent.total = output;
	client.total = input;
	client.tick_at = now_ms;
	agent.d = data_new("alice-0a1b", &ops, NULL);
}

/* RET: the milliseconds it took until all was there. */
static int64_t
run(void)
{
	bool ending = false;
	int64_t done_ms = 0;

	if (weather.cut_ms)
		agent.cut_at = now_ms + between(1, 2 * weather.cut_ms);
	data_up(agent.d);
	offer(NULL);
	while (!agent.ended || agent.got < client.total || client.out_count) {
		step();
		ck_assert_msg(now_ms < START_MS + 6 * 3600 * 1000, "seed %llu hangs: output %zu of "
			      "%zu, input %zu of %zu, %zu not acknowledged",
			      (unsigned long long)seed, client.got, agent.total, agent.got,
			      client.total, data_unacked(agent.d));
		if (!done_ms && client.got == agent.total && agent.got == client.total)
			done_ms = now_ms - START_MS;
		if (!ending && agent.offered == agent.total &&
		    (agent.early_end || agent.got == client.total)) {
			ending = true;
			data_end(agent.d, END_MS);
		}
	}
	agent.d = data_free(agent.d);
	clear_wire();
	for (size_t i = 0; i < CLIENT_BUFFER; i++)
		mem_cleanup_free(&client.held[i].p);
	return done_ms;
}

static void
one_run(uint64_t with)
{
	begin(with, 0, 0);
	agent.total = (size_t)between(0, 40000);
	client.total = (size_t)between(0, 10000);
	agent.early_end = chance(300);
	weather = (struct weather){
		.drop = (int)(chance(300) ? 0 : between(1, 250)),
		.twice = (int)(chance(300) ? 0 : between(1, 250)),
		.damage = (int)(chance(300) ? 0 : between(1, 100)),
		.full = (int)(chance(300) ? 0 : between(1, 100)),
		.not_ready = (int)(chance(300) ? 0 : between(1, 200)),
		.pause = (int)(chance(700) ? 0 : between(1, 50)),
		.delay_ms = between(0, 200),
		.spread_ms = chance(300) ? 0 : between(1, 400),
		.cut_ms = chance(600) ? 0 : between(1500, 8000),
	};
	run();
}

START_TEST(test_thousands_of_runs)
{
	const char *one = secure_getenv("SSM_LOSSY_SEED");
	const char *wanted = secure_getenv("SSM_LOSSY_RUNS");
	uint64_t runs = strtoull(wanted ? wanted : RUNS, NULL, 10);

	ck_assert_uint_gt(runs, 0);
	if (one)
		one_run(strtoull(one, NULL, 10));
	for (uint64_t i = 0; !one && i < runs; i++)
		one_run(i);
}
END_TEST

/* More than the client's and our windows hold, with losses both ways. */
START_TEST(test_much_output)
{
	begin(1, 8 * 1024 * 1024, 100000);
	weather = (struct weather){ .drop = 20, .twice = 20, .delay_ms = 5, .spread_ms = 10 };
	run();
}
END_TEST

/* A window each round trip, not a chunk each millisecond (spec 02 §3.7). */
START_TEST(test_speed_of_a_good_connection)
{
	int64_t took;

	begin(1, 4 * 1024 * 1024, 0);
	weather = (struct weather){ .delay_ms = 10 };
	took = run();
	ck_assert_msg(took < 1500, "4 MiB took %lld ms at a round trip of 20 ms", (long long)took);
}
END_TEST

/* All of one window again at once, where the reference sends ten messages a second. */
START_TEST(test_speed_after_an_outage)
{
	begin(1, 200000, 0);
	weather = (struct weather){ .delay_ms = 10 };
	agent.d = data_free(agent.d);
	agent.d = data_new("alice-0a1b", &ops, NULL);
	data_up(agent.d);
	offer(NULL);
	cut();
	data_down(agent.d);
	agent.cut_at = NEVER;
	while (agent.up_at != NEVER)
		step();
	for (int64_t up = now_ms; client.got < agent.total; step())
		ck_assert_int_lt(now_ms - up, 100);
	run();
}
END_TEST

static void
start(void)
{
	static const struct clock_ops fake = { fake_ms, fake_ms };

	clock_replace(&fake);
	rand_replace(fill_random);
}

static void
stop(void)
{
	clock_replace(NULL);
	rand_replace(NULL);
}

static void
add(Suite *s, const char *name, const TTest *test)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, start, stop);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, test);
	suite_add_tcase(s, t);
}

int
main(void)
{
	Suite *s = suite_create("sessionManager lossy");

	add(s, "runs", test_thousands_of_runs);
	add(s, "much", test_much_output);
	add(s, "speed", test_speed_of_a_good_connection);
	add(s, "outage", test_speed_after_an_outage);
	return run_suite(s);
}
