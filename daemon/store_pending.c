#include "daemon/store_path.h"
#include <stdlib.h>
#include <string.h>

/* What the client may not replace is kept from what it was. */
static struct item
pending_merge(const struct item *old, const struct change *in)
{
	struct item it = *old;

	it.c = change_copy(in);
	memcpy(it.c->id, old->c->id, sizeof it.c->id);
	memcpy(it.c->user_id, old->c->user_id, sizeof it.c->user_id);
	it.c->state = CHANGE_PENDING;
	it.c->phase = CHANGE_PHASE_COPY;
	it.c->created_ms = old->c->created_ms;
	it.c->attempts = 0;
	it.c->cancel = false;
	it.c->started_ms = it.c->finished_ms = it.c->lease_ms = 0;
	if (in->mount_id == NULL)
		xstrset(&it.c->mount_id, old->c->mount_id);
	return it;
}

static int
op_pending_replace(struct store_tx *t, struct op *op)
{
	const struct change *in = op->change;
	struct item old, it;
	int code;

	if ((code = change_check(in, &op->res.err)) != 0 ||
	    (in->mount_id != NULL && (code = mount_check(in->mount_id, op)) != 0) ||
	    (code = item_find(t, in->user_id, in->id, &old, op)) != 0)
		return code;
	if (old.c->state != CHANGE_PENDING)
		code = op_fail(op, -EBUSY, "'%s' is %s: it can no longer be replaced", in->path,
		    change_state_name(old.c->state));
	else
		code = accounts_check(t, in, &old.user, op);
	if (code == 0) {
		it = pending_merge(&old, in);
		index_remove(t, &old, INDEX_ALL);
		path_retake(t, &old, &it);
		index_add(t, &it, INDEX_ALL);
		item_save(&t->tx, &it);
		item_result(t, &it, op);
	}
	item_fini(&old);
	return code;
}

/* Whether it is there is found out behind all writes before this one: a put whose answer nobody
 * waited for must not take the place of the next. */
static int
op_pending_put(struct store_tx *t, struct op *op)
{
	struct id id;
	MDB_val val;

	if (id_parse(&id, op->change->id) && tx_get(&t->tx, DB_CHANGES, id.b, ID_BYTES, &val))
		return op_pending_replace(t, op);
	return op_change_add(t, op);
}

void
store_pending_put(struct store *s, const struct change *c, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_pending_put, done, arg);

	op->change = change_copy(c);
	op_submit(s, op);
}

static int
pending_refuse(struct item *it, struct op *op)
{
	op_fail(op, -EBUSY, "'%s' is %s", it->c->path,
	    it->c->state == CHANGE_QUEUED ? "queued and was begun"
					  : change_state_name(it->c->state));
	item_fini(it);
	return -EBUSY;
}

static bool
is_untouched(const struct item *it)
{
	return it->c->attempts == 0 && !it->unclean;
}

/* A repetition, whose first answer was lost, finds it queued. */
static int
op_pending_commit(struct store_tx *t, struct op *op)
{
	struct item it;
	int code;

	if ((code = item_find(t, op->user_id, op->id, &it, op)) != 0)
		return code;
	if (it.c->state != CHANGE_PENDING && (it.c->state != CHANGE_QUEUED || !is_untouched(&it)))
		return pending_refuse(&it, op);
	item_settle(t, &it, CHANGE_QUEUED, op->number, NULL);
	return item_result(t, &it, op);
}

void
store_pending_commit(struct store *s, const char *user_id, const char *id, uint64_t not_before_ms,
    store_done_fn done, void *arg)
{
	struct op *op = op_new(op_pending_commit, done, arg);

	op->user_id = xstrdup(user_id);
	op->id = xstrdup(id);
	op->number = not_before_ms;
	op_submit(s, op);
}

static int
op_pending_hold(struct store_tx *t, struct op *op)
{
	struct item it;
	int code;

	if ((code = mount_check(op->mount_id, op)) != 0 ||
	    (code = item_find(t, op->user_id, op->id, &it, op)) != 0)
		return code;
	if (it.c->state != CHANGE_PENDING && (it.c->state != CHANGE_QUEUED || !is_untouched(&it)))
		return pending_refuse(&it, op);
	item_settle(t, &it, CHANGE_PENDING, 0, op->mount_id);
	return item_result(t, &it, op);
}

void
store_pending_hold(struct store *s, const char *user_id, const char *id, const char *mount_id,
    store_done_fn done, void *arg)
{
	struct op *op = op_new(op_pending_hold, done, arg);

	op->user_id = xstrdup(user_id);
	op->id = xstrdup(id);
	op->mount_id = xstrdup(mount_id);
	op_submit(s, op);
}

static int
op_pending_release(struct store_tx *t, struct op *op)
{
	CLEANUP(cleanup_free) struct id *ids = NULL;
	struct item it;
	size_t i, len = 0;
	bool more;
	int code;

	if ((code = mount_check(op->mount_id, op)) != 0)
		return code;
	{
		CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_PENDING);

		c.key = (MDB_val){.mv_size = strlen(op->mount_id), .mv_data = (void *)op->mount_id};
		for (more = tx_cursor_move(&c, MDB_SET); more;
		     more = tx_cursor_move(&c, MDB_NEXT_DUP)) {
			if (c.val.mv_size != ID_BYTES)
				continue;
			if ((len & (len - 1)) == 0)
				ids = xrealloc(ids, MAX(len * 2, (size_t)1), sizeof *ids);
			memcpy(ids[len++].b, c.val.mv_data, ID_BYTES);
		}
	}
	for (i = 0; i < len; i++) {
		if (!item_load_indexed(&t->tx, &ids[i], &it))
			continue;
		item_settle(t, &it, CHANGE_QUEUED, 0, NULL);
		op_add_change(op, TAKE(it.c));
	}
	return 0;
}

void
store_pending_release(struct store *s, const char *mount_id, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_pending_release, done, arg);

	op->mount_id = xstrdup(mount_id);
	op_submit(s, op);
}
