/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/digest.c: FIPS 180 examples, RFC 4231. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/text.h"
#include "tests/unit/suite.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define MILLION "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

START_TEST(test_sha256)
{
	char hex[DIGEST_SHA256_HEX_SIZE];

	digest_sha256_hex("", 0, hex);
	ck_assert_str_eq(hex, EMPTY);
	digest_sha256_hex(NULL, 0, hex);
	ck_assert_str_eq(hex, EMPTY);
	digest_sha256_hex("abc", 3, hex);
	ck_assert_str_eq(hex, ABC);
}
END_TEST

START_TEST(test_sha1)
{
	unsigned char raw[DIGEST_SHA1_SIZE];
	char hex[2 * DIGEST_SHA1_SIZE + 1];

	digest_sha1("abc", 3, raw);
	text_hex(raw, sizeof(raw), hex);
	ck_assert_str_eq(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
}
END_TEST

START_TEST(test_stream)
{
	char hex[DIGEST_SHA256_HEX_SIZE], block[1000];
	struct digest *d = digest_new();

	memset(block, 'a', sizeof(block));
	for (int i = 0; i < 1000; i++)
		digest_add(d, block, sizeof(block));
	digest_finish_hex(d, hex);
	ck_assert_str_eq(hex, MILLION);
	d = digest_new();
	digest_add(d, NULL, 0);
	digest_finish_hex(d, hex);
	ck_assert_str_eq(hex, EMPTY);
}
END_TEST

static void
check_hmac(const void *key, size_t key_len, const char *data, const char *want)
{
	unsigned char raw[DIGEST_SHA256_SIZE];
	char hex[DIGEST_SHA256_HEX_SIZE];

	digest_hmac_sha256(key, key_len, data, strlen(data), raw);
	text_hex(raw, sizeof(raw), hex);
	ck_assert_str_eq(hex, want);
}

START_TEST(test_hmac)
{
	unsigned char key[131];

	memset(key, 0xAA, sizeof(key));
	check_hmac("Jefe", 4, "what do ya want for nothing?",
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	check_hmac(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First",
		   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	check_hmac(NULL, 0, "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("digest");
	TCase *t = tcase_create("digest");

	tcase_add_test(t, test_sha1);
	tcase_add_test(t, test_sha256);
	tcase_add_test(t, test_stream);
	tcase_add_test(t, test_hmac);
	suite_add_tcase(s, t);
	return run_suite(s);
}
