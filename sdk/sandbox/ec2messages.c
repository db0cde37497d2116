/* SPDX-License-Identifier: Apache-2.0 */
/* The message delivery service: long poll, acknowledge, reply, fail. */
#include "sdk/sandbox/ec2messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/channel.h"
#include "sdk/sandbox/control.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/store.h"

#define VISIBILITY_S 10

/* ---- GetMessages ---- */

static json_t *
message_json(const struct message *msg)
{
	char created[TEXT_STAMP_SIZE], digest[DIGEST_SHA256_HEX_SIZE];

	text_iso8601_ms(msg->created_ms, created);
	digest_sha256_hex(msg->payload, strlen(msg->payload), digest);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "CreatedDate", created, "Destination",
			 msg->destination, "MessageId", msg->id, "Payload", msg->payload,
			 "PayloadDigest", digest, "Topic", msg->topic);
}

static json_t *
take_messages(struct node *node, int64_t visibility_ms)
{
	json_t *list = json_array();
	int64_t room = node->sb->set.max_messages;

	while (room-- > 0 && !list_empty(&node->queue)) {
		struct message *msg = list_first(&node->queue, struct message, link);
		json_t *item = message_json(msg);

		message_delivered(msg, visibility_ms);
		if (item)
			json_array_append_new(list, item);
	}
	return list;
}

static void
answer_poll(struct exchange *ex, struct node *node, json_t *messages)
{
	exchange_answer_json(ex,
			     json_pack("{s:s, s:s, s:o}", "Destination", node->id,
				       "MessagesRequestId",
				       json_str(ex->request, "MessagesRequestId", ""), "Messages",
				       messages));
}

bool
ec2messages_answer_first(struct node *node)
{
	struct exchange *ex = list_first(&node->parked, struct exchange, parked);

	if (!ex || list_empty(&node->queue))
		return false;
	answer_poll(ex, node, take_messages(node, ex->visibility_ms));
	return true;
}

static struct node *
node_of(struct exchange *ex)
{
	return store_node(ex->sb, json_str(ex->request, "Destination", ""), false);
}

static void
on_poll_end(void *arg)
{
	struct exchange *ex = arg;

	answer_poll(ex, node_of(ex), json_array());
}

/* Two polls of one node: the older one belongs to an agent that is gone, or soon will be. */
static void
end_older_polls(struct node *node)
{
	list_each(it, tmp, &node->parked) {
		struct exchange *ex = list_entry(it, struct exchange, parked);

		on_poll_end(ex);
	}
}

static void
park(struct exchange *ex, struct node *node)
{
	end_older_polls(node);
	list_append(&node->parked, &ex->parked);
	ex->timer.fn = on_poll_end;
	ex->timer.arg = ex;
	timer_in(ex->sb->ev, &ex->timer, ex->sb->set.poll_ms);
	exchange_watch_hangup(ex, NULL);
}

/* A message that was acknowledged comes again, as it can after a failure inside the service. */
static void
duplicate(struct exchange *ex, struct node *node)
{
	struct message *msg = ex->sb->store->last_acknowledged;

	if (ex->fault.kind != FAULT_DUPLICATE || !msg || !msg->payload || msg->node != node)
		return;
	answer_poll(ex, node, json_pack("[o]", message_json(msg)));
	msg->deliveries++;
}

static void
get_messages(struct exchange *ex)
{
	struct node *node = node_of(ex);

	if (!node) {
		exchange_refuse(ex, 400, "InvalidDestinationException", "unknown destination");
		return;
	}
	node->polls++;
	control_on_node(ex->sb, node);
	ex->visibility_ms =
		json_int(ex->request, "VisibilityTimeoutInSeconds", VISIBILITY_S) * 1000;
	duplicate(ex, node);
	if (ex->state != EXCHANGE_WORKING)
		return;
	if (list_empty(&node->queue) || !channel_leaves_polls(node))
		park(ex, node);
	else
		answer_poll(ex, node, take_messages(node, ex->visibility_ms));
}

/* ---- the others ---- */

static struct message *
message_of(struct exchange *ex)
{
	const char *id = json_str(ex->request, "MessageId", "");
	struct message *msg = map_get(ex->sb->store->messages, id);

	if (msg)
		return msg;
	exchange_refuse(ex, 400, "InvalidMessageIdException", "no message '%.100s'", id);
	return NULL;
}

static void
acknowledge_message(struct exchange *ex)
{
	struct message *msg = message_of(ex);

	if (!msg)
		return;
	message_acknowledge(msg);
	exchange_answer_json(ex, json_object());
}

static void
delete_message(struct exchange *ex)
{
	struct message *msg = message_of(ex);

	if (!msg)
		return;
	message_end(msg);
	exchange_answer_json(ex, json_object());
}

static void
fail_message(struct exchange *ex)
{
	struct message *msg = message_of(ex);

	if (!msg)
		return;
	message_end(msg);
	if (msg->inv && !msg->cancel)
		invocation_set(msg->inv, STATUS_FAILED, "Undeliverable");
	exchange_answer_json(ex, json_object());
}

static void
send_reply(struct exchange *ex)
{
	const char *reply = json_str(ex->request, "ReplyId", "");
	struct message *msg = message_of(ex);
	const char *text = json_str(ex->request, "Payload", "");
	struct err e = { 0 };
	bool again;

	if (!msg)
		return;
	ex->payload = json_parse(text, strlen(text), "Payload", &e);
	again = map_get(msg->reply_ids, reply) != NULL;
	if (!ex->payload || (!again && reply_apply(msg, ex->payload, &e) < 0)) {
		exchange_refuse(ex, 400, "ValidationException", "%s", err_text(&e));
		return;
	}
	map_set(msg->reply_ids, reply, msg);
	exchange_answer_json(ex,
			     json_pack("{s:s, s:s, s:s, s:s}", "Description", "", "MessageId",
				       msg->id, "ReplyId", reply, "ReplyStatus",
				       again ? "NoActionTaken" : "Created"));
}

static void
get_endpoint(struct exchange *ex)
{
	autofree char *host = xstrdup(exchange_header(ex, "host"));

	exchange_answer_json(ex, json_pack("{s:s}", "Endpoint", host ? host : ""));
}

static const char *const failure_types[] = { "InternalHandlerException", "NoHandlerExists", NULL };
static const char *const pushes[] = { "EVENTUALLY", "ASAP", NULL };
static const struct shape endpoint_members[] = {
	{ .name = "Destination", .type = SHAPE_STRING, .required = true, .min = 10 },
	{ .name = NULL },
};
static const struct shape poll_members[] = {
	{ .name = "Destination", .type = SHAPE_STRING, .required = true, .min = 10 },
	{ .name = "MessagesRequestId", .type = SHAPE_STRING, .required = true, .min = 16 },
	{ .name = "NextToken", .type = SHAPE_STRING },
	{ .name = "VisibilityTimeoutInSeconds", .type = SHAPE_INTEGER, .min = 1, .max = 43200 },
	{ .name = NULL },
};
static const struct shape message_members[] = {
	{ .name = "MessageId", .type = SHAPE_STRING, .required = true, .min = 16 },
	{ .name = NULL },
};
static const struct shape fail_members[] = {
	{ .name = "FailureType", .type = SHAPE_STRING, .required = true, .allowed = failure_types },
	{ .name = "MessageId", .type = SHAPE_STRING, .required = true, .min = 16 },
	{ .name = NULL },
};
static const struct shape option_members[] = {
	{ .name = "ExpiresAfter", .type = SHAPE_STRING, .min = 1 },
	{ .name = "ReplacementKey", .type = SHAPE_STRING },
	{ .name = "SchedulePush", .type = SHAPE_STRING, .allowed = pushes },
	{ .name = NULL },
};
static const struct shape reply_members[] = {
	{ .name = "DeliveryOptions", .type = SHAPE_STRUCT, .inner = option_members },
	{ .name = "MessageId", .type = SHAPE_STRING, .required = true, .min = 16 },
	{ .name = "Payload", .type = SHAPE_STRING, .required = true },
	{ .name = "ReplyId", .type = SHAPE_STRING, .required = true, .min = 16 },
	{ .name = NULL },
};

const struct operation ec2messages_operations[] = {
	{ "GetMessages", true, false, poll_members, get_messages },
	{ "AcknowledgeMessage", true, false, message_members, acknowledge_message },
	{ "SendReply", true, false, reply_members, send_reply },
	{ "FailMessage", true, false, fail_members, fail_message },
	{ "DeleteMessage", true, false, message_members, delete_message },
	{ "GetEndpoint", true, false, endpoint_members, get_endpoint },
	{ NULL, false, false, NULL, NULL },
};
