/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/frame.c, with the vector of spec 02 §2.3. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "plugins/sessionManager/frame.h"
#include "tests/unit/suite.h"

#define VECTOR_LEN 123

static unsigned char vector[VECTOR_LEN];
static struct frame f;
static struct err e;

/* tests/vectors/frames/input-ls.hex: pairs of digits, blanks between them. */
static void
load_vector(void)
{
	const char *top = secure_getenv("top_srcdir");
	autofree char *path = xasprintf("%s/tests/vectors/frames/input-ls.hex", top ? top : ".");
	FILE *in = fopen(path, "re");

	ck_assert_ptr_nonnull(in);
	for (size_t i = 0; i < VECTOR_LEN; i++) {
		unsigned int byte;

		ck_assert_int_eq(fscanf(in, "%2x", &byte), 1);
		vector[i] = (unsigned char)byte;
	}
	fclose(in);
	e.code = 0;
	*e.text = 0;
}

static void
refused(size_t len, int code, const char *part)
{
	ck_assert_int_eq(frame_read(vector, len, &f, &e), code);
	ck_assert_ptr_nonnull(strstr(e.text, part));
}

START_TEST(test_vector_both_ways)
{
	autosbuf struct sbuf out = SBUF_INIT(FRAME_MAX_BYTES);

	ck_assert_int_eq(frame_read(vector, VECTOR_LEN, &f, &e), 0);
	ck_assert_str_eq(f.type, "input_stream_data");
	ck_assert_str_eq(f.id, "dd01e56b-ff48-483e-a508-b5f073f31b16");
	ck_assert_uint_eq(f.created_ms, 1700000000000);
	ck_assert_uint_eq(f.schema, 1);
	ck_assert_int_eq(f.seq, 0);
	ck_assert_uint_eq(f.flags, 0);
	ck_assert_uint_eq(f.payload_type, 1);
	ck_assert_mem_eq(f.payload.p, "ls\r", f.payload.len);
	ck_assert_int_eq(frame_write(&f, &out, &e), 0);
	ck_assert_uint_eq(out.len, VECTOR_LEN);
	ck_assert_mem_eq(out.p, vector, VECTOR_LEN);
}
END_TEST

START_TEST(test_every_cut_is_refused)
{
	for (size_t len = 0; len < VECTOR_LEN; len++)
		ck_assert_int_eq(frame_read(vector, len, &f, &e), -EBADMSG);
}
END_TEST

/* There are clients that fill in another one. */
START_TEST(test_a_wrong_digest_is_told)
{
	ck_assert_int_eq(frame_read(vector, VECTOR_LEN, &f, &e), 0);
	ck_assert(f.intact);
	vector[121] ^= 1;
	ck_assert_int_eq(frame_read(vector, VECTOR_LEN, &f, &e), 0);
	ck_assert(!f.intact);
	load_vector();
	memset(vector + 80, 0, 32);
	ck_assert_int_eq(frame_read(vector, VECTOR_LEN, &f, &e), 0);
	ck_assert(!f.intact);
}
END_TEST

/* The lengths cover each other. */
START_TEST(test_each_damage_is_named)
{
	vector[119] = 4;
	refused(VECTOR_LEN, -EBADMSG, "3 bytes of payload");
	load_vector();
	vector[3] = 115;
	refused(VECTOR_LEN, -EBADMSG, "header length 115");
	memset(vector, 0xFF, 4);
	refused(VECTOR_LEN, -EBADMSG, "header length 4294967295");
	load_vector();
	vector[48] = 0x80;
	refused(VECTOR_LEN, -EBADMSG, "negative");
	load_vector();
	memset(vector + 40, 0, 8);
	refused(VECTOR_LEN, -EBADMSG, "no date");
	memset(vector + 4, ' ', 32);
	refused(VECTOR_LEN, -EBADMSG, "no type");
	vector[9] = 0x1b;
	refused(VECTOR_LEN, -EBADMSG, "0x1b");
}
END_TEST

START_TEST(test_too_big)
{
	autofree char *big = xmalloc(FRAME_MAX_BYTES + 1);
	autosbuf struct sbuf out = SBUF_INIT(FRAME_MAX_BYTES);

	memset(big, 0, FRAME_MAX_BYTES + 1);
	ck_assert_int_eq(frame_read(big, FRAME_MAX_BYTES + 1, &f, &e), -EMSGSIZE);
	ck_assert_int_eq(frame_read(vector, VECTOR_LEN, &f, &e), 0);
	f.payload.p = big;
	f.payload.len = FRAME_MAX_BYTES - FRAME_HEADER_BYTES + 1;
	ck_assert_int_eq(frame_write(&f, &out, &e), -EMSGSIZE);
	ck_assert_uint_eq(out.len, 0);
	f.payload.len--;
	ck_assert_int_eq(frame_write(&f, &out, &e), 0);
	ck_assert_int_eq(frame_read(out.p, out.len, &f, &e), 0);
}
END_TEST

/* A longer header than ours is skipped (spec 02 §2.2). */
START_TEST(test_longer_header)
{
	unsigned char longer[VECTOR_LEN + 8] = { 0 };

	memcpy(longer, vector, 116);
	longer[3] = 124;
	memcpy(longer + 124, vector + 116, 7);
	ck_assert_int_eq(frame_read(longer, sizeof(longer), &f, &e), 0);
	ck_assert_uint_eq(f.payload.len, 3);
}
END_TEST

START_TEST(test_publication_needs_only_its_type)
{
	unsigned char zeroed[FRAME_HEADER_BYTES] = { 0 };

	memcpy(zeroed + 4, "pause_publication", 17);
	ck_assert_int_eq(frame_read(zeroed, sizeof(zeroed), &f, &e), 0);
	ck_assert_str_eq(f.type, "pause_publication");
	ck_assert_uint_eq(f.payload.len, 0);
	memcpy(zeroed + 4, "acknowledge\0\0\0\0\0\0", 17);
	ck_assert_int_eq(frame_read(zeroed, sizeof(zeroed), &f, &e), -EBADMSG);
}
END_TEST

START_TEST(test_what_cannot_be_written)
{
	autosbuf struct sbuf out = SBUF_INIT(FRAME_MAX_BYTES);
	struct frame good;

	ck_assert_int_eq(frame_read(vector, VECTOR_LEN, &good, &e), 0);
	f = good;
	f.seq = -1;
	ck_assert_int_eq(frame_write(&f, &out, &e), -EINVAL);
	f = good;
	*f.type = 0;
	ck_assert_int_eq(frame_write(&f, &out, &e), -EINVAL);
	f = good;
	f.id[20] = 'X';
	ck_assert_int_eq(frame_write(&f, &out, &e), -EINVAL);
	f.id[20] = 0;
	ck_assert_int_eq(frame_write(&f, &out, &e), -EINVAL);
	f = good;
	f.created_ms = 0;
	ck_assert_int_eq(frame_write(&f, &out, &e), -EINVAL);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* Neither a header alone nor a spoiled buffer: a shorter message still fits. */
START_TEST(test_a_full_buffer_stays_as_it_was)
{
	autosbuf struct sbuf out = SBUF_INIT(VECTOR_LEN + VECTOR_LEN - 1);

	ck_assert_int_eq(frame_read(vector, VECTOR_LEN, &f, &e), 0);
	ck_assert_int_eq(frame_write(&f, &out, &e), 0);
	ck_assert_int_eq(frame_write(&f, &out, &e), -E2BIG);
	ck_assert_uint_eq(out.len, VECTOR_LEN);
	ck_assert_int_eq(out.err, 0);
	f.payload.len--;
	ck_assert_int_eq(frame_write(&f, &out, &e), 0);
	ck_assert_uint_eq(out.len, VECTOR_LEN + VECTOR_LEN - 1);
}
END_TEST

START_TEST(test_an_empty_payload_needs_no_digest)
{
	ck_assert_int_eq(frame_read(vector, VECTOR_LEN, &f, &e), 0);
	memset(vector + 80, 0, 32);
	vector[119] = 0;
	ck_assert_int_eq(frame_read(vector, FRAME_HEADER_BYTES, &f, &e), 0);
	ck_assert_uint_eq(f.payload.len, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager frame");
	TCase *t = tcase_create("frame");

	tcase_add_checked_fixture(t, load_vector, NULL);
	tcase_add_test(t, test_vector_both_ways);
	tcase_add_test(t, test_every_cut_is_refused);
	tcase_add_test(t, test_a_wrong_digest_is_told);
	tcase_add_test(t, test_each_damage_is_named);
	tcase_add_test(t, test_too_big);
	tcase_add_test(t, test_longer_header);
	tcase_add_test(t, test_publication_needs_only_its_type);
	tcase_add_test(t, test_what_cannot_be_written);
	tcase_add_test(t, test_a_full_buffer_stays_as_it_was);
	tcase_add_test(t, test_an_empty_payload_needs_no_digest);
	suite_add_tcase(s, t);
	return run_suite(s);
}
