/* SPDX-License-Identifier: Apache-2.0 */
/* The folders of jobs as a whole: listing, ceilings, the preallocated spare file. */
#include "core/agent/statefiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/jobstore.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"

#define SPARE ".spare"
#define SPARE_BYTES (256 * 1024)

struct folder {
	char *id;
	int64_t when_ns; /* listing: last change; pruning: the end, in ms */
	int64_t bytes, files;
};

struct folders {
	struct folder *v;
	size_t count, cap;
};

static void
folders_add(struct folders *f, const struct folder *one)
{
	if (f->count == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 64;
		f->v = xrealloc(f->v, f->cap, sizeof(*f->v));
	}
	f->v[f->count++] = *one;
}

static void
folders_done(struct folders *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->v[i].id);
	free(f->v);
}

static int
older(const void *a, const void *b)
{
	const struct folder *x = a, *y = b;

	if (x->when_ns != y->when_ns)
		return x->when_ns < y->when_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

typedef void entry_fn(void *arg, int dirfd, const char *name);

static int
each_entry(int dirfd, const char *folder, entry_fn *fn, void *arg)
{
	int fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!d) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			fn(arg, fd, de->d_name);
	closedir(d);
	return 0;
}

struct gather {
	struct folders folders;
	const struct seen *seen;
};

static void
list_entry_of(void *arg, int dirfd, const char *name)
{
	struct gather *g = arg;
	struct stat st;

	if (!jobstore_id_ok(name) || seen_has(g->seen, name) ||
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return;
	folders_add(&g->folders,
		    &(struct folder){ xstrdup(name),
				      st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec, 0,
				      0 });
}

char **
statefiles_list(int dirfd, const struct seen *seen)
{
	struct gather g = { .seen = seen };
	char **ids = NULL;

	(void)each_entry(dirfd, ".", list_entry_of, &g);
	if (g.folders.count > 0)
		qsort(g.folders.v, g.folders.count, sizeof(*g.folders.v), older);
	for (size_t i = 0; i < g.folders.count; i++)
		strv_add(&ids, g.folders.v[i].id);
	folders_done(&g.folders);
	return ids;
}

struct measure {
	int64_t bytes, files;
	int depth;
};

static void
measure_entry(void *arg, int dirfd, const char *name)
{
	struct measure *m = arg;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	m->files++;
	m->bytes += st.st_size;
	if (S_ISDIR(st.st_mode) && m->depth < 16) {
		m->depth++;
		(void)each_entry(dirfd, name, measure_entry, m);
		m->depth--;
	}
}

static void
finished_entry(void *arg, int dirfd, const char *name)
{
	struct gather *g = arg;
	struct measure m = { 0 };

	if (!jobstore_id_ok(name) || !seen_has(g->seen, name) ||
	    each_entry(dirfd, name, measure_entry, &m) < 0)
		return;
	folders_add(&g->folders,
		    &(struct folder){ xstrdup(name), seen_when(g->seen, name), m.bytes, m.files });
}

static bool
must_go(const struct folder *f, const struct statefiles_limits *l, int64_t bytes, int64_t files,
	int64_t now_ms)
{
	return bytes > l->bytes || files > l->files || now_ms - f->when_ns > l->age_ms;
}

static int
remove_oldest(int dirfd, const struct folders *all, struct seen *seen,
	      const struct statefiles_limits *l, struct err *e)
{
	int64_t bytes = 0, files = 0, now = clock_wall_ms();
	int r = 0;

	for (size_t i = 0; i < all->count; i++) {
		bytes += all->v[i].bytes;
		files += all->v[i].files;
	}
	for (size_t i = 0; i < all->count; i++) {
		const struct folder *f = &all->v[i];
		int one;

		if (!must_go(f, l, bytes, files, now))
			break;
		/* Without the folder only this file knows that the command was run. */
		if (i == 0 && seen_flush(seen, true, e) < 0)
			return -EIO;
		one = fs_remove_tree(dirfd, f->id, r < 0 ? NULL : e);
		r = r < 0 ? r : one;
		bytes -= f->bytes;
		files -= f->files;
	}
	return r;
}

int
statefiles_prune(int dirfd, struct seen *seen, const struct statefiles_limits *l, struct err *e)
{
	struct gather g = { .seen = seen };
	int r = each_entry(dirfd, ".", finished_entry, &g);

	if (r < 0) {
		r = err_set(e, r, "%s", strerror(-r));
	} else if (g.folders.count > 0) {
		qsort(g.folders.v, g.folders.count, sizeof(*g.folders.v), older);
		r = remove_oldest(dirfd, &g.folders, seen, l, e);
	}
	folders_done(&g.folders);
	return r;
}

bool
statefiles_spare_is_there(int dirfd)
{
	struct stat st;

	return fstatat(dirfd, SPARE, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void
statefiles_spare_make(int dirfd)
{
	autoclose int fd = -1;

	if (statefiles_spare_is_there(dirfd))
		return;
	fd = openat(dirfd, SPARE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* Where blocks cannot be reserved, writing zeros would be no promise either. */
	if (fd >= 0 && fallocate(fd, 0, 0, SPARE_BYTES) < 0)
		(void)unlinkat(dirfd, SPARE, 0);
}

bool
statefiles_spare_free(int dirfd)
{
	if (unlinkat(dirfd, SPARE, 0) < 0)
		return false;
	log_warn("jobs",
		 "the disk is full: the reserve for answers is being used; free some space");
	return true;
}
