/* SPDX-License-Identifier: Apache-2.0 */
/* AgentMessage of ssmmessages (spec 02 section 2), as the service reads and writes it. Written
 * apart from the agent's, or both could be wrong alike. */
#ifndef SSM_SANDBOX_AGENTMSG_H
#define SSM_SANDBOX_AGENTMSG_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/rand.h"
#include "core/base/sbuf.h"

#define AGENTMSG_HEAD 120u
#define AGENTMSG_MAX 142000u /* the largest frame of the reference agent */

struct agentmsg {
	char type[33];
	char id[RAND_UUID_SIZE];
	int64_t created_ms, sequence;
	uint64_t flags;
	uint32_t payload_type;
	struct span payload; /* into what was read */
};

/* Strict: padding, version, digest and lengths must be as written down. 0 or -EINVAL. */
int agentmsg_read(const void *data, size_t len, struct agentmsg *ret, struct err *e);
/* Appended to OUT. */
void agentmsg_write(const struct agentmsg *m, struct sbuf *out);

#endif
