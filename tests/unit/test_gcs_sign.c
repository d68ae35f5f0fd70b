/*
 * Signed URLs, by the vectors of googleapis/conformance-tests (storage/v1/v4_signatures.json,
 * "Simple GET", "Vary expiration and timestamp", "Vary bucket and object"), whose key is public and
 * good for nothing else.
 */
#include "providers/gcs_sign.h"
#include "tests/unit/driver_bench.h"
#include <stdlib.h>
#include <string.h>

static const char vector_key[] =
    ""
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCsPzMirIottfQ2\n"
    "ryjQmPWocSEeGo7f7Q4/tMQXHlXFzo93AGgU2t+clEj9L5loNhLVq+vk+qmnyDz5\n"
    "Q04y8jVWyMYzzGNNrGRW/yaYqnqlKZCy1O3bmnNjV7EDbC/jE1ZLBY0U3HaSHfn6\n"
    "S9ND8MXdgD0/ulRTWwq6vU8/w6i5tYsU7n2LLlQTl1fQ7/emO9nYcCFJezHZVa0H\n"
    "meWsdHwWsok0skwQYQNIzP3JF9BpR5gJT2gNge6KopDesJeLoLzaX7cUnDn+CAnn\n"
    "LuLDwwSsIVKyVxhBFsFXPplgpaQRwmGzwEbf/Xpt9qo26w2UMgn30jsOaKlSeAX8\n"
    "cS6ViF+tAgMBAAECggEACKRuJCP8leEOhQziUx8Nmls8wmYqO4WJJLyk5xUMUC22\n"
    "SI4CauN1e0V8aQmxnIc0CDkFT7qc9xBmsMoF+yvobbeKrFApvlyzNyM7tEa/exh8\n"
    "DGD/IzjbZ8VfWhDcUTwn5QE9DCoon9m1sG+MBNlokB3OVOt8LieAAREdEBG43kJu\n"
    "yQTOkY9BGR2AY1FnAl2VZ/jhNDyrme3tp1sW1BJrawzR7Ujo8DzlVcS2geKA9at7\n"
    "55ua5GbHz3hfzFgjVXDfnkWzId6aHypUyqHrSn1SqGEbyXTaleKTc6Pgv0PgkJjG\n"
    "hZazWWdSuf1T5Xbs0OhAK9qraoAzT6cXXvMEvvPt6QKBgQDXcZKqJAOnGEU4b9+v\n"
    "Odoh+nssdrIOBNMu1m8mYbUVYS1aakc1iDGIIWNM3qAwbG+yNEIi2xi80a2RMw2T\n"
    "9RyCNB7yqCXXVKLBiwg9FbKMai6Vpk2bWIrzahM9on7AhCax/X2AeOp+UyYhFEy6\n"
    "UFG4aHb8THscL7b515ukSuKb5QKBgQDMq+9PuaB0eHsrmL6q4vHNi3MLgijGg/zu\n"
    "AXaPygSYAwYW8KglcuLZPvWrL6OG0+CrfmaWTLsyIZO4Uhdj7MLvX6yK7IMnagvk\n"
    "L3xjgxSklEHJAwi5wFeJ8ai/1MIuCn8p2re3CbwISKpvf7Sgs/W4196P4vKvTiAz\n"
    "jcTiSYFIKQKBgCjMpkS4O0TakMlGTmsFnqyOneLmu4NyIHgfPb9cA4n/9DHKLKAT\n"
    "oaWxBPgatOVWs7RgtyGYsk+XubHkpC6f3X0+15mGhFwJ+CSE6tN+l2iF9zp52vqP\n"
    "Qwkjzm7+pdhZbmaIpcq9m1K+9lqPWJRz/3XXuqi+5xWIZ7NaxGvRjqaNAoGAdK2b\n"
    "utZ2y48XoI3uPFsuP+A8kJX+CtWZrlE1NtmS7tnicdd19AtfmTuUL6fz0FwfW4Su\n"
    "lQZfPT/5B339CaEiq/Xd1kDor+J7rvUHM2+5p+1A54gMRGCLRv92FQ4EON0RC1o9\n"
    "m2I4SHysdO3XmjmdXmfp4BsgAKJIJzutvtbqlakCgYB+Cb10z37NJJ+WgjDt+yT2\n"
    "yUNH17EAYgWXryfRgTyi2POHuJitd64Xzuy6oBVs3wVveYFM6PIKXlj8/DahYX5I\n"
    "R2WIzoCNLL3bEZ+nC6Jofpb4kspoAeRporj29SgesK6QBYWHWX2H645RkRGYGpDo\n"
    "51gjy9m/hSNqBbH2zmh04A==\n"
    "-----END PRIVATE KEY-----\n";

#define MAIL "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"

static const struct {
	const char *path, *day;
	uint64_t now_ms;
	unsigned expires_s;
	const char *signature;
} vectors[] = {
    {"test-bucket/test-object", "20190201", 1549011600000, 10,
	"95e6a13d43a1d1962e667f17397f2b80ac9bdd1669210d5e08e0135df9dff4e5"
	"6113485dbe429ca2266487b9d1796ebdee2d7cf682a6ef3bb9fbb4c351686fba"
	"90d7b621cf1c4eb1fdf126460dd25fa0837dfdde0a9fd98662ce60844c458448"
	"fb2b352c203d9969cb74efa4bdb742287744a4f2308afa4af0e0773f55e32e92"
	"973619249214b97283b2daa14195244444e33f938138d1e5f561088ce8011f49"
	"86dda33a556412594db7c12fc40e1ff3f1bedeb7a42f5bcda0b9567f17f65855"
	"f65071fabb88ea12371877f3f77f10e1466fff6ff6973b74a933322ff0949ce3"
	"57e20abe96c3dd5cfab42c9c83e740a4d32b9e11e146f0eb3404d2e975896f74"},
    {"test-bucket/test-object", "20190301", 1551430800000, 20,
	"9669ed5b10664dc594c758296580662912cf4bcc5a4ba0b6bf055bcbf6f34eed"
	"7bdad664f534962174a924741a0c273a4f67bc1847cef20192a6beab44223bd9"
	"d4fbbd749c407b79997598c30f82ddc269ff47ec09fa3afe74e00616d438df0d"
	"96a7d8ad0adacfad1dc3286f864d924fe919fb0dce45d3d975c5afe8e13af2db"
	"9cc37ba77835f92f7669b61e94c6d562196c1274529e76cfff1564cc2cad7d53"
	"87dc8e12f7a5dfd925685fe92c30b43709eee29fa2f66067472cee5423d1a3a4"
	"182fe8cea75c9329d181dc6acad7c393cd04f8bf5bc0515127d8ebd65d80c08e"
	"19ad03316053ea60033fd1b1fd85a69c576415da3bf0a3718d9ea6d03e0d66f0"},
    {"test-bucket2/test-object2", "20190201", 1549011600000, 10,
	"36e3d58dfd3ec1d2dd2f24b5ee372a71e811ffaa2162a2b871d26728d0354270"
	"bc116face87127532969c4a3967ed05b7309af741e19c7202f3167aa8c2ac420"
	"b61417d6451442bb91d7c822cd17be8783f01e05372769c88913561d27e6660d"
	"d8259f0081a71f831be6c50283626cbf04494ac10c394b29bb3bce74ab91548f"
	"58a37118a452693cf0483d77561fc9cac8f1765d2c724994cca46a83517a1015"
	"7ee0347a233a2aaeae6e6ab5e204ff8fc5f54f90a3efdb8301d9fff5475d58cd"
	"05b181affd657f48203f4fb133c3a3d355b8eefbd10d5a0a5fd70d06e9515460"
	"ad74e22334b2cba4b29cae4f6f285cdb92d8f3126d7a1479ca3bdb69c207d860"},
};

static void
bench_open(struct bench *b)
{
	json_t *file = json_pack("{s:s, s:s, s:s, s:s}", "client_email", MAIL, "private_key",
	    vector_key, "project_id", "dummy-project-id", "token_uri", "https://example.com/token");
	char *text = json_dumps(file, 0);
	json_t *credentials = json_pack("{s:s}", "serviceAccount", text);
	char *all = json_dumps(credentials, 0);

	bench_open_driver(b, &gcs_driver, all);
	json_decref(credentials);
	json_decref(file);
	free(text);
	free(all);
}

static void
test_vectors(void **state)
{
	struct bench b;

	bench_open(&b);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		CLEANUP(buf_free) struct buf url = BUF_INIT(HTTP_URL_MAX);
		CLEANUP(cleanup_free)
		char *want = xasprintf("https://storage.googleapis.com/%s"
				       "?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential="
				       "test-iam-credentials%%40dummy-project-id.iam."
				       "gserviceaccount.com%%2F%s%%2Fauto%%2Fstorage%%2F"
				       "goog4_request&X-Goog-Date=%sT090000Z&X-Goog-Expires=%u"
				       "&X-Goog-SignedHeaders=host&X-Goog-Signature=%s",
		    vectors[i].path, vectors[i].day, vectors[i].day, vectors[i].expires_s,
		    vectors[i].signature);

		assert_int_equal(gcs_sign(&url, b.account.data, vectors[i].path, NULL,
				     vectors[i].now_ms, vectors[i].expires_s, &b.err),
		    0);
		assert_string_equal(buf_str(&url), want);
	}
	bench_close(&b);
}

static void
test_link(void **state)
{
	CLEANUP(buf_free) struct buf url = BUF_INIT(HTTP_URL_MAX);
	struct bench b;

	bench_open(&b);
	bench_op(&b, CLOUD_LINK, "box/a b/\xc3\xa4");
	b.op.version = xstrdup("17");
	bench_expect(&b, "GET",
	    "https://storage.googleapis.com/storage/v1/b/box/o/a%20b%2F%C3%A4?fields=contentEncoding"
	    "&ifGenerationMatch=17");
	assert_int_equal(bench_answer(&b, 200, "", "{}"), CLOUD_STEP_NEXT);
	assert_int_equal(gcs_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_DONE);
	assert_true(b.op.is_pinned);
	assert_non_null(
	    strstr(b.op.link, "https://storage.googleapis.com/box/a%20b/%C3%A4?X-Goog-"));
	assert_non_null(strstr(b.op.link, "&X-Goog-Expires=14400&"));
	assert_non_null(strstr(b.op.link, "=host&generation=17&X-Goog-Signature="));
	free(TAKE(b.op.link));
	/* What is stored compressed comes uncompressed to whoever does not ask otherwise. */
	bench_op(&b, CLOUD_LINK, "box/k");
	bench_expect(&b, "GET",
	    "https://storage.googleapis.com/storage/v1/b/box/o/k?fields=contentEncoding");
	assert_int_equal(
	    bench_answer(&b, 200, "", "{\"contentEncoding\":\"gzip\"}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EOPNOTSUPP);
	bench_op(&b, CLOUD_LINK, "box");
	assert_int_equal(gcs_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EISDIR);
	assert_int_equal(
	    gcs_sign(&url, b.account.data, "box/k", NULL, NOW_MS, GCS_SIGN_MAX + 1, &b.err),
	    -EINVAL);
	assert_int_equal(gcs_sign(&url, b.account.data, "box/k", NULL, NOW_MS, 0, &b.err), -EINVAL);
	bench_close(&b);

	/* Who has only a token has nothing to sign with. */
	bench_open_driver(
	    &b, &gcs_driver, "{\"bucket\":\"box\",\"clientId\":\"id\",\"refreshToken\":\"r\"}");
	bench_op(&b, CLOUD_LINK, "k");
	assert_int_equal(gcs_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EOPNOTSUPP);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
