/* The gdrive driver, from requests written to answers understood; no network. */
#include "providers/gdrive_private.h"
#include "tests/unit/driver_bench.h"
#include <stdlib.h>
#include <string.h>

#define GRANT   "\"clientId\":\"id\",\"clientSecret\":\"hush\",\"refreshToken\":\"hush\""
#define ACCOUNT "{" GRANT ",\"endpoint\":\"https://host\",\"rootFolder\":\"top\"}"
#define HOST    "https://host"
#define FILES   HOST "/drive/v3/files"
#define UPLOADS HOST "/upload/drive/v3/files"
#define ONE     "?fields=" GDRIVE_FIELDS "&supportsAllDrives=true"
#define LISTED  "?fields=nextPageToken,files(" GDRIVE_FIELDS ")&includeItemsFromAllDrives=true"
#define IN(dir) "%27" dir "%27%20in%20parents%20and%20trashed%20%3D%20false"
#define NAMED(dir, name)                                                                           \
	FILES LISTED "&pageSize=1000&q=" IN(dir) "%20and%20(name%20%3D%20%27" name                 \
						 "%27)&supportsAllDrives=true"
#define CHILDREN(dir, size) FILES LISTED "&pageSize=" size "&q=" IN(dir) "&supportsAllDrives=true"
#define MD5                 "900150983cd24fb0d6963f7d28e17f72"
#define FOLDER(id, name, parent)                                                                   \
	"{\"id\":\"" id "\",\"name\":\"" name                                                      \
	"\",\"mimeType\":\"application/vnd.google-apps.folder\",\"parents\":[\"" parent            \
	"\"],\"createdTime\":\"2001-01-01T00:00:00.000Z\"}"
#define FILE_MORE(id, name, parent, created, more)                                                 \
	"{\"id\":\"" id "\",\"name\":\"" name                                                      \
	"\",\"mimeType\":\"text/plain\",\"parents\":[\"" parent "\"],\"createdTime\":\"" created   \
	"\",\"modifiedTime\":\"2013-05-24T00:00:00.123Z\",\"size\":\"3\",\"md5Checksum\":\"" MD5   \
	"\"" more "}"
#define REVISION                  ",\"headRevisionId\":\"rev1\",\"capabilities\":{\"canReadRevisions\":true}"
#define FILE_OF(id, name, parent) FILE_MORE(id, name, parent, "2001-01-01T00:00:00.000Z", REVISION)
#define PAGE(files)               "{\"files\":[" files "]}"
#define REFUSED(reason)                                                                            \
	"{\"error\":{\"code\":1,\"message\":\"words\",\"errors\":[{\"reason\":\"" reason "\"}]}}"

static void
bench_open(struct bench *b, const char *credentials)
{
	bench_open_driver(b, &gdrive_driver, credentials);
}

/* The account's top is known. */
static void
bench_at_top(struct bench *b)
{
	struct gdrive_account *drive;

	bench_open(b, ACCOUNT);
	drive = b->account.data;
	snprintf(drive->root, sizeof drive->root, "top");
	snprintf(drive->ids[drive->ids_len++], GDRIVE_ID_MAX, "new1");
}

static enum cloud_step
bench_request(struct bench *b)
{
	b->request.take = 0;
	http_request_fini(&b->request.http);
	http_request_init(&b->request.http);
	return gdrive_driver.request(&b->op, &b->request, &b->err);
}

static void
expect_body(const struct bench *b, const char *json)
{
	json_t *want = json_loads(json, 0, NULL);
	json_t *have = json_loads(buf_str(&b->request.http.bytes), 0, NULL);

	assert_non_null(want);
	if (!json_equal(want, have))
		fail_msg("not %s: %s", json, buf_str(&b->request.http.bytes));
	json_decref(want);
	json_decref(have);
}

static void
find_none(struct bench *b, const char *url)
{
	bench_expect(b, "GET", url);
	assert_int_equal(bench_answer(b, 200, "", PAGE("")), CLOUD_STEP_NEXT);
}

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

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct account account = {
		    .driver = &gdrive_driver, .data = xcalloc(1, gdrive_driver.account_size)};
		json_t *json = json_loads(cases[i].credentials, 0, NULL);
		struct err err = ERR_INIT;
		int code = gdrive_driver.open(&account, json, &err);

		assert_int_equal(code, cases[i].why == NULL ? 0 : -EINVAL);
		if (cases[i].why != NULL && strstr(err.msg, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].credentials, err.msg);
		assert_null(strstr(err.msg, "hush"));
		if (code == 0)
			gdrive_driver.close(&account);
		free(account.data);
		json_decref(json);
	}
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

static const char *
listed(const struct bench *b, size_t i)
{
	return i < b->op.list.len ? b->op.list.items[i].path : "";
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

#define SESSION HOST "/upload/drive/v3/files?uploadType=resumable&upload_id=xyz"

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

/* Uploads: of 600,000 bytes in parts of 512 KiB: the last 75,712, of which all are kept. */
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

#define CHANGES HOST "/drive/v3/changes"
#define START   CHANGES "/startPageToken?fields=startPageToken&supportsAllDrives=true"
#define FOLLOW(drive, token)                                                                       \
	CHANGES "?" drive "fields=nextPageToken,newStartPageToken,changes(changeType,driveId,"     \
		"fileId,file(id,name,mimeType,parents,trashed))&includeItemsFromAllDrives=true"    \
		"&pageSize=1000&pageToken=" token "&supportsAllDrives=true"
#define CHANGED(id, file) "{\"changeType\":\"file\",\"fileId\":\"" id "\",\"file\":" file "}"
#define GONE(id)          "{\"changeType\":\"file\",\"fileId\":\"" id "\"}"
#define TRASHED(id, parent)                                                                        \
	"{\"id\":\"" id "\",\"name\":\"n\",\"mimeType\":\"text/plain\",\"parents\":[\"" parent     \
	"\"],\"trashed\":true}"
#define TOLD(changes) "{\"changes\":[" changes "],\"newStartPageToken\":\"2\"}"

/* One page of changes: what it tells. */
static void
expect_told(struct bench *b, const char *changes, const char *told)
{
	CLEANUP(cleanup_free)
	char *answer = xasprintf("{\"changes\":[%s],\"newStartPageToken\":\"2\"}", changes);

	bench_changes(b, "1");
	bench_expect(b, "GET", FOLLOW("", "1"));
	assert_int_equal(bench_answer(b, 200, "", answer), CLOUD_STEP_DONE);
	bench_expect_changed(b, "2", told);
}

/* The list of "a" (d1) has "sub" (d2) and "f" (f1); that of "a/sub" has "g" (f2). */
static void
bench_follow(struct bench *b)
{
	bench_at_top(b);
	bench_changes(b, NULL);
	bench_expect(b, "GET", START);
	assert_int_equal(bench_answer(b, 200, "", "{\"startPageToken\":\"1\"}"), CLOUD_STEP_DONE);
	bench_expect_changed(b, "1", "");
	bench_op(b, CLOUD_LIST, "a");
	bench_expect(b, "GET", NAMED("top", "a"));
	assert_int_equal(bench_answer(b, 200, "", PAGE(FOLDER("d1", "a", "top"))), CLOUD_STEP_NEXT);
	bench_expect(b, "GET", CHILDREN("d1", "1000"));
	assert_int_equal(
	    bench_answer(b, 200, "", PAGE(FOLDER("d2", "sub", "d1") "," FILE_OF("f1", "f", "d1"))),
	    CLOUD_STEP_DONE);
	bench_op(b, CLOUD_LIST, "a/sub");
	bench_expect(b, "GET", NAMED("d1", "sub"));
	assert_int_equal(
	    bench_answer(b, 200, "", PAGE(FOLDER("d2", "sub", "d1"))), CLOUD_STEP_NEXT);
	bench_expect(b, "GET", CHILDREN("d2", "1000"));
	assert_int_equal(bench_answer(b, 200, "", PAGE(FILE_OF("f2", "g", "d2"))), CLOUD_STEP_DONE);
}

static void
test_changes(void **state)
{
	struct bench b;

	bench_follow(&b);
	expect_told(&b, "", "");
	expect_told(&b, CHANGED("x1", FILE_OF("x1", "new", "d1")), "a/");
	expect_told(&b, CHANGED("x2", FILE_OF("x2", "new", "elsewhere")), "");
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "g", "d2")), "a/sub/");
	/* Where it was, and where it is. */
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "g", "d1")), "a/sub/ a/");
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "h", "d1")), "a/");
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "h", "elsewhere")), "a/");
	expect_told(&b, CHANGED("f1", TRASHED("f1", "d1")), "a/");
	expect_told(&b, GONE("f1"), "a/");
	expect_told(&b, GONE("x2"), "");
	expect_told(&b, CHANGED("x3", FILE_OF("x3", "new", "top")), "/");
	bench_close(&b);
}

/* The directories that it remembers are made right too. */
static void
test_changes_of_directories(void **state)
{
	struct bench b;

	bench_follow(&b);
	expect_told(&b, CHANGED("d2", FOLDER("d2", "sub", "d1")), "a/"); /* its time */
	expect_told(&b, CHANGED("d1", FOLDER("d1", "b", "top")), "/ a/*");
	bench_op(&b, CLOUD_LIST, "a");
	find_none(&b, NAMED("top", "a"));
	bench_op(&b, CLOUD_LIST, "b");
	bench_expect(&b, "GET", NAMED("top", "b"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FOLDER("d1", "b", "top"))), CLOUD_STEP_NEXT);
	expect_told(&b, GONE("d1"), "/ b/*");
	expect_told(&b, CHANGED("top", TRASHED("top", "x")), "/*");
	bench_close(&b);
}

/* What it drops itself leads nowhere when it changes: so it is told. */
static void
test_changes_forgotten(void **state)
{
	struct bench b;
	char path[16];

	bench_follow(&b);
	gdrive_place_drop(b.account.data, "a/sub", 5);
	expect_told(&b, "", "a/sub/*");
	for (int i = 0; i < GDRIVE_PLACES_MAX; i++) {
		snprintf(path, sizeof path, "p%d", i);
		gdrive_place_put(b.account.data, path, strlen(path), "p", false, NOW_MS);
	}
	expect_told(&b, "", "a/*");
	for (int i = 0; i < 65536; i++) {
		struct gdrive_node node = {.parent = "d1"};

		snprintf(node.id, sizeof node.id, "n%d", i);
		gdrive_seen(b.account.data, &node);
	}
	expect_told(&b, "", "/*");
	bench_close(&b);
}

/* An answer that is lost, or makes no sense in its middle, loses nothing of what it was to tell. */
static void
test_changes_again(void **state)
{
	struct bench b;

	bench_follow(&b);
	bench_changes(&b, "1");
	bench_expect(&b, "GET", FOLLOW("", "1"));
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	bench_expect(&b, "GET", FOLLOW("", "1"));
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"changes\":[" CHANGED(
				 "f2", FILE_OF("f2", "g", "d1")) "],"
								 "\"nextPageToken\":\"1b\"}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FOLLOW("", "1b"));
	assert_int_equal(bench_answer(&b, 200, "", "{\"changes\":[{}]}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_changes(&b, "1");
	bench_expect(&b, "GET", FOLLOW("", "1"));
	assert_int_equal(bench_answer(&b, 200, "", "{\"changes\":[]}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	assert_string_equal(b.op.cursor, "1");
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "g", "d1")), "a/sub/ a/");
	bench_close(&b);
}

/* A token that is refused, too many pages, an account that was opened anew and does not know what
   the one before has shown: everything, and a new token. */
static void
test_changes_reset(void **state)
{
	static const int refused[] = {400, 404, 410};
	struct bench b;

	bench_follow(&b);
	for (size_t i = 0; i < ARRAY_LEN(refused) + 2; i++) {
		if (i == ARRAY_LEN(refused)) {
			bench_close(&b);
			bench_at_top(&b);
		}
		bench_changes(&b, "1");
		for (size_t page = 0; i > ARRAY_LEN(refused) && page < 10; page++) {
			CLEANUP(cleanup_free)
			char *answer = xasprintf("{\"nextPageToken\":\"1-%zu\"}", page);

			assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
			assert_int_equal(bench_answer(&b, 200, "", answer), CLOUD_STEP_NEXT);
		}
		if (i < ARRAY_LEN(refused)) {
			bench_expect(&b, "GET", FOLLOW("", "1"));
			assert_int_equal(
			    bench_answer(&b, refused[i], "", REFUSED("invalid")), CLOUD_STEP_NEXT);
		}
		bench_expect(&b, "GET", START);
		assert_int_equal(
		    bench_answer(&b, 200, "", "{\"startPageToken\":\"9\"}"), CLOUD_STEP_DONE);
		bench_expect_changed(&b, "9", "/*");
	}
	bench_changes(&b, NULL);
	bench_expect(&b, "GET", START);
	assert_int_equal(bench_answer(&b, 404, "", REFUSED("notFound")), CLOUD_STEP_FAIL);
	bench_close(&b);
}

static void
test_changes_of_drives(void **state)
{
	struct bench b;

	bench_open(&b, "{" GRANT ",\"endpoint\":\"https://host\",\"drive\":\"0AD\"}");
	bench_changes(&b, NULL);
	bench_expect(&b, "GET",
	    CHANGES "/startPageToken?driveId=0AD&fields=startPageToken&supportsAllDrives=true");
	assert_int_equal(bench_answer(&b, 200, "", "{\"startPageToken\":\"1\"}"), CLOUD_STEP_DONE);
	bench_changes(&b, "1");
	bench_expect(&b, "GET", FOLLOW("driveId=0AD&", "1"));
	assert_int_equal(
	    bench_answer(&b, 200, "", TOLD("{\"changeType\":\"drive\",\"driveId\":\"0AD\"}")),
	    CLOUD_STEP_DONE);
	bench_expect_changed(&b, "2", "/*");
	bench_close(&b);
}

/* Documents: what they are shown as, what is read, and that nothing is lost of them. */

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
	    cmocka_unit_test(test_changes),
	    cmocka_unit_test(test_changes_of_directories),
	    cmocka_unit_test(test_changes_forgotten),
	    cmocka_unit_test(test_changes_again),
	    cmocka_unit_test(test_changes_reset),
	    cmocka_unit_test(test_changes_of_drives),
	    cmocka_unit_test(test_upload_begin),
	    cmocka_unit_test(test_upload_parts),
	    cmocka_unit_test(test_upload_commit),
	    cmocka_unit_test(test_upload_abort),
	    cmocka_unit_test(test_document_list),
	    cmocka_unit_test(test_document_names),
	    cmocka_unit_test(test_document_read),
	    cmocka_unit_test(test_document_write),
	    cmocka_unit_test(test_document_copy),
	    cmocka_unit_test(test_document_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
