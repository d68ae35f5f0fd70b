/* Many small files at once: into sessions, which are finished with one request; no network. */
#include "tests/unit/dropbox_bench.h"
#include <stdlib.h>
#include <string.h>

#define FEW       4 /* so many are no crowd */
#define LOCKED_MS 60000
#define START     "files/upload_session/start"
#define UPLOAD    "files/upload"
#define COMMIT(path, mode)                                                                         \
	"{\"path\":\"" path "\",\"mode\":" mode ",\"autorename\":false,\"strict_conflict\":true}"
#define ENTRY(session, path, mode)                                                                 \
	"{\"cursor\":{\"session_id\":\"" session                                                   \
	"\",\"offset\":3},\"commit\":" COMMIT(path, mode) "}"
#define LOCKED "{\"error\":{\"reason\":{\".tag\":\"too_many_write_operations\"}}}"
#define GONE   "{\".tag\":\"lookup_failed\",\"lookup_failed\":{\".tag\":\"not_found\"}}"
#define MADE(id, path, name)                                                                       \
	"{\".tag\":\"success\",\"id\":\"id:" id "\",\"name\":\"" name "\",\"rev\":\"" OTHER        \
	"\",\"size\":3,\"content_hash\":\"" HASH "\",\"path_display\":\"" path "\"}"
#define FAILED(error) "{\".tag\":\"failure\",\"failure\":" error "}"
#define IN_THE_WAY                                                                                 \
	"{\".tag\":\"path\",\"path\":{\".tag\":\"conflict\",\"conflict\":{\".tag\":\"file\"}}}"

static void
put(struct bench *b, const char *path)
{
	bench_op(b, CLOUD_PUT, path);
	b->op.length = 3;
}

static void
expect_route(struct bench *b, const char *route)
{
	CLEANUP(cleanup_free) char *url = xasprintf(CONTENT "%s", route);

	bench_expect(b, "POST", url);
}

/* So many others are at it, on whatever loop. */
static struct throttle_member
crowd(struct bench *b, enum throttle_gate gate, unsigned n)
{
	struct throttle_member member = {.throttle = b->account.throttle};

	while (n-- > 0)
		throttle_enter_anyway(&member, gate);
	return member;
}

static void
disperse(struct throttle_member *member)
{
	for (int gate = 0; gate < THROTTLE_GATES; gate++) {
		while (member->inside[gate] > 0)
			throttle_leave(member, gate, 0);
	}
}

/* Its content is in a session. */
static void
put_session(struct bench *b, const char *path, const char *session)
{
	CLEANUP(cleanup_free) char *answer = xasprintf("{\"session_id\":\"%s\"}", session);
	struct throttle_member others = crowd(b, THROTTLE_BATCH, 1);

	put(b, path);
	expect_content(b, START, "{\"close\":true}");
	disperse(&others);
	expect_step(b, CLOUD_STEP_NEXT, 200, answer);
}

static void
test_few(void **state)
{
	struct throttle_member others;
	struct bench b;

	bench_open(&b, ALL);
	others = crowd(&b, THROTTLE_PUT, FEW);
	put(&b, "f");
	expect_route(&b, UPLOAD);
	throttle_enter_anyway(&others, THROTTLE_PUT);
	put(&b, "f");
	set_hash(&b.op.put.digests);
	expect_content(&b, START, "{\"close\":true,\"content_hash\":\"" HASH "\"}");
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, 3);
	b.op.length = 0;
	expect_route(&b, START);
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	disperse(&others);
	others = crowd(&b, THROTTLE_READ, 2 * FEW); /* these write nothing */
	put(&b, "f");
	expect_route(&b, UPLOAD);
	disperse(&others);
	bench_close(&b);
}

/* Who was refused for the namespace's lock does not try it so again at once. */
static void
test_locked(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	put(&b, "f");
	expect_route(&b, UPLOAD);
	expect_step(
	    &b, CLOUD_STEP_RETRY, 429, "{\"error\":{\"reason\":{\".tag\":\"too_many_requests\"}}}");
	expect_route(&b, UPLOAD);
	expect_step(&b, CLOUD_STEP_RETRY, 429, LOCKED);
	put(&b, "g");
	expect_route(&b, START);
	b.op.now_ms += LOCKED_MS - 1;
	expect_route(&b, START);
	b.op.now_ms++;
	expect_route(&b, UPLOAD);
	b.op.now_ms = NOW_MS - 1; /* the clock was put back */
	expect_route(&b, UPLOAD);
	bench_close(&b);
}

static void
test_session(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	put_session(&b, "d/f", "s");
	b.op.put.mtime_ns = INT64_C(1234567890999999999);
	expect_content(&b, "files/upload_session/finish",
	    "{\"cursor\":{\"session_id\":\"s\",\"offset\":3},\"commit\":{\"path\":\"/d/f\","
	    "\"mode\":\"add\",\"autorename\":false,\"strict_conflict\":true,"
	    "\"client_modified\":\"2009-02-13T23:31:30Z\"}}");
	expect_step(&b, CLOUD_STEP_DONE, 200, FILE_AT("1", "/d/f", "f", REV));
	assert_string_equal(b.op.entry.version, REV);

	/* What is there is replaced by its revision, out of the same session. */
	put_session(&b, "d/f", "s");
	expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("path", "file"));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/f\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/d/f", "f", REV));
	expect_content(&b, "files/upload_session/finish",
	    ENTRY("s", "/d/f", "{\".tag\":\"update\",\"update\":\"" REV "\"}"));
	put_session(&b, "d/f", "s");
	b.op.put.no_replace = true;
	expect_failure(&b, -EEXIST, 409, CONFLICT("path", "file"));

	/* The answer was lost, and the session is gone: is the file what was sent? */
	put_session(&b, "d/f", "s");
	set_hash(&b.op.put.digests);
	expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":" GONE "}");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/f\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, FILE_AT("1", "/d/f", "f", OTHER));
	assert_string_equal(b.op.entry.version, OTHER);
	bench_close(&b);
}

static void
test_session_nonsense(void **state)
{
	static const char *const answers[] = {"{}", "{\"session_id\":7}", "<html>", "null"};
	struct throttle_member others;
	struct bench b;

	bench_open(&b, ALL);
	others = crowd(&b, THROTTLE_BATCH, 1);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		put(&b, "f");
		expect_route(&b, START);
		expect_failure(&b, -EPROTO, 200, answers[i]);
	}
	put(&b, "f");
	expect_route(&b, START);
	expect_step(&b, CLOUD_STEP_RETRY, 409, "{\"error\":{\".tag\":\"content_hash_mismatch\"}}");
	expect_step(&b, CLOUD_STEP_RETRY, 429, LOCKED);
	b.op.length = (150 << 20) + 1;
	expect_refusal(&b, -EFBIG);
	disperse(&others);
	bench_close(&b);
}

static bool
takes(const struct bench *b)
{
	return dropbox_driver.batch->takes(&b->op);
}

static void
commit(struct bench *b, const char *path, const char *upload)
{
	bench_op(b, CLOUD_UPLOAD_COMMIT, path);
	b->op.length = 3;
	b->op.upload = xstrdup(upload);
}

static void
test_takes(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	put(&b, "f");
	assert_false(takes(&b)); /* its content has yet to go */
	expect_route(&b, UPLOAD);
	/* The session of what was refused is not closed. */
	expect_step(&b, CLOUD_STEP_NEXT, 409,
	    "{\"error\":{\".tag\":\"path\",\"reason\":{\".tag\":\"conflict\",\"conflict\":"
	    "{\".tag\":\"file\"}},\"upload_session_id\":\"s\"}}");
	assert_false(takes(&b));
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/f", "f", REV));
	assert_false(takes(&b));

	put_session(&b, "f", "s");
	assert_true(takes(&b));
	expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("path", "file"));
	assert_false(takes(&b)); /* it looks */
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/f", "f", REV));
	assert_true(takes(&b));
	expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":" GONE "}");
	assert_false(takes(&b));

	commit(&b, "f", "3 s");
	assert_true(takes(&b));
	commit(&b, "f", "nonsense");
	assert_false(takes(&b));
	commit(&b, "f", "pull 100 1369353600000 job .skyferry-pull-temp");
	assert_false(takes(&b));
	commit(&b, "", "3 s");
	assert_false(takes(&b));
	commit(&b, "back\\slash", "3 s");
	assert_false(takes(&b));
	bench_op(&b, CLOUD_MKDIR, "f");
	assert_false(takes(&b));
	bench_close(&b);
}

#define ITEMS 5

struct items {
	struct bench b[ITEMS];
	struct cloud_op *ops[ITEMS];
	enum cloud_step steps[ITEMS];
};

static void
items_open(struct items *items)
{
	for (size_t i = 0; i < ITEMS; i++) {
		bench_open(&items->b[i], ALL);
		items->ops[i] = &items->b[i].op;
	}
	for (size_t i = 0; i < ITEMS - 1; i++)
		put_session(&items->b[i], "f", (char[]){'a' + (char)i, '\0'});
	commit(&items->b[ITEMS - 1], "large", "3 e");
}

static void
items_close(struct items *items)
{
	for (size_t i = 0; i < ITEMS; i++)
		bench_close(&items->b[i]);
}

/* The answer to a batch of all, and what each makes of its part. */
static int
items_answer(struct items *items, const char *body, struct err *err)
{
	struct http_response res, parts[ITEMS];
	int code;

	http_response_init(&res);
	res.status = 200;
	res.body = (struct buf)BUF_INIT(CLOUD_COLLECT_MAX);
	buf_puts(&res.body, body);
	for (size_t i = 0; i < ITEMS; i++)
		http_response_init(&parts[i]);
	code = dropbox_driver.batch->response(items->ops, ITEMS, &res, parts, err);
	for (size_t i = 0; i < ITEMS; i++) {
		struct bench *b = &items->b[i];

		err_clear(&b->err);
		if (code == 0 && items->ops[i] != NULL)
			items->steps[i] = dropbox_driver.response(&b->op, &parts[i], &b->err);
		http_response_fini(&parts[i]);
	}
	http_response_fini(&res);
	return code;
}

static void
test_request(void **state)
{
	struct err err = ERR_INIT;
	struct items items;
	struct bench *b = items.b;
	const struct http_request *req = &b->request.http;

	items_open(&items);
	b[1].op.put.mtime_ns = INT64_C(1234567890999999999);
	http_request_fini(&b->request.http);
	http_request_init(&b->request.http);
	assert_int_equal(
	    dropbox_driver.batch->request(items.ops, ITEMS, &b->request, &err), CLOUD_STEP_SEND);
	assert_string_equal(req->method, "POST");
	assert_string_equal(buf_str(&req->url), API "files/upload_session/finish_batch_v2");
	assert_string_equal(bench_header(b, "Content-Type"), "application/json");
	assert_string_equal(bench_header(b, "Authorization"), "Bearer sl.token");
	assert_string_equal(buf_str(&req->bytes),
	    "{\"entries\":[" ENTRY("a", "/f",
		"\"add\"") ","
			   "{\"cursor\":{\"session_id\":\"b\",\"offset\":3},\"commit\":{\"path\":\"/f\","
			   "\"mode\":\"add\",\"autorename\":false,\"strict_conflict\":true,"
			   "\"client_modified\":\"2009-02-13T23:31:30Z\"}}," ENTRY(
			       "c", "/f", "\"add\"") "," ENTRY("d", "/f", "\"add\"") "," ENTRY("e",
			       "/large", "\"add\"") "]}");
	assert_int_not_equal(req->patience_ms, 0);
	assert_int_equal(dropbox_driver.batch->at_once, 1);
	assert_int_equal(dropbox_driver.batch->items, 1000);
	items_close(&items);
}

/* Each is answered as if it had been alone. */
static void
test_response(void **state)
{
	struct err err = ERR_INIT;
	struct items items;
	struct bench *b = items.b;

	items_open(&items);
	b[1].op.put.no_replace = true;
	assert_int_equal(
	    items_answer(&items,
		"{\"entries\":[" MADE("1", "/f", "f") "," FAILED(IN_THE_WAY) "," FAILED(GONE) "," FAILED(
		    "{\".tag\":\"too_many_shared_folder_targets\"}") "," FAILED("{\".tag\":\"too_many_write_operations\"}") "]}",
		&err),
	    0);
	assert_int_equal(items.steps[0], CLOUD_STEP_DONE);
	assert_string_equal(b[0].op.entry.version, OTHER);
	assert_int_equal(b[0].op.entry.digests.have, HASH_BIT(HASH_DROPBOX));
	assert_int_equal(items.steps[1], CLOUD_STEP_FAIL);
	assert_int_equal(b[1].err.code, -EEXIST);
	assert_int_equal(items.steps[2], CLOUD_STEP_NEXT);
	expect_rpc(&b[2], "files/get_metadata", "{\"path\":\"/f\"}");
	assert_int_equal(items.steps[3], CLOUD_STEP_NEXT);
	assert_false(takes(&b[3])); /* it goes on by itself */
	expect_content(&b[3], "files/upload_session/finish", ENTRY("d", "/f", "\"add\""));
	expect_step(&b[3], CLOUD_STEP_RETRY, 409,
	    "{\"error\":{\".tag\":\"too_many_shared_folder_targets\"}}"); /* and not for ever */
	assert_int_equal(items.steps[4], CLOUD_STEP_RETRY);
	assert_int_equal(b[4].err.code, -EAGAIN);
	assert_true(takes(&b[4]));
	put(&b[4], "next"); /* that was for the lock */
	expect_route(&b[4], START);
	items_close(&items);
}

/* Whose folder has another name is looked at, and what is in the way, by each for itself; one was
   cancelled. */
static void
test_response_each(void **state)
{
	struct err err = ERR_INIT;
	struct items items;
	struct bench *b = items.b;

	items_open(&items);
	put_session(&b[1], "d/f", "b");
	items.ops[2] = NULL;
	assert_int_equal(
	    items_answer(&items,
		"{\"entries\":[" FAILED(IN_THE_WAY) "," MADE("2", "/D/f", "f") "," MADE(
		    "3", "/f", "f") ",{\".tag\":\"success\"}," MADE("5", "/large", "large") "]}",
		&err),
	    0);
	assert_int_equal(items.steps[0], CLOUD_STEP_NEXT);
	expect_rpc(&b[0], "files/get_metadata", "{\"path\":\"/f\"}");
	expect_step(&b[0], CLOUD_STEP_NEXT, 200, FILE_AT("1", "/f", "f", REV));
	assert_true(takes(&b[0]));
	assert_int_equal(items.steps[1], CLOUD_STEP_NEXT);
	expect_rpc(&b[1], "files/get_metadata", "{\"path\":\"/d\"}");
	expect_step(&b[1], CLOUD_STEP_NEXT, 200, FOLDER("9", "D"));
	expect_rpc(&b[1], "files/delete_v2", "{\"path\":\"/d/f\",\"parent_rev\":\"" OTHER "\"}");
	assert_null(b[2].op.entry.version);
	assert_int_equal(items.steps[3], CLOUD_STEP_FAIL);
	assert_int_equal(b[3].err.code, -EPROTO);
	assert_int_equal(items.steps[4], CLOUD_STEP_DONE);
	assert_string_equal(b[4].op.entry.path, "large");
	items_close(&items);
}

static void
test_response_nonsense(void **state)
{
	static const char *const answers[] = {"", "<html>", "null", "{}", "{\"entries\":{}}",
	    "{\"entries\":[]}", "{\"entries\":[1,2,3,4]}", "{\"entries\":[1,2,3,4,5,6]}"};
	struct items items;

	items_open(&items);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(items_answer(&items, answers[i], &err), -EPROTO);
		assert_int_equal(err.code, -EPROTO);
	}
	for (size_t i = 0; i < 2; i++) {
		struct err err = ERR_INIT;

		assert_int_equal(items_answer(&items,
				     i == 0 ? "{\"entries\":[null,1,\"x\",[],{}]}"
					    : "{\"entries\":[{\"failure\":null},{\"failure\":1},"
					      "{\"failure\":{}},{\"failure\":{\".tag\":7}},"
					      "{\"failure\":{\".tag\":\"new\"}}]}",
				     &err),
		    0);
		for (size_t k = 0; k < ITEMS; k++) {
			assert_int_equal(
			    items.steps[k], i == 0 ? CLOUD_STEP_FAIL : CLOUD_STEP_RETRY);
			assert_int_equal(items.b[k].err.code, -EPROTO);
		}
	}
	items_close(&items);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_few),
	    cmocka_unit_test(test_locked),
	    cmocka_unit_test(test_session),
	    cmocka_unit_test(test_session_nonsense),
	    cmocka_unit_test(test_takes),
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_response),
	    cmocka_unit_test(test_response_each),
	    cmocka_unit_test(test_response_nonsense),
	};

	return cmocka_run_group_tests_name("dropbox_batch", tests, NULL, NULL);
}
