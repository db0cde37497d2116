/* SPDX-License-Identifier: Apache-2.0 */
/* A message from the service to a job: envelope, known?, topic, cancel, idempotency. DESIGN
 * section 3. */
#ifndef SSM_AGENT_DISPATCH_H
#define SSM_AGENT_DISPATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

struct event_base;
struct conf;
struct mds;
struct plugins;
struct broker;
struct cgroup;
struct dispatch;
struct outbox_carrier;

/* Who takes what becomes of commands of this machine. */
struct dispatch_local {
	/* A reply of the job ID, the first InProgress included. An error that may pass (err.h) is
	 * tried again. */
	int (*reply)(void *arg, const char *id, bool final, const char *payload, size_t len);
	/* All is said and nothing of it runs any more; or, REBOOT, it goes on when the machine was
	 * restarted. */
	void (*over)(void *arg, const char *id, bool reboot);
	void *arg;
};

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
	struct dispatch_local local;
	bool once; /* a single command of this machine, which never restarts it */
	/* Takes replies to what services delivered; NULL: nothing is delivered. */
	const struct outbox_carrier *carrier;
	void *carrier_arg;
};
/* Opens the job store and takes up what it holds (queued jobs start again, unconfirmed replies are
 * sent). */
struct dispatch *dispatch_new(const struct dispatch_options *o, struct err *e);
/* Hosts live on. */
struct dispatch *dispatch_free(struct dispatch *d);
/* The messages of one poll: stored with one sync, then answered and started. */
void dispatch_messages(struct dispatch *d, json_t *messages);
/* A command of this machine: MESSAGE has MessageId (which no job had before), Topic, Destination,
 * CreatedDate, and Payload as text. Owned. Refusals come as replies, too; *RET_ID (may be NULL,
 * caller frees) names the job. -EINVAL: it is no message; -ENOENT: no plugin takes it. */
int dispatch_take_local(struct dispatch *d, const json_t *message, char **ret_id, struct err *e);
/* Its cancel, which can come at any time. */
void dispatch_cancel_local(struct dispatch *d, const char *id);
/* Is it known, or was it within the last days? */
bool dispatch_knows(const struct dispatch *d, const char *id);
/* A message that came by a service's own transport. All is copied. */
struct delivery {
	const char *id, *topic, *payload;
	size_t len;
	const char *via;   /* the service, which gets the replies */
	const char *route; /* comes back with each of them; may be NULL */
};
/* RESULT 0: on disk, and acknowledged by this; -EEXIST known already; -EBADMSG known now, but its
 * payload cannot be used and a reply says so; -ENOENT nobody handles its topic; -EAGAIN too much
 * waits, it has to come again; -EINVAL no usable envelope. */
typedef void dispatch_delivered_fn(void *arg, int result);
/* DONE is called once, maybe from within. */
void dispatch_deliver(struct dispatch *d, const struct delivery *what, dispatch_delivered_fn *done,
		      void *arg);
/* DONE is not called any more for what was delivered with ARG. */
void dispatch_forget(struct dispatch *d, const void *arg);
/* The other way for commands is open, or not: replies tell of it, and those that wait for it go. */
void dispatch_channel(struct dispatch *d, bool open);
/* The network or the service is back: replies do not wait any longer. */
void dispatch_retry_now(struct dispatch *d);
/* After conf_reload(): more slots may be free. */
void dispatch_conf_changed(struct dispatch *d);
/* For ssmctl: running, queued, unconfirmed. Caller owns. */
json_t *dispatch_report(const struct dispatch *d);

#endif
