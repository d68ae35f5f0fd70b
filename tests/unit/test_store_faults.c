/*
 * What can go wrong with the files: each fault has a clear error that names the remedy, and nothing
 * that was acknowledged is lost.
 */
#include "daemon/store_lmdb.h"
#include "src/crash.h"
#include "src/paths.h"
#include "tests/unit/store_fixture.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* LMDB's own functions, which fail when a test says so. */
static atomic_int commits_fail, reads_fail, panics;

int
mdb_txn_commit(MDB_txn *txn)
{
	int (*real)(MDB_txn *) = (int (*)(MDB_txn *))dlsym(RTLD_NEXT, "mdb_txn_commit");

	if (atomic_load(&commits_fail) == 0)
		return real(txn);
	atomic_fetch_sub(&commits_fail, 1);
	mdb_txn_abort(txn);
	return EIO;
}

int
mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out)
{
	int (*real)(MDB_env *, MDB_txn *, unsigned, MDB_txn **) =
	    (int (*)(MDB_env *, MDB_txn *, unsigned, MDB_txn **))dlsym(RTLD_NEXT, "mdb_txn_begin");

	if (atomic_load(&panics) != 0)
		return MDB_PANIC;
	if ((flags & MDB_RDONLY) == 0 || atomic_load(&reads_fail) == 0)
		return real(env, parent, flags, out);
	atomic_fetch_sub(&reads_fail, 1);
	return ENOMEM;
}

static void
assert_says(const struct err *err, const char *text)
{
	if (strstr(err->msg, text) == NULL)
		print_message("# the message is: %s\n", err->msg);
	assert_non_null(strstr(err->msg, text));
}

/* Opening fails with this code, and says this. */
static void
assert_refused(struct fixture *f, int code, const char *text)
{
	struct err err = ERR_INIT;

	assert_int_equal(fixture_open(f, &err), code);
	assert_int_equal(err.code, code);
	assert_says(&err, text);
	assert_null(f->s);
}

static char *
data_path(struct fixture *f)
{
	return paths_join(f->dir, "data.mdb");
}

static uint64_t
data_size(struct fixture *f)
{
	CLEANUP(cleanup_free) char *path = data_path(f);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static void
data_truncate(struct fixture *f, uint64_t size)
{
	CLEANUP(cleanup_free) char *path = data_path(f);

	assert_int_equal(truncate(path, (off_t)size), 0);
}

static void
add_many(struct fixture *f, unsigned len, int expected)
{
	struct change *c;
	char path[200];
	unsigned i;

	for (i = 0; i < len; i++) {
		snprintf(path, sizeof path, "a directory with a rather long name %0100u/%u", i, i);
		c = fixture_change(f, CHANGE_MKDIR, path);
		fixture_begin(f);
		store_change_add(f->s, c, TO(f));
		change_free(c);
	}
	assert_int_equal(fixture_wait(f)->code, expected);
}

static uint64_t
queued(struct fixture *f)
{
	struct store_stats stats;

	store_stats(f->s, &stats);
	return stats.by_state[CHANGE_QUEUED];
}

static void
test_wrong_key(void **state)
{
	struct fixture *f = *state;

	fixture_close(f);
	f->config.key_check[0] ^= 1;
	assert_refused(f, -EKEYREJECTED, "another master key; bring back the key file");
	f->config.key_check[0] ^= 1;
	assert_int_equal(fixture_open(f, NULL), 0);
}

static void
test_second_daemon(void **state)
{
	struct fixture *f = *state;
	struct store *second = NULL;
	struct err err = ERR_INIT;
	char text[64];

	assert_int_equal(store_open(&second, f->loop, &f->config, &err), -EBUSY);
	assert_null(second);
	snprintf(text, sizeof text, "another daemon (pid %ld) uses", (long)getpid());
	assert_says(&err, text);
	assert_says(&err, f->dir);
	/* The first one is none the worse. */
	add_many(f, 1, 0);
	fixture_check(f);
}

static void
test_map_full(void **state)
{
	struct fixture *f = *state;
	struct store_stats stats;

	fixture_close(f);
	f->config.map_size = 1;
	assert_int_equal(fixture_open(f, NULL), 0);
	store_stats(f->s, &stats);
	assert_true(stats.map_size <= 1024 * 1024);
	add_many(f, 3000, 0);
	assert_int_equal(queued(f), 3000);
	store_stats(f->s, &stats);
	assert_true(stats.map_used > 1024 * 1024);
	assert_true(stats.map_size >= stats.map_used);
	/* A setting lower than what there is does not matter. */
	fixture_check(f);
	add_many(f, 3000, 0);
	assert_int_equal(queued(f), 6000);
	assert_int_equal(AWAIT(f, store_claim(f->s, 10, TO(f)))->len, 10);
	fixture_check(f);
}

static void
test_truncated(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *path = data_path(f);
	struct err err = ERR_INIT;
	uint64_t size;

	add_many(f, 500, 0);
	fixture_close(f);
	size = data_size(f);
	data_truncate(f, size / 2);
	assert_refused(f, -EBADMSG, "is truncated");
	assert_int_equal(store_check(f->dir, &err), -EBADMSG);
	data_truncate(f, 5000);
	assert_refused(f, -EBADMSG, "restore it from a backup");
	data_truncate(f, 0);
	assert_refused(f, -EBADMSG, "truncated to nothing; restore it from a backup");
	assert_int_equal(data_size(f), 0);
	assert_int_equal(unlink(path), 0);
	assert_refused(f, -EBADMSG, "is gone; restore it from a backup");
	assert_int_equal(store_check(f->dir, &err), -ENOENT);
	scratch_write(path,
	    "this is no database, but long enough to be read as one .................."
	    "...........................................................");
	assert_refused(f, -EBADMSG, "not a database");
}

/* Pages that were free when the file ended are no loss. */
static void
test_free_tail(void **state)
{
	struct fixture *f = *state;
	struct lmdb db;
	MDB_stat stat;
	MDB_txn *txn;
	CLEANUP(cleanup_free) char *large = xcalloc(1, 100000);
	uint64_t used;

	add_many(f, 200, 0);
	fixture_close(f);
	assert_int_equal(lmdb_open(&db, f->dir, 0, false, NULL), 0);
	assert_int_equal(lmdb_open_databases(&db, false, NULL), 0);
	/* A large value takes pages at the end; when it goes they are free. */
	assert_int_equal(mdb_txn_begin(db.env, NULL, 0, &txn), 0);
	assert_int_equal(
	    mdb_put(txn, db.dbi[DB_META], &(MDB_val){4, "tail"}, &(MDB_val){100000, large}, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	used = lmdb_used(&db);
	assert_int_equal(mdb_env_stat(db.env, &stat), 0);
	lmdb_close(&db);
	data_truncate(f, used - stat.ms_psize);
	assert_refused(f, -EBADMSG, "is truncated");
	data_truncate(f, used);
	assert_int_equal(lmdb_open(&db, f->dir, 0, false, NULL), 0);
	assert_int_equal(lmdb_open_databases(&db, false, NULL), 0);
	assert_int_equal(mdb_txn_begin(db.env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_del(txn, db.dbi[DB_META], &(MDB_val){4, "tail"}, NULL), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	lmdb_close(&db);
	data_truncate(f, used - stat.ms_psize);
	assert_int_equal(store_check(f->dir, NULL), 0);
	assert_int_equal(fixture_open(f, NULL), 0);
	assert_int_equal(queued(f), 200);
	fixture_check(f);
}

static void
data_replace(struct fixture *f, const char *what, const char *by)
{
	CLEANUP(cleanup_free) char *path = data_path(f);
	CLEANUP(cleanup_close) int fd = open(path, O_RDWR | O_CLOEXEC);
	size_t size = (size_t)data_size(f), len = strlen(what);
	CLEANUP(cleanup_free) char *data = xmalloc(size);
	unsigned found = 0;
	char *at = data;

	assert_int_equal(pread(fd, data, size, 0), size);
	while ((at = memmem(at, size - (size_t)(at - data), what, len)) != NULL) {
		assert_int_equal(pwrite(fd, by, len, at - data), len);
		at += len;
		found++;
	}
	assert_true(found > 0);
}

static void
test_damaged_record(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_change(f, CHANGE_MKDIR, "needle"), *got = NULL, **list;
	uint64_t total;
	size_t len;
	struct err err = ERR_INIT;
	struct reply *r;
	char id[37];

	memcpy(id, c->id, sizeof id);
	c->priority = 10;
	fixture_add(f, c);
	add_many(f, 3, 0);
	fixture_close(f);
	data_replace(f, "\"needle\"", "\"noodle\"");
	assert_int_equal(store_check(f->dir, &err), -EBADMSG);
	assert_int_equal(fixture_open(f, &err), 0);
	assert_int_equal(store_change_get(f->s, id, &got, &err), -EBADMSG);
	assert_null(got);
	assert_says(&err, id);
	assert_says(&err, "its checksum is wrong");
	assert_says(&err, "--check-store");
	r = AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, -EBADMSG);
	assert_says(&r->err, id);
	/* It is set aside: the others are claimed, listed, and more can be accepted. */
	r = AWAIT(f, store_claim(f->s, 10, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->len, 3);
	assert_int_equal(store_changes(f->s, &(struct store_query){.user_id = f->user, .limit = 10},
			     &list, &len, &total, &err),
	    0);
	assert_int_equal(len, 3);
	assert_int_equal(total, 4);
	changes_free(list, len);
	add_many(f, 1, 0);
	assert_int_equal(queued(f), 2);
}

static void
test_newer_schema(void **state)
{
	struct fixture *f = *state;
	uint32_t schema = 1000;
	struct lmdb db;
	MDB_txn *txn;

	fixture_close(f);
	assert_int_equal(lmdb_open(&db, f->dir, 0, false, NULL), 0);
	assert_int_equal(lmdb_open_databases(&db, false, NULL), 0);
	assert_int_equal(mdb_txn_begin(db.env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_put(txn, db.dbi[DB_META], &(MDB_val){6, "schema"},
			     &(MDB_val){sizeof schema, &schema}, 0),
	    0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	lmdb_close(&db);
	assert_refused(f, -EOPNOTSUPP, "was made by a newer Skyferry");
}

static void
test_read_only_directory(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	uid_t uid = geteuid();
	int code;

	fixture_close(f);
	assert_int_equal(chmod(f->dir, 0500), 0);
	/* Root may write everywhere: become somebody who owns the directory, and only that. */
	if (uid == 0) {
		CLEANUP(cleanup_free) char *lock = paths_join(f->dir, "skyferryd.lock");

		assert_int_equal(chown(f->scratch, 65534, 65534), 0);
		assert_int_equal(chown(f->dir, 65534, 65534), 0);
		assert_int_equal(chmod(lock, 0444), 0);
		assert_int_equal(seteuid(65534), 0);
	} else {
		CLEANUP(cleanup_free) char *lock = paths_join(f->dir, "skyferryd.lock");

		assert_int_equal(chmod(lock, 0444), 0);
	}
	code = fixture_open(f, &err);
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(code, -EACCES);
	assert_says(&err, "cannot write in");
	assert_says(&err, "make it writable");
	assert_int_equal(chmod(f->dir, 0700), 0);
}

/* The file cannot grow: writes fail, and go on when it can. */
static void
test_no_room(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, small;
	uint64_t before;
	struct reply *r;
	unsigned i;

	add_many(f, 100, 0);
	before = queued(f);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = data_size(f);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (i = 0; i < 200; i++) {
		struct change *c = fixture_change(f, CHANGE_MKDIR, "d");

		r = AWAIT(f, store_change_add(f->s, c, TO(f)));
		change_free(c);
		if (r->code != 0)
			break;
		before++;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_not_equal(r->code, 0);
	assert_true(r->err.msg[0] != '\0');
	assert_int_equal(queued(f), before);
	add_many(f, 10, 0);
	assert_int_equal(queued(f), before + 10);
	r = AWAIT(f, store_claim(f->s, 5, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->len, 5);
	fixture_check(f);
	assert_int_equal(queued(f), before + 5);
}

/* In a child: how many readers are there whose process is gone; they are forgotten by looking. */
static int
dead_readers(struct fixture *f)
{
	struct lmdb db;
	int dead, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (lmdb_open(&db, f->dir, 0, true, NULL) != 0 ||
		    mdb_reader_check(db.env, &dead) != 0)
			_exit(255);
		_exit(dead);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A process that reads (a backup) and is killed. */
static void
reader_die(struct fixture *f)
{
	struct lmdb db;
	MDB_txn *txn;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (lmdb_open(&db, f->dir, 0, true, NULL) != 0 ||
		    mdb_txn_begin(db.env, NULL, MDB_RDONLY, &txn) != 0)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void
test_dead_reader(void **state)
{
	struct fixture *f = *state;

	add_many(f, 1, 0);
	reader_die(f);
	assert_int_equal(dead_readers(f), 1);
	reader_die(f);
	assert_int_equal(AWAIT(f, store_expire(f->s, TO(f)))->code, 0);
	assert_int_equal(dead_readers(f), 0);
}

/* -- a crash before or after a commit, as kill -9 would */

struct crash {
	struct fixture *f;
	int fd;
};

static void
crash_acknowledged(void *arg, struct store_result *res)
{
	struct crash *k = arg;

	if (res->code == 0 && write(k->fd, res->change->id, 36) != 36)
		_exit(1);
	loop_stop(k->f->loop);
}

/* In the child: accepts, one by one, and says what was acknowledged. */
static void
crash_child(struct fixture *f, int fd, const char *point)
{
	struct crash k = {.f = f, .fd = fd};
	unsigned i;

	setenv("SKYFERRY_CRASH", point, 1);
	crash_init();
	if (fixture_open(f, NULL) != 0)
		_exit(1);
	for (i = 0; i < 100; i++) {
		char path[16];
		struct change *c;

		snprintf(path, sizeof path, "p%u", i);
		c = fixture_change(f, CHANGE_MKDIR, path);
		store_change_add(f->s, c, crash_acknowledged, &k);
		loop_run(f->loop);
		change_free(c);
	}
	_exit(2); /* it should have ended before */
}

static void
crash_at(struct fixture *f, const char *point, unsigned acknowledged, unsigned there)
{
	struct change *got;
	uint64_t before;
	unsigned n = 0;
	int fds[2], status;
	char id[37];
	pid_t pid;

	before = queued(f);
	fixture_close(f);
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		crash_child(f, fds[1], point);
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(store_check(f->dir, NULL), 0);
	assert_int_equal(fixture_open(f, NULL), 0);
	for (id[36] = '\0'; read(fds[0], id, 36) == 36; n++) {
		assert_int_equal(store_change_get(f->s, id, &got, NULL), 0);
		change_free(got);
	}
	close(fds[0]);
	assert_int_equal(n, acknowledged);
	assert_int_equal(queued(f) - before, there);
}

static void
test_crash(void **state)
{
	struct fixture *f = *state;

	crash_at(f, "store.before_commit:5", 4, 4);
	/* The child used up ids that this process would give again. */
	for (unsigned i = 0; i < 100; i++)
		change_free(fixture_change(f, CHANGE_MKDIR, "x"));
	crash_at(f, "store.after_commit:5", 4, 5);
}

/* A commit fails, and so does reading the queue back: it is read before anything else is done. */
static void
test_queue_not_read_back(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_change(f, CHANGE_MKDIR, "first");
	char id[37];

	memcpy(id, c->id, sizeof id);
	fixture_add(f, c);
	atomic_store(&commits_fail, 1);
	atomic_store(&reads_fail, 2);
	add_many(f, 1, -EIO);
	assert_int_equal(atomic_load(&reads_fail), 1);
	add_many(f, 1, -ENOMEM);
	assert_int_equal(atomic_load(&reads_fail), 0);
	fixture_claim(f, id);
	fixture_finish(f, id, CHANGE_COMPLETED);
	fixture_check(f);
}

static void
on_panic(void *arg)
{
	++*(int *)arg;
}

static void
test_panic(void **state)
{
	struct fixture *f = *state;
	int told = 0;

	fixture_close(f);
	f->config.on_panic = on_panic;
	f->config.panic_arg = &told;
	assert_int_equal(fixture_open(f, NULL), 0);
	atomic_store(&panics, 1);
	add_many(f, 1, -EIO);
	add_many(f, 1, -EIO);
	atomic_store(&panics, 0);
	assert_int_equal(told, 1);
	f->config.on_panic = NULL;
	fixture_check(f);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(test_wrong_key),
	    test(test_second_daemon),
	    test(test_map_full),
	    test(test_truncated),
	    test(test_free_tail),
	    test(test_damaged_record),
	    test(test_newer_schema),
	    test(test_read_only_directory),
	    test(test_no_room),
	    test(test_dead_reader),
	    test(test_crash),
	    test(test_queue_not_read_back),
	    test(test_panic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
