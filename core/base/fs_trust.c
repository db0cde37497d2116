/* SPDX-License-Identifier: Apache-2.0 */
/* Is a path out of others' reach? Who may write to a folder can put links in the way of files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"

static bool
is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

static int
untrusted(struct err *e, const char *path, const char *why)
{
	return err_set(e, -EPERM, "'%s' is not trusted: %s", path, why);
}

/* Others may make entries in a folder like /tmp, but not replace ours. */
static int
check_folder(const char *path, bool last, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? -ENOENT : err_set(e, -errno, "'%s': %m", path);
	if (S_ISLNK(st.st_mode) && last)
		return untrusted(e, path, "it is a symbolic link");
	if (S_ISLNK(st.st_mode) && !is_ours(&st))
		return untrusted(e, path, "it is a symbolic link of another user (remove it)");
	if (stat(path, &st) < 0)
		return err_set(e, -errno, "'%s': %m", path);
	if (!S_ISDIR(st.st_mode))
		return untrusted(e, path, "it is not a folder");
	if (!is_ours(&st))
		return untrusted(e, path, "it belongs to another user (chown it)");
	if ((st.st_mode & 022) && (last || !(st.st_mode & S_ISVTX)))
		return untrusted(e, path, "others may write to it (chmod go-w it)");
	return 0;
}

int
fs_check_path(const char *path, const char *top, struct err *e)
{
	autofree char *part = xstrdup(path);
	size_t skip = top && strncmp(path, top, strlen(top)) == 0 ? strlen(top) : 0;

	for (char *p = part + skip; *p;) {
		char *end = p + strspn(p, "/");
		char cut;
		int r;

		end += strcspn(end, "/");
		cut = *end;
		*end = '\0';
		r = check_folder(part, end[cut ? 1 : 0] == '\0', e);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		*end = cut;
		p = end;
	}
	return 0;
}
