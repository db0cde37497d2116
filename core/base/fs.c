/* SPDX-License-Identifier: Apache-2.0 */
/* Files done safely: folders, bounded reading, atomic writing, trust. */
#include "core/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* "cannot DO 'NAME': reason", with a hint where strerror() alone would puzzle. */
static int
failed(struct err *e, int code, const char *verb, const char *name)
{
	const char *why = strerror(code);

	if (code == ELOOP)
		why = "it is a symbolic link, and those are not followed here";
	return err_set(e, code, "cannot %s '%s': %s", verb, name, why);
}

/* The kernel answers ENOTDIR for a link as well: say which it is. */
static int
failed_dir(struct err *e, int code, const char *verb, int dirfd, const char *name)
{
	struct stat st;

	if (code == ENOTDIR && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(st.st_mode))
		code = ELOOP;
	return failed(e, code, verb, name);
}

int
fs_open_dir(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, DIR_FLAGS | O_NOFOLLOW);

	return fd >= 0 ? fd : failed_dir(e, errno, "open folder", dirfd, name);
}

/* chmod() through an O_PATH descriptor, which needs no right on the folder, and by /proc, because
 * fchmod() refuses those. */
int
fs_allow_owner(int dirfd, const char *name)
{
	autoclose int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	char path[64];

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid())
		return -EPERM;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, 0700) < 0 ? -errno : 0;
}

static int
open_new_dir(int dirfd, const char *name, mode_t mode, struct err *e)
{
	autoclose int fd = openat(dirfd, name, DIR_FLAGS | O_NOFOLLOW);

	/* A umask of 0700 left it without any right. */
	if (fd < 0 && errno == EACCES && fs_allow_owner(dirfd, name) == 0)
		fd = openat(dirfd, name, DIR_FLAGS | O_NOFOLLOW);
	if (fd < 0)
		return failed_dir(e, errno, "open new folder", dirfd, name);
	if (fchmod(fd, mode) < 0)
		return failed(e, errno, "set the mode of folder", name);
	return TAKE_FD(fd);
}

static int
open_old_dir(int dirfd, const char *name, struct err *e)
{
	autoclose int fd = fs_open_dir(dirfd, name, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return failed(e, errno, "look at folder", name);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, -EPERM,
			       "folder '%s' belongs to uid %u, not to root or uid %u: chown it",
			       name, (unsigned)st.st_uid, (unsigned)geteuid());
	return TAKE_FD(fd);
}

int
fs_make_dir(int dirfd, const char *name, mode_t mode, struct err *e)
{
	/* Nobody else gets in before fchmod() has set the mode that was asked for. */
	if (mkdirat(dirfd, name, 0700) == 0)
		return open_new_dir(dirfd, name, mode, e);
	if (errno != EEXIST)
		return failed(e, errno, "make folder", name);
	return open_old_dir(dirfd, name, e);
}

/* O_PATH: a parent that may be searched but not read is fine. */
static int
open_parent(int dirfd, const char *name, mode_t mode, struct err *e)
{
	int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return fs_make_dir(dirfd, name, mode, e);
	return failed(e, errno, "open folder", name);
}

int
fs_make_dirs(const char *path, mode_t mode, struct err *e)
{
	autofree char *copy = xstrdup(path);
	autoclose int at = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *name = copy + strspn(copy, "/");

	if (at < 0)
		return failed(e, errno, "open folder", *path == '/' ? "/" : ".");
	if (*path == '\0')
		return err_set(e, -ENOENT, "cannot make a folder with an empty name");
	if (*name == '\0')
		return fs_open_dir(AT_FDCWD, "/", e);
	for (;;) {
		size_t len = strcspn(name, "/");
		char *next = name + len + strspn(name + len, "/");
		bool last = *next == '\0';
		int fd;

		name[len] = '\0';
		fd = last ? fs_make_dir(at, name, mode, e) : open_parent(at, name, mode, e);
		if (fd < 0)
			return err_prefix(e, "'%s'", path), fd;
		if (last)
			return fd;
		close(at);
		at = fd;
		name = next;
	}
}

static int
read_more(int fd, char *p, size_t len, size_t *ret_got)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, p + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret_got = got;
	return 0;
}

/* A block of twice the size, the first LEN bytes kept. */
static int
double_block(char **p, size_t len, size_t *cap, size_t max)
{
	size_t bigger = *cap < max / 2 ? *cap * 2 : max;
	char *q = try_malloc(bigger + 1);

	if (!q)
		return -ENOMEM;
	memcpy(q, *p, len);
	wipe(*p, len);
	free(*p);
	*p = q;
	*cap = bigger;
	return 0;
}

/* HINT is the size by fstat(): 0 for files of /proc, and a file may grow while it is read. */
static int
read_all(int fd, size_t hint, size_t max, char **ret, size_t *ret_len)
{
	size_t cap = hint < 4096 ? 4096 : hint, len = 0, got = 0;
	autofree char *p = NULL;
	char one;
	int r;

	cap = cap < max ? cap : max;
	p = try_malloc(cap + 1);
	if (!p)
		return -ENOMEM;
	for (;;) {
		r = read_more(fd, p + len, cap - len, &got);
		if (r < 0)
			return r;
		len += got;
		if (len < cap)
			break;
		r = read_more(fd, &one, 1, &got);
		if (r < 0 || got == 0)
			break;
		if (cap == max)
			return -EFBIG;
		r = double_block(&p, len, &cap, max);
		if (r < 0)
			return r;
		p[len++] = one;
	}
	if (r < 0)
		return r;
	p[len] = '\0';
	*ret = TAKE(p);
	*ret_len = len;
	return 0;
}

static int
too_big(struct err *e, const char *name, size_t max)
{
	return err_set(e, -EFBIG, "cannot read '%s': it has more than %zu bytes, the limit", name,
		       max);
}

int
fs_read_fd(int fd, const char *shown_path, size_t max, char **ret, size_t *ret_len, struct err *e)
{
	struct stat st;
	size_t len = 0;
	int r;

	if (max > SSIZE_MAX - 1)
		max = SSIZE_MAX - 1;
	if (fstat(fd, &st) < 0)
		return failed(e, errno, "look at", shown_path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "cannot read '%s': it is not a regular file",
			       shown_path);
	if (st.st_size > (off_t)max)
		return too_big(e, shown_path, max);
	r = read_all(fd, (size_t)st.st_size, max, ret, &len);
	if (r == -EFBIG)
		return too_big(e, shown_path, max);
	if (r < 0)
		return failed(e, -r, "read", shown_path);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int
fs_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len, struct err *e)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. Regular files do not care. */
	autoclose int fd = openat(dirfd, name,
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return failed(e, errno, "read", name);
	return fs_read_fd(fd, name, max, ret, ret_len, e);
}

int
fs_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
fs_pwrite_all(int fd, const void *data, size_t len, off_t at)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

#define TMP_SIZE 32

/* A new file of a name that nobody guesses, open for writing; the fd or -errno. */
static int
create_temporary(int dir, char name[TMP_SIZE])
{
	for (unsigned tries = 0; tries < 100; tries++) {
		unsigned char r[8];
		char hex[2 * sizeof(r) + 1];
		int fd;

		rand_bytes(r, sizeof(r));
		r[0] = (unsigned char)(r[0] + tries);
		text_hex(r, sizeof(r), hex);
		(void)snprintf(name, TMP_SIZE, ".tmp-%s", hex);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
	}
	return -EEXIST;
}

struct content {
	const void *data;
	size_t len;
	mode_t mode;
	bool sync;
};

static int
fill(int fd, const struct content *c)
{
	int r = fs_write_all(fd, c->data, c->len);

	if (r < 0)
		return r;
	/* After writing, which would clear set-id bits; fchmod() does not know a umask. */
	if (fchmod(fd, c->mode) < 0)
		return -errno;
	return c->sync && fdatasync(fd) < 0 ? -errno : 0;
}

/* EINVAL: a file system that cannot sync folders. */
static int
sync_dir(int dir)
{
	return fsync(dir) < 0 && errno != EINVAL ? -errno : 0;
}

static int
write_and_rename(int dir, const char *base, const struct content *c)
{
	char tmp[TMP_SIZE];
	autoclose int fd = create_temporary(dir, tmp);
	int r;

	if (fd < 0)
		return fd;
	r = fill(fd, c);
	if (close(TAKE_FD(fd)) < 0 && r == 0 && errno != EINTR)
		r = -errno;
	if (r == 0 && renameat(dir, tmp, dir, base) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, tmp, 0);
	return r == 0 && c->sync ? sync_dir(dir) : r;
}

int
fs_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode, bool sync,
		struct err *e)
{
	const struct content c = { data, len, mode, sync };
	const char *slash = strrchr(name, '/');
	autofree char *parent = slash ? xstrndup(name, (size_t)(slash - name) + 1) : xstrdup(".");
	autoclose int dir = openat(dirfd, parent, DIR_FLAGS);
	int r = dir < 0 ? -errno : write_and_rename(dir, slash ? slash + 1 : name, &c);

	return r < 0 ? failed(e, -r, "write", name) : 0;
}

int
fs_check_trusted(int fd, const char *shown_path, bool dir, struct err *e)
{
	const char *what = dir ? "a folder" : "a regular file";
	struct stat st;

	if (fstat(fd, &st) < 0)
		return failed(e, errno, "look at", shown_path);
	if (dir ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
		return err_set(e, -EPERM, "'%s' is not trusted: it is not %s", shown_path, what);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, -EPERM,
			       "'%s' is not trusted: it belongs to uid %u, not to root or uid %u "
			       "(chown it)",
			       shown_path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 022)
		return err_set(e, -EPERM,
			       "'%s' is not trusted: mode %04o lets others write (chmod go-w it)",
			       shown_path, (unsigned)st.st_mode & 07777);
	return 0;
}

int
fs_set_cloexec(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0)
		return -errno;
	flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
	return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}

int
fs_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

bool
fs_is_plain_name(const char *s)
{
	size_t len = strlen(s);

	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";

	return len >= 1 && len <= 255 && *s != '.' && strspn(s, allowed) == len;
}
