/* SPDX-License-Identifier: Apache-2.0 */
/* Replies on their way to the service: in order within a job, tried again until they are taken.
 * DESIGN section 3. */
#ifndef SSM_AGENT_OUTBOX_H
#define SSM_AGENT_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/rand.h"

struct event_base;
struct mds;
struct aws_reply;
struct outbox;
struct outbox_line;

/* One reply on its way; borrowed for the call. */
struct outbox_letter {
	const char *message_id, *reply_id;
	const char *via, *topic, *route; /* as outbox_address() said, or NULL */
	const char *payload;
	size_t len;
	bool final;
	bool notice; /* the document-level InProgress */
};
/* Who takes replies to their service. */
struct outbox_carrier {
	/* DONE is called once, with result, text, retry and status, and never from within. A handle
	 * for cancel(); NULL: no request can be made from it, and DONE is not called. */
	void *(*send)(void *arg, const struct outbox_letter *l,
		      void (*done)(void *done_arg, const struct aws_reply *r), void *done_arg);
	void (*cancel)(void *handle); /* DONE is not called any more */
};

/* What all outboxes of one way share: while the service does not answer, one of them tries for all.
 */
struct outbox_line *outbox_line_new(struct event_base *base, struct mds *mds);
struct outbox_line *outbox_line_new_by(struct event_base *base,
				       const struct outbox_carrier *carrier, void *arg);
struct outbox_line *outbox_line_free(struct outbox_line *l); /* after the outboxes */
/* The network or the service is back: try now, but not before a Retry-After has passed. */
void outbox_line_kick(struct outbox_line *l);

struct outbox_item {
	char reply_id[RAND_UUID_SIZE];
	bool final, notice;
	int64_t at; /* the owner's mark for the payload */
};
struct outbox_ops {
	/* The payload of an item that was added without one; caller frees. An error that may pass
	 * (err.h) is tried again, with any other it is lost. */
	int (*payload)(void *arg, const struct outbox_item *item, char **ret, size_t *ret_len);
	/* The service took it (WHY NULL) or it was dropped. ITEM is valid for the call; the outbox
	 * may be freed in it when ITEM is final. */
	void (*done)(void *arg, const struct outbox_item *item, const char *why);
};
/* How far it may go now. */
enum outbox_pause {
	OUTBOX_RUN,
	OUTBOX_KEEP_FINAL,
	OUTBOX_KEEP_ALL
};

struct outbox *outbox_new(struct outbox_line *l, const char *message_id,
			  const struct outbox_ops *ops, void *arg);
/* For carriers that need more than the message's id; copied, each may be NULL. */
void outbox_address(struct outbox *o, const char *via, const char *topic, const char *route);
struct outbox *outbox_free(struct outbox *o); /* what is left is not sent; no callback */
/* Its replies stay on this machine: FN takes them, in order, each from the loop and never from
 * within a function of the outbox. An error that may pass (err.h) is tried again. ARG is the one
 * of outbox_new(). */
typedef int outbox_local_fn(void *arg, const struct outbox_item *item, const char *payload,
			    size_t len);
void outbox_set_local(struct outbox *o, outbox_local_fn *fn);
/* PAYLOAD is taken; NULL: asked for when its turn comes. Ignored behind a final one. */
void outbox_add(struct outbox *o, const struct outbox_item *item, char *payload, size_t len);
/* Take an item out again (its confirmation was found on disk). */
void outbox_forget(struct outbox *o, const char *reply_id);
void outbox_pause(struct outbox *o, enum outbox_pause how);
/* Not tried again after UNIX_MS; 0: for ever. */
void outbox_expire(struct outbox *o, int64_t unix_ms);
bool outbox_empty(const struct outbox *o);

#endif
