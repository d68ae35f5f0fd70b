#include "daemon/store_private.h"
#include <string.h>

#define EXPIRE_MAX 4096 /* dropped by one call */
#define DAY_MS     (24ull * 3600 * 1000)

static uint64_t
user_ended(struct tx *tx, const struct id *user)
{
	uint64_t sum = 0;
	unsigned state, kind;
	struct key key;

	for (state = CHANGE_COMPLETED; state < CHANGE_STATES; state++) {
		for (kind = 0; kind < CHANGE_KINDS; kind++) {
			key_of_count(&key, user, state, kind);
			sum += tx_count(tx, DB_COUNTS, key.b, key.len);
		}
	}
	return sum;
}

/* What somebody wrote and only the spool has: it goes with age, not because others have ended. */
static bool
is_kept(struct tx *tx, const struct id *id, enum change_state state)
{
	struct item it;
	bool kept;

	if (state != CHANGE_FAILED || !item_load_indexed(tx, id, &it))
		return false;
	kept = change_holds_spool(it.c);
	item_fini(&it);
	return kept;
}

/* The oldest that history need not keep, from *key on; its key in the history, too. */
static bool
expire_next(struct store_tx *t, const struct id *user, uint64_t before_ms, bool too_many,
    struct id *out, struct key *key)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_ENDED);
	const unsigned char *val;
	bool more;

	for (more = tx_cursor_seek(&c, key->b, key->len);
	     more && tx_cursor_in(&c, user->b, ID_BYTES) && c.val.mv_size > ID_BYTES &&
	     c.key.mv_size >= ID_BYTES + 8;
	     more = tx_cursor_move(&c, MDB_NEXT)) {
		val = c.val.mv_data;
		memcpy(out->b, val, ID_BYTES);
		key_reset(key);
		key_add(key, c.key.mv_data, c.key.mv_size);
		if (key_u64(key->b + ID_BYTES) < before_ms)
			return true;
		if (!too_many)
			return false;
		if (!is_kept(&t->tx, out, val[ID_BYTES]))
			return true;
	}
	return false;
}

/* At most `max` records; returns how many.  A tree goes after its children. */
static unsigned
change_drop(struct store_tx *t, const struct id *id, const struct key *key, unsigned max)
{
	struct item it;
	unsigned n = 0;

	if (!item_load_indexed(&t->tx, id, &it)) {
		tx_del(&t->tx, DB_ENDED, key->b, key->len, NULL, 0);
		return 1;
	}
	if (it.c->kind == CHANGE_TREE)
		n = tree_drop(t, id, max);
	if (n < max) {
		index_remove(t, &it, INDEX_ALL);
		change_forget(t, &it);
		n++;
	}
	item_fini(&it);
	return n;
}

static int
op_expire(struct store_tx *t, struct op *op)
{
	const struct store_config *config = &t->store->config;
	uint64_t keep_ms = config->history_days * DAY_MS;
	uint64_t before = config->history_days != 0 && t->now > keep_ms ? t->now - keep_ms : 0;
	CLEANUP(tx_cursor_close) struct tx_cursor users = tx_cursor(&t->tx, DB_USERS);
	unsigned left = EXPIRE_MAX;
	struct id user, id;
	struct key key;
	uint64_t ended;
	bool more;

	op->res.next_ms = UINT64_MAX;
	lmdb_forget_dead(t->tx.db);
	for (more = tx_cursor_move(&users, MDB_FIRST); more && left > 0;
	     more = tx_cursor_move(&users, MDB_NEXT)) {
		if (users.key.mv_size != ID_BYTES)
			continue;
		memcpy(user.b, users.key.mv_data, ID_BYTES);
		ended = user_ended(&t->tx, &user);
		key_reset(&key);
		key_add(&key, user.b, ID_BYTES);
		while (left > 0 && t->tx.error == 0 &&
		    expire_next(t, &user, before,
			config->history_max != 0 && ended > config->history_max, &id, &key)) {
			left -= change_drop(t, &id, &key, left);
			ended--;
		}
	}
	if (left == 0)
		op->res.next_ms = t->now;
	return 0;
}

void
store_expire(struct store *s, store_done_fn done, void *arg)
{
	op_submit(s, op_new(op_expire, done, arg));
}
