#include "src/throttle.h"
#include "src/bucket.h"
#include "src/mem.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NSEC UINT64_C(1000000000)
#define MSEC UINT64_C(1000000)
/* Who waits for what another loop gives back looks so often: once in 4 to 12 ms.  Who waits for
 * what he has himself: for what is accepted by its age only. */
#define THROTTLE_LOOK_MS   4
#define THROTTLE_SPREAD_MS 9
#define THROTTLE_ALONE_MS  250
/* Without a refusal for so long, it is forgotten that there ever was one. */
#define THROTTLE_FORGET_NS (60 * NSEC)

/* One atomic word, so that a round has one end. */
struct window {
	uint16_t width, threshold; /* below the threshold it doubles */
	uint16_t answers, refusals; /* of this round */
};

struct gate {
	atomic_uint inside;
	atomic_uint users; /* members that are inside, or wait */
	atomic_uint waiting; /* members */
};

struct throttle {
	atomic_uint refs;
	struct bucket *rate;
	atomic_uint concurrency;
	struct gate gates[THROTTLE_GATES];
	_Atomic uint64_t window; /* struct window */
	atomic_uint most; /* requests that were under way at once in this round */
	_Atomic uint64_t cut_ns; /* requests sent before say nothing new */
	_Atomic uint64_t pause_ns; /* until then */
	_Atomic uint64_t since_ns,
	    last_ns; /* of refusals: the first since a good answer, the last */
	atomic_uint storms; /* since a good answer */
	_Atomic uint64_t answers, refusals; /* ever */
};

static uint64_t
window_pack(struct window w)
{
	uint64_t word;

	memcpy(&word, &w, sizeof word);
	return word;
}

static struct window
window_unpack(uint64_t word)
{
	struct window w;

	_Static_assert(sizeof w == sizeof word, "a window is one word");
	memcpy(&w, &word, sizeof w);
	return w;
}

struct throttle *
throttle_new(unsigned rate, unsigned concurrency)
{
	struct throttle *t = xcalloc(1, sizeof *t);

	atomic_init(&t->refs, 1);
	t->rate = bucket_new(rate);
	atomic_init(&t->concurrency, concurrency);
	atomic_init(&t->window, window_pack((struct window){.width = THROTTLE_OPEN}));
	return t;
}

struct throttle *
throttle_ref(struct throttle *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void
throttle_unref(struct throttle *t)
{
	if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	bucket_unref(t->rate);
	free(t);
}

void
throttle_set(struct throttle *t, unsigned rate, unsigned concurrency)
{
	if (bucket_rate(t->rate) != rate)
		bucket_set_rate(t->rate, rate);
	atomic_store(&t->concurrency, concurrency);
}

unsigned
throttle_concurrency(const struct throttle *t)
{
	return atomic_load(&t->concurrency);
}

unsigned
throttle_window(const struct throttle *t)
{
	return window_unpack(atomic_load(&t->window)).width;
}

uint64_t
throttle_refused_since(const struct throttle *t)
{
	return atomic_load(&t->since_ns);
}

uint64_t
throttle_paused_until(const struct throttle *t)
{
	return atomic_load(&t->pause_ns);
}

void
throttle_counts(const struct throttle *t, uint64_t *answers, uint64_t *refusals)
{
	*refusals = atomic_load(&t->refusals);
	*answers = atomic_load(&t->answers);
}

/* -- gates */

static void
member_wait(struct throttle_member *m, enum throttle_gate gate, bool waits)
{
	struct gate *g = &m->throttle->gates[gate];

	if (m->waits[gate] == waits)
		return;
	m->waits[gate] = waits;
	atomic_fetch_add(&g->waiting, waits ? 1 : -1u);
	if (m->inside[gate] == 0)
		atomic_fetch_add(&g->users, waits ? 1 : -1u);
}

static void
member_go(struct throttle_member *m, enum throttle_gate gate)
{
	if (m->inside[gate]++ == 0 && !m->waits[gate])
		atomic_fetch_add(&m->throttle->gates[gate].users, 1);
	member_wait(m, gate, false);
}

/* Beyond its even share, what it has given back is for those who wait, until they have looked. */
static bool
member_must_yield(
    const struct throttle_member *m, enum throttle_gate gate, unsigned limit, uint64_t now_ns)
{
	const struct gate *g = &m->throttle->gates[gate];
	bool counted = m->inside[gate] > 0 || m->waits[gate];
	unsigned users = atomic_load(&g->users) + !counted;

	return m->inside[gate] + 1 > limit / users &&
	    atomic_load(&g->waiting) > (m->waits[gate] ? 1u : 0u) &&
	    now_ns < m->left_ns[gate] + (THROTTLE_LOOK_MS + THROTTLE_SPREAD_MS) * MSEC;
}

bool
throttle_enter(struct throttle_member *m, enum throttle_gate gate, unsigned limit, uint64_t now_ns)
{
	struct gate *g = &m->throttle->gates[gate];
	unsigned n = atomic_load(&g->inside);

	do {
		if (n >= limit || member_must_yield(m, gate, limit, now_ns)) {
			member_wait(m, gate, true);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&g->inside, &n, n + 1));
	member_go(m, gate);
	return true;
}

void
throttle_enter_anyway(struct throttle_member *m, enum throttle_gate gate)
{
	atomic_fetch_add(&m->throttle->gates[gate].inside, 1);
	member_go(m, gate);
}

void
throttle_leave(struct throttle_member *m, enum throttle_gate gate, uint64_t now_ns)
{
	struct gate *g = &m->throttle->gates[gate];

	assert(m->inside[gate] > 0);
	atomic_fetch_sub(&g->inside, 1);
	m->left_ns[gate] = now_ns;
	if (--m->inside[gate] == 0 && !m->waits[gate])
		atomic_fetch_sub(&g->users, 1);
}

void
throttle_wait_no_more(struct throttle_member *m, enum throttle_gate gate)
{
	member_wait(m, gate, false);
}

/* The clock's low digits, so that the loops do not come all at once. */
static uint64_t
throttle_spread(uint64_t now_ns)
{
	return now_ns / 1024 % THROTTLE_SPREAD_MS;
}

uint64_t
throttle_look(const struct throttle_member *m, enum throttle_gate gate, uint64_t now_ns)
{
	const struct gate *g = &m->throttle->gates[gate];

	if (!m->waits[gate] || atomic_load(&g->users) < 2)
		return 0;
	return THROTTLE_LOOK_MS + throttle_spread(now_ns);
}

unsigned
throttle_inside(const struct throttle *t, enum throttle_gate gate)
{
	return atomic_load(&t->gates[gate].inside);
}

/* -- the window */

static struct window
window_cut(struct window w)
{
	unsigned lost = (unsigned)w.width * w.refusals / w.answers;

	w.width = (uint16_t)MAX(w.width - MAX(lost, 1u), 1u);
	w.threshold = w.width;
	return w;
}

static struct window
window_collapse(struct window w)
{
	/* One that has collapsed already remembers what it was before. */
	if (w.width > 1)
		w.threshold = w.width / 2;
	w.width = 1;
	return w;
}

static struct window
window_grow(struct window w, unsigned most)
{
	unsigned width = w.width;

	if (most * 2 < width)
		return w; /* it was not the window that held anything back */
	if (width < w.threshold)
		width = MIN(width * 2, (unsigned)w.threshold);
	else
		width += MAX(width / 16, 1u);
	w.width = (uint16_t)MIN(width, (unsigned)THROTTLE_OPEN - 1);
	return w;
}

/* More than one in THROTTLE_FEW, and more than twice the deviation that chance gives that: of few
   answers, a few refusals say nothing. */
static bool
window_is_too_wide(struct window w)
{
	int64_t over = (int64_t)w.refusals * THROTTLE_FEW - w.answers;

	return over > 0 && over * over > (int64_t)4 * THROTTLE_FEW * w.answers;
}

enum verdict { WINDOW_STAYS, WINDOW_GROWS, WINDOW_CUT, WINDOW_STORM };

/* An open window is closed to what was under way. */
static struct window
window_close(struct window w, unsigned most)
{
	if (w.width == THROTTLE_OPEN)
		w = (struct window){.width = (uint16_t)MIN(MAX(most, 1u), THROTTLE_OPEN - 1u)};
	return w;
}

/* One more answer; most: requests that were under way at once. */
static struct window
window_after(struct window w, bool refused, unsigned most, enum verdict *out)
{
	*out = WINDOW_STAYS;
	if (refused)
		w = window_close(w, most);
	w.answers++;
	w.refusals += refused;
	if (w.answers <
	    (w.width != THROTTLE_OPEN ? w.width : MIN(MAX(most, 1u), THROTTLE_OPEN - 1u)))
		return w;
	if (w.width == THROTTLE_OPEN) {
		*out = WINDOW_GROWS;
	} else if (w.refusals * 2 > w.answers) {
		*out = WINDOW_STORM;
		w = window_collapse(w);
	} else if (window_is_too_wide(w)) {
		*out = WINDOW_CUT;
		w = window_cut(w);
	} else {
		*out = WINDOW_GROWS;
		w = window_grow(w, most);
	}
	w.answers = w.refusals = 0;
	return w;
}

/* An answer to what was sent before the last cut is part of what led to it. */
static enum verdict
throttle_answer(struct throttle *t, bool refused, uint64_t sent_ns, uint64_t now_ns)
{
	unsigned most = atomic_load(&t->most);
	uint64_t word = atomic_load(&t->window), next;
	enum verdict verdict;

	if (sent_ns < atomic_load(&t->cut_ns))
		return WINDOW_STAYS;
	do {
		next = window_pack(window_after(window_unpack(word), refused, most, &verdict));
	} while (!atomic_compare_exchange_weak(&t->window, &word, next));
	if (verdict != WINDOW_STAYS)
		atomic_store(&t->most, atomic_load(&t->gates[THROTTLE_ASK].inside));
	if (verdict == WINDOW_CUT || verdict == WINDOW_STORM)
		atomic_store(&t->cut_ns, now_ns);
	return verdict;
}

static void
throttle_note_most(struct throttle *t)
{
	unsigned asking = atomic_load(&t->gates[THROTTLE_ASK].inside);
	unsigned most = atomic_load(&t->most);

	while (most < asking && !atomic_compare_exchange_weak(&t->most, &most, asking))
		;
}

uint64_t
throttle_ask(struct throttle_member *m, uint64_t now_ns)
{
	struct throttle *t = m->throttle;
	uint64_t paused = atomic_load(&t->pause_ns), wait;

	if (now_ns < paused)
		return (paused - now_ns) / (NSEC / 1000) + 1 + throttle_spread(now_ns);
	if (!throttle_enter(m, THROTTLE_ASK, throttle_window(t), now_ns)) {
		wait = throttle_look(m, THROTTLE_ASK, now_ns);
		return wait > 0 ? wait : THROTTLE_ALONE_MS;
	}
	wait = bucket_try(t->rate, 1, now_ns);
	if (wait > 0)
		throttle_leave(m, THROTTLE_ASK, now_ns);
	else
		throttle_note_most(t);
	return wait;
}

static void
throttle_forget(struct throttle *t)
{
	atomic_store(&t->window, window_pack((struct window){.width = THROTTLE_OPEN}));
}

void
throttle_overdue(struct throttle_member *m, uint64_t sent_ns, uint64_t now_ns)
{
	throttle_answer(m->throttle, false, sent_ns, now_ns);
	throttle_leave(m, THROTTLE_ASK, now_ns);
}

void
throttle_accepted(struct throttle_member *m, uint64_t sent_ns, uint64_t now_ns, bool late)
{
	struct throttle *t = m->throttle;

	atomic_fetch_add(&t->answers, 1);
	if (atomic_load(&t->since_ns) != 0)
		atomic_store(&t->since_ns, 0);
	if (atomic_load(&t->storms) != 0)
		atomic_store(&t->storms, 0);
	if (!late)
		throttle_overdue(m, sent_ns, now_ns);
	if (throttle_window(t) != THROTTLE_OPEN &&
	    now_ns > atomic_load(&t->last_ns) + THROTTLE_FORGET_NS)
		throttle_forget(t);
}

unsigned
throttle_refused(struct throttle_member *m, uint64_t sent_ns, uint64_t now_ns, bool late)
{
	struct throttle *t = m->throttle;
	uint64_t none = 0;
	enum verdict verdict;

	atomic_fetch_add(&t->answers, 1);
	atomic_fetch_add(&t->refusals, 1);
	atomic_compare_exchange_strong(&t->since_ns, &none, now_ns);
	atomic_store(&t->last_ns, now_ns);
	verdict = throttle_answer(t, true, sent_ns, now_ns);
	if (!late)
		throttle_leave(m, THROTTLE_ASK, now_ns);
	return verdict == WINDOW_STORM ? atomic_fetch_add(&t->storms, 1) + 1 : 0;
}

void
throttle_pause(struct throttle_member *m, uint64_t until_ns, uint64_t now_ns)
{
	struct throttle *t = m->throttle;
	uint64_t paused = atomic_load(&t->pause_ns), word = atomic_load(&t->window), next;
	struct window w;

	while (paused < until_ns && !atomic_compare_exchange_weak(&t->pause_ns, &paused, until_ns))
		;
	do {
		w = window_collapse(window_close(window_unpack(word), atomic_load(&t->most)));
		w.answers = w.refusals = 0;
		next = window_pack(w);
	} while (!atomic_compare_exchange_weak(&t->window, &word, next));
	atomic_store(&t->cut_ns, now_ns);
}
