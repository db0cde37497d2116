/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/upgrade.c: RFC 6455 section 4 with its example, and what is
 * no answer. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rand.h"
#include "plugins/sessionManager/upgrade.h"
#include "tests/unit/suite.h"

/* RFC 6455 section 1.3. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define FIRST "HTTP/1.1 101 Switching Protocols\r\n"
#define UP "Upgrade: websocket\r\n"
#define CONN "Connection: Upgrade\r\n"
#define GOOD FIRST UP CONN ACCEPT "\r\n"

static struct err e;
static size_t used;
static int status;

static int
answer(const char *text)
{
	e = (struct err){ 0, "" };
	used = 0;
	status = 0;
	return upgrade_read(text, strlen(text), KEY, &used, &status, &e);
}

static void
refused(const char *text, int code, const char *part)
{
	ck_assert_msg(answer(text) == code, "%d, not %d: %s", e.code, code, text);
	ck_assert_msg(strstr(e.text, part) != NULL, "'%s' in '%s'", part, e.text);
}

START_TEST(test_url)
{
	struct upgrade_url u = { 0 };

	ck_assert_int_eq(upgrade_url_read("wss://SSMmessages.eu-west-1.amazonaws.com:443/v1/"
					  "control-channel/i-1?role=subscribe&stream=input",
					  &u, &e),
			 0);
	ck_assert(u.tls);
	ck_assert_str_eq(u.connect, "https://ssmmessages.eu-west-1.amazonaws.com:443/");
	ck_assert_str_eq(u.host, "ssmmessages.eu-west-1.amazonaws.com");
	ck_assert_str_eq(u.target, "/v1/control-channel/i-1?role=subscribe&stream=input");
	upgrade_url_done(&u);
	ck_assert_int_eq(upgrade_url_read("http://[::1]:8080", &u, &e), 0);
	ck_assert(!u.tls);
	ck_assert_str_eq(u.host, "[::1]:8080");
	ck_assert_str_eq(u.target, "/");
	upgrade_url_done(&u);
	ck_assert_int_eq(upgrade_url_read("ws://a?x=@", &u, &e), 0);
	ck_assert_str_eq(u.target, "/?x=@");
	upgrade_url_done(&u);
}
END_TEST

START_TEST(test_url_refused)
{
	static const char *const bad[] = { "",		   "ftp://a/",	"wss://",
					   "wss:///x",	   "wss://u@h/", "wss://h/a b",
					   "wss://h/\r\nX", "wss://h/#f", "h:1/x" };
	struct upgrade_url u = { 0 };

	for (size_t i = 0; i < NELEMS(bad); i++)
		ck_assert_msg(upgrade_url_read(bad[i], &u, &e) == -EINVAL, "%s", bad[i]);
	ck_assert_ptr_null(u.host);
}
END_TEST

START_TEST(test_request)
{
	static const char *const headers[] = { "Authorization: AWS4", "X-Amz-Date: 1", NULL };
	static const char *const broken[] = { "X-A: b\r\nX-B: c", NULL };
	struct upgrade_url u = { 0 };
	autosbuf struct sbuf out = SBUF_INIT(4096);
	char key[UPGRADE_KEY_SIZE];

	ck_assert_int_eq(upgrade_url_read("wss://h/p?q", &u, &e), 0);
	ck_assert_int_eq(upgrade_write(&u, KEY, headers, &out, &e), 0);
	ck_assert_str_eq(out.p, "GET /p?q HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
				"Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
				"Sec-WebSocket-Version: 13\r\nAuthorization: AWS4\r\n"
				"X-Amz-Date: 1\r\n\r\n");
	ck_assert_int_eq(upgrade_write(&u, KEY, broken, &out, &e), -EINVAL);
	upgrade_url_done(&u);
	upgrade_key(key);
	ck_assert_uint_eq(strlen(key), 24);
}
END_TEST

START_TEST(test_good)
{
	ck_assert_int_eq(answer(GOOD "\x81\x02hi"), 0);
	ck_assert_uint_eq(used, strlen(GOOD));
	ck_assert_int_eq(status, 101);
	ck_assert_int_eq(answer(FIRST "uPGRADE:\twebSocket \r\nconnection: keep-alive , upgrade\r\n"
				      "x:\r\n" ACCEPT "\r\n"),
			 0);
}
END_TEST

START_TEST(test_every_cut_waits_for_more)
{
	for (size_t len = 0; len < strlen(GOOD); len++) {
		autofree char *cut = xstrndup(GOOD, len);

		ck_assert_int_eq(answer(cut), 1);
	}
}
END_TEST

START_TEST(test_refusals)
{
	refused("HTTP/1.1 403 Forbidden\r\n\r\nno", -EACCES, "status 403");
	ck_assert_int_eq(status, 403);
	refused("HTTP/1.1 401 U\r\n\r\n", -EACCES, "status 401");
	refused("HTTP/1.1 200 OK\r\n" UP CONN ACCEPT "\r\n", -EREMOTEIO, "status 200");
	refused("HTTP/1.0 503 x\r\n\r\n", -EREMOTEIO, "status 503");
	refused(FIRST UP CONN "\r\n", -EPROTO, "Accept");
	refused(FIRST UP CONN ACCEPT ACCEPT "\r\n", -EPROTO, "Accept");
	refused(FIRST UP CONN "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", -EPROTO,
		"Accept");
	refused(FIRST CONN ACCEPT "\r\n", -EPROTO, "Upgrade: websocket");
	refused(FIRST "Upgrade: h2c\r\n" CONN ACCEPT "\r\n", -EPROTO, "Upgrade: websocket");
	refused(FIRST UP "Connection: close\r\n" ACCEPT "\r\n", -EPROTO, "Connection: Upgrade");
	refused(FIRST UP CONN ACCEPT "Sec-WebSocket-Extensions: x\r\n\r\n", -EPROTO, "extension");
	refused(FIRST UP CONN ACCEPT "Sec-WebSocket-Protocol: x\r\n\r\n", -EPROTO, "protocol");
}
END_TEST

START_TEST(test_garbage)
{
	autosbuf struct sbuf b = SBUF_INIT(1u << 20);

	refused("SSH-2.0-x\r\n", -EPROTO, "not HTTP");
	refused("HTTP/2 101\r\n\r\n", -EPROTO, "not HTTP");
	refused("HTTP/1.\r\n\r\n", -EPROTO, "not HTTP");
	refused("HTTP/1.1 1x1 a\r\n\r\n", -EPROTO, "not HTTP");
	refused("HTTP/1.1 1011 a\r\n\r\n", -EPROTO, "not HTTP");
	refused(FIRST "no colon\r\n\r\n", -EPROTO, "not HTTP");
	refused(FIRST UP " folded\r\n" CONN ACCEPT "\r\n", -EPROTO, "not HTTP");
	refused(FIRST UP CONN ACCEPT "X: \x01\r\n\r\n", -EPROTO, "not HTTP");
	refused(FIRST ": x\r\n\r\n", -EPROTO, "not HTTP");
	(void)sbuf_adds(&b, FIRST);
	for (int i = 0; i < 101; i++)
		(void)sbuf_adds(&b, "A: b\r\n");
	(void)sbuf_adds(&b, "\r\n");
	refused(b.p, -EPROTO, "not HTTP");
	while (b.len < UPGRADE_ANSWER_MAX)
		(void)sbuf_adds(&b, "padding: 1\r\n");
	b.p[b.len - 2] = 'x'; /* does not end */
	memmove(strstr(b.p, "\r\n\r\n"), "\r\nX:", 4);
	refused(b.p, -E2BIG, "longer than");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager upgrade");
	TCase *t = tcase_create("upgrade");

	tcase_add_test(t, test_url);
	tcase_add_test(t, test_url_refused);
	tcase_add_test(t, test_request);
	tcase_add_test(t, test_good);
	tcase_add_test(t, test_every_cut_waits_for_more);
	tcase_add_test(t, test_refusals);
	tcase_add_test(t, test_garbage);
	suite_add_tcase(s, t);
	return run_suite(s);
}
