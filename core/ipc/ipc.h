/* SPDX-License-Identifier: Apache-2.0 */
/* One connection between agent and host: SOCK_SEQPACKET, one JSON object a packet, bodies above
 * 32 KiB in a sealed memfd, descriptors beside. DESIGN section 9. */
#ifndef SSM_IPC_IPC_H
#define SSM_IPC_IPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

#define IPC_PACKET_MAX 65536u		  /* JSON text of one packet */
#define IPC_BODY_MAX (8u * 1024u * 1024u) /* body of one message */
#define IPC_FDS_MAX 3u			  /* descriptors of the sender beside the body's */
#define IPC_QUEUE_MAX (1024u * 1024u)	  /* bytes waiting to be sent before reading stops */

struct event_base;
struct ipc;

struct ipc_message {
	json_t *json;	  /* the object; borrowed for the call */
	const char *body; /* NULL when there is none, else NUL-ended */
	size_t body_len;
	int fds[IPC_FDS_MAX]; /* set an entry to -1 to keep it; others are closed after the call */
	size_t fd_count;
};
/* A message came. A negative result ends the connection with that error. */
typedef int ipc_message_fn(void *arg, struct ipc_message *m);
/* The peer is gone (ERR 0) or broke the rules (negative, TEXT says how). Called once; free it then
 * or later. */
typedef void ipc_end_fn(void *arg, int err, const char *text);

/* Takes FD (made non-blocking and CLOEXEC). */
struct ipc *ipc_new(struct event_base *base, int fd, ipc_message_fn *message, ipc_end_fn *end,
		    void *arg);
struct ipc *ipc_free(struct ipc *c); /* what is queued is lost; returns NULL */
/* Queue a message. Takes ownership of JSON, copies BODY, duplicates FDS. -EPIPE after the end,
 * -E2BIG. */
int ipc_send(struct ipc *c, json_t *json, const void *body, size_t len, const int *fds,
	     size_t fd_count);
size_t ipc_queued(const struct ipc *c); /* bytes waiting */
/* Stop and go on reading (back-pressure). */
void ipc_pause(struct ipc *c, bool paused);
int ipc_fd(const struct ipc *c);
/* A connected pair: [0] for the agent, [1] for the host; SO_SNDBUF 256 KiB. */
int ipc_pair(int ret_fds[2], struct err *e);
/* A sealed memfd holding DATA, and its bounded reading; for results that outlive a packet. */
int ipc_memfd(const void *data, size_t len, struct err *e);

#endif
