/*
 * text: what other people wrote (names, messages of clouds), made safe for a terminal and fitted to
 * it.
 *
 * Escaped: control characters (C0, DEL, C1), the marks that turn the direction of writing, and
 * bytes that are no UTF-8: each byte as \xNN.  A backslash stays what it is: this is for reading,
 * --json is for programs.
 */
#pragma once
#include <stddef.h>

char *text_escape(const char *s); /* caller frees */
/* Columns it takes on a terminal; s must have been escaped. */
size_t text_width(const char *s);
/* At most `columns` wide: too long a text loses its middle ("photos/201...e.jpg").  Caller frees.
 */
char *text_fit(const char *escaped, size_t columns);
/* How many single-character edits turn a into b, for "did you mean". */
size_t text_distance(const char *a, const char *b);
