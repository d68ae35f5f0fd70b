/*
 * Trees in the store: children in batches and within the window, folded as they end, kept as they
 * fail, cancelled and tried again with their tree; and the place of all of them in the path order
 * and in the queue.
 */
#include "src/hash.h"
#include "tests/unit/store_fixture.h"
#include <uuid/uuid.h>

/* a:from -> b:to, accepted; its id. */
static void
tree_add(struct fixture *f, char id[37])
{
	struct change *c = fixture_transfer(f, "from", "to");

	c->kind = CHANGE_TREE;
	xstrset(&c->account_id, f->b);
	memcpy(id, c->id, 37);
	fixture_add(f, c);
}

static struct walk_batch *
batch_of(const char *const names[], bool end)
{
	struct walk_batch *b = walk_batch_new();

	for (; *names != NULL; names++) {
		struct walk_entry e = {.path = (char *)*names, .size = 10};

		walk_batch_add(b, &e);
		xstrset(&b->position, *names);
	}
	b->end = end;
	return b;
}

/* file 0000, 0001, ... */
static struct walk_batch *
batch_numbered(unsigned from, unsigned len, bool end)
{
	struct walk_batch *b = walk_batch_new();
	unsigned i;

	for (i = from; i < from + len; i++) {
		CLEANUP(cleanup_free) char *path = xasprintf("d%u/f%06u", i / 1000, i);
		struct walk_entry e = {.path = path, .size = 1};

		walk_batch_add(b, &e);
		xstrset(&b->position, path);
	}
	b->end = end;
	return b;
}

static struct reply *
tree_grow(struct fixture *f, const char *id, struct walk_batch *batch)
{
	struct reply *r = AWAIT(f, store_tree_grow(f->s, id, batch, TO(f)));

	assert_int_equal(r->code, 0);
	return r;
}

static void
tree_park(struct fixture *f, const char *id)
{
	assert_int_equal(AWAIT(f, store_tree_park(f->s, id, TO(f)))->code, 0);
	assert_int_equal(f->reply.change->state, CHANGE_RUNNING);
	assert_true(change_is_parked(f->reply.change));
}

static struct tree_totals
totals(struct fixture *f, const char *id)
{
	struct tree_totals t;
	struct change *c = NULL;

	assert_int_equal(store_change_get(f->s, id, &c, NULL), 0);
	t = c->totals;
	change_free(c);
	return t;
}

/* The tree's children in these states, at most `max`; how many there are in all. */
static uint64_t
children(struct fixture *f, const char *id, unsigned states, struct change ***out, size_t *len)
{
	struct store_query q = {.user_id = f->user, .parent = id, .states = states, .limit = 100};
	struct err err = ERR_INIT;
	uint64_t total = 0;

	assert_int_equal(store_changes(f->s, &q, out, len, &total, &err), 0);
	return total;
}

/* Claims up to `max` children and ends each as `end` says; how many were there. */
static size_t
children_run(struct fixture *f, unsigned max, enum change_state (*end)(const struct change *))
{
	struct reply *r = AWAIT(f, store_claim(f->s, max, TO(f)));
	struct change **claimed = TAKE(r->changes);
	size_t i, len = r->len;

	r->len = 0;
	for (i = 0; i < len; i++)
		fixture_begin(f);
	for (i = 0; i < len; i++) {
		struct change *c = claimed[i];

		assert_string_not_equal(c->parent, "");
		c->state = end != NULL ? end(c) : CHANGE_COMPLETED;
		c->error = c->state == CHANGE_FAILED ? -EACCES : 0;
		xstrset(&c->error_text, c->state == CHANGE_FAILED ? "no" : NULL);
		c->bytes_done = c->bytes_total;
		store_change_finish(f->s, c, TO(f));
	}
	if (len > 0)
		assert_int_equal(fixture_wait(f)->code, 0);
	changes_free(claimed, len);
	return len;
}

static void
children_run_all(struct fixture *f, const char *id, enum change_state (*end)(const struct change *))
{
	uint64_t live;

	while ((live = totals(f, id).live) > 0)
		assert_true(children_run(f, (unsigned)MIN(live, (uint64_t)100), end) > 0);
}

static void
test_children_are_like_their_tree(void **state)
{
	static const char *const names[] = {"a/1", "empty/", "z", NULL};
	struct fixture *f = *state;
	struct change *c = fixture_transfer(f, "from", "to"), **list = NULL;
	struct store_query all = {.user_id = f->user, .limit = 100};
	char id[37];
	uint64_t total;
	size_t len = 0;

	c->kind = CHANGE_TREE;
	c->priority = 9;
	c->overwrite = c->preserve = false;
	c->bandwidth = 77;
	c->retries_max = 3;
	c->move = true;
	xstrset(&c->account_id, f->b);
	memcpy(id, c->id, sizeof id);
	fixture_add(f, c);
	fixture_claim(f, id);
	tree_grow(f, id, batch_of(names, true));
	assert_int_equal(f->reply.change->totals.live, 3);
	assert_int_equal(f->reply.change->totals.bytes_total, 30);
	assert_true(f->reply.change->listed);
	assert_string_equal(f->reply.change->position, "z");

	assert_int_equal(children(f, id, 0, &list, &len), 3);
	assert_int_equal(len, 3);
	assert_string_equal(list[0]->path, "to/a/1");
	assert_string_equal(list[0]->account_id, f->b);
	assert_string_equal(list[0]->segments[0].path, "from/a/1");
	assert_string_equal(list[0]->segments[0].account_id, f->a);
	assert_string_equal(list[0]->parent, id);
	assert_int_equal(list[0]->kind, CHANGE_TRANSFER);
	assert_int_equal(list[0]->priority, 9);
	assert_int_equal(list[0]->bandwidth, 77);
	assert_int_equal(list[0]->retries_max, 3);
	assert_int_equal(list[0]->bytes_total, 10);
	assert_true(list[0]->move && !list[0]->overwrite && !list[0]->preserve);
	assert_int_equal(list[1]->kind, CHANGE_MKDIR);
	assert_string_equal(list[1]->path, "to/empty");
	changes_free(list, len);

	/* Nobody else sees them one by one. */
	assert_int_equal(store_changes(f->s, &all, &list, &len, &total, NULL), 0);
	assert_int_equal(total, 1);
	assert_int_equal(len, 1);
	changes_free(list, len);
	all.user_id = f->other;
	all.parent = id;
	assert_int_equal(store_changes(f->s, &all, &list, &len, &total, NULL), -ENOENT);
	assert_int_equal(AWAIT(f, store_account_remove(f->s, f->user, f->a, TO(f)))->code, -EBUSY);
}

/* One path is one child, and nothing is found twice where a restart goes on. */
static void
test_restart(void **state)
{
	static const char *const one[] = {"1", "2", NULL}, *const two[] = {"2", "3", NULL};
	struct fixture *f = *state;
	struct reply *r;
	char id[37];

	tree_add(f, id);
	fixture_claim(f, id);
	tree_grow(f, id, batch_of(one, false));
	fixture_check(f);
	r = AWAIT(f, store_reclaim(f->s, true, TO(f)));
	assert_int_equal(r->len, 1);
	assert_string_equal(r->changes[0]->position, "2");
	assert_int_equal(
	    AWAIT(f, store_tree_grow(f->s, id, batch_of(two, true), TO(f)))->code, -ESTALE);
	/* It is claimed before its children: without it there would be none. */
	fixture_claim(f, id);
	tree_grow(f, id, batch_of(two, true));
	assert_int_equal(f->reply.change->totals.live, 3);
	tree_park(f, id);
	assert_int_equal(children_run(f, 10, NULL), 3);
	fixture_claim(f, id);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_COMPLETED);
}

static void
test_window(void **state)
{
	const unsigned files = getenv("SKYFERRY_TEST_FULL") != NULL ? 1000000 : 25000, batch = 512;
	struct fixture *f = *state;
	struct store_stats stats;
	struct tree_totals t;
	struct reply *r;
	unsigned found = 0, parks = 0, n;
	uint64_t room, used = 0;
	char id[37];

	tree_add(f, id);
	fixture_claim(f, id);
	room = store_tree_room(f->reply.changes[0]);
	assert_int_equal(room, TREE_WINDOW);
	do {
		while (room > 0 && found < files) {
			n = (unsigned)MIN(MIN(room, (uint64_t)batch), (uint64_t)(files - found));
			r = tree_grow(f, id, batch_numbered(found, n, found + n == files));
			found += n;
			room = store_tree_room(r->change);
			assert_true(r->change->totals.live <= TREE_WINDOW);
		}
		tree_park(f, id);
		parks++;
		/* Until few are left the tree is not claimed: all these are children. */
		for (n = found < files ? TREE_WINDOW - TREE_LOW : (unsigned)totals(f, id).live;
		     n > 0;)
			n -= children_run(f, MIN(n, 100), NULL);
		fixture_claim(f, id);
		room = store_tree_room(f->reply.changes[0]);
		store_stats(f->s, &stats);
		if (parks == 3)
			used = stats.map_used;
	} while (found < files);
	assert_true(parks > files / TREE_WINDOW);
	/* What has ended takes no room any more. */
	assert_true(stats.map_used < used + used / 4);
	t = totals(f, id);
	assert_int_equal(t.entries, files);
	assert_int_equal(t.done, files);
	assert_int_equal(t.bytes_done, files);
	assert_int_equal(t.live + t.failed, 0);
	r = fixture_finish(f, id, CHANGE_COMPLETED);
	assert_int_equal(r->change->state, CHANGE_COMPLETED);
	assert_int_equal(r->change->bytes_done, files);
	assert_int_equal(r->change->bytes_total, files);
}

static enum change_state
thirds_fail(const struct change *c)
{
	return c->path[strlen(c->path) - 1] % 3 == 0 ? CHANGE_FAILED : CHANGE_COMPLETED;
}

static void
test_failures(void **state)
{
	struct fixture *f = *state;
	struct change **list = NULL;
	struct reply *r;
	uint64_t failed;
	size_t len = 0;
	char id[37], child[37];

	tree_add(f, id);
	fixture_claim(f, id);
	tree_grow(f, id, batch_numbered(0, 1000, true));
	tree_park(f, id);
	children_run_all(f, id, thirds_fail);
	/* 0, 3, 6 and 9 are thirds of the alphabet, too. */
	failed = totals(f, id).failed;
	assert_int_equal(failed, 400);
	fixture_check(f);
	fixture_claim(f, id);
	r = fixture_finish(f, id, CHANGE_COMPLETED);
	assert_int_equal(r->change->state, CHANGE_FAILED);
	assert_int_equal(r->change->error, -EACCES);
	assert_string_equal(
	    r->change->error_text, "400 of 1000 entries failed; the first: 'to/d0/f000000': no");

	assert_int_equal(children(f, id, 1u << CHANGE_FAILED, &list, &len), 400);
	assert_int_equal(len, 100);
	assert_string_equal(list[99]->error_text, "no");
	memcpy(child, list[0]->id, sizeof child);
	changes_free(list, len);
	assert_int_equal(children(f, id, 1u << CHANGE_COMPLETED, &list, &len), 0);
	changes_free(list, len);

	/* They are their tree's. */
	r = AWAIT(f, store_change_retry(f->s, f->user, child, TO(f)));
	assert_int_equal(r->code, -EBUSY);
	assert_non_null(strstr(r->err.msg, id));
	assert_int_equal(AWAIT(f, store_change_dismiss(f->s, f->user, child, TO(f)))->code, -EBUSY);

	/* Again: those that failed, and once each, also if they fail again. */
	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, 0);
	fixture_claim(f, id);
	r = tree_grow(f, id, walk_batch_new());
	assert_int_equal(r->change->totals.live, 400);
	assert_int_equal(r->change->totals.failed, 0);
	tree_park(f, id);
	assert_int_equal(children_run(f, 100, thirds_fail), 100);
	assert_int_equal(totals(f, id).failed, 100);
	children_run_all(f, id, NULL);
	fixture_claim(f, id);
	r = tree_grow(f, id, walk_batch_new());
	assert_int_equal(r->change->totals.live, 0);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_FAILED);
	assert_non_null(strstr(f->reply.change->error_text, "100 of 1000 entries failed"));
	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, 0);
	fixture_claim(f, id);
	tree_grow(f, id, walk_batch_new());
	tree_park(f, id);
	assert_int_equal(children_run(f, 100, NULL), 100);
	fixture_claim(f, id);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_COMPLETED);
	assert_int_equal(f->reply.change->totals.done, 1000);
}

/* Directories that could not be listed are children, too: small trees that failed. */
static void
test_failed_directories(void **state)
{
	struct fixture *f = *state;
	struct walk_batch *b = walk_batch_new();
	struct walk_entry e = {.path = (char *)"sub/", .code = -EACCES, .error = (char *)"shut"};
	struct change **list = NULL;
	char id[37], sub[37];
	size_t len;

	tree_add(f, id);
	fixture_claim(f, id);
	walk_batch_add(b, &e);
	b->position = xstrdup("sub/");
	b->end = true;
	tree_grow(f, id, b);
	assert_int_equal(f->reply.change->totals.failed, 1);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_FAILED);
	assert_string_equal(
	    f->reply.change->error_text, "1 of 1 entries failed; the first: 'to/sub': shut");

	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, 0);
	fixture_claim(f, id);
	tree_grow(f, id, walk_batch_new());
	tree_park(f, id);
	assert_int_equal(children(f, id, 0, &list, &len), 1);
	memcpy(sub, list[0]->id, sizeof sub);
	changes_free(list, len);
	fixture_claim(f, sub);
	tree_grow(f, sub, batch_numbered(0, 5, true));
	tree_park(f, sub);
	assert_int_equal(children_run(f, 10, NULL), 5);
	fixture_claim(f, sub);
	fixture_finish(f, sub, CHANGE_COMPLETED);
	fixture_claim(f, id);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_COMPLETED);
	assert_int_equal(f->reply.change->totals.bytes_done, 5);
}

/* What was found and has no path fails the tree, and is looked for again by a retry. */
static void
test_hidden(void **state)
{
	struct fixture *f = *state;
	struct walk_batch *b = batch_numbered(0, 5, true);
	char id[37];

	tree_add(f, id);
	fixture_claim(f, id);
	b->hidden = 3;
	tree_grow(f, id, b);
	assert_int_equal(f->reply.change->totals.entries, 8);
	assert_int_equal(f->reply.change->totals.failed, 3);
	tree_park(f, id);
	assert_int_equal(children_run(f, 10, NULL), 5);
	fixture_claim(f, id);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_FAILED);
	assert_int_equal(f->reply.change->error, -EILSEQ);
	assert_non_null(
	    strstr(f->reply.change->error_text, "3 of 8 entries failed; no path can express"));

	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, 0);
	fixture_claim(f, id);
	tree_grow(f, id, batch_numbered(0, 5, true));
	tree_park(f, id);
	assert_int_equal(children_run(f, 10, NULL), 5);
	fixture_claim(f, id);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_COMPLETED);
}

/* Somebody has given the id that a child would have to another change: that one is left alone, and
   the child is counted as lost. */
static void
test_child_id_is_taken(void **state)
{
	static const char *const names[] = {"a", "x", NULL};
	struct fixture *f = *state;
	struct change *other = fixture_change(f, CHANGE_REMOVE, "elsewhere");
	unsigned char text[17], sum[32];
	char id[37], taken[37];

	tree_add(f, id);
	assert_int_equal(uuid_parse(id, text), 0);
	text[16] = 'x';
	sha256(sum, text, sizeof text);
	sum[6] = (sum[6] & 0x0f) | 0x80;
	sum[8] = (sum[8] & 0x3f) | 0x80;
	uuid_unparse_lower(sum, other->id);
	memcpy(taken, other->id, sizeof taken);
	fixture_add(f, other);
	fixture_claim(f, taken);
	fixture_claim(f, id);
	tree_grow(f, id, batch_of(names, true));
	assert_int_equal(f->reply.change->totals.entries, 2);
	assert_int_equal(f->reply.change->totals.live, 1);
	assert_int_equal(f->reply.change->totals.failed, 1);
	assert_int_equal(fixture_finish(f, taken, CHANGE_COMPLETED)->change->kind, CHANGE_REMOVE);
	fixture_check(f);
}

static void
test_cancel(void **state)
{
	struct fixture *f = *state;
	struct reply *r;
	struct change *swept[2];
	char id[37], after[37];
	struct change *c;
	size_t i, flagged = 0;

	tree_add(f, id);
	fixture_claim(f, id);
	tree_grow(f, id, batch_numbered(0, 2000, false));
	tree_park(f, id);
	r = AWAIT(f, store_claim(f->s, 2, TO(f)));
	assert_int_equal(r->len, 2);
	/* Behind all of it. */
	c = fixture_change(f, CHANGE_REMOVE, "to/d0/f000001");
	xstrset(&c->account_id, f->b);
	memcpy(after, c->id, sizeof after);
	assert_int_equal(fixture_add(f, c)->blockers, 1);

	r = AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, 0);
	assert_true(r->change->cancel);
	assert_int_equal(r->change->totals.live, 2);
	for (i = 0; i < r->len; i++) {
		flagged += r->changes[i]->state == CHANGE_RUNNING && r->changes[i]->cancel;
		assert_true(r->changes[i]->state == CHANGE_RUNNING ||
		    r->changes[i]->state == CHANGE_CANCELLED);
	}
	assert_int_equal(r->len, 2000);
	assert_int_equal(flagged, 2);
	fixture_check(f);
	fixture_claim_none(f);

	/* The daemon was killed: those that ran come back to clean up. */
	assert_int_equal(AWAIT(f, store_reclaim(f->s, true, TO(f)))->len, 2);
	r = AWAIT(f, store_claim(f->s, 10, TO(f)));
	assert_int_equal(r->len, 2);
	assert_true(r->changes[0]->cancel && r->changes[1]->cancel);
	swept[0] = TAKE(r->changes[0]);
	swept[1] = TAKE(r->changes[1]);
	for (i = 0; i < 2; i++) {
		swept[i]->state = CHANGE_CANCELLED;
		swept[i]->error = -ECANCELED;
		assert_int_equal(AWAIT(f, store_change_finish(f->s, swept[i], TO(f)))->code, 0);
		change_free(swept[i]);
	}
	fixture_claim(f, id);
	assert_true(f->reply.changes[0]->cancel);
	assert_int_equal(fixture_finish(f, id, CHANGE_CANCELLED)->change->state, CHANGE_CANCELLED);
	fixture_claim(f, after);
	fixture_finish(f, after, CHANGE_COMPLETED);

	/* What was cancelled begins anew. */
	r = AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, 0);
	assert_null(r->change->position);
	assert_int_equal(totals(f, id).entries, 0);
}

/* What failed before a cancel is found again with all else, and counts once. */
static void
test_anew(void **state)
{
	struct fixture *f = *state;
	struct tree_totals t;
	char id[37];

	tree_add(f, id);
	fixture_claim(f, id);
	tree_grow(f, id, batch_numbered(0, 30, true));
	tree_park(f, id);
	children_run(f, 20, thirds_fail);
	assert_int_equal(totals(f, id).failed, 8);
	assert_int_equal(AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)))->code, 0);
	fixture_claim(f, id);
	fixture_finish(f, id, CHANGE_CANCELLED);
	assert_int_equal(totals(f, id).failed, 8);
	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, 0);
	fixture_claim(f, id);
	tree_grow(f, id, walk_batch_new());
	assert_int_equal(totals(f, id).failed, 0);
	tree_grow(f, id, batch_numbered(0, 30, true));
	tree_park(f, id);
	children_run_all(f, id, thirds_fail);
	fixture_claim(f, id);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_FAILED);
	assert_int_equal(totals(f, id).failed, 12);
	/* What failed in the second run is tried again like any other: it was not found anew. */
	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, 0);
	fixture_claim(f, id);
	tree_grow(f, id, walk_batch_new());
	assert_int_equal(totals(f, id).live, 12);
	tree_park(f, id);
	children_run_all(f, id, NULL);
	fixture_claim(f, id);
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_COMPLETED);
	t = totals(f, id);
	assert_int_equal(t.entries, 30);
	assert_int_equal(t.done, 30);
}

/* However many had failed before, all of them are forgotten before anything is looked for. */
static void
test_anew_after_many(void **state)
{
	struct fixture *f = *state;
	struct walk_batch *b = walk_batch_new();
	size_t i, turns = 0;
	char id[37];

	for (i = 0; i < 2 * TREE_WINDOW + 10; i++) {
		CLEANUP(cleanup_free) char *path = xasprintf("d%06zu/", i);
		struct walk_entry e = {.path = path, .code = -EACCES};

		walk_batch_add(b, &e);
	}
	tree_add(f, id);
	fixture_claim(f, id);
	tree_grow(f, id, b);
	assert_int_equal(totals(f, id).failed, 2 * TREE_WINDOW + 10);
	assert_int_equal(AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)))->code, 0);
	fixture_finish(f, id, CHANGE_CANCELLED);
	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, 0);
	do {
		fixture_claim(f, id);
		tree_grow(f, id, walk_batch_new());
		if (store_tree_room(f->reply.change) > 0)
			break;
		tree_park(f, id);
	} while (++turns < 10);
	assert_int_equal(turns, 2);
	/* Nothing is there any more: that is no failure. */
	tree_grow(f, id, batch_numbered(0, 0, true));
	assert_int_equal(fixture_finish(f, id, CHANGE_COMPLETED)->change->state, CHANGE_COMPLETED);
	assert_int_equal(totals(f, id).entries, 0);
	fixture_check(f);
}

/* A batch that was on its way when the tree was cancelled makes nothing. */
static void
test_cancelled_before_the_batch(void **state)
{
	struct fixture *f = *state;
	char id[37];

	tree_add(f, id);
	fixture_claim(f, id);
	assert_int_equal(AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)))->code, 0);
	tree_grow(f, id, batch_numbered(0, 30, true));
	assert_int_equal(totals(f, id).live, 0);
	assert_int_equal(totals(f, id).entries, 0);
	assert_int_equal(fixture_finish(f, id, CHANGE_CANCELLED)->change->state, CHANGE_CANCELLED);
}

/* One that cannot be listed any further ends when its children have. */
static void
test_listing_fails(void **state)
{
	struct fixture *f = *state;
	struct reply *r;
	char id[37];

	tree_add(f, id);
	fixture_claim(f, id);
	tree_grow(f, id, batch_numbered(0, 50, false));
	r = fixture_finish(f, id, CHANGE_FAILED);
	assert_int_equal(r->change->state, CHANGE_RUNNING);
	assert_true(change_is_parked(r->change));
	fixture_check(f);
	assert_int_equal(children_run(f, 100, NULL), 50);
	fixture_claim(f, id);
	assert_int_equal(f->reply.changes[0]->error, -EACCES);
	r = fixture_finish(f, id, CHANGE_COMPLETED);
	assert_int_equal(r->change->state, CHANGE_FAILED);
	assert_string_equal(r->change->error_text, "no");
	/* A retry goes on from there. */
	r = AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)));
	assert_string_equal(r->change->position, "d0/f000049");
	assert_int_equal(r->change->totals.done, 50);
}

/* Whatever a tree has, its user's other changes come first, and other users' in turn. */
static void
test_others_first(void **state)
{
	struct fixture *f = *state;
	struct change *c;
	char id[37], single[37];

	tree_add(f, id);
	fixture_claim(f, id);
	tree_grow(f, id, batch_numbered(0, TREE_WINDOW, false));
	tree_park(f, id);
	c = fixture_transfer(f, "elsewhere", "there");
	xstrset(&c->account_id, f->b);
	memcpy(single, c->id, sizeof single);
	fixture_add(f, c);
	fixture_claim(f, single);
	fixture_finish(f, single, CHANGE_COMPLETED);
	assert_int_equal(children_run(f, 1, NULL), 1);
}

static void
test_refusals(void **state)
{
	struct fixture *f = *state;
	static const char *const pairs[][2] = {{"a", "a"}, {"a", "a/b"}, {"a/b", "a"}, {"", "a"}};
	size_t i;

	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		struct change *c = fixture_transfer(f, pairs[i][0], pairs[i][1]);

		c->kind = CHANGE_TREE;
		assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -EINVAL);
		change_free(c);
	}
}

static void
test_history(void **state)
{
	struct fixture *f = *state;
	struct change *c = NULL;
	char id[37];
	struct store_query q = {.user_id = f->user, .limit = 10};
	struct change **list;
	uint64_t total;
	size_t len;

	tree_add(f, id);
	fixture_claim(f, id);
	tree_grow(f, id, batch_numbered(0, 1000, true));
	tree_park(f, id);
	children_run_all(f, id, thirds_fail);
	fixture_claim(f, id);
	fixture_finish(f, id, CHANGE_COMPLETED);
	f->now += 31ull * 24 * 3600 * 1000;
	assert_int_equal(AWAIT(f, store_expire(f->s, TO(f)))->code, 0);
	assert_int_equal(store_change_get(f->s, id, &c, NULL), -ENOENT);
	assert_int_equal(store_changes(f->s, &q, &list, &len, &total, NULL), 0);
	assert_int_equal(total, 0);
	changes_free(list, len);
	/* And the check, at the end, finds no child without its tree. */
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown_checked)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(test_children_are_like_their_tree),
	    test(test_restart),
	    test(test_window),
	    test(test_failures),
	    test(test_failed_directories),
	    test(test_hidden),
	    test(test_child_id_is_taken),
	    test(test_cancel),
	    test(test_anew),
	    test(test_anew_after_many),
	    test(test_cancelled_before_the_batch),
	    test(test_listing_fails),
	    test(test_others_first),
	    test(test_refusals),
	    test(test_history),
	};

	/* Many commits: what a disk's flush costs is not what is tested here. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
