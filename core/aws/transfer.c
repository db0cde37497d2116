/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of transfers: start the --transfer process, read its result, end it in time. */
#include "core/aws/transfer.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/loop/child.h"

#define LINE_MAX_BYTES (64u * 1024u)
#define GRACE_MS 10000
#define TIMEOUT_MS (3600 * 1000)

/* Lives until its process was waited for, also after a cancel. */
struct transfer {
	struct child *child;
	struct event *readable, *deadline;
	int fd;
	struct sbuf line;
	json_t *result;
	bool late;
	transfer_done_fn *done; /* NULL after a cancel */
	void *arg;
};

static struct transfer *
transfer_free(struct transfer *t)
{
	child_free(t->child);
	if (t->readable)
		event_free(t->readable);
	if (t->deadline)
		event_free(t->deadline);
	mem_cleanup_fd(&t->fd);
	sbuf_done(&t->line);
	json_decref(t->result);
	free(t);
	return NULL;
}

/* A whole line: the result is the one without "progress". */
static void
take_line(struct transfer *t, const char *text, size_t len)
{
	json_t *v = json_parse(text, len, "the transfer's answer", NULL);

	if (json_is_object(v) && json_object_get(v, "code")) {
		json_decref(t->result);
		t->result = json_incref(v);
	}
	json_decref(v);
}

static void
take_lines(struct transfer *t)
{
	const char *end;

	while (t->line.len > 0 && (end = memchr(t->line.p, '\n', t->line.len))) {
		take_line(t, t->line.p, (size_t)(end - t->line.p));
		sbuf_consume(&t->line, (size_t)(end - t->line.p) + 1);
	}
}

/* All that is there; false at the end. */
static bool
read_all(struct transfer *t)
{
	ssize_t n;

	do {
		n = sbuf_read(&t->line, t->fd, 16384);
		take_lines(t);
	} while (n > 0 || n == -EINTR);
	return n == -EAGAIN;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct transfer *t = arg;

	(void)fd;
	(void)what;
	if (!read_all(t))
		event_del(t->readable);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct transfer *t = arg;

	(void)fd;
	(void)what;
	t->late = true;
	child_signal(t->child, SIGKILL);
}

static json_t *
result_of_death(const struct transfer *t, int status)
{
	autofree char *text = NULL;

	if (t->late)
		text = xstrdup("the transfer did not end in its time");
	else if (WIFSIGNALED(status))
		text = xasprintf("the transfer was ended by signal %d", WTERMSIG(status));
	else
		text = xasprintf("the transfer ended with status %d and no result",
				 WEXITSTATUS(status));
	return json_pack("{s:i, s:s}", "code", t->late ? -ETIMEDOUT : -EIO, "error", text);
}

static void
on_end(void *arg, pid_t pid, int status)
{
	struct transfer *t = arg;
	transfer_done_fn *done = t->done;
	void *done_arg = t->arg;
	autojson json_t *result = NULL;

	(void)pid;
	t->child = NULL; /* freed by its caller */
	if (done) {
		read_all(t);
		result = t->result ? json_incref(t->result) : result_of_death(t, status);
	}
	transfer_free(t);
	if (done)
		done(done_arg, result);
}

/* What the process may know of our environment: how to reach the network, nothing else. */
static char **
environment(void)
{
	static const char *const names[] = { "HTTP_PROXY",    "http_proxy",    "HTTPS_PROXY",
					     "https_proxy",   "NO_PROXY",      "no_proxy",
					     "AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR" };
	char **v = NULL;

	for (size_t i = 0; i < NELEMS(names); i++)
		if (secure_getenv(names[i]))
			strv_env_set(&v, names[i], secure_getenv(names[i]));
	return v;
}

static pid_t
spawn(const char *self_path, int control, int body, struct err *e)
{
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	autostrv char **envp = environment();
	char *argv[] = { (char *)"ssm-agent", (char *)"--transfer", NULL };
	const struct proc_fd fds[] = {
		{ null, 0 }, { null, 1 }, { 2, 2 }, { control, 3 }, { body, 4 }
	};
	const struct proc_spec spec = {
		.path = self_path,
		.argv = argv,
		.envp = envp,
		.fds = fds,
		.fd_count = NELEMS(fds),
		.new_session = true,
	};

	if (null < 0)
		return err_set(e, -errno, "/dev/null: %m");
	return proc_spawn(&spec, e);
}

/* The request and its end; it fits into the socket's buffer. */
static int
send_request(int fd, const json_t *request, struct err *e)
{
	autofree char *text = json_text(request);
	size_t len = strlen(text);
	ssize_t n;

	if (len > LINE_MAX_BYTES)
		return err_set(e, -E2BIG, "the request for a transfer has %zu bytes, at most %u",
			       len, LINE_MAX_BYTES);
	n = send(fd, text, len, MSG_NOSIGNAL);
	if (n != (ssize_t)len || shutdown(fd, SHUT_WR) < 0)
		return err_set(e, n < 0 ? -errno : -EIO, "the transfer did not take its request");
	return 0;
}

static int
watch(struct transfer *t, struct event_base *base, pid_t pid, int64_t timeout_ms, struct err *e)
{
	struct timeval tv;

	t->child = child_watch(base, pid, on_end, t, e);
	t->readable = event_new(base, t->fd, EV_READ | EV_PERSIST, on_readable, t);
	t->deadline = evtimer_new(base, on_deadline, t);
	if (!t->child) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return e->code;
	}
	clock_timeval((timeout_ms > 0 ? timeout_ms : TIMEOUT_MS) + GRACE_MS, &tv);
	evtimer_add(t->deadline, &tv);
	event_add(t->readable, NULL);
	return 0;
}

struct transfer *
transfer_start(struct event_base *base, const char *self_path, const json_t *request, int fd,
	       transfer_done_fn *done, void *arg, struct err *e)
{
	struct transfer *t = xcalloc(1, sizeof(*t));
	int pair[2];
	struct err own = { 0 };
	pid_t pid;

	e = e ? e : &own;
	t->done = done;
	t->arg = arg;
	t->fd = -1;
	sbuf_init(&t->line, LINE_MAX_BYTES);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		err_set(e, -errno, "a transfer cannot be started: %m");
		return transfer_free(t);
	}
	t->fd = pair[0];
	fs_set_nonblock(t->fd, true);
	pid = send_request(t->fd, request, e) < 0 ? -1 : spawn(self_path, pair[1], fd, e);
	close(pair[1]);
	if (pid < 0 || watch(t, base, pid, json_int(request, "timeout_ms", 0), e) < 0)
		return transfer_free(t);
	return t;
}

void
transfer_cancel(struct transfer *t)
{
	if (!t)
		return;
	t->done = NULL;
	event_del(t->readable);
	event_del(t->deadline);
	child_signal(t->child, SIGKILL);
}
