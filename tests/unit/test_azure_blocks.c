/* The azure driver's uploads in blocks and copies, from requests written to answers understood. */
#include "tests/unit/azure_bench.h"
#include <stdlib.h>
#include <string.h>

#define UPLOAD "000102030405060708090a"
#define TAG1   "013ed3d5bc000000001" /* at NOW_MS */
#define TAG2   "013ed3d5bc010000002"

/* As the driver has to name a block; one of the last eight stays valid. */
static const char *
block_id(const char *number, const char *tag)
{
	static struct buf ids[8];
	static unsigned next;
	struct buf *id = &ids[next++ % ARRAY_LEN(ids)];
	CLEANUP(cleanup_free) char *text = xasprintf(UPLOAD "-%s-%s", number, tag);

	buf_free(id);
	*id = (struct buf)BUF_INIT(128);
	buf_put_base64(id, text, strlen(text));
	return buf_str(id);
}

static void
upload_op(struct bench *b, enum cloud_op_kind kind)
{
	bench_op(b, kind, "d/k y");
	b->op.upload = xstrdup(UPLOAD);
}

static void
add_part(struct bench *b, unsigned number, const char *tag, uint64_t length)
{
	struct upload_part *part = upload_parts_add(&b->op.parts);

	part->number = number;
	part->length = length;
	snprintf(part->tag, sizeof part->tag, "%s", tag);
}

/* Nothing is sent: an upload whose id was lost has left nothing. */
static void
test_begin(void **state)
{
	static const enum cloud_op_kind kinds[] = {CLOUD_UPLOAD_FIND, CLOUD_UPLOAD_ABORT};
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "d/k y");
	for (unsigned i = 0; i < sizeof b.op.random; i++)
		b.op.random[i] = (unsigned char)i;
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_DONE);
	assert_string_equal(b.op.upload, UPLOAD);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		upload_op(&b, kinds[i]);
		assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_DONE);
		assert_int_equal(b.op.uploads_len, 0);
	}
	bench_close(&b);
}

static void
test_part(void **state)
{
	static const char *const uploads[] = {
	    NULL, "", "other", UPLOAD "0", "000102030405060708090-"};
	CLEANUP(cleanup_free) char *url = NULL;
	struct bench b;

	bench_open(&b, OWN);
	upload_op(&b, CLOUD_UPLOAD_PART);
	b.op.part.number = 7;
	b.op.length = 100;
	b.op.random[11] = 1;
	url = xasprintf(BOX "/d/k%%20y?blockid=%s&comp=block", block_id("00007", TAG1));
	bench_expect(&b, "PUT", url);
	assert_string_equal(b.op.part.tag, TAG1);
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, 100);
	assert_int_equal(
	    bench_answer(&b, 201, "x-ms-content-crc64: iJh5CoYUi64=\n", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.part.length, 100);
	assert_false(b.op.part.has_crc32c);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_CRC64));
	assert_memory_equal(
	    b.op.entry.digests.sum[HASH_CRC64], "\xae\x8b\x14\x86\x0a\x79\x98\x88", 8);
	/* Another try is another block: the first may still arrive. */
	b.op.now_ms++;
	b.op.random[11] = 2;
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_SEND);
	assert_string_equal(b.op.part.tag, TAG2);
	assert_int_equal(bench_answer(&b, 201, "", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.digests.have, 0);

	assert_int_equal(
	    bench_answer(&b, 400, "", ERROR_BODY("InvalidBlobOrBlock", "x")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EBUSY);
	assert_non_null(strstr(b.err.msg, "never finished"));
	assert_int_equal(
	    bench_answer(&b, 409, "", ERROR_BODY("InvalidBlobType", "x")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	assert_non_null(strstr(b.err.msg, "append"));

	b.op.part.number = 50001;
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -E2BIG);
	b.op.part.number = 1;
	b.op.length = azure_driver.limits.part_max + 1;
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EFBIG);
	for (size_t i = 0; i < ARRAY_LEN(uploads); i++) {
		xstrset(&b.op.upload, uploads[i]);
		assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, -ENOENT);
	}
	bench_close(&b);
}

#define BLOCK "<Block><Name>%s</Name><Size>%d</Size></Block>"

static void
test_status(void **state)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(10000);
	struct bench b;

	bench_open(&b, OWN);
	upload_op(&b, CLOUD_UPLOAD_STATUS);
	bench_expect(&b, "GET", BOX "/d/k%20y?blocklisttype=uncommitted&comp=blocklist");
	buf_printf(&body,
	    XML "<BlockList><CommittedBlocks>" BLOCK "</CommittedBlocks>"
		"<UncommittedBlocks>" BLOCK BLOCK BLOCK BLOCK BLOCK BLOCK
		"</UncommittedBlocks></BlockList>",
	    block_id("00009", TAG1), 9, "Zm9yZWlnbg==", 1, block_id("00003", TAG1), 30,
	    block_id("00001", TAG2), 12, block_id("00001", TAG1), 11, block_id("00000", TAG1), 1,
	    block_id("50001", TAG1), 1);
	assert_int_equal(bench_answer(&b, 200, "", buf_str(&body)), CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 2);
	assert_int_equal(b.op.parts.items[0].number, 1);
	assert_int_equal(b.op.parts.items[0].length, 12);
	assert_string_equal(b.op.parts.items[0].tag, TAG2); /* the newest of that number */
	assert_int_equal(b.op.parts.items[1].number, 3);
	assert_string_equal(b.op.parts.items[1].tag, TAG1);

	upload_op(&b, CLOUD_UPLOAD_STATUS); /* all gone: to be sent again */
	assert_int_equal(
	    bench_answer(&b, 404, "x-ms-error-code: BlobNotFound\n", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 0);
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	assert_int_equal(bench_answer(&b, 200, "", "<html/>"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(bench_answer(&b, 200, "",
			     "<BlockList><UncommittedBlocks><Block><Name>x</Name><Size>-1</Size>"
			     "</Block></UncommittedBlocks></BlockList>"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);
}

static void
commit_op(struct bench *b)
{
	upload_op(b, CLOUD_UPLOAD_COMMIT);
	add_part(b, 1, TAG2, 100);
	add_part(b, 2, TAG1, 50);
	b->op.put.mtime_ns = 1700000000123456789;
	b->op.put.mode = 0600;
	b->op.put.content_type = xstrdup("text/x-test");
}

static void
test_commit(void **state)
{
	CLEANUP(cleanup_free) char *body = NULL;
	struct bench b;

	bench_open(&b, OWN);
	commit_op(&b);
	bench_expect(&b, "PUT", BOX "/d/k%20y?comp=blocklist");
	body = xasprintf("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>"
			 "<Uncommitted>%s</Uncommitted><Uncommitted>%s</Uncommitted></BlockList>",
	    block_id("00001", TAG2), block_id("00002", TAG1));
	assert_string_equal(buf_str(&b.request.http.bytes), body);
	assert_string_equal(bench_header(&b, "x-ms-blob-content-type"), "text/x-test");
	assert_string_equal(bench_header(&b, "x-ms-meta-mtime"), "2023-11-14T22:13:20.123456789Z");
	assert_string_equal(bench_header(&b, "x-ms-meta-mode"), "0600");
	assert_null(bench_header(&b, "If-None-Match"));
	/* Its checksums are those of the list. */
	assert_int_equal(bench_answer(&b, 201,
			     "ETag: \"0x8D9\"\nContent-MD5: kAFQmDzST7DWlj99KOF/cg==\n"
			     "x-ms-content-crc64: iJh5CoYUi64=\n",
			     ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "0x8D9");
	assert_int_equal(b.op.entry.size, 150);
	assert_int_equal(b.op.entry.digests.have, 0);
	bench_close(&b);
}

/* Which blocks the blob has, tells whether a commit has happened. */
static void
test_commit_proven(void **state)
{
	const struct {
		const char *committed, *uncommitted; /* of two blocks each, "": none */
		int code;
	} cases[] = {
	    {"21", "", 0},
	    {"21", "21", 0},
	    {"12", "", -ENOENT},
	    {"31", "", -ENOENT},
	    {"2", "", -ENOENT},
	    {"211", "", -ENOENT},
	    {"21x", "", -ENOENT},
	    {"", "2", -EINVAL},
	    {"x", "1", -EINVAL},
	    {"", "x", -ENOENT},
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_free) struct buf body = BUF_INIT(10000);
		const char *const lists[] = {cases[i].committed, cases[i].uncommitted};

		buf_puts(&body, XML "<BlockList>");
		for (int k = 0; k < 2; k++) {
			buf_puts(&body, k == 0 ? "<CommittedBlocks>" : "<UncommittedBlocks>");
			for (const char *c = lists[k]; *c != '\0'; c++)
				buf_printf(&body, BLOCK,
				    *c == '2'       ? block_id("00001", TAG2)
					: *c == '1' ? block_id("00002", TAG1)
					: *c == '3' ? block_id("00003", TAG2)
						    : "Zm9yZWlnbg==",
				    1);
			buf_puts(&body, k == 0 ? "</CommittedBlocks>" : "</UncommittedBlocks>");
		}
		buf_puts(&body, "</BlockList>");
		commit_op(&b);
		assert_int_equal(bench_answer(&b, 400, "", ERROR_BODY("InvalidBlockList", "x")),
		    CLOUD_STEP_NEXT);
		bench_expect(&b, "GET", BOX "/d/k%20y?blocklisttype=all&comp=blocklist");
		assert_int_equal(bench_answer(&b, 200, "ETag: \"0x8D8\"\n", buf_str(&body)),
		    cases[i].code == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, cases[i].code);
		if (cases[i].code == 0) {
			assert_string_equal(b.op.entry.version, "0x8D8");
			assert_int_equal(b.op.entry.size, 150);
		}
	}
	commit_op(&b); /* there is nothing at all */
	bench_answer(&b, 400, "", ERROR_BODY("InvalidBlockList", "x"));
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);

	/* Nothing may be replaced: but it may be ours. */
	for (int i = 0; i < 2; i++) {
		CLEANUP(cleanup_free)
		char *body = xasprintf("<BlockList><CommittedBlocks>" BLOCK BLOCK
				       "</CommittedBlocks></BlockList>",
		    block_id("00001", TAG2), 1,
		    i == 0 ? block_id("00002", TAG1) : block_id("00002", TAG2), 1);

		commit_op(&b);
		b.op.put.no_replace = true;
		bench_expect(&b, "PUT", BOX "/d/k%20y?comp=blocklist");
		assert_string_equal(bench_header(&b, "If-None-Match"), "*");
		assert_int_equal(bench_answer(&b, 409, "", ERROR_BODY("BlobAlreadyExists", "x")),
		    CLOUD_STEP_NEXT);
		assert_int_equal(bench_answer(&b, 200, "ETag: \"0x8D8\"\n", body),
		    i == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, i == 0 ? 0 : -EEXIST);
	}
	bench_close(&b);
}

#define SAS "?sv=2020-12-06&sr=b&sp=r&se=2013-05-24T01%3A00%3A00Z&sig="

static void
copy_op(struct bench *b, struct bench *from, enum cloud_op_kind kind)
{
	upload_op(b, kind);
	b->op.from = &from->account;
	b->op.path2 = xstrdup("x/s \xc3\xa4");
	b->op.version = xstrdup("0x8D1");
}

static void
expect_source(const struct bench *b)
{
	const char *source = bench_header(b, "x-ms-copy-source");

	assert_non_null(source);
	assert_memory_equal(source, BOX "/x/s%20%C3%A4" SAS, strlen(BOX "/x/s%20%C3%A4" SAS));
	assert_string_equal(bench_header(b, "x-ms-source-if-match"), "\"0x8D1\"");
}

static void
test_copy(void **state)
{
	struct bench b, from;

	bench_open(&b, OWN);
	bench_open(&from, OWN);
	copy_op(&b, &from, CLOUD_COPY);
	b.op.length = 9;
	b.op.put.mtime_ns = 0;
	b.op.put.no_replace = true;
	bench_expect(&b, "PUT", BOX "/d/k%20y");
	expect_source(&b);
	assert_string_equal(bench_header(&b, "x-ms-blob-type"), "BlockBlob");
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_string_equal(bench_header(&b, "x-ms-meta-mtime"), "1970-01-01T00:00:00.000000000Z");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_int_equal(
	    bench_answer(&b, 201, "ETag: \"0x8D2\"\nContent-MD5: kAFQmDzST7DWlj99KOF/cg==\n", ""),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.size, 9);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5));
	assert_int_equal(
	    bench_answer(&b, 412, "x-ms-error-code: SourceConditionNotMet\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_non_null(strstr(b.err.msg, "x/s"));
	assert_int_equal(bench_answer(&b, 412, "x-ms-error-code: CannotVerifyCopySource\n", ""),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_int_equal(
	    bench_answer(&b, 409, "x-ms-error-code: BlobAlreadyExists\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	assert_int_equal(bench_answer(&b, 404, "x-ms-error-code: CannotVerifyCopySource\n", ""),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);

	/* Nothing is said of it: it keeps what the source says, which is looked at. */
	copy_op(&b, &from, CLOUD_COPY);
	b.op.length = 9;
	bench_expect(&b, "PUT", BOX "/d/k%20y");
	assert_null(bench_header(&b, "x-ms-blob-content-type"));
	assert_int_equal(bench_answer(&b, 201, "ETag: \"0x8D2\"\n", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "HEAD", BOX "/d/k%20y");
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 9\nETag: \"0x8D2\"\n", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.size, 9);
	bench_close(&b);
	bench_close(&from);
}

/* A service without Put Blob From URL: a blob of one block. */
static void
test_copy_by_block(void **state)
{
	CLEANUP(cleanup_free) char *url = NULL;
	struct bench b, from;

	bench_open(&b, OWN);
	bench_open(&from, OWN);
	copy_op(&b, &from, CLOUD_COPY);
	b.op.length = 9;
	b.op.put.mtime_ns = 0;
	b.op.put.no_replace = true;
	digests_set(&b.op.put.digests, HASH_MD5, "0123456789abcdef");
	for (unsigned i = 0; i < 11; i++)
		b.op.random[i] = (unsigned char)i;
	b.op.random[11] = 1;
	assert_int_equal(bench_answer(&b, 501, "", ""), CLOUD_STEP_NEXT);
	url = xasprintf(BOX "/d/k%%20y?blockid=%s&comp=block", block_id("00001", TAG1));
	bench_expect(&b, "PUT", url);
	expect_source(&b);
	assert_null(bench_header(&b, "x-ms-source-range"));
	assert_int_equal(bench_answer(&b, 201, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "PUT", BOX "/d/k%20y?comp=blocklist");
	assert_non_null(strstr(buf_str(&b.request.http.bytes), block_id("00001", TAG1)));
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_string_equal(bench_header(&b, "x-ms-blob-content-md5"), "MDEyMzQ1Njc4OWFiY2RlZg==");
	assert_int_equal(
	    bench_answer(&b, 201, "ETag: \"0x8D2\"\nContent-MD5: kAFQmDzST7DWlj99KOF/cg==\n", ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "0x8D2");
	assert_int_equal(b.op.entry.size, 9);
	assert_int_equal(b.op.entry.digests.have, 0);
	bench_close(&b);
	bench_close(&from);
}

static void
test_copy_part(void **state)
{
	CLEANUP(cleanup_free) char *url = NULL;
	struct bench b, from;

	bench_open(&b, OWN);
	bench_open(&from, OWN);
	copy_op(&b, &from, CLOUD_COPY_PART);
	b.op.part.number = 3;
	b.op.offset = 10;
	b.op.length = 20;
	b.op.random[11] = 1;
	url = xasprintf(BOX "/d/k%%20y?blockid=%s&comp=block", block_id("00003", TAG1));
	bench_expect(&b, "PUT", url);
	expect_source(&b);
	assert_string_equal(bench_header(&b, "x-ms-source-range"), "bytes=10-29");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_int_equal(
	    bench_answer(&b, 201, "x-ms-content-crc64: iJh5CoYUi64=\n", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.part.length, 20);
	assert_string_equal(b.op.part.tag, TAG1);
	b.op.length = 0;
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EINVAL);
	bench_close(&from);

	/* By a token of its own; and a name that no service would take in a header. */
	bench_open(
	    &from, "{\"endpoint\":\"http://127.0.0.1:10000/other\",\"sasToken\":\"sv=1&sig=x\"}");
	assert_true(azure_driver.copies_from(&b.account, &from.account));
	copy_op(&b, &from, CLOUD_COPY_PART);
	xstrset(&b.op.path2, "theirs/f");
	b.op.part.number = 3;
	b.op.length = 20;
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_SEND);
	assert_string_equal(bench_header(&b, "x-ms-copy-source"),
	    "http://127.0.0.1:10000/other/theirs/f?sv=1&sig=x");
	free(b.op.path2);
	b.op.path2 = xasprintf("theirs/%02040d", 1);
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EOPNOTSUPP);
	assert_null(strstr(b.err.msg, "sig="));
	bench_close(&from);
	bench_open(&from, CLOUD);
	assert_false(azure_driver.copies_from(&b.account, &from.account));
	bench_close(&b);
	bench_open(&b, "{\"accountName\":\"another\"}");
	assert_true(azure_driver.copies_from(&b.account, &from.account));
	bench_close(&from);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_begin),
	    cmocka_unit_test(test_part),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_commit),
	    cmocka_unit_test(test_commit_proven),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_copy_by_block),
	    cmocka_unit_test(test_copy_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
