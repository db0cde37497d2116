/* SPDX-License-Identifier: Apache-2.0 */
/* What passes over the control channel besides frames: the answer of CreateControlChannel, the
 * first message, and the JSON of the agent_job family (spec 01 §5, spec 02 §1, §5.8). */
#ifndef SSM_SESSIONMANAGER_CONTROL_MESSAGES_H
#define SSM_SESSIONMANAGER_CONTROL_MESSAGES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

#define CONTROL_ANSWER_MAX 65536u  /* of CreateControlChannel */
#define CONTROL_CONTENT_MAX 120000 /* bytes of a reply's content, spec 01 §5.4 */

/* The text of the first TokenValue below the root of an XML answer, entities decoded; caller frees.
 * NULL with -EBADMSG. */
char *control_token_read(const char *xml, size_t len, struct err *e);

struct control_job {
	char *id, *topic, *content;
};
/* An agent_job: keys in any case, unknown ones passed over. -EBADMSG when it is none; what could be
 * read of it is in RET all the same, to be acknowledged by. */
int control_job_read(struct span payload, struct control_job *ret, struct err *e);
void control_job_done(struct control_job *j);

/* The MessageId that an agent_job_reply_ack is for; caller frees. NULL with -EBADMSG. */
char *control_reply_ack_read(struct span payload, struct err *e);

/* The MessageId that an agent_task_acknowledge is for; caller frees. NULL with -EBADMSG. */
char *control_task_ack_read(struct span payload, struct err *e);

/* The session that an interactive_shell starts (spec 02 §5.1), and what it says of it, as JSON;
 * caller frees both. NULL with -EBADMSG. */
char *control_shell_read(struct span payload, char **ret_content, struct err *e);
/* The name of the session's job: sessions may have characters that jobs have not. Caller frees;
 * NULL for an endless name. */
char *control_session_job(const char *session);

/* Acknowledgements, spec 01 §5.3. */
enum control_code {
	CONTROL_SUCCESSFUL,
	CONTROL_CLOSED,
	CONTROL_BUFFER_FULL,
	CONTROL_UNEXPECTED_TYPE,
	CONTROL_DUPLICATE,
	CONTROL_INVALID,
	CONTROL_PARSE_ERROR,
	CONTROL_UNEXPECTED,
};

/* All writers append to OUT: 0 or OUT's -E2BIG. */
int control_open_write(const char *request_id, const char *token, const char *agent_version,
		       struct sbuf *out);
int control_ack_write(const char *job_id, const char *message_id, int64_t created_ms,
		      enum control_code code, struct sbuf *out);
/* TOPIC loses what stands behind "aws.ssm.sendCommand". */
int control_reply_write(const char *job_id, const char *topic, const char *content, size_t len,
			struct sbuf *out);
/* CONTENT with the outputs of its steps cut so far that it is not larger than CONTROL_CONTENT_MAX;
 * caller frees. NULL when that does not do. */
char *control_content_fit(const char *content, size_t len);
/* The first message of a data channel, spec 02 §1.4. */
int data_open_write(const char *request_id, const char *token, const char *instance,
		    struct sbuf *out);

/* agent_task_complete, spec 02 §5.6. */
struct control_task {
	const char *session, *instance;
	const char *status; /* "Success" "Failed" "Cancelled" */
	const char *output; /* for the operator */
	unsigned retry;	    /* from 1 */
	const json_t *log;  /* where it is: "s3_bucket" "s3_key" "log_group" "log_stream"; NULL */
};
int control_task_write(const struct control_task *t, struct sbuf *out);
/* Of the final reply of a session's job: {"status", "output"} and what LOG has, or a notice of the
 * agent. */
int control_task_of_reply(const char *session, const char *instance, const json_t *payload,
			  unsigned retry, struct sbuf *out);

#endif
