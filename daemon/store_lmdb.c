#include "daemon/store_lmdb.h"
#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#define READERS_MAX 16 /* one cached reader, a check, a backup; more is not needed */

static const struct {
	const char *name;
	unsigned flags;
} databases[DBS] = {
    [DB_META] = {"meta", 0},
    [DB_USERS] = {"users", 0},
    [DB_USERS_BY_NAME] = {"users_by_name", 0},
    [DB_USERS_BY_UID] = {"users_by_uid", 0},
    [DB_ACCOUNTS] = {"accounts", 0},
    [DB_ACCOUNTS_BY_NAME] = {"accounts_by_name", 0},
    [DB_ACCOUNT_USE] = {"account_use", 0},
    [DB_CHANGES] = {"changes", 0},
    [DB_LISTED] = {"listed", 0},
    [DB_ENDED] = {"ended", 0},
    [DB_COUNTS] = {"counts", 0},
    [DB_READY] = {"ready", 0},
    [DB_LATER] = {"later", 0},
    [DB_RUNNING] = {"running", 0},
    [DB_WAITING] = {"waiting", 0},
    [DB_WAKES] = {"wakes", MDB_DUPSORT | MDB_DUPFIXED},
    [DB_PATHS] = {"paths", MDB_DUPSORT | MDB_DUPFIXED},
    [DB_BENEATH] = {"beneath", 0},
    [DB_PENDING] = {"pending", MDB_DUPSORT | MDB_DUPFIXED},
    [DB_SPOOL] = {"spool", 0},
    [DB_DIRS] = {"dirs", MDB_DUPSORT | MDB_DUPFIXED},
    [DB_TREES] = {"trees", 0},
    [DB_CHILDREN] = {"children", 0},
    [DB_CHECKPOINTS] = {"checkpoints", 0},
};

int
lmdb_errno(int rc)
{
	if (rc == 0)
		return 0;
	if (rc > 0)
		return -rc;
	switch (rc) {
	case MDB_NOTFOUND: return -ENOENT;
	case MDB_KEYEXIST: return -EEXIST;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL: return -ENOSPC;
	case MDB_BAD_VALSIZE: return -EINVAL;
	case MDB_PAGE_NOTFOUND:
	case MDB_CORRUPTED:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH: return -EBADMSG;
	case MDB_READERS_FULL: return -EMFILE;
	default: return rc < 0 && rc > -4096 ? rc : -EIO;
	}
}

const char *
lmdb_name(enum db db)
{
	return databases[db].name;
}

int
lmdb_open(struct lmdb *db, const char *dir, uint64_t map_size, bool read_only, struct err *err)
{
	unsigned flags = MDB_NOTLS | (read_only ? MDB_RDONLY : 0);
	int rc;

	memset(db, 0, sizeof *db);
	if ((rc = mdb_env_create(&db->env)) != 0)
		return err_set(err, lmdb_errno(rc), "cannot set up LMDB: %s", mdb_strerror(rc));
	if ((rc = mdb_env_set_maxdbs(db->env, DBS)) != 0 ||
	    (rc = mdb_env_set_maxreaders(db->env, READERS_MAX)) != 0 ||
	    (map_size != 0 && (rc = mdb_env_set_mapsize(db->env, map_size)) != 0) ||
	    (rc = mdb_env_open(db->env, dir, flags, 0600)) != 0) {
		lmdb_close(db);
		switch (rc) {
		case MDB_INVALID:
		case MDB_CORRUPTED:
			return err_set(err, -EBADMSG,
			    "%s/data.mdb is not a database of Skyferry's, or damaged; restore it "
			    "from a backup",
			    dir);
		case MDB_VERSION_MISMATCH:
			return err_set(err, -EBADMSG,
			    "%s/data.mdb was made by another version of LMDB; restore it from a "
			    "backup, or install that version",
			    dir);
		case ENOMEM:
			return err_set(err, -ENOMEM,
			    "cannot map %llu bytes for %s/data.mdb; set store.map_size lower",
			    (unsigned long long)map_size, dir);
		case ENOSPC:
			return err_set(err, -ENOSPC,
			    "no space left in %s to open the database; free some and retry", dir);
		default:
			return err_set(err, lmdb_errno(rc),
			    "cannot open the database %s/data.mdb: %s", dir, mdb_strerror(rc));
		}
	}
	return 0;
}

int
lmdb_open_databases(struct lmdb *db, bool read_only, struct err *err)
{
	MDB_txn *txn;
	unsigned i;
	int rc;

	if ((rc = mdb_txn_begin(db->env, NULL, read_only ? MDB_RDONLY : 0, &txn)) != 0)
		return err_set(
		    err, lmdb_errno(rc), "cannot read the database: %s", mdb_strerror(rc));
	for (i = 0; i < DBS; i++) {
		rc = mdb_dbi_open(txn, databases[i].name,
		    databases[i].flags | (read_only ? 0 : MDB_CREATE), &db->dbi[i]);
		if (rc != 0) {
			mdb_txn_abort(txn);
			return err_set(err, lmdb_errno(rc), "the database has no part '%s': %s",
			    databases[i].name, mdb_strerror(rc));
		}
	}
	if ((rc = mdb_txn_commit(txn)) != 0)
		return err_set(
		    err, lmdb_errno(rc), "cannot write the database: %s", mdb_strerror(rc));
	return 0;
}

void
lmdb_close(struct lmdb *db)
{
	if (db->env != NULL)
		mdb_env_close(db->env);
	db->env = NULL;
}

static uint64_t
lmdb_page_size(struct lmdb *db)
{
	MDB_stat stat;

	return mdb_env_stat(db->env, &stat) == 0 ? stat.ms_psize : 0;
}

void
lmdb_forget_dead(struct lmdb *db)
{
	int dead;

	(void)mdb_reader_check(db->env, &dead);
}

uint64_t
lmdb_used(struct lmdb *db)
{
	MDB_envinfo info;

	if (mdb_env_info(db->env, &info) != 0)
		return 0;
	return ((uint64_t)info.me_last_pgno + 1) * lmdb_page_size(db);
}

uint64_t
lmdb_map_size(struct lmdb *db)
{
	MDB_envinfo info;

	return mdb_env_info(db->env, &info) == 0 ? info.me_mapsize : 0;
}

static MDB_val
val_of(const void *data, size_t len)
{
	return (MDB_val){.mv_size = len, .mv_data = (void *)data};
}

bool
tx_get(struct tx *tx, enum db db, const void *key, size_t len, MDB_val *out)
{
	MDB_val k = val_of(key, len);
	int rc;

	if (tx->error != 0)
		return false;
	rc = mdb_get(tx->txn, tx->db->dbi[db], &k, out);
	if (rc != 0 && rc != MDB_NOTFOUND)
		tx->error = rc;
	return rc == 0;
}

void
tx_put(struct tx *tx, enum db db, const void *key, size_t len, const void *val, size_t val_len)
{
	MDB_val k = val_of(key, len), v = val_of(val, val_len);

	if (tx->error != 0)
		return;
	tx->error = mdb_put(tx->txn, tx->db->dbi[db], &k, &v, 0);
	tx->dirty = true;
}

bool
tx_del(struct tx *tx, enum db db, const void *key, size_t len, const void *val, size_t val_len)
{
	MDB_val k = val_of(key, len), v = val_of(val, val_len);
	int rc;

	if (tx->error != 0)
		return false;
	rc = mdb_del(tx->txn, tx->db->dbi[db], &k, val != NULL ? &v : NULL);
	if (rc != 0 && rc != MDB_NOTFOUND)
		tx->error = rc;
	tx->dirty |= rc == 0;
	return rc == 0;
}

uint64_t
tx_count(struct tx *tx, enum db db, const void *key, size_t len)
{
	uint64_t count = 0;
	MDB_val v;

	if (tx_get(tx, db, key, len, &v) && v.mv_size == sizeof count)
		memcpy(&count, v.mv_data, sizeof count);
	return count;
}

uint64_t
tx_count_add(struct tx *tx, enum db db, const void *key, size_t len, int delta)
{
	uint64_t count = tx_count(tx, db, key, len);

	if (tx->error == 0 && delta < 0 && count < (uint64_t)-delta) {
		tx_fail(tx, -EBADMSG,
		    "the database is damaged: a count in '%s' would fall below zero; run skyferryd "
		    "--check-store",
		    lmdb_name(db));
		return 0;
	}
	count += (uint64_t)(int64_t)delta;
	if (count != 0)
		tx_put(tx, db, key, len, &count, sizeof count);
	else
		tx_del(tx, db, key, len, NULL, 0);
	return count;
}

void
tx_fail(struct tx *tx, int code, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	if (tx->error != 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	tx->error = -code;
	err_set(&tx->err, code, "%s", text);
}

struct tx_cursor
tx_cursor(struct tx *tx, enum db db)
{
	struct tx_cursor c = {.tx = tx};

	if (tx->error == 0)
		tx->error = mdb_cursor_open(tx->txn, tx->db->dbi[db], &c.cursor);
	return c;
}

void
tx_cursor_close(struct tx_cursor *c)
{
	if (c->cursor != NULL)
		mdb_cursor_close(c->cursor);
	c->cursor = NULL;
}

bool
tx_cursor_move(struct tx_cursor *c, MDB_cursor_op op)
{
	int rc;

	if (c->tx->error != 0 || c->cursor == NULL)
		return false;
	rc = mdb_cursor_get(c->cursor, &c->key, &c->val, op);
	if (rc != 0 && rc != MDB_NOTFOUND)
		c->tx->error = rc;
	return rc == 0;
}

bool
tx_cursor_seek(struct tx_cursor *c, const void *key, size_t len)
{
	c->key = val_of(key, len);
	return tx_cursor_move(c, MDB_SET_RANGE);
}

bool
tx_cursor_seek_last(struct tx_cursor *c, const void *prefix, size_t len)
{
	unsigned char after[KEY_MAX];
	size_t n = len;

	assert(len <= sizeof after);
	memcpy(after, prefix, len);
	/* The first key beyond all that begin with the prefix: the prefix plus one. */
	while (n > 0 && after[n - 1] == 0xff)
		n--;
	if (n == 0)
		return tx_cursor_move(c, MDB_LAST);
	after[n - 1]++;
	if (tx_cursor_seek(c, after, n))
		return tx_cursor_move(c, MDB_PREV);
	return tx_cursor_move(c, MDB_LAST);
}

bool
tx_cursor_seek_dup(
    struct tx_cursor *c, const void *key, size_t len, const void *val, size_t val_len)
{
	c->key = val_of(key, len);
	c->val = val_of(val, val_len);
	return tx_cursor_move(c, MDB_GET_BOTH_RANGE);
}

bool
tx_cursor_in(const struct tx_cursor *c, const void *prefix, size_t len)
{
	return c->key.mv_size >= len && memcmp(c->key.mv_data, prefix, len) == 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* libuuid's takes a tenth of the time of accepting a change. */
bool
id_parse(struct id *out, const char *text)
{
	struct id id;
	int high, low;
	unsigned i;

	for (i = 0; text != NULL && i < ID_BYTES; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		if ((high = hex_digit(text[0])) < 0 || (low = hex_digit(text[1])) < 0)
			return false;
		id.b[i] = (unsigned char)(high << 4 | low);
		text += 2;
	}
	if (text == NULL || *text != '\0')
		return false;
	*out = id;
	return true;
}

void
id_format(char out[37], const struct id *id)
{
	static const char digits[] = "0123456789abcdef";
	unsigned i;

	for (i = 0; i < ID_BYTES; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[id->b[i] >> 4];
		*out++ = digits[id->b[i] & 15];
	}
	*out = '\0';
}

void
key_reset(struct key *key)
{
	key->len = 0;
}

void
key_add(struct key *key, const void *bytes, size_t len)
{
	assert(len <= sizeof key->b - key->len);
	memcpy(key->b + key->len, bytes, len);
	key->len += len;
}

void
key_add_u8(struct key *key, unsigned value)
{
	unsigned char b = (unsigned char)value;

	assert(value <= 0xff);
	key_add(key, &b, 1);
}

void
key_add_u64(struct key *key, uint64_t value)
{
	value = htobe64(value);
	key_add(key, &value, sizeof value);
}

uint64_t
key_u64(const void *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return be64toh(value);
}
