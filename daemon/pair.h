/*
 * pair: how many changes run at once from one account to another, found out by trying.  A pure
 * function of what it is told and a clock.
 *
 * At first it grows fast: while each change is as fast as before there is room for four times as
 * many, while all together are faster for twice as many.  When more seem to bring nothing it looks
 * longer (slow streams move in fits and starts), and then once more with twice as many; only then
 * it goes back to what was enough, and is steady: now and then it tries a few more, then a few
 * less, and keeps what was faster, or as fast with less.  A trial that brought nothing makes the
 * next one wait twice as long, so it comes to rest.  When a cloud refuses more than few requests
 * (throttle.h), or many changes fail, there are fewer at once, and it is steady; when that is over
 * it comes back to half of what it was by doubling.
 *
 * Its measure is bytes, with each change that has ended counted as PAIR_OBJECT_BYTES: what small
 * ones cost is requests.  Only rounds in which as many ran as may say anything.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define PAIR_FIRST        64
#define PAIR_LEAST        4 /* fewer say nothing; the window (throttle.h) goes down to one */
#define PAIR_OBJECT_BYTES (UINT64_C(64) << 10)
#define PAIR_ROUND_MS     500

struct pair {
	unsigned at_once;
	const char *reason; /* of at_once; static */
	/* its own: */
	enum { PAIR_GROWS, PAIR_STEADY, PAIR_TRIES_MORE, PAIR_TRIES_LESS } state;
	uint64_t round_ms; /* when it began; 0: at the next tick */
	bool settles; /* what was begun by the last step is not up to speed */
	uint64_t work; /* of this round */
	unsigned ended, failed;
	unsigned before; /* at_once before this step, which made */
	double rate_before; /* a second; 0: there is nothing to compare with */
	uint64_t trial_ms, pause_ms; /* the next trial, and how long it waited for it */
	unsigned enough; /* GROWS: more than so many seemed to bring nothing; 0: not yet */
	bool tried_more; /* last: now it tries less */
	unsigned level; /* at_once when the trouble began; 0: there was none */
	bool returns; /* to half of that */
};

struct pair_round { /* what the round was like, besides */
	unsigned running; /* of the pair */
	unsigned max; /* may run, whatever is found out: the scheduler keeps to that */
	uint64_t answers, refusals; /* of both accounts' clouds, in this round */
};

void pair_init(struct pair *);
void pair_moved(struct pair *, uint64_t bytes);
void pair_ended(struct pair *, bool failed); /* failed: in passing, by the cloud's doing */
bool pair_is_due(const struct pair *, uint64_t now_ms);
/* A round is over.  True: at_once has changed. */
bool pair_tick(struct pair *, const struct pair_round *, uint64_t now_ms);
