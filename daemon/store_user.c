#include "daemon/store_private.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

static struct user *
user_copy(const struct user *from)
{
	struct user *user = xmemdup(from, sizeof *from);

	user->name = xstrdup_null(from->name);
	user->password = xstrdup_null(from->password);
	return user;
}

static void
key_of_name(struct key *key, const char *name)
{
	key_reset(key);
	key_add(key, name, strlen(name));
}

static void
key_of_uid(struct key *key, int64_t uid)
{
	key_reset(key);
	key_add_u64(key, (uint64_t)uid);
}

static int
user_check(struct store_tx *t, const struct user *user, struct id *id, struct op *op)
{
	struct key key;

	if (!id_parse(id, user->id))
		return op_fail(op, -EINVAL, "the id of a user is a UUID");
	if (!store_name_fits(user->name))
		return op_fail(op, -EINVAL, "the name of a user has 1 to %d bytes", STORE_NAME_MAX);
	if (user->uid > UINT32_MAX)
		return op_fail(op, -EINVAL, "there is no uid %lld", (long long)user->uid);
	key_of_name(&key, user->name);
	if (store_name_is_taken(&t->tx, DB_USERS_BY_NAME, &key, id))
		return op_fail(op, -EEXIST, "there is a user '%s' already", user->name);
	key_of_uid(&key, user->uid);
	if (user->uid >= 0 && store_name_is_taken(&t->tx, DB_USERS_BY_UID, &key, id))
		return op_fail(
		    op, -EEXIST, "uid %lld belongs to another user", (long long)user->uid);
	return 0;
}

static void
user_index(struct store_tx *t, const struct id *id, const struct user *user, bool add)
{
	struct key key;

	key_of_name(&key, user->name);
	if (add)
		tx_put(&t->tx, DB_USERS_BY_NAME, key.b, key.len, id->b, ID_BYTES);
	else
		tx_del(&t->tx, DB_USERS_BY_NAME, key.b, key.len, NULL, 0);
	if (user->uid < 0)
		return;
	key_of_uid(&key, user->uid);
	if (add)
		tx_put(&t->tx, DB_USERS_BY_UID, key.b, key.len, id->b, ID_BYTES);
	else
		tx_del(&t->tx, DB_USERS_BY_UID, key.b, key.len, NULL, 0);
}

/* The scheduler knows it by the id's one spelling. */
static void
user_weigh(struct store_tx *t, const struct id *id, unsigned weight)
{
	char text[37];

	id_format(text, id);
	sched_user_weight(t->store->sched, text, weight);
}

static bool
users_are_none(struct store_tx *t)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&t->tx, DB_USERS);

	return !tx_cursor_move(&c, MDB_FIRST) && t->tx.error == 0;
}

static bool
password_is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL ? strcmp(a, b) == 0 : a == b;
}

static int
op_user_add(struct store_tx *t, struct op *op)
{
	struct user *user = op->user;
	struct id id;
	MDB_val val;
	int code;

	if ((code = user_check(t, user, &id, op)) != 0)
		return code;
	if (tx_get(&t->tx, DB_USERS, id.b, ID_BYTES, &val))
		return op_fail(op, -EEXIST, "the id %s is taken", user->id);
	if (user->admin_if_first)
		user->admin = users_are_none(t);
	if (user->created_ms == 0)
		user->created_ms = t->now;
	user_index(t, &id, user, true);
	record_put_user(&t->tx, &id, user);
	user_weigh(t, &id, user->weight);
	return 0;
}

static int
op_user_update(struct store_tx *t, struct op *op)
{
	struct user *old;
	struct id id;
	int code;

	if ((code = user_check(t, op->user, &id, op)) != 0)
		return code;
	code = record_user(&t->tx, &id, &old, &op->res.err);
	if (code == -ENOENT)
		return op_fail(op, code, "there is no user '%s'", op->user->name);
	if (code != 0)
		return code;
	op->user->created_ms = old->created_ms;
	op->user->epoch = old->epoch + !password_is_same(op->user->password, old->password);
	user_index(t, &id, old, false);
	user_index(t, &id, op->user, true);
	record_put_user(&t->tx, &id, op->user);
	user_weigh(t, &id, op->user->weight);
	user_free(old);
	return 0;
}

void
store_user_add(struct store *s, const struct user *user, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_user_add, done, arg);

	op->user = user_copy(user);
	op_submit(s, op);
}

void
store_user_update(struct store *s, const struct user *user, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_user_update, done, arg);

	op->user = user_copy(user);
	op_submit(s, op);
}

/* `what`: how the caller named it. */
static int
user_read(struct read *r, const struct id *id, const char *what, struct user **out, struct err *err)
{
	int code = record_user(&r->tx, id, out, err);

	if (r->tx.error != 0)
		return read_error(r, err);
	if (code == -ENOENT)
		return err_set(err, code, "there is no user '%s'", what);
	return code;
}

static int
user_read_by(struct store *s, enum db db, const struct key *key, const char *what,
    struct user **out, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	struct id id;
	MDB_val val;

	if (tx_get(&r.tx, db, key->b, key->len, &val) && val.mv_size == ID_BYTES) {
		memcpy(id.b, val.mv_data, ID_BYTES);
		return user_read(&r, &id, what, out, err);
	}
	if (r.tx.error != 0)
		return read_error(&r, err);
	return err_set(err, -ENOENT, "there is no user '%s'", what);
}

int
store_user_get(struct store *s, const char *id_text, struct user **out, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	struct id id;

	if (!id_parse(&id, id_text))
		return err_set(err, -ENOENT, "there is no user '%s'", id_text);
	return user_read(&r, &id, id_text, out, err);
}

int
store_user_by_name(struct store *s, const char *name, struct user **out, struct err *err)
{
	struct key key;

	if (!store_name_fits(name))
		return err_set(err, -ENOENT, "there is no user '%s'", name);
	key_of_name(&key, name);
	return user_read_by(s, DB_USERS_BY_NAME, &key, name, out, err);
}

int
store_user_by_uid(struct store *s, int64_t uid, struct user **out, struct err *err)
{
	CLEANUP(cleanup_free) char *what = xasprintf("uid %lld", (long long)uid);
	struct key key;

	if (uid < 0)
		return err_set(err, -ENOENT, "there is no user '%s'", what);
	key_of_uid(&key, uid);
	return user_read_by(s, DB_USERS_BY_UID, &key, what, out, err);
}

int
store_users(struct store *s, struct user ***out, size_t *len, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&r.tx, DB_USERS);
	struct user **users = NULL;
	struct id id;
	size_t n = 0;
	bool more;
	int code = 0;

	for (more = tx_cursor_move(&c, MDB_FIRST); more && code == 0;
	     more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.key.mv_size != ID_BYTES)
			continue;
		memcpy(id.b, c.key.mv_data, ID_BYTES);
		if ((n & (n - 1)) == 0)
			users = xrealloc(users, MAX(n * 2, (size_t)1), sizeof(struct user *));
		code = user_read(&r, &id, "?", &users[n], err);
		n += code == 0;
	}
	if (code == 0)
		code = read_error(&r, err);
	if (code != 0) {
		while (n > 0)
			user_free(users[--n]);
		free(users);
		return code;
	}
	*out = users;
	*len = n;
	return 0;
}
