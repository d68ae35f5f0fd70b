#include "daemon/store_path.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MOUNT_ID_MAX 64
/* A third of what a record's members may have: what is no UTF-8 grows threefold in it. */
#define TEXT_MAX_BYTES (4096 / 3)
#define NAME_MAX_BYTES (64 / 3)
#define TEXT_PATH_MAX  300 /* of a path, in the text of an error */

/* -- helpers */

int
item_find(
    struct store_tx *t, const char *user_id, const char *id_text, struct item *out, struct op *op)
{
	struct id id;
	int code;

	if (!id_parse(&id, id_text))
		return op_fail(op, -ENOENT, "there is no transfer '%s'", id_text);
	if ((code = item_load(&t->tx, &id, out, &op->res.err)) != 0)
		return code;
	if (user_id == NULL || strcmp(out->c->user_id, user_id) == 0)
		return 0;
	item_fini(out);
	return op_fail(op, -ENOENT, "there is no transfer '%s'", id_text);
}

int
item_result(struct store_tx *t, struct item *it, struct op *op)
{
	it->c->blockers = (uint32_t)waiting_count(&t->tx, &it->id, NULL);
	change_free(op->res.change);
	op->res.change = TAKE(it->c);
	return 0;
}

static int
account_check(struct store_tx *t, const struct id *user, const char *account, struct op *op)
{
	struct account_use use;
	struct id id;

	if (id_parse(&id, account) && account_use_get(&t->tx, &id, &use) &&
	    memcmp(&use.user, user, sizeof *user) == 0)
		return 0;
	return op_fail(op, -ENOENT, "there is no account '%s'", account);
}

int
accounts_check(struct store_tx *t, const struct change *c, const struct id *user, struct op *op)
{
	const char *last = c->account_id;
	int code = account_check(t, user, last, op);
	size_t i;

	for (i = 0; code == 0 && i < c->segments_len; i++) {
		if (c->segments[i].kind != SEGMENT_ENTRY ||
		    strcmp(c->segments[i].account_id, last) == 0)
			continue;
		last = c->segments[i].account_id;
		code = account_check(t, user, last, op);
	}
	return code;
}

int
mount_check(const char *mount_id, struct op *op)
{
	if (mount_id == NULL || mount_id[0] == '\0' || strlen(mount_id) > MOUNT_ID_MAX)
		return op_fail(op, -EINVAL, "a pending write needs the id of its mount");
	return 0;
}

/* -- the end */

/* Those that have ended and whose waiters are still to be told. */
struct ending {
	struct item it;
	bool waited; /* it was waiting itself */
};

struct endings {
	struct ending *list;
	size_t len;
};

void
change_forget(struct store_tx *t, const struct item *it)
{
	if (it->c->kind == CHANGE_TREE)
		tree_drop(t, &it->id, UINT_MAX);
	checkpoint_drop(t, &it->id);
	tx_del(&t->tx, DB_CHANGES, it->id.b, ID_BYTES, NULL, 0);
}

/* Of a tree's children those that ended well are only counted; and what left an upload behind must
   be known until that is swept. */
static bool
child_is_kept(struct store_tx *t, const struct item *it)
{
	return it->c->parent[0] == '\0' || it->c->state == CHANGE_FAILED ||
	    checkpoint_is_there(t, &it->id);
}

/* Ends it in the state it has now; its indexes were removed with the state before.  Takes it over.
 */
static void
change_leave(struct store_tx *t, struct item *it, enum change_state before, struct endings *e)
{
	bool waited = waiting_count(&t->tx, &it->id, NULL) != 0;

	if (before == CHANGE_RUNNING)
		running_remove(t, it);
	else if (before == CHANGE_QUEUED)
		queue_remove(t, it);
	path_release(t, it);
	waiting_drop(t, &it->id);
	if (it->c->kind == CHANGE_TREE)
		tree_outcome(t, it);
	it->c->finished_ms = t->now;
	it->c->lease_ms = 0;
	it->c->blockers = 0;
	xstrset(&it->c->owner, NULL);
	if (it->c->state == CHANGE_COMPLETED)
		checkpoint_drop(t, &it->id);
	if (child_is_kept(t, it)) {
		index_add(t, it, INDEX_ALL);
		item_save(&t->tx, it);
	} else {
		change_forget(t, it);
	}
	child_ended(t, it);
	if ((e->len & (e->len - 1)) == 0)
		e->list = xrealloc(e->list, MAX(e->len * 2, (size_t)1), sizeof *e->list);
	e->list[e->len].it = *it;
	e->list[e->len++].waited = waited;
	it->c = NULL;
}

/* What needed the content of a change that has failed, or was cancelled, must not use the old one.
 */
static void
change_fail_dependant(
    struct store_tx *t, const struct id *id, const struct change *earlier, struct endings *e)
{
	enum change_state before;
	struct item it;

	if (!item_load_indexed(&t->tx, id, &it))
		return;
	before = it.c->state;
	index_remove(t, &it, INDEX_ALL);
	it.c->state = CHANGE_FAILED;
	it.c->error = -ENODATA;
	free(it.c->error_text);
	it.c->error_text = xasprintf("the %s %s of '%.*s', whose result this one needs, %s",
	    change_kind_name(earlier->kind), earlier->id, TEXT_PATH_MAX, earlier->path,
	    earlier->state == CHANGE_CANCELLED ? "was cancelled" : "has failed");
	change_leave(t, &it, before, e);
}

/* Those that needed its content go first, so that nobody comes to wait for them. */
static void
change_tell(struct store_tx *t, size_t at, struct endings *e)
{
	const struct change *c = e->list[at].it.c;
	CLEANUP(cleanup_free) struct wake *wakes = NULL;
	size_t len = wakes_take(t, &e->list[at].it.id, &wakes);
	bool waited = e->list[at].waited;
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if ((wakes[i].flags & WAKE_DATA) != 0 && c->state != CHANGE_COMPLETED)
			change_fail_dependant(t, &wakes[i].waiter, c, e);
		else
			wakes[n++] = wakes[i];
	}
	if (waited)
		path_inherit(t, wakes, n);
	for (i = 0; i < n; i++)
		waiting_less(t, &wakes[i].waiter);
}

/* Ends it in the state it has; wakes those that wait, and fails those that needed it into the
 * result. */
static void
change_end(struct store_tx *t, struct item *it, enum change_state before, struct op *op)
{
	struct endings e = {.list = NULL};
	size_t i;

	change_leave(t, it, before, &e);
	for (i = 0; i < e.len && t->tx.error == 0; i++)
		change_tell(t, i, &e);
	*it = e.list[0].it;
	for (i = 1; i < e.len; i++)
		op_add_change(op, e.list[i].it.c);
	free(e.list);
}

/* -- accepting */

int
op_change_add(struct store_tx *t, struct op *op)
{
	const struct change *in = op->change;
	struct item it = {.c = NULL};
	MDB_val val;
	int code;

	if ((code = change_check(in, &op->res.err)) != 0 ||
	    (in->state == CHANGE_PENDING && (code = mount_check(in->mount_id, op)) != 0))
		return code;
	id_parse(&it.id, in->id);
	id_parse(&it.user, in->user_id);
	if (tx_get(&t->tx, DB_CHANGES, it.id.b, ID_BYTES, &val)) {
		if ((code = item_find(t, NULL, in->id, &it, op)) != 0)
			return code;
		if (strcmp(it.c->user_id, in->user_id) == 0)
			return item_result(t, &it, op);
		item_fini(&it);
		return op_fail(op, -EEXIST, "the id %s is taken; choose another", in->id);
	}
	if ((code = accounts_check(t, in, &it.user, op)) != 0)
		return code;
	it.c = change_copy(in);
	id_format(it.c->id, &it.id);
	id_format(it.c->user_id, &it.user);
	if (it.c->state != CHANGE_PENDING)
		it.c->state = CHANGE_QUEUED;
	if (it.c->created_ms == 0)
		it.c->created_ms = t->now;
	it.c->phase = CHANGE_PHASE_COPY;
	it.c->attempts = 0;
	it.c->cancel = false;
	it.c->started_ms = it.c->finished_ms = it.c->lease_ms = 0;
	it.c->seq = it.order = it.taken = ++t->seq;
	path_take(t, &it);
	index_add(t, &it, INDEX_ALL);
	if (it.c->state == CHANGE_QUEUED)
		queue_put(t, &it);
	item_save(&t->tx, &it);
	return item_result(t, &it, op);
}

void
store_change_add(struct store *s, const struct change *c, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_change_add, done, arg);

	op->change = change_copy(c);
	op_submit(s, op);
}

void
item_settle(struct store_tx *t, struct item *it, enum change_state state, uint64_t not_before_ms,
    const char *mount_id)
{
	if (it->c->state == CHANGE_QUEUED)
		queue_remove(t, it);
	index_remove(t, it, INDEX_STATE);
	it->c->state = state;
	it->c->not_before_ms = not_before_ms;
	if (mount_id != NULL)
		xstrset(&it->c->mount_id, mount_id);
	index_add(t, it, INDEX_STATE);
	if (state == CHANGE_QUEUED)
		queue_put(t, it);
	item_save(&t->tx, it);
}

/* -- attempts */

int
item_find_running(struct store_tx *t, const char *id, struct item *out, struct op *op)
{
	int code = item_find(t, NULL, id, out, op);

	if (code != 0)
		return code;
	if (out->c->state == CHANGE_RUNNING && out->c->owner != NULL &&
	    strcmp(out->c->owner, t->store->owner) == 0)
		return 0;
	item_fini(out);
	return op_fail(op, -ESTALE, "transfer %s is no longer run by this daemon", id);
}

/* What a cloud said may be of any length; what is kept must be readable again. */
static void
text_take(char **to, const char *from, size_t max)
{
	free(*to);
	*to = from != NULL ? xstrndup(from, max) : NULL;
}

static void
outcome_take(struct change *to, const struct change *from)
{
	text_take(&to->route, from->route, NAME_MAX_BYTES);
	text_take(&to->route_reason, from->route_reason, TEXT_MAX_BYTES);
	text_take(&to->verified, from->verified, TEXT_MAX_BYTES);
	text_take(&to->result_version, from->result_version, TEXT_MAX_BYTES);
	if (!to->mtime_set)
		to->mtime_ns = from->mtime_ns;
	to->bytes_total = from->bytes_total;
	to->bytes_done = from->bytes_done;
}

static int
op_change_verified(struct store_tx *t, struct op *op)
{
	struct item it;
	size_t i;
	int code;

	if ((code = item_find_running(t, op->change->id, &it, op)) != 0)
		return code;
	outcome_take(it.c, op->change);
	it.c->phase = CHANGE_PHASE_VERIFIED;
	if (change_source(it.c) != NULL && change_source(it.c)->version == NULL)
		it.c->pinned = true;
	for (i = 0; i < it.c->segments_len && i < op->change->segments_len; i++)
		text_take(
		    &it.c->segments[i].version, op->change->segments[i].version, TEXT_MAX_BYTES);
	item_save(&t->tx, &it);
	return item_result(t, &it, op);
}

void
store_change_verified(struct store *s, const struct change *c, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_change_verified, done, arg);

	op->change = change_copy(c);
	op_submit(s, op);
}

static void
error_take(struct change *to, const struct change *from)
{
	to->error = from->error > 0 ? -from->error : from->error;
	text_take(&to->error_text, from->error_text, TEXT_MAX_BYTES);
}

/* It ends when its children have. */
static int
tree_stop(struct store_tx *t, struct item *it, const struct change *in, struct op *op)
{
	if (in->state == CHANGE_FAILED)
		error_take(it->c, in);
	tree_park(t, it);
	return item_result(t, it, op);
}

static int
op_change_finish(struct store_tx *t, struct op *op)
{
	const struct change *in = op->change;
	struct item it;
	bool ends;
	int code;

	if (in->state == CHANGE_PENDING || in->state == CHANGE_RUNNING ||
	    (unsigned)in->state >= CHANGE_STATES)
		return op_fail(op, -EINVAL, "an attempt cannot end as '%s'",
		    (unsigned)in->state < CHANGE_STATES ? change_state_name(in->state) : "?");
	if ((code = item_find_running(t, in->id, &it, op)) != 0)
		return code;
	ends = in->state != CHANGE_QUEUED;
	if (it.c->kind == CHANGE_TREE && ends && it.c->totals.live > 0)
		return tree_stop(t, &it, in, op);
	index_remove(t, &it, ends ? INDEX_ALL : INDEX_STATE);
	outcome_take(it.c, in);
	it.c->state = in->state;
	it.c->attempts = in->attempts;
	/* A tree's children have ended well, but it was not listed to the end. */
	if (it.c->kind != CHANGE_TREE || in->state != CHANGE_COMPLETED)
		error_take(it.c, in);
	/* One that was refused on its way has done a part, though the attempt does not count. */
	it.unclean = checkpoint_is_there(t, &it.id) || it.c->error == -EKEYEXPIRED;
	if (ends) {
		change_end(t, &it, CHANGE_RUNNING, op);
		return item_result(t, &it, op);
	}
	running_remove(t, &it);
	/* One that is to be cancelled only comes back to clean up. */
	it.c->not_before_ms = it.c->cancel ? 0 : in->not_before_ms;
	it.c->lease_ms = 0;
	xstrset(&it.c->owner, NULL);
	index_add(t, &it, INDEX_STATE);
	queue_put(t, &it);
	item_save(&t->tx, &it);
	return item_result(t, &it, op);
}

void
store_change_finish(struct store *s, const struct change *c, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_change_finish, done, arg);

	op->change = change_copy(c);
	op_submit(s, op);
}

/* -- what users ask for */

static int
already_ended(struct item *it, struct op *op)
{
	op_fail(op, -EALREADY, "transfer %s is %s", it->c->id, change_state_name(it->c->state));
	item_fini(it);
	return -EALREADY;
}

/* It gives back what was kept for a retry; its error stays with it. */
static int
change_dismiss(struct store_tx *t, struct item *it, struct op *op)
{
	index_remove(t, it, INDEX_ALL);
	it->c->state = CHANGE_CANCELLED;
	index_add(t, it, INDEX_ALL);
	item_save(&t->tx, it);
	return item_result(t, it, op);
}

/* What was begun is ended by whoever carries it, or comes back to clean up. */
static bool
is_begun(const struct item *it)
{
	return it->c->state == CHANGE_RUNNING || it->unclean ||
	    (it->c->kind == CHANGE_TREE && it->c->position != NULL);
}

void
change_cancel(struct store_tx *t, struct item *it, struct op *op)
{
	enum change_state before = it->c->state;

	if (!is_begun(it)) {
		index_remove(t, it, INDEX_ALL);
		it->c->state = CHANGE_CANCELLED;
		change_end(t, it, before, op);
		return;
	}
	if (before == CHANGE_QUEUED)
		queue_remove(t, it); /* from where it was: what cleans up queues elsewhere */
	it->c->cancel = true;
	if (before == CHANGE_QUEUED)
		item_settle(t, it, CHANGE_QUEUED, 0, NULL);
	else
		item_save(&t->tx, it);
	if (it->c->kind != CHANGE_TREE)
		return;
	tree_rouse(t, &it->id);
	tree_cancel_children(t, &it->id, op);
	tree_totals(&t->tx, it);
}

/* A child is its tree's. */
static int
child_refuse(struct item *it, struct op *op)
{
	if (it->c->parent[0] == '\0')
		return 0;
	op_fail(op, -EBUSY, "transfer %s belongs to the tree %s: cancel or retry that", it->c->id,
	    it->c->parent);
	item_fini(it);
	return -EBUSY;
}

static int
op_change_cancel(struct store_tx *t, struct op *op)
{
	struct item it;
	int code;

	if ((code = item_find(t, op->user_id, op->id, &it, op)) != 0 ||
	    (code = child_refuse(&it, op)) != 0)
		return code;
	if (op->flag && it.c->state == CHANGE_FAILED)
		return change_dismiss(t, &it, op);
	if (!change_is_live(it.c))
		return already_ended(&it, op);
	change_cancel(t, &it, op);
	return item_result(t, &it, op);
}

static void
change_cancel_submit(struct store *s, const char *user_id, const char *id, bool dismiss,
    store_done_fn done, void *arg)
{
	struct op *op = op_new(op_change_cancel, done, arg);

	op->user_id = xstrdup(user_id);
	op->id = xstrdup(id);
	op->flag = dismiss;
	op_submit(s, op);
}

void
store_change_cancel(
    struct store *s, const char *user_id, const char *id, store_done_fn done, void *arg)
{
	change_cancel_submit(s, user_id, id, false, done, arg);
}

void
store_change_dismiss(
    struct store *s, const char *user_id, const char *id, store_done_fn done, void *arg)
{
	change_cancel_submit(s, user_id, id, true, done, arg);
}

static int
op_change_limit(struct store_tx *t, struct op *op)
{
	struct item it;
	int code;

	if ((code = item_find(t, op->user_id, op->id, &it, op)) != 0)
		return code;
	if (!change_is_live(it.c))
		return already_ended(&it, op);
	it.c->bandwidth = op->number;
	item_save(&t->tx, &it);
	return item_result(t, &it, op);
}

void
store_change_limit(struct store *s, const char *user_id, const char *id, uint64_t bandwidth,
    store_done_fn done, void *arg)
{
	struct op *op = op_new(op_change_limit, done, arg);

	op->user_id = xstrdup(user_id);
	op->id = xstrdup(id);
	op->number = bandwidth;
	op_submit(s, op);
}

/* The copy is made anew: what the destination was when the last attempt saw it counts no more. */
void
change_begin_again(struct store_tx *t, struct item *it)
{
	struct change *c = it->c;

	if (c->kind == CHANGE_TREE)
		tree_begin_again(t, it);
	c->state = CHANGE_QUEUED;
	c->phase = CHANGE_PHASE_COPY;
	c->attempts = 0;
	c->not_before_ms = c->started_ms = c->finished_ms = c->bytes_done = 0;
	c->cancel = false;
	c->error = 0;
	xstrset(&c->error_text, NULL);
	xstrset(&c->result_version, NULL);
	xstrset(&c->verified, NULL);
	it->unclean = checkpoint_is_there(t, &it->id);
	if (c->pinned)
		xstrset(&c->segments[0].version, NULL);
	c->pinned = false;
	c->seq = it->taken = ++t->seq;
}

static int
op_change_retry(struct store_tx *t, struct op *op)
{
	struct item it;
	int code;

	if ((code = item_find(t, op->user_id, op->id, &it, op)) != 0 ||
	    (code = child_refuse(&it, op)) != 0)
		return code;
	if (it.c->state != CHANGE_FAILED && it.c->state != CHANGE_CANCELLED)
		return already_ended(&it, op);
	if ((code = accounts_check(t, it.c, &it.user, op)) != 0) {
		item_fini(&it);
		return code;
	}
	index_remove(t, &it, INDEX_ALL);
	change_begin_again(t, &it);
	path_take(t, &it);
	index_add(t, &it, INDEX_ALL);
	queue_put(t, &it);
	item_save(&t->tx, &it);
	return item_result(t, &it, op);
}

void
store_change_retry(
    struct store *s, const char *user_id, const char *id, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_change_retry, done, arg);

	op->user_id = xstrdup(user_id);
	op->id = xstrdup(id);
	op_submit(s, op);
}
