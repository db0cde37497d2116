/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving half of the data channel: each message processed once, in order, and acknowledged
 * whenever it comes (spec 02 §3.4). */
#include <errno.h>
#include <string.h>

#include "core/base/mem.h"
#include "plugins/sessionManager/data_parts.h"
#include "plugins/sessionManager/messages.h"

void
data_in_init(struct data *d)
{
	list_init(&d->store);
}

static void
in_free(struct data *d, struct data_in *m)
{
	list_remove(&m->link);
	d->store_bytes -= sizeof(*m) + m->len;
	mem_cleanup_free(&m);
}

void
data_in_done(struct data *d)
{
	list_each(it, next, &d->store)
		in_free(d, list_entry(it, struct data_in, link));
}

static void
acknowledge(struct data *d, const struct frame *f)
{
	autosbuf struct sbuf text = SBUF_INIT(MESSAGE_MAX_SMALL);

	message_write_ack(f, &text);
	data_out_control(d, "acknowledge", (struct span){ text.p, text.len });
}

/* The last stored message whose number is not above SEQ, or the list's head. */
static struct list *
place_of(struct data *d, int64_t seq)
{
	struct list *it = d->store.prev;

	while (it != &d->store && list_entry(it, struct data_in, link)->seq > seq)
		it = it->prev;
	return it;
}

/* Whether F is kept now, or was already. */
static bool
keep(struct data *d, const struct frame *f)
{
	struct list *before = place_of(d, f->seq);
	struct data_in *m;

	if (before != &d->store && list_entry(before, struct data_in, link)->seq == f->seq)
		return true;
	if (f->seq - d->expected > DATA_AHEAD_MAX ||
	    d->store_bytes + sizeof(*m) + f->payload.len > DATA_REORDER_BYTES)
		return false;
	m = xcalloc(1, sizeof(*m) + f->payload.len);
	m->seq = f->seq;
	m->type = f->payload_type;
	m->len = f->payload.len;
	if (m->len)
		memcpy(m->payload, f->payload.p, m->len);
	d->store_bytes += sizeof(*m) + m->len;
	list_append(before->next, &m->link);
	return true;
}

/* They were acknowledged when they came. */
static int
process_store(struct data *d, struct err *e)
{
	for (;;) {
		struct data_in *m = list_first(&d->store, struct data_in, link);
		int r;

		if (!m || m->seq != d->expected)
			return 0;
		r = d->ops->input(d->arg, m->type, (struct span){ m->payload, m->len }, e);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		d->expected++;
		in_free(d, m);
	}
}

/* The next one, and not even kept: after it those that waited for it. */
static int
process(struct data *d, const struct frame *f, struct err *e)
{
	int r = d->ops->input(d->arg, f->payload_type, f->payload, e);

	if (r == -EAGAIN) {
		if (keep(d, f))
			acknowledge(d, f);
		return 0;
	}
	if (r < 0)
		return r;
	acknowledge(d, f);
	d->expected++;
	return process_store(d, e);
}

int
data_in_take(struct data *d, const struct frame *f, struct err *e)
{
	struct data_in *first = list_first(&d->store, struct data_in, link);

	if (f->seq == d->expected && !(first && first->seq == f->seq))
		return process(d, f, e);
	if (f->seq < d->expected || keep(d, f))
		acknowledge(d, f);
	return 0;
}

int
data_input_ready(struct data *d, struct err *e)
{
	int r = process_store(d, e);

	data_pump(d);
	return r;
}
