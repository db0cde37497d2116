/* SPDX-License-Identifier: Apache-2.0 */
/* The preloaded library: the log of what happens to the state's files, and the power cut in it. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/e2e/preload.h"

/* One entry: this head, the two paths below the root, the data. */
struct entry {
	uint32_t op, path_len, path2_len, pid;
	uint64_t ino;
	int64_t offset;
	uint64_t data_len;
};

static int lock_fd = -1;
static int saved_errno;

/* A high number: those below are counted upon by nobody else. */
static bool
open_lock(const struct setting *s)
{
	char path[300];
	int low;

	(void)snprintf(path, sizeof(path), "%s/lock", s->dir);
	low = (int)raw_open(path, O_RDWR | O_CREAT, 0600);
	if (low < 0)
		return false;
	lock_fd = fcntl(low, F_DUPFD_CLOEXEC, 500);
	(void)close(low);
	return lock_fd >= 0;
}

bool
log_begin(void)
{
	const struct setting *s = setting();

	if (!s || !s->root[0] || (lock_fd < 0 && !open_lock(s)))
		return false;
	saved_errno = errno;
	while (flock(lock_fd, LOCK_EX) < 0 && errno == EINTR)
		;
	errno = saved_errno;
	return true;
}

void
log_end(void)
{
	int saved = errno;

	(void)flock(lock_fd, LOCK_UN);
	errno = saved;
}

/* The number of the entry, over all processes. */
static long
next_number(void)
{
	long n = 0;

	if (pread(lock_fd, &n, sizeof(n), 0) != sizeof(n))
		n = 0;
	n++;
	/* Not through the wrapper of pwrite(), which would log it. */
	{
		const struct iovec v = { &n, sizeof(n) };

		if (pwritev(lock_fd, &v, 1, 0) < 0)
			return -1;
	}
	return n;
}

/* PATH of DIR, absolute; its part below the root, or NULL. */
static const char *
below_root(int dir, const char *path, char ret[1024])
{
	const char *root = setting()->root;
	size_t len = strlen(root);
	char link[64];
	ssize_t n = 0;

	if (path && path[0] == '/') {
		(void)snprintf(ret, 1024, "%s", path);
	} else {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
		n = readlink(dir == AT_FDCWD ? "/proc/self/cwd" : link, ret, 1023);
		if (n < 0)
			return NULL;
		ret[n] = '\0';
		if (path && strcmp(path, ".") != 0)
			(void)snprintf(ret + n, 1024 - (size_t)n, "/%s", path);
	}
	if (strncmp(ret, root, len) != 0 || (ret[len] != '/' && ret[len] != '\0'))
		return NULL;
	return ret[len] == '/' ? ret + len + 1 : ret + len;
}

static void
put(struct entry *e, const char *path, const char *path2, const void *data)
{
	const struct setting *s = setting();
	char file[300], head[2200];
	size_t at = sizeof(*e);
	long number = next_number();

	e->pid = (uint32_t)getpid();
	e->path_len = path ? (uint32_t)strlen(path) : 0;
	e->path2_len = path2 ? (uint32_t)strlen(path2) : 0;
	memcpy(head, e, sizeof(*e));
	if (path)
		memcpy(head + at, path, e->path_len);
	at += e->path_len;
	if (path2)
		memcpy(head + at, path2, e->path2_len);
	at += e->path2_len;
	(void)snprintf(file, sizeof(file), "%s/log", s->dir);
	raw_append(file, head, at);
	if (data)
		raw_append(file, data, e->data_len);
	if (s->cut > 0 && number >= s->cut)
		fault_die(true);
}

bool
log_exists(int dir, const char *path)
{
	struct stat st;
	int saved = errno;
	bool there = fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;

	errno = saved;
	return there;
}

void
log_name(int op, int dir, const char *path)
{
	struct entry e = { .op = (uint32_t)op };
	char text[1024];
	const char *name = below_root(dir, path, text);
	struct stat st;

	if (!name)
		return;
	if (op != LOG_UNLINK && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		e.ino = st.st_ino;
	put(&e, name, NULL, NULL);
}

void
log_rename(int dir, const char *path, int dir2, const char *path2)
{
	struct entry e = { .op = LOG_RENAME };
	char text[1024], text2[1024];
	const char *from = below_root(dir, path, text), *to = below_root(dir2, path2, text2);

	if (from && to)
		put(&e, from, to, NULL);
}

void
log_fd(int op, int fd, int64_t offset)
{
	struct entry e = { .op = (uint32_t)op, .offset = offset };
	char text[1024];
	struct stat st;

	if (!below_root(fd, NULL, text) || fstat(fd, &st) < 0)
		return;
	e.ino = st.st_ino;
	put(&e, NULL, NULL, NULL);
}

int64_t
log_place(int fd)
{
	char text[1024];
	struct stat st;
	int flags;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !below_root(fd, NULL, text))
		return -1;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_APPEND) ? st.st_size : lseek(fd, 0, SEEK_CUR);
}

/* Without DATA it came from a pipe, or in parts: the file has it. */
void
log_write_at(int fd, int64_t offset, const void *data, size_t len)
{
	struct entry e = { .op = LOG_WRITE, .offset = offset, .data_len = len };
	static char copy[1u << 20];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	e.ino = st.st_ino;
	if (!data) {
		char link[64];
		long in;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		in = raw_open(link, O_RDONLY, 0);
		len = len < sizeof(copy) ? len : sizeof(copy);
		if (in < 0 || pread((int)in, copy, len, offset) != (ssize_t)len)
			len = 0;
		if (in >= 0)
			(void)close((int)in);
		e.data_len = len;
		data = copy;
	}
	put(&e, NULL, NULL, data);
}

void
log_send(void)
{
	struct entry e = { .op = LOG_SEND };

	put(&e, "", NULL, NULL);
}
