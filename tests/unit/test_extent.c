#include "fs/extent.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

#define BYTES 500

/* Which source and which byte of it: what a file's byte is taken from. */
struct origin {
	const struct source *source;
	uint64_t from;
};

static void
check_image(const struct extents *extents, const struct origin *image, uint64_t size)
{
	const struct extent *extent;
	uint64_t at, expected = 0;
	size_t i;

	assert_int_equal(extents_size(extents), size);
	for (i = 0; i < extents->len; i++) { /* gapless, in order, nothing empty */
		assert_int_equal(extents->items[i].offset, expected);
		assert_true(extents->items[i].length > 0);
		expected += extents->items[i].length;
	}
	for (at = 0; at < size; at++) {
		extent = extents_at(extents, at);
		assert_non_null(extent);
		assert_ptr_equal(extent->source, image[at].source);
		if (extent->source != NULL)
			assert_int_equal(extent->from + (at - extent->offset), image[at].from);
	}
	assert_null(extents_at(extents, size));
}

static void
image_grow(struct origin *image, uint64_t *size, uint64_t to)
{
	for (; *size < to; (*size)++)
		image[*size] = (struct origin){NULL, 0};
}

static void
test_random(void **state)
{
	CLEANUP(extents_fini) struct extents extents = {0};
	static struct origin image[BYTES], copy[BYTES];
	struct source *sources[4] = {NULL};
	uint64_t size = 0, offset, length, start, i;
	int step;

	srandom(7);
	for (i = 1; i < ARRAY_LEN(sources); i++)
		sources[i] = source_entry("account", i == 1 ? "a" : i == 2 ? "b" : "c", "v", BYTES);
	for (step = 0; step < 20000; step++) {
		offset = (uint64_t)random() % BYTES;
		length = 1 + (uint64_t)random() % (BYTES - offset);
		switch (random() % 4) {
		case 0:
		case 1: {
			struct source *source = sources[random() % 4];

			start = (uint64_t)random() % 1000;
			extents_put(&extents, offset, length, source, start);
			image_grow(image, &size, offset);
			for (i = 0; i < length; i++)
				image[offset + i] = (struct origin){source, start + i};
			size = MAX(size, offset + length);
			break;
		}
		case 2:
			if (random() % 4 == 0) {
				extents_truncate(&extents, offset);
				image_grow(image, &size, offset);
				size = offset;
			}
			break;
		default:
			if (size == 0)
				break;
			start = (uint64_t)random() % size;
			length = MIN(MIN(length, size - start), BYTES - offset);
			extents_copy(&extents, offset, &extents, start, length);
			memcpy(copy, image + start, length * sizeof(copy[0]));
			image_grow(image, &size, offset);
			memcpy(image + offset, copy, length * sizeof(copy[0]));
			size = MAX(size, offset + length);
			break;
		}
		check_image(&extents, image, size);
	}
	for (i = 1; i < ARRAY_LEN(sources); i++)
		source_unref(sources[i]);
}

static void
test_join(void **state)
{
	CLEANUP(extents_fini) struct extents extents = {0};
	struct source *source = source_entry("account", "a", "v", 100);

	/* As file managers copy, piece by piece: one range in the end. */
	extents_put(&extents, 0, 40, source, 0);
	extents_put(&extents, 60, 40, source, 60);
	assert_int_equal(extents.len, 3);
	extents_put(&extents, 40, 20, source, 40);
	assert_int_equal(extents.len, 1);
	assert_int_equal(extents_size(&extents), 100);
	source_unref(source);
}

static void
test_json(void **state)
{
	CLEANUP(extents_fini) struct extents extents = {0};
	struct source *source = source_entry("account", "dir/a", "v1", 100);
	json_t *json;

	json = extents_to_json(&extents); /* an empty file */
	assert_int_equal(json_array_size(json), 1);
	assert_true(json_is_true(json_object_get(json_array_get(json, 0), "zero")));
	json_decref(json);

	extents_put(&extents, 0, 100, source, 0); /* a whole entry: without a length */
	json = extents_to_json(&extents);
	assert_int_equal(json_array_size(json), 1);
	assert_null(json_object_get(json_array_get(json, 0), "length"));
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(json, 0), "path")), "dir/a");
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(json, 0), "version")), "v1");
	json_decref(json);

	extents_truncate(&extents, 99); /* not whole any more */
	json = extents_to_json(&extents);
	assert_int_equal(
	    json_integer_value(json_object_get(json_array_get(json, 0), "length")), 99);
	assert_true(extents_json_size(&extents) < 400);
	json_decref(json);
	source_unref(source);
}

static void
test_outcome(void **state)
{
	CLEANUP(extents_fini) struct extents now = {0}, copy = {0};
	struct source *old = source_entry("account", "old", "v1", 10), *source, *found;

	extents_put(&now, 0, 10, old, 0);
	source = source_outcome("account", "new", 10, "change-1", &now);
	extents_put(&copy, 0, 10, source, 0);
	assert_true(extents_read(&copy, "account", "new"));
	assert_false(extents_read(&copy, "account", "old"));
	found = extents_find(&copy, "account", "new", NULL, "change-1");
	assert_ptr_equal(found, source);
	source_unref(found);

	extents_pin(&copy, "change-2", "v9", 10);
	assert_null(source->version);
	assert_non_null(source->outcome);
	extents_pin(&copy, "change-1", "v2", 10);
	assert_string_equal(source->version, "v2");
	assert_null(source->outcome);
	found = extents_find(&copy, "account", "new", "v2", "");
	assert_ptr_equal(found, source);
	source_unref(found);
	source_unref(source);
	source_unref(old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_join),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_outcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
