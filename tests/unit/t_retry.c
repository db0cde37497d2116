/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/net/retry.c: spec/01 section 4.4, DESIGN section 14. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/net/retry.h"
#include "tests/unit/suite.h"

static void
all_ones(void *p, size_t len)
{
	memset(p, 0xff, len);
}

static void
all_zero(void *p, size_t len)
{
	memset(p, 0, len);
}

START_TEST(test_bounds)
{
	struct retry r;
	int64_t upper = 500, seen_max = 0;

	retry_init(&r, 500, 60000);
	for (int i = 0; i < 2000; i++) {
		int64_t wait = retry_next_ms(&r, 0);

		ck_assert(wait >= 0 && wait <= upper);
		seen_max = wait > seen_max ? wait : seen_max;
		upper = upper * 2 > 60000 ? 60000 : upper * 2;
	}
	ck_assert_uint_eq(r.failures, 2000);
	/* jitter is full: the upper half is met, too */
	ck_assert_int_gt(seen_max, 30000);
	retry_reset(&r);
	ck_assert_int_le(retry_next_ms(&r, 0), 500);
}
END_TEST

START_TEST(test_jitter)
{
	struct retry r;

	rand_replace(all_zero);
	retry_init(&r, 1000, 8000);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(retry_next_ms(&r, 0), 0);
	ck_assert_int_eq(retry_next_ms(&r, 1234), 1234);
	rand_replace(all_ones);
	retry_reset(&r);
	for (int i = 0; i < 100; i++)
		ck_assert_int_le(retry_next_ms(&r, 0), 8000);
	ck_assert_int_eq(retry_next_ms(&r, 9000), 9000);
	rand_replace(NULL);
}
END_TEST

START_TEST(test_odd_limits)
{
	struct retry r;

	retry_init(&r, 0, 0);
	ck_assert_int_eq(retry_next_ms(&r, 0), 0);
	retry_init(&r, 5000, 100);
	ck_assert_int_le(retry_next_ms(&r, 0), 100);
	retry_init(&r, 1, INT64_MAX);
	for (int i = 0; i < 200; i++)
		ck_assert_int_ge(retry_next_ms(&r, 0), 0);
	retry_init(&r, -5, -5);
	ck_assert_int_eq(retry_next_ms(&r, 7), 7);
}
END_TEST

START_TEST(test_classes)
{
	static const struct {
		int result, status;
		const char *code;
		enum retry_class expected;
	} table[] = {
		{ -ECONNREFUSED, 0, NULL, RETRY_TRANSPORT },
		{ -ECONNRESET, 0, NULL, RETRY_TRANSPORT },
		{ -ETIMEDOUT, 0, "", RETRY_TRANSPORT },
		{ -EHOSTUNREACH, 0, NULL, RETRY_TRANSPORT },
		{ -EPROTO, 0, NULL, RETRY_TRANSPORT },
		{ -EIO, 0, NULL, RETRY_TRANSPORT },
		{ -E2BIG, 200, NULL, RETRY_NO },
		{ -EINVAL, 0, NULL, RETRY_NO },
		{ -ENOKEY, 0, NULL, RETRY_AUTH },
		{ -EREMOTEIO, 500, "", RETRY_TRANSPORT },
		{ -EREMOTEIO, 502, NULL, RETRY_TRANSPORT },
		{ -EREMOTEIO, 503, "SerializationError", RETRY_TRANSPORT },
		{ -EREMOTEIO, 504, NULL, RETRY_TRANSPORT },
		{ -EREMOTEIO, 429, NULL, RETRY_THROTTLED },
		{ -EREMOTEIO, 400, "ThrottlingException", RETRY_THROTTLED },
		{ -EREMOTEIO, 400, "TooManyRequestsException", RETRY_THROTTLED },
		{ -EREMOTEIO, 503, "SlowDown", RETRY_THROTTLED },
		{ -EREMOTEIO, 400, "RequestTimeoutException", RETRY_TRANSPORT },
		{ -EREMOTEIO, 400, "InternalServerException", RETRY_TRANSPORT },
		{ -EREMOTEIO, 400, "ExpiredTokenException", RETRY_AUTH },
		{ -EREMOTEIO, 403, "ExpiredToken", RETRY_AUTH },
		{ -EREMOTEIO, 400, "UnrecognizedClientException", RETRY_AUTH },
		{ -EREMOTEIO, 403, "InvalidClientTokenId", RETRY_AUTH },
		{ -EREMOTEIO, 400, "InvalidSignatureException", RETRY_SKEW },
		{ -EREMOTEIO, 403, "SignatureDoesNotMatch", RETRY_SKEW },
		{ -EREMOTEIO, 403, "RequestTimeTooSkewed", RETRY_SKEW },
		{ -EREMOTEIO, 400, "RequestExpired", RETRY_SKEW },
		{ -EREMOTEIO, 400, "AccessDeniedException", RETRY_NO },
		{ -EREMOTEIO, 400, "AuthorizationFailureException", RETRY_NO },
		{ -EREMOTEIO, 400, "InvalidDestinationException", RETRY_NO },
		{ -EREMOTEIO, 400, "ValidationException", RETRY_NO },
		{ -EREMOTEIO, 404, "", RETRY_NO },
		{ -EREMOTEIO, 301, NULL, RETRY_NO },
	};

	for (size_t i = 0; i < NELEMS(table); i++)
		ck_assert_msg(retry_classify(table[i].result, table[i].status, table[i].code) ==
				      table[i].expected,
			      "%d %d %s", table[i].result, table[i].status,
			      table[i].code ? table[i].code : "-");
}
END_TEST

START_TEST(test_retry_after)
{
	const int64_t now = 1709622489000; /* Tue, 05 Mar 2024 07:08:09 GMT */

	ck_assert_int_eq(retry_after_ms(NULL, now), 0);
	ck_assert_int_eq(retry_after_ms("", now), 0);
	ck_assert_int_eq(retry_after_ms("0", now), 0);
	ck_assert_int_eq(retry_after_ms("7", now), 7000);
	ck_assert_int_eq(retry_after_ms("900", now), 900000);
	ck_assert_int_eq(retry_after_ms("901", now), 900000);
	ck_assert_int_eq(retry_after_ms("9223372036854775807", now), 0);
	ck_assert_int_eq(retry_after_ms("-1", now), 0);
	ck_assert_int_eq(retry_after_ms("1.5", now), 0);
	ck_assert_int_eq(retry_after_ms("soon", now), 0);
	ck_assert_int_eq(retry_after_ms("Tue, 05 Mar 2024 07:08:19 GMT", now), 10000);
	ck_assert_int_eq(retry_after_ms("Tue, 05 Mar 2024 07:08:00 GMT", now), 0);
	ck_assert_int_eq(retry_after_ms("Wed, 05 Mar 2025 07:08:00 GMT", now), 900000);
}
END_TEST

START_TEST(test_budget)
{
	struct retry_budget b;
	int taken = 0;

	retry_budget_init(&b);
	while (retry_budget_take(&b))
		taken++;
	ck_assert_int_eq(taken, 100);
	for (int i = 0; i < 4; i++)
		retry_budget_give(&b, false);
	ck_assert(!retry_budget_take(&b));
	retry_budget_give(&b, false);
	ck_assert(retry_budget_take(&b));
	for (int i = 0; i < 1000; i++)
		retry_budget_give(&b, true);
	for (taken = 0; retry_budget_take(&b); taken++)
		;
	ck_assert_int_eq(taken, 100);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("retry");
	TCase *t = tcase_create("retry");

	tcase_add_test(t, test_bounds);
	tcase_add_test(t, test_jitter);
	tcase_add_test(t, test_odd_limits);
	tcase_add_test(t, test_classes);
	tcase_add_test(t, test_retry_after);
	tcase_add_test(t, test_budget);
	suite_add_tcase(s, t);
	return run_suite(s);
}
