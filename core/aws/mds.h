/* SPDX-License-Identifier: Apache-2.0 */
/* ec2messages: the long poll and the four answers. spec/01 section 1. */
#ifndef SSM_AWS_MDS_H
#define SSM_AWS_MDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/aws/call.h"

struct mds;

struct mds_options {
	struct event_base *base;
	struct aws *aws;
	const char *instance_id;
	int64_t poll_timeout_ms; /* Mds.StopTimeoutMillis + 10 s */
};
/* One poll's messages, a JSON array in service order, never empty; what should be an object as of
 * spec/01 section 1.2 is not checked further. Borrowed. */
typedef void mds_messages_fn(void *arg, json_t *messages);
/* The poll's health: RESULT 0 after an answer, else with TEXT and the wait that follows. Before the
 * messages of the same poll. */
typedef void mds_state_fn(void *arg, int result, const char *text, int64_t wait_ms);

struct mds *mds_new(const struct mds_options *o, mds_messages_fn *messages, mds_state_fn *state,
		    void *arg);
struct mds *mds_free(struct mds *m);
void mds_poll(struct mds *m, bool on); /* off: the request under way is dropped */
/* Resting: the poll that is under way comes to its end, and what it brings is handed over; there is
 * no other, and nothing of it is told. */
void mds_rest(struct mds *m, bool rest);
void mds_poll_now(struct mds *m);      /* cut a back-off short */

/* The messages of a GetMessages answer (NULL: none came, or no JSON): 0 and a list, borrowed, NULL
 * for an empty one; -EPROTO for what is no such answer. */
int mds_read_messages(const json_t *answer, json_t **ret, struct err *e);

/* Answers. Each DONE is called once, never from within; attempts as of spec/01 section 1.3.
 * Returned handles for aws_cancel(). NULL: refused here (an id that is too short), which DONE is
 * told by -EINVAL, unless the mds is freed before. */
struct aws_call *mds_acknowledge(struct mds *m, const char *message_id, aws_done_fn *done,
				 void *arg);
struct aws_call *mds_fail(struct mds *m, const char *message_id, const char *failure_type,
			  aws_done_fn *done, void *arg);
struct aws_call *mds_delete(struct mds *m, const char *message_id, aws_done_fn *done, void *arg);
struct aws_call *mds_reply(struct mds *m, const char *message_id, const char *reply_id,
			   const char *payload, size_t len, aws_done_fn *done, void *arg);

#endif
