/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/crc.c, with the vectors of RFC 3720 appendix B.4. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/crc.h"
#include "tests/unit/suite.h"

START_TEST(test_vectors)
{
	unsigned char b[32];

	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xE3069283);
	ck_assert_uint_eq(crc32c(0, "", 0), 0);
	memset(b, 0, sizeof(b));
	ck_assert_uint_eq(crc32c(0, b, sizeof(b)), 0x8A9136AA);
	memset(b, 0xFF, sizeof(b));
	ck_assert_uint_eq(crc32c(0, b, sizeof(b)), 0x62A8AB43);
	for (unsigned char i = 0; i < 32; i++)
		b[i] = i;
	ck_assert_uint_eq(crc32c(0, b, sizeof(b)), 0x46DD794E);
}
END_TEST

START_TEST(test_in_parts)
{
	for (size_t cut = 0; cut <= 9; cut++) {
		const char *text = "123456789";
		uint32_t first = crc32c(0, text, cut);

		ck_assert_uint_eq(crc32c(first, text + cut, 9 - cut), 0xE3069283);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("crc");
	TCase *t = tcase_create("crc");

	tcase_add_test(t, test_vectors);
	tcase_add_test(t, test_in_parts);
	suite_add_tcase(s, t);
	return run_suite(s);
}
