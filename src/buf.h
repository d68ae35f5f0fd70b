/*
 * buf: bytes that grow up to a hard maximum.  The first add that would pass the maximum sets
 * `failed`; from then on every add does nothing, so a sequence is checked once, at its end.
 * data is always NUL-terminated (the NUL is not counted in len).
 */
#pragma once
#include "src/mem.h"
#include <stdbool.h>
#include <stdint.h>

struct buf {
	char *data; /* NULL until the first add */
	size_t len, cap, max;
	bool failed;
	bool secret; /* wiped when grown or freed */
};

#define BUF_INIT(limit)                                                                            \
	{                                                                                          \
		.max = (limit)                                                                     \
	}

void buf_free(struct buf *); /* usable with CLEANUP; ready for use again */
void buf_reset(struct buf *); /* len = 0, failed = false, memory kept */
bool buf_add(struct buf *, const void *data, size_t len); /* false if it has failed */
bool buf_puts(struct buf *, const char *s);
bool buf_putc(struct buf *, char c);
bool buf_printf(struct buf *, const char *fmt, ...) PRINTF(2, 3);
/* Percent-encodes all but RFC 3986 unreserved characters and those in `keep` (NULL: none). */
bool buf_put_uri(struct buf *, const char *s, const char *keep);
bool buf_put_hex(struct buf *, const void *data, size_t len);
bool buf_put_base64(struct buf *, const void *data, size_t len);
void buf_consume(struct buf *, size_t len); /* drop bytes from the front */
const char *buf_str(const struct buf *); /* never NULL */
char *buf_take(struct buf *); /* caller frees; buf is empty afterwards */
/* In place; returns the new length.  "%zz" is kept as it is. */
size_t uri_decode(char *s);
/* Returns bytes written, or -EINVAL on a character that is no hex digit, odd length or lack of
 * room. */
int hex_decode(void *out, size_t size, const char *hex);
/* Returns bytes written, or -EINVAL. */
int base64_decode(void *out, size_t size, const char *text);
/* Bytes of the character at s, 0 if it is not valid UTF-8 (RFC 3629). */
size_t utf8_char_len(const char *s, size_t len);
/* Length of the longest prefix that is valid UTF-8. */
size_t utf8_valid_len(const char *s, size_t len);
