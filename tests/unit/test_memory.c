/* The in-process transport: bodies through rings, faults, cancelling, several loops. */
#include "src/entry.h"
#include "src/memory.h"
#include "tests/unit/check.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RING_SIZE  (16 * 1024)
#define RING_CHUNK (4 * 1024)

struct ask {
	struct loop *loop;
	struct http_request req;
	struct memory_call *call;
	struct ring *source, *sink;
	struct event *feed, *drain; /* wake-ups of the two ends of the rings */
	uint64_t fed, fed_max;
	struct hash *hash; /* of what came out of the sink */
	uint64_t drained;
	size_t held_max;
	bool stream, abort;
	size_t collect_max;
	uint64_t cancel_after; /* drained bytes; 0: never */
	/* results */
	bool done;
	int code, status;
	bool answered;
	struct buf body;
	struct err err;
	struct digests digests;
	char *retry_after;
};

static unsigned char
pattern(uint64_t at)
{
	return (unsigned char)((at * 2654435761u) >> 16);
}

static void
on_wake(void *arg)
{
	event_active(arg, EV_TIMEOUT, 0);
}

static void
feed(evutil_socket_t fd, short what, void *arg)
{
	struct ask *ask = arg;
	unsigned char chunk[RING_CHUNK];

	while (ask->fed < ask->fed_max && ring_wants_input(ask->source)) {
		size_t len = MIN(sizeof chunk, ask->fed_max - ask->fed);

		for (size_t i = 0; i < len; i++)
			chunk[i] = pattern(ask->fed + i);
		assert_true(ring_put(ask->source, chunk, len));
		ask->fed += len;
	}
	if (ask->fed == ask->fed_max)
		ring_end(ask->source);
}

static void
drain(evutil_socket_t fd, short what, void *arg)
{
	struct ask *ask = arg;
	unsigned char chunk[1000]; /* slower than it comes */
	size_t len;

	ask->held_max = MAX(ask->held_max, ring_held(ask->sink));
	len = ring_get(ask->sink, chunk, sizeof chunk);
	hash_update(ask->hash, chunk, len);
	ask->drained += len;
	if (ask->cancel_after > 0 && ask->drained >= ask->cancel_after && ask->call != NULL) {
		memory_cancel(ask->call);
		ask->call = NULL;
		loop_stop(ask->loop);
		return;
	}
	if (ring_held(ask->sink) > 0)
		event_active(ask->drain, EV_TIMEOUT, 0);
	else if (ask->done)
		loop_stop(ask->loop);
}

static enum http_take
on_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	struct ask *ask = arg;

	assert_true(res->status != 0);
	if (ask->abort)
		return HTTP_ABORT;
	if (ask->stream) {
		*sink = ask->sink;
		return HTTP_STREAM;
	}
	*collect_max = ask->collect_max;
	return HTTP_COLLECT;
}

static void
on_done(void *arg, int code, struct http_response *res, const struct err *err)
{
	struct ask *ask = arg;

	assert_false(ask->done);
	ask->done = true;
	ask->call = NULL;
	ask->code = code;
	ask->err = *err;
	ask->status = res->status;
	ask->answered = res->answered;
	buf_add(&ask->body, res->body.data, res->body.len);
	xstrset(&ask->retry_after, http_header_get(&res->headers, "Retry-After"));
	if (ask->stream)
		event_active(ask->drain, EV_TIMEOUT, 0);
	else
		loop_stop(ask->loop);
}

static void
ask_init(struct ask *ask, struct loop *loop, const char *method, const char *url)
{
	*ask = (struct ask){.loop = loop, .body = BUF_INIT(1 << 20), .collect_max = 1 << 20};
	http_request_init(&ask->req);
	ask->req.method = method;
	buf_puts(&ask->req.url, url);
}

static void
ask_stream_in(struct ask *ask, uint64_t len, uint64_t promised)
{
	ask->req.body = HTTP_BODY_STREAM;
	ask->req.length = promised;
	ask->fed_max = len;
	ask->source = ring_new(RING_SIZE, RING_CHUNK);
	ask->feed = event_new(loop_base(ask->loop), -1, 0, feed, ask);
	ring_on_output(ask->source, on_wake, ask->feed);
	event_active(ask->feed, EV_TIMEOUT, 0);
}

static void
ask_stream_out(struct ask *ask)
{
	ask->stream = true;
	ask->sink = ring_new(RING_SIZE, RING_CHUNK);
	ask->hash = hash_new(HASH_BIT(HASH_MD5));
	ask->drain = event_new(loop_base(ask->loop), -1, 0, drain, ask);
	ring_on_input(ask->sink, on_wake, ask->drain);
}

static void
ask_run(struct ask *ask)
{
	static const struct http_handler handler = {on_head, on_done};

	ask->call = memory_start(ask->loop, &ask->req, ask->source, &handler, ask);
	assert_false(ask->done);
	loop_run(ask->loop);
	if (ask->hash != NULL)
		hash_final(ask->hash, &ask->digests);
}

static void
ask_fini(struct ask *ask)
{
	if (ask->feed != NULL)
		event_free(ask->feed);
	if (ask->drain != NULL)
		event_free(ask->drain);
	ring_free(ask->source);
	ring_free(ask->sink);
	hash_free(ask->hash);
	buf_free(&ask->body);
	free(ask->retry_after);
	http_request_fini(&ask->req);
}

/* One request without a stream: its status, or its code if no answer came. */
static int
ask_once(struct loop *loop, const char *method, const char *url, const char *header,
    const char *value, struct buf *body)
{
	struct ask ask;
	int result;

	ask_init(&ask, loop, method, url);
	if (header != NULL)
		http_request_header(&ask.req, header, "%s", value);
	if (strcmp(method, "PUT") == 0 && body != NULL) {
		ask.req.body = HTTP_BODY_BYTES;
		buf_add(&ask.req.bytes, body->data, body->len);
	}
	ask_run(&ask);
	result = ask.code == 0 ? ask.status : ask.code;
	if (strcmp(method, "GET") == 0 && body != NULL) {
		buf_reset(body);
		buf_add(body, ask.body.data, ask.body.len);
	}
	ask_fini(&ask);
	return result;
}

static int
setup(void **state)
{
	struct err err;

	*state = loop_new("test", &err);
	return *state == NULL;
}

static int
teardown(void **state)
{
	loop_free(*state);
	memory_forget("unit");
	memory_forget("other");
	return 0;
}

static void
put_pattern(struct loop *loop, const char *url, uint64_t len)
{
	struct ask ask;

	ask_init(&ask, loop, "PUT", url);
	ask_stream_in(&ask, len, len);
	ask_run(&ask);
	assert_int_equal(ask.code, 0);
	assert_int_equal(ask.status, 201);
	assert_int_equal(ask.fed, len);
	ask_fini(&ask);
}

static void
pattern_md5(unsigned char out[16], uint64_t from, uint64_t len)
{
	struct hash *hash = hash_new(HASH_BIT(HASH_MD5));
	struct digests digests;

	for (uint64_t at = from; at < from + len; at++) {
		unsigned char byte = pattern(at);

		hash_update(hash, &byte, 1);
	}
	hash_final(hash, &digests);
	hash_free(hash);
	memcpy(out, digests.sum[HASH_MD5], 16);
}

static void
test_stream(void **state)
{
	static const struct {
		const char *range;
		uint64_t from, len;
		int status;
	} cases[] = {
	    {NULL, 0, 300001, 200},
	    {"bytes=0-", 0, 300001, 206},
	    {"bytes=100-99999", 100, 99900, 206},
	    {"bytes=300000-", 300000, 1, 206},
	    {"bytes=5-400000", 5, 299996, 206},
	};

	put_pattern(*state, "memory://unit/dir/big%20one", 300001);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned char md5[16];
		struct ask ask;

		ask_init(&ask, *state, "GET", "memory://unit/dir/big%20one");
		if (cases[i].range != NULL)
			http_request_header(&ask.req, "Range", "%s", cases[i].range);
		ask_stream_out(&ask);
		ask_run(&ask);
		assert_int_equal(ask.code, 0);
		assert_int_equal(ask.status, cases[i].status);
		assert_int_equal(ask.drained, cases[i].len);
		assert_true(ask.held_max <= RING_SIZE);
		if (cases[i].len > RING_SIZE) /* it was ahead, and waited */
			assert_true(ask.held_max > RING_SIZE / 2);
		pattern_md5(md5, cases[i].from, cases[i].len);
		assert_memory_equal(ask.digests.sum[HASH_MD5], md5, 16);
		ask_fini(&ask);
	}
	assert_int_equal(
	    ask_once(*state, "GET", "memory://unit/dir/big%20one", "Range", "bytes=300001-", NULL),
	    416);
}

static void
test_source_ends_early(void **state)
{
	struct ask ask;

	ask_init(&ask, *state, "PUT", "memory://unit/short");
	ask_stream_in(&ask, 999, 1000);
	ask_run(&ask);
	assert_int_equal(ask.code, -EPROTO);
	assert_false(ask.answered);
	ask_fini(&ask);
	assert_int_equal(ask_once(*state, "HEAD", "memory://unit/short", NULL, NULL, NULL), 404);
}

static void
test_collect(void **state)
{
	struct ask ask;

	put_pattern(*state, "memory://unit/file", 100000);
	ask_init(&ask, *state, "GET", "memory://unit/file");
	ask.collect_max = 100000;
	ask_run(&ask);
	assert_int_equal(ask.code, 0);
	assert_int_equal(ask.body.len, 100000);
	ask_fini(&ask);

	ask_init(&ask, *state, "GET", "memory://unit/file");
	ask.collect_max = 99999;
	ask_run(&ask);
	assert_int_equal(ask.code, -EFBIG);
	ask_fini(&ask);

	ask_init(&ask, *state, "GET", "memory://unit/file");
	ask.abort = true;
	ask_run(&ask);
	assert_int_equal(ask.code, -ECANCELED);
	ask_fini(&ask);
}

static void
test_faults(void **state)
{
	struct ask ask;

	put_pattern(*state, "memory://unit/file", 100000);
	memory_fault("unit", "GET", 2, 503, 0, 9);
	for (int i = 0; i < 3; i++) {
		ask_init(&ask, *state, "GET", "memory://unit/file");
		ask_run(&ask);
		assert_int_equal(ask.code, 0);
		assert_int_equal(ask.status, i < 2 ? 503 : 200);
		if (i < 2)
			assert_string_equal(ask.retry_after, "9");
		ask_fini(&ask);
	}

	memory_fault("unit", "GET", 1, 0, 50000, 0);
	ask_init(&ask, *state, "GET", "memory://unit/file");
	ask_stream_out(&ask);
	ask_run(&ask);
	assert_int_equal(ask.code, -ECONNRESET);
	assert_true(ask.answered);
	assert_int_equal(ask.drained, 50000);
	ask_fini(&ask);

	memory_fault("unit", NULL, 1, 0, 0, 0);
	ask_init(&ask, *state, "HEAD", "memory://unit/file");
	ask_run(&ask);
	assert_int_equal(ask.code, -ECONNRESET);
	assert_false(ask.answered);
	ask_fini(&ask);

	/* Lost on the way in: nothing was stored. */
	memory_fault("unit", "PUT", 1, 0, 500, 0);
	ask_init(&ask, *state, "PUT", "memory://unit/new");
	ask_stream_in(&ask, 1000, 1000);
	ask_run(&ask);
	assert_int_equal(ask.code, -ECONNRESET);
	ask_fini(&ask);
	assert_int_equal(ask_once(*state, "HEAD", "memory://unit/new", NULL, NULL, NULL), 404);

	/* The answer lost: it was stored. */
	memory_fault("unit", "PUT", 1, 0, UINT64_MAX, 0);
	ask_init(&ask, *state, "PUT", "memory://unit/new");
	ask_stream_in(&ask, 1000, 1000);
	ask_run(&ask);
	assert_int_equal(ask.code, -ECONNRESET);
	ask_fini(&ask);
	assert_int_equal(ask_once(*state, "HEAD", "memory://unit/new", NULL, NULL, NULL), 200);

	/* Of another server nothing is known. */
	assert_int_equal(ask_once(*state, "HEAD", "memory://other/new", NULL, NULL, NULL), 404);
	assert_int_equal(memory_requests("unit", "PUT"), 1);
	assert_int_equal(memory_requests("unit", "HEAD"), 2);
	assert_int_equal(memory_requests("unit", "GET"), 4); /* one of them half */
	assert_int_equal(memory_requests("unit", NULL), 7);
	assert_int_equal(memory_requests("other", NULL), 1);
	memory_forget("unit");
	assert_int_equal(memory_requests("unit", NULL), 0);
	assert_int_equal(ask_once(*state, "HEAD", "memory://unit/new", NULL, NULL, NULL), 404);
}

static void
test_cancel(void **state)
{
	static const struct http_handler handler = {on_head, on_done};
	struct ask ask;

	put_pattern(*state, "memory://unit/file", 100000);
	ask_init(&ask, *state, "GET", "memory://unit/file");
	ask_stream_out(&ask);
	ask.cancel_after = 30000;
	ask_run(&ask);
	assert_false(ask.done);
	assert_null(ask.call);
	ask_fini(&ask);

	/* At once, before the loop has turned. */
	ask_init(&ask, *state, "PUT", "memory://unit/other");
	ask_stream_in(&ask, 1000, 1000);
	ask.call = memory_start(ask.loop, &ask.req, ask.source, &handler, &ask);
	memory_cancel(ask.call);
	ask_fini(&ask);
	assert_int_equal(ask_once(*state, "HEAD", "memory://unit/other", NULL, NULL, NULL), 404);
}

static void
test_conditions(void **state)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(1 << 16);
	struct loop *loop = *state;

	buf_puts(&body, "one");
	assert_int_equal(ask_once(loop, "PUT", "memory://unit/a", NULL, NULL, &body), 201);
	assert_int_equal(
	    ask_once(loop, "PUT", "memory://unit/a", "If-None-Match", "*", &body), 409);
	assert_int_equal(ask_once(loop, "GET", "memory://unit/a", "If-Match", "\"1\"", &body), 200);
	assert_string_equal(buf_str(&body), "one");
	buf_reset(&body);
	buf_puts(&body, "two");
	assert_int_equal(ask_once(loop, "PUT", "memory://unit/a", NULL, NULL, &body), 201);
	assert_int_equal(ask_once(loop, "GET", "memory://unit/a", "If-Match", "\"1\"", NULL), 412);
	assert_int_equal(ask_once(loop, "HEAD", "memory://unit/a", "If-Match", "\"1\"", NULL), 412);
	assert_int_equal(
	    ask_once(loop, "DELETE", "memory://unit/a", "If-Match", "\"1\"", NULL), 412);
	assert_int_equal(ask_once(loop, "PUT", "memory://unit/a/b", NULL, NULL, &body), 424);
	assert_int_equal(ask_once(loop, "PUT", "memory://unit/d/e/f", NULL, NULL, &body), 201);
	assert_int_equal(ask_once(loop, "PUT", "memory://unit/d/e", NULL, NULL, &body), 405);
	assert_int_equal(ask_once(loop, "DELETE", "memory://unit/d/e", NULL, NULL, NULL), 405);
	assert_int_equal(
	    ask_once(loop, "DELETE", "memory://unit/d/e?directory", NULL, NULL, NULL), 422);
	assert_int_equal(ask_once(loop, "MKCOL", "memory://unit/a", NULL, NULL, NULL), 409);
	assert_int_equal(ask_once(loop, "MKCOL", "memory://unit/d/x/y", NULL, NULL, NULL), 201);
	assert_int_equal(ask_once(loop, "MKCOL", "memory://unit/d/x/y", NULL, NULL, NULL), 201);
	assert_int_equal(
	    ask_once(loop, "MOVE", "memory://unit/d", "Destination", "d/x/z", NULL), 400);
	assert_int_equal(
	    ask_once(loop, "MOVE", "memory://unit/d", "Destination", "q%20r/d", NULL), 201);
	assert_int_equal(ask_once(loop, "HEAD", "memory://unit/d/e/f", NULL, NULL, NULL), 404);
	assert_int_equal(
	    ask_once(loop, "GET", "memory://unit/q%20r/d/e/f", NULL, NULL, &body), 200);
	assert_string_equal(buf_str(&body), "two");
	assert_int_equal(
	    ask_once(loop, "COPY", "memory://unit/q%20r/d/e/f", "Destination", "g", NULL), 201);
	assert_int_equal(ask_once(loop, "COPY", "memory://unit/g", "Destination", "g", NULL), 201);
	assert_int_equal(ask_once(loop, "GET", "memory://unit/g", NULL, NULL, &body), 200);
	assert_string_equal(buf_str(&body), "two");
	assert_int_equal(ask_once(loop, "HEAD", "memory://unit/%FF", NULL, NULL, NULL), 400);
	assert_int_equal(ask_once(loop, "HEAD", "memory://unit/a/../b", NULL, NULL, NULL), 400);
	assert_int_equal(ask_once(loop, "BREW", "memory://unit/a", NULL, NULL, NULL), 400);
}

/* Several loops with one server: for the thread sanitizer. */
struct worker {
	struct loop *loop;
	struct ask ask;
	unsigned number, left;
};

static void worker_next(void *arg);

static void
worker_done(void *arg, int code, struct http_response *res, const struct err *err)
{
	struct worker *w = arg;

	assert_int_equal(code, 0);
	assert_in_range(res->status, 200, 201);
	http_request_fini(&w->ask.req);
	loop_post(w->loop, worker_next, w);
}

static enum http_take
worker_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	*collect_max = 1 << 20;
	return HTTP_COLLECT;
}

static void
worker_next(void *arg)
{
	static const struct http_handler handler = {worker_head, worker_done};
	struct worker *w = arg;
	char url[64];

	if (w->left-- == 0) {
		loop_stop(w->loop);
		return;
	}
	snprintf(url, sizeof url, "memory://unit/%s", w->left % 2 == 1 ? "shared" : "?list");
	ask_init(&w->ask, w->loop, w->left % 2 == 1 ? "PUT" : "GET", url);
	if (w->left % 2 == 1) {
		w->ask.req.body = HTTP_BODY_BYTES;
		buf_printf(&w->ask.req.bytes, "worker %u, %u left", w->number, w->left);
	}
	memory_start(w->loop, &w->ask.req, NULL, &handler, w);
}

static void
test_loops(void **state)
{
	struct worker workers[3] = {{.loop = NULL}};
	struct err err;

	for (unsigned i = 0; i < ARRAY_LEN(workers); i++) {
		workers[i].loop = loop_new("worker", &err);
		workers[i].number = i;
		workers[i].left = 200;
		loop_post(workers[i].loop, worker_next, &workers[i]);
		assert_int_equal(loop_start(workers[i].loop, &err), 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(workers); i++) {
		loop_join(workers[i].loop);
		loop_free(workers[i].loop);
	}
	assert_int_equal(memory_requests("unit", NULL), 600);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_source_ends_early, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_collect, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_loops, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
