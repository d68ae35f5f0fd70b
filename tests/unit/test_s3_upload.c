/* The s3 driver's uploads in parts and copies, from requests written to answers understood. */
#include "tests/unit/s3_bench.h"
#include <stdlib.h>
#include <string.h>

#define AMAZON_BOX "{\"bucket\":\"box\"," KEYS "}"
#define CEPH                                                                                       \
	"{\"service\":\"ceph\",\"endpoint\":\"http://127.0.0.1:7480\",\"bucket\":\"box\"," KEYS "}"
#define CUSTOMER                                                                                   \
	"{\"endpoint\":\"http://127.0.0.1:7480\",\"bucket\":\"box\",\"encryption\":\"customer\","  \
	"\"customerKey\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"," KEYS "}"
#define BOX "http://127.0.0.1:7480/box"
#define MD5 "0123456789abcdef0123456789abcdef"
#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

static void
upload_op(struct bench *b, enum cloud_op_kind kind)
{
	bench_op(b, kind, "d/k y");
	b->op.upload = xstrdup("up/1+=");
}

static void
test_begin(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "d/k y.txt");
	b.op.put = (struct cloud_put){.mtime_ns = 1700000000123456789, .mode = 0644};
	bench_expect(&b, "POST", BOX "/d/k%20y.txt?uploads");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_string_equal(bench_header(&b, "Content-Type"), "text/plain");
	assert_string_equal(bench_header(&b, "x-amz-meta-mtime"), "1700000000.123456789");
	assert_string_equal(bench_header(&b, "x-amz-meta-mode"), "0644");
	assert_null(bench_header(&b, "x-amz-checksum-algorithm"));
	assert_null(bench_header(&b, "If-None-Match"));
	assert_int_equal(bench_answer(&b, 200, "",
			     XML "<InitiateMultipartUploadResult><Bucket>box</Bucket><Key>k</Key>"
				 "<UploadId>up/1+=</UploadId></InitiateMultipartUploadResult>"),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.upload, "up/1+=");

	bench_op(&b, CLOUD_UPLOAD_BEGIN, "k");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "k");
	assert_int_equal(bench_answer(&b, 200, "", "<html/>"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);

	bench_open(&b, AMAZON_BOX);
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "k");
	bench_expect(&b, "POST", "https://box.s3.us-east-1.amazonaws.com/k?uploads");
	assert_string_equal(bench_header(&b, "x-amz-checksum-algorithm"), "CRC32C");
	assert_string_equal(bench_header(&b, "x-amz-checksum-type"), "FULL_OBJECT");
	bench_close(&b);
}

static void
test_part(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	upload_op(&b, CLOUD_UPLOAD_PART);
	b.op.part.number = 7;
	b.op.length = 100;
	bench_expect(&b, "PUT", BOX "/d/k%20y?partNumber=7&uploadId=up%2F1%2B%3D");
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, 100);
	assert_int_equal(bench_answer(&b, 200, "ETag: \"" MD5 "\"\n", ""), CLOUD_STEP_DONE);
	assert_string_equal(b.op.part.tag, MD5);
	assert_int_equal(b.op.part.length, 100);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5));
	assert_false(b.op.part.has_crc32c);
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"x-1\"\nx-amz-checksum-crc32c: NSRBwg==\n", ""),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_CRC32C));
	assert_true(b.op.part.has_crc32c);
	assert_int_equal(b.op.part.crc32c, 0x352441c2);

	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_FAIL); /* no etag */
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(bench_answer(&b, 200, "ETag: \"a<b\"\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"" MD5 MD5 "0123456789\"\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(
	    bench_answer(&b, 404, "", ERROR_BODY("NoSuchUpload", "gone")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	b.op.part.number = 10001;
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -E2BIG);
	b.op.part.number = 1;
	b.op.length = s3_driver.limits.part_max + 1;
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EFBIG);
	bench_close(&b);
}

#define PART(number, etag, size)                                                                   \
	"<Part><PartNumber>" number "</PartNumber><ETag>" etag "</ETag><Size>" size "</Size></Part>"

static void
test_status(void **state)
{
	static const char *const nonsense[] = {
	    "<ListPartsResult>" PART("2", "\"a\"", "5")
		PART("1", "\"b\"", "5") "</ListPartsResult>",
	    "<ListPartsResult>" PART("0", "\"a\"", "5") "</ListPartsResult>",
	    "<ListPartsResult>" PART("10001", "\"a\"", "5") "</ListPartsResult>",
	    "<ListPartsResult>" PART("1", "\"a\"", "-5") "</ListPartsResult>",
	    "<ListPartsResult>" PART("1", "", "5") "</ListPartsResult>",
	    "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
	    "<ListPartsResult>" PART("1", "a", "5"),
	    "<Other/>",
	    "",
	};
	struct bench b;

	bench_open(&b, OWN);
	upload_op(&b, CLOUD_UPLOAD_STATUS);
	bench_expect(&b, "GET", BOX "/d/k%20y?uploadId=up%2F1%2B%3D");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		XML "<ListPartsResult><IsTruncated>true</IsTruncated>" PART("1",
		    "&quot;" MD5 "&quot;", "5242880") PART("4", "x", "7") "</ListPartsResult>"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", BOX "/d/k%20y?part-number-marker=4&uploadId=up%2F1%2B%3D");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>9</PartNumber>"
		"<ChecksumCRC32C>NSRBwg==</ChecksumCRC32C><ETag>\"y\"</ETag><Size>0</Size></Part>"
		"</ListPartsResult>"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 3);
	assert_string_equal(b.op.parts.items[0].tag, MD5);
	assert_int_equal(b.op.parts.items[0].length, 5242880);
	assert_int_equal(b.op.parts.items[1].number, 4);
	assert_string_equal(b.op.parts.items[1].tag, "x");
	assert_int_equal(b.op.parts.items[2].crc32c, 0x352441c2);

	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		upload_op(&b, CLOUD_UPLOAD_STATUS);
		assert_int_equal(bench_answer(&b, 200, "", nonsense[i]), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, -EPROTO);
	}
	bench_close(&b);
}

static void
commit_op(struct bench *b)
{
	upload_op(b, CLOUD_UPLOAD_COMMIT);
	*upload_parts_add(&b->op.parts) = (struct upload_part){
	    .number = 1, .length = 10, .tag = "a", .crc32c = 0x352441c2, .has_crc32c = true};
	*upload_parts_add(&b->op.parts) =
	    (struct upload_part){.number = 3, .length = 5, .tag = MD5};
}

#define COMMITTED(etag)                                                                            \
	"<CompleteMultipartUploadResult><ETag>" etag "</ETag></CompleteMultipartUploadResult>"

static void
test_commit(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	commit_op(&b);
	bench_expect(&b, "POST", BOX "/d/k%20y?uploadId=up%2F1%2B%3D");
	assert_string_equal(buf_str(&b.request.http.bytes),
	    "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	    "<Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>"
	    "<Part><PartNumber>3</PartNumber><ETag>&quot;" MD5 "&quot;</ETag></Part>"
	    "</CompleteMultipartUpload>");
	assert_int_equal(strlen(bench_header(&b, "x-amz-content-sha256")), 64);
	/* White space that kept it alive, on either side of the declaration. */
	assert_int_equal(
	    bench_answer(&b, 200, "", "  \n  \n" XML "  \n   " COMMITTED("\"" MD5 "-2\"")),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, MD5 "-2");
	assert_int_equal(b.op.entry.size, 15);
	assert_int_equal(b.op.entry.digests.have, 0);

	/* RADOS Gateway does not say its etag. */
	commit_op(&b);
	assert_int_equal(bench_answer(&b, 200, "", XML COMMITTED("")), CLOUD_STEP_NEXT);
	bench_expect(&b, "HEAD", BOX "/d/k%20y");
	assert_int_equal(bench_answer(&b, 200,
			     "ETag: \"" MD5 "-2\"\nContent-Length: 15\n"
			     "x-amz-meta-mtime: 7.000000000\n",
			     ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, MD5 "-2");
	assert_int_equal(b.op.entry.mtime_ns, 7000000000);
	commit_op(&b);
	assert_int_equal(bench_answer(&b, 200, "", XML COMMITTED("")), CLOUD_STEP_NEXT);
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"x\"\nContent-Length: 16\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);

	bench_close(&b);
}

/* A 200 can carry an error, and a failure can be one of an upload that is gone. */
static void
test_commit_errors(void **state)
{
	static const struct {
		const char *body;
		int code;
		enum cloud_step step;
	} cases[] = {
	    {" \n" XML "   <Error><Code>InternalError</Code><Message>m</Message></Error>", -EIO,
		CLOUD_STEP_RETRY},
	    {XML "<Error><Code>SlowDown</Code></Error>", -EAGAIN, CLOUD_STEP_RETRY},
	    {XML "<Error><Code>InvalidPart</Code></Error>", -EINVAL, CLOUD_STEP_FAIL},
	    {XML "<Error><Code>Unheard</Code></Error>", -EPROTO, CLOUD_STEP_RETRY},
	    {XML "<CompleteMultipartUploadResult><ETag>", -EPROTO, CLOUD_STEP_FAIL},
	    {"", -EPROTO, CLOUD_STEP_FAIL},
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		commit_op(&b);
		assert_int_equal(bench_answer(&b, 200, "", cases[i].body), cases[i].step);
		assert_int_equal(b.err.code, cases[i].code);
	}
	commit_op(&b);
	assert_int_equal(
	    bench_answer(&b, 500, "", ERROR_BODY("InternalError", "busy")), CLOUD_STEP_RETRY);
	bench_expect(&b, "GET", BOX "/d/k%20y?max-parts=1&uploadId=up%2F1%2B%3D");
	assert_int_equal(
	    bench_answer(&b, 404, "", ERROR_BODY("NoSuchUpload", "")), CLOUD_STEP_NEXT);
	bench_expect(&b, "HEAD", BOX "/d/k%20y");
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	commit_op(&b);
	assert_int_equal(
	    bench_answer(&b, 500, "", ERROR_BODY("InternalError", "busy")), CLOUD_STEP_RETRY);
	assert_int_equal(bench_answer(&b, 200, "", "<ListPartsResult/>"), CLOUD_STEP_NEXT);
	bench_expect(&b, "POST", BOX "/d/k%20y?uploadId=up%2F1%2B%3D");
	bench_close(&b);
}

/* Where the service cannot be told not to replace, it is asked before. */
static void
test_commit_guarded(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	commit_op(&b);
	b.op.put.no_replace = true;
	bench_expect(&b, "HEAD", BOX "/d/k%20y");
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 1\nETag: \"x\"\n", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "HEAD", BOX "/d/k%20y");
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 1\nETag: \"x\"\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	commit_op(&b);
	b.op.put.no_replace = true;
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "POST", BOX "/d/k%20y?uploadId=up%2F1%2B%3D");
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	bench_close(&b);

	bench_open(&b, AMAZON_BOX);
	commit_op(&b);
	b.op.put.no_replace = true;
	bench_expect(
	    &b, "POST", "https://box.s3.us-east-1.amazonaws.com/d/k%20y?uploadId=up%2F1%2B%3D");
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_string_equal(bench_header(&b, "x-amz-mp-object-size"), "15");
	assert_non_null(strstr(buf_str(&b.request.http.bytes),
	    "<ETag>&quot;a&quot;</ETag><ChecksumCRC32C>NSRBwg==</ChecksumCRC32C></Part>"));
	assert_null(bench_header(&b, "x-amz-checksum-crc32c"));
	digests_set(&b.op.put.digests, HASH_CRC32C, "\x35\x24\x41\xc2");
	bench_expect(
	    &b, "POST", "https://box.s3.us-east-1.amazonaws.com/d/k%20y?uploadId=up%2F1%2B%3D");
	assert_string_equal(bench_header(&b, "x-amz-checksum-crc32c"), "NSRBwg==");
	assert_int_equal(bench_answer(&b, 412, "",
			     "<Error><Code>PreconditionFailed</Code>"
			     "<Condition>If-None-Match</Condition></Error>"),
	    CLOUD_STEP_NEXT);
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 1\nETag: \"x\"\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	bench_close(&b);
}

/* The answer was lost, and the upload is gone: what is there is looked at, and is what the parts
   make, or not. */
static void
test_commit_proven(void **state)
{
	static const struct {
		const char *head;
		enum cloud_step step;
	} cases[] = {
	    {"Content-Length: 15\nETag: \"5873dd45edd01f09c1ef2e7819369e8e-2\"\n", CLOUD_STEP_DONE},
	    {"Content-Length: 15\nETag: \"5873dd45edd01f09c1ef2e7819369e8e-3\"\n", CLOUD_STEP_FAIL},
	    {"Content-Length: 15\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\n", CLOUD_STEP_FAIL},
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		commit_op(&b);
		assert_int_equal(b.op.parts.len, 2);
		for (size_t k = 0; k < b.op.parts.len; k++)
			snprintf(b.op.parts.items[k].tag, CLOUD_TAG_MAX,
			    "d41d8cd98f00b204e9800998ecf8427e");
		assert_int_equal(
		    bench_answer(&b, 404, "", ERROR_BODY("NoSuchUpload", "")), CLOUD_STEP_NEXT);
		bench_expect(&b, "HEAD", BOX "/d/k%20y");
		assert_int_equal(bench_answer(&b, 200, cases[i].head, ""), cases[i].step);
	}
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

static void
test_abort(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	upload_op(&b, CLOUD_UPLOAD_ABORT);
	bench_expect(&b, "DELETE", BOX "/d/k%20y?uploadId=up%2F1%2B%3D");
	assert_int_equal(bench_answer(&b, 204, "", ""), CLOUD_STEP_DONE);
	assert_int_equal(
	    bench_answer(&b, 404, "", ERROR_BODY("NoSuchUpload", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT); /* which the runner forgives */
	bench_close(&b);
}

#define UPLOAD(key, id)  "<Upload><Key>" key "</Key><UploadId>" id "</UploadId></Upload>"
#define UPLOADS(content) XML "<ListMultipartUploadsResult>" content "</ListMultipartUploadsResult>"

static void
test_find(void **state)
{
	static const char first[] =
	    BOX "?uploads&encoding-type=url&max-uploads=1000&prefix=d%2Fk%20y";
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_UPLOAD_FIND, "d/k y");
	bench_expect(&b, "GET", first);
	assert_int_equal(bench_answer(&b, 200, "",
			     UPLOADS("<IsTruncated>true</IsTruncated>"
				     "<EncodingType>url</EncodingType>"
				     "<NextKeyMarker>d/k+y</NextKeyMarker>"
				     "<NextUploadIdMarker>2</NextUploadIdMarker>" UPLOAD(
					 "d/k+y", "1") UPLOAD("d/k+yz", "x") UPLOAD("d/k+y", "2"))),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET",
	    BOX "?uploads&encoding-type=url&max-uploads=1000&prefix=d%2Fk%20y&key-marker=d%2Fk%20y"
		"&upload-id-marker=2");
	assert_int_equal(
	    bench_answer(&b, 200, "", UPLOADS(UPLOAD("d/k y", "3") UPLOAD("d/k%20y", "no"))),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.uploads_len, 3);
	assert_string_equal(b.op.uploads[0], "1");
	assert_string_equal(b.op.uploads[2], "3");

	/* In circles. */
	bench_op(&b, CLOUD_UPLOAD_FIND, "d/k y");
	for (int i = 0; i < 2; i++)
		assert_int_equal(bench_answer(&b, 200, "",
				     UPLOADS("<IsTruncated>true</IsTruncated>"
					     "<NextKeyMarker>k</NextKeyMarker>")),
		    i == 0 ? CLOUD_STEP_NEXT : CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_op(&b, CLOUD_UPLOAD_FIND, "d/k y");
	assert_int_equal(
	    bench_answer(&b, 200, "", UPLOADS("<IsTruncated>true</IsTruncated>")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);

	/* RADOS Gateway encodes the keys, but not the marker, and says nothing. */
	bench_open(&b, CEPH);
	bench_op(&b, CLOUD_UPLOAD_FIND, "d/k y");
	assert_int_equal(
	    bench_answer(&b, 200, "", UPLOADS(UPLOAD("d/k%20y", "1"))), CLOUD_STEP_DONE);
	assert_int_equal(b.op.uploads_len, 1);
	bench_close(&b);
}

/* However many there are: pages are bounded. */
static void
test_find_bounded(void **state)
{
	enum cloud_step step = CLOUD_STEP_NEXT;
	struct bench b;
	int pages = 0;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_UPLOAD_FIND, "k");
	while (step == CLOUD_STEP_NEXT && pages < 1000) {
		CLEANUP(cleanup_free)
		char *body = xasprintf(UPLOADS("<IsTruncated>true</IsTruncated>"
					       "<NextKeyMarker>k%d</NextKeyMarker>%s"),
		    ++pages, UPLOAD("k", "id"));

		step = bench_answer(&b, 200, "", body);
	}
	assert_int_equal(step, CLOUD_STEP_DONE);
	assert_int_equal(pages, 20);
	assert_int_equal(b.op.uploads_len, 20);
	bench_close(&b);
}

static void
copy_op(struct bench *b, enum cloud_op_kind kind, const char *version)
{
	upload_op(b, kind);
	b->op.from = &b->account;
	b->op.path2 = xstrdup("s/\xc3\xa4 +%");
	b->op.version = xstrdup_null(version);
	b->op.length = 100;
	b->op.part.number = 2;
}

#define COPIED(etag) XML "<CopyObjectResult><ETag>" etag "</ETag></CopyObjectResult>"

static void
test_copy(void **state)
{
	struct bench b;

	bench_open(&b, AMAZON_BOX);
	copy_op(&b, CLOUD_COPY, MD5);
	b.op.put.mtime_ns = 7000000000;
	b.op.put.content_type = xstrdup("text/x-own");
	bench_expect(&b, "PUT", "https://box.s3.us-east-1.amazonaws.com/d/k%20y");
	assert_string_equal(bench_header(&b, "x-amz-copy-source"), "/box/s/%C3%A4%20%2B%25");
	assert_string_equal(bench_header(&b, "x-amz-copy-source-if-match"), "\"" MD5 "\"");
	assert_string_equal(bench_header(&b, "x-amz-metadata-directive"), "REPLACE");
	assert_string_equal(bench_header(&b, "Content-Type"), "text/x-own");
	assert_string_equal(bench_header(&b, "x-amz-meta-mtime"), "7.000000000");
	assert_null(bench_header(&b, "If-None-Match"));
	/* Multipart objects have another etag when they are copied. */
	assert_int_equal(bench_answer(&b, 200, "", "  " COPIED("\"x-2\"")), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "x-2");
	assert_int_equal(b.op.entry.size, 100);
	assert_int_equal(b.op.entry.mtime_ns, 7000000000);
	assert_int_equal(
	    bench_answer(&b, 412, "", ERROR_BODY("PreconditionFailed", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_non_null(strstr(b.err.msg, "s/"));
	assert_int_equal(bench_answer(&b, 200, "", XML "<Error><Code>AccessDenied</Code></Error>"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);

	/* Nothing is said of attributes: the source's are kept, and looked at. */
	copy_op(&b, CLOUD_COPY, NULL);
	b.op.put.no_replace = true;
	bench_expect(&b, "PUT", "https://box.s3.us-east-1.amazonaws.com/d/k%20y");
	assert_null(bench_header(&b, "x-amz-metadata-directive"));
	assert_null(bench_header(&b, "x-amz-copy-source-if-match"));
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_int_equal(bench_answer(&b, 200, "", COPIED("\"" MD5 "\"")), CLOUD_STEP_NEXT);
	bench_expect(&b, "HEAD", "https://box.s3.us-east-1.amazonaws.com/d/k%20y");
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"" MD5 "\"\nContent-Length: 100\n", ""), CLOUD_STEP_DONE);
	copy_op(&b, CLOUD_COPY, NULL);
	b.op.put.no_replace = true;
	assert_int_equal(
	    bench_answer(&b, 412, "", ERROR_BODY("PreconditionFailed", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	copy_op(&b, CLOUD_COPY, NULL);
	b.op.length = ((uint64_t)5 << 30) + 1;
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EOPNOTSUPP);
	bench_close(&b);
}

/* A service that does not pin the source: looked at before, compared after. */
static void
test_copy_unpinned(void **state)
{
	static const char other[] = "ffffffffffffffffffffffffffffffff";
	CLEANUP(cleanup_free) char *copied = xasprintf(COPIED("\"%s\""), other);
	struct bench b;

	bench_open(&b, CEPH);
	copy_op(&b, CLOUD_COPY, MD5);
	b.op.put.mtime_ns = 7;
	bench_expect(&b, "HEAD", BOX "/s/%C3%A4%20%2B%25");
	assert_string_equal(bench_header(&b, "If-Match"), "\"" MD5 "\"");
	assert_int_equal(bench_answer(&b, 412, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_int_equal(bench_answer(&b, 403, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"" MD5 "\"\nContent-Length: 100\n", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "PUT", BOX "/d/k%20y");
	assert_int_equal(bench_answer(&b, 200, "", copied), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_int_equal(bench_answer(&b, 200, "", COPIED("\"" MD5 "\"")), CLOUD_STEP_DONE);

	/* Etags that cannot be compared: looked at again. */
	copy_op(&b, CLOUD_COPY, MD5 "-2");
	b.op.put.mtime_ns = 7;
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"x\"\nContent-Length: 100\n", ""), CLOUD_STEP_NEXT);
	assert_int_equal(bench_answer(&b, 200, "", copied), CLOUD_STEP_NEXT);
	bench_expect(&b, "HEAD", BOX "/s/%C3%A4%20%2B%25");
	assert_int_equal(bench_answer(&b, 412, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	bench_close(&b);
}

static void
test_copy_part(void **state)
{
	struct bench b;

	bench_open(&b, CEPH);
	copy_op(&b, CLOUD_COPY_PART, MD5);
	b.op.offset = 1000;
	bench_expect(&b, "PUT", BOX "/d/k%20y?partNumber=2&uploadId=up%2F1%2B%3D");
	assert_string_equal(bench_header(&b, "x-amz-copy-source"), "/box/s/%C3%A4%20%2B%25");
	assert_string_equal(bench_header(&b, "x-amz-copy-source-range"), "bytes=1000-1099");
	assert_string_equal(bench_header(&b, "x-amz-copy-source-if-match"), "\"" MD5 "\"");
	assert_int_equal(
	    bench_answer(&b, 200, "", " <CopyPartResult><ETag>\"" MD5 "\"</ETag></CopyPartResult>"),
	    CLOUD_STEP_NEXT);
	assert_string_equal(b.op.part.tag, MD5);
	assert_int_equal(b.op.part.length, 100);
	bench_expect(&b, "HEAD", BOX "/s/%C3%A4%20%2B%25");
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"" MD5 "\"\nContent-Length: 9\n", ""), CLOUD_STEP_DONE);
	copy_op(&b, CLOUD_COPY_PART, NULL);
	assert_int_equal(
	    bench_answer(&b, 200, "", "<CopyPartResult><ETag>\"x\"</ETag></CopyPartResult>"),
	    CLOUD_STEP_DONE);
	copy_op(&b, CLOUD_COPY_PART, NULL);
	assert_int_equal(bench_answer(&b, 200, "", "<CopyPartResult/>"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	copy_op(&b, CLOUD_COPY_PART, NULL);
	b.op.length = 0;
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EINVAL);
	bench_close(&b);
}

/* Another account's bucket that our keys cannot see: the relay finds out whether it is there. */
static void
test_copy_out_of_sight(void **state)
{
	struct bench b;
	struct account from;

	bench_open(&b, CEPH);
	from = b.account;
	b.account.id = (char *)"1";
	from.id = (char *)"2";
	for (int i = 0; i < 2; i++) {
		copy_op(&b, i == 0 ? CLOUD_COPY : CLOUD_COPY_PART, NULL);
		b.op.from = &from;
		assert_int_equal(
		    bench_answer(&b, 404, "", ERROR_BODY("NoSuchBucket", "")), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, -EXDEV);
		b.op.from = &b.account;
		assert_int_equal(
		    bench_answer(&b, 404, "", ERROR_BODY("NoSuchKey", "")), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, -ENOENT);
	}
	b.op.from = &from;
	assert_int_equal(
	    bench_answer(&b, 404, "", ERROR_BODY("NoSuchUpload", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

/* The key goes with every byte that moves, and with every look at what is encrypted. */
static void
test_customer_key(void **state)
{
	static const enum cloud_op_kind kinds[] = {CLOUD_STAT, CLOUD_READ, CLOUD_PUT, CLOUD_REMOVE,
	    CLOUD_COPY, CLOUD_UPLOAD_BEGIN, CLOUD_UPLOAD_PART, CLOUD_COPY_PART};
	static const char name[] = "x-amz-server-side-encryption-customer-";
	struct bench b;

	bench_open(&b, CUSTOMER);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		copy_op(&b, kinds[i], NULL);
		http_request_fini(&b.request.http);
		http_request_init(&b.request.http);
		assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_SEND);
		assert_string_equal(
		    bench_header(&b, "x-amz-server-side-encryption-customer-algorithm"), "AES256");
		assert_string_equal(bench_header(&b, "x-amz-server-side-encryption-customer-key"),
		    "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
		assert_string_equal(
		    bench_header(&b, "x-amz-server-side-encryption-customer-key-MD5"),
		    "hRasmdxgYDKV3nvbahU1MA==");
		if (kinds[i] == CLOUD_COPY || kinds[i] == CLOUD_COPY_PART)
			assert_non_null(bench_header(
			    &b, "x-amz-copy-source-server-side-encryption-customer-key"));
	}
	copy_op(&b, CLOUD_LIST, NULL);
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_SEND);
	assert_null(strstr(buf_str(&b.request.http.url), name));
	/* Its etag is no hash. */
	copy_op(&b, CLOUD_PUT, NULL);
	assert_int_equal(bench_answer(&b, 200, "ETag: \"" MD5 "\"\n", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.digests.have, 0);
	bench_close(&b);
}

static void
test_options(void **state)
{
	struct bench b;

	bench_open(&b,
	    "{\"endpoint\":\"http://127.0.0.1:7480\",\"bucket\":\"box\",\"encryption\":\"aws:kms\","
	    "\"kmsKeyId\":\"key-1\",\"storageClass\":\"STANDARD_IA\",\"requesterPays\":\"yes\"," KEYS
	    "}");
	for (int i = 0; i < 2; i++) {
		upload_op(&b, i == 0 ? CLOUD_PUT : CLOUD_UPLOAD_BEGIN);
		b.op.length = 1;
		assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_SEND);
		assert_string_equal(bench_header(&b, "x-amz-storage-class"), "STANDARD_IA");
		assert_string_equal(bench_header(&b, "x-amz-server-side-encryption"), "aws:kms");
		assert_string_equal(
		    bench_header(&b, "x-amz-server-side-encryption-aws-kms-key-id"), "key-1");
		assert_string_equal(bench_header(&b, "x-amz-request-payer"), "requester");
	}
	upload_op(&b, CLOUD_LIST);
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_SEND);
	assert_string_equal(bench_header(&b, "x-amz-request-payer"), "requester");
	assert_null(bench_header(&b, "x-amz-storage-class"));
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
	    cmocka_unit_test(test_commit_errors),
	    cmocka_unit_test(test_commit_guarded),
	    cmocka_unit_test(test_commit_proven),
	    cmocka_unit_test(test_abort),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_find_bounded),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_copy_unpinned),
	    cmocka_unit_test(test_copy_part),
	    cmocka_unit_test(test_copy_out_of_sight),
	    cmocka_unit_test(test_customer_key),
	    cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
