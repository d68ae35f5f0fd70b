/*
 * How many at once: the controller against simulated clouds, with a virtual clock.  A transfer has
 * a speed of its own; all together are bounded by the cloud's capacity.
 */
#include "daemon/pair.h"
#include "src/mem.h"
#include "tests/unit/check.h"

#define TICK_MS 125

struct cloud {
	double speed; /* bytes a second of one change */
	double capacity; /* of all together */
	unsigned refuses_above; /* changes at once; 0: never */
	double noise; /* of the measured rate: +- this part */
	double size; /* of a change */
	double shrinks; /* past the capacity, each more takes such a part of it */
	bool refuses_all;
	bool fails; /* every other one */
	unsigned lump_ms; /* bytes move only so often; 0: all the time */
};

struct sim {
	struct pair pair;
	struct cloud cloud;
	uint64_t now_ms;
	unsigned waiting; /* how many there are to run, at most */
	unsigned max;
	uint32_t random;
	double ended;
	double held; /* bytes that have not moved yet */
	bool fail; /* the next one */
	unsigned changes; /* of at_once */
};

static double
sim_random(struct sim *m) /* -1 to 1 */
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 17;
	m->random ^= m->random << 5;
	return (double)m->random / UINT32_MAX * 2 - 1;
}

static struct sim
sim_make(struct cloud cloud)
{
	struct sim m = {.cloud = cloud,
	    .now_ms = 1000,
	    .waiting = 1000000,
	    .max = 100000,
	    .random = 2463534242u};

	pair_init(&m.pair);
	return m;
}

static double
sim_rate(struct sim *m, unsigned running)
{
	const struct cloud *c = &m->cloud;
	double rate = running * c->speed, over;

	if (rate > c->capacity) {
		over = (rate - c->capacity) / c->capacity;
		rate = c->capacity * (1 - MIN(over * c->shrinks, 0.9));
	}
	return rate;
}

static void
sim_run(struct sim *m, unsigned ms)
{
	for (uint64_t end = m->now_ms + ms; m->now_ms < end; m->now_ms += TICK_MS) {
		unsigned running = MIN(MIN(m->pair.at_once, m->waiting), m->max);
		double bytes = sim_rate(m, running) * TICK_MS / 1000;
		struct pair_round round = {.running = running, .max = m->max};

		bytes *= 1 + m->cloud.noise * sim_random(m);
		m->held += bytes;
		if (m->cloud.lump_ms == 0 || m->now_ms % m->cloud.lump_ms == 0) {
			pair_moved(&m->pair, (uint64_t)m->held);
			m->held = 0;
		}
		for (m->ended += bytes / m->cloud.size; m->ended >= 1; m->ended--) {
			m->fail = m->cloud.fails && !m->fail;
			pair_ended(&m->pair, m->fail);
		}
		if (!pair_is_due(&m->pair, m->now_ms))
			continue;
		round.answers = running * 10;
		if (m->cloud.refuses_all)
			round.refusals = round.answers;
		else if (m->cloud.refuses_above != 0 && running > m->cloud.refuses_above)
			round.refusals = (running - m->cloud.refuses_above) * 10;
		m->changes += pair_tick(&m->pair, &round, m->now_ms);
	}
}

/* Ten thousand slow ones: nothing but their own speed bounds them. */
static void
slow_streams_are_let_in_quickly(void **state)
{
	struct sim m = sim_make((struct cloud){.speed = 65536, .capacity = 1e12, .size = 1 << 20});

	m.waiting = 10000;
	sim_run(&m, 4000);
	assert_true(m.pair.at_once >= 10000);
	m = sim_make(
	    (struct cloud){.speed = 65536, .capacity = 1e12, .size = 1 << 20, .noise = 0.05});
	m.waiting = 10000;
	sim_run(&m, 5000);
	assert_true(m.pair.at_once >= 10000);
	/* In fits and starts, from which a short look learns nothing. */
	for (unsigned lump = 250; lump <= 1000; lump += 125) {
		m = sim_make((struct cloud){
		    .speed = 65536, .capacity = 1e12, .size = 1 << 20, .lump_ms = lump});
		m.waiting = 10000;
		sim_run(&m, 12000);
		assert_true(m.pair.at_once >= 10000);
	}
}

static void
it_comes_to_rest_near_the_knee(void **state)
{
	static const unsigned knees[] = {20, 100, 300, 2000};

	for (size_t i = 0; i < ARRAY_LEN(knees); i++) {
		struct sim m = sim_make((struct cloud){
		    .speed = 1e6, .capacity = 1e6 * knees[i], .size = 4e6, .shrinks = 0.1});
		unsigned changes;

		sim_run(&m, 120000);
		assert_in_range(m.pair.at_once, knees[i] * 7 / 10, knees[i] * 16 / 10);
		changes = m.changes;
		sim_run(&m, 300000);
		assert_in_range(m.pair.at_once, knees[i] * 7 / 10, knees[i] * 16 / 10);
		/* Trials become rare: one goes up and down again in half a minute and more. */
		assert_in_range(m.changes - changes, 0, 40);
	}
}

static void
noise_does_not_lead_it_astray(void **state)
{
	struct sim m = sim_make((struct cloud){
	    .speed = 1e6, .capacity = 2e8, .size = 4e6, .shrinks = 0.1, .noise = 0.3});
	double least = 1e12, rate;

	sim_run(&m, 60000);
	for (int i = 0; i < 600; i++) {
		sim_run(&m, 1000);
		rate = sim_rate(&m, m.pair.at_once);
		least = MIN(least, rate);
		assert_in_range(m.pair.at_once, 80, 800);
	}
	assert_true(least >= 2e8 * 0.5);
}

static void
what_a_cloud_refuses_is_given_up(void **state)
{
	struct sim m = sim_make(
	    (struct cloud){.speed = 1e6, .capacity = 1e12, .size = 4e6, .refuses_above = 24});
	unsigned over = 0;

	sim_run(&m, 30000);
	for (int i = 0; i < 300; i++) {
		sim_run(&m, 1000);
		assert_in_range(m.pair.at_once, 12, 30);
		over += m.pair.at_once > 25;
	}
	assert_in_range(over, 0, 60); /* it tries whether more are possible now, and that is all */
}

static void
a_storm_is_come_back_from(void **state)
{
	struct sim m = sim_make((struct cloud){.speed = 1e6, .capacity = 1e12, .size = 4e6});

	m.max = 1000;
	sim_run(&m, 20000);
	assert_int_equal(m.pair.at_once, 1000);
	m.cloud.refuses_all = true;
	sim_run(&m, 30000);
	assert_int_equal(m.pair.at_once, PAIR_LEAST);
	assert_string_equal(m.pair.reason, "a cloud asks to slow down");
	m.cloud.refuses_all = false;
	sim_run(&m, 2500);
	assert_in_range(m.pair.at_once, PAIR_LEAST, 16); /* not at once */
	sim_run(&m, 20000);
	assert_in_range(m.pair.at_once, 250, 1000);
}

static void
failures_count_too(void **state)
{
	struct sim m = sim_make((struct cloud){.speed = 1e6, .capacity = 6e7, .size = 1e6});

	sim_run(&m, 10000);
	assert_in_range(m.pair.at_once, 40, 100);
	m.cloud.fails = true;
	sim_run(&m, 20000);
	assert_int_equal(m.pair.at_once, PAIR_LEAST);
	assert_string_equal(m.pair.reason, "too many fail");
}

static void
few_changes_say_nothing(void **state)
{
	struct sim m = sim_make((struct cloud){.speed = 1e6, .capacity = 1e12, .size = 4e6});

	m.waiting = 10;
	sim_run(&m, 60000);
	assert_int_equal(m.pair.at_once, PAIR_FIRST);
	assert_int_equal(m.changes, 0);
	/* What is bounded otherwise is found out no more than that. */
	m.max = 8;
	sim_run(&m, 5000);
	assert_int_equal(m.pair.at_once, PAIR_FIRST);
	assert_string_equal(m.pair.reason, "no more are allowed");
	m.max = 1000;
	m.waiting = 1000000;
	sim_run(&m, 10000);
	assert_int_equal(m.pair.at_once, 1000);
	assert_string_equal(m.pair.reason, "no more are allowed");
}

/* Answers and refusals are two counters, read one after the other: a refusal may be seen before its
   answer, and none of the answers yet. */
static void
refusals_are_seen_before_their_answers(void **state)
{
	struct pair_round round = {.running = PAIR_FIRST, .max = 1000, .answers = 0, .refusals = 4};
	struct pair pair;

	pair_init(&pair);
	assert_false(pair_tick(&pair, &round, 1000)); /* the first round begins */
	assert_true(pair_tick(&pair, &round, 1000 + PAIR_ROUND_MS));
	assert_int_equal(pair.at_once, PAIR_FIRST / 2);
	assert_string_equal(pair.reason, "a cloud asks to slow down");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slow_streams_are_let_in_quickly),
	    cmocka_unit_test(it_comes_to_rest_near_the_knee),
	    cmocka_unit_test(noise_does_not_lead_it_astray),
	    cmocka_unit_test(what_a_cloud_refuses_is_given_up),
	    cmocka_unit_test(a_storm_is_come_back_from),
	    cmocka_unit_test(failures_count_too),
	    cmocka_unit_test(few_changes_say_nothing),
	    cmocka_unit_test(refusals_are_seen_before_their_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
