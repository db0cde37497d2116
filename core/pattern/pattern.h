/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions as RE2 takes them: what it lacks is refused, time is linear in the text. */
#ifndef SSM_PATTERN_PATTERN_H
#define SSM_PATTERN_PATTERN_H

#include <stddef.h>

struct pattern;

/* NULL for what RE2 refuses: *RET_TEXT is the reason in its words (caller frees). */
struct pattern *pattern_new(const char *source, size_t len, char **ret_text);
struct pattern *pattern_free(struct pattern *p);
/* 1 when some part of S matches, 0 when none does, -E2BIG when it needs more memory than allowed.
 */
int pattern_match(const struct pattern *p, const char *s, size_t len);

/* The pattern in PCRE2's syntax, made of nothing but what both understand alike; NULL as above.
 * Caller frees. For tests. */
char *pattern_translate(const char *source, size_t len, char **ret_text);

#endif
