/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are kept of sessions on this node: a folder of their own, names made of those of the
 * sessions, nobody else's to read, and an end. */
#ifndef SSM_SESSIONMANAGER_KEEP_H
#define SSM_SESSIONMANAGER_KEEP_H

#include <stdint.h>

#include "core/base/err.h"

#define KEEP_LOG ".log"
#define KEEP_CAST ".cast"

struct keep {
	const char *folder; /* absolute; made if it is not there, 0700 */
	const char *session;
	int64_t keep_ms;
	uint64_t max_bytes; /* of one file */
};

/* A new file SESSION and END (one of the above), 0600, for reading and appending, and its folder in
 * *RET_FOLDER; old files are removed. fd, or -errno: a folder or a file of others, a file that is
 * there already, a name that is none, no room. */
int keep_file(const struct keep *k, const char *end, int *ret_folder, struct err *e);
/* Its name in that folder; caller frees. */
char *keep_name(const struct keep *k, const char *end);
/* Remove what has one of the ends and was last written KEEP_MS before NOW_MS (unix time) or earlier
 * from the folder DIRFD; a thousand files at most are looked at. */
void keep_tidy(int dirfd, int64_t now_ms, int64_t keep_ms);

#endif
