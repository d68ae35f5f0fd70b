/*
 * hash: streaming hashes, several at once over the same bytes.  CRC32C uses the processor where it
 * can (SSE4.2, ARMv8 CRC), else tables; the others are OpenSSL's.
 */
#pragma once
#include "src/buf.h"

enum hash_type {
	HASH_MD5, /* RFC 1321 */
	HASH_SHA1, /* FIPS 180-4 */
	HASH_SHA256, /* FIPS 180-4 */
	HASH_CRC32C, /* RFC 3720 appendix B.4; 4 bytes, big-endian, as the clouds print it */
	HASH_CRC64, /* CRC-64/NVME; 8 bytes, big-endian */
	HASH_DROPBOX, /* SHA-256 of the SHA-256s of each 4 MiB block (Dropbox "Content hash") */
	HASH_TYPES
};
#define HASH_BIT(type) (1u << (type))
#define HASH_MAX_SIZE  32

/* What is known of a content's hashes: sum[t] is valid if have & HASH_BIT(t). */
struct digests {
	unsigned have;
	unsigned char sum[HASH_TYPES][HASH_MAX_SIZE];
};

struct hash;
struct hash *hash_new(unsigned types); /* a set of HASH_BIT()s; 0 is allowed */
void hash_free(struct hash *);
struct hash *hash_copy(const struct hash *); /* goes on from where it stands; caller frees */
void hash_update(struct hash *, const void *data, size_t len);
void hash_final(struct hash *, struct digests *out); /* once */

size_t hash_size(enum hash_type);
const char *hash_name(enum hash_type); /* "md5" "sha1" "sha256" "crc32c" "crc64nvme" "dropbox" */
int hash_by_name(const char *); /* -EINVAL */
void digests_set(struct digests *, enum hash_type, const void *sum);
/* The cheapest type both know (CRC32C < CRC64 < MD5 < SHA1 < SHA256 < DROPBOX), or -1. */
int digests_common(const struct digests *, const struct digests *);
bool digests_equal(const struct digests *, const struct digests *, enum hash_type);

uint32_t crc32c(uint32_t crc, const void *data, size_t len); /* start with 0 */
uint32_t
crc32c_portable(uint32_t crc, const void *data, size_t len); /* by tables; to test the other */
/* Of A and B, from that of A, that of B, and the length of B in bytes. */
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t b_len);
uint64_t crc64(uint64_t crc, const void *data, size_t len); /* start with 0 */
uint32_t digests_crc32c(const struct digests *); /* which must have it */
void digests_set_crc32c(struct digests *, uint32_t crc);
/* out: exactly size bytes */
void
hmac_sha256(unsigned char out[32], const void *key, size_t key_len, const void *data, size_t len);
void sha256(unsigned char out[32], const void *data, size_t len);
bool equal_constant_time(const void *a, const void *b, size_t len);
