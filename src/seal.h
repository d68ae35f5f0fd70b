/*
 * seal: credentials at rest.  AES-256-GCM, random 96-bit nonce, associated data given by the caller
 * (the account's id), key version in front.  The master key is 32 random bytes in a 0600 file
 * outside the database, made at first start. Sealed form: 1 byte format (1), 4 bytes key version
 * (big-endian), 12 nonce, ciphertext, 16 tag.
 */
#pragma once
#include "src/buf.h"
#include "src/err.h"

struct seal_key;
/* Makes the file if it does not exist and `create`.  Refuses one that others can read. */
int seal_key_load(struct seal_key **out, const char *path, bool create, struct err *);
void seal_key_free(struct seal_key *); /* wiped */
/* 16 bytes that tell whether two keys are the same (HMAC of a constant); kept in the store. */
void seal_key_check(const struct seal_key *, unsigned char out[16]);
int seal(struct buf *out, const struct seal_key *, const char *aad, const void *plain, size_t len,
    struct err *);
/* -EBADMSG: wrong key, wrong aad or damaged.  *out should be marked secret by the caller. */
int unseal(struct buf *out, const struct seal_key *, const char *aad, const void *sealed,
    size_t len, struct err *);
/* Derives `len` bytes for a purpose ("jwt") from the master key (HKDF-SHA256). */
void seal_derive(const struct seal_key *, const char *purpose, unsigned char *out, size_t len);
int random_bytes(void *out, size_t len); /* aborts if the system has none; returns 0 */
