/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a session: its log where the document wants it (logs.h), a transcript on this
 * node where the configuration does (cast.h), and the line that says who was here. */
#ifndef SSM_SESSIONMANAGER_RECORD_H
#define SSM_SESSIONMANAGER_RECORD_H

#include <jansson.h>
#include <ssm_plugin.h>

#include "plugins/sessionManager/logs.h"

struct record;

extern const struct ssm_option record_options[5];

/* Never NULL. DOCUMENT as document_read() gives it, INPUTS as read from it: both the caller's, as
 * long as the record. */
struct record *record_new(struct ssm *S, const json_t *document,
			  const struct session_inputs *inputs, const struct logs_ops *ops,
			  void *arg);
struct record *record_free(struct record *r); /* NULL; NULL is fine */

enum logs_state record_state(const struct record *r);
void record_begins(struct record *r); /* the type's open() is about to be called */
void record_runs_as(struct record *r, const char *user);
void record_exited(struct record *r, int32_t code);
void record_resize(struct record *r, uint32_t cols, uint32_t rows);
void record_input(struct record *r, size_t len); /* counted, never kept */
/* What goes to the operator. 0, or -EIO: it must not (logs_add()). */
int record_output(struct record *r, const void *p, size_t len);

/* The session is over: the transcript is closed, the log stored; ended() follows. CANCELLED: there
 * is little time. */
void record_end(struct record *r, bool cancelled);
const char *record_text(const struct record *r); /* logs_text() */
bool record_is_lost(const struct record *r);	 /* strict, and the log is not where it should be */
/* What the session's result says of its log, into O; nothing where it never began. */
void record_describe(const struct record *r, json_t *o);
/* One line of what was done, not of what was said: who, by which document, as whom, how long, how
 * much, to which end. */
void record_audit(const struct record *r, const char *status);
/* The same of a session that never had a record: DOCUMENT NULL: its document could not be read. */
void record_refused(struct ssm *S, const json_t *document);

#endif
