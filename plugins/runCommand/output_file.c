/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a command's output: numbered by us, since no text of a document becomes a file name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "plugins/runCommand/output.h"

#define COPY_BYTES 65536
#define INDEX_LINES_MAX (1u << 20)
#define SHRINK_MIN_BYTES 1024 /* the note must have room */

struct output {
	int dirfd;
	char *folder;
	char **keys; /* the pair of keys[i] has number i + 1 */
};

struct output *
output_new(const char *folder, struct err *e)
{
	struct output *o = xcalloc(1, sizeof(*o));

	o->folder = xstrdup(folder);
	o->dirfd = fs_open_dir(AT_FDCWD, folder, e);
	return o->dirfd < 0 ? output_free(o) : o;
}

struct output *
output_free(struct output *o)
{
	if (!o)
		return NULL;
	if (o->dirfd >= 0)
		close(o->dirfd);
	o->keys = strv_free(o->keys);
	free(o->folder);
	free(o);
	return NULL;
}

static void
add_index_line(struct sbuf *b, int number, const char *key)
{
	const char *folder = strchr(key, '\n');
	size_t len = folder ? (size_t)(folder - key) : strlen(key);

	(void)sbuf_addf(b, "{\"number\":%d,\"action\":", number);
	(void)json_add_string_go(b, key, len);
	(void)sbuf_adds(b, ",\"step\":");
	folder = folder ? folder + 1 : "";
	(void)json_add_string_go(b, folder, strlen(folder));
	(void)sbuf_adds(b, "}\n");
}

/* A command of one pair, as most are, has no need of it. */
static void
note_in_index(struct output *o, int number)
{
	autosbuf struct sbuf b = SBUF_INIT(INDEX_LINES_MAX);
	autoclose int fd = -1;

	if (number < 2)
		return;
	if (number == 2)
		add_index_line(&b, 1, o->keys[0]);
	add_index_line(&b, number, o->keys[number - 1]);
	fd = openat(o->dirfd, OUTPUT_INDEX,
		    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC |
			    (number == 2 ? O_TRUNC : 0),
		    0600);
	if (fd >= 0 && !b.err)
		(void)fs_write_all(fd, b.p, b.len);
}

static int
number_of(struct output *o, const char *key)
{
	int n = 0;

	for (; o->keys && o->keys[n]; n++)
		if (strcmp(o->keys[n], key) == 0)
			return n + 1;
	strv_add(&o->keys, key);
	return n + 1;
}

void
output_reserve(struct output *o, const char *key)
{
	(void)number_of(o, key);
}

static void
file_name(int number, const char *suffix, char ret[32])
{
	(void)snprintf(ret, 32, "%02d.%s", number, suffix);
}

/* Not O_APPEND: who keeps within a limit writes where it wants. */
static int
open_stream(const struct output *o, int number, const char *suffix, struct err *e)
{
	char name[32];
	int fd;

	file_name(number, suffix, name);
	fd = openat(o->dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, -errno, "cannot open '%s/%s': %m; the step's output goes there",
			       o->folder, name);
	if (lseek(fd, 0, SEEK_END) < 0) {
		int r = err_set(e, -errno, "cannot use '%s/%s': %m", o->folder, name);

		close(fd);
		return r;
	}
	return fd;
}

int
output_open(struct output *o, const char *key, struct output_pair *ret, struct err *e)
{
	size_t known = strv_len(o->keys);
	int number = number_of(o, key);
	autoclose int out = open_stream(o, number, "out", e);
	int err;

	if (out < 0)
		return out;
	err = open_stream(o, number, "err", e);
	if (err < 0)
		return err;
	if ((size_t)number > known)
		note_in_index(o, number);
	*ret = (struct output_pair){ number, TAKE_FD(out), err };
	return 0;
}

/* ------------------------------------------------------------- shrinking */

/* LEN bytes from FROM to the earlier TO. */
static int
move_down(int fd, off_t from, off_t to, uint64_t len, struct err *e)
{
	autofree char *buf = xmalloc(COPY_BYTES);

	while (len > 0) {
		ssize_t n = pread(fd, buf, len < COPY_BYTES ? (size_t)len : COPY_BYTES, from);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_set(e, -errno, "cannot read output: %m") : 0;
		r = fs_pwrite_all(fd, buf, (size_t)n, to);
		if (r < 0)
			return err_set(e, r, "cannot write output: %s", strerror(-r));
		from += n;
		to += n;
		len -= (uint64_t)n;
	}
	return 0;
}

int
output_shrink(int fd, uint64_t max_bytes, struct err *e)
{
	struct stat st;
	uint64_t size, head, tail;
	char note[96];
	int len, r;

	if (fstat(fd, &st) < 0)
		return err_set(e, -errno, "cannot look at output: %m");
	size = (uint64_t)st.st_size;
	if (max_bytes < SHRINK_MIN_BYTES)
		max_bytes = SHRINK_MIN_BYTES;
	if (size <= max_bytes)
		return 0;
	len = snprintf(note, sizeof(note), "\n--- %llu bytes left out ---\n",
		       (unsigned long long)(size - max_bytes));
	head = max_bytes / 2 - (uint64_t)len;
	tail = max_bytes / 2;
	r = fs_pwrite_all(fd, note, (size_t)len, (off_t)head);
	if (r < 0)
		return err_set(e, r, "cannot write output: %s", strerror(-r));
	r = move_down(fd, (off_t)(size - tail), (off_t)head + len, tail, e);
	if (r == 0 && ftruncate(fd, (off_t)head + len + (off_t)tail) < 0)
		r = err_set(e, -errno, "cannot shorten output: %m");
	return r;
}

/* ------------------------------------------------------------- the texts */

static int
read_head(int fd, struct sbuf *b, struct err *e)
{
	char buf[4096];
	off_t at = 0;

	while (at < OUTPUT_HEAD_BYTES) {
		ssize_t n = pread(fd, buf, sizeof(buf), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "cannot read output: %m");
		if (n == 0)
			break;
		sbuf_add(b, buf, (size_t)n);
		at += n;
	}
	return 0;
}

static int
finish_stream(struct output *o, int number, const char *suffix, int fd, uint64_t max_bytes,
	      struct output_text *ret, struct err *e)
{
	struct stat st;
	char name[32];
	int r;

	if (fstat(fd, &st) < 0)
		return err_set(e, -errno, "cannot look at output: %m");
	ret->total = (uint64_t)st.st_size;
	file_name(number, suffix, name);
	if (st.st_size == 0) {
		(void)unlinkat(o->dirfd, name, 0);
		return 0;
	}
	r = read_head(fd, &ret->head, e);
	return r < 0 ? r : output_shrink(fd, max_bytes, e);
}

int
output_finish(struct output *o, struct output_pair *pair, uint64_t max_bytes,
	      struct output_text *ret_out, struct output_text *ret_err, struct err *e)
{
	autoclose int out = TAKE_FD(pair->out), err = TAKE_FD(pair->err);
	int r = finish_stream(o, pair->number, "out", out, max_bytes, ret_out, e);
	int r2 = finish_stream(o, pair->number, "err", err, max_bytes, ret_err, r < 0 ? NULL : e);

	return r < 0 ? r : r2;
}
