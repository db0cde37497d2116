/* SPDX-License-Identifier: Apache-2.0 */
/* What all parts of the sandbox share: its settings and its state. */
#ifndef SSM_SANDBOX_SANDBOX_H
#define SSM_SANDBOX_SANDBOX_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "sdk/sandbox/events.h"
#include "sdk/sandbox/keys.h"

struct buckets;
struct loggroups;
struct faults;
struct journal;
struct documents;
struct parameters;
struct tags;
struct state;
struct store;
struct server;
struct control;

enum imds_mode {
	IMDS_BOTH,	  /* v2, and v1 without a token */
	IMDS_V2_REQUIRED, /* 401 without a token */
	IMDS_V1_ONLY,	  /* token requests get imds_token_status, or 404 */
	IMDS_OFF,	  /* 403 to everything, as with the metadata service disabled */
};

/* By which way a command goes to its node. */
enum transport {
	TRANSPORT_AUTO, /* by the control channel while it is open */
	TRANSPORT_EC2MESSAGES,
	TRANSPORT_SSMMESSAGES,
};

struct settings {
	const char *root;      /* folder of all files that the sandbox writes */
	const char *documents; /* folder of the user's documents, or NULL */
	const char *builtin;   /* folder of our own documents, or NULL: look for it */
	const char *region, *zone, *zone_id, *account, *role, *instance;
	const char *tls_cert, *tls_key; /* PEM files: a second port, with TLS; or NULL */
	uint16_t port;
	bool ipv6;	      /* listen on ::1 */
	int64_t key_life_ms;  /* of IMDS and ECS credentials */
	int64_t poll_ms;      /* longest wait of GetMessages */
	int64_t max_messages; /* per GetMessages */
	int64_t max_skew_ms;  /* of a signature's date */
	int64_t minute_ms;    /* how long a minute of a session's limits is */
	int64_t max_pending;  /* open invocations, beyond which a tag is RateExceeded; 0: any */
	bool journal_off, state_off;
	bool parent_exit, stdin_exit;
	enum transport transport;
	bool unregistered; /* send-command also to nodes that never reported */

	/* Changed while running. */
	int64_t skew_ms; /* of the sandbox's clock */
	enum imds_mode imds;
	int64_t imds_token_status; /* answer to a token request; 0: serve it */
	bool imds_no_role;
	char *ecs_token; /* wanted in Authorization; NULL: none */
	char *run_as;	 /* the tag SSMSessionRunAs of operators; NULL: they have none */
};

struct sandbox {
	struct settings set;
	struct events *ev;
	struct server *server;
	struct control *control;
	struct keys *keys;
	struct faults *faults;
	struct journal *journal;
	struct documents *documents;
	struct store *store;
	struct map *imds_tokens; /* token -> struct holding its end */
	struct map *data_keys;	 /* kms.c: ciphertext -> struct data_key, owned */
	struct buckets *buckets;
	struct loggroups *loggroups;
	struct parameters *parameters;
	struct tags *tags;
	struct state *state; /* NULL: nothing is kept */
	bool stop;
};

/* The sandbox's own clock: wall clock plus skew. */
int64_t sandbox_now_ms(const struct sandbox *sb);
/* CLOCK_MONOTONIC in microseconds: what the timings are made of. */
int64_t sandbox_mono_us(void);

#endif
