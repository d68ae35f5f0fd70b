/*
 * Several ops in one request.  The driver "tray" removes "/NAME" by DELETE, and more than one by a
 * POST whose lines are the names; the answer's lines are "NAME STATUS".
 */
#include "tests/unit/runner_fixture.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define PROBES 6

static unsigned token, refreshes;
static bool is_apart; /* names of different first letters do not go together */

static int
tray_open(struct account *a, const json_t *credentials, struct err *err)
{
	const char *port = json_string_value(json_object_get(credentials, "port"));

	snprintf(a->data, 64, "http://127.0.0.1:%s", port);
	return 0;
}

static enum cloud_step
tray_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	request->http.method = "DELETE";
	buf_printf(&request->http.url, "%s/%s", (const char *)op->account->data, op->path);
	http_request_header(&request->http, "X-Token", "%u", token);
	return CLOUD_STEP_SEND;
}

static enum cloud_step
tray_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	bool *goes_on = op->data;

	switch (res->status) {
	case 200: return CLOUD_STEP_DONE;
	case 202: *goes_on = true; return CLOUD_STEP_NEXT;
	case 401: err_set(err, -EKEYEXPIRED, "too old"); return CLOUD_STEP_REFRESH;
	case 404: err_set(err, -ENOENT, "no '%s'", op->path); return CLOUD_STEP_FAIL;
	case 500: err_set(err, -EIO, "it hurts"); return CLOUD_STEP_RETRY;
	case 503: err_set(err, -EAGAIN, "slow down"); return CLOUD_STEP_RETRY;
	default: err_set(err, -EPROTO, "status %d", res->status); return CLOUD_STEP_FAIL;
	}
}

/* What has had a 202 goes on alone; a STAT is no item. */
static bool
tray_takes(const struct cloud_op *op)
{
	return op->kind == CLOUD_REMOVE && !*(bool *)op->data;
}

static bool
tray_together(const struct cloud_op *a, const struct cloud_op *b)
{
	return !is_apart || a->path[0] == b->path[0];
}

static enum cloud_step
tray_batch_request(
    struct cloud_op *const *items, size_t len, struct cloud_request *request, struct err *err)
{
	struct http_request *req = &request->http;

	req->method = "POST";
	req->body = HTTP_BODY_BYTES;
	buf_printf(&req->url, "%s/", (const char *)items[0]->account->data);
	http_request_header(req, "X-Token", "%u", token);
	for (size_t i = 0; i < len; i++) {
		if (strcmp(items[i]->path, "impossible") == 0) {
			err_set(err, -EINVAL, "'impossible' cannot be said");
			return CLOUD_STEP_FAIL;
		}
		buf_printf(&req->bytes, "%s\n", items[i]->path);
	}
	return CLOUD_STEP_SEND;
}

static int
tray_batch_response(struct cloud_op *const *items, size_t len, const struct http_response *res,
    struct http_response *parts, struct err *err)
{
	const char *at = buf_str(&res->body);
	char name[32];
	int status;

	for (size_t i = 0; i < len; i++) {
		if (sscanf(at, "%31s %d", name, &status) != 2)
			return err_set(err, -EPROTO, "half an answer");
		at = strchr(at, '\n') + 1;
		if (items[i] == NULL)
			continue;
		assert_string_equal(items[i]->path, name);
		parts[i].status = status;
	}
	return 0;
}

static struct cloud_batch tray_batch = {
    .items = 3,
    .at_once = 1,
    .takes = tray_takes,
    .together = tray_together,
    .request = tray_batch_request,
    .response = tray_batch_response,
};

static const struct cloud_field tray_fields[] = {
    {.name = "port", .title = "Port", .required = true},
    {.name = NULL},
};

static const struct cloud_driver tray_driver = {
    .name = "tray",
    .title = "Tray",
    .transport = CLOUD_HTTP,
    .limits = {.concurrency = 2},
    .fields = tray_fields,
    .account_size = 64,
    .op_size = sizeof(bool),
    .open = tray_open,
    .request = tray_request,
    .response = tray_response,
    .batch = &tray_batch,
};

/* The server.  What it answers with is in the names: "b-500-200" is first a 500, then a 200; "b" is
   always a 200.  Whole batches, and what happens while the first requests are held: */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char requests[1024]; /* as they came: "DELETE a, POST b c, " */
static const char *batches[8]; /* answers to POSTs; NULL: line by line */
static loop_fn holds[8]; /* of requests: run by the loop before they are answered */
static unsigned count, posts;
static char seen[16][32]; /* names that were asked for, once for each time */
static unsigned seen_len;
static sem_t released;

static int
status_of(const char *name)
{
	const char *at = name;
	unsigned times = 0;

	for (unsigned i = 0; i < seen_len; i++)
		times += strcmp(seen[i], name) == 0;
	snprintf(seen[seen_len++], sizeof seen[0], "%s", name);
	if (strchr(at, '-') == NULL)
		return 200;
	for (unsigned i = 0; i <= times && strchr(at, '-') != NULL; i++)
		at = strchr(at, '-') + 1;
	return (int)strtol(at, NULL, 10);
}

static void
note(const char *one, const char *two)
{
	size_t len = strlen(requests);

	snprintf(requests + len, sizeof requests - len, "%s%s", one, two);
}

/* The answer; "" is a reset. */
static char *
judge(const struct request *req)
{
	const char *whole = NULL;
	char *answer = xstrdup(""), *name, *rest = req->body, *status = NULL;

	if (strcmp(req->method, "POST") != 0) {
		note(req->method, " ");
		note(req->target + 1, ", ");
		free(answer);
		return xasprintf(
		    "HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n", status_of(req->target + 1));
	}
	note("POST", "");
	if (posts < ARRAY_LEN(batches))
		whole = batches[posts++];
	while ((name = strtok_r(rest, "\n", &rest)) != NULL) {
		note(" ", name);
		if (whole == NULL) {
			char *longer = xasprintf("%s%s %d\n", answer, name, status_of(name));

			free(answer);
			answer = longer;
		}
	}
	note(", ", "");
	if (whole != NULL && strcmp(whole, "reset") == 0)
		return answer;
	status = whole == NULL
	    ? xasprintf("HTTP/1.1 200 x\r\nContent-Length: %zu\r\n\r\n%s", strlen(answer), answer)
	    : xasprintf("HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", whole);
	free(answer);
	return status;
}

static void
serve(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;
	char *answer;
	loop_fn hold;
	bool good = true;

	while (good && server_read(fd, &req, true)) {
		pthread_mutex_lock(&lock);
		hold = count < ARRAY_LEN(holds) ? holds[count] : NULL;
		count++;
		answer = judge(&req);
		pthread_mutex_unlock(&lock);
		if (hold != NULL) {
			loop_post(loop, hold, NULL);
			sem_wait(&released);
		}
		if (*answer == '\0')
			server_reset(fd);
		good = *answer != '\0' && server_write(fd, "%s", answer);
		free(answer);
		server_request_fini(&req);
	}
}

/* The scaffold */

static struct probe probes[PROBES];

static void
on_refresh(void *arg, struct account *a, const struct err *why)
{
	static const struct err none = ERR_INIT;

	refreshes++;
	token++;
	cloud_account_refreshed(runner, a, 0, &none);
}

static int
setup(void **state)
{
	const struct cloud_runner_config config = {
	    .http = {.connect_timeout_ms = 5000, .stall_timeout_ms = 5000},
	    .backoff_base_ms = 2,
	    .backoff_max_ms = 10,
	    .patience_ms = 5000,
	    .refresh = on_refresh,
	};
	CLEANUP(cleanup_free) char *port = NULL;
	struct err err = ERR_INIT;
	json_t *credentials;

	fixture_setup(&config);
	token = refreshes = count = posts = seen_len = 0;
	is_apart = false;
	tray_batch.at_once = 1;
	requests[0] = '\0';
	memset(batches, 0, sizeof batches);
	memset(holds, 0, sizeof holds);
	memset(probes, 0, sizeof probes);
	sem_init(&released, 0, 0);
	server = server_start(serve, NULL);
	port = xasprintf("%d", server_port(server));
	credentials = json_pack("{s:s}", "port", port);
	assert_int_equal(
	    cloud_account_open(&account, &tray_driver, "id", "an account", credentials, &err), 0);
	json_decref(credentials);
	return 0;
}

static int
teardown(void **state)
{
	int code;

	for (unsigned i = 0; i < PROBES; i++) {
		if (probes[i].op != NULL)
			probe_fini(&probes[i]);
	}
	code = fixture_teardown(state);
	sem_destroy(&released);
	return code;
}

static void
start(unsigned i, enum cloud_op_kind kind, const char *path)
{
	probe_init(&probes[i], kind);
	xstrset(&probes[i].op->path, path);
	probe_start(&probes[i]);
}

static void
cancel(unsigned i)
{
	cloud_op_cancel(probes[i].op);
	left--;
}

static const char *others[PROBES]; /* what is removed while the first request is held */

static void
start_others(void *arg)
{
	for (unsigned i = 1; i < PROBES && others[i] != NULL; i++)
		start(i, CLOUD_REMOVE, others[i]);
	sem_post(&released);
}

/* "a" is removed, and those while its request is under way. */
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})
static void
run(const char *const *names)
{
	memset(others, 0, sizeof others);
	for (unsigned i = 0; names[i] != NULL; i++)
		others[i + 1] = names[i];
	holds[0] = start_others;
	start(0, CLOUD_REMOVE, "a");
	loop_run(loop);
}

static void
expect_codes(int a, int b, int c, int d)
{
	const int codes[] = {a, b, c, d};

	for (unsigned i = 0; i < ARRAY_LEN(codes) && probes[i].op != NULL; i++) {
		assert_int_equal(probes[i].dones, 1);
		assert_int_equal(probes[i].code, codes[i]);
	}
}

/* Tests */

static void
the_first_goes_alone_the_rest_together(void **state)
{
	RUN("b", "c", "d");
	expect_codes(0, 0, 0, 0);
	assert_string_equal(requests, "DELETE a, POST b c d, ");
}

static void
no_more_than_a_request_may_have(void **state)
{
	RUN("b", "c", "d", "e", "f");
	for (unsigned i = 0; i < PROBES; i++)
		assert_int_equal(probes[i].code, 0);
	assert_string_equal(requests, "DELETE a, POST b c d, POST e f, ");
}

static void
only_what_goes_together(void **state)
{
	is_apart = true;
	RUN("b1", "c1", "b2", "c2");
	expect_codes(0, 0, 0, 0);
	assert_string_equal(requests, "DELETE a, POST b1 b2, POST c1 c2, ");
}

static void
each_has_its_own_outcome(void **state)
{
	RUN("b-404", "c-500-200", "d");
	expect_codes(0, -ENOENT, 0, 0);
	assert_string_equal(probes[1].err.msg, "no 'b-404'");
	assert_string_equal(requests, "DELETE a, POST b-404 c-500-200 d, DELETE c-500-200, ");
}

static void
an_item_goes_on_as_an_op(void **state)
{
	RUN("b-202-200", "c");
	expect_codes(0, 0, 0, 0);
	assert_string_equal(requests, "DELETE a, POST b-202-200 c, DELETE b-202-200, ");
}

static void
what_is_lost_is_asked_for_again(void **state)
{
	batches[0] = "reset";
	RUN("b", "c");
	expect_codes(0, 0, 0, 0);
	assert_int_equal(strncmp(requests, "DELETE a, POST b c, ", 20), 0);
	assert_true(strlen(requests) > 20);
}

static void
a_refusal_is_of_all(void **state)
{
	uint64_t answers, refusals;

	batches[0] = "503 x";
	RUN("b", "c");
	expect_codes(0, 0, 0, 0);
	throttle_counts(account->throttle, &answers, &refusals);
	assert_int_equal(refusals, 1); /* it was one request */
}

static void
a_failure_is_of_all(void **state)
{
	batches[0] = "418 x";
	RUN("b", "c");
	expect_codes(0, -EPROTO, -EPROTO, 0);
	assert_string_equal(probes[2].err.msg, "status 418");
}

static void
half_an_answer_is_asked_for_again(void **state)
{
	batches[0] = "200 x";
	RUN("b", "c");
	expect_codes(0, 0, 0, 0);
	assert_int_equal(strncmp(requests, "DELETE a, POST b c, ", 20), 0);
	assert_true(strlen(requests) > 20);
}

static void
what_cannot_be_said_is_not_sent(void **state)
{
	RUN("b", "impossible");
	expect_codes(0, -EINVAL, -EINVAL, 0);
	assert_string_equal(requests, "DELETE a, ");
}

static void
credentials_are_renewed_once_for_all(void **state)
{
	batches[0] = "401 x";
	RUN("b", "c");
	expect_codes(0, 0, 0, 0);
	assert_int_equal(refreshes, 1);
	assert_string_equal(requests, "DELETE a, POST b c, POST b c, ");
}

static void
cancel_the_second(void *arg)
{
	cancel(1);
	sem_post(&released);
}

static void
a_cancel_is_of_one(void **state)
{
	holds[1] = cancel_the_second;
	RUN("b", "c", "d");
	assert_int_equal(probes[1].dones, 0);
	assert_int_equal(probes[0].code + probes[2].code + probes[3].code, 0);
	assert_int_equal(probes[2].dones + probes[3].dones, 2);
}

static void
cancel_the_batch(void *arg)
{
	cancel(1);
	cancel(2);
	loop_stop(loop); /* nobody waits any more: nothing may be under way */
	sem_post(&released);
}

static void
when_all_have_cancelled_nothing_is_left(void **state)
{
	holds[1] = cancel_the_batch;
	RUN("b", "c");
	assert_string_equal(requests, "DELETE a, POST b c, ");
	assert_int_equal(probes[1].dones + probes[2].dones, 0);
}

static void
start_and_cancel(void *arg)
{
	start(1, CLOUD_REMOVE, "b");
	cancel(1);
	start(2, CLOUD_REMOVE, "c");
	sem_post(&released);
}

static void
a_cancel_before_it_is_sent(void **state)
{
	holds[0] = start_and_cancel;
	start(0, CLOUD_REMOVE, "a");
	loop_run(loop);
	assert_int_equal(probes[1].dones, 0);
	assert_int_equal(probes[2].code, 0);
	assert_string_equal(requests, "DELETE a, DELETE c, ");
}

static unsigned told;
static void
on_done_cancels(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	told++;
	for (unsigned i = 2; i < 4; i++) {
		if (probes[i].dones == 0)
			cancel(i);
	}
	loop_stop(loop);
}

static void
start_one_that_cancels(void *arg)
{
	probe_init(&probes[1], CLOUD_REMOVE);
	cloud_op_start(runner, probes[1].op, on_done_cancels, NULL);
	start(2, CLOUD_REMOVE, "c");
	start(3, CLOUD_REMOVE, "d");
	sem_post(&released);
}

static void
whose_end_cancels_the_others(void **state)
{
	told = 0;
	holds[0] = start_one_that_cancels;
	start(0, CLOUD_REMOVE, "a");
	left++; /* the one that has no probe's done */
	loop_run(loop);
	assert_int_equal(told, 1);
	assert_int_equal(probes[2].dones + probes[3].dones, 0);
	assert_string_equal(requests, "DELETE a, POST thing c d, ");
}

/* An account that may be asked for one thing at a time: more is gathered until then. */
static void
no_more_at_once_than_the_account_may(void **state)
{
	tray_batch.at_once = 2;
	throttle_set(account->throttle, 0, 1);
	RUN("b", "c");
	expect_codes(0, 0, 0, 0);
	assert_string_equal(requests, "DELETE a, POST b c, ");
}

static void
as_many_at_once_as_there_may_be(void **state)
{
	tray_batch.at_once = 2;
	RUN("b");
	expect_codes(0, 0, 0, 0);
	assert_int_equal(account->running, 0);
}

static void
release_both(void *arg)
{
	sem_post(&released);
	sem_post(&released);
}

static void
start_a_stat(void *arg)
{
	start(1, CLOUD_REMOVE, "b");
	start(2, CLOUD_STAT, "s");
}

/* However much is removed: a removal's answer comes when the other's request has. */
static void
what_else_is_asked_comes_through(void **state)
{
	throttle_set(account->throttle, 0, 1);
	holds[0] = start_a_stat;
	holds[1] = release_both;
	start(0, CLOUD_REMOVE, "a");
	loop_run(loop);
	expect_codes(0, 0, 0, 0);
	assert_string_equal(requests, "DELETE a, DELETE s, DELETE b, ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(the_first_goes_alone_the_rest_together),
	    TEST(no_more_than_a_request_may_have),
	    TEST(only_what_goes_together),
	    TEST(each_has_its_own_outcome),
	    TEST(an_item_goes_on_as_an_op),
	    TEST(what_is_lost_is_asked_for_again),
	    TEST(a_refusal_is_of_all),
	    TEST(a_failure_is_of_all),
	    TEST(half_an_answer_is_asked_for_again),
	    TEST(what_cannot_be_said_is_not_sent),
	    TEST(credentials_are_renewed_once_for_all),
	    TEST(a_cancel_is_of_one),
	    TEST(when_all_have_cancelled_nothing_is_left),
	    TEST(a_cancel_before_it_is_sent),
	    TEST(whose_end_cancels_the_others),
	    TEST(no_more_at_once_than_the_account_may),
	    TEST(as_many_at_once_as_there_may_be),
	    TEST(what_else_is_asked_comes_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
