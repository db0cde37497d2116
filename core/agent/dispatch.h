/* SPDX-License-Identifier: Apache-2.0 */
/* A message from the service to a job: envelope, known?, topic, cancel, idempotency. DESIGN
 * section 3. */
#ifndef SSM_AGENT_DISPATCH_H
#define SSM_AGENT_DISPATCH_H

#include <jansson.h>

#include "core/base/err.h"

struct event_base;
struct conf;
struct mds;
struct plugins;
struct broker;
struct cgroup;
struct dispatch;

struct dispatch_options {
	struct event_base *base;
	const struct conf *conf;
	struct mds *mds;
	struct plugins *plugins;
	struct broker *broker;
	struct cgroup *cgroup; /* below which jobs get groups of their own, or NULL */
	const char *instance_id;
	const char *state_path;
	json_t *info; /* members of info{} of every host; borrowed */
};
/* Opens the job store and takes up what it holds (queued jobs start again, unconfirmed replies are
 * sent). */
struct dispatch *dispatch_new(const struct dispatch_options *o, struct err *e);
/* Hosts live on. */
struct dispatch *dispatch_free(struct dispatch *d);
/* The messages of one poll: stored with one sync, then answered and started. */
void dispatch_messages(struct dispatch *d, json_t *messages);
/* The network or the service is back: replies do not wait any longer. */
void dispatch_retry_now(struct dispatch *d);
/* After conf_reload(): more slots may be free. */
void dispatch_conf_changed(struct dispatch *d);
/* For ssmctl: running, queued, unconfirmed. Caller owns. */
json_t *dispatch_report(const struct dispatch *d);

#endif
