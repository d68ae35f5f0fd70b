#include "daemon/store_path.h"
#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

static bool
mode_reads(unsigned mode)
{
	return mode == PATH_READ || mode == PATH_READ_TREE;
}

static bool
take_dep(struct take *k, const struct path_note *earlier)
{
	struct dep d = {.id = earlier->change,
	    .seq = key_u64(earlier->seq),
	    .mode = earlier->mode,
	    .flags = earlier->flags};

	if (memcmp(&earlier->change, k->self, sizeof *k->self) == 0)
		return false;
	if (id_set_has(k->without, &earlier->change)) {
		k->passed = true;
		if ((k->passed_len & (k->passed_len - 1)) == 0)
			k->passed_by = xrealloc(
			    k->passed_by, MAX(k->passed_len * 2, (size_t)1), sizeof *k->passed_by);
		d.wake = mode_reads(k->note->mode) ? WAKE_READ : 0;
		k->passed_by[k->passed_len++] = d;
		return false;
	}
	if (k->len == k->cap) {
		k->cap = MAX(k->cap * 2, (size_t)8);
		k->deps = xrealloc(k->deps, k->cap, sizeof *k->deps);
	}
	d.wake = mode_reads(earlier->mode) ? WAKE_READ : 0;
	k->deps[k->len++] = d;
	return true;
}

/* It waits for all before it, so it can stand for them. */
static bool
stands_for_all(const struct take *k, unsigned flags)
{
	return (flags & NOTE_PASSED) == 0 &&
	    ((flags & NOTE_KEEPS) == 0 || (k->note->flags & NOTE_SOURCE) == 0);
}

/* Waits for the newest writer at this key (above the path: of a tree), and for older ones while
   what was found cannot stand for them.  Returns the number of the last one waited for; 0: there is
   none. */
static uint64_t
take_writers(struct take *k, const struct path_key *key, bool above)
{
	CLEANUP(tx_cursor_close) struct tx_cursor writes = tx_cursor(&k->t->tx, DB_PATHS);
	CLEANUP(tx_cursor_close) struct tx_cursor trees = tx_cursor(&k->t->tx, DB_PATHS);
	struct path_note write, tree, *found;
	bool more_writes, more_trees, from_trees;

	more_writes = !above && note_last(&writes, key, PATH_WRITE, k->note->seq, &write);
	more_trees = note_last(&trees, key, PATH_TREE, k->note->seq, &tree);
	while (more_writes || more_trees) {
		from_trees = !more_writes || (more_trees && key_u64(tree.seq) > key_u64(write.seq));
		found = from_trees ? &tree : &write;
		if (take_dep(k, found) && stands_for_all(k, found->flags))
			return key_u64(found->seq);
		if (from_trees)
			more_trees = note_older(&trees, &tree);
		else
			more_writes = note_older(&writes, &write);
	}
	return 0;
}

static void
take_readers(struct take *k, const struct path_key *key, enum path_mode mode, uint64_t after)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&k->t->tx, DB_PATHS);
	struct path_note found;
	bool more;

	for (more = note_last(&c, key, mode, k->note->seq, &found);
	     more && key_u64(found.seq) > after; more = note_older(&c, &found))
		take_dep(k, &found);
}

static void
take_ancestor(void *arg, const struct path_key *key)
{
	struct take *k = arg;
	uint64_t writer = take_writers(k, key, true);

	if (!mode_reads(k->note->mode))
		take_readers(k, key, PATH_READ_TREE, writer);
}

/* The content that will be read is what the newest writer leaves; it depends on that one. */
static void
take_data(struct take *k, size_t first)
{
	uint64_t before = UINT64_MAX;
	struct dep *newest;
	size_t i;

	do {
		newest = NULL;
		for (i = first; i < k->len; i++) {
			if (!mode_reads(k->deps[i].mode) && k->deps[i].seq < before &&
			    (newest == NULL || k->deps[i].seq > newest->seq))
				newest = &k->deps[i];
		}
		if (newest == NULL)
			return;
		newest->wake |= newest->flags & NOTE_DEST ? WAKE_DATA : 0;
		before = newest->seq;
	} while (!stands_for_all(k, newest->flags));
}

void
take_note(struct take *k, const struct note *note)
{
	size_t first = k->len;
	uint64_t writer;

	k->note = note;
	k->passed = false;
	writer = take_writers(k, note->keys, false);
	if (!mode_reads(note->mode)) {
		take_readers(k, note->keys, PATH_READ, writer);
		take_readers(k, note->keys, PATH_READ_TREE, writer);
	}
	note_ancestors(note, take_ancestor, k);
	if (note->flags & NOTE_SOURCE)
		take_data(k, first);
}

/* A reader or a writer that was written again and passed this one by has its note behind it. */
static void
take_later_at(struct take *k, const struct path_key *key, enum path_mode mode)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&k->t->tx, DB_PATHS);
	struct path_note found;
	bool more;

	for (more = note_last(&c, key, mode, UINT64_MAX, &found);
	     more && key_u64(found.seq) > k->note->seq; more = note_older(&c, &found)) {
		if (wake_is(k->t, &found.change, k->self, k->waited))
			take_dep(k, &found);
	}
}

static void
take_later_above(void *arg, const struct path_key *key)
{
	struct take *k = arg;

	take_later_at(k, key, PATH_TREE);
	take_later_at(k, key, PATH_READ_TREE);
}

static void
take_later(struct take *k, const struct note *note)
{
	take_later_at(k, note->keys, PATH_READ);
	take_later_at(k, note->keys, PATH_WRITE);
	take_later_above(k, note->keys);
	note_ancestors(note, take_later_above, k);
}

static int
dep_compare(const void *va, const void *vb)
{
	const struct dep *a = va, *b = vb;

	return memcmp(&a->id, &b->id, sizeof a->id);
}

uint64_t
take_and_put(struct take *k, const struct note *n, bool kept)
{
	take_note(k, n);
	if (kept)
		take_later(k, n);
	note_put(k->t, n, k->self, k->passed, kept);
	return mode_is_tree(n->mode)
	    ? tx_count(&k->t->tx, DB_BENEATH, n->keys->b, sizeof n->keys->b)
	    : 0;
}

void
take_settle(struct take *k, struct item *it, uint64_t count)
{
	struct waiting w = {.count = count, .taken = it->taken};
	size_t i, n = 0;

	if (k->len > 1)
		qsort(k->deps, k->len, sizeof *k->deps, dep_compare);
	for (i = 0; i < k->passed_len; i++)
		wake_more(k->t, k->self, k->passed_by[i].wake, &k->passed_by[i].id);
	free(k->passed_by);
	for (i = 0; i < k->len; i++) {
		if (n > 0 && dep_compare(&k->deps[n - 1], &k->deps[i]) == 0)
			k->deps[n - 1].wake |= k->deps[i].wake;
		else
			k->deps[n++] = k->deps[i];
	}
	for (i = 0; i < n; i++)
		w.count += wake_put(k->t, &k->deps[i].id, k->deps[i].wake, &it->id, it->taken);
	free(k->deps);
	it->c->blockers = (uint32_t)w.count;
	if (w.count != 0)
		waiting_put(k->t, &it->id, &w);
}

void
path_take(struct store_tx *t, struct item *it)
{
	struct take k = {.t = t, .self = &it->id};
	CLEANUP(cleanup_free) struct note *notes = NULL;
	size_t i, len = notes_of(it, &notes);
	uint64_t beneath = 0;

	/* Two notes of one change never lie beneath each other as trees: change_check(). */
	for (i = 0; i < len; i++)
		beneath += take_and_put(&k, &notes[i], false);
	take_settle(&k, it, beneath);
}

void
path_release(struct store_tx *t, const struct item *it)
{
	notes_drop(t, it, false);
}
