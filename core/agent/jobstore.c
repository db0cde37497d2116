/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs' folders and journals: create, load, append, sync together, finish, prune.
 *
 * Records wait in memory until the sync that makes them durable, so that what belongs together is
 * one write and one wait for the disk. Only the first record of a job needs its folder and the
 * parent synced too.
 */
#include "core/agent/jobstore.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/journal.h"
#include "core/agent/seen.h"
#include "core/agent/statefiles.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"

#define NAME "journal"
#define PENDING_MAX (64u * 1024u * 1024u)

struct jobstore {
	int dirfd;
	bool passing;
	char *path;
	struct seen *seen;
	struct list dirty; /* journals with records in memory that wait for a sync */
	struct list open;
};

struct journal {
	struct list link, dirty_link;
	struct jobstore *store;
	char *id;
	int fd;
	int folder;  /* until it was synced, else -1 */
	bool fresh;  /* nothing of it is durable yet */
	bool in_memory;
	int64_t end; /* of what is in the file */
	struct sbuf pending;
	int result;
};

bool
jobstore_id_ok(const char *id)
{
	return strlen(id) <= JOBSTORE_ID_MAX && fs_is_plain_name(id);
}

/* EINVAL: a file system that cannot sync folders. */
static int
sync_folder(int fd)
{
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

/* The folders on the way, up to those that the package brings: with a name of theirs lost, all
 * below it would be. They may be new, and an agent before us may have died before this. */
static int
sync_parents(int dirfd)
{
	static const char *const up[] = { "..", "../..", "../../.." };
	int r = 0;

	for (size_t i = 0; i < NELEMS(up) && r == 0; i++) {
		autoclose int fd = openat(dirfd, up[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		/* Not ours to read, and not ours to make either. */
		if (fd < 0 && (errno == EACCES || errno == EPERM))
			break;
		r = fd < 0 ? -errno : sync_folder(fd);
	}
	return r;
}

static struct jobstore *
open_below(const char *path, const char *instance_id, bool passing, struct err *e)
{
	struct jobstore *s = xcalloc(1, sizeof(*s));

	s->dirfd = -1;
	s->passing = passing;
	list_init(&s->dirty);
	list_init(&s->open);
	if (!jobstore_id_ok(instance_id)) {
		(void)err_set(e, -EINVAL, "the instance id cannot name a folder");
		return jobstore_close(s);
	}
	s->path = xasprintf("%s/%s/jobs", path, instance_id);
	s->dirfd = fs_make_dirs(s->path, 0700, e);
	if (s->dirfd < 0 || fs_check_trusted(s->dirfd, s->path, true, e) < 0)
		return jobstore_close(s);
	s->seen = seen_open(s->dirfd, "seen", JOBSTORE_SEEN_MS, e);
	if (s->seen)
		return s;
	(void)err_prefix(e, "folder '%s'", s->path);
	return jobstore_close(s);
}

struct jobstore *
jobstore_open(const char *state_path, const char *instance_id, struct err *e)
{
	struct jobstore *s = open_below(state_path, instance_id, false, e);
	int r = s ? sync_parents(s->dirfd) : 0;

	if (r < 0)
		log_warn("jobs", "the folders above '%s' cannot be synced: %s", s->path,
			 strerror(-r));
	if (s)
		statefiles_spare_make(s->dirfd);
	return s;
}

struct jobstore *
jobstore_open_passing(const char *run_path, const char *instance_id, struct err *e)
{
	return open_below(run_path, instance_id, true, e);
}

bool
jobstore_is_passing(const struct jobstore *s)
{
	return s->passing;
}

struct jobstore *
jobstore_close(struct jobstore *s)
{
	if (!s)
		return NULL;
	assert(list_empty(&s->open));
	seen_close(s->seen);
	if (s->dirfd >= 0)
		close(s->dirfd);
	free(s->path);
	free(s);
	return NULL;
}

char *
jobstore_folder(const struct jobstore *s, const char *id)
{
	return xasprintf("%s/%s", s->path, id);
}

static int
failed(struct err *e, int code, const char *verb, const char *id)
{
	return err_set(e, code, "cannot %s the journal of job '%s': %s", verb, id,
		       strerror(code < 0 ? -code : code));
}

static struct journal *
journal_new(struct jobstore *s, const char *id, int fd, int folder)
{
	struct journal *j = xcalloc(1, sizeof(*j));

	j->store = s;
	j->id = xstrdup(id);
	j->fd = fd;
	j->folder = folder;
	j->fresh = folder >= 0;
	sbuf_init(&j->pending, PENDING_MAX);
	list_init(&j->dirty_link);
	list_append(&s->open, &j->link);
	return j;
}

static int
check_id(const char *id, struct err *e)
{
	if (jobstore_id_ok(id))
		return 0;
	return err_set(e, -EINVAL, "a job id must be 1 to %u of the characters A-Z a-z 0-9 . _ -",
		       JOBSTORE_ID_MAX);
}

/* An empty file for the journal of ID; *RET_FOLDER is its folder. */
static int
make_file(const struct jobstore *s, const char *id, int *ret_folder, struct err *e)
{
	autoclose int folder = fs_make_dir(s->dirfd, id, 0700, e), fd = -1;
	int error;

	if (folder < 0)
		return folder;
	fd = openat(folder, NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && fchmod(fd, 0600) == 0) {
		*ret_folder = TAKE_FD(folder);
		return TAKE_FD(fd);
	}
	error = errno;
	/* A half-made one would refuse the message for good when it comes again. */
	if (error != EEXIST)
		(void)unlinkat(folder, NAME, 0);
	return failed(e, -error, "make", id);
}

/* What is in the file goes on where no disk is needed. */
static int
into_memory(struct journal *j)
{
	autoclose int fd = memfd_create(NAME, MFD_CLOEXEC);
	off_t from = 0;

	if (fd < 0)
		return -errno;
	while (j->fd >= 0 && from < (off_t)j->end) {
		char block[4096];
		size_t left = (size_t)(j->end - from);
		ssize_t n = pread(j->fd, block, left < sizeof(block) ? left : sizeof(block), from);

		if (n <= 0 || fs_pwrite_all(fd, block, (size_t)n, from) < 0)
			return n < 0 ? -errno : -EIO;
		from += n;
	}
	if (j->fd >= 0)
		close(j->fd);
	j->fd = TAKE_FD(fd);
	j->in_memory = true;
	return 0;
}

struct journal *
jobstore_create(struct jobstore *s, const char *id, enum record type, const json_t *content,
		struct err *e)
{
	struct err why = { 0 };
	struct journal *j;
	int folder = -1, fd, r;

	if (check_id(id, e) < 0)
		return NULL;
	fd = make_file(s, id, &folder, &why);
	if (fd < 0 && (!s->passing || fd == -EEXIST)) {
		(void)err_set(e, why.code, "%s", err_text(&why));
		return NULL;
	}
	j = journal_new(s, id, fd, folder);
	r = fd < 0 ? into_memory(j) : 0;
	if (r < 0)
		(void)failed(e, r, "keep", id);
	else if (fd < 0)
		log_debug("jobs", "%s; it is in memory", err_text(&why));
	if (r == 0 && journal_append(j, type, content, NULL, e) == 0)
		return j;
	(void)journal_discard(j);
	jobstore_remove(s, id);
	return NULL;
}

/* An open journal file, checked; its folder is a real one. */
static int
open_journal(const struct jobstore *s, const char *id, int flags, int64_t *ret_size, struct err *e)
{
	autoclose int folder = -1, fd = -1;
	struct stat st;

	if (check_id(id, e) < 0)
		return -EINVAL;
	folder = fs_open_dir(s->dirfd, id, e);
	if (folder < 0)
		return folder;
	fd = openat(folder, NAME, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(e, errno, "open", id);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL,
			       "the journal of job '%s' is not a regular file: remove the folder",
			       id);
	*ret_size = st.st_size;
	return TAKE_FD(fd);
}

/* The record's object, or NULL when it is none. */
static json_t *
frame_json(const struct frame *f)
{
	json_t *v = json_parse(f->content, f->len, "a record", NULL);

	if (json_is_object(v))
		return v;
	json_decref(v);
	return NULL;
}

struct loading {
	struct journal *j;
	int64_t size, at;
	jobstore_record_fn *each;
	void *arg;
};

static int
load_one(struct loading *l, struct err *e)
{
	struct frame f = { 0 };
	int64_t start = l->at;
	autojson json_t *content = NULL;
	int r = frame_read(l->j->fd, l->size, &l->at, &f);

	if (r <= 0)
		return r;
	if (f.version > FRAME_VERSION || f.version == 0) {
		frame_done(&f);
		return err_set(e, -EPROTONOSUPPORT,
			       "the journal of job '%s' has format %u and this release reads up "
			       "to %u: install the later release again",
			       l->j->id, f.version, FRAME_VERSION);
	}
	content = frame_json(&f);
	if (l->each)
		l->each(l->arg, content ? f.type : RECORD_DAMAGED, content, start);
	frame_done(&f);
	return 1;
}

/* A torn tail is what a crash leaves of records nobody was told of. With good records behind it, it
 * is damage instead, and whoever reads must assume the worst of what stood there. */
static int
step_over(struct loading *l, struct err *e)
{
	int64_t next = frame_find(l->j->fd, l->size, l->at + 1);

	if (next >= 0) {
		log_warn("jobs", "the journal of job '%s' is damaged at byte %lld", l->j->id,
			 (long long)l->at);
		if (l->each)
			l->each(l->arg, RECORD_DAMAGED, NULL, l->at);
		l->at = next;
		return 1;
	}
	log_debug("jobs", "the journal of job '%s' has a torn tail: %lld bytes dropped", l->j->id,
		  (long long)(l->size - l->at));
	if (ftruncate(l->j->fd, (off_t)l->at) < 0)
		return failed(e, errno, "shorten", l->j->id);
	return 0;
}

int
journal_each(struct journal *j, jobstore_record_fn *each, void *arg, struct err *e)
{
	struct loading l = { .j = j, .size = j->end, .each = each, .arg = arg };
	int r;

	do
		r = load_one(&l, e);
	while (r > 0);
	return r < 0 ? failed(e, r, "read", j->id) : 0;
}

struct journal *
jobstore_load(struct jobstore *s, const char *id, jobstore_record_fn *each, void *arg,
	      struct err *e)
{
	struct loading l = { .each = each, .arg = arg };
	int fd = open_journal(s, id, O_RDWR, &l.size, e);
	int r;

	if (fd < 0)
		return NULL;
	l.j = journal_new(s, id, fd, -1);
	do {
		r = load_one(&l, e);
		if (r == -EBADMSG)
			r = step_over(&l, e);
		else if (r < 0 && r != -EPROTONOSUPPORT)
			(void)failed(e, r, "read", id);
	} while (r > 0);
	l.j->end = l.at;
	return r < 0 ? journal_discard(l.j) : l.j;
}

/* Without a name, and open as long as it is there. A copy of its descriptor. */
static int
find_in_memory(const struct jobstore *s, const char *id, int64_t *ret_size)
{
	list_each(it, tmp, &s->open) {
		const struct journal *j = list_entry(it, struct journal, link);

		if (!j->in_memory || strcmp(j->id, id) != 0)
			continue;
		*ret_size = j->end;
		return fcntl(j->fd, F_DUPFD_CLOEXEC, 0);
	}
	return -ENOENT;
}

json_t *
jobstore_read(const struct jobstore *s, const char *id, int64_t at, enum record *ret_type,
	      struct err *e)
{
	struct frame f = { 0 };
	int64_t size = 0;
	autoclose int fd = find_in_memory(s, id, &size);
	json_t *v;
	int r;

	if (fd < 0)
		fd = open_journal(s, id, O_RDONLY, &size, e);
	if (fd < 0)
		return NULL;
	r = at < 0 ? -EINVAL : frame_read(fd, size, &at, &f);
	if (r <= 0) {
		(void)failed(e, r ? r : -ENODATA, "read", id);
		return NULL;
	}
	v = frame_json(&f);
	if (!v)
		(void)failed(e, -EBADMSG, "read", id);
	else if (ret_type)
		*ret_type = f.type;
	frame_done(&f);
	return v;
}

int
journal_append(struct journal *j, enum record type, const json_t *content, int64_t *ret_at,
	       struct err *e)
{
	autofree char *text = json_text(content);
	size_t len = strlen(text);
	int64_t at = journal_size(j);

	if (len > JOBSTORE_RECORD_MAX)
		return err_set(e, -E2BIG, "a record of job '%s' has %zu bytes, the limit is %u",
			       j->id, len, JOBSTORE_RECORD_MAX);
	if (j->pending.len + len + FRAME_HEAD > PENDING_MAX)
		return err_set(e, -E2BIG, "too many records of job '%s' wait for the disk", j->id);
	(void)frame_add(&j->pending, type, text, len);
	if (list_empty(&j->dirty_link))
		list_append(&j->store->dirty, &j->dirty_link);
	if (ret_at)
		*ret_at = at;
	return 0;
}

bool
journal_in_memory(const struct journal *j)
{
	return j->in_memory;
}

bool
journal_dirty(const struct journal *j)
{
	return j->pending.len > 0;
}

int64_t
journal_size(const struct journal *j)
{
	return j->end + (int64_t)j->pending.len;
}

/* Half of what happened would mislead an agent after us: nothing is better. */
static int
leave_file(struct journal *j, int why)
{
	autofree char *name = xasprintf("%s/" NAME, j->id);
	int r = j->in_memory ? why : into_memory(j);

	if (r < 0)
		return r;
	log_debug("jobs", "cannot write the journal of job '%s': %s; it is in memory", j->id,
		  strerror(-why));
	(void)unlinkat(j->store->dirfd, name, 0);
	return fs_pwrite_all(j->fd, j->pending.p, j->pending.len, (off_t)j->end);
}

static int
write_out(struct journal *j)
{
	int r = fs_pwrite_all(j->fd, j->pending.p, j->pending.len, (off_t)j->end);

	bool full = r == -ENOSPC || r == -EDQUOT;

	if (r == 0)
		return 0;
	if (j->store->passing)
		return leave_file(j, r);
	/* A new command can be refused; the answer to one that ran must not be lost. */
	if (full && !j->fresh && statefiles_spare_free(j->store->dirfd))
		r = fs_pwrite_all(j->fd, j->pending.p, j->pending.len, (off_t)j->end);
	return r;
}

/* Write what is pending; the file is as before if that fails. */
static int
journal_write(struct journal *j)
{
	int r = j->pending.len > 0 ? write_out(j) : 0;

	/* Half a record that cannot be cut off is a torn tail, which the next write covers. */
	if (r < 0 && ftruncate(j->fd, (off_t)j->end) < 0)
		log_debug("jobs", "cannot shorten the journal of job '%s'", j->id);
	if (r == 0)
		j->end += (int64_t)j->pending.len;
	sbuf_reset(&j->pending);
	return r;
}

static int
journal_sync_one(struct journal *j, bool *ret_parent)
{
	int r = 0;

	if (!j->store->passing)
		r = fdatasync(j->fd) < 0 ? -errno : 0;
	if (r == 0 && !j->store->passing && j->folder >= 0) {
		r = sync_folder(j->folder);
		*ret_parent = true;
	}
	return r;
}

static void
settle(struct journal *j, int result)
{
	j->result = result;
	j->fresh = j->fresh && result < 0;
	list_remove(&j->dirty_link);
	if (result == 0 && j->folder >= 0)
		close(TAKE_FD(j->folder));
}

int
jobstore_sync_all(struct jobstore *s, struct err *e)
{
	bool parent = false, many = s->dirty.next->next != &s->dirty;
	int first = 0;

	list_each(it, tmp, &s->dirty) {
		struct journal *j = list_entry(it, struct journal, dirty_link);

		j->result = journal_write(j);
		/* All of them under way before the first wait. */
		if (many && j->result == 0 && !s->passing)
			(void)sync_file_range(j->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
	list_each(it, tmp, &s->dirty) {
		struct journal *j = list_entry(it, struct journal, dirty_link);

		if (j->result == 0)
			j->result = journal_sync_one(j, &parent);
	}
	if (parent)
		first = sync_folder(s->dirfd);
	list_each(it, tmp, &s->dirty) {
		struct journal *j = list_entry(it, struct journal, dirty_link);
		int r = j->result == 0 && j->folder >= 0 ? first : j->result;

		settle(j, r);
		if (r < 0 && (!e || e->code == 0))
			first = failed(e, r, "write", j->id);
	}
	return first;
}

void
jobstore_sync_folders(struct jobstore *s)
{
	bool fine = true, any = false;

	if (s->passing)
		return;
	list_each(it, tmp, &s->dirty) {
		struct journal *j = list_entry(it, struct journal, dirty_link);

		if (j->folder < 0)
			continue;
		any = true;
		fine = fine && sync_folder(j->folder) == 0;
	}
	if (!any || !fine || sync_folder(s->dirfd) < 0)
		return;
	list_each(it, tmp, &s->dirty) {
		struct journal *j = list_entry(it, struct journal, dirty_link);

		if (j->folder >= 0)
			close(TAKE_FD(j->folder));
	}
}

int
journal_sync(struct journal *j, struct err *e)
{
	bool parent = false;
	int r = journal_write(j);

	if (r == 0)
		r = journal_sync_one(j, &parent);
	if (r == 0 && parent)
		r = sync_folder(j->store->dirfd);
	settle(j, r);
	return r < 0 ? failed(e, r, "write", j->id) : 0;
}

void
journal_flush(struct journal *j)
{
	(void)journal_write(j);
}

int
journal_result(const struct journal *j)
{
	return j->result;
}

struct journal *
journal_close(struct journal *j)
{
	if (j)
		(void)journal_write(j);
	return journal_discard(j);
}

struct journal *
journal_discard(struct journal *j)
{
	if (!j)
		return NULL;
	list_remove(&j->link);
	list_remove(&j->dirty_link);
	close(j->fd);
	if (j->folder >= 0)
		close(j->folder);
	sbuf_done(&j->pending);
	free(j->id);
	free(j);
	return NULL;
}

bool
jobstore_seen(const struct jobstore *s, const char *id)
{
	return seen_has(s->seen, id);
}

void
jobstore_finish(struct jobstore *s, const char *id)
{
	seen_add(s->seen, id);
	if (s->passing)
		jobstore_remove(s, id);
}

int
jobstore_flush(struct jobstore *s, struct err *e)
{
	return seen_flush(s->seen, false, e);
}

char **
jobstore_list(struct jobstore *s)
{
	return statefiles_list(s->dirfd, s->seen);
}

void
jobstore_remove(struct jobstore *s, const char *id)
{
	struct err e = { 0 };

	if (jobstore_id_ok(id) && fs_remove_tree(s->dirfd, id, &e) < 0)
		log_warn("jobs", "%s", err_text(&e));
}

void
jobstore_prune(struct jobstore *s, int64_t max_bytes, int64_t max_files, int64_t max_age_ms)
{
	const struct statefiles_limits limits = { max_bytes, max_files, max_age_ms };
	struct err e = { 0 };

	if (statefiles_prune(s->dirfd, s->seen, &limits, &e) < 0)
		log_warn("jobs", "cannot prune '%s': %s", s->path, err_text(&e));
	if (!s->passing)
		statefiles_spare_make(s->dirfd);
}

bool
jobstore_has_reserve(const struct jobstore *s)
{
	return statefiles_spare_is_there(s->dirfd);
}
