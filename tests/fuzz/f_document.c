/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of a command: document, parameters, all validators, the parameter store,
 * preconditions, control flow. */
#include "tests/fuzz/fuzz.h"

#include "core/base/json.h"
#include "core/base/strv.h"
#include "plugins/runCommand/decide.h"
#include "plugins/runCommand/doc.h"
#include "plugins/runCommand/params.h"
#include "plugins/runCommand/precond.h"

/* A store in which a name says what it stands for. */
static json_t *
answer(void *arg, const json_t *names, char **ret_trace)
{
	json_t *all = json_array(), *name;
	size_t i;

	(void)arg;
	(void)ret_trace;
	FUZZ_CHECK(json_array_size(names) > 0 && json_array_size(names) <= STORE_NAMES_PER_CALL);
	json_array_foreach((json_t *)(uintptr_t)names, i, name)
	{
		const char *text = json_string_value(name);
		const char *type = text[0] == 'l' ? "StringList"
			: text[0] == 's'	  ? "SecureString"
						  : "String";
		autofree char *plain = xstrndup(text, strcspn(text, ":"));

		FUZZ_CHECK(*text && !strpbrk(text, " {}"));
		if (text[0] != 'x')
			(void)json_array_append_new(all,
						    json_pack("{s:s, s:s, s:s, s:i}", "Name", plain,
							      "Type", type, "Value",
							      "a,{{ssm:b}},$$", "Version", 1));
	}
	return json_pack("{s:o}", "Parameters", all);
}

static struct doc *
load(const json_t *payload, char **ret_trace)
{
	struct doc_source source = { payload, true, answer, NULL };

	return doc_new(&source, ret_trace);
}

static void
check_environment(const json_t *environment)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)environment, name, v)
	{
		FUZZ_CHECK(strncmp(name, "SSM_", 4) == 0 && !strchr(name, '=') && name[4]);
		FUZZ_CHECK(strlen(json_string_value(v)) == json_string_length(v));
	}
}

static size_t
text_size(const json_t *v)
{
	autofree char *text = v ? json_text(v) : NULL;

	return text ? strlen(text) : 0;
}

static void
check_step(const struct doc *d, const struct doc_step *s)
{
	struct decide_facts facts = { .has_handler = true };
	autofree char *why = NULL;
	autostrv char **list = NULL;
	enum precond met = precond_check(s->precondition, d->params, &list);

	FUZZ_CHECK(json_is_array(s->sets) && s->id && s->action);
	FUZZ_CHECK((met == PRECOND_MET) == !list);
	(void)decide_step(d, s, &facts, &why);
	(void)doc_on_failure(s);
	(void)doc_on_success(s);
	(void)doc_is_finally(s);
	free(doc_without_colons(doc_folder(s, 0)));
}

/* What it grew to is bounded, whatever the parameters are. */
static void
check_doc(const struct doc *d, size_t size)
{
	size_t total = 0;

	FUZZ_CHECK(d->step_count > 0);
	for (size_t i = 0; i < d->step_count; i++) {
		check_step(d, &d->steps[i]);
		total += text_size(d->steps[i].sets) + text_size(d->steps[i].settings);
	}
	/* An escaped byte takes six. */
	FUZZ_CHECK(total <= 6 * (PARAMS_MAX_BYTES + size) + 1024);
}

/* The same payload, printed and read again, is the same document. */
static void
check_again(const struct doc *d, const json_t *payload)
{
	autofree char *text = json_text(payload);
	autojson json_t *printed = json_string(text);
	autofree char *trace = NULL;
	struct doc *again = printed ? load(printed, &trace) : NULL;

	FUZZ_CHECK(again && again->step_count == d->step_count);
	for (size_t i = 0; i < d->step_count; i++)
		FUZZ_CHECK(json_equal(again->steps[i].sets, d->steps[i].sets));
	doc_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autojson json_t *payload = json_parse((const char *)data, size, "input", NULL);
	autofree char *trace = NULL;
	struct doc *d = payload ? load(payload, &trace) : NULL;

	if (!payload)
		return 0;
	FUZZ_CHECK(!d == !!trace);
	if (!d)
		return 0;
	check_doc(d, size);
	check_environment(d->environment);
	if (json_is_object(payload))
		check_again(d, payload);
	doc_free(d);
	return 0;
}
