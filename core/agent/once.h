/* SPDX-License-Identifier: Apache-2.0 */
/* ssm-agent --run: a single message from standard input, without the service, told on standard
 * output. The plugin hosts cannot tell the difference.
 *
 * Standard input is one object:
 *   topic, payload (text)  of the message
 *   id                     the middle of its id, aws.ssm.ID.INSTANCE
 *   instance_id, region    who this machine is; without them it is found out, for 1.5 s at most
 * Standard output is an object a line, its "event" being
 *   started (job, folder)  it is on disk; what its steps write comes to that folder
 *   reply (final, text)    as it would go to the service
 *   over (restart)         nothing of it runs any more; or it asked for a restart of the machine
 *   failed (error)         it could not be started
 * SIGINT, SIGTERM, SIGHUP and the end of whoever started us cancel it.
 */
#ifndef SSM_AGENT_ONCE_H
#define SSM_AGENT_ONCE_H

#include "core/agent/dispatch.h"
#include "core/agent/identity.h"

struct conf;
struct once;
struct plugins;

/* Reads standard input. NULL with E. */
struct once *once_new(struct event_base *base, const struct conf *conf, struct err *e);
struct once *once_free(struct once *o);
/* What standard input says of it, or what stands for it where nobody can tell; kind "given" or
 * "none". Caller owns. NULL: it says nothing, and AS_GIVEN is true. */
struct identity *once_identity(const struct once *o, bool as_given);
struct dispatch_local once_local(struct once *o);
/* Start it; from then on the loop is left when it is over. */
void once_begin(struct once *o, struct dispatch *d, struct plugins *p, const char *instance_id);
/* A signal: ends the loop where nothing has begun. */
void once_cancel(struct once *o);
/* It could not begin. */
void once_fail(struct once *o, const char *why);
bool once_is_done(const struct once *o); /* it began and ended, however that went */

#endif
