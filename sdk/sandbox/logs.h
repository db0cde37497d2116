/* SPDX-License-Identifier: Apache-2.0 */
/* CloudWatch Logs: log groups, their streams and events, in memory. */
#ifndef SSM_SANDBOX_LOGS_H
#define SSM_SANDBOX_LOGS_H

#include <stddef.h>

#define LOGGROUPS_MAX 1000u
#define LOGGROUPS_MAX_STREAMS 10000u
#define LOGGROUPS_MAX_BYTES ((size_t)64 << 20) /* of all messages together */

struct loggroups;

struct loggroups *loggroups_new(void);
struct loggroups *loggroups_free(struct loggroups *all); /* NULL; NULL is fine */

#endif
