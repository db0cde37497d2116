/* SPDX-License-Identifier: Apache-2.0 */
/* Where a program's output goes: from its pipe to a file, once, in flat memory, head and tail when
 * there is too much. */
#ifndef SSM_HOST_SINK_H
#define SSM_HOST_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Takes bytes that are not for a file. -EAGAIN: not now, none was taken; else negative: no more of
 * them are wanted. */
typedef int sink_fn(void *arg, const void *data, size_t len);

#define SINK_STOPPED 2

struct sink {
	int fd; /* -1: fn */
	sink_fn *fn;
	void *arg;
	uint64_t max, total; /* bytes kept (0: all), bytes seen */
	off_t base;	     /* offset of our first byte */
	bool seekable, no_splice, failed;
	bool more;
	bool stopped; /* nothing is moved: set by anybody, and when FN said -EAGAIN */
	char *held;   /* what FN did not take */
	size_t held_len;
};

/* FD may be -1. MAX 0: everything is kept. A file is written from its present offset on. */
void sink_init(struct sink *s, int fd, uint64_t max, sink_fn *fn, void *arg);
/* Move what PIPE_FD holds now, what FN did not take before that. 1: more may come, 0: end of file,
 * SINK_STOPPED, -errno: the pipe is broken. A full disk does not stop the program: what cannot be
 * written is dropped, FAILED is set. */
int sink_take(struct sink *s, int pipe_fd);
/* The last sink_take() left off in the middle of what is there. */
bool sink_has_more(const struct sink *s);
/* Put the tail behind the head, in order, with a line between them that says what is missing. */
void sink_finish(struct sink *s);
void sink_done(struct sink *s); /* drops what FN did not take */

#endif
