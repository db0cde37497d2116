/* SPDX-License-Identifier: Apache-2.0 */
/* How a record looks on disk: 12 bytes of header, then the content.
 *
 *  0  2  "SJ"
 *  2  1  format version
 *  3  1  type
 *  4  4  length of the content, little endian
 *  8  4  CRC-32C of bytes 0..7 and the content, little endian
 */
#ifndef SSM_AGENT_JOURNAL_H
#define SSM_AGENT_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/list.h"
#include "core/base/sbuf.h"

#define FRAME_HEAD 12u
#define FRAME_VERSION 1u

struct frame {
	unsigned version, type;
	char *content; /* NUL-ended, owned */
	size_t len;
};
void frame_done(struct frame *f);
/* Append a record; 0 or the buffer's error. */
int frame_add(struct sbuf *b, unsigned type, const void *content, size_t len);
/* The record at *AT of FD, which has SIZE bytes: 1 and *AT behind it, 0 at the end; -EBADMSG when
 * there is none that can be read; other -errno of reading. */
int frame_read(int fd, int64_t size, int64_t *at, struct frame *ret);
/* Where after AT a good record starts, or -1. */
int64_t frame_find(int fd, int64_t size, int64_t at);

#endif
