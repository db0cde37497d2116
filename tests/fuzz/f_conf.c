/* SPDX-License-Identifier: Apache-2.0 */
/* A *.conf file; one that begins with '{' is the reference agent's JSON file. */
#include "tests/fuzz/fuzz.h"

#include "core/base/json.h"
#include "core/conf/conf_layers.h"

static void
check_warning(void *arg, const char *text)
{
	(void)arg;
	fuzz_check_message(text);
}

/* What was taken once is taken again, and means the same. */
static void
check_value(struct conf *c, const struct key *k)
{
	autofree char *name = xasprintf("%s.%s", k->section, k->name);
	autofree char *before = xstrdup(conf_str(c, name));
	int64_t number = conf_int(c, name);
	struct err e = { 0, "" };

	FUZZ_CHECK(conf_put(c, k->section, k->name, before, "again", false, &e) == 0);
	FUZZ_CHECK(strcmp(conf_str(c, name), before) == 0);
	FUZZ_CHECK(conf_int(c, name) == number);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *c = conf_new(check_warning, NULL);
	const char *text = (const char *)data;
	struct err e = { 0, "" };
	size_t count;
	const struct key *table = key_table(&count);
	int r = size && *text == '{' ? conf_put_legacy(c, "input", text, size, &e)
				     : conf_put_text(c, "input", text, size, &e);

	FUZZ_CHECK(r == 0 || r == e.code || !*e.text);
	if (r < 0)
		fuzz_check_message(err_text(&e));
	for (size_t i = 0; r == 0 && i < count; i++)
		if (strcmp(conf_origin(c, table[i].section, table[i].name), "built-in") != 0)
			check_value(c, &table[i]);
	free(conf_dump(c));
	conf_free(c);
	return 0;
}
