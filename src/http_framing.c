#include "src/http_framing.h"
#include "src/buf.h"
#include "src/hash.h"
#include <stdio.h>
#include <string.h>

/* "0\r\n" "x-amz-checksum-crc32c:" 8 characters "\r\n" "\r\n" */
#define FRAMING_END 37

static uint64_t
framing_chunk_length(uint64_t content)
{
	char text[20];

	/* The size in hex and the two line ends. */
	return content +
	    (uint64_t)snprintf(text, sizeof text, "%llx", (unsigned long long)content) + 4;
}

uint64_t
http_framing_length(uint64_t length)
{
	uint64_t full = length / HTTP_FRAMING_CHUNK, rest = length % HTTP_FRAMING_CHUNK;

	return full * framing_chunk_length(HTTP_FRAMING_CHUNK) +
	    (rest > 0 ? framing_chunk_length(rest) : 0) + FRAMING_END;
}

static void
framing_begin_chunk(struct http_framing *f, const char *before)
{
	f->chunk = MIN(f->left, HTTP_FRAMING_CHUNK);
	f->left -= f->chunk;
	f->text_len = (size_t)snprintf(
	    f->text, sizeof f->text, "%s%llx\r\n", before, (unsigned long long)f->chunk);
	f->text_at = 0;
}

static void
framing_close(struct http_framing *f)
{
	const unsigned char sum[4] = {(unsigned char)(f->crc >> 24), (unsigned char)(f->crc >> 16),
	    (unsigned char)(f->crc >> 8), (unsigned char)f->crc};
	CLEANUP(buf_free) struct buf text = BUF_INIT(16);

	buf_put_base64(&text, sum, sizeof sum);
	f->text_len = (size_t)snprintf(
	    f->text, sizeof f->text, "\r\n0\r\nx-amz-checksum-crc32c:%s\r\n\r\n", buf_str(&text));
	f->text_at = 0;
	f->closing = true;
}

void
http_framing_init(struct http_framing *f, uint64_t length)
{
	*f = (struct http_framing){.left = length};
	framing_begin_chunk(f, "");
}

bool
http_framing_is_done(const struct http_framing *f)
{
	return f->closing && f->text_at == f->text_len;
}

size_t
http_framing_read(struct http_framing *f, struct ring *ring, void *out, size_t max)
{
	unsigned char *to = out;
	size_t done = 0, len;

	while (done < max && !http_framing_is_done(f)) {
		if (f->text_at < f->text_len) {
			len = MIN(f->text_len - f->text_at, max - done);
			memcpy(to + done, f->text + f->text_at, len);
			f->text_at += len;
			done += len;
			continue;
		}
		len = ring_get(ring, to + done, MIN(f->chunk, max - done));
		if (len == 0)
			break;
		f->crc = crc32c(f->crc, to + done, len);
		f->chunk -= len;
		done += len;
		if (f->chunk == 0 && f->left > 0)
			framing_begin_chunk(f, "\r\n");
		else if (f->chunk == 0)
			framing_close(f);
	}
	return done;
}
