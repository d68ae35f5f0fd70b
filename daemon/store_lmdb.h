/*
 * store_lmdb: LMDB as the store uses it: one environment with a fixed set of databases, write
 * transactions that remember their first failure and then do nothing, keys built from fixed-size
 * parts, and the one place where LMDB's codes become errnos.
 *
 * Default sync flags only: what was committed survives a power cut.  Readers are not bound to
 * threads (MDB_NOTLS).  The map is large and sparse; when it is full the store grows it, with no
 * transaction open (growing under a reader ends in SIGBUS).
 */
#pragma once
#include "src/err.h"
#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

/* id16: a UUID's bytes.  Numbers in keys are big-endian, so that they sort; counts are host order.
 */
enum db {
	DB_META, /* name -> value */
	DB_USERS, /* user16 -> record */
	DB_USERS_BY_NAME, /* name -> user16 */
	DB_USERS_BY_UID, /* uid -> user16 */
	DB_ACCOUNTS, /* account16 -> record */
	DB_ACCOUNTS_BY_NAME, /* user16 name -> account16 */
	DB_ACCOUNT_USE, /* account16 -> struct account_use */
	DB_CHANGES, /* change16 -> record */
	DB_LISTED, /* user16 state priority order -> change16 kind */
	DB_ENDED, /* user16 finished_ms order -> change16 state kind */
	DB_COUNTS, /* user16 state kind -> count */
	DB_READY, /* lane48 (10 - priority) seq -> struct ready */
	DB_LATER, /* not_before_ms seq -> struct later */
	DB_RUNNING, /* change16 -> struct running */
	DB_WAITING, /* change16 -> struct waiting */
	DB_WAKES, /* change16 -> dups: struct wake */
	DB_PATHS, /* struct path_key -> dups: struct path_note */
	DB_BENEATH, /* struct path_key -> count of notes strictly beneath */
	DB_PENDING, /* mount id -> dups: change16 */
	DB_SPOOL, /* user16 file -> count of references */
	DB_DIRS, /* struct path_key of a directory -> dups: change16 */
	DB_TREES, /* change16 -> struct tree_record */
	DB_CHILDREN, /* parent16 state order -> change16 */
	DB_CHECKPOINTS, /* change16 number -> record; number 0: the head, else of a part */
	DBS
};

struct lmdb {
	MDB_env *env;
	MDB_dbi dbi[DBS];
};

/* `read_only`: for the check and the backup; no database is made. */
int lmdb_open(struct lmdb *, const char *dir, uint64_t map_size, bool read_only, struct err *);
void lmdb_close(struct lmdb *); /* usable when half open */
int lmdb_errno(int rc); /* LMDB's code (or an errno) -> negative errno */
const char *lmdb_name(enum db);
/* Opens the databases in a transaction of its own; makes the missing ones unless read-only. */
int lmdb_open_databases(struct lmdb *, bool read_only, struct err *);
/* A reader that was killed (a backup, say) keeps all pages that were given back since from being
 * used again. */
void lmdb_forget_dead(struct lmdb *);
uint64_t lmdb_used(struct lmdb *); /* bytes up to the last page */
uint64_t lmdb_map_size(struct lmdb *);

/* A transaction.  `error`: the first failure, LMDB's code or an errno; 0: none. */
struct tx {
	struct lmdb *db;
	MDB_txn *txn;
	int error;
	bool dirty; /* something was written */
	struct err err; /* says more than the code when the store itself found the fault */
};

bool tx_get(struct tx *, enum db, const void *key, size_t len, MDB_val *out);
void tx_put(struct tx *, enum db, const void *key, size_t len, const void *val, size_t val_len);
/* val NULL: the key with all its values.  What is not there is no failure; returns whether it was.
 */
bool tx_del(struct tx *, enum db, const void *key, size_t len, const void *val, size_t val_len);
uint64_t tx_count(struct tx *, enum db, const void *key, size_t len); /* absent: 0 */
/* The count after the change; at 0 it is removed.  Going below 0 is damage: -EBADMSG. */
uint64_t tx_count_add(struct tx *, enum db, const void *key, size_t len, int delta);
/* A fault that LMDB cannot see: an index without its record, a record that does not decode. */
void tx_fail(struct tx *, int code, const char *fmt, ...) PRINTF(3, 4);

struct tx_cursor {
	struct tx *tx;
	MDB_cursor *cursor;
	MDB_val key, val; /* where it stands */
};
struct tx_cursor tx_cursor(struct tx *, enum db);
void tx_cursor_close(struct tx_cursor *); /* usable with CLEANUP */
/* false: nothing there, or the transaction has failed. */
bool tx_cursor_move(struct tx_cursor *, MDB_cursor_op op);
bool tx_cursor_seek(struct tx_cursor *, const void *key, size_t len); /* the first >= key */
/* The last that begins with the prefix, or is less than it (for walking backwards): check the key.
 */
bool tx_cursor_seek_last(struct tx_cursor *, const void *prefix, size_t len);
/* In a database of duplicates: the first value >= val of this key. */
bool tx_cursor_seek_dup(
    struct tx_cursor *, const void *key, size_t len, const void *val, size_t val_len);
bool
tx_cursor_in(const struct tx_cursor *, const void *prefix, size_t len); /* key begins with it */

/* -- keys */
#define ID_BYTES 16
struct id {
	unsigned char b[ID_BYTES];
};
bool id_parse(struct id *out, const char *text);
void id_format(char out[37], const struct id *);

#define KEY_MAX 511
struct key {
	size_t len;
	unsigned char b[KEY_MAX];
};
void key_reset(struct key *);
void key_add(struct key *, const void *bytes, size_t len); /* asserts that it fits */
void key_add_u8(struct key *, unsigned value);
void key_add_u64(struct key *, uint64_t value);
uint64_t key_u64(const void *at);
