#include "src/seal.h"
#include "src/hash.h"
#include "src/paths.h"
#include <assert.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEAL_KEY_SIZE    32
#define SEAL_KEY_VERSION 1 /* of the one key that a key file holds */
#define SEAL_FORMAT      1
#define SEAL_NONCE       12 /* NIST SP 800-38D section 5.2.1.1: 96 bits */
#define SEAL_TAG         16
#define SEAL_HEAD        (1 + 4 + SEAL_NONCE)
#define SEAL_PLAIN_MAX   ((size_t)1 << 20)

struct seal_key {
	unsigned char bytes[SEAL_KEY_SIZE];
};

int
random_bytes(void *out, size_t len)
{
	unsigned char *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort(); /* no safe way on without randomness */
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
seal_write_all(int fd, const unsigned char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
seal_sync_parent(const char *path)
{
	CLEANUP(cleanup_free) char *dir = xstrdup(path);
	CLEANUP(cleanup_close) int fd = -1;
	char *slash = strrchr(dir, '/');

	if (slash == NULL)
		memcpy(dir, ".", 2); /* a relative name has at least one byte */
	else
		slash[slash == dir ? 1 : 0] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) != 0 ? -errno : 0;
}

/* The file appears whole, durable and with its mode, or not at all; one that appeared meanwhile
 * stays. */
static int
seal_key_make(const char *path, struct err *err)
{
	CLEANUP(cleanup_free) char *temp = xasprintf("%s.XXXXXX", path);
	CLEANUP(cleanup_close) int fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
	unsigned char bytes[SEAL_KEY_SIZE];
	int code;

	if (fd < 0)
		return err_sys(err, -errno, "cannot make the master key %s", path);
	random_bytes(bytes, sizeof bytes);
	code = seal_write_all(fd, bytes, sizeof bytes);
	mem_wipe(bytes, sizeof bytes);
	if (code == 0 && fsync(fd) != 0)
		code = -errno;
	if (code == 0 && link(temp, path) != 0 && errno != EEXIST)
		code = -errno;
	unlink(temp);
	if (code == 0)
		code = seal_sync_parent(path);
	return code == 0 ? 0 : err_sys(err, code, "cannot make the master key %s", path);
}

/* systemd shows its credentials, which only we can read, as readable by the group (an ACL's mask).
 */
static bool
seal_is_credential(const char *path)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t len = dir != NULL ? strlen(dir) : 0;

	return len > 0 && strncmp(path, dir, len) == 0 && path[len] == '/' &&
	    strstr(path + len, "/../") == NULL;
}

static int
seal_key_check_file(int fd, const char *path, struct err *err)
{
	mode_t others = S_IRWXG | S_IRWXO;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(err, -errno, "cannot look at the master key %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "the master key %s is not a file", path);
	if (seal_is_credential(path))
		others &= ~(mode_t)S_IRGRP;
	if (st.st_mode & others)
		return err_set(err, -EPERM,
		    "the master key %s is open to others (mode %04o): run 'chmod 600 %s'", path,
		    (unsigned)(st.st_mode & 07777), path);
	if (st.st_size != SEAL_KEY_SIZE)
		return err_set(err, -EKEYREJECTED,
		    "the master key %s has %lld bytes instead of %d: restore it from a backup",
		    path, (long long)st.st_size, SEAL_KEY_SIZE);
	return 0;
}

int
seal_key_load(struct seal_key **out, const char *path, bool create, struct err *err)
{
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned char bytes[SEAL_KEY_SIZE];
	int code;

	if (fd < 0 && errno == ENOENT && create) {
		code = seal_key_make(path, err);
		if (code != 0)
			return code;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (fd < 0)
		return err_sys(err, -errno, "cannot open the master key %s", path);
	code = seal_key_check_file(fd, path, err);
	if (code != 0)
		return code;
	if (read(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes)
		return err_set(err, -EIO, "cannot read the master key %s", path);
	*out = xmemdup(bytes, sizeof bytes);
	mem_wipe(bytes, sizeof bytes);
	return 0;
}

void
seal_key_free(struct seal_key *key)
{
	if (key == NULL)
		return;
	mem_wipe(key, sizeof *key);
	free(key);
}

void
seal_key_check(const struct seal_key *key, unsigned char out[16])
{
	static const char constant[] = "skyferry master key check";
	unsigned char sum[32];

	hmac_sha256(sum, key->bytes, sizeof key->bytes, constant, sizeof constant - 1);
	memcpy(out, sum, 16);
}

/* The head is authenticated too: the version cannot be changed without notice. */
static bool
seal_aad(EVP_CIPHER_CTX *ctx, const unsigned char *head, const char *aad)
{
	size_t len = strlen(aad);
	int n;

	return len <= INT32_MAX && EVP_CipherUpdate(ctx, NULL, &n, head, 1 + 4) == 1 &&
	    EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)aad, (int)len) == 1;
}

static bool
seal_encrypt(
    unsigned char *to, const struct seal_key *key, const char *aad, const void *plain, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char *text = to + SEAL_HEAD;
	int n = 0, rest = 0;
	bool ok;

	ok = ctx != NULL &&
	    EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, to + 5) == 1 &&
	    seal_aad(ctx, to, aad) && EVP_EncryptUpdate(ctx, text, &n, plain, (int)len) == 1 &&
	    EVP_EncryptFinal_ex(ctx, text + n, &rest) == 1 && (size_t)n + (size_t)rest == len &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, text + len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

int
seal(struct buf *out, const struct seal_key *key, const char *aad, const void *plain, size_t len,
    struct err *err)
{
	CLEANUP(cleanup_free) unsigned char *sealed = NULL;

	if (len > SEAL_PLAIN_MAX)
		return err_set(err, -EFBIG, "more than %zu bytes to be sealed", SEAL_PLAIN_MAX);
	sealed = xcalloc(1, SEAL_HEAD + len + SEAL_TAG);
	sealed[0] = SEAL_FORMAT;
	sealed[4] = SEAL_KEY_VERSION;
	random_bytes(sealed + 5, SEAL_NONCE);
	if (!seal_encrypt(sealed, key, aad, plain, len))
		return err_set(err, -EIO, "the encryption library failed");
	if (!buf_add(out, sealed, SEAL_HEAD + len + SEAL_TAG))
		return err_set(err, -EFBIG, "no room for %zu sealed bytes", len);
	return 0;
}

static bool
seal_decrypt(unsigned char *plain, const struct seal_key *key, const char *aad,
    const unsigned char *sealed, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const unsigned char *text = sealed + SEAL_HEAD;
	unsigned char tag[SEAL_TAG];
	int n = 0, rest = 0;
	bool ok;

	memcpy(tag, text + len, sizeof tag);
	ok = ctx != NULL &&
	    EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, sealed + 5) == 1 &&
	    seal_aad(ctx, sealed, aad) && EVP_DecryptUpdate(ctx, plain, &n, text, (int)len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) == 1 &&
	    EVP_DecryptFinal_ex(ctx, plain + n, &rest) == 1 && (size_t)n + (size_t)rest == len;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

int
unseal(struct buf *out, const struct seal_key *key, const char *aad, const void *sealed, size_t len,
    struct err *err)
{
	const unsigned char *head = sealed;
	unsigned char *plain;
	uint32_t version;
	bool ok;

	if (len < SEAL_HEAD + SEAL_TAG || len - SEAL_HEAD - SEAL_TAG > SEAL_PLAIN_MAX)
		return err_set(err, -EBADMSG, "sealed data of %zu bytes is damaged", len);
	if (head[0] != SEAL_FORMAT)
		return err_set(err, -EBADMSG, "sealed data of unknown format %u", head[0]);
	version =
	    (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
	if (version != SEAL_KEY_VERSION)
		return err_set(err, -EBADMSG,
		    "sealed with version %u of the master key, this is %d", version,
		    SEAL_KEY_VERSION);
	len -= SEAL_HEAD + SEAL_TAG;
	plain = xmalloc(len);
	ok = seal_decrypt(plain, key, aad, head, len);
	if (ok)
		ok = buf_add(out, plain, len);
	else
		err_set(err, -EBADMSG, "sealed data does not open: wrong master key, or damaged");
	if (!ok && out->failed)
		err_set(err, -EFBIG, "no room for %zu unsealed bytes", len);
	mem_wipe(plain, len);
	free(plain);
	return ok ? 0 : out->failed ? -EFBIG : -EBADMSG;
}

void
seal_derive(const struct seal_key *key, const char *purpose, unsigned char *out, size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_KEY, (void *)key->bytes, sizeof key->bytes),
	    OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_INFO, (void *)purpose, strlen(purpose)),
	    OSSL_PARAM_construct_end(),
	};
	bool ok = ctx != NULL && EVP_KDF_derive(ctx, out, len, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	assert(ok);
}
