/* SPDX-License-Identifier: Apache-2.0 */
/* The message of a topic job: its members, its replies, the steps and jobs it starts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/host/host.h"
#include "core/host/link.h"
#include "core/ipc/wire.h"

#define UNSTORED_MAX 32u /* replies a handler may be ahead of the agent's disk */

/* The payload travels as the text it came as, for a round trip would change its numbers. */
struct ssm_message *
message_new(const char *json, size_t len, struct err *e)
{
	struct ssm_message *m = xcalloc(1, sizeof(*m));
	const json_t *payload;

	m->texts = map_new(free);
	m->tree = json_parse(json, len, "the message", e);
	if (!m->tree)
		return message_free(m);
	payload = json_object_get(m->tree, "Payload");
	if (json_is_string(payload))
		m->payload = json_parse(json_string_value(payload), json_string_length(payload),
					"the payload", NULL);
	return m;
}

struct ssm_message *
message_free(struct ssm_message *m)
{
	if (!m)
		return NULL;
	json_decref(m->tree);
	json_decref(m->payload);
	map_free(m->texts);
	free(m);
	return NULL;
}

const char *
msg_json(struct ssm *S, struct ssm_message *m, const char *pointer, size_t *ret_len)
{
	(void)S;
	if (text_starts(pointer, "/Payload/") && m->payload)
		return texts_get(m->texts, pointer,
				 json_at(m->payload, pointer + strlen("/Payload")), false, ret_len);
	return texts_get(m->texts, pointer, json_at(m->tree, pointer), false, ret_len);
}

int32_t
msg_reply(struct ssm *S, struct ssm_message *m, const char *json, size_t len, int32_t final)
{
	struct host *h = host_instance(S)->host;
	const bool *stored = NULL;
	json_t *reply;
	int r;

	if (!h->link)
		return ssm_fail(S, -ENOSYS, "there is no agent to reply to");
	if (m->final_sent)
		return ssm_fail(S, -EALREADY, "a reply after the final one");
	reply = wire_new("reply");
	json_object_set_new(reply, "final", json_boolean(final != 0));
	r = link_store(h->link, reply, json, len, &stored);
	if (r < 0)
		return ssm_fail(S, r, "a reply of %zu bytes is too large", len);
	m->final_sent = final != 0;
	/* Others are on their way in order and kept until they are durable: the next step need not
	 * wait for the agent's disk, unless it is far behind. */
	if (!h->event_driven && (final || link_unstored(h->link) > UNSTORED_MAX))
		host_wait(h, stored);
	return 0;
}

/* ------------------------------------------------------------------ jobs */

static json_t *
parse_inputs(struct ssm *S, const char *text, size_t len)
{
	struct err e = {0, ""};
	json_t *v = text ? json_parse(text, len, "the inputs", &e) : json_object();

	if (!v)
		ssm_fail(S, -EINVAL, "%s", err_text(&e));
	return v;
}

static struct ssm_job
whole_job(const struct ssm_job *job)
{
	struct ssm_job all = {.stdout_fd = -1, .stderr_fd = -1};

	memcpy(&all, job, job->size < sizeof(all) ? job->size : sizeof(all));
	return all;
}

static int32_t
job_ask(struct ssm *S, const struct ssm_job *job, int fds[2], struct ask *ret)
{
	json_t *m;

	if (!job->name || (job->stdout_fd >= 0) != (job->stderr_fd >= 0))
		return ssm_fail(S, -EINVAL,
				"a job needs a name, and both descriptors or none of them");
	m = wire_new("job-start");
	json_object_set_new(m, "kind", json_integer(job->kind));
	json_object_set_new(m, "name", json_string(job->name));
	if (job->step)
		json_object_set_new(m, "step", json_string(job->step));
	if (job->timeout_ms > 0)
		json_object_set_new(m, "timeout_ms", json_integer(job->timeout_ms));
	fds[0] = job->stdout_fd;
	fds[1] = job->stderr_fd;
	*ret = (struct ask){.json = m,
			    .body = job->json,
			    .len = job->len,
			    .fds = fds,
			    .fd_count = job->stdout_fd >= 0 ? 2 : 0,
			    .patience_ms = -1,
			    .by_id = true};
	return 0;
}

int32_t
api_job_start(struct ssm *S, const struct ssm_job *job, char **ret_id)
{
	struct ssm_job all = whole_job(job);
	struct ssm_reply reply = {.size = sizeof(reply)};
	struct ask q;
	int fds[2];
	int32_t r = job_ask(S, &all, fds, &q);

	if (r == 0)
		r = ask(S, &q, &reply);
	if (r < 0)
		return r;
	*ret_id = reply.body ? TAKE(reply.body) : xstrdup("");
	host_reply_clear(&reply);
	return 0;
}

int32_t
api_job_launch(struct ssm *S, const struct ssm_job *job, ssm_done_fn *done, void *arg,
	       struct ssm_watch **ret)
{
	struct ssm_job all = whole_job(job);
	struct ask q;
	int fds[2];
	int32_t r = job_ask(S, &all, fds, &q);

	return r < 0 ? r : ask_start(S, &q, done, arg, ret);
}

/* A cancel of ours reaches the nested job through the agent, so this wait needs no end of its own;
 * an agent that was restarted is asked again. */
int32_t
api_job_wait(struct ssm *S, const char *id, struct ssm_job_end *ret)
{
	struct host *h = host_instance(S)->host;
	struct link_request q = {.patience_ms = -1};
	struct ssm_job_end end = {.size = ret->size};
	struct answer a = {NULL, NULL, 0};
	int r = host_may_block(S);

	if (r < 0 || !h->link)
		return r < 0 ? r : -ENOSYS;
	q.json = wire_new("job-wait");
	json_object_set_new(q.json, "job", json_string(id));
	r = link_ask(h->link, &q, NULL, &a);
	if (r < 0)
		return ssm_fail(S, r, "job '%s' cannot be waited for: %s", id, strerror(-r));
	end.result = (int32_t)json_int(a.json, "code", -EPROTO);
	end.exit_code = (int32_t)json_int(a.json, "exit_code", 0);
	end.error = xstrdup(json_str(a.json, "error", NULL));
	end.json = TAKE(a.body);
	end.len = a.body_len;
	memcpy(ret, &end, ret->size < sizeof(end) ? ret->size : sizeof(end));
	answer_done(&a);
	return 0;
}

int32_t
api_job_cancel(struct ssm *S, const char *id)
{
	struct ask q = {.json = wire_new("job-cancel")};

	json_object_set_new(q.json, "job", json_string(id));
	return ask(S, &q, NULL);
}

/* ----------------------------------------------------------------- steps */

static void
run_here(struct instance *i, const struct ssm_feature *f, const struct ssm_step_run *run,
	 json_t *inputs, struct ssm_step_result *ret)
{
	struct ssm_step *step = step_new(inputs, run->name, run->action, run->stdout_fd,
					 run->stderr_fd, run->timeout_ms);

	step_execute(i, f, step, &ret->error);
	ret->result = step->result;
	ret->exit_code = step->exit_code;
	step_free(step);
}

/* The bytes of the step do not pass through us: its host gets the two descriptors. */
static int32_t
run_elsewhere(struct ssm *S, const struct ssm_step_run *run, struct ssm_step_result *ret)
{
	const struct ssm_job job = {
		.size = sizeof(job),
		.kind = SSM_KIND_ACTION,
		.name = run->action,
		.step = run->name,
		.json = run->inputs,
		.len = run->inputs_len,
		.timeout_ms = run->timeout_ms,
		.stdout_fd = run->stdout_fd,
		.stderr_fd = run->stderr_fd,
	};
	struct ssm_job_end end = {.size = sizeof(end)};
	autofree char *id = NULL;
	int32_t r = api_job_start(S, &job, &id);

	if (r == 0)
		r = api_job_wait(S, id, &end);
	if (r < 0)
		return r;
	free(end.json);
	ret->result = end.result < 0 ? SSM_FAILED : end.result;
	ret->exit_code = end.result < 0 && end.exit_code == 0 ? 1 : end.exit_code;
	ret->error = end.error;
	return 0;
}

int32_t
msg_step_run(struct ssm *S, struct ssm_message *m, const struct ssm_step_run *run,
	     struct ssm_step_result *ret)
{
	struct instance *i = host_instance(S);
	const struct ssm_feature *f;
	struct ssm_step_result result = {.size = ret->size};
	autojson json_t *inputs = NULL;
	int32_t r = 0;

	(void)m;
	if (run->size < sizeof(*run) || !run->action)
		return ssm_fail(S, -EINVAL, "step_run needs a size and an action");
	inputs = parse_inputs(S, run->inputs, run->inputs_len);
	if (!inputs)
		return -EINVAL;
	f = module_feature(i->module, SSM_KIND_ACTION, run->action);
	if (f)
		run_here(i, f, run, inputs, &result);
	else
		r = run_elsewhere(S, run, &result);
	if (r == 0)
		memcpy(ret, &result, ret->size < sizeof(result) ? ret->size : sizeof(result));
	return r;
}
