/*
 * http_framing: a body cut into chunks with a checksum of its content behind them, in one pass:
 * "aws-chunked" with the trailer x-amz-checksum-crc32c ("Signature calculations: transferring a
 * payload in multiple chunks", Amazon S3 API Reference; unsigned).  No I/O; the bytes come from a
 * ring.
 */
#pragma once
#include "src/ring.h"
#include <stdint.h>

#define HTTP_FRAMING_CHUNK 65536 /* of content; S3 wants 8 KiB at least, but for the last */

struct http_framing {
	uint64_t left; /* of the content, after the chunk under way */
	uint64_t chunk; /* of the chunk under way */
	uint32_t crc;
	char text[64]; /* what stands between contents, and goes first */
	size_t text_len, text_at;
	bool closing; /* text is the end */
};

/* The bytes of a body with so much content. */
uint64_t http_framing_length(uint64_t length);
void http_framing_init(struct http_framing *, uint64_t length); /* length > 0 */
/* The next bytes of the body, at most max; 0: the ring holds nothing, or all is done. */
size_t http_framing_read(struct http_framing *, struct ring *, void *out, size_t max);
bool http_framing_is_done(const struct http_framing *);
