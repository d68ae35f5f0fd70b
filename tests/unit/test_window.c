#include "fs/window.h"
#include "src/mem.h"
#include "tests/unit/check.h"

#define MIB (1024 * 1024ull)

static void
test_sequential(void **state)
{
	struct window window;
	uint64_t at, ahead = 0;

	window_init(&window, 1024 * MIB, 16 * MIB);
	for (at = 0; at < 512 * MIB; at += WINDOW_MIN) {
		assert_false(window_read(&window, at, WINDOW_MIN));
		assert_true(window.ahead >= ahead); /* never shrinks while reading goes on */
		ahead = window.ahead;
		assert_true(window_end(&window) >= at + WINDOW_MIN);
		assert_true(window_end(&window) <= at + WINDOW_MIN + 16 * MIB);
	}
	assert_int_equal(ahead, 16 * MIB);
	assert_int_equal(window_step(&window), 4 * MIB);
}

static void
test_end_of_object(void **state)
{
	struct window window;

	window_init(&window, 100, 16 * MIB);
	assert_false(window_read(&window, 0, 4096));
	assert_int_equal(window_end(&window), 100);
	window_init(&window, 0, 16 * MIB);
	assert_false(window_read(&window, 0, 4096));
	assert_int_equal(window_end(&window), 0);
}

static void
test_random(void **state)
{
	struct window window;

	window_init(&window, 1024 * MIB, 16 * MIB);
	assert_false(window_read(&window, 500 * MIB, 4096)); /* the first is not a jump */
	assert_int_equal(window_end(&window), 500 * MIB + 4096); /* and fetches what it asks for */
	assert_true(window_read(&window, 100 * MIB, 4096));
	assert_int_equal(window_end(&window), 100 * MIB + 4096);
	assert_true(window_read(&window, 900 * MIB, 4096));
	assert_int_equal(window.ahead, 0);
}

static void
test_short_jumps(void **state)
{
	struct window window;
	uint64_t at;

	window_init(&window, 1024 * MIB, 16 * MIB);
	for (at = 0; at < 64 * MIB; at += MIB)
		window_read(&window, at, MIB);
	assert_false(window_read(&window, 63 * MIB, 4096)); /* back */
	assert_int_equal(window.next, 64 * MIB);
	assert_false(window_read(&window, 70 * MIB, 4096)); /* forward, within what is fetched */
	assert_true(window_read(&window, 200 * MIB, 4096));
	assert_true(window_read(&window, 200 * MIB - 2 * WINDOW_BACK, 4096));
}

static void
test_none(void **state)
{
	struct window window;
	uint64_t at;

	window_init(&window, 1024 * MIB, 0);
	for (at = 0; at < MIB; at += 4096) {
		window_read(&window, at, 4096);
		assert_int_equal(window_end(&window), at + 4096);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sequential),
	    cmocka_unit_test(test_end_of_object),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_short_jumps),
	    cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
