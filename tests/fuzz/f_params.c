/* SPDX-License-Identifier: Apache-2.0 */
/* {{ name }} against a second, plain way to do the same. {"values": {...}, "text": "..."} */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>

#include "core/base/json.h"
#include "core/base/sbuf.h"
#include "plugins/runCommand/params.h"

#define PLAIN_MAX 4096u

static bool
is_blank(char c)
{
	return c && strchr("\t\n\f\r ", c);
}

/* The token at S: what it stands for, *RET_LEN its bytes; NULL when there is none. */
static const json_t *
token_at(const char *s, const json_t *values, size_t *ret_len)
{
	const char *end = strncmp(s, "{{", 2) == 0 ? strstr(s + 2, "}}") : NULL, *start = s + 2;
	autofree char *name = NULL;

	if (!end)
		return NULL;
	*ret_len = (size_t)(end + 2 - s);
	while (is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	name = xstrndup(start, end > start ? (size_t)(end - start) : 0);
	return *name ? json_object_get(values, name) : NULL;
}

/* Left to right, what was put in is not looked at again. Values are strings without '$'. */
static char *
plain_fill(const char *text, const json_t *values)
{
	struct sbuf b = SBUF_INIT(PARAMS_MAX_BYTES);
	size_t len;

	while (*text) {
		const json_t *v = token_at(text, values, &len);

		if (v) {
			sbuf_adds(&b, json_string_value(v));
			text += len;
		} else {
			sbuf_addc(&b, *text++);
		}
	}
	return sbuf_take(&b, NULL);
}

static bool
is_short(const json_t *v)
{
	const char *s = json_string_value(v);

	return s && strlen(s) == json_string_length(v) && strlen(s) < PLAIN_MAX;
}

static bool
is_plain(const json_t *v)
{
	return is_short(v) && !strchr(json_string_value(v), '$');
}

static bool
all_plain(const json_t *values)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)values, name, v)
	{
		if (!is_plain(v) || strlen(name) > 64)
			return false;
	}
	return json_object_size(values) > 0;
}

static void
check_text(const json_t *text, const json_t *values, const json_t *filled)
{
	autofree char *plain = NULL;

	if (!is_short(text) || !all_plain(values))
		return;
	plain = plain_fill(json_string_value(text), values);
	FUZZ_CHECK(json_is_string(filled) && strcmp(json_string_value(filled), plain) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autojson json_t *input = json_parse((const char *)data, size, "input", NULL);
	json_t *values = json_object_get(input, "values"), *text = json_object_get(input, "text");
	autofree char *trace = NULL, *errors = NULL;
	autojson json_t *filled = NULL, *merged = NULL;
	struct params p;

	if (!json_is_object(values) || !text)
		return 0;
	params_init(&p, values);
	filled = params_fill(&p, text, &trace);
	FUZZ_CHECK(!filled == !!trace && p.left <= PARAMS_MAX_BYTES);
	if (filled)
		check_text(text, values, filled);
	merged = params_merge(json_object_get(input, "definitions"), values);
	errors = params_validate(&(struct params_check){ json_object_get(input, "definitions"),
							 merged, values, true });
	FUZZ_CHECK(merged && (!errors || *errors));
	return 0;
}
