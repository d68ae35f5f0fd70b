#include "daemon/store_private.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

bool
change_holds_spool(const struct change *c)
{
	size_t i;

	for (i = 0; i < c->segments_len; i++) {
		if (c->segments[i].kind == SEGMENT_SPOOL)
			return change_is_live(c) || c->state == CHANGE_FAILED;
	}
	return false;
}

bool
change_is_shown(const struct change *c)
{
	return change_is_live(c) || change_holds_spool(c);
}

void
key_of_count(struct key *key, const struct id *user, enum change_state state, enum change_kind kind)
{
	key_reset(key);
	key_add(key, user->b, sizeof user->b);
	key_add_u8(key, state);
	key_add_u8(key, kind);
}

static void
index_value(struct tx *tx, enum db db, const struct key *key, const void *val, size_t len, bool add)
{
	if (add)
		tx_put(tx, db, key->b, key->len, val, len);
	else
		tx_del(tx, db, key->b, key->len, NULL, 0);
}

static void
index_state(struct store_tx *t, const struct item *it, bool add)
{
	const struct change *c = it->c;
	unsigned char val[ID_BYTES + 2];
	struct key key;

	if (c->parent[0] != '\0') {
		index_child(t, it, add);
		return;
	}
	memcpy(val, it->id.b, ID_BYTES);
	key_of_count(&key, &it->user, c->state, c->kind);
	tx_count_add(&t->tx, DB_COUNTS, key.b, key.len, add ? 1 : -1);
	t->by_state[c->state] += add ? 1 : -1;

	key_reset(&key);
	key_add(&key, it->user.b, sizeof it->user.b);
	key_add_u8(&key, c->state);
	key_add_u8(&key, c->priority);
	key_add_u64(&key, it->order);
	val[ID_BYTES] = (unsigned char)c->kind;
	index_value(&t->tx, DB_LISTED, &key, val, ID_BYTES + 1, add);

	if (!change_is_live(c)) {
		key_reset(&key);
		key_add(&key, it->user.b, sizeof it->user.b);
		key_add_u64(&key, c->finished_ms);
		key_add_u64(&key, it->order);
		val[ID_BYTES] = (unsigned char)c->state;
		val[ID_BYTES + 1] = (unsigned char)c->kind;
		index_value(&t->tx, DB_ENDED, &key, val, ID_BYTES + 2, add);
	}
	if (c->state == CHANGE_PENDING && add)
		tx_put(&t->tx, DB_PENDING, c->mount_id, strlen(c->mount_id), it->id.b, ID_BYTES);
	else if (c->state == CHANGE_PENDING)
		tx_del(&t->tx, DB_PENDING, c->mount_id, strlen(c->mount_id), it->id.b, ID_BYTES);
}

static void
index_dir(
    struct store_tx *t, const struct item *it, const char *account, const char *path, bool add)
{
	const char *name = path_name(path);
	struct path_key key;

	if (path[0] == '\0')
		return; /* the root is in no directory */
	key_of_path(&key, account, path, name > path ? (size_t)(name - path - 1) : 0);
	if (add)
		tx_put(&t->tx, DB_DIRS, key.b, sizeof key.b, it->id.b, ID_BYTES);
	else
		tx_del(&t->tx, DB_DIRS, key.b, sizeof key.b, it->id.b, ID_BYTES);
}

static void
index_account(struct store_tx *t, const char *account, bool add)
{
	struct account_use use;
	struct id id;

	if (!id_parse(&id, account) || !account_use_get(&t->tx, &id, &use))
		return tx_fail(&t->tx, -EBADMSG,
		    "the database is damaged: account %s is used but not there; run skyferryd "
		    "--check-store",
		    account);
	use.count += add ? 1 : (uint64_t)-1;
	account_use_put(&t->tx, &id, &use);
}

static void
index_spool(struct store_tx *t, const struct item *it, const char *file, bool add)
{
	struct key key;

	key_reset(&key);
	key_add(&key, it->user.b, sizeof it->user.b);
	key_add(&key, file, strlen(file));
	tx_count_add(&t->tx, DB_SPOOL, key.b, key.len, add ? 1 : -1);
}

static void
index_paths(struct store_tx *t, const struct item *it, bool add)
{
	const struct change *c = it->c;
	bool live = change_is_live(c), spool = change_holds_spool(c), shown = change_is_shown(c);
	bool leaves = c->move || c->kind == CHANGE_RENAME;
	const struct segment *s;

	if (live)
		index_account(t, c->account_id, add);
	if (shown)
		index_dir(t, it, c->account_id, c->path, add);
	for (s = c->segments; s < c->segments + c->segments_len; s++) {
		if (s->kind == SEGMENT_SPOOL && spool)
			index_spool(t, it, s->path, add);
		if (s->kind != SEGMENT_ENTRY)
			continue;
		if (live)
			index_account(t, s->account_id, add);
		if (shown && leaves)
			index_dir(t, it, s->account_id, s->path, add);
	}
}

void
index_add(struct store_tx *t, const struct item *it, unsigned what)
{
	if (what & INDEX_STATE)
		index_state(t, it, true);
	if (what & INDEX_PATHS)
		index_paths(t, it, true);
}

void
index_remove(struct store_tx *t, const struct item *it, unsigned what)
{
	if (what & INDEX_STATE)
		index_state(t, it, false);
	if (what & INDEX_PATHS)
		index_paths(t, it, false);
}
