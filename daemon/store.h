/*
 * store: the daemon's durable state behind domain functions.  LMDB, one writer: the store thread,
 * which runs all writes that wait in one transaction and commits them together (group commit).  A
 * write function returns at once; its callback runs on the loop given at open, after the commit.
 * Reads complete at once, on the loop's thread, and last one call.
 *
 * Only store*.c knows how records are laid out: 1 byte schema version, 4 bytes CRC32C, then compact
 * JSON.
 *
 * Path order.  An accepted change takes a sequence number and notes its paths with a mode: a source
 * is read, a destination (or what is removed) written, a directory that is removed or renamed is
 * written as a tree.  Writes exclude, reads share; a tree write also excludes everything beneath.
 * Keys are account id, a hash of the directory, and a 128-bit hash of the path.  Acceptance looks
 * up the path and its ancestors and counts what must end first (only changes with a smaller number,
 * so there are no cycles); the end of a change wakes those that wait, by a reverse index: O(depth).
 * A change that reads what a failed or cancelled one should have written fails too: -ENODATA,
 * "predecessor_failed".
 *
 * Trees.  A tree's children are made in batches, with how far the listing has come in the same
 * commit; their ids are made of the tree's and their paths.  At most TREE_WINDOW are live: then the
 * tree is parked, RUNNING with nobody carrying it, until TREE_LOW are left, or none when all is
 * listed; then it is claimed again.  A child that ends well is counted and dropped, one that fails
 * is kept with the tree.  Its place in the path order is its parent's.
 */
#pragma once
#include "daemon/sched.h"
#include "src/change.h"
#include "src/checkpoint.h"
#include "src/loop.h"
#include "src/seal.h"
#include "src/walk.h"

struct store;

struct user {
	char id[37];
	char *name; /* lower case, unique: 1..64 of a-z 0-9 . _ - @ */
	char *password; /* crypt(3) hash, or NULL: no password login */
	bool admin;
	bool admin_if_first; /* store_user_add() only: becomes `admin` if there is no user yet */
	uint64_t epoch; /* grows with each new password: tokens of an earlier one are void */
	int64_t uid; /* Unix uid known over the socket, or -1 */
	unsigned weight; /* share of the queue, default 1 */
	uint64_t created_ms;
};
void user_free(struct user *);

struct account_record {
	char id[37];
	char user_id[37];
	char *name; /* unique for the user */
	char *driver;
	json_t *settings; /* the driver's fields that are not secret */
	struct buf sealed; /* all credentials (JSON), sealed with the id as associated data */
	char *status; /* "ok" or "error" */
	char *status_text;
	uint64_t created_ms, revision;
	uint64_t bandwidth; /* bytes a second at most; 0: no limit */
	unsigned request_rate; /* requests a second; 0: what its driver says */
	unsigned concurrency; /* changes, and ops of each kind, at once; 0: the setting's */
	bool held; /* its cloud refuses the credentials: its changes wait */
};
struct account_record *account_record_new(void);
void account_record_free(struct account_record *);

struct store_config {
	const char *dir; /* STATE/store; made if missing */
	uint64_t map_size; /* bytes; sparse */
	const char *owner; /* who claims: host + pid + random */
	uint64_t lease_ms;
	unsigned history_days, history_max; /* per user */
	struct sched_config sched;
	unsigned char key_check[16]; /* seal_key_check(): -EKEYREJECTED if the store was made with
					another key */
	/* On the loop, once: LMDB could not write and refuses everything until it is opened anew.
	   NULL: nobody is told. */
	void (*on_panic)(void *arg);
	void *panic_arg;
	uint64_t (*now)(void *arg); /* ms; NULL: clock_ms.  Tests inject theirs. */
	void *now_arg;
};

/* The result of a write. Everything in it is valid during the callback only, unless taken. */
struct store_result {
	int code;
	struct err err;
	struct change *change; /* CHANGE functions: as it is now; may be taken (set to NULL) */
	struct change *
	    *changes; /* claimed, released, reclaimed; failed with it; each may be taken */
	size_t changes_len;
	uint64_t next_ms; /* claim: when the next not-before falls due; UINT64_MAX: none */
	bool ready; /* something may be claimable now */
};
typedef void (*store_done_fn)(void *arg, struct store_result *);

int store_open(struct store **out, struct loop *, const struct store_config *, struct err *);
void
store_close(struct store *); /* commits what waits, then ends the thread; callbacks still run */
void store_configure(struct store *, const struct sched_config *);
/* For /health and the logs. */
struct store_stats {
	uint64_t commits, writes, map_used, map_size;
	uint64_t by_state[CHANGE_STATES];
};
void store_stats(struct store *, struct store_stats *out);
/* In a child process: walks everything; 0 if sound.  Prints what it finds to stderr. */
int store_check(const char *dir, struct err *);
int store_backup(
    const char *dir, const char *to, struct err *); /* online copy (mdb_env_copy2 compacting) */

/* -- users.  -EEXIST if the name (or uid) is taken. */
void store_user_add(struct store *, const struct user *, store_done_fn,
    void *arg); /* the first ever becomes what `admin` says */
void store_user_update(struct store *, const struct user *, store_done_fn, void *arg); /* by id */
int store_user_get(struct store *, const char *id, struct user **out, struct err *); /* -ENOENT */
int store_user_by_name(struct store *, const char *name, struct user **out, struct err *);
int store_user_by_uid(struct store *, int64_t uid, struct user **out, struct err *);
int store_users(struct store *, struct user ***out, size_t *len,
    struct err *); /* all; caller frees each and the array */

/* -- accounts.  Names are unique for a user.  Ids of users, accounts and changes are UUIDs. */
void store_account_add(
    struct store *, const struct account_record *, store_done_fn, void *arg); /* -EEXIST */
void store_account_update(struct store *, const struct account_record *, store_done_fn,
    void *arg); /* by id; revision grows; -ESTALE if it is not the one given; nothing sealed:
		   the credentials stay, as they are by then */
/* Takes the place of the sealed credentials `was`, bytes of an earlier read: -ESTALE if they are
   others by now.  It is not a new revision: whoever has the old ones goes on with them. */
void store_account_reseal(
    struct store *, const struct account_record *, const struct buf *was, store_done_fn, void *arg);
/* Status "error" with the trouble as its text, or (NULL) "ok"; held: and its changes wait.  The
   rest stays, whoever else changes it.  -ESTALE if it is not this revision any more (0: any). */
void store_account_status(struct store *, const char *user_id, const char *id, uint64_t revision,
    const char *trouble, bool held, store_done_fn, void *arg);
/* -EBUSY while live changes use it. */
void
store_account_remove(struct store *, const char *user_id, const char *id, store_done_fn, void *arg);
int store_account_get(struct store *, const char *id, struct account_record **out, struct err *);
int store_account_by_name(struct store *, const char *user_id, const char *name,
    struct account_record **out, struct err *);
/* The id of the one that has `ref` for its name, or else for its id, and is this user's; -ENOENT.
   Its record is not read: this is asked for every change. */
int store_account_resolve(
    struct store *, const char *user_id, const char *ref, char out[37], struct err *);
int store_accounts(
    struct store *, const char *user_id, struct account_record ***out, size_t *len, struct err *);

/* -- changes */
/* Accepts it: state QUEUED (or PENDING, for a pending write), number and blockers are set;
   result->change. An id that exists: the same user gets the existing change back (idempotent), code
   0.  -ENOENT if one of its accounts is not the user's; -EILSEQ for a path that is not UTF-8. */
void store_change_add(struct store *, const struct change *, store_done_fn, void *arg);
/* A pending write: makes it, or replaces the path, segments and attributes of the one that has its
   id. -EBUSY unless that is PENDING; the user must match. */
void store_pending_put(struct store *, const struct change *, store_done_fn, void *arg);
/* PENDING (or QUEUED and not begun: a repetition) -> QUEUED, not before `not_before_ms`; -EBUSY
 * otherwise. */
void store_pending_commit(struct store *, const char *user_id, const char *id,
    uint64_t not_before_ms, store_done_fn, void *arg);
/* QUEUED, never claimed -> PENDING of that mount again; -EBUSY if it is running or has ended. */
void store_pending_hold(struct store *, const char *user_id, const char *id, const char *mount_id,
    store_done_fn, void *arg);
/* All PENDING of the mount -> QUEUED (its lease has ended); result->changes. */
void store_pending_release(struct store *, const char *mount_id, store_done_fn, void *arg);
/* Distinct mount ids that own PENDING changes (at start, to wait for their leases). */
int store_pending_mounts(struct store *, char ***out, size_t *len, struct err *);

/* Up to `max` changes become RUNNING, owned, with a lease. */
void store_claim(struct store *, unsigned max, store_done_fn, void *arg);
/* How many changes of this user from one account (NULL: none but the other) to another may be
   claimed at once; 0: as many as the settings say. */
void store_lane_limit(
    struct store *, const char *user_id, const char *source, const char *destination, unsigned max);
/* Those of this owner get a new lease. */
void store_renew(struct store *, store_done_fn, void *arg);
/* RUNNING ones whose lease has ended (all with `force`: at start, one daemon per state directory)
   go back to QUEUED: result->changes.  An attempt that was cut off does not count. */
void store_reclaim(struct store *, bool force, store_done_fn, void *arg);
/* phase = VERIFIED, with route, verified, result_version, bytes and the segments' versions of
 *change (what was copied: only that may be removed after a restart). */
void store_change_verified(struct store *, const struct change *, store_done_fn, void *arg);
/* The end of an attempt, from *change: state COMPLETED, FAILED or CANCELLED (wakes, fails
   dependants: in result->changes), or QUEUED with not_before_ms and attempts (backoff). */
void store_change_finish(struct store *, const struct change *, store_done_fn, void *arg);
/* PENDING or QUEUED: CANCELLED at once.  RUNNING (or QUEUED again after its attempt was cut off, so
   that something may be left to sweep): `cancel` is set and result->change says so.  -EALREADY if
   it has ended. */
void
store_change_cancel(struct store *, const char *user_id, const char *id, store_done_fn, void *arg);
/* The same, and FAILED: CANCELLED at once, so that its spool files are needed no more. */
void
store_change_dismiss(struct store *, const char *user_id, const char *id, store_done_fn, void *arg);
/* FAILED or CANCELLED -> QUEUED at the end of the order, attempts = 0; -EALREADY otherwise. */
void
store_change_retry(struct store *, const char *user_id, const char *id, store_done_fn, void *arg);
/* Its bandwidth, also while it runs; -EALREADY if it has ended. */
void store_change_limit(struct store *, const char *user_id, const char *id, uint64_t bandwidth,
    store_done_fn, void *arg);
/* Ended ones beyond history_days / history_max (0: no bound) are dropped, a bounded number a call;
   result->next_ms is the present if there are more, else UINT64_MAX. */
void store_expire(struct store *, store_done_fn, void *arg);

/* -- trees.  Eight times as many children as changes run by default: while half of them are carried
   out there is time to list the next thousand, and a tree costs some MiB however large it is. */
#define TREE_WINDOW 2048
#define TREE_LOW    (TREE_WINDOW / 2)
/* How many children it may have beside those that are live. */
uint64_t store_tree_room(const struct change *tree);
/* Of a tree that runs here: makes children of these, and those that failed before a retry are tried
   again; result->change.  The batch is taken. */
void store_tree_grow(struct store *, const char *id, struct walk_batch *, store_done_fn, void *arg);
/* The end of a tree's attempt, whose children go on. */
void store_tree_park(struct store *, const char *id, store_done_fn, void *arg);

/* -- checkpoints: of a change that runs here (-ESTALE otherwise).  They stay when it fails or is
   cancelled, until they are dropped: then nothing is left at the cloud. */
void store_checkpoint_head(struct store *, const char *id, const struct checkpoint *, store_done_fn,
    void *arg); /* without its parts, and those that were there are gone */
void store_checkpoint_part(
    struct store *, const char *id, const struct upload_part *, store_done_fn, void *arg);
void store_checkpoint_drop(struct store *, const char *id, store_done_fn, void *arg); /* of any */
/* -ENOENT if it has none, or none that can be read. */
int store_checkpoint_get(struct store *, const char *id, struct checkpoint **out, struct err *);
/* Changes that have ended and have one; at most `max`, in the order of their ids after `after`
   (NULL: the first ones). */
int store_checkpoints_left(
    struct store *, const char *after, size_t max, struct change ***out, size_t *len, struct err *);

int store_change_get(struct store *, const char *id, struct change **out, struct err *);
struct store_query {
	const char *user_id; /* required */
	const char *parent; /* only this tree's children, in the order they were found; NULL: all
			       that are no children */
	unsigned states; /* bits 1 << state; 0: all */
	unsigned kinds; /* bits 1 << kind; 0: all */
	enum { STORE_BY_CREATED, STORE_BY_PRIORITY, STORE_BY_STATE, STORE_BY_FINISHED } sort;
	bool descending;
	size_t offset, limit; /* limit <= 1000 */
};
/* *total: how many match (counted from per-state indexes; with kinds, an upper bound is not enough:
 * exact). */
int store_changes(struct store *, const struct store_query *, struct change ***out, size_t *len,
    uint64_t *total, struct err *);
/* Live and failed-and-undismissed changes that touch names directly in `dir` of the account (as
   source of a move or removal, or as destination), for the mount's overlay; at most `max`, -E2BIG
   beyond. */
int store_changes_in(struct store *, const char *user_id, const char *account_id, const char *dir,
    size_t max, struct change ***out, size_t *len, struct err *);
/* Is this spool file named by a change that still needs it (live or failed)? */
int
store_spool_used(struct store *, const char *user_id, const char *file, bool *out, struct err *);
void changes_free(struct change **, size_t len);
