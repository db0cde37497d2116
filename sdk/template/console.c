/* SPDX-License-Identifier: Apache-2.0 */
/* A session type, acme:Console: the document's program at a terminal. Nothing here waits, and
 * nothing is lost: what one side does not take yet makes the other one wait. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <ssm_plugin.h>
#include <unistd.h>

#define OUTPUT 1 /* payload type of what is typed and shown */

/* There is one session in a process. */
static struct {
	struct ssm_watch *child, *room;
	int closed;  /* somebody asked for its end */
	int keys;    /* our end of the pipe that is typed from */
	size_t done; /* of a message of which only a part fitted in */
} console = {.keys = -1};

/* -EAGAIN goes on to the host: it reads no more of the terminal until watch_set(), so in the end
 * it is the program that waits. */
static int32_t
on_output(struct ssm *S, int32_t stream, const void *data, size_t len, void *arg)
{
	(void)stream;
	return S->api->session_send(S, arg, OUTPUT, data, len);
}

static int32_t
console_writable(struct ssm *S, struct ssm_session *s)
{
	(void)s;
	return console.child ? S->api->watch_set(S, console.child, SSM_READ) : 0;
}

static void
on_end(struct ssm *S, int32_t result, const struct ssm_end *end, void *arg)
{
	int good = console.closed || (result >= 0 && end->how == SSM_END_EXIT && end->code == 0);

	console.child = NULL;
	if (console.room)
		S->api->watch_end(S, console.room);
	close(console.keys);
	console.keys = -1;
	S->api->session_end(S, arg, good ? SSM_SUCCESS : SSM_FAILED, good ? "" : "It failed.");
}

static int32_t
console_open(struct ssm *S, struct ssm_session *s)
{
	const char *sh = S->api->session_str(S, s, "/properties/command", "cat");
	const char *user = S->api->option(S, "User");
	const char *const argv[] = {"/bin/sh", "-c", sh, NULL};
	struct ssm_spawn cmd = {.size = sizeof(cmd),
				.flags = SSM_SPAWN_PTY | SSM_SPAWN_STDIN_FD,
				.argv = argv,
				.run_as = *user ? user : NULL,
				.cwd = "/",
				.output_fn = on_output,
				.output_arg = s,
				.cols = 80,
				.rows = 24};
	int keys[2];
	int32_t r;

	if (pipe2(keys, O_CLOEXEC | O_NONBLOCK) < 0)
		return ssm_fail(S, -errno, "no pipe for the keys");
	console.keys = keys[1];
	cmd.stdin_fd = keys[0];
	r = S->api->spawn_start(S, &cmd, on_end, s, &console.child);
	close(keys[0]);
	return r;
}

/* Room again: with nothing to send, session_send() asks for the input that was refused. */
static int32_t
on_room(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	(void)w;
	(void)fd;
	(void)events;
	console.room = NULL;
	S->api->session_send(S, arg, OUTPUT, NULL, 0);
	return -ECANCELED; /* the end of this watch */
}

static int32_t
console_input(struct ssm *S, struct ssm_session *s, uint32_t type, const void *data, size_t len)
{
	struct ssm_watch_on on = {.size = sizeof(on),
				  .fd_fn = on_room,
				  .arg = s,
				  .fd = console.keys,
				  .events = SSM_WRITE};
	ssize_t n;

	if (type != OUTPUT || console.keys < 0)
		return 0;
	n = write(console.keys, (const char *)data + console.done, len - console.done);
	console.done += n > 0 ? (size_t)n : 0;
	if (console.done < len && (n >= 0 || errno == EAGAIN)) {
		if (!console.room)
			S->api->watch(S, &on, &console.room);
		return -EAGAIN; /* the same message comes again */
	}
	console.done = 0;
	return 0;
}

static int32_t
console_resize(struct ssm *S, struct ssm_session *s, uint32_t cols, uint32_t rows)
{
	(void)s;
	return console.child ? S->api->child_resize(S, console.child, cols, rows) : 0;
}

/* The operator has gone, or somebody ended the session: on_end() says the last word. */
static void
console_close(struct ssm *S, struct ssm_session *s, int32_t reason)
{
	(void)s;
	(void)reason;
	console.closed = 1;
	if (console.child)
		S->api->child_signal(S, console.child, SIGKILL);
}

static const struct ssm_session_ops console_ops = {
	sizeof(console_ops), 0, console_open, console_input,
	console_resize, console_writable, console_close,
};
static const struct ssm_feature features[] = {SSM_SESSION("acme:Console", &console_ops)};
static const struct ssm_option options[] = {
	{SSM_OPT_STRING, 0, "User", "nobody", "Who the program runs as; empty: as the agent."},
};

SSM_PLUGIN(console) = {
	SSM_PLUGIN_HEAD,    "console", "1.0", "Apache-2.0", "A console", SSM_TABLE(features),
	SSM_TABLE(options), 0,	       NULL,  NULL,
};
