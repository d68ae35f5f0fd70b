#include "daemon/store_private.h"
#include "src/clock.h"
#include "src/crash.h"
#include "src/log.h"
#include "src/paths.h"
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BATCH_MAX 1024 /* operations in one transaction: bounds how long one waits for others */
#define SPACE_MIN (1024 * 1024) /* bytes; with less a file system counts as full */

uint64_t
store_now(const struct store *s)
{
	return s->config.now != NULL ? s->config.now(s->config.now_arg) : clock_ms();
}

/* -- operations */

struct op *
op_new(op_fn run, store_done_fn done, void *arg)
{
	struct op *op = xcalloc(1, sizeof *op);

	op->run = run;
	op->done = done;
	op->arg = arg;
	op->res.next_ms = UINT64_MAX;
	return op;
}

/* Before it is run again: what it found the first time was undone. */
static void
op_reset(struct op *op)
{
	struct store_result *res = &op->res;

	change_free(res->change);
	changes_free(res->changes, res->changes_len);
	memset(res, 0, sizeof *res);
	res->next_ms = UINT64_MAX;
}

static void
op_free(struct op *op)
{
	op_reset(op);
	change_free(op->change);
	user_free(op->user);
	account_record_free(op->account);
	buf_free(&op->was);
	walk_batch_free(op->batch);
	free(op->user_id);
	json_decref(op->json);
	free(op->id);
	free(op->mount_id);
	free(op->text);
	free(op);
}

void
op_add_change(struct op *op, struct change *c)
{
	struct store_result *res = &op->res;

	if ((res->changes_len & (res->changes_len - 1)) == 0)
		res->changes = xrealloc(
		    res->changes, MAX(res->changes_len * 2, (size_t)1), sizeof(struct change *));
	res->changes[res->changes_len++] = c;
}

int
op_fail(struct op *op, int code, const char *fmt, ...)
{
	CLEANUP(cleanup_free) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	return err_set(&op->res.err, code, "%s", text);
}

/* On the loop. */
static void
op_deliver(void *arg)
{
	struct op *op = arg;

	if (op->done != NULL)
		op->done(op->arg, &op->res);
	op_free(op);
}

void
op_submit(struct store *s, struct op *op)
{
	pthread_mutex_lock(&s->lock);
	assert(!s->stop);
	STAILQ_INSERT_TAIL(&s->ops, op, link);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

/* -- the store thread */

/* A write that was cut short for want of space is EIO to LMDB. */
static bool
disk_is_full(const char *dir)
{
	struct statvfs st;

	return statvfs(dir, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize < SPACE_MIN;
}

int
store_failure(const char *dir, const struct tx *tx, struct err *err)
{
	int code = lmdb_errno(tx->error);

	if (tx->err.code != 0) {
		if (err != NULL)
			*err = tx->err;
		return tx->err.code;
	}
	switch (tx->error) {
	case ENOSPC:
	case EDQUOT: return err_set(err, code, "no space left in %s; free some and retry", dir);
	case MDB_MAP_FULL:
		return err_set(
		    err, code, "the database in %s is full; set store.map_size higher", dir);
	case EROFS:
	case EACCES:
	case EPERM: return err_sys(err, code, "cannot write in %s; make it writable", dir);
	case EIO:
		if (disk_is_full(dir))
			return err_set(
			    err, -ENOSPC, "no space left in %s; free some and retry", dir);
		return err_set(err, code,
		    "the disk of %s does not work (input/output error); see the kernel's log", dir);
	case MDB_PANIC:
		return err_set(err, -EIO,
		    "the database in %s could not be written; restart the daemon when the disk "
		    "works again",
		    dir);
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_BAD_TXN:
		return err_set(err, -EBADMSG,
		    "the database in %s is damaged; run skyferryd --check-store and restore it "
		    "from a backup",
		    dir);
	default:
		return err_set(
		    err, code, "the database in %s fails: %s", dir, mdb_strerror(tx->error));
	}
}

/* With no transaction open; readers are kept out. */
int
store_map_grow(struct store *s)
{
	uint64_t size = lmdb_map_size(&s->db);
	int rc;

	pthread_mutex_lock(&s->read_lock);
	rc = mdb_env_set_mapsize(s->db.env, size * 2);
	pthread_mutex_unlock(&s->read_lock);
	if (rc == 0)
		log_info("store: the map was full, it has grown to %llu MiB",
		    (unsigned long long)(size * 2 / (1024 * 1024)));
	return rc;
}

static void
batch_count(struct store *s, const struct store_tx *t, size_t writes)
{
	unsigned i;

	pthread_mutex_lock(&s->lock);
	s->commits++;
	s->writes += writes;
	for (i = 0; i < CHANGE_STATES; i++)
		s->by_state[i] += (uint64_t)t->by_state[i];
	pthread_mutex_unlock(&s->lock);
}

static void
batch_commit(struct store *s, struct store_tx *t, size_t len)
{
	if (!t->tx.dirty) {
		mdb_txn_abort(t->tx.txn);
		return;
	}
	crash_point("store.before_commit");
	t->tx.error = mdb_txn_commit(t->tx.txn);
	if (t->tx.error != 0)
		return;
	crash_point("store.after_commit");
	s->seq = t->seq;
	batch_count(s, t, len);
}

/* All of them in one transaction, or none: 0, or LMDB's code, with why in *err. */
static int
batch_try(struct store *s, struct op **ops, size_t len, struct err *err)
{
	struct store_tx t = {.tx = {.db = &s->db}, .store = s, .now = store_now(s), .seq = s->seq};
	size_t i;

	if (s->stale && queue_rebuild(s, err) != 0)
		return EIO;
	s->stale = false;
	t.tx.error = mdb_txn_begin(s->db.env, NULL, 0, &t.tx.txn);
	if (t.tx.error != 0) {
		store_failure(s->dir, &t.tx, err);
		return t.tx.error;
	}
	for (i = 0; i < len && t.tx.error == 0; i++) {
		op_reset(ops[i]);
		ops[i]->res.code = ops[i]->run(&t, ops[i]);
	}
	if (t.seq != s->seq)
		tx_put(
		    &t.tx, DB_META, STORE_META_SEQ, strlen(STORE_META_SEQ), &t.seq, sizeof t.seq);
	if (t.tx.error == 0)
		batch_commit(s, &t, len);
	else
		mdb_txn_abort(t.tx.txn);
	if (t.tx.error == 0)
		return 0;
	store_failure(s->dir, &t.tx, err);
	/* The scheduler has seen what was undone. */
	s->stale = queue_rebuild(s, NULL) != 0;
	if (s->stale)
		log_error("store: cannot read the queue back; nothing is written until it can be");
	return t.tx.error;
}

static int
batch_try_growing(struct store *s, struct op **ops, size_t len, struct err *err)
{
	int rc;

	while ((rc = batch_try(s, ops, len, err)) == MDB_MAP_FULL) {
		if (store_map_grow(s) != 0)
			return rc;
	}
	if (rc == MDB_PANIC && !s->panicked && s->config.on_panic != NULL)
		loop_post(s->loop, s->config.on_panic, s->config.panic_arg);
	s->panicked = s->panicked || rc == MDB_PANIC;
	return rc;
}

static void
batch_run(struct store *s, struct op **ops, size_t len)
{
	struct err err = ERR_INIT;
	bool ready;
	size_t i;

	if (batch_try_growing(s, ops, len, &err) != 0) {
		/* One by one: those that can be done are, the others learn why not. */
		for (i = 0; i < len; i++) {
			if ((len == 1 || batch_try_growing(s, &ops[i], 1, &err) != 0)) {
				op_reset(ops[i]);
				ops[i]->res.code = err.code;
				ops[i]->res.err = err;
			}
		}
	}
	ready = sched_is_runnable(s->sched);
	for (i = 0; i < len; i++) {
		ops[i]->res.ready = ready;
		loop_post(s->loop, op_deliver, ops[i]);
	}
}

static void *
store_thread(void *arg)
{
	struct store *s = arg;
	struct op *ops[BATCH_MAX];
	size_t len;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		while (STAILQ_EMPTY(&s->ops) && !s->stop && !s->reconfigure)
			pthread_cond_wait(&s->wake, &s->lock);
		if (s->reconfigure)
			sched_configure(s->sched, &s->new_sched);
		s->reconfigure = false;
		for (len = 0; len < BATCH_MAX && !STAILQ_EMPTY(&s->ops); len++) {
			ops[len] = STAILQ_FIRST(&s->ops);
			STAILQ_REMOVE_HEAD(&s->ops, link);
		}
		if (len == 0 && s->stop) {
			pthread_mutex_unlock(&s->lock);
			return NULL;
		}
		pthread_mutex_unlock(&s->lock);
		if (len > 0)
			batch_run(s, ops, len);
	}
}

void
store_configure(struct store *s, const struct sched_config *config)
{
	pthread_mutex_lock(&s->lock);
	s->new_sched = *config;
	s->reconfigure = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

/* -- reading */

struct read
read_begin(struct store *s)
{
	struct read r = {.store = s, .tx = {.db = &s->db}};

	pthread_mutex_lock(&s->read_lock);
	if (s->reader == NULL)
		r.tx.error = mdb_txn_begin(s->db.env, NULL, MDB_RDONLY, &s->reader);
	else
		r.tx.error = mdb_txn_renew(s->reader);
	r.tx.txn = s->reader;
	return r;
}

void
read_end(struct read *r)
{
	if (r->store->reader != NULL)
		mdb_txn_reset(r->store->reader);
	pthread_mutex_unlock(&r->store->read_lock);
}

int
read_error(struct read *r, struct err *err)
{
	return r->tx.error != 0 ? store_failure(r->store->dir, &r->tx, err) : 0;
}

void
store_stats(struct store *s, struct store_stats *out)
{
	memset(out, 0, sizeof *out);
	pthread_mutex_lock(&s->lock);
	out->commits = s->commits;
	out->writes = s->writes;
	memcpy(out->by_state, s->by_state, sizeof out->by_state);
	pthread_mutex_unlock(&s->lock);
	/* Not while the map grows. */
	pthread_mutex_lock(&s->read_lock);
	out->map_used = lmdb_used(&s->db);
	out->map_size = lmdb_map_size(&s->db);
	pthread_mutex_unlock(&s->read_lock);
}

/* -- opening and closing */

static int
thread_start(struct store *s, struct err *err)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&s->thread, NULL, store_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return err_sys(err, -rc, "cannot start the store's thread");
	pthread_setname_np(s->thread, "store");
	return 0;
}

static void
store_free(struct store *s)
{
	if (s->reader != NULL)
		mdb_txn_abort(s->reader);
	lmdb_close(&s->db);
	sched_free(s->sched);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->read_lock);
	pthread_cond_destroy(&s->wake);
	free(s->dir);
	free(s->owner);
	free(s);
}

int
store_open(
    struct store **out, struct loop *loop, const struct store_config *config, struct err *err)
{
	struct store *s = xcalloc(1, sizeof *s);
	int code;

	s->loop = loop;
	s->config = *config;
	s->dir = xstrdup(config->dir);
	s->owner = xstrndup(config->owner != NULL ? config->owner : "", OWNER_MAX - 1);
	s->config.dir = s->dir;
	s->config.owner = s->owner;
	s->lock_fd = -1;
	s->sched = sched_new(&config->sched);
	STAILQ_INIT(&s->ops);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->read_lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	if ((code = store_open_files(s, err)) != 0 || (code = thread_start(s, err)) != 0) {
		store_free(s);
		return code;
	}
	*out = s;
	return 0;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	store_free(s);
}
