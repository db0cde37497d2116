/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of finished jobs: loaded at start, appended to, written anew when half of it is over. */
#include "core/agent/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/jobstore.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define FILE_MAX (16u * 1024u * 1024u)
#define MINUTE_MS 60000

struct seen {
	int dirfd; /* borrowed */
	int fd;
	char *name;
	int64_t keep_ms;
	struct map *ids;   /* to the minute when, as a pointer */
	struct sbuf fresh; /* lines that are not in the file yet */
	size_t lines;	   /* in the file */
	bool synced;
	bool torn; /* a write failed: half a line may stand at the end */
};

static void *
from_ms(int64_t unix_ms)
{
	return (void *)(intptr_t)(unix_ms / MINUTE_MS);
}

static int64_t
to_ms(const void *value)
{
	return (int64_t)(intptr_t)value * MINUTE_MS;
}

static void
add_line(struct sbuf *b, const char *id, const void *when)
{
	(void)sbuf_addf(b, "%lld %s\n", (long long)to_ms(when) / 1000, id);
}

/* "1709622489 aws.ssm.…": anything else, as half a line after a crash, is passed over. */
static void
take_line(struct seen *s, char *line)
{
	char *id = strchr(line, ' ');
	int64_t secs;

	s->lines++;
	if (!id)
		return;
	*id++ = '\0';
	if (text_to_i64(line, 1, INT32_MAX * 60LL, &secs) == 0 && jobstore_id_ok(id))
		map_set(s->ids, id, from_ms(secs * 1000));
}

static int
load(struct seen *s, struct err *e)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r = fs_read(s->dirfd, s->name, FILE_MAX, &text, &len, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (char *p = text, *end; (end = memchr(p, '\n', len - (size_t)(p - text))); p = end + 1) {
		*end = '\0';
		take_line(s, p);
	}
	/* Behind half a line the next one would be lost with it. */
	if (len > 0 && text[len - 1] != '\n')
		(void)sbuf_addc(&s->fresh, '\n');
	return 0;
}

static bool
is_over(const struct seen *s, const char *id, const void *when, int64_t now_ms)
{
	struct stat st;

	if (now_ms - to_ms(when) <= s->keep_ms)
		return false;
	return fstatat(s->dirfd, id, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

static void
expire(struct seen *s)
{
	int64_t now = clock_wall_ms();
	const char *id;
	size_t iter = 0;
	void *when;

	while (map_next(s->ids, &iter, &id, &when)) {
		autofree char *name = NULL;

		if (map_len(s->ids) <= SEEN_MAX && !is_over(s, id, when, now))
			continue;
		name = xstrdup(id);
		(void)map_take(s->ids, name);
	}
}

static int
open_file(struct seen *s, struct err *e)
{
	if (s->fd >= 0)
		close(TAKE_FD(s->fd));
	s->fd = openat(s->dirfd, s->name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		       0600);
	if (s->fd < 0)
		return err_set(e, errno, "cannot open '%s': %s", s->name, strerror(errno));
	(void)fchmod(s->fd, 0600);
	return 0;
}

static int
rewrite(struct seen *s, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);
	const char *id;
	size_t iter = 0;
	void *when;
	int r;

	expire(s);
	while (map_next(s->ids, &iter, &id, &when))
		add_line(&b, id, when);
	r = fs_write_atomic(s->dirfd, s->name, sbuf_str(&b), b.len, 0600, true, e);
	if (r < 0)
		return r;
	s->lines = map_len(s->ids);
	s->torn = false;
	sbuf_reset(&s->fresh);
	return open_file(s, e);
}

struct seen *
seen_open(int dirfd, const char *name, int64_t keep_ms, struct err *e)
{
	struct seen *s = xcalloc(1, sizeof(*s));

	s->dirfd = dirfd;
	s->fd = -1;
	s->name = xstrdup(name);
	s->keep_ms = keep_ms;
	s->ids = map_new(NULL);
	sbuf_init(&s->fresh, FILE_MAX);
	if (load(s, e) < 0 || open_file(s, e) < 0)
		return seen_close(s);
	expire(s);
	return s;
}

struct seen *
seen_close(struct seen *s)
{
	if (!s)
		return NULL;
	if (s->fd >= 0) {
		(void)seen_flush(s, false, NULL);
		close(s->fd);
	}
	sbuf_done(&s->fresh);
	map_free(s->ids);
	free(s->name);
	free(s);
	return NULL;
}

bool
seen_has(const struct seen *s, const char *id)
{
	return map_get(s->ids, id) != NULL;
}

int64_t
seen_when(const struct seen *s, const char *id)
{
	return to_ms(map_get(s->ids, id));
}

void
seen_add(struct seen *s, const char *id)
{
	void *when = from_ms(clock_wall_ms());

	if (!when) /* a clock before 1970: it must be known all the same */
		when = from_ms(MINUTE_MS);
	map_set(s->ids, id, when);
	add_line(&s->fresh, id, when);
	if (map_len(s->ids) > SEEN_MAX)
		expire(s);
}

int
seen_flush(struct seen *s, bool sync, struct err *e)
{
	int r;

	if (s->fresh.err || s->torn || s->lines > 2 * map_len(s->ids) + 1024)
		return rewrite(s, e);
	if (s->fresh.len > 0) {
		r = fs_write_all(s->fd, s->fresh.p, s->fresh.len);
		s->torn = r < 0;
		if (r < 0)
			return err_set(e, r, "cannot write '%s': %s", s->name, strerror(-r));
		for (size_t i = 0; i < s->fresh.len; i++)
			s->lines += s->fresh.p[i] == '\n';
		sbuf_reset(&s->fresh);
		s->synced = false;
	}
	if (sync && !s->synced) {
		if (fdatasync(s->fd) < 0)
			return err_set(e, errno, "cannot sync '%s': %s", s->name, strerror(errno));
		s->synced = true;
	}
	return 0;
}

size_t
seen_len(const struct seen *s)
{
	return map_len(s->ids);
}
