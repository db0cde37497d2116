/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on their way to one end, and what faults do to them there. */
#include "sdk/sandbox/lane.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/mem.h"

#define REORDER_MS 300 /* a frame that waits for the next one waits no longer */

/* A frame that is later than it should be. */
struct held {
	struct list link;
	struct lane *lane;
	struct timer timer;
	bool for_next; /* goes behind the next one */
	char *data;
	size_t len;
};

void
lane_init(struct lane *lane, struct sandbox *sb, struct wsend *ws)
{
	lane->sb = sb;
	lane->ws = ws;
	list_init(&lane->held);
}

static void
held_free(struct held *h)
{
	timer_cancel(h->lane->sb->ev, &h->timer);
	list_remove(&h->link);
	free(h->data);
	free(h);
}

void
lane_done(struct lane *lane)
{
	while (!list_empty(&lane->held))
		held_free(list_first(&lane->held, struct held, link));
}

static void
release(struct held *h)
{
	wsend_message(h->lane->ws, false, h->data, h->len);
	held_free(h);
}

static void
on_held(void *arg)
{
	release(arg);
}

static void
hold(struct lane *lane, const char *data, size_t len, int64_t ms, bool for_next)
{
	struct held *h = xcalloc(1, sizeof(*h));

	h->lane = lane;
	h->for_next = for_next;
	h->data = xmemdup(data, len);
	h->len = len;
	h->timer.fn = on_held;
	h->timer.arg = h;
	list_append(&lane->held, &h->link);
	timer_in(lane->sb->ev, &h->timer, ms);
}

static void
release_behind(struct lane *lane)
{
	list_each(it, tmp, &lane->held) {
		struct held *h = list_entry(it, struct held, link);

		if (h->for_next)
			release(h);
	}
}

static void
send_one(struct lane *lane, const char *data, size_t len, const struct fault_hit *hit)
{
	if (hit->kind == FAULT_REORDER) {
		hold(lane, data, len, REORDER_MS, true);
		return;
	}
	if (hit->delay_ms) {
		hold(lane, data, len, hit->delay_ms, false);
		return;
	}
	wsend_message(lane->ws, false, data, len);
	if (hit->kind == FAULT_DUPLICATE)
		wsend_message(lane->ws, false, data, len);
	release_behind(lane);
}

void
lane_send(struct lane *lane, const void *data, size_t len, const struct fault_hit *hit)
{
	size_t at = (size_t)hit->keep_bytes;

	if (hit->kind == FAULT_CORRUPT && at < len) {
		autofree char *spoilt = xmemdup(data, len);

		spoilt[at] = (char)(spoilt[at] ^ 0x55);
		send_one(lane, spoilt, len, hit);
	} else if (hit->kind != FAULT_DROP) {
		send_one(lane, data, len, hit);
	}
}
