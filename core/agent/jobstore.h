/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs on disk: one append-only journal a job, records with length, CRC and version. DESIGN
 * section 3. */
#ifndef SSM_AGENT_JOBSTORE_H
#define SSM_AGENT_JOBSTORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

struct jobstore;
struct journal;

/* Record types; the content of each is one JSON object. */
enum record {
	RECORD_MESSAGE = 1,   /* the normalised message, topic, job kind */
	RECORD_CANCEL = 2,    /* cancel of this job asked for */
	RECORD_STARTED = 3,   /* pid, start, boot, start counter */
	RECORD_REPLY = 4,     /* seq, reply_id, final, payload */
	RECORD_CONFIRMED = 5, /* reply_id the service took, or "dropped" with the reason */
	RECORD_STATE = 6,     /* key, value of state_put */
	RECORD_END = 7,	      /* result of the host */
};

/* Open (or make) <state>/<instance id>/jobs; dirfd discipline throughout. */
struct jobstore *jobstore_open(const char *state_path, const char *instance_id, struct err *e);
struct jobstore *jobstore_close(struct jobstore *s);

/* A new job's folder and journal with its first record. ID is checked (fs_is_plain_name, <= 128).
 * Not yet synced. */
struct journal *jobstore_create(struct jobstore *s, const char *id, const json_t *message,
				struct err *e);
/* Existing journals at start, oldest first: EACH gets the journal (takes it) and every good record
 * in order. */
typedef void jobstore_record_fn(void *arg, enum record type, const json_t *content);
struct journal *jobstore_load(struct jobstore *s, const char *id, jobstore_record_fn *each,
			      void *arg, struct err *e);
char **jobstore_list(struct jobstore *s); /* ids, oldest first; caller frees with strv_free */

int journal_append(struct journal *j, enum record type, const json_t *content, struct err *e);
/* Make all that was appended durable (one fdatasync; a new folder and its parent are synced too).
 */
int journal_sync(struct journal *j, struct err *e);
/* Several journals of one poll: one wait for all of them. */
int jobstore_sync_all(struct jobstore *s, struct err *e);
int journal_dirfd(const struct journal *j); /* the job's folder, for NN.out ... */
const char *journal_path(const struct journal *j);
struct journal *journal_close(struct journal *j);

/* Ids of finished jobs, kept 7 days in one bounded file, whatever happens to the folders. */
bool jobstore_seen(const struct jobstore *s, const char *id);
int jobstore_finish(struct jobstore *s, struct journal *j,
		    struct err *e); /* into "seen", then closed */
/* Remove what is beyond the ceilings (State.MaxBytes, State.MaxFiles, retention), oldest finished
 * first. */
void jobstore_prune(struct jobstore *s, int64_t max_bytes, int64_t max_files, int64_t max_age_ms);

#endif
