/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/control_messages.c: spec 01 §5, spec 02 §1.2, §1.4. */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/control_messages.h"
#include "tests/unit/suite.h"

static struct err e;

static void
token_is(const char *xml, const char *wanted)
{
	autofree char *token = NULL;

	e = (struct err){ 0, "" };
	token = control_token_read(xml, strlen(xml), &e);
	if (wanted) {
		ck_assert_msg(token != NULL, "%s: %s", xml, err_text(&e));
		ck_assert_str_eq(token, wanted);
	} else {
		ck_assert_msg(token == NULL, "%s: %s", xml, token);
		ck_assert_int_eq(e.code, -EBADMSG);
	}
}

START_TEST(test_token)
{
	token_is("<R><MessageSchemaVersion>1.0</MessageSchemaVersion>"
		 "<TokenValue>abc</TokenValue></R>",
		 "abc");
	token_is("<?xml version=\"1.0\"?>\n<!-- <TokenValue>no</TokenValue> -->\n"
		 "<a:R xmlns:a='urn:x>y'>\n <x/>\n <a:TokenValue type=\"t\" >a+/=&amp;&lt;&gt;"
		 "&quot;&apos;&#61;&#xFc;&#x1F600;</a:TokenValue>\n</a:R>",
		 "a+/=&<>\"'=\xc3\xbc\xf0\x9f\x98\x80");
	token_is("<R><TokenValue><![CDATA[<&>]]></TokenValue></R>", "<&>");
	/* The first child of the root counts, nothing deeper. */
	token_is("<R><X><TokenValue>deep</TokenValue></X><TokenValue>flat</TokenValue></R>",
		 "flat");
	token_is("<R><TokenValue>1</TokenValue><TokenValue>2</TokenValue></R>", "1");
}
END_TEST

START_TEST(test_no_token)
{
	static const char *const bad[] = {
		"",
		"abc",
		"{\"TokenValue\":\"x\"}",
		"<TokenValue>x</TokenValue>",
		"<R></R>",
		"<R><TokenValue></TokenValue></R>",
		"<R><TokenValue/></R>",
		"<R><TokenValue>x",
		"<R><TokenValue>x</R>",
		"<R><TokenValue>x<b/></TokenValue></R>",
		"<R><TokenValue>&nbsp;</TokenValue></R>",
		"<R><TokenValue>&#0;</TokenValue></R>",
		"<R><TokenValue>&#xD800;</TokenValue></R>",
		"<R><TokenValue>&#99999999999;</TokenValue></R>",
		"<R><TokenValue>&amp</TokenValue></R>",
		"<!DOCTYPE x [<!ENTITY a \"b\">]><R><TokenValue>&a;</TokenValue></R>",
		"<R><TokenValue>\xff</TokenValue></R>",
		"</R><R><TokenValue>x</TokenValue></R>",
		"<R a='<'><TokenValue",
		"<R <TokenValue>x</TokenValue>",
	};
	autofree char *large = xcalloc(1, CONTROL_ANSWER_MAX + 2);

	for (size_t i = 0; i < NELEMS(bad); i++)
		token_is(bad[i], NULL);
	ck_assert_ptr_null(control_token_read("<R><TokenValue>a\0b</TokenValue></R>", 35, &e));
	memset(large, '<', CONTROL_ANSWER_MAX + 1);
	token_is(large, NULL);
}
END_TEST

static int
job(const char *text, struct control_job *j)
{
	return control_job_read((struct span){ text, strlen(text) }, j, &e);
}

START_TEST(test_job)
{
	struct control_job j;

	ck_assert_int_eq(job("{\"Content\":\"{}\",\"JobId\":\"aws.ssm.x.i-1\",\"Topic\":\"t\","
			     "\"SchemaVersion\":1,\"More\":[]}",
			     &j),
			 0);
	ck_assert_str_eq(j.id, "aws.ssm.x.i-1");
	ck_assert_str_eq(j.topic, "t");
	ck_assert_str_eq(j.content, "{}");
	control_job_done(&j);
	/* Go's decoder: any case, the last wins, null is absent. */
	ck_assert_int_eq(job("{\"content\":\"a\",\"JOBID\":\"b\",\"topic\":\"c\","
			     "\"TOPIC\":null}",
			     &j),
			 0);
	ck_assert_str_eq(j.content, "a");
	control_job_done(&j);
}
END_TEST

START_TEST(test_bad_job)
{
	static const char *const bad[] = {
		"", "[]", "{", "{\"JobId\":\"a\",\"Content\":\"\"}", "{\"JobId\":5}",
		"{\"JobId\":\"a\",\"Topic\":\"t\",\"Content\":{}}",
		"{\"JobId\":\"a\\u0000b\",\"Topic\":\"t\",\"Content\":\"\"}",
	};
	struct control_job j;

	for (size_t i = 0; i < NELEMS(bad); i++) {
		ck_assert_msg(job(bad[i], &j) == -EBADMSG, "%s", bad[i]);
		control_job_done(&j);
	}
	/* Enough to be acknowledged by. */
	ck_assert_int_eq(job("{\"JobId\":\"a\",\"Topic\":7}", &j), -EBADMSG);
	ck_assert_str_eq(j.id, "a");
	control_job_done(&j);
}
END_TEST

START_TEST(test_other_readers)
{
	static const char ack[] = "{\"jobId\":\"x\",\"acknowledgedMessageId\":\"m-1\"}";
	static const char shell[] = "{\"schemaVersion\":1,\"taskId\":\"t\",\"content\":"
				    "\"{\\\"SessionId\\\":\\\"alice-1\\\"}\"}";
	autofree char *id = control_reply_ack_read((struct span){ ack, strlen(ack) }, &e);
	autofree char *content = NULL, *none = NULL;
	autofree char *session =
		control_shell_read((struct span){ shell, strlen(shell) }, &content, &e);

	ck_assert_str_eq(id, "m-1");
	ck_assert_str_eq(session, "alice-1");
	ck_assert_ptr_null(control_reply_ack_read((struct span){ "{}", 2 }, &e));
	ck_assert_ptr_null(
		control_shell_read((struct span){ "{\"content\":\"x\"}", 15 }, &none, &e));
}
END_TEST

START_TEST(test_writers)
{
	autosbuf struct sbuf b = SBUF_INIT(4096);

	ck_assert_int_eq(control_open_write("e8f32d5c-7567-47f0-a437-54fe6994d8b1", "t<\"",
					    "3.3.0.0", &b),
			 0);
	/* spec 02 §1.4 */
	ck_assert_str_eq(b.p, "{\"Cookie\":null,\"MessageSchemaVersion\":\"1.0\",\"RequestId\":"
			      "\"e8f32d5c-7567-47f0-a437-54fe6994d8b1\",\"TokenValue\":"
			      "\"t\\u003c\\\"\","
			      "\"AgentVersion\":\"3.3.0.0\",\"PlatformType\":\"linux\"}");
	sbuf_reset(&b);
	ck_assert_int_eq(control_ack_write("aws.ssm.2b19.i-0123456789abcdef0", "m", 1709622489123,
					   CONTROL_SUCCESSFUL, &b),
			 0);
	/* spec 01 §5.3 */
	ck_assert_str_eq(b.p, "{\"jobId\":\"aws.ssm.2b19.i-0123456789abcdef0\","
			      "\"acknowledgedMessageId\":\"m\",\"createdDate\":"
			      "\"2024-03-05T07:08:09.123Z\",\"statusCode\":\"200\","
			      "\"errorMessage\":\"Successful\"}");
	sbuf_reset(&b);
	ck_assert_int_eq(control_reply_write("j", "aws.ssm.sendCommand.eu-west-1.i-1",
					     "{\"a\":1}", 7, &b),
			 0);
	/* spec 01 §5.4 */
	ck_assert_str_eq(b.p, "{\"schemaVersion\":1,\"jobId\":\"j\",\"content\":\"{\\\"a\\\":1}\","
			      "\"topic\":\"aws.ssm.sendCommand\"}");
	sbuf_reset(&b);
	ck_assert_int_eq(control_reply_write("j", "acme.x", "", 0, &b), 0);
	ck_assert_ptr_nonnull(strstr(b.p, "\"topic\":\"acme.x\""));
	sbuf_reset(&b);
	/* spec 02 §5.6 */
	{
		const struct control_task t = { "s", "i-1", "Failed", "why", 1, NULL };

		ck_assert_int_eq(control_task_write(&t, &b), 0);
	}
	ck_assert_str_eq(b.p, "{\"SchemaVersion\":1,\"TaskId\":\"s\","
			      "\"Topic\":\"agent_task_complete\","
			      "\"FinalTaskStatus\":\"Failed\",\"IsRoutingFailure\":false,"
			      "\"AwsAccountId\":\"\",\"InstanceId\":\"i-1\",\"Output\":\"why\","
			      "\"S3Bucket\":\"\",\"S3UrlSuffix\":\"\",\"CwlGroup\":\"\","
			      "\"CwlStream\":\"\",\"RetryNumber\":1}");
}
END_TEST

START_TEST(test_codes)
{
	static const struct {
		enum control_code code;
		const char *text;
	} all[] = {
		{ CONTROL_CLOSED, "\"51401\",\"errorMessage\":\"ClosedProcessor\"" },
		{ CONTROL_BUFFER_FULL, "\"51402\",\"errorMessage\":\"ProcessorBufferFull\"" },
		{ CONTROL_UNEXPECTED_TYPE,
		  "\"51403\",\"errorMessage\":\"UnexpectedDocumentType\"" },
		{ CONTROL_DUPLICATE, "\"51405\",\"errorMessage\":\"DuplicateCommand\"" },
		{ CONTROL_INVALID, "\"51406\",\"errorMessage\":\"InvalidDocument\"" },
		{ CONTROL_PARSE_ERROR, "\"51408\",\"errorMessage\":\"AgentJobMessageParseError\"" },
		{ CONTROL_UNEXPECTED, "\"51499\",\"errorMessage\":\"UnexpectedError\"" },
	};

	for (size_t i = 0; i < NELEMS(all); i++) {
		autosbuf struct sbuf b = SBUF_INIT(4096);

		ck_assert_int_eq(control_ack_write("j", "m", 1, all[i].code, &b), 0);
		ck_assert_msg(strstr(b.p, all[i].text) != NULL, "%s", b.p);
	}
}
END_TEST

/* Quotes cost six bytes each in the frame's JSON text of the payload. */
START_TEST(test_content_that_is_too_large)
{
	autosbuf struct sbuf out = SBUF_INIT(1u << 20), content = SBUF_INIT(1u << 20);
	autofree char *fit = NULL, *same = control_content_fit("{\"a\":1}", 7);
	autojson json_t *got = NULL;
	const char *text;

	ck_assert_str_eq(same, "{\"a\":1}");
	for (int i = 0; i < 24000; i++)
		(void)sbuf_addc(&out, '<');
	(void)sbuf_adds(&content, "{\"documentStatus\":\"Success\",\"runtimeStatus\":{\"s\":{"
				  "\"status\":\"Success\",\"standardOutput\":");
	(void)json_add_string_go(&content, out.p, out.len);
	(void)sbuf_adds(&content, "}}}");
	ck_assert_uint_gt(content.len, CONTROL_CONTENT_MAX);
	fit = control_content_fit(content.p, content.len);
	ck_assert_ptr_nonnull(fit);
	ck_assert_uint_le(strlen(fit), CONTROL_CONTENT_MAX);
	got = json_parse(fit, strlen(fit), "fit", &e);
	ck_assert_str_eq(json_str(got, "documentStatus", ""), "Success");
	text = json_string_value(json_at(got, "/runtimeStatus/s/standardOutput"));
	ck_assert_ptr_nonnull(strstr(text, "<\n--output truncated--"));
	/* Large for another reason: it cannot be helped. */
	sbuf_reset(&content);
	(void)sbuf_adds(&content, "{\"x\":");
	(void)json_add_string_go(&content, out.p, out.len);
	(void)sbuf_addc(&content, '}');
	ck_assert_ptr_null(control_content_fit(content.p, content.len));
	memset(content.p, '[', content.len);
	ck_assert_ptr_null(control_content_fit(content.p, content.len));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager control messages");
	TCase *t = tcase_create("control");

	tcase_add_test(t, test_token);
	tcase_add_test(t, test_no_token);
	tcase_add_test(t, test_job);
	tcase_add_test(t, test_bad_job);
	tcase_add_test(t, test_other_readers);
	tcase_add_test(t, test_writers);
	tcase_add_test(t, test_codes);
	tcase_add_test(t, test_content_that_is_too_large);
	suite_add_tcase(s, t);
	return run_suite(s);
}
