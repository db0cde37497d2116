/* SPDX-License-Identifier: Apache-2.0 */
/* inotify says that something changed; each file is then read from where we were. */
#include "core/tool/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/text.h"

struct stream {
	int number;
	bool is_err, changed;
	char name[32];
	off_t at;
};

struct follow {
	int dirfd, inotify;
	struct stream *streams; /* by number, output before errors */
	size_t count;
	bool journal_changed;
};

/* "07.err" is 7, and true in *RET_ERR. 0: some other file. */
static int
stream_number(const char *name, bool *ret_err)
{
	char digits[12];
	const char *dot = strchr(name, '.');
	size_t len = dot ? (size_t)(dot - name) : 0;
	int64_t n;

	if (len < 2 || len >= sizeof(digits))
		return 0;
	memcpy(digits, name, len);
	digits[len] = '\0';
	*ret_err = strcmp(dot, ".err") == 0;
	if (!*ret_err && strcmp(dot, ".out") != 0)
		return 0;
	return text_to_i64(digits, 1, INT32_MAX, &n) == 0 ? (int)n : 0;
}

struct follow *
follow_new(const char *folder, struct err *e)
{
	struct follow *f = xcalloc(1, sizeof(*f));
	autofree char *path = NULL;

	f->inotify = -1;
	f->dirfd = fs_open_dir(AT_FDCWD, folder, e);
	if (f->dirfd < 0)
		return follow_free(f);
	f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	path = xasprintf("/proc/self/fd/%d", f->dirfd);
	if (f->inotify < 0 ||
	    inotify_add_watch(f->inotify, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) <
		    0) {
		err_set(e, -errno, "cannot watch '%s': %m", folder);
		return follow_free(f);
	}
	return f;
}

struct follow *
follow_free(struct follow *f)
{
	if (!f)
		return NULL;
	free(f->streams);
	mem_cleanup_fd(&f->inotify);
	mem_cleanup_fd(&f->dirfd);
	free(f);
	return NULL;
}

int
follow_fd(const struct follow *f)
{
	return f->inotify;
}

/* --------------------------------------------------------------- streams */

static struct stream *
find(const struct follow *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->streams[i].name, name) == 0)
			return &f->streams[i];
	return NULL;
}

static int
by_number(const void *a, const void *b)
{
	const struct stream *x = a, *y = b;

	return x->number != y->number ? (x->number < y->number ? -1 : 1) : x->is_err - y->is_err;
}

static void
add_stream(struct follow *f, const char *name, int number, bool is_err)
{
	struct stream *s;

	f->streams = xrealloc(f->streams, f->count + 1, sizeof(*f->streams));
	s = &f->streams[f->count++];
	*s = (struct stream){ .number = number, .is_err = is_err, .changed = true };
	memcpy(s->name, name, strlen(name) + 1); /* digits and a suffix: it fits */
}

static void
look_for_streams(struct follow *f, int only)
{
	int fd = openat(f->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		bool is_err = false;
		int number = stream_number(entry->d_name, &is_err);

		if (number > 0 && (only == 0 || number == only) && !find(f, entry->d_name))
			add_stream(f, entry->d_name, number, is_err);
	}
	if (d)
		closedir(d);
	if (f->count > 1)
		qsort(f->streams, f->count, sizeof(*f->streams), by_number);
}

/* Shorter than we were: the middle of it was cut out when the step ended, all of it was shown. */
static int
print_stream(const struct follow *f, struct stream *s)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	autoclose int fd = openat(f->dirfd, s->name, flags);
	int to = s->is_err ? STDERR_FILENO : STDOUT_FILENO;
	char buf[65536];
	struct stat st;

	s->changed = false;
	/* Gone: it was empty when its step ended. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (st.st_size < s->at)
		s->at = st.st_size;
	for (;;) {
		ssize_t n = pread(fd, buf, sizeof(buf), s->at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		r = fs_write_all(to, buf, (size_t)n);
		if (r < 0)
			return r;
		s->at += n;
	}
}

static int
print_all(struct follow *f)
{
	int r = 0;

	fflush(stdout);
	fflush(stderr);
	for (size_t i = 0; i < f->count && r == 0; i++)
		if (f->streams[i].changed)
			r = print_stream(f, &f->streams[i]);
	return r;
}

static void
note_change(struct follow *f, const char *name)
{
	struct stream *s = find(f, name);

	if (s)
		s->changed = true;
	if (strcmp(name, "journal") == 0)
		f->journal_changed = true;
}

static void
drain(struct follow *f)
{
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n;

	while ((n = read(f->inotify, buf, sizeof(buf))) > 0)
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *ev = (const void *)at;

			note_change(f, ev->len > 0 ? ev->name : "");
			at += sizeof(*ev) + ev->len;
		}
}

bool
follow_print(struct follow *f)
{
	drain(f);
	look_for_streams(f, 0);
	return print_all(f) == 0;
}

bool
follow_journal_changed(struct follow *f)
{
	bool changed = f->journal_changed;

	f->journal_changed = false;
	return changed;
}

int
follow_print_once(const char *folder, int number, struct err *e)
{
	struct follow *f = follow_new(folder, e);
	int r;

	if (!f)
		return e->code;
	look_for_streams(f, number);
	r = f->count == 0 ? -ENOENT : print_all(f);
	if (r == -ENOENT)
		err_set(e, r, "nothing was written");
	else if (r < 0)
		err_set(e, r, "cannot print it: %s", strerror(-r));
	follow_free(f);
	return r;
}

int
follow_last_number(const char *folder)
{
	struct follow *f = follow_new(folder, NULL);
	int last = 0;

	if (!f)
		return 0;
	look_for_streams(f, 0);
	if (f->count > 0)
		last = f->streams[f->count - 1].number;
	follow_free(f);
	return last;
}
