/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one step through the host, whoever provides its action, and words its result. */
#include "plugins/runCommand/step.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/runCommand/shell.h"

/* Both streams with a marker and a note each. */
#define TEXT_MAX_BYTES (OUTPUT_STREAM_LIMIT + 1024)
#define OUTPUT_MAX_BYTES (INT64_C(128) << 20)
#define HEAD_MAX_BYTES (OUTPUT_HEAD_BYTES + 8192)

static const char exit_168[] = "\nStep exited with code 168. Therefore, marking step as succeeded. "
			       "Further document steps will be skipped.";
static const char exit_169[] = "\nStep exited with code 169. Therefore, marking step as Failed. "
			       "Further document steps will be skipped.";
static const char on_failure[] = "\nStep was found to have onFailure property. "
				 "Further document steps will be skipped.";

struct execution { /* of all property sets so far */
	bool any;
	enum status status;
	int code;
	char *error; /* shown instead of the streams */
	struct output_text out, err;
	int32_t reboot;
};

bool
step_is_own(const char *action)
{
	return strcmp(action, SHELL_ACTION) == 0;
}

/* ---------------------------------------------------------------- one set */

struct set_result {
	enum status status;
	int code;
	char *error;
	int32_t reboot;
};

static uint64_t
output_ceiling(struct ssm *S)
{
	const char *text = S->api->info(S, "output-max-bytes");
	int64_t bytes;

	return text && text_to_bytes(text, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes
								     : (uint64_t)OUTPUT_MAX_BYTES;
}

static enum status
status_of(int32_t result)
{
	switch (result) {
	case SSM_SUCCESS:
		return STATUS_SUCCESS;
	case SSM_TIMED_OUT:
		return STATUS_TIMED_OUT;
	case SSM_CANCELLED:
		return STATUS_CANCELLED;
	case SSM_REBOOT:
	case SSM_REBOOT_AGAIN:
		return STATUS_SUCCESS_AND_REBOOT;
	case SSM_FAILED:
	default:
		return STATUS_FAILED;
	}
}

/* The host could not run the step at all. */
static void
not_run(const struct doc_step *s, int32_t r, const char *error, struct set_result *ret)
{
	ret->status = r == -ECANCELED ? STATUS_CANCELLED : STATUS_FAILED;
	ret->code = 1;
	if (r == -ECANCELED)
		return;
	if (error)
		ret->error = xstrdup(error);
	else if (r == -ENOENT || r == -ENOSYS)
		ret->error =
			xasprintf("Plugin with name %s not found. Step name: %s", s->action, s->id);
	else
		ret->error = xasprintf("failed to create plugin %s: %s", s->action, strerror(-r));
}

static void
run_action(struct step_context *c, const struct doc_step *s, const char *inputs,
	   const struct output_pair *pair, struct set_result *ret)
{
	struct ssm_step_run run = { .size = sizeof(run),
				    .action = s->action,
				    .name = s->id,
				    .inputs = inputs,
				    .inputs_len = strlen(inputs),
				    .stdout_fd = pair->out,
				    .stderr_fd = pair->err };
	struct ssm_step_result result = { .size = sizeof(result) };
	int32_t r;

	shell_set_step(&(struct shell_step){ c->command_id, pair->number, output_ceiling(c->S),
					     c->environment });
	r = c->S->api->step_run(c->S, c->msg, &run, &result);
	if (r < 0) {
		not_run(s, r, result.error, ret);
	} else {
		ret->status = status_of(result.result);
		ret->code = result.exit_code;
		/* Our own actions say all in the streams; of others it is shown in their place. */
		if (ret->status == STATUS_FAILED && !step_is_own(s->action))
			ret->error = xstrdup(result.error);
		/* A host that crashed has no exit code. */
		if (ret->error && ret->code < 0)
			ret->code = 1;
		ret->reboot = ret->status == STATUS_SUCCESS_AND_REBOOT ? result.result : 0;
	}
	c->S->api->free(c->S, result.error);
}

/* The streams of one set behind those of the sets before, a line between; only the beginning is
 * kept. */
static void
join_text(struct output_text *all, const struct output_text *one)
{
	size_t room;

	if (all->total > 0) {
		all->total++;
		if (all->head.len < OUTPUT_HEAD_BYTES)
			sbuf_addc(&all->head, '\n');
	}
	all->total += one->total;
	room = all->head.len < OUTPUT_HEAD_BYTES ? OUTPUT_HEAD_BYTES - all->head.len : 0;
	if (one->head.len > 0)
		sbuf_add(&all->head, one->head.p, one->head.len < room ? one->head.len : room);
}

static void
join_set(struct execution *x, struct set_result *one)
{
	if (!x->any || one->status > x->status)
		x->status = one->status;
	x->any = true;
	if (x->code == 0)
		x->code = one->code;
	if (!x->error)
		x->error = TAKE(one->error);
	if (one->reboot)
		x->reboot = one->reboot;
	free(one->error);
}

/* Sets of the same folder share their files, as the reference's do. */
static char *
files_key(const struct doc_step *s, size_t set)
{
	autofree char *action = doc_without_colons(s->action);
	autofree char *folder = doc_without_colons(doc_folder(s, set));

	return xasprintf("%s\n%s", action, folder);
}

void
step_reserve_files(struct step_context *c, const struct doc_step *s)
{
	for (size_t set = 0; set < json_array_size(s->sets); set++) {
		autofree char *key = files_key(s, set);

		output_reserve(c->output, key);
	}
}

static void
disk_error(struct set_result *one, const struct err *e)
{
	if (one->error)
		return;
	one->status = STATUS_FAILED;
	one->code = 1;
	one->error = xstrdup(e->text);
}

static void
run_with_files(struct step_context *c, const struct doc_step *s, size_t set, const char *inputs,
	       struct execution *x, struct set_result *one)
{
	autofree char *key = files_key(s, set);
	struct output_text out = { SBUF_INIT(HEAD_MAX_BYTES), 0 },
			   err = { SBUF_INIT(HEAD_MAX_BYTES), 0 };
	struct output_pair pair;
	struct err e = { 0, "" };

	if (output_open(c->output, key, &pair, &e) < 0) {
		disk_error(one, &e);
		return;
	}
	run_action(c, s, inputs, &pair, one);
	if (output_finish(c->output, &pair, output_ceiling(c->S), &out, &err, &e) < 0)
		disk_error(one, &e);
	c->bytes += out.total + err.total;
	join_text(&x->out, &out);
	join_text(&x->err, &err);
	sbuf_done(&out.head);
	sbuf_done(&err.head);
}

/* Inputs that are no object never reach an action. */
static void
run_set(struct step_context *c, const struct doc_step *s, size_t set, struct execution *x)
{
	const json_t *inputs = json_array_get(s->sets, set);
	autofree char *text = json_is_object(inputs) ? json_text(inputs) : xstrdup("{}");
	struct set_result one = { STATUS_CANCELLED, 1, NULL, 0 };

	if (!c->S->api->cancelled(c->S)) {
		if (json_is_object(inputs) || json_is_null(inputs)) {
			run_with_files(c, s, set, text, x, &one);
		} else {
			one.status = STATUS_FAILED;
			one.error =
				xstrdup("Invalid format in plugin properties: they are no object");
		}
	}
	join_set(x, &one);
}

/* -------------------------------------------------------------- the result */

static struct span
head_of(const struct output_text *t)
{
	return (struct span){ sbuf_str(&t->head), t->head.len };
}

/* Exit codes 168 and 169 and onFailure: what they add to both streams (spec/03 3.5). */
static const char *
apply_flow(const struct doc_step *s, struct execution *x)
{
	enum doc_flow flow = doc_on_failure(s);

	if (x->code == 168) {
		x->status = STATUS_SUCCESS;
		return exit_168;
	}
	if (x->code == 169)
		return exit_169;
	if (x->status != STATUS_FAILED || flow == DOC_FLOW_NONE)
		return "";
	if (flow == DOC_FLOW_SUCCESS_AND_EXIT) {
		x->status = STATUS_SUCCESS;
		x->code = 168;
	}
	return on_failure;
}

static void
word_streams(struct execution *x, const char *note, bool without_err, struct result *ret)
{
	struct sbuf out = SBUF_INIT(TEXT_MAX_BYTES), err = SBUF_INIT(TEXT_MAX_BYTES);

	output_add_stream(&out, head_of(&x->out), x->out.total);
	sbuf_adds(&out, note);
	if (!without_err) {
		output_add_stream(&err, head_of(&x->err), x->err.total);
		sbuf_adds(&err, note);
	}
	ret->standard_output = sbuf_take(&out, &ret->standard_output_len);
	ret->standard_error = sbuf_take(&err, &ret->standard_error_len);
}

static void
word_output(struct execution *x, bool without_err, struct result *ret)
{
	struct sbuf b = SBUF_INIT(TEXT_MAX_BYTES);

	if (x->error)
		sbuf_add(&b, x->error, strnlen(x->error, OUTPUT_COMBINED_LIMIT));
	else
		output_add_combined(&b, head_of(&x->out), x->out.total,
				    without_err ? (struct span){ NULL, 0 } : head_of(&x->err),
				    without_err ? 0 : x->err.total);
	ret->output = sbuf_take(&b, &ret->output_len);
}

int32_t
doc_step_run(struct step_context *c, const struct doc_step *s, struct result *ret)
{
	struct execution x = { .status = STATUS_SUCCESS,
			       .out.head = SBUF_INIT(HEAD_MAX_BYTES),
			       .err.head = SBUF_INIT(HEAD_MAX_BYTES) };
	bool was_168;
	const char *note;

	for (size_t set = 0; set < json_array_size(s->sets); set++)
		run_set(c, s, set, &x);
	was_168 = x.code == 168;
	note = apply_flow(s, &x);
	word_streams(&x, note, was_168, ret);
	word_output(&x, was_168, ret);
	ret->status = x.status;
	ret->code = x.code;
	free(x.error);
	sbuf_done(&x.out.head);
	sbuf_done(&x.err.head);
	return x.status == STATUS_SUCCESS_AND_REBOOT ? x.reboot : 0;
}
