/*
 * format: numbers as people read them.  Pure functions; each writes into the caller's buffer,
 * always terminated, and returns it, so that they can stand in an argument list.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAX 32 /* every result fits */

/* "512 B", "1.5 KiB", "12.3 MiB", "456 GiB" (1024); UINT64_MAX: "?" */
char *format_bytes(char out[FORMAT_MAX], uint64_t bytes);
/* "12.3 MiB/s" */
char *format_rate(char out[FORMAT_MAX], uint64_t bytes_per_second);
/* "0:07", "12:34", "3:04:05", "5d 3h"; UINT64_MAX: "?" */
char *format_duration(char out[FORMAT_MAX], uint64_t seconds);
/* "1,234,567" */
char *format_count(char out[FORMAT_MAX], uint64_t n);
/* RFC 3339 text of the API -> local "2026-11-23 07:00:00"; what is no time gives "-". */
char *format_time(char out[FORMAT_MAX], const char *rfc3339);
/* "[#####.....]" of `width` columns (>= 3; at most size - 1); total 0 counts as done, UINT64_MAX is
   unknown and stays empty. */
char *format_bar(char *out, size_t size, uint64_t done, uint64_t total, unsigned width);
/* 0..100, rounded down, 100 only when it is all there; -1 while the total is unknown. */
int format_percent(uint64_t done, uint64_t total);
