/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's parts in the order in which they start and stop. */
#ifndef SSM_AGENT_AGENT_H
#define SSM_AGENT_AGENT_H

#include <stdbool.h>

#include "core/base/err.h"

struct conf;

/* Run until SIGTERM or SIGINT. 0, or the error that kept it from starting. CONF must outlive it. */
int agent_run(struct conf *conf, struct err *e);
/* --run: the message on standard input (once.h). 0, 1 when standard output says why it could not
 * be started, or an error before that. */
int agent_run_once(struct conf *conf, struct err *e);
/* --whoami: walk the chain once and print the report, with CALLER after asking STS whose the
 * credentials are. The exit status. */
int agent_whoami(const struct conf *conf, bool json, bool caller);

#endif
