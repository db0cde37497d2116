/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/transfer.c and transfer_main.c: this program is the process, too. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/aws/transfer.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

static struct event_base *base;
static struct mini *server;
static json_t *result;
static char dir[64];
static char *got_body;
static size_t got_len;
static char **got_headers;
static char *program; /* ours, by its name: below valgrind /proc/self/exe is valgrind's */

static void
serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	(void)arg;
	free(got_body);
	strv_free(got_headers);
	got_body = xmemdup(r->body, r->body_len);
	got_len = r->body_len;
	got_headers = strv_dup(r->headers);
	if (strcmp(r->target, "/ok") == 0)
		mini_replys(c, 200, NULL, "hello");
	else if (strcmp(r->target, "/moved") == 0)
		mini_replys(c, 307,
			    "x-amz-bucket-region: ap-south-1\r\nLocation: http://other/\r\n"
			    "Content-Type: application/xml\r\n",
			    "<Error><Code>TemporaryRedirect</Code><Message>go</Message></Error>");
	else if (strcmp(r->target, "/denied") == 0)
		mini_replys(c, 403, NULL,
			    "<Error><Code>AccessDenied</Code><Message>no</Message></Error>");
	else if (strcmp(r->target, "/cut") == 0) {
		mini_raw(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 42);
		mini_close(c);
	} else if (strcmp(r->target, "/never") != 0)
		mini_replys(c, 404, NULL, "");
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/t_transfer.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	base = event_base_new();
	server = mini_new(base, "127.0.0.1", serve, NULL);
	result = NULL;
}

static void
teardown(void)
{
	autofree char *file = xasprintf("%s/file", dir);

	server = mini_free(server);
	event_base_free(base);
	json_decref(result);
	free(got_body);
	got_body = NULL;
	got_headers = strv_free(got_headers);
	unlink(file);
	rmdir(dir);
}

static int
open_file(int flags, const char *content)
{
	autofree char *file = xasprintf("%s/file", dir);
	int fd = open(file, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	if (content)
		ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
	fd = open(file, flags | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void
on_done(void *arg, const json_t *r)
{
	(void)arg;
	ck_assert_ptr_null(result);
	result = json_deep_copy(r);
	event_base_loopbreak(base);
}

/* Run REQUEST, with the server's PATH as URL when it has none. */
static void
transfer(json_t *request, const char *path, int fd)
{
	struct timeval limit = { 60, 0 };
	struct err e = { 0 };
	autojson json_t *q = request;
	autofree char *url = xasprintf("%s%s", mini_url(server), path);

	if (!json_object_get(q, "url"))
		json_object_set_new(q, "url", json_string(url));
	if (!json_object_get(q, "timeout_ms"))
		json_object_set_new(q, "timeout_ms", json_integer(30000));
	json_object_set_new(q, "keep_user", json_true()); /* leak checkers look into themselves */
	json_decref(result);
	result = NULL;
	ck_assert_msg(transfer_start(base, program, q, fd, on_done, NULL, &e) != NULL,
		      "%s", err_text(&e));
	ck_assert_ptr_null(result);
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	ck_assert_ptr_nonnull(result);
}

static void
check_result(int code, int status, int64_t bytes, const char *in_error)
{
	autofree char *text = json_text(result);

	ck_assert_msg(json_int(result, "code", 1) == code, "%s", text);
	ck_assert_msg(json_int(result, "status", 0) == status, "%s", text);
	ck_assert_msg(json_int(result, "bytes", 0) == bytes, "%s", text);
	ck_assert_msg(strstr(json_str(result, "error", ""), in_error) != NULL, "%s", text);
	ck_assert(code == 0 || json_str(result, "error", "")[0]);
}

static void
check_file(const char *expected)
{
	autofree char *file = xasprintf("%s/file", dir);
	char buf[64] = "";
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(read(fd, buf, sizeof(buf) - 1), 0);
	ck_assert_str_eq(buf, expected);
}

START_TEST(test_get)
{
	autoclose int fd = open_file(O_WRONLY, NULL);
	char hex[DIGEST_SHA256_HEX_SIZE];

	digest_sha256_hex("hello", 5, hex);
	transfer(json_pack("{s:s, s:i, s:[s]}", "sha256", hex, "size", 5, "headers",
			   "Authorization: test"),
		 "/ok", fd);
	check_result(0, 200, 5, "");
	ck_assert_str_eq(json_str(result, "sha256", ""), hex);
	check_file("hello");
	ck_assert(strv_has(got_headers, "authorization: Authorization: test") ||
		  strv_has(got_headers, "authorization: test"));
}
END_TEST

START_TEST(test_get_wrong_content)
{
	autoclose int fd = open_file(O_WRONLY, NULL);
	char hex[DIGEST_SHA256_HEX_SIZE];

	digest_sha256_hex("other", 5, hex);
	transfer(json_pack("{s:s}", "sha256", hex), "/ok", fd);
	check_result(-EBADMSG, 200, 5, hex);
	transfer(json_pack("{s:i}", "size", 6), "/ok", fd);
	check_result(-EBADMSG, 200, 5, "5 bytes came, 6 were expected");
	transfer(json_pack("{s:i}", "max_bytes", 4), "/ok", fd);
	check_result(-EFBIG, 200, 5, "more than the allowed 4 bytes");
}
END_TEST

START_TEST(test_refusals)
{
	autoclose int fd = open_file(O_WRONLY, NULL);

	transfer(json_object(), "/denied", fd);
	check_result(-EREMOTEIO, 403, 0, "status 403 AccessDenied: no");
	ck_assert_str_eq(json_str(result, "service_code", ""), "AccessDenied");
	ck_assert_ptr_null(json_object_get(result, "region"));
	check_file("");
	transfer(json_object(), "/moved", fd);
	check_result(-EREMOTEIO, 307, 0, "TemporaryRedirect");
	ck_assert_str_eq(json_str(result, "region", ""), "ap-south-1");
	ck_assert_uint_eq(strv_len(mini_log(server)), 2);
	check_file("");
	transfer(json_object(), "/missing", fd);
	check_result(-EREMOTEIO, 404, 0, "status 404");
}
END_TEST

START_TEST(test_put)
{
	autoclose int fd = open_file(O_RDONLY, "0123456789");

	ck_assert_int_eq(lseek(fd, 3, SEEK_SET), 3);
	transfer(json_pack("{s:b}", "upload", 1), "/ok", fd);
	check_result(0, 200, 7, "");
	ck_assert_str_eq(mini_log(server)[0], "PUT /ok");
	ck_assert_uint_eq(got_len, 7);
	ck_assert_mem_eq(got_body, "3456789", 7);
	/* sent on: the offset is back where it was */
	ck_assert_int_eq(lseek(fd, 3, SEEK_SET), 3);
	transfer(json_pack("{s:b}", "upload", 1), "/moved", fd);
	check_result(-EREMOTEIO, 307, 7, "");
	ck_assert_str_eq(json_str(result, "region", ""), "ap-south-1");
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 3);
	transfer(json_pack("{s:b, s:i}", "upload", 1, "max_bytes", 6), "/ok", fd);
	check_result(-EFBIG, 0, 0, "7 bytes to send, 6 allowed");
}
END_TEST

START_TEST(test_put_from_pipe)
{
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	transfer(json_pack("{s:b}", "upload", 1), "/ok", p[0]);
	check_result(-EINVAL, 0, 0, "size");
	ck_assert_int_eq(write(p[1], "abcde", 5), 5);
	transfer(json_pack("{s:b, s:i, s:s}", "upload", 1, "size", 5, "method", "POST"), "/ok",
		 p[0]);
	check_result(0, 200, 5, "");
	ck_assert_str_eq(mini_log(server)[0], "POST /ok");
	ck_assert_int_eq(write(p[1], "abc", 3), 3);
	close(p[1]);
	transfer(json_pack("{s:b, s:i}", "upload", 1, "size", 5), "/ok", p[0]);
	ck_assert_int_eq(json_int(result, "code", 0), -ENODATA);
	close(p[0]);
}
END_TEST

START_TEST(test_failures)
{
	autoclose int fd = open_file(O_WRONLY, NULL);
	autoclose int unwritable = open("/dev/null", O_RDONLY | O_CLOEXEC);

	transfer(json_object(), "/cut", fd);
	check_result(-ECONNRESET, 200, 4, "broke off");
	transfer(json_pack("{s:s}", "url", "ftp://h/"), "", fd);
	check_result(-EINVAL, 0, 0, "scheme");
	transfer(json_pack("{s:s}", "url", "http://127.0.0.1:1/"), "", fd);
	check_result(-ECONNREFUSED, 0, 0, "refused");
	transfer(json_pack("{s:[s]}", "headers", "no header"), "/ok", fd);
	check_result(-EINVAL, 0, 0, "header");
	transfer(json_pack("{s:[i]}", "headers", 7), "/ok", fd);
	check_result(-EINVAL, 0, 0, "header");
	transfer(json_pack("{s:s}", "ca_file", "/no/such/file"), "/ok", fd);
	check_result(-ENOENT, 0, 0, "/no/such/file");
	transfer(json_pack("{s:s}", "proxy", "gopher://p"), "/ok", fd);
	check_result(-EINVAL, 0, 0, "proxy");
	transfer(json_object(), "/ok", unwritable);
	check_result(-EBADF, 200, 5, "Bad file descriptor");
	transfer(json_pack("{s:i}", "timeout_ms", 300), "/never", fd);
	check_result(-ETIMEDOUT, 0, 0, "within 0.3 s");
}
END_TEST

START_TEST(test_proxy)
{
	autoclose int fd = open_file(O_WRONLY, NULL);

	transfer(json_pack("{s:s, s:s}", "url", "http://service.invalid/x", "proxy",
			   mini_url(server)),
		 "", fd);
	check_result(-EREMOTEIO, 404, 0, "");
	ck_assert_str_eq(mini_log(server)[0], "GET http://service.invalid/x");
	setenv("HTTP_PROXY", mini_url(server), 1);
	transfer(json_pack("{s:s, s:s}", "url", "http://service.invalid/y", "proxy", ""), "", fd);
	ck_assert_str_eq(mini_log(server)[1], "GET http://service.invalid/y");
	transfer(json_pack("{s:s, s:s}", "url", "http://127.0.0.1:1/y", "no_proxy", "x"), "", fd);
	check_result(-ECONNREFUSED, 0, 0, "");
	unsetenv("HTTP_PROXY");
}
END_TEST

START_TEST(test_bad_process)
{
	struct timeval limit = { 60, 0 };
	struct err e = { 0 };
	autojson json_t *q = json_pack("{s:s}", "url", "http://h/");
	autojson json_t *large = NULL;
	autofree char *text = xmalloc(70001);

	ck_assert_ptr_null(transfer_start(base, "/no/such/program", q, 0, on_done, NULL, &e));
	ck_assert_str_ne(e.text, "");
	memset(text, 'a', 70000);
	text[70000] = '\0';
	large = json_pack("{s:s}", "url", text);
	ck_assert_ptr_null(transfer_start(base, program, large, 0, on_done, NULL, NULL));
	ck_assert_ptr_nonnull(transfer_start(base, "/bin/true", q, 0, on_done, NULL, &e));
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	check_result(-EIO, 0, 0, "status 0 and no result");
}
END_TEST

static void
never(void *arg, const json_t *r)
{
	(void)arg;
	(void)r;
	ck_abort_msg("called after the cancel");
}

/* The pipe is full and nobody reads: only that process hangs, and a cancel ends it. */
START_TEST(test_cancel)
{
	autofree char *url = xasprintf("%s/never", mini_url(server));
	autojson json_t *q = json_pack("{s:s, s:b}", "url", url, "keep_user", 1);
	struct transfer *t;
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	transfer_cancel(NULL);
	t = transfer_start(base, program, q, p[1], never, NULL, NULL);
	ck_assert_ptr_nonnull(t);
	while (strv_len(mini_log(server)) == 0)
		event_base_loop(base, EVLOOP_ONCE);
	close(p[1]);
	transfer_cancel(t);
	/* its end is seen by the end of the pipe */
	ck_assert_int_eq(read(p[0], &(char){ 0 }, 1), 0);
	close(p[0]);
	for (int i = 0; i < 50; i++) {
		struct timeval tv = { 0, 10000 };

		event_base_loopexit(base, &tv);
		event_base_dispatch(base);
	}
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *s;
	TCase *t;

	if (argc > 1 && strcmp(argv[1], "--transfer") == 0)
		return transfer_main();
	program = realpath(argv[0], NULL);
	s = suite_create("transfer");
	t = tcase_create("transfer");
	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_get);
	tcase_add_test(t, test_get_wrong_content);
	tcase_add_test(t, test_refusals);
	tcase_add_test(t, test_put);
	tcase_add_test(t, test_put_from_pipe);
	tcase_add_test(t, test_failures);
	tcase_add_test(t, test_proxy);
	tcase_add_test(t, test_bad_process);
	tcase_add_test(t, test_cancel);
	suite_add_tcase(s, t);
	return run_suite(s);
}
