/* SPDX-License-Identifier: Apache-2.0 */
/* The message gateway: CreateControlChannel and CreateDataChannel, JSON in and XML out, and the
 * upgrade of their connections. spec 02 sections 1.2 to 1.4. */
#include "sdk/sandbox/ssmmessages.h"

#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "sdk/sandbox/channel.h"
#include "sdk/sandbox/data_channel.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/store.h"
#include "sdk/sandbox/wsend.h"

#define CONTROL "/v1/control-channel/"
#define TYPE "application/json"

bool
ssmmessages_route(struct exchange *ex)
{
	bool control = text_starts(ex->path, CONTROL), get = strcmp(ex->method, "GET") == 0;

	if (!control && !text_starts(ex->path, DATA_CHANNEL_PATH))
		return false;
	ex->service = "ssmmessages";
	ex->operand = ex->path + (control ? strlen(CONTROL) : strlen(DATA_CHANNEL_PATH));
	ex->operation = xasprintf("%s%sChannel", get ? "Open" : "Create",
				  control ? "Control" : "Data");
	return true;
}

/* The list that the signature names, exactly (spec 02 section 1.3). */
static bool
check_signed(struct exchange *ex, bool rest)
{
	bool token = exchange_header(ex, "x-amz-security-token") != NULL;
	autofree char *wanted =
		xasprintf("SignedHeaders=%shost;x-amz-date%s,", rest ? "content-type;" : "",
			  token ? ";x-amz-security-token" : "");
	const char *given = exchange_header(ex, "authorization");

	if (given && strstr(given, wanted))
		return true;
	exchange_refuse(ex, 400, "InvalidSignatureException", "wanted %s", wanted);
	return false;
}

static bool
check_headers(struct exchange *ex, bool rest)
{
	for (size_t i = 0; i < ex->header_count; i++) {
		const char *name = ex->headers[i].name;

		if (!text_starts(name, "x-amz-") || strcmp(name, "x-amz-date") == 0 ||
		    strcmp(name, "x-amz-security-token") == 0)
			continue;
		exchange_refuse(ex, 400, "ValidationException", "header '%s' is unknown here",
				name);
		return false;
	}
	if (!rest || (exchange_header_count(ex, "content-type") == 1 &&
		      strcmp(exchange_header(ex, "content-type"), TYPE) == 0))
		return true;
	exchange_refuse(ex, 400, "SerializationException", "Content-Type must be '" TYPE "'");
	return false;
}

/* The body byte by byte: its keys have an order, and nothing stands between them. */
static bool
check_body(struct exchange *ex, bool data)
{
	struct err e = { 0 };
	autofree char *wanted = NULL;
	const char *id;

	ex->request = json_parse(ex->body.p ? ex->body.p : "", ex->body.len, "body", &e);
	id = json_str(ex->request, "RequestId", "");
	wanted = xasprintf("{\"MessageSchemaVersion\":\"1.0\",\"RequestId\":\"%s\"%s}", id,
			   data ? ",\"ClientId\":\"\"" : "");
	if (strlen(id) == 36 && id[14] == '4' && strcmp(wanted, sbuf_str(&ex->body)) == 0)
		return true;
	exchange_refuse(ex, 400, "SerializationException", "the body is not %s", wanted);
	return false;
}

static bool
check_who(struct exchange *ex, struct node **ret)
{
	*ret = store_node(ex->sb, ex->operand, false);
	if (ex->side == KEY_NODE && *ret)
		return true;
	exchange_refuse(ex, 403, "AccessDeniedException",
			"not authorized to perform: ssmmessages:%s on %s", ex->operation,
			ex->operand);
	return false;
}

/* The token holds what XML has to escape. */
static void
create_control_channel(struct exchange *ex, struct node *node)
{
	char uuid[RAND_UUID_SIZE];
	autofree char *text = NULL;

	rand_uuid4(uuid);
	(void)snprintf(node->control_token, sizeof(node->control_token), "<%s>&+/=\xc3\xbc", uuid);
	text = xasprintf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			 "<CreateControlChannelResponse "
			 "xmlns=\"http://ssmmessages.amazonaws.com/doc/2017-11-09/\">"
			 "<MessageSchemaVersion>1.0</MessageSchemaVersion>"
			 "<StreamUrl>wss://ssmmessages.%s.amazonaws.com/v1/control-channel/%s?"
			 "role=subscribe&amp;stream=input</StreamUrl>"
			 "<TokenValue>&lt;%s&gt;&amp;+/&#61;&#xfc;</TokenValue>"
			 "</CreateControlChannelResponse>",
			 ex->sb->set.region, node->id, uuid);
	exchange_answer(ex, 201, "application/xml", text, strlen(text));
}

static char *
escaped(const char *token)
{
	static const char from[] = "<>&";
	static const char *const to[] = { "&lt;", "&#62;", "&amp;" };
	struct sbuf out = SBUF_INIT(1024);

	for (; *token; token++) {
		const char *found = strchr(from, *token);

		if (found)
			(void)sbuf_adds(&out, to[found - from]);
		else
			(void)sbuf_addc(&out, *token);
	}
	return sbuf_take(&out, NULL);
}

/* A session that can still be joined. */
static struct session *
check_session(struct exchange *ex)
{
	struct session *s = data_channel_session(ex);

	if (!s)
		exchange_refuse(ex, 400, "ValidationException", "there is no session '%.100s'",
				ex->operand);
	else if (s->status >= SESSION_TERMINATING)
		exchange_refuse(ex, 400, "ValidationException", "Session is already terminated");
	else
		return s;
	return NULL;
}

static bool
check_node_side(struct exchange *ex)
{
	if (ex->side == KEY_NODE)
		return true;
	exchange_refuse(ex, 403, "AccessDeniedException",
			"not authorized to perform: ssmmessages:%s on %s", ex->operation,
			ex->operand);
	return false;
}

static void
create_data_channel(struct exchange *ex)
{
	struct session *s = check_node_side(ex) ? check_session(ex) : NULL;
	autofree char *token = NULL, *text = NULL;

	if (!s)
		return;
	token = escaped(session_token(s, SIDE_NODE));
	text = xasprintf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			 "<CreateDataChannelResponse "
			 "xmlns=\"http://ssmmessages.amazonaws.com/doc/2017-11-09/\">"
			 "<MessageSchemaVersion>1.0</MessageSchemaVersion>"
			 "<TokenValue>%s</TokenValue>"
			 "</CreateDataChannelResponse>",
			 token);
	exchange_answer(ex, 201, "application/xml", text, strlen(text));
}

static void
rest(struct exchange *ex)
{
	bool data = strcmp(ex->operation, "CreateDataChannel") == 0;
	struct node *node;

	if (!check_signed(ex, true) || !check_headers(ex, true) || !check_body(ex, data))
		return;
	if (*ex->query)
		exchange_refuse(ex, 400, "ValidationException", "a query is not taken");
	else if (data)
		create_data_channel(ex);
	else if (check_who(ex, &node))
		create_control_channel(ex, node);
}

static void
upgrade_node_data(struct exchange *ex)
{
	if (strcmp(ex->query, DATA_CHANNEL_NODE_QUERY) != 0 || ex->body.len)
		exchange_refuse(ex, 400, "ValidationException",
				"the query is " DATA_CHANNEL_NODE_QUERY ", and there is no body");
	else if (check_node_side(ex) && check_session(ex))
		wsend_accept(ex, &data_channel_ops[SIDE_NODE]);
}

static void
upgrade(struct exchange *ex)
{
	struct node *node;

	if (!check_signed(ex, false) || !check_headers(ex, false))
		return;
	if (strcmp(ex->operation, "OpenControlChannel") != 0)
		upgrade_node_data(ex);
	else if (strcmp(ex->query, "role=subscribe&stream=input") != 0 || ex->body.len)
		exchange_refuse(ex, 400, "ValidationException",
				"the query is role=subscribe&stream=input, and there is no body");
	else if (check_who(ex, &node))
		wsend_accept(ex, &channel_ops);
}

/* A session may be over before its operator comes, who is told then. */
static void
join_as_operator(struct exchange *ex)
{
	const struct session *s = data_channel_session(ex);

	if ((s && session_takes_operator(s)) || check_session(ex))
		wsend_accept(ex, &data_channel_ops[SIDE_OPERATOR]);
}

void
ssmmessages_request(struct exchange *ex)
{
	rand_uuid4(ex->request_id);
	/* Of the operator's client, the token is all that there is. */
	if (strcmp(ex->operation, "OpenDataChannel") == 0 &&
	    !exchange_header(ex, "authorization") &&
	    strcmp(ex->query, DATA_CHANNEL_OPERATOR_QUERY) == 0) {
		join_as_operator(ex);
		return;
	}
	if (!dispatch_check_signature(ex))
		return;
	if (strcmp(ex->method, "POST") == 0)
		rest(ex);
	else if (strcmp(ex->method, "GET") == 0)
		upgrade(ex);
	else
		exchange_refuse(ex, 405, "UnknownOperationException", "%s", ex->method);
}
