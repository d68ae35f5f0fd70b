#include "src/mem.h"
#include "src/ring.h"
#include "tests/unit/check.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void
count(void *arg)
{
	++*(int *)arg;
}

static void
test_bounds(void **state)
{
	struct ring *r = ring_new(100, 40);
	char buf[200] = "0123456789";

	assert_true(ring_wants_input(r));
	assert_int_equal(ring_room(r), 100);
	assert_int_equal(ring_get(r, buf, sizeof buf), 0);
	assert_true(ring_put(r, buf, 60));
	assert_true(ring_wants_input(r)); /* room for exactly one chunk */
	assert_true(ring_put(r, buf, 1));
	assert_false(ring_wants_input(r));
	assert_false(ring_put(r, buf, 40)); /* all of it, or nothing */
	assert_int_equal(ring_held(r), 61);
	assert_true(ring_put(r, buf, 39));
	assert_int_equal(ring_room(r), 0);
	assert_true(ring_put(r, buf, 0));
	assert_false(ring_put(r, buf, 1));
	ring_widen(r, 140);
	assert_true(ring_wants_input(r));
	assert_true(ring_put(r, buf, 40));
	assert_int_equal(ring_room(r), 0);
	assert_int_equal(ring_get(r, buf, 200), 140);
	assert_int_equal(ring_held(r), 0);
	ring_free(r);
	ring_free(NULL);
}

static void
test_end(void **state)
{
	struct ring *r = ring_new(64, 64);
	char buf[8];

	assert_true(ring_put(r, "abc", 3));
	assert_false(ring_is_ended(r));
	ring_end(r);
	assert_false(ring_is_ended(r)); /* still holds something */
	assert_false(ring_wants_input(r));
	assert_false(ring_put(r, "d", 1));
	assert_int_equal(ring_get(r, buf, sizeof buf), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_true(ring_is_ended(r));
	ring_reset(r);
	assert_false(ring_is_ended(r));
	assert_true(ring_wants_input(r));
	assert_true(ring_put(r, "again", 5));
	ring_reset(r);
	assert_int_equal(ring_held(r), 0);
	ring_free(r);
}

static void
test_hooks(void **state)
{
	struct ring *r = ring_new(100, 50);
	int inputs = 0, outputs = 0;
	char buf[100] = {0};

	ring_on_input(r, count, &inputs);
	ring_on_output(r, count, &outputs);
	ring_put(r, buf, 100);
	assert_int_equal(inputs, 1);
	assert_false(ring_put(r, buf, 1));
	assert_int_equal(inputs, 1);
	ring_get(r, buf, 49);
	assert_int_equal(outputs, 0); /* no room for a whole chunk yet */
	ring_get(r, buf, 1);
	assert_int_equal(outputs, 1);
	ring_end(r);
	assert_int_equal(inputs, 2);
	ring_get(r, buf, 50);
	assert_int_equal(outputs, 1); /* nobody may put any more */
	ring_reset(r);
	ring_put(r, buf, 1);
	assert_int_equal(inputs, 3); /* hooks stay */
	ring_on_input(r, NULL, NULL);
	ring_put(r, buf, 1);
	assert_int_equal(inputs, 3);
	ring_free(r);
}

/* What is seen at once is a part of what is held, from its first byte on. */
static void
test_peek(void **state)
{
	enum { SIZE = 100000 };
	struct ring *r = ring_new(SIZE, 8);
	unsigned char *in = xmalloc(SIZE), *out = xmalloc(SIZE);
	const void *p;
	size_t i, n, at = 0, pieces = 0;

	for (i = 0; i < SIZE; i++)
		in[i] = (unsigned char)(i * 2654435761u >> 13);
	assert_int_equal(ring_peek(r, &p), 0);
	assert_null(p);
	assert_true(ring_put(r, in, SIZE));
	assert_int_equal(ring_get(r, out, 10), 10);
	ring_drop(r, 0);
	for (at = 10; (n = ring_peek(r, &p)) > 0; at += n, pieces++) {
		assert_true(n <= SIZE - at);
		assert_memory_equal(p, in + at, n);
		ring_drop(r, n);
	}
	assert_int_equal(at, SIZE);
	assert_true(pieces > 1);
	assert_null(p);
	ring_free(r);
	free(in);
	free(out);
}

/* An idle ring costs nothing, one that holds little costs little. */
static void
test_memory_follows_use(void **state)
{
	enum { RINGS = 64, SIZE = 4 << 20 };
	struct ring *rings[RINGS];
	unsigned char *buf = xcalloc(1, SIZE), *back = xcalloc(1, SIZE);
	struct mallinfo2 before = mallinfo2(), held;
	size_t i;

	for (i = 0; i < RINGS; i++) {
		rings[i] = ring_new(SIZE, 4096);
		assert_true(ring_put(rings[i], buf, 1000));
	}
	held = mallinfo2();
	assert_true(held.uordblks + held.hblkhd <=
	    before.uordblks + before.hblkhd + RINGS * (size_t)(6 << 10));
	for (i = 0; i < SIZE; i++)
		buf[i] = (unsigned char)(i * 2654435761u >> 13);
	assert_int_equal(ring_get(rings[0], back, SIZE), 1000);
	assert_true(ring_put(rings[0], buf, SIZE)); /* the whole size is there when needed */
	assert_int_equal(ring_get(rings[0], back, SIZE), SIZE);
	assert_memory_equal(back, buf, SIZE);
	/* One that was full gives it back as it is taken, not only when nothing is left. */
	ring_hold_last(rings[0]);
	assert_true(ring_put(rings[0], buf, SIZE));
	assert_int_equal(ring_get(rings[0], back, SIZE), SIZE - 1);
	held = mallinfo2();
	assert_true(held.uordblks + held.hblkhd <=
	    before.uordblks + before.hblkhd + RINGS * (size_t)(6 << 10));
	for (i = 0; i < RINGS; i++)
		ring_free(rings[i]);
	free(buf);
	free(back);
}

/* Against the simplest possible queue: an array with two indexes. */
static void
test_model(void **state)
{
	enum { SIZE = 70000, CHUNK = 5000, STEPS = 20000 };
	struct ring *r = ring_new(SIZE, CHUNK);
	unsigned char *in = xmalloc(SIZE), *out = xmalloc(SIZE);
	uint64_t put = 0, got = 0, random = 42;
	const void *p;
	size_t i, len, n;
	int step;

	for (step = 0; step < STEPS; step++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		len = (size_t)(random >> 33) % ((random >> 20) % 8 == 0 ? SIZE : CHUNK);
		switch ((random >> 60) % 4) {
		case 0:
		case 1:
			for (i = 0; i < len; i++)
				in[i] = (unsigned char)((put + i) * 31 + ((put + i) >> 8));
			assert_int_equal(ring_put(r, in, len), len <= SIZE - (put - got));
			if (len <= SIZE - (put - got))
				put += len;
			break;
		case 2:
			n = ring_get(r, out, len);
			assert_int_equal(n, MIN(len, put - got));
			for (i = 0; i < n; i++, got++) {
				if (out[i] != (unsigned char)(got * 31 + (got >> 8)))
					fail_msg("step %d: wrong byte at %llu", step,
					    (unsigned long long)got);
			}
			break;
		default:
			n = ring_peek(r, &p);
			assert_true(n <= put - got && (n > 0) == (put > got));
			n = MIN(n, len);
			for (i = 0; i < n; i++, got++) {
				if (((const unsigned char *)p)[i] !=
				    (unsigned char)(got * 31 + (got >> 8)))
					fail_msg("step %d: wrong byte at %llu", step,
					    (unsigned long long)got);
			}
			ring_drop(r, n);
		}
		assert_int_equal(ring_held(r), put - got);
		assert_int_equal(ring_room(r), SIZE - (put - got));
		assert_int_equal(ring_wants_input(r), SIZE - (put - got) >= CHUNK);
	}
	assert_true(put > 10 * SIZE);
	ring_free(r);
	free(in);
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_end),
	    cmocka_unit_test(test_hooks),
	    cmocka_unit_test(test_peek),
	    cmocka_unit_test(test_memory_follows_use),
	    cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
