/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of finished jobs: a bounded set, one line each in one file. */
#ifndef SSM_AGENT_SEEN_H
#define SSM_AGENT_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct seen;

#define SEEN_MAX 16384u /* oldest out beyond */

/* The file NAME in DIRFD (borrowed; jobs' folders lie beside it: an id whose folder is there does
 * not expire). */
struct seen *seen_open(int dirfd, const char *name, int64_t keep_ms, struct err *e);
struct seen *seen_close(struct seen *s);
bool seen_has(const struct seen *s, const char *id);
/* When it was added, unix ms (to the minute); 0 when it is unknown. */
int64_t seen_when(const struct seen *s, const char *id);
void seen_add(struct seen *s, const char *id);
/* Write what is new; SYNC makes it durable. Written anew when the file holds too much that is
 * over. */
int seen_flush(struct seen *s, bool sync, struct err *e);
size_t seen_len(const struct seen *s);

#endif
