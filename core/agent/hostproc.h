/* SPDX-License-Identifier: Apache-2.0 */
/* One plugin host process: spawn, greet, go, messages, end; and what is left of it afterwards.
 * DESIGN section 2. */
#ifndef SSM_AGENT_HOSTPROC_H
#define SSM_AGENT_HOSTPROC_H

#include <jansson.h>

#include "core/base/proc.h"
#include "core/ipc/ipc.h"

struct event_base;
struct conf;
struct hostproc;

struct hostproc_spec {
	const char *mode;   /* "--job" "--service" */
	const char *job_id; /* also the marker SSM_JOB in the environment of its processes */
	/* members of the agent's hello but t, ipc, token, agent_version; taken */
	json_t *hello;
	const void *body; /* message or inputs */
	size_t body_len;
	const int *fds; /* stdout, stderr of steps */
	size_t fd_count;
};
struct hostproc_ops {
	void (*ready)(void *arg,
		      const struct proc_id *who); /* journal STARTED, then hostproc_go() */
	int (*message)(void *arg, const char *type, struct ipc_message *m);
	/* The process is gone and reaped; LOG_TAIL the last 2 KiB it printed. STATUS as of waitpid,
	 * -1 unknown. */
	void (*gone)(void *arg, int status, const char *log_tail);
};
struct hostproc *hostproc_start(struct event_base *base, const struct conf *conf,
				const struct hostproc_spec *spec, const struct hostproc_ops *ops,
				void *arg, struct err *e);
struct hostproc *hostproc_free(struct hostproc *h); /* the process is not ended */
int hostproc_go(struct hostproc *h);
int hostproc_send(struct hostproc *h, json_t *message, const void *body, size_t len);
void hostproc_kill(struct hostproc *h, int sig);
const struct proc_id *hostproc_id(const struct hostproc *h);

/* End everything that belongs to a job: session of the host, descendants, SSM_JOB marker; TERM was
 * sent before. DONE gets the number of processes that could not be ended (after 30 s). */
typedef void contain_done_fn(void *arg, int left);
struct contain;
struct contain *contain_start(struct event_base *base, const char *job_id, pid_t host_pid,
			      contain_done_fn *done, void *arg);
void contain_cancel(struct contain *c);

#endif
