/* SPDX-License-Identifier: Apache-2.0 */
/* One job: what its journal says, its cancel, its replies, its end. DESIGN section 3. */
#ifndef SSM_AGENT_JOB_H
#define SSM_AGENT_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/agent/jobs.h"
#include "core/agent/jobstore.h"
#include "core/base/list.h"
#include "core/base/rand.h"

struct outbox;
struct worker;
struct commit;

enum job_state {
	JOB_NEW,
	JOB_FORETOLD, /* only its cancel came yet */
	JOB_QUEUED,
	JOB_ACTIVE, /* it has a host, or what is left of one */
	JOB_REBOOT, /* it asked for a restart of the machine and goes on after that */
	JOB_ENDED,  /* the final reply is there */
};

struct job {
	struct list link, queue_link, dirty_link;
	struct jobs *jobs;
	char *id, *message_id, *topic;
	char *via, *route; /* the service that delivered it, and what it said; NULL */
	int64_t received_ms, cancelled_ms, started_ms;
	char notice_id[RAND_UUID_SIZE]; /* of the InProgress reply */
	json_t *message;		/* of the record, while it is needed */
	enum job_state state;
	bool cancelled;
	bool local;		 /* of this machine: the service knows nothing of it */
	bool confirmed;		 /* the final reply reached the service or was dropped */
	struct jobstore *store;	 /* of its journal */
	struct journal *journal; /* NULL while it is closed */
	struct outbox *outbox;
	struct worker *worker;
	struct list commits;
	json_t *values; /* of state_put */
	size_t value_bytes;
	unsigned steps;	 /* nested jobs so far */
	unsigned starts; /* of its host, without anything new from state_put */
	unsigned tries;	 /* to start it, while the machine was short of something */
};

/* What happens when a record is on disk (RESULT 0) or could not be brought there. */
typedef void commit_fn(struct job *j, struct commit *c, int result);
struct commit {
	struct list link;
	commit_fn *fn;
	struct worker *worker; /* NULL, or freed meanwhile */
	int64_t seq, at;
	json_t *id;	 /* of a request that waits, or NULL */
	json_t *content; /* of a reply */
};
/* Append a record. FN is called after the next sync, with what *TEMPLATE holds (copied; its JSON
 * values are taken). CONTENT is borrowed. 0 or an error, then FN is not called. */
int job_record(struct job *j, enum record type, json_t *content, const struct commit *template,
	       enum soon how, struct err *e);
/* After a sync. */
void job_committed(struct job *j);

/* The envelope of a message that dispatch has checked. */
struct envelope {
	const char *message_id, *topic, *destination, *created;
	const char *payload; /* raw text */
	size_t payload_len;
	const struct pending *pending; /* of a service, or NULL */
	const char *unusable; /* why the payload cannot be handled, or NULL */
	bool local;	      /* it did not come from the service */
};
/* A message for the job ID that is not known, or foretold. Stored, then answered, then started. */
void job_take(struct jobs *js, const char *id, const struct envelope *env);
/* The cancel message CANCEL_ID for the job ID, known or not; "": it came from this machine, nobody
 * waits for an answer. */
void job_take_cancel(struct jobs *js, const char *id, const char *cancel_id);
/* Start a queued job; the slot is free and the table of plugins fresh. */
void job_start(struct job *j);
/* From STORE; false: there was nothing to take up. */
bool job_load(struct jobs *js, struct jobstore *store, const char *id);
struct job *job_free(struct job *j); /* what runs lives on */
/* Forget a foretold one after its time. */
void job_forget(struct job *j);

/* From the worker. A reply of the plugin; then (once) the end of its processes. */
int job_reply(struct job *j, struct worker *w, int64_t seq, bool final, const char *body,
	      size_t len, struct err *e);
bool job_has_final(const struct job *j);
void job_over(struct job *j, const char *why);
/* Its host, started in BOOT, asked for a restart of the machine, which is on disk, and is over. Is
 * this another boot, it goes on now. */
void job_reboot(struct job *j, const char *boot);
void job_reboot_gave_up(void *jobs, const char *why);
/* It was started often enough, and each time for nothing. */
bool job_goes_round(const struct job *j, struct err *e);
/* The open journal, or NULL with E. */
struct journal *job_journal(struct job *j, struct err *e);
struct address job_address(const struct job *j);
/* Between the files of a job. A new one in the table. */
struct job *job_new(struct jobs *js, const char *id);
/* What the record of its message says. */
void job_take_record(struct job *j, const json_t *record);
void job_take_value(struct job *j, const json_t *record); /* of state_put */
void job_enqueue(struct job *j);
void job_close_if_idle(struct job *j);
/* The first InProgress reply; a reply of which the journal has RECORD at AT, or only we PAYLOAD. */
void job_queue_notice(struct job *j);
void job_queue_reply(struct job *j, const json_t *record, int64_t at, char *payload, size_t len);
json_t *job_reply_record(int64_t seq, bool final, const char *payload, size_t len);
/* The agent's own final reply. */
void job_final_notice(struct job *j, const char *status, const char *trace);
void job_need_outbox(struct job *j);
/* Over and forgotten when all is said and nothing runs; J may be gone then. */
void job_finish_if_done(struct job *j);

/* "8f3a2c1d" of "aws.ssm.8f3a2c1d-...": for the lines of its plugin. */
void job_short_name(const char *id, char ret[16]);

#endif
