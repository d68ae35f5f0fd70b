/*
 * clock: time as the project counts it: milliseconds or nanoseconds since 1970 (UTC), or monotonic
 * milliseconds for measuring.  Modules that must be testable take the time as an argument instead.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t clock_ms(void); /* wall clock */
int64_t clock_ns(void); /* wall clock */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);
/* "2026-11-23T07:00:00.000Z"; size must be >= 25.  Returns out. */
char *clock_format(char *out, size_t size, uint64_t ms);
/* "1969-12-31T23:59:59.999999999Z": all of a time; size must be >= 36.  Returns out. */
char *clock_format_ns(char *out, size_t size, int64_t ns);
int clock_parse(uint64_t *out_ms, const char *text); /* RFC 3339 with Z or offset; -EINVAL */
/* The same, before 1970 too; finer than ns is dropped. */
int clock_parse_ns(int64_t *out_ns, const char *text);
/* IMF-fixdate of HTTP ("Sun, 06 Nov 1994 08:49:37 GMT"), -> seconds; -EINVAL */
int clock_parse_http(int64_t *out, const char *text);
/* The other way round; size must be >= 30.  Returns out. */
char *clock_format_http(char *out, size_t size, uint64_t ms);
