/* SPDX-License-Identifier: Apache-2.0 */
/* A session type of another plugin than its provider's: "zoo:shell" runs /Payload/sh on a terminal.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "zoo.h"

static struct {
	struct ssm_watch *child;
	int keys[2];
	int32_t reason;
} shell;

/* -EAGAIN goes on to the host, which reads no more until writable(). */
static int32_t
on_output(struct ssm *S, int32_t stream, const void *data, size_t len, void *arg)
{
	return S->api->session_send(S, arg, stream == SSM_STDOUT ? 1 : 11, data, len);
}

static void
on_end(struct ssm *S, int32_t result, const struct ssm_end *end, void *arg)
{
	char text[64];

	(void)result;
	snprintf(text, sizeof(text), "how=%d code=%d reason=%d", end->how, end->code, shell.reason);
	shell.child = NULL;
	S->api->session_end(S, arg, SSM_SUCCESS, text);
}

static int32_t
shell_open(struct ssm *S, struct ssm_session *s)
{
	const char *const argv[] = {"/bin/sh", "-c",
				    S->api->session_str(S, s, "/Payload/sh", "exit 99"),
				    S->api->option(S, "Name"), NULL};
	struct ssm_spawn cmd = {.size = sizeof(cmd),
				.flags = SSM_SPAWN_PTY | SSM_SPAWN_SPLIT | SSM_SPAWN_STDIN_FD,
				.argv = argv,
				.output_fn = on_output,
				.output_arg = s,
				.cols = 80,
				.rows = 24};
	struct ssm_end end = {.size = sizeof(end)};
	int32_t r;

	if (S->api->spawn(S, &cmd, &end) != -EDEADLK)
		return -EPROTO;
	if (strcmp(S->api->session_str(S, s, "/Payload/none", "preset"), "preset") != 0)
		return -EPROTO;
	if (pipe2(shell.keys, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	cmd.stdin_fd = shell.keys[0];
	r = S->api->spawn_start(S, &cmd, on_end, s, &shell.child);
	close(shell.keys[0]);
	return r < 0 ? r : S->api->session_str(S, s, "/Payload/fail", NULL)
		? S->api->session_send(S, s, 2, "x", 1)
		: 0;
}

static int32_t
shell_input(struct ssm *S, struct ssm_session *s, uint32_t type, const void *data, size_t len)
{
	(void)S;
	(void)s;
	return type == 1 && write(shell.keys[1], data, len) == (ssize_t)len ? 0 : -EAGAIN;
}

static int32_t
shell_resize(struct ssm *S, struct ssm_session *s, uint32_t cols, uint32_t rows)
{
	(void)s;
	return S->api->child_resize(S, shell.child, cols, rows);
}

static int32_t
shell_writable(struct ssm *S, struct ssm_session *s)
{
	(void)s;
	return shell.child ? S->api->watch_set(S, shell.child, SSM_READ) : 0;
}

static void
shell_close(struct ssm *S, struct ssm_session *s, int32_t reason)
{
	(void)s;
	shell.reason = reason;
	S->api->child_signal(S, shell.child, SIGHUP);
}

static const struct ssm_session_ops ops = {
	sizeof(ops), 0, shell_open, shell_input, shell_resize, shell_writable, shell_close};
static const struct ssm_feature features[] = {SSM_SESSION("zoo:shell", &ops)};
static const struct ssm_option options[] = {
	{SSM_OPT_STRING, 0, "Name", "preset", "The shell's name, $0."}};

SSM_PLUGIN(shells) = {
	SSM_PLUGIN_HEAD,    "shells", "1",  "", "", SSM_TABLE(features),
	SSM_TABLE(options), 0,        NULL, NULL,
};
