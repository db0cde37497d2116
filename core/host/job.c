/* SPDX-License-Identifier: Apache-2.0 */
/* One job: a message for a topic handler, or one step of an action. */
#include "core/host/job.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/host/host.h"
#include "core/host/lines.h"
#include "core/host/link.h"
#include "core/host/user.h"
#include "core/ipc/wire.h"
#include "core/loop/child.h"

enum {
	EXIT_FINE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NEVER_STARTED = 3
};

struct job {
	struct host *host;
	bool greeted, go, away;
	char *body;
	size_t body_len;
	int fds[2];
};

/* ------------------------------------------------------- from the agent */

static int
on_hello(void *arg, json_t *hello, const char *body, size_t len, int *fds, size_t fd_count)
{
	struct job *j = arg;
	json_t *info = json_object_get(hello, "info");
	int64_t grace = -1;
	int level;

	j->host->hello = json_incref(hello);
	j->body = body ? xmemdup(body, len) : xstrdup("");
	j->body_len = body ? len : 0;
	for (size_t i = 0; i < fd_count && i < NELEMS(j->fds); i++)
		j->fds[i] = TAKE_FD(fds[i]);
	if (text_to_i64(json_str(info, "kill-grace-ms", ""), 0, INT_MAX, &grace) == 0)
		j->host->grace_ms = grace;
	switch (json_int(hello, "kind", 0)) {
	case SSM_KIND_TOPIC:
	case SSM_KIND_ACTION:
		/* These outlive an agent that is restarted; the others end with it. */
		link_set_return(j->host->link, json_str(info, "work-dir", NULL),
				json_str(info, "host-socket", NULL));
		break;
	case SSM_KIND_SERVICE:
	case SSM_KIND_SESSION:
		j->host->event_driven = true;
		break;
	default:
		break;
	}
	level = log_level_from_name(json_str(info, "log-level", ""));
	if (level > 0)
		log_set_level((enum log_level)level);
	j->greeted = true;
	return 0;
}

static void
on_go(void *arg)
{
	struct job *j = arg;

	j->go = true;
}

static void
on_cancel(void *arg, int64_t grace_ms)
{
	struct job *j = arg;

	if (grace_ms >= 0)
		j->host->grace_ms = grace_ms;
	host_cancel(j->host);
}

static void
on_notify(void *arg, const char *event, const char *json, size_t len)
{
	struct job *j = arg;

	service_notify(j->host, event, json, len);
}

static void
on_away(void *arg)
{
	struct job *j = arg;

	j->away = true;
}

static void
to_agent(void *arg, enum log_level level, const char *component, const char *line)
{
	struct job *j = arg;
	autofree char *text = xasprintf("%s: %s", component, line);
	autofree char *valid = text_utf8_repair(text, strlen(text), NULL);

	link_log(j->host->link, (int)level, valid);
}

/* ------------------------------------------------------------ the handler */

struct outcome {
	int32_t result, exit_code;
	char *error;
};

static void
run_topic(struct job *j, struct instance *i, const struct ssm_feature *f, struct outcome *o)
{
	const struct ssm_topic_ops *ops = f->ops;
	struct err e = {0, ""};
	struct ssm_message *m = message_new(j->body, j->body_len, &e);

	if (m && (ops->size < sizeof(*ops) || !ops->handle))
		err_set(&e, -ENOSYS, "the topic has no handle function");
	if (!m || e.code < 0) {
		o->result = e.code;
		o->error = xstrdup(err_text(&e));
		message_free(m);
		return;
	}
	o->result = ops->handle(&i->ssm, m);
	if (o->result >= 0 && j->host->provider)
		sessions_run(j->host, m);
	if (o->result < 0)
		o->error = host_failure(i, o->result);
	message_free(m);
}

static void
run_action(struct job *j, struct instance *i, const struct ssm_feature *f, struct outcome *o)
{
	struct err e = {0, ""};
	autojson json_t *inputs = json_parse(j->body, j->body_len, "the inputs", &e);
	const json_t *info = json_object_get(j->host->hello, "info");
	struct ssm_step *step;

	if (!inputs) {
		o->result = SSM_FAILED;
		o->exit_code = 1;
		o->error = xstrdup(err_text(&e));
		return;
	}
	step = step_new(inputs, json_str(info, "step-name", ""),
			json_str(j->host->hello, "feature", ""), j->fds[0], j->fds[1],
			json_int(j->host->hello, "timeout_ms", 0));
	step_execute(i, f, step, &o->error);
	o->result = step->result;
	o->exit_code = step->exit_code;
	step_free(step);
}

static void
run_handler(struct job *j, struct instance *i, struct outcome *o)
{
	uint32_t kind = (uint32_t)json_int(j->host->hello, "kind", 0);
	const char *name = json_str(j->host->hello, "feature", "");
	const struct ssm_feature *f = module_feature(i->module, kind, name);

	if (f && kind == SSM_KIND_TOPIC) {
		run_topic(j, i, f, o);
	} else if (f && kind == SSM_KIND_ACTION) {
		run_action(j, i, f, o);
	} else if (f && kind == SSM_KIND_SERVICE) {
		o->result = service_run(i, f, &j->away);
		o->error = o->result < 0 ? host_failure(i, o->result) : NULL;
	} else if (f) {
		o->result = -ENOSYS;
		o->error = xasprintf("this host does not run features of kind %u, as '%s' is one",
				     kind, name);
	} else {
		o->result = -ENOENT;
		o->error = xasprintf("the plugin '%s' does not provide '%s'",
				     i->module->plugin.name, name);
	}
}

/* Topics and actions, sessions among them, wait for an agent that is restarted. */
static bool
outlives_agent(const struct job *j)
{
	int64_t kind = json_int(j->host->hello, "kind", 0);

	return j->go && (kind == SSM_KIND_TOPIC || kind == SSM_KIND_ACTION);
}

static void
send_end(struct job *j, const struct outcome *o)
{
	json_t *m = wire_new("end");

	json_object_set_new(m, "result", json_integer(o->result));
	json_object_set_new(m, "exit_code", json_integer(o->exit_code));
	if (o->error)
		json_object_set_new(m, "error", json_string(o->error));
	lines_flush(j->host->lines);
	link_store(j->host->link, m, NULL, 0, NULL);
	/* A service that has nothing left to tell ends with its agent, and so does a job that never
	 * began: it is started anew. */
	while (!link_all_stored(j->host->link) && !(j->away && !outlives_agent(j)))
		event_base_loop(j->host->base, EVLOOP_ONCE);
}

/* ------------------------------------------------------------------ life */

static bool
wait_for(struct job *j, const bool *what)
{
	while (!*what && !j->away)
		event_base_loop(j->host->base, EVLOOP_ONCE);
	return *what && !j->away;
}

/* The plugin's own user, or nobody, before anything of the plugin is loaded. */
static int
drop_rights(struct job *j, char **file, struct err *e)
{
	const char *run_as = json_str(j->host->hello, "run_as", "");
	json_t *info = json_object_get(j->host->hello, "info");
	const char *folder = json_str(info, "work-dir", NULL);
	autofree char *work_dir = folder ? xstrdup(folder) : NULL;
	struct proc_user u = *user_nobody();
	int r = 0;

	if (!*run_as && !json_bool(j->host->hello, "unprivileged", false))
		return 0;
	if (*run_as)
		r = user_lookup(run_as, &u, e);
	else if (geteuid() != 0)
		return 0; /* no rights to give up */
	if (r == 0)
		r = user_become(&u, &work_dir, file, e);
	if (r < 0)
		return err_prefix(e, "RunAs");
	if (work_dir && strcmp(work_dir, folder) != 0)
		link_set_return(j->host->link, work_dir, json_str(info, "host-socket", NULL));
	return 0;
}

static struct instance *
load_plugin(struct job *j, struct err *e)
{
	const char *path = json_str(j->host->hello, "plugin_path", "");
	autofree char *file = xstrdup(path);
	struct instance *i =
		drop_rights(j, &file, e) < 0 ? NULL : host_add_plugin(j->host, file, e);

	/* By that name find() knows it. */
	if (i && strcmp(i->module->path, path) != 0) {
		free(i->module->path);
		i->module->path = xstrdup(path);
	}
	return i;
}

/* The agent going away before "go" means that STARTED was never written: nothing may have run. */
static int
live(struct job *j)
{
	struct outcome o = {0, 0, NULL};
	struct err e = {0, ""};
	struct instance *i;

	if (!wait_for(j, &j->greeted))
		return EXIT_NEVER_STARTED;
	if (json_bool(j->host->hello, "cancelled", false))
		host_cancel(j->host);
	i = load_plugin(j, &e);
	if (i) {
		link_ready(j->host->link);
		if (!wait_for(j, &j->go))
			return EXIT_NEVER_STARTED;
		run_handler(j, i, &o);
	} else {
		o.result = e.code < 0 ? e.code : -EIO;
		o.error = xstrdup(err_text(&e));
	}
	send_end(j, &o);
	host_fini(j->host);
	free(o.error);
	return EXIT_FINE;
}

int
host_job(int fd)
{
	static const struct link_ops ops = {on_hello, on_go, on_cancel, on_notify, on_away};
	/* Known to the very end: what a checker calls lost then is lost. */
	static struct job j = {.fds = {-1, -1}};
	struct event_base *base = event_base_new();
	struct err e = {0, ""};
	int status;

	j.host = host_new(base);
	if (child_reap_start(base, &e) < 0)
		log_warn("host", "%s", err_text(&e));
	j.host->link = link_new(base, fd, &ops, &j);
	log_set_sink(to_agent, &j);
	status = live(&j);
	lines_flush(j.host->lines);
	/* Nothing is freed: the process ends, and a thread that the plugin left may still call. */
	return status;
}

/* ----------------------------------------------------------------- --try */

static int
print_result(const struct ssm_step *step, const char *error)
{
	static const char *const names[] = {"Success",	 "Failed", "TimedOut",
					    "Cancelled", "Reboot", "RebootAgain"};

	fprintf(stderr, "result: %s, exit code %d%s%s\n", names[step->result], step->exit_code,
		error ? ": " : "", error ? error : "");
	return step->result == SSM_SUCCESS ? EXIT_FINE : EXIT_FAILED;
}

static int
try_action(struct host *h, const char *file, const char *name, json_t *inputs)
{
	struct err e = {0, ""};
	struct instance *i = host_add_plugin(h, file, &e);
	const struct ssm_feature *f = i ? module_feature(i->module, SSM_KIND_ACTION, name) : NULL;
	struct ssm_step *step;
	autofree char *error = NULL;
	int status;

	if (!f) {
		fprintf(stderr, "ssm-plugin-host: %s\n",
			i ? "the plugin has no such action; --describe lists them" : err_text(&e));
		return EXIT_FAILED;
	}
	step = step_new(inputs, "try", name, STDOUT_FILENO, STDERR_FILENO, 0);
	step_execute(i, f, step, &error);
	status = print_result(step, error);
	step_free(step);
	host_fini(h);
	return status;
}

int
host_try(const char *file, const char *kind, const char *name, const char *inputs)
{
	struct err e = {0, ""};
	bool builtin = text_starts(file, "builtin:");
	autofree char *path = builtin ? xstrdup(file) : realpath(file, NULL);
	autofree char *cwd = getcwd(NULL, 0);
	autojson json_t *tree = json_parse(inputs, strlen(inputs), "JSON", &e);
	struct event_base *base;
	struct host *h;
	int status;

	if (!tree || !path || strcmp(kind, "action") != 0) {
		fprintf(stderr, "ssm-plugin-host: %s\n",
			!tree		? err_text(&e)
				: !path ? "the plugin's file cannot be found"
					: "only 'action' can be tried");
		return EXIT_USAGE;
	}
	base = event_base_new();
	h = host_new(base);
	h->hello = json_pack("{s:s,s:s,s:{s:s}}", "job", "try", "agent_version", SSM_HOST_VERSION,
			     "info", "work-dir", cwd ? cwd : "/");
	status = try_action(h, path, name, tree);
	host_free(h);
	event_base_free(base);
	return status;
}
