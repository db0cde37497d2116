/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on their way to a node: queued, in flight, acknowledged. */
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "sdk/sandbox/channel.h"
#include "sdk/sandbox/ec2messages.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/store.h"

/* Nobody acknowledged in time: to the front of the queue, because it is older than the others. */
static void
on_visible(void *arg)
{
	struct message *msg = arg;

	if (msg->state != MESSAGE_IN_FLIGHT)
		return;
	msg->state = MESSAGE_QUEUED;
	list_append(msg->node->queue.next, &msg->link);
	node_serve(msg->node);
}

struct message *
message_new(struct sandbox *sb, struct node *node, const char *id, const char *topic,
	    const char *payload)
{
	struct message *msg = xcalloc(1, sizeof(*msg));

	msg->sb = sb;
	msg->node = node;
	msg->id = xstrdup(id);
	msg->topic = xstrdup(topic);
	msg->payload = xstrdup(payload);
	msg->destination = xstrdup(node->id);
	msg->created_ms = clock_wall_ms();
	msg->visible.fn = on_visible;
	msg->visible.arg = msg;
	msg->reply_ids = map_new(NULL);
	list_init(&msg->link);
	map_set(sb->store->messages, id, msg);
	return msg;
}

void
message_free(void *value)
{
	struct message *msg = value;

	timer_cancel(msg->sb->ev, &msg->visible);
	list_remove(&msg->link);
	map_free(msg->reply_ids);
	free(msg->id);
	free(msg->topic);
	free(msg->payload);
	free(msg->destination);
	free(msg);
}

void
message_queue(struct message *msg)
{
	timer_cancel(msg->sb->ev, &msg->visible);
	list_remove(&msg->link);
	msg->state = MESSAGE_QUEUED;
	list_append(&msg->node->queue, &msg->link);
	node_serve(msg->node);
}

/* The payload is kept a while, so that an ended message can be delivered once more. */
static void
keep_recent(struct store *st, struct message *msg)
{
	struct message *old = st->recent[st->recent_at];

	if (old && old->state == MESSAGE_ENDED && old != st->last_acknowledged) {
		free(old->payload);
		old->payload = NULL;
	}
	st->recent[st->recent_at] = msg;
	st->recent_at = (st->recent_at + 1) % RECENT_MESSAGES;
}

void
message_delivered(struct message *msg, int64_t visibility_ms)
{
	list_remove(&msg->link);
	msg->state = MESSAGE_IN_FLIGHT;
	msg->deliveries++;
	timer_in(msg->sb->ev, &msg->visible, visibility_ms);
	if (msg->inv && !msg->cancel)
		invocation_reach(msg->inv, STAGE_DELIVERED);
}

void
message_end(struct message *msg)
{
	if (msg->state == MESSAGE_ENDED)
		return;
	timer_cancel(msg->sb->ev, &msg->visible);
	list_remove(&msg->link);
	msg->state = MESSAGE_ENDED;
	keep_recent(msg->sb->store, msg);
}

void
message_acknowledge(struct message *msg)
{
	msg->sb->store->last_acknowledged = msg;
	if (msg->state == MESSAGE_QUEUED || msg->state == MESSAGE_IN_FLIGHT) {
		timer_cancel(msg->sb->ev, &msg->visible);
		list_remove(&msg->link);
		msg->state = MESSAGE_ACKNOWLEDGED;
	}
	if (!msg->inv)
		return;
	state_touch_command(msg->inv->cmd);
	if (!msg->cancel)
		invocation_reach(msg->inv, STAGE_ACKNOWLEDGED);
}

void
node_serve(struct node *node)
{
	while (!list_empty(&node->queue) && channel_takes(node))
		channel_send_job(node->channel, list_first(&node->queue, struct message, link));
	while (!list_empty(&node->queue) && !list_empty(&node->parked) &&
	       channel_leaves_polls(node))
		if (!ec2messages_answer_first(node))
			break;
}
