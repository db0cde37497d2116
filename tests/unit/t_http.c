/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/net/http.c against a server in the same event loop. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/http.h"
#include "tests/unit/miniserver.h"
#include "tests/unit/suite.h"

static struct event_base *base;
static struct http *client;
static struct mini *server;
static int waiting; /* calls whose end the loop waits for */

/* What one call gave. */
struct answer {
	int calls, result, status;
	char *text, *body, **headers;
	size_t body_len;
	int64_t date_ms;
};

static void
answer_done(struct answer *a)
{
	free(a->text);
	free(a->body);
	strv_free(a->headers);
	memset(a, 0, sizeof(*a));
}
#define autoanswer __attribute__((cleanup(answer_done)))

static void
on_answer(void *arg, int result, const char *text, const struct http_response *r)
{
	struct answer *a = arg;

	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_nonnull(r->body);
	ck_assert_int_eq(r->body[r->body_len], '\0');
	a->calls++;
	a->result = result;
	a->status = r->status;
	a->text = xstrdup(text);
	a->body = xmemdup(r->body, r->body_len);
	a->body_len = r->body_len;
	a->headers = strv_dup(r->headers);
	a->date_ms = r->date_ms;
	if (--waiting == 0)
		event_base_loopbreak(base);
}

static void
serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	(void)arg;
	if (strcmp(r->target, "/ok") == 0)
		mini_replys(c, 200,
			    "X-Mixed-Case:  some value \r\nDate: Tue, 05 Mar 2024 "
			    "07:08:09 GMT\r\n",
			    "hello");
	else if (strcmp(r->target, "/nothing") == 0)
		mini_replys(c, 204, NULL, "");
	else if (strcmp(r->target, "/missing") == 0)
		mini_replys(c, 404, NULL, "not here");
	else if (strcmp(r->target, "/broken") == 0)
		mini_replys(c, 500, NULL, "");
	else if (strcmp(r->target, "/moved") == 0)
		mini_replys(c, 302, "Location: /ok\r\nSet-Cookie: a=b\r\n", "");
	else if (strcmp(r->target, "/slow") == 0)
		mini_reply_after(c, 100, 200, NULL, "late");
	else if (strcmp(r->target, "/never") == 0)
		return;
	else if (strcmp(r->target, "/reset") == 0)
		mini_reset(c);
	else if (strcmp(r->target, "/close") == 0)
		mini_close(c);
	else if (strcmp(r->target, "/echo") == 0)
		mini_reply(c, 200, NULL, r->body, r->body_len);
	else if (strcmp(r->target, "/method") == 0)
		mini_replys(c, 200, NULL, r->method);
	else
		mini_replys(c, 400, NULL, "?");
}

/* A raw answer, then the end of the connection. */
static void
serve_raw(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	const struct span {
		const char *p;
		size_t len;
	} *s = arg;

	(void)r;
	mini_raw(c, s->p, s->len);
	mini_close(c);
}

static void
setup(void)
{
	struct http_options o = {.user_agent = "test/1", .proxy = ""};

	base = event_base_new();
	client = http_new(base, &o, NULL);
	server = mini_new(base, "127.0.0.1", serve, NULL);
	ck_assert(base && client);
}

static void
teardown(void)
{
	client = http_free(client);
	server = mini_free(server);
	event_base_free(base);
}

static void
run(void)
{
	struct timeval limit = {60, 0};

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	ck_assert_int_eq(waiting, 0);
}

static struct http_call *
start(const struct http_request *r, struct answer *a)
{
	struct err e = {0};
	struct http_call *c = http_start(client, r, on_answer, a, &e);

	ck_assert_msg(c != NULL, "%s", err_text(&e));
	ck_assert_int_eq(a->calls, 0); /* never from within */
	waiting++;
	return c;
}

static void
fetch_request(struct http_request r, const char *target, struct answer *a)
{
	autofree char *url = xasprintf("%s%s", mini_url(server), target);

	r.url = url;
	r.method = r.method ? r.method : "GET";
	r.timeout_ms = r.timeout_ms ? r.timeout_ms : 30000;
	start(&r, a);
	run();
	ck_assert_int_eq(a->calls, 1);
}

static void
fetch(const char *target, struct answer *a)
{
	fetch_request((struct http_request){0}, target, a);
}

static const char *
header(const struct answer *a, const char *name)
{
	struct http_response r = {.headers = a->headers};

	return http_header(&r, name);
}

START_TEST(test_ok)
{
	autoanswer struct answer a = {0}, b = {0};

	fetch("/ok", &a);
	ck_assert_int_eq(a.result, 0);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body, "hello");
	ck_assert_uint_eq(a.body_len, 5);
	ck_assert_str_eq(header(&a, "x-mixed-case"), "some value");
	ck_assert_str_eq(header(&a, "content-length"), "5");
	ck_assert_ptr_null(header(&a, "x-mixed"));
	ck_assert_ptr_null(header(&a, "absent"));
	ck_assert_int_eq(a.date_ms, 1709622489000);
	fetch("/nothing", &b);
	ck_assert_int_eq(b.status, 204);
	ck_assert_str_eq(b.body, "");
	ck_assert_int_eq(b.date_ms, 0);
}
END_TEST

START_TEST(test_any_status)
{
	autoanswer struct answer a = {0}, b = {0}, c = {0}, d = {0};

	fetch("/missing", &a);
	ck_assert_int_eq(a.result, 0);
	ck_assert_int_eq(a.status, 404);
	ck_assert_str_eq(a.body, "not here");
	fetch("/broken", &b);
	ck_assert_int_eq(b.result, 0);
	ck_assert_int_eq(b.status, 500);
	fetch("/moved", &c); /* not followed */
	ck_assert_int_eq(c.status, 302);
	ck_assert_str_eq(header(&c, "location"), "/ok");
	ck_assert_uint_eq(strv_len(mini_log(server)), 3);
	fetch("/ok", &d);
	ck_assert_uint_eq(mini_connections(server), 1);
}
END_TEST

static void
record(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	char ***seen = arg;

	*seen = strv_free(*seen);
	*seen = strv_dup(r->headers);
	mini_replys(c, 200, "Set-Cookie: a=b\r\n", r->body);
}

static bool
sent(char *const *seen, const char *name)
{
	for (; seen && *seen; seen++)
		if (text_starts(*seen, name) && (*seen)[strlen(name)] == ':')
			return true;
	return false;
}

START_TEST(test_what_is_sent)
{
	char *headers[] = {(char *)"X-One: 1", (char *)"X-Empty:", (char *)"X-One: 2", NULL};
	autostrv char **seen = NULL;
	autofree char *host = NULL;
	autoanswer struct answer a = {0}, b = {0}, c = {0};
	struct http_request r = {.method = "POST",
				 .headers = headers,
				 .body = "x\0y",
				 .body_len = 3};

	mini_free(server);
	server = mini_new(base, "127.0.0.1", record, &seen);
	host = xasprintf("host: 127.0.0.1:%d", mini_port(server));
	fetch_request(r, "/%7e/../a//b?q=%20+", &a);
	ck_assert_str_eq(mini_log(server)[0], "POST /%7e/../a//b?q=%20+"); /* untouched */
	ck_assert(strv_has(seen, host));
	ck_assert(strv_has(seen, "content-length: 3"));
	ck_assert(strv_has(seen, "x-one: 1"));
	ck_assert(strv_has(seen, "x-one: 2"));
	ck_assert(sent(seen, "x-empty"));
	ck_assert(strv_has(seen, "user-agent: test/1"));
	ck_assert(!sent(seen, "content-type"));
	ck_assert(!sent(seen, "accept"));
	ck_assert(!sent(seen, "expect"));
	ck_assert_uint_eq(strv_len(seen), 6);
	fetch_request((struct http_request){.method = "PUT"}, "/", &b);
	ck_assert(strv_has(seen, "content-length: 0"));
	ck_assert(!sent(seen, "cookie"));
	fetch("/", &c);
	ck_assert(!sent(seen, "content-length"));
}
END_TEST

START_TEST(test_methods)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};
	autoanswer struct answer head = {0};

	for (size_t i = 0; i < NELEMS(methods); i++) {
		autoanswer struct answer a = {0};

		fetch_request((struct http_request){.method = methods[i]}, "/method", &a);
		ck_assert_str_eq(a.body, methods[i]);
	}
	mini_free(server);
	{
		static const char raw[] = "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n";
		const struct {
			const char *p;
			size_t len;
		} s = {raw, sizeof(raw) - 1};

		server = mini_new(base, "127.0.0.1", serve_raw, (void *)&s);
		fetch_request((struct http_request){.method = "HEAD"}, "/x", &head);
		ck_assert_int_eq(head.result, 0);
		ck_assert_str_eq(header(&head, "content-length"), "77");
	}
}
END_TEST

START_TEST(test_large_body_both_ways)
{
	size_t len = 3u << 20;
	autofree char *body = xmalloc(len);
	autoanswer struct answer a = {0};

	for (size_t i = 0; i < len; i++)
		body[i] = (char)(i * 7 + i / 251);
	fetch_request((struct http_request){.method = "POST", .body = body, .body_len = len},
		      "/echo", &a);
	ck_assert_int_eq(a.result, 0);
	ck_assert_uint_eq(a.body_len, len);
	ck_assert_mem_eq(a.body, body, len);
}
END_TEST

START_TEST(test_slow)
{
	autoanswer struct answer a = {0}, b = {0};
	int64_t before;

	fetch("/slow", &a);
	ck_assert_int_eq(a.result, 0);
	ck_assert_str_eq(a.body, "late");
	before = clock_mono_ms();
	fetch_request((struct http_request){.timeout_ms = 300}, "/never", &b);
	ck_assert_int_eq(b.result, -ETIMEDOUT);
	ck_assert_int_eq(b.status, 0);
	ck_assert_ptr_nonnull(strstr(b.text, "no complete answer within 0.3 s"));
	ck_assert_ptr_nonnull(strstr(b.text, "127.0.0.1"));
	ck_assert_int_ge(clock_mono_ms() - before, 250);
}
END_TEST

START_TEST(test_broken_connections)
{
	autoanswer struct answer a = {0}, b = {0}, c = {0};
	autofree char *url = xstrdup(mini_url(server));
	struct http_request r = {.method = "GET", .url = url, .timeout_ms = 30000};

	fetch("/reset", &a);
	ck_assert_int_eq(a.result, -ECONNRESET);
	ck_assert_int_eq(a.status, 0);
	fetch("/close", &b);
	ck_assert_int_eq(b.result, -ECONNRESET);
	server = mini_free(server);
	start(&r, &c);
	run();
	ck_assert_int_eq(c.result, -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(c.text, "refused"));
}
END_TEST

static void
raw_gives(const char *raw, size_t len, size_t max_bytes, int result, int status)
{
	const struct {
		const char *p;
		size_t len;
	} s = {raw, len};
	autoanswer struct answer a = {0};

	mini_free(server);
	server = mini_new(base, "127.0.0.1", serve_raw, (void *)&s);
	fetch_request((struct http_request){.max_bytes = max_bytes}, "/", &a);
	ck_assert_msg(a.result == result, "%.60s: %d, %s", raw, a.result, a.text);
	ck_assert_int_eq(a.status, status);
	ck_assert_str_ne(a.text, "");
	if (result < 0)
		ck_assert_uint_eq(a.body_len, 0);
}
#define RAW(text, max_bytes, result, status) \
	raw_gives(text, sizeof(text) - 1, max_bytes, result, status)

START_TEST(test_bad_answers)
{
	RAW("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, 0, 200);
	RAW("HTTP/1.0 200 OK\r\n\r\nuntil the end", 0, 0, 200);
	RAW("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", 0, -ECONNRESET, 200);
	RAW("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0, -ECONNRESET,
	    200);
	RAW("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0, 0,
	    200);
	RAW("\x16\x03\x01garbage, not HTTP at all\r\n\r\n", 0, -EPROTO, 0);
	RAW("ICY 200 OK\r\n\r\n", 0, -EPROTO, 0);
	RAW("<html>HTTP/1.1 200</html>", 0, -EPROTO, 0);
	RAW("HTTP/1.1 200 OK\r\nno colon here\r\nX: y\r\n\r\n", 0, -EPROTO, 200);
	RAW("HTTP/1.1 200 OK\r\n: empty\r\nX: y\r\n\r\n", 0, 0, 200);
	RAW("HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n", 0, 0, 200);
	RAW("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: trailer\r\n\r\n", 0, 0,
	    200);
	RAW("HTTP/1.1 200 OK\r\nA: b", 0, -ECONNRESET, 200);
	RAW("HTTP/1.1 ", 0, -ECONNRESET, 0);
	RAW("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", 0, -EPROTO, 200);
	RAW("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nx", 0, 0, 200);
	RAW("HTTP/1.1 103 Early\r\nX: early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0,
	    0, 200);
}
END_TEST

START_TEST(test_interim_headers_go)
{
	static const char raw[] = "HTTP/1.1 103 Early\r\nX-Early: 1\r\n\r\n"
				  "HTTP/1.1 200 OK\r\nX-Late: 2\r\nContent-Length: 0\r\n\r\n";
	const struct {
		const char *p;
		size_t len;
	} s = {raw, sizeof(raw) - 1};
	autoanswer struct answer a = {0};

	mini_free(server);
	server = mini_new(base, "127.0.0.1", serve_raw, (void *)&s);
	fetch("/", &a);
	ck_assert_ptr_null(header(&a, "x-early"));
	ck_assert_str_eq(header(&a, "x-late"), "2");
}
END_TEST

/* "HTTP/1.1 200 OK", N times X, end of headers. */
static void
many_headers(const char *x, size_t n, int result)
{
	autostrv char **lines = NULL;
	autofree char *text = NULL, *all = NULL;

	for (size_t i = 0; i < n; i++)
		strv_add(&lines, x);
	text = strv_join(lines, "\r\n");
	all = xasprintf("HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 0\r\n\r\n", text);
	raw_gives(all, strlen(all), 0, result, 200);
}

START_TEST(test_ceilings)
{
	autofree char *line = xmalloc(70001);

	RAW("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 5, 0, 200);
	RAW("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 4, -E2BIG, 200);
	RAW("HTTP/1.1 200 OK\r\n\r\nhello", 4, -E2BIG, 200);
	RAW("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
	    4, -E2BIG, 200);
	many_headers("X: 1234567890", 4000, 0);
	many_headers("X: 1234567890", 5000, -E2BIG);
	memset(line, 'a', 70000);
	line[70000] = '\0';
	memcpy(line, "X: ", 3);
	many_headers(line, 1, -E2BIG);
}
END_TEST

START_TEST(test_parallel)
{
	static struct answer a[100];
	autofree char *url = xasprintf("%s/slow", mini_url(server));
	struct http_request r = {.method = "GET", .url = url, .timeout_ms = 50000};

	for (size_t i = 0; i < NELEMS(a); i++)
		start(&r, &a[i]);
	run();
	for (size_t i = 0; i < NELEMS(a); i++) {
		ck_assert_int_eq(a[i].calls, 1);
		ck_assert_int_eq(a[i].result, 0);
		ck_assert_str_eq(a[i].body, "late");
		answer_done(&a[i]);
	}
	ck_assert_uint_eq(strv_len(mini_log(server)), 100);
}
END_TEST

START_TEST(test_connections_are_kept)
{
	autoanswer struct answer a = {0}, b = {0}, c = {0}, d = {0}, f = {0};

	fetch("/ok", &a);
	fetch("/ok", &b);
	ck_assert_uint_eq(mini_connections(server), 1);
	fetch_request((struct http_request){.fresh = true}, "/ok", &c);
	ck_assert_uint_eq(mini_connections(server), 2);
	http_drop_idle(client);
	http_drop_idle(client);
	fetch("/ok", &d);
	ck_assert_uint_eq(mini_connections(server), 3);
	fetch("/ok", &f);
	ck_assert_uint_eq(mini_connections(server), 3);
}
END_TEST

/* A call that runs goes on when the connections are dropped; the next one gets a new one. */
START_TEST(test_drop_while_running)
{
	autoanswer struct answer a = {0}, b = {0};
	autofree char *slow = xasprintf("%s/slow", mini_url(server));
	autofree char *ok = xasprintf("%s/ok", mini_url(server));
	struct http_request r = {.method = "GET", .url = slow, .timeout_ms = 30000};

	start(&r, &a);
	http_drop_idle(client);
	r.url = ok;
	start(&r, &b);
	run();
	ck_assert_int_eq(a.result, 0);
	ck_assert_int_eq(b.result, 0);
	ck_assert_uint_eq(mini_connections(server), 2);
}
END_TEST

START_TEST(test_ipv6)
{
	autoanswer struct answer a = {0};

	mini_free(server);
	server = mini_new(base, "::1", serve, NULL);
	fetch("/ok", &a);
	ck_assert_int_eq(a.result, 0);
	ck_assert_str_eq(a.body, "hello");
}
END_TEST

static void
on_proxied(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	char **authorization = arg;

	free(*authorization);
	*authorization = xstrdup(mini_header(r, "proxy-authorization"));
	mini_replys(c, strcmp(r->method, "CONNECT") == 0 ? 407 : 200, "X-Proxy: yes\r\n",
		    "by proxy");
}

START_TEST(test_proxy)
{
	autofree char *authorization = NULL;
	struct mini *proxy = mini_new(base, "127.0.0.1", on_proxied, &authorization);
	autofree char *given = xasprintf("user:pass%%20word@127.0.0.1:%d", mini_port(proxy));
	autofree char *map = xasprintf("service.invalid:80:127.0.0.1:%d", mini_port(server));
	char *connect_to[] = {map, NULL};
	struct http_options o = {.proxy = given, .no_proxy = ""};
	autoanswer struct answer a = {0}, b = {0}, c = {0}, d = {0};
	struct http_request r = {.method = "GET",
				 .url = "http://service.invalid/ok",
				 .timeout_ms = 30000};

	http_free(client);
	client = http_new(base, &o, NULL);
	start(&r, &a);
	run();
	ck_assert_msg(a.result == 0, "%s", a.text);
	ck_assert_str_eq(a.body, "by proxy");
	ck_assert_str_eq(mini_log(proxy)[0], "GET http://service.invalid/ok");
	ck_assert_str_eq(authorization, "Basic dXNlcjpwYXNzIHdvcmQ=");
	fetch("/ok", &c); /* loopback: never by proxy */
	ck_assert_str_eq(c.body, "hello");
	ck_assert_uint_eq(strv_len(mini_log(proxy)), 1);
	r.direct = false;
	r.url = "https://service.invalid/ok";
	start(&r, &d);
	run();
	ck_assert_str_eq(mini_log(proxy)[1], "CONNECT service.invalid:443");
	ck_assert_int_eq(d.result, -EHOSTUNREACH);
	ck_assert_int_eq(d.status, 0);
	ck_assert_ptr_nonnull(strstr(d.text, "407"));
	ck_assert_ptr_null(strstr(d.text, "word@"));
	ck_assert_ptr_null(strstr(d.text, "pass word"));
	/* a direct call goes past the same proxy */
	o.connect_to = connect_to;
	http_free(client);
	client = http_new(base, &o, NULL);
	r.url = "http://service.invalid/ok";
	r.direct = true;
	start(&r, &b);
	run();
	ck_assert_str_eq(b.body, "hello");
	ck_assert_uint_eq(strv_len(mini_log(proxy)), 2);
	mini_free(proxy);
}
END_TEST

START_TEST(test_proxy_unreachable)
{
	struct http_options o = {.proxy = "http://127.0.0.1:1"};
	autoanswer struct answer a = {0};
	struct http_request r = {.method = "GET",
				 .url = "http://service.invalid/",
				 .timeout_ms = 30000};
	struct err e = {0};

	http_free(client);
	client = http_new(base, &o, NULL);
	start(&r, &a);
	run();
	ck_assert_int_eq(a.result, -ECONNREFUSED);
	o.proxy = "gopher://127.0.0.1";
	ck_assert_ptr_null(http_new(base, &o, &e));
	ck_assert_str_ne(e.text, "");
}
END_TEST

START_TEST(test_unknown_name)
{
	autoanswer struct answer a = {0};
	struct http_request r = {.method = "GET",
				 .url = "http://service.invalid/",
				 .timeout_ms = 30000};

	start(&r, &a);
	run();
	ck_assert_int_eq(a.result, -EHOSTUNREACH);
	ck_assert_ptr_nonnull(strstr(a.text, "service.invalid"));
}
END_TEST

static void
never_called(void *arg, int result, const char *text, const struct http_response *r)
{
	(void)arg;
	(void)result;
	(void)r;
	ck_abort_msg("called after the cancel: %s", text);
}

START_TEST(test_cancel)
{
	autofree char *url = xasprintf("%s/slow", mini_url(server));
	struct http_request r = {.method = "GET", .url = url, .timeout_ms = 30000};
	struct http_call *at_once, *later;
	autoanswer struct answer a = {0}, b = {0};

	at_once = http_start(client, &r, never_called, NULL, NULL);
	http_cancel(at_once);
	http_cancel(NULL);
	later = http_start(client, &r, never_called, NULL, NULL);
	fetch("/ok", &a);
	http_cancel(later);
	fetch("/slow", &b);
	ck_assert_int_eq(b.result, 0);
}
END_TEST

static struct http_call *victim;

static void
on_answer_cancel(void *arg, int result, const char *text, const struct http_response *r)
{
	http_cancel(victim);
	victim = NULL;
	on_answer(arg, result, text, r);
}

/* Both end in the same round of the loop: one callback cancels the other call. */
START_TEST(test_cancel_in_callback)
{
	autofree char *ok = xasprintf("%s/ok", mini_url(server));
	autofree char *never = xasprintf("%s/never", mini_url(server));
	struct http_request r = {.method = "GET", .url = never, .timeout_ms = 30000};
	autoanswer struct answer a = {0};

	victim = http_start(client, &r, never_called, NULL, NULL);
	r.url = ok;
	ck_assert_ptr_nonnull(http_start(client, &r, on_answer_cancel, &a, NULL));
	waiting++;
	run();
	ck_assert_ptr_null(victim);
	ck_assert_int_eq(a.calls, 1);
}
END_TEST

static void
on_answer_free(void *arg, int result, const char *text, const struct http_response *r)
{
	client = http_free(client);
	on_answer(arg, result, text, r);
}

START_TEST(test_free_in_callback)
{
	autofree char *url = xasprintf("%s/ok", mini_url(server));
	struct http_request r = {.method = "GET", .url = url, .timeout_ms = 30000};
	autoanswer struct answer a = {0};

	ck_assert_ptr_nonnull(http_start(client, &r, on_answer_free, &a, NULL));
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_nonnull(http_start(client, &r, never_called, NULL, NULL));
	waiting++;
	/* the last one started may end first: the five are never told in either case */
	r.timeout_ms = 30000;
	event_base_dispatch(base);
	ck_assert_ptr_null(client);
	ck_assert_str_eq(a.body, "hello");
}
END_TEST

START_TEST(test_free_while_running)
{
	autofree char *url = xasprintf("%s/never", mini_url(server));
	struct http_request r = {.method = "GET", .url = url, .timeout_ms = 30000};
	autoanswer struct answer a = {0};

	for (int i = 0; i < 5; i++)
		ck_assert_ptr_nonnull(http_start(client, &r, never_called, NULL, NULL));
	fetch("/ok", &a);
	client = http_free(client);
	event_base_loop(base, EVLOOP_NONBLOCK);
}
END_TEST

static int chain_left;

static void
on_answer_next(void *arg, int result, const char *text, const struct http_response *r)
{
	autofree char *url = xasprintf("%s/ok", mini_url(server));
	struct http_request next = {.method = "GET", .url = url, .timeout_ms = 30000};

	if (--chain_left == 0)
		on_answer(arg, result, text, r);
	else
		ck_assert_ptr_nonnull(http_start(client, &next, on_answer_next, arg, NULL));
}

START_TEST(test_start_in_callback)
{
	autofree char *url = xasprintf("%s/ok", mini_url(server));
	struct http_request r = {.method = "GET", .url = url, .timeout_ms = 30000};
	autoanswer struct answer a = {0};

	chain_left = 20;
	waiting++;
	ck_assert_ptr_nonnull(http_start(client, &r, on_answer_next, &a, NULL));
	run();
	ck_assert_int_eq(a.result, 0);
	ck_assert_uint_eq(strv_len(mini_log(server)), 20);
}
END_TEST

static void
refused(struct http_request r, const char *header_line)
{
	char *headers[] = {(char *)header_line, NULL};
	struct err e = {0};

	r.headers = header_line ? headers : NULL;
	ck_assert_ptr_null(http_start(client, &r, never_called, NULL, &e));
	ck_assert_str_ne(e.text, "");
	ck_assert_int_eq(e.code, -EINVAL);
}

START_TEST(test_refused)
{
	struct http_request ok = {.method = "GET", .url = "http://h/", .timeout_ms = 1};
	static const char *const headers[] = {
		"no colon",
		": x",
		"A: b\r\nC: d",
		"A: b\nC: d",
		"A\tb: c",
		"A b: c",
		"A: \x7f",
		"Host: other",
		"content-length: 5",
		"Connection: close",
		"Transfer-Encoding: chunked",
	};

#define WITH(member, value)                  \
	({                                   \
		struct http_request w_ = ok; \
		w_.member = (value);         \
		w_;                          \
	})
	refused(WITH(url, "ftp://h/"), NULL);
	refused(WITH(url, "file:///etc/passwd"), NULL);
	refused(WITH(url, "ws://h/"), NULL);
	refused(WITH(url, "h"), NULL);
	refused(WITH(url, NULL), NULL);
	refused(WITH(url, "http://h/a b"), NULL);
	refused(WITH(timeout_ms, 0), NULL);
	refused(WITH(timeout_ms, -1), NULL);
	refused(WITH(method, ""), NULL);
	refused(WITH(method, NULL), NULL);
	refused(WITH(method, "GET / HTTP/1.1"), NULL);
	refused(WITH(method, "get"), NULL);
#undef WITH
	for (size_t i = 0; i < NELEMS(headers); i++)
		refused(ok, headers[i]);
}
END_TEST

/* A stream of LEFT bytes that ends with ERROR, or counts what arrives until MAX. */
struct stream {
	size_t left, got, max;
	int error, status;
};

static ssize_t
give(void *arg, void *buf, size_t len)
{
	struct stream *s = arg;

	if (s->left == 0)
		return s->error;
	len = len < s->left ? len : s->left;
	memset(buf, 'u', len);
	s->left -= len;
	return (ssize_t)len;
}

static int
take(void *arg, int status, const void *data, size_t len)
{
	struct stream *s = arg;

	ck_assert(data || len == 0);
	s->status = status;
	s->got += len;
	return s->got > s->max ? -ENOSPC : 0;
}

START_TEST(test_streams)
{
	autoanswer struct answer a = {0}, b = {0}, c = {0};
	struct stream s = {.left = 1u << 20, .max = 1u << 20};
	struct http_request r = {
		.method = "PUT", .source = give, .source_len = 1 << 20, .sink = take, .stream = &s};

	fetch_request(r, "/echo", &a);
	ck_assert_int_eq(a.result, 0);
	ck_assert_uint_eq(s.got, 1u << 20);
	ck_assert_int_eq(s.status, 200);
	ck_assert_uint_eq(a.body_len, 0);
	s = (struct stream){.left = 1u << 20, .max = 1000};
	fetch_request(r, "/echo", &b);
	ck_assert_int_eq(b.result, -ENOSPC);
	s = (struct stream){.left = 1000, .max = 1u << 20, .error = -EIO};
	fetch_request(r, "/echo", &c);
	ck_assert_int_eq(c.result, -EIO);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("http");
	TCase *t = tcase_create("http");

	signal(SIGPIPE, SIG_IGN); /* of the server, whose peers hang up */
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_ok);
	tcase_add_test(t, test_any_status);
	tcase_add_test(t, test_what_is_sent);
	tcase_add_test(t, test_methods);
	tcase_add_test(t, test_large_body_both_ways);
	tcase_add_test(t, test_slow);
	tcase_add_test(t, test_broken_connections);
	tcase_add_test(t, test_bad_answers);
	tcase_add_test(t, test_interim_headers_go);
	tcase_add_test(t, test_ceilings);
	tcase_add_test(t, test_parallel);
	tcase_add_test(t, test_connections_are_kept);
	tcase_add_test(t, test_drop_while_running);
	tcase_add_test(t, test_ipv6);
	tcase_add_test(t, test_proxy);
	tcase_add_test(t, test_proxy_unreachable);
	tcase_add_test(t, test_unknown_name);
	tcase_add_test(t, test_cancel);
	tcase_add_test(t, test_cancel_in_callback);
	tcase_add_test(t, test_free_in_callback);
	tcase_add_test(t, test_free_while_running);
	tcase_add_test(t, test_start_in_callback);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_streams);
	suite_add_tcase(s, t);
	return run_suite(s);
}
