/* SPDX-License-Identifier: Apache-2.0 */
/* What a host is told before it begins: its job, its plugin, its rights, where it works. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/agent/cgroup.h"
#include "core/agent/hello.h"
#include "core/agent/hostsock.h"
#include "core/agent/job.h"
#include "core/agent/worker.h"
#include "core/base/mem.h"

/* A step of another plugin works in a folder of its own below the job's. */
char *
worker_work_dir(const struct worker *w)
{
	autofree char *folder = jobstore_folder(w->job->store, w->job->id);
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
	/* Told in replies by ec2messages only (spec/01 1.8). */
	if (!w->job->via)
		(void)json_object_set_new(info, "channel",
					  json_string(w->job->jobs->channel_open ? "open"
										 : "closed"));
	if (spec->step)
		(void)json_object_set_new(info, "step-name", json_string(spec->step));
	return info;
}

json_t *
worker_hello(const struct worker *w, const struct worker_spec *spec)
{
	const struct jobs *js = w->job->jobs;
	json_t *m = hello_new(js->conf, js->plugins, spec->feature, w->id, w->feature,
			      info_of(w, spec));

	(void)json_object_set_new(m, "timeout_ms", json_integer(spec->timeout_ms));
	return m;
}
