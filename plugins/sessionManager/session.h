/* SPDX-License-Identifier: Apache-2.0 */
/* A session from its start message to its result (spec 02 §1.7): the provider of sessions. Each is
 * a job of topic "session" in a process of its own, which finds the session's type. */
#ifndef SSM_SESSIONMANAGER_SESSION_H
#define SSM_SESSIONMANAGER_SESSION_H

#include <ssm_plugin.h>

#define SESSION_TOPIC "session"
#define SESSION_END_TOPIC "session-end" /* cancels the job named by /Payload/Job */

#define SESSION_DRAIN_MS 5000 /* of an open channel without any acknowledgement of the client */

/* Why close() is called. */
enum session_reason {
	SESSION_CLOSED,	   /* by the operator or the service */
	SESSION_CANCELLED, /* by the agent */
	SESSION_LOST,	   /* the channel is gone for good */
};

/* What the types of this plugin tell for its record: as whom the program runs, how it ended. */
void session_runs_as(struct ssm_session *s, const char *user);
void session_exited(struct ssm_session *s, int32_t code);

extern const struct ssm_topic_ops session_ops, session_end_ops;

void session_fini(struct ssm *S); /* of the plugin */

#endif
