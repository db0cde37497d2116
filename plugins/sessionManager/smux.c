/* SPDX-License-Identifier: Apache-2.0 */
/* smux version 1: frames from and to a byte stream, and the table of streams. */
#include "plugins/sessionManager/smux.h"

#include <errno.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"

enum { VERSION = 1 };
enum command { SYN = 0, FIN = 1, PSH = 2, NOP = 3 };

/* What streams write, and as much again of FINs, stops the reading; one read adds at most a FIN for
 * each of its frames. */
#define OUT_STALL (2 * SMUX_OUT_BYTES)
#define OUT_MAX (8 * 1024 * 1024)

struct smux_stream {
	struct list link;
	struct smux *mux;
	void *user;
	uint32_t id;
	bool peer_done, eof_told, done; /* its FIN, told to the owner, ours */
	bool wants_room, dead;
	struct sbuf kept; /* from KEPT_AT on */
	size_t kept_at;
};

struct smux {
	const struct smux_ops *ops;
	void *arg;
	struct list streams;
	size_t stream_count, kept_bytes;
	struct smux_stream *latest; /* that was looked up, or NULL */

	unsigned char header[SMUX_HEADER_BYTES]; /* of the frame that comes in */
	size_t header_len, body_left;
	uint32_t body_id;
	bool broken, stalled;

	struct sbuf out; /* from OUT_AT on */
	size_t out_at;
	bool flushing, flush_again, sweep;

	bool keep_alive, heard;
	int64_t nop_ms, check_ms; /* when the next is due */
	int depth;		  /* of calls inside, streams are freed at the outmost */
};

static void
set_timer(struct smux *m)
{
	int64_t due = m->nop_ms < m->check_ms ? m->nop_ms : m->check_ms, now = clock_mono_ms();

	if (m->keep_alive)
		m->ops->timer(m->arg, due > now ? due - now : 0);
}

struct smux *
smux_new(const struct smux_ops *ops, void *arg, bool keep_alive)
{
	struct smux *m = xcalloc(1, sizeof(*m));

	m->ops = ops;
	m->arg = arg;
	m->keep_alive = keep_alive;
	m->nop_ms = clock_mono_ms() + SMUX_NOP_MS;
	m->check_ms = clock_mono_ms() + SMUX_SILENCE_MS;
	list_init(&m->streams);
	sbuf_init(&m->out, OUT_MAX);
	set_timer(m);
	return m;
}

static void
stream_free(struct smux_stream *s)
{
	struct smux *m = s->mux;

	m->ops->gone(m->arg, s);
	if (m->latest == s)
		m->latest = NULL;
	list_remove(&s->link);
	m->stream_count--;
	m->kept_bytes -= s->kept.len - s->kept_at;
	sbuf_done(&s->kept);
	mem_cleanup_free(&s);
}

struct smux *
smux_free(struct smux *m)
{
	if (!m)
		return NULL;
	m->depth++;
	list_each(it, next, &m->streams)
		stream_free(list_entry(it, struct smux_stream, link));
	sbuf_done(&m->out);
	mem_cleanup_free(&m);
	return NULL;
}

/* send() may lead back here; the bytes it has in hand are not offered twice. */
static void
flush(struct smux *m)
{
	m->flush_again = true;
	if (m->flushing)
		return;
	m->flushing = true;
	while (m->flush_again && m->out.len > m->out_at) {
		m->flush_again = false;
		m->out_at += m->ops->send(m->arg, m->out.p + m->out_at, m->out.len - m->out_at);
	}
	m->flushing = false;
	if (m->out_at == m->out.len || m->out_at > SMUX_OUT_BYTES) {
		sbuf_consume(&m->out, m->out_at);
		m->out_at = 0;
	}
}

static size_t
out_room(const struct smux *m)
{
	size_t used = m->out.len - m->out_at;

	return used < SMUX_OUT_BYTES ? SMUX_OUT_BYTES - used : 0;
}

/* Streams in turn: who was served goes to the end. */
static void
wake_writers(struct smux *m)
{
	size_t left = m->stream_count;

	while (left-- && out_room(m)) {
		struct smux_stream *s = list_first(&m->streams, struct smux_stream, link);

		list_remove(&s->link);
		list_append(&m->streams, &s->link);
		if (!s->wants_room || s->dead || s->done)
			continue;
		s->wants_room = false;
		m->ops->writable(m->arg, s);
	}
}

static void
enter(struct smux *m)
{
	m->depth++;
}

/* Forgotten: its id may come again. */
static bool
is_over(const struct smux_stream *s)
{
	return s->dead || (s->done && s->eof_told);
}

static void
sweep(struct smux *m)
{
	m->sweep = false;
	list_each(it, next, &m->streams) {
		struct smux_stream *s = list_entry(it, struct smux_stream, link);

		if (is_over(s))
			stream_free(s);
	}
}

static bool
is_full(const struct smux *m, size_t part)
{
	return m->kept_bytes >= SMUX_KEPT_BYTES / part ||
		m->out.len - m->out_at >= OUT_STALL / part;
}

static void
leave(struct smux *m)
{
	while (m->depth == 1 && m->sweep)
		sweep(m);
	if (--m->depth || !m->stalled || is_full(m, 2))
		return;
	m->stalled = false;
	m->ops->readable(m->arg);
}

static void
put_frame(struct smux *m, enum command cmd, uint32_t id, const void *p, size_t len)
{
	const unsigned char h[SMUX_HEADER_BYTES] = {
		VERSION, (unsigned char)cmd, (unsigned char)len, (unsigned char)(len >> 8),
		(unsigned char)id, (unsigned char)(id >> 8), (unsigned char)(id >> 16),
		(unsigned char)(id >> 24),
	};

	sbuf_add(&m->out, h, sizeof(h));
	sbuf_add(&m->out, p, len);
}

static struct smux_stream *
find(struct smux *m, uint32_t id)
{
	if (m->latest && m->latest->id == id && !is_over(m->latest))
		return m->latest;
	list_each(it, next, &m->streams) {
		struct smux_stream *s = list_entry(it, struct smux_stream, link);

		if (s->id == id && !is_over(s))
			return m->latest = s;
	}
	return NULL;
}

static void
mark_dead(struct smux_stream *s)
{
	s->dead = s->mux->sweep = true;
}

static void
finish(struct smux_stream *s)
{
	if (!s->done && !s->mux->broken) {
		put_frame(s->mux, FIN, s->id, "", 0);
		flush(s->mux);
	}
	s->done = s->mux->sweep = true;
}

/* What data() took of P, all if the stream is closed. */
static size_t
give(struct smux_stream *s, const void *p, size_t len)
{
	ssize_t n = s->mux->ops->data(s->mux->arg, s, p, len);

	if (n < 0) {
		finish(s);
		mark_dead(s);
		return len;
	}
	return (size_t)n < len ? (size_t)n : len;
}

static void
give_kept(struct smux_stream *s)
{
	struct smux *m = s->mux;
	size_t left = s->kept.len - s->kept_at, n;

	while (left && !s->dead) {
		n = give(s, s->kept.p + s->kept_at, left);
		if (!n)
			break;
		s->kept_at += n;
		m->kept_bytes -= n;
		left -= n;
	}
	if (!left) {
		sbuf_done(&s->kept);
		s->kept_at = 0;
	} else if (s->kept_at > s->kept.len / 2) {
		sbuf_consume(&s->kept, s->kept_at);
		s->kept_at = 0;
	}
	if (!left && s->peer_done && !s->eof_told && !s->dead) {
		s->eof_told = m->sweep = true;
		m->ops->eof(m->arg, s);
	}
}

static void
take_data(struct smux_stream *s, const unsigned char *p, size_t len)
{
	size_t n = 0;

	if (!s || s->peer_done) /* closed already, or never opened: discarded */
		return;
	if (!s->kept.len)
		n = give(s, p, len);
	if (n == len || s->dead)
		return;
	sbuf_add(&s->kept, p + n, len - n);
	s->mux->kept_bytes += len - n;
}

static void
open_stream(struct smux *m, uint32_t id)
{
	struct smux_stream *s;

	if (find(m, id))
		return;
	if (m->stream_count >= SMUX_STREAMS_MAX) {
		put_frame(m, FIN, id, "", 0);
		flush(m);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->mux = m;
	s->id = id;
	sbuf_init(&s->kept, SIZE_MAX); /* their sum has the ceiling */
	list_append(&m->streams, &s->link);
	m->stream_count++;
	m->ops->opened(m->arg, s);
}

static int
broken(struct smux *m, struct err *e)
{
	m->broken = true;
	return err_set(e, -EPROTO, "the client's stream is not smux version 1 (version %u, command "
		       "%u); the session ends", m->header[0], m->header[1]);
}

static int
take_header(struct smux *m, struct err *e)
{
	const unsigned char *h = m->header;
	uint32_t id = h[4] | (uint32_t)h[5] << 8 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 24;
	size_t len = h[2] | (size_t)h[3] << 8;
	struct smux_stream *s;

	m->heard = true;
	if (h[0] != VERSION || h[1] > NOP || (len && h[1] != PSH))
		return broken(m, e);
	if (h[1] == SYN)
		open_stream(m, id);
	s = h[1] == FIN ? find(m, id) : NULL;
	if (s && !s->peer_done) {
		s->peer_done = true;
		give_kept(s);
	}
	m->body_left = len;
	m->body_id = id;
	m->header_len = 0;
	return 0;
}

int
smux_read(struct smux *m, const void *p, size_t len, struct err *e)
{
	const unsigned char *from = p;
	int r = 0;

	if (m->broken)
		return broken(m, e);
	if (is_full(m, 1)) {
		m->stalled = true;
		return -EAGAIN;
	}
	enter(m);
	while (len && r >= 0) {
		size_t want = m->body_left ? m->body_left : sizeof(m->header) - m->header_len;
		size_t n = want < len ? want : len;

		if (m->body_left) {
			take_data(find(m, m->body_id), from, n);
			m->body_left -= n;
		} else {
			memcpy(m->header + m->header_len, from, n);
			m->header_len += n;
			if (m->header_len == sizeof(m->header))
				r = take_header(m, e);
		}
		from += n;
		len -= n;
	}
	leave(m);
	return r;
}

void
smux_writable(struct smux *m)
{
	enter(m);
	flush(m);
	wake_writers(m);
	leave(m);
}

int
smux_timer(struct smux *m, struct err *e)
{
	int64_t now = clock_mono_ms();

	if (now >= m->check_ms) {
		if (!m->heard)
			return err_set(e, -ETIMEDOUT, "nothing came from the client for %d s; the "
				       "session ends", SMUX_SILENCE_MS / 1000);
		m->heard = false;
		m->check_ms = now + SMUX_SILENCE_MS;
	}
	if (now >= m->nop_ms) {
		m->nop_ms = now + SMUX_NOP_MS;
		if (out_room(m))
			put_frame(m, NOP, 0, "", 0);
		flush(m);
	}
	set_timer(m);
	return 0;
}

void
smux_stream_set(struct smux_stream *s, void *user)
{
	s->user = user;
}

void *
smux_stream_user(const struct smux_stream *s)
{
	return s->user;
}

uint32_t
smux_stream_id(const struct smux_stream *s)
{
	return s->id;
}

ssize_t
smux_stream_write(struct smux_stream *s, const void *p, size_t len)
{
	struct smux *m = s->mux;
	size_t taken = 0;

	if (s->done || m->broken)
		return -EPIPE;
	while (taken < len && out_room(m)) {
		size_t n = len - taken < SMUX_FRAME_MAX ? len - taken : SMUX_FRAME_MAX;

		n = n < out_room(m) ? n : out_room(m);
		put_frame(m, PSH, s->id, (const char *)p + taken, n);
		taken += n;
		flush(m);
	}
	s->wants_room |= taken < len;
	return (ssize_t)taken;
}

void
smux_stream_ready(struct smux_stream *s)
{
	struct smux *m = s->mux;

	enter(m);
	if (!s->dead)
		give_kept(s);
	leave(m);
}

void
smux_stream_finish(struct smux_stream *s)
{
	struct smux *m = s->mux;

	enter(m);
	finish(s);
	leave(m);
}

void
smux_stream_close(struct smux_stream *s)
{
	struct smux *m = s->mux;

	enter(m);
	finish(s);
	mark_dead(s);
	leave(m);
}
