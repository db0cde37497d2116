/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts of background services. A service keeps nothing: what it delivers is on disk before it is
 * answered, replies stay in the outbox until it confirms them. So its host may end at any time, and
 * ends with the agent. */
#include "core/agent/services.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/agent/broker.h"
#include "core/agent/dispatch.h"
#include "core/agent/hello.h"
#include "core/agent/plugins.h"
#include "core/agent/service_parts.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/ipc/wire.h"

#define KIND_SERVICE 5u /* SSM_KIND_SERVICE */
#define END_MS 10000
#define DELIVERIES_MAX 1024u /* the starts of as many sessions as there may be */

struct services {
	struct event_base *base;
	const struct conf *conf;
	struct plugins *plugins;
	struct broker *broker;
	struct dispatch *dispatch;
	json_t *info;
	void (*state)(void *arg, const char *service, const char *state);
	void *arg;
	struct list hosts;
};

/* A message on its way to the disk; its host waits for the answer. */
struct delivered {
	struct list link;
	struct service_host *host;
	json_t *id;
	int64_t seq;
};

static void start(struct service_host *h);

struct service_host *
services_find(const struct services *s, const char *name)
{
	list_each(it, tmp, &s->hosts) {
		struct service_host *h = list_entry(it, struct service_host, link);

		if (strcmp(h->name, name) == 0)
			return h;
	}
	return NULL;
}

struct event_base *
services_base(const struct services *s)
{
	return s->base;
}

static void
set_state(struct service_host *h, const char *state)
{
	bool open = strcmp(state, "open") == 0;

	if (h->open && !open)
		service_replies_fail(h, "the way that it has to take was closed");
	h->open = open;
	h->services->state(h->services->arg, h->name, state);
}

/* -------------------------------------------------------------- messages */

static void
answer(struct service_host *h, const json_t *id, int64_t seq, int code, const char *error)
{
	json_t *m;

	if (!h->host)
		return;
	if (id) {
		m = wire_new("result");
		(void)json_object_set(m, "id", (json_t *)(uintptr_t)id);
		(void)json_object_set_new(m, "code", json_integer(code));
		if (error)
			(void)json_object_set_new(m, "error", json_string(error));
		(void)hostproc_send(h->host, m, NULL, 0);
	}
	if (seq) {
		m = wire_new("stored");
		(void)json_object_set_new(m, "seq", json_integer(seq));
		(void)hostproc_send(h->host, m, NULL, 0);
	}
}

static void
delivered_free(struct delivered *v)
{
	list_remove(&v->link);
	json_decref(v->id);
	free(v);
}

static void
on_delivered(void *arg, int result)
{
	struct delivered *v = arg;

	answer(v->host, v->id, v->seq, result, result < 0 ? strerror(-result) : NULL);
	delivered_free(v);
}

static unsigned
under_way(const struct service_host *h)
{
	unsigned n = 0;

	list_each(it, tmp, &h->deliveries)
		n++;
	return n;
}

static void
on_deliver(struct service_host *h, const struct ipc_message *m)
{
	const struct delivery what = { .id = json_str(m->json, "msg_id", ""),
				       .topic = json_str(m->json, "topic", ""),
				       .payload = m->body ? m->body : "",
				       .len = m->body_len,
				       .via = h->name,
				       .route = json_str(m->json, "route", NULL) };
	const json_t *id = json_object_get(m->json, "id");
	int64_t seq = json_int(m->json, "seq", 0);
	struct delivered *v;

	if (under_way(h) >= DELIVERIES_MAX) {
		answer(h, id, seq, -EAGAIN, "too many messages are on their way already");
		return;
	}
	v = xcalloc(1, sizeof(*v));
	v->host = h;
	v->id = json_incref((json_t *)(uintptr_t)id);
	v->seq = seq;
	list_append(&h->deliveries, &v->link);
	dispatch_deliver(h->services->dispatch, &what, on_delivered, v);
}

/* Lines of plugins: one line each, whatever is in them. */
static void
on_log(struct service_host *h, const json_t *m)
{
	int64_t level = json_int(m, "level", LOG_LEVEL_INFO);
	autofree char *text = xstrndup(json_str(m, "text", ""), 4096);
	char component[64];

	if (level < LOG_LEVEL_ERROR || level > LOG_LEVEL_TRACE)
		level = LOG_LEVEL_INFO;
	if ((int)level > (int)log_get_level())
		return;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	(void)snprintf(component, sizeof(component), "%s[%s]", h->plugin, h->name);
	log_write(&h->log_site, (enum log_level)level, component, "%s", text);
}

static int
on_message(void *arg, const char *type, struct ipc_message *m)
{
	struct service_host *h = arg;
	int64_t seq = json_int(m->json, "seq", 0);

	if (strcmp(type, "log") == 0) {
		on_log(h, m->json);
	} else if (broker_takes(type)) {
		return broker_handle(h->broker, type, m);
	} else if (strcmp(type, "deliver") == 0) {
		on_deliver(h, m);
	} else if (strcmp(type, "reply-done") == 0) {
		service_reply_done(h, json_str(m->json, "reply_id", ""),
				   (int)json_int(m->json, "status", 0));
	} else if (strcmp(type, "service-state") == 0) {
		set_state(h, json_str(m->json, "state", "closed"));
	} else if (strcmp(type, "end") == 0) {
		if (json_str(m->json, "error", NULL))
			log_warn("services", "service '%s' of plugin '%s' ends: %s", h->name,
				 h->plugin, json_str(m->json, "error", ""));
		answer(h, NULL, seq, 0, NULL);
		hostproc_expect_end(h->host, END_MS, "it did not exit after its end");
	} else {
		answer(h, json_object_get(m->json, "id"), seq, -ENOSYS,
		       "a service cannot ask for that");
	}
	return 0;
}

/* ------------------------------------------------------------------ life */

/* Nothing of a service has to be remembered, so it may begin at once. */
static void
on_ready(void *arg, const struct proc_id *who)
{
	struct service_host *h = arg;

	(void)who;
	h->running = hostproc_go(h->host) == 0;
}

static void
start_in(struct service_host *h, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	(void)event_add(h->timer, &tv);
}

/* Unless it ended too often: its file has to change before it is tried again. */
static void
start_again(struct service_host *h)
{
	int64_t wait = restarts_wait_ms(&h->restarts, h->started_ms, clock_mono_ms());

	if (wait < 0) {
		h->off = true;
		log_error("services",
			  "service '%s' of plugin '%s' has ended %u times within an hour: it is "
			  "off until its file changes",
			  h->name, h->plugin, RESTARTS_MAX);
		return;
	}
	log_warn("services", "service '%s' of plugin '%s' starts again in %lld ms", h->name,
		 h->plugin, (long long)wait);
	start_in(h, wait);
}

static void
host_done(struct service_host *h)
{
	h->host = hostproc_free(h->host);
	h->broker = broker_client_free(h->broker);
	h->running = false;
	while (!list_empty(&h->deliveries)) {
		struct delivered *v = list_first(&h->deliveries, struct delivered, link);

		if (h->services->dispatch)
			dispatch_forget(h->services->dispatch, v);
		delivered_free(v);
	}
	service_replies_fail(h, "the service that has to send it has ended");
}

static void
service_free(struct service_host *h)
{
	host_done(h);
	list_remove(&h->link);
	event_free(h->timer);
	free(h->name);
	free(h->plugin);
	free(h->path);
	free(h);
}

static void
on_gone(void *arg, int status, const char *why, const char *tail)
{
	struct service_host *h = arg;
	char how[64];

	hostproc_status_text(status, how, sizeof(how));
	if (!h->replaced && !h->gone_from_table)
		log_warn("services", "the host of service '%s' %s%s%s%s%s", h->name, how,
			 why ? ": " : "", why ? why : "", tail && *tail ? "; it said last: " : "",
			 tail ? tail : "");
	host_done(h);
	if (h->open)
		set_state(h, "closed");
	if (h->gone_from_table) {
		service_free(h);
		return;
	}
	if (h->replaced) {
		h->replaced = h->off = false;
		restarts_forget(&h->restarts);
		start_in(h, 0);
		return;
	}
	start_again(h);
}

static json_t *
on_back(void *arg, int version)
{
	(void)arg;
	(void)version;
	return json_object(); /* services do not come back */
}

static const struct hostproc_ops host_ops = { on_ready, on_message, on_gone, on_back };

static int
send_to_host(void *arg, json_t *message, const void *body, size_t len)
{
	struct service_host *h = arg;

	if (h->host)
		return hostproc_send(h->host, message, body, len);
	json_decref(message);
	return -EPIPE;
}

static void
stamp_of(const char *path, char *ret, size_t size)
{
	struct stat st;

	*ret = '\0';
	if (stat(path, &st) == 0)
		(void)snprintf(ret, size, "%llu:%llu:%lld:%lld.%09ld",
			       (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
			       (long long)st.st_size, (long long)st.st_mtim.tv_sec,
			       st.st_mtim.tv_nsec);
}

static void
start(struct service_host *h)
{
	struct services *s = h->services;
	const struct feature *f = plugins_find(s->plugins, KIND_SERVICE, h->name);
	autofree char *id = xasprintf("service-%s", h->name);
	struct hostproc_spec spec = { .mode = "--service", .job_id = id };
	struct err e = { 0, "" };
	json_t *info;

	if (!f || h->host)
		return;
	free(h->plugin);
	free(h->path);
	h->plugin = xstrdup(f->plugin);
	h->path = xstrdup(f->path);
	stamp_of(h->path, h->stamp, sizeof(h->stamp));
	info = json_copy(s->info);
	(void)json_object_set_new(info, "job-id", json_string(id));
	(void)json_object_set_new(info, "feature", json_string(h->name));
	h->started_ms = clock_mono_ms();
	h->broker = broker_client_new(s->broker, h->plugin, send_to_host, h);
	spec.hello = hello_new(s->conf, s->plugins, f, id, h->name, info);
	h->host = hostproc_start(s->base, s->conf, &spec, &host_ops, h, &e);
	if (h->host) {
		log_info("services", "service '%s' of plugin '%s' starts, pid %ld", h->name,
			 h->plugin, (long)hostproc_id(h->host)->pid);
		return;
	}
	log_warn("services", "service '%s' of plugin '%s' cannot be started: %s", h->name,
		 h->plugin, err_text(&e));
	h->broker = broker_client_free(h->broker);
	start_again(h);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start(arg);
}

/* ----------------------------------------------------------------- table */

static void
end_host(struct service_host *h)
{
	(void)event_del(h->timer);
	if (!h->host)
		return;
	(void)hostproc_send(h->host, wire_new("bye"), NULL, 0);
	hostproc_expect_end(h->host, END_MS, "it did not end when it was told to");
}

static void
service_new(struct services *s, const struct feature *f)
{
	struct service_host *h = xcalloc(1, sizeof(*h));

	h->services = s;
	h->name = xstrdup(f->name);
	h->plugin = xstrdup(f->plugin);
	h->path = xstrdup(f->path);
	h->timer = evtimer_new(s->base, on_timer, h);
	list_init(&h->replies);
	list_init(&h->deliveries);
	list_append(&s->hosts, &h->link);
	start(h);
}

static void
look_at(struct service_host *h, const struct feature *f)
{
	char stamp[sizeof(h->stamp)];

	if (!f) {
		h->gone_from_table = true;
		end_host(h);
		if (!h->host)
			service_free(h);
		return;
	}
	stamp_of(f->path, stamp, sizeof(stamp));
	if (strcmp(f->path, h->path) == 0 && strcmp(stamp, h->stamp) == 0)
		return;
	log_info("services", "service '%s' is another file now: it starts again", h->name);
	if (h->host) {
		h->replaced = true;
		end_host(h);
		return;
	}
	h->off = false;
	restarts_forget(&h->restarts);
	start_in(h, 0);
}

void
services_look(struct services *s, struct dispatch *d)
{
	const struct feature *f;
	size_t iter = 0;

	s->dispatch = d;
	list_each(it, tmp, &s->hosts) {
		struct service_host *h = list_entry(it, struct service_host, link);

		look_at(h, plugins_find(s->plugins, KIND_SERVICE, h->name));
	}
	while ((f = plugins_next(s->plugins, KIND_SERVICE, &iter)))
		if (!services_find(s, f->name))
			service_new(s, f);
}

void
services_notify(struct services *s, const char *event)
{
	list_each(it, tmp, &s->hosts) {
		struct service_host *h = list_entry(it, struct service_host, link);
		json_t *m;

		if (!h->running || !h->host)
			continue;
		m = wire_new("notify");
		(void)json_object_set_new(m, "event", json_string(event));
		(void)hostproc_send(h->host, m, NULL, 0);
	}
}

json_t *
services_report(const struct services *s)
{
	json_t *all = json_array();

	list_each(it, tmp, &s->hosts) {
		const struct service_host *h = list_entry(it, struct service_host, link);

		(void)json_array_append_new(
			all, json_pack("{s:s, s:s, s:i, s:s, s:i, s:b}", "name", h->name, "plugin",
				       h->plugin, "pid",
				       h->host ? (int)hostproc_id(h->host)->pid : 0, "state",
				       h->open ? "open" : "closed", "failures",
				       (int)h->restarts.failures,
				       "off", h->off));
	}
	return all;
}

struct services *
services_new(const struct services_options *o)
{
	struct services *s = xcalloc(1, sizeof(*s));

	s->base = o->base;
	s->conf = o->conf;
	s->plugins = o->plugins;
	s->broker = o->broker;
	s->info = json_incref(o->info);
	s->state = o->state;
	s->arg = o->arg;
	list_init(&s->hosts);
	return s;
}

struct services *
services_free(struct services *s)
{
	if (!s)
		return NULL;
	s->dispatch = NULL; /* it ends before */
	list_each(it, tmp, &s->hosts)
		service_free(list_entry(it, struct service_host, link));
	json_decref(s->info);
	free(s);
	return NULL;
}
