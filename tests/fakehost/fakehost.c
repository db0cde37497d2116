/* SPDX-License-Identifier: Apache-2.0 */
/* The host of plugins' unit tests: every function of struct ssm_api that a step or a message may
 * need, answered from a list. */
#include "tests/fakehost/fakehost.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define TEXT_MAX (16u << 20)

struct ssm_step {
	json_t *inputs;
};
struct ssm_message {
	json_t *tree;
};
struct ssm_session {
	json_t *document;
};

static struct fakehost *
fakehost_of(struct ssm *S)
{
	return (struct fakehost *)S; /* its first member */
}

/* A text that lives as long as the fake host. */
static const char *
keep(struct fakehost *f, char *text, size_t *ret_len)
{
	json_t *v = json_string(text);

	ck_assert_ptr_nonnull(v);
	json_array_append_new(f->texts, v);
	if (ret_len)
		*ret_len = strlen(text);
	free(text);
	return json_string_value(v);
}

static json_t *
note(struct fakehost *f, const char *fn)
{
	json_t *record = json_pack("{s:s}", "fn", fn);

	json_array_append_new(f->asked, record);
	return record;
}

static void
note_text(json_t *record, const char *key, const char *text)
{
	if (text)
		json_object_set_new(record, key, json_string(text));
}

static void
note_texts(json_t *record, const char *key, const char *const *texts)
{
	json_t *all = json_array();

	for (; texts && *texts; texts++)
		json_array_append_new(all, json_string(*texts));
	json_object_set_new(record, key, all);
}

static void
note_body(json_t *record, const char *key, const void *data, size_t len)
{
	if (data)
		json_object_set_new(record, key, json_stringn(data, len));
}

/* The answer for this call, as a reference of the caller's. */
static json_t *
next_play(struct fakehost *f, const char *fn)
{
	json_t *all = json_object_get(f->plays, fn), *v = json_array_get(all, 0);

	ck_assert_msg(v != NULL, "%s() was called more often than the test knows of", fn);
	json_incref(v);
	json_array_remove(all, 0);
	return v;
}

void
fakehost_play(struct fakehost *f, const char *fn, json_t *answer)
{
	json_t *all = json_object_get(f->plays, fn);

	ck_assert_ptr_nonnull(answer);
	if (!all) {
		all = json_array();
		json_object_set_new(f->plays, fn, all);
	}
	json_array_append_new(all, answer);
}

/* ------------------------------------------------------- in every process */

__attribute__((format(printf, 3, 0))) static void
fake_vlog(struct ssm *S, int32_t level, const char *fmt, va_list ap)
{
	autofree char *text = xvasprintf(fmt, ap);

	json_array_append_new(fakehost_of(S)->log, json_pack("[i,s]", level, text));
}

__attribute__((format(printf, 2, 0))) static void
fake_verror(struct ssm *S, const char *fmt, va_list ap)
{
	struct fakehost *f = fakehost_of(S);

	free(f->error);
	f->error = xvasprintf(fmt, ap);
}

static void *
fake_alloc(struct ssm *S, size_t len)
{
	(void)S;
	return xcalloc(1, len ? len : 1);
}

static void
fake_free(struct ssm *S, void *p)
{
	(void)S;
	free(p);
}

static int32_t
fake_has(struct ssm *S, const char *capability)
{
	const json_t *v;
	size_t i;

	json_array_foreach(fakehost_of(S)->capabilities, i, v)
	{
		if (strcmp(json_string_value(v), capability) == 0)
			return 1;
	}
	return 0;
}

static const char *
fake_info(struct ssm *S, const char *key)
{
	return json_str(fakehost_of(S)->info, key, NULL);
}

static const char *
fake_option(struct ssm *S, const char *key)
{
	return json_str(fakehost_of(S)->options, key, NULL);
}

static int32_t
fake_option_int(struct ssm *S, const char *key, int64_t *ret)
{
	const char *text = fake_option(S, key);

	return text ? text_to_i64(text, INT64_MIN, INT64_MAX, ret) : -ENOENT;
}

static int32_t
fake_cancelled(struct ssm *S)
{
	return fakehost_of(S)->cancelled;
}

static int32_t
fake_cancel_fd(struct ssm *S)
{
	return fakehost_of(S)->cancel_fd;
}

/* ---------------------------------------------------------------- programs */

/* Output goes where the real one would: to a function, a descriptor, or the step. */
static void
put_output(struct ssm *S, const struct ssm_spawn *cmd, int32_t stream, const char *text)
{
	struct fakehost *f = fakehost_of(S);
	uint32_t flag = stream == SSM_STDOUT ? SSM_SPAWN_STDOUT_FD : SSM_SPAWN_STDERR_FD;
	int fd = stream == SSM_STDOUT ? cmd->stdout_fd : cmd->stderr_fd;

	if (!text)
		return;
	if (cmd->flags & flag)
		ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
	else if (cmd->output_fn)
		cmd->output_fn(S, stream, text, strlen(text), cmd->output_arg);
	else
		sbuf_adds(stream == SSM_STDOUT ? &f->out : &f->err, text);
}

static int32_t
end_of(const char *how)
{
	static const char *const names[] = {"exit", "signal", "timeout", "cancel"};

	for (int32_t i = 0; i < (int32_t)NELEMS(names); i++)
		if (strcmp(names[i], how) == 0)
			return i;
	ck_abort_msg("a program does not end by '%s'", how);
	return -1;
}

static void
note_spawn(struct fakehost *f, const char *fn, const struct ssm_spawn *cmd)
{
	json_t *record = note(f, fn);

	ck_assert_uint_eq(cmd->size, sizeof(*cmd));
	ck_assert_ptr_nonnull(cmd->argv[0]);
	note_texts(record, "argv", cmd->argv);
	note_texts(record, "env", cmd->envp);
	note_text(record, "cwd", cmd->cwd);
	note_text(record, "run_as", cmd->run_as);
	note_body(record, "stdin", cmd->stdin_data, cmd->stdin_len);
	json_object_set_new(record, "flags", json_integer(cmd->flags));
	json_object_set_new(record, "timeout_ms", json_integer(cmd->timeout_ms));
	json_object_set_new(record, "max_output", json_integer((json_int_t)cmd->max_output));
}

static void
play_end(struct ssm *S, const struct ssm_spawn *cmd, const json_t *v, struct ssm_end *ret)
{
	put_output(S, cmd, SSM_STDOUT, json_str(v, "out", NULL));
	put_output(S, cmd, SSM_STDERR, json_str(v, "err", NULL));
	ret->how = end_of(json_str(v, "how", "exit"));
	ret->code = (int32_t)json_int(v, "code", 0);
	ret->left = (int32_t)json_int(v, "left", 0);
}

static int32_t
fake_spawn(struct ssm *S, const struct ssm_spawn *cmd, struct ssm_end *ret)
{
	struct fakehost *f = fakehost_of(S);
	autojson json_t *v = NULL;

	note_spawn(f, "spawn", cmd);
	v = next_play(f, "spawn");
	play_end(S, cmd, v, ret);
	return (int32_t)json_int(v, "r", 0);
}

/* What was borrowed for the call must not be looked at later, so only this is kept. */
static int32_t
fake_spawn_start(struct ssm *S, const struct ssm_spawn *cmd, ssm_end_fn *end, void *arg,
		 struct ssm_watch **ret)
{
	struct fakehost *f = fakehost_of(S);

	ck_assert_msg(!f->started, "the fake host runs one program at a time");
	note_spawn(f, "spawn_start", cmd);
	f->started = next_play(f, "spawn_start");
	f->started_as = (struct ssm_spawn){ .size = sizeof(*cmd),
					    .output_fn = cmd->output_fn,
					    .output_arg = cmd->output_arg };
	f->end = end;
	f->end_arg = arg;
	if (json_int(f->started, "r", 0) < 0) {
		autojson json_t *v = TAKE(f->started);

		return (int32_t)json_int(v, "r", 0);
	}
	if (ret)
		*ret = (struct ssm_watch *)f;
	return 0;
}

void
fakehost_end_started(struct fakehost *f)
{
	autojson json_t *v = TAKE(f->started);
	struct ssm_end end = { .size = sizeof(end) };

	ck_assert_msg(v != NULL, "nothing was started");
	play_end(&f->S, &f->started_as, v, &end);
	f->end(&f->S, 0, &end, f->end_arg);
}

/* ---------------------------------------------------------------- requests */

static int32_t
play_reply(struct fakehost *f, const char *fn, struct ssm_reply *ret, json_t **ret_play)
{
	json_t *v = next_play(f, fn);
	int32_t r = (int32_t)json_int(v, "r", 0);

	ck_assert_uint_eq(ret->size, sizeof(*ret));
	if (r >= 0) {
		ret->status = (int32_t)json_int(v, "status", 200);
		ret->error = xstrdup(json_str(v, "error", NULL));
		ret->body = xstrdup(json_str(v, "body", ""));
		ret->body_len = strlen(ret->body);
		ret->headers = xstrdup(json_str(v, "headers", NULL));
		ret->url = xstrdup(json_str(v, "url", NULL));
	}
	*ret_play = v;
	return r;
}

static void
note_request(json_t *record, const struct ssm_request *q)
{
	ck_assert_uint_eq(q->size, sizeof(*q));
	note_text(record, "service", q->service);
	note_text(record, "target", q->target);
	note_text(record, "method", q->method);
	note_text(record, "path", q->path);
	note_text(record, "url", q->url);
	note_text(record, "region", q->region);
	note_body(record, "body", q->body, q->body_len);
	note_texts(record, "headers", q->headers);
}

static int32_t
fake_call(struct ssm *S, const struct ssm_request *q, struct ssm_reply *ret)
{
	struct fakehost *f = fakehost_of(S);
	json_t *play;
	int32_t r;

	note_request(note(f, "call"), q);
	r = play_reply(f, "call", ret, &play);
	json_decref(play);
	return r;
}

static int32_t
fake_sign(struct ssm *S, const struct ssm_request *q, int64_t valid_ms, struct ssm_reply *ret)
{
	struct fakehost *f = fakehost_of(S);
	json_t *record = note(f, "sign"), *play;
	int32_t r;

	note_request(record, q);
	json_object_set_new(record, "valid_ms", json_integer(valid_ms));
	r = play_reply(f, "sign", ret, &play);
	json_decref(play);
	return r;
}

static int32_t
fake_transfer(struct ssm *S, const struct ssm_transfer *t, struct ssm_reply *ret)
{
	struct fakehost *f = fakehost_of(S);
	json_t *record = note(f, "transfer"), *play;
	const char *data;
	int32_t r;

	ck_assert_uint_eq(t->size, sizeof(*t));
	note_text(record, "url", t->url);
	note_text(record, "sha256", t->sha256);
	json_object_set_new(record, "flags", json_integer(t->flags));
	r = play_reply(f, "transfer", ret, &play);
	data = json_str(play, "data", NULL);
	if (r >= 0 && data)
		ck_assert_int_eq(fs_write_all(t->fd, data, strlen(data)), 0);
	json_decref(play);
	return r;
}

static int32_t
fake_state_get(struct ssm *S, const char *key, char **ret, size_t *ret_len)
{
	const json_t *v = json_object_get(fakehost_of(S)->state, key);

	if (!v)
		return -ENOENT;
	*ret = xmemdup(json_string_value(v), json_string_length(v));
	if (ret_len)
		*ret_len = json_string_length(v);
	return 0;
}

static int32_t
fake_state_put(struct ssm *S, const char *key, const void *data, size_t len)
{
	if (len > 65536)
		return -E2BIG;
	json_object_set_new(fakehost_of(S)->state, key, json_stringn_nocheck(data, len));
	return 0;
}

/* ------------------------------------------------------------------- steps */

static const char *
fake_step_str(struct ssm *S, struct ssm_step *s, const char *pointer, const char *preset)
{
	const json_t *v = json_at(s->inputs, pointer);

	if (!v || json_is_null(v))
		return preset;
	if (json_is_string(v))
		return json_string_value(v);
	return keep(fakehost_of(S), json_text(v), NULL);
}

static const char *
fake_step_json(struct ssm *S, struct ssm_step *s, const char *pointer, size_t *ret_len)
{
	const json_t *v = json_at(s->inputs, pointer);

	return v ? keep(fakehost_of(S), json_text(v), ret_len) : NULL;
}

static int32_t
fake_step_write(struct ssm *S, struct ssm_step *s, int32_t stream, const void *data, size_t len)
{
	struct fakehost *f = fakehost_of(S);

	(void)s;
	ck_assert(stream == SSM_STDOUT || stream == SSM_STDERR);
	return sbuf_add(stream == SSM_STDOUT ? &f->out : &f->err, data, len);
}

static int32_t
fake_step_done(struct ssm *S, struct ssm_step *s, int32_t result, int32_t exit_code)
{
	struct fakehost *f = fakehost_of(S);

	(void)s;
	ck_assert_msg(!f->done, "step_done() was called twice");
	ck_assert_int_ge(result, SSM_SUCCESS);
	ck_assert_int_le(result, SSM_REBOOT_AGAIN);
	f->done = true;
	f->result = result;
	f->exit_code = exit_code;
	return 0;
}

static int32_t
fake_progress(struct ssm *S, struct ssm_step *s, const char *text)
{
	(void)s;
	note_text(note(fakehost_of(S), "progress"), "text", text);
	return 0;
}

/* ---------------------------------------------------------------- sessions */

static const char *
fake_session_str(struct ssm *S, struct ssm_session *s, const char *pointer, const char *preset)
{
	const json_t *v = json_at(s->document, pointer);

	if (!v || json_is_null(v))
		return preset;
	if (json_is_string(v))
		return json_string_value(v);
	return keep(fakehost_of(S), json_text(v), NULL);
}

/* ------------------------------------------------------- messages and jobs */

static const char *
fake_msg_json(struct ssm *S, struct ssm_message *m, const char *pointer, size_t *ret_len)
{
	const json_t *v = json_at(m->tree, pointer);

	if (!v)
		return NULL;
	if (!json_is_string(v))
		return keep(fakehost_of(S), json_text(v), ret_len);
	if (ret_len)
		*ret_len = json_string_length(v);
	return json_string_value(v);
}

static int32_t
fake_msg_reply(struct ssm *S, struct ssm_message *m, const char *json, size_t len, int32_t final)
{
	struct fakehost *f = fakehost_of(S);
	size_t n = json_array_size(f->replies);

	(void)m;
	if (n && json_bool(json_array_get(f->replies, n - 1), "final", false))
		return -EALREADY;
	json_array_append_new(f->replies, json_pack("{s:o,s:b}", "text", json_stringn(json, len),
						    "final", final != 0));
	return 0;
}

static void
play_output(int fd, const char *text)
{
	if (text && fd >= 0)
		ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
}

static int32_t
fake_step_run(struct ssm *S, struct ssm_message *m, const struct ssm_step_run *run,
	      struct ssm_step_result *ret)
{
	struct fakehost *f = fakehost_of(S);
	json_t *record = note(f, "step_run");
	autojson json_t *v = next_play(f, "step_run");

	(void)m;
	ck_assert_uint_eq(run->size, sizeof(*run));
	note_text(record, "action", run->action);
	note_text(record, "name", run->name);
	note_body(record, "inputs", run->inputs, run->inputs_len);
	json_object_set_new(record, "timeout_ms", json_integer(run->timeout_ms));
	play_output(run->stdout_fd, json_str(v, "out", NULL));
	play_output(run->stderr_fd, json_str(v, "err", NULL));
	ret->result = (int32_t)json_int(v, "result", SSM_SUCCESS);
	ret->exit_code = (int32_t)json_int(v, "code", 0);
	ret->error = xstrdup(json_str(v, "error", NULL));
	return (int32_t)json_int(v, "r", 0);
}

static int32_t
fake_job_start(struct ssm *S, const struct ssm_job *job, char **ret_id)
{
	struct fakehost *f = fakehost_of(S);
	json_t *record = note(f, "job_start");
	autojson json_t *v = next_play(f, "job_start");

	ck_assert_uint_eq(job->size, sizeof(*job));
	json_object_set_new(record, "kind", json_integer(job->kind));
	note_text(record, "name", job->name);
	note_body(record, "json", job->json, job->len);
	play_output(job->stdout_fd, json_str(v, "out", NULL));
	if (json_int(v, "r", 0) >= 0)
		*ret_id = xstrdup(json_str(v, "id", "job/1"));
	return (int32_t)json_int(v, "r", 0);
}

static int32_t
fake_job_wait(struct ssm *S, const char *id, struct ssm_job_end *ret)
{
	struct fakehost *f = fakehost_of(S);
	autojson json_t *v = NULL;

	note_text(note(f, "job_wait"), "id", id);
	v = next_play(f, "job_wait");
	ret->result = (int32_t)json_int(v, "result", SSM_SUCCESS);
	ret->exit_code = (int32_t)json_int(v, "code", 0);
	ret->error = xstrdup(json_str(v, "error", NULL));
	ret->json = xstrdup(json_str(v, "json", NULL));
	ret->len = ret->json ? strlen(ret->json) : 0;
	return (int32_t)json_int(v, "r", 0);
}

static int32_t
fake_job_cancel(struct ssm *S, const char *id)
{
	note_text(note(fakehost_of(S), "job_cancel"), "id", id);
	return 0;
}

/* ---------------------------------------------------------------- the test */

static const struct ssm_api fake_api = {
	.size = sizeof(struct ssm_api),
	.abi = SSM_ABI_VERSION,
	.agent_version = "0",
	.vlog = fake_vlog,
	.verror = fake_verror,
	.alloc = fake_alloc,
	.free = fake_free,
	.has = fake_has,
	.info = fake_info,
	.option = fake_option,
	.option_int = fake_option_int,
	.cancelled = fake_cancelled,
	.cancel_fd = fake_cancel_fd,
	.spawn = fake_spawn,
	.spawn_start = fake_spawn_start,
	.call = fake_call,
	.sign = fake_sign,
	.transfer = fake_transfer,
	.state_get = fake_state_get,
	.state_put = fake_state_put,
	.step_str = fake_step_str,
	.step_json = fake_step_json,
	.step_write = fake_step_write,
	.step_done = fake_step_done,
	.progress = fake_progress,
	.session_str = fake_session_str,
	.msg_json = fake_msg_json,
	.msg_reply = fake_msg_reply,
	.step_run = fake_step_run,
	.job_start = fake_job_start,
	.job_wait = fake_job_wait,
	.job_cancel = fake_job_cancel,
};

void
fakehost_init(struct fakehost *f)
{
	memset(f, 0, sizeof(*f));
	f->api = fake_api;
	f->S.api = &f->api;
	f->info = json_pack("{s:s,s:s,s:s}", "instance-id", "i-0123456789abcdef0", "region",
			    "eu-west-1", "job-id", "job");
	f->options = json_object();
	f->capabilities = json_pack("[s,s]", "spawn", "agent");
	f->state = json_object();
	f->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sbuf_init(&f->out, TEXT_MAX);
	sbuf_init(&f->err, TEXT_MAX);
	f->log = json_array();
	f->replies = json_array();
	f->asked = json_array();
	f->plays = json_object();
	f->texts = json_array();
}

static void
drop_step(struct fakehost *f)
{
	if (f->step)
		json_decref(f->step->inputs);
	free(TAKE(f->step));
}

static void
drop_message(struct fakehost *f)
{
	if (f->message)
		json_decref(f->message->tree);
	free(TAKE(f->message));
}

static void
drop_session(struct fakehost *f)
{
	if (f->session)
		json_decref(f->session->document);
	free(TAKE(f->session));
}

void
fakehost_done(struct fakehost *f)
{
	json_t *const all[] = {f->info, f->options, f->capabilities, f->state, f->log,
			       f->replies, f->asked, f->plays,	      f->texts};

	for (size_t i = 0; i < NELEMS(all); i++)
		json_decref(all[i]);
	drop_step(f);
	drop_message(f);
	drop_session(f);
	json_decref(f->started);
	sbuf_done(&f->out);
	sbuf_done(&f->err);
	mem_cleanup_fd(&f->cancel_fd);
	free(f->error);
}

struct ssm_step *
fakehost_step(struct fakehost *f, json_t *inputs)
{
	drop_step(f);
	ck_assert_ptr_nonnull(inputs);
	f->step = xcalloc(1, sizeof(*f->step));
	f->step->inputs = inputs;
	f->done = false;
	return f->step;
}

struct ssm_session *
fakehost_session(struct fakehost *f, json_t *document)
{
	drop_session(f);
	ck_assert_ptr_nonnull(document);
	f->session = xcalloc(1, sizeof(*f->session));
	f->session->document = document;
	return f->session;
}

struct ssm_message *
fakehost_message(struct fakehost *f, json_t *message)
{
	drop_message(f);
	ck_assert_ptr_nonnull(message);
	f->message = xcalloc(1, sizeof(*f->message));
	f->message->tree = message;
	return f->message;
}

void
fakehost_cancel(struct fakehost *f)
{
	const uint64_t one = 1;

	f->cancelled = true;
	ck_assert_int_eq(write(f->cancel_fd, &one, sizeof(one)), sizeof(one));
}

static const json_t *
find(const struct fakehost *f, size_t n, const char *fn, size_t *ret_count)
{
	const json_t *v, *found = NULL;
	size_t i;

	*ret_count = 0;
	json_array_foreach(f->asked, i, v)
	{
		if (strcmp(json_str(v, "fn", ""), fn) == 0 && (*ret_count)++ == n)
			found = v;
	}
	return found;
}

const json_t *
fakehost_asked(const struct fakehost *f, size_t n, const char *fn)
{
	size_t count;
	const json_t *v = find(f, n, fn, &count);

	ck_assert_msg(v != NULL, "%s() was called %zu times", fn, count);
	return v;
}

size_t
fakehost_count(const struct fakehost *f, const char *fn)
{
	size_t count;

	find(f, 0, fn, &count);
	return count;
}
