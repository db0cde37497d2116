/* SPDX-License-Identifier: Apache-2.0 */
/* The user of sessions that name none: what the configuration says of it. */
#ifndef SSM_AGENT_USERS_H
#define SSM_AGENT_USERS_H

#include <jansson.h>

struct conf;

/* {"name"; "refusal": why sessions do not make it, else missing; "make": what --make-user of
 * ssm-plugin-host reads}. Told to session hosts as info("users"). */
json_t *users_settings(const struct conf *conf);
/* `ssm-agent --make-user`: makes it now where Users.Create is install, and says so; else says who
 * does. The exit status. */
int users_make(const struct conf *conf);

#endif
