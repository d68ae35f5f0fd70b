/* Trees: children that come in batches, are counted, and are folded into their parent. */
#include "daemon/store_path.h"
#include "src/log.h"
#include "src/path.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TREE_TEXT_MAX 300 /* of a path or a child's message, in the tree's */

/* -- records */

struct tree_record
tree_get(struct tx *tx, const struct id *id)
{
	struct tree_record r = {.wake = TREE_ASLEEP};
	MDB_val val;

	if (tx_get(tx, DB_TREES, id->b, ID_BYTES, &val) && val.mv_size == sizeof r)
		memcpy(&r, val.mv_data, sizeof r);
	return r;
}

static void
tree_put(struct tx *tx, const struct id *id, const struct tree_record *r)
{
	tx_put(tx, DB_TREES, id->b, ID_BYTES, r, sizeof *r);
}

void
tree_totals(struct tx *tx, struct item *it)
{
	struct tree_record r = tree_get(tx, &it->id);

	it->c->totals = (struct tree_totals){
	    .entries = r.entries,
	    .done = r.done,
	    .failed = r.failed + r.lost,
	    .live = r.live,
	    .bytes_total = r.bytes_total,
	    .bytes_done = r.bytes_done,
	};
	it->c->bytes_done = r.bytes_done;
	it->c->bytes_total = it->c->listed ? r.bytes_total : UINT64_MAX;
}

uint64_t
store_tree_room(const struct change *tree)
{
	if (tree->cancel || tree->totals.stale || tree->totals.live >= TREE_WINDOW)
		return 0;
	return TREE_WINDOW - tree->totals.live;
}

/* -- the index of children */

void
key_of_children(struct key *key, const struct id *parent, int state)
{
	key_reset(key);
	key_add(key, parent->b, ID_BYTES);
	if (state >= 0)
		key_add_u8(key, (unsigned)state);
}

void
index_child(struct store_tx *t, const struct item *it, bool add)
{
	const struct change *c = it->c;
	struct tree_record r;
	struct id parent;
	struct key key;

	if (!id_parse(&parent, c->parent))
		return;
	key_of_children(&key, &parent, (int)c->state);
	key_add_u64(&key, it->order);
	if (add)
		tx_put(&t->tx, DB_CHILDREN, key.b, key.len, it->id.b, ID_BYTES);
	else
		tx_del(&t->tx, DB_CHILDREN, key.b, key.len, NULL, 0);
	r = tree_get(&t->tx, &parent);
	if (change_is_live(c))
		r.live += add ? 1 : (uint64_t)-1;
	if (c->state == CHANGE_FAILED)
		r.failed += add ? 1 : (uint64_t)-1;
	tree_put(&t->tx, &parent, &r);
}

/* The first child in this state accepted before `before`. */
static bool
child_first(struct tx *tx, const struct id *parent, enum change_state state, uint64_t before,
    struct id *out)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(tx, DB_CHILDREN);
	struct key key;

	key_of_children(&key, parent, (int)state);
	if (!tx_cursor_seek(&c, key.b, key.len) || !tx_cursor_in(&c, key.b, key.len) ||
	    c.val.mv_size != ID_BYTES || c.key.mv_size != key.len + 8 ||
	    key_u64((char *)c.key.mv_data + key.len) >= before)
		return false;
	memcpy(out->b, c.val.mv_data, ID_BYTES);
	return true;
}

/* All children in this state; caller frees.  Of live ones there are at most TREE_WINDOW. */
static size_t
children_of(struct tx *tx, const struct id *parent, enum change_state state, struct id **out)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(tx, DB_CHILDREN);
	struct id *ids = NULL;
	struct key key;
	size_t len = 0;
	bool more;

	key_of_children(&key, parent, (int)state);
	for (more = tx_cursor_seek(&c, key.b, key.len); more && tx_cursor_in(&c, key.b, key.len);
	     more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.val.mv_size != ID_BYTES)
			continue;
		if ((len & (len - 1)) == 0)
			ids = xrealloc(ids, MAX(len * 2, (size_t)1), sizeof *ids);
		memcpy(ids[len++].b, c.val.mv_data, ID_BYTES);
	}
	*out = ids;
	return len;
}

/* -- going on */

/* Enough of its children have ended: it is claimable again. */
static void
tree_wake(struct store_tx *t, const struct id *id)
{
	struct tree_record r = tree_get(&t->tx, id);
	struct item it;

	if (r.wake == TREE_ASLEEP || r.live > r.wake)
		return;
	r.wake = TREE_ASLEEP;
	tree_put(&t->tx, id, &r);
	if (!item_load_indexed(&t->tx, id, &it))
		return;
	queue_put(t, &it);
	item_fini(&it);
}

/* It sleeps until so many are live, at most; which may be now. */
static void
tree_sleep(struct store_tx *t, const struct id *id, uint64_t live)
{
	struct tree_record r = tree_get(&t->tx, id);

	r.wake = live;
	tree_put(&t->tx, id, &r);
	tree_wake(t, id);
}

void
tree_park(struct store_tx *t, struct item *it)
{
	running_remove(t, it);
	it->c->lease_ms = 0;
	it->c->attempts = 0;
	xstrset(&it->c->owner, NULL);
	item_save(&t->tx, it);
	tree_sleep(t, &it->id, it->c->listed || it->c->cancel || it->c->error != 0 ? 0 : TREE_LOW);
}

static int
op_tree_park(struct store_tx *t, struct op *op)
{
	struct item it;
	int code;

	if ((code = item_find_running(t, op->id, &it, op)) != 0)
		return code;
	it.c->error = 0;
	xstrset(&it.c->error_text, NULL);
	tree_park(t, &it);
	return item_result(t, &it, op);
}

void
store_tree_park(struct store *s, const char *id, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_tree_park, done, arg);

	op->id = xstrdup(id);
	op_submit(s, op);
}

/* -- children come */

/* Made of the tree and the path, so that one path is one child, however often it is found. */
static void
child_id(struct id *out, const struct id *parent, const char *path)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(ID_BYTES + PATH_BYTES_MAX + 1);
	unsigned char sum[32];

	buf_add(&text, parent->b, ID_BYTES);
	buf_add(&text, path, strlen(path));
	sha256(sum, text.data, text.len);
	memcpy(out->b, sum, ID_BYTES);
	out->b[6] = (out->b[6] & 0x0f) | 0x80; /* a UUID of version 8: RFC 9562 */
	out->b[8] = (out->b[8] & 0x3f) | 0x80;
}

static char *
child_path(const char *dir, const char *path, size_t len)
{
	if (len == 0)
		return xstrdup(dir);
	return xasprintf("%s%s%.*s", dir, *dir != '\0' ? "/" : "", (int)len, path);
}

/* What is one with its tree in all but its paths. */
static struct change *
child_new(const struct change *tree, const struct walk_entry *e)
{
	size_t len = strlen(e->path);
	bool is_dir = len > 0 && e->path[len - 1] == '/';
	struct change *c = change_new();
	struct segment *s;

	len -= is_dir;
	c->kind = !is_dir ? CHANGE_TRANSFER : e->code != 0 ? CHANGE_TREE : CHANGE_MKDIR;
	c->state = e->code != 0 ? CHANGE_FAILED : CHANGE_QUEUED;
	c->account_id = xstrdup(tree->account_id);
	c->path = child_path(tree->path, e->path, len);
	memcpy(c->user_id, tree->user_id, sizeof c->user_id);
	memcpy(c->parent, tree->id, sizeof c->parent);
	c->overwrite = tree->overwrite;
	c->preserve = tree->preserve;
	c->priority = tree->priority;
	c->bandwidth = tree->bandwidth;
	c->retries_max = tree->retries_max;
	c->error = e->code;
	c->error_text = xstrdup_null(e->error);
	if (c->kind == CHANGE_MKDIR)
		return c;
	c->move = tree->move;
	c->bytes_total = is_dir || e->unsized ? UINT64_MAX : e->size;
	s = change_add_segment(c, SEGMENT_ENTRY);
	s->account_id = xstrdup(tree->segments[0].account_id);
	s->path = child_path(tree->segments[0].path, e->path, len);
	s->length = SEGMENT_TO_END;
	return c;
}

/* One that has ended is tried again; its place among the children is a new one.  False: it is no
 * child of the tree. */
static bool
child_requeue(struct store_tx *t, const struct item *tree, const struct id *id)
{
	struct item it;
	bool is_child;

	if (!item_load_indexed(&t->tx, id, &it))
		return true; /* the check tells */
	is_child = strcmp(it.c->parent, tree->c->id) == 0;
	if (is_child && !change_is_live(it.c)) {
		index_remove(t, &it, INDEX_ALL);
		change_begin_again(t, &it);
		it.order = it.c->seq;
		index_add(t, &it, INDEX_ALL);
		queue_put(t, &it);
		item_save(&t->tx, &it);
	}
	item_fini(&it);
	return is_child;
}

/* False: its record cannot be read; the check tells. */
static bool
child_drop(struct store_tx *t, const struct id *id)
{
	struct item it;

	if (!item_load_indexed(&t->tx, id, &it))
		return false;
	index_remove(t, &it, INDEX_ALL);
	change_forget(t, &it);
	item_fini(&it);
	return true;
}

/* Of a retry: those that failed before it are tried again, or found again: then there is no room
   until all of them are forgotten, which may take several commits. */
static void
children_retry(struct store_tx *t, struct item *tree)
{
	bool anew = tree_get(&t->tx, &tree->id).anew != 0;
	struct id id;
	unsigned n;

	for (n = 0; n < TREE_WINDOW && (anew || store_tree_room(tree->c) > 0) && t->tx.error == 0 &&
	     child_first(&t->tx, &tree->id, CHANGE_FAILED, tree->c->seq, &id);
	     n++) {
		if (!anew)
			child_requeue(t, tree, &id);
		else if (!child_drop(t, &id))
			break;
		tree_totals(&t->tx, tree);
	}
	tree->c->totals.stale = anew && n == TREE_WINDOW;
}

static void
child_count(struct store_tx *t, const struct id *parent, const struct walk_entry *e, bool lost)
{
	struct tree_record r = tree_get(&t->tx, parent);

	r.entries++;
	r.bytes_total += e->size;
	r.lost += lost;
	tree_put(&t->tx, parent, &r);
}

/* Those that have no path have no record. */
static void
children_count_hidden(struct store_tx *t, const struct id *parent, uint64_t hidden)
{
	struct tree_record r = tree_get(&t->tx, parent);

	r.entries += hidden;
	r.lost += hidden;
	tree_put(&t->tx, parent, &r);
}

static void
child_add(struct store_tx *t, const struct item *tree, const struct walk_entry *e)
{
	struct item it = {.user = tree->user};
	MDB_val val;
	bool fits;

	child_id(&it.id, &tree->id, e->path);
	if (tx_get(&t->tx, DB_CHANGES, it.id.b, ID_BYTES, &val)) {
		/* Of an earlier time; or somebody has given its id to a change of another kind. */
		fits = child_requeue(t, tree, &it.id);
		child_count(t, &tree->id, e, !fits);
		if (!fits)
			log_warning("%s: '%s' is left out: another change has its id", tree->c->id,
			    e->path);
		return;
	}
	it.c = child_new(tree->c, e);
	id_format(it.c->id, &it.id);
	fits = path_is_canonical(it.c->path) &&
	    (it.c->segments_len == 0 || path_is_canonical(it.c->segments[0].path));
	child_count(t, &tree->id, e, !fits);
	if (!fits) {
		log_warning(
		    "%s: '%s' is left out: its path would be too long", tree->c->id, e->path);
		item_fini(&it);
		return;
	}
	it.c->created_ms = t->now;
	it.c->finished_ms = it.c->state == CHANGE_FAILED ? t->now : 0;
	it.c->seq = it.order = it.taken = ++t->seq;
	index_add(t, &it, INDEX_ALL);
	if (it.c->state == CHANGE_QUEUED)
		queue_put(t, &it);
	item_save(&t->tx, &it);
	item_fini(&it);
}

static int
op_tree_grow(struct store_tx *t, struct op *op)
{
	const struct walk_batch *b = op->batch;
	struct item it;
	size_t i;
	int code;

	if ((code = item_find_running(t, op->id, &it, op)) != 0)
		return code;
	if (it.c->cancel) { /* since the batch was listed: nothing begins any more */
		tree_totals(&t->tx, &it);
		return item_result(t, &it, op);
	}
	for (i = 0; i < b->len; i++)
		child_add(t, &it, &b->items[i]);
	if (b->hidden > 0)
		children_count_hidden(t, &it.id, b->hidden);
	if (b->position != NULL)
		xstrset(&it.c->position, b->position);
	it.c->listed = it.c->listed || b->end;
	if (b->len > 0)
		it.c->attempts = 1; /* those that failed before are made up for */
	if (b->len > 0 || b->end)
		item_save(&t->tx, &it);
	tree_totals(&t->tx, &it);
	children_retry(t, &it);
	return item_result(t, &it, op);
}

void
store_tree_grow(
    struct store *s, const char *id, struct walk_batch *batch, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_tree_grow, done, arg);

	op->id = xstrdup(id);
	op->batch = batch;
	op_submit(s, op);
}

/* -- children go */

/* A tree's records beside its own, and what is left of its children. */
unsigned
tree_drop(struct store_tx *t, const struct id *id, unsigned max)
{
	struct id child;
	unsigned n = 0, state;

	for (state = CHANGE_COMPLETED; state < CHANGE_STATES; state++) {
		while (n < max && t->tx.error == 0 &&
		    child_first(&t->tx, id, state, UINT64_MAX, &child)) {
			n++;
			if (!child_drop(t, &child))
				return max;
		}
	}
	if (n < max)
		tx_del(&t->tx, DB_TREES, id->b, ID_BYTES, NULL, 0);
	return n;
}

void
child_ended(struct store_tx *t, const struct item *it)
{
	struct tree_record r;
	struct id parent;

	if (!id_parse(&parent, it->c->parent))
		return;
	if (it->c->state == CHANGE_COMPLETED) {
		r = tree_get(&t->tx, &parent);
		r.done++;
		r.bytes_done += it->c->bytes_done;
		tree_put(&t->tx, &parent, &r);
	}
	tree_wake(t, &parent);
}

static void
child_cancel(struct store_tx *t, const struct id *id, struct op *op)
{
	struct item it;

	if (!item_load_indexed(&t->tx, id, &it))
		return;
	change_cancel(t, &it, op);
	op_add_change(op, TAKE(it.c));
}

void
tree_cancel_children(struct store_tx *t, const struct id *id, struct op *op)
{
	static const enum change_state live[] = {CHANGE_QUEUED, CHANGE_RUNNING};
	struct id *ids;
	size_t i, j, len;

	for (i = 0; i < ARRAY_LEN(live); i++) {
		len = children_of(&t->tx, id, live[i], &ids);
		for (j = 0; j < len && t->tx.error == 0; j++)
			child_cancel(t, &ids[j], op);
		free(ids);
	}
}

void
tree_rouse(struct store_tx *t, const struct id *id)
{
	if (tree_get(&t->tx, id).wake != TREE_ASLEEP)
		tree_sleep(t, id, 0);
}

/* -- the end */

static void
tree_summary(struct store_tx *t, struct item *it, const struct tree_record *r)
{
	CLEANUP(cleanup_free) char *first = NULL;
	struct change *c = it->c;
	struct item child;
	struct id id;

	if (child_first(&t->tx, &it->id, CHANGE_FAILED, UINT64_MAX, &id) &&
	    item_load_indexed(&t->tx, &id, &child)) {
		const char *text = child.c->error_text;

		c->error = child.c->error;
		first = xasprintf("; the first: '%.*s': %.*s", TREE_TEXT_MAX, child.c->path,
		    TREE_TEXT_MAX, text != NULL ? text : err_info(child.c->error)->text);
		item_fini(&child);
	} else {
		c->error = -EILSEQ;
		first = xstrdup("; no path can express their names, or it would be too long: the "
				"log says where they are");
	}
	free(c->error_text);
	c->error_text = xasprintf(
	    "%" PRIu64 " of %" PRIu64 " entries failed%s", r->failed + r->lost, r->entries, first);
}

void
tree_outcome(struct store_tx *t, struct item *it)
{
	struct tree_record r = tree_get(&t->tx, &it->id);
	struct change *c = it->c;

	if (c->state == CHANGE_COMPLETED && c->error == 0 && r.failed + r.lost > 0)
		tree_summary(t, it, &r);
	if (c->state == CHANGE_COMPLETED && c->error != 0)
		c->state = CHANGE_FAILED;
	tree_totals(&t->tx, it);
}

/* What failed is done again, or what is not listed yet; without either it begins anew. */
void
tree_begin_again(struct store_tx *t, struct item *it)
{
	struct tree_record r = tree_get(&t->tx, &it->id);
	struct change *c = it->c;

	if (c->state == CHANGE_CANCELLED || (c->listed && r.failed == 0)) {
		r = (struct tree_record){.failed = r.failed, .anew = 1, .wake = TREE_ASLEEP};
		tree_put(&t->tx, &it->id, &r);
		xstrset(&c->position, NULL);
		c->listed = false;
	} else {
		r.anew = 0; /* what has failed since is tried again, not looked for again */
		tree_put(&t->tx, &it->id, &r);
	}
}
