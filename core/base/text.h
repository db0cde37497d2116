/* SPDX-License-Identifier: Apache-2.0 */
/* Text to values and back: numbers, durations, sizes, hex, base64, percent, time stamps, UTF-8. */
#ifndef SSM_BASE_TEXT_H
#define SSM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Whole string or -EINVAL; out of range -ERANGE. Leading and trailing blanks are refused. */
int text_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret);
int text_to_bool(const char *s, bool *ret); /* yes no true false on off 1 0, any case */
/* "1500" (ms), "250ms", "30s", "5m", "1h", "2d" -> milliseconds. */
int text_to_ms(const char *s, int64_t *ret_ms);
/* "4096", "64K", "10M", "2G" (powers of 1024) -> bytes. */
int text_to_bytes(const char *s, int64_t *ret_bytes);

bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);
/* Trim blanks (space, tab, CR, LF) at both ends, in place; returns the new start. */
char *text_trim(char *s);
/* Shell-style wildcard: only '*' and '?'. */
bool text_glob(const char *pattern, const char *s);

void text_hex(const void *data, size_t len, char *ret /* 2 * len + 1 */);
int text_unhex(const char *s, void *ret, size_t ret_size); /* bytes written or -EINVAL */
char *text_base64(const void *data, size_t len);	   /* caller frees */
/* Standard alphabet, padding needed, white space refused. Caller frees. */
int text_unbase64(const char *s, unsigned char **ret, size_t *ret_len);

/* RFC 3986 percent-encoding of every byte outside A-Za-z0-9-._~ and KEEP. Caller frees. */
char *text_percent(const char *s, size_t len, const char *keep);
/* Decodes %XX (not '+'). -EINVAL on a broken escape or an encoded NUL. Caller frees. */
int text_unpercent(const char *s, size_t len, char **ret);

/* UTC time stamps. */
#define TEXT_STAMP_SIZE 32
void text_iso8601_ms(int64_t unix_ms, char ret[TEXT_STAMP_SIZE]); /* 2024-03-05T07:08:09.123Z */
void text_amz_date(time_t t, char ret[TEXT_STAMP_SIZE]);	  /* 20240305T070809Z */
/* "2024-03-05T07:08:09Z", with optional fraction and offset (Z or +hh:mm); -> unix ms. */
int text_from_iso8601(const char *s, int64_t *ret_unix_ms);
/* "Tue, 05 Mar 2024 07:08:09 GMT" (HTTP Date). */
int text_from_http_date(const char *s, int64_t *ret_unix_ms);

/* Bytes of the longest prefix of at most LEN bytes that does not cut a UTF-8 character: LEN moved
 * back by at most 3. Invalid bytes count as characters of their own. S holds S_LEN >= LEN bytes. */
size_t text_utf8_floor(const char *s, size_t s_len, size_t len);
bool text_utf8_valid(const char *s, size_t len);
/* Bytes (1..4) of the valid character at S, which holds LEN bytes; 0 when there is none. */
size_t text_utf8_char(const char *s, size_t len);
/* Copy with each invalid byte replaced by U+FFFD. Caller frees. */
char *text_utf8_repair(const char *s, size_t len, size_t *ret_len);
/* In single quotes with control characters, quotes and backslashes escaped, at most MAX bytes of S
 * shown: for foreign strings in log lines and errors. Caller frees. */
char *text_quote(const char *s, size_t max);
/* Copy in which control characters and invalid bytes are escaped and nothing else. Caller frees. */
char *text_escape_controls(const char *s, size_t len);

/* Nearest of NULL-ended CANDIDATES by edit distance (<= 1/3 of its length), or NULL. */
const char *text_nearest(const char *s, const char *const *candidates);

#endif
