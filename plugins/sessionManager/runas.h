/* SPDX-License-Identifier: Apache-2.0 */
/* As whom a session's program runs (spec 02 §6.2), and its environment. */
#ifndef SSM_SESSIONMANAGER_RUNAS_H
#define SSM_SESSIONMANAGER_RUNAS_H

#include <ssm_plugin.h>
#include <stdbool.h>

#include "core/base/err.h"

struct session_inputs;

#define RUNAS_DEFAULT_USER "ssm-user"

struct runas_rights {
	bool root;     /* we are */
	bool elevated; /* wanted: as we are */
};

struct runas_wish {
	const struct session_inputs *inputs;
	const char *tag; /* the user that the operator's own identity names, may be "" */
	struct runas_rights rights;
};

struct runas {
	char *user; /* NULL: as we are */
	char *cwd;  /* the home, or "/" where the user cannot enter it */
	char **envp;
};

#define RUNAS_TO_MAKE 1

/* Asks the host's info("user:NAME"), which waits at most 5 s. 0, or -EINVAL, -EPERM, -ENOENT,
 * -ETIMEDOUT with the text that operators know, or RUNAS_TO_MAKE: it is the usual user, whom there
 * is not, and a session makes him. RET is freed by runas_done(). */
int runas_decide(struct ssm *S, const struct runas_wish *wish, struct runas *ret, struct err *e);

/* RESULT 0: AS is who; -ECANCELED; else WHY not. AS and WHY are borrowed. */
typedef void runas_done_fn(struct ssm *S, int32_t result, const struct runas *as, const char *why,
			   void *arg);
/* The same for session S's document and start message, and the user is made where that is to be.
 * DONE is called once, from within or when that is done. One at a time. */
void runas_start(struct ssm *S, struct ssm_session *session, struct runas_rights rights,
		 runas_done_fn *done, void *arg);
/* What is being made is waited for all the same, DONE gets -ECANCELED. */
void runas_cancel(void);
void runas_done(struct runas *r); /* also of zeros */
const char *runas_name(const struct runas *r); /* also when that is us; "" when nobody knows */

#endif
