/*
 * The calls of the in-process transport: bodies move through rings, at most MEMORY_TURN bytes a
 * turn of the loop, so that a test sees the interleaving and the backpressure that a network has.
 */
#include "src/memory.h"
#include "src/err.h"
#include "src/memory_server.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_TURN (64 * 1024)

enum call_state {
	CALL_UPLOAD, /* taking the request's body */
	CALL_ANSWER, /* carrying it out */
	CALL_SEND, /* giving the answer's body */
	CALL_DONE,
};

struct memory_call {
	struct loop *loop;
	struct http_request *req;
	struct ring *source, *sink; /* sink: NULL when the body is collected */
	struct http_handler handler;
	void *arg;
	enum call_state state;
	bool queued; /* a message for call_run is under way */
	bool cancelled; /* that message frees us */
	char *server, *path, *query;
	struct memory_fault fault;
	bool faulty;
	struct buf upload;
	struct memory_answer answer;
	uint64_t sent;
	size_t collect_max;
	struct http_response res;
	int code;
	struct err err;
};

static void call_run(void *arg);

static void
call_wake(void *arg)
{
	struct memory_call *call = arg;

	if (call->queued)
		return;
	call->queued = true;
	loop_post(call->loop, call_run, call);
}

static void
call_unhook(struct memory_call *call)
{
	if (call->source != NULL)
		ring_on_input(call->source, NULL, NULL);
	if (call->sink != NULL)
		ring_on_output(call->sink, NULL, NULL);
	call->source = call->sink = NULL;
}

static void
call_free(struct memory_call *call)
{
	call_unhook(call);
	memory_answer_fini(&call->answer);
	http_response_fini(&call->res);
	buf_free(&call->upload);
	free(call->server);
	free(call->path);
	free(call->query);
	free(call);
}

static enum call_state
call_fail(struct memory_call *call, int code, const char *why)
{
	call->code = err_set(&call->err, code, "memory://%s/%s: %s", call->server, call->path, why);
	return CALL_DONE;
}

static enum call_state
call_lose(struct memory_call *call)
{
	return call_fail(call, -ECONNRESET, "the connection was lost");
}

static bool
call_has_upload(const struct memory_call *call)
{
	return call->req->body == HTTP_BODY_STREAM;
}

static enum call_state
call_upload(struct memory_call *call)
{
	uint64_t stop =
	    call->faulty ? MIN(call->fault.after, call->req->length) : call->req->length;
	size_t turn = 0;

	if (call->faulty && call->fault.status != 0)
		return CALL_ANSWER; /* refused before the body was read, as servers do */
	while (call->upload.len < stop && turn < MEMORY_TURN) {
		const void *data;
		size_t len = ring_peek(call->source, &data);

		if (len == 0)
			break;
		len = MIN(MIN(len, stop - call->upload.len), MEMORY_TURN - turn);
		buf_add(&call->upload, data, len);
		ring_drop(call->source, len);
		turn += len;
	}
	if (call->upload.failed)
		return call_fail(call, -EFBIG, "too large for the in-process server");
	if (call->upload.len == stop && stop < call->req->length)
		return call_lose(call);
	if (call->upload.len == call->req->length)
		return CALL_ANSWER;
	if (ring_is_ended(call->source))
		return call_fail(call, -EPROTO, "the source ended early");
	if (turn > 0 && ring_held(call->source) > 0)
		call_wake(call);
	return CALL_UPLOAD;
}

static void
call_take_fault(struct memory_call *call)
{
	CLEANUP(cleanup_free) char *wait = NULL;

	call->answer.status = call->fault.status;
	if (call->fault.retry_after_s > 0) {
		wait = xasprintf("%" PRIu64, call->fault.retry_after_s);
		http_headers_add(&call->answer.headers, "Retry-After", wait);
	}
}

static void
call_carry_out(struct memory_call *call)
{
	const struct memory_ask ask = {
	    .server = call->server,
	    .method = call->req->method,
	    .path = call->path,
	    .query = call->query,
	    .headers = &call->req->headers,
	};
	struct memory_blob *blob = NULL;
	size_t len = 0;

	if (strcmp(call->req->method, "PUT") == 0 || strcmp(call->req->method, "POST") == 0) {
		const struct buf *body =
		    call->req->body == HTTP_BODY_BYTES ? &call->req->bytes : &call->upload;

		blob = memory_blob_new(body->data, body->len);
		len = body->len;
	}
	memory_server_answer(&call->answer, &ask, blob, len);
	memory_blob_unref(blob);
	buf_free(&call->upload);
}

static enum call_state
call_answer(struct memory_call *call)
{
	CLEANUP(cleanup_free) char *length = NULL;
	struct http_header *header;

	if (call->faulty && call->fault.status == 0 && call->fault.after == 0)
		return call_lose(call);
	if (call->faulty && call->fault.status != 0)
		call_take_fault(call);
	else
		call_carry_out(call);
	if (call->faulty && call->fault.status == 0 && call->fault.after == UINT64_MAX)
		return call_lose(call);
	memory_server_count(call->server, call->req->method);

	length = xasprintf("%" PRIu64, call->answer.length);
	http_headers_add(&call->answer.headers, "Content-Length", length);
	if (strcmp(call->req->method, "HEAD") == 0)
		call->answer.length = 0;
	call->res.status = call->answer.status;
	call->res.answered = true;
	TAILQ_FOREACH (header, &call->answer.headers, next)
		http_headers_add(&call->res.headers, header->name, header->value);
	switch (call->handler.head(call->arg, &call->res, &call->sink, &call->collect_max)) {
	case HTTP_ABORT:
		call->sink = NULL;
		return call_fail(call, -ECANCELED, "the answer was not wanted");
	case HTTP_STREAM:
		assert(call->sink != NULL);
		ring_on_output(call->sink, call_wake, call);
		break;
	case HTTP_COLLECT:
		call->sink = NULL;
		call->res.body.max = call->collect_max;
		break;
	}
	return CALL_SEND;
}

static enum call_state
call_send(struct memory_call *call)
{
	uint64_t stop = call->answer.length;
	size_t turn = 0;

	if (call->faulty && call->fault.status == 0)
		stop = MIN(stop, call->fault.after);
	while (call->sent < stop && turn < MEMORY_TURN) {
		const unsigned char *data = memory_blob_data(call->answer.body);
		size_t len = MIN(stop - call->sent, MEMORY_TURN - turn);

		data += call->answer.offset + call->sent;
		if (call->sink != NULL) {
			len = MIN(len, ring_room(call->sink));
			if (!ring_wants_input(call->sink) || len == 0)
				return CALL_SEND; /* call_wake comes from its reader */
			call->res.streamed += len; /* before its reader may look */
			ring_put(call->sink, data, len);
		} else if (!buf_add(&call->res.body, data, len)) {
			return call_fail(call, -EFBIG, "the answer is too large");
		}
		call->sent += len;
		turn += len;
	}
	if (call->sent == call->answer.length)
		return CALL_DONE;
	if (call->sent == stop)
		return call_lose(call);
	call_wake(call);
	return CALL_SEND;
}

static void
call_run(void *arg)
{
	static enum call_state (*const steps[])(struct memory_call *) = {
	    [CALL_UPLOAD] = call_upload,
	    [CALL_ANSWER] = call_answer,
	    [CALL_SEND] = call_send,
	};
	struct memory_call *call = arg;
	enum call_state next;

	call->queued = false;
	while (!call->cancelled && call->state != CALL_DONE) {
		next = steps[call->state](call);
		if (next == call->state)
			break;
		call->state = next;
	}
	if (call->state == CALL_DONE && !call->cancelled) {
		call_unhook(call);
		call->handler.done(call->arg, call->code, &call->res, &call->err);
		call->cancelled = true;
	}
	if (call->cancelled && !call->queued)
		call_free(call);
}

/* "memory://SERVER/path?query" */
static void
call_parse_url(struct memory_call *call, const char *url)
{
	const char *at = url + strlen("memory://");
	size_t len = strcspn(at, "/?");

	assert(strncmp(url, "memory://", strlen("memory://")) == 0);
	call->server = xstrndup(at, len);
	at += len;
	at += *at == '/';
	len = strcspn(at, "?");
	call->path = xstrndup(at, len);
	uri_decode(call->path);
	at += len;
	call->query = xstrdup(*at == '?' ? at + 1 : "");
}

struct memory_call *
memory_start(struct loop *loop, struct http_request *req, struct ring *source,
    const struct http_handler *handler, void *arg)
{
	struct memory_call *call = xcalloc(1, sizeof *call);

	call->loop = loop;
	call->req = req;
	call->handler = *handler;
	call->arg = arg;
	call->upload = (struct buf)BUF_INIT(MEMORY_OBJECT_MAX);
	memory_answer_init(&call->answer);
	http_response_init(&call->res);
	call_parse_url(call, buf_str(&req->url));
	call->faulty = memory_server_take_fault(&call->fault, call->server, req->method);
	call->state = CALL_ANSWER;
	if (call_has_upload(call)) {
		assert(source != NULL);
		call->state = CALL_UPLOAD;
		call->source = source;
		ring_on_input(source, call_wake, call);
	}
	call_wake(call);
	return call;
}

void
memory_cancel(struct memory_call *call)
{
	call_unhook(call);
	call->cancelled = true;
	call_wake(call); /* frees it; a message may be under way that still points to it */
}
