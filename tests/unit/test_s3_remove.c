/* The s3 driver's removals, of one and of many, from requests written to answers understood. */
#include "tests/unit/s3_bench.h"
#include <stdlib.h>
#include <string.h>

static void
test_remove(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_REMOVE, "k");
	b.op.version = xstrdup("v1");
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/k");
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 1\nETag: \"v1\"\n", ""), CLOUD_STEP_NEXT);
	bench_expect(&b, "DELETE", "http://127.0.0.1:7480/box/k");
	assert_int_equal(bench_answer(&b, 204, "", ""), CLOUD_STEP_DONE);

	bench_op(&b, CLOUD_REMOVE, "k");
	b.op.version = xstrdup("v1");
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 1\nETag: \"v2\"\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);

	bench_op(&b, CLOUD_REMOVE, "k");
	assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ENOENT);

	/* Nobody wants to know whether it was there: one request; but not of another version. */
	bench_op(&b, CLOUD_REMOVE, "k");
	b.op.gone_is_fine = true;
	bench_expect(&b, "DELETE", "http://127.0.0.1:7480/box/k");
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	bench_expect(&b, "DELETE", "http://127.0.0.1:7480/box/k");
	assert_int_equal(bench_answer(&b, 204, "", ""), CLOUD_STEP_DONE);
	bench_op(&b, CLOUD_REMOVE, "k");
	b.op.gone_is_fine = true;
	b.op.version = xstrdup("v1");
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/k");
	assert_int_equal(
	    bench_answer(&b, 200, "Content-Length: 1\nETag: \"v2\"\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	bench_close(&b);
}

/* What changes between the look and the removal stays, where the service can see to it. */
static void
test_remove_pinned(void **state)
{
	static const struct {
		const char *account, *url, *condition;
	} cases[] = {
	    {AMAZON, "https://examplebucket.s3.us-east-1.amazonaws.com/k", "\"v1\""},
	    {SERVICE("ceph"), "http://127.0.0.1:7480/box/k", "\"v1\""},
	    {SERVICE("minio"), "http://127.0.0.1:7480/box/k", NULL},
	    {OWN, "http://127.0.0.1:7480/box/k", NULL},
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bench_open(&b, cases[i].account);
		bench_op(&b, CLOUD_REMOVE, "k");
		b.op.version = xstrdup("v1");
		bench_expect(&b, "HEAD", cases[i].url);
		assert_null(bench_header(&b, "If-Match"));
		assert_int_equal(bench_answer(&b, 200, "Content-Length: 1\nETag: \"v1\"\n", ""),
		    CLOUD_STEP_NEXT);
		bench_expect(&b, "DELETE", cases[i].url);
		if (cases[i].condition == NULL)
			assert_null(bench_header(&b, "If-Match"));
		else
			assert_string_equal(bench_header(&b, "If-Match"), cases[i].condition);
		/* Another object, or none, and an answer was lost? */
		assert_int_equal(bench_answer(&b, 412, "", ERROR_BODY("PreconditionFailed", "no")),
		    CLOUD_STEP_NEXT);
		bench_expect(&b, "HEAD", cases[i].url);
		if (i == 0) {
			assert_int_equal(bench_answer(&b, 404, "", ""), CLOUD_STEP_FAIL);
			assert_int_equal(b.err.code, -ENOENT);
			bench_close(&b);
			continue;
		}
		assert_int_equal(bench_answer(&b, 200, "Content-Length: 1\nETag: \"v1\"\n", ""),
		    CLOUD_STEP_NEXT);
		bench_expect(&b, "DELETE", cases[i].url);
		assert_int_equal(bench_answer(&b, 412, "", ERROR_BODY("PreconditionFailed", "no")),
		    CLOUD_STEP_FAIL);
		assert_int_equal(b.err.code, -ESTALE);
		bench_close(&b);
	}
}

#define REMOVALS 4
static const char *const removals[REMOVALS] = {"d/a<b>&\"'c", "two", "three", "four"};

/* As the runner does: the ops in one request, and what its answer means to each. */
static void
removals_open(struct bench *b, struct cloud_op **ops)
{
	for (unsigned i = 0; i < REMOVALS; i++) {
		bench_open(&b[i], OWN);
		bench_op(&b[i], CLOUD_REMOVE, removals[i]);
		b[i].op.gone_is_fine = true;
		ops[i] = &b[i].op;
	}
}

static void
removals_answer(struct bench *b, struct cloud_op **ops, const char *body, enum cloud_step *steps)
{
	const struct cloud_batch *batch = s3_driver.batch;
	struct http_response whole = {.status = 200, .body = BUF_INIT(4096)}, parts[REMOVALS];
	struct err err = ERR_INIT;

	buf_puts(&whole.body, body);
	for (unsigned i = 0; i < REMOVALS; i++)
		http_response_init(&parts[i]);
	assert_int_equal(batch->response(ops, REMOVALS, &whole, parts, &err), 0);
	for (unsigned i = 0; i < REMOVALS; i++) {
		steps[i] = ops[i] == NULL ? CLOUD_STEP_WAIT
					  : s3_driver.response(ops[i], &parts[i], &b[i].err);
		http_response_fini(&parts[i]);
	}
	buf_free(&whole.body);
}

static void
test_remove_many(void **state)
{
	const struct cloud_batch *batch = s3_driver.batch;
	struct cloud_request request;
	struct bench b[REMOVALS];
	struct cloud_op *ops[REMOVALS];
	enum cloud_step steps[REMOVALS];
	struct err err = ERR_INIT;

	removals_open(b, ops);
	assert_true(batch->takes(ops[0]) && batch->together(ops[0], ops[1]));
	http_request_init(&request.http);
	assert_int_equal(batch->request(ops, REMOVALS, &request, &err), CLOUD_STEP_SEND);
	assert_string_equal(request.http.method, "POST");
	assert_string_equal(buf_str(&request.http.url), "http://127.0.0.1:7480/box?delete");
	assert_string_equal(buf_str(&request.http.bytes),
	    "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	    "<Object><Key>d/a&#60;b&#62;&#38;&#34;&#39;c</Key></Object>"
	    "<Object><Key>two</Key></Object><Object><Key>three</Key></Object>"
	    "<Object><Key>four</Key></Object></Delete>");
	assert_string_equal(
	    http_header_get(&request.http.headers, "Content-MD5"), "HojPBVc0RWwVqw/8yO+BIQ==");
	http_request_fini(&request.http);

	/* In another order, one refused, one not spoken of: these are asked for alone. */
	removals_answer(b, ops,
	    "<DeleteResult><Deleted><Key>four</Key></Deleted><Error><Key>two</Key>"
	    "<Code>AccessDenied</Code><Message>no</Message></Error><Deleted>"
	    "<Key>d/a&lt;b&gt;&amp;&quot;&apos;c</Key></Deleted></DeleteResult>",
	    steps);
	assert_int_equal(steps[0], CLOUD_STEP_DONE);
	assert_int_equal(steps[1], CLOUD_STEP_NEXT);
	assert_int_equal(steps[2], CLOUD_STEP_NEXT);
	assert_int_equal(steps[3], CLOUD_STEP_DONE);
	assert_false(batch->takes(ops[1]));
	bench_expect(&b[1], "DELETE", "http://127.0.0.1:7480/box/two");
	assert_int_equal(
	    bench_answer(&b[1], 403, "", ERROR_BODY("AccessDenied", "no")), CLOUD_STEP_FAIL);
	assert_int_equal(b[1].err.code, -EACCES);
	for (unsigned i = 0; i < REMOVALS; i++)
		bench_close(&b[i]);
}

static void
test_remove_many_misled(void **state)
{
	static const char *const bodies[] = {"", "<html/>", "nonsense", "<DeleteResult>",
	    "<DeleteResult><Deleted><Key>two</Key></Deleted>",
	    "<DeleteResult><Deleted></Deleted><Deleted><Key>twofold</Key></Deleted></DeleteResult>"};
	struct bench b[REMOVALS];
	struct cloud_op *ops[REMOVALS];
	enum cloud_step steps[REMOVALS];
	struct cloud_request request;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		removals_open(b, ops);
		http_request_init(&request.http);
		s3_driver.batch->request(ops, REMOVALS, &request, &err);
		http_request_fini(&request.http);
		ops[3] = NULL; /* cancelled */
		removals_answer(b, ops, bodies[i], steps);
		for (unsigned j = 0; j < 3; j++)
			assert_int_equal(steps[j], CLOUD_STEP_NEXT);
		for (unsigned j = 0; j < REMOVALS; j++)
			bench_close(&b[j]);
	}
}

/* Refused as a whole: each is asked for alone; where that succeeds, the service does not know such
   requests, and nothing goes together any more. */
static void
test_remove_many_refused(void **state)
{
	static const struct {
		int status;
		enum cloud_step step;
		int alone; /* what that is answered with; 0: it is not asked for alone */
		bool learned;
	} cases[] = {
	    {501, CLOUD_STEP_NEXT, 204, true},
	    {405, CLOUD_STEP_NEXT, 204, true},
	    {404, CLOUD_STEP_NEXT, 204, true},
	    {404, CLOUD_STEP_NEXT, 404, false}, /* it is the bucket that is not there */
	    {403, CLOUD_STEP_NEXT, 204, false},
	    {503, CLOUD_STEP_RETRY, 0, false},
	    {500, CLOUD_STEP_RETRY, 0, false},
	};
	const struct cloud_batch *batch = s3_driver.batch;
	struct bench b[REMOVALS];
	struct cloud_op *ops[REMOVALS];
	struct cloud_request request;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		removals_open(b, ops);
		http_request_init(&request.http);
		batch->request(ops, REMOVALS, &request, &err);
		http_request_fini(&request.http);
		assert_int_equal(bench_answer(&b[0], cases[i].status, "", ""), cases[i].step);
		assert_int_equal(batch->takes(&b[0].op), cases[i].alone == 0);
		bench_expect(&b[0], "DELETE", "http://127.0.0.1:7480/box/d/a%3Cb%3E%26%22%27c");
		if (cases[i].alone != 0)
			assert_int_equal(bench_answer(&b[0], cases[i].alone, "", ""),
			    cases[i].alone == 204 ? CLOUD_STEP_DONE : CLOUD_STEP_FAIL);
		bench_op(&b[0], CLOUD_REMOVE, "five");
		b[0].op.gone_is_fine = true;
		assert_int_equal(batch->takes(&b[0].op), !cases[i].learned);
		for (unsigned j = 0; j < REMOVALS; j++)
			bench_close(&b[j]);
	}
}

/* A batch that went to another region goes there together. */
static void
test_remove_many_elsewhere(void **state)
{
	const struct cloud_batch *batch = s3_driver.batch;
	struct bench b[2];
	struct cloud_op *ops[2];
	struct cloud_request request;
	struct err err = ERR_INIT;

	for (int i = 0; i < 2; i++) {
		bench_open(&b[i], "{\"bucket\":\"box\"," KEYS "}");
		bench_op(&b[i], CLOUD_REMOVE, removals[i]);
		b[i].op.account = &b[0].account;
		b[i].op.gone_is_fine = true;
		ops[i] = &b[i].op;
	}
	http_request_init(&request.http);
	batch->request(ops, 2, &request, &err);
	http_request_fini(&request.http);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bench_answer(&b[i], 400, "",
				     "<Error><Code>AuthorizationHeaderMalformed</Code>"
				     "<Region>us-west-2</Region></Error>"),
		    CLOUD_STEP_NEXT);
		assert_true(batch->takes(ops[i]));
	}
	for (int i = 1; i >= 0; i--)
		bench_close(&b[i]);
}

/* After an answer that did not come an item may go with no other: then it has asked alone. */
static void
test_remove_many_and_then_one(void **state)
{
	struct bench b[REMOVALS];
	struct cloud_op *ops[REMOVALS];
	struct cloud_request request;
	struct err err = ERR_INIT;

	removals_open(b, ops);
	http_request_init(&request.http);
	s3_driver.batch->request(ops, REMOVALS, &request, &err);
	http_request_fini(&request.http);
	bench_expect(&b[1], "DELETE", "http://127.0.0.1:7480/box/two");
	assert_int_equal(
	    bench_answer(&b[1], 404, "", ERROR_BODY("NoSuchBucket", "")), CLOUD_STEP_FAIL);
	assert_int_equal(b[1].err.code, -ENOENT);
	for (unsigned i = 0; i < REMOVALS; i++)
		bench_close(&b[i]);
}

static void
test_what_is_removed_alone(void **state)
{
	static const char *const keys[] = {
	    "a\tb", "a\x01", "a\x7f", "a\xff", "a\xef\xbf\xbf", " a", "a "};
	const struct cloud_batch *batch = s3_driver.batch;
	struct bench b, c;

	bench_open(&b, ALL);
	bench_open(&c, ALL);
	bench_op(&b, CLOUD_REMOVE, "box/k");
	assert_false(batch->takes(&b.op)); /* it is looked at first */
	bench_expect(&b, "HEAD", "http://127.0.0.1:7480/box/k");
	bench_answer(&b, 200, "Content-Length: 1\nETag: \"v1\"\n", "");
	assert_true(batch->takes(&b.op));
	bench_op(&c, CLOUD_REMOVE, "other/k");
	assert_false(batch->together(&b.op, &c.op));
	bench_op(&c, CLOUD_REMOVE, "box/j");
	assert_true(batch->together(&b.op, &c.op));

	bench_op(&b, CLOUD_REMOVE, "box/k");
	b.op.version = xstrdup("v1");
	bench_answer(&b, 200, "Content-Length: 1\nETag: \"v1\"\n", "");
	assert_false(batch->takes(&b.op));
	bench_op(&b, CLOUD_STAT, "box/k");
	assert_false(batch->takes(&b.op));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		CLEANUP(cleanup_free) char *path = xasprintf("box/%s", keys[i]);

		bench_op(&b, CLOUD_REMOVE, path);
		b.op.gone_is_fine = true;
		assert_false(batch->takes(&b.op));
	}
	bench_close(&b);
	bench_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_remove),
	    cmocka_unit_test(test_remove_pinned),
	    cmocka_unit_test(test_remove_many),
	    cmocka_unit_test(test_remove_many_misled),
	    cmocka_unit_test(test_remove_many_refused),
	    cmocka_unit_test(test_remove_many_elsewhere),
	    cmocka_unit_test(test_remove_many_and_then_one),
	    cmocka_unit_test(test_what_is_removed_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
