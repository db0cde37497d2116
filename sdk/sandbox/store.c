/* SPDX-License-Identifier: Apache-2.0 */
/* What the service knows: nodes, their messages, commands and their invocations. */
#include "sdk/sandbox/store.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "sdk/sandbox/sessions.h"

static void
free_node(void *value)
{
	struct node *node = value;

	json_decref(node->info);
	free(node->id);
	free(node);
}

struct store *
store_new(void)
{
	struct store *st = xcalloc(1, sizeof(*st));

	st->nodes = map_new(free_node);
	st->messages = map_new(message_free);
	st->commands = map_new(command_free);
	st->sessions = map_new(session_free);
	return st;
}

struct store *
store_free(struct sandbox *sb, struct store *st)
{
	if (!st)
		return NULL;
	(void)sb;
	map_free(st->messages);
	map_free(st->commands);
	map_free(st->sessions);
	map_free(st->nodes);
	free(st->order);
	free(st);
	return NULL;
}

struct node *
store_node(struct sandbox *sb, const char *id, bool create)
{
	struct node *node = map_get(sb->store->nodes, id);

	if (node || !create)
		return node;
	node = xcalloc(1, sizeof(*node));
	node->sb = sb;
	node->id = xstrdup(id);
	list_init(&node->queue);
	list_init(&node->parked);
	map_set(sb->store->nodes, id, node);
	return node;
}
