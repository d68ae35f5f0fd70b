#include "src/hash.h"
#include "tests/unit/check.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALL (HASH_BIT(HASH_TYPES) - 1)
#define MIB ((size_t)1 << 20)

static void
assert_sum(const struct digests *d, enum hash_type type, const char *hex)
{
	unsigned char sum[HASH_MAX_SIZE];

	assert_int_equal(hex_decode(sum, sizeof sum, hex), hash_size(type));
	assert_true(d->have & HASH_BIT(type));
	assert_memory_equal(d->sum[type], sum, hash_size(type));
}

static void
sum_repeated(struct digests *out, const char *text, size_t times)
{
	struct hash *h = hash_new(ALL);

	for (; times > 0; times--)
		hash_update(h, text, strlen(text));
	hash_final(h, out);
	hash_free(h);
}

/* RFC 1321 A.5, FIPS 180-4's examples (NIST), RFC 3720 B.4's polynomial ("123456789": its check
 * value). */
static const struct {
	enum hash_type type;
	const char *text;
	size_t times;
	const char *hex;
} vectors[] = {
    {HASH_MD5, "", 0, "d41d8cd98f00b204e9800998ecf8427e"},
    {HASH_MD5, "abc", 1, "900150983cd24fb0d6963f7d28e17f72"},
    {HASH_MD5, "message digest", 1, "f96b697d7cb7938d525a2f31aaf161d0"},
    {HASH_MD5, "1234567890", 8, "57edf4a22be3c955ac49da2e2107b67a"},
    {HASH_SHA1, "", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {HASH_SHA1, "abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {HASH_SHA1, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	"84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {HASH_SHA1, "a", 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
    {HASH_SHA256, "", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {HASH_SHA256, "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {HASH_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {HASH_SHA256, "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {HASH_CRC32C, "", 0, "00000000"},
    {HASH_CRC32C, "123456789", 1, "e3069283"},
    {HASH_CRC64, "", 0, "0000000000000000"},
    {HASH_CRC64, "123456789", 1, "ae8b14860a799888"}, /* CRC-64/NVME's check value */
    {HASH_CRC64, "a", 32, "533ca5525a1ec652"}, /* by the definition, a bit at a time */
    /* no block at all: SHA-256 of nothing */
    {HASH_DROPBOX, "", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    /* one block: SHA-256 of the SHA-256 of "abc", which FIPS 180-4 gives */
    {HASH_DROPBOX, "abc", 1, "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"},
};

static void
test_vectors(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(vectors); i++) {
		struct digests d;

		sum_repeated(&d, vectors[i].text, vectors[i].times);
		assert_int_equal(d.have, ALL);
		assert_sum(&d, vectors[i].type, vectors[i].hex);
	}
}

/* RFC 3720 B.4 prints the CRCs of 32 bytes; its byte strings are little-endian. */
static void
test_crc32c_of_rfc_3720(void **state)
{
	unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
	size_t i;

	memset(ones, 0xff, sizeof ones);
	for (i = 0; i < 32; i++) {
		up[i] = (unsigned char)i;
		down[i] = (unsigned char)(31 - i);
	}
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
	assert_int_equal(crc32c(0, up, 32), 0x46dd794e);
	assert_int_equal(crc32c(0, down, 32), 0x113fdb5c);
	assert_int_equal(crc32c_portable(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c_portable(0, down, 32), 0x113fdb5c);
}

/* The definition, a bit at a time. */
static uint32_t
crc32c_by_bits(const unsigned char *p, size_t len)
{
	uint32_t crc = ~0u;
	int bit;

	for (; len > 0; p++, len--) {
		crc ^= *p;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static unsigned char *
noise(size_t len)
{
	unsigned char *p = xmalloc(len);
	uint64_t random = 7;
	size_t i;

	for (i = 0; i < len; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		p[i] = (unsigned char)(random >> 56);
	}
	return p;
}

static void
test_crc32c_ways_agree(void **state)
{
	/* around the block sizes of the interleaved version, at all alignments */
	static const size_t lengths[] = {0, 1, 7, 8, 9, 15, 63, 255, 767, 768, 769, 775, 1536, 4095,
	    4096, 24575, 24576, 24577, 25344, 49152, 50000, 100003};
	unsigned char *p = noise(110000);
	size_t i, shift, cut;

	for (i = 0; i < ARRAY_LEN(lengths); i++) {
		for (shift = 0; shift < 8; shift++) {
			uint32_t want = crc32c_by_bits(p + shift, lengths[i]);

			assert_int_equal(crc32c(0, p + shift, lengths[i]), want);
			assert_int_equal(crc32c_portable(0, p + shift, lengths[i]), want);
			cut = lengths[i] * (shift + 1) / 9; /* in two steps */
			assert_int_equal(
			    crc32c(crc32c(0, p + shift, cut), p + shift + cut, lengths[i] - cut),
			    want);
		}
	}
	free(p);
}

/* Dropbox's definition, over the whole content at once. */
static void
dropbox_at_once(unsigned char out[32], const unsigned char *p, size_t len)
{
	unsigned char sums[16 * 32];
	size_t n = 0, at;

	for (at = 0; at < len; at += 4 * MIB)
		sha256(sums + 32 * n++, p + at, MIN(4 * MIB, len - at));
	sha256(out, sums, 32 * n);
}

static void
test_dropbox_blocks(void **state)
{
	static const size_t lengths[] = {
	    1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 9 * MIB + 5};
	unsigned char *p = noise(10 * MIB), want[32];
	size_t i, at, n;

	for (i = 0; i < ARRAY_LEN(lengths); i++) {
		struct hash *h = hash_new(HASH_BIT(HASH_DROPBOX));
		struct digests d;

		for (at = 0; at < lengths[i]; at += n) { /* steps that straddle the blocks */
			n = MIN((size_t)999983, lengths[i] - at);
			hash_update(h, p + at, n);
		}
		hash_final(h, &d);
		hash_free(h);
		dropbox_at_once(want, p, lengths[i]);
		assert_memory_equal(d.sum[HASH_DROPBOX], want, 32);
	}
	free(p);
}

static void
test_pieces_make_no_difference(void **state)
{
	unsigned char *p = noise(20000);
	struct hash *whole = hash_new(ALL), *pieces = hash_new(ALL), *none = hash_new(0);
	struct digests a, b, c;
	size_t at, n;
	int t;

	hash_update(whole, p, 20000);
	for (at = 0, n = 0; at < 20000; at += n, n = MIN(n + 1, 20000 - at))
		hash_update(pieces, p + at, n);
	hash_update(none, p, 20000);
	hash_final(whole, &a);
	hash_final(pieces, &b);
	hash_final(none, &c);
	for (t = 0; t < HASH_TYPES; t++)
		assert_true(digests_equal(&a, &b, t));
	assert_int_equal(c.have, 0);
	hash_free(whole);
	hash_free(pieces);
	hash_free(none);
	hash_free(NULL);
	free(p);
}

static void
test_digests(void **state)
{
	struct digests a = {0}, b = {0};
	unsigned char sum[32] = {1, 2, 3};

	assert_int_equal(digests_common(&a, &b), -1);
	digests_set(&a, HASH_SHA256, sum);
	digests_set(&b, HASH_MD5, sum);
	assert_int_equal(digests_common(&a, &b), -1);
	assert_false(digests_equal(&a, &b, HASH_MD5)); /* only one has it */
	digests_set(&b, HASH_SHA256, sum);
	assert_int_equal(digests_common(&a, &b), HASH_SHA256);
	digests_set(&a, HASH_MD5, sum);
	assert_int_equal(digests_common(&a, &b), HASH_MD5);
	digests_set(&a, HASH_CRC32C, sum);
	digests_set(&b, HASH_CRC32C, sum);
	assert_int_equal(digests_common(&a, &b), HASH_CRC32C);
	assert_true(digests_equal(&a, &b, HASH_SHA256));
	sum[31] = 9;
	digests_set(&b, HASH_SHA256, sum);
	assert_false(digests_equal(&a, &b, HASH_SHA256));
}

static void
test_names(void **state)
{
	int t;

	for (t = 0; t < HASH_TYPES; t++)
		assert_int_equal(hash_by_name(hash_name(t)), t);
	assert_int_equal(hash_by_name("md4"), -EINVAL);
}

/* RFC 4231, cases 1, 2 and 6 */
static void
test_hmac(void **state)
{
	unsigned char key[131], out[32], want[32];

	memset(key, 0x0b, 20);
	hmac_sha256(out, key, 20, "Hi There", 8);
	hex_decode(want, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_memory_equal(out, want, 32);
	hmac_sha256(out, "Jefe", 4, "what do ya want for nothing?", 28);
	hex_decode(want, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_memory_equal(out, want, 32);
	memset(key, 0xaa, 131);
	hmac_sha256(out, key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54);
	hex_decode(want, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_memory_equal(out, want, 32);
	assert_true(equal_constant_time(out, want, 32));
	out[31] ^= 1;
	assert_false(equal_constant_time(out, want, 32));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_crc32c_of_rfc_3720),
	    cmocka_unit_test(test_crc32c_ways_agree),
	    cmocka_unit_test(test_dropbox_blocks),
	    cmocka_unit_test(test_pieces_make_no_difference),
	    cmocka_unit_test(test_digests),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_hmac),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
