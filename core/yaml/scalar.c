/* SPDX-License-Identifier: Apache-2.0 */
/* Plain scalars of YAML 1.1: null, truth values, numbers, else text. */
#include "core/yaml/scalar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"

/* Longer ones are text: nobody writes such numbers. */
#define NUMBER_MAX 64

static bool
is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(*words, s) == 0)
			return true;
	return false;
}

/* A copy without the underscores that YAML 1.1 allows between digits. */
static void
without_underscores(const char *s, char ret[NUMBER_MAX + 1])
{
	size_t n = 0;

	for (; *s && n < NUMBER_MAX; s++)
		if (*s != '_')
			ret[n++] = *s;
	ret[n] = '\0';
}

static int
base_of(const char **digits)
{
	const char *s = *digits;

	if (s[0] != '0' || !s[1])
		return 10;
	if (s[1] == 'x' || s[1] == 'b' || s[1] == 'o') {
		*digits = s + 2;
		return s[1] == 'x' ? 16 : s[1] == 'b' ? 2 : 8;
	}
	*digits = s + 1;
	return 8;
}

/* An integer; NULL when it is none. One that 64 bits do not hold becomes a double, as in JSON. */
static json_t *
integer(const char *s)
{
	static const char all[] = "0123456789abcdefABCDEF";
	bool negative = *s == '-';
	const char *digits = s + (*s == '-' || *s == '+');
	int base = base_of(&digits);
	size_t allowed = base == 16 ? sizeof(all) - 1 : (size_t)base;
	char known[sizeof(all)] = "";
	unsigned long long n;

	memcpy(known, all, allowed);
	if (!*digits || strspn(digits, known) != strlen(digits))
		return NULL;
	errno = 0;
	n = strtoull(digits, NULL, base);
	if (errno || n > INT64_MAX)
		return base == 10 ? json_real(strtod(s, NULL)) : NULL;
	return json_integer(negative ? -(int64_t)n : (int64_t)n);
}

/* [-+] digits . digits e[-+]digits, with at least one digit before the exponent, and a point or an
 * exponent: strtod() alone would take more, such as "nan" and "0x1p3". */
static bool
is_float(const char *s)
{
	size_t whole, part = 0;
	bool marked = false;

	s += *s == '-' || *s == '+';
	whole = strspn(s, "0123456789");
	s += whole;
	if (*s == '.') {
		part = strspn(++s, "0123456789");
		s += part;
		marked = true;
	}
	if (whole + part == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!*s)
			return false;
		s += strspn(s, "0123456789");
		marked = true;
	}
	return marked && !*s;
}

static bool
is_beyond_json(const char *s)
{
	static const char *const words[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL };

	return is_one_of(s + (*s == '-' || *s == '+'), words);
}

json_t *
scalar_value(const char *s, size_t len)
{
	static const char *const nothing[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const yes[] = { "y",	   "Y",	   "yes", "Yes", "YES", "true",
					   "True", "TRUE", "on",  "On",	 "ON",	NULL };
	static const char *const no[] = { "n",	   "N",	    "no",  "No",  "NO",	 "false",
					  "False", "FALSE", "off", "Off", "OFF", NULL };
	char number[NUMBER_MAX + 1];
	json_t *value = NULL;

	if (strlen(s) != len || len > NUMBER_MAX)
		return json_stringn(s, len);
	if (is_one_of(s, nothing))
		return json_null();
	if (is_one_of(s, yes))
		return json_true();
	if (is_one_of(s, no))
		return json_false();
	if (is_beyond_json(s))
		return NULL;
	if (*s != '_') {
		without_underscores(s, number);
		value = is_float(number) ? json_real(strtod(number, NULL)) : integer(number);
		if (!value && is_float(number))
			return NULL;
	}
	return value ? value : json_stringn(s, len);
}
