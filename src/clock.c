#include "src/clock.h"
#include "src/mem.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CLOCK_NSEC       INT64_C(1000000000)
#define CLOCK_FORMAT_MAX 253402300799999ull /* 9999-12-31T23:59:59.999Z */

static const char clock_days[] = "SunMonTueWedThuFriSat";
static const char clock_months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

uint64_t
clock_ms(void)
{
	return (uint64_t)(clock_ns() / 1000000);
}

int64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

uint64_t
clock_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

char *
clock_format(char *out, size_t size, uint64_t ms)
{
	struct tm tm;
	time_t seconds;
	size_t len;

	if (ms > CLOCK_FORMAT_MAX)
		ms = CLOCK_FORMAT_MAX;
	seconds = (time_t)(ms / 1000);
	gmtime_r(&seconds, &tm);
	len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + len, size - len, ".%03uZ", (unsigned)(ms % 1000));
	return out;
}

char *
clock_format_ns(char *out, size_t size, int64_t ns)
{
	int64_t seconds = ns / CLOCK_NSEC - (ns % CLOCK_NSEC < 0);
	time_t time = (time_t)seconds;
	struct tm tm;
	size_t len;

	gmtime_r(&time, &tm);
	len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + len, size - len, ".%09uZ", (unsigned)(ns - seconds * CLOCK_NSEC));
	return out;
}

char *
clock_format_http(char *out, size_t size, uint64_t ms)
{
	time_t seconds = (time_t)(MIN(ms, CLOCK_FORMAT_MAX) / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	/* strftime() would write the names in the user's language. */
	snprintf(out, size, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", &clock_days[3 * tm.tm_wday],
	    tm.tm_mday, &clock_months[3 * tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
	    tm.tm_sec);
	return out;
}

/* Exactly `digits` decimal digits at *p, which is moved past them. */
static bool
clock_number(int *out, const char **p, int digits, int min, int max)
{
	int value = 0;

	for (; digits > 0; digits--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		value = value * 10 + (**p - '0');
	}
	*out = value;
	return value >= min && value <= max;
}

static bool
clock_literal(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static int
clock_month_days(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool
clock_time_of_day(struct tm *tm, const char **p)
{
	return clock_number(&tm->tm_hour, p, 2, 0, 23) && clock_literal(p, ':') &&
	    clock_number(&tm->tm_min, p, 2, 0, 59) && clock_literal(p, ':') &&
	    clock_number(&tm->tm_sec, p, 2, 0, 60); /* 60: a leap second */
}

/* "Z", "+01:30", "-08:00" -> seconds east of UTC */
static bool
clock_offset(int *out, const char **p)
{
	int sign, hours, minutes;

	*out = 0;
	if (clock_literal(p, 'Z') || clock_literal(p, 'z'))
		return true;
	if (**p != '+' && **p != '-')
		return false;
	sign = *(*p)++ == '+' ? 1 : -1;
	if (!clock_number(&hours, p, 2, 0, 23) || !clock_literal(p, ':') ||
	    !clock_number(&minutes, p, 2, 0, 59))
		return false;
	*out = sign * (hours * 3600 + minutes * 60);
	return true;
}

/* The fraction is in ns. */
static int
clock_parse_text(int64_t *out_seconds, int64_t *out_fraction, const char *text)
{
	const char *p = text;
	struct tm tm = {0};
	int year, offset;
	int64_t fraction = 0, unit = CLOCK_NSEC;

	if (!clock_number(&year, &p, 4, 0, 9999) || !clock_literal(&p, '-') ||
	    !clock_number(&tm.tm_mon, &p, 2, 1, 12) || !clock_literal(&p, '-') ||
	    !clock_number(&tm.tm_mday, &p, 2, 1, clock_month_days(year, tm.tm_mon)))
		return -EINVAL;
	if (!clock_literal(&p, 'T') && !clock_literal(&p, 't') && !clock_literal(&p, ' '))
		return -EINVAL;
	if (!clock_time_of_day(&tm, &p))
		return -EINVAL;
	if (clock_literal(&p, '.')) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		for (; *p >= '0' && *p <= '9'; p++) {
			unit /= 10; /* finer than ns: dropped */
			fraction += (*p - '0') * unit;
		}
	}
	if (!clock_offset(&offset, &p) || *p != '\0')
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon -= 1;
	*out_seconds = (int64_t)timegm(&tm) - offset;
	*out_fraction = fraction;
	return 0;
}

int
clock_parse(uint64_t *out_ms, const char *text)
{
	int64_t seconds, fraction;

	if (clock_parse_text(&seconds, &fraction, text) != 0 || seconds < 0)
		return -EINVAL;
	*out_ms = (uint64_t)seconds * 1000 + (uint64_t)(fraction / 1000000);
	return 0;
}

int
clock_parse_ns(int64_t *out_ns, const char *text)
{
	int64_t seconds, fraction;

	if (clock_parse_text(&seconds, &fraction, text) != 0 || seconds >= INT64_MAX / CLOCK_NSEC ||
	    seconds <= -(INT64_MAX / CLOCK_NSEC))
		return -EINVAL;
	*out_ns = seconds * CLOCK_NSEC + fraction;
	return 0;
}

/* One of `names`, three letters each; its index or -1. */
static int
clock_name(const char **p, const char *names)
{
	int i;

	for (i = 0; names[3 * i] != '\0'; i++) {
		if (strncmp(*p, names + 3 * i, 3) == 0) {
			*p += 3;
			return i;
		}
	}
	return -1;
}

int
clock_parse_http(int64_t *out, const char *text)
{
	const char *p = text;
	struct tm tm = {0};
	int year, day;

	if (clock_name(&p, clock_days) < 0 || !clock_literal(&p, ',') || !clock_literal(&p, ' ') ||
	    !clock_number(&day, &p, 2, 1, 31) || !clock_literal(&p, ' '))
		return -EINVAL;
	tm.tm_mon = clock_name(&p, clock_months);
	if (tm.tm_mon < 0 || !clock_literal(&p, ' ') || !clock_number(&year, &p, 4, 0, 9999) ||
	    day > clock_month_days(year, tm.tm_mon + 1) || !clock_literal(&p, ' ') ||
	    !clock_time_of_day(&tm, &p) || strcmp(p, " GMT") != 0)
		return -EINVAL;
	tm.tm_mday = day;
	tm.tm_year = year - 1900;
	*out = (int64_t)timegm(&tm);
	return 0;
}
