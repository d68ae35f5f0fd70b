#include "src/buf.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_CAP_MIN 64

void
buf_free(struct buf *b)
{
	if (b->secret && b->data != NULL)
		mem_wipe(b->data, b->cap);
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
	b->failed = false;
}

void
buf_reset(struct buf *b)
{
	if (b->secret && b->data != NULL)
		mem_wipe(b->data, b->cap);
	b->len = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

/* Room for `more` bytes and the NUL. */
static bool
buf_reserve(struct buf *b, size_t more)
{
	size_t need, cap;
	char *data;

	if (b->failed)
		return false;
	if (more > b->max || b->len > b->max - more || b->max == SIZE_MAX) {
		b->failed = true;
		return false;
	}
	need = b->len + more + 1;
	if (need <= b->cap)
		return true;
	cap = MAX(need, MIN(b->cap * 2, b->max + 1));
	cap = MAX(cap, (size_t)BUF_CAP_MIN);
	if (!b->secret) {
		b->data = xrealloc(b->data, cap, 1);
	} else {
		data = xmalloc(cap);
		if (b->data != NULL) {
			memcpy(data, b->data, b->len);
			mem_wipe(b->data, b->cap);
			free(b->data);
		}
		b->data = data;
	}
	b->cap = cap;
	b->data[b->len] = '\0';
	return true;
}

bool
buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_reserve(b, len))
		return false;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return true;
}

bool
buf_puts(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

bool
buf_putc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

bool
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!buf_reserve(b, 0))
		return false;
	va_start(ap, fmt);
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->data[b->len] = '\0';
		b->failed = true;
		return false;
	}
	if ((size_t)n >= b->cap - b->len) {
		b->data[b->len] = '\0';
		if (!buf_reserve(b, (size_t)n))
			return false;
		va_start(ap, fmt);
		vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
	}
	/* The first try may have fitted into spare capacity beyond the maximum. */
	if ((size_t)n > b->max - b->len) {
		b->data[b->len] = '\0';
		b->failed = true;
		return false;
	}
	b->len += (size_t)n;
	return true;
}

static bool
uri_is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '.' || c == '_' || c == '~';
}

bool
buf_put_uri(struct buf *b, const char *s, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};

		if (uri_is_unreserved(c) || (keep != NULL && strchr(keep, c) != NULL))
			buf_putc(b, (char)c);
		else
			buf_add(b, escaped, sizeof escaped);
	}
	return !b->failed;
}

bool
buf_put_hex(struct buf *b, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < len; i++) {
		char pair[2] = {digits[p[i] >> 4], digits[p[i] & 15]};

		buf_add(b, pair, sizeof pair);
	}
	return !b->failed;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool
buf_put_base64(struct buf *b, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (; len > 0; p += 3) {
		size_t n = MIN(len, (size_t)3);
		unsigned bits =
		    (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
		char out[4] = {
		    base64_digits[bits >> 18],
		    base64_digits[bits >> 12 & 63],
		    n > 1 ? base64_digits[bits >> 6 & 63] : '=',
		    n > 2 ? base64_digits[bits & 63] : '=',
		};

		buf_add(b, out, sizeof out);
		len -= n;
	}
	return !b->failed;
}

void
buf_consume(struct buf *b, size_t len)
{
	assert(len <= b->len);
	if (len == 0)
		return;
	memmove(b->data, b->data + len, b->len - len + 1);
	b->len -= len;
}

const char *
buf_str(const struct buf *b)
{
	return b->data != NULL ? b->data : "";
}

char *
buf_take(struct buf *b)
{
	char *s = b->data != NULL ? TAKE(b->data) : xstrdup("");

	b->len = b->cap = 0;
	b->failed = false;
	return s;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t
uri_decode(char *s)
{
	char *to = s;
	const char *from;

	for (from = s; *from != '\0'; from++) {
		int high = *from == '%' ? hex_digit(from[1]) : -1;
		int low = high >= 0 ? hex_digit(from[2]) : -1;

		if (low >= 0) {
			*to++ = (char)(high << 4 | low);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return (size_t)(to - s);
}

int
hex_decode(void *out, size_t size, const char *hex)
{
	unsigned char *to = out;
	size_t i, len = strlen(hex);

	if (len % 2 != 0 || len / 2 > size || len / 2 > INT32_MAX)
		return -EINVAL;
	for (i = 0; i < len / 2; i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		to[i] = (unsigned char)(high << 4 | low);
	}
	return (int)i;
}

static int
base64_digit(char c)
{
	const char *at = c != '\0' ? strchr(base64_digits, c) : NULL;

	return at != NULL ? (int)(at - base64_digits) : -1;
}

/* RFC 4648 section 4, strictly: padded, no line breaks, no bits left over. */
int
base64_decode(void *out, size_t size, const char *text)
{
	unsigned char *to = out;
	size_t i, len = strlen(text), n = 0, pad = 0;

	if (len % 4 != 0 || len > INT32_MAX)
		return -EINVAL;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	if (len / 4 * 3 - pad > size)
		return -EINVAL;
	for (i = 0; i < len; i += 4) {
		size_t keep = i + 4 == len ? 3 - pad : 3;
		unsigned bits = 0;
		size_t k;

		for (k = 0; k < 4; k++) {
			int d = k > keep ? 0 : base64_digit(text[i + k]);

			if (d < 0)
				return -EINVAL;
			bits = bits << 6 | (unsigned)d;
		}
		if (keep < 3 && (bits & ((1u << (8 * (3 - keep))) - 1)) != 0)
			return -EINVAL;
		for (k = 0; k < keep; k++)
			to[n++] = (unsigned char)(bits >> (16 - 8 * k));
	}
	return (int)n;
}

/* RFC 3629 section 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t
utf8_char_len(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xbf;
	size_t i, n;

	if (len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (len < n || p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

size_t
utf8_valid_len(const char *s, size_t len)
{
	size_t done = 0, n;

	while (done < len && (n = utf8_char_len(s + done, len - done)) > 0)
		done += n;
	return done;
}
