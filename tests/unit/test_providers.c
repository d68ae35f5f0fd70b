/* The table of drivers: what docs/clouds.md says of each is what it says of itself. */
#include "tests/unit/check.h"

#include "providers/providers.h"
#include "src/buf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
yes(const struct cloud_driver *driver, unsigned feature)
{
	return (driver->features & feature) != 0 ? "yes" : "no";
}

static char *
row(const struct cloud_driver *driver)
{
	struct buf out = BUF_INIT(1024);
	unsigned moves = driver->features & (CLOUD_CAN_MOVE | CLOUD_CAN_MOVE_DIR);

	buf_printf(&out, "| `%s` | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |", driver->name,
	    yes(driver, CLOUD_KEEPS_MTIME), yes(driver, CLOUD_KEEPS_MODE),
	    yes(driver, CLOUD_KEEPS_METADATA), yes(driver, CLOUD_CAN_SETATTR),
	    yes(driver, CLOUD_HAS_DIRECTORIES), yes(driver, CLOUD_CAN_COPY),
	    moves == 0                    ? "no"
		: moves == CLOUD_CAN_MOVE ? "files"
					  : "all",
	    yes(driver, CLOUD_CAN_LINK), yes(driver, CLOUD_CAN_PULL),
	    yes(driver, CLOUD_HAS_CHANGES));
	for (int type = 0; type < HASH_TYPES; type++) {
		if (driver->hashes & HASH_BIT(type))
			buf_printf(&out, " %s", hash_name(type));
	}
	buf_puts(&out, driver->hashes == 0 ? " - |\n" : " |\n");
	return buf_take(&out);
}

static void
documents_say_what_drivers_can_do(void **state)
{
	const char *top = getenv("top_srcdir");
	CLEANUP(cleanup_free)
	char *path = xasprintf("%s/docs/clouds.md", top != NULL ? top : ".");
	CLEANUP(cleanup_free) char *text = xcalloc(1, 1 << 20);
	const struct cloud_driver *driver;
	FILE *file;

	if (top == NULL)
		skip();
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	for (size_t i = 0; (driver = provider_at(i)) != NULL; i++) {
		CLEANUP(cleanup_free) char *want = row(driver);

		if (!(driver->features & CLOUD_TEST_ONLY) && strstr(text, want) == NULL)
			fail_msg("%s lacks: %s", path, want);
	}
}

static void
drivers_are_found_by_name(void **state)
{
	const struct cloud_driver *driver;
	size_t i;

	for (i = 0; (driver = provider_at(i)) != NULL; i++)
		assert_ptr_equal(provider_find(driver->name), driver);
	assert_int_equal(i, 7);
	assert_null(provider_find("floppy"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(documents_say_what_drivers_can_do),
	    cmocka_unit_test(drivers_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
