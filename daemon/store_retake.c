#include "daemon/store_path.h"
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* -- a set of ids: what must not be waited for */

struct id_set {
	struct id *ids;
	bool *used;
	size_t len, cap; /* cap: a power of two */
};

static void
id_set_free(struct id_set *set)
{
	free(set->ids);
	free(set->used);
}

static size_t
id_set_slot(const struct id_set *set, const struct id *id)
{
	uint64_t hash;
	size_t i;

	/* Ids are random, but given by clients: the worst they can do is slow down their own. */
	memcpy(&hash, id->b, sizeof hash);
	hash *= 0x9e3779b97f4a7c15u;
	i = (size_t)(hash >> 32) & (set->cap - 1);
	while (set->used[i] && memcmp(set->ids[i].b, id->b, sizeof id->b) != 0)
		i = (i + 1) & (set->cap - 1);
	return i;
}

bool
id_set_has(const struct id_set *set, const struct id *id)
{
	return set != NULL && set->cap != 0 && set->used[id_set_slot(set, id)];
}

static void
id_set_add(struct id_set *set, const struct id *id)
{
	struct id_set old = *set;
	size_t i;

	if ((set->len + 1) * 2 > set->cap) {
		set->cap = MAX(old.cap * 2, (size_t)16);
		set->ids = xcalloc(set->cap, sizeof *set->ids);
		set->used = xcalloc(set->cap, sizeof *set->used);
		set->len = 0;
		for (i = 0; i < old.cap; i++) {
			if (old.used[i])
				id_set_add(set, &old.ids[i]);
		}
		id_set_free(&old);
	}
	i = id_set_slot(set, id);
	if (set->used[i])
		return;
	set->ids[i] = *id;
	set->used[i] = true;
	set->len++;
}

struct closure {
	struct store_tx *t;
	struct id_set set;
	struct id *queue;
	size_t len;
	uint64_t seq;
};

static void
closure_add(struct closure *cl, const struct id *id)
{
	if (id_set_has(&cl->set, id))
		return;
	id_set_add(&cl->set, id);
	if ((cl->len & (cl->len - 1)) == 0)
		cl->queue = xrealloc(cl->queue, MAX(cl->len * 2, (size_t)1), sizeof *cl->queue);
	cl->queue[cl->len++] = *id;
}

static void
closure_tree(void *arg, const struct path_note *tree)
{
	closure_add(arg, &tree->change);
}

static void
closure_trees(void *arg, const struct path_key *key)
{
	struct closure *cl = arg;

	note_trees_since(cl->t, key, cl->seq, closure_tree, cl);
}

/* Those that wait for this change: explicitly, and as trees above it. */
static void
closure_waiters(struct closure *cl, const struct item *it)
{
	CLEANUP(cleanup_free) struct note *notes = NULL;
	CLEANUP(cleanup_free) struct wake *wakes = NULL;
	size_t i, len = wakes_valid(cl->t, &it->id, &wakes);

	for (i = 0; i < len; i++)
		closure_add(cl, &wakes[i].waiter);
	len = notes_of(it, &notes);
	for (i = 0; i < len; i++) {
		cl->seq = notes[i].seq;
		note_ancestors(&notes[i], closure_trees, cl);
	}
}

static void
closure_of(struct closure *cl, const struct item *first)
{
	struct item it;
	size_t i;

	closure_waiters(cl, first);
	for (i = 0; i < cl->len; i++) {
		if (!item_load_indexed(&cl->t->tx, &cl->queue[i], &it))
			continue;
		closure_waiters(cl, &it);
		item_fini(&it);
	}
}

/*
 * A change waits for the newest writer only, which waits for those before it.  If that one goes
 * while it still waits, those it stood for must be waited for directly.  They were waited for all
 * along, if by a detour, so there can be no cycle; but what a replaced change passed by, it passes
 * by again.
 */
static void
path_again(struct store_tx *t, const struct id *id)
{
	struct closure cl = {.t = t};
	struct item it;
	struct take k = {.t = t, .without = &cl.set};
	struct note *notes = NULL;
	size_t i, len;

	if (!item_load_indexed(&t->tx, id, &it))
		return;
	k.self = &it.id;
	if (it.taken != it.order)
		closure_of(&cl, &it);
	len = notes_of(&it, &notes);
	for (i = 0; i < len; i++)
		take_note(&k, &notes[i]);
	take_settle(&k, &it, waiting_count(&t->tx, id, NULL));
	free(notes);
	id_set_free(&cl.set);
	free(cl.queue);
	item_fini(&it);
}

void
path_inherit(struct store_tx *t, const struct wake *wakes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		path_again(t, &wakes[i].waiter);
}

struct hold {
	struct store_tx *t;
	const struct id *self;
	uint64_t seq;
};

/* Does it read what it writes over?  Then who waits for it may wait for that. */
static bool
reads_its_path(const struct item *it)
{
	const struct segment *s = it->c->segments;
	size_t i;

	for (i = 0; i < it->c->segments_len; i++) {
		if (s[i].kind == SEGMENT_ENTRY && strcmp(s[i].path, it->c->path) == 0 &&
		    strcmp(s[i].account_id, it->c->account_id) == 0)
			return true;
	}
	return false;
}

/* Its destination is elsewhere now: who waited only to write there waits for it no longer. */
static void
path_let_go(struct store_tx *t, const struct item *from, bool waited)
{
	CLEANUP(cleanup_free) struct wake *wakes = NULL;
	const struct id *id = &from->id;
	size_t i, len = wakes_valid(t, id, &wakes);

	if (waited)
		path_inherit(t, wakes, len);
	if (reads_its_path(from))
		return;
	for (i = 0; i < len; i++) {
		if (wakes[i].flags != 0)
			continue;
		tx_del(&t->tx, DB_WAKES, id->b, ID_BYTES, &wakes[i], sizeof wakes[i]);
		waiting_less(t, &wakes[i].waiter);
	}
}

static void
hold_tree(void *arg, const struct path_note *tree)
{
	struct hold *h = arg;

	wake_more(h->t, h->self, WAKE_READ, &tree->change);
}

static void
hold_trees(void *arg, const struct path_key *key)
{
	struct hold *h = arg;

	note_trees_since(h->t, key, h->seq, hold_tree, h);
}

/* Trees that count what is read here will not count it in its new place: they wait for it by name.
 */
static void
path_hold(struct store_tx *t, const struct item *it, bool keep_dest)
{
	CLEANUP(cleanup_free) struct note *notes = NULL;
	size_t i, len = notes_of(it, &notes);
	struct hold h = {.t = t, .self = &it->id};

	for (i = 0; i < len; i++) {
		if ((notes[i].flags & NOTE_SOURCE) == 0 ||
		    (keep_dest && (notes[i].flags & NOTE_DEST) != 0))
			continue;
		h.seq = notes[i].seq;
		note_ancestors(&notes[i], hold_trees, &h);
	}
}

/*
 * A destination that stays keeps its place.  All else gets a fresh number and waits for what is
 * there now, except for those that wait, by whatever detour, for this very change: no cycle can
 * form, as nobody's waits but ours are new.  Those that passed this one by when they were written
 * again themselves have their notes behind it: they are waited for as before.
 */
void
path_retake(struct store_tx *t, const struct item *from, struct item *to)
{
	bool same = strcmp(from->c->account_id, to->c->account_id) == 0 &&
	    strcmp(from->c->path, to->c->path) == 0;
	struct closure cl = {.t = t};
	struct take k = {.t = t, .self = &to->id, .without = &cl.set, .waited = from->taken};
	CLEANUP(cleanup_free) struct note *notes = NULL;
	bool waited = waiting_count(&t->tx, &to->id, NULL) != 0;
	size_t i, len;

	path_hold(t, from, same);
	notes_drop(t, from, same);
	waiting_drop(t, &to->id);
	if (!same)
		path_let_go(t, from, waited);
	to->taken = ++t->seq;
	to->c->seq = same ? from->c->seq : to->taken;
	closure_of(&cl, to);
	len = notes_of(to, &notes);
	for (i = 0; i < len; i++)
		take_and_put(&k, &notes[i], same && (notes[i].flags & NOTE_DEST) != 0);
	take_settle(&k, to, 0);
	id_set_free(&cl.set);
	free(cl.queue);
}
