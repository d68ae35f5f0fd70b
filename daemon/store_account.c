#include "daemon/store_private.h"
#include <stdlib.h>
#include <string.h>

static struct account_record *
account_copy(const struct account_record *from)
{
	struct account_record *a = account_record_new();

	memcpy(a->id, from->id, sizeof a->id);
	memcpy(a->user_id, from->user_id, sizeof a->user_id);
	a->name = xstrdup_null(from->name);
	a->driver = xstrdup_null(from->driver);
	a->settings = from->settings != NULL ? json_deep_copy(from->settings) : NULL;
	buf_add(&a->sealed, from->sealed.data, from->sealed.len);
	a->status = xstrdup_null(from->status);
	a->status_text = xstrdup_null(from->status_text);
	a->created_ms = from->created_ms;
	a->bandwidth = from->bandwidth;
	a->revision = from->revision;
	a->request_rate = from->request_rate;
	a->concurrency = from->concurrency;
	a->held = from->held;
	return a;
}

void
account_tell_sched(struct store *s, const struct account_record *a)
{
	sched_account_limit(s->sched, a->id, a->concurrency);
	sched_account_hold(s->sched, a->id, a->held);
}

static void
key_of_account_name(struct key *key, const struct id *user, const char *name)
{
	key_reset(key);
	key_add(key, user->b, ID_BYTES);
	key_add(key, name, strlen(name));
}

static int
account_check(struct store_tx *t, const struct account_record *a, struct id *id, struct id *user,
    struct op *op)
{
	struct key key;
	MDB_val val;

	if (!id_parse(id, a->id) || !id_parse(user, a->user_id))
		return op_fail(op, -EINVAL, "the ids of accounts and users are UUIDs");
	if (!store_name_fits(a->name) || a->driver == NULL)
		return op_fail(op, -EINVAL, "an account has a driver and a name of 1 to %d bytes",
		    STORE_NAME_MAX);
	if (!tx_get(&t->tx, DB_USERS, user->b, ID_BYTES, &val))
		return op_fail(op, -ENOENT, "there is no user '%s'", a->user_id);
	key_of_account_name(&key, user, a->name);
	if (store_name_is_taken(&t->tx, DB_ACCOUNTS_BY_NAME, &key, id))
		return op_fail(op, -EEXIST, "there is an account '%s' already", a->name);
	return 0;
}

static int
op_account_add(struct store_tx *t, struct op *op)
{
	struct account_record *a = op->account;
	struct account_use use = {.count = 0};
	struct key key;
	struct id id;
	MDB_val val;
	int code;

	if ((code = account_check(t, a, &id, &use.user, op)) != 0)
		return code;
	if (tx_get(&t->tx, DB_ACCOUNTS, id.b, ID_BYTES, &val))
		return op_fail(op, -EEXIST, "the id %s is taken", a->id);
	if (a->created_ms == 0)
		a->created_ms = t->now;
	if (a->revision == 0)
		a->revision = 1;
	id_format(a->user_id, &use.user);
	key_of_account_name(&key, &use.user, a->name);
	tx_put(&t->tx, DB_ACCOUNTS_BY_NAME, key.b, key.len, id.b, ID_BYTES);
	record_put_account(&t->tx, &id, a);
	account_use_put(&t->tx, &id, &use);
	account_tell_sched(t->store, a);
	return 0;
}

/* The user's own, or -ENOENT. */
static int
account_find(struct store_tx *t, const struct id *id, const char *user_id, const char *what,
    struct account_record **out, struct op *op)
{
	int code = record_account(&t->tx, id, out, &op->res.err);

	if (code == 0 && strcmp((*out)->user_id, user_id) != 0) {
		account_record_free(*out);
		code = -ENOENT;
	}
	if (code == -ENOENT)
		return op_fail(op, code, "there is no account '%s'", what);
	return code;
}

static int
op_account_update(struct store_tx *t, struct op *op)
{
	struct account_record *a = op->account, *old;
	struct id id, user;
	struct key key;
	int code;

	if ((code = account_check(t, a, &id, &user, op)) != 0)
		return code;
	id_format(a->user_id, &user);
	if ((code = account_find(t, &id, a->user_id, a->name, &old, op)) != 0)
		return code;
	if (op->number != old->revision) {
		code = op_fail(
		    op, -ESTALE, "account '%s' was changed meanwhile; try again", old->name);
		account_record_free(old);
		return code;
	}
	a->created_ms = old->created_ms;
	a->revision = old->revision + 1;
	if (op->flag) {
		buf_reset(&a->sealed);
		buf_add(&a->sealed, old->sealed.data, old->sealed.len);
	}
	key_of_account_name(&key, &user, old->name);
	tx_del(&t->tx, DB_ACCOUNTS_BY_NAME, key.b, key.len, NULL, 0);
	key_of_account_name(&key, &user, a->name);
	tx_put(&t->tx, DB_ACCOUNTS_BY_NAME, key.b, key.len, id.b, ID_BYTES);
	record_put_account(&t->tx, &id, a);
	account_tell_sched(t->store, a);
	account_record_free(old);
	return 0;
}

static int
op_account_reseal(struct store_tx *t, struct op *op)
{
	struct account_record *a = op->account, *old;
	struct id id;
	int code;

	if (!id_parse(&id, a->id))
		return op_fail(op, -ENOENT, "there is no account '%s'", a->id);
	if ((code = account_find(t, &id, a->user_id, a->name, &old, op)) != 0)
		return code;
	if (old->sealed.len != op->was.len ||
	    memcmp(old->sealed.data, op->was.data, op->was.len) != 0) {
		code = op_fail(op, -ESTALE, "account '%s' was changed meanwhile", old->name);
	} else {
		buf_reset(&old->sealed);
		buf_add(&old->sealed, a->sealed.data, a->sealed.len);
		record_put_account(&t->tx, &id, old);
	}
	account_record_free(old);
	return code;
}

static int
op_account_remove(struct store_tx *t, struct op *op)
{
	struct account_record *old;
	struct account_use use;
	struct id id, user;
	struct key key;
	int code;

	if (!id_parse(&id, op->id) || !id_parse(&user, op->user_id))
		return op_fail(op, -ENOENT, "there is no account '%s'", op->id);
	if ((code = account_find(t, &id, op->user_id, op->id, &old, op)) != 0)
		return code;
	if (account_use_get(&t->tx, &id, &use) && use.count != 0) {
		code = op_fail(op, -EBUSY,
		    "account '%s' is used by transfers that have not ended; wait for them or "
		    "cancel them",
		    old->name);
	} else {
		key_of_account_name(&key, &user, old->name);
		tx_del(&t->tx, DB_ACCOUNTS_BY_NAME, key.b, key.len, NULL, 0);
		tx_del(&t->tx, DB_ACCOUNTS, id.b, ID_BYTES, NULL, 0);
		tx_del(&t->tx, DB_ACCOUNT_USE, id.b, ID_BYTES, NULL, 0);
	}
	account_record_free(old);
	return code;
}

static int
op_account_status(struct store_tx *t, struct op *op)
{
	struct account_record *a;
	struct id id;
	int code;

	if (!id_parse(&id, op->id))
		return op_fail(op, -ENOENT, "there is no account '%s'", op->id);
	if ((code = account_find(t, &id, op->user_id, op->id, &a, op)) != 0)
		return code;
	if (op->number != 0 && op->number != a->revision) {
		code = op_fail(op, -ESTALE, "account '%s' was changed meanwhile", a->name);
		account_record_free(a);
		return code;
	}
	xstrset(&a->status, op->text == NULL ? "ok" : "error");
	xstrset(&a->status_text, op->text);
	a->held = op->flag;
	record_put_account(&t->tx, &id, a);
	account_tell_sched(t->store, a);
	account_record_free(a);
	return 0;
}

void
store_account_add(struct store *s, const struct account_record *a, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_account_add, done, arg);

	op->account = account_copy(a);
	op_submit(s, op);
}

void
store_account_update(struct store *s, const struct account_record *a, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_account_update, done, arg);

	op->account = account_copy(a);
	op->number = a->revision;
	op->flag = a->sealed.len == 0;
	op_submit(s, op);
}

void
store_account_reseal(struct store *s, const struct account_record *a, const struct buf *was,
    store_done_fn done, void *arg)
{
	struct op *op = op_new(op_account_reseal, done, arg);

	op->account = account_copy(a);
	op->was = (struct buf)BUF_INIT(was->len + 1);
	buf_add(&op->was, was->data, was->len);
	op_submit(s, op);
}

void
store_account_status(struct store *s, const char *user_id, const char *id, uint64_t revision,
    const char *trouble, bool held, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_account_status, done, arg);

	op->user_id = xstrdup(user_id);
	op->id = xstrdup(id);
	op->text = xstrdup_null(trouble);
	op->number = revision;
	op->flag = held;
	op_submit(s, op);
}

void
store_account_remove(
    struct store *s, const char *user_id, const char *id, store_done_fn done, void *arg)
{
	struct op *op = op_new(op_account_remove, done, arg);

	op->user_id = xstrdup(user_id);
	op->id = xstrdup(id);
	op_submit(s, op);
}

static int
account_read(struct read *r, const struct id *id, const char *what, struct account_record **out,
    struct err *err)
{
	int code = record_account(&r->tx, id, out, err);

	if (r->tx.error != 0)
		return read_error(r, err);
	if (code == -ENOENT)
		return err_set(err, code, "there is no account '%s'", what);
	return code;
}

int
store_account_get(
    struct store *s, const char *id_text, struct account_record **out, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	struct id id;

	if (!id_parse(&id, id_text))
		return err_set(err, -ENOENT, "there is no account '%s'", id_text);
	return account_read(&r, &id, id_text, out, err);
}

static bool
account_id_of_name(struct tx *tx, const struct id *user, const char *name, struct id *out)
{
	struct key key;
	MDB_val val;

	if (!store_name_fits(name))
		return false;
	key_of_account_name(&key, user, name);
	if (!tx_get(tx, DB_ACCOUNTS_BY_NAME, key.b, key.len, &val) || val.mv_size != ID_BYTES)
		return false;
	memcpy(out->b, val.mv_data, ID_BYTES);
	return true;
}

int
store_account_by_name(struct store *s, const char *user_id, const char *name,
    struct account_record **out, struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	struct id id, user;

	if (id_parse(&user, user_id) && account_id_of_name(&r.tx, &user, name, &id))
		return account_read(&r, &id, name, out, err);
	if (r.tx.error != 0)
		return read_error(&r, err);
	return err_set(err, -ENOENT, "there is no account '%s'", name);
}

int
store_account_resolve(
    struct store *s, const char *user_id, const char *ref, char out[37], struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	struct account_use use;
	struct id id, user;
	bool found = false;

	if (id_parse(&user, user_id))
		found = account_id_of_name(&r.tx, &user, ref, &id) ||
		    (id_parse(&id, ref) && account_use_get(&r.tx, &id, &use) &&
			memcmp(&use.user, &user, sizeof user) == 0);
	if (r.tx.error != 0)
		return read_error(&r, err);
	if (!found)
		return err_set(err, -ENOENT, "there is no account '%s'", ref);
	id_format(out, &id);
	return 0;
}

int
store_accounts(struct store *s, const char *user_id, struct account_record ***out, size_t *len,
    struct err *err)
{
	CLEANUP(read_end) struct read r = read_begin(s);
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(&r.tx, DB_ACCOUNTS_BY_NAME);
	struct account_record **accounts = NULL;
	struct id id, user;
	size_t n = 0;
	bool more;
	int code = 0;

	if (!id_parse(&user, user_id))
		return err_set(err, -ENOENT, "there is no user '%s'", user_id);
	for (more = tx_cursor_seek(&c, user.b, ID_BYTES);
	     more && tx_cursor_in(&c, user.b, ID_BYTES) && code == 0;
	     more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.val.mv_size != ID_BYTES)
			continue;
		memcpy(id.b, c.val.mv_data, ID_BYTES);
		if ((n & (n - 1)) == 0)
			accounts = xrealloc(
			    accounts, MAX(n * 2, (size_t)1), sizeof(struct account_record *));
		code = account_read(&r, &id, "?", &accounts[n], err);
		n += code == 0;
	}
	if (code == 0)
		code = read_error(&r, err);
	if (code != 0) {
		while (n > 0)
			account_record_free(accounts[--n]);
		free(accounts);
		return code;
	}
	*out = accounts;
	*len = n;
	return 0;
}
