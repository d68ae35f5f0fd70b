#include "cli/format.h"
#include "src/clock.h"
#include "src/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

char *
format_bytes(char out[FORMAT_MAX], uint64_t bytes)
{
	static const char *units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes == UINT64_MAX) {
		snprintf(out, FORMAT_MAX, "?");
	} else if (bytes < 1024) {
		snprintf(out, FORMAT_MAX, "%u B", (unsigned)bytes);
	} else {
		/* at most three digits: 1000 KiB and more are told in MiB */
		while (value >= 999.5 && unit + 1 < ARRAY_LEN(units)) {
			value /= 1024;
			unit++;
		}
		snprintf(
		    out, FORMAT_MAX, value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	}
	return out;
}

char *
format_rate(char out[FORMAT_MAX], uint64_t bytes_per_second)
{
	size_t len;

	format_bytes(out, bytes_per_second);
	len = strlen(out);
	snprintf(out + len, FORMAT_MAX - len, "/s");
	return out;
}

char *
format_duration(char out[FORMAT_MAX], uint64_t seconds)
{
	if (seconds == UINT64_MAX)
		snprintf(out, FORMAT_MAX, "?");
	else if (seconds < 3600)
		snprintf(out, FORMAT_MAX, "%" PRIu64 ":%02" PRIu64, seconds / 60, seconds % 60);
	else if (seconds < 100 * 3600)
		snprintf(out, FORMAT_MAX, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600,
		    seconds / 60 % 60, seconds % 60);
	else
		snprintf(out, FORMAT_MAX, "%" PRIu64 "d %" PRIu64 "h", seconds / 86400,
		    seconds / 3600 % 24);
	return out;
}

char *
format_count(char out[FORMAT_MAX], uint64_t n)
{
	char digits[24], *p = out;
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return out;
}

char *
format_time(char out[FORMAT_MAX], const char *rfc3339)
{
	uint64_t ms;
	struct tm tm;
	time_t seconds;

	snprintf(out, FORMAT_MAX, "-");
	if (rfc3339 == NULL || clock_parse(&ms, rfc3339) < 0)
		return out;
	seconds = (time_t)(ms / 1000);
	if (localtime_r(&seconds, &tm) != NULL)
		strftime(out, FORMAT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
	return out;
}

int
format_percent(uint64_t done, uint64_t total)
{
	if (total == UINT64_MAX)
		return -1;
	if (done >= total)
		return 100;
	/* a double rounds 2^60 - 1 of 2^60 up to a whole */
	return MIN(99, (int)((double)done / (double)total * 100));
}

char *
format_bar(char *out, size_t size, uint64_t done, uint64_t total, unsigned width)
{
	unsigned inner, filled = 0;

	if (width > size - 1)
		width = (unsigned)size - 1;
	inner = width - 2;
	if (total != UINT64_MAX)
		filled = done >= total
		    ? inner
		    : MIN(inner - 1, (unsigned)((double)done / (double)total * inner));
	out[0] = '[';
	memset(out + 1, '#', filled);
	memset(out + 1 + filled, '.', inner - filled);
	out[width - 1] = ']';
	out[width] = '\0';
	return out;
}
