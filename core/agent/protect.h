/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's memory holds keys: nobody reads it. DESIGN section 12. */
#ifndef SSM_AGENT_PROTECT_H
#define SSM_AGENT_PROTECT_H

#include <stdbool.h>

/* No core dump, no tracer but root's. TRIAL: it may be looked into, only a core is not written by
 * itself. What we start is not concerned: exec undoes the one, and the other can be raised. */
void protect_memory(bool trial);

#endif
