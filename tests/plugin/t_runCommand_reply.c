/* SPDX-License-Identifier: Apache-2.0 */
/* Replies byte for byte: plugins/runCommand/reply.c against the examples of spec/03 10. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "plugins/runCommand/reply.h"
#include "tests/unit/suite.h"

#define A                                                                                     \
	"{\"lang\":\"en-US\",\"name\":\"amazon-ssm-agent\",\"os\":\"linux\",\"osver\":\"1\"," \
	"\"ver\":\"3.3.2746.0\"}"
#define CMD "01234567-890a-bcde-f012-34567890abcd"

static struct reply_agent agent = { "en-US", "amazon-ssm-agent", "linux",
				    "1",     "3.3.2746.0",	 REPLY_CHANNEL_UNKNOWN };

static int64_t
ms(const char *stamp)
{
	int64_t t;

	ck_assert_int_eq(text_from_iso8601(stamp, &t), 0);
	return t;
}

static void
set(char **text, size_t *len, const char *s)
{
	*text = xstrdup(s);
	*len = strlen(s);
}

static struct result
make(const char *id, enum status status, int code, const char *output, const char *out,
     const char *err)
{
	struct result r = {
		.id = id, .action = "aws:runShellScript", .status = status, .code = code
	};

	set(&r.output, &r.output_len, output);
	set(&r.standard_output, &r.standard_output_len, out);
	set(&r.standard_error, &r.standard_error_len, err);
	r.start_ms = ms("2024-10-21T18:08:11.907Z");
	r.end_ms = ms("2024-10-21T18:08:11.949Z");
	return r;
}

static void
check(char *got, size_t len, const char *want)
{
	ck_assert_str_eq(got, want);
	ck_assert_uint_eq(len, strlen(want));
	json_decref(json_parse(got, len, "reply", NULL));
	free(got);
}

/* spec/03 10.1 */
START_TEST(test_one_step)
{
	struct result r =
		make("say", STATUS_SUCCESS, 0, "hello\n" CMD "\n", "hello\n" CMD "\n", "");
	static const char *const want =
		"{\"additionalInfo\":{\"agent\":" A ",\"dateTime\":\"2024-10-21T18:08:11.950Z\","
		"\"runId\":\"\",\"runtimeStatusCounts\":{\"Success\":1}},"
		"\"documentStatus\":\"%s\",\"documentTraceOutput\":\"\","
		"\"runtimeStatus\":{\"say\":{\"status\":\"Success\",\"code\":0,"
		"\"name\":\"aws:runShellScript\",\"output\":\"hello\\n" CMD "\\n\","
		"\"startDateTime\":\"2024-10-21T18:08:11.907Z\","
		"\"endDateTime\":\"2024-10-21T18:08:11.949Z\",\"outputS3BucketName\":\"\","
		"\"outputS3KeyPrefix\":\"\",\"stepName\":\"\","
		"\"standardOutput\":\"hello\\n" CMD "\\n\",\"standardError\":\"\"}}}";
	static const enum status states[] = { STATUS_IN_PROGRESS, STATUS_SUCCESS };

	for (size_t i = 0; i < 2; i++) {
		const char *mark = strstr(want, "%s");
		autofree char *text = xasprintf("%.*s%s%s", (int)(mark - want), want,
						status_name(states[i]), mark + 2);
		size_t len;
		char *got = reply_results(&agent, ms("2024-10-21T18:08:11.950Z"), states[i], &r, 1,
					  i, &len);

		check(got, len, text);
	}
	result_done(&r);
}
END_TEST

/* spec/03 10.2 */
START_TEST(test_bucket)
{
	struct result r =
		make("aws:runShellScript", STATUS_FAILED, 3,
		     "one\n\n----------ERROR-------\noops\nfailed to run commands: exit status 3",
		     "one\n", "oops\nfailed to run commands: exit status 3");
	size_t len;
	char *got;

	r.s3_bucket = xstrdup("bkt");
	r.s3_prefix = xstrdup("logs/" CMD "/i-0123456789abcdef0/awsrunShellScript");
	r.step_name = xstrdup("0.awsrunShellScript");
	got = reply_results(&agent, ms("2024-10-21T18:08:11.950Z"), STATUS_FAILED, &r, 1, 1, &len);
	check(got, len,
	      "{\"additionalInfo\":{\"agent\":" A ",\"dateTime\":\"2024-10-21T18:08:11.950Z\","
	      "\"runId\":\"\",\"runtimeStatusCounts\":{\"Failed\":1}},"
	      "\"documentStatus\":\"Failed\",\"documentTraceOutput\":\"\","
	      "\"runtimeStatus\":{\"aws:runShellScript\":{\"status\":\"Failed\",\"code\":3,"
	      "\"name\":\"aws:runShellScript\","
	      "\"output\":\"one\\n\\n----------ERROR-------\\noops\\n"
	      "failed to run commands: exit status 3\","
	      "\"startDateTime\":\"2024-10-21T18:08:11.907Z\","
	      "\"endDateTime\":\"2024-10-21T18:08:11.949Z\",\"outputS3BucketName\":\"bkt\","
	      "\"outputS3KeyPrefix\":\"logs/" CMD "/i-0123456789abcdef0/awsrunShellScript\","
	      "\"stepName\":\"0.awsrunShellScript\",\"standardOutput\":\"one\\n\","
	      "\"standardError\":\"oops\\nfailed to run commands: exit status 3\"}}}");
	result_done(&r);
}
END_TEST

/* spec/03 10.3, final reply */
START_TEST(test_many_steps)
{
	static const enum status states[] = { STATUS_SKIPPED, STATUS_SUCCESS, STATUS_FAILED,
					      STATUS_SKIPPED, STATUS_SUCCESS };
	struct result r[5];
	size_t len;
	char *got;

	for (size_t i = 0; i < 5; i++)
		r[i] = make("x", states[i], 0, "", "", "");
	ck_assert_int_eq(reply_document_status(r, 5), STATUS_FAILED);
	got = reply_results(&agent, ms("2024-10-21T18:08:11.950Z"), STATUS_FAILED, r, 5, 5, &len);
	check(got, len,
	      "{\"additionalInfo\":{\"agent\":" A ",\"dateTime\":\"2024-10-21T18:08:11.950Z\","
	      "\"runId\":\"\",\"runtimeStatusCounts\":{\"Failed\":1,\"Skipped\":2,\"Success\":2}},"
	      "\"documentStatus\":\"Failed\",\"documentTraceOutput\":\"\",\"runtimeStatus\":{}}");
	for (size_t i = 0; i < 5; i++)
		result_done(&r[i]);
}
END_TEST

/* spec/03 10.5 */
START_TEST(test_refused)
{
	static const char *const trace =
		"all errors during param validation errors: error thrown in "
		"'AllowedRegexParamValidator' while validating parameter /user/: parameter value "
		"/no/ does "
		"not match the allowed pattern /^yes$/";
	autofree char *want = xasprintf(
		"{\"additionalInfo\":{\"agent\":" A ",\"dateTime\":\"2024-10-21T18:08:11.950Z\","
		"\"runId\":\"\",\"runtimeStatusCounts\":null},\"documentStatus\":\"Failed\","
		"\"documentTraceOutput\":\"%s\",\"runtimeStatus\":null}",
		trace);
	size_t len;
	char *got = reply_refused(&agent, ms("2024-10-21T18:08:11.950Z"), trace, &len);

	check(got, len, want);
}
END_TEST

/* spec/01 1.8: the optional member, where it stands; no results at all; Failed with code 0. */
START_TEST(test_variants)
{
	struct reply_agent on = agent;
	struct result r = make("a", STATUS_FAILED, 0, "", "", "");
	size_t len;
	char *got;

	on.channel = REPLY_CHANNEL_OPEN;
	on.os = on.version = "";
	got = reply_results(&on, ms("2024-03-05T07:08:09.052Z"), STATUS_SUCCESS, NULL, 0, 0, &len);
	check(got, len,
	      "{\"additionalInfo\":{\"agent\":{\"lang\":\"en-US\",\"name\":\"amazon-ssm-agent\","
	      "\"os\":\"\","
	      "\"osver\":\"1\",\"ver\":\"\"},\"dateTime\":\"2024-03-05T07:08:09.052Z\",\"runId\":"
	      "\"\","
	      "\"runtimeStatusCounts\":{},\"ableToOpenMGSConnection\":true},"
	      "\"documentStatus\":\"Success\",\"documentTraceOutput\":\"\",\"runtimeStatus\":{}}");
	got = reply_results(&agent, 0, STATUS_FAILED, &r, 1, 0, &len);
	ck_assert_ptr_nonnull(strstr(got, "\"status\":\"Failed\",\"code\":1,"));
	free(got);
	r.status = STATUS_SKIPPED;
	got = reply_results(&agent, 0, STATUS_SUCCESS, &r, 1, 0, &len);
	ck_assert_ptr_nonnull(strstr(got, "\"status\":\"Skipped\",\"code\":0,"));
	free(got);
	result_done(&r);
}
END_TEST

/* spec/01 1.8: the reference's escapes; NUL and broken UTF-8 in output. */
START_TEST(test_escapes)
{
	static const char bytes[] = "<&>\x00\x01\"\\\t\xff\xc3\xa9\xe2\x80\xa8z";
	struct result r = make("i\"d", STATUS_SUCCESS, 0, "", "", "");
	size_t len;
	char *got;

	free(r.standard_output);
	r.standard_output = xmemdup(bytes, sizeof(bytes) - 1);
	r.standard_output_len = sizeof(bytes) - 1;
	got = reply_results(&agent, 0, STATUS_SUCCESS, &r, 1, 0, &len);
	ck_assert_uint_eq(strlen(got), len);
	ck_assert_ptr_nonnull(
		strstr(got,
		       "\"standardOutput\":\"\\u003c\\u0026\\u003e\\u0000\\u0001\\\"\\\\\\t"
		       "\\ufffd\xc3\xa9\\u2028z\""));
	ck_assert_ptr_nonnull(strstr(got, "\"runtimeStatus\":{\"i\\\"d\":{"));
	free(got);
	result_done(&r);
}
END_TEST

/* spec/03 3.6: document status from the results. */
START_TEST(test_document_status)
{
	static const struct {
		enum status results[3], want;
	} cases[] = {
		{ { STATUS_SUCCESS, STATUS_SKIPPED, STATUS_SUCCESS }, STATUS_SUCCESS },
		{ { STATUS_FAILED, STATUS_SUCCESS_AND_REBOOT, STATUS_TIMED_OUT },
		  STATUS_SUCCESS_AND_REBOOT },
		{ { STATUS_TIMED_OUT, STATUS_FAILED, STATUS_CANCELLED }, STATUS_FAILED },
		{ { STATUS_CANCELLED, STATUS_TIMED_OUT, STATUS_SUCCESS }, STATUS_TIMED_OUT },
		{ { STATUS_CANCELLED, STATUS_SUCCESS, STATUS_SKIPPED }, STATUS_CANCELLED },
		{ { STATUS_PASSED_AND_REBOOT, STATUS_SUCCESS, STATUS_SKIPPED },
		  STATUS_IN_PROGRESS },
	};

	ck_assert_int_eq(reply_document_status(NULL, 0), STATUS_SUCCESS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct result r[3];

		for (size_t n = 0; n < 3; n++)
			r[n] = (struct result){ .status = cases[i].results[n] };
		ck_assert_int_eq(reply_document_status(r, 3), cases[i].want);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("runCommand reply");
	TCase *tc = tcase_create("reply");

	tcase_add_test(tc, test_one_step);
	tcase_add_test(tc, test_bucket);
	tcase_add_test(tc, test_many_steps);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_variants);
	tcase_add_test(tc, test_escapes);
	tcase_add_test(tc, test_document_status);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
