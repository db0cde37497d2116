/* SPDX-License-Identifier: Apache-2.0 */
/* YAML: one value of bounded size or one error; JSON text means in it what it means as JSON. */
#include "tests/fuzz/fuzz.h"

#include "core/base/json.h"
#include "core/yaml/yaml.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0, "" };
	autojson json_t *v = yaml_parse((const char *)data, size, "input", &e);
	autofree char *text = v ? json_text(v) : NULL;
	autojson json_t *again = NULL;

	if (!v) {
		fuzz_check_message(err_text(&e));
		return 0;
	}
	FUZZ_CHECK(text);
	again = json_parse(text, strlen(text), "printed", NULL);
	FUZZ_CHECK(again && json_equal(again, v));
	return 0;
}
