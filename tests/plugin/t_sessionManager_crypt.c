/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/crypt.c, with the vectors of spec 02 §4.4. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "plugins/sessionManager/crypt.h"
#include "tests/unit/suite.h"

static struct crypt *agent, *client;
static struct err e;
static struct sbuf out = SBUF_INIT(4096), back = SBUF_INIT(4096);

/* The vectors' nonce. */
static void
counting(void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)p)[i] = (unsigned char)i;
}

static void
start(void)
{
	unsigned char key[CRYPT_KEY_BYTES], swapped[CRYPT_KEY_BYTES];

	rand_replace(counting);
	counting(key, sizeof(key));
	memcpy(swapped, key + 32, 32);
	memcpy(swapped + 32, key, 32);
	ck_assert_int_eq(crypt_new(key, sizeof(key), &agent, &e), 0);
	ck_assert_int_eq(crypt_new(swapped, sizeof(swapped), &client, &e), 0);
}

static void
stop(void)
{
	agent = crypt_free(agent);
	client = crypt_free(client);
	sbuf_done(&out);
	sbuf_done(&back);
	rand_replace(NULL);
}

static void
is_hex(const struct sbuf *b, const char *hex)
{
	autofree char *text = xcalloc(1, 2 * b->len + 1);

	text_hex(b->p, b->len, text);
	ck_assert_str_eq(text, hex);
}

START_TEST(test_vectors)
{
	ck_assert_int_eq(crypt_seal(agent, "$ ", 2, &out, &e), 0);
	is_hex(&out, "000102030405060708090a0b63225dd1694d3a5e9c0d49f6df095a51f0cb");
	sbuf_reset(&out);
	ck_assert_int_eq(crypt_seal(client, "ls\r", 3, &out, &e), 0);
	is_hex(&out, "000102030405060708090a0b302150796b6ce92de9e02938ee56f3d16b8741");
	ck_assert_int_eq(crypt_open(agent, out.p, out.len, &back, &e), 0);
	ck_assert_str_eq(sbuf_str(&back), "ls\r");
}
END_TEST

/* Each byte that is not the first moves when the one before it has gone round. */
START_TEST(test_nonces_count)
{
	for (int i = 0; i < 256; i++) {
		sbuf_reset(&out);
		ck_assert_int_eq(crypt_seal(agent, "", 0, &out, &e), 0);
		ck_assert_uint_eq(out.len, CRYPT_EXTRA_BYTES);
		ck_assert_uint_eq((unsigned char)out.p[0], (unsigned int)i);
		ck_assert_uint_eq((unsigned char)out.p[1], 1);
	}
	sbuf_reset(&out);
	crypt_seal(agent, "", 0, &out, &e);
	ck_assert_mem_eq(out.p, "\0\2\2\3", 4);
}
END_TEST

START_TEST(test_damage)
{
	crypt_seal(client, "secret", 6, &out, &e);
	for (size_t i = 0; i < out.len; i++) {
		out.p[i] = (char)(out.p[i] ^ 1);
		ck_assert_int_eq(crypt_open(agent, out.p, out.len, &back, &e), -EBADMSG);
		out.p[i] = (char)(out.p[i] ^ 1);
	}
	for (size_t len = 0; len < out.len; len++)
		ck_assert_int_eq(crypt_open(agent, out.p, len, &back, &e), -EBADMSG);
	ck_assert_int_eq(crypt_open(client, out.p, out.len, &back, &e), -EBADMSG);
	ck_assert_uint_eq(back.len, 0);
	ck_assert_int_eq(crypt_open(agent, out.p, out.len, &back, &e), 0);
	ck_assert_str_eq(sbuf_str(&back), "secret");
}
END_TEST

START_TEST(test_no_room)
{
	struct sbuf small = SBUF_INIT(CRYPT_EXTRA_BYTES + 1);

	ck_assert_int_eq(crypt_seal(agent, "ab", 2, &small, &e), -E2BIG);
	ck_assert_uint_eq(small.len, 0);
	ck_assert_int_eq(crypt_seal(client, "a", 1, &small, &e), 0);
	back.max = 0;
	ck_assert_int_eq(crypt_open(agent, small.p, small.len, &back, &e), -E2BIG);
	back.max = 4096;
	sbuf_done(&small);
}
END_TEST

START_TEST(test_challenge)
{
	ck_assert_int_eq(crypt_challenge(agent, &out, &e), 0);
	ck_assert_uint_eq(out.len, 92);
	ck_assert_int_eq(crypt_open(client, out.p, out.len, &back, &e), 0);
	sbuf_reset(&out);
	ck_assert_int_eq(crypt_seal(client, back.p, back.len, &out, &e), 0);
	ck_assert_int_eq(crypt_answer(agent, out.p, out.len, &e), 0);
	back.p[63] ^= 1;
	sbuf_reset(&out);
	ck_assert_int_eq(crypt_seal(client, back.p, back.len, &out, &e), 0);
	ck_assert_int_eq(crypt_answer(agent, out.p, out.len, &e), -EBADMSG);
	ck_assert_int_eq(crypt_answer(agent, out.p, out.len - 1, &e), -EBADMSG);
}
END_TEST

/* Nobody asked: zeros, which is what was not asked, are no answer. */
START_TEST(test_answer_without_challenge)
{
	static const char zeros[CRYPT_CHALLENGE_BYTES];

	ck_assert_int_eq(crypt_seal(client, zeros, sizeof(zeros), &out, &e), 0);
	ck_assert_int_eq(crypt_answer(agent, out.p, out.len, &e), -EBADMSG);
}
END_TEST

START_TEST(test_key_of_another_length)
{
	static const char key[CRYPT_KEY_BYTES + 1];
	struct crypt *c = NULL;

	ck_assert_int_eq(crypt_new(key, 32, &c, &e), -EINVAL);
	ck_assert_int_eq(crypt_new(key, 65, &c, &e), -EINVAL);
	ck_assert_ptr_null(c);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager crypt");
	TCase *t = tcase_create("crypt");

	tcase_add_checked_fixture(t, start, stop);
	tcase_add_test(t, test_vectors);
	tcase_add_test(t, test_nonces_count);
	tcase_add_test(t, test_damage);
	tcase_add_test(t, test_no_room);
	tcase_add_test(t, test_challenge);
	tcase_add_test(t, test_answer_without_challenge);
	tcase_add_test(t, test_key_of_another_length);
	suite_add_tcase(s, t);
	return run_suite(s);
}
