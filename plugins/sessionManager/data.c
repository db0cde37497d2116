/* SPDX-License-Identifier: Apache-2.0 */
/* The data channel: its connection, its timer, its end. Sending is data_out.c's, receiving
 * data_in.c's. */
#include "plugins/sessionManager/data.h"

#include <errno.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "plugins/sessionManager/data_parts.h"
#include "plugins/sessionManager/messages.h"

struct data *
data_new(const char *session, const struct data_ops *ops, void *arg)
{
	struct data *d = xcalloc(1, sizeof(*d));

	d->session = xstrdup(session);
	d->ops = ops;
	d->arg = arg;
	d->timer_ms = INT64_MAX;
	data_out_init(d);
	data_in_init(d);
	return d;
}

struct data *
data_free(struct data *d)
{
	if (!d)
		return NULL;
	data_out_done(d);
	data_in_done(d);
	mem_cleanup_free(&d->session);
	mem_cleanup_free(&d);
	return NULL;
}

static void
set_timer(struct data *d)
{
	int64_t due = INT64_MAX, now = clock_mono_ms();

	if (d->up && !d->blocked && !d->paused)
		due = data_out_due_ms(d);
	if (d->ending && !d->ended && d->deadline_ms < due)
		due = d->deadline_ms;
	/* Each acknowledgement moves it: later is soon enough when it is there. */
	if (due < INT64_MAX && d->timer_ms <= due)
		return;
	if (due == d->timer_ms)
		return;
	d->timer_ms = due;
	d->ops->timer(d->arg, due == INT64_MAX ? -1 : due > now ? due - now : 0);
}

static void
check_end(struct data *d)
{
	bool late = clock_mono_ms() >= d->deadline_ms;

	if (!d->ending || d->ended || (d->kept_count && !late))
		return;
	d->ended = true;
	d->ops->ended(d->arg, d->kept_count ? -ETIMEDOUT : 0);
}

void
data_pump(struct data *d)
{
	if (data_out_flush_control(d) && !d->paused)
		data_out_flush(d);
	if (d->wants_room && !d->ending && data_out_has_room(d, 2)) {
		d->wants_room = false;
		d->ops->writable(d->arg);
	}
	check_end(d);
	set_timer(d);
}

void
data_up(struct data *d)
{
	d->up = true;
	d->blocked = d->paused = false;
	if (!d->was_up)
		data_send_state(d, "Connected");
	d->was_up = true;
	data_out_requeue_all(d);
	data_pump(d);
}

void
data_down(struct data *d)
{
	d->up = false;
	set_timer(d);
}

void
data_ready(struct data *d)
{
	d->blocked = false;
	data_pump(d);
}

void
data_timer(struct data *d)
{
	d->timer_ms = INT64_MAX;
	if (d->up && !d->blocked && !d->paused)
		data_out_requeue_overdue(d);
	data_pump(d);
}

void
data_send_state(struct data *d, const char *state)
{
	autosbuf struct sbuf text = SBUF_INIT(MESSAGE_MAX_SMALL);

	message_write_state(state, d->session, &text);
	data_out_control(d, "agent_session_state", (struct span){ text.p, text.len });
	if (d->was_up)
		data_pump(d);
}

static int
read_closed(struct data *d, const struct frame *f, struct err *e)
{
	autofree char *session = NULL;
	int r = message_read_closed(f->payload, &session, e);

	if (r >= 0)
		d->ops->closed(d->arg);
	return r;
}

/* Whatever shows that the client is there ends the pause (spec 02 §3.5). */
static int
dispatch(struct data *d, const struct frame *f, struct err *e)
{
	autofree char *type = NULL;
	char id[FRAME_UUID_SIZE] = "";
	int64_t seq;
	int r = 0;

	if (!strcmp(f->type, "pause_publication")) {
		d->paused = true;
	} else if (!strcmp(f->type, "start_publication")) {
		d->paused = false;
	} else if (!strcmp(f->type, "acknowledge")) {
		r = message_read_ack(f->payload, &seq, id, e);
		if (r < 0)
			return r;
		d->paused = false;
		data_out_acked(d, seq, id);
	} else if (!strcmp(f->type, "input_stream_data")) {
		d->paused = false;
		r = data_in_take(d, f, e);
	} else if (!strcmp(f->type, "channel_closed")) {
		r = read_closed(d, f, e);
	} else {
		type = text_quote(f->type, FRAME_TYPE_BYTES);
		r = err_set(e, -ENOMSG, "a message of the unknown type %s is passed over", type);
	}
	return r;
}

/* Some clients compute another digest, in all that they send (spec 02 §2.2): of one that was right
 * once, a wrong one is a message that was spoilt on its way, and comes again. */
static int
check_digest(struct data *d, const struct frame *f, struct err *e)
{
	if (f->intact)
		d->has_digests |= f->payload.len > 0 && !strcmp(f->type, "input_stream_data");
	else if (d->has_digests)
		return err_set(e, -EBADMSG, "%s: the payload is not what its digest says", f->type);
	return 0;
}

int
data_read(struct data *d, const void *frame, size_t len, struct err *e)
{
	struct frame f;
	int r = frame_read(frame, len, &f, e);

	if (r >= 0)
		r = check_digest(d, &f, e);
	if (r < 0)
		return r;
	r = dispatch(d, &f, e);
	data_pump(d);
	return r;
}

void
data_end(struct data *d, int64_t deadline_ms)
{
	if (d->ending)
		return;
	d->ending = true;
	d->deadline_ms = clock_mono_ms() + deadline_ms;
	data_pump(d);
}

size_t
data_unacked(const struct data *d)
{
	return d->kept_count;
}

bool
data_paused(const struct data *d)
{
	return d->paused;
}
