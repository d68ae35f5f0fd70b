#include "tests/unit/attempt_fixture.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

struct fixture fx;

static const struct {
	const char *id, *name;
} known[] = {
    {MEMORY_A, "memory-a"}, {MEMORY_B, "memory-b"}, {LOCAL_A, "local-a"}, {LOCAL_B, "local-b"}};

static json_t *
fixture_credentials(int i)
{
	if (i < 2)
		return json_pack("{s:s}", "server", known[i].name);
	return json_pack("{s:s, s:s}", "root", fx.roots[i - 2], "fsync", "no");
}

static void
fixture_open(int i, const struct cloud_driver *driver, json_t *credentials)
{
	struct err err = ERR_INIT;

	if (cloud_account_open(
		&fx.accounts[i], driver, known[i].id, known[i].name, credentials, &err) != 0)
		fail_msg("%s", err.msg);
	json_decref(credentials);
}

void
fixture_replace(int i, const struct cloud_driver *driver)
{
	fixture_reopen(i, driver, fixture_credentials(i));
}

void
fixture_reopen(int i, const struct cloud_driver *driver, json_t *credentials)
{
	cloud_account_unref(fx.accounts[i]);
	fixture_open(i, driver, credentials);
}

int
fixture_setup(void **state)
{
	struct cloud_runner_config config = {
	    .http = {.connect_timeout_ms = 1000, .stall_timeout_ms = 1000, .buffer = 65536},
	    .backoff_base_ms = 1,
	    .backoff_max_ms = 4,
	};
	struct err err = ERR_INIT;
	int i;

	fx = (struct fixture){.ring = 256 * 1024};
	fx.loop = loop_new("test", &err);
	fx.pool = pool_new(2, &err);
	fx.runner = cloud_runner_new(fx.loop, fx.pool, &config, &err);
	assert_non_null(fx.runner);
	fx.roots[0] = scratch_make();
	fx.roots[1] = scratch_make();
	fx.spool = scratch_make();
	for (i = 0; i < 4; i++)
		fixture_open(i, i < 2 ? &memory_driver : &local_driver, fixture_credentials(i));
	return 0;
}

static void
result_clear(void)
{
	free(fx.result.route);
	free(fx.result.route_reason);
	free(fx.result.verified);
	free(fx.result.version);
	free(fx.result.source_version);
	fx.result = (struct attempt_result){};
}

static void
drain_on_tick(evutil_socket_t fd, short what, void *arg)
{
	if (disk_calls() == 0)
		loop_stop(fx.loop);
}

/* Cancelled disk calls end by themselves. */
static void
drain_disks(void)
{
	static const struct timeval tick = {0, 1000};
	struct event *timer = event_new(loop_base(fx.loop), -1, EV_PERSIST, drain_on_tick, NULL);

	event_add(timer, &tick);
	loop_run(fx.loop);
	event_free(timer);
}

int
fixture_teardown(void **state)
{
	int i;

	drain_disks();
	result_clear();
	checkpoint_free(TAKE(fx.checkpoint));
	bucket_unref(TAKE(fx.limit));
	fx.on_note = NULL;
	fx.on_grow = NULL;
	walk_batch_free(TAKE(fx.found));
	assert_int_equal(fx.memory.used, 0);
	for (i = 0; i < 4; i++)
		cloud_account_unref(fx.accounts[i]);
	cloud_runner_free(fx.runner);
	pool_free(fx.pool);
	loop_free(fx.loop);
	memory_forget("memory-a");
	memory_forget("memory-b");
	scratch_remove(fx.roots[0]);
	scratch_remove(fx.roots[1]);
	scratch_remove(fx.spool);
	return 0;
}

struct account *
fixture_account(const char *id)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (strcmp(known[i].id, id) == 0)
			return fx.accounts[i];
	}
	fail_msg("no account %s", id);
	return NULL;
}

/* -- attempts */

static void
on_progress(void *arg, const struct copy_progress *p)
{
	fx.progress = p->done;
	if (fx.on_progress != NULL)
		fx.on_progress(&fx);
}

/* As the store does it. */
static void
on_note(void *arg, enum checkpoint_note_kind kind, const struct checkpoint *checkpoint,
    const struct upload_part *part)
{
	if (kind == CHECKPOINT_PART) {
		assert_non_null(fx.checkpoint);
		upload_parts_put(&fx.checkpoint->parts, part);
	} else {
		checkpoint_free(fx.checkpoint);
		fx.checkpoint = kind == CHECKPOINT_HEAD ? checkpoint_copy(checkpoint) : NULL;
	}
	if (kind == CHECKPOINT_HEAD)
		assert_int_equal(fx.checkpoint->parts.len, 0);
	if (fx.on_note != NULL)
		fx.on_note(&fx, kind);
	if (kind == CHECKPOINT_HEAD && fx.attempt != NULL)
		attempt_noted(fx.attempt);
}

static void
on_verified(void *arg, const struct attempt_result *so_far)
{
	assert_int_equal(so_far->code, 0);
	assert_non_null(so_far->verified);
	fx.verified++;
	if (fx.on_verified != NULL)
		fx.on_verified(&fx);
	if (fx.attempt != NULL)
		attempt_continue(fx.attempt);
}

static void
on_grow(void *arg, struct walk_batch *batch)
{
	struct walk_entry *e;
	struct attempt_growth growth = {.room = 0};

	for (e = batch->items; e < batch->items + batch->len; e++)
		walk_batch_add(fx.found, e);
	fx.found->hidden += batch->hidden;
	fx.found->end = fx.found->end || batch->end;
	if (batch->position != NULL)
		xstrset(&fx.found->position, batch->position);
	walk_batch_free(batch);
	if (fx.on_grow != NULL)
		fx.on_grow(&fx, &growth);
	if (fx.attempt != NULL)
		attempt_grown(fx.attempt, &growth);
}

static void
on_done(void *arg, const struct attempt_result *r)
{
	result_clear();
	fx.result = *r;
	fx.result.route = xstrdup_null(r->route);
	fx.result.route_reason = xstrdup_null(r->route_reason);
	fx.result.verified = xstrdup_null(r->verified);
	fx.result.version = xstrdup_null(r->version);
	fx.result.source_version = xstrdup_null(r->source_version);
	fx.attempt = NULL;
	loop_stop(fx.loop);
}

int
fixture_run(const struct change *c)
{
	static const struct attempt_handler handler = {.progress = on_progress,
	    .note = on_note,
	    .grow = on_grow,
	    .verified = on_verified,
	    .done = on_done};
	struct attempt_config config = {
	    .ring = fx.ring,
	    .spool_dir = fx.spool,
	    .memory = &fx.memory,
	    .buckets = &fx.limit,
	    .buckets_len = fx.limit != NULL,
	    .checkpoint = fx.checkpoint != NULL ? checkpoint_copy(fx.checkpoint) : NULL,
	};

	walk_batch_free(fx.found);
	fx.found = walk_batch_new();
	fx.verified = 0;
	fx.progress = 0;
	fx.attempt = attempt_start(fx.runner, c, fx.accounts, 4, &config, &handler, NULL);
	loop_run(fx.loop);
	assert_null(fx.attempt);
	return fx.result.code;
}

int
fixture_run_free(struct change *c)
{
	int code = fixture_run(c);

	change_free(c);
	return code;
}

struct change *
fixture_change(enum change_kind kind, const char *account, const char *path)
{
	struct change *c = change_new();

	snprintf(c->id, sizeof c->id, "%s", CHANGE_ID);
	c->kind = kind;
	c->attempts = 1;
	c->account_id = xstrdup(account);
	c->path = xstrdup(path);
	return c;
}

struct segment *
fixture_source(struct change *c, const char *account, const char *path)
{
	struct segment *s = change_add_segment(c, SEGMENT_ENTRY);

	s->account_id = xstrdup(account);
	s->path = xstrdup(path);
	s->length = SEGMENT_TO_END;
	return s;
}

/* -- ops */

static int op_code;

static void
on_op(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	op_code = code;
	loop_stop(fx.loop);
}

int
fixture_op(struct cloud_op *op)
{
	cloud_op_start(fx.runner, op, on_op, NULL);
	loop_run(fx.loop);
	return op_code;
}

int
fixture_simple(enum cloud_op_kind kind, const char *account, const char *path)
{
	struct cloud_op *op = cloud_op_new(fixture_account(account), kind, path);
	int code = fixture_op(op);

	cloud_op_free(op);
	return code;
}

bool
fixture_exists(const char *account, const char *path)
{
	int code = fixture_simple(CLOUD_STAT, account, path);

	assert_true(code == 0 || code == -ENOENT);
	return code == 0;
}

struct entry
fixture_stat(const char *account, const char *path)
{
	struct cloud_op *op = cloud_op_new(fixture_account(account), CLOUD_STAT, path);
	struct entry e;

	entry_init(&e);
	assert_int_equal(fixture_op(op), 0);
	entry_copy(&e, &op->entry);
	cloud_op_free(op);
	return e;
}

/* -- contents */

void
fixture_fill(unsigned char *out, unsigned seed, uint64_t offset, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint64_t at = offset + i;

		out[i] = (unsigned char)(at * 31 + (at >> 9) * 7 + seed * 101 + 1);
	}
}

void
fixture_put(const char *account, const char *path, unsigned seed, uint64_t size)
{
	struct cloud_op *op = cloud_op_new(fixture_account(account), CLOUD_PUT, path);
	struct ring *ring = ring_new(MAX(size, 1), MAX(size, 1));
	unsigned char *data = xmalloc(MAX(size, 1));

	fixture_fill(data, seed, 0, size);
	ring_put(ring, data, size);
	ring_end(ring);
	op->ring = ring;
	op->length = size;
	op->put.mtime_ns = MTIME;
	op->put.temp_id = xstrdup("fixture");
	assert_int_equal(fixture_op(op), 0);
	cloud_op_free(op);
	ring_free(ring);
	free(data);
}

void
fixture_spool(const char *name, unsigned seed, uint64_t size)
{
	CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", fx.spool, name);
	CLEANUP(cleanup_free) unsigned char *data = xmalloc(MAX(size, 1));
	CLEANUP(cleanup_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	fixture_fill(data, seed, 0, size);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
}

unsigned char *
fixture_slurp(const char *account, const char *path, uint64_t *size)
{
	struct entry e = fixture_stat(account, path);
	struct cloud_op *op = cloud_op_new(fixture_account(account), CLOUD_READ, path);
	struct ring *ring = ring_new(e.size + MIB, MIB);
	unsigned char *data = xmalloc(e.size + 1);

	*size = e.size;
	op->ring = ring;
	assert_int_equal(fixture_op(op), 0);
	assert_int_equal(ring_held(ring), e.size);
	ring_get(ring, data, e.size);
	cloud_op_free(op);
	ring_free(ring);
	entry_fini(&e);
	return data;
}

void
fixture_expect(const char *account, const char *path, unsigned seed, uint64_t size)
{
	uint64_t got_size;
	CLEANUP(cleanup_free) unsigned char *got = fixture_slurp(account, path, &got_size);
	CLEANUP(cleanup_free) unsigned char *want = xmalloc(MAX(size, 1));

	assert_int_equal(got_size, size);
	fixture_fill(want, seed, 0, size);
	assert_true(memcmp(got, want, size) == 0);
}

unsigned
fixture_temps(int root)
{
	DIR *dir = opendir(fx.roots[root]);
	struct dirent *d;
	unsigned n = 0;

	drain_disks();
	while ((d = readdir(dir)) != NULL)
		n += strncmp(d->d_name, DISK_TEMP_PREFIX, strlen(DISK_TEMP_PREFIX)) == 0;
	closedir(dir);
	return n;
}
