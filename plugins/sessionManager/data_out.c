/* SPDX-License-Identifier: Apache-2.0 */
/* The sending half of the data channel: what is unacknowledged, and when it is sent again. */
#include <errno.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "plugins/sessionManager/data_parts.h"

#define RTT_FIRST_MS 100 /* spec 02 §3.1 */
#define RTO_FIRST_MS 200
#define RTO_MIN_MS 100 /* the reference looks each 100 ms; a busy machine is no lossy one */
#define RTO_MAX_MS 5000
#define FRESH_TRIES 3		/* after so many without an answer it leaves the window */
#define STALE_FIRST_MS 1000	/* then it is sent after this, doubling */
#define STALE_MAX_MS 30000
#define SURE_TRIES 10 /* so often, and later ones arrived: only its acknowledgement was lost */

#define UNACKED_FLAGS (FRAME_SYN | FRAME_FIN) /* of what is not part of the stream, spec 02 §2.2 */

void
data_out_init(struct data *d)
{
	list_init(&d->control);
	list_init(&d->queue);
	list_init(&d->flying);
	list_init(&d->stale);
	d->stale_due_ms = INT64_MAX;
	d->rtt_ms = RTT_FIRST_MS;
	d->rto_ms = RTO_FIRST_MS;
}

static void
out_free(struct data_out *m)
{
	list_remove(&m->link);
	mem_cleanup_free(&m);
}

static void
list_free(struct list *l)
{
	list_each(it, next, l)
		out_free(list_entry(it, struct data_out, link));
}

void
data_out_done(struct data *d)
{
	list_free(&d->control);
	list_free(&d->queue);
	list_free(&d->flying);
	list_free(&d->stale);
}

static struct data_out *
out_new(struct frame *f)
{
	autosbuf struct sbuf b = SBUF_INIT(FRAME_MAX_BYTES);
	struct data_out *m;

	f->schema = 1;
	f->created_ms = (uint64_t)clock_wall_ms();
	rand_uuid4(f->id);
	if (frame_write(f, &b, NULL) < 0)
		return NULL;
	m = xcalloc(1, sizeof(*m) + b.len);
	memcpy(m->frame, b.p, b.len);
	m->len = b.len;
	m->seq = f->seq;
	return m;
}

void
data_out_control(struct data *d, const char *type, struct span payload)
{
	struct frame f = { .flags = UNACKED_FLAGS, .payload = payload };
	struct data_out *m;

	if (d->control_count >= DATA_ACKS_MAX && !strcmp(type, "acknowledge"))
		return;
	memcpy(f.type, type, strlen(type) + 1);
	m = out_new(&f);
	if (!m)
		return;
	memcpy(d->alone[d->alone_next++ % NELEMS(d->alone)], f.id, sizeof(f.id));
	list_append(&d->control, &m->link);
	d->control_count++;
}

/* There are clients that acknowledge acknowledgements, too, by the number in their frames, which is
 * that of the first message of the stream. */
static bool
is_alone(const struct data *d, const char *id)
{
	for (size_t i = 0; *id && i < NELEMS(d->alone); i++)
		if (strcmp(d->alone[i], id) == 0)
			return true;
	return false;
}

/* Whether it was taken. */
static bool
transmit(struct data *d, const struct data_out *m)
{
	int r;

	if (!d->up || d->blocked)
		return false;
	r = d->ops->send(d->arg, m->frame, m->len);
	if (r == -EAGAIN)
		d->blocked = true;
	else if (r < 0)
		d->up = false;
	return r >= 0;
}

bool
data_out_flush_control(struct data *d)
{
	list_each(it, next, &d->control) {
		struct data_out *m = list_entry(it, struct data_out, link);

		if (!transmit(d, m))
			return false;
		out_free(m);
		d->control_count--;
	}
	return d->up && !d->blocked;
}

static size_t
cost(const struct data_out *m)
{
	return sizeof(*m) + m->len;
}

/* When M, which was sent, is overdue. */
static int64_t
overdue_at(const struct data *d, const struct data_out *m)
{
	int64_t wait = STALE_FIRST_MS;

	if (!m->stale)
		return m->sent_ms + d->rto_ms;
	for (unsigned int n = FRESH_TRIES + 1; n < m->tries && wait < STALE_MAX_MS; n++)
		wait *= 2;
	return m->sent_ms + (wait < STALE_MAX_MS ? wait : STALE_MAX_MS);
}

static void
was_sent(struct data *d, struct data_out *m)
{
	m->sent_ms = clock_mono_ms();
	m->last_turn = ++d->turn;
	m->first_turn = m->first_turn ? m->first_turn : m->last_turn;
	m->tries++;
	if (!m->stale && m->tries > FRESH_TRIES) {
		m->stale = true;
		d->fresh_bytes -= cost(m);
	}
	list_remove(&m->link);
	list_append(m->stale ? &d->stale : &d->flying, &m->link);
	if (m->stale && overdue_at(d, m) < d->stale_due_ms)
		d->stale_due_ms = overdue_at(d, m);
}

void
data_out_flush(struct data *d)
{
	struct data_out *m;

	while ((m = list_first(&d->queue, struct data_out, link)) && transmit(d, m))
		was_sent(d, m);
}

static void
forget(struct data *d, struct data_out *m)
{
	if (!m->stale)
		d->fresh_bytes -= cost(m);
	d->kept_bytes -= cost(m);
	d->kept_count--;
	out_free(m);
	if (list_empty(&d->stale))
		d->stale_due_ms = INT64_MAX;
}

static struct data_out *
find(struct list *l, int64_t seq)
{
	list_each(it, next, l) {
		struct data_out *m = list_entry(it, struct data_out, link);

		if (m->seq == seq)
			return m;
	}
	return NULL;
}

/* Spec 02 §3.3, but only of messages that were sent once: else nobody knows which one it was. */
static void
measure(struct data *d, int64_t sample_ms)
{
	double sample = (double)sample_ms, off = d->rtt_ms - sample, spread, rto;

	d->rttvar_ms = 0.75 * d->rttvar_ms + 0.25 * (off < 0 ? -off : off);
	d->rtt_ms = 0.875 * d->rtt_ms + 0.125 * sample;
	spread = 4 * d->rttvar_ms > 10 ? 4 * d->rttvar_ms : 10;
	rto = d->rtt_ms + spread;
	d->rto_ms = rto > RTO_MAX_MS ? RTO_MAX_MS : rto < RTO_MIN_MS ? RTO_MIN_MS : (int64_t)rto;
}

void
data_out_acked(struct data *d, int64_t seq, const char *id)
{
	struct data_out *m;

	if (is_alone(d, id))
		return;
	m = find(&d->flying, seq);
	if (!m)
		m = find(&d->stale, seq);
	if (!m)
		m = find(&d->queue, seq);
	if (!m || !m->first_turn)
		return;
	if (m->first_turn > d->proof)
		d->proof = m->first_turn;
	if (!m->repeated)
		measure(d, clock_mono_ms() - m->sent_ms);
	forget(d, m);
}

/* Into the queue, by its number. */
static void
requeue(struct data *d, struct data_out *m)
{
	struct list *it = d->queue.prev;

	m->repeated = true;
	while (it != &d->queue && list_entry(it, struct data_out, link)->seq > m->seq)
		it = it->prev;
	list_remove(&m->link);
	list_append(it->next, &m->link);
}

static void
requeue_stale(struct data *d, int64_t now)
{
	int64_t due = INT64_MAX;

	list_each(it, next, &d->stale) {
		struct data_out *m = list_entry(it, struct data_out, link);
		int64_t at = overdue_at(d, m);

		if (at > now)
			due = at < due ? at : due;
		else if (m->tries >= SURE_TRIES && d->proof > m->last_turn)
			forget(d, m);
		else
			requeue(d, m);
	}
	d->stale_due_ms = due;
}

/* A burst that is overdue is one sign of a slower path, not many. */
static void
back_off(struct data *d, int64_t now)
{
	if (now - d->backed_off_ms < d->rto_ms)
		return;
	d->backed_off_ms = now;
	d->rto_ms = 2 * d->rto_ms > RTO_MAX_MS ? RTO_MAX_MS : 2 * d->rto_ms;
}

void
data_out_requeue_overdue(struct data *d)
{
	int64_t now = clock_mono_ms();
	struct data_out *m;
	bool any = false;

	if (d->stale_due_ms <= now)
		requeue_stale(d, now);
	while ((m = list_first(&d->flying, struct data_out, link)) && overdue_at(d, m) <= now) {
		requeue(d, m);
		any = true;
	}
	if (any)
		back_off(d, now);
}

/* What was on its way when the connection broke has not been tried yet. */
void
data_out_requeue_all(struct data *d)
{
	list_each(it, next, &d->stale)
		requeue(d, list_entry(it, struct data_out, link));
	d->stale_due_ms = INT64_MAX;
	list_each(it, next, &d->flying) {
		struct data_out *m = list_entry(it, struct data_out, link);

		m->tries = 0;
		requeue(d, m);
	}
}

int64_t
data_out_due_ms(const struct data *d)
{
	const struct data_out *m = list_first(&d->flying, struct data_out, link);
	int64_t due = m ? overdue_at(d, m) : INT64_MAX;

	return d->stale_due_ms < due ? d->stale_due_ms : due;
}

bool
data_out_has_room(const struct data *d, size_t part)
{
	return d->fresh_bytes <= DATA_WINDOW_BYTES - DATA_WINDOW_BYTES / part &&
		d->kept_bytes <= DATA_KEPT_BYTES - DATA_WINDOW_BYTES / part;
}

int
data_send(struct data *d, uint32_t payload_type, const void *p, size_t len)
{
	struct frame f = { .type = "output_stream_data", .seq = d->next_seq,
			   .flags = d->next_seq ? 0 : FRAME_SYN, .payload_type = payload_type,
			   .payload = { p, len } };
	struct data_out *m;

	if (d->ending)
		return -EPIPE;
	if (!len)
		return 0;
	if (d->fresh_bytes >= DATA_WINDOW_BYTES || d->kept_bytes >= DATA_KEPT_BYTES) {
		d->wants_room = true;
		return -EAGAIN;
	}
	m = out_new(&f);
	if (!m)
		return -EMSGSIZE;
	d->next_seq++;
	list_append(&d->queue, &m->link);
	d->fresh_bytes += cost(m);
	d->kept_bytes += cost(m);
	d->kept_count++;
	data_pump(d);
	return 0;
}
