/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: from StartSession to the node's agent_task_complete. spec 02 sections 5 and 11. */
#ifndef SSM_SANDBOX_SESSIONS_H
#define SSM_SANDBOX_SESSIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/list.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/store.h"

#define SESSIONS_MAX 1000u /* kept; the oldest that are over are forgotten */
#define SESSION_TOKEN_SIZE 64u

struct data_end;

enum session_status {
	SESSION_CONNECTING,
	SESSION_CONNECTED,
	SESSION_DISCONNECTED,
	SESSION_TERMINATING,
	SESSION_TERMINATED, /* from here on final */
	SESSION_FAILED,
};

enum session_side {
	SIDE_NODE,
	SIDE_OPERATOR,
	SIDES
};

struct session {
	struct sandbox *sb;
	struct node *node;
	char *id, *document, *owner;
	char *reason, *details, *bucket, *key, *log_group; /* or NULL */
	char *max_duration;				   /* minutes as in the document, or "" */
	enum session_status status;
	int64_t start_ms, end_ms;
	char tokens[SIDES][SESSION_TOKEN_SIZE]; /* of the next data channel; "": none */
	struct timer grace;			/* of the node, to end what it was told to end */
	struct timer idle, longest;
	int64_t idle_ms;
	bool asked; /* both sides were told to end */
	bool told;  /* the operator, that it is over */

	/* data_channel.c */
	struct data_end *ends[SIDES]; /* NULL: nobody */
	struct list sockets;	      /* these, and those of which the first message did not come */
	bool ready, met, paused; /* the node said Connected; both were there; the node was paused */
	int64_t channels[SIDES], frames[SIDES], pings[SIDES]; /* so far, of that side */
};

/* CONTENT, PARAMETERS (as they travel to the node) and REASON (NULL: none) are borrowed. The node
 * is told by interactive_shell. Valid until it is over and SESSIONS_MAX came after it. */
struct session *session_new(struct node *node, const char *document, const json_t *content,
			    const json_t *parameters, const char *reason);
void session_free(void *session);
/* NULL: there is none. */
struct session *session_find(struct sandbox *sb, const char *id);

const char *session_status_name(enum session_status status);
bool session_status_known(const char *name);
bool session_is_over(const struct session *s);
/* A new token for one data channel of SIDE. Borrowed. */
const char *session_token(struct session *s, enum session_side side);
/* Both sides are told that it ends; it does when the node has answered, or 20 s later. OUTPUT is
 * what the operator gets to read, "" nothing. */
void session_terminate(struct session *s, const char *output);
/* The node says that it ends. */
void session_ending(struct session *s);
/* Something was sent: the time without activity begins anew. */
void session_active(struct session *s);
/* An operator who joins a session that has ended, or is about to, gets to know; does nothing else.
 */
void session_tell_late(struct session *s);
/* An operator may join: it is not over, or it was over before the operator came. */
bool session_takes_operator(const struct session *s);
/* What the node says at the end: P is agent_task_complete, its members checked. */
void session_complete(struct session *s, const json_t *p);

/* What the control socket asks for: "session" (the newest), "do" is state, terminate
 * (output), or one of data_channel_op(). Caller owns; NULL with E. */
json_t *session_op(struct sandbox *sb, const json_t *request, struct err *e);

/* At the end of the sandbox. */
void sessions_close(struct sandbox *sb);

#endif
