/* SPDX-License-Identifier: Apache-2.0 */
/* Whole sessions in the real host: plugins/sessionManager/session.c, dial.c and shell.c with a
 * client in tests/plugin/wspeer.py and the agent's side played here. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "tests/plugin/wspeer.h"
#include "tests/unit/agentpeer.h"
#include "tests/unit/suite.h"

#define TOPIC 2
#define SESSION 3
#define ID "op@example.com-0abc123def4567890"

static struct agentpeer agent;
static struct wspeer client;
static const char *token_answer;
static int token_status, calls;
static json_t *more_info; /* of the next start */

static void
setup(void)
{
	memset(&agent, 0, sizeof(agent));
	agent.fd = agent.out = agent.err = agent.listener = -1;
	token_status = 201;
	token_answer = "<R><MessageSchemaVersion>1.0</MessageSchemaVersion>"
		       "<TokenValue>tok&lt;1&gt;</TokenValue></R>";
	calls = 0;
	memset(&client, 0, sizeof(client));
}

static void
teardown(void)
{
	agentpeer_done(&agent);
	if (client.pid > 0)
		kill(client.pid, SIGKILL);
}

/* A member of the start message's document each; all are taken. */
static void
start(const char *type, json_t *inputs, json_t *properties, json_t *parameters)
{
	const char *dir = secure_getenv("top_builddir");
	autofree char *relative =
		xasprintf("%s/plugins/sessionManager/.libs/sessionManager.so", dir ? dir : ".");
	autofree char *path = realpath(relative, NULL);
	json_t *given = parameters ? json_pack("{s:s}", "what", "a b") : json_object();
	autojson json_t *content =
		json_pack("{s:s,s:{s:s,s:s,s:o,s:o,s:o},s:o,s:s}", "SessionId", ID,
			  "DocumentContent", "schemaVersion", "1.0", "sessionType", type, "inputs",
			  inputs ? inputs : json_object(), "properties",
			  properties ? properties : json_object(), "parameters",
			  parameters ? parameters : json_object(), "Parameters", given, "RunAsUser",
			  "");
	autojson json_t *message =
		json_pack("{s:s,s:s,s:O}", "MessageId", "aws.ssm.session.op", "Topic", "session",
			  "Payload", content);
	autofree char *body = json_text(message);
	autojson json_t *more = TAKE(more_info);
	json_t *info =
		json_pack("{s:s,s:[{s:s,s:s,s:[{s:i,s:s},{s:i,s:s},{s:i,s:s},{s:i,s:s}]}]}",
			  "reported-version", "3.3.0.0", "*plugins", "name", "sessionManager",
			  "path", path, "features", "kind", SESSION, "name", "Standard_Stream",
			  "kind", SESSION, "name", "InteractiveCommands", "kind", SESSION, "name",
			  "NonInteractiveCommands", "kind", SESSION, "name", "Port");

	ck_assert_ptr_nonnull(path);
	(void)json_object_update(info, more);
	agentpeer_start(&agent, path, TOPIC, "session", body, info);
	agentpeer_ready_go(&agent);
}

static json_t *
shell_inputs(void)
{
	json_t *in = json_pack("{s:{s:s}}", "shellProfile", "linux", "echo profile-ru''ns");

	if (geteuid() == 0) {
		json_object_set_new(in, "runAsEnabled", json_true());
		json_object_set_new(in, "runAsDefaultUser", json_string("nobody"));
	}
	return in;
}

static void
answer_call(const json_t *m)
{
	calls++;
	ck_assert_str_eq(json_str(m, "path", ""), "/v1/data-channel/" ID);
	ck_assert_str_eq(json_str(m, "method", ""), "POST");
	agentpeer_answer(&agent, m,
			 json_pack("{s:i,s:i,s:s}", "code", 0, "status", token_status, "inline",
				   token_answer));
}

static void
answer_sign(const json_t *m)
{
	autofree char *url = xasprintf("ws://127.0.0.1:%d%s", client.port, json_str(m, "path", ""));

	ck_assert_str_eq(json_str(m, "method", ""), "GET");
	agentpeer_answer(&agent, m,
			 json_pack("{s:i,s:s,s:{s:s}}", "code", 0, "url", url, "headers",
				   "Authorization", "AWS4 signed"));
}

/* Play the agent until the result comes. */
static void
expect_result(const char *status, const char *output)
{
	for (;;) {
		autojson json_t *m = agentpeer_next(&agent);
		const char *t = json_str(m, "t", "");
		autojson json_t *o = NULL;

		ck_assert_ptr_nonnull(m);
		if (strcmp(t, "call") == 0) {
			answer_call(m);
		} else if (strcmp(t, "sign") == 0) {
			answer_sign(m);
		} else {
			ck_assert_str_eq(t, "reply");
			ck_assert(json_bool(m, "final", false));
			o = json_parse(json_str(m, "text", ""), strlen(json_str(m, "text", "")),
				       "reply", NULL);
			ck_assert_str_eq(json_str(o, "status", ""), status);
			ck_assert_str_eq(json_str(o, "output", "-"), output);
			agentpeer_stored(&agent, m);
			break;
		}
	}
	json_decref(agentpeer_end(&agent));
}

static void
expect_refusal(const char *text)
{
	autojson json_t *m = agentpeer_end(&agent);

	ck_assert_int_lt(json_int(m, "result", 0), 0);
	ck_assert_str_eq(json_str(m, "error", ""), text);
}

static void
run(const char *name)
{
	wspeer_start(&client, name);
	start("Standard_Stream", shell_inputs(), NULL, NULL);
	expect_result("Success", "");
	ck_assert_int_eq(wspeer_end(&client), 0);
	client.pid = 0;
}

START_TEST(t_shell)
{
	run("shell");
	ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(t_outage)
{
	run("outage");
	ck_assert_int_ge(calls, 2);
}
END_TEST

START_TEST(t_closed)
{
	run("closed");
}
END_TEST

START_TEST(t_interactive)
{
	wspeer_start(&client, "interactive");
	start("InteractiveCommands", shell_inputs(),
	      json_pack("{s:{s:s}}", "linux", "commands", "echo given: {{ what }}"),
	      json_pack("{s:{s:s,s:s}}", "what", "type", "String", "allowedPattern", "^[a-z ]*$"));
	expect_result("Success", "");
	ck_assert_int_eq(wspeer_end(&client), 0);
	client.pid = 0;
}
END_TEST

static void
run_command(const char *name, const char *separate, const char *commands, const char *status,
	    const char *output)
{
	wspeer_start(&client, name);
	start("NonInteractiveCommands", shell_inputs(),
	      json_pack("{s:{s:s,s:s,s:s,s:s}}", "linux", "commands", commands,
			"separateOutputStream", separate, "stdOutSeparatorPrefix", "out:",
			"stdErrSeparatorPrefix", "err:"),
	      NULL);
	expect_result(status, output);
	ck_assert_int_eq(wspeer_end(&client), 0);
	client.pid = 0;
	teardown();
	setup();
}

START_TEST(t_command)
{
	run_command("separate", "true", "sh -c 'echo one; echo two >&2; exit 7'", "Success", "");
	run_command("combined", "false", "sh -c \"seq 100000 130000; exit 7\"", "Success", "");
	run_command("interrupted", "true", "sh -c 'trap \"echo got; exit 3\" INT; echo go; "
		    "while :; do sleep 0.1; done'", "Success", "");
	run_command("nosuch", "true", "/no/such thing", "Failed", "");
}
END_TEST

static void
run_port(const char *name, json_t *properties, const char *status, const char *output)
{
	wspeer_start(&client, name);
	/* The client has a server at the port behind its own. */
	if (!json_object_get(properties, "portNumber"))
		json_object_set_new(properties, "portNumber", json_sprintf("%d", client.port + 1));
	start("Port", NULL, properties, NULL);
	expect_result(status, output);
	ck_assert_int_eq(wspeer_end(&client), 0);
	client.pid = 0;
	teardown();
	setup();
}

static json_t *
forwarding(const char *host)
{
	return json_pack("{s:s,s:s}", "type", "LocalPortForwarding", "host", host);
}

#define ERROR "\n----------ERROR-------\n"

START_TEST(t_port)
{
	run_port("port", json_object(), "Success", "");
	run_port("mux", forwarding(""), "Success", "");
	run_port("failures", forwarding(""), "Success", "");
	run_port("old", forwarding(""), "Failed",
		 ERROR "Unable to connect to specified port: Connection refused");
	run_port("portfails", json_pack("{s:s}", "portNumber", "1"), "Failed",
		 ERROR "Unable to connect to specified port: Connection refused");
	run_port("portfails",
		 json_pack("{s:s,s:s,s:i}", "portNumber", "", "type", "x", "localPortNumber", 1),
		 "Failed",
		 ERROR "Port number is empty in session properties. map[localPortNumber:1 "
		       "portNumber: type:x]");
	run_port("portfails", json_pack("{s:i}", "portNumber", 1), "Failed",
		 ERROR "Unable to remarshal session properties. 'portNumber' is not a text without "
		       "NUL");
}
END_TEST

/* Hosts of their own: what is forbidden is forbidden by value, whatever the name. */
START_TEST(t_remote)
{
	run_port("remote", forwarding("127.0.0.1"), "Success", "");
	run_port("remote", forwarding("localhost"), "Success", "");
	run_port("portfails", forwarding("169.254.169.254"), "Failed",
		 ERROR "Forwarding to IP address 169.254.169.254 is forbidden.");
	run_port("portfails", forwarding("::ffff:169.254.169.253"), "Failed",
		 ERROR "Forwarding to IP address ::ffff:169.254.169.253 is forbidden.");
	more_info = json_pack("{s:s}", "denied-addresses", "[\"127.0.0.1\", \"::1\"]");
	run_port("portfails", forwarding("localhost"), "Failed",
		 ERROR "Forwarding to IP address localhost is forbidden.");
	more_info = json_pack("{s:s,s:s}", "denied-addresses", "[]", "vpc-networks",
			      "[\"127.0.0.0/30\"]");
	run_port("portfails", forwarding("127.0.0.1"), "Failed",
		 ERROR "Forwarding to IP address 127.0.0.1 is forbidden.");
	more_info = json_pack("{s:s}", "denied-addresses", "[]");
	run_port("remote", forwarding("127.0.0.1"), "Success", "");
	more_info = json_pack("{s:s}", "denied-addresses", "[\"db\"]");
	run_port("portfails", forwarding("127.0.0.1"), "Failed",
		 ERROR "Mgs.DeniedPortForwardingRemoteIPs: 'db' is not an IP address");
	more_info = json_pack("{s:s}", "host-program", "/bin/false");
	run_port("portfails", forwarding("db.internal"), "Failed",
		 ERROR "lookup db.internal: the name service could not be asked");
}
END_TEST

START_TEST(t_refused)
{
	start("Standard_Stream", json_string("x"), NULL, NULL);
	expect_refusal("'inputs' of the session document is not an object");
	teardown();
	setup();
	start("Acme", NULL, NULL, NULL);
	expect_refusal("Plugin with name Acme is not supported by this version of ssm agent, "
		       "please update to latest version. Step name: Acme");
	teardown();
	setup();
	start("InteractiveCommands", NULL, NULL,
	      json_pack("{s:{s:s}}", "what", "allowedPattern", "^[0-9]*$"));
	expect_refusal("parameter 'what' does not match its allowedPattern");
	teardown();
	setup();
	start("InteractiveCommands", NULL, NULL,
	      json_pack("{s:{s:s}}", "what", "allowedPattern", "^\\w\\K$"));
	expect_refusal("the allowedPattern of parameter 'what' cannot be read: invalid escape "
		       "sequence: `\\K`");
}
END_TEST

START_TEST(t_no_channel)
{
	token_status = 400;
	token_answer = "<X>no & more</X>";
	start("Standard_Stream", shell_inputs(), NULL, NULL);
	expect_result("Failed",
		      "\n----------ERROR-------\nSetting up data channel with id " ID
		      " failed: CreateDataChannel: status 400: '<X>no & more</X>'");
	ck_assert_int_eq(calls, 6);
	teardown();
	setup();
	token_status = 400;
	token_answer = "<X>Session is already terminated</X>";
	start("Standard_Stream", shell_inputs(), NULL, NULL);
	expect_result("Success", "");
	ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(t_no_user)
{
	wspeer_start(&client, "says_nothing");
	start("Standard_Stream",
	      json_pack("{s:s,s:s}", "runAsEnabled", "true", "runAsDefaultUser", "no such"), NULL,
	      NULL);
	expect_result("Failed",
		      geteuid() == 0
			      ? "\n----------ERROR-------\nUnable to start command: failed to "
				"start pty since RunAs user no such does not exist\n"
			      : "\n----------ERROR-------\nUnable to start command: the agent must "
				"run as root to use RunAs\n");
	ck_assert_int_eq(wspeer_end(&client), 0);
	client.pid = 0;
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager session");
	TCase *tc = tcase_create("sessionManager session");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_shell);
	tcase_add_test(tc, t_outage);
	tcase_add_test(tc, t_closed);
	tcase_add_test(tc, t_interactive);
	tcase_add_test(tc, t_command);
	tcase_add_test(tc, t_port);
	tcase_add_test(tc, t_remote);
	tcase_add_test(tc, t_refused);
	tcase_add_test(tc, t_no_channel);
	tcase_add_test(tc, t_no_user);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
