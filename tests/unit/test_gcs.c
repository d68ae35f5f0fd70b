/* The gcs driver, from requests written to answers understood; no network. */
#include "providers/gcs_account.h"
#include "tests/unit/driver_bench.h"
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define HOST        "http://127.0.0.1:9000"
#define OWN         "{\"endpoint\":\"" HOST "\",\"bucket\":\"box\"}"
#define ALL         "{\"endpoint\":\"" HOST "\",\"project\":\"proj\"}"
#define API         HOST "/storage/v1/b"
#define BOX         API "/box/o"
#define XBOX        HOST "/box"

#define FIELDS      "name%2Csize%2Cgeneration%2CtimeCreated%2CcontentType%2Cmd5Hash%2Ccrc32c%2Cmetadata"
#define LIST_FIELDS "nextPageToken%2Cprefixes%2Citems%28" FIELDS "%29"
#define LOOK        "?fields=" FIELDS

#define JSON_ERROR(code, reason, message)                                                          \
	"{\"error\":{\"code\":" code ",\"message\":\"" message                                     \
	"\",\"errors\":[{\"message\":\"" message "\",\"domain\":\"global\",\"reason\":\"" reason   \
	"\"}]}}"
#define XML_ERROR(code, message)                                                                   \
	"<?xml version='1.0' encoding='UTF-8'?><Error><Code>" code "</Code><Message>" message      \
	"</Message></Error>"

static void
bench_open(struct bench *b, const char *credentials)
{
	bench_open_driver(b, &gcs_driver, credentials);
}

static json_t *
service_account(void)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	BIO *pem = BIO_new(BIO_s_mem());
	json_t *file;
	char *text;
	long len;

	assert_true(PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL));
	len = BIO_get_mem_data(pem, &text);
	file = json_pack("{s:s, s:s%, s:s, s:s}", "client_email", "ferry@proj.example",
	    "private_key", text, (size_t)len, "project_id", "proj", "token_uri",
	    "https://oauth2.googleapis.com/token");
	BIO_free(pem);
	EVP_PKEY_free(key);
	return file;
}

static void
test_open(void **state)
{
	static const struct {
		const char *credentials, *why; /* NULL: fine */
	} cases[] = {
	    {"{}", "serviceAccount"},
	    {"{\"bucket\":\"box\"}", NULL}, /* anonymous */
	    {OWN, NULL},
	    {ALL, NULL},
	    {"{\"endpoint\":\"" HOST "\"}", "project"},
	    {"{\"bucket\":\"No\"}", "bucket"},
	    {"{\"bucket\":\"x\"}", "bucket"},
	    {"{\"bucket\":\"box\",\"endpoint\":\"host\"}", "endpoint"},
	    {"{\"bucket\":\"box\",\"ca\":\"ca.pem\"}", "ca"},
	    {"{\"bucket\":\"box\",\"project\":\"a b\"}", "project"},
	    {"{\"bucket\":\"box\",\"storageClass\":\"A\\r\\nB\"}", "storageClass"},
	    {"{\"bucket\":\"box\",\"tokenEndpoint\":\"https://x/token\"}", "tokenEndpoint"},
	    {"{\"bucket\":\"box\",\"serviceAccount\":\"{hush}\"}", "serviceAccount"},
	    {"{\"bucket\":\"box\",\"serviceAccount\":\"{}\",\"clientId\":\"id\"}", "clientId"},
	    {"{\"bucket\":\"box\",\"refreshToken\":\"hush\"}", "clientId"},
	    {"{\"bucket\":\"box\",\"clientSecret\":\"hush\"}", "clientId"},
	    {"{\"bucket\":\"box\",\"clientId\":\"id\",\"clientSecret\":\"hush\"}", NULL},
	    {"{\"bucket\":\"box\",\"clientId\":\"id\",\"clientSecret\":\"hush\","
	     "\"refreshToken\":\"hush\"}",
		NULL},
	    {"{\"bucket\":\"box\",\"clientId\":\"id\",\"refreshToken\":\"hush\","
	     "\"tokenEndpoint\":\"http://example.com/token\"}",
		"tokenEndpoint"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bench_credentials(&gcs_driver, cases[i].credentials, cases[i].why);
}

/* The key file says whose buckets are listed. */
static void
test_service_account(void **state)
{
	json_t *file = service_account(), *credentials;
	char *text = json_dumps(file, 0);
	struct account account = {
	    .driver = &gcs_driver, .data = xcalloc(1, gcs_driver.account_size)};
	struct gcs_account *gcs = account.data;

	credentials = json_pack("{s:s}", "serviceAccount", text);
	assert_int_equal(gcs_driver.open(&account, credentials, NULL), 0);
	assert_string_equal(gcs->project, "proj");
	assert_string_equal(gcs->oauth.token_url, "https://oauth2.googleapis.com/token");
	assert_string_equal(gcs->oauth.service, "ferry@proj.example");
	assert_string_equal(
	    gcs->oauth.scope, "https://www.googleapis.com/auth/devstorage.full_control");
	gcs_driver.close(&account);
	json_object_set_new(credentials, "project", json_string("other"));
	json_object_set_new(credentials, "tokenEndpoint", json_string("http://127.0.0.1:1/token"));
	assert_int_equal(gcs_driver.open(&account, credentials, NULL), 0);
	assert_string_equal(gcs->project, "other");
	assert_string_equal(gcs->oauth.token_url, "http://127.0.0.1:1/token");
	gcs_driver.close(&account);
	json_decref(credentials);
	json_decref(file);
	free(account.data);
	free(text);
}

static void
test_urls(void **state)
{
	static const struct {
		const char *credentials, *path, *json, *xml;
	} cases[] = {
	    {"{\"bucket\":\"box\"}", "a b/c+d%e.txt",
		"https://storage.googleapis.com/storage/v1/b/box/o/a%20b%2Fc%2Bd%25e.txt" LOOK,
		"https://storage.googleapis.com/box/a%20b/c%2Bd%25e.txt"},
	    {OWN, "\xc3\xbc?#&=\"'", BOX "/%C3%BC%3F%23%26%3D%22%27" LOOK,
		XBOX "/%C3%BC%3F%23%26%3D%22%27"},
	    {ALL, "with-box/key/deep", API "/with-box/o/key%2Fdeep" LOOK,
		HOST "/with-box/key/deep"},
	    {"{\"endpoint\":\"http://127.0.0.1:9000/base/\",\"bucket\":\"box\"}", "k",
		HOST "/base/storage/v1/b/box/o/k" LOOK, HOST "/base/box/k"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct gcs_account *gcs;
		struct bench b;

		bench_open(&b, cases[i].credentials);
		gcs = b.account.data;
		bench_op(&b, CLOUD_STAT, cases[i].path);
		bench_expect(&b, "GET", cases[i].json);
		assert_null(bench_header(&b, "Authorization"));
		gcs->oauth.token = xstrdup("tok");
		bench_op(&b, CLOUD_READ, cases[i].path);
		bench_expect(&b, "GET", cases[i].xml);
		assert_string_equal(bench_header(&b, "Authorization"), "Bearer tok");
		bench_close(&b);
	}
}

static void
test_identity(void **state)
{
	static const struct {
		const char *credentials, *path, *identity;
	} cases[] = {
	    {"{\"bucket\":\"box\"}", "k/l", "s3://storage.googleapis.com/box/k/l"},
	    {"{\"bucket\":\"box\",\"endpoint\":\"https://storage.us-east1.rep.googleapis.com\"}",
		"k", "s3://storage.googleapis.com/box/k"},
	    {OWN, "k", "s3://localhost:9000/box/k"},
	    {ALL, "box/k", "s3://localhost:9000/box/k"},
	    {OWN, "", "s3://localhost:9000/box/"},
	    {ALL, "", NULL},
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free) char *identity = NULL;

		bench_open(&b, cases[i].credentials);
		identity = gcs_driver.identity(&b.account, cases[i].path);
		if (cases[i].identity == NULL)
			assert_null(identity);
		else
			assert_string_equal(identity, cases[i].identity);
		bench_close(&b);
	}
}

/* The s3 driver reaches the same objects with keys for interoperability: what is copied from one to
   the other is not copied onto itself. */
static void
test_same(void **state)
{
	static const char hmac[] = "{\"endpoint\":\"https://storage.googleapis.com\","
				   "\"bucket\":\"box\",\"accessKeyId\":\"GOOG1\","
				   "\"secretAccessKey\":\"s\"}";
	json_t *own = json_loads("{\"bucket\":\"box\"}", 0, NULL),
	       *keys = json_loads(hmac, 0, NULL);
	struct account *gcs, *s3;

	assert_int_equal(cloud_account_open(&gcs, &gcs_driver, "1", "gcs", own, NULL), 0);
	assert_int_equal(cloud_account_open(&s3, &s3_driver, "2", "s3", keys, NULL), 0);
	assert_true(cloud_is_same(gcs, "a/b", s3, "a/b"));
	assert_true(cloud_is_same(s3, "a/b", gcs, "a/b"));
	assert_false(cloud_is_same(gcs, "a/b", s3, "a/c"));
	assert_true(cloud_is_inside(gcs, "a/b", s3, "a"));
	assert_false(cloud_is_inside(gcs, "a/b", s3, "b"));
	cloud_account_unref(gcs);
	cloud_account_unref(s3);
	json_decref(own);
	json_decref(keys);
}

static void
expect_refused(struct bench *b, enum cloud_op_kind kind, const char *path, int code)
{
	bench_op(b, kind, path);
	assert_int_equal(gcs_driver.request(&b->op, &b->request, &b->err), CLOUD_STEP_FAIL);
	assert_int_equal(b->err.code, code);
}

/* Names that no object can have are not asked for. */
static void
test_names(void **state)
{
	static const char *const names[] = {"a\nb", "a\rb", ".well-known/acme-challenge/x"};
	char longest[1026];
	struct bench b;

	memset(longest, 'x', sizeof longest - 1);
	longest[1025] = '\0';
	for (size_t i = 200; i < 1025; i += 200)
		longest[i] = '/';
	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		expect_refused(&b, CLOUD_PUT, names[i], -EILSEQ);
		expect_refused(&b, CLOUD_MKDIR, names[i], -EILSEQ);
		expect_refused(&b, CLOUD_COPY, names[i], -EILSEQ);
		expect_refused(&b, CLOUD_UPLOAD_BEGIN, names[i], -EILSEQ);
		expect_refused(&b, CLOUD_STAT, names[i], -ENOENT);
		expect_refused(&b, CLOUD_REMOVE, names[i], -ENOENT);
	}
	expect_refused(&b, CLOUD_PUT, longest, -ENAMETOOLONG);
	expect_refused(&b, CLOUD_STAT, longest, -ENOENT);
	longest[1024] = '\0';
	expect_refused(&b, CLOUD_MKDIR, longest, -ENAMETOOLONG); /* with its slash */
	expect_refused(&b, CLOUD_PUT, "", -EISDIR);
	expect_refused(&b, CLOUD_RMDIR, "", -EBUSY);
	expect_refused(&b, CLOUD_MOVE, "a", -EOPNOTSUPP);
	expect_refused(&b, CLOUD_USAGE, "a", -EOPNOTSUPP);
	expect_refused(&b, CLOUD_COPY_PART, "a", -EOPNOTSUPP);
	bench_close(&b);
	bench_open(&b, ALL);
	expect_refused(&b, CLOUD_STAT, "NO/x", -ENOENT);
	expect_refused(&b, CLOUD_MKDIR, "NO", -EINVAL);
	bench_close(&b);
}

static void
test_put(void **state)
{
	static const unsigned char md5[16] = {0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6,
	    0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72}; /* of "abc" (RFC 1321, A.5) */
	static const unsigned char crc[4] = {0x36, 0x4b, 0x3f, 0xb7}; /* of "abc" */
	struct bench b;

	bench_open(
	    &b, "{\"endpoint\":\"" HOST "\",\"bucket\":\"box\",\"storageClass\":\"NEARLINE\"}");
	bench_op(&b, CLOUD_PUT, "d/k.txt");
	b.op.length = 3;
	b.op.put.mtime_ns = -1;
	b.op.put.mode = 0100640;
	b.op.put.no_replace = true;
	digests_set(&b.op.put.digests, HASH_MD5, md5);
	digests_set(&b.op.put.digests, HASH_CRC32C, crc);
	bench_expect(&b, "PUT", XBOX "/d/k.txt");
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, 3);
	assert_string_equal(bench_header(&b, "Content-Type"), "text/plain");
	assert_string_equal(
	    bench_header(&b, "x-goog-meta-mtime"), "1969-12-31T23:59:59.999999999Z");
	assert_string_equal(bench_header(&b, "x-goog-meta-mode"), "0640");
	assert_string_equal(bench_header(&b, "x-goog-storage-class"), "NEARLINE");
	assert_string_equal(bench_header(&b, "x-goog-if-generation-match"), "0");
	assert_string_equal(bench_header(&b, "x-goog-hash"), "crc32c=Nks/tw==");
	assert_string_equal(bench_header(&b, "Content-MD5"), "kAFQmDzST7DWlj99KOF/cg==");
	/* The hashes come in one header or in two. */
	assert_int_equal(bench_answer(&b, 200,
			     "ETag: \"x\"\nx-goog-generation: 1700\nx-goog-hash: crc32c=Nks/tw==\n"
			     "x-goog-hash: md5=kAFQmDzST7DWlj99KOF/cg==\n",
			     ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "1700");
	assert_int_equal(b.op.entry.size, 3);
	assert_int_equal(b.op.entry.mtime_ns, -1);
	assert_int_equal(b.op.entry.mode, 0640);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C));
	assert_memory_equal(b.op.entry.digests.sum[HASH_MD5], md5, sizeof md5);
	assert_memory_equal(b.op.entry.digests.sum[HASH_CRC32C], crc, sizeof crc);
	assert_int_equal(bench_answer(&b, 200,
			     "x-goog-generation: 1\n"
			     "x-goog-hash: md5=kAFQmDzST7DWlj99KOF/cg==, crc32c=Nks/tw==,sha9=x\n",
			     ""),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C));

	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_FAIL); /* no generation */
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(
	    bench_answer(&b, 412, "", XML_ERROR("PreconditionFailed", "no")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	assert_int_equal(bench_answer(&b, 400, "", XML_ERROR("BadDigest", "no")), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EBADMSG);

	bench_op(&b, CLOUD_PUT, "k");
	b.op.length = 0;
	b.op.put.content_type = xstrdup("text/html\r\nx-goog-meta-evil: 1");
	bench_expect(&b, "PUT", XBOX "/k");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_string_equal(bench_header(&b, "Content-Type"), "application/octet-stream");
	assert_null(bench_header(&b, "x-goog-if-generation-match"));
	assert_null(bench_header(&b, "x-goog-hash"));
	b.op.length = gcs_driver.limits.put_max + 1;
	assert_int_equal(gcs_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EFBIG);
	bench_close(&b);
}

#define OBJECT                                                                                     \
	"{\"name\":\"dir/file.txt\",\"size\":\"1234\",\"generation\":\"17\","                      \
	"\"timeCreated\":\"1994-11-06T08:49:37.500Z\",\"contentType\":\"text/plain\","             \
	"\"md5Hash\":\"kAFQmDzST7DWlj99KOF/cg==\",\"crc32c\":\"Nks/tw==\",\"metadata\":"           \
	"{\"mtime\":\"2023-11-14T22:13:20.123456789Z\",\"mode\":\"100640\"}}"

static void
test_stat(void **state)
{
	static const char list[] = BOX "?fields=" LIST_FIELDS "&maxResults=1&prefix=d%20x%2Fsub%2F";
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_STAT, "dir/file.txt");
	bench_expect(&b, "GET", BOX "/dir%2Ffile.txt" LOOK);
	assert_int_equal(bench_answer(&b, 200, "", OBJECT), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.path, "dir/file.txt");
	assert_int_equal(b.op.entry.kind, ENTRY_FILE);
	assert_int_equal(b.op.entry.size, 1234);
	assert_int_equal(b.op.entry.mtime_ns, 1700000000123456789);
	assert_int_equal(b.op.entry.mode, 0640);
	assert_string_equal(b.op.entry.version, "17");
	assert_string_equal(b.op.entry.content_type, "text/plain");
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C));
	/* gsutil's times; another program's idea of one; none: when it was made. */
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"size\":\"1\",\"generation\":\"1\",\"metadata\":{"
			     "\"goog-reserved-file-mtime\":\"784111777\","
			     "\"goog-reserved-posix-mode\":\"600\"}}"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.mtime_ns, 784111777000000000);
	assert_int_equal(b.op.entry.mode, 0600);
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"size\":\"1\",\"generation\":\"1\",\"metadata\":{\"mtime\":\"12\"},"
			     "\"timeCreated\":\"1994-11-06T08:49:37.500Z\"}"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.mtime_ns, 784111777500000000);
	/* What only looks is asked again. */
	assert_int_equal(bench_answer(&b, 200, "", "{\"size\":\"x\"}"), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(bench_answer(&b, 200, "", "<html>"), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EPROTO);

	bench_op(&b, CLOUD_STAT, "d x/sub");
	bench_expect(&b, "GET", BOX "/d%20x%2Fsub" LOOK);
	assert_int_equal(bench_answer(&b, 404, "", JSON_ERROR("404", "notFound", "No such object")),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", list);
	/* A page may be empty and not the last. */
	assert_int_equal(bench_answer(&b, 200, "", "{\"nextPageToken\":\"m/1\"}"), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET",
	    BOX "?fields=" LIST_FIELDS "&maxResults=1&pageToken=m%2F1&prefix=d%20x%2Fsub%2F");
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"items\":[{\"name\":\"d x/sub/y\",\"size\":\"0\","
			     "\"generation\":\"1\"}],\"nextPageToken\":\"m2\"}"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);
	bench_op(&b, CLOUD_STAT, "d x/sub");
	bench_answer(&b, 404, "", "");
	assert_int_equal(bench_answer(&b, 200, "", "{}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	/* A bucket that is gone is not an empty one. */
	bench_op(&b, CLOUD_STAT, "");
	bench_expect(&b, "GET", BOX "?fields=" LIST_FIELDS "&maxResults=1");
	assert_int_equal(bench_answer(&b, 200, "", "{}"), CLOUD_STEP_DONE);
	assert_int_equal(
	    bench_answer(&b, 404, "", JSON_ERROR("404", "notFound", "no bucket")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_STAT, "");
	bench_expect(&b, "GET",
	    API "?fields=nextPageToken%2Citems%28name%2CtimeCreated%29&maxResults=1&project=proj");
	assert_int_equal(bench_answer(&b, 200, "", "{}"), CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);
	bench_close(&b);
}

static void
test_list(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "dir");
	bench_expect(
	    &b, "GET", BOX "?delimiter=%2F&fields=" LIST_FIELDS "&maxResults=1000&prefix=dir%2F");
	/* A name with a NUL, one that no path can have, the marker; the page is not lost for them.
	 */
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"items\":[" OBJECT
			     ",{\"name\":\"dir/a\\u0000b\",\"size\":\"1\",\"generation\":\"1\"}"
			     ",{\"name\":\"dir/..\",\"size\":\"1\",\"generation\":\"1\"}"
			     ",{\"name\":\"dir/\",\"size\":\"0\",\"generation\":\"1\"}],"
			     "\"prefixes\":[\"dir/sub/\"],\"nextPageToken\":\"t\"}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET",
	    BOX "?delimiter=%2F&fields=" LIST_FIELDS "&maxResults=1000&pageToken=t&prefix=dir%2F");
	assert_int_equal(bench_answer(&b, 200, "", "{\"nextPageToken\":\"t\"}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO); /* round in circles */
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"prefixes\":[\"dir/zoo/\"]}"), CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 3);
	assert_int_equal(b.op.list.hidden, 2);
	assert_string_equal(b.op.list.items[0].path, "dir/file.txt");
	assert_int_equal(b.op.list.items[0].mtime_ns, 1700000000123456789);
	assert_string_equal(b.op.list.items[1].path, "dir/sub");
	assert_int_equal(b.op.list.items[1].kind, ENTRY_DIRECTORY);
	/* Of a page that cannot be read nothing is taken: it is asked for again. */
	bench_op(&b, CLOUD_LIST, "dir");
	assert_int_equal(bench_answer(&b, 200, "", "{\"items\":[" OBJECT ",{\"name\":\"x\"}]}"),
	    CLOUD_STEP_RETRY);
	assert_int_equal(b.op.list.len, 0);
	assert_int_equal(bench_answer(&b, 200, "", "{}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	/* A marker with content is more than a marker, and no path can have its name. */
	bench_op(&b, CLOUD_LIST, "dir");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"{\"items\":[{\"name\":\"dir/\",\"size\":\"5\",\"generation\":\"1\"}]}"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 0);
	assert_int_equal(b.op.list.hidden, 1);

	bench_op(&b, CLOUD_LIST, "");
	b.op.max = 1;
	b.op.after = xstrdup("m/");
	bench_expect(&b, "GET",
	    BOX "?delimiter=%2F&fields=" LIST_FIELDS "&maxResults=1000&startOffset=m%2F");
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"prefixes\":[\"m/\"],\"nextPageToken\":\"t\"}"),
	    CLOUD_STEP_NEXT);
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"prefixes\":[\"n/\"],\"nextPageToken\":\"u\"}"),
	    CLOUD_STEP_DONE);
	assert_true(b.op.more);
	assert_int_equal(b.op.list.len, 1);
	bench_close(&b);

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_LIST, "");
	bench_expect(&b, "GET",
	    API
	    "?fields=nextPageToken%2Citems%28name%2CtimeCreated%29&maxResults=1000&project=proj");
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"items\":[{\"name\":\"bo\",\"timeCreated\":"
			     "\"1994-11-06T08:49:37Z\"},{\"name\":\"a/b\"}]}"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 1);
	assert_int_equal(b.op.list.items[0].mtime_ns, 784111777000000000);
	bench_close(&b);
}

static void
test_read(void **state)
{
	static const char head[] = "x-goog-generation: 17\nContent-Length: 5\n"
				   "Content-Range: bytes 5-9/100\nx-goog-meta-mode: 0600\n"
				   "x-goog-meta-mtime: 2023-11-14T22:13:20.123456789Z\n"
				   "x-goog-hash: crc32c=Nks/tw==\n";
	struct bench b;

	bench_open(&b, OWN);
	/* A page that somebody else puts in its place. */
	bench_op(&b, CLOUD_READ, "k");
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 33\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);

	bench_op(&b, CLOUD_READ, "a/b");
	b.op.offset = 5;
	b.op.length = 5;
	b.op.version = xstrdup("17");
	bench_expect(&b, "GET", XBOX "/a/b");
	assert_string_equal(bench_header(&b, "Range"), "bytes=5-9");
	assert_string_equal(bench_header(&b, "Accept-Encoding"), "gzip");
	assert_string_equal(bench_header(&b, "x-goog-if-generation-match"), "17");
	assert_int_equal(bench_answer(&b, 206, head, ""), CLOUD_STEP_STREAM);
	assert_int_equal(b.op.entry.size, 100);
	assert_int_equal(b.op.entry.mode, 0600);
	assert_int_equal(b.op.entry.mtime_ns, 1700000000123456789);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_CRC32C)); /* of the whole */
	/* Whoever has not heard of the condition sends another one. */
	xstrset(&b.op.version, "16");
	assert_int_equal(bench_answer(&b, 206, head, ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_int_equal(
	    bench_answer(&b, 412, "", XML_ERROR("PreconditionFailed", "no")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_int_equal(bench_answer(&b, 404, "", XML_ERROR("NoSuchKey", "no")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	assert_int_equal(
	    bench_answer(&b, 416, "", XML_ERROR("InvalidRange", "no")), CLOUD_STEP_DONE);
	/* What a lost answer began with is what it goes on with. */
	bench_op(&b, CLOUD_READ, "a/b");
	b.op.length = UINT64_MAX;
	b.op.streamed = 7;
	b.op.entry.version = xstrdup("18");
	bench_expect(&b, "GET", XBOX "/a/b");
	assert_string_equal(bench_header(&b, "Range"), "bytes=7-");
	assert_string_equal(bench_header(&b, "x-goog-if-generation-match"), "18");
	/* Of nothing: what the object is. */
	bench_op(&b, CLOUD_READ, "a/b");
	b.op.length = 0;
	b.op.version = xstrdup("17");
	bench_expect(&b, "GET", BOX "/a%2Fb" LOOK "&ifGenerationMatch=17");
	assert_int_equal(bench_answer(&b, 200, "", OBJECT), CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.size, 1234);
	bench_close(&b);
}

static void
test_remove(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_REMOVE, "a/b");
	bench_expect(&b, "DELETE", BOX "/a%2Fb");
	assert_int_equal(bench_answer(&b, 204, "", ""), CLOUD_STEP_DONE);
	b.op.version = xstrdup("17");
	bench_expect(&b, "DELETE", BOX "/a%2Fb?ifGenerationMatch=17");
	assert_int_equal(
	    bench_answer(&b, 412, "", JSON_ERROR("412", "conditionNotMet", "no")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_int_equal(
	    bench_answer(&b, 403, "", JSON_ERROR("403", "retentionPolicyNotMet", "until 2030")),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPERM);
	assert_non_null(strstr(b.err.msg, "retention policy keeps it"));
	bench_close(&b);
}

static void
test_directories(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_MKDIR, "box/d");
	bench_expect(&b, "PUT", XBOX "/d/");
	assert_string_equal(bench_header(&b, "x-goog-if-generation-match"), "0");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_DONE);
	assert_int_equal(
	    bench_answer(&b, 412, "", XML_ERROR("PreconditionFailed", "no")), CLOUD_STEP_DONE);
	bench_op(&b, CLOUD_MKDIR, "box");
	bench_expect(&b, "POST", API "?project=proj");
	assert_string_equal(buf_str(&b.request.http.bytes), "{\"name\":\"box\"}");
	assert_int_equal(bench_answer(&b, 200, "", "{}"), CLOUD_STEP_DONE);
	assert_int_equal(bench_answer(&b, 409, "",
			     JSON_ERROR("409", "conflict",
				 "Your previous request to create the named bucket succeeded and "
				 "you already own it.")),
	    CLOUD_STEP_DONE);
	assert_int_equal(bench_answer(&b, 409, "", JSON_ERROR("409", "conflict", "not available")),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);

	bench_op(&b, CLOUD_RMDIR, "box/d");
	bench_expect(&b, "GET", BOX "?fields=" LIST_FIELDS "&maxResults=2&prefix=d%2F");
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"items\":[{\"name\":\"d/\",\"size\":\"0\",\"generation\":\"1\"}]}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "DELETE", BOX "/d%2F");
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_DONE);
	bench_op(&b, CLOUD_RMDIR, "box/d");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"{\"items\":[{\"name\":\"d/x\",\"size\":\"0\",\"generation\":\"1\"}]}"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	/* Content at the marker's name; and what the page behind the marker has. */
	bench_op(&b, CLOUD_RMDIR, "box/d");
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"items\":[{\"name\":\"d/\",\"size\":\"5\",\"generation\":\"1\"}]}"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	bench_op(&b, CLOUD_RMDIR, "box/d");
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"items\":[{\"name\":\"d/\",\"size\":\"0\",\"generation\":\"1\"}],"
			     "\"nextPageToken\":\"t\"}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", BOX "?fields=" LIST_FIELDS "&maxResults=2&pageToken=t&prefix=d%2F");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"{\"items\":[{\"name\":\"d/x\",\"size\":\"0\",\"generation\":\"1\"}]}"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	bench_op(&b, CLOUD_RMDIR, "box/d");
	assert_int_equal(bench_answer(&b, 200, "", "{}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_op(&b, CLOUD_RMDIR, "box");
	bench_expect(&b, "DELETE", API "/box");
	assert_int_equal(
	    bench_answer(&b, 409, "", JSON_ERROR("409", "conflict", "not empty")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	assert_int_equal(bench_answer(&b, 204, "", ""), CLOUD_STEP_DONE);
	bench_close(&b);
}

static void
test_setattr(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_SETATTR, "k");
	b.op.put.mtime_ns = 1;
	b.op.put.mode = 0755;
	bench_expect(&b, "PATCH", BOX "/k" LOOK);
	assert_string_equal(buf_str(&b.request.http.bytes),
	    "{\"metadata\":{\"mtime\":\"1970-01-01T00:00:00.000000001Z\",\"mode\":\"0755\"}}");
	assert_int_equal(bench_answer(&b, 200, "", OBJECT), CLOUD_STEP_DONE);
	/* A directory keeps none, and that is no failure; what is not there is one. */
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", BOX "?fields=" LIST_FIELDS "&maxResults=1&prefix=k%2F");
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"items\":[{\"name\":\"k/\",\"size\":\"0\",\"generation\":\"1\"}]}"),
	    CLOUD_STEP_DONE);
	bench_op(&b, CLOUD_SETATTR, "k");
	bench_answer(&b, 404, "", "");
	assert_int_equal(bench_answer(&b, 200, "", "{}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

#define REWRITE                                                                                    \
	BOX "/from%2Fa/rewriteTo/b/box/o/to%2Fb?fields=done%2CrewriteToken%2CtotalBytesRewritten"  \
	    "%2CobjectSize%2Cresource%28" FIELDS "%29"

static void
copy_op(struct bench *b)
{
	bench_op(b, CLOUD_COPY, "to/b");
	b->op.from = &b->account;
	b->op.path2 = xstrdup("from/a");
}

/* More than the service takes would be refused as a whole. */
static void
test_copy_of_many_metadata(void **state)
{
	CLEANUP(cleanup_free) char *large = xcalloc(1, 7001);
	json_t *body, *metadata;
	struct bench b;

	memset(large, 'x', 7000);
	bench_open(&b, OWN);
	copy_op(&b);
	b.op.put.metadata =
	    json_pack("{s:s,s:s,s:s,s:i}", "a", large, "b", large, "c", "small", "d", 1);
	bench_expect(&b, "POST", REWRITE);
	body = json_loadb(b.request.http.bytes.data, b.request.http.bytes.len, 0, NULL);
	metadata = json_object_get(body, "metadata");
	assert_int_equal(json_object_size(metadata), 2);
	assert_string_equal(json_string_value(json_object_get(metadata, "a")), large);
	assert_string_equal(json_string_value(json_object_get(metadata, "c")), "small");
	json_decref(body);
	bench_close(&b);
}

static void
test_copy(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	copy_op(&b);
	b.op.version = xstrdup("17");
	b.op.put.no_replace = true;
	bench_expect(&b, "POST", REWRITE "&ifGenerationMatch=0&ifSourceGenerationMatch=17");
	assert_int_equal(b.request.http.bytes.len, 0); /* what the source says of itself stays */
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"done\":false,\"rewriteToken\":\"r+1\","
			     "\"totalBytesRewritten\":\"1048576\",\"objectSize\":\"2000000\"}"),
	    CLOUD_STEP_NEXT);
	assert_int_equal(b.op.copied, 1048576);
	bench_expect(&b, "POST",
	    REWRITE "&ifGenerationMatch=0&ifSourceGenerationMatch=17&rewriteToken=r%2B1");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"{\"done\":true,\"totalBytesRewritten\":\"2000000\",\"resource\":" OBJECT "}"),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.resume, "r+1");
	assert_string_equal(b.op.entry.path, "to/b");
	assert_string_equal(b.op.entry.version, "17");
	assert_int_equal(b.op.entry.size, 1234);
	/* Another op goes on, and begins anew if it is too late for that; once. */
	for (int status = 400; status <= 410; status += 10) {
		copy_op(&b);
		b.op.resume = xstrdup("r+1");
		bench_expect(&b, "POST", REWRITE "&rewriteToken=r%2B1");
		assert_int_equal(bench_answer(&b, status, "", ""), CLOUD_STEP_NEXT);
		bench_expect(&b, "POST", REWRITE);
		assert_int_equal(bench_answer(&b, 200, "",
				     "{\"done\":false,\"rewriteToken\":\"r2\","
				     "\"totalBytesRewritten\":\"7\",\"objectSize\":\"2000000\"}"),
		    CLOUD_STEP_NEXT);
		assert_string_equal(b.op.resume, "r2");
		bench_expect(&b, "POST", REWRITE "&rewriteToken=r2");
		assert_int_equal(bench_answer(&b, status, "", ""), CLOUD_STEP_FAIL);
	}
	copy_op(&b);
	assert_int_equal(bench_answer(&b, 400, "", ""), CLOUD_STEP_FAIL);
	copy_op(&b);
	b.op.version = xstrdup("17");
	b.op.put.no_replace = true;
	/* Which of the two conditions was not met? */
	assert_int_equal(
	    bench_answer(&b, 412, "", JSON_ERROR("412", "conditionNotMet", "no")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", BOX "/to%2Fb" LOOK);
	assert_int_equal(bench_answer(&b, 200, "", OBJECT), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	bench_close(&b);

	bench_open(
	    &b, "{\"endpoint\":\"" HOST "\",\"bucket\":\"box\",\"storageClass\":\"COLDLINE\"}");
	copy_op(&b);
	b.op.put.mtime_ns = 0;
	bench_expect(&b, "POST", REWRITE);
	assert_string_equal(buf_str(&b.request.http.bytes),
	    "{\"metadata\":{\"mtime\":\"1970-01-01T00:00:00.000000000Z\"},"
	    "\"contentType\":\"application/octet-stream\",\"storageClass\":\"COLDLINE\"}");
	assert_int_equal(bench_answer(&b, 200, "", "{\"done\":false}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO); /* how it would go on is not said */
	assert_int_equal(bench_answer(&b, 403, "", JSON_ERROR("403", "forbidden", "no access")),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	b.op.put.no_replace = true;
	assert_int_equal(
	    bench_answer(&b, 412, "", JSON_ERROR("412", "conditionNotMet", "no")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	bench_close(&b);
}

static void
test_upload(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "d/k");
	b.op.put.mode = 0600;
	b.op.put.no_replace = true; /* it cannot be said here */
	bench_expect(&b, "POST", XBOX "/d/k?uploads");
	assert_string_equal(bench_header(&b, "x-goog-meta-mode"), "0600");
	assert_null(bench_header(&b, "x-goog-if-generation-match"));
	assert_int_equal(bench_answer(&b, 200, "",
			     "<InitiateMultipartUploadResult><UploadId>u/1</UploadId>"
			     "</InitiateMultipartUploadResult>"),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.upload, "u/1");

	bench_op(&b, CLOUD_UPLOAD_PART, "d/k");
	b.op.upload = xstrdup("u/1");
	b.op.part.number = 3;
	b.op.length = 3;
	bench_expect(&b, "PUT", XBOX "/d/k?partNumber=3&uploadId=u%2F1");
	assert_int_equal(b.request.http.length, 3);
	assert_int_equal(bench_answer(&b, 200, "ETag: \"abc\"\nx-goog-hash: crc32c=Nks/tw==\n", ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.part.tag, "abc");
	assert_int_equal(b.op.part.length, 3);
	assert_true(b.op.part.has_crc32c);
	assert_int_equal(b.op.part.crc32c, 0x364b3fb7);
	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(
	    bench_answer(&b, 404, "", XML_ERROR("NoSuchUpload", "gone")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	b.op.part.number = 10001;
	assert_int_equal(gcs_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -E2BIG);

	bench_op(&b, CLOUD_UPLOAD_STATUS, "d/k");
	b.op.upload = xstrdup("u/1");
	bench_expect(&b, "GET", XBOX "/d/k?uploadId=u%2F1");
	bench_op(&b, CLOUD_UPLOAD_ABORT, "d/k");
	b.op.upload = xstrdup("u/1");
	bench_expect(&b, "DELETE", XBOX "/d/k?uploadId=u%2F1");
	bench_op(&b, CLOUD_UPLOAD_FIND, "d/k");
	bench_expect(&b, "GET", XBOX "?uploads&encoding-type=url&max-uploads=1000&prefix=d%2Fk");
	bench_close(&b);
}

/* An upload of "abc" and "abc". */
static void
commit_op(struct bench *b, bool no_replace)
{
	bench_op(b, CLOUD_UPLOAD_COMMIT, "d/k");
	b->op.upload = xstrdup("u1");
	b->op.put.no_replace = no_replace;
	for (unsigned i = 1; i <= 2; i++)
		*upload_parts_add(&b->op.parts) = (struct upload_part){.number = i,
		    .length = 3,
		    .tag = "abc",
		    .has_crc32c = true,
		    .crc32c = 0x364b3fb7};
}

/* CRC32C of "abcabc". */
static char *
made(const char *crc)
{
	return xasprintf("{\"size\":\"6\",\"generation\":\"18\",\"crc32c\":\"%s\"}", crc);
}

static void
test_commit(void **state)
{
	static const char done[] = "<CompleteMultipartUploadResult><ETag>\"x\"</ETag>"
				   "</CompleteMultipartUploadResult>";
	static const char look[] = BOX "/d%2Fk" LOOK, act[] = XBOX "/d/k?uploadId=u1";
	CLEANUP(buf_free) struct buf crc = BUF_INIT(16);
	CLEANUP(cleanup_free) char *ours = NULL;
	CLEANUP(cleanup_free) char *theirs = made("AAAAAA==");
	struct digests sum = {.have = 0};
	struct bench b;

	digests_set_crc32c(&sum, crc32c(0, "abcabc", 6));
	buf_put_base64(&crc, sum.sum[HASH_CRC32C], 4);
	ours = made(buf_str(&crc));
	bench_open(&b, OWN);
	commit_op(&b, false);
	bench_expect(&b, "POST", act);
	assert_string_equal(buf_str(&b.request.http.bytes),
	    "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	    "<Part><PartNumber>1</PartNumber><ETag>&quot;abc&quot;</ETag></Part>"
	    "<Part><PartNumber>2</PartNumber><ETag>&quot;abc&quot;</ETag></Part>"
	    "</CompleteMultipartUpload>");
	/* An error in a 200; then good; what has it become? */
	assert_int_equal(
	    bench_answer(&b, 200, "", XML_ERROR("InternalError", "try again")), CLOUD_STEP_RETRY);
	assert_int_equal(bench_answer(&b, 200, "", done), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", look);
	assert_int_equal(bench_answer(&b, 200, "", ours), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "18");
	assert_int_equal(b.op.entry.size, 6);
	assert_int_equal(bench_answer(&b, 200, "", theirs), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);

	/* The upload is gone: because it was made, or not? */
	commit_op(&b, false);
	assert_int_equal(
	    bench_answer(&b, 404, "", XML_ERROR("NoSuchUpload", "gone")), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", look);
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	assert_int_equal(bench_answer(&b, 200, "", theirs), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	assert_int_equal(bench_answer(&b, 403, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EIO);
	assert_int_equal(bench_answer(&b, 200, "", ours), CLOUD_STEP_DONE);
	b.op.parts.items[0].has_crc32c = false; /* by its size alone it is not proven */
	assert_int_equal(bench_answer(&b, 200, "", ours), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);

	/* Not to replace anything. */
	commit_op(&b, true);
	bench_expect(&b, "GET", look);
	assert_int_equal(bench_answer(&b, 200, "", theirs), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "POST", act);
	/* What is there is what it would make: by an earlier try, or somebody's who had the same?
	 */
	commit_op(&b, true);
	assert_int_equal(bench_answer(&b, 200, "", ours), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", XBOX "/d/k?max-parts=1&uploadId=u1");
	assert_int_equal(bench_answer(&b, 200, "", "<ListPartsResult/>"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	assert_int_equal(
	    bench_answer(&b, 404, "", XML_ERROR("NoSuchUpload", "gone")), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "18");
	bench_close(&b);
}

static void
test_errors(void **state)
{
	static const struct {
		int status;
		const char *body;
		int code;
		enum cloud_step step;
	} cases[] = {
	    {400, JSON_ERROR("400", "invalid", "no"), -EINVAL, CLOUD_STEP_FAIL},
	    {401, JSON_ERROR("401", "authError", "Invalid Credentials"), -EKEYEXPIRED,
		CLOUD_STEP_REFRESH},
	    {403, JSON_ERROR("403", "forbidden", "no access"), -EACCES, CLOUD_STEP_FAIL},
	    {403, JSON_ERROR("403", "rateLimitExceeded", "slow"), -EAGAIN, CLOUD_STEP_RETRY},
	    {403, JSON_ERROR("403", "userRateLimitExceeded", "slow"), -EAGAIN, CLOUD_STEP_RETRY},
	    {403, JSON_ERROR("403", "quotaExceeded", "full"), -EDQUOT, CLOUD_STEP_FAIL},
	    {403, JSON_ERROR("403", "insufficientPermissions", "scope"), -EACCES, CLOUD_STEP_FAIL},
	    {405, "", -EOPNOTSUPP, CLOUD_STEP_FAIL},
	    {408, "", -ETIMEDOUT, CLOUD_STEP_RETRY},
	    {409, JSON_ERROR("409", "conflict", "two met"), -EAGAIN, CLOUD_STEP_RETRY},
	    {412, "", -ESTALE, CLOUD_STEP_FAIL},
	    {413, "", -EFBIG, CLOUD_STEP_FAIL},
	    {429, JSON_ERROR("429", "rateLimitExceeded", "slow"), -EAGAIN, CLOUD_STEP_RETRY},
	    {429, XML_ERROR("SlowDown", "slow"), -EAGAIN, CLOUD_STEP_RETRY},
	    {500, XML_ERROR("InternalError", "oops"), -EIO, CLOUD_STEP_RETRY},
	    {502, "<html>bad gateway", -EIO, CLOUD_STEP_RETRY},
	    {503, JSON_ERROR("503", "backendError", "oops"), -EAGAIN, CLOUD_STEP_RETRY},
	    {507, "", -EDQUOT, CLOUD_STEP_FAIL},
	    {302, "", -EINVAL, CLOUD_STEP_FAIL},
	    {101, "", -EPROTO, CLOUD_STEP_RETRY},
	};
	struct gcs_account *gcs;
	struct bench b;

	bench_open(&b, "{\"bucket\":\"box\",\"clientId\":\"id\",\"refreshToken\":\"r\"}");
	gcs = b.account.data;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bench_op(&b, CLOUD_REMOVE, "k");
		if (bench_answer(&b, cases[i].status, "", cases[i].body) != cases[i].step ||
		    b.err.code != cases[i].code)
			fail_msg(
			    "%d %s: %d %s", cases[i].status, cases[i].body, b.err.code, b.err.msg);
		assert_non_null(strstr(b.err.msg, "'k'"));
	}
	/* Nobody can sign in again where nobody has. */
	free(TAKE(gcs->oauth.token_url));
	bench_op(&b, CLOUD_REMOVE, "k");
	assert_int_equal(
	    bench_answer(&b, 401, "", JSON_ERROR("401", "required", "Anonymous caller")),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_service_account),
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_same),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_stat),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_remove),
	    cmocka_unit_test(test_directories),
	    cmocka_unit_test(test_setattr),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_copy_of_many_metadata),
	    cmocka_unit_test(test_upload),
	    cmocka_unit_test(test_commit),
	    cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
