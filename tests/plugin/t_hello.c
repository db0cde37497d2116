/* SPDX-License-Identifier: Apache-2.0 */
/* The template's plugin, and through it the fake host that unit tests of plugins use. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "tests/fakehost/fakehost.h"
#include "tests/unit/suite.h"

extern const struct ssm_plugin hello_LTX_ssm_plugin;

static struct fakehost f;

static void
setup(void)
{
	fakehost_init(&f);
}

static void
teardown(void)
{
	fakehost_done(&f);
}

static int32_t
run(json_t *inputs)
{
	const struct ssm_action_ops *ops = hello_LTX_ssm_plugin.features[0].ops;

	return ops->run(&f.S, fakehost_step(&f, inputs));
}

START_TEST(t_descriptor)
{
	const struct ssm_plugin *p = &hello_LTX_ssm_plugin;

	ck_assert_uint_eq(p->magic, SSM_PLUGIN_MAGIC);
	ck_assert_uint_eq(p->size, sizeof(*p));
	ck_assert_str_eq(p->name, "hello");
	ck_assert_uint_eq(p->feature_count, 1);
	ck_assert_str_eq(p->features[0].name, "acme:hello");
	ck_assert_str_eq(p->options[0].preset, "hello");
}
END_TEST

START_TEST(t_greets)
{
	const json_t *argv;

	json_object_set_new(f.options, "Greeting", json_string("good morning"));
	fakehost_play(&f, "spawn", json_pack("{s:s}", "out", "good morning you\n"));
	ck_assert_int_eq(run(json_pack("{s:s}", "who", "you")), 0);
	ck_assert(f.done);
	ck_assert_int_eq(f.result, SSM_SUCCESS);
	ck_assert_str_eq(sbuf_str(&f.out), "good morning you\n");
	argv = json_object_get(fakehost_asked(&f, 0, "spawn"), "argv");
	ck_assert_uint_eq(json_array_size(argv), 3);
	ck_assert_str_eq(json_string_value(json_array_get(argv, 1)), "good morning");
	ck_assert_str_eq(json_string_value(json_array_get(argv, 2)), "you");
	ck_assert_uint_eq(fakehost_count(&f, "spawn"), 1);
}
END_TEST

START_TEST(t_ends)
{
	static const struct {
		const char *how;
		int code;
		int32_t result, exit_code;
	} cases[] = {{"exit", 0, SSM_SUCCESS, 0},
		     {"exit", 3, SSM_FAILED, 3},
		     {"signal", 9, SSM_FAILED, -1},
		     {"timeout", 15, SSM_TIMED_OUT, -1},
		     {"cancel", 15, SSM_CANCELLED, -1}};

	for (size_t i = 0; i < NELEMS(cases); i++) {
		fakehost_play(&f, "spawn",
			      json_pack("{s:s,s:i}", "how", cases[i].how, "code", cases[i].code));
		ck_assert_int_eq(run(json_object()), 0);
		ck_assert_int_eq(f.result, cases[i].result);
		ck_assert_int_eq(f.exit_code, cases[i].exit_code);
	}
}
END_TEST

START_TEST(t_cannot_run)
{
	fakehost_play(&f, "spawn", json_pack("{s:i}", "r", -ENOENT));
	ck_assert_int_eq(run(json_object()), -ENOENT);
	ck_assert(!f.done);
	ck_assert_str_eq(f.error, "cannot run 'echo'");
}
END_TEST

/* The parts that the template has no use for. */
START_TEST(t_messages)
{
	struct ssm_message *m = fakehost_message(
		&f, json_pack("{s:s,s:{s:i}}", "MessageId", "m", "Payload", "n", 5));
	struct ssm *S = &f.S;

	ck_assert_str_eq(S->api->msg_json(S, m, "/MessageId", NULL), "m");
	ck_assert_str_eq(S->api->msg_json(S, m, "/Payload/n", NULL), "5");
	ck_assert_ptr_null(S->api->msg_json(S, m, "/Payload/o", NULL));
	ck_assert_int_eq(S->api->msg_reply(S, m, "{}", 2, 1), 0);
	ck_assert_int_eq(S->api->msg_reply(S, m, "{}", 2, 1), -EALREADY);
	ck_assert_uint_eq(json_array_size(f.replies), 1);
}
END_TEST

START_TEST(t_requests)
{
	const struct ssm_request q = {.size = sizeof(q), .service = "ssm", .target = "T"};
	struct ssm_reply reply = {.size = sizeof(reply)};
	struct pollfd p = {f.cancel_fd, POLLIN, 0};
	struct ssm *S = &f.S;
	char *text = NULL;

	fakehost_play(&f, "call", json_pack("{s:i,s:s}", "status", 400, "error", "Bad"));
	ck_assert_int_eq(S->api->call(S, &q, &reply), 0);
	ck_assert_int_eq(reply.status, 400);
	ck_assert_str_eq(reply.error, "Bad");
	ck_assert_str_eq(json_str(fakehost_asked(&f, 0, "call"), "target", ""), "T");
	S->api->free(S, reply.error);
	S->api->free(S, reply.body);
	ck_assert_int_eq(S->api->state_get(S, "k", &text, NULL), -ENOENT);
	ck_assert_int_eq(S->api->state_put(S, "k", "v", 1), 0);
	ck_assert_int_eq(S->api->state_get(S, "k", &text, NULL), 0);
	ck_assert_str_eq(text, "v");
	S->api->free(S, text);
	fakehost_cancel(&f);
	ck_assert_int_eq(S->api->cancelled(S), 1);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("hello");
	TCase *tc = tcase_create("hello");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, t_descriptor);
	tcase_add_test(tc, t_greets);
	tcase_add_test(tc, t_ends);
	tcase_add_test(tc, t_cannot_run);
	tcase_add_test(tc, t_messages);
	tcase_add_test(tc, t_requests);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
