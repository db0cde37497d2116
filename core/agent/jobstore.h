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
	RECORD_DAMAGED = 0,   /* never written: what stood here cannot be read, good ones follow */
	RECORD_MESSAGE = 1,   /* the normalised message, topic, job kind */
	RECORD_CANCEL = 2,    /* cancel of this job asked for */
	RECORD_STARTED = 3,   /* pid, start, boot; "nested" when it is a step of this job */
	RECORD_REPLY = 4,     /* seq, reply_id, final, payload */
	RECORD_CONFIRMED = 5, /* reply_id the service took, or "dropped" with the reason */
	RECORD_STATE = 6,     /* key, value of state_put */
	RECORD_END = 7,	      /* result of the host; "nested" as above */
};

/* A command's message of 1 MiB whose every byte is escaped still fits. */
#define JOBSTORE_RECORD_MAX (8u * 1024u * 1024u)
#define JOBSTORE_ID_MAX 128u
#define JOBSTORE_SEEN_MS (7 * 24 * 3600 * 1000LL)

/* Open (or make) <state>/<instance id>/jobs; dirfd discipline throughout. */
struct jobstore *jobstore_open(const char *state_path, const char *instance_id, struct err *e);
/* The same below RUN_PATH, for jobs that a restart of the machine ends in any case (sessions): best
 * effort and without a wait for anything. A journal that finds no room in its file goes on in
 * memory, where it is lost with this process. Nothing is kept of a finished job but its id. */
struct jobstore *jobstore_open_passing(const char *run_path, const char *instance_id,
				       struct err *e);
bool jobstore_is_passing(const struct jobstore *s);
/* Writes what was not yet written (without a sync). Journals must be closed before. */
struct jobstore *jobstore_close(struct jobstore *s);
/* May ID name a job: one plain path component of bounded length. */
bool jobstore_id_ok(const char *id);
/* The folder of a job, absolute. Caller frees. */
char *jobstore_folder(const struct jobstore *s, const char *id);

/* A new job's folder and journal, with TYPE and CONTENT as its first record. Not yet synced.
 * -EEXIST when there is a journal. */
struct journal *jobstore_create(struct jobstore *s, const char *id, enum record type,
				const json_t *content, struct err *e);
/* Every good record in order; AT is the place for jobstore_read(). CONTENT is borrowed, NULL for
 * RECORD_DAMAGED. */
typedef void jobstore_record_fn(void *arg, enum record type, const json_t *content, int64_t at);
/* An existing journal, ready to be appended to; a torn tail is cut off. EACH may be NULL.
 * -ENOENT, -EPROTONOSUPPORT (of a later release; left as it is) ... */
struct journal *jobstore_load(struct jobstore *s, const char *id, jobstore_record_fn *each,
			      void *arg, struct err *e);
/* The same of an open journal, what is written of it. 0 or -errno. */
int journal_each(struct journal *j, jobstore_record_fn *each, void *arg, struct err *e);
/* One record of a job, whether its journal is open or not. NULL when it cannot be read. */
json_t *jobstore_read(const struct jobstore *s, const char *id, int64_t at, enum record *ret_type,
		      struct err *e);
/* Ids of the jobs that are not finished, oldest first; caller frees with strv_free. */
char **jobstore_list(struct jobstore *s);
/* Forget a job altogether: nothing of it was promised to anybody. */
void jobstore_remove(struct jobstore *s, const char *id);

/* Kept in memory until the next sync (or the close). *RET_AT (may be NULL): its place once
 * written. -E2BIG. */
int journal_append(struct journal *j, enum record type, const json_t *content, int64_t *ret_at,
		   struct err *e);
bool journal_dirty(const struct journal *j);
/* It has no file: closing it is its end. */
bool journal_in_memory(const struct journal *j);
/* Bytes of the journal, what is in memory included. */
int64_t journal_size(const struct journal *j);
/* Make all that was appended durable (one fdatasync; a new folder and its parent are synced too).
 * When it fails, what was appended since the last sync is gone. */
int journal_sync(struct journal *j, struct err *e);
/* Write what is in memory, without a sync: the end of the process does not undo it. Not while
 * somebody waits for the result of a sync. */
void journal_flush(struct journal *j);
/* All dirty journals: one wait for all of them. The result of each is journal_result() until its
 * next sync. */
int jobstore_sync_all(struct jobstore *s, struct err *e);
int journal_result(const struct journal *j);
/* The folders of new journals alone, ahead of their first record: what then is left to wait for is
 * one fdatasync. A failure shows at the next sync, which tries again. */
void jobstore_sync_folders(struct jobstore *s);
/* Writes what is in memory, without a sync. */
struct journal *journal_close(struct journal *j);
/* Drops what is in memory: nobody needs it any more. */
struct journal *journal_discard(struct journal *j);

/* Is the reserve for answers on a full disk there? It is laid by again with the next pruning. */
bool jobstore_has_reserve(const struct jobstore *s);

/* Ids of finished jobs, kept 7 days in one bounded file, whatever happens to the folders. */
bool jobstore_seen(const struct jobstore *s, const char *id);
/* ID is over; its journal is closed. In memory until jobstore_flush(): before that a crash finds
 * the job in its journal, and what was answered is answered once more, by the same reply id. */
void jobstore_finish(struct jobstore *s, const char *id);
/* Write the ids of finished jobs to the file, without a sync. */
int jobstore_flush(struct jobstore *s, struct err *e);
/* Remove finished jobs beyond the ceilings (State.MaxBytes, State.MaxFiles, retention), oldest
 * first. */
void jobstore_prune(struct jobstore *s, int64_t max_bytes, int64_t max_files, int64_t max_age_ms);

#endif
