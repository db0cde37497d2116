/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a session on disk. */
#include "plugins/sessionManager/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/keep.h"

int
logfile_open(struct logfile *f, const struct keep *k, struct err *e)
{
	*f = (struct logfile){ .fd = -1, .folder = -1, .max_bytes = k->max_bytes };
	f->fd = keep_file(k, KEEP_LOG, &f->folder, e);
	if (f->fd < 0)
		return f->fd;
	f->name = keep_name(k, KEEP_LOG);
	return 0;
}

static int
append(struct logfile *f, const void *p, size_t len)
{
	int r = fs_write_all(f->fd, p, len);

	if (r < 0)
		f->error = r;
	else
		f->len += len;
	return r;
}

/* The last line is beyond the ceiling: one who reads the log has to know. */
static int
end_here(struct logfile *f)
{
	autofree char *line =
		xasprintf("\r\n--- the log ends here: it has %" PRIu64 " bytes, which "
			  "is all that it may have ---\r\n",
			  f->len);

	(void)append(f, line, strlen(line));
	f->error = -EFBIG;
	return f->error;
}

int
logfile_add(struct logfile *f, const void *p, size_t len)
{
	uint64_t room = f->max_bytes > f->len ? f->max_bytes - f->len : 0;
	int r;

	if (f->fd < 0)
		return -EBADF;
	if (f->error)
		return f->error;
	r = append(f, p, len < room ? len : (size_t)room);
	return r < 0 ? r : len > room ? end_here(f) : 0;
}

ssize_t
logfile_read(const struct logfile *f, uint64_t at, size_t len, struct sbuf *out)
{
	autofree char *block = xmalloc(len);
	ssize_t n = pread(f->fd, block, len, (off_t)at);

	if (n < 0)
		return -errno;
	return n > 0 && sbuf_add(out, block, (size_t)n) < 0 ? out->err : n;
}

int
logfile_reader(const struct logfile *f)
{
	int fd = openat(f->folder, f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void
logfile_remove(struct logfile *f)
{
	if (f->folder >= 0)
		(void)unlinkat(f->folder, f->name, 0);
}

void
logfile_close(struct logfile *f)
{
	mem_cleanup_fd(&f->fd);
	mem_cleanup_fd(&f->folder);
	free(TAKE(f->name));
}
