/* SPDX-License-Identifier: Apache-2.0 */
/* RE2 semantics on PCRE2: the DFA matcher, which does not backtrack, from the start of the text
 * with any prefix before the pattern: a search from each position anew would take a square of the
 * text's length. */
#include "core/pattern/pattern.h"

#include <errno.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define WORKSPACE_MIN 1024
#define WORKSPACE_MAX (1 << 22)
#define HEAP_MAX_KIB (64u << 10)

struct pattern {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *limits;
};

/* Any prefix, then the pattern. */
static pcre2_code *
compile(const char *translated, int *ret_error)
{
	autofree char *text = xasprintf("(?s:.*?)(?:%s)", translated);
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_SIZE offset;
	pcre2_code *code;

	(void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
			     PCRE2_UTF | PCRE2_ANCHORED | PCRE2_NO_AUTO_CAPTURE |
				     PCRE2_NO_AUTO_POSSESS | PCRE2_NO_START_OPTIMIZE |
				     PCRE2_NO_DOTSTAR_ANCHOR | PCRE2_NEVER_BACKSLASH_C,
			     ret_error, &offset, context);
	pcre2_compile_context_free(context);
	return code;
}

struct pattern *
pattern_new(const char *source, size_t len, char **ret_text)
{
	struct pattern *p = xcalloc(1, sizeof(*p));
	autofree char *translated = pattern_translate(source, len, ret_text);
	unsigned char reason[160] = "";
	int error = 0;

	if (!translated)
		return pattern_free(p);
	p->code = compile(translated, &error);
	if (!p->code) {
		(void)pcre2_get_error_message(error, reason, sizeof(reason));
		*ret_text = xasprintf("%s: `%.*s`", (const char *)reason, (int)len, source);
		return pattern_free(p);
	}
	p->data = pcre2_match_data_create(1, NULL);
	p->limits = pcre2_match_context_create(NULL);
	(void)pcre2_set_heap_limit(p->limits, HEAP_MAX_KIB);
	return p;
}

struct pattern *
pattern_free(struct pattern *p)
{
	if (!p)
		return NULL;
	pcre2_match_context_free(p->limits);
	pcre2_match_data_free(p->data);
	pcre2_code_free(p->code);
	free(p);
	return NULL;
}

/* The workspace holds the states that are alive at once; few patterns need more than the first. */
static int
match_within(const struct pattern *p, const char *s, size_t len, size_t words)
{
	autofree int *workspace = try_malloc(words * sizeof(int));

	if (!workspace)
		return PCRE2_ERROR_NOMEMORY;
	return pcre2_dfa_match(p->code, (PCRE2_SPTR)s, len, 0, PCRE2_DFA_SHORTEST, p->data,
			       p->limits, workspace, words);
}

int
pattern_match(const struct pattern *p, const char *s, size_t len)
{
	autofree char *repaired = text_utf8_repair(s, len, &len);
	int r = PCRE2_ERROR_DFA_WSSIZE;

	for (size_t words = WORKSPACE_MIN; r == PCRE2_ERROR_DFA_WSSIZE && words <= WORKSPACE_MAX;
	     words *= 8)
		r = match_within(p, repaired, len, words);
	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	return r >= 0 ? 1 : -E2BIG;
}
