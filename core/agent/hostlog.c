/* SPDX-License-Identifier: Apache-2.0 */
/* What a host prints: <run>/hosts/<job>.log, cut in place while the host goes on writing. */
#include "core/agent/hostlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"

#define CHECK_MIN_MS 200
#define CHECK_MAX_MS 10000

struct hostlog {
	int dirfd, fd;
	char *name;
	off_t last_size;
	int64_t wait_ms;
};

/* A nested job's id has slashes. */
static char *
file_name(const char *job_id)
{
	char *name = xasprintf("%s.log", job_id);

	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '~';
	return name;
}

static struct hostlog *
open_folder(const char *path, const char *job_id, struct err *e)
{
	struct hostlog *l = xcalloc(1, sizeof(*l));

	l->fd = -1;
	l->wait_ms = CHECK_MIN_MS;
	l->name = file_name(job_id);
	l->dirfd = fs_make_dirs(path, 0711, e);
	return l->dirfd < 0 ? hostlog_free(l) : l;
}

struct hostlog *
hostlog_reopen(const char *run_path, const char *job_id)
{
	autofree char *path = xasprintf("%s/hosts", run_path);
	struct hostlog *l = open_folder(path, job_id, NULL);
	struct stat st;

	if (!l)
		return NULL;
	l->fd = openat(l->dirfd, l->name,
		       O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (l->fd < 0 || fstat(l->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return hostlog_free(l);
	return l;
}

/* Without a name: an agent after this one does not find it. */
static int
in_memory(const char *name)
{
	autoclose int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0)
		return -1;
	return TAKE_FD(fd);
}

struct hostlog *
hostlog_new(const char *run_path, const char *job_id, struct err *e)
{
	autofree char *path = xasprintf("%s/hosts", run_path);
	struct hostlog *l = open_folder(path, job_id, e);

	if (!l)
		return NULL;
	(void)unlinkat(l->dirfd, l->name, 0);
	l->fd = openat(l->dirfd, l->name,
		       O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (l->fd < 0 && (errno == ENOSPC || errno == EDQUOT))
		l->fd = in_memory(l->name);
	if (l->fd < 0) {
		(void)err_set(e, errno, "cannot make '%s/%s': %s", path, l->name, strerror(errno));
		return hostlog_free(l);
	}
	return l;
}

struct hostlog *
hostlog_free(struct hostlog *l)
{
	if (!l)
		return NULL;
	if (l->fd >= 0)
		close(l->fd);
	if (l->dirfd >= 0)
		close(l->dirfd);
	free(l->name);
	free(l);
	return NULL;
}

struct hostlog *
hostlog_remove(struct hostlog *l)
{
	if (l)
		(void)unlinkat(l->dirfd, l->name, 0);
	return hostlog_free(l);
}

int
hostlog_fd(const struct hostlog *l)
{
	return l->fd;
}

static size_t
read_tail(const struct hostlog *l, off_t size, char *p)
{
	off_t from = size > HOSTLOG_TAIL ? size - HOSTLOG_TAIL : 0;
	ssize_t n = pread(l->fd, p, HOSTLOG_TAIL, from);

	return n > 0 ? (size_t)n : 0;
}

/* Looked at more often the faster it grows. */
int64_t
hostlog_check(struct hostlog *l)
{
	char tail[HOSTLOG_TAIL];
	struct stat st;
	size_t len;

	if (!l || fstat(l->fd, &st) < 0)
		return CHECK_MAX_MS;
	if (st.st_size - l->last_size > HOSTLOG_MAX / 16)
		l->wait_ms = CHECK_MIN_MS;
	else if (l->wait_ms < CHECK_MAX_MS)
		l->wait_ms *= 2;
	if (l->wait_ms > CHECK_MAX_MS)
		l->wait_ms = CHECK_MAX_MS;
	l->last_size = st.st_size;
	if (st.st_size <= HOSTLOG_MAX)
		return l->wait_ms;
	len = read_tail(l, st.st_size, tail);
	if (ftruncate(l->fd, 0) == 0)
		(void)fs_write_all(l->fd, tail, len);
	l->last_size = 0;
	return l->wait_ms;
}

char *
hostlog_tail(const struct hostlog *l)
{
	char *p = xcalloc(1, HOSTLOG_TAIL + 1);
	struct stat st;

	if (l && fstat(l->fd, &st) == 0)
		p[read_tail(l, st.st_size, p)] = '\0';
	return p;
}
