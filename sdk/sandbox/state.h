/* SPDX-License-Identifier: Apache-2.0 */
/* What survives a restart of the sandbox: parameters, tags, documents and nodes in
 * state/store.json, each of the last commands in state/commands/ID.json, all below the root. */
#ifndef SSM_SANDBOX_STATE_H
#define SSM_SANDBOX_STATE_H

#include <jansson.h>

#include "core/base/err.h"
#include "sdk/sandbox/store.h"

#define STATE_COMMANDS_MAX 1000		    /* files of the last ones are kept, */
#define STATE_BYTES_MAX ((size_t)256 << 20) /* and no more than this together */
#define STATE_FILE_MAX ((size_t)64 << 20)   /* nor of one, which is then not kept at all */

struct state;

/* Reads back what is there; a file that is not ours or not whole is an error that names it. NULL
 * then. To be called when everything else of SB is made. */
struct state *state_open(struct sandbox *sb, struct err *e);
/* Writes what has changed. Returns NULL. */
struct state *state_free(struct state *st);

/* Something of store.json has changed; something of a command. Written within STATE_DELAY_MS. Both
 * do nothing when no state is kept. */
#define STATE_DELAY_MS 100
void state_touch(struct sandbox *sb);
void state_touch_command(struct command *cmd);

/* state_store.c: store.json. The caller owns what is made; 0 or an error that says what is wrong.
 */
json_t *state_store_make(const struct sandbox *sb);
int state_store_take(struct sandbox *sb, const json_t *store, struct err *e);

/* state_command.c: one command. ID is the name of its file. */
json_t *state_command_make(const struct command *cmd);
int state_command_take(struct sandbox *sb, const json_t *command, const char *id, struct err *e);

#endif
