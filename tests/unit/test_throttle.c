/*
 * The throttle with a virtual clock: members that want more than they get, and a cloud that refuses
 * by a rule.  A request is answered after RTT; each step is a millisecond.
 */
#include "src/mem.h"
#include "src/throttle.h"
#include "tests/unit/check.h"

#define MSEC     UINT64_C(1000000)
#define MEMBERS  4
#define REQUESTS 4096 /* under way at once, at most */
#define RTT      20 /* ms */

struct request {
	unsigned member;
	uint64_t sent_ms;
	bool refused;
};

struct sim {
	struct throttle *throttle;
	struct throttle_member members[MEMBERS];
	unsigned wanted[MEMBERS]; /* requests it would have under way */
	uint64_t look_ms[MEMBERS]; /* when it looks again */
	struct request flying[REQUESTS];
	unsigned flying_len;
	uint64_t now_ms;
	uint32_t random;
	bool (*refuses)(struct sim *);
	uint64_t from_ms, until_ms; /* of a storm */
	unsigned capacity;
	unsigned sent, accepted, refused;
	unsigned accepted_by[MEMBERS];
	unsigned pause_ms; /* of a storm without a word; doubles */
};

static uint32_t
sim_random(struct sim *m)
{
	/* xorshift32: the same run each time */
	m->random ^= m->random << 13;
	m->random ^= m->random >> 17;
	m->random ^= m->random << 5;
	return m->random;
}

static void
sim_init(struct sim *m, unsigned rate, unsigned concurrency, unsigned wanted)
{
	*m = (struct sim){.random = 2463534242u, .now_ms = 1000, .pause_ms = 50};
	m->throttle = throttle_new(rate, concurrency);
	for (unsigned i = 0; i < MEMBERS; i++) {
		m->members[i].throttle = m->throttle;
		m->wanted[i] = wanted;
	}
}

static void
sim_fini(struct sim *m)
{
	throttle_unref(m->throttle);
}

static void
sim_answer(struct sim *m, const struct request *r)
{
	struct throttle_member *member = &m->members[r->member];
	uint64_t sent = r->sent_ms * MSEC, now = m->now_ms * MSEC, wait;
	unsigned storms;

	m->look_ms[r->member] = 0;
	if (!r->refused) {
		m->accepted++;
		m->accepted_by[r->member]++;
		throttle_accepted(member, sent, now, false);
		return;
	}
	m->refused++;
	storms = throttle_refused(member, sent, now, false);
	if (storms == 0)
		return;
	wait = MIN((uint64_t)m->pause_ms << storms, 1000);
	throttle_pause(member, now + wait * MSEC, now);
}

static void
sim_send(struct sim *m, unsigned i)
{
	struct throttle_member *member = &m->members[i];
	uint64_t wait;

	while (member->inside[THROTTLE_ASK] < m->wanted[i] && m->now_ms >= m->look_ms[i]) {
		wait = throttle_ask(member, m->now_ms * MSEC + i * 7000);
		if (wait > 0) {
			m->look_ms[i] = m->now_ms + wait;
			return;
		}
		assert_true(m->flying_len < REQUESTS);
		m->flying[m->flying_len] = (struct request){.member = i, .sent_ms = m->now_ms};
		m->flying_len++;
		m->flying[m->flying_len - 1].refused = m->refuses != NULL && m->refuses(m);
		m->sent++;
	}
}

static void
sim_run(struct sim *m, unsigned ms)
{
	struct request r;

	for (; ms > 0; ms--) {
		m->now_ms++;
		for (unsigned i = 0; i < m->flying_len; i++) {
			if (m->flying[i].sent_ms + RTT > m->now_ms)
				continue;
			r = m->flying[i];
			m->flying[i--] = m->flying[--m->flying_len];
			sim_answer(m, &r);
		}
		for (unsigned i = 0; i < MEMBERS; i++)
			sim_send(m, i);
	}
}

static bool
refuses_in_storm(struct sim *m)
{
	return m->now_ms >= m->from_ms && m->now_ms < m->until_ms;
}

static bool
refuses_at_random(struct sim *m)
{
	return sim_random(m) % 20 == 0;
}

static bool
refuses_beyond_capacity(struct sim *m)
{
	unsigned served = 0;

	for (unsigned i = 0; i + 1 < m->flying_len; i++)
		served += !m->flying[i].refused;
	return served >= m->capacity;
}

static void
nothing_is_bounded_before_a_refusal(void **state)
{
	struct sim m;

	sim_init(&m, 0, 0, 500);
	sim_run(&m, 1000);
	assert_int_equal(throttle_window(m.throttle), THROTTLE_OPEN);
	assert_int_equal(m.flying_len, MEMBERS * 500);
	assert_int_equal(throttle_refused_since(m.throttle), 0);
	sim_fini(&m);
}

static void
few_refusals_are_none(void **state)
{
	struct sim m;

	sim_init(&m, 0, 0, 16);
	m.refuses = refuses_at_random;
	sim_run(&m, 20000);
	/* 64 at once for 20 s, of which one in 20 is lost: what is left is taken. */
	assert_in_range(m.accepted, 64 * (20000 / RTT) * 94 / 100 * 95 / 100, 64 * (20000 / RTT));
	sim_fini(&m);
}

static void
what_is_too_much_is_given_up(void **state)
{
	struct sim m;

	sim_init(&m, 0, 0, 100);
	m.refuses = refuses_beyond_capacity;
	m.capacity = 100;
	sim_run(&m, 2000); /* it finds its way */
	m.accepted = m.refused = 0;
	sim_run(&m, 20000);
	assert_in_range(throttle_window(m.throttle), 80, 130);
	assert_true(m.accepted >= 100 * (20000 / RTT) * 85 / 100);
	assert_true(m.refused * 10 < m.accepted);
	sim_fini(&m);
}

static void
a_storm_is_waited_out_and_comes_back_slowly(void **state)
{
	unsigned last = 0, now, first_ms = 0;
	struct sim m;

	sim_init(&m, 0, 0, 64);
	m.refuses = refuses_in_storm;
	m.from_ms = 2000;
	m.until_ms = 7000;
	sim_run(&m, 1000);
	assert_int_equal(m.now_ms, 2000);
	m.sent = 0;
	sim_run(&m, 5000);
	/* What was under way, and then one at a time, less and less often. */
	assert_in_range(m.sent, 256, 256 + 20);
	assert_int_equal(throttle_window(m.throttle), 1);
	assert_int_not_equal(throttle_refused_since(m.throttle), 0);
	for (unsigned ms = 0; ms < 4000; ms += RTT) {
		m.sent = 0;
		sim_run(&m, RTT);
		now = m.sent;
		/* A round at most doubles, however many wait. */
		assert_true(now <= MAX(2 * last, 2u));
		last = MAX(now, 1u);
		if (first_ms == 0 && now >= 256)
			first_ms = ms;
	}
	assert_in_range(first_ms, 100, 2500); /* not at once, and not never */
	assert_int_equal(throttle_refused_since(m.throttle), 0);
	sim_fini(&m);
}

/* All that was under way when the storm began says the same thing once. */
static void
a_volley_of_refusals_is_one_storm(void **state)
{
	struct throttle *t = throttle_new(0, 0);
	struct throttle_member m = {.throttle = t};

	for (int i = 0; i < 200; i++)
		assert_int_equal(throttle_ask(&m, 1000 * MSEC), 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(
		    throttle_refused(&m, 1000 * MSEC, 1020 * MSEC + (unsigned)i, false), 0);
		throttle_pause(&m, 1100 * MSEC, 1020 * MSEC + (unsigned)i); /* Retry-After */
	}
	assert_int_equal(throttle_window(t), 1);
	/* The pause is kept to, then one may go. */
	assert_in_range(throttle_ask(&m, 1050 * MSEC), 50, 60);
	assert_int_equal(throttle_ask(&m, 1100 * MSEC), 0);
	assert_int_not_equal(throttle_ask(&m, 1100 * MSEC), 0);
	/* Refused again, now that it was asked for anew. */
	assert_int_equal(throttle_refused(&m, 1100 * MSEC, 1120 * MSEC, false), 1);
	throttle_wait_no_more(&m, THROTTLE_ASK);
	throttle_unref(t);
}

/* A service that refuses only after a while: each made room for another, and is counted as well. */
static void
late_refusals_count(void **state)
{
	struct throttle *t = throttle_new(0, 0);
	struct throttle_member m = {.throttle = t};
	uint64_t answers, refusals, now = 1000 * MSEC;

	for (int i = 0; i < 64; i++)
		assert_int_equal(throttle_ask(&m, now), 0);
	for (int i = 0; i < 64; i++)
		throttle_overdue(&m, now, now + 1000 * MSEC);
	assert_int_equal(m.inside[THROTTLE_ASK], 0);
	assert_int_equal(throttle_window(t), THROTTLE_OPEN);
	for (int i = 0; i < 64; i++)
		throttle_refused(&m, now, now + 2000 * MSEC, true);
	assert_int_equal(m.inside[THROTTLE_ASK], 0);
	assert_in_range(throttle_window(t), 1, 63);
	assert_int_equal(throttle_refused_since(t), now + 2000 * MSEC);
	throttle_counts(t, &answers, &refusals);
	assert_int_equal(answers, 64);
	assert_int_equal(refusals, 64);
	/* A good answer ends it, however late. */
	throttle_accepted(&m, now, now + 3000 * MSEC, true);
	assert_int_equal(throttle_refused_since(t), 0);
	throttle_unref(t);
}

static void
a_pause_is_never_made_shorter(void **state)
{
	struct throttle *t = throttle_new(0, 0);
	struct throttle_member m = {.throttle = t};

	throttle_pause(&m, 5000 * MSEC, 1000 * MSEC);
	throttle_pause(&m, 2000 * MSEC, 1000 * MSEC);
	assert_int_equal(throttle_paused_until(t), 5000 * MSEC);
	throttle_unref(t);
}

static void
requests_a_second_are_of_all_members(void **state)
{
	struct sim m;

	sim_init(&m, 100, 0, 16);
	sim_run(&m, 3000);
	assert_in_range(m.sent, 290, 310);
	throttle_set(m.throttle, 1000, 0);
	m.sent = 0;
	sim_run(&m, 1000);
	assert_in_range(m.sent, 900, 1070);
	sim_fini(&m);
}

static void
who_comes_late_gets_his_share(void **state)
{
	struct throttle *t = throttle_new(0, 4);
	struct throttle_member a = {.throttle = t}, b = {.throttle = t};

	for (int i = 0; i < 4; i++)
		assert_true(throttle_enter(&a, THROTTLE_PUT, 4, 1000 * MSEC));
	assert_false(throttle_enter(&a, THROTTLE_PUT, 4, 1000 * MSEC));
	assert_int_equal(throttle_look(&a, THROTTLE_PUT, 0), 0); /* alone: it hears of it itself */
	assert_false(throttle_enter(&b, THROTTLE_PUT, 4, 1000 * MSEC));
	assert_int_not_equal(throttle_look(&b, THROTTLE_PUT, 0), 0);
	assert_true(throttle_enter(&b, THROTTLE_READ, 4, 1000 * MSEC)); /* another lane */
	/* What a gives back, b gets: a does not take it again before b has looked. */
	throttle_wait_no_more(&a, THROTTLE_PUT);
	throttle_leave(&a, THROTTLE_PUT, 1000 * MSEC);
	assert_false(throttle_enter(&a, THROTTLE_PUT, 4, 1000 * MSEC));
	assert_true(throttle_enter(&b, THROTTLE_PUT, 4, 1000 * MSEC));
	/* One that must not wait does not. */
	throttle_enter_anyway(&b, THROTTLE_PUT);
	assert_int_equal(b.inside[THROTTLE_PUT], 2);
	assert_int_equal(throttle_inside(a.throttle, THROTTLE_PUT), 5);
	while (a.inside[THROTTLE_PUT] > 0)
		throttle_leave(&a, THROTTLE_PUT, 1000 * MSEC);
	throttle_wait_no_more(&a, THROTTLE_PUT);
	/* What the one does not want, the other has. */
	assert_true(throttle_enter(&b, THROTTLE_PUT, 4, 1000 * MSEC));
	assert_true(throttle_enter(&b, THROTTLE_PUT, 4, 1000 * MSEC));
	assert_false(throttle_enter(&b, THROTTLE_PUT, 4, 1000 * MSEC));
	throttle_unref(t);
}

/* A window of one, and four who want it. */
static void
nobody_is_starved(void **state)
{
	struct sim m;

	sim_init(&m, 0, 0, 8);
	m.refuses = refuses_beyond_capacity;
	m.capacity = 1;
	sim_run(&m, 60000);
	for (unsigned i = 0; i < MEMBERS; i++)
		assert_true(m.accepted_by[i] * MEMBERS * 3 > m.accepted);
	sim_fini(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_bounded_before_a_refusal),
	    cmocka_unit_test(few_refusals_are_none),
	    cmocka_unit_test(what_is_too_much_is_given_up),
	    cmocka_unit_test(a_storm_is_waited_out_and_comes_back_slowly),
	    cmocka_unit_test(a_volley_of_refusals_is_one_storm),
	    cmocka_unit_test(late_refusals_count),
	    cmocka_unit_test(a_pause_is_never_made_shorter),
	    cmocka_unit_test(requests_a_second_are_of_all_members),
	    cmocka_unit_test(who_comes_late_gets_his_share),
	    cmocka_unit_test(nobody_is_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
