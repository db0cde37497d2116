/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of commands, invocations and nodes, page by page. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/page.h"
#include "sdk/sandbox/ssm_operator.h"

/* ---- filters of commands and invocations ---- */

static bool
time_fits(const char *value, int64_t requested_ms, bool after)
{
	int64_t limit;

	if (text_from_iso8601(value, &limit) < 0)
		return false;
	return after ? requested_ms > limit : requested_ms < limit;
}

static bool
status_fits(const char *value, enum status s, const char *details)
{
	return strcmp(value, status_name(s)) == 0 || strcmp(value, details) == 0;
}

static bool
stage_fits(const char *value, enum status s)
{
	return s >= STATUS_SUCCESS ? strcmp(value, "Complete") == 0
				   : strcmp(value, "Executing") == 0;
}

static bool
filter_fits(const json_t *filter, const struct command *cmd, enum status s, const char *details)
{
	const char *key = json_str(filter, "key", ""), *value = json_str(filter, "value", "");

	if (strcmp(key, "InvokedAfter") == 0)
		return time_fits(value, cmd->requested_ms, true);
	if (strcmp(key, "InvokedBefore") == 0)
		return time_fits(value, cmd->requested_ms, false);
	if (strcmp(key, "Status") == 0)
		return status_fits(value, s, details);
	if (strcmp(key, "ExecutionStage") == 0)
		return stage_fits(value, s);
	return strcmp(value, cmd->document) == 0;
}

static bool
is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(*words, s) == 0)
			return true;
	return false;
}

/* What ListCommands and ListCommandInvocations look for differs. */
static bool
check_filter(struct exchange *ex, const json_t *filter, bool invocations)
{
	static const char *const of_commands[] = {
		"Pending",	    "InProgress",	"Success",
		"Cancelled",	    "Failed",		"TimedOut",
		"AccessDenied",	    "DeliveryTimedOut", "Incomplete",
		"Cancelling",	    "LimitExceeded",	"ExecutionTimedOut",
		"NoInstancesInTag", "RateExceeded",	NULL
	};
	static const char *const of_invocations[] = {
		"Pending",	"InProgress",	    "Success",
		"Cancelled",	"Failed",	    "TimedOut",
		"AccessDenied", "DeliveryTimedOut", "InvalidPlatform",
		"Delayed",	"Undeliverable",    "ExecutionTimedOut",
		"Terminated",	"Cancelling",	    NULL
	};
	static const char *const stages[] = { "Executing", "Complete", NULL };
	const char *key = json_str(filter, "key", ""), *value = json_str(filter, "value", "");
	bool good = true;
	int64_t ignored;

	if (strcmp(key, "ExecutionStage") == 0 && invocations) {
		exchange_refuse(ex, 400, "InvalidFilterKey",
				"ExecutionStage is no filter of invocations.");
		return false;
	}
	if (strcmp(key, "ExecutionStage") == 0)
		good = is_one_of(value, stages);
	else if (strcmp(key, "Status") == 0)
		good = is_one_of(value, invocations ? of_invocations : of_commands);
	else if (strcmp(key, "DocumentName") != 0)
		good = text_from_iso8601(value, &ignored) == 0;
	if (!good)
		exchange_refuse(ex, 400, "ValidationException",
				"'%.128s' is no value of the filter %s.", value, key);
	return good;
}

static bool
filters_check(struct exchange *ex, bool invocations)
{
	const json_t *filter;
	size_t i;

	json_array_foreach(json_object_get(ex->request, "Filters"), i, filter)
		if (!check_filter(ex, filter, invocations))
			return false;
	return true;
}

static bool
filters_fit(struct exchange *ex, const struct command *cmd, enum status s, const char *details)
{
	const json_t *filter;
	size_t i;

	json_array_foreach(json_object_get(ex->request, "Filters"), i, filter)
		if (!filter_fits(filter, cmd, s, details))
			return false;
	return true;
}

/* A command id that nobody gave out is an error for ListCommands and an empty list of invocations;
 * both are what the service does. */
static bool
command_fits(struct exchange *ex, const struct command *cmd)
{
	const char *id = json_str(ex->request, "CommandId", NULL);

	return !id || strcmp(id, cmd->id) == 0;
}

/* Newest first. With a command id there is one candidate only. */
static struct command *
candidate(struct exchange *ex, size_t place)
{
	struct store *st = ex->sb->store;
	const char *id = json_str(ex->request, "CommandId", NULL);

	if (id)
		return place ? NULL : map_get(st->commands, id);
	return place < st->order_count ? st->order[st->order_count - 1 - place] : NULL;
}

void
ssm_list_commands(struct exchange *ex)
{
	const char *instance = json_str(ex->request, "InstanceId", NULL);
	const char *id = json_str(ex->request, "CommandId", NULL), *details;
	struct command *cmd;
	struct page page;

	if (id && !map_get(ex->sb->store->commands, id)) {
		exchange_refuse(ex, 400, "InvalidCommandId", "%s", "");
		return;
	}
	if (!filters_check(ex, false) || !page_begin(ex, &page, PAGE_MAX))
		return;
	for (size_t i = page.at; (cmd = candidate(ex, i)); i++) {
		enum status s = command_status(cmd, &details);

		if (!command_fits(ex, cmd) || !filters_fit(ex, cmd, s, details) ||
		    (instance && !command_invocation(cmd, instance)))
			continue;
		if (!page_add(&page, i, view_command(cmd)))
			break;
	}
	page_answer(ex, &page, "Commands");
}

/* Places count invocations: NODES_PER_COMMAND of them for each command, used or not. */
#define NODES_PER_COMMAND ((size_t)1 << 20)

static bool
add_invocations(struct exchange *ex, struct page *page, struct command *cmd, size_t at)
{
	const char *instance = json_str(ex->request, "InstanceId", NULL);
	bool details = json_bool(ex->request, "Details", false);

	for (size_t i = at % NODES_PER_COMMAND; i < cmd->inv_count; i++) {
		const struct invocation *inv = &cmd->invs[i];

		if ((instance && strcmp(inv->node->id, instance) != 0) ||
		    !filters_fit(ex, cmd, inv->status, inv->details))
			continue;
		if (!page_add(page, at / NODES_PER_COMMAND * NODES_PER_COMMAND + i,
			      view_invocation(inv, details)))
			return false;
	}
	return true;
}

void
ssm_list_invocations(struct exchange *ex)
{
	struct command *cmd;
	struct page page;

	if (!filters_check(ex, true) || !page_begin(ex, &page, PAGE_MAX))
		return;
	for (size_t at = page.at; (cmd = candidate(ex, at / NODES_PER_COMMAND));
	     at = (at / NODES_PER_COMMAND + 1) * NODES_PER_COMMAND)
		if (!add_invocations(ex, &page, cmd, at))
			break;
	page_answer(ex, &page, "CommandInvocations");
}

/* ---- nodes ---- */

static const char *
node_property(const struct node *node, const json_t *view, const char *key)
{
	if (strcmp(key, "InstanceIds") == 0)
		return node->id;
	if (strcmp(key, "PlatformTypes") == 0)
		return json_str(view, "PlatformType", "");
	return json_str(view, key, NULL);
}

static bool
values_have(const json_t *values, const char *s)
{
	const json_t *v;
	size_t i;

	json_array_foreach(values, i, v)
		if (s && strcmp(json_string_value(v), s) == 0)
			return true;
	return false;
}

/* The older and the newer list of filters differ in the names of their members only. */
static bool
node_fits(struct exchange *ex, const struct node *node, const json_t *view)
{
	static const char *const lists[][3] = { { "InstanceInformationFilterList", "key",
						  "valueSet" },
						{ "Filters", "Key", "Values" } };

	for (size_t k = 0; k < NELEMS(lists); k++) {
		const json_t *filter;
		size_t i;

		json_array_foreach(json_object_get(ex->request, lists[k][0]), i, filter)
			if (!values_have(json_object_get(filter, lists[k][2]),
					 node_property(node, view,
						       json_str(filter, lists[k][1], ""))))
				return false;
	}
	return true;
}

void
ssm_describe_nodes(struct exchange *ex)
{
	size_t iter = 0, place = 0;
	const char *id;
	struct page page;
	void *value;

	if (!page_begin(ex, &page, PAGE_MAX))
		return;
	for (; map_next(ex->sb->store->nodes, &iter, &id, &value); place++) {
		const struct node *node = value;
		json_t *view;

		if (!node->info || place < page.at)
			continue;
		view = view_node(node, sandbox_now_ms(ex->sb));
		if (!node_fits(ex, node, view))
			json_decref(view);
		else if (!page_add(&page, place, view))
			break;
	}
	page_answer(ex, &page, "InstanceInformationList");
}
