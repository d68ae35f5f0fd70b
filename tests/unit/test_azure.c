/* The azure driver, from requests written to answers understood; no network. */
#include "tests/unit/azure_bench.h"
#include <stdlib.h>
#include <string.h>

#define CONNECTION "\"connectionString\":\"AccountName=acct;AccountKey=" KEY

static void
test_open(void **state)
{
	static const struct {
		const char *credentials, *why; /* NULL: fine */
	} cases[] = {
	    {"{}", "accountName"},
	    {CLOUD, NULL},
	    {"{\"accountName\":\"acct\"}", NULL}, /* anonymous */
	    {"{\"accountName\":\"A_B\"}", "accountName"},
	    {"{\"accountName\":\"acct\",\"accountKey\":\"hush?\"}", "accountKey"},
	    {"{\"accountName\":\"acct\",\"accountKey\":\"" KEY "\",\"sasToken\":\"sig=hush\"}",
		"sasToken"},
	    {"{\"accountName\":\"acct\",\"sasToken\":\"?sv=1&sig=hush%3D\"}", NULL},
	    {"{\"accountName\":\"acct\",\"sasToken\":\"sv=1&hush\"}", "sasToken"},
	    {"{\"accountName\":\"acct\",\"sasToken\":\"https://x?sig=hush\"}", "sasToken"},
	    {"{\"accountName\":\"acct\",\"sasToken\":\"sig=hush\\r\\nX: 1\"}", "sasToken"},
	    {"{\"accountName\":\"acct\",\"container\":\"No\"}", "container"},
	    {"{\"accountName\":\"acct\",\"container\":\"x\"}", "container"},
	    {"{\"accountName\":\"acct\",\"container\":\"$web\"}", NULL},
	    {"{\"accountName\":\"acct\",\"accessTier\":\"Tepid\"}", "accessTier"},
	    {"{\"accountName\":\"acct\",\"accessTier\":\"Cold\"}", NULL},
	    {"{\"accountName\":\"acct\",\"ca\":\"ca.pem\"}", "ca"},
	    {"{\"accountName\":\"acct\",\"endpoint\":\"host\"}", "endpoint"},
	    {"{\"endpoint\":\"https://acct.blob.core.windows.net\"}", NULL},
	    {"{\"endpoint\":\"http://127.0.0.1:10000\"}", "accountName"},
	    {"{" CONNECTION "\"}", NULL},
	    {"{" CONNECTION ";\",\"container\":\"box\"}", NULL},
	    {"{" CONNECTION "\",\"accountName\":\"acct\"}", "accountName"},
	    {"{" CONNECTION ";AccountName=other\"}", "connectionString: it has AccountName twice"},
	    {"{\"connectionString\":\"hush\"}", "connectionString"},
	    {"{\"connectionString\":\"QueueEndpoint=https://x\"}", "connectionString"},
	    {"{\"connectionString\":\"AccountName=acct;AccountKey=hush?\"}", "accountKey"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bench_credentials(&azure_driver, cases[i].credentials, cases[i].why);
}

static void
test_urls(void **state)
{
	static const struct {
		const char *credentials, *path, *url, *host;
	} cases[] = {
	    {CLOUD, "a b/c+d%e.txt",
		"https://myaccount.blob.core.windows.net/box/a%20b/c%2Bd%25e.txt",
		"myaccount.blob.core.windows.net"},
	    {OWN, "\xc3\xbc?#&=\"'", BOX "/%C3%BC%3F%23%26%3D%22%27", "127.0.0.1:10000"},
	    {ALL, "with-box/key/deep", "http://127.0.0.1:10000/acct/with-box/key/deep",
		"127.0.0.1:10000"},
	    {ALL, "$root/key", "http://127.0.0.1:10000/acct/$root/key", "127.0.0.1:10000"},
	    {"{\"accountName\":\"acct\",\"container\":\"box\",\"sasToken\":\"?sv=1&sig=a%2Fb\"}",
		"k", "https://acct.blob.core.windows.net/box/k?sv=1&sig=a%2Fb",
		"acct.blob.core.windows.net"},
	    {"{\"endpoint\":\"https://acct.blob.core.usgovcloudapi.net:443/\"}", "box/k",
		"https://acct.blob.core.usgovcloudapi.net/box/k",
		"acct.blob.core.usgovcloudapi.net"},
	    {"{\"connectionString\":\"DefaultEndpointsProtocol=http;AccountName=acct;"
	     "EndpointSuffix=core.chinacloudapi.cn\"}",
		"box/k", "http://acct.blob.core.chinacloudapi.cn/box/k",
		"acct.blob.core.chinacloudapi.cn"},
	    {"{\"connectionString\":\"BlobEndpoint=https://acct.blob.core.windows.net/;"
	     "QueueEndpoint=https://x;SharedAccessSignature=sv=1&sig=x%3D\"}",
		"box/k", "https://acct.blob.core.windows.net/box/k?sv=1&sig=x%3D",
		"acct.blob.core.windows.net"},
	    {"{\"connectionString\":\"usedevelopmentstorage=TRUE\"}", "box/k",
		"http://127.0.0.1:10000/devstoreaccount1/box/k", "127.0.0.1:10000"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bench b;

		bench_open(&b, cases[i].credentials);
		bench_op(&b, CLOUD_STAT, cases[i].path);
		bench_expect(&b, "HEAD", cases[i].url);
		assert_string_equal(bench_header(&b, "Host"), cases[i].host);
		assert_string_equal(bench_header(&b, "x-ms-version"), "2021-12-02");
		bench_close(&b);
	}
}

static void
test_signed(void **state)
{
	struct bench b;

	bench_open(&b, "{\"connectionString\":\"AccountName=myaccount;AccountKey=" KEY "\"}");
	bench_op(&b, CLOUD_STAT, "box/k");
	bench_expect(&b, "HEAD", "https://myaccount.blob.core.windows.net/box/k");
	assert_string_equal(bench_header(&b, "x-ms-date"), "Fri, 24 May 2013 00:00:00 GMT");
	/* Computed by Python from the documentation's description. */
	assert_string_equal(bench_header(&b, "Authorization"),
	    "SharedKey myaccount:SKK7V900Qm+41CWQ1ivtWy7xUv9rlNttQ64mvrfH7qU=");
	bench_close(&b);

	bench_open(&b, "{\"accountName\":\"acct\",\"sasToken\":\"sig=x\"}");
	bench_op(&b, CLOUD_STAT, "box/k");
	bench_expect(&b, "HEAD", "https://acct.blob.core.windows.net/box/k?sig=x");
	assert_null(bench_header(&b, "Authorization"));
	bench_close(&b);
}

static void
test_identity(void **state)
{
	static const struct {
		const char *credentials, *path, *identity;
	} cases[] = {
	    {CLOUD, "k/l", "azure://myaccount/box/k/l"},
	    {"{\"accountName\":\"myaccount\",\"endpoint\":\"https://files.example.com\"}", "box/k",
		"azure://myaccount/box/k"}, /* a domain of one's own */
	    {OWN, "k", "azure://localhost:10000/acct/box/k"},
	    {"{\"endpoint\":\"http://localhost:10000/acct\"}", "box/k",
		"azure://localhost:10000/acct/box/k"},
	    {CLOUD, "", "azure://myaccount/box/"},
	    {ALL, "", NULL},
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free) char *identity = NULL;

		bench_open(&b, cases[i].credentials);
		identity = azure_driver.identity(&b.account, cases[i].path);
		if (cases[i].identity == NULL)
			assert_null(identity);
		else
			assert_string_equal(identity, cases[i].identity);
		bench_close(&b);
	}
}

/* Whoever could take it for another name, or for none, is not asked. */
static void
test_names(void **state)
{
	static const char *const names[] = {"a\\b", "a.", "d./b", "a\nb", "\x7f", "..."};
	static const enum cloud_op_kind makes[] = {CLOUD_PUT, CLOUD_MKDIR, CLOUD_COPY,
	    CLOUD_UPLOAD_BEGIN, CLOUD_UPLOAD_PART, CLOUD_COPY_PART, CLOUD_UPLOAD_COMMIT};
	static const enum cloud_op_kind looks[] = {
	    CLOUD_STAT, CLOUD_READ, CLOUD_LIST, CLOUD_REMOVE, CLOUD_RMDIR};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		for (size_t k = 0; k < ARRAY_LEN(makes); k++) {
			bench_op(&b, makes[k], names[i]);
			assert_int_equal(
			    azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
			assert_int_equal(b.err.code, -EILSEQ);
		}
		for (size_t k = 0; k < ARRAY_LEN(looks); k++) {
			bench_op(&b, looks[k], names[i]);
			assert_int_equal(
			    azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
			assert_int_equal(b.err.code, -ENOENT);
		}
	}
	bench_op(&b, CLOUD_STAT, ".a/b.c/d");
	bench_expect(&b, "HEAD", BOX "/.a/b.c/d");
	bench_close(&b);
}

static unsigned
count_headers(const struct bench *b, const char *name)
{
	const struct http_header *header;
	unsigned n = 0;

	TAILQ_FOREACH (header, &b->request.http.headers, next)
		n += strcasecmp(header->name, name) == 0;
	return n;
}

static void
test_put(void **state)
{
	static const unsigned char md5[16] = {0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6,
	    0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72}; /* of "abc" (RFC 1321, A.5) */
	struct bench b;

	bench_open(&b,
	    "{\"accountName\":\"acct\",\"container\":\"box\",\"accessTier\":\"Cool\","
	    "\"accountKey\":\"" KEY "\"}");
	bench_op(&b, CLOUD_PUT, "d/k.txt");
	b.op.length = 3;
	b.op.put.mtime_ns = -1;
	b.op.put.mode = 0100640;
	b.op.put.no_replace = true;
	digests_set(&b.op.put.digests, HASH_MD5, md5);
	bench_expect(&b, "PUT", "https://acct.blob.core.windows.net/box/d/k.txt");
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, 3);
	assert_string_equal(bench_header(&b, "x-ms-blob-type"), "BlockBlob");
	assert_string_equal(bench_header(&b, "x-ms-blob-content-type"), "text/plain");
	assert_string_equal(bench_header(&b, "x-ms-meta-mtime"), "1969-12-31T23:59:59.999999999Z");
	assert_string_equal(bench_header(&b, "x-ms-meta-mode"), "0640");
	assert_string_equal(bench_header(&b, "x-ms-access-tier"), "Cool");
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_string_equal(bench_header(&b, "Content-MD5"), "kAFQmDzST7DWlj99KOF/cg==");
	/* The check value of CRC-64/NVME, as Azure writes it. */
	assert_int_equal(bench_answer(&b, 201,
			     "ETag: \"0x8D1\"\nContent-MD5: kAFQmDzST7DWlj99KOF/cg==\n"
			     "x-ms-content-crc64: iJh5CoYUi64=\n",
			     ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.version, "0x8D1");
	assert_int_equal(b.op.entry.size, 3);
	assert_int_equal(b.op.entry.mtime_ns, -1);
	assert_int_equal(b.op.entry.mode, 0640);
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC64));
	assert_memory_equal(b.op.entry.digests.sum[HASH_MD5], md5, sizeof md5);
	assert_memory_equal(
	    b.op.entry.digests.sum[HASH_CRC64], "\xae\x8b\x14\x86\x0a\x79\x98\x88", 8);

	assert_int_equal(bench_answer(&b, 201, "", ""), CLOUD_STEP_FAIL); /* no version */
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(
	    bench_answer(&b, 409, "x-ms-error-code: BlobAlreadyExists\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);
	assert_int_equal(
	    bench_answer(&b, 412, "x-ms-error-code: ConditionNotMet\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EEXIST);

	/* Names that are two elsewhere may be one here, and a header that comes twice is refused.
	 */
	bench_op(&b, CLOUD_PUT, "k");
	b.op.length = 3;
	b.op.put.metadata =
	    json_pack("{s:s,s:s,s:s}", "a-b", "first", "a_b", "second", "A.B", "third");
	bench_expect(&b, "PUT", "https://acct.blob.core.windows.net/box/k");
	assert_string_equal(bench_header(&b, "x-ms-meta-a_b"), "first");
	assert_int_equal(count_headers(&b, "x-ms-meta-a_b"), 1);

	bench_op(&b, CLOUD_PUT, "k");
	b.op.length = 0;
	b.op.put.content_type = xstrdup("text/html\r\nx-ms-meta-evil: 1");
	bench_expect(&b, "PUT", "https://acct.blob.core.windows.net/box/k");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_string_equal(bench_header(&b, "x-ms-blob-content-type"), "application/octet-stream");
	assert_null(bench_header(&b, "If-None-Match"));
	assert_null(bench_header(&b, "x-ms-meta-mtime"));
	b.op.length = azure_driver.limits.put_max + 1;
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EFBIG);
	bench_op(&b, CLOUD_PUT, "");
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EISDIR);
	bench_close(&b);
}

static void
test_stat(void **state)
{
	static const char url[] = "http://127.0.0.1:10000/acct/box?comp=list&maxresults=1"
				  "&prefix=d%20x%2Fsub%2F&restype=container";
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_STAT, "dir/file.txt");
	bench_expect(&b, "HEAD", BOX "/dir/file.txt");
	assert_int_equal(bench_answer(&b, 200,
			     "Content-Length: 1234\n"
			     "ETag: \"0x8DABC\"\n"
			     "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n"
			     "x-ms-meta-Mtime: 2023-11-14T22:13:20.123456789Z\n"
			     "x-ms-meta-mode: 100640\n"
			     "Content-MD5: kAFQmDzST7DWlj99KOF/cg==\n"
			     "Content-Type: text/plain\n",
			     ""),
	    CLOUD_STEP_DONE);
	assert_string_equal(b.op.entry.path, "dir/file.txt");
	assert_int_equal(b.op.entry.kind, ENTRY_FILE);
	assert_int_equal(b.op.entry.size, 1234);
	assert_int_equal(b.op.entry.mtime_ns, 1700000000123456789);
	assert_int_equal(b.op.entry.mode, 0640);
	assert_string_equal(b.op.entry.version, "0x8DABC");
	assert_string_equal(b.op.entry.content_type, "text/plain");
	assert_int_equal(b.op.entry.digests.have, HASH_BIT(HASH_MD5));
	/* Another program's idea of a time. */
	assert_int_equal(bench_answer(&b, 200,
			     "Content-Length: 1\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\n"
			     "ETag: \"0x1\"\nx-ms-meta-mtime: 12\n",
			     ""),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.mtime_ns, 784111777000000000);
	assert_int_equal(bench_answer(&b, 200, "ETag: \"x\"\n", ""), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 1\n", ""), CLOUD_STEP_RETRY);
	assert_int_equal(b.err.code, -EPROTO);

	/* A marker; one of a hierarchical namespace; none, but something below. */
	bench_op(&b, CLOUD_STAT, "d x/sub");
	assert_int_equal(bench_answer(&b, 200,
			     "Content-Length: 0\nETag: \"x\"\nx-ms-meta-Hdi_isfolder: True\n", ""),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);
	assert_null(b.op.entry.version);
	assert_int_equal(
	    bench_answer(&b, 200, "x-ms-resource-type: directory\n", ""), CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);
	assert_int_equal(
	    bench_answer(&b, 404, "x-ms-error-code: BlobNotFound\n", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", url);
	/* A page may be empty and not the last. */
	assert_int_equal(bench_answer(&b, 200, "",
			     XML "<EnumerationResults><Blobs/><NextMarker>m/1</NextMarker>"
				 "</EnumerationResults>"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET",
	    "http://127.0.0.1:10000/acct/box?comp=list&marker=m%2F1&maxresults=1"
	    "&prefix=d%20x%2Fsub%2F&restype=container");
	assert_int_equal(bench_answer(&b, 200, "",
			     XML "<EnumerationResults><Blobs><Blob><Name>d x/sub/y</Name></Blob>"
				 "</Blobs><NextMarker>m2</NextMarker></EnumerationResults>"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);

	bench_op(&b, CLOUD_STAT, "d x/sub");
	bench_answer(&b, 404, "", "");
	assert_int_equal(bench_answer(&b, 200, "",
			     XML "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	/* A container that is gone is not an empty one. */
	bench_op(&b, CLOUD_STAT, "");
	bench_expect(&b, "GET", BOX "?comp=list&maxresults=1&restype=container");
	assert_int_equal(
	    bench_answer(&b, 404, "", ERROR_BODY("ContainerNotFound", "gone")), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);
	assert_string_equal(b.err.msg, "cannot look up '': ContainerNotFound: gone");
	bench_close(&b);
}

static void
test_list(void **state)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(1 << 20);
	char longest[8000];
	struct bench b;

	memset(longest, 'm', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "d");
	bench_expect(&b, "GET",
	    BOX "?comp=list&delimiter=%2F&include=metadata&maxresults=1000&prefix=d%2F"
		"&restype=container");
	buf_printf(&body,
	    XML "<EnumerationResults ServiceEndpoint=\"http://x/\" ContainerName=\"box\">"
		"<Prefix>d/</Prefix><Blobs>"
		"<Blob><Name>d/f &amp; g</Name><Properties>"
		"<Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT</Last-Modified><Etag>0x8D1</Etag>"
		"<Content-Length>7</Content-Length><Content-Type>text/plain</Content-Type>"
		"<Content-MD5>kAFQmDzST7DWlj99KOF/cg==</Content-MD5></Properties>"
		"<Metadata><mode>0644</mode><mtime>2023-11-14T22:13:20.5Z</mtime></Metadata></Blob>"
		/* names that no path can have */
		"<Blob><Name>d/</Name></Blob><BlobPrefix><Name>d//</Name></BlobPrefix>"
		"<BlobPrefix><Name>d/../</Name></BlobPrefix><Blob><Name>d/a\\b</Name></Blob>"
		"<Blob><Name>elsewhere</Name></Blob><Blob><Properties/></Blob>"
		"<Blob><Name Encoded=\"true\">d/%%EF%%BF%%BE%%25</Name><Properties>"
		"<Content-Length>1</Content-Length></Properties><Metadata>"
		"<%s>long</%s></Metadata></Blob>"
		"<Blob><Name Encoded=\"true\">d/%%00</Name></Blob>"
		/* a marker, and what is below another name of a file */
		"<Blob><Name>d/empty</Name><Properties><Content-Length>0</Content-Length>"
		"<Etag>0x8D2</Etag></Properties>"
		"<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata></Blob>"
		"<BlobPrefix><Name>d/f &amp; g/</Name></BlobPrefix>"
		"</Blobs><NextMarker>more</NextMarker></EnumerationResults>",
	    longest, longest);
	assert_int_equal(bench_answer(&b, 200, "", buf_str(&body)), CLOUD_STEP_NEXT);
	bench_expect(&b, "GET",
	    BOX "?comp=list&delimiter=%2F&include=metadata&marker=more&maxresults=1000"
		"&prefix=d%2F&restype=container");
	assert_int_equal(bench_answer(&b, 200, "",
			     XML "<EnumerationResults><Blobs><Blob><Name>d/z</Name><Properties>"
				 "<Content-Length>2</Content-Length></Properties></Blob></Blobs>"
				 "<NextMarker /></EnumerationResults>"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 4);
	assert_string_equal(b.op.list.items[0].path, "d/empty");
	assert_int_equal(b.op.list.items[0].kind, ENTRY_DIRECTORY);
	assert_null(b.op.list.items[0].version);
	assert_string_equal(b.op.list.items[1].path, "d/f & g");
	assert_int_equal(b.op.list.items[1].kind, ENTRY_DIRECTORY); /* else all in it were hidden */
	assert_string_equal(b.op.list.items[2].path, "d/z");
	assert_int_equal(b.op.list.items[2].size, 2);
	assert_string_equal(b.op.list.items[3].path, "d/\xef\xbf\xbe%");

	/* Metadata are those of the file. */
	bench_op(&b, CLOUD_LIST, "d");
	buf_reset(&body);
	buf_puts(&body,
	    XML "<EnumerationResults><Blobs><Blob><Name>d/f</Name><Properties>"
		"<Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT</Last-Modified><Etag>0x8D1</Etag>"
		"<Content-Length>7</Content-Length><Content-Type>text/plain</Content-Type>"
		"<Content-MD5>kAFQmDzST7DWlj99KOF/cg==</Content-MD5></Properties>"
		"<Metadata><mode>0644</mode><mtime>2023-11-14T22:13:20.5Z</mtime></Metadata>"
		"</Blob><Blob><Name>d/g</Name><Properties>"
		"<Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT</Last-Modified>"
		"<Content-Length>7</Content-Length></Properties></Blob></Blobs>"
		"</EnumerationResults>");
	assert_int_equal(bench_answer(&b, 200, "", buf_str(&body)), CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.items[0].mtime_ns, 1700000000500000000);
	assert_int_equal(b.op.list.items[0].mode, 0644);
	assert_string_equal(b.op.list.items[0].version, "0x8D1");
	assert_string_equal(b.op.list.items[0].content_type, "text/plain");
	assert_int_equal(b.op.list.items[0].digests.have, HASH_BIT(HASH_MD5));
	assert_int_equal(b.op.list.items[1].mtime_ns, 784111777000000000);
	assert_int_equal(b.op.list.items[1].mode, 0);
	assert_int_equal(b.op.list.items[1].digests.have, 0);
	bench_close(&b);
}

static void
test_list_ends(void **state)
{
	static const char circle[] = XML "<EnumerationResults><Blobs/><NextMarker>m</NextMarker>"
					 "</EnumerationResults>";
	static const char *const nonsense[] = {"", "<html/>", "<EnumerationResults>",
	    ("<EnumerationResults><Blobs><Blob><Name>d/x</Name><Properties>"
	     "<Content-Length>-1</Content-Length></Properties></Blob></Blobs></EnumerationResults>")};
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "d");
	assert_int_equal(bench_answer(&b, 200, "", circle), CLOUD_STEP_NEXT);
	assert_int_equal(bench_answer(&b, 200, "", circle), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		bench_op(&b, CLOUD_LIST, "d");
		assert_int_equal(bench_answer(&b, 200, "", nonsense[i]), CLOUD_STEP_RETRY);
		assert_int_equal(b.err.code, -EPROTO);
		assert_int_equal(b.op.list.len, 0); /* it will come again */
	}
	/* Nothing below it: an empty directory, or none. */
	for (int i = 0; i < 3; i++) {
		bench_op(&b, CLOUD_LIST, "d");
		assert_int_equal(
		    bench_answer(&b, 200, "", "<EnumerationResults><Blobs/></EnumerationResults>"),
		    CLOUD_STEP_NEXT);
		bench_expect(&b, "HEAD", BOX "/d");
		assert_int_equal(bench_answer(&b, i == 0 ? 404 : 200,
				     i == 1 ? "x-ms-meta-hdi_isfolder: true\n" : "", ""),
		    i == 1 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, i == 1 ? 0 : -ENOENT);
	}
	bench_op(&b, CLOUD_LIST, "");
	assert_int_equal(
	    bench_answer(&b, 200, "", "<EnumerationResults><Blobs/></EnumerationResults>"),
	    CLOUD_STEP_DONE);
	bench_close(&b);
}

static void
test_containers(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_LIST, "");
	bench_expect(&b, "GET", "http://127.0.0.1:10000/acct/?comp=list&maxresults=1000");
	assert_int_equal(bench_answer(&b, 200, "",
			     XML "<EnumerationResults><Containers><Container><Name>one</Name>"
				 "<Properties><Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT"
				 "</Last-Modified></Properties></Container></Containers>"
				 "<NextMarker>/acct/two</NextMarker></EnumerationResults>"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET",
	    "http://127.0.0.1:10000/acct/?comp=list&marker=%2Facct%2Ftwo&maxresults=1000");
	assert_int_equal(bench_answer(&b, 200, "",
			     XML "<EnumerationResults><Containers><Container><Name>two</Name>"
				 "</Container></Containers><NextMarker/></EnumerationResults>"),
	    CLOUD_STEP_DONE);
	assert_int_equal(b.op.list.len, 2);
	assert_string_equal(b.op.list.items[0].path, "one");
	assert_int_equal(b.op.list.items[0].kind, ENTRY_DIRECTORY);
	assert_int_equal(b.op.list.items[0].mtime_ns, 784111777000000000);
	assert_string_equal(b.op.list.items[1].path, "two");
	assert_int_equal(b.op.list.items[1].mtime_ns, ENTRY_NO_TIME);

	bench_op(&b, CLOUD_MKDIR, "new-box");
	bench_expect(&b, "PUT", "http://127.0.0.1:10000/acct/new-box?restype=container");
	assert_int_equal(bench_answer(&b, 409, "x-ms-error-code: ContainerAlreadyExists\n", ""),
	    CLOUD_STEP_DONE);
	bench_op(&b, CLOUD_MKDIR, "Not-a-box");
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EINVAL);
	/* The service would remove all that is in it. */
	bench_op(&b, CLOUD_RMDIR, "new-box");
	bench_expect(&b, "GET",
	    "http://127.0.0.1:10000/acct/new-box?comp=list&maxresults=2&restype=container");
	assert_int_equal(bench_answer(&b, 200, "",
			     "<EnumerationResults><Blobs><Blob><Name>x</Name></Blob></Blobs>"
			     "</EnumerationResults>"),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);
	bench_op(&b, CLOUD_RMDIR, "new-box");
	assert_int_equal(
	    bench_answer(&b, 200, "", "<EnumerationResults><Blobs/></EnumerationResults>"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "DELETE", "http://127.0.0.1:10000/acct/new-box?restype=container");
	assert_int_equal(bench_answer(&b, 202, "", ""), CLOUD_STEP_DONE);
	bench_op(&b, CLOUD_RMDIR, "");
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EBUSY);
	bench_close(&b);
}

static void
test_read(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	/* A page that somebody else puts in its place. */
	bench_op(&b, CLOUD_READ, "k");
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 33\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);

	bench_op(&b, CLOUD_READ, "k");
	b.op.offset = 5;
	b.op.length = 10;
	b.op.version = xstrdup("0x8D1");
	bench_expect(&b, "GET", BOX "/k");
	assert_string_equal(bench_header(&b, "x-ms-range"), "bytes=5-14");
	assert_string_equal(bench_header(&b, "If-Match"), "\"0x8D1\"");
	assert_int_equal(bench_answer(&b, 206,
			     "Content-Range: bytes 5-14/100\nETag: \"0x8D1\"\n"
			     "Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==\n"
			     "x-ms-blob-content-md5: kAFQmDzST7DWlj99KOF/cg==\n",
			     ""),
	    CLOUD_STEP_STREAM);
	assert_int_equal(b.op.entry.size, 100);
	assert_int_equal(b.op.entry.digests.sum[HASH_MD5][0], 0x90); /* of the whole */
	assert_int_equal(
	    bench_answer(&b, 206, "Content-Range: bytes 5-13/100\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(
	    bench_answer(&b, 206, "Content-Length: 0\nContent-Range: bytes 5-4/5\n", ""),
	    CLOUD_STEP_DONE);
	assert_int_equal(
	    bench_answer(&b, 416, "x-ms-error-code: InvalidRange\n", ""), CLOUD_STEP_DONE);
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 0\nx-ms-meta-hdi_isfolder: true\n", ""),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EISDIR);
	/* Azure says the same of what has changed and of what is gone: that is looked at. */
	for (int i = 0; i < 2; i++) {
		bench_op(&b, CLOUD_READ, "k");
		b.op.version = xstrdup("0x8D1");
		assert_int_equal(bench_answer(&b, 412, "x-ms-error-code: ConditionNotMet\n", ""),
		    CLOUD_STEP_NEXT);
		bench_expect(&b, "HEAD", BOX "/k");
		assert_null(bench_header(&b, "If-Match"));
		assert_int_equal(bench_answer(&b, i == 0 ? 200 : 404, "Content-Length: 9\n", ""),
		    CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, i == 0 ? -ESTALE : -ENOENT);
	}
	/* What was lost in the middle goes on with the version that it began with. */
	bench_op(&b, CLOUD_READ, "k");
	bench_answer(&b, 200, "Content-Length: 100\nETag: \"0x8D2\"\n", "");
	b.op.streamed = 7;
	bench_expect(&b, "GET", BOX "/k");
	assert_string_equal(bench_header(&b, "x-ms-range"), "bytes=7-");
	assert_string_equal(bench_header(&b, "If-Match"), "\"0x8D2\"");
	bench_close(&b);
}

static void
test_remove(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_REMOVE, "k");
	bench_expect(&b, "HEAD", BOX "/k");
	assert_int_equal(
	    bench_answer(&b, 200, "x-ms-meta-hdi_isfolder: true\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EISDIR);
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 1\n", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "DELETE", BOX "/k");
	assert_int_equal(bench_answer(&b, 202, "", ""), CLOUD_STEP_DONE);

	bench_op(&b, CLOUD_REMOVE, "k");
	b.op.version = xstrdup("0x8D1");
	bench_expect(&b, "DELETE", BOX "/k");
	assert_string_equal(bench_header(&b, "If-Match"), "\"0x8D1\"");
	assert_int_equal(bench_answer(&b, 202, "", ""), CLOUD_STEP_DONE);
	for (int i = 0; i < 2; i++) {
		bench_op(&b, CLOUD_REMOVE, "k");
		b.op.version = xstrdup("0x8D1");
		assert_int_equal(bench_answer(&b, 412, "", ""), CLOUD_STEP_NEXT);
		bench_expect(&b, "HEAD", BOX "/k");
		assert_int_equal(bench_answer(&b, i == 0 ? 200 : 404, "", ""), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, i == 0 ? -ESTALE : -ENOENT);
	}
	bench_close(&b);
}

#define LISTED(names) "<EnumerationResults><Blobs>" names "</Blobs></EnumerationResults>"

static void
test_rmdir(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_RMDIR, "d");
	bench_expect(&b, "GET", BOX "?comp=list&maxresults=2&prefix=d%2F&restype=container");
	assert_int_equal(bench_answer(&b, 200, "",
			     LISTED("<Blob><Name>d/</Name></Blob><Blob><Name>d/x</Name></Blob>")),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOTEMPTY);

	/* Both markers: ours, and others'. */
	bench_op(&b, CLOUD_RMDIR, "d");
	assert_int_equal(
	    bench_answer(&b, 200, "", LISTED("<Blob><Name>d/</Name></Blob>")), CLOUD_STEP_NEXT);
	bench_expect(&b, "DELETE", BOX "/d/");
	assert_int_equal(bench_answer(&b, 202, "", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "HEAD", BOX "/d");
	assert_int_equal(
	    bench_answer(&b, 200, "ETag: \"0x8D1\"\nx-ms-meta-hdi_isfolder: true\n", ""),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "DELETE", BOX "/d");
	assert_string_equal(bench_header(&b, "If-Match"), "\"0x8D1\"");
	assert_int_equal(bench_answer(&b, 202, "", ""), CLOUD_STEP_DONE);

	/* Only theirs, beside nothing, and beside a file that stays. */
	for (int i = 0; i < 2; i++) {
		bench_op(&b, CLOUD_RMDIR, "d");
		bench_answer(&b, 200, "", LISTED("<Blob><Name>d/</Name></Blob>"));
		bench_answer(&b, 202, "", "");
		assert_int_equal(bench_answer(&b, i == 0 ? 404 : 200, "", ""), CLOUD_STEP_DONE);
	}
	/* Neither. */
	for (int i = 0; i < 2; i++) {
		bench_op(&b, CLOUD_RMDIR, "d");
		assert_int_equal(bench_answer(&b, 200, "", LISTED("")), CLOUD_STEP_NEXT);
		bench_expect(&b, "HEAD", BOX "/d");
		assert_int_equal(bench_answer(&b, i == 0 ? 404 : 200, "", ""), CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, i == 0 ? -ENOENT : -ENOTDIR);
	}
	bench_close(&b);
}

static void
test_mkdir(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_MKDIR, "d/e");
	bench_expect(&b, "PUT", BOX "/d/e");
	assert_string_equal(bench_header(&b, "x-ms-meta-hdi_isfolder"), "true");
	assert_string_equal(bench_header(&b, "x-ms-blob-type"), "BlockBlob");
	assert_string_equal(bench_header(&b, "If-None-Match"), "*");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	assert_int_equal(bench_answer(&b, 201, "", ""), CLOUD_STEP_DONE);
	for (int i = 0; i < 2; i++) {
		bench_op(&b, CLOUD_MKDIR, "d/e");
		assert_int_equal(bench_answer(&b, 409, "x-ms-error-code: BlobAlreadyExists\n", ""),
		    CLOUD_STEP_NEXT);
		bench_expect(&b, "HEAD", BOX "/d/e");
		assert_int_equal(
		    bench_answer(&b, 200, i == 0 ? "x-ms-meta-hdi_isfolder: true\n" : "", ""),
		    i == 0 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, i == 0 ? 0 : -EEXIST);
	}
	bench_op(&b, CLOUD_MKDIR, "");
	assert_int_equal(azure_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_DONE);
	bench_close(&b);
}

static void
test_errors(void **state)
{
	static const struct {
		int status, code;
		enum cloud_step step;
		const char *word, *says;
	} cases[] = {
	    {503, -EAGAIN, CLOUD_STEP_RETRY, "ServerBusy", "ServerBusy: why"},
	    {500, -EAGAIN, CLOUD_STEP_RETRY, "OperationTimedOut", NULL},
	    {500, -EIO, CLOUD_STEP_RETRY, "InternalError", NULL},
	    {409, -EACCES, CLOUD_STEP_FAIL, "BlobArchived", "rehydrate it first"},
	    {409, -EACCES, CLOUD_STEP_FAIL, "BlobBeingRehydrated", "hours"},
	    {412, -EBUSY, CLOUD_STEP_FAIL, "LeaseIdMissing", "lease"},
	    {409, -EBUSY, CLOUD_STEP_FAIL, "LeaseAlreadyPresent", "lease"},
	    {409, -EBUSY, CLOUD_STEP_FAIL, "SnapshotsPresent", "snapshots"},
	    {409, -EAGAIN, CLOUD_STEP_RETRY, "ContainerBeingDeleted", NULL},
	    {404, -ENOENT, CLOUD_STEP_FAIL, "ContainerNotFound", NULL},
	    {400, -EBADMSG, CLOUD_STEP_RETRY, "Md5Mismatch", NULL},
	    {400, -EBADMSG, CLOUD_STEP_RETRY, "Crc64Mismatch", NULL},
	    {400, -EILSEQ, CLOUD_STEP_FAIL, "InvalidResourceName", NULL},
	    {413, -EFBIG, CLOUD_STEP_FAIL, "RequestBodyTooLarge", NULL},
	    {403, -EACCES, CLOUD_STEP_FAIL, "AuthorizationPermissionMismatch", NULL},
	    {409, -EPERM, CLOUD_STEP_FAIL, "BlobImmutableDueToPolicy", "policy"},
	    {409, -EBUSY, CLOUD_STEP_FAIL, "NeverHeardOf", NULL},
	    {307, -EINVAL, CLOUD_STEP_FAIL, "NeverHeardOf", NULL},
	    {418, -EPROTO, CLOUD_STEP_RETRY, "NeverHeardOf", NULL},
	    {599, -EIO, CLOUD_STEP_RETRY, "NeverHeardOf", NULL},
	};
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free)
		char *body = xasprintf(XML "<Error><Code>%s</Code><Message>why\nRequestId:1"
					   "</Message></Error>",
		    cases[i].word);
		CLEANUP(cleanup_free)
		char *header = xasprintf("x-ms-error-code: %s\n", cases[i].word);

		for (int k = 0; k < 2; k++) { /* the body says it, or the header alone */
			bench_op(&b, CLOUD_LIST, "d");
			assert_int_equal(bench_answer(&b, cases[i].status, k == 0 ? "" : header,
					     k == 0 ? body : ""),
			    cases[i].step);
			assert_int_equal(b.err.code, cases[i].code);
			if (k == 0 && cases[i].says != NULL &&
			    strstr(b.err.msg, cases[i].says) == NULL)
				fail_msg("%s", b.err.msg);
			assert_null(strstr(b.err.msg, "RequestId"));
		}
	}
	bench_op(&b, CLOUD_LIST, "d");
	bench_answer(&b, 503, "Retry-After: 7\n", ERROR_BODY("ServerBusy", "slow down"));
	assert_int_equal(b.err.wait_ms, 7000);
	bench_answer(&b, 502, "", "<html>bad gateway");
	assert_int_equal(b.err.code, -EIO);
	bench_close(&b);
}

#define REFUSED(detail)                                                                            \
	XML "<Error><Code>AuthenticationFailed</Code><Message>no</Message>"                        \
	    "<AuthenticationErrorDetail>" detail "</AuthenticationErrorDetail></Error>"

static void
test_refused(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_LIST, "");
	assert_int_equal(bench_answer(&b, 403, "Date: Fri, 24 May 2013 00:14:00 GMT\n",
			     REFUSED("The MAC signature is not the same")),
	    CLOUD_STEP_REFRESH);
	assert_int_equal(b.err.code, -EKEYEXPIRED);
	assert_non_null(strstr(b.err.msg, "AuthenticationFailed: no (The MAC signature"));
	/* By the service's clock ours is wrong, also where nothing says why (HEAD). */
	bench_op(&b, CLOUD_STAT, "k");
	assert_int_equal(bench_answer(&b, 403,
			     "Date: Fri, 24 May 2013 00:16:00 GMT\n"
			     "x-ms-error-code: AuthenticationFailed\n",
			     ""),
	    CLOUD_STEP_REFRESH);
	assert_int_equal(b.err.code, -EKEYEXPIRED);
	assert_non_null(strstr(b.err.msg, "clock"));
	/* A rotated key, where nothing says why. */
	bench_op(&b, CLOUD_STAT, "k");
	assert_int_equal(bench_answer(&b, 403, "x-ms-error-code: AuthenticationFailed\n", ""),
	    CLOUD_STEP_REFRESH);
	assert_int_equal(b.err.code, -EKEYEXPIRED);
	/* Rights are another matter than who one is. */
	bench_op(&b, CLOUD_STAT, "k");
	assert_int_equal(
	    bench_answer(&b, 403, "x-ms-error-code: AuthorizationPermissionMismatch\n", ""),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EACCES);
	bench_op(&b, CLOUD_LIST, "");
	assert_int_equal(bench_answer(&b, 403, "",
			     REFUSED("Signature not valid in the specified time frame: Start [x]")),
	    CLOUD_STEP_REFRESH);
	assert_int_equal(b.err.code, -EKEYEXPIRED);
	assert_non_null(strstr(b.err.msg, "SAS token has expired"));
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_urls),
	    cmocka_unit_test(test_signed),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_stat),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_list_ends),
	    cmocka_unit_test(test_containers),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_remove),
	    cmocka_unit_test(test_rmdir),
	    cmocka_unit_test(test_mkdir),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
