/* SPDX-License-Identifier: Apache-2.0 */
/* Connect, ask, wait for the answer on a loop of its own. */
#include "core/tool/ask.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/ipc/ipc.h"

#define WAIT_S 10

struct question {
	struct event_base *base;
	json_t *answer;
	struct err *e;
	int code;
};

static int
on_message(void *arg, struct ipc_message *m)
{
	struct question *q = arg;

	q->code = (int)json_int(m->json, "code", -EPROTO);
	if (q->code < 0)
		err_set(q->e, q->code, "%s",
			json_str(m->json, "error", "the agent refused to answer"));
	else
		q->answer =
			json_parse(m->body ? m->body : "", m->body_len, "the agent's answer", q->e);
	event_base_loopbreak(q->base);
	return 0;
}

static void
on_end(void *arg, int err, const char *text)
{
	struct question *q = arg;

	q->code = err_set(q->e, err < 0 ? err : -EPIPE, "the agent hung up%s%s", text ? ": " : "",
			  text ? text : "");
	event_base_loopbreak(q->base);
}

static int
connect_to(const char *run_path, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	autoclose int dirfd = open(run_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = -1;

	if (dirfd < 0)
		return err_set(
			e, -errno,
			"cannot reach the agent below '%s': %m; is it running, and is this the "
			"right --root?",
			run_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, -errno, "cannot make a socket: %m");
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/agent.sock", dirfd);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_set(
			e, -errno,
			"cannot reach the agent at '%s/agent.sock': %m; is it running, and are you "
			"root?",
			run_path);
	return TAKE_FD(fd);
}

json_t *
ask_agent(const char *run_path, const char *what, struct err *e)
{
	struct question q = {NULL, NULL, e, 0};
	const struct timeval wait = {WAIT_S, 0};
	int fd = connect_to(run_path, e);
	struct ipc *ipc;

	if (fd < 0)
		return NULL;
	q.base = event_base_new();
	ipc = ipc_new(q.base, fd, on_message, on_end, &q);
	ipc_send(ipc, json_pack("{s:s,s:s}", "t", "ask", "what", what), NULL, 0, NULL, 0);
	event_base_loopexit(q.base, &wait);
	event_base_dispatch(q.base);
	if (!q.answer && q.code == 0)
		err_set(e, -ETIMEDOUT, "the agent did not answer within %d s", WAIT_S);
	ipc_free(ipc);
	event_base_free(q.base);
	return q.answer;
}
