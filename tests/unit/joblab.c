/* SPDX-License-Identifier: Apache-2.0 */
/* The doubles, and what drives them: joblab.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/agent/broker.h"
#include "core/agent/plugins.h"
#include "core/aws/mds.h"
#include "core/aws/notice.h"
#include "core/aws/ssmapi.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/unit/joblab.h"

struct event_base *base;

struct conf *conf;

struct dispatch *dispatch;

char *root, *self;

char **lines; /* what was logged */

/* ------------------------------------------------------- the service */

struct sent sent[4096];

size_t sent_count;

enum outcome (*outcome_of)(const struct sent *s);

struct aws_call {
	struct event *timer;
	aws_done_fn *done;
	void *arg;
	enum outcome outcome;
};

static void
call_done(evutil_socket_t fd, short what, void *arg)
{
	struct aws_call *c = arg;
	struct aws_reply r = { .text = "as the test wants it" };

	(void)fd;
	(void)what;
	if (c->outcome == AWAY)
		r.result = -ECONNREFUSED, r.retry = RETRY_TRANSPORT;
	else if (c->outcome == REFUSED)
		r.result = -EREMOTEIO, r.status = 400, r.retry = RETRY_NO;
	else
		r.status = 200;
	event_free(c->timer);
	c->done(c->arg, &r);
	free(c);
}

void
aws_cancel(struct aws_call *c)
{
	if (!c)
		return;
	event_free(c->timer);
	free(c);
}

static struct aws_call *
call(char kind, const char *message_id, const char *reply_id, const char *payload, size_t len,
     aws_done_fn *done, void *arg)
{
	struct aws_call *c = xcalloc(1, sizeof(*c));
	struct sent *s = &sent[sent_count++];
	struct timeval now = { 0, 0 };

	ck_assert_uint_lt(sent_count, NELEMS(sent));
	*s = (struct sent){ kind, xstrdup(message_id), xstrdup(reply_id),
			    payload ? xstrndup(payload, len) : NULL };
	c->done = done;
	c->arg = arg;
	c->outcome = outcome_of ? outcome_of(s) : TAKEN;
	c->timer = evtimer_new(base, call_done, c);
	if (c->outcome != NEVER)
		(void)event_add(c->timer, &now);
	return c;
}

struct aws_call *
mds_acknowledge(struct mds *m, const char *message_id, aws_done_fn *done, void *arg)
{
	(void)m;
	return call('a', message_id, NULL, NULL, 0, done, arg);
}

struct aws_call *
mds_fail(struct mds *m, const char *message_id, const char *failure_type, aws_done_fn *done,
	 void *arg)
{
	(void)m;
	ck_assert_str_eq(failure_type, "NoHandlerExists");
	return call('f', message_id, NULL, NULL, 0, done, arg);
}

struct aws_call *
mds_reply(struct mds *m, const char *message_id, const char *reply_id, const char *payload,
	  size_t len, aws_done_fn *done, void *arg)
{
	(void)m;
	return call('r', message_id, reply_id, payload, len, done, arg);
}

char *
notice_payload(const struct notice_agent *agent, int64_t now_unix_ms, const char *status,
	       const char *trace, enum notice_channel channel)
{
	autojson json_t *v =
		json_pack("{s:s,s:s,s:s}", "notice", status, "trace", trace, "agent", agent->name);

	ck_assert_int_gt(now_unix_ms, 0);
	ck_assert_int_ne(channel, NOTICE_CHANNEL_OPEN);
	return json_text(v);
}

const char *
ssmapi_agent_version(void)
{
	return "3.3.2746.0";
}

/* --------------------------------------------------- plugins, broker */

static const struct feature features[] = {
	{ 2, 0, "aws.ssm.sendCommand.", "/MessageId", NULL, "runCommand", "/p/runCommand.so",
	  NULL },
	{ 2, 0, "aws.ssm.cancelCommand.", NULL, "/Payload/CancelMessageId", "runCommand",
	  "/p/runCommand.so", NULL },
	{ 2, 0, "session", "/MessageId", NULL, "acme", "/p/acme.so", NULL },
	{ 2, 0, "acme.topic", "/Payload/Name", NULL, "acme", "/p/acme.so", NULL },
	{ 2, FEATURE_SERIAL, "acme.serial", NULL, NULL, "acme", "/p/acme.so", NULL },
	{ 1, FEATURE_SERIAL, "acme:alone", NULL, NULL, "acme", "/p/acme.so", NULL },
	{ 1, 0, "acme:*", NULL, NULL, "acme", "/p/acme.so", NULL },
};

int refresh_ms = -1; /* < 0: at once */

bool no_features;

struct plugins_wait {
	struct event *timer;
	plugins_ready_fn *done;
	void *arg;
};

static void
refreshed(evutil_socket_t fd, short what, void *arg)
{
	struct plugins_wait w = *(struct plugins_wait *)arg;

	(void)fd;
	(void)what;
	plugins_wait_cancel(arg);
	w.done(w.arg);
}

struct plugins_wait *
plugins_refresh(struct plugins *p, plugins_ready_fn *done, void *arg)
{
	struct plugins_wait *w;
	struct timeval tv;

	(void)p;
	if (refresh_ms < 0) {
		done(arg);
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->done = done;
	w->arg = arg;
	w->timer = evtimer_new(base, refreshed, w);
	clock_timeval(refresh_ms, &tv);
	(void)event_add(w->timer, &tv);
	return w;
}

void
plugins_wait_cancel(struct plugins_wait *w)
{
	if (!w)
		return;
	event_free(w->timer);
	free(w);
}

const struct feature *
plugins_find(const struct plugins *p, uint32_t kind, const char *name)
{
	(void)p;
	for (size_t i = 0; i < NELEMS(features) && !no_features; i++) {
		size_t len = strcspn(features[i].name, "*");

		if (features[i].kind == kind && strncmp(name, features[i].name, len) == 0)
			return &features[i];
	}
	return NULL;
}

json_t *
plugins_for_host(const struct plugins *p)
{
	(void)p;
	return json_array();
}

struct broker_client {
	int unused;
};

int broker_cancels;

struct broker_client *
broker_client_new(struct broker *b, const char *plugin, broker_send_fn *send, void *arg)
{
	(void)b;
	(void)plugin;
	(void)send;
	(void)arg;
	return xcalloc(1, sizeof(struct broker_client));
}

struct broker_client *
broker_client_free(struct broker_client *c)
{
	free(c);
	return NULL;
}

int
broker_handle(struct broker_client *c, const char *type, struct ipc_message *m)
{
	(void)c;
	(void)type;
	(void)m;
	return 0;
}

bool
broker_takes(const char *type)
{
	return strcmp(type, "call") == 0;
}

void
broker_client_cancel(struct broker_client *c)
{
	(void)c;
	broker_cancels++;
}

/* ------------------------------------------------------------- scaffold */

static void
collect(void *arg, enum log_level level, const char *component, const char *line)
{
	(void)arg;
	strv_addf(&lines, "%d %s: %s", (int)level, component, line);
}

struct dispatch_local local;

bool once;

void
open_dispatch(void)
{
	struct err e = { 0 };
	autofree char *state = xasprintf("%s/state", root);
	const struct dispatch_options o = { .base = base,
					    .conf = conf,
					    .instance_id = IID,
					    .state_path = state,
					    .local = local,
					    .once = once };

	dispatch = dispatch_new(&o, &e);
	ck_assert_msg(dispatch != NULL, "%s", err_text(&e));
}

void
configure(const char *key_value)
{
	autofree char *host = xasprintf("Paths.Host=%s", self);
	autofree char *extra = xstrdup(key_value);
	char grace[] = "Agent.KillGrace=0";
	char *over[] = { host, grace, extra, NULL };
	const struct conf_spec spec = { .root = root, .overrides = over };
	struct err e = { 0 };

	conf_free(conf);
	conf = conf_load(&spec, NULL, NULL, &e);
	ck_assert_msg(conf != NULL, "%s", err_text(&e));
}

void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	self = xstrdup(path);
	root = xasprintf("%s/t_jobs.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	log_set_sink(collect, NULL);
	base = event_base_new();
	configure(NULL);
	open_dispatch();
}

void
teardown(void)
{
	dispatch_free(dispatch);
	conf_free(conf);
	event_base_free(base);
	(void)fs_remove_tree(AT_FDCWD, root, NULL);
}

void
restart(void)
{
	dispatch_free(dispatch);
	open_dispatch();
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
until(bool (*is_true)(const void *arg), const void *arg)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	struct event *tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	struct timeval tv = { 0, 20000 };

	(void)event_add(tick, &tv);
	while (!is_true(arg)) {
		if (clock_mono_ms() >= end) {
			for (size_t i = 0; i < sent_count; i++)
				fprintf(stderr, "%c %s %s\n", sent[i].kind, sent[i].message_id,
					sent[i].payload ? sent[i].payload : "");
			for (size_t i = 0; lines && lines[i]; i++)
				fprintf(stderr, "%s\n", lines[i]);
			ck_abort_msg("nothing happened in time");
		}
		(void)event_base_loop(base, EVLOOP_ONCE);
	}
	event_free(tick);
}

static bool
is_over(const void *arg)
{
	return clock_mono_ms() >= *(const int64_t *)arg;
}

void
let_pass(int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	until(is_over, &end);
}

char *
id_of(unsigned n)
{
	return xasprintf("aws.ssm.%08x-d7d4-436e-8f09-%012x." IID, n, (unsigned)getpid());
}

json_t *
message(unsigned n, const char *topic, const char *payload)
{
	autofree char *id = id_of(n);

	return json_pack("{s:s,s:s,s:s,s:s,s:s}", "MessageId", id, "Topic", topic, "Destination",
			 IID, "CreatedDate", DATE, "Payload", payload);
}

void
deliver(json_t *m)
{
	autojson json_t *list = json_array();

	if (strcmp(json_str(m, "MessageId", ""), "MINE") == 0) {
		autofree char *id = id_of(1);

		(void)json_object_set_new(m, "MessageId", json_string(id));
	}
	(void)json_array_append_new(list, m);
	dispatch_messages(dispatch, list);
}

void
command(unsigned n, const char *script)
{
	autojson json_t *payload = json_pack("{s:s}", "script", script);
	autofree char *text = json_text(payload);

	deliver(message(n, SEND, text));
}

void
cancel(unsigned n, unsigned target)
{
	autofree char *id = id_of(target);
	autofree char *text = xasprintf("{\"CancelMessageId\":\"%s\"}", id);

	deliver(message(n, CANCEL, text));
}

const struct sent *
nth(unsigned n, char kind, size_t which)
{
	autofree char *id = id_of(n);

	for (size_t i = 0; i < sent_count; i++)
		if (sent[i].kind == kind && strcmp(sent[i].message_id, id) == 0 && which-- == 0)
			return &sent[i];
	return NULL;
}

size_t
count(unsigned n, char kind)
{
	size_t i = 0;

	while (nth(n, kind, i))
		i++;
	return i;
}

const char *
reply_of(unsigned n, size_t which)
{
	const struct sent *s = nth(n, 'r', which);

	return s ? s->payload : "";
}

const char *
last_reply(unsigned n)
{
	size_t c = count(n, 'r');

	return c > 0 ? reply_of(n, c - 1) : "";
}

bool
says(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

struct want {
	unsigned n;
	char kind;
	size_t count;
};

static bool
has_come(const void *arg)
{
	const struct want *w = arg;

	return count(w->n, w->kind) >= w->count;
}

void
until_sent(unsigned n, char kind, size_t how_many)
{
	const struct want w = { n, kind, how_many };

	until(has_come, &w);
}

size_t
reported(const char *list)
{
	autojson json_t *r = dispatch_report(dispatch);

	return json_array_size(json_object_get(r, list));
}

bool
is_idle(const void *arg)
{
	(void)arg;
	return reported("running") + reported("queued") + reported("unconfirmed") == 0;
}

void
until_idle(void)
{
	until(is_idle, NULL);
}

static bool
has_running(const void *arg)
{
	return reported("running") >= *(const size_t *)arg;
}

void
until_running(size_t n)
{
	until(has_running, &n);
}

bool
logged(const char *part)
{
	for (size_t i = 0; lines && lines[i]; i++)
		if (says(lines[i], part))
			return true;
	return false;
}

bool
has_logged(const void *arg)
{
	return logged(arg);
}

int64_t shift_ms;

static int64_t
plain_mono(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int64_t
shifted_wall(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000 + shift_ms;
}

const struct clock_ops shifted = { plain_mono, shifted_wall };

long
pid_behind(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at ? strtol(at + strlen(word), NULL, 10) : -1;
}

long
pid_in_log(const char *what)
{
	for (size_t i = 0; lines && lines[i]; i++) {
		const char *at = strstr(lines[i], what);

		if (at)
			return pid_behind(at, "pid ");
	}
	return -1;
}

bool
is_running(long pid)
{
	autofree char *path = xasprintf("/proc/%ld/stat", pid), *text = NULL;

	return fs_read(AT_FDCWD, path, 4096, &text, NULL, NULL) == 0 && !says(text, ") Z ");
}

size_t
starts_of(unsigned n)
{
	autofree char *id = id_of(n);
	autofree char *line = xasprintf("job '%s' starts", id);
	size_t found = 0;

	for (size_t i = 0; lines && lines[i]; i++)
		found += says(lines[i], line);
	return found;
}
