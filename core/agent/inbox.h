/* SPDX-License-Identifier: Apache-2.0 */
/* Offline commands: documents that are put into a folder of this machine. spec/01 section 1.12,
 * spec/03 section 7.1.
 *
 * <state>/localcommands is the inbox. A file there (any name that does not begin with a dot; write
 * it elsewhere and rename it, or close it when it is whole) is the content of a document. It moves
 * to submitted/NAME.ID before it runs, or to invalid/NAME.ID when it is no JSON object, ID being
 * the command's id. Each reply replaces completed/ID. All of it belongs to us and is closed to
 * others. */
#ifndef SSM_AGENT_INBOX_H
#define SSM_AGENT_INBOX_H

#include <stdint.h>

#include "core/agent/dispatch.h"

struct inbox;
struct plugins;

#define INBOX_FOLDER "localcommands"

struct inbox_options {
	struct event_base *base;
	const char *state_path, *instance_id;
	const char *topic;  /* of its messages, or NULL */
	int64_t max_age_ms; /* how long files are kept in the other folders */
};
/* Makes the folders. NULL with E: they cannot be made, or others may write there. */
struct inbox *inbox_new(const struct inbox_options *o, struct err *e);
struct inbox *inbox_free(struct inbox *i);
/* Who takes the replies. */
struct dispatch_local inbox_local(struct inbox *i);
/* Take what is there, and from now on what comes; also what an agent before us had moved and not
 * come to store. */
void inbox_begin(struct inbox *i, struct dispatch *d, struct plugins *p);
/* Look once more. */
void inbox_look(struct inbox *i);

#endif
