/* The gdrive driver's documents: what they are shown as, what is read, and that nothing is lost of
   them. */
#include "tests/unit/gdrive_bench.h"
#include <string.h>

#define APP(id, name, type, parent, more)                                                          \
	"{\"id\":\"" id "\",\"name\":\"" name                                                      \
	"\",\"mimeType\":\"application/vnd.google-apps." type "\",\"parents\":[\"" parent          \
	"\"],\"createdTime\":\"2001-01-01T00:00:00.000Z\",\"size\":"                               \
	"\"1024\",\"modifiedTime\":\"2013-05-24T00:00:00.123Z\"" more "}"
#define DOC(id, name) APP(id, name, "document", "top", "")
#define DOC_VERSION   "at-2013-05-24T00:00:00.123Z-d1"
/* The search for a name with a document's suffix. */
#define EITHER(shown, name)                                                                        \
	FILES LISTED "&pageSize=1000&q=" IN("top") "%20and%20(name%20%3D%20%27" shown              \
						   "%27%20or%20name%20%3D%20%27" name "%27)"       \
						   "&supportsAllDrives=true"

static void
test_document_list(void **state)
{
	static const struct {
		const char *exports, *names[4];
		size_t hidden;
	} cases[] = {
	    {"office", {"d.docx", "g.svg", "p.pptx", "s.xlsx"}, 2},
	    {"opendocument", {"d.odt", "g.svg", "p.odp", "s.ods"}, 2},
	    {"pdf", {"d.pdf", "g.pdf", "p.pdf", "s.pdf"}, 2},
	    {"none", {NULL}, 6},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free)
		char *account =
		    xasprintf("{" GRANT ",\"endpoint\":\"https://host\",\"rootFolder\":\"top\","
			      "\"docsExport\":\"%s\"}",
			cases[i].exports);
		struct gdrive_account *drive;
		struct bench b;

		bench_open(&b, account);
		drive = b.account.data;
		snprintf(drive->root, sizeof drive->root, "top");
		bench_op(&b, CLOUD_LIST, "");
		bench_expect(&b, "GET", CHILDREN("top", "1000"));
		assert_int_equal(
		    bench_answer(&b, 200, "",
			PAGE(DOC("d1", "d") "," APP("s1", "s", "spreadsheet", "top", "") "," APP(
			    "p1", "p", "presentation", "top", "") "," APP("g1", "g", "drawing",
			    "top", "") "," APP("f1", "f", "form", "top", "") "," APP("l1", "l",
			    "shortcut", "top", ""))),
		    CLOUD_STEP_DONE);
		assert_int_equal(b.op.list.hidden, cases[i].hidden);
		assert_int_equal(b.op.list.len, 6 - cases[i].hidden);
		for (size_t n = 0; n < b.op.list.len; n++) {
			assert_string_equal(listed(&b, n), cases[i].names[n]);
			assert_true(b.op.list.items[n].unsized);
			assert_int_equal(b.op.list.items[n].size, 0);
			assert_int_equal(b.op.list.items[n].digests.have, 0);
		}
		bench_close(&b);
	}
}

/* A file and a document that are shown alike are told apart as two files are; each is found. */
static void
test_document_names(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_STAT, "d.docx");
	bench_expect(&b, "GET", EITHER("d.docx", "d"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("f0", "d", "top") "," DOC("d1", "d"))),
	    CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	assert_true(b.op.entry.unsized);
	assert_string_equal(b.op.entry.version, DOC_VERSION);
	assert_string_equal(b.op.entry.content_type,
	    "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
	bench_op(&b, CLOUD_STAT, "d (document).docx");
	bench_expect(&b, "GET",
	    FILES LISTED
	    "&pageSize=1000&q=" IN("top") "%20and%20(name%20%3D%20%27d%20(document).docx"
					  "%27%20or%20name%20%3D%20%27d%20(document)"
					  "%27%20or%20name%20%3D%20%27d.docx"
					  "%27%20or%20name%20%3D%20%27d%27)"
					  "&supportsAllDrives=true");
	assert_int_equal(bench_answer(&b, 200, "",
			     PAGE(FILE_OF("f1", "d.docx", "top") "," DOC("the-document", "d"))),
	    CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	assert_true(b.op.entry.unsized);
	bench_close(&b);
}

static void
find_document(struct bench *b, enum cloud_op_kind kind)
{
	bench_op(b, kind, "d.docx");
	b->op.length = UINT64_MAX;
	bench_expect(b, "GET", EITHER("d.docx", "d"));
	assert_int_equal(bench_answer(b, 200, "", PAGE(DOC("d1", "d"))), CLOUD_STEP_NEXT);
	if (kind == CLOUD_READ)
		return;
	bench_expect(b, "GET", FILES "/d1" ONE);
	assert_int_equal(bench_answer(b, 200, "", DOC("d1", "d")), CLOUD_STEP_NEXT);
}

#define EXPORT                                                                                     \
	FILES "/d1/export?mimeType=application%2Fvnd.openxmlformats-officedocument."               \
	      "wordprocessingml.document"

static void
test_document_read(void **state)
{
	static const struct {
		int status;
		const char *headers;
		enum cloud_step step;
	} cases[] = {
	    {200, "Transfer-Encoding: chunked", CLOUD_STEP_STREAM},
	    {200, "Content-Length: 7", CLOUD_STEP_STREAM},
	    /* It ends when the connection does: that may be too early. */
	    {200, "Connection: close", CLOUD_STEP_FAIL},
	    {200, "Transfer-Encoding: gzip", CLOUD_STEP_FAIL},
	    {206, "Content-Range: bytes 0-6/7", CLOUD_STEP_FAIL},
	};
	struct bench b;

	bench_at_top(&b);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		gdrive_place_drop(b.account.data, "", 0);
		find_document(&b, CLOUD_READ);
		bench_expect(&b, "GET", EXPORT);
		assert_null(bench_header(&b, "Range"));
		assert_int_equal(
		    bench_answer(&b, cases[i].status, cases[i].headers, ""), cases[i].step);
	}
	assert_int_equal(b.err.code, -EPROTO);
	/* No ranges, and nothing is gone on with. */
	for (int i = 0; i < 3; i++) {
		gdrive_place_drop(b.account.data, "", 0);
		find_document(&b, CLOUD_READ);
		b.op.offset = i == 0 ? 1 : 0;
		b.op.length = i == 1 ? 1 : UINT64_MAX;
		b.op.streamed = i == 2 ? 1 : 0;
		assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, -EOPNOTSUPP);
	}
	bench_close(&b);
}

/* Nothing writes one or takes its place, and it is never removed for good. */
static void
test_document_write(void **state)
{
	struct bench b;

	bench_open(&b,
	    "{" GRANT ",\"endpoint\":\"https://host\",\"rootFolder\":\"top\","
	    "\"permanentDelete\":\"yes\"}");
	snprintf(((struct gdrive_account *)b.account.data)->root, GDRIVE_ID_MAX, "top");
	find_document(&b, CLOUD_PUT);
	b.op.length = 3;
	assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	find_document(&b, CLOUD_REMOVE);
	bench_expect(&b, "PATCH", FILES "/d1" ONE);
	expect_body(&b, "{\"trashed\":true}");
	bench_close(&b);
}

static void
begin_document_copy(struct bench *b, const char *to, const char *search)
{
	bench_op(b, CLOUD_COPY, to);
	b->op.path2 = xstrdup("d.docx");
	b->op.from = &b->account;
	b->op.put.temp_id = xstrdup("change");
	find_none(b, search);
	gdrive_place_drop(b->account.data, "", 0);
	bench_expect(b, "GET", EITHER("d.docx", "d"));
	assert_int_equal(bench_answer(b, 200, "", PAGE(DOC("d1", "d"))), CLOUD_STEP_NEXT);
}

/* No id can be given to it: whether it was made when the answer is lost is read off the copy. */
static void
test_document_copy(void **state)
{
	CLEANUP(cleanup_free) char *made = NULL;
	unsigned char sum[32];
	struct buf hex = BUF_INIT(64);
	struct bench b;

	sha256(sum, "change", 6);
	buf_put_hex(&hex, sum, 16);
	made = xasprintf("{\"files\":[" APP("d2", "c", "document", "top",
			     ",\"appProperties\":{\"skyferryUpload\":\"%s\"}") "]}",
	    buf_str(&hex));
	bench_at_top(&b);
	begin_document_copy(&b, "c.docx", EITHER("c.docx", "c"));
	bench_expect(&b, "POST", FILES "/d1/copy" ONE);
	assert_null(strstr(buf_str(&b.request.http.bytes), "\"id\""));
	assert_non_null(strstr(buf_str(&b.request.http.bytes), "\"name\":\"c\""));
	assert_non_null(strstr(buf_str(&b.request.http.bytes), buf_str(&hex)));
	/* No answer: it is looked for, and asked for once more if it is not there. */
	find_none(&b, EITHER("c.docx", "c"));
	bench_expect(&b, "POST", FILES "/d1/copy" ONE);
	bench_expect(&b, "GET", EITHER("c.docx", "c"));
	assert_int_equal(bench_answer(&b, 200, "", made), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/d2" ONE);
	made[strlen(made) - 2] = '\0';
	assert_int_equal(bench_answer(&b, 200, "", made + strlen("{\"files\":[")), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	assert_true(b.op.entry.unsized);
	/* By another name it could not be shown: that is for an export. */
	begin_document_copy(&b, "c.txt", NAMED("top", "c.txt"));
	assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EOPNOTSUPP);
	assert_true(b.op.only_this);
	bench_close(&b);
	buf_free(&hex);
}

static void
test_document_move(void **state)
{
	struct bench b;

	bench_at_top(&b);
	for (int i = 0; i < 3; i++) {
		gdrive_place_drop(b.account.data, "", 0);
		bench_op(&b, CLOUD_MOVE, "d.docx");
		b.op.path2 = xstrdup(i == 1 ? "e.txt" : "e.docx");
		bench_expect(&b, "GET", EITHER("d.docx", "d"));
		assert_int_equal(bench_answer(&b, 200, "", PAGE(DOC("d1", "d"))), CLOUD_STEP_NEXT);
		bench_expect(&b, "GET", FILES "/d1" ONE);
		assert_int_equal(bench_answer(&b, 200, "", DOC("d1", "d")), CLOUD_STEP_NEXT);
		if (i < 2)
			find_none(&b, i == 1 ? NAMED("top", "e.txt") : EITHER("e.docx", "e"));
		if (i == 0) { /* by its own name */
			bench_expect(&b, "PATCH", FILES "/d1" ONE);
			expect_body(
			    &b, "{\"name\":\"e\",\"modifiedTime\":\"2013-05-24T00:00:00.123Z\"}");
			continue;
		}
		if (i == 2) { /* onto another */
			bench_expect(&b, "GET", EITHER("e.docx", "e"));
			assert_int_equal(
			    bench_answer(&b, 200, "", PAGE(DOC("d3", "e"))), CLOUD_STEP_NEXT);
			bench_expect(&b, "GET", FILES "/d3" ONE);
			assert_int_equal(
			    bench_answer(&b, 200, "", DOC("d3", "e")), CLOUD_STEP_NEXT);
		}
		assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, i == 1 ? -EINVAL : -EACCES);
	}
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_document_list),
	    cmocka_unit_test(test_document_names),
	    cmocka_unit_test(test_document_read),
	    cmocka_unit_test(test_document_write),
	    cmocka_unit_test(test_document_copy),
	    cmocka_unit_test(test_document_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
