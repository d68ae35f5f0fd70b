#include "src/hash.h"
#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DROPBOX_BLOCK ((size_t)4 * 1024 * 1024)

struct hash {
	unsigned types;
	EVP_MD_CTX *ctx[HASH_TYPES]; /* for DROPBOX: the hash over the blocks' hashes */
	EVP_MD_CTX *block; /* DROPBOX: the block being read */
	size_t block_len;
	uint32_t crc;
	uint64_t crc64;
};

static const struct {
	const char *name;
	size_t size;
	const char *algorithm; /* OpenSSL's */
} hashes[HASH_TYPES] = {
    [HASH_MD5] = {"md5", 16, "MD5"},
    [HASH_SHA1] = {"sha1", 20, "SHA1"},
    [HASH_SHA256] = {"sha256", 32, "SHA2-256"},
    [HASH_CRC32C] = {"crc32c", 4, NULL},
    [HASH_CRC64] = {"crc64nvme", 8, NULL},
    [HASH_DROPBOX] = {"dropbox", 32, "SHA2-256"},
};

/* Fetched once: OpenSSL 3 looks an algorithm up anew at each use otherwise. */
static EVP_MD *algorithms[HASH_TYPES];
static EVP_MAC_CTX *hmac; /* HMAC of SHA-256 without a key: copied for each use */
static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;

static void
hash_fetch(void)
{
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA2-256", 0),
	    OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	int t, ok;

	hmac = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	ok = hmac != NULL && EVP_MAC_CTX_set_params(hmac, params);
	assert(ok);

	for (t = 0; t < HASH_TYPES; t++) {
		if (hashes[t].algorithm == NULL)
			continue;
		algorithms[t] = EVP_MD_fetch(NULL, hashes[t].algorithm, NULL);
		assert(algorithms[t] != NULL);
	}
}

static EVP_MD_CTX *
hash_ctx_new(enum hash_type type)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx != NULL && EVP_DigestInit_ex(ctx, algorithms[type], NULL);

	assert(ok);
	return ctx;
}

struct hash *
hash_new(unsigned types)
{
	struct hash *h = xcalloc(1, sizeof *h);
	int t;

	assert(types < HASH_BIT(HASH_TYPES));
	pthread_once(&algorithms_once, hash_fetch);
	h->types = types;
	for (t = 0; t < HASH_TYPES; t++) {
		if ((types & HASH_BIT(t)) && hashes[t].algorithm != NULL)
			h->ctx[t] = hash_ctx_new(t);
	}
	if (types & HASH_BIT(HASH_DROPBOX))
		h->block = hash_ctx_new(HASH_DROPBOX);
	return h;
}

void
hash_free(struct hash *h)
{
	int t;

	if (h == NULL)
		return;
	for (t = 0; t < HASH_TYPES; t++)
		EVP_MD_CTX_free(h->ctx[t]);
	EVP_MD_CTX_free(h->block);
	free(h);
}

static EVP_MD_CTX *
hash_ctx_copy(const EVP_MD_CTX *from)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx != NULL && EVP_MD_CTX_copy_ex(ctx, from);

	assert(ok);
	return ctx;
}

struct hash *
hash_copy(const struct hash *from)
{
	struct hash *h = xcalloc(1, sizeof *h);
	int t;

	*h = *from;
	for (t = 0; t < HASH_TYPES; t++) {
		if (from->ctx[t] != NULL)
			h->ctx[t] = hash_ctx_copy(from->ctx[t]);
	}
	if (from->block != NULL)
		h->block = hash_ctx_copy(from->block);
	return h;
}

static void
hash_ctx_update(EVP_MD_CTX *ctx, const void *data, size_t len)
{
	int ok = EVP_DigestUpdate(ctx, data, len);

	assert(ok);
}

static void
hash_ctx_final(EVP_MD_CTX *ctx, unsigned char *out)
{
	int ok = EVP_DigestFinal_ex(ctx, out, NULL);

	assert(ok);
}

static void
hash_dropbox_end_block(struct hash *h)
{
	unsigned char sum[HASH_MAX_SIZE];
	int ok;

	hash_ctx_final(h->block, sum);
	hash_ctx_update(h->ctx[HASH_DROPBOX], sum, sizeof sum);
	ok = EVP_DigestInit_ex(h->block, algorithms[HASH_DROPBOX], NULL);
	assert(ok);
	h->block_len = 0;
}

static void
hash_dropbox_update(struct hash *h, const unsigned char *data, size_t len)
{
	while (len > 0) {
		size_t n = MIN(len, DROPBOX_BLOCK - h->block_len);

		hash_ctx_update(h->block, data, n);
		h->block_len += n;
		data += n;
		len -= n;
		if (h->block_len == DROPBOX_BLOCK)
			hash_dropbox_end_block(h);
	}
}

void
hash_update(struct hash *h, const void *data, size_t len)
{
	int t;

	if (len == 0)
		return;
	for (t = 0; t < HASH_TYPES; t++) {
		if (!(h->types & HASH_BIT(t)))
			continue;
		if (t == HASH_CRC32C)
			h->crc = crc32c(h->crc, data, len);
		else if (t == HASH_CRC64)
			h->crc64 = crc64(h->crc64, data, len);
		else if (t == HASH_DROPBOX)
			hash_dropbox_update(h, data, len);
		else
			hash_ctx_update(h->ctx[t], data, len);
	}
}

static void
digests_set_crc64(struct digests *d, uint64_t crc)
{
	unsigned char sum[8];

	for (unsigned i = 0; i < sizeof sum; i++)
		sum[i] = (unsigned char)(crc >> 8 * (7 - i));
	digests_set(d, HASH_CRC64, sum);
}

void
hash_final(struct hash *h, struct digests *out)
{
	int t;

	memset(out, 0, sizeof *out);
	out->have = h->types;
	if ((h->types & HASH_BIT(HASH_DROPBOX)) && h->block_len > 0)
		hash_dropbox_end_block(h);
	for (t = 0; t < HASH_TYPES; t++) {
		if (h->ctx[t] != NULL)
			hash_ctx_final(h->ctx[t], out->sum[t]);
	}
	if (h->types & HASH_BIT(HASH_CRC32C))
		digests_set_crc32c(out, h->crc);
	if (h->types & HASH_BIT(HASH_CRC64))
		digests_set_crc64(out, h->crc64);
	h->types = 0; /* once: a second call finds nothing */
}

size_t
hash_size(enum hash_type type)
{
	return hashes[type].size;
}

const char *
hash_name(enum hash_type type)
{
	return hashes[type].name;
}

int
hash_by_name(const char *name)
{
	int t;

	for (t = 0; t < HASH_TYPES; t++) {
		if (strcmp(hashes[t].name, name) == 0)
			return t;
	}
	return -EINVAL;
}

void
digests_set(struct digests *d, enum hash_type type, const void *sum)
{
	memcpy(d->sum[type], sum, hashes[type].size);
	d->have |= HASH_BIT(type);
}

uint32_t
digests_crc32c(const struct digests *d)
{
	const unsigned char *sum = d->sum[HASH_CRC32C];

	assert(d->have & HASH_BIT(HASH_CRC32C));
	return (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
}

void
digests_set_crc32c(struct digests *d, uint32_t crc)
{
	const unsigned char sum[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16),
	    (unsigned char)(crc >> 8), (unsigned char)crc};

	digests_set(d, HASH_CRC32C, sum);
}

int
digests_common(const struct digests *a, const struct digests *b)
{
	static const enum hash_type by_cost[] = {
	    HASH_CRC32C, HASH_CRC64, HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_DROPBOX};
	size_t i;

	for (i = 0; i < ARRAY_LEN(by_cost); i++) {
		if (a->have & b->have & HASH_BIT(by_cost[i]))
			return (int)by_cost[i];
	}
	return -1;
}

bool
digests_equal(const struct digests *a, const struct digests *b, enum hash_type type)
{
	return (a->have & b->have & HASH_BIT(type)) &&
	    memcmp(a->sum[type], b->sum[type], hashes[type].size) == 0;
}

void
hmac_sha256(unsigned char out[32], const void *key, size_t key_len, const void *data, size_t len)
{
	EVP_MAC_CTX *ctx;
	size_t n = 0;
	int ok;

	pthread_once(&algorithms_once, hash_fetch);
	ctx = EVP_MAC_CTX_dup(hmac);
	ok = ctx != NULL && EVP_MAC_init(ctx, key, key_len, NULL) &&
	    EVP_MAC_update(ctx, data, len) && EVP_MAC_final(ctx, out, &n, 32);
	assert(ok && n == 32);
	EVP_MAC_CTX_free(ctx);
}

void
sha256(unsigned char out[32], const void *data, size_t len)
{
	int ok;

	pthread_once(&algorithms_once, hash_fetch);
	ok = EVP_Digest(data, len, out, NULL, algorithms[HASH_SHA256], NULL);
	assert(ok);
}

bool
equal_constant_time(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
