/*
 * sched: which change runs next.  A pure function of its state and a clock: no I/O, no store.  The
 * store's thread owns it.  It knows lanes, not changes: a lane is (user, source account,
 * destination account); per lane and priority it knows how many changes are ready and since when
 * the oldest waits.
 *
 * Rules: a user is chosen by virtual time (stride scheduling with the user's weight; a user who
 * comes back from idle starts at the present, not with a saved-up past), among those with a
 * runnable lane. Within a user the head with the highest priority + waited / age_step wins, ties to
 * the older.  A lane is runnable while it, its accounts and the total are below their limits.
 * Whoever cannot run because of limits saves nothing up either.  A head that has waited so long
 * that no fresh change could precede it, and needs slots of two accounts that are never free at
 * once, holds the free one for itself.
 *
 * Nothing of an account that is held is picked, but what was cancelled and only comes to clean up:
 * that has a level of its own, above all priorities.
 */
#pragma once
#include "src/change.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHED_CLEANUP (CHANGE_PRIORITY_MAX + 1) /* the level of what only cleans up */

struct sched;
struct sched_lane; /* opaque handle; lives as long as the sched */

struct sched_config {
	unsigned total_max; /* running at once */
	unsigned account_max; /* per account, unless sched_account_limit() */
	unsigned lane_max; /* per lane, unless sched_lane_limit(); 0: no limit */
	uint64_t age_step_ms; /* waiting this long is worth one priority level */
};

struct sched *sched_new(const struct sched_config *);
void sched_free(struct sched *);
void sched_configure(struct sched *, const struct sched_config *);
void sched_user_weight(struct sched *, const char *user, unsigned weight); /* default 1 */
void sched_account_limit(struct sched *, const char *account, unsigned max); /* 0: the common one */
/* Nothing of it is picked but what cleans up; what runs, runs on. */
void sched_account_hold(struct sched *, const char *account, bool held);
/* source may be NULL (a change of one account). Found or made. */
struct sched_lane *
sched_lane(struct sched *, const char *user, const char *source, const char *destination);
/* The ready queue (lane, priority or SCHED_CLEANUP) has changed: its oldest has waited since
 * `since_ms`; UINT64_MAX: empty. */
void sched_head(struct sched *, struct sched_lane *, unsigned priority, uint64_t since_ms);

/* How many of it may run at once; 0: the common limit. */
void sched_lane_limit(struct sched_lane *, unsigned max);

/* The names the lane was made with; source may be NULL. */
const char *sched_lane_user(const struct sched_lane *);
const char *sched_lane_source(const struct sched_lane *);
const char *sched_lane_destination(const struct sched_lane *);

struct sched_pick {
	struct sched_lane *lane;
	unsigned priority;
};
/* false: nothing may run.  The pick counts as running until sched_finished(); the caller pops the
   queue and tells the new head. */
bool sched_pick(struct sched *, uint64_t now_ms, struct sched_pick *out);
void sched_started(struct sched *, struct sched_lane *); /* at start-up: already running */
void sched_finished(struct sched *, struct sched_lane *);
unsigned sched_running(const struct sched *);
bool sched_is_runnable(const struct sched *); /* would sched_pick() find something? */
/* Forgets all heads and running counts (weights and limits stay), to be told anew from the store.
 */
void sched_reset(struct sched *);
