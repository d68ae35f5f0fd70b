#include "daemon/store_path.h"
#include "src/paths.h"
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAULTS_SHOWN 50

/* -- in a child: a damaged file ends whoever reads it by SIGBUS, SIGSEGV or abort */

typedef int (*child_fn)(const char *dir, void *arg); /* exit status */

static int
child_run(const char *dir, child_fn fn, void *arg, struct err *err)
{
	static const int deaths[] = {SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL};
	struct rlimit none = {0, 0};
	int status;
	pid_t pid;
	size_t i;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return err_sys(err, -errno, "cannot start the check of %s", dir);
	if (pid == 0) {
		/* Its death is the report: nobody's handler may hold it up. */
		for (i = 0; i < ARRAY_LEN(deaths); i++)
			signal(deaths[i], SIG_DFL);
		setrlimit(RLIMIT_CORE, &none);
		_exit(fn(dir, arg));
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_sys(err, -errno, "the check of %s was lost", dir);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(err, -EBADMSG,
		    "the database in %s is damaged: reading it ended with signal %d (%s); restore "
		    "it from a backup",
		    dir, WTERMSIG(status), strsignal(WTERMSIG(status)));
	return err_set(
	    err, -EBADMSG, "the database in %s is damaged; restore it from a backup", dir);
}

/* -- the end of the file */

/* Pages that were given back before they were ever written may lie beyond the end. */
static bool
tail_is_free(struct lmdb *db, uint64_t file_size)
{
	struct tx tx = {.db = db};
	struct tx_cursor c = {.tx = &tx};
	uint64_t first, missing, freed = 0;
	MDB_stat stat;
	size_t *pages, i;
	bool more, sound = true;

	if (mdb_env_stat(db->env, &stat) != 0 ||
	    mdb_txn_begin(db->env, NULL, MDB_RDONLY, &tx.txn) != 0)
		return false;
	first = file_size / stat.ms_psize;
	missing = lmdb_used(db) / stat.ms_psize - first;
	/* Database 0 of LMDB: transaction -> pages that are free since, the count in front. */
	tx.error = mdb_cursor_open(tx.txn, 0, &c.cursor);
	for (more = tx_cursor_move(&c, MDB_FIRST); more && sound;
	     more = tx_cursor_move(&c, MDB_NEXT)) {
		pages = c.val.mv_data;
		sound = c.val.mv_size >= sizeof *pages && pages[0] < c.val.mv_size / sizeof *pages;
		for (i = 1; sound && i <= pages[0]; i++)
			freed += pages[i] >= first;
	}
	tx_cursor_close(&c);
	mdb_txn_abort(tx.txn);
	return sound && tx.error == 0 && freed == missing;
}

static int
tail_child(const char *dir, void *arg)
{
	struct lmdb db;

	if (lmdb_open(&db, dir, 0, true, NULL) != 0)
		return 1;
	return tail_is_free(&db, *(uint64_t *)arg) ? 0 : 1;
}

int
store_check_tail(const char *dir, uint64_t file_size, struct err *err)
{
	if (child_run(dir, tail_child, &file_size, NULL) == 0)
		return 0;
	return err_set(err, -EBADMSG,
	    "the database %s/data.mdb is truncated (%llu bytes); restore it from a backup", dir,
	    (unsigned long long)file_size);
}

/* -- everything */

struct check {
	struct tx *tx;
	unsigned faults;
	/* What the records say there must be. */
	uint64_t changes, ended, running, pending, queued, notes, beneath, trees, uses, spool;
	uint64_t children, parents, live, failed;
	uint64_t users, uids, accounts;
	const struct note *note; /* being looked at */
	const struct id *self;
};

static void PRINTF(2, 3) fault(struct check *k, const char *fmt, ...)
{
	va_list ap;

	if (++k->faults > FAULTS_SHOWN)
		return;
	fputs("check: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static bool
has(struct check *k, enum db db, const struct key *key)
{
	MDB_val val;

	return tx_get(k->tx, db, key->b, key->len, &val);
}

static void
check_trees(void *arg, const struct path_key *key)
{
	struct check *k = arg;
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(k->tx, DB_PATHS);
	struct path_note from = {.mode = PATH_TREE}, found;
	bool more;

	k->beneath++;
	if (tx_count(k->tx, DB_BENEATH, key->b, sizeof key->b) == 0)
		fault(k, "an ancestor of '%s' has no count in 'beneath'", k->note->path);
	for (more = tx_cursor_seek_dup(&c, key->b, sizeof key->b, &from, sizeof from); more;
	     more = tx_cursor_move(&c, MDB_NEXT_DUP)) {
		memcpy(&found, c.val.mv_data, MIN(c.val.mv_size, sizeof found));
		k->trees += key_u64(found.seq) > k->note->seq &&
		    memcmp(&found.change, k->self, sizeof found.change) != 0;
	}
}

static void
check_notes(struct check *k, const struct item *it)
{
	struct note *notes = NULL;
	struct path_note from, found;
	size_t i, len = notes_of(it, &notes);
	uint64_t seq;

	for (i = 0; i < len; i++) {
		CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(k->tx, DB_PATHS);
		bool there;

		seq = htobe64(notes[i].seq);
		memset(&from, 0, sizeof from);
		from.mode = (unsigned char)notes[i].mode;
		memcpy(from.seq, &seq, sizeof from.seq);
		from.change = it->id;
		there = tx_cursor_seek_dup(
		    &c, notes[i].keys->b, sizeof notes[i].keys->b, &from, sizeof from);
		if (there)
			memcpy(&found, c.val.mv_data, MIN(c.val.mv_size, sizeof found));
		if (!there || memcmp(&found, &from, offsetof(struct path_note, flags)) != 0)
			fault(k, "%s: its note of '%s' is missing", it->c->id, notes[i].path);
		k->note = &notes[i];
		k->self = &it->id;
		note_ancestors(&notes[i], check_trees, k);
	}
	k->notes += len;
	free(notes);
}

static void
check_queue(struct check *k, const struct item *it)
{
	const struct change *c = it->c;
	bool ready, later;
	struct key key;

	key_of_ready(&key, c);
	ready = has(k, DB_READY, &key);
	key_reset(&key);
	key_add_u64(&key, c->not_before_ms);
	key_add_u64(&key, queue_number(c));
	later = has(k, DB_LATER, &key);
	if (c->blockers != 0 ? ready || later : ready == later)
		fault(k, "%s: it is %s, but in %s queue", c->id,
		    c->blockers != 0 ? "waiting" : "queued",
		    ready && later       ? "each"
			: ready || later ? "a"
					 : "no");
	k->queued += c->blockers == 0;
}

static void
check_segments(struct check *k, const struct change *c)
{
	size_t i;

	for (i = 0; i < c->segments_len; i++) {
		k->uses += c->segments[i].kind == SEGMENT_ENTRY && change_is_live(c);
		k->spool += c->segments[i].kind == SEGMENT_SPOOL && change_holds_spool(c);
	}
	k->uses += change_is_live(c);
}

static void
check_listed(struct check *k, const struct item *it)
{
	const struct change *c = it->c;
	struct key key;

	k->changes++;
	key_reset(&key);
	key_add(&key, it->user.b, ID_BYTES);
	key_add_u8(&key, c->state);
	key_add_u8(&key, c->priority);
	key_add_u64(&key, it->order);
	if (!has(k, DB_LISTED, &key))
		fault(k, "%s: it is not listed", c->id);
	key_reset(&key);
	key_add(&key, it->user.b, ID_BYTES);
	key_add_u64(&key, c->finished_ms);
	key_add_u64(&key, it->order);
	if (!change_is_live(c) && !has(k, DB_ENDED, &key))
		fault(k, "%s: it has ended, but is not in the history", c->id);
	k->ended += !change_is_live(c);
}

static void
check_of_tree(struct check *k, const struct item *it)
{
	const struct change *c = it->c;
	struct id parent;
	struct key key;
	MDB_val val;

	k->children++;
	k->live += change_is_live(c);
	k->failed += c->state == CHANGE_FAILED;
	if (!id_parse(&parent, c->parent) || !tx_get(k->tx, DB_CHANGES, parent.b, ID_BYTES, &val)) {
		fault(k, "%s: its tree '%s' is not there", c->id, c->parent);
		return;
	}
	key_of_children(&key, &parent, (int)c->state);
	key_add_u64(&key, it->order);
	if (!has(k, DB_CHILDREN, &key))
		fault(k, "%s: it is not among the children of its tree", c->id);
}

/* Parked, it waits for children, or is claimable. */
static void
check_tree(struct check *k, const struct item *it)
{
	struct tree_record r = tree_get(k->tx, &it->id);
	struct key key;

	key_reset(&key);
	key_add(&key, it->id.b, ID_BYTES);
	k->parents += has(k, DB_TREES, &key);
	if (r.wake != TREE_ASLEEP && (!change_is_parked(it->c) || r.live <= r.wake))
		fault(k, "%s: it waits for children, but should not", it->c->id);
	if (r.wake == TREE_ASLEEP && change_is_parked(it->c))
		check_queue(k, it);
}

static void
check_change(struct check *k, const struct item *it)
{
	const struct change *c = it->c;
	struct key key;

	if (c->parent[0] != '\0')
		check_of_tree(k, it);
	else
		check_listed(k, it);
	if (c->kind == CHANGE_TREE)
		check_tree(k, it);
	key_reset(&key);
	key_add(&key, it->id.b, ID_BYTES);
	if (has(k, DB_RUNNING, &key) != (c->state == CHANGE_RUNNING && !change_is_parked(c)))
		fault(k, "%s: it is %s, but 'running' says otherwise", c->id,
		    change_state_name(c->state));
	k->running += c->state == CHANGE_RUNNING && !change_is_parked(c);
	k->pending += c->state == CHANGE_PENDING;
	check_segments(k, c);
	if (change_is_live(c))
		check_notes(k, it);
	else if (c->blockers != 0)
		fault(k, "%s: it has ended, but waits", c->id);
	if (c->state == CHANGE_QUEUED)
		check_queue(k, it);
}

static void
check_records(struct check *k, enum db db)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(k->tx, db);
	struct account_record *account;
	struct err err = ERR_INIT;
	struct user *user;
	struct item it;
	struct id id;
	bool more;
	int code;

	for (more = tx_cursor_move(&c, MDB_FIRST); more; more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.key.mv_size != ID_BYTES) {
			fault(k, "a key of %zu bytes in '%s'", c.key.mv_size, lmdb_name(db));
			continue;
		}
		memcpy(id.b, c.key.mv_data, ID_BYTES);
		if (db == DB_CHANGES && (code = item_load(k->tx, &id, &it, &err)) == 0) {
			check_change(k, &it);
			item_fini(&it);
		} else if (db == DB_USERS && (code = record_user(k->tx, &id, &user, &err)) == 0) {
			k->users++;
			k->uids += user->uid >= 0;
			user_free(user);
		} else if (db == DB_ACCOUNTS &&
		    (code = record_account(k->tx, &id, &account, &err)) == 0) {
			k->accounts++;
			account_record_free(account);
		} else {
			fault(k, "%s", err_text(&err));
		}
	}
}

static uint64_t
entries(struct check *k, enum db db)
{
	MDB_stat stat;

	return mdb_stat(k->tx->txn, k->tx->db->dbi[db], &stat) == 0 ? stat.ms_entries : 0;
}

/* The sum of 8 bytes at `at` of each value. */
static uint64_t
sum(struct check *k, enum db db, size_t at)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(k->tx, db);
	uint64_t total = 0, n;
	bool more;

	for (more = tx_cursor_move(&c, MDB_FIRST); more; more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.val.mv_size < at + sizeof n)
			continue;
		memcpy(&n, (char *)c.val.mv_data + at, sizeof n);
		total += n;
	}
	return total;
}

static uint64_t
valid_wakes(struct check *k)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(k->tx, DB_WAKES);
	uint64_t total = 0, taken;
	struct wake wake;
	bool more;

	for (more = tx_cursor_move(&c, MDB_FIRST); more; more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.val.mv_size != sizeof wake)
			continue;
		memcpy(&wake, c.val.mv_data, sizeof wake);
		total +=
		    waiting_count(k->tx, &wake.waiter, &taken) != 0 && taken == key_u64(wake.taken);
	}
	return total;
}

static void
check_equal(struct check *k, const char *what, uint64_t is, uint64_t must)
{
	if (is != must)
		fault(k, "%s: %llu, the records say %llu", what, (unsigned long long)is,
		    (unsigned long long)must);
}

static void
check_all(struct check *k)
{
	check_records(k, DB_USERS);
	check_records(k, DB_ACCOUNTS);
	check_records(k, DB_CHANGES);
	check_equal(k, "users by name", entries(k, DB_USERS_BY_NAME), k->users);
	check_equal(k, "users by uid", entries(k, DB_USERS_BY_UID), k->uids);
	check_equal(k, "accounts by name", entries(k, DB_ACCOUNTS_BY_NAME), k->accounts);
	check_equal(k, "accounts that can be used", entries(k, DB_ACCOUNT_USE), k->accounts);
	check_equal(k, "listed", entries(k, DB_LISTED), k->changes);
	check_equal(k, "counted", sum(k, DB_COUNTS, 0), k->changes);
	check_equal(k, "in the history", entries(k, DB_ENDED), k->ended);
	check_equal(k, "children", entries(k, DB_CHILDREN), k->children);
	check_equal(k, "trees that were begun", entries(k, DB_TREES), k->parents);
	check_equal(
	    k, "live children", sum(k, DB_TREES, offsetof(struct tree_record, live)), k->live);
	check_equal(k, "failed children", sum(k, DB_TREES, offsetof(struct tree_record, failed)),
	    k->failed);
	check_equal(k, "running", entries(k, DB_RUNNING), k->running);
	check_equal(k, "pending", entries(k, DB_PENDING), k->pending);
	check_equal(k, "claimable", entries(k, DB_READY) + entries(k, DB_LATER), k->queued);
	check_equal(k, "notes of paths", entries(k, DB_PATHS), k->notes);
	check_equal(k, "notes beneath", sum(k, DB_BENEATH, 0), k->beneath);
	check_equal(k, "waits", sum(k, DB_WAITING, offsetof(struct waiting, count)),
	    valid_wakes(k) + k->trees);
	check_equal(k, "uses of accounts",
	    sum(k, DB_ACCOUNT_USE, offsetof(struct account_use, count)), k->uses);
	check_equal(k, "uses of spool files", sum(k, DB_SPOOL, 0), k->spool);
	if (k->tx->error != 0)
		fault(k, "LMDB: %s",
		    k->tx->err.code != 0 ? k->tx->err.msg : mdb_strerror(k->tx->error));
}

static int
check_child(const char *dir, void *arg)
{
	CLEANUP(cleanup_free) char *path = paths_join(dir, "data.mdb");
	struct err err = ERR_INIT;
	struct lmdb db;
	struct tx tx = {.db = &db};
	struct check k = {.tx = &tx};
	struct stat st;
	uint64_t size;

	if (lmdb_open(&db, dir, 0, true, &err) != 0) {
		fault(&k, "%s", err_text(&err));
		return 1;
	}
	size = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	if (size < lmdb_used(&db) && !tail_is_free(&db, size)) {
		fault(&k, "%s is truncated: it has %llu bytes of %llu", path,
		    (unsigned long long)size, (unsigned long long)lmdb_used(&db));
		return 1;
	}
	if (lmdb_open_databases(&db, true, &err) != 0) {
		fault(&k, "%s", err_text(&err));
		return 1;
	}
	if ((tx.error = mdb_txn_begin(db.env, NULL, MDB_RDONLY, &tx.txn)) == 0)
		check_all(&k);
	else
		fault(&k, "%s", mdb_strerror(tx.error));
	if (k.faults > FAULTS_SHOWN)
		fprintf(stderr, "check: %u faults more\n", k.faults - FAULTS_SHOWN);
	return k.faults == 0 ? 0 : 1;
}

int
store_check(const char *dir, struct err *err)
{
	CLEANUP(cleanup_free) char *path = paths_join(dir, "data.mdb");

	if (access(path, R_OK) != 0)
		return err_sys(err, -errno, "cannot read the database %s", path);
	return child_run(dir, check_child, NULL, err);
}

/* -- the backup */

static int
dir_sync(const char *dir)
{
	CLEANUP(cleanup_free) char *path = paths_join(dir, "data.mdb");
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(cleanup_close) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || dir_fd < 0 || fsync(fd) != 0 || fsync(dir_fd) != 0)
		return -errno;
	return 0;
}

int
store_backup(const char *dir, const char *to, struct err *err)
{
	CLEANUP(cleanup_free) char *from = paths_join(dir, "data.mdb");
	CLEANUP(cleanup_free) char *path = paths_join(to, "data.mdb");
	struct lmdb db;
	int code, rc;

	if (access(from, R_OK) != 0)
		return err_sys(err, -errno, "cannot read the database %s", from);
	if ((code = paths_make_private(to, err)) != 0)
		return code;
	if (access(path, F_OK) == 0)
		return err_set(err, -EEXIST, "%s is there already; choose another directory", path);
	if ((code = lmdb_open(&db, dir, 0, true, err)) != 0)
		return code;
	rc = mdb_env_copy2(db.env, to, MDB_CP_COMPACT);
	lmdb_close(&db);
	if (rc == 0)
		rc = -dir_sync(to);
	if (rc == 0)
		return 0;
	unlink(path);
	if (rc == ENOSPC)
		return err_set(err, -ENOSPC, "no space left in %s; free some and retry", to);
	return err_set(err, lmdb_errno(rc), "cannot copy %s to %s: %s", from, to, mdb_strerror(rc));
}
