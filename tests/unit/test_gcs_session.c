/* The gcs driver's uploads in one session (providers/gcs_session.c), and when it takes to them. */
#include "providers/gcs_account.h"
#include "tests/unit/driver_bench.h"
#include <stdlib.h>
#include <string.h>

#define HOST   "http://127.0.0.1:9000"
#define AUTO   "{\"endpoint\":\"" HOST "\",\"bucket\":\"box\"}"
#define ONLY   "{\"endpoint\":\"" HOST "\",\"bucket\":\"box\",\"uploads\":\"resumable\"}"
#define PARTS  "{\"endpoint\":\"" HOST "\",\"bucket\":\"box\",\"uploads\":\"multipart\"}"
#define GOOGLE "{\"bucket\":\"box\"}"
#define BEGIN  HOST "/upload/storage/v1/b/box/o?name=d%2Fk&uploadType=resumable"
#define FIND   HOST "/box?uploads&encoding-type=url&max-uploads=1000&prefix=d%2Fk"
#define LOOK                                                                                       \
	HOST "/storage/v1/b/box/o/d%2Fk?fields=name%2Csize%2Cgeneration%2CtimeCreated%2C"          \
	     "contentType%2Cmd5Hash%2Ccrc32c%2Cmetadata"
#define SESSION HOST "/upload/storage/v1/b/box/o?uploadType=resumable&upload_id=xyz"
#define TOKEN   "0123456789abcdef0123456789abcdef"
#define ID      "session 600000 524288 " TOKEN " " SESSION
#define SIZE    600000
#define PART    524288
#define TAIL    75712
#define MADE    "{\"size\":\"600000\",\"generation\":\"18\",\"crc32c\":\"Nks/tw==\"}"
#define OTHER   "{\"size\":\"600000\",\"generation\":\"19\",\"crc32c\":\"AAAAAA==\"}"
#define INVALID                                                                                    \
	"{\"error\":{\"code\":400,\"message\":\"the sum differs\",\"errors\":"                     \
	"[{\"reason\":\"invalid\"}]}}"

static void
bench_open(struct bench *b, const char *credentials)
{
	bench_open_driver(b, &gcs_driver, credentials);
}

static enum cloud_step
bench_request(struct bench *b)
{
	http_request_fini(&b->request.http);
	http_request_init(&b->request.http);
	return gcs_driver.request(&b->op, &b->request, &b->err);
}

/* Part 0: of the whole. */
static void
upload_op(struct bench *b, enum cloud_op_kind kind, unsigned part)
{
	bench_op(b, kind, "d/k");
	b->op.upload = kind == CLOUD_UPLOAD_BEGIN ? NULL : xstrdup(ID);
	b->op.length = SIZE;
	b->op.part.length = PART;
	if (part == 0)
		return;
	b->op.part.number = part;
	b->op.offset = (part - 1) * (uint64_t)PART;
	b->op.length = part == 1 ? PART : TAIL;
}

/* A token is not sent along: the URL is all the right that it takes. */
static void
expect_session(struct bench *b, const char *range, uint64_t take, uint64_t length)
{
	struct gcs_account *gcs = b->account.data;

	xstrset(&gcs->oauth.token, "tok");
	b->request.take = 0;
	bench_expect(b, "PUT", SESSION);
	assert_true(b->request.http.url.secret);
	assert_string_equal(bench_header(b, "Content-Range"), range);
	assert_null(bench_header(b, "Authorization"));
	assert_int_equal(b->request.take, take);
	assert_int_equal(
	    b->request.http.body == HTTP_BODY_STREAM ? b->request.http.length : 0, length);
}

static void
expect_failure(struct bench *b, enum cloud_step step, int code)
{
	assert_int_equal(step, CLOUD_STEP_FAIL);
	if (b->err.code != code)
		fail_msg("%d: %s", b->err.code, b->err.msg);
	assert_non_null(strstr(b->err.msg, "d/k"));
	assert_null(strstr(b->err.msg, "upload_id")); /* it is a secret */
}

static void
test_setting(void **state)
{
	static const struct {
		const char *credentials;
		enum gcs_uploads uploads;
	} cases[] = {
	    {AUTO, GCS_UPLOADS_UNKNOWN}, {ONLY, GCS_UPLOADS_SESSIONS}, {PARTS, GCS_UPLOADS_PARTS},
	    {GOOGLE, GCS_UPLOADS_PARTS}, /* it has both */
	};
	struct account account = {
	    .driver = &gcs_driver, .data = xcalloc(1, gcs_driver.account_size)};
	json_t *wrong = json_pack("{s:s, s:s}", "bucket", "box", "uploads", "fast");
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gcs_account *gcs;
		struct bench b;

		bench_open(&b, cases[i].credentials);
		gcs = b.account.data;
		assert_int_equal(gcs->uploads, cases[i].uploads);
		assert_int_equal(
		    b.account.limits.in_order, cases[i].uploads == GCS_UPLOADS_SESSIONS);
		bench_close(&b);
	}
	assert_int_equal(gcs_driver.open(&account, wrong, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "uploads: 'fast'"));
	json_decref(wrong);
	free(account.data);
}

static void
test_begin(void **state)
{
	struct bench b;

	bench_open(&b,
	    "{\"endpoint\":\"" HOST
	    "\",\"bucket\":\"box\",\"uploads\":\"resumable\",\"storageClass\":\"NEARLINE\"}");
	upload_op(&b, CLOUD_UPLOAD_BEGIN, 0);
	b.op.put.mode = 0600;
	b.op.put.content_type = xstrdup("text/x-test");
	bench_expect(&b, "POST", BEGIN);
	assert_string_equal(buf_str(&b.request.http.bytes),
	    "{\"metadata\":{\"mode\":\"0600\"},\"contentType\":\"text/x-test\","
	    "\"storageClass\":\"NEARLINE\"}");
	assert_string_equal(bench_header(&b, "X-Upload-Content-Length"), "600000");
	assert_string_equal(bench_header(&b, "X-Upload-Content-Type"), "text/x-test");
	assert_int_equal(bench_answer(&b, 200, "Location: " SESSION, ""), CLOUD_STEP_DONE);
	assert_string_equal(
	    b.op.upload, "session 600000 524288 00000000000000000000000000000000 " SESSION);
	assert_true(b.account.limits.in_order);

	/* Nothing is ever sent elsewhere, whoever says so. */
	expect_failure(&b,
	    bench_answer(&b, 200, "Location: https://elsewhere/upload?upload_id=xyz", ""), -EPROTO);
	assert_null(b.op.upload);
	expect_failure(&b, bench_answer(&b, 200, "", ""), -EPROTO);
	expect_failure(&b, bench_answer(&b, 200, "Location: " HOST "/with blank", ""), -EPROTO);
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	upload_op(&b, CLOUD_UPLOAD_PART, 1);
	xstrset(&b.op.upload, "session 600000 524288 " TOKEN " https://elsewhere/upload");
	expect_failure(&b, bench_request(&b), -ENOENT);
	xstrset(&b.op.upload, "session 0 524288 " TOKEN " " SESSION);
	expect_failure(&b, bench_request(&b), -ENOENT);

	/* Not to replace anything is a condition of the session. */
	upload_op(&b, CLOUD_UPLOAD_BEGIN, 0);
	b.op.put.no_replace = true;
	bench_expect(&b, "POST",
	    HOST "/upload/storage/v1/b/box/o"
		 "?ifGenerationMatch=0&name=d%2Fk&uploadType=resumable");
	expect_failure(&b, bench_answer(&b, 412, "", ""), -EEXIST);
	upload_op(&b, CLOUD_UPLOAD_BEGIN, 0);
	b.op.part.length = PART + 1;
	expect_failure(&b, bench_request(&b), -EINVAL);

	/* Which there are, nobody is told. */
	bench_op(&b, CLOUD_UPLOAD_FIND, "d/k");
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	assert_int_equal(b.op.uploads_len, 0);
	upload_op(&b, CLOUD_COPY_PART, 1);
	expect_failure(&b, bench_request(&b), -EOPNOTSUPP);
	bench_close(&b);
}

/* What an answer to the first request says of the server. */
static void
test_decision(void **state)
{
	static const struct {
		int status;
		const char *body;
		bool finds; /* of a search: is that an answer to it? */
		bool session;
	} cases[] = {
	    {404, "404 page not found", false, true},
	    {405, "", false, true},
	    {400, "<Error><Code>InvalidArgument</Code></Error>", false, true},
	    {501, "<Error><Code>NotImplemented</Code></Error>", false, true},
	    {200, "<ListBucketResult/>", false, true},
	    {200, "{\"kind\":\"storage#objects\"}", false, true},
	    {200, "<ListMultipartUploadsResult/>", true, false},
	    {404, "<Error><Code>NoSuchBucket</Code></Error>", false, false},
	    {403, "<Error><Code>AccessDenied</Code></Error>", false, false},
	    {503, "", false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum gcs_uploads want = cases[i].session ? GCS_UPLOADS_SESSIONS
		    : cases[i].finds                     ? GCS_UPLOADS_PARTS
							 : GCS_UPLOADS_UNKNOWN;
		struct gcs_account *gcs;
		enum cloud_step step;
		struct bench b;

		bench_open(&b, AUTO);
		gcs = b.account.data;
		upload_op(&b, CLOUD_UPLOAD_FIND, 0);
		bench_expect(&b, "GET", FIND);
		step = bench_answer(&b, cases[i].status, "", cases[i].body);
		assert_int_equal(step == CLOUD_STEP_DONE, cases[i].finds || cases[i].session);
		assert_int_equal(gcs->uploads, want);
		assert_int_equal(b.account.limits.in_order, cases[i].session);
		if (cases[i].session) /* once for all */
			assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
		upload_op(&b, CLOUD_UPLOAD_BEGIN, 0);
		bench_expect(&b, "POST", cases[i].session ? BEGIN : HOST "/box/d/k?uploads");
		bench_close(&b);

		/* One that says it of the beginning only. */
		bench_open(&b, AUTO);
		gcs = b.account.data;
		upload_op(&b, CLOUD_UPLOAD_BEGIN, 0);
		bench_expect(&b, "POST", HOST "/box/d/k?uploads");
		step = bench_answer(&b, cases[i].status, "", cases[i].body);
		if (cases[i].session) {
			assert_int_equal(step, CLOUD_STEP_NEXT);
			bench_expect(&b, "POST", BEGIN);
			assert_int_equal(
			    bench_answer(&b, 200, "Location: " SESSION, ""), CLOUD_STEP_DONE);
			assert_int_equal(gcs->uploads, GCS_UPLOADS_SESSIONS);
		}
		bench_close(&b);

		/* The account has said it, or it is Google itself. */
		bench_open(&b, i % 2 == 0 ? PARTS : GOOGLE);
		gcs = b.account.data;
		upload_op(&b, CLOUD_UPLOAD_FIND, 0);
		assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
		bench_answer(&b, cases[i].status, "", cases[i].body);
		assert_int_equal(gcs->uploads, GCS_UPLOADS_PARTS);
		assert_false(b.account.limits.in_order);
		bench_close(&b);
	}
}

static void
test_parts(void **state)
{
	struct bench b;

	/* After a restart the session is asked; what it has is dropped.  That uploads are sessions
	   is known by the id. */
	bench_open(&b, AUTO);
	upload_op(&b, CLOUD_UPLOAD_PART, 1);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_true(b.account.limits.in_order);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-262143", ""), CLOUD_STEP_NEXT);
	expect_session(&b, "bytes 262144-524287/600000", 262144, 262144);
	/* Fewer have come than were sent: the part goes on from there. */
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-393215", ""), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EIO);
	upload_op(&b, CLOUD_UPLOAD_PART, 1);
	expect_session(&b, "bytes 393216-524287/600000", 393216, 131072);
	/* The answer is lost: it is not known what has come. */
	upload_op(&b, CLOUD_UPLOAD_PART, 1);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_NEXT);
	expect_session(&b, "bytes */600000", 524288, 0);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_DONE);
	assert_string_equal(b.op.part.tag, "524288");
	assert_int_equal(b.op.part.length, PART);

	/* The end is kept for the commit. */
	upload_op(&b, CLOUD_UPLOAD_PART, 2);
	expect_session(&b, "bytes */600000", TAIL, 0);
	assert_int_equal(b.op.taken.max, RESUMABLE_CHUNK);
	for (int i = 0; i < TAIL; i++)
		buf_putc(&b.op.taken, 'x');
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_DONE);
	assert_string_equal(b.op.part.tag, "600000");
	upload_op(&b, CLOUD_UPLOAD_STATUS, 0);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 2);
	bench_close(&b);

	bench_open(&b, ONLY); /* another process: the end is lost */
	upload_op(&b, CLOUD_UPLOAD_STATUS, 0);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 1);
	/* The session has less than the parts before. */
	upload_op(&b, CLOUD_UPLOAD_STATUS, 0);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 308, "", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.parts.len, 0);
	upload_op(&b, CLOUD_UPLOAD_PART, 2);
	expect_failure(&b, bench_request(&b), -ENOENT);
	upload_op(&b, CLOUD_UPLOAD_PART, 3);
	expect_failure(&b, bench_request(&b), -EINVAL);
	bench_close(&b);
}

static void
test_parts_refused(void **state)
{
	static const struct {
		int status;
		const char *headers;
		enum cloud_step step;
		int code;
		const char *body;
	} cases[] = {
	    {404, "", CLOUD_STEP_FAIL, -ENOENT},
	    {410, "", CLOUD_STEP_FAIL, -ENOENT},
	    {200, "", CLOUD_STEP_FAIL, -ENOENT, MADE}, /* it is finished */
	    {200, "", CLOUD_STEP_RETRY, -EPROTO, "xyz"},
	    {204, "", CLOUD_STEP_RETRY, -EPROTO},
	    {308, "Range: bytes=5-10", CLOUD_STEP_RETRY, -EPROTO},
	    {308, "Range: bytes=0-99999999999999999999", CLOUD_STEP_RETRY, -EPROTO},
	    {400, "", CLOUD_STEP_FAIL, -EINVAL},
	    {403, "", CLOUD_STEP_FAIL, -EACCES},
	    {429, "", CLOUD_STEP_RETRY, -EAGAIN},
	    {500, "", CLOUD_STEP_RETRY, -EIO},
	    {503, "", CLOUD_STEP_RETRY, -EAGAIN},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *body = cases[i].body == NULL ? "" : cases[i].body;
		struct bench b;

		bench_open(&b, ONLY);
		upload_op(&b, CLOUD_UPLOAD_STATUS, 0);
		expect_session(&b, "bytes */600000", 0, 0);
		assert_int_equal(
		    bench_answer(&b, cases[i].status, cases[i].headers, body), cases[i].step);
		assert_int_equal(b.err.code, cases[i].code);
		upload_op(&b, CLOUD_UPLOAD_PART, 1);
		expect_session(&b, "bytes */600000", 0, 0);
		assert_int_equal(bench_answer(&b, 308, "", ""), CLOUD_STEP_NEXT);
		expect_session(&b, "bytes 0-524287/600000", 0, PART);
		assert_int_equal(
		    bench_answer(&b, cases[i].status, cases[i].headers, body), cases[i].step);
		assert_int_equal(b.err.code, cases[i].code);
		upload_op(&b, CLOUD_UPLOAD_PART, 1); /* what has come is not known */
		expect_session(&b, "bytes */600000", 0, 0);
		bench_close(&b);
	}
}

static void
commit_op(struct bench *b, bool no_replace)
{
	static const struct upload_part parts[] = {
	    {.number = 1, .length = PART, .tag = "524288"},
	    {.number = 2, .length = TAIL, .tag = "600000"},
	};

	upload_op(b, CLOUD_UPLOAD_COMMIT, 0);
	b->op.put.no_replace = no_replace;
	for (size_t i = 0; i < 2; i++)
		*upload_parts_add(&b->op.parts) = parts[i];
}

/* As UPLOAD_PART leaves it. */
static void
have_end(struct bench *b)
{
	struct gcs_account *gcs = b->account.data;
	struct resumable_session *session = resumable_session_get(&gcs->sessions, TOKEN, true);

	buf_free(&session->tail);
	session->tail = (struct buf)BUF_INIT(RESUMABLE_CHUNK);
	for (int i = 0; i < TAIL; i++)
		buf_putc(&session->tail, 'x');
}

static void
expect_end(struct bench *b)
{
	expect_session(b, "bytes 524288-599999/600000", 0, 0);
	assert_int_equal(b->request.http.bytes.len, TAIL);
}

static void
test_commit(void **state)
{
	struct bench b;

	bench_open(&b, ONLY);
	commit_op(&b, false);
	b.op.parts.len = 1;
	expect_failure(&b, bench_request(&b), -EINVAL);
	/* The end is not here any more: the last part is to be sent again. */
	commit_op(&b, false);
	expect_session(&b, "bytes */600000", 0, 0);
	expect_failure(&b, bench_answer(&b, 308, "Range: bytes=0-524287", ""), -EINVAL);
	/* It is; and the service compares the whole before it makes an object of it. */
	have_end(&b);
	commit_op(&b, false);
	digests_set_crc32c(&b.op.put.digests, 0x364b3fb7);
	expect_end(&b);
	assert_string_equal(bench_header(&b, "x-goog-hash"), "crc32c=Nks/tw==");
	assert_int_equal(bench_answer(&b, 200, "", MADE), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "18");
	assert_int_equal(b.op.entry.size, SIZE);
	assert_int_equal(digests_crc32c(&b.op.entry.digests), 0x364b3fb7);
	/* It finds something else than what was sent. */
	have_end(&b);
	commit_op(&b, false);
	expect_end(&b);
	expect_failure(&b, bench_answer(&b, 400, "", INVALID), -EBADMSG);
	assert_non_null(strstr(b.err.msg, "the sum differs"));
	/* Good, but no answer. */
	have_end(&b);
	commit_op(&b, false);
	expect_end(&b);
	assert_int_equal(bench_answer(&b, 204, "", ""), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(bench_answer(&b, 200, "", "xyz"), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EPROTO);
	expect_session(&b, "bytes */600000", 0, 0);
	/* It has less than it had. */
	have_end(&b);
	commit_op(&b, false);
	expect_end(&b);
	expect_failure(&b, bench_answer(&b, 308, "Range: bytes=0-262143", ""), -EINVAL);
	bench_close(&b);
}

/* The end is not sent again before it was asked whether it has come; and not for ever. */
static void
test_commit_lost(void **state)
{
	struct bench b;

	bench_open(&b, ONLY);
	have_end(&b);
	commit_op(&b, false);
	for (int i = 0; i < 3; i++) {
		expect_end(&b);
		if (i == 1)
			assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
		expect_session(&b, "bytes */600000", 0, 0);
		assert_int_equal(
		    bench_answer(&b, 308, "Range: bytes=0-524287", ""), CLOUD_STEP_NEXT);
	}
	expect_failure(&b, bench_request(&b), -EIO);
	commit_op(&b, false);
	expect_end(&b);
	expect_session(&b, "bytes */600000", 0, 0);
	expect_failure(&b, bench_answer(&b, 308, "Range: bytes=0-262143", ""), -EINVAL);

	/* It had come: what was made, is that still there? */
	have_end(&b);
	commit_op(&b, false);
	expect_end(&b);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 200, "", MADE), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", LOOK);
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	bench_expect(&b, "GET", LOOK);
	assert_int_equal(bench_answer(&b, 200, "", MADE), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "18");
	assert_int_equal(bench_answer(&b, 200, "", OTHER), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

/* The session is not known any more: by its parts' sums an object is known to be what it made. */
static void
test_commit_gone(void **state)
{
	static const int gone[] = {404, 410};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		bench_open(&b, ONLY);
		commit_op(&b, false);
		expect_session(&b, "bytes */600000", 0, 0);
		assert_int_equal(bench_answer(&b, gone[i], "", ""), CLOUD_STEP_NEXT);
		bench_expect(&b, "GET", LOOK);
		expect_failure(&b, bench_answer(&b, 404, "", ""), -ENOENT);
		expect_failure(&b, bench_answer(&b, 200, "", MADE), -ENOENT);
		for (size_t part = 0; part < 2; part++)
			b.op.parts.items[part].has_crc32c = true;
		expect_failure(&b, bench_answer(&b, 200, "", MADE), -ENOENT);
		b.op.parts.items[0].crc32c = 0;
		b.op.parts.items[1].crc32c = 0x364b3fb7; /* as that of the whole, then */
		assert_int_equal(bench_answer(&b, 200, "", MADE), CLOUD_STEP_DONE);
		bench_close(&b);
	}
}

static void
test_commit_no_replace(void **state)
{
	struct bench b;

	bench_open(&b, ONLY);
	have_end(&b);
	commit_op(&b, true);
	bench_expect(&b, "GET", LOOK);
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	expect_end(&b);
	/* Somebody came in between: the session's condition is not met. */
	expect_failure(&b, bench_answer(&b, 412, "", ""), -EEXIST);
	/* What is there is somebody's: the session waits for its end still. */
	commit_op(&b, true);
	bench_expect(&b, "GET", LOOK);
	assert_int_equal(bench_answer(&b, 200, "", OTHER), CLOUD_STEP_NEXT);
	expect_session(&b, "bytes */600000", 0, 0);
	expect_failure(&b, bench_answer(&b, 308, "Range: bytes=0-524287", ""), -EEXIST);
	/* It is what the session has made, whose answer was lost; or was, and is somebody's. */
	for (int i = 0; i < 2; i++) {
		commit_op(&b, true);
		bench_expect(&b, "GET", LOOK);
		assert_int_equal(bench_answer(&b, 200, "", MADE), CLOUD_STEP_NEXT);
		expect_session(&b, "bytes */600000", 0, 0);
		assert_int_equal(bench_answer(&b, 201, "", MADE), CLOUD_STEP_NEXT);
		bench_expect(&b, "GET", LOOK);
		if (i == 0)
			assert_int_equal(bench_answer(&b, 200, "", MADE), CLOUD_STEP_DONE);
		else
			expect_failure(&b, bench_answer(&b, 200, "", OTHER), -EEXIST);
	}
	/* Whose it is cannot be known: not ours. */
	commit_op(&b, true);
	bench_expect(&b, "GET", LOOK);
	assert_int_equal(bench_answer(&b, 200, "", MADE), CLOUD_STEP_NEXT);
	expect_session(&b, "bytes */600000", 0, 0);
	assert_int_equal(bench_answer(&b, 410, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", LOOK);
	expect_failure(&b, bench_answer(&b, 200, "", MADE), -EEXIST);
	bench_close(&b);
}

static void
test_abort(void **state)
{
	static const int gone[] = {499, 204, 404, 410};
	struct bench b;

	bench_open(&b, ONLY);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		upload_op(&b, CLOUD_UPLOAD_ABORT, 0);
		bench_expect(&b, "DELETE", SESSION);
		assert_null(bench_header(&b, "Authorization"));
		assert_null(bench_header(&b, "Content-Range"));
		assert_int_equal(bench_answer(&b, gone[i], "", ""), CLOUD_STEP_DONE);
	}
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_setting),
	    cmocka_unit_test(test_begin),
	    cmocka_unit_test(test_decision),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_parts_refused),
	    cmocka_unit_test(test_commit),
	    cmocka_unit_test(test_commit_lost),
	    cmocka_unit_test(test_commit_gone),
	    cmocka_unit_test(test_commit_no_replace),
	    cmocka_unit_test(test_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
