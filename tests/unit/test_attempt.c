/* The engine: every kind of change, between every pair of transports, and everything that goes
 * wrong. */
#include "tests/unit/attempt_fixture.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const pairs[][2] = {
    {MEMORY_A, MEMORY_B},
    {MEMORY_A, MEMORY_A},
    {LOCAL_A, LOCAL_B},
    {MEMORY_A, LOCAL_A},
    {LOCAL_A, MEMORY_A},
};

static struct change *
transfer(const char *from, const char *path, const char *to, const char *path2)
{
	struct change *c = fixture_change(CHANGE_TRANSFER, to, path2);

	fixture_source(c, from, path);
	return c;
}

static bool
is_native(const char *from, const char *to)
{
	return strcmp(from, to) == 0 ||
	    (fixture_account(from)->driver == &local_driver &&
		fixture_account(to)->driver == &local_driver);
}

static void
copies(void **state)
{
	static const uint64_t sizes[] = {0, 1, 100, 256 * 1024, 256 * 1024 + 1, 3 * MIB + 7};
	size_t i, j;

	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		for (j = 0; j < ARRAY_LEN(sizes); j++) {
			const char *from = pairs[i][0], *to = pairs[i][1];
			struct entry e;

			fixture_put(from, "src/a file", 1, sizes[j]);
			assert_int_equal(
			    fixture_run_free(transfer(from, "src/a file", to, "dst/b")), 0);
			assert_int_equal(fx.verified, 1);
			assert_int_equal(fx.result.bytes_done, sizes[j]);
			assert_int_equal(fx.result.bytes_total, sizes[j]);
			assert_string_equal(
			    fx.result.route, is_native(from, to) ? "native" : "relay");
			assert_int_equal(fx.result.route_reason == NULL, is_native(from, to));
			assert_non_null(strstr(fx.result.verified, "size"));
			fixture_expect(to, "dst/b", 1, sizes[j]);
			fixture_expect(from, "src/a file", 1, sizes[j]);
			e = fixture_stat(to, "dst/b");
			assert_int_equal(e.mtime_ns, MTIME);
			assert_string_equal(e.version, fx.result.version);
			entry_fini(&e);
		}
	}
	assert_int_equal(fixture_temps(0) + fixture_temps(1), 0);
}

static void
moves(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		struct change *c = transfer(pairs[i][0], "from", pairs[i][1], "to");

		fixture_put(pairs[i][0], "from", 2, 70000);
		c->move = true;
		assert_int_equal(fixture_run_free(c), 0);
		assert_int_equal(fx.verified, 1);
		fixture_expect(pairs[i][1], "to", 2, 70000);
		assert_false(fixture_exists(pairs[i][0], "from"));
		assert_non_null(fx.result.source_version);
		assert_int_equal(fixture_simple(CLOUD_REMOVE, pairs[i][1], "to"), 0);
	}
}

static void
hashes_are_compared(void **state)
{
	/* What both clouds say is compared for nothing.  A directory says nothing: the cheapest is
	 * computed. */
	fixture_put(MEMORY_A, "a", 3, 1000);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "a", MEMORY_B, "b")), 0);
	assert_string_equal(fx.result.verified, "size,md5,crc32c");
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "a", LOCAL_A, "b")), 0);
	assert_string_equal(fx.result.verified, "size,crc32c");
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, "b", MEMORY_B, "c")), 0);
	assert_string_equal(fx.result.verified, "size,crc32c");
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, "b", LOCAL_B, "c")), 0);
	assert_string_equal(fx.result.verified, "size");
}

static void
large_files_stream(void **state)
{
	CLEANUP(cleanup_free) char *big = xasprintf("%s/big", fx.roots[0]);
	CLEANUP(cleanup_free) char *back = xasprintf("%s/back", fx.roots[1]);
	CLEANUP(cleanup_free) char *same = xasprintf("cmp -s '%s' '%s'", big, back);
	CLEANUP(cleanup_free) unsigned char *piece = xmalloc(MIB);
	int fd = open(big, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	unsigned i;

	for (i = 0; i < 64; i++) {
		fixture_fill(piece, 4, i * MIB, MIB);
		assert_int_equal(write(fd, piece, MIB), MIB);
	}
	close(fd);
	fx.ring = 64 * 1024;
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, "big", MEMORY_A, "big")), 0);
	assert_int_equal(fx.result.bytes_done, 64 * MIB);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "big", LOCAL_B, "back")), 0);
	assert_int_equal(system(same), 0); /* NOLINT: both names are ours */
}

static void
ranges_become_one_file(void **state)
{
	CLEANUP(cleanup_free) unsigned char *want = xcalloc(1, 400000), *got = NULL;
	struct change *c = fixture_change(CHANGE_TRANSFER, MEMORY_B, "joined");
	struct segment *s;
	uint64_t size;

	fixture_put(MEMORY_A, "one", 5, 100000);
	fixture_put(LOCAL_A, "two", 6, 100000);
	fixture_spool("three", 7, 100000);
	s = fixture_source(c, MEMORY_A, "one");
	s->offset = 10;
	s->length = 50000;
	s = fixture_source(c, MEMORY_A, "one"); /* the same file again, to its end */
	s->offset = 60000;
	fixture_source(c, LOCAL_A, "two");
	s = change_add_segment(c, SEGMENT_ZERO);
	s->length = 99990;
	s = change_add_segment(c, SEGMENT_SPOOL);
	s->path = xstrdup("three");
	s->offset = 1;
	s->length = 99999;
	s = change_add_segment(c, SEGMENT_SPOOL);
	s->path = xstrdup("three");
	s->offset = 100000; /* nothing */
	s->length = SEGMENT_TO_END;
	c->mtime_ns = MTIME + 5;

	assert_int_equal(fixture_run_free(c), 0);
	fixture_fill(want, 5, 10, 50000);
	fixture_fill(want + 50000, 5, 60000, 40000);
	fixture_fill(want + 90000, 6, 0, 100000);
	fixture_fill(want + 289990, 7, 1, 99999);
	got = fixture_slurp(MEMORY_B, "joined", &size);
	assert_int_equal(size, 389989);
	assert_true(memcmp(got, want, size) == 0);
	assert_string_equal(fx.result.route, "relay");
	struct entry e = fixture_stat(MEMORY_B, "joined");

	assert_int_equal(e.mtime_ns, MTIME + 5);
	entry_fini(&e);
}

static void
zeros_alone(void **state)
{
	CLEANUP(cleanup_free) unsigned char *got = NULL;
	struct change *c = fixture_change(CHANGE_TRANSFER, LOCAL_A, "hole");
	uint64_t size, i;

	change_add_segment(c, SEGMENT_ZERO)->length = MIB;
	assert_int_equal(fixture_run_free(c), 0);
	got = fixture_slurp(LOCAL_A, "hole", &size);
	assert_int_equal(size, MIB);
	for (i = 0; i < size; i++)
		assert_int_equal(got[i], 0);
}

static void
a_range_beyond_the_end_is_refused(void **state)
{
	struct change *c = fixture_change(CHANGE_TRANSFER, MEMORY_B, "x");
	struct segment *s;

	fixture_put(MEMORY_A, "short", 1, 10);
	s = fixture_source(c, MEMORY_A, "short");
	s->offset = 5;
	s->length = 6;
	assert_int_equal(fixture_run_free(c), -ESTALE);
	assert_false(fixture_exists(MEMORY_B, "x"));

	c = fixture_change(CHANGE_TRANSFER, MEMORY_B, "x");
	fixture_spool("short", 1, 10);
	s = change_add_segment(c, SEGMENT_SPOOL);
	s->path = xstrdup("short");
	s->length = 11;
	assert_int_equal(fixture_run_free(c), -ESTALE);
}

static void
overwrite_is_asked_for(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		struct change *c = transfer(pairs[i][0], "s", pairs[i][1], "d");

		c->overwrite = false;
		fixture_put(pairs[i][0], "s", 1, 5000);
		fixture_put(pairs[i][1], "d", 2, 5000);
		assert_int_equal(fixture_run(c), -EEXIST);
		fixture_expect(pairs[i][1], "d", 2, 5000);
		assert_int_equal(fixture_simple(CLOUD_REMOVE, pairs[i][1], "d"), 0);
		assert_int_equal(fixture_run(c), 0);
		fixture_expect(pairs[i][1], "d", 1, 5000);

		/* A repetition takes what a lost attempt of its own wrote, and nothing else. */
		c->attempts = 2;
		assert_int_equal(fixture_run(c), 0);
		assert_int_equal(fx.verified, 1);
		fixture_put(pairs[i][1], "d", 2, 4999);
		assert_int_equal(fixture_run(c), -EEXIST);
		fixture_expect(pairs[i][1], "d", 2, 4999);
		change_free(c);
	}
}

static void
a_changed_source_is_refused(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		struct change *c = transfer(pairs[i][0], "s", pairs[i][1], "d");
		struct entry e;

		fixture_put(pairs[i][0], "s", 1, 5000);
		e = fixture_stat(pairs[i][0], "s");
		c->segments[0].version = xstrdup(e.version);
		entry_fini(&e);
		fixture_put(pairs[i][0], "s", 2, 6000);
		assert_int_equal(fixture_run_free(c), -ESTALE);
		assert_non_null(strstr(fx.result.err.msg, "'s' changed"));
		assert_false(fixture_exists(pairs[i][1], "d"));
	}
}

static void
append_to_source(struct fixture *f)
{
	CLEANUP(cleanup_free) char *path = xasprintf("%s/s", f->roots[0]);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, "more", 4), 4);
	close(fd);
}

static void
append_when_moving(struct fixture *f)
{
	if (f->progress == 0)
		return;
	f->on_progress = NULL;
	append_to_source(f);
}

static void
a_source_that_changes_while_it_is_read(void **state)
{
	fixture_put(LOCAL_A, "s", 1, 4 * MIB);
	fixture_put(MEMORY_A, "d", 2, 10);
	fx.ring = 64 * 1024;
	/* The first report of bytes comes while most of them are still to be read. */
	fx.on_progress = append_when_moving;
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, "s", MEMORY_A, "d")), -ESTALE);
	fixture_expect(MEMORY_A, "d", 2, 10); /* what was there is untouched */
}

static void
a_source_that_changes_after_the_copy_is_kept(void **state)
{
	struct change *c = transfer(LOCAL_A, "s", MEMORY_A, "d");

	c->move = true;
	fixture_put(LOCAL_A, "s", 1, 5000);
	fx.on_verified = append_to_source;
	assert_int_equal(fixture_run_free(c), -ESTALE);
	assert_non_null(strstr(fx.result.err.msg, "it was not removed"));
	assert_true(fixture_exists(LOCAL_A, "s"));
	fixture_expect(MEMORY_A, "d", 1, 5000);
}

static void
a_lost_read_goes_on(void **state)
{
	fixture_put(MEMORY_A, "s", 1, 2 * MIB);
	memory_fault("memory-a", "GET", 2, 0, 300000, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "s", LOCAL_A, "d")), 0);
	fixture_expect(LOCAL_A, "d", 1, 2 * MIB);
}

static void
a_read_that_keeps_failing_leaves_nothing(void **state)
{
	uint64_t puts = memory_requests("memory-b", "PUT");

	fixture_put(MEMORY_A, "s", 1, 1000);
	memory_fault("memory-a", "GET", 100, 500, 0, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "s", MEMORY_B, "d")), -EIO);
	assert_true(err_is_transient(fx.result.code));
	assert_false(fixture_exists(MEMORY_B, "d"));
	assert_int_equal(memory_requests("memory-b", "PUT"), puts); /* a small one is read first */
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "s", LOCAL_A, "d")), -EIO);
	assert_false(fixture_exists(LOCAL_A, "d"));
	assert_int_equal(fixture_temps(0), 0);
}

static void
a_write_that_fails_is_repeated(void **state)
{
	struct change *c = transfer(MEMORY_A, "s", MEMORY_B, "d");

	fixture_put(MEMORY_A, "s", 1, MIB);
	memory_fault("memory-b", "PUT", 1, 503, 0, 0);
	memory_fault("memory-b", "PUT", 1, 0, 100000, 0);
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_B, "d", 1, MIB);
	/* Not for ever: then it is the caller's. */
	assert_int_equal(fixture_simple(CLOUD_REMOVE, MEMORY_B, "d"), 0);
	memory_fault("memory-b", "PUT", 3, 503, 0, 0);
	assert_int_equal(fixture_run(c), -EAGAIN);
	assert_false(fixture_exists(MEMORY_B, "d"));
	c->attempts = 2;
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_B, "d", 1, MIB);
	change_free(c);
}

static void
a_lost_answer_is_found_out(void **state)
{
	struct change *c = transfer(MEMORY_A, "s", MEMORY_B, "d");

	c->overwrite = false;
	c->move = true;
	fixture_put(MEMORY_A, "s", 1, 1000);
	memory_fault("memory-b", "PUT", 1, 0, UINT64_MAX, 0); /* written, but nobody hears of it */
	assert_int_equal(fixture_run(c), 0);
	assert_string_equal(fx.result.route_reason, "an earlier attempt had written it");
	fixture_expect(MEMORY_B, "d", 1, 1000);
	assert_false(fixture_exists(MEMORY_A, "s"));
	change_free(c);
}

/* -- a source that nobody has asked for */

static void
a_small_file_costs_one_get(void **state)
{
	static const uint64_t sizes[] = {0, 1, 1000, 200000};
	uint64_t requests;
	size_t i;

	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		fixture_put(MEMORY_A, "small", 1, sizes[i]);
		requests = memory_requests("memory-a", NULL);
		assert_int_equal(fixture_run_free(transfer(MEMORY_A, "small", MEMORY_B, "d")), 0);
		assert_int_equal(memory_requests("memory-a", NULL), requests + 1);
		assert_int_equal(fx.result.bytes_done, sizes[i]);
		fixture_expect(MEMORY_B, "d", 1, sizes[i]);
	}
}

static void
a_source_that_cannot_be_read(void **state)
{
	struct change *c;
	uint64_t puts = memory_requests("memory-b", "PUT");

	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "none", MEMORY_B, "d")), -ENOENT);
	assert_int_equal(fixture_simple(CLOUD_MKDIR, MEMORY_A, "dir"), 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "dir", MEMORY_B, "d")), -EISDIR);
	fixture_put(MEMORY_A, "s", 1, 1000);
	c = transfer(MEMORY_A, "s", MEMORY_B, "d");
	c->segments[0].version = xstrdup("another one");
	assert_int_equal(fixture_run_free(c), -ESTALE);
	memory_fault("memory-a", "GET", 1, 403, 0, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "s", MEMORY_B, "d")), -EACCES);
	assert_int_equal(memory_requests("memory-b", "PUT"), puts);
	assert_false(fixture_exists(MEMORY_B, "d"));
}

static void
a_source_that_breaks_off_at_first(void **state)
{
	fixture_put(MEMORY_A, "s", 1, 200000);
	memory_fault("memory-a", "GET", 1, 503, 0, 0);
	memory_fault("memory-a", "GET", 1, 0, 0, 0);
	memory_fault("memory-a", "GET", 1, 0, 70000, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "s", MEMORY_B, "d")), 0);
	fixture_expect(MEMORY_B, "d", 1, 200000);
}

static void
point_at_the_source(struct fixture *f)
{
	json_t *credentials = json_pack("{s:s}", "server", "memory-a");
	struct err err = ERR_INIT;

	assert_int_equal(cloud_account_renew(fixture_account(MEMORY_B), credentials, &err), 0);
	json_decref(credentials);
	attempt_continue(f->attempt);
}

/* Its destination's account means the source's place by now: that may be what was written. */
static void
a_move_whose_account_is_set_elsewhere_removes_nothing(void **state)
{
	struct change *c = transfer(MEMORY_A, "same", MEMORY_B, "same");

	fixture_put(MEMORY_A, "same", 1, 1000);
	c->move = true;
	fx.on_verified = point_at_the_source;
	assert_int_equal(fixture_run_free(c), -ESTALE);
	fx.on_verified = NULL;
	fixture_expect(MEMORY_A, "same", 1, 1000);
	fixture_replace(1, &memory_driver);
}

/* -- clouds that lie */

static bool
lie(struct cloud_op *op, enum cloud_op_kind about)
{
	unsigned char *sum = op->entry.digests.sum[HASH_CRC32C];

	if (op->kind != about || !(op->entry.digests.have & HASH_BIT(HASH_CRC32C)))
		return false;
	sum[0] ^= 1;
	return true;
}

static enum cloud_step
lie_about_put(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	enum cloud_step step = memory_driver.response(op, res, err);

	lie(op, CLOUD_PUT);
	return step;
}

static enum cloud_step
lie_about_stat(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	enum cloud_step step = memory_driver.response(op, res, err);

	lie(op, CLOUD_STAT);
	return step;
}

static enum cloud_step
lie_about_read(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	enum cloud_step step = memory_driver.head(op, res, err);

	lie(op, CLOUD_READ);
	return step;
}

static void
a_wrong_hash_of_the_destination(void **state)
{
	struct cloud_driver liar = memory_driver;

	liar.response = lie_about_put;
	fixture_replace(1, &liar);
	fixture_put(MEMORY_A, "s", 1, 1000);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "s", MEMORY_B, "d")), -EBADMSG);
	assert_non_null(strstr(fx.result.err.msg, "crc32c"));
	assert_int_equal(fx.verified, 0);
	fixture_replace(1, &memory_driver);
}

static void
a_wrong_hash_of_the_source_never_arrives(void **state)
{
	struct cloud_driver liar = memory_driver;
	static const uint64_t sizes[] = {1, 1000, 2 * MIB};
	size_t i;

	liar.response = lie_about_stat;
	liar.head = lie_about_read;
	fixture_replace(0, &liar);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		fixture_put(MEMORY_A, "s", 1, sizes[i]);
		assert_int_equal(
		    fixture_run_free(transfer(MEMORY_A, "s", MEMORY_B, "d")), -EBADMSG);
		assert_false(fixture_exists(MEMORY_B, "d"));
		assert_int_equal(fixture_run_free(transfer(MEMORY_A, "s", LOCAL_A, "d")), -EBADMSG);
		assert_false(fixture_exists(LOCAL_A, "d"));
	}
	assert_int_equal(fixture_temps(0), 0);
	fixture_replace(0, &memory_driver);
}

#define LIE 5 /* bytes more than it says */

static enum cloud_step
lie_about_size(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	enum cloud_step step = memory_driver.response(op, res, err);

	if (op->kind == CLOUD_STAT && step == CLOUD_STEP_DONE)
		op->entry.size -= LIE;
	return step;
}

static enum cloud_step
ask_for_all(struct cloud_op *op, struct cloud_request *req, struct err *err)
{
	uint64_t length = op->length;
	enum cloud_step step;

	if (op->kind == CLOUD_READ)
		op->length = UINT64_MAX;
	step = memory_driver.request(op, req, err);
	op->length = length;
	return step;
}

/* The first bytes are as many as were promised: a PUT of them would be complete. */
static void
a_source_that_is_longer_than_it_says_never_arrives(void **state)
{
	struct cloud_driver liar = memory_driver;
	static const uint64_t sizes[] = {LIE + 1, 1000, 200000, 2 * MIB};
	size_t i;

	liar.response = lie_about_size;
	liar.request = ask_for_all;
	fixture_replace(0, &liar);
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		struct change *c = transfer(MEMORY_A, "s", MEMORY_B, "d");

		fixture_put(MEMORY_A, "s", 1, sizes[i]);
		c->overwrite = false; /* so it is asked for first */
		/* And breaks off, so that there is time to send what there should have been. */
		memory_fault("memory-a", "GET", 1, 0, sizes[i] - 2, 0);
		assert_int_equal(fixture_run_free(c), -ESTALE);
		assert_false(fixture_exists(MEMORY_B, "d"));
	}
	fixture_replace(0, &memory_driver);
}

static bool
copies_from_anywhere(const struct account *to, const struct account *from)
{
	return true;
}

static enum cloud_step
refuse_copy(struct cloud_op *op, struct cloud_request *req, struct err *err)
{
	if (op->kind != CLOUD_COPY)
		return memory_driver.request(op, req, err);
	err_set(err, -EACCES, "these buckets have nothing to do with each other");
	return CLOUD_STEP_FAIL;
}

static void
a_refused_native_copy_is_relayed(void **state)
{
	struct cloud_driver picky = memory_driver;

	picky.copies_from = copies_from_anywhere;
	picky.request = refuse_copy;
	fixture_replace(0, &picky);
	fixture_replace(1, &picky);
	fixture_put(MEMORY_A, "s", 1, 1000);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "s", MEMORY_B, "d")), 0);
	assert_string_equal(fx.result.route, "relay");
	assert_non_null(strstr(fx.result.route_reason, "nothing to do with each other"));
	fixture_expect(MEMORY_B, "d", 1, 1000);
	fixture_replace(0, &memory_driver);
	fixture_replace(1, &memory_driver);
}

static void
what_cannot_be(void **state)
{
	struct change *c;

	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "gone", MEMORY_B, "d")), -ENOENT);
	assert_int_equal(fixture_simple(CLOUD_MKDIR, LOCAL_A, "dir"), 0);
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, "dir", MEMORY_B, "d")), -EISDIR);
	fixture_put(MEMORY_A, "s", 1, 10);
	c = transfer(MEMORY_A, "s", MEMORY_A, "s");
	c->move = true;
	assert_int_equal(fixture_run_free(c), -EINVAL);
	fixture_expect(MEMORY_A, "s", 1, 10);
	assert_int_equal(
	    fixture_run_free(fixture_change(CHANGE_TRANSFER, MEMORY_A, "none")), -EINVAL);
	assert_int_equal(
	    fixture_run_free(transfer("00000000-0000-4000-8000-0000000000ff", "s", MEMORY_A, "d")),
	    -ENOENT);
	assert_int_equal(
	    fixture_run_free(transfer(MEMORY_A, "s", "00000000-0000-4000-8000-0000000000ff", "d")),
	    -ENOENT);
	c = transfer(MEMORY_A, "s", MEMORY_B, "d");
	c->move = true;
	c->segments[0].length = 5;
	assert_int_equal(fixture_run_free(c), -EINVAL);
	c = fixture_change(CHANGE_TRANSFER, MEMORY_A, "endless");
	change_add_segment(c, SEGMENT_ZERO)->length = SEGMENT_TO_END;
	assert_int_equal(fixture_run_free(c), -EINVAL);
}

/* Two accounts may reach one object: copied onto itself and then removed, it would be gone. */
static void
one_object_under_two_names(void **state)
{
	CLEANUP(cleanup_free) char *sub = xasprintf("%s/sub", fx.roots[0]);
	static const char *const names[][4] = {
	    {MEMORY_A, "deep/s", MEMORY_B, "deep/s"},
	    {LOCAL_A, "sub/s", LOCAL_B, "s"},
	    {LOCAL_B, "s", LOCAL_A, "sub/s"},
	};
	struct change *c;
	uint64_t puts;
	size_t i;

	fixture_reopen(1, &memory_driver, json_pack("{s:s}", "server", "memory-a"));
	assert_int_equal(fixture_simple(CLOUD_MKDIR, LOCAL_A, "sub"), 0);
	fixture_reopen(3, &local_driver, json_pack("{s:s, s:s}", "root", sub, "fsync", "no"));
	for (i = 0; i < ARRAY_LEN(names); i++) {
		const char *const *n = names[i];

		fixture_put(n[0], n[1], 1, 1000);
		puts = memory_requests("memory-a", NULL);
		c = transfer(n[0], n[1], n[2], n[3]);
		c->move = true;
		assert_int_equal(fixture_run_free(c), -EINVAL);
		assert_non_null(strstr(fx.result.err.msg, "same object"));
		assert_int_equal(fixture_run_free(transfer(n[0], n[1], n[2], n[3])), -EINVAL);
		assert_int_equal(memory_requests("memory-a", NULL), puts);
		fixture_expect(n[0], n[1], 1, 1000);
	}
	/* Other objects of the same place are others. */
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, "deep/s", MEMORY_B, "s2")), 0);
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, "sub/s", LOCAL_B, "sub/s")), 0);
}

/* -- stopping */

static int cancel_code;

static void
cancel_when_moving(struct fixture *f)
{
	if (f->progress > 0 && f->attempt != NULL) {
		f->on_progress = NULL;
		attempt_cancel(f->attempt, cancel_code);
	}
}

static void
a_cancel_sweeps(void **state)
{
	static const int codes[] = {-ECANCELED, -ESHUTDOWN};
	size_t i, j;

	fx.ring = 64 * 1024;
	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		for (j = 0; j < ARRAY_LEN(codes); j++) {
			if (is_native(pairs[i][0], pairs[i][1]))
				continue; /* may be done before it can be cancelled */
			cancel_code = codes[j];
			fixture_put(pairs[i][0], "s", 1, 8 * MIB);
			fx.on_progress = cancel_when_moving;
			assert_int_equal(
			    fixture_run_free(transfer(pairs[i][0], "s", pairs[i][1], "d")),
			    codes[j]);
			assert_false(fixture_exists(pairs[i][1], "d"));
		}
	}
	assert_int_equal(fixture_temps(0) + fixture_temps(1), 0);
}

static void
cancel_now(struct fixture *f)
{
	struct attempt *a = f->attempt;

	attempt_cancel(a, -ECANCELED);
	f->attempt = NULL; /* it is not to be continued */
}

static void
a_cancel_before_the_source_goes(void **state)
{
	struct change *c = transfer(MEMORY_A, "s", MEMORY_B, "d");

	c->move = true;
	fixture_put(MEMORY_A, "s", 1, 1000);
	fx.on_verified = cancel_now;
	assert_int_equal(fixture_run_free(c), -ECANCELED);
	assert_true(fixture_exists(MEMORY_A, "s"));
}

static void
on_late_cancel(evutil_socket_t fd, short what, void *arg)
{
	attempt_cancel(arg, -ECANCELED);
}

/* The removal has been sent when the cancel comes. */
static void
cancel_late(struct fixture *f)
{
	attempt_continue(f->attempt);
	event_base_once(loop_base(f->loop), -1, EV_TIMEOUT, on_late_cancel, f->attempt, NULL);
	f->attempt = NULL;
}

static void
a_cancel_while_the_source_goes_is_too_late(void **state)
{
	struct change *c = transfer(MEMORY_A, "s", MEMORY_B, "d");

	c->move = true;
	fixture_put(MEMORY_A, "s", 1, 1000);
	fx.on_verified = cancel_late;
	assert_int_equal(fixture_run_free(c), 0);
	assert_false(fixture_exists(MEMORY_A, "s"));
	fixture_expect(MEMORY_B, "d", 1, 1000);
}

/* Nothing of it can be read for now: that is no reason to give up what was written. */
static void
a_spool_that_cannot_be_opened_is_tried_again(void **state)
{
	struct change *c = fixture_change(CHANGE_TRANSFER, MEMORY_A, "d");
	struct segment *s = change_add_segment(c, SEGMENT_SPOOL);
	CLEANUP(cleanup_free) char *good = fx.spool;
	char loop_name[256];

	fixture_spool("file", 7, 1000);
	s->path = xstrdup("file");
	s->length = SEGMENT_TO_END;
	snprintf(loop_name, sizeof loop_name, "%s/loop", good);
	assert_int_equal(symlink("loop", loop_name), 0);
	fx.spool = loop_name; /* ELOOP */
	assert_int_not_equal(fixture_run(c), -ENOENT);
	assert_non_null(strstr(fx.result.err.msg, "cannot open the spool"));
	fx.spool = good;
	unlink(loop_name);
	assert_int_equal(fixture_run_free(c), 0);
	fixture_expect(MEMORY_A, "d", 7, 1000);
	fx.spool = TAKE(good);
}

static void
leave_temp(void)
{
	CLEANUP(cleanup_free) char *temp = xasprintf("%s/" DISK_TEMP_PREFIX CHANGE_ID, fx.roots[0]);

	scratch_write(temp, "half");
	assert_int_equal(fixture_temps(0), 1);
}

static void
what_a_crash_left_is_swept(void **state)
{
	struct change *c = transfer(MEMORY_A, "s", LOCAL_A, "d");

	fixture_put(MEMORY_A, "s", 1, 1000);
	c->repeated = true; /* cut off, not failed: it is still the first attempt */
	leave_temp();
	assert_int_equal(fixture_run(c), 0);
	assert_int_equal(fixture_temps(0), 0);

	leave_temp();
	c->cancel = true;
	assert_int_equal(fixture_run(c), -ECANCELED);
	assert_int_equal(fixture_temps(0), 0);
	change_free(c);
}

static void
a_verified_move_only_removes(void **state)
{
	struct change *c = transfer(MEMORY_A, "s", MEMORY_B, "d");
	uint64_t puts;
	struct entry e;

	c->move = true;
	c->phase = CHANGE_PHASE_VERIFIED;
	c->attempts = 2;
	c->verified = xstrdup("size,crc32c");
	fixture_put(MEMORY_A, "s", 1, 1000);
	e = fixture_stat(MEMORY_A, "s");
	c->segments[0].version = xstrdup(e.version);
	entry_fini(&e);
	puts = memory_requests("memory-b", NULL);
	assert_int_equal(fixture_run(c), 0);
	assert_string_equal(fx.result.verified, "size,crc32c");
	assert_int_equal(fx.verified, 0);
	assert_false(fixture_exists(MEMORY_A, "s"));
	assert_int_equal(fixture_run(c), 0); /* gone already: done */
	assert_int_equal(memory_requests("memory-b", NULL), puts);

	/* Something else is there now: it stays. */
	fixture_put(MEMORY_A, "s", 2, 1000);
	assert_int_equal(fixture_run(c), -ESTALE);
	fixture_expect(MEMORY_A, "s", 2, 1000);

	/* Which version was copied is not known: it is copied again. */
	xstrset(&c->segments[0].version, NULL);
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_B, "d", 2, 1000);
	assert_false(fixture_exists(MEMORY_A, "s"));
	assert_int_equal(fixture_run(c), 0);
	change_free(c);
}

/* -- the other kinds */

static void
removals(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		struct change *c = fixture_change(CHANGE_REMOVE, pairs[i][1], "x");

		fixture_put(pairs[i][1], "x", 1, 10);
		c->version = xstrdup("something else");
		assert_int_equal(fixture_run(c), -ESTALE);
		xstrset(&c->version, NULL);
		assert_int_equal(fixture_run(c), 0);
		assert_false(fixture_exists(pairs[i][1], "x"));
		assert_int_equal(fixture_run_free(c), 0); /* gone is what was wanted */
	}
}

static void
directories(void **state)
{
	static const char *const accounts[] = {MEMORY_A, LOCAL_A};
	size_t i;

	for (i = 0; i < ARRAY_LEN(accounts); i++) {
		assert_int_equal(
		    fixture_run_free(fixture_change(CHANGE_MKDIR, accounts[i], "a/b")), 0);
		assert_int_equal(
		    fixture_run_free(fixture_change(CHANGE_MKDIR, accounts[i], "a/b")), 0);
		fixture_put(accounts[i], "a/file", 1, 1);
		assert_int_equal(
		    fixture_run_free(fixture_change(CHANGE_MKDIR, accounts[i], "a/file")), -EEXIST);
		assert_int_equal(
		    fixture_run_free(fixture_change(CHANGE_RMDIR, accounts[i], "a")), -ENOTEMPTY);
		assert_int_equal(
		    fixture_run_free(fixture_change(CHANGE_RMDIR, accounts[i], "a/b")), 0);
		assert_int_equal(
		    fixture_run_free(fixture_change(CHANGE_RMDIR, accounts[i], "a/b")), 0);
	}
}

static void
attributes(void **state)
{
	static const char *const accounts[] = {MEMORY_A, LOCAL_A};
	struct cloud_driver plain = memory_driver;
	size_t i;

	for (i = 0; i < ARRAY_LEN(accounts); i++) {
		struct change *c = fixture_change(CHANGE_SETATTR, accounts[i], "x");
		struct entry e;

		fixture_put(accounts[i], "x", 1, 10);
		c->mtime_ns = MTIME + 1000;
		c->mode = 0640;
		assert_int_equal(fixture_run_free(c), 0);
		e = fixture_stat(accounts[i], "x");
		assert_int_equal(e.mtime_ns, MTIME + 1000);
		assert_int_equal(e.mode & 0777, 0640);
		entry_fini(&e);
	}
	plain.features &= ~(unsigned)CLOUD_CAN_SETATTR;
	fixture_replace(0, &plain);
	assert_int_equal(fixture_run_free(fixture_change(CHANGE_SETATTR, MEMORY_A, "x")), 0);
	assert_non_null(fx.result.route_reason);
	fixture_replace(0, &memory_driver);
}

static struct change *
rename_change(const char *account, const char *from, const char *to, bool tree)
{
	struct change *c = fixture_change(CHANGE_RENAME, account, to);

	fixture_source(c, account, from);
	c->tree = tree;
	return c;
}

static void
renames(void **state)
{
	static const char *const accounts[] = {MEMORY_A, LOCAL_A};
	size_t i;

	for (i = 0; i < ARRAY_LEN(accounts); i++) {
		struct change *c = rename_change(accounts[i], "a", "b", false);

		assert_int_equal(fixture_run(c), -ENOENT);
		fixture_put(accounts[i], "a", 1, 100);
		assert_int_equal(fixture_run(c), 0);
		fixture_expect(accounts[i], "b", 1, 100);
		assert_false(fixture_exists(accounts[i], "a"));
		c->attempts = 2; /* the crash came after it was done */
		assert_int_equal(fixture_run(c), 0);
		c->attempts = 1;
		fixture_put(accounts[i], "a", 2, 100);
		c->overwrite = false;
		assert_int_equal(fixture_run(c), -EEXIST);
		fixture_expect(accounts[i], "b", 1, 100);
		c->overwrite = true;
		c->version = xstrdup("something else");
		assert_int_equal(fixture_run_free(c), -ESTALE);

		fixture_put(accounts[i], "d/e/f", 3, 100);
		assert_int_equal(fixture_run_free(rename_change(accounts[i], "d", "g", true)), 0);
		fixture_expect(accounts[i], "g/e/f", 3, 100);
		assert_int_equal(
		    fixture_run_free(rename_change(accounts[i], "g", "g/e/h", true)), -EINVAL);
		assert_int_equal(fixture_run_free(rename_change(accounts[i], "g", "g", true)), 0);
		fixture_expect(accounts[i], "g/e/f", 3, 100);
	}
}

/* -- a cloud that cannot rename */

static struct cloud_driver poor;

static void
make_poor(void)
{
	poor = memory_driver;
	poor.features &= ~(unsigned)(CLOUD_CAN_MOVE | CLOUD_CAN_MOVE_DIR);
	fixture_replace(0, &poor);
}

static void
make_tree(void)
{
	char name[64];
	unsigned i;

	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "old/%s/f%u",
		    i % 3 == 0       ? "x"
			: i % 3 == 1 ? "x/y"
				     : "z",
		    i);
		fixture_put(MEMORY_A, name, i, 100 + i);
	}
	fixture_put(MEMORY_A, "old/top", 99, 1);
	assert_int_equal(fixture_simple(CLOUD_MKDIR, MEMORY_A, "old/empty"), 0);
}

static void
expect_tree(void)
{
	char name[64];
	unsigned i;

	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "new/%s/f%u",
		    i % 3 == 0       ? "x"
			: i % 3 == 1 ? "x/y"
				     : "z",
		    i);
		fixture_expect(MEMORY_A, name, i, 100 + i);
	}
	fixture_expect(MEMORY_A, "new/top", 99, 1);
	assert_true(fixture_exists(MEMORY_A, "new/empty"));
	assert_false(fixture_exists(MEMORY_A, "old"));
}

static void
a_poor_cloud_renames_by_copying(void **state)
{
	struct change *c;

	make_poor();
	fixture_put(MEMORY_A, "a", 1, 100);
	c = rename_change(MEMORY_A, "a", "b", false);
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_A, "b", 1, 100);
	assert_false(fixture_exists(MEMORY_A, "a"));
	c->attempts = 2;
	assert_int_equal(fixture_run_free(c), 0);

	make_tree();
	assert_int_equal(fixture_run_free(rename_change(MEMORY_A, "old", "new", true)), 0);
	expect_tree();
	make_tree();
	c = rename_change(MEMORY_A, "old", "new", true);
	c->overwrite = false;
	assert_int_equal(fixture_run_free(c), -EEXIST);
	fixture_replace(0, &memory_driver);
}

static void
a_tree_goes_on_where_it_failed(void **state)
{
	static const char *const methods[] = {"COPY", "DELETE", "GET", "MKCOL", "HEAD"};
	struct change *c;
	size_t i;

	make_poor();
	for (i = 0; i < ARRAY_LEN(methods); i++) {
		unsigned tries = 0;

		make_tree();
		c = rename_change(MEMORY_A, "old", "new", true);
		memory_fault("memory-a", methods[i], 23, 500, 0, 0);
		while (fixture_run(c) != 0) {
			assert_int_equal(fx.result.code, -EIO);
			c->attempts++;
			assert_true(++tries < 40);
		}
		assert_true(tries > 0);
		change_free(c);
		expect_tree();
		make_tree(); /* and out of the way for the next */
		assert_int_equal(fixture_run_free(rename_change(MEMORY_A, "new", "bin", true)), 0);
		assert_int_equal(
		    fixture_run_free(rename_change(MEMORY_A, "old", "bin/old", true)), 0);
		fixture_replace(0, &memory_driver);
		memory_forget("memory-a");
		make_poor();
	}
	fixture_replace(0, &memory_driver);
}

static void
cancel_tree(struct fixture *f)
{
	if (f->attempt != NULL)
		attempt_cancel(f->attempt, -ECANCELED);
}

static void
a_tree_can_be_cancelled(void **state)
{
	make_poor();
	make_tree();
	fx.on_progress = cancel_tree;
	assert_int_equal(fixture_run_free(rename_change(MEMORY_A, "old", "new", true)), -ECANCELED);
	fx.on_progress = NULL;
	/* Every file is in one of the two places: going on completes it. */
	struct change *c = rename_change(MEMORY_A, "old", "new", true);

	c->attempts = 2;
	assert_int_equal(fixture_run_free(c), 0);
	expect_tree();
	fixture_replace(0, &memory_driver);
}

/* Many files joined at once, on one account: readers and writers must not wait for each other's
 * lanes. */
#define CROWD 80

static unsigned crowd_left;

static void
crowd_on_progress(void *arg, const struct copy_progress *p)
{
}

static void
crowd_on_verified(void *arg, const struct attempt_result *so_far)
{
	struct attempt **a = arg;

	attempt_continue(*a);
}

static void
crowd_on_done(void *arg, const struct attempt_result *r)
{
	assert_int_equal(r->code, 0);
	if (--crowd_left == 0)
		loop_stop(fx.loop);
}

static void
a_crowd_does_not_block_itself(void **state)
{
	static const struct attempt_handler handler = {
	    .progress = crowd_on_progress, .verified = crowd_on_verified, .done = crowd_on_done};
	struct attempt_config config = {.ring = 64 * 1024, .spool_dir = fx.spool};
	struct attempt *attempts[CROWD];
	struct change *c;
	unsigned i;

	fixture_put(LOCAL_A, "part", 1, 300000);
	for (i = 0; i < CROWD; i++) {
		CLEANUP(cleanup_free) char *name = xasprintf("joined%u", i);

		c = fixture_change(CHANGE_TRANSFER, LOCAL_A, name);
		snprintf(c->id, sizeof c->id, "00000000-0000-4000-8000-%012u", i);
		fixture_source(c, LOCAL_A, "part");
		fixture_source(c, LOCAL_A, "part");
		fixture_source(c, LOCAL_A, "part");
		attempts[i] =
		    attempt_start(fx.runner, c, fx.accounts, 4, &config, &handler, &attempts[i]);
		change_free(c);
	}
	crowd_left = CROWD;
	loop_run(fx.loop);
	for (i = 0; i < CROWD; i++) {
		CLEANUP(cleanup_free) char *name = xasprintf("joined%u", i);
		struct entry e = fixture_stat(LOCAL_A, name);

		assert_int_equal(e.size, 900000);
		entry_fini(&e);
	}
}

/* -- bandwidth */

static void
bandwidth_is_paid_in_time(void **state)
{
	const uint64_t second = 1000000000, now = 1000 * second;
	struct bucket *b = bucket_new(1000000);

	assert_int_equal(bucket_wait(b, now), 0);
	bucket_take(b, 50000, now); /* a twentieth of a second is free */
	assert_int_equal(bucket_wait(b, now), 0);
	bucket_take(b, 1000000, now);
	assert_in_range(bucket_wait(b, now), 990, 1010);
	assert_in_range(bucket_wait(b, now + second / 2), 490, 510);
	assert_int_equal(bucket_wait(b, now + 2 * second), 0);
	/* Time that nobody used is not saved up. */
	bucket_take(b, 1000000, now + 100 * second);
	assert_in_range(bucket_wait(b, now + 100 * second), 940, 960);
	bucket_take(b, UINT64_MAX / 1000000000, now + 100 * second); /* no overflow */
	assert_true(bucket_wait(b, now + 100 * second) > 10000000);
	bucket_set_rate(b, 0);
	assert_int_equal(bucket_wait(b, now + 100 * second), 0);
	bucket_unref(b);
}

static struct event *lift_timer;

/* It has stood still; then the limit goes. */
static void
lift_the_limit(evutil_socket_t fd, short what, void *arg)
{
	assert_in_range(fx.progress, 1, 2 * MIB - 1);
	if (arg == NULL)
		bucket_set_rate(fx.limit, 0);
	else
		bucket_set_rate(arg, 0);
}

static void
a_limit_holds_back_and_can_be_changed(void **state)
{
	static const struct timeval soon = {0, 100000};
	struct bucket *of_account = bucket_new(1);
	size_t i;

	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		if (is_native(pairs[i][0], pairs[i][1]))
			continue;
		fixture_put(pairs[i][0], "from", 30, 2 * MIB);
		fx.limit = bucket_new(1);
		lift_timer = evtimer_new(loop_base(fx.loop), lift_the_limit, NULL);
		event_add(lift_timer, &soon);
		assert_int_equal(
		    fixture_run_free(transfer(pairs[i][0], "from", pairs[i][1], "to")), 0);
		assert_int_equal(bucket_rate(fx.limit), 0);
		bucket_unref(TAKE(fx.limit));
		event_free(lift_timer);
		fixture_expect(pairs[i][1], "to", 30, 2 * MIB);

		/* The same for all that passes through one account. */
		bucket_set_rate(of_account, 1);
		fixture_account(pairs[i][0])->bandwidth = of_account;
		lift_timer = evtimer_new(loop_base(fx.loop), lift_the_limit, of_account);
		event_add(lift_timer, &soon);
		assert_int_equal(
		    fixture_run_free(transfer(pairs[i][0], "from", pairs[i][1], "to2")), 0);
		assert_int_equal(bucket_rate(of_account), 0);
		event_free(lift_timer);
		fixture_account(pairs[i][0])->bandwidth = NULL;
		fixture_expect(pairs[i][1], "to2", 30, 2 * MIB);
	}
	bucket_unref(of_account);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    CASE(copies),
	    CASE(moves),
	    CASE(hashes_are_compared),
	    CASE(large_files_stream),
	    CASE(ranges_become_one_file),
	    CASE(zeros_alone),
	    CASE(a_range_beyond_the_end_is_refused),
	    CASE(overwrite_is_asked_for),
	    CASE(a_changed_source_is_refused),
	    CASE(a_source_that_changes_while_it_is_read),
	    CASE(a_source_that_changes_after_the_copy_is_kept),
	    CASE(a_lost_read_goes_on),
	    CASE(a_read_that_keeps_failing_leaves_nothing),
	    CASE(a_write_that_fails_is_repeated),
	    CASE(a_lost_answer_is_found_out),
	    CASE(a_small_file_costs_one_get),
	    CASE(a_source_that_cannot_be_read),
	    CASE(a_source_that_breaks_off_at_first),
	    CASE(a_move_whose_account_is_set_elsewhere_removes_nothing),
	    CASE(a_wrong_hash_of_the_destination),
	    CASE(a_wrong_hash_of_the_source_never_arrives),
	    CASE(a_source_that_is_longer_than_it_says_never_arrives),
	    CASE(a_refused_native_copy_is_relayed),
	    CASE(what_cannot_be),
	    CASE(one_object_under_two_names),
	    CASE(a_cancel_sweeps),
	    CASE(a_cancel_before_the_source_goes),
	    CASE(a_cancel_while_the_source_goes_is_too_late),
	    CASE(a_spool_that_cannot_be_opened_is_tried_again),
	    CASE(what_a_crash_left_is_swept),
	    CASE(a_verified_move_only_removes),
	    CASE(removals),
	    CASE(directories),
	    CASE(attributes),
	    CASE(renames),
	    CASE(a_poor_cloud_renames_by_copying),
	    CASE(a_tree_goes_on_where_it_failed),
	    CASE(a_tree_can_be_cancelled),
	    CASE(a_crowd_does_not_block_itself),
	    CASE(bandwidth_is_paid_in_time),
	    CASE(a_limit_holds_back_and_can_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
