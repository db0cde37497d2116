/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/sessionManager/answer.c and xml.c: refusals as text. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "core/base/mem.h"
#include "plugins/sessionManager/answer.h"
#include "plugins/sessionManager/xml.h"
#include "tests/unit/suite.h"

static void
reason_is(int32_t result, int32_t status, const char *error, const char *body, const char *wanted)
{
	struct ssm_reply r = { .size = sizeof(r),
			       .status = status,
			       .error = (char *)(uintptr_t)error,
			       .body = (char *)(uintptr_t)body,
			       .body_len = body ? strlen(body) : 0 };
	autofree char *text = answer_reason(result, &r);

	ck_assert_str_eq(text, wanted);
	ck_assert_int_eq(answer_is_good(result, &r), result >= 0 && status / 100 == 2);
}

START_TEST(t_reason)
{
	autofree char *none = answer_reason(-EPIPE, NULL), *nothing = answer_reason(0, NULL);

	reason_is(0, 400, "DeniedException", "{\"__type\":\"DeniedException\",\"message\":\"no\"}",
		  "DeniedException: no");
	reason_is(0, 400, "DeniedException", "{\"Message\":\"no\\n\"}", "DeniedException: no\\n");
	reason_is(0, 403, "AccessDenied",
		  "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code>"
		  "<Message>Access &amp; more</Message></Error>",
		  "AccessDenied: Access & more");
	reason_is(0, 403, "AccessDenied", "<Error><Message>", "AccessDenied");
	reason_is(0, 503, NULL, "nonsense", "status 503");
	reason_is(0, 200, NULL, "{}", "status 200");
	reason_is(-EACCES, 0, NULL, "the plugin may not do that", "the plugin may not do that");
	reason_is(-EACCES, 0, NULL, NULL, strerror(EACCES));
	ck_assert_str_eq(none, strerror(EPIPE));
	ck_assert_str_eq(nothing, "status 0");
}
END_TEST

START_TEST(t_long)
{
	autofree char *body = xasprintf("{\"message\":\"%0600d\"}", 1);
	struct ssm_reply r = { .status = 500, .body = body, .body_len = strlen(body) };
	autofree char *text = answer_reason(0, &r);

	ck_assert_uint_lt(strlen(text), 500);
}
END_TEST

START_TEST(t_header)
{
	char lines[] = "content-type: text/xml\nx-amz-bucket-region: eu-west-1\nempty: \n";
	struct ssm_reply r = { .headers = lines };
	autofree char *region = answer_header(&r, "x-amz-bucket-region");

	ck_assert_str_eq(region, "eu-west-1");
	ck_assert_ptr_null(answer_header(&r, "x-amz-bucket"));
	ck_assert_ptr_null(answer_header(&r, "empty"));
	r.headers = NULL;
	ck_assert_ptr_null(answer_header(&r, "content-type"));
}
END_TEST

static void
text_is(const char *xml, const char *name, enum xml_where where, const char *wanted)
{
	autofree char *text = xml_text(xml, strlen(xml), name, where);

	if (wanted)
		ck_assert_str_eq(text, wanted);
	else
		ck_assert_ptr_null(text);
}

START_TEST(t_xml)
{
	const char *deep = "<S xmlns='http://x/'><Rule><By><Algo>AES256</Algo><Key/></By></Rule>"
			   "<Rule><By><Algo>aws:kms</Algo></By></Rule></S>";

	text_is(deep, "Algo", XML_ANYWHERE, "AES256");
	text_is(deep, "Algo", XML_CHILD, NULL);
	text_is(deep, "Key", XML_ANYWHERE, NULL);
	text_is(deep, "Rule", XML_ANYWHERE, NULL);
	text_is("<S><A></A></S>", "A", XML_CHILD, "");
	text_is("<S>x</S>", "S", XML_ANYWHERE, NULL);
	text_is("", "S", XML_ANYWHERE, NULL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager answer");
	TCase *tc = tcase_create("sessionManager answer");

	tcase_add_test(tc, t_reason);
	tcase_add_test(tc, t_long);
	tcase_add_test(tc, t_header);
	tcase_add_test(tc, t_xml);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
