/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/sessionManager/ws.c against a peer that shares no code with it: spec 02 §1.4, §1.5, and
 * what a peer must not do. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/sessionManager/ws.h"
#include "tests/plugin/wspeer.h"
#include "tests/unit/suite.h"

#define LONG_MS 15000

static struct looplab lab;
static struct wspeer peer;
static struct ws *ws;
static struct ws_options options;
static char *url, *ca_file;
static bool opened, done, writable;
static int result, status;
static char why[1024];
static struct sbuf got; /* messages, each as "t:text\n" or "b:bytes\n" */
static const char *last; /* the message that ends a test */
static bool free_within;

static void
on_opened(void *arg)
{
	ck_assert_ptr_eq(arg, &lab);
	opened = true;
}

static void
on_message(void *arg, bool text, const void *data, size_t len)
{
	(void)arg;
	ck_assert(opened);
	if (len < 1000)
		(void)sbuf_addf(&got, "%c:%.*s\n", text ? 't' : 'b', (int)len, (const char *)data);
	else
		(void)sbuf_addf(&got, "%c:%zu\n", text ? 't' : 'b', len);
	if (last && text && len == strlen(last) && memcmp(data, last, len) == 0)
		done = true;
	if (free_within)
		ws = ws_free(ws);
}

static void
on_writable(void *arg)
{
	(void)arg;
	writable = true;
}

static void
on_closed(void *arg, int r, int http_status, const char *text)
{
	(void)arg;
	ck_assert(!done || last);
	result = r;
	status = http_status;
	snprintf(why, sizeof(why), "%s", text);
	done = true;
	ws = ws_free(ws);
}

static const struct ws_ops ops = { on_opened, on_message, on_writable, on_closed };

static void
setup(void)
{
	looplab_init(&lab);
	sbuf_init(&got, 1u << 20);
	memset(&options, 0, sizeof(options));
	opened = done = writable = free_within = false;
	result = status = 0;
	last = NULL;
	ws = NULL;
	url = ca_file = NULL;
}

static void
teardown(void)
{
	ws_free(ws);
	looplab_done(&lab);
	sbuf_done(&got);
	free(url);
	free(ca_file);
}

static void
dial(const char *scheme)
{
	static const char *const headers[] = { "Authorization: AWS4 signed", NULL };
	struct err e = { 0, "" };

	url = xasprintf("%s://127.0.0.1:%d/v1/control-channel/i-1?role=subscribe&stream=input",
			scheme, peer.port);
	options.url = url;
	options.headers = headers;
	ws = ws_open(lab.S, &options, &ops, &lab, &e);
	ck_assert_msg(ws != NULL, "%s", err_text(&e));
	ck_assert_int_eq(ws_send(ws, true, "x", 1), -EPIPE);
}

static void
run(const char *name)
{
	wspeer_start(&peer, name);
	dial("ws");
	ck_assert(looplab_run(&lab, &done, LONG_MS));
}

/* The connection goes; the peer saw nothing wrong. */
static void
finish(void)
{
	ws = ws_free(ws);
	ck_assert_int_eq(wspeer_end(&peer), 0);
}

static void
ends(const char *name, int r, const char *part)
{
	run(name);
	ck_assert_msg(result == r, "%d (%s), not %d", result, why, r);
	ck_assert_msg(strstr(why, part) != NULL, "'%s' in '%s'", part, why);
	ck_assert_ptr_null(ws);
	finish();
}

static void
send_and_wait(const char *text, const char *until)
{
	last = until;
	done = false;
	ck_assert_int_eq(ws_send(ws, true, text, strlen(text)), 0);
	ck_assert(looplab_run(&lab, &done, LONG_MS));
}

static void
open_it(const char *name)
{
	wspeer_start(&peer, name);
	dial("ws");
	ck_assert(looplab_run(&lab, &opened, LONG_MS));
}

START_TEST(test_echo)
{
	static char large[142000];

	open_it("echo");
	memset(large, 'x', sizeof(large));
	ck_assert_int_eq(ws_send(ws, false, "one", 3), 0);
	ck_assert_int_eq(ws_send(ws, false, large, sizeof(large)), 0);
	ck_assert_int_eq(ws_send(ws, false, "", 0), -EINVAL);
	send_and_wait("two", "two");
	ck_assert_str_eq(sbuf_str(&got), "b:one\nb:142000\nt:two\n");
	finish();
}
END_TEST

/* Each byte of the answer and of the frames in a packet of its own; fragments with a ping in
 * between. */
START_TEST(test_bytewise)
{
	wspeer_start(&peer, "bytewise");
	dial("ws");
	while (!strstr(sbuf_str(&got), "fragmented"))
		ck_assert_msg(!looplab_run(&lab, &done, 50), "%s", why);
	ck_assert_str_eq(sbuf_str(&got), "t:grüße\nb:fragmented\n");
	(void)looplab_run(&lab, &done, 50); /* the pong */
	finish();
}
END_TEST

START_TEST(test_messages_behind_the_answer)
{
	wspeer_start(&peer, "early");
	dial("ws");
	while (!strstr(sbuf_str(&got), "second"))
		ck_assert_msg(!looplab_run(&lab, &done, 20), "%s", why);
	ck_assert_str_eq(sbuf_str(&got), "t:first\nb:second\n");
	finish();
}
END_TEST

START_TEST(test_freed_within_a_message)
{
	free_within = true;
	wspeer_start(&peer, "early");
	dial("ws");
	while (ws)
		(void)looplab_run(&lab, &done, 20);
	(void)looplab_run(&lab, &done, 50);
	ck_assert_str_eq(sbuf_str(&got), "t:first\n");
	ck_assert(!done);
	finish();
}
END_TEST

START_TEST(test_broken_rules)
{
	static const char *const names[] = { "masked", "reserved", "opcode", "badtext" };

	ends(names[_i], -EPROTO, "broke a rule");
	ck_assert_str_eq(sbuf_str(&got), "");
}
END_TEST

START_TEST(test_too_large)
{
	options.message_max = 200000;
	ends(_i ? "toolong" : "huge", -EPROTO, "too large");
	ck_assert_str_eq(sbuf_str(&got), "");
}
END_TEST

START_TEST(test_closed_by_peer)
{
	ends("close", -ECONNRESET, "code 1001");
}
END_TEST

START_TEST(test_cut)
{
	ends("cut", -ECONNRESET, "closed by the other side");
}
END_TEST

START_TEST(test_refused)
{
	ends("forbidden", -EACCES, "status 403");
	ck_assert_int_eq(status, 403);
	ck_assert(!opened);
}
END_TEST

START_TEST(test_server_in_trouble)
{
	ends("broken", -EREMOTEIO, "status 500");
	ck_assert_int_eq(status, 500);
}
END_TEST

START_TEST(test_no_handshake)
{
	static const struct {
		const char *name;
		int result;
		const char *part;
	} all[] = {
		{ "ssh", -EPROTO, "not HTTP" },
		{ "garbage", -EPROTO, "not HTTP" },
		{ "badaccept", -EPROTO, "Sec-WebSocket-Accept" },
		{ "endless", -E2BIG, "longer than" },
		{ "hangup", -ECONNRESET, "closed by the other side" },
	};

	ends(all[_i].name, all[_i].result, all[_i].part);
	ck_assert(!opened);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_no_answer)
{
	options.open_ms = 300;
	ends("hang", -ETIMEDOUT, "answer to the upgrade");
}
END_TEST

START_TEST(test_nobody_there)
{
	options.url = "ws://127.0.0.1:1/";
	ws = ws_open(lab.S, &options, &ops, &lab, NULL);
	ck_assert(looplab_run(&lab, &done, LONG_MS));
	ck_assert_int_eq(result, -ECONNREFUSED);
}
END_TEST

START_TEST(test_silence_is_death)
{
	options.ping_ms = 100;
	options.silence_ms = 300;
	ends("silent", -ETIMEDOUT, "nothing was heard");
	ck_assert(opened);
}
END_TEST

/* Longer than the silence that is allowed, because each ping is answered. */
START_TEST(test_pings_keep_it_alive)
{
	options.ping_ms = 100;
	options.silence_ms = 400;
	last = "enough";
	run("alive");
	ck_assert_str_eq(sbuf_str(&got), "t:enough\n");
	finish();
}
END_TEST

START_TEST(test_probe)
{
	open_it("echo");
	ws_probe(ws);
	ws_probe(ws);
	send_and_wait("still", "still");
	finish();
}
END_TEST

START_TEST(test_back_pressure)
{
	static uint32_t block[16384];
	uint32_t count = 0;
	int r;

	options.queue_max = 256 * 1024;
	open_it("slow");
	ck_assert_int_eq(ws_send(ws, false, block, options.queue_max + 1), -EMSGSIZE);
	for (;;) {
		for (size_t i = 0; i < NELEMS(block); i++)
			block[i] = __builtin_bswap32(count);
		r = ws_send(ws, false, block, sizeof(block));
		if (r < 0)
			break;
		ck_assert_uint_le(ws_queued(ws), options.queue_max);
		count++;
		(void)looplab_run(&lab, &done, 1);
	}
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert(!writable);
	ck_assert(looplab_run(&lab, &writable, LONG_MS));
	ck_assert_uint_le(ws_queued(ws), options.queue_max / 2);
	autofree char *told = xasprintf("%u", count);

	send_and_wait("end", told);
	finish();
}
END_TEST

START_TEST(test_flood_of_pings)
{
	last = "enough";
	run("flood");
	ck_assert_str_eq(sbuf_str(&got), "t:enough\n");
	finish();
}
END_TEST

START_TEST(test_gush)
{
	last = "enough";
	run("gush");
	ck_assert(text_ends(sbuf_str(&got), "b:65536\nt:enough\n"));
	finish();
}
END_TEST

START_TEST(test_tls)
{
	wspeer_start(&peer, "tls");
	options.ca_file = ca_file = xasprintf("%s/cert.pem", peer.folder);
	dial("wss");
	ck_assert_msg(looplab_run(&lab, &opened, LONG_MS), "%s", why);
	send_and_wait("secret", "secret");
	finish();
}
END_TEST

START_TEST(test_strange_certificate)
{
	wspeer_start(&peer, "strange");
	dial("wss");
	ck_assert(looplab_run(&lab, &done, LONG_MS));
	ck_assert_int_eq(result, -EPROTO);
	ck_assert(!opened);
	finish();
}
END_TEST

START_TEST(test_proxy)
{
	static const char *const headers[] = { "Authorization: AWS4 signed", NULL };
	autofree char *proxy = NULL;

	wspeer_start(&peer, "proxy");
	options.proxy = proxy = xasprintf("http://127.0.0.1:%d", peer.port);
	options.url = "http://ssmmessages.example/v1/control-channel/i-1?role=subscribe&stream="
		      "input";
	options.headers = headers;
	ws = ws_open(lab.S, &options, &ops, &lab, NULL);
	ck_assert_msg(looplab_run(&lab, &opened, LONG_MS), "%s", why);
	send_and_wait("through", "through");
	finish();
}
END_TEST

START_TEST(test_proxy_refuses)
{
	autofree char *proxy = NULL;

	wspeer_start(&peer, "noproxy");
	options.proxy = proxy = xasprintf("http://127.0.0.1:%d", peer.port);
	options.url = "http://ssmmessages.example/";
	ws = ws_open(lab.S, &options, &ops, &lab, NULL);
	ck_assert(looplab_run(&lab, &done, LONG_MS));
	ck_assert_int_eq(result, -EHOSTUNREACH);
	ck_assert_ptr_nonnull(strstr(why, "407"));
	finish();
}
END_TEST

START_TEST(test_not_usable)
{
	static const char *const bad[] = { "X: a\r\nY: b", NULL };
	struct err e = { 0, "" };

	options.url = "gopher://h/";
	ck_assert_ptr_null(ws_open(lab.S, &options, &ops, &lab, &e));
	options.url = "ws://h/";
	options.headers = bad;
	ck_assert_ptr_null(ws_open(lab.S, &options, &ops, &lab, &e));
	ck_assert_int_eq(e.code, -EINVAL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager ws");
	TCase *t = tcase_create("ws");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_echo);
	tcase_add_test(t, test_bytewise);
	tcase_add_test(t, test_messages_behind_the_answer);
	tcase_add_test(t, test_freed_within_a_message);
	tcase_add_loop_test(t, test_broken_rules, 0, 4);
	tcase_add_loop_test(t, test_too_large, 0, 2);
	tcase_add_test(t, test_closed_by_peer);
	tcase_add_test(t, test_cut);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_server_in_trouble);
	tcase_add_loop_test(t, test_no_handshake, 0, 5);
	tcase_add_test(t, test_no_answer);
	tcase_add_test(t, test_nobody_there);
	tcase_add_test(t, test_silence_is_death);
	tcase_add_test(t, test_pings_keep_it_alive);
	tcase_add_test(t, test_probe);
	tcase_add_test(t, test_back_pressure);
	tcase_add_test(t, test_flood_of_pings);
	tcase_add_test(t, test_gush);
	tcase_add_test(t, test_tls);
	tcase_add_test(t, test_strange_certificate);
	tcase_add_test(t, test_proxy);
	tcase_add_test(t, test_proxy_refuses);
	tcase_add_test(t, test_not_usable);
	suite_add_tcase(s, t);
	return run_suite(s);
}
