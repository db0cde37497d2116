/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions in the real host: a provider and a type of two plugins, back-pressure from one end to
 * the other, cancel, an agent that goes away. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "tests/unit/agentpeer.h"
#include "tests/unit/suite.h"

#define TOPIC 2

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

/* PAYLOAD is taken. */
static void
start(json_t *payload, json_t *info)
{
	autofree char *text = json_text(payload), *body = NULL;
	autojson json_t *m = json_pack("{s:s,s:s,s:s}", "MessageId", "m-1", "Topic", "provider.x",
				       "Payload", text);

	json_decref(payload);
	body = json_text(m);
	agentpeer_start(&peer, "provider", TOPIC, "provider.x", body, info);
	agentpeer_ready_go(&peer);
}

/* Each piece is refused once on its way; stderr is a stream of its own. */
START_TEST(t_session)
{
	start(json_pack("{s:s,s:s,s:s}", "type", "zoo:shell", "keys", "one\n", "sh",
			"read a; echo $a; stty size; sleep 0.2; echo err >&2; exit 5"),
	      NULL);
	agentpeer_expect_reply(&peer, "opening", false);
	agentpeer_expect_reply(
		&peer,
		"result=0 text=how=0 code=5 reason=0 types=802: one\r\none\r\n30 100\r\n"
		"err\n",
		true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

/* More than the terminal holds while nobody takes it, and all of it, in order. */
/* Who is found has the options of a section of its own; an empty text is one. */
static const struct {
	const char *set, *want;
} names[] = { { NULL, "preset" }, { "mine", "mine" }, { "", "" } };

START_TEST(t_options)
{
	json_t *own = names[_i].set ? json_pack("{s:s}", "Name", names[_i].set) : json_object();
	autofree char *want =
		xasprintf("result=0 text=how=0 code=0 reason=0 types=2: (%s)\r\n", names[_i].want);

	start(json_pack("{s:s,s:s}", "type", "zoo:shell", "sh", "echo \"($0)\""),
	      json_pack("{s:{s:s},s:o}", "*config", "Name", "of the provider", "*found", own));
	agentpeer_expect_reply(&peer, "opening", false);
	agentpeer_expect_reply(&peer, want, true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

START_TEST(t_output_waits)
{
	autofree char *want = xstrdup("result=0 text=how=0 code=0 reason=0 types=2: ");

	for (int i = 100; i < 900; i++) {
		char *longer = xasprintf("%s%d\r\n", want, i);

		free(want);
		want = longer;
	}
	start(json_pack("{s:s,s:s}", "type", "zoo:shell", "sh", "seq 100 899"), NULL);
	agentpeer_expect_reply(&peer, "opening", false);
	agentpeer_expect_reply(&peer, want, true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

/* The shell has come so far that it makes the file "ready". */
static void
expect_ready(void)
{
	autofree char *path = xasprintf("%s/ready", peer.folder);

	for (int i = 0; access(path, F_OK) < 0; i++) {
		ck_assert_int_lt(i, 2000);
		usleep(10000);
	}
}

START_TEST(t_cancel)
{
	start(json_pack("{s:s,s:s}", "type", "zoo:shell", "sh",
			"exec 2>/dev/null; trap 'exit 4' HUP; trap '' TERM; : >ready; "
			"while :; do sleep 0.1; done"),
	      NULL);
	agentpeer_expect_reply(&peer, "opening", false);
	expect_ready();
	agentpeer_send(&peer, json_pack("{s:s,s:i}", "t", "cancel", "grace_ms", 60000));
	agentpeer_expect_reply(&peer, "result=0 text=how=3 code=4 reason=7 types=0: ", true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

START_TEST(t_no_such_type)
{
	start(json_pack("{s:s}", "type", "zoo:none"), NULL);
	agentpeer_expect_end(&peer, -ENOENT, "no plugin provides 'zoo:none'");
	teardown();
	setup();
	start(json_pack("{s:s}", "type", "acme:shell"), NULL);
	agentpeer_expect_end(&peer, -EACCES,
			     "the plugin's table does not say that it needs 'acme:shell'");
}
END_TEST

/* The type's call failed for the provider's reason, and tells it. */
START_TEST(t_provider_fails)
{
	start(json_pack("{s:s,s:s,s:s}", "type", "zoo:shell", "sh", "sleep 60", "fail", "yes"),
	      NULL);
	agentpeer_expect_reply(&peer, "opening", false);
	{
		autojson json_t *m = agentpeer_end(&peer);

		ck_assert_int_eq(json_int(m, "result", 0), -EIO);
	}
}
END_TEST

/* A restart of the agent is nothing to a session: its result waits. */
START_TEST(t_agent_goes_away)
{
	autofree char *path = NULL;
	autojson json_t *hello = NULL;

	agentpeer_listen(&peer);
	path = xasprintf("%s/host.sock", peer.folder);
	start(json_pack("{s:s,s:s}", "type", "zoo:shell", "sh", "sleep 1; echo out"),
	      json_pack("{s:s}", "host-socket", path));
	agentpeer_expect_reply(&peer, "opening", false);
	agentpeer_hang_up(&peer);
	agentpeer_accept(&peer);
	hello = agentpeer_expect(&peer, "hello");
	agentpeer_send(&peer,
		       json_pack("{s:s,s:i,s:s,s:s,s:s,s:i,s:s,s:s,s:s}", "t", "hello", "ipc", 1,
				 "agent_version", "9.8.8", "token", "t0ken", "job", "job-1", "kind",
				 TOPIC, "feature", "provider.x", "plugin", "provider",
				 "plugin_path", "/x"));
	agentpeer_expect_reply(&peer, "result=0 text=how=0 code=0 reason=0 types=2: out\r\n", true);
	agentpeer_expect_end(&peer, 0, NULL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("host_session");
	TCase *tc = tcase_create("host_session");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_session);
	tcase_add_loop_test(tc, t_options, 0, (int)NELEMS(names));
	tcase_add_test(tc, t_output_waits);
	tcase_add_test(tc, t_cancel);
	tcase_add_test(tc, t_no_such_type);
	tcase_add_test(tc, t_provider_fails);
	tcase_add_test(tc, t_agent_goes_away);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
