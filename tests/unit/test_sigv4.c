/* AWS's published vectors: the Signature Version 4 test suite, and the examples of the S3 API
   Reference ("Signature Calculations for the Authorization Header"). */
#include "providers/sigv4.h"
#include "tests/unit/check.h"
#include <string.h>

static const struct sigv4_keys suite_keys = {
    "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
static const struct sigv4_keys s3_keys = {
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
#define SUITE_MS 1440938160000 /* 20150830T123600Z */
#define S3_MS    1369353600000 /* 20130524T000000Z */

struct vector {
	const char *name;
	const char *method, *path, *query;
	const char *headers[6][2]; /* beside Host and x-amz-date */
	const char *payload;
	const char *signed_headers;
	const char *signature;
};

static const struct vector suite[] = {
    {
	.name = "get-vanilla",
	.method = "GET",
	.path = "/",
	.query = "",
	.signed_headers = "host;x-amz-date",
	.signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    },
    {
	.name = "post-vanilla",
	.method = "POST",
	.path = "/",
	.query = "",
	.signed_headers = "host;x-amz-date",
	.signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    },
    {
	.name = "get-vanilla-query-order-key-case",
	.method = "GET",
	.path = "/",
	.query = "Param2=value2&Param1=value1",
	.signed_headers = "host;x-amz-date",
	.signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    },
    {
	.name = "get-vanilla-query-order-key",
	.method = "GET",
	.path = "/",
	.query = "Param1=value2&Param1=Value1",
	.signed_headers = "host;x-amz-date",
	.signature = "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
    },
    {
	.name = "get-vanilla-query-order-value",
	.method = "GET",
	.path = "/",
	.query = "Param1=value2&Param1=value1",
	.signed_headers = "host;x-amz-date",
	.signature = "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
    },
    {
	.name = "get-unreserved",
	.method = "GET",
	.path = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
	.query = "",
	.signed_headers = "host;x-amz-date",
	.signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    },
    {
	.name = "get-utf8",
	.method = "GET",
	.path = "/%E1%88%B4",
	.query = "",
	.signed_headers = "host;x-amz-date",
	.signature = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    },
    {
	.name = "get-header-value-trim",
	.method = "GET",
	.path = "/",
	.query = "",
	.headers = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
	.signed_headers = "host;my-header1;my-header2;x-amz-date",
	.signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    },
};

#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

static const struct vector s3_examples[] = {
    {
	.name = "GET Object",
	.method = "GET",
	.path = "/test.txt",
	.query = "",
	.headers = {{"Range", "bytes=0-9"}, {"x-amz-content-sha256", SIGV4_EMPTY}},
	.signed_headers = "host;range;x-amz-content-sha256;x-amz-date",
	.signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    },
    {
	.name = "PUT Object",
	.method = "PUT",
	.path = "/test%24file.text",
	.query = "",
	.headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
	    {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"x-amz-content-sha256", WELCOME}},
	.payload = WELCOME,
	.signed_headers = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	.signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    },
    {
	.name = "GET Bucket Lifecycle",
	.method = "GET",
	.path = "/",
	.query = "lifecycle",
	.headers = {{"x-amz-content-sha256", SIGV4_EMPTY}},
	.signed_headers = "host;x-amz-content-sha256;x-amz-date",
	.signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    },
    {
	.name = "GET Bucket (List Objects)",
	.method = "GET",
	.path = "/",
	.query = "prefix=J&max-keys=2",
	.headers = {{"x-amz-content-sha256", SIGV4_EMPTY}},
	.signed_headers = "host;x-amz-content-sha256;x-amz-date",
	.signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    },
};

static void
check_vector(const struct vector *vector, const char *host, const struct sigv4_keys *keys,
    const char *service, uint64_t now_ms)
{
	CLEANUP(buf_free) struct buf got = BUF_INIT(4096);
	CLEANUP(cleanup_free) char *want = NULL;
	struct http_headers headers = TAILQ_HEAD_INITIALIZER(headers);
	struct sigv4_request req = {vector->method, vector->path, vector->query, &headers,
	    vector->payload == NULL ? SIGV4_EMPTY : vector->payload};
	char when[17];

	sigv4_time(when, sizeof when, now_ms);
	http_headers_add(&headers, "X-Amz-Date", when);
	for (size_t i = 0; vector->headers[i][0] != NULL; i++)
		http_headers_add(&headers, vector->headers[i][0], vector->headers[i][1]);
	http_headers_add(&headers, "Host", host);
	assert_true(sigv4_authorization(&got, &req, keys, "us-east-1", service, now_ms));
	want = xasprintf("AWS4-HMAC-SHA256 "
			 "Credential=%s/%.8s/us-east-1/%s/aws4_request,SignedHeaders=%s,"
			 "Signature=%s",
	    keys->id, when, service, vector->signed_headers, vector->signature);
	if (strcmp(buf_str(&got), want) != 0)
		print_error("%s\n", vector->name);
	assert_string_equal(buf_str(&got), want);
	http_headers_free(&headers);
}

static void
test_suite(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(suite); i++)
		check_vector(&suite[i], "example.amazonaws.com", &suite_keys, "service", SUITE_MS);
}

static void
test_s3_examples(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(s3_examples); i++)
		check_vector(
		    &s3_examples[i], "examplebucket.s3.amazonaws.com", &s3_keys, "s3", S3_MS);
}

static void
test_time(void **state)
{
	char text[17];

	assert_string_equal(sigv4_time(text, sizeof text, S3_MS), "20130524T000000Z");
	assert_string_equal(sigv4_time(text, sizeof text, S3_MS + 86399999), "20130524T235959Z");
}

static void
test_full(void **state)
{
	CLEANUP(buf_free) struct buf got = BUF_INIT(32);
	struct http_headers headers = TAILQ_HEAD_INITIALIZER(headers);
	struct sigv4_request req = {"GET", "/", "", &headers, SIGV4_EMPTY};

	http_headers_add(&headers, "Host", "example.amazonaws.com");
	assert_false(
	    sigv4_authorization(&got, &req, &suite_keys, "us-east-1", "service", SUITE_MS));
	http_headers_free(&headers);
}

/* Another service, another day, and the first again: a kept key signs only what it was made for. */
static void
test_derived(void **state)
{
	struct sigv4_derived derived = {.scope = ""};
	struct sigv4_keys kept = s3_keys;

	kept.derived = &derived;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(s3_examples); i++)
			check_vector(
			    &s3_examples[i], "examplebucket.s3.amazonaws.com", &kept, "s3", S3_MS);
		assert_string_equal(derived.scope, "20130524/us-east-1/s3/aws4_request");
		kept.secret = round == 0 ? "of no use any more" : s3_keys.secret;
	}
	kept = suite_keys;
	kept.derived = &derived;
	for (size_t i = 0; i < ARRAY_LEN(suite); i++)
		check_vector(&suite[i], "example.amazonaws.com", &kept, "service", SUITE_MS);
	assert_string_equal(derived.scope, "20150830/us-east-1/service/aws4_request");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_suite),
	    cmocka_unit_test(test_s3_examples),
	    cmocka_unit_test(test_derived),
	    cmocka_unit_test(test_time),
	    cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
