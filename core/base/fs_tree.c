/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a tree of any depth with two open folders and without recursion.
 * Why like this: a command can leave a tree that is deeper than the number of descriptors or the
 * stack. What lies below a subfolder is moved up to the top of the tree, until all is flat. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"

#define MAX_PASSES 1000000

static void
cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define autodir __attribute__((cleanup(cleanup_dir)))

static DIR *
open_list(int parent, const char *name)
{
	autoclose int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d;

	if (fd < 0 && errno == EACCES && fs_allow_owner(parent, name) == 0)
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd >= 0 ? fdopendir(fd) : NULL;
	if (d)
		TAKE_FD(fd);
	return d;
}

/* Next entry besides "." and ".."; NULL with errno 0 at the end. */
static const char *
next_name(DIR *d)
{
	struct dirent *e;

	do {
		errno = 0;
		e = readdir(d);
	} while (e && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
	return e ? e->d_name : NULL;
}

/* unlink() of a folder is EISDIR on Linux, EPERM by POSIX. */
static bool
is_dir_error(int code)
{
	return code == EISDIR || code == EPERM;
}

/* Remove a file, a link or an empty folder. 0, 1 for a folder that holds something, -errno. */
static int
remove_simple(int parent, const char *name)
{
	int code;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	code = errno;
	if (!is_dir_error(code))
		return -code;
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return 1;
	return errno == ENOTDIR ? -code : -errno;
}

/* To a name at the top that is free; an empty folder of that name would be replaced, which is fine.
 * Without privilege a folder must itself be writable to be moved. */
static int
move_up(int from, const char *name, int top, unsigned *counter)
{
	bool tried = false;

	for (;;) {
		char up[32];

		(void)snprintf(up, sizeof(up), ".removing-%u", (*counter)++);
		if (renameat(from, name, top, up) == 0)
			return 0;
		if (errno == EACCES && !tried && fs_allow_owner(from, name) == 0)
			tried = true;
		else if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
			return -errno;
	}
}

/* A folder of ours that was made read-only, as module caches are. */
static int
make_writable(int fd)
{
	return fchmod(fd, 0700) < 0 ? -errno : 0;
}

/* Empty the folder NAME of TOP: files are removed, folders with content move up beside it. */
static int
flatten(int top, const char *name, unsigned *counter)
{
	autodir DIR *d = open_list(top, name);
	const char *entry;
	bool tried = false;
	int r;

	if (!d)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while ((entry = next_name(d)) != NULL) {
		r = remove_simple(dirfd(d), entry);
		if (r == 1)
			r = move_up(dirfd(d), entry, top, counter);
		if (r == -EACCES && !tried && make_writable(dirfd(d)) == 0) {
			tried = true;
			rewinddir(d);
			continue;
		}
		if (r < 0)
			return r;
	}
	return errno ? -errno : 0;
}

/* One walk over the top. 1 if it held something: entries that moved up may not have been seen. */
static int
pass(DIR *top, unsigned *counter)
{
	const char *entry;
	int found = 0;

	rewinddir(top);
	while ((entry = next_name(top)) != NULL) {
		int r = remove_simple(dirfd(top), entry);

		found = 1;
		if (r == 1)
			r = flatten(dirfd(top), entry, counter);
		if (r < 0)
			return r;
	}
	return errno ? -errno : found;
}

static int
empty(int parent, const char *name)
{
	autodir DIR *top = open_list(parent, name);
	unsigned counter = 0;
	int r = 1;

	if (!top)
		return errno == ENOENT ? 0 : -errno;
	for (int n = 0; r == 1; n++) {
		if (n == MAX_PASSES)
			return -EBUSY; /* somebody goes on filling it */
		r = pass(top, &counter);
		if (r == -EACCES && n == 0 && make_writable(dirfd(top)) == 0)
			r = 1;
	}
	return r;
}

int
fs_remove_tree(int dirfd, const char *name, struct err *e)
{
	int r = remove_simple(dirfd, name);

	if (r == 1) {
		r = empty(dirfd, name);
		if (r == 0)
			r = remove_simple(dirfd, name);
		if (r == 1)
			r = -ENOTEMPTY;
	}
	return r < 0 ? err_set(e, r, "cannot remove '%s': %s", name, strerror(-r)) : 0;
}
