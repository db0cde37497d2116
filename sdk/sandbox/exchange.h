/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request and its answer. */
#ifndef SSM_SANDBOX_EXCHANGE_H
#define SSM_SANDBOX_EXCHANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/sbuf.h"
#include "sdk/sandbox/faults.h"
#include "sdk/sandbox/refusal.h"
#include "sdk/sandbox/sandbox.h"
#include "sdk/sandbox/verify.h"

#define EXCHANGE_HEADERS 64

struct MHD_Connection;
struct exchange;

/* A connection that is no HTTP any more. */
struct upgraded;
/* It is yours now, with what the client sent behind its request: until exchange_end_upgraded(). */
typedef void upgraded_fn(struct exchange *ex, struct upgraded *conn, int fd, const void *more,
			 size_t len);

enum exchange_state {
	EXCHANGE_READING,
	EXCHANGE_WORKING, /* the answer is being made, perhaps later */
	EXCHANGE_READY,	  /* the answer is there */
	EXCHANGE_DROPPED, /* nobody waits any more, or the connection is to be cut */
};

struct exchange {
	struct sandbox *sb;
	struct MHD_Connection *conn;
	struct list link; /* all exchanges */
	enum exchange_state state;
	bool suspended;

	char *method, *path, *query;			/* as on the request line */
	struct verify_header headers[EXCHANGE_HEADERS]; /* names in lower case */
	size_t header_count;
	bool too_many_headers;
	struct sbuf body;
	bool too_large;

	/* What it is about; filled in on the way. */
	const char *service; /* "imds", "ecs", "ec2messages", "ssm", "s3" ... or "" */
	const char *region;  /* that it has to be signed for; NULL: the sandbox's */
	const char *operand; /* of a path: node or session */
	char *operation;
	bool verified;
	char key_id[24], key_source[16];
	enum key_side side;
	json_t *request;
	json_t *payload; /* of a reply, decoded */
	struct fault_hit fault;
	bool spoilt; /* a fault that comes after the work has had its turn */
	int64_t begun_us, ended_us;

	/* The answer. */
	unsigned status;
	const char *type;
	char *answer;
	size_t answer_len;
	char *code, *message; /* of an error, for the journal */
	char request_id[40];
	int64_t retry_after; /* header, when > 0 */
	bool retry_date;     /* as a date */
	bool byte_sent;	     /* of a slow body: the next one waits */
	int64_t token_ttl;   /* IMDS token header, when > 0 */
	char **more;	     /* further headers, "Name: value" */

	char *accept; /* of an upgrade: Sec-WebSocket-Accept */
	upgraded_fn *upgrade;
	const void *upgrade_arg;

	/* A parked exchange waits for one of these. */
	struct timer timer;
	struct watch *hangup;
	void (*on_dropped)(struct exchange *ex); /* the client went away while parked */
	struct list parked;			 /* in the waiting list of a node */
	int64_t visibility_ms;
};

/* First value of a request header (NAME in lower case), or NULL. */
const char *exchange_header(const struct exchange *ex, const char *name);
/* How often it occurs. */
int exchange_header_count(const struct exchange *ex, const char *name);
/* The first x-amz- header that is none of KNOWN (NULL at its end), or that occurs twice: a mistake
 * of the sender. NULL: there is none. */
const char *exchange_stray_header(const struct exchange *ex, const char *const *known);

/* Answer with bytes that are copied; at once or, when parked, by waking the connection. */
void exchange_answer(struct exchange *ex, unsigned status, const char *type, const void *data,
		     size_t len);
/* A header of the answer that comes; VALUE NULL: none. */
void exchange_add_header(struct exchange *ex, const char *name, const char *value);
void exchange_answer_text(struct exchange *ex, unsigned status, const char *text);
/* application/x-amz-json-1.1; BODY is taken, NULL is an empty body. */
void exchange_answer_json(struct exchange *ex, json_t *body);
/* {"__type": CODE, "message": ...} of a JSON service, XML of ssmmessages and S3. CODE may carry a
 * prefix before '#'. */
void exchange_refuse(struct exchange *ex, unsigned status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, status 400, for a reason that was found. */
void exchange_refuse_for(struct exchange *ex, const struct refusal *why);
/* Close the connection without an answer; RESET: with a TCP reset. */
void exchange_cut(struct exchange *ex, bool reset);

/* Answer with status 101; FN gets the connection. ARG is for it. */
void exchange_upgrade(struct exchange *ex, const char *accept, upgraded_fn *fn, const void *arg);
void exchange_end_upgraded(struct upgraded *conn);

/* Notice when the client goes away while the exchange is parked. */
void exchange_watch_hangup(struct exchange *ex, void (*on_dropped)(struct exchange *ex));

/* Body, IMDS, ECS and service requests, after faults: server.c calls this for a complete request;
 * when it returns without an answer, the exchange is parked. */
void dispatch_exchange(struct exchange *ex);
/* A fault of the kind "after" replaces the answer that is about to be given; true when it did. */
bool dispatch_spoil(struct exchange *ex);

#endif
