#include "tests/unit/check.h"

#include "src/clock.h"
#include "src/http.h"
#include "src/http_framing.h"
#include "src/http_private.h"
#include "tests/unit/scratch.h"
#include "tests/unit/server.h"
#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>

#define MIB      (1024 * 1024)
#define LARGE    ((size_t)512 * 1024) /* a buffer of libcurl's */
#define HASTY_MS 150 /* the stall limit of some tests */

/* one request of a test */

struct probe {
	struct loop *loop;
	struct http_client *client;
	struct http_request req;
	struct http_call *call;
	struct ring *ring; /* sink or source */
	enum http_take take;
	size_t collect_max;
	struct event *drain; /* active when the sink has bytes */
	bool hold; /* the sink is not drained */
	uint64_t drained;
	unsigned heads, dones;
	int code, status;
	uint64_t streamed;
	char *body, *header;
	size_t body_len;
	struct err err;
	unsigned *left; /* stop the loop when it is 0 */
	void (*on_done)(struct probe *);
	void (*on_head)(struct probe *);
};

static struct loop *loop;
static struct http_client *client;
static struct server *server;

static char
pattern(uint64_t at)
{
	return (char)((at * 2654435761u) >> 13);
}

static void
make_client(uint64_t stall_ms, size_t buffer, bool public_only)
{
	struct err err = ERR_INIT;
	const struct http_limits limits = {.connect_timeout_ms = 5000,
	    .stall_timeout_ms = stall_ms,
	    .public_only = public_only,
	    .buffer = buffer,
	    .user_agent = "probe/1"};

	loop = loop_new("test", &err);
	assert_non_null(loop);
	client = http_client_new(loop, &limits, &err);
	assert_non_null(client);
}

static int
setup(void **state)
{
	make_client(10000, LARGE, false);
	return 0;
}

/* As one call of thousands has it. */
static int
setup_crowded(void **state)
{
	make_client(10000, 8192, false);
	return 0;
}

static int
setup_hasty(void **state)
{
	make_client(HASTY_MS, LARGE, false);
	return 0;
}

static int
setup_public(void **state)
{
	make_client(10000, LARGE, true);
	return 0;
}

static int
teardown(void **state)
{
	http_client_free(client);
	loop_free(loop);
	if (server != NULL)
		server_stop(server);
	server = NULL;
	return 0;
}

static enum http_take
probe_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	struct probe *p = arg;

	assert_int_equal(p->heads++, 0);
	assert_true(res->answered);
	if (p->on_head != NULL)
		p->on_head(p);
	*collect_max = p->collect_max;
	*sink = p->take == HTTP_STREAM ? p->ring : NULL;
	return p->take;
}

static void
probe_drain(struct probe *p, size_t max)
{
	char chunk[16384];
	size_t len;

	while (max > 0 && (len = ring_get(p->ring, chunk, MIN(sizeof chunk, max))) > 0) {
		for (size_t i = 0; i < len; i++) {
			if (chunk[i] != pattern(p->drained + i))
				fail_msg(
				    "a wrong byte at %llu", (unsigned long long)(p->drained + i));
		}
		p->drained += len;
		max -= len;
	}
}

static void
probe_done(void *arg, int code, struct http_response *res, const struct err *err)
{
	struct probe *p = arg;
	const char *header = http_header_get(&res->headers, "x-test");

	assert_int_equal(p->dones++, 0);
	p->call = NULL;
	p->code = code;
	p->status = res->status;
	p->streamed = res->streamed;
	p->err = *err;
	p->header = xstrdup_null(header);
	p->body = xmemdup(buf_str(&res->body), res->body.len + 1);
	p->body_len = res->body.len;
	if (p->take == HTTP_STREAM && p->ring != NULL)
		probe_drain(p, SIZE_MAX);
	if (p->on_done != NULL)
		p->on_done(p);
	if (p->left != NULL && --*p->left == 0)
		loop_stop(loop);
	else if (p->left == NULL)
		loop_stop(loop);
}

static void
probe_on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	if (!p->hold)
		probe_drain(p, SIZE_MAX);
}

static void
probe_on_input(void *arg)
{
	struct probe *p = arg;

	event_active(p->drain, EV_TIMEOUT, 0);
}

static void
probe_init(struct probe *p, const char *method, const char *target)
{
	*p = (struct probe){.take = HTTP_COLLECT, .collect_max = MIB};
	http_request_init(&p->req);
	p->req.method = method;
	buf_printf(
	    &p->req.url, "http://127.0.0.1:%d%s", server != NULL ? server_port(server) : 1, target);
}

static void
probe_sink(struct probe *p, size_t size)
{
	p->take = HTTP_STREAM;
	p->ring = ring_new(size, HTTP_SINK_MIN);
	p->drain = event_new(loop_base(loop), -1, 0, probe_on_drain, p);
	ring_on_input(p->ring, probe_on_input, p);
}

static void
probe_start(struct probe *p)
{
	static const struct http_handler handler = {.head = probe_head, .done = probe_done};

	p->call = http_start(
	    client, &p->req, p->req.body == HTTP_BODY_STREAM ? p->ring : NULL, &handler, p);
	assert_int_equal(p->heads + p->dones, 0);
}

static void
probe_run(struct probe *p)
{
	probe_start(p);
	loop_run(loop);
	assert_int_equal(p->dones, 1);
}

static void
probe_fini(struct probe *p)
{
	http_request_fini(&p->req);
	if (p->drain != NULL)
		event_free(p->drain);
	ring_free(p->ring);
	free(p->body);
	free(p->header);
}

static void
after(struct event **timer, int ms, event_callback_fn fn, void *arg)
{
	const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	*timer = evtimer_new(loop_base(loop), fn, arg);
	event_add(*timer, &tv);
}

/* what servers do */

static bool
send_pattern(int fd, uint64_t len, atomic_ullong *sent)
{
	char chunk[16384];
	uint64_t at, n;

	for (at = 0; at < len; at += n) {
		n = MIN(len - at, sizeof chunk);
		for (uint64_t i = 0; i < n; i++)
			chunk[i] = pattern(at + i);
		if (!server_write_bytes(fd, chunk, n))
			return false;
		if (sent != NULL)
			atomic_fetch_add(sent, n);
	}
	return true;
}

/* Answers with the request's line, agent and body, over and over. */
static void
serve_echo(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	while (server_read(fd, &req, true)) {
		server_write(fd,
		    "HTTP/1.1 200 OK\r\nX-Test:  %u \r\nContent-Length: %zu\r\n\r\n%s %s\n", n,
		    strlen(req.method) + strlen(req.target) + 2 + req.body_len, req.method,
		    req.target);
		server_write_bytes(fd, req.body, req.body_len);
		server_request_fini(&req);
	}
}

static void
collects_an_answer_and_keeps_the_connection(void **state)
{
	struct probe p;

	server = server_start(serve_echo, NULL);
	for (int i = 0; i < 5; i++) {
		probe_init(&p, "GET", "/a/../b%20c?d=e");
		probe_run(&p);
		assert_int_equal(p.code, 0);
		assert_int_equal(p.status, 200);
		assert_string_equal(p.body, "GET /a/../b%20c?d=e\n");
		assert_string_equal(p.header, "0");
		probe_fini(&p);
	}
	assert_int_equal(server_connections(server), 1);
}

static void
serve_headers_back(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	if (!server_read(fd, &req, true))
		return;
	server_write(
	    fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(req.head), req.head);
	server_request_fini(&req);
	server_wait_closed(fd);
}

static void
sends_the_headers_that_were_given_and_no_others(void **state)
{
	struct probe p;

	server = server_start(serve_headers_back, NULL);
	probe_init(&p, "POST", "/");
	p.req.body = HTTP_BODY_BYTES;
	buf_puts(&p.req.bytes, "hello");
	http_request_header(&p.req, "X-Number", "%d", 42);
	http_request_header(&p.req, "X-Empty", "%s", "");
	http_request_header(&p.req, "X-Blank", "%s", " \t");
	probe_run(&p);
	assert_int_equal(p.code, 0);
	assert_non_null(strstr(p.body, "\r\nX-Number: 42\r\n"));
	assert_non_null(strstr(p.body, "\r\nX-Empty:\r\n"));
	assert_non_null(strstr(p.body, "\r\nX-Blank:\r\n"));
	assert_non_null(strstr(p.body, "\r\nUser-Agent: probe/1\r\n"));
	assert_non_null(strstr(p.body, "\r\nContent-Length: 5\r\n"));
	assert_null(strcasestr(p.body, "expect"));
	assert_null(strcasestr(p.body, "content-type"));
	probe_fini(&p);
	/* A header that would be two is refused, and not named with its value. */
	probe_init(&p, "GET", "/");
	http_request_header(&p.req, "Authorization", "%s", "secret\r\nX-Evil: yes");
	probe_run(&p);
	assert_int_equal(p.code, -EINVAL);
	assert_null(strstr(p.err.msg, "secret"));
	assert_non_null(strstr(p.err.msg, "Authorization"));
	probe_fini(&p);
}

static void
sends_bodies_of_every_kind(void **state)
{
	struct probe p;

	server = server_start(serve_echo, NULL);
	probe_init(&p, "DELETE", "/d");
	probe_run(&p);
	assert_string_equal(p.body, "DELETE /d\n");
	probe_fini(&p);
	probe_init(&p, "PUT", "/empty");
	p.req.body = HTTP_BODY_STREAM;
	probe_run(&p);
	assert_string_equal(p.body, "PUT /empty\n");
	probe_fini(&p);
	probe_init(&p, "PUT", "/bytes");
	p.req.body = HTTP_BODY_BYTES;
	buf_puts(&p.req.bytes, "content");
	probe_run(&p);
	assert_string_equal(p.body, "PUT /bytes\ncontent");
	probe_fini(&p);
	probe_init(&p, "HEAD", "/");
	probe_run(&p);
	assert_int_equal(p.code, 0);
	assert_string_equal(p.body, "");
	probe_fini(&p);
}

/* streaming */

static void
serve_big(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;
	int small = 65536;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	if (server_read(fd, &req, true) &&
	    server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 64 * MIB))
		send_pattern(fd, 64 * MIB, arg);
	server_request_fini(&req);
	server_wait_closed(fd);
}

struct slow {
	struct probe p;
	struct event *timer;
	atomic_ullong sent;
	uint64_t lag;
	int turns;
};

/* Takes a little at a time, and sees how far the server runs ahead. */
static void
slow_turn(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval tv = {.tv_usec = 2000};
	struct slow *s = arg;
	uint64_t sent;

	probe_drain(&s->p, 4096);
	sent = atomic_load(&s->sent); /* which the server counts a little late */
	s->lag = MAX(s->lag, sent > s->p.drained ? sent - s->p.drained : 0);
	if (++s->turns < 100) {
		event_add(s->timer, &tv);
	} else {
		s->p.hold = false;
		probe_drain(&s->p, SIZE_MAX);
	}
}

static void
a_slow_sink_holds_back_the_sender(void **state)
{
	static struct slow s; /* the server counts in it until teardown */

	atomic_store(&s.sent, 0);
	s.lag = 0;
	s.turns = 0;
	server = server_start(serve_big, &s.sent);
	probe_init(&s.p, "GET", "/");
	probe_sink(&s.p, 65536);
	s.p.hold = true;
	after(&s.timer, 2, slow_turn, &s);
	probe_run(&s.p);
	assert_int_equal(s.p.code, 0);
	assert_int_equal(s.p.streamed, 64 * MIB);
	assert_int_equal(s.p.drained, 64 * MIB);
	/* The kernel's socket buffers are most of it: at most 6 MiB (tcp_rmem). */
	assert_true(s.lag > 0 && s.lag < 16 * MIB);
	event_free(s.timer);
	probe_fini(&s.p);
}

struct feed {
	struct probe p;
	struct event *timer;
	uint64_t put, length;
	size_t piece;
};

static void
feed_turn(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval tv = {.tv_usec = 500};
	struct feed *f = arg;
	char chunk[16384];
	size_t n = (size_t)MIN(f->length - f->put, f->piece);

	if (f->put < f->length && ring_wants_input(f->p.ring)) {
		for (size_t i = 0; i < n; i++)
			chunk[i] = pattern(f->put + i);
		assert_true(ring_put(f->p.ring, chunk, n));
		f->put += n;
	}
	if (f->put == f->length)
		ring_end(f->p.ring);
	else
		event_add(f->timer, &tv);
}

static void
a_slow_source_is_waited_for(void **state)
{
	struct feed f = {.length = 300000, .piece = 1500};

	server = server_start(serve_echo, NULL);
	probe_init(&f.p, "PUT", "/p");
	f.p.req.body = HTTP_BODY_STREAM;
	f.p.req.length = f.length;
	f.p.ring = ring_new(65536, 16384);
	after(&f.timer, 0, feed_turn, &f);
	probe_run(&f.p);
	assert_int_equal(f.p.code, 0);
	assert_int_equal(f.p.body_len, 7 + f.length);
	for (uint64_t i = 0; i < f.length; i++) {
		if (f.p.body[7 + i] != pattern(i))
			fail_msg("a wrong byte at %llu", (unsigned long long)i);
	}
	event_free(f.timer);
	probe_fini(&f.p);
}

/* Chunks and the checksum behind them, of a source that is slow too. */
static void
a_body_with_a_trailer_arrives(void **state)
{
	struct feed f = {.length = 200000, .piece = 15000};
	size_t length = http_framing_length(200000);
	const char *at;
	uint64_t seen = 0;

	server = server_start(serve_echo, NULL);
	probe_init(&f.p, "PUT", "/p");
	f.p.req.body = HTTP_BODY_STREAM;
	f.p.req.length = f.length;
	f.p.req.crc32c_trailer = true;
	f.p.ring = ring_new(65536, 16384);
	after(&f.timer, 0, feed_turn, &f);
	probe_run(&f.p);
	assert_int_equal(f.p.code, 0);
	assert_int_equal(f.p.body_len, 7 + length);
	for (at = f.p.body + 7; strncmp(at, "10000\r\n", 7) == 0; at += 7 + 65536 + 2) {
		for (uint64_t i = 0; i < 65536; i++, seen++) {
			if (at[7 + i] != pattern(seen))
				fail_msg("a wrong byte at %llu", (unsigned long long)seen);
		}
	}
	assert_int_equal(seen, 3 * 65536);
	assert_memory_equal(at, "d40\r\n", 5);
	assert_memory_equal(at + 5 + 0xd40, "\r\n0\r\nx-amz-checksum-crc32c:", 27);
	event_free(f.timer);
	probe_fini(&f.p);
	/* A source that ends early does not make a whole body. */
	probe_init(&f.p, "PUT", "/p");
	f.p.req.body = HTTP_BODY_STREAM;
	f.p.req.length = 1000;
	f.p.req.crc32c_trailer = true;
	f.p.ring = ring_new(65536, 16384);
	ring_put(f.p.ring, "short", 5);
	ring_end(f.p.ring);
	probe_run(&f.p);
	assert_int_equal(f.p.code, -EPROTO);
	probe_fini(&f.p);
}

struct drip {
	struct probe p;
	struct event *timer;
	atomic_int seen; /* by the server: the head, then the first bytes of the body */
};

static void
serve_drip(struct server *s, int fd, unsigned n, void *arg)
{
	struct drip *d = arg;
	struct request req;
	char byte;

	if (!server_read(fd, &req, false))
		return;
	atomic_store(&d->seen, 1);
	for (int i = 0; i < 100 && read(fd, &byte, 1) == 1; i++)
		atomic_store(&d->seen, 2);
	server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	server_request_fini(&req);
}

static void
drip_turn(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval tv = {.tv_usec = 1000};
	static const char bytes[100];
	struct drip *d = arg;

	if (d->p.ring == NULL)
		return;
	if (atomic_load(&d->seen) == 1 && ring_held(d->p.ring) == 0)
		ring_put(d->p.ring, bytes, 10);
	if (atomic_load(&d->seen) == 2) {
		ring_put(d->p.ring, bytes, 90);
		ring_end(d->p.ring);
	} else {
		event_add(d->timer, &tv);
	}
}

/* Few bytes are not worth a resumption at once; but a server does not wait for them for ever. */
static void
a_dripping_source_is_sent(void **state)
{
	struct drip d = {.seen = 0};

	server = server_start(serve_drip, &d);
	probe_init(&d.p, "PUT", "/p");
	d.p.req.body = HTTP_BODY_STREAM;
	d.p.req.length = 100;
	d.p.req.total_timeout_ms = 5000;
	d.p.ring = ring_new(65536, 16384);
	after(&d.timer, 0, drip_turn, &d);
	probe_run(&d.p);
	assert_int_equal(d.p.code, 0);
	event_free(d.timer);
	probe_fini(&d.p);
}

/* Handles are used again, with buffers of another size. */
static void
buffers_change_between_calls(void **state)
{
	static atomic_ullong sent;
	struct probe p;

	for (int i = 0; i < 4; i++) {
		server = server_start(i % 2 == 0 ? serve_echo : serve_big, &sent);
		if (i % 2 == 0) {
			struct feed f = {.length = 300000, .piece = 15000};

			probe_init(&f.p, "PUT", "/p");
			f.p.req.body = HTTP_BODY_STREAM;
			f.p.req.length = f.length;
			f.p.ring = ring_new(65536, 16384);
			after(&f.timer, 0, feed_turn, &f);
			probe_run(&f.p);
			assert_int_equal(f.p.code, 0);
			event_free(f.timer);
			probe_fini(&f.p);
		} else {
			probe_init(&p, "GET", "/");
			probe_sink(&p, 1 << 20);
			probe_run(&p);
			assert_int_equal(p.code, 0);
			assert_int_equal(p.drained, 64 * MIB);
			probe_fini(&p);
		}
		server_stop(server);
		server = NULL;
	}
}

static void
a_source_that_ends_early_fails_the_upload(void **state)
{
	struct feed f = {.length = 20000, .piece = 5000};

	server = server_start(serve_echo, NULL);
	probe_init(&f.p, "PUT", "/p");
	f.p.req.body = HTTP_BODY_STREAM;
	f.p.req.length = f.length + 1;
	f.p.ring = ring_new(65536, 16384);
	after(&f.timer, 0, feed_turn, &f);
	probe_run(&f.p);
	assert_int_equal(f.p.code, -EPROTO);
	event_free(f.timer);
	probe_fini(&f.p);
}

static void
serve_refusal(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	if (!server_read(fd, &req, false))
		return;
	server_write(
	    fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nConnection: close\r\n\r\nno!\n");
	shutdown(fd, SHUT_WR);
	server_wait_closed(fd);
}

static void
an_answer_before_the_body_was_taken_counts(void **state)
{
	struct feed f = {.length = 1 << 30, .piece = 16384};

	server = server_start(serve_refusal, NULL);
	probe_init(&f.p, "PUT", "/p");
	f.p.req.body = HTTP_BODY_STREAM;
	f.p.req.length = f.length;
	f.p.ring = ring_new(65536, 16384);
	after(&f.timer, 0, feed_turn, &f);
	probe_run(&f.p);
	assert_int_equal(f.p.code, 0);
	assert_int_equal(f.p.status, 403);
	assert_string_equal(f.p.body, "no!\n");
	event_free(f.timer);
	probe_fini(&f.p);
}

struct boast {
	struct probe p;
	sem_t seen; /* the answer's head, by the client */
};

/* Says that all is well after the head of the request, and goes away. */
static void
serve_boast(struct server *s, int fd, unsigned n, void *arg)
{
	struct boast *b = arg;
	struct request req;

	if (!server_read(fd, &req, false))
		return;
	server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	sem_wait(&b->seen);
	server_reset(fd);
}

static void
boast_on_head(struct probe *p)
{
	sem_post(&((struct boast *)p)->seen);
}

static void
success_before_the_body_was_taken_is_none(void **state)
{
	static const char bytes[16384];
	struct boast b;

	sem_init(&b.seen, 0, 0);
	server = server_start(serve_boast, &b);
	probe_init(&b.p, "PUT", "/p");
	b.p.on_head = boast_on_head;
	b.p.req.body = HTTP_BODY_STREAM;
	b.p.req.length = 8 * MIB;
	b.p.ring = ring_new(8 * MIB, sizeof bytes);
	while (ring_put(b.p.ring, bytes, sizeof bytes))
		;
	ring_end(b.p.ring);
	probe_run(&b.p);
	assert_int_equal(b.p.status, 200);
	assert_int_equal(b.p.code, -ECONNRESET);
	probe_fini(&b.p);
	sem_destroy(&b.seen);
}

/* trouble */

static void
serve_part(struct server *s, int fd, unsigned n, void *arg)
{
	const char *how = arg;
	struct request req;

	if (!server_read(fd, &req, true))
		return;
	server_request_fini(&req);
	if (strcmp(how, "nothing") != 0) {
		server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
		send_pattern(fd, 30000, NULL);
	}
	if (strcmp(how, "close") == 0)
		return;
	if (strcmp(how, "reset") == 0)
		server_reset(fd);
	else
		server_wait_closed(fd);
}

static void
check_part(const char *how, int code, uint64_t at_most)
{
	struct probe p;

	server = server_start(serve_part, (void *)how);
	probe_init(&p, "GET", "/?sig=secret");
	probe_sink(&p, 65536);
	probe_run(&p);
	assert_int_equal(p.code, code);
	assert_true(p.streamed <= at_most && p.drained == p.streamed);
	assert_false(ring_is_ended(p.ring));
	assert_non_null(strstr(p.err.msg, "127.0.0.1"));
	assert_null(strstr(p.err.msg, "secret"));
	probe_fini(&p);
}

static void
a_short_body_is_a_lost_connection(void **state)
{
	check_part("close", -ECONNRESET, 30000);
}

static void
a_reset_is_a_lost_connection(void **state)
{
	check_part("reset", -ECONNRESET, 30000);
}

static void
a_stalled_body_times_out(void **state)
{
	check_part("wait", -ETIMEDOUT, 30000);
}

static void
an_answer_that_never_begins_times_out(void **state)
{
	check_part("nothing", -ETIMEDOUT, 0);
}

/* Answers when it is told to. */
static void
serve_late(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	if (!server_read(fd, &req, true))
		return;
	server_request_fini(&req);
	sem_wait(arg);
	server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
}

static void
tell(evutil_socket_t fd, short what, void *arg)
{
	sem_post(arg);
}

static void
who_has_patience_waits_longer(void **state)
{
	static sem_t told;
	struct event *timer;
	struct probe p;

	sem_init(&told, 0, 0);
	server = server_start(serve_late, &told);
	probe_init(&p, "GET", "/");
	p.req.patience_ms = 60000;
	after(&timer, 4 * HASTY_MS, tell, &told);
	probe_run(&p);
	sem_post(&told); /* however that went, the server can be stopped */
	assert_int_equal(p.code, 0);
	assert_string_equal(p.body, "late");
	event_free(timer);
	probe_fini(&p);
}

static void
release(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	p->hold = false;
	probe_drain(p, SIZE_MAX);
}

static void
time_that_we_pause_does_not_count(void **state)
{
	struct event *timer;
	static atomic_ullong sent; /* the server counts until teardown */
	struct probe p;

	server = server_start(serve_big, &sent);
	probe_init(&p, "GET", "/");
	probe_sink(&p, 65536);
	p.hold = true;
	after(&timer, 600, release, &p); /* the stall limit is 150 */
	probe_run(&p);
	assert_int_equal(p.code, 0);
	assert_int_equal(p.drained, 64 * MIB);
	event_free(timer);
	probe_fini(&p);
}

static void
nobody_listens(void **state)
{
	struct probe p;

	server = server_start(serve_echo, NULL);
	probe_init(&p, "GET", "/");
	server_stop(server);
	server = NULL;
	probe_run(&p);
	assert_int_equal(p.code, -ECONNREFUSED);
	assert_int_equal(p.status, 0);
	probe_fini(&p);
}

static void
serve_headers(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;
	char line[1024];

	if (!server_read(fd, &req, true))
		return;
	server_request_fini(&req);
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	server_write(fd, "HTTP/1.1 200 OK\r\n");
	if (arg == NULL) /* one line without an end */
		server_write(fd, "X-Long: ");
	for (int i = 0; i < 200; i++) {
		if (!server_write(fd, arg != NULL ? "X-%d: %s\r\n" : "%d%s", i, line))
			return;
	}
	server_write(fd, "\r\nContent-Length: 0\r\n\r\n");
	server_wait_closed(fd);
}

static void
headers_are_bounded(void **state)
{
	struct probe p;

	for (int i = 0; i < 2; i++) {
		server = server_start(serve_headers, i == 0 ? "lines" : NULL);
		probe_init(&p, "GET", "/");
		probe_run(&p);
		assert_int_equal(p.code, -EPROTO);
		assert_int_equal(p.heads, 0);
		probe_fini(&p);
		server_stop(server);
		server = NULL;
	}
}

static void
serve_hints(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	if (!server_read(fd, &req, true))
		return;
	server_request_fini(&req);
	server_write(fd, "HTTP/1.1 103 Early Hints\r\nX-Test: hint\r\n\r\n");
	server_write(fd,
	    "HTTP/1.1 301 Moved\r\nX-Test: real\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nok");
	server_wait_closed(fd);
}

static void
hints_are_skipped_and_redirects_not_followed(void **state)
{
	struct probe p;

	server = server_start(serve_hints, NULL);
	probe_init(&p, "GET", "/");
	probe_run(&p);
	assert_int_equal(p.code, 0);
	assert_int_equal(p.status, 301);
	assert_string_equal(p.header, "real");
	assert_string_equal(p.body, "ok");
	probe_fini(&p);
}

static void
collected_bodies_are_bounded(void **state)
{
	struct probe p;

	server = server_start(serve_echo, NULL);
	probe_init(&p, "GET", "/longer-than-ten");
	p.collect_max = 10;
	probe_run(&p);
	assert_int_equal(p.code, -EFBIG);
	probe_fini(&p);
	probe_init(&p, "GET", "/");
	p.take = HTTP_ABORT;
	probe_run(&p);
	assert_int_equal(p.code, -ECANCELED);
	assert_int_equal(p.status, 200);
	probe_fini(&p);
}

static void
over_a_unix_socket(void **state)
{
	char *dir = scratch_make(), *path = xasprintf("%s/socket", dir);
	struct probe p;

	server = server_start_unix(path, serve_echo, NULL);
	probe_init(&p, "GET", "/x");
	p.req.unix_socket = path;
	probe_run(&p);
	assert_int_equal(p.code, 0);
	assert_string_equal(p.body, "GET /x\n");
	probe_fini(&p);
	server_stop(server);
	server = NULL;
	probe_init(&p, "GET", "/x"); /* it is gone */
	p.req.unix_socket = path;
	probe_run(&p);
	assert_int_equal(p.code, -ECONNREFUSED);
	probe_fini(&p);
	free(path);
	scratch_remove(dir);
}

/* cancelling */

static struct probe *victim;

static void
cancel_victim(struct probe *p)
{
	http_cancel(victim->call);
	/* Whoever cancels may free at once. */
	http_request_fini(&victim->req);
	ring_free(victim->ring);
	victim->ring = NULL;
	if (victim != p)
		return;
	loop_stop(loop);
}

static void
cancel_on_timer(evutil_socket_t fd, short what, void *arg)
{
	cancel_victim(arg);
}

static void
calls_can_be_cancelled_from_everywhere(void **state)
{
	static atomic_ullong sent; /* the server counts until teardown */
	struct event *timer;
	struct probe a, b;

	server = server_start(serve_big, &sent);
	for (int how = 0; how < 3; how++) {
		probe_init(&a, "GET", "/");
		probe_sink(&a, 65536);
		a.hold = true;
		victim = &a;
		if (how == 0) { /* by itself, from inside curl */
			a.on_head = cancel_victim;
			probe_start(&a);
			loop_run(loop);
		} else if (how == 1) { /* in the middle of its body */
			after(&timer, 20, cancel_on_timer, &a);
			probe_start(&a);
			loop_run(loop);
			event_free(timer);
		} else { /* by another one's head, from inside curl */
			probe_init(&b, "GET", "/");
			b.take = HTTP_ABORT;
			b.on_head = cancel_victim;
			probe_start(&a);
			probe_run(&b);
			assert_int_equal(b.code, -ECANCELED);
			probe_fini(&b);
		}
		assert_int_equal(a.dones, 0);
		probe_fini(&a);
	}
	/* And with the client, in the middle. */
	probe_init(&a, "GET", "/");
	probe_sink(&a, 65536);
	a.hold = true;
	probe_start(&a);
	after(&timer, 20, cancel_on_timer, NULL);
	event_free(timer);
	http_client_free(client);
	client = NULL;
	probe_fini(&a);
}

struct race {
	struct probe upload, other;
	struct event *timer;
	atomic_bool waiting; /* the server has the head of the upload */
	sem_t go, answered;
};

static void
serve_race(struct server *s, int fd, unsigned n, void *arg)
{
	struct race *r = arg;
	struct request req;

	if (!server_read(fd, &req, false))
		return;
	if (strcmp(req.method, "PUT") == 0) {
		atomic_store(&r->waiting, true);
	} else {
		sem_wait(&r->go);
		server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		sem_post(&r->answered);
	}
	server_wait_closed(fd);
}

/* Holds the loop up until the other's answer and the client's tick are both due in its next turn.
 */
static void
race_turn(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval tv = {.tv_usec = 1000};
	struct race *r = arg;
	uint64_t until = clock_mono_ms() + HASTY_MS / 2;

	if (!atomic_load(&r->waiting)) {
		event_add(r->timer, &tv);
		return;
	}
	sem_post(&r->go);
	sem_wait(&r->answered);
	while (clock_mono_ms() < until)
		;
}

static void
a_tick_passes_by_what_was_just_cancelled(void **state)
{
	struct race r = {.waiting = false};

	sem_init(&r.go, 0, 0);
	sem_init(&r.answered, 0, 0);
	server = server_start(serve_race, &r);
	probe_init(&r.upload, "PUT", "/");
	r.upload.req.body = HTTP_BODY_STREAM;
	r.upload.req.length = 100;
	r.upload.ring = ring_new(65536, 16384);
	probe_init(&r.other, "GET", "/");
	r.other.on_head = cancel_victim;
	victim = &r.upload;
	probe_start(&r.upload);
	after(&r.timer, 1, race_turn, &r);
	probe_run(&r.other);
	assert_int_equal(r.other.code, 0);
	assert_int_equal(r.upload.dones, 0);
	event_free(r.timer);
	probe_fini(&r.upload);
	probe_fini(&r.other);
	sem_destroy(&r.go);
	sem_destroy(&r.answered);
}

static void
many_calls_at_once(void **state)
{
	static struct probe probes[HTTP_MULTI_CALLS + 60];
	unsigned left = ARRAY_LEN(probes);

	server = server_start(serve_echo, NULL);
	for (int round = 0; round < 2; round++) {
		left = ARRAY_LEN(probes);
		for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
			probe_init(&probes[i], "GET", "/many");
			probes[i].left = &left;
			probe_start(&probes[i]);
		}
		loop_run(loop);
		for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
			assert_int_equal(probes[i].code, 0);
			assert_string_equal(probes[i].body, "GET /many\n");
			probe_fini(&probes[i]);
		}
	}
	/* The second round finds the first one's connections. */
	assert_true(server_connections(server) <= ARRAY_LEN(probes));
}

static void
retry_after_is_understood(void **state)
{
	struct http_response res;

	http_response_init(&res);
	assert_int_equal(http_retry_after(&res, 0), 0);
	http_headers_add(&res.headers, "retry-after", "120");
	assert_int_equal(http_retry_after(&res, 0), 120000);
	http_headers_free(&res.headers);
	http_headers_add(
	    &res.headers, "Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"); /* 784111777 */
	assert_int_equal(http_retry_after(&res, 784111770500), 7000);
	assert_int_equal(http_retry_after(&res, 784111790000), 0);
	http_headers_free(&res.headers);
	http_headers_add(&res.headers, "Retry-After", "99999999999999999999999");
	assert_int_equal(http_retry_after(&res, 0), UINT64_C(7) * 24 * 3600 * 1000);
	http_response_fini(&res);
}

/* What is connected to counts, not what is written. */
static void
local_addresses_are_not_connected_to(void **state)
{
	static const char *const hosts[] = {
	    "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"};
	struct probe p;

	server = server_start(serve_echo, NULL);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		probe_init(&p, "GET", "/");
		buf_reset(&p.req.url);
		buf_printf(&p.req.url, "http://%s:%d/", hosts[i], server_port(server));
		probe_run(&p);
		assert_int_equal(p.code, -EPERM);
		assert_non_null(strstr(p.err.msg, hosts[i]));
		assert_non_null(strstr(p.err.msg, "1 is in the daemon's own network"));
		assert_non_null(strstr(p.err.msg, "endpoints.private"));
		probe_fini(&p);
	}
	assert_int_equal(server_connections(server), 0);
}

static int
ask_by_proxy(const char *url, char **body)
{
	struct probe p;
	int code;

	probe_init(&p, "GET", "/");
	buf_reset(&p.req.url);
	buf_puts(&p.req.url, url);
	probe_run(&p);
	code = p.code;
	*body = TAKE(p.body);
	probe_fini(&p);
	return code;
}

/* A proxy may be anywhere; who is excepted from it may not. */
static void
a_proxy_may_be_local(void **state)
{
	CLEANUP(cleanup_free) char *proxy = NULL;
	CLEANUP(cleanup_free) char *body = NULL;
	CLEANUP(cleanup_free) char *direct = NULL;
	CLEANUP(cleanup_free) char *none = NULL;

	server = server_start(serve_echo, NULL);
	proxy = xasprintf("http://127.0.0.1:%d", server_port(server));
	direct = xasprintf("http://localhost:%d/", server_port(server));
	setenv("http_proxy", proxy, 1);
	setenv("no_proxy", ".example.org, localhost", 1);
	assert_int_equal(ask_by_proxy("http://far.example/x", &body), 0);
	assert_string_equal(body, "GET http://far.example/x\n");
	assert_int_equal(ask_by_proxy(direct, &none), -EPERM);
	unsetenv("http_proxy");
	setenv("no_proxy", "*", 1);
}

static void
proxies_are_found_as_by_libcurl(void **state)
{
	static const struct {
		const char *url, *variable, *no_proxy;
		bool proxied;
	} cases[] = {
	    {"http://a.example/", "http_proxy", "", true},
	    {"https://a.example/", "http_proxy", "", false},
	    {"https://a.example/", "https_proxy", "", true},
	    {"https://a.example/", "HTTPS_PROXY", "", true},
	    {"http://a.example/", "HTTP_PROXY", "", false},
	    {"http://a.example/", "all_proxy", "", true},
	    {"https://a.example/", "ALL_PROXY", "", true},
	    {"http://a.example/", "http_proxy", "*", false},
	    {"http://a.example/", "http_proxy", "b.example, A.example", false},
	    {"http://a.example/", "http_proxy", "example", false},
	    {"http://a.example/", "http_proxy", ".example", false},
	    {"http://a.example/", "http_proxy", "xample,le,.", true},
	    {"http://a.example:99/", "http_proxy", "a.example", false},
	    {"http://10.1.2.3/", "http_proxy", "10.1.2.3", false},
	    {"http://[fd00::1]/", "http_proxy", "fd00::1", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *proxy;

		setenv(cases[i].variable, "http://proxy.example:3128", 1);
		setenv("no_proxy", cases[i].no_proxy, 1);
		proxy = http_proxy_for(cases[i].url);
		if ((proxy != NULL) != cases[i].proxied)
			fail_msg("%s with %s, but for '%s': %s", cases[i].url, cases[i].variable,
			    cases[i].no_proxy, proxy != NULL ? proxy : "none");
		unsetenv(cases[i].variable);
	}
	setenv("no_proxy", "*", 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn)    cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define CROWDED(fn) {#fn " (small buffers)", fn, setup_crowded, teardown, NULL}
#define HASTY(fn)   cmocka_unit_test_setup_teardown(fn, setup_hasty, teardown)
	    TEST(collects_an_answer_and_keeps_the_connection),
	    TEST(sends_the_headers_that_were_given_and_no_others),
	    TEST(sends_bodies_of_every_kind),
	    TEST(a_slow_sink_holds_back_the_sender),
	    CROWDED(a_slow_sink_holds_back_the_sender),
	    TEST(a_slow_source_is_waited_for),
	    CROWDED(a_slow_source_is_waited_for),
	    TEST(a_body_with_a_trailer_arrives),
	    HASTY(a_dripping_source_is_sent),
	    TEST(buffers_change_between_calls),
	    TEST(a_source_that_ends_early_fails_the_upload),
	    TEST(an_answer_before_the_body_was_taken_counts),
	    TEST(success_before_the_body_was_taken_is_none),
	    TEST(a_short_body_is_a_lost_connection),
	    TEST(a_reset_is_a_lost_connection),
	    HASTY(a_stalled_body_times_out),
	    HASTY(an_answer_that_never_begins_times_out),
	    HASTY(who_has_patience_waits_longer),
	    HASTY(time_that_we_pause_does_not_count),
	    TEST(nobody_listens),
	    TEST(headers_are_bounded),
	    TEST(hints_are_skipped_and_redirects_not_followed),
	    TEST(collected_bodies_are_bounded),
	    TEST(over_a_unix_socket),
	    TEST(calls_can_be_cancelled_from_everywhere),
	    HASTY(a_tick_passes_by_what_was_just_cancelled),
	    TEST(many_calls_at_once),
	    CROWDED(many_calls_at_once),
	    cmocka_unit_test_setup_teardown(
		local_addresses_are_not_connected_to, setup_public, teardown),
	    cmocka_unit_test_setup_teardown(a_proxy_may_be_local, setup_public, teardown),
	    cmocka_unit_test(proxies_are_found_as_by_libcurl),
	    TEST(retry_after_is_understood),
	};

	/* The tests' servers are here; nothing goes through a proxy. */
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
