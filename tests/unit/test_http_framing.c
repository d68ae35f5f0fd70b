/* Bodies with a checksum behind them, byte by byte. */
#include "src/hash.h"
#include "src/http_framing.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

#define RING_SIZE 131072

/* The whole body of `len` bytes, put in pieces of `piece` and read in pieces of `max`. */
static void
frame(struct buf *out, const unsigned char *content, size_t len, size_t piece, size_t max)
{
	struct ring *ring = ring_new(RING_SIZE, 16384);
	CLEANUP(cleanup_free) char *bytes = xmalloc(max);
	struct http_framing f;
	size_t put = 0, n;

	buf_reset(out);
	http_framing_init(&f, len);
	while (!http_framing_is_done(&f)) {
		n = http_framing_read(&f, ring, bytes, max);
		buf_add(out, bytes, n);
		if (n == 0) {
			assert_true(put < len); /* it waits for content, and for nothing else */
			n = MIN(piece, len - put);
			assert_true(ring_put(ring, content + put, n));
			put += n;
		}
	}
	assert_int_equal(put, len);
	assert_int_equal(http_framing_read(&f, ring, bytes, max), 0);
	assert_int_equal(out->len, http_framing_length(len));
	assert_false(out->failed);
	ring_free(ring);
}

static void
test_exact(void **state)
{
	CLEANUP(buf_free) struct buf got = BUF_INIT(4096);

	/* The check value of CRC-32C. */
	for (size_t max = 1; max < 60; max++) {
		frame(&got, (const unsigned char *)"123456789", 9, 1 + max % 9, max);
		assert_string_equal(
		    buf_str(&got), "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32c:4waSgw==\r\n\r\n");
	}
}

/* Takes the frame off again. */
static void
expect_content(const struct buf *body, const unsigned char *content, size_t len)
{
	const char *at = buf_str(body);
	size_t done = 0, chunk;
	char *end;

	for (;;) {
		chunk = strtoul(at, &end, 16);
		assert_memory_equal(end, "\r\n", 2);
		at = end + 2;
		if (chunk == 0)
			break;
		assert_true(done + chunk <= len);
		assert_true(chunk == HTTP_FRAMING_CHUNK || done + chunk == len);
		assert_memory_equal(at, content + done, chunk);
		done += chunk;
		at += chunk;
		assert_memory_equal(at, "\r\n", 2);
		at += 2;
	}
	assert_int_equal(done, len);
	assert_int_equal(buf_str(body) + body->len - at, strlen("x-amz-checksum-crc32c:") + 12);
}

static void
test_lengths(void **state)
{
	static const size_t lengths[] = {1, 15, 16, 65535, 65536, 65537, 131072, 300001};
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 20);
	unsigned char *content = xmalloc(300001);
	CLEANUP(buf_free) struct buf sum = BUF_INIT(16);

	for (size_t i = 0; i < 300001; i++)
		content[i] = (unsigned char)(i * 2654435761u >> 13);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		uint32_t crc = crc32c(0, content, lengths[i]);
		const unsigned char bytes[4] = {(unsigned char)(crc >> 24),
		    (unsigned char)(crc >> 16), (unsigned char)(crc >> 8), (unsigned char)crc};

		buf_reset(&sum);
		buf_put_base64(&sum, bytes, 4);
		for (size_t max = 1000; max <= 100000; max *= 10) {
			frame(&got, content, lengths[i], 7777, max);
			expect_content(&got, content, lengths[i]);
			assert_memory_equal(got.data + got.len - 12, buf_str(&sum), 8);
		}
	}
	assert_int_equal(
	    http_framing_length((uint64_t)5 << 30), ((uint64_t)5 << 30) + 81920 * (5 + 4) + 37);
	free(content);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exact),
	    cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
