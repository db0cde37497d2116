/* SPDX-License-Identifier: Apache-2.0 */
/* One plugin host process: spawn, greet, go, messages, end; and what is left of it afterwards.
 * DESIGN section 2. */
#ifndef SSM_AGENT_HOSTPROC_H
#define SSM_AGENT_HOSTPROC_H

#include <jansson.h>

#include "core/base/proc.h"
#include "core/ipc/ipc.h"

struct event_base;
struct cgroup;
struct conf;
struct hostproc;

struct hostproc_spec {
	const char *mode;   /* "--job" "--service" */
	const char *job_id; /* also the marker SSM_JOB in the environment of its processes */
	/* members of the agent's hello but t, ipc, token, agent_version; taken */
	json_t *hello;
	const void *body; /* message or inputs */
	size_t body_len;
	struct cgroup *cgroup; /* its group is made, or NULL */
	const int *fds;	       /* stdout, stderr of steps */
	size_t fd_count;
};
struct hostproc_ops {
	/* Journal STARTED, then hostproc_go(). */
	void (*ready)(void *arg, const struct proc_id *who);
	/* Negative: it broke the rules and is ended. */
	int (*message)(void *arg, const char *type, struct ipc_message *m);
	/* The process is gone and reaped, and all it sent was handed over. STATUS as of waitpid, -1
	 * unknown; WHY: what we ended it for, or NULL; LOG_TAIL: the last 2 KiB it printed. Free it
	 * then or later. */
	void (*gone)(void *arg, int status, const char *why, const char *log_tail);
	/* An adopted one is back, and speaks this VERSION: the members of the hello it gets. */
	json_t *(*back)(void *arg, int version);
};
struct hostproc *hostproc_start(struct event_base *base, const struct conf *conf,
				const struct hostproc_spec *spec, const struct hostproc_ops *ops,
				void *arg, struct err *e);
/* One that an agent before us has started and let go: watched, and taken back when it calls. NULL
 * when the process is gone. */
struct hostproc *hostproc_adopt(struct event_base *base, const struct conf *conf,
				const char *job_id, const struct proc_id *who, const char *token,
				const struct hostproc_ops *ops, void *arg);
/* It has called and said HELLO. 0: FD is taken and greeted. */
int hostproc_attach(struct hostproc *h, int fd, const json_t *hello, struct err *e);
const char *hostproc_token(const struct hostproc *h);
struct hostproc *hostproc_free(struct hostproc *h); /* the process is not ended */
int hostproc_go(struct hostproc *h);
int hostproc_send(struct hostproc *h, json_t *message, const void *body, size_t len);
/* End it with SIGKILL; WHY is for gone(), the first one counts. */
void hostproc_kill(struct hostproc *h, const char *why);
/* It should have nothing more to do: ended unless it ends by itself within MS. */
void hostproc_expect_end(struct hostproc *h, int64_t ms, const char *why);
const struct proc_id *hostproc_id(const struct hostproc *h);
/* "ended by signal 11 (SIGSEGV)", "ended with exit status 3"; STATUS as of waitpid. */
void hostproc_status_text(int status, char *ret, size_t size);

/* End everything that belongs to a job: session of the host, descendants, SSM_JOB marker (also
 * "ID/..."); TERM was sent before. DONE gets the number of processes that could not be ended (after
 * 30 s); never called from within. HOST's pid 0: there was none. */
typedef void contain_done_fn(void *arg, int left);
struct contain;
struct contain *contain_start(struct event_base *base, struct cgroup *cgroup, const char *job_id,
			      const struct proc_id *host, contain_done_fn *done, void *arg);
/* Once, and how many there were: while the host lives its children's children are known as such. */
int contain_once(struct cgroup *cgroup, const char *job_id, const struct proc_id *host);
void contain_cancel(struct contain *c); /* NULL is fine */

#endif
