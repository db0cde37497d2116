/* SPDX-License-Identifier: Apache-2.0 */
/* As whom a session's program runs (spec 02 §6.2), and its environment. */
#ifndef SSM_SESSIONMANAGER_RUNAS_H
#define SSM_SESSIONMANAGER_RUNAS_H

#include <ssm_plugin.h>
#include <stdbool.h>

#include "core/base/err.h"

struct session_inputs;

#define RUNAS_DEFAULT_USER "ssm-user"

struct runas_wish {
	const struct session_inputs *inputs;
	const char *tag; /* the user that the operator's own identity names, may be "" */
	bool elevated;	 /* as we are */
	bool root;	 /* we are */
};

struct runas {
	char *user; /* NULL: as we are */
	char *cwd;  /* the home, or "/" where the user cannot enter it */
	char **envp;
};

/* Asks the host's info("user:NAME"), which waits at most 5 s. 0, or -EINVAL, -EPERM, -ENOENT,
 * -ETIMEDOUT with the text that operators know. RET is freed by runas_done(). */
int runas_decide(struct ssm *S, const struct runas_wish *wish, struct runas *ret, struct err *e);
void runas_done(struct runas *r); /* also of zeros */

#endif
