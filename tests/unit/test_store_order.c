/*
 * Path order: each rule by itself, then a model test.  The model is brute force: it keeps every
 * change with its paths and modes and compares them pairwise.  Random changes on a small tree must
 * never run together when they conflict, must run in the order of acceptance, must all end, and
 * must fail exactly when what they read has failed.
 */
#include "src/path.h"
#include "tests/unit/store_fixture.h"

#define MOUNT "11111111-2222-4333-8444-555555555555"

/* Adds it, remembers the id, and returns how many it waits for. */
static unsigned
add(struct fixture *f, char id[37], struct change *c)
{
	memcpy(id, c->id, sizeof c->id);
	return fixture_add(f, c)->blockers;
}

static struct change *
rename_of(struct fixture *f, const char *from, const char *to, bool tree)
{
	struct change *c = fixture_transfer(f, from, to);

	c->kind = CHANGE_RENAME;
	c->tree = tree;
	return c;
}

static struct change *
move_of(struct fixture *f, const char *from, const char *to)
{
	struct change *c = fixture_transfer(f, from, to);

	c->move = true;
	return c;
}

static void
test_readers_share_writers_exclude(void **state)
{
	struct fixture *f = *state;
	char write[37], read1[37], read2[37], remove[37], read3[37];

	assert_int_equal(add(f, write, fixture_transfer(f, "src", "p")), 0);
	assert_int_equal(add(f, read1, fixture_transfer(f, "p", "to1")), 1);
	assert_int_equal(add(f, read2, fixture_transfer(f, "p", "to2")), 1);
	/* The writer waits for the two readers and for the one that they wait for. */
	assert_int_equal(add(f, remove, fixture_change(f, CHANGE_REMOVE, "p")), 3);
	assert_int_equal(add(f, read3, fixture_transfer(f, "p", "to3")), 1);
	fixture_claim(f, write);
	fixture_claim_none(f);
	fixture_finish(f, write, CHANGE_COMPLETED);
	fixture_claim(f, read1);
	fixture_claim(f, read2);
	fixture_claim_none(f);
	fixture_finish(f, read1, CHANGE_COMPLETED);
	/* Backoff keeps its place. */
	fixture_finish(f, read2, CHANGE_QUEUED);
	fixture_claim(f, read2);
	fixture_claim_none(f);
	fixture_check(f);
	fixture_finish(f, read2, CHANGE_FAILED);
	fixture_claim(f, remove);
	fixture_claim_none(f);
	fixture_finish(f, remove, CHANGE_COMPLETED);
	fixture_claim(f, read3);
}

static void
test_trees(void **state)
{
	struct fixture *f = *state;
	char in1[37], in2[37], tree[37], after[37], beside[37], into[37], rmdir[37];

	assert_int_equal(add(f, in1, fixture_transfer(f, "src", "d/sub/1")), 0);
	assert_int_equal(add(f, in2, fixture_transfer(f, "d/2", "to")), 0);
	assert_int_equal(add(f, tree, rename_of(f, "d", "e", true)), 2);
	assert_int_equal(add(f, beside, fixture_transfer(f, "src", "dd")), 0);
	assert_int_equal(add(f, after, fixture_change(f, CHANGE_REMOVE, "d/sub/3")), 1);
	assert_int_equal(add(f, into, fixture_transfer(f, "src", "e/sub/1")), 1);
	/* d/sub/3 beneath, and the rename above. */
	assert_int_equal(add(f, rmdir, fixture_change(f, CHANGE_RMDIR, "d/sub")), 3);
	fixture_check(f);
	fixture_claim(f, in1);
	fixture_claim(f, in2);
	fixture_claim(f, beside);
	fixture_claim_none(f);
	fixture_finish(f, in1, CHANGE_COMPLETED);
	fixture_claim_none(f);
	fixture_finish(f, in2, CHANGE_COMPLETED);
	fixture_claim(f, tree);
	fixture_claim_none(f);
	fixture_finish(f, tree, CHANGE_COMPLETED);
	fixture_claim(f, after);
	fixture_claim(f, into);
	fixture_claim_none(f);
	fixture_finish(f, after, CHANGE_COMPLETED);
	fixture_claim(f, rmdir);
}

static struct change *
removal_of(struct fixture *f, const char *key)
{
	struct change *c = fixture_change(f, CHANGE_REMOVE, key);

	c->by_key = true;
	return c;
}

/* Keys that no path can express lie in the directories that they begin with. */
static void
test_keys(void **state)
{
	struct fixture *f = *state;
	char slash[37], slashes[37], inner[37], same[37], marker[37], copy[37], rmdir[37];
	struct change *c;

	assert_int_equal(add(f, slash, removal_of(f, "/x")), 0);
	assert_int_equal(add(f, slashes, removal_of(f, "//")), 0);
	assert_int_equal(add(f, inner, removal_of(f, "d//x")), 0);
	assert_int_equal(add(f, same, removal_of(f, "d//x")), 1);
	assert_int_equal(add(f, marker, removal_of(f, "d/")), 0);
	fixture_check(f);
	c = fixture_transfer(f, "d/..", "to");
	c->by_key = true;
	assert_int_equal(add(f, copy, c), 0);
	assert_int_equal(add(f, rmdir, fixture_change(f, CHANGE_RMDIR, "d")), 4);
	fixture_check(f);
	fixture_claim(f, slash);
	fixture_claim(f, slashes);
	fixture_claim(f, inner);
	fixture_claim(f, marker);
	fixture_claim(f, copy);
	fixture_claim_none(f);
	fixture_finish(f, inner, CHANGE_COMPLETED);
	fixture_claim(f, same);
	fixture_finish(f, same, CHANGE_COMPLETED);
	fixture_finish(f, marker, CHANGE_COMPLETED);
	fixture_claim_none(f);
	fixture_finish(f, copy, CHANGE_COMPLETED);
	fixture_claim(f, rmdir);
	fixture_finish(f, slash, CHANGE_COMPLETED);
	fixture_finish(f, slashes, CHANGE_COMPLETED);
}

static void
test_predecessor_failed(void **state)
{
	struct fixture *f = *state;
	char first[37], copy[37], copy2[37], over[37], unlink[37], late[37];
	struct reply *r;

	add(f, first, fixture_transfer(f, "src", "dir/p"));
	add(f, copy, fixture_transfer(f, "dir/p", "q"));
	add(f, copy2, move_of(f, "q", "r"));
	add(f, unlink, fixture_change(f, CHANGE_REMOVE, "dir/p"));
	add(f, over, fixture_transfer(f, "src", "dir/p"));
	add(f, late, fixture_transfer(f, "dir/p", "s"));
	fixture_claim(f, first);
	r = fixture_finish(f, first, CHANGE_FAILED);
	/* Who would have read it, and who would have read that; not who writes or removes it. */
	assert_int_equal(r->len, 2);
	assert_string_equal(r->changes[0]->id, copy);
	assert_string_equal(r->changes[1]->id, copy2);
	assert_int_equal(r->changes[0]->state, CHANGE_FAILED);
	assert_int_equal(r->changes[0]->error, -ENODATA);
	assert_non_null(strstr(r->changes[0]->error_text, first));
	assert_non_null(strstr(r->changes[0]->error_text, "'dir/p'"));
	assert_non_null(strstr(r->changes[1]->error_text, copy));
	assert_int_equal(r->changes[0]->finished_ms, f->now);
	assert_true(r->ready);
	fixture_check(f);
	fixture_claim(f, unlink);
	fixture_finish(f, unlink, CHANGE_COMPLETED);
	fixture_claim(f, over);
	fixture_finish(f, over, CHANGE_COMPLETED);
	fixture_claim(f, late);
	/* The failed one can be tried again; it comes after what is there now. */
	r = AWAIT(f, store_change_retry(f->s, f->user, copy, TO(f)));
	assert_int_equal(r->change->blockers, 0);
	r = AWAIT(f, store_change_retry(f->s, f->user, first, TO(f)));
	assert_int_equal(r->change->blockers, 2);
}

/* What only changes attributes, or takes the file away, does not stand between reader and writer.
 */
static void
test_content_beyond(void **state)
{
	struct fixture *f = *state;
	char write[37], attr[37], read[37], tree[37], inside[37];
	struct reply *r;

	add(f, write, fixture_transfer(f, "src", "p"));
	add(f, attr, fixture_change(f, CHANGE_SETATTR, "p"));
	assert_int_equal(add(f, read, fixture_transfer(f, "p", "q")), 2);
	r = AWAIT(f, store_change_cancel(f->s, f->user, write, TO(f)));
	assert_int_equal(r->len, 1);
	assert_string_equal(r->changes[0]->id, read);
	assert_non_null(strstr(r->changes[0]->error_text, "cancelled"));
	fixture_claim(f, attr);
	fixture_finish(f, attr, CHANGE_COMPLETED);

	/* A renamed directory brings its content. */
	add(f, tree, rename_of(f, "x", "y", true));
	add(f, inside, fixture_transfer(f, "y/deep/file", "z"));
	fixture_claim(f, tree);
	r = fixture_finish(f, tree, CHANGE_FAILED);
	assert_int_equal(r->len, 1);
	assert_string_equal(r->changes[0]->id, inside);
}

/* A waiting change stood for those before it; when it is cancelled they are waited for directly. */
static void
test_cancel_of_a_waiting_one(void **state)
{
	struct fixture *f = *state;
	char first[37], second[37], third[37], tree[37];
	struct reply *r;

	add(f, first, fixture_transfer(f, "src", "p"));
	add(f, second, fixture_transfer(f, "src", "p"));
	assert_int_equal(add(f, third, fixture_transfer(f, "src", "p")), 1);
	fixture_claim(f, first);
	r = AWAIT(f, store_change_cancel(f->s, f->user, second, TO(f)));
	assert_int_equal(r->code, 0);
	fixture_claim_none(f);
	fixture_check(f);
	/* The cancelled one, tried again, comes last. */
	r = AWAIT(f, store_change_retry(f->s, f->user, second, TO(f)));
	assert_int_equal(r->change->blockers, 1);
	fixture_claim_none(f);
	fixture_finish(f, first, CHANGE_COMPLETED);
	fixture_claim(f, third);
	fixture_claim_none(f);
	assert_int_equal(add(f, tree, fixture_change(f, CHANGE_RMDIR, "")), 4);
	fixture_finish(f, third, CHANGE_COMPLETED);
	fixture_claim(f, second);
	fixture_claim_none(f);
	fixture_finish(f, second, CHANGE_COMPLETED);
	fixture_claim(f, tree);
}

/* A pending write that is written again keeps its place; what waits for it goes on waiting. */
static void
test_replace(void **state)
{
	struct fixture *f = *state;
	struct change *p = fixture_pending(f, MOUNT, "d/p", "s1"), *next;
	char pending[37], copy[37], tree[37], write[37];
	struct reply *r;

	memcpy(pending, p->id, sizeof pending);
	next = change_copy(p);
	fixture_add(f, p);
	assert_int_equal(add(f, copy, fixture_transfer(f, "d/p", "c")), 1);
	assert_int_equal(add(f, tree, fixture_change(f, CHANGE_RMDIR, "d")), 2);
	assert_int_equal(add(f, write, fixture_transfer(f, "src", "c")), 1);
	/* It now also reads c, which is written by who waits for it: no cycle. */
	change_add_segment(next, SEGMENT_ENTRY);
	next->segments[1].account_id = xstrdup(f->a);
	next->segments[1].path = xstrdup("c");
	next->segments[1].length = 10;
	r = AWAIT(f, store_pending_put(f->s, next, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->blockers, 0);
	fixture_check(f);
	fixture_claim_none(f);
	AWAIT(f, store_pending_commit(f->s, f->user, pending, 0, TO(f)));
	fixture_claim(f, pending);
	fixture_claim_none(f);
	fixture_finish(f, pending, CHANGE_COMPLETED);
	fixture_claim(f, copy);
	fixture_claim_none(f);
	fixture_finish(f, copy, CHANGE_COMPLETED);
	fixture_claim(f, tree);
	fixture_claim(f, write);
	change_free(next);
}

/* Renamed in place out of a directory that is to go: the directory waits no longer. */
static void
test_replace_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct change *p = fixture_pending(f, MOUNT, "d/tmp", "s1"), *next;
	char pending[37], first[37], after[37], tree[37];
	struct reply *r;

	add(f, first, fixture_transfer(f, "src", "d/tmp"));
	memcpy(pending, p->id, sizeof pending);
	next = change_copy(p);
	assert_int_equal(fixture_add(f, p)->blockers, 1);
	assert_int_equal(add(f, after, fixture_transfer(f, "src", "d/tmp")), 1);
	assert_int_equal(add(f, tree, rename_of(f, "d", "e", true)), 3);
	xstrset(&next->path, "e/file");
	r = AWAIT(f, store_pending_put(f->s, next, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->blockers, 1);
	fixture_check(f);
	AWAIT(f, store_pending_commit(f->s, f->user, pending, 0, TO(f)));
	fixture_claim(f, first);
	/* `after` waited for `first` by way of the pending one, and waits for it still. */
	fixture_claim_none(f);
	change_free(next);
}

/*
 * Two pending writes, the second of which has to wait for the first, as that one reads what the
 * second writes over.  Both are written again, in turn: the second must go on waiting.
 */
static void
test_replace_both(void **state)
{
	struct fixture *f = *state;
	struct change *p = fixture_pending(f, MOUNT, "copy", "s1");
	struct change *q = fixture_pending(f, MOUNT, "p", "s2");
	char reader[37], writer[37];
	unsigned i;

	memcpy(reader, p->id, sizeof reader);
	memcpy(writer, q->id, sizeof writer);
	change_add_segment(p, SEGMENT_ENTRY);
	p->segments[1].account_id = xstrdup(f->a);
	p->segments[1].path = xstrdup("p");
	p->segments[1].length = 10;
	assert_int_equal(AWAIT(f, store_pending_put(f->s, p, TO(f)))->code, 0);
	assert_int_equal(AWAIT(f, store_pending_put(f->s, q, TO(f)))->change->blockers, 1);
	for (i = 0; i < 3; i++) {
		p->segments[0].length++;
		q->segments[0].length++;
		assert_int_equal(AWAIT(f, store_pending_put(f->s, p, TO(f)))->change->blockers, 0);
		assert_int_equal(AWAIT(f, store_pending_put(f->s, q, TO(f)))->change->blockers, 1);
		fixture_check(f);
	}
	AWAIT(f, store_pending_commit(f->s, f->user, writer, 0, TO(f)));
	fixture_claim_none(f);
	AWAIT(f, store_pending_commit(f->s, f->user, reader, 0, TO(f)));
	fixture_claim(f, reader);
	fixture_claim_none(f);
	fixture_finish(f, reader, CHANGE_COMPLETED);
	fixture_claim(f, writer);
	change_free(p);
	change_free(q);
}

/* -- the model */

#define CHANGES    60
#define STEPS      4000
#define SEEDS      2 /* more with SKYFERRY_TEST_FULL */
#define SEEDS_FULL 50

static const char *const paths[] = {
    "a", "b", "a/x", "a/y", "a/x/1", "a/x/2", "b/x", "b/x/1", "c", "c/z"};

struct model_change {
	struct change *c; /* as the store last said; NULL: the slot is free */
	bool replaced; /* its notes are younger than its place */
};

struct model {
	struct fixture *f;
	struct model_change all[CHANGES];
	bool first[CHANGES][CHANGES]; /* [a][b]: as long as they conflict, a goes before b */
	uint32_t random;
	unsigned claims, failed, mounts;
};

struct model_note {
	const char *account, *path;
	int mode; /* 0 read, 1 write, 2 tree, 3 tree that is read */
	bool writes, reads, keeps;
};

static uint32_t
rnd(struct model *m, uint32_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 17;
	m->random ^= m->random << 5;
	return m->random % below;
}

static size_t
model_notes(const struct change *c, struct model_note out[4])
{
	bool tree = c->kind == CHANGE_RMDIR || c->kind == CHANGE_TREE ||
	    (c->kind == CHANGE_RENAME && c->tree);
	bool takes = c->move || c->kind == CHANGE_RENAME;
	size_t i, n = 0;

	out[n++] = (struct model_note){.account = c->account_id,
	    .path = c->path,
	    .mode = tree ? 2 : 1,
	    .writes =
		c->kind != CHANGE_REMOVE && c->kind != CHANGE_RMDIR && c->kind != CHANGE_SETATTR,
	    .keeps = c->kind == CHANGE_SETATTR};
	for (i = 0; i < c->segments_len; i++) {
		if (c->segments[i].kind == SEGMENT_ENTRY)
			out[n++] = (struct model_note){.account = c->segments[i].account_id,
			    .path = c->segments[i].path,
			    .mode = takes ? (tree ? 2 : 1)
				: tree    ? 3
					  : 0,
			    .reads = true,
			    .keeps = true};
	}
	return n;
}

static bool
notes_conflict(const struct model_note *a, const struct model_note *b)
{
	bool a_reads = a->mode == 0 || a->mode == 3, b_reads = b->mode == 0 || b->mode == 3;

	if (strcmp(a->account, b->account) != 0 || (a_reads && b_reads))
		return false;
	return strcmp(a->path, b->path) == 0 ||
	    (a->mode >= 2 && path_is_inside(b->path, a->path)) ||
	    (b->mode >= 2 && path_is_inside(a->path, b->path));
}

static bool
changes_conflict(const struct change *a, const struct change *b)
{
	struct model_note na[4], nb[4];
	size_t la = model_notes(a, na), lb = model_notes(b, nb), i, j;

	for (i = 0; i < la; i++) {
		for (j = 0; j < lb; j++) {
			if (notes_conflict(&na[i], &nb[j]))
				return true;
		}
	}
	return false;
}

/* What `earlier` does to the content at the reader's path: 0 nothing, 1 takes it away, 2 writes it.
 */
static int
content_effect(const struct change *earlier, const struct model_note *reader)
{
	struct model_note notes[4];
	size_t len = model_notes(earlier, notes), i;
	int effect = 0;

	for (i = 0; i < len; i++) {
		if (strcmp(notes[i].account, reader->account) != 0 ||
		    (strcmp(notes[i].path, reader->path) != 0 &&
			(notes[i].mode != 2 || !path_is_inside(reader->path, notes[i].path))))
			continue;
		if (notes[i].writes)
			effect = 2;
		else if (!notes[i].keeps && !notes[i].reads)
			effect = MAX(effect, 1);
	}
	return effect;
}

/* Does the failure of one of `failing` reach c? */
static bool
must_fail(struct model *m, const struct change *c, const bool failing[CHANGES])
{
	struct model_note notes[4];
	size_t len = model_notes(c, notes), i;
	unsigned j, newest;

	for (i = 0; i < len; i++) {
		if (!notes[i].reads)
			continue;
		newest = CHANGES;
		for (j = 0; j < CHANGES; j++) {
			const struct change *e = m->all[j].c;

			if (e == NULL || e == c || !change_is_live(e) || e->seq >= c->seq ||
			    content_effect(e, &notes[i]) == 0)
				continue;
			if (newest == CHANGES || e->seq > m->all[newest].c->seq)
				newest = j;
		}
		if (newest < CHANGES && failing[newest] &&
		    content_effect(m->all[newest].c, &notes[i]) == 2)
			return true;
	}
	return false;
}

static struct model_change *
model_find(struct model *m, const char *id)
{
	unsigned i;

	for (i = 0; i < CHANGES; i++) {
		if (m->all[i].c != NULL && strcmp(m->all[i].c->id, id) == 0)
			return &m->all[i];
	}
	fail();
	return NULL;
}

static bool
any_replaced(struct model *m)
{
	unsigned i;

	for (i = 0; i < CHANGES; i++) {
		if (m->all[i].c != NULL && m->all[i].replaced && change_is_live(m->all[i].c))
			return true;
	}
	return false;
}

/* It takes its place behind all that live. */
static void
model_comes_last(struct model *m, struct model_change *mc)
{
	size_t self = (size_t)(mc - m->all), i;

	for (i = 0; i < CHANGES; i++) {
		m->first[self][i] = false;
		m->first[i][self] = i != self && m->all[i].c != NULL &&
		    change_is_live(m->all[i].c) && changes_conflict(mc->c, m->all[i].c);
	}
}

/* Does what `c` reads conflict with `other`? */
static bool
reads_conflict(const struct change *c, const struct change *other)
{
	struct model_note nc[4], no[4];
	size_t lc = model_notes(c, nc), lo = model_notes(other, no), i, j;

	for (i = 1; i < lc; i++) {
		for (j = 0; j < lo; j++) {
			if (notes_conflict(&nc[i], &no[j]))
				return true;
		}
	}
	return false;
}

/*
 * It was written again.  Whom it conflicted with, and still does, keeps the order; but who waited
 * for it only to write where it was written before waits no longer.  Who conflicts with it only now
 * may wait for it by a detour: the model does not know.
 */
static void
model_stays(struct model *m, struct model_change *mc, const struct change *was)
{
	size_t self = (size_t)(mc - m->all), i;
	bool moved = strcmp(was->path, mc->c->path) != 0;

	for (i = 0; i < CHANGES; i++) {
		if (m->all[i].c == NULL)
			continue;
		if (!changes_conflict(mc->c, m->all[i].c))
			m->first[self][i] = m->first[i][self] = false;
		else if (moved && !reads_conflict(was, m->all[i].c))
			m->first[self][i] = false;
	}
}

/* Takes over what the store says has failed with `ended`, and compares it with what must have. */
static void
model_failed(struct model *m, struct model_change *ended, struct reply *r)
{
	bool failing[CHANGES] = {false}, exact = !any_replaced(m), more;
	struct model_change *mc;
	unsigned i, expected = 0;
	size_t k;

	failing[ended - m->all] = r->change->state != CHANGE_COMPLETED;
	do {
		for (i = 0, more = false; i < CHANGES; i++) {
			if (m->all[i].c == NULL || failing[i] || !change_is_live(m->all[i].c) ||
			    &m->all[i] == ended || !must_fail(m, m->all[i].c, failing))
				continue;
			failing[i] = more = true;
			expected++;
		}
	} while (more);
	if (exact)
		assert_int_equal(r->len, expected);
	for (k = 0; k < r->len; k++) {
		mc = model_find(m, r->changes[k]->id);
		assert_int_equal(r->changes[k]->state, CHANGE_FAILED);
		assert_int_equal(r->changes[k]->error, -ENODATA);
		assert_true(!exact || failing[mc - m->all]);
		change_free(mc->c);
		mc->c = change_copy(r->changes[k]);
		mc->replaced = false;
		m->failed++;
	}
	change_free(ended->c);
	ended->c = TAKE(r->change);
	ended->replaced = false;
}

/* For the log of a failing test. */
static void
model_explain(const struct model_change *mc)
{
	json_t *json = change_to_json(mc->c);
	CLEANUP(cleanup_free) char *text = json_dumps(json, JSON_COMPACT);

	print_message("# %s%s\n", mc->replaced ? "replaced " : "", text);
	json_decref(json);
}

static void
model_claim(struct model *m, unsigned max)
{
	struct reply *r = AWAIT(m->f, store_claim(m->f->s, max, TO(m->f)));
	struct model_change *mc, *other;
	unsigned i;
	size_t k;

	assert_int_equal(r->code, 0);
	for (k = 0; k < r->len; k++) {
		mc = model_find(m, r->changes[k]->id);
		change_free(mc->c);
		mc->c = change_copy(r->changes[k]);
		m->claims++;
		for (i = 0; i < CHANGES; i++) {
			other = &m->all[i];
			if (other->c == NULL || other == mc || !change_is_live(other->c) ||
			    !changes_conflict(mc->c, other->c))
				continue;
			if (other->c->state != CHANGE_RUNNING && !m->first[i][mc - m->all])
				continue;
			model_explain(mc);
			model_explain(other);
			fail_msg("the first may not run while the second is live");
		}
	}
}

static void
fill_source(struct model *m, struct change *c, enum segment_kind kind)
{
	struct segment *s = change_add_segment(c, kind);

	s->length = SEGMENT_TO_END;
	if (kind == SEGMENT_ENTRY) {
		s->account_id = xstrdup(rnd(m, 4) ? m->f->a : m->f->b);
		s->path = xstrdup(paths[rnd(m, ARRAY_LEN(paths))]);
	} else {
		s->path = xasprintf("spool-%u", rnd(m, 5));
		s->length = 10;
	}
}

static struct change *
model_random(struct model *m)
{
	struct change *c =
	    fixture_change(m->f, rnd(m, CHANGE_KINDS), paths[rnd(m, ARRAY_LEN(paths))]);
	unsigned i;

	if (rnd(m, 4) == 0)
		xstrset(&c->account_id, m->f->b);
	c->priority = rnd(m, 11);
	switch (c->kind) {
	case CHANGE_TRANSFER:
		if (rnd(m, 4) == 0) {
			c->state = CHANGE_PENDING;
			c->mount_id = xasprintf("mount-%u", rnd(m, 3));
			fill_source(m, c, SEGMENT_SPOOL);
		}
		for (i = 1 + (rnd(m, 4) == 0); i > 0; i--)
			fill_source(m, c, SEGMENT_ENTRY);
		c->move = c->segments_len == 1 && rnd(m, 2);
		for (i = 0; i < c->segments_len && c->segments_len > 1; i++)
			c->segments[i].length = 10;
		break;
	case CHANGE_RENAME:
		fill_source(m, c, SEGMENT_ENTRY);
		xstrset(&c->segments[0].account_id, c->account_id);
		c->tree = rnd(m, 2);
		if (path_is_inside(c->path, c->segments[0].path) ||
		    path_is_inside(c->segments[0].path, c->path))
			c->tree = false;
		break;
	case CHANGE_TREE:
		fill_source(m, c, SEGMENT_ENTRY);
		c->move = rnd(m, 2);
		while (path_is_inside(c->path, c->segments[0].path) ||
		    path_is_inside(c->segments[0].path, c->path))
			xstrset(&c->path, paths[rnd(m, ARRAY_LEN(paths))]);
		break;
	default: break;
	}
	return c;
}

static void
model_add(struct model *m)
{
	struct model_change *slot = &m->all[rnd(m, CHANGES)];
	struct reply *r;
	struct change *c;

	if (slot->c != NULL && change_is_live(slot->c))
		return;
	c = model_random(m);
	r = AWAIT(m->f, store_change_add(m->f->s, c, TO(m->f)));
	if (r->code != 0)
		print_message("# %s\n", err_text(&r->err));
	assert_int_equal(r->code, 0);
	change_free(c);
	change_free(slot->c);
	slot->c = TAKE(r->change);
	slot->replaced = false;
	model_comes_last(m, slot);
}

static void
model_replace(struct model *m, struct model_change *mc)
{
	struct change *c = change_copy(mc->c), *was;
	struct reply *r;

	free(c->segments[c->segments_len - 1].path);
	c->segments[c->segments_len - 1].path = xstrdup(paths[rnd(m, ARRAY_LEN(paths))]);
	if (rnd(m, 2))
		xstrset(&c->path, paths[rnd(m, ARRAY_LEN(paths))]);
	r = AWAIT(m->f, store_pending_put(m->f->s, c, TO(m->f)));
	assert_int_equal(r->code, 0);
	change_free(c);
	was = mc->c;
	mc->c = TAKE(r->change);
	mc->replaced = true;
	model_stays(m, mc, was);
	change_free(was);
}

/* Something of what may happen to it. */
static void
model_touch(struct model *m, struct model_change *mc)
{
	struct fixture *f = m->f;
	struct reply *r;

	switch (mc->c->state) {
	case CHANGE_PENDING:
		if (rnd(m, 2))
			return model_replace(m, mc);
		r = AWAIT(f, store_pending_commit(f->s, f->user, mc->c->id, 0, TO(f)));
		break;
	case CHANGE_QUEUED:
		if (mc->c->mount_id != NULL && mc->c->attempts == 0 && rnd(m, 2)) {
			r = AWAIT(f,
			    store_pending_hold(f->s, f->user, mc->c->id, mc->c->mount_id, TO(f)));
			break;
		}
		if (rnd(m, 3) != 0)
			return;
		r = AWAIT(f, store_change_cancel(f->s, f->user, mc->c->id, TO(f)));
		assert_int_equal(r->code, 0);
		return model_failed(m, mc, r);
	case CHANGE_RUNNING:
		mc->c->state = (enum change_state[]){
		    CHANGE_COMPLETED, CHANGE_COMPLETED, CHANGE_QUEUED, CHANGE_FAILED}[rnd(m, 4)];
		mc->c->not_before_ms = f->now + rnd(m, 3);
		r = AWAIT(f, store_change_finish(f->s, mc->c, TO(f)));
		/* While it is being compared it counts as live. */
		mc->c->state = CHANGE_RUNNING;
		assert_int_equal(r->code, 0);
		if (r->change->state == CHANGE_QUEUED)
			break;
		return model_failed(m, mc, r);
	case CHANGE_FAILED:
	case CHANGE_CANCELLED:
		if (rnd(m, 3) != 0)
			return;
		r = AWAIT(f, store_change_retry(f->s, f->user, mc->c->id, TO(f)));
		mc->replaced = false;
		model_comes_last(m, mc);
		break;
	default: return;
	}
	assert_int_equal(r->code, 0);
	change_free(mc->c);
	mc->c = TAKE(r->change);
}

/* Everything that lives can be carried out to its end. */
static void
model_drain(struct model *m)
{
	struct fixture *f = m->f;
	unsigned i, live, rounds = 0;

	do {
		f->now += 10;
		model_claim(m, CHANGES);
		for (i = 0, live = 0; i < CHANGES; i++) {
			struct model_change *mc = &m->all[i];

			if (mc->c == NULL || !change_is_live(mc->c))
				continue;
			live++;
			if (mc->c->state == CHANGE_PENDING) {
				model_touch(m, mc);
			} else if (mc->c->state == CHANGE_RUNNING) {
				mc->c->state = CHANGE_COMPLETED;
				AWAIT(f, store_change_finish(f->s, mc->c, TO(f)));
				mc->c->state = CHANGE_RUNNING;
				assert_int_equal(f->reply.code, 0);
				model_failed(m, mc, &f->reply);
			}
		}
		assert_true(++rounds < 100 * CHANGES); /* else some wait for each other */
	} while (live > 0);
}

static void
test_model(void **state)
{
	struct model *m = xcalloc(1, sizeof *m);
	const char *given =
	    getenv("SKYFERRY_TEST_SEED"); /* to look for more than make check does */
	unsigned first = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 1, step, seed, i;
	unsigned seeds = getenv("SKYFERRY_TEST_FULL") != NULL ? SEEDS_FULL : SEEDS;

	m->f = *state;
	for (seed = first; seed < first + seeds; seed++) {
		m->random = seed * 2654435761u;
		for (step = 0; step < STEPS; step++) {
			struct model_change *mc = &m->all[rnd(m, CHANGES)];

			m->f->now++;
			/* Those that run are looked for, or little would move. */
			for (i = 0; i < 8 && (mc->c == NULL || mc->c->state != CHANGE_RUNNING); i++)
				mc = &m->all[rnd(m, CHANGES)];
			switch (rnd(m, 4)) {
			case 0: model_add(m); break;
			case 1: model_claim(m, 1 + rnd(m, 3)); break;
			default:
				if (mc->c != NULL)
					model_touch(m, mc);
			}
			if (step % 1000 == 999)
				fixture_check(m->f);
		}
		model_drain(m);
		fixture_check(m->f);
	}
	print_message("# %u claims, %u failed with what they read\n", m->claims, m->failed);
	assert_true(m->claims > 200 * seeds && m->failed > 2 * seeds);
	for (i = 0; i < CHANGES; i++)
		change_free(m->all[i].c);
	free(m);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown_checked)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(test_readers_share_writers_exclude),
	    test(test_trees),
	    test(test_keys),
	    test(test_predecessor_failed),
	    test(test_content_beyond),
	    test(test_cancel_of_a_waiting_one),
	    test(test_replace),
	    test(test_replace_elsewhere),
	    test(test_replace_both),
	    test(test_model),
	};

	/* Thousands of commits one by one: what a disk's flush costs is not what is tested here. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
