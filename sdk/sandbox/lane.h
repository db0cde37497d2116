/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on their way to one end, and what faults do to them there. */
#ifndef SSM_SANDBOX_LANE_H
#define SSM_SANDBOX_LANE_H

#include <stddef.h>

#include "core/base/list.h"
#include "sdk/sandbox/faults.h"
#include "sdk/sandbox/wsend.h"

struct lane {
	struct sandbox *sb;
	struct wsend *ws;
	struct list held; /* what is late */
};

void lane_init(struct lane *lane, struct sandbox *sb, struct wsend *ws);
/* What is held back is lost. */
void lane_done(struct lane *lane);
/* The binary message as HIT leaves it: whole, spoilt, late, twice, behind the next one or not at
 * all. The kinds close and reset are the caller's affair. */
void lane_send(struct lane *lane, const void *data, size_t len, const struct fault_hit *hit);

#endif
