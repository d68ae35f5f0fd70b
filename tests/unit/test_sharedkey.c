/* The expected signatures were computed with Python's hmac from the documentation's description:
   Microsoft publishes strings to sign, but no signature with its key. */
#include "providers/sharedkey.h"
#include "tests/unit/check.h"

#define MYACCOUNT                                                                                  \
	{                                                                                          \
		.account = "myaccount", .key = key, .len = sizeof key                              \
	}

static unsigned char key[64];

static int
setup(void **state)
{
	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (unsigned char)i;
	return 0;
}

static void
test_get(void **state)
{
	static const struct sharedkey_param query[] = {
	    {"comp", "list"}, {"maxresults", "5"}, {"prefix", "a b/"}, {"restype", "container"}};
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	const struct sharedkey account = MYACCOUNT;
	struct http_headers headers = TAILQ_HEAD_INITIALIZER(headers);
	const struct sharedkey_request req = {.method = "GET",
	    .path = "/mycontainer",
	    .query = query,
	    .query_len = ARRAY_LEN(query),
	    .headers = &headers};

	http_headers_add(&headers, "Host", "myaccount.blob.core.windows.net"); /* is not signed */
	http_headers_add(&headers, "x-ms-version", "2021-12-02");
	http_headers_add(&headers, "x-ms-date", "Fri, 24 May 2013 00:00:00 GMT");
	assert_true(sharedkey_authorization(&out, &account, &req));
	assert_string_equal(
	    buf_str(&out), "SharedKey myaccount:/HNN4rfDdA87zIZa43fkHWFqgRNhgFc4wuJbJ/4ZTHE=");
	http_headers_free(&headers);
}

/* Headers with places of their own, and x-ms- ones of which one is the beginning of another. */
static void
test_put(void **state)
{
	static const struct {
		const char *name, *value;
	} given[] = {
	    {"x-ms-copy-source-blob-properties", "true"},
	    {"X-Ms-Version", "2021-12-02"},
	    {"x-ms-copy-source", "s"},
	    {"Content-MD5", "kAFQmDzST7DWlj99KOF/cg=="},
	    {"x-ms-blob-type", "BlockBlob"},
	    {"x-ms-meta-mtime", "t"},
	    {"If-None-Match", "*"},
	    {"x-ms-blob-content-type", "text/plain"},
	    {"x-ms-date", "Fri, 24 May 2013 00:00:00 GMT"},
	};
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf small = BUF_INIT(20);
	const struct sharedkey account = {.account = "acct", .key = key, .len = sizeof key};
	struct http_headers headers = TAILQ_HEAD_INITIALIZER(headers);
	const struct sharedkey_request req = {
	    .method = "PUT", .path = "/acct/box/d/a%20b.txt", .headers = &headers, .length = 3};

	for (size_t i = 0; i < ARRAY_LEN(given); i++)
		http_headers_add(&headers, given[i].name, given[i].value);
	assert_true(sharedkey_authorization(&out, &account, &req));
	assert_string_equal(
	    buf_str(&out), "SharedKey acct:66Xy1Rj+H9qN5WYrhae8KxpbxhbW714Vmui8QIWDV7E=");
	assert_false(sharedkey_authorization(&small, &account, &req));
	http_headers_free(&headers);
}

static void
test_sas(void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1000);
	const struct sharedkey account = {.account = "acct", .key = key, .len = sizeof key};

	assert_true(
	    sharedkey_sas_to_read(&out, &account, "/box/d/a b+\xc3\xa4.txt", 1369357200999));
	assert_string_equal(buf_str(&out),
	    "sv=2020-12-06&sr=b&sp=r&se=2013-05-24T01%3A00%3A00Z"
	    "&sig=gbQ7rNmq%2B89pcV2xUhZExZzTdBFm1UQPVSKr3gZZBlA%3D");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_get),
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_sas),
	};

	return cmocka_run_group_tests_name("sharedkey", tests, setup, NULL);
}
