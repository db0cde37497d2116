/* SPDX-License-Identifier: Apache-2.0 */
/* A host at work on a job or on a step of one: its messages, cancel, deadline, end. DESIGN
 * sections 2, 3. */
#ifndef SSM_AGENT_WORKER_H
#define SSM_AGENT_WORKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/agent/hostproc.h"
#include "core/agent/jobs.h"
#include "core/agent/plugins.h"
#include "core/base/list.h"

struct broker_client;
struct job;
struct worker;

#define WORKER_DEPTH_MAX 3u
#define WORKER_STEPS_MAX 32u /* nested jobs of one host at a time */
/* Results of a step, the same numbers as in ssm_plugin.h. */
#define STEP_FAILED 1
#define STEP_TIMED_OUT 2
#define STEP_CANCELLED 3
#define STEP_REBOOT 4
#define STEP_REBOOT_AGAIN 5

struct worker {
	struct job *job;
	struct worker *parent; /* NULL: the topic's handler */
	struct list link, steps;
	unsigned depth, number; /* number of a nested one */
	char *id;		/* the job's, or "ID/3" */
	char *plugin, *feature;
	uint32_t kind;
	struct hostproc *host;
	struct broker_client *broker;
	struct contain *contain;
	struct child *stranger; /* an inherited host */
	struct proc_id who;
	struct event *timer; /* cancel or deadline */
	bool started, cancelled, timed_out, ended, gone, over;
	int64_t seq; /* last one taken */
	int64_t result;
	int exit_code;
	char *error, *body;
	size_t body_len;
	char *why;	 /* how it ended, when not by "end" */
	json_t *waiters; /* request ids of the parent */
	struct log_site log_site;
};

struct worker_spec {
	const struct feature *feature;
	const char *name; /* what it matched */
	const void *body; /* message or inputs */
	size_t body_len;
	int64_t timeout_ms;
	const char *step; /* name, or NULL */
	const int *fds;
	size_t fd_count;
};
/* Start a host for J, or for a step of it when PARENT is set (then it joins the parent's steps). */
struct worker *worker_start(struct job *j, struct worker *parent, const struct worker_spec *spec,
			    struct err *e);
/* A host that an agent before us has started: waited for, then job_over() with WHY. */
struct worker *worker_adopt(struct job *j, const struct proc_id *who, const char *why);
struct worker *worker_free(struct worker *w); /* the processes live on */
void worker_cancel(struct worker *w);
/* STARTED could not be stored or must not be: the handler never runs. */
void worker_abandon(struct worker *w, const char *why);

/* nested.c: job-start, job-wait, job-cancel of a host. */
int nested_handle(struct worker *w, const char *type, struct ipc_message *m);
/* Tell those who wait that STEP is over. */
void nested_answer(struct worker *step);

void worker_stored(struct worker *w, int64_t seq);
/* Answer a request. */
void worker_result(struct worker *w, json_t *id, int code, const char *error);
json_t *worker_result_new(json_t *id, int code, const char *error);

#endif
