/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the link: messages that must not be lost, from the sending to the agent's disk. */
#ifndef SSM_HOST_OUTGOING_H
#define SSM_HOST_OUTGOING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ipc;
struct outgoing;

struct outgoing *outgoing_new(void);
struct outgoing *outgoing_free(struct outgoing *o);
void outgoing_set_folder(struct outgoing *o, const char *path);
/* Number JSON (a reference is taken), keep it, send it through C; C NULL: the agent is away, it is
 * saved instead. -E2BIG: too large, nothing happened. RET_STORED, RET_SEQ may be NULL. */
int outgoing_add(struct outgoing *o, struct ipc *c, json_t *json, const void *body, size_t len,
		 const bool **ret_stored, int64_t *ret_seq);
/* The agent has SEQ on its disk. */
void outgoing_stored(struct outgoing *o, int64_t seq);
void outgoing_stored_up_to(struct outgoing *o, int64_t seq);
bool outgoing_has_stored(const struct outgoing *o, int64_t seq);
bool outgoing_was_resent(const struct outgoing *o, int64_t seq);
size_t outgoing_unstored(const struct outgoing *o);
/* The agent is away: all it has not stored goes to result.json, which counts as stored. -ENOENT:
 * the job's folder is gone. */
int outgoing_save(struct outgoing *o);
/* Nobody will ask for it any more: it counts as stored. */
void outgoing_let_go(struct outgoing *o);
/* It is back: all of that again, in order; result.json goes when it has the last one. */
void outgoing_resend(struct outgoing *o, struct ipc *c);

#endif
