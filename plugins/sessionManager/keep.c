/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of what is kept of sessions. */
#include "plugins/sessionManager/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define LOOK_MAX 1000
#define NAME_MAX_BYTES 200
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=,@+-"

static bool
is_old(int dirfd, const char *name, int64_t now_ms, int64_t keep_ms)
{
	struct stat st;

	return (text_ends(name, KEEP_LOG) || text_ends(name, KEEP_CAST)) &&
		fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		now_ms - st.st_mtim.tv_sec * INT64_C(1000) >= keep_ms;
}

void
keep_tidy(int dirfd, int64_t now_ms, int64_t keep_ms)
{
	autoclose int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!d)
		return;
	fd = -1; /* it is the folder's now */
	for (int n = 0; n < LOOK_MAX && (entry = readdir(d)); n++)
		if (is_old(dirfd, entry->d_name, now_ms, keep_ms))
			(void)unlinkat(dirfd, entry->d_name, 0);
	closedir(d);
}

char *
keep_name(const struct keep *k, const char *end)
{
	return xasprintf("%s%s", k->session, end);
}

static int
open_folder(const char *path, struct err *e)
{
	autoclose int fd = fs_make_dirs(path, 0700, e);
	int r = fd < 0 ? fd : fs_check_trusted(fd, path, true, e);

	return r < 0 ? r : TAKE_FD(fd);
}

static bool
is_name(const char *session)
{
	size_t len = strlen(session);

	return len > 0 && len <= NAME_MAX_BYTES && *session != '.' &&
		strspn(session, NAME_LETTERS) == len;
}

int
keep_file(const struct keep *k, const char *end, int *ret_folder, struct err *e)
{
	autofree char *name = keep_name(k, end);
	autoclose int folder = -1;
	int fd;

	if (!is_name(k->session))
		return err_set(e, -EINVAL, "the name of the session cannot be one of a file");
	folder = open_folder(k->folder, e);
	if (folder < 0)
		return folder;
	keep_tidy(folder, clock_wall_ms(), k->keep_ms);
	fd = openat(folder, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return err_set(e, -errno, "%s/%s: %m", k->folder, name);
	*ret_folder = TAKE_FD(folder);
	return fd;
}
