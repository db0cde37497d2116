/* SPDX-License-Identifier: Apache-2.0 */
/* A journal as a dying machine may leave it: what is read was written like that. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/agent/jobstore.h"
#include "core/agent/journal.h"

static int
memory_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	return fd;
}

/* The same bytes, unless another version wrote them. */
static void
check_frame(const struct frame *f, const uint8_t *data, size_t len)
{
	struct sbuf b = SBUF_INIT(JOBSTORE_RECORD_MAX + FRAME_HEAD);

	FUZZ_CHECK(f->len <= JOBSTORE_RECORD_MAX && f->content[f->len] == '\0');
	FUZZ_CHECK(frame_add(&b, f->type, f->content, f->len) == 0);
	FUZZ_CHECK(b.len == len);
	if (f->version == FRAME_VERSION)
		FUZZ_CHECK(memcmp(b.p, data, len) == 0);
	sbuf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoclose int fd = memory_file(data, size);
	int64_t at = 0, before = 0;
	struct frame f = { 0 };
	int r;

	while ((r = frame_read(fd, (int64_t)size, &at, &f)) == 1) {
		FUZZ_CHECK(at > before && at <= (int64_t)size);
		check_frame(&f, data + before, (size_t)(at - before));
		frame_done(&f);
		before = at;
	}
	FUZZ_CHECK(r == 0 ? at == (int64_t)size : r == -EBADMSG);
	at = frame_find(fd, (int64_t)size, before);
	FUZZ_CHECK(at == -1 || (at >= before && at + (int64_t)FRAME_HEAD <= (int64_t)size));
	return 0;
}
