/* SPDX-License-Identifier: Apache-2.0 */
/* core/host/sink.c at every border: head, line and tail, however the bytes come. What is expected
 * is put together here from the bytes that were written. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/host/sink.h"
#include "tests/unit/suite.h"

#define LINE 80u
#define MIN_MAX 320u
#define ALL (1u << 22)

/* Characters of 1 to 4 bytes, and a count, so that no piece looks like another: nearly every cut is
 * inside a character. */
static void
fill(struct sbuf *b, size_t len)
{
	for (unsigned i = 0; b->len < len; i++)
		sbuf_addf(b, "\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9%u", i);
	b->len = len;
}

static void
expect(struct sbuf *b, const char *data, size_t len, size_t max)
{
	size_t head = max / 2, tail = max - head, at = b->len + head;
	autofree char *line = NULL;

	if (max == 0 || len <= max) {
		sbuf_add(b, data, len);
		return;
	}
	line = xasprintf("\n---%zu bytes left out", len - max + LINE);
	sbuf_add(b, data, head);
	sbuf_adds(b, line);
	while (b->len < at + LINE - 1)
		sbuf_addc(b, '-');
	sbuf_addc(b, '\n');
	sbuf_add(b, data + len - tail + LINE, tail - LINE);
}

/* DATA through a pipe in pieces of STEP bytes; 0: as many as the pipe takes. */
static void
pour(struct sink *s, const char *data, size_t len, size_t step)
{
	int pipe_fds[2];

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	while (len > 0) {
		ssize_t n = write(pipe_fds[1], data, step && step < len ? step : len);

		ck_assert_int_gt(n, 0);
		data += n;
		len -= (size_t)n;
		ck_assert_int_eq(sink_take(s, pipe_fds[0]), 1);
	}
	close(pipe_fds[1]);
	ck_assert_int_eq(sink_take(s, pipe_fds[0]), 0);
	close(pipe_fds[0]);
	sink_finish(s);
}

static int
new_file(const char *before)
{
	int fd = memfd_create("t_host_sink", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, before, strlen(before)), 0);
	return fd;
}

static void
check_file(int fd, const struct sbuf *wanted)
{
	autofree char *got = NULL;
	off_t end = lseek(fd, 0, SEEK_END);
	size_t same = 0;

	ck_assert_uint_eq((size_t)end, wanted->len);
	got = xmalloc((size_t)end + 1);
	ck_assert_int_eq(pread(fd, got, (size_t)end, 0), end);
	while (same < wanted->len && got[same] == wanted->p[same])
		same++;
	ck_assert_msg(same == wanted->len, "differs at byte %zu", same);
}

struct way {
	const char *before; /* what the file holds already */
	size_t max, step;
	bool no_splice;
};

static void
check(const struct way *w, size_t len)
{
	autosbuf struct sbuf data = SBUF_INIT(ALL), wanted = SBUF_INIT(ALL);
	autoclose int fd = new_file(w->before);
	struct sink s;

	fill(&data, len);
	sbuf_adds(&wanted, w->before);
	expect(&wanted, sbuf_str(&data), len, w->max);
	sink_init(&s, fd, w->max, NULL, NULL);
	s.no_splice = w->no_splice;
	pour(&s, sbuf_str(&data), len, w->step);
	ck_assert(!s.failed);
	ck_assert_uint_eq(s.total, len);
	/* The next writer goes on behind it. */
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), (off_t)wanted.len);
	check_file(fd, &wanted);
}

/* Around nothing, half, all, all and the line, and twice round the ring. */
static void
check_borders(const struct way *w)
{
	const size_t around[] = { 1,
				  w->max / 2,
				  w->max,
				  w->max + LINE,
				  w->max + w->max / 2,
				  2 * w->max,
				  2 * w->max + w->max / 2 };

	check(w, 3 * w->max + 7);
	for (size_t i = 0; i < NELEMS(around); i++)
		for (size_t len = around[i] - 1; len <= around[i] + 1; len++)
			check(w, len);
}

static const struct way ways[] = {
	{ "", 1000, 0, false },	  { "", 1000, 0, true },   { "", 1000, 1, false },
	{ "", 1000, 1, true },	  { "", 1000, 3, false },  { "", 1001, 7, true },
	{ "", 1001, 500, false }, { "ab", 1000, 0, true }, { "before\n", 1001, 11, false },
	{ "", MIN_MAX, 0, false }, { "", MIN_MAX + 1, 2, true },
};

START_TEST(t_borders)
{
	check_borders(&ways[_i]);
}
END_TEST

/* More than a pipe, a piece of copying, half a piece of turning round holds. */
START_TEST(t_large)
{
	const struct way w[] = { { "", 300001, 0, false },
				 { "", 300001, 0, true },
				 { "x", 262144, 65536, false },
				 { "", 131072, 4099, true } };
	const size_t lens[] = { 65535, 131072, 262144, 300001, 300002, 393217, 450003, 1000003 };

	for (size_t i = 0; i < NELEMS(w); i++)
		for (size_t k = 0; k < NELEMS(lens); k++)
			check(&w[i], lens[k]);
}
END_TEST

START_TEST(t_everything)
{
	const struct way w[] = { { "", 0, 0, false }, { "ab", 0, 1000, true } };

	for (size_t i = 0; i < NELEMS(w); i++) {
		check(&w[i], 0);
		check(&w[i], 1);
		check(&w[i], 200000);
	}
}
END_TEST

/* A ceiling lower than the line between head and tail makes no sense. */
START_TEST(t_least_ceiling)
{
	autosbuf struct sbuf data = SBUF_INIT(ALL), wanted = SBUF_INIT(ALL);
	autoclose int fd = new_file("");
	struct sink s;

	fill(&data, 1000);
	expect(&wanted, sbuf_str(&data), 1000, MIN_MAX);
	sink_init(&s, fd, 1, NULL, NULL);
	pour(&s, sbuf_str(&data), 1000, 0);
	check_file(fd, &wanted);
}
END_TEST

/* What is no file of its own keeps the head. */
START_TEST(t_no_ring)
{
	autosbuf struct sbuf data = SBUF_INIT(ALL);
	autofree char *got = xmalloc(4096);
	struct sink s;
	int out[2];

	fill(&data, 3000);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	sink_init(&s, out[1], 1000, NULL, NULL);
	pour(&s, sbuf_str(&data), 3000, 100);
	ck_assert(!s.failed);
	ck_assert_uint_eq(s.total, 3000);
	ck_assert_int_eq(read(out[0], got, 4096), 500);
	ck_assert_mem_eq(got, sbuf_str(&data), 500);
	close(out[0]);
	close(out[1]);
}
END_TEST

static int
append(void *arg, const void *data, size_t len)
{
	return sbuf_add(arg, data, len);
}

START_TEST(t_function)
{
	autosbuf struct sbuf data = SBUF_INIT(ALL), got = SBUF_INIT(ALL), small = SBUF_INIT(100);
	struct sink s;

	fill(&data, 200000);
	sink_init(&s, -1, 0, append, &got);
	pour(&s, sbuf_str(&data), 200000, 0);
	ck_assert_uint_eq(got.len, 200000);
	ck_assert_mem_eq(sbuf_str(&got), sbuf_str(&data), 200000);
	/* It wants no more: the program is not stopped by that. */
	sink_init(&s, -1, 0, append, &small);
	pour(&s, sbuf_str(&data), 5000, 60);
	ck_assert(s.failed);
	ck_assert_uint_eq(s.total, 5000);
}
END_TEST

/* The disk is full: the bytes go nowhere, but they go. */
START_TEST(t_full)
{
	autosbuf struct sbuf data = SBUF_INIT(ALL);
	autoclose int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	struct sink s;

	ck_assert_int_ge(fd, 0);
	fill(&data, 5000);
	sink_init(&s, fd, 1000, NULL, NULL);
	pour(&s, sbuf_str(&data), 5000, 300);
	ck_assert(s.failed);
}
END_TEST

struct taker {
	struct sbuf got;
	int answer;
	struct sink *stop; /* stopped after each piece, as by a plugin that was called */
};

static int
take_piece(void *arg, const void *data, size_t len)
{
	struct taker *t = arg;

	if (t->answer == 0)
		sbuf_add(&t->got, data, len);
	if (t->stop)
		t->stop->stopped = true;
	return t->answer;
}

/* What the function does not take comes again, before anything else; what it takes, once. */
START_TEST(t_function_that_waits)
{
	struct taker t = { .got = SBUF_INIT(ALL), .answer = -EAGAIN };
	struct sink s;
	int pipe_fds[2];

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	sink_init(&s, -1, 0, take_piece, &t);
	ck_assert_int_eq(write(pipe_fds[1], "one ", 4), 4);
	ck_assert_int_eq(sink_take(&s, pipe_fds[0]), SINK_STOPPED);
	ck_assert_int_eq(write(pipe_fds[1], "two ", 4), 4);
	ck_assert_int_eq(sink_take(&s, pipe_fds[0]), SINK_STOPPED);
	s.stopped = false;
	ck_assert_int_eq(sink_take(&s, pipe_fds[0]), SINK_STOPPED);
	ck_assert_uint_eq(t.got.len, 0);
	t.answer = 0;
	t.stop = &s;
	s.stopped = false;
	ck_assert_int_eq(sink_take(&s, pipe_fds[0]), SINK_STOPPED);
	ck_assert_str_eq(sbuf_str(&t.got), "one ");
	close(pipe_fds[1]);
	t.stop = NULL;
	s.stopped = false;
	ck_assert_int_eq(sink_take(&s, pipe_fds[0]), 0);
	ck_assert_str_eq(sbuf_str(&t.got), "one two ");
	ck_assert_uint_eq(s.total, 8);
	close(pipe_fds[0]);
	sink_done(&s);
	sbuf_done(&t.got);
}
END_TEST

/* Nobody comes back for it. */
START_TEST(t_what_was_not_taken)
{
	struct taker t = { .got = SBUF_INIT(ALL), .answer = -EAGAIN };
	struct sink s;
	int pipe_fds[2];

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	sink_init(&s, -1, 0, take_piece, &t);
	ck_assert_int_eq(write(pipe_fds[1], "one", 3), 3);
	ck_assert_int_eq(sink_take(&s, pipe_fds[0]), SINK_STOPPED);
	ck_assert_ptr_nonnull(s.held);
	sink_done(&s);
	ck_assert_ptr_null(s.held);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sink");
	TCase *tc = tcase_create("sink");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, t_borders, 0, NELEMS(ways));
	tcase_add_test(tc, t_large);
	tcase_add_test(tc, t_everything);
	tcase_add_test(tc, t_least_ceiling);
	tcase_add_test(tc, t_no_ring);
	tcase_add_test(tc, t_function);
	tcase_add_test(tc, t_full);
	tcase_add_test(tc, t_function_that_waits);
	tcase_add_test(tc, t_what_was_not_taken);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
