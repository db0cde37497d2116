/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the host: one process, one job, one plugin (and those it found). */
#ifndef SSM_HOST_HOST_H
#define SSM_HOST_HOST_H

#include <jansson.h>
#include <ssm_plugin.h>
#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/host/loader.h"

struct event_base;
struct lines;
struct link;
struct map;
struct proc_user;

/* A loaded plugin as the API sees it: struct ssm is its first member. */
struct instance {
	struct ssm ssm;
	struct list link;
	struct host *host;
	struct module *module;
	char **options; /* values in the order of the option table, checked */
	char *error;	/* last verror() */
	bool inited;
};

struct ssm_step { /* the SDK's opaque name for it */
	json_t *inputs;
	const char *name, *feature;
	int out_fd, err_fd;
	int64_t timeout_ms;
	bool done;
	int32_t result, exit_code;
	struct map *texts; /* pointer -> text handed out by step_json and step_str */
};

struct ssm_message {
	json_t *tree;	 /* the normalised message */
	json_t *payload; /* its parsed payload, NULL when that is no JSON */
	struct map *texts;
	bool final_sent;
};

struct host {
	struct event_base *base;
	struct link *link; /* NULL with --try */
	json_t *hello;	   /* the agent's */
	struct list instances;
	struct ssm_step *step; /* the one that runs in this process, or NULL */
	struct list runs;      /* programs that run */
	struct list watches;
	struct lines *lines;
	bool event_driven; /* a service, or sessions: nothing blocks, callbacks come */
	struct instance *provider; /* of the sessions in this process, or NULL */
	struct ssm_session_table sessions;
	bool cancelled;
	int cancel_fd; /* eventfd */
	int64_t grace_ms;
	struct proc_user *user; /* user.c: whom it found last, by which name, when, and as text */
	char *user_asked, *user_text;
	int64_t user_ms;
};

/* api.c */
struct host *host_new(struct event_base *base);
struct host *host_free(struct host *h);
/* Load FILE, check its options, call init. NULL with E. */
struct instance *host_add_plugin(struct host *h, const char *file, struct err *e);
void host_fini(struct host *h); /* fini of all, latest first */
void host_cancel(struct host *h);
struct instance *host_instance(struct ssm *S);
const char *host_info(const struct host *h, const char *key); /* NULL when unknown */
/* The one table; rows that a kind of process does not have answer -ENOSYS. */
const struct ssm_api *host_api(void);
/* All but vlog, cancelled, cancel_fd, alloc and free answer -EINVAL to another thread. */
bool host_own_thread(void);
/* 0, or an error that says why not: -EDEADLK where the loop belongs to the plugin, -ENOSYS where it
 * has none. */
int32_t host_may_block(struct ssm *S);
int32_t host_has_loop(struct ssm *S);
/* Run the loop until *DONE; the link's end does not stop it. */
void host_wait(struct host *h, const bool *done);
/* Why a handler failed: its verror() text, or the name of its result. Caller frees. */
char *host_failure(const struct instance *i, int32_t result);
void host_reply_clear(struct ssm_reply *r);

/* step.c: run F of I over STEP; the result is in STEP. *RET_ERROR: NULL or a sentence (caller
 * frees). */
void step_execute(struct instance *i, const struct ssm_feature *f, struct ssm_step *step,
		  char **ret_error);
struct ssm_step *step_new(json_t *inputs, const char *name, const char *feature, int out_fd,
			  int err_fd, int64_t timeout_ms);
struct ssm_step *step_free(struct ssm_step *s);
const char *step_str(struct ssm *S, struct ssm_step *s, const char *pointer, const char *preset);
const char *step_json(struct ssm *S, struct ssm_step *s, const char *pointer, size_t *ret_len);
int32_t step_write(struct ssm *S, struct ssm_step *s, int32_t stream, const void *data, size_t len);
int32_t step_done(struct ssm *S, struct ssm_step *s, int32_t result, int32_t exit_code);
int32_t step_progress(struct ssm *S, struct ssm_step *s, const char *text);

/* message.c */
struct ssm_message *message_new(const char *json, size_t len, struct err *e);
struct ssm_message *message_free(struct ssm_message *m);
const char *msg_json(struct ssm *S, struct ssm_message *m, const char *pointer, size_t *ret_len);
int32_t msg_reply(struct ssm *S, struct ssm_message *m, const char *json, size_t len,
		  int32_t final);
int32_t msg_step_run(struct ssm *S, struct ssm_message *m, const struct ssm_step_run *run,
		     struct ssm_step_result *ret);
int32_t api_job_start(struct ssm *S, const struct ssm_job *job, char **ret_id);
int32_t api_job_wait(struct ssm *S, const char *id, struct ssm_job_end *ret);
int32_t api_job_cancel(struct ssm *S, const char *id);

/* ask.c: calls through the agent. A message that is to be asked, its JSON being taken: */
struct ask {
	json_t *json;
	const void *body;
	size_t len;
	const int *fds;
	size_t fd_count;
	int64_t patience_ms; /* as in struct link_request */
	bool once, by_id, store;
};
int32_t ask(struct ssm *S, const struct ask *q, struct ssm_reply *ret); /* blocks */
/* The answer comes to a watch, see watch.c. */
int32_t ask_start(struct ssm *S, const struct ask *q, ssm_done_fn *done, void *arg,
		  struct ssm_watch **ret);
int32_t api_call(struct ssm *S, const struct ssm_request *q, struct ssm_reply *ret);
int32_t api_sign(struct ssm *S, const struct ssm_request *q, int64_t valid_ms,
		 struct ssm_reply *ret);
int32_t api_transfer(struct ssm *S, const struct ssm_transfer *t, struct ssm_reply *ret);
int32_t api_state_get(struct ssm *S, const char *key, char **ret, size_t *ret_len);
int32_t api_state_put(struct ssm *S, const char *key, const void *data, size_t len);
int32_t api_deliver(struct ssm *S, const struct ssm_delivery *d);
int32_t api_call_start(struct ssm *S, const struct ssm_request *q, ssm_done_fn *done, void *arg,
		       struct ssm_watch **ret);
int32_t api_sign_start(struct ssm *S, const struct ssm_request *q, int64_t valid_ms,
		       ssm_done_fn *done, void *arg, struct ssm_watch **ret);
int32_t api_transfer_start(struct ssm *S, const struct ssm_transfer *t, ssm_done_fn *done,
			   void *arg, struct ssm_watch **ret);
int32_t api_state_put_start(struct ssm *S, const char *key, const void *data, size_t len,
			    ssm_done_fn *done, void *arg);
int32_t api_deliver_start(struct ssm *S, const struct ssm_delivery *d, ssm_done_fn *done,
			  void *arg, struct ssm_watch **ret);
int32_t api_job_launch(struct ssm *S, const struct ssm_job *job, ssm_done_fn *done, void *arg,
		       struct ssm_watch **ret);

/* runchild.c */
int32_t api_spawn(struct ssm *S, const struct ssm_spawn *spawn, struct ssm_end *ret);

/* watch.c: descriptors, timers, and what was started and has not ended */
int32_t api_watch(struct ssm *S, const struct ssm_watch_on *on, struct ssm_watch **ret);
int32_t api_watch_set(struct ssm *S, struct ssm_watch *w, uint32_t events);
void api_watch_end(struct ssm *S, struct ssm_watch *w);
int32_t api_spawn_start(struct ssm *S, const struct ssm_spawn *spawn, ssm_end_fn *end, void *arg,
			struct ssm_watch **ret);
int32_t api_child_signal(struct ssm *S, struct ssm_watch *w, int32_t sig);
int32_t api_child_resize(struct ssm *S, struct ssm_watch *w, uint32_t cols, uint32_t rows);
void watches_free(struct host *h);

/* service.c: serves until *STOP or the agent is away; 0 or why it failed. */
int32_t service_run(struct instance *i, const struct ssm_feature *f, const bool *stop);
void service_notify(struct host *h, const char *event, const char *json, size_t len);
int32_t api_reply_done(struct ssm *S, const char *reply_id, int32_t status);
int32_t api_service_state(struct ssm *S, struct ssm_service *service, const char *state);

/* session.c */
int32_t api_session_provide(struct ssm *S, const struct ssm_session_table *t);
const char *api_session_str(struct ssm *S, struct ssm_session *s, const char *pointer,
			    const char *preset);
int32_t api_session_send(struct ssm *S, struct ssm_session *s, uint32_t type, const void *data,
			 size_t len);
int32_t api_session_end(struct ssm *S, struct ssm_session *s, int32_t result, const char *text);
/* Until the final reply to M, which need not be stored yet. An agent that is away changes nothing.
 */
void sessions_run(struct host *h, const struct ssm_message *m);

/* Text of V for a plugin, kept in TEXTS under POINTER: strings as they are, all else as JSON. */
const char *texts_get(struct map *texts, const char *pointer, const json_t *v, bool as_json,
		      size_t *ret_len);

#endif
