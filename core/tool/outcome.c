/* SPDX-License-Identifier: Apache-2.0 */
/* Replies, read for people and for an exit status. */
#include "core/tool/outcome.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/tool/tool.h"

struct outcome *
outcome_new(void)
{
	struct outcome *o = xcalloc(1, sizeof(*o));

	o->status = xstrdup("");
	o->trace = xstrdup("");
	o->steps = json_array();
	return o;
}

struct outcome *
outcome_free(struct outcome *o)
{
	if (!o)
		return NULL;
	free(o->status);
	free(o->trace);
	json_decref(o->steps);
	free(o);
	return NULL;
}

/* With one step the final reply repeats it; after a restart of the machine a step may come anew. */
static bool
add_step(struct outcome *o, const char *name, const json_t *result)
{
	json_t *step =
		json_pack("{s:s,s:s,s:I}", "name", name, "status", json_str(result, "status", ""),
			  "code", (json_int_t)json_int(result, "code", 0));
	size_t i;
	json_t *old;

	json_array_foreach(o->steps, i, old)
	{
		if (strcmp(json_str(old, "name", ""), name) != 0)
			continue;
		if (json_equal(old, step)) {
			json_decref(step);
			return false;
		}
		(void)json_array_remove(o->steps, i);
		break;
	}
	return step && json_array_append_new(o->steps, step) == 0;
}

void
outcome_add(struct outcome *o, const char *text, size_t *ret_new)
{
	autojson json_t *reply = json_parse(text, strlen(text), "a reply", NULL);
	json_t *steps = json_object_get(reply, "runtimeStatus"), *result;
	const char *name;
	size_t fresh = 0;

	if (json_is_object(reply)) {
		free(o->status);
		free(o->trace);
		o->status = xstrdup(json_str(reply, "documentStatus", ""));
		o->trace = xstrdup(json_str(reply, "documentTraceOutput", ""));
	}
	json_object_foreach(steps, name, result) fresh += add_step(o, name, result);
	if (ret_new)
		*ret_new = fresh;
}

static int
failed_code(const struct outcome *o)
{
	size_t i;
	json_t *step;

	json_array_foreach(o->steps, i, step)
	{
		int64_t code = json_int(step, "code", 0);

		if (strcmp(json_str(step, "status", ""), "Failed") == 0)
			return code >= 1 && code <= 255 ? (int)code : EXIT_FAILED;
	}
	return json_array_size(o->steps) > 0 ? EXIT_FAILED : EXIT_NOT_RUN;
}

int
outcome_exit(const struct outcome *o)
{
	static const struct {
		const char *status;
		int code;
	} known[] = { { "Success", 0 },
		      { "TimedOut", EXIT_TIMED_OUT },
		      { "Cancelled", EXIT_CANCELLED },
		      { "SuccessAndReboot", EXIT_RESTART } };

	for (size_t i = 0; i < NELEMS(known); i++)
		if (strcmp(o->status, known[i].status) == 0)
			return known[i].code;
	return strcmp(o->status, "Failed") == 0 ? failed_code(o) : EXIT_NOT_RUN;
}

void
outcome_print_step(const json_t *step)
{
	const char *status = json_str(step, "status", "");
	autofree char *name = text_quote(json_str(step, "name", ""), 100);
	int64_t code = json_int(step, "code", 0);

	if (!tool_is_terminal(stderr))
		return;
	fprintf(stderr, "%sstep %s: %s", tool_style(stderr, tool_style_of(status)), name, status);
	if (code != 0)
		fprintf(stderr, ", exit code %lld", (long long)code);
	fprintf(stderr, "%s\n", tool_plain(stderr));
}

void
outcome_print_trace(const struct outcome *o)
{
	autofree char *text = text_escape_controls(o->trace, strlen(o->trace));

	if (*text)
		tool_fail("the command ended %s: %s", o->status, text);
}
