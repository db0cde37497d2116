/* SPDX-License-Identifier: Apache-2.0 */
/* UTC time stamps, by hand: strftime() and strptime() follow the locale. */
#include "core/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct stamp {
	int64_t year;
	int month, day, hour, minute, second; /* month and day from 1 */
};

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The rest that belongs to floor_div(), without its product, which may overflow. */
static int
floor_mod(int64_t a, int b)
{
	return (int)((a % b + b) % b);
}

/* Days since 1970-01-01, in the proleptic Gregorian calendar. A year is counted from March, so that
 * the leap day is its last and the months before it have a regular rhythm. */
static int64_t
days_of(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = floor_div(y, 400);
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
		day_of_year - 719468;
}

static void
split_days(int64_t days, struct stamp *s)
{
	int64_t z = days + 719468;
	int64_t era = floor_div(z, 146097);
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	s->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	s->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	s->year = yoe + era * 400 + (s->month <= 2);
}

static void
split_seconds(int64_t unix_s, struct stamp *s)
{
	int rest = floor_mod(unix_s, 86400);

	split_days(floor_div(unix_s, 86400), s);
	s->hour = rest / 3600;
	s->minute = rest / 60 % 60;
	s->second = rest % 60;
}

void
text_iso8601_ms(int64_t unix_ms, char ret[TEXT_STAMP_SIZE])
{
	struct stamp s;

	split_seconds(floor_div(unix_ms, 1000), &s);
	(void)snprintf(ret, TEXT_STAMP_SIZE, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ",
		       (long long)s.year, s.month, s.day, s.hour, s.minute, s.second,
		       floor_mod(unix_ms, 1000));
}

void
text_amz_date(time_t t, char ret[TEXT_STAMP_SIZE])
{
	struct stamp s;

	split_seconds(t, &s);
	(void)snprintf(ret, TEXT_STAMP_SIZE, "%04lld%02d%02dT%02d%02d%02dZ", (long long)s.year,
		       s.month, s.day, s.hour, s.minute, s.second);
}

/* COUNT digits at *S, which moves on; -1 if there are fewer. */
static int
number(const char **s, int count)
{
	int v = 0;

	for (; count > 0; count--, (*s)++) {
		if (**s < '0' || **s > '9')
			return -1;
		v = v * 10 + (**s - '0');
	}
	return v;
}

static bool
skip(const char **s, const char *word)
{
	if (!text_starts(*s, word))
		return false;
	*s += strlen(word);
	return true;
}

static int
days_in_month(int64_t year, int month)
{
	static const signed char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Second 60 is a leap second, which unix time counts as the next one. */
static bool
is_possible(const struct stamp *s)
{
	return s->year >= 0 && s->month >= 1 && s->month <= 12 && s->day >= 1 &&
		s->day <= days_in_month(s->year, s->month) && s->hour >= 0 && s->hour <= 23 &&
		s->minute >= 0 && s->minute <= 59 && s->second >= 0 && s->second <= 60;
}

static int64_t
unix_ms_of(const struct stamp *s)
{
	return (days_of(s->year, s->month, s->day) * 86400 + s->hour * 3600 + s->minute * 60 +
		s->second) * 1000;
}

/* "hh:mm:ss" */
static bool
parse_clock(const char **p, struct stamp *s)
{
	s->hour = number(p, 2);
	if (s->hour < 0 || !skip(p, ":"))
		return false;
	s->minute = number(p, 2);
	if (s->minute < 0 || !skip(p, ":"))
		return false;
	s->second = number(p, 2);
	return s->second >= 0;
}

/* "YYYY-MM-DDThh:mm:ss" */
static bool
parse_date_time(const char **p, struct stamp *s)
{
	s->year = number(p, 4);
	if (s->year < 0 || !skip(p, "-"))
		return false;
	s->month = number(p, 2);
	if (s->month < 0 || !skip(p, "-"))
		return false;
	s->day = number(p, 2);
	if (s->day < 0 || !(skip(p, "T") || skip(p, "t")))
		return false;
	return parse_clock(p, s);
}

/* ".123456789": milliseconds, the rest is cut; 0 if there is no fraction, -1 if it has no digit. */
static int
parse_fraction(const char **p)
{
	int ms = 0, digits = 0;

	if (!skip(p, "."))
		return 0;
	for (; **p >= '0' && **p <= '9'; (*p)++)
		if (digits++ < 3)
			ms = ms * 10 + (**p - '0');
	for (int i = digits; i < 3; i++)
		ms *= 10;
	return digits ? ms : -1;
}

/* "Z" or "+hh:mm". */
static bool
parse_offset(const char **p, int64_t *ret_ms)
{
	int sign = **p == '-' ? -1 : 1, hours, minutes;

	*ret_ms = 0;
	if (skip(p, "Z") || skip(p, "z"))
		return true;
	if (!skip(p, "+") && !skip(p, "-"))
		return false;
	hours = number(p, 2);
	if (hours < 0 || hours > 23 || !skip(p, ":"))
		return false;
	minutes = number(p, 2);
	*ret_ms = (int64_t)sign * (hours * 60 + minutes) * 60000;
	return minutes >= 0 && minutes <= 59;
}

int
text_from_iso8601(const char *s, int64_t *ret_unix_ms)
{
	struct stamp t;
	int64_t offset;
	int fraction;

	if (!parse_date_time(&s, &t) || !is_possible(&t))
		return -EINVAL;
	fraction = parse_fraction(&s);
	if (fraction < 0 || !parse_offset(&s, &offset) || *s != '\0')
		return -EINVAL;
	*ret_unix_ms = unix_ms_of(&t) + fraction - offset;
	return 0;
}

/* Which of COUNT three-letter names stands at *S, which moves on; -1 for none. */
static int
name(const char **s, const char *names, int count)
{
	for (int i = 0; i < count; i++) {
		if (strncmp(*s, names + 3 * i, 3) == 0) {
			*s += 3;
			return i;
		}
	}
	return -1;
}

/* "Tue, 05 Mar 2024 " */
static bool
parse_http_day(const char **p, struct stamp *t)
{
	if (name(p, "MonTueWedThuFriSatSun", 7) < 0 || !skip(p, ", "))
		return false;
	t->day = number(p, 2);
	if (t->day < 0 || !skip(p, " "))
		return false;
	t->month = name(p, "JanFebMarAprMayJunJulAugSepOctNovDec", 12) + 1;
	if (t->month < 1 || !skip(p, " "))
		return false;
	t->year = number(p, 4);
	return t->year >= 0 && skip(p, " ");
}

int
text_from_http_date(const char *s, int64_t *ret_unix_ms)
{
	struct stamp t;

	if (!parse_http_day(&s, &t) || !parse_clock(&s, &t) || !is_possible(&t))
		return -EINVAL;
	if (strcmp(s, " GMT") != 0)
		return -EINVAL;
	*ret_unix_ms = unix_ms_of(&t);
	return 0;
}
