/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is full, for a process that has this library preloaded: below $SSM_FULL_BELOW nothing
 * can be written while the file $SSM_FULL_FLAG exists, but into the room that removing the reserve
 * gives back. What is there already can be read, synced and removed. */
#undef _FILE_OFFSET_BITS /* both widths are defined here */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESERVE_BYTES 262144
#define BLOCK_BYTES 4096

static long room;
static char below[PATH_MAX], flag[PATH_MAX];

/* The process may clear its environment later. */
__attribute__((constructor)) static void
take_settings(void)
{
	const char *b = secure_getenv("SSM_FULL_BELOW"), *f = secure_getenv("SSM_FULL_FLAG");

	snprintf(below, sizeof(below), "%s", b && f ? b : "");
	snprintf(flag, sizeof(flag), "%s", f ? f : "");
}

static void *
next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* Is the disk of FD (or, with AT_FDCWD or an absolute NAME, of NAME) the full one? */
static int
is_full(int fd, const char *name)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	if (!*below || access(flag, F_OK) < 0)
		return 0;
	if (name && (*name == '/' || fd == AT_FDCWD))
		return strncmp(name, below, strlen(below)) == 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	return n > 0 && (size_t)n >= strlen(below) && strncmp(path, below, strlen(below)) == 0;
}

/* -1 and ENOSPC, or 0 when BYTES still fit. */
static int
take(int fd, const char *name, size_t bytes)
{
	if (!is_full(fd, name))
		return 0;
	if ((long)bytes > room) {
		errno = ENOSPC;
		return -1;
	}
	room -= (long)bytes;
	return 0;
}

#pragma GCC visibility push(default)

ssize_t
write(int fd, const void *data, size_t len)
{
	ssize_t (*real)(int, const void *, size_t) = next("write");

	return take(fd, NULL, len) < 0 ? -1 : real(fd, data, len);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
	ssize_t (*real)(int, const void *, size_t, off_t) = next("pwrite");

	return take(fd, NULL, len) < 0 ? -1 : real(fd, data, len, at);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off64_t at)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) = next("pwrite64");

	return take(fd, NULL, len) < 0 ? -1 : real(fd, data, len, at);
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	int (*real)(int, int, off_t, off_t) = next("fallocate");

	return take(fd, NULL, (size_t)len) < 0 ? -1 : real(fd, mode, at, len);
}

int
fallocate64(int fd, int mode, off64_t at, off64_t len)
{
	int (*real)(int, int, off64_t, off64_t) = next("fallocate64");

	return take(fd, NULL, (size_t)len) < 0 ? -1 : real(fd, mode, at, len);
}

int
mkdirat(int fd, const char *name, mode_t mode)
{
	int (*real)(int, const char *, mode_t) = next("mkdirat");

	return take(fd, name, BLOCK_BYTES) < 0 ? -1 : real(fd, name, mode);
}

static int
create(const char *call, int fd, const char *name, int flags, mode_t mode)
{
	int (*real)(int, const char *, int, ...) = next(call);

	if ((flags & O_CREAT) && faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    take(fd, name, BLOCK_BYTES) < 0)
		return -1;
	return real(fd, name, flags, mode);
}

static mode_t
mode_of(int flags, va_list ap)
{
	return flags & O_CREAT ? va_arg(ap, mode_t) : 0;
}

int
openat(int fd, const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return create("openat", fd, name, flags, mode);
}

int
openat64(int fd, const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return create("openat64", fd, name, flags, mode);
}

int
unlinkat(int fd, const char *name, int flags)
{
	int (*real)(int, const char *, int) = next("unlinkat");
	int r = real(fd, name, flags);

	if (r == 0 && strcmp(name, ".spare") == 0)
		room += RESERVE_BYTES;
	return r;
}
