#include "src/paths.h"
#include "src/seal.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"
#include <openssl/evp.h>
#include <sys/stat.h>

#define SEALED_OVERHEAD (1 + 4 + 12 + 16)

struct fixture {
	char *dir, *path;
	struct seal_key *key;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	f->dir = scratch_make();
	f->path = paths_join(f->dir, "master.key");
	*state = f;
	return seal_key_load(&f->key, f->path, true, NULL);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	seal_key_free(f->key);
	scratch_remove(f->dir);
	free(f->path);
	free(f);
	return 0;
}

static void
test_key_file_is_made_once(void **state)
{
	struct fixture *f = *state;
	struct seal_key *again = NULL;
	unsigned char a[16], b[16];
	struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(st.st_nlink, 1); /* the temporary is gone */
	assert_int_equal(seal_key_load(&again, f->path, true, &err), 0);
	seal_key_check(f->key, a);
	seal_key_check(again, b);
	assert_memory_equal(a, b, sizeof a);
	seal_key_free(again);
	seal_key_free(NULL);
}

static void
test_keys_differ(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *path = paths_join(f->dir, "other.key");
	struct seal_key *other = NULL;
	unsigned char a[16], b[16];

	assert_int_equal(seal_key_load(&other, path, true, NULL), 0);
	seal_key_check(f->key, a);
	seal_key_check(other, b);
	assert_memory_not_equal(a, b, sizeof a);
	seal_key_free(other);
}

static void
test_bad_key_files(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *missing = paths_join(f->dir, "missing.key");
	CLEANUP(cleanup_free) char *nowhere = paths_join(f->dir, "no/such/dir.key");
	CLEANUP(cleanup_free) char *shortened = paths_join(f->dir, "short.key");
	struct seal_key *key = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(seal_key_load(&key, missing, false, &err), -ENOENT);
	assert_non_null(strstr(err.msg, missing));
	assert_int_equal(access(missing, F_OK), -1);
	assert_int_equal(seal_key_load(&key, nowhere, true, &err), -ENOENT);
	assert_int_equal(seal_key_load(&key, f->dir, false, &err), -EINVAL);

	scratch_write(shortened, "0123456789012345678901234567890");
	assert_int_equal(chmod(shortened, 0600), 0);
	assert_int_equal(seal_key_load(&key, shortened, true, &err), -EKEYREJECTED);
	assert_non_null(strstr(err.msg, "31 bytes"));

	assert_int_equal(chmod(f->path, 0640), 0);
	assert_int_equal(seal_key_load(&key, f->path, true, &err), -EPERM);
	assert_non_null(strstr(err.msg, "chmod 600"));
	assert_int_equal(chmod(f->path, 0604), 0);
	assert_int_equal(seal_key_load(&key, f->path, true, &err), -EPERM);
	assert_null(key);
}

/* systemd's credentials look readable by the group; nothing else may. */
static void
test_systemd_credential(void **state)
{
	struct fixture *f = *state;
	struct seal_key *key = NULL;

	assert_int_equal(chmod(f->path, 0440), 0);
	setenv("CREDENTIALS_DIRECTORY", "/somewhere/else", 1);
	assert_int_equal(seal_key_load(&key, f->path, false, NULL), -EPERM);
	setenv("CREDENTIALS_DIRECTORY", f->dir, 1);
	assert_int_equal(seal_key_load(&key, f->path, false, NULL), 0);
	seal_key_free(TAKE(key));
	assert_int_equal(chmod(f->path, 0444), 0);
	assert_int_equal(seal_key_load(&key, f->path, false, NULL), -EPERM);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void
test_round_trip(void **state)
{
	static const size_t lengths[] = {0, 1, 15, 16, 17, 1000, 100000};
	struct fixture *f = *state;
	char *plain = xcalloc(1, 100000);
	size_t i;

	memset(plain, 's', 100000);
	for (i = 0; i < ARRAY_LEN(lengths); i++) {
		CLEANUP(buf_free) struct buf sealed = BUF_INIT(200000), out = BUF_INIT(200000);
		struct err err = ERR_INIT;

		assert_int_equal(seal(&sealed, f->key, "account", plain, lengths[i], &err), 0);
		assert_int_equal(sealed.len, lengths[i] + SEALED_OVERHEAD);
		assert_memory_equal(sealed.data, "\1\0\0\0\1", 5);
		if (lengths[i] >= 15)
			assert_null(memmem(sealed.data, sealed.len, plain, 15));
		assert_int_equal(unseal(&out, f->key, "account", sealed.data, sealed.len, &err), 0);
		assert_int_equal(out.len, lengths[i]);
		assert_memory_equal(buf_str(&out), plain, lengths[i]);
	}
	free(plain);
}

static void
test_nonce_is_new_each_time(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_free) struct buf a = BUF_INIT(1000), b = BUF_INIT(1000);

	seal(&a, f->key, "account", "same", 4, NULL);
	seal(&b, f->key, "account", "same", 4, NULL);
	assert_memory_not_equal(a.data + 5, b.data + 5, 12);
	assert_memory_not_equal(a.data + 17, b.data + 17, 4);
}

static void
test_every_damaged_byte_is_noticed(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_free) struct buf sealed = BUF_INIT(1000), out = BUF_INIT(1000);
	struct err err = ERR_INIT;
	size_t i;

	seal(&sealed, f->key, "account", "the secret", 10, &err);
	for (i = 0; i < sealed.len; i++) {
		sealed.data[i] ^= 0x20;
		assert_int_equal(
		    unseal(&out, f->key, "account", sealed.data, sealed.len, &err), -EBADMSG);
		assert_int_equal(out.len, 0);
		sealed.data[i] ^= 0x20;
	}
	for (i = 0; i < sealed.len; i++) /* cut off at any place */
		assert_int_equal(unseal(&out, f->key, "account", sealed.data, i, &err), -EBADMSG);
	assert_int_equal(unseal(&out, f->key, "account", sealed.data, sealed.len, &err), 0);
	assert_string_equal(buf_str(&out), "the secret");
}

static void
test_wrong_key_or_account(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *path = paths_join(f->dir, "other.key");
	CLEANUP(buf_free) struct buf sealed = BUF_INIT(1000), out = BUF_INIT(1000);
	struct seal_key *other = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(seal_key_load(&other, path, true, &err), 0);
	seal(&sealed, f->key, "account", "the secret", 10, &err);
	assert_int_equal(unseal(&out, other, "account", sealed.data, sealed.len, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "wrong master key"));
	assert_null(strstr(err.msg, "the secret"));
	assert_int_equal(unseal(&out, f->key, "another", sealed.data, sealed.len, &err), -EBADMSG);
	assert_int_equal(unseal(&out, f->key, "", sealed.data, sealed.len, &err), -EBADMSG);
	assert_int_equal(out.len, 0);
	seal_key_free(other);
}

static void
test_bounds(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_free) struct buf sealed = BUF_INIT(1000), small = BUF_INIT(5);
	struct err err = ERR_INIT;

	assert_int_equal(seal(&small, f->key, "account", "x", 1, &err), -EFBIG);
	buf_reset(&small);
	assert_int_equal(seal(&sealed, f->key, "account", "123456", 6, &err), 0);
	assert_int_equal(unseal(&small, f->key, "account", sealed.data, sealed.len, &err), -EFBIG);
	buf_reset(&sealed);
	assert_int_equal(seal(&sealed, f->key, "account", "x", (1 << 20) + 1, &err), -EFBIG);
}

/* RFC 5869 by hand: HMAC(HMAC(no salt, key), info || 1), for what fits into one block. */
static void
test_derive(void **state)
{
	struct fixture *f = *state;
	unsigned char key[32], salt[32] = {0}, prk[32], info[4] = {'j', 'w', 't', 1}, want[32];
	unsigned char out[32], other[32], longer[64];
	FILE *file = fopen(f->path, "re");

	assert_non_null(file);
	assert_int_equal(fread(key, 1, sizeof key, file), sizeof key);
	fclose(file);
	EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, salt, 32, key, 32, prk, 32, NULL);
	EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, prk, 32, info, 4, want, 32, NULL);
	seal_derive(f->key, "jwt", out, sizeof out);
	assert_memory_equal(out, want, sizeof out);
	seal_derive(f->key, "cookie", other, sizeof other);
	assert_memory_not_equal(out, other, sizeof out);
	seal_derive(f->key, "jwt", longer, sizeof longer);
	assert_memory_equal(longer, out, sizeof out);
}

static void
test_random(void **state)
{
	unsigned char a[64] = {0}, b[64] = {0}, zero[64] = {0};

	assert_int_equal(random_bytes(a, sizeof a), 0);
	assert_int_equal(random_bytes(b, sizeof b), 0);
	assert_memory_not_equal(a, b, sizeof a);
	assert_memory_not_equal(a + 32, zero, 32);
	assert_int_equal(random_bytes(NULL, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_key_file_is_made_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_keys_differ, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bad_key_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_systemd_credential, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nonce_is_new_each_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_every_damaged_byte_is_noticed, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_wrong_key_or_account, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_derive, setup, teardown),
	    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
