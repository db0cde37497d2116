/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of what the sandbox keeps: it reads back what it wrote, and nothing else harms it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/parameters.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/tags.h"
#include "tests/unit/suite.h"

#define ONE "i-0123456789abcdef0"
#define TWO "i-0fedcba9876543210"
#define DOCUMENT                                                                        \
	"{\"schemaVersion\":\"2.2\",\"mainSteps\":[{\"action\":\"aws:runShellScript\"," \
	"\"name\":\"a\",\"inputs\":{}},{\"action\":\"x\",\"name\":\"b\",\"inputs\":{}}]}"

static struct sandbox *
new_sandbox(void)
{
	struct sandbox *sb = xcalloc(1, sizeof(*sb));
	struct err e = { 0 };

	sb->set.region = "eu-west-1";
	sb->set.account = "123456789012";
	sb->ev = events_new(&e);
	sb->store = store_new();
	sb->tags = tags_new();
	sb->parameters = parameters_new();
	sb->documents = documents_open("/", NULL, &e);
	ck_assert_msg(sb->ev && sb->documents, "%s", err_text(&e));
	return sb;
}

static void
free_sandbox(struct sandbox *sb)
{
	documents_free(sb->documents);
	parameters_free(sb->parameters);
	tags_free(sb->tags);
	store_free(sb, sb->store);
	events_free(sb->ev);
	free(sb);
}

static json_t *
read_json(const char *text)
{
	struct err e = { 0 };
	json_t *v = json_parse(text, strlen(text), "it", &e);

	ck_assert_msg(v != NULL, "%s", err_text(&e));
	return v;
}

static void
put_parameter(struct sandbox *sb, const char *value)
{
	autojson json_t *request =
		json_pack("{s:s, s:s, s:s, s:b, s:s}", "Name", "/a/b", "Type", "String", "Value",
			  value, "Overwrite", 1, "Description", "d");
	struct refusal why;

	ck_assert_ptr_nonnull(parameters_put(sb->parameters, request, 1500, &why));
}

static void
fill_store(struct sandbox *sb)
{
	autojson json_t *tags = read_json("[{\"Key\":\"k\",\"Value\":\"v\"}]");
	autojson json_t *create = json_pack("{s:s, s:s, s:s, s:s}", "Name", "Made", "Content",
					    DOCUMENT, "VersionName", "first", "TargetType", "/X");
	autojson json_t *update = json_pack("{s:s, s:s, s:s}", "Name", "Made", "Content",
					    "schemaVersion: '1.2'\nruntimeConfig: {x: {}}\n",
					    "DocumentFormat", "YAML");
	struct refusal why;

	put_parameter(sb, "one");
	put_parameter(sb, "two");
	ck_assert_int_eq(tags_add(sb->tags, "Parameter", "/a/b", tags), 0);
	ck_assert_ptr_nonnull(documents_create(sb->documents, create, 1500, &why));
	ck_assert_ptr_nonnull(documents_update(sb->documents, update, 1600, &why));
	store_node(sb, ONE, true)->info = read_json("{\"AgentName\":\"x\"}");
	store_node(sb, TWO, true);
}

/* To both nodes, one after the other; the first has a result of its first step. */
static struct command *
fill_commands(struct sandbox *sb)
{
	struct node *nodes[] = { store_node(sb, ONE, true), store_node(sb, TWO, true) };
	autojson json_t *content = read_json(DOCUMENT);
	autojson json_t *targets = read_json("[{\"Key\":\"tag:k\",\"Values\":[\"v\"]}]");
	autojson json_t *given = read_json("{\"p\":[\"x\"]}");
	struct command_spec spec = { .document = "Made",
				     .version = "1",
				     .comment = "c",
				     .content = content,
				     .parameters = given,
				     .targets = targets,
				     .nodes = nodes,
				     .node_count = NELEMS(nodes),
				     .timeout_s = 3600,
				     .max_concurrency = "1" };
	struct command *cmd = command_new(sb, &spec);

	cmd->invs[0].plugins[0].status = STATUS_FAILED;
	cmd->invs[0].plugins[0].code = -2;
	cmd->invs[0].plugins[0].out = xstrdup("some \xc3\xa9 text");
	cmd->invs[0].trace = xstrdup("trace");
	map_set(cmd->invs[0].msg->reply_ids, "reply", cmd);
	return cmd;
}

static void
same(const json_t *a, const json_t *b)
{
	autofree char *x = json_text(a), *y = json_text(b);

	ck_assert_str_eq(x, y);
}

START_TEST(test_store)
{
	struct sandbox *before = new_sandbox(), *after = new_sandbox();
	struct err e = { 0 };
	autojson json_t *made = NULL, *again = NULL;

	fill_store(before);
	made = state_store_make(before);
	ck_assert_msg(state_store_take(after, made, &e) == 0, "%s", err_text(&e));
	again = state_store_make(after);
	same(made, again);
	ck_assert_str_eq(tags_get(after->tags, "Parameter", "/a/b", "k"), "v");
	free_sandbox(before);
	free_sandbox(after);
}
END_TEST

START_TEST(test_command)
{
	struct sandbox *before = new_sandbox(), *after = new_sandbox();
	const struct command *cmd = fill_commands(before), *read;
	autojson json_t *made = state_command_make(cmd), *again = NULL;
	struct err e = { 0 };

	ck_assert_msg(state_command_take(after, made, cmd->id, &e) == 0, "%s", err_text(&e));
	read = map_get(after->store->commands, cmd->id);
	again = state_command_make(read);
	same(made, again);
	ck_assert_uint_eq(read->next, 1);
	ck_assert_int_eq(after->store->open, 2);
	ck_assert(!list_empty(&store_node(after, ONE, false)->queue));
	ck_assert(list_empty(&store_node(after, TWO, false)->queue));
	ck_assert_int_eq(state_command_take(after, made, cmd->id, &e), -EINVAL);
	free_sandbox(before);
	free_sandbox(after);
}
END_TEST

/* The second goes out once the first has ended, also after a restart. */
START_TEST(test_resumed)
{
	struct sandbox *before = new_sandbox(), *after = new_sandbox();
	const struct command *cmd = fill_commands(before);
	autojson json_t *made = state_command_make(cmd);
	struct command *read;

	ck_assert_int_eq(state_command_take(after, made, cmd->id, NULL), 0);
	read = map_get(after->store->commands, cmd->id);
	invocation_set(&read->invs[0], STATUS_SUCCESS, "Success");
	ck_assert(!list_empty(&store_node(after, TWO, false)->queue));
	ck_assert_ptr_nonnull(read->invs[1].msg);
	ck_assert_ptr_null(read->payload);
	free_sandbox(before);
	free_sandbox(after);
}
END_TEST

/* ---- what nobody wrote ---- */

typedef int take_fn(struct sandbox *sb, const json_t *v, const char *id, struct err *e);

static int
take_store(struct sandbox *sb, const json_t *v, const char *id, struct err *e)
{
	(void)id;
	return state_store_take(sb, v, e);
}

struct trial {
	take_fn *take;
	json_t *whole;
	const char *id;
	int refused, taken;
};

/* Taken or refused with a reason; and a sandbox that took it can be taken down. */
static void
try_it(struct trial *t)
{
	struct sandbox *sb = new_sandbox();
	struct err e = { 0 };
	int err = t->take(sb, t->whole, t->id, &e);

	ck_assert_int_eq(err, e.code);
	ck_assert(!err == !*e.text);
	if (err)
		t->refused++;
	else
		t->taken++;
	free_sandbox(sb);
}

static void mutate(struct trial *t, json_t *at);

/* Member KEY, or item I when there is none, of AT. */
static void
put(json_t *at, const char *key, size_t i, json_t *v)
{
	if (key)
		json_object_set(at, key, v);
	else
		json_array_set(at, i, v);
}

static void
mutate_one(struct trial *t, json_t *at, const char *key, size_t i)
{
	static const char *const others[] = {
		"null", "0",	"-1",	"\"\"",	     "\"x\"",
		"[]",	"[0]",	"{}",	"true",	     "9223372036854775807",
		"1.5",	"[{}]", "[[]]", "{\"x\":{}}"
	};
	json_t *old = json_incref(key ? json_object_get(at, key) : json_array_get(at, i));

	for (size_t k = 0; k < NELEMS(others); k++) {
		autojson json_t *other = json_loads(others[k], JSON_DECODE_ANY, NULL);

		put(at, key, i, other);
		try_it(t);
	}
	put(at, key, i, old);
	mutate(t, old);
	json_decref(old);
}

static void
mutate(struct trial *t, json_t *at)
{
	autojson json_t *keys = json_is_object(at) ? json_copy(at) : json_object();
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach(keys, key, v) {
		json_object_del(at, key);
		try_it(t);
		json_object_set(at, key, v);
		mutate_one(t, at, key, 0);
	}
	json_array_foreach(at, i, v)
		mutate_one(t, at, NULL, i);
}

START_TEST(test_mutated_store)
{
	struct sandbox *sb = new_sandbox();
	struct trial t = { .take = take_store };

	fill_store(sb);
	t.whole = state_store_make(sb);
	mutate(&t, t.whole);
	ck_assert_int_gt(t.refused, 500);
	ck_assert_int_gt(t.taken, 50);
	json_decref(t.whole);
	free_sandbox(sb);
}
END_TEST

START_TEST(test_mutated_command)
{
	struct sandbox *sb = new_sandbox();
	struct trial t = { .take = state_command_take };
	const struct command *cmd = fill_commands(sb);

	t.whole = state_command_make(cmd);
	t.id = cmd->id;
	mutate(&t, t.whole);
	ck_assert_int_gt(t.refused, 500);
	ck_assert_int_gt(t.taken, 50);
	json_decref(t.whole);
	free_sandbox(sb);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sandbox_state");
	TCase *t = tcase_create("state");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_store);
	tcase_add_test(t, test_command);
	tcase_add_test(t, test_resumed);
	tcase_add_test(t, test_mutated_store);
	tcase_add_test(t, test_mutated_command);
	suite_add_tcase(s, t);
	return run_suite(s);
}
