/* SPDX-License-Identifier: Apache-2.0 */
/* allowedPattern: the first line is the pattern, the rest what it is matched with. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "core/pattern/pattern.h"

#define TEXT_MAX 4096u

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *line = size ? memchr(text, '\n', size) : NULL;
	size_t len = line ? (size_t)(line - text) : size;
	size_t rest = line ? size - len - 1 : 0;
	autofree char *why = NULL;
	struct pattern *p = pattern_new(text, len, &why);
	int r;

	FUZZ_CHECK(!p == !!why);
	if (!p)
		return 0;
	r = pattern_match(p, line ? line + 1 : "", rest < TEXT_MAX ? rest : TEXT_MAX);
	FUZZ_CHECK(r == 0 || r == 1 || r == -E2BIG);
	pattern_free(p);
	return 0;
}
