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
#define WORKER_CANCEL_MS 10000 /* beyond the grace, from the cancel to the end of the host */
#define WORKER_EXIT_MS 60000   /* from the end of the work to the end of the process */
#define WORKER_EXIT_WHY "it did not exit within 60 s after its end"
#define RESULT_FILE "result.json" /* of a host without an agent, in its work folder */
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
	struct proc_id who;
	struct event *timer; /* cancel or deadline */
	bool started, cancelled, timed_out, ended, gone, over;
	bool adopted; /* an agent before us has started it */
	bool resumed; /* the next number may be any later one: some were settled without a record */
	int64_t until_ms;    /* deadline, 0: none */
	int64_t seq, stored; /* last one taken; last one that is settled */
	int64_t result;
	int exit_code;
	char *error, *body;
	size_t body_len;
	char *why;	 /* how it ended, when not by "end" */
	json_t *request; /* the parent's, that started it; ANSWERED: once STARTED was on disk */
	bool answered;
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
	json_t *request; /* of a step: the parent's, or NULL; borrowed */
};
/* Start a host for J, or for a step of it when PARENT is set (then it joins the parent's steps). */
struct worker *worker_start(struct job *j, struct worker *parent, const struct worker_spec *spec,
			    struct err *e);

/* What the journal says of a host that an agent before us has started. */
struct past {
	struct list link;
	json_t *started, *end; /* records; END: NULL when there is none */
	int64_t seq;	       /* the last one there is a record of */
};
struct past *past_new(const json_t *started);
struct past *past_free(struct past *p);
unsigned past_number(const json_t *record); /* of the nested job, 0: the job itself */
/* Take up the hosts PASTS of J, the job's own first: what lives is waited for, what they left is
 * taken. Sets J's worker unless all of it is over. Nothing is called back from within. */
void worker_adopt_all(struct job *j, struct list *pasts);
/* An adopted host of J with this pid, or NULL. */
struct worker *worker_find_pid(struct worker *w, pid_t pid);
/* Take what the host wrote down while there was no agent. */
void worker_take_file(struct worker *w);

struct worker *worker_free(struct worker *w); /* the processes live on */
void worker_cancel(struct worker *w);
/* STARTED could not be stored or must not be: the handler never runs. */
void worker_abandon(struct worker *w, const char *why);

/* Inside: worker.c for adopt.c. */
extern const struct hostproc_ops worker_host_ops;
/* NUMBER: of a nested one, which joins its parent's steps. */
struct worker *worker_new(struct job *j, struct worker *parent, unsigned number,
			  const char *plugin);
/* How it ended, when not by "end"; caller frees. */
char *worker_tell_why(const struct worker *w, int status, const char *why, const char *tail);
int worker_take(struct worker *w, const char *type, struct ipc_message *m); /* numbered ones */
void worker_set_timer(struct worker *w, int64_t ms);
void worker_set_broker(struct worker *w);
void worker_end_steps(struct worker *w);
/* It ended in order, and its job goes on after a restart of the machine. */
bool worker_wants_reboot(const struct worker *w);
bool worker_ended_in_order(const struct worker *w);
void worker_contain(struct worker *w);
void worker_check_over(struct worker *w);

/* worker_hello.c: the host's folder, and the "hello" for it. Caller frees. */
char *worker_work_dir(const struct worker *w);
json_t *worker_hello(const struct worker *w, const struct worker_spec *spec);

/* worker_state.c: state-put and state-get. */
int worker_state_put(struct worker *w, int64_t seq, struct ipc_message *m);
int worker_state_get(struct worker *w, struct ipc_message *m);

/* nested.c: job-start, job-wait, job-cancel of a host. */
int nested_handle(struct worker *w, const char *type, struct ipc_message *m);
/* The job-start M of W, which may have waited: start it, or answer why not. */
void nested_start(struct worker *w, struct ipc_message *m);
/* Its start is on disk, or it is over: tell the parent, which asked for it. */
void nested_started(struct worker *step);
/* Tell those who wait that STEP is over. */
void nested_answer(struct worker *step);

void worker_stored(struct worker *w, int64_t seq);
/* Answer a request. */
void worker_result(struct worker *w, json_t *id, int code, const char *error);
json_t *worker_result_new(json_t *id, int code, const char *error);

#endif

/* nested_wait.c: a step whose action is wanted one at a time (SSM_F_SERIAL). */
/* It has to wait for one that runs: 1, and nested_start() follows when it may run; 0: it need not
 * wait; -EDEADLK: it would wait for a job that waits for it. */
int nested_hold(struct worker *w, struct ipc_message *m, const struct feature *f, struct err *e);
size_t nested_held(const struct worker *w); /* how many steps of W wait */
/* A step is over: those that waited for it. */
void nested_go_on(struct jobs *js);
/* Starts that W asked for are forgotten, answered with WHY unless that is NULL. */
void nested_forget(struct worker *w, const char *why);
