/* SPDX-License-Identifier: Apache-2.0 */
/* Step by step: decide, run, reply. What a single step does is in step.c. */
#include "plugins/runCommand/interp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "plugins/runCommand/audit.h"
#include "plugins/runCommand/decide.h"
#include "plugins/runCommand/progress.h"
#include "plugins/runCommand/step.h"
#include "plugins/runCommand/store_call.h"

struct interp {
	struct ssm *S;
	struct ssm_message *msg;
	const struct doc *doc;
	struct step_context context;
	struct reply_agent agent;
	struct result *results; /* one per step id, as the service counts them */
	size_t count;
	bool exit_demanded;
	size_t next;	  /* the step to do now */
	int64_t start_ms; /* when that one began before a reboot, or 0 */
	char *ran;	  /* one '0' or '1' for each step: has it output files? */
	int32_t reboot;	  /* SSM_REBOOT or SSM_REBOOT_AGAIN once a step asked for it */
};

/* Open or closed; anything else is not told. */
static enum reply_channel
channel_of(struct ssm *S)
{
	const char *state = S->api->info(S, "channel");

	if (state && strcmp(state, "open") == 0)
		return REPLY_CHANNEL_OPEN;
	return state && strcmp(state, "closed") == 0 ? REPLY_CHANNEL_CLOSED : REPLY_CHANNEL_UNKNOWN;
}

static const char *
info(struct ssm *S, const char *key, const char *preset)
{
	const char *value = S->api->info(S, key);

	return value ? value : preset;
}

struct reply_agent
interp_agent(struct ssm *S)
{
	return (struct reply_agent){
		.lang = info(S, "os-lang", "en-US"),
		.name = info(S, "agent-name", "amazon-ssm-agent"),
		.os = info(S, "os-name", "linux"),
		.os_version = info(S, "os-version", "1"),
		.version = info(S, "reported-version", ""),
		.channel = channel_of(S),
	};
}

/* ------------------------------------------------------------- object keys */

static void
add_component(char ***components, const char *start, size_t len)
{
	size_t n = strv_len(*components);

	if (len == 0 || (len == 1 && *start == '.'))
		return;
	if (len == 2 && strncmp(start, "..", 2) == 0 && n > 0) {
		free((*components)[n - 1]);
		(*components)[n - 1] = NULL;
		return;
	}
	strv_push(components, xstrndup(start, len));
}

/* PREFIX/COMMAND/DESTINATION/ACTION without empty and dotted parts. */
static char *
object_prefix(const struct interp *in, const char *prefix, const char *destination,
	      const char *action)
{
	autofree char *folder = doc_without_colons(action);
	autofree char *path =
		xasprintf("%s/%s/%s/%s", prefix, in->doc->command_id, destination, folder);
	autostrv char **components = NULL;
	autofree char *joined = NULL;

	for (const char *at = path; *at;) {
		size_t len = strcspn(at, "/");

		add_component(&components, at, len);
		at += len + (at[len] == '/');
	}
	joined = strv_join(components, "/");
	return prefix[0] == '/' ? xasprintf("/%s", joined) : TAKE(joined);
}

static void
name_objects(const struct interp *in, const struct doc_step *s, struct result *r)
{
	if (!in->doc->s3_bucket[0])
		return;
	r->s3_bucket = xstrdup(in->doc->s3_bucket);
	r->s3_prefix = object_prefix(in, in->doc->s3_prefix, in->context.destination, s->action);
	r->step_name = doc_without_colons(doc_folder(s, 0));
}

/* ---------------------------------------------------------------- results */

/* Steps of equal name share one result, the last (spec/03 10.7). */
static struct result *
result_for(struct interp *in, const struct doc_step *s)
{
	struct result *r = in->results;

	while (r < in->results + in->count && strcmp(r->id, s->id) != 0)
		r++;
	if (r == in->results + in->count)
		in->count++;
	result_done(r);
	r->id = s->id;
	r->action = s->action;
	return r;
}

static int
send(struct interp *in, char *text, size_t len, bool final)
{
	int32_t r = in->S->api->msg_reply(in->S, in->msg, text, len, final);

	if (r < 0)
		ssm_log(in->S, SSM_ERR, "a reply of %zu bytes is lost: %s", len, strerror(-r));
	free(text);
	return r;
}

/* A step without a name looks like the whole document to the reference, so its reply carries the
 * document's status; only the last one's can be true. */
static int
send_step(struct interp *in, const struct result *r, bool is_last)
{
	bool as_document = r->id[0] == '\0' && is_last;
	enum status document = STATUS_IN_PROGRESS;
	size_t len;
	char *text;

	if (as_document)
		document = reply_document_status(in->results, in->count);
	text = reply_results(&in->agent, clock_wall_ms(), document, in->results, in->count,
			     (size_t)(r - in->results), &len);
	return send(in, text, len, false);
}

/* After a reboot the command goes on: nothing of it is final yet. */
static int
send_last(struct interp *in)
{
	size_t len;
	char *text = reply_results(&in->agent, clock_wall_ms(),
				   reply_document_status(in->results, in->count), in->results,
				   in->count, in->count, &len);

	return send(in, text, len, in->reboot == 0);
}

/* ------------------------------------------------------------------ steps */

bool
interp_has_handler(struct ssm *S, const char *action)
{
	autofree char *capability = xasprintf("action:%s", action);

	return step_is_own(action) || S->api->has(S, capability) > 0;
}

static void
note_demand(struct interp *in, const struct doc_step *s, const struct result *r)
{
	if (r->code == 168 || r->code == 169 ||
	    (r->status == STATUS_FAILED && doc_on_failure(s) == DOC_FLOW_EXIT) ||
	    (r->status == STATUS_SUCCESS && doc_on_success(s) == DOC_FLOW_EXIT))
		in->exit_demanded = true;
}

static void
set_output(struct result *r, char *text)
{
	r->output = text;
	r->output_len = strlen(text);
}

static void
do_step(struct interp *in, const struct doc_step *s, bool is_last, struct result *r)
{
	struct decide_facts facts = { in->exit_demanded, is_last,
				      interp_has_handler(in->S, s->action) };
	char *text = NULL;

	switch (decide_step(in->doc, s, &facts, &text)) {
	case DECISION_SKIP:
		r->status = STATUS_SKIPPED;
		set_output(r, text);
		break;
	case DECISION_FAIL:
		r->status = STATUS_FAILED;
		set_output(r, text);
		break;
	case DECISION_RUN:
	default:
		in->ran[in->next] = '1';
		in->reboot = doc_step_run(&in->context, s, r);
		break;
	}
}

/* The final reply shows a result only where it is the only one; so the texts of a document of a
 * thousand steps are not kept. */
static void
forget_texts(struct interp *in, struct result *r)
{
	if (in->count < 2)
		return;
	result_forget_texts(r);
	result_forget_texts(&in->results[0]);
}

static struct result *
visit_step(struct interp *in)
{
	const struct doc_step *s = &in->doc->steps[in->next];
	bool is_last = in->next + 1 == in->doc->step_count;
	struct result *r = result_for(in, s);

	/* Run once more after a reboot, it began when it began. */
	r->start_ms = in->start_ms > 0 ? in->start_ms : clock_wall_ms();
	in->start_ms = 0;
	do_step(in, s, is_last, r);
	r->end_ms = clock_wall_ms();
	name_objects(in, s, r);
	note_demand(in, s, r);
	(void)send_step(in, r, is_last);
	if (!in->reboot)
		forget_texts(in, r);
	return r;
}

/* ----------------------------------------------------------------- reboot */

/* LAST asked for it: it is done, or it runs once more and its result does not count. */
static int32_t
save_progress(struct interp *in, struct result *last)
{
	bool again = in->reboot == SSM_REBOOT_AGAIN;
	struct progress p = { .next = again ? in->next : in->next + 1,
			      .exit_demanded = in->exit_demanded,
			      .start_ms = again ? last->start_ms : 0,
			      .results = in->results,
			      .count = in->count,
			      .last = again ? NULL : last };
	int32_t r;

	p.ran = xstrndup(in->ran, p.next);
	if (again) {
		result_done(last);
		*last = in->results[--p.count];
		in->results[p.count] = (struct result){ 0 };
	} else {
		last->status = STATUS_SUCCESS;
	}
	in->count = p.count;
	r = store_call_keep(in->S, in->doc->store.known);
	if (r >= 0)
		r = progress_save(in->S, in->doc, &p);
	free(p.ran);
	return r;
}

/* The service has heard of a reboot only; now the step is over. */
static void
tell_done(struct interp *in, struct result *last)
{
	const struct doc_step *s = &in->doc->steps[in->next - 1];

	name_objects(in, s, last);
	(void)send_step(in, last, in->next == in->doc->step_count);
	forget_texts(in, last);
}

static int32_t
load_progress(struct interp *in)
{
	struct progress p = { .results = in->results };
	int32_t r = progress_load(in->S, in->doc, &p);

	in->count = p.count;
	if (r > 0) {
		in->next = p.next;
		in->exit_demanded = p.exit_demanded;
		in->start_ms = p.start_ms;
		memcpy(in->ran, p.ran, p.next);
		for (size_t i = 0; i < p.next; i++)
			if (p.ran[i] == '1')
				step_reserve_files(&in->context, &in->doc->steps[i]);
		if (p.last)
			tell_done(in, p.last);
	}
	free(p.ran);
	return r;
}

static void
audit(const struct interp *in)
{
	const struct audit a = { .id = in->context.command_id,
				 .document = in->doc->name,
				 .status = reply_document_status(in->results, in->count),
				 .results = in->results,
				 .count = in->count,
				 .bytes = in->context.bytes };

	audit_command(in->S, &a);
}

static int32_t
visit_all(struct interp *in)
{
	struct result *last = NULL;
	int32_t r = load_progress(in);

	if (r < 0)
		return r;
	while (in->next < in->doc->step_count && !in->reboot) {
		last = visit_step(in);
		if (!in->reboot)
			in->next++;
	}
	r = send_last(in);
	if (!in->reboot)
		audit(in);
	if (r >= 0 && in->reboot)
		r = save_progress(in, last);
	return r < 0 ? r : in->reboot;
}

int32_t
interp_run(struct ssm *S, struct ssm_message *msg, const struct doc *d, const char *command_id,
	   const char *destination)
{
	struct interp in = { .S = S, .msg = msg, .doc = d, .agent = interp_agent(S) };
	const char *folder = info(S, "work-dir", ".");
	struct err e = { 0, "" };
	int32_t r;

	in.context = (struct step_context){ .S = S,
					    .msg = msg,
					    .command_id = command_id,
					    .destination = destination,
					    .environment = d->environment };
	in.context.output = output_new(folder, &e);
	if (!in.context.output)
		return ssm_fail(S, e.code, "%s", e.text);
	in.results = xcalloc(d->step_count, sizeof(*in.results));
	in.ran = xcalloc(d->step_count + 1, 1);
	memset(in.ran, '0', d->step_count);
	r = visit_all(&in);
	for (size_t i = 0; i < in.count; i++)
		result_done(&in.results[i]);
	free(in.results);
	free(in.ran);
	(void)output_free(in.context.output);
	return r;
}
