/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what was read and printed reads the same again, in each of the styles. */
#include "tests/fuzz/fuzz.h"

#include "core/base/json.h"

static void
check_print(char *text, const json_t *v)
{
	autojson json_t *again = json_parse(text, strlen(text), "printed", NULL);

	FUZZ_CHECK(again && json_equal(again, v));
	free(text);
}

/* A whole double loses its fraction there: it reads as a number all the same. */
static void
check_go(char *text)
{
	autojson json_t *again = json_parse(text, strlen(text), "printed", NULL);

	FUZZ_CHECK(again);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0, "" };
	autojson json_t *v = json_parse((const char *)data, size, "input", &e);
	autofree char *pointer = xmemdup(data, size);

	if (!v) {
		fuzz_check_message(err_text(&e));
		return 0;
	}
	check_print(json_text(v), v);
	check_print(json_text_sorted(v), v);
	check_go(json_text_go(v, false));
	check_go(json_text_go(v, true));
	(void)json_at(v, pointer);
	return 0;
}
