#include "src/clock.h"
#include "tests/unit/runner_fixture.h"
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* a driver as small as they come */

struct tiny {
	char url[128];
	const char *color;
	unsigned token; /* of the credentials; renewed by the test */
};

static const struct cloud_field tiny_fields[] = {
    {.name = "port", .title = "Port", .required = true},
    {.name = "color", .title = "Color", .value = "blue"},
    {.name = "password", .title = "Password", .secret = true},
    {.name = NULL},
};

static unsigned closed;

static int
tiny_open(struct account *a, const json_t *credentials, struct err *err)
{
	struct tiny *tiny = a->data;
	const char *port = json_string_value(json_object_get(credentials, "port"));

	if (strcmp(port, "bad") == 0)
		return err_set(err, -EINVAL, "port: 'bad' is no number");
	snprintf(tiny->url, sizeof tiny->url, "http://127.0.0.1:%s", port);
	tiny->color = json_string_value(json_object_get(credentials, "color"));
	return strcmp(tiny->color, "blue") == 0 ? 0 : err_set(err, -EINVAL, "color: no default");
}

static void
tiny_close(struct account *a)
{
	closed++;
}

static enum cloud_step
tiny_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	const struct tiny *tiny = op->account->data;
	struct http_request *req = &request->http;

	buf_printf(&req->url, "%s/%s", tiny->url, op->path);
	http_request_header(req, "X-Token", "%u", tiny->token);
	switch (op->kind) {
	case CLOUD_READ:
		http_request_header(req, "Range", "bytes=%" PRIu64 "-", op->offset + op->streamed);
		if (op->version != NULL)
			http_request_header(req, "If-Match", "%s", op->version);
		else if (op->streamed > 0)
			http_request_header(req, "If-Match", "%s", op->entry.version);
		break;
	case CLOUD_PUT:
		req->method = "PUT";
		req->body = HTTP_BODY_STREAM;
		req->length = op->length;
		break;
	case CLOUD_REMOVE: req->method = "DELETE"; break;
	case CLOUD_SWEEP: err_set(err, -ENOENT, "nothing there"); return CLOUD_STEP_FAIL;
	default: break;
	}
	return CLOUD_STEP_SEND;
}

static uint64_t tiny_wait_ms;

static enum cloud_step
tiny_judge(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	switch (res->status) {
	case 200:
	case 206: return CLOUD_STEP_DONE;
	case 202: return CLOUD_STEP_NEXT;
	case 203: op->wait_ms = tiny_wait_ms; return CLOUD_STEP_WAIT;
	case 401: err_set(err, -EKEYEXPIRED, "too old"); return CLOUD_STEP_REFRESH;
	case 404: err_set(err, -ENOENT, "no '%s'", op->path); return CLOUD_STEP_FAIL;
	case 500: err_set(err, -EIO, "it hurts"); return CLOUD_STEP_RETRY;
	case 503: err_set(err, -EAGAIN, "slow down"); return CLOUD_STEP_RETRY;
	default: err_set(err, -EPROTO, "status %d", res->status); return CLOUD_STEP_FAIL;
	}
}

static enum cloud_step
tiny_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *etag = http_header_get(&res->headers, "ETag");

	if (op->kind != CLOUD_READ || res->status > 299)
		return res->status == 418 ? tiny_judge(op, res, err) : CLOUD_STEP_COLLECT;
	xstrset(&op->entry.version, etag);
	return CLOUD_STEP_STREAM;
}

static const struct cloud_driver tiny_driver = {
    .name = "tiny",
    .title = "Tiny",
    .transport = CLOUD_HTTP,
    .limits = {.concurrency = 2},
    .fields = tiny_fields,
    .account_size = sizeof(struct tiny),
    .op_size = 8,
    .open = tiny_open,
    .close = tiny_close,
    .request = tiny_request,
    .head = tiny_head,
    .response = tiny_judge,
};

/* the scaffold */

static unsigned refreshes;
static int refresh_code;
static bool refresh_later;

static void
on_refresh(void *arg, struct account *a, const struct err *why)
{
	struct tiny *tiny = a->data;
	struct err err = ERR_INIT;

	refreshes++;
	if (refresh_later)
		return;
	if (refresh_code != 0)
		err_set(&err, refresh_code, "sign in again");
	else
		tiny->token++;
	cloud_account_refreshed(runner, a, refresh_code, &err);
}

static int
setup(void **state)
{
	const struct cloud_runner_config config = {
	    .http = {.connect_timeout_ms = 5000, .stall_timeout_ms = 2000},
	    .backoff_base_ms = 2,
	    .backoff_max_ms = 10,
	    .refresh = on_refresh,
	};

	fixture_setup(&config);
	refreshes = 0;
	refresh_code = 0;
	refresh_later = false;
	closed = 0;
	return 0;
}

static void
open_account(const struct cloud_driver *driver)
{
	CLEANUP(cleanup_free) char *port = xasprintf("%d", server_port(server));
	json_t *credentials = json_pack("{s:s}", "port", port);
	struct err err = ERR_INIT;

	assert_int_equal(
	    cloud_account_open(&account, driver, "id", "an account", credentials, &err), 0);
	json_decref(credentials);
}

/* A server that answers requests one after the other from a list. */

struct script {
	const char *const *answers; /* each: status and extra headers; the last is repeated */
	atomic_uint at;
	unsigned together; /* requests that are held until all of them are there */
	pthread_barrier_t arrived;
	sem_t counted;
	unsigned looks, most;
};

static void
serve_script(struct server *s, int fd, unsigned n, void *arg)
{
	struct script *script = arg;
	struct request req;

	while (server_read(fd, &req, true)) {
		unsigned at = atomic_fetch_add(&script->at, 1), i = 0;

		server_request_fini(&req);
		while (i < at && script->answers[i + 1] != NULL)
			i++;
		if (strcmp(script->answers[i], "reset") == 0) {
			server_reset(fd);
			return;
		}
		server_write(fd, "HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok", script->answers[i]);
	}
}

#define SCRIPT(...)                                                                                \
	{                                                                                          \
		.answers = (const char *const[])                                                   \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}

static void
serve(struct script *script)
{
	server = server_start(serve_script, script);
	open_account(&tiny_driver);
}

/* accounts */

static void
credentials_are_checked(void **state)
{
	static const struct {
		const char *json, *message;
	} cases[] = {
	    {"{\"port\": \"1\", \"prot\": \"2\"}", "prot: an account of 'tiny' has no such field"},
	    {"{\"color\": \"red\"}", "port: is missing (Port; provider 'tiny')"},
	    {"{\"port\": \"\"}", "port: is missing (Port; provider 'tiny')"},
	    {"{\"port\": 80}", "port: must be a string (provider 'tiny')"},
	    {"{\"port\": \"bad\"}", "port: 'bad' is no number"},
	    {"[]", "the credentials of an account of 'tiny' must be an object"},
	};
	struct account *a = NULL;
	struct err err;
	json_t *json;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json = json_loads(cases[i].json, 0, NULL);
		assert_int_equal(
		    cloud_account_open(&a, &tiny_driver, "id", "a", json, &err), -EINVAL);
		assert_string_equal(err.msg, cases[i].message);
		assert_null(a);
		json_decref(json);
	}
	json = json_loads("{\"port\": \"1\", \"password\": \"p\"}", 0, NULL);
	assert_int_equal(cloud_account_open(&a, &tiny_driver, "id", "a", json, &err), 0);
	assert_int_equal(closed, 0);
	cloud_account_unref(cloud_account_ref(a));
	assert_int_equal(closed, 0);
	cloud_account_unref(a);
	assert_int_equal(closed, 1);
	json_decref(json);
}

/* retries */

static void
a_transient_failure_is_tried_again(void **state)
{
	struct script script = SCRIPT("500 Ouch", "reset", "503 Slow", "200 OK");
	struct probe p;

	serve(&script);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(script.at, 4);
	probe_fini(&p);
}

static void
retries_have_an_end(void **state)
{
	struct script script = SCRIPT("500 Ouch");
	struct probe p;

	serve(&script);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), -EIO);
	assert_string_equal(p.err.msg, "it hurts");
	assert_int_equal(script.at, 5);
	probe_fini(&p);
	probe_init(&p, CLOUD_STAT);
	p.op->attempts_max = 2;
	assert_int_equal(probe_run(&p), -EIO);
	assert_int_equal(script.at, 7);
	probe_fini(&p);
}

static void
progress_starts_the_count_again(void **state)
{
	struct script script =
	    SCRIPT("500 1", "500 2", "202 next", "500 3", "500 4", "202 next", "200 OK");
	struct probe p;

	serve(&script);
	probe_init(&p, CLOUD_STAT);
	p.op->attempts_max = 3;
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(script.at, 7);
	probe_fini(&p);
}

static void
a_lasting_failure_is_not_tried_again(void **state)
{
	struct script script = SCRIPT("404 No", "418 Teapot");
	struct probe p;

	serve(&script);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), -ENOENT);
	probe_fini(&p);
	probe_init(&p, CLOUD_READ); /* refused by head */
	probe_sink(&p);
	assert_int_equal(probe_run(&p), -EPROTO);
	assert_string_equal(p.err.msg, "status 418");
	assert_false(ring_is_ended(p.ring));
	assert_int_equal(script.at, 2);
	probe_fini(&p);
	probe_init(&p, CLOUD_SWEEP); /* nothing to sweep */
	assert_int_equal(probe_run(&p), 0);
	probe_fini(&p);
}

static void
retry_after_holds_the_whole_account(void **state)
{
	struct script script = SCRIPT("503 Slow\r\nRetry-After: 1", "200 OK");
	struct probe p, q;

	serve(&script);
	probe_init(&p, CLOUD_STAT);
	probe_start(&p);
	/* The other one starts when the hold is there. */
	while (throttle_paused_until(account->throttle) == 0)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	probe_init(&q, CLOUD_STAT);
	probe_start(&q);
	loop_run(loop);
	assert_int_equal(p.code, 0);
	assert_int_equal(q.code, 0);
	assert_true(p.ms >= 1000);
	assert_true(q.ms >= 900);
	assert_int_equal(script.at, 3);
	probe_fini(&p);
	probe_fini(&q);
}

static void
a_very_long_wait_is_the_callers(void **state)
{
	struct script script = SCRIPT("503 Slow\r\nRetry-After: 7200");
	uint64_t begun = clock_mono_ms();
	struct probe p;

	serve(&script);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), -EAGAIN);
	assert_int_equal(p.err.wait_ms, 7200000);
	/* But the account is asked again after ten minutes, for others. */
	assert_true(throttle_paused_until(account->throttle) >= (begun + 600000) * 1000000);
	assert_true(
	    throttle_paused_until(account->throttle) <= (clock_mono_ms() + 600001) * 1000000);
	probe_fini(&p);
}

/* Nobody waits: what is refused is asked for again, and that is no failure. */
static void
refusals_are_borne_with_patience(void **state)
{
	struct script script = SCRIPT("503 1", "503 2", "503 3", "503 4", "503 5", "503 6", "503 7",
	    "500 Ouch", "503 8", "200 OK");
	const struct cloud_runner_config config = {
	    .http = {.connect_timeout_ms = 5000, .stall_timeout_ms = 2000},
	    .backoff_base_ms = 1,
	    .backoff_max_ms = 4,
	    .patience_ms = 60000,
	};
	struct probe p;

	fixture_set_runner(&config);
	serve(&script);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(script.at, 10);
	assert_int_equal(throttle_refused_since(account->throttle), 0);
	probe_fini(&p);
	/* Who says how often it may fail means refusals too. */
	script.at = 0;
	probe_init(&p, CLOUD_STAT);
	p.op->attempts_max = 3;
	assert_int_equal(probe_run(&p), -EAGAIN);
	assert_int_equal(script.at, 3);
	probe_fini(&p);
}

/* And when it ends, it ends for those too who were never asked for. */
static void
patience_has_an_end(void **state)
{
	struct script script = SCRIPT("503 Slow");
	const struct cloud_runner_config config = {
	    .http = {.connect_timeout_ms = 5000, .stall_timeout_ms = 2000},
	    .backoff_base_ms = 5,
	    .backoff_max_ms = 20,
	    .patience_ms = 200,
	};
	struct probe p[8];

	fixture_set_runner(&config);
	serve(&script);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		probe_init(&p[i], CLOUD_STAT);
		probe_start(&p[i]);
	}
	loop_run(loop);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		assert_int_equal(p[i].code, -EAGAIN);
		assert_non_null(strstr(p[i].err.msg, "slow down")); /* the cloud's words */
		probe_fini(&p[i]);
	}
	/* The next is asked for as ever: that is how the end of the storm is found. */
	script.answers = (const char *const[]){"200 OK", NULL};
	script.at = 0;
	probe_init(&p[0], CLOUD_STAT);
	assert_int_equal(probe_run(&p[0]), 0);
	probe_fini(&p[0]);
}

/* A window of one, and an upload that has it and does not end. */
static void
a_long_write_does_not_hold_back_the_rest(void **state)
{
	struct script script = SCRIPT("200 OK");
	struct throttle_member member = {.throttle = NULL};
	struct probe write, other;

	serve(&script);
	member.throttle = account->throttle;
	throttle_pause(&member, 1, 1);
	assert_int_equal(throttle_window(account->throttle), 1);
	probe_init(&write, CLOUD_PUT);
	write.op->ring = write.ring = ring_new(65536, 16384);
	write.op->length = 2;
	probe_start(&write);
	probe_init(&other, CLOUD_STAT);
	probe_start(&other);
	while (other.dones == 0)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	assert_int_equal(other.code, 0);
	assert_true(other.ms >= 900);
	assert_int_equal(write.dones, 0);
	cloud_op_cancel(write.op);
	left = 0;
	probe_fini(&write);
	probe_fini(&other);
}

/* reading goes on where it was */

struct object {
	unsigned resets;
	bool changes; /* another version after the first answer */
};

static void
serve_object(struct server *s, int fd, unsigned n, void *arg)
{
	const struct object *object = arg;
	const char *etag = object->changes && n > 0 ? "v2" : "v1";
	struct request req;
	char byte;

	if (!server_read(fd, &req, true))
		return;
	server_request_fini(&req);
	if (strstr(req.head, "If-Match") != NULL && strstr(req.head, etag) == NULL) {
		server_write(fd, "HTTP/1.1 412 Changed\r\nContent-Length: 0\r\n\r\n");
		server_wait_closed(fd);
		return;
	}
	long long from = server_number(&req, "Range: bytes", 0);
	server_write(fd, "HTTP/1.1 206 Part\r\nETag: %s\r\nContent-Length: %lld\r\n\r\n", etag,
	    40000 - from);
	for (long long i = from; i < 40000; i++) {
		if (n < object->resets && i - from == 7001)
			return; /* too early */
		byte = (char)(i * 7 >> 3);
		server_write_bytes(fd, &byte, 1);
	}
	server_wait_closed(fd);
}

static void
a_read_goes_on_where_it_was_cut(void **state)
{
	struct object object = {.resets = 4};
	struct probe p;

	server = server_start(serve_object, &object);
	open_account(&tiny_driver);
	probe_init(&p, CLOUD_READ);
	p.op->attempts_max = 2; /* each brought something: the count starts again */
	probe_sink(&p);
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.got_len, 40000);
	assert_int_equal(p.op->streamed, 40000);
	for (int i = 0; i < 40000; i++)
		assert_int_equal(p.got[i], (char)(i * 7 >> 3));
	assert_true(ring_is_ended(p.ring));
	assert_int_equal(server_connections(server), 5);
	probe_fini(&p);
}

static void
a_read_never_mixes_versions(void **state)
{
	struct object object = {.resets = 1, .changes = true};
	struct probe p;

	server = server_start(serve_object, &object);
	open_account(&tiny_driver);
	probe_init(&p, CLOUD_READ);
	probe_sink(&p);
	assert_int_equal(probe_run(&p), -EPROTO); /* tiny's word for 412 */
	assert_int_equal(p.got_len, 7001);
	assert_false(ring_is_ended(p.ring));
	probe_fini(&p);
}

static void
a_ring_may_be_kept_open(void **state)
{
	struct object object = {.resets = 0};
	struct probe p;

	server = server_start(serve_object, &object);
	open_account(&tiny_driver);
	probe_init(&p, CLOUD_READ);
	p.op->keep_open = true;
	probe_sink(&p);
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.got_len, 40000);
	assert_false(ring_is_ended(p.ring));
	probe_fini(&p);
}

static void
a_put_is_sent_once(void **state)
{
	struct script script = SCRIPT("503 Slow", "200 OK");
	struct probe p;

	serve(&script);
	probe_init(&p, CLOUD_PUT);
	probe_source(&p, 1000);
	assert_int_equal(probe_run(&p), -EAGAIN);
	assert_int_equal(script.at, 1);
	probe_fini(&p);
	probe_init(&p, CLOUD_PUT);
	probe_source(&p, 1000);
	assert_int_equal(probe_run(&p), 0);
	probe_fini(&p);
}

/* credentials */

static void
stale_credentials_are_refreshed_once(void **state)
{
	struct script script = SCRIPT("401 Old", "200 OK", "401 Old", "401 Old");
	struct probe p;

	serve(&script);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(refreshes, 1);
	probe_fini(&p);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), -EKEYEXPIRED);
	assert_int_equal(refreshes, 2);
	assert_int_equal(script.at, 4);
	probe_fini(&p);
}

static void
all_wait_for_a_refresh(void **state)
{
	struct script script = SCRIPT("401 Old", "200 OK");
	struct err err = ERR_INIT;
	struct probe p, q, r;

	refresh_later = true;
	serve(&script);
	probe_init(&p, CLOUD_STAT);
	probe_start(&p);
	while (refreshes == 0)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	probe_init(&q, CLOUD_STAT);
	probe_start(&q);
	probe_init(&r, CLOUD_STAT);
	probe_start(&r);
	cloud_op_cancel(r.op);
	left--;
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
	assert_int_equal(script.at, 1);
	assert_int_equal(p.dones + q.dones, 0);
	cloud_account_refreshed(runner, account, 0, &err);
	loop_run(loop);
	assert_int_equal(p.code, 0);
	assert_int_equal(q.code, 0);
	assert_int_equal(r.dones, 0);
	assert_int_equal(refreshes, 1);
	probe_fini(&p);
	probe_fini(&q);
	probe_fini(&r);
}

/* With what is given to the account while an op waits to be repeated, its next request goes out. */
static void
an_account_is_renewed_under_its_ops(void **state)
{
	struct script script = SCRIPT("401 Old", "200 OK");
	struct script elsewhere = SCRIPT("200 OK");
	struct server *other;
	struct err err = ERR_INIT;
	struct probe p;
	json_t *bad = json_pack("{s:s}", "port", "bad"), *moved;

	refresh_later = true;
	serve(&script);
	other = server_start(serve_script, &elsewhere);
	probe_init(&p, CLOUD_STAT);
	probe_start(&p);
	while (refreshes == 0)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	/* What is not accepted changes nothing. */
	assert_int_equal(cloud_account_renew(account, bad, &err), -EINVAL);
	assert_int_equal(closed, 0);
	moved = json_pack("{s:o}", "port", json_sprintf("%d", server_port(other)));
	assert_int_equal(cloud_account_renew(account, moved, &err), 0);
	assert_int_equal(closed, 0); /* the op may still use it */
	cloud_account_refreshed(runner, account, 0, &err);
	loop_run(loop);
	assert_int_equal(p.code, 0);
	assert_int_equal(script.at, 1);
	assert_int_equal(elsewhere.at, 1);
	probe_fini(&p);
	assert_int_equal(closed, 1); /* nobody uses the old one any more */
	json_decref(bad);
	json_decref(moved);
	cloud_account_unref(account);
	account = NULL;
	server_stop(other);
}

static void
a_failed_refresh_fails_those_who_wait(void **state)
{
	struct script script = SCRIPT("401 Old");
	struct probe p;

	refresh_code = -EKEYEXPIRED;
	serve(&script);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), -EKEYEXPIRED);
	assert_string_equal(p.err.msg, "sign in again");
	probe_fini(&p);
	/* Bytes are gone: it is refreshed, but the caller must start again. */
	refresh_code = 0;
	probe_init(&p, CLOUD_PUT);
	probe_source(&p, 1000);
	assert_int_equal(probe_run(&p), -EAGAIN);
	assert_int_equal(refreshes, 2);
	probe_fini(&p);
}

/* limits */

static struct account *first; /* where two share their limits */

/* On the loop, while the server has `together` requests and answers none. */
static void
count_running(void *arg)
{
	struct script *script = arg;
	unsigned running = account->running + (first != NULL ? first->running : 0);

	script->looks++;
	script->most = MAX(script->most, running);
	for (unsigned i = 0; i < script->together; i++)
		sem_post(&script->counted);
}

static void
serve_together(struct server *s, int fd, unsigned n, void *arg)
{
	struct script *script = arg;
	struct request req;

	while (server_read(fd, &req, true)) {
		server_request_fini(&req);
		if (pthread_barrier_wait(&script->arrived) == PTHREAD_BARRIER_SERIAL_THREAD)
			loop_post(loop, count_running, script);
		sem_wait(&script->counted);
		server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
}

static void
together_begin(struct script *script)
{
	pthread_barrier_init(&script->arrived, NULL, script->together);
	sem_init(&script->counted, 0, 0);
	server = server_start(serve_together, script);
	alarm(60); /* it waits for as many as it was told */
}

/* All have been answered: so many were there at once, and never more. */
static void
together_end(struct script *script, size_t requests)
{
	alarm(0);
	assert_int_equal(script->looks, requests / script->together);
	assert_int_equal(script->most, script->together);
	assert_int_equal(account->running, 0);
	server_stop(server);
	server = NULL;
	sem_destroy(&script->counted);
	pthread_barrier_destroy(&script->arrived);
}

/* Six ops, of which so many run at once, and not more. */
static void
run_together(unsigned together)
{
	struct script script = {.together = together};
	struct probe p[6];

	together_begin(&script);
	open_account(&tiny_driver);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		probe_init(&p[i], CLOUD_STAT);
		probe_start(&p[i]);
	}
	loop_run(loop);
	together_end(&script, ARRAY_LEN(p));
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		probe_fini(&p[i]);
}

static void
concurrency_is_limited(void **state)
{
	run_together(2);
}

/* What the runner is told counts, not what the driver says. */
static void
concurrency_is_configured(void **state)
{
	cloud_runner_set_concurrency(runner, 6);
	run_together(6);
}

/* Two loops' accounts, which here share one loop: together they have what one may have. */
static void
limits_are_shared(void **state)
{
	struct script script = {.together = 3};
	struct throttle *shared = throttle_new(0, script.together);
	struct probe p[9];

	together_begin(&script);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		if (i == ARRAY_LEN(p) / 2)
			first = account;
		if (i == 0 || i == ARRAY_LEN(p) / 2) {
			open_account(&tiny_driver);
			cloud_account_share(account, shared);
		}
		probe_init(&p[i], CLOUD_STAT);
		probe_start(&p[i]);
	}
	throttle_unref(shared);
	loop_run(loop);
	together_end(&script, ARRAY_LEN(p));
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		assert_int_equal(p[i].code, 0);
		probe_fini(&p[i]);
	}
	cloud_account_unref(TAKE(first));
}

static void
requests_are_paced(void **state)
{
	static struct cloud_driver paced;
	struct script script = SCRIPT("200 OK");
	uint64_t start = clock_mono_ms();
	struct probe p[12];

	paced = tiny_driver;
	paced.limits.rate = 20; /* one in 50 ms */
	server = server_start(serve_script, &script);
	open_account(&paced);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		probe_init(&p[i], CLOUD_STAT);
		probe_start(&p[i]);
	}
	loop_run(loop);
	assert_true(clock_mono_ms() - start >= 480);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		assert_int_equal(p[i].code, 0);
		probe_fini(&p[i]);
	}
}

/* Two transfers cross: each reads where the other writes.  With one lane for all they would wait
 * for ever. */
static void
readers_and_writers_do_not_block_each_other(void **state)
{
	static struct cloud_driver narrow;
	struct script script = SCRIPT("200 OK");
	struct probe reader, writer;

	narrow = tiny_driver;
	narrow.limits.concurrency = 1;
	server = server_start(serve_script, &script);
	open_account(&narrow);
	probe_init(&writer, CLOUD_PUT);
	writer.op->ring = writer.ring = ring_new(65536, 16384);
	writer.op->length = 2;
	probe_init(&reader, CLOUD_READ);
	reader.op->ring = writer.ring;
	probe_start(&writer);
	probe_start(&reader);
	loop_run(loop);
	assert_int_equal(reader.code, 0);
	assert_int_equal(writer.code, 0);
	probe_fini(&reader);
	probe_fini(&writer);
}

/* Who waits for the cloud to do something is not in the way of others. */
static void
a_wait_holds_no_lane(void **state)
{
	static struct cloud_driver narrow;
	struct script script = SCRIPT("203 Later", "200 OK");
	struct probe p[2];

	narrow = tiny_driver;
	narrow.limits.concurrency = 1;
	tiny_wait_ms = 600000;
	server = server_start(serve_script, &script);
	open_account(&narrow);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		probe_init(&p[i], CLOUD_STAT);
		probe_start(&p[i]);
	}
	while (p[1].dones == 0)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	assert_int_equal(p[1].code, 0);
	assert_int_equal(p[0].dones, 0);
	assert_int_equal(account->running, 0);
	cloud_op_cancel(p[0].op);
	left = 0;
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		probe_fini(&p[i]);
}

/* It is no failure, however often it comes. */
static void
waits_end(void **state)
{
	struct script script = SCRIPT("203 L", "203 L", "203 L", "203 L", "203 L", "203 L", "503 S",
	    "503 S", "203 L", "503 S", "503 S", "203 L", "503 S", "200 OK");
	struct probe p;

	tiny_wait_ms = 1;
	serve(&script);
	probe_init(&p, CLOUD_STAT);
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(atomic_load(&script.at), 14);
	assert_int_equal(account->running, 0);
	probe_fini(&p);
}

/* A cloud may be asked to answer when something has changed: others go on meanwhile. */
static void
who_waits_for_changes_keeps_nobody(void **state)
{
	static const enum cloud_op_kind kinds[] = {CLOUD_CHANGES, CLOUD_STAT};
	static struct cloud_driver narrow;
	struct script script = {.together = 2};
	struct probe p[2];

	narrow = tiny_driver;
	narrow.limits.concurrency = 1;
	together_begin(&script);
	open_account(&narrow);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		probe_init(&p[i], kinds[i]);
		probe_start(&p[i]);
	}
	loop_run(loop);
	together_end(&script, ARRAY_LEN(p));
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		probe_fini(&p[i]);
}

/* cancelling */

static void
an_op_can_be_cancelled_in_every_state(void **state)
{
	struct script script = SCRIPT("500 Ouch");
	struct probe p[5];

	serve(&script);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		probe_init(&p[i], CLOUD_STAT);
		p[i].op->attempts_max = 1000000;
		probe_start(&p[i]);
	}
	cloud_op_cancel(p[4].op); /* queued */
	while (atomic_load(&script.at) < 3)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	for (size_t i = 0; i < 4; i++) /* sent, ready, waiting for its backoff, queued */
		cloud_op_cancel(p[i].op);
	assert_int_equal(account->running, 0);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		cloud_op_cancel(p[i].op); /* harmless */
		assert_int_equal(p[i].dones, 0);
		probe_fini(&p[i]);
	}
	left = 0;
	server_stop(server); /* it may still be reading what was sent, and looks at the script */
	server = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fixture_teardown)
	    TEST(credentials_are_checked),
	    TEST(a_transient_failure_is_tried_again),
	    TEST(retries_have_an_end),
	    TEST(progress_starts_the_count_again),
	    TEST(a_lasting_failure_is_not_tried_again),
	    TEST(retry_after_holds_the_whole_account),
	    TEST(a_very_long_wait_is_the_callers),
	    TEST(refusals_are_borne_with_patience),
	    TEST(patience_has_an_end),
	    TEST(a_long_write_does_not_hold_back_the_rest),
	    TEST(a_read_goes_on_where_it_was_cut),
	    TEST(a_read_never_mixes_versions),
	    TEST(a_ring_may_be_kept_open),
	    TEST(a_put_is_sent_once),
	    TEST(stale_credentials_are_refreshed_once),
	    TEST(all_wait_for_a_refresh),
	    TEST(an_account_is_renewed_under_its_ops),
	    TEST(a_failed_refresh_fails_those_who_wait),
	    TEST(concurrency_is_limited),
	    TEST(concurrency_is_configured),
	    TEST(a_wait_holds_no_lane),
	    TEST(waits_end),
	    TEST(who_waits_for_changes_keeps_nobody),
	    TEST(limits_are_shared),
	    TEST(requests_are_paced),
	    TEST(readers_and_writers_do_not_block_each_other),
	    TEST(an_op_can_be_cancelled_in_every_state),
	};

	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests_name("cloud", tests, NULL, NULL);
}
