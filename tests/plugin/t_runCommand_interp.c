/* SPDX-License-Identifier: Apache-2.0 */
/* From message to replies: the cases of tests/vectors/documents, each naming the paragraph it was
 * written from. Scripts run for real unless the case plays back how they end. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/runCommand/handle.h"
#include "plugins/runCommand/output.h"
#include "tests/plugin/t_runCommand_fake.h"
#include "tests/unit/suite.h"

#define NOW FAKE_NOW

static const char *case_name;

/* ------------------------------------------------------ what is expected */

static json_t *
agent_info(json_t *counts)
{
	return json_pack("{s:{s:s, s:s, s:s, s:s, s:s}, s:s, s:s, s:O}", "agent", "lang", "en-US",
			 "name", "amazon-ssm-agent", "os", "linux", "osver", "1", "ver",
			 "3.3.2746.0", "dateTime", NOW, "runId", "", "runtimeStatusCounts", counts);
}

/* "out" and "err" of the case are the whole streams; "output" follows from them where it is not
 * given. */
static char *
output_of(const json_t *want)
{
	const char *out = json_str(want, "out", ""), *err = json_str(want, "err", "");

	if (json_object_get(want, "output"))
		return xstrdup(json_str(want, "output", ""));
	return xasprintf("%s%s%s", out, err[0] ? "\n----------ERROR-------\n" : "", err);
}

static json_t *
step_status(const json_t *want)
{
	autofree char *output = output_of(want);
	const char *id = json_str(want, "step", "");
	const char *action = json_str(want, "action", "aws:runShellScript");

	return json_pack("{s:{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}}", id,
			 "status", json_str(want, "status", "Success"), "code",
			 json_int(want, "code", 0), "name", action, "output", output,
			 "startDateTime", NOW, "endDateTime", NOW, "outputS3BucketName",
			 json_str(want, "bucket", ""), "outputS3KeyPrefix",
			 json_str(want, "prefix", ""), "stepName", json_str(want, "folder", ""),
			 "standardOutput", json_str(want, "out", ""), "standardError",
			 json_str(want, "err", ""));
}

/* Counts over the ids seen so far: their latest status. */
static json_t *
count(const json_t *by_id)
{
	json_t *counts = json_object(), *obj = (json_t *)(uintptr_t)by_id;
	const char *id;
	json_t *status;

	json_object_foreach(obj, id, status)
	{
		json_int_t n =
			json_integer_value(json_object_get(counts, json_string_value(status)));

		json_object_set_new(counts, json_string_value(status), json_integer(n + 1));
	}
	return counts;
}

static json_t *
whole(json_t *info, const char *document, const char *trace, json_t *status)
{
	return json_pack("{s:o, s:s, s:s, s:o}", "additionalInfo", info, "documentStatus", document,
			 "documentTraceOutput", trace, "runtimeStatus", status);
}

static void
compare(const char *got, json_t *want)
{
	autojson json_t *v = json_parse(got, strlen(got), "reply", NULL);
	autofree char *text = json_text_sorted(want), *sorted = v ? json_text_sorted(v) : NULL;

	ck_assert_ptr_nonnull(v);
	ck_assert_msg(strcmp(sorted, text) == 0, "%s:\n got %s\nwant %s", case_name, sorted, text);
	json_decref(want);
}

static void
check_steps(const struct fake *f, const json_t *c, json_t **ret_counts, json_t **ret_last)
{
	json_t *wanted = json_object_get(c, "replies"), *want;
	json_t *before = json_object_get(c, "before");
	autojson json_t *by_id = before ? json_deep_copy(before) : json_object();
	size_t i;

	json_array_foreach(wanted, i, want)
	{
		json_object_set_new(by_id, json_str(want, "step", ""),
				    json_string(json_str(want, "status", "Success")));
		json_decref(*ret_counts);
		*ret_counts = count(by_id);
		*ret_last = want;
		compare(fake_reply(f, i),
			whole(agent_info(*ret_counts), json_str(want, "document", "InProgress"), "",
			      step_status(want)));
	}
	if (json_object_size(by_id) != 1)
		*ret_last = NULL;
}

static void
check_final(const struct fake *f, const json_t *c)
{
	autojson json_t *counts = json_object();
	size_t n = json_array_size(json_object_get(c, "replies"));
	json_t *last = NULL;
	int32_t result = (int32_t)json_int(c, "result", 0);

	check_steps(f, c, &counts, &last);
	ck_assert_msg(json_array_size(f->replies) == n + 1, "%s: %zu replies", case_name,
		      json_array_size(f->replies));
	if (json_object_get(c, "trace"))
		compare(fake_reply(f, n),
			whole(agent_info(json_null()), "Failed", json_str(c, "trace", ""),
			      json_null()));
	else
		compare(fake_reply(f, n),
			whole(agent_info(counts), json_str(c, "final", "Success"), "",
			      last ? step_status(last) : json_object()));
	for (size_t i = 0; i <= n; i++)
		ck_assert_int_eq(json_bool(json_array_get(f->replies, i), "final", false),
				 i == n && result == 0);
}

/* --------------------------------------------------------------- one case */

/* No script stays, and no empty file. */
static void
check_folder(const struct fake *f)
{
	DIR *dir = opendir(f->folder);
	struct dirent *d;

	while ((d = readdir(dir))) {
		struct stat st;

		if (d->d_name[0] == '.' || strcmp(d->d_name, OUTPUT_INDEX) == 0)
			continue;
		ck_assert_int_eq(fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		ck_assert_msg(S_ISREG(st.st_mode) && st.st_size > 0 && strlen(d->d_name) >= 6 &&
				      (strcmp(d->d_name + strlen(d->d_name) - 4, ".out") == 0 ||
				       strcmp(d->d_name + strlen(d->d_name) - 4, ".err") == 0),
			      "%s: '%s' is left", case_name, d->d_name);
	}
	closedir(dir);
}

/* Which names were asked for, call by call; none where the case does not say. */
static void
check_calls(const struct fake *f, const json_t *c)
{
	const json_t *wanted = json_object_get(c, "calls");
	autofree char *got = json_text(f->calls), *want = wanted ? json_text(wanted) : NULL;

	if (wanted || !f->store)
		ck_assert_msg(strcmp(got, want ? want : "[]") == 0, "%s: it asked for %s",
			      case_name, got);
}

static void
run_life(struct fake *f, const json_t *c, bool unchecked)
{
	json_array_clear(f->replies);
	ck_assert_int_eq(unchecked ? handle_unchecked_command(&f->S, NULL)
				   : handle_command(&f->S, NULL),
			 json_int(c, "result", 0));
	check_final(f, c);
	if (json_object_get(c, "bytes"))
		ck_assert_str_eq(fake_reply(f, json_array_size(f->replies) - 1),
				 json_str(c, "bytes", ""));
}

/* "lives": one for each start of the machine; "before" are then the steps that are over. */
static void
run_case(const json_t *c)
{
	json_t *lives = json_object_get(c, "lives"), *one;
	bool unchecked = json_bool(c, "unchecked", false);
	struct fake f;
	size_t i;

	fake_init(&f);
	fake_stop_clock();
	f.message = fake_message(c);
	f.spawns = json_incref(json_object_get(c, "spawns"));
	f.runs = json_incref(json_object_get(c, "runs"));
	f.store = json_incref(json_object_get(c, "store"));
	f.cancel_after = (int)json_int(c, "cancel_after", -1);
	if (!lives)
		run_life(&f, c, unchecked);
	json_array_foreach(lives, i, one) run_life(&f, one, unchecked);
	check_calls(&f, c);
	check_folder(&f);
	fake_done(&f);
}

static void
run_file(const char *folder, const char *file)
{
	autofree char *path = xasprintf("%s/%s", folder, file);
	struct err e = { 0, "" };
	autojson json_t *cases = json_parse_file(path, 1 << 20, &e);
	json_t *c;
	size_t i;

	ck_assert_msg(json_is_array(cases), "%s: %s", path, e.text);
	json_array_foreach(cases, i, c)
	{
		autofree char *name = xasprintf("%s[%zu] %s", file, i, json_str(c, "name", ""));

		case_name = name;
		ck_assert_msg(text_starts(json_str(c, "from", ""), "spec/"),
			      "%s: names no paragraph", name);
		run_case(c);
	}
}

static const char *const files[] = {
	"cancel.json",	   "environment.json", "examples.json",	 "exit.json", "flow.json",
	"precond.json",	   "refused.json",     "shell.json",	 "skip.json", "store.json",
	"substitute.json", "types.json",       "unchecked.json", "v1.json",
};

START_TEST(test_vectors)
{
	const char *source = secure_getenv("top_srcdir");
	autofree char *folder = xasprintf("%s/tests/vectors/documents", source ? source : ".");

	run_file(folder, files[_i]);
}
END_TEST

/* Every file of the folder is run. */
START_TEST(test_all_files)
{
	const char *source = secure_getenv("top_srcdir");
	autofree char *folder = xasprintf("%s/tests/vectors/documents", source ? source : ".");
	DIR *dir = opendir(folder);
	struct dirent *d;
	size_t n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)))
		n += text_ends(d->d_name, ".json");
	closedir(dir);
	ck_assert_uint_eq(n, sizeof(files) / sizeof(files[0]));
}
END_TEST

/* ----------------------------------------------------------------- reboot */

#define STEP(name, script)                                                      \
	"{\"action\":\"aws:runShellScript\",\"name\":\"" name "\",\"inputs\":{" \
	"\"runCommand\":[\"" script "\"]}}"
#define OTHER(name) "{\"action\":\"test:other\",\"name\":\"" name "\",\"inputs\":{}}"

static void
set_document(struct fake *f, const char *steps)
{
	autofree char *text =
		xasprintf("{\"document\":{\"schemaVersion\":\"2.2\",\"mainSteps\":[%s]}}", steps);
	struct err e = { 0, "" };
	autojson json_t *c = json_parse(text, strlen(text), "case", &e);

	ck_assert_msg(c != NULL, "%s", e.text);
	json_decref(f->message);
	f->message = fake_message(c);
}

/* One life of the interpreter; RESULT is what it says of itself, WANT the replies:
 * "step status" or "document status", the final one with '!'. */
static void
life(struct fake *f, int32_t result, const char *want)
{
	struct sbuf b = SBUF_INIT(4096);
	size_t i;
	json_t *reply;

	json_array_clear(f->replies);
	ck_assert_int_eq(handle_command(&f->S, NULL), result);
	json_array_foreach(f->replies, i, reply)
	{
		const char *text = fake_reply(f, i), *step;
		autojson json_t *v = json_parse(text, strlen(text), "reply", NULL);
		json_t *status = json_object_get(v, "runtimeStatus");
		bool last = i + 1 == json_array_size(f->replies);

		step = last ? NULL : json_object_iter_key(json_object_iter(status));
		sbuf_addf(&b, "%s%s %s%s", i ? ", " : "", step ? step : "document",
			  step ? json_str(json_object_get(status, step), "status", "")
			       : json_str(v, "documentStatus", ""),
			  json_bool(reply, "final", false) ? "!" : "");
	}
	ck_assert_str_eq(sbuf_str(&b), want);
	sbuf_done(&b);
}

/* Of reply I, the member KEY of the step NAME. */
static char *
told(const struct fake *f, size_t i, const char *name, const char *key)
{
	const char *text = fake_reply(f, i);
	autojson json_t *v = json_parse(text, strlen(text), "reply", NULL);

	return xstrdup(json_str(json_object_get(json_object_get(v, "runtimeStatus"), name), key,
				"missing"));
}

/* ------------------------------------------------------------------ audit */

/* DESIGN 11: parameters, script text and output never appear. */
static void
audit_is(const char *steps, const char *wanted)
{
	autofree char *line = xasprintf("audit: command '" FAKE_COMMAND "', document 'doc', run as "
					"uid %u: %s", (unsigned)geteuid(), wanted);
	struct fake f;

	fake_init(&f);
	fake_stop_clock();
	set_document(&f, steps);
	ck_assert_int_eq(handle_command(&f.S, NULL), 0);
	ck_assert_uint_eq(json_array_size(f.lines), 1);
	ck_assert_str_eq(json_string_value(json_array_get(f.lines, 0)), line);
	fake_done(&f);
}

START_TEST(test_audit)
{
	audit_is(STEP("one", "echo canary") "," STEP("two", "echo canary >&2; exit 3"),
		 "Failed, exit 3, from " NOW " to " NOW ", 2 step(s), 51 bytes out");
	audit_is(STEP("one", "exit 0"),
		 "Success, exit 0, from " NOW " to " NOW ", 1 step(s), 0 bytes out");
	audit_is("\"no step\"", "Failed, exit 0, from " NOW " to " NOW ", 0 step(s), 0 bytes out");
}
END_TEST

/* spec/03 10.4, and section 5 but for what it calls wrong: earlier steps count. */
START_TEST(test_reboot_again)
{
	struct fake f;
	autofree char *out = NULL, *start = NULL, *start2 = NULL;

	fake_init(&f);
	set_document(&f,
		     STEP("a", "echo first") ",{\"action\":\"test:other\",\"name\":"
					     "\"no\",\"precondition\":{\"StringEquals\":["
					     "\"platformType\",\"Windows\"]},\"inputs\":{}}"
					     "," STEP("b",
						      "if [ -e $0.flag ]; then echo "
						      "after; rm $0.flag; exit 0; fi; "
						      "touch $0.flag; echo before; "
						      "exit 194") "," STEP("c", "echo third"));
	life(&f, SSM_REBOOT_AGAIN,
	     "a Success, no Skipped, b SuccessAndReboot, document SuccessAndReboot");
	start = told(&f, 2, "b", "startDateTime");
	out = told(&f, 2, "b", "standardOutput");
	ck_assert_str_eq(out, "before\n");
	life(&f, 0, "b Success, c Success, document Success!");
	free(TAKE(out));
	out = told(&f, 0, "b", "standardOutput");
	ck_assert_str_eq(out, "before\nafter\n");
	start2 = told(&f, 0, "b", "startDateTime");
	ck_assert_str_eq(start, start2);
	free(TAKE(out));
	/* Its file was not taken for the wrong step's. */
	out = told(&f, 1, "c", "standardOutput");
	ck_assert_str_eq(out, "third\n");
	ck_assert_ptr_nonnull(
		strstr(fake_reply(&f, 2), "\"runtimeStatusCounts\":{\"Skipped\":1,\"Success\":3}"));
	fake_done(&f);
}
END_TEST

/* The agent ends a step that only asks again: the stored value must not pretend progress. */
START_TEST(test_reboot_for_ever)
{
	struct fake f;
	autofree char *first = NULL;

	fake_init(&f);
	set_document(&f, STEP("a", "true") "," STEP("b", "exit 194"));
	life(&f, SSM_REBOOT_AGAIN, "a Success, b SuccessAndReboot, document SuccessAndReboot");
	first = xstrdup(json_str(f.state, "progress", "missing"));
	for (int i = 0; i < 3; i++) {
		life(&f, SSM_REBOOT_AGAIN, "b SuccessAndReboot, document SuccessAndReboot");
		ck_assert_str_eq(json_str(f.state, "progress", ""), first);
	}
	fake_done(&f);
}
END_TEST

/* SSM_REBOOT: the step is done, the next one's turn comes. */
START_TEST(test_reboot_next)
{
	struct fake f;
	autofree char *out = NULL;

	fake_init(&f);
	set_document(&f, OTHER("a") "," OTHER("b"));
	f.runs = json_pack("[{s:i,s:s},{s:s}]", "result", SSM_REBOOT, "out", "one", "out", "two");
	life(&f, SSM_REBOOT, "a SuccessAndReboot, document SuccessAndReboot");
	life(&f, 0, "a Success, b Success, document Success!");
	out = told(&f, 0, "a", "standardOutput");
	ck_assert_str_eq(out, "one");
	fake_done(&f);
}
END_TEST

START_TEST(test_reboot_last_step)
{
	struct fake f;

	fake_init(&f);
	set_document(&f, OTHER("a"));
	f.runs = json_pack("[{s:i,s:s}]", "result", SSM_REBOOT, "out", "one");
	life(&f, SSM_REBOOT, "a SuccessAndReboot, document SuccessAndReboot");
	life(&f, 0, "a Success, document Success!");
	ck_assert_ptr_nonnull(strstr(fake_reply(&f, 1), "\"standardOutput\":\"one\""));
	fake_done(&f);
}
END_TEST

/* What was decided before holds after it, too. */
START_TEST(test_reboot_keeps_failure)
{
	struct fake f;

	fake_init(&f);
	set_document(&f, STEP("a", "exit 3") "," OTHER("b") "," STEP("c", "true"));
	f.runs = json_pack("[{s:i}]", "result", SSM_REBOOT);
	life(&f, SSM_REBOOT, "a Failed, b SuccessAndReboot, document SuccessAndReboot");
	life(&f, 0, "b Success, c Success, document Failed!");
	fake_done(&f);
}
END_TEST

/* Texts too long to be kept go; the rest is. */
START_TEST(test_reboot_long_output)
{
	struct fake f;
	char text[30000];

	memset(text, 1, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fake_init(&f);
	set_document(&f, OTHER("a") "," OTHER("b"));
	f.runs = json_pack("[{s:i,s:s},{}]", "result", SSM_REBOOT, "out", text);
	life(&f, SSM_REBOOT, "a SuccessAndReboot, document SuccessAndReboot");
	life(&f, 0, "a Success, b Success, document Success!");
	fake_done(&f);
}
END_TEST

START_TEST(test_reboot_unstored)
{
	struct fake f;

	fake_init(&f);
	set_document(&f, STEP("a", "exit 194"));
	f.state_fails = ENOSPC;
	life(&f, -ENOSPC, "a SuccessAndReboot, document SuccessAndReboot");
	fake_done(&f);
}
END_TEST

START_TEST(test_reboot_damaged)
{
	static const char *const values[] = {
		"",
		"[]",
		"{}",
		"{\"next\":-1,\"ran\":\"\",\"results\":[]}",
		"{\"next\":2,\"ran\":\"00\",\"results\":[]}",
		"{\"next\":1,\"ran\":\"\",\"results\":[[0,1]]}",
		"{\"next\":1,\"ran\":\"1\",\"results\":[[1,1]]}",
		"{\"next\":1,\"ran\":\"1\",\"results\":[[0,99]]}",
		"{\"next\":1,\"ran\":\"1\",\"results\":[[0,1],[0,1]]}",
		"{\"next\":1,\"ran\":\"1\",\"results\":[[0,1]],\"last\":{\"at\":1}}",
		"{\"next\":1,\"ran\":\"1\",\"results\":[[0,1]],\"last\":[]}",
		"{\"next\":1,\"ran\":\"1\",\"results\":7,\"last\":{\"at\":0}}",
	};
	struct fake f;

	fake_init(&f);
	set_document(&f, STEP("a", "true"));
	json_object_set_new(f.state, "progress", json_string(values[_i]));
	ck_assert_int_eq(handle_command(&f.S, NULL), -EBADMSG);
	ck_assert_uint_eq(json_array_size(f.replies), 0);
	fake_done(&f);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("runCommand interp");
	TCase *vectors = tcase_create("vectors");

	tcase_set_timeout(vectors, 120);
	tcase_add_test(vectors, test_audit);
	tcase_add_test(vectors, test_reboot_again);
	tcase_add_test(vectors, test_reboot_for_ever);
	tcase_add_test(vectors, test_reboot_next);
	tcase_add_test(vectors, test_reboot_last_step);
	tcase_add_test(vectors, test_reboot_keeps_failure);
	tcase_add_test(vectors, test_reboot_long_output);
	tcase_add_test(vectors, test_reboot_unstored);
	tcase_add_loop_test(vectors, test_reboot_damaged, 0, 12);
	tcase_add_loop_test(vectors, test_vectors, 0, (int)(sizeof(files) / sizeof(files[0])));
	tcase_add_test(vectors, test_all_files);
	suite_add_tcase(suite, vectors);
	return run_suite(suite);
}
