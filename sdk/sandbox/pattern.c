/* SPDX-License-Identifier: Apache-2.0 */
/* allowedPattern of documents and AllowedPattern of the parameter store, near enough. */
#include "sdk/sandbox/pattern.h"

#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define PATTERN_MAX ((size_t)1 << 16)
#define REPEAT_MAX 20000

/* \d and (?: are what patterns use beyond POSIX; the rest is the same or does not compile. */
static char *
posix_pattern(const char *pattern, bool whole)
{
	struct sbuf b = SBUF_INIT(PATTERN_MAX);

	sbuf_adds(&b, whole ? "^(" : "");
	for (const char *p = pattern; *p; p++) {
		if (p[0] == '\\' && p[1] == 'd') {
			sbuf_adds(&b, "[0-9]");
			p++;
		} else if (p[0] == '\\' && p[1]) {
			sbuf_add(&b, p++, 2);
		} else if (text_starts(p, "(?:")) {
			sbuf_addc(&b, '(');
			p += 2;
		} else {
			sbuf_addc(&b, *p);
		}
	}
	sbuf_adds(&b, whole ? ")$" : "");
	if (b.err) {
		sbuf_done(&b);
		return NULL;
	}
	return sbuf_take(&b, NULL);
}

/* Counted repetitions multiply, and the C library writes them all out: beyond this, memory ends. */
static bool
is_small(const char *pattern)
{
	int64_t product = 1;

	for (const char *p = pattern; *p; p++) {
		size_t digits = *p == '{' ? strspn(p + 1, "0123456789,") : 0;
		autofree char *counts = xstrndup(p + (digits > 0), digits);
		char *comma = strchr(counts, ',');
		int64_t n;

		if (!digits || p[1 + digits] != '}')
			continue;
		if (comma && !comma[1])
			*comma = '\0';
		else if (comma)
			comma++;
		if (text_to_i64(comma && *comma ? comma : counts, 0, REPEAT_MAX, &n) < 0)
			return false;
		product *= n ? n : 1;
		if (product > REPEAT_MAX)
			return false;
	}
	return true;
}

static bool
compile(const char *pattern, bool whole, regex_t *re)
{
	autofree char *posix = posix_pattern(pattern, whole);

	return posix && is_small(pattern) && regcomp(re, posix, REG_EXTENDED | REG_NOSUB) == 0;
}

bool
pattern_is_known(const char *pattern)
{
	regex_t re;

	if (!compile(pattern, false, &re))
		return false;
	regfree(&re);
	return true;
}

bool
pattern_matches(const char *pattern, const char *value, bool whole)
{
	regex_t re;
	bool good;

	if (!compile(pattern, whole, &re))
		return true;
	good = regexec(&re, value, 0, NULL, 0) == 0;
	regfree(&re);
	return good;
}
