/* SPDX-License-Identifier: Apache-2.0 */
/* What the places have in common that take the log of a session: S3 (s3log.h), CloudWatch
 * (cwlog.h).
 */
#ifndef SSM_SESSIONMANAGER_LOGSINK_H
#define SSM_SESSIONMANAGER_LOGSINK_H

#include <ssm_plugin.h>
#include <stdbool.h>

/* How refusals begin, spec 02 §8.2. */
#define CANNOT_AS "We couldn't start the session because "
#define CANNOT_BECAUSE "Couldn't start the session because "

#define NOBODY "the agent cannot be asked"

#define LOGSINK_CALL_MS 10000 /* for a call */

/* The end of what was started: FAILURE NULL, or why it failed in words. Never from within. */
typedef void logsink_fn(void *arg, const char *failure);

struct logsink { /* all is the caller's and outlives the sink */
	struct ssm *S;
	const char *session;
	bool encrypted; /* the document wants it to be */
	const struct logfile *file;
};

#endif
