/* Large files: written in parts, several at once, and what goes wrong with them, a restart above
 * all. */
#include "src/memory_server.h"
#include "src/upload.h"
#include "tests/unit/attempt_fixture.h"

#define SIZE   (12 * MIB + 345) /* 13 parts of the memory driver's */
#define PARTS  13
#define COPIED (17 * MIB) /* what it does not copy by one request */
#define SERVER "memory-b"

static struct change *
transfer(const char *from, const char *to)
{
	struct change *c = fixture_change(CHANGE_TRANSFER, to, "dst/large");

	fixture_source(c, from, "large");
	c->retries_max = 8;
	return c;
}

static size_t
uploads_of(const char *account, const char *path)
{
	struct cloud_op *op = cloud_op_new(fixture_account(account), CLOUD_UPLOAD_FIND, path);
	size_t n;

	assert_int_equal(fixture_op(op), 0);
	n = op->uploads_len;
	cloud_op_free(op);
	return n;
}

/* Somebody else's; caller frees the id. */
static char *
foreign_upload(bool with_part)
{
	struct cloud_op *op =
	    cloud_op_new(fixture_account(MEMORY_B), CLOUD_UPLOAD_BEGIN, "dst/large");
	struct cloud_op *part;
	char *id;

	op->length = SIZE;
	assert_int_equal(fixture_op(op), 0);
	id = TAKE(op->upload);
	cloud_op_free(op);
	if (with_part) {
		part = cloud_op_new(fixture_account(MEMORY_B), CLOUD_UPLOAD_PART, "dst/large");
		part->upload = xstrdup(id);
		part->part.number = 1;
		part->length = 1000;
		part->ring = ring_new(4096, 1024);
		assert_true(ring_put(part->ring, (unsigned char[1000]){0}, 1000));
		ring_end(part->ring);
		assert_int_equal(fixture_op(part), 0);
		ring_free(part->ring);
		cloud_op_free(part);
	}
	return id;
}

static void
abort_upload(const char *id)
{
	struct cloud_op *op =
	    cloud_op_new(fixture_account(MEMORY_B), CLOUD_UPLOAD_ABORT, "dst/large");

	op->upload = xstrdup(id);
	assert_int_equal(fixture_op(op), 0);
	cloud_op_free(op);
}

static void
written_in_parts(void **state)
{
	fixture_put(MEMORY_A, "large", 1, SIZE);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	assert_string_equal(fx.result.route, "relay");
	assert_string_equal(fx.result.verified, "size,md5,crc32c,crc32c-parts");
	assert_int_equal(fx.result.bytes_done, SIZE);
	assert_int_equal(memory_requests(SERVER, "PUT"), PARTS);
	fixture_expect(MEMORY_B, "dst/large", 1, SIZE);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	assert_int_equal(fx.checkpoint->parts.len, PARTS); /* until the change has ended */
}

/* The source's, which carries metadata of its user. */
static void
mark_source(const char *account, json_t *metadata)
{
	struct cloud_op *op = cloud_op_new(fixture_account(account), CLOUD_SETATTR, "large");

	op->put.mtime_ns = MTIME;
	op->put.metadata = metadata;
	assert_int_equal(fixture_op(op), 0);
	cloud_op_free(op);
}

static void
metadata_of_users_are_kept(void **state)
{
	json_t *metadata = json_pack("{s:s}", "color", "deep blue");
	struct entry e;

	fixture_put(MEMORY_A, "large", 1, SIZE);
	mark_source(MEMORY_A, json_incref(metadata));
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	assert_int_equal(memory_requests(SERVER, "PUT"), PARTS);
	fixture_expect(MEMORY_B, "dst/large", 1, SIZE);
	e = fixture_stat(MEMORY_B, "dst/large");
	assert_true(json_equal(e.metadata, metadata));
	entry_fini(&e);
	json_decref(metadata);
}

static void
from_a_directory(void **state)
{
	struct entry e;

	fixture_put(LOCAL_A, "large", 2, SIZE);
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, MEMORY_B)), 0);
	assert_string_equal(fx.result.verified, "size,crc32c,crc32c-parts");
	fixture_expect(MEMORY_B, "dst/large", 2, SIZE);
	e = fixture_stat(MEMORY_B, "dst/large");
	assert_int_equal(e.mtime_ns, MTIME);
	entry_fini(&e);
}

/* One behind the other: the server takes nothing else. */
static void
written_in_order(void **state)
{
	fixture_account(MEMORY_B)->limits.in_order = true;
	memory_keep_order(SERVER);
	fixture_put(MEMORY_A, "large", 7, SIZE);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	assert_int_equal(memory_requests(SERVER, "PUT"), PARTS);
	assert_string_equal(fx.result.verified, "size,md5,crc32c,crc32c-parts");
	fixture_expect(MEMORY_B, "dst/large", 7, SIZE);
}

/* Parts that fail are sent again before any other. */
static void
written_in_order_with_failures(void **state)
{
	fixture_account(MEMORY_B)->limits.in_order = true;
	memory_keep_order(SERVER);
	fixture_put(MEMORY_A, "large", 8, SIZE);
	memory_fault(SERVER, "PUT", 2, 0, 1000, 0);
	memory_fault(SERVER, "PUT", 1, 503, 0, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	fixture_expect(MEMORY_B, "dst/large", 8, SIZE);
}

/* Of a source that tells no MD5, the destination's is compared all the same. */
static void
written_in_order_from_a_directory(void **state)
{
	fixture_account(MEMORY_B)->limits.in_order = true;
	fixture_account(MEMORY_B)->hashes = HASH_BIT(HASH_MD5);
	memory_keep_order(SERVER);
	fixture_put(LOCAL_A, "large", 9, SIZE);
	memory_fault(SERVER, "PUT", 1, 0, 1000, 0);
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, MEMORY_B)), 0);
	assert_non_null(strstr(fx.result.verified, "size,md5"));
	fixture_expect(MEMORY_B, "dst/large", 9, SIZE);
}

/* Parts do not end where the segments do. */
static void
of_many_segments(void **state)
{
	struct change *c = fixture_change(CHANGE_TRANSFER, MEMORY_B, "dst/large");
	CLEANUP(cleanup_free) unsigned char *got = NULL;
	CLEANUP(cleanup_free) unsigned char *want = xcalloc(1, 12 * MIB);
	uint64_t size, at = 0;
	struct segment *s;
	size_t i;

	fixture_put(MEMORY_A, "large", 3, 5 * MIB);
	fixture_spool("spooled", 4, 5 * MIB);
	for (i = 0; i < 30; i++) {
		static const enum segment_kind kinds[] = {
		    SEGMENT_ENTRY, SEGMENT_ZERO, SEGMENT_SPOOL};

		s = change_add_segment(c, kinds[i % 3]);
		if (s->kind == SEGMENT_ENTRY) {
			s->account_id = xstrdup(MEMORY_A);
			s->path = xstrdup("large");
		} else if (s->kind == SEGMENT_SPOOL) {
			s->path = xstrdup("spooled");
		}
		s->offset = s->kind == SEGMENT_ZERO ? 0 : i * 1000;
		s->length = 400000 + i;
		if (s->kind != SEGMENT_ZERO)
			fixture_fill(
			    want + at, s->kind == SEGMENT_ENTRY ? 3 : 4, s->offset, s->length);
		at += s->length;
	}
	assert_int_equal(fixture_run_free(c), 0);
	got = fixture_slurp(MEMORY_B, "dst/large", &size);
	assert_int_equal(size, at);
	assert_memory_equal(got, want, at);
}

static void
copied_by_the_cloud(void **state)
{
	uint64_t gets;

	fixture_put(MEMORY_B, "large", 5, COPIED);
	gets = memory_requests(SERVER, "GET");
	assert_int_equal(fixture_run_free(transfer(MEMORY_B, MEMORY_B)), 0);
	assert_string_equal(fx.result.route, "native");
	assert_int_equal(memory_requests(SERVER, "COPY"), 17);
	assert_int_equal(fx.progress, COPIED);
	assert_string_equal(fx.result.verified, "size,md5,crc32c");
	assert_int_equal(memory_requests(SERVER, "GET"), gets + 1); /* which uploads are there */
	fixture_expect(MEMORY_B, "dst/large", 5, COPIED);
}

/* A cloud that copies only so many parts. */
static struct cloud_driver copying;
static unsigned copying_left;

static enum cloud_step
copying_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	if (op->kind != CLOUD_COPY_PART || copying_left-- > 0)
		return memory_driver.request(op, request, err);
	err_set(err, -EOPNOTSUPP, "no more");
	return CLOUD_STEP_FAIL;
}

static void
make_copying(unsigned parts)
{
	copying = memory_driver;
	copying.request = copying_request;
	copying_left = parts;
	fixture_replace(1, &copying);
	fixture_put(MEMORY_B, "large", 5, COPIED);
}

/* What the cloud has copied nobody compared part by part. */
static void
relayed_where_the_cloud_stopped(void **state)
{
	uint64_t before;

	make_copying(5);
	before = memory_requests(SERVER, "PUT");
	assert_int_equal(fixture_run_free(transfer(MEMORY_B, MEMORY_B)), 0);
	assert_string_equal(fx.result.route, "relay");
	assert_in_range(memory_requests(SERVER, "PUT") - before, 1, COPIED / MIB - 1);
	assert_string_equal(fx.result.verified, "size,md5,crc32c");
	fixture_expect(MEMORY_B, "dst/large", 5, COPIED);
}

/* -- a restart */

static unsigned stop_after;

static void
stop_when_so_far(struct fixture *f, enum checkpoint_note_kind kind)
{
	if (kind == CHECKPOINT_PART && f->checkpoint->parts.len == stop_after)
		attempt_cancel(f->attempt, -ESHUTDOWN);
}

/* One that was cut off after so many parts. */
static void
run_and_cut(struct change *c, unsigned parts)
{
	stop_after = parts;
	fx.on_note = stop_when_so_far;
	assert_int_equal(fixture_run(c), -ESHUTDOWN);
	fx.on_note = NULL;
	assert_int_equal(fx.checkpoint->parts.len, parts);
	assert_int_equal(fx.memory.used, 0);
	c->repeated = true;
}

static void
goes_on_after_a_restart(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);
	uint64_t before;

	fixture_put(MEMORY_A, "large", 6, SIZE);
	run_and_cut(c, 7);
	before = memory_requests(SERVER, "PUT");
	assert_int_equal(fixture_run(c), 0);
	/* Only what was not there is written: some of it may have arrived untold. */
	assert_int_equal(memory_requests(SERVER, "PUT") - before, PARTS - 7);
	/* What was compared before the restart has been. */
	assert_string_equal(fx.result.verified, "size,md5,crc32c,crc32c-parts");
	fixture_expect(MEMORY_B, "dst/large", 6, SIZE);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	change_free(c);
}

/* By another route: the cloud copies the rest. */
static void
copied_after_a_restart(void **state)
{
	struct change *c = transfer(MEMORY_B, MEMORY_B);

	make_copying(0);
	run_and_cut(c, 7);
	copying_left = COPIED / MIB;
	assert_int_equal(fixture_run(c), 0);
	assert_string_equal(fx.result.route, "native");
	assert_int_equal(memory_requests(SERVER, "COPY"), COPIED / MIB - 7);
	assert_string_equal(fx.result.verified, "size,md5,crc32c");
	fixture_expect(MEMORY_B, "dst/large", 5, COPIED);
	change_free(c);
}

static void
goes_on_in_order_after_a_restart(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);

	fixture_account(MEMORY_B)->limits.in_order = true;
	memory_keep_order(SERVER);
	fixture_put(MEMORY_A, "large", 6, SIZE);
	run_and_cut(c, 7);
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_B, "dst/large", 6, SIZE);
	change_free(c);
}

/* What the cloud has is not what was noted: a part is written again. */
static void
a_part_that_is_not_what_it_was(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);
	uint64_t before;

	fixture_put(MEMORY_A, "large", 7, SIZE);
	run_and_cut(c, 5);
	snprintf(fx.checkpoint->parts.items[2].tag, CLOUD_TAG_MAX, "another");
	before = memory_requests(SERVER, "PUT");
	assert_int_equal(fixture_run(c), 0);
	assert_int_equal(memory_requests(SERVER, "PUT") - before, PARTS - 4);
	fixture_expect(MEMORY_B, "dst/large", 7, SIZE);
	change_free(c);
}

static void
lose_when_so_far(struct fixture *f, enum checkpoint_note_kind kind)
{
	if (kind != CHECKPOINT_PART || f->checkpoint->parts.len != stop_after)
		return;
	CLEANUP(cleanup_free)
	char *query = xasprintf("upload=%s&part=3", f->checkpoint->upload);
	struct http_headers none = TAILQ_HEAD_INITIALIZER(none);
	struct memory_ask ask = {.server = SERVER,
	    .method = "PUT",
	    .path = "dst/large",
	    .query = query,
	    .headers = &none};
	struct memory_blob *another = memory_blob_new("another", 7);
	struct memory_answer answer;

	memory_answer_init(&answer);
	memory_server_answer(&answer, &ask, another, 7);
	assert_int_equal(answer.status / 100, 2);
	memory_answer_fini(&answer);
	memory_blob_unref(another);
	memory_fault(SERVER, "PUT", 1, 404, 0, 0);
	stop_after = 0;
}

/* A part is refused since the cloud has lost what was before it: it is not the source that is
   missing. */
static void
a_part_that_is_lost_meanwhile(void **state)
{
	fixture_put(MEMORY_A, "large", 7, SIZE);
	stop_after = 5;
	fx.on_note = lose_when_so_far;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	fixture_expect(MEMORY_B, "dst/large", 7, SIZE);
}

static void
a_source_that_changed_meanwhile(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);

	fixture_put(MEMORY_A, "large", 8, SIZE);
	run_and_cut(c, 5);
	fixture_put(MEMORY_A, "large", 9, SIZE);
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_B, "dst/large", 9, SIZE);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	change_free(c);
}

/* It is small now: no upload is needed, and the old one goes. */
static void
a_source_that_shrank_meanwhile(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);

	fixture_put(MEMORY_A, "large", 8, SIZE);
	run_and_cut(c, 5);
	fixture_put(MEMORY_A, "large", 9, 1000);
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_B, "dst/large", 9, 1000);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	assert_null(fx.checkpoint);
	change_free(c);
}

/* The account of the destination means another server from now on. */
static void
repoint(const char *server)
{
	json_t *credentials = json_pack("{s:s}", "server", server);
	struct err err = ERR_INIT;

	assert_int_equal(cloud_account_renew(fixture_account(MEMORY_B), credentials, &err), 0);
	json_decref(credentials);
}

static void
stop_at_head(struct fixture *f, enum checkpoint_note_kind kind)
{
	if (kind == CHECKPOINT_HEAD && f->checkpoint->upload != NULL) {
		xstrset(&f->checkpoint->upload, NULL); /* the answer never came */
		attempt_cancel(f->attempt, -ESHUTDOWN);
	}
}

/* The upload was begun, and its id is not known: it is found, and nobody else's is touched. */
static void
an_upload_whose_id_was_lost(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);
	CLEANUP(cleanup_free) char *before = foreign_upload(false);
	char *after;

	fixture_put(MEMORY_A, "large", 10, SIZE);
	fx.on_note = stop_at_head;
	assert_int_equal(fixture_run(c), -ESHUTDOWN);
	fx.on_note = NULL;
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 2);
	after = foreign_upload(true);
	c->repeated = true;
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_B, "dst/large", 10, SIZE);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 2);
	abort_upload(before);
	abort_upload(after);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	free(after);
	change_free(c);
}

/* Its upload is begun, then the account means another place, where somebody else's is: the id of
   that, caller frees. */
static char *
begin_elsewhere(const struct change *c, unsigned seed)
{
	fixture_put(MEMORY_A, "large", seed, SIZE);
	fx.on_note = stop_at_head;
	assert_int_equal(fixture_run(c), -ESHUTDOWN);
	fx.on_note = NULL;
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 1);
	repoint("memory-elsewhere");
	return foreign_upload(false);
}

/* At the new place an upload without parts is somebody else's: the one that was begun is not there.
 */
static void
an_upload_that_was_begun_elsewhere(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);
	CLEANUP(cleanup_free) char *foreign = begin_elsewhere(c, 12);

	c->repeated = true;
	assert_int_equal(fixture_run(c), 0);
	fixture_expect(MEMORY_B, "dst/large", 12, SIZE);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 1);
	abort_upload(foreign);
	change_free(c);
	memory_forget("memory-elsewhere");
}

/* A sweep of it touches nothing there, and is not repeated for ever. */
static void
a_sweep_of_an_upload_that_was_begun_elsewhere(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);
	CLEANUP(cleanup_free) char *foreign = begin_elsewhere(c, 13);

	c->cancel = true;
	assert_int_equal(fixture_run(c), -ECANCELED);
	assert_null(fx.checkpoint);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 1);
	abort_upload(foreign);
	change_free(c);
	memory_forget("memory-elsewhere");
}

/* All was written and the commit's answer was lost with the process. */
static void
a_commit_whose_answer_was_lost(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);
	uint64_t puts;

	fixture_put(MEMORY_A, "large", 11, SIZE);
	assert_int_equal(fixture_run(c), 0);
	puts = memory_requests(SERVER, "PUT");
	c->repeated = true;
	assert_int_equal(fx.checkpoint->parts.len, PARTS);
	assert_int_equal(fixture_run(c), 0);
	assert_int_equal(memory_requests(SERVER, "PUT"), puts);
	fixture_expect(MEMORY_B, "dst/large", 11, SIZE);
	change_free(c);
}

/* -- faults */

static enum cloud_step
lie_about_commit(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	enum cloud_step step = memory_driver.response(op, res, err);

	if (step == CLOUD_STEP_DONE && op->kind == CLOUD_UPLOAD_COMMIT)
		op->entry.digests.sum[HASH_CRC32C][0] ^= 1;
	return step;
}

/* What it has become is wrong, and removed: the upload is not what the next attempt goes on with,
   which would take it for its own. */
static void
a_whole_that_is_wrong_begins_again(void **state)
{
	struct cloud_driver liar = memory_driver;

	liar.response = lie_about_commit;
	fixture_replace(1, &liar);
	fixture_put(MEMORY_A, "large", 11, SIZE);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), -EBADMSG);
	assert_false(fixture_exists(MEMORY_B, "dst/large"));
	assert_null(fx.checkpoint);
	fixture_replace(1, &memory_driver);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	fixture_expect(MEMORY_B, "dst/large", 11, SIZE);
}

static enum cloud_step
lie_about_source(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	enum cloud_step step = memory_driver.head(op, res, err);

	if (step == CLOUD_STEP_STREAM)
		op->entry.digests.sum[HASH_MD5][0] ^= 1;
	return step;
}

/* All of its hashes are known before the commit: one that is right does not stand for another. */
static void
a_source_that_is_not_what_it_says(void **state)
{
	static struct cloud_driver liar; /* until the end of the account */

	liar = memory_driver;
	liar.head = lie_about_source;
	fixture_replace(0, &liar);
	fixture_account(MEMORY_B)->limits.in_order = true;
	memory_keep_order(SERVER);
	fixture_put(MEMORY_A, "large", 11, SIZE);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), -EBADMSG);
	assert_non_null(strstr(fx.result.err.msg, "the md5 of the bytes read for 'dst/large'"));
	assert_false(fixture_exists(MEMORY_B, "dst/large"));
}

static void
parts_that_fail_are_written_again(void **state)
{
	fixture_put(MEMORY_A, "large", 12, SIZE);
	memory_fault(SERVER, "PUT", 1, 500, 0, 0);
	memory_fault(SERVER, "PUT", 1, 0, 100000, 0);
	memory_fault(SERVER, "PUT", 1, 0, UINT64_MAX, 0);
	memory_fault(SERVER, "PUT", 1, 503, 0, 0);
	memory_fault("memory-a", "GET", 2, 0, 300000, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	fixture_expect(MEMORY_B, "dst/large", 12, SIZE);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
}

static void
answers_that_are_lost(void **state)
{
	fixture_put(MEMORY_A, "large", 13, SIZE);
	memory_fault(SERVER, "POST", 1, 0, UINT64_MAX, 0); /* the begin's: one is left over */
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	fixture_expect(MEMORY_B, "dst/large", 13, SIZE);
}

static void
break_source_once_begun(struct fixture *f, enum checkpoint_note_kind kind)
{
	if (kind == CHECKPOINT_HEAD)
		memory_fault("memory-a", "GET", 1000, 500, 0, 0);
}

/* Kept for the repetition that comes; a permanent failure aborts it. */
static void
a_failure_that_passes_keeps_the_upload(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);
	uint64_t before;
	size_t done;

	fixture_put(MEMORY_A, "large", 14, SIZE);
	fx.on_note = break_source_once_begun;
	assert_int_equal(fixture_run(c), -EIO);
	fx.on_note = NULL;
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 1);
	assert_non_null(fx.checkpoint);
	memory_forget("memory-a");
	fixture_put(MEMORY_A, "large", 14, SIZE);
	done = fx.checkpoint->parts.len;
	before = memory_requests(SERVER, "PUT");
	c->attempts = 2;
	assert_int_equal(fixture_run(c), 0);
	assert_int_equal(memory_requests(SERVER, "PUT") - before, PARTS - done);
	fixture_expect(MEMORY_B, "dst/large", 14, SIZE);
	change_free(c);
}

static void
the_last_failure_aborts_it(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);

	fixture_put(MEMORY_A, "large", 15, SIZE);
	memory_fault("memory-a", "GET", 1000, 500, 0, 0);
	c->attempts = c->retries_max + 1;
	assert_int_equal(fixture_run_free(c), -EIO);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	assert_null(fx.checkpoint);
	assert_false(fixture_exists(MEMORY_B, "dst/large"));
}

/* One request to the server of the source, while the loop runs. */
static void
request(const char *method, const struct memory_blob *body, size_t len)
{
	struct http_headers headers = TAILQ_HEAD_INITIALIZER(headers);
	const struct memory_ask ask = {.server = "memory-a",
	    .method = method,
	    .path = "large",
	    .query = "",
	    .headers = &headers};
	struct memory_answer answer;

	memory_answer_init(&answer);
	memory_server_answer(&answer, &ask, body, len);
	assert_in_range(answer.status, 200, 204);
	memory_answer_fini(&answer);
}

static void
change_the_source(struct fixture *f)
{
	CLEANUP(cleanup_free) unsigned char *content = xcalloc(1, SIZE);
	struct memory_blob *blob;

	if (f->progress < 3 * MIB)
		return;
	f->on_progress = NULL;
	blob = memory_blob_new(content, SIZE);
	request("PUT", blob, SIZE);
	memory_blob_unref(blob);
}

static void
a_source_that_changes_between_parts(void **state)
{
	fixture_put(MEMORY_A, "large", 16, SIZE);
	fx.on_progress = change_the_source;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), -ESTALE);
	assert_null(fx.on_progress);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	assert_null(fx.checkpoint);
	assert_false(fixture_exists(MEMORY_B, "dst/large"));
}

/* A cloud that reads a link, which leads to whatever the source is by then, and tells no hashes. */
static struct cloud_driver pulling;
static unsigned pulling_refuses; /* commits */
static const char *pulling_link;
static bool pulling_has_etag;

static enum cloud_step
pulling_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	if (op->kind == CLOUD_LINK) {
		op->link = xstrdup(pulling_link);
		op->is_etag = pulling_has_etag;
		return CLOUD_STEP_DONE;
	}
	if (op->kind == CLOUD_COPY_PART) {
		assert_non_null(op->link);
		assert_true((op->version != NULL) == pulling_has_etag);
	}
	if (op->kind == CLOUD_UPLOAD_COMMIT && pulling_refuses > 0) {
		pulling_refuses--;
		err_set(err, -EACCES, "no");
		return CLOUD_STEP_FAIL;
	}
	return memory_driver.request(op, request, err);
}

static enum cloud_step
pulling_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	enum cloud_step step = memory_driver.response(op, res, err);

	op->entry.digests.have = 0;
	return step;
}

static void
make_pulling(void)
{
	pulling = memory_driver;
	pulling.features &= ~(unsigned)CLOUD_CAN_COPY;
	pulling.features |= CLOUD_CAN_LINK | CLOUD_CAN_PULL;
	pulling.limits.copy_max = MIB;
	pulling.request = pulling_request;
	pulling.response = pulling_response;
	pulling_refuses = 0;
	pulling_has_etag = false;
	pulling_link = "https://cloud.example/large";
	fixture_replace(0, &pulling);
	fixture_put(MEMORY_A, "large", 41, SIZE);
}

static void
pulled_in_parts(void **state)
{
	make_pulling();
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), 0);
	assert_string_equal(fx.result.route, "pull");
	fixture_expect(MEMORY_A, "dst/large", 41, SIZE);
}

/* It is asked for the version only where that is the link's ETag: other clouds' are not. */
static void
pulled_in_parts_of_a_version(void **state)
{
	make_pulling();
	pulling_has_etag = true;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), 0);
	assert_string_equal(fx.result.route, "pull");
	fixture_expect(MEMORY_A, "dst/large", 41, SIZE);
	fx.on_progress = change_the_source;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), -ESTALE);
	assert_null(fx.on_progress);
}

/* Whoever has a link can read: the reason is shown, and kept. */
static void
links_are_not_told(void **state)
{
	make_pulling();
	pulling_link = "https://cloud example/large?secret";
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), 0);
	assert_string_equal(fx.result.route, "relay");
	assert_null(strstr(fx.result.route_reason, "secret"));
	fixture_expect(MEMORY_A, "dst/large", 41, SIZE);
}

static void
a_source_that_changes_while_it_is_pulled(void **state)
{
	make_pulling();
	fx.on_progress = change_the_source;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), -ESTALE);
	assert_null(fx.on_progress);
	assert_false(fixture_exists(MEMORY_A, "dst/large"));
}

/* By another route then, but with the parts that were pulled. */
static void
a_source_that_changed_before_a_pull_was_refused(void **state)
{
	make_pulling();
	pulling_refuses = 1;
	fx.on_progress = change_the_source;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), -ESTALE);
	assert_null(fx.on_progress);
	assert_int_equal(pulling_refuses, 0);
	assert_false(fixture_exists(MEMORY_A, "dst/large"));
}

/* The same of a cloud that reads links as a whole, by what BEGIN begins. */
static unsigned whole_begun, whole_parts, whole_aborted;
static bool whole_refuses; /* once */

static enum cloud_step
whole_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	switch (op->kind) {
	case CLOUD_UPLOAD_BEGIN: whole_begun += op->link != NULL; break;
	case CLOUD_UPLOAD_ABORT: whole_aborted++; break;
	case CLOUD_COPY: fail_msg("a link is no copy");
	case CLOUD_COPY_PART:
		whole_parts++;
		assert_int_equal(op->length, SIZE);
		if (!whole_refuses)
			break;
		whole_refuses = false;
		err_set(err, -EOPNOTSUPP, "no");
		return CLOUD_STEP_FAIL;
	default: break;
	}
	return pulling_request(op, request, err);
}

static void
make_whole(void)
{
	make_pulling();
	pulling.features |= CLOUD_PULLS_WHOLE;
	pulling.limits.copy_max = 0;
	pulling.request = whole_request;
	whole_begun = whole_parts = whole_aborted = 0;
	whole_refuses = false;
	fixture_replace(0, &pulling);
	fixture_put(MEMORY_A, "large", 42, SIZE);
}

static void
pulled_as_a_whole(void **state)
{
	make_whole();
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), 0);
	assert_string_equal(fx.result.route, "pull");
	fixture_expect(MEMORY_A, "dst/large", 42, SIZE);
	assert_int_equal(whole_begun, 1);
	assert_int_equal(whole_parts, 1);
	assert_int_equal(whole_aborted, 0);
}

/* What another route writes is another upload: nothing of the first is left. */
static void
a_whole_pull_that_is_refused(void **state)
{
	make_whole();
	whole_refuses = true;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), 0);
	assert_string_equal(fx.result.route, "relay");
	fixture_expect(MEMORY_A, "dst/large", 42, SIZE);
	assert_int_equal(whole_begun, 1);
	assert_int_equal(whole_parts, 1);
	assert_int_equal(whole_aborted, 1);
	assert_int_equal(fx.checkpoint->parts.len, PARTS);
	assert_int_equal(uploads_of(MEMORY_A, "dst/large"), 0);
}

static void
relayed_because(const char *why)
{
	fixture_replace(0, &pulling);
	fixture_put(MEMORY_A, "large", 42, SIZE);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_A)), 0);
	assert_string_equal(fx.result.route, "relay");
	if (strstr(fx.result.route_reason, why) == NULL)
		fail_msg("not '%s': %s", why, fx.result.route_reason);
	assert_int_equal(whole_begun, 0);
}

static void
what_is_not_pulled(void **state)
{
	struct change *c;

	make_whole();
	pulling.limits.pull_min = SIZE + 1;
	relayed_because("not worth");
	pulling.limits.pull_min = SIZE;
	pulling.limits.pull_max = SIZE - 1;
	relayed_because("at most");
	pulling.limits.pull_max = SIZE;
	pulling.features |= CLOUD_PULLS_TIMELESS;
	relayed_because("no time");
	/* Nobody minds the time, or the one that is set is only that of the copy. */
	for (int i = 0; i < 2; i++) {
		c = transfer(MEMORY_A, MEMORY_A);
		c->preserve = i == 1;
		c->mtime_ns = i == 1 ? MTIME : ENTRY_NO_TIME;
		c->mtime_set = false;
		assert_int_equal(fixture_run_free(c), 0);
		assert_string_equal(fx.result.route, "pull");
	}
	c = transfer(MEMORY_A, MEMORY_A);
	c->preserve = false;
	c->mtime_ns = MTIME;
	c->mtime_set = true;
	assert_int_equal(fixture_run_free(c), 0);
	assert_string_equal(fx.result.route, "relay");
}

static void
cancel_it(struct fixture *f, enum checkpoint_note_kind kind)
{
	if (kind == CHECKPOINT_PART && f->checkpoint->parts.len == 3)
		attempt_cancel(f->attempt, -ECANCELED);
}

static void
a_cancel_aborts_it(void **state)
{
	fixture_put(MEMORY_A, "large", 17, SIZE);
	fx.on_note = cancel_it;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), -ECANCELED);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	assert_null(fx.checkpoint);
	assert_false(fixture_exists(MEMORY_B, "dst/large"));
}

/* Cancelled while nobody carried it: the next attempt only cleans up; if it cannot, it says so by
   leaving the checkpoint. */
static void
a_cancelled_one_is_swept(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);

	fixture_put(MEMORY_A, "large", 18, SIZE);
	run_and_cut(c, 5);
	c->cancel = true;
	memory_fault(SERVER, "DELETE", 20, 500, 0, 0);
	assert_int_equal(fixture_run(c), -ECANCELED);
	assert_non_null(fx.checkpoint);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 1);
	while (fx.checkpoint != NULL)
		assert_int_equal(fixture_run(c), -ECANCELED);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	change_free(c);
}

static unsigned forgotten;

/* Whatever is under way there is gone. */
static void
forget_the_upload(struct fixture *f, enum checkpoint_note_kind kind)
{
	if (kind != CHECKPOINT_PART || f->checkpoint->parts.len != 4 || forgotten == 0)
		return;
	forgotten--;
	memory_forget_uploads(SERVER);
}

static void
an_upload_that_the_cloud_forgets(void **state)
{
	fixture_put(MEMORY_A, "large", 19, SIZE);
	fx.on_note = forget_the_upload;
	forgotten = 1;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	assert_int_equal(forgotten, 0);
	fixture_expect(MEMORY_B, "dst/large", 19, SIZE);

	checkpoint_free(TAKE(fx.checkpoint)); /* that change has ended */
	forgotten = 100;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), -EIO);
	assert_non_null(strstr(fx.result.err.msg, "lost the upload"));
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	fixture_expect(MEMORY_B, "dst/large", 19, SIZE); /* what was there before is there */
}

static unsigned refusals;

static void
refuse_the_commit(struct fixture *f, enum checkpoint_note_kind kind)
{
	if (kind == CHECKPOINT_PART && f->checkpoint->parts.len == PARTS && refusals > 0)
		memory_fault(SERVER, "POST", refusals, 400, 0, 0);
}

/* Somebody else's upload may have cost it some: the cloud is asked what is there, once. */
static void
a_commit_that_misses_a_part(void **state)
{
	fixture_put(MEMORY_A, "large", 24, SIZE);
	fx.on_note = refuse_the_commit;
	refusals = 1;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	fixture_expect(MEMORY_B, "dst/large", 24, SIZE);

	checkpoint_free(TAKE(fx.checkpoint)); /* that change has ended */
	refusals = 2;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), -EINVAL);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
}

/* -- a cloud that tells nothing of an upload's parts (CLOUD_UPLOADS_UNTOLD) */

#define BLOCK  (4 * MIB)
#define BLOCKS 4 /* of SIZE */

static struct cloud_driver untold;
static char untold_tags[BLOCKS + 1][CLOUD_TAG_MAX]; /* what the server calls them */
static unsigned untold_sent;

/* The caller's tags are the SHA-256 of what it sent; the server wants its own. */
static void
untold_check_commit(struct cloud_op *op)
{
	CLEANUP(cleanup_free) unsigned char *content = xmalloc(SIZE);
	struct hash *hash = hash_new(HASH_BIT(HASH_DROPBOX));
	unsigned char theirs[32], ours[32];
	struct digests whole;

	fixture_fill(content, 31, 0, SIZE);
	hash_update(hash, content, SIZE);
	hash_final(hash, &whole);
	hash_free(hash);
	assert_true(digests_equal(&op->put.digests, &whole, HASH_DROPBOX));
	for (size_t i = 0; i < op->parts.len; i++) {
		struct upload_part *part = &op->parts.items[i];

		sha256(ours, content + i * BLOCK, part->length);
		assert_int_equal(hex_decode(theirs, sizeof theirs, part->tag), 32);
		assert_memory_equal(ours, theirs, sizeof ours);
		memcpy(part->tag, untold_tags[part->number], sizeof part->tag);
	}
}

static enum cloud_step
untold_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	if (op->kind == CLOUD_UPLOAD_PART) {
		assert_int_equal(op->offset, (op->part.number - 1) * BLOCK);
		for (unsigned i = 1; op->part.number == BLOCKS && i < BLOCKS; i++)
			assert_true(untold_tags[i][0] != '\0'); /* the last comes last */
		untold_sent++;
	}
	if (op->kind == CLOUD_UPLOAD_COMMIT)
		untold_check_commit(op);
	return memory_driver.request(op, request, err);
}

static enum cloud_step
untold_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	enum cloud_step step = memory_driver.response(op, res, err);

	if (step == CLOUD_STEP_DONE && op->kind == CLOUD_UPLOAD_PART) {
		memcpy(untold_tags[op->part.number], op->part.tag, sizeof op->part.tag);
		op->part.tag[0] = '\0';
	}
	if (op->kind == CLOUD_UPLOAD_STATUS)
		upload_parts_fini(&op->parts);
	return step;
}

static void
make_untold(void)
{
	untold = memory_driver;
	untold.features |= CLOUD_UPLOADS_UNTOLD;
	untold.limits.part_size = BLOCK;
	untold.request = untold_request;
	untold.response = untold_response;
	fixture_replace(1, &untold);
	memset(untold_tags, 0, sizeof untold_tags);
	untold_sent = 0;
	fixture_put(MEMORY_A, "large", 31, SIZE);
}

/* What was answered for is there, says the checkpoint. */
static void
parts_that_nobody_tells_of(void **state)
{
	struct change *c = transfer(MEMORY_A, MEMORY_B);

	make_untold();
	run_and_cut(c, 2);
	untold_sent = 0;
	assert_int_equal(fixture_run(c), 0);
	assert_int_equal(untold_sent, BLOCKS - 2);
	fixture_expect(MEMORY_B, "dst/large", 31, SIZE);
	change_free(c);
}

static void
refuse_the_untold_commit(struct fixture *f, enum checkpoint_note_kind kind)
{
	if (kind == CHECKPOINT_PART && f->checkpoint->parts.len == BLOCKS && refusals > 0)
		memory_fault(SERVER, "POST", refusals--, 400, 0, 0);
}

/* And when it is not, nobody can say which: all anew, once. */
static void
a_commit_that_misses_a_part_that_nobody_tells_of(void **state)
{
	make_untold();
	fx.on_note = refuse_the_untold_commit;
	refusals = 1;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	assert_int_equal(untold_sent, 2 * BLOCKS);
	fixture_expect(MEMORY_B, "dst/large", 31, SIZE);
}

static void
remove_the_source(struct fixture *f)
{
	if (f->progress < 3 * MIB)
		return;
	f->on_progress = NULL;
	request("DELETE", NULL, 0);
}

/* -ENOENT of a part is not always the upload's. */
static void
a_source_that_goes_away(void **state)
{
	fixture_put(MEMORY_A, "large", 20, SIZE);
	fx.on_progress = remove_the_source;
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), -ENOENT);
	assert_null(fx.on_progress);
	assert_int_equal(uploads_of(MEMORY_B, "dst/large"), 0);
	assert_null(fx.checkpoint);
}

/* No memory for a second ring: one part at a time. */
static void
within_the_memory(void **state)
{
	fx.memory.max = 0;
	fixture_put(MEMORY_A, "large", 21, SIZE);
	assert_int_equal(fixture_run_free(transfer(MEMORY_A, MEMORY_B)), 0);
	fixture_expect(MEMORY_B, "dst/large", 21, SIZE);
}

static void
crc_of_parts(void **state)
{
	static unsigned char data[70000];
	size_t i, cut;

	for (i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i * 31 + i / 251);
	for (cut = 0; cut <= sizeof data; cut += 6999)
		assert_int_equal(crc32c_combine(crc32c(0, data, cut),
				     crc32c(0, data + cut, sizeof data - cut), sizeof data - cut),
		    crc32c(0, data, sizeof data));
	/* RFC 3720 B.4: 32 bytes of zeros; more of them than 32 bits can count. */
	assert_int_equal(crc32c_combine(crc32c(0, data, 0), 0x8a9136aa, 32), 0x8a9136aa);
	assert_int_equal(crc32c_combine(crc32c_combine(0x8a9136aa, 0, 0), 0, 0), 0x8a9136aa);
}

/* The codec: what is written is read, and what is damaged is refused. */
static void
checkpoints_are_kept(void **state)
{
	struct upload_part part = {.number = 7,
			       .length = MIB,
			       .tag = "\"x\"",
			       .crc32c = 1u << 31,
			       .has_crc32c = true,
			       .compared = HASH_BIT(HASH_MD5) | HASH_BIT(HASH_DROPBOX)},
			   again;
	struct checkpoint *c = checkpoint_new(), *read = NULL;
	struct err err = ERR_INIT;
	json_t *json;

	c->path = xstrdup("a/b");
	c->place = xstrdup("s3://somewhere/a/b");
	c->source = xstrdup("abc");
	c->size = SIZE;
	c->part_size = MIB;
	c->before = xcalloc(1, sizeof *c->before);
	c->before[c->before_len++] = xstrdup("other");
	json = checkpoint_head_to_json(c);
	assert_int_equal(checkpoint_head_from_json(&read, json, &err), 0);
	assert_null(read->upload);
	assert_string_equal(read->path, "a/b");
	assert_string_equal(read->place, "s3://somewhere/a/b");
	assert_true(checkpoint_is_before(read, "other"));
	assert_false(checkpoint_is_before(read, "mine"));
	checkpoint_free(TAKE(read));
	json_object_set_new(json, "upload", json_string("id"));
	assert_int_equal(checkpoint_head_from_json(&read, json, &err), 0);
	assert_string_equal(read->upload, "id");
	checkpoint_free(TAKE(read));
	json_object_set_new(json, "partSize", json_integer(0));
	assert_int_equal(checkpoint_head_from_json(&read, json, &err), -EBADMSG);
	json_decref(json);

	json = upload_part_to_json(&part);
	assert_int_equal(upload_part_from_json(&again, json, &err), 0);
	assert_int_equal(again.number, part.number);
	assert_int_equal(again.length, part.length);
	assert_string_equal(again.tag, part.tag);
	assert_true(again.has_crc32c);
	assert_int_equal(again.crc32c, part.crc32c);
	assert_int_equal(again.compared, part.compared);
	json_array_set_new(json, 3, json_null());
	json_array_append_new(json_array_get(json, 4), json_string("a hash of tomorrow"));
	assert_int_equal(upload_part_from_json(&again, json, &err), 0);
	assert_false(again.has_crc32c);
	assert_int_equal(again.compared, part.compared);
	json_decref(json);
	part.has_crc32c = false;
	json = upload_part_to_json(&part);
	assert_int_equal(upload_part_from_json(&again, json, &err), 0);
	assert_false(again.has_crc32c);
	assert_int_equal(again.compared, part.compared);
	json_array_remove(json, 4); /* as it was kept once */
	assert_int_equal(upload_part_from_json(&again, json, &err), 0);
	assert_int_equal(again.compared, 0);
	json_array_set_new(json, 0, json_integer(0));
	assert_int_equal(upload_part_from_json(&again, json, &err), -EBADMSG);
	json_decref(json);
	checkpoint_free(c);
}

int
main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    CASE(written_in_parts),
	    CASE(metadata_of_users_are_kept),
	    CASE(from_a_directory),
	    CASE(written_in_order),
	    CASE(written_in_order_with_failures),
	    CASE(written_in_order_from_a_directory),
	    CASE(of_many_segments),
	    CASE(copied_by_the_cloud),
	    CASE(relayed_where_the_cloud_stopped),
	    CASE(goes_on_after_a_restart),
	    CASE(copied_after_a_restart),
	    CASE(goes_on_in_order_after_a_restart),
	    CASE(a_part_that_is_not_what_it_was),
	    CASE(a_part_that_is_lost_meanwhile),
	    CASE(a_source_that_changed_meanwhile),
	    CASE(a_source_that_shrank_meanwhile),
	    CASE(an_upload_whose_id_was_lost),
	    CASE(an_upload_that_was_begun_elsewhere),
	    CASE(a_sweep_of_an_upload_that_was_begun_elsewhere),
	    CASE(a_commit_whose_answer_was_lost),
	    CASE(a_whole_that_is_wrong_begins_again),
	    CASE(a_source_that_is_not_what_it_says),
	    CASE(parts_that_fail_are_written_again),
	    CASE(answers_that_are_lost),
	    CASE(a_failure_that_passes_keeps_the_upload),
	    CASE(the_last_failure_aborts_it),
	    CASE(a_source_that_changes_between_parts),
	    CASE(pulled_in_parts),
	    CASE(pulled_in_parts_of_a_version),
	    CASE(links_are_not_told),
	    CASE(a_source_that_changes_while_it_is_pulled),
	    CASE(a_source_that_changed_before_a_pull_was_refused),
	    CASE(pulled_as_a_whole),
	    CASE(a_whole_pull_that_is_refused),
	    CASE(what_is_not_pulled),
	    CASE(a_cancel_aborts_it),
	    CASE(a_cancelled_one_is_swept),
	    CASE(an_upload_that_the_cloud_forgets),
	    CASE(a_commit_that_misses_a_part),
	    CASE(parts_that_nobody_tells_of),
	    CASE(a_commit_that_misses_a_part_that_nobody_tells_of),
	    CASE(a_source_that_goes_away),
	    CASE(within_the_memory),
	    CASE(crc_of_parts),
	    CASE(checkpoints_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
