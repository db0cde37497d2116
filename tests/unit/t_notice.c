/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/notice.c: the bytes of spec/01 section 1.8. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/notice.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "tests/unit/suite.h"

#define NOW 1709622489052

static const struct notice_agent agent = { "en-US", "amazon-ssm-agent", "linux", "1", "3.3.0.0" };

#define HEAD                                                                                \
	"{\"additionalInfo\":{\"agent\":{\"lang\":\"en-US\",\"name\":\"amazon-ssm-agent\"," \
	"\"os\":\"linux\",\"osver\":\"1\",\"ver\":\"3.3.0.0\"},\"dateTime\":"               \
	"\"2024-03-05T07:08:09.052Z\",\"runId\":\"\",\"runtimeStatusCounts\":null"

static const struct {
	const char *status, *trace;
	enum notice_channel channel;
	const char *want;
} rows[] = {
	{ "InProgress", "", NOTICE_CHANNEL_OPEN,
	  HEAD ",\"ableToOpenMGSConnection\":true},\"documentStatus\":\"InProgress\","
	       "\"documentTraceOutput\":\"\",\"runtimeStatus\":null}" },
	{ "InProgress", "", NOTICE_CHANNEL_CLOSED,
	  HEAD ",\"ableToOpenMGSConnection\":false},\"documentStatus\":\"InProgress\","
	       "\"documentTraceOutput\":\"\",\"runtimeStatus\":null}" },
	{ "InProgress", "", NOTICE_CHANNEL_UNKNOWN,
	  HEAD "},\"documentStatus\":\"InProgress\",\"documentTraceOutput\":\"\","
	       "\"runtimeStatus\":null}" },
	{ "Failed", "a<b>&\"c\\\n\t\x01\xe2\x80\xa8\xff\xc3\xa4", NOTICE_CHANNEL_UNKNOWN,
	  HEAD "},\"documentStatus\":\"Failed\",\"documentTraceOutput\":"
	       "\"a\\u003cb\\u003e\\u0026\\\"c\\\\\\n\\t\\u0001\\u2028\\ufffd\xc3\xa4\","
	       "\"runtimeStatus\":null}" },
};

START_TEST(test_bytes)
{
	autofree char *text =
		notice_payload(&agent, NOW, rows[_i].status, rows[_i].trace, rows[_i].channel);

	ck_assert_str_eq(text, rows[_i].want);
}
END_TEST

/* A document that quotes itself cannot break the reply. */
START_TEST(test_long_trace)
{
	size_t len = 4 * 1024 * 1024;
	autofree char *trace = xcalloc(len + 2, 1);
	autofree char *text = NULL;
	autojson json_t *v = NULL;

	/* Characters of three bytes that start at one: the cut must not split one. */
	trace[0] = 'x';
	for (size_t i = 1; i + 3 <= len; i += 3)
		memcpy(trace + i, "\xe2\x82\xac", 3);
	text = notice_payload(&agent, NOW, "Failed", trace, NOTICE_CHANNEL_CLOSED);
	v = json_parse(text, strlen(text), "the notice", NULL);
	ck_assert_ptr_nonnull(v);
	ck_assert_uint_eq(strlen(json_str(v, "documentTraceOutput", "")), 23998);
	ck_assert_ptr_null(strstr(text, "ufffd"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("notice");
	TCase *tc = tcase_create("notice");

	tcase_add_loop_test(tc, test_bytes, 0, NELEMS(rows));
	tcase_add_test(tc, test_long_trace);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
