/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of output to the byte, and the files it is kept in: plugins/runCommand/output*.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "plugins/runCommand/output.h"
#include "tests/unit/suite.h"

#define STREAM_MARK "--output truncated--"
#define TITLE "\n----------ERROR-------\n"
#define OUT_MARK "\n---Output truncated---"
#define ERR_MARK "\n---Error truncated----"

/* A text of LEN bytes: the alphabet, over and over. */
static char *
letters(size_t len, char first)
{
	char *s = xmalloc(len + 1);

	for (size_t i = 0; i < len; i++)
		s[i] = (char)(first + i % 26);
	s[len] = '\0';
	return s;
}

static struct span
head_of(const char *s, size_t len)
{
	return (struct span){ s, len < OUTPUT_HEAD_BYTES ? len : OUTPUT_HEAD_BYTES };
}

static void
check_stream(const char *s, size_t len, size_t kept)
{
	struct sbuf b = SBUF_INIT(100000);

	output_add_stream(&b, head_of(s, len), len);
	if (kept == len) {
		ck_assert_uint_eq(b.len, len);
		ck_assert_mem_eq(sbuf_str(&b), s, len);
	} else {
		ck_assert_uint_eq(b.len, kept + 20);
		ck_assert_mem_eq(b.p, s, kept);
		ck_assert_str_eq(b.p + kept, STREAM_MARK);
	}
	sbuf_done(&b);
}

/* spec/01 1.9: from 24000 bytes on, so that the total is 24000. */
START_TEST(test_stream_limit)
{
	static const size_t whole[] = { 0, 1, 2500, 23979, 23980, 23981, 23998, 23999 };
	static const size_t cut[] = { 24000, 24001, 24003, 24004, 24005, 30000, 1000000 };
	autofree char *s = letters(1000000, 'a');

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		check_stream(s, whole[i], whole[i]);
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++)
		check_stream(s, cut[i], 23980);
}
END_TEST

/* A character of N bytes that begins BACK bytes before the cut. */
START_TEST(test_stream_characters)
{
	static const char *const chars[] = { "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80" };

	for (size_t c = 0; c < 3; c++) {
		size_t n = strlen(chars[c]);

		for (size_t back = 0; back <= 4; back++) {
			autofree char *s = letters(24100, 'a');

			memcpy(s + 23980 - back, chars[c], n);
			check_stream(s, 24100, back > 0 && back < n ? 23980 - back : 23980);
		}
	}
}
END_TEST

/* Bytes that are no characters are cut like letters: no more than 3 are given up. */
START_TEST(test_stream_garbage)
{
	autofree char *s = letters(24100, 'a');

	memset(s, 0x80, 24100);
	check_stream(s, 24100, 23980);
	memset(s, 0xF0, 24100);
	check_stream(s, 24100, 23980);
	memset(s, 0, 24100);
	check_stream(s, 24100, 23980);
}
END_TEST

static void
check_combined(size_t out_len, size_t err_len, const char *want_out, size_t out_kept,
	       const char *want_err, size_t err_kept)
{
	autofree char *out = letters(out_len, 'a'), *err = letters(err_len, 'A');
	struct sbuf b = SBUF_INIT(100000), want = SBUF_INIT(100000);

	output_add_combined(&b, head_of(out, out_len), out_len, head_of(err, err_len), err_len);
	sbuf_add(&want, out, out_kept);
	sbuf_adds(&want, want_out);
	sbuf_adds(&want, err_len > 0 ? TITLE : "");
	sbuf_add(&want, err, err_kept);
	sbuf_adds(&want, want_err);
	ck_assert_str_eq(sbuf_str(&b), sbuf_str(&want));
	ck_assert_uint_le(b.len, 2500);
	sbuf_done(&b);
	sbuf_done(&want);
}

/* Case 1 of spec/01 1.9: below what there is room for; the sum equal to it is cut already. */
START_TEST(test_combined_whole)
{
	check_combined(0, 0, "", 0, "", 0);
	check_combined(2499, 0, "", 2499, "", 0);
	check_combined(0, 2475, "", 0, "", 2475);
	check_combined(2474, 1, "", 2474, "", 1);
	check_combined(1238, 1237, "", 1238, "", 1237);
	check_combined(1237, 1238, "", 1237, "", 1238);
}
END_TEST

/* Case 2: both above the half. */
START_TEST(test_combined_both)
{
	check_combined(1239, 1239, OUT_MARK, 1215, ERR_MARK, 1215);
	check_combined(100000, 100000, OUT_MARK, 1215, ERR_MARK, 1215);
	check_combined(1239, 1000000, OUT_MARK, 1215, ERR_MARK, 1215);
}
END_TEST

/* Case 3: the output is at most the half. */
START_TEST(test_combined_err)
{
	check_combined(1238, 1238, "", 1238, ERR_MARK, 1215);
	check_combined(1238, 1239, "", 1238, ERR_MARK, 1215);
	check_combined(0, 2476, "", 0, ERR_MARK, 2453);
	check_combined(0, 30000, "", 0, ERR_MARK, 2453);
	check_combined(1, 2475, "", 1, ERR_MARK, 2452);
	check_combined(1237, 30000, "", 1237, ERR_MARK, 1216);
}
END_TEST

/* Case 4: the rest. */
START_TEST(test_combined_out)
{
	check_combined(2500, 0, OUT_MARK, 2477, "", 0);
	check_combined(30000, 0, OUT_MARK, 2477, "", 0);
	check_combined(2475, 1, OUT_MARK, 2452, "", 1);
	check_combined(1239, 1237, OUT_MARK, 1216, "", 1237);
	check_combined(1239, 1238, OUT_MARK, 1215, "", 1238);
	check_combined(100000, 1238, OUT_MARK, 1215, "", 1238);
}
END_TEST

/* Every pair of lengths around all boundaries against the rule written down a second time. */
static size_t
expected_length(size_t out, size_t err)
{
	size_t title = err ? 24 : 0, a = 2500 - title;

	if (out + err < a)
		return out + title + err;
	if (out > a / 2 && err > a / 2)
		return (a - 46) / 2 * 2 + 46 + title;
	return 2500;
}

START_TEST(test_combined_lengths)
{
	static const size_t around[] = { 0, 1215, 1238, 1250, 2453, 2476, 2500 };
	autofree char *s = letters(5000, 'a');

	for (size_t i = 0; i < 7; i++)
		for (size_t j = 0; j < 7; j++)
			for (int di = -2; di <= 2; di++)
				for (int dj = -2; dj <= 2; dj++) {
					struct sbuf b = SBUF_INIT(100000);
					size_t out =
						(size_t)((int)around[i] + (around[i] ? di : 0));
					size_t err =
						(size_t)((int)around[j] + (around[j] ? dj : 0));

					output_add_combined(&b, head_of(s, out), out,
							    head_of(s, err), err);
					ck_assert_uint_eq(b.len, expected_length(out, err));
					sbuf_done(&b);
				}
}
END_TEST

START_TEST(test_combined_characters)
{
	autofree char *out = letters(3000, 'a'), *err = letters(3000, 'A');
	struct sbuf b = SBUF_INIT(100000);

	memcpy(out + 1213, "\xE2\x82\xAC", 3);
	memcpy(err + 1214, "\xC3\xA9", 2);
	output_add_combined(&b, head_of(out, 3000), 3000, head_of(err, 3000), 3000);
	ck_assert_mem_eq(b.p, out, 1213);
	ck_assert_mem_eq(b.p + 1213, OUT_MARK TITLE, 47);
	ck_assert_mem_eq(b.p + 1260, err, 1214);
	ck_assert_str_eq(b.p + 2474, ERR_MARK);
	sbuf_done(&b);
}
END_TEST

/* ---------------------------------------------------------------- files */

static char folder[] = "/tmp/t_output.XXXXXX";

static void
make_folder(void)
{
	memcpy(folder, "/tmp/t_output.XXXXXX", sizeof(folder));
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
remove_folder(void)
{
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, folder, NULL), 0);
}

static bool
exists(const char *name)
{
	autofree char *path = xasprintf("%s/%s", folder, name);

	return access(path, F_OK) == 0;
}

static void
text_done(struct output_text *t)
{
	sbuf_done(&t->head);
	t->total = 0;
}

#define TEXT_INIT                    \
	{                            \
		SBUF_INIT(100000), 0 \
	}

START_TEST(test_files)
{
	struct output_text out = TEXT_INIT, err = TEXT_INIT;
	struct output *o = output_new(folder, NULL);
	struct output_pair pair;
	struct stat st;

	ck_assert_ptr_nonnull(o);
	ck_assert_int_eq(output_open(o, "../../etc/passwd", &pair, NULL), 0);
	ck_assert_int_eq(pair.number, 1);
	ck_assert_int_eq(fs_write_all(pair.out, "one\n", 4), 0);
	ck_assert_int_eq(fstat(pair.out, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert(exists("01.out") && exists("01.err"));
	ck_assert_int_eq(output_finish(o, &pair, 1 << 20, &out, &err, NULL), 0);
	ck_assert_uint_eq(out.total, 4);
	ck_assert_str_eq(sbuf_str(&out.head), "one\n");
	ck_assert_uint_eq(err.total, 0);
	ck_assert(exists("01.out") && !exists("01.err"));
	text_done(&out);

	/* another key, then the first again: it goes on where it was (spec/03 10.7) */
	ck_assert_int_eq(output_open(o, "b", &pair, NULL), 0);
	ck_assert_int_eq(pair.number, 2);
	ck_assert_int_eq(output_finish(o, &pair, 1 << 20, &out, &err, NULL), 0);
	ck_assert(!exists("02.out") && !exists("02.err"));
	ck_assert_int_eq(output_open(o, "../../etc/passwd", &pair, NULL), 0);
	ck_assert_int_eq(pair.number, 1);
	ck_assert_int_eq(fs_write_all(pair.out, "two\n", 4), 0);
	ck_assert_int_eq(fs_write_all(pair.err, "e", 1), 0);
	ck_assert_int_eq(output_finish(o, &pair, 1 << 20, &out, &err, NULL), 0);
	ck_assert_str_eq(sbuf_str(&out.head), "one\ntwo\n");
	ck_assert_str_eq(sbuf_str(&err.head), "e");
	text_done(&out);
	text_done(&err);
	output_free(o);
}
END_TEST

/* Only the beginning of a large file is read. */
START_TEST(test_large_file)
{
	struct output_text out = TEXT_INIT, err = TEXT_INIT;
	struct output *o = output_new(folder, NULL);
	autofree char *s = letters(1 << 20, 'a');
	struct output_pair pair;
	struct stat st;

	ck_assert_int_eq(output_open(o, "a", &pair, NULL), 0);
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(fs_write_all(pair.out, s, 1 << 20), 0);
	ck_assert_int_eq(output_finish(o, &pair, 4 << 20, &out, &err, NULL), 0);
	ck_assert_uint_eq(out.total, 16 << 20);
	ck_assert_uint_ge(out.head.len, OUTPUT_HEAD_BYTES);
	ck_assert_uint_lt(out.head.len, OUTPUT_HEAD_BYTES + 8192);
	ck_assert_mem_eq(out.head.p, s, out.head.len);
	ck_assert_int_eq(fstatat(AT_FDCWD, folder, &st, 0), 0);
	text_done(&out);
	output_free(o);
}
END_TEST

static void
check_shrunk(size_t size, uint64_t max, size_t want)
{
	autofree char *s = letters(size, 'a'), *got = NULL;
	size_t len, half = (size_t)max / 2;
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = openat(dir, "f", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_eq(fs_write_all(fd, s, size), 0);
	ck_assert_int_eq(output_shrink(fd, max, NULL), 0);
	ck_assert_int_eq(fs_read(dir, "f", 10 << 20, &got, &len, NULL), 0);
	ck_assert_uint_eq(len, want);
	if (want == size) {
		ck_assert_mem_eq(got, s, size);
	} else {
		autofree char *note =
			xasprintf("\n--- %zu bytes left out ---\n", size - (size_t)max);

		ck_assert_mem_eq(got, s, half - strlen(note));
		ck_assert_mem_eq(got + half - strlen(note), note, strlen(note));
		ck_assert_mem_eq(got + half, s + size - half, half);
	}
	close(fd);
	close(dir);
}

START_TEST(test_shrink)
{
	check_shrunk(0, 4096, 0);
	check_shrunk(4096, 4096, 4096);
	check_shrunk(4097, 4096, 4096);
	check_shrunk(8192, 4096, 4096);
	check_shrunk(1000000, 4096, 4096);
	check_shrunk(3000000, 2000000, 2000000);
}
END_TEST

START_TEST(test_no_folder)
{
	struct err e = { 0, "" };

	ck_assert_ptr_null(output_new("/nonexistent/folder", &e));
	ck_assert_int_eq(e.code, -ENOENT);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("runCommand output");
	TCase *limits = tcase_create("limits"), *files = tcase_create("files");

	tcase_add_test(limits, test_stream_limit);
	tcase_add_test(limits, test_stream_characters);
	tcase_add_test(limits, test_stream_garbage);
	tcase_add_test(limits, test_combined_whole);
	tcase_add_test(limits, test_combined_both);
	tcase_add_test(limits, test_combined_err);
	tcase_add_test(limits, test_combined_out);
	tcase_add_test(limits, test_combined_lengths);
	tcase_add_test(limits, test_combined_characters);
	tcase_add_checked_fixture(files, make_folder, remove_folder);
	tcase_add_test(files, test_files);
	tcase_add_test(files, test_large_file);
	tcase_add_test(files, test_shrink);
	tcase_add_test(files, test_no_folder);
	suite_add_tcase(suite, limits);
	suite_add_tcase(suite, files);
	return run_suite(suite);
}
