/* The gdrive driver's uploads: of 600,000 bytes in parts of 512 KiB: the last 75,712, of which all
   are kept. */
#include "tests/unit/gdrive_bench.h"
#include <stdlib.h>

#define SIZE       600000
#define PART_BYTES 524288
#define TOKEN      "0123456789abcdef0123456789abcdef"
#define UPLOAD     "1 600000 524288 " TOKEN " f1 new " SESSION

static void
upload_op(struct bench *b, enum cloud_op_kind kind, unsigned part)
{
	bench_op(b, kind, "up");
	b->op.upload = xstrdup(UPLOAD);
	b->op.length = SIZE;
	if (part == 0)
		return;
	b->op.part.number = part;
	b->op.offset = (part - 1) * (uint64_t)PART_BYTES;
	b->op.length = part == 1 ? PART_BYTES : SIZE - PART_BYTES;
}

static void
expect_session(struct bench *b, const char *range, uint64_t take, uint64_t length)
{
	b->request.take = 0;
	bench_expect(b, "PUT", SESSION);
	assert_string_equal(bench_header(b, "Content-Range"), range);
	assert_null(bench_header(b, "Authorization"));
	assert_int_equal(b->request.take, take);
	assert_int_equal(
	    b->request.http.body == HTTP_BODY_STREAM ? b->request.http.length : 0, length);
}

static void
test_upload_begin(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "begun");
	b.op.length = SIZE;
	b.op.part.length = PART_BYTES;
	find_none(&b, NAMED("top", "begun"));
	bench_expect(&b, "POST", UPLOADS ONE "&uploadType=resumable");
	assert_int_equal(bench_answer(&b, 200, "Location: " SESSION, ""), CLOUD_STEP_DONE);
	assert_string_equal(
	    b.op.upload, "1 600000 524288 00000000000000000000000000000000 new1 new " SESSION);
	/* Elsewhere than the account: nothing is ever sent there. */
	bench_op(&b, CLOUD_UPLOAD_PART, "begun");
	b.op.upload = xstrdup("1 600000 524288 " TOKEN " f1 new https://elsewhere/upload");
	b.op.part.number = 1;
	assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

static void
test_upload_parts(void **state)
{
	struct bench b;

	bench_at_top(&b);
	/* After a restart the session is asked; what it has is dropped. */
	upload_op(&b, CLOUD_UPLOAD_PART, 1);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-262143", ""), CLOUD_STEP_NEXT);
	expect_session(&b, "bytes 262144-524287/600000", 262144, 262144);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_DONE);
	assert_string_equal(b.op.part.tag, "524288");
	/* Its end is kept for the commit. */
	upload_op(&b, CLOUD_UPLOAD_PART, 2);
	expect_session(&b, "bytes */600000", 75712, 0);
	assert_int_equal(b.op.taken.max, RESUMABLE_CHUNK);
	for (int i = 0; i < 75712; i++)
		buf_putc(&b.op.taken, 'x');
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_DONE);
	assert_string_equal(b.op.part.tag, "600000");
	upload_op(&b, CLOUD_UPLOAD_STATUS, 0);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 2);
	bench_close(&b);

	bench_at_top(&b); /* another process: the end is lost */
	upload_op(&b, CLOUD_UPLOAD_STATUS, 0);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 1);
	/* What came before is not there. */
	upload_op(&b, CLOUD_UPLOAD_STATUS, 0);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 0);
	upload_op(&b, CLOUD_UPLOAD_STATUS, 0);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	/* It has made the file; what does not describe one says nothing of that. */
	assert_int_equal(bench_answer(&b, 200, "", FILE_OF("f1", "up", "top")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	assert_int_equal(bench_answer(&b, 200, "", "xyz"), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);
}

static void
upload_commit(struct bench *b, bool whole)
{
	static const struct upload_part parts[] = {
	    {.number = 1, .length = PART_BYTES, .tag = "524288"},
	    {.number = 2, .length = SIZE - PART_BYTES, .tag = "600000"},
	};

	upload_op(b, CLOUD_UPLOAD_COMMIT, 0);
	for (size_t i = 0; i < (whole ? 2 : 1); i++)
		*upload_parts_add(&b->op.parts) = parts[i];
}

static void
test_upload_commit(void **state)
{
	static const char made[] = FILE_MORE("f1", "up", "top", "2001-01-01T00:00:00.000Z",
	    ",\"headRevisionId\":\"r\",\"appProperties\":{\"skyferryUpload\":\"" TOKEN "\"}");
	struct bench b;
	struct gdrive_account *drive;
	struct resumable_session *session;

	bench_at_top(&b);
	drive = b.account.data;
	upload_commit(&b, false);
	find_none(&b, NAMED("top", "up"));
	assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EINVAL);
	/* The end is not here any more. */
	upload_commit(&b, true);
	find_none(&b, NAMED("top", "up"));
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EINVAL);
	/* It is. */
	session = resumable_session_get(&drive->sessions, TOKEN, true);
	session->tail = (struct buf)BUF_INIT(RESUMABLE_CHUNK);
	for (int i = 0; i < 75712; i++)
		buf_putc(&session->tail, 'x');
	upload_commit(&b, true);
	find_none(&b, NAMED("top", "up"));
	expect_session(&b, "bytes 524288-599999/600000", 0, 0);
	assert_int_equal(b.request.http.bytes.len, 75712);
	assert_int_equal(bench_answer(&b, 200, "", made), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "r");
	/* Its directory is another one than when it was begun: it comes to where the path leads. */
	session = resumable_session_get(&drive->sessions, TOKEN, true);
	session->tail = (struct buf)BUF_INIT(RESUMABLE_CHUNK);
	for (int i = 0; i < 75712; i++)
		buf_putc(&session->tail, 'x');
	upload_commit(&b, true);
	xstrset(&b.op.upload, "1 600000 524288 " TOKEN " f1 new " SESSION);
	find_none(&b, NAMED("top", "up"));
	expect_session(&b, "bytes 524288-599999/600000", 0, 0);
	assert_int_equal(bench_answer(&b, 200, "",
			     FILE_MORE("f1", "up", "old-dir", "2001-01-01T00:00:00.000Z",
				 ",\"appProperties\":{\"skyferryUpload\":\"" TOKEN "\"}")),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "PATCH", FILES "/f1" ONE "&addParents=top&removeParents=old-dir");
	expect_body(&b, "{\"trashed\":false}");
	assert_int_equal(bench_answer(&b, 200, "", made), CLOUD_STEP_DONE);
	/* The answer was lost: the file says whose it is. */
	upload_commit(&b, true);
	bench_expect(&b, "GET", NAMED("top", "up"));
	assert_int_equal(bench_answer(&b, 200, "", "{\"files\":[" FILE_OF("f1", "up", "top") "]}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/f1" ONE);
	assert_int_equal(bench_answer(&b, 200, "", made), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	/* What was to be overwritten was moved away: it is not touched either. */
	upload_commit(&b, true);
	free(b.op.upload);
	b.op.upload = xstrdup("1 600000 524288 " TOKEN " f1 old " SESSION);
	gdrive_place_drop(b.account.data, "up", 2);
	find_none(&b, NAMED("top", "up"));
	bench_expect(&b, "GET", FILES "/f1" ONE);
	assert_int_equal(bench_answer(&b, 200, "", FILE_OF("f1", "up", "else")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	/* Another file has come there: it is not touched. */
	upload_commit(&b, true);
	bench_expect(&b, "GET", NAMED("top", "up"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("f2", "up", "top"))), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/f2" ONE);
	assert_int_equal(bench_answer(&b, 200, "", FILE_OF("f2", "up", "top")), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

static void
test_upload_abort(void **state)
{
	static const int gone[] = {499, 204};
	struct bench b;

	bench_at_top(&b);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		upload_op(&b, CLOUD_UPLOAD_ABORT, 0);
		bench_expect(&b, "DELETE", SESSION);
		assert_int_equal(bench_answer(&b, gone[i], "", ""), CLOUD_STEP_DONE);
	}
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_upload_begin),
	    cmocka_unit_test(test_upload_parts),
	    cmocka_unit_test(test_upload_commit),
	    cmocka_unit_test(test_upload_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
