/* SPDX-License-Identifier: Apache-2.0 */
/* Signed calls: credentials, signature, send, error code, clock skew, one refresh on refusal. */
#ifndef SSM_AWS_CALL_H
#define SSM_AWS_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/net/retry.h"

struct event_base;
struct http;
struct creds_cache;
struct aws;
struct aws_call;

/* What all calls share. Borrowed parts must outlive it. */
struct aws_options {
	struct event_base *base;
	struct http *http;
	struct creds_cache *creds;
	const char *region;	    /* of the endpoints */
	const char *signing_region; /* NULL: the same */
	const char *service_domain;
	/* Configured endpoint of a service ("" none); may be NULL. */
	const char *(*override)(void *arg, const char *service);
	void *arg;
};
struct aws *aws_new(const struct aws_options *o);
struct aws *aws_free(struct aws *a);
/* The network changed: calls that wait for their next attempt make it now. */
void aws_retry_now(struct aws *a);
/* "ssm-agent/VERSION (linux; ARCH) amazon-ssm-agent/REPORTED": every call carries it. */
const char *aws_user_agent(void);
int64_t aws_skew_ms(const struct aws *a); /* server's clock minus ours, 0 until adopted */

struct aws_request {
	const char *service;	  /* signing name: "ec2messages", "ssm", ... */
	const char *target;	  /* X-Amz-Target, NULL for REST calls */
	const char *method;	  /* NULL: POST */
	const char *path;	  /* NULL: "/" ; with query */
	const char *url;	  /* NULL: the service's endpoint + path */
	const char *region;	  /* of the endpoint, and to sign for; NULL: the agent's */
	const char *content_type; /* NULL: application/x-amz-json-1.1 */
	char *const *headers;	  /* further ones, NULL */
	const void *body;
	size_t body_len;
	int64_t timeout_ms;    /* each attempt; 0: 30 s */
	unsigned attempts;     /* 0: 1; further ones only for failures that retry_classify allows */
	size_t max_bytes;      /* 0: 4 MiB */
	bool anonymous;	       /* unsigned */
	bool unsigned_payload; /* the body takes no part in the signature (S3) */
};
struct aws_reply {
	int result; /* 0: 2xx; -EREMOTEIO: the service refused; else the transport's -errno, -ENOKEY
		       no credentials */
	int status; /* HTTP, 0 when none came */
	char code[128];	  /* service's error code, "" */
	const char *text; /* one sentence for the log; never NULL */
	const char *body;
	size_t body_len;
	char *const *headers;
	json_t *json; /* parsed body when it is JSON 1.1, borrowed; NULL else */
	enum retry_class retry;
	int64_t retry_after_ms;
};
typedef void aws_done_fn(void *arg, const struct aws_reply *r);
/* DONE is called once, never from within. NULL with E for an invalid request. */
struct aws_call *aws_start(struct aws *a, const struct aws_request *r, aws_done_fn *done, void *arg,
			   struct err *e);
void aws_cancel(struct aws_call *c); /* NULL is fine; no callback */
/* Sign without sending. DONE gets *headers and (in body) the URL; query form when VALID_MS > 0. */
struct aws_call *aws_sign(struct aws *a, const struct aws_request *r, int64_t valid_ms,
			  aws_done_fn *done, void *arg, struct err *e);

#endif
