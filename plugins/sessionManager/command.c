/* SPDX-License-Identifier: Apache-2.0 */
/* A program without a terminal: what it writes goes out as it comes, also when both streams are
 * one; with separate streams its exit code follows. */
#include "plugins/sessionManager/command.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "plugins/sessionManager/data.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/messages.h"
#include "plugins/sessionManager/runas.h"
#include "plugins/sessionManager/session.h"
#include "plugins/sessionManager/shelltext.h"

#define KILL_MS 2000 /* from TERM to KILL */
#define PIECE_MAX (1024 * 1024)
#define INTERRUPT 0x03
#define QUIT 0x1c

static struct {
	struct ssm_watch *child, *killer;
	struct command_properties conf;
	char **argv;	 /* what it will run */
	bool waits;	 /* for its user, and then runs it */
	bool in_line[2]; /* stdout, stderr: the last chunk did not end one */
	bool over;	 /* the exit code waits for room */
	int exit_code;
} command;

static int32_t
finish(struct ssm *S, struct ssm_session *s)
{
	autosbuf struct sbuf b = SBUF_INIT(64);

	if (command.conf.separate_output) {
		(void)message_write_exit_code(command.exit_code, &b);
		if (S->api->session_send(S, s, PAYLOAD_EXIT_CODE, b.p, b.len) == -EAGAIN)
			return 0;
	}
	command.over = false;
	command_properties_done(&command.conf);
	return S->api->session_end(S, s, SSM_SUCCESS, "");
}

static void
on_end(struct ssm *S, int32_t result, const struct ssm_end *end, void *arg)
{
	command.child = NULL;
	if (command.killer)
		S->api->watch_end(S, TAKE(command.killer));
	command.exit_code = result == 0 && end->how == SSM_END_EXIT ? end->code : -1;
	command.over = true;
	session_exited(arg, command.exit_code);
	(void)finish(S, arg);
}

/* Where a line begins, the prefix; chunks are as large as messages are. */
static bool
put_prefixed(struct sbuf *out, const char *prefix, bool in_line, const char *p, size_t len)
{
	size_t max = DATA_CHUNK_BYTES - strlen(prefix);

	while (len > 0) {
		size_t n = len < max ? len : max;

		if (!in_line)
			(void)sbuf_adds(out, prefix);
		(void)sbuf_add(out, p, n);
		in_line = p[n - 1] != '\n';
		p += n;
		len -= n;
	}
	return in_line;
}

static int32_t
on_output(struct ssm *S, int32_t stream, const void *data, size_t len, void *arg)
{
	const struct command_properties *c = &command.conf;
	bool err = stream == SSM_STDERR, in_line;
	autosbuf struct sbuf b = SBUF_INIT(PIECE_MAX);
	int32_t r;

	if (!c->separate_output)
		return S->api->session_send(S, arg, PAYLOAD_OUTPUT, data, len);
	in_line = put_prefixed(&b, err ? c->stderr_prefix : c->stdout_prefix, command.in_line[err],
			       data, len);
	r = b.err ? b.err
		  : S->api->session_send(S, arg, err ? PAYLOAD_STDERR : PAYLOAD_OUTPUT, b.p, b.len);
	if (r >= 0)
		command.in_line[err] = in_line;
	return r;
}

/* As the operator is used to see it, also by a client that shows no results. */
static int32_t
cannot_start(struct ssm *S, struct ssm_session *s, const char *why, const char *result)
{
	autosbuf struct sbuf b = SBUF_INIT(64);

	if (command.conf.separate_output) {
		(void)message_write_exit_code(1, &b);
		(void)S->api->session_send(S, s, PAYLOAD_EXIT_CODE, b.p, b.len);
	}
	(void)S->api->session_send(S, s, PAYLOAD_STDERR, why, strlen(why));
	command_properties_done(&command.conf);
	return S->api->session_end(S, s, SSM_FAILED, result);
}

static int32_t
spawn(struct ssm *S, struct ssm_session *s, const struct runas *as)
{
	const struct ssm_spawn cmd = { .size = sizeof(cmd),
				       .flags = SSM_SPAWN_SEARCH,
				       .argv = (const char *const *)command.argv,
				       .envp = (const char *const *)as->envp,
				       .cwd = as->cwd,
				       .run_as = as->user,
				       .output_fn = on_output,
				       .output_arg = s };
	int32_t r = S->api->spawn_start(S, &cmd, on_end, s, &command.child);
	autofree char *reason = r < 0 ? xstrdup(strerror(-r)) : NULL, *why = NULL;

	session_runs_as(s, runas_name(as));
	if (r >= 0)
		return 0;
	reason[0] = (char)tolower((unsigned char)reason[0]);
	why = xasprintf("fork/exec %s: %s", command.argv[0], reason);
	return cannot_start(S, s, why, "");
}

static void
on_who(struct ssm *S, int32_t result, const struct runas *as, const char *why, void *arg)
{
	autofree char *text = xasprintf("Unable to start command: %s\n", why);

	command.waits = false;
	if (result == -ECANCELED)
		(void)S->api->session_end(S, arg, SSM_SUCCESS, "");
	else if (result < 0)
		(void)cannot_start(S, arg, text, text);
	else
		(void)spawn(S, arg, as);
	command.argv = strv_free(command.argv);
}

static int32_t
command_open(struct ssm *S, struct ssm_session *s)
{
	const char *text = S->api->session_str(S, s, "/properties", "{}");
	autojson json_t *v = json_parse(text, strlen(text), "properties", NULL);
	struct err e = { 0, "" };
	autofree char *why = NULL;

	if (command_properties_read(v, &command.conf, &e) < 0) {
		why = xasprintf("Fail to remarshal shell properties: %s", err_text(&e));
		return S->api->session_end(S, s, SSM_FAILED, why);
	}
	if (shelltext_words(command.conf.commands, &command.argv, &e) < 0) {
		why = xasprintf("Unable to start command: %s\n", err_text(&e));
		return cannot_start(S, s, why, why);
	}
	if (!command.argv) {
		command_properties_done(&command.conf);
		return S->api->session_end(S, s, SSM_FAILED, "Commands cannot be empty for session "
							     "type NonInteractiveCommands");
	}
	command.waits = true;
	runas_start(S, s, (struct runas_rights){ geteuid() == 0, command.conf.elevated }, on_who,
		    s);
	return 0;
}

/* The operator's ^C and ^\ come as bytes; there is nothing else to be typed. */
static int32_t
command_input(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data,
	      size_t len)
{
	const unsigned char *p = data;

	(void)s;
	for (size_t i = 0; payload_type == PAYLOAD_OUTPUT && command.child && i < len; i++) {
		if (p[i] != INTERRUPT && p[i] != QUIT)
			continue;
		(void)S->api->child_signal(S, command.child, p[i] == QUIT ? SIGQUIT : SIGINT);
		break;
	}
	return 0;
}

static int32_t
command_writable(struct ssm *S, struct ssm_session *s)
{
	if (command.over)
		return finish(S, s);
	return command.child ? S->api->watch_set(S, command.child, SSM_READ) : 0;
}

static int32_t
on_kill(struct ssm *S, struct ssm_watch *w, void *arg)
{
	(void)w;
	(void)arg;
	command.killer = NULL;
	if (command.child)
		(void)S->api->child_signal(S, command.child, SIGKILL);
	return 0;
}

static void
command_close(struct ssm *S, struct ssm_session *s, int32_t reason)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .timer_fn = on_kill, .after_ms = KILL_MS
	};

	(void)reason;
	if (command.over)
		(void)finish(S, s);
	if (command.waits)
		runas_cancel();
	if (!command.child)
		return;
	(void)S->api->watch_set(S, command.child, SSM_READ);
	(void)S->api->child_signal(S, command.child, SIGTERM);
	(void)S->api->watch(S, &on, &command.killer);
}

const struct ssm_session_ops command_ops = { sizeof(command_ops), 0,	command_open, command_input,
					     NULL,		  command_writable, command_close };
