/*
 * store_private: what the files of the store share.  A write is an operation: a copy of its input
 * and a function that runs on the store thread inside the batch's transaction.  It checks first and
 * writes after, so that a refusal leaves the transaction as it was; a failing transaction is undone
 * as a whole and every operation of it run again, so operations keep nothing but their result.
 *
 * The scheduler belongs to the store thread.  It mirrors the indexes `ready` and `running`, and is
 * told anew from them after a transaction was undone.
 */
#pragma once
#include "daemon/store.h"
#include "daemon/store_lmdb.h"
#include "src/walk.h"
#include <pthread.h>
#include <sys/queue.h>

struct op;
STAILQ_HEAD(op_list, op);

struct store {
	struct lmdb db;
	struct loop *loop;
	char *dir, *owner;
	struct store_config config; /* dir and owner: the copies above */
	int lock_fd;

	/* The store thread's own. */
	struct sched *sched;
	uint64_t seq; /* the last number given, as committed */

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t wake;
	struct op_list ops;
	bool stop;
	struct sched_config new_sched; /* store_configure(): taken over by the thread */
	bool panicked; /* the store's thread only, as is `stale`: */
	bool stale; /* the scheduler does not know the queue: it could not be read back */
	bool reconfigure;
	uint64_t commits, writes, by_state[CHANGE_STATES];

	pthread_mutex_t read_lock; /* a reader is at work, or the map is growing */
	MDB_txn *reader; /* reset between reads */
	pthread_t thread;
};

struct store_tx {
	struct tx tx;
	struct store *store;
	uint64_t now;
	uint64_t seq;
	int64_t by_state[CHANGE_STATES]; /* differences */
};

/* 0, or a negative errno with op->res.err filled.  A failed transaction is found by its caller. */
typedef int (*op_fn)(struct store_tx *, struct op *);

struct op {
	STAILQ_ENTRY(op) link;
	op_fn run;
	struct change *change; /* inputs, by function */
	struct user *user;
	struct account_record *account;
	struct buf was; /* sealed */
	json_t *json;
	struct walk_batch *batch;
	char *user_id, *id, *mount_id, *text;
	uint64_t number;
	bool flag;
	struct store_result res;
	store_done_fn done;
	void *arg;
};

struct op *op_new(op_fn, store_done_fn, void *arg);
void op_submit(struct store *, struct op *);
void op_add_change(struct op *, struct change *); /* into res.changes; takes it over */
int op_fail(struct op *, int code, const char *fmt, ...) PRINTF(3, 4);
uint64_t store_now(const struct store *);

/* A read on the loop's thread; lasts one call. */
struct read {
	struct store *store;
	struct tx tx;
};
struct read read_begin(struct store *);
void read_end(struct read *); /* usable with CLEANUP */
int read_error(struct read *, struct err *); /* 0, or why the transaction failed */
/* Why `rc` happened to a transaction on the database in `dir`, and what to do about it. */
int store_failure(const char *dir, const struct tx *, struct err *);

#define STORE_META_SEQ "seq" /* in DB_META: the last number given */
int store_map_grow(struct store *); /* LMDB's code; with no transaction open */
/* -- store_open.c: the lock, the database's files, who may open them; what it took is the store's
 * to free */
int store_open_files(struct store *, struct err *);

/* -- store_record.c: records; 1 byte schema version, 4 bytes CRC32C (big-endian), compact JSON */
#define STORE_SCHEMA 1

/* A change as it is stored. */
struct item {
	struct change *c;
	struct id id, user;
	uint64_t order; /* its first number: its place in listings */
	uint64_t taken; /* number under which its sources and its waits were noted */
	bool unclean; /* an attempt was cut off; the next one sweeps what it left */
};
void item_fini(struct item *); /* usable with CLEANUP */
/* -ENOENT, or -EBADMSG if the record is damaged. */
int item_load(struct tx *, const struct id *, struct item *out, struct err *);
/* For what an index names.  A damaged one is logged and set aside (false): it must not hold up the
 * others. */
bool item_load_indexed(struct tx *, const struct id *, struct item *out);
void item_save(struct tx *, const struct item *);
/* Any record: takes the JSON (an object or an array) over. */
void record_put_json(struct tx *, enum db, const void *key, size_t key_len, json_t *);
json_t *record_decode(const MDB_val *, int *code, const char **why); /* NULL: why not */
/* What can be kept and read back; -EINVAL, -EILSEQ, -ENAMETOOLONG. */
int change_check(const struct change *, struct err *);
int record_user(struct tx *, const struct id *, struct user **out, struct err *);
int record_account(struct tx *, const struct id *, struct account_record **out, struct err *);
void record_put_user(struct tx *, const struct id *, const struct user *);
void record_put_account(struct tx *, const struct id *, const struct account_record *);

#define STORE_NAME_MAX 128 /* bytes, of users and accounts; callers allow less */
void account_tell_sched(struct store *, const struct account_record *); /* its limits */
bool store_name_fits(const char *name);
/* The index has another one than `id` there. */
bool store_name_is_taken(struct tx *, enum db, const struct key *, const struct id *);

/* Kept apart from the record: who may use an account, and how many live references changes have to
 * it. */
struct account_use {
	struct id user;
	uint64_t count;
};
bool account_use_get(struct tx *, const struct id *account, struct account_use *out);
void account_use_put(struct tx *, const struct id *account, const struct account_use *);

/* -- store_index.c: what is found by more than the id */
enum { INDEX_STATE = 1, INDEX_PATHS = 2, INDEX_ALL = 3 };
void index_add(struct store_tx *, const struct item *, unsigned what);
void index_remove(struct store_tx *, const struct item *, unsigned what);
bool change_holds_spool(const struct change *);
bool change_is_shown(const struct change *); /* in the overlay */
/* account16, 8 bytes of the directory's hash (so that a batch in one directory touches few pages),
 * hash16. */
struct path_key {
	unsigned char b[ID_BYTES + 8 + 16];
};
void key_of_path(struct path_key *, const char *account_id, const char *path, size_t len);
void key_of_count(struct key *, const struct id *user, enum change_state, enum change_kind);

/* -- path order: store_path.h */
uint64_t waiting_count(
    struct tx *, const struct id *, uint64_t *taken); /* 0: it does not wait; taken may be NULL */

/* -- store_queue.c: what may run, what runs */
#define LANE_BYTES (3 * ID_BYTES)
struct ready {
	struct id id;
	uint64_t since_ms;
};
struct later {
	struct id id;
	unsigned char lane[LANE_BYTES];
	unsigned char level; /* priority or SCHED_CLEANUP */
	uint64_t since_ms;
} __attribute__((packed));
#define OWNER_MAX 65 /* with the NUL; longer ones are cut */
struct running {
	uint64_t lease_ms;
	unsigned char lane[LANE_BYTES];
	char owner[OWNER_MAX]; /* NUL-terminated; stored up to and with the NUL */
} __attribute__((packed));
void queue_put(struct store_tx *, const struct item *); /* QUEUED: unless it waits for another */
void queue_remove(struct store_tx *, const struct item *);
void running_put(struct store_tx *, const struct item *, uint64_t lease_ms);
void running_remove(struct store_tx *, const struct item *); /* frees its slots */
int queue_rebuild(struct store *, struct err *); /* the scheduler from the indexes */
uint64_t queue_number(const struct change *); /* its place within its lane and level */
void key_of_ready(struct key *, const struct change *);
void lane_of(const struct change *, unsigned char out[LANE_BYTES]);

/* -- store_change.c */
int op_change_add(struct store_tx *, struct op *);
/* Live: ended at once, or marked to be.  The item stays the caller's. */
void change_cancel(struct store_tx *, struct item *, struct op *);
/* QUEUED as if it had never run, with a new number; the indexes are the caller's. */
void change_begin_again(struct store_tx *, struct item *);
/* Its record; the indexes are gone. */
void change_forget(struct store_tx *, const struct item *);
int item_find_running(struct store_tx *, const char *id, struct item *out, struct op *);
/* user_id NULL: whose it is does not matter.  Another's is -ENOENT. */
int
item_find(struct store_tx *, const char *user_id, const char *id, struct item *out, struct op *);
int
item_result(struct store_tx *, struct item *, struct op *); /* 0; the change becomes the result */
/* Between PENDING and QUEUED, or QUEUED for another time; the paths stay as they are. */
void item_settle(struct store_tx *, struct item *, enum change_state, uint64_t not_before_ms,
    const char *mount_id);
/* All its accounts are there and the user's, or -ENOENT. */
int accounts_check(struct store_tx *, const struct change *, const struct id *user, struct op *);
int mount_check(const char *mount_id, struct op *);

/* -- store_tree.c: a tree's children are in no index of those that are listed, counted or kept as
   history, but in DB_CHILDREN; those that end well are dropped, and counted here. */
#define TREE_ASLEEP UINT64_MAX
struct tree_record { /* value of DB_TREES */
	uint64_t entries, bytes_total; /* found */
	uint64_t done, bytes_done;
	uint64_t live, failed; /* records there are */
	uint64_t lost; /* failed, and without a record */
	uint64_t anew; /* 1: it is listed again from the start: what failed before does not count */
	uint64_t wake; /* parked: goes on when so many are live; TREE_ASLEEP: it is not parked, or
			  is queued */
};
struct tree_record tree_get(struct tx *, const struct id *);
void tree_totals(struct tx *, struct item *); /* into the change */
void key_of_children(struct key *, const struct id *parent, int state); /* < 0: of all */
void index_child(struct store_tx *, const struct item *, bool add);
void tree_park(struct store_tx *, struct item *); /* RUNNING, but carried by nobody */
/* One that was live has ended, and its indexes are right: counts it, and its tree may go on. */
void child_ended(struct store_tx *, const struct item *);
void tree_cancel_children(struct store_tx *, const struct id *, struct op *);
void tree_rouse(struct store_tx *, const struct id *); /* parked: goes on when no child is live */
void tree_outcome(struct store_tx *, struct item *); /* COMPLETED becomes FAILED if a child has */
void tree_begin_again(struct store_tx *, struct item *);
unsigned tree_drop(struct store_tx *, const struct id *, unsigned max); /* how many children went */

/* -- store_checkpoint.c */
bool checkpoint_is_there(struct store_tx *, const struct id *change);
void checkpoint_drop(struct store_tx *, const struct id *change);

/* -- store_check.c */
/* The file is shorter than its last page: 0 if all that is missing is free, else -EBADMSG. */
int store_check_tail(const char *dir, uint64_t file_size, struct err *);
