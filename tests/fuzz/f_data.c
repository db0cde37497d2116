/* SPDX-License-Identifier: Apache-2.0 */
/* A data channel under any sequence of messages, breaks, pauses and waits: input comes once and in
 * order, what is sent is whole, nothing grows beyond its ceiling or is sent while it is down. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "core/base/clock.h"
#include "plugins/sessionManager/data.h"
#include "plugins/sessionManager/frame.h"
#include "plugins/sessionManager/messages.h"

struct run {
	const uint8_t *p, *end; /* what is left of the input */
	struct data *d;
	int64_t taken; /* messages that were processed */
	bool up, full, not_ready, ended, ending;
};

static int64_t now_ms;

static int64_t
fake_ms(void)
{
	return now_ms;
}

static unsigned int
byte(struct run *r)
{
	return r->p < r->end ? *r->p++ : 0;
}

static int
on_send(void *arg, const void *frame, size_t len)
{
	const struct run *r = arg;
	struct frame f;

	FUZZ_CHECK(r->up);
	if (r->full)
		return -EAGAIN;
	FUZZ_CHECK(frame_read(frame, len, &f, NULL) == 0);
	return 0;
}

static void
on_timer(void *arg, int64_t after_ms)
{
	(void)arg;
	FUZZ_CHECK(after_ms >= -1);
}

/* The payload is the message's number. */
static int
on_input(void *arg, uint32_t type, struct span p, struct err *e)
{
	struct run *r = arg;
	int64_t seq;

	(void)e;
	if (r->not_ready)
		return -EAGAIN;
	FUZZ_CHECK(type == PAYLOAD_OUTPUT && p.len >= sizeof(seq));
	memcpy(&seq, p.p, sizeof(seq));
	FUZZ_CHECK(seq == r->taken);
	r->taken++;
	return 0;
}

static void
on_writable(void *arg)
{
	struct run *r = arg;

	FUZZ_CHECK(!r->ending);
	FUZZ_CHECK(data_send(r->d, PAYLOAD_OUTPUT, "room", 4) == 0);
}

static void
on_closed(void *arg)
{
	(void)arg;
}

static void
on_ended(void *arg, int result)
{
	struct run *r = arg;

	FUZZ_CHECK(r->ending && !r->ended);
	FUZZ_CHECK((result == 0) == (data_unacked(r->d) == 0));
	r->ended = true;
}

static void
peer(struct run *r, const char *type, int64_t seq, const void *p, size_t len)
{
	struct frame f = { .schema = 1, .created_ms = 1, .seq = seq,
			   .payload_type = PAYLOAD_OUTPUT, .payload = { p, len },
			   .id = "dd01e56b-ff48-483e-a508-b5f073f31b16" };
	autosbuf struct sbuf b = SBUF_INIT(FRAME_MAX_BYTES);

	memcpy(f.type, type, strlen(type) + 1);
	FUZZ_CHECK(frame_write(&f, &b, NULL) == 0);
	(void)data_read(r->d, b.p, b.len, NULL);
}

static void
peer_input(struct run *r)
{
	static char payload[65536];
	int64_t seq = r->taken + (int64_t)byte(r) - 16;
	size_t len = sizeof(seq) + byte(r) * 256;

	if (seq < 0)
		seq = 0;
	memcpy(payload, &seq, sizeof(seq));
	peer(r, "input_stream_data", seq, payload, len);
}

static void
peer_ack(struct run *r)
{
	char text[80];

	snprintf(text, sizeof(text), "{\"AcknowledgedMessageSequenceNumber\":%u}", byte(r));
	peer(r, "acknowledge", 0, text, strlen(text));
}

static void
garbage(struct run *r)
{
	size_t len = byte(r), left = (size_t)(r->end - r->p);
	struct err e = { 0, "" };

	len = len < left ? len : left;
	if (data_read(r->d, r->p, len, &e) < 0)
		fuzz_check_message(err_text(&e));
	r->p += len;
}

static void
send_output(struct run *r)
{
	static const char zeros[256 * 64];
	size_t len = byte(r) * 64;
	int result = data_send(r->d, PAYLOAD_OUTPUT, zeros, len);

	FUZZ_CHECK(result == 0 || result == -EAGAIN || (result == -EPIPE && r->ending));
}

static void
set_up(struct run *r, bool up)
{
	r->up = up;
	if (up)
		data_up(r->d);
	else
		data_down(r->d);
}

static void
one(struct run *r)
{
	switch (byte(r) % 16) {
	case 0:
	case 1:
		peer_input(r);
		break;
	case 2:
		peer_ack(r);
		break;
	case 3:
		peer(r, "pause_publication", 0, "", 0);
		break;
	case 4:
		peer(r, "start_publication", 0, "", 0);
		break;
	case 5:
		set_up(r, false);
		break;
	case 6:
		set_up(r, true);
		break;
	case 7:
		now_ms += byte(r) * 50;
		data_timer(r->d);
		break;
	case 8:
		garbage(r);
		break;
	case 9:
		r->not_ready = !r->not_ready;
		if (!r->not_ready)
			data_input_ready(r->d, NULL);
		break;
	case 10:
		r->full = !r->full;
		if (!r->full)
			data_ready(r->d);
		break;
	case 11:
		r->ending = true;
		data_end(r->d, byte(r) * 100);
		break;
	case 12:
		data_send_state(r->d, "Terminating");
		break;
	default:
		send_output(r);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct data_ops ops = { on_send,	  on_timer,  on_input,
					     on_writable, on_closed, on_ended };
	static const struct clock_ops fake = { fake_ms, fake_ms };
	struct run r = { .p = data, .end = data + size };

	clock_replace(&fake);
	now_ms = 1000000;
	r.d = data_new("alice-0a1b", &ops, &r);
	while (r.p < r.end) {
		one(&r);
		FUZZ_CHECK(data_unacked(r.d) <= DATA_KEPT_BYTES / FRAME_HEADER_BYTES);
	}
	r.d = data_free(r.d);
	clock_replace(NULL);
	return 0;
}
