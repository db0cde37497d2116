/* SPDX-License-Identifier: Apache-2.0 */
/* What a host is told before it begins: its job, its plugin, its rights, where it works. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/agent/cgroup.h"
#include "core/agent/hostsock.h"
#include "core/agent/job.h"
#include "core/agent/worker.h"
#include "core/base/mem.h"
#include "core/conf/conf.h"

static json_t *
plugin_config(const struct conf *conf, const char *plugin)
{
	autofree char *section = xasprintf("plugin %s", plugin);
	json_t *config = json_object();
	const char *key, *value;
	size_t iter = 0;

	while (conf_next(conf, section, &iter, &key, &value))
		(void)json_object_set_new(config, key, json_string(value));
	return config;
}

/* A step of another plugin works in a folder of its own below the job's. */
char *
worker_work_dir(const struct worker *w)
{
	autofree char *folder = jobstore_folder(w->job->jobs->store, w->job->id);
	char *own;

	if (!w->parent)
		return TAKE(folder);
	own = xasprintf("%s/step%u", folder, w->number);
	(void)mkdir(own, 0700);
	return own;
}

static json_t *
info_of(const struct worker *w, const struct worker_spec *spec)
{
	json_t *info = w->job->jobs->info ? json_copy(w->job->jobs->info) : json_object();
	autofree char *dir = worker_work_dir(w);
	autofree char *procs = cgroup_command_procs(w->job->jobs->cgroup, w->id);

	if (procs)
		(void)json_object_set_new(info, "cgroup-procs", json_string(procs));
	(void)json_object_set_new(info, "job-id", json_string(w->id));
	(void)json_object_set_new(info, "work-dir", json_string(dir));
	(void)json_object_set_new(info, "host-socket",
				  json_string(hostsock_path(w->job->jobs->hostsock)));
	(void)json_object_set_new(info, "feature", json_string(w->feature));
	if (spec->step)
		(void)json_object_set_new(info, "step-name", json_string(spec->step));
	return info;
}

/* As whom the host loads it. */
static void
set_rights(json_t *hello, const struct conf *conf, const struct feature *f)
{
	autofree char *section = xasprintf("plugin %s", f->plugin);
	const char *run_as = conf_raw(conf, section, "RunAs");

	if (run_as && *run_as)
		(void)json_object_set_new(hello, "run_as", json_string(run_as));
	(void)json_object_set_new(hello, "unprivileged",
				  json_boolean(f->flags & FEATURE_UNPRIVILEGED));
}

json_t *
worker_hello(const struct worker *w, const struct worker_spec *spec)
{
	const struct jobs *js = w->job->jobs;
	json_t *m = json_object();

	(void)json_object_set_new(m, "job", json_string(w->id));
	(void)json_object_set_new(m, "kind", json_integer(w->kind));
	(void)json_object_set_new(m, "feature", json_string(w->feature));
	(void)json_object_set_new(m, "plugin", json_string(w->plugin));
	(void)json_object_set_new(m, "plugin_path", json_string(spec->feature->path));
	(void)json_object_set_new(m, "plugins", plugins_for_host(js->plugins));
	(void)json_object_set_new(m, "config", plugin_config(js->conf, w->plugin));
	(void)json_object_set_new(m, "info", info_of(w, spec));
	set_rights(m, js->conf, spec->feature);
	(void)json_object_set_new(m, "timeout_ms", json_integer(spec->timeout_ms));
	(void)json_object_set_new(m, "cancelled", json_false());
	return m;
}
