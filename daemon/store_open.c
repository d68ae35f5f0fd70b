#include "daemon/store_private.h"
#include "src/paths.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_SIZE_MIN (256 * 1024)
#define DATA_FILE    "data.mdb"
#define LOCK_FILE    "skyferryd.lock" /* flock'ed while open; holds the pid */
#define MARK_FILE    "skyferry-store" /* a store was made here: an empty data file is a lost one */
#define META_SCHEMA  "schema"
#define META_KEY     "key_check"

static int
lock_take(struct store *s, struct err *err)
{
	CLEANUP(cleanup_free) char *path = paths_join(s->dir, LOCK_FILE);
	char text[32] = "";
	ssize_t len;

	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return err_sys(err, -errno, "cannot write in %s; make it writable", s->dir);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK)
			return err_sys(err, -errno, "cannot lock %s", path);
		len = pread(s->lock_fd, text, sizeof text - 1, 0);
		text[len > 0 ? strcspn(text, "\n") : 0] = '\0';
		return err_set(err, -EBUSY,
		    "another daemon (pid %s) uses %s; stop it, or choose another state.dir",
		    text[0] != '\0' ? text : "unknown", s->dir);
	}
	len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(s->lock_fd, 0) != 0 || pwrite(s->lock_fd, text, (size_t)len, 0) != len)
		return err_sys(err, errno != 0 ? -errno : -EIO, "cannot write %s", path);
	return 0;
}

static int
file_size(const char *dir, const char *name, uint64_t *out)
{
	CLEANUP(cleanup_free) char *path = paths_join(dir, name);
	struct stat st;

	if (stat(path, &st) != 0)
		return -errno;
	*out = (uint64_t)st.st_size;
	return 0;
}

/* Durable: made after the first commit. */
static int
mark_make(const char *dir, struct err *err)
{
	CLEANUP(cleanup_free) char *path = paths_join(dir, MARK_FILE);
	CLEANUP(cleanup_close) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(cleanup_close) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (dir_fd < 0 || fd < 0 || fsync(fd) != 0 || fsync(dir_fd) != 0)
		return err_sys(err, -errno, "cannot write %s", path);
	return 0;
}

/* An empty file is a new database to LMDB; where there was one it means that it is lost. */
static int
data_check_size(struct store *s, struct err *err)
{
	uint64_t size = 0, mark;

	if (file_size(s->dir, MARK_FILE, &mark) != 0)
		return 0;
	if (file_size(s->dir, DATA_FILE, &size) == 0 && size != 0)
		return 0;
	return err_set(err, -EBADMSG,
	    "the database %s/" DATA_FILE " is %s; restore it from a backup (or move %s away to "
	    "begin with an empty one)",
	    s->dir, file_size(s->dir, DATA_FILE, &size) == 0 ? "truncated to nothing" : "gone",
	    s->dir);
}

/* A page beyond the end of the file is a SIGBUS when it is read. */
static int
data_check_tail(struct store *s, struct err *err)
{
	CLEANUP(cleanup_free) char *path = paths_join(s->dir, DATA_FILE);
	uint64_t size = 0, used = lmdb_used(&s->db);
	int code = file_size(s->dir, DATA_FILE, &size);

	if (code != 0)
		return err_sys(err, code, "cannot read %s", path);
	if (size >= used)
		return 0;
	if ((code = store_check_tail(s->dir, size, err)) != 0)
		return code;
	if (truncate(path, (off_t)used) != 0)
		return err_sys(err, -errno, "cannot write %s", path);
	return 0;
}

static int
meta_check(struct store *s, struct tx *tx, struct err *err)
{
	uint32_t schema = STORE_SCHEMA;
	MDB_val val;

	if (!tx_get(tx, DB_META, META_SCHEMA, strlen(META_SCHEMA), &val)) {
		tx_put(tx, DB_META, META_SCHEMA, strlen(META_SCHEMA), &schema, sizeof schema);
		tx_put(tx, DB_META, META_KEY, strlen(META_KEY), s->config.key_check,
		    sizeof s->config.key_check);
		return 0;
	}
	if (val.mv_size == sizeof schema)
		memcpy(&schema, val.mv_data, sizeof schema);
	if (val.mv_size != sizeof schema || schema > STORE_SCHEMA)
		return err_set(err, -EOPNOTSUPP,
		    "the store in %s was made by a newer Skyferry (schema %u, this one knows %u); "
		    "install that version",
		    s->dir, schema, STORE_SCHEMA);
	if (!tx_get(tx, DB_META, META_KEY, strlen(META_KEY), &val) ||
	    val.mv_size != sizeof s->config.key_check ||
	    !equal_constant_time(val.mv_data, s->config.key_check, val.mv_size))
		return err_set(err, -EKEYREJECTED,
		    "the store in %s was made with another master key; bring back the key file it "
		    "was made with",
		    s->dir);
	if (tx_get(tx, DB_META, STORE_META_SEQ, strlen(STORE_META_SEQ), &val) &&
	    val.mv_size == sizeof s->seq)
		memcpy(&s->seq, val.mv_data, sizeof s->seq);
	return 0;
}

static void
counts_load(struct store *s, struct tx *tx)
{
	CLEANUP(tx_cursor_close) struct tx_cursor c = tx_cursor(tx, DB_COUNTS);
	uint64_t count;
	unsigned state;
	bool more;

	for (more = tx_cursor_move(&c, MDB_FIRST); more; more = tx_cursor_move(&c, MDB_NEXT)) {
		if (c.key.mv_size != ID_BYTES + 2 || c.val.mv_size != sizeof count)
			continue;
		state = ((unsigned char *)c.key.mv_data)[ID_BYTES];
		memcpy(&count, c.val.mv_data, sizeof count);
		if (state < CHANGE_STATES)
			s->by_state[state] += count;
	}
}

static int
meta_open(struct store *s, struct err *err)
{
	struct tx tx = {.db = &s->db};
	int code;

	if ((tx.error = mdb_txn_begin(s->db.env, NULL, 0, &tx.txn)) != 0)
		return store_failure(s->dir, &tx, err);
	code = meta_check(s, &tx, err);
	if (code == 0)
		counts_load(s, &tx);
	if (code != 0 || tx.error != 0)
		mdb_txn_abort(tx.txn);
	else
		tx.error = mdb_txn_commit(tx.txn);
	return code == 0 && tx.error != 0 ? store_failure(s->dir, &tx, err) : code;
}

int
store_open_files(struct store *s, struct err *err)
{
	uint64_t map_size = MAX(s->config.map_size, (uint64_t)MAP_SIZE_MIN);
	int code;

	if ((code = paths_make_private(s->dir, err)) != 0 || (code = lock_take(s, err)) != 0 ||
	    (code = data_check_size(s, err)) != 0 ||
	    (code = lmdb_open(&s->db, s->dir, map_size, false, err)) != 0 ||
	    (code = data_check_tail(s, err)) != 0)
		return code;
	/* A map smaller than the file is taken as just large enough: no page could be written. */
	if (lmdb_map_size(&s->db) < lmdb_used(&s->db) + MAP_SIZE_MIN / 2 && store_map_grow(s) != 0)
		return err_set(err, -ENOMEM, "cannot map the database in %s", s->dir);
	if ((code = lmdb_open_databases(&s->db, false, err)) != 0 ||
	    (code = meta_open(s, err)) != 0 || (code = mark_make(s->dir, err)) != 0)
		return code;
	return queue_rebuild(s, err);
}
