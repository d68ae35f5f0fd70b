/*
 * The scheduler's rules, each by itself, and then a simulation: a virtual clock, three users of
 * different habits, a million changes, with the promised bounds checked at every claim.
 */
#include "daemon/sched.h"
#include "src/mem.h"
#include "tests/unit/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGE 1000

static struct sched *
make(unsigned total, unsigned account)
{
	struct sched_config config = {
	    .total_max = total, .account_max = account, .age_step_ms = AGE};

	return sched_new(&config);
}

static const char *
pick_user(struct sched *s, uint64_t now)
{
	struct sched_pick pick;

	return sched_pick(s, now, &pick) ? sched_lane_user(pick.lane) : "none";
}

static void
test_empty(void **state)
{
	struct sched *s = make(4, 4);
	struct sched_pick pick;
	struct sched_lane *lane = sched_lane(s, "ann", "a", "b");

	assert_false(sched_pick(s, 0, &pick));
	assert_false(sched_is_runnable(s));
	assert_ptr_equal(lane, sched_lane(s, "ann", "a", "b"));
	assert_ptr_not_equal(lane, sched_lane(s, "ann", NULL, "b"));
	assert_ptr_not_equal(lane, sched_lane(s, "bob", "a", "b"));
	assert_string_equal(sched_lane_user(lane), "ann");
	assert_string_equal(sched_lane_source(lane), "a");
	assert_string_equal(sched_lane_destination(lane), "b");
	/* A copy inside one account takes one slot of it. */
	assert_null(sched_lane_source(sched_lane(s, "ann", "b", "b")));
	sched_free(s);
}

static void
test_priority_and_age(void **state)
{
	struct sched *s = make(10, 10);
	struct sched_lane *lane = sched_lane(s, "ann", "a", "b");
	struct sched_lane *other = sched_lane(s, "ann", "a", "c");
	struct sched_pick pick;

	sched_head(s, lane, 5, 1000);
	sched_head(s, other, 7, 1500);
	assert_true(sched_pick(s, 1500, &pick));
	assert_int_equal(pick.priority, 7);
	assert_ptr_equal(pick.lane, other);
	/* Two steps older are worth two levels, and ties go to the older. */
	sched_head(s, other, 7, 1000 + 2 * AGE);
	assert_true(sched_pick(s, 1000 + 2 * AGE, &pick));
	assert_int_equal(pick.priority, 5);
	sched_head(s, lane, 5, UINT64_MAX);
	assert_true(sched_pick(s, 1000 + 2 * AGE, &pick));
	assert_int_equal(pick.priority, 7);
	sched_head(s, other, 7, UINT64_MAX);
	assert_false(sched_pick(s, 1000 + 2 * AGE, &pick));
	/* A clock that goes back is no harm. */
	sched_head(s, lane, 0, 5000);
	assert_true(sched_pick(s, 10, &pick));
	sched_free(s);
}

static void
test_weights(void **state)
{
	struct sched *s = make(1000, 1000);
	unsigned ann = 0, bob = 0, i;

	sched_head(s, sched_lane(s, "ann", NULL, "a"), 5, 0);
	sched_head(s, sched_lane(s, "bob", NULL, "b"), 5, 0);
	sched_user_weight(s, "bob", 3);
	for (i = 0; i < 400; i++) {
		if (strcmp(pick_user(s, i), "ann") == 0)
			ann++;
		else
			bob++;
	}
	assert_in_range(ann, 99, 101);
	assert_in_range(bob, 299, 301);
	sched_free(s);
}

static void
test_idle_saves_nothing_up(void **state)
{
	struct sched *s = make(1000, 1000);
	struct sched_lane *bob = sched_lane(s, "bob", NULL, "b");
	unsigned i, turns = 0;

	sched_head(s, sched_lane(s, "ann", NULL, "a"), 5, 0);
	sched_head(s, bob, 5, 0);
	pick_user(s, 0);
	pick_user(s, 0);
	sched_head(s, bob, 5, UINT64_MAX);
	for (i = 0; i < 500; i++)
		assert_string_equal(pick_user(s, i), "ann");
	sched_head(s, bob, 5, 500);
	for (i = 0; i < 10; i++)
		turns += strcmp(pick_user(s, i), "bob") == 0;
	assert_in_range(turns, 5, 6);
	sched_free(s);
}

static void
test_limits(void **state)
{
	struct sched *s = make(5, 2);
	struct sched_lane *ab = sched_lane(s, "ann", "a", "b"),
			  *c = sched_lane(s, "ann", NULL, "c");
	struct sched_config config = {.total_max = 6, .account_max = 2, .age_step_ms = AGE};
	struct sched_pick pick;

	sched_account_limit(s, "c", 100);
	sched_head(s, ab, 10, 0);
	sched_head(s, c, 0, 0);
	assert_true(sched_pick(s, 0, &pick));
	assert_true(sched_pick(s, 0, &pick));
	assert_ptr_equal(pick.lane, ab);
	/* a and b are full: what comes next is c's, up to the total. */
	assert_true(sched_pick(s, 0, &pick));
	assert_ptr_equal(pick.lane, c);
	assert_true(sched_pick(s, 0, &pick));
	assert_true(sched_pick(s, 0, &pick));
	assert_false(sched_pick(s, 0, &pick));
	assert_false(sched_is_runnable(s));
	assert_int_equal(sched_running(s), 5);
	sched_finished(s, ab);
	assert_true(sched_is_runnable(s));
	assert_true(sched_pick(s, 0, &pick));
	assert_ptr_equal(pick.lane, ab);
	assert_false(sched_pick(s, 0, &pick));
	sched_configure(s, &config);
	assert_true(sched_pick(s, 0, &pick));
	assert_ptr_equal(pick.lane, c);
	/* Told anew. */
	sched_reset(s);
	assert_int_equal(sched_running(s), 0);
	assert_false(sched_pick(s, 0, &pick));
	sched_started(s, ab);
	sched_started(s, ab);
	sched_head(s, ab, 10, 0);
	assert_false(sched_pick(s, 0, &pick));
	sched_free(s);
}

static void
test_lanes_and_holds(void **state)
{
	struct sched_config config = {
	    .total_max = 100, .account_max = 100, .lane_max = 2, .age_step_ms = AGE};
	struct sched *s = sched_new(&config);
	struct sched_lane *ab = sched_lane(s, "ann", "a", "b"),
			  *ac = sched_lane(s, "ann", "a", "c");
	struct sched_pick pick;

	sched_head(s, ab, 10, 0);
	assert_true(sched_pick(s, 0, &pick));
	assert_true(sched_pick(s, 0, &pick));
	assert_false(sched_pick(s, 0, &pick));
	assert_false(sched_is_runnable(s));
	sched_lane_limit(ab, 3);
	assert_true(sched_is_runnable(s));
	assert_true(sched_pick(s, 0, &pick));
	assert_false(sched_pick(s, 0, &pick));
	/* However long it waits: its own bound, or a held account, is nobody else's matter. */
	sched_head(s, ac, 0, 50 * AGE);
	assert_true(sched_pick(s, 50 * AGE, &pick));
	assert_ptr_equal(pick.lane, ac);
	sched_lane_limit(ab, 100);
	sched_account_hold(s, "b", true);
	assert_true(sched_pick(s, 50 * AGE, &pick));
	assert_ptr_equal(pick.lane, ac);
	assert_false(sched_pick(s, 50 * AGE, &pick));
	sched_reset(s); /* told anew: holds and limits stay */
	sched_head(s, ab, 10, 0);
	assert_false(sched_pick(s, 50 * AGE, &pick));
	assert_false(sched_is_runnable(s));
	/* What only comes to clean up is let through, and nothing else. */
	sched_head(s, ab, SCHED_CLEANUP, 50 * AGE);
	assert_true(sched_is_runnable(s));
	assert_true(sched_pick(s, 50 * AGE, &pick));
	assert_int_equal(pick.priority, SCHED_CLEANUP);
	sched_head(s, ab, SCHED_CLEANUP, UINT64_MAX);
	assert_false(sched_pick(s, 50 * AGE, &pick));
	sched_account_hold(s, "b", false);
	assert_true(sched_pick(s, 50 * AGE, &pick));
	assert_int_equal(pick.priority, 10);
	sched_free(s);
}

/* a -> b needs a slot of both; a -> c and d -> b keep taking each one as it falls free. */
static void
test_two_accounts_are_not_starved(void **state)
{
	struct sched *s = make(100, 1);
	struct sched_lane *ab = sched_lane(s, "ann", "a", "b");
	struct sched_lane *ac = sched_lane(s, "ann", "a", "c");
	struct sched_lane *db = sched_lane(s, "ann", "d", "b");
	struct sched_pick pick;
	unsigned turn, claimed = 0;
	bool ac_runs = true;
	uint64_t now = 0;

	sched_head(s, ab, 0, 0);
	sched_started(s, ac);
	sched_started(s, db);
	for (turn = 0; turn < 100 && claimed == 0; turn++) {
		now += AGE;
		sched_head(s, ac, 10, now);
		sched_head(s, db, 10, now);
		sched_finished(s, ac_runs ? ac : db);
		while (sched_pick(s, now, &pick)) {
			if (pick.lane == ab)
				claimed = turn;
		}
		/* One of them runs on while the other ends, until the free slot is held. */
		ac_runs = !ac_runs;
	}
	assert_int_not_equal(claimed, 0);
	assert_in_range(claimed, 10, 14);
	sched_free(s);
}

/* -- the simulation */

#define USERS       3
#define ACCOUNTS    4 /* each */
#define LANES       (ACCOUNTS * ACCOUNTS)
#define PRIORITIES  11
#define CHANGES     1000000u
#define TOTAL_MAX   64
#define ACCOUNT_MAX 24
#define TIME_MAX    40 /* ms a change runs at most */
#define WINDOW      240u
#define SIM_AGE     100 /* ms */

struct fifo {
	uint64_t *accepted;
	size_t head, len, cap;
};

struct sim_lane {
	struct sched_lane *lane;
	unsigned user, source, destination;
	struct fifo queue[PRIORITIES];
	unsigned ready;
};

struct sim {
	struct sched *s;
	uint64_t now;
	uint32_t random;
	struct sim_lane lanes[USERS][LANES];
	unsigned weight[USERS];
	unsigned running[USERS][ACCOUNTS], total;
	struct {
		struct sim_lane *list[TOTAL_MAX * 2];
		unsigned len;
	} ends[TIME_MAX + 1];
	uint64_t claims, accepted;
	uint64_t user_claims[USERS];
	uint64_t runnable_since[USERS]; /* claims when it became so; UINT64_MAX: is not */
	unsigned char window[WINDOW];
	unsigned in_window[USERS];
	/* The priority-0 change that is watched, of the last user. */
	bool watching;
	struct sim_lane *watched;
	uint64_t watched_at, watched_claims, watched_before, watched_limit;
	unsigned watched_done;
	uint64_t worst;
};

static uint32_t
sim_random(struct sim *m, uint32_t below)
{
	/* xorshift32: the same run each time */
	m->random ^= m->random << 13;
	m->random ^= m->random >> 17;
	m->random ^= m->random << 5;
	return m->random % below;
}

static bool
room(const struct sim *m, const struct sim_lane *l)
{
	return m->running[l->user][l->source] < ACCOUNT_MAX &&
	    m->running[l->user][l->destination] < ACCOUNT_MAX;
}

static bool
runnable(const struct sim *m, unsigned user)
{
	unsigned i;

	for (i = 0; i < LANES; i++) {
		if (m->lanes[user][i].ready > 0 && room(m, &m->lanes[user][i]))
			return true;
	}
	return false;
}

static uint64_t
backlog(const struct sim *m, unsigned user)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < LANES; i++)
		sum += m->lanes[user][i].ready;
	return sum;
}

static void
tell_head(struct sim *m, struct sim_lane *l, unsigned priority)
{
	struct fifo *q = &l->queue[priority];

	sched_head(m->s, l->lane, priority, q->head < q->len ? q->accepted[q->head] : UINT64_MAX);
}

static void
accept_change(struct sim *m, struct sim_lane *l, unsigned priority)
{
	struct fifo *q = &l->queue[priority];

	if (m->accepted == CHANGES)
		return;
	if (q->len == q->cap) {
		q->cap = q->cap != 0 ? q->cap * 2 : 64;
		q->accepted = xrealloc(q->accepted, q->cap, sizeof *q->accepted);
	}
	q->accepted[q->len++] = m->now;
	l->ready++;
	m->accepted++;
	if (m->watching && l->user == m->watched->user && m->now < m->watched_at + 11 * SIM_AGE)
		m->watched_limit++;
	if (q->len - q->head == 1)
		tell_head(m, l, priority);
}

/* One user queues all at once, one in bursts with pauses, one steadily, at all priorities. */
static void
arrivals(struct sim *m)
{
	unsigned i;

	if (m->now == 1) {
		for (i = 0; i < 400000; i++)
			accept_change(m, &m->lanes[0][sim_random(m, LANES)], 5);
	}
	if (m->now % 5000 == 0) {
		for (i = 0; i < 3000; i++)
			accept_change(
			    m, &m->lanes[1][sim_random(m, LANES)], sim_random(m, PRIORITIES));
	}
	for (i = sim_random(m, 4); i > 0; i--)
		accept_change(
		    m, &m->lanes[2][sim_random(m, LANES)], 1 + sim_random(m, PRIORITIES - 1));
	if (!m->watching && m->now % 500 == 0 && m->accepted < CHANGES) {
		struct sim_lane *l = &m->lanes[2][sim_random(m, LANES)];

		/* Only what is queued now, and what comes within eleven steps of age, can precede
		 * it. */
		m->watched = l;
		m->watched_at = m->now;
		m->watched_limit = backlog(m, 2);
		m->watched_before = m->user_claims[2];
		m->watched_claims = m->claims;
		accept_change(m, l, 0);
		m->watching = true;
	}
}

static void
check_shares(struct sim *m)
{
	unsigned u, weights;

	if (m->claims < WINDOW)
		return;
	for (u = 0, weights = 0; u < USERS; u++)
		weights += m->in_window[u] > 0 ? m->weight[u] : 0;
	for (u = 0; u < USERS; u++) {
		if (m->runnable_since[u] == UINT64_MAX || m->claims - m->runnable_since[u] < WINDOW)
			continue;
		/* At least half of weight / weights of the window. */
		assert_true(2 * m->in_window[u] * weights >= WINDOW * m->weight[u]);
	}
}

static void
check_watched(struct sim *m, const struct sim_lane *l, unsigned priority, uint64_t accepted)
{
	uint64_t own;

	if (!m->watching || l != m->watched || priority != 0 || accepted != m->watched_at)
		return;
	own = m->user_claims[2] - m->watched_before;
	assert_true(own <= m->watched_limit + 1);
	/* Its user gets at least half of weight / weights of all claims: N of everybody's. */
	assert_true(m->claims - m->watched_claims <= (own + 1) * 2 * 4 / m->weight[2] + WINDOW);
	if (m->claims - m->watched_claims > m->worst)
		m->worst = m->claims - m->watched_claims;
	m->watching = false;
	m->watched_done++;
}

static struct sim_lane *
sim_lane_of(struct sim *m, struct sched_lane *lane)
{
	unsigned u, i;

	for (u = 0; u < USERS; u++) {
		for (i = 0; i < LANES; i++) {
			if (m->lanes[u][i].lane == lane)
				return &m->lanes[u][i];
		}
	}
	fail();
	return NULL;
}

static void
claim_all(struct sim *m)
{
	struct sched_pick pick;
	struct sim_lane *l;
	struct fifo *q;
	unsigned u, slot;
	bool any;

	for (;;) {
		for (u = 0, any = false; u < USERS; u++) {
			if (!runnable(m, u))
				m->runnable_since[u] = UINT64_MAX;
			else if (m->runnable_since[u] == UINT64_MAX)
				m->runnable_since[u] = m->claims;
			any |= m->runnable_since[u] != UINT64_MAX;
		}
		if (!sched_pick(m->s, m->now, &pick))
			return;
		assert_true(any);
		l = sim_lane_of(m, pick.lane);
		q = &l->queue[pick.priority];
		assert_true(q->head < q->len);
		assert_true(room(m, l));
		m->running[l->user][l->source]++;
		if (l->destination != l->source)
			m->running[l->user][l->destination]++;
		assert_true(++m->total <= TOTAL_MAX);
		slot = (unsigned)((m->now + 1 + sim_random(m, TIME_MAX)) % (TIME_MAX + 1));
		m->ends[slot].list[m->ends[slot].len++] = l;
		l->ready--;
		if (m->claims >= WINDOW)
			m->in_window[m->window[m->claims % WINDOW]]--;
		m->window[m->claims % WINDOW] = (unsigned char)l->user;
		m->in_window[l->user]++;
		m->claims++;
		m->user_claims[l->user]++;
		check_watched(m, l, pick.priority, q->accepted[q->head]);
		q->head++;
		tell_head(m, l, pick.priority);
		check_shares(m);
	}
}

static void
finish_due(struct sim *m)
{
	unsigned slot = (unsigned)(m->now % (TIME_MAX + 1)), i;
	struct sim_lane *l;

	for (i = 0; i < m->ends[slot].len; i++) {
		l = m->ends[slot].list[i];
		m->running[l->user][l->source]--;
		if (l->destination != l->source)
			m->running[l->user][l->destination]--;
		m->total--;
		sched_finished(m->s, l->lane);
	}
	m->ends[slot].len = 0;
	assert_int_equal(sched_running(m->s), m->total);
}

static void
sim_init(struct sim *m)
{
	static const unsigned weights[USERS] = {1, 1, 2};
	const struct sched_config config = {
	    .total_max = TOTAL_MAX, .account_max = ACCOUNT_MAX, .age_step_ms = SIM_AGE};
	char user[16], source[16], destination[16];
	unsigned u, i;
	struct sim_lane *l;

	m->random = 20240117;
	m->s = sched_new(&config);
	for (u = 0; u < USERS; u++) {
		snprintf(user, sizeof user, "user%u", u);
		m->weight[u] = weights[u];
		m->runnable_since[u] = UINT64_MAX;
		sched_user_weight(m->s, user, weights[u]);
		for (i = 0; i < LANES; i++) {
			l = &m->lanes[u][i];
			l->user = u;
			l->source = i / ACCOUNTS;
			l->destination = i % ACCOUNTS;
			snprintf(source, sizeof source, "%u.%u", u, l->source);
			snprintf(destination, sizeof destination, "%u.%u", u, l->destination);
			l->lane = sched_lane(m->s, user, source, destination);
		}
	}
}

static void
test_simulation(void **state)
{
	struct sim *m = xcalloc(1, sizeof *m);
	unsigned u, i, p;

	sim_init(m);
	while (m->claims < CHANGES) {
		m->now++;
		finish_due(m);
		arrivals(m);
		claim_all(m);
		assert_true(m->now < 100u * 1000 * 1000);
	}
	assert_int_equal(m->accepted, CHANGES);
	assert_true(m->watched_done > 100);
	for (u = 0; u < USERS; u++)
		assert_int_equal(backlog(m, u), 0);
	print_message("# %u watched priority-0 changes, the slowest within %llu claims; %llu ms of "
		      "virtual time\n",
	    m->watched_done, (unsigned long long)m->worst, (unsigned long long)m->now);
	for (u = 0; u < USERS; u++) {
		for (i = 0; i < LANES; i++) {
			for (p = 0; p < PRIORITIES; p++)
				free(m->lanes[u][i].queue[p].accepted);
		}
	}
	sched_free(m->s);
	free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_priority_and_age),
	    cmocka_unit_test(test_weights),
	    cmocka_unit_test(test_idle_saves_nothing_up),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_lanes_and_holds),
	    cmocka_unit_test(test_two_accounts_are_not_starved),
	    cmocka_unit_test(test_simulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
