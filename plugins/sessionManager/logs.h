/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a session: where its document wants it to be, whether it may begin without one, and
 * what became of it (spec 02 §8). */
#ifndef SSM_SESSIONMANAGER_LOGS_H
#define SSM_SESSIONMANAGER_LOGS_H

#include <jansson.h>
#include <ssm_plugin.h>
#include <stdbool.h>

struct keep;
struct logs;
struct session_inputs;

/* Events of the sinks; none from within a function below. */
struct logs_ops {
	void (*checked)(void *arg); /* logs_state() has left LOGS_CHECKING */
	void (*lost)(void *arg);    /* strict: the log cannot go on, so the session must not */
	void (*ended)(void *arg);   /* after logs_end(), once */
};

struct logs_conf { /* all is the caller's and outlives the logs */
	const struct session_inputs *inputs;
	const char *session, *type, *owner_arn;
	const struct keep *keep; /* where the log is while it is here */
	bool strict;		 /* no log, no session */
};

enum logs_state {
	LOGS_CHECKING,
	LOGS_READY,
	LOGS_REFUSED
};

/* Never NULL. Begins to ask. */
struct logs *logs_new(struct ssm *S, const struct logs_conf *conf, const struct logs_ops *ops,
		      void *arg);
struct logs *logs_free(struct logs *l); /* NULL; NULL is fine */

enum logs_state logs_state(const struct logs *l);
void logs_runs_as(struct logs *l, const char *user); /* for what comes from now on */
/* What goes to the operator, before it goes. 0; -EIO: strict, and it cannot be logged. */
int logs_add(struct logs *l, const void *p, size_t len);
/* The session is over; its log goes to where it should within MS. Again: there is another time. */
void logs_end(struct logs *l, int64_t ms);

/* In words for the operator why it was refused, was lost, or is not where it should be; "" else.
 * Complete after ended(). */
const char *logs_text(const struct logs *l);
/* The members of the result that say where it is, into O (spec 02 §5.6). */
void logs_describe(const struct logs *l, json_t *o);

#endif
