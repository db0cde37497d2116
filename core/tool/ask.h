/* SPDX-License-Identifier: Apache-2.0 */
/* A question to the running agent through its control socket. */
#ifndef SSM_TOOL_ASK_H
#define SSM_TOOL_ASK_H

#include <jansson.h>

#include "core/base/err.h"

/* The answer (caller owns). NULL with E: -ENOENT or -ECONNREFUSED when no agent runs below
 * RUN_PATH, -EACCES when it is not ours to ask, -ETIMEDOUT after 10 s. */
json_t *ask_agent(const char *run_path, const char *what, struct err *e);

#endif
