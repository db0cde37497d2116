/* SPDX-License-Identifier: Apache-2.0 */
/* Jansson helpers: bounded parsing, RFC 6901 pointers, typed getters, the service's dump style. */
#ifndef SSM_BASE_JSON_H
#define SSM_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define JSON_MAX_DEPTH 128

/* One JSON value and nothing behind it. WHAT names the input in the error ("'x' is not JSON: line
 * 1, ..."). NULL on error. Duplicate keys: the last wins. NUL inside strings is allowed. Integers
 * that 64 bits do not hold become doubles (spec/03 1.3). */
json_t *json_parse(const char *text, size_t len, const char *what, struct err *e);
/* As above, from a file of at most MAX bytes. */
json_t *json_parse_file(const char *path, size_t max, struct err *e);

/* RFC 6901: "" is the value itself, "/a/0/b~1c". Borrowed or NULL. */
json_t *json_at(const json_t *v, const char *pointer);

/* Borrowed string of member KEY, or PRESET when absent, null or not a string. */
const char *json_str(const json_t *obj, const char *key, const char *preset);
int64_t json_int(const json_t *obj, const char *key, int64_t preset);
bool json_bool(const json_t *obj, const char *key, bool preset);

/* Compact, keys in insertion order; caller frees; never NULL for a valid value. */
char *json_text(const json_t *v);
/* Canonical: compact, keys sorted (for digests and comparison). Caller frees. */
char *json_text_sorted(const json_t *v);
/* As the reference agent's encoder writes it (spec/01 section 1.8): compact, keys sorted when SORT,
 * '<' '>' '&' as \u003c..., U+2028/9 escaped, integral doubles without fraction, others in shortest
 * form. Caller frees. */
char *json_text_go(const json_t *v, bool sort);
/* Append S[0..LEN) as a JSON string in that same style, each invalid UTF-8 byte as \ufffd. */
struct sbuf;
int json_add_string_go(struct sbuf *b, const char *s, size_t len);

void json_cleanup(json_t **v);
#define autojson __attribute__((cleanup(json_cleanup)))

/* The value of KEY in any case, an exact match first, as Go reads JSON (spec 02 §2.6);
 * NULL when absent or null. Borrowed from OBJ. */
json_t *json_any_case(json_t *obj, const char *key);

#endif
