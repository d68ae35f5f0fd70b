#include "fs/table.h"
#include "tests/unit/check.h"
#include <stdio.h>

#define KEYS 5000

static void
test_many(void **state)
{
	static int values[KEYS];
	struct table_walk walk = {0};
	struct table table;
	const char *key;
	char name[32];
	void *value;
	int i, seen = 0;

	table_init(&table);
	assert_null(table_get(&table, "nothing"));
	assert_null(table_remove(&table, "nothing"));
	for (i = 0; i < KEYS; i++) {
		snprintf(name, sizeof(name), "key-%d", i);
		assert_null(table_put(&table, name, &values[i]));
	}
	assert_ptr_equal(table_put(&table, "key-7", &values[8]), &values[7]);
	assert_ptr_equal(table_put(&table, "key-7", &values[7]), &values[8]);
	assert_int_equal(table.len, KEYS);
	while (table_next(&table, &walk, &key, &value)) {
		seen++;
		if (((int *)value - values) % 2 == 0) /* the current one may go */
			assert_ptr_equal(table_remove(&table, key), value);
	}
	assert_int_equal(seen, KEYS);
	assert_int_equal(table.len, KEYS / 2);
	for (i = 0; i < KEYS; i++) {
		snprintf(name, sizeof(name), "key-%d", i);
		assert_ptr_equal(table_get(&table, name), i % 2 == 0 ? NULL : &values[i]);
	}
	table_fini(&table, NULL);
	assert_null(table_get(&table, "key-1"));
}

static void
test_empty_key(void **state)
{
	struct table table;
	int value;

	table_init(&table);
	table_put(&table, "", &value);
	assert_ptr_equal(table_get(&table, ""), &value);
	assert_null(table_get(&table, "x"));
	table_fini(&table, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_empty_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
