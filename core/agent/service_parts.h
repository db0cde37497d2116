/* SPDX-License-Identifier: Apache-2.0 */
/* Between services.c and service_reply.c. */
#ifndef SSM_AGENT_SERVICE_PARTS_H
#define SSM_AGENT_SERVICE_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "core/agent/hostproc.h"
#include "core/agent/restarts.h"
#include "core/base/list.h"
#include "core/base/log.h"

struct event_base;

struct service_host {
	struct list link;
	struct services *services;
	char *name, *plugin, *path;
	char stamp[96]; /* of the file that runs */
	struct hostproc *host;
	struct broker_client *broker;
	struct event *timer; /* the next start */
	bool running;	     /* "go" was sent */
	bool open;	     /* as it said */
	bool gone_from_table, replaced;
	bool off; /* it crashed too often */
	int64_t started_ms;
	struct restarts restarts;
	struct list replies; /* handed over, not confirmed */
	struct list deliveries;
	struct log_site log_site;
};

struct service_host *services_find(const struct services *s, const char *name);
struct event_base *services_base(const struct services *s);

/* service_reply.c */
/* The host said how it went. */
void service_reply_done(struct service_host *h, const char *reply_id, int status);
/* It is closed, or gone: none of them arrived. */
void service_replies_fail(struct service_host *h, const char *why);

#endif
