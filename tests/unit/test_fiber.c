#include "fs/fiber.h"
#include "src/buf.h"
#include "tests/unit/check.h"
#include <string.h>

static struct fibers *fibers;
static struct buf story = BUF_INIT(4096);

struct actor {
	const char *name;
	struct fiber *fiber;
	int waits;
};

static void
act(void *arg)
{
	struct actor *actor = arg;
	char deep[FIBER_STACK / 16];
	int i;

	memset(deep, actor->name[0], sizeof(deep));
	actor->fiber = fiber_current(fibers);
	for (i = 0; i < actor->waits; i++) {
		buf_printf(&story, "%s%d ", actor->name, i);
		fiber_wait(fibers);
		assert_int_equal(deep[sizeof(deep) / 2], actor->name[0]);
	}
	buf_printf(&story, "%s. ", actor->name);
}

static void
turn(struct loop *loop)
{
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

static void
test_order(void **state)
{
	struct actor a = {.name = "a", .waits = 2}, b = {.name = "b", .waits = 1};
	struct err err = ERR_INIT;
	struct loop *loop = loop_new("test", &err);

	fibers = fibers_new(loop);
	fiber_start(fibers, act, &a);
	fiber_start(fibers, act, &b);
	assert_string_equal(buf_str(&story), "a0 b0 ");
	assert_int_equal(fibers_live(fibers), 2);
	assert_null(fiber_current(fibers));
	fiber_wake(b.fiber);
	fiber_wake(a.fiber);
	fiber_wake(a.fiber); /* twice is once */
	assert_string_equal(buf_str(&story), "a0 b0 "); /* not before the loop turns */
	turn(loop);
	assert_string_equal(buf_str(&story), "a0 b0 b. a1 ");
	turn(loop);
	assert_string_equal(buf_str(&story), "a0 b0 b. a1 ");
	fiber_wake(a.fiber);
	turn(loop);
	assert_string_equal(buf_str(&story), "a0 b0 b. a1 a. ");
	assert_int_equal(fibers_live(fibers), 0);
	fibers_free(fibers);
	loop_free(loop);
	buf_free(&story);
}

static unsigned ended;

static void
start_another(void *arg)
{
	unsigned left = *(unsigned *)arg;

	if (left > 0) {
		*(unsigned *)arg = left - 1;
		fiber_start(fibers, start_another, arg);
	}
	ended++;
}

static void
test_from_within(void **state)
{
	struct err err = ERR_INIT;
	struct loop *loop = loop_new("test", &err);
	unsigned left = 1000;

	fibers = fibers_new(loop);
	fiber_start(fibers, start_another, &left);
	while (fibers_live(fibers) > 0)
		turn(loop);
	assert_int_equal(ended, 1001);
	fibers_free(fibers);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_from_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
