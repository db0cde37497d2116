/* SPDX-License-Identifier: Apache-2.0 */
/* AgentMessage, the binary frame of both ssmmessages channels (spec 02 §2). Pure code. */
#ifndef SSM_SESSIONMANAGER_FRAME_H
#define SSM_SESSIONMANAGER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

#define FRAME_HEADER_BYTES 120	      /* all before the payload, as we write it */
#define FRAME_MAX_BYTES (1024 * 1024) /* of a whole frame, either way; spec 02 §1.5 */
#define FRAME_TYPE_BYTES 32
#define FRAME_UUID_SIZE 37 /* lower-case hyphenated text and its NUL */

#define FRAME_SYN 1
#define FRAME_FIN 2

struct frame {
	char type[FRAME_TYPE_BYTES + 1];
	uint32_t schema;     /* 1 in all that is known */
	uint64_t created_ms; /* since the epoch */
	int64_t seq;	     /* not negative; 0 for all but stream messages */
	uint64_t flags;	     /* FRAME_SYN, FRAME_FIN */
	char id[FRAME_UUID_SIZE];
	uint32_t payload_type; /* 0 for all but stream messages */
	struct span payload;   /* into the bytes that were read; the caller's when written */
	bool intact;	       /* read: the payload is what its digest says */
};

/* Read the frame that is exactly the LEN bytes at DATA; RET's payload points into them. The length
 * of the payload must be right; a wrong digest is told, not refused: the reference agent does not
 * look at it (spec 02 §2.2), and there are clients that compute another one. An empty payload has
 * none to look at. Of start_publication and pause_publication, which may come with zeroed headers,
 * only the type counts and the payload is empty. 0, -EBADMSG, or -EMSGSIZE. */
int frame_read(const void *data, size_t len, struct frame *ret, struct err *e);

/* Append F to OUT, with length and digest of its payload. 0, -EINVAL for a type, id, date or
 * sequence number that no frame can carry, -EMSGSIZE, or -E2BIG when OUT cannot take all of it. OUT
 * is unchanged by every error. */
int frame_write(const struct frame *f, struct sbuf *out, struct err *e);

#endif
