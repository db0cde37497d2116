/* SPDX-License-Identifier: Apache-2.0 */
/* Files done safely: relative to a folder's fd, links never followed, written whole or not at all.
 * A DIRFD of AT_FDCWD means an absolute or cwd-relative path. */
#ifndef SSM_BASE_FS_H
#define SSM_BASE_FS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

/* Open a folder: O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC. fd or -errno. */
int fs_open_dir(int dirfd, const char *name, struct err *e);
/* Create if missing (exactly MODE whatever the umask) and open; an existing one must be a real
 * folder that belongs to us or root. */
int fs_make_dir(int dirfd, const char *name, mode_t mode, struct err *e);
/* Each missing component with MODE; returns an fd of the last. Links in existing parents are
 * followed, not in the last. */
int fs_make_dirs(const char *path, mode_t mode, struct err *e);
/* Whole regular file of at most MAX bytes, NUL-ended, caller frees. -ENOENT, -EFBIG, -ELOOP,
 * -EINVAL (not regular) ... */
int fs_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len, struct err *e);
/* The same of an open file (O_NONBLOCK, so that it was no FIFO that waited), from its offset on. */
int fs_read_fd(int fd, const char *shown_path, size_t max, char **ret, size_t *ret_len,
	       struct err *e);
/* Temporary file in the same folder, exactly MODE, write, fdatasync, rename, fsync of the folder.
 * SYNC false leaves out both syncs (state that may be lost). */
int fs_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		    bool sync, struct err *e);
/* All bytes, EINTR and short writes handled; 0 or -errno. */
int fs_write_all(int fd, const void *data, size_t len);
int fs_pwrite_all(int fd, const void *data, size_t len, off_t at);
/* Remove a tree below DIRFD; a missing one is fine. Links are removed, not followed. */
int fs_remove_tree(int dirfd, const char *name, struct err *e);
/* Mode 0700 for a folder of our own that nobody may even read now. 0 or -errno. */
int fs_allow_owner(int dirfd, const char *name);
/* Owned by root or our uid, not writable for group or others, regular (or a folder when DIR).
 * -EPERM with the reason. */
int fs_check_trusted(int fd, const char *shown_path, bool dir, struct err *e);
/* Each folder of PATH that is there, below TOP (NULL: from the root on), as above; a sticky one
 * like /tmp may stand before the last. -EPERM with the reason. */
int fs_check_path(const char *path, const char *top, struct err *e);
int fs_set_cloexec(int fd, bool on);
int fs_set_nonblock(int fd, bool on);
/* A name that may become one path component: 1..255 of [A-Za-z0-9._-], not starting with '.'. */
bool fs_is_plain_name(const char *s);

#endif
