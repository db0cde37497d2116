/* SPDX-License-Identifier: Apache-2.0 */
/* The table of jobs: slots and queue, one sync for all that waits for one, tidying up, what was
 * left by the agent before us. */
#ifndef SSM_AGENT_JOBS_H
#define SSM_AGENT_JOBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/agent/dispatch.h"
#include "core/aws/notice.h"
#include "core/base/list.h"
#include "core/base/log.h"

struct feature;
struct broker;
struct cgroup;
struct delivery;
struct conf;
struct event;
struct event_base;
struct hostsock;
struct job;
struct jobs;
struct jobstore;
struct map;
struct mds;
struct outbox_line;
struct plugins;
struct plugins_wait;
struct reboot;
struct err;

/* The same numbers as SSM_KIND_* in ssm_plugin.h. */
#define KIND_ACTION 1u
#define KIND_TOPIC 2u
#define SESSION_TOPIC "session" /* has slots of its own and never waits for commands */

#define JOBS_STALE_MS (48 * 3600000LL) /* neither started nor ended after that */
#define JOBS_NOTICES_MAX 1000u	       /* replies that no journal keeps */
#define JOBS_CANCELS_MAX 1000u		/* cancels of jobs not seen yet */
#define JOBS_CANCEL_MS (48 * 3600000LL) /* and how long they are kept */
#define JOBS_ANSWER_MS (2 * 3600000LL)	/* after a job's end its replies are dropped */

struct jobs {
	struct event_base *base;
	const struct conf *conf;
	struct mds *mds;
	struct plugins *plugins;
	struct broker *broker;
	json_t *info;
	struct notice_agent agent;
	struct jobstore *store, *passing; /* that of sessions */
	struct outbox_line *line, *service_line; /* by ec2messages; by services */
	struct list deliveries;
	bool channel_open; /* as replies by ec2messages tell it */
	struct hostsock *hostsock;
	struct map *by_id; /* borrowed */
	struct list all;
	struct list queue; /* of those that wait for a slot */
	struct list steps; /* starts of nested jobs that wait for another one: nested_wait.c */
	struct list dirty; /* of those with records that wait for the disk */
	struct list calls, notices;
	size_t queued, running, cancels, notice_count;
	size_t sessions; /* of those that run; not in RUNNING */
	size_t finished; /* since the last pruning */
	int64_t pruned_ms;
	struct event *flush_timer, *folder_timer, *tidy_timer;
	int64_t flush_ms; /* when, 0: not armed */
	bool tidy_soon;
	struct event *again_timer;
	bool short_of; /* descriptors, processes, memory: no start until the timer */
	struct plugins_wait *wait;
	bool waiting; /* for the table of plugins, before queued jobs start */
	struct reboot *reboot;
	struct cgroup *cgroup; /* NULL: containment by /proc */
	struct cgroup_sweep *sweep;
	struct dispatch_local local;
	bool once; /* as in struct dispatch_options */
};

struct jobs *jobs_new(const struct dispatch_options *o, struct err *e);
struct jobs *jobs_free(struct jobs *js);
/* The network or the service is back: replies do not wait any longer. */
void jobs_retry_now(struct jobs *js);
/* Take up what is on disk. */
void jobs_recover(struct jobs *js);
struct job *jobs_find(const struct jobs *js, const char *id);
/* Where a new job of TOPIC is kept; and whether the job ID is over, wherever it was. */
struct jobstore *jobs_store_for(const struct jobs *js, const char *topic);
bool jobs_seen(const struct jobs *js, const char *id);

/* For one more; never while the machine is to be restarted. */
bool jobs_slot_free(const struct jobs *js, const char *topic);
/* A job of TOPIC runs from now on, or does no longer. */
void jobs_count(struct jobs *js, const char *topic, int more);
/* Another job of its feature runs, and the feature wants one at a time (SSM_F_SERIAL). */
bool jobs_is_held(const struct job *j);
/* A job or a step of feature F runs, or what it left behind is not ended yet. */
bool jobs_feature_runs(const struct jobs *js, const struct feature *f);
bool jobs_queue_full(const struct jobs *js);
/* Start what waits, as far as there are slots. */
void jobs_start_queued(struct jobs *js);

/* A start failed for want of something that may be there again in a second. */
void jobs_start_later(struct jobs *js);

/* How soon records must be on disk. */
enum soon {
	SOON_NOW,    /* at the end of this turn of the loop */
	SOON_A_BIT,  /* more is expected at once: within 2 ms */
	SOON_STARTED /* with STARTED of its host, which is coming up: within 50 ms */
};
void jobs_sync_soon(struct jobs *js, enum soon how);
/* A job ended: write the list of finished ones, and prune, before long. */
void jobs_tidy_soon(struct jobs *js);

/* A message of a service that waits for its answer. */
struct pending {
	struct list link;
	json_t *message; /* as dispatch has it: this one, not one that is equal */
	char *id, *via, *topic, *route;
	bool unusable; /* it is stored, but only a reply will come of it */
	void (*done)(void *arg, int result);
	void *arg;
};
/* MESSAGE is taken. */
struct pending *jobs_delivery_new(struct jobs *js, const struct delivery *what, json_t *message);
/* Of exactly that MESSAGE; of the message id. NULL: it came by ec2messages. */
struct pending *jobs_delivery_of(const struct jobs *js, const json_t *message);
struct pending *jobs_delivery_by_id(const struct jobs *js, const char *message_id);
void jobs_delivery_end(struct pending *p, int result); /* tells it and frees; NULL is fine */

/* Answers that nobody waits for: a lost one is made good by the redelivery. What a service waits
 * for is answered to it. */
void jobs_acknowledge(struct jobs *js, const char *message_id);
void jobs_refuse_message(struct jobs *js, const char *message_id); /* FailMessage NoHandlerExists */
/* Where a reply goes; all NULL: by ec2messages. */
struct address {
	const char *via, *topic, *route;
};
/* A document-level reply that no journal keeps. */
void jobs_notice(struct jobs *js, const char *message_id, const struct address *to,
		 const char *status, const char *trace);
char *jobs_notice_text(const struct jobs *js, const struct address *to, int64_t now_unix_ms,
		       const char *status, const char *trace);
json_t *jobs_report(const struct jobs *js);

#endif
