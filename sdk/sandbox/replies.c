/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of a node: the payload is checked member by member, then taken over. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/shape.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/store.h"

static const char *const document_statuses[] = {
	"InProgress", "Success",   "SuccessAndReboot", "PassedAndReboot",
	"Failed",     "Cancelled", "TimedOut",	       NULL,
};
static const char *const step_statuses[] = {
	"NotStarted", "InProgress", "Success",	"SuccessAndReboot", "PassedAndReboot",
	"Failed",     "Cancelled",  "TimedOut", "Skipped",	    NULL
};

static bool
is_stamp(const char *s)
{
	int64_t ignored;

	return strlen(s) == 24 && text_from_iso8601(s, &ignored) == 0;
}

static const struct shape agent_members[] = {
	{ .name = "lang", .type = SHAPE_STRING, .required = true },
	{ .name = "name", .type = SHAPE_STRING, .required = true },
	{ .name = "os", .type = SHAPE_STRING, .required = true },
	{ .name = "osver", .type = SHAPE_STRING, .required = true },
	{ .name = "ver", .type = SHAPE_STRING, .required = true },
	{ .name = NULL },
};
static const struct shape count = { .name = "count", .type = SHAPE_INTEGER };
static const struct shape info_members[] = {
	{ .name = "agent", .type = SHAPE_STRUCT, .required = true, .inner = agent_members },
	{ .name = "dateTime", .type = SHAPE_STRING, .required = true, .check = is_stamp },
	{ .name = "runId", .type = SHAPE_STRING, .required = true },
	{ .name = "runtimeStatusCounts",
	  .type = SHAPE_MAP,
	  .required = true,
	  .nullable = true,
	  .inner = &count },
	{ .name = "ableToOpenMGSConnection", .type = SHAPE_BOOLEAN },
	{ .name = NULL },
};
static const struct shape step_members[] = {
	{ .name = "status", .type = SHAPE_STRING, .required = true, .allowed = step_statuses },
	{ .name = "code", .type = SHAPE_INTEGER, .required = true, .min = INT32_MIN },
	{ .name = "name", .type = SHAPE_STRING, .required = true, .min = 1 },
	{ .name = "output", .type = SHAPE_STRING, .required = true },
	{ .name = "startDateTime", .type = SHAPE_STRING, .required = true, .check = is_stamp },
	{ .name = "endDateTime", .type = SHAPE_STRING, .required = true, .check = is_stamp },
	{ .name = "outputS3BucketName", .type = SHAPE_STRING, .required = true },
	{ .name = "outputS3KeyPrefix", .type = SHAPE_STRING, .required = true },
	{ .name = "stepName", .type = SHAPE_STRING, .required = true },
	{ .name = "standardOutput", .type = SHAPE_STRING, .required = true },
	{ .name = "standardError", .type = SHAPE_STRING, .required = true },
	{ .name = NULL },
};
static const struct shape step = { .name = "step", .type = SHAPE_STRUCT, .inner = step_members };
static const struct shape payload_members[] = {
	{ .name = "additionalInfo", .type = SHAPE_STRUCT, .required = true, .inner = info_members },
	{ .name = "documentStatus",
	  .type = SHAPE_STRING,
	  .required = true,
	  .allowed = document_statuses },
	{ .name = "documentTraceOutput", .type = SHAPE_STRING, .required = true },
	{ .name = "runtimeStatus",
	  .type = SHAPE_MAP,
	  .required = true,
	  .nullable = true,
	  .inner = &step },
	{ .name = NULL },
};

static enum status
status_of(const char *text)
{
	static const struct {
		const char *text;
		enum status status;
	} table[] = {
		{ "NotStarted", STATUS_PENDING }, { "Success", STATUS_SUCCESS },
		{ "Skipped", STATUS_SUCCESS },	  { "Failed", STATUS_FAILED },
		{ "TimedOut", STATUS_TIMED_OUT }, { "Cancelled", STATUS_CANCELLED },
	};

	for (size_t i = 0; i < NELEMS(table); i++)
		if (strcmp(table[i].text, text) == 0)
			return table[i].status;
	return STATUS_IN_PROGRESS;
}

static const char *
details_of(enum status s)
{
	return s == STATUS_TIMED_OUT ? "ExecutionTimedOut" : status_name(s);
}

static void
replace(char **where, const char *s)
{
	free(*where);
	*where = xstrdup(s);
}

/* Year 1 is how the agent says "never". */
static int64_t
stamp_ms(const json_t *result, const char *key)
{
	int64_t ms = 0;

	text_from_iso8601(json_str(result, key, ""), &ms);
	return ms < 0 ? 0 : ms;
}

static void
apply_step(struct invocation *inv, const char *name, const json_t *result)
{
	struct plugin *p = invocation_plugin(inv, name);

	if (!p)
		p = invocation_add_plugin(inv, name, json_str(result, "name", ""));
	p->status = status_of(json_str(result, "status", ""));
	snprintf(p->details, sizeof(p->details), "%s", details_of(p->status));
	p->code = p->status >= STATUS_SUCCESS ? json_int(result, "code", 0) : -1;
	p->start_ms = stamp_ms(result, "startDateTime");
	p->end_ms = stamp_ms(result, "endDateTime");
	replace(&p->out, json_str(result, "standardOutput", ""));
	replace(&p->err, json_str(result, "standardError", ""));
	replace(&p->output, json_str(result, "output", ""));
	replace(&p->bucket, json_str(result, "outputS3BucketName", ""));
	replace(&p->prefix, json_str(result, "outputS3KeyPrefix", ""));
}

/* A document can end before a step says anything (cancelled in the queue, refused): the steps end
 * with it. */
static void
end_open_plugins(struct invocation *inv, enum status status)
{
	for (size_t i = 0; i < inv->plugin_count; i++) {
		struct plugin *p = &inv->plugins[i];

		if (p->status >= STATUS_SUCCESS)
			continue;
		p->status = status;
		snprintf(p->details, sizeof(p->details), "%s", details_of(status));
	}
}

/* Steps run one after another: the first that is not done is the one that runs. */
static void
mark_running(struct invocation *inv)
{
	for (size_t i = 0; i < inv->plugin_count; i++) {
		struct plugin *p = &inv->plugins[i];

		if (p->status >= STATUS_SUCCESS)
			continue;
		p->status = STATUS_IN_PROGRESS;
		snprintf(p->details, sizeof(p->details), "InProgress");
		return;
	}
}

static void
apply(struct invocation *inv, const json_t *payload)
{
	enum status status = status_of(json_str(payload, "documentStatus", ""));
	const char *trace = json_str(payload, "documentTraceOutput", ""), *name;
	json_t *result;

	invocation_reach(inv, STAGE_FIRST);
	json_object_foreach(json_object_get(payload, "runtimeStatus"), name, result)
		apply_step(inv, name, result);
	if (*trace)
		replace(&inv->trace, trace);
	if (status >= STATUS_SUCCESS) {
		end_open_plugins(inv, status);
		invocation_set(inv, status, details_of(status));
		return;
	}
	mark_running(inv);
	if (inv->status != STATUS_CANCELLING)
		invocation_set(inv, STATUS_IN_PROGRESS, "InProgress");
}

int
reply_apply(struct message *msg, const json_t *payload, struct err *e)
{
	struct shape_error why;

	if (shape_check(payload_members, payload, &why) < 0)
		return err_set(e, -EINVAL, "Payload of the reply: %s", why.text);
	if (!msg->inv || msg->cancel)
		return 0;
	msg->inv->replies++;
	state_touch_command(msg->inv->cmd);
	if (msg->inv->status >= STATUS_SUCCESS)
		msg->inv->replies_after_final++;
	else
		apply(msg->inv, payload);
	return 0;
}
