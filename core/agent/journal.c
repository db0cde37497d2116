/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a journal: framing, reading, finding the next good one behind a damaged one. */
#include "core/agent/journal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/agent/jobstore.h"
#include "core/base/crc.h"
#include "core/base/mem.h"

static void
put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint32_t
get32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void
frame_done(struct frame *f)
{
	free(f->content);
	f->content = NULL;
}

int
frame_add(struct sbuf *b, unsigned type, const void *content, size_t len)
{
	unsigned char head[FRAME_HEAD] = { 'S', 'J', FRAME_VERSION, (unsigned char)type };

	put32(head + 4, (uint32_t)len);
	put32(head + 8, crc32c(crc32c(0, head, 8), content, len));
	(void)sbuf_add(b, head, sizeof(head));
	return sbuf_add(b, content, len);
}

/* LEN bytes at AT or an error; a shorter file is -EBADMSG. */
static int
read_at(int fd, void *p, size_t len, int64_t at)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, (char *)p + got, len - got, (off_t)at + (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		got += (size_t)n;
	}
	return 0;
}

static bool
head_ok(const unsigned char head[FRAME_HEAD], int64_t room)
{
	uint32_t len = get32(head + 4);

	return head[0] == 'S' && head[1] == 'J' && len <= JOBSTORE_RECORD_MAX &&
		(int64_t)len <= room;
}

int
frame_read(int fd, int64_t size, int64_t *at, struct frame *ret)
{
	unsigned char head[FRAME_HEAD];
	autofree char *content = NULL;
	size_t len;
	int r;

	if (*at >= size)
		return 0;
	if (size - *at < (int64_t)sizeof(head))
		return -EBADMSG;
	r = read_at(fd, head, sizeof(head), *at);
	if (r < 0)
		return r;
	if (!head_ok(head, size - *at - (int64_t)sizeof(head)))
		return -EBADMSG;
	len = get32(head + 4);
	content = try_malloc(len + 1);
	if (!content)
		return -ENOMEM;
	r = read_at(fd, content, len, *at + (int64_t)sizeof(head));
	if (r < 0)
		return r;
	if (crc32c(crc32c(0, head, 8), content, len) != get32(head + 8))
		return -EBADMSG;
	content[len] = '\0';
	*ret = (struct frame){ head[2], head[3], TAKE(content), len };
	*at += (int64_t)(sizeof(head) + len);
	return 1;
}

/* Candidates are tried by their CRC; there are few, for a head has to fit as well. */
int64_t
frame_find(int fd, int64_t size, int64_t at)
{
	char block[4096];

	while (size - at > (int64_t)FRAME_HEAD) {
		int64_t room = size - at;
		size_t len = room < (int64_t)sizeof(block) ? (size_t)room : sizeof(block);

		if (read_at(fd, block, len, at) < 0)
			return -1;
		for (size_t i = 0; i + 1 < len; i++) {
			struct frame f = { 0 };
			int64_t next = at + (int64_t)i;

			if (block[i] != 'S' || block[i + 1] != 'J')
				continue;
			if (frame_read(fd, size, &next, &f) == 1) {
				frame_done(&f);
				return at + (int64_t)i;
			}
		}
		at += (int64_t)len - 1; /* the pair may lie across two blocks */
	}
	return -1;
}
