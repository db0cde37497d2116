/* SPDX-License-Identifier: Apache-2.0 */
/* What passes over the control channel besides frames: the answer of CreateControlChannel, the
 * first message, and the JSON of the agent_job family (spec 01 §5, spec 02 §1, §5.8). */
#ifndef SSM_SESSIONMANAGER_CONTROL_MESSAGES_H
#define SSM_SESSIONMANAGER_CONTROL_MESSAGES_H

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

/* The session that an interactive_shell starts (spec 02 §5.1); caller frees. NULL with -EBADMSG.
 */
char *control_shell_read(struct span payload, struct err *e);

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
/* agent_task_complete of a session that failed before it began. */
int control_task_failed_write(const char *session, const char *instance, const char *text,
			      struct sbuf *out);

#endif
