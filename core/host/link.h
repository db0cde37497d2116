/* SPDX-License-Identifier: Apache-2.0 */
/* The host's end of the connection to the agent: what must not be lost, requests, and the way back
 * to an agent that was restarted. DESIGN section 2. */
#ifndef SSM_HOST_LINK_H
#define SSM_HOST_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct event_base;
struct link;
struct request;

/* The agent's answer to a request. */
struct answer {
	json_t *json; /* the "result" message */
	char *body;
	size_t body_len;
};
void answer_done(struct answer *a);

struct link_ops {
	/* The agent's first hello with its body and descriptors (taken by setting entries to -1).
	 */
	int (*hello)(void *arg, json_t *hello, const char *body, size_t len, int *fds,
		     size_t fd_count);
	void (*go)(void *arg);
	void (*cancel)(void *arg, int64_t grace_ms);
	void (*notify)(void *arg, const char *event, const char *json, size_t len);
	/* The agent is away, or says bye. */
	void (*away)(void *arg);
};

/* Takes FD and sends our hello; the token comes with the agent's. */
struct link *link_new(struct event_base *base, int fd, const struct link_ops *ops, void *arg);
struct link *link_free(struct link *l);
bool link_is_away(const struct link *l);
void link_ready(struct link *l);
void link_log(struct link *l, int level, const char *text); /* never blocks */

/* When the agent goes away after "go": what it has not stored is written to WORK_DIR/result.json,
 * and SOCKET is tried soon, later every 5 s; there the link greets again, sends what is unstored,
 * and asks again. Either may be NULL. result.json is an array of the messages, in order, each with
 * its body as "body", or as "base64" when it is not UTF-8. */
void link_set_return(struct link *l, const char *work_dir, const char *socket);

/* Send a message that must not be lost; JSON is taken, "seq" added. Kept until the agent has it on
 * disk. *RET_STORED turns true then, or when it is in result.json because the agent is away. */
int link_store(struct link *l, json_t *json, const void *body, size_t len, const bool **ret_stored);
bool link_all_stored(const struct link *l);
size_t link_unstored(const struct link *l); /* how many are not */

/* Send without waiting for anything; JSON is taken. */
int link_send(struct link *l, json_t *json, const void *body, size_t len);

/* The end of a request: 0 with the answer (its parts may be taken), -EPIPE when the agent is away,
 * -ETIMEDOUT when it did not come back in time. Called from the loop; the request is freed. */
typedef void link_done_fn(void *arg, int result, struct answer *a);

struct link_request {
	json_t *json; /* taken */
	const void *body;
	size_t len;
	const int *fds;
	size_t fd_count;
	/* How long an agent that is away is waited for; 0: not at all, negative: for ever. */
	int64_t patience_ms;
	bool once;  /* not to be asked again when the answer was lost */
	bool by_id; /* asked again only where it is known by its id: from version 2 on */
	/* Numbered and kept like link_store(); the answer comes when it is stored. */
	bool store;
};
int link_start(struct link *l, const struct link_request *q, link_done_fn *done, void *arg,
	       struct request **ret);
void link_drop(struct request *r); /* forget it: DONE is not called; NULL is fine */
/* Ask and wait on the loop. CANCELLED: a flag that ends the wait with -ECANCELED when it turns
 * true, or NULL. */
int link_ask(struct link *l, const struct link_request *q, const bool *cancelled,
	     struct answer *ret);

#endif
