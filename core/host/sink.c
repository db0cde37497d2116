/* SPDX-License-Identifier: Apache-2.0 */
/* Pipe to file by splice(2), so that no byte passes through us. Beyond half of the ceiling the
 * second half of the file is a ring that holds the tail; sink_finish() turns it round. */
#include "core/host/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"

#define PIECE 65536u
#define PIECES_AT_ONCE 16
#define GAP_ROOM 80u /* the line between head and tail */

void
sink_init(struct sink *s, int fd, uint64_t max, sink_fn *fn, void *arg)
{
	off_t at = fd >= 0 ? lseek(fd, 0, SEEK_CUR) : -1;
	int flags = fd >= 0 ? fcntl(fd, F_GETFL) : 0;

	memset(s, 0, sizeof(*s));
	s->fd = fd;
	s->fn = fn;
	s->arg = arg;
	s->seekable = at >= 0 && !(flags & O_APPEND);
	s->base = at > 0 ? at : 0;
	/* Less than the line between them is no head and tail. */
	s->max = max && max < 4 * GAP_ROOM ? 4 * GAP_ROOM : max;
}

static uint64_t
head_bytes(const struct sink *s)
{
	return s->max / 2;
}

static uint64_t
ring_bytes(const struct sink *s)
{
	return s->max - head_bytes(s);
}

static void
note_failure(struct sink *s, int r)
{
	if (r < 0)
		s->failed = true;
}

/* A file that cannot be a ring (a pipe, say) keeps the head. */
static void
put_tail(struct sink *s, const char *data, size_t len)
{
	uint64_t ring = ring_bytes(s);

	if (!s->seekable)
		return;
	while (len) {
		uint64_t at = (s->total - head_bytes(s)) % ring;
		size_t n = len < ring - at ? len : (size_t)(ring - at);

		note_failure(s,
			     fs_pwrite_all(s->fd, data, n, s->base + (off_t)(head_bytes(s) + at)));
		s->total += n;
		data += n;
		len -= n;
	}
}

/* Whether it was taken. */
static bool
tell(struct sink *s, const char *data, size_t len)
{
	int r = s->fn && !s->failed ? s->fn(s->arg, data, len) : 0;

	if (r == -EAGAIN) {
		s->stopped = true;
		return false;
	}
	note_failure(s, r);
	s->total += len;
	return true;
}

void
sink_done(struct sink *s)
{
	free(s->held);
	s->held = NULL;
	s->held_len = 0;
}

static void
put(struct sink *s, const char *data, size_t len)
{
	uint64_t room = s->max ? head_bytes(s) - s->total : len;
	size_t n = s->max && s->total >= head_bytes(s) ? 0 : len;

	if (s->fd < 0) {
		if (tell(s, data, len))
			return;
		s->held = xmemdup(data, len);
		s->held_len = len;
		return;
	}
	if (s->max && n > room)
		n = (size_t)room;
	if (n && s->seekable)
		note_failure(s, fs_pwrite_all(s->fd, data, n, s->base + (off_t)s->total));
	else if (n)
		note_failure(s, fs_write_all(s->fd, data, n));
	s->total += n;
	if (n < len && s->seekable)
		put_tail(s, data + n, len - n);
	else
		s->total += len - n;
}

/* -EINVAL: this file cannot be spliced to. */
static ssize_t
splice_piece(struct sink *s, int pipe_fd)
{
	uint64_t want = 1u << 20;
	loff_t at = s->base + (loff_t)s->total;
	ssize_t n;

	if (s->max && head_bytes(s) - s->total < want)
		want = head_bytes(s) - s->total;
	n = splice(pipe_fd, NULL, s->fd, s->seekable ? &at : NULL, (size_t)want,
		   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n > 0)
		s->total += (uint64_t)n;
	return n < 0 ? -errno : n;
}

static bool
can_splice(const struct sink *s)
{
	return s->fd >= 0 && !s->no_splice && !s->failed && (!s->max || s->total < head_bytes(s));
}

static ssize_t
copy_piece(struct sink *s, int pipe_fd)
{
	static char buffer[PIECE];
	ssize_t n = read(pipe_fd, buffer, sizeof(buffer));

	if (n > 0)
		put(s, buffer, (size_t)n);
	return n < 0 ? -errno : n;
}

int
sink_take(struct sink *s, int pipe_fd)
{
	s->more = false;
	if (s->held && !s->stopped && tell(s, s->held, s->held_len))
		sink_done(s);
	for (int i = 0; i < PIECES_AT_ONCE && !s->stopped; i++) {
		ssize_t n = can_splice(s) ? splice_piece(s, pipe_fd) : copy_piece(s, pipe_fd);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			return 1;
		/* EINVAL: not that file; a full disk: the bytes are still in the pipe and have to
		 * go. */
		if (n == -EINVAL && !s->no_splice)
			s->no_splice = true;
		else if (n < 0 && can_splice(s))
			s->failed = true;
		else if (n <= 0)
			return (int)n;
	}
	s->more = !s->stopped;
	return s->stopped ? SINK_STOPPED : 1;
}

bool
sink_has_more(const struct sink *s)
{
	return s->more;
}

/* Swap the N bytes at A with the N bytes that end at B_END, each mirrored. */
static int
swap_mirrored(int fd, off_t a, off_t b_end, size_t n)
{
	static char left[PIECE / 2], right[PIECE / 2];

	if (pread(fd, left, n, a) != (ssize_t)n ||
	    pread(fd, right, n, b_end - (off_t)n) != (ssize_t)n)
		return -EIO;
	for (size_t i = 0; i < n; i++) {
		char c = left[i];

		left[i] = right[n - 1 - i];
		right[n - 1 - i] = c;
	}
	if (fs_pwrite_all(fd, left, n, a) < 0 || fs_pwrite_all(fd, right, n, b_end - (off_t)n) < 0)
		return -EIO;
	return 0;
}

static int
mirror(int fd, off_t from, off_t to)
{
	while (to - from > 1) {
		size_t n = to - from > (off_t)PIECE ? PIECE / 2 : (size_t)(to - from) / 2;
		int r = swap_mirrored(fd, from, to, n);

		if (r < 0)
			return r;
		from += (off_t)n;
		to -= (off_t)n;
	}
	return 0;
}

/* Turned in place by three mirrorings: no memory and no second file, whatever the size. The oldest
 * bytes of the tail give their room to the line. */
static int
turn_ring(struct sink *s)
{
	uint64_t ring = ring_bytes(s), at = (s->total - head_bytes(s)) % ring;
	off_t start = s->base + (off_t)head_bytes(s), end = start + (off_t)ring;
	char line[GAP_ROOM + 1];
	int r, n;

	r = mirror(s->fd, start, start + (off_t)at);
	if (r == 0)
		r = mirror(s->fd, start + (off_t)at, end);
	if (r == 0)
		r = mirror(s->fd, start, end);
	if (r < 0)
		return r;
	memset(line, '-', sizeof(line));
	n = snprintf(line, sizeof(line), "\n---%" PRIu64 " bytes left out",
		     s->total - s->max + GAP_ROOM);
	line[n] = '-';
	line[GAP_ROOM - 1] = '\n';
	return fs_pwrite_all(s->fd, line, GAP_ROOM, start);
}

void
sink_finish(struct sink *s)
{
	if (s->fd < 0 || !s->seekable)
		return;
	if (s->max && s->total > s->max)
		note_failure(s, turn_ring(s));
	/* Where the next writer of this descriptor goes on. */
	if (lseek(s->fd, 0, SEEK_END) < 0)
		s->failed = true;
}
