/* SPDX-License-Identifier: Apache-2.0 */
/* ssm-plugin-host as its agent sees it: order of the messages, what is kept, requests, cancel, an
 * agent that goes away and comes back. DESIGN sections 2, 6.1, 9. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "tests/unit/agentpeer.h"
#include "tests/unit/suite.h"

#define TOPIC 2
#define ACTION 1
#define SERVICE 5

static struct agentpeer peer;

static void
setup(void)
{
	memset(&peer, 0, sizeof(peer));
	peer.fd = peer.out = peer.err = peer.listener = -1;
}

static void
teardown(void)
{
	agentpeer_done(&peer);
}

/* The payload travels as a string, with whatever numbers it has. */
static void
start_topic(const char *what, json_t *info)
{
	autofree char *body = xasprintf("{\"MessageId\":\"m-1\",\"Topic\":\"probe.x\",\"Payload\":"
					"\"{\\\"do\\\":\\\"%s\\\",\\\"n\\\":12345678901234567}\"}",
					what);

	agentpeer_start(&peer, "probe", TOPIC, "probe.x", body, info);
	agentpeer_ready_go(&peer);
}

static void
begin(const char *what)
{
	start_topic(what, NULL);
	agentpeer_expect_reply(&peer, "first", false);
}

static json_t *
expect_request(const char *type)
{
	return agentpeer_expect(&peer, type);
}

START_TEST(t_message)
{
	begin("message");
	agentpeer_expect_reply(&peer, "id=m-1 n=12345678901234567 len=17 missing=1", true);
	agentpeer_expect_end(&peer, 0, NULL);
	ck_assert_ptr_nonnull(strstr(peer.log, "probe: fini user=1\n"));
}
END_TEST

START_TEST(t_rows)
{
	begin("rows");
	agentpeer_expect_reply(&peer, "watch=1 call_start=1 session=1 gather=1 identity=1 state=1",
			       true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

START_TEST(t_failures)
{
	start_topic("fail", NULL);
	agentpeer_expect_end(&peer, -EIO, "it is broken");
	agentpeer_done(&peer);
	agentpeer_start(&peer, "probe", TOPIC, "probe.x", "[1,", NULL);
	agentpeer_ready_go(&peer);
	{
		autojson json_t *m = agentpeer_end(&peer);

		ck_assert_int_lt(json_int(m, "result", 0), 0);
		ck_assert_ptr_nonnull(strstr(json_str(m, "error", ""), "the message"));
	}
	agentpeer_done(&peer);
	agentpeer_start(&peer, "probe", 4, "probe.x", "{}", NULL);
	agentpeer_ready_go(&peer);
	agentpeer_expect_end(&peer, -ENOENT, "the plugin 'probe' does not provide 'probe.x'");
}
END_TEST

START_TEST(t_init_fails)
{
	agentpeer_start(&peer, "initfails", ACTION, "zoo:initfails", "{}", NULL);
	agentpeer_expect_end(&peer, -EIO,
			     "the plugin 'initfails' could not be initialised: no coffee");
}
END_TEST

START_TEST(t_no_plugin)
{
	autofree char *path = agentpeer_plugin("wrongmagic");
	autofree char *want = xasprintf("plugin '%s': its descriptor is not one (wrong magic "
					"number)",
					path);

	agentpeer_start(&peer, "wrongmagic", ACTION, "x", "{}", NULL);
	agentpeer_expect_end(&peer, -EPROTO, want);
}
END_TEST

START_TEST(t_bad_option)
{
	agentpeer_start(&peer, "probe", ACTION, "probe:facts", "{}",
			json_pack("{s:{s:s}}", "*config", "Wait", "soon"));
	{
		autojson json_t *m = agentpeer_end(&peer);

		ck_assert_int_lt(json_int(m, "result", 0), 0);
		ck_assert_ptr_nonnull(strstr(json_str(m, "error", ""), "[plugin probe] Wait: "));
	}
}
END_TEST

/* Before "go" nothing of the plugin but its init may run. */
START_TEST(t_hang_up_before_go)
{
	agentpeer_start(&peer, "probe", ACTION, "probe:spawn", "{\"sh\":\"echo ran\"}", NULL);
	json_decref(agentpeer_expect(&peer, "ready"));
	agentpeer_hang_up(&peer);
	ck_assert_int_eq(WEXITSTATUS(agentpeer_wait(&peer)), 3);
	{
		autofree char *out = agentpeer_file(&peer, "out");

		ck_assert_str_eq(out, "");
	}
}
END_TEST

/* It exits only after its end is stored. */
START_TEST(t_waits_for_stored)
{
	autojson json_t *m = NULL;

	start_topic("silent", NULL);
	m = agentpeer_expect(&peer, "end");
	usleep(100000);
	ck_assert_int_eq(waitpid(peer.pid, NULL, WNOHANG), 0);
	agentpeer_stored(&peer, m);
	ck_assert_int_eq(agentpeer_wait(&peer), 0);
}
END_TEST

START_TEST(t_call)
{
	autojson json_t *m = NULL;
	const json_t *headers;

	begin("call");
	m = expect_request("call");
	ck_assert_str_eq(json_str(m, "target", ""), "AmazonSSM.Test");
	ck_assert_str_eq(json_str(m, "text", ""), "{\"a\":1}");
	headers = json_object_get(m, "headers");
	ck_assert_str_eq(json_str(headers, "X-One", ""), "1");
	agentpeer_answer(&peer, m,
			 json_pack("{s:i,s:i,s:s,s:s,s:{s:s}}", "code", 0, "status", 400, "name",
				   "Bad", "inline", "{}", "headers", "h", "v"));
	agentpeer_expect_reply(&peer, "r=0 status=400 error=Bad body={} headers=h: v\n", true);
	agentpeer_expect_end(&peer, 0, NULL);
	agentpeer_done(&peer);
	begin("call");
	m = (json_decref(m), expect_request("call"));
	agentpeer_answer(&peer, m, json_pack("{s:i,s:s}", "code", -EACCES, "error", "no"));
	agentpeer_expect_reply(&peer, "r=-13 status=0 error=- body= headers=-", true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

START_TEST(t_transfer)
{
	autojson json_t *m = NULL;

	begin("transfer");
	m = expect_request("transfer");
	ck_assert_uint_eq(peer.fd_count, 1);
	ck_assert(json_bool(m, "sign", false));
	ck_assert(!json_bool(m, "upload", true));
	ck_assert_int_eq(json_int(m, "max_bytes", 0), 100);
	ck_assert_int_eq(fs_write_all(peer.fds[0], "moved", 5), 0);
	agentpeer_answer(&peer, m, json_pack("{s:i,s:i}", "code", 0, "status", 200));
	agentpeer_expect_reply(&peer, "r=0 status=200 file=moved", true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

static void
answer_put(int code, const char *want)
{
	autojson json_t *m = expect_request("state-put");

	if (want) {
		ck_assert_uint_eq(json_string_length(json_object_get(m, "text")), 3);
		ck_assert_str_eq(json_str(m, "key", ""), want);
	}
	agentpeer_stored(&peer, m);
	agentpeer_answer(&peer, m, json_pack("{s:i}", "code", code));
}

START_TEST(t_state)
{
	autojson json_t *m = NULL;

	begin("state");
	answer_put(0, "k");
	answer_put(-ENOSPC, NULL);
	m = expect_request("state-get");
	agentpeer_answer(&peer, m, json_pack("{s:i,s:s}", "code", 0, "inline", "stored"));
	m = (json_decref(m), expect_request("state-get"));
	agentpeer_answer(&peer, m, json_pack("{s:i,s:s}", "code", -ENOENT, "error", "none"));
	agentpeer_expect_reply(&peer, "put=0 large=1 refused=-28 get=0 text=stored len=6 none=1",
			       true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

START_TEST(t_steps)
{
	autojson json_t *m = NULL;

	begin("steps");
	m = expect_request("job-start");
	ck_assert_str_eq(json_str(m, "name", ""), "acme:other");
	ck_assert_str_eq(json_str(m, "step", ""), "inner");
	ck_assert_int_eq(json_int(m, "timeout_ms", 0), 50000);
	ck_assert_str_eq(json_str(m, "text", ""), "{\"sh\":\"echo $((40 + 2)); exit 3\"}");
	ck_assert_uint_eq(peer.fd_count, 2);
	ck_assert_int_eq(fs_write_all(peer.fds[0], "43", 2), 0);
	agentpeer_answer(&peer, m, json_pack("{s:i,s:s}", "code", 0, "job", "job-1/1"));
	m = (json_decref(m), expect_request("job-wait"));
	ck_assert_str_eq(json_str(m, "job", ""), "job-1/1");
	agentpeer_answer(&peer, m,
			 json_pack("{s:i,s:i,s:s}", "code", 2, "exit_code", -1, "error", "late"));
	agentpeer_expect_reply(
		&peer,
		"probe:spawn: e=0 result=1 code=3 error=- text=42; "
		"probe:noresult: e=0 result=1 code=1 error=the action 'probe:noresult' of the "
		"plugin 'probe' returned without a result text=; "
		"acme:other: e=0 result=2 code=-1 error=late text=43; ",
		true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

START_TEST(t_cancel)
{
	autojson json_t *m = NULL;

	begin("cancel");
	json_decref(expect_request("call"));
	agentpeer_send(&peer, json_pack("{s:s,s:i}", "t", "cancel", "grace_ms", 5000));
	m = expect_request("call");
	agentpeer_answer(&peer, m, json_pack("{s:i,s:i}", "code", 0, "status", 200));
	agentpeer_expect_reply(&peer, "before=0 under way=1 fd=1 after=1 later=0", true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

START_TEST(t_log)
{
	begin("log");
	agentpeer_expect_reply(&peer, "logged", true);
	agentpeer_expect_end(&peer, 0, NULL);
	for (int i = 0; i < 5; i++) {
		autofree char *line = xasprintf("probe: line %d of a thread\n", i);

		ck_assert_ptr_nonnull(strstr(peer.log, line));
	}
	ck_assert_ptr_nonnull(strstr(peer.log, "flood 9\n"));
	ck_assert_ptr_null(strstr(peer.log, "flood 10\n"));
	ck_assert_ptr_nonnull(strstr(peer.log, "probe: two\\nlines, option ***\n"));
	ck_assert_ptr_null(strstr(peer.log, "sesame"));
	ck_assert_ptr_null(strstr(peer.log, "not seen"));
}
END_TEST

START_TEST(t_find)
{
	begin("find");
	agentpeer_expect_reply(&peer, "own=1 part=1 needed=1", true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

START_TEST(t_breaks_of_protocol)
{
	static const char *const bad[] = { "{\"t\":\"go\"}", "{", "{\"t\":\"hello\"}", "[]" };

	for (size_t i = 0; i < NELEMS(bad); i++) {
		agentpeer_start(&peer, "probe", TOPIC, "probe.x", "{}", NULL);
		/* Together with the hello that is under way: the plugin is never called. */
		ck_assert_int_gt(send(peer.fd, bad[i], strlen(bad[i]), MSG_NOSIGNAL), 0);
		if (i > 0)
			ck_assert_int_eq(WEXITSTATUS(agentpeer_wait(&peer)), 3);
		agentpeer_done(&peer);
	}
}
END_TEST

/* ------------------------------------------------- the agent goes away */

static json_t *
result_file(void)
{
	autofree char *text = NULL;

	for (int i = 0; i < 1000; i++) {
		autofree char *path = xasprintf("%s/result.json", peer.folder);

		if (access(path, F_OK) == 0)
			break;
		usleep(10000);
	}
	text = agentpeer_file(&peer, "result.json");
	return json_parse(text, strlen(text), "result.json", NULL);
}

/* Alone, it goes on to its end and leaves everything in the file. */
START_TEST(t_away_for_good)
{
	autojson json_t *first = NULL, *all = NULL;

	start_topic("nothing", NULL);
	first = agentpeer_expect(&peer, "reply");
	agentpeer_hang_up(&peer);
	ck_assert_int_eq(agentpeer_wait(&peer), 0);
	all = result_file();
	ck_assert_uint_eq(json_array_size(all), 3);
	ck_assert_str_eq(json_str(json_array_get(all, 0), "body", ""), "first");
	ck_assert_str_eq(json_str(json_array_get(all, 1), "body", ""), "ok");
	ck_assert(json_bool(json_array_get(all, 1), "final", false));
	ck_assert_str_eq(json_str(json_array_get(all, 2), "t", ""), "end");
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(json_int(json_array_get(all, i), "seq", 0), (int64_t)i + 1);
}
END_TEST

/* STORED: of an agent that speaks version 2, -1: version 1. */
static void
greet_again(int stored)
{
	json_t *hello;

	autojson json_t *m = NULL;

	agentpeer_accept(&peer);
	m = agentpeer_expect(&peer, "hello");
	ck_assert_str_eq(json_str(m, "token", ""), "t0ken");
	ck_assert_int_eq(json_int(m, "pid", 0), peer.pid);
	hello = json_pack("{s:s,s:i,s:s,s:s,s:s,s:i,s:s,s:s,s:s}", "t", "hello", "ipc", 1,
			  "agent_version", "9.8.8", "token", "t0ken", "job", "job-1", "kind", TOPIC,
			  "feature", "probe.x", "plugin", "probe", "plugin_path", "/x");
	if (stored >= 0) {
		json_object_set_new(hello, "ipc_max", json_integer(2));
		json_object_set_new(hello, "stored", json_integer(stored));
	}
	agentpeer_send(&peer, hello);
}

static json_t *
return_info(void)
{
	autofree char *path = xasprintf("%s/host.sock", peer.folder);

	return json_pack("{s:s}", "host-socket", path);
}

/* A call that was under way is asked again, with the same id; what was not stored comes again. */
START_TEST(t_comes_back)
{
	autojson json_t *call = NULL, *again = NULL;
	int64_t id;

	agentpeer_listen(&peer);
	start_topic("call", return_info());
	{
		autojson json_t *m = agentpeer_expect(&peer, "reply");

		agentpeer_stored(&peer, m);
	}
	call = expect_request("call");
	id = json_int(call, "id", -1);
	agentpeer_hang_up(&peer);
	greet_again(-1);
	again = expect_request("call");
	ck_assert_int_eq(json_int(again, "id", -2), id);
	ck_assert_str_eq(json_str(again, "text", ""), "{\"a\":1}");
	agentpeer_answer(&peer, again,
			 json_pack("{s:i,s:i,s:s}", "code", 0, "status", 200, "inline", "yes"));
	agentpeer_expect_reply(&peer, "r=0 status=200 error=- body=yes headers=-", true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

/* It goes on with its call to its end, and leaves no file. */
static void
expect_rest_of_call(void)
{
	autofree char *path = xasprintf("%s/result.json", peer.folder);
	autojson json_t *call = expect_request("call");

	agentpeer_answer(&peer, call, json_pack("{s:i,s:i}", "code", 0, "status", 200));
	agentpeer_expect_reply(&peer, "r=0 status=200 error=- body= headers=-", true);
	ck_assert_int_ne(access(path, F_OK), 0);
	agentpeer_expect_end(&peer, 0, NULL);
}

START_TEST(t_unstored_comes_again)
{
	autojson json_t *first = NULL, *again = NULL, *all = NULL;

	agentpeer_listen(&peer);
	start_topic("call", return_info());
	first = agentpeer_expect(&peer, "reply");
	agentpeer_hang_up(&peer);
	all = result_file();
	ck_assert_uint_eq(json_array_size(all), 1);
	greet_again(-1);
	again = agentpeer_expect(&peer, "reply");
	ck_assert_int_eq(json_int(again, "seq", 0), json_int(first, "seq", -1));
	ck_assert_str_eq(json_str(again, "text", ""), "first");
	agentpeer_stored(&peer, again);
	expect_rest_of_call();
}
END_TEST

/* The next agent took it from result.json, and says so: it does not come again. */
START_TEST(t_stored_meanwhile)
{
	autojson json_t *first = NULL, *all = NULL;

	agentpeer_listen(&peer);
	start_topic("call", return_info());
	first = agentpeer_expect(&peer, "reply");
	agentpeer_hang_up(&peer);
	all = result_file();
	greet_again((int)json_int(first, "seq", 0));
	expect_rest_of_call();
}
END_TEST

/* Once for "": who that is depends on who runs the test. */
START_TEST(t_users)
{
	static const char rest[] =
		"\n{\"name\":\"root\",\"uid\":0,\"gid\":0,\"home\":\"/root\",\"shell\":";
	static const char unknown[] =
		"\n{\"error\":\"there is no user 'no such'\",\"unknown\":true}\n{\"name\":"
		"\"root\",";
	autofree char *own = xasprintf("\"uid\":%u,", (unsigned)geteuid());
	autojson json_t *m = NULL;
	const char *text;

	start_topic("users", json_object());
	agentpeer_expect_reply(&peer, "first", false);
	m = agentpeer_expect(&peer, "reply");
	text = json_str(m, "text", "");
	ck_assert_msg(strstr(text, own) != NULL && strstr(text, rest) > strstr(text, own) &&
			      strstr(text, unknown) > strstr(text, rest),
		      "%s", text);
	agentpeer_stored(&peer, m);
}
END_TEST

/* Without the job's folder nobody waits for it: it ends, instead of calling for ever. */
START_TEST(t_away_without_folder)
{
	autojson json_t *first = NULL;
	autofree char *moved = xasprintf("%s.moved", peer.folder);

	start_topic("nothing", return_info());
	first = agentpeer_expect(&peer, "reply");
	ck_assert_int_eq(rename(peer.folder, moved), 0);
	agentpeer_hang_up(&peer);
	ck_assert_int_eq(agentpeer_wait(&peer), 0);
	ck_assert_int_eq(rename(moved, peer.folder), 0);
}
END_TEST

/* --------------------------------------------------------------- services */

static void
wait_for_line(const char *line)
{
	/* Anything but lines is a mistake here, and lines are all it sends. */
	for (int i = 0; i < 1000 && !strstr(peer.log, line); i++) {
		agentpeer_send(&peer,
			       json_pack("{s:s,s:s,s:s}", "t", "notify", "event", "ping", "inline",
					 "{}"));
		{
			autojson json_t *m = agentpeer_expect(&peer, "deliver");

			agentpeer_stored(&peer, m);
			agentpeer_answer(&peer, m, json_pack("{s:i}", "code", -EAGAIN));
		}
		usleep(10000);
	}
	ck_assert_msg(strstr(peer.log, line) != NULL, "no '%s' in:\n%s", line, peer.log);
}

START_TEST(t_service)
{
	autojson json_t *m = NULL;

	agentpeer_start(&peer, "probe", SERVICE, "probe", "", NULL);
	agentpeer_ready_go(&peer);
	m = expect_request("call");
	agentpeer_answer(&peer, m, json_pack("{s:i,s:i}", "code", 0, "status", 204));
	wait_for_line("probe: ticks=3 blocking=1\n");
	wait_for_line("probe: call r=0 status=204\n");
	wait_for_line("probe: pipe events=1 c=x\n");
	wait_for_line("output: stdout of process ");
	wait_for_line("probe: child r=0 how=0 code=5\n");
	wait_for_line("probe: notify ping {}\n");
	wait_for_line("probe: delivered r=-11\n");
	agentpeer_send(&peer, json_pack("{s:s}", "t", "cancel"));
	agentpeer_expect_end(&peer, 0, NULL);
	ck_assert_ptr_nonnull(strstr(peer.log, "probe: stopped\n"));
}
END_TEST

/* Output that the plugin does not take is not read, and nothing of it is lost; a new size. */
START_TEST(t_terminal)
{
	autojson json_t *m = NULL;

	agentpeer_start(&peer, "probe", SERVICE, "probe:terminal", "", NULL);
	agentpeer_ready_go(&peer);
	m = expect_request("call");
	agentpeer_answer(&peer, m, json_pack("{s:i,s:i}", "code", 0, "status", 204));
	wait_for_line("probe: pty=1\n");
	wait_for_line("probe: terminal r=0 how=0 code=6 bytes=128905 size=65535 100 pieces=1\n");
	agentpeer_send(&peer, json_pack("{s:s}", "t", "cancel"));
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

/* It cannot outlive its agent. */
START_TEST(t_service_without_agent)
{
	autojson json_t *m = NULL;

	agentpeer_start(&peer, "probe", SERVICE, "probe", "", NULL);
	agentpeer_ready_go(&peer);
	m = expect_request("call");
	agentpeer_hang_up(&peer);
	ck_assert_int_eq(agentpeer_wait(&peer), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("host_api");
	TCase *tc = tcase_create("host_api");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_message);
	tcase_add_test(tc, t_rows);
	tcase_add_test(tc, t_failures);
	tcase_add_test(tc, t_init_fails);
	tcase_add_test(tc, t_no_plugin);
	tcase_add_test(tc, t_bad_option);
	tcase_add_test(tc, t_hang_up_before_go);
	tcase_add_test(tc, t_waits_for_stored);
	tcase_add_test(tc, t_call);
	tcase_add_test(tc, t_transfer);
	tcase_add_test(tc, t_state);
	tcase_add_test(tc, t_steps);
	tcase_add_test(tc, t_cancel);
	tcase_add_test(tc, t_log);
	tcase_add_test(tc, t_find);
	tcase_add_test(tc, t_users);
	tcase_add_test(tc, t_breaks_of_protocol);
	tcase_add_test(tc, t_away_for_good);
	tcase_add_test(tc, t_comes_back);
	tcase_add_test(tc, t_unstored_comes_again);
	tcase_add_test(tc, t_stored_meanwhile);
	tcase_add_test(tc, t_away_without_folder);
	tcase_add_test(tc, t_service);
	tcase_add_test(tc, t_service_without_agent);
	tcase_add_test(tc, t_terminal);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
