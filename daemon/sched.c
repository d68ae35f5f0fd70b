#include "daemon/sched.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define LEVELS     (SCHED_CLEANUP + 1)
#define NO_HEAD    UINT64_MAX
#define STRIDE     (1u << 20) /* virtual time of one claim at weight 1; weights divide it */
#define WEIGHT_MAX 1000

struct sched_account {
	TAILQ_ENTRY(sched_account) link;
	char *name;
	unsigned running, max; /* max 0: the common limit */
	bool held;
};

struct sched_user;

struct sched_lane {
	TAILQ_ENTRY(sched_lane) link;
	struct sched_user *user;
	struct sched_account *source, *destination; /* source NULL: one account */
	uint64_t since[LEVELS]; /* NO_HEAD: nothing ready */
	unsigned heads; /* how many of them are not NO_HEAD */
	unsigned running, max; /* max 0: the common limit */
};

struct sched_user {
	TAILQ_ENTRY(sched_user) link;
	char *name;
	unsigned weight;
	unsigned heads; /* of all its lanes */
	uint64_t pass; /* virtual time: claims so far, each STRIDE / weight */
	uint64_t picked; /* number of its last pick, to break ties */
	bool idle; /* had nothing runnable when others were picked */
	TAILQ_HEAD(, sched_lane) lanes;
};

struct sched {
	struct sched_config config;
	TAILQ_HEAD(, sched_user) users;
	TAILQ_HEAD(, sched_account) accounts;
	unsigned running;
	uint64_t pass; /* the present in virtual time: that of the last user picked */
	uint64_t picks;
};

/* What a user would run next. */
struct choice {
	struct sched_lane *lane;
	unsigned priority;
	uint64_t score, since;
};

static void
config_take(struct sched *s, const struct sched_config *config)
{
	s->config = *config;
	if (s->config.age_step_ms == 0)
		s->config.age_step_ms = 1;
}

struct sched *
sched_new(const struct sched_config *config)
{
	struct sched *s = xcalloc(1, sizeof *s);

	config_take(s, config);
	TAILQ_INIT(&s->users);
	TAILQ_INIT(&s->accounts);
	return s;
}

void
sched_free(struct sched *s)
{
	struct sched_user *user;
	struct sched_account *account;
	struct sched_lane *lane;

	if (s == NULL)
		return;
	while ((user = TAILQ_FIRST(&s->users)) != NULL) {
		while ((lane = TAILQ_FIRST(&user->lanes)) != NULL) {
			TAILQ_REMOVE(&user->lanes, lane, link);
			free(lane);
		}
		TAILQ_REMOVE(&s->users, user, link);
		free(user->name);
		free(user);
	}
	while ((account = TAILQ_FIRST(&s->accounts)) != NULL) {
		TAILQ_REMOVE(&s->accounts, account, link);
		free(account->name);
		free(account);
	}
	free(s);
}

void
sched_configure(struct sched *s, const struct sched_config *config)
{
	config_take(s, config);
}

static struct sched_user *
user_find(struct sched *s, const char *name)
{
	struct sched_user *user;

	TAILQ_FOREACH (user, &s->users, link) {
		if (strcmp(user->name, name) == 0)
			return user;
	}
	user = xcalloc(1, sizeof *user);
	user->name = xstrdup(name);
	user->weight = 1;
	user->idle = true;
	TAILQ_INIT(&user->lanes);
	TAILQ_INSERT_TAIL(&s->users, user, link);
	return user;
}

static struct sched_account *
account_find(struct sched *s, const char *name)
{
	struct sched_account *account;

	TAILQ_FOREACH (account, &s->accounts, link) {
		if (strcmp(account->name, name) == 0)
			return account;
	}
	account = xcalloc(1, sizeof *account);
	account->name = xstrdup(name);
	TAILQ_INSERT_TAIL(&s->accounts, account, link);
	return account;
}

void
sched_user_weight(struct sched *s, const char *user, unsigned weight)
{
	user_find(s, user)->weight = MIN(MAX(weight, 1u), (unsigned)WEIGHT_MAX);
}

void
sched_account_limit(struct sched *s, const char *account, unsigned max)
{
	account_find(s, account)->max = max;
}

void
sched_account_hold(struct sched *s, const char *account, bool held)
{
	account_find(s, account)->held = held;
}

void
sched_lane_limit(struct sched_lane *lane, unsigned max)
{
	lane->max = max;
}

static bool
lane_is(const struct sched_lane *lane, const char *source, const char *destination)
{
	if (strcmp(lane->destination->name, destination) != 0)
		return false;
	if (lane->source == NULL || source == NULL)
		return lane->source == NULL && source == NULL;
	return strcmp(lane->source->name, source) == 0;
}

struct sched_lane *
sched_lane(struct sched *s, const char *user_name, const char *source, const char *destination)
{
	struct sched_user *user = user_find(s, user_name);
	struct sched_lane *lane;
	unsigned i;

	if (source != NULL && strcmp(source, destination) == 0)
		source = NULL;
	TAILQ_FOREACH (lane, &user->lanes, link) {
		if (lane_is(lane, source, destination)) {
			/* Those in use are found first. */
			TAILQ_REMOVE(&user->lanes, lane, link);
			TAILQ_INSERT_HEAD(&user->lanes, lane, link);
			return lane;
		}
	}
	lane = xcalloc(1, sizeof *lane);
	lane->user = user;
	lane->source = source != NULL ? account_find(s, source) : NULL;
	lane->destination = account_find(s, destination);
	for (i = 0; i < LEVELS; i++)
		lane->since[i] = NO_HEAD;
	TAILQ_INSERT_HEAD(&user->lanes, lane, link);
	return lane;
}

const char *
sched_lane_user(const struct sched_lane *lane)
{
	return lane->user->name;
}

const char *
sched_lane_source(const struct sched_lane *lane)
{
	return lane->source != NULL ? lane->source->name : NULL;
}

const char *
sched_lane_destination(const struct sched_lane *lane)
{
	return lane->destination->name;
}

void
sched_head(struct sched *s, struct sched_lane *lane, unsigned priority, uint64_t since_ms)
{
	struct sched_user *user = lane->user;

	assert(priority < LEVELS);
	if (lane->since[priority] == NO_HEAD && since_ms != NO_HEAD) {
		lane->heads++;
		if (user->heads++ == 0)
			user->idle = true;
	} else if (lane->since[priority] != NO_HEAD && since_ms == NO_HEAD) {
		lane->heads--;
		user->heads--;
	}
	lane->since[priority] = since_ms;
}

static bool
account_has_room(const struct sched *s, const struct sched_account *account)
{
	unsigned max = account->max != 0 ? account->max : s->config.account_max;

	return account->running < max;
}

/* For another reason than what others run. */
static bool
lane_is_barred(const struct sched *s, const struct sched_lane *lane)
{
	unsigned max = lane->max != 0 ? lane->max : s->config.lane_max;

	return max != 0 && lane->running >= max;
}

static bool
lane_is_held(const struct sched_lane *lane)
{
	return lane->destination->held || (lane->source != NULL && lane->source->held);
}

/* Something is ready that may be picked when there is room. */
static bool
lane_is_ready(const struct sched_lane *lane)
{
	return lane_is_held(lane) ? lane->since[SCHED_CLEANUP] != NO_HEAD : lane->heads != 0;
}

static bool
lane_has_room(const struct sched *s, const struct sched_lane *lane)
{
	return !lane_is_barred(s, lane) && account_has_room(s, lane->destination) &&
	    (lane->source == NULL || account_has_room(s, lane->source));
}

static bool
lanes_meet(const struct sched_lane *a, const struct sched_lane *b)
{
	return a->destination == b->destination || a->destination == b->source ||
	    (a->source != NULL && (a->source == b->destination || a->source == b->source));
}

static uint64_t
waited(uint64_t since, uint64_t now)
{
	return now > since ? now - since : 0;
}

static bool
choice_precedes(const struct choice *a, const struct choice *b)
{
	if (b->lane == NULL || a->score != b->score)
		return b->lane == NULL || a->score > b->score;
	if (a->since != b->since)
		return a->since < b->since;
	return a->priority > b->priority;
}

/* The best of a ready lane's heads. */
static struct choice
lane_choose(const struct sched *s, struct sched_lane *lane, uint64_t now)
{
	struct choice best = {.lane = NULL}, c = {.lane = lane};

	for (c.priority = lane_is_held(lane) ? SCHED_CLEANUP : 0; c.priority < LEVELS;
	     c.priority++) {
		c.since = lane->since[c.priority];
		if (c.since == NO_HEAD)
			continue;
		c.score = c.priority + waited(c.since, now) / s->config.age_step_ms;
		if (choice_precedes(&c, &best))
			best = c;
	}
	return best;
}

/* The best that may run now; lane NULL: none. */
static struct choice
user_choose(const struct sched *s, struct sched_user *user, uint64_t now)
{
	struct choice best = {.lane = NULL}, starved = {.lane = NULL}, c;
	struct sched_lane *lane;

	TAILQ_FOREACH (lane, &user->lanes, link) {
		if (!lane_is_ready(lane) || lane->source == NULL || lane_is_barred(s, lane) ||
		    lane_has_room(s, lane))
			continue;
		c = lane_choose(s, lane, now);
		if (waited(c.since, now) / s->config.age_step_ms >= LEVELS &&
		    choice_precedes(&c, &starved))
			starved = c;
	}
	TAILQ_FOREACH (lane, &user->lanes, link) {
		if (!lane_is_ready(lane) || !lane_has_room(s, lane))
			continue;
		c = lane_choose(s, lane, now);
		if (starved.lane != NULL && lanes_meet(lane, starved.lane) &&
		    choice_precedes(&starved, &c))
			continue;
		if (choice_precedes(&c, &best))
			best = c;
	}
	return best;
}

static bool
user_precedes(const struct sched_user *a, const struct sched_user *b)
{
	return b == NULL || a->pass < b->pass || (a->pass == b->pass && a->picked < b->picked);
}

bool
sched_pick(struct sched *s, uint64_t now_ms, struct sched_pick *out)
{
	struct choice best = {.lane = NULL}, c;
	struct sched_user *user, *chosen = NULL;

	if (s->running >= s->config.total_max)
		return false;
	TAILQ_FOREACH (user, &s->users, link) {
		if (user->heads == 0)
			continue;
		c = user_choose(s, user, now_ms);
		if (c.lane == NULL) {
			user->idle = true;
			continue;
		}
		if (user->idle) {
			user->idle = false;
			user->pass = MAX(user->pass, s->pass);
		}
		if (user_precedes(user, chosen)) {
			chosen = user;
			best = c;
		}
	}
	if (chosen == NULL)
		return false;
	s->pass = MAX(s->pass, chosen->pass);
	chosen->pass += STRIDE / chosen->weight;
	chosen->picked = ++s->picks;
	sched_started(s, best.lane);
	out->lane = best.lane;
	out->priority = best.priority;
	return true;
}

bool
sched_is_runnable(const struct sched *s)
{
	struct sched_user *user;
	struct sched_lane *lane;

	if (s->running >= s->config.total_max)
		return false;
	TAILQ_FOREACH (user, &s->users, link) {
		if (user->heads == 0)
			continue;
		TAILQ_FOREACH (lane, &user->lanes, link) {
			if (lane_is_ready(lane) && lane_has_room(s, lane))
				return true;
		}
	}
	return false;
}

void
sched_started(struct sched *s, struct sched_lane *lane)
{
	s->running++;
	lane->running++;
	lane->destination->running++;
	if (lane->source != NULL)
		lane->source->running++;
}

void
sched_finished(struct sched *s, struct sched_lane *lane)
{
	assert(s->running > 0 && lane->running > 0);
	s->running--;
	lane->running--;
	lane->destination->running--;
	if (lane->source != NULL)
		lane->source->running--;
}

unsigned
sched_running(const struct sched *s)
{
	return s->running;
}

void
sched_reset(struct sched *s)
{
	struct sched_user *user;
	struct sched_account *account;
	struct sched_lane *lane;
	unsigned i;

	TAILQ_FOREACH (user, &s->users, link) {
		TAILQ_FOREACH (lane, &user->lanes, link) {
			for (i = 0; i < LEVELS; i++)
				lane->since[i] = NO_HEAD;
			lane->heads = lane->running = 0;
		}
		user->heads = 0;
	}
	TAILQ_FOREACH (account, &s->accounts, link)
		account->running = 0;
	s->running = 0;
}
