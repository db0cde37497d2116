/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a session on disk while it runs: what went to the operator, as it went. */
#ifndef SSM_SESSIONMANAGER_LOGFILE_H
#define SSM_SESSIONMANAGER_LOGFILE_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

struct keep;

struct logfile {
	int folder, fd; /* -1: not open */
	char *name;	/* in FOLDER */
	uint64_t len, max_bytes;
	uint64_t body, end; /* where the session's own bytes begin and end; END 0: they go on */
	int error;	    /* why nothing more is written, or 0 */
};

/* As keep_file(). 0 or -errno, F is then not open. */
int logfile_open(struct logfile *f, const struct keep *k, struct err *e);
/* Append. 0; -EFBIG: this is more than MAX_BYTES, of which a last line tells, or another -errno;
 * from then on nothing is written, and each call fails with the same. */
int logfile_add(struct logfile *f, const void *p, size_t len);
/* At most LEN bytes from AT on, onto OUT: how many, 0 at the end, or -errno. */
ssize_t logfile_read(const struct logfile *f, uint64_t at, size_t len, struct sbuf *out);
/* The file once more, for reading from its start; the caller closes it. Or -errno. */
int logfile_reader(const struct logfile *f);
void logfile_remove(struct logfile *f); /* its name; what is open stays so */
void logfile_close(struct logfile *f);	/* also of one that is not open */

#endif
