#include "daemon/pair.h"
#include "src/mem.h"

#define SETTLE_MS     200 /* after a step, before its round */
#define DOUBT_MS      2000 /* a round that shows no gain lasts so long */
#define STEADY_ROUND  4 /* rounds that one of a trial is long: small differences need time */
#define PAUSE_MIN_MS  2000 /* between trials */
#define PAUSE_MAX_MS  60000
#define TRIAL_PART    8 /* a trial adds, or takes, such a part */
#define REFUSED_FEW   16 /* one in so many is nothing */
#define FAILED_MANY   4 /* one in so many is too many */
#define TROUBLE_LEAST 4 /* of fewer refusals, or failures, nothing follows */

#define AS_FAST       0.9 /* each, as before: there is room */
#define FASTER        1.25 /* together: worth twice as many */
#define NO_LOSER      0.97 /* with less: as good */

void
pair_init(struct pair *p)
{
	*p = (struct pair){.at_once = PAIR_FIRST, .reason = "the first ones"};
}

void
pair_moved(struct pair *p, uint64_t bytes)
{
	p->work += bytes;
}

void
pair_ended(struct pair *p, bool failed)
{
	p->ended++;
	p->failed += failed;
	if (!failed)
		p->work += PAIR_OBJECT_BYTES;
}

static uint64_t
pair_round_length(const struct pair *p)
{
	if (p->settles)
		return SETTLE_MS;
	return p->state == PAIR_GROWS ? PAIR_ROUND_MS : PAIR_ROUND_MS * STEADY_ROUND;
}

bool
pair_is_due(const struct pair *p, uint64_t now_ms)
{
	return now_ms >= p->round_ms + pair_round_length(p);
}

static void
pair_next_round(struct pair *p, bool settles, uint64_t now_ms)
{
	p->round_ms = now_ms;
	p->settles = settles;
	p->work = 0;
	p->ended = p->failed = 0;
}

static void
pair_set(struct pair *p, unsigned at_once, const char *reason)
{
	p->at_once = MAX(at_once, (unsigned)PAIR_LEAST);
	p->reason = reason;
}

/* Nothing is tried for a while; for longer than the last time if that was of no use. */
static void
pair_rest(struct pair *p, bool was_useful, uint64_t now_ms)
{
	p->pause_ms = was_useful ? PAUSE_MIN_MS : p->pause_ms * 2;
	p->pause_ms = MIN(MAX(p->pause_ms, (uint64_t)PAUSE_MIN_MS), (uint64_t)PAUSE_MAX_MS);
	p->trial_ms = now_ms + p->pause_ms;
	p->state = PAIR_STEADY;
}

/* True: there was trouble, and it was answered. */
static bool
pair_is_in_trouble(struct pair *p, const struct pair_round *r, uint64_t now_ms)
{
	uint64_t refused = r->refusals,
		 of = MAX(r->answers, refused); /* counted one after the other */
	unsigned was = p->at_once, less;

	if (refused >= TROUBLE_LEAST && refused * REFUSED_FEW > of) {
		/* What was refused was too much; at most half, for it may have been an accident. */
		less = (unsigned)MIN(p->at_once * refused / of, (uint64_t)p->at_once / 2);
		pair_set(p, p->at_once - MAX(less, 1u), "a cloud asks to slow down");
	} else if (p->failed >= TROUBLE_LEAST && p->failed * FAILED_MANY > p->ended) {
		pair_set(p, p->at_once / 2, "too many fail");
	} else {
		return false;
	}
	if (p->level == 0 || p->returns)
		p->level = was;
	p->returns = false;
	pair_rest(p, false, now_ms);
	return true;
}

static void
pair_try(struct pair *p, const struct pair_round *r, double rate, bool more)
{
	unsigned part = MAX(p->at_once / TRIAL_PART, 1u);

	more = more && p->at_once < r->max;
	if (!more && p->at_once <= PAIR_LEAST)
		return;
	p->before = p->at_once;
	p->rate_before = rate;
	p->tried_more = more;
	p->state = more ? PAIR_TRIES_MORE : PAIR_TRIES_LESS;
	pair_set(p, more ? MIN(p->at_once + part, r->max) : p->at_once - part,
	    more ? "tries whether a few more are faster" : "tries whether fewer are as fast");
}

/* No faster by it?  A short look is not enough to say so. */
static bool
pair_is_in_doubt(const struct pair *p, double rate, uint64_t now_ms)
{
	return p->state == PAIR_GROWS && p->rate_before > 0 && rate < p->rate_before * FASTER &&
	    now_ms < p->round_ms + DOUBT_MS;
}

static void
pair_grow_to(struct pair *p, uint64_t at_once, const struct pair_round *r, const char *reason)
{
	p->before = p->at_once;
	pair_set(p, (unsigned)MIN(at_once, (uint64_t)r->max), reason);
}

static void
pair_grow(struct pair *p, const struct pair_round *r, double rate, uint64_t now_ms)
{
	double wider = p->before > 0 ? (double)p->at_once / p->before : 1;
	double gain = p->rate_before > 0 ? rate / p->rate_before : 0;
	bool is_faster = gain >= FASTER, is_first = p->rate_before <= 0;

	if (!is_first && !is_faster && p->enough != 0) {
		pair_set(p, p->enough, "more made it no faster");
		pair_rest(p, true, now_ms);
		return;
	}
	p->enough = is_first || is_faster ? 0 : p->before;
	p->rate_before = rate;
	if (is_first)
		pair_grow_to(p, (uint64_t)p->at_once * 2, r, "the first ones; it tries more");
	else if (!is_faster)
		pair_grow_to(p, (uint64_t)p->at_once * 2, r, "makes sure that more are no faster");
	else if (gain >= wider * AS_FAST)
		pair_grow_to(
		    p, (uint64_t)p->at_once * 4, r, "each is as fast as when they were fewer");
	else
		pair_grow_to(p, (uint64_t)p->at_once * 2, r, "more made it faster");
}

static void
pair_judge_more(struct pair *p, double rate, uint64_t now_ms)
{
	double worth = ((double)p->at_once / p->before - 1) / 2;

	if (rate > p->rate_before * (1 + worth)) {
		p->reason = "a few more made it faster";
		p->tried_more = false; /* once more the same */
		pair_rest(p, true, now_ms);
		return;
	}
	pair_set(p, p->before, "a few more made it no faster");
	pair_rest(p, false, now_ms);
}

static void
pair_judge_less(struct pair *p, double rate, uint64_t now_ms)
{
	if (rate > p->rate_before * NO_LOSER) {
		p->reason = "fewer were as fast";
		p->tried_more = true; /* once more the same */
		pair_rest(p, true, now_ms);
		return;
	}
	pair_set(p, p->before, "fewer were slower");
	pair_rest(p, false, now_ms);
}

static void
pair_be_steady(struct pair *p, const struct pair_round *r, double rate, uint64_t now_ms)
{
	if (p->at_once * 2 < p->level) {
		p->returns = true;
		pair_set(p, p->at_once * 2, "comes back after the trouble");
		return;
	}
	p->level = 0;
	p->returns = false;
	if (now_ms >= p->trial_ms)
		pair_try(p, r, rate, !p->tried_more);
}

static void
pair_judge(struct pair *p, const struct pair_round *r, double rate, uint64_t now_ms)
{
	switch (p->state) {
	case PAIR_GROWS: pair_grow(p, r, rate, now_ms); break;
	case PAIR_STEADY: pair_be_steady(p, r, rate, now_ms); break;
	case PAIR_TRIES_MORE: pair_judge_more(p, rate, now_ms); break;
	case PAIR_TRIES_LESS: pair_judge_less(p, rate, now_ms); break;
	}
}

bool
pair_tick(struct pair *p, const struct pair_round *r, uint64_t now_ms)
{
	unsigned was = p->at_once;
	double rate;

	if (p->round_ms == 0 || p->round_ms == now_ms || p->settles) {
		pair_next_round(p, false, now_ms);
		return false;
	}
	rate = (double)p->work * 1000 / (double)(now_ms - p->round_ms);
	if (pair_is_in_trouble(p, r, now_ms)) {
		/* that comes first */
	} else if (p->at_once >= r->max && r->running >= r->max - r->max / TRIAL_PART) {
		p->reason = "no more are allowed";
	} else if (r->running >= was - was / TRIAL_PART && p->work > 0) {
		if (pair_is_in_doubt(p, rate, now_ms))
			return false;
		pair_judge(p, r, rate, now_ms);
	}
	pair_next_round(p, p->at_once != was, now_ms);
	return p->at_once != was;
}
