/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of a session's data channel (spec 02 §1): a token, a signed upgrade, the first
 * message; and again when it was lost, for as long as an outage may take. */
#ifndef SSM_SESSIONMANAGER_DIAL_H
#define SSM_SESSIONMANAGER_DIAL_H

#include <ssm_plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define DIAL_FIRST_TRIES 6		    /* before a session that never began fails */
#define DIAL_OUTAGE_MS (20 * 60 * 1000LL) /* a session lives on so long without its channel */

struct dial;

/* All come from the loop; each may call dial_free(). */
struct dial_ops {
	void (*up)(void *arg);	 /* open, its first message is sent */
	void (*down)(void *arg); /* after up(): lost; it is opened again */
	void (*message)(void *arg, const void *data, size_t len);
	void (*writable)(void *arg); /* after dial_send() said -EAGAIN */
	/* There will be none any more. ENDED: the service says that the session is over; else it
	 * could not be had, for the reason WHY. */
	void (*gone)(void *arg, bool ended, const char *why);
};

/* Begins at once. Never NULL. */
struct dial *dial_new(struct ssm *S, const char *session, const struct dial_ops *ops, void *arg);
struct dial *dial_free(struct dial *d); /* NULL; NULL is fine */

bool dial_is_up(const struct dial *d);
/* A binary message: 0, -EAGAIN, or -EPIPE while it is not open. */
int dial_send(struct dial *d, const void *p, size_t len);

#endif
