/* SPDX-License-Identifier: Apache-2.0 */
/* The fake host of the tests of runCommand. */
#include "tests/plugin/t_runCommand_fake.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "plugins/runCommand/shell.h"

struct ssm_step {
	const struct ssm_step_run *run;
	json_t *inputs;
	char *text;
	int32_t result, code;
	bool done;
};

static struct fake *fake; /* one per process */
static struct ssm_step *running;

static const char *
fake_info(struct ssm *S, const char *key)
{
	static const char *const values[][2] = {
		{ "instance-id", "i-0123456789abcdef0" }, { "region", "eu-west-1" },
		{ "platform-name", "Debian GNU/Linux" },  { "platform-version", "12" },
		{ "reported-version", "3.3.2746.0" },
	};

	ck_assert_ptr_eq(S, &fake->S);
	if (strcmp(key, "work-dir") == 0)
		return fake->folder;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i][0], key) == 0)
			return values[i][1];
	return json_str(fake->info, key, NULL);
}

static const char *
fake_option(struct ssm *S, const char *key)
{
	(void)S;
	return strcmp(key, "DefaultDirectory") == 0 ? "/usr/bin" : NULL;
}

static int32_t
fake_has(struct ssm *S, const char *capability)
{
	(void)S;
	return strcmp(capability, "action:test:other") == 0;
}

static int32_t
fake_cancelled(struct ssm *S)
{
	(void)S;
	return fake->cancel_after >= 0 &&
		json_array_size(fake->replies) >= (size_t)fake->cancel_after;
}

__attribute__((format(printf, 3, 0))) static void
fake_vlog(struct ssm *S, int32_t level, const char *fmt, va_list ap)
{
	autofree char *text = xvasprintf(fmt, ap);

	(void)S;
	ck_assert_msg(level > SSM_ERR, "%s", text);
	if (level == SSM_INFO)
		(void)json_array_append_new(fake->lines, json_string(text));
}

__attribute__((format(printf, 2, 0))) static void
fake_verror(struct ssm *S, const char *fmt, va_list ap)
{
	(void)S;
	free(fake->error);
	fake->error = xvasprintf(fmt, ap);
}

static void
fake_free(struct ssm *S, void *p)
{
	(void)S;
	free(p);
}

static const char *
fake_msg_json(struct ssm *S, struct ssm_message *msg, const char *pointer, size_t *ret_len)
{
	static char *text;

	(void)S;
	(void)msg;
	ck_assert_str_eq(pointer, "");
	free(text);
	text = json_text(fake->message);
	*ret_len = strlen(text);
	return text;
}

static int32_t
fake_msg_reply(struct ssm *S, struct ssm_message *msg, const char *json, size_t len, int32_t final)
{
	(void)S;
	(void)msg;
	ck_assert_uint_eq(strlen(json), len);
	json_array_append_new(fake->replies, json_pack("{s:s, s:b}", "text", json, "final", final));
	return 0;
}

static int32_t
fake_state_put(struct ssm *S, const char *key, const void *data, size_t len)
{
	(void)S;
	if (fake->state_fails)
		return -fake->state_fails;
	ck_assert_uint_le(len, 65536);
	json_object_set_new(fake->state, key, json_stringn(data, len));
	return 0;
}

static int32_t
fake_state_get(struct ssm *S, const char *key, char **ret, size_t *ret_len)
{
	const json_t *v = json_object_get(fake->state, key);

	(void)S;
	if (!v)
		return -ENOENT;
	*ret_len = json_string_length(v);
	*ret = xmemdup(json_string_value(v), *ret_len + 1);
	return 0;
}

/* --------------------------------------------------------- parameter store */

/* Of NAME, NAME:VERSION or NAME:LABEL, in the shape that the service gives it. */
static json_t *
stored(const char *wanted)
{
	size_t len = strcspn(wanted, ":");
	autofree char *name = xstrndup(wanted, len);
	const json_t *v = json_object_get(fake->store, name);
	int64_t version = json_int(v, "Version", 1);
	autofree char *number = xasprintf(":%lld", (long long)version);
	autofree char *label = xasprintf(":%s", json_str(v, "Label", "?"));
	json_t *one;

	if (!v ||
	    (wanted[len] && strcmp(wanted + len, number) != 0 && strcmp(wanted + len, label) != 0))
		return NULL;
	one = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s}", "Name", name, "Type",
			json_str(v, "Type", "String"), "Value", json_str(v, "Value", ""), "Version",
			(json_int_t)version, "ARN", "arn:x", "DataType", "text");
	if (wanted[len])
		json_object_set_new(one, "Selector", json_string(wanted + len));
	return one;
}

static char *
answer_call(const json_t *names)
{
	autojson json_t *answer = json_pack("{s:[], s:[]}", "InvalidParameters", "Parameters");
	json_t *name;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)names, i, name)
	{
		json_t *one = stored(json_string_value(name));

		if (one)
			json_array_append_new(json_object_get(answer, "Parameters"), one);
		else
			json_array_append(json_object_get(answer, "InvalidParameters"), name);
	}
	return json_text(answer);
}

static int32_t
fake_call(struct ssm *S, const struct ssm_request *q, struct ssm_reply *ret)
{
	autojson json_t *body = json_parse(q->body, q->body_len, "body", NULL);
	const json_t *names = json_object_get(body, "Names");

	(void)S;
	ck_assert_ptr_nonnull(fake->store);
	ck_assert_str_eq(q->service, "ssm");
	ck_assert_str_eq(q->target, "AmazonSSM.GetParameters");
	ck_assert(json_is_false(json_object_get(body, "WithDecryption")));
	ck_assert_uint_ge(json_array_size(names), 1);
	ck_assert_uint_le(json_array_size(names), 10);
	json_array_append(fake->calls, json_object_get(body, "Names"));
	if (json_object_get(fake->store, "fails"))
		return -(int32_t)json_int(fake->store, "fails", 0);
	ret->status = (int32_t)json_int(fake->store, "status", 200);
	ret->error = xstrdup(json_str(fake->store, "name", NULL));
	ret->body = json_object_get(fake->store, "body")
		? xstrdup(json_str(fake->store, "body", ""))
		: answer_call(names);
	ret->body_len = strlen(ret->body);
	return 0;
}

/* ---------------------------------------------------------------- programs */

static void
write_text(int fd, const json_t *v)
{
	if (json_is_string(v))
		ck_assert_int_eq(fs_write_all(fd, json_string_value(v), json_string_length(v)), 0);
}

static void
remember(const struct ssm_spawn *cmd)
{
	size_t len;

	json_decref(fake->last.env);
	json_decref(fake->last.argv);
	free(fake->last.cwd);
	free(TAKE(fake->last.script));
	fake->last.env = json_object();
	fake->last.argv = json_array();
	for (size_t i = 0; cmd->argv[i]; i++)
		json_array_append_new(fake->last.argv, json_string(cmd->argv[i]));
	for (size_t i = 0; cmd->envp[i]; i++) {
		const char *eq = strchr(cmd->envp[i], '=');
		autofree char *name = xstrndup(cmd->envp[i], (size_t)(eq - cmd->envp[i]));

		json_object_set_new(fake->last.env, name, json_string(eq + 1));
	}
	fake->last.cwd = xstrdup(cmd->cwd);
	fake->last.timeout_ms = cmd->timeout_ms;
	fake->last.max_output = cmd->max_output;
	(void)fs_read(AT_FDCWD, cmd->argv[2], 1 << 20, &fake->last.script, &len, NULL);
}

static int32_t
play_spawn(struct ssm_end *ret)
{
	const json_t *v = json_array_get(fake->spawns, fake->spawn_at++);
	const char *how = json_str(v, "how", "exit");

	ck_assert_msg(v != NULL, "more programs than the test knows of");
	write_text(running->run->stdout_fd, json_object_get(v, "out"));
	write_text(running->run->stderr_fd, json_object_get(v, "err"));
	ret->code = (int32_t)json_int(v, "code", 0);
	ret->how = strcmp(how, "signal") == 0 ? SSM_END_SIGNAL
		: strcmp(how, "timeout") == 0 ? SSM_END_TIMEOUT
		: strcmp(how, "cancel") == 0  ? SSM_END_CANCEL
					      : SSM_END_EXIT;
	return -(int32_t)json_int(v, "error", 0);
}

static int32_t
run_program(const struct ssm_spawn *cmd, struct ssm_end *ret)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status;
	const struct proc_fd fds[] = { { null, 0 },
				       { running->run->stdout_fd, 1 },
				       { running->run->stderr_fd, 2 } };
	struct proc_spec spec = { .path = cmd->argv[0],
				  .argv = (char *const *)(uintptr_t)cmd->argv,
				  .envp = (char *const *)(uintptr_t)cmd->envp,
				  .cwd = cmd->cwd,
				  .fds = fds,
				  .fd_count = 3,
				  .search = true };
	pid_t pid = proc_spawn(&spec, NULL);

	close(null);
	if (pid < 0)
		return (int32_t)pid;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ret->how = WIFEXITED(status) ? SSM_END_EXIT : SSM_END_SIGNAL;
	ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
	return 0;
}

static int32_t
fake_spawn(struct ssm *S, const struct ssm_spawn *cmd, struct ssm_end *ret)
{
	(void)S;
	ck_assert_uint_eq(cmd->size, sizeof(*cmd));
	ck_assert_ptr_nonnull(running);
	remember(cmd);
	return fake->spawns ? play_spawn(ret) : run_program(cmd, ret);
}

/* ------------------------------------------------------------------ steps */

static const char *
fake_step_json(struct ssm *S, struct ssm_step *step, const char *pointer, size_t *ret_len)
{
	(void)S;
	ck_assert_str_eq(pointer, "");
	*ret_len = strlen(step->text);
	return step->text;
}

static int32_t
fake_step_write(struct ssm *S, struct ssm_step *step, int32_t stream, const void *data, size_t len)
{
	(void)S;
	return fs_write_all(stream == SSM_STDOUT ? step->run->stdout_fd : step->run->stderr_fd,
			    data, len);
}

static int32_t
fake_step_done(struct ssm *S, struct ssm_step *step, int32_t result, int32_t code)
{
	(void)S;
	ck_assert(!step->done);
	step->done = true;
	step->result = result;
	step->code = code;
	return 0;
}

static int32_t
play_run(const struct ssm_step_run *run, struct ssm_step_result *ret)
{
	const json_t *v = json_array_get(fake->runs, fake->run_at++);

	ck_assert_msg(v != NULL, "more steps than the test knows of: %s", run->action);
	write_text(run->stdout_fd, json_object_get(v, "out"));
	write_text(run->stderr_fd, json_object_get(v, "err"));
	ret->result = (int32_t)json_int(v, "result", SSM_SUCCESS);
	ret->exit_code = (int32_t)json_int(v, "code", 0);
	ret->error = xstrdup(json_str(v, "error", NULL));
	return -(int32_t)json_int(v, "fails", 0);
}

static int32_t
fake_step_run(struct ssm *S, struct ssm_message *msg, const struct ssm_step_run *run,
	      struct ssm_step_result *ret)
{
	struct ssm_step step = { .run = run };
	int32_t r;

	(void)msg;
	ck_assert_uint_eq(run->size, sizeof(*run));
	if (strcmp(run->action, SHELL_ACTION) != 0)
		return play_run(run, ret);
	step.text = xstrndup(run->inputs, run->inputs_len);
	running = &step;
	r = shell_ops.run(S, &step);
	running = NULL;
	free(step.text);
	ck_assert(step.done);
	ret->result = step.result;
	ret->exit_code = step.code;
	return r;
}

/* --------------------------------------------------------------- the test */

void
fake_init(struct fake *f)
{
	*f = (struct fake){ .cancel_after = -1, .folder = "/tmp/t_runCommand.XXXXXX" };
	fake = f;
	f->S.api = &f->api;
	f->api = (struct ssm_api){
		.size = sizeof(f->api),
		.abi = SSM_ABI_VERSION,
		.vlog = fake_vlog,
		.verror = fake_verror,
		.free = fake_free,
		.has = fake_has,
		.info = fake_info,
		.option = fake_option,
		.cancelled = fake_cancelled,
		.spawn = fake_spawn,
		.call = fake_call,
		.step_json = fake_step_json,
		.step_write = fake_step_write,
		.step_done = fake_step_done,
		.msg_json = fake_msg_json,
		.msg_reply = fake_msg_reply,
		.step_run = fake_step_run,
		.state_get = fake_state_get,
		.state_put = fake_state_put,
	};
	f->replies = json_array();
	f->lines = json_array();
	f->state = json_object();
	f->calls = json_array();
	ck_assert_ptr_nonnull(mkdtemp(f->folder));
}

void
fake_done(struct fake *f)
{
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, f->folder, NULL), 0);
	json_decref(f->message);
	json_decref(f->info);
	json_decref(f->spawns);
	json_decref(f->runs);
	json_decref(f->replies);
	json_decref(f->lines);
	json_decref(f->state);
	json_decref(f->store);
	json_decref(f->calls);
	json_decref(f->last.env);
	json_decref(f->last.argv);
	free(f->last.cwd);
	free(f->last.script);
	free(f->error);
	clock_replace(NULL);
}

json_t *
fake_message(const json_t *c)
{
	json_t *payload =
		json_pack("{s:s, s:s, s:s, s:s}", "CommandId", FAKE_COMMAND, "DocumentName", "doc",
			  "OutputS3BucketName", "", "OutputS3KeyPrefix", "");

	if (json_object_get(c, "parameters"))
		json_object_set(payload, "Parameters", json_object_get(c, "parameters"));
	json_object_set(payload, "DocumentContent", json_object_get(c, "document"));
	json_object_update(payload, json_object_get(c, "payload"));
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "MessageId",
			 "aws.ssm." FAKE_COMMAND ".i-0123456789abcdef0", "Topic",
			 "aws.ssm.sendCommand.i-0123456789abcdef0", "Destination",
			 "i-0123456789abcdef0", "CreatedDate", FAKE_NOW, "Payload", payload);
}

const char *
fake_reply(const struct fake *f, size_t i)
{
	const char *text = json_str(json_array_get(f->replies, i), "text", NULL);

	ck_assert_msg(text != NULL, "reply %zu is missing", i);
	return text;
}

static int64_t
stopped_ms(void)
{
	return INT64_C(1729534091950);
}

void
fake_stop_clock(void)
{
	static const struct clock_ops stopped = { stopped_ms, stopped_ms };

	clock_replace(&stopped);
}
