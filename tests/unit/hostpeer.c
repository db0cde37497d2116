/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin host for tests. Its socket calls are its own, so that it does not agree with core/ipc by
 * construction. */
#include "tests/unit/hostpeer.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"

extern char **environ;

struct peer {
	json_t *hello, *script; /* script: the object that holds it */
	char *body;
	int out;
	int64_t seq, stored, id;
	bool cancelled, returns, was_away;
	int ipc_max;
	json_t *asked;	/* the last request, asked again after a return */
	json_t *result; /* the last one that came, its body as "text" */
};

static void
fail(const char *why)
{
	printf("hostpeer: %s\n", why);
	fflush(stdout);
	_exit(99);
}

static void
wait_for_ever(void)
{
	for (;;)
		pause();
}

static void
send_json(json_t *m)
{
	autofree char *text = json_text(m);

	/* An agent that is gone must not look like a crash of ours. */
	if (send(3, text, strlen(text), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		fail("send");
	json_decref(m);
}

struct packet {
	char text[70000];
	ssize_t len;
	int fds[8];
	size_t fd_count;
};

static struct peer *me; /* for the way back, which may be taken anywhere */

static void
greet(const struct peer *p, const char *token)
{
	send_json(json_pack("{s:s,s:i,s:i,s:s,s:i}", "t", "hello", "ipc_min", 1, "ipc_max",
			    p->ipc_max, "token", token, "pid", (int)getpid()));
}

/* The agent is gone: call the next one, and ask again. */
static void
come_back(struct peer *p)
{
	const char *path = json_str(json_object_get(p->hello, "info"), "host-socket", "");
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = -1;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	(void)close(3);
	do {
		if (fd >= 0)
			(void)close(fd);
		(void)usleep(20000);
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	} while (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0);
	if (fd != 3 && (dup3(fd, 3, O_CLOEXEC) < 0 || close(fd) < 0))
		fail("dup3");
	p->was_away = true;
	p->stored = 0;
	greet(p, json_str(p->hello, "token", ""));
	if (p->asked)
		send_json(json_incref(p->asked));
}

static void
ask(struct peer *p, json_t *m)
{
	json_decref(p->asked);
	p->asked = json_incref(m);
	send_json(m);
}

static void
receive(struct packet *p)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * 8)];
	} control;
	struct iovec iov = { p->text, sizeof(p->text) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.space,
			    .msg_controllen = sizeof(control.space) };

	p->len = recvmsg(3, &h, 0);
	p->fd_count = 0;
	if (p->len <= 0 && me->returns) {
		come_back(me);
		receive(p);
		return;
	}
	if (p->len <= 0)
		_exit(98); /* the agent is gone */
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		p->fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(p->fds, CMSG_DATA(c), p->fd_count * sizeof(int));
	}
}

/* The body, from the packet or from the file that comes first with it. */
static char *
body_of(const json_t *m, struct packet *p)
{
	int64_t len = json_int(m, "body", -1);
	char *body;

	if (len < 0)
		return xstrdup(json_str(m, "inline", NULL));
	body = xcalloc(1, (size_t)len + 1);
	if (p->fd_count == 0 || pread(p->fds[0], body, (size_t)len, 0) != len)
		fail("a body that cannot be read");
	close(p->fds[0]);
	memmove(p->fds, p->fds + 1, --p->fd_count * sizeof(int));
	return body;
}

static void
take(struct peer *p, const char *type, json_t *m, char *body, const struct packet *pkt)
{
	if (strcmp(type, "hello") == 0 && p->hello) {
		if (json_int(m, "stored", -1) >= 0 && p->ipc_max < 2)
			fail("a member of version 2 for version 1");
		p->cancelled = json_bool(m, "cancelled", false);
	} else if (strcmp(type, "hello") == 0) {
		p->hello = json_incref(m);
		p->body = xstrdup(body ? body : "{}");
		p->out = pkt->fd_count > 0 ? pkt->fds[0] : -1;
	} else if (strcmp(type, "stored") == 0) {
		p->stored = json_int(m, "seq", 0);
	} else if (strcmp(type, "cancel") == 0) {
		p->cancelled = true;
	} else if (strcmp(type, "result") == 0) {
		json_decref(p->result);
		p->result = json_incref(m);
		if (body)
			(void)json_object_set_new(p->result, "text", json_string(body));
	}
}

/* Take messages until one of TYPE; NULL: any one. */
static void
until(struct peer *p, const char *type)
{
	static struct packet pkt;
	bool found = false;

	while (!found) {
		autojson json_t *m = NULL;
		autofree char *body = NULL;

		receive(&pkt);
		m = json_parse(pkt.text, (size_t)pkt.len, "packet", NULL);
		if (!m)
			fail("not JSON");
		body = body_of(m, &pkt);
		take(p, json_str(m, "t", ""), m, body, &pkt);
		found = !type || strcmp(json_str(m, "t", ""), type) == 0;
	}
}

static void
reply(struct peer *p, const char *text, bool final)
{
	send_json(json_pack("{s:s,s:I,s:b,s:s}", "t", "reply", "seq", (json_int_t)++p->seq, "final",
			    final, "inline", text));
}

static void
until_stored(struct peer *p)
{
	while (p->stored < p->seq)
		until(p, NULL);
}

static void
end(struct peer *p, int result)
{
	send_json(json_pack("{s:s,s:I,s:i,s:i,s:s}", "t", "end", "seq", (json_int_t)++p->seq,
			    "result", result, "exit_code", result > 0 ? result : 0, "error",
			    result < 0 ? "it went wrong" : ""));
	until_stored(p);
	_exit(0);
}

static void
leave_child(void)
{
	char name[] = "sleep", time[] = "600";
	char *const argv[] = { name, time, NULL };
	const struct proc_spec spec = {
		.path = "/bin/sleep", .argv = argv, .envp = environ, .new_session = true
	};
	pid_t pid = proc_spawn(&spec, NULL);

	printf("child %ld\n", (long)pid);
	fflush(stdout);
}

static void
tell(const char *text)
{
	send_json(json_pack("{s:s,s:i,s:s}", "t", "log", "level", 4, "text", text));
}

/* Start a step, wait for it, and report what came back as a reply, a step as a line for the agent.
 */
static void
run_step(struct peer *p, const char *name)
{
	json_t *then = json_object_get(p->script, "then");
	autofree char *inputs = then ? json_text(then) : xstrdup("{}");
	autofree char *text = NULL;

	ask(p,
	    json_pack("{s:s,s:I,s:i,s:s,s:s,s:s}", "t", "job-start", "id", (json_int_t)++p->id,
		      "kind", 1, "name", name, "step", "s1", "inline", inputs));
	until(p, "result");
	if (json_object_get(p->result, "job")) {
		ask(p,
		    json_pack("{s:s,s:I,s:s}", "t", "job-wait", "id", (json_int_t)++p->id, "job",
			      json_str(p->result, "job", "")));
		until(p, "result");
	}
	json_decref(TAKE(p->asked));
	(void)json_object_del(p->result, "id");
	text = json_text_sorted(p->result);
	if (strchr(json_str(p->hello, "job", ""), '/'))
		tell(text);
	else
		reply(p, text, false);
}

static void
put(struct peer *p, const char *arg)
{
	size_t len = strcspn(arg, "=");
	autofree char *key = xstrndup(arg, len);

	send_json(json_pack("{s:s,s:I,s:I,s:s,s:s}", "t", "state-put", "seq", (json_int_t)++p->seq,
			    "id", (json_int_t)++p->id, "key", key, "inline", arg + len + 1));
	until(p, "result");
}

static void
get(struct peer *p, const char *key)
{
	send_json(json_pack("{s:s,s:I,s:s}", "t", "state-get", "id", (json_int_t)++p->id, "key",
			    key));
	until(p, "result");
	reply(p, json_str(p->result, "text", json_str(p->result, "error", "")), false);
}

static void
touch(const struct peer *p, const char *name)
{
	const char *dir = json_str(json_object_get(p->hello, "info"), "work-dir", "");
	autofree char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		fail("no work folder");
	close(fd);
}

/* The work folder remembers. */
static void
end_once(struct peer *p, int result)
{
	const char *dir = json_str(json_object_get(p->hello, "info"), "work-dir", "");
	autofree char *path = xasprintf("%s/once", dir);

	if (access(path, F_OK) == 0)
		return;
	touch(p, "once");
	end(p, result);
}

/* Without an agent: all of it again into the file, then the final reply and the end. */
static void
leave(struct peer *p, const char *text)
{
	const char *dir = json_str(json_object_get(p->hello, "info"), "work-dir", "");
	autofree char *path = xasprintf("%s/result.json", dir), *all = NULL;
	static char byte;

	while (recv(3, &byte, 1, 0) > 0)
		;
	all = xasprintf("[{\"t\":\"reply\",\"seq\":%lld,\"final\":false,\"body\":\"again\"},"
			"{\"t\":\"reply\",\"seq\":%lld,\"final\":true,\"body\":\"%s\"},"
			"{\"t\":\"end\",\"seq\":%lld,\"result\":0}]",
			(long long)p->seq, (long long)p->seq + 1, text, (long long)p->seq + 2);
	{
		autoclose int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		if (write(fd, all, strlen(all)) != (ssize_t)strlen(all))
			fail("result.json");
	}
	_exit(0);
}

static void
raw(const char *text)
{
	(void)send(3, text, strlen(text), MSG_NOSIGNAL);
	wait_for_ever();
}

static void
work_off(struct peer *p, const char *word, const char *arg)
{
#define IS(name) (strcmp(word, name) == 0)
	long n = strtol(arg, NULL, 10);

	if (IS("reply"))
		reply(p, *arg ? arg : "{\"n\":1}", false);
	else if (IS("final"))
		reply(p, *arg ? arg : "{\"documentStatus\":\"Success\"}", true);
	else if (IS("end"))
		end(p, (int)n);
	else if (IS("once"))
		end_once(p, (int)n);
	else if (IS("crash"))
		(void)signal(SIGSEGV, SIG_DFL), (void)raise(SIGSEGV);
	else if (IS("exit"))
		_exit((int)n);
	else if (IS("hang"))
		wait_for_ever();
	else if (IS("close"))
		(void)close(3), wait_for_ever();
	else if (IS("print"))
		(void)printf("%s\n", arg), (void)fflush(stdout);
	else if (IS("garbage"))
		raw("{\"t\":");
	else if (IS("badseq"))
		p->seq += 7, reply(p, "{}", false);
	else if (IS("dup"))
		p->seq--, reply(p, "{\"again\":1}", false);
	else if (IS("stored"))
		until_stored(p);
	else if (IS("child"))
		leave_child();
	else if (IS("job"))
		run_step(p, arg);
	else if (IS("write"))
		(void)dprintf(p->out, "%s", arg);
	else if (IS("touch"))
		touch(p, arg);
	else if (IS("put"))
		put(p, arg);
	else if (IS("get"))
		get(p, arg);
	else if (IS("log"))
		tell(arg);
	else if (IS("leave"))
		leave(p, arg);
	while (IS("cancel") && !p->cancelled)
		until(p, NULL);
	while (IS("away") && !p->was_away)
		until(p, NULL);
	while (IS("burst") && n-- > 0)
		reply(p, "{\"n\":1}", false);
#undef IS
}

static bool
has(char *const *words, const char *word)
{
	return strv_has(words, word);
}

int
hostpeer_main(void)
{
	struct peer p = { .out = -1, .ipc_max = 1 };
	autojson json_t *body = NULL;
	autostrv char **words = NULL;

	me = &p;
	(void)fcntl(3, F_SETFD, FD_CLOEXEC);
	greet(&p, "");
	until(&p, "hello");
	body = json_parse(p.body, strlen(p.body), "body", NULL);
	p.script = json_object_get(body, "Payload") ? json_object_get(body, "Payload") : body;
	words = strv_split(json_str(p.script, "script", ""), " ");
	p.returns = has(words, "returns");
	p.ipc_max = has(words, "v2") ? 2 : 1;
	if (has(words, "noready"))
		wait_for_ever();
	if (has(words, "diebefore"))
		_exit(7);
	if (has(words, "failinit"))
		end(&p, -22);
	send_json(json_pack("{s:s}", "t", "ready"));
	until(&p, "go");
	for (size_t i = 0; words && words[i]; i++) {
		char *colon = strchr(words[i], ':');

		if (colon)
			*colon = '\0';
		work_off(&p, words[i], colon ? colon + 1 : "");
	}
	end(&p, 0);
	return 0;
}
