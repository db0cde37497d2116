/* SPDX-License-Identifier: Apache-2.0 */
/* aws:runShellScript: the lines become a file, "sh -c FILE" runs it, so a first line "#!..."
 * counts. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "plugins/runCommand/doc.h"
#include "plugins/runCommand/godec.h"
#include "plugins/runCommand/shell.h"

#define TIMEOUT_MIN 5
#define TIMEOUT_MAX 172800
#define TIMEOUT_PRESET 3600
#define CODE_ENDED_BY_US 137
#define CODE_REBOOT 194
#define NOTE_BYTES 256
#define PATH_PRESET "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

extern char **environ;

static struct shell_step current;

static const struct godec_field input_fields[] = {
	{ "RunCommand", GODEC_STRINGS, NULL },	    { "ID", GODEC_STRING, NULL },
	{ "WorkingDirectory", GODEC_STRING, NULL }, { "TimeoutSeconds", GODEC_ANY, NULL },
	{ "Environment", GODEC_MAP_STRING, NULL },
};
static const struct godec_type input_type = { "RunScriptPluginInput", "runscript",
					      sizeof(input_fields) / sizeof(input_fields[0]),
					      input_fields };

void
shell_set_step(const struct shell_step *step)
{
	current = *step;
}

/* -------------------------------------------------------------- the inputs */

/* Seconds as a number or as text; what is no number, or out of range, is an hour. */
static int64_t
timeout_seconds(const json_t *inputs)
{
	double seconds;

	if (!godec_number(json_object_get(inputs, "TimeoutSeconds"), &seconds))
		return TIMEOUT_PRESET;
	if (!(seconds >= TIMEOUT_MIN && seconds < TIMEOUT_MAX + 1))
		return TIMEOUT_PRESET;
	return (int64_t)seconds;
}

static const char *
info(struct ssm *S, const char *key)
{
	const char *value = S->api->info(S, key);

	return value ? value : "";
}

/* Without the step engine in this process, by what the host says of the document. */
static char *
command_id(struct ssm *S)
{
	const char *document = S->api->info(S, "document-id");
	char *id;

	if (current.command_id)
		return xstrdup(current.command_id);
	if (document)
		return xstrdup(document);
	id = doc_command_id(info(S, "job-id"));
	return id ? id : xstrdup(info(S, "job-id"));
}

static void
add_environment(char ***env, const json_t *given)
{
	json_t *obj = (json_t *)(uintptr_t)given;

	for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it))
		strv_env_set(env, json_object_iter_key(it),
			     json_string_value(json_object_iter_value(it)));
}

/* Ours without anything that names credentials, then the document's, then what it cannot change. */
static char **
make_environment(struct ssm *S, const json_t *inputs)
{
	autofree char *id = command_id(S);
	char **env = NULL;

	for (char *const *p = environ; *p; p++)
		if (!text_starts(*p, "AWS_"))
			strv_add(&env, *p);
	if (!strv_env_get(env, "PATH"))
		strv_add(&env, PATH_PRESET);
	add_environment(&env, json_object_get(inputs, "Environment"));
	add_environment(&env, current.environment);
	strv_env_set(&env, "SSM_COMMAND_ID", id);
	strv_env_set(&env, "AWS_SSM_INSTANCE_ID", info(S, "instance-id"));
	strv_env_set(&env, "AWS_SSM_REGION_NAME", info(S, "region"));
	strv_env_set(&env, "AWS_SSM_PLATFORM_NAME", info(S, "platform-name"));
	strv_env_set(&env, "AWS_SSM_PLATFORM_VERSION", info(S, "platform-version"));
	return env;
}

static bool
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* An absolute one as it is; else below the command's downloads if that is there; else where the
 * reference's service starts its commands. */
static char *
working_directory(struct ssm *S, const json_t *inputs)
{
	const char *given = json_str(inputs, "WorkingDirectory", "");
	const char *preset = S->api->option(S, "DefaultDirectory");
	autofree char *downloads = NULL;

	if (given[0] == '/')
		return xstrdup(given);
	downloads = xasprintf("%s/downloads/%s", info(S, "work-dir"), given);
	if (is_folder(downloads))
		return TAKE(downloads);
	return xstrdup(preset && is_folder(preset) ? preset : "/");
}

/* -------------------------------------------------------------- the script */

static char *
script_text(const json_t *inputs, size_t *ret_len)
{
	const json_t *lines = json_object_get(inputs, "RunCommand");
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	for (size_t i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);

		if (i > 0)
			sbuf_addc(&b, '\n');
		if (json_string_length(line) > 0)
			sbuf_add(&b, json_string_value(line), json_string_length(line));
	}
	sbuf_addc(&b, '\n');
	return sbuf_take(&b, ret_len);
}

/* The file is closed before anything is started: one that is open for writing cannot be run. */
static int
write_script(const char *path, const json_t *inputs)
{
	size_t len;
	autosecret char *text = script_text(inputs, &len);
	autoclose int fd = -1;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0700) < 0)
		return -errno;
	return fs_write_all(fd, text, len);
}

/* The path as a word of the shell. */
static char *
quoted(const char *path)
{
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	if (!path[strspn(path,
			 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			 "_-+.,:@/")])
		return xstrdup(path);
	sbuf_addc(&b, '\'');
	for (; *path; path++) {
		if (*path == '\'')
			sbuf_adds(&b, "'\\'");
		sbuf_addc(&b, *path);
	}
	sbuf_addc(&b, '\'');
	return sbuf_take(&b, NULL);
}

/* --------------------------------------------------------------- the end */

static int32_t
done_with(struct ssm *S, struct ssm_step *step, int32_t result, int code, const char *text)
{
	if (text[0])
		(void)S->api->step_write(S, step, SSM_STDERR, text, strlen(text));
	return S->api->step_done(S, step, result, code);
}

static int32_t
fail(struct ssm *S, struct ssm_step *step, const char *what, int error)
{
	char reason[128];
	autofree char *text = NULL;

	(void)snprintf(reason, sizeof(reason), "%s", strerror(error < 0 ? -error : error));
	reason[0] = (char)tolower((unsigned char)reason[0]);
	text = xasprintf("%s: %s", what, reason);
	return done_with(S, step, SSM_FAILED, 1, text);
}

static char *
signal_text(int sig)
{
	static const char *const names[] = {
		NULL,
		"hangup",
		"interrupt",
		"quit",
		"illegal instruction",
		"trace/breakpoint trap",
		"aborted",
		"bus error",
		"floating point exception",
		"killed",
		"user defined signal 1",
		"segmentation fault",
		"user defined signal 2",
		"broken pipe",
		"alarm clock",
		"terminated",
	};

	if (sig > 0 && (size_t)sig < sizeof(names) / sizeof(names[0]))
		return xasprintf("failed to run commands: signal: %s", names[sig]);
	return xasprintf("failed to run commands: signal: signal %d", sig);
}

static int32_t
exited(struct ssm *S, struct ssm_step *step, int code)
{
	autofree char *text = NULL;

	if (code == 0)
		return S->api->step_done(S, step, SSM_SUCCESS, 0);
	if (code == CODE_REBOOT)
		return S->api->step_done(S, step, SSM_REBOOT_AGAIN, code);
	text = xasprintf("failed to run commands: exit status %d", code);
	return done_with(S, step, SSM_FAILED, code, text);
}

/* Exit status to result; 137 is ours only when the host ended the process. */
static int32_t
ended(struct ssm *S, struct ssm_step *step, const struct ssm_end *end)
{
	autofree char *text = NULL;

	switch (end->how) {
	case SSM_END_TIMEOUT:
		return S->api->step_done(S, step, SSM_TIMED_OUT, CODE_ENDED_BY_US);
	case SSM_END_CANCEL:
		return S->api->step_done(S, step, SSM_CANCELLED, CODE_ENDED_BY_US);
	case SSM_END_SIGNAL:
		text = signal_text(end->code);
		return done_with(S, step, SSM_FAILED, -1, text);
	case SSM_END_EXIT:
	default:
		return exited(S, step, end->code);
	}
}

/* ----------------------------------------------------------------- running */

/* What the program may write; the rest is for what we say of its end. */
static uint64_t
stream_ceiling(void)
{
	return current.max_output > 2 * NOTE_BYTES ? current.max_output - NOTE_BYTES
						   : current.max_output;
}

static int32_t
run_script(struct ssm *S, struct ssm_step *step, const json_t *inputs, const char *path,
	   const char *cwd)
{
	autostrv char **env = make_environment(S, inputs);
	autofree char *word = quoted(path);
	const char *const argv[] = { "sh", "-c", word, NULL };
	struct ssm_spawn cmd = { .size = sizeof(cmd),
				 .flags = SSM_SPAWN_SEARCH,
				 .argv = argv,
				 .envp = (const char *const *)env,
				 .cwd = cwd,
				 .timeout_ms = timeout_seconds(inputs) * 1000,
				 .max_output = stream_ceiling() };
	struct ssm_end end = { .size = sizeof(end) };
	int32_t r = S->api->spawn(S, &cmd, &end);

	if (r == -ECANCELED)
		return S->api->step_done(S, step, SSM_CANCELLED, CODE_ENDED_BY_US);
	if (r < 0)
		return fail(S, step, "failed to run commands: sh", r);
	return ended(S, step, &end);
}

static int32_t
run_inputs(struct ssm *S, struct ssm_step *step, const json_t *inputs)
{
	autofree char *path = xasprintf("%s/%02d.sh", info(S, "work-dir"),
					current.number > 0 ? current.number : 1);
	autofree char *cwd = working_directory(S, inputs);
	autofree char *what = xasprintf("failed to run commands: chdir %s", cwd);
	int32_t r;

	if (!is_folder(cwd))
		return fail(S, step, what, access(cwd, F_OK) == 0 ? ENOTDIR : errno);
	r = write_script(path, inputs);
	r = r < 0 ? fail(S, step, "failed to create script file", r)
		  : run_script(S, step, inputs, path, cwd);
	(void)unlink(path);
	return r;
}

static int32_t
shell_run(struct ssm *S, struct ssm_step *step)
{
	size_t len;
	const char *text = S->api->step_json(S, step, "", &len);
	autojson json_t *raw = text ? json_parse(text, len, "inputs", NULL) : NULL, *inputs = NULL;
	autofree char *reason = NULL, *message = NULL;

	if (S->api->cancelled(S))
		return S->api->step_done(S, step, SSM_CANCELLED, 1);
	inputs = raw ? godec_object(raw, &input_type, &reason) : NULL;
	if (!inputs) {
		message = xasprintf("Invalid format in plugin properties;\nerror %s",
				    reason ? reason : "the inputs are not JSON");
		return done_with(S, step, SSM_FAILED, 1, message);
	}
	return run_inputs(S, step, inputs);
}

const struct ssm_action_ops shell_ops = { sizeof(shell_ops), 0, NULL, shell_run };
