/* SPDX-License-Identifier: Apache-2.0 */
/* A program at a terminal: keys into it, what it writes out of it.
 *
 * Why a pipe for the keys: the host types from a descriptor as fast as the terminal takes it; a
 * full pipe is what makes the operator wait. */
#include "plugins/sessionManager/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/messages.h"
#include "plugins/sessionManager/runas.h"
#include "plugins/sessionManager/session.h"

#define KILL_MS 2000 /* from HUP to KILL */

static struct {
	struct ssm_watch *child, *killer;
	int keys;
	size_t typed; /* of a message that did not go into the pipe whole */
	struct ssm_watch *room; /* in the pipe */
	bool waits;   /* for its user */
	char **argv;  /* what it will run then */
	bool with_profile;
	uint32_t cols, rows; /* 0: not told */
} shell = { .keys = -1 };

static void
stop_killer(struct ssm *S)
{
	if (shell.killer)
		S->api->watch_end(S, TAKE(shell.killer));
}

static void
stop_typing(struct ssm *S)
{
	if (shell.room)
		S->api->watch_end(S, TAKE(shell.room));
	mem_cleanup_fd(&shell.keys);
}

static void
on_end(struct ssm *S, int32_t result, const struct ssm_end *end, void *arg)
{
	/* To the operator the exit code of a terminal session is not told, spec 02 §6.7. */
	if (result == 0)
		session_exited(arg, end->how == SSM_END_EXIT ? end->code : -1);
	shell.child = NULL;
	stop_killer(S);
	stop_typing(S);
	(void)S->api->session_end(S, arg, SSM_SUCCESS, "");
}

static int32_t
on_output(struct ssm *S, int32_t stream, const void *data, size_t len, void *arg)
{
	(void)stream;
	return S->api->session_send(S, arg, PAYLOAD_OUTPUT, data, len);
}

static int
spawn(struct ssm *S, struct ssm_session *s, const struct runas *as, const char *profile)
{
	autofree char *typed = *profile ? xasprintf("%s\n", profile) : NULL;
	struct ssm_spawn cmd = { .size = sizeof(cmd),
				 .flags = SSM_SPAWN_PTY | SSM_SPAWN_STDIN_FD,
				 .argv = (const char *const *)shell.argv,
				 .envp = (const char *const *)as->envp,
				 .cwd = as->cwd,
				 .run_as = as->user,
				 .stdin_data = typed,
				 .stdin_len = typed ? strlen(typed) : 0,
				 .output_fn = on_output,
				 .output_arg = s,
				 .cols = shell.cols ? shell.cols : SHELL_COLS,
				 .rows = shell.rows ? shell.rows : SHELL_ROWS };
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	cmd.stdin_fd = fds[0];
	shell.keys = fds[1];
	r = S->api->spawn_start(S, &cmd, on_end, s, &shell.child);
	close(fds[0]);
	return r;
}

/* Told to the operator in the words that the reference uses. */
static int32_t
cannot_start(struct ssm *S, struct ssm_session *s, const char *why)
{
	autofree char *text = xasprintf("Unable to start command: %s\n", why);

	return S->api->session_end(S, s, SSM_FAILED, text);
}

static int
read_inputs(struct ssm *S, struct ssm_session *s, struct session_inputs *ret, struct err *e)
{
	const char *text = S->api->session_str(S, s, "/inputs", "{}");
	autojson json_t *v = json_parse(text, strlen(text), "inputs", e);

	return v ? session_inputs_read(v, ret, e) : -EINVAL;
}

static int
spawn_as(struct ssm *S, struct ssm_session *s, const struct runas *as, struct err *e)
{
	struct session_inputs in = { 0 };
	int r = read_inputs(S, s, &in, e);

	if (r < 0)
		return r;
	session_runs_as(s, runas_name(as));
	r = spawn(S, s, as, shell.with_profile ? in.shell_profile : "");
	session_inputs_done(&in);
	return r < 0 ? err_set(e, r, "Failed to start pty: %s", strerror(-r)) : 0;
}

static void
on_who(struct ssm *S, int32_t result, const struct runas *as, const char *why, void *arg)
{
	struct err e = { 0, "" };

	shell.waits = false;
	if (result == -ECANCELED)
		(void)S->api->session_end(S, arg, SSM_SUCCESS, "");
	else if (result < 0)
		(void)cannot_start(S, arg, why);
	else if (spawn_as(S, arg, as, &e) < 0)
		(void)cannot_start(S, arg, err_text(&e));
	else
		(void)S->api->session_send(S, arg, PAYLOAD_OUTPUT, NULL, 0);
	shell.argv = strv_free(shell.argv);
}

static int32_t
begin(struct ssm *S, struct ssm_session *s, const char *const *argv, bool elevated,
      bool with_profile)
{
	for (; *argv; argv++)
		strv_add(&shell.argv, *argv);
	shell.with_profile = with_profile;
	shell.waits = true;
	runas_start(S, s, (struct runas_rights){ geteuid() == 0, elevated }, on_who, s);
	return 0;
}

static int32_t
shell_open(struct ssm *S, struct ssm_session *s)
{
	static const char *const argv[] = { "/bin/sh", NULL };

	return begin(S, s, argv, false, true);
}

static int32_t
interactive_open(struct ssm *S, struct ssm_session *s)
{
	const char *text = S->api->session_str(S, s, "/properties", "{}");
	autojson json_t *v = json_parse(text, strlen(text), "properties", NULL);
	struct command_properties p = { 0 };
	struct err e = { 0, "" };
	autofree char *why = NULL;
	int32_t r;

	if (command_properties_read(v, &p, &e) < 0) {
		why = xasprintf("Invalid format in session properties %s;\nerror %s", text,
				err_text(&e));
		return S->api->session_end(S, s, SSM_FAILED, why);
	}
	if (p.commands[strspn(p.commands, " \t\r\n")] == 0) {
		r = S->api->session_end(S, s, SSM_FAILED, "Commands cannot be empty for session "
							  "type InteractiveCommands");
	} else {
		const char *const argv[] = { "/bin/sh", "-c", p.commands, NULL };

		r = begin(S, s, argv, p.elevated, false);
	}
	command_properties_done(&p);
	return r;
}

/* What did not fit is asked for again. */
static int32_t
on_room(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	(void)w;
	(void)fd;
	(void)events;
	shell.room = NULL;
	(void)S->api->session_send(S, arg, PAYLOAD_OUTPUT, NULL, 0);
	return -ECANCELED;
}

static int32_t
wait_for_room(struct ssm *S, struct ssm_session *s)
{
	const struct ssm_watch_on on = { .size = sizeof(on),
					 .fd_fn = on_room,
					 .arg = s,
					 .fd = shell.keys,
					 .events = SSM_WRITE };

	if (!shell.room)
		(void)S->api->watch(S, &on, &shell.room);
	return -EAGAIN;
}

/* -EPIPE: it reads no more, which is no reason to hold up what comes behind. */
static int32_t
shell_input(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data,
	    size_t len)
{
	ssize_t n;

	if (shell.waits)
		return -EAGAIN;
	if (payload_type != PAYLOAD_OUTPUT || shell.keys < 0)
		return 0;
	n = write(shell.keys, (const char *)data + shell.typed, len - shell.typed);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		shell.typed = 0;
		return -errno;
	}
	shell.typed += n > 0 ? (size_t)n : 0;
	if (shell.typed < len)
		return wait_for_room(S, s);
	shell.typed = 0;
	return 0;
}

static int32_t
shell_resize(struct ssm *S, struct ssm_session *s, uint32_t cols, uint32_t rows)
{
	(void)s;
	shell.cols = cols;
	shell.rows = rows;
	return shell.child ? S->api->child_resize(S, shell.child, cols, rows) : 0;
}

static int32_t
shell_writable(struct ssm *S, struct ssm_session *s)
{
	(void)s;
	return shell.child ? S->api->watch_set(S, shell.child, SSM_READ) : 0;
}

static int32_t
on_kill(struct ssm *S, struct ssm_watch *w, void *arg)
{
	(void)w;
	(void)arg;
	shell.killer = NULL;
	if (shell.child)
		(void)S->api->child_signal(S, shell.child, SIGKILL);
	return 0;
}

/* As when a terminal's line is cut; who does not mind is killed. */
static void
shell_close(struct ssm *S, struct ssm_session *s, int32_t reason)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .timer_fn = on_kill, .after_ms = KILL_MS
	};

	(void)s;
	(void)reason;
	if (shell.waits)
		runas_cancel();
	if (!shell.child)
		return;
	(void)S->api->watch_set(S, shell.child, SSM_READ);
	(void)S->api->child_signal(S, shell.child, SIGHUP);
	(void)S->api->watch(S, &on, &shell.killer);
}

const struct ssm_session_ops terminal_ops = {
	sizeof(terminal_ops), 0, shell_open, shell_input, shell_resize, shell_writable, shell_close
};
const struct ssm_session_ops interactive_ops = {
	sizeof(interactive_ops), 0,		 interactive_open, shell_input,
	shell_resize,		 shell_writable, shell_close
};
