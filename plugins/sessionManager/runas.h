/* SPDX-License-Identifier: Apache-2.0 */
/* As whom a session's program runs (spec 02 §6.2), and its environment. */
#ifndef SSM_SESSIONMANAGER_RUNAS_H
#define SSM_SESSIONMANAGER_RUNAS_H

#include <stdbool.h>

#include "core/base/err.h"

struct session_inputs;

#define RUNAS_DEFAULT_USER "ssm-user"

struct runas {
	char *user; /* NULL: as we are */
	char *cwd;  /* the home, or "/" where there is none */
	char **envp;
};

/* TAG: the user that the operator's own identity names, may be "". ELEVATED: as we are. 0, or
 * -EINVAL, -EPERM, -ENOENT with the text that operators know. RET is freed by runas_done(). */
int runas_decide(const struct session_inputs *in, const char *tag, bool elevated,
		 struct runas *ret, struct err *e);
void runas_done(struct runas *r); /* also of zeros */

#endif
