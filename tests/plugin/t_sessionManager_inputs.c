/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/inputs.c: the tables of spec 02 §5.2, prefixes of §6.6. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/inputs.h"
#include "tests/unit/suite.h"

static struct err e;

static json_t *
json(const char *text)
{
	json_t *v = json_parse(text, strlen(text), "test", &e);

	ck_assert_msg(v != NULL, "%s", e.text);
	return v;
}

START_TEST(test_document_of_the_chapter)
{
	autojson json_t *v = json(
		"{\"s3BucketName\":\"b\",\"s3KeyPrefix\":\"p\",\"s3EncryptionEnabled\":true,"
		"\"cloudWatchLogGroupName\":\"g\",\"cloudWatchEncryptionEnabled\":true,"
		"\"cloudWatchStreamingEnabled\":false,\"kmsKeyId\":\"k\",\"runAsEnabled\":false,"
		"\"runAsDefaultUser\":\"u\",\"idleSessionTimeout\":\"20\",\"maxSessionDuration\":"
		"\"60\",\"shellProfile\":{\"windows\":\"w\",\"linux\":\"l\"}}");
	struct session_inputs s;

	ck_assert_int_eq(session_inputs_read(v, &s, &e), 0);
	ck_assert_str_eq(s.s3_bucket, "b");
	ck_assert_str_eq(s.s3_prefix, "p");
	ck_assert_str_eq(s.log_group, "g");
	ck_assert_str_eq(s.kms_key_id, "k");
	ck_assert_str_eq(s.run_as_user, "u");
	ck_assert_str_eq(s.shell_profile, "l");
	ck_assert(s.s3_encrypted && s.log_encrypted && !s.log_streaming && !s.run_as);
	session_inputs_done(&s);
}
END_TEST

START_TEST(test_nothing)
{
	static const char *const all[] = { "{}", "null",
					   "{\"shellProfile\":null,\"kmsKeyId\":null}" };

	for (size_t i = 0; i < NELEMS(all); i++) {
		autojson json_t *v = json(all[i]);
		struct session_inputs s;

		ck_assert_int_eq(session_inputs_read(v, &s, &e), 0);
		ck_assert_str_eq(s.shell_profile, "");
		ck_assert_str_eq(s.kms_key_id, "");
		ck_assert(!s.s3_encrypted && !s.run_as);
		session_inputs_done(&s);
	}

}
END_TEST

static const struct {
	const char *value;
	int result; /* 1 true, 0 false, or the error */
} words[] = {
	{ "true", 1 },	     { "false", 0 },	 { "\"1\"", 1 },      { "\"t\"", 1 },
	{ "\"T\"", 1 },	     { "\"true\"", 1 },	 { "\"True\"", 1 },   { "\"TRUE\"", 1 },
	{ "\"0\"", 0 },	     { "\"f\"", 0 },	 { "\"F\"", 0 },      { "\"false\"", 0 },
	{ "\"False\"", 0 },  { "\"FALSE\"", 0 }, { "\"\"", 0 },	      { "null", 0 },
	{ "\"yes\"", -EINVAL }, { "\"tRUE\"", -EINVAL }, { "1", -EINVAL }, { "[]", -EINVAL },
	{ "\"1\\u0000\"", -EINVAL },
};

START_TEST(test_words_for_truth)
{
	autofree char *text = xasprintf("{\"RUNASENABLED\":%s}", words[_i].value);
	autojson json_t *v = json(text);
	struct session_inputs s;
	int r = session_inputs_read(v, &s, &e);

	if (words[_i].result < 0) {
		ck_assert_int_eq(r, words[_i].result);
		ck_assert_ptr_nonnull(strstr(e.text, "'runAsEnabled'"));
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(s.run_as, words[_i].result);
	session_inputs_done(&s);
}
END_TEST

START_TEST(test_inputs_that_are_refused)
{
	static const struct {
		const char *text, *part;
	} all[] = {
		{ "[]", "not a JSON object" },
		{ "{\"cloudWatchStreamingEnabled\":\"true\"}", "'cloudWatchStreamingEnabled'" },
		{ "{\"kmsKeyId\":[\"k\"]}", "'kmsKeyId'" },
		{ "{\"kmsKeyId\":\"a\\u0000b\"}", "'kmsKeyId'" },
		{ "{\"shellProfile\":\"x\"}", "shellProfile: not a JSON object" },
		{ "{\"shellProfile\":{\"linux\":1}}", "shellProfile: 'linux'" },
	};

	for (size_t i = 0; i < NELEMS(all); i++) {
		autojson json_t *v = json(all[i].text);
		struct session_inputs s;

		ck_assert_int_eq(session_inputs_read(v, &s, &e), -EINVAL);
		ck_assert_msg(strstr(e.text, all[i].part) != NULL, "%s", e.text);
		ck_assert_int_eq(session_inputs_read(v, &s, NULL), -EINVAL);
	}
}
END_TEST

/* Documents write "stdoutSeparatorPrefix", too (§2.6). */
START_TEST(test_commands)
{
	autojson json_t *v = json("{\"windows\":7,\"linux\":{\"commands\":\"ls -l\","
				  "\"runAsElevated\":true,\"separateOutputStream\":\"true\","
				  "\"stdoutSeparatorPrefix\":\"out: \",\"stdErrSeparatorPrefix\":"
				  "\"E_-:\\r\\n\"}}");
	struct command_properties p;

	ck_assert_int_eq(command_properties_read(v, &p, &e), -EINVAL); /* a blank */
	ck_assert_str_eq(e.text, "invalid stdoutSeparatorPrefix out: ");
	json_object_set_new(json_object_get(v, "linux"), "stdoutSeparatorPrefix",
			    json_string("out:"));
	ck_assert_int_eq(command_properties_read(v, &p, &e), 0);
	ck_assert_str_eq(p.commands, "ls -l");
	ck_assert_str_eq(p.stdout_prefix, "out:");
	ck_assert_str_eq(p.stderr_prefix, "E_-:\r\n");
	ck_assert(p.elevated && p.separate_output);
	command_properties_done(&p);
}
END_TEST

START_TEST(test_commands_that_are_refused)
{
	static const struct {
		const char *text, *part;
	} all[] = {
		{ "7", "not a JSON object" },
		{ "{\"linux\":[]}", "not a JSON object" },
		{ "{\"linux\":{\"runAsElevated\":\"true\"}}", "'runAsElevated'" },
		{ "{\"linux\":{\"commands\":[\"ls\"]}}", "'commands'" },
		{ "{\"linux\":{\"stdErrSeparatorPrefix\":\"1234567890123456789012345678901\"}}",
		  "invalid stderrSeparatorPrefix 1234567890123456789012345678901" },
		{ "{\"linux\":{\"stdOutSeparatorPrefix\":\"\\u001b\"}}",
		  "invalid stdoutSeparatorPrefix \\x1b" },
	};

	for (size_t i = 0; i < NELEMS(all); i++) {
		autojson json_t *v = json(all[i].text);
		struct command_properties p;

		ck_assert_int_eq(command_properties_read(v, &p, &e), -EINVAL);
		ck_assert_msg(strstr(e.text, all[i].part) != NULL, "%s", e.text);
	}
}
END_TEST

START_TEST(test_port)
{
	autojson json_t *v = json("{\"portNumber\":\"80\",\"type\":\"LocalPortForwarding\","
				  "\"localPortNumber\":0,\"host\":\"db.internal\"}");
	autojson json_t *number = json("{\"portNumber\":80}");
	struct port_properties p;

	ck_assert_int_eq(port_properties_read(v, &p, &e), 0);
	ck_assert_str_eq(p.port, "80");
	ck_assert_str_eq(p.host, "db.internal");
	ck_assert_str_eq(p.type, "LocalPortForwarding");
	port_properties_done(&p);
	ck_assert_int_eq(port_properties_read(number, &p, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "'portNumber'"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager inputs");
	TCase *t = tcase_create("inputs");

	tcase_add_test(t, test_document_of_the_chapter);
	tcase_add_test(t, test_nothing);
	tcase_add_loop_test(t, test_words_for_truth, 0, NELEMS(words));
	tcase_add_test(t, test_inputs_that_are_refused);
	tcase_add_test(t, test_commands);
	tcase_add_test(t, test_commands_that_are_refused);
	tcase_add_test(t, test_port);
	suite_add_tcase(s, t);
	return run_suite(s);
}
