/* SPDX-License-Identifier: Apache-2.0 */
/* An agent for tests. Its socket calls are its own, so that it does not agree with core/ipc by
 * construction. */
#include "tests/unit/agentpeer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"

#define LIMIT_MS 60000

static const char *
build_folder(void)
{
	const char *dir = secure_getenv("top_builddir");

	return dir ? dir : ".";
}

static char *
absolute(const char *path)
{
	char *whole = realpath(path, NULL);

	ck_assert_msg(whole != NULL, "%s: %s", path, strerror(errno));
	return whole;
}

char *
agentpeer_plugin(const char *name)
{
	autofree char *path = xasprintf("%s/tests/zoo/.libs/%s.so", build_folder(), name);

	return absolute(path);
}

static void
make_folder(struct agentpeer *p)
{
	if (*p->folder)
		return;
	snprintf(p->folder, sizeof(p->folder), "/tmp/t_host.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->folder));
}

static int
open_output(const struct agentpeer *p, const char *name)
{
	autofree char *path = xasprintf("%s/%s", p->folder, name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void
spawn(struct agentpeer *p)
{
	autofree char *relative = xasprintf("%s/ssm-plugin-host", build_folder());
	autofree char *path = absolute(relative);
	char *argv[] = { (char *)"ssm-plugin-host", (char *)"--job", NULL };
	char *envp[] = { (char *)"PATH=/usr/bin:/bin", NULL };
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	{
		const struct proc_fd fds[] = { { null, 0 }, { 2, 1 }, { 2, 2 }, { pair[1], 3 } };
		const struct proc_spec spec = { .path = path,
						.argv = argv,
						.envp = envp,
						.fds = fds,
						.fd_count = NELEMS(fds),
						.new_session = true };

		p->pid = proc_spawn(&spec, NULL);
	}
	ck_assert_int_gt(p->pid, 0);
	close(pair[1]);
	p->fd = pair[0];
}

/* Of the file; caller frees. */
static char *
plugin_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return xstrndup(name, strcspn(name, "."));
}

static json_t *
hello(struct agentpeer *p, const char *path, unsigned kind, const char *feature, json_t *info)
{
	json_t *all = json_pack("{s:s,s:s,s:s}", "work-dir", p->folder, "step-name", "step 1",
				"instance-id", "i-0123456789abcdef0");

	json_t *config = json_incref(json_object_get(info, "*config"));
	autofree char *shells = agentpeer_plugin("shells");

	json_t *found = json_incref(json_object_get(info, "*found"));
	json_t *more = json_incref(json_object_get(info, "*plugins"));
	json_t *plugins =
		json_pack("[{s:s,s:s,s:[{s:i,s:s}]},{s:s,s:s,s:[{s:i,s:s}],s:o}]", "name", "other",
			  "path", "/nonexistent/other.so", "features", "kind", 1, "name", "acme:*",
			  "name", "shells", "path", shells, "features", "kind", 3, "name",
			  "zoo:shell", "config", found ? found : json_object());
	autofree char *name = plugin_name(path);

	json_array_extend(plugins, more);
	json_decref(more);
	json_object_update(all, info);
	json_object_del(all, "*config");
	json_object_del(all, "*found");
	json_object_del(all, "*plugins");
	return json_pack("{s:s,s:i,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:o,s:o,s:o}", "t", "hello", "ipc",
			 1, "agent_version", "9.8.7", "token", "t0ken", "job", "job-1", "kind",
			 kind, "feature", feature, "plugin", name, "plugin_path", path, "info", all,
			 "plugins", plugins, "config", config ? config : json_object());
}

void
agentpeer_start(struct agentpeer *p, const char *plugin, unsigned kind, const char *feature,
		const char *body, json_t *info)
{
	autofree char *path = *plugin == '/' ? xstrdup(plugin) : agentpeer_plugin(plugin);
	json_t *m;

	make_folder(p);
	p->out = open_output(p, "out");
	p->err = open_output(p, "err");
	p->log = xstrdup("");
	spawn(p);
	json_decref(agentpeer_expect(p, "hello"));
	m = hello(p, path, kind, feature, info);
	json_decref(info);
	json_object_set_new(m, "inline", json_string(body));
	agentpeer_send_fds(p, m, (int[]){ p->out, p->err }, kind == 1 ? 2 : 0);
}

void
agentpeer_hang_up(struct agentpeer *p)
{
	mem_cleanup_fd(&p->fd);
}

void
agentpeer_done(struct agentpeer *p)
{
	agentpeer_hang_up(p);
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		agentpeer_wait(p);
	}
	mem_cleanup_fd(&p->out);
	mem_cleanup_fd(&p->err);
	mem_cleanup_fd(&p->listener);
	for (size_t i = 0; i < p->fd_count; i++)
		close(p->fds[i]);
	free(p->log);
	if (*p->folder)
		fs_remove_tree(AT_FDCWD, p->folder, NULL);
	memset(p, 0, sizeof(*p));
	p->fd = p->out = p->err = p->listener = -1;
}

void
agentpeer_expect_reply(struct agentpeer *p, const char *text, bool final)
{
	autojson json_t *m = agentpeer_expect(p, "reply");

	ck_assert_str_eq(json_str(m, "text", ""), text);
	ck_assert_int_eq(json_bool(m, "final", !final), final);
	agentpeer_stored(p, m);
}

void
agentpeer_expect_end(struct agentpeer *p, int64_t result, const char *error)
{
	autojson json_t *m = agentpeer_end(p);

	ck_assert_int_eq(json_int(m, "result", -1000), result);
	ck_assert_str_eq(json_str(m, "error", "none"), error ? error : "none");
}

int
agentpeer_wait(struct agentpeer *p)
{
	int status = -1;

	for (int i = 0; i < LIMIT_MS / 10; i++) {
		if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
			p->pid = 0;
			return status;
		}
		poll(NULL, 0, 10);
	}
	ck_abort_msg("the host does not end; its log:\n%s", p->log);
	return -1;
}

/* --------------------------------------------------------------- messages */

void
agentpeer_send_fds(struct agentpeer *p, json_t *json, const int *fds, size_t count)
{
	autofree char *text = json_text(json);
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * 2)];
	} control;
	struct iovec iov = { text, strlen(text) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof(control));
		h.msg_control = control.space;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	ck_assert_int_eq(sendmsg(p->fd, &h, MSG_NOSIGNAL), (ssize_t)strlen(text));
	json_decref(json);
}

void
agentpeer_send(struct agentpeer *p, json_t *json)
{
	agentpeer_send_fds(p, json, NULL, 0);
}

static ssize_t
receive(struct agentpeer *p, char *buffer, size_t size)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * 3)];
	} control;
	struct iovec iov = { buffer, size };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.space,
			    .msg_controllen = sizeof(control.space) };
	struct pollfd poll_fd = { p->fd, POLLIN, 0 };
	ssize_t n;

	ck_assert_msg(poll(&poll_fd, 1, LIMIT_MS) == 1, "the host says nothing; its log:\n%s",
		      p->log);
	n = recvmsg(p->fd, &h, MSG_CMSG_CLOEXEC);
	for (size_t i = 0; i < p->fd_count; i++)
		close(p->fds[i]);
	p->fd_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); n > 0 && c; c = CMSG_NXTHDR(&h, c)) {
		p->fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(p->fds, CMSG_DATA(c), p->fd_count * sizeof(int));
	}
	return n;
}

/* The body of a message, from the packet or from the file that comes first with it. */
static void
take_body(struct agentpeer *p, json_t *m)
{
	int64_t len = json_int(m, "body", -1);
	autofree char *body = NULL;

	if (json_object_get(m, "inline"))
		json_object_set(m, "text", json_object_get(m, "inline"));
	if (len < 0)
		return;
	body = xcalloc(1, (size_t)len + 1);
	ck_assert_uint_ge(p->fd_count, 1);
	ck_assert_int_eq(pread(p->fds[0], body, (size_t)len, 0), len);
	close(p->fds[0]);
	memmove(p->fds, p->fds + 1, --p->fd_count * sizeof(int));
	json_object_set_new(m, "text", json_stringn_nocheck(body, (size_t)len));
}

static bool
is_talk(struct agentpeer *p, const json_t *m)
{
	const char *type = json_str(m, "t", "");
	char *more;

	if (strcmp(type, "log") != 0)
		return strcmp(type, "progress") == 0;
	more = xasprintf("%s%s\n", p->log, json_str(m, "text", ""));
	free(p->log);
	p->log = more;
	return true;
}

json_t *
agentpeer_next(struct agentpeer *p)
{
	static char buffer[70000];

	for (;;) {
		ssize_t n = receive(p, buffer, sizeof(buffer));
		json_t *m;

		if (n <= 0)
			return NULL;
		m = json_parse(buffer, (size_t)n, "packet", NULL);
		ck_assert_ptr_nonnull(m);
		take_body(p, m);
		if (!is_talk(p, m))
			return m;
		json_decref(m);
	}
}

json_t *
agentpeer_expect(struct agentpeer *p, const char *type)
{
	json_t *m = agentpeer_next(p);

	ck_assert_msg(m != NULL, "hung up instead of '%s'; log:\n%s", type, p->log);
	if (strcmp(json_str(m, "t", ""), type) != 0) {
		autofree char *text = json_text(m);

		ck_abort_msg("not '%s' but %s; log:\n%s", type, text, p->log);
	}
	return m;
}

void
agentpeer_ready_go(struct agentpeer *p)
{
	json_decref(agentpeer_expect(p, "ready"));
	agentpeer_send(p, json_pack("{s:s}", "t", "go"));
}

void
agentpeer_stored(struct agentpeer *p, const json_t *m)
{
	agentpeer_send(p,
		       json_pack("{s:s,s:I}", "t", "stored", "seq",
				 (json_int_t)json_int(m, "seq", -1)));
}

void
agentpeer_answer(struct agentpeer *p, const json_t *m, json_t *answer)
{
	json_object_set_new(answer, "t", json_string("result"));
	json_object_set(answer, "id", json_object_get(m, "id"));
	agentpeer_send(p, answer);
}

json_t *
agentpeer_end(struct agentpeer *p)
{
	json_t *m = agentpeer_expect(p, "end");
	int status;

	agentpeer_stored(p, m);
	ck_assert_ptr_null(agentpeer_next(p));
	status = agentpeer_wait(p);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x; log:\n%s",
		      (unsigned)status, p->log);
	return m;
}

/* ------------------------------------------------------------ coming back */

void
agentpeer_listen(struct agentpeer *p)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	make_folder(p);
	ck_assert_int_lt(snprintf(at.sun_path, sizeof(at.sun_path), "%s/host.sock", p->folder),
			 (int)sizeof(at.sun_path));
	p->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(p->listener, 4), 0);
}

void
agentpeer_accept(struct agentpeer *p)
{
	struct pollfd poll_fd = { p->listener, POLLIN, 0 };

	ck_assert_msg(poll(&poll_fd, 1, LIMIT_MS) == 1, "the host does not come back");
	p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(p->fd, 0);
}

char *
agentpeer_file(const struct agentpeer *p, const char *name)
{
	autofree char *path = xasprintf("%s/%s", p->folder, name);
	char *text = NULL;
	size_t len;

	ck_assert_int_eq(fs_read(AT_FDCWD, path, 1u << 20, &text, &len, NULL), 0);
	return text;
}
