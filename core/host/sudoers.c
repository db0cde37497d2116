/* SPDX-License-Identifier: Apache-2.0 */
/* A file that decides who is root: no moment at which it is incomplete, or writable for anybody.
 *
 * Why a link and not a rename: a rename would replace what an administrator has put there. */
#include "core/host/sudoers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/host/brief.h"

#define MODE 0440
#define CHECK_MS 10000
#define SAID_MAX 4096u

struct place {
	const char *base;   /* the last part of the path */
	char *folder, *tmp; /* sudo reads no file with a dot in its name */
	int dir;
};

static int
open_place(const char *path, struct place *p, struct err *e)
{
	const char *slash = strrchr(path, '/');

	if (!slash || !slash[1])
		return err_set(e, -EINVAL, "'%s' is no path of a file", path);
	p->base = slash + 1;
	p->folder = slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
	p->tmp = xasprintf("%s.new", p->base);
	p->dir = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0 && errno == ENOENT)
		return err_set(e, -ENOENT, "there is no folder '%s'", p->folder);
	if (p->dir < 0)
		return err_set(e, -errno, "cannot open folder '%s': %m", p->folder);
	return fs_check_trusted(p->dir, p->folder, true, e);
}

static void
close_place(struct place *p)
{
	if (p->dir >= 0 && p->tmp)
		(void)unlinkat(p->dir, p->tmp, 0);
	mem_cleanup_fd(&p->dir);
	mem_cleanup_free(&p->folder);
	mem_cleanup_free(&p->tmp);
}

static bool
is_taken(const struct place *p)
{
	struct stat st;

	return fstatat(p->dir, p->base, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A folder may give files another group than ours. */
static int
own(int fd)
{
	return geteuid() == 0 && fchown(fd, 0, 0) < 0 ? -errno : 0;
}

static int
write_new(const struct place *p, const char *user, struct err *e)
{
	autofree char *text = xasprintf("# User rules for %s\n%s ALL=(ALL) NOPASSWD:ALL\n", user,
					user);
	mode_t old = umask(0);
	autoclose int fd = -1;
	int r;

	(void)unlinkat(p->dir, p->tmp, 0); /* of somebody who was killed */
	fd = openat(p->dir, p->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
	r = fd < 0 ? -errno : own(fd);
	(void)umask(old);
	if (r == 0)
		r = fs_write_all(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? err_set(e, r, "cannot write '%s/%s': %s", p->folder, p->tmp, strerror(-r))
		     : 0;
}

static int
check_new(const struct place *p, char *const *check, struct err *e)
{
	autofree char *found = check && check[0] ? brief_find(check[0]) : NULL;
	autostrv char **argv = found ? strv_dup(check) : NULL;
	autosbuf struct sbuf said = SBUF_INIT(SAID_MAX);
	autofree char *shown = NULL;
	int status;

	if (!found)
		return 0;
	strv_addf(&argv, "%s/%s", p->folder, p->tmp);
	status = brief_run(argv, CHECK_MS, &said, e);
	if (status <= 0)
		return status;
	shown = text_escape_controls(sbuf_str(&said), strlen(sbuf_str(&said)));
	return err_set(e, -EINVAL, "'%s' does not like the file: %s", check[0], shown);
}

/* EEXIST: somebody was faster, whose file it is. */
static int
put_in_place(const struct place *p, struct err *e)
{
	if (linkat(p->dir, p->tmp, p->dir, p->base, 0) == 0) {
		(void)unlinkat(p->dir, p->tmp, 0);
		(void)fsync(p->dir);
		return 1;
	}
	return errno == EEXIST
		? 0
		: err_set(e, -errno, "cannot make '%s/%s': %m", p->folder, p->base);
}

bool
sudoers_place(const char *path, char *const *check, const char *user, struct sbuf *notes)
{
	struct place p = { .dir = -1 };
	struct err e = { 0, "" };
	int r = open_place(path, &p, &e);

	if (r == 0 && !is_taken(&p)) {
		r = write_new(&p, user, &e);
		if (r == 0)
			r = check_new(&p, check, &e);
		if (r == 0)
			r = put_in_place(&p, &e);
	}
	close_place(&p);
	if (r < 0)
		(void)sbuf_addf(notes, "no sudo for '%s': %s\n", user, err_text(&e));
	return r > 0;
}

void
sudoers_remove(const char *path)
{
	(void)unlink(path);
}
