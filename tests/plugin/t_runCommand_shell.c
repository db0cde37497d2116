/* SPDX-License-Identifier: Apache-2.0 */
/* aws:runShellScript as the step engine runs it: surroundings, limits, what is shown of its output.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "plugins/runCommand/handle.h"
#include "tests/plugin/t_runCommand_fake.h"
#include "tests/unit/suite.h"

static void
run_inputs(struct fake *f, const char *inputs)
{
	autofree char *text =
		xasprintf("{\"document\":{\"schemaVersion\":\"2.2\",\"mainSteps\":[{\"action\":"
			  "\"aws:runShellScript\",\"name\":\"a/../b\",\"inputs\":%s}]}}",
			  inputs);
	struct err e = { 0, "" };
	autojson json_t *c = json_parse(text, strlen(text), "case", &e);

	ck_assert_msg(c != NULL, "%s", e.text);
	json_decref(f->message);
	f->message = fake_message(c);
	json_array_clear(f->replies);
	f->spawn_at = 0;
	f->spawns = f->spawns ? f->spawns : json_pack("[{}]");
	ck_assert_int_eq(handle_command(&f->S, NULL), 0);
}

/* spec/03 4.2: what is started, with which surroundings. */
START_TEST(test_surroundings)
{
	autofree char *path = NULL;
	struct fake f;

	fake_init(&f);
	setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1);
	setenv("AWS_SSM_INSTANCE_ID", "wrong", 1);
	setenv("FROM_AGENT", "kept", 1);
	run_inputs(&f,
		   "{\"runCommand\":[\"#!/bin/bash\",\"echo\",\"\"],\"environment\":{\"A\":\"b "
		   "c\",\"AWS_ACCESS_KEY_ID\":\"own\",\"SSM_COMMAND_ID\":\"x\","
		   "\"AWS_SSM_REGION_NAME\":\"x\"},\"workingDirectory\":\"/tmp\"}");
	path = xasprintf("%s/01.sh", f.folder);
	ck_assert_str_eq(json_string_value(json_array_get(f.last.argv, 0)), "sh");
	ck_assert_str_eq(json_string_value(json_array_get(f.last.argv, 1)), "-c");
	ck_assert_str_eq(json_string_value(json_array_get(f.last.argv, 2)), path);
	ck_assert_uint_eq(json_array_size(f.last.argv), 3);
	ck_assert_str_eq(f.last.script, "#!/bin/bash\necho\n\n");
	ck_assert_str_eq(f.last.cwd, "/tmp");
	ck_assert_int_eq(f.last.timeout_ms, 3600000);
	ck_assert_uint_eq(f.last.max_output, (128 << 20) - 256);
	ck_assert_str_eq(json_str(f.last.env, "A", ""), "b c");
	ck_assert_str_eq(json_str(f.last.env, "AWS_ACCESS_KEY_ID", ""), "own");
	ck_assert_str_eq(json_str(f.last.env, "SSM_COMMAND_ID", ""), FAKE_COMMAND);
	ck_assert_str_eq(json_str(f.last.env, "AWS_SSM_INSTANCE_ID", ""), "i-0123456789abcdef0");
	ck_assert_str_eq(json_str(f.last.env, "AWS_SSM_REGION_NAME", ""), "eu-west-1");
	ck_assert_str_eq(json_str(f.last.env, "AWS_SSM_PLATFORM_NAME", ""), "Debian GNU/Linux");
	ck_assert_str_eq(json_str(f.last.env, "AWS_SSM_PLATFORM_VERSION", ""), "12");
	ck_assert_str_eq(json_str(f.last.env, "FROM_AGENT", ""), "kept");
	ck_assert_ptr_null(json_object_get(f.last.env, "AWS_SECRET_ACCESS_KEY"));
	fake_done(&f);
}
END_TEST

/* spec/03 4.2: seconds as number or text, out of range an hour. */
START_TEST(test_timeouts)
{
	static const struct {
		const char *value;
		int64_t seconds;
	} cases[] = {
		{ "60", 60 },	     { "\"60\"", 60 },	     { "5", 5 },
		{ "4", 3600 },	     { "\"2\"", 3600 },	     { "172800", 172800 },
		{ "172801", 3600 },  { "\"60.9\"", 60 },     { "7.9", 7 },
		{ "4.9", 3600 },     { "-1", 3600 },	     { "\"\"", 3600 },
		{ "\"abc\"", 3600 }, { "\" 60\"", 3600 },    { "\"0x60\"", 3600 },
		{ "null", 3600 },    { "true", 3600 },	     { "[60]", 3600 },
		{ "1e2", 100 },	     { "\"1e2\"", 100 },     { "\"nan\"", 3600 },
		{ "1e300", 3600 },   { "172800.5", 172800 },
	};
	struct fake f;

	fake_init(&f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		autofree char *inputs = xasprintf("{\"timeoutSeconds\":%s}", cases[i].value);

		run_inputs(&f, inputs);
		ck_assert_msg(f.last.timeout_ms == cases[i].seconds * 1000, "%s gave %lld",
			      cases[i].value, (long long)f.last.timeout_ms);
	}
	fake_done(&f);
}
END_TEST

/* spec/03 4.2: the working directory. */
START_TEST(test_directories)
{
	autofree char *downloads = NULL, *sub = NULL;
	struct fake f;

	fake_init(&f);
	downloads = xasprintf("%s/downloads", f.folder);
	sub = xasprintf("%s/downloads/sub", f.folder);
	run_inputs(&f, "{}");
	ck_assert_str_eq(f.last.cwd, "/usr/bin");
	run_inputs(&f, "{\"workingDirectory\":\"sub\"}");
	ck_assert_str_eq(f.last.cwd, "/usr/bin");
	ck_assert_int_eq(mkdir(downloads, 0700), 0);
	ck_assert_int_eq(mkdir(sub, 0700), 0);
	run_inputs(&f, "{\"workingDirectory\":\"sub\"}");
	ck_assert_str_eq(f.last.cwd, sub);
	run_inputs(&f, "{\"workingDirectory\":\"/\"}");
	ck_assert_str_eq(f.last.cwd, "/");
	fake_done(&f);
}
END_TEST

/* A folder whose name the shell would take apart. */
START_TEST(test_quoted_path)
{
	struct fake f;
	char old[64];

	fake_init(&f);
	memcpy(old, f.folder, sizeof(old));
	ck_assert_int_lt(snprintf(f.folder, sizeof(f.folder), "%.40s it's", old),
			 (int)sizeof(f.folder));
	ck_assert_int_eq(rename(old, f.folder), 0);
	f.spawns = NULL;
	{
		static const char text[] =
			"{\"document\":{\"schemaVersion\":\"2.2\",\"mainSteps\":[{\"action\":"
			"\"aws:runShellScript\",\"name\":\"n\",\"inputs\":{\"runCommand\":[\"echo "
			"ran\"]}}]}}";
		autojson json_t *c = json_parse(text, sizeof(text) - 1, "case", NULL);

		f.message = fake_message(c);
	}
	ck_assert_int_eq(handle_command(&f.S, NULL), 0);
	ck_assert_ptr_nonnull(strstr(fake_reply(&f, 0), "\"standardOutput\":\"ran\\n\""));
	fake_done(&f);
}
END_TEST

/* spec/03 10.7: 30000 bytes of output. */
START_TEST(test_truncation)
{
	static const char text[] =
		"{\"document\":{\"schemaVersion\":\"2.2\",\"mainSteps\":[{\"action\":"
		"\"aws:runShellScript\",\"name\":\"n\",\"inputs\":{\"runCommand\":[\"printf "
		"%030000d 0\"]}}]}}";
	autojson json_t *c = json_parse(text, sizeof(text) - 1, "case", NULL), *v = NULL;
	struct fake f;
	const char *out;

	ck_assert_ptr_nonnull(c);
	fake_init(&f);
	f.message = fake_message(c);
	ck_assert_int_eq(handle_command(&f.S, NULL), 0);
	v = json_parse(fake_reply(&f, 1), strlen(fake_reply(&f, 1)), "reply", NULL);
	out = json_str(json_at(v, "/runtimeStatus/n"), "standardOutput", "");
	ck_assert_uint_eq(strlen(out), 24000);
	ck_assert_str_eq(out + 23978, "00--output truncated--");
	out = json_str(json_at(v, "/runtimeStatus/n"), "output", "");
	ck_assert_uint_eq(strlen(out), 2500);
	ck_assert_str_eq(out + 2475, "00\n---Output truncated---");
	fake_done(&f);
}
END_TEST

/* The state of the control channel, where it is known (spec/01 1.8). */
START_TEST(test_channel)
{
	static const char *const states[][2] = {
		{ "open", "\"ableToOpenMGSConnection\":true}" },
		{ "closed", "\"ableToOpenMGSConnection\":false}" },
		{ "other", NULL },
	};

	for (size_t i = 0; i < 3; i++) {
		struct fake f;
		const char *reply;

		fake_init(&f);
		f.info = json_pack("{s:s}", "channel", states[i][0]);
		run_inputs(&f, "{}");
		reply = fake_reply(&f, 0);
		if (states[i][1])
			ck_assert_ptr_nonnull(strstr(reply, states[i][1]));
		else
			ck_assert_ptr_null(strstr(reply, "ableTo"));
		fake_done(&f);
	}
}
END_TEST

/* Without a folder to work in there is one clear error and no reply. */
START_TEST(test_no_folder)
{
	struct fake f;

	fake_init(&f);
	{
		autojson json_t *c = json_pack("{s:{s:s, s:[{}]}}", "document", "schemaVersion",
					       "2.2", "mainSteps");

		f.message = fake_message(c);
	}
	ck_assert_int_eq(rmdir(f.folder), 0);
	ck_assert_int_lt(handle_command(&f.S, NULL), 0);
	ck_assert_ptr_nonnull(strstr(f.error, f.folder));
	ck_assert_uint_eq(json_array_size(f.replies), 0);
	fake_done(&f);
}
END_TEST

/* A value made of what shells, JSON and our own substitution know. */
static char *
any_value(unsigned *state)
{
	static const char *const parts[] = { "; id",	 "$(id)", "`id`",      "\n",
					     "\"",	 "'",	  "\\",	       "$$",
					     "{{",	 "}}",	  "{{ msg }}", "x",
					     "\xc3\xa9", " ",	  "\x7f",      "$SSM_msg" };
	struct sbuf b = SBUF_INIT(4096);

	for (unsigned n = *state >> 16 & 15; n > 0; n--) {
		*state = *state * 1103515245u + 12345u;
		sbuf_adds(&b, parts[(*state >> 8) % (sizeof(parts) / sizeof(parts[0]))]);
	}
	*state = *state * 1103515245u + 12345u;
	return sbuf_take(&b, NULL);
}

/* spec/03 2.9: with ENV_VAR and no token the script is the document's, byte by byte, whatever the
 * value is; and the variable is the value. */
START_TEST(test_variable)
{
	static const char script[] = "printf %s \"$SSM_msg\" '$$' {{ other }}";
	unsigned state = 4711;

	for (int i = 0; i < 200; i++) {
		autofree char *value = any_value(&state);
		autojson json_t *c =
			json_pack("{s:{s:s}, s:{s:s, s:{s:{s:s, s:s}}, s:[{s:s, s:s, s:{s:[s]}}]}}",
				  "parameters", "msg", value, "document", "schemaVersion", "2.2",
				  "parameters", "msg", "type", "String", "interpolationType",
				  "ENV_VAR", "mainSteps", "action", "aws:runShellScript", "name",
				  "a", "inputs", "runCommand", script);
		struct fake f;

		fake_init(&f);
		f.message = fake_message(c);
		f.spawns = json_pack("[{}]");
		ck_assert_int_eq(handle_command(&f.S, NULL), 0);
		ck_assert_uint_eq(strlen(f.last.script), sizeof(script));
		ck_assert(memcmp(f.last.script, script, sizeof(script) - 1) == 0);
		ck_assert_str_eq(json_str(f.last.env, "SSM_msg", "(none)"), value);
		fake_done(&f);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("runCommand shell");
	TCase *tc = tcase_create("shell");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_surroundings);
	tcase_add_test(tc, test_timeouts);
	tcase_add_test(tc, test_directories);
	tcase_add_test(tc, test_quoted_path);
	tcase_add_test(tc, test_truncation);
	tcase_add_test(tc, test_channel);
	tcase_add_test(tc, test_no_folder);
	tcase_add_test(tc, test_variable);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
