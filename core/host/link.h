/* SPDX-License-Identifier: Apache-2.0 */
/* The host's end of the connection to the agent: what must not be lost, and requests. DESIGN
 * section 2. */
#ifndef SSM_HOST_LINK_H
#define SSM_HOST_LINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

struct event_base;
struct host;
struct link;

/* The agent's answer to a request. */
struct answer {
	json_t *json; /* the "result" message */
	char *body;
	size_t body_len;
};
void answer_done(struct answer *a);

struct link_ops {
	/* The agent's hello with its body and descriptors (taken by setting entries to -1). */
	int (*hello)(void *arg, json_t *hello, const char *body, size_t len, int *fds,
		     size_t fd_count);
	void (*go)(void *arg);
	void (*cancel)(void *arg, int64_t grace_ms);
	/* The agent is away, or says bye. */
	void (*away)(void *arg);
};

/* Takes FD and sends our hello. */
struct link *link_new(struct event_base *base, int fd, const char *token,
		      const struct link_ops *ops, void *arg);
struct link *link_free(struct link *l);
bool link_is_away(const struct link *l);
void link_ready(struct link *l);
void link_log(struct link *l, int level, const char *text); /* never blocks */
/* Send a message that must not be lost; JSON is taken, "seq" added. Kept until the agent has it on
 * disk. *RET_STORED turns true then (or when it is in result.json because the agent is away). */
int link_store(struct link *l, json_t *json, const void *body, size_t len, const bool **ret_stored);
bool link_all_stored(const struct link *l);
size_t link_unstored(const struct link *l);
/* Where result.json goes when the agent is away. */
void link_set_work_dir(struct link *l, const char *path);
/* Ask and wait on the loop: 0 with the answer, -EPIPE when the agent is away. CANCELLED: a flag
 * that ends the wait with -ECANCELED when it turns true, or NULL. */
int link_ask(struct link *l, json_t *json, const void *body, size_t len, const int *fds,
	     size_t fd_count, const bool *cancelled, struct answer *ret);
/* Send without waiting for anything. */
int link_send(struct link *l, json_t *json, const void *body, size_t len);

#endif
