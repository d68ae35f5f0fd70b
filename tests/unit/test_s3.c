/* The s3 driver, from requests written to answers understood; no network. */
#include "providers/s3_request.h"
#include "providers/s3_xml.h"
#include "tests/unit/s3_bench.h"
#include <stdlib.h>
#include <string.h>

static void
test_open(void **state)
{
	static const struct {
		const char *credentials, *why; /* NULL: fine */
	} cases[] = {
	    {"{}", NULL},
	    {AMAZON, NULL},
	    {"{\"endpoint\":\"https://minio.example.org:9000/s3/\",\"style\":\"virtual\"}", NULL},
	    {"{\"endpoint\":\"minio.example.org\"}",
		"endpoint: 'minio.example.org' does not begin with https://"},
	    {"{\"endpoint\":\"https://\"}", "endpoint"},
	    {"{\"endpoint\":\"https://user:hush@host\"}",
		"endpoint: only scheme, host, port and path are possible, without user"},
	    {"{\"endpoint\":\"https://host/?x=1\"}", "endpoint"},
	    {"{\"endpoint\":\"https://ho st\"}", "endpoint"},
	    {"{\"accessKeyId\":\"A\"}", "secretAccessKey"},
	    {"{\"secretAccessKey\":\"hush\"}", "accessKeyId"},
	    {"{\"sessionToken\":\"hush\"}", "sessionToken"},
	    {"{\"accessKeyId\":\"A\\r\\nX-Evil: 1\",\"secretAccessKey\":\"hush\"}", "accessKeyId"},
	    {"{\"bucket\":\"no/slash\"}", "bucket"},
	    {"{\"bucket\":\"x\"}", "bucket"},
	    {"{\"style\":\"gothic\"}", "style"},
	    {"{\"ca\":\"ca.pem\"}", "ca"},
	    {"{\"region\":\"a b\"}", "region"},
	    {"{\"service\":\"floppy\"}", "service"},
	    {"{\"service\":\"minio\"}", "endpoint"},
	    {"{\"service\":\"wasabi\",\"region\":\"eu-central-1\"}", NULL},
	    {"{\"checksum\":\"sha1\"}", "checksum"},
	    {"{\"storageClass\":\"A B\"}", "storageClass"},
	    {"{\"requesterPays\":\"maybe\"}", "requesterPays"},
	    {"{\"encryption\":\"rot13\"}", "encryption"},
	    {"{\"encryption\":\"AES256\"}", NULL},
	    {"{\"encryption\":\"AES256\",\"kmsKeyId\":\"k\"}", "kmsKeyId"},
	    {"{\"encryption\":\"aws:kms\",\"kmsKeyId\":\"k\"}", NULL},
	    {"{\"encryption\":\"customer\"}", "customerKey"},
	    {"{\"encryption\":\"customer\",\"customerKey\":\"hush\"}", "customerKey"},
	    {"{\"customerKey\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"}", "customerKey"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bench_credentials(&s3_driver, cases[i].credentials, cases[i].why);
}

static void
test_urls(void **state)
{
	static const struct {
		const char *credentials, *path, *url, *host;
	} cases[] = {
	    {AMAZON, "a b/c+d%e.txt",
		"https://examplebucket.s3.us-east-1.amazonaws.com/a%20b/c%2Bd%25e.txt",
		"examplebucket.s3.us-east-1.amazonaws.com"},
	    {OWN, "\xc3\xbc?#&=\"'\n", "http://127.0.0.1:7480/box/%C3%BC%3F%23%26%3D%22%27%0A",
		"127.0.0.1:7480"},
	    {ALL, "bucket/key/deep", "http://127.0.0.1:7480/bucket/key/deep", "127.0.0.1:7480"},
	    {"{\"bucket\":\"with.dot\",\"region\":\"eu-west-1\"}", "k",
		"https://s3.eu-west-1.amazonaws.com/with.dot/k", "s3.eu-west-1.amazonaws.com"},
	    {"{\"endpoint\":\"https://host:443/base/\",\"bucket\":\"box\"}", "k",
		"https://host/base/box/k", "host"},
	    {"{\"endpoint\":\"http://host:80\",\"bucket\":\"box\",\"style\":\"virtual\"}", "k",
		"http://box.host/k", "box.host"},
	    {"{\"bucket\":\"box\",\"style\":\"path\"}", "k",
		"https://s3.us-east-1.amazonaws.com/box/k", "s3.us-east-1.amazonaws.com"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;

		bench_open(&b, cases[i].credentials);
		bench_op(&b, CLOUD_STAT, cases[i].path);
		bench_expect(&b, "HEAD", cases[i].url);
		assert_string_equal(bench_header(&b, "Host"), cases[i].host);
		bench_close(&b);
	}
}

static void
test_signed(void **state)
{
	struct bench b;

	/* The example of the API Reference, but for the region in the host. */
	bench_open(&b,
	    "{\"endpoint\":\"https://s3.amazonaws.com\",\"bucket\":\"examplebucket\","
	    "\"checksum\":\"md5\"," KEYS "}");
	bench_op(&b, CLOUD_READ, "test.txt");
	b.op.length = 10;
	bench_expect(&b, "GET", "https://examplebucket.s3.amazonaws.com/test.txt");
	assert_string_equal(bench_header(&b, "Authorization"),
	    "AWS4-HMAC-SHA256 "
	    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
	    "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature="
	    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	assert_null(bench_header(&b, "x-amz-security-token"));
	bench_close(&b);

	bench_open(
	    &b, "{\"bucket\":\"box\",\"sessionToken\":\"tok/en==\",\"checksum\":\"md5\"," KEYS "}");
	bench_op(&b, CLOUD_STAT, "k");
	bench_expect(&b, "HEAD", "https://box.s3.us-east-1.amazonaws.com/k");
	assert_string_equal(bench_header(&b, "x-amz-security-token"), "tok/en==");
	assert_non_null(strstr(bench_header(&b, "Authorization"),
	    "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"));
	bench_close(&b);

	bench_open(&b, "{\"bucket\":\"box\"}");
	bench_op(&b, CLOUD_STAT, "k");
	bench_expect(&b, "HEAD", "https://box.s3.us-east-1.amazonaws.com/k");
	assert_null(bench_header(&b, "Authorization"));
	assert_null(bench_header(&b, "x-amz-date"));
	bench_close(&b);
}

/* "Authenticating Requests: Using Query Parameters", API Reference. */
static void
test_presigned(void **state)
{
	CLEANUP(buf_free) struct buf url = BUF_INIT(HTTP_URL_MAX);
	struct bench b;

	bench_open(&b,
	    "{\"endpoint\":\"https://s3.amazonaws.com\",\"bucket\":\"examplebucket\"," KEYS "}");
	assert_int_equal(s3_presign(&url, &b.account, "test.txt", NOW_MS, 86400, &b.err), 0);
	assert_string_equal(buf_str(&url),
	    "https://examplebucket.s3.amazonaws.com/test.txt"
	    "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
	    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
	    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
	    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
	assert_int_equal(s3_presign(&url, &b.account, "k", NOW_MS, 604801, &b.err), -EINVAL);
	assert_int_equal(s3_presign(&url, &b.account, "", NOW_MS, 60, &b.err), -EISDIR);
	bench_close(&b);

	bench_open(&b,
	    "{\"bucket\":\"box\",\"sessionToken\":\"tok/en==\",\"requesterPays\":\"yes\"," KEYS
	    "}");
	buf_reset(&url);
	assert_int_equal(s3_presign(&url, &b.account, "a b", NOW_MS, 60, &b.err), 0);
	assert_non_null(strstr(buf_str(&url), ".com/a%20b?"));
	assert_non_null(strstr(buf_str(&url), "&X-Amz-Security-Token=tok%2Fen%3D%3D&"));
	assert_non_null(strstr(buf_str(&url), "?x-amz-request-payer=requester&"));
	bench_close(&b);

	/* Public: nothing to sign.  Encrypted with a key of one's own: a URL does not carry it. */
	bench_open(&b, "{\"bucket\":\"box\"}");
	buf_reset(&url);
	assert_int_equal(s3_presign(&url, &b.account, "k", NOW_MS, 60, &b.err), 0);
	assert_string_equal(buf_str(&url), "https://box.s3.us-east-1.amazonaws.com/k");
	bench_close(&b);
	bench_open(&b,
	    "{\"bucket\":\"box\",\"encryption\":\"customer\","
	    "\"customerKey\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"}");
	assert_int_equal(s3_presign(&url, &b.account, "k", NOW_MS, 60, &b.err), -EOPNOTSUPP);
	bench_close(&b);
}

/* What is known of the content goes along: S3 refuses what is not that. */
static void
test_put_checked(void **state)
{
	static const unsigned char md5[16] = {0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6,
	    0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72}; /* of "abc" (RFC 1321, A.5) */
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_PUT, "k");
	b.op.length = 3;
	digests_set(&b.op.put.digests, HASH_MD5, md5);
	bench_expect(&b, "PUT", "http://127.0.0.1:7480/box/k");
	assert_string_equal(bench_header(&b, "Content-MD5"), "kAFQmDzST7DWlj99KOF/cg==");
	assert_non_null(strstr(bench_header(&b, "Authorization"), "content-md5;"));
	bench_close(&b);
}

/* Where the service can: a checksum behind the content, or before it if it is known. */
static void
test_put_crc32c(void **state)
{
	static const char url[] = "https://box.s3.us-east-1.amazonaws.com/k";
	static const char *const none[] = {"x-amz-trailer", "Content-Encoding",
	    "x-amz-decoded-content-length", "x-amz-checksum-crc32c"};
	struct bench b;

	bench_open(&b, "{\"bucket\":\"box\"," KEYS "}");
	bench_op(&b, CLOUD_PUT, "k");
	b.op.length = 70000;
	bench_expect(&b, "PUT", url);
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, 70000);
	assert_true(b.request.http.crc32c_trailer);
	assert_string_equal(
	    bench_header(&b, "x-amz-content-sha256"), "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
	assert_string_equal(bench_header(&b, "Content-Encoding"), "aws-chunked");
	assert_string_equal(bench_header(&b, "x-amz-decoded-content-length"), "70000");
	assert_string_equal(bench_header(&b, "x-amz-trailer"), "x-amz-checksum-crc32c");
	assert_non_null(strstr(bench_header(&b, "Authorization"),
	    "SignedHeaders=content-encoding;content-type;host;x-amz-content-sha256;x-amz-date;"
	    "x-amz-decoded-content-length;x-amz-trailer,"));
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"x\"\nx-amz-checksum-crc32c: 4waSgw==\n", ""),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_CRC32C));
	assert_memory_equal(b.op.entry.digests.sum[HASH_CRC32C], "\xe3\x06\x92\x83", 4);

	digests_set(&b.op.put.digests, HASH_CRC32C, "\xe3\x06\x92\x83");
	bench_expect(&b, "PUT", url);
	assert_false(b.request.http.crc32c_trailer);
	assert_string_equal(bench_header(&b, "x-amz-checksum-crc32c"), "4waSgw==");
	assert_string_equal(bench_header(&b, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");

	/* Callers rely on the comparison with an MD5 that is known. */
	b.op.put.digests.have = 0;
	digests_set(&b.op.put.digests, HASH_MD5, "0123456789abcdef");
	bench_expect(&b, "PUT", url);
	assert_non_null(bench_header(&b, "Content-MD5"));
	assert_false(b.request.http.crc32c_trailer);

	bench_op(&b, CLOUD_PUT, "k");
	b.op.length = 0;
	bench_expect(&b, "PUT", url);
	assert_string_equal(bench_header(&b, "x-amz-checksum-crc32c"), "AAAAAA==");
	bench_op(&b, CLOUD_STAT, "k");
	bench_expect(&b, "HEAD", url);
	assert_string_equal(bench_header(&b, "x-amz-checksum-mode"), "ENABLED");
	bench_close(&b);

	for (int i = 0; i < 2; i++) {
		bench_open(
		    &b, i == 0 ? OWN : "{\"bucket\":\"box\",\"checksum\":\"none\"," KEYS "}");
		bench_op(&b, CLOUD_PUT, "k");
		b.op.length = 5;
		digests_set(&b.op.put.digests, HASH_MD5, "0123456789abcdef");
		assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_SEND);
		assert_false(b.request.http.crc32c_trailer);
		for (size_t at = 0; at < ARRAY_LEN(none); at++)
			assert_null(bench_header(&b, none[at]));
		assert_int_equal(bench_header(&b, "Content-MD5") != NULL, i == 0);
		bench_close(&b);
	}
}

/* Of ops that were sent at the same time only the first one learns it. */
static void
test_region_was_learned(void **state)
{
	struct bench b[2];

	for (int i = 0; i < 2; i++) {
		bench_open(&b[i], "{\"bucket\":\"box\"," KEYS "}");
		bench_op(&b[i], CLOUD_STAT, "k");
		b[i].op.account = &b[0].account;
		bench_expect(&b[i], "HEAD", "https://box.s3.us-east-1.amazonaws.com/k");
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bench_answer(&b[i], 301, "x-amz-bucket-region: eu-west-3\n", ""),
		    CLOUD_STEP_NEXT);
		bench_expect(&b[i], "HEAD", "https://box.s3.eu-west-3.amazonaws.com/k");
	}
	for (int i = 1; i >= 0; i--)
		bench_close(&b[i]);
}

/* The bucket is in another region: the account goes there, once for each op, if it may. */
static void
test_region(void **state)
{
	struct bench b;

	bench_open(&b, "{\"bucket\":\"box\"," KEYS "}");
	bench_op(&b, CLOUD_STAT, "k");
	bench_expect(&b, "HEAD", "https://box.s3.us-east-1.amazonaws.com/k");
	assert_int_equal(
	    bench_answer(&b, 301, "x-amz-bucket-region: eu-west-3\n", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "HEAD", "https://box.s3.eu-west-3.amazonaws.com/k");
	assert_non_null(strstr(bench_header(&b, "Authorization"), "/eu-west-3/s3/"));
	assert_int_equal(
	    bench_answer(&b, 301, "x-amz-bucket-region: eu-west-1\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EINVAL);
	bench_op(&b, CLOUD_LIST, "");
	assert_int_equal(bench_answer(&b, 400, "",
			     "<Error><Code>AuthorizationHeaderMalformed</Code>"
			     "<Region>us-west-2</Region></Error>"),
	    CLOUD_STEP_NEXT);
	/* Content that was taken is not there a second time: its caller begins again. */
	bench_op(&b, CLOUD_PUT, "k");
	b.op.length = 5;
	assert_int_equal(
	    bench_answer(&b, 307, "x-amz-bucket-region: eu-west-1\n", ""), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EAGAIN);
	bench_expect(&b, "PUT", "https://box.s3.eu-west-1.amazonaws.com/k");
	bench_op(&b, CLOUD_STAT, "k");
	assert_int_equal(
	    bench_answer(&b, 301, "x-amz-bucket-region: evil.example/?\n", ""), CLOUD_STEP_FAIL);
	bench_close(&b);

	/* An endpoint of one's own stays; the error says what it should be. */
	bench_open(&b,
	    "{\"endpoint\":\"https://s3.us-east-1.amazonaws.com\",\"bucket\":\"box\"," KEYS "}");
	bench_op(&b, CLOUD_STAT, "k");
	assert_int_equal(bench_answer(&b, 400, "",
			     "<Error><Code>AuthorizationHeaderMalformed</Code>"
			     "<Region>us-west-2</Region></Error>"),
	    CLOUD_STEP_FAIL);
	assert_non_null(strstr(b.err.msg, "us-west-2"));
	bench_close(&b);
}

static void
test_services(void **state)
{
	static const struct {
		const char *credentials, *url;
	} cases[] = {
	    {"{\"service\":\"wasabi\",\"region\":\"eu-central-1\",\"bucket\":\"box\"}",
		"https://s3.eu-central-1.wasabisys.com/box/k"},
	    {"{\"service\":\"b2\",\"region\":\"us-west-004\",\"bucket\":\"box\"}",
		"https://s3.us-west-004.backblazeb2.com/box/k"},
	    {"{\"service\":\"spaces\",\"region\":\"fra1\",\"bucket\":\"box\"}",
		"https://fra1.digitaloceanspaces.com/box/k"},
	    {"{\"service\":\"gcs\",\"bucket\":\"box\"}", "https://storage.googleapis.com/box/k"},
	    {"{\"service\":\"aws\",\"endpoint\":\"https://vpce.example\",\"bucket\":\"box\"}",
		"https://box.vpce.example/k"},
	    {"{\"endpoint\":\"https://s3.cn-north-1.amazonaws.com.cn\",\"bucket\":\"box\"}",
		"https://box.s3.cn-north-1.amazonaws.com.cn/k"},
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bench_open(&b, cases[i].credentials);
		bench_op(&b, CLOUD_STAT, "k");
		bench_expect(&b, "HEAD", cases[i].url);
		bench_close(&b);
	}
	/* A service that answers 501 to a condition is not given one. */
	bench_open(&b, SWIFT);
	assert_int_equal(b.account.limits.parts_max, 1000);
	bench_op(&b, CLOUD_PUT, "k");
	b.op.length = 1;
	b.op.put.no_replace = true;
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "PUT", "http://h/box/k");
	assert_null(bench_header(&b, "If-None-Match"));
	bench_close(&b);
}

/* Whoever reads it shall look at the disks, unless the service means what it says. */
static void
test_full(void **state)
{
	static const struct {
		const char *credentials;
		int status;
		const char *body;
		bool is_hinted;
	} cases[] = {
	    {SWIFT, 503, ERROR_BODY("ServiceUnavailable", "Ask less."), true},
	    {SWIFT, 503, "", true},
	    {SWIFT, 503, ERROR_BODY("SlowDown", "Ask less."), false},
	    {SWIFT, 429, ERROR_BODY("SlowDown", "Ask less."), false},
	    {OWN, 503, ERROR_BODY("ServiceUnavailable", "Ask less."), false},
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bench_open(&b, cases[i].credentials);
		bench_op(&b, CLOUD_STAT, "k");
		assert_int_equal(
		    bench_answer(&b, cases[i].status, "", cases[i].body), CLOUD_STEP_RETRY);
		assert_int_equal(b.err.code, -EAGAIN);
		assert_int_equal(strstr(b.err.msg, "disks are full") != NULL, cases[i].is_hinted);
		bench_close(&b);
	}
}

static void
test_identity(void **state)
{
	static const struct {
		const char *credentials, *path, *identity;
	} cases[] = {
	    {"{\"endpoint\":\"http://h:9000\",\"bucket\":\"box\"}", "k/l", "s3://h:9000/box/k/l"},
	    {"{\"endpoint\":\"http://h:9000/\"}", "box/k/l", "s3://h:9000/box/k/l"},
	    {"{\"endpoint\":\"https://H.\",\"bucket\":\"box\",\"style\":\"virtual\"}", "k",
		"s3://h/box/k"},
	    {"{\"endpoint\":\"http://h:80/base\"}", "box/k", "s3://h/base/box/k"},
	    {"{\"endpoint\":\"http://127.0.0.1:9000\"}", "box/k", "s3://localhost:9000/box/k"},
	    {"{\"endpoint\":\"http://[::1]:9000\"}", "box/k", "s3://localhost:9000/box/k"},
	    {"{\"bucket\":\"box\"}", "k", "s3://amazonaws.com/box/k"},
	    {"{\"endpoint\":\"https://s3.dualstack.eu-west-1.amazonaws.com\"}", "box/k",
		"s3://amazonaws.com/box/k"},
	    {"{\"endpoint\":\"https://notamazonaws.com\"}", "box/k", "s3://notamazonaws.com/box/k"},
	    {"{\"region\":\"us-east-1\"}", "", NULL},
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free) char *identity = NULL;

		bench_open(&b, cases[i].credentials);
		identity = s3_driver.identity(&b.account, cases[i].path);
		if (cases[i].identity == NULL)
			assert_null(identity);
		else
			assert_string_equal(identity, cases[i].identity);
		bench_close(&b);
	}
}

static void
test_stat(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_STAT, "dir/file.txt");
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/dir/file.txt");
	assert_int_equal(bench_answer(&b, 200,
			     "Content-Length: 1234\n"
			     "ETag: \"0123456789abcdef0123456789abcdef\"\n"
			     "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n"
			     "x-amz-meta-mtime: 1700000000.123456789\n"
			     "x-amz-meta-mode: 100640\n"
			     "Content-Type: text/plain\n",
			     ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.path, "dir/file.txt");
	assert_int_equal(b.op.entry.kind, ENTRY_FILE);
	assert_int_equal(b.op.entry.size, 1234);
	assert_int_equal(b.op.entry.mtime_ns, 1700000000123456789);
	assert_int_equal(b.op.entry.mode, 0640);
	assert_string_equal(b.op.entry.version, "0123456789abcdef0123456789abcdef");
	assert_string_equal(b.op.entry.content_type, "text/plain");
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5));
	assert_int_equal(b.op.entry.digests.sum[HASH_MD5][1], 0x23);

	bench_op(&b, CLOUD_STAT, "k");
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/k");
	assert_int_equal(bench_answer(&b, 200, "ETag: \"x\"\n", ""), CLOUD_STEP_FAIL); /* no size */
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);
}

static void
test_stat_times(void **state)
{
	static const struct {
		const char *meta;
		int64_t ns;
	} cases[] = {
	    {"x-amz-meta-mtime: 1.5\n", 1500000000},
	    {"x-amz-meta-mtime: 7\n", 7000000000},
	    {"x-amz-meta-mtime: 0.000000001\n", 1},
	    {"x-amz-meta-mtime: -1.500000000\n", -1500000000},
	    {"x-amz-meta-mtime: 1.1234567899\n", 1123456789},
	    {"x-amz-meta-mtime: yesterday\n", 784111777000000000},
	    {"x-amz-meta-mtime: 99999999999999999999\n", 784111777000000000},
	    {"x-amz-meta-mtime: 1.5x\n", 784111777000000000},
	    {"", 784111777000000000},
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free)
		char *headers =
		    xasprintf("Content-Length: 1\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n%s",
			cases[i].meta);

		bench_op(&b, CLOUD_STAT, "k");
		assert_int_equal(bench_answer(&b, 200, headers, ""), CLOUD_STEP_DONE);
		assert_int_equal(b.op.entry.mtime_ns, cases[i].ns);
	}
	bench_close(&b);
}

static void
test_no_md5(void **state)
{
	static const char *const headers[] = {
	    "ETag: \"0123456789abcdef0123456789abcdef-2\"\n",
	    "ETag: \"0123456789abcdef0123456789abcdef\"\nx-amz-server-side-encryption: aws:kms\n",
	    "ETag: \"0123456789abcdef0123456789abcdef\"\n"
	    "x-amz-server-side-encryption: aws:kms:dsse\n",
	    "ETag: \"0123456789abcdef0123456789abcdef\"\n"
	    "x-amz-server-side-encryption-customer-algorithm: AES256\n",
	    "ETag: \"0123456789abcdef0123456789abcdeX\"\n",
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		CLEANUP(cleanup_free) char *all = xasprintf("Content-Length: 1\n%s", headers[i]);

		bench_op(&b, CLOUD_STAT, "k");
		assert_int_equal(bench_answer(&b, 200, all, ""), CLOUD_STEP_DONE);
		assert_int_equal(b.op.entry.digests.have, 0);
		assert_non_null(b.op.entry.version);
	}
	bench_close(&b);
}

#define LIST_BEGIN                                                                                 \
	"<?xml version=\"1.0\"?><ListBucketResult "                                                \
	"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define LIST_END "</ListBucketResult>"

static void
test_stat_directory(void **state)
{
	static const char url[] = "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&"
				  "max-keys=1&prefix=d%20x%2Fsub%2F";
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_STAT, "d x/sub");
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/d%20x/sub");
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", url);
	assert_int_equal(bench_answer(&b, 200, "", LIST_BEGIN "<KeyCount>0</KeyCount>" LIST_END),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);

	bench_op(&b, CLOUD_STAT, "d x/sub");
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", url);
	assert_int_equal(bench_answer(&b, 200, "",
			     LIST_BEGIN "<Contents><Key>d+x/sub/y</Key><Size>1</Size></Contents>"
					"<EncodingType>url</EncodingType>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);
	assert_string_equal(b.op.entry.path, "d x/sub");

	/* A bucket that is gone is not an empty one. */
	bench_op(&b, CLOUD_STAT, "d");
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	assert_int_equal(
	    bench_answer(&b, 404, "", ERROR_BODY("NoSuchBucket", "gone")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	assert_string_equal(b.err.msg, "cannot look up 'd': NoSuchBucket: gone");
	bench_close(&b);
}

/* HEAD says no more than 403: is it the key, or who asks? */
static void
test_denied(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_STAT, "f");
	assert_int_equal(bench_answer(&b, 403, "", ""), CLOUD_STEP_NEXT);
	assert_int_equal(
	    bench_answer(&b, 403, "", ERROR_BODY("InvalidAccessKeyId", "It does not exist.")),
	    CLOUD_STEP_REFRESH);
	assert_int_equal(b.err.code, -EKEYEXPIRED);
	/* With the new keys, from the beginning. */
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/f");
	assert_int_equal(bench_answer(&b, 403, "", ""), CLOUD_STEP_NEXT);
	assert_int_equal(
	    bench_answer(&b, 200, "",
		"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	bench_close(&b);
}

static void
test_top(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_STAT, "");
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box");
	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);
	bench_op(&b, CLOUD_STAT, "");
	assert_int_equal(bench_answer(&b, 403, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	bench_close(&b);

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_STAT, "");
	bench_expect(&b, "GET", "http://127.0.0.1:7480/");
	assert_int_equal(bench_answer(&b, 200, "", "<ListAllMyBucketsResult/>"), CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.path, "");
	bench_op(&b, CLOUD_LIST, "");
	bench_expect(&b, "GET", "http://127.0.0.1:7480/");
	assert_int_equal(bench_answer(&b, 200, "",
			     "<ListAllMyBucketsResult><Buckets><Bucket><Name>one</Name>"
			     "<CreationDate>2023-11-14T22:13:20.000Z</CreationDate></Bucket>"
			     "<Bucket><Name>two</Name></Bucket></Buckets>"
			     "</ListAllMyBucketsResult>"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 2);
	assert_string_equal(b.op.list.items[0].path, "one");
	assert_int_equal(b.op.list.items[0].kind, ENTRY_DIRECTORY);
	assert_int_equal(b.op.list.items[0].mtime_ns, 1700000000000000000);
	assert_int_equal(b.op.list.items[1].mtime_ns, ENTRY_NO_TIME);

	bench_op(&b, CLOUD_STAT, "one");
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/one");
	/* Desktops look for such names: no request, and no bucket. */
	bench_op(&b, CLOUD_STAT, ".Trash-1000");
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_op(&b, CLOUD_PUT, "one");
	b.op.length = 1;
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EISDIR);
	bench_close(&b);
}

static void
test_list(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "dir");
	bench_expect(&b, "GET",
	    "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&delimiter=%2F&prefix=dir%2F");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<Name>box</Name><Prefix>dir/</Prefix><IsTruncated>true</IsTruncated>"
			   "<NextContinuationToken>a+b/c=</NextContinuationToken>"
			   "<Contents><Key>dir/</Key><Size>0</Size></Contents>"
			   "<Contents><Key>dir/sub</Key><Size>9</Size></Contents>"
			   "<Contents><Key>dir/one+two%2Bthree%0A</Key><Size>5</Size>"
			   "<ETag>&quot;abc&quot;</ETag>"
			   "<LastModified>2023-11-14T22:13:20.000Z</LastModified></Contents>"
			   "<Contents><Key>dir/%00bad</Key><Size>1</Size></Contents>"
			   "<Contents><Key>dir/..</Key><Size>1</Size></Contents>"
			   "<Contents><Key>dir/.</Key><Size>1</Size></Contents>"
			   "<Contents><Key>dir/%FF</Key><Size>1</Size></Contents>"
			   "<CommonPrefixes><Prefix>dir//</Prefix></CommonPrefixes>"
			   "<CommonPrefixes><Prefix>dir/../</Prefix></CommonPrefixes>"
			   "<EncodingType>url</EncodingType>" LIST_END),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET",
	    "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&delimiter=%2F&prefix=dir%2F&"
	    "continuation-token=a%2Bb%2Fc%3D");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
			   "<CommonPrefixes><Prefix>dir/sub/</Prefix></CommonPrefixes>"
			   "<CommonPrefixes><Prefix>dir/%E2%82%AC/</Prefix></CommonPrefixes>"
			   "<Contents><Key>dir/zzz</Key><Size>7</Size></Contents>" LIST_END),
	    CLOUD_STEP_DONE);
	/* Sorted; the directory "sub" hides the file of that name; what no path can say is left
	 * out. */
	assert_int_equal(b.op.list.len, 4);
	assert_string_equal(b.op.list.items[0].path, "dir/one two+three\n");
	assert_int_equal(b.op.list.items[0].size, 5);
	assert_string_equal(b.op.list.items[0].version, "abc");
	assert_int_equal(b.op.list.items[0].mtime_ns, 1700000000000000000);
	assert_string_equal(b.op.list.items[1].path, "dir/sub");
	assert_int_equal(b.op.list.items[1].kind, ENTRY_DIRECTORY);
	assert_string_equal(b.op.list.items[2].path, "dir/zzz");
	assert_int_equal(b.op.list.items[2].size, 7);
	assert_string_equal(b.op.list.items[3].path, "dir/\xe2\x82\xac");
	assert_int_equal(b.op.list.hidden, 7);
	bench_close(&b);
}

/* What no path can express, instead: with its key. */
static void
test_list_hidden(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "d/");
	b.op.hidden = true;
	bench_expect(&b, "GET",
	    "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&delimiter=%2F&prefix=d%2F");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<EncodingType>url</EncodingType>"
			   "<Contents><Key>d/</Key><Size>0</Size></Contents>"
			   "<Contents><Key>d/..</Key><Size>3</Size></Contents>"
			   "<Contents><Key>d/file</Key><Size>0</Size></Contents>"
			   "<Contents><Key>d/%FF</Key><Size>1</Size></Contents>"
			   "<Contents><Key>d/%00</Key><Size>1</Size></Contents>"
			   "<CommonPrefixes><Prefix>d//</Prefix></CommonPrefixes>"
			   "<CommonPrefixes><Prefix>d/sub/</Prefix></CommonPrefixes>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 2);
	assert_string_equal(b.op.list.items[0].path, "d/..");
	assert_int_equal(b.op.list.items[0].kind, ENTRY_FILE);
	assert_int_equal(b.op.list.items[0].size, 3);
	assert_string_equal(b.op.list.items[1].path, "d//");
	assert_int_equal(b.op.list.items[1].kind, ENTRY_DIRECTORY);
	assert_int_equal(b.op.list.hidden, 2); /* they are no text either */

	/* Of what begins so, all is such. */
	bench_op(&b, CLOUD_LIST, "d//");
	b.op.hidden = true;
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<Contents><Key>d//</Key><Size>0</Size></Contents>"
			   "<Contents><Key>d//x</Key><Size>1</Size></Contents>"
			   "<CommonPrefixes><Prefix>d//y/</Prefix></CommonPrefixes>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 3);
	assert_string_equal(b.op.list.items[1].path, "d//x");
	/* A marker with content is no marker. */
	bench_op(&b, CLOUD_LIST, "d/");
	b.op.hidden = true;
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<Contents><Key>d/</Key><Size>7</Size></Contents>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 1);
	assert_string_equal(b.op.list.items[0].path, "d/");
	/* At the top, and what begins with a slash. */
	bench_op(&b, CLOUD_LIST, "");
	b.op.hidden = true;
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<CommonPrefixes><Prefix>/</Prefix></CommonPrefixes>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 1);
	assert_string_equal(b.op.list.items[0].path, "/");
	bench_op(&b, CLOUD_LIST, "/");
	b.op.hidden = true;
	bench_expect(&b, "GET",
	    "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&delimiter=%2F&prefix=%2F");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<Contents><Key>/x</Key><Size>1</Size></Contents>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 1);
	assert_string_equal(b.op.list.items[0].path, "/x");
	bench_close(&b);

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_LIST, "");
	b.op.hidden = true;
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_DONE);
	bench_op(&b, CLOUD_LIST, "bucket//");
	b.op.hidden = true;
	bench_expect(&b, "GET",
	    "http://127.0.0.1:7480/bucket?list-type=2&encoding-type=url&delimiter=%2F&prefix=%2F");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<Contents><Key>/x</Key><Size>1</Size></Contents>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 1);
	assert_string_equal(b.op.list.items[0].path, "bucket//x");
	bench_close(&b);
}

/* One page behind a name, which some services tell again if it is a prefix. */
static void
test_list_behind(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "dir");
	b.op.max = 1000;
	b.op.after = xstrdup("a b/");
	bench_expect(&b, "GET",
	    "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&delimiter=%2F&prefix=dir%2F&"
	    "start-after=dir%2Fa%20b%2F");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<IsTruncated>true</IsTruncated>"
			   "<NextContinuationToken>t</NextContinuationToken>"
			   "<EncodingType>url</EncodingType>"
			   "<CommonPrefixes><Prefix>dir/a%20b/</Prefix></CommonPrefixes>" LIST_END),
	    CLOUD_STEP_NEXT); /* nothing new in it */
	bench_expect(&b, "GET",
	    "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&delimiter=%2F&prefix=dir%2F&"
	    "continuation-token=t");
	assert_int_equal(
	    bench_answer(&b, 200, "",
		LIST_BEGIN "<IsTruncated>true</IsTruncated>"
			   "<NextContinuationToken>u</NextContinuationToken>"
			   "<Contents><Key>dir/c</Key><Size>7</Size></Contents>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_true(b.op.more);
	assert_int_equal(b.op.list.len, 1);
	assert_string_equal(b.op.list.items[0].path, "dir/c");
	bench_close(&b);

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "");
	b.op.max = 1000;
	b.op.after = xstrdup("x");
	bench_expect(&b, "GET",
	    "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&delimiter=%2F&start-after=x");
	assert_int_equal(bench_answer(&b, 200, "",
			     LIST_BEGIN "<IsTruncated>false</IsTruncated>"
					"<Contents><Key>y</Key><Size>7</Size></Contents>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_false(b.op.more);
	bench_close(&b);
}

static void
test_list_long_names(void **state)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(1 << 16);
	struct bench b;

	buf_puts(&body, LIST_BEGIN "<Contents><Key>");
	for (unsigned i = 0; i < 255; i++)
		buf_putc(&body, 'x');
	buf_puts(&body, "</Key><Size>1</Size></Contents><Contents><Key>");
	for (unsigned i = 0; i < 256; i++)
		buf_putc(&body, 'y');
	/* Not encoded, as by a service that does not know encoding-type: taken as it is. */
	buf_puts(&body,
	    "</Key><Size>1</Size></Contents><Contents><Key>a+b%20</Key><Size>1</Size>"
	    "</Contents>" LIST_END);
	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "");
	assert_int_equal(bench_answer(&b, 200, "", buf_str(&body)), CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 2);
	assert_string_equal(b.op.list.items[0].path, "a+b%20");
	assert_int_equal(strlen(b.op.list.items[1].path), 255);
	bench_close(&b);
}

static void
test_list_empty(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "");
	assert_int_equal(bench_answer(&b, 200, "", LIST_BEGIN LIST_END), CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 0);
	bench_op(&b, CLOUD_LIST, "dir");
	assert_int_equal(bench_answer(&b, 200, "", LIST_BEGIN LIST_END), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_op(&b, CLOUD_LIST, "dir");
	assert_int_equal(
	    bench_answer(&b, 200, "", LIST_BEGIN "<Contents><Key>dir/</Key></Contents>" LIST_END),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 0);
	bench_close(&b);
}

static void
test_list_nonsense(void **state)
{
	static const char *const bodies[] = {
	    "",
	    "<html>",
	    "<ListAllMyBucketsResult/>",
	    LIST_BEGIN "<Contents><Key>k</Key><Size>-1</Size></Contents>" LIST_END,
	    LIST_BEGIN
	    "<Contents><Key>k</Key><Size>99999999999999999999</Size></Contents>" LIST_END,
	    LIST_BEGIN "<Contents><Key>k</Key>",
	    LIST_BEGIN "<IsTruncated>true</IsTruncated>" LIST_END,
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		bench_op(&b, CLOUD_LIST, "");
		assert_int_equal(bench_answer(&b, 200, "", bodies[i]), CLOUD_STEP_RETRY);
		assert_int_equal(b.err.code, -EPROTO);
		assert_non_null(strstr(b.err.msg, "cannot list ''"));
		assert_int_equal(b.op.list.len, 0); /* it will come again */
	}
	/* The same token again would never end. */
	bench_op(&b, CLOUD_LIST, "");
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    bench_answer(&b, 200, "",
			LIST_BEGIN "<IsTruncated>true</IsTruncated>"
				   "<NextContinuationToken>t</NextContinuationToken>" LIST_END),
		    i == 0 ? CLOUD_STEP_NEXT : CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);
}

static void
test_read(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_READ, "k");
	bench_expect(&b, "GET", "http://127.0.0.1:7480/box/k");
	assert_null(bench_header(&b, "Range"));
	assert_null(bench_header(&b, "If-Match"));
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 100\nETag: \"v1\"\n", ""), CLOUD_STEP_STREAM);
	assert_int_equal(b.op.entry.size, 100);

	/* The connection was lost after 40 bytes: go on with the same version. */
	b.op.streamed = 40;
	bench_expect(&b, "GET", "http://127.0.0.1:7480/box/k");
	assert_string_equal(bench_header(&b, "Range"), "bytes=40-");
	assert_string_equal(bench_header(&b, "If-Match"), "\"v1\"");
	assert_int_equal(
	    bench_answer(&b, 206, "Content-Range: bytes 40-99/100\nETag: \"v1\"\n", ""),
	    CLOUD_STEP_STREAM);

	bench_op(&b, CLOUD_READ, "k");
	b.op.offset = 10;
	b.op.length = 20;
	b.op.version = xstrdup("v1");
	bench_expect(&b, "GET", "http://127.0.0.1:7480/box/k");
	assert_string_equal(bench_header(&b, "Range"), "bytes=10-29");
	assert_string_equal(bench_header(&b, "If-Match"), "\"v1\"");
	assert_int_equal(
	    bench_answer(&b, 206, "Content-Range: bytes 10-29/100\nETag: \"v1\"\n", ""),
	    CLOUD_STEP_STREAM);
	assert_int_equal(b.op.entry.size, 100);
	/* Longer than the object: to its end. */
	b.op.length = 1000;
	assert_int_equal(
	    bench_answer(&b, 206, "Content-Range: bytes 10-99/100\nETag: \"v1\"\n", ""),
	    CLOUD_STEP_STREAM);
	/* From the end on: nothing. */
	assert_int_equal(
	    bench_answer(&b, 416, "", ERROR_BODY("InvalidRange", "")), CLOUD_STEP_DONE);
	assert_int_equal(
	    bench_answer(&b, 412, "", ERROR_BODY("PreconditionFailed", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);

	/* Nothing is wanted: HEAD. */
	bench_op(&b, CLOUD_READ, "k");
	b.op.length = 0;
	b.op.version = xstrdup("v1");
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/k");
	assert_null(bench_header(&b, "Range"));
	assert_string_equal(bench_header(&b, "If-Match"), "\"v1\"");
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 0\n", ""), CLOUD_STEP_DONE);
	bench_close(&b);
}

static void
test_read_wrong_range(void **state)
{
	static const struct {
		int status;
		const char *headers;
	} answers[] = {
	    {200, "Content-Length: 100\n"}, /* all of it, and not a part */
	    {206, "Content-Length: 20\n"}, /* which part? */
	    {206, "Content-Range: bytes 0-19/100\n"},
	    {206, "Content-Range: bytes 10-30/100\n"},
	    {206, "Content-Range: bytes 10-28/100\n"}, /* too short, and not at the end */
	    {206, "Content-Range: bytes 10-29/29\n"},
	    {206, "Content-Range: bytes 10-29/*\n"},
	    {206, "Content-Range: bytes 10-29\n"},
	    {206, "Content-Range: bytes */100\n"},
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		bench_op(&b, CLOUD_READ, "k");
		b.op.offset = 10;
		b.op.length = 20;
		assert_int_equal(
		    bench_answer(&b, answers[i].status, answers[i].headers, ""), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, -EPROTO);
	}
	/* Without a length of the whole, 200 cannot be trusted. */
	bench_op(&b, CLOUD_READ, "k");
	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_FAIL);
	/* More than is wanted. */
	bench_op(&b, CLOUD_READ, "k");
	b.op.length = 50;
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 51\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 50\nETag: \"v1\"\n", ""), CLOUD_STEP_STREAM);
	/* A page of somebody else's. */
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 50\n", "<html>"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_close(&b);
}

static void
test_put(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_PUT, "dir/a.JSON");
	b.op.length = 5;
	b.op.put = (struct cloud_put){
	    .mtime_ns = 1700000000123456789, .mode = 0100644, .no_replace = true};
	/* Of an unknown service it is not known whether it keeps to If-None-Match. */
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/dir/a.JSON");
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "PUT", "http://127.0.0.1:7480/box/dir/a.JSON");
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, 5);
	assert_string_equal(bench_header(&b, "Content-Type"), "application/json");
	assert_string_equal(bench_header(&b, "x-amz-meta-mtime"), "1700000000.123456789");
	assert_string_equal(bench_header(&b, "x-amz-meta-mode"), "0644");
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_string_equal(bench_header(&b, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
	assert_int_equal(bench_answer(&b, 200, "ETag: \"5d41402abc4b2a76b9719d911017c592\"\n", ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "5d41402abc4b2a76b9719d911017c592");
	assert_int_equal(b.op.entry.size, 5);
	assert_int_equal(b.op.entry.mtime_ns, 1700000000123456789);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5));
	assert_int_equal(
	    bench_answer(&b, 412, "", ERROR_BODY("PreconditionFailed", "x")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	assert_int_equal(bench_answer(&b, 409, "", ERROR_BODY("ConditionalRequestConflict", "x")),
	    CLOUD_STEP_RETRY);
	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_FAIL); /* no etag */
	assert_int_equal(b.err.code, -EPROTO);

	bench_op(&b, CLOUD_PUT, "no-extension");
	b.op.length = 0;
	b.op.put.mtime_ns = -1500000000;
	b.op.put.content_type = xstrdup("text/x-own");
	bench_expect(&b, "PUT", "http://127.0.0.1:7480/box/no-extension");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_int_equal(b.request.http.bytes.len, 0);
	assert_string_equal(bench_header(&b, "Content-Type"), "text/x-own");
	assert_string_equal(bench_header(&b, "x-amz-meta-mtime"), "-1.500000000");
	assert_null(bench_header(&b, "x-amz-meta-mode"));
	assert_null(bench_header(&b, "If-None-Match"));

	/* A type that would add a header of its own is not sent. */
	bench_op(&b, CLOUD_PUT, "no-extension");
	b.op.length = 0;
	b.op.put.content_type = xstrdup("a/b\r\nx-amz-acl: public-read");
	bench_expect(&b, "PUT", "http://127.0.0.1:7480/box/no-extension");
	assert_string_equal(bench_header(&b, "Content-Type"), "application/octet-stream");

	bench_op(&b, CLOUD_PUT, "large");
	b.op.length = s3_driver.limits.put_max + 1;
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EFBIG);
	bench_close(&b);
}

/* What is there stays, with whatever content: by the service, or it is looked at before. */
static void
test_mkdir(void **state)
{
	static const char marker[] = "http://127.0.0.1:7480/box/d/";
	struct bench b;

	bench_open(&b, SERVICE("ceph"));
	bench_op(&b, CLOUD_MKDIR, "d");
	bench_expect(&b, "PUT", marker);
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_DONE);
	assert_int_equal(
	    bench_answer(&b, 412, "", ERROR_BODY("PreconditionFailed", "")), CLOUD_STEP_DONE);
	assert_int_equal(bench_answer(&b, 409, "", ERROR_BODY("ConditionalRequestConflict", "")),
	    CLOUD_STEP_RETRY);
	assert_int_equal(
	    bench_answer(&b, 404, "", ERROR_BODY("NoSuchBucket", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);

	bench_open(&b, OWN); /* what it makes of the condition is not known */
	bench_op(&b, CLOUD_MKDIR, "d");
	bench_expect(&b, "HEAD", marker);
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 3\nETag: \"v1\"\n", ""), CLOUD_STEP_DONE);
	bench_op(&b, CLOUD_MKDIR, "d");
	assert_int_equal(bench_answer(&b, 403, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	bench_op(&b, CLOUD_MKDIR, "d");
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "PUT", marker);
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_int_equal(
	    bench_answer(&b, 412, "", ERROR_BODY("PreconditionFailed", "")), CLOUD_STEP_DONE);
	bench_close(&b);

	bench_open(&b, SERVICE("swift")); /* it would be an error */
	bench_op(&b, CLOUD_MKDIR, "d");
	bench_expect(&b, "HEAD", marker);
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "PUT", marker);
	assert_null(bench_header(&b, "If-None-Match"));
	assert_int_equal(bench_answer(&b, 200, "", ""), CLOUD_STEP_DONE);
	bench_close(&b);
}

static void
test_directories(void **state)
{
	static const char list[] = "http://127.0.0.1:7480/box?list-type=2&encoding-type=url&"
				   "max-keys=2&prefix=d%2F";
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_RMDIR, "d");
	bench_expect(&b, "GET", list);
	assert_int_equal(
	    bench_answer(&b, 200, "", LIST_BEGIN "<Contents><Key>d/</Key></Contents>" LIST_END),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "DELETE", "http://127.0.0.1:7480/box/d/");
	assert_int_equal(bench_answer(&b, 204, "", ""), CLOUD_STEP_DONE);

	bench_op(&b, CLOUD_RMDIR, "d");
	assert_int_equal(bench_answer(&b, 200, "",
			     LIST_BEGIN "<Contents><Key>d/</Key></Contents>"
					"<Contents><Key>d/x/y</Key></Contents>" LIST_END),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	/* One key that is not the marker, and that no path can name: still not empty. */
	bench_op(&b, CLOUD_RMDIR, "d");
	assert_int_equal(
	    bench_answer(&b, 200, "", LIST_BEGIN "<Contents><Key>d//</Key></Contents>" LIST_END),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	bench_op(&b, CLOUD_RMDIR, "d");
	assert_int_equal(bench_answer(&b, 200, "", LIST_BEGIN LIST_END), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	bench_close(&b);
}

static void
test_buckets(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_MKDIR, "new-bucket");
	bench_expect(&b, "PUT", "http://127.0.0.1:7480/new-bucket");
	assert_int_equal(b.request.http.bytes.len, 0);
	assert_int_equal(
	    bench_answer(&b, 409, "", ERROR_BODY("BucketAlreadyOwnedByYou", "")), CLOUD_STEP_DONE);
	assert_int_equal(
	    bench_answer(&b, 409, "", ERROR_BODY("BucketAlreadyExists", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	bench_op(&b, CLOUD_RMDIR, "new-bucket");
	bench_expect(&b, "DELETE", "http://127.0.0.1:7480/new-bucket");
	assert_int_equal(
	    bench_answer(&b, 409, "", ERROR_BODY("BucketNotEmpty", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	bench_close(&b);

	bench_open(&b, "{\"region\":\"eu-west-1\"," KEYS "}");
	bench_op(&b, CLOUD_MKDIR, "new-bucket");
	bench_expect(&b, "PUT", "https://new-bucket.s3.eu-west-1.amazonaws.com/");
	assert_non_null(strstr(
	    buf_str(&b.request.http.bytes), "<LocationConstraint>eu-west-1</LocationConstraint>"));
	assert_int_equal(strlen(bench_header(&b, "x-amz-content-sha256")), 64);
	bench_close(&b);
}

static void
test_errors(void **state)
{
	static const struct {
		int status;
		const char *headers, *body;
		int code;
		enum cloud_step step;
		const char *text;
	} cases[] = {
	    {403, "", ERROR_BODY("AccessDenied", "Access Denied"), -EACCES, CLOUD_STEP_FAIL,
		"cannot list 'd': AccessDenied: Access Denied"},
	    {403, "", ERROR_BODY("RequestTimeTooSkewed", "The difference is too large."),
		-EKEYEXPIRED, CLOUD_STEP_REFRESH, "clock"},
	    {400, "", ERROR_BODY("ExpiredToken", "The provided token has expired."), -EKEYEXPIRED,
		CLOUD_STEP_REFRESH, "token has expired"},
	    {400, "", ERROR_BODY("RequestTimeout", "idle"), -ETIMEDOUT, CLOUD_STEP_RETRY, "idle"},
	    {400, "", ERROR_BODY("BadDigest", "md5"), -EBADMSG, CLOUD_STEP_RETRY, "md5"},
	    {400, "", ERROR_BODY("EntityTooLarge", ""), -EFBIG, CLOUD_STEP_FAIL, "EntityTooLarge"},
	    {403, "", ERROR_BODY("QuotaExceeded", ""), -EDQUOT, CLOUD_STEP_FAIL, "QuotaExceeded"},
	    {400, "", ERROR_BODY("InvalidBucketName", ""), -EINVAL, CLOUD_STEP_FAIL, ""},
	    {404, "", ERROR_BODY("NoSuchBucket", "none"), -ENOENT, CLOUD_STEP_FAIL, "none"},
	    {500, "", ERROR_BODY("InternalError", "We encountered an internal error."), -EIO,
		CLOUD_STEP_RETRY, "internal error"},
	    {503, "Retry-After: 7\n", ERROR_BODY("SlowDown", "Reduce your request rate."), -EAGAIN,
		CLOUD_STEP_RETRY, "Reduce"},
	    {503, "", "<html>busy</html>", -EAGAIN, CLOUD_STEP_RETRY, "503"},
	    {502, "", "", -EIO, CLOUD_STEP_RETRY, "502"},
	    {504, "", "", -EIO, CLOUD_STEP_RETRY, "504"},
	    {522, "", "", -EIO, CLOUD_STEP_RETRY, "522"},
	    {418, "", "", -EPROTO, CLOUD_STEP_RETRY, "418"},
	    {301, "x-amz-bucket-region: eu-west-3\n", ERROR_BODY("PermanentRedirect", ""), -EINVAL,
		CLOUD_STEP_FAIL, "eu-west-3"},
	    {307, "", "", -EINVAL, CLOUD_STEP_FAIL, "region"},
	    {403, "", ERROR_BODY("AccessDenied", "two\nlines\x1b[31m"), -EACCES, CLOUD_STEP_FAIL,
		""},
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bench_op(&b, CLOUD_LIST, "d");
		assert_int_equal(bench_answer(&b, cases[i].status, cases[i].headers, cases[i].body),
		    cases[i].step);
		assert_int_equal(b.err.code, cases[i].code);
		assert_non_null(strstr(b.err.msg, cases[i].text));
		assert_null(strpbrk(b.err.msg, "\n\x1b"));
		assert_int_equal(b.err.wait_ms, cases[i].headers[0] == 'R' ? 7000 : 0);
	}
	bench_close(&b);
}

static void
test_unsupported(void **state)
{
	static const enum cloud_op_kind kinds[] = {CLOUD_MOVE, CLOUD_SETATTR, CLOUD_USAGE};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		bench_op(&b, kinds[i], "k");
		assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, -EOPNOTSUPP);
	}
	bench_op(&b, CLOUD_SWEEP, "k");
	assert_int_equal(s3_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_DONE);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_signed),
	    cmocka_unit_test(test_presigned),
	    cmocka_unit_test(test_put_checked),
	    cmocka_unit_test(test_put_crc32c),
	    cmocka_unit_test(test_region),
	    cmocka_unit_test(test_region_was_learned),
	    cmocka_unit_test(test_services),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_stat),
	    cmocka_unit_test(test_stat_times),
	    cmocka_unit_test(test_no_md5),
	    cmocka_unit_test(test_stat_directory),
	    cmocka_unit_test(test_denied),
	    cmocka_unit_test(test_top),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_list_hidden),
	    cmocka_unit_test(test_list_behind),
	    cmocka_unit_test(test_list_long_names),
	    cmocka_unit_test(test_list_empty),
	    cmocka_unit_test(test_list_nonsense),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_read_wrong_range),
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_mkdir),
	    cmocka_unit_test(test_directories),
	    cmocka_unit_test(test_buckets),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
