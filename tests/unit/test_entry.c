#include "src/entry.h"
#include "src/field.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

static void
test_round_trip(void **state)
{
	CLEANUP(entry_fini) struct entry e, back;
	unsigned char sum[16] = {0xde, 0xad};
	struct err err = ERR_INIT;
	json_t *json;

	entry_init(&e);
	entry_init(&back);
	e.path = xstrdup("a/caf\xc3\xa9 \"x\"\n");
	e.size = (1ull << 32) + 5;
	e.mtime_ns = -1500000000;
	e.mode = 0640;
	e.version = xstrdup("\"etag\"");
	e.content_type = xstrdup("text/plain");
	digests_set(&e.digests, HASH_MD5, sum);
	json = entry_to_json(&e);
	assert_int_equal(entry_from_json(&back, json, &err), 0);
	json_decref(json);
	assert_string_equal(back.path, e.path);
	assert_int_equal(back.kind, ENTRY_FILE);
	assert_int_equal(back.size, e.size);
	assert_int_equal(back.mtime_ns, e.mtime_ns);
	assert_int_equal(back.mode, 0640);
	assert_string_equal(back.version, "\"etag\"");
	assert_string_equal(back.content_type, "text/plain");
	assert_true(digests_equal(&e.digests, &back.digests, HASH_MD5));
}

static void
test_little_is_said_of_little(void **state)
{
	CLEANUP(entry_fini) struct entry e;
	json_t *json;
	char *text;

	entry_init(&e);
	e.path = xstrdup("d");
	e.unsized = true; /* a size would be taken for one */
	json = entry_to_json(&e);
	text = json_dumps(json, JSON_COMPACT);
	assert_string_equal(text, "{\"path\":\"d\",\"kind\":\"file\",\"unsized\":true}");
	free(text);
	json_decref(json);
	e.unsized = false;
	e.kind = ENTRY_DIRECTORY;
	json = entry_to_json(&e);
	text = json_dumps(json, JSON_COMPACT);
	assert_string_equal(text, "{\"path\":\"d\",\"kind\":\"directory\"}");
	free(text);
	json_decref(json);
}

static void
test_refusals(void **state)
{
	static const char *const bad[] = {
	    "[]",
	    "{}",
	    "{\"path\":\"a\"}",
	    "{\"path\":\"a\",\"kind\":\"socket\"}",
	    "{\"path\":7,\"kind\":\"file\"}",
	    "{\"path\":\"a/../b\",\"kind\":\"file\"}",
	    "{\"path\":\"a\",\"kind\":\"file\",\"size\":-1}",
	    "{\"path\":\"a\",\"kind\":\"file\",\"size\":\"1\"}",
	    "{\"path\":\"a\",\"kind\":\"file\",\"size\":1.5}",
	    "{\"path\":\"a\",\"kind\":\"file\",\"mode\":4096}",
	    "{\"path\":\"a\",\"kind\":\"file\",\"version\":[]}",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;
		struct entry e;
		json_t *json = json_loads(bad[i], 0, NULL);

		entry_init(&e);
		assert_non_null(json);
		assert_int_equal(entry_from_json(&e, json, &err), -EINVAL);
		assert_string_not_equal(err.msg, "");
		assert_null(e.path);
		json_decref(json);
	}
}

static void
test_copy_and_list(void **state)
{
	CLEANUP(entry_list_fini) struct entry_list list = {0};
	struct entry copy;
	char name[16];
	int i;

	for (i = 0; i < 100; i++) {
		struct entry *e = entry_list_add(&list);

		assert_int_equal(e->mtime_ns, ENTRY_NO_TIME);
		snprintf(name, sizeof name, "f%d", i);
		e->path = xstrdup(name);
		e->version = xstrdup("v");
	}
	assert_int_equal(list.len, 100);
	entry_init(&copy);
	entry_copy(&copy, &list.items[42]);
	entry_copy(&copy, &copy); /* of itself */
	assert_string_equal(copy.path, "f42");
	assert_ptr_not_equal(copy.path, list.items[42].path);
	entry_fini(&copy);
	assert_null(copy.path);
}

static void
test_digests(void **state)
{
	json_t *json = json_loads("{\"md5\":\"900150983cd24fb0d6963f7d28e17f72\",\"sha1\":\"abcd\","
				  "\"crc32c\":\"E3069283\",\"blake3\":\"00\",\"sha256\":7}",
	    0, NULL);
	struct digests d;

	assert_non_null(json);
	digests_from_json(&d, json);
	assert_int_equal(
	    d.have, HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C)); /* the rest is no hash */
	assert_memory_equal(d.sum[HASH_CRC32C], "\xe3\x06\x92\x83", 4);
	json_decref(json);
	json = digests_to_json(&d);
	assert_string_equal(json_string_value(json_object_get(json, "crc32c")), "e3069283");
	assert_int_equal(json_object_size(json), 2);
	json_decref(json);
	digests_from_json(&d, NULL);
	assert_int_equal(d.have, 0);
}

/* What a directory holds may be no UTF-8: JSON must come out all the same. */
static void
test_text_of_any_bytes(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"caf\xc3\xa9", "caf\xc3\xa9"},
	    {"\xff", "\xef\xbf\xbd"},
	    {"caf\xe9!", "caf\xef\xbf\xbd!"},
	    {"\xc3", "\xef\xbf\xbd"},
	    {"a\xff\xfe"
	     "b\xff",
		"a\xef\xbf\xbd\xef\xbf\xbd"
		"b\xef\xbf\xbd"},
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *json = field_text(cases[i][0]);

		assert_string_equal(json_string_value(json), cases[i][1]);
		json_decref(json);
	}
	assert_null(field_text(NULL));
}

static void
test_fields(void **state)
{
	json_t *json = json_loads(
	    "{\"s\":\"text\",\"t\":true,\"n\":5,\"null\":null,\"big\":9223372036854775807}", 0,
	    NULL);
	struct err err = ERR_INIT;
	char *s = xstrdup("before"), id[5] = "old";
	bool flag = true;
	int64_t n = 1;
	uint64_t u = 1;

	assert_int_equal(field_str(&s, json, "absent", 10, &err), 0);
	assert_int_equal(field_str(&s, json, "null", 10, &err), 0);
	assert_string_equal(s, "before");
	assert_int_equal(field_str(&s, json, "s", 3, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'s'"));
	assert_int_equal(field_str(&s, json, "n", 9, &err), -EINVAL);
	assert_int_equal(field_str(&s, json, "s", 4, &err), 0);
	assert_string_equal(s, "text");
	assert_int_equal(field_id(id, sizeof id, json, "s", &err), 0);
	assert_string_equal(id, "text");
	assert_int_equal(field_id(id, 4, json, "s", &err), -EINVAL);
	assert_int_equal(field_bool(&flag, json, "null", &err), 0);
	assert_true(flag);
	assert_int_equal(field_bool(&flag, json, "n", &err), -EINVAL);
	assert_int_equal(field_int(&n, json, "n", 6, 9, &err), -EINVAL);
	assert_int_equal(field_int(&n, json, "n", 5, 5, &err), 0);
	assert_int_equal(n, 5);
	assert_int_equal(field_u64(&u, json, "absent", 10, &err), 0);
	assert_int_equal(u, 1);
	assert_int_equal(field_u64(&u, json, "big", UINT64_MAX, &err), 0);
	assert_int_equal(u, INT64_MAX);
	assert_int_equal(field_u64(&u, json, "t", 10, &err), -EINVAL);
	free(s);
	json_decref(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_little_is_said_of_little),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_copy_and_list),
	    cmocka_unit_test(test_digests),
	    cmocka_unit_test(test_text_of_any_bytes),
	    cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
