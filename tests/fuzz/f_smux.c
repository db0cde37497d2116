/* SPDX-License-Identifier: Apache-2.0 */
/* smux as a client sends it: in one piece or in many the same happens, and every byte that a
 * stream got is told once. */
#include "tests/fuzz/fuzz.h"

#include "core/base/sbuf.h"
#include "plugins/sessionManager/smux.h"

struct run {
	struct smux *mux;
	struct sbuf sent, data; /* DATA: of all streams, each byte behind the stream's id */
	size_t opened, gone, ends;
	bool slow; /* takes nothing at first */
};

static size_t
on_send(void *arg, const void *p, size_t len)
{
	struct run *r = arg;

	sbuf_add(&r->sent, p, len);
	return len;
}

static void
on_opened(void *arg, struct smux_stream *s)
{
	(void)s;
	((struct run *)arg)->opened++;
}

/* Each fourth stream's destination is gone; a '!' makes us close one. */
static ssize_t
on_data(void *arg, struct smux_stream *s, const void *p, size_t len)
{
	struct run *r = arg;
	const char *from = p;
	uint32_t id = smux_stream_id(s);

	FUZZ_CHECK(len > 0);
	if (id % 4 == 0)
		return -1;
	if (r->slow)
		return 0;
	for (size_t i = 0; i < len && from[i] != '!'; i++) {
		sbuf_add(&r->data, &id, sizeof(id));
		sbuf_addc(&r->data, from[i]);
	}
	if (memchr(from, '!', len))
		smux_stream_close(s);
	return (ssize_t)len;
}

static void
on_eof(void *arg, struct smux_stream *s)
{
	((struct run *)arg)->ends++;
	FUZZ_CHECK(smux_stream_write(s, "bye", 3) == 3);
	smux_stream_finish(s);
}

static void
on_writable(void *arg, struct smux_stream *s)
{
	(void)arg;
	(void)s;
	FUZZ_CHECK(!"all was taken at once");
}

static void
on_gone(void *arg, struct smux_stream *s)
{
	(void)s;
	((struct run *)arg)->gone++;
}

static void
on_readable(void *arg)
{
	(void)arg;
}

static void
on_timer(void *arg, int64_t after_ms)
{
	(void)arg;
	FUZZ_CHECK(after_ms >= 0);
}

static const struct smux_ops ops = { on_send,	  on_opened, on_data,	  on_eof,
				     on_writable, on_gone,   on_readable, on_timer };

static int
feed(struct run *r, const uint8_t *data, size_t size, size_t piece)
{
	struct err e = { 0, "" };
	int result = 0;

	r->mux = smux_new(&ops, r, true);
	for (size_t at = 0; at < size && result == 0; at += piece)
		result = smux_read(r->mux, data + at, piece < size - at ? piece : size - at, &e);
	if (result < 0)
		fuzz_check_message(err_text(&e));
	r->mux = smux_free(r->mux);
	FUZZ_CHECK(r->opened == r->gone && r->ends <= r->opened);
	FUZZ_CHECK(!r->sent.err && !r->data.err);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole = { .sent = SBUF_INIT(SIZE_MAX), .data = SBUF_INIT(SIZE_MAX) };
	struct run cut = whole, slow = whole;
	size_t piece = size ? 1 + data[0] % 16 : 1;
	int result;

	slow.slow = true;
	if (size > SMUX_KEPT_BYTES)
		return 0;
	result = feed(&whole, data, size, size ? size : 1);
	FUZZ_CHECK(feed(&cut, data, size, piece) == result);
	feed(&slow, data, size, piece);
	FUZZ_CHECK(whole.opened == cut.opened && whole.sent.len == cut.sent.len);
	FUZZ_CHECK(!whole.sent.len || !memcmp(whole.sent.p, cut.sent.p, whole.sent.len));
	FUZZ_CHECK(whole.data.len == cut.data.len && whole.ends == cut.ends && !slow.data.len);
	FUZZ_CHECK(!whole.data.len || !memcmp(whole.data.p, cut.data.p, whole.data.len));
	sbuf_done(&whole.sent);
	sbuf_done(&whole.data);
	sbuf_done(&cut.sent);
	sbuf_done(&cut.data);
	sbuf_done(&slow.sent);
	return 0;
}
