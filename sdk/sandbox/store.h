/* SPDX-License-Identifier: Apache-2.0 */
/* What the service knows: nodes, their messages, commands and their invocations. */
#ifndef SSM_SANDBOX_STORE_H
#define SSM_SANDBOX_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/rand.h"
#include "sdk/sandbox/sandbox.h"

#define RECENT_MESSAGES 64

enum status {
	STATUS_PENDING,
	STATUS_IN_PROGRESS,
	STATUS_CANCELLING,
	STATUS_SUCCESS, /* from here on final */
	STATUS_FAILED,
	STATUS_TIMED_OUT,
	STATUS_CANCELLED,
};

enum stage {
	STAGE_QUEUED,
	STAGE_DELIVERED,
	STAGE_ACKNOWLEDGED,
	STAGE_FIRST,
	STAGE_FINAL,
	STAGES
};

enum message_state {
	MESSAGE_QUEUED,
	MESSAGE_IN_FLIGHT,
	MESSAGE_ACKNOWLEDGED,
	MESSAGE_ENDED
};

struct channel;

struct node {
	struct sandbox *sb;
	char *id;
	json_t *info; /* last full UpdateInstanceInformation, or the short one; NULL: never */
	int64_t registered_ms, last_ping_ms;
	int64_t pings, polls;
	struct channel *channel;	 /* its control channel, or NULL */
	char control_token[64];		 /* for the next one; "" none */
	int64_t channels, channel_pings; /* opened; pings that came */
	int64_t refusals;		 /* of what came by one */
	struct list queue;  /* messages that wait, in order */
	struct list parked; /* exchanges that wait */
};

struct message {
	struct sandbox *sb;
	char *id, *topic, *payload; /* payload NULL: ended long ago */
	char *destination;
	int64_t created_ms;
	struct node *node;
	struct invocation *inv; /* NULL: a raw message */
	bool cancel;
	bool by_channel;	     /* it was sent by the control channel */
	char job_id[RAND_UUID_SIZE]; /* MessageId of that */
	enum message_state state;
	int64_t deliveries;
	struct list link;     /* in the node's queue */
	struct timer visible; /* end of the visibility time-out */
	struct map *reply_ids;
};

struct plugin {
	char *name, *action;
	enum status status;
	char details[24];
	int64_t code; /* -1: not finished */
	int64_t start_ms, end_ms;
	char *out, *err, *output;
	char *bucket, *prefix;
};

struct invocation {
	struct command *cmd;
	struct node *node;
	struct message *msg, *cancel; /* msg NULL: it waits for others to end (MaxConcurrency) */
	int64_t expires_ms;	      /* of the time to run; 0: not queued yet */
	enum status status;
	char details[24];
	char *trace;
	bool cancel_asked;
	struct plugin *plugins;
	size_t plugin_count;
	int64_t stage_us[STAGES]; /* 0: not reached */
	int64_t replies, replies_after_final;
	struct timer deadline;
};

struct command {
	struct sandbox *sb;
	char id[RAND_UUID_SIZE];
	uint64_t seq;
	char *document, *version, *comment;
	json_t *parameters; /* as the operator gave them */
	json_t *targets;
	int64_t timeout_s, requested_ms, expires_ms;
	char *bucket, *prefix, *log_group;
	bool log_enabled;
	char *service_role;
	char *max_concurrency, *max_errors;
	json_t *notification;
	struct invocation *invs;
	size_t inv_count;
	size_t next;	     /* the first that is not queued yet */
	char *payload;	     /* for those; NULL once there are none */
	int64_t execution_s; /* the time to run */
	bool held;	     /* nothing is queued for now */
	bool cancel_asked;
	/* Of a command that was sent to nobody: why, else NULL; and to how many else. */
	const char *nobody;
	size_t would_be;
	struct list changed; /* since it was written to its file */
	size_t file_bytes;   /* of that; 0: there is none */
};

struct store {
	struct map *nodes;	/* id -> struct node, owned */
	struct map *messages;	/* id -> struct message, owned */
	struct map *commands;	/* id -> struct command, owned */
	struct map *sessions;	/* id -> struct session, owned */
	struct command **order; /* by seq, from 0 */
	size_t order_count, order_room;
	struct message *recent[RECENT_MESSAGES]; /* ended ones that still have their payload */
	size_t recent_at;
	struct message *last_acknowledged;
	int64_t finals;
	int64_t open; /* invocations that are not final */
};

/* What send-command or the control socket wants; strings are borrowed. */
struct command_spec {
	const char *document, *version, *comment;
	const json_t *content;	    /* the document; borrowed */
	json_t *parameters;	    /* operator's form, borrowed; may be NULL */
	json_t *payload_parameters; /* as they travel to the node; borrowed */
	json_t *targets, *notification;
	struct node **nodes;
	size_t node_count;
	int64_t timeout_s;
	const char *bucket, *prefix, *log_group, *service_role;
	const char *max_concurrency, *max_errors;
	bool log_enabled;
	bool by_tag; /* that no node fits is an end of its own */
};

struct store *store_new(void);
struct store *store_free(struct sandbox *sb, struct store *st); /* returns NULL */

/* Nodes: every id that was announced at start or came by the control socket. */
struct node *store_node(struct sandbox *sb, const char *id, bool create);

/* commands.c */
struct command *command_new(struct sandbox *sb, const struct command_spec *spec);
void command_free(void *cmd);
struct invocation *command_invocation(struct command *cmd, const char *instance);
enum status command_status(const struct command *cmd, const char **ret_details);
void command_counts(const struct command *cmd, int *ret_done, int *ret_errors,
		    int *ret_undelivered);
/* For what was read from a file: an empty command, an invocation of it; then into the store; and on
 * with what is not done: messages are delivered again, deadlines run (-EINVAL: it cannot be). */
struct command *command_blank(struct sandbox *sb);
void invocation_init(struct invocation *inv, struct command *cmd, struct node *node);
void command_keep(struct command *cmd);
int command_resume(struct command *cmd, struct err *e);
/* Queues what MaxConcurrency allows; ends the rest when there were more errors than MaxErrors. */
void command_advance(struct command *cmd);
/* A message cancelCommand goes to each node (NULL: of all nodes) that is not done; what was not
 * delivered yet ends at once. */
void command_cancel(struct command *cmd, struct node *only);
const char *status_name(enum status s);
/* Move on; the end is remembered once. */
void invocation_set(struct invocation *inv, enum status status, const char *details);
void invocation_reach(struct invocation *inv, enum stage stage);
struct plugin *invocation_plugin(struct invocation *inv, const char *name);
struct plugin *invocation_add_plugin(struct invocation *inv, const char *name, const char *action);

/* replies.c: checks a reply's payload and takes it over. 0 or -EINVAL. */
int reply_apply(struct message *msg, const json_t *payload, struct err *e);

/* messages.c */
struct message *message_new(struct sandbox *sb, struct node *node, const char *id,
			    const char *topic, const char *payload);
void message_free(void *msg);
/* To the end of the node's queue, and to a waiting poll. */
void message_queue(struct message *msg);
/* No delivery any more. */
void message_end(struct message *msg);
void message_acknowledge(struct message *msg);
/* It is on its way, and comes again when nobody has acknowledged it by then. */
void message_delivered(struct message *msg, int64_t visibility_ms);
/* By the control channel, or answer the parked polls of a node as far as there are messages. */
void node_serve(struct node *node);

#endif
