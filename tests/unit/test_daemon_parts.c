/* What the queue and the accounts decide by themselves: backoff, endpoints, the map by id. */
#include "daemon/idmap.h"
#include "daemon/retry.h"
#include "daemon/upload_seal.h"
#include "src/endpoint.h"
#include "src/paths.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
backoff_doubles_up_to_a_limit(void **state)
{
	static const struct retry_policy policy = {.backoff_ms = 1000, .backoff_max_ms = 10000};
	static const uint64_t most[] = {1000, 2000, 4000, 8000, 10000, 10000};
	unsigned i;

	for (i = 0; i < ARRAY_LEN(most); i++) {
		assert_int_equal(retry_wait(&policy, i + 1, 0, 0), most[i] / 2);
		assert_int_equal(retry_wait(&policy, i + 1, 0, most[i] / 2), most[i]);
		assert_in_range(
		    retry_wait(&policy, i + 1, 0, 123456789012345), most[i] / 2, most[i]);
	}
	assert_int_equal(retry_wait(&policy, 4000000000u, 0, 0), 5000);
	assert_int_equal(retry_wait(&policy, 1, 60000, 7), 60000); /* the cloud asked for more */
	assert_int_equal(retry_wait(&policy, 5, 100, 0), 5000);
}

static void
backoff_of_nothing(void **state)
{
	static const struct retry_policy policy = {.backoff_ms = 1, .backoff_max_ms = 1};

	assert_in_range(retry_wait(&policy, 9, 0, 1), 0, 1);
	assert_in_range(retry_wait(&policy, 9, 0, UINT64_MAX), 0, 1);
}

static void
endpoints(void **state)
{
	static const char *const local[] = {"http://localhost:9000", "https://LOCALHOST./",
	    "box.local", "http://a.localhost", "http://127.0.0.1", "http://127.1:8000",
	    "http://2130706433/", "http://0x7f.1", "http://0177.0.0.1", "https://10.1.2.3",
	    "http://192.168.1.1:9000", "http://172.16.0.1", "http://172.31.255.255",
	    "http://169.254.169.254/latest", "http://100.64.0.1", "http://0.0.0.0",
	    "http://[::1]:9000", "http://[::]", "http://[fe80::1]", "http://[fe80::1%25eth0]",
	    "http://[fd00::1]", "http://[::ffff:127.0.0.1]", "http://[::ffff:10.0.0.1]",
	    "http://192.0.0.8", "http://198.18.0.1", "http://198.19.255.255", "http://224.0.0.1",
	    "http://255.255.255.255", "http://[64:ff9b::10.0.0.1]", "http://[2002:7f00:1::]",
	    "http://[ff02::1]", "http://metadata.google.internal", "http://user@127.0.0.1",
	    "127.0.0.1:9000"};
	static const char *const remote[] = {"https://s3.amazonaws.com", "http://8.8.8.8",
	    "http://172.32.0.1", "http://172.15.0.1", "http://11.0.0.1", "http://[2001:db8::1]:443",
	    "https://localhost.example.com", "https://notlocal", "https://nolocalhost",
	    "http://100.128.0.1", "http://192.0.1.1", "http://198.20.0.1", "http://223.255.255.255",
	    "http://[64:ff9b::8.8.8.8]", "http://[2002:808:808::]", "http://[::ffff:8.8.8.8]",
	    "https://127.0.0.1.example.com", "s3.example.com:9000"};
	struct err err = ERR_INIT;
	bool is_local;
	size_t i;

	for (i = 0; i < ARRAY_LEN(local); i++) {
		is_local = false;
		if (endpoint_is_local(&is_local, local[i], &err) != 0 || !is_local)
			fail_msg("%s is local", local[i]);
	}
	for (i = 0; i < ARRAY_LEN(remote); i++) {
		is_local = true;
		if (endpoint_is_local(&is_local, remote[i], &err) != 0 || is_local)
			fail_msg("%s is not local", remote[i]);
	}
	assert_int_equal(endpoint_is_local(&is_local, "http://", &err), -EINVAL);
	assert_int_equal(endpoint_is_local(&is_local, "http://a b/", &err), -EINVAL);
}

#define IDS 3000

static void
idmaps(void **state)
{
	static char ids[IDS][16];
	struct idmap map = {0};
	unsigned i, left = 0;

	assert_null(idmap_get(&map, "x"));
	assert_null(idmap_any(&map));
	for (i = 0; i < IDS; i++) {
		snprintf(ids[i], sizeof ids[i], "id-%u", i);
		idmap_put(&map, ids[i], ids[i]);
	}
	for (i = 0; i < IDS; i += 3)
		idmap_remove(&map, ids[i]);
	for (i = 0; i < IDS; i++)
		assert_ptr_equal(idmap_get(&map, ids[i]), i % 3 == 0 ? NULL : ids[i]);
	assert_null(idmap_get(&map, "another"));
	for (i = 0; i < IDS; i += 3)
		idmap_put(&map, ids[i], ids[i]);
	assert_int_equal(map.len, IDS);
	while (idmap_any(&map) != NULL) {
		idmap_remove(&map, idmap_any(&map));
		left++;
	}
	assert_int_equal(left, IDS);
	idmap_fini(&map);
	assert_null(idmap_get(&map, "x"));
}

static void
uploads_are_sealed(void **state)
{
	static const char id[] = "1 2 3 https://host/upload?upload_id=secret";
	struct checkpoint *c = checkpoint_new();
	char *dir = scratch_make(), *path = paths_join(dir, "master.key");
	struct seal_key *key = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(seal_key_load(&key, path, true, &err), 0);
	assert_int_equal(upload_seal(c, key, "change", &err), 0); /* an intent has none */
	assert_null(c->upload);
	c->upload = xstrdup(id);
	c->resume = xstrdup("token secret");
	assert_int_equal(upload_unseal(c, key, "change", &err), 0); /* of an older version */
	assert_string_equal(c->upload, id);
	assert_int_equal(upload_seal(c, key, "change", &err), 0);
	assert_null(strstr(c->upload, "secret"));
	assert_null(strstr(c->resume, "secret"));
	assert_int_equal(upload_unseal(c, key, "another", &err), -EBADMSG);
	assert_int_equal(upload_unseal(c, key, "change", &err), 0);
	assert_string_equal(c->upload, id);
	assert_string_equal(c->resume, "token secret");
	xstrset(&c->upload, "sealed ?");
	assert_int_equal(upload_unseal(c, key, "change", &err), -EBADMSG);
	seal_key_free(key);
	scratch_remove(dir);
	free(path);
	checkpoint_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(backoff_doubles_up_to_a_limit),
	    cmocka_unit_test(backoff_of_nothing),
	    cmocka_unit_test(endpoints),
	    cmocka_unit_test(idmaps),
	    cmocka_unit_test(uploads_are_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
