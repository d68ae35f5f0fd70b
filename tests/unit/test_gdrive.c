/* The gdrive driver, from requests written to answers understood; no network. */
#include "tests/unit/gdrive_bench.h"
#include <stdlib.h>
#include <string.h>

static void
test_open(void **state)
{
	static const struct {
		const char *credentials, *why; /* NULL: fine */
	} cases[] = {
	    {"{}", "clientId"},
	    {"{" GRANT "}", NULL},
	    {"{\"clientId\":\"id\"}", NULL}, /* nobody has signed in yet */
	    {"{" GRANT ",\"drive\":\"0AB-c_d\",\"rootFolder\":\"1x\"}", NULL},
	    {"{" GRANT ",\"drive\":\"a/b\"}", "drive"},
	    {"{" GRANT ",\"rootFolder\":\"' or '\"}", "rootFolder"},
	    {"{" GRANT ",\"permanentDelete\":\"maybe\"}", "permanentDelete"},
	    {"{" GRANT ",\"docsExport\":\"pdf\"}", NULL},
	    {"{" GRANT ",\"docsExport\":\"word\"}", "docsExport"},
	    {"{" GRANT ",\"endpoint\":\"host\"}", "endpoint"},
	    {"{" GRANT ",\"tokenEndpoint\":\"http://elsewhere\"}", "tokenEndpoint"},
	    {"{" GRANT ",\"ca\":\"ca.pem\"}", "ca"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bench_credentials(&gdrive_driver, cases[i].credentials, cases[i].why);
}

/* Two accounts of one grant reach one place; it is not told what the grant is. */
static void
test_identity(void **state)
{
	struct bench one, two;
	CLEANUP(cleanup_free) char *first = NULL;
	CLEANUP(cleanup_free) char *second = NULL;

	bench_open(&one, "{" GRANT "}");
	bench_open(&two, "{" GRANT "}");
	first = gdrive_driver.identity(&one.account, "a/b");
	second = gdrive_driver.identity(&two.account, "a/b");
	assert_string_equal(first, second);
	assert_null(strstr(first, "hush"));
	assert_true(gdrive_driver.copies_from(&one.account, &two.account));
	bench_close(&two);
	bench_open(&two, "{\"clientId\":\"id\",\"refreshToken\":\"another\"}");
	assert_false(gdrive_driver.copies_from(&one.account, &two.account));
	bench_close(&one);
	bench_close(&two);
}

static void
test_names(void **state)
{
	static const struct {
		const char *shown, *plain; /* NULL: it is no name of a twin */
	} cases[] = {
	    {"f (12345678).txt", "f.txt"},
	    {"f (12345678)", "f"},
	    {"a.b (12345678).c", "a.b.c"},
	    {"f (1234567).txt", NULL},
	    {" (12345678)", NULL},
	    {"f.txt", NULL},
	    {"f(12345678)", NULL},
	    {".x (12345678)", ".x"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free) char *plain = gdrive_name_without_id(cases[i].shown);
		CLEANUP(cleanup_free) char *twin = NULL;

		if (cases[i].plain == NULL) {
			assert_null(plain);
			continue;
		}
		assert_string_equal(plain, cases[i].plain);
		twin = gdrive_name_of_twin(plain, "0123-abc12345678");
		assert_string_equal(twin, cases[i].shown);
		assert_int_equal(gdrive_name_is(plain, "x12345678", cases[i].shown), 2);
		assert_int_equal(gdrive_name_is(plain, "x12345679", cases[i].shown), 0);
	}
	assert_int_equal(gdrive_name_is("f", "x", "f"), 1);
}

/* The top is looked at once, to know its id; then names, quoted for the query. */
static void
test_stat(void **state)
{
	struct bench b;

	bench_open(&b, "{" GRANT ",\"endpoint\":\"https://host\"}");
	bench_op(&b, CLOUD_STAT, "it's\\a");
	bench_expect(&b, "GET", FILES "/root" ONE);
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"id\":\"top\",\"name\":\"My Drive\",\"mimeType\":"
			     "\"application/vnd.google-apps.folder\"}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", NAMED("top", "it%5C%27s%5C%5Ca"));
	/* "=" knows no case: others are none of it. */
	assert_int_equal(
	    bench_answer(&b, 200, "",
		PAGE(FILE_OF("f0", "IT'S\\\\a", "top") "," FILE_OF("f1", "it's\\\\a", "top"))),
	    CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "rev1");
	assert_int_equal(b.op.entry.size, 3);
	assert_int_equal(b.op.entry.mtime_ns, INT64_C(1369353600123000000));
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5));
	assert_string_equal(b.op.entry.content_type, "text/plain");
	bench_op(&b, CLOUD_STAT, "absent");
	bench_expect(&b, "GET", NAMED("top", "absent"));
	assert_int_equal(bench_answer(&b, 200, "", PAGE("")), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

/* A directory is believed for a while, then asked for by its id, and looked for if it is another.
 */
static void
test_places(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_STAT, "d/f");
	bench_expect(&b, "GET", NAMED("top", "d"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FOLDER("d1", "d", "top"))), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", NAMED("d1", "f"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("f1", "f", "d1"))), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	/* What it was, by its id, where it was. */
	bench_op(&b, CLOUD_STAT, "d/f");
	bench_expect(&b, "GET", FILES "/f1" ONE);
	assert_int_equal(bench_answer(&b, 200, "", FILE_OF("f1", "f", "d1")), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	/* What is to be changed is looked for by its name; its directory is not believed long. */
	bench_op(&b, CLOUD_REMOVE, "d/f");
	b.op.now_ms += 5000;
	bench_expect(&b, "GET", FILES "/d1" ONE);
	assert_int_equal(
	    bench_answer(&b, 200, "", FOLDER("d1", "renamed", "top")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", NAMED("top", "d"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FOLDER("d2", "d", "top"))), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", NAMED("d2", "f"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("f2", "f", "d2"))), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/f2" ONE);
	assert_int_equal(bench_answer(&b, 200, "", FILE_OF("f2", "f", "d2")), CLOUD_STEP_NEXT);
	bench_expect(&b, "PATCH", FILES "/f2" ONE);
	expect_body(&b, "{\"trashed\":true}");
	assert_int_equal(bench_answer(&b, 200, "", FILE_OF("f2", "f", "d2")), CLOUD_STEP_DONE);
	bench_close(&b);
}

/* Every loop has an account of its own: what one of them moves is not believed by the others. */
static void
test_places_of_two(void **state)
{
	struct bench one, two;

	bench_at_top(&one);
	bench_at_top(&two);
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			gdrive_place_put(two.account.data, "d", 1, "d1", true, NOW_MS);
		bench_op(&two, CLOUD_STAT, "d/f");
		bench_expect(&two, "GET", i == 0 ? NAMED("top", "d") : NAMED("d1", "f"));
	}
	bench_op(&one, CLOUD_RMDIR, "d");
	bench_expect(&one, "GET", NAMED("top", "d"));
	assert_int_equal(
	    bench_answer(&one, 200, "", PAGE(FOLDER("d1", "d", "top"))), CLOUD_STEP_NEXT);
	bench_expect(&one, "GET", FILES "/d1" ONE);
	assert_int_equal(bench_answer(&one, 200, "", FOLDER("d1", "d", "top")), CLOUD_STEP_NEXT);
	bench_expect(&one, "GET", CHILDREN("d1", "1"));
	assert_int_equal(bench_answer(&one, 200, "", PAGE("")), CLOUD_STEP_NEXT);
	bench_expect(&one, "PATCH", FILES "/d1" ONE);
	assert_int_equal(bench_answer(&one, 200, "", FOLDER("d1", "d", "top")), CLOUD_STEP_DONE);
	bench_op(&two, CLOUD_STAT, "d/f");
	bench_expect(&two, "GET", FILES "/d1" ONE);
	bench_close(&one);
	bench_close(&two);
}

/* A directory that was believed, and is not there any more. */
static void
test_place_gone(void **state)
{
	struct bench b;

	bench_at_top(&b);
	gdrive_place_put(b.account.data, "gone", 4, "old", true, NOW_MS);
	bench_op(&b, CLOUD_LIST, "gone");
	bench_expect(&b, "GET", CHILDREN("old", "1000"));
	assert_int_equal(bench_answer(&b, 404, "", REFUSED("notFound")), CLOUD_STEP_NEXT);
	find_none(&b, NAMED("top", "gone"));
	assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

/* A list that is behind is not acted on. */
static void
test_behind(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_REMOVE, "f");
	for (int i = 0; i < 3; i++) {
		bench_expect(&b, "GET", NAMED("top", "f"));
		assert_int_equal(
		    bench_answer(&b, 200, "", PAGE(FILE_OF("f1", "f", "top"))), CLOUD_STEP_NEXT);
		bench_expect(&b, "GET", FILES "/f1" ONE);
		assert_int_equal(bench_answer(&b, 200, "", FILE_OF("f1", "f", "elsewhere")),
		    i < 2 ? CLOUD_STEP_NEXT : CLOUD_STEP_RETRY);
	}
	assert_int_equal(b.err.code, -EAGAIN);
	bench_close(&b);
}

static void
test_list(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_LIST, "");
	bench_expect(&b, "GET", CHILDREN("top", "1000"));
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"{\"nextPageToken\":\"more\",\"files\":[" FILE_MORE("id-of-second", "t.x", "top",
		    "2002-01-01T00:00:00.000Z",
		    "") "," FILE_OF("s", "a/b", "top") "," FILE_OF("z", "nul\\u0000",
		    "top") ","
			   "{\"id\":\"doc\",\"name\":\"doc\",\"mimeType\":\"application/vnd.google-apps.form\"}]}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET",
	    FILES LISTED "&pageSize=1000&pageToken=more&q=" IN("top") "&supportsAllDrives=true");
	assert_int_equal(bench_answer(&b, 200, "",
			     PAGE(FILE_OF("first", "t.x", "top") "," FOLDER(
				 "d", "dir", "top") "," FILE_OF("dots", "..", "top"))),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 4);
	assert_string_equal(listed(&b, 0),
	    "a\xef\xbc\x8f"
	    "b");
	assert_string_equal(listed(&b, 1), "dir");
	assert_string_equal(listed(&b, 2), "t (f-second).x");
	assert_string_equal(listed(&b, 3), "t.x");
	assert_int_equal(b.op.list.hidden, 3);
	/* A file that two pages tell is no twin of itself: who removes that would remove the file.
	 */
	bench_op(&b, CLOUD_LIST, "");
	bench_expect(&b, "GET", CHILDREN("top", "1000"));
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"nextPageToken\":\"more\",\"files\":[" FILE_OF(
				 "id-of-first", "t.x", "top") "]}"),
	    CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("id-of-first", "t.x", "top"))), CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 1);
	assert_string_equal(listed(&b, 0), "t.x");
	assert_int_equal(b.op.list.hidden, 0);
	/* Round in circles. */
	bench_op(&b, CLOUD_LIST, "");
	bench_expect(&b, "GET", CHILDREN("top", "1000"));
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"nextPageToken\":\"x\",\"files\":[]}"), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"nextPageToken\":\"x\",\"files\":[]}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);
}

/* A twin's name leads to it, and to no other. */
static void
test_twin(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_STAT, "t (f-second).x");
	bench_expect(&b, "GET",
	    FILES LISTED "&pageSize=1000&q=" IN(
		"top") "%20and%20(name%20%3D%20%27t%20(f-second).x%27%20or%20name%20%3D%20%27t.x%27)"
		       "&supportsAllDrives=true");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		PAGE(FILE_OF("first", "t.x", "top") "," FILE_MORE("id-of-second", "t.x", "top",
		    "2002-01-01T00:00:00.000Z", ",\"headRevisionId\":\"r2\""))),
	    CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "r2");
	bench_close(&b);
}

static void
find_for_read(struct bench *b, const char *version, const char *file)
{
	bench_op(b, CLOUD_READ, "f");
	b->op.version = xstrdup_null(version);
	assert_int_equal(bench_request(b), CLOUD_STEP_SEND);
	assert_int_equal(bench_answer(b, 200, "", file), CLOUD_STEP_NEXT);
}

static void
test_read(void **state)
{
	struct bench b;

	bench_at_top(&b);
	find_for_read(&b, "rev1", PAGE(FILE_OF("f1", "f", "top")));
	b.op.offset = 1;
	b.op.length = 2;
	bench_expect(&b, "GET", FILES "/f1/revisions/rev1?alt=media");
	assert_string_equal(bench_header(&b, "Range"), "bytes=1-2");
	assert_int_equal(
	    bench_answer(&b, 206, "Content-Range: bytes 1-2/3", ""), CLOUD_STEP_STREAM);
	assert_int_equal(gdrive_driver.response(&b.op, &b.response, &b.err), CLOUD_STEP_DONE);
	/* Where a revision is sent whole only, the file itself is read. */
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 3", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/f1?alt=media&supportsAllDrives=true");
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 3", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	/* Another size: it is not that file's content. */
	assert_int_equal(bench_answer(&b, 206, "Content-Range: bytes 1-2/4", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	/* Another version: all is looked at once more before it is said. */
	find_for_read(&b, "rev0", FILE_OF("f1", "f", "top"));
	bench_expect(&b, "GET", NAMED("top", "f"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("f1", "f", "top"))), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	bench_close(&b);
}

/* Who may not read the revision looks again when all has come. */
static void
test_read_unpinned(void **state)
{
	struct bench b;

	bench_at_top(&b);
	find_for_read(&b, NULL, PAGE(FILE_OF("f1", "f", "top")));
	bench_expect(&b, "GET", FILES "/f1/revisions/rev1?alt=media");
	assert_int_equal(
	    bench_answer(&b, 403, "", REFUSED("insufficientFilePermissions")), CLOUD_STEP_NEXT);
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			find_for_read(&b, NULL,
			    FILE_MORE("f1", "f", "top", "2001-01-01T00:00:00.000Z",
				",\"headRevisionId\":\"rev1\""));
		bench_expect(&b, "GET", FILES "/f1?alt=media&supportsAllDrives=true");
		assert_int_equal(bench_answer(&b, 200, "Content-Length: 3", ""), CLOUD_STEP_STREAM);
		assert_int_equal(
		    gdrive_driver.response(&b.op, &b.response, &b.err), CLOUD_STEP_NEXT);
		bench_expect(&b, "GET", FILES "/f1" ONE);
		assert_int_equal(
		    bench_answer(&b, 200, "",
			i == 0 ? FILE_OF("f1", "f", "top")
			       : FILE_MORE("f1", "f", "top", "2001-01-01T00:00:00.000Z",
				     ",\"headRevisionId\":\"rev2\"")),
		    i == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL);
	}
	assert_int_equal(b.err.code, -ESTALE);
	bench_close(&b);
}

static void
test_put(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_PUT, "put.txt");
	b.op.length = 3;
	b.op.put.mtime_ns = INT64_C(1369353600123456789);
	find_none(&b, NAMED("top", "put.txt"));
	bench_expect(&b, "POST", UPLOADS ONE "&uploadType=resumable");
	expect_body(&b,
	    "{\"id\":\"new1\",\"name\":\"put.txt\",\"parents\":[\"top\"],\"mimeType\":\"text/plain\","
	    "\"modifiedTime\":\"2013-05-24T00:00:00.123Z\","
	    "\"appProperties\":{\"skyferryUpload\":\"00000000000000000000000000000000\"}}");
	assert_string_equal(bench_header(&b, "X-Upload-Content-Length"), "3");
	/* It was made, and the answer lost: then there is a file. */
	assert_int_equal(bench_answer(&b, 409, "", REFUSED("fileIdInUse")), CLOUD_STEP_NEXT);
	find_none(&b, NAMED("top", "put.txt"));
	bench_expect(&b, "GET", FILES "/new1" ONE);
	assert_int_equal(
	    bench_answer(&b, 200, "", FILE_OF("new1", "put.txt", "top")), CLOUD_STEP_NEXT);
	bench_expect(&b, "PATCH", UPLOADS "/new1" ONE "&uploadType=resumable");
	assert_int_equal(bench_answer(&b, 200, "Location: " SESSION, ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "PUT", SESSION);
	assert_string_equal(bench_header(&b, "Content-Range"), "bytes 0-2/3");
	assert_null(bench_header(&b, "Authorization"));
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(bench_answer(&b, 200, "",
			     FILE_MORE("new1", "put.txt", "top", "2001-01-01T00:00:00.000Z",
				 ",\"headRevisionId\":\"r\",\"appProperties\":{\"skyferryUpload\":"
				 "\"00000000000000000000000000000000\"}")),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "r");
	bench_close(&b);
}

static void
test_put_refused(void **state)
{
	struct bench b;

	bench_at_top(&b);
	for (int i = 0; i < 2; i++) {
		bench_op(&b, CLOUD_PUT, "there");
		b.op.length = 3;
		b.op.put.no_replace = i == 0;
		assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
		assert_int_equal(bench_answer(&b, 200, "",
				     i == 0 ? PAGE(FILE_OF("f1", "there", "top"))
					    : PAGE(FOLDER("f1", "there", "top"))),
		    CLOUD_STEP_NEXT);
		bench_expect(&b, "GET", FILES "/f1" ONE);
		assert_int_equal(
		    bench_answer(&b, 200, "",
			i == 0 ? FILE_OF("f1", "there", "top") : FOLDER("f1", "there", "top")),
		    CLOUD_STEP_NEXT);
		assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, i == 0 ? -EEXIST : -EISDIR);
	}
	bench_close(&b);
}

static void
test_copy_and_move(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_COPY, "copy-to");
	b.op.path2 = xstrdup("copy-from");
	b.op.from = &b.account;
	b.op.version = xstrdup("rev1");
	find_none(&b, NAMED("top", "copy-to"));
	bench_expect(&b, "GET", NAMED("top", "copy-from"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("f1", "copy-from", "top"))), CLOUD_STEP_NEXT);
	bench_expect(&b, "POST", FILES "/f1/copy" ONE);
	expect_body(&b,
	    "{\"id\":\"new1\",\"name\":\"copy-to\",\"parents\":[\"top\"],"
	    "\"appProperties\":{\"skyferryUpload\":null},"
	    "\"modifiedTime\":\"2013-05-24T00:00:00.123Z\"}");
	/* It became another content meanwhile: that is not what was asked for. */
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"{\"id\":\"new1\",\"name\":\"copy-to\",\"mimeType\":\"text/plain\",\"size\":\"4\","
		"\"parents\":[\"top\"]}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "DELETE", FILES "/new1?supportsAllDrives=true");
	assert_int_equal(bench_answer(&b, 204, "", ""), CLOUD_STEP_FAIL);

	/* Another op has made a file of that name, by the same id: its file stays. */
	bench_op(&b, CLOUD_COPY, "copy-to");
	b.op.path2 = xstrdup("copy-from");
	b.op.from = &b.account;
	b.op.version = xstrdup("rev1");
	find_none(&b, NAMED("top", "copy-to"));
	assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
	assert_int_equal(
	    bench_answer(&b, 200, "", FILE_OF("f1", "copy-from", "top")), CLOUD_STEP_NEXT);
	bench_expect(&b, "POST", FILES "/f1/copy" ONE);
	assert_int_equal(bench_answer(&b, 409, "", REFUSED("fileIdInUse")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/new1" ONE);
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"{\"id\":\"new1\",\"name\":\"copy-to\",\"mimeType\":\"text/plain\",\"size\":\"4\","
		"\"parents\":[\"top\"]}"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EOPNOTSUPP);

	bench_op(&b, CLOUD_MOVE, "move-from");
	b.op.path2 = xstrdup("move-to");
	bench_expect(&b, "GET", NAMED("top", "move-from"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("f1", "move-from", "top"))), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/f1" ONE);
	assert_int_equal(
	    bench_answer(&b, 200, "", FILE_OF("f1", "move-from", "top")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", NAMED("top", "move-to"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FILE_OF("f2", "move-to", "top"))), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/f2" ONE);
	assert_int_equal(
	    bench_answer(&b, 200, "", FILE_OF("f2", "move-to", "top")), CLOUD_STEP_NEXT);
	/* What has the name goes to the trash, and comes back if the other cannot come. */
	bench_expect(&b, "PATCH", FILES "/f2" ONE);
	expect_body(&b, "{\"trashed\":true}");
	assert_int_equal(
	    bench_answer(&b, 200, "", FILE_OF("f2", "move-to", "top")), CLOUD_STEP_NEXT);
	bench_expect(&b, "PATCH", FILES "/f1" ONE);
	expect_body(&b, "{\"name\":\"move-to\",\"modifiedTime\":\"2013-05-24T00:00:00.123Z\"}");
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	bench_expect(&b, "PATCH", FILES "/f1" ONE);
	assert_int_equal(
	    bench_answer(&b, 403, "", REFUSED("insufficientFilePermissions")), CLOUD_STEP_NEXT);
	bench_expect(&b, "PATCH", FILES "/f2" ONE);
	expect_body(&b, "{\"trashed\":false}");
	assert_int_equal(
	    bench_answer(&b, 200, "", FILE_OF("f2", "move-to", "top")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	bench_close(&b);
}

/* What is removed is looked at again when its removal had to wait: it may have changed. */
static void
test_remove_late(void **state)
{
	static const struct {
		int status;
		const char *file;
		enum cloud_step step;
		int code;
	} cases[] = {
	    {200, FILE_OF("f1", "f", "top"), CLOUD_STEP_NEXT, 0},
	    {200,
		FILE_MORE(
		    "f1", "f", "top", "2001-01-01T00:00:00.000Z", ",\"headRevisionId\":\"rev2\""),
		CLOUD_STEP_NEXT, -ESTALE},
	    {200, FILE_OF("f1", "f", "elsewhere"), CLOUD_STEP_FAIL, -ESTALE},
	    {200,
		FILE_MORE(
		    "f1", "f", "top", "2001-01-01T00:00:00.000Z", REVISION ",\"trashed\":true"),
		CLOUD_STEP_DONE, 0},
	    {404, "", CLOUD_STEP_DONE, 0},
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bench_at_top(&b);
		bench_op(&b, CLOUD_REMOVE, "f");
		b.op.version = xstrdup("rev1");
		bench_expect(&b, "GET", NAMED("top", "f"));
		assert_int_equal(
		    bench_answer(&b, 200, "", PAGE(FILE_OF("f1", "f", "top"))), CLOUD_STEP_NEXT);
		bench_expect(&b, "GET", FILES "/f1" ONE);
		assert_int_equal(
		    bench_answer(&b, 200, "", FILE_OF("f1", "f", "top")), CLOUD_STEP_NEXT);
		bench_expect(&b, "PATCH", FILES "/f1" ONE);
		assert_int_equal(bench_answer(&b, 429, "", REFUSED("x")), CLOUD_STEP_RETRY);
		err_clear(&b.err);
		b.op.now_ms += 1000;
		bench_expect(&b, "PATCH", FILES "/f1" ONE);
		assert_int_equal(bench_answer(&b, 429, "", REFUSED("x")), CLOUD_STEP_RETRY);
		err_clear(&b.err);
		b.op.now_ms += 60000;
		bench_expect(&b, "GET", FILES "/f1" ONE);
		assert_int_equal(
		    bench_answer(&b, cases[i].status, "", cases[i].file), cases[i].step);
		if (cases[i].step == CLOUD_STEP_NEXT && cases[i].code == 0)
			bench_expect(&b, "PATCH", FILES "/f1" ONE);
		else if (cases[i].step == CLOUD_STEP_NEXT)
			assert_int_equal(bench_request(&b), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, cases[i].code);
		bench_close(&b);
	}
}

static void
test_directories(void **state)
{
	struct bench b;

	bench_at_top(&b);
	/* What is missing above is made, and with an id, so that it is made once. */
	bench_op(&b, CLOUD_MKDIR, "made/below");
	find_none(&b, NAMED("top", "made"));
	bench_expect(&b, "POST", FILES ONE);
	expect_body(&b,
	    "{\"id\":\"new1\",\"name\":\"made\",\"parents\":[\"top\"],"
	    "\"mimeType\":\"application/vnd.google-apps.folder\"}");
	assert_int_equal(bench_answer(&b, 200, "", FOLDER("new1", "made", "top")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/new1" ONE);
	assert_int_equal(bench_answer(&b, 200, "", FOLDER("new1", "made", "top")), CLOUD_STEP_NEXT);
	find_none(&b, NAMED("new1", "below"));
	bench_expect(&b, "GET", FILES "/generateIds?count=32&fields=ids");
	assert_int_equal(bench_answer(&b, 200, "", "{\"ids\":[\"new2\"]}"), CLOUD_STEP_NEXT);
	bench_expect(&b, "POST", FILES ONE);
	assert_int_equal(
	    bench_answer(&b, 200, "", FOLDER("new2", "below", "new1")), CLOUD_STEP_DONE);

	bench_op(&b, CLOUD_RMDIR, "made");
	bench_expect(&b, "GET", NAMED("top", "made"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FOLDER("new1", "made", "top"))), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/new1" ONE);
	assert_int_equal(bench_answer(&b, 200, "", FOLDER("new1", "made", "top")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", CHILDREN("new1", "1"));
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"nextPageToken\":\"x\",\"files\":[]}"), CLOUD_STEP_NEXT);
	assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FOLDER("new2", "below", "new1"))), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	bench_close(&b);
}

/* Each directory of the path is made by another op meanwhile, with the id that both have: that is
   no reason to take another id. */
static void
test_directories_at_once(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_MKDIR, "one/two/three");
	find_none(&b, NAMED("top", "one"));
	bench_expect(&b, "POST", FILES ONE);
	assert_int_equal(bench_answer(&b, 409, "", REFUSED("fileIdInUse")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/new1" ONE);
	assert_int_equal(bench_answer(&b, 200, "", FOLDER("new1", "one", "top")), CLOUD_STEP_NEXT);
	find_none(&b, NAMED("new1", "two"));
	bench_expect(&b, "GET", FILES "/generateIds?count=32&fields=ids");
	assert_int_equal(bench_answer(&b, 200, "", "{\"ids\":[\"new2\"]}"), CLOUD_STEP_NEXT);
	bench_expect(&b, "POST", FILES ONE);
	assert_int_equal(bench_answer(&b, 409, "", REFUSED("fileIdInUse")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FILES "/new2" ONE);
	assert_int_equal(bench_answer(&b, 200, "", FOLDER("new2", "two", "new1")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", NAMED("new2", "three"));
	bench_close(&b);
}

static void
test_errors(void **state)
{
	static const struct {
		int status, code;
		const char *reason, *words;
		enum cloud_step step;
	} cases[] = {
	    {400, -EINVAL, "invalid", "words", CLOUD_STEP_FAIL},
	    {401, -EKEYEXPIRED, "authError", "words", CLOUD_STEP_REFRESH},
	    {403, -EACCES, "insufficientFilePermissions", "words", CLOUD_STEP_FAIL},
	    {403, -EACCES, "accessNotConfigured", "enable the Google Drive API", CLOUD_STEP_FAIL},
	    {403, -EACCES, "cannotDownloadAbusiveFile", "malware", CLOUD_STEP_FAIL},
	    {403, -EAGAIN, "rateLimitExceeded", "words", CLOUD_STEP_RETRY},
	    {403, -EAGAIN, "userRateLimitExceeded", "words", CLOUD_STEP_RETRY},
	    {403, -EAGAIN, "dailyLimitExceeded", "words", CLOUD_STEP_RETRY},
	    {403, -EDQUOT, "storageQuotaExceeded", "words", CLOUD_STEP_FAIL},
	    {403, -EFBIG, "exportSizeLimitExceeded", "docsExport", CLOUD_STEP_FAIL},
	    {403, -EDQUOT, "teamDriveFileLimitExceeded", "words", CLOUD_STEP_FAIL},
	    {403, -EDQUOT, "numChildrenInNonRootLimitExceeded", "500,000", CLOUD_STEP_FAIL},
	    {404, -ENOENT, "notFound", "words", CLOUD_STEP_FAIL},
	    {408, -ETIMEDOUT, "", "408", CLOUD_STEP_RETRY},
	    {410, -ENOENT, "", "410", CLOUD_STEP_FAIL},
	    {412, -ESTALE, "conditionNotMet", "words", CLOUD_STEP_FAIL},
	    {413, -EFBIG, "", "413", CLOUD_STEP_FAIL},
	    {429, -EAGAIN, "rateLimitExceeded", "words", CLOUD_STEP_RETRY},
	    {500, -EIO, "backendError", "words", CLOUD_STEP_RETRY},
	    {503, -EAGAIN, "", "503", CLOUD_STEP_RETRY},
	    {301, -EINVAL, "", "301", CLOUD_STEP_FAIL},
	};
	struct bench b;

	bench_at_top(&b);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free)
		char *body = xasprintf(REFUSED("%s"), cases[i].reason);

		bench_op(&b, CLOUD_STAT, "f");
		bench_expect(&b, "GET", NAMED("top", "f"));
		assert_int_equal(bench_answer(&b, cases[i].status, "",
				     *cases[i].reason == '\0' ? "<html>" : body),
		    cases[i].step);
		assert_int_equal(b.err.code, cases[i].code);
		if (strstr(b.err.msg, cases[i].words) == NULL)
			fail_msg("%s", b.err.msg);
	}
	bench_op(&b, CLOUD_STAT, "f");
	bench_expect(&b, "GET", NAMED("top", "f"));
	assert_int_equal(bench_answer(&b, 200, "", "<html>"), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);
}

static void
test_usage(void **state)
{
	struct bench b;

	bench_at_top(&b);
	bench_op(&b, CLOUD_USAGE, "");
	bench_expect(&b, "GET", HOST "/drive/v3/about?fields=storageQuota");
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"storageQuota\":{\"limit\":\"100\",\"usage\":\"40\"}}"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.usage.available, 60);
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"storageQuota\":{\"usage\":\"40\"}}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EOPNOTSUPP);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_stat),
	    cmocka_unit_test(test_places),
	    cmocka_unit_test(test_places_of_two),
	    cmocka_unit_test(test_place_gone),
	    cmocka_unit_test(test_behind),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_twin),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_read_unpinned),
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_put_refused),
	    cmocka_unit_test(test_copy_and_move),
	    cmocka_unit_test(test_remove_late),
	    cmocka_unit_test(test_directories),
	    cmocka_unit_test(test_directories_at_once),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
