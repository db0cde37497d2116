/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/agent/jobstore.c, journal.c, seen.c, statefiles.c. DESIGN section 3. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/jobstore.h"
#include "core/agent/journal.h"
#include "core/agent/seen.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "tests/unit/suite.h"

#define IID "i-0123456789abcdef0"
#define JOB "aws.ssm.2b196342-d7d4-436e-8f09-3883a1116ac3.i-0123456789abcdef0"

static char *root;
static struct jobstore *store;

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");
	struct err e = { 0 };

	root = xasprintf("%s/t_jobstore.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(root));
	store = jobstore_open(root, IID, &e);
	ck_assert_msg(store != NULL, "%s", err_text(&e));
}

static void
teardown(void)
{
	store = jobstore_close(store);
	(void)fs_remove_tree(AT_FDCWD, root, NULL);
	free(root);
}

static void
reopen(void)
{
	struct err e = { 0 };

	jobstore_close(store);
	store = jobstore_open(root, IID, &e);
	ck_assert_msg(store != NULL, "%s", err_text(&e));
}

static char *
path_of(const char *id, const char *name)
{
	autofree char *folder = jobstore_folder(store, id);

	return xasprintf("%s/%s", folder, name);
}

static char *
slurp(const char *path, size_t *ret_len)
{
	char *text = NULL;
	struct err e = { 0 };

	ck_assert_msg(fs_read(AT_FDCWD, path, 64 << 20, &text, ret_len, &e) == 0, "%s",
		      err_text(&e));
	return text;
}

static void
spill(const char *path, const void *data, size_t len)
{
	ck_assert_int_eq(fs_write_atomic(AT_FDCWD, path, data, len, 0600, false, NULL), 0);
}

static json_t *
numbered(int n)
{
	return json_pack("{s:i,s:s}", "n", n, "text", "some words that make it longer");
}

static void
append(struct journal *j, enum record type, int n)
{
	autojson json_t *v = numbered(n);

	ck_assert_int_eq(journal_append(j, type, v, NULL, NULL), 0);
}

static struct journal *
create(const char *id)
{
	autojson json_t *v = numbered(1);
	struct err e = { 0 };
	struct journal *j = jobstore_create(store, id, RECORD_MESSAGE, v, &e);

	ck_assert_msg(j != NULL, "%s", err_text(&e));
	return j;
}

/* What a load found: the numbers in order, 0 for a damaged place. */
struct found {
	int n[64];
	enum record type[64];
	size_t count;
};

static void
note(void *arg, enum record type, const json_t *content, int64_t at)
{
	struct found *f = arg;

	ck_assert_int_ge(at, 0);
	ck_assert(type == RECORD_DAMAGED ? content == NULL : content != NULL);
	f->type[f->count] = type;
	f->n[f->count++] = (int)json_int(content, "n", 0);
}

static struct found
load(const char *id)
{
	struct found f = { .count = 0 };
	struct err e = { 0 };
	struct journal *j = jobstore_load(store, id, note, &f, &e);

	ck_assert_msg(j != NULL, "%s", err_text(&e));
	journal_close(j);
	return f;
}

START_TEST(test_round_trip)
{
	struct journal *j = create(JOB);
	int64_t at = 0;
	autojson json_t *v = numbered(2), *back = NULL;
	enum record type = 0;
	struct found f;

	ck_assert(journal_dirty(j));
	ck_assert_int_eq(journal_append(j, RECORD_REPLY, v, &at, NULL), 0);
	ck_assert_int_eq(journal_sync(j, NULL), 0);
	ck_assert(!journal_dirty(j));
	append(j, RECORD_END, 3);
	journal_close(j); /* writes, without a sync */
	f = load(JOB);
	ck_assert_uint_eq(f.count, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(f.n[i], i + 1);
	ck_assert_int_eq(f.type[1], RECORD_REPLY);
	ck_assert_int_eq(f.type[2], RECORD_END);
	back = jobstore_read(store, JOB, at, &type, NULL);
	ck_assert_int_eq(type, RECORD_REPLY);
	ck_assert(json_equal(back, v));
	ck_assert_ptr_null(jobstore_read(store, JOB, at + 1, NULL, NULL));
	ck_assert_ptr_null(jobstore_read(store, JOB, 1 << 20, NULL, NULL));
	ck_assert_ptr_null(jobstore_read(store, JOB, -1, NULL, NULL));
}
END_TEST

START_TEST(test_twice)
{
	autojson json_t *v = numbered(1);
	struct err e = { 0 };

	journal_close(create(JOB));
	ck_assert_ptr_null(jobstore_create(store, JOB, RECORD_MESSAGE, v, &e));
	ck_assert_int_eq(e.code, -EEXIST);
	ck_assert_uint_eq(load(JOB).count, 1);
}
END_TEST

START_TEST(test_ids)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "../x", "a b", ".hidden", "a\n" };
	autojson json_t *v = numbered(1);
	char longest[JOBSTORE_ID_MAX + 2];

	for (size_t i = 0; i < NELEMS(bad); i++) {
		struct err e = { 0 };

		ck_assert_ptr_null(jobstore_create(store, bad[i], RECORD_MESSAGE, v, &e));
		ck_assert_int_eq(e.code, -EINVAL);
		ck_assert_ptr_null(jobstore_load(store, bad[i], NULL, NULL, NULL));
		ck_assert_ptr_null(jobstore_read(store, bad[i], 0, NULL, NULL));
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert(!jobstore_id_ok(longest));
	longest[JOBSTORE_ID_MAX] = '\0';
	ck_assert(jobstore_id_ok(longest));
}
END_TEST

/* Discarded records are gone, closed ones are not. */
START_TEST(test_discard)
{
	struct journal *j = create(JOB);

	ck_assert_int_eq(journal_sync(j, NULL), 0);
	append(j, RECORD_CONFIRMED, 2);
	journal_discard(j);
	ck_assert_uint_eq(load(JOB).count, 1);
}
END_TEST

/* Cut at every byte: the whole records before the cut are there, and what is appended then is
 * found behind them. */
START_TEST(test_torn_tail)
{
	struct journal *j = create(JOB);
	autofree char *path = path_of(JOB, "journal"), *whole = NULL;
	size_t len, one;

	append(j, RECORD_STARTED, 2);
	append(j, RECORD_REPLY, 3);
	journal_close(j);
	whole = slurp(path, &len);
	one = len / 3;
	ck_assert_uint_eq(one * 3, len);
	for (size_t cut = 0; cut <= len; cut++) {
		struct found f;
		struct stat st;

		spill(path, whole, cut);
		f = load(JOB);
		ck_assert_uint_eq(f.count, cut / one);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq((size_t)st.st_size, cut / one * one);
		j = jobstore_load(store, JOB, NULL, NULL, NULL);
		append(j, RECORD_END, 9);
		journal_close(j);
		f = load(JOB);
		ck_assert_uint_eq(f.count, cut / one + 1);
		ck_assert_int_eq(f.n[f.count - 1], 9);
	}
}
END_TEST

/* Garbage behind the last good record, as an unsynced block may leave it. */
START_TEST(test_torn_garbage)
{
	struct journal *j = create(JOB);
	autofree char *path = path_of(JOB, "journal");
	char zeros[5000] = { 0 };
	int fd;

	journal_close(j);
	for (int round = 0; round < 3; round++) {
		if (round == 1)
			memset(zeros, 'S', sizeof(zeros));
		if (round == 2)
			for (size_t i = 0; i < sizeof(zeros); i++)
				zeros[i] = i % 2 ? 'J' : 'S';
		fd = open(path, O_WRONLY | O_APPEND);
		ck_assert_int_eq(fs_write_all(fd, zeros, sizeof(zeros)), 0);
		close(fd);
		ck_assert_uint_eq(load(JOB).count, 1);
	}
}
END_TEST

/* One flipped bit at every byte of the middle record: the others are still read, and that
 * something is missing is said. */
START_TEST(test_damage)
{
	struct journal *j = create(JOB);
	autofree char *path = path_of(JOB, "journal"), *whole = NULL;
	size_t len, one;

	append(j, RECORD_STARTED, 2);
	append(j, RECORD_REPLY, 3);
	journal_close(j);
	whole = slurp(path, &len);
	one = len / 3;
	for (size_t at = one; at < 2 * one; at++) {
		struct found f;

		whole[at] ^= 4;
		spill(path, whole, len);
		whole[at] ^= 4;
		f = load(JOB);
		ck_assert_uint_eq(f.count, 3);
		ck_assert_int_eq(f.type[1], RECORD_DAMAGED);
		ck_assert_int_eq(f.n[0], 1);
		ck_assert_int_eq(f.n[2], 3);
	}
}
END_TEST

static void
put_frame(const char *path, unsigned version, const char *content)
{
	autosbuf struct sbuf b = SBUF_INIT(1 << 20);

	ck_assert_int_eq(frame_add(&b, RECORD_MESSAGE, content, strlen(content)), 0);
	b.p[2] = (char)version;
	spill(path, b.p, b.len);
}

/* A record of another format has a right CRC as well; here the frame is built by hand. */
START_TEST(test_version)
{
	/* "SJ", version, type 1, length 2, CRC-32C of these eight bytes and "{}", computed apart
	 * from our code */
	static const char later[] = "SJ\x02\x01\x02\0\0\0\xbd\xa9\xbc\x76{}";
	static const char ours[] = "SJ\x01\x01\x02\0\0\0\xd4\x2e\xf8\xad{}";
	autofree char *path = NULL, *after = NULL;
	struct err e = { 0 };
	size_t len;

	journal_close(create(JOB));
	path = path_of(JOB, "journal");
	spill(path, ours, sizeof(ours) - 1);
	ck_assert_uint_eq(load(JOB).count, 1);
	spill(path, later, sizeof(later) - 1);
	ck_assert_ptr_null(jobstore_load(store, JOB, NULL, NULL, &e));
	ck_assert_int_eq(e.code, -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(e.text, "format 2"));
	after = slurp(path, &len);
	ck_assert_uint_eq(len, sizeof(later) - 1); /* left alone */
	put_frame(path, 9, "{}");	       /* not its CRC: torn, not later */
	ck_assert_uint_eq(load(JOB).count, 0);
	put_frame(path, 1, "[1]"); /* a record is an object */
	ck_assert_int_eq(load(JOB).type[0], RECORD_DAMAGED);
}
END_TEST

START_TEST(test_huge)
{
	struct journal *j = create(JOB);
	autofree char *big = xcalloc(1, JOBSTORE_RECORD_MAX + 1), *path = NULL;
	autojson json_t *fits = NULL, *over = NULL;
	static const unsigned char lies[] = { 'S', 'J', 1, 1, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0 };
	struct err e = { 0 };
	int64_t at;

	memset(big, 'x', JOBSTORE_RECORD_MAX);
	over = json_pack("{s:s}", "text", big);
	big[JOBSTORE_RECORD_MAX - 64] = '\0';
	fits = json_pack("{s:s}", "text", big);
	ck_assert_int_eq(journal_append(j, RECORD_REPLY, over, NULL, &e), -E2BIG);
	ck_assert_int_eq(journal_append(j, RECORD_REPLY, fits, &at, NULL), 0);
	ck_assert_int_eq(journal_sync(j, NULL), 0);
	journal_close(j);
	ck_assert_uint_eq(load(JOB).count, 2);
	path = path_of(JOB, "journal");
	spill(path, lies, sizeof(lies));
	ck_assert_uint_eq(load(JOB).count, 0);
}
END_TEST

START_TEST(test_modes)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };
	struct stat st;

	for (size_t i = 0; i < NELEMS(masks); i++) {
		autofree char *id = xasprintf("job%zu", i), *folder = NULL, *path = NULL;
		mode_t old = umask(masks[i]);

		journal_close(create(id));
		(void)umask(old);
		folder = jobstore_folder(store, id);
		path = path_of(id, "journal");
		ck_assert_int_eq(stat(folder, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0700);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
	}
}
END_TEST

/* Links that somebody planted lead nowhere. */
START_TEST(test_links)
{
	autofree char *target = xasprintf("%s/elsewhere", root);
	autofree char *folder = jobstore_folder(store, JOB), *path = path_of(JOB, "journal");
	autofree char *seen = path_of("seen", ""), *jobs = NULL;
	autojson json_t *v = numbered(1);
	struct stat st;

	ck_assert_int_eq(mkdir(target, 0700), 0);
	ck_assert_int_eq(symlink(target, folder), 0);
	ck_assert_ptr_null(jobstore_create(store, JOB, RECORD_MESSAGE, v, NULL));
	ck_assert_ptr_null(jobstore_load(store, JOB, NULL, NULL, NULL));
	ck_assert_int_eq(unlink(folder), 0);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	ck_assert_ptr_null(jobstore_create(store, JOB, RECORD_MESSAGE, v, NULL));
	ck_assert_ptr_null(jobstore_load(store, JOB, NULL, NULL, NULL));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_ptr_null(jobstore_load(store, JOB, NULL, NULL, NULL)); /* and does not wait */
	jobstore_remove(store, JOB);
	ck_assert_int_eq(lstat(folder, &st), -1);
	/* The list of finished ones. */
	seen[strlen(seen) - 1] = '\0';
	store = jobstore_close(store);
	(void)unlink(seen);
	ck_assert_int_eq(symlink("/dev/null", seen), 0);
	ck_assert_ptr_null(jobstore_open(root, IID, NULL));
	ck_assert_int_eq(unlink(seen), 0);
	/* The folder of all. */
	jobs = xasprintf("%s/%s/jobs", root, IID);
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, jobs, NULL), 0);
	ck_assert_int_eq(symlink(target, jobs), 0);
	ck_assert_ptr_null(jobstore_open(root, IID, NULL));
}
END_TEST

START_TEST(test_sync_all)
{
	struct journal *j[10];
	struct err e = { 0 };

	for (size_t i = 0; i < NELEMS(j); i++) {
		autofree char *id = xasprintf("job%zu", i);

		j[i] = create(id);
	}
	ck_assert_int_eq(jobstore_sync_all(store, &e), 0);
	for (size_t i = 0; i < NELEMS(j); i++) {
		ck_assert(!journal_dirty(j[i]));
		ck_assert_int_eq(journal_result(j[i]), 0);
		journal_close(j[i]);
	}
	ck_assert_int_eq(jobstore_sync_all(store, &e), 0);
}
END_TEST

START_TEST(test_list)
{
	autostrv char **ids = NULL;

	for (int i = 0; i < 5; i++) {
		autofree char *id = xasprintf("job%d", 9 - i), *folder = NULL;
		struct timespec t[2] = { { 1000 + i, 0 }, { 1000 + i, 0 } };

		journal_close(create(id));
		folder = jobstore_folder(store, id);
		ck_assert_int_eq(utimensat(AT_FDCWD, folder, t, 0), 0);
	}
	jobstore_finish(store, "job7");
	ids = jobstore_list(store);
	ck_assert_uint_eq(strv_len(ids), 4);
	ck_assert_str_eq(ids[0], "job9");
	ck_assert_str_eq(ids[1], "job8");
	ck_assert_str_eq(ids[2], "job6");
	ck_assert_str_eq(ids[3], "job5");
}
END_TEST

START_TEST(test_seen)
{
	ck_assert(!jobstore_seen(store, JOB));
	jobstore_finish(store, JOB);
	ck_assert(jobstore_seen(store, JOB));
	ck_assert_int_eq(jobstore_flush(store, NULL), 0);
	reopen();
	ck_assert(jobstore_seen(store, JOB));
	jobstore_finish(store, "another"); /* written by the close */
	reopen();
	ck_assert(jobstore_seen(store, "another"));
	ck_assert(!jobstore_seen(store, "a"));
}
END_TEST

static int64_t now_ms;

static int64_t
fake_now(void)
{
	return now_ms;
}

static const struct clock_ops fake_clock = { fake_now, fake_now };

/* Seven days, unless the folder is still there. */
START_TEST(test_seen_expiry)
{
	now_ms = 1700000000000;
	clock_replace(&fake_clock);
	journal_close(create("kept"));
	jobstore_finish(store, "kept");
	jobstore_finish(store, "gone");
	now_ms += JOBSTORE_SEEN_MS - 120000;
	reopen();
	ck_assert(jobstore_seen(store, "gone"));
	now_ms += 240000;
	reopen();
	ck_assert(!jobstore_seen(store, "gone"));
	ck_assert(jobstore_seen(store, "kept"));
	clock_replace(NULL);
}
END_TEST

START_TEST(test_seen_garbage)
{
	static const char text[] = "\n \nxyz\n12 ../../etc\n-5 job1\n1700000000 job2\n"
				   "99999999999999999999 job3\n1700000000job4\n1700000000 job5";
	autofree char *path = path_of("seen", "");

	path[strlen(path) - 1] = '\0';
	now_ms = 1700000000000;
	clock_replace(&fake_clock);
	store = jobstore_close(store);
	spill(path, text, sizeof(text) - 1);
	store = jobstore_open(root, IID, NULL);
	ck_assert(jobstore_seen(store, "job2"));
	ck_assert(!jobstore_seen(store, "job1"));
	ck_assert(!jobstore_seen(store, "job5")); /* half a line */
	jobstore_finish(store, "job6");
	reopen();
	ck_assert(jobstore_seen(store, "job6")); /* not lost with that half */
	clock_replace(NULL);
}
END_TEST

/* Neither the memory nor the file grows without end. */
START_TEST(test_seen_bounds)
{
	autofree char *path = path_of("seen", ""), *text = NULL;
	size_t len, lines = 0;

	path[strlen(path) - 1] = '\0';
	for (unsigned i = 0; i < 3 * SEEN_MAX; i++) {
		autofree char *id = xasprintf("aws.ssm.%08x-0000-0000-0000-000000000000." IID, i);

		jobstore_finish(store, id);
		if (i % 1024 == 0)
			ck_assert_int_eq(jobstore_flush(store, NULL), 0);
	}
	ck_assert_int_eq(jobstore_flush(store, NULL), 0);
	text = slurp(path, &len);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	ck_assert_uint_le(lines, 2 * SEEN_MAX + 2048);
	ck_assert(!jobstore_seen(store, "aws.ssm.00000000-0000-0000-0000-000000000000." IID));
	ck_assert(jobstore_seen(store, "aws.ssm.0000bfff-0000-0000-0000-000000000000." IID));
}
END_TEST

static void
finished(const char *id, size_t bytes)
{
	autofree char *path = path_of(id, "00.out"), *data = xcalloc(1, bytes + 1);

	journal_close(create(id));
	spill(path, data, bytes);
	jobstore_finish(store, id);
	now_ms += 60000;
}

static bool
is_there(const char *id)
{
	autofree char *folder = jobstore_folder(store, id);

	return access(folder, F_OK) == 0;
}

START_TEST(test_prune)
{
	now_ms = 1700000000000;
	clock_replace(&fake_clock);
	journal_close(create("running"));
	finished("job1", 1000);
	finished("job2", 100000);
	finished("job3", 1000);
	jobstore_prune(store, 1 << 30, 1000, INT64_MAX / 2);
	ck_assert(is_there("job1") && is_there("job2") && is_there("job3"));
	jobstore_prune(store, 50000, 1000, INT64_MAX / 2); /* bytes: the oldest until it fits */
	ck_assert(!is_there("job1") && !is_there("job2") && is_there("job3"));
	finished("job4", 10);
	finished("job5", 10);
	jobstore_prune(store, 1 << 30, 5, INT64_MAX / 2); /* two files each */
	ck_assert(!is_there("job3") && is_there("job4") && is_there("job5"));
	now_ms += 3600000;
	finished("job6", 10);
	jobstore_prune(store, 1 << 30, 1000, 3600000);
	ck_assert(!is_there("job4") && !is_there("job5") && is_there("job6"));
	ck_assert(is_there("running"));
	for (int i = 1; i <= 6; i++) {
		autofree char *id = xasprintf("job%d", i);

		ck_assert(jobstore_seen(store, id));
	}
	clock_replace(NULL);
}
END_TEST

/* A folder that was made and never synced is nothing. */
START_TEST(test_empty_folder)
{
	autofree char *folder = jobstore_folder(store, JOB), *path = path_of(JOB, "journal");
	struct err e = { 0 };

	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_ptr_null(jobstore_load(store, JOB, NULL, NULL, &e));
	ck_assert_int_eq(e.code, -ENOENT);
	spill(path, "", 0);
	ck_assert_uint_eq(load(JOB).count, 0);
	jobstore_remove(store, JOB);
	ck_assert_int_ne(access(folder, F_OK), 0);
	journal_close(create(JOB));
}
END_TEST

static void
reopen_passing(void)
{
	autofree char *run = xasprintf("%s/run", root);
	struct err e = { 0 };

	jobstore_close(store);
	store = jobstore_open_passing(run, IID, &e);
	ck_assert_msg(store != NULL, "%s", err_text(&e));
	ck_assert(jobstore_is_passing(store));
}

/* Of sessions: an agent after us finds them, and what is over leaves its id alone. */
START_TEST(test_passing)
{
	autofree char *folder = NULL;
	struct journal *j;

	reopen_passing();
	j = create(JOB);
	append(j, RECORD_STARTED, 2);
	ck_assert_int_eq(journal_sync(j, NULL), 0);
	ck_assert(!journal_in_memory(j));
	journal_close(j);
	reopen_passing();
	ck_assert_uint_eq(load(JOB).count, 2);
	ck_assert(!jobstore_has_reserve(store));
	folder = jobstore_folder(store, JOB);
	ck_assert_int_eq(access(folder, F_OK), 0);
	jobstore_finish(store, JOB);
	ck_assert_int_ne(access(folder, F_OK), 0);
	ck_assert_int_eq(jobstore_flush(store, NULL), 0);
	reopen_passing();
	ck_assert(jobstore_seen(store, JOB));
}
END_TEST

/* No place for a folder: the job has its journal all the same, as long as it is open. */
START_TEST(test_passing_in_memory)
{
	autofree char *jobs = xasprintf("%s/run/" IID, root);
	autojson json_t *v = numbered(2), *back = NULL;
	struct found f = { .count = 0 };
	enum record type = 0;
	struct journal *j;
	int64_t at = 0;

	reopen_passing();
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, jobs, NULL), 0);
	j = create(JOB);
	ck_assert_int_eq(journal_append(j, RECORD_REPLY, v, &at, NULL), 0);
	ck_assert_int_eq(journal_sync(j, NULL), 0);
	ck_assert(journal_in_memory(j));
	back = jobstore_read(store, JOB, at, &type, NULL);
	ck_assert(json_equal(back, v));
	ck_assert_int_eq(type, RECORD_REPLY);
	ck_assert_int_eq(journal_each(j, note, &f, NULL), 0);
	ck_assert_uint_eq(f.count, 2);
	ck_assert_int_eq(f.n[1], 2);
	journal_close(j);
	ck_assert_ptr_null(jobstore_read(store, JOB, at, NULL, NULL));
	jobstore_finish(store, JOB);
	ck_assert(jobstore_seen(store, JOB));
}
END_TEST

/* Neither does one that is there already become one in memory. */
START_TEST(test_passing_twice)
{
	autojson json_t *v = numbered(1);
	struct err e = { 0 };

	reopen_passing();
	journal_close(create(JOB));
	ck_assert_ptr_null(jobstore_create(store, JOB, RECORD_MESSAGE, v, &e));
	ck_assert_int_eq(e.code, -EEXIST);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("jobstore");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, test_round_trip);
	tcase_add_test(t, test_twice);
	tcase_add_test(t, test_ids);
	tcase_add_test(t, test_discard);
	tcase_add_test(t, test_torn_tail);
	tcase_add_test(t, test_torn_garbage);
	tcase_add_test(t, test_damage);
	tcase_add_test(t, test_version);
	tcase_add_test(t, test_huge);
	tcase_add_test(t, test_modes);
	tcase_add_test(t, test_links);
	tcase_add_test(t, test_sync_all);
	tcase_add_test(t, test_list);
	tcase_add_test(t, test_seen);
	tcase_add_test(t, test_seen_expiry);
	tcase_add_test(t, test_seen_garbage);
	tcase_add_test(t, test_seen_bounds);
	tcase_add_test(t, test_prune);
	tcase_add_test(t, test_empty_folder);
	tcase_add_test(t, test_passing);
	tcase_add_test(t, test_passing_in_memory);
	tcase_add_test(t, test_passing_twice);
	suite_add_tcase(s, t);
	return run_suite(s);
}
