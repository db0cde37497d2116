/* SPDX-License-Identifier: Apache-2.0 */
/* A well-behaved plugin that does what its message or inputs say, and tells how it went. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "zoo.h"

struct report { /* "name=value " ... */
	char text[2048];
	size_t len;
};

SSM_PRINTF(2, 3) static void
tell(struct report *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->text + r->len, sizeof(r->text) - r->len, fmt, ap);
	va_end(ap);
	if (n > 0 && r->len + (size_t)n < sizeof(r->text))
		r->len += (size_t)n;
}

/* ---------------------------------------------------------------- actions */

static int64_t
number(struct ssm *S, struct ssm_step *step, const char *pointer)
{
	return strtoll(S->api->step_str(S, step, pointer, "0"), NULL, 10);
}

static int32_t
result_of(const struct ssm_end *end)
{
	if (end->how == SSM_END_TIMEOUT)
		return SSM_TIMED_OUT;
	if (end->how == SSM_END_CANCEL)
		return SSM_CANCELLED;
	return end->how == SSM_END_EXIT && end->code == 0 ? SSM_SUCCESS : SSM_FAILED;
}

static int32_t
count_output(struct ssm *S, int32_t stream, const void *data, size_t len, void *arg)
{
	size_t *counts = arg;

	(void)S;
	(void)data;
	counts[stream] += len;
	return 0;
}

/* Runs the input "sh"; "how code left" and what came by output_fn go to stderr. */
static int32_t
run_spawn(struct ssm *S, struct ssm_step *step)
{
	const char *data = S->api->step_str(S, step, "/stdin", NULL);
	const char *argv[] = {"/bin/sh", "-c", S->api->step_str(S, step, "/sh", ":"), NULL};
	size_t counts[3] = {0, 0, 0};
	struct ssm_spawn cmd = {
		.size = sizeof(cmd),
		.argv = argv,
		.timeout_ms = number(S, step, "/timeout_ms"),
		.grace_ms = number(S, step, "/grace_ms"),
		.max_output = (uint64_t)number(S, step, "/max_output"),
		.stdin_data = data,
		.stdin_len = data ? strlen(data) : 0,
		.run_as = S->api->step_str(S, step, "/run_as", NULL),
		.cwd = S->api->step_str(S, step, "/cwd", NULL),
		.flags = (uint32_t)number(S, step, "/flags"),
		.cols = (uint32_t)number(S, step, "/cols"),
		.rows = (uint32_t)number(S, step, "/rows"),
		.output_arg = counts,
	};
	struct ssm_end end = {.size = sizeof(end)};
	struct report report = {.len = 0};
	int fds[2] = {-1, -1};
	int32_t r;

	if (S->api->step_str(S, step, "/pipe", NULL)) { /* as stdin_fd */
		const char *text = S->api->step_str(S, step, "/pipe", NULL);

		if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], text, strlen(text)) < 0)
			return -errno;
		close(fds[1]);
		cmd.stdin_fd = fds[0];
		cmd.flags |= SSM_SPAWN_STDIN_FD;
	}
	if (S->api->step_str(S, step, "/program", NULL))
		argv[0] = S->api->step_str(S, step, "/program", NULL);
	if (number(S, step, "/count"))
		cmd.output_fn = count_output;
	r = S->api->spawn(S, &cmd, &end);
	if (fds[0] >= 0)
		close(fds[0]);
	if (r < 0)
		return r;
	tell(&report, "how=%d code=%d left=%d out=%zu err=%zu\n", end.how, end.code, end.left,
	     counts[1], counts[2]);
	S->api->step_write(S, step, SSM_STDERR, report.text, report.len);
	return S->api->step_done(S, step, result_of(&end), end.code);
}

static int32_t
run_facts(struct ssm *S, struct ssm_step *step)
{
	struct report r = {.len = 0};
	int64_t n = -1;
	size_t len = 0;

	S->api->option_int(S, "Wait", &n);
	tell(&r, "job=%s step=%s feature=%s version=%s wait=%lld word=%s none=%d json=%s\n",
	     S->api->info(S, "job-id"), S->api->info(S, "step-name"), S->api->info(S, "feature"),
	     S->api->info(S, "agent-version"), (long long)n, S->api->option(S, "Word"),
	     S->api->option(S, "Nothing") == NULL, S->api->step_json(S, step, "/a", &len));
	tell(&r, "has action=%d other=%d watch=%d\n", S->api->has(S, "action:acme:x") > 0,
	     S->api->has(S, "action:none:x") > 0, S->api->has(S, "watch") > 0);
	S->api->step_write(S, step, SSM_STDOUT, r.text, r.len);
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static int32_t
run_unknown_result(struct ssm *S, struct ssm_step *step)
{
	return S->api->step_done(S, step, 99, 0);
}

static int32_t
run_check(struct ssm *S, struct ssm_step *step)
{
	if (number(S, step, "/n") < 0)
		return ssm_fail(S, -EINVAL, "n must not be negative");
	return 0;
}

/* ----------------------------------------------------------------- topics */

static void
do_rows(struct ssm *S, struct ssm_message *m, struct report *r)
{
	struct ssm_watch_on on = {.size = sizeof(on)};
	struct ssm_request q = {.size = sizeof(q), .service = "ssm"};

	(void)m;
	tell(r, "watch=%d", S->api->watch(S, &on, NULL) == -ENOSYS);
	tell(r, " call_start=%d", S->api->call_start(S, &q, NULL, NULL, NULL) == -ENOSYS);
	tell(r, " session=%d", S->api->session_send(S, NULL, 1, "x", 1) == -ENOSYS);
	tell(r, " gather=%d", S->api->gather_item(S, NULL, "{}", 2) == -ENOSYS);
	tell(r, " identity=%d", S->api->identity_set(S, NULL, "k", "v") == -ENOSYS);
	tell(r, " state=%d", S->api->service_state(S, NULL, "open") == -ENOSYS);
}

static void
do_message(struct ssm *S, struct ssm_message *m, struct report *r)
{
	size_t len = 0;
	const char *number_text = S->api->msg_json(S, m, "/Payload/n", &len);

	tell(r, "id=%s n=%s len=%zu missing=%d", S->api->msg_json(S, m, "/MessageId", NULL),
	     number_text, len, S->api->msg_json(S, m, "/Payload/none", NULL) == NULL);
}

static void
do_call(struct ssm *S, struct ssm_message *m, struct report *r)
{
	const char *const headers[] = {"X-One: 1", NULL};
	const struct ssm_request q = {.size = sizeof(q),
				      .service = "ssm",
				      .target = "AmazonSSM.Test",
				      .body = "{\"a\":1}",
				      .body_len = 7,
				      .headers = headers};
	struct ssm_reply reply = {.size = sizeof(reply)};
	int32_t result = S->api->call(S, &q, &reply);

	(void)m;
	tell(r, "r=%d status=%d error=%s body=%.*s headers=%s", result, reply.status,
	     reply.error ? reply.error : "-", (int)reply.body_len, reply.body ? reply.body : "",
	     reply.headers ? reply.headers : "-");
	S->api->free(S, reply.error);
	S->api->free(S, reply.body);
	S->api->free(S, reply.headers);
	S->api->free(S, reply.url);
}

static void
do_transfer(struct ssm *S, struct ssm_message *m, struct report *r)
{
	int fd = open(S->api->info(S, "work-dir"), O_TMPFILE | O_RDWR, 0600);
	const struct ssm_transfer t = {.size = sizeof(t),
				       .flags = SSM_T_SIGN,
				       .url = "https://b.s3.amazonaws.com/k",
				       .fd = fd,
				       .max_bytes = 100};
	struct ssm_reply reply = {.size = sizeof(reply)};
	char text[16] = "";
	int32_t result = S->api->transfer(S, &t, &reply);

	(void)m;
	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		tell(r, "pread ");
	tell(r, "r=%d status=%d file=%s", result, reply.status, text);
	close(fd);
}

static void
do_state(struct ssm *S, struct ssm_message *m, struct report *r)
{
	static char large[65537];
	char *text = NULL;
	size_t len = 0;

	(void)m;
	tell(r, "put=%d", S->api->state_put(S, "k", "v\0w", 3));
	tell(r, " large=%d", S->api->state_put(S, "k", large, sizeof(large)) == -E2BIG);
	tell(r, " refused=%d", S->api->state_put(S, "bad", "x", 1));
	tell(r, " get=%d", S->api->state_get(S, "k", &text, &len));
	tell(r, " text=%s len=%zu", text ? text : "-", len);
	S->api->free(S, text);
	tell(r, " none=%d", S->api->state_get(S, "none", &text, &len) == -ENOENT);
}

static void
run_one(struct ssm *S, struct ssm_message *m, struct report *r, const char *action)
{
	static const char inputs[] = "{\"sh\":\"echo $((40 + 2)); exit 3\"}";
	int fd = open(S->api->info(S, "work-dir"), O_TMPFILE | O_RDWR, 0600);
	const struct ssm_step_run run = {.size = sizeof(run),
					 .action = action,
					 .name = "inner",
					 .inputs = inputs,
					 .inputs_len = sizeof(inputs) - 1,
					 .timeout_ms = 50000,
					 .stdout_fd = fd,
					 .stderr_fd = fd};
	struct ssm_step_result result = {.size = sizeof(result)};
	char text[64] = "";
	int32_t e = S->api->step_run(S, m, &run, &result);

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		tell(r, "pread ");
	tell(r, "%s: e=%d result=%d code=%d error=%s text=%.2s; ", action, e, result.result,
	     result.exit_code, result.error ? result.error : "-", text);
	S->api->free(S, result.error);
	close(fd);
}

static void
do_steps(struct ssm *S, struct ssm_message *m, struct report *r)
{
	run_one(S, m, r, "probe:spawn");
	run_one(S, m, r, "probe:noresult");
	run_one(S, m, r, "acme:other");
}

/* Waits for the cancel, then still works. */
static void
do_cancel(struct ssm *S, struct ssm_message *m, struct report *r)
{
	struct pollfd p = {S->api->cancel_fd(S), POLLIN, 0};
	struct ssm_request q = {.size = sizeof(q), .service = "ssm", .target = "T"};
	struct ssm_reply reply = {.size = sizeof(reply)};

	(void)m;
	tell(r, "before=%d", S->api->cancelled(S));
	tell(r, " under way=%d", S->api->call(S, &q, &reply) == -ECANCELED);
	tell(r, " fd=%d after=%d", poll(&p, 1, 0), S->api->cancelled(S));
	tell(r, " later=%d", S->api->call(S, &q, &reply));
	S->api->free(S, reply.body);
}

static void *
thread_main(void *arg)
{
	for (int i = 0; i < 5; i++)
		ssm_log(arg, SSM_INFO, "line %d of a thread", i);
	return NULL;
}

static void
do_log(struct ssm *S, struct ssm_message *m, struct report *r)
{
	pthread_t thread;

	(void)m;
	if (pthread_create(&thread, NULL, thread_main, S) == 0)
		pthread_join(thread, NULL);
	for (int i = 0; i < 40; i++)
		ssm_log(S, SSM_WARN, "flood %d", i);
	ssm_log(S, SSM_ERR, "two\nlines, option %s", S->api->option(S, "Password"));
	ssm_log(S, SSM_DEBUG, "not seen");
	tell(r, "logged");
}

static void
do_find(struct ssm *S, struct ssm_message *m, struct report *r)
{
	const struct ssm_feature *f = NULL;
	struct ssm *owner = NULL;

	(void)m;
	tell(r, "own=%d", S->api->find(S, SSM_KIND_ACTION, "acme:x", &owner, &f) == -EACCES);
	tell(r, " part=%d", S->api->find(S, SSM_KIND_ACTION, "need:en", &owner, &f) == -EACCES);
	tell(r, " needed=%d", S->api->find(S, SSM_KIND_ACTION, "need:end", &owner, &f) == -ENOENT);
}

/* Whom the name service knows. */
static void
do_users(struct ssm *S, struct ssm_message *m, struct report *r)
{
	const char *names[] = {"", "root", "no such", "root"};

	(void)m;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char key[32];

		(void)snprintf(key, sizeof(key), "user:%s", names[i]);
		tell(r, "%s\n", S->api->info(S, key));
	}
}

static void
do_nothing(struct ssm *S, struct ssm_message *m, struct report *r)
{
	(void)S;
	(void)m;
	tell(r, "ok");
}

static int32_t
reply_with(struct ssm *S, struct ssm_message *m, const struct report *r, int32_t final)
{
	return S->api->msg_reply(S, m, r->text, r->len, final);
}

/* "do" names what to do; its report is the final reply. */
static int32_t
handle(struct ssm *S, struct ssm_message *m)
{
	static const struct {
		const char *name;
		void (*fn)(struct ssm *S, struct ssm_message *m, struct report *r);
	} all[] = {{"rows", do_rows},	  {"message", do_message}, {"call", do_call},
		   {"transfer", do_transfer}, {"state", do_state},     {"steps", do_steps},
		   {"cancel", do_cancel}, {"log", do_log},	   {"find", do_find},
		   {"users", do_users}, {"nothing", do_nothing}};
	const char *what = S->api->msg_json(S, m, "/Payload/do", NULL);
	struct report r = {.len = 0};

	if (!what || strcmp(what, "silent") == 0)
		return 0;
	if (strcmp(what, "fail") == 0)
		return ssm_fail(S, -EIO, "it is %s", "broken");
	tell(&r, "first");
	reply_with(S, m, &r, 0);
	r.len = 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].name, what) == 0)
			all[i].fn(S, m, &r);
	reply_with(S, m, &r, 1);
	return reply_with(S, m, &r, 1) == -EALREADY ? 0 : -EPROTO;
}

/* --------------------------------------------------------------- a service */

static struct {
	int pipe[2], ticks;
	struct ssm_watch *child;
} state;

static void
on_reply(struct ssm *S, int32_t result, const struct ssm_reply *reply, void *arg)
{
	(void)arg;
	ssm_log(S, SSM_INFO, "call r=%d status=%d", result, reply ? reply->status : -1);
}

static void
on_child(struct ssm *S, int32_t result, const struct ssm_end *end, void *arg)
{
	(void)arg;
	ssm_log(S, SSM_INFO, "child r=%d how=%d code=%d", result, end->how, end->code);
}

static int32_t
on_tick(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct ssm_request q = {.size = sizeof(q), .service = "ssm", .target = "T"};
	struct ssm_reply reply = {.size = sizeof(reply)};

	(void)w;
	(void)arg;
	if (++state.ticks < 3)
		return 0;
	ssm_log(S, SSM_INFO, "ticks=%d blocking=%d", state.ticks,
		S->api->call(S, &q, &reply) == -EDEADLK);
	S->api->call_start(S, &q, on_reply, NULL, NULL);
	if (write(state.pipe[1], "x", 1) != 1)
		return -EIO;
	return -1;
}

static int32_t
on_pipe(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	const char *const argv[] = {"/bin/sh", "-c", "cat; exit 5", NULL};
	const struct ssm_spawn cmd = {
		.size = sizeof(cmd), .argv = argv, .stdin_data = "to the log\n", .stdin_len = 11};
	char c = 0;

	(void)arg;
	if (read(fd, &c, 1) != 1)
		return -EIO;
	ssm_log(S, SSM_INFO, "pipe events=%u c=%c", events, c);
	S->api->spawn_start(S, &cmd, on_child, NULL, NULL);
	S->api->watch_end(S, w);
	return 0;
}

static void
on_delivered(struct ssm *S, int32_t result, const struct ssm_reply *reply, void *arg)
{
	(void)reply;
	(void)arg;
	ssm_log(S, SSM_INFO, "delivered r=%d", result);
}

static int32_t
start(struct ssm *S, struct ssm_service *service)
{
	const struct ssm_watch_on tick = {
		.size = sizeof(tick), .timer_fn = on_tick, .after_ms = 1, .every_ms = 1};
	const struct ssm_watch_on input = {
		.size = sizeof(input), .fd_fn = on_pipe, .events = SSM_READ};
	struct ssm_watch_on own = input;

	(void)service;
	if (pipe2(state.pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	own.fd = state.pipe[0];
	S->api->watch(S, &own, NULL);
	return S->api->watch(S, &tick, NULL);
}

static int32_t
notify(struct ssm *S, struct ssm_service *service, const char *event, const char *json, size_t len)
{
	const struct ssm_delivery d = {.size = sizeof(d),
				       .id = "m-1",
				       .topic = "aws.ssm.sendCommand.x",
				       .route = "r",
				       .json = "{}",
				       .len = 2};

	(void)service;
	ssm_log(S, SSM_INFO, "notify %s %.*s", event, (int)len, json);
	return S->api->deliver_start(S, &d, on_delivered, NULL, NULL);
}

static void
stop(struct ssm *S, struct ssm_service *service)
{
	(void)service;
	ssm_log(S, SSM_INFO, "stopped");
}

/* ------------------------------------------- a service with a terminal */

#define TERMINAL_BYTES 128894 /* of "seq 1 20000" with a CR before each LF */

static struct {
	struct ssm_watch *child;
	size_t len;
	char last[16];
	int32_t refused, pieces;
} terminal;

static int32_t
on_time_to_read(struct ssm *S, struct ssm_watch *w, void *arg)
{
	(void)w;
	(void)arg;
	return terminal.child ? S->api->watch_set(S, terminal.child, SSM_READ) : 0;
}

static void
read_later(struct ssm *S)
{
	const struct ssm_watch_on later = {
		.size = sizeof(later), .timer_fn = on_time_to_read, .after_ms = 1};

	S->api->watch(S, &later, NULL);
}

/* Each piece comes twice, since it is refused at first; then nothing is read for a while. */
static int32_t
on_terminal(struct ssm *S, int32_t stream, const void *data, size_t len, void *arg)
{
	size_t kept = len < sizeof(terminal.last) ? len : sizeof(terminal.last) - 1;

	(void)stream;
	(void)arg;
	terminal.refused = !terminal.refused;
	read_later(S);
	if (terminal.refused)
		return -EAGAIN;
	terminal.pieces++;
	terminal.len += len;
	memcpy(terminal.last, (const char *)data + len - kept, kept);
	terminal.last[kept] = '\0';
	if (terminal.len == TERMINAL_BYTES)
		S->api->child_resize(S, terminal.child, 100, 70000);
	return S->api->watch_set(S, terminal.child, 0);
}

static void
on_terminal_end(struct ssm *S, int32_t result, const struct ssm_end *end, void *arg)
{
	(void)arg;
	terminal.child = NULL;
	terminal.last[strcspn(terminal.last, "\r")] = '\0';
	ssm_log(S, SSM_INFO, "terminal r=%d how=%d code=%d bytes=%zu size=%s pieces=%d", result,
		end->how, end->code, terminal.len, terminal.last, terminal.pieces > 1);
}

static int32_t
start_terminal(struct ssm *S, struct ssm_service *service)
{
	static const char script[] = "trap 'stty size; exit 6' WINCH; seq 1 20000; "
				     "while :; do sleep 0.02; done";
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	const struct ssm_spawn cmd = {.size = sizeof(cmd),
				      .flags = SSM_SPAWN_PTY,
				      .argv = argv,
				      .output_fn = on_terminal,
				      .cols = 80,
				      .rows = 24};
	const struct ssm_request q = {.size = sizeof(q), .service = "ssm", .target = "T"};

	(void)service;
	S->api->call_start(S, &q, on_reply, NULL, NULL); /* tells that it has started */
	ssm_log(S, SSM_INFO, "pty=%d", S->api->has(S, "pty"));
	return S->api->spawn_start(S, &cmd, on_terminal_end, NULL, &terminal.child);
}

/* ------------------------------------------------------------- descriptor */

static int32_t
run_nothing(struct ssm *S, struct ssm_step *step)
{
	(void)S;
	(void)step;
	return 0;
}

static const struct ssm_action_ops spawn_ops = {sizeof(spawn_ops), 0, NULL, run_spawn};
static const struct ssm_action_ops facts_ops = {sizeof(facts_ops), 0, NULL, run_facts};
static const struct ssm_action_ops none_ops = {sizeof(none_ops), 0, NULL, run_nothing};
static const struct ssm_action_ops unknown_ops = {sizeof(unknown_ops), 0, NULL, run_unknown_result};
static const struct ssm_action_ops check_ops = {sizeof(check_ops), 0, run_check, run_facts};
static const struct ssm_topic_ops topic_ops = {sizeof(topic_ops), 0, handle};
static const struct ssm_service_ops service_ops = {sizeof(service_ops), 0, start, notify, stop};

static const struct ssm_service_ops terminal_ops = {sizeof(terminal_ops), 0, start_terminal, notify,
						    stop};

static const struct ssm_feature features[] = {
	SSM_ACTION("probe:spawn", &spawn_ops),
	SSM_ACTION("probe:facts*", &facts_ops),
	SSM_ACTION("probe:noresult", &none_ops),
	SSM_ACTION("probe:unknown", &unknown_ops),
	SSM_ACTION("probe:check", &check_ops),
	{.kind = SSM_KIND_TOPIC,
	 .name = "probe.",
	 .ops = &topic_ops,
	 .needs = "?service=mgs action=need:end",
	 .job_key = "/MessageId"},
	SSM_SERVICE("probe", &service_ops),
	SSM_SERVICE("probe:terminal", &terminal_ops),
};
static const struct ssm_option options[] = {
	{SSM_OPT_STRING, 0, "Word", "hello", "A word."},
	{SSM_OPT_MSEC, 0, "Wait", "30s", "A time."},
	{SSM_OPT_STRING, SSM_OPT_F_SECRET, "Password", "open sesame", "A secret."},
};

static int32_t
init(struct ssm *S)
{
	S->user = &state;
	return 0;
}

static void
fini(struct ssm *S)
{
	ssm_log(S, SSM_INFO, "fini user=%d", S->user == &state);
}

SSM_PLUGIN(probe) = {
	SSM_PLUGIN_HEAD,
	"probe",
	"1.2",
	"Apache-2.0",
	"Does what it is told",
	SSM_TABLE(features),
	SSM_TABLE(options),
	0,
	init,
	fini,
};
