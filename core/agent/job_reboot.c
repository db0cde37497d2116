/* SPDX-License-Identifier: Apache-2.0 */
/* A job that asked for a restart of the machine. The request is its END record; the STARTED before
 * it says in which boot that was. */
#include <errno.h>
#include <string.h>

#include "core/agent/job.h"
#include "core/agent/reboot.h"
#include "core/base/err.h"
#include "core/base/proc.h"

#define STARTS_MAX 3u

void
job_reboot(struct job *j, const char *boot)
{
	struct jobs *js = j->jobs;

	if (strcmp(boot, proc_boot_id()) != 0) {
		job_enqueue(j);
		return;
	}
	if (js->once) {
		j->state = JOB_REBOOT;
		js->local.over(js->local.arg, j->id, true);
		return;
	}
	log_info("jobs", "job '%s' asks for a restart of the machine and goes on after it", j->id);
	j->state = JOB_REBOOT;
	reboot_request(js->reboot);
}

void
job_reboot_gave_up(void *arg, const char *why)
{
	struct jobs *js = arg;

	list_each(it, tmp, &js->all) {
		struct job *j = list_entry(it, struct job, link);

		if (j->state == JOB_REBOOT)
			job_final_notice(j, "Failed", why);
	}
	jobs_start_queued(js);
}

bool
job_goes_round(const struct job *j, struct err *e)
{
	if (j->starts < STARTS_MAX)
		return false;
	return err_set(e, -ELOOP,
		       "a step asked for a restart of the machine %u times (exit code 194) "
		       "without getting any further",
		       STARTS_MAX) < 0;
}
