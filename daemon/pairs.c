#include "daemon/pairs.h"
#include "daemon/accounts.h"
#include "daemon/pair.h"
#include "daemon/queue.h"
#include "src/clock.h"
#include "src/field.h"
#include "src/log.h"
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct pairs_entry {
	struct pairs *pairs;
	char *user_id, *source, *destination; /* source NULL: none but the destination */
	struct pair pair;
	unsigned running;
	uint64_t answers, refusals; /* of both accounts, when the round began */
	TAILQ_ENTRY(pairs_entry) next;
};

struct pairs {
	struct daemon *daemon;
	TAILQ_HEAD(, pairs_entry) entries; /* those in use are found first */
	unsigned running;
	struct event *timer;
};

/* -- a round */

/* No more may run than any limit that is known allows. */
static unsigned
entry_max(const struct pairs_entry *e)
{
	struct daemon *d = e->pairs->daemon;
	unsigned max = daemon_account_max(d->settings), of;
	const char *const ids[] = {e->source, e->destination};
	const struct throttle *t;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		t = ids[i] != NULL ? accounts_throttle(d->accounts, ids[i]) : NULL;
		of = t != NULL ? throttle_concurrency(t) : 0;
		if (of != 0)
			max = MIN(max, of);
	}
	return max;
}

/* How many answers and refusals came since this was asked last. */
static void
entry_count(struct pairs_entry *e, struct pair_round *round)
{
	const char *const ids[] = {e->source, e->destination};
	uint64_t answers = 0, refusals = 0, n, m;
	const struct throttle *t;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		t = ids[i] != NULL ? accounts_throttle(e->pairs->daemon->accounts, ids[i]) : NULL;
		if (t == NULL)
			continue;
		throttle_counts(t, &n, &m);
		answers += n;
		refusals += m;
	}
	/* An account that was removed and made again counts from nothing. */
	round->answers = answers > e->answers ? answers - e->answers : 0;
	round->refusals = refusals > e->refusals ? refusals - e->refusals : 0;
	e->answers = answers;
	e->refusals = refusals;
}

static void
entry_tell(const struct pairs_entry *e)
{
	struct daemon *d = e->pairs->daemon;

	store_lane_limit(d->store, e->user_id, e->source, e->destination, e->pair.at_once);
	queue_kick(d->queue);
}

static void
entry_tick(struct pairs_entry *e, uint64_t now_ms)
{
	struct pair_round round = {.running = e->running, .max = entry_max(e)};
	unsigned was = e->pair.at_once;

	if (e->running == 0 || !pair_is_due(&e->pair, now_ms))
		return;
	entry_count(e, &round);
	if (!pair_tick(&e->pair, &round, now_ms))
		return;
	log_debug("from %s to %s: %u at once instead of %u: %s",
	    e->source != NULL ? e->source : e->destination, e->destination, e->pair.at_once, was,
	    e->pair.reason);
	entry_tell(e);
}

static void
pairs_on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval tick = {.tv_usec = PAIR_ROUND_MS / 4 * 1000};
	uint64_t now = clock_mono_ms();
	struct pairs *p = arg;
	struct pairs_entry *e;

	if (p->running == 0 || p->daemon->draining)
		return;
	TAILQ_FOREACH (e, &p->entries, next)
		entry_tick(e, now);
	evtimer_add(p->timer, &tick);
}

/* -- what runs */

static bool
entry_is(const struct pairs_entry *e, const char *source, const char *destination)
{
	if (strcmp(e->destination, destination) != 0 || (e->source == NULL) != (source == NULL))
		return false;
	return source == NULL || strcmp(e->source, source) == 0;
}

static struct pairs_entry *
pairs_find(struct pairs *p, const struct change *c)
{
	const char *source = change_reads_from(c);
	struct pairs_entry *e;

	TAILQ_FOREACH (e, &p->entries, next) {
		if (entry_is(e, source, c->account_id)) {
			TAILQ_REMOVE(&p->entries, e, next);
			TAILQ_INSERT_HEAD(&p->entries, e, next);
			return e;
		}
	}
	e = xcalloc(1, sizeof *e);
	e->pairs = p;
	e->user_id = xstrdup(c->user_id);
	e->source = xstrdup_null(source);
	e->destination = xstrdup(c->account_id);
	pair_init(&e->pair);
	TAILQ_INSERT_HEAD(&p->entries, e, next);
	return e;
}

struct pairs_entry *
pairs_enter(struct pairs *p, const struct change *c)
{
	static const struct timeval at_once = {0, 0};
	struct pairs_entry *e = pairs_find(p, c);

	/* What happened while nothing ran says nothing. */
	if (e->running++ == 0)
		e->pair.round_ms = 0;
	if (p->running++ == 0)
		evtimer_add(p->timer, &at_once);
	return e;
}

void
pairs_moved(struct pairs_entry *e, uint64_t bytes)
{
	pair_moved(&e->pair, bytes);
}

void
pairs_ended(struct pairs_entry *e, int code)
{
	pair_ended(&e->pair, code != 0 && err_is_transient(code) && code != -ESHUTDOWN);
}

void
pairs_leave(struct pairs_entry *e)
{
	e->running--;
	e->pairs->running--;
}

json_t *
pairs_view(const struct pairs *p, const char *account_id)
{
	const struct pairs_entry *e;
	json_t *list = json_array(), *item;

	TAILQ_FOREACH (e, &p->entries, next) {
		if (strcmp(e->destination, account_id) != 0 &&
		    (e->source == NULL || strcmp(e->source, account_id) != 0))
			continue;
		item = json_object();
		field_set_str(item, "sourceAccountId", e->source);
		field_set_str(item, "destinationAccountId", e->destination);
		field_set_int(item, "running", e->running);
		field_set_int(item, "concurrency", e->pair.at_once);
		field_set_str(item, "reason", e->pair.reason);
		json_array_append_new(list, item);
	}
	return list;
}

struct pairs *
pairs_new(struct daemon *d)
{
	struct pairs *p = xcalloc(1, sizeof *p);

	p->daemon = d;
	TAILQ_INIT(&p->entries);
	p->timer = evtimer_new(loop_base(d->loop), pairs_on_timer, p);
	return p;
}

void
pairs_free(struct pairs *p)
{
	struct pairs_entry *e;

	if (p == NULL)
		return;
	while ((e = TAILQ_FIRST(&p->entries)) != NULL) {
		TAILQ_REMOVE(&p->entries, e, next);
		free(e->user_id);
		free(e->source);
		free(e->destination);
		free(e);
	}
	event_free(p->timer);
	free(p);
}
