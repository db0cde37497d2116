/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/creds_file.c: the grammar of spec/04 section 3.3, row by row, and files
 * that are none. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/aws/creds.h"
#include "core/base/fs.h"
#include "core/base/mem.h"
#include "tests/unit/credask.h"
#include "tests/unit/suite.h"

static char *dir, *path;

static void
setup(void)
{
	const char *tmp = secure_getenv("TMPDIR");

	dir = xasprintf("%s/t_creds_file.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = xasprintf("%s/credentials", dir);
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	unsetenv("AWS_PROFILE");
	setenv("AWS_DEFAULT_PROFILE", "ignored", 1);
}

static void
teardown(void)
{
	fs_remove_tree(AT_FDCWD, dir, NULL);
	free(dir);
	free(path);
}

static void
write_file(const char *name, const void *text, size_t len)
{
	autoclose int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, len), 0);
}

static struct answer
ask(const char *home)
{
	struct creds_provider p = creds_file_provider(home);
	struct answer a = ask_provider(NULL, &p);

	p.free(p.ctx);
	return a;
}

#define GOOD "aws_access_key_id=AK\naws_secret_access_key=SK\n"

static const struct {
	const char *text, *profile;
	const char *key, *secret, *token; /* KEY NULL: passed over */
	const char *why;		  /* part of the remark or the reason; NULL: none */
} rows[] = {
	/* line ends */
	{"[default]\n" GOOD, NULL, "AK", "SK", NULL, NULL},
	{"[default]\r\naws_access_key_id=AK\r\naws_secret_access_key=SK\r\n", NULL, "AK", "SK",
	 NULL, NULL},
	{"[default]\naws_access_key_id=AK\naws_secret_access_key=SK", NULL, "AK", "SK", NULL, NULL},
	{"[default]\n" GOOD "aws_session_token = TK\n", NULL, "AK", "SK", "TK", NULL},
	/* blank lines and comments */
	{"\n  \n# a\n ; b\n[default]\n\n#x=y\n" GOOD, NULL, "AK", "SK", NULL, NULL},
	/* headers */
	{"  [ default ]  # here\n" GOOD, NULL, "AK", "SK", NULL, NULL},
	{"[DEFAULT]\n" GOOD, NULL, NULL, NULL, NULL, "no profile 'default'"},
	{"[profile x]\n" GOOD, "x", NULL, NULL, NULL, "no profile 'x'"},
	{"[profile x]\n" GOOD, "profile x", "AK", "SK", NULL, NULL},
	{"[other]\n" GOOD "[x]\naws_access_key_id=A2\naws_secret_access_key=S2\n", "x", "A2", "S2",
	 NULL, NULL},
	{"[ignored]\n" GOOD, "", NULL, NULL, NULL, "no profile 'default'"},
	/* keys */
	{"[default]\naws_access_key_id = AK\naws_secret_access_key: SK\n", NULL, "AK", "SK", NULL,
	 NULL},
	{"[default]\nAWS_ACCESS_KEY_ID=AK\naws_secret_access_key=SK\n", NULL, NULL, NULL, NULL,
	 "has no aws_access_key_id"},
	{"[default]\naws_access_key_id=AK\n", NULL, NULL, NULL, NULL,
	 "has no aws_secret_access_key"},
	{"[default]\n  aws_access_key_id = AK\n\taws_secret_access_key = SK\n", NULL, "AK", "SK",
	 NULL, NULL},
	{"[default]\ns3 =\n  aws_access_key_id = NO\n" GOOD, NULL, "AK", "SK", NULL, NULL},
	{"[default]\ns3 =\n  aws_access_key_id = NO\naws_secret_access_key=SK\n", NULL, NULL, NULL,
	 NULL, "has no aws_access_key_id"},
	{"[default]\n" GOOD "aws_session_token =\n", NULL, "AK", "SK", NULL, NULL},
	/* values */
	{"[default]\naws_access_key_id=AK # c\naws_secret_access_key=SK ; c\n", NULL, "AK", "SK",
	 NULL, NULL},
	{"[default]\naws_access_key_id=AK\naws_secret_access_key=S#K;x\n", NULL, "AK", "S#K;x",
	 NULL, NULL},
	{"[default]\naws_access_key_id=\"AK\"\naws_secret_access_key=\"a b\\\"\\'\\\\\"\n", NULL,
	 "AK", "a b\"'\\", NULL, NULL},
	{"[default]\naws_access_key_id=AK\naws_secret_access_key='a'\n", NULL, "AK", "'a'", NULL,
	 NULL},
	{"[default]\naws_access_key_id=AK\naws_secret_access_key=[=:]+/ b\n", NULL, "AK",
	 "[=:]+/ b", NULL, NULL},
	{"[default]\naws_access_key_id=AK\naws_secret_access_key==x\n", NULL, "AK", "=x", NULL,
	 NULL},
	{"[default]\naws_access_key_id=AK  \naws_secret_access_key=SK\t\n", NULL, "AK", "SK", NULL,
	 NULL},
	/* twice */
	{"[default]\naws_access_key_id=A1\n" GOOD, NULL, "AK", "SK", NULL, NULL},
	{"[default]\naws_access_key_id=A1\naws_secret_access_key=S1\n[default]\n"
	 "aws_access_key_id=A2\n",
	 NULL, NULL, NULL, NULL, "has no aws_secret_access_key"},
	{"[default]\naws_session_token=T1\n[x]\n[default]\n" GOOD, NULL, "AK", "SK", NULL, NULL},
	/* bad lines: told with file and line, and passed */
	{"[default]\nnonsense\n" GOOD, NULL, "AK", "SK", NULL, ":2: "},
	{"[default]\n" GOOD "nonsense", NULL, "AK", "SK", NULL, ":4: "},
	{"[]\n[default]\n" GOOD, NULL, "AK", "SK", NULL, ":1: "},
	{"[abc\nx=y\n[default]\n" GOOD, NULL, "AK", "SK", NULL, ":1: "},
	{"\xEF\xBB\xBF[default]\n" GOOD, NULL, "AK", "SK", NULL, NULL},
	{"[default]\nx=\"open\n" GOOD, NULL, "AK", "SK", NULL, ":2: "},
	{"[default]\naws_access_key_id=AK\naws_secret_access_key=\"SK\n", NULL, NULL, NULL, NULL,
	 ":3: "},
	{"[default]\na\nb\nc\n" GOOD, NULL, "AK", "SK", NULL, ":2: "},
	{GOOD "[default]\n", NULL, NULL, NULL, NULL, "has no aws_access_key_id"},
	{GOOD, NULL, NULL, NULL, NULL, "no profile 'default'"},
	{"", NULL, NULL, NULL, NULL, "no profile 'default'"},
	{"\x01\x02\xff\xfe garbage", NULL, NULL, NULL, NULL, ":1: "},
	{"[default]\naws_access_key_id=A\xffK\naws_secret_access_key=SK\n", NULL, NULL, NULL, NULL,
	 "the access key id holds"},
};

START_TEST(test_grammar)
{
	struct answer a;

	write_file(path, rows[_i].text, strlen(rows[_i].text));
	if (rows[_i].profile)
		setenv("AWS_PROFILE", rows[_i].profile, 1);
	a = ask(NULL);
	ck_assert_msg(!!a.set == !!rows[_i].key, "%s", a.why ? a.why : "found");
	if (a.set) {
		ck_assert_str_eq(a.set->access_key, rows[_i].key);
		ck_assert_str_eq(a.set->secret_key, rows[_i].secret);
		ck_assert_pstr_eq(a.set->token, rows[_i].token);
		ck_assert_str_eq(a.set->source, "shared-file");
		ck_assert_int_eq(a.set->expires_ms, 0);
	}
	ck_assert_msg(!!a.why == !!rows[_i].why, "%s", a.why ? a.why : "no remark");
	if (a.why) {
		ck_assert_msg(strstr(a.why, rows[_i].why) != NULL, "%s", a.why);
		ck_assert_msg(strstr(a.why, path) != NULL, "%s", a.why);
	}
	answer_done(&a);
}
END_TEST

/* No text of the file may show up in a reason: a line in the wrong place may be the secret. */
START_TEST(test_reason_is_no_secret)
{
	static const char text[] = "[default]\naws_access_key_id=AKID\nwJalrXUtnFEMIK7MDENG\n";
	struct answer a;

	write_file(path, text, sizeof(text) - 1);
	a = ask(NULL);
	ck_assert_ptr_null(a.set);
	ck_assert_ptr_null(strstr(a.why, "wJalr"));
	ck_assert_ptr_nonnull(strstr(a.why, ":3: "));
	answer_done(&a);
}
END_TEST

START_TEST(test_missing)
{
	struct answer a = ask(NULL);

	ck_assert_ptr_null(a.set);
	ck_assert_ptr_eq(strstr(a.why, "not configured ("), a.why);
	ck_assert_ptr_nonnull(strstr(a.why, path));
	answer_done(&a);
}
END_TEST

static void
expect_reason(const char *why)
{
	struct answer a = ask(NULL);

	ck_assert_ptr_null(a.set);
	ck_assert_msg(strstr(a.why, why) != NULL, "%s", a.why);
	ck_assert_ptr_nonnull(strstr(a.why, path));
	answer_done(&a);
}

START_TEST(test_nul)
{
	static const char text[] = "[default]\naws_access_key_id=A\0B\naws_secret_access_key=SK\n";

	write_file(path, text, sizeof(text) - 1);
	expect_reason(":2: the line holds a NUL byte");
}
END_TEST

START_TEST(test_folder)
{
	ck_assert_int_eq(mkdir(path, 0700), 0);
	expect_reason("is not a regular file");
}
END_TEST

/* It must not wait for a writer. */
START_TEST(test_fifo)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_reason("is not a regular file");
}
END_TEST

/* Root may read everything; a loop of links may nobody. */
START_TEST(test_unreadable)
{
	if (geteuid() == 0) {
		ck_assert_int_eq(symlink(path, path), 0);
		expect_reason("cannot be opened");
		return;
	}
	write_file(path, GOOD, strlen(GOOD));
	ck_assert_int_eq(chmod(path, 0), 0);
	expect_reason("cannot be opened: Permission denied");
}
END_TEST

START_TEST(test_huge)
{
	size_t len = 2 * 1024 * 1024;
	autofree char *text = xmalloc(len);

	memset(text, '#', len);
	write_file(path, text, len);
	expect_reason("more than 1048576 bytes");
}
END_TEST

START_TEST(test_long_line)
{
	size_t len = 200000;
	autofree char *text = xmalloc(len);
	struct answer a;

	memset(text, 'x', len);
	memcpy(text + len - 1 - strlen("\n[default]\n" GOOD), "\n[default]\n" GOOD,
	       strlen("\n[default]\n" GOOD) + 1);
	write_file(path, text, len - 1);
	a = ask(NULL);
	ck_assert_ptr_nonnull(a.set);
	ck_assert_ptr_nonnull(strstr(a.why, ":1: the line is longer"));
	answer_done(&a);
}
END_TEST

/* Container platforms mount such files as links. */
START_TEST(test_link)
{
	autofree char *target = xasprintf("%s/..data", dir);
	struct answer a;

	write_file(target, "[default]\n" GOOD, strlen("[default]\n" GOOD));
	ck_assert_int_eq(symlink("..data", path), 0);
	a = ask(NULL);
	ck_assert_ptr_nonnull(a.set);
	answer_done(&a);
}
END_TEST

START_TEST(test_home)
{
	autofree char *aws = xasprintf("%s/.aws", dir);
	autofree char *file = xasprintf("%s/.aws/credentials", dir);
	struct answer a;

	setenv("AWS_SHARED_CREDENTIALS_FILE", "", 1);
	ck_assert_int_eq(mkdir(aws, 0700), 0);
	write_file(file, "[default]\n" GOOD, strlen("[default]\n" GOOD));
	a = ask(dir);
	ck_assert_ptr_nonnull(a.set);
	answer_done(&a);
}
END_TEST

/* Without an override $HOME does not count. */
START_TEST(test_home_of_uid)
{
	const struct passwd *pw = getpwuid(geteuid());
	struct answer a;

	if (!pw)
		return;
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	setenv("AWS_PROFILE", "surely-no-such-profile", 1);
	setenv("HOME", dir, 1);
	a = ask(NULL);
	ck_assert_ptr_null(a.set);
	ck_assert_ptr_nonnull(strstr(a.why, pw->pw_dir));
	ck_assert_ptr_null(strstr(a.why, dir));
	answer_done(&a);
}
END_TEST

/* A corrected file is taken up at the next start. */
START_TEST(test_read_anew)
{
	struct creds_provider p = creds_file_provider(NULL);
	struct answer a = {0};

	p.start(p.ctx, on_done, &a);
	ck_assert_ptr_null(a.set);
	answer_done(&a);
	write_file(path, "[default]\n" GOOD, strlen("[default]\n" GOOD));
	p.start(p.ctx, on_done, &a);
	ck_assert_ptr_nonnull(a.set);
	answer_done(&a);
	p.free(p.ctx);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("creds_file");
	TCase *tc = tcase_create("creds_file");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_grammar, 0, NELEMS(rows));
	tcase_add_test(tc, test_reason_is_no_secret);
	tcase_add_test(tc, test_missing);
	tcase_add_test(tc, test_nul);
	tcase_add_test(tc, test_folder);
	tcase_add_test(tc, test_fifo);
	tcase_add_test(tc, test_unreadable);
	tcase_add_test(tc, test_huge);
	tcase_add_test(tc, test_long_line);
	tcase_add_test(tc, test_link);
	tcase_add_test(tc, test_home);
	tcase_add_test(tc, test_home_of_uid);
	tcase_add_test(tc, test_read_anew);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
