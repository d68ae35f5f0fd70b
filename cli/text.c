#include "cli/text.h"
#include "src/buf.h"
#include <string.h>
#include <wchar.h>

#define ELLIPSIS "..."

/* Bytes of the UTF-8 character at s, and the character; 0: not UTF-8.  Not mbrtowc: the locale may
   be "C", and what the API sends is UTF-8 in every locale. */
static size_t
text_decode(unsigned *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (len == 0 || p[0] > 0xf4)
		return 0;
	*out = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*out = *out << 6 | (p[i] & 0x3f);
	}
	if (len > 1 && (*out < least[len] || *out > 0x10ffff || (*out >= 0xd800 && *out < 0xe000)))
		return 0;
	return len;
}

static bool
text_is_harmless(unsigned c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	/* line and paragraph separators, and the marks, embeddings and isolates of direction */
	return !(c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069) || c == 0x061c || c == 0xfeff);
}

char *
text_escape(const char *s)
{
	struct buf out = BUF_INIT(4 * strlen(s) + 1);
	unsigned c;

	buf_puts(&out, "");
	while (*s != '\0') {
		size_t len = text_decode(&c, s);

		if (len > 0 && text_is_harmless(c)) {
			buf_add(&out, s, len);
			s += len;
			continue;
		}
		for (len = MAX(len, 1); len > 0; len--)
			buf_printf(&out, "\\x%02x", (unsigned char)*s++);
	}
	if (out.data == NULL)
		return xstrdup("");
	return buf_take(&out);
}

static size_t
text_char_width(unsigned c)
{
	int width = wcwidth((wchar_t)c);

	/* in the C locale nothing beyond ASCII has a width: one column is the best guess */
	return width < 0 ? 1 : (size_t)width;
}

size_t
text_width(const char *s)
{
	size_t width = 0, len;
	unsigned c;

	for (; *s != '\0'; s += len) {
		len = text_decode(&c, s);
		width += len == 0 ? 1 : text_char_width(c);
		len = MAX(len, 1);
	}
	return width;
}

/* The longest front of s that is at most `columns` wide, in bytes. */
static size_t
text_front(const char *s, size_t columns)
{
	size_t width = 0, bytes = 0, len;
	unsigned c;

	for (; s[bytes] != '\0'; bytes += len) {
		len = text_decode(&c, s + bytes);
		width += len == 0 ? 1 : text_char_width(c);
		len = MAX(len, 1);
		if (width > columns)
			break;
	}
	return bytes;
}

char *
text_fit(const char *escaped, size_t columns)
{
	size_t width = text_width(escaped), front, tail;

	if (width <= columns)
		return xstrdup(escaped);
	if (columns <= strlen(ELLIPSIS))
		return xstrndup(escaped, text_front(escaped, columns));
	columns -= strlen(ELLIPSIS);
	/* the end tells more (the name of the file): it gets the larger half */
	front = text_front(escaped, columns / 3);
	tail = text_front(escaped, width - (columns - columns / 3));
	/* a wide character cut in two at the tail's start would be one column too many */
	while (text_width(escaped + tail) > columns - columns / 3) {
		unsigned c;
		size_t len = text_decode(&c, escaped + tail);

		tail += MAX(len, 1);
	}
	return xasprintf("%.*s" ELLIPSIS "%s", (int)front, escaped, escaped + tail);
}

size_t
text_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), row[64];

	if (lb >= ARRAY_LEN(row))
		return MAX(la, lb);
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t above = row[j];
			size_t edit = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);

			row[j] = MIN(edit, MIN(above, row[j - 1]) + 1);
			diagonal = above;
		}
	}
	return row[lb];
}
