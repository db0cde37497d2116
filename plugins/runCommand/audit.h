/* SPDX-License-Identifier: Apache-2.0 */
/* One line at info for each command: what was done, never what was said. */
#ifndef SSM_RUNCOMMAND_AUDIT_H
#define SSM_RUNCOMMAND_AUDIT_H

#include <ssm_plugin.h>
#include <stddef.h>
#include <stdint.h>

#include "plugins/runCommand/reply.h"

struct audit {
	const char *id, *document; /* foreign texts */
	enum status status;
	const struct result *results; /* of the steps that there were */
	size_t count;
	uint64_t bytes; /* that they wrote */
};

void audit_command(struct ssm *S, const struct audit *a);

#endif
